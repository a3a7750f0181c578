from __future__ import annotations

import pytest

from tests.support.fixtures import PROVIDER
from tests.support.reverts import reverts

EVERYONE, EMERGENCY = 1, 2


def packed(groups):
    return sum(group << 16 * place for place, group in enumerate(groups))


@pytest.mark.spec("R21")
def test_departure_is_stored_and_announced(registrar, admin, clinic_is_party, clinic, far_day):
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    tx = registrar.leaveGroup(EMERGENCY, clinic, {"from": admin})

    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, 0)
    assert len(tx.events) == 1
    assert dict(tx.events["GroupLeft"]) == {"group": EMERGENCY, "party": clinic}


@pytest.mark.spec("R21")
@pytest.mark.parametrize("place", range(4))
def test_no_gap_stays(registrar, admin, clinic_is_party, clinic, groups, place, far_day):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})

    registrar.leaveGroup(groups[place], clinic, {"from": admin})

    kept = [group for group in reversed(groups) if group != groups[place]]
    assert registrar.partyOf(clinic) == (clinic, PROVIDER, False, far_day, packed(kept))


@pytest.mark.spec("R21", "R25")
def test_place_that_is_left_is_free_again(registrar, admin, clinic_is_party, clinic, groups):
    for group in groups:
        registrar.joinGroup(group, clinic, {"from": admin})
    registrar.leaveGroup(groups[1], clinic, {"from": admin})

    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})

    a, _, c, d = groups
    assert registrar.partyOf(clinic)["groups"] == packed([EMERGENCY, d, c, a])


@pytest.mark.spec("R22")
@pytest.mark.parametrize("group", [0, EVERYONE, 3, 65535])
def test_group_unknown_reverts(registrar, admin, clinic_is_party, clinic, group):
    with reverts("GroupUnknown", group):
        registrar.leaveGroup(group, clinic, {"from": admin})


@pytest.mark.spec("R24")
def test_group_not_joined_reverts(registrar, admin, clinic_is_party, clinic, groups):
    registrar.joinGroup(groups[0], clinic, {"from": admin})

    with reverts("GroupNotJoined", clinic.address, groups[1]):
        registrar.leaveGroup(groups[1], clinic, {"from": admin})


@pytest.mark.spec("R24")
def test_group_left_already_reverts(registrar, admin, clinic_is_party, clinic):
    registrar.joinGroup(EMERGENCY, clinic, {"from": admin})
    registrar.leaveGroup(EMERGENCY, clinic, {"from": admin})

    with reverts("GroupNotJoined", clinic.address, EMERGENCY):
        registrar.leaveGroup(EMERGENCY, clinic, {"from": admin})
