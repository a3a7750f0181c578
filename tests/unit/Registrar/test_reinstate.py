from __future__ import annotations

import pytest

from tests.support.fixtures import DAY, PROVIDER
from tests.support.reverts import reverts


@pytest.mark.spec("R12", "R13")
def test_reinstatement_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, groups, far_day):
    registrar.joinGroup(groups[0], clinic, {"from": admin})
    before = registrar.standingOf(clinic)
    registrar.suspend(clinic, {"from": admin})

    tx = registrar.reinstate(clinic, {"from": admin})

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, groups[0])
    assert registrar.standingOf(clinic) == before
    assert len(tx.events) == 1
    assert dict(tx.events["PartyReinstated"]) == {"party": clinic}


@pytest.mark.spec("R12", "R14")
def test_party_that_lapsed_meanwhile_has_no_standing(registrar, admin, accredit, clinic, today, advance_to):
    accredit(clinic, PROVIDER, valid_until=today)
    registrar.suspend(clinic, {"from": admin})
    advance_to((today + 1) * DAY)

    registrar.reinstate(clinic, {"from": admin})

    assert registrar.standingOf(clinic) == 0


@pytest.mark.spec("R12")
def test_party_not_suspended_reverts(registrar, admin, clinic_is_party, clinic):
    with reverts("PartyNotSuspended", clinic.address):
        registrar.reinstate(clinic, {"from": admin})
