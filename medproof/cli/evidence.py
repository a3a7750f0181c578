"""`medproof research evidence`: what the registry says of many subjects, proved for whoever asks no node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
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

__all__ = ["app", "check"]

app = typer.Typer()


@app.command(
    epilog="Example: medproof research evidence 0x… --index index.db --purpose HRESCH --network sepolia --out e.jsonl"
)
@expanded
def evidence(
    actor: Annotated[str, Argument(metavar="ACTOR", help="The account that asks.", show_default=False)],
    out: Annotated[Path, Option(metavar="FILE", help="Where the evidence goes.", show_default=False)],
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
    reasons: Counter[Reason] = Counter()
    with output.progress("Proving", len(whose)) as show:

        def count(decided: ProvedDecision) -> None:
            reasons[decided.reason] += 1
            show(reasons.total())

        output.write(out, prover.lines(whose, each=count))
    header, permitted = prover.question.header, _permitted(reasons)
    output.document(
        {
            "file": str(out),
            "block": header.number,
            "block_hash": header.hash,
            "subjects": reasons.total(),
            "permitted": permitted,
            "reasons": _counts(reasons),
        }
    )
    output.say(
        f"Proved in {out}: {permitted:,} of {reasons.total():,} subjects permit it, as of block {header.number}."
    )
    output.say(f"It rests on that block's hash, {header.hash}.")
    if subjects is None and permitted != reasons.total():
        output.say("The index says that all of them do: it is not the chain's. Make it anew.", style="red")
        raise typer.Exit(ANSWER_NO)


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
            counted = Counter[str]()

            def count(decided: ProvedDecision) -> None:
                counted["subjects"] += 1
                show(counted["subjects"])

            proved = verify_consents(read_lines(opened), known, each=count)
        if meant is not None:
            _check_deployment(proved, meant)
    except EvidenceError as error:
        output.document({"verified": False, "part": error.part, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({"verified": True, **_document(proved)})
    asking = "an account that acts for no active party" if proved.party is None else f"for party {proved.party.id}"
    output.say(f"Verified: {proved.permitted:,} of {proved.subjects:,} subjects permit it.", style="green")
    output.say(f"Asked by {proved.account}, {asking}: {_asked(proved)}.")
    output.say(f"On chain {proved.chain_id}, as of block {proved.block}, {time_text(proved.at)}, by")
    for name, address in proved.contracts.items():
        output.say(f"{name} {address}")
    rows = [(reason.name, f"{count:,}", explain(reason)) for reason, count in sorted(proved.reasons.items())]
    output.table(("decision", "subjects", "which means"), rows, empty="")
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


def _permitted(reasons: Mapping[Reason, int]) -> int:
    return sum(count for reason, count in reasons.items() if reason.permits)


def _counts(reasons: Mapping[Reason, int]) -> JsonObject:
    return {reason.name: count for reason, count in sorted(reasons.items())}


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
        "root": hex_text(proved.root),
    }
