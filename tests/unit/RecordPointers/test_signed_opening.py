from __future__ import annotations

import dataclasses

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts
from tests.unit.RecordPointers.conftest import LABORATORY, OPENED

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
REVERTING, BURNING, SHORT, WRONG_ANSWER = 1, 2, 3, 4


@pytest.fixture
def relayed(batch, open_, relayer, deadline):
    """Send the signed opening of the patient's pointer: ``relayed(signature)``; it changes nothing."""

    def sent(signature, *, by=relayer, until=deadline, **options):
        return open_(batch, by, deadline=until, signature=signature, call=True, **options)

    return sent


@pytest.fixture
def entry(batch):
    return batch.entries[OPENED]


@pytest.mark.spec("P40")
@pytest.mark.parametrize("sender", ["relayer", "stranger", "second_clinic", "clinic", "patient"])
def test_anyone_relays(request, relayed, sign_opening, entry, patient, sender):
    relayed(sign_opening(patient, entry), by=request.getfixturevalue(sender))


@pytest.mark.spec("P40", "P44")
@pytest.mark.parametrize("signer", ["stranger", "clinic", "relayer", "admin", "second_patient"])
def test_signature_of_another_reverts(request, relayed, sign_opening, entry, patient, signer):
    """The custodian sends its openings itself: its signature is none of the subject's."""
    with reverts("SignatureInvalid", patient.address):
        relayed(sign_opening(request.getfixturevalue(signer), entry))


@pytest.mark.spec("P44")
def test_who_may_open_does_not_with_a_signature_that_is_none(relayed, patient, clinic):
    for sender in (patient, clinic):
        with reverts("SignatureInvalid", patient.address):
            relayed(b"\0" * 65, by=sender)


@pytest.mark.spec("P44")
@pytest.mark.parametrize("member", ["subject", "custodian", "data_class", "commitment", "deadline"])
def test_signature_counts_for_what_it_says_alone(
    relayed, sign_opening, entry, patient, second_patient, second_clinic, deadline, member
):
    said = {
        "subject": second_patient,
        "custodian": second_clinic,
        "data_class": LABORATORY + 1,
        "commitment": b"\x44" * 32,
        "deadline": deadline + 1,
    }

    with reverts("SignatureInvalid", patient.address):
        relayed(sign_opening(patient, entry, **{member: said[member]}))


@pytest.mark.spec("P44")
@pytest.mark.parametrize("member", ["subject", "custodian", "data_class", "commitment", "deadline"])
def test_nothing_else_is_opened_by_it(
    relayed, sign_opening, entry, patient, second_patient, second_clinic, deadline, member
):
    """The same signature, sent with something else; also where that stands in a batch, it is refused before."""
    said = dict(zip(("subject", "custodian", "data_class", "commitment"), entry, strict=True), deadline=deadline)
    other = {
        "subject": second_patient,
        "custodian": second_clinic,
        "data_class": LABORATORY + 1,
        "commitment": b"\x44" * 32,
        "deadline": deadline + 1,
    }
    sent = {**said, member: other[member]}
    until = sent.pop("deadline")

    with reverts("SignatureInvalid", str(sent["subject"])):
        relayed(sign_opening(patient, entry), until=until, entry=tuple(sent.values()))


@pytest.mark.spec("P44")
@pytest.mark.parametrize("member", ["contract", "chain_id", "address"])
def test_signature_for_another_domain_reverts(
    record_pointers, relayed, sign_opening, domain_of, entry, patient, registrar, chain, member
):
    other = {"contract": "ConsentRegistry", "chain_id": chain.id + 1, "address": registrar.address}[member]
    domain = dataclasses.replace(domain_of(record_pointers), **{member: other})

    with reverts("SignatureInvalid", patient.address):
        relayed(sign_opening(patient, entry, domain=domain))


@pytest.mark.spec("P44")
def test_signed_answer_is_no_opening(relayed, answers, patient):
    with reverts("SignatureInvalid", patient.address):
        relayed(answers("accept").signature(patient))


@pytest.mark.spec("P44")
def test_opening_is_no_answer(batch, open_, sign_opening, answers, entry, patient):
    """Whoever agrees that a pointer is opened has not accepted what it says."""
    signature = sign_opening(patient, entry)
    open_(batch, patient)

    for verb in ("accept", "dispute"):
        with reverts("SignatureInvalid", patient.address):
            answers(verb).send(signature)


@pytest.mark.spec("P44")
def test_deadline_is_met_on_its_second_and_missed_on_the_next(relayed, sign_opening, entry, patient, chain, deadline):
    signature = sign_opening(patient, entry)
    chain.mine(timestamp=deadline)
    relayed(signature)
    chain.mine(timestamp=deadline + 1)

    with reverts("MessageExpired", deadline, deadline + 1):
        relayed(signature)


@pytest.mark.spec("P43", "P44")
def test_signature_counts_once(batch, open_, sign_opening, entry, patient, relayer, deadline):
    signature = sign_opening(patient, entry)
    pointer = str(open_(batch, relayer, deadline=deadline, signature=signature).return_value)

    with reverts("PointerExists", pointer):
        open_(batch, relayer, deadline=deadline, signature=signature)


@pytest.mark.spec("P44")
def test_signature_has_one_form(relayed, sign_opening, entry, patient):
    signature = sign_opening(patient, entry)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    twin = r + (SECP256K1_ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32, "big")

    for broken in (twin, compact, signature + b"\0", signature[:64], b"\0"):
        with reverts("SignatureInvalid", patient.address):
            relayed(broken)


@pytest.mark.spec("P44")
def test_zero_as_the_subject_reverts(relayed, clinic):
    with reverts("SignatureInvalid", NOBODY):
        relayed(b"\0" * 65, entry=(NOBODY, clinic, LABORATORY, SALTED))


@pytest.mark.spec("P44")
@pytest.mark.parametrize("mood", [REVERTING, BURNING, SHORT, WRONG_ANSWER])
def test_hostile_wallet_reverts(
    record_pointers, batch_of, sign_opening, wallet, entries, patient, clinic, relayer, deadline, mood
):
    entry = (wallet, *entries[OPENED][1:])
    batch = batch_of(clinic, [entry])
    wallet.setMood(mood, {"from": patient})
    arguments = (*entry, batch.place(0), deadline, sign_opening(patient, entry))

    with reverts("SignatureInvalid", wallet.address):
        record_pointers.open.call(*arguments, {"from": relayer, "gas_limit": 500_000})


@pytest.mark.spec("P44")
def test_owners_signature_for_himself_is_none_of_the_wallets(relayed, sign_opening, wallet, entry, patient):
    with reverts("SignatureInvalid", wallet.address):
        relayed(sign_opening(patient, entry), entry=(wallet, *entry[1:]))
