"""The chapters on claims: each step agreed, one payment for one service, evidence for whoever was not there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from medproof import hashing
from medproof.claims import ClaimResponse
from medproof.claims.adjudication import History, adjudicate, recompute
from medproof.claims.audit import ClaimEvidence, collect
from medproof.claims.case import Anchor, Case
from medproof.claims.nullifier import claim_nullifier
from medproof.claims.plan import Plan
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimStatus, Outcome, Rules, encounter_id
from medproof.contract_errors import AlreadyBilled, EncounterUnknown
from medproof.errors import EvidenceError
from medproof.fhir import Resource
from medproof.hashing import new_salt
from medproof.signing import LocalSigner
from scripts.material import bill, plan_for
from scripts.stage import Organisation, Stage, refusal_of


@dataclass
class Billing:
    """A claim, from the visit to its payment; the same service billed again; and what an auditor is shown."""

    stage: Stage
    suite: MedProof
    people: dict[str, Organisation]
    patient: LocalSigner  # her pseudonym at the clinic

    def tell(self, content: Resource) -> None:
        """Tell it of one claim."""
        clinic, insurer = self.people["north"], self.people["plan"]
        claim = bill(content, provider=clinic.id, payer=insurer.id)
        plan, key = plan_for(claim), new_salt()
        case = self._submit(Case.open(claim), plan, key)
        case = self._appeal(case, plan)
        self._bill_again(content, key, case)
        self._audit(case, plan)

    def _submit(self, case: Case, plan: Plan, key: bytes) -> Case:
        """She registers the visit, the clinic bills it, the insurer decides."""
        stage, anchor, claim = self.stage, self.suite.claim_anchor, case.content()[0]
        clinic, insurer, relayer = self.people["north"], self.people["plan"], self.people["relayer"].signer
        stage.chapter(
            "A claim, step by step",
            "Each step is agreed by the party that owns it. Amounts, codes and dates stay off the chain. The plan\n"
            "asks for the patient's word twice: that she was there, and that the payment is right.",
        )
        terms = Rules(
            plan.hash, plan.valid_from, patient_signs=True, registered=True, days_to_decide=30, days_to_appeal=180
        )
        rules = anchor.publish_rules(terms, sender=insurer.signer)
        visit = new_salt()
        anchored = AnchoredClaim(
            provider=clinic.id,
            payer=insurer.id,
            commitment=case.commitment,
            nullifier=claim_nullifier(claim, key, registered=visit.hex()),
            patient=self.patient.address,
            registration=visit,
        )
        unseen = refusal_of(lambda: anchor.submit(anchored, rules, sender=clinic.signer), EncounterUnknown)
        encounter = encounter_id(clinic.id, visit)
        registered = self.suite.relay(anchor.sign_encounter(self.patient, encounter), sender=relayer)
        submitted = anchor.submit(anchored, rules, sender=clinic.signer)
        # Somebody at the insurer takes half where the plan says a fifth.
        mistaken = adjudicate(claim, plan_for(claim, coinsurance="0.5"), History(claim.start.year))
        case, response = case.with_response(mistaken)
        outcome = Outcome[mistaken.outcome.name]
        decided = anchor.adjudicate(anchored, outcome, rules, response.commitment, sender=insurer.signer)
        stage.table(
            "step",
            "agreed by",
            "gas",
            rows=[
                ("visit registered", "the patient", f"{stage.spend('register a visit, signed', registered):,}"),
                ("claim submitted", clinic.name, f"{stage.spend('submit a claim', submitted):,}"),
                (f"adjudicated: {mistaken.outcome}", insurer.name, f"{stage.spend('adjudicate a claim', decided):,}"),
            ],
        )
        stage.expect("no bill for a visit that the patient did not register", unseen is not None)
        where = Anchor(self.suite.chain.chain_id, anchor.address, anchored, rules)
        return replace(case, anchor=where)

    def _appeal(self, case: Case, plan: Plan) -> Case:
        """The clinic computes what the rules come to, appeals, and is paid."""
        stage, anchor, where = self.stage, self.suite.claim_anchor, case.anchored()
        clinic, insurer, relayer = self.people["north"], self.people["plan"], self.people["relayer"].signer
        claim, anchored = case.content()[0], where.claim
        stage.chapter(
            "The clinic appeals",
            f"The rules in force are published by their hash. {clinic.name} computes what they come to, and\n"
            f"{insurer.name} decides again.",
        )
        history = History(claim.start.year)
        wrong = recompute(claim, plan, history, self._said(case))
        stage.expect(f"the decision differs from the rules at {wrong.path if wrong else 'nothing'}", wrong is not None)
        case = case.with_paper("appeal", "The patient's part is a fifth, not a half.")
        grounds = case.papers[-1]
        appealed = anchor.appeal(anchored, clinic.id, grounds.commitment, sender=clinic.signer)
        case, right = case.with_response(adjudicate(claim, plan, history))
        decided = anchor.decide_appeal(
            anchored,
            Outcome[right.content.outcome.name],
            where.rules,
            right.commitment,
            upheld=False,
            sender=insurer.signer,
        )
        by_clinic = anchor.agree_to_settle(clinic.signer, anchored)
        signed = {
            name: anchor.agree_to_settle(signer, anchored, deadline=by_clinic.deadline)
            for name, signer in (("payer", insurer.signer), ("patient", self.patient))
        }
        settled = anchor.settle(anchored, provider=by_clinic, **signed, sender=relayer)
        stage.table(
            "step",
            "agreed by",
            "gas",
            rows=[
                ("appealed", clinic.name, f"{stage.spend('appeal', appealed):,}"),
                ("overturned", insurer.name, f"{stage.spend('decide an appeal', decided):,}"),
                ("settled", "both and the patient", f"{stage.spend('settle, three signatures', settled):,}"),
            ],
        )
        stage.expect(
            "the new decision is what the rules come to, and the claim is settled",
            recompute(claim, plan, history, right.content) is None
            and anchor.state(anchored).status is ClaimStatus.SETTLED,
        )
        return case

    def _bill_again(self, content: Resource, key: bytes, case: Case) -> None:
        """The same service goes to another insurer."""
        stage, anchor, first = self.stage, self.suite.claim_anchor, case.anchored().claim
        clinic, other = self.people["north"], self.people["other_plan"]
        stage.chapter("The same service, billed again", f"{clinic.name} sends the bill to {other.name} as well.")
        claim = bill(content, provider=clinic.id, payer=other.id)
        plan = plan_for(claim)
        rules = anchor.publish_rules(Rules(plan.hash, plan.valid_from), sender=other.signer)
        nullifier = claim_nullifier(claim, key, registered=first.registration.hex())
        again = AnchoredClaim(clinic.id, other.id, Case.open(claim).commitment, nullifier)
        refused = refusal_of(lambda: anchor.submit(again, rules, sender=clinic.signer), AlreadyBilled)
        stage.expect(
            "refused by the contract: the service was billed before, by the claim that is settled",
            refused is not None and refused.by == first.id,
        )

    def _audit(self, case: Case, plan: Plan) -> None:
        """Somebody who has nothing but a block's hash checks how the claim went."""
        stage = self.stage
        stage.chapter(
            "An auditor who was not there",
            "One file proves the claim's history against a block's hash, without a node. Of the claim it\n"
            "shows the day of service, and nothing else.",
        )
        rules_text = hashing.canonical(plan.to_json())
        with stage.console.status("collecting evidence"):
            evidence = collect(self.suite, case, shown=["start"], rules_text=rules_text)
        text = hashing.canonical(evidence.to_json())
        proved = ClaimEvidence.from_json(text).verify([evidence.state.header.hash])
        steps = [re.sub("(?<!^)(?=[A-Z])", " ", step.event.removeprefix("Claim")).lower() for step in proved.steps]
        stage.expect(f"{len(text):,} bytes prove: {', '.join(steps)}", steps[-1] == "settled" and proved.paid)
        stage.expect("the rules named were those in force on the day of service", proved.rules.in_force is True)
        stage.expect("nothing else of the claim is in it", set(proved.disclosed) == {"start"})
        altered = json.loads(text)
        altered["rules"] = "0x" + rules_text.replace(b"0.2", b"0.5").hex()
        forged = refusal_of(lambda: ClaimEvidence.from_json(json.dumps(altered)).verify(), EvidenceError)
        stage.expect("with other rules in it, the file is refused", forged is not None and forged.part == "rules")

    @staticmethod
    def _said(case: Case) -> ClaimResponse:
        """What the insurer answered last."""
        if case.response is None:
            raise ValueError("The claim was not decided.")
        return case.response.content
