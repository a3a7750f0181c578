"""The steps of claims, each measured once, in the order in which their parties take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eth_account.signers.local import LocalAccount

from bench.meter import fixed_account, fixed_hash, signed
from medproof import messages
from medproof.client.claim_anchor import AnchoredClaim, ClaimBatch, FlagStatus, Outcome, encounter_id
from medproof.messages import Domain, TypedData

FULL_BATCH = 100  # claims
RULES_FROM = 20_454  # the payer's rules govern service dates from 2026-01-01, in days since 1970
DAYS = (30, 45, 180, 60, 30)  # to decide, to answer, to appeal, to decide an appeal, to settle
PLAIN, STRICT = fixed_hash("adjudication rules"), fixed_hash("adjudication rules of the strict plan")

# Sends a step: `step(sender, function, *arguments)`; a name before it measures the step under that name.
Step = Callable[..., None]


@dataclass
class ClaimSteps:
    """What the steps of claims cost at one ClaimAnchor."""

    measured: Step  # measured(operation, sender, function, *arguments)
    share: Step  # share(operation, count, sender, function, *arguments): of one among many
    prepared: Step  # prepared(sender, function, *arguments): brings about what a later step needs
    domain: Domain
    clinic: LocalAccount
    payer: LocalAccount
    relayer: LocalAccount

    def run(self) -> None:
        """All of them."""
        plain = (PLAIN, 1, RULES_FROM, 0, False, False, *DAYS)
        strict = (STRICT, 2, RULES_FROM, 0, True, True, *DAYS)
        self.measured("publish_rules", self.payer, "publishRules", plain)
        self.prepared(self.payer, "publishRules", strict)
        self.life()
        self.appeals()
        self.corrections()
        self.batches()
        self.review()

    def life(self) -> None:
        """Submit, pend, answer, adjudicate and settle, with two parties and with the patient as the third."""
        claim = self.claim("claim")
        self.measured("claim_submit", self.clinic, "submit", claim.as_tuple(), 1, 0, b"")
        asked = (claim.as_tuple(), fixed_hash("request for more"), 0, b"")
        self.measured("claim_pend", self.payer, "pend", *asked)
        answered = (claim.as_tuple(), fixed_hash("answer"), 0, b"")
        self.measured("claim_answer", self.clinic, "answer", *answered)
        self.measured("claim_adjudicate", self.payer, "adjudicate", *self.decision(claim))
        settled = self.settlement(claim, PLAIN, self.clinic, self.payer)
        self.measured("claim_settle_two_signatures", self.relayer, "settle", *settled, b"")

        relayed = self.claim("relayed claim")

        def submission(deadline: int) -> TypedData:
            return messages.submission(
                self.domain,
                provider=relayed.provider,
                payer=relayed.payer,
                patient=relayed.patient,
                registration=relayed.registration,
                commitment=relayed.commitment,
                nullifier=relayed.nullifier,
                soft_key=relayed.soft_key,
                rules_number=1,
                rules=PLAIN,
                deadline=deadline,
            )

        deadline, [signature] = signed(submission, self.clinic)
        self.measured("claim_submit_signed", self.relayer, "submit", relayed.as_tuple(), 1, deadline, signature)

        patient, visit = fixed_account("patient of a claim"), fixed_hash("encounter")
        strict = replace(self.claim("claim of the strict plan"), patient=patient.address, registration=visit)
        encounter = encounter_id(strict.provider, visit)
        self.measured("register_encounter", patient, "registerEncounter", patient.address, encounter, 0, b"")
        self.measured("claim_submit_registered", self.clinic, "submit", strict.as_tuple(), 2, 0, b"")
        self.prepared(self.payer, "adjudicate", *self.decision(strict, rules=2))
        settled = self.settlement(strict, STRICT, self.clinic, self.payer, patient)
        self.measured("claim_settle_3_signatures", self.relayer, "settle", *settled)

    def appeals(self) -> None:
        """Appeal a denial and overturn it."""
        denied = self.submitted("denied claim")
        self.prepared(self.payer, "adjudicate", *self.decision(denied, Outcome.DENIED))
        appeal = (denied.as_tuple(), denied.provider, fixed_hash("grounds"), 0, b"")
        self.measured("claim_appeal", self.clinic, "appeal", *appeal)
        decision = (denied.as_tuple(), False, Outcome.APPROVED, 1, fixed_hash("response to the appeal"), 0, b"")
        self.measured("claim_decide_appeal", self.payer, "decideAppeal", *decision)

    def corrections(self) -> None:
        """Void a claim, and replace one: the correction is of the same service and takes over the nullifier."""
        voided = self.submitted("voided claim")
        self.measured("claim_void", self.clinic, "void", voided.as_tuple(), 0, b"", b"")
        original = self.submitted("original claim")
        correction = replace(original, commitment=fixed_hash("commitment of the correction"))
        replaced = (original.as_tuple(), correction.as_tuple(), 1, 0, b"", b"")
        self.measured("claim_replace", self.clinic, "replace", *replaced)

    def batches(self) -> None:
        """Submit a hundred claims at once, and open one."""
        claims = [self.claim(f"claim {number} of a batch") for number in range(FULL_BATCH)]
        batch = ClaimBatch(tuple((claim, 1) for claim in claims))
        submitted = (batch.provider, batch.log.root(), list(batch.nullifiers), 0, b"")
        self.share("nullifier_batch_100_each", FULL_BATCH, self.clinic, "submitBatch", *submitted)
        place = batch.place(FULL_BATCH // 2)
        where = (place.root, place.index, list(place.proof))
        self.measured("claim_open", self.payer, "open", claims[place.index].as_tuple(), 1, *where)

    def review(self) -> None:
        """Flag two claims that look alike, and clear the flag."""
        earlier = self.submitted("claim that came first")
        later = replace(self.claim("claim that looks like it"), soft_key=earlier.soft_key)
        self.prepared(self.clinic, "submit", later.as_tuple(), 1, 0, b"")
        flagged = (earlier.as_tuple(), later.as_tuple(), later.payer, 0, b"")
        self.measured("claim_flag", self.payer, "flag", *flagged)
        cleared = (earlier.id, later.as_tuple(), FlagStatus.CLEARED, fixed_hash("reason"), 0, b"")
        self.measured("claim_decide_flag", self.payer, "decideFlag", *cleared)

    def claim(self, label: str) -> AnchoredClaim:
        """A claim under the plain plan, which asks nothing of the patient."""
        kept = [fixed_hash(f"{part} of the {label}") for part in ("commitment", "nullifier", "soft key")]
        commitment, nullifier, soft_key = kept
        return AnchoredClaim(self.clinic.address, self.payer.address, commitment, nullifier, soft_key=soft_key)

    def submitted(self, label: str) -> AnchoredClaim:
        """The same, submitted."""
        claim = self.claim(label)
        self.prepared(self.clinic, "submit", claim.as_tuple(), 1, 0, b"")
        return claim

    def decision(self, claim: AnchoredClaim, outcome: Outcome = Outcome.APPROVED, rules: int = 1) -> tuple[Any, ...]:
        """What the payer sends to adjudicate a claim."""
        return claim.as_tuple(), outcome, rules, fixed_hash("response"), 0, b""

    def settlement(self, claim: AnchoredClaim, rules: bytes, *parties: LocalAccount) -> tuple[Any, ...]:
        """What a relayer sends to settle an approved claim, with the signatures of these parties."""

        def message(deadline: int) -> TypedData:
            return messages.settlement(
                self.domain,
                claim=claim.id,
                outcome=Outcome.APPROVED,
                rules=rules,
                response=fixed_hash("response"),
                deadline=deadline,
            )

        deadline, signatures = signed(message, *parties)
        return claim.as_tuple(), deadline, *signatures
