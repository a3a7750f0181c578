from __future__ import annotations

import pytest

from medproof.client.claim_anchor import encounter_id
from tests.support.claims import Claim, Rules
from tests.support.fixtures import NOBODY


@pytest.mark.spec("K1")
def test_claim_id_is_the_hash_of_the_seven(claim_anchor, claim):
    assert claim_anchor.claimId(claim) == claim.id


@pytest.mark.parametrize("member", Claim._fields)
@pytest.mark.spec("K1")
def test_claim_id_changes_with_each_member(claim_anchor, claim, stranger, member):
    other = stranger.address if member in ("provider", "payer", "patient") else b"\x77" * 32

    assert claim_anchor.claimId(claim.changed(**{member: other})) != claim.id


@pytest.mark.spec("K38")
def test_encounters_id_is_the_packages(claim_anchor, clinic):
    visit = b"\x5a" * 32

    assert bytes(claim_anchor.encounterId(clinic, visit)) == encounter_id(clinic.address, visit)


@pytest.mark.spec("K26")
def test_what_is_unknown_reads_zero(claim_anchor, claim, payer, patient):
    nothing = "0x" + "00" * 32

    assert claim_anchor.stateOf(claim.id) == (0, 0, 0, False, False, 0, 0, 0, 0)
    assert claim_anchor.responseOf(claim.id) == nothing
    assert claim_anchor.holderOf(claim.nullifier) == nothing
    assert claim_anchor.rulesOf(payer, 1) == Rules(bytes(32), 0, 0).printed
    assert claim_anchor.rulesCount(payer) == 0
    assert claim_anchor.rulesOfPlan(payer, 0) == ()
    assert claim_anchor.encounterAt(patient, b"\x5a" * 32) == 0
    assert claim_anchor.claimBatchOf(claim.provider, b"\x5b" * 32) == (0, 0)
    assert claim_anchor.flagOf(claim.id, nothing) == 0
    assert claim_anchor.dueOf(claim) == (NOBODY, 0)
    assert claim_anchor.appealTimeOf(claim) == (0, 0)


def test_neighbours_are_those_given(claim_anchor, registrar, prescriptions):
    assert claim_anchor.registrar() == registrar
    assert claim_anchor.prescriptions() == prescriptions
