"""Many permissions asked at once are those that are asked one by one, whatever the node takes at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import pytest

from medproof.chain import Chain, UnclearAnswerError, address_bytes
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE
from medproof.deployments import Deployment
from medproof.errors import ArgumentError, MedProofError, NodeError, RuleFieldError, StateUnavailableError
from medproof.packed_calls import most_calls, packed
from medproof.policy.codes import DataClass, Purpose
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.indexer.conftest import anvil_suite, on_anvil  # noqa: F401 - fixtures

Asked = list[tuple[str, str, Request]]


@pytest.fixture
def asked(
    suite: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> Asked:
    """Questions with different answers, more than go together."""
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    suite.consent_registry.grant(EVERYONE, dataclasses.replace(rule, classes=DataClass.ALL), sender=stranger)
    requests = [
        request_inside,
        dataclasses.replace(request_inside, purposes=Purpose.HMARKT),
        dataclasses.replace(request_inside, classes=DataClass.NOTE),
    ]
    return [
        (subject.address, actor.address, request)
        for subject in (patient, stranger, clinic)
        for actor in (clinic, second_clinic, stranger)
        for request in requests
    ] * 12


@pytest.fixture
def through(node: LocalChain, deployment: Deployment) -> Iterator[Callable[..., Any]]:
    """The suite through a node that answers as a test says, and what that node was asked."""
    opened = []

    def open_through(answer: Callable[[Call], Any]) -> Any:
        context = odd_node(answer, upstream=node.url)
        opened.append(context)
        server = context.__enter__()
        return MedProof(Chain.connect(server.url), deployment).consent_registry, server

    yield open_through
    for context in opened:
        context.__exit__(None, None, None)


def content(call: Call) -> Any:
    return json.loads(call.body)


def is_packed(call: Call) -> bool:
    said = content(call)
    return any("to" not in one["params"][0] for one in (said if isinstance(said, list) else [said]))


def test_the_answers_are_those_of_single_questions(suite: MedProof, asked: Asked) -> None:
    registry = suite.consent_registry
    different = list(dict.fromkeys(asked))
    one_by_one = {one: registry.decide(*one) for one in different}
    assert {decision.permitted for decision in one_by_one.values()} == {True, False}
    assert len({decision.reason for decision in one_by_one.values()}) >= 4
    permitted = registry.are_permitted(asked)
    assert permitted == tuple(one_by_one[one].permitted for one in asked)
    decided = registry.decide_each(asked)
    block = suite.chain.block_number()
    assert decided == tuple(dataclasses.replace(one_by_one[one], block=block) for one in asked)
    assert registry.are_permitted([]) == registry.decide_each([]) == ()
    assert registry.are_permitted(asked[:1]) == permitted[:1]


def test_requests_that_are_made_as_they_are_asked_for_are_told_apart(suite: MedProof, asked: Asked) -> None:
    class Made(Sequence[tuple[str, str, Request]]):
        """Makes each request anew, so that one may lie where another lay."""

        def __len__(self) -> int:
            return len(asked)

        def __getitem__(self, place: Any) -> Any:
            subject, actor, request = asked[place]
            return subject, actor, dataclasses.replace(request)

    registry = suite.consent_registry
    assert registry.are_permitted(Made()) == registry.are_permitted(asked)
    assert registry.decide_each(Made()) == registry.decide_each(asked)


def test_they_are_as_of_the_block(suite: MedProof, asked: Asked, patient: LocalSigner, clinic: LocalSigner) -> None:
    registry, before = suite.consent_registry, suite.chain.block_number()
    then = registry.are_permitted(asked, block=before)
    registry.revoke(clinic.address, sender=patient)
    assert registry.are_permitted(asked, block=before) == then
    assert registry.are_permitted(asked) != then
    assert {decision.block for decision in registry.decide_each(asked[:3], block=before)} == {before}


def test_on_anvil_too(
    on_anvil: MedProof,  # noqa: F811
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    registry = on_anvil.consent_registry
    registry.grant(clinic.address, rule, sender=patient)
    asked = [(patient.address, clinic.address, request_inside), (clinic.address, patient.address, request_inside)]
    assert registry.are_permitted(asked * 300) == (True, False) * 300


def test_many_calls_go_into_few_questions(through: Any, asked: Asked) -> None:
    registry, server = through(lambda call: ...)
    assert len(asked) == 324
    assert len(registry.are_permitted(asked)) == len(asked)
    calls = [call for call in server.calls if call.method == "eth_call"]
    assert [len(content(call)) for call in calls] == [2]


def refuses_packed(call: Call) -> Any:
    return (
        call.error("contract creation is not allowed in eth_call")
        if call.method == "eth_call" and is_packed(call)
        else ...
    )


def test_a_node_that_takes_no_packed_calls_is_asked_one_by_one(through: Any, suite: MedProof, asked: Asked) -> None:
    registry, server = through(refuses_packed)
    assert registry.are_permitted(asked) == suite.consent_registry.are_permitted(asked)
    tried = sum(call.method == "eth_call" and is_packed(call) for call in server.calls)
    assert tried >= 1
    registry.are_permitted(asked)
    assert sum(call.method == "eth_call" and is_packed(call) for call in server.calls) == tried  # it is remembered


LIMITS: dict[str, Callable[[Call], Any]] = {
    "in one error": lambda call: call.error("batch size exceeds 20", code=-32600),
    "by its status": lambda call: (413, b"Request Entity Too Large"),
    "as geth": lambda call: b'[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}]',
    "by fewer answers": lambda call: json.dumps(json.loads(call.forward())[:20]).encode(),
    "by the answer's length": lambda call: json.dumps(
        [{"id": one["id"], "error": {"code": -32003, "message": "response too large"}} for one in content(call)]
    ).encode(),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_node_that_limits_a_request_gets_shorter_ones(
    limit: str, through: Any, suite: MedProof, asked: Asked
) -> None:
    def answer(call: Call) -> Any:
        if call.method != "eth_call" or not isinstance(content(call), list):
            return ...
        if is_packed(call):
            return call.error("no")
        return LIMITS[limit](call) if len(content(call)) > 20 else ...

    registry, server = through(answer)
    assert registry.are_permitted(asked) == suite.consent_registry.are_permitted(asked)
    sizes = [len(content(call)) for call in server.calls if isinstance(content(call), list)]
    assert max(sizes[-5:]) <= 20  # what it takes is remembered


def test_a_node_that_takes_no_lists_at_all(through: Any, suite: MedProof, asked: Asked) -> None:
    registry, _ = through(lambda call: call.error("no lists") if isinstance(content(call), list) else ...)
    assert registry.are_permitted(asked[:9]) == suite.consent_registry.are_permitted(asked[:9])


def test_answers_in_any_order_are_found_by_their_ids(through: Any, suite: MedProof, asked: Asked) -> None:
    def answer(call: Call) -> Any:
        if call.method != "eth_call":
            return ...
        return call.error("no") if is_packed(call) else json.dumps(json.loads(call.forward())[::-1]).encode()

    registry, _ = through(answer)
    assert registry.are_permitted(asked) == suite.consent_registry.are_permitted(asked)


LIES: dict[str, Callable[[Any], Any]] = {
    "other ids": lambda one: {**one, "id": 4711},
    "no ids": lambda one: {"result": one["result"]},
    "no answer": lambda one: "what?",
    "too short": lambda one: {**one, "result": one["result"][:-2]},
    "too long": lambda one: {**one, "result": one["result"] + "00"},
    "no digits": lambda one: {**one, "result": "0x" + "zz" * 32},
    "no text": lambda one: {**one, "result": 1},
    "nothing": lambda one: {**one, "result": "0x"},
    "neither yes nor no": lambda one: {**one, "result": "0x" + "02" * 32},
    "an error without words": lambda one: {"id": one["id"], "error": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_answer_is_never_a_permission(lie: str, through: Any, asked: Asked) -> None:
    def answer(call: Call) -> Any:
        if call.method != "eth_call":
            return ...
        answers = json.loads(call.forward())
        changed = [LIES[lie](one) for one in answers] if isinstance(answers, list) else LIES[lie](answers)
        return json.dumps(changed).encode()

    registry, _ = through(answer)
    with pytest.raises(NodeError):
        registry.are_permitted(asked[:7])
    with pytest.raises(MedProofError):
        registry.decide_each(asked[:7])


def test_a_node_that_is_away(suite: MedProof, deployment: Deployment, node: LocalChain, asked: Asked) -> None:
    with odd_node(lambda call: None if call.method == "eth_call" else ..., upstream=node.url) as server:
        registry = MedProof(Chain.connect(server.url), deployment).consent_registry
        with pytest.raises(UnclearAnswerError):
            registry.are_permitted(asked)
        assert server.count("eth_call") <= 2  # it is not asked again in other words


def test_a_single_call_that_is_refused_is_named(through: Any, asked: Asked) -> None:
    """One of them the node cannot answer: no answer of the others stands for it."""

    def answer(call: Call) -> Any:
        if call.method != "eth_call":
            return ...
        if is_packed(call):
            return call.error("execution reverted", code=3, data="0x")
        answers = json.loads(call.forward())
        answers[4] = {"id": answers[4]["id"], "error": {"code": -32000, "message": "missing trie node 0123 (path )"}}
        return json.dumps(answers).encode()

    registry, _ = through(answer)
    with pytest.raises(StateUnavailableError, match="missing trie node"):
        registry.are_permitted(asked[:9])


def test_a_block_in_the_future_and_one_before_the_contract(suite: MedProof, asked: Asked) -> None:
    registry, newest = suite.consent_registry, suite.chain.block_number()
    with pytest.raises(StateUnavailableError, match="may be in the future") as refused:
        registry.are_permitted(asked, block=newest + 1000)
    assert refused.value.block == newest + 1000
    with pytest.raises(NodeError, match="no such contract"):
        registry.are_permitted(asked, block=0)


def test_what_is_no_question(suite: MedProof, asked: Asked, clinic: LocalSigner, request_inside: Request) -> None:
    registry = suite.consent_registry
    subject = clinic.address
    swapped = subject.swapcase().replace("0X", "0x")
    for wrong in ("", "0x", subject[2:] + "00", subject[:-1], "0x" + "g" * 40, swapped, subject + "\n", 7, None):
        with pytest.raises(ArgumentError):
            registry.are_permitted([*asked[:2], (wrong, subject, request_inside)])  # type: ignore[list-item]
    too_early = dataclasses.replace(request_inside, data_from=date(1969, 12, 31))
    with pytest.raises(RuleFieldError, match="dataFrom"):
        registry.are_permitted([*asked, (subject, subject, too_early)])


def test_addresses_in_small_letters_are_taken(suite: MedProof, asked: Asked) -> None:
    small = [(subject.lower(), actor.lower(), request) for subject, actor, request in asked]
    assert suite.consent_registry.are_permitted(small) == suite.consent_registry.are_permitted(asked)
    assert address_bytes("0x" + "0" * 39 + "1") == bytes(19) + b"\1"


def test_what_goes_together_fits(suite: MedProof, node: LocalChain) -> None:
    """The most that a node takes in one, on a node that counts."""
    contract, chain = suite.consent_registry.contract, suite.chain
    nobody = "0x" + "00" * 20
    call = bytes.fromhex(chain.call_data(contract, "isPermitted", (nobody, nobody, 0))[2:])
    most = most_calls(len(call), answer=32)
    assert (
        len(packed(contract.address, [call] * most, answer=32))
        <= 49_152
        < len(packed(contract.address, [call] * (most + 1), answer=32))
    )
    assert most_calls(4, answer=96) == 256
