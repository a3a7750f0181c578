"""A log of documents: all or none, the same again changes nothing, and a proof shows one of them."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medproof import hashing
from medproof.anchoring import Anchorer, Home
from medproof.anchoring.document_log import Document, DocumentLog, DocumentProof
from medproof.client import MedProof
from medproof.errors import LeafProofError, MedProofError, MerkleProofError, NamedLogError
from medproof.leaf_proof import LeafProof
from medproof.signing import LocalSigner

DOCUMENTS = [Document(f"results.csv:{number}", b"%d;6.30" % number) for number in range(12)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def log(path: Path) -> Iterator[DocumentLog]:
    opened = DocumentLog(path)
    yield opened
    opened.close()


def raise_it(error: MedProofError) -> None:
    raise error


@pytest.fixture
def anchored(log: DocumentLog, suite: MedProof, clinic: LocalSigner) -> DocumentLog:
    log.append(DOCUMENTS)
    log.settle(suite, clinic.address)
    Anchorer(suite, log.leaves, clinic, trouble=raise_it).work()
    return log


def test_the_same_again_changes_nothing(log: DocumentLog, path: Path) -> None:
    assert log.append(DOCUMENTS[:5]) == (range(5), 0)
    root = log.leaves.root()
    assert log.append(DOCUMENTS[:5]) == (range(5, 5), 5)
    assert log.append(DOCUMENTS[:2] * 3) == (range(5, 5), 2)
    assert log.leaves.root() == root
    assert log.append(reversed(DOCUMENTS)) == (range(5, 12), 5)
    elsewhere = dataclasses.replace(DOCUMENTS[0], source="other.csv:0")
    assert log.append([elsewhere]) == (range(12, 13), 0)
    again = DocumentLog(path)
    assert again.leaves.root() == log.leaves.root()
    again.close()


def test_interrupted_nothing_is_written(log: DocumentLog, path: Path) -> None:
    def interrupted() -> Iterator[Document]:
        yield from DOCUMENTS[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.append(interrupted())
    assert log.leaves.size == 0
    assert log.append(DOCUMENTS) == (range(12), 0)


def _die_while_appending(path: Path) -> None:
    def die(content: bytes, salt: bytes) -> bytes:
        if content == DOCUMENTS[5].content:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(32)

    hashing.commit_bytes = die
    DocumentLog(path).append(DOCUMENTS)


def test_killed_nothing_is_written(path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_while_appending, args=(path,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    log = DocumentLog(path)
    assert log.append(DOCUMENTS) == (range(12), 0)
    log.close()


def test_two_append_at_once(log: DocumentLog, path: Path) -> None:
    other = DocumentLog(path)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda one: one.append(DOCUMENTS), (log, other)))
    other.close()
    assert sorted((len(added), before) for added, before in found) == [(0, 12), (12, 0)]


def test_one_is_proved_to_strangers(anchored: DocumentLog, suite: MedProof, clinic: LocalSigner) -> None:
    assert anchored.home() == Home(suite.chain.chain_id, suite.batch_anchor.address, clinic.address)
    proof = DocumentProof.from_json(hashing.parse(hashing.canonical(anchored.prove(DOCUMENTS[7]).to_json())))
    assert proof == anchored.prove(DOCUMENTS[7])
    assert proof.opens(DOCUMENTS[7].content)
    assert not proof.opens(DOCUMENTS[6].content)
    assert proof.leaf.verify_anchored(suite.batch_anchor).size == 12
    proof.leaf.verify(anchored.leaves.root())
    for altered in ({"index": 6}, {"size": 13}, {"publisher": suite.registrar.address}, {"log": 1}, {"path": ()}):
        with pytest.raises(MerkleProofError):
            dataclasses.replace(proof.leaf, **altered).verify_anchored(suite.batch_anchor)  # type: ignore[arg-type]
    with pytest.raises(LeafProofError, match="on chain 1"):
        dataclasses.replace(proof.leaf, chain_id=1).verify_anchored(suite.batch_anchor)


def test_what_is_not_there_is_not_proved(anchored: DocumentLog, suite: MedProof, payer: LocalSigner) -> None:
    late = Document("late", b"")
    with pytest.raises(NamedLogError, match="does not have late"):
        anchored.prove(late)
    anchored.append([late])
    with pytest.raises(NamedLogError, match="not anchored yet"):
        anchored.prove(late)
    with pytest.raises(NamedLogError, match="is anchored by"):
        anchored.settle(suite, payer.address)


def test_what_is_no_proof(anchored: DocumentLog) -> None:
    good = anchored.prove(DOCUMENTS[0]).to_json()
    for changes in (
        {"index": -1},
        {"index": True},
        {"size": "12"},
        {"anchor": "0x1"},
        {"publisher": str(good["publisher"]).lower()},
        {"leaf": "0x00"},
        {"salt": None},
        {"path": "0x"},
        {"path": [good["leaf"]] * 65},
        {"root": [1]},
    ):
        with pytest.raises(LeafProofError):
            DocumentProof.from_json({**good, **changes})  # type: ignore[dict-item]
    for value in (None, [], "proof", {}):
        with pytest.raises(LeafProofError):
            LeafProof.from_json(value)  # type: ignore[arg-type]
