"""Several calls in one request, and what a keeper of its own record of transactions asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain, UnclearAnswerError, transaction_hash
from medproof.client import MedProof
from medproof.contract_errors import CallFailed, GranteeMissing
from medproof.deployments import Deployment
from medproof.errors import AnswerTooLongError, NodeError, UnknownRevertError
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node

NOBODY = "0x" + "00" * 20


def test_each_call_has_its_own_answer(suite: MedProof) -> None:
    contract, chain = suite.consent_registry.contract, suite.chain
    bad = bytes.fromhex(chain.call_data(contract, "setRule", [NOBODY, 1])[2:])
    answers = chain.call_each(contract, "relay", [([], 0), ([bad], 0), ([], 0)], gas=1_000_000)
    assert answers[0] is answers[2] is None
    assert isinstance(answers[1], CallFailed)
    assert answers[1].arguments["reason"] == keccak(text=GranteeMissing.signature)[:4]
    assert chain.call_each(contract, "relay", [], gas=1_000_000) == []


def test_more_calls_than_one_request_takes(suite: MedProof, node: LocalChain, deployment: Deployment) -> None:
    with odd_node(lambda call: ..., upstream=node.url) as server:
        through = MedProof(Chain.connect(server.url), deployment)
        answers = through.chain.call_each(through.consent_registry.contract, "relay", [([], 0)] * 230, gas=100_000)
        assert answers == [None] * 230
        assert server.count("eth_call") == 3


def test_an_answer_that_is_too_long_is_asked_for_in_parts(
    suite: MedProof, node: LocalChain, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medproof.chain._LONGEST_ANSWER", 1_000)

    def answer(call: Call) -> Any:
        asked = json.loads(call.body)
        many = isinstance(asked, list) and len(asked) > 3
        return b"[" + b" " * 1_000 + call.forward()[1:] if many else ...

    with odd_node(answer, upstream=node.url) as server:
        through = MedProof(Chain.connect(server.url), deployment)
        assert (
            through.chain.call_each(through.consent_registry.contract, "relay", [([], 0)] * 5, gas=100_000)
            == [None] * 5
        )
    with odd_node(lambda call: ... if call.method == "eth_chainId" else b" " * 1_001, upstream=node.url) as server:
        through = MedProof(Chain.connect(server.url), deployment)
        with pytest.raises(AnswerTooLongError, match="more than 1,000 bytes"):
            through.chain.call_each(through.consent_registry.contract, "relay", [([], 0)], gas=100_000)


def test_call_without_enough_gas(suite: MedProof) -> None:
    (answer,) = suite.chain.call_each(suite.consent_registry.contract, "relay", [([b""] * 9, 0)], gas=23_000)
    assert isinstance(answer, UnknownRevertError)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "no such method"}}, UnclearAnswerError),
        ([], UnclearAnswerError),
        ([{"jsonrpc": "2.0", "id": 0, "error": {"code": -32005, "message": "too many requests"}}], NodeError),
        ([{"jsonrpc": "2.0", "id": 0, "error": "what?"}], NodeError),
    ],
    ids=["of another id", "nothing", "refused", "text"],
)
def test_node_that_answers_otherwise(
    suite: MedProof, node: LocalChain, deployment: Deployment, given: Any, error: type[Exception]
) -> None:
    def answer(call: Call) -> Any:
        return json.dumps(given).encode() if call.method == "eth_call" else ...

    with odd_node(answer, upstream=node.url) as server:
        through = MedProof(Chain.connect(server.url), deployment)
        with pytest.raises(error):
            through.chain.call_each(through.consent_registry.contract, "relay", [([], 0)], gas=100_000)


def test_transaction_kept_before_it_is_sent(chain: Chain, stranger: LocalSigner) -> None:
    request = {"to": stranger.address, "value": 1, "from": stranger.address}
    fields = {"to": stranger.address, "value": 1, "gas": chain.gas(request), "chainId": chain.chain_id}
    nonce = chain.transaction_count(stranger.address)
    raw = stranger.sign_transaction({**fields, **chain.fees(), "nonce": nonce})
    assert chain.find(transaction_hash(raw)) is None
    assert chain.broadcast(raw) == transaction_hash(raw)
    found = chain.find(transaction_hash(raw))
    assert found is not None
    assert found["blockNumber"] == chain.block_number()
    assert chain.transaction_count(stranger.address) == nonce + 1
    assert chain.transaction_count(stranger.address, block=found["blockNumber"] - 1) == nonce
    assert chain.gas_limit() == 30_000_000
