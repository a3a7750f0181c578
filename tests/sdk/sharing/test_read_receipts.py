"""Read receipts: the whole round between two providers on a chain, and every way in which one does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medproof.anchoring import LeafLog
from medproof.client import MedProof
from medproof.errors import ReadReceiptError
from medproof.sharing import (
    Content,
    EncryptionKeys,
    Envelope,
    Opened,
    ReadReceipt,
    acknowledge,
    anchor,
    open_envelope,
    seal,
    verify,
)
from medproof.sharing.read_receipt import Inclusion
from medproof.signing import LocalSigner

REFERRAL = Content.text("Referred to you for a second opinion.")
NUMBER = 7  # of the reader's log


@pytest.fixture
def sent(published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner) -> Envelope:
    """From the first clinic to the second, which is asked for a receipt."""
    return seal(published, clinic, REFERRAL, [second_clinic.address], receipt=True)


@pytest.fixture
def opened(published: MedProof, sent: Envelope, second_clinic: LocalSigner, second_keys: EncryptionKeys) -> Opened:
    return open_envelope(published, sent, second_keys, reader=second_clinic.address)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LeafLog]:
    found = LeafLog(tmp_path / "receipts.db", number=NUMBER)
    yield found
    found.close()


@pytest.fixture
def signed(published: MedProof, opened: Opened, second_clinic: LocalSigner) -> ReadReceipt:
    return acknowledge(published, second_clinic, opened)


@pytest.fixture
def receipt(published: MedProof, signed: ReadReceipt, log: LeafLog, second_clinic: LocalSigner) -> ReadReceipt:
    return anchor(published, signed, log, second_clinic)


def test_the_whole_round(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    log: LeafLog,
) -> None:
    sent = seal(published, clinic, REFERRAL, [second_clinic.address], receipt=True)

    arrived = Envelope.from_json(sent.to_json())
    opened = open_envelope(published, arrived, second_keys, reader=second_clinic.address)
    assert opened.content == REFERRAL
    receipt = anchor(published, acknowledge(published, second_clinic, opened), log, second_clinic)

    back = ReadReceipt.from_json(receipt.to_json())
    found = verify(published, back, sent)
    state = published.batch_anchor.latest(second_clinic.address, log=NUMBER)
    assert state is not None
    assert (back.message, back.reader) == (sent.id, second_clinic.address)
    assert found.block == published.chain.block_number()
    assert found.at == state.anchored_at
    # The chain shows a root; the leaf tells nobody which message it is for.
    assert sent.id not in (state.root, receipt.leaf)
    assert acknowledge(published, second_clinic, opened).leaf != receipt.leaf


def test_receipts_of_several_messages_in_one_batch(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    log: LeafLog,
) -> None:
    messages = [seal(published, clinic, REFERRAL, [second_clinic.address], receipt=True) for _ in range(3)]
    receipts = [
        acknowledge(
            published,
            second_clinic,
            open_envelope(published, sent, second_keys, reader=second_clinic.address),
        )
        for sent in messages
    ]
    log.extend(receipt.leaf for receipt in receipts)
    before = published.chain.block_number()
    anchored = [anchor(published, receipt, log, second_clinic) for receipt in receipts]
    assert published.chain.block_number() == before + 1
    for sent, receipt in zip(messages, anchored, strict=True):
        assert verify(published, receipt, sent).block == before + 1
    with pytest.raises(ReadReceiptError, match="message"):
        verify(published, anchored[0], messages[1])


def test_anchoring_again_changes_nothing(
    published: MedProof,
    sent: Envelope,
    signed: ReadReceipt,
    receipt: ReadReceipt,
    log: LeafLog,
    second_clinic: LocalSigner,
) -> None:
    again = anchor(published, signed, log, second_clinic)
    assert again == receipt
    assert log.size == 1


def test_a_crash_between_append_and_anchor(
    published: MedProof,
    sent: Envelope,
    signed: ReadReceipt,
    log: LeafLog,
    second_clinic: LocalSigner,
    tmp_path: Path,
) -> None:
    log.append(signed.leaf)
    reopened = LeafLog(tmp_path / "receipts.db", number=NUMBER)
    receipt = anchor(published, signed, reopened, second_clinic)
    reopened.close()
    assert log.refresh() == 1
    verify(published, receipt, sent)


def test_a_receipt_stays_good_as_the_log_grows(
    published: MedProof, sent: Envelope, receipt: ReadReceipt, log: LeafLog, second_clinic: LocalSigner, opened: Opened
) -> None:
    later = anchor(published, acknowledge(published, second_clinic, opened), log, second_clinic)
    assert later.inclusion is not None
    assert later.inclusion.batch == 2
    assert verify(published, receipt, sent).block < verify(published, later, sent).block


def test_who_may_give_one(
    published: MedProof,
    opened: Opened,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    stranger: LocalSigner,
    admin: LocalSigner,
) -> None:
    for other in (clinic, stranger):
        with pytest.raises(ReadReceiptError, match="does not act for it"):
            acknowledge(published, other, opened)
    with pytest.raises(ReadReceiptError, match="parties alone"):
        acknowledge(published, stranger, replace(opened, reader=None))
    unasked = seal(published, clinic, REFERRAL, [second_clinic.address])
    with pytest.raises(ReadReceiptError, match="not asked for"):
        acknowledge(
            published,
            second_clinic,
            open_envelope(published, unasked, second_keys, reader=second_clinic.address),
        )
    published.registrar.suspend(second_clinic.address, sender=admin)
    with pytest.raises(ReadReceiptError, match="does not act for it"):
        acknowledge(published, second_clinic, opened)


def test_who_may_anchor_it(published: MedProof, signed: ReadReceipt, log: LeafLog, clinic: LocalSigner) -> None:
    with pytest.raises(ReadReceiptError, match="does not act for it"):
        anchor(published, signed, log, clinic)
    assert log.size == 0


def test_one_that_is_not_anchored(published: MedProof, sent: Envelope, signed: ReadReceipt) -> None:
    with pytest.raises(ReadReceiptError, match="not anchored yet"):
        verify(published, signed, sent)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chain_id": 1}, "chainId or registrar"),
        ({"registrar": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"}, "chainId or registrar"),
        ({"message": bytes(32)}, "message"),
        ({"sender": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"}, "message"),
        ({"reader": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"}, "reader"),
        ({"read_at": 1}, "inclusion"),
        ({"salt": bytes(32)}, "inclusion"),
        ({"signature": bytes(65)}, "signature"),
        ({"inclusion": Inclusion(NUMBER, 2, 0, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER, 0, 0, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER, 2**64 - 1, 0, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER + 1, 1, 0, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER, 1, 1, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER, 1, 2**64 - 1, ())}, "inclusion"),
        ({"inclusion": Inclusion(NUMBER, 1, 0, (bytes(32),))}, "inclusion"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_one_that_does_not_hold(
    published: MedProof, sent: Envelope, receipt: ReadReceipt, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ReadReceiptError) as caught:
        verify(published, replace(receipt, **change), sent)
    assert caught.value.field == field


def test_one_that_another_signed(
    published: MedProof,
    sent: Envelope,
    signed: ReadReceipt,
    log: LeafLog,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    """The sender itself invents the reader's receipt, and even has it anchored."""
    invented = replace(signed, signature=clinic.sign_typed_data(signed.typed_data))
    with pytest.raises(ReadReceiptError, match="signature"):
        verify(published, anchor(published, invented, log, second_clinic), sent)


def test_times_that_cannot_be(
    published: MedProof, sent: Envelope, opened: Opened, log: LeafLog, second_clinic: LocalSigner
) -> None:
    ahead = acknowledge(published, second_clinic, opened, clock=lambda: sent.heading.sent_at + 24 * 3600)
    assert acknowledge(published, second_clinic, opened, clock=lambda: 0).read_at == sent.heading.sent_at
    early = replace(ahead, read_at=sent.heading.sent_at - 1)
    early = replace(early, signature=second_clinic.sign_typed_data(early.typed_data))
    for one in (ahead, early):
        with pytest.raises(ReadReceiptError, match="readAt"):
            verify(published, anchor(published, one, log, second_clinic), sent)


def test_a_reader_whose_account_changed_since(
    published: MedProof,
    sent: Envelope,
    receipt: ReadReceipt,
    second_clinic: LocalSigner,
    fresh_account: LocalSigner,
    admin: LocalSigner,
) -> None:
    """What was anchored stays good: the account that acted when it was anchored counts."""
    published.registrar.offer_account(fresh_account.address, sender=second_clinic)
    published.registrar.take_account(second_clinic.address, sender=fresh_account)
    published.registrar.suspend(second_clinic.address, sender=admin)
    verify(published, receipt, sent)


def test_two_processes_that_anchor_one_log(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    tmp_path: Path,
) -> None:
    """Another process appends and anchors between any two steps of this one."""
    messages = [seal(published, clinic, REFERRAL, [second_clinic.address], receipt=True) for _ in range(2)]
    mine, others = (
        acknowledge(published, second_clinic, open_envelope(published, sent, second_keys, reader=second_clinic.address))
        for sent in messages
    )
    other_log = LeafLog(tmp_path / "receipts.db", number=NUMBER)

    class Raced(LeafLog):
        """A log that another process is always quicker to append to and to anchor."""

        def append(self, leaf: bytes) -> int:
            index = super().append(leaf)
            anchored.append(anchor(published, others, other_log, second_clinic))
            return index

    anchored: list[ReadReceipt] = []
    log = Raced(tmp_path / "receipts.db", number=NUMBER)
    anchored.append(anchor(published, mine, log, second_clinic))
    for receipt, sent in zip(anchored, reversed(messages), strict=True):
        verify(published, receipt, sent)
    log.close()
    other_log.close()
