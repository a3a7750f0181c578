"""What a signature counts for: one chain, one contract, one step, exactly what it names, up to its deadline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from brownie.exceptions import VirtualMachineError

from medproof import messages
from tests.support.fixtures import DAY
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.fixture
def signed(counter):
    return counter.by("signed")


@pytest.mark.spec("F40")
@pytest.mark.parametrize("change", [{"chain_id": 1}, {"address": "0x" + "99" * 20}, {"contract": "ClaimAnchor"}])
def test_another_domain(signed, one, terms, clinic, change):
    with reverts("SignatureInvalid", clinic.address):
        replace(signed, domain=replace(signed.domain, **change)).issue(one, terms, clinic)


@pytest.mark.spec("F40")
def test_after_the_deadline(signed, issued, clinic, chain):
    chain.sleep(signed.deadline + 1 - chain.time())
    chain.mine()

    with pytest.raises(VirtualMachineError, match="MessageExpired"):
        signed.cancel(issued, clinic)
    later = replace(signed, deadline=chain.time() + DAY)
    later.cancel(issued, clinic)


@pytest.mark.spec("F40")
def test_other_terms_than_signed(prescriptions, counter, signed, one, terms, clinic, relayer, accounts):
    """Every field is signed: whoever changes one on the way has no signature."""
    sent = {}

    class Recorder:
        def issue(self, *given):
            sent["given"] = given[:-1]

    replace(signed, contract=Recorder()).issue(one, terms, clinic)
    prescriber, patient, content, said, deadline, signature = sent["given"]
    changed = [
        (accounts[2].address, patient, content, said, deadline),
        (prescriber, accounts[9].address, content, said, deadline),
        (prescriber, patient, b"\x99" * 32, said, deadline),
        (prescriber, patient, content, said, deadline + 1),
    ]
    for place, value in enumerate((accounts[13].address, said[1] + 1, said[2] + 1, said[3] + 1, 1)):
        altered = (*said[:place], value, *said[place + 1 :])
        changed.append((prescriber, patient, content, altered, deadline))
    for each in changed:
        with reverts("SignatureInvalid", each[0]):
            prescriptions.issue(*each, signature, {"from": relayer})
    prescriptions.issue(*sent["given"], {"from": relayer})


@pytest.mark.spec("F40")
def test_one_step_for_another(prescriptions, counter, issued, clinic, pharmacy, relayer):
    """A confirmation and a cancellation look alike, and are not."""
    said = {"prescription": issued.id, "deadline": counter.deadline}
    confirmation = counter.sign(clinic, messages.confirmation(counter.domain, **said))
    with reverts("SignatureInvalid", clinic.address):
        prescriptions.cancel(tuple(issued), counter.deadline, confirmation, {"from": relayer})


@pytest.mark.spec("F40")
def test_signed_fill_of_another_pharmacy_is_none(prescriptions, counter, issued, pharmacy, second_pharmacy, relayer):
    said = {"number": 1, "before": 0, "quantity": 30, "deadline": counter.deadline}
    message = messages.fill(counter.domain, prescription=issued.id, **said)
    signature = counter.sign(second_pharmacy, message)
    with reverts("PharmacyRequired", issued.id, pharmacy.address):
        prescriptions.fillFor(second_pharmacy, issued.id, *said.values(), signature, {"from": relayer})
    with reverts("SignatureInvalid", pharmacy.address):
        prescriptions.fillFor(pharmacy, issued.id, *said.values(), signature, {"from": relayer})


@pytest.mark.spec("F40")
def test_signed_step_counts_once(signed, issued, pharmacy, clinic):
    signed.fill(issued.id, 1, 0, 10, pharmacy)
    with reverts("FillChanged", issued.id, 10):
        signed.fill(issued.id, 1, 0, 10, pharmacy)
    signed.cancel(issued, clinic)
    with reverts("AlreadyCancelled", issued.id):
        signed.cancel(issued, clinic)


@pytest.mark.spec("F40")
def test_choice_and_fill_in_one_transaction(prescriptions, counter, one, terms, clinic, patient, pharmacy):
    """A patient who hands over her choice at the desk: the pharmacy sends both."""
    counter.issue(one, terms.changed(pharmacy=NOBODY), clinic)
    said = {"pharmacy": pharmacy.address, "sequence": 0, "deadline": counter.deadline}
    signature = counter.sign(patient, messages.choice(counter.domain, prescription=one.id, **said))
    choice = prescriptions.choose.encode_input(patient, tuple(one), *said.values(), signature)
    prescriptions.relay([choice, prescriptions.fill.encode_input(one.id, 1, 0, 30)], 0, {"from": pharmacy})

    assert (counter.state(one.id).pharmacy, counter.state(one.id).number) == (pharmacy.address, 1)
