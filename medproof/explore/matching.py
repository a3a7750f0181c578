"""The page on which a study and a consent are compared, term by term."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from medproof.errors import DataUseError, MedProofError
from medproof.explore.asking import FIELDS
from medproof.explore.parameters import Pairs, Parameters
from medproof.explore.registry import Registry
from medproof.explore.showing import Shown
from medproof.explore.site import Site
from medproof.policy import duo
from medproof.policy.codes import PartyKind, ResearchUse
from medproof.policy.duo import DataUse, Finding, Match, Outcome, StudyUse
from medproof.policy.evaluation import decide
from medproof.policy.explanation import explain
from medproof.policy.word import Request, Rule, decode, encode, encode_request

__all__ = ["EXAMPLE", "match"]

# What a study says of itself with a tick: the flags of `StudyUse`, in the words of the page.
_STATEMENTS = {
    "general": "Any research at all",
    "health": "Health, medical or biomedical research",
    "ancestry": "Population origins or ancestry",
    "methods": "Develops methods or software",
    "genetic": "Studies genotypes",
    "clinical_care": "Uses the data in clinical care, too",
    "for_profit": "Done by a for-profit organisation",
    "commercial": "For a commercial purpose",
    "ethics_approval": "Shows an ethics approval",
    "publishes": "Publishes its results",
    "collaborates": "Works together with the original investigators",
    "returns": "Returns what it derives",
}
_TEXTS = (  # name, label, hint
    ("disease", "Diseases that the study is about", "MONDO or DOID codes, such as MONDO:0005148, with commas between."),
    ("region", "Where the study uses the data", "ISO 3166 codes, such as DE or US-CA, with commas between."),
    ("months", "For how many months", "A number; empty for no limit."),
    ("use-disease", "Diseases that the consent's terms name", "As above; needs DS in the consent."),
    ("use-region", "Regions that the consent's terms name", "As above; needs GS in the consent."),
    ("use-months", "Months that the consent's terms allow", "A number; needs TS in the consent."),
    (
        "rule",
        "Or a rule of the registry, in place of the consent",
        "Its word: 64 hexadecimal digits, as an index has it.",
    ),
)
_WORD = re.compile("(0x)?[0-9a-fA-F]{64}", re.ASCII)
_MOST_MONTHS = 1200
_TONES = {Outcome.APPROVE: "yes", Outcome.DENY: "no", Outcome.ABSTAIN: "unsure"}
_HEADLINES = {Outcome.APPROVE: "It fits", Outcome.DENY: "It does not fit", Outcome.ABSTAIN: "A committee decides"}
_SENTENCES = {
    Outcome.APPROVE: "The consent permits all that the study does, and the study observes what the consent demands.",
    Outcome.DENY: "The consent permits less than the study does, or demands more than it observes.",
    Outcome.ABSTAIN: "The terms alone do not settle it.",
}

EXAMPLE: Pairs = (
    ("study", "health"),
    ("study", "ethics_approval"),
    ("study", "commercial"),
    ("use", "HMB"),
    ("use", "IRB"),
    ("use", "NCU"),
    ("use", "PUB"),
)


def match(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """Whether a study's use is within a consent, with every reason."""
    texts = [name for name, _, _ in _TEXTS]
    parameters = Parameters(pairs or EXAMPLE, single=texts, several=("study", "use"))
    chosen = {one for one in parameters.texts("study") if one in _STATEMENTS}
    if strange := set(parameters.texts("study")) - chosen:
        parameters.errors["study"] = f"A study does not say “{min(strange)[:40]}”. Choose from the list."
    terms = parameters.codes("use", ResearchUse)
    values: dict[str, Any] = {
        "fields": [_study_field(chosen), _use_field(terms)],
        "texts": [
            {"name": name, "label": label, "hint": hint, "value": parameters.text(name)} for name, label, hint in _TEXTS
        ],
        "details_open": any(parameters.text(name) or name in parameters.errors for name in texts),
        "found": None,
        "rule": None,
    }
    rule = _rule(parameters)
    study, use = _study(parameters, chosen), _use(parameters, terms, rule)
    if study is not None and use is not None and not parameters.errors:
        values |= _compared(site, study, use, rule)
    return Shown("match", "Does a study fit?", values, parameters.errors)


# -- what the address says ------------------------------------------------------------------------------------------


def _study_field(chosen: Iterable[str]) -> dict[str, Any]:
    picked = set(chosen)
    return {
        "name": "study",
        "label": "The study",
        "hint": "What it investigates, and what it says of itself.",
        "chosen": bool(picked),
        "said": "",
        "options": [{"code": name, "display": label, "chosen": name in picked} for name, label in _STATEMENTS.items()],
    }


def _use_field(terms: ResearchUse) -> dict[str, Any]:
    """The list of DUO's terms, as a consent has them."""
    shown = FIELDS[-1].shown(terms)
    hint = "The first five permit research; one of them at least. The others oblige and limit."
    return {**shown, "name": "use", "label": "The consent, in DUO's terms", "hint": hint, "said": ""}


def _list(parameters: Parameters, name: str) -> frozenset[str]:
    return frozenset(one for one in re.split(r"[,\s]+", parameters.text(name)) if one)


def _months(parameters: Parameters, name: str) -> int | None:
    return parameters.number(name, lowest=1, highest=_MOST_MONTHS, what="number of months")


def _study(parameters: Parameters, chosen: Iterable[str]) -> StudyUse | None:
    months = _months(parameters, "months")
    try:
        return StudyUse(
            **dict.fromkeys(chosen, True),  # type: ignore[arg-type]
            diseases=_list(parameters, "disease"),
            regions=_list(parameters, "region"),
            months=months,
        )
    except DataUseError as error:
        place = {"diseases": "disease", "regions": "region"}.get(error.field, "study")
        parameters.errors.setdefault(place, str(error))
        return None


def _rule(parameters: Parameters) -> Rule | None:
    text = parameters.pattern("rule", _WORD, "word of a rule", "Write its 64 hexadecimal digits.")
    if not text:
        return None
    try:
        return decode(int(text, 16))
    except MedProofError as error:
        parameters.errors["rule"] = str(error)
        return None


def _use(parameters: Parameters, terms: ResearchUse, rule: Rule | None) -> DataUse | None:
    limits: dict[str, Any] = {}
    for name in ("diseases", "regions"):
        if found := _list(parameters, f"use-{name.rstrip('s')}"):
            limits[name] = found
    if (months := _months(parameters, "use-months")) is not None:
        limits["months"] = months
    try:
        return DataUse(terms, **limits) if rule is None else duo.from_rule(rule, **limits)
    except DataUseError as error:
        places = {"diseases": "use-disease", "regions": "use-region", "months": "use-months", "rule": "rule"}
        parameters.errors.setdefault(places.get(error.field, "use"), str(error))
        return None


# -- what comes of it -----------------------------------------------------------------------------------------------


def _compared(site: Site, study: StudyUse, use: DataUse, rule: Rule | None) -> dict[str, Any]:
    found = duo.match(study, use)
    scope = Request() if rule is None else _scope(rule)
    requests = duo.to_requests(study, scope)
    return {
        "found": {
            "headline": _HEADLINES[found.outcome],
            "sentence": _SENTENCES[found.outcome],
            "tone": _TONES[found.outcome],
        },
        "permissions": _permissions(requests, use, found),
        "obligations": _obligations(use, found),
        "rule": None if rule is None else _decided(rule, requests),
        "cohort_href": site.link("cohort", _cohort_pairs(requests[0])),
    }


def _permissions(requests: Sequence[Request], use: DataUse, found: Match) -> list[dict[str, str]]:
    """Each permission that the study asks for, and which of the consent's covers it."""
    granted = use.terms & ResearchUse.PERMISSIONS
    asked = [tuple(one.research & ResearchUse.PERMISSIONS) for one in requests]
    # A study that develops methods alone has two requests, of which either suffices.
    needs = [(one,) for one in asked[0]] if len(asked) == 1 else [tuple(one for need in asked for one in need)]
    rows = []
    for need in needs:
        finding = _finding(found, *need, *((ResearchUse.NMDS,) if len(need) > 1 else ()))
        covering = next(((one, of) for of in need for one in granted if of in one.with_narrower()), None)
        fits = covering is not None and finding is None
        why = _covered(*covering) if covering is not None and fits else _told(finding)
        row = _row(" or ".join(one.display for one in need), " or ".join(str(one.name) for one in need), why)
        rows.append(row if fits else {**row, **_tone(finding)})
    return rows


def _covered(covering: ResearchUse, needed: ResearchUse) -> str:
    return "The consent names it." if covering is needed else f"{covering.name}, {covering.display}, includes it."


def _obligations(use: DataUse, found: Match) -> list[dict[str, str]]:
    """Each modifier of the consent, and whether the study observes it; then what no term of the consent is about."""
    rows = []
    for modifier in use.terms & ResearchUse.MODIFIERS:
        finding = _finding(found, modifier)
        row = _row(modifier.display, str(modifier.name), _told(finding) if finding else "The study observes it.")
        rows.append({**row, **_tone(finding)} if finding else row)
    if ResearchUse.CC not in use.terms and (finding := _finding(found, ResearchUse.CC)) is not None:
        rows.append({**_row(ResearchUse.CC.display, "CC", _told(finding)), **_tone(finding)})
    return rows


def _tone(finding: Finding | None) -> dict[str, str]:
    if finding is not None and finding.outcome is Outcome.ABSTAIN:
        return {"fits": "open", "tone": "unsure"}
    return {"fits": "no", "tone": "no"}


def _told(finding: Finding | None) -> str:
    if finding is None:
        return "No permission covers it."
    return f"{finding.reason} {'The chain refuses it as well.' if finding.on_chain else 'The chain does not see this.'}"


def _finding(found: Match, *uses: ResearchUse) -> Finding | None:
    names = {one.name for one in uses}
    return next((one for one in found.findings if one.term in names), None)


def _row(display: str, code: str, why: str) -> dict[str, str]:
    return {"display": display, "code": code, "fits": "yes", "tone": "yes", "why": why}


def _scope(rule: Rule) -> Request:
    """What a rule speaks of, as the scope of a study's request."""
    return Request(
        purposes=rule.purposes & type(rule.purposes).RESEARCH,
        classes=rule.classes,
        conditions=rule.conditions,
        sensitivities=rule.sensitivities,
        settings=rule.settings,
        actions=rule.actions,
        data_from=rule.data_from,
        data_until=rule.data_until,
    )


def _decided(rule: Rule, requests: Sequence[Request]) -> dict[str, str]:
    """What the registry would say to the study, of the data that the rule is about."""
    kind = next(iter(rule.party_kinds), PartyKind.RESEARCHER)
    decisions = [(decide((encode(rule),), kind, rule.valid_from, encode_request(one)), one) for one in requests]
    decision, request = min(decisions, key=lambda one: not one[0].permitted)
    return {
        "sentence": str(rule),
        "reason": "permitted." if decision.permitted else "refused.",
        "explained": explain(decision.reason, rule, request),
    }


def _cohort_pairs(request: Request) -> Pairs:
    pairs = [("purpose", "HRESCH"), ("action", "access"), ("action", "use"), ("kind", "researcher")]
    pairs += [("sensitivity", "NONE_LABELLED")]
    return [*pairs, *(("research", str(one.name)) for one in request.research)]
