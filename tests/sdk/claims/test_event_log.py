"""The log of claim events: each stands in it once and on the chain once, whatever is killed, repeated or raced."""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import text

from medproof import hashing
from medproof.anchoring import Anchorer
from medproof.chain import Chain
from medproof.claims import disclosure
from medproof.claims.event_log import ClaimEntry, ClaimEvent, ClaimEventLog, ClaimEventProof, ClaimStep
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import ClaimEventError, LeafProofError, LogDamagedError, MerkleProofError, NamedLogError
from medproof.merkle import EMPTY_ROOT, verify_consistency
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.claims import logging_events
from tests.sdk.claims.claim_examples import claim
from tests.sdk.claims.logging_events import raise_it
from tests.sdk.conftest import rpc

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, UTC)


def hash_of(*parts: object) -> bytes:
    return keccak(text=repr(parts))


def entry(number: int, step: ClaimStep = ClaimStep.SUBMITTED) -> ClaimEntry:
    response = hash_of("response", number) if step is ClaimStep.ADJUDICATED else None
    at = NOON + timedelta(seconds=number)
    return ClaimEntry.step(ClaimEvent(step, hash_of("claim", number), hash_of("nullifier", number), at, response))


ENTRIES = [entry(number) for number in range(12)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims.db"


@pytest.fixture
def log(path: Path) -> Iterator[ClaimEventLog]:
    opened = ClaimEventLog(path)
    yield opened
    opened.close()


@pytest.fixture
def anchored(log: ClaimEventLog, suite: MedProof, clinic: LocalSigner) -> ClaimEventLog:
    log.append(ENTRIES)
    log.settle(suite, clinic.address)
    Anchorer(suite, log.leaves, clinic, trouble=raise_it).work()
    return log


def test_the_same_event_again_is_the_same_leaf(log: ClaimEventLog, path: Path) -> None:
    assert log.append(ENTRIES[:5]) == (range(5), 0)
    root = log.leaves.root()
    assert log.append(ENTRIES[:5]) == (range(5, 5), 5)
    assert log.append(ENTRIES[:2] * 3) == (range(5, 5), 2)
    assert log.leaves.root() == root
    assert log.append(reversed(ENTRIES)) == (range(5, 12), 5)
    assert list(log.entries()) == [*ENTRIES[:5], *reversed(ENTRIES[5:])]
    assert log.append([]) == (range(12, 12), 0)
    again = ClaimEventLog(path)
    assert (again.leaves.root(), list(again.entries(3, 99))) == (log.leaves.root(), list(log.entries(3, 99)))
    again.close()


def test_every_part_of_an_event_is_in_its_leaf() -> None:
    event = ClaimEvent(ClaimStep.ADJUDICATED, hash_of(1), hash_of(2), NOON, hash_of(3))
    leaves = {
        event.leaf,
        *(
            dataclasses.replace(event, **changed).leaf  # type: ignore[arg-type]
            for changed in (
                {"step": ClaimStep.SETTLED},
                {"claim": hash_of(4)},
                {"nullifier": hash_of(4)},
                {"at": NOON + timedelta(microseconds=1)},
                {"response": hash_of(4)},
                {"response": None},
                {"claim": hash_of(2), "nullifier": hash_of(1)},
            )
        ),
    }
    assert len(leaves) == 8
    at = (1_772_452_800_250_000).to_bytes(8, "big")
    parts = [b"medproof:claim-event:v1", b"adjudicated", at, hash_of(1), hash_of(2), hash_of(3)]
    assert event.leaf == keccak((6).to_bytes(8, "big") + b"".join(len(p).to_bytes(8, "big") + p for p in parts))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"claim": b""}, "claim"),
        ({"nullifier": bytes(31)}, "nullifier"),
        ({"response": b""}, "response"),
        ({"response": bytes(33)}, "response"),
        ({"at": datetime(2026, 3, 2, 12)}, "at"),
        ({"at": datetime(1969, 12, 31, tzinfo=UTC)}, "at"),
    ],
)
def test_what_is_no_event(changed: dict[str, object], part: str) -> None:
    with pytest.raises(ClaimEventError) as caught:
        dataclasses.replace(ENTRIES[0].event, **changed)  # type: ignore[arg-type]
    assert caught.value.part == part


@pytest.mark.parametrize(("changed", "part"), [({"name": b""}, "name"), ({"salt": bytes(31)}, "salt")])
def test_what_is_no_entry(changed: dict[str, bytes], part: str) -> None:
    with pytest.raises(ClaimEventError) as caught:
        dataclasses.replace(ENTRIES[0], **changed)  # type: ignore[arg-type]
    assert caught.value.part == part


def test_a_step_that_is_taken_twice_has_an_occasion(log: ClaimEventLog) -> None:
    pended = entry(1, ClaimStep.PENDED).event
    later = dataclasses.replace(pended, at=NOON + timedelta(days=9))
    assert log.append([ClaimEntry.step(pended), ClaimEntry.step(later)]) == (range(1), 0)
    assert log.append([ClaimEntry.step(later, occasion=hash_of("transaction"))]) == (range(1, 2), 0)


def test_a_claim_that_is_read_again_is_logged_once_and_its_salt_is_kept(log: ClaimEventLog) -> None:
    given = [ClaimEntry.submission(claim(number=f"A-{number}"), hash_of(number), NOON) for number in (1, 2, 1)]
    assert log.append(given) == (range(2), 0)
    assert log.append([ClaimEntry.submission(claim(number="A-2"), hash_of(2), NOON + timedelta(hours=1))])[0] == range(
        2, 2
    )
    kept = list(log.entries())
    assert kept == given[:2]
    for number, one in zip((1, 2), kept, strict=True):
        assert one.salt is not None
        assert disclosure.commit(claim(number=f"A-{number}"), one.salt) == one.event.claim
        assert log.find(one.name) == number - 1
    assert log.find(hash_of("another")) is None


def test_all_events_of_a_claim_are_found(log: ClaimEventLog) -> None:
    steps = (ClaimStep.SUBMITTED, ClaimStep.PENDED, ClaimStep.ADJUDICATED, ClaimStep.SETTLED)
    log.append(entry(number, step) for step in steps for number in (1, 2))
    assert log.of_claim(entry(2).event.claim) == (1, 3, 5, 7)
    assert log.of_claim(hash_of("another")) == ()


def test_an_erased_claim_leaves_its_leaf(log: ClaimEventLog, path: Path) -> None:
    first, second = (ClaimEntry.submission(claim(number=f"A-{number}"), hash_of(number), NOON) for number in (1, 2))
    log.append([first, second])
    root = log.leaves.root()
    log.erase(first.event.claim)
    log.erase(first.event.claim)
    kept = list(log.entries())
    assert (kept[0].event, kept[0].salt, kept[1]) == (first.event, None, second)
    assert log.find(first.name) is None
    assert (log.leaves.root(), ClaimEventLog(path).leaves.root()) == (root, root)
    assert first.salt is not None
    stored = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert first.salt not in stored
    assert first.name not in stored
    assert second.salt in stored


def test_interrupted_nothing_is_written(log: ClaimEventLog) -> None:
    def interrupted() -> Iterator[ClaimEntry]:
        yield from ENTRIES[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.append(interrupted())
    assert (log.leaves.size, list(log.entries())) == (0, [])


def test_threads_and_processes_that_give_the_same(log: ClaimEventLog, path: Path) -> None:
    other = ClaimEventLog(path)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: (log, other)[number % 2].append(ENTRIES[number:] + ENTRIES), range(12)))
    assert sum(len(added) for added, _ in found) == 12
    assert (log.leaves.refresh(), other.leaves.refresh()) == (12, 12)
    assert {one.name for one in log.entries()} == {one.name for one in ENTRIES}
    assert log.leaves.root() == other.leaves.root()
    other.close()


@pytest.mark.parametrize("point", logging_events.POINTS)
def test_killed_at(
    point: str, suite: MedProof, deployment: Deployment, node: LocalChain, path: Path, clinic: LocalSigner
) -> None:
    key = bytes(clinic._account.key)
    arguments = (node.url, deployment, path, key, ENTRIES, point)
    process = multiprocessing.get_context("fork").Process(target=logging_events.run, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL

    log = ClaimEventLog(path)
    written = {"opened": 0, "writing": 6, "before the commit": 6}.get(point, 12)
    assert log.append(ENTRIES) == (range(written, 12), written)
    log.settle(suite, clinic.address)
    Anchorer(suite, log.leaves, clinic, trouble=raise_it).work()
    Anchorer(suite, log.leaves, clinic, trouble=raise_it).work()
    assert [batch.size for batch in suite.batch_anchor.batches(clinic.address, log=4)] == [12]
    assert list(log.entries()) == ENTRIES
    for index, proof in enumerate(log.proofs(0, 12)):
        assert (proof.event, proof.leaf.index) == (ENTRIES[index].event, index)
        proof.verify_anchored(suite.batch_anchor)
    log.close()


def test_one_is_proved_to_strangers(anchored: ClaimEventLog, suite: MedProof) -> None:
    proof = ClaimEventProof.from_json(hashing.parse(hashing.canonical(anchored.prove(7).to_json())))
    assert proof == anchored.prove(7)
    assert proof.event == ENTRIES[7].event
    assert proof.verify_anchored(suite.batch_anchor).size == 12
    proof.verify(anchored.leaves.root())
    with pytest.raises(MerkleProofError):
        proof.verify(hash_of("another"))
    forged = dataclasses.replace(proof, event=dataclasses.replace(proof.event, step=ClaimStep.SETTLED))
    for check in (forged.verify, lambda: forged.verify_anchored(suite.batch_anchor)):
        with pytest.raises(MerkleProofError, match="another event's"):
            check()
    with pytest.raises(MerkleProofError):
        dataclasses.replace(proof, leaf=dataclasses.replace(proof.leaf, index=6)).verify_anchored(suite.batch_anchor)


def test_two_houses_a_provider_and_an_auditor(
    suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, tmp_path: Path
) -> None:
    """The provider keeps proofs alone, the auditor a size and a root; neither has a log."""
    kept, seen = [], {}
    for house in (clinic, second_clinic):
        log = ClaimEventLog(tmp_path / f"{house.address}.db")
        log.settle(suite, house.address)
        for some in (ENTRIES[:5], ENTRIES[5:7], ENTRIES[7:]):
            log.append(some)
            Anchorer(suite, log.leaves, house, trouble=raise_it).work()
            now = suite.batch_anchor.latest(house.address, log=4)
            assert now is not None
            size, root = seen.get(house, (0, EMPTY_ROOT))
            asked = log.leaves.consistency_proof(size, now.size)  # of the house
            verify_consistency(size, now.size, asked, root, now.root)
            seen[house] = (now.size, now.root)
        kept.append(log.prove(2).to_json())
        log.close()
    first, second = map(ClaimEventProof.from_json, kept)
    assert (first.event, first.leaf.root) == (second.event, second.leaf.root)
    assert {one.verify_anchored(suite.batch_anchor).number for one in (first, second)} == {3}
    nobody = dataclasses.replace(first, leaf=dataclasses.replace(first.leaf, publisher=suite.registrar.address))
    with pytest.raises(MerkleProofError):
        nobody.verify_anchored(suite.batch_anchor)


def test_a_proof_stays_good_and_later_ones_are_of_the_larger_log(
    anchored: ClaimEventLog, suite: MedProof, clinic: LocalSigner
) -> None:
    before = anchored.prove(3)
    anchored.append([entry(20), entry(21)])
    with pytest.raises(NamedLogError, match="event 12 and is not anchored yet"):
        list(anchored.proofs(0, 14))
    Anchorer(suite, anchored.leaves, clinic, trouble=raise_it).work()
    assert before.verify_anchored(suite.batch_anchor).number == 1
    assert anchored.prove(3).verify_anchored(suite.batch_anchor).number == 2
    assert suite.batch_anchor.audit(clinic.address, anchored.leaves.consistency_proof, log=4) == 2


def test_what_is_not_there_is_not_proved(log: ClaimEventLog, suite: MedProof, payer: LocalSigner) -> None:
    with pytest.raises(NamedLogError, match="has 0 events, and none at 0"):
        log.prove(0)
    log.append(ENTRIES)
    for nowhere in (-1, 12):
        with pytest.raises(NamedLogError, match=f"has 12 events, and none at {nowhere}"):
            log.prove(nowhere)
    with pytest.raises(NamedLogError, match="not anchored yet"):
        log.prove(0)
    log.settle(suite, payer.address)
    with pytest.raises(NamedLogError, match="not anchored yet"):
        log.prove(0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claim_events SET step = 'settled' WHERE position = 5",
        "UPDATE claim_events SET step = 'paid' WHERE position = 5",
        "UPDATE claim_events SET nullifier = x'00' WHERE position = 5",
        "UPDATE claim_events SET at = at + 1 WHERE position = 5",
        "DELETE FROM claim_events WHERE position = 5",
        "UPDATE claim_events SET position = 100 WHERE position = 5",
    ],
)
def test_an_event_that_was_altered_is_found_out(anchored: ClaimEventLog, statement: str) -> None:
    with anchored.leaves.database.writing() as connection:
        connection.execute(text(statement))
    with pytest.raises(LogDamagedError):
        list(anchored.entries())
    with pytest.raises(LogDamagedError):
        anchored.prove(5)


def test_what_is_no_proof(anchored: ClaimEventLog) -> None:
    good = anchored.prove(0).to_json()
    event = good["event"]
    assert isinstance(event, dict)
    changes: list[dict[str, object]] = [
        {"step": "paid"},
        {"at": "yesterday"},
        {"at": "2026-03-02T12:00:00"},
        {"at": 5},
        {"claim": None},
        {"claim": "0x00"},
        {"nullifier": "0x" + "zz" * 32},
        {"response": 1},
    ]
    for changed in changes:
        with pytest.raises(ClaimEventError):
            ClaimEventProof.from_json({**good, "event": {**event, **changed}})  # type: ignore[dict-item]
    for name in event:
        with pytest.raises(ClaimEventError):
            ClaimEventProof.from_json({**good, "event": {key: value for key, value in event.items() if key != name}})
    for value in (None, [], "proof", {}, {"event": None, "leaf": good["leaf"]}):
        with pytest.raises(ClaimEventError):
            ClaimEventProof.from_json(value)  # type: ignore[arg-type]
    with pytest.raises(LeafProofError):
        ClaimEventProof.from_json({"event": good["event"], "leaf": None})


def test_a_chain_that_goes_back_is_anchored_anew(
    anchored: ClaimEventLog, suite: MedProof, chain: Chain, clinic: LocalSigner
) -> None:
    snapshot = rpc(chain, "evm_snapshot")
    anchored.append([entry(20)])
    Anchorer(suite, anchored.leaves, clinic, trouble=raise_it).work()
    rpc(chain, "evm_revert", snapshot)
    Anchorer(suite, anchored.leaves, clinic, trouble=raise_it).work()
    assert [batch.size for batch in suite.batch_anchor.batches(clinic.address, log=4)] == [12, 13]
    anchored.prove(12).verify_anchored(suite.batch_anchor)
