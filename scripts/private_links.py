"""Networks of their own for processes of this machine: a namespace each, joined by links that can really be cut.

Every namespace has two links: one to this machine, which stays, and one to the others, through bridges in a further
namespace. Who is on another bridge is not heard. Needs root on Linux, with ``ip``, ``unshare`` and ``nsenter``.

A namespace lasts as long as a process that holds it, which ends with whoever made it, even where that one is killed;
links go with their namespaces. So nothing is left behind, and nothing has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.local_chain import START_SECONDS, STOP_SECONDS, ChainError

_PLACES = 256  # runs that may go on at once, each with the addresses 198.18.<place>.0/24 of RFC 2544
_HOLDER = ("unshare", "--net", "/bin/sh", "-c", "echo; read -r _")  # ends with whoever has its standard input


class PrivateLinks:
    """Several namespaces, as a context manager; all hear each other at first."""

    def __init__(self, count: int) -> None:
        """Prepare so many."""
        self._count, self._place = count, 0
        self._claim: socket.socket | None = None
        self._holders: list[subprocess.Popen[bytes]] = []  # of the namespaces, and last of the bridges'

    @staticmethod
    def missing() -> str:
        """What keeps this machine from having them; empty where nothing does."""
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return "only root makes network namespaces"
        for tool in ("ip", "unshare", "nsenter"):
            if shutil.which(tool) is None:
                return f"{tool} is not here"
        tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
        return tried.stderr.strip()

    def __enter__(self) -> Self:
        """Make the namespaces and their links.

        Raises:
            ChainError: the kernel refuses.
        """
        try:
            self._place, self._claim = _claim()
            self._holders = [_hold() for _ in range(self._count + 1)]
            self._link()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them go."""
        gone = [f"link delete mp{self._place}n{number}" for number in range(len(self._holders) - 1)]
        subprocess.run(
            ["ip", "-force", "-batch", "-"], input="\n".join(gone).encode(), capture_output=True, check=False
        )
        for holder in self._holders:
            assert holder.stdin is not None
            assert holder.stdout is not None
            with contextlib.suppress(OSError):
                holder.stdin.close()
            holder.stdout.close()
            try:
                holder.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                holder.kill()
                holder.wait()
        self._holders = []
        if self._claim is not None:
            self._claim.close()

    def address(self, number: int) -> str:
        """Where this machine reaches a namespace."""
        return f"198.18.{self._place}.{2 * number + 1}"

    @staticmethod
    def peer_address(number: int) -> str:
        """Where the others reach it."""
        return f"10.0.0.{number + 1}"

    def inside(self, number: int) -> list[str]:
        """The words before a command that is to run in a namespace."""
        return ["nsenter", f"--net=/proc/{self._holders[number].pid}/ns/net"]

    def part(self, *groups: Iterable[int]) -> None:
        """Let those of a group hear each other, and nobody else."""
        self._ip(
            self._count,
            [f"link set node{number} master bridge{place}" for place, group in enumerate(groups) for number in group],
        )

    def _link(self) -> None:
        everybody, switch = range(self._count), self._holders[self._count].pid
        ours = [(f"mp{self._place}n{number}", self._holders[number].pid, number) for number in everybody]
        self._ip(None, [f"link add {name} type veth peer name machine netns {pid}" for name, pid, _ in ours])
        self._ip(None, [f"address add 198.18.{self._place}.{2 * number}/31 dev {name}" for name, _, number in ours])
        self._ip(None, [f"link set {name} up" for name, _, _ in ours])
        for number in everybody:
            self._ip(
                number,
                [
                    "link set lo up",
                    f"address add {self.address(number)}/31 dev machine",
                    "link set machine up",
                    f"link add others type veth peer name node{number} netns {switch}",
                    f"address add {self.peer_address(number)}/24 dev others",
                    "link set others up",
                ],
            )
        self._ip(
            self._count,
            [
                *(f"link add bridge{number} type bridge" for number in everybody),
                *(f"link set bridge{number} up" for number in everybody),
                *(f"link set node{number} master bridge0" for number in everybody),
                *(f"link set node{number} up" for number in everybody),
            ],
        )

    def _ip(self, number: int | None, lines: Sequence[str]) -> None:
        """Run lines of ``ip`` in a namespace, or in this machine's own."""
        command = [*([] if number is None else self.inside(number)), "ip", "-batch", "-"]
        text = "\n".join(lines)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=START_SECONDS)
        if done.returncode:
            raise ChainError(f"the links cannot be made: {done.stderr.strip() or done.stdout.strip()}")


def _claim() -> tuple[int, socket.socket]:
    """A place that no other run has, and what keeps it: a name that goes with its process."""
    for place in range(_PLACES):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0medproof-links-{place}")
        except OSError:
            claim.close()
            continue
        if not any(Path("/sys/class/net").glob(f"mp{place}n*")):  # else the kernel still clears up after somebody
            return place, claim
        claim.close()
    raise ChainError(f"{_PLACES} networks run already; end some of them")


def _hold() -> subprocess.Popen[bytes]:
    """A process with a network of its own, once it has it."""
    holder = subprocess.Popen(_HOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    assert holder.stdout is not None
    if not holder.stdout.readline():
        holder.wait()
        raise ChainError("the kernel gives no network namespace")
    return holder
