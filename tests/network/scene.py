"""What goes on while nodes die and part: relayers, an index, a gatekeeper with its reader; and what must hold after it.

Each works in a thread of its own through one of the nodes, as it does in its own process elsewhere. `Scene.check` is
the same after every scenario:

1. every message that a relayer accepted is on the canonical chain once, as two nodes have it;
2. the index that lived through it has the very rows of one that reads the chain anew, from either of two nodes;
3. whatever the gatekeeper served was permitted at the block that it named, be that block still the chain's or not.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.errors import GatekeeperRefusalError, MedProofError
from medproof.gateway import Gatekeeper, GatekeeperClient, Proof, Settings
from medproof.gateway.consent import request_for
from medproof.gateway.server import server_of
from medproof.indexer import Index, Indexer
from medproof.indexer.schema import HISTORIES
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Rule, encode_request
from medproof.relayer import Relayer, State
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from scripts.local_network import CHAIN_ID, LocalNetwork
from tests.sdk.conftest import funded
from tests.sdk.gateway.conftest import KEYS, TREATMENT, Clock, observation

CLINIC, READER, DEVICE = funded(1), funded(2), funded(3)  # the custodian, who asks it, and its own device
PATIENCE = 120.0  # seconds until a transaction counts, and until nothing is open any more
DEPTH = 4  # confirmations that outlive what these networks take back: more than half of three signers
_PAUSE = 0.25  # seconds between two rounds of whoever works


def through(network: LocalNetwork, number: int, deployment: Deployment, *, confirmations: int = 1) -> MedProof:
    """The suite, seen through one of the nodes."""
    url = network.nodes[number].url
    chain = Chain.connect(url, chain_id=CHAIN_ID, confirmations=confirmations, timeout=PATIENCE, poll=0.1)
    return MedProof(chain, deployment)


def open_rule() -> Rule:
    """An open permit for treatment with laboratory results."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        party_kinds=PartyKind.PROVIDER,
        valid_from=now - timedelta(hours=1),
        valid_until=now + timedelta(days=365),
    )


def events_of(suite: MedProof) -> Counter[tuple[str, str]]:
    """How often each event about a rule is on the chain, by event and subject."""
    registry = suite.consent_registry
    return Counter(
        (name, event.arguments["subject"]) for name in ("RuleSet", "RuleRevoked") for event in registry.events(name)
    )


def rows(path: Path, block: int) -> dict[str, list[tuple[Any, ...]]]:
    """What an index has as of a block, table by table."""
    found = {}
    with contextlib.closing(sqlite3.connect(path)) as database:
        for name in ("events", *HISTORIES):
            cursor = database.execute(f"SELECT * FROM {name} WHERE block <= ? ORDER BY block, position", (block,))
            names = [column[0] for column in cursor.description]
            found[name] = [_as_of(dict(zip(names, row, strict=True)), block) for row in cursor]
        told = "SELECT block, hash, time FROM blocks WHERE block <= ? AND block IN (SELECT block FROM events)"
        found["blocks"] = sorted(database.execute(told, (block,)))
    return found


def _as_of(row: dict[str, Any], block: int) -> tuple[Any, ...]:
    """A row, without what ended it later."""
    if (row.get("until_block") or 0) > block:
        row |= {"until_block": None, "until_time": None}
    return tuple(row.values())


@contextlib.contextmanager
def serving(suite: MedProof, store: SqlStore, sender: LocalSigner | None = None) -> Iterator[Gatekeeper]:
    """The clinic's gatekeeper over HTTP. It decides by no block that is older than ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    origin, clock = f"http://127.0.0.1:{port}", Clock()
    settings = Settings(
        origin, writers=frozenset({DEVICE.address}), max_block_age=10.0, refresh=0.0, batch_wait=0.0, account_rate=1000
    )
    gatekeeper = Gatekeeper(suite, store, settings, sender=sender, clock=clock)
    clock.offset = 0.0  # it began a minute ago, so that what is signed now counts
    server = server_of(gatekeeper, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < deadline, "the gatekeeper did not start"
        time.sleep(0.02)
    yield gatekeeper
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


def fresh_grant(suite: MedProof) -> SignedMessage:
    """A grant for the clinic, signed by a patient whom nobody has met."""
    return suite.consent_registry.sign_grant(LocalSigner.create(), CLINIC.address, open_rule())


@dataclass
class Custody:
    """A record at the clinic, its pointer on the chain, and the patient who permits the reader to have it."""

    patient: LocalSigner
    id: str  # the record's
    records: Path  # the clinic's store

    @classmethod
    def prepare(cls, suite: MedProof, folder: Path) -> Custody:
        """Take a record, post its pointer, and have the patient permit the reader to read it."""
        patient, path = LocalSigner.create(), folder / "records.db"
        with contextlib.closing(SqlStore(path, KEYS)) as store, serving(suite, store, CLINIC) as gatekeeper:
            with GatekeeperClient(gatekeeper.settings.origin, suite, DEVICE, claims=TREATMENT) as device:
                taken = device.create(patient.address, observation())
            deadline = time.monotonic() + PATIENCE
            while gatekeeper.poster is not None and gatekeeper.poster.open:
                assert time.monotonic() < deadline, "the pointer was not posted"
                time.sleep(0.1)
        suite.relay(suite.consent_registry.sign_grant(patient, READER.address, open_rule()), sender=funded(4))
        return cls(patient, str(taken.record.id), path)


@dataclass
class Scene:
    """One scenario's."""

    network: LocalNetwork
    deployment: Deployment
    custody: Custody
    folder: Path
    relayers: dict[Relayer, MedProof] = field(default_factory=dict)  # each with the contracts as it sees them
    before: Counter[tuple[str, str]] = field(default_factory=Counter)  # the events of the custody's patient until then
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)  # event and subject of each accepted message
    served: list[tuple[int, Proof]] = field(default_factory=list)  # by the gatekeeper at which node
    refused: Counter[str] = field(default_factory=Counter)  # by it: the codes
    indexers: list[tuple[int, Path, Indexer]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def suite(self, number: int, *, confirmations: int = 1) -> MedProof:
        """The contracts, through a node."""
        return through(self.network, number, self.deployment, confirmations=confirmations)

    # -- who works ----------------------------------------------------------------------------------------------

    def relayer(self, number: int, *accounts: int, confirmations: int = DEPTH) -> Relayer:
        """A relayer at a node, with some of the funded accounts; it works until the end."""
        suite, senders = self.suite(number, confirmations=confirmations), [funded(account) for account in accounts]
        path = self.folder / f"queue-{len(self.relayers)}.db"
        relayer = Relayer(suite, path, senders, size=4, age=0.0, patience=5.0)
        self._open.callback(relayer.close)
        self.relayers[relayer] = suite
        self.work(lambda: relayer.run_once())
        return relayer

    def indexer(self, number: int) -> Indexer:
        """An index of a node's chain up to its newest block, kept up to date until the end."""
        path = self.folder / f"index-{len(self.indexers)}.db"
        index = self._open.enter_context(contextlib.closing(Index(path)))
        indexer = Indexer(index, self.suite(number).chain, self.deployment, finality=1)
        self.indexers.append((number, path, indexer))
        self.work(indexer.update)
        return indexer

    def gatekeeper(self, number: int) -> None:
        """The clinic's gatekeeper at a node, deciding by its newest block, and a reader who keeps asking it."""
        suite = self.suite(number)
        path = shutil.copy(self.custody.records, self.folder / f"records-{number}.db")
        store = self._open.enter_context(contextlib.closing(SqlStore(path, KEYS)))
        origin = self._open.enter_context(serving(suite, store)).settings.origin

        def note(answer: httpx.Response) -> None:
            if answer.status_code == httpx.codes.OK:
                self.served.append((number, Proof.read(answer.headers["MedProof-Proof"])))

        http = self._open.enter_context(httpx.Client(event_hooks={"response": [note]}, timeout=20.0))
        client = GatekeeperClient(origin, suite, READER, claims=TREATMENT, http=http)

        def ask() -> None:
            try:
                client.fetch("Observation", self.custody.id)
            except GatekeeperRefusalError as error:
                self.refused[error.code] += 1

        self.work(ask)

    def work(self, act: Callable[[], object]) -> None:
        """Do something again and again until the end."""

        def work() -> None:
            while not self._stop.is_set():
                with contextlib.suppress(MedProofError):  # a node is away, or what it says is none of the chain's
                    act()
                self._stop.wait(_PAUSE)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def manager(self, number: int, *accounts: int) -> TransactionManager:
        """A transaction manager at a node, with some of the funded accounts; it works until the end."""
        chain, path = self.suite(number, confirmations=DEPTH).chain, self.folder / "transactions.db"
        manager = TransactionManager(chain, path, [funded(account) for account in accounts], patience=5.0)
        self._open.callback(manager.close)
        self.work(manager.run_once)
        return manager

    # -- what they are given --------------------------------------------------------------------------------------

    def grant(self, relayer: Relayer, count: int = 1) -> list[str]:
        """Have fresh patients grant the clinic a rule; the ids of their messages."""
        return [self.submit(relayer, fresh_grant, "RuleSet") for _ in range(count)]

    def send(self, manager: TransactionManager, count: int) -> list[str]:
        """Have fresh patients grant the clinic a rule, each by a transaction of its own; the keys, each given twice."""
        registry, keys = self.suite(0).consent_registry, []
        for _ in range(count):
            message = fresh_grant(self.suite(0))
            request = {"to": registry.address, "data": registry.call_data(message)}
            self.accepted["RuleSet", str(message.subject)] += 1
            keys.append(manager.submit(request, key=f"grant of {message.subject}"))
            assert manager.submit(request, key=keys[-1]) == keys[-1]
        return keys

    def revoke(self, relayer: Relayer) -> str:
        """Have the record's patient revoke what the reader may."""

        def sign(suite: MedProof) -> SignedMessage:
            return suite.consent_registry.sign_revocation(self.custody.patient, READER.address)

        return self.submit(relayer, sign, "RuleRevoked")

    def permit(self, relayer: Relayer) -> str:
        """Have the record's patient permit it (again)."""

        def sign(suite: MedProof) -> SignedMessage:
            return suite.consent_registry.sign_grant(self.custody.patient, READER.address, open_rule())

        return self.submit(relayer, sign, "RuleSet")

    def submit(
        self,
        relayer: Relayer,
        sign: Callable[[MedProof], SignedMessage],
        event: str,
        *,
        patience: float = PATIENCE,
    ) -> str:
        """Sign and submit a message, though its node may be away for a while; its id."""
        deadline = time.monotonic() + patience
        while True:
            try:
                message = sign(self.relayers[relayer])
                id_ = relayer.submit(message)
                break
            except MedProofError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
        self.accepted[event, str(message.subject)] += 1
        return id_

    # -- waiting --------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never {what}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until every message has taken effect."""
        for relayer in self.relayers:
            self.until(lambda relayer=relayer: all(fate.final for fate in relayer.fates()), "all final")  # type: ignore[misc]
            assert {fate.state for fate in relayer.fates()} <= {State.CONFIRMED}, relayer.fates()

    def serves(self) -> None:
        """Wait until the gatekeeper has served once more."""
        before = len(self.served)
        self.until(lambda: len(self.served) > before, "served")

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self, *, nodes: Sequence[int] = (0, 3)) -> None:
        """Make sure that nothing was lost, doubled, or served that was not permitted."""
        self.settle()
        final = self.network.agree()
        self.network.wait(DEPTH)
        self.stop()
        for number in nodes:
            assert self.on_the_chain(number) == self.accepted, f"node {number}"
        replays = [self.replay(number, final) for number in nodes]
        assert replays[0] == replays[1], "two nodes differ"
        assert any(replays[0].values())
        for _, path, indexer in self.indexers:
            indexer.update()
            assert rows(path, final) == replays[0], "the index is no replay"
        for (number, block, named), served in Counter((n, p.block, p.block_hash) for n, p in self.served).items():
            found = self.network.nodes[number].block_hash(block)
            said = f"{served} served at block {block} {named} of node {number}, whose {block} is now {found}"
            assert self.permitted(number, named), f"without a permission: {said}"

    def on_the_chain(self, number: int) -> Counter[tuple[str, str]]:
        """What became of this scene's subjects, as a node has it: how often each event."""
        ours = {subject for _, subject in self.accepted}
        found = events_of(self.suite(number)) - self.before
        return Counter({key: count for key, count in found.items() if key[1] in ours})

    def replay(self, number: int, block: int) -> dict[str, list[Any]]:
        """The rows of an index that reads a node's chain from the first block on, to a block."""
        path = self.folder / f"replay-{number}.db"
        with contextlib.closing(Index(path)) as index:
            Indexer(index, self.suite(number).chain, self.deployment, finality=1).update()
        return rows(path, block)

    def permitted(self, number: int, block_hash: str) -> bool:
        """Whether the reader might have the record at a block, which may be on a branch that was left."""
        suite, request = self.suite(number), request_for(observation(), TREATMENT)
        registry = suite.consent_registry
        asked = (self.custody.patient.address, READER.address, encode_request(request))
        call = {"to": registry.address, "data": Chain.call_data(registry.contract, "isPermitted", asked)}
        [answer] = suite.chain.ask([("eth_call", [call, {"blockHash": block_hash}])])  # web3 would ask by its number
        return int(answer, 16) == 1

    # -- its life -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Have nobody work any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._threads = []

    def close(self) -> None:
        """Stop, and close what is open."""
        self.stop()
        self._open.close()
