from __future__ import annotations

import pytest
from brownie import web3
from eth_abi import encode

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts

LABORATORY = 1
POSTED = 1
POINTERS_SLOT = 2  # as in the committed storage layout


@pytest.mark.spec("P2", "P3", "P4")
def test_pointer_is_stored_and_announced(record_pointers, clinic, patient):
    tx = record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})

    pointer = web3.keccak(encode(["address", "address", "bytes32"], [patient.address, clinic.address, SALTED]))
    assert tx.return_value == "0x" + bytes(pointer).hex()
    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, POSTED, 1, 1)
    assert record_pointers.previousOf(pointer) == "0x" + "00" * 32
    assert record_pointers.nextCustodianOf(pointer) == NOBODY
    assert len(tx.events) == 1
    assert dict(tx.events["PointerPosted"]) == {
        "subject": patient,
        "custodian": clinic,
        "dataClass": LABORATORY,
        "commitment": "0x" + SALTED.hex(),
    }


@pytest.mark.spec("P9")
def test_one_slot_is_written(record_pointers, clinic, patient):
    tx = record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})

    trace = web3.provider.make_request("debug_traceTransaction", [tx.txid, {}])["result"]["structLogs"]
    assert [step["op"] for step in trace].count("SSTORE") == 1
    slot = web3.keccak(bytes(tx.return_value) + POINTERS_SLOT.to_bytes(32, "big"))
    word = int(clinic.address, 16) | LABORATORY << 160 | POSTED << 168 | 1 << 176 | 1 << 192
    assert int.from_bytes(web3.eth.get_storage_at(record_pointers.address, int.from_bytes(slot, "big")), "big") == word


@pytest.mark.spec("P6")
@pytest.mark.parametrize("data_class", [0, 21])
def test_first_and_last_class_are_posted(record_pointers, clinic, patient, data_class):
    pointer = record_pointers.post(patient, data_class, SALTED, {"from": clinic}).return_value

    assert record_pointers.pointerOf(pointer)["dataClass"] == data_class


@pytest.mark.spec("P3", "P33")
def test_rotated_custodian_posts_under_its_identity(record_pointers, rotate, clinic, patient, fresh_account):
    rotate(clinic, fresh_account)

    tx = record_pointers.post(patient, LABORATORY, SALTED, {"from": fresh_account})

    assert tx.return_value == record_pointers.pointerId(patient, clinic, SALTED)
    assert record_pointers.pointerOf(tx.return_value)["custodian"] == clinic
    assert tx.events["PointerPosted"]["custodian"] == clinic


@pytest.mark.spec("P8")
def test_another_custodian_posts_the_same_commitment(record_pointers, pointer, second_clinic, patient):
    other = record_pointers.post(patient, LABORATORY, SALTED, {"from": second_clinic}).return_value

    assert other != pointer
    assert record_pointers.pointerOf(other)["custodian"] == second_clinic


@pytest.mark.spec("P8")
def test_same_commitment_is_posted_for_another_subject(record_pointers, pointer, clinic, second_patient):
    other = record_pointers.post(second_patient, LABORATORY, SALTED, {"from": clinic}).return_value

    assert other != pointer


@pytest.mark.spec("P5")
def test_subject_missing_reverts(record_pointers, clinic):
    with reverts("SubjectMissing"):
        record_pointers.post(NOBODY, LABORATORY, SALTED, {"from": clinic})


@pytest.mark.spec("P6")
@pytest.mark.parametrize("data_class", [22, 255])
def test_class_unknown_reverts(record_pointers, clinic, patient, data_class):
    with reverts("DataClassUnknown", data_class):
        record_pointers.post(patient, data_class, SALTED, {"from": clinic})


@pytest.mark.spec("P7")
def test_commitment_missing_reverts(record_pointers, clinic, patient):
    with reverts("CommitmentMissing"):
        record_pointers.post(patient, LABORATORY, b"\0" * 32, {"from": clinic})


@pytest.mark.spec("P8")
def test_pointer_that_exists_reverts(record_pointers, pointer, clinic, patient):
    with reverts("PointerExists", pointer):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})


@pytest.mark.spec("P8")
def test_pointer_that_exists_in_another_class_reverts(record_pointers, pointer, clinic, patient):
    with reverts("PointerExists", pointer):
        record_pointers.post(patient, LABORATORY + 1, SALTED, {"from": clinic})


@pytest.mark.spec("P8", "P13")
def test_pointer_that_was_amended_reverts(record_pointers, pointer, amended, clinic, patient):
    with reverts("PointerExists", pointer):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})


@pytest.mark.spec("P8")
def test_first_custodian_that_handed_the_record_over_reverts(
    record_pointers, pointer, pass_custody, clinic, second_clinic, patient
):
    pass_custody(second_clinic)

    with reverts("PointerExists", pointer):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})


@pytest.fixture(params=["stranger", "patient", "payer", "pharmacy", "researcher", "admin"])
def no_provider(request):
    return request.getfixturevalue(request.param)


@pytest.mark.spec("P2")
def test_caller_who_is_no_provider_reverts(record_pointers, no_provider, patient):
    with reverts("ProviderRequired", no_provider.address):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": no_provider})


@pytest.mark.spec("P2")
def test_provider_without_standing_reverts(record_pointers, lose_standing, clinic, patient):
    lose_standing(clinic)

    with reverts("ProviderRequired", clinic.address):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})


@pytest.mark.spec("P2", "P33")
def test_former_account_reverts(record_pointers, rotate, clinic, fresh_account, patient):
    rotate(clinic, fresh_account)

    with reverts("ProviderRequired", clinic.address):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})
