"""A prescription as its prescriber hands it on: what was prescribed, the salt, and what the chain knows it by.

Whoever holds it, the patient or the pharmacy of the patient's choice, sees that the chain's prescription is this one
and no other. The chain alone shows nobody what was prescribed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from medproof import fhir, hashing
from medproof.client.contract import NOBODY
from medproof.client.prescriptions import Prescription
from medproof.errors import PrescriptionError
from medproof.fhir import MedicationOrder, Resource
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.policy.prescription import PrescriptionState

__all__ = ["SealedPrescription"]

_FORMAT = "medproof-prescription"
_VERSION = 1
_LONGEST = 1 << 20


@dataclass(frozen=True)
class SealedPrescription:
    """A prescription that was issued alone, with its content. The salt and the content are for nobody else."""

    prescription: Prescription
    request: Resource = field(repr=False)  # the MedicationRequest
    salt: bytes = field(repr=False)  # 32 bytes

    @classmethod
    def seal(cls, prescriber: str, patient: str, request: Resource, *, salt: bytes | None = None) -> SealedPrescription:
        """Seal a MedicationRequest, under a fresh salt unless one is given."""
        sealed = hashing.seal(request.content, salt=salt)
        return cls(Prescription(prescriber, patient, sealed.commitment), request, sealed.salt)

    def order(self, state: PrescriptionState | None = None) -> MedicationOrder:
        """What the contract keeps of it; `state` says until when it is filled, where the request does not.

        Raises:
            ElementError: see `fhir.read_order`.
        """
        return fhir.read_order(self.request, valid_until=None if state is None else state.valid_until)

    def differences(self, state: PrescriptionState) -> tuple[str, ...]:
        """What the chain allows otherwise than the request does: fields of the state, by their names."""
        order = self.order(state)
        names = ("fills", "quantity", "valid_until")
        return tuple(name for name in names if getattr(order, name) != getattr(state, name))

    def to_json(self) -> JsonObject:
        """The prescription as JSON."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "prescriber": self.prescription.prescriber,
            "patient": None if self.prescription.patient == NOBODY else self.prescription.patient,
            "salt": hex_text(self.salt),
            "request": self.request.content,
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> SealedPrescription:
        """Read what `to_json` gave, as text.

        Raises:
            PrescriptionError: it is none, or a part of it is missing.
            RecordError: the MedicationRequest in it is none.
        """
        said = JsonReader.document(text, _unreadable, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        prescriber, patient, salt = said.address("prescriber"), said.maybe_address("patient"), said.hash("salt")
        request: Json = said.take("request")
        said.finish()
        if not isinstance(request, dict):
            raise _unreadable("request", "is no MedicationRequest")
        return cls.seal(prescriber, patient or NOBODY, fhir.load(request), salt=salt)


def _unreadable(path: str, rule: str) -> PrescriptionError:
    what = f"{path} " if path else ""
    return PrescriptionError(f"The prescription's file: {what}{rule}. Ask whoever issued it for the file again.")
