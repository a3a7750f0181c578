"""Gas of every operation, beside its floor, its target and what others need: ``make bench``.

Without options it measures on a chain of its own, prints the table and writes bench/results/gas.json. ``--check``
writes nothing and fails when a figure differs from that file. ``--no-peers`` does without the Ethereum Attestation
Service, which is else installed and measured in the same run; its figures in the file stay as they are.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.meter import CLOCK, BenchError, Cost, Meter, fixed_chain
from bench.peers import (
    EAS_COUNTERPARTS,
    MEDREC,
    MEDREC_COUNTERPARTS,
    eas_compiler,
    eas_gas,
    eas_version,
    install,
    measure_eas,
)
from bench.suite import artifact, measure_suite
from scripts.local_chain import ROOT, ChainError

RESULTS = ROOT / "bench" / "results" / "gas.json"
RENEW = "Run `make bench` and commit bench/results/gas.json."

# What an operation may cost at most.
TARGETS: Mapping[str, int] = {
    "grant": 46_600,
    "change": 29_500,
    "revoke": 29_500,
    "grant_signed": 55_500,  # the subject's first, too
    "grant_signed_second": 55_500,
    "grant_batch_100_each": 25_700,
    "grant_signed_batch_20_each": 33_500,
    "grant_signed_batch_100_each": 32_000,
    "is_permitted_execution": 13_500,
    "post_pointer": 52_500,
    "claim_submit": 85_000,
    "prescription_fill_next": 30_000,
    "prescription_fill_batch_100_each": 6_000,
    "claim_settle_3_signatures": 85_000,
    "nullifier_batch_100_each": 23_500,
    "inclusion_depth_20": 40_000,
    "anchor_batch": 47_500,
}

COLUMNS = ("operation", "gas", "floor", "over floor", "EAS", "EAS/gas", "MedRec", "MedRec/gas", "target", "met")


def measure(*, peers: bool) -> dict[str, Any]:
    """Measure everything on a fresh chain and return the results as they are written.

    Without `peers`, EAS is neither installed nor measured, and its figures are those of the file.
    """
    if peers:
        install()
    with fixed_chain() as chain:
        meter = Meter(chain.url)
        client = str(meter.rpc("web3_clientVersion"))
        costs = measure_suite(meter)
        eas = describe_eas(measure_eas(meter)) if peers else recorded().get("peers", {}).get("eas")
    return results(costs, client=client, eas=eas)


def describe_eas(gas: Mapping[str, int]) -> dict[str, Any]:
    """EAS's part of the results."""
    return {
        "package": f"@ethereum-attestation-service/eas-contracts {eas_version()}",
        "built": f"the bytecode that the package ships (solc {eas_compiler()})",
        "gas": dict(gas),
        "counterparts": {ours: " + ".join(theirs) for ours, theirs in EAS_COUNTERPARTS.items()},
        "operations": eas_gas(gas),
    }


def results(costs: Mapping[str, Cost], *, client: str, eas: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole content of gas.json."""
    compiler = artifact("ConsentRegistry")["compiler"]
    eas_operations = {} if eas is None else eas["operations"]
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    operations = {}
    for name, cost in costs.items():
        operations[name] = {
            "gas": cost.gas,
            "floor": cost.floor,
            "eas": eas_operations.get(name),
            "medrec": MEDREC[MEDREC_COUNTERPARTS[name]] if name in MEDREC_COUNTERPARTS else None,
            "target": TARGETS.get(name),
        }
    return {
        "operations": operations,
        "compiler": {name: value for name, value in compiler.items() if name != "remappings"},
        "libraries": {"@openzeppelin/contracts": packages["node_modules/@openzeppelin/contracts"]["version"]},
        "chain": {"client": client, "hardfork": "shanghai", "clock": CLOCK},
        "machine": "any: gas follows from code, state and calldata, and all three are fixed",
        "peers": {
            "eas": eas,
            "medrec": {
                "built": "solc 0.4.19 without optimizer, as shipped",
                "gas": dict(MEDREC),
                "counterparts": dict(MEDREC_COUNTERPARTS),
            },
        },
    }


def recorded() -> dict[str, Any]:
    """The results in the repository, empty where there are none."""
    try:
        content: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two results, one sentence each."""
    if not before:
        return ["bench/results/gas.json is missing"]
    found = []
    old, new = before.get("operations", {}), now["operations"]
    before, now = ({part: value for part, value in whole.items() if part != "operations"} for whole in (before, now))
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            found.append(f"{name} is in the file and is measured no longer")
        elif name not in old:
            found.append(f"{name} is measured and not in the file")
        else:
            for figure in new[name]:
                was, is_ = old[name].get(figure), new[name][figure]
                if was != is_:
                    found.append(f"{name}: {figure} is {number(is_)}, in the file {number(was)}")
    found += [f"{part} is described differently in the file" for part in now if before.get(part) != now[part]]
    return found


def missed(content: Mapping[str, Any]) -> list[str]:
    """The operations that cost more than their target, one sentence each."""
    return [
        f"{name} costs {number(entry['gas'])}, above its target of {number(entry['target'])}"
        for name, entry in content["operations"].items()
        if entry["target"] is not None and entry["gas"] > entry["target"]
    ]


def number(value: int | None) -> str:
    """A figure for reading."""
    return "-" if value is None else f"{value:,}"


def rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The lines of the table, in the order of `COLUMNS`."""
    lines: list[tuple[str, ...]] = []
    for name, entry in content["operations"].items():
        gas, target = entry["gas"], entry["target"]
        ratios = {peer: f"{entry[peer] / gas:.1f}x" if entry[peer] else "-" for peer in ("eas", "medrec")}
        lines.append(
            (
                name,
                number(gas),
                number(entry["floor"]),
                number(gas - entry["floor"]),
                number(entry["eas"]),
                ratios["eas"],
                number(entry["medrec"]),
                ratios["medrec"],
                number(target),
                "-" if target is None else "yes" if gas <= target else "NO",
            )
        )
    return lines


def show(content: Mapping[str, Any]) -> None:
    """Print the table, with rich where it is installed, and what it does not say."""
    lines = rows(content)
    widths = [max(len(line[position]) for line in [COLUMNS, *lines]) for position in range(len(COLUMNS))]
    if importlib.util.find_spec("rich") is not None:
        table = importlib.import_module("rich.table").Table(box=importlib.import_module("rich.box").SIMPLE_HEAD)
        for position, column in enumerate(COLUMNS):
            table.add_column(column, justify="right" if position else "left", no_wrap=True)
        for line in lines:
            colour = {"yes": "green", "NO": "bold red"}.get(line[-1])
            table.add_row(*line[:-1], f"[{colour}]{line[-1]}[/]" if colour else line[-1])
        # No narrower than the table: a figure cut off is worse than a line that the terminal wraps.
        console = importlib.import_module("rich.console").Console(width=sum(widths) + 3 * len(widths) + 2)
        console.print(table)
    else:
        for line in [COLUMNS, tuple("-" * width for width in widths), *lines]:
            cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
            print("  ".join([line[0].ljust(widths[0]), *cells[1:]]))

    eas = content["peers"]["eas"]
    if eas is not None:
        print(f"\nEAS: {eas['package']}, {eas['built']}; on the same chain.")
        print("  " + "; ".join(f"{ours} = {theirs}" for ours, theirs in eas["counterparts"].items()))
    medrec = content["peers"]["medrec"]
    print(f"MedRec: {medrec['built']}.")
    print("  " + "; ".join(f"{ours} = {theirs}" for ours, theirs in medrec["counterparts"].items()), end="")
    print(f"; a patient joins with {number(MEDREC['join as patient'])}, here without a transaction.")
    print("is_permitted_*: execution only, without the transaction's 21,000 and its calldata.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write or check."""
    parser = argparse.ArgumentParser(description="Measure the gas of every operation, beside what others need.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a figure differs from the file")
    parser.add_argument("--no-peers", action="store_true", help="do not install and measure EAS")
    options = parser.parse_args(argv)

    try:
        content = measure(peers=not options.no_peers)
    except (BenchError, ChainError) as error:
        print(error, file=sys.stderr)
        return 1
    show(content)
    found = differences(recorded(), content)
    problems = missed(content)
    if options.check and found:
        problems += [*found, RENEW]
    elif not options.check:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not found:
        print("No figure differs from bench/results/gas.json.")
    elif not options.check:
        print("\n".join(["Renewed bench/results/gas.json:", *found]))
    if problems:
        print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
