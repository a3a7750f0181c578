"""Reading events from providers that limit what they give: nothing is lost and nothing comes twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import NodeError
from medproof.policy.codes import DataClass
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, OddNode, odd_node
from tests.sdk.conftest import rpc

PATIENCE = 1.0  # seconds for one answer, where a test is about that

REFUSALS: dict[str, Any] = {
    "range, Alchemy": lambda call: call.error(
        "You can make eth_getLogs requests with up to a 5 block range.", code=-32600
    ),
    "range, Infura": lambda call: call.error("query exceeds max block range 5", code=-32005),
    "range, QuickNode": lambda call: call.error("eth_getLogs is limited to a 5 range", code=-32614),
    "range, Ankr": lambda call: call.error("block range is too wide", code=-32062),
    "results, Infura": lambda call: call.error("query returned more than 10000 results", code=-32005),
    "results, with advice": lambda call: call.error(
        "Log response size exceeded.", code=-32602, data={"from": "0x1", "to": "0x2"}
    ),
    "HTTP 400": lambda call: (400, call.error("range too large")),
    "HTTP 413": lambda call: (413, b"Request Entity Too Large"),
    "HTTP 503": lambda call: (503, b"upstream timed out"),
    "cut short": lambda call: call.result(["0x"])[:-9],
    "a web page": lambda call: b"<html>504 Gateway Time-out</html>",
    "too late": lambda call: time.sleep(PATIENCE + 0.3),
}


def limited(call: Call, blocks: int, refusal: Any) -> Any:
    """Refuse ranges of more than so many blocks."""
    if call.method != "eth_getLogs":
        return ...
    first, last = (int(call.parameters[0][name], 16) for name in ("fromBlock", "toBlock"))
    return refusal(call) if last - first + 1 > blocks else ...


def groups_through(server: OddNode, suite: MedProof, *, patience: float = 30.0) -> list[str]:
    asking = MedProof(Chain.connect(server.url), suite.deployment)
    asking.chain.web3.provider._request_kwargs["timeout"] = patience  # type: ignore[attr-defined]
    return [event.arguments["name"] for event in asking.registrar.events("GroupCreated", from_block=0)]


@pytest.fixture(scope="module")
def groups(deployed: tuple[Chain, Deployment], admin: LocalSigner) -> Iterator[list[str]]:
    """Groups created here and there over some forty blocks, once for all tests here."""
    chain, deployment = deployed
    registrar = MedProof(chain, deployment).registrar
    snapshot = rpc(chain, "evm_snapshot")
    names = []
    for number in range(12):
        rpc(chain, "evm_mine")
        names.append(f"group {number}")
        registrar.create_group(names[-1], sender=admin)
        for _ in range(number % 3):
            rpc(chain, "evm_mine")
    yield ["everyone", "emergency care", *names]
    rpc(chain, "evm_revert", snapshot)


@pytest.fixture
def suite(groups: list[str], suite: MedProof) -> MedProof:
    """The suite with these groups."""
    return suite


@pytest.mark.parametrize("kind", REFUSALS)
def test_refused_ranges_are_halved(node: LocalChain, suite: MedProof, groups: list[str], kind: str) -> None:
    blocks, patience = (20, PATIENCE) if kind == "too late" else (5, 30.0)
    with odd_node(lambda call: limited(call, blocks, REFUSALS[kind]), upstream=node.url) as server:
        assert groups_through(server, suite, patience=patience) == groups


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 2000])
def test_any_limit(node: LocalChain, suite: MedProof, groups: list[str], blocks: int) -> None:
    def answer(call: Call) -> Any:
        return limited(call, blocks, lambda call: call.error("block range too large"))

    with odd_node(answer, upstream=node.url) as server:
        assert groups_through(server, suite) == groups


def test_one_crowded_place_does_not_slow_the_rest(
    node: LocalChain, chain: Chain, suite: MedProof, groups: list[str]
) -> None:
    rpc(chain, "evm_mine", {"blocks": 3000})

    def answer(call: Call) -> Any:
        if call.method != "eth_getLogs":
            return ...
        first, last = (int(call.parameters[0][name], 16) for name in ("fromBlock", "toBlock"))
        return call.error("query returned more than 10000 results") if first <= 8 <= last and first != last else ...

    with odd_node(answer, upstream=node.url) as server:
        assert groups_through(server, suite) == groups
    assert server.count("eth_getLogs") < 120


def test_single_block_refused(node: LocalChain, suite: MedProof) -> None:
    def answer(call: Call) -> Any:
        return limited(call, 0, lambda call: call.error("archive plan needed"))

    with odd_node(answer, upstream=node.url) as server, pytest.raises(NodeError, match=r"blocks 0 to 0.*archive plan"):
        groups_through(server, suite)


def test_blocks_that_come_meanwhile_are_left_for_the_next_time(
    suite: MedProof, groups: list[str], admin: LocalSigner
) -> None:
    found = suite.registrar.events("GroupCreated")
    first = next(found)
    suite.registrar.create_group("later", sender=admin)
    assert [event.arguments["name"] for event in (first, *found)] == groups


def test_range_and_filters(chain: Chain, suite: MedProof, admin: LocalSigner, clinic: LocalSigner) -> None:
    registrar = suite.registrar
    group = registrar.create_group("night shift", sender=admin)
    block = registrar.join_group(group, clinic.address, sender=admin).block
    (event,) = registrar.events("GroupJoined", filters={"party": clinic.address}, from_block=block, to_block=block)
    assert (event.name, event.block, event.contract) == ("GroupJoined", block, registrar.address)
    assert event.arguments == {"group": group, "party": clinic.address}
    assert not list(registrar.events("GroupJoined", filters={"party": admin.address}))
    assert not list(registrar.events("GroupJoined", from_block=block + 1))
    assert not list(registrar.events("GroupJoined", to_block=block - 1))


@pytest.mark.parametrize("log", [{}, "log", {"topics": [], "data": "0x"}, None])
def test_logs_that_are_none(node: LocalChain, suite: MedProof, log: object) -> None:
    def answer(call: Call) -> Any:
        return call.result([log]) if call.method == "eth_getLogs" else ...

    with odd_node(answer, upstream=node.url) as server, pytest.raises(NodeError):
        groups_through(server, suite)


def test_all_events_of_several_contracts_come_together_through_any_limit(
    node: LocalChain, suite: MedProof, groups: list[str], patient: LocalSigner, clinic: LocalSigner
) -> None:
    suite.record_pointers.post(patient.address, DataClass.NOTE, b"\x09" * 32, sender=clinic)
    with odd_node(
        lambda call: limited(call, 7, lambda call: call.error("block range too large")), upstream=node.url
    ) as server:
        asking = MedProof(Chain.connect(server.url), suite.deployment)
        contracts = [asking.registrar.contract, asking.record_pointers.contract]
        found = [*asking.chain.all_events(contracts)]
        word = "0x" + patient.address[2:].lower().zfill(64)
        about = [*asking.chain.all_events(contracts, topics=[word])]
    one_by_one = [
        event
        for client, names in (
            (suite.registrar, ("AuthorityUpdated", "GroupCreated", "PartyAccredited")),
            (suite.record_pointers, ("PointerPosted",)),
        )
        for name in names
        for event in client.events(name)
    ]
    assert found == sorted(one_by_one, key=lambda event: (event.block, event.index))
    assert about == found[-1:]
