"""Claims of two providers to two payers in any order of steps, beside a model in Python."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from tests.support.claims import (
    ADJUDICATED,
    APPROVED,
    DENIED,
    OWNER,
    PARTIAL,
    PAYER,
    PENDED,
    POSSIBLE,
    RELAYER,
    REPLACED,
    RULES_HASH,
    SETTLED,
    SUBMITTED,
    VOIDED,
    Claim,
    Desk,
)
from tests.support.fixtures import DAY
from tests.support.profiles import effort
from tests.support.reverts import reverts
from tests.support.speed import swift_isolation  # noqa: F401

LEADS_TO = {"pend": PENDED, "adjudicate": ADJUDICATED, "settle": SETTLED, "void": VOIDED, "replace": REPLACED}
NULLIFIERS = [bytes([0x30 + number]) * 32 for number in range(3)]
COMMITMENTS = [bytes([0x60 + number]) * 32 for number in range(3)]
OPEN = (SUBMITTED, PENDED, ADJUDICATED, SETTLED)


@dataclass
class Known:
    """What the model knows of a claim."""

    claim: Claim
    status: int
    outcome: int = 0

    @property
    def state(self):
        return self.status, self.outcome if self.status in (ADJUDICATED, SETTLED) else 0


class ClaimMachine:
    st_provider = st.integers(0, 1)
    st_payer = st.integers(0, 1)
    st_commitment = st.sampled_from(COMMITMENTS)
    st_nullifier = st.sampled_from(NULLIFIERS)
    st_pick = st.integers(0, 1000)
    st_step = st.sampled_from(["pend", "adjudicate", "adjudicate", "settle", "settle", "void"])
    st_outcome = st.sampled_from([APPROVED, PARTIAL, DENIED])
    st_form = st.sampled_from([OWNER, PAYER, RELAYER])
    st_party = st.integers(0, 3)

    def __init__(cls, desk, registrar, admin, providers, payers, spare):  # noqa: N805 - Brownie calls it so
        cls.desk, cls.registrar, cls.admin = desk, registrar, admin
        cls.providers, cls.payers, cls.spare = providers, payers, spare

    def setup(self):
        self.known: dict[str, Known] = {}
        self.holder: dict[bytes, str] = {}
        self.suspended: set[str] = set()
        self.moved: set[str] = set()

    # -- steps ------------------------------------------------------------------------------------------------------

    def rule_submit(self, provider="st_provider", payer="st_payer", commitment="st_commitment",
                    nullifier="st_nullifier", form="st_form"):  # fmt: skip
        claim = Claim(self.providers[provider].address, self.payers[payer].address, commitment, nullifier)
        form = OWNER if form == PAYER else form

        if error := self._blocked("submit", claim, form) or self._not_submittable(claim):
            self._refused(error, "submit", claim, form)
            return
        self.desk.take("submit", claim, form)
        self._submitted(claim)

    def rule_step(self, pick="st_pick", step="st_step", outcome="st_outcome", form="st_form"):
        self._step(pick, step, form, outcome=outcome)

    def rule_step_again(self, pick="st_pick", step="st_step", outcome="st_outcome", form="st_form"):
        self._step(pick, step, form, outcome=outcome)

    def rule_replace(self, pick="st_pick", commitment="st_commitment", nullifier="st_nullifier", form="st_form"):
        if self.known:
            claim = self._picked(pick).claim
            self._step(pick, "replace", form, correction=claim.changed(commitment=commitment, nullifier=nullifier))

    def rule_suspend_or_reinstate(self, party="st_party"):
        identity = [*self.providers, *self.payers][party].address
        if identity in self.suspended:
            self.registrar.reinstate(identity, {"from": self.admin})
            self.suspended.remove(identity)
        elif not self.suspended:
            self.registrar.suspend(identity, {"from": self.admin})
            self.suspended.add(identity)

    def rule_change_account(self, party="st_party"):
        account = [*self.providers, *self.payers][party]
        if account.address not in self.suspended | self.moved:
            self.registrar.offerAccount(self.spare[party], {"from": account})
            self.registrar.takeAccount(account, {"from": self.spare[party]})
            self.moved.add(account.address)

    def _picked(self, pick):
        return list(self.known.values())[pick % len(self.known)]

    def _step(self, pick, step, form, **what):
        if not self.known:
            return
        known = self._picked(pick)
        claim = known.claim
        joint = step == "settle" or (step in ("void", "replace") and known.status == SETTLED)
        form = form if joint or form != PAYER else OWNER

        error = None
        if step not in POSSIBLE[known.state]:
            error = ("StepNotPossible", claim.id, known.status)
        error = error or self._blocked(step, claim, form, joint)
        if step == "replace" and not error:
            error = self._not_submittable(what["correction"], replaced=claim)
        if error:
            self._refused(error, step, claim, form, **what)
            return

        self.desk.take(step, claim, form, **what)
        known.status = LEADS_TO[step]
        if step == "adjudicate":
            known.outcome = what["outcome"]
        if step in ("void", "replace"):
            del self.holder[claim.nullifier]
        if step == "replace":
            self._submitted(what["correction"])

    def _submitted(self, claim):
        self.known[claim.id] = Known(claim, SUBMITTED)
        self.holder[claim.nullifier] = claim.id

    def _not_submittable(self, claim, replaced=None):
        if claim.id in self.known:
            return "ClaimExists", claim.id
        by = self.holder.get(claim.nullifier)
        if by and not (replaced and by == replaced.id):
            return "AlreadyBilled", "0x" + claim.nullifier.hex(), by
        return None

    def _blocked(self, step, claim, form, joint=False):
        owners = ["provider", "payer"] if joint else ["payer"] if step in ("pend", "adjudicate") else ["provider"]
        for owner in owners:
            identity = getattr(claim, owner)
            if identity in self.suspended:
                return "StepNotYours", identity, self.desk.account_of(identity).address
        return None

    def _refused(self, error, step, claim, form, **what):
        self.desk.dry = True
        try:
            with reverts(*error):
                self.desk.take(step, claim, form, **what)
        finally:
            self.desk.dry = False

    # -- what always holds ------------------------------------------------------------------------------------------

    def invariant_each_nullifier_is_held_by_its_one_open_claim(self):
        for nullifier in NULLIFIERS:
            holders = [
                known.claim.id
                for known in self.known.values()
                if known.claim.nullifier == nullifier and self.desk.contract.stateOf(known.claim.id)[0] in OPEN
            ]
            assert len(holders) <= 1
            held_by = "0x" + bytes(self.desk.contract.claimOf(nullifier)).hex()
            assert held_by == (holders[0] if holders else "0x" + "00" * 32)
            assert self.holder.get(nullifier) == (holders[0] if holders else None)

    def invariant_contract_and_model_agree(self):
        for known in self.known.values():
            assert self.desk.contract.stateOf(known.claim.id) == (known.status, known.outcome, 1)

    def teardown(self):
        """Every open claim is voided by its owners, and no nullifier stays taken."""
        for identity in self.suspended:
            self.registrar.reinstate(identity, {"from": self.admin})
        for known in self.known.values():
            if known.status in OPEN:
                self.desk.take("void", known.claim, RELAYER)
        for nullifier in NULLIFIERS:
            assert not any(bytes(self.desk.contract.claimOf(nullifier)))


@pytest.mark.spec("K2", "K13", "K14", "K15", "K20")
def test_claims(
    state_machine,
    claim_anchor,
    parties,
    registrar,
    admin,
    clinic,
    second_clinic,
    payer,
    second_payer,
    accounts,
    relayer,
    sign,
    domain_of,
    chain,
):
    for publisher in (payer, second_payer):
        claim_anchor.publishRules(RULES_HASH, chain.time() // DAY - 1, {"from": publisher})
    desk = Desk(
        claim_anchor,
        domain_of(claim_anchor),
        sign,
        relayer,
        lambda identity: accounts.at(registrar.accountOf(identity)),
        int(chain.time()) + 30 * DAY,
    )
    state_machine(
        ClaimMachine,
        desk,
        registrar,
        admin,
        [clinic, second_clinic],
        [payer, second_payer],
        [accounts[number] for number in range(13, 17)],
        settings=effort(16, steps=20),
    )
