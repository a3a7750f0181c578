from __future__ import annotations

import pytest

from tests.support.fixtures import PROVIDER
from tests.support.reverts import reverts

EVERYONE, EMERGENCY = 1, 2


@pytest.mark.spec("R20")
def test_membership_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, far_day):
    tx = registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, EMERGENCY)
    assert len(tx.events) == 1
    assert dict(tx.events["GroupJoined"]) == {"group": EMERGENCY, "party": clinic}


@pytest.mark.spec("R20", "R25")
def test_four_groups_are_held_the_latest_first(registrar, admin, clinic_is_party, clinic, groups):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})

    a, b, c, d = groups
    assert registrar.partyOf(clinic)["groups"] == d | c << 16 | b << 32 | a << 48
    assert registrar.partyOf(clinic)["suspended"] is False
    assert registrar.standingOf(clinic) != 0


@pytest.mark.spec("R20", "R34")
def test_party_that_acts_by_another_account_joins_by_its_identity(
    registrar, admin, clinic_acts_by_fresh_account, clinic, fresh_account
):
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    assert registrar.partyOf(fresh_account)["groups"] == EMERGENCY


@pytest.mark.spec("R22")
@pytest.mark.parametrize("group", [0, EVERYONE, 3, 65535])
def test_group_unknown_reverts(registrar, admin, clinic_is_party, clinic, group):
    with reverts("GroupUnknown", group):
        registrar.joinGroup(group, clinic, {"from": admin})


@pytest.mark.spec("R23")
@pytest.mark.parametrize("place", range(4))
def test_group_joined_already_reverts(registrar, admin, clinic_is_party, clinic, groups, place):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})

    with reverts("GroupAlreadyJoined", clinic.address, groups[place]):
        registrar.joinGroup(groups[place], clinic, {"from": admin})


@pytest.mark.spec("R25")
def test_fifth_group_reverts(registrar, admin, clinic_is_party, clinic, groups):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})

    with reverts("GroupPlacesFull", clinic.address):
        registrar.joinGroup(EMERGENCY, clinic, {"from": admin})


@pytest.mark.spec("R26")
def test_suspended_party_joins_without_standing(registrar, admin, clinic_is_suspended, clinic):
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    assert registrar.partyOf(clinic)["groups"] == EMERGENCY
    assert registrar.standingOf(clinic) == 0
