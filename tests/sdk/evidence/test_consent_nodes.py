"""Nodes that prove nothing, or lie: it is found when the evidence is made, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.errors import EvidenceError, NodeError, StateUnavailableError
from medproof.evidence import locate, prove
from medproof.evidence.consent import ProvedDecision
from medproof.evidence.consent_file import verify_consents
from medproof.evidence.consent_prover import ConsentProver
from medproof.policy.codes import DataClass
from medproof.policy.evaluation import Reason
from medproof.policy.word import FLAG_FIELDS, Request, Rule
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import funded, rpc

GONE = {
    "geth": "missing trie node 3fbb4e…66aa (path ) state 0x3fbb4e…66aa is not available, not found",
    "reth": "distance to target block exceeds maximum proof window",
    "Erigon": "requested block is too old, block must be within 100000 blocks of the head block number",
    "Nethermind": "No state available for block 24",
    "Besu": "World state unavailable",
}
UNKNOWN = {
    "geth": (-32601, "the method eth_getProof does not exist/is not available"),
    "Alchemy": (-32600, "Unsupported method: eth_getProof. See available methods at their documentation"),
    "QuickNode": (-32601, "Method not found"),
}


@pytest.fixture
def granted(suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule) -> None:
    rules = replace(rule, classes=DataClass.IMAGING), replace(rule, index=1)
    suite.consent_registry.grant_many([(clinic.address, one) for one in rules], sender=patient)


@pytest.fixture
def proving(
    suite: MedProof,
    node: LocalChain,
    granted: None,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    request_inside: Request,
) -> Callable[..., list[ProvedDecision]]:
    """Make evidence through a node that answers in its own way, and verify it."""

    def make(answer: Callable[[Call], Any], **options: Any) -> list[ProvedDecision]:
        found: list[ProvedDecision] = []
        with odd_node(answer, upstream=node.url) as server:
            odd = MedProof(Chain.connect(server.url, patience=5), suite.deployment)
            lines = ConsentProver(odd, clinic.address, request_inside, **options).lines(
                [patient.address, stranger.address]
            )
            verify_consents(list(lines), [suite.chain.block().hash], each=found.append)
        return sorted(found, key=lambda one: one.reason)

    return make


def changed(
    method: str, change: Callable[[Any], Any] = lambda said: said, ask: Callable[[Any], None] = lambda asked: None
) -> Callable[[Call], Any]:
    """The real node's answers, with what is asked by one method changed, or what is said to it."""

    def answer(call: Call) -> Any:
        asked = json.loads(call.body)
        questions = asked if isinstance(asked, list) else [asked]
        meant = {one["id"] for one in questions if one["method"] == method}
        if not meant:
            return ...
        for one in questions:
            ask(one)
        call.body = json.dumps(asked).encode()
        said = json.loads(call.forward())
        for one in said if isinstance(said, list) else [said]:
            if one["id"] in meant:
                one["result"] = change(one["result"])
        return json.dumps(said).encode()

    return answer


def refusing(code: int, said: str) -> Callable[[Call], Any]:
    """A node that does not serve eth_getProof."""

    def answer(call: Call) -> Any:
        asked = json.loads(call.body)
        questions = asked if isinstance(asked, list) else [asked]
        if not any(one["method"] == "eth_getProof" for one in questions):
            return ...
        error = {"code": code, "message": said}
        answers = [{"jsonrpc": "2.0", "id": one["id"], "error": error} for one in questions]
        return json.dumps(answers if isinstance(asked, list) else answers[0]).encode()

    return answer


def test_a_node_that_answers_as_it_should(proving: Any) -> None:
    assert [one.reason for one in proving(lambda call: ...)] == [Reason.PERMITTED, Reason.NO_RULE]


@pytest.mark.parametrize("node_of", GONE)
def test_a_state_that_is_not_kept_any_more(node_of: str, proving: Any, suite: MedProof) -> None:
    block = suite.chain.block_number()
    with pytest.raises(StateUnavailableError, match=f"at block {block}.*archive node.*newer block") as caught:
        proving(refusing(-32000, GONE[node_of]))
    assert caught.value.block == block
    assert GONE[node_of] in str(caught.value)


@pytest.mark.parametrize("node_of", UNKNOWN)
def test_a_node_that_proves_nothing(node_of: str, proving: Any, suite: MedProof) -> None:
    with pytest.raises(StateUnavailableError, match=r"at block \d+.*Ask a node that serves eth_getProof"):
        proving(refusing(*UNKNOWN[node_of]))


def test_anvil_that_forgets(clinic: LocalSigner) -> None:
    """A real node, whose old states are gone."""
    with LocalAnvil("--prune-history", "2") as local:
        chain = Chain.connect(local.url, poll=0.005)
        for _ in range(8):
            rpc(chain, "evm_mine")
        (place,) = locate("Registrar", "_parties", clinic.address)
        with pytest.raises(StateUnavailableError, match=r"at block 1: .* a newer block"):
            prove(chain, clinic.address, [place.slot], 1)


def test_however_much_is_asked_at_once_the_bytes_are_the_same(
    suite: MedProof,
    granted: None,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    request_inside: Request,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subjects = [
        patient.address,
        stranger.address,
        clinic.address,
        *(funded(number).address for number in range(10, 16)),
    ]
    prover = ConsentProver(suite, clinic.address, request_inside)
    whole = list(prover.lines(subjects))
    assert list(prover.lines(reversed(subjects + subjects))) == whole
    for name, most in (("_SUBJECTS", 2), ("_SLOTS", 3), ("_QUESTIONS", 1)):
        monkeypatch.setattr(f"medproof.evidence.consent_prover.{name}", most)
        assert list(ConsentProver(suite, clinic.address, request_inside).lines(subjects)) == whole
    assert verify_consents(whole).subjects == len(subjects)
    assert verify_consents(prover.lines([])).subjects == 0


def test_a_block_that_is_still_to_come(
    suite: MedProof, clinic: LocalSigner, request_inside: Request, any_suite: MedProof
) -> None:
    block = any_suite.chain.block_number() + 1
    with pytest.raises(EvidenceError, match=f"header of block {block} is not known to the node"):
        ConsentProver(any_suite, clinic.address, request_inside, block=block)


def test_a_node_that_says_nothing_useful(proving: Any) -> None:
    for nonsense in (b"[]", b"null", b"{}", b"<html>", b'[{"result":{}}]'):
        with pytest.raises((NodeError, EvidenceError)):
            proving(lambda call, nonsense=nonsense: nonsense if b"eth_getProof" in call.body else ...)


def without_paths(said: Any) -> Any:
    return {**said, "storageProof": [{**one, "proof": []} for one in said["storageProof"]]}


def swapped_paths(said: Any) -> Any:
    paths = [one["proof"] for one in said["storageProof"]]
    return {**said, "storageProof": [{**one, "proof": paths[0]} for one in said["storageProof"]]}


def spoilt_leaf(said: Any) -> Any:
    def spoil(path: list[str]) -> list[str]:
        return [*path[:-1], path[-1][:-1] + ("0" if path[-1][-1] != "0" else "1")] if path else path

    return {**said, "storageProof": [{**one, "proof": spoil(one["proof"])} for one in said["storageProof"]]}


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (without_paths, "is missing"),
        (swapped_paths, "is missing"),
        (spoilt_leaf, "is missing"),
        (lambda said: {**said, "accountProof": said["accountProof"][:-1]}, "account of ConsentRegistry"),
        (lambda said: {**said, "accountProof": []}, "account of ConsentRegistry"),
        (lambda said: {**said, "storageProof": []}, "proof is not given by the node"),
        (lambda said: {**said, "storageProof": None}, "proof is not given by the node"),
        (lambda said: {**said, "accountProof": ["nonsense"]}, "proof is not given by the node"),
        (lambda said: None, "proof is not given by the node"),
    ],
)
def test_a_proof_that_is_none_is_named(lie: Callable[[Any], Any], why: str, proving: Any) -> None:
    with pytest.raises(EvidenceError, match=why):
        proving(changed("eth_getProof", lie))


def test_what_a_node_says_of_a_word_counts_for_nothing(proving: Any) -> None:
    """Only what it proves does; where its word kept a question from being asked, that is found."""

    def saying(change: Callable[[int], int]) -> Callable[[Call], Any]:
        def lie(said: Any) -> Any:
            slots = [{**one, "value": hex(change(int(one["value"], 16)))} for one in said["storageProof"]]
            return {**said, "storageProof": slots}

        return changed("eth_getProof", lie)

    follows = FLAG_FIELDS["follows"].mask
    with pytest.raises(EvidenceError, match=r"rule 1 of 0x.* is missing"):
        proving(saying(lambda word: word & ~follows))
    with pytest.raises(EvidenceError, match=r"rule 1 of 0x.* is missing"):
        proving(saying(lambda word: 0))
    with pytest.raises(EvidenceError, match="follows the last that there can be"):
        proving(saying(lambda word: word | follows))


def test_another_block_is_named(proving: Any, suite: MedProof, chain: Chain) -> None:
    rpc(chain, "evm_mine")
    newest = chain.block()
    (other,) = suite.chain.ask([("eth_getBlockByNumber", [hex(newest.number - 5), False])])
    with pytest.raises(EvidenceError, match=f"header is that of block {newest.number - 5}, and block {newest.number}"):
        proving(changed("eth_getBlockByNumber", lambda said: other))
    with pytest.raises(EvidenceError, match="header does not hash to the block's"):
        proving(changed("eth_getBlockByNumber", lambda said: {**other, "number": hex(newest.number)}))
    with pytest.raises(EvidenceError, match="header does not hash to the block's"):
        proving(changed("eth_getBlockByNumber", lambda said: {**said, "timestamp": "0x1"}))
    with pytest.raises(EvidenceError, match=f"header is that of block {newest.hash}, not of {other['hash']}"):
        proving(lambda call: ..., block_hash=other["hash"])


def test_a_proof_of_another_block_is_none(proving: Any, suite: MedProof, chain: Chain) -> None:
    """As of a node that moved on to another fork in between."""
    block = hex(chain.block_number() - 1)

    def earlier(asked: Any) -> None:
        asked["params"][2] = block

    with pytest.raises(EvidenceError, match=r"account of ConsentRegistry .* is missing"):
        proving(changed("eth_getProof", ask=earlier))


def test_code_of_another_contract_is_none(proving: Any) -> None:
    def lie(code: str) -> str:
        return code.replace("00" * 12, "00" * 11 + "01")

    with pytest.raises(EvidenceError, match="is not ConsentRegistry as this MedProof knows it"):
        proving(changed("eth_getCode", lie))
