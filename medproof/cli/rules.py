"""Rules and requests out of codes and times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TypeVar

from medproof.cli.options import PeriodOptions, RequestOptions, RuleOptions
from medproof.errors import OptionError
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
from medproof.policy.word import EPOCH_DAY, Request, Rule

__all__ = ["changed_rule", "codes", "day", "moment", "new_rule", "request_of", "same_rule", "widened"]

_Flag = TypeVar("_Flag", bound=CodedFlag)
_NO_END = "none"
_ATTRIBUTES = {  # of a rule, by option
    "purpose": ("purposes", Purpose),
    "data_class": ("classes", DataClass),
    "condition": ("conditions", Condition),
    "sensitivity": ("sensitivities", Sensitivity),
    "setting": ("settings", CareSetting),
    "action": ("actions", Action),
    "research": ("research", ResearchUse),
}


def new_rule(options: RuleOptions, *, index: int, now: datetime) -> Rule:
    """The rule that options say; what a permit does not name stays closed, and what a refusal does not name is refused.

    A permit names its purposes and classes. Left out, it is for all conditions, settings and kinds of party, for data
    without a sensitivity label, to read and use. A refusal that leaves a field out is about all of it. Both begin now.
    """
    everything = bool(options.deny)
    start = Rule(
        purposes=Purpose.ALL if everything else Purpose.EMPTY,
        classes=DataClass.ALL if everything else DataClass.EMPTY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.ALL if everything else Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ALL if everything else Action.ACCESS | Action.USE,
        party_kinds=PartyKind.ALL,
        valid_from=now,
        index=index,
    )
    return changed_rule(start, options)


def changed_rule(rule: Rule, options: RuleOptions) -> Rule:
    """A rule with what the options say; the rest stays."""
    deny = rule.deny if options.deny is None else options.deny
    changes = dict(_codes(options))
    if options.party_kind is not None:
        changes["party_kinds"] = codes(PartyKind, "--party-kind", options.party_kind)
    rule = replace(rule, deny=deny, **changes)  # type: ignore[arg-type]
    rule = replace(rule, research=_research(rule, given=options.research is not None))
    if deny:  # the evaluator knows no hierarchy: a refusal names what is narrower, too
        rule = replace(rule, purposes=rule.purposes.with_narrower(), sensitivities=rule.sensitivities.with_narrower())
    return replace(
        rule,
        valid_from=rule.valid_from if options.starts is None else moment("--from", options.starts),
        valid_until=_until(rule.valid_until, options),
        data_from=rule.data_from if options.data_from is None else day("--data-from", options.data_from),
        data_until=_data_until(rule.data_until, options),
        delegable=rule.delegable if options.delegable is None else options.delegable,
        break_glass_refused=(
            rule.break_glass_refused if options.refuse_break_glass is None else options.refuse_break_glass
        ),
        terms=rule.terms if options.terms is None else options.terms,
    )


def _research(rule: Rule, *, given: bool) -> ResearchUse:
    if not rule.purposes & Purpose.RESEARCH and not given:
        return ResearchUse.EMPTY
    if rule.deny and not rule.research:
        return ResearchUse(ResearchUse.PERMISSIONS)
    return rule.research.with_narrower()


def request_of(options: RequestOptions) -> Request:
    """The request that options say; a field left out asks for all of it."""
    request = Request(
        data_from=EPOCH_DAY if options.data_from is None else day("--data-from", options.data_from),
        data_until=_data_until(None, options),
    )
    return replace(request, **_codes(options))  # type: ignore[arg-type]


def same_rule(stored: Rule, wanted: Rule, *, begins_now: bool) -> bool:
    """Whether a stored rule says what is wanted already, wherever it stands and however often it was changed.

    With `begins_now`, one that began before says so as well.
    """
    start = stored.valid_from if begins_now and stored.valid_from <= wanted.valid_from else wanted.valid_from
    told = replace(stored, sequence=wanted.sequence, index=wanted.index, follows=wanted.follows)
    return told == replace(wanted, valid_from=start)


def widened(options: RequestOptions) -> list[str]:
    """What a rule covers beyond the codes given: a word holds chapters of ICD-10-CM, and no single codes."""
    notes = []
    for code in _split(options.condition or ()):
        if code != "ALL" and not _is_chapter(code):
            chapter = Condition.from_icd10cm(code)
            notes.append(f"{code} stands for its whole chapter here, {chapter.code}: {chapter.plain}.")
    return notes


# -- codes -------------------------------------------------------------------------------------------------------


def codes(kind: type[_Flag], option: str, given: Sequence[str]) -> _Flag:
    """The set of codes, or all of them.

    Raises:
        UnknownCodeError: one is not of the list.
        OptionError: there is none.
    """
    found = kind(0)
    for code in _split(given):
        found |= kind["ALL"] if code == "ALL" else _one(kind, code)
    if not found:
        raise OptionError(option, "names no code", f"Name one of {kind.system.title}, or ALL.")
    return found


def _codes(options: RequestOptions) -> dict[str, CodedFlag]:
    return {
        attribute: codes(kind, "--class" if name == "data_class" else f"--{name}", given)
        for name, (attribute, kind) in _ATTRIBUTES.items()
        if (given := getattr(options, name)) is not None
    }


def _one(kind: type[_Flag], code: str) -> _Flag:
    if issubclass(kind, Condition) and not _is_chapter(code):
        return kind.from_icd10cm(code)  # type: ignore[return-value]
    return kind.from_code(code)


def _is_chapter(code: str) -> bool:
    return "-" in code


def _split(given: Sequence[str]) -> list[str]:
    return [code for one in given for code in re.split(r"[,\s]+", one) if code]


# -- times -------------------------------------------------------------------------------------------------------


def moment(option: str, text: str) -> datetime:
    """A moment: a day (in UTC) or a time with its zone.

    Raises:
        OptionError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise OptionError(option, f"is {text!r}, which is no time", "Write 2030-01-01 or 2030-01-01T08:00Z.") from None
    if len(text) > len("2030-01-01"):
        raise OptionError(option, f"is {text!r}, which has no zone", "Add Z for UTC, or +01:00.")
    return found.replace(tzinfo=UTC)


def _until(stored: datetime | None, options: PeriodOptions) -> datetime | None:
    if options.until is None:
        return stored
    return None if options.until == _NO_END else moment("--until", options.until)


def day(option: str, text: str) -> date:
    """A day.

    Raises:
        OptionError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OptionError(option, f"is {text!r}, which is no day", "Write 2030-01-01.") from None


def _data_until(stored: date | None, options: RequestOptions) -> date | None:
    if options.data_until is None:
        return stored
    return None if options.data_until == _NO_END else day("--data-until", options.data_until)
