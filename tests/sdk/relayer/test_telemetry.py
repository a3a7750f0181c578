"""What operators see of a relayer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.errors import NodeError
from medproof.relayer.telemetry import RelayingMetrics
from medproof.signing import LocalSigner
from tests.sdk.relayer.conftest import Open
from tests.support.metrics import samples

Grant = Callable[..., SignedMessage]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def labelled(seen: RelayingMetrics, name: str) -> dict[str, float]:
    """A metric's values by those of its one label."""
    found = {}
    for (sample, labels), value in samples(seen.metrics.text().decode()).items():
        if sample == f"medproof_relayer_{name}":
            found[next((value for _, value in labels), "")] = value
    return found


def test_from_queued_to_confirmed(
    open_relayer: Open, grant: Grant, chain: Chain, patient: LocalSigner, relayer: LocalSigner
) -> None:
    clock = Clock()
    seen = RelayingMetrics(now=clock)
    work = open_relayer(progress=seen.progress)
    seen.watch(work, chain)
    states = ("queued", "sent", "mined", "confirmed", "refused", "expired")
    assert labelled(seen, "messages") == dict.fromkeys(states, 0)
    assert labelled(seen, "oldest_open_seconds") == {"": 0}
    work.submit(grant(patient))
    clock.ahead = 50
    assert labelled(seen, "messages") == {**dict.fromkeys(states, 0), "queued": 1}
    assert 50 <= labelled(seen, "oldest_open_seconds")[""] < 80
    while work.run_once(flush=True):
        pass
    assert labelled(seen, "messages") == {**dict.fromkeys(states, 0), "confirmed": 1}
    assert labelled(seen, "transactions")["confirmed"] == 1
    assert labelled(seen, "transaction_events") == {"replaced": 0, "resent": 0, "lost": 0}
    assert labelled(seen, "oldest_open_seconds") == {"": 0}
    assert labelled(seen, "stuck_batches") == {"": 0}
    assert labelled(seen, "funds_wei") == {relayer.address: float(chain.balance(relayer.address))}
    assert labelled(seen, "fee_wei")[""] == chain.highest_price()


def test_refusals_by_their_error_and_nothing_of_whom(
    open_relayer: Open,
    grant: Grant,
    suite: MedProof,
    chain: Chain,
    patient: LocalSigner,
    clinic: LocalSigner,
) -> None:
    seen = RelayingMetrics()
    work = open_relayer(progress=seen.progress)
    seen.watch(work, chain)
    message = grant(patient)
    work.submit(message)
    suite.relay(message, sender=clinic)  # another was quicker
    while work.run_once(flush=True):
        pass
    assert labelled(seen, "messages_refused_total") == {"SequenceStale": 1}
    assert labelled(seen, "messages")["refused"] == 1
    assert patient.address.lower() not in seen.metrics.text().decode().lower()


def test_a_round_that_ends_early(open_relayer: Open, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    seen = RelayingMetrics(now=clock)
    work = open_relayer(progress=seen.progress)
    seen.watch(work, chain)
    clock.ahead = 301
    assert not seen.pulse.beats()
    seen.trouble(NodeError("Nobody answers."))
    assert seen.pulse.beats()
    assert labelled(seen, "trouble_total") == {"NodeError": 1}
    seen.report(0)
    assert seen.pulse.beats()

    def away(*_: object) -> int:
        raise NodeError("Nobody answers.")

    monkeypatch.setattr(chain, "balance", away)
    monkeypatch.setattr(chain, "fees", away)
    assert labelled(seen, "funds_wei") == labelled(seen, "fee_wei") == {}
    assert labelled(seen, "messages")["queued"] == 0
