"""What a device may report now, read from its registration and the time alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from medproof.policy.codes import DataClass
from tests.unit.Devices.conftest import with_field


@pytest.fixture
def classes(devices, patient, meter):
    return lambda device=meter, subject=patient: devices.classesOf(subject, device)


@pytest.mark.spec("E21")
def test_registration_counts_within_its_period(register, word, classes, now, chain):
    begin, end = now + timedelta(minutes=5), now + timedelta(minutes=10)
    register(word(valid_from=begin, valid_until=end))
    reported = DataClass.DEVICE | DataClass.VITAL_SIGNS

    for moment, counts in (
        (begin - timedelta(minutes=2), 0),
        (begin - timedelta(seconds=1), 0),
        (begin, reported),
        (end - timedelta(seconds=1), reported),
        (end, 0),
        (end + timedelta(days=900), 0),
    ):
        chain.mine(timestamp=int(moment.timestamp()))
        assert classes() == counts


@pytest.mark.spec("E21")
def test_registration_without_an_end_counts_on(register, word, classes, chain):
    register(word(valid_until=None))
    chain.mine(timestamp=int(chain.time()) + 50 * 365 * 24 * 3600)

    assert classes() == DataClass.DEVICE | DataClass.VITAL_SIGNS


@pytest.mark.spec("E21")
@pytest.mark.parametrize("reported", [1, 1 << 21, 0x2A5A5, DataClass.ALL])
def test_classes_are_those_registered(register, word, classes, reported):
    register(with_field(word(), "classes", int(reported)))

    assert classes() == reported


@pytest.mark.spec("E21")
def test_change_counts_at_once(register, word, classes):
    register(word())
    register(word(sequence=2, classes=DataClass.IMAGING))

    assert classes() == DataClass.IMAGING


@pytest.mark.spec("E21")
def test_revoked_device_reports_nothing_until_it_is_registered_anew(register, revoke, word, classes):
    register(word())
    revoke(2)
    assert classes() == 0
    register(word(sequence=3, classes=DataClass.DEVICE))
    assert classes() == DataClass.DEVICE


@pytest.mark.spec("E9", "E22")
def test_device_of_another_reports_nothing(register, revoke, word, classes, devices, meter, watch, second_patient):
    assert classes() == devices.deviceOf(second_patient, watch) == 0
    register(word())
    revoke(3, watch)

    assert classes(watch) == classes(meter, second_patient) == classes(second_patient, meter) == 0
