"""Proofs recorded from a node of each hardfork, whose headers differ, verified with no node at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medproof.errors import EvidenceError
from medproof.evidence import StateProof, TransactionProof
from medproof.hashing import canonical, parse
from medproof.json_reader import JsonReader
from scripts.local_chain import ROOT

RECORDED = json.loads((ROOT / "tests" / "vectors" / "state_proofs.json").read_text())


def read(value: Any) -> JsonReader:
    return JsonReader(parse(canonical(value)), EvidenceError)


@pytest.fixture(params=RECORDED["proofs"], ids=lambda one: one["hardfork"])
def recorded(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_storage(recorded: Any) -> None:
    state = StateProof.from_json(read(recorded["state"])).verify(recorded["blockHash"])
    rules = bytes.fromhex(RECORDED["rules"][2:])
    assert rules in state.words.values()
    assert len(state.words) == 2


def test_a_transaction(recorded: Any) -> None:
    said = TransactionProof.from_json(read(recorded["transaction"])).verify(recorded["transactionBlockHash"])
    assert (said.hash, said.sender) == (recorded["transactionHash"], recorded["payer"])
    assert said.logs[0].data[:32] == bytes.fromhex(RECORDED["rules"][2:])


def test_the_proof_of_another_fork_is_of_another_block(recorded: Any) -> None:
    others = [one for one in RECORDED["proofs"] if one["blockHash"] != recorded["blockHash"]]
    assert len(others) == len(RECORDED["proofs"]) - 1
    for other in others:
        with pytest.raises(EvidenceError, match="header is that of block"):
            StateProof.from_json(read(other["state"])).verify(recorded["blockHash"])
