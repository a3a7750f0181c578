"""Stored rules rendered as a FHIR R4 Consent that compiles to the same decisions.

The root provision is a frame without limits, under the base rule OPTOUT: what no rule permits is refused. Every
rule is a nested provision. What makes a rule narrower and has no element in FHIR is a modifier extension, so that
no reader passes over it; the other extensions only keep the rule's place on chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape

from eth_utils.address import to_checksum_address

from medproof.errors import ConsentNotCompilableError, InvalidRecordError
from medproof.fhir import structure
from medproof.fhir.consent import vocabulary
from medproof.fhir.consent.boxes import box_of
from medproof.fhir.consent.limits import Context, Effect
from medproof.fhir.consent.reading import read
from medproof.fhir.consent.vocabulary import refuse
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
from medproof.policy.document import EVERYONE, FinerProvision, PolicyDocument, scope_of
from medproof.policy.sentence import describe
from medproof.policy.word import EPOCH_DAY, Rule, decode, encode

__all__ = ["render_consent"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_XHTML = "http://www.w3.org/1999/xhtml"


def render_consent(
    rules: Iterable[tuple[str, Rule]],
    *,
    patient: str,
    references: Mapping[str, str] | None = None,
    documents: Mapping[int, PolicyDocument | None] | None = None,
    when: datetime | None = None,
) -> JsonObject:
    """Render rules as a FHIR R4 Consent; compiled again, it decides as they do.

    Args:
        rules: grantee and rule, as they are stored; revoked ones are left out.
        patient: FHIR reference to the patient, or to the pseudonym that stands for it.
        references: FHIR reference of each grantee, by address; a grantee without one is named by its address.
        documents: the document by the number of its terms, as `medproof.policy.document.decide` takes it.
        when: when the consent was given, aware.

    Raises:
        ConsentNotCompilableError: no rule is left to render, or they stand under two documents.
        InvalidRecordError: a reference given here cannot stand in FHIR.
    """
    known = {str(to_checksum_address(address)): reference for address, reference in (references or {}).items()}
    live = [(str(to_checksum_address(grantee)), rule) for grantee, rule in rules if not rule.revoked]
    if not live:
        refuse("Consent.provision", "has no rule in force to show", "give at least one rule that is not revoked")
    at_hand = {rule.terms: (documents or {}).get(rule.terms) for _, rule in live if rule.terms}
    used = {number: document for number, document in at_hand.items() if document is not None}
    if len(used) > 1:
        refuse("Consent.provision", "would need two policy documents", "render the rules of each document apart")
    writer = _Writer(known)
    for grantee, rule in live:
        writer.rule(grantee, rule, used.get(rule.terms))
    for number, document in used.items():
        writer.refusals(document, number)
    consent: JsonObject = {
        "resourceType": "Consent",
        "text": {"status": "generated", "div": _narrative(live, known)},
        "status": "active",
        "scope": _concept(vocabulary.CONSENT_SCOPE, "patient-privacy"),
        "category": [_concept(vocabulary.LOINC, "59284-0")],
        "patient": {"reference": patient},
        "policyRule": _concept(vocabulary.ACT_CODE, "OPTOUT"),
        "provision": {"provision": writer.provisions},
    }
    if used:
        salt = next(iter(used.values())).salt
        consent["extension"] = [{"url": vocabulary.DOCUMENT_SALT, "valueString": f"0x{salt.hex()}"}]
    if when is not None:
        consent["dateTime"] = when.astimezone(UTC).isoformat(timespec="seconds")
    problems = structure.problems(consent)
    if problems:
        raise InvalidRecordError("Consent", problems)
    return consent


class _Writer:
    """Collects the nested provisions."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = references
        self.provisions: list[Json] = []

    def rule(self, grantee: str, rule: Rule, document: PolicyDocument | None) -> None:
        """Add a rule; one under a document, as its document says it."""
        if document is None or rule.deny:
            self._add(grantee, rule, None)
            return
        scope = scope_of(encode(rule))
        for finer in document.provisions:
            if finer.grantee.lower() == grantee.lower() and finer.rule == scope:
                self._add(grantee, rule, finer)

    def refusals(self, document: PolicyDocument, terms: int) -> None:
        """Add what a document refuses by itself."""
        for finer in document.provisions:
            if finer.deny:
                rule = replace(decode(finer.rule), terms=terms, sequence=1)
                self._add(str(to_checksum_address(finer.grantee)), rule, finer)

    def _add(self, grantee: str, rule: Rule, finer: FinerProvision | None) -> None:
        element = _element(rule)
        if grantee != EVERYONE:
            role = _concept(vocabulary.PARTICIPATION, "PRCP")
            element["actor"] = [{"role": role, "reference": self._reference(grantee)}]
        period = _period(
            finer.starts if finer and finer.starts else rule.valid_from,
            finer.ends if finer and finer.ends else rule.valid_until,
        )
        if period:
            element["period"] = period
        for number, group in enumerate(finer.any_of if finer else ()):
            natural = {**element, **_elements_of(group)}
            if not self._says(natural, grantee, rule, (finer.any_of if finer else ())[: number + 1]):
                natural = {**element, "modifierExtension": [*_list(element, "modifierExtension"), _any_of(group)]}
            element = natural
        self.provisions.append(element)

    def _reference(self, grantee: str) -> JsonObject:
        if grantee in self._references:
            return {"reference": self._references[grantee]}
        return {"identifier": {"system": vocabulary.GRANTEE, "value": grantee}}

    def _says(self, element: JsonObject, grantee: str, rule: Rule, groups: tuple[tuple[str, ...], ...]) -> bool:
        """Whether an element, read again, is about the rule's box and these groups."""
        context = Context({reference: address for address, reference in self._references.items()})
        try:
            found = read(element, "Consent.provision", context)
        except ConsentNotCompilableError:
            return False
        box = replace(box_of(rule), valid=found.box.valid)
        return found.box == box and set(found.any_of) == set(groups) and found.grantees == (grantee,)


def _element(rule: Rule) -> JsonObject:
    """Return a provision with all that the word holds but actor and period."""
    effect = Effect.DENY if rule.deny else Effect.PERMIT
    element: JsonObject = {"type": str(effect)}
    modifiers = [
        *_coding_extensions(vocabulary.CARE_SETTING, rule.settings, CareSetting.ALL),
        *_coding_extensions(vocabulary.PARTY_KIND, rule.party_kinds, PartyKind.ALL),
    ]
    if not _is_closed(rule):
        modifiers.append({"url": vocabulary.EXACT_CODES, "valueBoolean": True})
    if modifiers:
        element["modifierExtension"] = modifiers
    extensions: list[Json] = [
        {"url": vocabulary.INDEX, "valueInteger": rule.index},
        {"url": vocabulary.SEQUENCE, "valueInteger": rule.sequence},
    ]
    if rule.terms:
        extensions.append({"url": vocabulary.TERMS, "valueInteger": rule.terms})
    if rule.delegable:
        extensions.append({"url": vocabulary.DELEGABLE, "valueBoolean": True})
    if rule.break_glass_refused:
        extensions.append({"url": vocabulary.BREAK_GLASS_REFUSED, "valueBoolean": True})
    element["extension"] = extensions
    research = rule.research if rule.research != ResearchUse.PERMISSIONS else ResearchUse.EMPTY
    if rule.purposes != Purpose.ALL or research:
        element["purpose"] = [*_codings(rule.purposes), *(_coding(DUO.uri, code) for code in research.codes)]
    if rule.classes != DataClass.ALL:
        element["class"] = [_coding(DATA_CLASS.uri, code) for code in rule.classes.codes]
    if rule.conditions != Condition.ALL:
        element["code"] = [_concept(ICD_10_CM.uri, code) for code in rule.conditions.codes]
    if rule.sensitivities != Sensitivity.ALL:
        element["securityLabel"] = [_label(label) for label in rule.sensitivities]
    if rule.actions != Action.ALL:
        element["action"] = [_concept(CONSENT_ACTION.uri, code) for code in rule.actions.codes]
    days: JsonObject = {}
    if rule.data_from != EPOCH_DAY:
        days["start"] = rule.data_from.isoformat()
    if rule.data_until is not None:
        days["end"] = rule.data_until.isoformat()
    if days:
        element["dataPeriod"] = days
    return element


def _is_closed(rule: Rule) -> bool:
    """Whether the rule's codes contain what lies below them, as a provision is read."""
    if rule.sensitivities != rule.sensitivities.with_narrower():
        return False
    if not rule.deny:
        return True
    permissions = rule.research & ResearchUse.PERMISSIONS
    return rule.purposes == rule.purposes.with_narrower() and permissions == permissions.with_narrower()


def _elements_of(group: tuple[str, ...]) -> JsonObject:
    """Return the FHIR elements that say what a group of tags says; empty where they are of several kinds."""
    parts = [tag.partition(":") for tag in group]
    kinds = {kind for kind, _, _ in parts}
    named = [value.rpartition("|") for _, _, value in parts]
    if kinds == {"code"}:
        return {"code": [_concept(system, code) for system, _, code in named]}
    if kinds == {"class"}:
        return {"class": [_coding(system, code) for system, _, code in named]}
    if kinds == {"label"}:
        return {"securityLabel": [_coding(system, code) for system, _, code in named]}
    if kinds <= {"instance", "related", "dependents", "authoredby"}:
        return {"data": [{"meaning": kind, "reference": {"reference": value}} for kind, _, value in parts]}
    return {}


def _any_of(group: tuple[str, ...]) -> JsonObject:
    return {"url": vocabulary.ANY_OF, "extension": [{"url": "tag", "valueString": tag} for tag in group]}


def _coding_extensions(url: str, value: CodedFlag, every: CodedFlag) -> list[Json]:
    return [] if value == every else [{"url": url, "valueCoding": coding} for coding in _codings(value)]


def _codings(value: CodedFlag) -> list[JsonObject]:
    return [_coding(value.system.uri, code) for code in value.codes]


def _label(label: Sensitivity) -> JsonObject:
    if label is Sensitivity.NONE_LABELLED:
        return _coding(vocabulary.SENSITIVITY, label.code)
    return _coding(Sensitivity.system.uri, label.code)


def _coding(system: str, code: str) -> JsonObject:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> JsonObject:
    return {"coding": [_coding(system, code)]}


def _list(element: JsonObject, name: str) -> list[Json]:
    found = element.get(name)
    return found if isinstance(found, list) else []


def _period(starts: datetime, ends: datetime | None) -> JsonObject:
    """Return a period whose end is its last moment, as FHIR has it."""
    period: JsonObject = {}
    if starts > _EPOCH:
        period["start"] = starts.astimezone(UTC).isoformat()
    if ends is not None:
        last = ends - (timedelta(microseconds=1) if ends.microsecond else timedelta(seconds=1))
        period["end"] = last.astimezone(UTC).isoformat()
    return period


def _narrative(rules: list[tuple[str, Rule]], references: Mapping[str, str]) -> str:
    """Return the rules in sentences, as XHTML."""
    sentences = []
    for grantee, rule in rules:
        name = "anyone" if grantee == EVERYONE else references.get(grantee, grantee)
        sentences.append(f"<p>{escape(describe(rule, grantee=name))}</p>")
    return f'<div xmlns="{_XHTML}">{"".join(sentences)}</div>'
