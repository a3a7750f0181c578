"""The Devices' client: a patient's devices, directly and by relayed messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.devices import Devices
from medproof.contract_errors import DelegateScopeMissing, DeviceStale
from medproof.errors import DeviceError, RuleFieldError
from medproof.messages import MESSAGE_TYPES
from medproof.policy.codes import DataClass
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.device import DEVICE_FIELDS, DEVICE_LAYOUT, Device, decode_device, encode_device
from medproof.policy.word import NO_END_MINUTE
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT
from tests.sdk.conftest import funded


@pytest.fixture
def devices(suite: MedProof) -> Devices:
    return suite.devices


@pytest.fixture(scope="session")
def meter() -> LocalSigner:
    """A blood pressure meter."""
    return funded(12)


@pytest.fixture
def registration(chain: Chain) -> Device:
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0)
    return Device(DataClass.VITAL_SIGNS | DataClass.DEVICE, now - timedelta(days=1), now + timedelta(days=365))


def test_a_device_is_registered_changed_and_revoked(
    devices: Devices, registration: Device, patient: LocalSigner, meter: LocalSigner
) -> None:
    subject = patient.address
    assert devices.device(subject, meter.address) is None
    before = devices.register(meter.address, registration, sender=patient)
    assert devices.classes(subject, meter.address) == registration.classes
    longer = Device(DataClass.VITAL_SIGNS, registration.valid_from, None)
    devices.register(meter.address, longer, sender=patient)
    assert devices.device(subject, meter.address) == Device(DataClass.VITAL_SIGNS, registration.valid_from, None, 2)
    devices.revoke(meter.address, sender=patient)
    stored = devices.device(subject, meter.address)
    assert stored is not None
    assert (stored.revoked, stored.sequence) == (True, 3)
    assert devices.classes(subject, meter.address) == DataClass.EMPTY
    assert devices.classes(subject, meter.address, block=before.block) == registration.classes
    assert [event.name for event in devices.history(subject)] == ["DeviceSet", "DeviceSet", "DeviceRevoked"]
    with pytest.raises(DeviceError, match="Nothing needs doing"):
        devices.revoke(meter.address, sender=patient)


def test_signed_messages_are_relayed(
    suite: MedProof, devices: Devices, registration: Device, patient: LocalSigner, relayer: LocalSigner
) -> None:
    device = funded(13).address
    given = devices.sign_registration(patient, device, registration)
    suite.relay(SignedMessage.from_json(given.to_json()), sender=relayer)
    taken = devices.sign_revocation(patient, device, sequence=9)
    suite.relay(SignedMessage.from_json(taken.to_json()), sender=relayer)
    assert devices.device(patient.address, device) == Device(
        DataClass.EMPTY, registration.valid_from, registration.valid_until, 9
    )
    with pytest.raises(DeviceStale):
        suite.relay(given, sender=relayer)


def test_a_delegate_registers_and_a_stranger_does_not(
    suite: MedProof, devices: Devices, registration: Device, patient: LocalSigner, stranger: LocalSigner
) -> None:
    device, steward = funded(13).address, funded(10)
    delegation = Delegation(DelegateKind.STEWARD, Scope.GRANT | Scope.REVOKE, registration.valid_from, None)
    suite.delegations.delegate(steward.address, delegation, sender=patient)
    devices.register(device, registration, subject=patient.address, sender=steward)
    suite.relay(devices.sign_revocation(steward, device, subject=patient.address), sender=steward)
    assert devices.classes(patient.address, device) == DataClass.EMPTY
    with pytest.raises(DelegateScopeMissing):
        devices.register(device, registration, subject=patient.address, sender=stranger)


def test_the_word() -> None:
    begins, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    device = Device(DataClass.VITAL_SIGNS, begins, ends, 7)
    assert decode_device(encode_device(device)) == device
    assert decode_device(encode_device(Device(DataClass.ALL, begins, None, 65535))).valid_until is None
    assert DEVICE_FIELDS["validUntil"].of(encode_device(Device(DataClass.ALL, begins, None))) == NO_END_MINUTE
    assert [field.offset for field in DEVICE_LAYOUT] == [0, 16, 40, 68]
    assert device.classes_at(begins) == DataClass.VITAL_SIGNS
    assert device.classes_at(ends - timedelta(seconds=1)) == DataClass.VITAL_SIGNS
    assert not device.classes_at(begins - timedelta(seconds=1))
    assert not device.classes_at(ends)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": DataClass.EMPTY}, "nothing to report"),
        ({"valid_until": datetime(2026, 1, 1, tzinfo=UTC)}, "is over by 2026-01-01"),
        ({"valid_from": datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)}, "no whole minute"),
        ({"sequence": 65536}, "which 16 bits do not hold"),
        ({"valid_from": datetime(1969, 1, 1, tzinfo=UTC)}, "is not between 1970 and 2480"),
        ({"valid_from": datetime(2490, 1, 1, tzinfo=UTC)}, "is not between 1970 and 2480"),
    ],
)
def test_what_is_no_registration(changes: dict[str, object], words: str) -> None:
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    given = {"classes": DataClass.ALL, "valid_from": begins, "valid_until": None, **changes}
    with pytest.raises(DeviceError, match=words):
        encode_device(Device(**given))  # type: ignore[arg-type]
    with pytest.raises(RuleFieldError):
        encode_device(Device(DataClass.ALL, datetime(2026, 1, 1), None))


def test_what_is_signed_is_what_the_contract_hashes() -> None:
    source = (ROOT / "contracts" / "Devices.sol").read_text(encoding="utf-8").replace('"\n        "', "")
    for name in ("Device", "DeviceRevocation"):
        assert f'"{name}({MESSAGE_TYPES[name]})"' in source
    build = json.loads((ROOT / "medproof" / "abi" / "Devices.json").read_text(encoding="utf-8"))
    assert {item["name"] for item in build["abi"] if item["type"] == "event"} >= {"DeviceSet", "DeviceRevoked"}
