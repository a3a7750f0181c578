"""A network of several real geth nodes on this machine: Clique proof of authority, the kind of network MedRec ran on.

In Python::

    with LocalNetwork() as network:
        connect(network.nodes[0].url)

Four nodes, three of them signers, a block a second, chain 7777. A node can be killed and started again, with a wrong
clock too, and the network parted into groups that do not hear each other: where root makes network namespaces, each
node has one and its links are cut (`scripts/private_links.py`); elsewhere all are on loopback and drop their peers.
Nothing outlives the process that made it, and everything lies in a folder of its own that goes with it. geth 1.13.15 is
the last with Clique: it is taken from PATH, or from `.cache/bin`, where ``scripts/setup.py --network`` puts it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eth_account import Account
from eth_keys.datatypes import PrivateKey

from scripts.local_anvil import GUARD
from scripts.local_chain import CACHE, ROOT, START_SECONDS, ChainError
from scripts.private_links import PrivateLinks

CHAIN_ID = 7777
PERIOD = 1  # seconds between two blocks
VERSION = "1.13.15"
PATIENCE = 120.0  # seconds until nodes have what others have: geth dials a lost peer again after 35
_STILL = 5.0  # seconds without a block after which nobody seals: signers out of turn wait one and a half at most
_PASSWORD = "local"
_RICH = 10**24  # wei; a million ether
_MODULES = "admin,clique,debug,eth,miner,net,txpool,web3"


def geth() -> Path:
    """Where the executable is.

    Raises:
        ChainError: there is none, or it is a later one, which knows no Clique.
    """
    own = CACHE / "bin" / "geth"
    found = str(own) if own.exists() else shutil.which("geth")
    if found is None:
        raise ChainError(f"geth {VERSION} is not here; scripts/setup.py --network installs it where Go is")
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    if f"Version: {VERSION}" not in said:
        raise ChainError(f"{found} is not geth {VERSION}, the last with Clique; put that one on the PATH")
    return Path(found)


def geth_clock() -> Path:
    """Where the executable with a clock of its own is.

    Raises:
        ChainError: there is none.
    """
    own = CACHE / "bin" / "geth-clock"
    if not own.exists():
        raise ChainError("no geth with a clock of its own is here; scripts/setup.py --network compiles it where Go is")
    return own


def _key(number: int) -> PrivateKey:
    """A key that everybody knows: these networks hold nothing."""
    return PrivateKey(number.to_bytes(32, "big"))


@dataclass
class Node:
    """One of the nodes."""

    number: int  # from 0 on
    folder: Path
    host: str  # where other nodes find it
    port: int  # likewise
    url: str  # where it answers
    address: str  # its account: a signer's, or one that may become one
    seals: bool  # whether it seals blocks from its start on
    process: subprocess.Popen[bytes] | None = None
    peers: set[int] = field(default_factory=set)  # whom it is to hear

    @property
    def enode(self) -> str:
        """How other nodes name it."""
        return f"enode://{_key(1000 + self.number).public_key.to_bytes().hex()}@{self.host}:{self.port}"

    def rpc(self, method: str, *parameters: Any) -> Any:
        """Ask it.

        Raises:
            ChainError: it does not answer, or refuses.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                said = json.load(answer)
        except (OSError, ValueError) as error:
            raise ChainError(f"node {self.number} does not answer {method}: {error}") from None
        if "error" in said:
            raise ChainError(f"node {self.number} refuses {method}: {said['error']['message']}")
        return said["result"]

    def block(self) -> int:
        """The number of its newest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    def block_hash(self, number: int) -> str | None:
        """The hash of one of its blocks; None where it has none of this number."""
        found = self.rpc("eth_getBlockByNumber", hex(number), False)
        return None if found is None else str(found["hash"])


class LocalNetwork:
    """Several geth nodes, as a context manager."""

    def __init__(self, nodes: int = 4, *, signers: int = 3, period: int = PERIOD, funded: Sequence[str] = ()) -> None:
        """Prepare them.

        Args:
            nodes: how many.
            signers: how many of them seal blocks from the first on.
            period: seconds between two blocks; 0 for a block whenever there is a transaction, and none else.
            funded: further accounts with ether from the first block on.
        """
        self._count, self._signers, self._period, self._funded = nodes, signers, period, tuple(funded)
        self.nodes: list[Node] = []
        self.links = None if PrivateLinks.missing() else PrivateLinks(nodes)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._geth = Path()

    def __enter__(self) -> Self:
        """Start all of them, and wait until they hear each other and seal blocks.

        Raises:
            ChainError: geth is not here, or a node does not start.
        """
        self._geth = geth()
        (CACHE / "tmp").mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="network-", dir=CACHE / "tmp")
        try:
            if self.links is not None:
                self.links.__enter__()
            self._prepare(Path(self._folder.name))
            for node in self.nodes:
                self.start(node)
            self.heal()
            self.wait(2 if self._period else 0)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all, and remove what they wrote."""
        for node in self.nodes:
            self.kill(node)
        if self.links is not None:
            self.links.__exit__(None, None, None)
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def running(self) -> list[Node]:
        """Those that have not been killed."""
        return [node for node in self.nodes if node.process is not None]

    # -- nodes --------------------------------------------------------------------------------------------------

    def start(self, node: Node, *, ahead: int = 0) -> None:
        """Start a node, the first time or again, and wait until it answers.

        Args:
            node: which.
            ahead: by how many seconds its clock is ahead of the others'; it is behind where that is negative.

        Raises:
            ChainError: it does not.
        """
        host, _, port = node.url.removeprefix("http://").partition(":")
        options = ["--config", str(node.folder / "geth.toml"), "--datadir", str(node.folder), "--nat", "none"]
        options += ["--networkid", str(CHAIN_ID), "--nodiscover", "--nodekey", str(node.folder / "node.key")]
        options += ["--http", "--http.addr", host, "--http.port", port, "--http.api", _MODULES]
        options += ["--authrpc.addr", "127.0.0.1", "--authrpc.port", "0", "--ipcdisable", "--syncmode", "full"]
        options += ["--gcmode", "archive", "--cache", "64", "--verbosity", "2", "--rpc.allow-unprotected-txs"]
        options += ["--miner.etherbase", node.address, "--unlock", node.address, "--allow-insecure-unlock"]
        options += ["--password", str(node.folder / "password")]
        if node.seals:
            options.append("--mine")
        inside = [] if self.links is None else self.links.inside(node.number)
        with (node.folder / "geth.log").open("ab") as log:
            node.process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *inside, str(geth_clock() if ahead else self._geth), *options],
                cwd=ROOT,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(node.folder), "CLOCK_AHEAD": str(ahead)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                node.rpc("eth_chainId")
                break
            except ChainError as error:
                if node.process.poll() is not None or time.monotonic() > deadline:
                    said = (node.folder / "geth.log").read_text(errors="replace")[-2000:]
                    raise ChainError(f"node {node.number} did not start: {error}\n{said}") from None
                time.sleep(0.1)
        for other in self.nodes:
            if other.number in node.peers and other.process is not None:
                self._connect(node, other)

    def kill(self, node: Node) -> None:
        """End a node at once, by SIGKILL, as a power cut does."""
        process, node.process = node.process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()  # its guard kills it
            process.wait()

    # -- who hears whom -----------------------------------------------------------------------------------------

    def part(self, *groups: Sequence[int]) -> None:
        """Part the network: nodes hear those of their own group alone."""
        if self.links is not None:
            self.links.part(*groups)
            return
        for node in self.nodes:
            [group] = [one for one in groups if node.number in one]
            self._hear(node, set(group) - {node.number})
        self.until(lambda: all(len(node.rpc("admin_peers")) <= len(node.peers) for node in self.running), "is parted")

    def heal(self) -> None:
        """Let all hear all."""
        everybody = {node.number for node in self.nodes}
        if self.links is not None:
            self.links.part(everybody)
        for node in self.nodes:
            self._hear(node, everybody - {node.number})
        self.until(lambda: all(node.rpc("admin_peers") for node in self.running), "hears others")

    def wait(self, blocks: int) -> int:
        """Wait until every running node has that many further blocks; return the number that all have."""
        target = max(node.block() for node in self.running) + blocks
        self.until(lambda: all(node.block() >= target for node in self.running), f"has block {target}")
        return target

    def wait_beyond(self, numbers: Sequence[int], blocks: int) -> None:
        """Wait until each of some nodes has so many further blocks, whatever becomes of the others."""
        targets = {number: self.nodes[number].block() + blocks for number in numbers}
        self.until(
            lambda: all(self.nodes[number].block() >= target for number, target in targets.items()), "sealed more"
        )

    def still(self) -> list[int]:
        """Wait until no node has had a new block for a while; return the number of each one's newest."""
        while True:
            found = [node.block() for node in self.running]
            time.sleep(_STILL)
            if found == [node.block() for node in self.running]:
                return found

    def unlock(self) -> None:
        """Mend what an even number of signers may come to when it was parted in halves.

        Both branches may weigh the same, and those who may seal next stand on the other one: nobody ever goes on. Then
        whoever operates them has some go back to where the branches part, and they follow the others.
        """
        before = max(node.block() for node in self.running)
        deadline = time.monotonic() + _STILL * 3
        while time.monotonic() < deadline:
            if min(node.block() for node in self.running) > before:
                return
            time.sleep(0.2)
        first, height = self.running[0], before
        while len({node.block_hash(height) for node in self.running}) > 1:
            height -= 1
        for node in self.running[1:]:
            if node.block_hash(node.block()) != first.block_hash(node.block()):
                node.rpc("debug_setHead", hex(height))
        self.until(lambda: min(node.block() for node in self.running) > before, "goes on")

    def agree(self) -> int:
        """Wait until all running nodes have what is the newest block now, or another in its place, and the same one."""
        target = self.wait(0)
        same = lambda: len({node.block_hash(target) for node in self.running}) == 1  # noqa: E731
        self.until(same, f"agrees on block {target}")
        return target

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds of the network, such as "is parted".

        Raises:
            ChainError: it does not in time.
        """
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise ChainError(f"the network never {what}: {[node.block() for node in self.running]}")
            time.sleep(0.1)

    def _hear(self, node: Node, others: set[int]) -> None:
        gone, node.peers = node.peers - others, others
        if node.process is None:
            return
        for other in self.nodes:
            if other.number in gone:
                node.rpc("admin_removePeer", other.enode)
                node.rpc("admin_removeTrustedPeer", other.enode)
            elif other.number in others:
                self._connect(node, other)

    @staticmethod
    def _connect(node: Node, other: Node) -> None:
        node.rpc("admin_addPeer", other.enode)

    # -- what they start from -----------------------------------------------------------------------------------

    def _prepare(self, folder: Path) -> None:
        addresses = [_key(1 + number).public_key.to_checksum_address() for number in range(self._count)]
        genesis = folder / "genesis.json"
        genesis.write_text(json.dumps(self._genesis(addresses)))
        for number, address in enumerate(addresses):
            place = folder / f"node-{number}"
            (place / "keystore").mkdir(parents=True)
            key = Account.encrypt(_key(1 + number).to_bytes(), _PASSWORD, kdf="pbkdf2", iterations=1)
            (place / "keystore" / f"{address}.json").write_text(json.dumps(key))
            (place / "password").write_text(_PASSWORD)
            (place / "node.key").write_text(_key(1000 + number).to_bytes().hex())
            self.nodes.append(self._node(number, place, address))
            made = subprocess.run(
                [str(self._geth), "init", "--datadir", str(place), str(genesis)],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise ChainError(f"node {number} cannot be prepared: {made.stderr[-2000:]}")

    def _node(self, number: int, folder: Path, address: str) -> Node:
        if self.links is None:
            heard, asked = _free_ports(2)
            host, url = "127.0.0.1", f"http://127.0.0.1:{asked}"
        else:
            heard, host, url = 30303, self.links.peer_address(number), f"http://{self.links.address(number)}:8545"
        # By its options alone, geth would listen on every address.
        (folder / "geth.toml").write_text(f'[Node.P2P]\nListenAddr = "{host}:{heard}"\n')
        return Node(number, folder, host, heard, url, address, seals=number < self._signers)

    def _genesis(self, addresses: Sequence[str]) -> dict[str, Any]:
        """EIP-225's: the signers stand in the first block's extra data; all forks of London from the first block on."""
        forks = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul")
        signers = sorted(addresses[: self._signers], key=str.lower)
        rich = {address: {"balance": str(_RICH)} for address in (*addresses, *self._funded)}
        return {
            "config": {
                "chainId": CHAIN_ID,
                **{f"{fork}Block": 0 for fork in (*forks, "berlin", "london")},
                "clique": {"period": self._period, "epoch": 30000},
            },
            "difficulty": "1",
            "gasLimit": "30000000",
            "extradata": "0x" + "00" * 32 + "".join(address[2:].lower() for address in signers) + "00" * 65,
            "alloc": rich,
        }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
