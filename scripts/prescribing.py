"""The chapter on a prescription: one pharmacy fills it, and each fill is given once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from medproof import fhir
from medproof.client import MedProof
from medproof.client.prescriptions import Terms
from medproof.contract_errors import AlreadyFilled, PharmacyRequired
from medproof.fhir import Resource
from medproof.sealed_prescription import SealedPrescription
from medproof.signing import LocalSigner
from scripts.material import prescribed_until
from scripts.stage import Organisation, Stage, refusal_of

_VALID = timedelta(days=180)


@dataclass
class Prescribing:
    """A prescription, from the prescriber to its second fill."""

    stage: Stage
    suite: MedProof
    people: dict[str, Organisation]
    patient: LocalSigner  # her pseudonym at the clinic

    def tell(self, content: Resource) -> None:
        """Tell it of one MedicationRequest."""
        stage, prescriptions = self.stage, self.suite.prescriptions
        clinic, pharmacy, other = (self.people[role] for role in ("north", "pharmacy", "other_pharmacy"))
        today = datetime.fromtimestamp(self.suite.chain.timestamp(), UTC).date()
        request = prescribed_until(content, today + _VALID)
        order = fhir.read_order(request)
        stage.chapter(
            "A prescription",
            f"{clinic.name} prescribes {order.fills} fills. What of, only the patient and her pharmacy can read; she\n"
            "chooses the pharmacy.",
        )
        sealed = SealedPrescription.seal(clinic.id, self.patient.address, request)
        terms = Terms(order.fills, order.quantity, order.valid_until)
        issued = prescriptions.issue(sealed.prescription, terms, sender=clinic.signer)
        choice = prescriptions.sign_choice(self.patient, sealed.prescription, pharmacy.id)
        chosen = self.suite.relay(choice, sender=self.people["relayer"].signer)
        before = (1, 0)  # the first fill, of which nothing was given yet
        filled = prescriptions.fill(sealed.prescription.id, expected=before, sender=pharmacy.signer)
        again = refusal_of(
            lambda: prescriptions.fill(sealed.prescription.id, expected=before, sender=pharmacy.signer), AlreadyFilled
        )
        elsewhere = refusal_of(
            lambda: prescriptions.fill(sealed.prescription.id, sender=other.signer), PharmacyRequired
        )
        later = prescriptions.fill(sealed.prescription.id, sender=pharmacy.signer)
        stage.table(
            "step",
            "by",
            "gas",
            rows=[
                ("issued", clinic.name, f"{stage.spend('issue a prescription', issued):,}"),
                ("pharmacy chosen", "the patient", f"{stage.spend('choose a pharmacy, signed', chosen):,}"),
                ("first fill", pharmacy.name, f"{stage.spend('fill a prescription', filled):,}"),
                ("second fill", pharmacy.name, f"{stage.spend('fill a prescription', later):,}"),
            ],
        )
        state = prescriptions.state(sealed.prescription.id)
        stage.expect(
            f"the fill that was given is refused when it is sent again, and {other.name} gives none",
            again is not None and elsewhere is not None,
        )
        stage.expect(
            "what the chain allows is what was prescribed, with two fills given",
            state is not None and not sealed.differences(state) and state.next_fill() == (3, 0),
        )
