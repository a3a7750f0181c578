from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, PROVIDER


@pytest.mark.spec("R45")
def test_account_that_acts_for_no_party_reads_empty(registrar, stranger):
    assert registrar.partyOf(stranger) == (NOBODY, 0, False, 0, 0)
    assert registrar.accountOf(stranger) == NOBODY
    assert registrar.credentialOf(stranger) == "0x" + "00" * 32
    assert registrar.encryptionKeyOf(stranger) == "0x" + "00" * 32
    assert registrar.accountChangeOf(stranger) == (NOBODY, 0, False)


@pytest.mark.spec("R45")
def test_zero_reads_empty(registrar):
    assert registrar.partyOf(NOBODY) == (NOBODY, 0, False, 0, 0)
    assert registrar.accountOf(NOBODY) == NOBODY


@pytest.mark.spec("R45")
def test_suspended_party_is_read_in_full(registrar, clinic_is_suspended, clinic, far_day):
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, True, far_day, 0)
    assert registrar.accountOf(clinic) == clinic


@pytest.mark.spec("R45")
def test_lapsed_party_is_read_in_full(registrar, clinic_has_lapsed, clinic, today):
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, today, 0)
    assert registrar.accountOf(clinic) == clinic
