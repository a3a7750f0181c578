"""An envelope opened from the standards' own text: RFC 9180, RFC 5869, EIP-712, with hashes, X25519 and AES-GCM alone.

It shares no line with the package: `tests/vectors/sharing.json` holds both to the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_utils.crypto import keccak

# RFC 9180, 7: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0002))


def extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), secret, hashlib.sha256)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    found, block = b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([count]), hashlib.sha256)
        found += block
    return found[:length]


def labelled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def labelled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def hpke_open(wrapped: bytes, private_key: bytes, info: bytes) -> bytes:
    """SetupBaseR and Open, RFC 9180, 4.1, 5.1 and 5.2."""
    private = X25519PrivateKey.from_private_bytes(private_key)
    public, sent, sealed = private.public_key().public_bytes_raw(), wrapped[:32], wrapped[32:]
    exchanged = private.exchange(X25519PublicKey.from_public_bytes(sent))
    shared = labelled_expand(
        KEM_SUITE, labelled_extract(KEM_SUITE, b"", b"eae_prk", exchanged), b"shared_secret", sent + public, 32
    )
    hashes = (
        labelled_extract(SUITE, b"", label, text) for label, text in ((b"psk_id_hash", b""), (b"info_hash", info))
    )
    context = b"\0" + b"".join(hashes)
    secret = labelled_extract(SUITE, shared, b"secret", b"")
    key = labelled_expand(SUITE, secret, b"key", context, 32)
    nonce = labelled_expand(SUITE, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed, b"")


def parts(*values: bytes) -> bytes:
    return b"".join([len(values).to_bytes(8, "big"), *(len(value).to_bytes(8, "big") + value for value in values)])


def octets(text: str | None, length: int = 32) -> bytes:
    return bytes(length) if text is None else bytes.fromhex(text[2:])


def place(recipient: dict[str, Any]) -> bytes:
    return octets(recipient["party"], 20) + octets(recipient["key"])


def context(said: dict[str, Any]) -> bytes:
    return parts(
        b"medproof:message:v1",
        said["chainId"].to_bytes(32, "big"),
        octets(said["registrar"]),
        octets(said["sender"]),
        octets(said["nonce"]),
        said["sentAt"].to_bytes(8, "big"),
        said["block"].to_bytes(8, "big"),
        octets(said["blockHash"]),
        octets(said["thread"]),
        octets(said["inReplyTo"]),
        b"\1" if said["receipt"] else b"\0",
        *map(place, said["recipients"]),
    )


def open_content(said: dict[str, Any], number: int, private_key: bytes) -> tuple[str, str, bytes]:
    """Media type, proof and body of an envelope, as its recipient of that number."""
    recipient = said["recipients"][number]
    info = parts(b"medproof:message:key:v1", context(said), place(recipient))
    secret = hpke_open(octets(recipient["wrapped"]), private_key, info)
    derived = expand(extract(b"", secret), context(said), 64)
    assert derived[32:] == octets(said["keyCommitment"])
    sealed = base64.b64decode(said["ciphertext"])
    text = AESGCM(derived[:32]).decrypt(sealed[:12], sealed[12:], context(said))
    found, start = [], 8
    for _ in range(int.from_bytes(text[:8], "big")):
        length = int.from_bytes(text[start : start + 8], "big")
        found.append(text[start + 8 : start + 8 + length])
        start += 8 + length
    assert not any(text[start:])
    return found[0].decode(), found[1].decode(), found[2]


def word(value: Any) -> bytes:
    """A value of a fixed size as EIP-712 encodes it."""
    if isinstance(value, str):
        return octets(value).rjust(32, b"\0")
    return octets(None) if value is None else int(value).to_bytes(32, "big")


def digest_of(said: dict[str, Any], struct: bytes) -> bytes:
    domain = keccak(
        keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        + keccak(b"MedProof Sharing")
        + keccak(b"1")
        + word(said["chainId"])
        + word(said["registrar"])
    )
    return bytes(keccak(b"\x19\x01" + domain + keccak(struct)))


def message_id(said: dict[str, Any]) -> bytes:
    recipient_type = b"Recipient(address party,bytes32 key,bytes wrapped)"
    message_type = (
        b"Message(address sender,bytes32 nonce,uint64 sentAt,uint64 block,bytes32 blockHash,bytes32 thread,"
        b"bytes32 inReplyTo,bool receipt,Recipient[] recipients,bytes32 keyCommitment,bytes32 ciphertext)"
    )
    recipients = b"".join(
        keccak(keccak(recipient_type) + word(one["party"]) + word(one["key"]) + keccak(octets(one["wrapped"])))
        for one in said["recipients"]
    )
    before = ("sender", "nonce", "sentAt", "block", "blockHash", "thread", "inReplyTo", "receipt")
    return digest_of(
        said,
        keccak(message_type + recipient_type)
        + b"".join(word(said[name]) for name in before)
        + keccak(recipients)
        + word(said["keyCommitment"])
        + keccak(base64.b64decode(said["ciphertext"])),
    )


def receipt_leaf(said: dict[str, Any]) -> bytes:
    receipt_type = b"ReadReceipt(bytes32 message,address sender,address reader,uint64 readAt,bytes32 salt)"
    members = ("message", "sender", "reader", "readAt", "salt")
    return digest_of(said, keccak(receipt_type) + b"".join(word(said[name]) for name in members))
