"""The hard nullifier of an HL7 Claim: 32 bytes that two bills for one service share, and nobody can guess.

Elements read, in this order (all under the consortium's key):

1. `Claim.patient`: its identifier (`system|value`) where it has one, else its reference as written;
2. `Claim.provider`: likewise;
3. the day the service began: the earliest of `Claim.billablePeriod.start`, `Claim.item.servicedDate` and
   `Claim.item.servicedPeriod.start`, as the calendar day written there (an X12 837 has no more);
4. for each `Claim.item`: the codings of `productOrService` and of every `modifier` (`system|code`), and where
   given the day and the place on the body (`bodySite`, `subSite`); sorted, so that the order of lines does
   not matter, while a line billed twice counts twice;
5. the registered encounter or prescription: `Claim.prescription`, else every `Claim.item.encounter`.

Not read: amounts, diagnoses, payer, claim number, dates of entry. A bill sent again with another amount or to
another payer has the same nullifier. Two claims agree only where they name patient, provider, encounter and
codes alike: where the records do not, pass the names that the consortium has agreed on, and fix one code
system a line by contract, since an added translation of a code is another line here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from medproof.errors import ClaimElementError
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject, encode_parts, keyed_identifier

__all__ = ["CLAIM_NULLIFIER", "claim_nullifier"]

CLAIM_NULLIFIER = "claim-nullifier:v1"
"""The purpose under which `medproof.hashing.keyed_identifier` keys the nullifier."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def claim_nullifier(
    claim: Resource,
    key: bytes,
    *,
    patient: str | None = None,
    provider: str | None = None,
    registered: str | None = None,
) -> bytes:
    """Return the 32-byte hard nullifier of a Claim; the module's head says what it reads.

    Args:
        claim: an HL7 FHIR R4 Claim.
        key: the consortium's key, at least 32 random bytes.
        patient: the consortium's name for the patient, in place of `Claim.patient`.
        provider: the consortium's name for the provider (an NPI, say), in place of `Claim.provider`.
        registered: the id under which the encounter or prescription was registered, in place of the claim's.

    Raises:
        ClaimElementError: not a Claim, or an element that is read is missing or means nothing elsewhere.
        IdentifierError: the key is short, or a name given here is empty.
    """
    if claim.resource_type != "Claim":
        raise ClaimElementError(claim.resource_type, "is no Claim", "give an HL7 FHIR R4 Claim")
    content = claim.content
    return keyed_identifier(
        key,
        _name(content.get("patient"), "Claim.patient", "patient") if patient is None else patient,
        _name(content.get("provider"), "Claim.provider", "provider") if provider is None else provider,
        _service_start(content),
        encode_parts(sorted(_line(item, f"Claim.item[{index}]") for index, item in _items(content))),
        encode_parts(_registered(content)) if registered is None else registered,
        purpose=CLAIM_NULLIFIER,
    )


def _name(element: Json, path: str, option: str) -> str:
    """Return what a Reference names: its identifier, else its reference."""
    element = element if isinstance(element, dict) else {}
    identifier = element.get("identifier")
    if isinstance(identifier, dict) and identifier.get("value") and identifier.get("system"):
        return f"{identifier['system']}|{identifier['value']}"
    reference = element.get("reference")
    step = f"complete the claim, or pass {option}="
    if not isinstance(reference, str):
        raise ClaimElementError(path, "has neither a reference nor an identifier with its system", step)
    if reference.startswith("#"):
        raise ClaimElementError(path, "points inside the claim itself, where another claim differs", step)
    return reference


def _service_start(content: JsonObject) -> str:
    starts = [_start(content.get("billablePeriod"))]
    for _, item in _items(content):
        starts += [item.get("servicedDate"), _start(item.get("servicedPeriod"))]
    days = [start[:10] for start in starts if isinstance(start, str)]
    if not days:
        raise ClaimElementError(
            "Claim.billablePeriod.start",
            "is missing, and so is Claim.item.serviced",
            "add the day of service",
        )
    if not all(_DAY.fullmatch(day) for day in days):
        raise ClaimElementError("Claim.billablePeriod.start", "has no day", "write dates of service in full")
    return min(days)


def _start(period: Json) -> Json:
    return period.get("start") if isinstance(period, dict) else None


def _items(content: JsonObject) -> Iterator[tuple[int, JsonObject]]:
    items = content.get("item")
    if not isinstance(items, list) or not items:
        raise ClaimElementError("Claim.item", "is missing", "bill at least one service or product")
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield index, item


def _line(item: JsonObject, path: str) -> bytes:
    service = _codes(item.get("productOrService"))
    if not service:
        raise ClaimElementError(f"{path}.productOrService", "has no coding with a code", "code what was done or given")
    modifiers = sorted(code for concept in _list(item.get("modifier")) for code in _codes(concept))
    places = [*_codes(item.get("bodySite"))]
    places += sorted(code for concept in _list(item.get("subSite")) for code in _codes(concept))
    day = item.get("servicedDate") or _start(item.get("servicedPeriod"))
    written = day[:10] if isinstance(day, str) else ""
    return encode_parts([encode_parts(service), encode_parts(modifiers), encode_parts(places), written])


def _codes(concept: Json) -> list[str]:
    codings = _list(concept.get("coding") if isinstance(concept, dict) else None)
    named = [coding for coding in codings if isinstance(coding, dict) and coding.get("code")]
    return sorted(f"{coding.get('system', '')}|{coding['code']}" for coding in named)


def _registered(content: JsonObject) -> list[str]:
    if content.get("prescription") is not None:
        return ["prescription", _name(content["prescription"], "Claim.prescription", "registered")]
    named = {
        _name(encounter, f"Claim.item[{index}].encounter", "registered")
        for index, item in _items(content)
        for encounter in _list(item.get("encounter"))
    }
    if not named:
        raise ClaimElementError(
            "Claim.item.encounter",
            "is missing, and so is Claim.prescription",
            "name the registered encounter or prescription, or pass registered=",
        )
    return ["encounter", *sorted(named)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
