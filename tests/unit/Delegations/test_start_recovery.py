from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from eth_abi import encode
from eth_utils import keccak

from medproof.client.delegations import Guardians
from tests.support.fixtures import DAY, NOBODY
from tests.support.reverts import reverts

LAST_ROUND = 2**48 - 1


@pytest.mark.spec("D26")
def test_recovery_is_stored_and_announced(delegations, guardians_named, start, patient, successor, guardian_accounts):
    tx = start(successor, 2)

    assert delegations.recoveryOf(patient) == (successor, tx.timestamp + 5 * DAY, 2)
    assert delegations.scopesOf(patient, successor) == 0
    assert len(tx.events) == 3
    assert dict(tx.events["RecoveryStarted"]) == {
        "subject": patient,
        "successor": successor,
        "readyAt": tx.timestamp + 5 * DAY,
        "round": 2,
    }
    assert [dict(event) for event in tx.events["RecoveryApproved"]] == [
        {"subject": patient, "guardian": guardian, "round": 2} for guardian in guardian_accounts[:2]
    ]


@pytest.mark.spec("D26", "D20")
def test_guardian_that_sends_needs_no_signature(
    delegations, guardians_named, guardians, approvals, patient, successor, guardian_accounts, deadline
):
    given = approvals(successor, 2)
    given[0] = (*given[0][:3], b"")
    arguments = (patient, successor, 2, deadline, guardians.shown, given)

    delegations.startRecovery.call(*arguments, {"from": guardian_accounts[0]})
    with reverts("SignatureInvalid", guardian_accounts[0].address):
        delegations.startRecovery.call(*arguments, {"from": guardian_accounts[1]})


@pytest.mark.spec("D27")
def test_other_guardians_than_those_named_revert(guardians_named, start, approvals, patient, successor, guardians):
    for shown in (
        Guardians(guardians.accounts[:2], 2, guardians.delay, guardians.salt),
        Guardians(guardians.accounts, 1, guardians.delay, guardians.salt),
        Guardians(guardians.accounts, 2, timedelta(days=3), guardians.salt),
        Guardians(guardians.accounts, 2, guardians.delay, bytes(32)),
    ):
        with reverts("GuardiansMismatch", patient.address, "0x" + shown.commitment.hex()):
            start(successor, 2, shown=shown, given=[], dry=True)


@dataclass
class Raw:
    """Guardians as the package would not name them."""

    shown: tuple[list[bytes], int, int]


@pytest.mark.spec("D28")
@pytest.mark.parametrize(
    ("count", "threshold", "delay"),
    [
        (0, 0, 3 * DAY),
        (3, 0, 3 * DAY),
        (3, 4, 3 * DAY),
        (17, 1, 3 * DAY),
        (3, 2, 3 * DAY - 1),
        (3, 2, 90 * DAY + 1),
        (3, 2, 2**256 - 1),
    ],
)
def test_guardians_out_of_range_revert(act, start, patient, successor, count, threshold, delay):
    shown = ([bytes(32)] * count, threshold, delay)
    commitment = keccak(encode(["(bytes32[],uint256,uint256)"], [shown]))
    act(patient, "nameGuardians", patient, patient, commitment, 1)

    with reverts("GuardiansOutOfRange", count, threshold, delay):
        start(successor, 2, given=[], shown=Raw(shown), dry=True)


@pytest.mark.spec("D29")
def test_approvals_of_too_few_different_guardians_revert(
    guardians_named, start, approvals, patient, successor, guardian_accounts, guardians, stranger
):
    first, second = approvals(successor, 2)
    with reverts("ApprovalsTooFew", 1, 2):
        start(successor, 2, given=[first], dry=True)
    for given in ([first, first], [second, first]):
        with reverts("ApprovalsUnordered", guardian_accounts[0].address):
            start(successor, 2, given=given, dry=True)
    with reverts("ApprovalsUnordered", NOBODY):
        start(successor, 2, given=[(0, NOBODY, bytes(32), b""), first], dry=True)
    for wrong in ((2, *second[1:]), (3, *second[1:]), (2**256 - 1, *second[1:]), (*second[:2], bytes(32), second[3])):
        with reverts("GuardianNotNamed", guardian_accounts[1].address):
            start(successor, 2, given=[first, wrong], dry=True)
    with reverts("SignatureInvalid", guardian_accounts[1].address):
        start(successor, 2, given=[first, (*second[:3], first[3])], dry=True)


@pytest.mark.spec("D30")
def test_impossible_successor_reverts(guardians_named, start, approvals, patient, guardian_accounts):
    for successor in (NOBODY, patient.address, guardian_accounts[1].address):
        with reverts("SuccessorNotPossible", successor):
            start(successor, 2, dry=True)
    start(guardian_accounts[2], 2, dry=True)  # who does not approve it


@pytest.mark.spec("D31")
def test_approvals_count_for_one_recovery(
    delegations,
    guardians_named,
    start,
    approvals,
    patient,
    successor,
    second_patient,
    stranger,
    guardian_accounts,
    chain,
    deadline,
):
    first = guardian_accounts[0].address
    for given in (
        approvals(stranger, 2),
        approvals(successor, 3),
        approvals(successor, 2, subject=second_patient),
    ):
        with reverts("SignatureInvalid", first):
            start(successor, 2, given=given, dry=True)
    for round_number in (1, 3, LAST_ROUND):
        with reverts("RoundStale", 1, round_number):
            start(successor, round_number, dry=True)
    given = approvals(successor, 2)
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        start(successor, 2, given=given, dry=True)


@pytest.mark.spec("D32")
def test_second_start_replaces_the_first_and_its_delay(
    delegations, recovery_started, start, patient, stranger, chain, successor
):
    chain.sleep(DAY)
    with reverts("RoundStale", 2, 2):
        start(successor, 2, dry=True)  # the same approvals do not put it off

    tx = start(stranger, 3)

    assert delegations.recoveryOf(patient) == (stranger, tx.timestamp + 5 * DAY, 3)
