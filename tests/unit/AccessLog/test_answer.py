"""What answers a complaint: the entry in the custodian's log as it was anchored last, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from medproof.merkle import MerkleLog, node_hash
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.AccessLog.conftest import ENTRIES


@pytest.fixture
def refused(desk):
    """Assert that an answer is refused because its proof does not show the entry."""

    def check(entry=ENTRIES[0], index=0, **options):
        with reverts("EntryNotIncluded", desk.complaint_id(entry), index):
            desk.answer(entry, index, dry=True, **options)

    return check


@pytest.mark.spec("L13", "L18")
def test_answer_is_kept_and_announced(access_log, desk, complained, clinic, form):
    desk.publish(5)

    tx = desk.answer(size=5)

    assert desk.complaint() == (complained.timestamp, tx.timestamp)
    assert access_log.openComplaints(clinic) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["ComplaintAnswered"]) == {
        "custodian": clinic,
        "log": 1,
        "entry": "0x" + ENTRIES[0].hex(),
        "index": 0,
    }


@pytest.mark.spec("L13")
def test_anyone_answers(desk, complained, stranger, reader, promiser, relayer):
    desk.publish(5)

    for by in (stranger, reader, promiser, relayer):
        desk.answer(size=5, by=by, dry=True)


@pytest.mark.spec("L13")
def test_promise_that_was_kept_is_answered_with_what_was_anchored_before(access_log, desk, opened, clinic):
    desk.publish(30)
    desk.pass_due()
    desk.complain(ENTRIES[17])

    assert desk.answer(ENTRIES[17], 17, size=30).events["ComplaintAnswered"]["index"] == 17
    assert access_log.openComplaints(clinic) == 0


@pytest.mark.spec("L13", "L16")
def test_entry_that_was_left_out_is_appended_and_answers(access_log, desk, overdue, clinic, refused):
    late = b"\x66" * 32  # such as a promise by a thief of the signer's key
    desk.complain(late)
    desk.publish(30)
    refused(late, 29)
    mended = MerkleLog([*ENTRIES, late])
    desk.publish(31, mended)

    desk.answer(late, 30, proof=list(mended.inclusion_proof(30)))
    assert access_log.openComplaints(clinic) == 0


@pytest.mark.spec("L14")
def test_empty_log_answers_nothing(desk, complained, refused):
    for proof in ([], [bytes(32)], [ENTRIES[0]]):
        refused(proof=proof)


@pytest.mark.spec("L14")
def test_proof_for_an_older_size_answers_nothing(desk, complained, refused):
    desk.publish(5)
    desk.answer(size=5, dry=True)
    desk.publish(13)

    refused(size=5)
    refused(size=12)
    refused(size=14)
    desk.answer(size=13)


@pytest.mark.spec("L14")
def test_wrong_index_answers_nothing(desk, complained, refused):
    desk.publish(13)
    proof = list(desk.log.inclusion_proof(0, 13))

    for index in (1, 2, 8, 12, 13, 16, 2**64 - 1):
        refused(index=index, proof=proof)
    refused(index=1, size=13)  # the second entry's own proof


@pytest.mark.spec("L14")
def test_altered_proof_answers_nothing(desk, complained, refused):
    desk.publish(13)
    proof = list(desk.log.inclusion_proof(0, 13))

    for place in range(len(proof)):
        refused(proof=[*proof[:place], b"\x66" * 32, *proof[place + 1 :]])
        refused(proof=[*proof[:place], *proof[place + 1 :]])
    for altered in ([], proof[::-1], [*proof, bytes(32)], [*proof, proof[-1]]):
        refused(proof=altered)


@pytest.mark.spec("L14")
def test_entry_of_another_leaf_answers_nothing(desk, overdue, refused):
    desk.publish(13)
    inner = node_hash(*(MerkleLog([entry]).root() for entry in ENTRIES[:2]))
    for entry in (ENTRIES[20], inner, desk.log.root(13)):  # not in it yet, a node of the tree, its root
        desk.complain(entry)
        refused(entry, 0, size=13)
        refused(entry, 0, proof=[])
        refused(entry, 0, proof=list(desk.log.inclusion_proof(0, 13))[1:])


@pytest.mark.spec("L14")
def test_another_log_answers_nothing(desk, complained, second_clinic, refused):
    second_log = dataclasses.replace(desk, number=2)
    other_clinic = dataclasses.replace(desk, custodian=second_clinic)
    for other in (second_log, other_clinic):
        other.publish(5)
        refused(size=5)
        with reverts("ComplaintUnknown", other.complaint_id()):
            other.answer(size=5, dry=True)
    desk.publish(1, MerkleLog(ENTRIES[1:2]))
    refused(size=5)
    refused(proof=[])


@pytest.mark.spec("L15")
def test_complaint_that_nobody_filed_is_not_answered(desk, complained, clinic, stranger):
    desk.publish(5)
    for other, entry in (
        (desk, ENTRIES[1]),
        (dataclasses.replace(desk, number=2), ENTRIES[0]),
        (dataclasses.replace(desk, custodian=stranger), ENTRIES[0]),
    ):
        with reverts("ComplaintUnknown", other.complaint_id(entry)):
            other.answer(entry, ENTRIES.index(entry), size=5, by=clinic, dry=True)


@pytest.mark.spec("L15")
def test_complaint_is_answered_once(access_log, desk, complained, clinic, stranger):
    desk.complain(ENTRIES[1])
    desk.publish(5)
    first = desk.answer(size=5)

    for by in (clinic, stranger):
        with reverts("ComplaintAnsweredAlready", desk.complaint_id()):
            desk.answer(size=5, by=by)
    assert desk.complaint() == (complained.timestamp, first.timestamp)
    assert access_log.openComplaints(clinic) == 1


@pytest.mark.spec("L15")
def test_answer_stands_whatever_is_anchored_later(access_log, desk, complained, clinic):
    """A custodian may anchor a history that it rewrote: both roots stay, and no proof leads from one to the other."""
    desk.publish(5)
    answered = desk.answer(size=5)
    desk.publish(6, MerkleLog(ENTRIES[1:7]))

    assert desk.complaint() == (complained.timestamp, answered.timestamp)
    assert access_log.openComplaints(clinic) == 0


@pytest.mark.spec("L11", "L13")
def test_log_that_holds_the_entry_answers_for_whoever_left_it(access_log, desk, opened, clinic, stranger, fallen):
    desk.publish(5)
    account = fallen()
    desk.pass_due()
    desk.complain()
    if account is not None:
        desk.publish(6, by=account)

    desk.answer(size=5 if account is None else 6, by=stranger)
    assert access_log.openComplaints(clinic) == 0


@pytest.mark.spec("L14", "L16")
def test_custodian_who_may_not_anchor_leaves_a_complaint_open(access_log, desk, complained, clinic, registrar, admin):
    registrar.suspend(clinic, {"from": admin})
    with reverts("PublisherNotYours", clinic.address, clinic.address):
        desk.publish(5)
    assert access_log.openComplaints(clinic) == 1
    registrar.reinstate(clinic, {"from": admin})

    desk.publish(5)
    desk.answer(size=5)
    assert access_log.openComplaints(clinic) == 0


@pytest.mark.spec("L6", "L13")
def test_open_complaints_are_counted_over_all_logs(access_log, desk, overdue, clinic):
    second_log = dataclasses.replace(desk, number=2)
    second_log.open()
    counts = []
    for step in (
        lambda: desk.complain(ENTRIES[0]),
        lambda: second_log.complain(ENTRIES[0]),
        lambda: desk.complain(ENTRIES[1]),
        lambda: second_log.publish(4),
        lambda: second_log.answer(ENTRIES[0], 0, size=4),
        lambda: desk.publish(4),
        lambda: desk.answer(ENTRIES[1], 1, size=4),
        lambda: desk.answer(ENTRIES[0], 0, size=4),
    ):
        step()
        counts.append(access_log.openComplaints(clinic))

    assert counts == [1, 2, 3, 3, 2, 2, 1, 0]
    assert access_log.openComplaints(NOBODY) == 0


@pytest.mark.spec("L18")
def test_complaint_and_its_answer_in_one_transaction(access_log, desk, overdue, clinic, reader):
    desk.publish(5)
    proof = list(desk.log.inclusion_proof(0, 5))
    calls = [
        access_log.complain.encode_input(clinic, 1, ENTRIES[0], desk.due, desk.promise()),
        access_log.answer.encode_input(clinic, 1, ENTRIES[0], 0, proof),
    ]

    tx = access_log.relay(calls, 0, {"from": reader})

    assert [event.name for event in tx.events] == ["ComplaintFiled", "ComplaintAnswered"]
    assert desk.complaint() == (tx.timestamp, tx.timestamp)
    assert access_log.openComplaints(clinic) == 0
