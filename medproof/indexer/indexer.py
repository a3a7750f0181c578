"""Following a chain: range by range from the node into the index, and back where the chain was reorganised.

A range is asked for together with the headers of the block before it and of its last block, and the last block's header
once more afterwards: unless the first is the one that the index ends with, and both of the last are the same, the chain
has changed underneath and nothing of the answer is used.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from medproof.chain import Chain, UnclearAnswerError
from medproof.deployments import Deployment, verify
from medproof.errors import FinalBlockError, NodeError, NodeLagsError, NodesDisagreeError, WrongChainError
from medproof.indexer.event_codec import codecs
from medproof.indexer.index import Batch, BlockHash, Index
from medproof.indexer.node import BusyError, Header, Log, Node, Question, header_question
from medproof.policy.word import FIELDS

__all__ = ["Indexer", "Progress"]

_AHEAD = 2  # ranges that are asked for at once: the node reads one while an answer is on its way and decoded
_RANGE = 64  # blocks asked for at first; twice as many after each answer, until a node refuses
_LONGEST_RANGE = 100_000
_PLENTY = 10_000  # events in one answer, above which ranges grow no more
_PATIENT_RANGES = 8  # that must succeed before a refused size is tried again
_SINGLE_ATTEMPTS = 6  # times that a single block is asked for
_COMPARED = 100  # block hashes compared at once
_GENESIS = 0
_RULES = frozenset({"RuleSet", "RuleRevoked"})
_WORD = 32  # bytes
_LAST_TIME = 253_402_300_799  # the year 9999
_LAST_POSITION = (1 << 31) - 1
_rule_parts = struct.Struct("12x20s12x20s32s").unpack  # subject, grantee, word
_INDEX = FIELDS["index"]
_INDEX_BYTE, _INDEX_MASK = -1 - _INDEX.offset // 8, _INDEX.mask >> _INDEX.offset  # it begins with a byte and fits in it


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index is."""

    block: int  # the last block that was read
    target: int  # the last that is to be read now
    events: int  # read since the start of this run
    rolled_back: int = 0  # blocks that were taken back since then


class _ReorganisedError(NodeError):
    """The chain is no longer the one that was read."""


class Indexer:
    """Follows one deployment on one chain into an index."""

    def __init__(
        self,
        index: Index,
        chain: Chain,
        deployment: Deployment,
        *,
        node: Node | None = None,
        check: Node | None = None,
        finality: int | str | None = None,
    ) -> None:
        """Check that the chain, the contracts and the index belong together.

        Args:
            index: where to.
            chain: the chain.
            deployment: the contracts.
            node: the endpoint to read from; the chain's own where none is named.
            check: a second endpoint of the same chain, which has to say the same of every range.
            finality: which blocks count: "finalized", "safe", or those with so many confirmations, their own
                included; the chain's number of them where none is given.

        Raises:
            DeploymentError: another chain, or other code at a contract's address.
            IndexedChainError: the index keeps another chain of this id.
            IndexedDeploymentError: it keeps this deployment with other contracts.
            WrongChainError: the second endpoint serves another chain.
            NodeError: a node does not answer, or cannot be used.
        """
        verify(chain, deployment)
        self._node = node or Node(str(getattr(chain.web3.provider, "endpoint_uri", "")))
        self._check = check
        self._finality = chain.confirmations if finality is None else finality
        for one in (self._node, check):
            if one is not None:
                [found] = one.ask(("eth_chainId", [], str))
                if (said := _number(found)) != deployment.chain_id:
                    raise WrongChainError(one.origin, deployment.chain_id, said)
        genesis = self._node.header(_GENESIS)
        if genesis is None:
            raise NodeLagsError(self._node.origin, _GENESIS)
        self.indexed = index.indexed(deployment, _bytes(genesis.hash))
        self._addresses = {entry.address.lower(): name for name, entry in deployment.contracts.items()}
        self._codecs = {
            (address, codec.topic): (self.indexed.contracts[name], codec)
            for address, name in self._addresses.items()
            for codec in codecs(name).values()
        }
        self._range, self._patient = _RANGE, 0

    def update(self, *, to_block: int | None = None, report: Callable[[Progress], object] = lambda _: None) -> Progress:
        """Read what is new, up to the newest block that counts, or up to `to_block` where that is earlier.

        What was read of blocks that are no longer the chain's is taken back first. Whatever interrupts it, the index is
        whole, and the next update goes on.

        Args:
            to_block: the last block to read.
            report: called after each range.

        Raises:
            NodeLagsError: the node does not have the block up to which the index was read.
            NodesDisagreeError: the second node says something else.
            FinalBlockError: a block that was final when it was read has been replaced.
            BusyError: a node is away or busy for longer than its patience.
            NodeError: a node's answer cannot be used.
            IndexMovedError: another process writes to this index.
            StoreError: the database cannot take it.
        """
        events = rolled_back = 0
        while True:
            target = self._target(to_block)
            rolled_back += self._roll_back_to_fork()
            block = self.indexed.block
            report(Progress(block, max(target, block), events, rolled_back))
            try:
                for batch in self._batches(block + 1, target):
                    self.indexed.append(batch, final=isinstance(self._finality, str))
                    events += len(batch.events)
                    report(Progress(batch.last.number, target, events, rolled_back))
            except _ReorganisedError:
                continue
            return Progress(self.indexed.block, max(target, block), events, rolled_back)

    def follow(
        self,
        stop: threading.Event,
        *,
        pause: float = 2.0,
        report: Callable[[Progress], object] = lambda _: None,
        trouble: Callable[[NodeError], object] = lambda _: None,
    ) -> None:
        """Update again and again until `stop` is set. A node that is away, busy or behind is waited for.

        Args:
            stop: ends it, after the range that is being written.
            pause: seconds between updates.
            report: as for `update`.
            trouble: called with what is waited out.

        Raises:
            NodesDisagreeError, FinalBlockError, NodeError, IndexMovedError, StoreError: as for `update`.
        """
        while not stop.is_set():
            try:
                self.update(report=report)
            except (NodeLagsError, BusyError, UnclearAnswerError) as error:
                trouble(error)
            stop.wait(pause)

    # -- where to read -------------------------------------------------------------------------------------------

    def _target(self, to_block: int | None) -> int:
        """The newest block that counts."""
        if isinstance(self._finality, str):
            found = self._node.header(self._finality)
            if found is None:
                raise NodeError(
                    f"The node at {self._node.origin} has no block that is {self._finality}. "
                    "Count confirmations instead."
                )
            newest = _number(found.number)
        else:
            newest = self._newest() + 1 - self._finality
        return newest if to_block is None else min(newest, to_block)

    def _newest(self) -> int:
        [number] = self._node.ask(("eth_blockNumber", [], str))
        return _number(number)

    def _roll_back_to_fork(self) -> int:
        """Take back what is no longer on the chain; how many blocks that was."""
        last = self.indexed.block
        kept = self.indexed.block_hash(last)
        if kept is None:  # nothing was read yet
            return 0
        found = self._node.header(last)
        if found is not None and _bytes(found.hash) == kept.hash:
            return 0
        fork, above = self.indexed.first - 1, found
        for one, header in self._kept_and_found(last + 1):
            if header is not None and _bytes(header.hash) == one.hash:
                fork = one.number
                break
            above = header
        if above is None:  # all that the node has is as it was read: it may only be behind
            raise NodeLagsError(self._node.origin, last)
        final = self.indexed.final
        if isinstance(self._finality, str) and final is not None and fork < final:
            raise FinalBlockError(self._node.origin, final)
        self.indexed.roll_back(fork)
        return last - fork

    def _kept_and_found(self, below: int) -> Iterator[tuple[BlockHash, Header | None]]:
        """The blocks that are kept, the newest first, and what the node has in their places."""
        while kept := self.indexed.blocks_before(below, _COMPARED):
            yield from zip(kept, self._node.ask(*(header_question(one.number) for one in kept)), strict=True)
            below = kept[-1].number

    # -- reading ranges ------------------------------------------------------------------------------------------

    def _batches(self, first: int, last: int) -> Iterator[Batch]:
        """What the blocks hold, range by range; the next ones are asked for while one is written."""
        before = self.indexed.block_hash(first - 1)
        known = None if before is None else before.hash
        waited, attempt = 0.0, 0
        asked: deque[tuple[int, int, Future[_Part]]] = deque()

        def ask_ahead() -> None:
            following = asked[-1][1] + 1 if asked else first
            while following <= last and len(asked) < _AHEAD:
                until = min(following + self._range - 1, last)
                asked.append((following, until, ahead.submit(self._ask, following, until)))
                following = until + 1

        with ThreadPoolExecutor(max_workers=_AHEAD) as ahead:
            try:
                while first <= last:
                    ask_ahead()
                    _, until, answer = asked.popleft()
                    try:
                        part = answer.result()
                    except (BusyError, _ReorganisedError, NodesDisagreeError):
                        raise
                    except NodeError:
                        if until > first:
                            self._range, self._patient = max(1, (until - first + 1) // 2), _PATIENT_RANGES
                        else:
                            attempt += 1
                            after = self._node.wait(attempt, waited) if attempt < _SINGLE_ATTEMPTS else None
                            if after is None:
                                raise
                            waited = after
                        _forget(asked)
                        continue
                    if known is not None and (part.before is None or _bytes(part.before.hash) != known):
                        raise _ReorganisedError(f"Block {first - 1} was replaced.")
                    self._adapt(part)
                    first, known, waited, attempt = until + 1, _bytes(part.last.hash), 0.0, 0
                    ask_ahead()  # so that the node works on while this range is written
                    yield self._decoded(part)
            finally:
                _forget(asked)

    def _adapt(self, part: _Part) -> None:
        """Ask for ranges as long as the node allows, and as hold a good number of events."""
        length = part.last.height - part.first + 1
        if len(part.logs) > _PLENTY:
            self._range = max(1, length * _PLENTY // len(part.logs))
        elif self._patient:
            self._patient -= 1  # what was refused may have been a crowded place, not a rule
        elif 2 * len(part.logs) <= _PLENTY:
            self._range = max(self._range, min(2 * length, _LONGEST_RANGE))

    def _ask(self, first: int, last: int) -> _Part:
        """One range, from one moment of the chain."""
        where = {"address": list(self._addresses), "fromBlock": hex(first), "toBlock": hex(last)}
        logs_question: Question = ("eth_getLogs", [where], list[Log])
        question = header_question(max(first - 1, 0))  # before the first block is none, and a node may refuse to look
        before, head, logs = self._node.ask(question, header_question(last), logs_question)
        before = before if first else None
        if head is None:
            raise NodeLagsError(self._node.origin, last)
        if not (_is_block(head, last) and (before is None or _is_block(before, first - 1))):
            raise UnclearAnswerError(
                f"The node at {self._node.origin} gave no header of block {last}. Name another node."
            )
        untimed = _untimed(logs)
        *headers, again = self._node.ask(*(header_question(one) for one in untimed), header_question(last))
        if again is None or again.hash != head.hash:
            raise _ReorganisedError(f"Block {last} was replaced.")
        if self._check is not None:
            self._compare(head, logs, headers, logs_question)
        return _Part(first, before, head, logs, [one for one in headers if one is not None])

    def _compare(self, head: Header, logs: list[Log], headers: list[Header | None], logs_question: Question) -> None:
        """Ask the second node the same."""
        assert self._check is not None
        waited, attempt = 0.0, 0
        while True:
            second, others = self._check.ask(header_question(head.height), logs_question)
            if second is not None:
                break
            after = self._check.wait(attempt, waited)
            if after is None:
                raise NodeLagsError(self._check.origin, head.height)
            waited, attempt = after, attempt + 1
        names = (self._node.origin, self._check.origin)
        if second.hash.lower() != head.hash.lower():
            raise NodesDisagreeError(head.height, *names, "the hash")
        for one, other in zip(logs, others, strict=False):
            if (one.blockHash, one.logIndex, one.address, one.topics, one.data) != (
                other.blockHash,
                other.logIndex,
                other.address,
                other.topics,
                other.data,
            ):
                raise NodesDisagreeError(_number(one.blockNumber), *names, "the events")
        if len(logs) != len(others):
            longer = logs if len(logs) > len(others) else others
            raise NodesDisagreeError(_number(longer[min(len(logs), len(others))].blockNumber), *names, "the events")
        times = _times(logs, headers, head)
        for block, time in _times(others, self._check.ask(*map(header_question, _untimed(others))), second).items():
            if times.get(block) != time:
                raise NodesDisagreeError(block, *names, "the time")

    # -- decoding ------------------------------------------------------------------------------------------------

    def _decoded(self, part: _Part) -> Batch:
        """A range as the index keeps it.

        Raises:
            UnclearAnswerError: it does not fit together, or digits are none.
        """
        try:
            return self._read(part)
        except ValueError:
            raise _foreign(self._node, part.first, part.last.height) from None

    def _read(self, part: _Part) -> Batch:
        first, last = part.first, part.last.height
        headers = {one.height: one for one in part.headers}
        blocks: dict[int, BlockHash] = {}
        places: list[tuple[int, int, int, bytes, str]] = []  # rows of the table of events, but for what they say
        times, digits, sizes, kinds = [], [], [], []
        number, time, seen_block, seen_transaction, transaction, previous = -1, 0, "", "", b"", -1
        contract, codec, seen_address, seen_topic = 0, None, "", ""
        for log in part.logs:
            topics = log.topics
            if not topics or log.removed:
                raise _foreign(self._node, first, last)
            if topics[0] != seen_topic or log.address != seen_address:
                seen_topic, seen_address = topics[0], log.address
                contract, codec = self._codecs.get((seen_address.lower(), seen_topic), (0, None))
            if codec is None or len(topics) != codec.topics:
                raise _foreign(self._node, first, last)
            if log.blockNumber != seen_block:
                seen_block, before = log.blockNumber, number
                number = int(seen_block, 16)
                hash_ = _bytes(log.blockHash)
                if number <= before or not first <= number <= last:
                    raise _foreign(self._node, first, last)
                if log.blockTimestamp is None:
                    header = headers.get(number)
                    if header is None or _bytes(header.hash) != hash_:
                        raise _ReorganisedError(f"Block {number} was replaced.")
                    time = header.time
                else:
                    time = int(log.blockTimestamp, 16)
                if not 0 <= time <= _LAST_TIME or len(hash_) != _WORD:
                    raise _foreign(self._node, first, last)
                blocks[number], previous = BlockHash(number, hash_, time), -1
            if log.transactionHash != seen_transaction:
                seen_transaction = log.transactionHash
                transaction = _bytes(seen_transaction)
                if len(transaction) != _WORD:
                    raise _foreign(self._node, first, last)
            position = int(log.logIndex, 16)
            if not previous < position <= _LAST_POSITION:
                raise _foreign(self._node, first, last)
            previous = position
            places.append((contract, number, position, transaction, codec.name))
            times.append(time)
            for topic in topics[1:]:
                digits.append(topic[2:])
            digits.append(log.data[2:])
            size, odd = divmod(len(log.data), 2)
            size += _WORD * (len(topics) - 1) - 1  # the first byte's digits are 0x
            if odd or codec.size not in (None, size):
                raise _foreign(self._node, first, last)
            sizes.append(size)
            kinds.append(codec)
        end = BlockHash(last, _bytes(part.last.hash), part.last.time)
        if blocks.get(last, end) != end:
            raise _ReorganisedError(f"Block {last} was replaced.")
        events, rules, others = [], [], []
        for place, time, codec, said in zip(places, times, kinds, _cut(digits, sizes), strict=True):
            event = (*place, said)
            events.append(event)
            if place[4] in _RULES:
                subject, grantee, word = _rule_parts(said)
                index = word[_INDEX_BYTE] & _INDEX_MASK
                rules.append((*place[:3], time, None, None, subject, grantee, index, word))
            else:
                codec.arguments(said)  # refused here rather than by whoever reads it
                others.append(event)
        return Batch(first, end, blocks, events, rules, others)


def _cut(digits: list[str], sizes: list[int]) -> Iterator[bytes]:
    """What events say, each so many bytes long; the digits of all are read at once."""
    whole = bytes.fromhex("".join(digits))
    if len(whole) != sum(sizes):
        raise ValueError(len(whole))
    end = 0
    for size in sizes:
        start, end = end, end + size
        yield whole[start:end]


@dataclass(frozen=True, slots=True)
class _Part:
    """A range as the node gives it."""

    first: int
    before: Header | None  # of the block before it
    last: Header
    logs: list[Log]
    headers: list[Header]  # of blocks with events, where the logs do not tell the time


def _forget(asked: deque[tuple[int, int, Future[_Part]]]) -> None:
    for _, _, answer in asked:
        answer.cancel()
    asked.clear()


def _is_block(header: Header, number: int) -> bool:
    """Whether a header is one, and that block's."""
    try:
        return header.height == number and 0 <= header.time <= _LAST_TIME and len(_bytes(header.hash)) == _WORD
    except ValueError:
        return False


def _untimed(logs: list[Log]) -> list[int]:
    """The blocks whose time their log entries do not tell."""
    return sorted({_number(log.blockNumber) for log in logs if log.blockTimestamp is None})


def _times(logs: list[Log], headers: list[Header | None], head: Header) -> dict[int, int]:
    """The times that a node tells of a range: of its last block, and of those with events."""
    told = {log.blockNumber: log.blockTimestamp for log in logs if log.blockTimestamp is not None}
    told |= {one.number: one.timestamp for one in (*headers, head) if one is not None}
    return {_number(block): _number(time) for block, time in told.items()}


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise UnclearAnswerError(f"The node gave {text[:80]!r} for a number. Name another node.") from None


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise UnclearAnswerError(f"The node gave {text[:80]!r} for a hash. Name another node.") from None


def _foreign(node: Node, first: int, last: int) -> UnclearAnswerError:
    return UnclearAnswerError(
        f"The node at {node.origin} gave log entries of blocks {first} to {last} that were not asked for, twice or out "
        "of order. Nothing of them was indexed; name another node."
    )
