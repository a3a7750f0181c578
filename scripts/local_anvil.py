"""A local chain of Foundry's Anvil that never outlives what it was started for, beside Ganache's in local_chain.py.

It makes real reorganisations (`anvil_reorg`), and is the faster node to measure on.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.local_chain import ROOT, START_SECONDS, STOP_SECONDS, ChainError

_SYSTEMS = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

# The chain ends with whoever holds its guard's standard input, even where that one is killed.
GUARD = """
exec 3<&0
"$@" 3<&- & child=$!
(read -r _; kill -KILL $child 2>/dev/null) <&3 & watch=$!
wait $child
kill $watch 2>/dev/null
"""


def anvil() -> Path:
    """Where the executable is.

    Raises:
        ChainError: npm has none for this kind of machine.
    """
    kind = f"{_SYSTEMS.get(platform.system(), '')}-{_MACHINES.get(platform.machine(), '')}"
    path = ROOT / "node_modules" / "@foundry-rs" / f"anvil-{kind}" / "bin" / "anvil"
    if not path.exists():
        raise ChainError(f"{path.relative_to(ROOT)} is missing; run `make setup`, or use a machine that Anvil runs on")
    return path


class LocalAnvil:
    """An Anvil process on a free port of 127.0.0.1, as a context manager: chain 31337, a block for each transaction."""

    def __init__(self, *options: str) -> None:
        """Prepare a chain; ``options`` are Anvil's own, such as ``"--no-mining"``."""
        self._command = [str(anvil()), "--silent", "--hardfork", "shanghai", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ChainError: it does not.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", *self._command, "--port", str(port)],
            cwd=ROOT,
            env={"PATH": os.defpath, "HOME": str(ROOT / ".cache" / "home")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.rpc("eth_chainId")
                return self
            except (OSError, urllib.error.URLError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__(None, None, None)
                    raise ChainError("Anvil did not start") from None
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def rpc(self, method: str, *parameters: Any) -> Any:
        """Ask the node one thing.

        Raises:
            ChainError: it refuses.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.loads(answer.read())
        if "error" in content:
            raise ChainError(f"Anvil refused {method}: {content['error']}")
        return content["result"]
