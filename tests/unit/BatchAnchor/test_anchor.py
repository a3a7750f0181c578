"""A log that grows batch by batch, sent by its publisher or relayed."""

from __future__ import annotations

import dataclasses

import pytest
from eth_abi import encode

from tests.support.reverts import reverts


@pytest.mark.spec("A1", "A2", "A8")
def test_batch_is_stored_and_announced(batch_anchor, press, log, clinic, form):
    tx = press.anchor(5)

    assert tx.return_value == 1
    assert batch_anchor.latest(clinic, 1) == ("0x" + log.root(5).hex(), 5, 1, tx.timestamp)
    assert len(tx.events) == 1
    assert dict(tx.events["BatchAnchored"]) == {
        "publisher": clinic.address,
        "log": 1,
        "number": 1,
        "size": 5,
        "root": "0x" + log.root(5).hex(),
    }


@pytest.mark.spec("A6", "A8")
def test_batches_are_numbered_without_gaps(press, log, form):
    assert [press.anchor(size).events["BatchAnchored"]["number"] for size in (1, 2, 17)] == [1, 2, 3]
    assert press.latest() == (log.root(17), 17, 3)


@pytest.mark.spec("A1")
def test_logs_of_one_publisher_stand_by_themselves(press, log):
    other = dataclasses.replace(press, number=0)
    press.anchor(9)
    other.anchor(2)

    assert press.latest() == (log.root(9), 9, 1)
    assert other.latest() == (log.root(2), 2, 1)


@pytest.mark.spec("A1")
def test_logs_of_two_publishers_stand_by_themselves(press, log, second_clinic):
    other = dataclasses.replace(press, publisher=second_clinic)
    press.anchor(9)
    other.anchor(2)

    assert (press.latest()[1], other.latest()[1]) == (9, 2)


@pytest.mark.spec("A3")
def test_party_of_any_kind_publishes(press, payer, pharmacy, researcher):
    for publisher in (payer, pharmacy, researcher):
        other = dataclasses.replace(press, publisher=publisher)
        other.anchor(3)
        assert other.latest()[1] == 3


@pytest.mark.spec("A6")
@pytest.mark.parametrize("size", [0, 1, 4, 5])
def test_log_that_does_not_grow_is_refused(press, log, form, size):
    press.anchor(5)

    with reverts("LogNotGrown", size, 5):
        press.anchor(size)
    assert press.latest() == (log.root(5), 5, 1)


@pytest.mark.spec("A6")
def test_another_root_at_the_same_size_is_refused(press, log, form):
    press.anchor(5)

    with reverts("LogNotGrown", 5, 5):
        press.anchor(5, b"\x66" * 32)
    assert press.latest() == (log.root(5), 5, 1)


@pytest.mark.spec("A6")
def test_empty_log_is_no_batch(press, log, form):
    with reverts("LogNotGrown", 0, 0):
        press.anchor(0)


@pytest.mark.spec("A6")
def test_size_has_an_end(press, batch_anchor, clinic):
    """The largest size is the last; one beyond does not wrap around."""
    press.anchor(2**64 - 1, b"\x66" * 32)

    kinds = ["address", "uint32", "uint256", "bytes32", "uint256", "bytes"]
    overflowing = encode(kinds, [clinic.address, 1, 2**64, b"\x67" * 32, 0, b""]).hex()
    with pytest.raises(Exception, match="revert"):
        clinic.transfer(batch_anchor, 0, data=batch_anchor.anchor.signature + overflowing)
    with reverts("LogNotGrown", 1, 2**64 - 1):
        press.anchor(1)


@pytest.mark.spec("A7")
def test_batch_without_a_root_is_refused(press, form):
    with reverts("RootMissing"):
        press.anchor(5, bytes(32))


@pytest.mark.spec("A6")
def test_batch_that_was_held_back_does_not_count_after_a_larger_one(press, log):
    press.relayed = True
    held_back = press.signature(5)
    press.anchor(9)

    with reverts("LogNotGrown", 5, 9):
        press.contract.anchor(press.publisher, 1, 5, log.root(5), press.deadline, held_back, {"from": press.relayer})


@pytest.mark.spec("A6")
def test_signed_batch_does_not_count_twice(press):
    press.relayed = True
    press.anchor(5)

    with reverts("LogNotGrown", 5, 5):
        press.anchor(5)
