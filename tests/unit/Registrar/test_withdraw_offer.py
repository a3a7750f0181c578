from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts


@pytest.fixture
def fresh_account_is_offered(registrar, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})


@pytest.mark.spec("R30")
def test_withdrawal_is_stored_and_announced(registrar, fresh_account_is_offered, clinic):
    tx = registrar.withdrawOffer({"from": clinic})

    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    assert len(tx.events) == 1
    assert dict(tx.events["AccountChangeCancelled"]) == {"party": clinic}


@pytest.mark.spec("R30")
def test_offer_withdrawn_is_not_taken(registrar, fresh_account_is_offered, clinic, fresh_account):
    registrar.withdrawOffer({"from": clinic})

    with reverts("AccountChangeUnknown", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R30")
def test_no_offer_reverts(registrar, clinic_is_party, clinic):
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.withdrawOffer({"from": clinic})


@pytest.mark.spec("R30")
def test_account_that_was_offered_reverts(registrar, fresh_account_is_offered, fresh_account):
    with reverts("PartyInactive", fresh_account.address):
        registrar.withdrawOffer({"from": fresh_account})


@pytest.mark.spec("R30")
def test_stranger_reverts(registrar, fresh_account_is_offered, stranger):
    with reverts("PartyInactive", stranger.address):
        registrar.withdrawOffer({"from": stranger})


@pytest.mark.spec("R30")
def test_suspended_party_reverts(registrar, fresh_account_is_offered, admin, clinic):
    registrar.suspend(clinic, {"from": admin})

    with reverts("PartyInactive", clinic.address):
        registrar.withdrawOffer({"from": clinic})


@pytest.mark.spec("R39")
def test_recovery_reverts(registrar, clinic_is_party, admin, clinic, fresh_account):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})

    with reverts("AccountChangeUnknown", clinic.address):
        registrar.withdrawOffer({"from": clinic})
