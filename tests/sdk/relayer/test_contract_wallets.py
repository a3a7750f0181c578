"""Contract wallets sign by ERC-1271, in batches of their own: what one burns is bounded and harms nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.contract_errors import SignatureInvalid
from medproof.errors import MessageGasError
from medproof.messages import TypedData
from medproof.relayer import State
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT
from tests.sdk.relayer.conftest import Open
from tests.sdk.relayer.people import people, person, work_off

MOODS = {"honest": 0, "reverting": 1, "burning": 2, "short": 3, "wrong": 4}


class Wallet:
    """The tests' contract wallet, and its owner who signs for it."""

    def __init__(self, suite: MedProof, owner: LocalSigner, payer: LocalSigner) -> None:
        built = json.loads((ROOT / "build" / "contracts" / "ContractWallet.json").read_text())
        creation = suite.chain.creation(built["bytecode"], built["abi"], [owner.address])
        address = suite.chain.wait(suite.chain.send(creation, sender=payer)).contract
        assert address is not None
        self.address, self.owner, self.payer, self.chain = address, owner, payer, suite.chain
        self.contract = suite.chain.contract(address, built["abi"])

    def sign_typed_data(self, message: TypedData) -> bytes:
        return self.owner.sign_typed_data(message)

    def feel(self, mood: str) -> None:
        self.chain.transact(self.contract, "setMood", [MOODS[mood]], sender=self.payer)


@pytest.fixture
def wallet(suite: MedProof, stranger: LocalSigner) -> Wallet:
    return Wallet(suite, person(9), stranger)


def test_wallet_goes_alone(open_relayer: Open, grant: Callable[..., SignedMessage], wallet: Any) -> None:
    work = open_relayer()
    first, alone, last = (work.submit(grant(one)) for one in (person(0), wallet, person(1)))
    work_off(work)
    assert {fate.state for fate in work.fates()} == {State.CONFIRMED}
    assert work.status(first).transaction == work.status(last).transaction != work.status(alone).transaction


def test_wallet_that_burns_gas_is_not_taken(
    open_relayer: Open, grant: Callable[..., SignedMessage], wallet: Any
) -> None:
    work, message = open_relayer(), grant(wallet)
    wallet.feel("burning")
    with pytest.raises(SignatureInvalid):
        work.submit(message)
    assert work.fates() == []


@pytest.mark.parametrize("mood", ["reverting", "burning", "wrong"])
def test_wallet_that_changes_its_mind_in_the_queue(
    open_relayer: Open, grant: Callable[..., SignedMessage], wallet: Any, mood: str
) -> None:
    work = open_relayer()
    alone, *others = (work.submit(grant(one)) for one in (wallet, *people(3)))
    wallet.feel(mood)
    work_off(work)
    assert work.status(alone).state is State.REFUSED
    assert str(work.status(alone).reason).startswith("SignatureInvalid(")
    assert [work.status(id_).state for id_ in others] == [State.CONFIRMED] * 3


def test_wallet_that_changes_its_mind_on_the_way(
    suite: MedProof,
    open_relayer: Open,
    grant: Callable[..., SignedMessage],
    wallet: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = open_relayer(gas_each=200_000)
    alone, *others = (work.submit(grant(one)) for one in (wallet, *people(3)))
    wallet.feel("burning")
    monkeypatch.setattr(
        suite.chain, "call_each", lambda contract, function, calls, gas: [None] * len(calls)
    )  # just before
    work_off(work)
    assert work.status(alone).state is State.REFUSED
    assert [work.status(id_).state for id_ in others] == [State.CONFIRMED] * 3
    receipt = suite.chain.receipt(str(work.status(alone).transaction))
    assert receipt is not None
    assert receipt.gas_used < 350_000


def test_wallet_that_takes_more_than_one_message_may(
    open_relayer: Open, grant: Callable[..., SignedMessage], wallet: Any
) -> None:
    work = open_relayer(gas_each=10_000)
    with pytest.raises(MessageGasError):
        work.submit(grant(wallet))
