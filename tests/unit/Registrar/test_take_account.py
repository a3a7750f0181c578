from __future__ import annotations

import pytest

from tests.support.fixtures import CREDENTIAL, NOBODY, PAYER, PROVIDER
from tests.support.reverts import reverts

EMPTY = (NOBODY, 0, False, 0, 0)
OFFER, RECOVERY = "offer", "recovery"


@pytest.fixture
def name_account(registrar, admin, chain):
    """Name the account that is to act for a party, by offer or by recovery, so that it may be taken now."""

    def named(way, party, to):
        if way == OFFER:
            registrar.offerAccount(to, {"from": registrar.accountOf(party)})
        else:
            registrar.startRecovery(party, to, {"from": admin})
            chain.sleep(registrar.RECOVERY_DELAY())

    return named


@pytest.mark.spec("R33", "R34", "R49")
@pytest.mark.parametrize("way", [OFFER, RECOVERY])
def test_change_is_stored_and_announced(
    registrar, admin, clinic_is_party, name_account, clinic, fresh_account, groups, far_day, way
):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})
    packed = registrar.partyOf(clinic)["groups"]
    standing = registrar.standingOf(clinic)
    name_account(way, clinic, fresh_account)

    tx = registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.partyOf(fresh_account) == (clinic, PROVIDER, False, far_day, packed)
    assert registrar.standingOf(fresh_account) == standing
    assert registrar.partyOf(clinic) == EMPTY
    assert registrar.standingOf(clinic) == 0
    assert registrar.accountOf(clinic) == fresh_account
    assert registrar.accountOf(fresh_account) == NOBODY
    assert registrar.credentialOf(clinic) == "0x" + CREDENTIAL.hex()
    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    announced = ["AccountChanged", *(["EncryptionKeyPublished"] if way == RECOVERY else [])]
    assert [event.name for event in tx.events] == announced
    assert dict(tx.events["AccountChanged"]) == {"party": clinic, "from": clinic, "to": fresh_account}


@pytest.mark.spec("R33")
def test_change_is_taken_once(registrar, clinic_acts_by_fresh_account, clinic, fresh_account):
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R32")
def test_no_change_under_way_reverts(registrar, clinic_is_party, clinic, fresh_account):
    with reverts("AccountChangeUnknown", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R32")
def test_party_that_never_was_reverts(registrar, stranger, fresh_account):
    with reverts("AccountChangeUnknown", stranger.address):
        registrar.takeAccount(stranger, {"from": fresh_account})


@pytest.mark.spec("R31")
@pytest.mark.parametrize("way", [OFFER, RECOVERY])
def test_stranger_reverts(registrar, clinic_is_party, name_account, clinic, fresh_account, stranger, way):
    name_account(way, clinic, fresh_account)

    with reverts("AccountChangeNotYours", clinic.address, fresh_account.address):
        registrar.takeAccount(clinic, {"from": stranger})


@pytest.mark.spec("R31")
@pytest.mark.parametrize("way", [OFFER, RECOVERY])
def test_present_account_reverts(registrar, clinic_is_party, name_account, clinic, fresh_account, way):
    name_account(way, clinic, fresh_account)

    with reverts("AccountChangeNotYours", clinic.address, fresh_account.address):
        registrar.takeAccount(clinic, {"from": clinic})


@pytest.mark.spec("R38")
def test_recovery_a_second_early_reverts(registrar, admin, clinic_is_party, clinic, fresh_account, advance_to):
    ready_at = registrar.startRecovery(clinic, fresh_account, {"from": admin}).timestamp + 3 * 24 * 60 * 60
    advance_to(ready_at - 1)

    with reverts("AccountChangeTooEarly", clinic.address, ready_at):
        registrar.takeAccount.call(clinic, {"from": fresh_account})


@pytest.mark.spec("R38")
def test_recovery_on_the_second_is_taken(registrar, admin, clinic_is_party, clinic, fresh_account, advance_to):
    ready_at = registrar.startRecovery(clinic, fresh_account, {"from": admin}).timestamp + 3 * 24 * 60 * 60
    advance_to(ready_at)

    registrar.takeAccount.call(clinic, {"from": fresh_account})  # as of exactly this second
    registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.accountOf(clinic) == fresh_account


@pytest.mark.spec("R33")
def test_offer_is_taken_at_once(registrar, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})

    registrar.takeAccount.call(clinic, {"from": fresh_account})  # as of the very block of the offer


@pytest.mark.spec("R35")
@pytest.mark.parametrize("way", [OFFER, RECOVERY])
def test_account_that_became_a_party_meanwhile_reverts(
    registrar, clinic_is_party, name_account, accredit, clinic, fresh_account, way
):
    name_account(way, clinic, fresh_account)
    accredit(fresh_account, PAYER)

    with reverts("AccountInUse", fresh_account.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R35")
@pytest.mark.parametrize("way", [OFFER, RECOVERY])
def test_account_that_took_another_place_meanwhile_reverts(
    registrar, clinic_is_party, name_account, accredit, clinic, payer, fresh_account, way
):
    accredit(payer, PAYER)
    name_account(way, clinic, fresh_account)
    registrar.offerAccount(fresh_account, {"from": payer})
    registrar.takeAccount(payer, {"from": fresh_account})

    with reverts("AccountInUse", fresh_account.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R42")
def test_offer_of_a_suspended_party_reverts(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.suspend(clinic, {"from": admin})

    with reverts("PartyInactive", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R42")
def test_offer_of_a_lapsed_party_reverts(registrar, accredit, clinic, fresh_account, today, advance_to):
    accredit(clinic, PROVIDER, valid_until=today)
    registrar.offerAccount(fresh_account, {"from": clinic})
    advance_to((today + 1) * 24 * 60 * 60)

    with reverts("PartyInactive", clinic.address):
        registrar.takeAccount(clinic, {"from": fresh_account})


@pytest.mark.spec("R42")
def test_offer_of_a_reinstated_party_is_taken(registrar, admin, clinic_is_party, clinic, fresh_account):
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.suspend(clinic, {"from": admin})
    registrar.reinstate(clinic, {"from": admin})

    registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.accountOf(clinic) == fresh_account


@pytest.mark.spec("R43")
def test_recovered_party_stays_suspended(registrar, clinic_is_suspended, name_account, clinic, fresh_account):
    name_account(RECOVERY, clinic, fresh_account)

    registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.partyOf(fresh_account)["suspended"] is True
    assert registrar.standingOf(fresh_account) == 0


@pytest.mark.spec("R43")
def test_lapsed_party_is_recovered(registrar, clinic_has_lapsed, name_account, clinic, fresh_account):
    name_account(RECOVERY, clinic, fresh_account)

    registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.accountOf(clinic) == fresh_account
    assert registrar.standingOf(fresh_account) == 0


@pytest.mark.spec("R40")
def test_thief_who_rotated_the_account_is_dispossessed(
    registrar, clinic_is_party, rotate, name_account, clinic, stranger, fresh_account
):
    rotate(clinic, clinic, stranger)
    name_account(RECOVERY, clinic, fresh_account)

    tx = registrar.takeAccount(clinic, {"from": fresh_account})

    assert registrar.standingOf(stranger) == 0
    assert registrar.partyOf(fresh_account)["id"] == clinic
    assert dict(tx.events["AccountChanged"]) == {"party": clinic, "from": stranger, "to": fresh_account}


@pytest.mark.spec("R36")
def test_account_in_between_is_free_again(
    registrar, accredit, clinic_acts_by_fresh_account, rotate, clinic, fresh_account, relayer, far_day
):
    rotate(clinic, fresh_account, relayer)

    accredit(fresh_account, PAYER)

    assert registrar.partyOf(fresh_account) == (fresh_account, PAYER, False, far_day, 0)
    assert registrar.partyOf(relayer)["id"] == clinic
