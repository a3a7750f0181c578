"""Whatever node and network do, each transaction is on the chain once: none is lost, none is there twice.

The manager, the relayer and the gatekeeper's poster send the same way, and go through the same troubles, between them
and a real node. What is on the chain is counted by the contracts' events, and by all transactions of the accounts.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sqlite3
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.errors import MedProofError
from medproof.gateway.moment import Head
from medproof.gateway.posting import Poster
from medproof.policy.word import Rule
from medproof.relayer import Relayer
from medproof.sending import TransactionManager
from medproof.store import SqlStore
from scripts.local_anvil import LocalAnvil
from tests.sdk.chain.odd_node import Call, Cut, OddNode, odd_node
from tests.sdk.conftest import funded, rpc
from tests.sdk.gateway.conftest import KEYS
from tests.sdk.indexer.conftest import anvil_suite, on_anvil  # noqa: F401 - fixtures
from tests.sdk.records.conftest import put
from tests.sdk.relayer.people import people

COUNT = 12
PATIENCE = 30.0  # seconds until everything must be on the chain
ROOTS = [keccak(text=f"batch {number}") for number in range(COUNT)]
SUBJECTS = ["0x" + f"{number:02x}" * 20 for number in range(0xA1, 0xA1 + COUNT)]
CLINIC, SECOND, RELAYER = funded(1), funded(2), funded(7)


# -- what is sent, and how it is counted -------------------------------------------------------------------------


class Work(ABC):
    """One that sends, and goes on with the same file after a crash."""

    accounts: ClassVar = (CLINIC,)
    wanted: ClassVar[Counter[object]]  # what should be on the chain, each once

    def __init__(self, suite: MedProof, folder: Path, *, patience: float = 10.0) -> None:
        self.suite, self.file, self.patience = suite, folder / "queue", patience

    @abstractmethod
    def give(self, *, but: int = 0) -> None:
        """Give it all that is to be sent, but for the last few; again changes nothing."""

    @abstractmethod
    def round(self) -> int:
        """Work once; how many are open."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    @abstractmethod
    def found(self, suite: MedProof) -> Counter[object]:
        """What is on the chain."""


class Transactions(Work):
    """The manager, with transactions of two accounts."""

    accounts = (CLINIC, SECOND)
    wanted: ClassVar = Counter(ROOTS)

    def __init__(self, suite: MedProof, folder: Path, **options: Any) -> None:
        super().__init__(suite, folder, **options)
        self.manager = TransactionManager(suite.chain, self.file, self.accounts, patience=self.patience)

    def give(self, *, but: int = 0) -> None:
        anchor = self.suite.batch_anchor
        for root in ROOTS[: COUNT - but]:  # each in a log of its own
            request = anchor.request("anchor", CLINIC.address, ROOTS.index(root), 1, root, 0, b"")
            self.manager.submit(request, key=root.hex(), account=CLINIC.address)

    def round(self) -> int:
        return self.manager.run_once()

    def close(self) -> None:
        self.manager.close()

    def found(self, suite: MedProof) -> Counter[object]:
        return Counter(event.arguments["root"] for event in suite.batch_anchor.events("BatchAnchored"))


class Messages(Work):
    """The relayer, with two accounts and a grant of each of several subjects."""

    accounts = (RELAYER, SECOND)
    wanted: ClassVar = Counter(one.address for one in people(COUNT))

    def __init__(self, suite: MedProof, folder: Path, messages: list[SignedMessage], **options: Any) -> None:
        super().__init__(suite, folder, **options)
        self.relayer = Relayer(suite, self.file, self.accounts, size=2, patience=self.patience)
        self.messages = messages

    def give(self, *, but: int = 0) -> None:
        for message in self.messages[: COUNT - but]:
            self.relayer.submit(message)

    def round(self) -> int:
        return self.relayer.run_once(flush=True)

    def close(self) -> None:
        self.relayer.close()

    def found(self, suite: MedProof) -> Counter[object]:
        return Counter(event.arguments["subject"] for event in suite.consent_registry.events("RuleSet"))


class Pointers(Work):
    """The gatekeeper's poster, with records of several subjects."""

    wanted: ClassVar = Counter({"pointers": COUNT})

    def __init__(self, suite: MedProof, folder: Path, **options: Any) -> None:
        super().__init__(suite, folder, **options)
        self.store = SqlStore(folder / "records.db", KEYS)
        self.manager = TransactionManager(suite.chain, self.file, self.accounts, patience=self.patience)
        head = Head(suite, finality=1, max_age=None, refresh=0.0, places=self.store.batches.place)
        self.poster = Poster(
            suite, self.store, head, self.manager, batch_size=3, batch_wait=0.0, trouble=lambda error: None
        )

    def give(self, *, but: int = 0) -> None:
        self.poster.recover()

    def round(self) -> int:
        self.poster.work()
        return self.poster.open or self.manager.run_once()

    def close(self) -> None:
        self.manager.close()
        self.store.close()

    def found(self, suite: MedProof) -> Counter[object]:
        pointers = suite.record_pointers
        sizes = [event.arguments["size"] for event in pointers.events("BatchPosted")]
        return Counter({"pointers": sum(sizes) + len(list(pointers.events("PointerPosted")))})


# -- the node, and what befalls it -------------------------------------------------------------------------------

Fault = Callable[[Call], Any]


def cut_in_the_middle(call: Call) -> None:
    call.forward(max(len(call.each) // 2, 1))


def cut_after_all_was_taken(call: Call) -> None:
    call.forward()


def half_an_answer(call: Call) -> bytes:
    return Cut(call.forward())


def busy_after_all_was_taken(call: Call) -> tuple[int, bytes]:
    call.forward()
    return 503, b"busy"


def listed(call: Call, change: Callable[[list[Any]], list[Any]]) -> bytes:
    said = json.loads(call.forward())
    return json.dumps(change(said) if isinstance(said, list) else said).encode()


def taken_it_says(call: Call) -> bytes:
    said = [{"jsonrpc": "2.0", "id": one["id"], "result": "0x" + "00" * 32} for one in call.each]
    return json.dumps(said if call.body.startswith(b"[") else said[0]).encode()


FAULTS: dict[str, Fault] = {
    "cut before anything was taken": lambda call: None,
    "cut in the middle of the list": cut_in_the_middle,
    "cut after all was taken": cut_after_all_was_taken,
    "half an answer": half_an_answer,
    "answers doubled": lambda call: listed(call, lambda said: [*said, *said]),
    "answers reversed": lambda call: listed(call, lambda said: said[::-1]),
    "answers missing": lambda call: listed(call, lambda said: said[1:]),
    "an empty list": lambda call: listed(call, lambda said: []),
    "busy": lambda call: (503, b"busy"),
    "too many requests": lambda call: (429, b"later"),
    "busy after all was taken": busy_after_all_was_taken,
    "no JSON": lambda call: b"<html>",
    "taken, it says": taken_it_says,
}
UNASKED = ("cut in the middle of the list", "cut after all was taken", "busy after all was taken", "taken, it says")


class World:
    """A node behind a network, and the suite as seen through it."""

    def __init__(self, real: MedProof, folder: Path) -> None:
        self.real, self.folder = real, folder
        self.begun = real.chain.block_number()
        self.fault: Fault | None = None
        self.left = 0  # how often it still strikes
        self.struck = 0
        self.node: OddNode

    def strike(self, fault: Fault, *, times: int = 3, on: Callable[[Call], bool]) -> None:
        """The next few requests of a kind go wrong."""
        self.fault, self.left, self.on = fault, times, on

    def __call__(self, call: Call) -> Any:
        if self.fault is None or self.left <= 0 or not self.on(call):
            return ...
        self.left -= 1
        self.struck += 1
        return self.fault(call)

    def suite(self, **options: Any) -> MedProof:
        return through(self.node.url, self.real.deployment, **options)

    def ask(self, method: str, *parameters: Any) -> Any:
        return rpc(self.real.chain, method, *parameters)


def through(url: str, deployment: Deployment, **options: Any) -> MedProof:
    return MedProof(Chain.connect(url, patience=5.0, poll=0.001, **options), deployment)


def sends(call: Call) -> bool:
    return any(one["method"] == "eth_sendRawTransaction" for one in call.each)


def asks(call: Call) -> bool:
    return not sends(call)


@pytest.fixture
def world(on_anvil: MedProof, tmp_path: Path) -> Iterator[World]:  # noqa: F811
    made = World(on_anvil, tmp_path)
    url = str(on_anvil.chain.web3.provider.endpoint_uri)  # type: ignore[attr-defined]
    with odd_node(made, upstream=url) as made.node:
        yield made
    rpc(on_anvil.chain, "anvil_dropAllTransactions")
    rpc(on_anvil.chain, "evm_setAutomine", True)


Make = Callable[..., Work]


@pytest.fixture(params=["manager", "relayer", "poster"])
def make(request: pytest.FixtureRequest, world: World, rule: Rule) -> Iterator[Make]:
    """`make()`: one of those that send, on the same file each time."""
    made: list[Work] = []
    if request.param == "relayer":
        registry = world.real.consent_registry
        messages = [registry.sign_grant(one, CLINIC.address, rule) for one in people(COUNT)]
    elif request.param == "poster":
        store = SqlStore(world.folder / "records.db", KEYS)
        put(store, CLINIC.address, SUBJECTS)
        store.close()

    def build(**options: Any) -> Work:
        suite, given = world.suite(confirmations=options.pop("confirmations", 1)), {**options}
        if request.param == "manager":
            made.append(Transactions(suite, world.folder, **given))
        elif request.param == "relayer":
            made.append(Messages(suite, world.folder, messages, **given))
        else:
            made.append(Pointers(suite, world.folder, **given))
        return made[-1]

    yield build
    for one in made:
        one.close()


def insist(give: Callable[[], object]) -> None:
    """Do what takes no harm by being done again, until the node lets it be done."""
    for _ in range(20):
        with suppress(MedProofError):
            give()
            return
    raise AssertionError("it was not taken")


def work_off(world: World, work: Work, *, mine: bool = False) -> None:
    """Work until nothing is open; what goes wrong meanwhile is asked again."""
    limit, troubles = time.monotonic() + PATIENCE, Counter[str]()
    while time.monotonic() < limit:
        try:
            if work.round() == 0:
                return
            troubles["none"] += 1
        except MedProofError as error:
            troubles[repr(error)] += 1
        if mine or time.monotonic() > limit - PATIENCE / 2:  # what is late is replaced after a new block
            world.ask("evm_mine")
    raise AssertionError(f"something is open still: {troubles}, {kept(work)}, {world.ask('txpool_content')}")


def kept(work: Work) -> list[tuple[Any, ...]]:
    """What its file has, for whoever wants to know what stands still."""
    query = "SELECT number, state, nonce, block, reason, (SELECT COUNT(*) FROM attempts a WHERE a.number = t.number)"
    with closing(sqlite3.connect(work.file)) as database:
        return database.execute(f"{query} FROM transactions t").fetchall()


def prove_each_once(world: World, work: Work, *, on: MedProof | None = None, idle: int = 0) -> None:
    """Each is on the chain once, and nothing else but `idle` transactions that do nothing."""
    suite = on or world.real
    assert work.found(suite) == work.wanted
    senders, sent = {one.address for one in work.accounts}, Counter[str]()
    for number in range(world.begun + 1, suite.chain.block_number() + 1):
        for one in suite.chain.web3.eth.get_block(number, full_transactions=True)["transactions"]:
            if one["from"] in senders:  # type: ignore[index]
                sent[bytes(one["input"]).hex()] += 1  # type: ignore[index]
    assert sent.pop("", 0) == idle
    assert set(sent.values()) == {1}


# -- the network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        *(("manager", fault) for fault in FAULTS),
        *((sender, fault) for sender in ("relayer", "poster") for fault in UNASKED),
    ],
    indirect=["make"],
)
def test_trouble_when_transactions_are_sent(world: World, make: Make, fault: str) -> None:
    work = make()
    work.give()
    world.strike(FAULTS[fault], on=sends)
    work_off(world, work)
    assert world.struck > 0
    prove_each_once(world, work)


@pytest.mark.parametrize("make", ["manager"], indirect=True)
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in UNASKED])
def test_trouble_when_the_node_is_asked(world: World, make: Make, fault: str) -> None:
    work = make()
    world.strike(FAULTS[fault], on=asks, times=5)
    insist(work.give)
    world.left += 5
    work_off(world, work)
    assert world.struck > 3
    prove_each_once(world, work)


def test_node_that_is_gone_for_a_while(world: World, make: Make) -> None:
    work = make()
    work.give()
    world.strike(lambda call: None, times=40, on=lambda call: True)
    for _ in range(3):
        with pytest.raises(MedProofError):
            work.round()
    world.left = 0
    work_off(world, work)
    prove_each_once(world, work)


# -- the node ----------------------------------------------------------------------------------------------------


def test_node_restarted_without_what_waited(world: World, make: Make) -> None:
    work = make()
    work.give()
    world.ask("evm_setAutomine", False)
    work.round()
    work.round()
    assert int(world.ask("txpool_status")["pending"], 16) > 0
    with LocalAnvil() as fresh:
        fresh.rpc("anvil_loadState", world.ask("anvil_dumpState"))
        world.node.upstream = fresh.url
        work_off(world, work)
        prove_each_once(world, work, on=through(fresh.url, world.real.deployment))
    world.ask("anvil_dropAllTransactions")


def test_transactions_dropped_from_the_pool(world: World, make: Make) -> None:
    work = make()
    work.give()
    world.ask("evm_setAutomine", False)
    work.round()
    work.round()
    for account in work.accounts:  # the first of each, so that those after it have a gap before them
        first = world.real.chain.transaction_count(account.address, block="latest")
        waiting = world.ask("txpool_content")["pending"].get(account.address, {})
        if str(first) in waiting:
            world.ask("anvil_dropTransaction", waiting[str(first)]["hash"])
    work_off(world, work, mine=True)
    prove_each_once(world, work)


def test_fees_that_rise_while_they_wait(world: World, make: Make) -> None:
    work = make(patience=0.0)
    work.give()
    world.ask("evm_setAutomine", False)
    work.round()
    spike = 40 * world.real.chain.fees()["maxFeePerGas"]
    world.ask("anvil_setNextBlockBaseFeePerGas", hex(spike))
    world.ask("evm_mine")
    assert work.found(world.real).total() == 0  # none pays for this block
    work_off(world, work, mine=True)
    prove_each_once(world, work)


# -- the chain ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_reorganisation_below_what_was_sent(world: World, make: Make, depth: int) -> None:
    work = make(confirmations=8)
    work.give()
    for _ in range(depth):
        work.round()
        world.ask("evm_mine")
    world.ask("anvil_reorg", min(depth, world.real.chain.block_number() - world.begun), [])
    work.round()
    work_off(world, work, mine=True)
    prove_each_once(world, work)


def test_reorganisation_deeper_than_was_waited_for(world: World, make: Make) -> None:
    work = make()
    work.give(but=1)
    world.ask("evm_setAutomine", False)
    work_off(world, work, mine=True)
    mined = world.real.chain.block_number() - world.begun
    world.ask("anvil_reorg", mined, [])
    work.give()  # with whatever is sent next it is noticed
    work_off(world, work, mine=True)
    prove_each_once(world, work)


# -- the process -------------------------------------------------------------------------------------------------


def test_killed_at_any_time(world: World, make: Make) -> None:
    chance = random.Random(5)
    make().close()

    def run() -> None:
        work = make()
        insist(work.give)
        while True:
            with suppress(MedProofError):
                work.round()

    for _ in range(5):
        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        time.sleep(chance.uniform(0.02, 0.4))
        process.kill()
        process.join()
    work = make()
    work.give()
    work_off(world, work)
    prove_each_once(world, work)


def test_two_processes_on_one_file(world: World, make: Make) -> None:
    first, second = make(), make()
    first.give()
    second.give()
    world.strike(FAULTS["cut in the middle of the list"], on=sends, times=4)
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        with suppress(MedProofError):
            if first.round() + second.round() == 0:
                break
    assert world.struck > 0
    prove_each_once(world, first)
