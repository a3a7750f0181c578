"""A local chain (Ganache) that never outlives what it was started for.

In Python::

    with LocalChain() as chain:
        connect(chain.url)

On the command line, for any command that reads CHAIN_URL or CHAIN_PORT, or for Brownie::

    python scripts/local_chain.py -- brownie test
    python scripts/local_chain.py --no-chain -- brownie compile

The command gets a chain of its own on a free port, the project's tools first on its PATH and a home folder
inside the project, and its exit code is returned. Nothing is left behind when either side ends, even by
``kill -9``: the chain watches its standard input, which closes with its holder, and then kills the command's
process group as well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
NODE = CACHE / "bin" / "node"  # scripts/setup.py links the real node here

START_SECONDS = 60.0  # a loaded machine may be slow; an idle one takes about half a second
STOP_SECONDS = 5.0  # between asking the chain to end and killing it
GRACE_SECONDS = 15.0  # between passing a signal on to the command and killing it


class ChainError(Exception):
    """The chain could not be started, or is not running."""


class LocalChain:
    """A Ganache process on a free port of 127.0.0.1, as a context manager.

    Chain id 1337, Shanghai rules, a block for every transaction, 20 accounts with a million ether each,
    derived from the mnemonic "test test … junk". ``options`` are Ganache's own, merged over these section by
    section, for example ``{"miner": {"blockTime": 1}}`` or ``{"chain": {"vmErrorsOnRPCResponse": False}}``.
    """

    def __init__(self, *, options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Prepare a chain; `start` or ``with`` starts it."""
        self._options = {name: dict(section) for name, section in (options or {}).items()}
        self._process: subprocess.Popen[str] | None = None
        self._ready: dict[str, Any] = {}

    def start(self) -> Self:
        """Start the chain and wait until it answers.

        Raises:
            ChainError: it did not start; the message carries the end of its output.
        """
        if self._process is not None:
            raise ChainError("The chain runs already; use one LocalChain for each chain")
        if not NODE.exists():
            raise ChainError(f"{NODE.relative_to(ROOT)} is missing; run `make setup`")

        with tempfile.TemporaryFile("w+", dir=_temporary_folder(), encoding="utf-8", errors="replace") as log:
            self._process = subprocess.Popen(
                [str(NODE), str(ROOT / "scripts" / "ganache.js"), json.dumps(self._options)],
                cwd=ROOT,
                env=tool_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,  # Ctrl-C ends the command first, and the chain after it
            )
            try:
                self._ready = self._await_ready(self._process, log.fileno())
            except BaseException:
                self.stop()
                raise
        return self

    @staticmethod
    def _await_ready(process: subprocess.Popen[str], log: int) -> dict[str, Any]:
        assert process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()

        def read(stream: Any) -> None:
            # Runs to the end of the stream, so that the chain never blocks on a full pipe.
            with contextlib.suppress(ValueError, OSError):
                for line in stream:
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, args=(process.stdout,), daemon=True).start()

        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                reason = f"no answer within {START_SECONDS:.0f} s"
                break
            if not line:
                reason = f"it ended with exit code {process.wait()}"
                break
            if line.startswith('{"port"'):
                ready: dict[str, Any] = json.loads(line)
                return ready

        size = os.fstat(log).st_size
        tail = os.pread(log, 4000, max(0, size - 4000)).decode("utf-8", "replace").strip()
        raise ChainError(f"The local chain did not start: {reason}\n{tail}".rstrip())

    def stop(self) -> None:
        """End the chain and wait until it is gone; nothing happens when it is not running."""
        process, self._process, self._ready = self._process, None, {}
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    @property
    def url(self) -> str:
        """The RPC address, for example ``http://127.0.0.1:41234``."""
        return str(self._fact("url"))

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self._fact("port"))

    @property
    def pid(self) -> int:
        """The process id of the node itself."""
        if self._process is None:
            raise ChainError("The chain is not running; start it first")
        return self._process.pid

    def _fact(self, name: str) -> Any:
        if not self._ready:
            raise ChainError("The chain is not running; start it first")
        return self._ready[name]

    @contextlib.contextmanager
    def guarding(self, process_group: int) -> Iterator[None]:
        """Have the chain kill this process group if the present process dies without a word."""
        self._tell(f"guard {process_group}")
        try:
            yield
        finally:
            self._tell(f"unguard {process_group}")

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it is gone already
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def __enter__(self) -> Self:
        """Start the chain."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the chain."""
        self.stop()


def _temporary_folder() -> Path:
    folder = CACHE / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tool_environment(chain: LocalChain | None = None) -> dict[str, str]:
    """The environment for the project's tools: paths, a home inside the project, and where the chain is.

    Brownie and others write to the home folder, so it is ``.cache/home`` here; OUTER_HOME keeps the real
    one, for whoever needs the user's own settings (package registry, certificates).
    """
    environment = dict(os.environ)
    settings = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")  # see medproof.networks
    environment.setdefault("MEDPROOF_NETWORKS", str(settings / "medproof" / "networks.json"))
    for name in ("PYTHONHOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        environment.pop(name, None)

    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment.setdefault("OUTER_HOME", environment.get("HOME", ""))
    environment["HOME"] = str(home)
    environment["TMPDIR"] = str(_temporary_folder())

    # The real node comes first: the one in .venv/bin is a Python wrapper that, terminated, leaves its child.
    tools = [NODE.parent, ROOT / ".venv" / "bin", ROOT / "node_modules" / ".bin"]
    environment["PATH"] = os.pathsep.join([*map(str, tools), environment.get("PATH", os.defpath)])
    environment["VIRTUAL_ENV"] = str(ROOT / ".venv")
    environment["SOLCX_BINARY_PATH"] = str(CACHE / "solc")
    environment["PYTHONUNBUFFERED"] = "1"
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):  # not beside the sources, then
        environment["PYTHONPYCACHEPREFIX"] = str(CACHE / "bytecode")

    if chain is not None:
        environment["CHAIN_URL"] = chain.url
        environment["CHAIN_PORT"] = str(chain.port)
    return environment


class Runner:
    """Runs commands in process groups of their own, and passes signals on to them.

    One of these serves several commands at once, each started from a thread of its own. Use it as a context
    manager in the main thread: it takes over SIGINT, SIGTERM and SIGHUP meanwhile.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        """Prepare a runner without any command yet."""
        self._groups: set[int] = set()
        self._lock = threading.RLock()
        self._received: signal.Signals | None = None
        self._kill_at: float | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def received(self) -> signal.Signals | None:
        """The signal that ended the work, if one did."""
        return self._received

    def __enter__(self) -> Self:
        """Take over the signals."""
        for number in self._SIGNALS:
            self._previous[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left and give the signals back."""
        with self._lock:
            for group in self._groups:
                _kill_group(group, signal.SIGKILL)
            self._groups.clear()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = signal.Signals(number)
        self._kill_at = time.monotonic() + GRACE_SECONDS
        with self._lock:
            for group in self._groups:
                _kill_group(group, signal.SIGKILL if again else self._received)

    def run(
        self,
        command: Sequence[str],
        *,
        chain: LocalChain | None = None,
        environment: Mapping[str, str] | None = None,
        stdout: Any = None,
    ) -> int:
        """Run one command to its end, then kill what it left in its process group.

        Returns:
            The command's exit code, or 128 plus the signal's number when a signal ended it, as a shell says
            it.
        """
        env = dict(tool_environment(chain) if environment is None else environment)
        with self._lock:
            if self._received is not None:
                return 128 + self._received
            try:
                process = subprocess.Popen(
                    list(command),
                    env=env,
                    stdout=stdout,
                    stderr=stdout and subprocess.STDOUT,
                    process_group=0,
                )
            except OSError as error:
                print(f"Cannot run {command[0]}: {error.strerror}", file=sys.stderr)
                return 127 if isinstance(error, FileNotFoundError) else 126
            self._groups.add(process.pid)
            if self._received is not None:  # it came between the two lines above
                _kill_group(process.pid, self._received)

        guard = contextlib.nullcontext() if chain is None else chain.guarding(process.pid)
        with guard, _foreground(process.pid):
            while process.poll() is None:
                if self._kill_at is not None and time.monotonic() > self._kill_at:
                    _kill_group(process.pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
            with self._lock:
                _kill_group(process.pid, signal.SIGKILL)
                self._groups.discard(process.pid)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _kill_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextlib.contextmanager
def _foreground(group: int) -> Iterator[None]:
    """Give the terminal to a process group for a while, so that consoles and Ctrl-C work in it."""
    terminal = sys.__stdin__.fileno() if sys.__stdin__ is not None else -1
    try:
        ours = os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # no terminal
        ours = False
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return

    previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking the terminal back would stop us
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, group)
        # The command may have touched the terminal before it was its own, and stand stopped.
        _kill_group(group, signal.SIGCONT)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
        signal.signal(signal.SIGTTOU, previous)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``local_chain.py [--no-chain] -- COMMAND …``."""
    parser = argparse.ArgumentParser(description="Run a command with a local chain and the project's tools.")
    parser.add_argument("--no-chain", action="store_true", help="the environment only, without a chain")
    parser.add_argument("command", nargs="*", help="what to run, after --")

    # Split by hand: argparse would also swallow a second "--", which belongs to the command.
    given = list(sys.argv[1:] if argv is None else argv)
    split = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:split])
    command = given[split + 1 :] or options.command
    if not command:
        parser.error("no command given, for example: local_chain.py -- brownie test")

    try:
        with Runner() as runner:
            if options.no_chain:
                return runner.run(command)
            with LocalChain() as chain:
                return runner.run(command, chain=chain)
    except ChainError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
