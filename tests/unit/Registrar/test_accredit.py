from __future__ import annotations

import pytest

from tests.support.fixtures import (
    AUTHORITY,
    CREDENTIAL,
    DEVICE_MAKER,
    NOBODY,
    PAYER,
    PHARMACY,
    PROVIDER,
    RESEARCHER,
)
from tests.support.reverts import reverts

LAST_RESERVED = "0x" + "00" * 18 + "ffff"
FIRST_FREE = "0x" + "00" * 17 + "010000"


@pytest.fixture
def accredit_clinic(registrar, admin, clinic, far_day):
    """Accredit the clinic, changed as the keywords say."""

    def send(*, account=clinic, kind=PROVIDER, credential=CREDENTIAL, valid_until=far_day):
        return registrar.accredit(account, kind, credential, valid_until, {"from": admin})

    return send


@pytest.mark.spec("R4")
@pytest.mark.parametrize("kind", [PROVIDER, PAYER, PHARMACY, RESEARCHER, DEVICE_MAKER, AUTHORITY])
def test_party_is_stored_and_announced(registrar, accredit_clinic, clinic, far_day, kind):
    tx = accredit_clinic(kind=kind)

    assert registrar.partyOf(clinic) == (clinic, kind, False, far_day, 0)
    assert registrar.accountOf(clinic) == clinic
    assert registrar.credentialOf(clinic) == "0x" + CREDENTIAL.hex()
    assert registrar.accountChangeOf(clinic) == (NOBODY, 0, False)
    assert len(tx.events) == 1
    assert dict(tx.events["PartyAccredited"]) == {
        "party": clinic,
        "kind": kind,
        "credential": "0x" + CREDENTIAL.hex(),
        "validUntil": far_day,
    }


@pytest.mark.spec("R5")
@pytest.mark.parametrize("account", [NOBODY, "0x" + "00" * 19 + "02", LAST_RESERVED])
def test_account_in_the_range_of_groups_reverts(accredit_clinic, account):
    with reverts("AccountReserved", account):
        accredit_clinic(account=account)


@pytest.mark.spec("R5")
def test_first_account_above_the_range_of_groups_is_accredited(registrar, accredit_clinic):
    accredit_clinic(account=FIRST_FREE)

    assert registrar.partyOf(FIRST_FREE)["id"] == FIRST_FREE


@pytest.mark.spec("R6")
def test_party_accredited_again_reverts(accredit_clinic, clinic_is_party, clinic):
    with reverts("AccountInUse", clinic.address):
        accredit_clinic()


@pytest.mark.spec("R6")
def test_account_that_acts_for_another_party_reverts(accredit_clinic, clinic_acts_by_fresh_account, fresh_account):
    with reverts("AccountInUse", fresh_account.address):
        accredit_clinic(account=fresh_account)


@pytest.mark.spec("R6", "R35")
def test_identity_whose_party_acts_by_another_account_reverts(accredit_clinic, clinic_acts_by_fresh_account, clinic):
    with reverts("AccountInUse", clinic.address):
        accredit_clinic()


@pytest.mark.spec("R6", "R15")
def test_identity_of_a_removed_party_reverts(accredit_clinic, clinic_was_removed, clinic):
    with reverts("AccountInUse", clinic.address):
        accredit_clinic()


@pytest.mark.spec("R7")
def test_kind_missing_reverts(accredit_clinic):
    with reverts("KindMissing"):
        accredit_clinic(kind=0)


@pytest.mark.spec("R7")
@pytest.mark.parametrize("kind", [7, 255])
def test_kind_that_does_not_exist_reverts(accredit_clinic, reverts_bare, kind):
    with reverts_bare():  # the decoder's own refusal carries no error
        accredit_clinic(kind=kind)


@pytest.mark.spec("R8")
def test_credential_missing_reverts(accredit_clinic):
    with reverts("CredentialMissing"):
        accredit_clinic(credential=b"\0" * 32)


@pytest.mark.spec("R9")
def test_validity_that_ended_yesterday_reverts(accredit_clinic, today):
    with reverts("ValidityPast", today - 1, today):
        accredit_clinic(valid_until=today - 1)


@pytest.mark.spec("R9")
def test_validity_of_zero_reverts(accredit_clinic, today):
    with reverts("ValidityPast", 0, today):
        accredit_clinic(valid_until=0)


@pytest.mark.spec("R9")
def test_validity_that_ends_today_is_accredited(registrar, accredit_clinic, clinic, today):
    accredit_clinic(valid_until=today)

    assert registrar.standingOf(clinic) != 0


@pytest.mark.spec("R9")
def test_validity_up_to_the_last_day_of_16_bits_is_accredited(registrar, accredit_clinic, clinic):
    accredit_clinic(valid_until=65535)

    assert registrar.partyOf(clinic)["validUntil"] == 65535
