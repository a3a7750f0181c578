"""`medproof message` as two clinics and a patient use it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.gateway import Gatekeeper, Settings, create_app
from medproof.gateway.proof import Proof
from medproof.policy.codes import DataClass
from medproof.sharing import EncryptionKeys, Envelope, key_text
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from medproof.wallet import Wallet
from tests.sdk.cli.conftest import PASSWORD, PHRASE, Run
from tests.sdk.gateway.conftest import KEYS, ORIGIN, Bridge, Clock, observation

CHEAP = 1 << 4


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDPROOF_ENCRYPTION_PASSWORD", PASSWORD)


@pytest.fixture
def sender(keys: Path) -> tuple[str, ...]:
    return ("--keystore", str(keys / "1.json"))


@pytest.fixture
def reader(keys: Path) -> tuple[str, ...]:
    return ("--keystore", str(keys / "2.json"))


@pytest.fixture
def private(here: Path, suite: MedProof, second_clinic: LocalSigner) -> EncryptionKeys:
    """The second clinic's keys in a file, which are published."""
    keys = EncryptionKeys.create(here / "lab.keys", PASSWORD, cost=CHEAP)
    suite.registrar.publish_encryption_key(keys.public, sender=second_clinic)
    return keys


@pytest.fixture
def sealed(run: Run, here: Path, private: EncryptionKeys, sender: tuple[str, ...], second_clinic: LocalSigner) -> Path:
    (here / "note.txt").write_text("Please call back.")
    said = run(
        "message", "seal", "note.txt", "--to", second_clinic.address, "--receipt", "--out", "note.envelope", *sender
    )
    assert said.code == 0, said.err
    return here / "note.envelope"


OPEN = ("message", "open", "note.envelope", "--encryption-keys", "lab.keys")


def test_keys(run: Run, here: Path, suite: MedProof, reader: tuple[str, ...], second_clinic: LocalSigner) -> None:
    first = run("message", "key", "new", "lab.keys", "--json").document
    assert stat.S_IMODE((here / "lab.keys").stat().st_mode) == 0o600
    assert run("message", "key", "new", "lab.keys").code == 2  # no key is ever overwritten
    published = run("message", "key", "publish", "lab.keys", "--json", *reader).document
    assert published["key"] == first["key"] == f"0x{suite.registrar.encryption_key(second_clinic.address).hex()}"
    second = run("message", "key", "new", "lab.keys", "--rotate").out.strip()
    assert run("message", "key", "show", "--encryption-keys", "lab.keys").out.strip() == second != first["text"]
    assert run("message", "key", "publish", "--withdraw", *reader).out.startswith("Withdrawn, in block ")
    shown = run("message", "key", "show", "--party", second_clinic.address, "--json").document
    assert [one["key"] for one in shown["keys"]] == [first["key"], None]
    assert "withdrawn" in run("message", "key", "show", "--party", second_clinic.address).out


def test_key_commands_that_cannot_be(run: Run, here: Path, reader: tuple[str, ...], clinic: LocalSigner) -> None:
    for words in (
        ("publish", *reader),
        ("publish", "lab.keys", "--withdraw", *reader),
        ("publish", "nowhere.keys", *reader),
        ("show",),
        ("show", "--party", "0x1"),
        ("new", "nowhere/lab.keys"),
    ):
        said = run("message", "key", *words)
        assert (said.code, said.out) == (2, "")
    assert "has published none" in run("message", "key", "show", "--party", clinic.address).out


def test_the_round_of_a_message_and_its_receipt(
    run: Run, here: Path, sealed: Path, reader: tuple[str, ...], second_clinic: LocalSigner
) -> None:
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    opened = run(*OPEN, "--receipt", "receipt.json", *reader)
    assert (opened.code, opened.out) == (0, "Please call back.\n")
    assert "receipt anchor" in opened.err

    verify = ("message", "receipt", "verify", "receipt.json", "--envelope", "note.envelope")
    assert run(*verify).code == 1  # not anchored yet
    anchor = ("message", "receipt", "anchor", "receipt.json", "--log", "receipts.db", "--number", "3", *reader)
    assert run(*anchor).code == 0
    anchored = (here / "receipt.json").read_text()
    assert run(*anchor).code == 0
    assert (here / "receipt.json").read_text() == anchored

    shown = run(*verify, "--json")
    assert (shown.code, shown.document["shown"]) == (0, True)
    assert shown.document["reader"] == second_clinic.address
    altered = {**json.loads(anchored), "salt": "0x" + "11" * 32}
    (here / "receipt.json").write_text(json.dumps(altered))
    refused = run(*verify, "--json")
    assert (refused.code, refused.document["shown"]) == (1, False)


def test_a_reader_without_a_key_file(run: Run, sealed: Path, second_clinic: LocalSigner, clinic: LocalSigner) -> None:
    said = run(*OPEN, "--reader", second_clinic.address)
    assert (said.code, said.out) == (0, "Please call back.\n")
    assert "name a file by --receipt" in said.err
    assert run(*OPEN, "--reader", clinic.address).code == 2
    assert run(*OPEN).code == 2
    assert run(*OPEN, "--reader", second_clinic.address, "--receipt", "receipt.json").code == 2


def test_a_file_and_an_answer(
    run: Run,
    here: Path,
    sealed: Path,
    reader: tuple[str, ...],
    sender: tuple[str, ...],
    suite: MedProof,
    clinic: LocalSigner,
) -> None:
    keys = EncryptionKeys.create(here / "clinic.keys", PASSWORD, cost=CHEAP)
    suite.registrar.publish_encryption_key(keys.public, sender=clinic)
    (here / "scan.png").write_bytes(b"\x89PNG\0\xff")
    answer = ("--reply-to", "note.envelope", "--out", "answer.envelope", *reader)
    said = run("message", "seal", "scan.png", "--to", clinic.address, "--json", *answer)
    assert said.document["media_type"] == "image/png"
    opening = ("message", "open", "answer.envelope", "--encryption-keys", "clinic.keys", *sender)
    refused = run(*opening)
    assert refused.code == 2
    assert "--out is missing, and it is image/png" in refused.err
    opened = run(*opening, "--out", "received.png", "--receipt", "receipt.json", "--json").document
    assert (here / "received.png").read_bytes() == b"\x89PNG\0\xff"
    assert stat.S_IMODE((here / "received.png").stat().st_mode) == 0o600
    assert opened["in_reply_to"] == f"0x{Envelope.from_json(sealed.read_text()).id.hex()}"
    assert (opened["receipt_wanted"], opened["receipt"]) == (False, None)
    assert not (here / "receipt.json").exists()


def test_a_record_with_its_proof(
    run: Run,
    here: Path,
    private: EncryptionKeys,
    suite: MedProof,
    sender: tuple[str, ...],
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
) -> None:
    record = observation(id="blood-sugar")
    salted = hashing.seal(record.content)
    suite.record_pointers.post(patient.address, DataClass.LABORATORY, salted.commitment, sender=clinic)
    pointer = suite.record_pointers.pointer(PointerKey(patient.address, clinic.address, salted.commitment))
    block = suite.chain.block()
    (here / "record.json").write_bytes(hashing.canonical(record.content))
    (here / "proof.json").write_text(
        Proof.of(pointer, salted.salt, block.number, block.hash, "PERMITTED").to_text() + "\n"
    )
    arguments = ("--to", second_clinic.address, "--proof", "proof.json", "--out", "note.envelope", *sender)
    assert run("message", "seal", "record.json", *arguments).code == 0
    opened = run(*OPEN, "--reader", second_clinic.address, "--out", "received.json", "--json").document
    assert opened["media_type"] == "application/fhir+json"
    assert opened["proved"] == [f"0x{pointer.key.id.hex()}"]
    assert hashing.parse((here / "received.json").read_bytes()) == record.content


def test_a_patient(
    run: Run, here: Path, suite: MedProof, me: tuple[str, ...], sender: tuple[str, ...], clinic: LocalSigner
) -> None:
    text = run("message", "key", "show", *me).out.strip()
    assert text == key_text(EncryptionKeys.of_pseudonym(Wallet(PHRASE), clinic.address).public)
    sealing = run(
        "message", "seal", "-", "--to", text, "--out", "note.envelope", *sender, answer="Your results are in."
    )
    assert sealing.code == 0, sealing.err
    assert run("message", "open", "note.envelope", *me).out == "Your results are in.\n"
    newer = run("message", "key", "show", "--rotations", "1", *me).out.strip()
    assert newer != text
    assert run("message", "open", "note.envelope", "--rotations", "1", *me).code == 0
    mistyped = run("message", "seal", "-", "--to", text[:-1] + "0", "--out", "x", *sender, answer="x")
    assert mistyped.code == 2


def test_a_text_does_nothing_to_the_terminal(
    run: Run, private: EncryptionKeys, sender: tuple[str, ...], second_clinic: LocalSigner
) -> None:
    to = ("--to", second_clinic.address, "--out", "note.envelope", *sender)
    run("message", "seal", "-", *to, answer="a\x1b]0;title\x07b\nc\x9b2J\u202ed [red]e")
    said = run(*OPEN, "--reader", second_clinic.address)
    assert said.out == "a\ufffd]0;title\ufffdb\nc\ufffd2J\ufffdd [red]e\n"


def test_what_cannot_be_sealed_or_opened(
    run: Run,
    here: Path,
    sealed: Path,
    sender: tuple[str, ...],
    reader: tuple[str, ...],
    payer: LocalSigner,
    second_clinic: LocalSigner,
    clinic: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seal = ("message", "seal", "note.txt", "--out", "new.envelope")
    arguments: Any
    for arguments in (
        (*seal, "--to", payer.address, *sender),  # no key
        (*seal, "--to", "0x1", *sender),
        (*seal, "--to", second_clinic.address, "--media-type", "no type", *sender),
        (*seal, "--to", second_clinic.address, "--keystore", clinic.address),  # the node's account
        (*seal, "--to", second_clinic.address, "--reply-to", "note.txt", *sender),
        ("message", "seal", "nowhere.txt", "--out", "new.envelope", "--to", second_clinic.address, *sender),
        ("message", "open", "nowhere.envelope", "--encryption-keys", "lab.keys", *reader),
        ("message", "open", "note.txt", "--encryption-keys", "lab.keys", *reader),
        (*OPEN, "--at", "99999999", *reader),
        (*OPEN[:-2], *reader),
        ("message", "receipt", "anchor", "note.txt", "--log", "receipts.db", *reader),
        ("message", "receipt", "verify", "note.envelope", "--envelope", "note.envelope"),
    ):
        said = run(*arguments)
        assert (said.code, said.out) == (2, ""), arguments
    assert not (here / "new.envelope").exists()
    monkeypatch.setenv("MEDPROOF_ENCRYPTION_PASSWORD", "another")
    assert "does not open with this password" in run(*OPEN, *reader).err


def test_a_mailbox(
    run: Run,
    here: Path,
    sealed: Path,
    suite: MedProof,
    sender: tuple[str, ...],
    reader: tuple[str, ...],
    second_clinic: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader's own gatekeeper takes the message, and gives it to the reader alone."""
    store = SqlStore(here / "records.db", KEYS)
    clock = Clock()  # it started a minute ago
    gatekeeper = Gatekeeper(suite, store, Settings(ORIGIN, max_block_age=None), sender=second_clinic, clock=clock)
    clock.offset = 0.0
    client, app = httpx.Client, create_app(gatekeeper)
    monkeypatch.setattr(httpx, "Client", lambda **_: client(transport=Bridge(app)))
    gatekeeper.start()
    at = ("--gatekeeper", ORIGIN)
    try:
        kept = [run("message", "bring", "note.envelope", *at, *sender, "--json").document["kept"] for _ in range(2)]
        assert kept[0] == kept[1]
        assert run("message", "fetch", "inbox", *at, *sender).code == 4  # refused
        fetched = run("message", "fetch", "inbox", *at, *reader, "--remove", "--json").document
        assert [one["file"] for one in fetched["messages"]] == [f"inbox/{kept[0]}.json"]
        assert run("message", "fetch", "inbox", *at, *reader).out == "Nothing waits.\n"
        assert run("message", "bring", "note.txt", *at, *sender).code == 2  # no envelope
    finally:
        gatekeeper.stop()
        store.close()
    opened = run("message", "open", f"inbox/{kept[0]}.json", "--encryption-keys", "lab.keys", *reader)
    assert opened.out == "Please call back.\n"
