"""Rules in force: a plan decides a claim the same for everybody, to the cent, with a reason for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from medproof import hashing
from medproof.claims import (
    Adjustment,
    Claim,
    ClaimOutcome,
    Code,
    Frequency,
    Identifier,
    Money,
)
from medproof.claims.adjudication import Difference, History, Reason, adjudicate, recompute
from medproof.claims.names import CPT, HCPCS
from medproof.claims.plan import Plan
from medproof.errors import (
    ClaimAmountError,
    ClaimCurrencyError,
    ClaimDateError,
    ClaimElementError,
    ClaimStateError,
    PlanError,
)
from tests.sdk.claims.bills import BILL, BLOOD, DAY, FIRST, SECOND, VISIT, line, usd

SCAN, SPA, UNKNOWN = Code(CPT, "70551"), Code(CPT, "97124"), Code(CPT, "99999")
PLAN = Plan(
    name="Bronze 2026",
    valid_from=date(2026, 1, 1),
    currency="USD",
    fees=((SCAN, Decimal("400.00")), (BLOOD, Decimal("40.00")), (VISIT, Decimal("110.00"))),
    excluded=(SPA,),
    authorisation=(SCAN,),
    deductible=Decimal("100.00"),
    copay=Decimal("20.00"),
    coinsurance=Decimal("0.25"),
    yearly_limit=Decimal("500.00"),
)
FRESH = History(2026)
MET = History(2026, deductible=Decimal("100.00"))


def bill(*lines: Any, **fields: Any) -> Claim:
    return replace(BILL, lines=lines, total=None, **fields)


def reasons(claim: Claim, history: History = MET, plan: Plan = PLAN) -> list[list[tuple[str, str, str]]]:
    response = adjudicate(claim, plan, history)
    return [[(one.group, one.reason, str(one.amount.amount)) for one in each.adjustments] for each in response.lines]


def test_worked_example() -> None:
    response = adjudicate(BILL, PLAN, FRESH, payer_number="7", decided=date(2026, 3, 9))
    visit, blood = response.lines
    assert response.outcome is ClaimOutcome.APPROVED
    assert (response.claim_number, response.payer_number, response.payer) == ("A-1", "7", BILL.payer)
    assert (response.charge, response.paid, response.patient_share) == (usd("165.00"), usd("22.50"), usd("127.50"))
    assert visit.adjustments == (
        Adjustment("CO", "45", usd("15.00")),
        Adjustment("PR", "1", usd("100.00")),
        Adjustment("PR", "3", usd("10.00")),
    )
    assert blood.adjustments == (Adjustment("PR", "3", usd("10.00")), Adjustment("PR", "2", usd("7.50")))
    assert (visit.paid, blood.paid) == (usd("0.00"), usd("22.50"))
    assert recompute(BILL, PLAN, FRESH, response) is None


@pytest.mark.parametrize(
    ("lines", "outcome", "expected"),
    [
        ([line(1, SPA, "90.00")], ClaimOutcome.DENIED, [[("PR", "96", "90.00")]]),
        ([line(1, UNKNOWN, "90.00")], ClaimOutcome.DENIED, [[("PR", "204", "90.00")]]),
        ([line(1, SCAN, "90.00")], ClaimOutcome.DENIED, [[("CO", "197", "90.00")]]),
        (
            [line(1, SPA, "90.00"), line(2, BLOOD, "40.00")],
            ClaimOutcome.PARTIAL,
            [[("PR", "96", "90.00")], [("PR", "3", "20.00"), ("PR", "2", "5.00")]],
        ),
        ([line(1, BLOOD, "0.00")], ClaimOutcome.APPROVED, [[]]),
    ],
)
def test_what_is_refused(lines: Any, outcome: ClaimOutcome, expected: Any) -> None:
    assert adjudicate(bill(*lines), PLAN, MET).outcome is outcome
    assert reasons(bill(*lines)) == expected


def test_authorised_service_is_paid_up_to_the_years_limit() -> None:
    history = replace(MET, paid=Decimal("300.00"), authorised=frozenset([SCAN]))
    claim = bill(line(1, SCAN, "400.00"))
    assert reasons(claim, history) == [[("PR", "3", "20.00"), ("PR", "2", "95.00"), ("PR", "119", "85.00")]]
    response = adjudicate(claim, PLAN, history)
    assert (response.outcome, response.paid) == (ClaimOutcome.PARTIAL, usd("200.00"))
    used = replace(history, paid=Decimal("900.00"))
    assert adjudicate(claim, replace(PLAN, copay=Decimal("0.00"), coinsurance=Decimal(0)), used).outcome is (
        ClaimOutcome.DENIED
    )


def test_fee_counts_for_each_unit_and_never_above_the_charge() -> None:
    free = replace(PLAN, copay=Decimal("0.00"), coinsurance=Decimal(0), deductible=Decimal("0.00"))
    three = line(1, BLOOD, "150.00", quantity=Decimal(3))
    assert reasons(bill(three), plan=free) == [[("CO", "45", "30.00")]]
    assert reasons(bill(replace(three, charge=usd("100.00"))), plan=free) == [[]]
    assert reasons(bill(replace(three, quantity=Decimal("1.5"))), plan=free) == [[("CO", "45", "90.00")]]


def test_code_is_read_as_nullifiers_read_it() -> None:
    odd = line(1, Code(HCPCS, "8 5025"), "40.00")
    assert reasons(bill(odd)) == reasons(bill(line(1, BLOOD, "40.00")))


def test_half_a_cent_goes_up() -> None:
    plan = replace(PLAN, copay=Decimal("0.00"), coinsurance=Decimal("0.1"))
    assert reasons(bill(line(1, BLOOD, "0.25")), plan=plan) == [[("PR", "2", "0.03")]]
    yen = Plan("Yen", DAY, "JPY", ((BLOOD, Decimal(40)),), coinsurance=Decimal("0.1"))
    assert reasons(bill(line(1, BLOOD, charge=Money(Decimal(25), "JPY"))), plan=yen) == [[("PR", "2", "3")]]


def test_order_of_lines_makes_no_difference() -> None:
    forth, back = adjudicate(BILL, PLAN, FRESH), adjudicate(replace(BILL, lines=(SECOND, FIRST)), PLAN, FRESH)
    assert back == replace(forth, lines=forth.lines[::-1])


def test_no_setting_of_the_process_makes_another_decision() -> None:
    expected = adjudicate(BILL, PLAN, FRESH)
    with localcontext(Context(prec=3, rounding=ROUND_DOWN)):
        assert adjudicate(BILL, PLAN, FRESH) == expected
        assert recompute(BILL, PLAN, FRESH, expected) is None


def test_longest_amounts_keep_their_cents() -> None:
    amount, most = Decimal("999999999999999.99"), Decimal("999999999999.99")
    plan = replace(PLAN, fees=((BLOOD, most),), authorisation=(), yearly_limit=None, deductible=Decimal("0.00"))
    huge = line(1, BLOOD, charge=Money(amount, "USD"), quantity=Decimal("999999999999999.9999999999999999"))
    response = adjudicate(bill(huge), plan, FRESH)
    assert response.charge == Money(amount, "USD")
    assert response.paid == Money(Decimal("749999999999984.99"), "USD")


AMOUNTS = st.decimals(min_value=0, max_value=10_000, places=2)


@given(
    charges=st.lists(st.tuples(st.sampled_from([VISIT, BLOOD, SCAN, SPA, UNKNOWN]), AMOUNTS), min_size=1, max_size=6),
    deductible=AMOUNTS,
    copay=AMOUNTS,
    share=st.integers(0, 10_000),
    limit=st.one_of(st.none(), AMOUNTS),
    before=st.tuples(AMOUNTS, AMOUNTS),
    authorised=st.booleans(),
)
def test_every_charge_is_what_was_paid_and_what_was_not(
    charges: Any, deductible: Any, copay: Any, share: int, limit: Any, before: Any, authorised: bool
) -> None:
    plan = replace(PLAN, deductible=deductible, copay=copay, yearly_limit=limit)
    plan = replace(
        plan, coinsurance=Decimal(share).scaleb(-4).normalize() + 0 if share % 10_000 else Decimal(share > 0)
    )
    history = History(2026, *before, frozenset([SCAN] if authorised else []))
    claim = bill(*(line(at, code, charge=Money(amount, "USD")) for at, (code, amount) in enumerate(charges, start=1)))
    response = adjudicate(claim, plan, history)
    for each in response.lines:
        parts = [one.amount.amount for one in each.adjustments]
        assert each.charge is not None
        assert each.paid is not None
        assert each.charge.amount == each.paid.amount + sum(parts)
        assert all(part > 0 for part in parts)
        assert each.paid.amount >= 0
    assert response.charge is not None
    assert response.paid is not None
    assert response.charge.amount == sum(amount for _, amount in charges)
    if limit is not None:
        assert response.paid.amount <= max(limit - before[1], 0)
    assert recompute(claim, plan, history, response) is None


# -- recomputing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda one: replace(one, outcome=ClaimOutcome.DENIED), "outcome"),
        (lambda one: replace(one, paid=usd("22.51")), "paid.amount"),
        (lambda one: replace(one, paid=Money(Decimal("22.50"), "EUR")), "paid.currency"),
        (lambda one: replace(one, patient_share=None), "patient_share"),
        (lambda one: replace(one, lines=one.lines[:1]), "lines"),
        (lambda one: replace(one, lines=(one.lines[0], replace(one.lines[1], adjustments=()))), "lines[1].adjustments"),
        (
            lambda one: replace(one, lines=(replace(one.lines[0], adjustments=one.lines[1].adjustments), one.lines[1])),
            "lines[0].adjustments",
        ),
        (lambda one: replace(one, claim_number="A-2"), "claim_number"),
        (lambda one: replace(one, payer=Identifier("urn:payers", "P-2")), "payer.value"),
        (lambda one: replace(one, reversal=True), "reversal"),
    ],
)
def test_first_difference_is_named(change: Any, path: str) -> None:
    response = adjudicate(BILL, PLAN, FRESH, payer_number="7", decided=DAY)
    found = recompute(BILL, PLAN, FRESH, change(response))
    assert isinstance(found, Difference)
    assert found.path == path
    assert found.computed != found.said
    assert str(found.said) not in repr(found)


def test_how_amounts_are_written_and_when_makes_no_difference() -> None:
    response = adjudicate(BILL, PLAN, FRESH)
    same = replace(response, paid=usd("22.5"), decided=DAY, payer_number="99", payer=None)
    assert recompute(BILL, PLAN, FRESH, same) is None


def test_another_plan_or_history_is_found_out() -> None:
    response = adjudicate(BILL, PLAN, FRESH)
    assert recompute(BILL, replace(PLAN, coinsurance=Decimal("0.3")), FRESH, response) is not None
    assert recompute(BILL, PLAN, MET, response) is not None


# -- history ------------------------------------------------------------------------------------------------------


def test_history_is_of_the_patients_year() -> None:
    decided = [(BILL, adjudicate(BILL, PLAN, FRESH))]
    assert History.before(replace(BILL, number="A-2"), decided) == History(2026, Decimal("100.00"), Decimal("22.50"))
    for other in (
        replace(BILL, patient=Identifier("urn:members", "M-2")),
        replace(BILL, start=date(2027, 1, 1)),
        replace(BILL, total=Money(Decimal(1), "EUR")),
    ):
        assert History.before(other, decided) == History(other.start.year)
    correction = replace(BILL, number="A-3", frequency=Frequency.REPLACEMENT, original="A-1")
    assert History.before(correction, decided) == FRESH


def test_history_takes_back_what_was_reversed() -> None:
    response = adjudicate(BILL, PLAN, FRESH)
    taken = replace(response.lines[0].adjustments[1], amount=usd("-100.00"))
    reversal = replace(response, reversal=True, paid=usd("-22.50"), lines=(), adjustments=(taken,))
    assert History.before(BILL, [(BILL, response), (BILL, reversal)]) == History(2026, Decimal("0.00"), Decimal("0.00"))


def test_reversal_alone_gives_nobody_more_than_the_plan() -> None:
    odd = History(2026, Decimal("-50.00"), Decimal("-50.00"))
    assert adjudicate(BILL, PLAN, odd) == adjudicate(BILL, PLAN, FRESH)


def test_what_was_authorised_is_spelled_as_claims_are() -> None:
    history = History.before(BILL, [], authorised=[Code(HCPCS, "70551 ")])
    assert history.authorised == {SCAN}


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (replace(BILL, frequency=Frequency.VOID, original="A-1"), ClaimStateError),
        (replace(BILL, start=date(2025, 12, 31)), PlanError),
        (bill(replace(FIRST, charge=None)), ClaimAmountError),
        (bill(replace(FIRST, charge=Money(Decimal("10.005"), "USD"))), ClaimAmountError),
        (bill(replace(FIRST, charge=Money(Decimal("-1"), "USD"))), ClaimAmountError),
        (bill(replace(FIRST, charge=Money(Decimal("NaN"), "USD"))), ClaimAmountError),
        (bill(replace(FIRST, charge=Money(Decimal("1E+40"), "USD"))), ClaimAmountError),
        (bill(replace(FIRST, quantity=Decimal("-1"))), ClaimAmountError),
        (bill(replace(FIRST, charge=Money(Decimal("10"), "EUR"))), ClaimCurrencyError),
        (bill(FIRST, replace(SECOND, charge=Money(Decimal("10"), "EUR"))), ClaimCurrencyError),
        (bill(FIRST, replace(SECOND, start=date(2027, 1, 1), end=date(2027, 1, 1))), ClaimDateError),
        (bill(FIRST, replace(SECOND, number=1)), ClaimElementError),
        (replace(BILL, total=usd("1.00")), ClaimElementError),
    ],
)
def test_what_cannot_be_decided_is_refused_by_name(claim: Claim, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        adjudicate(claim, PLAN, FRESH)


def test_history_of_another_year_is_refused() -> None:
    with pytest.raises(PlanError, match="is of 2025"):
        adjudicate(BILL, PLAN, History(2025))


# -- the document -------------------------------------------------------------------------------------------------


def test_plan_reads_as_it_was_written_and_has_one_hash() -> None:
    said = PLAN.to_json()
    assert Plan.from_json(hashing.parse(hashing.canonical(said))) == PLAN
    assert PLAN.hash == keccak(hashing.canonical(said))
    assert replace(PLAN, copay=Decimal("20.01")).hash != PLAN.hash
    assert Plan.from_json(replace(PLAN, yearly_limit=None).to_json()).yearly_limit is None


@pytest.mark.parametrize(("currency", "nothing"), [("USD", "0.00"), ("JPY", "0"), ("KWD", "0.000")])
def test_plan_that_says_nothing_of_the_patients_part_takes_none(currency: str, nothing: str) -> None:
    plan = Plan("All is paid", DAY, currency, ())
    assert (plan.to_json()["deductible"], plan.to_json()["copay"]) == (nothing, nothing)
    assert Plan.from_json(plan.to_json()).hash == plan.hash
    with pytest.raises(PlanError):
        Plan.from_json({**plan.to_json(), "copay": "0.0"})


SAID: Any = PLAN.to_json()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], "$"),
        ({**SAID, "version": 2}, "$"),
        ({**SAID, "more": 1}, "$"),
        ({name: one for name, one in SAID.items() if name != "copay"}, "$"),
        ({**SAID, "name": 7}, "$.name"),
        ({**SAID, "validFrom": "2026-13-01"}, "$.validFrom"),
        ({**SAID, "validFrom": "20260101"}, "$"),
        ({**SAID, "currency": "usd"}, "$.currency"),
        ({**SAID, "copay": 20}, "$.copay"),
        ({**SAID, "copay": "20"}, "$.copay"),
        ({**SAID, "copay": "-20.00"}, "$.copay"),
        ({**SAID, "copay": "2E1"}, "$.copay"),
        ({**SAID, "deductible": "1.000"}, "$.deductible"),
        ({**SAID, "coinsurance": "1.1"}, "$.coinsurance"),
        ({**SAID, "yearlyLimit": "many"}, "$.yearlyLimit"),
        ({**SAID, "fees": {}}, "$.fees"),
        ({**SAID, "fees": SAID["fees"][::-1]}, "$.fees"),
        ({**SAID, "fees": [SAID["fees"][0], SAID["fees"][0]]}, "$.fees"),
        ({**SAID, "fees": [{"system": CPT, "code": "99213"}]}, "$.fees[0].amount"),
        ({**SAID, "fees": [{**SAID["fees"][0], "more": 1}]}, "$"),
        ({**SAID, "excluded": [1]}, "$.excluded"),
        ({**SAID, "excluded": [{"system": CPT, "code": "j1"}]}, "$.excluded[0]"),
        ({**SAID, "excluded": [{"system": HCPCS, "code": "99213"}]}, "$.excluded[0]"),
        ({**SAID, "excluded": [{"system": CPT, "code": ""}]}, "$.excluded[0]"),
    ],
)
def test_plan_in_another_form_is_refused_by_its_place(value: Any, path: str) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_json(value)
    assert caught.value.path == path


def test_reasons_are_codes_of_x12() -> None:
    assert {str(one) for one in Reason} == {"1", "2", "3", "45", "96", "119", "197", "204"}
