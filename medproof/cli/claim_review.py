"""`medproof claims flags`: claims that look alike, flagged for their payer to decide."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from typer import Option, Typer

from medproof.cli.cases import CaseFile, all_cases, change_case, load_case, on_this_chain
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import tell_done
from medproof.cli.session import identity, open_suite, party, read_text
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, FlagStatus
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text

__all__ = ["app"]

app = Typer()


@app.command(epilog="Example: medproof claims flags --payer 0x… --raised")
@expanded
def flags(
    chain: ChainOptions,
    payer: Annotated[str | None, Option(metavar="ADDRESS", help="Those for this payer to decide.")] = None,
    raised: Annotated[bool, Option("--raised", help="Only those that nobody has decided yet.")] = False,
    cases: Annotated[
        list[Path] | None, Option("--case", metavar="CASE", help="Name the claims by these cases, or a folder of them.")
    ] = None,
) -> None:
    """Show the review queue: claims that share a soft key, and what their payer decided."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    names = {claim.id: str(path) for path, claim in _known(suite, cases or ())}
    filters = None if payer is None else {"payer": identity(suite, "--payer", payer)}
    rows: list[JsonObject] = []
    for event in output.each(list(suite.claim_anchor.events("ClaimsFlagged", filters=filters)), "Asking"):
        pair = [bytes(event.arguments[name]) for name in ("earlier", "later")]
        status = suite.claim_anchor.flag_status(*pair)
        if raised and status is not FlagStatus.RAISED:
            continue
        row: JsonObject = {"status": status.name.lower(), "by": event.arguments["by"], "block": event.block}
        for name, claim in zip(("earlier", "later"), pair, strict=True):
            row |= {name: hex_text(claim), f"{name}_case": names.get(claim)}
        rows.append({**row, "payer": event.arguments["payer"]})
    output.document({"flags": [*rows]})
    output.table(
        ("status", "earlier", "later", "payer", "flagged by"),
        (
            (
                str(row["status"]),
                str(row["earlier_case"] or row["earlier"]),
                str(row["later_case"] or row["later"]),
                str(row["payer"]),
                str(row["by"]),
            )
            for row in rows
        ),
        empty="No flags.",
    )


@app.command(epilog="Example: medproof claims flag first.case second.case --keystore payer.json")
@expanded
def flag(
    earlier: CaseFile,
    later: CaseFile,
    who: KeyOptions,
    chain: ChainOptions,
) -> None:
    """Flag two claims that share a soft key, as any active party; it stops neither of them."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(who)
    first, second = (_claim(suite, path) for path in (earlier, later))
    stands = suite.claim_anchor.flag_status(first.id, second.id)
    receipt = None
    if stands is FlagStatus.NONE:
        receipt = suite.claim_anchor.flag(first, second, identity(suite, "--keystore", by.address), sender=by)
    about: JsonObject = {"earlier": hex_text(first.id), "later": hex_text(second.id)}
    said = "Flagged" if receipt is not None else f"Flagged already: {stands.name.lower()}"
    tell_done(output, about, receipt, said)


@app.command(epilog="Example: medproof claims review first.case second.case --clear --reason why.txt --keystore p.json")
@expanded
def review(
    earlier: CaseFile,
    later: CaseFile,
    who: KeyOptions,
    chain: ChainOptions,
    cleared: Annotated[bool, Option("--clear/--confirm", help="What the payer decides.", show_default=False)],
    reason: Annotated[Path, Option(metavar="FILE", help="The text of why; its salted hash goes on chain.")],
) -> None:
    """Decide a flag, once, as the later claim's payer."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(who)
    first, second = (_claim(suite, path) for path in (earlier, later))
    decision = FlagStatus.CLEARED if cleared else FlagStatus.CONFIRMED
    about: JsonObject = {"earlier": hex_text(first.id), "later": hex_text(second.id), "decision": decision.name.lower()}
    if suite.claim_anchor.flag_status(first.id, second.id) is decision:
        tell_done(output, about, None, f"{decision.name.capitalize()} already")
        return
    said = read_text(reason)
    paper = change_case(later, lambda held: held.with_paper("review", said)).paper("review", said)
    receipt = suite.claim_anchor.decide_flag(first.id, second, decision, paper.commitment, sender=by)
    tell_done(output, about, receipt, decision.name.capitalize())


def _claim(suite: MedProof, path: Path) -> AnchoredClaim:
    return on_this_chain(suite, path, load_case(path)).anchored().claim


def _known(suite: MedProof, cases: Iterable[Path]) -> list[tuple[Path, AnchoredClaim]]:
    """The claims of cases that are on the chain."""
    found = []
    for path in all_cases([*cases]):
        held = load_case(path)
        if held.anchor is not None:
            found.append((path, on_this_chain(suite, path, held).anchored().claim))
    return found
