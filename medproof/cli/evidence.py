"""`medproof research evidence`, `medproof study evidence`: what the chain says of many subjects, for strangers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from eth_utils.address import to_checksum_address
from typer import Argument, Option

from medproof.cli.datasets import open_dataset
from medproof.cli.documents import time_text
from medproof.cli.options import ChainOptions, DatasetOptions, RequestOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import request_of
from medproof.cli.session import account, known_block, open_suite, read_text
from medproof.cli.study_files import WhichStudy, find_study
from medproof.client.studies import Use
from medproof.deployments import Deployment
from medproof.errors import EvidenceError, OptionError
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.request_json import write_request

if TYPE_CHECKING:  # the commands run without the extras until they need them
    from medproof.evidence.consent import ProvedDecision
    from medproof.evidence.consent_file import ProvedConsents
    from medproof.evidence.consent_prover import ConsentProver

__all__ = ["app", "check", "study_app"]

app, study_app = typer.Typer(), typer.Typer()

_USES = {
    Use.PERMITTED: "It may use their data.",
    Use.STUDY_NOT_OPEN: "It may not use anybody's, since it is not open.",
    Use.NOT_OPTED_IN: "They take no part in it.",
    Use.NO_CONSENT: "They take part, and their rules do not permit what it asks for.",
}
Out = Annotated[Path, Option(metavar="FILE", help="Where the evidence goes.", show_default=False)]


@app.command(
    epilog="Example: medproof research evidence 0x… --index index.db --purpose HRESCH --network sepolia --out e.jsonl"
)
@expanded
def evidence(
    actor: Annotated[str, Argument(metavar="ACTOR", help="The account that asks.", show_default=False)],
    out: Out,
    request: RequestOptions,
    source: DatasetOptions,
    chain: ChainOptions,
    subjects: Annotated[
        Path | None,
        Option(metavar="FILE", help="Whose consent: an address a line. The index's cohort where none is named."),
    ] = None,
    block: Annotated[int | None, Option(min=0, help="As of this block; the index's last, or the newest.")] = None,
) -> None:
    """Prove what the registry says to a request, subject by subject, for whoever asks no node (medproof verify)."""
    # Here, so that the other commands run without the extra.
    from medproof.evidence.consent_prover import ConsentProver

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    asking, wanted, hashed = account("ACTOR", actor), request_of(request), None
    if subjects is not None:
        whose, block = _addresses(subjects), known_block(suite, block)
    else:
        whose, block, hashed = _cohort(source, output, block, suite.deployment, asking, request)
    prover = ConsentProver(suite, asking, wanted, block=block, block_hash=hashed)
    if _write(prover, whose, out, output) != len(whose) and subjects is None:
        output.say("The index says that all of them permit it: it is not the chain's. Make it anew.", style="red")
        raise typer.Exit(ANSWER_NO)


@study_app.command("evidence", epilog="Example: medproof study evidence study.json --out evidence.jsonl")
@expanded
def study_evidence(
    which: WhichStudy,
    out: Out,
    chain: ChainOptions,
    subjects: Annotated[
        Path | None, Option(metavar="FILE", help="Of whom: an address a line. All who opted in where none is named.")
    ] = None,
    block: Annotated[int | None, Option(min=0, help="As of this block; the newest where none is named.")] = None,
) -> None:
    """Prove whose data a study may use, and why not the others', for whoever asks no node (medproof verify)."""
    # Here, so that the other commands run without the extra.
    from medproof.evidence.consent_prover import ConsentProver

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    study, _ = find_study(suite, which)
    number = suite.chain.block_number() if block is None else known_block(suite, block)
    whose = suite.studies.participants(study.id, block=number) if subjects is None else _addresses(subjects)
    _write(ConsentProver.of_study(suite, study.id, block=number), whose, out, output)


def _write(prover: ConsentProver, whose: Collection[str], out: Path, output: Output) -> int:
    """Write the evidence, whole or not at all, and say what it shows; how many of the subjects permit it."""
    reasons: Counter[Reason] = Counter()
    uses: Counter[Use] = Counter()
    permitted = 0
    with output.progress("Proving", len(whose)) as show:

        def tell(decided: ProvedDecision) -> None:
            nonlocal permitted
            reasons[decided.reason] += 1
            permitted += decided.permitted
            if decided.use is not None:
                uses[decided.use] += 1
            show(reasons.total())

        output.write(out, prover.lines(whose, each=tell))
    header = prover.question.header
    output.document(
        {
            "file": str(out),
            "block": header.number,
            "block_hash": header.hash,
            "subjects": reasons.total(),
            "permitted": permitted,
            "reasons": _counts(reasons),
            "uses": _counts(uses),
        }
    )
    output.say(f"Proved in {out}: {_permitting(permitted, reasons.total(), uses)}, as of block {header.number}.")
    output.say(f"It rests on that block's hash, {header.hash}.")
    return permitted


def _addresses(path: Path) -> Collection[str]:
    """The addresses of a file, an address a line; empty lines count for nothing."""
    return {account(str(path), line.strip()) for line in read_text(path).splitlines() if line.strip()}


def _cohort(
    source: DatasetOptions,
    output: Output,
    block: int | None,
    deployment: Deployment,
    asking: str,
    request: RequestOptions,
) -> tuple[Collection[str], int, str | None]:
    """Who permits it by an index or a data set, as of which block, and that block's hash where it is kept."""
    from medproof.research.cohort import Question, cohort

    with open_dataset(source, output, block=block) as dataset:
        if (dataset.chain, dataset.authority) != (deployment.chain_id, deployment.address("Authority").lower()):
            rule = f"is of {dataset.deployment}, and the deployment is another"
            raise OptionError("--index", rule, "Name the index of this deployment, or its node and --deployment.")
        found = cohort(dataset, Question(request_of(request), party=asking), block=block)
        whose = found.table.select("subject").to_pyarrow().column("subject").to_pylist()
        number, last = found.as_of.block, dataset.block
        return {*map(to_checksum_address, whose)}, number, hex_text(last.hash) if last.number == number else None


def check(file: Path, chain: ChainOptions, known: list[str]) -> None:
    """Verify evidence of consent, and say what it shows: exit code 0, or 1 with the first thing that does not hold."""
    # Here, so that the other commands run without the extra.
    from medproof.evidence.consent_file import read_lines, verify_consents

    output = Output(as_json=chain.as_json)
    meant = None if chain.deployment is None else Deployment.load(chain.deployment)
    try:
        with file.open("rb") as opened, output.counting("Verifying", "subjects") as show:
            seen = count(1)
            proved = verify_consents(read_lines(opened), known, each=lambda decided: show(next(seen)))
        if meant is not None:
            _check_deployment(proved, meant)
    except EvidenceError as error:
        output.document({"verified": False, "part": error.part, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({"verified": True, **_document(proved)})
    output.say(f"Verified: {_permitting(proved.permitted, proved.subjects, proved.uses)}.", style="green")
    if proved.study is not None and proved.state is not None:
        output.say(f"Study {hex_text(proved.study)} is {proved.state.plain}.")
    output.say(f"Asked by {_asker(proved)}: {_asked(proved)}.")
    output.say(f"On chain {proved.chain_id}, as of block {proved.block}, {time_text(proved.at)}, by")
    for name, address in proved.contracts.items():
        output.say(f"{name} {address}")
    rows = [(reason.name, f"{count:,}", explain(reason)) for reason, count in sorted(proved.reasons.items())]
    output.table(("rules say", "subjects", "which means"), rows, empty="")
    uses = [(use.name, f"{number:,}", _USES[use]) for use, number in sorted(proved.uses.items())]
    output.table(("the study", "subjects", "which means"), uses, empty="")
    if proved.cohort is not None:
        output.say(f"Those whose data it may use are cohort {hex_text(proved.cohort.id)}.")
        output.say("If it was fixed, medproof study show lists it (--json).")
    if meant is None:
        output.say("Whether those contracts are the ones that you mean, --deployment tells.")
    if not proved.known:
        output.say(f"It rests on this block: compare its hash with a node of chain {proved.chain_id}'s.")
        output.say(proved.block_hash)


def _asked(proved: ProvedConsents) -> str:
    """The request in codes; what is left out is asked for in full."""
    said = {name: value for name, value in write_request(proved.request).items() if value}
    parts = [f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in said.items()]  # type: ignore[arg-type]
    return "; ".join(parts) or "everything"


def _asker(proved: ProvedConsents) -> str:
    if proved.party is None:
        return f"{proved.account}, which acts for no active party"
    return proved.account if proved.party.id == proved.account else f"{proved.account} for party {proved.party.id}"


def _permitting(permitted: int, subjects: int, uses: Mapping[Use, int]) -> str:
    if uses:
        return f"the study may use the data of {permitted:,} of {subjects:,} subjects"
    return f"{permitted:,} of {subjects:,} subjects permit it"


def _counts(counted: Mapping[Reason, int] | Mapping[Use, int]) -> JsonObject:
    return {one.name: count for one, count in sorted(counted.items())}


def _check_deployment(proved: ProvedConsents, meant: Deployment) -> None:
    """Anyone can deploy the same code."""
    for name, address in proved.contracts.items():
        if (proved.chain_id, address) != (meant.chain_id, meant.address(name)):
            rule = f"is {address} on chain {proved.chain_id}, not the deployment's {name}"
            raise EvidenceError("contract", rule)


def _document(proved: ProvedConsents) -> JsonObject:
    return {
        "chain_id": proved.chain_id,
        "contracts": {**proved.contracts},
        "block": proved.block,
        "block_hash": proved.block_hash,
        "known": proved.known,
        "time": time_text(proved.at),
        "account": proved.account,
        "party": None if proved.party is None else proved.party.id,
        "request": write_request(proved.request),
        "subjects": proved.subjects,
        "permitted": proved.permitted,
        "reasons": _counts(proved.reasons),
        "study": None if proved.study is None else hex_text(proved.study),
        "state": None if proved.state is None else proved.state.name,
        "uses": _counts(proved.uses),
        "cohort": None if proved.cohort is None else {"id": hex_text(proved.cohort.id), **proved.cohort.to_json()},
        "root": hex_text(proved.root),
    }
