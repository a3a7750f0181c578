"""A Consent's provision tree, read into boxes: what each provision is about, with all that is around it.

A provision lies inside the provision around it: it can only be about less. What a box cannot hold is kept beside
it, as groups of tags of which a record must carry one.
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
from medproof.fhir.consent.boxes import EVERYTHING, Box, Span
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

__all__ = ["Bound", "Effect", "Provision", "Reader"]

_Codes = TypeVar("_Codes", bound=CodedFlag)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_FIRST_GROUP_FREE = 1 << 16  # addresses below are groups
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_MEANINGS = ("instance", "related", "dependents", "authoredby")
_LIMITING = (
    "period",
    "actor",
    "action",
    "securityLabel",
    "purpose",
    "class",
    "code",
    "dataPeriod",
    "data",
    "modifierExtension",
)
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


@dataclass(frozen=True)
class Provision:
    """One provision with all limits of those around it."""

    path: str
    effect: Effect
    grantees: tuple[str, ...] = (EVERYONE,)  # whom it is about
    box: Box = EVERYTHING  # what a word holds of it; a refusal's box may be wider than its text
    reach: Box = EVERYTHING  # what refusals nested in it may be about: with narrower codes where it is a frame
    any_of: tuple[tuple[str, ...], ...] = ()  # of every group, a record must carry one tag
    starts: datetime | None = None  # where finer than the box
    ends: datetime | None = None
    own_limits: tuple[Bound, ...] = ()  # what it says itself, and no word holds
    own_times: tuple[Bound, ...] = ()  # likewise, for a refusal's times; they become whole minutes on chain
    modifiers: ResearchUse = ResearchUse.EMPTY  # obligations
    delegable: bool = False
    break_glass_refused: bool = False
    terms: int | None = None
    index: int | None = None
    sequence: int = 1
    children: tuple[Provision, ...] = ()


@dataclass
class Reader:
    """Reads provisions; `bounds` gathers where a refusal became wider than its text."""

    grantees: Mapping[str, str]  # FHIR reference to address
    custodian: str | None  # reference of the custodian whose subject writes the rules
    bounds: set[Bound] = field(default_factory=set)

    def root(self, element: JsonObject, path: str, untyped: Effect | None) -> Provision:
        """Read the root provision and all below it."""
        return self._provision(element, path, Provision("", Effect.FRAME), _root_effect(element, path, untyped))

    def _provision(self, element: JsonObject, path: str, around: Provision, effect: Effect) -> Provision:
        extensions = _extensions(element, path)
        own = _Limits(element, path, effect, extensions, self)
        base = around.reach if effect is Effect.DENY and around.effect is Effect.FRAME else around.box
        box = own.box(closed=effect is Effect.DENY) & base
        reach = own.box(closed=True) & around.reach if effect is Effect.FRAME else box
        if box.empty:
            refuse(path, "lies outside the provision around it and would never apply", "move it out, or widen that one")
        provision = Provision(
            path=path,
            effect=effect,
            grantees=self._narrowed(own.grantees, around.grantees, path),
            box=box,
            reach=reach,
            any_of=tuple(sorted({*around.any_of, *own.groups})),
            starts=max(filter(None, (own.starts, around.starts)), default=None),
            ends=min(filter(None, (own.ends, around.ends)), default=None),
            own_limits=tuple(own.limits),
            own_times=tuple(own.times),
            modifiers=own.modifiers | around.modifiers,
            delegable=bool(_one(extensions, vocabulary.DELEGABLE, False)),
            break_glass_refused=bool(_one(extensions, vocabulary.BREAK_GLASS_REFUSED, False))
            or around.break_glass_refused,
            terms=_number(extensions, vocabulary.TERMS, "terms", path, around.terms),
            index=_number(extensions, vocabulary.INDEX, "index", path, None),
            sequence=_number(extensions, vocabulary.SEQUENCE, "sequence", path, 1),
        )
        children = []
        for number, child in enumerate(items(element.get("provision"))):
            inner = f"{path}.provision[{number}]"
            children.append(self._provision(child, inner, provision, _nested_effect(child, inner, effect)))
        return replace(provision, children=tuple(children))

    def _narrowed(self, own: tuple[str, ...], around: tuple[str, ...], path: str) -> tuple[str, ...]:
        """Return whom both the provision and the one around it are about."""
        if around == (EVERYONE,) or not own or own == around:
            return own or around
        if own == (EVERYONE,):
            return around
        common = tuple(grantee for grantee in own if grantee in around)
        if len(common) < len(own) and any(map(is_group, (*own, *around))):
            step = "name the same actors in both, or move it out"
            refuse(f"{path}.actor", "names a group or a party that may belong to a group around it", step)
        if not common:
            refuse(f"{path}.actor", "names none of the actors of the provision around it", "move it out, or add them")
        return common

    def resolve(self, element: Json, path: str) -> str:
        """Return the grantee that an actor's reference leads to."""
        reference = text(element, "reference")
        identifier = element.get("identifier") if isinstance(element, dict) else None
        system, value = text(identifier, "system"), text(identifier, "value")
        address = self.grantees.get(reference) if reference else self.grantees.get(f"{system}|{value}")
        if address is None and not reference and system == vocabulary.GRANTEE:
            address = value
        if address is None:
            refuse(path, "leads to no grantee", "give its account on chain in grantees=")
        if not _ADDRESS.fullmatch(address) or int(address, 16) == 0:
            refuse(path, "leads to a grantee that is no address", "give a party's identity or a group")
        return str(to_checksum_address(address))


def is_group(grantee: str) -> bool:
    """Whether a grantee is a group, everyone included."""
    return int(grantee, 16) < _FIRST_GROUP_FREE


class _Limits:
    """What one provision says itself."""

    def __init__(
        self, element: JsonObject, path: str, effect: Effect, extensions: dict[str, list[Any]], reader: Reader
    ) -> None:
        self.element, self.path, self.effect, self.reader = element, path, effect, reader
        self.exact = bool(_one(extensions, vocabulary.EXACT_CODES, False))
        self.groups: list[tuple[str, ...]] = []
        self.limits: list[Bound] = []
        self.times: list[Bound] = []
        self.starts: datetime | None = None
        self.ends: datetime | None = None
        self.modifiers = ResearchUse.EMPTY
        self.grantees: tuple[str, ...] = ()
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
            self._group(tags, f"{path}.extension", "everything in the other fields")

    def box(self, *, closed: bool) -> Box:
        """Return the box; `closed` adds the codes that the standards place below those named."""
        box = self._box
        if self.exact:
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
        for number, actor in enumerate(items(self.element.get("actor"))):
            path = f"{self.path}.actor[{number}]"
            codes = {
                text(coding, "code")
                for coding in _codings(actor.get("role"), f"{path}.role")
                if text(coding, "system") == vocabulary.PARTICIPATION
            }
            reference = actor.get("reference")
            if codes and codes <= vocabulary.RECIPIENTS:
                grantee = self.reader.resolve(reference, f"{path}.reference")
                recipients += [grantee] if grantee not in recipients else []
            elif codes == {vocabulary.AUTHOR}:
                authors.append(f"authoredby:{self._reference(reference, path)}")
            elif codes == {vocabulary.CUSTODIAN}:
                if self._reference(reference, path) != self.reader.custodian:
                    step = "give its reference in custodian= if the subject is the patient's pseudonym there"
                    refuse(f"{path}.reference", "is a custodian other than the one whose subject writes", step)
            else:
                step = "use PRCP or IRCP for who receives, CST for who holds, AUT for who wrote the data"
                refuse(f"{path}.role", "is no role that the rules tell apart", step)
        self.grantees = (EVERYONE,) if EVERYONE in recipients else tuple(recipients)
        if authors:
            self._group(tuple(authors), f"{self.path}.actor", "data of every author")

    def _reference(self, element: Json, path: str) -> str:
        reference = text(element, "reference")
        if not reference:
            refuse(f"{path}.reference", "has no literal reference", "name the resource, as Organization/f001")
        return reference

    # -- why and what is done -----------------------------------------------------------------------------------

    def _purposes(self) -> tuple[Purpose, ResearchUse]:
        purposes, research = Purpose.EMPTY, ResearchUse.EMPTY
        codings = items(self.element.get("purpose"))
        for number, coding in enumerate(codings):
            path = f"{self.path}.purpose[{number}]"
            if text(coding, "system") == DUO.uri:
                research |= _known(ResearchUse, coding, path)
            else:
                purposes |= _known(Purpose, coding, path, vocabulary.ACT_REASON)
        if not codings:
            return Purpose.ALL, ResearchUse.PERMISSIONS
        if research and not purposes & Purpose.RESEARCH:
            purposes |= Purpose.RESEARCH
        self.modifiers = research & ResearchUse.MODIFIERS
        if self.modifiers and self.effect is Effect.DENY:
            step = "leave the modifier out, and add it to the permits"
            refuse(f"{self.path}.purpose", "attaches an obligation of DUO to a refusal", step)
        permissions = (research & ResearchUse.PERMISSIONS) or ResearchUse.PERMISSIONS
        return purposes, permissions if self.effect is Effect.DENY else permissions.with_narrower()

    def _actions(self) -> Action:
        found = Action.EMPTY
        for number, concept in enumerate(items(self.element.get("action"))):
            path = f"{self.path}.action[{number}]"
            for place, coding in enumerate(_codings(concept, path)):
                found |= _known(Action, coding, f"{path}.coding[{place}]", CONSENT_ACTION.uri)
        return found or Action.ALL

    # -- which data ---------------------------------------------------------------------------------------------

    def _classes(self) -> DataClass:
        types: list[str] = []
        found, settings = DataClass.EMPTY, CareSetting.EMPTY
        tags: list[str] = []
        loose = False
        codings = items(self.element.get("class"))
        for number, coding in enumerate(codings):
            path = f"{self.path}.class[{number}]"
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
                refuse(f"{self.path}.class", "names both care settings and kinds of data", step)
            self._settings = settings
        if not tags:
            return DataClass.ALL
        classes, whole = classes_of_types(types)
        classes = DataClass.ALL if loose else classes | found
        if loose or not whole:
            self._group(tuple(tags), f"{self.path}.class", _shown(classes))
        return classes

    def _conditions(self) -> Condition:
        conditions, tags = Condition.EMPTY, list[str]()
        exact = True
        for number, concept in enumerate(items(self.element.get("code"))):
            path = f"{self.path}.code[{number}]"
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
            self._group(tuple(tags), f"{self.path}.code", _shown(conditions))
        return conditions or Condition.ALL

    def _sensitivities(self) -> Sensitivity:
        found, levels = Sensitivity.EMPTY, list[int]()
        for number, coding in enumerate(items(self.element.get("securityLabel"))):
            path = f"{self.path}.securityLabel[{number}]"
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
            refuse(f"{self.path}.securityLabel", "names both confidentiality and sensitivities", step)
        if levels:
            reached = vocabulary.CONFIDENTIALITY_LEVELS[: max(levels) + 1]
            tags = tuple(f"label:{vocabulary.CONFIDENTIALITY}|{code}" for code in reached)
            self._group(tags, f"{self.path}.securityLabel", "data of every label")
        return found or Sensitivity.ALL

    def _data(self) -> DataClass:
        tags: list[str] = []
        types: list[str] = []
        every = False
        for number, data in enumerate(items(self.element.get("data"))):
            path = f"{self.path}.data[{number}]"
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
        self._group(tuple(tags), f"{self.path}.data", _shown(classes))
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
            found |= _known(codes, coding, f"{self.path}.extension", codes.system.uri)
        return found or ~found

    # -- when ---------------------------------------------------------------------------------------------------

    def _valid(self) -> Span:
        path = f"{self.path}.period"
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
        if self.effect is Effect.DENY:
            self.times = held
        else:
            self.limits += held
        return start, end

    def _data_period(self) -> Span:
        path = f"{self.path}.dataPeriod"
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
        path = f"{self.path}.{name}"
        period = self.element.get(name)
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
        if self.effect is not Effect.DENY:
            refuse(path, rule, "choose days that a rule word can hold")
        self.reader.bounds.add(Bound(path, held))


def _root_effect(element: JsonObject, path: str, untyped: Effect | None) -> Effect:
    """Tell what the root provision does; the module `compiler` explains the choice."""
    nested = [text(child, "type") for child in items(element.get("provision"))]
    given = element.get("type")
    if given is not None:
        untyped = _effect(element, path)
    if untyped is not None:
        return Effect.FRAME if untyped is Effect.DENY and _permits_within(element) else untyped
    if not any(name in element for name in _LIMITING):
        return Effect.FRAME
    if not nested:
        step = "give it a type, or say root='permit' or root='deny' after reading the consent's text"
        refuse(f"{path}.type", "is missing, and HL7's own examples use such a root in both senses", step)
    return Effect.FRAME if Effect.PERMIT in nested else Effect.PERMIT


def _nested_effect(element: JsonObject, path: str, around: Effect) -> Effect:
    effect = _effect(element, path)
    if effect is Effect.PERMIT and around is Effect.PERMIT:
        step = "leave it out, or put what it permits in place of the permit around it"
        refuse(f"{path}.type", "permits what the provision around it permits already", step)
    if effect is Effect.DENY and around is Effect.DENY and _permits_within(element):
        step = "put its exceptions into the refusal around it"
        refuse(f"{path}.type", "refuses what the provision around it refuses already", step)
    return effect


def _permits_within(element: JsonObject) -> bool:
    """Whether anything nested in a provision, at any depth, permits."""
    nested = items(element.get("provision"))
    return any(text(child, "type") == Effect.PERMIT or _permits_within(child) for child in nested)


def _effect(element: JsonObject, path: str) -> Effect:
    given = text(element, "type")
    if given not in (Effect.PERMIT, Effect.DENY):
        what = "is neither permit nor deny" if given else "is missing, and FHIR requires it in nested provisions"
        refuse(f"{path}.type", what, "say permit or deny")
    return Effect(given)


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


def _one(extensions: Mapping[str, list[Any]], url: str, default: Any) -> Any:
    return extensions[url][-1] if url in extensions else default


def _number(extensions: Mapping[str, list[Any]], url: str, name: str, path: str, default: Any) -> Any:
    value = _one(extensions, url, default)
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
