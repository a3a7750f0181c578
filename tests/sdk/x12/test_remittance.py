"""Responses out of X12 835: every field, the balance, reversals, and every refusal by its segment."""

from __future__ import annotations

from datetime import date
from decimal import Context, Decimal, localcontext

import pytest

from medproof import x12
from medproof.claims import Adjustment, ClaimOutcome, ClaimResponse, Code, Identifier, LineResponse, Money
from medproof.errors import ClaimAmountError, ClaimCodeError, ClaimElementError, ClaimTotalError, InterchangeError
from tests.sdk.x12.interchanges import interchange, remittance

CPT = "http://www.ama-assn.org/go/cpt"
PAID = (
    "CLP*A1*1*100*60*15*12*P-1",
    "NM1*QC*1*ROE*JANE****MI*M0001",
    "SVC*HC:99213*70*45**1",
    "DTM*472*20261103",
    "CAS*CO*45*10",
    "CAS*PR*1*10**2*5",
    "REF*6R*1",
    "SVC*HC:87070*30*15**1",
    "CAS*CO*45*15",
)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def one(source: bytes) -> ClaimResponse:
    (found,) = x12.read_responses(source)
    return found


def test_a_response_is_read_whole() -> None:
    assert one(remittance(PAID, paid="60")) == ClaimResponse(
        claim_number="A1",
        payer_number="P-1",
        outcome=ClaimOutcome.APPROVED,
        payer=Identifier("https://codesystem.x12.org/005010/66#XV", "60054"),
        decided=date(2026, 11, 15),
        charge=usd("100"),
        paid=usd("60"),
        patient_share=usd("15"),
        lines=(
            LineResponse(
                number=1,
                service=(Code(CPT, "99213"),),
                charge=usd("70"),
                paid=usd("45"),
                adjustments=(
                    Adjustment("CO", "45", usd("10")),
                    Adjustment("PR", "1", usd("10")),
                    Adjustment("PR", "2", usd("5")),
                ),
            ),
            LineResponse(
                number=None,
                service=(Code(CPT, "87070"),),
                charge=usd("30"),
                paid=usd("15"),
                adjustments=(Adjustment("CO", "45", usd("15")),),
            ),
        ),
    )


def test_adjustments_of_the_claim_stand_apart_from_those_of_its_lines() -> None:
    line = ("SVC*HC:99213*100*60", "CAS*OA*23*40")
    found = one(remittance(("CLP*A1*2*100*55**12*P-1", "CAS*CO*A2*5", *line), paid="55"))
    assert found.adjustments == (Adjustment("CO", "A2", usd("5")),)
    assert found.lines[0].adjustments == (Adjustment("OA", "23", usd("40")),)


def test_a_reversal_and_its_correction() -> None:
    back = ("CLP*A1*22*-100*-60**12*P-1", "SVC*HC:99213*-100*-60", "CAS*CO*45*-40")
    again = ("CLP*A1*1*100*50**12*P-2", "SVC*HC:99213*100*50", "CAS*CO*45*50")
    first, second = x12.read_responses(remittance(back, again, paid="0", after=["PLB*1234567893*20261231*FB*-10"]))
    assert first.reversal
    assert first.paid == usd("-60")
    assert not second.reversal
    assert second.payer_number == "P-2"


@pytest.mark.parametrize(
    ("segments", "paid", "outcome"),
    [
        (("CLP*A*4*100*0**12", "CAS*CO*50*100"), "0", ClaimOutcome.DENIED),
        (("CLP*A*1*100*0**12", "CAS*CO*50*100"), "0", ClaimOutcome.DENIED),
        (("CLP*A*1*100*0*100*12", "CAS*PR*1*100"), "0", ClaimOutcome.APPROVED),  # all of it within the deductible
        (("CLP*A*2*100*0**12", "CAS*OA*23*100"), "0", ClaimOutcome.APPROVED),  # the first payer has paid it
        (("CLP*A*1*0*0**12",), "0", ClaimOutcome.APPROVED),
        (
            ("CLP*A*1*100*50**12", "SVC*HC:99213*50*50", "SVC*HC:87070*50*0", "CAS*CO*50*50"),
            "50",
            ClaimOutcome.PARTIAL,
        ),
        (
            ("CLP*A*1*100*0**12", "SVC*HC:99213*50*0", "CAS*CO*50*50", "SVC*HC:87070*50*0", "CAS*PI*50*50"),
            "0",
            ClaimOutcome.DENIED,
        ),
    ],
)
def test_the_outcome(segments: tuple[str, ...], paid: str, outcome: ClaimOutcome) -> None:
    assert one(remittance(segments, paid=paid)).outcome is outcome


def test_the_payment_is_what_is_paid_less_what_the_provider_owes() -> None:
    assert one(remittance(PAID, paid="50", after=["PLB*1234567893*20261231*WO:77*12*FB*-2"])).paid == usd("60")
    with pytest.raises(ClaimTotalError, match="BPR02, segment 4, is not what its claims come to, less PLB"):
        one(remittance(PAID, paid="50"))


def test_currency_and_payer_and_day() -> None:
    source = remittance(PAID, paid="60").replace(b"TRN*1*E1*1512345678", b"CUR*PR*CAD")
    assert one(source).paid == Money(Decimal(60), "CAD")
    source = remittance(PAID, paid="60").replace(b"*XV*60054", b"").replace(b"N1*PE*HARBOR", b"REF*2U*999")
    assert one(source).payer == Identifier("https://codesystem.x12.org/005010/128#2U", "999")
    source = remittance(PAID, paid="60").replace(b"*XV*60054", b"").replace(b"DTM*405*20261115", b"DTM*009*20261115")
    assert (one(source).payer, one(source).decided) == (None, None)


def test_an_835_that_pays_nothing_to_nobody_is_whole() -> None:
    assert list(x12.read_responses(remittance(paid="0"))) == []


def test_the_payers_change_of_a_code_leaves_the_billed_one_to_match_by() -> None:
    found = one(remittance(("CLP*A*1*50*50**12", "SVC*HC:99212*50*50**1*HC:99213"), paid="50"))
    assert found.lines[0].service == (Code(CPT, "99212"), Code(CPT, "99213"))


REFUSED = [
    ("CLP*A1*1*", "CLP*A1*7*", ClaimCodeError, "CLP02 in the 1st response, segment 10, is no status"),
    ("CLP*A1*1*", "CLP**1*", ClaimElementError, "CLP01 in the 1st response, segment 10, is missing"),
    ("CLP*A1*1*100*", "CLP*A1*1*101*", ClaimTotalError, "CLP03 in the 1st response, segment 10, is not what its lines"),
    ("CLP*A1*1*100*60*", "CLP*A1*1*100*61*", ClaimTotalError, "CLP04 in the 1st response, segment 10, is not the"),
    ("CLP*A1*1*100*", "CLP*A1*1*-100*", ClaimAmountError, "CLP03 in the 1st response, segment 10, is below zero"),
    ("CLP*A1*1*100*", "CLP*A1*22*100*", ClaimAmountError, "CLP03 in the 1st response, segment 10, is above zero"),
    ("CLP*A1*1*100*60*15", "CLP*A1*1*100*60*-15", ClaimAmountError, "CLP05 in the 1st response, segment 10, is below"),
    ("SVC*HC:99213*70*45", "SVC*HC:99213*70*46", ClaimTotalError, "SVC03 in the 1st response, segment 12, is not the"),
    ("SVC*HC:99213", "SVC*", ClaimElementError, "SVC01 in the 1st response, segment 12, names no service"),
    ("SVC*HC:99213", "SVC*HC>99213", ClaimCodeError, "SVC01 in the 1st response, segment 12, has another component"),
    ("CAS*CO*45*10", "CAS*XX*45*10", ClaimCodeError, "CAS01 in the 1st response, segment 14, is no group"),
    ("CAS*CO*45*10", "CAS*CO**10", ClaimElementError, "CAS02 in the 1st response, segment 14, is missing"),
    ("CAS*CO*45*10", "CAS*CO", ClaimElementError, "CAS02 in the 1st response, segment 14, is missing"),
    ("CAS*CO*45*10", "CAS*CO*45", ClaimElementError, "CAS03 in the 1st response, segment 14, is missing"),
    ("CAS*CO*45*10", "CAS*CO*too long*10", ClaimCodeError, "CAS02 in the 1st response, segment 14, is no claim"),
    ("BPR*I*60*", "BPR*I*59*", ClaimTotalError, "BPR02, segment 4, is not what its claims come to"),
    ("BPR*I*60*", "BPR*I*-60*", ClaimAmountError, "BPR02, segment 4, is below zero"),
    ("BPR*I", "XXX*I", InterchangeError, "An 835 has no BPR"),
    ("N1*PR", "N1*PX", InterchangeError, "An 835 has no N1*PR"),
    ("DTM*405*20261115", "DTM*405*20261315", ClaimElementError, "DTM02, segment 6, is no day"),
]


@pytest.mark.parametrize(("old", "new", "error", "said"), REFUSED)
def test_a_response_is_refused_by_its_segment(old: str, new: str, error: type[ClaimElementError], said: str) -> None:
    source = remittance(PAID, paid="60")
    assert source.count(old.encode()) == 1
    with pytest.raises(error) as raised:
        list(x12.read_responses(source.replace(old.encode(), new.encode())))
    assert str(raised.value).startswith(said), str(raised.value)


def test_two_payments_in_one_interchange_are_balanced_each() -> None:
    assert len(list(x12.read_responses(remittance(PAID, PAID, paid="120")))) == 2
    with pytest.raises(ClaimTotalError):
        list(x12.read_responses(remittance(PAID, PAID, paid="60")))


def test_a_response_does_not_show_its_money_when_printed() -> None:
    assert "60" not in repr(one(remittance(PAID, paid="60"))).replace("60054", "")


def test_an_835_without_a_payment_is_refused() -> None:
    with pytest.raises(InterchangeError, match="An 835 has no BPR"):
        list(x12.read_responses(interchange("835", "TRN*1*E1")))


def test_no_setting_of_the_process_makes_what_does_not_balance_balance() -> None:
    with localcontext(Context(prec=1)):
        assert one(remittance(PAID, paid="60")).paid == usd("60")
        assert one(remittance(PAID, paid="50", after=["PLB*1234567893*20261231*WO:77*12*FB*-2"])).paid == usd("60")
        with pytest.raises(ClaimTotalError):
            one(remittance(PAID, paid="64"))
