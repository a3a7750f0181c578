"""Coverage of the contracts: ``python -m tests.support.coverage <pytest's arguments>``, or ``make coverage``.

Started, this module copies the project to ``.cache/coverage``, where the contracts are compiled so that each
instruction has its place in the source (no optimiser, no viaIR), and runs pytest there, with itself as a plugin.
The plugin follows each transaction on Brownie's maps of the source, and reports statements and branches for each
source of the suite. docs/decisions/0005-coverage.md says what the figures mean, and why not ``brownie --coverage``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache" / "coverage"
COPIED = ("contracts", "medproof", "scripts", "tests", "docs")
LEAST = 95.0  # per cent of statements and of branches, over all sources
IDLE_CALLS = 5  # a function whose last calls in a test, this many, reached nothing new is followed no further there
MOST_GAS = 3_000_000  # beyond this it is a wallet that burns its gas, for millions of instructions

# What the copy says differently: file, exact text, replacement.
SUBSTITUTIONS = (
    ("brownie-config.yaml", "    viaIR: true", "    viaIR: false"),
    ("brownie-config.yaml", "      enabled: true\n", "      enabled: false\n"),
)

# Without viaIR the compiler keeps at most 16 values at hand: the members of typed data are encoded so many at a time.
TOGETHER = 4


# -- the copy ---------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Make the copy, or renew it; what Brownie compiled there stays for the next time."""
    COPY.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.rmtree(COPY / name, ignore_errors=True)
        shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("brownie-config.yaml", "pyproject.toml"):
        shutil.copyfile(ROOT / name, COPY / name)
    if not (COPY / "node_modules").is_symlink():
        (COPY / "node_modules").symlink_to(ROOT / "node_modules")

    for name, text, replacement in SUBSTITUTIONS:
        path = COPY / name
        source = path.read_text(encoding="utf-8")
        if source.count(text) != 1:
            raise SystemExit(
                f"{name} has changed: {text!r} stands there {source.count(text)} times and not once. "
                "Adapt SUBSTITUTIONS in tests/support/coverage.py."
            )
        path.write_text(source.replace(text, replacement), encoding="utf-8")

    for path in (COPY / "contracts").glob("*.sol"):
        path.write_text(split_encodings(path.read_text(encoding="utf-8")), encoding="utf-8")


def split_encodings(source: str) -> str:
    """The source with each ``keccak256(abi.encode(…))`` of many words encoded in parts and joined: the same bytes.

    The members of typed data are all words, or structs of words, for which this holds; with another type the tests of
    signatures would fail.
    """
    opening = re.compile(r"keccak256\(\s*abi\.encode\(")
    written, position = "", 0
    while found := opening.search(source, position):
        arguments, end = _arguments(source, found.end())
        parts = [",".join(arguments[first : first + TOGETHER]) for first in range(0, len(arguments), TOGETHER)]
        written += source[position : found.start()]
        joined = "), abi.encode(".join(parts)
        written += f"keccak256(bytes.concat(abi.encode({joined}))"
        position = end
    return written + source[position:]


def _arguments(source: str, start: int) -> tuple[list[str], int]:
    """The arguments from `start` to the closing parenthesis, as they stand there, and the place after it."""
    arguments, depth, begun = [], 0, start
    for position in range(start, len(source)):
        character = source[position]
        if depth == 0 and character in ",)":
            arguments.append(source[begun:position])
            begun = position + 1
            if character == ")":
                return arguments, position + 1
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
    raise SystemExit("A call of abi.encode has no end")


def main() -> None:
    """Prepare the copy and become pytest in it."""
    prepare()
    os.chdir(COPY)
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.coverage", *sys.argv[1:]]
    os.execv(sys.executable, command)


# -- what runs reached ------------------------------------------------------------------------------------------


@dataclass
class Reached:
    """What one contract's runs reached, by Brownie's numbers of statements and branches."""

    statements: set[int] = field(default_factory=set)
    passed: set[int] = field(default_factory=set)  # branches that did not jump
    jumped: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How much it is."""
        return len(self.statements) + len(self.passed) + len(self.jumped)


class Collector:
    """Follows every transaction, and view calls as well, instruction by instruction."""

    def __init__(self) -> None:
        """Start with nothing reached."""
        self.reached: dict[str, Reached] = defaultdict(Reached)
        self.idle: dict[tuple[str, str], int] = defaultdict(int)

    def follow(self, transaction: str, receiver: Any) -> None:
        """Add what a mined transaction reached."""
        if int(self._ask("eth_getTransactionReceipt", transaction)["result"]["gasUsed"], 16) > MOST_GAS:
            return
        # Brownie's own evaluation asks for the memory at each instruction, and takes ten times as long.
        options = {"disableMemory": True, "disableStorage": True}
        trace = self._ask("debug_traceTransaction", transaction, options)["result"]["structLogs"]
        frames: list[tuple[str, Any, set[int]]] = []
        base = trace[0]["depth"] if trace else 0
        for number, step in enumerate(trace):
            depth = step["depth"] - base
            if depth >= len(frames):
                address = receiver if not frames else "0x" + trace[number - 1]["stack"][-2][-40:]
                frames.append(self._frame(address))
            del frames[depth + 1 :]
            name, instructions, active = frames[depth]
            instruction = instructions.get(step["pc"])
            if not instruction or "fn" not in instruction:
                continue
            reached = self.reached[name]
            if "statement" in instruction:
                reached.statements.add(instruction["statement"])
            if "branch" not in instruction:
                continue
            if instruction["op"] != "JUMPI":
                active.add(instruction["branch"])
            elif instruction["branch"] in active:
                active.remove(instruction["branch"])
                jumped = trace[number + 1]["pc"] != step["pc"] + 1
                (reached.jumped if jumped else reached.passed).add(instruction["branch"])

    def call(self, method: Any, arguments: tuple[Any, ...]) -> None:
        """Add what a call reaches: send it as a transaction, follow it, and undo it."""
        from brownie import accounts

        contract = self._name(method._address)
        key = (contract, method.signature)
        if self.idle[key] >= IDLE_CALLS:
            return
        options: dict[str, Any] = {}
        given = arguments
        if arguments and isinstance(arguments[-1], dict):
            *given, options = arguments
        try:
            data = method.encode_input(*given)
        except (TypeError, ValueError, OverflowError):
            return  # the call itself will say so
        before = self.reached[contract].size
        snapshot = self._ask("evm_snapshot")["result"]
        request = {
            "from": str(options.get("from", accounts[0])),
            "to": method._address,
            "data": data,
            "gas": hex(25_000_000),
        }
        answer = self._ask("eth_sendTransaction", request)
        transaction = answer.get("result") or answer["error"]["data"]["hash"]  # it may revert
        self.follow(transaction, method._address)
        self._ask("evm_revert", snapshot)
        self.idle[key] = 0 if self.reached[contract].size > before else self.idle[key] + 1

    def _frame(self, address: Any) -> tuple[str, Any, set[int]]:
        name = self._name(address)
        return name, self._instructions(name), set()

    @staticmethod
    def _name(address: Any) -> str:
        from brownie.network import state

        contract = state._find_contract(address)
        return contract._name if contract else ""

    @staticmethod
    def _instructions(name: str) -> Any:
        from brownie.project import get_loaded_projects

        (project,) = get_loaded_projects()
        return project._build.get(name)["pcMap"] if name else {}

    @staticmethod
    def _ask(method: str, *arguments: Any) -> Any:
        from brownie import web3

        return web3.provider.make_request(method, list(arguments))


collector = Collector()


def pytest_runtest_setup() -> None:
    """Follow every function anew in each test."""
    collector.idle.clear()


def pytest_configure(config: Any) -> None:
    """Have every transaction and every view call followed."""
    from brownie.network import contract, transaction

    received = transaction.TransactionReceipt._set_from_receipt
    called = contract._ContractMethod.call

    def receive(self: Any, receipt: Any) -> None:
        received(self, receipt)
        if self.receiver:
            collector.follow(self.txid, self.receiver)

    def call(self: Any, *arguments: Any, block_identifier: Any = None, override: Any = None) -> Any:
        if block_identifier is None and override is None:
            collector.call(self, arguments)
        return called(self, *arguments, block_identifier=block_identifier, override=override)

    transaction.TransactionReceipt._set_from_receipt = receive
    contract._ContractMethod.call = call


# -- the report -------------------------------------------------------------------------------------------------


@dataclass
class Source:
    """What was reached of one source file; a library counts once, whichever contract ran it."""

    statements: dict[tuple[int, int], bool] = field(default_factory=dict)
    branches: dict[tuple[int, int], set[int]] = field(default_factory=lambda: defaultdict(set))  # ways taken, of two

    @property
    def figures(self) -> tuple[int, int, int, int]:
        """Statements reached and there, ways of branches taken and there."""
        ways = sum(len(taken) for taken in self.branches.values())
        return sum(self.statements.values()), len(self.statements), ways, 2 * len(self.branches)


def sources(build: Any, reached: Mapping[str, Reached]) -> dict[str, Source]:
    """The suite's own sources with what was reached, from Brownie's maps of all contracts."""
    found: dict[str, Source] = defaultdict(Source)
    for name, contract in build.items():
        paths = contract.get("allSourcePaths", {})
        hits = reached.get(name, Reached())
        maps = contract.get("coverageMap", {"statements": {}, "branches": {}})
        for number, path in paths.items():
            if not path.startswith("contracts/") or path.startswith(("contracts/test/", "contracts/interfaces/")):
                continue
            source = found[path]
            for function in maps["statements"].get(number, {}).values():
                for index, offset in function.items():
                    place = (int(offset[0]), int(offset[1]))
                    source.statements[place] = source.statements.get(place, False) or int(index) in hits.statements
            for function in maps["branches"].get(number, {}).values():
                for index, (start, stop, _) in function.items():
                    taken = source.branches[int(start), int(stop)]
                    taken.update(way for way, of in enumerate((hits.passed, hits.jumped)) if int(index) in of)
    return {path: source for path, source in sorted(found.items()) if source.statements}


def missing(path: str, source: Source) -> list[str]:
    """Each statement never reached, and each branch that went one way only, as "line: text"."""
    text = (ROOT / path).read_bytes()
    lines = []
    for (start, stop), done in source.statements.items():
        if not done:
            lines.append((start, "never reached", text[start:stop]))
    for (start, stop), taken in source.branches.items():
        if len(taken) < 2:
            lines.append((start, "only one way" if taken else "never decided", text[start:stop]))
    return [
        f"{path}:{1 + text.count(bytes([10]), 0, start)} {what}: {' '.join(code.decode().split())[:90]}"
        for start, what, code in sorted(lines)
    ]


def reached() -> dict[str, Source]:
    """The suite's own sources with what this run reached."""
    from brownie.project import get_loaded_projects

    (project,) = get_loaded_projects()
    return sources(project._build, collector.reached)


def totals(found: dict[str, Source]) -> tuple[int, ...]:
    """The figures of all sources together."""
    return tuple(map(sum, zip(*(source.figures for source in found.values()), strict=True)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures and keep them in the reports folder."""
    found = reached()
    terminalreporter.section("Coverage of the suite")
    for path, source in found.items():
        for line in missing(path, source):
            terminalreporter.write_line(line)
    figures = {path: source.figures for path, source in found.items()} | {"all": totals(found)}
    terminalreporter.write_line(f"{'':36} {'statements':>18} {'branches':>18}")
    for path, (statements, of, ways, of_ways) in figures.items():
        pairs = ((statements, of), (ways, of_ways))
        cells = (f"{done} of {there} {percent(done, there):.1f} %" for done, there in pairs)
        terminalreporter.write_line(f"{path:36} " + " ".join(f"{cell:>18}" for cell in cells))
    if judged() and not enough(found):
        terminalreporter.write_line(f"Below {LEAST} %: add tests for what is listed above.")
    report = ROOT.parent / "reports" / "coverage.json"  # the copy stands beside the reports
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def pytest_sessionfinish(session: Any) -> None:
    """Fail below the least coverage."""
    if judged() and not session.exitstatus and not enough(reached()):
        session.exitstatus = 1


def judged() -> bool:
    """Whether this run is to reach the least coverage: a run of a part of the tests is not."""
    return os.environ.get("MEDPROOF_COVERAGE") == "judged"


def enough(found: dict[str, Source]) -> bool:
    """Whether all sources together are covered well enough."""
    statements, of, ways, of_ways = totals(found)
    return min(percent(statements, of), percent(ways, of_ways)) >= LEAST


def percent(done: int, there: int) -> float:
    """How much of what is there was done; nothing of nothing is all."""
    return 100.0 * done / there if there else 100.0


if __name__ == "__main__":
    main()
