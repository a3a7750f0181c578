"""The chapters on claims: each step agreed, one payment for one service."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimStatus, Outcome, Rules
from medproof.contract_errors import AlreadyBilled
from medproof.fhir import Resource
from medproof.hashing import new_salt, seal
from medproof.policy.word import EPOCH_DAY
from scripts.material import billed_service
from scripts.stage import Organisation, Stage, refusal_of

ADJUDICATION_RULES = "Preventive and diagnostic services are covered in full; all others at 80 per cent."


@dataclass
class Billing:
    """A claim, from its submission to its payment, and the same service billed again."""

    stage: Stage
    suite: MedProof
    people: dict[str, Organisation]

    def tell(self, content: Resource) -> None:
        """Tell it of one claim."""
        clinic, plan, other_plan = self.people["north"], self.people["plan"], self.people["other_plan"]
        stage, anchor, consortium_key = self.stage, self.suite.claim_anchor, new_salt()
        stage.chapter(
            "A claim, step by step",
            "Each step is agreed by the party that owns it. Amounts, codes and dates stay off the chain.",
        )
        published = Rules(keccak(text=ADJUDICATION_RULES), EPOCH_DAY)
        rules = anchor.publish_rules(published, sender=plan.signer)
        nullifier = billed_service(content, consortium_key, provider=clinic.id)
        claim = AnchoredClaim(clinic.id, plan.id, seal(content.content).commitment, nullifier)
        response = seal({"resourceType": "ClaimResponse", "outcome": "complete", "disposition": "approved"}).commitment
        submitted = anchor.submit(claim, rules, sender=clinic.signer)
        decided = anchor.adjudicate(claim, Outcome.APPROVED, rules, response, sender=plan.signer)
        by_clinic = anchor.agree_to_settle(clinic.signer, claim)
        by_plan = anchor.agree_to_settle(plan.signer, claim, deadline=by_clinic.deadline)
        settled = anchor.settle(claim, provider=by_clinic, payer=by_plan, sender=self.people["relayer"].signer)
        stage.table(
            "step",
            "agreed by",
            "gas",
            rows=[
                ("submitted", clinic.name, f"{stage.spend('submit a claim', submitted):,}"),
                ("adjudicated: approved", plan.name, f"{stage.spend('adjudicate a claim', decided):,}"),
                ("settled", f"{clinic.name} and {plan.name}", f"{stage.spend('settle, two signatures', settled):,}"),
            ],
        )
        stage.expect("the claim is settled", anchor.state(claim).status is ClaimStatus.SETTLED)

        stage.chapter("The same service, billed again", f"{clinic.name} sends the bill to {other_plan.name} as well.")
        rules = anchor.publish_rules(published, sender=other_plan.signer)
        again = AnchoredClaim(clinic.id, other_plan.id, seal(content.content).commitment, nullifier)
        refused = refusal_of(lambda: anchor.submit(again, rules, sender=clinic.signer), AlreadyBilled)
        stage.expect(
            "refused by the contract: the service was billed before, by the claim that is settled",
            refused is not None and refused.by == claim.id,
        )
