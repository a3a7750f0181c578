"""A real Clef with one account, whose user is this process: asked on Clef's own channel, it types the password."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from scripts.local_chain import CACHE, START_SECONDS, STOP_SECONDS

PASSWORD = "only for this test"


def clef() -> Path | None:
    """Where the executable is; None where there is none."""
    own = CACHE / "bin" / "clef"
    found = str(own) if own.exists() else shutil.which("clef")
    return None if found is None else Path(found)


@dataclass
class Clef:
    """One that runs: where it answers, and what its user does."""

    account: LocalAccount
    url: str = ""
    ipc: str = ""
    shown: list[tuple[str, Any]] = field(default_factory=list)  # what its user was asked, and about what
    approve: Callable[[str], bool] = lambda method: True
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda transaction: transaction

    def answer(self, method: str, about: Any) -> dict[str, Any]:
        """What its user says: cmd/clef/README.md of go-ethereum, "UI API"."""
        self.shown.append((method, about))
        yes = self.approve(method)
        return {
            "ui_approveTx": lambda: {"approved": yes, "transaction": self.change(about["transaction"])},
            "ui_approveSignData": lambda: {"approved": yes},
            "ui_approveListing": lambda: {"accounts": about["accounts"] if yes else None},
            "ui_onInputRequired": lambda: {"text": PASSWORD},
        }[method]()


@contextlib.contextmanager
def running(account: LocalAccount, chain_id: int, *further: str) -> Iterator[Clef]:
    """Start it, with further options of its own, and end it."""
    executable = clef()
    assert executable is not None
    with tempfile.TemporaryDirectory(prefix="clef-") as place:  # short: a socket's path is
        folder = Path(place)
        (folder / "keys").mkdir()
        key = Account.encrypt(account.key, PASSWORD, kdf="pbkdf2", iterations=2)
        (folder / "keys" / "account.json").write_text(json.dumps(key))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--keystore", "keys", "--configdir", ".", "--chainid", str(chain_id), "--auditlog", ""]
        options += [
            "--stdio-ui",
            "--suppress-bootwarn",
            "--lightkdf",
            "--nousb",
            "--http",
            "--http.port",
            str(port),
            *further,
        ]
        made = Clef(account, f"http://127.0.0.1:{port}", str(folder / "clef.ipc"))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(executable), *options],
                cwd=folder,
                env={"PATH": os.defpath, "HOME": place},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        user = threading.Thread(target=_attend, args=(made, process))
        user.start()
        try:
            deadline = time.monotonic() + START_SECONDS
            while not any(method == "ui_onSignerStartup" for method, _ in made.shown):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield made
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            user.join()


def _attend(made: Clef, process: subprocess.Popen[bytes]) -> None:
    """Read what Clef asks its user, a line each, and answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as answers, process.stdout as questions:
        for line in questions:
            said = json.loads(line)
            about = said["params"][0] if said.get("params") else None
            if "id" not in said:  # a notice
                made.shown.append((said["method"], about))
                continue
            answer = {"jsonrpc": "2.0", "id": said["id"], "result": made.answer(said["method"], about)}
            with contextlib.suppress(BrokenPipeError):
                answers.write(json.dumps(answer).encode() + b"\n")
                answers.flush()
