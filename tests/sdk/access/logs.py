"""Access logs made up for tests, without a database or a chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from eth_account import Account
from eth_utils.crypto import keccak

from medproof.access import Access, AccessEntry, Ground, Opening, Promise, RecordAccess
from medproof.access.export import LogLine
from medproof.client.batch_anchor import Batch
from medproof.merkle import MerkleLog
from medproof.messages import Domain
from medproof.policy.codes import Action, Purpose, ResearchUse
from medproof.signing import LocalSigner

CUSTODIAN = "0x" + "11" * 20
DOMAIN = Domain("AccessLog", 1337, "0x" + "22" * 20)
KEY = LocalSigner.from_key(b"\x01" * 32)
OTHER_KEY = LocalSigner.from_key(b"\x02" * 32)
LOG = 3
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DUE = int(NOON.timestamp()) + 3600


def account(number: int) -> str:
    return LocalSigner.from_key(number.to_bytes(32, "big")).address


READER, SUBJECT = account(7), account(8)


def access(number: int = 0, **changes: object) -> Access:
    ground = Ground("PERMITTED", READER, 2, 5, 1)
    given = {
        "when": NOON + timedelta(seconds=number, microseconds=number),
        "account": READER,
        "party": READER,
        "signed": f"0x{keccak(number.to_bytes(4, 'big')).hex()}",
        "purposes": Purpose.TREAT,
        "actions": Action.ACCESS | Action.USE,
        "research": ResearchUse.EMPTY,
        "action": "search",
        "subject": SUBJECT,
        "records": (RecordAccess(keccak(b"a"), ground), RecordAccess(keccak(b"b"), Ground("BREAK_GLASS"))),
        "permitted": True,
        "reason": "PERMITTED",
        "block": 17,
        "block_hash": f"0x{keccak(b'block').hex()}",
    }
    return Access(**{**given, **changes})  # type: ignore[arg-type]


@cache
def promise_of(entry: bytes, index: int | None, *, signer: LocalSigner = KEY, due: int = DUE) -> Promise:
    bare = Promise(CUSTODIAN, LOG, entry, due, index=index)
    return bare.with_signature(signer.sign_typed_data(bare.typed_data(DOMAIN)))


@cache
def signed(promise: Promise) -> bool:
    """Whether the log's key signed a promise."""
    try:
        message = promise.typed_data(DOMAIN).signable()
        return bool(Account.recover_message(message, signature=promise.signature) == KEY.address)
    except ValueError:
        return False


def line(index: int, previous: bytes | None, one: Access, *, signer: LocalSigner = KEY) -> LogLine:
    opening = Opening(AccessEntry(CUSTODIAN, LOG, index, previous, one), keccak(b"salt" + index.to_bytes(4, "big")))
    return LogLine(promise_of(opening.commitment, index, signer=signer), opening)


def rebuilt(accesses: Iterable[Access], start: Sequence[LogLine] = (), *, signer: LocalSigner = KEY) -> list[LogLine]:
    """A log that goes on after a start with these accesses, every hash as it must be."""
    made = list(start)
    for one in accesses:
        previous = commitment(made[-1]) if made else None
        made.append(line(len(made), previous, one, signer=signer))
    return made


@cache
def honest(size: int) -> tuple[LogLine, ...]:
    return tuple(rebuilt(access(number) for number in range(size)))


def commitment(one: LogLine) -> bytes:
    assert one.promise is not None
    return one.promise.entry


def promised(one: LogLine) -> Promise:
    assert one.promise is not None
    return one.promise


def said(one: LogLine) -> Access:
    assert one.opening is not None
    return one.opening.entry.access


def erased(one: LogLine) -> LogLine:
    return replace(one, opening=None, erased=True)


def anchored(lines: Sequence[LogLine], *sizes: int) -> list[Batch]:
    tree = MerkleLog(commitment(one) for one in lines)
    return [Batch(number, size, tree.root(size), 100 + number) for number, size in enumerate(sizes, start=1)]
