"""The ConsentRegistry under a workload of the shape of iDASH 2023, track 1: ``make bench-idash``.

The records (`bench.workload`) are signed by their patients and sent by a relayer. Then researchers and patients ask, of
the package's own read path (`medproof.consents`). Every answer is compared with that of a plain Python oracle, which
knows the records alone, and some with the contract's. It prints the figures and writes bench/results/idash.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, reduce
from multiprocessing import get_context
from operator import or_
from pathlib import Path
from typing import Any, TypeVar

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.meter import DEADLINE, BenchError, Contract, Meter, fixed_account, fixed_chain, fixed_hash, gas_used
from bench.workload import (
    CATEGORIES,
    DAY,
    ELEMENTS,
    SEED,
    Key,
    Oracle,
    PatientQuestion,
    Record,
    ResearcherQuestion,
    Shape,
    day_end,
    draw_questions,
    draw_records,
)
from medproof import messages
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.consent_registry import ConsentRegistry
from medproof.client.contract import SignedMessage
from medproof.consents import ConsentLog
from medproof.deployments import deploy
from medproof.indexer import Index, Indexer
from medproof.messages import Domain, TypedData
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
from medproof.policy.word import FIELDS, FLAG_FIELDS, Request, Rule, encode
from medproof.signing import LocalSigner, NodeSigner
from medproof.wallet import Wallet
from scripts.local_chain import ROOT, ChainError

RESULTS = ROOT / "bench" / "results" / "idash.json"

# The 2023 winner's contract and what it took, measured beforehand.
WINNER = {"gas_each": 334_511, "researcher_ms": 1.55, "patient_ms": 1.03}

# What we may take at most: gas a record, milliseconds in the median.
AIMS = {"one_by_one": 60_000, "batches": 30_000, "researcher_ms": 1.0, "patient_ms": 1.0}

PHRASE = "test test test test test test test test test test test junk"  # what every Ethereum tool uses for play money
LAST_DAY = date(2052, 2, 20)  # of the studies' accreditation

# A category of sensitive data is a sensitivity label here, an element a class of data.
LABELS = dict(zip(CATEGORIES, list(Sensitivity)[1:], strict=False))
CLASSES = dict(zip(ELEMENTS, DataClass, strict=False))
RESEARCH = ResearchUse.HMB.with_narrower()
REVOKED = FLAG_FIELDS["revoked"].mask

_Answer = TypeVar("_Answer")


# -- records as rules -----------------------------------------------------------------------------------------------


@cache
def _site(number: int) -> str:
    return str(fixed_account(f"site {number}").address)


@cache
def _study(number: int) -> str:
    return str(fixed_account(f"study {number}").address)


@cache
def _pseudonym(patient: int, site: int) -> LocalSigner:
    """The patient's account in its relationship with a site."""
    return Wallet(PHRASE, passphrase=f"patient {patient}").pseudonym(_site(site))


def _rule(record: Record, sequence: int) -> Rule:
    return Rule(
        purposes=Purpose.HRESCH,
        classes=_classes(record.elements),
        conditions=Condition.ALL,
        sensitivities=_labels(record.categories),
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        party_kinds=PartyKind.RESEARCHER,
        valid_from=datetime.fromtimestamp(record.time, UTC),
        valid_until=None if record.until is None else datetime.fromtimestamp(record.until, UTC),
        research=RESEARCH,
        terms=1,
        sequence=sequence,
    )


def _request(question: ResearcherQuestion) -> Request:
    return Request(
        purposes=Purpose.HRESCH,
        classes=_classes(question.elements),
        sensitivities=_labels(question.categories),
        actions=Action.ACCESS,
        research=ResearchUse.HMB,
    )


def _labels(categories: Iterable[str]) -> Sensitivity:
    return reduce(or_, (LABELS[category] for category in categories))


def _classes(elements: Iterable[str]) -> DataClass:
    return reduce(or_, (CLASSES[element] for element in elements))


@dataclass(frozen=True)
class Change:
    """A record as it is signed."""

    record: Record
    sequence: int  # among the changes of its rule, from 1
    word: int  # the rule; of a withdrawal the flag revoked and the sequence

    @property
    def kind(self) -> str:
        """What it does to the rule: "new", "change" or "revoke"."""
        return "revoke" if self.record.withdrawn else "new" if self.sequence == 1 else "change"

    def message(self, domain: Domain, terms: bytes) -> TypedData:
        """What the patient signs."""
        subject, grantee = _pseudonym(self.record.patient, self.record.site).address, _study(self.record.study)
        pair = {"subject": subject, "grantee": grantee}
        if self.record.withdrawn:
            return messages.revocation(domain, **pair, index=0, sequence=self.sequence, deadline=DEADLINE)
        return messages.rule(domain, **pair, word=self.word, terms=terms, deadline=DEADLINE)


def _changes(records: Iterable[Record]) -> list[Change]:
    sequences: defaultdict[Key, int] = defaultdict(int)
    changes = []
    for record in records:
        sequences[record.key] += 1
        sequence = sequences[record.key]
        revocation = REVOKED | FIELDS["sequence"].place(sequence)
        changes.append(Change(record, sequence, revocation if record.withdrawn else encode(_rule(record, sequence))))
    return changes


def _sign(change: Change, domain: Domain, terms: bytes) -> SignedMessage:
    typed = change.message(domain, terms)
    signature = _pseudonym(change.record.patient, change.record.site).sign_typed_data(typed)
    pair = (typed.message["subject"], typed.message["grantee"])
    what = (0, change.sequence) if change.record.withdrawn else (change.word,)
    return SignedMessage(
        contract=domain.contract,
        address=domain.address,
        chain_id=domain.chain_id,
        function="revokeRuleFor" if change.record.withdrawn else "setRuleFor",
        arguments=(*pair, *what, DEADLINE, signature),
        deadline=DEADLINE,
    )


def _sign_all(changes: Sequence[Change], domain: Domain, terms: bytes) -> list[SignedMessage]:
    """Sign on all processors: one signature takes longer than anything else here."""
    count = len(changes)
    workers = min(os.cpu_count() or 1, 1 + count // 1_000)
    if workers == 1:
        return [_sign(change, domain, terms) for change in changes]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_sign, changes, [domain] * count, [terms] * count, chunksize=100))


# -- the chain ------------------------------------------------------------------------------------------------------


def measure(shape: Shape) -> dict[str, Any]:
    """Run the whole workload on a chain of its own and return the results as they are written."""
    records = draw_records(shape)
    changes = _changes(records)
    terms = fixed_hash("terms of the studies")
    with fixed_chain() as local, tempfile.TemporaryDirectory() as folder:
        meter = Meter(local.url)
        chain = Chain.connect(local.url, poll=0.005)
        admin = NodeSigner(chain.accounts()[0])
        suite = MedProof(chain, deploy(chain, admin, manifest=Path(folder) / "manifest.json"), sender=admin)
        suite.consent_registry.publish_terms(terms)
        for study in range(shape.studies):
            suite.registrar.accredit(
                _study(study), PartyKind.RESEARCHER, credential=fixed_hash(f"study {study}"), valid_until=LAST_DAY
            )

        _say(f"Signing {len(changes):,} records …")
        signed = _sign_all(changes, suite.consent_registry.domain, terms)
        _say(f"Sending them, {shape.batch} in a transaction, and the last {shape.one_by_one:,} one by one as well …")
        gas = _insert(meter, suite.consent_registry, shape, changes, signed)
        _say("Reading the registry …")
        started = time.perf_counter()
        index = Index(Path(folder) / "index.db")
        indexer = Indexer(index, chain, suite.deployment)
        indexer.update()
        log = ConsentLog(indexer.indexed)
        if log.update() != len(records):
            raise BenchError("The log has another number of changes than there are records")
        reading = time.perf_counter() - started
        index.close()
        _say(f"Asking {shape.questions:,} questions of researchers and as many of patients, {shape.runs} times …")
        queries = _query(suite, log, shape, Oracle(records))
        client = str(meter.rpc("web3_clientVersion"))

    result = {
        "workload": {
            **{name: getattr(shape, name) for name in ("sites", "patients", "studies", "records")},
            "categories": len(CATEGORIES),
            "elements": len(ELEMENTS),
            "seed": SEED,
            **Counter(change.kind for change in changes),
        },
        "gas": gas,
        "queries": queries,
        "reading_seconds": round(reading, 1),
        "machine": {**_machine(), "chain": client},
        "winner_2023": WINNER,
    }
    return {**result, "times_better": _ratios(result)}


def _insert(
    meter: Meter, registry: ConsentRegistry, shape: Shape, changes: Sequence[Change], signed: Sequence[SignedMessage]
) -> dict[str, Any]:
    """Send all records in batches, and the last of them one by one as well, from the same state."""
    contract, relayer = Contract(registry.address, registry.contract.abi), fixed_account("relayer")
    meter.execute(relayer, contract, "setRulesFor", [])  # funding the account takes a block of its own
    spent, single = 0, {}
    for start in range(0, len(signed), shape.batch):
        end = start + shape.batch
        if start == len(signed) - shape.one_by_one:
            before = meter.rpc("evm_snapshot")
            mix = Counter(change.kind for change in changes)
            single = _insert_one_by_one(meter, contract, changes[start:], signed[start:], mix)
            meter.rpc("evm_revert", before)
        meter.rpc("evm_mine", day_end(start // shape.batch) - 1)  # the next block is a second later
        items = [
            (*message.arguments[:2], change.word, message.deadline, *messages.compact(message.arguments[-1]))
            for change, message in zip(changes[start:end], signed[start:end], strict=True)
        ]
        receipt = meter.execute(relayer, contract, "setRulesFor", items)
        block = meter.rpc("eth_getBlockByNumber", receipt["blockNumber"], False)
        if int(block["timestamp"], 16) != day_end(start // shape.batch):
            raise BenchError(f"Batch {start // shape.batch} is on the chain at another time than its day's end")
        spent += gas_used(receipt)
    return {
        "one_by_one": single,
        "batches": {"records": len(signed), "each": -(-spent // len(signed)), "of": shape.batch},
    }


def _insert_one_by_one(
    meter: Meter, contract: Contract, changes: Sequence[Change], signed: Sequence[SignedMessage], mix: Counter[str]
) -> dict[str, Any]:
    """Send some records, each in a transaction of its own; `each` weighs the kinds as all records mix them."""
    relayer = fixed_account("relayer of single records")
    spent: defaultdict[str, list[int]] = defaultdict(list)
    for change, message in zip(changes, signed, strict=True):
        receipt = meter.execute(relayer, contract, message.function, *message.arguments)
        spent[change.kind].append(gas_used(receipt))
    means = {kind: -(-sum(spent[kind]) // len(spent[kind])) for kind in mix}
    return {
        "records": len(signed),
        **means,
        "each": -(-sum(means[kind] * count for kind, count in mix.items()) // mix.total()),
        "most": max(max(one) for one in spent.values()),
    }


# -- the questions --------------------------------------------------------------------------------------------------


def _query(suite: MedProof, log: ConsentLog, shape: Shape, oracle: Oracle) -> dict[str, Any]:
    """Ask everything, several times; the answers of the first time are compared."""
    researchers, patients = draw_questions(shape)
    places = {
        _pseudonym(patient, site).address: (patient, site)
        for patient in range(shape.patients)
        for site in range(shape.sites)
    }
    subjects: defaultdict[int, list[str]] = defaultdict(list)
    for subject, (patient, _) in places.items():
        subjects[patient].append(subject)
    studies = {_study(study): study for study in range(shape.studies)}

    def who(question: ResearcherQuestion) -> Callable[[], tuple[str, ...]]:
        party, request = _study(question.study), _request(question)
        at = datetime.fromtimestamp(question.time, UTC)
        return lambda: log.subjects(party, request, kind=PartyKind.RESEARCHER, at=at)

    def what(question: PatientQuestion) -> Callable[[], list[Any]]:
        mine, at = subjects[question.patient], datetime.fromtimestamp(question.time, UTC)
        return lambda: [consent for subject in mine for consent in log.consents(subject, at=at)]

    asked, said = _time([who(question) for question in researchers], shape.runs)
    asked_too, told = _time([what(question) for question in patients], shape.runs)
    found = [{places[subject] for subject in answer} for answer in said]
    right = sum(one == oracle.researcher(question) for one, question in zip(found, researchers, strict=True))
    right_too = 0
    for answer, question in zip(told, patients, strict=True):
        given = {
            (
                places[consent.subject][1],
                studies[consent.grantee],
                frozenset(name for name, label in LABELS.items() if label in consent.rule.sensitivities),
                frozenset(name for name, kind in CLASSES.items() if kind in consent.rule.classes),
            )
            for consent in answer
        }
        right_too += given == oracle.patient(question) and len(given) == len(answer)
    return {
        "researcher": {**asked, "right": right, "answers_each": round(statistics.mean(map(len, said)), 1)},
        "patient": {**asked_too, "right": right_too, "answers_each": round(statistics.mean(map(len, told)), 1)},
        "contract": _compare_with_contract(suite, shape, list(zip(researchers, found, strict=True)), places),
    }


def _time(questions: Sequence[Callable[[], _Answer]], runs: int) -> tuple[dict[str, Any], list[_Answer]]:
    """Time each question in each run; returns the figures and the first run's answers."""
    answers: list[_Answer] = []
    medians, slow = [], []
    for run in range(runs):
        taken = []
        for question in questions:
            started = time.perf_counter_ns()
            answer = question()
            taken.append((time.perf_counter_ns() - started) / 1e6)
            if run == 0:
                answers.append(answer)
        medians.append(statistics.median(taken))
        slow.append(statistics.quantiles(taken, n=20)[-1])
    figures = {
        "questions": len(questions),
        "median_ms": round(statistics.median(medians), 3),
        "p95_ms": round(statistics.median(slow), 3),
        "medians_ms": [round(median, 3) for median in medians],
    }
    return figures, answers


def _compare_with_contract(
    suite: MedProof,
    shape: Shape,
    answered: Sequence[tuple[ResearcherQuestion, set[tuple[int, int]]]],
    places: dict[str, tuple[int, int]],
) -> dict[str, int]:
    """Ask the contract itself, as of the block, about one subject of an answer or, in turn, any other."""
    draw, right = random.Random(SEED + 2), 0
    first = suite.chain.block_number() - 2 * (shape.days - 1)  # an empty block sets the clock before each batch
    sample = draw.sample(answered, min(shape.asked_of_the_contract, len(answered)))
    for number, (question, found) in enumerate(sample):
        inside = [subject for subject, place in places.items() if place in found]
        subject = draw.choice(inside if inside and number % 2 else sorted(places))
        block = first + 2 * (question.time - day_end(0)) // DAY
        permitted = suite.consent_registry.is_permitted(
            subject, _study(question.study), _request(question), block=block
        )
        right += permitted is (places[subject] in found)
    return {"questions": len(sample), "right": right}


# -- results --------------------------------------------------------------------------------------------------------


def _machine() -> dict[str, Any]:
    """What the times were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _ratios(result: dict[str, Any]) -> dict[str, float]:
    """How many times less we take than the winner."""
    return {
        "one_by_one": round(WINNER["gas_each"] / result["gas"]["one_by_one"]["each"], 1),
        "batches": round(WINNER["gas_each"] / result["gas"]["batches"]["each"], 1),
        "researcher": round(WINNER["researcher_ms"] / result["queries"]["researcher"]["median_ms"], 1),
        "patient": round(WINNER["patient_ms"] / result["queries"]["patient"]["median_ms"], 1),
    }


def problems(result: dict[str, Any]) -> list[str]:
    """What is wrong or above its aim, one sentence each."""
    gas, queries = result["gas"], result["queries"]
    figures = {
        "one_by_one": gas["one_by_one"]["each"],
        "batches": gas["batches"]["each"],
        "researcher_ms": queries["researcher"]["median_ms"],
        "patient_ms": queries["patient"]["median_ms"],
    }
    found = [f"{name} is {figures[name]:,}, above {aim:,}" for name, aim in AIMS.items() if figures[name] > aim]
    for name, query in queries.items():
        if query["right"] != query["questions"]:
            found.append(f"{name}: {query['questions'] - query['right']} of {query['questions']} answers are wrong")
    return found


def show(result: dict[str, Any]) -> None:
    """Print the figures beside the winner's."""
    gas, queries, better = result["gas"], result["queries"], result["times_better"]
    batches = gas["batches"]
    lines = [
        ("gas a record, one by one", gas["one_by_one"]["each"], WINNER["gas_each"], better["one_by_one"]),
        (f"gas a record, {batches['of']} at once", batches["each"], WINNER["gas_each"], better["batches"]),
    ]
    for name in ("researcher", "patient"):
        lines.append((f"{name} query, median ms", queries[name]["median_ms"], WINNER[f"{name}_ms"], better[name]))
    print(f"{'':28}{'MedProof':>12}{'winner 2023':>14}{'times better':>14}")
    for label, ours, theirs, times in lines:
        print(f"{label:28}{ours:>12,}{theirs:>14,}{times:>14}")
    for name, query in queries.items():
        print(f"{name}: {query['right']:,} of {query['questions']:,} answers right")


def _say(text: str) -> None:
    print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the workload, print the figures and write them."""
    parser = argparse.ArgumentParser(description="Run a workload of the shape of iDASH 2023.")
    parser.parse_args(argv)
    try:
        result = measure(Shape())
    except (BenchError, ChainError) as error:
        print(error, file=sys.stderr)
        return 1
    show(result)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    found = problems(result)
    if found:
        print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
