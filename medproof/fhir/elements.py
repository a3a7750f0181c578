"""Elements that claims, answers to them and coverages share: codes, days, money, and who a reference names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from medproof.claims.claim import Code, Identifier, Money
from medproof.errors import ClaimCodeError, ClaimDateError, ClaimElementError, ClaimStateError
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject

__all__ = [
    "OUTDATED",
    "URI",
    "active",
    "code_of",
    "codes",
    "day",
    "identifier",
    "is_own_policy",
    "items",
    "money",
    "name_of",
    "named_number",
    "number_of",
    "objects",
    "own_number",
    "period",
    "plain",
    "policy_name",
    "serviced",
    "target_of",
    "text_of",
]

URI = "urn:ietf:rfc:3986"
"""The system of an identifier that is a URI (FHIR R4, datatypes, Identifier)."""
OUTDATED = ("old", "temp")
"""Identifier.use of those that nobody is called by any more."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?", re.ASCII | re.DOTALL)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", re.ASCII)
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?identifier=(?P<system>[^|&]+)\|(?P<value>[^|&]+)", re.ASCII)


def objects(value: Json) -> list[JsonObject]:
    """The objects in an array; none where there is no array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def items(content: JsonObject, name: str, path: str) -> Iterator[tuple[str, JsonObject]]:
    """The objects of an element that repeats, each with its path."""
    for index, item in enumerate(objects(content.get(name))):
        yield f"{path}.{name}[{index}]", item


def codes(concept: Json) -> tuple[Code, ...]:
    """The codes of a CodeableConcept, in the order written."""
    codings = objects(concept.get("coding")) if isinstance(concept, dict) else []
    return tuple(Code(str(one.get("system", "")), str(one["code"])) for one in codings if one.get("code"))


def code_of(concept: Json, system: str, known: Sequence[str], path: str) -> str:
    """The one code of a concept that belongs to a closed code system; a code that names no system may be of it.

    Raises:
        ClaimCodeError: it has none, or one that the system does not have.
    """
    found = {one.code for one in codes(concept) if one.system in (system, "")}
    if len(found) == 1 and (code := found.pop()) in known:
        return code
    raise ClaimCodeError(path, f"is no code of {system}", f"give one of {', '.join(known)}")


def active(resource: Resource) -> JsonObject:
    """The content of a resource that counts.

    Raises:
        ClaimStateError: it was cancelled, entered in error or is a draft.
        ClaimElementError: it has a modifier extension, without which it cannot be understood (FHIR R4, extensibility).
    """
    plain(resource.content, resource.resource_type)
    status = resource.content.get("status")
    if status != "active":
        shown = status if status in ("cancelled", "draft", "entered-in-error") else "another code"
        raise ClaimStateError(f"{resource.resource_type}.status", f"is {shown}", "give one that is active")
    return resource.content


def plain(element: JsonObject, path: str) -> None:
    """Make sure that an element says what it says.

    Raises:
        ClaimElementError: it has a modifier extension, which may turn its meaning round.
    """
    for name in ("modifierExtension", "implicitRules"):
        if name in element:
            raise ClaimElementError(f"{path}.{name}", "may change what the rest means", "send it without")


def text_of(value: Json) -> str | None:
    """A string, where there is one."""
    return value if isinstance(value, str) and value.strip() else None


def number_of(value: Json) -> Decimal | None:
    """A number, where there is one, with the digits that it was written with."""
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def money(value: Json, path: str) -> Money | None:
    """An amount, where there is one.

    Raises:
        ClaimElementError: it lacks its value or its currency.
    """
    if not isinstance(value, dict):
        return None
    amount, currency = number_of(value.get("value")), value.get("currency")
    if amount is None or not isinstance(currency, str):
        missing = "value" if amount is None else "currency"
        raise ClaimElementError(f"{path}.{missing}", "is missing", "give every amount with its currency")
    return Money(amount, currency)


def day(value: Json, path: str) -> date | None:
    """The calendar day of a date or dateTime as it is written there, whatever its zone; None where there is none.

    Raises:
        ClaimDateError: a year or a month alone.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ClaimDateError(path, "has no day", "write days of service in full")
    return date.fromisoformat(value[:10])


def period(value: Json, path: str) -> tuple[date, date] | None:
    """The first and last day of a Period, the first alone where it has no end; None where there is none.

    Raises:
        ClaimDateError: it has no start, or ends before it.
    """
    if not isinstance(value, dict):
        return None
    start, end = day(value.get("start"), f"{path}.start"), day(value.get("end"), f"{path}.end")
    if start is None:
        raise ClaimDateError(f"{path}.start", "is missing", "say when the service began")
    if end is not None and end < start:
        raise ClaimDateError(f"{path}.end", "lies before the start", "correct the days of service")
    return start, start if end is None else end


def serviced(content: JsonObject, path: str) -> tuple[date, date] | None:
    """The days of serviced[x]; None where there is none.

    Raises:
        ClaimDateError: as `day` and `period`.
    """
    one = day(content.get("servicedDate"), f"{path}.servicedDate")
    return (one, one) if one is not None else period(content.get("servicedPeriod"), f"{path}.servicedPeriod")


def identifier(value: Json, prefer: Sequence[str] = ()) -> Identifier | None:
    """An Identifier; of several the first of a preferred system, else the first that is still in use.

    Of an array those that lack system or value are passed over.
    """
    found = []
    for one in [value] if isinstance(value, dict) else objects(value):
        system, number = text_of(one.get("system")), text_of(one.get("value"))
        if system is not None and number is not None and one.get("use") not in OUTDATED:
            found.append(Identifier(system, number))
    preferred = (one for wanted in prefer for one in found if one.system == wanted)
    return next(preferred, found[0] if found else None)


def target_of(resource: Resource, reference: Json) -> Resource | None:
    """The resource that a Reference leads to, contained or in the same bundle."""
    literal = text_of(reference.get("reference")) if isinstance(reference, dict) else None
    return resource.resolve(literal) if literal else None


def name_of(
    resource: Resource, reference: Json, path: str, *, step: str, prefer: Sequence[str] = (), named: bool = False
) -> Identifier:
    """Who or what a Reference names, in the form that says most elsewhere.

    That is: the reference's own identifier, or the one that a conditional reference searches by; else one of the
    resource that it leads to; else the reference itself, an absolute one as the URI that it is, a relative one without
    a system, since it means something on one server only.

    Args:
        resource: what has the reference.
        reference: a Reference.
        path: of it.
        step: what to do where it names nobody.
        prefer: systems of identifiers to take before others, the best first.
        named: whether its display will do where it has nothing else.

    Raises:
        ClaimElementError: it names nobody outside of its own resource.
    """
    said = reference if isinstance(reference, dict) else {}
    own = identifier(said.get("identifier"))
    if own is not None:
        return own
    literal = text_of(said.get("reference"))
    if literal is None:
        shown = text_of(said.get("display"))
        if named and shown is not None:
            return Identifier("", shown)
        raise ClaimElementError(path, "has neither a reference nor an identifier with its system", step)
    searched = _CONDITIONAL.fullmatch(literal)
    if searched is not None:
        return Identifier(searched["system"], searched["value"])
    target = resource.resolve(literal)
    found = identifier(target.content.get("identifier"), prefer) if target else None
    if found is not None:
        return found
    if literal.startswith("#"):
        raise ClaimElementError(path, "leads into its own resource, to somebody without an identifier", step)
    literal = (target and target.full_url) or literal.partition("/_history/")[0]
    return Identifier(URI if _ABSOLUTE.fullmatch(literal) else "", literal)


def own_number(resource: Resource) -> str:
    """The number of a resource: its first identifier that is in use, else its id.

    Raises:
        ClaimElementError: it has neither.
    """
    root = resource.resource_type
    for one in objects(resource.content.get("identifier")):
        number = text_of(one.get("value"))
        if number is not None and one.get("use") not in OUTDATED:
            return number
    if resource.id is None:
        raise ClaimElementError(f"{root}.identifier", f"is missing, and so is {root}.id", "number it")
    return resource.id


def named_number(resource: Resource, reference: Json, path: str) -> str:
    """The number of what a Reference names: its identifier, else that of the resource at hand, else the id in it.

    Raises:
        ClaimElementError: it names nothing.
    """
    said = reference if isinstance(reference, dict) else {}
    own = said.get("identifier")
    number = text_of(own.get("value")) if isinstance(own, dict) else None
    if number is not None:
        return number
    target, literal = target_of(resource, reference), text_of(said.get("reference"))
    if target is not None:
        return own_number(target)
    if literal is None or literal.startswith("#"):
        raise ClaimElementError(path, "names nothing", "name it by its identifier or a reference")
    return re.split("[/:]", literal.partition("/_history/")[0])[-1]


def policy_name(resource: Resource, insurance: JsonObject, path: str, *, prefer: Sequence[str]) -> Identifier | None:
    """The policy that an `insurance` element names; None where it only describes one."""
    reference = insurance.get("coverage")
    if not isinstance(reference, dict) or not reference.keys() & {"identifier", "reference"}:
        return None
    coverage = target_of(resource, reference)
    if coverage is not None:
        return identifier(coverage.content.get("identifier"), prefer)
    return name_of(resource, reference, path, step="name the policy", prefer=prefer)


def is_own_policy(coverage: JsonObject) -> bool:
    """Whether a Coverage is held by whom it insures."""
    own = any(code.code == "self" for code in codes(coverage.get("relationship")))
    return own or coverage.get("subscriber") == coverage.get("beneficiary")
