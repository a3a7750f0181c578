"""The set-up does what is due and no more, survives interruption, and says what to do when a step fails.

It runs in a copy of the project whose tools are small shell scripts, so nothing is downloaded.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from scripts.local_chain import ROOT

FILES = (
    "pyproject.toml",
    "uv.lock",
    "package.json",
    "package-lock.json",
    "scripts/setup.py",
    "scripts/setup-requirements.txt",
    "scripts/solc.js",
)
NOTHING = "Set-up: nothing to do.\n"

# Stands for node: notes its arguments, installs the "packages", and knows its compiler's version.
FAKE_NODE = """#!/bin/sh
echo "$*" >> "{root}/calls"
case "$*" in
*npm-cli.js\\ ci*) {npm}
    mkdir -p node_modules/ganache node_modules/solc
    touch node_modules/.package-lock.json ;;
*solc.js*) echo "Version: {solc}+commit.12345678.Emscripten.clang" ;;
esac
"""


class Copy(NamedTuple):
    """A copy of the project, set up as far as Node.js."""

    root: Path
    setup: ModuleType

    def fake_node(self, npm: str = ":") -> None:
        packages = json.loads((self.root / "package-lock.json").read_text())["packages"]
        solc = packages["node_modules/solc"]["version"]
        node = self.root / ".cache" / "bin" / "node"
        node.write_text(FAKE_NODE.format(root=self.root, npm=npm, solc=solc))
        node.chmod(0o755)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(self.root / "scripts" / "setup.py"), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, err = process.communicate()
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def calls(self) -> list[str]:
        """The subcommands that the fake node was asked for."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split("/")[-1] for line in lines]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for tool in ("python", "uv", "brownie"):
        path = tmp_path / ".venv" / "bin" / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)

    spec = importlib.util.spec_from_file_location("copied_setup", tmp_path / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)

    (tmp_path / ".cache" / "bin").mkdir(parents=True)
    project = Copy(tmp_path, setup)
    project.fake_node()
    setup.write_record({step.title: setup.digest_of(step) for step in setup.steps()[:4]})
    return project


def test_first_run_does_what_is_due_and_second_nothing(copy: Copy) -> None:
    first = copy.run()
    assert first.returncode == 0, first.stderr
    assert [line.split(" … ")[0] for line in first.stdout.splitlines()[:-1]] == [
        "[5/6] Node packages",
        "[6/6] Solidity compiler",
    ]
    assert first.stdout.splitlines()[-1].startswith("Set-up done in ")
    calls = copy.calls()

    second = copy.run()
    assert (second.returncode, second.stdout, second.stderr) == (0, NOTHING, "")
    assert copy.calls() == calls


@pytest.mark.parametrize(("group", "purpose"), [("fuzz", "fuzzing"), ("engines", "the engine Spark")])
def test_a_group_gets_an_environment_of_its_own_where_it_is_asked_for(copy: Copy, group: str, purpose: str) -> None:
    copy.run()
    uv = copy.root / ".venv" / "bin" / "uv"
    uv.write_text('#!/bin/sh\nmkdir -p "$UV_PROJECT_ENVIRONMENT/bin"; touch "$UV_PROJECT_ENVIRONMENT/bin/pytest"\n')
    made = copy.run(f"--{group}")
    assert made.returncode == 0, made.stderr
    assert [line.split(" … ")[0] for line in made.stdout.splitlines()[:-1]] == [f"[7/7] Python packages for {purpose}"]
    assert (copy.root / ".cache" / group / "bin" / "pytest").exists()
    assert copy.run(f"--{group}").stdout == copy.run().stdout == NOTHING


def test_compiler_answers_its_version_as_native_one(copy: Copy) -> None:
    copy.run()

    [wrapper] = (copy.root / ".cache" / "solc").iterdir()
    answer = subprocess.run([wrapper, "--version"], capture_output=True, text=True, check=True).stdout

    assert answer == f"Version: {wrapper.name.removeprefix('solc-v')}+commit.12345678.Emscripten.clang\n"


def test_failing_npm_says_what_happened_and_what_to_do(copy: Copy) -> None:
    copy.fake_node(npm="echo 'npm error code EBROKEN'; exit 3")

    failed = copy.run()

    assert failed.returncode == 1
    assert failed.stdout == "[5/6] Node packages … failed\n"
    assert "    | npm error code EBROKEN\n" in failed.stderr
    assert "Set-up failed: `node npm-cli.js ci --ignore-scripts" in failed.stderr
    assert "ended with exit code 3" in failed.stderr
    assert "What to do: if package-lock.json no longer fits package.json" in failed.stderr

    copy.fake_node()
    again = copy.run()
    assert again.returncode == 0
    assert again.stdout.startswith("[5/6] Node packages … ")


def test_lock_that_does_not_fit_says_what_to_do(copy: Copy) -> None:
    with (copy.root / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    (copy.root / ".venv" / "bin" / "uv").write_text("#!/bin/sh\necho 'error: The lockfile needs an update'; exit 2")

    failed = copy.run()

    assert failed.returncode == 1
    assert failed.stdout == "[3/6] Python packages … failed\n"
    assert "    | error: The lockfile needs an update\n" in failed.stderr
    assert "`.venv/bin/uv lock` renews it" in failed.stderr


def test_missing_file_of_repository_says_what_to_do(copy: Copy) -> None:
    (copy.root / "uv.lock").unlink()

    failed = copy.run()

    assert failed.returncode == 1
    assert "cannot read uv.lock: No such file or directory" in failed.stderr
    assert "git checkout -- uv.lock" in failed.stderr


def test_killed_run_is_taken_up_where_it_stopped(copy: Copy) -> None:
    copy.run()
    (copy.root / "package.json").write_text("{}")  # so that npm is due again
    copy.fake_node(npm="touch begun; sleep 3; exit 1")
    first = copy.start()
    while not (copy.root / "begun").exists():
        time.sleep(0.02)
    first.kill()
    first.communicate()

    copy.fake_node()
    second = copy.run()

    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("[5/6] Node packages … ")
    assert copy.run().stdout == NOTHING


def test_two_at_once_wait_for_each_other(copy: Copy) -> None:
    copy.fake_node(npm="touch begun; sleep 1")
    first = copy.start()
    while not (copy.root / "begun").exists():
        time.sleep(0.02)

    second = copy.run()

    assert second.stdout == "Another set-up runs in this folder; waiting for it …\n" + NOTHING
    first.communicate()
    assert first.returncode == 0
    assert sum(call.startswith("npm-cli.js ci") for call in copy.calls()) == 1


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("scripts/setup-requirements.txt", ["uv, the package installer"]),
        ("package.json", ["Node packages"]),
        ("package-lock.json", ["Node packages", "Solidity compiler"]),
        ("scripts/solc.js", ["Solidity compiler"]),
    ],
)
def test_changed_file_makes_its_steps_due(copy: Copy, name: str, due: list[str]) -> None:
    copy.run()
    with (copy.root / name).open("a") as file:
        file.write("\n")

    again = copy.run()

    assert again.returncode == 0, again.stderr
    assert [line.split("] ")[1].split(" … ")[0] for line in again.stdout.splitlines()[:-1]] == due


@pytest.mark.parametrize("lost", ["node_modules", ".cache/solc"])
def test_deleted_result_is_made_again(copy: Copy, lost: str) -> None:
    copy.run()
    shutil.rmtree(copy.root / lost)

    assert copy.run().stdout.endswith(" s.\n")
    assert (copy.root / lost).exists()
    assert copy.run().stdout == NOTHING


def test_moved_project_makes_everything_due(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    step = copy.setup.steps()[0]
    before = copy.setup.digest_of(step)

    monkeypatch.setattr(copy.setup, "ROOT", copy.root / "elsewhere")

    assert copy.setup.digest_of(step) != before


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0)])
def test_unfit_python_says_which_is_needed(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(copy.setup.sys, "version_info", version)
    monkeypatch.setattr(copy.setup.shutil, "which", lambda name: None)

    with pytest.raises(copy.setup.SetupError, match=r"Python 3\.11 to 3\.13 is needed; .* is Python 3\.1"):
        copy.setup.check_python()


def test_this_project_is_set_up() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "setup.py")], capture_output=True, text=True, check=True
    )

    assert done.stdout == NOTHING


def test_nothing_is_written_to_home(tmp_path: Path) -> None:
    # `brownie networks list` makes Brownie's data folder, which is in the home folder elsewhere.
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary)}
    environment.pop("OUTER_HOME", None)
    runner = [sys.executable, str(ROOT / "scripts" / "local_chain.py"), "--"]

    subprocess.run([sys.executable, str(ROOT / "scripts" / "setup.py")], env=environment, check=True)
    done = subprocess.run(
        [*runner, "brownie", "networks", "list"], env=environment, capture_output=True, text=True, check=True
    )

    assert "ganache-cli" in done.stdout
    assert (ROOT / ".cache" / "home" / ".brownie" / "network-config.yaml").exists()
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []
