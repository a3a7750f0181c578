"""Messages between parties on a chain: who reads them, who cannot, and what is refused."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date

import pytest

from medproof import hashing
from medproof.chain import Chain, UnclearAnswerError
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.errors import (
    ArgumentError,
    CorrespondentError,
    EncryptionKeyError,
    EnvelopeError,
    NodeError,
    UnprovedRecordError,
)
from medproof.fhir import Resource
from medproof.gateway.proof import PROOF, Proof
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import DataClass, PartyKind
from medproof.sharing import (
    Content,
    EncryptionKeys,
    Envelope,
    Opened,
    Recipient,
    key_text,
    open_envelope,
    read_key,
    seal,
)
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL, funded, rpc
from tests.sdk.gateway.conftest import observation
from tests.sdk.relayer.test_contract_wallets import Wallet as ContractWallet
from tests.sdk.sharing.conftest import private

HELLO = Content.text("Please call back.")
DAY = 24 * 60 * 60


@pytest.fixture
def sealed(published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner) -> Envelope:
    """From one clinic to the other."""
    return seal(published, clinic, HELLO, [second_clinic.address])


def opens(suite: MedProof, envelope: Envelope, keys: EncryptionKeys, reader: LocalSigner) -> Opened:
    return open_envelope(suite, envelope, keys, reader=reader.address)


def test_a_message_from_one_clinic_to_another(
    published: MedProof, sealed: Envelope, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    envelope = Envelope.from_json(sealed.to_json())
    opened = opens(published, envelope, second_keys, second_clinic)

    assert opened.content == HELLO
    assert opened.envelope == envelope == sealed
    assert opened.id == sealed.id
    assert (opened.reader, opened.pointers) == (second_clinic.address, ())
    assert "call" not in sealed.to_json()
    assert "call" not in repr(opened)


def test_several_read_one_ciphertext(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    clinic_keys: EncryptionKeys,
    second_keys: EncryptionKeys,
    payer_keys: EncryptionKeys,
    patient_keys: EncryptionKeys,
) -> None:
    to = [second_clinic.address, payer.address, patient_keys.public, clinic.address]
    envelope = seal(published, clinic, HELLO, to)
    for keys, reader in ((second_keys, second_clinic), (payer_keys, payer), (clinic_keys, clinic)):
        assert opens(published, envelope, keys, reader).content == HELLO
    assert open_envelope(published, envelope, patient_keys).content == HELLO


def test_a_patient_is_named_by_her_key_alone(
    published: MedProof, clinic: LocalSigner, patient_keys: EncryptionKeys, second_keys: EncryptionKeys
) -> None:
    envelope = seal(published, clinic, HELLO, [read_key(key_text(patient_keys.public))])
    assert envelope.heading.recipients == (Recipient(None, patient_keys.public),)
    opened = open_envelope(published, envelope, patient_keys)
    assert (opened.content, opened.reader) == (HELLO, None)
    with pytest.raises(EnvelopeError, match="names nobody"):
        open_envelope(published, envelope, second_keys)


def test_answers_and_threads(
    published: MedProof, sealed: Envelope, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    answer = seal(published, second_clinic, HELLO, [clinic.address], in_reply_to=sealed)
    third = seal(published, clinic, HELLO, [second_clinic.address], in_reply_to=answer)
    assert (sealed.heading.thread, sealed.heading.in_reply_to) == (None, None)
    assert (answer.heading.thread, answer.heading.in_reply_to) == (sealed.id, sealed.id)
    assert (third.heading.thread, third.heading.in_reply_to) == (sealed.id, answer.id)


def test_the_same_content_twice_is_two_messages(
    published: MedProof, sealed: Envelope, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    again = seal(published, clinic, HELLO, [second_clinic.address])
    assert again.id != sealed.id
    assert again.ciphertext != sealed.ciphertext


def test_a_sender_whose_account_is_a_contract(
    published: MedProof,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
    admin: LocalSigner,
    far_day: date,
) -> None:
    wallet = ContractWallet(published, fresh_account, stranger)
    kind = PartyKind.PROVIDER
    published.registrar.accredit(wallet.address, kind, credential=CREDENTIAL, valid_until=far_day, sender=admin)
    envelope = seal(published, wallet, HELLO, [second_clinic.address])
    assert envelope.heading.sender == wallet.address
    assert opens(published, envelope, second_keys, second_clinic).content == HELLO
    for mood in ("reverting", "burning", "short", "wrong"):
        wallet.feel(mood)
        with pytest.raises(EnvelopeError, match="signature"):
            opens(published, envelope, second_keys, second_clinic)


# -- records -----------------------------------------------------------------------------------------------------


@pytest.fixture
def proved(published: MedProof, clinic: LocalSigner, patient: LocalSigner) -> tuple[Resource, Proof]:
    """A record whose pointer is on the chain, with its proof."""
    record = observation(id="blood-sugar")
    salted = hashing.seal(record.content)
    key = PointerKey(patient.address, clinic.address, salted.commitment)
    published.record_pointers.post(patient.address, DataClass.LABORATORY, salted.commitment, sender=clinic)
    pointer, block = published.record_pointers.pointer(key), published.chain.block()
    assert pointer is not None
    return record, Proof.of(pointer, salted.salt, block.number, block.hash, "PERMITTED")


def test_a_record_is_checked_against_its_pointer(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    proved: tuple[Resource, Proof],
) -> None:
    record, proof = proved
    envelope = seal(published, clinic, Content.record(record, proof), [second_clinic.address])
    opened = opens(published, envelope, second_keys, second_clinic)
    assert opened.content.resource().content == record.content
    assert opened.content.proof == proof.to_text()
    assert [one.key for one in opened.pointers] == [proof.pointer]

    other = Content.record(observation(id="another"), proof)
    with pytest.raises(UnprovedRecordError, match="salt"):
        opens(published, seal(published, clinic, other, [second_clinic.address]), second_keys, second_clinic)
    none = replace(Content.record(record), proof="no proof")
    with pytest.raises(UnprovedRecordError, match="proof"):
        opens(published, seal(published, clinic, none, [second_clinic.address]), second_keys, second_clinic)


def test_a_bundle_is_checked_entry_by_entry(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    proved: tuple[Resource, Proof],
) -> None:
    record, proof = proved
    extension = [{"url": PROOF, "valueString": proof.to_text()}]
    for resource, holds in ((record, True), (observation(id="another"), False)):
        entries = [{"extension": extension, "resource": resource.content}, {"resource": observation().content}]
        bundle = Resource("Bundle", {"resourceType": "Bundle", "type": "collection", "entry": entries})  # type: ignore[dict-item]
        envelope = seal(published, clinic, Content.record(bundle), [second_clinic.address])
        if holds:
            assert [one.key for one in opens(published, envelope, second_keys, second_clinic).pointers] == [
                proof.pointer
            ]
        else:
            with pytest.raises(UnprovedRecordError):
                opens(published, envelope, second_keys, second_clinic)


def test_a_bundles_entry_has_one_proof(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    proved: tuple[Resource, Proof],
) -> None:
    """Thousands of them would be checked against a large record, one after the other."""
    record, proof = proved
    extension: list[Json] = [{"url": PROOF, "valueString": proof.to_text()}] * 2
    entry: JsonObject = {"extension": extension, "resource": record.content}
    bundle = Resource("Bundle", {"resourceType": "Bundle", "type": "collection", "entry": [entry]})
    envelope = seal(published, clinic, Content.record(bundle), [second_clinic.address])
    with pytest.raises(UnprovedRecordError, match="more than one proof"):
        opens(published, envelope, second_keys, second_clinic)


def test_what_is_called_a_record_is_one(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    for body in (b"", b"[]", b"no record", b'{"resourceType": "Unheard"}', b'{"a": 1, "a": 2}'):
        envelope = seal(published, clinic, Content("application/fhir+json", body), [second_clinic.address])
        with pytest.raises(EnvelopeError, match=r"no FHIR R4 record") as caught:
            opens(published, envelope, second_keys, second_clinic)
        assert "Unheard" not in str(caught.value)


def test_any_bytes(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    content = Content("application/pdf", bytes(range(256)) * 300)
    envelope = Envelope.from_json(seal(published, clinic, content, [second_clinic.address]).to_json())
    assert opens(published, envelope, second_keys, second_clinic).content == content


# -- who may send to whom ----------------------------------------------------------------------------------------


def test_who_may_not_send(
    published: MedProof, stranger: LocalSigner, clinic: LocalSigner, second_clinic: LocalSigner, admin: LocalSigner
) -> None:
    with pytest.raises(CorrespondentError, match="acts for no active party"):
        seal(published, stranger, HELLO, [clinic.address])
    published.registrar.suspend(clinic.address, sender=admin)
    with pytest.raises(CorrespondentError, match="acts for no active party"):
        seal(published, clinic, HELLO, [second_clinic.address])


def test_to_whom_nothing_is_sent(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    researcher: LocalSigner,
    stranger: LocalSigner,
    admin: LocalSigner,
    patient_keys: EncryptionKeys,
) -> None:
    published.registrar.publish_encryption_key(b"\1" + bytes(31), sender=payer)
    for to, words in (
        (stranger.address, "not an active party"),
        (researcher.address, "published no encryption key"),
        (payer.address, "nobody should encrypt to"),
    ):
        with pytest.raises(CorrespondentError, match=words) as caught:
            seal(published, clinic, HELLO, [to])
        assert caught.value.party == to
    with pytest.raises(EncryptionKeyError, match="low order"):
        seal(published, clinic, HELLO, [bytes(32)])
    published.registrar.suspend(second_clinic.address, sender=admin)
    with pytest.raises(CorrespondentError, match="not an active party"):
        seal(published, clinic, HELLO, [second_clinic.address])


def test_recipients_that_cannot_be(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, patient_keys: EncryptionKeys
) -> None:
    for to in ([], [second_clinic.address] * 2, [patient_keys.public] * 2, ["0x1"], [patient_keys.public] * 65):
        with pytest.raises(ArgumentError):
            seal(published, clinic, HELLO, to)
    with pytest.raises(ArgumentError, match="twice"):
        seal(published, clinic, HELLO, [second_clinic.address, second_clinic.address.lower()])
    with pytest.raises(ArgumentError, match="only parties give receipts"):
        seal(published, clinic, HELLO, [patient_keys.public], receipt=True)


def test_a_key_that_is_just_changing(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block that is named is one that will stand; a key that changed after it may yet be the old one."""
    published.registrar.publish_encryption_key(EncryptionKeys([private(9)]).public, sender=second_clinic)
    monkeypatch.setattr(published.chain, "confirmations", 2)
    with pytest.raises(CorrespondentError, match="just changed"):
        seal(published, clinic, HELLO, [second_clinic.address])
    rpc(published.chain, "evm_mine")
    assert seal(published, clinic, HELLO, [second_clinic.address]).heading.block == published.chain.block_number() - 1


# -- what changes between sealing and opening ----------------------------------------------------------------------


def test_a_suspension_in_between(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    admin: LocalSigner,
) -> None:
    arrived = published.chain.block_number()
    for party in (clinic, second_clinic):
        published.registrar.suspend(party.address, sender=admin)
        with pytest.raises(CorrespondentError, match="not an active party") as caught:
            opens(published, sealed, second_keys, second_clinic)
        assert caught.value.party == party.address
        # What came in time may be read again, as of then.
        opened = open_envelope(published, sealed, second_keys, reader=second_clinic.address, at=arrived)
        assert opened.content == HELLO
        published.registrar.reinstate(party.address, sender=admin)
    assert opens(published, sealed, second_keys, second_clinic).content == HELLO


def test_who_was_suspended_cannot_send_under_an_earlier_block(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    admin: LocalSigner,
) -> None:
    published.registrar.suspend(clinic.address, sender=admin)
    backdated = Envelope.seal(sealed.heading, Content.text("written while suspended"))
    backdated = backdated.signed(clinic.sign_typed_data(backdated.typed_data))
    with pytest.raises(CorrespondentError):
        opens(published, backdated, second_keys, second_clinic)


def test_another_recipient_who_was_none(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    stranger: LocalSigner,
    payer: LocalSigner,
) -> None:
    """A sender's own software may seal to anybody; who opens it looks at all of them."""
    for party, words in ((stranger.address, "not an active party"), (payer.address, "another encryption key")):
        others = (*sealed.heading.recipients, Recipient(party, EncryptionKeys([private(9)]).public))
        envelope = Envelope.seal(replace(sealed.heading, recipients=others), HELLO)
        envelope = envelope.signed(clinic.sign_typed_data(envelope.typed_data))
        with pytest.raises(CorrespondentError, match=words):
            opens(published, envelope, second_keys, second_clinic)


def test_rotation_keeps_older_envelopes_readable(
    published: MedProof, sealed: Envelope, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    rotated = EncryptionKeys([private(9), private(2)])
    published.registrar.publish_encryption_key(rotated.public, sender=second_clinic)
    assert opens(published, sealed, rotated, second_clinic).content == HELLO
    newer = seal(published, clinic, HELLO, [second_clinic.address])
    assert newer.heading.recipients[0].key == rotated.public
    assert opens(published, newer, rotated, second_clinic).content == HELLO
    published.registrar.publish_encryption_key(None, sender=second_clinic)
    assert opens(published, newer, rotated, second_clinic).content == HELLO


def test_an_account_that_no_longer_acts_for_the_sender(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    fresh_account: LocalSigner,
) -> None:
    arrived = published.chain.block_number()
    published.registrar.offer_account(fresh_account.address, sender=clinic)
    published.registrar.take_account(clinic.address, sender=fresh_account)
    with pytest.raises(CorrespondentError, match=f"by the account {clinic.address}"):
        opens(published, sealed, second_keys, second_clinic)
    assert open_envelope(published, sealed, second_keys, reader=second_clinic.address, at=arrived).content == HELLO
    # The identity stays, and the new account signs for it.
    newer = seal(published, fresh_account, HELLO, [second_clinic.address])
    assert newer.heading.sender == clinic.address
    assert opens(published, newer, second_keys, second_clinic).content == HELLO


# -- forged, forwarded, replayed -----------------------------------------------------------------------------------


def test_nobody_passes_a_message_off_as_its_own(
    published: MedProof, sealed: Envelope, payer: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    """A recipient, or who saw it on its way, signs the same ciphertext as itself."""
    stolen = replace(sealed, heading=replace(sealed.heading, sender=payer.address))
    stolen = stolen.signed(payer.sign_typed_data(stolen.typed_data))
    with pytest.raises(EnvelopeError, match="does not open"):
        opens(published, stolen, second_keys, second_clinic)


def test_nobody_forwards_a_message_as_if_it_were_for_another(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    payer: LocalSigner,
    payer_keys: EncryptionKeys,
) -> None:
    """The second clinic has the content and the signature, and wants the payer to believe that it was written to it."""
    content = opens(published, sealed, second_keys, second_clinic).content
    forwarded = Envelope.seal(
        replace(sealed.heading, recipients=(Recipient(payer.address, payer_keys.public),)), content
    )
    for signature in (sealed.signature, second_clinic.sign_typed_data(forwarded.typed_data)):
        with pytest.raises(EnvelopeError, match="signature"):
            opens(published, forwarded.signed(signature), payer_keys, payer)


def test_recipients_are_neither_added_nor_taken_away(
    published: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    payer: LocalSigner,
    payer_keys: EncryptionKeys,
) -> None:
    both = seal(published, clinic, HELLO, [second_clinic.address, payer.address])
    first, second = both.heading.recipients
    for places in ((0,), (1, 0), (0, 1, 0)):
        heading = replace(both.heading, recipients=tuple((first, second)[place] for place in places))
        altered = replace(both, heading=heading, wrapped=tuple(both.wrapped[place] for place in places))
        with pytest.raises(EnvelopeError, match="signature"):
            opens(published, altered, second_keys, second_clinic)


def test_a_sender_cannot_say_two_things_in_one_envelope(
    published: MedProof,
    sealed: Envelope,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    payer: LocalSigner,
    payer_keys: EncryptionKeys,
) -> None:
    """AES-GCM alone does not commit to its key: two keys may open one ciphertext. One commitment admits one key."""
    heading = replace(
        sealed.heading,
        recipients=(*sealed.heading.recipients, Recipient(payer.address, payer_keys.public)),
    )
    one, other = Envelope.seal(heading, HELLO), Envelope.seal(heading, Content.text("Something else."))
    mixed = replace(one, wrapped=(one.wrapped[0], other.wrapped[1]))
    mixed = mixed.signed(clinic.sign_typed_data(mixed.typed_data))
    assert opens(published, mixed, second_keys, second_clinic).content == HELLO
    with pytest.raises(EnvelopeError, match="does not open"):
        opens(published, mixed, payer_keys, payer)


def test_a_replay_is_the_same_message(
    published: MedProof, sealed: Envelope, clinic: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    first, again = (opens(published, sealed, second_keys, second_clinic) for _ in range(2))
    assert first.id == again.id
    later = replace(sealed, heading=replace(sealed.heading, nonce=bytes(32)))
    with pytest.raises(EnvelopeError, match="signature"):
        opens(published, later, second_keys, second_clinic)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": bytes(32)},
        {"sent_at": 1},
        {"thread": b"t" * 32, "in_reply_to": b"t" * 32},
        {"receipt": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_heading(
    published: MedProof,
    sealed: Envelope,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    change: dict[str, object],
) -> None:
    if "sent_at" in change:
        change = {"sent_at": sealed.heading.sent_at + 1}
    altered = replace(sealed, heading=replace(sealed.heading, **change))  # type: ignore[arg-type]
    with pytest.raises(EnvelopeError, match="signature"):
        opens(published, altered, second_keys, second_clinic)
    with pytest.raises(EnvelopeError, match="does not open"):  # nor would it, if it were signed
        altered.open(second_keys, altered.heading.recipients[0])


def test_an_altered_body(
    published: MedProof, sealed: Envelope, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    flipped = bytes([sealed.ciphertext[20] ^ 1])
    for altered in (
        replace(sealed, ciphertext=sealed.ciphertext[:20] + flipped + sealed.ciphertext[21:]),
        replace(sealed, ciphertext=sealed.ciphertext[:-1]),
        replace(sealed, ciphertext=b"\0"),
        replace(sealed, key_commitment=bytes(32)),
        replace(sealed, wrapped=(bytes(80),)),
    ):
        with pytest.raises(EnvelopeError, match="signature"):
            opens(published, altered, second_keys, second_clinic)
        with pytest.raises(EnvelopeError, match=r"^The envelope does not open") as caught:
            altered.open(second_keys, altered.heading.recipients[0])
        assert caught.value.__cause__ is None
    for signature in (b"\0", bytes(65), sealed.signature[:-1], sealed.signature[:64] + b"\0"):
        with pytest.raises(EnvelopeError, match="signature"):
            opens(published, sealed.signed(signature), second_keys, second_clinic)


# -- where and when ------------------------------------------------------------------------------------------------


def test_another_chain_or_deployment(
    published: MedProof, sealed: Envelope, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    for change in ({"chain_id": 1}, {"registrar": published.consent_registry.address}):
        elsewhere = replace(sealed, heading=replace(sealed.heading, **change))  # type: ignore[arg-type]
        with pytest.raises(EnvelopeError, match="another chain or deployment"):
            opens(published, elsewhere, second_keys, second_clinic)


def test_blocks_that_do_not_stand(
    published: MedProof, sealed: Envelope, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    for change in (
        {"block": sealed.heading.block - 1},
        {"block": sealed.heading.block + 1},
        {"block": 2**64 - 1},
        {"block_hash": bytes(32)},
    ):
        with pytest.raises(EnvelopeError, match=r"^block of the envelope"):
            opens(published, replace(sealed, heading=replace(sealed.heading, **change)), second_keys, second_clinic)  # type: ignore[arg-type]
    with pytest.raises(EnvelopeError, match="came later than it is read"):
        open_envelope(published, sealed, second_keys, reader=second_clinic.address, at=sealed.heading.block - 1)


def test_clocks(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    ahead = seal(published, clinic, HELLO, [second_clinic.address], clock=lambda: time.time() + DAY)
    with pytest.raises(EnvelopeError, match="more than 300 seconds from now"):
        opens(published, ahead, second_keys, second_clinic)
    behind = seal(published, clinic, HELLO, [second_clinic.address], clock=lambda: 0.0)  # the chain's clock counts
    assert behind.heading.sent_at == published.chain.timestamp()
    assert opens(published, behind, second_keys, second_clinic).content == HELLO
    earlier = replace(behind, heading=replace(behind.heading, sent_at=behind.heading.sent_at - 1))
    earlier = earlier.signed(clinic.sign_typed_data(earlier.typed_data))
    with pytest.raises(EnvelopeError, match="before the block"):
        opens(published, earlier, second_keys, second_clinic)


def test_who_has_no_key_for_it(
    published: MedProof,
    sealed: Envelope,
    payer: LocalSigner,
    payer_keys: EncryptionKeys,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
) -> None:
    for keys, reader in (
        (payer_keys, payer.address),
        (payer_keys, second_clinic.address),
        (second_keys, payer.address),
    ):
        with pytest.raises(EnvelopeError, match="names nobody who has these keys"):
            open_envelope(published, sealed, keys, reader=reader)
    with pytest.raises(EnvelopeError, match="names nobody"):
        open_envelope(published, sealed, second_keys)  # as a patient


def test_a_node_that_is_down(
    published: MedProof,
    sealed: Envelope,
    second_clinic: LocalSigner,
    second_keys: EncryptionKeys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down(*_: object, **__: object) -> None:
        raise UnclearAnswerError("The node does not answer.")

    forged = sealed.signed(funded(9).sign_typed_data(sealed.typed_data))
    for name, envelope in (("block", sealed), ("call", sealed), ("code", forged)):
        with monkeypatch.context() as patched:
            patched.setattr(Chain, name, down)
            with pytest.raises(NodeError):
                opens(published, envelope, second_keys, second_clinic)
