"""The claims' history is that of their states on the chain."""

from __future__ import annotations

import dataclasses
from datetime import date

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, Outcome, Rules
from medproof.indexer import Indexer, view
from medproof.signing import LocalSigner


def test_every_step_as_of_its_block(
    suite: MedProof, chain: Chain, indexer: Indexer, clinic: LocalSigner, payer: LocalSigner
) -> None:
    anchor = suite.claim_anchor
    rules = anchor.publish_rules(Rules(b"\x51" * 32, date(2020, 1, 1)), sender=payer)
    appealed = AnchoredClaim(clinic.address, payer.address, b"\x21" * 32, b"\x31" * 32)
    replaced = AnchoredClaim(clinic.address, payer.address, b"\x22" * 32, b"\x32" * 32)
    correction = dataclasses.replace(replaced, commitment=b"\x23" * 32)
    start = chain.block_number()
    anchor.submit(appealed, rules, sender=clinic)
    anchor.pend(appealed, b"\x52" * 32, sender=payer)
    anchor.answer(appealed, b"\x53" * 32, sender=clinic)
    anchor.adjudicate(appealed, Outcome.DENIED, rules, b"\x54" * 32, sender=payer)
    anchor.appeal(appealed, clinic.address, b"\x55" * 32, sender=clinic)
    anchor.decide_appeal(appealed, Outcome.PARTIAL, rules, b"\x56" * 32, upheld=False, sender=payer)
    anchor.settle(appealed, payer=anchor.agree_to_settle(payer, appealed), sender=clinic)
    anchor.submit(replaced, rules, sender=clinic)
    anchor.replace(replaced, correction, rules, sender=clinic)
    anchor.void(correction, sender=clinic)

    indexer.update()
    seen = set()
    for block in range(start, chain.block_number() + 1):
        state = view(indexer.indexed, block=block)
        with indexer.indexed.database.reading() as connection:
            kept = {bytes(row.claim): row for row in connection.execute(state.standing("claims"))}
        for claim in (appealed, replaced, correction):
            said, row = anchor.state(claim, block=block), kept.get(claim.id)
            if row is None:
                assert said.status == 0
                continue
            assert (row.status, row.outcome, row.rules) == (said.status, said.outcome, said.rules)
            assert bytes(row.response) == said.response
            assert (bytes(row.commitment), bytes(row.nullifier)) == (claim.commitment, claim.nullifier)
            seen.add(said.status)
    assert len(seen) == 8


def test_a_step_of_a_claim_that_was_read_before(
    suite: MedProof, indexer: Indexer, clinic: LocalSigner, payer: LocalSigner
) -> None:
    anchor = suite.claim_anchor
    rules = anchor.publish_rules(Rules(b"\x51" * 32, date(2020, 1, 1)), sender=payer)
    claim = AnchoredClaim(clinic.address, payer.address, b"\x21" * 32, b"\x31" * 32)
    anchor.submit(claim, rules, sender=clinic)
    indexer.update()
    anchor.void(claim, sender=clinic)
    indexer.update()
    with indexer.indexed.database.reading() as connection:
        [row] = connection.execute(view(indexer.indexed).standing("claims"))
    assert row.status == anchor.state(claim).status
    assert bytes(row.commitment) == claim.commitment
