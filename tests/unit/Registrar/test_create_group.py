from __future__ import annotations

import pytest
from brownie import web3

from tests.support.reverts import reverts

GROUP_COUNT_SLOT = 5  # as in the committed storage layout
LARGEST = 65535


@pytest.mark.spec("R18")
def test_group_is_numbered_and_announced(registrar, admin):
    tx = registrar.createGroup("cardiology", {"from": admin})

    assert tx.return_value == 3
    assert registrar.groupCount() == 3
    assert len(tx.events) == 1
    assert dict(tx.events["GroupCreated"]) == {"group": 3, "name": "cardiology"}


@pytest.mark.spec("R18")
def test_numbers_follow_one_another(registrar, admin):
    numbers = [registrar.createGroup("same name", {"from": admin}).return_value for _ in range(3)]

    assert numbers == [3, 4, 5]


@pytest.fixture
def groups_created(registrar):
    """Write the number of groups into the contract's storage: 65,533 transactions would take an hour."""

    def write(count):
        slot, value = (f"0x{number:064x}" for number in (GROUP_COUNT_SLOT, count))
        answer = web3.provider.make_request("evm_setAccountStorageAt", [registrar.address, slot, value])
        assert answer.get("result") is True
        assert registrar.groupCount() == count

    yield write
    write(2)


@pytest.mark.spec("R19")
def test_last_number_is_given_and_joined(registrar, admin, groups_created, clinic_is_party, clinic):
    groups_created(LARGEST - 1)

    assert registrar.createGroup("the last", {"from": admin}).return_value == LARGEST
    registrar.joinGroup(LARGEST, clinic, {"from": admin})
    assert registrar.partyOf(clinic)["groups"] == LARGEST


@pytest.mark.spec("R19")
def test_groups_exhausted_reverts(registrar, admin, groups_created):
    groups_created(LARGEST)

    with reverts("GroupsExhausted"):
        registrar.createGroup("one too many", {"from": admin})
