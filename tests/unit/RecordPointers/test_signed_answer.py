from __future__ import annotations

import dataclasses

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
STATUS = {"accept": 2, "dispute": 3}
REVERTING, BURNING, SHORT, WRONG_ANSWER = 1, 2, 3, 4


@pytest.fixture(params=["accept", "dispute"])
def verb(request):
    return request.param


@pytest.fixture
def answer(answers, verb):
    """The patient's signed answer to the pointer of the clinic."""
    return answers(verb)


# -- what a signature binds -------------------------------------------------------------------------------------


@pytest.mark.spec("P22")
@pytest.mark.parametrize("sender", ["relayer", "stranger", "clinic", "patient"])
def test_anyone_relays(request, record_pointers, pointer, answer, verb, patient, sender):
    answer.relayer = request.getfixturevalue(sender)

    answer.send(answer.signature(patient))

    assert record_pointers.pointerOf(pointer)["status"] == STATUS[verb]


@pytest.mark.spec("P23")
@pytest.mark.parametrize("signer", ["stranger", "clinic", "relayer", "admin", "second_patient"])
def test_signature_of_another_reverts(request, pointer, answer, patient, signer):
    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(request.getfixturevalue(signer)))


@pytest.mark.spec("P23")
def test_signature_for_another_subject_reverts(post, answer, patient, second_patient):
    post()
    post(subject=second_patient)

    with reverts("SignatureInvalid", second_patient.address):
        answer.send(answer.signature(patient), subject=second_patient)


@pytest.mark.spec("P23")
def test_signature_for_another_custodian_reverts(post, answer, patient, second_clinic):
    post(custodian=second_clinic)

    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient), custodian=second_clinic)


@pytest.mark.spec("P23")
def test_signature_for_another_commitment_reverts(post, answer, patient):
    post(commitment=b"\x44" * 32)

    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient), commitment=b"\x44" * 32)


@pytest.mark.spec("P23")
def test_signature_for_another_sequence_reverts(pointer, answer, patient):
    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient, sequence=2))


@pytest.mark.spec("P23")
def test_signature_for_another_deadline_reverts(pointer, answer, patient):
    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient), deadline=2**256 - 1)


@pytest.mark.spec("P23")
def test_signature_for_another_reason_reverts(pointer, answers, patient):
    dispute = answers("dispute")

    with reverts("SignatureInvalid", patient.address):
        dispute.send(dispute.signature(patient), reason=b"\0" * 32)


@pytest.mark.spec("P23")
def test_signature_for_the_other_answer_reverts(pointer, answers, patient):
    with reverts("SignatureInvalid", patient.address):
        answers("dispute").send(answers("accept").signature(patient))


@pytest.mark.spec("P23")
@pytest.mark.parametrize("member", ["contract", "chain_id", "address"])
def test_signature_for_another_domain_reverts(pointer, answer, patient, registrar, chain, member):
    other = {"contract": "ConsentRegistry", "chain_id": chain.id + 1, "address": registrar.address}[member]
    domain = dataclasses.replace(answer.domain, **{member: other})

    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient, domain=domain))


@pytest.mark.spec("P23")
def test_signature_for_an_earlier_deployment_reverts(
    RecordPointers,  # noqa: N803 - Brownie's name
    registrar,
    admin,
    clinic,
    answer,
    patient,
):
    other = RecordPointers.deploy(registrar, {"from": admin})
    other.post(patient, 1, SALTED, {"from": clinic})
    signature = answer.signature(patient)
    answer.contract = other

    with reverts("SignatureInvalid", patient.address):
        answer.send(signature)


# -- deadline ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("P24")
def test_deadline_is_met_on_its_second(pointer, answer, chain, patient):
    signature = answer.signature(patient)
    chain.mine(timestamp=answer.fields["deadline"])

    answer.call(signature)


@pytest.mark.spec("P24")
def test_deadline_missed_by_a_second_reverts(pointer, answer, chain, patient):
    signature = answer.signature(patient)
    deadline = answer.fields["deadline"]
    chain.mine(timestamp=deadline + 1)

    with reverts("MessageExpired", deadline, deadline + 1):
        answer.call(signature)


@pytest.mark.spec("P24")
def test_deadline_at_the_end_of_time_is_met(record_pointers, pointer, answers, verb, patient):
    answer = answers(verb, deadline=2**256 - 1)

    answer.send(answer.signature(patient))

    assert record_pointers.pointerOf(pointer)["status"] == STATUS[verb]


# -- sequence ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("P25")
def test_signature_given_twice_reverts(pointer, answer, patient):
    signature = answer.signature(patient)
    answer.send(signature)

    with reverts("PointerChanged", pointer, 2):
        answer.send(signature)


@pytest.mark.spec("P25")
def test_signature_does_not_revive_after_a_change_of_mind(record_pointers, pointer, answer, verb, clinic, patient):
    signature = answer.signature(patient)
    answer.send(signature)
    if verb == "accept":
        record_pointers.dispute(clinic, SALTED, b"\0" * 32, {"from": patient})
    else:
        record_pointers.accept(clinic, SALTED, {"from": patient})

    with reverts("PointerChanged", pointer, 3):
        answer.send(signature)


@pytest.mark.spec("P25")
def test_direct_answer_overtakes_a_signed_one(record_pointers, pointer, answers, clinic, patient):
    acceptance = answers("accept")
    signature = acceptance.signature(patient)
    record_pointers.dispute(clinic, SALTED, b"\0" * 32, {"from": patient})

    with reverts("PointerChanged", pointer, 2):
        acceptance.send(signature)


@pytest.mark.spec("P25")
def test_transfer_of_custody_overtakes_a_signed_answer(pointer, answer, pass_custody, second_clinic, patient):
    signature = answer.signature(patient)
    pass_custody(second_clinic)

    with reverts("PointerChanged", pointer, 2):
        answer.send(signature)


@pytest.mark.spec("P25")
@pytest.mark.parametrize("sequence", [0, 2, 2**32 - 1])
def test_sequence_other_than_the_pointers_reverts(pointer, answers, verb, patient, sequence):
    answer = answers(verb, sequence=sequence)

    with reverts("PointerChanged", pointer, 1):
        answer.send(answer.signature(patient))


@pytest.mark.spec("P13")
def test_pointer_outdated_since_it_was_signed_reverts(pointer, answer, record_pointers, clinic, patient):
    signature = answer.signature(patient)
    record_pointers.amend(patient, clinic, SALTED, b"\x44" * 32, {"from": clinic})

    with reverts("PointerOutdated", pointer):
        answer.send(signature)


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(pointer, amended, answers, verb, patient):
    answer = answers(verb, sequence=2)

    with reverts("PointerOutdated", pointer):
        answer.send(answer.signature(patient))


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, answer, clinic, patient):
    with reverts("PointerUnknown", str(record_pointers.pointerId(patient, clinic, SALTED))):
        answer.send(answer.signature(patient))


# -- shapes of a signature --------------------------------------------------------------------------------------


def parts(signature):
    return signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]


@pytest.mark.spec("P26")
def test_malleable_signature_reverts(pointer, answer, patient):
    r, s, v = parts(answer.signature(patient))
    twin = r + (SECP256K1_ORDER - s).to_bytes(32, "big") + bytes([55 - v])

    with reverts("SignatureInvalid", patient.address):
        answer.send(twin)


@pytest.mark.spec("P26")
def test_compact_signature_reverts(pointer, answer, patient):
    r, s, v = parts(answer.signature(patient))
    compact = r + (s | (v - 27) << 255).to_bytes(32, "big")

    with reverts("SignatureInvalid", patient.address):
        answer.send(compact)


@pytest.mark.spec("P26")
@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_signature_with_another_parity_byte_reverts(pointer, answer, patient, v):
    with reverts("SignatureInvalid", patient.address):
        answer.send(answer.signature(patient)[:64] + bytes([v]))


@pytest.mark.spec("P26")
@pytest.mark.parametrize("shape", ["empty", "zero", "longer"])
def test_signature_of_another_shape_reverts(pointer, answer, patient, shape):
    signature = {"empty": b"", "zero": b"\0" * 65, "longer": answer.signature(patient) + b"\0"}[shape]

    with reverts("SignatureInvalid", patient.address):
        answer.send(signature)


@pytest.mark.spec("P26")
def test_zero_as_the_subject_reverts(answer):
    with reverts("SignatureInvalid", NOBODY):
        answer.send(b"\0" * 65, subject=NOBODY)


# -- contract wallets -------------------------------------------------------------------------------------------


@pytest.fixture
def wallets_answer(post, answers, verb, wallet):
    """The signed answer of the patient's contract wallet."""
    post(subject=wallet)
    return answers(verb, subject=wallet)


@pytest.mark.spec("P27")
def test_signature_of_another_than_the_owner_reverts(wallets_answer, wallet, stranger):
    with reverts("SignatureInvalid", wallet.address):
        wallets_answer.send(wallets_answer.signature(stranger))


@pytest.mark.spec("P27")
def test_owners_signature_for_another_wallet_reverts(
    ContractWallet,  # noqa: N803 - Brownie's name
    post,
    wallets_answer,
    patient,
):
    second_wallet = ContractWallet.deploy(patient, {"from": patient})
    post(subject=second_wallet)

    with reverts("SignatureInvalid", second_wallet.address):
        wallets_answer.send(wallets_answer.signature(patient), subject=second_wallet)


@pytest.mark.spec("P27")
def test_owners_signature_for_himself_reverts(wallets_answer, patient, wallet):
    with reverts("SignatureInvalid", wallet.address):
        wallets_answer.send(wallets_answer.signature(patient, subject=patient))


@pytest.mark.spec("P28")
@pytest.mark.parametrize("mood", [REVERTING, BURNING, SHORT, WRONG_ANSWER])
def test_hostile_wallet_reverts(wallets_answer, patient, wallet, mood):
    wallet.setMood(mood, {"from": patient})

    with reverts("SignatureInvalid", wallet.address):
        wallets_answer.call(wallets_answer.signature(patient))  # as a call: its gas is bounded


@pytest.mark.spec("P28")
def test_contract_without_erc_1271_reverts(post, answers, verb, registrar, patient):
    post(subject=registrar)
    answer = answers(verb, subject=registrar)

    with reverts("SignatureInvalid", registrar.address):
        answer.send(answer.signature(patient))
