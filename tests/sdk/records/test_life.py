"""The whole life of a pointer, with three custodians and their gatekeepers on one chain."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from medproof import fhir, hashing
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.record_pointers import Pointer, PointerKey, Status
from medproof.contract_errors import CallFailed, CustodianRequired, CustodyNotOffered, PointerNotDisputed
from medproof.errors import GatekeeperRefusalError, UnprovedRecordError
from medproof.fhir import Resource
from medproof.gateway import Claims, Gatekeeper, GatekeeperClient, Proof, Settings, create_app
from medproof.gateway.custody import take_over
from medproof.policy.codes import DataClass, PartyKind
from medproof.policy.word import Rule
from medproof.recovery import recover
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from medproof.timeline import timeline
from medproof.wallet import Wallet
from tests.sdk.conftest import CREDENTIAL, funded
from tests.sdk.gateway.conftest import KEYS, TREATMENT, Bridge, Clock, settle
from tests.sdk.records.conftest import put

REASON = hashing.commit_bytes(b"It was not my blood.", bytes(range(32)))


@dataclass(frozen=True)
class Custodian:
    """A provider with its records and its gatekeeper."""

    signer: LocalSigner
    origin: str
    store: SqlStore
    gatekeeper: Gatekeeper
    http: httpx.Client

    @property
    def identity(self) -> str:
        return self.signer.address

    def client(self, suite: MedProof, by: LocalSigner, claims: Claims = TREATMENT) -> GatekeeperClient:
        return GatekeeperClient(self.origin, suite, by, claims=claims, http=self.http)


Found = Callable[..., Custodian]


@pytest.fixture
def found(suite: MedProof, tmp_path: Path, empty_store: Path, clock: Clock, relayer: LocalSigner) -> Iterator[Found]:
    """Open a custodian's gatekeeper."""
    open_: list[Custodian] = []

    def build(signer: LocalSigner, name: str) -> Custodian:
        store = SqlStore(Path(shutil.copy(empty_store, tmp_path / f"{name}.db")), KEYS)
        origin = f"https://{name}.example.org"
        settings = Settings(
            origin, writers=frozenset({relayer.address}), max_block_age=None, refresh=0.0, batch_wait=0.0
        )
        clock.offset = -60.0
        gatekeeper = Gatekeeper(suite, store, settings, sender=signer, clock=clock)
        clock.offset = 0.0
        http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        open_.append(Custodian(signer, origin, store, gatekeeper, http))
        return open_[-1]

    yield build
    for one in open_:
        one.gatekeeper.stop()
        one.store.close()


@pytest.fixture
def third_clinic(suite: MedProof, admin: LocalSigner, fresh_account: LocalSigner, rule: Rule) -> LocalSigner:
    assert rule.valid_until is not None
    suite.registrar.accredit(
        fresh_account.address,
        PartyKind.PROVIDER,
        credential=CREDENTIAL,
        valid_until=rule.valid_until.date(),
        sender=admin,
    )
    return fresh_account


@pytest.fixture
def custodians(
    found: Found, clinic: LocalSigner, second_clinic: LocalSigner, third_clinic: LocalSigner
) -> list[Custodian]:
    return [found(clinic, "first"), found(second_clinic, "second"), found(third_clinic, "third")]


@pytest.fixture
def wallet() -> Wallet:
    return Wallet.create()[0]


def posted(custodian: Custodian, *subjects: str) -> list[PointerKey]:
    """Records of these subjects, posted by the custodian's gatekeeper in one go."""
    entries = put(custodian.store, custodian.identity, subjects)
    custodian.gatekeeper.start()
    poster = custodian.gatekeeper.poster
    assert poster is not None
    while not poster._recovered:
        time.sleep(0.01)
    settle(custodian.gatekeeper)
    return [entry.pointer for entry in entries]


def batched(suite: MedProof, custodian: Custodian, key: PointerKey) -> Pointer:
    known = custodian.store.batches.place(key.id)
    assert known is not None
    return suite.record_pointers.batched(key, *known)


def opened_with(
    suite: MedProof, custodian: Custodian, by: LocalSigner, key: PointerKey, answer: SignedMessage
) -> list[SignedMessage]:
    pointer = batched(suite, custodian, key)
    assert pointer.place is not None
    return [suite.record_pointers.sign_opening(by, key, pointer.data_class, pointer.place), answer]


def status(suite: MedProof, key: PointerKey) -> Status:
    pointer = suite.record_pointers.pointer(key)
    assert pointer is not None
    return pointer.status


# -- answers -----------------------------------------------------------------------------------------------------


def test_a_batched_pointer_is_disputed_denied_disputed_and_amended(
    suite: MedProof, found: Found, clinic: LocalSigner, relayer: LocalSigner, wallet: Wallet, stranger: LocalSigner
) -> None:
    custodian, pointers = found(clinic, "first"), suite.record_pointers
    subject = wallet.pseudonym(clinic.address)
    [key, *_] = posted(custodian, subject.address, stranger.address, stranger.address)
    messages = opened_with(suite, custodian, subject, key, pointers.sign_dispute(subject, key, reason=REASON))
    messages = [SignedMessage.from_json(one.to_json()) for one in messages]  # as they get to a relayer
    receipt = pointers.relay_many(messages, sender=relayer)
    assert [event.name for event in receipt.events(pointers.contract)] == [
        "PointerPosted",
        "PointerOpened",
        "PointerDisputed",
    ]
    assert status(suite, key) is Status.DISPUTED
    with pytest.raises(CallFailed):  # once, and all or none
        pointers.relay_many(messages, sender=relayer)

    pointers.deny_dispute(key, reason=REASON, sender=clinic)
    assert status(suite, key) is Status.DISPUTE_DENIED
    with pytest.raises(PointerNotDisputed):
        pointers.deny_dispute(key, reason=REASON, sender=clinic)
    pointers.relay(pointers.sign_dispute(subject, key), sender=relayer)

    stored = custodian.store.get_pointed(key.id)
    mended = fhir.load({**stored.resource.content, "status": "entered-in-error"})
    sealed = hashing.seal(mended.content)
    newer = PointerKey(key.subject, clinic.address, sealed.commitment)
    custodian.store.put(newer, mended, sealed.salt, data_class=stored.entry.data_class, replaces=key.id)
    assert pointers.amend(key, sealed.commitment, sender=clinic)[0] == newer
    assert status(suite, key) is Status.AMENDED
    fetched = custodian.client(suite, subject).fetch("Observation", str(mended.id))
    assert (fetched.pointer.version, fetched.pointer.key, fetched.record.content) == (2, newer, mended.content)
    custodian.gatekeeper.stop()
    custodian.gatekeeper.start()  # finds nothing to post
    settle(custodian.gatekeeper)
    assert len(list(pointers.events("BatchPosted"))) == 1


def test_a_subject_accepts_what_is_in_a_batch(
    suite: MedProof, found: Found, clinic: LocalSigner, relayer: LocalSigner, wallet: Wallet
) -> None:
    custodian, pointers = found(clinic, "first"), suite.record_pointers
    subject = wallet.pseudonym(clinic.address)
    key, _ = posted(custodian, subject.address, subject.address)
    answer = pointers.sign_acceptance(subject, key)
    with pytest.raises(CallFailed):  # nothing is accepted that was not opened
        pointers.relay_many([answer], sender=relayer)
    pointers.relay_many(opened_with(suite, custodian, subject, key, answer), sender=relayer)
    assert status(suite, key) is Status.ACCEPTED


# -- custody -----------------------------------------------------------------------------------------------------


def test_custody_passes_with_the_record(
    suite: MedProof,
    found: Found,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    wallet: Wallet,
    stranger: LocalSigner,
) -> None:
    old, new, pointers = found(clinic, "first"), found(second_clinic, "second"), suite.record_pointers
    new.gatekeeper.start()
    subject = wallet.pseudonym(clinic.address)
    key, other = posted(old, subject.address, stranger.address)
    handed = old.store.get_pointed(key.id)
    at_old, at_new = old.client(suite, subject), new.client(suite, subject)
    fetched = at_old.fetch("Observation", str(handed.resource.id))

    with pytest.raises(UnprovedRecordError):  # what is in a batch stays where it is
        take_over(new.store, fetched.record, fetched.proof, pointers)
    pointer = batched(suite, old, key)
    assert pointer.place is not None
    pointers.open(key, pointer.data_class, pointer.place, sender=clinic)
    pointers.offer_custody(key, second_clinic.address, sender=clinic)
    forged = Resource("Observation", {**handed.resource.content, "status": "amended"})
    with pytest.raises(UnprovedRecordError):
        take_over(new.store, forged, fetched.proof, pointers)
    entry = take_over(new.store, fetched.record, fetched.proof, pointers)
    assert take_over(new.store, fetched.record, fetched.proof, pointers) == entry
    assert (entry.pointer, entry.days, entry.data_class) == (key, entry.days, DataClass.LABORATORY)
    with pytest.raises(GatekeeperRefusalError):  # it has the record, and not yet the custody
        at_new.fetch("Observation", str(handed.resource.id))
    assert at_old.fetch("Observation", str(handed.resource.id)).pointer.custodian == clinic.address

    block = pointers.take_custody(key, sender=second_clinic).block
    served = at_new.fetch("Observation", str(handed.resource.id))
    assert (served.record.content, served.pointer.custodian) == (handed.resource.content, second_clinic.address)
    assert served.proof.block >= block
    for ask in (
        lambda: at_old.fetch("Observation", str(handed.resource.id)),
        lambda: next(iter(at_old.pointers(subject.address))),
    ):
        with pytest.raises((GatekeeperRefusalError, StopIteration)):
            ask()
    [listed] = at_new.pointers(subject.address)
    assert listed.pointer.key == key
    new.gatekeeper.stop()
    new.gatekeeper.start()  # what came from another custodian is not posted
    settle(new.gatekeeper)
    assert len(list(pointers.events("PointerPosted"))) == 1

    with pytest.raises(CustodianRequired):
        pointers.amend(key, REASON, sender=clinic)
    with pytest.raises(CustodyNotOffered):
        pointers.take_custody(key, sender=second_clinic)
    assert status(suite, key) is Status.POSTED
    assert batched(suite, old, other).place is not None  # the others of the batch are where they were


# -- the longitudinal record -------------------------------------------------------------------------------------


@pytest.fixture
def records(suite: MedProof, custodians: list[Custodian], wallet: Wallet, stranger: LocalSigner) -> list[PointerKey]:
    """One record of the patient's at each custodian, in batches with those of others; the last one alone as well."""
    keys = []
    for custodian in custodians:
        subject = wallet.pseudonym(custodian.identity).address
        keys += posted(custodian, subject, stranger.address, funded(11).address)[:1]
    return keys


def asking(suite: MedProof, custodians: Iterable[Custodian]) -> Callable[[str, LocalSigner], Iterable[Pointer]]:
    """Ask these custodians' gatekeepers, as the pseudonym itself."""
    known = {one.identity: one for one in custodians}

    def listings(custodian: str, subject: LocalSigner) -> Iterable[Pointer]:
        if custodian not in known:
            return ()
        pointers = [one.pointer for one in known[custodian].client(suite, subject).pointers(subject.address)]
        return [*pointers, *pointers]  # said twice, it is told once

    return listings


def test_the_chain_alone_shows_nothing_of_what_is_in_batches(
    suite: MedProof, records: list[PointerKey], wallet: Wallet
) -> None:
    assert len(records) == 3
    assert list(timeline(suite, wallet)) == []
    assert list(recover(suite, wallet)) == []


def test_a_timeline_over_three_custodians(
    suite: MedProof,
    custodians: list[Custodian],
    records: list[PointerKey],
    wallet: Wallet,
    relayer: LocalSigner,
    clinic: LocalSigner,
) -> None:
    pointers, listings = suite.record_pointers, asking(suite, custodians)
    first, second, third = records
    subject = wallet.pseudonym(custodians[1].identity)
    answer = pointers.sign_dispute(subject, second)
    pointers.relay_many(opened_with(suite, custodians[1], subject, second, answer), sender=relayer)
    pointers.deny_dispute(second, reason=REASON, sender=custodians[1].signer)
    said = [
        (entry.custodian, entry.event.name, entry.pointer, entry.data_class)
        for entry in timeline(suite, wallet, listings=listings)
    ]
    laboratory = DataClass.LABORATORY
    assert said == [
        (custodians[0].identity, "BatchPosted", first, laboratory),
        (custodians[2].identity, "BatchPosted", third, laboratory),
        (custodians[1].identity, "PointerPosted", second, laboratory),
        (custodians[1].identity, "PointerOpened", second, laboratory),
        (custodians[1].identity, "PointerDisputed", second, laboratory),
        (custodians[1].identity, "DisputeDenied", second, laboratory),
    ]
    entries = list(timeline(suite, wallet, listings=asking(suite, custodians[:1])))
    assert [entry.event.name for entry in entries] == ["BatchPosted"] + [name for _, name, _, _ in said[2:]]
    assert all(one.when <= other.when for one, other in pairwise(entries))
    relationships = {one.custodian: one for one in recover(suite, wallet, listings=listings)}
    assert [pointer.key for pointer in relationships[custodians[0].identity].batched] == [first]
    assert relationships[custodians[1].identity].pointers == (second,)
    assert relationships[custodians[1].identity].batched == ()


def test_a_custodian_that_lists_what_is_not_so_is_not_believed(
    suite: MedProof, custodians: list[Custodian], records: list[PointerKey], wallet: Wallet
) -> None:
    pointer = batched(suite, custodians[0], records[0])
    assert pointer.place is not None

    def saying(said: Pointer) -> Callable[[str, LocalSigner], Iterable[Pointer]]:
        return lambda custodian, _: [said] if custodian == custodians[0].identity else ()

    for lie, field in (
        (replace(pointer, data_class=DataClass.IMAGING), "place"),
        (replace(pointer, place=replace(pointer.place, root=REASON)), "place"),
        (replace(pointer, key=replace(records[0], commitment=REASON)), "place"),
        (replace(pointer, key=replace(records[0], subject=records[1].subject)), "subject"),
    ):
        with pytest.raises(UnprovedRecordError) as caught:
            list(timeline(suite, wallet, listings=saying(lie)))
        assert caught.value.field == field


def test_a_custodian_that_does_not_answer_leaves_no_gap_unsaid(
    suite: MedProof, custodians: list[Custodian], records: list[PointerKey], wallet: Wallet
) -> None:
    down = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    silent = [replace(custodians[0], http=down), *custodians[1:]]
    with pytest.raises(GatekeeperRefusalError):
        list(timeline(suite, wallet, listings=asking(suite, silent)))


def test_proofs_of_the_three_are_told_apart(
    suite: MedProof, custodians: list[Custodian], records: list[PointerKey], wallet: Wallet
) -> None:
    fetched = []
    for custodian, key in zip(custodians, records, strict=True):
        subject = wallet.pseudonym(custodian.identity)
        stored = custodian.store.get_pointed(key.id)
        fetched.append(custodian.client(suite, subject).fetch("Observation", str(stored.resource.id)))
    for number, one in enumerate(fetched):
        other = fetched[number - 1]
        swapped: Proof = replace(one.proof, place=other.proof.place)
        with pytest.raises(UnprovedRecordError) as caught:
            swapped.verify(one.record.content, suite.record_pointers)
        assert caught.value.field == "root"  # a batch of another custodian
