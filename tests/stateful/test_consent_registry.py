"""Rules granted, changed and revoked in any order, by the patient and a delegate that comes and goes, with a relayer
who sends signed messages whenever it harms most, and parties that break the glass.

After every step the registry stores what the model says and decides as the Python package does; at the end of every
run the patient revokes everything and nobody has access. MEDPROOF_DEEP=1 runs longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from brownie import web3
from eth_abi import encode as abi_encode
from hypothesis import strategies as st

from medproof import messages
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import Reason, decide
from medproof.policy.word import FIELDS, FLAGS, Request, Rule, encode, encode_request
from tests.support.fixtures import EMERGENCY_GROUP, EVERYONE
from tests.support.profiles import effort
from tests.support.reverts import reverts

HOUR = 3600
INDICES = 3
AHEAD = tuple(range(INDICES))  # where a revocation may come before its rule
LAST_SEQUENCE = 65535
FOLLOWS, REVOKED, BREAK_GLASS_REFUSED = (
    next(flag.mask for flag in FLAGS if flag.name == name) for name in ("follows", "revoked", "breakGlassRefused")
)

OPEN: dict[str, Any] = {
    "party_kinds": PartyKind.ALL,
    "purposes": Purpose.TREAT | Purpose.HRESCH,
    "classes": DataClass.ALL,
    "conditions": Condition.ALL,
    "sensitivities": Sensitivity.ALL,
    "settings": CareSetting.ALL,
    "actions": Action.ALL,
    "research": ResearchUse.PERMISSIONS,
}
# What a rule says: hours from now of its period, and what differs from an open permit.
KINDS: list[tuple[int, int, dict[str, Any]]] = [
    (-1, 10_000, {}),
    (-1, 10_000, {"classes": DataClass.LABORATORY}),
    (-1, 4, {}),
    (2, 10_000, {}),
    (-1, 10_000, {"deny": True, "classes": DataClass.GENOMICS}),
    (-1, 3, {"deny": True}),
    (2, 6, {"deny": True, "classes": DataClass.LABORATORY}),
    (-1, 10_000, {"purposes": Purpose.HRESCH, "research": ResearchUse.HMB.with_narrower() | ResearchUse.IRB}),
    (-1, 10_000, {"break_glass_refused": True, "classes": DataClass.LABORATORY}),
    (-1, 5, {"break_glass_refused": True, "deny": True}),
]
PLAIN = {"conditions": Condition.EYE, "sensitivities": Sensitivity.NONE_LABELLED, "settings": CareSetting.AMB}
ASKED = [
    encode_request(Request(purposes=Purpose.TREAT, classes=DataClass.LABORATORY, actions=Action.USE, **PLAIN)),
    encode_request(Request(purposes=Purpose.TREAT, classes=DataClass.GENOMICS, actions=Action.USE, **PLAIN)),
    encode_request(Request(purposes=Purpose.HRESCH, research=ResearchUse.DS, actions=Action.USE, **PLAIN)),
    encode_request(Request(purposes=Purpose.BTG, classes=DataClass.LABORATORY, actions=Action.USE, **PLAIN)),
]
WITHDRAWN = encode(
    Rule(
        **{**OPEN, "purposes": Purpose.ALL},
        deny=True,
        sequence=LAST_SEQUENCE,
        valid_from=datetime(1970, 1, 1, tzinfo=UTC),
        valid_until=None,
    )
)


@dataclass(frozen=True)
class Signed:
    """A message that the relayer holds."""

    revocation: bool
    grantee: str
    word: int  # the rule; of a revocation only index and sequence count
    deadline: int
    signature: bytes
    delegated: bool  # signed by the delegate


def index_of(word: int) -> int:
    return FIELDS["index"].of(word)


def sequence_of(word: int) -> int:
    return FIELDS["sequence"].of(word)


class ConsentMachine:
    """The patient, a delegate, a hostile relayer, time and the authority, against a model of the rules."""

    st_grantee = st.integers(0, 2)
    st_index = st.integers(0, INDICES - 1)
    st_kind = st.sampled_from(KINDS)
    st_step = st.sampled_from([1, 1, 1, 2, 3, 0])  # how far the sequence goes beyond the stored one
    st_until = st.sampled_from([0.5, 30 * 24.0])  # hours to the deadline
    st_pick = st.integers(0, 1000)
    st_hours = st.sampled_from([1, 2, 5])
    st_bool = st.booleans()
    st_minutes = st.sampled_from([0, 1, 600])

    def __init__(self, registry, registrar, delegations, people, sign, domain, chain) -> None:
        self.registry = registry
        self.registrar = registrar
        self.delegations = delegations
        self.admin, self.patient, self.delegate, self.relayer, self.clinic, self.department = people
        registry.setBreakGlassLimits(1000, 1440, {"from": self.admin})
        self.sign = staticmethod(sign)
        self.domain = domain
        self.chain = chain
        self.grantees = [self.clinic.address, EVERYONE, EMERGENCY_GROUP]

    def setup(self) -> None:
        self.words: dict[tuple[str, int], int] = {}  # grantee and index
        self.pool: list[Signed] = []
        self.suspended = False
        self.joined = False  # the clinic, in the emergency group
        self.delegated = False  # to the delegate, granting and revoking
        self.delegation = 0  # its sequence
        self.openings: dict[str, int] = {}  # the end of each party's last opening, in minutes
        self.opened = 0
        self.withdrawn = False

    # -- the patient ----------------------------------------------------------------------------------------------

    def rule_grant(self, grantee="st_grantee", index="st_index", kind="st_kind", step="st_step") -> None:
        grantee = self.grantees[grantee]
        word = self._word(grantee, index, kind, step)
        self._expect(
            self._refusal_of_rule(grantee, word), self.registry.setRule, (grantee, word), self.patient, grantee, word
        )

    def rule_sign_grant(
        self,
        grantee="st_grantee",
        index="st_index",
        kind="st_kind",
        step="st_step",
        until="st_until",
        delegated="st_bool",
    ) -> None:
        grantee, deadline = self.grantees[grantee], self._now() + int(until * HOUR)
        word = self._word(grantee, index, kind, step)
        said = {"subject": self.patient.address, "grantee": grantee, "deadline": deadline}
        message = messages.rule(self.domain, **said, word=word, terms=bytes(32))
        signature = self.sign(self.delegate if delegated else self.patient, message)
        self.pool.append(Signed(False, grantee, word, deadline, signature, delegated))

    def rule_revoke(self, grantee="st_grantee", index="st_index", step="st_step") -> None:
        grantee = self.grantees[grantee]
        if (grantee, index) not in self.words and index not in AHEAD:
            return
        sequence = self._sequence(grantee, index, step)
        word = sequence | index << 16
        self._expect(
            self._refusal_of_revocation(grantee, word),
            self.registry.revokeRule,
            (grantee, index, sequence),
            self.patient,
            grantee,
            word,
            revocation=True,
        )

    def rule_sign_revocation(
        self, grantee="st_grantee", index="st_index", step="st_step", until="st_until", delegated="st_bool"
    ) -> None:
        grantee, deadline = self.grantees[grantee], self._now() + int(until * HOUR)
        if (grantee, index) not in self.words and index not in AHEAD:
            return
        sequence = self._sequence(grantee, index, step)
        said = {"subject": self.patient.address, "grantee": grantee, "deadline": deadline}
        message = messages.revocation(self.domain, **said, index=index, sequence=sequence)
        signature = self.sign(self.delegate if delegated else self.patient, message)
        self.pool.append(Signed(True, grantee, sequence | index << 16, deadline, signature, delegated))

    def rule_delegate_or_end(self) -> None:
        self.delegation += 1
        by_patient = {"from": self.patient}
        if self.delegated:
            arguments = (self.patient, self.delegate, self.patient, self.delegation, 0, b"")
            self.delegations.revokeDelegation(*arguments, by_patient)
        else:
            end = self._now() // 60 + 10_000
            word = self.delegation | 2 << 16 | 3 << 20 | end << 52 | int(self.patient.address, 16) << 96
            self.delegations.setDelegation(self.patient, self.delegate, word, 0, b"", by_patient)
        self.delegated = not self.delegated

    def rule_withdraw(self, pick="st_pick") -> None:
        """Once in a while: nothing happens afterwards."""
        if pick % 12:
            return
        stored = self.words.get((EVERYONE, 0), 0)
        kept = FOLLOWS | (0 if stored & REVOKED else BREAK_GLASS_REFUSED)
        tx = self.registry.withdraw(self.patient, 0, b"", {"from": self.patient})
        self.words[EVERYONE, 0] = WITHDRAWN | stored & kept
        self.withdrawn = True
        assert [event["word"] for event in tx.events] == [self.words[EVERYONE, 0]]

    # -- the relayer ----------------------------------------------------------------------------------------------

    def rule_relay(self, pick="st_pick", batch="st_bool") -> None:
        """Send any message that was ever signed, new or old, once more or for the first time."""
        if not self.pool:
            return
        message = self.pool[pick % len(self.pool)]
        grantee, word = message.grantee, message.word
        if message.revocation:
            refusal = self._refusal_of_revocation(grantee, word)
            function = self.registry.revokeRuleFor
            numbers = (index_of(word), sequence_of(word))
        else:
            refusal = self._refusal_of_rule(grantee, word)
            function, numbers = self.registry.setRuleFor, (word,)
        if message.delegated and not (self.delegated and self._is_delegates(grantee, word, message.revocation)):
            refusal = ("SignatureInvalid", self.patient.address)
        if self._now() > message.deadline:
            refusal = ("MessageExpired", message.deadline, self._now())
        arguments: tuple[Any, ...] = (self.patient, grantee, *numbers, message.deadline, message.signature)
        if batch:
            word_sent = word | REVOKED if message.revocation else word
            change = (self.patient, grantee, word_sent, message.deadline, *messages.compact(message.signature))
            function, arguments = self.registry.setRulesFor, ([change],)
        self._expect(refusal, function, arguments, self.relayer, grantee, word, revocation=message.revocation)

    def rule_relay_late(self, pick="st_pick", batch="st_bool") -> None:
        self.rule_relay(pick, batch)

    # -- emergency care -------------------------------------------------------------------------------------------

    def rule_break_glass(self, clinic="st_bool", minutes="st_minutes") -> None:
        actor = self.clinic if clinic else self.department
        now = self._now() // 60
        refusal: tuple[Any, ...] | None = None
        number = self.registry.openingInForce(self.patient, actor)
        if not self._is_emergency_care(actor):
            refusal = ("NotEmergencyCare", actor.address)
        elif any(self._refuses_everything(word, now) for word in self._rules_for(actor)):
            refusal = ("BreakGlassRefused", self.patient.address)
        elif self.openings.get(actor.address, 0) > now:
            refusal = ("GlassAlreadyBroken", number, self.openings[actor.address])
        arguments = (self.patient, 1, minutes, bytes(32))
        if refusal is not None:
            with reverts(*refusal):
                self.registry.breakGlass.call(*arguments, {"from": actor})
            return
        tx = self.registry.breakGlass(*arguments, {"from": actor})
        self.opened += 1
        self.openings[actor.address] = tx.timestamp // 60 + (minutes or 240)
        event = tx.events["GlassBroken"]
        assert (event["number"], event["until"]) == (self.opened, self.openings[actor.address])

    # -- the world ------------------------------------------------------------------------------------------------

    def rule_time_moves(self, hours="st_hours") -> None:
        self.chain.mine(timestamp=self._now() + hours * HOUR)

    def rule_suspend_or_reinstate(self) -> None:
        change = self.registrar.reinstate if self.suspended else self.registrar.suspend
        change(self.clinic, {"from": self.admin})
        self.suspended = not self.suspended

    def rule_join_or_leave(self) -> None:
        change = self.registrar.leaveGroup if self.joined else self.registrar.joinGroup
        change(2, self.clinic, {"from": self.admin})
        self.joined = not self.joined

    # -- what must hold -------------------------------------------------------------------------------------------

    def invariant_storage_is_the_model(self) -> None:
        places = [(grantee, index) for grantee in self.grantees for index in range(INDICES)]
        asked = [(self.patient.address, grantee, index) for grantee, index in places]
        stored = self._call(self.registry.ruleOf, ["address", "address", "uint256"], asked)

        assert [word for (word,) in stored] == [self.words.get(place, 0) for place in places]

    def invariant_decisions_are_the_packages(self) -> None:
        now = datetime.fromtimestamp(self._now(), tz=UTC)
        for actor in (self.clinic, self.department):
            found = self._decide(actor)
            rules = self._rules_for(actor)
            kind = None if actor == self.clinic and self.suspended else PartyKind.PROVIDER
            broken = self._is_emergency_care(actor) and self.openings.get(actor.address, 0) > self._now() // 60
            for request, (reason, _, word) in zip(ASKED, found, strict=True):
                decision = decide(rules, kind, now, request, glass_broken=broken)
                assert (reason, word) == (decision.reason, decision.word)

    def teardown(self) -> None:
        """Whatever happened, the patient can revoke everything; once openings are over, nobody has access."""
        self.chain.mine(timestamp=self._now() + 24 * HOUR)
        for (grantee, index), word in list(self.words.items()):
            if not word & REVOKED and sequence_of(word) < LAST_SEQUENCE:
                self.registry.revokeRule(grantee, index, sequence_of(word) + 1, {"from": self.patient})
        for actor in (self.clinic, self.department):
            reasons = {reason for reason, _, _ in self._decide(actor)}
            left = {Reason.DENIED} if self.withdrawn else {Reason.REVOKED, Reason.NO_RULE}
            assert reasons <= {*left, Reason.INACTIVE_PARTY}

    # -- the model ------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(web3.eth.get_block("latest")["timestamp"])

    def _sequence(self, grantee: str, index: int, step: int) -> int:
        """So far beyond the stored one, as far as the field goes."""
        return min(sequence_of(self.words.get((grantee, index), 0)) + step, LAST_SEQUENCE)

    def _word(self, grantee: str, index: int, kind: tuple[int, int, dict[str, Any]], step: int) -> int:
        begin, end, changes = kind
        moment = datetime.fromtimestamp(self._now() // 60 * 60, tz=UTC)
        return encode(
            Rule(
                **{**OPEN, **changes},
                index=index,
                sequence=self._sequence(grantee, index, step),
                valid_from=moment + timedelta(hours=begin),
                valid_until=moment + timedelta(hours=end),
            )
        )

    def _refusal_of_rule(self, grantee: str, word: int) -> tuple[Any, ...] | None:
        index = index_of(word)
        stored = sequence_of(self.words.get((grantee, index), 0))
        if sequence_of(word) != stored + 1:
            return "SequenceStale", stored, sequence_of(word)
        while index:
            before = self.words.get((grantee, index - 1), 0)
            if not before:
                return "RuleIndexGap", index
            if before & FOLLOWS:
                return None
            index -= 1
        return None

    def _is_delegates(self, grantee: str, word: int, revocation: bool) -> bool:
        """Whether a delegate for granting and revoking may write it: it ends what stands, and overtakes nothing."""
        stored, sequence = self.words.get((grantee, index_of(word)), 0), sequence_of(word)
        stands = stored != 0 and not stored & REVOKED
        return not revocation or (stands and sequence == sequence_of(stored) + 1 and sequence != LAST_SEQUENCE)

    def _refusal_of_revocation(self, grantee: str, word: int) -> tuple[Any, ...] | None:
        stored = sequence_of(self.words.get((grantee, index_of(word)), 0))
        return None if sequence_of(word) > stored else ("SequenceStale", stored, sequence_of(word))

    def _expect(self, refusal, function, arguments, sender, grantee, word, *, revocation=False) -> None:
        """Send, and expect the refusal or else the change."""
        if refusal is not None:
            with reverts(*refusal):
                function.call(*arguments, {"from": sender})
            return
        tx = function(*arguments, {"from": sender})

        place = (grantee, index_of(word))
        stored = self.words.get(place, 0)
        announced = []
        if revocation:
            self.words[place] = stored & ~0xFFFFF | word | REVOKED
        else:
            for index in range(place[1], 0, -1):
                before = (grantee, index - 1)
                if self.words[before] & FOLLOWS:
                    break
                self.words[before] |= FOLLOWS
                announced.append(self.words[before])
            self.words[place] = word | stored & FOLLOWS
        announced.append(self.words[place])
        assert [event["word"] for event in tx.events if event.name != "DelegateActed"] == announced

    def _is_emergency_care(self, actor: Any) -> bool:
        return actor == self.department or (self.joined and not self.suspended)

    def _refuses_everything(self, word: int, now: int) -> bool:
        """Of the rules above, those that refuse break-glass do so for laboratory results or for all classes."""
        begin, end = FIELDS["validFrom"].of(word), FIELDS["validUntil"].of(word)
        refuses = word & (BREAK_GLASS_REFUSED | REVOKED) == BREAK_GLASS_REFUSED
        return refuses and begin <= now < end and FIELDS["classes"].of(word) == DataClass.ALL

    def _rules_for(self, actor: Any) -> list[int]:
        """Every rule that counts for an actor: of each list all that were written, whatever points to them."""
        grantees = [self.clinic.address, EVERYONE] if actor == self.clinic else [EVERYONE, EMERGENCY_GROUP]
        if actor == self.clinic and self.joined:
            grantees.append(EMERGENCY_GROUP)
        rules = []
        for grantee in grantees:
            for index in range(INDICES):
                # A tombstone in the middle of a list that nothing follows yet decides nothing.
                if index and not self.words.get((grantee, index - 1), 0) & FOLLOWS:
                    break
                rules.append(self.words.get((grantee, index), 0))
        return rules

    def _decide(self, actor: Any) -> list[tuple[Reason, str, int]]:
        asked = [(self.patient.address, actor.address, request) for request in ASKED]
        found = self._call(self.registry.decide, ["address", "address", "uint256"], asked)
        return [(Reason(reason), f"0x{grantee:040x}", word) for reason, grantee, word in found]

    def _call(self, function: Any, types: list[str], rows: list[tuple[Any, ...]]) -> list[tuple[int, ...]]:
        """Call a function with each row of arguments, in one request; the results as words."""
        to = self.registry.address
        calls = [{"to": to, "data": function.signature + abi_encode(types, row).hex()} for row in rows]
        answers = web3.provider.make_batch_request([("eth_call", [call, "latest"]) for call in calls])
        found = [bytes.fromhex(answer["result"][2:]) for answer in sorted(answers, key=lambda answer: answer["id"])]
        return [tuple(int.from_bytes(raw[n : n + 32]) for n in range(0, len(raw), 32)) for raw in found]


@pytest.mark.spec("C9", "C10", "C11", "C12", "C13", "C14", "C15", "C16", "C17", "C19", "C27", "C48")
@pytest.mark.spec("C49", "C52", "C53", "C58", "C61", "C62", "B1", "B5", "B7", "B8", "B10", "B11")
def test_consent_registry_holds_whatever_the_relayer_does(
    state_machine,
    consent_registry,
    registrar,
    delegations,
    parties,
    admin,
    patient,
    stranger,
    relayer,
    clinic,
    emergency_department,
    sign,
    domain_of,
    chain,
):
    people = (admin, patient, stranger, relayer, clinic, emergency_department)
    domain = domain_of(consent_registry)
    state_machine(
        ConsentMachine,
        consent_registry,
        registrar,
        delegations,
        people,
        sign,
        domain,
        chain,
        settings=effort(10, steps=16),
    )
