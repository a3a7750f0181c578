"""Which signatures count, for what, until when, and how often."""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_utils import keccak

from medproof.messages import Domain
from medproof.policy.codes import DataClass
from medproof.policy.delegation import Scope
from medproof.policy.device import DEVICE_FIELDS
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.Devices.conftest import LAST_SEQUENCE, tombstone, with_field

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HONEST, REVERTING, BURNING, SHORT, WRONG_ANSWER = range(5)  # the moods of ContractWallet
FUNCTIONS = ("setDevice", "revokeDevice")


@pytest.fixture
def signed(patient, meter, word):
    """What is signed for each function."""
    return {"setDevice": (patient, meter, word()), "revokeDevice": (patient, meter, 1)}


@pytest.mark.spec("E17")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_counts_for_what_it_says_alone(
    devices, signed, message, sign, patient, second_patient, watch, relayer, registrar, stranger, deadline, chain,
    word, function,
):  # fmt: skip
    arguments, call = signed[function], getattr(devices, function).call
    other = {"setDevice": word(sequence=2), "revokeDevice": 2}[function]
    signature = sign(patient, message(function, *arguments))
    for altered in (
        (second_patient, *arguments[1:]),
        (patient, watch, arguments[2]),
        (*arguments[:2], other),
    ):
        with reverts("SignatureInvalid", str(altered[0])):
            call(*altered, deadline, signature, {"from": relayer})
        with reverts("SignatureInvalid", patient.address):
            call(*arguments, deadline, sign(patient, message(function, *altered)), {"from": relayer})
    with reverts("SignatureInvalid", patient.address):
        call(*arguments, deadline + 1, signature, {"from": relayer})
    other_function = FUNCTIONS[1 - FUNCTIONS.index(function)]
    forged = [
        sign(stranger, message(function, *arguments)),
        sign(patient, message(other_function, *signed[other_function])),
        *(
            sign(patient, message(function, *arguments, domain=domain))
            for domain in (
                Domain("Devices", chain.id + 1, devices.address),
                Domain("Devices", chain.id, registrar.address),
                Domain("Delegations", chain.id, devices.address),
            )
        ),
    ]
    for wrong in forged:
        with reverts("SignatureInvalid", patient.address):
            call(*arguments, deadline, wrong, {"from": relayer})
    call(*arguments, deadline, signature, {"from": relayer})


@pytest.mark.spec("E18")
def test_every_bit_of_a_relayed_word_is_signed_or_refused(
    devices, message, sign, patient, meter, relayer, word, deadline
):
    signature = sign(patient, message("setDevice", patient, meter, word()))
    meaningful = sum(field.mask for field in DEVICE_FIELDS.values())

    for bit in range(256):
        altered = word() ^ 1 << bit
        expected = ("SignatureInvalid", patient.address) if meaningful >> bit & 1 else ("DeviceBitsUnknown", altered)
        with reverts(*expected):
            devices.setDevice.call(patient, meter, altered, deadline, signature, {"from": relayer})
    devices.setDevice.call(patient, meter, word(), deadline, signature, {"from": relayer})


@pytest.mark.spec("E18")
def test_sequence_of_a_relayed_revocation_does_not_wrap_around(
    devices, message, sign, patient, meter, relayer, deadline
):
    signature = sign(patient, message("revokeDevice", patient, meter, 7))

    for bit in range(256):
        with reverts("SignatureInvalid", patient.address):
            devices.revokeDevice.call(patient, meter, 7 ^ 1 << bit, deadline, signature, {"from": relayer})


@pytest.mark.spec("E17")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_counts_up_to_its_deadline(
    devices, signed, message, sign, patient, relayer, deadline, chain, act, function
):
    call = getattr(devices, function).call
    given = (*signed[function], deadline, sign(patient, message(function, *signed[function])))
    chain.mine(timestamp=deadline)
    call(*given, {"from": relayer})
    chain.mine(timestamp=deadline + 1)

    with reverts("MessageExpired", deadline, deadline + 1):
        call(*given, {"from": relayer})
    act(patient, function, *signed[function], dry=True)  # who sends has no deadline


@pytest.mark.spec("E17")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_counts_once(devices, signed, message, sign, patient, relayer, deadline, function):
    given = (*signed[function], deadline, sign(patient, message(function, *signed[function])))
    getattr(devices, function)(*given, {"from": relayer})

    with reverts("DeviceStale", 1, 1):
        getattr(devices, function).call(*given, {"from": relayer})


@pytest.mark.spec("E11", "E17")
def test_registration_does_not_come_back_after_its_revocation(
    devices, message, sign, patient, meter, relayer, word, revoke, stored, deadline
):
    given = (patient, meter, word(), deadline, sign(patient, message("setDevice", patient, meter, word())))
    devices.setDevice(*given, {"from": relayer})
    revoke(2)

    with reverts("DeviceStale", 2, 1):
        devices.setDevice.call(*given, {"from": relayer})
    assert stored() == tombstone(word(), 2)


@pytest.mark.spec("E17")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_has_one_form(devices, signed, message, sign, patient, relayer, deadline, function):
    signature = sign(patient, message(function, *signed[function]))
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (HALF_ORDER - s).to_bytes(32) + bytes([27 + 28 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32)
    call = getattr(devices, function).call

    for broken in (twin, compact, bytes(65), signature[:64], signature + b"\0", signature[:64] + b"\0"):
        with reverts("SignatureInvalid", patient.address):
            call(*signed[function], deadline, broken, {"from": relayer})


@pytest.mark.spec("E3", "E17")
def test_nobody_is_no_subject(devices, meter, word, relayer, deadline):
    """A signature that recovers to nobody is nobody's."""
    with reverts("SignatureInvalid", NOBODY):
        devices.setDevice.call(NOBODY, meter, word(), deadline, bytes(65), {"from": relayer})
    with reverts("DelegateScopeMissing", NOBODY, relayer.address, 1):
        devices.setDevice.call(NOBODY, meter, word(), 0, b"", {"from": relayer})


@pytest.mark.spec("E15")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_relayer_without_a_signature_acts_for_nobody(devices, signed, patient, relayer, deadline, function):
    scope = {"setDevice": Scope.GRANT.value, "revokeDevice": Scope.ALL.value}[function]
    with reverts("DelegateScopeMissing", patient.address, relayer.address, scope):
        getattr(devices, function).call(*signed[function], deadline, b"", {"from": relayer})


# -- contract wallets -------------------------------------------------------------------------------------------


@pytest.mark.spec("E19")
def test_contract_wallet_signs_or_sends(
    devices, message, sign, stored, second_patient, wallet, meter, relayer, word, deadline
):
    signature = sign(second_patient, message("setDevice", wallet, meter, word()))
    devices.setDevice(wallet, meter, word(), deadline, signature, {"from": relayer})
    assert stored(meter, wallet) == word()

    wallet.execute(devices, devices.revokeDevice.encode_input(wallet, meter, 2, 0, b""), {"from": relayer})
    assert stored(meter, wallet) == tombstone(word(), 2)
    signature = sign(second_patient, message("revokeDevice", wallet, meter, LAST_SEQUENCE))
    devices.revokeDevice(wallet, meter, LAST_SEQUENCE, deadline, signature, {"from": relayer})
    assert stored(meter, wallet) == tombstone(word(), LAST_SEQUENCE)


@pytest.mark.spec("E19")
@pytest.mark.parametrize("mood", [REVERTING, SHORT, WRONG_ANSWER, BURNING])
def test_contract_wallet_in_a_mood_has_not_signed(
    devices, message, sign, second_patient, wallet, meter, relayer, word, deadline, mood
):
    signature = sign(second_patient, message("setDevice", wallet, meter, word()))
    wallet.setMood(mood, {"from": relayer})

    with reverts("SignatureInvalid", wallet.address):
        options = {"from": relayer, "gas_limit": 1_000_000}
        devices.setDevice.call(wallet, meter, word(), deadline, signature, options)


@pytest.mark.spec("E19")
def test_contract_wallet_as_delegate_sends_and_does_not_sign(
    devices, delegate_to, message, sign, stored, patient, second_patient, wallet, meter, relayer, word, deadline
):
    delegate_to(wallet.address, Scope.GRANT)
    signature = sign(second_patient, message("setDevice", patient, meter, word()))
    with reverts("SignatureInvalid", patient.address):
        devices.setDevice.call(patient, meter, word(), deadline, signature, {"from": relayer})

    wallet.execute(devices, devices.setDevice.encode_input(patient, meter, word(), 0, b""), {"from": relayer})
    assert stored() == word()


# -- many at once -----------------------------------------------------------------------------------------------


@pytest.mark.spec("E20")
def test_messages_of_many_subjects_are_sent_at_once(
    devices, calls, stored, patient, second_patient, stranger, wallet, meter, watch, relayer, word
):
    several = [
        calls.set(patient, meter, word()),
        calls.set(stranger, meter, word(), by=patient),  # no word of the stranger's
        calls.set(wallet, meter, word(), by=second_patient),
        calls.revoke(patient, meter, 2),
        calls.set(patient, meter, word()),  # once more
        calls.revoke(second_patient, watch, 9),
    ]

    tx = devices.relay(several, 200_000, {"from": relayer})

    assert tx.return_value == 2
    names = ["DeviceSet", "CallSkipped", "DeviceSet", "DeviceRevoked", "CallSkipped", "DeviceRevoked"]
    assert [event.name for event in tx.events] == names
    assert (stored(), stored(meter, wallet), stored(watch, second_patient)) == (tombstone(word(), 2), word(), 9)
    assert stored(meter, stranger) == 0
    invalid = keccak(text="SignatureInvalid(address)")[:4] + encode(["address"], [stranger.address])
    with reverts("CallFailed", 1, invalid):
        devices.relay([calls.revoke(patient, watch, 1), several[1]], 0, {"from": relayer})


@pytest.mark.spec("E20")
def test_delegate_relays_its_own_acts_among_others(
    devices, calls, delegate_to, stored, patient, second_patient, delegate, meter, word
):
    delegate_to(delegate, Scope.GRANT)
    own = devices.setDevice.encode_input(patient, meter, word(), 0, b"")
    anothers = devices.setDevice.encode_input(second_patient, meter, word(), 0, b"")

    tx = devices.relay([own, calls.set(second_patient, meter, word()), anothers], 200_000, {"from": delegate})

    assert [event.name for event in tx.events] == ["DelegateActed", "DeviceSet", "DeviceSet", "CallSkipped"]
    assert stored() == stored(meter, second_patient) == word()


@pytest.mark.spec("E17")
def test_classes_are_shown_as_one_field(message, patient, meter, word):
    shown = message("setDevice", patient, meter, with_field(word(), "classes", DataClass.ALL.value)).message

    assert set(shown) == {"subject", "device", "deadline", *DEVICE_FIELDS}
    assert shown["classes"] == DataClass.ALL
