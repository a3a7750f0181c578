"""The evaluator: row by row, against the vectors, and against a second evaluator written with sets."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from medproof.errors import RuleFieldError
from medproof.policy import evaluation
from medproof.policy.codes import PartyKind
from medproof.policy.evaluation import Decision, Reason, decide, normalize
from medproof.policy.word import DEFINED, encode, encode_request
from tests.sdk.policy.policy_cases import CASES, OPEN, REQUEST, VECTORS, Case, request_of, vectors, word_of

# --- the table ---


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_evaluation_table(case: Case) -> None:
    rules = map(word_of, case.rules)
    decision = decide(rules, case.kind, case.now, request_of(case.request), glass_broken=case.glass_broken)
    decider = 0 if case.decider is None else word_of(case.rules[case.decider])
    assert decision == Decision(case.reason, decider, case.decider)
    assert decision.permitted is (case.reason in (Reason.PERMITTED, Reason.BREAK_GLASS))


def test_every_reason_has_a_row() -> None:
    assert {case.reason for case in CASES} == set(Reason)


def test_vectors_are_those_of_the_table() -> None:
    """Renew with `python tests/sdk/policy/policy_cases.py` when this fails."""
    assert json.loads(VECTORS.read_text(encoding="utf-8")) == vectors()


def test_an_actor_has_one_kind() -> None:
    for kind in (PartyKind.EMPTY, PartyKind.PAYER | PartyKind.PROVIDER):
        with pytest.raises(RuleFieldError, match="exactly one kind"):
            decide([], kind, datetime(2026, 1, 1, tzinfo=UTC), 0)


def test_the_moment_has_a_zone() -> None:
    with pytest.raises(RuleFieldError, match="zone"):
        decide([encode(OPEN)], PartyKind.PAYER, datetime(2026, 1, 1), encode_request(REQUEST))


# --- a second evaluator, on strings and sets, sharing nothing with the first ---

# name and width, from the least significant bit
FIELDS = (
    *(("sequence", 16), ("index", 4), ("deny", 1), ("delegable", 1), ("refused", 1), ("follows", 1)),
    *(("revoked", 1), ("terms", 12), ("kinds", 8), ("first", 16), ("last", 16), ("begin", 28), ("end", 28)),
    *(("purpose", 16), ("class", 24), ("condition", 22), ("label", 24), ("setting", 8), ("action", 6)),
    *(("permission", 5), ("modifier", 18)),
)
USED = {"kinds": 6, "purpose": 15, "class": 22, "condition": 22, "label": 21, "setting": 8, "action": 5}
SCOPE = ("purpose", "class", "condition", "label", "setting", "action")
SETS = {*SCOPE, "kinds", "permission", "modifier"}
RESEARCH = {11, 12, 13}


def spell(word: int) -> dict[str, Any]:
    """Cut a word into its fields, sets of bit numbers or numbers, from its binary spelling."""
    text = f"{word:0256b}"[::-1]
    fields: dict[str, Any] = {}
    for name, width in FIELDS:
        piece, text = text[:width], text[width:]
        fields[name] = {n for n, bit in enumerate(piece) if bit == "1"} if name in SETS else int(piece[::-1], 2)
    assert text == ""
    return fields


def complete(word: int) -> dict[str, Any] | None:
    """Fill in a request; None where it is malformed."""
    request = spell(word)
    only_rules = (
        "sequence",
        "index",
        "deny",
        "delegable",
        "refused",
        "follows",
        "revoked",
        "terms",
        "begin",
        "end",
    )
    if request["kinds"] or any(request[name] for name in only_rules):
        return None
    for name in SCOPE:
        if any(n >= USED[name] for n in request[name]):
            return None
        request[name] = request[name] or set(range(USED[name]))
    request["last"] = request["last"] or 65535
    if request["first"] > request["last"]:
        return None
    research = request["purpose"] & RESEARCH
    if research and not request["permission"]:
        request["permission"] = {0, 1, 2, 3, 4}
    if not research and (request["permission"] or request["modifier"]):
        return None
    for permission, included in ((0, 1), (1, 2), (1, 4), (2, 3)):  # NRES GRU, GRU HMB, GRU POA, HMB DS
        if permission in request["permission"]:
            request["permission"].add(included)
    return request


def oracle(words: list[int], kind: int | None, moment: int, request_word: int, broken: bool) -> tuple[str, int]:
    """Decide as the specification's sentences say, one after the other."""
    request = complete(request_word)
    if request is None:
        return "MALFORMED_REQUEST", 0
    if kind is None:
        return "INACTIVE_PARTY", 0
    rules = [(word, spell(word)) for word in words if word]
    reason, decider = by_rules(rules, kind, moment, request)
    emergency = broken and request["purpose"] == {2} and request["action"] <= {1, 2}  # BTG; access, use
    if reason == "PERMITTED" or not emergency:
        return reason, decider
    for _, rule in rules:
        live = not rule["revoked"] and rule["begin"] <= moment < rule["end"] and kind in rule["kinds"]
        meets = all(rule[name] & request[name] for name in ("class", "condition", "label", "setting"))
        days = range(max(rule["first"], request["first"]), min(rule["last"], request["last"]) + 1)
        if rule["refused"] and live and meets and days:
            return reason, decider
    return "BREAK_GLASS", decider


def by_rules(rules: list[tuple[int, Any]], kind: int, moment: int, request: dict[str, Any]) -> tuple[str, int]:
    """What the rules decide by themselves."""
    for word, rule in rules:
        live = not rule["revoked"] and rule["begin"] <= moment < rule["end"]
        meets = all(rule[name] & request[name] for name in SCOPE) and kind in rule["kinds"]
        days = max(rule["first"], request["first"]) <= min(rule["last"], request["last"])
        research = any(
            purpose not in RESEARCH or rule["permission"] & request["permission"]
            for purpose in rule["purpose"] & request["purpose"]
        )
        if rule["deny"] and live and meets and days and research:
            return "DENIED", word

    names = [reason.name for reason in Reason]
    fails: list[tuple[str, Callable[[dict[str, Any]], bool]]] = [
        ("REVOKED", lambda rule: bool(rule["revoked"])),
        ("NOT_YET_VALID", lambda rule: moment < rule["begin"]),
        ("EXPIRED", lambda rule: rule["end"] <= moment),
        ("PARTY_KIND", lambda rule: kind not in rule["kinds"]),
        ("PURPOSE", lambda rule: not request["purpose"] <= rule["purpose"]),
        ("DATA_CLASS", lambda rule: not request["class"] <= rule["class"]),
        ("CONDITION", lambda rule: not request["condition"] <= rule["condition"]),
        ("SENSITIVITY", lambda rule: not request["label"] <= rule["label"]),
        ("CARE_SETTING", lambda rule: not request["setting"] <= rule["setting"]),
        ("ACTION", lambda rule: not request["action"] <= rule["action"]),
        (
            "RESEARCH_USE",
            lambda rule: (
                bool(request["purpose"] & RESEARCH)
                and not (request["permission"] <= rule["permission"] and rule["modifier"] <= request["modifier"])
            ),
        ),
        (
            "DATA_PERIOD",
            lambda rule: not rule["first"] <= request["first"] <= request["last"] <= rule["last"],
        ),
    ]
    permits = [
        (next((name for name, failed in fails if failed(rule)), "PERMITTED"), word)
        for word, rule in rules
        if not rule["deny"]
    ]
    for name, word in permits:
        if name == "PERMITTED":
            return name, word
    if not permits:
        return "NO_RULE", 0
    return max(permits, key=lambda permit: names.index(permit[0]))


def test_the_oracle_agrees_with_the_vectors() -> None:
    for vector in json.loads(VECTORS.read_text(encoding="utf-8"))["decisions"]:
        found = oracle(
            [int(word, 16) for word in vector["rules"]],
            None if vector["kind"] == 0 else vector["kind"] - 1,
            vector["minute"],
            int(vector["request"], 16),
            vector["glassBroken"],
        )
        assert found == (vector["reasonName"], int(vector["decider"], 16)), vector["name"]


# --- properties, on random rules that agree with random requests often enough to reach every reason ---

OFFSETS = {name: sum(width for _, width in FIELDS[:n]) for n, (name, _) in enumerate(FIELDS)}

MOMENT = 1000
NOW = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=MOMENT, seconds=59)


class Draw(Random):
    """Random words. Seeded by hypothesis, which draws this many fields slowly and unevenly."""

    def rarely(self, rare: int, usual: int) -> int:
        """Return the rare value one time in sixteen."""
        return rare if self.randrange(16) == 0 else usual

    def some(self, name: str) -> int:
        """Return a set of codes that is not empty."""
        return self.randint(1, (1 << USED[name]) - 1)

    def rule(self) -> int:
        """Return a rule word, in force and wide as a rule."""
        values = {name: self.rarely(self.some(name), (1 << USED[name]) - 1) for name in (*SCOPE, "kinds")}
        values["sequence"] = 1
        values["deny"] = self.rarely(1, 0)
        values["revoked"] = self.rarely(1, 0)
        values["refused"] = self.rarely(1, 0)
        values["terms"] = self.randrange(4096)
        values["begin"] = self.rarely(MOMENT + self.randrange(2), 0)
        values["end"] = self.rarely(MOMENT + self.randrange(2), 2**28 - 1)
        values["first"] = self.rarely(self.randrange(5), 0)
        values["last"] = self.rarely(self.randrange(values["first"], 7), 65535)
        values["permission"] = self.rarely(self.randrange(32), 31)
        values["modifier"] = self.rarely(self.getrandbits(18), 0)
        return sum(value << OFFSETS[name] for name, value in values.items())

    def rules(self, most: int = 6) -> list[int]:
        """Return the rule words that apply to an actor, now and then one that was never written."""
        return [self.rarely(0, self.rule()) for _ in range(self.randint(0, most))]

    def request(self) -> int:
        """Return a request word, now and then a malformed one."""
        values = {name: self.rarely(0, self.some(name) & self.some(name)) for name in SCOPE}
        if self.randrange(4) == 0:  # an emergency, or nearly
            values["purpose"], values["action"] = self.rarely(5, 4), self.rarely(self.some("action"), 6)
        values["first"], values["last"] = sorted((self.randrange(7), self.randrange(7)))
        if self.randrange(8) == 0:
            values["first"], values["last"] = values["last"], values["first"]
        if not values["purpose"] or values["purpose"] & 0x3800:
            values["permission"] = self.randrange(32)
            values["modifier"] = self.rarely(self.getrandbits(18), 2**18 - 1)
        word = sum(value << OFFSETS[name] for name, value in values.items())
        return word | self.rarely(1 << self.randrange(256), 0)


DRAWS = st.integers(0, 2**64 - 1).map(Draw)


@settings(max_examples=5000)
@given(DRAWS)
def test_both_evaluators_agree(draw: Draw) -> None:
    rules, request_word = draw.rules(), draw.request()
    kind = draw.choice([None, *PartyKind, *PartyKind])
    broken = draw.choice([False, True])
    decision = decide(rules, kind, NOW, request_word, glass_broken=broken)
    event(decision.reason.name)
    number = None if kind is None else list(PartyKind).index(kind)
    assert (decision.reason.name, decision.word) == oracle(rules, number, MOMENT, request_word, broken)


@settings(max_examples=2000)
@given(DRAWS)
def test_a_prepared_case_decides_alike(draw: Draw) -> None:
    rules, request_word, kind = draw.rules(), draw.request(), draw.choice([*PartyKind])
    if normalize(request_word) is None:
        with pytest.raises(RuleFieldError, match="malformed"):
            evaluation.Case.of(kind, NOW, request_word)
        return
    case = evaluation.Case.of(kind, NOW, request_word)
    decision = decide(rules, kind, NOW, request_word)
    event(decision.reason.name)
    assert case.permits(rules) is decision.permitted


@settings(max_examples=1000)
@given(st.lists(st.integers(0, 2**256 - 1), max_size=4), st.integers(0, 2**256 - 1))
def test_arbitrary_words_agree_too(rules: list[int], request_word: int) -> None:
    # A data period that ends before it begins is never written.
    first, last = (((1 << 16) - 1) << OFFSETS[name] for name in ("first", "last"))
    rules = [rule & DEFINED & ~first | last for rule in rules]
    decision = decide(rules, PartyKind.PAYER, NOW, request_word, glass_broken=True)
    assert (decision.reason.name, decision.word) == oracle(rules, 1, MOMENT, request_word, True)


def test_random_words_reach_every_reason() -> None:
    draw = Draw(1)
    kinds = [None, *PartyKind]
    asked = [(draw.rules(1), draw.choice(kinds), draw.request(), draw.choice([False, True])) for _ in range(5000)]
    reached = {decide(rules, kind, NOW, request, glass_broken=broken).reason for rules, kind, request, broken in asked}
    assert reached == set(Reason)


def test_breaking_the_glass_only_permits_more_and_a_refusal_only_less() -> None:
    draw = Draw(2)
    changed = 0
    for _ in range(3000):
        rules, request_word = draw.rules(3), draw.request()
        shut = decide(rules, PartyKind.PROVIDER, NOW, request_word)
        broken = decide(rules, PartyKind.PROVIDER, NOW, request_word, glass_broken=True)
        assert broken == shut or (broken.reason is Reason.BREAK_GLASS and broken.word == shut.word)
        refusal = draw.rule() | 1 << OFFSETS["refused"]
        refused = decide([*rules, refusal], PartyKind.PROVIDER, NOW, request_word, glass_broken=True)
        assert refused.reason is not Reason.BREAK_GLASS or broken.permitted
        changed += broken != shut
    assert changed > 100


@settings(max_examples=1000)
@given(DRAWS)
def test_adding_a_deny_never_permits(draw: Draw) -> None:
    rules, request_word = draw.rules(), draw.request()
    before = decide(rules, PartyKind.PAYER, NOW, request_word)
    rules.insert(draw.randint(0, len(rules)), draw.rule() | 1 << OFFSETS["deny"])
    assert before.permitted or not decide(rules, PartyKind.PAYER, NOW, request_word).permitted


@settings(max_examples=1000)
@given(DRAWS)
def test_asking_for_less_is_never_refused_where_more_was_permitted(draw: Draw) -> None:
    rules, request_word = draw.rules(), draw.request()
    filled = normalize(request_word)
    if filled is None or not decide(rules, PartyKind.PAYER, NOW, request_word).permitted:
        return
    for name in SCOPE[1:]:
        codes = [n for n in range(OFFSETS[name], OFFSETS[name] + USED[name]) if filled >> n & 1]
        if len(codes) > 1:
            less = filled & ~(1 << draw.choice(codes))
            assert decide(rules, PartyKind.PAYER, NOW, less).permitted


@settings(max_examples=1000)
@given(DRAWS)
def test_filling_in_twice_changes_nothing(draw: Draw) -> None:
    filled = normalize(draw.request())
    assert filled is None or normalize(filled) == filled
