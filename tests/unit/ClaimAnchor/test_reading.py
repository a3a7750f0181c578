from __future__ import annotations

import pytest


@pytest.mark.spec("K1")
def test_claim_id_is_the_hash_of_the_four(claim_anchor, claim):
    assert claim_anchor.claimId(claim) == claim.id


@pytest.mark.parametrize("member", ["provider", "payer", "commitment", "nullifier"])
@pytest.mark.spec("K1")
def test_claim_id_changes_with_each_member(claim_anchor, claim, stranger, member):
    other = stranger.address if member in ("provider", "payer") else b"\x77" * 32

    assert claim_anchor.claimId(claim.changed(**{member: other})) != claim.id


@pytest.mark.spec("K26")
def test_what_is_unknown_reads_zero(claim_anchor, claim, payer):
    nothing = "0x" + "00" * 32

    assert claim_anchor.stateOf(claim.id) == (0, 0, 0, False)
    assert claim_anchor.responseOf(claim.id) == nothing
    assert claim_anchor.claimOf(claim.nullifier) == nothing
    assert claim_anchor.rulesOf(payer, 1) == (nothing, 0)
    assert claim_anchor.rulesCount(payer) == 0


def test_registrar_is_the_one_given(claim_anchor, registrar):
    assert claim_anchor.registrar() == registrar
