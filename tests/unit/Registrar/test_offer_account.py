from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, PAYER, PROVIDER
from tests.support.reverts import reverts


@pytest.mark.spec("R27")
def test_offer_is_stored_and_announced(registrar, clinic_is_party, clinic, fresh_account, far_day):
    tx = registrar.offerAccount(fresh_account, {"from": clinic})

    assert registrar.accountChangeOf(clinic) == (fresh_account, tx.timestamp, False)
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, 0)
    assert registrar.standingOf(fresh_account) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["AccountOffered"]) == {"party": clinic, "to": fresh_account}


@pytest.mark.spec("R27", "R34")
def test_account_that_acts_now_offers_in_the_name_of_the_identity(
    registrar, clinic_acts_by_fresh_account, clinic, fresh_account, relayer
):
    tx = registrar.offerAccount(relayer, {"from": fresh_account})

    assert registrar.accountChangeOf(clinic)["to"] == relayer
    assert dict(tx.events["AccountOffered"]) == {"party": clinic, "to": relayer}


@pytest.mark.spec("R29")
def test_later_offer_replaces_the_earlier(registrar, clinic_is_party, clinic, fresh_account, relayer):
    registrar.offerAccount(relayer, {"from": clinic})

    registrar.offerAccount(fresh_account, {"from": clinic})

    assert registrar.accountChangeOf(clinic)["to"] == fresh_account
    with reverts("AccountChangeNotYours", clinic.address, fresh_account.address):
        registrar.takeAccount(clinic, {"from": relayer})


@pytest.mark.spec("R27")
def test_stranger_reverts(registrar, stranger, fresh_account):
    with reverts("PartyInactive", stranger.address):
        registrar.offerAccount(fresh_account, {"from": stranger})


@pytest.mark.spec("R27")
def test_suspended_party_reverts(registrar, clinic_is_suspended, clinic, fresh_account):
    with reverts("PartyInactive", clinic.address):
        registrar.offerAccount(fresh_account, {"from": clinic})


@pytest.mark.spec("R27")
def test_lapsed_party_reverts(registrar, clinic_has_lapsed, clinic, fresh_account):
    with reverts("PartyInactive", clinic.address):
        registrar.offerAccount(fresh_account, {"from": clinic})


@pytest.mark.spec("R15", "R27")
def test_removed_party_reverts(registrar, clinic_was_removed, clinic, fresh_account):
    with reverts("PartyInactive", clinic.address):
        registrar.offerAccount(fresh_account, {"from": clinic})


@pytest.mark.spec("R27", "R33")
def test_former_account_reverts(registrar, clinic_acts_by_fresh_account, clinic, relayer):
    with reverts("PartyInactive", clinic.address):
        registrar.offerAccount(relayer, {"from": clinic})


@pytest.mark.spec("R39")
def test_recovery_under_way_reverts(registrar, admin, clinic_is_party, clinic, fresh_account, relayer):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})

    with reverts("RecoveryUnderWay", clinic.address):
        registrar.offerAccount(relayer, {"from": clinic})


@pytest.mark.spec("R5", "R28")
@pytest.mark.parametrize("account", [NOBODY, "0x" + "00" * 18 + "ffff"])
def test_reserved_account_reverts(registrar, clinic_is_party, clinic, account):
    with reverts("AccountReserved", account):
        registrar.offerAccount(account, {"from": clinic})


@pytest.mark.spec("R28")
def test_own_account_reverts(registrar, clinic_is_party, clinic):
    with reverts("AccountInUse", clinic.address):
        registrar.offerAccount(clinic, {"from": clinic})


@pytest.mark.spec("R28")
def test_account_of_another_party_reverts(registrar, clinic_is_party, accredit, clinic, payer):
    accredit(payer, PAYER)

    with reverts("AccountInUse", payer.address):
        registrar.offerAccount(payer, {"from": clinic})


@pytest.mark.spec("R28")
def test_identity_of_a_removed_party_reverts(registrar, clinic_is_party, accredit, admin, clinic, payer):
    accredit(payer, PAYER)
    registrar.remove(payer, {"from": admin})

    with reverts("AccountInUse", payer.address):
        registrar.offerAccount(payer, {"from": clinic})


@pytest.mark.spec("R36")
def test_own_identity_reverts(registrar, clinic_acts_by_fresh_account, clinic, fresh_account):
    with reverts("AccountInUse", clinic.address):
        registrar.offerAccount(clinic, {"from": fresh_account})
