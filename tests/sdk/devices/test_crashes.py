"""Killed at any point of taking a batch, a gatekeeper loses no reading and stores none twice."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path

import httpx
import pytest

from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.gateway import Settings, create_app
from medproof.policy.device import Device
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from scripts.local_chain import LocalChain
from tests.sdk.devices import crashing
from tests.sdk.devices.conftest import METER, Measure, body_of, codes, send_to
from tests.sdk.gateway.conftest import KEYS, Bridge, Keep, settle

BEFORE = ("judged", "deciding", "records put", "before the commit")  # nothing was taken yet


@pytest.mark.parametrize("point", crashing.POINTS)
def test_killed_at(
    point: str,
    suite: MedProof,
    deployment: Deployment,
    node: LocalChain,
    store: SqlStore,
    tmp_path: Path,
    settings: Settings,
    clinic: LocalSigner,
    registered: Device,
    measure: Measure,
    keep: Keep,
) -> None:
    batch = [measure(number) for number in (1, 2, 3)]
    key = bytes(clinic._account.key)
    arguments = (node.url, deployment, tmp_path / "records.db", KEYS, settings, key, METER.address)
    process = multiprocessing.get_context("fork").Process(
        target=crashing.take, args=(*arguments, body_of(*batch), point)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(store.search(Query()).entries) == (0 if point in BEFORE else 3)

    again = keep()
    status, answer = send_to(httpx.Client(transport=Bridge(create_app(again))), *batch)
    assert (status, codes(answer), answer["last"]) == (200, ["TAKEN"] * 3, 3)
    assert [one["index"] for one in answer["readings"]] == [0, 1, 2]
    settle(again)
    assert again.readings is not None
    assert list(again.readings.log.leaves()) == [one.commitment for one in batch]
    again.readings.anchorer.work()
    entries = store.search(Query()).entries
    assert len(entries) == 3
    for one, entry in zip(batch, entries, strict=True):
        assert again.head.now().pointer(entry.pointer) is not None
        proof = again.readings.prove(entry.pointer)
        assert proof.reading == one
        assert proof.verify(suite).size == 3
    assert [found.size for found in suite.batch_anchor.batches(clinic.address, log=1)] == [3]
