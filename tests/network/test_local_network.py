"""The network itself: cuts are real, nothing is left behind, and it does without namespaces too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local_chain import ROOT, ChainError
from scripts.local_network import LocalNetwork, geth
from scripts.private_links import PrivateLinks

SMALL = """
from scripts.local_network import LocalNetwork
with LocalNetwork(2, signers=1) as network:
    print(*(str(node.folder) for node in network.nodes), flush=True)
    input()
"""
DIAL = """
import socket, sys
link = socket.socket()
link.settimeout(1)
try:
    link.connect((sys.argv[1], 9))
except ConnectionRefusedError:  # somebody is there, and has nothing on this port
    print("heard")
except OSError:
    print("silent")
"""


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        geth()
    except ChainError as error:
        pytest.skip(str(error))


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def running(folder: str) -> list[int]:
    """The processes that name a folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if folder.encode() in line and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_nothing_outlives_whoever_made_it_even_by_sigkill() -> None:
    made = subprocess.Popen(
        [sys.executable, "-c", SMALL], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert made.stdout is not None
    folders = made.stdout.readline().split()
    assert all(running(folder) for folder in folders)
    made.send_signal(signal.SIGKILL)
    made.communicate()
    until(lambda: not any(running(folder) for folder in folders), "nodes are left")


@pytest.mark.skipif(bool(PrivateLinks.missing()), reason=PrivateLinks.missing())
class TestLinks:
    @staticmethod
    def hears(links: PrivateLinks, one: int, other: int) -> bool:
        """Whether a connection from one reaches the other, once the kernel has found out where that is."""
        for _ in range(3):
            command = [*links.inside(one), sys.executable, "-c", DIAL, links.peer_address(other)]
            if subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "heard":
                return True
        return False

    def test_who_is_on_another_side_is_not_heard(self) -> None:
        with PrivateLinks(3) as links:
            assert self.hears(links, 0, 2)
            links.part([0, 1], [2])
            assert self.hears(links, 0, 1)
            assert not self.hears(links, 0, 2)
            assert not self.hears(links, 2, 1)
            links.part([0, 1, 2])
            assert self.hears(links, 0, 2)

    def test_two_runs_do_not_meet(self) -> None:
        with PrivateLinks(2) as links, PrivateLinks(2) as others:
            assert links.address(0) != others.address(0)
            assert self.hears(links, 0, 1)
            assert self.hears(others, 0, 1)

    def test_no_link_is_left(self) -> None:
        with PrivateLinks(2) as links:
            place = links.address(0).split(".")[2]
            assert list(Path("/sys/class/net").glob(f"mp{place}n*"))
        until(lambda: not list(Path("/sys/class/net").glob(f"mp{place}n*")), "links are left")

    def test_what_the_kernel_refuses_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scripts.private_links._HOLDER", ("false",))
        with pytest.raises(ChainError, match="no network namespace"), PrivateLinks(2):
            pass


def test_without_namespaces_nodes_are_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PrivateLinks, "missing", lambda: "only root makes network namespaces")
    with LocalNetwork(2, signers=1) as network:
        [first, last] = network.nodes
        assert first.url.startswith("http://127.0.0.1:")
        network.part([0], [1])
        before = last.block()
        network.wait_beyond([0], 3)
        assert last.block() <= before + 1
        network.heal()
        network.agree()
        assert last.block() > before
        listening = [listener for listener in listeners() if listener[1] in {first.port, last.port}]
        assert {address for address, _ in listening} <= {"0100007F"}


def listeners() -> list[tuple[str, int]]:
    """Who listens on this machine: address and port, as Linux tells them; nobody elsewhere."""
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            address, _, port = line.split()[1].partition(":")
            if line.split()[3] == "0A":
                found.append((address, int(port, 16)))
    return found
