"""The chain: connect, call, send, wait, and turn a contract's error into the exception of its name.

One `Chain` may be shared by threads, and one account by several processes: nonces come from the node, one
transaction of an account at a time, and whoever loses a race against another process signs again.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
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

from medproof.decoding import Event, decode_error, decode_log, decode_logs, revert_data
from medproof.errors import (
    ConfirmationTimeoutError,
    NodeError,
    TransactionFailedError,
    UnknownRevertError,
    WrongChainError,
)
from medproof.networks import Network, network_named
from medproof.signing import NodeSigner, TransactionSigner

__all__ = ["Chain", "Event", "Receipt", "Sender"]

Sender = TransactionSigner | NodeSigner

_SEND_ATTEMPTS = 20  # times a transaction is signed again after losing its nonce to another sender
_GAS_MARGIN = 1.2  # on top of the estimate: the state may change before the transaction is mined
_LOG_RANGE = 2_000  # blocks asked for at once; halved when a provider refuses

_T = TypeVar("_T")


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


class Chain:
    """A connection to one chain."""

    def __init__(self, web3: Web3, *, confirmations: int = 1, timeout: float = 120.0, poll: float = 0.05) -> None:
        """Use a web3 connection.

        Args:
            web3: the connection.
            confirmations: how many blocks, its own included, must stand before a transaction counts.
            timeout: seconds to wait for them.
            poll: seconds between two looks.
        """
        self.web3 = web3
        self.confirmations = confirmations
        self.timeout = timeout
        self.poll = poll
        self.chain_id = _ask(lambda: web3.eth.chain_id)
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @classmethod
    def connect(
        cls, network: str | Network, *, chain_id: int | None = None, confirmations: int | None = None, **options: Any
    ) -> Chain:
        """Connect to a named network or to a node's URL, and check that it is the chain that was meant.

        Raises:
            UnknownNetworkError: the name is not known and is no URL.
            NodeError: nobody answers there.
            WrongChainError: another chain answers than the one that was meant.
        """
        meant = network if isinstance(network, Network) else network_named(network)
        web3 = Web3(Web3.HTTPProvider(meant.url, request_kwargs={"timeout": 30}))
        web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        chain = cls(web3, confirmations=confirmations or meant.confirmations, **options)
        expected = chain_id if chain_id is not None else meant.chain_id
        if expected is not None and chain.chain_id != expected:
            raise WrongChainError(meant.url, expected, chain.chain_id)
        return chain

    # -- reading ------------------------------------------------------------------------------------------------

    def contract(self, address: str, abi: Sequence[Mapping[str, Any]]) -> Contract:
        """A contract at an address."""
        return self.web3.eth.contract(address=to_checksum_address(address), abi=list(abi))

    def call(self, contract: Contract, function: str, arguments: Sequence[Any], *, block: int | str = "latest") -> Any:
        """Call a view function as of a block.

        Raises:
            ContractError: the contract refused, as the exception of its error's name.
            NodeError: nobody answers, or there is no such contract.
        """
        bound = getattr(contract.functions, function)(*arguments)
        return _ask(lambda: bound.call(block_identifier=block))

    def block_number(self) -> int:
        """The number of the newest block."""
        return int(_ask(lambda: self.web3.eth.block_number))

    def timestamp(self, block: int | str = "latest") -> int:
        """The time of a block, in seconds since 1970."""
        return int(_ask(lambda: self.web3.eth.get_block(cast(Any, block)))["timestamp"])

    def code(self, address: str) -> bytes:
        """The code at an address; empty where there is none."""
        return bytes(_ask(lambda: self.web3.eth.get_code(to_checksum_address(address))))

    def balance(self, address: str) -> int:
        """The balance of an account, in wei."""
        return int(_ask(lambda: self.web3.eth.get_balance(to_checksum_address(address))))

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

        Args:
            contract: the emitting contract.
            name: the event's name.
            filters: values, or lists of values, of indexed arguments.
            from_block: first block, inclusive.
            to_block: last block, inclusive; the newest where none is given.
        """
        kind = getattr(contract.events, name)()
        last = self.block_number() if to_block is None else to_block
        size = _LOG_RANGE
        while from_block <= last:
            until = min(from_block + size - 1, last)
            try:
                logs = kind.get_logs(
                    from_block=from_block, to_block=until, argument_filters=dict(filters) if filters else None
                )
            except (Web3Exception, requests.RequestException, ValueError) as error:
                if until == from_block or isinstance(error, requests.ConnectionError):
                    raise NodeError(f"The node gave no logs of block {from_block}: {error}") from error
                size = max(1, (until - from_block + 1) // 2)
                continue
            yield from (decode_log(log) for log in logs)
            from_block = until + 1

    # -- sending ------------------------------------------------------------------------------------------------

    def transact(self, contract: Contract, function: str, arguments: Sequence[Any], *, sender: Sender) -> Receipt:
        """Send a call of a function and wait until it counts.

        Raises:
            ContractError: the contract refused, as the exception of its error's name; nothing was sent where it
                would have refused already, and gas was spent where the state changed in between.
            TransactionFailedError: it failed on the chain without a reason that can be found.
            ConfirmationTimeoutError: it was sent and is not confirmed in time; its hash is in the exception.
            NodeError: nobody answers.
        """
        bound = getattr(contract.functions, function)(*arguments)
        data = bound._encode_transaction_data()
        return self.wait(self.send({"to": contract.address, "data": data}, sender=sender))

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

    def send(self, transaction: Mapping[str, Any], *, sender: Sender) -> str:
        """Send a transaction with gas, fees and nonce filled in, and return its hash without waiting."""
        request = {**transaction, "from": sender.address, "value": transaction.get("value", 0)}
        if "gas" not in request:
            # The estimate runs the transaction: a refusal shows here, before anything is spent.
            estimate = _ask(lambda: self.web3.eth.estimate_gas(cast(Any, request)))
            request["gas"] = int(estimate * _GAS_MARGIN) if request.get("data") else estimate
        request |= self._fees()
        if isinstance(sender, NodeSigner):
            return "0x" + bytes(_ask(lambda: self.web3.eth.send_transaction(cast(Any, request)))).hex()
        return self._send_signed({**request, "chainId": self.chain_id}, sender)

    def wait(self, transaction: str, *, timeout: float | None = None) -> Receipt:
        """Wait until a transaction has its confirmations, also when the chain reorganises meanwhile."""
        limit = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            receipt = self.receipt(transaction)
            if receipt is not None and self.block_number() - receipt.block + 1 >= self.confirmations:
                return receipt
            if time.monotonic() > limit:
                raise ConfirmationTimeoutError(transaction, self.confirmations)
            time.sleep(self.poll)

    def receipt(self, transaction: str) -> Receipt | None:
        """The receipt of a transaction, or None while it is in no block.

        Raises:
            ContractError: it is in a block and the contract refused it there.
            TransactionFailedError: it is in a block, failed, and the reason cannot be found.
        """
        try:
            found = _ask(lambda: self.web3.eth.get_transaction_receipt(cast(Any, transaction)))
        except TransactionNotFound:
            return None
        if found["status"] == 0:
            self._raise_failure(transaction, int(found["blockNumber"]))
        return Receipt(
            transaction=transaction,
            block=int(found["blockNumber"]),
            block_hash="0x" + bytes(found["blockHash"]).hex(),
            gas_used=int(found["gasUsed"]),
            contract=cast("str | None", found["contractAddress"]),
            logs=tuple(cast(Any, found["logs"])),
        )

    def _send_signed(self, request: dict[str, Any], sender: TransactionSigner) -> str:
        fields = {name: value for name, value in request.items() if name != "from"}
        refusal: NodeError | None = None
        with self._locks[sender.address]:
            for attempt in range(_SEND_ATTEMPTS):
                time.sleep(self.poll * attempt)
                raw = sender.sign_transaction({**fields, "nonce": self._next_nonce(sender.address)})
                try:
                    return "0x" + bytes(_ask(lambda raw=raw: self.web3.eth.send_raw_transaction(raw))).hex()
                except NodeError as failure:
                    if _is_known(failure):
                        return "0x" + keccak(raw).hex()
                    if not _is_nonce_lost(failure):
                        raise
                    refusal = failure  # another sender of this account was quicker: sign again
        raise NodeError(
            f"The node refused {_SEND_ATTEMPTS} nonces of {sender.address} in a row ({refusal}). "
            "Send from fewer processes at once, or wait for the waiting transactions."
        )

    def _next_nonce(self, address: str) -> int:
        return int(_ask(lambda: self.web3.eth.get_transaction_count(to_checksum_address(address), "pending")))

    def _fees(self) -> dict[str, int]:
        """Fees of EIP-1559: twice the base fee, so that six full blocks may pass; a gas price where there is none."""
        base = _ask(lambda: self.web3.eth.get_block("latest")).get("baseFeePerGas")
        if base is None:
            return {"gasPrice": int(_ask(lambda: self.web3.eth.gas_price))}
        tip = int(_ask(lambda: self.web3.eth.max_priority_fee))
        return {"maxFeePerGas": 2 * int(base) + tip, "maxPriorityFeePerGas": tip}

    def _raise_failure(self, transaction: str, block: int) -> None:
        """Run a failed transaction again, on the state it met, to learn the reason."""
        sent = _ask(lambda: self.web3.eth.get_transaction(cast(Any, transaction)))
        request = {"from": sent["from"], "to": sent.get("to"), "data": sent["input"], "value": sent["value"]}
        _ask(lambda: self.web3.eth.call(cast(Any, request), block - 1))
        raise TransactionFailedError(transaction, block)


def _ask(question: Any) -> Any:
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
        raise NodeError(f"The node refused: {error}") from error
    except BadFunctionCallOutput as error:
        raise NodeError("There is no such contract at this address. Check the deployment and the chain.") from error
    except requests.RequestException as error:
        raise NodeError(
            f"The node does not answer ({type(error).__name__}). Check its URL, and that it runs."
        ) from error
    except Web3Exception as error:
        raise NodeError(f"The node's answer cannot be used: {error}") from error


def _is_known(error: Exception) -> bool:
    return any(text in str(error).lower() for text in ("already known", "known transaction", "already imported"))


def _is_nonce_lost(error: Exception) -> bool:
    texts = (
        "nonce too low",
        "nonce is too low",
        "the tx doesn't have the correct nonce",
        "correct nonce",
        "underpriced",
    )
    return any(text in str(error).lower() for text in texts)
