"""Run the test lanes side by side, each with a chain of its own, and sum them up: ``make test``.

A lane is one pytest process. The contract tests need Brownie's pytest plugin; the others run without it, as a
provider's app would, in two lanes of about one length. Brownie has one: two would renew the same build folder at the
same time. ``--deep`` gives the
property tests many more examples, ``--coverage`` measures the contracts, and fails below what
tests/support/coverage.py asks for. Arguments after ``--`` go to every pytest; one that names a folder or file below
tests/ chooses what runs: ``python scripts/test.py -- tests/unit/Registrar -k remove -x``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.local_chain import CACHE, ROOT, ChainError, LocalChain, Runner, tool_environment

PYTHON = ROOT / ".venv" / "bin" / "python"
REPORTS = CACHE / "reports"


# Topics of the package whose tests only read what the others' contracts and clients do: about half of all in time.
READERS = tuple(
    f"tests/sdk/{topic}" for topic in ("bench", "evidence", "explore", "indexer", "research", "story", "studies")
)


@dataclass
class Lane:
    """One pytest process, and how it went."""

    name: str
    folders: tuple[str, ...]  # those that do not exist yet are left out
    options: tuple[str, ...] = ()
    module: str = "pytest"
    part_of: str = ""  # what `--lane` calls it with others
    variables: dict[str, str] = field(default_factory=dict)
    chain: dict[str, object] = field(default_factory=dict)  # Ganache's options of this group, beside the usual ones
    exit_code: int | None = None
    seconds: float = 0.0

    @property
    def report(self) -> Path:
        """Where pytest writes its JUnit report."""
        return REPORTS / f"{self.name}.xml"

    def present(self) -> list[str]:
        """The lane's folders that hold tests."""
        return [
            folder for folder in self.folders if (ROOT / folder).is_file() or any((ROOT / folder).rglob("test_*.py"))
        ]

    def narrow(self, chosen: Sequence[str]) -> None:
        """Run only what was chosen of the lane's folders, by paths from the project's folder."""
        mine = [path for path in chosen if any(Path(path).is_relative_to(folder) for folder in self.folders)]
        whole = [folder for folder in self.folders if any(Path(folder).is_relative_to(path) for path in chosen)]
        self.folders = (*mine, *(folder for folder in whole if folder not in mine))

    def command(self, extra: Sequence[str]) -> list[str]:
        """The command line."""
        colour = "yes" if sys.stdout.isatty() else "no"
        fixed = [f"--junitxml={self.report}", f"--color={colour}", "-q"]
        return [str(PYTHON), "-m", self.module, *self.present(), *fixed, *self.options, *extra]

    def summary(self) -> str:
        """One line for the end."""
        if self.exit_code is None:
            return f"{self.name:10} nothing to run"
        counts = "no report"
        if self.report.exists():
            totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
            for suite in ElementTree.parse(self.report).getroot().iter("testsuite"):
                for name in totals:
                    totals[name] += int(suite.get(name, "0"))
            failed = totals["failures"] + totals["errors"]
            passed = totals["tests"] - failed - totals["skipped"]
            counts = f"{passed} passed, {failed} failed, {totals['skipped']} skipped"
        verdict = "ok" if self.exit_code == 0 else f"FAILED (exit code {self.exit_code})"
        return f"{self.name:10} {counts}, {self.seconds:.0f} s: {verdict}"

    def failed(self) -> list[str]:
        """The tests that failed, as its report names them: the other lane may have printed much since."""
        if self.exit_code in (None, 0) or not self.report.exists():
            return []
        cases = ElementTree.parse(self.report).getroot().iter("testcase")
        return [
            f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
            for case in cases
            if case.find("failure") is not None or case.find("error") is not None
        ]


def lanes(*, deep: bool, coverage: bool, whole: bool = True) -> list[Lane]:
    """The lanes of a run; `whole` says that no argument leaves tests out, so that coverage can be judged."""
    contracts = Lane("contracts", ("tests/unit", "tests/stateful", "tests/integration"))
    alone = ("-p", "no:pytest-brownie")
    folder = ROOT / "tests" / "sdk"
    topics = [f"tests/sdk/{one.name}" for one in sorted(folder.iterdir()) if one.is_dir() or one.match("test_*.py")]
    others = [topic for topic in topics if topic not in READERS]
    python = Lane("python", (*others, "tests/tooling", "tests/docs", "tests/package"), alone)
    readers = Lane("readers", READERS, alone, part_of="python")
    if coverage:
        # Without the state machines: chance is not to sway the figures.
        measured = Lane("coverage", ("tests/unit", "tests/integration"), module="tests.support.coverage")
        measured.variables["MEDPROOF_COVERAGE"] = "judged" if whole else "shown"
        measured.chain["allowUnlimitedContractSize"] = True  # compiled without the optimiser, a contract is too long
        return [measured]
    if deep:
        for lane in (contracts, python, readers):
            lane.variables["MEDPROOF_DEEP"] = "1"
    return [contracts, python, readers]


def run_lane(lane: Lane, runner: Runner, extra: Sequence[str]) -> None:
    """Run one lane with its own chain, every line of its output marked with the lane's name."""
    started = time.monotonic()
    lane.report.unlink(missing_ok=True)
    reading, writing = os.pipe()
    printer = threading.Thread(target=copy_lines, args=(lane.name, os.fdopen(reading, errors="replace")))
    printer.start()
    try:
        with os.fdopen(writing, "w") as output, LocalChain(options={"chain": lane.chain}) as chain:
            environment = {**tool_environment(chain), **lane.variables}
            lane.exit_code = runner.run(lane.command(extra), chain=chain, environment=environment, stdout=output)
    except ChainError as error:
        print(f"{lane.name:10} {error}", flush=True)
        lane.exit_code = 1
    finally:
        printer.join()
        lane.seconds = time.monotonic() - started


def copy_lines(name: str, stream: IO[str]) -> None:
    """Copy a lane's output line by line."""
    with stream:
        for line in stream:
            print(f"{name:10} {line}", end="", flush=True)


def compile_contracts() -> bool:
    """Let Brownie compile once, before lanes that would compile into one folder at the same time."""
    command = [str(PYTHON.parent / "brownie"), "compile"]
    result = subprocess.run(
        command, cwd=ROOT, env=tool_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
    return result.returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the lanes; the exit code is 0 only when every lane passed."""
    parser = argparse.ArgumentParser(description="Run the test lanes and sum them up.")
    parser.add_argument("--lane", action="append", help="contracts, python or readers; python is both of the package's")
    parser.add_argument("--one-by-one", action="store_true", help="not side by side")
    parser.add_argument("--deep", action="store_true", help="many more examples in property and stateful tests")
    parser.add_argument("--coverage", action="store_true", help="the contract tests, with coverage")
    given = list(sys.argv[1:] if argv is None else argv)
    split = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:split])
    extra = [argument for argument in given[split + 1 :] if not (ROOT / argument).is_relative_to(ROOT / "tests")]
    paths = [argument for argument in given[split + 1 :] if argument not in extra]

    chosen = lanes(deep=options.deep, coverage=options.coverage, whole=not extra and not paths)
    if options.lane:
        unknown = set(options.lane) - {name for lane in chosen for name in (lane.name, lane.part_of)}
        if unknown:
            parser.error(f"no lane {', '.join(sorted(unknown))}; there are {', '.join(lane.name for lane in chosen)}")
        chosen = [lane for lane in chosen if {lane.name, lane.part_of} & set(options.lane)]
    if paths:
        for lane in chosen:
            lane.narrow(paths)

    REPORTS.mkdir(parents=True, exist_ok=True)
    if not compile_contracts():
        return 1
    with Runner() as runner:
        threads = [threading.Thread(target=run_lane, args=(lane, runner, extra)) for lane in chosen if lane.present()]
        for thread in threads:
            thread.start()
            if options.one_by_one:
                thread.join()
        for thread in threads:
            thread.join()

    print("\nSummary")
    for lane in chosen:
        print("  " + lane.summary())
        for test in lane.failed():
            print(f"    {test}")
    if runner.received is not None:
        return 128 + runner.received
    return 1 if any(lane.exit_code for lane in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
