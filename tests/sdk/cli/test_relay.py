"""`medproof relay run`: what operators see of it, and its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from medproof.client import MedProof
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.cli.conftest import Run
from tests.support.metrics import samples


def test_numbers_are_for_what_runs_on(run: Run, relayed: tuple[str, ...], here: Path) -> None:
    refused = run("relay", "run", "--queue", "relay.db", *relayed, "--drain", "--metrics", "127.0.0.1:9102")
    assert (refused.code, "leave one away" in refused.err) == (2, True)
    assert not (here / "relay.db").exists()


def test_it_shows_numbers_logs_json_and_ends_with_sigterm(
    run: Run,
    here: Path,
    suite: MedProof,
    node: LocalChain,
    rule: Rule,
    patient: LocalSigner,
    clinic: LocalSigner,
    relayed: tuple[str, ...],
) -> None:
    message = suite.consent_registry.sign_grant(patient, clinic.address, rule)
    (here / "signed.json").write_text(message.to_json())
    assert run("relay", "add", "signed.json", "--queue", "relay.db").code == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    operating = ["--metrics", f"127.0.0.1:{port}", "--log-format", "json", "--age", "0"]
    command = [sys.executable, "-c", "from medproof.cli import main; main()", "relay", "run", "--queue", "relay.db"]
    command += [*relayed, "--network", node.url, *operating]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        confirmed = 0.0
        while not confirmed:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    found = samples(answer.read().decode())
            except OSError:
                continue
            confirmed = found["medproof_relayer_messages", frozenset({("state", "confirmed")})]
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    first, *lines = log.splitlines()
    assert first.startswith("Relaying.")
    assert any(json.loads(line)["event"].endswith(": confirmed") for line in lines)
    for one in (patient, clinic):
        assert one.address.lower() not in log.lower()
