from __future__ import annotations

import pytest

from tests.support.fixtures import CREDENTIAL, NOBODY, PAYER
from tests.support.reverts import reverts

EMPTY = (NOBODY, 0, False, 0, 0)


@pytest.mark.spec("R15")
def test_removal_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, groups):
    registrar.joinGroup(groups[0], clinic, {"from": admin})

    tx = registrar.remove(clinic, {"from": admin})

    assert registrar.partyOf(clinic) == EMPTY
    assert registrar.standingOf(clinic) == 0
    assert registrar.accountOf(clinic) == NOBODY
    assert registrar.credentialOf(clinic) == "0x" + "00" * 32
    assert len(tx.events) == 1
    assert dict(tx.events["PartyRemoved"]) == {"party": clinic}


@pytest.mark.spec("R15")
def test_suspended_party_is_removed(registrar, admin, clinic_is_suspended, clinic):
    registrar.remove(clinic, {"from": admin})

    assert registrar.partyOf(clinic) == EMPTY


@pytest.mark.spec("R15")
def test_lapsed_party_is_removed(registrar, admin, clinic_has_lapsed, clinic):
    registrar.remove(clinic, {"from": admin})

    assert registrar.partyOf(clinic) == EMPTY


@pytest.mark.spec("R15")
def test_offer_ends(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})

    registrar.remove(clinic, {"from": admin})

    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R15")
def test_recovery_ends(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})

    registrar.remove(clinic, {"from": admin})

    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.cancelRecovery(clinic, {"from": admin})


@pytest.mark.spec("R17")
def test_last_account_of_a_removed_party_may_become_another_party(
    registrar, admin, accredit, clinic_acts_by_fresh_account, clinic, fresh_account, far_day
):
    registrar.remove(clinic, {"from": admin})

    accredit(fresh_account, PAYER)

    assert registrar.partyOf(fresh_account) == (fresh_account, PAYER, False, far_day, 0)
    assert registrar.credentialOf(fresh_account) == "0x" + CREDENTIAL.hex()
    assert registrar.accountOf(clinic) == NOBODY


@pytest.mark.spec("R16", "R17")
def test_party_whose_last_account_is_another_party_now_stays_removed(
    registrar, admin, accredit, clinic_acts_by_fresh_account, clinic, fresh_account
):
    registrar.remove(clinic, {"from": admin})
    accredit(fresh_account, PAYER)

    with reverts("PartyUnknown", clinic.address):
        registrar.remove(clinic, {"from": admin})
