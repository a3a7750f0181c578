"""The Prescriptions: what was prescribed, for which pharmacy, and which fills were given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import NOBODY, SENDER, Agreement, ContractClient, SignedMessage, agree, day_number
from medproof.decoding import Event
from medproof.errors import MessageError, PrescriptionError
from medproof.policy.prescription import PrescriptionState, decode_prescription
from medproof.policy.word import EPOCH_DAY
from medproof.signing import Signer

__all__ = ["CONFIRMATION_DAYS", "Prescription", "Prescriptions", "Supply", "Terms"]

CONFIRMATION_DAYS = 7
"""For how many days after its own an emergency supply can be confirmed in time (21 CFR 1306.11(d)(4))."""

_HOUR = 3600
_PLACES = 16  # bits of an id that say the place
_EVENTS = (
    "PrescriptionIssued",
    "PrescriptionOpened",
    "PrescriptionFilled",
    "PharmacyNamed",
    "PrescriptionCancelled",
    "PrescriptionRechecked",
    "SupplyGiven",
    "SupplyConfirmed",
)


@dataclass(frozen=True)
class Prescription:
    """What a prescription is on the chain."""

    prescriber: str  # the identity of the provider that prescribes
    patient: str  # the patient's pseudonym, who chooses the pharmacy; NOBODY where the prescriber does
    content: bytes  # 32 bytes, the salted hash of the canonical prescription; of a batch the Merkle root of these
    place: int = 0  # its place in its batch, from 1; 0 where it was issued alone, and for a batch itself

    @property
    def id(self) -> bytes:
        """The prescription's id, 32 bytes: a hash of the first three, with the place in its last two."""
        whole = keccak(encode(["address", "address", "bytes32"], [self.prescriber, self.patient, self.content]))
        return whole[: -_PLACES // 8] + self.place.to_bytes(_PLACES // 8, "big")

    def at(self, place: int) -> Prescription:
        """The prescription at a place of this batch, from 1."""
        return replace(self, place=place)

    @property
    def chooser(self) -> str:
        """Who chooses the pharmacy."""
        return self.prescriber if self.patient == NOBODY else self.patient

    def as_tuple(self) -> tuple[str, str, bytes, int]:
        """The prescription as the contract takes it."""
        return (self.prescriber, self.patient, self.content, self.place)


@dataclass(frozen=True)
class Terms:
    """What a prescription, or each one of a batch, allows."""

    fills: int  # how many, the first one counted: 1 to 255, in a batch to 14
    quantity: int  # how much a fill is, in parts that the content names: 1 to 65535
    valid_until: date  # the last day on which it is filled
    pharmacy: str = NOBODY  # the identity of the pharmacy that fills it; NOBODY for none yet
    size: int = 0  # how many are issued at once, as a batch; 0 for one alone

    def as_tuple(self) -> tuple[str, int, int, int, int]:
        """The terms as the contract takes them."""
        return (self.pharmacy, self.fills, self.quantity, day_number(self.valid_until), self.size)


@dataclass(frozen=True)
class Supply:
    """A supply in an emergency."""

    pharmacy: str  # the identity of the pharmacy that gave it
    quantity: int  # in the prescription's parts
    day: date  # when it was given
    confirmed_on: date | None  # when the prescriber confirmed it

    def overdue_on(self, day: date) -> bool:
        """Whether it was not confirmed in time, as of a day."""
        return (self.confirmed_on or day) > self.day + timedelta(days=CONFIRMATION_DAYS)


class Prescriptions(ContractClient):
    """The prescriptions of all prescribers.

    A step is sent by the party that owns it, or signed by it and relayed by anyone.
    """

    name = "Prescriptions"
    signed_functions = ("issue", "fillFor", "choose", "cancel", "supply", "confirm")

    # -- issuing ------------------------------------------------------------------------------------------------

    def issue(self, prescription: Prescription, terms: Terms, *, sender: Sender | None = None) -> Receipt:
        """Issue a prescription, or a batch of equal terms, as its prescriber."""
        return self._transact("issue", *_issued(prescription, terms), 0, b"", sender=sender)

    def sign_issue(
        self, signer: Signer, prescription: Prescription, terms: Terms, *, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a prescription, as its prescriber. Every `lifetime` is how long the message counts, in seconds."""
        deadline = self._deadline(lifetime)
        message = messages.issue(
            self.domain,
            prescriber=prescription.prescriber,
            patient=prescription.patient,
            content=prescription.content,
            pharmacy=terms.pharmacy,
            fills=terms.fills,
            quantity=terms.quantity,
            valid_until=day_number(terms.valid_until),
            size=terms.size,
            deadline=deadline,
        )
        arguments = _issued(prescription, terms)
        return self._signed("issue", arguments, deadline, signer.sign_typed_data(message))

    def cancel(self, prescription: Prescription, *, sender: Sender | None = None) -> Receipt:
        """Cancel a prescription, or of a batch what was not opened, as its prescriber."""
        return self._transact("cancel", prescription.as_tuple(), 0, b"", sender=sender)

    def sign_cancellation(self, signer: Signer, prescription: Prescription, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign a cancellation, as the prescriber."""
        deadline = self._deadline(lifetime)
        message = messages.cancellation(self.domain, prescription=prescription.id, deadline=deadline)
        return self._signed("cancel", (prescription.as_tuple(),), deadline, signer.sign_typed_data(message))

    # -- filling ------------------------------------------------------------------------------------------------

    def fill(
        self,
        prescription: bytes,
        quantity: int | None = None,
        *,
        expected: tuple[int, int] | None = None,
        sender: Sender | None = None,
    ) -> Receipt:
        """Give a fill or a part of it, as the prescription's pharmacy.

        Args:
            prescription: its id.
            quantity: how much is given; all that is left of the fill where none is named.
            expected: the fill, and how much of it was given before, as `PrescriptionState.next_fill` gives them; read
                from the chain where none are. Who sends again after a failure names them again: it counts once.
            sender: the pharmacy.

        Raises:
            PrescriptionError: there is no such prescription.
        """
        return self._transact("fill", *self._next(prescription, quantity, expected), sender=sender)

    def sign_fill(
        self,
        signer: Signer,
        prescription: bytes,
        quantity: int | None = None,
        *,
        expected: tuple[int, int] | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a fill, as the prescription's pharmacy; see `fill`."""
        deadline = self._deadline(lifetime)
        pharmacy = self._known(prescription).pharmacy or NOBODY
        _, number, before, given = arguments = self._next(prescription, quantity, expected)
        message = messages.fill(
            self.domain, prescription=prescription, number=number, before=before, quantity=given, deadline=deadline
        )
        return self._signed("fillFor", (pharmacy, *arguments), deadline, signer.sign_typed_data(message))

    def fill_batch(self, batch: bytes, fills: Sequence[tuple[int, int]], *, sender: Sender | None = None) -> Receipt:
        """Give fills of a batch, each whole, as its pharmacy: all or none.

        Args:
            batch: its id.
            fills: place, from 1, and fill of each; ascending places cost least.
            sender: the pharmacy.
        """
        return self._transact("fillBatch", batch, list(fills), sender=sender)

    # -- changing the pharmacy ----------------------------------------------------------------------------------

    def choose(self, prescription: Prescription, pharmacy: str, *, sender: Sender | None = None) -> Receipt:
        """Choose the pharmacy, as the patient; as the prescriber where no patient is named."""
        arguments = self._choice(prescription, pharmacy)
        return self._transact("choose", *arguments, 0, b"", sender=sender)

    def sign_choice(
        self, signer: Signer, prescription: Prescription, pharmacy: str, *, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a choice of the pharmacy; see `choose`."""
        deadline, arguments = self._deadline(lifetime), self._choice(prescription, pharmacy)
        message = messages.choice(
            self.domain, prescription=prescription.id, pharmacy=pharmacy, sequence=arguments[-1], deadline=deadline
        )
        return self._signed("choose", arguments, deadline, signer.sign_typed_data(message))

    def agree_to_transfer(
        self, signer: Signer, prescription: bytes, to: str, *, deadline: int | None = None
    ) -> Agreement:
        """Sign a transfer, as the pharmacy that gives or the one that receives; an hour ahead where no deadline is."""
        until = self._deadline(_HOUR) if deadline is None else deadline
        sequence = self._known(prescription).sequence
        message = messages.transfer(self.domain, prescription=prescription, to=to, sequence=sequence, deadline=until)
        return agree(signer, message, until)

    def transfer(
        self,
        prescription: bytes,
        to: str,
        *,
        giving: Agreement = SENDER,
        receiving: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Transfer a prescription to another pharmacy, with the agreement of whichever of the two does not send.

        Raises:
            MessageError: the two signed for different deadlines.
            PrescriptionError: there is no such prescription.
        """
        if giving.signature and receiving.signature and giving.deadline != receiving.deadline:
            raise MessageError(
                f"The pharmacies signed for different deadlines, {giving.deadline} and {receiving.deadline}. "
                "Let the second sign with the first's deadline."
            )
        said = (self._known(prescription).sequence, giving.deadline or receiving.deadline)
        signatures = (giving.signature, receiving.signature)
        return self._transact("transfer", prescription, to, *said, *signatures, sender=sender)

    def recheck(self, prescription: Prescription, *, sender: Sender | None = None) -> Receipt:
        """Have prescriber and pharmacy looked up again: an inactive prescriber's is held. Anyone may."""
        return self._transact("recheck", prescription.as_tuple(), sender=sender)

    # -- emergencies --------------------------------------------------------------------------------------------

    def supply(
        self, prescription: Prescription, pharmacy: str, quantity: int, *, sender: Sender | None = None
    ) -> Receipt:
        """Give an emergency supply, once, of what cannot be filled or was not issued yet, as that pharmacy."""
        return self._transact("supply", pharmacy, prescription.as_tuple(), quantity, 0, b"", sender=sender)

    def sign_supply(
        self, signer: Signer, prescription: Prescription, pharmacy: str, quantity: int, *, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign an emergency supply, as the pharmacy; see `supply`."""
        deadline = self._deadline(lifetime)
        message = messages.supply(
            self.domain, prescription=prescription.id, pharmacy=pharmacy, quantity=quantity, deadline=deadline
        )
        arguments = (pharmacy, prescription.as_tuple(), quantity)
        return self._signed("supply", arguments, deadline, signer.sign_typed_data(message))

    def confirm(self, prescription: Prescription, *, sender: Sender | None = None) -> Receipt:
        """Confirm an emergency supply, as the prescriber."""
        return self._transact("confirm", prescription.as_tuple(), 0, b"", sender=sender)

    def sign_confirmation(self, signer: Signer, prescription: Prescription, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign the confirmation of an emergency supply, as the prescriber."""
        deadline = self._deadline(lifetime)
        message = messages.confirmation(self.domain, prescription=prescription.id, deadline=deadline)
        return self._signed("confirm", (prescription.as_tuple(),), deadline, signer.sign_typed_data(message))

    # -- asking -------------------------------------------------------------------------------------------------

    def state(self, prescription: bytes, *, block: int | str = "latest") -> PrescriptionState | None:
        """How a prescription stands, of a batch or alone; None where none was issued under this id."""
        word = int(self._call("prescriptionOf", prescription, block=block))
        return decode_prescription(word) if word else None

    def is_issued(self, prescription: bytes, *, block: int | str = "latest") -> bool:
        """Whether a prescriber stands behind an id: it issued the prescription, or confirmed its emergency supply."""
        return bool(self._call("isIssued", prescription, block=block))

    def size(self, batch: bytes) -> int:
        """How many prescriptions a batch has; 0 where there is no batch of this id."""
        return int(self._call("sizeOf", batch))

    def supply_of(self, prescription: bytes, *, block: int | str = "latest") -> Supply | None:
        """The emergency supply of a prescription."""
        pharmacy, quantity, day, confirmed = self._call("supplyOf", prescription, block=block)
        if not day:
            return None
        confirmed_on = EPOCH_DAY + timedelta(days=confirmed) if confirmed else None
        return Supply(pharmacy, quantity, EPOCH_DAY + timedelta(days=day), confirmed_on)

    def supplies(self, prescriber: str) -> Iterator[tuple[bytes, Supply]]:
        """The emergency supplies that were given in a prescriber's name, oldest first, as they stand."""
        for event in self.events("SupplyGiven", filters={"prescriber": prescriber}):
            prescription = bytes(event.arguments["prescription"])
            supply = self.supply_of(prescription)
            assert supply is not None  # the event says that there is one
            yield prescription, supply

    def history(self, prescription: bytes) -> Iterator[Event]:
        """All that was done about a prescription, oldest first; what was done of its batch has the batch's id."""
        filters = {"prescription": prescription}
        events = [event for name in _EVENTS for event in self.events(name, filters=filters)]
        return iter(sorted(events, key=lambda event: (event.block, event.index)))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _known(self, prescription: bytes) -> PrescriptionState:
        state = self.state(prescription)
        if state is None:
            raise PrescriptionError(
                f"No prescription was issued under 0x{prescription.hex()}. "
                "Check the chain and the prescription's file; of a batch, name a place."
            )
        return state

    def _next(
        self, prescription: bytes, quantity: int | None, expected: tuple[int, int] | None
    ) -> tuple[bytes, int, int, int]:
        state = self._known(prescription)
        number, before = state.next_fill() if expected is None else expected
        return (prescription, number, before, state.quantity - before if quantity is None else quantity)

    def _choice(self, prescription: Prescription, pharmacy: str) -> tuple[str, tuple[str, str, bytes, int], str, int]:
        sequence = self._known(prescription.id).sequence
        return (prescription.chooser, prescription.as_tuple(), pharmacy, sequence)


def _issued(prescription: Prescription, terms: Terms) -> tuple[str, str, bytes, tuple[str, int, int, int, int]]:
    return (prescription.prescriber, prescription.patient, prescription.content, terms.as_tuple())
