"""RecordPointers: which records there are, who holds them, and what their subjects say to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.errors import ArgumentError
from medproof.policy.codes import DataClass
from medproof.signing import Signer

__all__ = ["Pointer", "PointerKey", "RecordPointers", "Status"]

_HOUR = 3600


class Status(IntEnum):
    """How a pointer stands."""

    NONE = 0
    POSTED = 1
    ACCEPTED = 2
    DISPUTED = 3
    AMENDED = 4  # a newer version has replaced it


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


@dataclass(frozen=True)
class Pointer:
    """A pointer as it stands."""

    key: PointerKey
    custodian: str  # the identity of the party that holds the record now
    data_class: DataClass
    status: Status
    version: int  # of the record, from 1
    sequence: int  # how often the pointer has changed


class RecordPointers(ContractClient):
    """The pointers of all custodians."""

    name = "RecordPointers"
    signed_functions = ("acceptFor", "disputeFor")

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
        if data_class.value.bit_count() != 1:
            raise ArgumentError(f"A pointer has one class, not {data_class!r}. Name the one that fits the record best.")
        receipt = self._transact("post", subject, data_class.value.bit_length() - 1, commitment, sender=sender)
        posted = receipt.events(self.contract)[0].arguments
        return PointerKey(posted["subject"], posted["custodian"], commitment), receipt

    def amend(self, key: PointerKey, commitment: bytes, *, sender: Sender | None = None) -> tuple[PointerKey, Receipt]:
        """Post a new version of a record, which replaces the one it names."""
        receipt = self._transact("amend", key.subject, key.origin, key.commitment, commitment, sender=sender)
        amended = receipt.events(self.contract)[0].arguments
        return PointerKey(key.subject, amended["custodian"], commitment), receipt

    def offer_custody(self, key: PointerKey, to: str, *, sender: Sender | None = None) -> Receipt:
        """Offer custody of a record to another party, by its identity."""
        return self._transact("offerCustody", key.subject, key.origin, key.commitment, to, sender=sender)

    def take_custody(self, key: PointerKey, *, sender: Sender | None = None) -> Receipt:
        """Take custody that was offered."""
        return self._transact("takeCustody", key.subject, key.origin, key.commitment, sender=sender)

    # -- as the subject -----------------------------------------------------------------------------------------

    def accept(self, key: PointerKey, *, sender: Sender | None = None) -> Receipt:
        """Accept a pointer; the sender is its subject."""
        return self._transact("accept", key.origin, key.commitment, sender=sender)

    def dispute(self, key: PointerKey, *, reason: bytes = bytes(32), sender: Sender | None = None) -> Receipt:
        """Dispute a pointer; `reason` is a 32-byte commitment to the reason."""
        return self._transact("dispute", key.origin, key.commitment, reason, sender=sender)

    def sign_acceptance(self, signer: Signer, key: PointerKey, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign an acceptance for anyone to relay; `lifetime` is how long it counts, in seconds."""
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
        """Sign a dispute for anyone to relay."""
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
        custodian, data_class, status, version, sequence = self._call("pointerOf", key.id, block=block)
        if status == Status.NONE:
            return None
        return Pointer(key, custodian, DataClass(1 << data_class), Status(status), version, sequence)

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
        if signer.address != key.subject:
            raise ArgumentError(
                f"The pointer is of another subject than {signer.address}. Sign with the pseudonym {key.subject}."
            )
        pointer = self.pointer(key)
        return pointer.sequence if pointer else 0
