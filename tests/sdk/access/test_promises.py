"""What a reader is told about the entry of its request: enough to see that it is true, and nothing else fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.access import AccessEntry, Ground, Opening, Promise, Promised, RecordAccess
from medproof.errors import AccessEntryError, PromiseError
from medproof.messages import inclusion_promise
from medproof.policy.codes import Purpose, ResearchUse
from tests.sdk.access.logs import CUSTODIAN, DOMAIN, DUE, LOG, access, honest, promise_of, promised

LINE = honest(2)[1]
assert LINE.opening is not None
TOLD = Promised(promised(LINE), LINE.opening)
POINTERS = [record.pointer for record in access().records]


def changed(change: Callable[[Any], object]) -> str:
    said = json.loads(TOLD.to_text())
    change(said)
    return json.dumps(said)


def test_what_was_served_opens_the_entry() -> None:
    assert Promised.read(TOLD.to_text(), POINTERS) == TOLD
    assert "records" not in json.loads(TOLD.to_text())["opening"]["entry"]
    assert TOLD.to_text().isascii()
    for pointers in ([], POINTERS[:1], POINTERS[::-1], [*POINTERS, keccak(b"c")], [POINTERS[0], keccak(b"c")]):
        with pytest.raises(PromiseError):
            Promised.read(TOLD.to_text(), pointers)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("custodian"),
        lambda said: said.update(custodian="0x12"),
        lambda said: said.update(log=-1),
        lambda said: said.update(log="3"),
        lambda said: said.update(log=1 << 32),
        lambda said: said.update(due=1 << 300),
        lambda said: said.update(due=-1),
        lambda said: said.update(due=1.5),
        lambda said: said.update(commitment="0x" + "00" * 31),
        lambda said: said.update(commitment="0x" + "00" * 32),
        lambda said: said.update(index=2),
        lambda said: said.update(index=None),
        lambda said: said.update(signature="no"),
        lambda said: said.update(opening=None),
        lambda said: said.update(opening=[]),
        lambda said: said["opening"].pop("salt"),
        lambda said: said["opening"].update(salt="0x" + "00" * 32),
        lambda said: said["opening"].update(grounds=[0, 7]),
        lambda said: said["opening"].update(grounds=[1, 0]),
        lambda said: said["opening"]["entry"].update(version=2),
        lambda said: said["opening"]["entry"].update(index=0),
        lambda said: said["opening"]["entry"].update(account=CUSTODIAN.upper()),
        lambda said: said["opening"]["entry"].update(action="erase"),
        lambda said: said["opening"]["entry"].update(purposes=["NONE"]),
        lambda said: said["opening"]["entry"].update(purposes=["ETREAT", "TREAT"]),
        lambda said: said["opening"]["entry"].update(breakGlass=False),
        lambda said: said["opening"]["entry"].update(when="yesterday"),
        lambda said: said["opening"]["entry"].update(more=1),
        lambda said: said["opening"]["entry"].pop("previous"),
    ],
)
def test_nothing_else_opens_it(change: Callable[[Any], object]) -> None:
    with pytest.raises(PromiseError):
        Promised.read(changed(change), POINTERS)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "{" * 200, '"x"', "\ud800", " " * 20_000])
def test_what_is_no_promise(text: str) -> None:
    with pytest.raises((PromiseError, UnicodeEncodeError)):
        Promised.read(text)


def test_what_the_answer_hides_is_not_told() -> None:
    refused = access(action="read", records=(), permitted=False, reason="CLASS")
    opening = Opening(AccessEntry(CUSTODIAN, LOG, 0, None, refused), keccak(b"salt"))
    told = Promised(promise_of(opening.commitment, 0), opening)
    assert Promised.read(told.to_text()) == replace(told, opening=None)
    assert refused.subject is not None
    assert refused.subject not in told.to_text()
    named = Opening(replace(opening.entry, access=replace(refused, action="search")), opening.salt)
    told = Promised(promise_of(named.commitment, 0), named)
    assert Promised.read(told.to_text()) == told  # whoever searches names the subject itself


def test_the_quick_way_to_hash_a_promise_is_the_slow_one() -> None:
    promise = Promise(CUSTODIAN, LOG, keccak(b"entry"), DUE)
    slow = inclusion_promise(DOMAIN, custodian=CUSTODIAN, log=LOG, entry=promise.entry, due=DUE)
    assert promise.typed_data(DOMAIN).signable() == slow.signable()
    assert promise.typed_data(DOMAIN).as_dict() == slow.as_dict()


def test_an_entry_as_json_and_back() -> None:
    for one in (
        access(),
        access(records=(), subject=None, party=None, block=None, block_hash=None, reason="NOT_FOUND", permitted=False),
        access(purposes=Purpose.EMPTY, research=ResearchUse.from_codes(["GRU"]), when=datetime(2026, 1, 1, tzinfo=UTC)),
        access(records=tuple(RecordAccess(keccak(bytes([n])), Ground("SUBJECT")) for n in range(100))),
    ):
        entry = AccessEntry(CUSTODIAN, LOG, 4, keccak(b"before"), one)
        assert AccessEntry.from_json(entry.to_json()) == entry
        assert one.break_glass is (one.records == access().records)
    big = Promised(TOLD.promise, Opening(entry, keccak(b"salt")))
    assert len(big.to_text()) < 2000  # a page of a hundred records still fits a header


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(ANYTHING)
@settings(max_examples=50)
def test_anything_else_is_no_entry(said: Any) -> None:
    with pytest.raises(AccessEntryError):
        AccessEntry.from_json(said)
    with pytest.raises(PromiseError):
        Promise.from_json(said)
