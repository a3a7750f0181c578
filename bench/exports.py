"""Exports of a million rows: seconds, the Merkle root of the rows included, and memory: ``make bench-exports``.

The registry is drawn by ``bench/registries.py``. Each format is written by a process of its own, several times; its
peak memory is beside what the process held before it began, most of which is the registry itself. Beside it stands what
the same process needs for Arrow's own Parquet writer alone, without order, canonical form, hashes and root.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa
import pyarrow.parquet as pq

from bench import registries
from bench.cohorts import GROUPS
from medproof.research.checking import check_export
from medproof.research.dataset import Dataset
from medproof.research.export import write_export

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "exports.json"
ROWS = 1_000_000
RUNS = 3
TARGET = 10.0  # seconds, Parquet
CHANGES = 1.5  # rows for each rule that stands, as the registry is drawn
FORMATS = ("parquet", "csv", "jsonl")


def _memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(kind: str, rows: int, runs: int) -> dict[str, Any]:
    """One format, in this process."""
    drawn = registries.draw(round(rows / CHANGES))
    clock: list[float] = []
    used: list[float] = []
    alone: list[float] = []
    with (
        Dataset.of_tables(registries.about(drawn), registries.tables(drawn, GROUPS)) as dataset,
        tempfile.TemporaryDirectory() as place,
    ):
        held = _memory()
        for run in range(runs):
            folder = Path(place) / f"export-{run}"
            start, process = time.perf_counter(), time.process_time()
            manifest = write_export(dataset, folder, formats=(kind,), tables=("rules",))
            clock.append(time.perf_counter() - start)
            used.append(time.process_time() - process)
        peak = _memory()
        if kind == "parquet":
            for run in range(runs):
                start = time.perf_counter()
                whole: pa.Table = dataset.table("rules").to_pyarrow()
                pq.write_table(whole, Path(place) / f"{run}.parquet", compression="zstd", row_group_size=65_536)
                alone.append(time.perf_counter() - start)
        start = time.perf_counter()
        check_export(folder)
        checked = time.perf_counter() - start
        size = (folder / f"rules.{kind}").stat().st_size
    return {
        "rows": manifest.tables[0].rows,
        "seconds": round(statistics.median(clock), 2),
        "seconds_of_each_run": [round(one, 2) for one in clock],
        "process_seconds": round(statistics.median(used), 2),
        "check_seconds": round(checked, 2),
        "bytes": size,
        "memory_before": held,
        "memory_peak": peak,
        **({"arrow_alone_seconds": round(statistics.median(alone), 2)} if alone else {}),
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="about how many")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--one", choices=FORMATS, help="measure this format in this process, and print it as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.rows, options.runs)))
        return 0
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "pyarrow": pa.__version__},
        "load_before": round(os.getloadavg()[0], 1),  # what else the machine did
        "formats": {},
    }
    for kind in FORMATS:
        command = [sys.executable, __file__, "--one", kind, "--rows", str(options.rows), "--runs", str(options.runs)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        results["formats"][kind] = found
        more = (found["memory_peak"] - found["memory_before"]) / 1e6
        print(
            f"{kind:8} {found['rows']:,} rows in {found['seconds']} s ({found['process_seconds']} of the process), "
            f"{found['bytes'] / 1e6:,.0f} MB; memory {found['memory_peak'] / 1e6:,.0f} MB at most, {more:,.0f} more "
            f"than before; checked in {found['check_seconds']} s",
            flush=True,
        )
    if not options.no_write:
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if results["formats"]["parquet"]["seconds"] > TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
