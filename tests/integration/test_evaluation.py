"""The contract and the Python package decide alike: the vectors, random rules, requests and openings in an emergency,
and what may be written.

MEDPROOF_DEEP=1 tries many more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brownie import web3
from eth_abi import encode as abi_encode
from eth_account import Account
from eth_utils import keccak
from hypothesis import HealthCheck, example, settings
from hypothesis import strategies as st
from hypothesis.core import given  # Brownie's own reverts the chain after each example; here each has its own subject

from medproof import messages
from medproof.errors import ReservedBitsError, RuleFieldError
from medproof.policy.codes import PartyKind, Purpose, ResearchUse
from medproof.policy.evaluation import Decision, Reason, decide
from medproof.policy.word import FIELDS, FLAGS, NO_END_DAY, NO_END_MINUTE, validate
from tests.support.fixtures import DAY
from tests.support.profiles import DEEP

WORLDS = 220 if DEEP else 20
SUBJECTS, REQUESTS = 4, 10  # subjects with random rules in each world, and the requests about each
WRITES = 10_000 if DEEP else 1000  # words that the contract is asked to store
VECTORS = Path(__file__).parents[1] / "vectors" / "policy.json"

DENY, FOLLOWS, REVOKED = (next(f.mask for f in FLAGS if f.name == name) for name in ("deny", "follows", "revoked"))
CODES = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions")
OPENINGS_SLOT, LAST_SLOT, RULES_SLOT = 3, 4, 7  # where ConsentRegistry keeps openings, each party's last, and rules
EVERYONE, EMERGENCY_GROUP = f"0x{1:040x}", f"0x{2:040x}"
BREAK_GLASS_REFUSED = next(f.mask for f in FLAGS if f.name == "breakGlassRefused")

chain_examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
seeds = st.integers(0, 2**64 - 1)


# -- the chain, spoken to in batches ---------------------------------------------------------------------------


@dataclass
class Registry:
    """The deployed registry, without Brownie's transactions: it asks and writes by the hundred."""

    contract: Any
    sender: str
    domain: messages.Domain
    keys: Iterator[int] = field(default_factory=lambda: count(1))

    def fresh_key(self) -> Any:
        """The key of a subject that has no rules yet."""
        return Account.from_key(keccak(text=f"subject {next(self.keys)}"))

    def batch(self, requests: list[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
        answers = web3.provider.make_batch_request(requests) if requests else []
        return sorted(answers, key=lambda answer: answer["id"])

    def send(self, inputs: list[str], *, sender: str | None = None) -> None:
        """Send calls in order, each of which must succeed."""
        by = sender or self.sender
        common = {"from": by, "to": self.contract.address, "gas": "0x100000", "gasPrice": "0x2540be400"}
        nonces = count(web3.eth.get_transaction_count(by))
        transactions = [{**common, "nonce": hex(next(nonces)), "data": data} for data in inputs]
        for answer in self.batch([("eth_sendTransaction", [transaction]) for transaction in transactions]):
            assert "error" not in answer, answer

    def call(self, inputs: list[str], *, sender: str | None = None) -> list[dict[str, Any]]:
        common = {"to": self.contract.address, "from": sender or self.sender}
        return self.batch([("eth_call", [{**common, "data": data}, "latest"]) for data in inputs])

    def decide(self, questions: list[tuple[str, str, int]]) -> list[tuple[Reason, str, int]]:
        """Decide questions of subject, actor and request."""
        selector = self.contract.decide.signature
        types = ["address", "address", "uint256"]
        found = []
        for answer in self.call([selector + abi_encode(types, question).hex() for question in questions]):
            raw = bytes.fromhex(answer["result"][2:])
            reason, grantee, word = (raw[n : n + 32] for n in (0, 32, 64))
            found.append((Reason(int.from_bytes(reason)), "0x" + grantee[12:].hex(), int.from_bytes(word)))
        return found

    def break_glass(self, subject: str) -> str:
        body = abi_encode(["address", "uint8", "uint256", "bytes32"], [subject, 1, 0, bytes(32)])
        return self.contract.breakGlass.signature + body.hex()

    def set_rule_for(self, key: Any, grantee: str, word: int, deadline: int) -> str:
        message = messages.rule(
            self.domain, subject=key.address, grantee=grantee, word=word, terms=bytes(32), deadline=deadline
        )
        signature = bytes(key.sign_message(message.signable()).signature)
        types = ["address", "address", "uint256", "uint256", "bytes"]
        body = abi_encode(types, [key.address, grantee, word, deadline, signature])
        return self.contract.setRuleFor.signature + body.hex()

    def revoke_rule_for(self, key: Any, grantee: str, index: int, sequence: int, deadline: int) -> str:
        message = messages.revocation(
            self.domain, subject=key.address, grantee=grantee, index=index, sequence=sequence, deadline=deadline
        )
        signature = bytes(key.sign_message(message.signable()).signature)
        types = ["address", "address", "uint256", "uint256", "uint256", "bytes"]
        body = abi_encode(types, [key.address, grantee, index, sequence, deadline, signature])
        return self.contract.revokeRuleFor.signature + body.hex()


@pytest.fixture(scope="module")
def registry(consent_registry: Any, relayer: Any, admin: Any, domain_of: Any) -> Registry:
    consent_registry.setBreakGlassLimits(65535, 1440, {"from": admin})
    return Registry(consent_registry, relayer.address, domain_of(consent_registry))


@dataclass(frozen=True)
class Actor:
    """Who asks: the account, its kind (None where it is not active), and the lists that count, in order."""

    account: str
    kind: PartyKind | None
    grantees: tuple[str, ...]

    @property
    def emergency_care(self) -> bool:
        return EMERGENCY_GROUP in self.grantees


@pytest.fixture(scope="module")
def actors(accounts: Any, registrar: Any, admin: Any) -> list[Actor]:
    """A party of each kind, in no group to four, of which one is emergency care; one that changed its account; a
    suspended one; and a stranger."""
    groups = [registrar.createGroup(f"network {number}", {"from": admin}).return_value for number in range(3)]
    groups.insert(1, 2)
    found = []
    for number, kind in enumerate(PartyKind):
        account = accounts[12 + number]
        registrar.accredit(account, number + 1, b"\x11" * 32, 65535, {"from": admin})
        joined = groups[: min(number, 4)]
        for group in joined:
            registrar.joinGroup(group, account, {"from": admin})
        # The group joined last is read first.
        lists = (account.address, EVERYONE, *(f"0x{group:040x}" for group in reversed(joined)))
        found.append(Actor(account.address, kind, tuple(grantee.lower() for grantee in lists)))

    rotated = found[3]
    registrar.offerAccount(accounts[18], {"from": rotated.account})
    registrar.takeAccount(rotated.account, {"from": accounts[18]})
    found[3] = Actor(accounts[18].address, rotated.kind, rotated.grantees)
    registrar.accredit(accounts[11], 1, b"\x11" * 32, 65535, {"from": admin})
    registrar.suspend(accounts[11], {"from": admin})
    return [*found, Actor(accounts[11].address, None, ()), Actor(accounts[19].address, None, ())]


# -- random rules and requests ---------------------------------------------------------------------------------


# Where a rule is narrow, or not in force.
MISSES = ("nothing", "revoked", "begin", "end", "partyKinds", *CODES, "research", "days")


class Draw(Random):
    """Random words that nearly agree. Seeded by Hypothesis, which draws so many fields slowly and unevenly."""

    def rarely(self, rare: Any, usual: Any, *, one_in: int = 12) -> Any:
        return rare if self.randrange(one_in) == 0 else usual

    def some(self, name: str) -> int:
        """A set of codes of a field, in place, that is not empty."""
        chosen = 0
        while not chosen:
            chosen = self.getrandbits(256) & FIELDS[name].defined
        return chosen

    def days(self) -> tuple[int, int]:
        first, last = sorted((self.randrange(1, 9), self.randrange(1, 9)))
        return self.rarely(0, first, one_in=4), self.rarely(NO_END_DAY, last, one_in=4)

    def rule(self, now: int, *, index: int, miss: str = "") -> int:
        """A rule that may be written: wide and in force, but for the miss."""
        miss = miss or self.choice(MISSES)
        word = 1 << FIELDS["sequence"].offset | index << FIELDS["index"].offset
        word |= self.rarely(DENY, 0, one_in=8)
        word |= self.rarely(self.getrandbits(12), 0) << FIELDS["terms"].offset if self.terms else 0
        word |= self.rarely(1 << 21, 0)  # delegable
        word |= self.rarely(BREAK_GLASS_REFUSED, 0, one_in=6)
        for name in ("partyKinds", *CODES):
            word |= self.some(name) if miss == name else self.rarely(self.some(name), FIELDS[name].defined, one_in=30)
        first, last = self.days() if miss == "days" else (0, NO_END_DAY)
        word |= first << FIELDS["dataFrom"].offset | last << FIELDS["dataUntil"].offset
        begin = now + self.randrange(5) if miss == "begin" else 0
        end = now + self.randrange(2) if miss == "end" else NO_END_MINUTE
        word |= begin << FIELDS["validFrom"].offset | end << FIELDS["validUntil"].offset
        if word >> FIELDS["purposes"].offset & Purpose.RESEARCH.value:
            permissions = ResearchUse(self.randrange(1, 32) if miss == "research" else 31)
            research = permissions if word & DENY else permissions.with_narrower()
            if miss == "research" and not word & DENY:
                research |= ResearchUse((self.getrandbits(18) & self.getrandbits(18)) << 5)
            word |= research.value << FIELDS["research"].offset
        return word

    terms = True  # whether rules name terms; a signed rule may name only those that are published

    def request(self) -> int:
        """A request: of each field some codes, or none; now and then malformed."""
        word = 0
        for name in CODES:
            few = self.some(name) & self.getrandbits(256) & self.getrandbits(256)
            word |= self.rarely(0, few if few else self.some(name), one_in=8)
        if self.randrange(2):
            word &= ~(Purpose.RESEARCH.value << FIELDS["purposes"].offset)
        if self.randrange(4) == 0:  # an emergency, or nearly
            word &= ~(FIELDS["purposes"].mask | FIELDS["actions"].mask)
            word |= self.rarely(5, 4) << FIELDS["purposes"].offset  # BTG, or TREAT with it
            word |= self.rarely(0, self.randrange(1, 4) << 1, one_in=16) << FIELDS["actions"].offset  # access, use
        first, last = sorted((self.randrange(9), self.randrange(1, 9)))
        first, last = self.rarely((last, first), (first, last), one_in=24)
        word |= first << FIELDS["dataFrom"].offset | last << FIELDS["dataUntil"].offset
        purposes = word >> FIELDS["purposes"].offset & Purpose.ALL.value
        if not purposes or purposes & Purpose.RESEARCH.value or self.randrange(24) == 0:
            modifiers = self.rarely(self.getrandbits(18), 2**18 - 1, one_in=3)
            word |= (self.randrange(32) | modifiers << 5) << FIELDS["research"].offset
        return word | self.rarely(1 << self.randrange(256), 0, one_in=40)


def expected(
    actor: Actor, lists: dict[str, list[int]], now: datetime, request: int, glass_broken: bool
) -> tuple[Reason, str, int]:
    """What Python decides, with the grantee under whom the deciding rule stands."""
    rules = [(grantee, word) for grantee in actor.grantees for word in lists.get(grantee, ())]
    decision = decide([word for _, word in rules], actor.kind, now, request, glass_broken=glass_broken)
    grantee = f"0x{0:040x}" if decision.position is None else rules[decision.position][0]
    return decision.reason, grantee, decision.word


reached: Counter[Reason] = Counter()


@pytest.mark.spec("C48", "B8", "B9", "B10")
@settings(chain_examples, max_examples=WORLDS)
@given(seeds)
def test_contract_and_package_decide_alike(registry: Registry, actors: list[Actor], chain: Any, seed: int) -> None:
    draw = Draw(seed)
    draw.terms = False
    now = web3.eth.get_block("latest")["timestamp"]
    active = [actor for actor in actors if actor.kind is not None]
    inactive = [actor for actor in actors if actor.kind is None]
    inputs: list[str] = []
    questions: list[tuple[Any, Actor, int]] = []
    rules_of: dict[Any, dict[str, list[int]]] = {}
    opened: set[tuple[Any, Actor]] = set()
    for _ in range(SUBJECTS):
        key = registry.fresh_key()
        asking = [draw.choice(active), draw.rarely(draw.choice(inactive), draw.choice(active), one_in=8)]
        opened |= {(key, actor) for actor in asking if actor.emergency_care and draw.randrange(4)}
        miss = next(misses)
        rules_of[key] = random_lists(draw, asking, now // 60, miss)
        for grantee, words in rules_of[key].items():
            inputs += [registry.set_rule_for(key, grantee, word, now + DAY) for word in words]
            for index, word in enumerate(words):
                if draw.randrange(12) == 0 or (miss == "revoked" and index == 0):
                    inputs.append(registry.revoke_rule_for(key, grantee, index, 2, now + DAY))
                    words[index] = word + 1 | REVOKED
            words[:-1] = [word | FOLLOWS for word in words[:-1]]
        questions += [(key, draw.choice(asking), draw.request()) for _ in range(REQUESTS)]
    for key, actor in opened:  # before there is a rule that could refuse it
        registry.send([registry.break_glass(key.address)], sender=actor.account)
    registry.send(inputs)

    answers = registry.decide([(key.address, actor.account, request) for key, actor, request in questions])
    block = datetime.fromtimestamp(web3.eth.get_block("latest")["timestamp"], tz=UTC)
    for (key, actor, request), answer in zip(questions, answers, strict=True):
        lists = rules_of[key]
        broken = (key, actor) in opened
        assert answer == expected(actor, lists, block, request, broken), f"{actor} asks {request:#x} of {lists}"
        reached[answer[0]] += 1


misses = cycle(MISSES)


def random_lists(draw: Draw, asking: list[Actor], now: int, miss: str) -> dict[str, list[int]]:
    """The rules of one subject: a near miss for the one who asks, others for everyone and groups now and then."""
    candidates = {EVERYONE, *(grantee for actor in asking for grantee in actor.grantees)}
    grantees = [grantee for grantee in sorted(candidates) if draw.randrange(6) == 0]
    lists = {grantee: [draw.rule(now, index=n) for n in range(draw.choice((1, 1, 2, 3)))] for grantee in grantees}
    if draw.randrange(8):
        lists[asking[0].grantees[0]] = [draw.rule(now, index=0, miss=miss)]
    return lists


@pytest.mark.spec("C43", "C48")
def test_every_reason_was_reached() -> None:
    if not reached:
        pytest.skip("the test before this one did not run")
    assert [reason.name for reason in Reason if not reached[reason]] == []
    assert sum(reached.values()) >= (5000 if DEEP else 300)


# -- the vectors -------------------------------------------------------------------------------------------------


def rule_slots(subject: str, grantee: str, count: int) -> list[str]:
    """Where the registry keeps the first rules of a pair."""
    outer = keccak(abi_encode(["address", "uint256"], [subject, RULES_SLOT]))
    inner = int.from_bytes(keccak(abi_encode(["address", "bytes32"], [grantee, outer])))
    further = [int.from_bytes(keccak(abi_encode(["uint256", "uint256"], [n, inner + 1]))) for n in range(1, count)]
    return [f"0x{slot:064x}" for slot in [inner, *further]]


def opening_slots(subject: str, party: str, until: int) -> list[tuple[str, int]]:
    """Where the registry keeps a subject's first opening, and what: its party's, for this minute."""
    count_slot = keccak(abi_encode(["address", "uint256"], [subject, OPENINGS_SLOT]))
    last = keccak(abi_encode(["address", "uint256"], [subject, LAST_SLOT]))
    word = int(party, 16) | until - 1 << 160 | until << 192 | 1 << 224
    return [
        ("0x" + count_slot.hex(), 1),
        ("0x" + keccak(count_slot).hex(), word),
        ("0x" + keccak(abi_encode(["address", "bytes32"], [party, last])).hex(), 1),
    ]


@pytest.mark.spec("C29", "C48", "B8", "B9", "B10")
def test_vectors_hold_on_the_chain(
    registry: Registry, actors: list[Actor], registrar: Any, admin: Any, chain: Any
) -> None:
    """Words are put into storage: some vectors hold words that only a revocation writes. Time moves as a whole."""
    for actor in actors:
        if actor.kind is not None and not actor.emergency_care:
            registrar.joinGroup(2, actor.account, {"from": admin})
    vectors = sorted(json.loads(VECTORS.read_text(encoding="utf-8"))["decisions"], key=lambda vector: vector["minute"])
    late = chain.time() // 60 + 10 - vectors[0]["minute"]
    kinds = list(PartyKind)

    for number, vector in enumerate(vectors, start=1):
        subject = f"0x{number << 20:040x}"
        kind = vector["kind"]
        actor = next(a for a in actors if a.kind == (kinds[kind - 1] if kind else None))
        words = [shifted(int(word, 16), late) for word in vector["rules"]]
        if words != [0]:
            words = [word | (FOLLOWS if n + 1 < len(words) else 0) for n, word in enumerate(words)]
        grantee = actor.grantees[0] if actor.grantees else actor.account
        slots = list(zip(rule_slots(subject, grantee, len(words)), words, strict=False))
        if vector["glassBroken"]:
            slots += opening_slots(subject, grantee, vector["minute"] + late + 1)
        settings_ = [[registry.contract.address, slot, f"0x{word:064x}"] for slot, word in slots]
        registry.batch([("evm_setAccountStorageAt", setting) for setting in settings_])
        chain.mine(timestamp=(vector["minute"] + late) * 60)

        ((reason, _, word),) = registry.decide([(subject, actor.account, int(vector["request"], 16))])

        assert reason.name == vector["reasonName"], vector["name"]
        assert word & ~FOLLOWS == shifted(int(vector["decider"], 16), late), vector["name"]


def shifted(word: int, minutes: int) -> int:
    """A rule with its period moved; no end stays no end, and the beginning of time stays."""
    for name in ("validFrom", "validUntil"):
        value = FIELDS[name].of(word)
        if value not in (0, NO_END_MINUTE):
            word += minutes << FIELDS[name].offset
    return word


# -- what may be written -----------------------------------------------------------------------------------------

ERRORS = {
    "0x" + keccak(text=signature)[:4].hex(): signature.split("(")[0]
    for signature in (
        "RuleBitsReserved(uint256)",
        "RuleFieldEmpty(string)",
        "RulePeriodEmpty(uint256,uint256)",
        "RuleDataPeriodEmpty(uint256,uint256)",
        "RuleResearchMismatch(uint256)",
        "SequenceStale(uint256,uint256)",
        "RuleIndexGap(uint256)",
    )
}


def refusal(word: int) -> str:
    """The contract's error for a word that may not be written first of all, empty where it may."""
    try:
        validate(word)
    except ReservedBitsError:
        return "RuleBitsReserved"
    except RuleFieldError as error:
        name = error.field
        if name in ("follows", "revoked"):
            return "RuleBitsReserved"
        special = {"validFrom": "RulePeriodEmpty", "dataFrom": "RuleDataPeriodEmpty", "sequence": "SequenceStale"}
        return special.get(name, "RuleResearchMismatch" if name == "research" else "RuleFieldEmpty")
    if FIELDS["sequence"].of(word) != 1:
        return "SequenceStale"
    return "RuleIndexGap" if FIELDS["index"].of(word) else ""


refused: Counter[str] = Counter()


@pytest.mark.spec("C1", "C3", "C4", "C5", "C6", "C48")
@settings(chain_examples, max_examples=WRITES // 50)
@example(seed=0)
@given(seeds)
def test_contract_and_package_refuse_the_same_words(
    registry: Registry, actors: list[Actor], patient: Any, seed: int
) -> None:
    draw = Draw(seed)
    words = []
    for _ in range(50):
        word = draw.rule(30_000_000, index=0)
        for _ in range(draw.randrange(4)):  # up to three faults
            name = draw.choice([*FIELDS, "dataFrom", "dataUntil", "sequence"])
            value = draw.choice((0, 1, draw.getrandbits(28), 2**28 - 1, 1 << draw.randrange(FIELDS[name].width)))
            width = FIELDS[name].mask >> FIELDS[name].offset
            word = word & ~FIELDS[name].mask | (value & width) << FIELDS[name].offset
        words.append(draw.rarely(draw.getrandbits(256), word, one_in=50))

    selector = registry.contract.setRule.signature
    inputs = [selector + abi_encode(["address", "uint256"], [EVERYONE, word]).hex() for word in words]
    for word, answer in zip(words, registry.call(inputs, sender=patient.address), strict=True):
        error = answer.get("error", {}).get("data", "")
        selector = (error if isinstance(error, str) else error.get("result", ""))[:10]
        assert ERRORS.get(selector, selector) == refusal(word), f"{word:#x}"
        refused[refusal(word)] += 1


@pytest.mark.spec("C48")
def test_every_refusal_was_reached() -> None:
    if not refused:
        pytest.skip("the test before this one did not run")
    assert set(refused) == {"", *ERRORS.values()}


def test_decision_names_the_position_of_its_rule() -> None:
    """What `expected` relies on."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert decide([0, REVOKED | 1], PartyKind.PAYER, now, 0) == Decision(Reason.REVOKED, REVOKED | 1, 1)
