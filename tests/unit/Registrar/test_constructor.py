from __future__ import annotations

import pytest

from tests.support.reverts import reverts


@pytest.mark.spec("R1")
def test_two_groups_are_created_and_announced(Registrar, authority, admin):  # noqa: N803 - Brownie's name
    registrar = Registrar.deploy(authority, {"from": admin})

    assert registrar.authority() == authority
    assert registrar.groupCount() == 2
    assert registrar.EVERYONE() == 1
    assert registrar.EMERGENCY() == 2
    assert registrar.RECOVERY_DELAY() == 3 * 24 * 60 * 60
    assert len(registrar.tx.events) == 3
    assert dict(registrar.tx.events["AuthorityUpdated"]) == {"authority": authority}
    assert [dict(event) for event in registrar.tx.events["GroupCreated"]] == [
        {"group": 1, "name": "everyone"},
        {"group": 2, "name": "emergency care"},
    ]


@pytest.mark.spec("R3")
def test_authority_is_replaced_by_nobody_but_itself(registrar, authority, admin):
    with reverts("AccessManagedUnauthorized", admin.address):
        registrar.setAuthority(authority, {"from": admin})
