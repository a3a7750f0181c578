"""The envelope's text: one form, bounds before anything is decrypted, and vectors that others can check."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from eth_account import Account

from medproof.errors import ArgumentError, EnvelopeError, ReadReceiptError, SharingError
from medproof.sharing import Content, EncryptionKeys, Envelope, ReadReceipt, key_text
from medproof.sharing.content import FHIR, MAX_CONTENT
from medproof.sharing.envelope import MAX_ENVELOPE
from medproof.signatures import signer_of
from medproof.wallet import Wallet, encryption_path
from scripts.local_chain import ROOT
from tests.sdk.sharing import independent
from tests.sdk.sharing.conftest import changed

VECTORS = json.loads((ROOT / "tests" / "vectors" / "sharing.json").read_text(encoding="utf-8"))
ENVELOPES, RECEIPTS = VECTORS["envelopes"], VECTORS["readReceipts"]
SAID: dict[str, Any] = ENVELOPES[1]["envelope"]
RECEIPT: dict[str, Any] = RECEIPTS[0]["receipt"]
SENDER = Account.from_key(bytes(31) + b"\1").address


def named(vector: dict[str, Any]) -> str:
    return str(vector.get("name", ""))[:20]


# -- vectors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", ENVELOPES, ids=named)
def test_vectors(vector: dict[str, Any]) -> None:
    said, expected = vector["envelope"], vector["content"]
    envelope = Envelope.from_json(json.dumps(said))
    assert json.loads(envelope.to_json()) == said
    assert f"0x{envelope.heading.context.hex()}" == vector["context"]
    assert f"0x{envelope.id.hex()}" == vector["id"]
    assert signer_of(envelope.id, envelope.signature) == said["sender"] == SENDER
    for recipient, private_key in zip(envelope.heading.recipients, vector["privateKeys"], strict=True):
        content = envelope.open(EncryptionKeys([bytes.fromhex(private_key[2:])]), recipient)
        assert content.media_type == expected["mediaType"]
        assert content.body.decode() == expected["body"]
        assert content.proof == expected["proof"]


@pytest.mark.parametrize("vector", ENVELOPES, ids=named)
def test_vectors_from_the_standards_alone(vector: dict[str, Any]) -> None:
    said, expected = vector["envelope"], vector["content"]
    assert f"0x{independent.message_id(said).hex()}" == vector["id"]
    assert f"0x{independent.context(said).hex()}" == vector["context"]
    for number, private_key in enumerate(vector["privateKeys"]):
        found = independent.open_content(said, number, bytes.fromhex(private_key[2:]))
        assert found == (expected["mediaType"], expected["proof"], expected["body"].encode())


@pytest.mark.parametrize("vector", VECTORS["walletKeys"], ids=lambda vector: vector["path"])
def test_vectors_of_patients_keys(vector: dict[str, Any]) -> None:
    at = {"relationship": vector["relationship"], "key": vector["key"]}
    assert encryption_path(vector["custodian"], **at) == vector["path"]
    secret = Wallet(vector["phrase"]).unsafe_encryption_secret(vector["custodian"], **at)
    keys = EncryptionKeys([secret])
    assert [f"0x{value.hex()}" for value in (secret, keys.public)] == [vector["private"], vector["public"]]
    assert key_text(keys.public) == vector["text"]


@pytest.mark.parametrize("vector", RECEIPTS)
def test_vectors_of_read_receipts(vector: dict[str, Any]) -> None:
    said = vector["receipt"]
    receipt = ReadReceipt.from_json(json.dumps(said))
    assert json.loads(receipt.to_json()) == said
    assert f"0x{receipt.leaf.hex()}" == f"0x{independent.receipt_leaf(said).hex()}" == vector["leaf"]
    assert signer_of(receipt.leaf, receipt.signature) == said["reader"]


# -- one form ------------------------------------------------------------------------------------------------------

REFUSED = [
    ("format", "other", "format"),
    ("version", 2, "version"),
    ("version", True, "version"),
    ("version", "1", "version"),
    ("chainId", -1, "chainId"),
    ("chainId", 2**256, "chainId"),
    ("registrar", SAID["registrar"].lower(), "registrar"),
    ("registrar", "0x" + "00" * 20, "registrar"),
    ("sender", None, "sender"),
    ("nonce", SAID["nonce"][:-2], "nonce"),
    ("nonce", SAID["nonce"].replace("7", "G"), "nonce"),
    ("sentAt", 1.5, "sentAt"),
    ("sentAt", 2**64, "sentAt"),
    ("block", "1", "block"),
    ("blockHash", "0x", "blockHash"),
    ("thread", None, "thread"),
    ("thread", "0x" + "00" * 32, "thread"),
    ("inReplyTo", None, "thread"),
    ("receipt", 1, "receipt"),
    ("recipients", [], "recipients"),
    ("recipients", {}, "recipients"),
    ("recipients", [1], "recipients[0]"),
    ("recipients", [SAID["recipients"][0]] * 65, "recipients"),
    ("recipients", [SAID["recipients"][0]] * 2, "recipients"),
    ("recipients.0.party", SAID["sender"].lower(), "recipients[0].party"),
    ("recipients.0.party", ..., "recipients[0].party"),
    ("recipients.0.key", "0x" + "00" * 32, "recipients[0].key"),
    ("recipients.0.key", "0x" + "ff" * 32, "recipients[0].key"),
    ("recipients.0.key", SAID["recipients"][1]["key"], "recipients"),
    ("recipients.1.party", SAID["recipients"][0]["party"], "recipients"),
    ("recipients.0.wrapped", SAID["recipients"][0]["wrapped"][:-2], "recipients[0].wrapped"),
    ("recipients.0.wrapped", SAID["recipients"][0]["wrapped"] + "00", "recipients[0].wrapped"),
    ("recipients.0.more", 1, "recipients[0]"),
    ("keyCommitment", 0, "keyCommitment"),
    ("ciphertext", "", "ciphertext"),
    ("ciphertext", SAID["ciphertext"] + "\n", "ciphertext"),
    ("ciphertext", SAID["ciphertext"].replace("/", "_").replace("+", "-") + "-", "ciphertext"),
    ("ciphertext", "QUJ=", "ciphertext"),  # bits that count for nothing
    ("signature", "0x", "signature"),
    ("signature", "0x" + "00" * 2049, "signature"),
    ("more", 1, ""),
    *((name, ..., name) for name in SAID),
]


@pytest.mark.parametrize(("path", "value", "field"), REFUSED, ids=lambda value: str(value)[:24])
def test_what_is_not_in_its_one_form(path: str, value: Any, field: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        Envelope.from_json(json.dumps(changed(SAID, path, value)))
    assert caught.value.field == field
    assert len(str(caught.value)) < 200


RECEIPT_REFUSED = [
    ("format", "medproof-message", "format"),
    ("version", 0, "version"),
    ("message", None, "message"),
    ("readAt", -1, "readAt"),
    ("signature", "0x", "signature"),
    ("inclusion", 1, "inclusion"),
    ("inclusion", {"log": 0, "batch": 1, "index": 0}, "inclusion.proof"),
    ("inclusion", {"log": 2**32, "batch": 1, "index": 0, "proof": []}, "inclusion.log"),
    ("inclusion", {"log": 0, "batch": 1, "index": 0, "proof": ["0x"]}, "inclusion.proof.0"),
    ("inclusion", {"log": 0, "batch": 1, "index": 0, "proof": {}}, "inclusion.proof"),
    ("inclusion", {"log": 0, "batch": 1, "index": 0, "proof": ["0x" + "00" * 32] * 65}, "inclusion.proof"),
    ("inclusion", {"log": 0, "batch": 1, "index": 0, "proof": [], "more": 1}, "inclusion"),
    ("more", 1, ""),
    *((name, ..., name) for name in RECEIPT),
]


@pytest.mark.parametrize(("path", "value", "field"), RECEIPT_REFUSED, ids=lambda value: str(value)[:24])
def test_a_receipt_that_is_not_in_its_one_form(path: str, value: Any, field: str) -> None:
    with pytest.raises(ReadReceiptError) as caught:
        ReadReceipt.from_json(json.dumps(changed(RECEIPT, path, value)))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "no JSON",
        '"\udc00"',
        b"\xff\xfe",
        "[" * 10_000,
        '{"format": "medproof-message", "format": "medproof-message"}',
        "1" * 5000,
        json.dumps(SAID)[:-1],
    ],
    ids=lambda text: repr(text)[:24],
)
def test_texts_that_are_nothing(text: str | bytes) -> None:
    for kind in (Envelope, ReadReceipt):
        with pytest.raises(SharingError):
            kind.from_json(text)  # type: ignore[attr-defined]


def test_huge_texts_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medproof.hashing.parse", None)
    with pytest.raises(EnvelopeError, match="more than"):
        Envelope.from_json(b" " * (MAX_ENVELOPE + 1))
    with pytest.raises(ReadReceiptError, match="more than"):
        ReadReceipt.from_json(" " * (1 << 17))


def test_any_altered_byte_is_noticed() -> None:
    """Bytes of an envelope's text altered, left out or doubled: it is no envelope, or none that the sender signed."""
    source, text = random.Random(4), json.dumps(SAID).encode()
    genuine, read = Envelope.from_json(text), 0
    for _ in range(400):
        place, bit = source.randrange(len(text)), 1 << source.randrange(7)
        change = source.choice([bytes([text[place] ^ bit]), b"", text[place : place + 1] * 2])
        try:
            envelope = Envelope.from_json(text[:place] + change + text[place + 1 :])
        except EnvelopeError:
            continue
        if envelope != genuine:  # else it was white space
            assert signer_of(envelope.id, envelope.signature) != SENDER
            read += 1
    assert read > 50


# -- contents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["", "text", "Text/Plain", "text/plain\n", "text/plain; x=é", "a" * 64 + "/b"])
def test_media_types(media_type: str) -> None:
    with pytest.raises(ArgumentError, match="no media type"):
        Content(media_type, b"")


def test_contents_that_cannot_be_sent() -> None:
    with pytest.raises(ArgumentError, match="limit is"):
        Content("text/plain", bytes(MAX_CONTENT + 1))
    for media_type, proof in (("text/plain", "{}"), (FHIR, "é"), (FHIR, "x" * 100_000)):
        with pytest.raises(ArgumentError, match="proof"):
            Content(media_type, b"", proof)


def test_a_length_tells_little() -> None:
    assert {len(Content.text("x" * length).encode()) for length in range(0, 900, 50)} == {1024}
    lengths = {len(Content.text("x" * length).encode()) for length in range(10_000, 20_000, 10)}
    assert len(lengths) < 40


@pytest.mark.parametrize(
    "text",
    [
        b"",
        bytes(7),
        bytes(1024),
        (3).to_bytes(8, "big") + b"\xff" * 1016,
        (2).to_bytes(8, "big") + bytes(1016),
        Content.text("Hello").encode() + b"\0",
        Content.text("Hello").encode()[:-1] + b"\1",
        Content.text("Hello").encode().replace(b"text/plain", b"text plain"),
        Content.text("Hello").encode()[:200],
    ],
)
def test_contents_that_are_nothing(text: bytes) -> None:
    with pytest.raises(EnvelopeError, match=r"^content of the envelope"):
        Content.decode(text)
