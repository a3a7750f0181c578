"""A FHIR R4 Consent compiled to rules, and to a policy document for what words cannot hold.

The provision tree is read as FHIR gives it: a nested provision is an exception to the one around it and lies
inside it, and where provisions side by side disagree, the refusal counts. On chain no rule means no, permits add
up and a refusal beats them all. So permits become permit rules, refusals become deny rules, and a permit nested in
a refusal is cut out of it: what is left is written as disjoint boxes.

FHIR R4 gives the root provision no type, and HL7's own examples use such a root in both senses. What it does is
told by what is nested in it, since only opposites are exceptions: refusals say that it permits, permits that it
refuses. A root that refuses with permits in it, like one without any limit of its own, is a frame: no rule is
written for it, because no rule means no. A limited root with nothing nested is refused unless the caller says what
it does. The base rule (`policyRule`) names terms that the resource does not hold, so it permits nothing by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from medproof import hashing
from medproof.errors import ConsentDocumentError
from medproof.fhir.consent import vocabulary
from medproof.fhir.consent.boxes import EVERYTHING, MOST_PIECES, Box, merge, rule_of, subtract
from medproof.fhir.consent.limits import Bound, Context, Effect, is_group
from medproof.fhir.consent.reading import Provision, read
from medproof.fhir.consent.vocabulary import items, refuse, text
from medproof.fhir.resource import Resource, load
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import ResearchUse
from medproof.policy.document import EVERYONE, FinerProvision, PolicyDocument, scope_of
from medproof.policy.word import FIELDS, Rule, encode

__all__ = ["MOST_RULES", "CompiledConsent", "compile_consent"]

MOST_RULES = 1 << FIELDS["index"].width
"""The most rules that a subject may have for one grantee."""

MOST_PROVISIONS = 256
"""The most provisions that a consent may have: each is compared with all others."""

_PROVISION = re.compile(r"Consent\.provision(\.provision\[\d+\])*", re.ASCII)
_SALT = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_STATUSES = {
    "draft": "is a draft",
    "proposed": "is not agreed to yet",
    "rejected": "was rejected",
    "inactive": "was terminated or replaced",
    "entered-in-error": "was entered in error",
}
_SCOPES = ("patient-privacy", "research")
_OPT_IN = frozenset({"OPTIN", "OPTINR"})
_OPT_OUT = frozenset({"OPTOUT", "OPTOUTE"})


@dataclass(frozen=True)
class Draft:
    """A rule on its way: where it comes from, and what the document says beside it."""

    path: str  # of the provision
    grantee: str  # under whom it will stand
    rule: Rule
    finer: FinerProvision | None  # None where the word holds it all
    index: int | None  # the rule's number among those of its pair, where the consent names it


@dataclass(frozen=True)
class CompiledConsent:
    """What a consent says in rules.

    Where there is a `document`, some permits are only bounds: publish `document.hash` as terms first, and take the
    rules of `under(number)`. `rules` refuses to give bounds without these terms.
    """

    document: PolicyDocument | None  # what no word holds; None where the rules say it all
    bounds: tuple[Bound, ...]  # every place where the rules say something else than the text
    drafts: tuple[Draft, ...] = field(repr=False)  # the rules, those under the document still without its terms

    @property
    def rules(self) -> tuple[tuple[str, Rule], ...]:
        """The rules to write, each with its grantee, in the order of their indices.

        Raises:
            ConsentDocumentError: the document's terms have no number yet.
        """
        if any(draft.finer and not draft.rule.terms for draft in self.drafts):
            raise ConsentDocumentError
        return tuple((draft.grantee, draft.rule) for draft in self.drafts)

    def under(self, terms: int) -> CompiledConsent:
        """Return the same with the number of the document's terms; rules that need no document keep their own."""
        placed = (
            replace(draft, rule=replace(draft.rule, terms=terms)) if draft.finer else draft for draft in self.drafts
        )
        return replace(self, drafts=tuple(placed))


def compile_consent(
    source: Resource | str | os.PathLike[str] | bytes | Mapping[str, Json],
    *,
    grantees: Mapping[str, str],
    custodian: str | None = None,
    root: Literal["permit", "deny"] | None = None,
    terms: int = 0,
    salt: bytes | None = None,
) -> CompiledConsent:
    """Compile a FHIR R4 Consent to the rules to write, or refuse it with the element and the reason.

    Args:
        source: a Consent: loaded, or what `medproof.fhir.load` takes.
        grantees: the account on chain of every actor, by FHIR reference as the consent writes it (or
            `system|value` of its identifier): a party's identity, or a group in the form of an address.
        custodian: the reference of the custodian whose subject writes the rules; actors in the role CST must be it.
        root: what the root provision does where neither its type nor its exceptions tell.
        terms: number of the published terms that the rules name, where the consent does not say itself.
        salt: of the policy document; a fresh one unless the consent or the caller gives it.

    Raises:
        ConsentNotCompilableError: the consent cannot become rules; `path` and `rule` say what and why.
        RecordError, JsonError: the source is no FHIR R4 resource; see `medproof.fhir.load`.
    """
    content = (source if isinstance(source, Resource) else load(source)).content
    _check(content)
    context = Context(grantees, custodian)
    provision = _root(content, context, Effect(root) if root else None)
    compiler = _Compiler(provision, context.bounds, terms)
    drafts = compiler.drafts()
    if not drafts:
        refuse("Consent.provision", "neither permits nor refuses anything", "add a provision with a type")
    finer = compiler.finer_provisions()
    document = PolicyDocument(finer, salt or _salt(content) or hashing.new_salt()) if finer else None
    return CompiledConsent(document, tuple(sorted(context.bounds)), tuple(drafts))


class _Compiler:
    """Turns one tree into rules."""

    def __init__(self, root: Provision, bounds: set[Bound], terms: int) -> None:
        self._bounds = bounds
        self._terms = terms
        self._lenient = [provision for provision in _walk(root) if not _denies(provision)]
        self._permits = [provision for provision in self._lenient if provision.effect is Effect.PERMIT]
        # What is left of each permit that gets rules, and of each refusal on chain, by grantee.
        self._left: dict[str, tuple[Provision, dict[str, list[Box]]]] = {}
        self._refusals: list[Provision] = []  # those that the document holds
        self._held: set[FinerProvision] = set()  # what the document says beside the rules
        self._visit(root, None)

    def drafts(self) -> list[Draft]:
        """Return the rules, numbered for each grantee."""
        found: dict[str, list[Draft]] = {}
        for provision, grantee, box in self._boxes():
            rule = self._rule(provision, box)
            if rule is None:
                continue
            finer = self._finer(provision, grantee, box, rule)
            if finer is not None:
                self._held.add(finer)
                rule = replace(rule, terms=0)  # the document's, once they are published
            listed = found.setdefault(grantee, [])
            alike = (rule, provision.index, finer is None)
            if alike not in [(other.rule, other.index, other.finer is None) for other in listed]:
                listed.append(Draft(provision.path, grantee, rule, finer, provision.index))
        for listed in found.values():
            if len(listed) > MOST_RULES:
                path = listed[MOST_RULES].path
                refuse(path, f"takes the rules for one actor beyond {MOST_RULES}", "say it with fewer exceptions")
        return [draft for listed in found.values() for draft in _numbered(listed)]

    def finer_provisions(self) -> tuple[FinerProvision, ...]:
        """Return what the document holds beside these rules; nothing where the words hold all."""
        if not self._held:
            return ()
        found = set(self._held)
        for refusal in self._refusals:
            limits = (*refusal.own_limits, *refusal.own_times)
            self._bounds.update(replace(limit, word="nothing: the document refuses it") for limit in limits)
            rule = self._rule(refusal, refusal.box)
            if rule is not None:
                found |= {_finer(refusal, grantee, rule) for grantee in refusal.grantees}
        for provision in self._lenient:
            self._bounds.update(provision.own_limits)
        return tuple(sorted(found, key=lambda finer: hashing.canonical(finer.to_json())))

    def _finer(self, provision: Provision, grantee: str, box: Box, rule: Rule) -> FinerProvision | None:
        """Return what the document says beside a rule: what limits it further, or refuses a part of it."""
        if _denies(provision):
            return None
        finer = _finer(provision, grantee, rule)
        refused = any(_may_share((grantee,), other.grantees) and other.box.meets(box) for other in self._refusals)
        return finer if refused or finer.any_of or finer.starts or finer.ends else None

    # -- the tree -----------------------------------------------------------------------------------------------

    def _visit(self, provision: Provision, cover: Provision | None) -> None:
        """Take in a provision; `cover` is the permit with rules that covers it."""
        if _denies(provision):
            self._refuse(provision, cover)
            return
        if provision.effect is Effect.PERMIT and cover is None:
            self._add(provision, {grantee: [provision.box] for grantee in provision.grantees})
            cover = provision
        for child in provision.children:
            self._visit(child, cover)

    def _refuse(self, provision: Provision, cover: Provision | None) -> None:
        """Take in a refusal: on chain, in the document, or by leaving it out of the permit around it."""
        exceptions = [child for child in provision.children if child.effect is Effect.PERMIT]
        if cover is not None and not exceptions and _takes_all(provision, cover):
            step = "say in the exception what it is about"
            refuse(provision.path, "refuses all that the provision around it permits", step)
        strangers = self._strangers(provision)
        needs_document = bool(provision.own_limits) and (cover is not None or bool(strangers))
        if needs_document or (provision.any_of and strangers) or (provision.own_limits and exceptions):
            if exceptions:
                step = "write the refusal in codes that a rule word has a bit for"
                refuse(exceptions[0].path, "is an exception to a refusal that no rule word can hold", step)
            self._refusals.append(provision)
        elif all(_can_be_cut_out(child, provision, cover, strangers) for child in exceptions):
            self._bounds.update(_widened(provision))
            left = {}
            for grantee in provision.grantees:
                concerned = [child for child in exceptions if grantee in child.grantees]
                left[grantee] = _without([provision.box], concerned)
            self._add(provision, left)
        else:
            self._leave_out(provision, cover, exceptions, strangers)
            cover = None
        for child in provision.children:
            self._visit(child, cover)

    def _leave_out(
        self, provision: Provision, cover: Provision | None, exceptions: list[Provision], strangers: list[Provision]
    ) -> None:
        """Take a refusal out of the permit around it, so that no rule beats the exceptions."""
        if cover is None or strangers or not _is_part(provision.grantees, cover.grantees):
            step = "write the permits without the refusal, or give the exception the actors and duties around it"
            refuse(exceptions[0].path, "is an exception that a refusal on chain would beat", step)
        left = self._left[cover.path][1]
        for grantee in provision.grantees:
            left[grantee] = _without(left[grantee], [provision], overlapping=True)

    def _strangers(self, provision: Provision) -> list[Provision]:
        """Return the permits that share something with a provision and lie neither around nor in it."""
        return [
            permit
            for permit in self._permits
            if not f"{provision.path}.".startswith(f"{permit.path}.")
            and not f"{permit.path}.".startswith(f"{provision.path}.")
            and _may_share(permit.grantees, provision.grantees)
            and permit.box.meets(provision.box)
        ]

    # -- rules --------------------------------------------------------------------------------------------------

    def _add(self, provision: Provision, left: dict[str, list[Box]]) -> None:
        self._left[provision.path] = (provision, left)

    def _boxes(self) -> Iterator[tuple[Provision, str, Box]]:
        for provision, left in self._left.values():
            for grantee, boxes in left.items():
                yield from ((provision, grantee, box) for box in merge(boxes))

    def _rule(self, provision: Provision, box: Box) -> Rule | None:
        deny = _denies(provision)
        modifiers = ResearchUse.EMPTY if deny else provision.modifiers
        rule = rule_of(box, deny=deny, modifiers=modifiers)
        if rule is None:
            return None
        return replace(
            rule,
            terms=self._terms if provision.terms is None else provision.terms,
            sequence=provision.sequence,
            delegable=provision.delegable,
            break_glass_refused=provision.break_glass_refused,
        )


def _walk(provision: Provision) -> Iterator[Provision]:
    yield provision
    for child in provision.children:
        yield from _walk(child)


def _denies(provision: Provision) -> bool:
    return provision.effect is Effect.DENY


def _finer(provision: Provision, grantee: str, rule: Rule) -> FinerProvision:
    """Return what the document says beside a rule, with the times that are finer than the rule's."""
    starts, ends = provision.starts, provision.ends
    return FinerProvision(
        grantee,
        scope_of(encode(rule)),
        provision.any_of,
        starts if starts and starts > rule.valid_from else None,
        ends if ends and (rule.valid_until is None or ends < rule.valid_until) else None,
    )


def _is_part(some: tuple[str, ...], all_: tuple[str, ...]) -> bool:
    """Whether the rules of some grantees can be narrowed alone: a member of a group is permitted what the group is."""
    return some == all_ or (set(some) <= set(all_) and not any(map(is_group, all_)))


def _may_share(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether an actor may be meant by both; who is in a group changes, so a group may share with anyone."""
    return any(map(is_group, (*some, *others))) or not set(some).isdisjoint(others)


def _can_be_cut_out(permit: Provision, refusal: Provision, cover: Provision | None, strangers: list[Provision]) -> bool:
    """Whether a refusal on chain can leave room for a permit nested in it and decide as the tree does."""
    if permit.grantees != refusal.grantees and any(map(is_group, refusal.grantees)):
        return False  # a refusal for a group beats what a member of it is permitted
    if cover is None:
        return not (permit.own_limits and strangers)
    return not permit.own_limits and _duties(permit) == _duties(cover)


def _widened(refusal: Provision) -> Iterator[Bound]:
    """Yield where a refusal on chain is wider than its text."""
    for limit in (*refusal.own_limits, *refusal.own_times):
        yield replace(limit, document="")
    inherits_times = (refusal.starts or refusal.ends) and not refusal.own_times
    if inherits_times or (refusal.any_of and not refusal.own_limits):
        yield Bound(refusal.path, "the refusal without the finer limits around it")


def _takes_all(refusal: Provision, permit: Provision) -> bool:
    concerns_all = refusal.grantees in ((EVERYONE,), permit.grantees)
    return concerns_all and not refusal.own_limits and not subtract([permit.box], refusal.box)


def _duties(provision: Provision) -> tuple[object, ...]:
    return provision.modifiers, provision.delegable, provision.break_glass_refused, provision.terms


def _without(boxes: list[Box], taken: list[Provision], *, overlapping: bool = False) -> list[Box]:
    for provision in taken:
        boxes = merge(subtract(boxes, provision.box, overlapping=overlapping))
        if len(boxes) > MOST_PIECES:
            step = "say it with fewer exceptions, or with exceptions in fewer fields"
            refuse(provision.path, f"cuts what is around it into more than {MOST_PIECES} pieces", step)
    return boxes


def _numbered(drafts: list[Draft]) -> Iterator[Draft]:
    """Give each rule of a grantee its index: the one that the consent names, else the next that is free."""
    waiting = {draft.index for draft in drafts if draft.index is not None}
    free = iter([number for number in range(MOST_RULES) if number not in waiting])
    for draft in drafts:
        if draft.index in waiting:
            index = draft.index
            waiting.remove(index)
        else:
            index = next(free)
        yield replace(draft, rule=replace(draft.rule, index=index))


# -- the resource ---------------------------------------------------------------------------------------------------


def _check(content: JsonObject) -> None:
    """Refuse what is no active consent to the use of data, and what changes its meaning in ways not known here."""
    kind = text(content, "resourceType")
    if kind != "Consent":
        refuse(kind, "is no Consent", "give an HL7 FHIR R4 Consent")
    _check_modifiers(content, "Consent")
    if "implicitRules" in content:
        refuse("Consent.implicitRules", "names rules that are not known here", "leave it out if they add nothing")
    status = text(content, "status")
    if status != "active":
        step = "give the consent that is in force"
        refuse("Consent.status", _STATUSES.get(status, "is no code of consent-state-codes"), step)
    scopes = {
        text(coding, "code")
        for coding in items(_object(content.get("scope")).get("coding"))
        if text(coding, "system") == vocabulary.CONSENT_SCOPE
    }
    if not scopes or not scopes <= set(_SCOPES):
        refuse("Consent.scope", "is not about the use of data", f"rules are for the scopes {' and '.join(_SCOPES)}")


def _check_modifiers(value: Json, path: str) -> None:
    """Refuse modifier extensions but those of provisions (which the reader knows), and elements without a value."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check_modifiers(item, f"{path}[{number}]")
        return
    for name, item in _object(value).items():
        if name == "modifierExtension" and not _PROVISION.fullmatch(path):
            refuse(f"{path}.modifierExtension", "changes the meaning in a way not known here", "say it without")
        if name.startswith("_") and name[1:] not in _object(value):
            refuse(f"{path}.{name[1:]}", "has no value", "give it a value, or leave it out")
        if name not in ("contained", "text"):
            _check_modifiers(item, f"{path}.{name}")


def _root(content: JsonObject, context: Context, untyped: Effect | None) -> Provision:
    """Read the provision tree, or what the base rule alone says."""
    base = {
        text(coding, "code")
        for coding in items(_object(content.get("policyRule")).get("coding"))
        if text(coding, "system") == vocabulary.ACT_CODE
    }
    element = content.get("provision")
    if isinstance(element, dict):
        _check_size(element)
        root = read(element, "Consent.provision", context, untyped)
        if base & _OPT_IN and root.effect is not Effect.PERMIT:
            context.bounds.add(Bound("Consent.policyRule", "no permit beyond those in the provision"))
        return root
    if not base & _OPT_OUT or base & _OPT_IN:
        step = "add a provision that says to whom and what"
        refuse("Consent.provision", "is missing, and the base rule names terms that the resource lacks", step)
    return Provision("Consent.policyRule", Effect.DENY, (EVERYONE,), EVERYTHING)


def _check_size(element: JsonObject) -> None:
    waiting, count = [element], 0
    while waiting:
        count += 1
        waiting += items(waiting.pop().get("provision"))
    if count > MOST_PROVISIONS:
        refuse("Consent.provision", f"has more than {MOST_PROVISIONS} provisions", "split the consent")


def _salt(content: JsonObject) -> bytes | None:
    for number, extension in enumerate(items(content.get("extension"))):
        if text(extension, "url") == vocabulary.DOCUMENT_SALT:
            value = text(extension, "valueString")
            if not _SALT.fullmatch(value):
                refuse(f"Consent.extension[{number}]", "is no salt", "give 0x and 64 hexadecimal digits")
            return bytes.fromhex(value[2:])
    return None


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
