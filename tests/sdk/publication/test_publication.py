"""Sources at explorers: what they are given compiles to what stands on the chain."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain
from medproof.deployments import Deployment
from medproof.errors import DeploymentError, PublicationError
from medproof.source_publication import Etherscan, Match, Sourcify, publish
from medproof.standard_input import compiler_version, identifier, input_hash, standard_input
from tests.sdk.publication.explorers import KEY, Explorer, creation_of, etherscan, serving, solc, sourcify


@pytest.fixture
def at_sourcify(deployed: tuple[Chain, Deployment]) -> Iterator[Explorer]:
    with serving(Explorer(*deployed), sourcify) as explorer:
        yield explorer


@pytest.fixture
def at_etherscan(deployed: tuple[Chain, Deployment]) -> Iterator[Explorer]:
    with serving(Explorer(*deployed), etherscan) as explorer:
        yield explorer


def of(kind: str, explorer: Explorer) -> Sourcify | Etherscan:
    return Sourcify(explorer.url) if kind == "sourcify" else Etherscan(KEY, explorer.url)


def test_whoever_compiles_it_gets_the_shipped_bytecode() -> None:
    assert {name: f"0x{creation_of(identifier(name), standard_input(name))}" for name in CONTRACTS} == {
        name: artifact(name).bytecode for name in CONTRACTS
    }
    assert compiler_version().startswith("0.8.37+commit.")
    alone = solc(json.loads(standard_input("Devices")))[identifier("Devices")]
    assert f"0x{alone['evm']['bytecode']['object']}" == artifact("Devices").bytecode


def test_a_manifest_names_the_input_of_each_contract(deployed: tuple[Chain, Deployment]) -> None:
    named = {name: entry.input_hash for name, entry in deployed[1].contracts.items()}
    assert named == {name: "0x" + keccak(text=standard_input(name)).hex() for name in CONTRACTS}
    assert named == {name: input_hash(name) for name in CONTRACTS}
    assert len({*named.values()}) == len(CONTRACTS)


@pytest.mark.parametrize("kind", ["sourcify", "etherscan"])
def test_all_contracts_are_published_and_again_is_harmless(
    kind: str, request: pytest.FixtureRequest, deployed: tuple[Chain, Deployment]
) -> None:
    explorer: Explorer = request.getfixturevalue(f"at_{kind}")
    told: list[str] = []
    found = list(publish(*deployed, of(kind, explorer), pause=0, report=told.append))
    assert told == list(CONTRACTS)
    assert [one.contract for one in found] == list(CONTRACTS)
    assert {one.match for one in found} == {Match.EXACT if kind == "sourcify" else Match.CODE}
    assert explorer.known == {deployed[1].address(name): f"contracts/{name}.sol:{name}" for name in CONTRACTS}
    assert {one.match for one in publish(*deployed, of(kind, explorer), pause=0)} == {Match.ALREADY}


@pytest.mark.parametrize("kind", ["sourcify", "etherscan"])
def test_other_sources_do_not_match(
    kind: str, request: pytest.FixtureRequest, deployed: tuple[Chain, Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer: Explorer = request.getfixturevalue(f"at_{kind}")
    monkeypatch.setattr(explorer, "matches", lambda *about: False)
    with pytest.raises(PublicationError, match="Authority"):
        list(publish(*deployed, of(kind, explorer), pause=0))
    assert not explorer.known


def test_what_is_not_this_build_is_not_published(at_sourcify: Explorer, deployed: tuple[Chain, Deployment]) -> None:
    chain, deployment = deployed
    entries = dict(deployment.contracts)
    entries["Devices"] = dataclasses.replace(entries["Devices"], address=deployment.address("Registrar"))
    with pytest.raises(DeploymentError, match="not this build"):
        list(publish(chain, dataclasses.replace(deployment, contracts=entries), Sourcify(at_sourcify.url)))
    assert at_sourcify.asked == []


def test_a_wrong_key_is_refused_and_not_shown(at_etherscan: Explorer, deployed: tuple[Chain, Deployment]) -> None:
    with pytest.raises(PublicationError, match="Invalid API Key") as caught:
        list(publish(*deployed, Etherscan("hunter2", at_etherscan.url), pause=0))
    assert "hunter2" not in str(caught.value)


ODD: dict[str, Callable[[str], tuple[int, Any] | None]] = {
    "a web page": lambda method: (200, b"<html>"),
    "nothing": lambda method: (200, b""),
    "a list": lambda method: (200, []),
    "null": lambda method: (200, None),
    "no ticket": lambda method: (202, {}),
    "a ticket that is no text": lambda method: (202, {"verificationId": 5, "status": "1", "result": 5}),
    "not its fault": lambda method: (503, {"message": "come back later"}),
    "another chain": lambda method: (404, {"customCode": "unsupported_chain", "message": "no"}),
    "half an answer": lambda method: (202, b'{"verificationId": "a'),
    "too much": lambda method: (202, b"[" * (1 << 21)),
    "no result": lambda method: None if method == "POST" else (200, {}),
    "a result of nothing": lambda method: None if method == "POST" else (200, {"isJobCompleted": True, "contract": 5}),
    "a job that is lost": lambda method: None if method == "POST" else (404, {"customCode": "job_not_found"}),
}


@pytest.mark.parametrize("kind", ["sourcify", "etherscan"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_answers(odd: str, kind: str, request: pytest.FixtureRequest, deployed: tuple[Chain, Deployment]) -> None:
    explorer: Explorer = request.getfixturevalue(f"at_{kind}")
    explorer.answer = ODD[odd]
    with pytest.raises(PublicationError, match=r"contracts/Authority\.sol:Authority"):
        list(publish(*deployed, of(kind, explorer), pause=0))


def test_nobody_there(unused_port: int, deployed: tuple[Chain, Deployment]) -> None:
    with pytest.raises(PublicationError, match=r"127\.0\.0\.1"):
        list(publish(*deployed, Sourcify(f"http://127.0.0.1:{unused_port}")))


def test_it_waits_no_longer_than_it_is_told(at_sourcify: Explorer, deployed: tuple[Chain, Deployment]) -> None:
    at_sourcify.answer = lambda method: None if method == "POST" else (200, {"isJobCompleted": False})
    with pytest.raises(PublicationError, match="not decided"):
        list(publish(*deployed, Sourcify(at_sourcify.url), pause=0, timeout=0))
