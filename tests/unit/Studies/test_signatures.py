"""Which signatures count, for what, until when, and how often."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medproof.messages import MESSAGE_TYPES, Domain
from medproof.policy.word import FIELDS
from tests.support.reverts import reverts

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HONEST, REVERTING, BURNING, SHORT, WRONG_ANSWER = range(5)  # the moods of ContractWallet
FUNCTIONS = ("optIn", "optOut")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return request.param


@pytest.fixture
def shown_for(desk, study, function):
    """What a wallet shows for the function: ``shown_for(subject, sequence, deadline, **changes)``."""
    show = desk.opting_in if function == "optIn" else desk.opting_out
    return lambda *said, **changes: show(study, *said, **changes)


@pytest.fixture
def call(studies, study, function, relayer):
    """Ask whether the function would take it."""

    def asked(subject, sequence, deadline, signature, *, of=None):
        given = (subject, (of or study).id, sequence, deadline, signature)
        return getattr(studies, function).call(*given, {"from": relayer})

    return asked


@pytest.mark.spec("T19")
def test_signature_counts_for_what_it_says_alone(
    studies, registered, desk, study, shown_for, call, function, sign, patient, second_patient, stranger, registrar,
    chain,
):  # fmt: skip
    deadline = desk.deadline()
    signature = sign(patient, shown_for(patient, 1, deadline))
    other = registered(protocol=b"\x01" * 32)
    call(patient, 1, deadline, signature)
    for altered in ((second_patient, 1, deadline), (patient, 2, deadline), (patient, 1, deadline + 1)):
        with reverts("SignatureInvalid", str(altered[0])):
            call(*altered, signature)
    with reverts("SignatureInvalid", patient.address):
        call(patient, 1, deadline, signature, of=other)
    opposite = desk.opting_out if function == "optIn" else desk.opting_in
    forged = [
        sign(stranger, shown_for(patient, 1, deadline)),
        sign(patient, opposite(study, patient, 1, deadline)),
        *(
            sign(patient, shown_for(patient, 1, deadline, domain=domain))
            for domain in (
                Domain("Studies", chain.id + 1, studies.address),
                Domain("Studies", chain.id, registrar.address),
                Domain("Devices", chain.id, studies.address),
            )
        ),
    ]
    for wrong in forged:
        with reverts("SignatureInvalid", patient.address):
            call(patient, 1, deadline, wrong)


@pytest.mark.spec("T20")
@pytest.mark.parametrize("function", ["optIn"], indirect=True)
def test_wallet_shows_what_the_study_asks_for_and_nothing_else_counts(
    desk, study, shown_for, call, sign, patient, stranger
):
    """Each field of the request, the researcher and the last day are what the chain has."""
    deadline = desk.deadline()
    fields = (
        "dataFrom",
        "dataUntil",
        "purposes",
        "classes",
        "conditions",
        "sensitivities",
        "settings",
        "actions",
        "research",
    )
    for name in fields:
        field = FIELDS[name]
        for bit in (field.offset, field.offset + field.width - 1):
            lie = shown_for(patient, 1, deadline, request=study.request ^ 1 << bit)
            with reverts("SignatureInvalid", patient.address):
                call(patient, 1, deadline, sign(patient, lie))
    for change in ({"researcher": stranger.address}, {"last_day": study.last_day - 1}):
        with reverts("SignatureInvalid", patient.address):
            call(patient, 1, deadline, sign(patient, shown_for(patient, 1, deadline, **change)))


@pytest.mark.spec("T20")
def test_messages_are_those_of_the_contract():
    source = re.sub(r'"\s+"', "", (ROOT / "contracts" / "Studies.sol").read_text(encoding="utf-8"))

    for name in ("OptIn", "OptOut", "Result"):
        assert f'"{name}({MESSAGE_TYPES[name]})"' in source
    assert "Studies" in json.loads((ROOT / "medproof" / "abi" / "Studies.json").read_text())["contractName"]


@pytest.mark.spec("T19")
def test_signature_counts_up_to_its_deadline(desk, study, shown_for, call, function, sign, patient, chain):
    deadline = desk.deadline()
    signature = sign(patient, shown_for(patient, 1, deadline))
    chain.mine(timestamp=deadline)
    call(patient, 1, deadline, signature)
    chain.mine(timestamp=deadline + 1)

    with reverts("MessageExpired", deadline, deadline + 1):
        call(patient, 1, deadline, signature)
    desk.choose(function, study, patient, 1, dry=True)  # who sends has no deadline


@pytest.mark.spec("T19")
def test_signature_counts_once(studies, study, desk, shown_for, function, sign, patient, relayer):
    deadline = desk.deadline()
    given = (patient, study.id, 1, deadline, sign(patient, shown_for(patient, 1, deadline)))
    getattr(studies, function)(*given, {"from": relayer})

    with reverts("ChoiceStale", 1, 1):
        getattr(studies, function).call(*given, {"from": relayer})


@pytest.mark.spec("T19")
def test_signature_has_one_form(desk, shown_for, call, sign, patient):
    deadline = desk.deadline()
    signature = sign(patient, shown_for(patient, 1, deadline))
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (HALF_ORDER - s).to_bytes(32) + bytes([27 + 28 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32)

    for broken in (twin, compact, bytes(65), signature[:64], signature + b"\0", signature[:64] + b"\0"):
        with reverts("SignatureInvalid", patient.address):
            call(patient, 1, deadline, broken)


@pytest.mark.spec("T19")
def test_contract_wallet_signs_and_sends(
    studies, study, desk, shown_for, call, function, sign, wallet, second_patient, stranger
):
    deadline = desk.deadline()
    signature = sign(second_patient, shown_for(wallet, 1, deadline))

    call(wallet, 1, deadline, signature)
    with reverts("SignatureInvalid", wallet.address):
        call(wallet, 1, deadline, sign(stranger, shown_for(wallet, 1, deadline)))
    given = getattr(studies, function).encode_input(wallet, study.id, 1, 0, b"")
    tx = wallet.execute(studies, given, {"from": stranger})
    assert [event.name for event in tx.events] == [{"optIn": "OptedIn", "optOut": "OptedOut"}[function]]


@pytest.mark.spec("T19")
@pytest.mark.parametrize("mood", [REVERTING, BURNING, SHORT, WRONG_ANSWER])
def test_wallet_in_a_bad_mood_has_not_signed(desk, shown_for, call, sign, wallet, second_patient, relayer, mood):
    deadline = desk.deadline()
    signature = sign(second_patient, shown_for(wallet, 1, deadline))
    wallet.setMood(mood, {"from": relayer})

    with reverts("SignatureInvalid", wallet.address):
        call(wallet, 1, deadline, signature)
