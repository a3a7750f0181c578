"""A patient's devices, and how they are registered: by a transaction, or by a signature that a relayer sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from medproof import messages
from medproof.policy.codes import DataClass
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from medproof.policy.device import DEVICE_FIELDS, Device, encode_device

DIRECT, SIGNED, AMONG_OTHERS = "direct", "signed", "by relay"
LAST_SEQUENCE = 65535
PERIOD = DEVICE_FIELDS["validFrom"].mask | DEVICE_FIELDS["validUntil"].mask


def tombstone(word, sequence):
    """What is stored after a registration, or none, was revoked."""
    return word & PERIOD | sequence


def with_field(word, name, value):
    """The word with a field replaced."""
    field = DEVICE_FIELDS[name]
    return word & ~field.mask | value << field.offset


@pytest.fixture(scope="session")
def meter(accounts):
    """A device's key for the patient: a blood glucose meter."""
    return accounts[15]


@pytest.fixture(scope="session")
def watch(accounts):
    """Another device's key."""
    return accounts[16]


@pytest.fixture(scope="session")
def delegate(accounts):
    return accounts[13]


@pytest.fixture
def now(chain):
    """The chain's present minute."""
    return datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)


@pytest.fixture
def word(now):
    """A registration's word: device data and vital signs for a year, changed as the keywords say."""

    def encoded(**changes):
        said = {
            "classes": DataClass.DEVICE | DataClass.VITAL_SIGNS,
            "valid_from": now - timedelta(hours=1),
            "valid_until": now + timedelta(days=365),
            "sequence": 1,
            **changes,
        }
        return encode_device(Device(**said))

    return encoded


@pytest.fixture
def message(devices, domain_of, deadline):
    """What a wallet shows for a call of a function: ``message(function, subject, device, word or sequence)``."""

    def shown(function, subject, device, value, *, domain=None, until=None):
        said = {"subject": str(subject), "device": str(device), "deadline": until or deadline}
        domain = domain or domain_of(devices)
        if function == "setDevice":
            return messages.device(domain, word=value, **said)
        return messages.device_revocation(domain, sequence=value, **said)

    return shown


@pytest.fixture
def act(devices, message, sign, relayer, deadline):
    """Take a step: ``act(by, function, subject, device, value, form=…)``; `dry` only asks whether it would succeed."""

    def step(by, function, *arguments, form=DIRECT, dry=False):
        call, sender = getattr(devices, function), by
        given = (*arguments, 0, b"")
        if form != DIRECT:
            given, sender = (*arguments, deadline, sign(by, message(function, *arguments))), relayer
        if form == AMONG_OTHERS:
            encoded, call, given = call.encode_input(*given), devices.relay, ()
            return (call.call if dry else call)([encoded], 0, {"from": sender})
        return (call.call if dry else call)(*given, {"from": sender})

    return step


@pytest.fixture(params=[DIRECT, SIGNED])
def form(request):
    """Both ways to act."""
    return request.param


@pytest.fixture
def register(act, patient, meter):
    """Register a device of the patient's, the meter where none is named."""

    def registered(word, device=meter, *, by=patient, subject=patient, **options):
        return act(by, "setDevice", subject, device, word, **options)

    return registered


@pytest.fixture
def revoke(act, patient, meter):
    """Revoke a device of the patient's, the meter where none is named."""

    def revoked(sequence, device=meter, *, by=patient, subject=patient, **options):
        return act(by, "revokeDevice", subject, device, sequence, **options)

    return revoked


@pytest.fixture
def stored(devices, patient, meter):
    """What is stored of a device."""
    return lambda device=meter, subject=patient: devices.deviceOf(subject, device)


@pytest.fixture
def delegate_to(delegations, patient, now):
    """Give a delegation of the patient's: ``delegate_to(account, scopes)``."""

    def given(account, scopes, **changes):
        said = {
            "kind": DelegateKind.STEWARD,
            "scopes": Scope(scopes),
            "valid_from": now - timedelta(hours=1),
            "valid_until": now + timedelta(days=30),
            "delegator": patient.address,
            "sequence": 1,
            **changes,
        }
        word = encode_delegation(Delegation(**said))
        return delegations.setDelegation(patient, account, word, 0, b"", {"from": patient})

    return given


@pytest.fixture
def wallet(ContractWallet, second_patient, relayer):  # noqa: N803 - Brownie's name
    """A contract wallet of the second patient."""
    return ContractWallet.deploy(second_patient, {"from": relayer})


@pytest.fixture
def calls(devices, sign, message, deadline):
    """Calls as a relayer sends them: ``calls.set(subject, device, word, by=…)`` and ``calls.revoke(…)``."""

    def call(function):
        def encoded(*arguments, by=None):
            signature = sign(by or arguments[0], message(function, *arguments))
            return getattr(devices, function).encode_input(*arguments, deadline, signature)

        return encoded

    return SimpleNamespace(set=call("setDevice"), revoke=call("revokeDevice"))
