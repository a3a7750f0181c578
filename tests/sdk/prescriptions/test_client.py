"""The Prescriptions from Python, sent and relayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import NOBODY, SignedMessage
from medproof.client.prescriptions import CONFIRMATION_DAYS, Prescription, Supply, Terms
from medproof.contract_errors import (
    AlreadyCancelled,
    AlreadyFilled,
    FillChanged,
    PharmacyRequired,
    StepNotYours,
    SupplyRepeated,
)
from medproof.errors import ArgumentError, MessageError, PrescriptionError
from medproof.policy.prescription import PrescriptionStatus
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc

TODAY = date(2026, 6, 1)


def test_story_of_a_prescription(
    accredited: MedProof,
    one: Prescription,
    terms: Terms,
    clinic: LocalSigner,
    pharmacy: LocalSigner,
    second_pharmacy: LocalSigner,
    patient: LocalSigner,
) -> None:
    client = accredited.prescriptions
    client.issue(one, terms, sender=clinic)
    state = client.state(one.id)
    assert state is not None
    assert (state.pharmacy, state.fills, state.quantity, state.valid_until) == (
        pharmacy.address,
        3,
        30,
        date(2099, 12, 31),
    )
    assert client.is_issued(one.id)

    client.fill(one.id, 10, sender=pharmacy)
    client.fill(one.id, sender=pharmacy)
    with pytest.raises(AlreadyFilled) as caught:
        client.fill(one.id, 30, expected=(1, 0), sender=pharmacy)
    assert (caught.value.prescription, caught.value.next) == (one.id, 2)

    client.choose(one, second_pharmacy.address, sender=patient)
    with pytest.raises(PharmacyRequired):
        client.fill(one.id, sender=pharmacy)
    agreed = client.agree_to_transfer(second_pharmacy, one.id, pharmacy.address)
    client.transfer(one.id, pharmacy.address, giving=agreed, sender=pharmacy)
    client.fill(one.id, sender=pharmacy)
    client.fill(one.id, sender=pharmacy)
    state = client.state(one.id)
    assert state is not None
    assert (state.number, state.left, state.sequence) == (3, 0, 2)
    assert state.status_on(TODAY) is PrescriptionStatus.COMPLETED

    client.supply(one, pharmacy.address, 6, sender=pharmacy)
    with pytest.raises(SupplyRepeated):
        client.supply(one, pharmacy.address, 6, sender=pharmacy)
    client.confirm(one, sender=clinic)
    supply = client.supply_of(one.id)
    assert supply is not None
    assert (supply.pharmacy, supply.quantity, supply.confirmed_on) == (pharmacy.address, 6, supply.day)
    assert [*client.supplies(clinic.address)] == [(one.id, supply)]
    client.cancel(one, sender=clinic)
    assert [event.name for event in client.history(one.id)] == [
        "PrescriptionIssued",
        "PrescriptionFilled",
        "PrescriptionFilled",
        "PharmacyNamed",
        "PharmacyNamed",
        "PrescriptionFilled",
        "PrescriptionFilled",
        "SupplyGiven",
        "SupplyConfirmed",
        "PrescriptionCancelled",
    ]


def test_everything_is_relayed(
    accredited: MedProof,
    one: Prescription,
    terms: Terms,
    clinic: LocalSigner,
    pharmacy: LocalSigner,
    second_pharmacy: LocalSigner,
    patient: LocalSigner,
    relayer: LocalSigner,
) -> None:
    client = accredited.prescriptions

    def relay(message: SignedMessage, author: LocalSigner) -> None:
        read = SignedMessage.from_json(message.to_json())
        assert read == message
        assert message.subject == author.address
        accredited.relay(read, sender=relayer)

    relay(client.sign_issue(clinic, one, terms), clinic)
    relay(client.sign_choice(patient, one, second_pharmacy.address), patient)
    both = [
        client.agree_to_transfer(by, one.id, pharmacy.address, deadline=2**40) for by in (second_pharmacy, pharmacy)
    ]
    client.transfer(one.id, pharmacy.address, giving=both[0], receiving=both[1], sender=relayer)
    for _ in range(3):
        relay(client.sign_fill(pharmacy, one.id), pharmacy)
    relay(client.sign_supply(pharmacy, one, pharmacy.address, 6), pharmacy)
    relay(client.sign_confirmation(clinic, one), clinic)
    relay(client.sign_cancellation(clinic, one), clinic)

    state = client.state(one.id)
    assert state is not None
    assert (state.number, state.cancelled) == (3, True)


def test_fill_that_is_sent_again_counts_once(
    accredited: MedProof, one: Prescription, terms: Terms, clinic: LocalSigner, pharmacy: LocalSigner
) -> None:
    """A pharmacy that lost the answer sends what it meant again."""
    client = accredited.prescriptions
    client.issue(one, terms, sender=clinic)
    client.fill(one.id, 10, expected=(1, 0), sender=pharmacy)

    with pytest.raises(FillChanged) as caught:
        client.fill(one.id, 10, expected=(1, 0), sender=pharmacy)
    assert caught.value.filled == 10


def test_batch(
    accredited: MedProof, terms: Terms, clinic: LocalSigner, pharmacy: LocalSigner, second_pharmacy: LocalSigner
) -> None:
    client = accredited.prescriptions
    batch = Prescription(clinic.address, NOBODY, b"\x33" * 32)
    client.issue(batch, replace(terms, size=70), sender=clinic)
    client.fill_batch(batch.id, [(1, 1), (64, 1), (70, 1), (70, 2)], sender=pharmacy)

    assert (client.size(batch.id), client.size(batch.at(1).id)) == (70, 0)
    assert client.state(batch.id) is client.state(batch.at(71).id) is None
    states = {place: client.state(batch.at(place).id) for place in (1, 2, 64, 70)}
    assert {place: state.number for place, state in states.items() if state} == {1: 1, 2: 0, 64: 1, 70: 2}
    client.choose(batch.at(2), second_pharmacy.address, sender=clinic)
    assert [event.name for event in client.history(batch.at(2).id)] == ["PrescriptionOpened", "PharmacyNamed"]
    client.cancel(batch, sender=clinic)
    state = client.state(batch.at(3).id)
    assert state is not None
    assert state.cancelled
    with pytest.raises(AlreadyCancelled):
        client.fill_batch(batch.id, [(3, 1)], sender=pharmacy)


def test_fill_is_what_it_was_when_two_race(
    accredited: MedProof, chain: Chain, one: Prescription, terms: Terms, clinic: LocalSigner, pharmacy: LocalSigner,
    relayer: LocalSigner,
) -> None:  # fmt: skip
    """Two tills of one pharmacy, in one block: one fill."""
    client = accredited.prescriptions
    client.issue(one, terms, sender=clinic)
    first, second = (client.sign_fill(pharmacy, one.id, quantity) for quantity in (30, 29))
    rpc(chain, "miner_stop")
    hashes = [
        chain.web3.eth.send_raw_transaction(
            bytes.fromhex(
                by.sign_transaction(
                    {
                        "to": client.address,
                        "data": "0x" + client.call_data(message).hex(),
                        "gas": 200_000,
                        "gasPrice": 10**10,
                        "nonce": chain.web3.eth.get_transaction_count(by.address),
                        "chainId": chain.chain_id,
                        "value": 0,
                    }
                ).hex().removeprefix("0x")
            )
        )
        for by, message in ((relayer, first), (clinic, second))
    ]  # fmt: skip
    rpc(chain, "miner_start")
    rpc(chain, "evm_mine")
    statuses = sorted(chain.web3.eth.get_transaction_receipt(one)["status"] for one in hashes)
    assert statuses == [0, 1]


def test_nobody_knows_an_unknown_prescription(accredited: MedProof, pharmacy: LocalSigner) -> None:
    client = accredited.prescriptions

    assert client.state(b"\x77" * 32) is None
    assert client.supply_of(b"\x77" * 32) is None
    assert not client.is_issued(b"\x77" * 32)
    for act in (
        lambda: client.fill(b"\x77" * 32, sender=pharmacy),
        lambda: client.sign_fill(pharmacy, b"\x77" * 32),
        lambda: client.agree_to_transfer(pharmacy, b"\x77" * 32, pharmacy.address),
    ):
        with pytest.raises(PrescriptionError, match="No prescription was issued under 0x7777"):
            act()


def test_pharmacies_agree_on_one_deadline(
    accredited: MedProof, one: Prescription, terms: Terms, clinic: LocalSigner, pharmacy: LocalSigner,
    second_pharmacy: LocalSigner, relayer: LocalSigner,
) -> None:  # fmt: skip
    client, to = accredited.prescriptions, second_pharmacy.address
    client.issue(one, terms, sender=clinic)
    giving = client.agree_to_transfer(pharmacy, one.id, to, deadline=2**40)
    receiving = client.agree_to_transfer(second_pharmacy, one.id, to, deadline=2**40 + 1)

    with pytest.raises(MessageError, match="different deadlines"):
        client.transfer(one.id, to, giving=giving, receiving=receiving, sender=relayer)
    with pytest.raises(StepNotYours):
        client.transfer(one.id, to, giving=giving, sender=relayer)


def test_held_with_its_prescriber(
    accredited: MedProof, one: Prescription, terms: Terms, clinic: LocalSigner, admin: LocalSigner,
    stranger: LocalSigner,
) -> None:  # fmt: skip
    client = accredited.prescriptions
    client.issue(one, terms, sender=clinic)
    accredited.registrar.suspend(clinic.address, sender=admin)
    client.recheck(one, sender=stranger)

    state = client.state(one.id)
    assert state is not None
    assert state.status_on(TODAY) is PrescriptionStatus.HELD


def test_id_is_the_contracts(accredited: MedProof, one: Prescription) -> None:
    client = accredited.prescriptions
    for place in (0, 1, 65535):
        assert bytes(client._call("prescriptionId", one.at(place).as_tuple())) == one.at(place).id


@pytest.mark.parametrize(
    "change", [{"fills": 256}, {"quantity": 65536}, {"fills": -1}, {"valid_until": date(2150, 1, 1)}]
)
def test_terms_that_no_word_holds(
    accredited: MedProof, one: Prescription, terms: Terms, clinic: LocalSigner, change: dict[str, int]
) -> None:
    with pytest.raises(ArgumentError):
        accredited.prescriptions.issue(one, replace(terms, **change), sender=clinic)  # type: ignore[arg-type]


def test_supply_is_overdue_after_a_week() -> None:
    supply = Supply(NOBODY, 6, TODAY, None)
    week = TODAY + timedelta(days=CONFIRMATION_DAYS)

    assert not supply.overdue_on(week)
    assert supply.overdue_on(week + timedelta(days=1))
    assert not replace(supply, confirmed_on=week).overdue_on(date(2099, 1, 1))
    assert replace(supply, confirmed_on=week + timedelta(days=1)).overdue_on(TODAY)


def test_days_of_confirmation_are_the_contracts(accredited: MedProof) -> None:
    assert accredited.prescriptions._call("CONFIRMATION_DAYS") == CONFIRMATION_DAYS
