from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts


@pytest.fixture
def recovery_is_under_way(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})


@pytest.mark.spec("R41")
def test_cancellation_is_stored_and_announced(registrar, admin, recovery_is_under_way, clinic):
    tx = registrar.cancelRecovery(clinic, {"from": admin})

    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    assert len(tx.events) == 1
    assert dict(tx.events["AccountChangeCancelled"]) == {"party": clinic}


@pytest.mark.spec("R41")
def test_recovery_called_off_is_not_taken(registrar, admin, chain, recovery_is_under_way, clinic, fresh_account):
    registrar.cancelRecovery(clinic, {"from": admin})
    chain.sleep(registrar.RECOVERY_DELAY())

    with reverts("AccountChangeUnknown", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R41")
def test_party_may_offer_again(registrar, admin, recovery_is_under_way, clinic, relayer):
    registrar.cancelRecovery(clinic, {"from": admin})

    registrar.offerAccount(relayer, {"from": clinic})

    assert registrar.accountChangeOf(clinic)["to"] == relayer


@pytest.mark.spec("R41")
def test_no_recovery_reverts(registrar, admin, clinic_is_party, clinic):
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.cancelRecovery(clinic, {"from": admin})


@pytest.mark.spec("R41")
def test_offer_reverts(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})

    with reverts("AccountChangeUnknown", clinic.address):
        registrar.cancelRecovery(clinic, {"from": admin})
