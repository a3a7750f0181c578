"""The envelope: who sends what to whom and when, in the clear; and the content, sealed once for all recipients.

`||` is concatenation, `parts` is `medproof.hashing.encode_parts`, numbers are big-endian: chain id 32 bytes, the others
8, `receipt` 1. Zero stands for no thread, for no earlier message, and for the party of a recipient who is a patient::

    context     parts(["medproof:message:v1", chainId, registrar, sender, nonce, sentAt, block, blockHash, thread,
                       inReplyTo, receipt, party 1 || key 1, party 2 || key 2, …])
    secret      32 random bytes, wrapped to each recipient (`medproof.sharing.keys`) with
    info        parts(["medproof:message:key:v1", context, party || key])
    key || keyCommitment      HKDF-SHA256(secret, no salt, info = context), 64 bytes
    ciphertext  96-bit nonce || AES-256-GCM(key, nonce, content, context)
    id          the EIP-712 digest of Message, which the sender signs

The context stops a copy from passing under another sender, time or list of recipients. The signature is over all of
it, the wrapped keys and the hash of the ciphertext, so that the id is the id of this envelope alone. The key commitment
stops a sender from sealing one ciphertext that two recipients open to two contents.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof.errors import EncryptionKeyError, EnvelopeError
from medproof.hashing import encode_parts
from medproof.json_reader import JsonReader, hex_text
from medproof.messages import TypedData
from medproof.sharing.content import MAX_CONTENT, Content
from medproof.sharing.keys import WRAPPED_LENGTH, EncryptionKeys, checked_key, wrap
from medproof.sharing.typed_data import sharing_data
from medproof.signatures import digest
from medproof.store.keys import KEY_LENGTH, new_key, seal, unseal

__all__ = ["MAX_ENVELOPE", "MAX_RECIPIENTS", "Envelope", "Heading", "Recipient"]

MAX_RECIPIENTS = 64
MAX_ENVELOPE = 26 * 1024 * 1024
"""The most bytes in an envelope's text."""

_FORMAT, _VERSION = "medproof-message", 1
_NOBODY = "0x" + "00" * 20
_NONE = bytes(32)
_LONGEST_CIPHERTEXT = MAX_CONTENT * 9 // 8  # with what padding adds
_LONGEST_SIGNATURE = 2048  # a contract wallet's may hold several


@dataclass(frozen=True)
class Recipient:
    """Who is to read a message: a party by its identity, or a patient by a key alone."""

    party: str | None  # checksummed; None for a patient
    key: bytes  # the public key that it is encrypted to

    @property
    def place(self) -> bytes:
        """The recipient as the context has it."""
        return _address_bytes(self.party or _NOBODY) + self.key


@dataclass(frozen=True)
class Heading:
    """What everybody sees of a message."""

    chain_id: int
    registrar: str  # the Registrar's address
    sender: str  # the party's identity
    nonce: bytes  # 32 random bytes
    sent_at: int  # seconds since 1970, as the sender says
    block: int  # a block that stood when it was sealed
    block_hash: bytes  # 32 bytes
    thread: bytes | None  # the id of the thread's first message; None where this is it
    in_reply_to: bytes | None  # the id of the message that it answers
    receipt: bool  # whether a read receipt is asked for
    recipients: tuple[Recipient, ...]

    @cached_property
    def context(self) -> bytes:
        """What keys and content are bound to."""
        return encode_parts(
            [
                "medproof:message:v1",
                self.chain_id.to_bytes(32, "big"),
                _address_bytes(self.registrar),
                _address_bytes(self.sender),
                self.nonce,
                self.sent_at.to_bytes(8, "big"),
                self.block.to_bytes(8, "big"),
                self.block_hash,
                self.thread or _NONE,
                self.in_reply_to or _NONE,
                bytes([self.receipt]),
                *(recipient.place for recipient in self.recipients),
            ]
        )

    def info(self, recipient: Recipient) -> bytes:
        """What a wrapped key is bound to."""
        return encode_parts(["medproof:message:key:v1", self.context, recipient.place])


@dataclass(frozen=True)
class Envelope:
    """A sealed message; it may go any way to its recipients."""

    heading: Heading
    wrapped: tuple[bytes, ...]  # the secret, for each recipient in order
    key_commitment: bytes  # 32 bytes
    ciphertext: bytes = field(repr=False)
    signature: bytes = field(default=b"", repr=False)  # the sender's

    @classmethod
    def seal(cls, heading: Heading, content: Content) -> Envelope:
        """Encrypt a content to all recipients; the signature is still to come.

        Raises:
            EncryptionKeyError: nobody should encrypt to one of the keys.
        """
        secret = new_key()
        key, commitment = _derived(secret, heading)
        wrapped = tuple(wrap(secret, one.key, heading.info(one)) for one in heading.recipients)
        return cls(heading, wrapped, commitment, seal(key, content.encode(), heading.context))

    def open(self, keys: EncryptionKeys, recipient: Recipient) -> Content:
        """Decrypt it as one of its recipients. Nothing else is checked.

        Raises:
            EnvelopeError: it does not open: it was altered, or made so that it cannot.
        """
        wrapped = self.wrapped[self.heading.recipients.index(recipient)]
        try:
            secret = keys.unwrap(wrapped, recipient.key, self.heading.info(recipient))
            key, commitment = _derived(secret, self.heading)
            if not secrets.compare_digest(commitment, self.key_commitment):
                raise InvalidTag
            text = unseal(key, self.ciphertext, self.heading.context)
        except InvalidTag:
            raise EnvelopeError("", "does not open") from None
        return Content.decode(text)

    @cached_property
    def typed_data(self) -> TypedData:
        """What the sender signs."""
        said = self.heading
        recipients = [
            {"party": recipient.party or _NOBODY, "key": recipient.key, "wrapped": wrapped}
            for recipient, wrapped in zip(said.recipients, self.wrapped, strict=True)
        ]
        return sharing_data(
            said.chain_id,
            said.registrar,
            "Message",
            {
                "sender": said.sender,
                "nonce": said.nonce,
                "sentAt": said.sent_at,
                "block": said.block,
                "blockHash": said.block_hash,
                "thread": said.thread or _NONE,
                "inReplyTo": said.in_reply_to or _NONE,
                "receipt": said.receipt,
                "recipients": recipients,
                "keyCommitment": self.key_commitment,
                "ciphertext": keccak(self.ciphertext),
            },
        )

    @cached_property
    def id(self) -> bytes:
        """The message's id, 32 bytes: no other envelope has it. The signature is not part of it."""
        return digest(self.typed_data.signable())

    def signed(self, signature: bytes) -> Envelope:
        """The envelope with its sender's signature."""
        return replace(self, signature=signature)

    # -- as text ------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The envelope as JSON, to be sent."""
        said = self.heading
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "chainId": said.chain_id,
                "registrar": said.registrar,
                "sender": said.sender,
                "nonce": hex_text(said.nonce),
                "sentAt": said.sent_at,
                "block": said.block,
                "blockHash": hex_text(said.block_hash),
                "thread": said.thread and hex_text(said.thread),
                "inReplyTo": said.in_reply_to and hex_text(said.in_reply_to),
                "receipt": said.receipt,
                "recipients": [
                    {"party": one.party, "key": hex_text(one.key), "wrapped": hex_text(wrapped)}
                    for one, wrapped in zip(said.recipients, self.wrapped, strict=True)
                ],
                "keyCommitment": hex_text(self.key_commitment),
                "ciphertext": base64.b64encode(self.ciphertext).decode("ascii"),
                "signature": hex_text(self.signature),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """Read what `to_json` wrote. Nothing is decrypted, and no signature is checked.

        Raises:
            EnvelopeError: it is none, is too long, of an unknown version, or names a recipient twice.
        """
        said = JsonReader.document(text, EnvelopeError, format=_FORMAT, version=_VERSION, longest=MAX_ENVELOPE)
        heading = Heading(
            chain_id=said.number("chainId", bits=256),
            registrar=said.address("registrar"),
            sender=said.address("sender"),
            nonce=said.hash("nonce"),
            sent_at=said.number("sentAt"),
            block=said.number("block"),
            block_hash=said.hash("blockHash"),
            thread=said.maybe_hash("thread"),
            in_reply_to=said.maybe_hash("inReplyTo"),
            receipt=said.flag("receipt"),
            recipients=(),
        )
        if (heading.thread is None) != (heading.in_reply_to is None):
            raise EnvelopeError("thread", "and inReplyTo do not go with each other")
        places = said.items("recipients", MAX_RECIPIENTS)
        recipients = tuple(_recipient(place) for place in places)
        for names in ([one.key for one in recipients], [one.party for one in recipients if one.party]):
            if len(set(names)) != len(names):
                raise EnvelopeError("recipients", "names one twice")
        envelope = cls(
            replace(heading, recipients=recipients),
            tuple(place.octets("wrapped", WRAPPED_LENGTH, WRAPPED_LENGTH) for place in places),
            said.hash("keyCommitment"),
            said.base64("ciphertext", _LONGEST_CIPHERTEXT),
            said.octets("signature", 1, _LONGEST_SIGNATURE),
        )
        for one in (said, *places):
            one.finish()
        return envelope


def _recipient(said: JsonReader) -> Recipient:
    party = None if said.take("party") is None else said.address("party")
    key = said.hash("key")
    try:
        return Recipient(party, checked_key(key))
    except EncryptionKeyError:
        raise EnvelopeError(said.path("key"), "is one that nobody should encrypt to") from None


def _derived(secret: bytes, heading: Heading) -> tuple[bytes, bytes]:
    """The content's key, and what commits to it."""
    derived = HKDF(SHA256(), length=2 * KEY_LENGTH, salt=None, info=heading.context).derive(secret)
    return derived[:KEY_LENGTH], derived[KEY_LENGTH:]


def _address_bytes(address: str) -> bytes:
    return bytes.fromhex(to_checksum_address(address)[2:])
