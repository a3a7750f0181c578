"""The signers of a Clique network, and votes about them: what a node says of them, and what is refused.

tests/network has the same through real nodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import ArgumentError, NoCliqueError, NodeError, SignerVoteError
from medproof.network_signers import network_signers, propose_signer, withdraw_proposal
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import funded

FIRST, SECOND, THIRD, FOURTH, FIFTH = (funded(number).address for number in range(5))
SIGNERS = [FIRST, SECOND, THIRD]


@dataclass
class Clique:
    """What a node with Clique answers."""

    signers: list[str] = field(default_factory=lambda: list(SIGNERS))
    silent: tuple[str, ...] = ()  # those that seal nothing
    block: int = 100
    votes: list[tuple[str, str, bool]] = field(default_factory=list)  # signer, account, authorize
    proposals: dict[str, bool] = field(default_factory=dict)
    coinbase: str | None = FIRST
    broken: Callable[[str, Any], Any] = lambda method, result: result  # what it makes of its answers

    def __call__(self, call: Call) -> bytes:
        answers = [{"jsonrpc": "2.0", "id": one["id"], **self.say(one["method"], one["params"])} for one in call.each]
        return json.dumps(answers if len(answers) > 1 else answers[0]).encode()

    def say(self, method: str, parameters: list[Any]) -> dict[str, Any]:
        match method:
            case "eth_chainId":
                return {"result": hex(7777)}
            case "eth_coinbase":
                return {"result": self.coinbase} if self.coinbase else {"error": {"code": -32000, "message": "none"}}
            case "clique_getSnapshot":
                votes = [
                    {"signer": signer.lower(), "block": 90, "address": account.lower(), "authorize": joins}
                    for signer, account, joins in self.votes
                ]
                found: Any = {
                    "number": self.block,
                    "signers": {one.lower(): {} for one in self.signers},
                    "votes": votes,
                }
            case "clique_getSigner":
                up = [one for one in self.signers if one not in self.silent]
                found = up[int(parameters[0], 16) % len(up)].lower()
            case "clique_proposals":
                found = {account.lower(): joins for account, joins in self.proposals.items()}
            case "clique_propose":
                found = self.proposals.update({parameters[0]: parameters[1]})
            case "clique_discard":
                found = (self.proposals.pop(parameters[0], None), None)[1]
            case _:
                raise AssertionError(method)
        return {"result": self.broken(method, found)}


@pytest.fixture
def clique() -> Clique:
    return Clique()


@pytest.fixture
def chain_of_signers(clique: Clique) -> Iterator[Chain]:
    with odd_node(clique) as node:
        yield Chain.connect(node.url)


def test_who_seals(clique: Clique, chain_of_signers: Chain) -> None:
    clique.silent, clique.votes = (THIRD,), [(SECOND, FOURTH, True)]
    clique.proposals = {FOURTH: True, FIFTH: False}
    known = network_signers(chain_of_signers)
    assert (known.block, known.looked, known.majority, known.node) == (100, 9, 2, FIRST)
    assert set(known.sealed) == set(SIGNERS)
    assert known.active == {FIRST, SECOND}
    assert sum(known.sealed.values()) == 9
    assert known.proposals == {FOURTH: True, FIFTH: False}
    [vote] = known.votes
    assert (vote.account, vote.joins, vote.voters, vote.needed, vote.missing) == (FOURTH, True, {SECOND}, 2, 1)


def test_a_young_chain(clique: Clique, chain_of_signers: Chain) -> None:
    clique.block = 0
    known = network_signers(chain_of_signers)
    assert (known.looked, known.active) == (0, frozenset())


def test_a_vote_is_cast_and_withdrawn(clique: Clique, chain_of_signers: Chain) -> None:
    vote = propose_signer(chain_of_signers, FOURTH.lower(), True)
    assert (vote.voters, vote.missing) == ({FIRST}, 1)
    assert clique.proposals == {FOURTH: True}
    assert withdraw_proposal(chain_of_signers, FOURTH)
    assert clique.proposals == {}
    assert not withdraw_proposal(chain_of_signers, FOURTH)


def test_a_vote_that_others_cast_before(clique: Clique, chain_of_signers: Chain) -> None:
    clique.votes = [(SECOND, THIRD, False), (FIRST, FOURTH, True)]
    vote = propose_signer(chain_of_signers, THIRD, False)
    assert (vote.voters, vote.missing) == ({FIRST, SECOND}, 0)
    assert propose_signer(chain_of_signers, FOURTH, True).voters == {FIRST}  # again: it counts once


@pytest.mark.parametrize(
    ("signers", "silent", "account", "joins", "said"),
    [
        (SIGNERS, (), FIRST, True, "is a signer already"),
        (SIGNERS, (), FOURTH, False, "is no signer"),
        (
            [FIRST],
            (),
            FOURTH,
            True,
            "2 of 2 signers would have to seal, and 1 are seen to: it would stop unless the new",
        ),
        (SIGNERS, (THIRD,), FOURTH, True, "3 of 4 signers"),
        (SIGNERS, (THIRD,), SECOND, False, "2 of 2 signers would have to seal, and 1 are seen to: it would stop. Have"),
        ([FIRST], (), FIRST, False, "no signer left"),
    ],
)
def test_what_is_refused(
    signers: list[str],
    silent: tuple[str, ...],
    account: str,
    joins: bool,
    said: str,
    clique: Clique,
    chain_of_signers: Chain,
) -> None:
    clique.signers, clique.silent = list(signers), silent
    with pytest.raises(SignerVoteError, match=said) as caught:
        propose_signer(chain_of_signers, account, joins)
    assert caught.value.account == account
    assert clique.proposals == {}


@pytest.mark.parametrize(
    ("signers", "silent", "account", "joins"),
    [
        (SIGNERS, (), FOURTH, True),
        (SIGNERS, (), THIRD, False),
        (SIGNERS, (THIRD,), THIRD, False),  # whoever is away may go
        ([FIRST, SECOND], (), THIRD, True),
        ([FIRST, SECOND], (), SECOND, False),
    ],
)
def test_what_does_no_harm(
    signers: list[str], silent: tuple[str, ...], account: str, joins: bool, clique: Clique, chain_of_signers: Chain
) -> None:
    clique.signers, clique.silent = list(signers), silent
    propose_signer(chain_of_signers, account, joins)
    assert clique.proposals == {account: joins}


def test_what_could_stop_the_network_may_be_meant(clique: Clique, chain_of_signers: Chain) -> None:
    clique.signers = [FIRST]
    propose_signer(chain_of_signers, SECOND, True, anyway=True)
    assert clique.proposals == {SECOND: True}
    with pytest.raises(SignerVoteError, match="no signer left"):
        propose_signer(chain_of_signers, FIRST, False, anyway=True)


@pytest.mark.parametrize("coinbase", [FOURTH, None, "0x"])
def test_a_node_that_seals_nothing_has_no_vote(coinbase: str | None, clique: Clique, chain_of_signers: Chain) -> None:
    clique.coinbase = coinbase
    with pytest.raises(SignerVoteError, match="gets no vote by this node"):
        propose_signer(chain_of_signers, FIFTH, True)
    assert clique.proposals == {}


@pytest.mark.parametrize("account", ["", "0x12", "clinic", FIRST.swapcase(), "'; DROP TABLE signers; --"])
def test_what_is_no_address(account: str, clique: Clique, chain_of_signers: Chain) -> None:
    for act in (
        lambda: propose_signer(chain_of_signers, account, True),
        lambda: withdraw_proposal(chain_of_signers, account),
    ):
        with pytest.raises(ArgumentError):
            act()
    assert clique.proposals == {}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("clique_getSnapshot", None),
        ("clique_getSnapshot", []),
        ("clique_getSnapshot", {"number": "x", "signers": {}, "votes": []}),
        ("clique_getSnapshot", {"number": 5, "signers": {"me": {}}, "votes": []}),
        ("clique_getSnapshot", {"number": 5, "signers": {FIRST: {}}, "votes": [{"address": FIRST}]}),
        ("clique_getSnapshot", {"number": 5, "signers": {FIRST: {}}}),
        ("clique_getSnapshot", {"number": 5, "signers": {FIRST: {}}, "votes": None}),
        ("clique_getSigner", None),
        ("clique_getSigner", "0x12"),
        ("clique_proposals", [FIRST]),
    ],
)
def test_a_lying_node(method: str, answer: Any, clique: Clique, chain_of_signers: Chain) -> None:
    clique.broken = lambda asked, result: answer if asked == method else result
    with pytest.raises(NodeError, match="cannot be used"):
        propose_signer(chain_of_signers, FOURTH, True)
    assert clique.proposals == {}


def test_a_chain_without_clique(node: LocalChain) -> None:
    chain = Chain.connect(node.url)
    for act in (network_signers, lambda chain: propose_signer(chain, FIRST, True)):
        with pytest.raises(NoCliqueError, match="says nothing of signers"):
            act(chain)
