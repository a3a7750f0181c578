"""`medproof verify`: whatever the project writes for strangers, verified by what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof import hashing
from medproof.cli import anchor, evidence, receipts, research_export, study_cohort
from medproof.cli.documents import time_text
from medproof.cli.options import ChainOptions, IndexOptions, expanded
from medproof.cli.output import ANSWER_NO, Output, harmless
from medproof.cli.session import open_suite
from medproof.deployments import Deployment
from medproof.errors import EvidenceError, JsonError, MerkleProofError, OptionError, UnprovedRecordError
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text
from medproof.reading_proof import ReadingProof

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.claims.audit import ProvedClaim
    from medproof.claims.steps import ProvedStep, Signed

__all__ = ["verify"]

_LONGEST = 1 << 26  # bytes
_ACCESS_LOG = b'{"promise":'  # how a line of a copy begins (medproof.access.export)
_CONSENTS = b'{"format":"medproof-consent-evidence"'  # how evidence of consent begins (medproof.evidence.consent_file)
_COHORTS = ("medproof-cohort", "medproof-cohort-membership")
_ELSEWHERE = {  # what is verified beside another file, or by more than a file
    "medproof-read-receipt": "medproof message receipt verify",
    "medproof-envelope": "medproof message open",
    "medproof-study": "medproof study show",
    "medproof-claim-case": "medproof claims audit, whose evidence a stranger verifies",
    "medproof-claim-agreement": "medproof claims settle, which sends it",
}


@expanded
def verify(
    file: Annotated[Path, Argument(metavar="FILE", help="Evidence, a consent receipt, a proof.", show_default=False)],
    chain: ChainOptions,
    block_hash: Annotated[
        list[str] | None,
        Option(metavar="HASH", help="A block that you know from elsewhere; repeat it. The evidence must rest on it."),
    ] = None,
) -> None:
    """Verify what somebody shows: exit code 0, or 1 with the first thing that does not hold. Evidence of consent or of
    a claim needs no node; for a consent receipt or a proof of a log, the chain is asked."""
    hashes = [_hash(one) for one in block_hash or []]
    if _begins(file, _CONSENTS):
        evidence.check(file, chain, hashes)
        return
    content = _read(file)
    kind = content.get("format")
    if kind == "medproof-claim-evidence":
        _evidence(file, chain, hashes)
        return
    if hashes:
        raise OptionError("--block-hash", f"is given, and {file} is no evidence that rests on it", "Leave it out.")
    if "receipt_id" in content:
        receipts.check(file, chain)
    elif kind == "medproof-export-row":
        research_export.check_row(file, chain)
    elif kind in _COHORTS:
        study_cohort.check(file, chain, IndexOptions())
    elif kind == "medproof-study-result":
        study_cohort.check_result(file, chain)
    elif {"leaf", "index", "path", "root"} <= content.keys():
        anchor.check(file, chain)
    elif content.keys() == {"reading", "leaf"} or content.keys() == {"event", "leaf"}:
        _logged(content, chain)
    elif kind in _ELSEWHERE:
        raise OptionError(str(file), "is not verified by itself", f"Use {_ELSEWHERE[str(kind)]}.")
    else:
        step = "Name evidence (medproof research evidence, claims audit), a consent receipt, or a proof of a document."
        raise OptionError(str(file), "is nothing that is known here", step)


def _logged(content: JsonObject, chain: ChainOptions) -> None:
    """A reading or a claim's event, with its place in an anchored log."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    try:
        if "reading" in content:
            batch = ReadingProof.from_json(content).verify(suite)
        else:
            # Here, so that the other commands run without the extra.
            from medproof.claims.event_log import ClaimEventProof

            batch = ClaimEventProof.from_json(content).verify_anchored(suite.batch_anchor)
    except (UnprovedRecordError, MerkleProofError) as error:
        output.document({"verified": False, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({"verified": True, "block": batch.block, "root": hex_text(batch.root)})
    output.say(f"Verified: it is in a log of {batch.size} that was anchored in block {batch.block}.", style="green")


def _begins(file: Path, start: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(start)) == start


def _read(file: Path) -> JsonObject:
    if _begins(file, _ACCESS_LOG):
        step = "Use medproof access verify, which holds it against the chain."
        raise OptionError(str(file), "is the copy of an access log", step)
    with file.open("rb") as opened:
        content = opened.read(_LONGEST + 1)
    try:
        if len(content) > _LONGEST:
            raise JsonError(f"It has more than {_LONGEST} bytes.")
        value = hashing.parse(content)
    except JsonError as error:
        raise OptionError(str(file), "is no JSON document", str(error)) from error
    return value if isinstance(value, dict) else {}


def _evidence(file: Path, chain: ChainOptions, known: list[str]) -> None:
    # Here, so that the other commands run without the extra.
    from medproof.claims.audit import ClaimEvidence

    output = Output(as_json=chain.as_json)
    meant = None if chain.deployment is None else Deployment.load(chain.deployment)
    try:
        proved = ClaimEvidence.from_json(file.read_bytes()).verify(known)
        if meant is not None:
            _check_deployment(proved, meant)
    except EvidenceError as error:
        output.document({"verified": False, "part": error.part, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({"verified": True, **_document(proved)})
    claim = proved.claim
    paid = ", and its service counts as billed by it" if proved.holds_nullifier else ", and it holds no nullifier"
    outcome = f", {proved.outcome.name.lower()}" if proved.outcome else ""
    output.say(f"Verified: claim {hex_text(claim.id)} is {proved.status.name.lower()}{outcome}{paid}.", style="green")
    output.say(f"On chain {proved.chain_id}, in {proved.contract}, as of block {proved.block}, {time_text(proved.at)}.")
    output.table(("when", "step", "agreed to by"), (_step_row(step) for step in proved.steps), empty="")
    _say_rules(output, proved)
    for name, fields in (("Of the claim", proved.disclosed), ("Of the response", proved.answered)):
        for path, value in fields.items():
            output.say(f"{name}: {path} is {harmless(hashing.canonical(value).decode())}.")
    for entry in proved.logged:
        event, leaf = entry.event, entry.leaf
        place = f"entry {leaf.index} of {leaf.size} in log {leaf.log}"
        output.say(f"Logged as {event.step} by {leaf.publisher} in {leaf.anchor}: {place}.")
    if proved.recomputed is not None:
        comes_out = "gives just what is shown" if proved.recomputed else "does NOT give what is shown"
        output.say(f"The plan, for the year's first claim, {comes_out} of the response.")
    if meant is None:
        contracts = "those contracts are the ones" if proved.logged else "that contract is the one"
        output.say(f"Whether {contracts} that you mean, --deployment tells.")
    unknown = [hashed for hashed, is_known in proved.blocks.items() if not is_known]
    if unknown:
        output.say(f"It rests on these blocks: compare their hashes with a node of chain {proved.chain_id}'s.")
        for hashed in unknown:
            output.say(hashed)


def _check_deployment(proved: ProvedClaim, meant: Deployment) -> None:
    """Anyone can deploy a contract that holds or emits whatever it likes."""
    logs = [("log", one.leaf.anchor, one.leaf.chain_id, "BatchAnchor") for one in proved.logged]
    for part, address, chain_id, name in (("contract", proved.contract, proved.chain_id, "ClaimAnchor"), *logs):
        if (chain_id, address) != (meant.chain_id, meant.address(name)):
            raise EvidenceError(part, f"is {address} on chain {chain_id}, not the deployment's {name}")


def _say_rules(output: Output, proved: ProvedClaim) -> None:
    rules = proved.rules
    until = "" if rules.valid_until is None else f" until before {rules.valid_until}"
    output.say(f"Rules {rules.number}, hash {hex_text(rules.hash)}, govern services from {rules.valid_from}{until}.")
    output.say(
        {
            True: "They were in force on the day of service.",
            False: "They were NOT in force on the day of service.",
            None: "Whether they were in force on the day of service is not shown.",
        }[rules.in_force]
    )


def _step_row(step: ProvedStep) -> tuple[str, str, str]:
    by = ", ".join(_signed(one) for one in step.signed)
    return time_text(step.at), step.event, by or f"with others in one call, sent by {step.sender}"


def _signed(one: Signed) -> str:
    by = "" if one.account == one.party else f" by {one.account or 'its contract wallet'}"
    return f"{one.role} {one.party}{by}"


def _document(proved: ProvedClaim) -> JsonObject:
    rules = proved.rules
    return {
        "claim": hex_text(proved.claim.id),
        "chain_id": proved.chain_id,
        "contract": proved.contract,
        "block": proved.block,
        "time": time_text(proved.at),
        "status": proved.status.name.lower(),
        "outcome": proved.outcome.name.lower() if proved.outcome else None,
        "paid": proved.paid,
        "holds_nullifier": proved.holds_nullifier,
        "response": None if proved.response is None else hex_text(proved.response),
        "steps": [
            {
                "event": step.event,
                "time": time_text(step.at),
                "block": step.block,
                "transaction": step.transaction,
                "sender": step.sender,
                "agreed": [{"role": one.role, "party": one.party, "account": one.account} for one in step.signed],
            }
            for step in proved.steps
        ],
        "rules": {
            "number": rules.number,
            "hash": hex_text(rules.hash),
            "valid_from": rules.valid_from.isoformat(),
            "valid_until": None if rules.valid_until is None else rules.valid_until.isoformat(),
            "in_force": rules.in_force,
        },
        "disclosed": dict(proved.disclosed),
        "answered": dict(proved.answered),
        "recomputed": proved.recomputed,
        "logged": [one.to_json() for one in proved.logged],
        "blocks": [{"hash": hashed, "known": is_known} for hashed, is_known in proved.blocks.items()],
    }


def _hash(text: str) -> str:
    if not text.startswith("0x") or len(text) != 66:
        raise OptionError("--block-hash", f"is {text!r}, which is no hash", "Give 0x and 64 hexadecimal digits.")
    return text
