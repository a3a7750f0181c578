"""Claims of two providers to two payers in any order of steps, beside a model in Python.

Each run is a walk by a seed of its own. Hypothesis's state machines were tried first: their first dozens of examples
take hardly a step, and a claim needs three to be settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

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
    STEPS,
    SUBMITTED,
    VOIDED,
    Claim,
    Desk,
)
from tests.support.fixtures import DAY
from tests.support.profiles import DEEP
from tests.support.reverts import reverts

LEADS_TO = {"pend": PENDED, "adjudicate": ADJUDICATED, "settle": SETTLED, "void": VOIDED, "replace": REPLACED}
NULLIFIERS = [bytes([0x30 + number]) * 32 for number in range(5)]
COMMITMENTS = [bytes([0x60 + number]) * 32 for number in range(3)]
STEPS_EACH = 200 if DEEP else 40
OPEN = (SUBMITTED, PENDED, ADJUDICATED, SETTLED)


@dataclass
class Known:
    """What the model knows of a claim."""

    claim: Claim
    status: int
    outcome: int = 0
    paid: bool = False

    @property
    def state(self):
        """As a key of `POSSIBLE`, where a settled claim stands as approved."""
        return self.status, {ADJUDICATED: self.outcome, SETTLED: APPROVED}.get(self.status, 0)


class ClaimMachine:
    def __init__(self, chance, desk, registrar, admin, providers, payers, spare):
        self.chance, self.desk, self.registrar, self.admin = chance, desk, registrar, admin
        self.providers, self.payers, self.spare = providers, payers, spare
        self.known: dict[str, Known] = {}
        self.holder: dict[bytes, str] = {}
        self.suspended: set[str] = set()
        self.moved: set[str] = set()
        self.taken: list[str] = []  # what was done, for whoever reads a failure

    def go(self):
        """Take one step, possible or not, and check what always holds."""
        rules = [self.submit, self.submit, self.step, self.step, self.step, self.step, self.replace, self.correct]
        rule = self.chance.choice([*rules, self.suspend_or_reinstate, self.change_account])
        if not self.known:
            rule = self.submit
        rule()
        self.contract_and_model_agree_and_one_open_claim_holds_each_nullifier()

    # -- steps ------------------------------------------------------------------------------------------------------

    def submit(self):
        claim = Claim(
            self.chance.choice(self.providers).address,
            self.chance.choice(self.payers).address,
            self.chance.choice(COMMITMENTS),
            self.chance.choice(NULLIFIERS),
        )
        form = self.chance.choice([OWNER, RELAYER])

        if error := self._blocked("submit", claim, form) or self._not_submittable(claim):
            self._refused(error, "submit", claim, form)
            return
        self.desk.take("submit", claim, form)
        self.taken.append("submit")
        self._submitted(claim)

    def step(self):
        """A step of some claim, mostly one that is possible."""
        known = self._picked()
        possible = sorted(POSSIBLE[known.state] - {"replace", "submit"})
        if "settle" in possible:
            possible = ["settle", "settle", "settle", "void"]
        step = self.chance.choice(possible if possible and self.chance.random() < 0.8 else STEPS[1:-1])
        if step == "void" and self.chance.random() < 0.5:  # else few claims would live to be settled
            return
        self._step(known, step, outcome=self.chance.choice([APPROVED, APPROVED, PARTIAL, DENIED]))

    def replace(self):
        """A replacement by any claim of the same parties."""
        known = self._picked()
        members = {"commitment": self.chance.choice(COMMITMENTS), "nullifier": self.chance.choice(NULLIFIERS)}
        self._step(known, "replace", correction=known.claim.changed(**members))

    def correct(self):
        """A replacement that takes over the nullifier, as most do."""
        known = self._picked()
        correction = known.claim.changed(commitment=self.chance.choice(COMMITMENTS))
        self._step(known, "replace", correction=correction)

    def suspend_or_reinstate(self):
        identity = self.chance.choice([*self.providers, *self.payers]).address
        if self.suspended:
            identity = self.suspended.pop()
            self.registrar.reinstate(identity, {"from": self.admin})
        else:
            self.registrar.suspend(identity, {"from": self.admin})
            self.suspended.add(identity)

    def change_account(self):
        party = self.chance.randrange(4)
        account = [*self.providers, *self.payers][party]
        if account.address not in self.suspended | self.moved:
            self.registrar.offerAccount(self.spare[party], {"from": account})
            self.registrar.takeAccount(account, {"from": self.spare[party]})
            self.moved.add(account.address)

    def _picked(self):
        opened = [known for known in self.known.values() if known.status in OPEN]
        return self.chance.choice(opened if opened and self.chance.random() < 0.85 else list(self.known.values()))

    def _step(self, known, step, **what):
        claim = known.claim
        joint = step == "settle" or (step in ("void", "replace") and known.paid)
        form = self.chance.choice([OWNER, PAYER, RELAYER] if joint else [OWNER, RELAYER])

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
        self.taken.append(step)
        known.status = LEADS_TO[step]
        if step == "adjudicate":
            known.outcome = what["outcome"]
        if step == "settle":
            known.paid = True
        if step in ("void", "replace"):
            del self.holder[claim.nullifier]
        if step == "replace":
            self._submitted(what["correction"], paid=known.paid)

    def _submitted(self, claim, *, paid=False):
        self.known[claim.id] = Known(claim, SUBMITTED, paid=paid)
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
        self.taken.append(f"{step} refused: {error[0]}")
        self.desk.dry = True
        try:
            with reverts(*error):
                self.desk.take(step, claim, form, **what)
        finally:
            self.desk.dry = False

    # -- what always holds ------------------------------------------------------------------------------------------

    def contract_and_model_agree_and_one_open_claim_holds_each_nullifier(self):
        anchor = self.desk.contract
        holders: dict[bytes, str] = {}
        for known in self.known.values():
            state = anchor.stateOf(known.claim.id)
            assert state == (known.status, known.outcome, 1, known.paid)
            if state[0] in OPEN:
                assert known.claim.nullifier not in holders
                holders[known.claim.nullifier] = known.claim.id
        assert holders == self.holder
        for nullifier in {known.claim.nullifier for known in self.known.values()}:
            assert "0x" + bytes(anchor.claimOf(nullifier)).hex() == holders.get(nullifier, "0x" + "00" * 32)

    def close(self):
        """Every open claim is voided by its owners, and no nullifier stays taken."""
        for identity in self.suspended:
            self.registrar.reinstate(identity, {"from": self.admin})
        for known in self.known.values():
            if known.status in OPEN:
                self.desk.take("void", known.claim)
        for nullifier in NULLIFIERS:
            assert not any(bytes(self.desk.contract.claimOf(nullifier)))


@pytest.mark.spec("K2", "K13", "K14", "K15", "K20")
@pytest.mark.parametrize("seed", range(24 if DEEP else 4))
def test_claims(
    seed,
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
    spare = [accounts[number] for number in range(13, 17)]
    machine = ClaimMachine(Random(seed), desk, registrar, admin, [clinic, second_clinic], [payer, second_payer], spare)

    for _ in range(STEPS_EACH):
        machine.go()
    machine.close()

    assert len(set(machine.taken)) >= 5, machine.taken  # it went somewhere
