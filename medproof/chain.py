"""The chain: connect, call, send, wait, and turn a contract's error into the exception of its name.

One `Chain` may be shared by threads, and one account by several processes: nonces come from the node, one
transaction of an account at a time, and whoever loses a race against another process signs again. A node that gives
no clear answer is sent the same bytes again, never another transaction, so that nothing is done twice. (Two processes
that send the very same call of one account at the same moment may therefore find that they sent one transaction.)
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, Protocol, TypeVar, cast, runtime_checkable
from urllib.parse import urlsplit

import requests
import urllib3
from eth_utils.address import to_checksum_address
from tiny_keccak import keccak256
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import (
    BadFunctionCallOutput,
    ContractCustomError,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.rpc import HTTPProvider

from medproof.decoding import Event, decode_error, decode_log, decode_logs, revert_data
from medproof.errors import (
    AccountFundsError,
    AnswerTooLongError,
    ArgumentError,
    ConfirmationTimeoutError,
    ContractError,
    MedProofError,
    NodeError,
    StateUnavailableError,
    TransactionFailedError,
    UnknownRevertError,
    WrongChainError,
)
from medproof.json_http import read_answer
from medproof.networks import Network, network_named
from medproof.packed_calls import most_calls, packed
from medproof.signing import NodeSigner, TransactionSigner

__all__ = [
    "Block",
    "Chain",
    "Event",
    "QueuedSender",
    "Receipt",
    "Sender",
    "UnclearAnswerError",
    "address_bytes",
    "origin",
    "transaction_hash",
]


_SEND_ATTEMPTS = 20  # times a transaction is signed again after losing its nonce to another sender
_DELIVERIES = 3  # times the same bytes are sent to a node that gives no clear answer
_GAS_MARGIN = 1.2  # on top of the estimate: the state may change before the transaction is mined
_LOG_RANGE = 2_000  # blocks asked for at once; halved when a provider refuses
_CALLS_AT_ONCE = 100  # in one request; providers limit it
_PACKED = 250  # calls in one eth_call, which is then far below what nodes let one use of gas
_PACKED_AT_ONCE = 10  # such in one request
_TOO_MUCH = (400, 413)  # statuses with which a request is refused for its length
_ANSWER_TOO_LONG = -32003  # geth's
_LONGEST_ANSWER = 1 << 26  # bytes of an answer to our own questions; what is longer is asked for in parts
_NO_STATE = "The block may be in the future, or its state forgotten: ask as of another, or a node that keeps old states"
_LOG_PATIENCE = 8  # ranges that must succeed before a halved one is doubled again
_LONGEST_POLL = 2.0  # seconds; looks become rarer, for the sake of public nodes

_DIGITS = "0123456789abcdef"
_ADDRESS = re.compile("[0-9a-fA-F]{40}")
_CASED = {(place, digit): digit.upper() if place > "7" else digit for place in _DIGITS for digit in _DIGITS}

_T = TypeVar("_T")


class UnclearAnswerError(NodeError):
    """The node gave no answer, or none that can be used: what was asked of it may have happened."""


class _RequestRefusedError(NodeError):
    """The node does not answer so many questions at once, or none of those that it was asked."""


class _NonceLostError(NodeError):
    """Another sender of the account was quicker."""


@dataclass(frozen=True)
class Block:
    """A block, as far as whoever decides by it needs to know."""

    number: int
    hash: str  # 0x…
    timestamp: int  # seconds since 1970


@dataclass(frozen=True)
class Receipt:
    """A transaction that is on the chain and succeeded."""

    transaction: str  # the hash, 0x…
    block: int  # the number of its block
    block_hash: str  # the hash of its block, 0x…
    gas_used: int
    contract: str | None  # the address it created, if any
    logs: tuple[Mapping[str, Any], ...]  # as the node gave them

    def events(self, contract: Contract) -> tuple[Event, ...]:
        """The events of one contract in this transaction, decoded, in order."""
        return tuple(decode_logs(contract, self.logs))


@runtime_checkable
class QueuedSender(Protocol):
    """An account whose transactions a durable queue sends (`medproof.sending`): it chooses nonce, gas and fees."""

    @property
    def address(self) -> str:
        """The account's checksummed address."""

    def send(self, transaction: Mapping[str, Any]) -> str:
        """Queue and send a transaction: its hash, which a replacement changes."""

    def wait(self, transaction: str) -> Receipt:
        """Wait until it, or what replaced it, counts."""


Sender = TransactionSigner | NodeSigner | QueuedSender


class Chain:
    """A connection to one chain."""

    def __init__(self, web3: Web3, *, confirmations: int = 1, timeout: float = 120.0, poll: float = 0.05) -> None:
        """Use a web3 connection.

        Args:
            web3: the connection.
            confirmations: how many blocks, its own included, must stand before a transaction counts.
            timeout: seconds to wait for them.
            poll: seconds between the first two looks; the later ones are up to two seconds apart.
        """
        provider = web3.provider
        if isinstance(provider, HTTPProvider) and (retrying := provider.exception_retry_configuration) is not None:
            # Sending again is this class's own work, which knows what a lost nonce means then. A refused range of
            # logs is halved at once.
            own = ("eth_sendRawTransaction", "eth_getLogs")
            retrying.method_allowlist = [name for name in retrying.method_allowlist if name not in own]
        self.web3 = web3
        self.confirmations = confirmations
        self.timeout = timeout
        self.poll = poll
        self.chain_id = _ask(lambda: int(web3.eth.chain_id))
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._session = requests.Session()
        self._at_once, self._packs = _CALLS_AT_ONCE, True

    @classmethod
    def connect(
        cls,
        network: str | Network,
        *,
        chain_id: int | None = None,
        confirmations: int | None = None,
        patience: float | None = None,
        **options: Any,
    ) -> Chain:
        """Connect to a named network or to a node's URL, and check that it is the chain that was meant.

        `patience` is for whoever would rather fail than wait: seconds for each answer, asked for once. `options` are
        those of the constructor.

        Raises:
            UnknownNetworkError: the name is not known and is no URL.
            NodeError: nobody answers there.
            WrongChainError: another chain answers than the one that was meant.
        """
        meant = network if isinstance(network, Network) else network_named(network)
        retrying: dict[str, Any] = {} if patience is None else {"exception_retry_configuration": None}
        web3 = Web3(Web3.HTTPProvider(meant.url, request_kwargs={"timeout": patience or 30}, **retrying))
        web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        # It would ask for the chain's number before each call and estimate, for requests that name none.
        web3.middleware_onion.remove("validation")
        chain = cls(web3, confirmations=confirmations or meant.confirmations, **options)
        expected = chain_id if chain_id is not None else meant.chain_id
        if expected is not None and chain.chain_id != expected:
            raise WrongChainError(origin(meant.url), expected, chain.chain_id)
        return chain

    # -- reading ------------------------------------------------------------------------------------------------

    def contract(self, address: str, abi: Sequence[Mapping[str, Any]]) -> Contract:
        """A contract at an address."""
        return cast(Contract, self.web3.eth.contract(address=cast(Any, _address(address)), abi=list(abi)))

    def call(
        self,
        contract: Contract,
        function: str,
        arguments: Sequence[Any],
        *,
        block: int | str = "latest",
        gas: int | None = None,
    ) -> Any:
        """Call a view function as of a block, or try another one, with at most so much gas.

        Raises:
            ContractError: the contract refused, as the exception of its error's name.
            NodeError: nobody answers, or there is no such contract.
            ArgumentError: the function cannot take these arguments.
        """
        bound, _ = _bind(contract, function, arguments)
        options = {} if gas is None else {"gas": gas}
        return _ask(lambda: bound.call(options, block_identifier=block))

    def call_each(
        self, contract: Contract, function: str, arguments: Sequence[Sequence[Any]], *, gas: int
    ) -> list[ContractError | UnknownRevertError | None]:
        """Try a function with each of several arguments as of the newest block, many in one request.

        Args:
            contract: the contract.
            function: the function's name.
            arguments: those of each call.
            gas: the most that each call may use.

        Returns:
            For each, why the contract refused, or None where it did not.

        Raises:
            NodeError: nobody answers, or the node answers something else.
            ArgumentError: the function cannot take these arguments.
        """
        request = {"to": contract.address, "gas": hex(gas)}
        calls = [
            ("eth_call", [{**request, "data": self.call_data(contract, function, one)}, "latest"]) for one in arguments
        ]
        return [_refusal(answer) for answer in self._ask_each(calls)]

    def read_each(self, contract: Contract, calls: Sequence[bytes], *, answer: int, block: int) -> list[bytes]:
        """What a contract's view functions return to many calls, as of one block.

        Many calls go into one `eth_call` (`medproof.packed_calls`), and several of those into one request. Where the
        node takes no such, each call goes by itself.

        Args:
            contract: the contract.
            calls: the data of each, all of one length.
            answer: how many bytes each returns.
            block: the block's number.

        Raises:
            ContractError: the contract refused one of them.
            StateUnavailableError: the node has no such block, or no longer its state.
            NodeError: nobody answers, or there is no such contract.
        """
        if self._packs and len(calls) > 1:
            at_once = self._at_once
            try:
                return self._read_packed(contract.address, calls, answer, block)
            except UnclearAnswerError:
                raise
            except NodeError:
                # A call that is refused, or a node that takes none so long, with so much gas, or without a recipient.
                self._at_once = at_once
        found = []
        for said in self._ask_each([_call_question(data, block, contract.address) for data in calls]):
            try:
                refused = _refusal(said)
            except NodeError as error:
                raise StateUnavailableError(block, str(error), _NO_STATE) from error
            if refused is not None:
                raise refused
            found += _cut(said.get("result"), 1, answer)
        self._packs = self._packs and len(calls) == 1  # it was tried, and no call was to blame
        return found

    def _read_packed(self, address: str, calls: Sequence[bytes], answer: int, block: int) -> list[bytes]:
        many = min(_PACKED, most_calls(len(calls[0]), answer=answer))

        def read(start: int) -> list[bytes]:
            end = min(start + _PACKED_AT_ONCE * many, len(calls))
            parts = [calls[at : min(at + many, end)] for at in range(start, end, many)]
            said = self.ask([_call_question(packed(address, part, answer=answer), block) for part in parts])
            return [one for part, whole in zip(parts, said, strict=True) for one in _cut(whole, len(part), answer)]

        with ThreadPoolExecutor(max_workers=2) as pool:  # the node works on one while the other is read or written
            return [one for found in pool.map(read, range(0, len(calls), _PACKED_AT_ONCE * many)) for one in found]

    @staticmethod
    def call_data(contract: Contract, function: str, arguments: Sequence[Any]) -> str:
        """The data of a call, 0x…

        Raises:
            ArgumentError: the function cannot take these arguments.
        """
        return str(_bind(contract, function, arguments)[1])

    def block_number(self) -> int:
        """The number of the newest block."""
        return _ask(lambda: int(self.web3.eth.block_number))

    def block(self, block: int | str = "latest") -> Block:
        """A block by its number, or "latest", "safe", "finalized"."""

        def ask() -> Block:
            found = self.web3.eth.get_block(cast(Any, block))
            return Block(int(found["number"]), "0x" + bytes(found["hash"]).hex(), int(found["timestamp"]))

        return _ask(ask)

    def ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """What the node says to several questions of JSON-RPC, as it says it, many in one request.

        Raises:
            NodeError: nobody answers, or the node refuses one of them.
        """
        results = []
        for (method, _), answer in zip(questions, self._ask_each(questions), strict=True):
            if answer.get("error") is not None or "result" not in answer:
                raise NodeError(f"The node refused {method}: {_short(Exception(str(answer.get('error'))))}")
            results.append(answer["result"])
        return results

    def answers(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Mapping[str, Any]]:
        """The node's whole answers to several questions, refusals among them, many in one request.

        Raises:
            NodeError: nobody answers, or the answers are not to what was asked.
        """
        return list(self._ask_each(questions))

    def check_chain(self) -> None:
        """Ask the node again which chain it serves.

        Raises:
            WrongChainError: another one than when this connection was made.
            NodeError: nobody answers.
        """
        found = _ask(lambda: int(self.web3.eth.chain_id))
        if found != self.chain_id:
            raise WrongChainError(origin(str(getattr(self.web3.provider, "endpoint_uri", ""))), self.chain_id, found)

    def clock(self) -> float | None:
        """The time by the node's own clock, in seconds since 1970, as HTTP tells it; None where it does not.

        Raises:
            NodeError: nobody answers.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "eth_chainId", "params": []})
        response, _ = _ask(lambda: self._post(body))
        said = response.headers.get("Date", "")
        try:
            return parsedate_to_datetime(said).timestamp()
        except (ValueError, OverflowError):
            return None

    def timestamp(self, block: int | str = "latest") -> int:
        """The time of a block, in seconds since 1970."""
        return _ask(lambda: int(self.web3.eth.get_block(cast(Any, block))["timestamp"]))

    def timestamps(self, blocks: Sequence[int]) -> list[int]:
        """The times of several blocks, in seconds since 1970, many in one request."""
        found = self.ask([("eth_getBlockByNumber", [hex(block), False]) for block in blocks])
        return _ask(lambda: [int(block["timestamp"], 16) for block in found])

    def gas_limit(self) -> int:
        """How much gas the newest block may use."""
        return _ask(lambda: int(self.web3.eth.get_block("latest")["gasLimit"]))

    def code(self, address: str) -> bytes:
        """The code at an address; empty where there is none."""
        at = _address(address)
        return _ask(lambda: bytes(self.web3.eth.get_code(cast(Any, at))))

    def balance(self, address: str) -> int:
        """The balance of an account, in wei."""
        of = _address(address)
        return _ask(lambda: int(self.web3.eth.get_balance(cast(Any, of))))

    def transaction_count(self, address: str, *, block: int | str = "pending") -> int:
        """How many transactions an account has sent: the nonce of its next one."""
        of = _address(address)
        return _ask(lambda: int(self.web3.eth.get_transaction_count(cast(Any, of), block)))  # type: ignore[arg-type]

    def accounts(self) -> tuple[str, ...]:
        """The accounts whose keys the node holds; none on a public node."""
        try:
            return tuple(str(account) for account in _ask(lambda: self.web3.eth.accounts))
        except UnclearAnswerError:
            raise
        except NodeError:  # a node that holds no keys may not even know the question
            return ()

    def events(
        self,
        contract: Contract,
        name: str,
        *,
        filters: Mapping[str, Any] | None = None,
        from_block: int = 0,
        to_block: int | None = None,
    ) -> Iterator[Event]:
        """The events of one kind, oldest first, asked for range by range; a range the provider refuses is halved.

        Raises:
            NodeError: nobody answers, or the provider refuses even a single block.

        Args:
            contract: the emitting contract.
            name: the event's name.
            filters: values, or lists of values, of indexed arguments.
            from_block: first block, inclusive.
            to_block: last block, inclusive; the newest where none is given.
        """
        kind = getattr(contract.events, name)()
        given = dict(filters) if filters else None
        return self._by_ranges(from_block, to_block, lambda first, last: _logs(kind, first, last, given))

    def all_events(
        self,
        contracts: Sequence[Contract],
        *,
        topics: Sequence[str | None] = (),
        from_block: int = 0,
        to_block: int | None = None,
    ) -> Iterator[Event]:
        """All events of several contracts, oldest first, asked for together; see `events`.

        Args:
            contracts: the emitting contracts.
            topics: what indexed arguments have to be, by their places from the first on, as words of 0x and 64 digits;
                None for whatever they are.
            from_block: first block, inclusive.
            to_block: last block, inclusive; the newest where none is given.
        """
        wanted: dict[str, Any] = {"address": [one.address for one in contracts], "topics": [None, *topics]}
        return self._by_ranges(from_block, to_block, lambda first, last: self._all_logs(contracts, wanted, first, last))

    def _all_logs(self, contracts: Sequence[Contract], wanted: Mapping[str, Any], first: int, last: int) -> list[Event]:
        asked = cast(Any, {**wanted, "fromBlock": first, "toBlock": last})
        try:
            logs = _ask(lambda: self.web3.eth.get_logs(asked))
        except NodeError as error:
            raise NodeError(f"The node gave no logs of blocks {first} to {last}: {error}") from error.__cause__
        found = [event for contract in contracts for event in decode_logs(contract, logs)]
        return sorted(found, key=lambda event: (event.block, event.index))

    def _by_ranges(
        self, from_block: int, to_block: int | None, read: Callable[[int, int], Sequence[Event]]
    ) -> Iterator[Event]:
        last = self.block_number() if to_block is None else to_block
        size, answered = _LOG_RANGE, 0
        while from_block <= last:
            until = min(from_block + size - 1, last)
            try:
                found = read(from_block, until)
            except NodeError as error:
                if until == from_block or isinstance(error.__cause__, requests.ConnectionError):
                    raise
                size, answered = max(1, (until - from_block + 1) // 2), 0
                continue
            yield from found
            from_block = until + 1
            answered += 1
            if answered % _LOG_PATIENCE == 0:  # what was refused may have been a crowded place, not a rule
                size = min(2 * size, _LOG_RANGE)

    # -- sending ------------------------------------------------------------------------------------------------

    def transact(self, contract: Contract, function: str, arguments: Sequence[Any], *, sender: Sender) -> Receipt:
        """Send a call of a function and wait until it counts.

        Raises:
            ContractError: the contract refused, as the exception of its error's name; nothing was sent where it
                would have refused already, and gas was spent where the state changed in between.
            TransactionFailedError: it failed on the chain without a reason that can be found.
            ConfirmationTimeoutError: it was sent, or may have been, and is not confirmed in time; its hash is in the
                exception.
            NodeError: nobody answers, or the node refuses it; nothing was sent.
            ArgumentError: the function cannot take these arguments; nothing was sent.
        """
        _, data = _bind(contract, function, arguments)
        sent = self.send({"to": contract.address, "data": data}, sender=sender)
        return sender.wait(sent) if isinstance(sender, QueuedSender) else self.wait(sent)

    def creation(self, bytecode: str, abi: Sequence[Mapping[str, Any]], arguments: Sequence[Any]) -> dict[str, Any]:
        """The transaction that creates a contract, for `send`."""
        factory = self.web3.eth.contract(abi=list(abi), bytecode=cast(Any, bytecode))
        return {"data": factory.constructor(*arguments).data_in_transaction}

    def knows(self, transaction: str) -> bool:
        """Whether the node knows a transaction, waiting or in a block."""
        try:
            return bool(_ask(lambda: self.web3.eth.get_transaction(cast(Any, transaction))))
        except TransactionNotFound:
            return False

    def send(
        self,
        transaction: Mapping[str, Any],
        *,
        sender: Sender,
        signed: Callable[[str], object] = lambda transaction: None,
    ) -> str:
        """Send a transaction with gas, fees and nonce filled in, and return its hash without waiting.

        Args:
            transaction: what it does: "to", "data", "value".
            sender: who sends and pays.
            signed: called with the hash when it is signed and not yet sent, for whoever keeps a record; again with
                another where the nonce was lost. Not called where the node signs, nor by a queue, which keeps its own.

        Raises:
            AccountFundsError: the sender cannot pay.
        """
        if isinstance(sender, QueuedSender):
            return sender.send(transaction)
        request = {**transaction, "from": sender.address, "value": transaction.get("value", 0)}
        if "gas" not in request:
            request["gas"] = self.gas(request)
        request |= self.fees()
        try:
            if isinstance(sender, NodeSigner):
                return _ask(lambda: "0x" + bytes(self.web3.eth.send_transaction(cast(Any, request))).hex())
            return self._send_signed({**request, "chainId": self.chain_id}, sender, signed)
        except NodeError as error:
            if not _POOR.search(str(error)):
                raise
            raise AccountFundsError(sender.address, self.balance(sender.address)) from error

    def broadcast(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash: the same bytes again while the answer is unclear.

        That cannot double it.

        Raises:
            ConfirmationTimeoutError: no clear answer; the node may have it.
            NodeError: the node refuses it.
        """
        transaction = transaction_hash(raw)
        unclear: NodeError | None = None
        for attempt in range(_DELIVERIES):
            time.sleep(self.poll * attempt)
            try:
                _ask(lambda: self.web3.eth.send_raw_transaction(raw))
                return transaction
            except UnclearAnswerError as failure:
                unclear = failure
                if self._surely_knows(transaction):
                    return transaction
            except NodeError as failure:
                # The nonce may be lost to this very transaction: it came through, and the answer did not.
                if _KNOWN.search(str(failure)) or (unclear is not None and self._surely_knows(transaction)):
                    return transaction
                if not _NONCE_LOST.search(str(failure)):
                    if self._surely_knows(transaction):
                        return transaction  # Ganache refuses what failed, and has mined it: the receipt tells more
                    raise
                raise _NonceLostError(str(failure)) from failure
        raise ConfirmationTimeoutError(transaction, self.confirmations) from unclear

    def gas(self, transaction: Mapping[str, Any]) -> int:
        """The gas to send with a transaction, with a margin where it runs code.

        The estimate runs the transaction: a refusal shows here, before anything is spent.

        Raises:
            ContractError: the contract refused, as the exception of its error's name.
            NodeError: nobody answers, or it takes more gas than a block has.
        """
        estimate = _ask(lambda: int(self.web3.eth.estimate_gas(cast(Any, transaction))))
        return _with_margin(transaction, estimate)

    def gas_each(self, transactions: Sequence[Mapping[str, Any]]) -> list[int | MedProofError]:
        """The gas to send with each of several transactions, as `gas`, many in one request; or why there is none.

        Raises:
            NodeError: nobody answers.
        """
        found: list[int | MedProofError] = []
        quantities = [{**one, "value": hex(one.get("value", 0))} for one in transactions]
        for one, answer in zip(transactions, self.answers([("eth_estimateGas", [q]) for q in quantities]), strict=True):
            try:
                refused = _refusal(answer)
                estimate = _ask(lambda answer=answer: int(answer["result"], 16)) if refused is None else 0  # type: ignore[misc]
                found.append(refused or _with_margin(one, estimate))
            except NodeError as error:
                found.append(error)
        return found

    def fees(self) -> dict[str, int]:
        """Fees of EIP-1559: twice the base fee, so that six full blocks may pass; a gas price where there is none."""
        base = _ask(lambda: self.web3.eth.get_block("latest")).get("baseFeePerGas")
        if base is None:
            return {"gasPrice": int(_ask(lambda: self.web3.eth.gas_price))}
        tip = int(_ask(lambda: self.web3.eth.max_priority_fee))
        return {"maxFeePerGas": 2 * int(base) + tip, "maxPriorityFeePerGas": tip}

    def highest_price(self) -> int:
        """The most that a unit of gas may cost in a transaction that is sent now, in wei."""
        fees = self.fees()
        return fees.get("gasPrice") or fees["maxFeePerGas"]

    def wait(self, transaction: str, *, timeout: float | None = None) -> Receipt:
        """Wait until a transaction has its confirmations, also when the chain reorganises meanwhile.

        A node that fails meanwhile is asked again: the transaction is sent, and giving up would tempt to send another.

        Raises:
            ContractError: it is confirmed and the contract refused it.
            TransactionFailedError: it is confirmed, failed, and the reason cannot be found.
            ConfirmationTimeoutError: it is not confirmed in time.
        """
        limit = time.monotonic() + (self.timeout if timeout is None else timeout)
        pause, silence = self.poll, None
        while True:
            try:
                # The newest block first: what is read after it lies as deep as it seems, or deeper.
                newest = self.block_number()
                found = self.find(transaction)
                depth = 0 if found is None else max(newest - found["blockNumber"], 0) + 1
                if found is not None and depth >= self.confirmations:
                    return self._receipt(transaction, found)
            except NodeError as error:
                silence = error
            if time.monotonic() > limit:
                raise ConfirmationTimeoutError(transaction, self.confirmations) from silence
            time.sleep(pause)
            pause = min(1.5 * pause, max(_LONGEST_POLL, self.poll))

    def receipt(self, transaction: str) -> Receipt | None:
        """The receipt of a transaction, or None while it is in no block.

        Raises:
            ContractError: it is in a block and the contract refused it there.
            TransactionFailedError: it is in a block, failed, and the reason cannot be found.
        """
        found = self.find(transaction)
        return None if found is None else self._receipt(transaction, found)

    def find(self, transaction: str) -> Mapping[str, Any] | None:
        """What the node's receipt says of a transaction, succeeded or failed; None while it is in no block."""

        def ask() -> Mapping[str, Any]:
            found = self.web3.eth.get_transaction_receipt(cast(Any, transaction))
            return {
                **found,
                "blockNumber": int(found["blockNumber"]),
                "blockHash": "0x" + bytes(found["blockHash"]).hex(),
                "gasUsed": int(found["gasUsed"]),
                "logs": tuple(found["logs"]),
            }

        try:
            return _ask(ask)
        except TransactionNotFound:
            return None

    def _ask_each(self, questions: Sequence[tuple[str, list[Any]]]) -> Iterator[Mapping[str, Any]]:
        """The answers to several questions, as the node gives them; fewer at once where it takes no more."""
        done = 0
        while done < len(questions):
            part = questions[done : done + self._at_once]
            try:
                yield from _ask(lambda part=part: self._exchange(part))  # type: ignore[misc]
            except _RequestRefusedError as error:
                if len(part) == 1:
                    raise UnclearAnswerError(f"The node does not answer what it was asked: {error}") from error
                self._at_once = len(part) // 2
                continue
            done += len(part)

    def _post(self, body: str) -> tuple[requests.Response, bytes]:
        """What the node says to one request."""
        provider = cast(HTTPProvider, self.web3.provider)
        url, options = str(provider.endpoint_uri), dict(provider.get_request_kwargs())
        with self._session.post(url, body, **{**options, "stream": True}) as response:
            try:
                content = read_answer(response, _LONGEST_ANSWER)
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(type(error).__name__) from error
        if content is None:
            raise AnswerTooLongError(origin(url), _LONGEST_ANSWER)
        return response, content

    def _exchange(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Mapping[str, Any]]:
        """The answers to one request, in the order of the questions."""
        asked = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in enumerate(questions)
        ]
        alone = len(asked) == 1  # some nodes take no lists
        body = json.dumps(asked[0] if alone else asked, separators=(",", ":"))
        try:
            response, answer = self._post(body)
        except AnswerTooLongError as error:
            if alone:
                raise
            raise _RequestRefusedError(str(error)) from error
        if response.status_code in _TOO_MUCH and not alone:
            raise _RequestRefusedError(f"HTTP {response.status_code}")
        response.raise_for_status()
        content = json.loads(answer)
        if alone and content.get("error") is not None and content.get("id") is None:
            return [content]  # Ganache's, where it refuses a call before it runs it
        answers = [content] if alone else content
        if not isinstance(answers, list):
            raise _RequestRefusedError(_short(Exception(str(content))))
        found = {answer["id"]: answer for answer in answers}
        if len(answers) != len(asked) or found.keys() != set(range(len(asked))):
            raise _RequestRefusedError(f"{len(answers)} answers to {len(asked)} questions, or to others")
        if not alone and any(_error_code(answer) == _ANSWER_TOO_LONG for answer in answers):
            raise _RequestRefusedError("the answer is too long")
        return [found[number] for number in range(len(asked))]

    def _receipt(self, transaction: str, found: Mapping[str, Any]) -> Receipt:
        if found.get("status") == 0:
            self._raise_failure(transaction, found["blockNumber"])
        return Receipt(
            transaction=transaction,
            block=found["blockNumber"],
            block_hash=found["blockHash"],
            gas_used=found["gasUsed"],
            contract=cast("str | None", found["contractAddress"]),
            logs=found["logs"],
        )

    def _send_signed(self, request: dict[str, Any], sender: TransactionSigner, signed: Callable[[str], object]) -> str:
        fields = {name: value for name, value in request.items() if name != "from"}
        refusal: NodeError | None = None
        with self._locks[sender.address]:
            for attempt in range(_SEND_ATTEMPTS):
                time.sleep(self.poll * attempt)
                raw = sender.sign_transaction({**fields, "nonce": self.transaction_count(sender.address)})
                signed(transaction_hash(raw))
                try:
                    return self.broadcast(raw)
                except _NonceLostError as failure:
                    refusal = failure  # another sender of this account was quicker: sign again
        raise NodeError(
            f"The node refused {_SEND_ATTEMPTS} nonces of {sender.address} in a row ({refusal}). "
            "Send from fewer processes at once, or wait for the waiting transactions."
        )

    def _surely_knows(self, transaction: str) -> bool:
        try:
            return self.knows(transaction)
        except NodeError:
            return False

    def _raise_failure(self, transaction: str, block: int) -> NoReturn:
        """Run a failed transaction again, on the states before and after its block, to learn the reason."""
        try:
            sent = _ask(lambda: self.web3.eth.get_transaction(cast(Any, transaction)))
            request = {"from": sent["from"], "to": sent.get("to"), "data": sent["input"], "value": sent["value"]}
            for state in (block - 1, block):  # another transaction of its block may have been in its way
                _ask(lambda state=state: self.web3.eth.call(cast(Any, request), state))  # type: ignore[misc]
        except (ContractError, UnknownRevertError):
            raise
        except (NodeError, TransactionNotFound, LookupError):
            pass  # the node keeps no such old state, or not the transaction
        raise TransactionFailedError(transaction, block)


def transaction_hash(raw: bytes) -> str:
    """The hash of a signed transaction, 0x…"""
    return "0x" + keccak256(raw).hex()


def _with_margin(transaction: Mapping[str, Any], estimate: int) -> int:
    return int(estimate * _GAS_MARGIN) if transaction.get("data", "0x") not in ("", "0x", b"") else estimate


def _call_question(data: bytes, block: int, to: str | None = None) -> tuple[str, list[Any]]:
    call = {"data": "0x" + data.hex()} if to is None else {"to": to, "data": "0x" + data.hex()}
    return "eth_call", [call, hex(block)]


def _cut(said: Any, count: int, length: int) -> list[bytes]:
    """The answers to calls, each so many bytes long, from what the node says to an `eth_call`."""
    try:
        whole = bytes.fromhex(said.removeprefix("0x"))
    except (AttributeError, ValueError):
        whole = b"?"
    if not whole:
        raise NodeError(
            "There is no such contract at this address as of that block. Check the deployment and the chain."
        )
    if len(whole) != count * length:
        raise NodeError(f"The node gave {len(whole)} bytes for {count * length}. Name another node.")
    return [whole[start : start + length] for start in range(0, len(whole), length)]


def _error_code(answer: Mapping[str, Any]) -> Any:
    error = answer.get("error")
    return error.get("code") if isinstance(error, Mapping) else None


def _refusal(answer: Mapping[str, Any]) -> ContractError | UnknownRevertError | None:
    """Why a call in a request of several failed, if the contract refused it."""
    if answer.get("error") is None:
        return None
    error = answer["error"]
    said = str(error.get("message") if isinstance(error, Mapping) else error)
    data = revert_data(Web3RPCError(said, rpc_response=cast(Any, answer)))
    if data is not None:
        return decode_error(data)
    if _REVERTED.search(said):
        return UnknownRevertError(b"", said)
    raise NodeError(f"The node refused: {_short(Exception(said))}")


def _logs(kind: Any, first: int, last: int, filters: dict[str, Any] | None) -> list[Event]:
    """The events of one kind in a range of blocks."""
    try:
        return [
            decode_log(log)
            for log in _ask(lambda: kind.get_logs(from_block=first, to_block=last, argument_filters=filters))
        ]
    except NodeError as error:
        raise NodeError(f"The node gave no logs of blocks {first} to {last}: {error}") from error.__cause__


def _ask(question: Callable[[], _T]) -> _T:
    """Ask the node; every way of failing becomes one of ours."""
    try:
        return question()
    except TransactionNotFound:
        raise  # an answer, not a failure
    except (ContractCustomError, ContractLogicError, Web3RPCError) as error:
        data = revert_data(error)
        if data is not None:
            raise decode_error(data) from None
        if isinstance(error, ContractLogicError):
            raise UnknownRevertError(b"", str(error)) from None
        raise NodeError(f"The node refused: {_short(error)}") from error
    except BadFunctionCallOutput as error:
        raise NodeError("There is no such contract at this address. Check the deployment and the chain.") from error
    except requests.RequestException as error:
        response = getattr(error, "response", None)
        status = 0 if response is None else int(response.status_code)
        kind = NodeError if 400 <= status < 500 and status not in (408, 429) else UnclearAnswerError
        said = f"{type(error).__name__} {status}" if status else type(error).__name__
        raise kind(f"The node does not answer ({said}). Check its URL, and that it runs.") from error
    except Web3Exception as error:
        raise UnclearAnswerError(f"The node's answer cannot be used: {_short(error)}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise UnclearAnswerError(
            f"The node's answer cannot be used ({type(error).__name__}). "
            "Check that its URL is the JSON-RPC address of an Ethereum node."
        ) from error


def _bind(contract: Contract, function: str, arguments: Sequence[Any]) -> tuple[Any, Any]:
    """A function with its arguments, and the data of its call."""
    try:
        bound = getattr(contract.functions, function)(*arguments)
        return bound, bound._encode_transaction_data()
    except (Web3Exception, ValueError, TypeError, OverflowError) as error:
        kinds = [
            ", ".join(f"{one['type']} {one['name']}" for one in entry["inputs"])
            for entry in contract.abi
            if entry["type"] == "function" and entry["name"] == function
        ]
        raise ArgumentError(
            f"{function} takes {' or '.join(f'({kind})' for kind in kinds) or 'nothing: there is no such function'}, "
            "and these arguments do not fit. Check their number, types and ranges, and the addresses' checksums."
        ) from error


def _address(value: str) -> str:
    try:
        return to_checksum_address(value)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{value!r} is no address. Give 0x and 40 hexadecimal digits.") from error


def address_bytes(value: str) -> bytes:
    """An address's 20 bytes; quick, for many.

    Raises:
        ArgumentError: it is none, or its capitals are not those of its checksum (EIP-55).
    """
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    if not _ADDRESS.fullmatch(digits):
        raise ArgumentError(f"{value!r} is no address. Give 0x and 40 hexadecimal digits.")
    small = digits.lower()
    if digits != small:
        places = keccak256(small.encode("ascii")).hex()
        if digits != "".join([_CASED[pair] for pair in zip(places, small)]):  # noqa: B905 - the hash is longer
            raise ArgumentError(f"{value} has another checksum: a digit is wrong, or the case of one. Compare it.")
    return bytes.fromhex(small)


def origin(url: str) -> str:
    """A URL without its path and user, where providers put the keys of their customers."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 300 else f"{text[:300]}…"


# What nodes say: geth, Besu, Erigon, Nethermind ("OldNonce"), Anvil ("already imported"), Ganache. An underpriced
# transaction is one that would replace another, unless its tip is below the node's floor.
_KNOWN = re.compile("already ?known|known transaction|already imported", re.IGNORECASE)
_POOR = re.compile("insufficient (funds|balance|sender ?balance)|enough funds|upfront cost", re.IGNORECASE)
_REVERTED = re.compile("revert|out of gas|invalid opcode", re.IGNORECASE)
_NONCE_LOST = re.compile(
    "nonce (is )?too low|oldnonce|correct nonce|underpriced(?!: )|could not replace existing|replacementnotallowed",
    re.IGNORECASE,
)
