from __future__ import annotations

import pytest

from tests.support.fixtures import DAY, PROVIDER, SALTED
from tests.support.reverts import reverts


@pytest.fixture
def renew(registrar, admin, clinic, far_day):
    """Renew the clinic, changed as the keywords say."""

    def send(*, party=clinic, credential=SALTED, valid_until=far_day + 365):
        return registrar.renew(party, credential, valid_until, {"from": admin})

    return send


@pytest.mark.spec("R10")
def test_renewal_is_stored_and_announced(registrar, admin, clinic_is_party, renew, clinic, groups, far_day):
    registrar.joinGroup(groups[0], clinic, {"from": admin})

    tx = renew()

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day + 365, groups[0])
    assert registrar.credentialOf(clinic) == "0x" + SALTED.hex()
    assert len(tx.events) == 1
    assert dict(tx.events["PartyRenewed"]) == {
        "party": clinic,
        "credential": "0x" + SALTED.hex(),
        "validUntil": far_day + 365,
    }


@pytest.mark.spec("R10")
def test_lapsed_party_is_active_again(registrar, clinic_has_lapsed, renew, clinic):
    assert registrar.standingOf(clinic) == 0

    renew()

    assert registrar.standingOf(clinic) != 0


@pytest.mark.spec("R10")
def test_validity_may_be_shortened(registrar, clinic_is_party, renew, clinic, today, advance_to):
    renew(valid_until=today)

    advance_to((today + 1) * DAY)
    assert registrar.standingOf(clinic) == 0


@pytest.mark.spec("R10", "R34")
def test_party_that_acts_by_another_account_is_renewed_by_its_identity(
    registrar, clinic_acts_by_fresh_account, renew, clinic, fresh_account, far_day
):
    renew()

    assert registrar.partyOf(fresh_account) == (clinic, PROVIDER, False, far_day + 365, 0)
    assert registrar.credentialOf(clinic) == "0x" + SALTED.hex()


@pytest.mark.spec("R13")
def test_suspended_party_stays_suspended(registrar, clinic_is_suspended, renew, clinic):
    renew()

    assert registrar.partyOf(clinic)["suspended"] is True
    assert registrar.standingOf(clinic) == 0


@pytest.mark.spec("R8")
def test_credential_missing_reverts(clinic_is_party, renew):
    with reverts("CredentialMissing"):
        renew(credential=b"\0" * 32)


@pytest.mark.spec("R9")
def test_validity_that_ended_yesterday_reverts(clinic_is_party, renew, today):
    with reverts("ValidityPast", today - 1, today):
        renew(valid_until=today - 1)


@pytest.mark.spec("R9")
def test_validity_up_to_the_last_day_of_16_bits_is_renewed(registrar, clinic_is_party, renew, clinic, far_day):
    renew(valid_until=65535)

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, 65535, 0)
    assert registrar.standingOf(clinic) != 0
