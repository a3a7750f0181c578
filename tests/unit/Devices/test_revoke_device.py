"""Devices revoked: at once, ahead of what was signed, or for good."""

from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.Devices.conftest import AMONG_OTHERS, DIRECT, LAST_SEQUENCE, SIGNED, tombstone


@pytest.mark.spec("E10", "E15", "E20")
@pytest.mark.parametrize("form", [DIRECT, SIGNED, AMONG_OTHERS])
def test_revoked_device_keeps_its_period_alone(devices, stored, register, revoke, word, patient, meter, form):
    register(word())

    tx = revoke(2, form=form)

    assert stored() == tombstone(word(), 2)
    assert devices.classesOf(patient, meter) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["DeviceRevoked"]) == {"subject": patient, "device": meter, "word": tombstone(word(), 2)}


@pytest.mark.spec("E11")
def test_revocation_overtakes_what_was_signed_before(
    devices, stored, register, revoke, word, sign, message, patient, meter, relayer, deadline, form
):
    signed = sign(patient, message("setDevice", patient, meter, word()))
    tx = revoke(2, form=form)

    assert stored() == 2  # a tombstone, where no device was
    assert dict(tx.events["DeviceRevoked"]) == {"subject": patient, "device": meter, "word": 2}
    with reverts("DeviceStale", 2, 1):
        devices.setDevice.call(patient, meter, word(), deadline, signed, {"from": relayer})
    with reverts("DeviceStale", 2, 2):
        register(word(sequence=2), dry=True)
    register(word(sequence=3), dry=True)


@pytest.mark.spec("E10")
@pytest.mark.parametrize("sequence", [0, 1, 4, 5, LAST_SEQUENCE + 1, LAST_SEQUENCE + 7, 1 << 20, 2**256 - 1])
def test_sequence_out_of_range_is_refused(register, revoke, word, sequence):
    revoke(4)
    register(word(sequence=5))

    with reverts("DeviceStale", 5, sequence):
        revoke(sequence, dry=True)


@pytest.mark.spec("E10")
@pytest.mark.parametrize("sequence", [1, 2, 77, LAST_SEQUENCE - 1, LAST_SEQUENCE])
def test_any_higher_sequence_revokes(stored, revoke, sequence, form):
    revoke(sequence, form=form)

    assert stored() == sequence


@pytest.mark.spec("E10")
def test_tombstone_is_revoked_further(stored, register, revoke, word, form):
    register(word())
    revoke(2)
    revoke(9, form=form)

    assert stored() == tombstone(word(), 9)


@pytest.mark.spec("E12")
@pytest.mark.parametrize("sequence", [0, 1, 2, LAST_SEQUENCE - 1, LAST_SEQUENCE])
def test_device_closed_for_good_stays_closed(stored, register, revoke, word, form, sequence):
    register(word())
    revoke(LAST_SEQUENCE, form=form)

    assert stored() == tombstone(word(), LAST_SEQUENCE)
    with reverts("DeviceStale", LAST_SEQUENCE, sequence):
        register(word(sequence=sequence), dry=True)
    for again in (sequence, LAST_SEQUENCE + 1):
        with reverts("DeviceStale", LAST_SEQUENCE, again):
            revoke(again, dry=True)


@pytest.mark.spec("E13")
def test_revoked_device_is_registered_anew(devices, stored, register, revoke, word, patient, meter, form):
    register(word())
    revoke(5)
    with reverts("DeviceStale", 5, 2):
        register(word(sequence=2), dry=True)
    register(word(sequence=6), form=form)

    assert stored() == word(sequence=6)
    assert devices.classesOf(patient, meter) != 0


@pytest.mark.spec("E4")
def test_impossible_device_is_not_revoked(revoke, patient, form):
    for device in (NOBODY, patient.address):
        with reverts("DeviceNotPossible", device):
            revoke(1, device, form=form, dry=True)
