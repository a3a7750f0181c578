"""How fast the index reads a chain: events decoded and stored a second, beside a plain loop of web3's in the same run.

The plain loop is what one writes first: ``contract.events.X.get_logs`` range by range, and an INSERT for each event.
Beside both stands the node's ceiling: the same answers of eth_getLogs, taken and thrown away. ``make bench-indexing``
prints a line for each node and writes bench/results/indexing.json; the exit code is 1 where the index is slower than
its targets.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
from eth_utils.address import to_checksum_address
from web3 import Web3

from bench.command import on_each_node
from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.deployments import Deployment, deploy
from medproof.indexer import Index, Indexer
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Rule, encode
from medproof.signing import NodeSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ROOT, LocalChain

RESULTS = ROOT / "bench" / "results" / "indexing.json"
TARGETS = {"Anvil": 30.0, "Ganache": 20.0}  # times the plain loop
SUBJECTS, RULES = 1_000, 100  # rules of each subject, one transaction each: 100,000 events
RUNS = 5
PLAIN = 10_000  # events of the plain loop, which is slow, in each run
BLOCK_GAS = 1_000_000_000
SENT_AT_ONCE = 10


@contextmanager
def anvil(subjects: int) -> Iterator[str]:
    """Anvil, with an account for each subject; gives its URL."""
    with LocalAnvil("--accounts", str(subjects), "--gas-limit", str(BLOCK_GAS)) as node:
        yield node.url


@contextmanager
def ganache(subjects: int) -> Iterator[str]:
    """Ganache, likewise."""
    options: dict[str, Mapping[str, Any]] = {
        "chain": {"vmErrorsOnRPCResponse": False},
        "wallet": {"totalAccounts": subjects},
        "miner": {"blockGasLimit": hex(BLOCK_GAS)},
    }
    with LocalChain(options=options) as node:
        yield node.url


NODES: dict[str, Callable[[int], Any]] = {"Anvil": anvil, "Ganache": ganache}


def fill(url: str, manifest: Path, subjects: int, rules: int) -> tuple[Chain, Deployment]:
    """Deploy the suite, and let each subject grant rules to parties drawn by chance, in one transaction each."""
    chain, draw = Chain.connect(url, timeout=300.0), random.Random(6)
    accounts = chain.accounts()
    deployment = deploy(chain, NodeSigner(accounts[0]), manifest=manifest)
    word = encode(treatment(chain))
    grant(
        chain,
        deployment,
        {
            subject: [(to_checksum_address(draw.randbytes(20)), word) for _ in range(rules)]
            for subject in accounts[:subjects]
        },
    )
    return chain, deployment


def treatment(chain: Chain) -> Rule:
    """A first rule: laboratory results for treatment."""
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0)
    return Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        party_kinds=PartyKind.ALL,
        valid_from=now - timedelta(hours=1),
        valid_until=None,
        sequence=1,
    )


def grant(chain: Chain, deployment: Deployment, rules: Mapping[str, Sequence[tuple[str, int]]]) -> None:
    """Let each subject, an account of the node's, write its rules: grantees and words, in one transaction."""
    registry = chain.contract(deployment.address("ConsentRegistry"), artifact("ConsentRegistry").abi)
    fees = {name: hex(fee) for name, fee in chain.fees().items()}
    transactions = [
        {
            "from": subject,
            "to": registry.address,
            "gas": hex(60_000 * len(own) + 100_000),
            "data": chain.call_data(registry, "setRules", (list(own),)),
            **fees,
        }
        for subject, own in rules.items()
    ]
    for start in range(0, len(transactions), SENT_AT_ONCE):
        sent = chain.ask([("eth_sendTransaction", [one]) for one in transactions[start : start + SENT_AT_ONCE]])
        while None in chain.ask([("eth_getTransactionReceipt", [one]) for one in sent]):
            time.sleep(0.01)  # Anvil answers before it has mined them


# -- the three ways -------------------------------------------------------------------------------------------------


def ceiling(chain: Chain, deployment: Deployment, last: int) -> float:
    """Events a second that the node gives, as bytes."""
    url, session, count = str(chain.web3.provider.endpoint_uri), requests.Session(), 0  # type: ignore[attr-defined]
    start = time.perf_counter()
    for first in range(0, last + 1, 50):
        where = {
            "address": deployment.address("ConsentRegistry"),
            "fromBlock": hex(first),
            "toBlock": hex(min(first + 49, last)),
        }
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [where]}
        count += session.post(url, json=question, timeout=300).content.count(b'"logIndex"')
    return count / (time.perf_counter() - start)


def plain(chain: Chain, deployment: Deployment, last: int, folder: Path, most: int) -> tuple[float, float]:
    """Events a second of the loop that one writes first, over the first so many events; and seconds of this process's
    time for each."""
    web3 = Web3(Web3.HTTPProvider(str(chain.web3.provider.endpoint_uri)))  # type: ignore[attr-defined]
    contract = web3.eth.contract(
        address=to_checksum_address(deployment.address("ConsentRegistry")), abi=list(artifact("ConsentRegistry").abi)
    )
    database, count = sqlite3.connect(folder / f"plain-{time.monotonic_ns()}.db"), 0
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE events (block, hash, tx, position, subject, grantee, word)")
    start, used = time.perf_counter(), time.process_time()
    for first in range(0, last + 1, 50):
        for log in contract.events.RuleSet().get_logs(from_block=first, to_block=min(first + 49, last)):
            said = log["args"]
            row = (
                log["blockNumber"],
                bytes(log["blockHash"]),
                bytes(log["transactionHash"]),
                log["logIndex"],
                said["subject"],
                said["grantee"],
                said["word"].to_bytes(32, "big"),
            )
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            count += 1
        database.commit()
        if count >= most:
            break
    took, used = time.perf_counter() - start, time.process_time() - used
    database.close()
    return count / took, used / count


def indexed(chain: Chain, deployment: Deployment, where: Path | str) -> tuple[float, float, int]:
    """Events a second of the index, into every table of its own; seconds of this process's time for each; how many."""
    index = Index(where)
    try:
        indexer = Indexer(index, chain, deployment)
        start, used = time.perf_counter(), time.process_time()
        events = indexer.update().events
        took, used = time.perf_counter() - start, time.process_time() - used
        return events / took, used / events, events
    finally:
        index.close()


def measure(name: str, folder: Path, subjects: int, rules: int, runs: int) -> dict[str, Any]:
    """One node: the three ways in turns, so that the machine treats them alike."""
    with NODES[name](subjects) as url:
        chain, deployment = fill(url, folder / f"{name}.json", subjects, rules)
        last = chain.block_number()
        found: dict[str, list[float]] = {"ceiling": [], "plain": [], "index": []}
        used: dict[str, list[float]] = {"plain": [], "index": []}
        load, events = os.getloadavg()[0], 0
        for number in range(runs):
            found["ceiling"].append(ceiling(chain, deployment, last))
            rate, seconds = plain(chain, deployment, last, folder, PLAIN)
            found["plain"].append(rate)
            used["plain"].append(seconds)
            rate, seconds, events = indexed(chain, deployment, folder / f"{name}-{number}.db")
            found["index"].append(rate)
            used["index"].append(seconds)
    ratios = [rate / slow for rate, slow in zip(found["index"], found["plain"], strict=True)]
    return {
        "events": events,
        "blocks": last + 1,
        **{f"{way}_per_second": round(statistics.median(rates)) for way, rates in found.items()},
        **{f"{way}_process_microseconds": round(1e6 * statistics.median(times), 1) for way, times in used.items()},
        "load_before": round(load, 1),  # what else the machine did: processes that ran or waited for a core
        "times_plain": round(statistics.median(ratios), 1),
        "times_plain_of_each_run": [round(ratio, 1) for ratio in ratios],
        "target": TARGETS[name],
    }


def told(_: str, found: dict[str, Any]) -> str:
    """What is printed of a node."""
    return (
        f"{found['events']:,} events: index {found['index_per_second']:,}/s, plain loop "
        f"{found['plain_per_second']:,}/s, {found['times_plain']} times (target {found['target']:.0f}); "
        f"the node gives {found['ceiling_per_second']:,}/s"
    )


def main() -> int:
    """Measure, print and write."""
    return on_each_node(
        __doc__,
        RESULTS,
        NODES,
        measure,
        told=told,
        met=lambda name, found: found["times_plain"] >= TARGETS[name],
        subjects=(SUBJECTS, "how many subjects grant rules"),
        rules=(RULES, "how many rules each"),
        runs=RUNS,
    )


if __name__ == "__main__":
    sys.exit(main())
