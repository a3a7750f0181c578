"""The histories of studies, choices, cohorts, results and bounties are those of the chain, as of every block."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.incentives import Bounty, Payee
from medproof.client.studies import Result, Study, StudyState
from medproof.deployments import Deployment
from medproof.errors import IndexedContractError
from medproof.indexer import Index, Indexer, View, view
from medproof.indexer.index import Batch, BlockHash
from medproof.policy.study import StudyDocument
from medproof.signing import LocalSigner
from scripts.demo_token import deploy_token
from tests.sdk.conftest import funded, rpc
from tests.sdk.studies.conftest import cohort_now, permit, protocol, studies, study, taking_part  # noqa: F401

DAY = 86400


def standing(state: View, history: str) -> list[Any]:
    with state.indexed.database.reading() as connection:
        return [*connection.execute(state.standing(history))]


def test_every_step_as_of_its_block(
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    study: Study,  # noqa: F811
    taking_part: Any,  # noqa: F811
    protocol: StudyDocument,  # noqa: F811
    researcher: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    admin: LocalSigner,
) -> None:
    client, incentives = suite.studies, suite.incentives
    start = chain.block_number()
    subjects = [taking_part(number).address for number in (10, 11)]
    cohort = cohort_now(suite, study)
    client.fix_cohort(cohort.cohort, sender=researcher)
    client.opt_out(study.id, sender=funded(11))
    indexer.update()  # what follows ends rows that are in the database
    client.opt_in(study, sender=funded(11))
    client.opt_out(study.id, sequence=9, sender=funded(12))
    results = []
    for custodian, commitment in ((clinic, b"\x09" * 32), (clinic, b"\x0a" * 32)):
        result = Result(cohort.cohort.id, custodian.address, commitment)
        answer = client.sign_result(custodian, study.id, result)
        client.publish_result(study, cohort.cohort, result, answer, sender=researcher)
        results.append(result)
    token = deploy_token(chain, payer)
    until = datetime.fromtimestamp(chain.timestamp() + DAY, UTC)
    bounty = Bounty(payer.address, study.id, token.address, Payee.CUSTODIAN, 2**100, until)
    token_bounties = [bounty, replace(bounty, payment=7)]
    incentives.fund(bounty, 2**70, sender=payer)
    incentives.fund(token_bounties[1], 100, sender=payer)
    incentives.fund(token_bounties[1], 11, sender=payer)
    indexer.update()
    incentives.accept(token_bounties[1], cohort.cohort, results[0], sender=payer)
    incentives.claim_answer(token_bounties[1], results[0], sender=clinic)
    other = Study.of(replace(protocol, title="Another"))
    client.register(other, sender=researcher)
    client.close(other.id, sender=researcher)
    client.withdraw_approval(other.id, sender=admin)
    rpc(chain, "evm_increaseTime", 2 * DAY)
    rpc(chain, "evm_mine")
    incentives.refund(token_bounties[1], sender=payer)

    indexer.update()
    seen = set()
    for block in range(start, chain.block_number() + 1):
        state = view(indexer.indexed, block=block, at=datetime.fromtimestamp(chain.timestamp(block), UTC))
        kept = {bytes(row.study): row for row in standing(state, "studies")}
        for one in (study, other):
            said = client.state(one.id, block=block)
            seen.add(said)
            assert (one.id in kept) == (said is not StudyState.UNKNOWN)
            if row := kept.get(one.id):
                assert said == (row.ended or StudyState.OPEN)
        choices = {(bytes(row.study), bytes(row.subject)): row for row in standing(state, "participations")}
        for subject in (*subjects, funded(12).address):
            choice = client.choice(study.id, subject, block=block)
            row = choices.get((study.id, bytes.fromhex(subject[2:])))
            assert (row is None) == (choice is None)
            if row is not None and choice is not None:
                assert (row.opted_in, row.sequence) == (choice.opted_in, choice.sequence)
        fixed = {bytes(row.cohort): row for row in standing(state, "cohorts")}
        assert (cohort.cohort.id in fixed) == (client.cohort_fixed(cohort.cohort.id, block=block) is not None)
        published = {(bytes(row.cohort), bytes(row.commitment)) for row in standing(state, "results")}
        for result in results:
            known = client.result_published(result.id, block=block) is not None
            assert ((result.cohort, result.commitment) in published) == known
        money = {bytes(row.bounty): row for row in standing(state, "bounties")}
        for one_bounty in token_bounties:
            escrow, row = incentives.escrow(one_bounty.id, block=block), money.get(one_bounty.id)
            assert (escrow.free, escrow.due) == ((0, 0) if row is None else (int(row.free), int(row.due)))
    assert seen == {StudyState.UNKNOWN, StudyState.OPEN, StudyState.CLOSED, StudyState.APPROVAL_WITHDRAWN}

    last = view(indexer.indexed)
    [row] = [row for row in standing(last, "studies") if bytes(row.study) == study.id]
    assert bytes(row.researcher).hex() == researcher.address[2:].lower()
    assert int.from_bytes(bytes(row.request), "big") == study.request
    assert (bytes(row.protocol), bytes(row.ethics)) == (study.protocol, study.ethics)
    assert timedelta(days=row.last_day - row.first_day) == study.last_day - study.first_day
    assert json.loads(row.custodians) == [one.lower() for one in study.custodians]
    [row] = standing(last, "cohorts")
    about = cohort.cohort
    assert (bytes(row.root), row.size, row.as_of) == (about.root, about.size, about.block)
    assert (bytes(row.block_hash), row.block_checked) == (about.block_hash, True)
    [row] = [row for row in standing(last, "bounties") if bytes(row.bounty) == token_bounties[1].id]
    assert (row.payment, row.free, row.due, row.paid, row.refunded) == ("7", "0", "0", "7", "104")
    assert (row.payee, row.accept_until) == (Payee.CUSTODIAN, int(until.timestamp()))
    assert bytes(row.token).hex() == token.address[2:].lower()
    [row] = [row for row in standing(last, "bounties") if bytes(row.bounty) == bounty.id]
    assert (row.payment, row.free) == (str(2**100), str(2**70))


def test_a_contract_that_was_deployed_later_is_read_from_its_first_block(
    chain: Chain, deployment: Deployment, sqlite_index: Index
) -> None:
    earlier = deployment.without("Incentives").without("Studies")
    block = deployment.contracts["Studies"].block
    genesis = bytes.fromhex(chain.block(0).hash[2:])
    before = sqlite_index.indexed(earlier, genesis)
    assert "Studies" not in before.contracts
    after = sqlite_index.indexed(deployment, genesis)
    assert after.number == before.number
    assert after.contracts.keys() == deployment.contracts.keys()
    assert sqlite_index.indexed(deployment, genesis).contracts == after.contracts
    assert [one.contracts for one in sqlite_index.deployments()] == [after.contracts]
    assert deployment.contracts["Incentives"].block > block


def test_an_index_that_has_read_past_a_contract_says_so(
    chain: Chain, deployment: Deployment, sqlite_index: Index
) -> None:
    earlier = deployment.without("Incentives").without("Studies")
    genesis = bytes.fromhex(chain.block(0).hash[2:])
    indexed = sqlite_index.indexed(earlier, genesis)
    last = BlockHash(chain.block_number(), b"\x07" * 32, chain.timestamp())
    indexed.append(Batch(indexed.first, last, {}, [], [], []))
    with pytest.raises(
        IndexedContractError, match=rf"read up to block {last.number} without (Studies|Incentives), which"
    ):
        Indexer(sqlite_index, chain, deployment)
