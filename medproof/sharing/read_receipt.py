"""Read receipts: a reader's signature that it opened a message, anchored on chain through a log of its own.

The leaf of the log is the EIP-712 digest of ``ReadReceipt``, with 32 random bytes in it: the chain shows that there is
an entry, and only who has the receipt can tell for which message.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from medproof.anchoring import Anchorer, LeafLog
from medproof.chain import Sender
from medproof.client import MedProof
from medproof.errors import MedProofError, MerkleProofError, ReadReceiptError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.messages import TypedData
from medproof.sharing.envelope import Envelope
from medproof.sharing.sealing import SKEW, Clock, Opened
from medproof.sharing.typed_data import sharing_data
from medproof.signatures import digest, is_signed_by
from medproof.signing import Signer

__all__ = ["Anchored", "Inclusion", "ReadReceipt", "acknowledge", "anchor", "verify"]

_FORMAT, _VERSION = "medproof-read-receipt", 1
_LONGEST = 1 << 16
_LONGEST_SIGNATURE = 2048
_DEEPEST = 64  # hashes in a proof


@dataclass(frozen=True)
class Inclusion:
    """Where a receipt's leaf stands in the reader's log."""

    log: int  # which of the reader's logs
    batch: int  # the number of the batch with which it was anchored, or of a later one
    index: int  # the leaf's
    proof: tuple[bytes, ...]  # 32 bytes each


@dataclass(frozen=True)
class ReadReceipt:
    """A reader's word that it opened a message."""

    chain_id: int
    registrar: str  # the Registrar's address
    message: bytes  # the message's id
    sender: str  # the identity of the party that sent the message
    reader: str  # the identity of the party that opened it
    read_at: int  # seconds since 1970, as the reader says
    salt: bytes = field(repr=False)  # 32 random bytes
    signature: bytes = field(default=b"", repr=False)  # the reader's
    inclusion: Inclusion | None = None  # None where it is not anchored yet

    @property
    def typed_data(self) -> TypedData:
        """What the reader signs."""
        return sharing_data(
            self.chain_id,
            self.registrar,
            "ReadReceipt",
            {
                "message": self.message,
                "sender": self.sender,
                "reader": self.reader,
                "readAt": self.read_at,
                "salt": self.salt,
            },
        )

    @property
    def leaf(self) -> bytes:
        """The leaf of the reader's log, 32 bytes."""
        return digest(self.typed_data.signable())

    def to_json(self) -> str:
        """The receipt as JSON, for the sender. Whoever has it can tell which message was read."""
        at = self.inclusion
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "chainId": self.chain_id,
                "registrar": self.registrar,
                "message": hex_text(self.message),
                "sender": self.sender,
                "reader": self.reader,
                "readAt": self.read_at,
                "salt": hex_text(self.salt),
                "signature": hex_text(self.signature),
                "inclusion": None if at is None else _inclusion_document(at),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> ReadReceipt:
        """Read what `to_json` wrote. Nothing is checked against the chain.

        Raises:
            ReadReceiptError: it is none, or of an unknown version.
        """
        said = JsonReader.document(text, ReadReceiptError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        receipt = cls(
            chain_id=said.number("chainId", bits=256),
            registrar=said.address("registrar"),
            message=said.hash("message"),
            sender=said.address("sender"),
            reader=said.address("reader"),
            read_at=said.number("readAt"),
            salt=said.hash("salt"),
            signature=said.octets("signature", 1, _LONGEST_SIGNATURE),
            inclusion=_inclusion(said),
        )
        said.finish()
        return receipt


@dataclass(frozen=True)
class Anchored:
    """Where a receipt stands on the chain."""

    block: int  # the block that anchored it, or a later batch of the log
    at: datetime  # the block's time: the message was opened by then


def acknowledge(suite: MedProof, signer: Signer, opened: Opened, *, clock: Clock = time.time) -> ReadReceipt:
    """Sign a receipt for a message that asks for one. `anchor` it before it goes back.

    Args:
        suite: where the reader is registered.
        signer: the account that acts for the reader.
        opened: what was opened, as a party.
        clock: seconds since 1970.

    Raises:
        ReadReceiptError: none is asked for, or the signer does not act for the reader.
        NodeError: the chain cannot be asked.
    """
    heading = opened.envelope.heading
    if not heading.receipt:
        raise ReadReceiptError("", "is not asked for", "Give none")
    if opened.reader is None:
        raise ReadReceiptError(
            "", "can be given by parties alone: nobody else has a log on the chain", "Answer instead"
        )
    standing = suite.registrar.standing(signer.address)
    if standing is None or standing.id != opened.reader:
        raise ReadReceiptError("reader", f"is {opened.reader}, and {signer.address} does not act for it", "Sign as it")
    receipt = ReadReceipt(
        heading.chain_id,
        heading.registrar,
        opened.id,
        heading.sender,
        opened.reader,
        max(int(clock()), heading.sent_at),
        secrets.token_bytes(32),
    )
    return replace(receipt, signature=signer.sign_typed_data(receipt.typed_data))


def anchor(suite: MedProof, receipt: ReadReceipt, log: LeafLog, sender: Sender) -> ReadReceipt:
    """Anchor a receipt on chain, and return it with its inclusion proof. It may be repeated: a receipt has one leaf.

    Args:
        suite: where.
        receipt: what `acknowledge` gave.
        log: a log of the reader's. Several receipts may be appended before one of them is anchored.
        sender: the account that acts for the reader.

    Raises:
        ReadReceiptError: the sender does not act for the reader, or the chain has not taken it yet.
        StoreError, MedProofError: as `LeafLog.append` and `Anchorer.work`.
    """
    anchorer = Anchorer(suite, log, sender, trouble=_raise)
    if anchorer.publisher != receipt.reader:
        raise ReadReceiptError("reader", f"is {receipt.reader}, and {sender.address} does not act for it", "Send as it")
    leaf = receipt.leaf
    log.refresh()
    index = next((place for place, found in enumerate(log.leaves()) if found == leaf), None)
    if index is None:
        index = log.append(leaf)
    anchorer.work()
    state = suite.batch_anchor.latest(receipt.reader, log=log.number)
    if state is None or state.size <= index:
        raise ReadReceiptError("inclusion", "is not on the chain yet", "Anchor it again")
    log.refresh()  # another process may have anchored what it appended since
    return replace(
        receipt, inclusion=Inclusion(log.number, state.number, index, log.inclusion_proof(index, state.size))
    )


def verify(suite: MedProof, receipt: ReadReceipt, envelope: Envelope) -> Anchored:
    """Return where the chain shows that a message was read.

    Args:
        suite: where the reader is registered, through a node that is trusted.
        receipt: what came back.
        envelope: the message that was sent, as the sender kept it.

    Raises:
        ReadReceiptError: it is for another message, of somebody else, forged, or not anchored.
        NodeError: the chain cannot be asked.
    """
    said = envelope.heading
    if (receipt.chain_id, receipt.registrar) != (suite.chain.chain_id, suite.registrar.address):
        raise ReadReceiptError("chainId or registrar", "is of another chain or deployment than this one")
    if (receipt.message, receipt.sender) != (envelope.id, said.sender):
        raise ReadReceiptError("message", "is another one")
    if receipt.reader not in [one.party for one in said.recipients]:
        raise ReadReceiptError("reader", "was not among the recipients")
    if receipt.inclusion is None:
        raise ReadReceiptError("inclusion", "is missing: it is not anchored yet", "Ask the reader to anchor it")
    at = receipt.inclusion
    batch = suite.batch_anchor.batch(receipt.reader, at.batch, log=at.log)
    if batch is None:
        raise ReadReceiptError("inclusion", "names a batch that is not on the chain")
    try:
        suite.batch_anchor.verify_leaf(receipt.reader, receipt.leaf, at.index, at.proof, log=at.log, number=at.batch)
    except MerkleProofError as error:
        raise ReadReceiptError("inclusion", f"does not hold ({error.why})") from error
    account = suite.registrar.account_of(receipt.reader, block=batch.block)
    signable = receipt.typed_data.signable()
    if account is None or not is_signed_by(suite.chain, account, signable, receipt.signature):
        raise ReadReceiptError("signature", "is not that of the reader's account when it was anchored")
    anchored_at = suite.chain.timestamp(batch.block)
    if not said.sent_at <= receipt.read_at <= anchored_at + SKEW:
        raise ReadReceiptError("readAt", "is before the message was sent, or after the receipt was anchored")
    return Anchored(batch.block, datetime.fromtimestamp(anchored_at, UTC))


def _inclusion_document(at: Inclusion) -> JsonObject:
    return {"log": at.log, "batch": at.batch, "index": at.index, "proof": [hex_text(one) for one in at.proof]}


def _inclusion(said: JsonReader) -> Inclusion | None:
    if (value := said.take("inclusion")) is None:
        return None
    inner = JsonReader(value, ReadReceiptError, "inclusion.")
    inclusion = Inclusion(
        inner.number("log", bits=32), inner.number("batch"), inner.number("index"), inner.hashes("proof", _DEEPEST)
    )
    inner.finish()
    return inclusion


def _raise(error: MedProofError) -> None:
    raise error
