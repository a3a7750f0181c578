from __future__ import annotations

import pytest

from tests.support.fixtures import DAY, NOBODY, PAYER, PROVIDER

EMERGENCY = 2


@pytest.mark.spec("R44")
def test_word_holds_identity_kind_groups_and_last_day(
    registrar, admin, accredit, payer, rotate, fresh_account, far_day
):
    accredit(payer, PAYER)
    registrar.joinGroup(EMERGENCY, payer, {"from": admin})
    rotate(payer, payer, fresh_account)

    word = int(payer.address, 16) | PAYER << 160 | EMERGENCY << 168 | far_day << 232
    assert registrar.standingOf(fresh_account) == word


@pytest.mark.spec("R44")
@pytest.mark.parametrize("account", [NOBODY, "0x" + "00" * 19 + "01", "0x" + "ff" * 20])
def test_account_that_acts_for_no_party_has_none(registrar, account):
    assert registrar.standingOf(account) == 0


@pytest.mark.spec("R14")
def test_last_day_counts_to_its_last_second(registrar, accredit, clinic, today, advance_to):
    accredit(clinic, PROVIDER, valid_until=today + 1)

    advance_to((today + 2) * DAY - 1)

    assert registrar.standingOf(clinic) != 0


@pytest.mark.spec("R14", "R26")
def test_standing_ends_with_the_last_day_without_a_transaction(registrar, admin, accredit, clinic, today, advance_to):
    accredit(clinic, PROVIDER, valid_until=today + 1)
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    advance_to((today + 2) * DAY)

    assert registrar.standingOf(clinic) == 0
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, today + 1, EMERGENCY)


@pytest.mark.spec("R14")
def test_last_day_of_16_bits_counts_to_its_last_second(registrar, accredit, clinic, payer, advance_to):
    accredit(clinic, PROVIDER, valid_until=65535)
    accredit(payer, PAYER, valid_until=65534)

    advance_to(65536 * DAY - 1)

    assert registrar.standingOf(clinic) != 0
    assert registrar.standingOf(payer) == 0


@pytest.mark.spec("R26")
def test_suspended_member_of_a_group_has_none(registrar, admin, clinic_is_party, clinic):
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    registrar.suspend(clinic, {"from": admin})

    assert registrar.standingOf(clinic) == 0
