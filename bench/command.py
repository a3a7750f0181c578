"""The command of a benchmark that measures the same on several nodes, and its file of results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def on_each_node(
    about: str | None,
    results: Path,
    nodes: Collection[str],
    measure: Callable[[str, Path, int, int, int], Found],
    *,
    told: Callable[[str, Found], str],
    met: Callable[[str, Found], bool],
    subjects: tuple[int, str],
    rules: tuple[int, str],
    runs: int,
) -> int:
    """Measure on each node that is named, print a line for each and write the results; 1 where a target is missed.

    Args:
        about: what the command says of itself: its first line.
        results: the file; what it has of other nodes stays.
        nodes: their names.
        measure: measures on a node, in a folder, with so many subjects and rules, so many times.
        told: the line that is printed.
        met: whether the target was.
        subjects: how many without the option, and what it says of itself.
        rules: likewise.
        runs: how many without the option.
    """
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--subjects", type=int, default=subjects[0], help=subjects[1])
    parser.add_argument("--rules", type=int, default=rules[0], help=rules[1])
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--node", choices=nodes, action="append", help="one node alone; both where none is named")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    whole: Found = {"nodes": {}}
    if results.exists():
        whole = json.loads(results.read_text(encoding="utf-8"))
    whole["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    chosen = options.node or nodes
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            found = whole["nodes"][name] = measure(name, Path(folder), options.subjects, options.rules, options.runs)
            print(f"{name:8} {told(name, found)}", flush=True)
            if not options.no_write:
                results.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return 0 if all(met(name, whole["nodes"][name]) for name in chosen) else 1
