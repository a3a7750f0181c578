from __future__ import annotations

import pytest

from tests.support.fixtures import PROVIDER
from tests.support.reverts import reverts


@pytest.mark.spec("R11", "R13")
def test_suspension_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, groups, far_day):
    registrar.joinGroup(groups[0], clinic, {"from": admin})

    tx = registrar.suspend(clinic, {"from": admin})

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, True, far_day, groups[0])
    assert registrar.standingOf(clinic) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["PartySuspended"]) == {"party": clinic}


@pytest.mark.spec("R11", "R34")
def test_account_that_acts_now_loses_standing(registrar, admin, clinic_acts_by_fresh_account, clinic, fresh_account):
    registrar.suspend(clinic, {"from": admin})

    assert registrar.standingOf(fresh_account) == 0


@pytest.mark.spec("R11")
def test_validity_up_to_the_last_day_of_16_bits_does_not_outlast_suspension(registrar, admin, accredit, clinic):
    accredit(clinic, PROVIDER, valid_until=65535)

    registrar.suspend(clinic, {"from": admin})

    assert registrar.standingOf(clinic) == 0


@pytest.mark.spec("R11")
def test_other_parties_keep_their_standing(registrar, admin, clinic_is_party, accredit, clinic, second_clinic):
    accredit(second_clinic, PROVIDER)

    registrar.suspend(clinic, {"from": admin})

    assert registrar.standingOf(second_clinic) != 0


@pytest.mark.spec("R11")
def test_suspended_party_reverts(registrar, admin, clinic_is_suspended, clinic):
    with reverts("PartyAlreadySuspended", clinic.address):
        registrar.suspend(clinic, {"from": admin})
