from __future__ import annotations

import pytest

from tests.support.fixtures import AUTHORITY, PROVIDER
from tests.support.reverts import reverts

KEY, OTHER = b"\x55" * 32, b"\x56" * 32
ZERO = "0x" + "00" * 32


@pytest.fixture
def published(clinic_is_party, registrar, clinic):
    """The clinic has published KEY."""
    return registrar.publishEncryptionKey(KEY, {"from": clinic})


@pytest.mark.spec("R47")
@pytest.mark.parametrize("kind", range(PROVIDER, AUTHORITY + 1))
def test_key_of_a_party_of_any_kind_is_stored_and_announced(registrar, accredit, clinic, kind):
    accredit(clinic, kind)

    tx = registrar.publishEncryptionKey(KEY, {"from": clinic})

    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()
    assert len(tx.events) == 1
    assert dict(tx.events["EncryptionKeyPublished"]) == {"party": clinic, "key": "0x" + KEY.hex()}


@pytest.mark.spec("R47")
@pytest.mark.parametrize("key", [KEY, OTHER, b"\0" * 32], ids=["the same", "another", "none"])
def test_later_key_replaces_the_earlier_one(registrar, published, clinic, key):
    """None withdraws it. The same key may be said again: what encrypts to it goes by the latest event."""
    tx = registrar.publishEncryptionKey(key, {"from": clinic})

    assert registrar.encryptionKeyOf(clinic) == "0x" + key.hex()
    assert dict(tx.events["EncryptionKeyPublished"]) == {"party": clinic, "key": "0x" + key.hex()}


@pytest.mark.spec("R47")
def test_party_publishes_for_itself(registrar, published, accredit, clinic, second_clinic):
    accredit(second_clinic, PROVIDER)

    registrar.publishEncryptionKey(OTHER, {"from": second_clinic})

    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()
    assert registrar.encryptionKeyOf(second_clinic) == "0x" + OTHER.hex()


@pytest.mark.spec("R47")
@pytest.mark.parametrize("who", ["stranger", "admin", "patient"])
def test_account_that_acts_for_no_party_reverts(request, registrar, clinic_is_party, who):
    account = request.getfixturevalue(who)

    with reverts("PartyInactive", account.address):
        registrar.publishEncryptionKey(KEY, {"from": account})


@pytest.mark.spec("R47")
@pytest.mark.parametrize("standing", ["clinic_is_suspended", "clinic_has_lapsed", "clinic_was_removed"])
def test_party_without_standing_reverts(request, registrar, clinic, standing):
    request.getfixturevalue(standing)

    for key in (KEY, b"\0" * 32):
        with reverts("PartyInactive", clinic.address):
            registrar.publishEncryptionKey(key, {"from": clinic})
    assert registrar.encryptionKeyOf(clinic) == ZERO


@pytest.mark.spec("R48")
def test_key_belongs_to_the_identity(registrar, published, rotate, clinic, fresh_account):
    tx = rotate(clinic, clinic, fresh_account)

    assert "EncryptionKeyPublished" not in tx.events
    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()
    assert registrar.encryptionKeyOf(fresh_account) == ZERO
    with reverts("PartyInactive", clinic.address):
        registrar.publishEncryptionKey(OTHER, {"from": clinic})
    tx = registrar.publishEncryptionKey(OTHER, {"from": fresh_account})
    assert tx.events["EncryptionKeyPublished"]["party"] == clinic
    assert registrar.encryptionKeyOf(clinic) == "0x" + OTHER.hex()


@pytest.mark.spec("R48")
def test_key_outlasts_the_standing(registrar, published, admin, clinic, chain, far_day):
    """Whoever encrypts to a party asks whether it is active as well."""
    registrar.suspend(clinic, {"from": admin})
    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()

    registrar.reinstate(clinic, {"from": admin})
    chain.mine(timestamp=(far_day + 1) * 24 * 60 * 60)
    assert registrar.standingOf(clinic) == 0
    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()


@pytest.mark.spec("R48")
def test_recovery_called_off_leaves_it(registrar, published, admin, clinic, fresh_account):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})
    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()
    registrar.cancelRecovery(clinic, {"from": admin})

    assert registrar.encryptionKeyOf(clinic) == "0x" + KEY.hex()


@pytest.mark.spec("R49")
@pytest.mark.parametrize("suspended", [False, True])
def test_recovery_withdraws_it(registrar, published, admin, clinic, fresh_account, stranger, rotate, chain, suspended):
    """Also what a thief published who has rotated the account, and while the party is suspended."""
    rotate(clinic, clinic, stranger)
    registrar.publishEncryptionKey(OTHER, {"from": stranger})
    registrar.startRecovery(clinic, fresh_account, {"from": admin})
    if suspended:
        registrar.suspend(clinic, {"from": admin})
    chain.sleep(registrar.RECOVERY_DELAY())

    tx = registrar.takeAccount(clinic, {"from": fresh_account})

    assert [event.name for event in tx.events] == ["AccountChanged", "EncryptionKeyPublished"]
    assert dict(tx.events["EncryptionKeyPublished"]) == {"party": clinic, "key": ZERO}
    assert registrar.encryptionKeyOf(clinic) == ZERO


@pytest.mark.spec("R49")
def test_recovered_party_publishes_anew(registrar, published, admin, clinic, fresh_account, chain):
    registrar.startRecovery(clinic, fresh_account, {"from": admin})
    chain.sleep(registrar.RECOVERY_DELAY())
    registrar.takeAccount(clinic, {"from": fresh_account})

    registrar.publishEncryptionKey(OTHER, {"from": fresh_account})

    assert registrar.encryptionKeyOf(clinic) == "0x" + OTHER.hex()


@pytest.mark.spec("R15")
def test_removal_deletes_it(registrar, published, admin, accredit, clinic):
    """No event says so but `PartyRemoved`: nothing of a removed party is left."""
    tx = registrar.remove(clinic, {"from": admin})

    assert registrar.encryptionKeyOf(clinic) == ZERO
    assert [event.name for event in tx.events] == ["PartyRemoved"]


@pytest.mark.spec("R17", "R47")
def test_last_account_of_a_removed_party_publishes_for_its_own(
    registrar, published, admin, accredit, rotate, clinic, fresh_account
):
    rotate(clinic, clinic, fresh_account)
    registrar.remove(clinic, {"from": admin})
    accredit(fresh_account, PROVIDER)

    registrar.publishEncryptionKey(OTHER, {"from": fresh_account})

    assert registrar.encryptionKeyOf(clinic) == ZERO
    assert registrar.encryptionKeyOf(fresh_account) == "0x" + OTHER.hex()
