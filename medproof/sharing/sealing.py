"""Sealing and opening: who may send to whom, by the Registrar, and what must hold before a content is shown."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from medproof.chain import Block
from medproof.client import MedProof
from medproof.client.record_pointers import Pointer
from medproof.errors import ArgumentError, CorrespondentError, EncryptionKeyError, EnvelopeError
from medproof.sharing.content import Content
from medproof.sharing.envelope import MAX_RECIPIENTS, Envelope, Heading, Recipient
from medproof.sharing.keys import EncryptionKeys, checked_key
from medproof.signatures import is_signed_by
from medproof.signing import Signer

__all__ = ["SKEW", "Clock", "Opened", "check_signed", "open_envelope", "seal"]

SKEW = 300
"""Seconds that a sender's clock may be ahead."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Opened:
    """A message whose sender, recipients, time and content were checked."""

    envelope: Envelope  # keep it: it proves to others what the sender said, and an answer refers to it
    reader: str | None  # the identity of the party that opened it; None for a patient
    content: Content
    pointers: tuple[Pointer, ...]  # those on chain that records in it were proved against; empty proves nothing

    @property
    def id(self) -> bytes:
        """The message's id: whoever opens it again finds the same."""
        return self.envelope.id


def seal(
    suite: MedProof,
    signer: Signer,
    content: Content,
    to: Sequence[str | bytes],
    *,
    in_reply_to: Envelope | None = None,
    receipt: bool = False,
    clock: Clock = time.time,
) -> Envelope:
    """Seal and sign a message.

    Args:
        suite: where sender and recipients are registered.
        signer: the account that acts for the sender, an active party.
        content: what it says. Whether the subject permits it is the sender's to see to.
        to: recipients: an active party by its identity, a patient by the public key that she gave (32 bytes).
        in_reply_to: the message that it answers, which this party wrote or read.
        receipt: whether the parties among the recipients are asked for a read receipt.
        clock: seconds since 1970.

    Raises:
        ArgumentError: no recipient, too many, one twice, or a receipt asked for where no party is to read.
        CorrespondentError: sender or recipient is no active party, or has published no key.
        EncryptionKeyError: nobody should encrypt to a recipient's key.
        NodeError: the chain cannot be asked.
    """
    if not 0 < len(to) <= MAX_RECIPIENTS:
        raise ArgumentError(f"A message has 1 to {MAX_RECIPIENTS} recipients, not {len(to)}. Send it several times.")
    newest = suite.chain.block()
    stated = suite.chain.block(max(newest.number - suite.chain.confirmations + 1, 0))  # one that will stand
    party = suite.registrar.standing(signer.address)
    if party is None:
        raise CorrespondentError(signer.address, "acts for no active party", "Ask the authority")
    _check_standing(suite, party.id, signer.address, stated)
    recipients = tuple(_recipient(suite, one, (newest, stated)) for one in to)
    if len({one.key for one in recipients}) != len(recipients):
        raise ArgumentError("A recipient is named twice, or two have one key. Name each once.")
    if receipt and not any(one.party for one in recipients):
        raise ArgumentError("No party is to read it, and only parties give receipts that stand on the chain.")
    heading = Heading(
        chain_id=suite.chain.chain_id,
        registrar=suite.registrar.address,
        sender=party.id,
        nonce=secrets.token_bytes(32),
        sent_at=max(int(clock()), stated.timestamp),
        block=stated.number,
        block_hash=bytes.fromhex(stated.hash[2:]),
        thread=None if in_reply_to is None else in_reply_to.heading.thread or in_reply_to.id,
        in_reply_to=None if in_reply_to is None else in_reply_to.id,
        receipt=receipt,
        recipients=recipients,
    )
    envelope = Envelope.seal(heading, content)
    return envelope.signed(signer.sign_typed_data(envelope.typed_data))


def open_envelope(
    suite: MedProof,
    envelope: Envelope,
    keys: EncryptionKeys,
    *,
    reader: str | None = None,
    at: int | str = "latest",
    clock: Clock = time.time,
) -> Opened:
    """Check an envelope and decrypt it.

    The sender and all recipients must have been active, with these keys, at the block that the envelope names; the
    sender still, by the same account, and the reader at `at`. The node must know how things stood at both.

    Args:
        suite: where they are registered, through a node that the reader trusts.
        envelope: what came.
        keys: the reader's private keys.
        reader: the reader's identity; None for a patient.
        at: the newest block, or to read it again later the block at which it came.
        clock: seconds since 1970.

    Raises:
        EnvelopeError: it is for others, another chain or another time, or was altered or forged.
        CorrespondentError: sender, reader or a recipient was or is not active, or had another key.
        UnprovedRecordError: a record in it is not what its pointer on chain commits to.
        NodeError: the chain cannot be asked.
    """
    said = envelope.heading
    if (said.chain_id, said.registrar) != (suite.chain.chain_id, suite.registrar.address):
        raise EnvelopeError("chainId or registrar", "is of another chain or deployment than this one")
    mine = [one for one in said.recipients if one.party == reader and one.key in keys.all_public]
    if not mine:
        raise EnvelopeError("recipients", "names nobody who has these keys")
    now = suite.chain.block(at)
    stated = _stated_block(suite, said, now, clock)
    check_signed(suite, envelope, (stated, now))
    for one in said.recipients:
        if one.party is not None:
            _check_standing(suite, one.party, None, stated)
            if suite.registrar.encryption_key(one.party, block=stated.number) != one.key:
                raise CorrespondentError(
                    one.party, f"had another encryption key in block {stated.number}", "Ask for it again"
                )
    if reader is not None:
        _check_standing(suite, reader, None, now)
    content = envelope.open(keys, mine[0])
    return Opened(envelope, reader, content, content.verify(suite.record_pointers))


def check_signed(suite: MedProof, envelope: Envelope, blocks: Sequence[Block]) -> None:
    """Return if the sender's account signed the envelope, and acted for the active sender at all these blocks.

    Raises:
        CorrespondentError: the sender was not active, or another account acted for it.
        EnvelopeError: it was altered, or the sender did not sign it.
        NodeError: the chain cannot be asked.
    """
    sender = envelope.heading.sender
    account = suite.registrar.account_of(sender, block=blocks[0].number)
    for block in blocks:
        _check_standing(suite, sender, account, block)
    signable = envelope.typed_data.signable()
    if account is None or not is_signed_by(suite.chain, account, signable, envelope.signature):
        raise EnvelopeError("signature", "is not the sender's for this envelope")


def _stated_block(suite: MedProof, said: Heading, now: Block, clock: Clock) -> Block:
    """The block that the envelope names, if it stands and the time fits."""
    stands = suite.chain.block(said.block) if said.block <= now.number else None
    if stands is None or bytes.fromhex(stands.hash[2:]) != said.block_hash:
        raise EnvelopeError("block", "is not one of this chain, or came later than it is read")
    if said.sent_at < stands.timestamp:
        raise EnvelopeError("sentAt", "is before the block that it names")
    if said.sent_at > max(int(clock()), now.timestamp) + SKEW:
        raise EnvelopeError("sentAt", f"is more than {SKEW} seconds from now: one of the two clocks is wrong")
    return stands


def _recipient(suite: MedProof, one: str | bytes, blocks: Sequence[Block]) -> Recipient:
    if isinstance(one, bytes):
        return Recipient(None, checked_key(one))
    try:
        party = str(to_checksum_address(one))
    except ValueError:
        raise ArgumentError(f"{one!r} is no address. Name a party's identity, or a patient's key as bytes.") from None
    keys = set()
    for block in blocks:
        _check_standing(suite, party, None, block)
        keys.add(suite.registrar.encryption_key(party, block=block.number))
    key = keys.pop()
    if keys:
        raise CorrespondentError(party, "has just changed its encryption key", "Send it again when the change stands")
    if key is None:
        raise CorrespondentError(party, "has published no encryption key", "Ask it to (medproof message key publish)")
    try:
        return Recipient(party, checked_key(key))
    except EncryptionKeyError as error:
        raise CorrespondentError(party, "has published a key that nobody should encrypt to", "Tell it so") from error


def _check_standing(suite: MedProof, party: str, account: str | None, block: Block) -> None:
    """Return if a party was active at a block, and that account (where one is given) acted for it."""
    acting = account or suite.registrar.account_of(party, block=block.number)
    standing = acting and suite.registrar.standing(acting, block=block.number)
    if not standing or standing.id != party:
        raise CorrespondentError(
            party,
            f"was not an active party in block {block.number}" + (f" by the account {account}" if account else ""),
            "Check its identity and its accreditation",
        )
