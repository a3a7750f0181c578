"""Claims and responses, matched: by number, payer and line; answered, reversed, corrected, or not at all."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from medproof import x12
from medproof.claims import Claim, ClaimOutcome, ClaimResponse, Frequency, Identifier, Money
from medproof.claims.matching import Finding, Match, match
from medproof.claims.response import AnchoredResponse, anchored, commitment
from medproof.errors import SaltError
from tests.sdk.x12.interchanges import claim, professional, remittance

MUTUAL = Identifier("https://codesystem.x12.org/005010/66#PI", "60054")
SALT = bytes(range(32))


def bill(number: str = "A1", total: str = "60", **changes: object) -> Claim:
    """A claim of two lines."""
    lines = ("LX*1", "SV1*HC:99213*40*UN*1***1", "DTP*472*D8*20261103", "LX*2", f"SV1*HC:87070*{int(total) - 40}*UN*1")
    (found,) = x12.read_claims(professional([*claim(number, total), *lines, "DTP*472*D8*20261103"]))
    return replace(found, **changes)  # type: ignore[arg-type]


def answer(number: str = "A1", paid: str = "50", *, payer_number: str = "P-1", charge: str = "60") -> ClaimResponse:
    """A response to it, of the same payer."""
    less = Decimal(charge) - Decimal(paid)
    segments = (
        f"CLP*{number}*1*{charge}*{paid}**12*{payer_number}",
        f"SVC*HC:87070*{int(charge) - 40}*{int(paid) - 40}",
        f"CAS*CO*45*{less}",
        "SVC*HC:99213*40*40",
    )
    (found,) = x12.read_responses(remittance(segments, paid=paid))
    return replace(found, payer=MUTUAL)


def taken_back(response: ClaimResponse) -> ClaimResponse:
    """Its reversal."""
    assert response.charge
    assert response.paid
    charge, paid = (Money(-one.amount, one.currency) for one in (response.charge, response.paid))
    return replace(response, reversal=True, charge=charge, paid=paid, lines=())


def only(matches: tuple[Match, ...]) -> Match:
    (found,) = matches
    return found


def test_a_claim_its_response_and_their_lines() -> None:
    sent, back = bill(), answer()
    found = only(match([sent], [back]))
    assert (found.claim, found.responses, found.standing, found.findings) == (sent, (back,), (back,), ())
    assert [(line.number, response.service[0].code) for line, response in found.lines] == [(2, "87070"), (1, "99213")]


def test_what_is_not_answered_and_what_was_not_billed() -> None:
    first, second = match([bill("A1")], [answer("B1")])
    assert (first.findings, first.responses) == ((Finding.UNANSWERED,), ())
    assert (second.findings, second.claim, len(second.responses)) == ((Finding.UNKNOWN,), None, 1)


def test_two_payments_for_one_claim() -> None:
    found = only(match([bill()], [answer(), answer(payer_number="P-2")]))
    assert found.findings == (Finding.ANSWERED_TWICE,)
    assert len(found.standing) == 2


def test_one_number_billed_twice() -> None:
    first, second = match([bill(), bill()], [answer()])
    assert first.findings == ()
    assert second.findings == (Finding.UNANSWERED, Finding.BILLED_TWICE)


def test_a_payment_taken_back() -> None:
    paid = answer()
    found = only(match([bill()], [paid, taken_back(paid)]))
    assert (found.findings, found.standing) == ((Finding.REVERSED,), ())


def test_a_payment_taken_back_and_corrected() -> None:
    paid, corrected = answer(), answer(paid="45", payer_number="P-2")
    found = only(match([bill()], [paid, taken_back(paid), corrected]))
    assert (found.findings, found.standing) == ((Finding.CORRECTED,), (corrected,))


def test_a_replacement_takes_the_answer_after_the_reversal() -> None:
    paid, corrected = answer(), answer(paid="45", charge="62", payer_number="P-2")
    again = bill(total="62", frequency=Frequency.REPLACEMENT, original="P-1")
    first, second = match([bill(), again], [paid, taken_back(paid), corrected])
    assert (first.findings, first.responses) == ((Finding.REVERSED,), (paid, taken_back(paid)))
    assert (second.findings, second.standing) == ((), (corrected,))


def test_three_bills_of_which_each_replaces_the_one_before() -> None:
    bills = [bill(), *(bill(frequency=Frequency.REPLACEMENT, original=f"P-{n}") for n in (1, 2))]
    paid = [answer(payer_number=f"P-{n}") for n in (1, 2, 3)]
    found = match(bills, [paid[0], taken_back(paid[0]), paid[1], taken_back(paid[1]), paid[2]])
    assert [one.findings for one in found] == [(Finding.REVERSED,), (Finding.REVERSED,), ()]
    assert found[2].standing == (paid[2],)


def test_a_void_is_answered_by_the_reversal() -> None:
    paid = answer()
    first, second = match([bill(), bill(frequency=Frequency.VOID, original="P-1")], [paid, taken_back(paid)])
    assert first.findings == (Finding.REVERSED,)
    assert (second.findings, second.responses) == ((), (taken_back(paid),))


def test_a_reversal_of_nothing_and_one_of_another_amount() -> None:
    paid = answer()
    assert only(match([bill()], [taken_back(paid)])).findings == (Finding.REVERSAL_UNKNOWN,)
    other = replace(taken_back(paid), paid=Money(Decimal(-49), "USD"))
    assert only(match([bill()], [paid, other])).findings == (Finding.REVERSED, Finding.REVERSAL_DIFFERS)
    strange = replace(taken_back(paid), payer_number="P-9")
    assert only(match([bill()], [paid, strange])).findings == (Finding.REVERSAL_UNKNOWN,)


def test_a_reversal_counts_once() -> None:
    paid = answer()
    found = only(match([bill()], [paid, taken_back(paid), taken_back(paid)]))
    assert found.findings == (Finding.REVERSED, Finding.REVERSAL_UNKNOWN)


def test_two_payers_billed_under_one_number() -> None:
    other = Identifier(MUTUAL.system, "77777")
    bills = [bill(), bill(payer=other)]
    secondary, primary = replace(answer(paid="40"), payer=other), answer()
    first, second = match(bills, [secondary, primary])
    assert (first.standing, first.findings) == ((primary,), ())
    assert (second.standing, second.findings) == ((secondary,), ())
    unnamed = [replace(primary, payer=None), replace(secondary, payer=None)]
    assert [one.findings for one in match(bills, unnamed)] == [(), ()]


def test_another_charge_and_other_lines() -> None:
    found = only(match([bill()], [answer(paid="45", charge="61")]))
    assert found.findings == (Finding.CHARGE_DIFFERS,)
    assert len(found.lines) == 2
    strange = answer()
    without = replace(strange, lines=strange.lines[:1])
    assert only(match([bill()], [without])).findings == (Finding.LINES_DIFFER,)
    twice = replace(strange, lines=(*strange.lines, strange.lines[0]))
    assert only(match([bill()], [twice])).findings == (Finding.LINES_DIFFER,)


def test_lines_of_one_service_are_told_apart_by_number_then_charge() -> None:
    lines = [(f"LX*{n}", f"SV1*HC:99213*{n}0*UN*1", "DTP*472*D8*20261103") for n in (1, 2, 3)]
    (sent,) = x12.read_claims(professional([*claim("A1", "60"), *(one for line in lines for one in line)]))
    said = ("CLP*A1*1*60*60**12*P-1", "SVC*HC:99213*30*30", "SVC*HC:99213*10*10", "REF*6R*1", "SVC*HC:99213*20*20")
    (back,) = x12.read_responses(remittance(said, paid="60"))
    found = only(match([sent], [back]))
    assert [line.number for line, _ in found.lines] == [3, 1, 2]


def test_every_response_is_in_one_match_whatever_their_order() -> None:
    bills = [bill(f"A{n}") for n in range(5)] + [bill("A1"), bill("A2", frequency=Frequency.REPLACEMENT, original="P")]
    paid = [answer(f"A{n % 7}", payer_number=f"P-{n}") for n in range(20)]
    responses = paid + [taken_back(one) for one in paid[:9]]
    shuffled = random.Random(7)
    for _ in range(20):
        shuffled.shuffle(responses)
        found = match(bills, responses)
        assert sum(len(one.responses) for one in found if one.claim is None or one.claim.number) >= len(responses)
        assert sorted(id(one) for each in found for one in each.responses) == sorted(map(id, responses))
        assert [one.claim for one in found[: len(bills)]] == bills


def test_nothing_matches_nothing() -> None:
    assert match([], []) == ()


def test_an_anchored_response_is_of_this_response_alone() -> None:
    response = answer()
    kept = anchored(response, SALT)
    assert kept == AnchoredResponse(ClaimOutcome.APPROVED, commitment(response, SALT))
    assert kept.holds(response, SALT)
    assert not kept.holds(response, SALT[::-1])
    assert not kept.holds(replace(response, paid=Money(Decimal("50.00"), "USD")), SALT)
    assert not replace(kept, outcome=ClaimOutcome.DENIED).holds(response, SALT)
    with pytest.raises(SaltError):
        commitment(response, b"")


def test_a_match_does_not_show_amounts_when_printed() -> None:
    assert "Decimal" not in repr(match([bill()], [answer()]))
