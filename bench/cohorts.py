"""How fast cohorts are counted on the embedded engine: now and as of any block, in memory and over Parquet.

Every count is compared with that of an oracle which knows what was drawn and nothing of tables (`bench.registries`).
Beside each stands the floor: the same conditions on the same columns in SQL by hand, rows counted only. ``make
bench-cohorts`` prints a line for each size and writes bench/results/cohorts.json; the exit code is 1 where a count is
wrong or slower than its target.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import duckdb
import ibis

from bench import registries
from bench.registries import Drawn
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import Request
from medproof.research import Cohort, Dataset, Question, cohort
from medproof.research.folder import write_tables
from scripts.local_chain import ROOT

RESULTS = ROOT / "bench" / "results" / "cohorts.json"
TARGETS = {1_000_000: (10.0, 30.0), 10_000_000: (100.0, 250.0)}  # rules: milliseconds now, and as of a block
RUNS, BLOCKS = 9, 5
GROUPS = {0: (3, 4), 1: (5,), 2: (), 3: (6, 7, 8, 9)}  # of each party that asks, by its number

_CARE = {"settings": CareSetting.AMB, "actions": Action.ACCESS}
QUESTIONS: dict[str, tuple[Request, int | None, tuple[int, ...]]] = {
    "genomic data for cancer research by a non-profit": (
        Request(
            Purpose.HRESCH,
            DataClass.GENOMICS,
            Condition.NEOPLASMS,
            Sensitivity.NONE_LABELLED | Sensitivity.GDIS,
            research=ResearchUse.HMB | ResearchUse.NPU,
            **_CARE,
        ),
        0,
        GROUPS[0],
    ),
    "laboratory results for any research, by a kind of party": (
        Request(
            Purpose.HRESCH,
            DataClass.LABORATORY,
            Condition.ALL,
            Sensitivity.NONE_LABELLED,
            research=ResearchUse.GRU,
            data_until=datetime(2024, 6, 1).date(),
            **_CARE,
        ),
        None,
        (),
    ),
    "treatment, by a party in four groups": (
        Request(Purpose.TREAT, DataClass.LABORATORY, Condition.NEOPLASMS, Sensitivity.NONE_LABELLED, **_CARE),
        3,
        GROUPS[3],
    ),
    "treatment, by a party in no group": (
        Request(Purpose.TREAT, DataClass.LABORATORY, Condition.NEOPLASMS, Sensitivity.NONE_LABELLED, **_CARE),
        2,
        GROUPS[2],
    ),
}


def question(name: str) -> Question:
    """A question in the package's terms."""
    request, number, _ = QUESTIONS[name]
    if number is None:
        return Question(request, kind=PartyKind.RESEARCHER)
    return Question(request, party=registries.party(number))


@dataclass(frozen=True)
class Took:
    """How long something takes in the median, in milliseconds; a first call is thrown away."""

    clock: float
    process: float  # of this process's time, on all cores together: what other processes do is not in it

    @classmethod
    def of(cls, call: Callable[[], Any], runs: int) -> Took:
        """Measure a call."""
        call()
        clock, process = [], []
        for _ in range(runs):
            start, used = time.perf_counter(), time.process_time()
            call()
            clock.append(1e3 * (time.perf_counter() - start))
            process.append(1e3 * (time.process_time() - used))
        return cls(round(statistics.median(clock), 2), round(statistics.median(process), 2))


def counted(dataset: Dataset, drawn: Drawn, blocks: list[int | None], runs: int) -> dict[str, Any]:
    """Each question as of each block: the whole way, from the question to the number."""
    found: dict[str, Any] = {}
    for name, (request, number, groups) in QUESTIONS.items():
        took, counts = [], []
        for block in blocks:
            asked = question(name)
            count = cohort(dataset, asked, block=block).count()
            as_of = dataset.as_of(block=block)
            moment = int(as_of.moment.timestamp())
            grantees = registries.grantees_of(number, groups)
            wanted = registries.oracle(drawn, request, PartyKind.RESEARCHER, grantees, as_of.block, moment)
            if count != wanted:
                raise SystemExit(f"{name}, as of block {block}: {count:,} were counted, and there are {wanted:,}.")
            took.append(Took.of(lambda asked=asked, block=block: cohort(dataset, asked, block=block).count(), runs))
            counts.append(count)
        slowest = max(took, key=lambda one: one.clock)
        found[name] = {**asdict(slowest), "subjects": counts}
    return found


def floor(dataset: Dataset, name: str, runs: int) -> Took:
    """The same permits by hand, counted as rows: no distinct subjects, no denies."""
    request, number, groups = QUESTIONS[name]
    numbers = [
        dataset.grantee_numbers[one]
        for one in (
            *([] if number is None else [registries.party(number)]),
            *(f"0x{group:040x}" for group in (1, *groups)),
        )
    ]
    masks = "".join(
        f" AND {column} & {int(value)} = {int(value)}"
        for column in registries.CODES
        if (value := getattr(request, column))
    )
    moment = dataset.as_of().moment.astimezone(UTC).isoformat()
    statement = (
        f"SELECT count(*) FROM rules WHERE standing AND NOT deny AND NOT revoked AND grantee_number IN {tuple(numbers)}"
        f"{masks} AND valid_from <= TIMESTAMPTZ '{moment}' AND (valid_until IS NULL OR valid_until > "
        f"TIMESTAMPTZ '{moment}') AND party_kinds & {int(PartyKind.RESEARCHER)} <> 0"
    ).replace(",)", ")")
    return Took.of(lambda: dataset.engine.con.execute(statement).fetchall(), runs)


def compiling(found: Cohort, runs: int) -> dict[str, Any]:
    """What Ibis' own way costs: the expression, its SQL, and the whole count."""
    expression = lambda: Cohort(found.dataset, found.question, found.as_of).table.count()  # noqa: E731
    whole = expression()
    return {
        "expression": asdict(Took.of(expression, runs)),
        "sql": asdict(Took.of(lambda: ibis.to_sql(whole), runs)),
        "count": asdict(Took.of(lambda: expression().execute(), runs)),
    }


def measure(rules: int, folder: Path, runs: int) -> dict[str, Any]:
    """One size."""
    start = time.perf_counter()
    drawn = registries.draw(rules)
    made = time.perf_counter() - start
    chance = random.Random(rules)
    blocks: list[int | None] = [int(drawn.block[chance.randrange(len(drawn.block))]) for _ in range(BLOCKS)]
    results: dict[str, Any] = {"rules_standing": int((drawn.until == -1).sum()), "rows": len(drawn.block)}
    start = time.perf_counter()
    manifest = write_tables(registries.about(drawn), registries.tables(drawn, GROUPS), folder)
    results["parquet"] = {
        "write_seconds": round(time.perf_counter() - start, 1),
        "bytes": sum(file["size"] for table in manifest["tables"].values() for file in table["files"]),
    }
    start = time.perf_counter()
    in_memory = Dataset.of_tables(registries.about(drawn), registries.tables(drawn, GROUPS))
    results["memory"] = {"load_seconds": round(time.perf_counter() - start, 1)}
    for where, dataset in (("memory", in_memory), ("parquet", Dataset.open(folder))):
        with dataset:
            name = next(iter(QUESTIONS))
            results[where] |= {
                "now": counted(dataset, drawn, [None], runs),
                "as_of": counted(dataset, drawn, blocks, runs),
                "floor": {one: asdict(floor(dataset, one, runs)) for one in QUESTIONS},
                "rows_counted": asdict(
                    Took.of(lambda of=dataset: of.engine.con.execute("SELECT count(*) FROM rules").fetchall(), runs)
                ),
                "ibis": compiling(cohort(dataset, question(name)), 3),
            }
    results["draw_seconds"] = round(made, 1)
    return results


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, action="append", help="how many rules stand; 1 and 10 million by default")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "duckdb": duckdb.__version__},
        "load_before": round(os.getloadavg()[0], 1),  # what else the machine did
        "sizes": {},
    }
    missed = False
    for rules in options.rules or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(rules, Path(folder), options.runs)
        found["peak_memory_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results["sizes"][str(rules)] = found
        targets = TARGETS.get(rules)
        for where in ("memory", "parquet"):
            now, as_of, alone = (
                max(found[where][part].values(), key=lambda one: one["clock"]) for part in ("now", "as_of", "floor")
            )
            said = f"{rules:>10,} rules, {where:7}: now {now['clock']} ms ({now['process']} of the process), as of a "
            said += f"block {as_of['clock']} ({as_of['process']}); rows alone {alone['clock']} ({alone['process']})"
            if targets:
                said += f" (targets {targets[0]:.0f} and {targets[1]:.0f})"
                missed |= now["clock"] > targets[0] or as_of["clock"] > targets[1]
            print(said, flush=True)
    if not options.no_write:
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
