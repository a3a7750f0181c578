"""The local chain serves its command, and nothing survives it, however it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local_chain import ROOT, ChainError, LocalChain

RUNNER = [sys.executable, str(ROOT / "scripts" / "local_chain.py"), "--"]
PATIENCE = 10.0

# A command with a child of its own: it says the chain's port and both process ids, and then sleeps.
SLEEPER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.environ["CHAIN_PORT"], os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def rpc(url: str, method: str) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["result"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError):  # a zombie, where nobody reaps orphans, is dead
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"
    return True


def answers(port: int) -> bool:
    try:
        return rpc(f"http://127.0.0.1:{port}", "eth_chainId") == "0x539"
    except OSError:
        return False


def nothing_left(port: int, *pids: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not answers(port) and not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def sleeper() -> Iterator[tuple[subprocess.Popen[str], int, int, int]]:
    """A runner whose command sleeps: the runner, the chain's port, the command's and its child's pid."""
    runner = subprocess.Popen(
        [*RUNNER, sys.executable, "-c", SLEEPER],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # signals sent here must not meet the tests themselves
    )
    try:
        assert runner.stdout is not None
        port, command, child = map(int, runner.stdout.readline().split())
        assert answers(port)
        yield runner, port, command, child
    finally:
        runner.kill()
        runner.wait()
        assert runner.stdout is not None
        runner.stdout.close()


def test_chain_answers_until_it_is_stopped() -> None:
    with LocalChain() as chain:
        port, pid = chain.port, chain.pid
        assert rpc(chain.url, "eth_chainId") == "0x539"
        accounts = rpc(chain.url, "eth_accounts")
        assert isinstance(accounts, list)
        assert len(accounts) == 20
        # The first account of the well-known test mnemonic.
        assert accounts[0] == "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"

    assert nothing_left(port, pid)


def test_two_chains_have_ports_of_their_own() -> None:
    with LocalChain() as first, LocalChain() as second:
        assert first.port != second.port
        assert answers(first.port)
        assert answers(second.port)


def test_chain_takes_options() -> None:
    with LocalChain(options={"wallet": {"totalAccounts": 3}}) as chain:
        accounts = rpc(chain.url, "eth_accounts")
        assert isinstance(accounts, list)
        assert len(accounts) == 3


def test_chain_that_does_not_start_says_why() -> None:
    chain = LocalChain(options={"miner": {"blockGasLimit": "plenty"}})

    with pytest.raises(ChainError, match=r"did not start: it ended with exit code 1\n(.|\n)*plenty"):
        chain.start()

    with pytest.raises(ChainError, match="not running"):
        _ = chain.url


def test_command_is_given_chain_and_tools() -> None:
    script = 'echo "$CHAIN_URL $CHAIN_PORT"; for tool in node brownie solhint; do command -v $tool; done\n'
    script += 'echo "$HOME"; ls "$SOLCX_BINARY_PATH"'
    done = subprocess.run([*RUNNER, "sh", "-c", script], capture_output=True, text=True, check=True)

    chain, node, brownie, solhint, home, compiler = done.stdout.splitlines()
    url, port = chain.split()
    assert url == f"http://127.0.0.1:{port}"
    assert node == str(ROOT / ".cache" / "bin" / "node")
    assert brownie == str(ROOT / ".venv" / "bin" / "brownie")
    assert solhint == str(ROOT / "node_modules" / ".bin" / "solhint")
    assert home == str(ROOT / ".cache" / "home")
    assert compiler.startswith("solc-v")
    assert nothing_left(int(port))


def test_failing_command_returns_its_exit_code() -> None:
    done = subprocess.run([*RUNNER, "sh", "-c", "echo $CHAIN_PORT; exit 7"], capture_output=True, text=True)

    assert done.returncode == 7
    assert nothing_left(int(done.stdout))


def test_command_ended_by_signal_returns_128_and_its_number() -> None:
    done = subprocess.run([*RUNNER, "sh", "-c", "kill -SEGV $$"])

    assert done.returncode == 128 + signal.SIGSEGV


def test_missing_command_returns_127() -> None:
    done = subprocess.run([*RUNNER, "no-such-command"], capture_output=True, text=True)

    assert done.returncode == 127
    assert "Cannot run no-such-command" in done.stderr


def test_child_left_by_command_is_killed() -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $CHAIN_PORT $!"
    done = subprocess.run([*RUNNER, "sh", "-c", script], capture_output=True, text=True, check=True)

    assert nothing_left(*map(int, done.stdout.split()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_all(number: signal.Signals) -> None:
    with sleeper() as (runner, port, command, child):
        runner.send_signal(number)

        assert runner.wait(PATIENCE) == 128 + number
        assert nothing_left(port, command, child)


def test_killed_runner_leaves_nothing() -> None:
    with sleeper() as (runner, port, command, child):
        runner.kill()

        assert nothing_left(port, command, child)


def test_killed_holder_leaves_no_chain() -> None:
    script = "from scripts.local_chain import LocalChain; import time; c = LocalChain().start()\n"
    script += "print(c.port, c.pid, flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    port, pid = map(int, holder.stdout.readline().split())
    assert answers(port)

    holder.kill()
    holder.wait()
    holder.stdout.close()

    assert nothing_left(port, pid)
