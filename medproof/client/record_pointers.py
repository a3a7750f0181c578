"""RecordPointers: which records there are, who holds them, and what their subjects say to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender, UnclearAnswerError
from medproof.client.contract import ContractClient, Place, SignedMessage
from medproof.errors import ArgumentError, MerkleProofError
from medproof.merkle import verify_inclusion
from medproof.policy.codes import DataClass
from medproof.signing import Signer

__all__ = ["Place", "Pointer", "PointerKey", "RecordPointers", "Status"]

_HOUR = 3600
_POINTER_OF, _POINTER_WORDS = keccak(text="pointerOf(bytes32)")[:4], 5
_FIRST_SEQUENCE = 1  # of a pointer that has just been posted or opened


class Status(IntEnum):
    """How a pointer stands."""

    NONE = 0
    POSTED = 1
    ACCEPTED = 2
    DISPUTED = 3
    AMENDED = 4  # a newer version has replaced it
    DISPUTE_DENIED = 5  # its custodian stands by it; the subject may dispute again, or accept


@dataclass(frozen=True)
class PointerKey:
    """What makes a pointer: whoever knows the three finds it."""

    subject: str  # the subject's pseudonym with the first custodian
    origin: str  # the identity of the party that posted it
    commitment: bytes  # 32 bytes, the salted hash of the canonical record

    @property
    def id(self) -> bytes:
        """The pointer's id: keccak-256 of the ABI encoding of the three, 32 bytes."""
        return keccak(encode(["address", "address", "bytes32"], [self.subject, self.origin, self.commitment]))

    def leaf(self, data_class: DataClass) -> bytes:
        """What stands for the pointer in a batch, 32 bytes: keccak-256 of the ABI encoding of its id and its class."""
        return keccak(encode(["bytes32", "uint8"], [self.id, _number(data_class)]))


@dataclass(frozen=True)
class Pointer:
    """A pointer as it stands."""

    key: PointerKey
    custodian: str  # the identity of the party that holds the record now
    data_class: DataClass
    status: Status
    version: int  # of the record, from 1
    sequence: int  # how often the pointer has changed; 0 while it stands in a batch
    place: Place | None = None  # in its batch; None where it has a slot of its own


class RecordPointers(ContractClient):
    """The pointers of all custodians."""

    name = "RecordPointers"
    signed_functions = ("acceptFor", "disputeFor", "open")

    # -- as the custodian ---------------------------------------------------------------------------------------

    def post(
        self, subject: str, data_class: DataClass, commitment: bytes, *, sender: Sender | None = None
    ) -> tuple[PointerKey, Receipt]:
        """Post a pointer; the sender acts for an active provider.

        Args:
            subject: the subject's pseudonym with this custodian.
            data_class: one class.
            commitment: 32 bytes, the salted hash of the canonical record.
            sender: the custodian.
        """
        receipt = self._transact("post", subject, _number(data_class), commitment, sender=sender)
        posted = receipt.events(self.contract)[0].arguments
        return PointerKey(posted["subject"], posted["custodian"], commitment), receipt

    def post_batch(self, root: bytes, size: int, *, sender: Sender | None = None) -> Receipt:
        """Post many pointers at once; the sender acts for an active provider.

        Nothing shows on the chain whose they are until one is opened.

        Args:
            root: 32 bytes, `MerkleLog.root` over their leaves (`PointerKey.leaf`).
            size: how many there are.
            sender: the custodian.
        """
        return self._transact("postBatch", root, size, sender=sender)

    def posting(self, pointer: PointerKey, data_class: DataClass) -> dict[str, Any]:
        """What `post` sends, for a queue that sends many (`medproof.sending.TransactionManager`)."""
        return self.request("post", pointer.subject, _number(data_class), pointer.commitment)

    def posting_batch(self, root: bytes, size: int) -> dict[str, Any]:
        """What `post_batch` sends, for a queue."""
        return self.request("postBatch", root, size)

    def amend(self, key: PointerKey, commitment: bytes, *, sender: Sender | None = None) -> tuple[PointerKey, Receipt]:
        """Post a new version of a record, which replaces the one it names."""
        receipt = self._transact("amend", key.subject, key.origin, key.commitment, commitment, sender=sender)
        amended = receipt.events(self.contract)[0].arguments
        return PointerKey(key.subject, amended["custodian"], commitment), receipt

    def deny_dispute(self, key: PointerKey, *, reason: bytes, sender: Sender | None = None) -> Receipt:
        """Deny what the subject disputed; `reason` is a 32-byte commitment to the written denial."""
        return self._transact("denyDispute", key.subject, key.origin, key.commitment, reason, sender=sender)

    def offer_custody(self, key: PointerKey, to: str, *, sender: Sender | None = None) -> Receipt:
        """Offer custody of a record to another party, by its identity."""
        return self._transact("offerCustody", key.subject, key.origin, key.commitment, to, sender=sender)

    def take_custody(self, key: PointerKey, *, sender: Sender | None = None) -> Receipt:
        """Take custody that was offered."""
        return self._transact("takeCustody", key.subject, key.origin, key.commitment, sender=sender)

    # -- out of a batch -----------------------------------------------------------------------------------------

    def open(self, key: PointerKey, data_class: DataClass, place: Place, *, sender: Sender | None = None) -> Receipt:
        """Give a pointer of a batch a slot of its own, as if it had been posted alone.

        From then on it can be answered, amended and handed over, and the chain shows whom it is about.

        Args:
            key: the pointer.
            data_class: its class, as in its leaf.
            place: where it stands.
            sender: its subject, or the account that acts for the party that posted the batch.
        """
        return self._transact("open", *_opening(key, data_class, place), 0, b"", sender=sender)

    def sign_opening(
        self, signer: Signer, key: PointerKey, data_class: DataClass, place: Place, *, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign an opening, as its subject, for anyone to relay; the place is not part of what is signed."""
        _require_subject(key, signer)
        deadline = self._deadline(lifetime)
        message = messages.opening(
            self.domain,
            subject=signer.address,
            custodian=key.origin,
            data_class=_number(data_class),
            commitment=key.commitment,
            deadline=deadline,
        )
        arguments = _opening(key, data_class, place)
        return self._signed("open", arguments, deadline, signer.sign_typed_data(message))

    def batch_size(self, custodian: str, root: bytes, *, block: int | str = "latest") -> int | None:
        """How many pointers a custodian's batch has; None where it posted none of this root."""
        return int(self._call("batchOf", custodian, root, block=block)) or None

    def verify_place(
        self, key: PointerKey, data_class: DataClass, place: Place, *, block: int | str = "latest"
    ) -> None:
        """Return if a pointer, opened or not, stands at its place in a batch that its custodian posted.

        Raises:
            MerkleProofError: the proof does not show it, or there is no such batch.
        """
        size = self.batch_size(key.origin, place.root, block=block)
        if size is None:
            raise MerkleProofError(
                f"pointer {place.index} of a batch of {key.origin}", "there is no such batch on chain"
            )
        verify_inclusion(key.leaf(data_class), place.index, size, place.proof, place.root)

    def batched(self, key: PointerKey, data_class: DataClass, place: Place, *, block: int | str = "latest") -> Pointer:
        """A pointer as it stands: in its own slot if it was opened, else at its place in a batch.

        Raises:
            MerkleProofError: it does not stand there, see `verify_place`.
        """
        self.verify_place(key, data_class, place, block=block)
        waiting = Pointer(key, key.origin, data_class, Status.POSTED, version=1, sequence=0, place=place)
        return self.pointer(key, block=block) or waiting

    # -- as the subject -----------------------------------------------------------------------------------------

    def accept(self, key: PointerKey, *, sender: Sender | None = None) -> Receipt:
        """Accept a pointer; the sender is its subject."""
        return self._transact("accept", key.origin, key.commitment, sender=sender)

    def dispute(self, key: PointerKey, *, reason: bytes = bytes(32), sender: Sender | None = None) -> Receipt:
        """Dispute a pointer; `reason` is a 32-byte commitment to the reason."""
        return self._transact("dispute", key.origin, key.commitment, reason, sender=sender)

    def sign_acceptance(self, signer: Signer, key: PointerKey, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign an acceptance for anyone to relay; `lifetime` is how long it counts, in seconds.

        Of a pointer in a batch it counts once it is opened: relay it after `sign_opening`, in one transaction with it
        (`relay_many`).
        """
        deadline, sequence = self._deadline(lifetime), self._sequence(key, signer)
        message = messages.acceptance(
            self.domain,
            subject=signer.address,
            custodian=key.origin,
            commitment=key.commitment,
            sequence=sequence,
            deadline=deadline,
        )
        arguments = (signer.address, key.origin, key.commitment, sequence)
        return self._signed("acceptFor", arguments, deadline, signer.sign_typed_data(message))

    def sign_dispute(
        self, signer: Signer, key: PointerKey, *, reason: bytes = bytes(32), lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a dispute for anyone to relay; of a pointer in a batch as `sign_acceptance`."""
        deadline, sequence = self._deadline(lifetime), self._sequence(key, signer)
        message = messages.dispute(
            self.domain,
            subject=signer.address,
            custodian=key.origin,
            commitment=key.commitment,
            reason=reason,
            sequence=sequence,
            deadline=deadline,
        )
        arguments = (signer.address, key.origin, key.commitment, reason, sequence)
        return self._signed("disputeFor", arguments, deadline, signer.sign_typed_data(message))

    # -- reading ------------------------------------------------------------------------------------------------

    def pointer(self, key: PointerKey, *, block: int | str = "latest") -> Pointer | None:
        """A pointer as it stands; None where there is none."""
        return _pointer(key, *self._call("pointerOf", key.id, block=block))

    def pointers(self, keys: Sequence[PointerKey], *, block: int | None = None) -> tuple[Pointer | None, ...]:
        """Each of many pointers as it stands, all as of one block, the newest by default; None where there is none.

        Raises:
            StateUnavailableError: the node has no such block, or no longer its state.
            NodeError: nobody answers.
        """
        at = self.chain.block_number() if block is None else block
        calls = [_POINTER_OF + key.id for key in keys]
        found = self.chain.read_each(self.contract, calls, answer=_POINTER_WORDS * 32, block=at) if calls else []
        return tuple(_pointer(key, *_words(said)) for key, said in zip(keys, found, strict=True))

    def previous(self, key: PointerKey) -> bytes | None:
        """The id of the version that a pointer replaced."""
        found = bytes(self._call("previousOf", key.id))
        return found if any(found) else None

    def next_custodian(self, key: PointerKey) -> str | None:
        """To whom custody of a record is offered."""
        to = str(self._call("nextCustodianOf", key.id))
        return None if int(to, 16) == 0 else to

    def keys_of(self, subject: str) -> Iterator[PointerKey]:
        """Every pointer ever posted for a subject, oldest first, newer versions included."""
        posted = self.events("PointerPosted", filters={"subject": subject})
        amended = self.events("PointerAmended", filters={"subject": subject})
        for event in sorted((*posted, *amended), key=lambda event: (event.block, event.index)):
            yield PointerKey(subject, event.arguments["custodian"], event.arguments["commitment"])

    def _sequence(self, key: PointerKey, signer: Signer) -> int:
        _require_subject(key, signer)
        pointer = self.pointer(key)
        return pointer.sequence if pointer else _FIRST_SEQUENCE


def _words(said: bytes) -> tuple[str, int, int, int, int]:
    """What `pointerOf` returned."""
    custodian, *numbers = (int.from_bytes(said[at : at + 32], "big") for at in range(0, len(said), 32))
    data_class, status, version, sequence = numbers
    try:
        return to_checksum_address(custodian.to_bytes(20, "big")), data_class, status, version, sequence
    except OverflowError:
        raise UnclearAnswerError(f"The node gave 0x{said.hex()} for a pointer. Name another node.") from None


def _pointer(
    key: PointerKey, custodian: str, data_class: int, status: int, version: int, sequence: int
) -> Pointer | None:
    if status == Status.NONE:
        return None
    try:
        return Pointer(key, custodian, DataClass(1 << data_class), Status(status), version, sequence)
    except (ValueError, OverflowError, MemoryError):
        raise UnclearAnswerError(
            f"The node gave no class and status of a pointer ({status}). Name another node."
        ) from None


def _number(data_class: DataClass) -> int:
    """The number of a class's bit, as the contract counts classes."""
    if data_class.value.bit_count() != 1:
        raise ArgumentError(f"A pointer has one class, not {data_class!r}. Name the one that fits the record best.")
    return data_class.value.bit_length() - 1


def _opening(key: PointerKey, data_class: DataClass, place: Place) -> tuple[object, ...]:
    """The arguments of an opening before the deadline."""
    where = (place.root, place.index, tuple(place.proof))
    return key.subject, key.origin, _number(data_class), key.commitment, where


def _require_subject(key: PointerKey, signer: Signer) -> None:
    if signer.address != key.subject:
        raise ArgumentError(
            f"The pointer is of another subject than {signer.address}. Sign with the pseudonym {key.subject}."
        )
