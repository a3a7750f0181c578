"""How fast evidence of consent is made and verified, beside the node's own proofs taken and thrown away.

A chain is filled with rules; then a researcher's request is proved for many subjects at once, each with the rule that
permits it and, for every tenth, a deny for everyone. ``make bench-evidence`` prints a line for each node and writes
bench/results/evidence.json; the exit code is 1 where verifying 1,000 subjects takes longer than its target.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
from eth_utils.address import to_checksum_address

from bench.command import on_each_node
from bench.indexing import NODES, fill
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE
from medproof.evidence import locate
from medproof.evidence.consent_file import verify_consents
from medproof.evidence.consent_prover import ConsentProver
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
from medproof.policy.word import Request, Rule, encode
from medproof.signing import NodeSigner
from scripts.local_chain import ROOT

RESULTS = ROOT / "bench" / "results" / "evidence.json"
TARGET = 5.0  # seconds for 1,000 subjects
SUBJECTS, RULES = 1_000, 20  # of each subject, for others: so deep are the trees
RUNS = 3
DENIES = 10  # each so many-th subject denies everyone
SENT_AT_ONCE, ASKED_AT_ONCE = 10, 200
REQUEST = Request(
    Purpose.HRESCH,
    DataClass.GENOMICS,
    Condition.NEOPLASMS,
    Sensitivity.NONE_LABELLED,
    CareSetting.AMB,
    Action.ACCESS,
    research=ResearchUse.HMB,
)


def consent(suite: MedProof, researcher: str, subjects: list[str]) -> None:
    """Let each subject permit the request, and some deny it to everyone as well."""
    chain, registry = suite.chain, suite.consent_registry.contract
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0)
    permit = Rule(
        purposes=Purpose.HRESCH,
        classes=DataClass.ALL,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        party_kinds=PartyKind.ALL,
        valid_from=now - timedelta(hours=1),
        research=ResearchUse.HMB.with_narrower(),
    )
    rules = [(researcher, encode(permit)), (EVERYONE, encode(replace(permit, deny=True)))]
    fees = {name: hex(fee) for name, fee in chain.fees().items()}
    sent: list[tuple[str, list[Any]]] = []
    for number, subject in enumerate(subjects):
        data = chain.call_data(registry, "setRules", (rules[: 1 if number % DENIES else 2],))
        call = {"from": subject, "to": registry.address, "gas": hex(200_000), "data": data, **fees}
        sent.append(("eth_sendTransaction", [call]))
    hashes = [
        one for start in range(0, len(sent), SENT_AT_ONCE) for one in chain.ask(sent[start : start + SENT_AT_ONCE])
    ]
    while not all(chain.ask([("eth_getTransactionReceipt", [one]) for one in hashes])):
        time.sleep(0.1)


def ceiling(suite: MedProof, researcher: str, subjects: list[str]) -> tuple[float, int]:
    """Slots a second that the node proves, as bytes: those of the subjects' rules for the party and for everyone. And
    how many bytes that is."""
    url, session = str(suite.chain.web3.provider.endpoint_uri), requests.Session()  # type: ignore[attr-defined]
    block, registry = hex(suite.chain.block_number()), suite.consent_registry.address
    slots = [
        f"{place.slot:#066x}"
        for subject in subjects
        for grantee in (researcher, EVERYONE)
        for place in locate("ConsentRegistry", "_rules", subject, grantee, "first")
    ]
    start, proofs, size = time.perf_counter(), 0, 0
    for first in range(0, len(slots), ASKED_AT_ONCE):
        asked = [registry, slots[first : first + ASKED_AT_ONCE], block]
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getProof", "params": asked}
        content = session.post(url, json=question, timeout=300).content
        proofs, size = proofs + content.count(b'"key"'), size + len(content)
    assert proofs == len(slots)
    return proofs / (time.perf_counter() - start), size


def measure(name: str, folder: Path, subjects: int, rules: int, runs: int) -> dict[str, Any]:
    """One node: its own proofs, evidence made, evidence verified, in turns."""
    with NODES[name](subjects + 1) as url:
        chain, deployment = fill(url, folder / f"{name}.json", subjects, rules)
        researcher, *whose = (str(to_checksum_address(one)) for one in reversed(chain.accounts()))
        suite = MedProof(chain, deployment)
        accreditation = {"credential": b"\x11" * 32, "valid_until": datetime.now(UTC).date() + timedelta(days=1000)}
        admin = NodeSigner(chain.accounts()[0])
        suite.registrar.accredit(researcher, PartyKind.RESEARCHER, sender=admin, **accreditation)  # type: ignore[arg-type]
        consent(suite, researcher, whose)
        found: dict[str, list[float]] = {"ceiling": [], "proved": [], "verified": [], "used": []}
        load, size, answered = os.getloadavg()[0], 0, 0
        for _ in range(runs):
            rate, answered = ceiling(suite, researcher, whose)
            found["ceiling"].append(rate)
            start = time.perf_counter()
            lines = list(ConsentProver(suite, researcher, REQUEST).lines(whose))
            found["proved"].append(len(whose) / (time.perf_counter() - start))
            size, hashed = sum(map(len, lines)), chain.block().hash
            start, used = time.perf_counter(), time.process_time()
            proved = verify_consents(lines, [hashed])
            found["verified"].append(len(whose) / (time.perf_counter() - start))
            found["used"].append((time.process_time() - used) / len(whose))
            assert (proved.subjects, proved.permitted) == (len(whose), len(whose) - -(-len(whose) // DENIES))
    rates = {way: statistics.median(of) for way, of in found.items()}
    return {
        "subjects": len(whose),
        "rules": len(whose) * (rules + 1) + -(-len(whose) // DENIES),
        "slots_a_second_from_the_node_alone": round(rates["ceiling"]),
        "subjects_proved_a_second": round(rates["proved"]),
        "subjects_verified_a_second": round(rates["verified"]),
        "seconds_to_verify_1000": round(1000 / rates["verified"], 2),
        "process_seconds_to_verify_1000": round(1000 * rates["used"], 2),
        "target_seconds": TARGET,
        "bytes_a_subject": round(size / len(whose)),
        "bytes_a_subject_from_the_node": round(answered / len(whose)),
        "load_before": round(load, 1),  # what else the machine did: processes that ran or waited for a core
    }


def told(_: str, found: dict[str, Any]) -> str:
    """What is printed of a node."""
    return (
        f"{found['subjects']:,} subjects, {found['rules']:,} rules: {found['subjects_proved_a_second']:,} proved a "
        f"second, {found['subjects_verified_a_second']:,} verified; 1,000 in {found['seconds_to_verify_1000']} s "
        f"(target {TARGET}); {found['bytes_a_subject']:,} bytes each. The node alone proves "
        f"{found['slots_a_second_from_the_node_alone']:,} slots a second"
    )


def main() -> int:
    """Measure, print and write."""
    return on_each_node(
        __doc__,
        RESULTS,
        NODES,
        measure,
        told=told,
        met=lambda _, found: found["seconds_to_verify_1000"] <= TARGET,
        subjects=(SUBJECTS, "how many subjects are proved"),
        rules=(RULES, "how many rules each has for others"),
        runs=RUNS,
    )


if __name__ == "__main__":
    sys.exit(main())
