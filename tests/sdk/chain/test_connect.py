"""Connecting: the chain that was meant answers, or a sentence says what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import DeploymentError, MedProofError, NodeError, UnknownNetworkError, WrongChainError
from medproof.networks import Network, network_named, networks
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node


def test_any_chain_at_a_url(node: LocalChain) -> None:
    assert Chain.connect(node.url).chain_id == 1337


def test_the_chains_number_is_asked_for_once(node: LocalChain, deployment: Deployment, clinic: LocalSigner) -> None:
    with odd_node(lambda call: ..., upstream=node.url) as server:
        suite = MedProof(Chain.connect(server.url), deployment, sender=clinic)
        suite.registrar.publish_encryption_key(b"\x01" * 32)
        assert suite.registrar.encryption_key(clinic.address) == b"\x01" * 32
        assert server.count("eth_call") == server.count("eth_estimateGas") == server.count("eth_chainId") == 1


def test_named_network(node: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDPROOF_GANACHE_URL", node.url)
    assert Chain.connect("ganache").chain_id == 1337


def test_confirmations_are_the_networks_own_unless_given(node: LocalChain) -> None:
    network = Network("mine", node.url, 1337, confirmations=7)
    assert Chain.connect(network).confirmations == 7
    assert Chain.connect(network, confirmations=2).confirmations == 2


def test_wrong_chain(node: LocalChain) -> None:
    with pytest.raises(WrongChainError, match="serves chain 1337, but chain 11155111 was meant") as caught:
        Chain.connect(node.url, chain_id=11155111)
    assert (caught.value.expected, caught.value.found) == (11155111, 1337)


def test_named_network_with_another_chain_behind_its_url(node: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDPROOF_SEPOLIA_URL", node.url)
    with pytest.raises(WrongChainError):
        Chain.connect("sepolia")


def test_a_manifest_does_not_make_another_chain_the_named_one(
    node: LocalChain, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDPROOF_SEPOLIA_URL", node.url)
    with pytest.raises(WrongChainError):
        MedProof.connect("sepolia", deployment=deployment)


def test_suite_of_another_chain(node: LocalChain, deployment: Deployment, tmp_path: Path) -> None:
    other = Deployment(11155111, deployment.admin, deployment.contracts, deployment.compiler, roles=True)
    with pytest.raises(WrongChainError):
        MedProof.connect(node.url, deployment=other)
    with pytest.raises(DeploymentError, match="manifest is of chain 11155111"):
        MedProof.connect(node.url, deployment=other, chain_id=1337)


def test_suite_by_url_and_manifest(node: LocalChain, deployment: Deployment, tmp_path: Path) -> None:
    deployment.save(tmp_path / "suite.json")
    suite = MedProof.connect(node.url, deployment=tmp_path / "suite.json")
    assert suite.registrar.groups() == {1: "everyone", 2: "emergency care"}


def test_customers_keys_in_a_url_stay_out_of_messages(node: LocalChain) -> None:
    with odd_node(lambda call: ..., upstream=node.url) as server, pytest.raises(WrongChainError) as caught:
        Chain.connect(server.url.replace("http://", "http://me:hunter2@") + "/v3/0123456789abcdef", chain_id=1)
    assert "hunter2" not in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


def test_unreachable_node(unused_port: int) -> None:
    with pytest.raises(NodeError, match="does not answer"):
        Chain.connect(f"http://127.0.0.1:{unused_port}")


@pytest.mark.parametrize("url", ["http://", "http://[", "http://:0", "https://no such host/"])
def test_url_of_nothing(url: str) -> None:
    with pytest.raises(NodeError):
        Chain.connect(url)


def test_unknown_name() -> None:
    with pytest.raises(UnknownNetworkError, match="sepolia"):
        Chain.connect("sepoila")


@pytest.mark.parametrize("name", [name for name, network in networks().items() if not network.url])
def test_public_network_needs_a_url(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"MEDPROOF_{name.replace('-', '_').upper()}_URL"
    for value in (None, ""):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
        with pytest.raises(UnknownNetworkError, match=variable):
            network_named(name)


ODD_ANSWERS: dict[str, Any] = {
    "a web page": lambda call: b"<html><body>It works!</body></html>",
    "nothing": lambda call: b"",
    "half of an answer": lambda call: call.result("0x539")[:-4],
    "no text": lambda call: b"\xff\xfe\x00",
    "a number": lambda call: b"5",
    "a list": lambda call: b"[]",
    "null": lambda call: b"null",
    "an empty object": lambda call: b"{}",
    "null as the result": lambda call: call.result(None),
    "a word as the result": lambda call: call.result("main"),
    "a list as the result": lambda call: call.result([1, 2]),
    "an object as the result": lambda call: call.result({"id": 5}),
    "an error that is a word": lambda call: json.dumps({"jsonrpc": "2.0", "id": call.id, "error": "no"}).encode(),
    "an error without a message": lambda call: json.dumps({"jsonrpc": "2.0", "id": call.id, "error": {}}).encode(),
    "method not found": lambda call: call.error("the method eth_chainId does not exist", code=-32601),
    "HTTP 401": lambda call: (401, b"Unauthorized"),
    "HTTP 404": lambda call: (404, b"<html>no such page</html>"),
    "a closed connection": lambda call: None,
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS.keys())
def test_server_that_is_no_node(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it is asked again, with pauses
    with odd_node(answer) as server, pytest.raises(NodeError) as caught:
        Chain.connect(server.url)
    assert len(str(caught.value)) < 500


def test_http_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it is asked again, with pauses
    with odd_node(lambda call: (500, b"Internal Server Error")) as server, pytest.raises(NodeError, match="500"):
        Chain.connect(server.url)


WRONG_READINGS: dict[str, Any] = {
    "block": ("eth_blockNumber", "later", lambda chain: chain.block_number()),
    "block, null": ("eth_blockNumber", None, lambda chain: chain.block_number()),
    "time, no block": ("eth_getBlockByNumber", {}, lambda chain: chain.timestamp()),
    "time, a list": ("eth_getBlockByNumber", [], lambda chain: chain.timestamp()),
    "code": ("eth_getCode", "zz", lambda chain: chain.code("0x" + "11" * 20)),
    "code, null": ("eth_getCode", None, lambda chain: chain.code("0x" + "11" * 20)),
    "balance": ("eth_getBalance", "much", lambda chain: chain.balance("0x" + "11" * 20)),
    "balance, null": ("eth_getBalance", None, lambda chain: chain.balance("0x" + "11" * 20)),
    "receipt, a word": ("eth_getTransactionReceipt", "yes", lambda chain: chain.receipt("0x" + "11" * 32)),
    "receipt, empty": ("eth_getTransactionReceipt", {}, lambda chain: chain.receipt("0x" + "11" * 32)),
}


@pytest.mark.parametrize(("method", "lie", "read"), WRONG_READINGS.values(), ids=WRONG_READINGS.keys())
def test_answers_of_the_wrong_type(node: LocalChain, method: str, lie: object, read: Any) -> None:
    def answer(call: Call) -> Any:
        return call.result(lie) if call.method == method else ...

    with odd_node(answer, upstream=node.url) as server:
        chain = Chain.connect(server.url)
        with pytest.raises(MedProofError):
            read(chain)


@pytest.mark.parametrize("answer", ["0x", "0x12", "0x" + "ff" * 32, None, "maybe"])
def test_calls_answered_with_nonsense(deployed: tuple[Chain, Deployment], node: LocalChain, answer: Any) -> None:
    def lie(call: Call) -> Any:
        return call.result(answer) if call.method == "eth_call" else ...

    with odd_node(lie, upstream=node.url) as server:
        suite = MedProof(Chain.connect(server.url), deployed[1])
        with pytest.raises(MedProofError):
            suite.registrar.party("0x" + "11" * 20)


def test_no_contract_at_the_address(chain: Chain, suite: MedProof) -> None:
    contract = chain.contract("0x" + "11" * 20, suite.registrar.contract.abi)
    with pytest.raises(NodeError, match="no such contract"):
        chain.call(contract, "groupCount", ())


def test_accounts_of_the_node(chain: Chain) -> None:
    assert len(chain.accounts()) == 20


def test_no_accounts_on_a_public_node(node: LocalChain) -> None:
    def answer(call: Call) -> Any:
        return call.error("the method eth_accounts is not available", code=-32601) if "accounts" in call.method else ...

    with odd_node(answer, upstream=node.url) as server:
        assert Chain.connect(server.url).accounts() == ()
