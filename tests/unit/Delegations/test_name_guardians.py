from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

LAST_ROUND = 2**48 - 1


@pytest.mark.spec("D24", "D20")
def test_guardians_are_stored_and_announced(delegations, act, guardians, patient, form):
    tx = act(patient, "nameGuardians", patient, patient, guardians.commitment, 1, form=form)

    assert delegations.guardiansOf(patient) == "0x" + guardians.commitment.hex()
    assert delegations.recoveryOf(patient) == (NOBODY, 0, 1)
    assert len(tx.events) == 1
    assert dict(tx.events["GuardiansNamed"]) == {
        "subject": patient,
        "by": patient,
        "commitment": "0x" + guardians.commitment.hex(),
        "round": 1,
    }


@pytest.mark.spec("D24", "D25")
def test_other_guardians_end_a_recovery_and_what_was_approved(
    delegations, act, recovery_started, start, guardians, patient, successor
):
    act(patient, "nameGuardians", patient, patient, bytes(32), 9)

    assert delegations.recoveryOf(patient) == (NOBODY, 0, 9)
    assert delegations.guardiansOf(patient) == "0x" + "00" * 32
    with reverts("RoundStale", 9, 3):
        start(successor, 3, dry=True)
    with reverts("GuardiansMismatch", patient.address, "0x" + guardians.commitment.hex()):
        start(successor, 10, dry=True)


@pytest.mark.spec("D25")
@pytest.mark.parametrize("round_number", [0, 1, LAST_ROUND + 1])
def test_round_out_of_range_reverts(act, guardians_named, guardians, patient, round_number):
    with reverts("RoundStale", 1, round_number):
        act(patient, "nameGuardians", patient, patient, guardians.commitment, round_number, dry=True)


@pytest.mark.spec("D34")
def test_others_name_nobody(act, delegating_steward, guardians, patient, steward, stranger):
    for by in (steward, stranger):
        with reverts("NotTheSubject", patient.address, by.address):
            act(by, "nameGuardians", patient, by, guardians.commitment, 1, dry=True)
