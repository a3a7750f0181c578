"""A synthetic registry of some years, written to an index as its events would be: for tests of pages, and pictures."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from eth_abi.abi import encode as encode_abi
from eth_utils.abi import collapse_if_tuple

from medproof.artifacts import artifact
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.deployments import Deployed, Deployment
from medproof.indexer import Index, IndexedDeployment
from medproof.indexer.index import Batch, BlockHash
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import normalize
from medproof.policy.word import FLAG_FIELDS, Request, Rule, encode, encode_request

CHAIN = 31337
START = datetime(2024, 10, 1, tzinfo=UTC)
MONTHS = 26
BLOCKS_A_DAY = 24
NAMES = ("Cancer genomics network", "Rare disease consortium", "University hospitals")
CONTRACTS = (
    "Authority",
    "Registrar",
    "Delegations",
    "ConsentRegistry",
    "RecordPointers",
    "BatchAnchor",
    "ClaimAnchor",
    "Studies",
    "Incentives",
)
END = START + timedelta(days=MONTHS * 30 - 2)
_DAY = timedelta(days=1)
_Flag = TypeVar("_Flag", bound=CodedFlag)


def address(*parts: object) -> str:
    """An address that is nobody's."""
    return "0x" + hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def block_hash(number: int) -> bytes:
    return hashlib.sha256(f"block {number}".encode()).digest()


@dataclass
class Chronicle:
    """Events in the order of their blocks, as an index takes them."""

    contracts: dict[str, int]
    events: dict[int, list[tuple[str, str, dict[str, object]]]] = field(default_factory=dict)

    def tell(self, when: datetime, contract: str, event: str, /, **said: object) -> None:
        """Something happened."""
        self.events.setdefault(number_at(when), []).append((contract, event, said))

    def batch(self, first: int, last: int) -> Batch:
        """All of it, as one range of blocks."""
        blocks, events, rules, others = {}, [], [], []
        for number in sorted(self.events):
            time = time_of(number)
            blocks[number] = BlockHash(number, block_hash(number), time)
            for position, (contract, name, said) in enumerate(self.events[number]):
                place = (self.contracts[contract], number, position)
                transaction = hashlib.sha256(f"{number} {position}".encode()).digest()
                event = (*place, transaction, name, written(contract, name, said))
                events.append(event)
                if name in ("RuleSet", "RuleRevoked"):
                    parts = (bytes.fromhex(str(said[key])[2:]) for key in ("subject", "grantee", "word"))
                    subject, grantee, word = parts
                    rules.append((*place, time, None, None, subject, grantee, 0, word))
                else:
                    others.append(event)
        end = BlockHash(last, block_hash(last), time_of(last))
        return Batch(first, end, blocks, events, rules, others)


def written(contract: str, name: str, said: dict[str, object]) -> bytes:
    """An event as the contract writes it: the topics after the first, then the data."""
    [entry] = (one for one in artifact(contract).abi if one["type"] == "event" and one["name"] == name)
    assert {one["name"] for one in entry["inputs"]} == set(said), (name, entry["inputs"])
    values = {one["name"]: _value(one["type"], said[one["name"]]) for one in entry["inputs"]}
    indexed = [one for one in entry["inputs"] if one["indexed"]]
    plain = [one for one in entry["inputs"] if not one["indexed"]]
    topics = b"".join(encode_abi([one["type"]], [values[one["name"]]]) for one in indexed)
    return topics + encode_abi([collapse_if_tuple(one) for one in plain], [values[one["name"]] for one in plain])


def _value(kind: str, value: object) -> object:
    if isinstance(value, tuple):  # a struct, or a list of addresses: as the ABI takes them
        return value
    if isinstance(value, str) and kind != "string":
        return int(value, 16) if kind.startswith("uint") else bytes.fromhex(value[2:]) if kind != "address" else value
    return value


def number_at(when: datetime) -> int:
    return 1000 + int((when - START) / _DAY * BLOCKS_A_DAY)


def time_of(number: int) -> int:
    return int((START + (number - 1000) * _DAY / BLOCKS_A_DAY).timestamp())


def seeded(path: Path, *, subjects: int = 300, seed: int = 7, names: tuple[str, ...] = NAMES) -> Index:
    """An index with a registry in it, the same for the same arguments."""
    index = Index(path)
    deployment = Deployment(
        CHAIN,
        address("admin"),
        {name: Deployed((), "", address=address(name), block=1000) for name in CONTRACTS},
    )
    indexed = index.indexed(deployment, block_hash(0))
    told = Chronicle(dict(indexed.contracts))
    chance = random.Random(seed)
    parties = _tell_parties(told, names, chance)
    for number in range(subjects):
        _tell_subject(told, number, subjects, parties, len(names), chance)
    _tell_studies(told, subjects, parties, chance)
    last = number_at(START + MONTHS * 30 * _DAY)
    indexed.append(told.batch(indexed.first, last))
    return index


def deployment_of(index: Index) -> IndexedDeployment:
    [found] = index.deployments()
    return found


def _tell_parties(told: Chronicle, names: tuple[str, ...], chance: random.Random) -> list[str]:
    for number, name in enumerate(names, start=3):
        told.tell(START + timedelta(hours=number), "Registrar", "GroupCreated", group=number, name=name)
    kinds = [PartyKind.PROVIDER] * 14 + [PartyKind.RESEARCHER] * 9 + [PartyKind.PAYER] * 4 + [PartyKind.PHARMACY] * 3
    found = []
    for number, kind in enumerate([*kinds, PartyKind.AUTHORITY, PartyKind.DEVICE_MAKER]):
        party = address("party", number)
        when = START + timedelta(hours=12 + 9 * number)
        until = date(2026, 6, 30) if number % 11 == 10 else date(2029, 12, 31)
        told.tell(
            when,
            "Registrar",
            "PartyAccredited",
            party=party,
            kind=list(PartyKind).index(kind) + 1,
            credential="0x" + hashlib.sha256(party.encode()).hexdigest(),
            validUntil=(until - date(1970, 1, 1)).days,
        )
        for group in range(3, 3 + len(names)):
            if kind in (PartyKind.RESEARCHER, PartyKind.PROVIDER) and chance.random() < 0.4:
                told.tell(when + timedelta(hours=1), "Registrar", "GroupJoined", party=party, group=group)
        if number % 13 == 7:
            told.tell(START + timedelta(days=400 + number), "Registrar", "PartySuspended", party=party)
        found.append(party)
    return found


def _tell_subject(
    told: Chronicle, number: int, subjects: int, parties: list[str], groups: int, chance: random.Random
) -> None:
    subject = address("subject", number)
    # More come in later months, as where a registry grows.
    came = START + timedelta(days=30 + (MONTHS * 30 - 60) * ((number + chance.random()) / subjects) ** 0.7)
    care = Rule(
        purposes=Purpose.TREAT | Purpose.CAREMGT,
        classes=_some(DataClass, chance, most=0.97, least=0.35),
        conditions=_some(Condition, chance, most=0.99, least=0.6),
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        party_kinds=PartyKind.PROVIDER,
        valid_from=came.replace(minute=0, second=0, microsecond=0),
    )
    grantee = chance.choice(parties[:14])
    grant(told, came, subject, grantee, care)
    if chance.random() < 0.25:
        left = came + timedelta(days=chance.randrange(60, 500))
        if chance.random() < 0.4 and left < END:
            withdraw(told, left, subject, grantee, care)
        return
    permission = chance.choices(
        [ResearchUse.GRU, ResearchUse.HMB, ResearchUse.DS, ResearchUse.NRES], weights=[2, 5, 4, 0.5]
    )[0]
    limits = [
        one for one in (ResearchUse.NPU, ResearchUse.NCU, ResearchUse.IRB, ResearchUse.PUB) if chance.random() < 0.3
    ]
    modifiers = ResearchUse(sum(limits))
    classes = DataClass(sum(one for one in DataClass if chance.random() < (0.45 if one is DataClass.GENOMICS else 0.8)))
    conditions = Condition.ALL if chance.random() < 0.6 else Condition.NEOPLASMS | Condition.CIRCULATORY
    research = replace(
        care,
        purposes=Purpose.HRESCH | (Purpose.DSRCH if chance.random() < 0.5 else Purpose.EMPTY),
        classes=classes or DataClass.LABORATORY,
        conditions=conditions,
        party_kinds=PartyKind.RESEARCHER | PartyKind.PROVIDER,
        research=permission.with_narrower() | modifiers,
        valid_until=None if chance.random() < 0.7 else care.valid_from + timedelta(days=chance.choice([180, 365, 730])),
    )
    grantee = EVERYONE if chance.random() < 0.55 else group_grantee(chance.randrange(3, 3 + groups))
    when = came + timedelta(hours=chance.randrange(1, 72))
    research = replace(research, valid_from=when.replace(minute=0, second=0, microsecond=0))
    grant(told, when, subject, grantee, research)
    if chance.random() < 0.08:
        refused = replace(
            research,
            deny=True,
            classes=DataClass.GENOMICS,
            research=ResearchUse(ResearchUse.PERMISSIONS),
            valid_until=None,
        )
        grant(told, when + timedelta(days=3), subject, chance.choice(parties[14:23]), refused)
    later = when + timedelta(days=chance.randrange(20, 420))
    if chance.random() < 0.16 and later < END:
        withdraw(told, later, subject, grantee, research)


def _some(codes: type[_Flag], chance: random.Random, *, most: float, least: float) -> _Flag:
    """Some codes of a list: the first ones often, the last ones seldom."""
    step = (most - least) / len(codes)
    return codes(sum(one for place, one in enumerate(codes) if chance.random() < most - place * step)) or codes(1)


def withdraw(told: Chronicle, when: datetime, subject: str, grantee: str, rule: Rule) -> None:
    """A subject withdraws a rule."""
    word = encode(replace(rule, sequence=rule.sequence + 1, revoked=True))
    told.tell(when, "ConsentRegistry", "RuleRevoked", subject=subject, grantee=grantee, word=f"0x{word:064x}")


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def study_id(number: int) -> str:
    return "0x" + digest("study", number).hex()


def _tell_studies(told: Chronicle, subjects: int, parties: list[str], chance: random.Random) -> None:
    """Four studies: one that is over, two that are open, one that was closed."""
    asks = Request(
        purposes=Purpose.HRESCH,
        classes=DataClass.LABORATORY | DataClass.CONDITION,
        conditions=Condition.NEOPLASMS,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        research=ResearchUse.DS | ResearchUse.NPU | ResearchUse.NCU | ResearchUse.IRB | ResearchUse.PUB,
    )
    for number, (begins, days) in enumerate([(120, 200), (300, 900), (420, 700), (500, 400)]):
        when = START + timedelta(days=begins)
        word = normalize(encode_request(replace(asks, classes=asks.classes if number % 2 else DataClass.GENOMICS)))
        assert word is not None
        researcher, id_ = parties[14 + number], study_id(number)
        first = (when.date() - date(1970, 1, 1)).days + 10
        custodians = tuple(sorted(parties[:3]))
        definition = (researcher, word, digest("protocol"), digest("ethics"), first, first + days, custodians)
        told.tell(when, "Studies", "StudyRegistered", study=id_, researcher=researcher, definition=definition)
        taking_part = 0
        for subject in range(subjects):
            if chance.random() > (0.02, 0.22, 0.12, 0.05)[number]:
                continue
            taking_part += 1
            chosen = when + timedelta(days=chance.uniform(1, 200))
            account = address("subject", subject)
            told.tell(chosen, "Studies", "OptedIn", study=id_, subject=account, sequence=1)
            if chance.random() < 0.1:
                left = chosen + timedelta(days=20)
                told.tell(left, "Studies", "OptedOut", study=id_, subject=account, sequence=2)
        if number == 3:
            told.tell(when + timedelta(days=230), "Studies", "StudyClosed", study=id_)
        if number == 1:
            _tell_answers(told, when + timedelta(days=240), id_, parties, taking_part)


def _tell_answers(told: Chronicle, when: datetime, study: str, parties: list[str], size: int) -> None:
    """A cohort is fixed, two custodians answer, a funder pays one of them."""
    raw = bytes.fromhex(study[2:])
    as_of = number_at(when) - 40
    cohort = "0x" + digest("cohort", study).hex()
    told.tell(
        when,
        "Studies",
        "CohortFixed",
        study=study,
        cohort=cohort,
        definition=(raw, digest("root"), size, as_of, block_hash(as_of)),
        blockChecked=True,
    )
    for hours, custodian in enumerate(parties[:2], start=1):
        told.tell(
            when + timedelta(days=hours),
            "Studies",
            "ResultPublished",
            study=study,
            cohort=cohort,
            custodian=custodian,
            commitment="0x" + digest("answer", custodian).hex(),
        )
    bounty, funder = "0x" + digest("bounty").hex(), address("funder")
    until = int((when + timedelta(days=60)).timestamp())
    definition = (funder, raw, address("token"), 0, 2_000_000_000, until)
    told.tell(
        when + timedelta(days=3),
        "Incentives",
        "BountyFunded",
        bounty=bounty,
        study=study,
        funder=funder,
        definition=definition,
        amount=10_000_000_000,
    )
    answer = "0x" + digest("answer", parties[0]).hex()
    due = {"bounty": bounty, "answer": answer, "result": answer, "due": 2_000_000_000}
    told.tell(when + timedelta(days=4), "Incentives", "ResultAccepted", **due)
    paid = {"bounty": bounty, "answer": answer, "payee": parties[0], "to": parties[0], "amount": 2_000_000_000}
    told.tell(when + timedelta(days=5), "Incentives", "BountyPaid", **paid)


def grant(told: Chronicle, when: datetime, subject: str, grantee: str, rule: Rule) -> None:
    """A subject grants a rule."""
    word = encode(rule)
    assert not word & FLAG_FIELDS["revoked"].mask
    told.tell(when, "ConsentRegistry", "RuleSet", subject=subject, grantee=grantee, word=f"0x{word:064x}")
