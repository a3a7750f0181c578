"""Claims of two providers to two payers in any order of steps, beside a model in Python.

Each run is a walk by a seed of its own. Hypothesis's state machines were tried first: their first dozens of examples
take hardly a step, and a claim needs three to be settled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from medproof.client.claim_anchor import encounter_id
from medproof.merkle import MerkleLog
from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    BY_PAYER,
    CLEARED,
    CONFIRMED,
    DENIED,
    GROUNDS,
    OVERTURNED,
    OWNER,
    PARTIAL,
    PAYER,
    PENDED,
    POSSIBLE,
    RAISED,
    RELAYER,
    REPLACED,
    RULES_HASH,
    SECOND_RESPONSE,
    SETTLED,
    STEPS,
    SUBMITTED,
    UPHELD,
    VOIDED,
    Claim,
    Desk,
    Rules,
    claim_between,
)
from tests.support.fixtures import DAY, NOBODY
from tests.support.profiles import DEEP
from tests.support.reverts import reverts

LEADS_TO = {
    "pend": PENDED,
    "answer": SUBMITTED,
    "adjudicate": ADJUDICATED,
    "appeal": APPEALED,
    "settle": SETTLED,
    "void": VOIDED,
    "replace": REPLACED,
}
NULLIFIERS = [bytes([0x30 + number]) * 32 for number in range(12)]
COMMITMENTS = [bytes([0x60 + number]) * 32 for number in range(4)]
SOFT_KEYS = [bytes(32), b"\x70" * 32, b"\x70" * 32, b"\x71" * 32]
VISITS = [b"\x5a" * 32, b"\x5b" * 32]  # the first is registered with every provider, the second with one
PLAIN, TIMED, STRICT = 1, 2, 3  # the numbers of each payer's rules
DAYS = {"decide": 30, "answer": 10, "appeal": 60, "decideAppeal": 20, "settle": 15}
STEPS_EACH = 300 if DEEP else 90
OPEN = range(SUBMITTED, VOIDED)
DECIDED = (ADJUDICATED, UPHELD, OVERTURNED)


@dataclass
class Known:
    """What the model knows of a claim: what the contract keeps, and the claim itself."""

    claim: Claim
    rules: int
    submitted: int
    status: int = SUBMITTED
    outcome: int = 0
    paid: bool = False
    late: bool = False
    since: int = 0
    used: int = 0
    pends: int = 0
    responses: list[bytes] = field(default_factory=list)

    @property
    def kept(self):
        """As `stateOf` gives it."""
        flags = (self.paid, self.late)
        return (self.status, self.outcome, self.rules, *flags, self.submitted, self.since, self.used, self.pends)

    @property
    def possible(self):
        """The steps that its state alone allows; that of a claim whose late decision was appealed is as denied."""
        if self.status in (*DECIDED, APPEALED):
            return POSSIBLE[self.status, self.outcome or DENIED]
        return POSSIBLE[self.status, APPROVED if self.status == SETTLED else 0]

    def after(self, name):
        """When a step is due that began with this state; zero for no deadline."""
        return self.since + DAYS[name] * DAY if self.rules == TIMED else 0

    @property
    def decision_due(self):
        """When the payer's decision is due; zero for no deadline."""
        if self.rules != TIMED:
            return 0
        start = self.after("answer") if self.status == PENDED else self.since
        return start + DAYS["decide"] * DAY - self.used

    def owes(self, now):
        """Who owes the next step, and until when."""
        payer = self.claim.payer
        if self.status == PENDED and (self.rules != TIMED or now <= self.after("answer")):
            return self.claim.provider, self.after("answer")
        if self.status in (SUBMITTED, PENDED):
            return payer, self.decision_due
        if self.status == APPEALED:
            return payer, self.after("decideAppeal")
        if self.status in DECIDED and self.outcome != DENIED:
            return payer, self.after("settle")
        return NOBODY, 0


class ClaimMachine:
    def __init__(self, chance, chain, desk, registrar, admin, providers, payers, patient, spare):
        self.chance, self.chain, self.desk, self.registrar, self.admin = chance, chain, desk, registrar, admin
        self.providers, self.payers, self.patient, self.spare = providers, payers, patient, spare
        self.known: dict[str, Known] = {}
        self.holder: dict[bytes, str] = {}
        self.batches: list[tuple[MerkleLog, list[Claim], int]] = []
        self.flags: dict[tuple[str, str], int] = {}
        self.suspended: set[str] = set()
        self.moved: set[str] = set()
        self.taken: list[str] = []  # what was done, for whoever reads a failure

    def go(self):
        """Take one step, possible or not, and check what always holds."""
        rules = [self.submit] * 3 + [self.step] * 11 + [self.flag] * 2 + [self.open] * 2 + [self.wait] * 2
        rules += [self.replace, self.correct, self.submit_batch, self.release, self.decide_flag]
        rules += [self.change_account] if self.chance.random() < 0.3 else []
        rules += [self.suspend_or_reinstate] * (4 if self.suspended else 1)
        rule = self.chance.choice(rules)
        if not self.known:
            rule = self.submit
        rule()

    # -- steps ------------------------------------------------------------------------------------------------------

    def submit(self):
        claim, rules, form = self._new(), self._rules(), self.chance.choice([OWNER, RELAYER])

        if error := self._blocked(("provider",), claim) or self._not_submittable(claim, rules):
            self._refused(error, "submit", claim, form, rules=rules)
            return
        self._submitted(claim, rules, self.desk.take("submit", claim, form, rules=rules).timestamp)
        self.taken.append("submit")

    def step(self):
        """A step of some claim, mostly one that is possible."""
        known = self._picked()
        possible = sorted(known.possible - {"replace", "submit"})
        if "settle" in possible:
            possible += ["settle"] * 3
        if "appeal" in possible:
            possible += ["appeal"] * 2
        if self._is_late(known):
            possible += ["appeal"] * 4
        likely = possible and self.chance.random() < 0.8
        step = self.chance.choice(possible if likely else [one for one in STEPS if one not in ("submit", "replace")])
        if step == "void" and self.chance.random() < 0.8:  # else few claims would live to be settled
            return
        response = self.chance.choice([SECOND_RESPONSE, b"\x53" * 32])
        what = {"outcome": self.chance.choice([APPROVED, APPROVED, PARTIAL, DENIED]), "response": response}
        if step in ("adjudicate", "decideAppeal"):
            what["rules"] = known.rules
        if step == "decideAppeal":
            what["upheld"] = self.chance.random() < 0.5
        self._step(known, step, **what)

    def replace(self):
        """A replacement by any claim of the same parties."""
        known = self._picked()
        other = self._new()
        self._step(known, "replace", correction=other.changed(provider=known.claim.provider, payer=known.claim.payer))

    def correct(self):
        """A replacement that takes over the nullifier, as most do."""
        known = self._picked()
        correction = known.claim.changed(commitment=self.chance.choice(COMMITMENTS))
        self._step(known, "replace", correction=correction)

    def wait(self):
        """Let days pass, and a while so that no step falls on the very second that it is due."""
        self.chain.sleep(self.chance.randint(1, 40) * DAY + self.chance.randint(600, 3600))
        self.chain.mine()

    # -- batches ----------------------------------------------------------------------------------------------------

    def submit_batch(self):
        provider, rules = self.chance.choice(self.providers).address, self._rules()
        number = len(self.batches)
        claims = [
            self._new().changed(provider=provider, commitment=bytes([0x80 + number, index]) * 16)
            for index in range(self.chance.randint(1, 3))
        ]
        log = MerkleLog(bytes(self.desk.contract.leafOf(claim.id, rules)) for claim in claims)
        places = [str(self.desk.contract.placeOf(provider, log.root(), index)) for index in range(len(claims))]

        error, holders = self._blocked(("provider",), claims[0]), dict(self.holder)
        for claim, place in zip(claims, places, strict=True):
            by = holders.setdefault(claim.nullifier, place)
            if by != place:
                error = error or ("AlreadyBilled", "0x" + claim.nullifier.hex(), by)
        given = (provider, log.root(), [claim.nullifier for claim in claims], 0, b"")
        self._done_or_refused("submitBatch", error, given, self.desk.account_of(provider))
        if not error:
            self.holder = holders
            self.batches.append((log, claims, rules))

    def open(self):
        if not self.batches:
            return
        log, claims, rules = self.chance.choice(self.batches)
        index = self.chance.randrange(len(claims))
        claim = claims[index]
        error = self._not_waiting(claim, log, index) or self._not_submittable(claim, rules, freed=claim.nullifier)
        given = (claim, rules, log.root(), index, list(log.inclusion_proof(index)))
        tx = self._done_or_refused("open", error, given, self.desk.relayer)
        if not error:
            self._submitted(claim, rules, tx.timestamp)

    def release(self):
        """One of a batch, rather one that waits."""
        places = [(log, index, one) for log, claims, _ in self.batches for index, one in enumerate(claims)]
        if not places:
            return
        waiting = [place for place in places if not self._not_waiting(place[2], place[0], place[1])]
        log, index, claim = self.chance.choice(waiting if waiting and self.chance.random() < 0.7 else places)
        error = self._not_waiting(claim, log, index) or self._blocked(("provider",), claim)
        given = (claim.provider, log.root(), claim.nullifier, 0, b"")
        self._done_or_refused("release", error, given, self.desk.account_of(claim.provider))
        if not error:
            del self.holder[claim.nullifier]

    def _not_waiting(self, claim, log, index):
        place = str(self.desk.contract.placeOf(claim.provider, log.root(), index))
        if self.holder.get(claim.nullifier) != place:
            return "NullifierNotWaiting", "0x" + claim.nullifier.hex(), "0x" + log.root().hex()
        return None

    # -- review -----------------------------------------------------------------------------------------------------

    def flag(self):
        """Two claims, mostly alike, by some payer."""
        first, second = self._picked(), self._picked()
        alike = [one for one in self.known.values() if one.claim.soft_key == first.claim.soft_key]
        if self.chance.random() < 0.8:
            second = self.chance.choice(alike)
        pair, by = (first.claim.id, second.claim.id), self.chance.choice(self.payers).address

        error = None
        if pair in self.flags or pair[::-1] in self.flags:
            error = ("FlagExists", *pair)
        for one in (first, second):
            if one.status not in OPEN:
                error = error or ("StepNotPossible", one.claim.id, one.status)
        keys = {first.claim.soft_key, second.claim.soft_key}
        if pair[0] == pair[1] or len(keys) > 1 or not any(next(iter(keys))) or first.submitted > second.submitted:
            error = error or ("NotAlike", *pair)
        if by in self.suspended:
            error = error or ("StepNotYours", by, self.desk.account_of(by).address)
        self._done_or_refused("flag", error, (first.claim, second.claim, by, 0, b""), self.desk.account_of(by))
        if not error:
            self.flags[pair] = RAISED

    def decide_flag(self):
        if not self.flags:
            return
        earlier, later = self.chance.choice(sorted(self.flags))
        claim, decision = self.known[later].claim, self.chance.choice([CLEARED, CONFIRMED])
        error = self._blocked(("payer",), claim)
        if self.flags[earlier, later] != RAISED:
            error = ("FlagNotRaised", earlier, later, self.flags[earlier, later])
        given = (earlier, claim, decision, GROUNDS, 0, b"")
        self._done_or_refused("decideFlag", error, given, self.desk.account_of(claim.payer))
        if not error:
            self.flags[earlier, later] = decision

    # -- parties ----------------------------------------------------------------------------------------------------

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

    # -- the model --------------------------------------------------------------------------------------------------

    def _new(self):
        return claim_between(
            self.chance.choice(self.providers).address,
            self.chance.choice(self.payers).address,
            self.chance.choice(COMMITMENTS),
            self.chance.choice(NULLIFIERS),
            patient=self.chance.choice([*[self.patient.address] * 3, NOBODY]),
            registration=self.chance.choice([*[VISITS[0]] * 3, VISITS[1]]),
            soft_key=self.chance.choice(SOFT_KEYS),
        )

    def _rules(self):
        return self.chance.choice([PLAIN, TIMED, TIMED, STRICT])

    def _picked(self):
        opened = [known for known in self.known.values() if known.status in OPEN]
        return self.chance.choice(opened if opened and self.chance.random() < 0.85 else list(self.known.values()))

    def _owners(self, step, known):
        if step == "settle":
            return ("provider", "payer", "patient") if known.rules == STRICT else ("provider", "payer")
        if step in ("void", "replace") and known.paid:
            return ("provider", "payer")
        return ("payer",) if step in BY_PAYER else ("provider",)

    def _is_late(self, known):
        undecided = known.status in (SUBMITTED, PENDED) and known.rules == TIMED
        return undecided and self.chain[-1].timestamp > known.decision_due

    def _step(self, known, step, **what):
        claim = known.claim
        if step == "replace":
            what["rules"] = self._rules()
        owners = self._owners(step, known)
        form = self.chance.choice([OWNER, PAYER, RELAYER] if len(owners) > 1 else [OWNER, RELAYER])
        error = self._not_possible(known, step, what, self.chain[-1].timestamp) or self._blocked(owners, claim)
        if step == "replace" and not error:
            error = self._not_submittable(what["correction"], what["rules"], freed=claim.nullifier)
        if error:
            self._refused(error, step, claim, form, **what)
            return

        due = known.owes(self.chain[-1].timestamp)
        tx = self.desk.take(step, claim, form, **what)
        self.taken.append(step)
        if step == "appeal" and known.status != ADJUDICATED:
            known.late = True
            self.taken.append("appeal of what was not decided")
        if step in ("adjudicate", "decideAppeal", "settle"):
            known.late = known.late or (due[0] == claim.payer and 0 < due[1] < tx.timestamp)
        if step == "pend":
            known.pends, known.used = known.pends + 1, known.used + tx.timestamp - known.since
        if step in ("adjudicate", "decideAppeal"):
            known.outcome = what["outcome"]
            known.responses.append(what["response"])
        known.paid = known.paid or step == "settle"
        known.since = tx.timestamp
        known.status = (UPHELD if what.get("upheld") else OVERTURNED) if step == "decideAppeal" else LEADS_TO[step]
        if step in ("void", "replace"):
            del self.holder[claim.nullifier]
        if step == "replace":
            self._submitted(what["correction"], what["rules"], tx.timestamp, paid=known.paid)

    def _not_possible(self, known, step, what, now):
        """Why a step is refused for the claim's state or the time."""
        claim, status = known.claim.id, known.status
        impossible = ("StepNotPossible", claim, status)
        if step == "appeal" and status in (SUBMITTED, PENDED, ADJUDICATED):
            start = known.since if status == ADJUDICATED else known.decision_due + 1
            if status != ADJUDICATED and known.rules != TIMED:
                return impossible
            end = start + DAYS["appeal"] * DAY
            if now < start:
                return "StepEarly", claim, start
            return ("StepLate", claim, end) if known.rules == TIMED and now > end else None
        if step not in known.possible:
            return impossible
        due = {"pend": known.decision_due, "answer": known.after("answer")}.get(step, 0)
        if due and now > due:
            return "StepLate", claim, due
        if step == "decideAppeal":
            standing, same = known.outcome or DENIED, known.responses[-1:] == [what["response"]]
            overturns = what["outcome"] != DENIED and (what["outcome"] != standing or not same)
            if not (what["outcome"] == standing if what["upheld"] else overturns):
                return "OutcomeMismatch", claim, standing
        return None

    def _submitted(self, claim, rules, time, *, paid=False):
        self.known[claim.id] = Known(claim, rules, submitted=time, since=time, paid=paid)
        self.holder[claim.nullifier] = claim.id

    def _not_submittable(self, claim, rules, freed=None):
        if claim.id in self.known:
            return "ClaimExists", claim.id
        if rules == STRICT and claim.patient == NOBODY:
            return "PatientMissing", claim.payer, rules
        if rules == STRICT and claim.registration != VISITS[0] and claim.provider != self.providers[0].address:
            return "EncounterUnknown", claim.patient, claim.encounter
        by = self.holder.get(claim.nullifier)
        return ("AlreadyBilled", "0x" + claim.nullifier.hex(), by) if by and claim.nullifier != freed else None

    def _blocked(self, owners, claim):
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

    def _done_or_refused(self, function, error, given, sender):
        """What is no step of one claim."""
        if not error:
            self.taken.append(function)
            return getattr(self.desk.contract, function)(*given, {"from": sender})
        self.taken.append(f"{function} refused: {error[0]}")
        with reverts(*error):
            getattr(self.desk.contract, function).call(*given, {"from": sender})
        return None

    # -- what always holds ------------------------------------------------------------------------------------------

    def contract_and_model_agree_and_one_holder_has_each_nullifier(self):
        anchor, now = self.desk.contract, self.chain[-1].timestamp
        holders: dict[bytes, str] = {}
        for known in self.known.values():
            assert anchor.stateOf(known.claim.id) == known.kept
            assert anchor.dueOf(known.claim) == known.owes(now)
            if known.status in OPEN:
                assert known.claim.nullifier not in holders
                holders[known.claim.nullifier] = known.claim.id
        assert holders.items() <= self.holder.items()
        for nullifier in NULLIFIERS:
            assert str(anchor.holderOf(nullifier)) == self.holder.get(nullifier, "0x" + "00" * 32)
        for (earlier, later), status in self.flags.items():
            assert anchor.flagOf(earlier, later) == status

    def close(self):
        """Every open claim is voided by its owners, what waits is released, and no nullifier stays taken."""
        for identity in self.suspended:
            self.registrar.reinstate(identity, {"from": self.admin})
        for known in self.known.values():
            if known.status in OPEN:
                self.desk.take("void", known.claim)
                del self.holder[known.claim.nullifier]
        for log, claims, _ in self.batches:
            for index, claim in enumerate(claims):
                if not self._not_waiting(claim, log, index):
                    by = {"from": self.desk.account_of(claim.provider)}
                    self.desk.contract.release(claim.provider, log.root(), claim.nullifier, 0, b"", by)
                    del self.holder[claim.nullifier]
        assert not self.holder
        for nullifier in NULLIFIERS:
            assert not any(bytes(self.desk.contract.holderOf(nullifier)))


@pytest.fixture(scope="module")
def walked():
    """What all walks together did."""
    return set()


@pytest.mark.spec("K2", "K13", "K14", "K15", "K20", "K33", "K35", "K36", "K37", "K45")
@pytest.mark.parametrize("seed", range(24 if DEEP else 5))
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
    patient,
    accounts,
    relayer,
    sign,
    domain_of,
    chain,
    walked,
):
    today = chain.time() // DAY
    for publisher in (payer, second_payer):
        timed = Rules(RULES_HASH, 1, today - 1, 0, False, False, *DAYS.values())
        strict = Rules(RULES_HASH, 2, today - 1, patient_signs=True, registered=True)
        for rules in (Rules(RULES_HASH, 0, today - 1), timed, strict):
            claim_anchor.publishRules(rules, {"from": publisher})
    for provider, visit in ((clinic, VISITS[0]), (second_clinic, VISITS[0]), (clinic, VISITS[1])):
        claim_anchor.registerEncounter(patient, encounter_id(provider.address, visit), 0, b"", {"from": patient})
    desk = Desk(
        claim_anchor,
        domain_of(claim_anchor),
        sign,
        relayer,
        lambda identity: accounts.at(registrar.accountOf(identity)),
        int(chain.time()) + 10_000 * DAY,
    )
    spare = [accounts[number] for number in range(13, 17)]
    providers, payers = [clinic, second_clinic], [payer, second_payer]
    machine = ClaimMachine(Random(seed), chain, desk, registrar, admin, providers, payers, patient, spare)

    for number in range(STEPS_EACH):
        machine.go()
        if number % 10 == 9:  # nothing is forgotten between: each look is at all that there ever was
            machine.contract_and_model_agree_and_one_holder_has_each_nullifier()
    machine.close()

    assert len(set(machine.taken)) >= 12, machine.taken  # it went somewhere
    walked |= set(machine.taken)


def test_walks_went_everywhere(walked):
    """Every step was taken, and some were refused for the state, the party and what they say."""
    functions = {"submitBatch", "open", "release", "flag", "decideFlag", "appeal of what was not decided"}
    refusals = {"StepNotPossible", "StepNotYours", "AlreadyBilled", "NullifierNotWaiting", "NotAlike"}

    assert sorted({*STEPS, *functions} - walked) == []
    assert sorted(refusals - {one.partition(" refused: ")[2] for one in walked}) == []
