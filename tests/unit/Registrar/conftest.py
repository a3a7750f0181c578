from __future__ import annotations

from contextlib import contextmanager

import pytest
from brownie.exceptions import VirtualMachineError

from tests.support.fixtures import DAY, PROVIDER


@pytest.fixture
def today(chain):
    """Noon of a day, so that no test runs across midnight."""
    day = chain.time() // DAY + 1
    chain.mine(timestamp=day * DAY + DAY // 2)
    return day


@pytest.fixture
def advance_to(chain):
    """Mine a block at this second; views and calls then answer as of it, to the second."""

    def advance(second):
        chain.mine(timestamp=second)

    return advance


@pytest.fixture
def clinic_is_party(accredit, clinic):
    accredit(clinic, PROVIDER)


@pytest.fixture
def clinic_is_suspended(clinic_is_party, registrar, admin, clinic):
    registrar.suspend(clinic, {"from": admin})


@pytest.fixture
def clinic_has_lapsed(accredit, clinic, today, advance_to):
    accredit(clinic, PROVIDER, valid_until=today)
    advance_to((today + 1) * DAY)


@pytest.fixture
def clinic_was_removed(clinic_is_party, registrar, admin, clinic):
    registrar.remove(clinic, {"from": admin})


@pytest.fixture
def rotate(registrar):
    """Let the account that acts for a party hand over to another."""

    def rotated(party, old, new):
        registrar.offerAccount(new, {"from": old})
        return registrar.takeAccount(party, {"from": new})

    return rotated


@pytest.fixture
def clinic_acts_by_fresh_account(clinic_is_party, rotate, clinic, fresh_account):
    rotate(clinic, clinic, fresh_account)


@pytest.fixture
def groups(registrar, admin):
    """The numbers of four groups that anyone may be put into."""
    return [registrar.createGroup(name, {"from": admin}).return_value for name in ("A", "B", "C", "D")]


@pytest.fixture
def reverts_bare():
    """Assert that the block reverts without any error, as the ABI decoder does."""

    @contextmanager
    def bare():
        with pytest.raises(VirtualMachineError) as caught:
            yield
        assert not caught.value.revert_msg

    return bare
