from __future__ import annotations

import pytest

from tests.support.fixtures import DAY, NOBODY, PAYER, PROVIDER
from tests.support.reverts import reverts

DELAY = 3 * DAY


@pytest.mark.spec("R37")
def test_recovery_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, fresh_account, far_day):
    tx = registrar.startRecovery(clinic, fresh_account, {"from": admin})

    assert registrar.accountChangeOf(clinic) == (fresh_account, tx.timestamp + DELAY, True)
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, 0)
    assert registrar.standingOf(fresh_account) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["RecoveryStarted"]) == {
        "party": clinic,
        "to": fresh_account,
        "readyAt": tx.timestamp + DELAY,
    }


@pytest.mark.spec("R39")
def test_offer_under_way_is_replaced(registrar, admin, clinic_is_party, clinic, fresh_account, stranger):
    registrar.offerAccount(stranger, {"from": clinic})  # by a thief

    registrar.startRecovery(clinic, fresh_account, {"from": admin})

    with reverts("AccountChangeNotYours", clinic.address, fresh_account.address):
        registrar.takeAccount(clinic, {"from": stranger})


@pytest.mark.spec("R40")
def test_recovery_started_again_runs_anew(
    registrar, admin, clinic_is_party, chain, clinic, fresh_account, stranger, advance_to
):
    first = registrar.startRecovery(clinic, stranger, {"from": admin})
    chain.sleep(DAY)

    tx = registrar.startRecovery(clinic, fresh_account, {"from": admin})

    assert registrar.accountChangeOf(clinic) == (fresh_account, tx.timestamp + DELAY, True)
    advance_to(first.timestamp + DELAY)
    with reverts("AccountChangeTooEarly", clinic.address, tx.timestamp + DELAY):
        registrar.takeAccount.call(clinic, {"from": fresh_account})


@pytest.mark.spec("R37")
@pytest.mark.parametrize("account", [NOBODY, "0x" + "00" * 18 + "ffff"])
def test_reserved_account_reverts(registrar, admin, clinic_is_party, clinic, account):
    with reverts("AccountReserved", account):
        registrar.startRecovery(clinic, account, {"from": admin})


@pytest.mark.spec("R37")
def test_account_of_another_party_reverts(registrar, admin, clinic_is_party, accredit, clinic, payer):
    accredit(payer, PAYER)

    with reverts("AccountInUse", payer.address):
        registrar.startRecovery(clinic, payer, {"from": admin})


@pytest.mark.spec("R37")
def test_present_account_reverts(registrar, admin, clinic_acts_by_fresh_account, clinic, fresh_account):
    with reverts("AccountInUse", fresh_account.address):
        registrar.startRecovery(clinic, fresh_account, {"from": admin})


@pytest.mark.spec("R36")
def test_own_identity_reverts(registrar, admin, clinic_acts_by_fresh_account, clinic):
    with reverts("AccountInUse", clinic.address):
        registrar.startRecovery(clinic, clinic, {"from": admin})
