"""What one provision says itself: its elements, read into a box and whatever no box can hold.

The latter is kept as groups of tags, of which a record must carry one, and as times to the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from eth_utils.address import to_checksum_address

from medproof.errors import UnclassifiedRecordError, UnknownCodeError
from medproof.fhir.classification import classes_of_types
from medproof.fhir.consent import vocabulary
from medproof.fhir.consent.boxes import Box, Span
from medproof.fhir.consent.vocabulary import items, refuse, stretch, text
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import (
    CONSENT_ACTION,
    DATA_CLASS,
    DUO,
    ICD_10_CM,
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
from medproof.policy.document import EVERYONE
from medproof.policy.word import FIELDS, NO_END_DAY, NO_END_MINUTE

__all__ = ["Bound", "Context", "Effect", "Limits", "is_group"]

_Codes = TypeVar("_Codes", bound=CodedFlag)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_FIRST_GROUP_FREE = 1 << 16  # addresses below are groups
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_MEANINGS = ("instance", "related", "dependents", "authoredby")
_EXTENSIONS = {
    vocabulary.CARE_SETTING: "valueCoding",
    vocabulary.PARTY_KIND: "valueCoding",
    vocabulary.DELEGABLE: "valueBoolean",
    vocabulary.BREAK_GLASS_REFUSED: "valueBoolean",
    vocabulary.EXACT_CODES: "valueBoolean",
    vocabulary.TERMS: "valueInteger",
    vocabulary.INDEX: "valueInteger",
    vocabulary.SEQUENCE: "valueInteger",
    vocabulary.ANY_OF: "extension",
}


class Effect(StrEnum):
    """What a provision does with what lies in it and in none of its exceptions."""

    PERMIT = "permit"
    DENY = "deny"
    FRAME = "frame"  # nothing: it only limits what is nested in it


@dataclass(frozen=True, order=True)
class Bound:
    """A place where the rules on chain say something else than the text of the consent."""

    path: str  # the element
    word: str  # what the rule words hold
    document: str = ""  # what the policy document holds; empty where the rules alone count


@dataclass
class Context:
    """What the reader of a consent must know beside it; `bounds` gathers where a refusal became wider."""

    grantees: Mapping[str, str]  # FHIR reference to address
    custodian: str | None = None  # reference of the custodian whose subject writes the rules
    bounds: set[Bound] = field(default_factory=set)

    def resolve(self, element: Json, path: str) -> str:
        """Return the grantee that an actor's reference leads to."""
        reference = text(element, "reference")
        identifier = element.get("identifier") if isinstance(element, dict) else None
        system, value = text(identifier, "system"), text(identifier, "value")
        address = self.grantees.get(reference) if reference else self.grantees.get(f"{system}|{value}")
        if address is None and not reference and system == vocabulary.GRANTEE:
            address = value
        if address is None:
            refuse(path, "leads to no grantee", "name its account on chain (grantees; --party)")
        if not _ADDRESS.fullmatch(address) or int(address, 16) == 0:
            refuse(path, "leads to a grantee that is no address", "give a party's identity or a group")
        return str(to_checksum_address(address))


def is_group(grantee: str) -> bool:
    """Whether a grantee is a group, everyone included."""
    return int(grantee, 16) < _FIRST_GROUP_FREE


class Limits:
    """What one provision says itself."""

    def __init__(self, element: JsonObject, path: str, effect: Effect, context: Context) -> None:
        """Read an element; `effect` is what its provision does."""
        self._element, self._path, self._effect, self._context = element, path, effect, context
        extensions = _extensions(element, path)
        self._exact = bool(_one(extensions, vocabulary.EXACT_CODES))
        self.delegable = bool(_one(extensions, vocabulary.DELEGABLE))
        self.break_glass_refused = bool(_one(extensions, vocabulary.BREAK_GLASS_REFUSED))
        self.terms = _number(extensions, vocabulary.TERMS, "terms", path)
        self.index = _number(extensions, vocabulary.INDEX, "index", path)
        self.sequence = _number(extensions, vocabulary.SEQUENCE, "sequence", path)
        self.groups: list[tuple[str, ...]] = []  # of every group, a record must carry one tag
        self.limits: list[Bound] = []  # what no word holds
        self.times: list[Bound] = []  # likewise, for a refusal's times
        self.starts: datetime | None = None  # where finer than a minute
        self.ends: datetime | None = None
        self.modifiers = ResearchUse.EMPTY  # obligations
        self.grantees: tuple[str, ...] = ()  # whom it names; none for everyone
        self._settings = CareSetting.ALL
        classes = self._classes() & self._data()
        self._actors()
        purposes, permissions = self._purposes()
        self._box = Box(
            purposes=purposes,
            permissions=permissions,
            classes=classes,
            conditions=self._conditions(),
            sensitivities=self._sensitivities(),
            settings=self._settings & self._extension_codes(extensions, vocabulary.CARE_SETTING, CareSetting),
            actions=self._actions(),
            party_kinds=self._extension_codes(extensions, vocabulary.PARTY_KIND, PartyKind),
            valid=self._valid(),
            data=self._data_period(),
        )
        for value in extensions.get(vocabulary.ANY_OF, ()):
            tags = tuple(text(item, "valueString") for item in items(value))
            self._group(tags, f"{path}.modifierExtension", "everything in the other fields")

    def box(self, *, closed: bool) -> Box:
        """Return the box; `closed` adds the codes that the standards place below those named."""
        box = self._box
        if self._exact:
            return box
        labels = box.sensitivities.with_narrower()  # FHIR: "subsumption logic applies"
        if not closed:
            return replace(box, sensitivities=labels)
        return replace(
            box,
            sensitivities=labels,
            purposes=box.purposes.with_narrower(),
            permissions=box.permissions.with_narrower(),
        )

    # -- who ----------------------------------------------------------------------------------------------------

    def _actors(self) -> None:
        recipients: list[str] = []
        authors: list[str] = []
        for number, actor in enumerate(items(self._element.get("actor"))):
            path = f"{self._path}.actor[{number}]"
            codes = {
                text(coding, "code")
                for coding in _codings(actor.get("role"), f"{path}.role")
                if text(coding, "system") == vocabulary.PARTICIPATION
            }
            reference = actor.get("reference")
            if codes and codes <= vocabulary.RECIPIENTS:
                grantee = self._context.resolve(reference, f"{path}.reference")
                recipients += [grantee] if grantee not in recipients else []
            elif codes == {vocabulary.AUTHOR}:
                authors.append(f"authoredby:{self._reference(reference, path)}")
            elif codes == {vocabulary.CUSTODIAN}:
                if self._reference(reference, path) != self._context.custodian:
                    step = "name it (custodian; --custodian-reference) if the subject is the patient's pseudonym there"
                    refuse(f"{path}.reference", "is a custodian other than the one whose subject writes", step)
            else:
                step = "use PRCP or IRCP for who receives, CST for who holds, AUT for who wrote the data"
                refuse(f"{path}.role", "is no role that the rules tell apart", step)
        self.grantees = (EVERYONE,) if EVERYONE in recipients else tuple(sorted(recipients))
        if authors:
            self._group(tuple(authors), f"{self._path}.actor", "data of every author")

    def _reference(self, element: Json, path: str) -> str:
        reference = text(element, "reference")
        if not reference:
            refuse(f"{path}.reference", "has no literal reference", "name the resource, as Organization/f001")
        return reference

    # -- why and what is done -----------------------------------------------------------------------------------

    def _purposes(self) -> tuple[Purpose, ResearchUse]:
        purposes, research = Purpose.EMPTY, ResearchUse.EMPTY
        codings = items(self._element.get("purpose"))
        for number, coding in enumerate(codings):
            path = f"{self._path}.purpose[{number}]"
            if text(coding, "system") == DUO.uri:
                research |= _known(ResearchUse, coding, path)
            else:
                purposes |= _known(Purpose, coding, path, vocabulary.ACT_REASON)
        if not codings:
            return Purpose.ALL, ResearchUse.PERMISSIONS
        if research and not purposes & Purpose.RESEARCH:
            purposes |= Purpose.RESEARCH
        self.modifiers = research & ResearchUse.MODIFIERS
        if self.modifiers and self._effect is Effect.DENY:
            step = "leave the modifier out, and add it to the permits"
            refuse(f"{self._path}.purpose", "attaches an obligation of DUO to a refusal", step)
        permissions = (research & ResearchUse.PERMISSIONS) or ResearchUse.PERMISSIONS
        return purposes, permissions if self._effect is Effect.DENY else permissions.with_narrower()

    def _actions(self) -> Action:
        found = Action.EMPTY
        for number, concept in enumerate(items(self._element.get("action"))):
            path = f"{self._path}.action[{number}]"
            for place, coding in enumerate(_codings(concept, path)):
                found |= _known(Action, coding, f"{path}.coding[{place}]", CONSENT_ACTION.uri)
        return found or Action.ALL

    # -- which data ---------------------------------------------------------------------------------------------

    def _classes(self) -> DataClass:
        types: list[str] = []
        found, settings = DataClass.EMPTY, CareSetting.EMPTY
        tags: list[str] = []
        loose = False
        codings = items(self._element.get("class"))
        for number, coding in enumerate(codings):
            path = f"{self._path}.class[{number}]"
            system, code = _system_and_code(coding, path)
            if system == vocabulary.ACT_CODE:
                settings |= _known(CareSetting, coding, path)
                continue
            tags.append(f"class:{system}|{code}")
            if system == DATA_CLASS.uri:
                found |= _known(DataClass, coding, path)
            elif system == vocabulary.RESOURCE_TYPES:
                types.append(code)
                try:
                    classes_of_types([code])
                except UnclassifiedRecordError:
                    refuse(
                        f"{path}.code", "is a resource type without a data class", "name a type of a patient's record"
                    )
            else:
                loose = True
        if settings:
            if tags:
                step = f"put the setting into the extension {vocabulary.CARE_SETTING}"
                refuse(f"{self._path}.class", "names both care settings and kinds of data", step)
            self._settings = settings
        if not tags:
            return DataClass.ALL
        classes, whole = classes_of_types(types)
        classes = DataClass.ALL if loose else classes | found
        if loose or not whole:
            self._group(tuple(tags), f"{self._path}.class", _shown(classes))
        return classes

    def _conditions(self) -> Condition:
        conditions, tags = Condition.EMPTY, list[str]()
        exact = True
        for number, concept in enumerate(items(self._element.get("code"))):
            path = f"{self._path}.code[{number}]"
            for place, coding in enumerate(_codings(concept, path)):
                system, code = _system_and_code(coding, f"{path}.coding[{place}]")
                tags.append(f"code:{system}|{code}")
                if system != ICD_10_CM.uri:
                    conditions, exact = Condition.ALL, False
                elif code in Condition.ALL.codes:
                    conditions |= Condition.from_code(code)
                else:
                    try:
                        conditions |= Condition.from_icd10cm(code)
                    except UnknownCodeError as error:
                        refuse(f"{path}.coding[{place}].code", "lies in no chapter of ICD-10-CM", _advice(error))
                    exact = False
        if not exact:
            self._group(tuple(tags), f"{self._path}.code", _shown(conditions))
        return conditions or Condition.ALL

    def _sensitivities(self) -> Sensitivity:
        found, levels = Sensitivity.EMPTY, list[int]()
        for number, coding in enumerate(items(self._element.get("securityLabel"))):
            path = f"{self._path}.securityLabel[{number}]"
            system, code = _system_and_code(coding, path)
            if system == vocabulary.CONFIDENTIALITY and code in vocabulary.CONFIDENTIALITY_LEVELS:
                levels.append(vocabulary.CONFIDENTIALITY_LEVELS.index(code))
            elif system == vocabulary.SENSITIVITY and code == Sensitivity.NONE_LABELLED.code:
                found |= Sensitivity.NONE_LABELLED
            else:
                label = _known(Sensitivity, coding, path, vocabulary.ACT_CODE)
                if label is Sensitivity.NONE_LABELLED:
                    refuse(f"{path}.system", "has no code NONE_LABELLED", f"use the system {vocabulary.SENSITIVITY}")
                found |= label
        if levels and found:
            step = "keep to one kind of label in a provision"
            refuse(f"{self._path}.securityLabel", "names both confidentiality and sensitivities", step)
        if levels:
            reached = vocabulary.CONFIDENTIALITY_LEVELS[: max(levels) + 1]
            tags = tuple(f"label:{vocabulary.CONFIDENTIALITY}|{code}" for code in reached)
            self._group(tags, f"{self._path}.securityLabel", "data of every label")
        return found or Sensitivity.ALL

    def _data(self) -> DataClass:
        tags: list[str] = []
        types: list[str] = []
        every = False
        for number, data in enumerate(items(self._element.get("data"))):
            path = f"{self._path}.data[{number}]"
            meaning = text(data, "meaning")
            if meaning not in _MEANINGS:
                refuse(f"{path}.meaning", "is no code of consent-data-meaning", f"use {', '.join(_MEANINGS)}")
            reference = self._reference(data.get("reference"), path)
            tags.append(f"{meaning}:{reference}")
            kind = (["", *reference.partition("/_history/")[0].split("/")])[-2]
            types.append(kind)
            every = every or meaning != "instance"
        if not tags:
            return DataClass.ALL
        try:
            classes = DataClass.ALL if every else classes_of_types(types)[0]
        except UnclassifiedRecordError:
            classes = DataClass.ALL
        self._group(tuple(tags), f"{self._path}.data", _shown(classes))
        return classes

    def _group(self, tags: tuple[str, ...], path: str, held: str) -> None:
        if not tags or not all(tags):
            refuse(path, "names no tag", "give at least one")
        group = tuple(sorted(set(tags)))
        self.groups.append(group)
        self.limits.append(Bound(path, held, f"one of {', '.join(group)}"))

    def _extension_codes(self, extensions: Mapping[str, list[Any]], url: str, codes: type[_Codes]) -> _Codes:
        found = codes(0)
        for coding in extensions.get(url, ()):
            found |= _known(codes, coding, f"{self._path}.modifierExtension", codes.system.uri)
        return found or ~found

    # -- when ---------------------------------------------------------------------------------------------------

    def _valid(self) -> Span:
        path = f"{self._path}.period"
        first, after = self._period("period")
        start = 0 if first is None else max(0, (first - _EPOCH) // _MINUTE)
        end = NO_END_MINUTE if after is None else -((_EPOCH - after) // _MINUTE)
        if end <= 0 or start >= NO_END_MINUTE:
            refuse(path, "lies outside the times that a word can hold", "choose times from 1970 to 2480")
        if end > NO_END_MINUTE:
            self._wider(f"{path}.end", "lies beyond the last minute of a word, in 2480", "no end")
            end = NO_END_MINUTE
        held: list[Bound] = []
        if first is not None and start and first != _EPOCH + start * _MINUTE:
            self.starts = first
            held.append(Bound(f"{path}.start", "the whole minute around it", first.isoformat()))
        if after is not None and end != NO_END_MINUTE and after != _EPOCH + end * _MINUTE:
            self.ends = after
            held.append(Bound(f"{path}.end", "the whole minute around it", after.isoformat()))
        if self._effect is Effect.DENY:
            self.times = held
        else:
            self.limits += held
        return start, end

    def _data_period(self) -> Span:
        path = f"{self._path}.dataPeriod"
        first, after = self._period("dataPeriod")
        start, end = 0, NO_END_DAY + 1
        if first is not None:
            start, rest = divmod(first - _EPOCH, _DAY)
            if rest:
                self._wider(f"{path}.start", "is finer than a day", "the whole day")
            if start <= 0:
                self._wider(f"{path}.start", "is not after 1970-01-01, the first day of a word", "all earlier data")
                start = 0
        if after is not None:
            end, rest = divmod(after - _EPOCH, _DAY)
            if rest:
                self._wider(f"{path}.end", "is finer than a day", "the whole day")
                end += 1
            if not 0 < end <= NO_END_DAY:
                self._wider(f"{path}.end", "lies outside the days of a word, from 1970 to 2149", "the nearest it can")
                end = 1 if end <= 0 else NO_END_DAY + 1
        return start, end

    def _period(self, name: str) -> tuple[datetime | None, datetime | None]:
        path = f"{self._path}.{name}"
        period = self._element.get(name)
        if period is None:
            return None, None
        start, end = text(period, "start"), text(period, "end")
        if not start and not end:
            refuse(path, "has neither start nor end", "give one, or leave the period out")
        first = stretch(start, f"{path}.start")[0] if start else None
        after = stretch(end, f"{path}.end")[1] if end else None
        if first is not None and after is not None and first >= after:
            refuse(path, "ends before it starts", "correct the times")
        return first, after

    def _wider(self, path: str, rule: str, held: str) -> None:
        """Let a refusal be wider than its text, and say so; refuse a permit."""
        if self._effect is not Effect.DENY:
            refuse(path, rule, "choose days that a rule word can hold")
        self._context.bounds.add(Bound(path, held))


def _extensions(element: JsonObject, path: str) -> dict[str, list[Any]]:
    """Return the values of our own extensions on a provision; other plain ones do not change its meaning."""
    found: dict[str, list[Any]] = {}
    for kind in ("extension", "modifierExtension"):
        for number, extension in enumerate(items(element.get(kind))):
            url = text(extension, "url")
            if kind == "extension" and not url.startswith(vocabulary.EXTENSION):
                continue
            value = extension.get(_EXTENSIONS.get(url, ""))
            if value is None or (kind == "modifierExtension") is not (url in vocabulary.MODIFIERS):
                step = "see docs/fhir-consent.md for those that are, or say it without"
                refuse(f"{path}.{kind}[{number}]", "is no extension that is known here in this form", step)
            found.setdefault(url, []).append(value)
    return found


def _one(extensions: Mapping[str, list[Any]], url: str) -> Any:
    return extensions[url][-1] if url in extensions else None


def _number(extensions: Mapping[str, list[Any]], url: str, name: str, path: str) -> int | None:
    value: int | None = _one(extensions, url)
    if value is not None and not 0 <= value < 1 << FIELDS[name].width:
        refuse(f"{path}.extension", f"holds a number beyond the field {name}", "see docs/rule-word.md")
    return value


def _codings(concept: Json, path: str) -> Iterator[JsonObject]:
    codings = items(concept.get("coding")) if isinstance(concept, dict) else []
    if not codings:
        refuse(path, "has no coding", "code it; text alone cannot be evaluated")
    yield from codings


def _system_and_code(coding: JsonObject, path: str) -> tuple[str, str]:
    system, code = text(coding, "system"), text(coding, "code")
    if not system or not code:
        refuse(path, "has no system or no code", "give both")
    return system, code


def _known(codes: type[_Codes], coding: JsonObject, path: str, expected: str = "") -> _Codes:
    """Return the bit of a code, or refuse one that the list does not have."""
    system, code = _system_and_code(coding, path)
    if expected and system != expected:
        refuse(f"{path}.system", "is a code system that rules do not speak in here", f"use {expected}")
    try:
        return codes.from_code(code)
    except UnknownCodeError as error:
        refuse(f"{path}.code", f"is no code of {codes.system.title} that a rule word has a bit for", _advice(error))


def _shown(codes: CodedFlag) -> str:
    return f"{codes.system.title}: {', '.join(codes.codes) if ~codes else 'all'}"


def _advice(error: UnknownCodeError) -> str:
    return f"did you mean {' or '.join(error.near)}" if error.near else "see docs/fhir-consent.md for the codes"
