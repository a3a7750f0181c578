"""Pointers are posted together where several wait, each once, whatever happens in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
import types
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from medproof import hashing
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.contract_errors import SubjectMissing
from medproof.deployments import Deployment
from medproof.errors import ArgumentError, ContractError, NodeError, SigningNeededError, StoreUnavailableError
from medproof.gateway import Gatekeeper, Settings
from medproof.gateway.moment import Head
from medproof.gateway.posting import Poster, queue_for
from medproof.policy.codes import DataClass
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner, NodeSigner
from medproof.store import Batch, Entry, SqlStore
from scripts.local_chain import LocalChain
from tests.sdk.conftest import rpc
from tests.sdk.gateway.conftest import KEYS, observation
from tests.sdk.records.conftest import Post, put

pytestmark = pytest.mark.ganache  # rounds are counted: Anvil answers before a transaction is in a block

SUBJECTS = ["0x" + f"{number:02x}" * 20 for number in range(0xA1, 0xA9)]


def batches(suite: MedProof) -> list[int]:
    """The sizes of all batches on the chain."""
    return [event.arguments["size"] for event in suite.record_pointers.events("BatchPosted")]


def alone(suite: MedProof) -> int:
    """How many pointers are on the chain by themselves."""
    return len(list(suite.record_pointers.events("PointerPosted")))


def prove(suite: MedProof, store: SqlStore, entries: list[Entry]) -> None:
    """Each pointer is on the chain, in its own slot or in a batch."""
    pointers = suite.record_pointers
    for entry in entries:
        known = store.batches.place(entry.pointer.id)
        found = pointers.pointer(entry.pointer) if known is None else pointers.batched(entry.pointer, *known)
        assert found is not None
        assert found.data_class is entry.data_class


def done(poster: Poster) -> None:
    poster.recover()
    poster.work()
    assert poster.open == 0


def test_several_are_posted_by_one_root(suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner) -> None:
    entries = put(store, clinic.address, SUBJECTS)
    done(poster())
    assert (batches(suite), alone(suite)) == ([8], 0)
    prove(suite, store, entries)
    for entry in entries:  # nothing on the chain speaks of a subject
        assert list(suite.record_pointers.keys_of(entry.pointer.subject)) == []


def test_one_that_stays_alone_is_posted_by_itself(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner
) -> None:
    entries = put(store, clinic.address, SUBJECTS[:1])
    done(poster())
    assert (batches(suite), alone(suite)) == ([], 1)
    prove(suite, store, entries)


def test_a_full_batch_does_not_wait(suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner) -> None:
    entries = put(store, clinic.address, SUBJECTS[:7])
    working = poster(size=3, wait=3600.0)
    working.recover()
    working.work()
    assert (batches(suite), working.open) == ([3, 3], 1)
    working._wait = 0.0  # the time has come
    working.work()
    assert (batches(suite), alone(suite), working.open) == ([3, 3], 1, 0)
    prove(suite, store, entries)


def test_a_batch_of_one_is_none(suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner) -> None:
    entries = put(store, clinic.address, SUBJECTS[:3])
    done(poster(size=1, wait=3600.0))
    assert (batches(suite), alone(suite)) == ([], 3)
    prove(suite, store, entries)


def test_what_is_on_the_chain_already_is_left_alone(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    by_hand, *others = put(store, clinic.address, SUBJECTS[:3])
    suite.record_pointers.post(by_hand.pointer.subject, by_hand.data_class, by_hand.pointer.commitment, sender=clinic)
    put(store, second_clinic.address, SUBJECTS[:1])  # taken over from another custodian
    done(poster())
    assert (batches(suite), alone(suite)) == ([2], 1)
    prove(suite, store, [by_hand, *others])
    done(poster())  # the next start
    assert (batches(suite), alone(suite)) == ([2], 1)


def test_what_was_sent_and_not_seen_is_found_by_its_root(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner
) -> None:
    entries = put(store, clinic.address, SUBJECTS)
    batch = store.batches.assign([entry.pointer.id for entry in entries])
    assert isinstance(batch, Batch)
    suite.record_pointers.post_batch(batch.root, batch.size, sender=clinic)
    done(poster())
    assert (batches(suite), alone(suite)) == ([8], 0)


def test_what_somebody_else_sends_meanwhile_is_no_trouble(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, clinic.address, SUBJECTS[:2])
    working = poster()
    working.recover()
    posting_batch = suite.record_pointers.posting_batch

    def too_late(root: bytes, size: int) -> dict[str, Any]:
        suite.record_pointers.post_batch(root, size, sender=clinic)
        return posting_batch(root, size)

    monkeypatch.setattr(suite.record_pointers, "posting_batch", too_late)
    working.work()
    assert (batches(suite), working.open) == ([2], 0)


def test_a_pointer_that_the_contract_refuses_holds_nobody_up(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner
) -> None:
    working = poster(size=1)
    bad, good = put(store, clinic.address, ["0x" + "00" * 20, SUBJECTS[0]])
    working.recover()
    with pytest.raises(SubjectMissing):
        working.work()
    assert working.open == 1
    prove(suite, store, [good])
    store.erase(bad.pointer.id)
    done(poster())


def test_erased_before_it_was_posted(suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner) -> None:
    entries = put(store, clinic.address, SUBJECTS[:3])
    working = poster(wait=3600.0)
    working.recover()
    for entry in entries:
        store.erase(entry.pointer.id)
    working._wait = 0.0
    working.work()
    assert (batches(suite), alone(suite), working.open) == ([], 0, 0)


def test_a_store_that_fails_after_it_wrote_is_looked_up_again(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = put(store, clinic.address, SUBJECTS[:3])
    working, troubles = poster(), []
    assign = store.batches.assign

    def lost(pointers: list[bytes]) -> None:
        assign(pointers)
        monkeypatch.undo()
        raise StoreUnavailableError("connection lost at the commit")

    monkeypatch.setattr(store.batches, "assign", lost)
    working._trouble = troubles.append
    working.start()
    for _ in range(1000):
        if troubles and not working.open:
            break
        working._stop.wait(0.01)
    working.stop()
    assert [type(one) for one in troubles] == [StoreUnavailableError]
    assert (batches(suite), alone(suite)) == ([3], 0)
    prove(suite, store, entries)


def test_nothing_is_sent_while_the_node_is_down(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, clinic.address, SUBJECTS[:2])
    working = poster()
    working.recover()

    def down(*_: Any, **__: Any) -> Any:
        raise NodeError("The node does not answer.")

    with monkeypatch.context() as trouble:
        trouble.setattr(suite.chain, "answers", down)
        with pytest.raises(NodeError):
            working.work()
    assert working.open == 2
    working.work()
    assert (batches(suite), working.open) == ([2], 0)


def test_many_writers_at_once(
    suite: MedProof, store: SqlStore, tmp_path: Path, poster: Post, clinic: LocalSigner
) -> None:
    working, patient_store = poster(size=5, wait=0.05), SqlStore(tmp_path / "records.db", KEYS)
    working._trouble = lambda error: None  # its own store is not patient, and busy now and then
    working.start()

    def write(number: int) -> list[Entry]:
        entries = []
        for turn in range(5):
            record = observation(id=f"{number}-{turn}")
            sealed = hashing.seal(record.content)
            key = PointerKey(SUBJECTS[number], clinic.address, sealed.commitment)
            entries.append(patient_store.put(key, record, sealed.salt, data_class=DataClass.LABORATORY))
            working.add(entries[-1].pointer)
            working.add(entries[-1].pointer)  # as a device does that got no answer
        return entries

    with ThreadPoolExecutor(4) as pool:
        entries = [entry for found in pool.map(write, range(4)) for entry in found]
    for _ in range(2000):
        if not working.open:
            break
        working._stop.wait(0.01)
    working.stop()
    patient_store.close()
    assert sum(batches(suite)) + alone(suite) == 20
    assert max(batches(suite)) <= 5
    prove(suite, store, entries)


# -- killed ------------------------------------------------------------------------------------------------------


class CrashingChain(Chain):
    """Kills its process around sending."""

    point = ""

    def answers(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Mapping[str, Any]]:
        sends = any(method == "eth_sendRawTransaction" for method, _ in questions)
        if sends and self.point == "stored":
            die()
        said = super().answers(questions)
        if sends and self.point == "sent":
            die()
        return said


class CrashingSigner(LocalSigner):
    """Kills its process around signing, as `kill -9` does."""

    point = ""

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        if self.point == "before signing":
            die()
        raw = super().sign_transaction(transaction)
        if self.point == "signed":
            die()
        return raw


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if before:
            die()
        function(*arguments, **options)
        die()

    return call


def work(url: str, deployment: Deployment, path: Path, key: bytes, point: str) -> None:
    """A poster in a process of its own, which is killed at a point."""
    suite = MedProof(CrashingChain.connect(url, poll=0.001), deployment)
    store = SqlStore(path, KEYS)
    head = Head(suite, finality=1, max_age=None, refresh=0.0, places=store.batches.place)
    CrashingChain.point = CrashingSigner.point = point
    manager = TransactionManager(suite.chain, path.with_name("records.db.queue"), [CrashingSigner.from_key(key)])
    poster = Poster(suite, store, head, manager, batch_size=3, batch_wait=0.0, trouble=lambda error: None)
    if point in ("before assigning", "assigned"):
        store.batches.assign = dying(store.batches.assign, before=point == "before assigning")  # type: ignore[method-assign]
    if point == "given":
        manager.submit_many = dying(manager.submit_many, before=False)  # type: ignore[method-assign]
    if point == "posted":
        manager.run_once = dying(manager.run_once, before=False)  # type: ignore[method-assign]
    poster.recover()
    poster.work()


@pytest.mark.parametrize(
    "point",
    ["before assigning", "assigned", "given", "before signing", "signed", "stored", "sent", "posted"],
)
def test_killed_at_any_point_no_pointer_is_lost_and_none_posted_twice(
    suite: MedProof,
    deployment: Deployment,
    node: LocalChain,
    store: SqlStore,
    tmp_path: Path,
    poster: Post,
    clinic: LocalSigner,
    point: str,
) -> None:
    suite.chain.wait(suite.chain.send({"to": clinic.address}, sender=clinic))  # Ganache takes a second nonce 0
    entries = put(store, clinic.address, SUBJECTS[:4])
    arguments = (node.url, deployment, tmp_path / "records.db", bytes(clinic._account.key), point)
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    for _ in range(2):  # the second start has nothing to do
        done(poster(size=3))
        assert (batches(suite), alone(suite)) == ([3], 1)
    prove(suite, store, entries)


def test_a_key_of_another_class_is_another_leaf() -> None:
    key = PointerKey(SUBJECTS[0], SUBJECTS[1], b"\x01" * 32)
    assert len({key.leaf(one) for one in DataClass}) == len(list(DataClass))


# -- given up, and sent again ------------------------------------------------------------------------------------


def test_what_the_contract_refused_for_a_while_is_sent_again(
    suite: MedProof, store: SqlStore, poster: Post, admin: LocalSigner, clinic: LocalSigner, settled_at_once: None
) -> None:
    entries = put(store, clinic.address, SUBJECTS[:2])
    working = poster()
    working.recover()
    suite.registrar.suspend(clinic.address, sender=admin)
    with pytest.raises(ContractError):
        working.work()
    assert (batches(suite), working.open) == ([], 2)
    suite.registrar.reinstate(clinic.address, sender=admin)
    for _ in range(3):
        working.work()
    assert (batches(suite), working.open) == ([2], 0)
    prove(suite, store, entries)


def test_what_a_deep_reorganisation_took_back_is_sent_again(
    suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner, settled_at_once: None
) -> None:
    entries = put(store, clinic.address, SUBJECTS[:2])
    snapshot = rpc(suite.chain, "evm_snapshot")
    done(poster())
    rpc(suite.chain, "evm_revert", snapshot)
    assert batches(suite) == []
    working = poster()
    working.recover()
    for _ in range(5):
        working.work()
    assert (batches(suite), working.open) == ([2], 0)
    prove(suite, store, entries)


@pytest.fixture
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medproof.gateway.posting._SETTLING", 0.0)


def test_the_queue_is_beside_the_store_or_named(store: SqlStore, tmp_path: Path) -> None:
    assert queue_for(store, None) == tmp_path / "records.db.queue"
    assert queue_for(store, tmp_path / "other") == tmp_path / "other"
    elsewhere: Any = types.SimpleNamespace()
    assert queue_for(elsewhere, tmp_path / "other") == tmp_path / "other"
    with pytest.raises(ArgumentError, match=r"Settings\.queue, or --queue"):
        queue_for(elsewhere, None)


def test_a_gatekeeper_sends_from_an_account_that_signs_here(
    suite: MedProof, store: SqlStore, settings: Settings, clinic: LocalSigner
) -> None:
    with pytest.raises(SigningNeededError):
        Gatekeeper(suite, store, settings, sender=NodeSigner(clinic.address))
