"""The fraud report: what the nullifier and the soft key find of fraud injected into real claims.

``make fraud-report DATA=claims.zip`` tries both on HL7's example claims and on every data set named: archives, folders
or files of FHIR R4 bundles and X12 5010 interchanges. Each legitimate claim is followed once by every kind of bill of
`medproof.claims.fraud`, and each is anchored in a log on a local chain and proven to be in it. The figures go to the
terminal, to reports/fraud.json, and with a plot to reports/fraud.html, one file that asks nothing of other hosts. The
exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from medproof import fhir, x12
from medproof.anchoring import Anchorer
from medproof.chain import Chain
from medproof.claims import Claim
from medproof.claims.event_log import ClaimEntry, ClaimEventLog
from medproof.claims.fraud import ClaimLedger, FraudReport, Kind, Selection, Tally, Tier, inject, turns
from medproof.claims.keyring import Keyring
from medproof.claims.names import Names
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.errors import MedProofError
from medproof.hashing import Json, JsonObject, canonical, commit_bytes, new_salt
from medproof.policy.codes import PartyKind
from medproof.signing import NodeSigner
from scripts.local_chain import ROOT, LocalChain

EXAMPLES = ROOT / "node_modules" / "hl7.fhir.r4.examples"
REPORTS = ROOT / "reports"
SEED = 2026
SOFT_RECALL = 0.99
FHIR, X12 = (".json",), (".837", ".837i", ".837p", ".837d", ".x12", ".edi")
# What HL7's dental and vision examples bill by: as a consortium would, they agree on it beforehand.
BILLING = ("http://example.org/fhir/oralservicecodes", "http://example.org/fhir/visionservicecodes")
FATES = {  # of a tally, and the colour of its part of a bar
    "refused": ("refused at once", "#8c2d19"),
    "confirmed": ("flagged, confirmed", "#e08214"),
    "cleared": ("flagged, cleared", "#80b1a5"),
    "unflagged": ("taken without a flag", "#d5dbe1"),
}


@dataclass
class DataSet:
    """Claims that others wrote."""

    name: str
    claims: list[Claim] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)  # why files or claims could not be read


@dataclass
class Trial:
    """A data set, and what became of it."""

    name: str
    selection: Selection
    unread: Counter[str]
    report: FraudReport
    seconds: float
    proven: int = 0  # claims whose anchoring was proven
    proof_bytes: int = 0  # of the longest proof

    @property
    def met(self) -> bool:
        """Whether the targets are."""
        report = self.report
        hard = report.hard_recall in (None, 1.0) and report.hard_false_positives == 0
        soft = report.soft_recall is None or report.soft_recall >= SOFT_RECALL
        return bool(self.proven) and hard and soft and self.proven == len(self.selection.claims)

    def to_json(self) -> JsonObject:
        """The trial as JSON."""
        return {
            "name": self.name,
            "claims": len(self.selection.claims),
            "leftOut": dict(self.selection.left_out),
            "unread": dict(self.unread),
            "madeUpEncounters": len(self.selection.registered),
            "anchoredAndProven": self.proven,
            "longestProofBytes": self.proof_bytes,
            "seconds": f"{self.seconds:.2f}",
            "met": self.met,
            **self.report.to_json(),
        }


# -- reading ----------------------------------------------------------------------------------------------------------


def files(source: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a data set: those in an archive, those below a folder, or the one file."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    else:
        yield source.name, source.read_bytes()


def read(name: str, contents: Iterator[tuple[str, bytes]], progress: Progress) -> DataSet:
    """Read the claims of a data set; what cannot be read is counted by its reason."""
    data = DataSet(name)
    task = progress.add_task(f"{name}: reading", total=None)
    for file, content in contents:
        try:
            if file.lower().endswith(FHIR):
                for resource in fhir.records(fhir.load(content)):
                    if resource.resource_type == "Claim":
                        read_one(data, resource)
            elif file.lower().endswith(X12):
                data.claims += x12.read_claims(content)
        except MedProofError as error:
            data.unread[str(error)] += 1
        progress.advance(task)
    progress.update(task, total=progress.tasks[task].completed)
    return data


def read_one(data: DataSet, resource: fhir.Resource) -> None:
    """Read one FHIR claim."""
    try:
        data.claims.append(fhir.read_claim(resource))
    except MedProofError as error:
        data.unread[str(error)] += 1


# -- trying -----------------------------------------------------------------------------------------------------------


def attempt(data: DataSet, keyring: Keyring, seed: int, progress: Progress) -> Trial:
    """Let every claim be followed by every kind of bill, and count."""
    started = time.perf_counter()
    selection, report = Selection.of(data.claims, keyring), FraudReport()
    task = progress.add_task(f"{data.name}: trying", total=turns())
    for turn in range(turns()):
        ledger = ClaimLedger(keyring)
        for bill in inject(selection.claims, seed=seed, turn=turn, registered=selection.registered):
            report.add(bill, ledger.take(bill))
        progress.advance(task)
    return Trial(data.name, selection, data.unread, report, time.perf_counter() - started)


def anchor(trials: Sequence[Trial], keyring: Keyring, progress: Progress) -> None:
    """Anchor every claim in one log on a chain of its own, and prove each to be in it by what the chain says."""
    entries = [
        ClaimEntry.submission(claim, keyring.nullifier(claim, registered=trial.selection.registered.get(index)), at)
        for at in [datetime.now(UTC)]
        for trial in trials
        for index, claim in enumerate(trial.selection.claims)
    ]
    task = progress.add_task("anchoring and proving", total=len(entries))
    with LocalChain() as local, tempfile.TemporaryDirectory() as folder:
        chain = Chain.connect(local.url)
        admin, house = (NodeSigner(account) for account in chain.web3.eth.accounts[:2])
        suite = MedProof(chain, deploy(chain, admin, manifest=Path(folder) / "suite.json"), sender=admin)
        until = datetime.now(UTC).date() + timedelta(days=365)
        credential = commit_bytes(b"the clearing house of the fraud report", new_salt())
        suite.registrar.accredit(house.address, PartyKind.PROVIDER, credential=credential, valid_until=until)
        with closing(ClaimEventLog(Path(folder) / "claims.db")) as log:
            added, _ = log.append(entries)
            log.settle(suite, house.address)
            Anchorer(suite, log.leaves, house, trouble=fail).work()
            owners = [trial for trial in trials for _ in trial.selection.claims]
            root = log.prove(0).verify_anchored(suite.batch_anchor).root if entries else b""
            for entry, owner, proof in zip(entries, owners, log.proofs(added.start, added.stop), strict=True):
                proof.verify(root)
                owner.proven += proof.event == entry.event
                owner.proof_bytes = max(owner.proof_bytes, len(canonical(proof.to_json())))
                progress.advance(task)


def fail(error: MedProofError) -> None:
    """Let no trouble pass."""
    raise error


# -- showing ----------------------------------------------------------------------------------------------------------


def unflagged(tally: Tally) -> int:
    """How many bills were taken without a word."""
    return tally.bills - tally.refused - tally.flagged


def together(trials: Sequence[Trial]) -> FraudReport:
    """The figures of all trials."""
    whole = FraudReport()
    for trial in trials:
        for kind, tally in trial.report.tallies.items():
            whole.tallies[kind] += tally
    return whole


def percent(rate: float | None) -> str:
    """A rate to read."""
    return "-" if rate is None else f"{rate:.2%}"


def show(console: Console, trials: Sequence[Trial]) -> None:
    """Print both tables, and what was left out."""
    kinds = Table("what the bill is", "to be", title="Every claim followed once by every kind of bill")
    for name in ("bills", "refused", "flagged", "confirmed", "cleared", "unflagged"):
        kinds.add_column(name, justify="right")
    for kind, tally in together(trials).tallies.items():
        counts = (tally.bills, tally.refused, tally.flagged, tally.confirmed, tally.cleared, unflagged(tally))
        kinds.add_row(str(kind), EXPECTED[kind.tier], *(f"{count:,}" for count in counts))
    console.print(kinds)
    sets = Table(title="Both tiers")
    sets.add_column("data", no_wrap=True)
    for name in COLUMNS:
        sets.add_column(name, justify="right")
    for trial in trials:
        sets.add_row(trial.name, *figures(trial))
    console.print(sets)
    for trial in trials:
        for why, count in (*trial.unread.items(), *trial.selection.left_out.items()):
            console.print(f"{trial.name}: left out {count}: {why}", style="dim", highlight=False)


EXPECTED = {Tier.ACCEPTED: "taken", Tier.HARD: "refused", Tier.SOFT: "flagged", Tier.NEITHER: "unseen"}
COLUMNS = (
    "claims",
    "hard recall",
    "wrongly refused",
    "soft recall",
    "wrongly flagged",
    "of originals",
    "anchored, proven",
    "seconds",
)


def figures(trial: Trial) -> tuple[str, ...]:
    """A row of the second table, as `COLUMNS` names them."""
    report = trial.report
    return (
        f"{len(trial.selection.claims):,}",
        percent(report.hard_recall),
        str(report.hard_false_positives),
        percent(report.soft_recall),
        percent(report.soft_false_positive_rate),
        percent(report.original_false_positive_rate),
        f"{trial.proven:,}",
        f"{trial.seconds:.1f}",
    )


def plot(report: FraudReport) -> str:
    """Of each kind of bill, how many parts in a hundred met which fate: an SVG whose text is text."""
    mpl.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "medproof"})
    kinds = [kind for kind in reversed(Kind) if report.tallies[kind].bills]
    figure = Figure(figsize=(9.5, 0.42 * len(kinds) + 1.4), layout="constrained")
    axes = figure.subplots()
    start = [0.0] * len(kinds)
    for fate, (label, colour) in FATES.items():
        counts = [getattr(report.tallies[kind], fate, unflagged(report.tallies[kind])) for kind in kinds]
        parts = [100 * count / report.tallies[kind].bills for count, kind in zip(counts, kinds, strict=True)]
        axes.barh(range(len(kinds)), parts, left=start, color=colour, label=label, height=0.72)
        start = [before + part for before, part in zip(start, parts, strict=True)]
    axes.set_yticks(range(len(kinds)), [f"{kind} ({EXPECTED[kind.tier]})" for kind in kinds])
    for place, kind in enumerate(kinds):
        axes.text(101, place, f"{report.tallies[kind].bills:,}", va="center", fontsize=9)
    axes.set_xlim(0, 100)
    axes.set_xlabel("of 100 bills; in brackets what is to become of them, at the right how many there were")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=len(FATES), frameon=False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def page(trials: Sequence[Trial], seed: int) -> str:
    """The report as one HTML file."""
    environment = Environment(
        loader=FileSystemLoader(ROOT / "scripts"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    whole = together(trials)
    return environment.get_template("fraud_report.html").render(
        trials=trials,
        whole=whole,
        plot=plot(whole),
        columns=COLUMNS,
        figures=figures,
        expected=EXPECTED,
        percent=percent,
        unflagged=unflagged,
        seed=seed,
        turns=turns(),
        tiers=Tier,
        met=all(trial.met for trial in trials),
        at=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(description="Try both tiers on claims that others wrote.")
    parser.add_argument("data", nargs="*", type=Path, help="archives, folders or files of FHIR R4 or X12 5010")
    parser.add_argument("--seed", type=int, default=SEED, help="of all chances (default %(default)s)")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder of the report (default reports)")
    options = parser.parse_args(argv)
    for path in options.data:
        if not path.exists():
            parser.error(f"{path} is not there. Give a data set, or none: HL7's examples are tried anyway.")
    options.out.mkdir(parents=True, exist_ok=True)

    console = Console(width=None if sys.stdout.isatty() else 118)
    keyring = Keyring.create(names=Names(billing=BILLING))
    examples = ((path.name, path.read_bytes()) for path in sorted(EXAMPLES.glob("Claim-*.json")))
    sources = [("HL7's examples", examples), *((path.stem, files(path)) for path in options.data)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        try:
            data = [read(name, contents, progress) for name, contents in sources]
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # the last: a file in it has a password
            parser.error(f"A data set cannot be read ({error}). Give it whole and without a password.")
        trials = [attempt(one, keyring, options.seed, progress) for one in data]
        anchor(trials, keyring, progress)

    show(console, trials)
    said: list[Json] = [trial.to_json() for trial in trials]
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    document = {"seed": options.seed, "turns": turns(), "machine": machine, "data": said}
    (options.out / "fraud.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (options.out / "fraud.html").write_text(page(trials, options.seed), encoding="utf-8")
    console.print(f"{options.out / 'fraud.html'} and {options.out / 'fraud.json'} have all of it.")
    missed = [trial.name for trial in trials if not trial.met]
    console.print(f"Missed its targets: {', '.join(missed)}" if missed else "All targets are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
