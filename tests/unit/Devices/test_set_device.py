"""What a registration may say, and which follows which."""

from __future__ import annotations

import pytest
from brownie import web3

from medproof.policy.codes import DataClass
from medproof.policy.device import DEVICE_FIELDS
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.Devices.conftest import AMONG_OTHERS, DIRECT, LAST_SEQUENCE, SIGNED, tombstone, with_field

NO_END = (1 << 28) - 1


def slots_of(subject, device):
    """Where a registration may be stored, whichever of the contract's first variables keeps them."""
    for base in range(8):
        inner = web3.solidity_keccak(["uint256", "uint256"], [int(subject.address, 16), base])
        yield int.from_bytes(web3.solidity_keccak(["uint256", "bytes32"], [int(device.address, 16), inner]))


@pytest.mark.spec("E1")
def test_contract_answers_to_its_delegations(devices, delegations, chain):
    _, name, version, chain_id, contract, *_ = devices.eip712Domain()

    assert devices.delegations() == delegations
    assert (name, version, chain_id, contract) == ("MedProof Devices", "1", chain.id, devices.address)


@pytest.mark.spec("E2", "E3", "E15", "E20")
@pytest.mark.parametrize("form", [DIRECT, SIGNED, AMONG_OTHERS])
def test_device_is_stored_and_announced(stored, register, word, patient, meter, form):
    tx = register(word(), form=form)

    assert stored() == word()
    assert len(tx.events) == 1
    assert dict(tx.events["DeviceSet"]) == {"subject": patient, "device": meter, "word": word()}


@pytest.mark.spec("E2")
def test_registration_takes_one_slot(devices, register, word, patient, meter):
    register(word())

    kept = [int.from_bytes(web3.eth.get_storage_at(devices.address, slot)) for slot in slots_of(patient, meter)]
    assert [value for value in kept if value] == [word()]


@pytest.mark.spec("E3", "E8")
def test_registration_is_changed_by_the_next(stored, register, word, form):
    changed = word(sequence=2, classes=DataClass.DEVICE, valid_until=None)
    register(word())
    tx = register(changed, form=form)

    assert stored() == changed
    assert tx.events["DeviceSet"]["word"] == changed


@pytest.mark.spec("E9")
def test_subjects_and_devices_stand_by_themselves(stored, register, revoke, word, second_patient, meter, watch):
    register(word())
    register(word(classes=DataClass.VITAL_SIGNS), watch)
    register(word(classes=DataClass.DEVICE), by=second_patient, subject=second_patient)
    revoke(2)

    assert stored() == tombstone(word(), 2)
    assert stored(watch) == word(classes=DataClass.VITAL_SIGNS)
    assert stored(meter, second_patient) == word(classes=DataClass.DEVICE)
    assert stored(watch, second_patient) == 0


# -- what it may say --------------------------------------------------------------------------------------------


@pytest.mark.spec("E4")
def test_impossible_device_is_refused(register, word, patient, form):
    for device in (NOBODY, patient.address):
        with reverts("DeviceNotPossible", device):
            register(word(), device, form=form, dry=True)


@pytest.mark.spec("E5")
@pytest.mark.parametrize("classes", [0, 1 << 22, 1 << 23, (1 << 23) - 1, (1 << 24) - 1])
def test_classes_are_those_of_the_rule_word(register, word, form, classes):
    with reverts("DeviceClassesNotPossible", classes):
        register(with_field(word(), "classes", classes), form=form, dry=True)


@pytest.mark.spec("E5")
def test_each_class_may_be_reported(register, word):
    for bit in range(22):
        register(with_field(word(), "classes", 1 << bit), dry=True)
    register(with_field(word(), "classes", DataClass.ALL.value), dry=True)


@pytest.mark.spec("E6")
@pytest.mark.parametrize(("begin", "end"), [(0, 0), (5, 5), (6, 5), (NO_END, 0), (NO_END, NO_END)])
def test_empty_period_is_refused(register, word, form, begin, end):
    with reverts("DevicePeriodEmpty", begin, end):
        register(with_field(with_field(word(), "validFrom", begin), "validUntil", end), form=form, dry=True)


@pytest.mark.spec("E6")
@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, NO_END), (NO_END - 1, NO_END), (5, 6)])
def test_period_of_a_minute_or_more_is_taken(register, word, stored, begin, end):
    said = with_field(with_field(word(), "validFrom", begin), "validUntil", end)
    register(said)

    assert stored() == said


@pytest.mark.spec("E7")
@pytest.mark.parametrize("bit", [96, 97, 127, 128, 159, 160, 200, 254, 255])
def test_bit_that_means_nothing_is_refused(register, word, form, bit):
    with reverts("DeviceBitsUnknown", word() | 1 << bit):
        register(word() | 1 << bit, form=form, dry=True)


@pytest.mark.spec("E4", "E5", "E6", "E7", "E8")
def test_what_is_wrong_first_is_named(register, word, patient, stranger):
    """The author, the device, then the word from its unknown bits to its sequence."""
    bits, classes, period = 1 << 100, DEVICE_FIELDS["classes"].mask, DEVICE_FIELDS["validUntil"].mask
    broken = with_field(word(), "sequence", 9) & ~classes & ~period | bits

    with reverts("DelegateScopeMissing", patient.address, stranger.address, 1):
        register(broken, patient, by=stranger, dry=True)
    with reverts("DeviceNotPossible", patient.address):
        register(broken, patient, dry=True)
    with reverts("DeviceBitsUnknown", broken):
        register(broken, dry=True)
    with reverts("DeviceClassesNotPossible", 0):
        register(broken & ~bits, dry=True)
    with reverts("DevicePeriodEmpty", DEVICE_FIELDS["validFrom"].of(broken), 0):
        register(broken & ~bits | 1 << DEVICE_FIELDS["classes"].offset, dry=True)
    with reverts("DeviceStale", 0, 9):
        register(with_field(word(), "sequence", 9), dry=True)


# -- which follows which ----------------------------------------------------------------------------------------


@pytest.mark.spec("E8")
@pytest.mark.parametrize("sequence", [0, 2, 3, LAST_SEQUENCE - 1, LAST_SEQUENCE])
def test_first_registration_has_sequence_1(register, word, form, sequence):
    with reverts("DeviceStale", 0, sequence):
        register(word(sequence=sequence), form=form, dry=True)


@pytest.mark.spec("E8")
@pytest.mark.parametrize("sequence", [0, 6, 7, 9, LAST_SEQUENCE])
def test_sequence_does_not_repeat_go_back_or_leave_a_gap(register, revoke, word, form, sequence):
    revoke(6)
    register(word(sequence=7))

    with reverts("DeviceStale", 7, sequence):
        register(word(sequence=sequence), form=form, dry=True)
    register(word(sequence=8), form=form, dry=True)


@pytest.mark.spec("E8")
def test_last_sequence_is_kept_for_revocation(register, revoke, stored, word, form):
    revoke(LAST_SEQUENCE - 2)
    register(word(sequence=LAST_SEQUENCE - 1), form=form)

    with reverts("DeviceStale", LAST_SEQUENCE - 1, LAST_SEQUENCE):
        register(word(sequence=LAST_SEQUENCE), form=form, dry=True)
    revoke(LAST_SEQUENCE, form=form)
    assert stored() == tombstone(word(), LAST_SEQUENCE)
