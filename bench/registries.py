"""Registries of any size for benchmarks, drawn by chance, and an oracle that knows what was drawn.

A million rules are a million that stand: of parties (their shares fall off as in life), of groups and of everyone, some
revoked, some refusing. Half as many again were replaced. What is drawn goes into the data set's tables through packed
words, as from an index; the oracle never looks there, but at what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medproof.client.registrar import EVERYONE, group_grantee
from medproof.indexer.index import BlockHash
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
from medproof.policy.word import FIELDS, FLAG_FIELDS, NO_END_DAY, NO_END_MINUTE, Request
from medproof.research.arrays import RuleRows, in_parts
from medproof.research.columns import TABLES
from medproof.research.source import About, Tables

FIRST, BLOCKS, SPACING = 1_000, 2_600_000, 12  # blocks of a year, 12 seconds apart
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
RULES_OF_A_SUBJECT = 3
CHANGES = 0.5  # of each rule, beside its first
SHARES = (("everyone", 0.2), ("group", 0.3), ("party", 0.5))
GROUPS, PARTIES = 20, 400
DENIES, REVOKED = 0.05, 0.06
MINUTE, DAY = 60, 86_400

Array = npt.NDArray[Any]

# What consent forms say: purposes, classes, conditions, sensitivities, settings, actions, research, party kinds.
_R = ResearchUse
FORMS: tuple[tuple[Any, ...], ...] = (
    (Purpose.TREAT, DataClass.ALL, Condition.ALL, Sensitivity.ALL, CareSetting.ALL, Action.ALL, _R.EMPTY),
    (
        Purpose.TREAT | Purpose.ETREAT,
        DataClass.LABORATORY | DataClass.OBSERVATION,
        Condition.ALL,
        Sensitivity.NONE_LABELLED,
        CareSetting.ALL,
        Action.ACCESS | Action.USE,
        _R.EMPTY,
    ),
    (
        Purpose.HPAYMT,
        DataClass.DOCUMENT,
        Condition.ALL,
        Sensitivity.NONE_LABELLED,
        CareSetting.ALL,
        Action.ACCESS,
        _R.EMPTY,
    ),
    (Purpose.HRESCH, DataClass.ALL, Condition.ALL, Sensitivity.ALL, CareSetting.ALL, Action.ALL, _R.GRU),
    (
        Purpose.HRESCH,
        DataClass.ALL,
        Condition.ALL,
        Sensitivity.NONE_LABELLED | Sensitivity.GDIS,
        CareSetting.ALL,
        Action.ACCESS | Action.USE,
        _R.HMB | _R.NPU,
    ),
    (
        Purpose.HRESCH,
        DataClass.GENOMICS | DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED | Sensitivity.GDIS,
        CareSetting.ALL,
        Action.ACCESS | Action.USE,
        _R.DS | _R.NPU | _R.PUB,
    ),
    (Purpose.ALL, DataClass.ALL, Condition.ALL, Sensitivity.ALL, CareSetting.ALL, Action.ALL, _R.GRU | _R.NPU),
)
KINDS = (PartyKind.ALL, PartyKind.PROVIDER, PartyKind.RESEARCHER)
CODES = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions", "research")


@dataclass(frozen=True)
class Drawn:
    """A registry: a place in each array for each change of a rule, in the chain's order."""

    subject: Array
    grantee: Array  # 1 for everyone, a group's number, or above all groups a party
    index: Array
    fields: dict[str, Array]  # of the word, by their names in the layout; flags by theirs
    block: Array
    position: Array
    until: Array  # the block of the next change; -1 where there is none
    subjects: int

    @property
    def last(self) -> int:
        """The last block."""
        return FIRST + BLOCKS


def draw(rules: int, *, seed: int = 6) -> Drawn:
    """A registry in which so many rules stand."""
    chance = np.random.default_rng(seed)
    subjects = max(rules // RULES_OF_A_SUBJECT, 1)
    kinds = chance.choice(len(SHARES), rules, p=[share for _, share in SHARES])
    parties = _MIN_PARTY + np.minimum(chance.zipf(1.3, rules), PARTIES) - 1
    grantee = np.choose(kinds, [np.ones(rules, np.int64), 3 + chance.integers(0, GROUPS, rules), parties])
    subject = chance.integers(0, subjects, rules)
    # Of one subject and grantee, the rules count up their index.
    order = np.lexsort((grantee, subject))
    subject, grantee = subject[order], grantee[order]
    pair = np.flatnonzero(np.r_[True, (subject[1:] != subject[:-1]) | (grantee[1:] != grantee[:-1])])
    index = np.arange(rules) - np.repeat(pair, np.diff(np.r_[pair, rules]))
    kept = index < 1 << FIELDS["index"].width
    subject, grantee, index = subject[kept], grantee[kept], index[kept]

    changes = 1 + chance.poisson(CHANGES, len(subject))
    rule = np.repeat(np.arange(len(subject)), changes)
    block = FIRST + 1 + chance.integers(0, BLOCKS, len(rule))
    order = np.lexsort((block, rule))
    rule, block = rule[order], block[order]
    newest = np.r_[rule[1:] != rule[:-1], True]
    until = np.where(newest, -1, np.r_[block[1:], 0])
    first = np.flatnonzero(np.r_[True, newest[:-1]])
    sequence = np.arange(len(rule)) - first[rule] + 1
    until = np.where(until == block, block, until)  # two changes in one block: the first stood in none

    fields = _fields(chance, block, sequence, newest, grantee[rule])
    fields["index"] = index[rule]
    order = np.argsort(block, kind="stable")
    position = np.arange(len(order)) - np.searchsorted(block[order], block[order])
    return Drawn(
        subject[rule][order],
        grantee[rule][order],
        index[rule][order],
        {name: values[order] for name, values in fields.items()},
        block[order],
        position,
        until[order],
        subjects,
    )


_MIN_PARTY = 1 << 16


def _fields(chance: Any, block: Array, sequence: Array, newest: Array, grantee: Array) -> dict[str, Array]:
    rows = len(block)
    form = chance.integers(0, len(FORMS), rows)
    deny = chance.random(rows) < DENIES
    fields = {name: np.array([int(one[place]) for one in FORMS])[form] for place, name in enumerate(CODES)}
    research = np.array([int(ResearchUse(int(one)).with_narrower()) for one in (form[-1] for form in FORMS)])[form]
    fields["research"] = np.where(deny, research & int(ResearchUse.PERMISSIONS), research)
    minute = (START + (block - FIRST) * SPACING) // MINUTE
    year = 365 * DAY // MINUTE
    fields |= {
        "sequence": sequence,
        "terms": chance.integers(1, 4, rows),
        "partyKinds": np.array([int(kind) for kind in KINDS])[chance.choice(len(KINDS), rows, p=[0.7, 0.15, 0.15])],
        "dataFrom": np.where(chance.random(rows) < 0.1, 18_262, 0),  # 2020-01-01
        "dataUntil": np.where(chance.random(rows) < 0.1, 20_088, NO_END_DAY),  # 2024-12-31
        "validFrom": minute - chance.integers(0, 100, rows) + np.where(chance.random(rows) < 0.05, year, 0),
        "validUntil": np.where(
            chance.random(rows) < 0.5, NO_END_MINUTE, minute + year + chance.integers(1, 5 * year, rows)
        ),
        "deny": deny,
        "delegable": chance.random(rows) < 0.05,
        "breakGlassRefused": chance.random(rows) < 0.05,
        "follows": np.zeros(rows, bool),
        "revoked": newest & (sequence > 1) & (chance.random(rows) < REVOKED),
    }
    short = chance.random(rows) < 0.1  # lapsed within days
    fields["validUntil"] = np.where(short, fields["validFrom"] + 10_000, fields["validUntil"])
    return fields


# -- as the data set's tables ----------------------------------------------------------------------------------------


def about(drawn: Drawn) -> About:
    """What the data set is of."""
    return About(1337, "0x" + "a0" * 20, FIRST, BlockHash(drawn.last, b"\x07" * 32, _time(drawn.last)), {})


def party(number: int) -> str:
    """The identity of a party, by its number from 0."""
    return "0x" + _address("party", number).hex()


def tables(drawn: Drawn, groups: dict[int, Sequence[int]]) -> Tables:
    """All tables; `groups` says of each party by its number which groups it is in. Parties are researchers."""
    known = about(drawn)
    made = _rows(drawn).tables(known.chain, known.authority)
    made |= {"parties": _parties(known, groups), "blocks": _blocks(drawn, known)}
    for name, table in TABLES.items():
        yield table, made.get(name) or in_parts(table, _nothing(table), 0, known.chain, known.authority)


def _nothing(table: Any) -> dict[str, Any]:
    return {column.name: pa.nulls(0) for column in table.columns}


def _rows(drawn: Drawn) -> RuleRows:
    numbers = np.unique(drawn.grantee)
    names = np.zeros((int(numbers.max()) + 1, 20), np.uint8)
    for number in numbers.tolist():
        text = (
            bytes.fromhex(group_grantee(number)[2:]) if number < _MIN_PARTY else _address("party", number - _MIN_PARTY)
        )
        names[number] = np.frombuffer(text, np.uint8)
    accounts = np.random.default_rng(7).integers(0, 256, (drawn.subjects, 20), dtype=np.uint8)
    time = _time(drawn.block)
    until_time = np.where(drawn.until < 0, -1, _time(drawn.until))
    history = {
        "block": drawn.block,
        "position": drawn.position,
        "time": time,
        "until_block": drawn.until,
        "until_time": until_time,
    }
    return RuleRows(accounts[drawn.subject], names[drawn.grantee], drawn.index, _packed(drawn.fields), history)


def _packed(fields: dict[str, Array]) -> npt.NDArray[np.uint8]:
    """The words, big-endian."""
    limbs = np.zeros((len(fields["index"]), 4), np.uint64)
    for name, values in fields.items():
        field = FLAG_FIELDS.get(name) or FIELDS[name]
        limb, shift = divmod(field.offset, 64)
        limbs[:, limb] |= values.astype(np.uint64) << np.uint64(shift)
        if shift + field.width > 64:
            limbs[:, limb + 1] |= values.astype(np.uint64) >> np.uint64(64 - shift)
    return np.ascontiguousarray(limbs[:, ::-1]).astype(">u8").view(np.uint8).reshape(-1, 32)


def _parties(known: About, groups: dict[int, Sequence[int]]) -> Iterator[pa.Table]:
    rows = len(groups)
    names = [party(number) for number in groups]
    block = np.full(rows, FIRST)
    found = {
        "party": names,
        "account": names,
        "kind": np.full(rows, int(PartyKind.RESEARCHER)),
        "credential": ["0x" + "11" * 32] * rows,
        "valid_until": [date(2035, 1, 1)] * rows,
        "suspended": np.zeros(rows, bool),
        "groups": [str(list(one)) for one in groups.values()],
        "block": block,
        "position": np.arange(rows),
        "block_time": pa.array(_time(block) * 1_000_000).cast(pa.timestamp("us", "UTC")),
        "until_block": pa.nulls(rows, pa.int64()),
        "until_time": pa.nulls(rows, pa.timestamp("us", "UTC")),
    }
    return in_parts(TABLES["parties"], found, rows, known.chain, known.authority)


def _blocks(drawn: Drawn, known: About) -> Iterator[pa.Table]:
    blocks = np.unique(np.r_[FIRST, drawn.block, drawn.last])
    found = {
        "block": blocks,
        "hash": pa.repeat("0x" + "07" * 32, len(blocks)),
        "block_time": pa.array(_time(blocks) * 1_000_000).cast(pa.timestamp("us", "UTC")),
    }
    return in_parts(TABLES["blocks"], found, len(blocks), known.chain, known.authority)


def _address(role: str, number: int) -> bytes:
    return role.encode().ljust(12, b"\x01") + number.to_bytes(8, "big")


def _time(block: Any) -> Any:
    return START + (block - FIRST) * SPACING


# -- the oracle ------------------------------------------------------------------------------------------------------


def oracle(drawn: Drawn, request: Request, kind: PartyKind, grantees: Sequence[int], block: int, moment: int) -> int:
    """How many subjects consent, by what was drawn: the specification's sentences once more, over plain arrays.

    Args:
        drawn: the registry.
        request: with every field given.
        kind: of the party that asks.
        grantees: it, everyone and its groups, as `Drawn.grantee` has them.
        block: as of which block.
        moment: at which rules are in force, seconds since 1970.
    """
    said = drawn.fields
    rows = np.flatnonzero(
        np.isin(drawn.grantee, np.array(grantees))
        & (drawn.block <= block)
        & ((drawn.until == -1) | (drawn.until > block))
        & ~said["revoked"]
        & (said["validFrom"] <= moment // MINUTE)
        & (moment // MINUTE < said["validUntil"])
        & (said["partyKinds"] & int(kind) != 0)
    )
    said = {name: values[rows] for name, values in said.items()}
    subject = drawn.subject[rows]
    wanted = {name: int(getattr(request, name)) for name in CODES}
    start = (request.data_from - date(1970, 1, 1)).days
    end = NO_END_DAY if request.data_until is None else (request.data_until - date(1970, 1, 1)).days
    research = wanted["purposes"] & int(Purpose.RESEARCH) != 0
    asked = int(ResearchUse(wanted["research"]).with_narrower()) & int(ResearchUse.PERMISSIONS) if research else 0

    permits, denies = ~said["deny"], said["deny"].copy()
    for name in CODES[:-1]:
        permits &= wanted[name] & ~said[name] == 0
        denies &= wanted[name] & said[name] != 0
    permits &= (said["dataFrom"] <= start) & (end <= said["dataUntil"])
    denies &= (said["dataFrom"] <= end) & (start <= said["dataUntil"])
    if research:
        obligations = said["research"] & int(ResearchUse.MODIFIERS)
        permits &= (asked & ~said["research"] == 0) & (obligations & ~wanted["research"] == 0)
        common = wanted["purposes"] & said["purposes"]
        denies &= (common & ~int(Purpose.RESEARCH) != 0) | (said["research"] & asked != 0)
    return len(np.setdiff1d(np.unique(subject[permits]), subject[denies]))


def grantees_of(number: int | None, groups: Sequence[int]) -> list[int]:
    """Whom a party by its number is decided by: itself, everyone, its groups."""
    own = [] if number is None else [_MIN_PARTY + number]
    return [*own, int(EVERYONE, 16), *groups]
