"""A Consent's provision tree, read into boxes: what each provision is about, with all that is around it.

A provision lies inside the provision around it: it can only be about less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from medproof.fhir.consent.boxes import EVERYTHING, Box
from medproof.fhir.consent.limits import Bound, Context, Effect, Limits, is_group
from medproof.fhir.consent.vocabulary import items, refuse, text
from medproof.hashing import JsonObject
from medproof.policy.codes import ResearchUse
from medproof.policy.document import EVERYONE

__all__ = ["Provision", "read"]

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


def read(element: JsonObject, path: str, context: Context, untyped: Effect | None = None) -> Provision:
    """Read the root provision and all below it; `untyped` is what it does where nothing in it tells.

    Raises:
        ConsentNotCompilableError: an element that no rule and no document can hold.
    """
    return _read(element, path, Provision("", Effect.FRAME), _root_effect(element, path, untyped), context)


def _read(element: JsonObject, path: str, around: Provision, effect: Effect, context: Context) -> Provision:
    own = Limits(element, path, effect, context)
    base = around.reach if effect is Effect.DENY and around.effect is Effect.FRAME else around.box
    box = own.box(closed=effect is Effect.DENY) & base
    reach = own.box(closed=True) & around.reach if effect is Effect.FRAME else box
    if box.empty:
        refuse(path, "lies outside the provision around it and would never apply", "move it out, or widen that one")
    provision = Provision(
        path=path,
        effect=effect,
        grantees=_narrowed(own.grantees, around.grantees, path),
        box=box,
        reach=reach,
        any_of=tuple(sorted({*around.any_of, *own.groups})),
        starts=max(filter(None, (own.starts, around.starts)), default=None),
        ends=min(filter(None, (own.ends, around.ends)), default=None),
        own_limits=tuple(own.limits),
        own_times=tuple(own.times),
        modifiers=own.modifiers | around.modifiers,
        delegable=own.delegable,
        break_glass_refused=own.break_glass_refused or around.break_glass_refused,
        terms=around.terms if own.terms is None else own.terms,
        index=own.index,
        sequence=1 if own.sequence is None else own.sequence,
    )
    children = []
    for number, child in enumerate(items(element.get("provision"))):
        inner = f"{path}.provision[{number}]"
        children.append(_read(child, inner, provision, _nested_effect(child, inner, effect), context))
    return replace(provision, children=tuple(children))


def _narrowed(own: tuple[str, ...], around: tuple[str, ...], path: str) -> tuple[str, ...]:
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
        step = "give it a type, or say permit or deny (root; --root) after reading the consent's text"
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
