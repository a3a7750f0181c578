"""What the clients of all contracts share: calling, sending, relaying, reading events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, ClassVar

from web3.contract import Contract

from medproof.artifacts import artifact
from medproof.chain import Chain, Receipt, Sender
from medproof.decoding import Event
from medproof.deployments import Deployment
from medproof.errors import ArgumentError, MessageError, SigningNeededError
from medproof.hashing import Json, JsonObject
from medproof.messages import Domain, TypedData
from medproof.policy.word import EPOCH_DAY
from medproof.signing import Signer

__all__ = ["NOBODY", "SENDER", "Agreement", "ContractClient", "Place", "SignedMessage", "agree"]


@dataclass(frozen=True)
class SignedMessage:
    """A call that carries its author's signature: anyone may relay it, nobody can alter it."""

    contract: str  # the contract's name
    address: str  # the contract's address
    chain_id: int
    function: str  # the function that takes the message
    arguments: tuple[Any, ...]  # the signature is the last; bytes32 and signatures as bytes
    deadline: int  # seconds since 1970

    @property
    def subject(self) -> str:
        """In whose name it acts: most functions that take a signed message name the subject first."""
        found: Any = self.arguments
        for place in _SUBJECTS.get(self.function, (0,)):
            found = found[place]
        return str(found[0] if isinstance(found, tuple) else found)

    def to_json(self) -> str:
        """The message as JSON, to hand to a relayer: bytes as 0x…, numbers among the arguments as decimal text, since
        not every reader of JSON keeps 256 bits."""
        return json.dumps({**self.__dict__, "arguments": [_written(value) for value in self.arguments]})

    @classmethod
    def from_json(cls, text: str) -> SignedMessage:
        """Read what `to_json` wrote.

        Raises:
            MessageError: it is none.
        """
        try:
            content = json.loads(text)
            build = artifact(content["contract"])
            inputs = next(entry["inputs"] for entry in build.abi if entry.get("name") == content["function"])
            arguments = _read_each(inputs, content.pop("arguments"))
            message = cls(**content, arguments=arguments)
            if message.deadline != arguments[-2]:
                raise ValueError(message.deadline)
            return message
        except (ValueError, TypeError, LookupError, AttributeError, StopIteration, RecursionError) as error:
            raise MessageError("This is no signed message. Give the text that SignedMessage.to_json wrote.") from error


@dataclass(frozen=True)
class Place:
    """Where a pointer or a claim stands in a batch."""

    root: bytes  # the batch's, 32 bytes
    index: int  # in it, from 0
    proof: tuple[bytes, ...]  # `MerkleLog.inclusion_proof`, the leaf's neighbour first

    def to_json(self) -> JsonObject:
        """The place as JSON: root, index, and as `siblings` the proof."""
        siblings: list[Json] = [f"0x{one.hex()}" for one in self.proof]
        return {"root": f"0x{self.root.hex()}", "index": self.index, "siblings": siblings}


@dataclass(frozen=True)
class Agreement:
    """A party's signature to one step that is owned by it, for whoever sends the step."""

    deadline: int  # the last time at which it counts, seconds since 1970; co-signers sign the same
    signature: bytes


NOBODY = "0x" + "00" * 20
"""The zero address, which stands for no account."""
SENDER = Agreement(0, b"")
"""The agreement of a party that sends the step itself."""


def agree(signer: Signer, message: TypedData, deadline: int) -> Agreement:
    """Sign a step; `deadline` is the message's own."""
    return Agreement(deadline, signer.sign_typed_data(message))


# Where the subject stands among the arguments of functions that do not name it first.
_SUBJECTS: Mapping[str, tuple[int, ...]] = {"claimAnswer": (1, 1), "claimShare": (2,)}

_READERS: Mapping[str, Callable[[str], Any]] = {
    "bytes": lambda text: bytes.fromhex(text[2:]),
    "uint": lambda text: int(str(text)),
}


def _written(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return [_written(item) for item in argument]
    return "0x" + argument.hex() if isinstance(argument, bytes) else str(argument)


def _read_each(inputs: Sequence[Mapping[str, Any]], arguments: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_read(entry, argument) for entry, argument in zip(inputs, arguments, strict=True))


def _read(entry: Mapping[str, Any], argument: Any) -> Any:
    """One argument, as the entry of the ABI says."""
    kind = entry["type"]
    if kind == "tuple":
        return _read_each(entry["components"], argument)
    if kind.endswith("[]"):
        return tuple(_read({**entry, "type": kind[:-2]}, item) for item in argument)
    return _READERS.get(kind.rstrip("0123456789"), str)(argument)


def day_number(day: date) -> int:
    """A day as the contracts count: days since 1970-01-01, from 0 to 65535."""
    number = -1 if isinstance(day, datetime) else (day - EPOCH_DAY).days
    if not 0 <= number < 1 << 16:
        raise ArgumentError(f"{day!r} is no day from 1970-01-01 to 2149-06-06. Give a datetime.date in that range.")
    return number


class ContractClient:
    """A contract of the suite at its address."""

    name: ClassVar[str]  # the contract's name
    signed_functions: ClassVar[tuple[str, ...]] = ()  # those that take a message with its author's signature

    def __init__(self, chain: Chain, deployment: Deployment, sender: Sender | None = None) -> None:
        """Find the contract in a deployment; `sender` sends where a call names nobody else."""
        self.chain = chain
        self.address = deployment.address(self.name)
        self.first_block = deployment.first_block
        self._sender = sender

    @cached_property
    def contract(self) -> Contract:
        """The contract itself, made when it is first asked for: that takes its time, and a suite has many."""
        return self.chain.contract(self.address, artifact(self.name).abi)

    @property
    def domain(self) -> Domain:
        """Where a signature for this contract counts."""
        return Domain(self.name, self.chain.chain_id, self.address)

    def relay(self, message: SignedMessage, *, sender: Sender | None = None) -> Receipt:
        """Send a signed message; the sender pays and appears nowhere in what it does.

        Raises:
            MessageError: see `call_data`.
        """
        self.call_data(message)
        return self._transact(message.function, *message.arguments, sender=sender)

    def relay_many(self, signed: Sequence[SignedMessage], *, sender: Sender | None = None) -> Receipt:
        """Send several signed messages in one transaction, in their order: all of them, or none.

        Raises:
            MessageError: see `call_data`.
        """
        return self._transact("relay", [self.call_data(message) for message in signed], 0, sender=sender)

    def call_data(self, message: SignedMessage) -> bytes:
        """The call that a signed message is, encoded.

        Raises:
            MessageError: it is for another contract, chain or address, its arguments do not fit, or it would act in
                the name of whoever sends it.
        """
        if (message.contract, message.chain_id, message.address) != (self.name, self.chain.chain_id, self.address):
            raise MessageError(
                f"The message is for {message.contract} at {message.address} on chain {message.chain_id}, not for "
                f"{self.name} at {self.address} on chain {self.chain.chain_id}. Relay it there."
            )
        if message.function not in self.signed_functions:
            raise MessageError(
                f"{self.name}.{message.function} takes no signed message: it would act in your name, not its author's. "
                "Do not send it, and ask where it comes from."
            )
        try:
            data = self.chain.call_data(self.contract, message.function, message.arguments)
        except ArgumentError as error:
            raise MessageError(f"The message's arguments do not fit: {error}") from error
        if not message.arguments[-1]:  # the signature; to the contracts an empty one is the sender's own word
            raise MessageError(
                f"The message to {self.name}.{message.function} has no signature: it would act in your name. "
                "Do not send it, and ask its author to sign it."
            )
        return bytes.fromhex(data.removeprefix("0x"))

    def events(
        self,
        name: str,
        *,
        filters: Mapping[str, Any] | None = None,
        from_block: int | None = None,
        to_block: int | None = None,
    ) -> Iterator[Event]:
        """The contract's events of one kind, oldest first; see `Chain.events`."""
        start = self.first_block if from_block is None else from_block
        return self.chain.events(self.contract, name, filters=filters, from_block=start, to_block=to_block)

    def request(self, function: str, *arguments: Any) -> dict[str, Any]:
        """The transaction that calls a function, for a queue (`medproof.sending.TransactionManager.submit`)."""
        return {"to": self.address, "data": self.chain.call_data(self.contract, function, arguments)}

    def _call(self, function: str, *arguments: Any, block: int | str = "latest") -> Any:
        return self.chain.call(self.contract, function, arguments, block=block)

    def _transact(self, function: str, *arguments: Any, sender: Sender | None) -> Receipt:
        return self.chain.transact(self.contract, function, arguments, sender=self._by(function, sender))

    def _by(self, function: str, sender: Sender | None) -> Sender:
        by = sender or self._sender
        if by is None:
            raise SigningNeededError(
                f"{self.name}.{function} is a transaction, and nobody was named to send it. "
                "Connect with a signer, or give `sender`."
            )
        return by

    def _signed(self, function: str, arguments: Sequence[Any], deadline: int, signature: bytes) -> SignedMessage:
        return SignedMessage(
            contract=self.name,
            address=self.address,
            chain_id=self.chain.chain_id,
            function=function,
            arguments=(*arguments, deadline, signature),
            deadline=deadline,
        )

    def _deadline(self, seconds: int) -> int:
        return self.chain.timestamp() + seconds
