"""reviewOpening and openingOf: what a subject says of an opening, once and for good."""

from __future__ import annotations

import pytest
from brownie.exceptions import VirtualMachineError

from medproof import messages
from medproof.messages import Domain
from tests.support.fixtures import SALTED
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.conftest import DIRECT, SIGNED
from tests.unit.ConsentRegistry.rule_words import VIEW

pytestmark = pytest.mark.usefixtures("parties", "opening")

NONE, ACKNOWLEDGED, DISPUTED = range(3)
OTHER = b"\x99" * 32


@pytest.fixture
def opening(break_glass):
    """The emergency department has opened the patient's record once."""
    return break_glass(minutes=10)


@pytest.fixture(params=[DIRECT, SIGNED])
def review(request, consent_registry, patient, reviewed):
    """Review an opening of the patient's record, either way."""

    def direct(number, answer, *, by=patient, remark=SALTED):
        return consent_registry.reviewOpening(patient, number, answer, remark, 0, b"", {"from": by})

    return direct if request.param == DIRECT else reviewed


@pytest.mark.spec("B15")
@pytest.mark.parametrize("answer", [ACKNOWLEDGED, DISPUTED])
def test_review_is_kept_and_announced(consent_registry, review, patient, answer):
    before = tuple(consent_registry.openingOf(patient, 1))

    tx = review(1, answer)

    assert tuple(consent_registry.openingOf(patient, 1)) == (*before[:4], answer)
    assert len(tx.events) == 1
    remark = "0x" + SALTED.hex()
    assert dict(tx.events["OpeningReviewed"]) == {"subject": patient, "number": 1, "review": answer, "remark": remark}


@pytest.mark.spec("B15")
def test_opening_that_is_long_over_is_reviewed(consent_registry, patient, chain, review):
    chain.sleep(30 * 60)

    review(1, DISPUTED, remark=bytes(32))

    assert consent_registry.openingOf(patient, 1)[4] == DISPUTED


@pytest.mark.spec("B8", "B15")
def test_dispute_does_not_end_an_opening(review, emergency):
    before = emergency()

    review(1, DISPUTED)

    assert emergency() == before


@pytest.mark.spec("B16")
def test_review_only_becomes_graver(review):
    with reverts("AlreadyReviewed", NONE):
        review(1, NONE)
    review(1, ACKNOWLEDGED)
    for answer in (NONE, ACKNOWLEDGED):
        with reverts("AlreadyReviewed", ACKNOWLEDGED):
            review(1, answer)
    review(1, DISPUTED)
    for answer in (NONE, ACKNOWLEDGED, DISPUTED):
        with reverts("AlreadyReviewed", DISPUTED):
            review(1, answer)
    with pytest.raises(VirtualMachineError):
        review(1, DISPUTED + 1)


@pytest.mark.spec("B15")
def test_nobody_else_reviews(
    consent_registry, reviewed, delegate_to, patient, stranger, emergency_department, delegate
):
    delegate_to(delegate, 15 - VIEW)

    for by in (stranger, emergency_department, delegate):
        with reverts("DelegateScopeMissing", patient.address, by.address, VIEW):
            consent_registry.reviewOpening(patient, 1, ACKNOWLEDGED, SALTED, 0, b"", {"from": by})
        with reverts("SignatureInvalid", patient.address):
            reviewed(1, ACKNOWLEDGED, by=by)


@pytest.mark.spec("B17")
def test_signed_review_counts_for_what_it_says(
    reviewed, break_glass, patient, second_patient, consent_registry, delegations, deadline, chain
):
    other_words = [
        {"opening": 2},
        {"review": ACKNOWLEDGED},
        {"remark": OTHER},
        {"subject": second_patient.address},
        {"deadline": deadline + 1},
    ]
    for said in other_words:
        with reverts("SignatureInvalid", patient.address):
            reviewed(1, DISPUTED, signed=said, dry=True)
    for domain in (
        Domain("ConsentRegistry", chain.id + 1, consent_registry.address),
        Domain("ConsentRegistry", chain.id, delegations.address),
    ):
        with reverts("SignatureInvalid", patient.address):
            reviewed(1, DISPUTED, signed={"domain": domain}, dry=True)
    chain.mine(timestamp=deadline)
    reviewed(1, DISPUTED, dry=True)
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        reviewed(1, DISPUTED, dry=True)


@pytest.mark.spec("B16", "B17")
def test_signed_review_counts_once(reviewed):
    reviewed(1, ACKNOWLEDGED)

    with reverts("AlreadyReviewed", ACKNOWLEDGED):
        reviewed(1, ACKNOWLEDGED)


@pytest.mark.spec("B17")
def test_review_of_one_opening_does_not_count_for_the_next(break_glass, reviewed, consent_registry, patient, chain):
    reviewed(1, ACKNOWLEDGED)
    chain.sleep(11 * 60)
    break_glass()

    with reverts("SignatureInvalid", patient.address):
        reviewed(2, ACKNOWLEDGED, signed={"opening": 1})
    assert consent_registry.openingOf(patient, 2)[4] == NONE


@pytest.mark.spec("B15")
def test_contract_wallet_reviews(
    consent_registry, break_glass, wallet, second_patient, relayer, sign, domain_of, deadline
):
    break_glass(subject=wallet)
    message = messages.review(
        domain_of(consent_registry), subject=wallet.address, opening=1, review=2, remark=OTHER, deadline=deadline
    )

    consent_registry.reviewOpening(wallet, 1, 2, OTHER, deadline, sign(second_patient, message), {"from": relayer})

    assert consent_registry.openingOf(wallet, 1)[4] == DISPUTED


@pytest.mark.spec("B18")
def test_opening_that_does_not_exist_is_unknown(consent_registry, review, patient, stranger):
    for number in (0, 2, 2**256 - 1):
        with reverts("OpeningUnknown", patient.address, number):
            review(number, ACKNOWLEDGED)
        with reverts("OpeningUnknown", patient.address, number):
            consent_registry.openingOf(patient, number)
    assert consent_registry.openingCount(stranger) == 0
    assert consent_registry.openingInForce(stranger, patient) == 0
