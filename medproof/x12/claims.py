"""Claims out of X12 837: professional (005010X222), institutional (005010X223) and dental (005010X224).

docs/claims.md says which segment each field comes from. A claim is read whole or refused: its lines have to come to its
total (CLM02), and a correction (CLM05-3) has to name what it corrects (REF*F8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from medproof.claims.checking import adds_up
from medproof.claims.claim import Claim, ClaimKind, Code, Frequency, Identifier, ServiceLine
from medproof.claims.names import NDC
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimDateError,
    ClaimLineError,
    ClaimTotalError,
    InterchangeError,
)
from medproof.x12 import codes
from medproof.x12.hierarchy import dependent
from medproof.x12.interchange import Kind, Transaction, ordinal
from medproof.x12.segment import MOST, MOST_ABOVE, Segment, before, find, find_all, loops, put

__all__ = ["CLAIM_KINDS", "claims_of"]

CLAIM_KINDS = {
    Kind.PROFESSIONAL: ClaimKind.PROFESSIONAL,
    Kind.INSTITUTIONAL: ClaimKind.INSTITUTIONAL,
    Kind.DENTAL: ClaimKind.ORAL,
}

_SERVICE = {ClaimKind.PROFESSIONAL: "SV1", ClaimKind.INSTITUTIONAL: "SV2", ClaimKind.ORAL: "SV3"}
# Where the charge, the unit and the quantity stand in each; SV3 counts procedures and has no unit.
_CHARGE = {"SV1": 2, "SV2": 3, "SV3": 2}
_UNIT = {"SV1": 3, "SV2": 4}
_QUANTITY = {"SV1": 4, "SV2": 5, "SV3": 6}
_TOOTH = "http://terminology.hl7.org/CodeSystem/ADAUniversalToothDesignationSystem"
_SURFACE = "http://terminology.hl7.org/CodeSystem/FDI-surface"
_ORIGINALS = ("7", "8")


@dataclass(slots=True)
class _Levels:
    """What stands above a claim, and the claim, while the file goes by."""

    provider: list[Segment] = field(default_factory=list)  # 2000A
    subscriber: list[Segment] = field(default_factory=list)  # 2000B
    patient: list[Segment] = field(default_factory=list)  # 2000C, where the patient is another than the subscriber
    claim: list[Segment] = field(default_factory=list)  # 2300, with its lines
    open: list[Segment] = field(default_factory=list)  # the one of these that grows


def claims_of(transaction: Transaction, *, already: int = 0) -> Iterator[Claim]:
    """The claims of an 837, in the order written; `already` is how many came before it in the file.

    Raises:
        ClaimElementError: a claim cannot be read whole; the message names the segment, and no value of the patient.
        InterchangeError: as `medproof.x12.interchange.read_transactions`.
    """
    kind = CLAIM_KINDS[transaction.kind]
    count = already
    levels = _Levels()
    for segment in transaction.segments:
        if segment.id in ("HL", "CLM") and levels.claim:
            yield _claim(kind, levels)
            levels.claim = []
        if segment.id == "HL":
            _descend(levels, segment)
        elif segment.id == "CLM":
            count += 1
            segment.within = f"in the {ordinal(count)} claim"
            if not levels.subscriber:
                raise segment.wrong(InterchangeError, 0, "stands under no subscriber", "put it below HL03 = 22 or 23")
            levels.open = levels.claim
        elif levels.claim:
            segment.within = f"in the {ordinal(count)} claim"
        put(levels.open, segment, MOST if levels.open is levels.claim else MOST_ABOVE)
    if levels.claim:
        yield _claim(kind, levels)
    if count == already:
        raise InterchangeError(f"An {transaction.kind}", "holds no claim", "give one that has CLM")


def _descend(levels: _Levels, level: Segment) -> None:
    """Begin a level of the hierarchy: provider (20), subscriber (22) or patient (23)."""
    code, above = level.text(3), level.text(2)
    parent = {"22": levels.provider, "23": levels.subscriber}.get(code)
    if code not in ("20", "22", "23"):
        raise level.wrong(InterchangeError, 3, "is no level of an 837", "give 20, 22 or 23")
    if (parent is None) == bool(above) or (parent is not None and (not parent or parent[0].text(1) != above)):
        raise level.wrong(InterchangeError, 2, "does not name the level above", "put each level below its own")
    levels.open = [level]
    levels.patient = []
    if code == "23":
        levels.patient = levels.open
        return
    levels.subscriber = []
    if code == "22":
        levels.subscriber = levels.open
    else:
        levels.provider = levels.open


def _claim(kind: ClaimKind, levels: _Levels) -> Claim:
    bill = levels.claim[0]
    place = bill.within
    for one in (*levels.provider, *levels.subscriber, *levels.patient):
        one.within = place
    header = before(levels.claim, "NM1", "SBR", "LX")
    currency = codes.currency(levels.provider)
    period = _period(header)
    lines = tuple(_line(kind, segments, currency, period) for segments in loops(levels.claim, "LX"))
    _check_numbers(levels.claim)
    if not lines:
        raise bill.refusal(0, "has no service line", "bill at least one service")
    total = codes.money(bill, 2, currency)
    if not adds_up([line.charge for line in lines], total):
        raise bill.wrong(ClaimTotalError, 2, "is not what its lines come to", "correct the total or the lines")
    frequency, original = _frequency(bill, header)
    member = _member(levels)
    insured = find(levels.subscriber, "SBR")
    return Claim(
        kind=kind,
        number=bill.required(1),
        frequency=frequency,
        patient=dependent(levels.patient, "QC", member) if levels.patient else member,
        provider=_named(levels.provider, "85", bill),
        payer=_named(levels.subscriber, "PR", bill),
        start=min(line.start for line in lines),
        end=max(line.end for line in lines),
        lines=lines,
        total=total,
        original=original,
        subscriber=member if levels.patient else None,
        diagnoses=_diagnoses(header),
        prescription=_prescription(levels.claim),
        coverage=codes.policy(insured) if insured else None,
    )


def _frequency(bill: Segment, header: list[Segment]) -> tuple[Frequency, str | None]:
    """Whether the claim corrects one, and which."""
    code = bill.required(5, 3)
    if code not in tuple(Frequency):
        known = f"is {code}" if len(code) == 1 else "is no code"
        rule = f"{known}, and claims are original (1), replacements (7) or voids (8)"
        raise bill.wrong(ClaimCodeError, 5, rule, "bill once, and correct by 7 or 8", 3)
    corrected = find(header, "REF", "F8")
    if code in _ORIGINALS and corrected is None:
        raise bill.refusal(5, f"is {code}, and no REF*F8 says what it corrects", "name the payer's claim number", 3)
    if corrected is not None and code not in _ORIGINALS:
        raise corrected.refusal(1, "names a claim to correct, and CLM05-3 is 1", "give 7 or 8, or leave it out")
    return Frequency(code), corrected.required(2) if corrected else None


def _named(segments: list[Segment], role: str, bill: Segment) -> Identifier:
    """Who has a role: by NM109, else by the tax number in the REF below."""
    name = find(segments, "NM1", role)
    if name is None:
        raise bill.refusal(0, f"has no NM1*{role} above it", "complete the levels above")
    if said := codes.identifier(name, 8):
        return said
    below = before(segments[segments.index(name) + 1 :], "NM1")
    for reference in find_all(below, "REF", "EI", "SY", "2U", "NF"):
        return codes.reference(reference)
    raise name.refusal(9, "is missing, and no REF below stands for it", "say who it is by a number")


def _member(levels: _Levels) -> Identifier:
    """The insured, by the member number, else by what REF gives in its place."""
    return _named(before(levels.subscriber, "CLM"), "IL", levels.claim[0])


def _period(header: list[Segment]) -> tuple[date, date] | None:
    """The days that a bill covers: DTP*434 of an institution, DTP*472 of a dentist."""
    said = find(header, "DTP", "434", "472")
    return said.period(2, 3) if said else None


def _diagnoses(header: list[Segment]) -> tuple[Code, ...]:
    found = [
        code
        for segment in find_all(header, "HI")
        for element in range(1, len(segment.elements) + 1)
        if segment.text(element) and (code := codes.diagnosis(segment, element))
    ]
    return tuple(dict.fromkeys(found))


def _prescription(claim: list[Segment]) -> str | None:
    """The one prescription that all its lines name; where they name several, none is the claim's."""
    named = {one.required(2) for one in find_all(claim, "REF", "XZ")}
    return named.pop() if len(named) == 1 else None


def _check_numbers(claim: list[Segment]) -> None:
    for expected, segment in enumerate(find_all(claim, "LX"), start=1):
        if segment.whole(1) != expected:
            raise segment.wrong(ClaimLineError, 1, "does not count on from the line before", "number lines from 1")


def _line(kind: ClaimKind, segments: list[Segment], currency: str, period: tuple[date, date] | None) -> ServiceLine:
    name = _SERVICE[kind]
    said = find(segments, name)
    if said is None:
        raise segments[0].refusal(0, f"has no {name}", f"bill a service of an {kind} claim")
    day = find(segments, "DTP", "472")
    days = day.period(2, 3) if day else period
    if days is None:
        rule = "has no day of service (DTP*472)"
        raise segments[0].wrong(ClaimDateError, 0, rule, "say when the service was given")
    if day and period and not period[0] <= days[0] <= days[1] <= period[1]:
        raise day.wrong(ClaimDateError, 3, "lies outside the claim's own days", "correct one of them")
    unit, quantity = _quantity(said)
    return ServiceLine(
        number=segments[0].whole(1),
        service=(*_service(said), *_drug(segments)),
        start=days[0],
        end=days[1],
        modifiers=codes.modifiers(said, 2 if name == "SV2" else 1),
        places=_places(segments) if kind is ClaimKind.ORAL else (),
        quantity=quantity,
        unit=unit,
        charge=codes.money(said, _CHARGE[name], currency),
    )


def _service(said: Segment) -> tuple[Code, ...]:
    """The procedure; of an institution's line without one, the revenue code."""
    if said.id != "SV2":
        found = codes.service(said, 1)
    else:
        found = codes.service(said, 2) or (Code(codes.REVENUE, said.required(1)),)
    if not found:
        raise said.refusal(1, "names no service", "code what was done or given")
    return found


def _quantity(said: Segment) -> tuple[str | None, Decimal | None]:
    element = _QUANTITY[said.id]
    if not said.text(element):
        return None, None
    quantity = said.amount(element)
    if quantity < 0:
        raise said.wrong(ClaimAmountError, element, "is below zero", "say how much was given")
    return (said.text(_UNIT[said.id]) or None if said.id in _UNIT else None), quantity


def _drug(segments: list[Segment]) -> tuple[Code, ...]:
    """The drug of a line by its NDC (LIN), which is a translation of its procedure."""
    return tuple(Code(NDC, one.required(3)) for one in find_all(segments, "LIN") if one.text(2) == "N4")


def _places(segments: list[Segment]) -> tuple[Code, ...]:
    """Tooth and surfaces of a dental line (TOO)."""
    places = []
    for tooth in find_all(segments, "TOO", "JP"):
        places.append(Code(_TOOTH, tooth.required(2)))
        places += [Code(_SURFACE, one) for one in tooth.components(3) if one]
    return tuple(places)
