"""setBreakGlassLimits and breakGlassLimits."""

from __future__ import annotations

import pytest

from tests.support.reverts import reverts


@pytest.mark.spec("B19")
def test_limits_until_others_are_set(consent_registry):
    assert tuple(consent_registry.breakGlassLimits()) == (10, 1440)


@pytest.mark.spec("B19")
@pytest.mark.parametrize("limits", [(1, 1), (65535, 1440)])
def test_limits_are_set_and_announced(consent_registry, admin, limits):
    tx = consent_registry.setBreakGlassLimits(*limits, {"from": admin})

    assert tuple(consent_registry.breakGlassLimits()) == limits
    assert len(tx.events) == 1
    assert dict(tx.events["BreakGlassLimitsSet"]) == {"perDay": limits[0], "longest": limits[1]}


@pytest.mark.spec("B19")
@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (0, 0), (1, 1441), (1, 65535)])
def test_limits_out_of_range_revert(consent_registry, admin, limits):
    with reverts("LimitsOutOfRange", *limits):
        consent_registry.setBreakGlassLimits(*limits, {"from": admin})


@pytest.mark.spec("B19")
def test_anyone_else_reverts(consent_registry, parties, emergency_department, clinic, patient, stranger):
    for sender in (emergency_department, clinic, patient, stranger):
        with reverts("AccessManagedUnauthorized", sender.address):
            consent_registry.setBreakGlassLimits(5, 60, {"from": sender})


@pytest.mark.spec("B19")
def test_role_that_the_authority_names_sets_them(consent_registry, authority, admin, stranger):
    selector = consent_registry.setBreakGlassLimits.signature
    authority.setTargetFunctionRole(consent_registry, [selector], 8, {"from": admin})
    authority.grantRole(8, stranger, 0, {"from": admin})

    consent_registry.setBreakGlassLimits(5, 60, {"from": stranger})

    assert tuple(consent_registry.breakGlassLimits()) == (5, 60)


@pytest.mark.spec("B19")
def test_openings_made_before_stay_as_they_are(
    consent_registry, parties, break_glass, emergency, admin, patient, emergency_department
):
    break_glass(minutes=240)
    before = tuple(consent_registry.openingOf(patient, 1))

    consent_registry.setBreakGlassLimits(1, 1, {"from": admin})

    assert tuple(consent_registry.openingOf(patient, 1)) == before
    assert consent_registry.openingInForce(patient, emergency_department) == 1
