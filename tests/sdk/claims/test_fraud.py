"""Both tiers against fraud that is injected into HL7's example claims and made ones, and the ledger's own rules."""

from __future__ import annotations

import contextlib
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest

from medproof import fhir, x12
from medproof.claims import Claim, ClaimKind, Code, Frequency, Identifier
from medproof.claims.fraud import (
    Bill,
    ClaimLedger,
    Finding,
    FraudReport,
    Kind,
    Refusal,
    Review,
    Selection,
    Tally,
    Tier,
    inject,
    turns,
)
from medproof.claims.keyring import Keyring, KeyVersion
from medproof.claims.names import CPT, NPI, Names
from medproof.errors import ClaimElementError, MedProofError
from tests.sdk.archives import X12, needs_synthea, needs_x12, patients
from tests.sdk.claims.bills import BILL, BLOOD, DAY, FIRST, SECOND, line, usd
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples

RING = Keyring(
    (KeyVersion(1, date.min, bytes(range(1, 33))),),
    Names(billing=("http://example.org/fhir/oralservicecodes",)),
)
DRUG = replace(
    BILL,
    kind=ClaimKind.PHARMACY,
    number="R-1",
    prescription="0xabc",
    lines=(line(1, Code("http://hl7.org/fhir/sid/ndc", "12345-0678-09"), "30.00"),),
    total=usd("30.00"),
)
MEMBERS = [Identifier("urn:members", f"M-{number}") for number in range(4)]
CLINICS = [Identifier(NPI, f"12345678{number}") for number in range(10, 13)]
PAYERS = [Identifier("urn:payers", f"P-{number}") for number in range(2)]


def made() -> list[Claim]:
    """Claims of a small clinic: visits with blood counts, and drugs, some alike."""
    claims = []
    for number in range(24):
        day = DAY + timedelta(days=number % 5)
        who = {"patient": MEMBERS[number % 4], "provider": CLINICS[number % 3], "payer": PAYERS[number % 2]}
        base = DRUG if number % 3 == 0 else BILL
        lines = tuple(replace(one, start=day, end=day) for one in base.lines)
        if base is BILL:
            lines = (replace(lines[0], encounter=f"visit-{number}"), *lines[1:])
        else:
            who |= {"prescription": f"drug-{number}"}
        claims.append(replace(base, number=f"N-{number}", start=day, end=day, lines=lines, **who))
    return claims


def hl7() -> list[Claim]:
    """HL7's examples that are bills."""
    claims = []
    for path in sorted(EXAMPLES.glob("Claim-*.json")):
        with contextlib.suppress(ClaimElementError):
            claims.append(fhir.read_claim(fhir.load(path)))
    return claims


def run(selection: Selection, *, seed: int = 5) -> FraudReport:
    report = FraudReport()
    for turn in range(turns()):
        ledger = ClaimLedger(RING)
        for bill in inject(selection.claims, seed=seed, turn=turn, registered=selection.registered):
            report.add(bill, ledger.take(bill))
    return report


def assert_caught(report: FraudReport, count: int) -> None:
    assert report.hard_recall == 1.0
    assert report.hard_false_positives == 0
    assert report.soft_recall == 1.0
    for kind in Kind:
        tally = report.tallies[kind]
        assert tally.bills > 0, kind
        assert tally.confirmed + tally.cleared == tally.flagged
        if kind.tier is Tier.ACCEPTED:
            assert tally.confirmed == 0, kind  # what is legitimate and alike is cleared
    assert report.tallies[Kind.ORIGINAL].bills == turns() * count
    assert report.tallies[Kind.EXACT].bills == count


@pytest.mark.parametrize("seed", range(3))
def test_made_claims(seed: int) -> None:
    selection = Selection.of(made(), RING)
    assert not selection.left_out
    assert not selection.registered
    assert_caught(run(selection, seed=seed), len(made()))


@needs_examples
def test_hl7_examples_with_made_drugs() -> None:
    selection = Selection.of([*hl7(), *(one for one in made() if one.prescription)], RING)
    assert len(selection.claims) == 10 + 8
    assert len(selection.registered) == 8
    assert selection.left_out == {
        "refused as FillsExhausted, since an earlier claim bills it": 1,  # Claim-660152, of Claim-660151's prescription
        "its provider numbered another claim to the payer alike": 1,  # Claim-760151, as Claim-760150
    }
    report = run(selection)
    assert_caught(report, 18)
    assert report.tallies[Kind.OTHER_BOTH].flagged == 0  # which the report says, too


@needs_synthea
def test_synthea() -> None:
    claims = [
        fhir.read_claim(one) for bundle in patients() for one in fhir.records(bundle) if one.resource_type == "Claim"
    ]
    selection = Selection.of(claims, RING)
    assert len(selection.claims) == len(claims) == 642
    report = run(selection)
    assert_caught(report, 642)
    assert report.original_false_positive_rate is not None
    assert report.original_false_positive_rate < 0.03


@needs_x12
def test_x12_samples_with_made_drugs() -> None:
    claims: list[Claim] = []
    with zipfile.ZipFile(X12) as archive:
        for name in archive.namelist():
            if "837" in name:
                with contextlib.suppress(MedProofError):
                    claims += x12.read_claims(archive.read(name))
    assert claims
    selection = Selection.of([*claims, *(one for one in made() if one.prescription)], RING)
    assert_caught(run(selection), len(selection.claims))


def test_what_cannot_be_taken_for_legitimate_is_left_out() -> None:
    claims = [
        BILL,
        replace(BILL, number="A-2"),
        replace(BILL, frequency=Frequency.REPLACEMENT, original="A-1"),
        replace(BILL, patient=Identifier("", "#1")),
        replace(BILL, number="A-5", lines=(SECOND,)),
        replace(BILL, lines=(SECOND, FIRST, replace(SECOND, number=3))),
    ]
    selection = Selection.of(claims, RING)
    assert selection.claims == (BILL, claims[4])
    assert selection.registered == {1: "encounter 1"}
    assert sum(selection.left_out.values()) == 4
    assert any("points inside the claim itself" in why for why in selection.left_out)


def test_bills_repeat_by_seed_and_turn() -> None:
    claims = made()
    assert inject(claims, seed=1) == inject(claims, seed=1)
    assert inject(claims, seed=1) != inject(claims, seed=2)
    assert inject(claims, seed=1) != inject(claims, seed=1, turn=1)


def test_each_claim_comes_before_what_follows_it_and_is_followed_by_every_kind() -> None:
    claims = made()
    followed: Counter[Kind] = Counter()
    for turn in range(turns()):
        bills = inject(claims, seed=3, turn=turn)
        assert sorted(one.claim.number for one in bills if one.kind is Kind.ORIGINAL) == sorted(
            one.number for one in claims
        )
        followed.update(one.kind for one in bills)
    drugs = sum(one.prescription is not None for one in claims)
    for kind in set(Kind) - {Kind.ORIGINAL, Kind.REPLACEMENT, Kind.VOID, Kind.SECOND_FILL, Kind.REPEAT}:
        assert followed[kind] == len(claims)
    assert (followed[Kind.SECOND_FILL], followed[Kind.REPEAT]) == (drugs, len(claims) - drugs)
    assert followed[Kind.REPLACEMENT] == followed[Kind.VOID] == 2 * len(claims)


def test_one_claim_and_none_are_enough() -> None:
    assert_caught(run(Selection.of([DRUG, BILL], RING)), 2)
    assert inject([], seed=1) == []
    empty = FraudReport()
    assert empty.hard_recall is empty.soft_recall is empty.soft_false_positive_rate is None
    assert empty.to_json()["hard"] == {"recall": None, "falsePositives": 0}


# -- the ledger -------------------------------------------------------------------------------------------------------


def take(ledger: ClaimLedger, claim: Claim) -> Finding:
    return ledger.take(Bill(claim, Kind.ORIGINAL))


def correction(claim: Claim, frequency: Frequency, **fields: object) -> Claim:
    return replace(claim, number=f"{claim.number}-c", frequency=frequency, original=claim.number, **fields)  # type: ignore[arg-type]


@pytest.fixture
def ledger() -> ClaimLedger:
    """A ledger with one bill in it."""
    ledger = ClaimLedger(RING)
    assert take(ledger, BILL) == Finding()
    return ledger


def test_void_frees_the_service_once(ledger: ClaimLedger) -> None:
    void = correction(BILL, Frequency.VOID)
    assert take(ledger, void) == Finding()
    assert take(ledger, void).refusal is Refusal.NOT_OPEN
    assert take(ledger, replace(BILL, number="A-9")) == Finding()
    assert take(ledger, BILL).refusal is Refusal.ALREADY_BILLED


def test_replacement_takes_the_service_over(ledger: ClaimLedger) -> None:
    better = correction(BILL, Frequency.REPLACEMENT, total=usd("170.00"))
    assert take(ledger, better) == Finding()
    assert take(ledger, better).refusal is Refusal.NOT_OPEN  # of what it names nothing is open any more
    assert take(ledger, BILL).refusal is Refusal.ALREADY_BILLED
    assert take(ledger, correction(better, Frequency.VOID)) == Finding()
    assert take(ledger, BILL) == Finding()


def test_replacement_with_other_codes_frees_the_first_ones(ledger: ClaimLedger) -> None:
    other = correction(BILL, Frequency.REPLACEMENT, lines=(FIRST, replace(SECOND, service=(Code(CPT, "85027"),))))
    assert take(ledger, other) == Finding()  # and is not alike the claim whose place it takes
    alike = take(ledger, BILL)
    assert (alike.refusal, len(alike.alike), alike.reviews) == (None, 1, (Review.CONFIRMED,))


@pytest.mark.parametrize(
    "claim",
    [
        correction(replace(BILL, number="none"), Frequency.VOID),
        correction(replace(BILL, number="none"), Frequency.REPLACEMENT),
        correction(replace(BILL, provider=CLINICS[0]), Frequency.VOID),
        correction(replace(BILL, payer=PAYERS[0]), Frequency.REPLACEMENT),
        replace(BILL, frequency=Frequency.VOID, original=None),
    ],
)
def test_correction_of_what_is_not_there_or_anothers_is_refused(ledger: ClaimLedger, claim: Claim) -> None:
    assert take(ledger, claim).refusal is Refusal.NOT_OPEN
    assert take(ledger, BILL).refusal is Refusal.ALREADY_BILLED


def test_replacement_that_bills_anothers_service_leaves_all_as_it_was(ledger: ClaimLedger) -> None:
    second = replace(BILL, number="A-2", lines=(replace(FIRST, encounter="visit-2"), SECOND))
    take(ledger, second)
    theft = correction(second, Frequency.REPLACEMENT, lines=BILL.lines)
    assert take(ledger, theft).refusal is Refusal.ALREADY_BILLED
    assert take(ledger, second).refusal is Refusal.ALREADY_BILLED
    assert take(ledger, correction(second, Frequency.VOID)) == Finding()


def test_prescription_has_as_many_fills_as_were_allowed() -> None:
    ledger = ClaimLedger(RING, fills={"0xabc": 2})
    days = [replace(DRUG, number=f"R-{day}", start=DAY + timedelta(days=day)) for day in range(3)]
    assert [take(ledger, one).refusal for one in days] == [None, None, Refusal.FILLS_EXHAUSTED]
    elsewhere = replace(days[2], provider=CLINICS[1], prescription="0xabc\u200b")
    assert take(ledger, elsewhere).refusal is Refusal.FILLS_EXHAUSTED
    assert take(ledger, correction(days[0], Frequency.VOID)) == Finding()
    assert take(ledger, days[2]) == Finding()
    assert take(ledger, correction(days[2], Frequency.REPLACEMENT, total=usd("31.00"))) == Finding()
    assert take(ledger, elsewhere).refusal is Refusal.FILLS_EXHAUSTED


def test_two_that_are_alike_are_reviewed(ledger: ClaimLedger) -> None:
    def with_codes(number: str, encounter: str, *modifiers: str) -> Claim:
        codes = tuple(Code("", one) for one in modifiers)
        lines = tuple(replace(one, modifiers=(*one.modifiers, *codes)) for one in (FIRST, SECOND))
        return replace(BILL, number=number, lines=(replace(lines[0], encounter=encounter), lines[1]))

    assert take(ledger, with_codes("A-2", "visit-2")).reviews == (Review.CLEARED,)  # registered apart
    assert take(ledger, with_codes("A-3", "visit-1", "76")).reviews == (Review.CLEARED, Review.CLEARED)
    altered = replace(with_codes("A-4", "visit-1"), lines=(replace(FIRST, service=(BLOOD,)), SECOND))
    found = take(ledger, altered)
    assert found.alike == (0, 1, 2)
    assert found.reviews == (Review.CONFIRMED, Review.CLEARED, Review.CONFIRMED)
    assert found.confirmed


def test_claim_whose_keys_cannot_be_made_changes_nothing(ledger: ClaimLedger) -> None:
    with pytest.raises(ClaimElementError):
        take(ledger, replace(BILL, number="A-2", lines=(SECOND,)))
    broken = correction(BILL, Frequency.REPLACEMENT, lines=(SECOND,))
    with pytest.raises(ClaimElementError):
        take(ledger, broken)
    assert take(ledger, BILL).refusal is Refusal.ALREADY_BILLED


def test_tallies_add_up() -> None:
    tally = Tally()
    for finding in (
        Finding(),
        Finding(Refusal.ALREADY_BILLED),
        Finding(alike=(1,), reviews=(Review.CLEARED,)),
        Finding(alike=(1, 2), reviews=(Review.CLEARED, Review.CONFIRMED)),
    ):
        tally.add(finding)
    assert tally == Tally(bills=4, refused=1, flagged=2, confirmed=1, cleared=1)
