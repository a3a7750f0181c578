"""What a queue asks a node, many questions in one request, and never more of what it says than can be checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from medproof.chain import Chain, Receipt, UnclearAnswerError, origin
from medproof.errors import NodeError, WrongChainError

__all__ = ["Account", "Look", "Node", "Verdict", "found_of", "hopeless", "poor", "receipt_of"]

_LARGEST_POOL = 100_000  # transactions of one account that wait; what claims more is no count
_LARGEST = 1 << 62  # number that is believed
_MANY = 20  # of our transactions in one block, from which on all of its receipts are asked for at once
_HASH = re.compile("0x[0-9a-f]{64}")
_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
_KNOWN = re.compile("already ?known|known transaction|already imported", re.IGNORECASE)
_POOR = re.compile("insufficient (funds|balance|sender ?balance)|enough funds|upfront cost", re.IGNORECASE)
# What stays so however often it is sent: geth, Besu, Erigon, Nethermind, Anvil, Ganache.
_HOPELESS = re.compile(
    "block.{0,3}gas.{0,3}limit|intrinsic gas|intrinsicgas|oversized|init.?code|exceeds allowance|gas limit too high"
    r"|invalid sender|invalid chain|chain.?id|transaction type not supported|gas limit.{0,30}\bcap\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Account:
    """How an account stands."""

    mined: int  # how many transactions of it are in blocks
    pending: int  # with those that the node has waiting, one after the other: the next nonce, as far as it knows
    balance: int  # wei


@dataclass(frozen=True)
class Look:
    """What the node says now."""

    newest: int  # block
    accounts: Mapping[str, Account]


@dataclass(frozen=True)
class Verdict:
    """What the node says to a transaction that it was sent."""

    taken: bool
    poor: bool = False  # the account cannot pay for it
    reason: str | None = None  # why it will not be taken however often it is sent, as far as the node says


class Node:
    """The questions."""

    def __init__(self, chain: Chain) -> None:
        """Ask the node of a chain."""
        self._chain = chain
        self._whole_blocks = True  # whether it gives all receipts of a block

    def look(self, accounts: Sequence[str]) -> Look:
        """How the chain and some accounts stand. What is asked later is as new, or newer.

        Raises:
            WrongChainError: it is another chain by now.
            NodeError: nobody answers, or the counts contradict each other.
        """
        questions: list[tuple[str, list[Any]]] = [("eth_chainId", []), ("eth_blockNumber", [])]
        for one in accounts:
            questions += [("eth_getTransactionCount", [one, "latest"]), ("eth_getTransactionCount", [one, "pending"])]
            questions += [("eth_getBalance", [one, "latest"])]
        chain_id, newest, *said = map(_number, self._chain.ask(questions))
        if chain_id != self._chain.chain_id:
            url = str(getattr(self._chain.web3.provider, "endpoint_uri", ""))
            raise WrongChainError(origin(url), self._chain.chain_id, chain_id)
        found = {one: Account(*said[3 * place : 3 * place + 3]) for place, one in enumerate(accounts)}
        for address, account in found.items():
            if account.pending - account.mined > _LARGEST_POOL or account.mined > _LARGEST:
                raise UnclearAnswerError(
                    f"The node counts {account.mined} transactions of {address} in blocks and {account.pending} in "
                    "all, which cannot be. Name another node."
                )
        # A node without a pool of its own, behind others, may say less of what waits than of what is mined.
        return Look(newest, {one: Account(a.mined, max(a.mined, a.pending), a.balance) for one, a in found.items()})

    def receipts(self, hashes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The receipts of those of the transactions that are in blocks, as the node gives them."""
        left, found = list(dict.fromkeys(hashes)), dict[str, Mapping[str, Any]]()
        while self._whole_blocks and len(left) >= _MANY:
            first = self._receipts(left[:1])[0]
            if first is None:
                break
            of_block = self._block_receipts(first["blockNumber"])
            ours = {left[0]: first} | {one: _checked(of_block[one], one) for one in left if one in of_block}
            found |= ours
            left = [one for one in left if one not in ours]
            if len(ours) < _MANY // 2:  # they are scattered
                break
        return found | {one: said for one, said in zip(left, self._receipts(left), strict=True) if said is not None}

    def _receipts(self, hashes: Sequence[str]) -> list[Mapping[str, Any] | None]:
        said = self._chain.ask([("eth_getTransactionReceipt", [one]) for one in hashes])
        return [None if found is None else _checked(found, one) for one, found in zip(hashes, said, strict=True)]

    def _block_receipts(self, block: str) -> dict[str, Mapping[str, Any]]:
        """All receipts of a block by their transactions; none where the node gives no such."""
        (answer,) = self._chain.answers([("eth_getBlockReceipts", [block])])
        said = answer.get("result")
        self._whole_blocks = isinstance(said, list)
        return {_member(one, "transactionHash"): one for one in said} if isinstance(said, list) else {}

    def hashes(self, blocks: Iterable[int]) -> dict[int, str | None]:
        """The hashes of blocks by their numbers; None of one that is not there."""
        asked = list(blocks)
        said = self._chain.ask([("eth_getBlockByNumber", [hex(one), False]) for one in asked])
        return {one: None if block is None else _member(block, "hash") for one, block in zip(asked, said, strict=True)}

    def keeps(self, hashes: Sequence[str]) -> list[bool]:
        """Whether the node has each of these transactions waiting. One that it has in a block is not: its nonce would
        count, unless the block is gone."""
        said = self._chain.ask([("eth_getTransactionByHash", [one]) for one in hashes])
        return [isinstance(one, Mapping) and one.get("blockNumber") is None for one in said]

    def deliver(self, raws: Sequence[bytes]) -> list[Verdict]:
        """Send signed transactions, in their order; the same ones again do no harm.

        Raises:
            NodeError: no clear answer; the node may have taken any of them.
        """
        said = self._chain.answers([("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in raws])
        return [_verdict(one) for one in said]

    def taker(self, account: str, nonce: int, first: int, last: int) -> str | None:
        """The hash of the transaction in a block that took a nonce, looked for from block to block; None where the
        node keeps no old states, or has none such."""
        try:
            while first < last:
                middle = (first + last) // 2
                if self._chain.transaction_count(account, block=middle) > nonce:
                    last = middle
                else:
                    first = middle + 1
            (block,) = self._chain.ask([("eth_getBlockByNumber", [hex(first), True])])
            for one in block["transactions"]:
                if one["from"].lower() == account.lower() and int(one["nonce"], 16) == nonce:
                    return str(one["hash"])
        except (NodeError, LookupError, TypeError, ValueError, AttributeError):
            pass
        return None


def found_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as `Chain.find` has it, from what the node gives."""
    return cast(
        dict[str, Any],
        _unclear(
            lambda: {
                **said,
                "status": int(said.get("status", "0x1"), 16),
                "blockNumber": int(said["blockNumber"], 16),
                "gasUsed": int(said["gasUsed"], 16),
                "contractAddress": said.get("contractAddress") and to_checksum_address(said["contractAddress"]),
                "logs": tuple(_log(log) for log in said["logs"]),
            }
        ),
    )


def receipt_of(said: Mapping[str, Any]) -> Receipt:
    """A receipt of a transaction that succeeded, from what the node gives."""
    found = found_of(said)
    return Receipt(
        transaction=found["transactionHash"],
        block=found["blockNumber"],
        block_hash=found["blockHash"],
        gas_used=found["gasUsed"],
        contract=found["contractAddress"],
        logs=found["logs"],
    )


def _log(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **said,
        "address": to_checksum_address(said["address"]),
        "topics": [HexBytes(topic) for topic in said["topics"]],
        "data": HexBytes(said["data"]),
        "blockNumber": int(said["blockNumber"], 16),
        "blockHash": HexBytes(said["blockHash"]),
        "transactionHash": HexBytes(said["transactionHash"]),
        "transactionIndex": int(said["transactionIndex"], 16),
        "logIndex": int(said["logIndex"], 16),
    }


def _checked(said: Any, transaction: str) -> Mapping[str, Any]:
    """A receipt that is this transaction's, and says where it is."""
    if _member(said, "transactionHash") != transaction:
        raise UnclearAnswerError(f"The node gives another transaction's receipt for {transaction}. Name another node.")
    if not _HASH.fullmatch(_member(said, "blockHash")) or max(map(_number, _numbers(said))) > _LARGEST:
        raise UnclearAnswerError(f"The node's receipt of {transaction} cannot be one. Name another node.")
    return cast(Mapping[str, Any], said)


def _numbers(said: Mapping[str, Any]) -> list[Any]:
    return [said.get("blockNumber"), said.get("gasUsed"), said.get("status", "0x1")]


def _verdict(answer: Mapping[str, Any]) -> Verdict:
    error = answer.get("error")
    if error is None:
        return Verdict(taken=True)
    said = str(error.get("message") if isinstance(error, Mapping) else error)[:300]
    if _KNOWN.search(said):
        return Verdict(taken=True)
    if poor(said):
        return Verdict(taken=False, poor=True)
    return Verdict(taken=False, reason=f"The node says: {said}." if hopeless(said) else None)


def hopeless(said: str) -> bool:
    """Whether a node refuses a transaction for what will not change."""
    return bool(_HOPELESS.search(said))


def poor(said: str) -> bool:
    """Whether a node refuses a transaction because its account cannot pay for it."""
    return bool(_POOR.search(said))


def _member(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, Mapping) else None
    if not isinstance(value, str):
        raise UnclearAnswerError(f"The node's answer has no {name}. Check that its URL is an Ethereum node's.")
    return value


def _number(said: Any) -> int:
    if isinstance(said, str) and _QUANTITY.fullmatch(said):
        return int(said, 16)
    raise UnclearAnswerError(
        "The node's answer has no number where one belongs. Check that its URL is an Ethereum node's."
    )


def _unclear(reading: Callable[[], Any]) -> Any:
    try:
        return reading()
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnclearAnswerError(
            f"The node's answer cannot be used ({type(error).__name__}). Check that its URL is an Ethereum node's."
        ) from error
