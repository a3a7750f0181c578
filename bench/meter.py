"""Sends transactions to a local chain and says what each cost, and what it had to cost at least.

Everything that could move a figure is fixed: keys, contract addresses, hashes, signatures and the chain's clock. A zero
byte of calldata is cheaper than another, so keys, hashes and deadlines are chosen such that no address, hash or
signature has one by accident.
"""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eth_account import Account
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3

from scripts.local_chain import LocalChain

CHAIN_ID = 1337
CLOCK = "2026-06-01T00:00:00Z"  # the chain's clock starts here, and each block is one second later
DEADLINE = 0x8A5B2101  # the first deadline tried for a signature; in the year 2043
OVERDUE = 0x6A1B2101  # the first tried for what is past when the clock starts; in May 2026

# Gas prices of the Shanghai fork, by EIP: 2028 (calldata), 2929 (cold access), 3529 (refunds), 3860 (initcode).
TRANSACTION, CREATION = 21_000, 32_000
ZERO_BYTE, OTHER_BYTE, INITCODE_WORD, CODE_BYTE = 4, 16, 2, 200
COLD_ACCOUNT, COLD_SLOT = 2_600, 2_100
NEW_SLOT, CHANGED_SLOT, CLEARED_SLOT_REFUND, LARGEST_REFUND = 22_100, 5_000, 4_800, 5  # the last: a fifth of the gas
LOG, LOG_TOPIC, LOG_BYTE = 375, 375, 8

_GAS_LIMIT = 30_000_000  # the chain's block
_GAS_PRICE = 10**10
_BALANCE = 10**24


class BenchError(Exception):
    """The benchmark cannot go on: a transaction failed, or something it needs is missing."""


class Signable(Protocol):
    """A message that eth-account can sign, such as `medproof.messages.TypedData`."""

    def signable(self) -> SignableMessage:
        """The form that eth-account signs."""


@dataclass(frozen=True)
class Cost:
    """What one operation costs."""

    gas: int  # gas used, as the receipt says it
    floor: int  # what no contract could go below: transaction, calldata, storage left changed, logs

    def each(self, count: int) -> Cost:
        """The share of one of `count` items done together, rounded up."""
        return Cost(-(-self.gas // count), -(-self.floor // count))


@dataclass(frozen=True)
class Contract:
    """A deployed contract."""

    address: str
    abi: Sequence[Any]

    def call(self, function: str, *arguments: Any) -> bytes:
        """The calldata of a call."""
        return bytes.fromhex(_contract(self.abi).encode_abi(function, args=list(arguments))[2:])


@dataclass(frozen=True)
class Sent:
    """A mined transaction."""

    cost: Cost
    receipt: Mapping[str, Any]  # as the node gives it: quantities in hexadecimal


def fixed_chain() -> LocalChain:
    """A chain whose clock, and so every block, is the same in each run."""
    return LocalChain(options={"chain": {"time": CLOCK}, "miner": {"timestampIncrement": 1}})


def has_zero_byte(data: bytes) -> bool:
    """Whether any byte is zero, and so cheaper than others."""
    return 0 in data


def fixed_hash(label: str) -> bytes:
    """A 32-byte value that stands for a commitment: a hash of the label without zero bytes."""
    hashes = (keccak(text=f"medproof bench {label} {number}") for number in itertools.count())
    return next(value for value in hashes if not has_zero_byte(value))


def fixed_account(role: str, *, deployments: int = 0) -> LocalAccount:
    """The account of a role: neither its address nor those of its first `deployments` contracts has a zero byte."""
    for number in itertools.count():
        account: LocalAccount = Account.from_key(keccak(text=f"medproof bench {role} {number}"))
        addresses = [account.address, *(created_address(account.address, nonce) for nonce in range(deployments))]
        if not any(has_zero_byte(bytes.fromhex(address[2:])) for address in addresses):
            return account
    raise AssertionError  # unreachable


def created_address(creator: str, nonce: int) -> str:
    """The address of the contract that an account creates with its transaction `nonce`, which is below 128."""
    encoded = b"\xd6\x94" + bytes.fromhex(creator[2:]) + bytes([nonce or 0x80])  # RLP
    return to_checksum_address(keccak(encoded)[12:])


def signed(
    message: Callable[[int], Signable], *accounts: LocalAccount, first: int = DEADLINE
) -> tuple[int, list[bytes]]:
    """Sign a message, with the first deadline from `first` on for which neither it nor a signature has a zero byte.

    Returns the deadline and one signature for each account.
    """
    for deadline in itertools.count(first):
        signable = message(deadline).signable()
        signatures = [bytes(account.sign_message(signable).signature) for account in accounts]
        if not has_zero_byte(b"".join(signatures) + deadline.to_bytes(4, "big")):
            return deadline, signatures
    raise AssertionError  # unreachable


def gas_used(receipt: Mapping[str, Any]) -> int:
    """The gas that a transaction used, as its receipt says it."""
    return int(receipt["gasUsed"], 16)


def calldata_gas(data: bytes) -> int:
    """What the calldata alone costs."""
    zeros = data.count(0)
    return ZERO_BYTE * zeros + OTHER_BYTE * (len(data) - zeros)


class Meter:
    """Sends transactions and measures them; one for each chain."""

    def __init__(self, url: str) -> None:
        """Measure on the chain at this address."""
        self._url = url
        self._nonces: dict[str, int] = {}

    def rpc(self, method: str, *parameters: Any) -> Any:
        """Call the node. Raises `BenchError` with the node's words."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
        if "error" in answer:
            raise BenchError(f"{method}: {answer['error'].get('message')} {answer['error'].get('data', '')}")
        return answer["result"]

    def send(self, sender: LocalAccount, to: Contract, function: str, *arguments: Any) -> Sent:
        """Call a function of a contract in a transaction of its own: everything that it touches is cold."""
        return self._measured(sender, to.address, to.call(function, *arguments))

    def execute(self, sender: LocalAccount, to: Contract, function: str, *arguments: Any) -> Mapping[str, Any]:
        """The same without a floor, which takes the transaction's whole trace; returns the receipt."""
        return self._transact(sender, to.address, to.call(function, *arguments))

    def deploy(self, sender: LocalAccount, artifact: Mapping[str, Any], *arguments: Any) -> tuple[Contract, Sent]:
        """Deploy a contract from its artifact (`abi`, `bytecode`)."""
        creation = _contract(artifact["abi"], artifact["bytecode"]).constructor(*arguments).data_in_transaction
        sent = self._measured(sender, None, bytes.fromhex(creation[2:]))
        return Contract(to_checksum_address(sent.receipt["contractAddress"]), artifact["abi"]), sent

    def view(self, sender: LocalAccount, to: Contract, function: str, *arguments: Any) -> tuple[Cost, bytes]:
        """The execution gas of a view called from a transaction, without the 21,000 and the calldata; and its answer.

        Its floor is the first touch of every other contract and of every storage slot that it reads.
        """
        data = to.call(function, *arguments)
        sent = self._measured(sender, to.address, data)
        execution = sent.cost.gas - TRANSACTION - calldata_gas(data)
        accounts, slots = set(), set()
        for address, step in self._steps(sent.receipt):
            if step["op"] == "SLOAD":
                slots.add((address, step["stack"][-1]))
            elif step["op"] in ("CALL", "STATICCALL", "DELEGATECALL"):
                accounts.add(_address(step["stack"][-2]))
        others = [account for account in accounts if int(account, 16) > 0xFF]  # precompiles are always warm
        answer = self.rpc("eth_call", {"from": sender.address, "to": to.address, "data": "0x" + data.hex()}, "latest")
        floor = COLD_ACCOUNT * len(others) + COLD_SLOT * len(slots)
        return Cost(execution, floor), bytes.fromhex(answer[2:])

    def _measured(self, sender: LocalAccount, to: str | None, data: bytes) -> Sent:
        receipt = self._transact(sender, to, data)
        return Sent(Cost(gas_used(receipt), self._floor(receipt, data)), receipt)

    def _transact(self, sender: LocalAccount, to: str | None, data: bytes) -> Mapping[str, Any]:
        nonce = self._nonces.get(sender.address, 0)
        if nonce == 0:
            self.rpc("evm_setAccountBalance", sender.address, hex(_BALANCE))
        transaction: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "gas": _GAS_LIMIT,
            "gasPrice": _GAS_PRICE,
            "value": 0,
            "data": data,
            **({} if to is None else {"to": to}),
        }
        raw = bytes(sender.sign_transaction(transaction).raw_transaction)
        receipt: Mapping[str, Any] | None = self.rpc(
            "eth_getTransactionReceipt", self.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        )
        self._nonces[sender.address] = nonce + 1
        if receipt is None or receipt["status"] != "0x1":
            raise BenchError(f"a transaction failed: {receipt}")
        return receipt

    def _floor(self, receipt: Mapping[str, Any], data: bytes) -> int:
        gas = TRANSACTION + calldata_gas(data)
        if receipt["contractAddress"] is not None:
            code = self.rpc("eth_getCode", receipt["contractAddress"], "latest")
            gas += CREATION + INITCODE_WORD * -(-len(data) // 32) + CODE_BYTE * (len(code) // 2 - 1)
        for log in receipt["logs"]:
            gas += LOG + LOG_TOPIC * len(log["topics"]) + LOG_BYTE * (len(log["data"]) // 2 - 1)

        refund = 0
        written = {(address, step["stack"][-1]) for address, step in self._steps(receipt) if step["op"] == "SSTORE"}
        block = int(receipt["blockNumber"], 16)
        for address, slot in written:
            key = hex(int(slot, 16))
            before, after = (self._stored(address, key, number) for number in (block - 1, block))
            if before == after:
                continue
            gas += NEW_SLOT if before == 0 else CHANGED_SLOT
            refund += CLEARED_SLOT_REFUND if after == 0 else 0
        return gas - min(refund, gas // LARGEST_REFUND)

    def _stored(self, address: str, slot: str, block: int) -> int:
        value: str = self.rpc("eth_getStorageAt", address, slot, hex(block))
        return int(value, 16) if len(value) > 2 else 0  # before a contract exists, its storage reads "0x"

    def _steps(self, receipt: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        """Every step of the transaction's trace, with the contract whose storage it works on."""
        options = {"disableMemory": True, "disableStorage": True}
        trace = self.rpc("debug_traceTransaction", receipt["transactionHash"], options)
        contracts = [str(receipt["to"] or receipt["contractAddress"]).lower()]
        steps: list[tuple[str, Mapping[str, Any]]] = []
        first = trace["structLogs"][0]["depth"]
        entered = ""
        for step in trace["structLogs"]:
            depth = step["depth"] - first + 1
            if depth > len(contracts):
                contracts.append(entered)
            del contracts[depth:]
            steps.append((contracts[-1], step))
            if step["op"] in ("CALL", "STATICCALL"):
                entered = _address(step["stack"][-2])
            elif step["op"] in ("DELEGATECALL", "CALLCODE"):
                entered = contracts[-1]
            elif step["op"] in ("CREATE", "CREATE2"):
                raise BenchError("a transaction that creates contracts while it runs cannot be measured")
        return steps


def _address(word: str) -> str:
    return f"0x{int(word, 16) & ((1 << 160) - 1):040x}"


def _contract(abi: Sequence[Any], bytecode: str | None = None) -> Any:
    return Web3().eth.contract(abi=abi, bytecode=bytecode) if bytecode else Web3().eth.contract(abi=abi)
