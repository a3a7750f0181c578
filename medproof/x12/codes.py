"""The codes of X12 5010 by which a segment says what it holds, and the code systems and identifiers they stand for."""

from __future__ import annotations

import re
from collections.abc import Container

from medproof.claims.checking import check_amount
from medproof.claims.claim import Code, Identifier, Money
from medproof.claims.currency import smallest_amount
from medproof.claims.names import CDT, HCPCS, NDC, NPI, Names
from medproof.errors import ClaimCodeError
from medproof.x12.segment import Segment, find

__all__ = [
    "REVENUE",
    "currency",
    "diagnosis",
    "identified",
    "identifier",
    "modifiers",
    "money",
    "policy",
    "reference",
    "service",
    "service_type",
]

ICD9 = "http://hl7.org/fhir/sid/icd-9-cm"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
REVENUE = "https://www.nubc.org/CodeSystem/RevenueCodes"

_X12 = "https://codesystem.x12.org/005010"
"""Where HL7's guides find X12's own codes, by the number of their data element (Da Vinci PAS)."""

# Data element 235, as SV101-1, SV202-1, SV301-1 and SVC01-1 use it.
_SERVICES = {
    "AD": CDT,
    "ER": f"{_X12}/235#ER",  # jurisdiction's own
    "HC": HCPCS,  # and CPT, which is its level I
    "HP": "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/ProspMedicareFeeSvcPmtGen/HIPPSCodes",
    "IV": f"{_X12}/235#IV",  # home infusion
    "N4": NDC,
    "NU": REVENUE,
    "WK": f"{_X12}/235#WK",  # complementary medicine
}
# Data element 66, as NM108 and N103 use it; what has no system of its own is called by its qualifier.
_IDENTIFIERS = {
    "24": "urn:oid:2.16.840.1.113883.4.4",  # employer's number
    "34": "http://hl7.org/fhir/sid/us-ssn",
    "FI": "urn:oid:2.16.840.1.113883.4.4",
    "NI": "urn:oid:2.16.840.1.113883.6.300",  # NAIC
    "XX": NPI,
    **{one: f"{_X12}/66#{one}" for one in ("46", "BD", "BS", "EQ", "HN", "II", "MC", "MI", "MR", "PC", "PI", "PP")},
    **{one: f"{_X12}/66#{one}" for one in ("SV", "UP", "XV", "ZZ")},
}
# Data element 1270 in HI: principal and further diagnoses; and what else HI may say, which the model leaves out.
_DIAGNOSES = {"ABF": ICD10, "ABK": ICD10, "BF": ICD9, "BK": ICD9}
_OTHER_HI = frozenset(("ABJ", "ABN", "APR", "BBQ", "BBR", "BE", "BG", "BH", "BI", "BJ", "BN", "BO", "BP", "BQ", "BR"))
_OTHER_HI |= {"CAH", "DR", "LOI", "PR", "TC"}
_NAMES = Names()
_PLAIN = re.compile(r"[0-9A-Za-z]{1,48}", re.ASCII)


def service(segment: Segment, element: int) -> tuple[Code, ...]:
    """The service that a composite such as SV101 names; none where it is not there.

    Raises:
        ClaimCodeError: its qualifier is not known, or the code is none.
        ClaimElementError: one of the two is missing.
    """
    if not segment.text(element) and not segment.text(element, 2):
        return ()
    qualifier, code = _qualified(segment, element, _SERVICES), segment.required(element, 2).upper()
    if not _PLAIN.fullmatch(code.replace("-", "")):
        raise segment.wrong(ClaimCodeError, element, "is no code", "take it from its code system", 2)
    found = Code(_SERVICES[qualifier], code)
    return (_NAMES.code(found, segment.place(element)) if qualifier == "HC" else found,)


def modifiers(segment: Segment, element: int) -> tuple[Code, ...]:
    """The modifiers of a service, in the order written.

    Raises:
        ClaimCodeError: one is none.
    """
    found = []
    for component in range(3, 7):
        if code := segment.text(element, component).upper():
            if not (len(code) == 2 and _PLAIN.fullmatch(code)):
                raise segment.wrong(ClaimCodeError, element, "is no modifier", "give its two characters", component)
            found.append(_NAMES.modifier(Code("", code), segment.place(element, component)))
    return tuple(found)


def diagnosis(segment: Segment, element: int) -> Code | None:
    """The diagnosis that one element of HI names; None where it names something else.

    X12 writes ICD codes without the point, and HL7 with it: it is put back.

    Raises:
        ClaimCodeError: its qualifier is not known, or the code is none.
    """
    qualifier = _qualified(segment, element, _DIAGNOSES.keys() | _OTHER_HI)
    if qualifier not in _DIAGNOSES:
        return None
    code = segment.required(element, 2).upper().replace(".", "")
    if not (_PLAIN.fullmatch(code) and 3 <= len(code) <= 7):
        raise segment.wrong(ClaimCodeError, element, "is no code of ICD", "take it from ICD-9-CM or ICD-10-CM", 2)
    system = _DIAGNOSES[qualifier]
    head = 4 if system == ICD9 and code.startswith("E") else 3
    return Code(system, f"{code[:head]}.{code[head:]}" if code[head:] else code)


def identifier(segment: Segment, qualifier: int) -> Identifier | None:
    """Who is meant: the qualifier (NM108, N103) as its system, and the value behind it; None where neither is there.

    Raises:
        ClaimCodeError: the qualifier is not known.
        ClaimElementError: one of the two is missing.
    """
    if not segment.text(qualifier) and not segment.text(qualifier + 1):
        return None
    return identified(_qualified(segment, qualifier, _IDENTIFIERS), segment.required(qualifier + 1))


def identified(qualifier: str, number: str) -> Identifier:
    """A number with the system that its qualifier (data element 66) stands for; the qualifier is known."""
    return Identifier(_IDENTIFIERS[qualifier], number)


def policy(segment: Segment) -> Identifier | None:
    """The group or policy number of SBR03; None where it is not there."""
    return Identifier(f"{_X12}/128#1L", segment.text(3)) if segment.text(3) else None


def reference(segment: Segment) -> Identifier:
    """What REF names beside NM1: a tax number as such, anything else by its qualifier.

    Raises:
        ClaimElementError: it lacks a part.
    """
    qualifier = segment.required(1)
    system = {"EI": _IDENTIFIERS["FI"], "TJ": _IDENTIFIERS["FI"], "SY": _IDENTIFIERS["34"], "NF": _IDENTIFIERS["NI"]}
    return Identifier(system.get(qualifier, f"{_X12}/128#{qualifier}"), segment.required(2))


def service_type(segment: Segment, code: str) -> Code:
    """A service type of EQ01 (data element 1365).

    Raises:
        ClaimCodeError: it is none.
    """
    if not (_PLAIN.fullmatch(code) and len(code) <= 2):
        raise segment.wrong(ClaimCodeError, 1, "is no service type", "take it from data element 1365")
    return Code(f"{_X12}/1365", code)


def currency(segments: list[Segment]) -> str:
    """The currency that a loop's CUR names, US dollars where there is none, as 5010 has it.

    Raises:
        ClaimCurrencyError: it is not in ISO 4217.
    """
    said = find(segments, "CUR")
    if said is None:
        return "USD"
    code = said.required(2)
    smallest_amount(code, said.place(2))
    return code


def money(segment: Segment, element: int, currency: str, *, negative: bool = False) -> Money:
    """An amount of money.

    Raises:
        ClaimElementError: it is missing.
        ClaimAmountError: it is none, or below zero where it may not be.
    """
    amount = segment.amount(element)
    if not negative:
        check_amount(amount, segment.place(element))
    return Money(amount, currency)


def _qualified(segment: Segment, element: int, known: Container[str]) -> str:
    qualifier = segment.required(element)
    if not _PLAIN.fullmatch(qualifier):
        rule = "has another component separator than ISA16 names"
        raise segment.wrong(ClaimCodeError, element, rule, "write the separator that ISA16 names")
    if qualifier not in known:
        raise segment.wrong(ClaimCodeError, element, "is not known here", "see docs/x12.md")
    return qualifier
