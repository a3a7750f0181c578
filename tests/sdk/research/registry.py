"""A registry made up by chance, written to an index as a chain's events would be."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from eth_abi.abi import encode as encode_abi

from medproof.artifacts import CONTRACTS, artifact
from medproof.client.registrar import EMERGENCY, EVERYONE, group_grantee
from medproof.deployments import Deployed, Deployment
from medproof.indexer import Index, IndexedDeployment
from medproof.indexer.index import Batch, BlockHash
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
from medproof.policy.word import FIELDS, FLAG_FIELDS, LAST_SEQUENCE, Request, Rule, encode

FIRST = 100  # the deployment's first block
START = datetime(2026, 1, 1, tzinfo=UTC)  # the time of that block
STEP = timedelta(minutes=7, seconds=13)  # between blocks
_FOLLOWS, _REVOKED, _SEQUENCE = FLAG_FIELDS["follows"].mask, FLAG_FIELDS["revoked"].mask, FIELDS["sequence"]


def block_time(block: int) -> datetime:
    return START + (block - FIRST) * STEP


def block_hash(block: int, chain: int) -> bytes:
    return chain.to_bytes(16, "big") + block.to_bytes(16, "big")


def deployment_of(chain: int, salt: int = 0) -> Deployment:
    """A manifest of contracts that stand nowhere."""
    contracts = {
        name: Deployed((), "0x" + "00" * 32, f"0x{(salt << 8) + 0xA000 + number:040x}", FIRST)
        for number, name in enumerate(CONTRACTS)
    }
    return Deployment(chain, "0x" + "01" * 20, contracts, {}, True)


@dataclass
class Registry:
    """What the contracts keep, and the events that they emit."""

    indexed: IndexedDeployment
    block: int = FIRST
    words: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _events: list[tuple[Any, ...]] = field(default_factory=list)
    _rules: list[tuple[Any, ...]] = field(default_factory=list)
    _others: list[tuple[Any, ...]] = field(default_factory=list)

    # -- what happens -------------------------------------------------------------------------------------------

    def write(self, subject: str, grantee: str, rule: Rule) -> None:
        """As ConsentRegistry._setRule does."""
        key = (subject, grantee, rule.index)
        stored = self.words.get(key, 0)
        sequence = _SEQUENCE.of(stored) + 1
        for before in range(rule.index - 1, -1, -1):
            word = self.words[subject, grantee, before]
            if word & _FOLLOWS:
                break
            self._set("RuleSet", (subject, grantee, before), word | _FOLLOWS)
        self._set("RuleSet", key, encode(dataclasses.replace(rule, sequence=sequence)) | stored & _FOLLOWS)

    def revoke(self, subject: str, grantee: str, index: int) -> None:
        key = (subject, grantee, index)
        stored = self.words[key]
        self._set("RuleRevoked", key, stored + 1 | _REVOKED)

    def withdraw(self, subject: str) -> None:
        """As ConsentRegistry.withdraw does: everything is denied to everyone, for good."""
        codes = sum(one.defined for one in FIELDS.values() if one.codes and one.name != "research")
        word = codes | FLAG_FIELDS["deny"].mask | FIELDS["dataUntil"].mask | FIELDS["validUntil"].mask | LAST_SEQUENCE
        word |= ResearchUse.PERMISSIONS.value << FIELDS["research"].offset
        key = (subject, EVERYONE, 0)
        self._set("RuleSet", key, word | self.words.get(key, 0) & _FOLLOWS)

    def say(self, contract: str, name: str, /, **arguments: Any) -> None:
        """Another event."""
        self._others.append(self._emit(contract, name, arguments))

    def mine(self, blocks: int = 1) -> None:
        """End the block, and let some pass in which nothing happens."""
        here, last = self._kept(self.block), self._kept(self.block + blocks - 1)
        happened = {here.number: here} if self._events else {}
        self.indexed.append(
            Batch(here.number, last, happened, tuple(self._events), list(self._rules), tuple(self._others))
        )
        self._events, self._rules, self._others = [], [], []
        self.block += blocks

    def _kept(self, block: int) -> BlockHash:
        return BlockHash(block, block_hash(block, self.indexed.chain), int(block_time(block).timestamp()))

    def _emit(self, contract: str, name: str, arguments: dict[str, Any]) -> tuple[Any, ...]:
        [entry] = [one for one in artifact(contract).abi if one["type"] == "event" and one["name"] == name]
        said = b""
        for indexed in (True, False):
            inputs = [one for one in entry["inputs"] if one["indexed"] is indexed]
            said += encode_abi([one["type"] for one in inputs], [arguments[one["name"]] for one in inputs])
        event = (self.indexed.contracts[contract], self.block, len(self._events), b"\x05" * 32, name, said)
        self._events.append(event)
        return event

    def _set(self, name: str, key: tuple[str, str, int], word: int) -> None:
        self.words[key] = word
        subject, grantee, index = key
        event = self._emit("ConsentRegistry", name, {"subject": subject, "grantee": grantee, "word": word})
        places = (bytes.fromhex(subject[2:]), bytes.fromhex(grantee[2:]), index)
        time = int(block_time(self.block).timestamp())
        self._rules.append((*event[:3], time, None, None, *places, word.to_bytes(32, "big")))


def address(role: str, number: int) -> str:
    return f"0x{role.encode().hex():0<8}{number:032x}"[:42].ljust(42, "0")


SUBJECTS = [address("subj", number) for number in range(24)]
PARTIES = {address("part", number): kind for number, kind in enumerate(PartyKind)}
GROUPS = (3, 4)
_RESEARCH = (
    ResearchUse.GRU,
    ResearchUse.HMB,
    ResearchUse.DS,
    ResearchUse.HMB | ResearchUse.NPU,
    ResearchUse.GRU | ResearchUse.PUB | ResearchUse.COL,
)


def chance_rule(draw: random.Random, block: int) -> Rule:
    """A rule that a subject may write, near the others so that they meet."""
    purposes = draw.choice((Purpose.TREAT, Purpose.TREAT | Purpose.HRESCH, Purpose.HRESCH, Purpose.ALL))
    deny = draw.random() < 0.2
    research = draw.choice(_RESEARCH) if purposes & Purpose.RESEARCH else ResearchUse.EMPTY
    research = research & ResearchUse.PERMISSIONS if deny else research.with_narrower()
    now = block_time(block).replace(second=0)
    return Rule(
        purposes=purposes,
        classes=draw.choice((DataClass.ALL, DataClass.LABORATORY, DataClass.LABORATORY | DataClass.GENOMICS)),
        conditions=draw.choice((Condition.ALL, Condition.ALL, Condition.NEOPLASMS)),
        sensitivities=draw.choice((Sensitivity.ALL, Sensitivity.NONE_LABELLED, Sensitivity.GDIS)),
        settings=draw.choice((CareSetting.ALL, CareSetting.AMB)),
        actions=draw.choice((Action.ALL, Action.ACCESS | Action.USE)),
        party_kinds=draw.choice((PartyKind.ALL, PartyKind.ALL, PartyKind.RESEARCHER, PartyKind.PROVIDER)),
        valid_from=now + timedelta(minutes=draw.choice((-60, -60, 30, 90))),
        valid_until=draw.choice((None, None, now + timedelta(minutes=draw.choice((100, 300))))),
        data_from=draw.choice((date(1970, 1, 1), date(1970, 1, 1), date(2020, 1, 1))),
        data_until=draw.choice((None, None, date(2025, 12, 31))),
        research=research,
        terms=draw.choice((0, 1, 2)),
        index=0,
        deny=deny,
        delegable=draw.random() < 0.1,
        break_glass_refused=draw.random() < 0.1,
    )


def fill(indexed: IndexedDeployment, *, seed: int, blocks: int, subjects: Iterable[str] = SUBJECTS) -> Registry:
    """A registry in which something happens in most blocks."""
    registry, draw = Registry(indexed), random.Random(seed)
    kept = list(subjects)
    far = (date(2030, 1, 1) - date(1970, 1, 1)).days
    near = (block_time(FIRST + blocks // 2).date() - date(1970, 1, 1)).days - 1
    for number, name in enumerate(('cardiology "1"', "<script>alert(1)</script>"), start=GROUPS[0]):
        registry.say("Registrar", "GroupCreated", group=number, name=name)
    for number, party in enumerate(PARTIES, start=1):
        until = near if number == 2 else far
        registry.say(
            "Registrar", "PartyAccredited", party=party, kind=number, credential=b"\x11" * 32, validUntil=until
        )
        registry.say("Registrar", "GroupJoined", party=party, group=GROUPS[number % 2])
    registry.say("ConsentRegistry", "TermsPublished", number=1, terms=b"\x07" * 32)
    registry.mine()
    grantees = (*PARTIES, EVERYONE, EVERYONE, *map(group_grantee, GROUPS), EMERGENCY)
    suspended: set[str] = set()
    away: set[str] = set()
    for _ in range(blocks):
        for _ in range(draw.choice((0, 1, 2, 4))):
            what, subject, grantee = draw.random(), draw.choice(kept), draw.choice(grantees)
            party = draw.choice(list(PARTIES))
            standing = sum(key[:2] == (subject, grantee) for key in registry.words)
            index = draw.randrange(min(standing + 1, 4))
            word = registry.words.get((subject, grantee, index), 0)
            if what < 0.06:
                registry.say("Registrar", "PartyReinstated" if party in suspended else "PartySuspended", party=party)
                suspended ^= {party}
            elif what < 0.12:
                group = GROUPS[(list(PARTIES).index(party) + 1) % 2]
                registry.say("Registrar", "GroupJoined" if party in away else "GroupLeft", party=party, group=group)
                away ^= {party}
            elif what < 0.13:
                registry.withdraw(subject)
            elif _SEQUENCE.of(word) >= LAST_SEQUENCE - 1:
                continue
            elif word and not word & _REVOKED and what < 0.4:
                registry.revoke(subject, grantee, index)
            else:
                rule = dataclasses.replace(chance_rule(draw, registry.block), index=index)
                registry.write(subject, grantee, rule)
        registry.mine(draw.choice((1, 1, 1, 2)))
    return registry


REQUESTS: tuple[Request, ...] = (
    Request(
        Purpose.TREAT,
        DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED,
        CareSetting.AMB,
        Action.ACCESS,
    ),
    Request(),
    Request(
        Purpose.HRESCH,
        DataClass.GENOMICS,
        Condition.NEOPLASMS,
        Sensitivity.GDIS,
        CareSetting.AMB,
        Action.USE,
        research=ResearchUse.HMB | ResearchUse.NPU,
    ),
    Request(
        Purpose.HRESCH,
        DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED,
        CareSetting.AMB,
        Action.ACCESS,
        date(2020, 6, 1),
        date(2024, 1, 1),
        research=ResearchUse.DS,
    ),
    Request(
        Purpose.HRESCH | Purpose.TREAT,
        DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED,
        CareSetting.AMB,
        Action.ACCESS,
        data_until=date(2025, 12, 31),
        research=ResearchUse.GRU | ResearchUse.PUB | ResearchUse.COL | ResearchUse.NPU,
    ),
)


def new_index(where: Any, *, chain: int = 1337, salt: int = 0) -> tuple[Index, IndexedDeployment]:
    index = Index(where)
    return index, index.indexed(deployment_of(chain, salt), b"\x00" * 32)
