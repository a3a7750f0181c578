"""The names that consents and rules are exchanged in: code systems, roles, extensions, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from medproof.errors import ConsentNotCompilableError
from medproof.hashing import Json, JsonObject

CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
LOINC = "http://loinc.org"

SENSITIVITY = "urn:medproof:sensitivity"  # system of NONE_LABELLED, which HL7 has no code for
GRANTEE = "urn:medproof:grantee"  # system of an identifier whose value is a grantee's address

RECIPIENTS = frozenset({"PRCP", "IRCP"})  # v3 ParticipationType: (primary) information recipient
CUSTODIAN = "CST"
AUTHOR = "AUT"

# Confidentiality from the lowest up: a provision about one level is about all below it, too.
CONFIDENTIALITY_LEVELS = ("U", "L", "M", "N", "R", "V")

# What FHIR has no element for. These make a provision narrower, so that who does not know them must not read on:
# they are modifier extensions of a provision.
EXTENSION = "urn:medproof:consent:"
CARE_SETTING = f"{EXTENSION}care-setting"  # valueCoding, repeats: where the care took place
PARTY_KIND = f"{EXTENSION}party-kind"  # valueCoding, repeats: kinds of party admitted
EXACT_CODES = f"{EXTENSION}exact-codes"  # valueBoolean: the codes stand for themselves, not for narrower ones
ANY_OF = f"{EXTENSION}any-of"  # of its extensions (url "tag", valueString), a record must carry one
MODIFIERS = frozenset({CARE_SETTING, PARTY_KIND, EXACT_CODES, ANY_OF})
# These are extensions of a provision.
DELEGABLE = f"{EXTENSION}delegable"  # valueBoolean: the grantee may pass the permission on
BREAK_GLASS_REFUSED = f"{EXTENSION}break-glass-refused"  # valueBoolean
TERMS = f"{EXTENSION}terms"  # valueInteger: number of the terms on chain
INDEX = f"{EXTENSION}index"  # valueInteger: number of the rule among those of its pair
SEQUENCE = f"{EXTENSION}sequence"  # valueInteger: counts the changes of the rule
# This is an extension of the Consent.
DOCUMENT_SALT = f"{EXTENSION}document-salt"  # valueString: salt of the policy document, 0x and 64 digits

_FHIR_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII
)


def refuse(path: str, rule: str, step: str) -> NoReturn:
    """Refuse an element: why, and what to do."""
    raise ConsentNotCompilableError(path, rule, step)


def stretch(text: str, path: str) -> tuple[datetime, datetime]:
    """Return the moments that a FHIR dateTime stands for: the first, and the first after it.

    A date without a time has no zone in FHIR and is read as UTC.
    """
    found = _FHIR_TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second, fraction, zone = found.groups()
        if hour is None:
            first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
            return first, _next(first, month, day)
        whole = f"{year}-{month}-{day}T{hour}:{minute}:{second}{'+00:00' if zone == 'Z' else zone}"
        first = datetime.fromisoformat(whole).astimezone(UTC)
        if fraction is None:
            return first, first + timedelta(seconds=1)
        first += timedelta(microseconds=int(fraction.ljust(6, "0")))
        return first, first + timedelta(microseconds=1)
    except (ValueError, OverflowError):
        step = "give a day or time of the years 1 to 9998, to the microsecond at most"
        refuse(path, "is no FHIR dateTime that can be counted", step)


def _next(first: datetime, month: str | None, day: str | None) -> datetime:
    if day is not None:
        return first + timedelta(days=1)
    if month is not None:
        return (first + timedelta(days=32)).replace(day=1)
    return first.replace(year=first.year + 1)


def items(value: Json) -> list[JsonObject]:
    """Return the objects of an array that may be missing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Json, key: str) -> str:
    """Return a text below a key, empty where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
