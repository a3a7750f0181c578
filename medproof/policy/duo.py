"""Research in the terms of the GA4GH Data Use Ontology (DUO): does a study's intended use fit a consent?

`DataUse` is what a consent permits, `StudyUse` what a study intends, and `match` compares them by the algorithm of
DUOS, version 4, the Broad Institute's Data Use Oversight System (DataBiosphere/consent-ontology, docs/Algorithms.md and
`DataUseMatcherV4`), extended to the modifiers that DUOS leaves to people. Every reason is given, not the first alone.

The rule word holds the terms and none of their parameters: that a disease is named, but not which. So the chain is the
wider bound: what `match` permits, the word permits, and each `Finding` says whether the word finds the same.
docs/duo.md has the table of all terms. The terms themselves are data, `duo.json`, under CC BY 4.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import Enum
from functools import cache, reduce
from importlib.resources import files
from operator import or_

from medproof.errors import DataUseError, UnknownCodeError
from medproof.policy.codes import DUO, Purpose, ResearchUse
from medproof.policy.phrases import join, widest
from medproof.policy.word import Request, Rule

__all__ = [
    "DataUse",
    "Finding",
    "Match",
    "Outcome",
    "StudyUse",
    "Term",
    "Topic",
    "from_rule",
    "match",
    "term",
    "terms",
    "to_requests",
    "to_research_use",
]


# -- the terms ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """One term of the ontology."""

    id: str  # such as "DUO:0000007"
    shorthand: str  # such as "DS"; empty for the two categories
    label: str
    definition: str
    category: str  # id of the category it belongs to; empty for the two categories
    parameter: str  # the field of `DataUse` with what the term leaves open; empty where it says all

    @property
    def research_use(self) -> ResearchUse | None:
        """The term's bit in the rule word; None for the two categories, which are nobody's permission."""
        return ResearchUse.from_code(self.id) if self.category else None


@cache
def terms() -> tuple[Term, ...]:
    """Return all 25 terms of the release in `medproof.policy.codes.DUO`: two categories and what belongs to them."""
    content = json.loads(files("medproof.policy").joinpath("duo.json").read_text(encoding="utf-8"))
    return tuple(Term(**entry) for entry in content["terms"])


def term(code: str) -> Term:
    """Return the term with this id (`DUO:0000006`, `DUO_0000006` or its IRI) or shorthand (`HMB`).

    Raises:
        UnknownCodeError: there is none, or earlier releases only had it.
    """
    wanted = code.rpartition("/")[2].replace("DUO_", "DUO:", 1)
    for one in terms():
        if wanted in (one.id, one.shorthand) and wanted:
            return one
    raise UnknownCodeError(code, DUO.title, (), f"Look it up in release {DUO.version}; earlier codes were withdrawn.")


# -- what a consent permits, what a study intends ----------------------------------------------------------------

_DISEASE = re.compile(r"(?:http://purl\.obolibrary\.org/obo/)?(MONDO|DOID)[:_](\d+)")
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


@dataclass(frozen=True)
class DataUse:
    """What a consent permits: permissions and modifiers, with what each of them leaves open.

    A parameter left empty stands in the consent's terms and is not known here: what depends on it, `match` leaves to
    people. Of several permissions, each suffices for what it permits.
    """

    terms: ResearchUse  # at least one permission, and any modifiers
    diseases: AbstractSet[str] = frozenset()  # DS: MONDO or DOID codes; each stands for all that is below it
    research_types: AbstractSet[str] = frozenset()  # RS: the types of study, in the words of the terms
    regions: AbstractSet[str] = frozenset()  # GS: ISO 3166 codes; a country stands for its subdivisions
    publish_from: date | None = None  # MOR: no publication before this day
    months: int | None = None  # TS: how long the data may be used
    users: AbstractSet[str] = frozenset()  # US: the approved users
    projects: AbstractSet[str] = frozenset()  # PS: the approved projects
    institutions: AbstractSet[str] = frozenset()  # IS: the approved institutions

    def __post_init__(self) -> None:
        """Bring the codes into one spelling, and refuse what no term asks for."""
        if not self.terms & ResearchUse.PERMISSIONS:
            raise DataUseError("terms", self.terms.codes, "a permitted use has a permission", "Add NRES, GRU, HMB, …")
        _normalize(self)
        for one in terms():
            use = one.research_use
            if one.parameter and use is not None and getattr(self, one.parameter) and use not in self.terms:
                value = getattr(self, one.parameter)
                raise DataUseError(one.parameter, value, "no term asks for it", f"Add {one.shorthand} to the terms.")


class Topic(Enum):
    """What DUOS leaves to a committee, whatever the consent says (version 4, abstained research purposes)."""

    CONTROLS = "uses the data as a control set"
    AGGREGATE = "aggregates data to learn about the general population"
    GENDER = "is limited to one gender"
    PEDIATRIC = "is limited to children"
    VULNERABLE = "is about vulnerable populations"
    ILLEGAL_BEHAVIOR = "is about illegal behaviour"
    SEXUAL_DISEASES = "is about sexual preferences or sexually transmitted diseases"
    PSYCHOLOGICAL_TRAITS = "is about psychological traits"
    NOT_HEALTH = "relates ethnicity, race or gender to more than health"
    STIGMATIZED_DISEASES = "is about stigmatised illnesses"
    OTHER = "does what no term of DUO stands for"


@dataclass(frozen=True)
class StudyUse:
    """What a study intends to do, in DUO's terms, and what it accepts.

    At least one of the first five says what it investigates. All claims are the researcher's own: whoever serves the
    data holds the study to them.
    """

    general: bool = False  # any research at all (asks for GRU)
    health: bool = False  # health, medical or biomedical research (HMB)
    diseases: AbstractSet[str] = frozenset()  # research on these, MONDO or DOID codes (DS)
    ancestry: bool = False  # population origins or ancestry (POA)
    methods: bool = False  # develops methods or software; alone, health or ancestry research lets it
    topics: AbstractSet[Topic] = frozenset()  # what a committee has to look at
    clinical_care: bool = False  # uses the data in clinical care, too (CC)
    genetic: bool = False  # studies genotypes, alone or with phenotypes (GSO)
    for_profit: bool = False  # done by a for-profit organisation (NPU, NPUNCU)
    commercial: bool = False  # for a commercial purpose (NCU, NPUNCU)
    ethics_approval: bool = False  # shows an ethics approval (IRB)
    publishes: bool = False  # makes its results available to the scientific community (PUB, MOR)
    publish_from: date | None = None  # does not publish before this day (MOR)
    collaborates: bool = False  # works together with the original investigators (COL)
    returns: bool = False  # returns what it derives (RTN)
    months: int | None = None  # for how long it uses the data (TS)
    regions: AbstractSet[str] = frozenset()  # where it uses the data, ISO 3166 codes (GS)
    research_types: AbstractSet[str] = frozenset()  # types of study, in the words of the consent's terms (RS)
    users: AbstractSet[str] = frozenset()  # who uses the data (US)
    projects: AbstractSet[str] = frozenset()  # in which projects (PS)
    institutions: AbstractSet[str] = frozenset()  # in which institutions (IS)

    def __post_init__(self) -> None:
        """Bring the codes into one spelling, and refuse a study that says nothing of what it investigates."""
        _normalize(self)
        if not (self.general or self.health or self.diseases or self.ancestry or self.methods):
            step = "Set general, health, diseases, ancestry or methods."
            raise DataUseError("StudyUse", "empty", "a study says what it investigates", step)


# -- the comparison ----------------------------------------------------------------------------------------------


class Outcome(Enum):
    """What DUOS answers; an abstention beats a denial, as it does there."""

    APPROVE = "approve"
    DENY = "deny"
    ABSTAIN = "abstain"  # a data access committee decides


@dataclass(frozen=True)
class Finding:
    """One reason why a study's use is not simply within what a consent permits."""

    term: str  # shorthand of the DUO term; a topic's name where DUO has no term
    outcome: Outcome  # DENY or ABSTAIN
    reason: str  # a sentence
    on_chain: bool  # whether a rule with the same terms refuses the study's request for the same reason


@dataclass(frozen=True)
class Match:
    """Whether a study's use is within what a consent permits, with every reason where it is not."""

    outcome: Outcome
    findings: tuple[Finding, ...]  # empty where it is; permissions first, then the terms in the order of their bits

    @property
    def permitted(self) -> bool:
        """Whether the study may use the data without anyone's further decision."""
        return self.outcome is Outcome.APPROVE


def match(study: StudyUse, use: DataUse, *, ancestors: Mapping[str, Sequence[str]] | None = None) -> Match:
    """Compare a study's intended use with what a consent permits.

    Args:
        study: what the study intends and accepts.
        use: what the consent permits.
        ancestors: for a disease code, its broader codes: parents, or all ancestors. Without them a disease is only
            within itself. The codes of two ontologies meet only where this table joins them.
    """
    table = {_disease(code): [_disease(one) for one in broader] for code, broader in (ancestors or {}).items()}
    findings = [*_permission_findings(study, use, table), *_modifier_findings(study, use)]
    findings += [
        Finding(topic.name, Outcome.ABSTAIN, f"The study {topic.value}: a committee decides.", on_chain=False)
        for topic in Topic
        if topic in study.topics
    ]
    outcomes = {finding.outcome for finding in findings}
    decided = next((one for one in (Outcome.ABSTAIN, Outcome.DENY) if one in outcomes), Outcome.APPROVE)
    return Match(decided, tuple(findings))


def _permission_findings(study: StudyUse, use: DataUse, table: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Whether some permission covers each kind of research that the study does."""
    included = _included(use)
    findings = [
        Finding(
            need.name or "",
            Outcome.DENY,
            f"The study asks for {need.plain}, and the consent permits only {_permitted(use)}.",
            on_chain=True,
        )
        for need in _needs(study)
        if need not in included
    ]
    if _methods_alone(study) and not included & _METHODS:
        reason = f"The study develops methods, and the consent permits only {_permitted(use)}."
        findings.append(Finding("NMDS", Outcome.DENY, reason, on_chain=True))
    if study.diseases and ResearchUse.DS in included and ResearchUse.HMB not in included:
        findings += _disease_findings(study, use, table)
    return findings


def _disease_findings(study: StudyUse, use: DataUse, table: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Whether each disease of the study is one of the consent's, or lies below one."""
    if not use.diseases:
        return [_unknown(ResearchUse.DS, "disease")]
    return [
        Finding(
            "DS",
            Outcome.DENY,
            f"{disease} is none of the consent's diseases ({', '.join(sorted(use.diseases))}) and not known to lie "
            "below one.",
            on_chain=False,
        )
        for disease in sorted(study.diseases)
        if not _lineage(disease, table) & use.diseases
    ]


def _modifier_findings(study: StudyUse, use: DataUse) -> list[Finding]:
    """What the consent demands and the study does not accept, or where it goes further than the consent lets it."""
    findings = []
    accepted = _accepted(study)
    for modifier in use.terms & ResearchUse.MODIFIERS:
        if modifier not in accepted:
            reason = f"The consent obliges researchers to {modifier.plain}, and the study does not say that it does."
            findings.append(Finding(modifier.name or "", Outcome.DENY, reason, on_chain=True))
        elif modifier in _LIMITS:
            findings += _limit_findings(modifier, study, use)
    if study.clinical_care and not use.terms & (ResearchUse.CC | ResearchUse.NRES):
        reason = "The study uses the data in clinical care, and the consent permits research alone."
        findings.append(Finding("CC", Outcome.DENY, reason, on_chain=False))
    return findings


# The modifiers with a parameter, and what it is.
_LIMITS = {
    ResearchUse.RS: "type of study",
    ResearchUse.GS: "region",
    ResearchUse.MOR: "day",
    ResearchUse.TS: "time",
    ResearchUse.US: "users",
    ResearchUse.PS: "projects",
    ResearchUse.IS: "institutions",
}


def _limit_findings(modifier: ResearchUse, study: StudyUse, use: DataUse) -> list[Finding]:
    """Compare a parameter, which the word does not hold."""
    name = term(modifier.code).parameter
    if modifier is ResearchUse.MOR and not study.publishes and study.publish_from is None:
        return []  # what is never published is not published too early
    limit, stated = getattr(use, name), getattr(study, name)
    if not limit:
        return [_unknown(modifier, _LIMITS[modifier])]
    if modifier is ResearchUse.GS:
        outside = {one for one in stated if one not in limit and one.partition("-")[0] not in limit}
    elif modifier is ResearchUse.MOR:
        outside = {stated} if stated < limit else set()
    elif modifier is ResearchUse.TS:
        outside = {f"{stated} months"} if stated > limit else set()
    else:
        outside = stated - limit
    if not outside:
        return []
    allowed = ", ".join(sorted(limit)) if isinstance(limit, frozenset) else limit
    beyond = ", ".join(sorted(map(str, outside)))
    reason = f"The consent limits the {_LIMITS[modifier]} to {allowed}, and the study goes beyond: {beyond}."
    return [Finding(modifier.name or "", Outcome.DENY, reason, on_chain=False)]


def _unknown(use: ResearchUse, what: str) -> Finding:
    """A parameter that only the consent's terms name."""
    reason = f"The consent's terms name the {what}, which is not known here: a committee decides."
    return Finding(use.name or "", Outcome.ABSTAIN, reason, on_chain=False)


# -- the rule word -----------------------------------------------------------------------------------------------

_METHODS = ResearchUse.HMB | ResearchUse.POA  # either lets a study that does nothing but develop methods


def from_rule(rule: Rule, **parameters: Iterable[str] | date | int | None) -> DataUse:
    """Return what a rule of the chain permits researchers.

    Args:
        rule: a permit for research.
        parameters: what the consent's terms say beyond the word, such as `diseases`: the fields of `DataUse`.

    Raises:
        DataUseError: the rule refuses, was withdrawn or is not for research; or a parameter fits no term of it.
    """
    if rule.deny or rule.revoked:
        kind = "refusal" if rule.deny else "withdrawn rule"
        raise DataUseError("rule", kind, "DUO has terms for what is permitted alone", "Match the permits that count.")
    if not rule.research & ResearchUse.PERMISSIONS:
        raise DataUseError("rule", rule.purposes.codes, "no purpose of it is research", "Match a rule for research.")
    known = {field.name for field in fields(DataUse)} - {"terms"}
    if strange := set(parameters) - known:
        raise DataUseError(
            "parameters", sorted(strange), "no term takes them", f"Known are {', '.join(sorted(known))}."
        )
    permissions = widest(rule.research & ResearchUse.PERMISSIONS)
    empty = DataUse(permissions | rule.research & ResearchUse.MODIFIERS)
    return replace(empty, **parameters)  # type: ignore[arg-type]  # DataUse checks them


def to_research_use(use: DataUse) -> ResearchUse:
    """Return the research field of a permit with these terms: the permissions with all that they include.

    The parameters are left out: they belong in the consent form whose hash the rule names as its terms.
    """
    return _included(use) | use.terms & ResearchUse.MODIFIERS


def to_requests(study: StudyUse, scope: Request) -> tuple[Request, ...]:
    """Return the requests by which a study asks on chain; one that is permitted suffices.

    There is one request, and two for a study that does nothing but develop methods. Each accepts the modifiers that the
    study observes.

    Args:
        study: what the study intends.
        scope: what data it asks for. Its purposes may be left empty for HRESCH; its research field is filled in.

    Raises:
        DataUseError: the scope has a purpose that is not research, or says what research it is.
    """
    purposes = scope.purposes or Purpose.HRESCH
    if purposes & ~Purpose.RESEARCH:
        raise DataUseError("scope.purposes", purposes.codes, "a study does research", "Ask for the rest by itself.")
    if scope.research:
        raise DataUseError("scope.research", scope.research.codes, "the study says it", "Leave it empty.")
    alternatives = tuple(_METHODS) if _methods_alone(study) else (reduce(or_, _needs(study)),)
    accepted = _accepted(study)
    return tuple(replace(scope, purposes=purposes, research=needed | accepted) for needed in alternatives)


def _needs(study: StudyUse) -> tuple[ResearchUse, ...]:
    """The permissions that the study needs, all of them."""
    stated = (
        (study.general, ResearchUse.GRU),
        (study.health, ResearchUse.HMB),
        (bool(study.diseases), ResearchUse.DS),
        (study.ancestry, ResearchUse.POA),
    )
    return tuple(need for is_stated, need in stated if is_stated)


def _methods_alone(study: StudyUse) -> bool:
    return study.methods and not _needs(study)


def _accepted(study: StudyUse) -> ResearchUse:
    """The modifiers whose obligation the study accepts, by what it says of itself."""
    observed = (
        (bool(study.research_types), ResearchUse.RS),
        (not study.methods, ResearchUse.NMDS),
        (study.genetic, ResearchUse.GSO),
        (not study.for_profit and not study.commercial, ResearchUse.NPUNCU),
        (study.publishes, ResearchUse.PUB),
        (study.collaborates, ResearchUse.COL),
        (study.ethics_approval, ResearchUse.IRB),
        (bool(study.regions), ResearchUse.GS),
        (not study.publishes or study.publish_from is not None, ResearchUse.MOR),
        (study.months is not None, ResearchUse.TS),
        (bool(study.users), ResearchUse.US),
        (bool(study.projects), ResearchUse.PS),
        (bool(study.institutions), ResearchUse.IS),
        (study.returns, ResearchUse.RTN),
        (True, ResearchUse.CC),  # a liberty, no obligation
        (not study.ancestry and not study.general, ResearchUse.NPOA),
        (not study.for_profit, ResearchUse.NPU),
        (not study.commercial, ResearchUse.NCU),
    )
    return reduce(or_, (modifier for is_observed, modifier in observed if is_observed))


def _included(use: DataUse) -> ResearchUse:
    """The permissions with all that they include."""
    return (use.terms & ResearchUse.PERMISSIONS).with_narrower()


def _permitted(use: DataUse) -> str:
    return join([one.plain for one in widest(use.terms & ResearchUse.PERMISSIONS)], "and")


# -- codes of diseases and regions -------------------------------------------------------------------------------


def _normalize(use: DataUse | StudyUse) -> None:
    """Check what both sides state, and store sets in one spelling."""
    for field in fields(use):
        value = getattr(use, field.name)
        if isinstance(field.default, frozenset):
            if isinstance(value, str):
                raise DataUseError(field.name, value, "it is a set of several", "Put it in brackets: {…}.")
            object.__setattr__(use, field.name, frozenset(value))
    object.__setattr__(use, "diseases", frozenset(map(_disease, use.diseases)))
    for region in use.regions:
        if not _REGION.fullmatch(region):
            raise DataUseError("regions", region, "a region is an ISO 3166 code", "Write it as DE or US-CA.")
    if use.months is not None and (isinstance(use.months, bool) or use.months < 1):
        raise DataUseError("months", use.months, "it is a number of months from 1 on", "Correct it.")


def _disease(code: str) -> str:
    found = _DISEASE.fullmatch(code.strip())
    if not found:
        raise DataUseError("diseases", code, "a disease is a MONDO or DOID code", "Write it as MONDO:0005148.")
    return f"{found[1]}:{found[2]}"


def _lineage(disease: str, table: Mapping[str, Sequence[str]]) -> set[str]:
    """A disease and all that the table says is broader."""
    seen: set[str] = set()
    waiting = [disease]
    while waiting:
        code = waiting.pop()
        if code not in seen:
            seen.add(code)
            waiting += table.get(code, ())
    return seen
