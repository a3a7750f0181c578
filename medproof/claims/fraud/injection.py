"""Bills made of claims: what defrauds, in the ways that it is done, and what only looks like it.

The same claims, seed and turn give the same bills. In each turn a claim is followed by one kind of bill, and by
another in the next, so that after `turns()` of them every claim was followed by every kind. No kind is made so that it
be found: what is re-keyed is written in every way that this knows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from types import MappingProxyType

from medproof.claims.claim import Claim, Code, Frequency, Identifier, Money, ServiceLine
from medproof.claims.fraud.bill import Bill, Kind
from medproof.claims.names import CPT, HCPCS, NPI
from medproof.claims.nullifier import claim_total

__all__ = ["REPEAT_MODIFIERS", "inject", "turns"]

REPEAT_MODIFIERS = ("76", "77", "59")
"""What makes a repeat legitimate: by the same physician, by another, a distinct service (CPT, appendix A)."""

_HIDDEN = (" ", "\u200b", "\u00a0", "\u034f", "\ufe0f", "\u3164")  # blanks, joiners, a selector, a filler
_FULL_WIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))
_OTHER_SYSTEMS = MappingProxyType(
    {
        CPT: HCPCS,
        NPI: "urn:oid:2.16.840.1.113883.4.6",
        "http://snomed.info/sct": "urn:oid:2.16.840.1.113883.6.96",
        "http://hl7.org/fhir/sid/ndc": "urn:oid:2.16.840.1.113883.6.69",
        "http://hl7.org/fhir/sid/cvx": "urn:oid:2.16.840.1.113883.12.292",
    }
)
_SOON = timedelta(days=9)


def turns() -> int:
    """How many turns it takes until every claim was followed by every kind of bill."""
    return len(_MAKERS)


def inject(
    claims: Sequence[Claim],
    *,
    seed: int,
    turn: int = 0,
    registered: Mapping[int, str] = MappingProxyType({}),
) -> list[Bill]:
    """The bills of one turn: every claim, and after some time, among those of the others, the bill that follows it.

    Args:
        claims: legitimate ones, each once.
        seed: of all chances.
        turn: from 0.
        registered: of claims that name no encounter or prescription, by their index, under what the service stands.
    """
    chance = Random(f"{seed}:{turn}")
    order = list(range(len(claims)))
    Random(seed).shuffle(order)
    makers = list(_MAKERS.values())
    stream: list[tuple[float, int, int, Bill]] = []
    for place, index in enumerate(order):
        claim, under = claims[index], registered.get(index)
        at = chance.random()
        stream.append((at, index, 0, Bill(claim, Kind.ORIGINAL, under)))
        maker = makers[(place + turn) % len(makers)]
        for later, (kind, made) in enumerate(maker(claim, claims, chance), start=1):
            at = chance.uniform(at, 1)
            stream.append((at, index, later, Bill(made, kind, under)))
    return [bill for _, _, _, bill in sorted(stream, key=lambda one: one[:3])]


_Made = Iterator[tuple[Kind, Claim]]
_Maker = Callable[[Claim, Sequence[Claim], Random], _Made]


def _exact(claim: Claim, _: Sequence[Claim], __: Random) -> _Made:
    yield Kind.EXACT, claim


def _rekeyed(claim: Claim, _: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.REKEYED, _written_anew(claim, chance)


def _cross_payer(claim: Claim, claims: Sequence[Claim], chance: Random) -> _Made:
    others = sorted({one.payer for one in claims} - {claim.payer}) or [Identifier("", "another payer")]
    rebilled = replace(_numbered(claim, chance), payer=chance.choice(others))
    yield Kind.CROSS_PAYER, rebilled if chance.random() < 0.5 else _written_anew(rebilled, chance)


def _second_fill(claim: Claim, claims: Sequence[Claim], chance: Random) -> _Made:
    """On another day, in another pharmacy, or both; on the same day in the same one it is a duplicate."""
    if claim.prescription is None:
        return
    again = _numbered(claim, chance)
    pharmacies = sorted({one.provider for one in claims} - {claim.provider}) or [Identifier("", "another pharmacy")]
    which = chance.randrange(3)
    if which != 0:
        again = replace(again, provider=chance.choice(pharmacies))
    if which != 1:
        again = _moved(again, timedelta(days=chance.randrange(1, 90)))
    yield Kind.SECOND_FILL, again


def _other_total(claim: Claim, _: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.OTHER_TOTAL, _raised(_numbered(claim, chance), chance)


def _other_codes(claim: Claim, claims: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.OTHER_CODES, _recoded(_numbered(claim, chance), claims, chance)


def _other_both(claim: Claim, claims: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.OTHER_BOTH, _raised(_recoded(_numbered(claim, chance), claims, chance), chance)


def _replacement(claim: Claim, claims: Sequence[Claim], chance: Random) -> _Made:
    """A correction of the codes or of the amount; then one that corrects the correction."""
    first = _correction(claim, chance, Frequency.REPLACEMENT)
    first = _recoded(first, claims, chance) if chance.random() < 0.5 else _raised(first, chance)
    yield Kind.REPLACEMENT, first
    yield Kind.REPLACEMENT, _correction(_raised(first, chance), chance, Frequency.REPLACEMENT)


def _void(claim: Claim, _: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.VOID, _correction(claim, chance, Frequency.VOID)


def _rebill(claim: Claim, _: Sequence[Claim], chance: Random) -> _Made:
    yield Kind.VOID, _correction(claim, chance, Frequency.VOID)
    yield Kind.REBILL, _numbered(claim, chance)


def _repeat(claim: Claim, _: Sequence[Claim], chance: Random) -> _Made:
    modifier = Code(CPT, chance.choice(REPEAT_MODIFIERS))
    lines = tuple(replace(line, modifiers=(*line.modifiers, modifier)) for line in claim.lines)
    if claim.prescription is None:  # a drug is not given twice by a modifier, but by another fill
        yield Kind.REPEAT, replace(_numbered(claim, chance), lines=lines)


_MAKERS: Mapping[str, _Maker] = MappingProxyType(
    {
        "exact": _exact,
        "re-keyed": _rekeyed,
        "cross-payer": _cross_payer,
        "second fill": _second_fill,
        "other total": _other_total,
        "other codes": _other_codes,
        "other both": _other_both,
        "replacement": _replacement,
        "void": _void,
        "rebill": _rebill,
        "repeat": _repeat,
    }
)


def _numbered(claim: Claim, chance: Random) -> Claim:
    return replace(claim, number=f"{chance.getrandbits(48):012x}")


def _correction(claim: Claim, chance: Random, frequency: Frequency) -> Claim:
    return replace(_numbered(claim, chance), frequency=frequency, original=claim.number)


def _moved(claim: Claim, by: timedelta) -> Claim:
    lines = tuple(replace(line, start=line.start + by, end=line.end + by) for line in claim.lines)
    return replace(claim, start=claim.start + by, end=claim.end + by, lines=lines)


def _raised(claim: Claim, chance: Random) -> Claim:
    total = claim_total(claim)
    more = (total.amount * Decimal(chance.randrange(101, 200)) / 100).quantize(total.amount) + 1
    return replace(claim, total=Money(more, total.currency))


def _recoded(claim: Claim, claims: Sequence[Claim], chance: Random) -> Claim:
    """The first line as a service that others bill, at the same price: a finer one is paid better elsewhere."""
    first, *rest = claim.lines
    start = chance.randrange(len(claims))
    services = (line.service for one in (*claims[start:], *claims[:start]) for line in one.lines)
    other = next((service for service in services if not set(service) & set(first.service)), None)
    service = other or tuple(replace(code, code=f"{code.code}9") for code in first.service)
    return replace(claim, lines=(replace(first, service=service), *rest))


def _written_anew(claim: Claim, chance: Random) -> Claim:
    """The same service as another clerk, or a fraudster, writes it."""
    lines = list(claim.lines)
    chance.shuffle(lines)
    total = claim_total(claim)
    return replace(
        _numbered(claim, chance),
        patient=_spelled(claim.patient, chance),
        provider=_spelled(claim.provider, chance),
        payer=_spelled(claim.payer, chance),
        lines=tuple(_rewritten(line, number, chance) for number, line in enumerate(lines, start=1)),
        total=Money(total.amount + Decimal("0.00"), total.currency),
        diagnoses=claim.diagnoses[::-1],
        coverage=None,
        priority="stat",
    )


def _rewritten(line: ServiceLine, number: int, chance: Random) -> ServiceLine:
    return replace(
        line,
        number=number,
        service=tuple(_respelled(code, chance) for code in chance.sample(line.service, len(line.service))),
        modifiers=tuple(_respelled(code, chance) for code in line.modifiers[::-1]),
        places=tuple(_respelled(code, chance) for code in line.places[::-1]),
        quantity=None if line.quantity is None else line.quantity + 1,
        encounter=None if line.encounter is None else _hidden(line.encounter, chance),
    )


def _respelled(code: Code, chance: Random) -> Code:
    ways = (code.code.lower(), code.code.upper(), code.code.translate(_FULL_WIDTH), _hidden(code.code, chance))
    system = chance.choice((code.system, _OTHER_SYSTEMS.get(code.system, code.system)))
    return Code(system, chance.choice(ways))


def _spelled(identifier: Identifier, chance: Random) -> Identifier:
    system = chance.choice((identifier.system, _OTHER_SYSTEMS.get(identifier.system, identifier.system)))
    value = chance.choice((identifier.value.lower(), identifier.value.upper())) if system else identifier.value
    return Identifier(system, _hidden(value, chance))


def _hidden(text: str, chance: Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(_HIDDEN) + text[at:]
