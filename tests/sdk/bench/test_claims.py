"""The benchmark of claim events: it runs, every proof checked, and the committed figures meet their target."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import claims
from bench.claims import A_DAY, PROCESSES, RESULTS, TARGET, TREES, arithmetic, deliveries, measure


def shape(content: Any) -> Any:
    """What a result has, without its figures."""
    return {name: shape(value) for name, value in content.items()} if isinstance(content, dict) else None


def test_deliveries_are_claims_that_are_read_and_keyed() -> None:
    for count in (1, 2, 7, 100, 201):
        made = deliveries(count, first=5)
        read = [claim for one in made for claim in one.read()]
        assert [one.claims for one in made] == [len(one.read()) for one in made]
        assert {claim.number for claim in read} == {f"B-{number}" for number in range(5, 5 + count)}
        assert len({claims.KEYS.nullifier(claim, registered=claim.number) for claim in read}) == count
    assert {one.standard for one in made} == {"FHIR", "X12"}


def test_a_small_run_has_the_shape_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    monkeypatch.setattr(claims, "AT_ONCE", 20)
    monkeypatch.setattr(claims, "ALONE", 3)
    small = measure(claims=60, runs=1, processes=[1], trees=[50], peers=False)
    for content in (small, recorded):  # by number
        for name in ("processes", "nullifier_trees"):
            content[name] = next(iter(content[name].values()))
    assert shape(small) == shape(recorded)
    assert small["processes"]["events_a_second"] > 0
    assert small["absence_on_chain"]["hashes_after_a_day"] == 26


def test_committed_figures_meet_their_target() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert set(recorded["processes"]) == {str(number) for number in PROCESSES}
    assert set(recorded["nullifier_trees"]) == {str(values) for values in TREES}
    assert recorded["target_a_second"] == TARGET == -(-A_DAY // (24 * 3600))
    assert max(said["events_a_second"] for said in recorded["processes"].values()) >= TARGET
    assert recorded["runs"] >= 3


def test_the_arithmetic_of_a_day() -> None:
    gas = {"anchor_batch": {"gas": 40_000}, "nullifier_batch_100_each": {"gas": 23_000}}
    eas = {"attest": 200_000, "multiAttest of 100, each": 160_000}
    schemes = arithmetic(gas, eas, 50_000)
    slot = schemes["one slot, in a batch of 100"]
    assert slot["gas_a_day"] == 23_000 * A_DAY
    assert slot["share_of_chain"]["12 s"] == pytest.approx(23_000 * A_DAY / (7_200 * 30_000_000), rel=1e-3)
    assert slot["ether_a_day"]["1 gwei"] == pytest.approx(1_150)
    assert schemes["indexed tree, its root anchored"]["gas_a_day"] == 144 * 40_000
    assert schemes["absence shown to the contract, in a batch of 100"]["gas_each"] == 29_210
    shared = schemes["four fingerprints of 64 bits in a slot"]["gas_each"]
    assert shared == 23_000 - 22_100 + (22_100 + 15_000) // 4
