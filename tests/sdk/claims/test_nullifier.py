"""The two keys of a claim: equal for one service billed twice, different for two services, refused in doubt."""

from __future__ import annotations

import hmac
import struct
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medproof.claims import Claim, Code, Frequency, Identifier, Money
from medproof.claims.names import CDT, CPT, HCPCS, NDC, NPI, Names
from medproof.claims.nullifier import claim_nullifier, registered_service, soft_key
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimCurrencyError,
    ClaimElementError,
    IdentifierError,
)
from tests.sdk.claims.bills import BILL, BLOOD, DAY, FIRST, SECOND, VISIT, line, usd

KEY = bytes(range(1, 33))
LATER = DAY + timedelta(days=1)


def drug(system: str, code: str) -> Any:
    return replace(BILL, lines=(line(service=Code(system, code), encounter="visit-1"),))


def nullifier(claim: Any = BILL, **options: Any) -> bytes:
    return claim_nullifier(claim, KEY, **options)


def test_nullifier_follows_its_formula() -> None:
    def parts(*items: str | bytes) -> bytes:
        raw = [item.encode() if isinstance(item, str) else item for item in items]
        return struct.pack(">Q", len(raw)) + b"".join(struct.pack(">Q", len(item)) + item for item in raw)

    visit = parts(parts(f"{CPT}|99213"), parts(f"{CPT}|25"), parts(), "2026-03-01")
    blood = parts(parts(f"{CPT}|85025"), parts(), parts(), "2026-03-01")
    message = parts(
        "medproof:keyed:v1",
        "claim-nullifier:v1",
        "urn:members|M-1",
        f"{NPI}|1234567893",
        "2026-03-01",
        parts(*sorted([visit, blood])),
        parts("encounter", "visit-1"),
    )
    assert nullifier() == hmac.digest(KEY, message, "sha256")


def test_soft_key_follows_its_formula() -> None:
    said = ["medproof:keyed:v1", "claim-soft-key:v1", "urn:members|M-1", f"{NPI}|1234567893", "2026-03-01", "165|USD"]
    message = struct.pack(">Q", len(said)) + b"".join(struct.pack(">Q", len(one)) + one.encode() for one in said)
    assert soft_key(BILL, KEY) == hmac.digest(KEY, message, "sha256")


SENT_AGAIN = [
    replace(BILL, number="B-77"),
    replace(BILL, total=usd("999.00")),
    replace(BILL, payer=Identifier("urn:payers", "P-2")),
    replace(BILL, frequency=Frequency.REPLACEMENT, original="A-1"),
    replace(BILL, diagnoses=(Code("icd", "I10"),)),
    replace(BILL, lines=(replace(SECOND, number=1), replace(FIRST, number=2))),
    replace(BILL, lines=(replace(FIRST, charge=usd("1.00"), quantity=Decimal(9)), SECOND)),
    replace(BILL, provider=Identifier(NPI, " 1234 567893\u200b")),
    replace(BILL, provider=Identifier("urn:oid:2.16.840.1.113883.4.6", "1234567893")),
    replace(BILL, patient=Identifier("urn:members", "m-1")),
    replace(BILL, lines=(replace(FIRST, service=(Code(HCPCS, "99213"),)), SECOND)),
    replace(BILL, lines=(replace(FIRST, service=(Code("urn:oid:2.16.840.1.113883.6.12", "99213"),)), SECOND)),
    replace(BILL, lines=(replace(FIRST, service=(Code("http://snomed.info/sct", "185345009"), VISIT)), SECOND)),
    replace(BILL, lines=(replace(FIRST, service=(Code(CPT, "９９２１３"),)), SECOND)),  # noqa: RUF001
    replace(BILL, lines=(replace(FIRST, encounter="visit-1\u00a0"), SECOND)),
    replace(BILL, lines=(replace(FIRST, modifiers=(Code(HCPCS, "25"),)), SECOND)),
]


@pytest.mark.parametrize("resent", SENT_AGAIN)
def test_bill_sent_again_has_the_same_nullifier(resent: Any) -> None:
    assert nullifier(resent) == nullifier()


OTHER_SERVICES = [
    replace(BILL, patient=Identifier("urn:members", "M-2")),
    replace(BILL, patient=Identifier("urn:other-members", "M-1")),
    replace(BILL, provider=Identifier(NPI, "1234567801")),
    replace(BILL, start=LATER),
    replace(BILL, lines=(FIRST,)),
    replace(BILL, lines=(FIRST, SECOND, replace(SECOND, number=3))),
    replace(BILL, lines=(replace(FIRST, modifiers=()), SECOND)),
    replace(BILL, lines=(FIRST, replace(SECOND, modifiers=(Code("", "76"),)))),
    replace(BILL, lines=(replace(FIRST, encounter="visit-2"), SECOND)),
    replace(BILL, lines=(replace(FIRST, places=(Code("", "11"),)), SECOND)),
    replace(BILL, lines=(FIRST, replace(SECOND, modifiers=(Code("", "LT"),)))),
    replace(BILL, lines=(replace(FIRST, modifiers=(Code("urn:modifiers", "25"),)), SECOND)),
    replace(BILL, lines=(FIRST, replace(SECOND, start=LATER))),
    replace(BILL, lines=(FIRST, replace(SECOND, details=(line(3),)))),
    replace(BILL, prescription="visit-1"),
]


@pytest.mark.parametrize("other", OTHER_SERVICES)
def test_another_service_has_another_nullifier(other: Any) -> None:
    assert nullifier(other) != nullifier()


def test_key_and_purpose_are_part_of_both() -> None:
    another = bytes(range(2, 34))
    assert len({nullifier(), claim_nullifier(BILL, another), soft_key(BILL, KEY), soft_key(BILL, another)}) == 4


def test_soft_key_sees_through_what_the_hard_one_does_not() -> None:
    altered = replace(BILL, lines=(replace(FIRST, service=(BLOOD,), modifiers=()), SECOND))
    assert nullifier(altered) != nullifier()
    for same in (altered, replace(BILL, total=usd("165")), replace(BILL, total=None)):
        assert soft_key(same, KEY) == soft_key(BILL, KEY)
    for other in (
        replace(BILL, total=usd("165.01")),
        replace(BILL, start=LATER),
        replace(BILL, total=Money(Decimal(165), "EUR")),
    ):
        assert soft_key(other, KEY) != soft_key(BILL, KEY)


@pytest.mark.parametrize(
    "part",
    [
        replace(BILL, lines=(FIRST,), total=usd("125.00")),
        replace(BILL, lines=(FIRST, SECOND, line(3)), total=usd("290.00")),
    ],
)
def test_what_neither_key_sees(part: Claim) -> None:
    """A part of a bill, or more than it; docs/fraud.md says so. The encounter that it names is the same."""
    assert nullifier(part) != nullifier()
    assert soft_key(part, KEY) != soft_key(BILL, KEY)
    assert registered_service(part) == registered_service(BILL)


def test_names_of_the_consortium_stand_in_for_local_ones() -> None:
    here = Identifier("", "Patient/77")
    names = Names(
        systems={"urn:clinic:codes": CPT}, identifiers={here: BILL.patient, Identifier("", "#1"): BILL.provider}
    )
    first = replace(FIRST, service=(Code("urn:clinic:codes", "99213"),))
    local = replace(BILL, patient=here, provider=Identifier("", "#1"), lines=(first, SECOND))
    assert nullifier(local, names=names) == nullifier(names=names) == nullifier()
    hidden = replace(local, patient=Identifier("", " Patient/77\u200b"))
    assert nullifier(hidden, names=names) == nullifier()
    assert nullifier(replace(BILL, patient=here)) != nullifier(replace(BILL, patient=Identifier("", "patient/77")))


@pytest.mark.parametrize("written", ["12345-0678-09", "12345-678-09", "12345-0678-9", "12345067809"])
def test_a_drug_is_billed_by_its_eleven_digits(written: str) -> None:
    assert nullifier(drug(NDC, written)) == nullifier(drug("urn:oid:2.16.840.1.113883.6.69", "12345067809"))


UNSEEN = st.sampled_from(
    [" ", "\t", "\n", "\u00a0", "\u200b", "\u200d", "\u034f", "\u2060", "\ufe0f", "\u3164", "\u2800", "\U000e0100"]
)


@given(hidden=st.lists(st.tuples(UNSEEN, st.integers(0, 20)), min_size=1, max_size=5), capitals=st.booleans())
def test_nothing_that_nobody_sees_makes_a_bill_look_new(hidden: list[tuple[str, int]], capitals: bool) -> None:
    def spelled(text: str) -> str:
        for one, at in hidden:
            text = text[:at] + one + text[at:]
        return text.upper() if capitals else text.lower()

    first = replace(
        FIRST, service=(Code(CPT, spelled(VISIT.code)),), encounter=spelled("visit-1") if not capitals else "visit-1"
    )
    again = replace(
        BILL,
        patient=Identifier("urn:members", spelled("M-1")),
        provider=Identifier(spelled(NPI) if not capitals else NPI, spelled("1234567893")),
        lines=(SECOND, first),
    )
    assert nullifier(again) == nullifier()
    assert soft_key(again, KEY) == soft_key(BILL, KEY)


def test_letters_of_other_scripts_are_letters() -> None:
    kanji, kana = (replace(BILL, patient=Identifier("urn:members", text)) for text in ("記号-12", "キゴウ-12"))
    assert len({nullifier(kanji), nullifier(kana), nullifier()}) == 3
    composed, apart = (replace(BILL, patient=Identifier("urn:members", text)) for text in ("\u00e9-1", "e\u0301-1"))
    assert nullifier(composed) == nullifier(apart)


def test_consortium_bills_by_systems_of_its_own_first() -> None:
    ours, theirs = Code("urn:tariff", "T1"), Code("urn:local", "L1")
    names = Names(billing=("urn:tariff",))
    plain, more = (replace(BILL, lines=(replace(FIRST, service=codes),)) for codes in ((ours,), (theirs, VISIT, ours)))
    assert nullifier(more, names=names) == nullifier(plain, names=names)
    assert nullifier(more) != nullifier(plain)


def test_letters_of_a_code_tell_its_level() -> None:
    assert nullifier(drug(CPT, "j3301")) == nullifier(drug(HCPCS, "J3301"))
    assert nullifier(drug(CPT, "0001U")) == nullifier(drug(HCPCS, "0001u"))
    assert nullifier(drug(CPT, "J3301")) != nullifier(drug(NDC, "J3301"))


def test_a_dental_service_is_one_under_either_name() -> None:
    """The D codes of HCPCS are those of CDT."""
    assert nullifier(drug(CDT, "D1110")) == nullifier(drug(HCPCS, "d1110")) != nullifier(drug(NDC, "D1110"))


def test_registered_id_stands_in_for_the_claims() -> None:
    bare = replace(BILL, lines=(replace(FIRST, encounter=None), SECOND))
    assert nullifier(bare, registered="0xab") == nullifier(registered="0xab") != nullifier(bare, registered="0xac")


@pytest.mark.parametrize(
    ("claim", "path", "kind"),
    [
        (replace(BILL, patient=Identifier("", "#1")), "Claim.patient", ClaimElementError),
        (replace(BILL, provider=Identifier(NPI, " ")), "Claim.provider", ClaimElementError),
        (replace(BILL, lines=(replace(FIRST, encounter=None), SECOND)), "Claim.lines.encounter", ClaimElementError),
        (replace(BILL, lines=(replace(FIRST, service=()), SECOND)), "Claim.lines[0].service", ClaimCodeError),
        (
            replace(BILL, lines=(FIRST, replace(SECOND, service=(Code(HCPCS, "А0428"),)))),  # noqa: RUF001
            "Claim.lines[1].service",
            ClaimCodeError,
        ),
        (
            replace(BILL, lines=(FIRST, replace(SECOND, modifiers=(Code("", "\u200b"),)))),
            "Claim.lines[1].modifiers",
            ClaimCodeError,
        ),
    ],
)
def test_what_another_claim_cannot_share_is_refused(claim: Any, path: str, kind: type[ClaimElementError]) -> None:
    with pytest.raises(kind) as caught:
        nullifier(claim)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (replace(BILL, total=Money(Decimal(1), "usd")), ClaimCurrencyError),
        (replace(BILL, total=Money(Decimal(1), "XAU")), ClaimCurrencyError),
        (replace(BILL, total=Money(Decimal("NaN"), "USD")), ClaimAmountError),
        (replace(BILL, total=Money(Decimal("1E+999999"), "USD")), ClaimAmountError),
        (replace(BILL, total=None, lines=(replace(FIRST, charge=None), SECOND)), ClaimElementError),
        (
            replace(BILL, total=None, lines=(replace(FIRST, charge=Money(Decimal(1), "EUR")), SECOND)),
            ClaimElementError,
        ),
    ],
)
def test_what_costs_nothing_that_is_money_has_no_soft_key(claim: Any, kind: type[ClaimElementError]) -> None:
    with pytest.raises(kind):
        soft_key(claim, KEY)


def test_no_refusal_tells_of_the_patient() -> None:
    with pytest.raises(ClaimElementError) as caught:
        nullifier(replace(BILL, patient=Identifier("", "#secret-name")))
    assert "secret-name" not in str(caught.value)


def test_short_key_and_empty_id_are_refused() -> None:
    with pytest.raises(IdentifierError, match="at least 32"):
        claim_nullifier(BILL, b"short")
    with pytest.raises(IdentifierError, match="Part 5 of 5 is empty"):
        nullifier(registered="")


def test_days_before_1970_and_far_ahead_are_days() -> None:
    days = {nullifier(replace(BILL, start=day)) for day in (date(1900, 1, 1), date(9999, 12, 31))}
    assert len(days) == 2
