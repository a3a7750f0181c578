"""The steps of a prescription: taken by the account that owns them, or signed by it and sent by somebody else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.messages import Domain
from medproof.policy.prescription import PrescriptionState, decode_prescription

NOBODY = "0x" + "00" * 20
DIRECT, SIGNED, AMONG_OTHERS = "direct", "signed", "by relay"


class Prescription(NamedTuple):
    """A prescription as the contract takes it."""

    prescriber: str
    patient: str
    content: bytes
    place: int = 0

    @property
    def id(self) -> bytes:
        """Its id: a hash, with the place in the last two bytes."""
        whole = keccak(encode(["address", "address", "bytes32"], list(self[:3])))
        return whole[:30] + self.place.to_bytes(2, "big")

    def at(self, place: int) -> Prescription:
        """The prescription at a place of this batch."""
        return self._replace(place=place)


class Terms(NamedTuple):
    """What is prescribed, as the contract takes it."""

    pharmacy: str
    fills: int
    quantity: int
    valid_until: int
    size: int = 0

    def changed(self, **changes: Any) -> Terms:
        """The terms with other members."""
        return self._replace(**changes)


@dataclass(frozen=True)
class Counter:
    """Takes the steps: each function names who takes it by account, and in which form."""

    contract: Any
    domain: Domain
    sign: Any
    relayer: Any
    deadline: int
    form: str = DIRECT

    def by(self, form: str) -> Counter:
        """The same, in another form."""
        return replace(self, form=form)

    def state(self, prescription: bytes) -> PrescriptionState:
        """What the chain keeps."""
        return decode_prescription(self.contract.prescriptionOf(prescription))

    def issue(self, one: Prescription, terms: Terms, by: Any) -> Any:
        message = messages.issue(
            self.domain,
            prescriber=one.prescriber,
            patient=one.patient,
            content=one.content,
            **terms._asdict(),
            deadline=self.deadline,
        )
        return self._send("issue", (*one[:3], tuple(terms)), by, message)

    def fill(self, prescription: bytes, number: int, before: int, quantity: int, by: Any) -> Any:
        given = {"number": number, "before": before, "quantity": quantity}
        message = messages.fill(self.domain, prescription=prescription, **given, deadline=self.deadline)
        if self.form == DIRECT:
            return self.contract.fill(prescription, *given.values(), {"from": by})
        pharmacy = self.state(prescription).pharmacy or NOBODY
        return self._send("fillFor", (pharmacy, prescription, *given.values()), by, message)

    def fill_batch(self, batch: bytes, fills: list[tuple[int, int]], by: Any) -> Any:
        return self.contract.fillBatch(batch, fills, {"from": by})

    def choose(self, one: Prescription, pharmacy: Any, by: Any, sequence: int = 0, whose: Any = None) -> Any:
        said = {"pharmacy": str(pharmacy), "sequence": sequence}
        message = messages.choice(self.domain, prescription=one.id, **said, deadline=self.deadline)
        return self._send("choose", (str(whose or by), tuple(one), *said.values()), by, message)

    def cancel(self, one: Prescription, by: Any) -> Any:
        message = messages.cancellation(self.domain, prescription=one.id, deadline=self.deadline)
        return self._send("cancel", (tuple(one),), by, message)

    def supply(self, one: Prescription, quantity: int, by: Any, pharmacy: Any = None) -> Any:
        said = {"pharmacy": str(pharmacy or by), "quantity": quantity}
        message = messages.supply(self.domain, prescription=one.id, **said, deadline=self.deadline)
        return self._send("supply", (said["pharmacy"], tuple(one), quantity), by, message)

    def confirm(self, one: Prescription, by: Any) -> Any:
        message = messages.confirmation(self.domain, prescription=one.id, deadline=self.deadline)
        return self._send("confirm", (tuple(one),), by, message)

    def agree(self, prescription: bytes, to: Any, by: Any, sequence: int = 0) -> bytes:
        """A pharmacy's signature under a transfer."""
        said = {"to": str(to), "sequence": sequence, "deadline": self.deadline}
        return self.sign(by, messages.transfer(self.domain, prescription=prescription, **said))

    def transfer(
        self, prescription: bytes, to: Any, *, giving: Any, receiving: Any, sender: Any, sequence: int = 0
    ) -> Any:
        """Transfer; whoever of the two does not send has signed."""
        signatures = [
            b"" if sender == one else self.agree(prescription, to, one, sequence) for one in (giving, receiving)
        ]
        return self.contract.transfer(prescription, to, sequence, self.deadline, *signatures, {"from": sender})

    def _send(self, function: str, arguments: tuple[Any, ...], by: Any, message: messages.TypedData) -> Any:
        call = getattr(self.contract, function)
        if self.form == DIRECT:
            return call(*arguments, 0, b"", {"from": by})
        given = (*arguments, self.deadline, self.sign(by, message))
        if self.form == SIGNED:
            return call(*given, {"from": self.relayer})
        return self.contract.relay([call.encode_input(*given)], 0, {"from": self.relayer})
