"""What becomes of signed transactions: found in a block, deep enough, gone again, late, or overtaken."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

from medproof.errors import MedProofError, NodeError
from medproof.sending.fees import price, raised
from medproof.sending.node import Look, found_of
from medproof.sending.transaction import Attempt, State, Transaction
from medproof.sending.work import Watcher, Work

__all__ = ["follow", "notice", "overdue"]

_LOOKED_BACK = 1_000  # blocks with transactions, where what was final has to be looked at again
_FILLING_GAS = 21_000  # of a transaction that does nothing
_LOG = logging.getLogger(__name__)


def follow(work: Work, look: Look, fees: Mapping[str, int]) -> tuple[list[Transaction], list[Transaction]]:
    """Note what is in blocks, replace what is late, queue what has lost its nonce again.

    Args:
        work: whose transactions.
        look: how chain and accounts stand.
        fees: what the chain asks for.

    Returns:
        What is still sent, and in no block; and that part of it which the node seems not to have.
    """
    _reopen(work, look)
    under_way = work.store.under_way(list(work.senders))
    undone = _undone(work)
    if not under_way and not undone:
        return [], []
    mined = [one for one in under_way if one.state is State.MINED]
    hashes = work.node.hashes({one.block for one in mined if one.block is not None})
    gone = [one for one in mined if hashes[one.block or 0] != one.block_hash] + undone
    sent = [one for one in under_way if one.state is State.SENT]
    # Nothing is in a block whose nonce the chain does not count yet.
    asked = [one for one in (*sent, *gone) if one.where[1] < look.accounts[one.where[0]].mined]
    said = work.node.receipts([attempt.hash for one in asked for attempt in reversed(one.attempts)])
    found = _found(work, asked, said)
    deep = [one for one in mined if one not in gone and _is_deep(work, look, one.block or 0)] if mined else []
    if gone or found or deep:
        _note(work, look, gone, found, deep)
    blocked = {one.number for one, *_ in found}
    rest = [replace(one, state=State.SENT, **_nowhere(one)) for one in gone if one.number not in blocked]
    rest += [one for one in sent if one.number not in blocked]
    return _press(work, look, fees, sorted(rest, key=lambda one: one.where))


def _reopen(work: Work, look: Look) -> None:
    """Take up again what was final and has left its block: a reorganisation was deeper than was waited for."""
    gone = [one for address, account in look.accounts.items() for one in work.store.final_from(address, account.mined)]
    if gone:
        _LOG.warning("%d transactions: a block that was deep enough is gone", len(gone))
        with work.store.writing() as database:
            for one in gone:
                if work.store.move(database, one, State.SENT, **_nowhere(one)) and (watcher := _watcher(work, one)):
                    watcher.unmined(database, one)
        work.tell(gone)


def notice(work: Work, look: Look) -> None:
    """Note what is in blocks by now, and nothing else: what takes no time of its own while others wait for the node."""
    asked = [one for address, account in look.accounts.items() for one in work.store.counted(address, account.mined)]
    said = work.node.receipts([attempt.hash for one in asked for attempt in reversed(one.attempts)])
    if found := _found(work, asked, said):
        _note(work, look, [], found, [])


def overdue(work: Work, transaction: Transaction) -> bool:
    """Whether a transaction should be in a block by now; also where the clock was put back since it was signed."""
    return not 0 <= time.time() - transaction.latest.signed < work.patience


# -- blocks -------------------------------------------------------------------------------------------------------

_Found = tuple[Transaction, Attempt, Mapping[str, Any], str | None]  # with why it failed


def _found(work: Work, asked: Iterable[Transaction], said: Mapping[str, Mapping[str, Any]]) -> list[_Found]:
    found: list[_Found] = []
    for one in asked:
        for attempt in reversed(one.attempts):
            if (receipt := said.get(attempt.hash)) is not None:
                reason = _failure(work, attempt.hash) if receipt.get("status") == "0x0" else None
                found.append((one, attempt, receipt, reason))
                break
    return found


def _failure(work: Work, transaction: str) -> str:
    try:
        work.chain.receipt(transaction)
    except NodeError:
        pass
    except MedProofError as error:
        return str(error)
    return "It failed on the chain, and the node does not say why."


def _undone(work: Work) -> list[Transaction]:
    """What was final, and is on a branch that the chain has left: a reorganisation deeper than was asked for.

    A block that stands has all before it stand, too: one question shows that there is none.
    """
    for most in (1, _LOOKED_BACK):
        kept = work.store.final_blocks(most)
        hashes = work.node.hashes(kept)
        gone = [number for number, hash_ in kept.items() if hashes[number] not in (None, hash_)]
        if not gone:
            return []
    _LOG.error("a reorganisation deeper than %d blocks", work.chain.confirmations)
    return work.store.final_in(gone, list(work.senders))


def _is_deep(work: Work, look: Look, block: int) -> bool:
    return max(look.newest - block, 0) + 1 >= work.chain.confirmations


def _note(work: Work, look: Look, gone: list[Transaction], found: list[_Found], deep: list[Transaction]) -> None:
    """All that was seen, in one change."""
    changed = []
    with work.store.writing() as database:
        for one in gone:
            if work.store.move(database, one, State.SENT, **_nowhere(one)):
                _LOG.warning("transaction %d: its block is gone", one.number)
                changed.append(one)
                if watcher := _watcher(work, one):
                    watcher.unmined(database, one)
        for one, attempt, receipt, reason in found:
            block = int(receipt["blockNumber"], 16)
            if attempt.cancels:
                reason = one.reason
            end = _end(attempt, reason)
            state = end if _is_deep(work, look, block) else State.MINED
            fields = {
                "mined_by": attempt.hash,
                "block": block,
                "block_hash": receipt["blockHash"],
                "gas_used": int(receipt["gasUsed"], 16),
                "reason": reason,
            }
            if work.store.move(database, one, state, came=State.SENT, **fields):
                changed.append(one)
                if watcher := _watcher(work, one):
                    now = replace(one, state=state, **fields)
                    if not attempt.cancels:
                        watcher.mined(database, now, found_of(receipt))
                    if state is end:
                        watcher.settled(database, now, end)
        for one in deep:
            attempt = next(attempt for attempt in one.attempts if attempt.hash == one.mined_by)
            end = _end(attempt, one.reason)
            if work.store.move(database, one, end):
                changed.append(one)
                if watcher := _watcher(work, one):
                    watcher.settled(database, one, end)
    work.tell(changed)


def _nowhere(one: Transaction) -> dict[str, Any]:
    """What holds of one whose block is gone: why it failed there is over, why the node does not take it is not."""
    cancelled = any(attempt.cancels for attempt in one.attempts if attempt.hash == one.mined_by)
    forgotten = dict.fromkeys(("mined_by", "block", "block_hash", "gas_used"))
    return {**forgotten, "reason": one.reason if cancelled else None}


def _watcher(work: Work, one: Transaction) -> Watcher | None:
    return None if one.filler else work.watcher


def _end(attempt: Attempt, reason: str | None) -> State:
    if attempt.cancels:
        return State.REFUSED
    return State.CONFIRMED if reason is None else State.FAILED


# -- those that are in none --------------------------------------------------------------------------------------


def _press(
    work: Work, look: Look, fees: Mapping[str, int], rest: list[Transaction]
) -> tuple[list[Transaction], list[Transaction]]:
    still: list[Transaction] = []
    missing: list[Transaction] = []
    for address, group in groupby(rest, key=lambda one: one.where[0]):
        account, first = look.accounts[address], True
        for one in group:
            if one.where[1] < account.mined:  # a block has one with its nonce
                if _is_lost(work, look, one):
                    _lose(work, one)
                else:
                    still.append(one)
                continue
            # The others wait for the first that is in no block: paying more for them changes nothing.
            newer = _hasten(work, look, fees, one, missing) if first else None
            still.append(newer or one)
            if newer or one.where[1] >= account.pending:
                missing.append(newer or one)
            first = False
    known = work.node.keeps([one.latest.hash for one in missing])  # some nodes count only what is in blocks
    return still, [one for one, is_known in zip(missing, known, strict=True) if not is_known]


def _hasten(
    work: Work, look: Look, fees: Mapping[str, int], one: Transaction, missing: list[Transaction]
) -> Transaction | None:
    """Replace a transaction that is late by one with higher fees, or one that the node does not take by nothing."""
    hopeless = one.reason is not None and not one.latest.cancels
    if not hopeless and not (overdue(work, one) and look.newest > one.latest.block):
        return None
    account, nonce = one.where
    pending = look.accounts[account].pending
    if pending < nonce and not hopeless:
        missing += _fill(work, look, fees, account, range(pending, nonce))
    higher = raised(one.latest.fees, fees)
    if price(higher) > work.highest_fee:
        _LOG.warning("transaction %d: stuck, the fees may not rise further", one.number)
        return None
    cancels = hopeless or one.latest.cancels
    call, gas = (_nothing(account), _FILLING_GAS) if cancels else (one.call(), one.gas or 0)
    try:
        attempt = work.sign(call, account, nonce, gas, higher, look.newest, cancels=cancels)
    except MedProofError as error:  # others are not to wait for this account's signer
        _LOG.warning("transaction %d: not replaced (%s)", one.number, type(error).__name__)
        return None
    with work.store.writing() as database:
        if not work.store.replace(database, one, attempt):
            return None
    _LOG.info("transaction %d: attempt %d, %s", one.number, len(one.attempts) + 1, attempt.hash)
    work.counts["replaced"] += 1
    work.tell([one])
    return replace(one, attempts=(*one.attempts, attempt))


def _fill(work: Work, look: Look, fees: Mapping[str, int], account: str, gap: range) -> list[Transaction]:
    """Sign what does nothing for nonces that nobody uses: a transaction was forgotten that waited with one of them."""
    if price(fees) > work.highest_fee:
        return []
    held = work.store.nonces(account, gap.start)
    keys = []
    for nonce in islice((one for one in gap if one not in held), work.in_flight):
        try:
            attempt = work.sign(_nothing(account), account, nonce, _FILLING_GAS, fees, look.newest)
        except MedProofError as error:  # others are not to wait for this account's signer
            _LOG.warning("nonce %d of %s: not filled (%s)", nonce, account, type(error).__name__)
            break
        key = f"gap {uuid.uuid4().hex}"
        with work.store.writing() as database:
            if work.store.fill(database, key, account, nonce, _FILLING_GAS, attempt):
                _LOG.warning("nonce %d of %s was free: filled", nonce, account)
                keys.append(key)
    return [work.store.transaction(key) for key in keys]


def _nothing(account: str) -> dict[str, Any]:
    return {"to": account, "data": "0x", "value": 0}


def _is_lost(work: Work, look: Look, one: Transaction) -> bool:
    """Whether another transaction took its nonce for good, as far as the chain shows."""
    account, nonce = one.where
    deep = max(look.newest - work.chain.confirmations + 1, 0)
    if work.chain.transaction_count(account, block=deep) <= nonce:
        return False
    own = [attempt.hash for attempt in one.attempts]
    taker = work.node.taker(account, nonce, one.attempts[0].block, deep)
    return taker not in own if taker is not None else not any(work.chain.knows(hash_) for hash_ in own)


def _lose(work: Work, one: Transaction) -> None:
    with work.store.writing() as database:
        if not work.store.move(
            database, one, State.LOST, nonce=None, reason="Another transaction of its account took its nonce."
        ):
            return
        _LOG.warning("transaction %d: another took nonce %d", one.number, one.where[1])
        watcher = _watcher(work, one)
        if not (one.filler or (watcher and watcher.lost(database, one))):
            work.store.requeue(database, one)
    work.counts["lost"] += 1
    work.tell([one])
