"""`medproof consent receipt`: receipts for a rule, and whether one is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from medproof.cli.options import ChainOptions, SubjectOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.session import grantee, known_block, open_suite, read_text, subject
from medproof.receipt import ConsentReceipt, issue, verify

__all__ = ["app", "check"]


class _IssueFirst(TyperGroup):
    """`receipt GRANTEE` is short for `receipt issue GRANTEE`."""

    def resolve_command(self, context: Any, arguments: list[str]) -> Any:
        """Find the command; what is none is a grantee."""
        return super().resolve_command(context, arguments if arguments[0] in self.commands else ["issue", *arguments])


app = typer.Typer(
    cls=_IssueFirst,
    help="Receipts: `receipt GRANTEE` issues one, `receipt verify` checks one.",
    no_args_is_help=True,
)


@app.command("issue", epilog="Example: medproof consent receipt 0x… --subject 0x… --out receipt.json")
@expanded
def issue_receipt(
    to: Annotated[str, Argument(metavar="GRANTEE", help="Under whom the rule stands.", show_default=False)],
    who: SubjectOptions,
    chain: ChainOptions,
    index: Annotated[int, Option(min=0, max=15, help="Which of the grantee's rules.")] = 0,
    block: Annotated[int | None, Option(min=0, help="As the rule stood at this block.")] = None,
    jurisdiction: Annotated[str | None, Option(metavar="ISO3166", help="Under which law; proven by nothing.")] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where it is written; printed otherwise.")] = None,
) -> None:
    """Issue a consent receipt for a rule (ISO/IEC TS 27560): anyone can check it against the chain."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    receipt = issue(
        suite,
        subject(who),
        grantee("GRANTEE", to),
        index=index,
        block=known_block(suite, block),
        jurisdiction=jurisdiction,
    )
    if out is None:
        output.raw(json.loads(receipt.to_json()))
        return
    output.write(out, receipt.to_json())
    output.document({"receipt_id": receipt.receipt_id, "file": str(out)})
    output.say(f"Written to {out}. {receipt.sentence}")


@app.command("verify", epilog="Example: medproof consent receipt verify receipt.json")
@expanded
def verify_receipt(
    file: Annotated[Path, Argument(metavar="FILE", help="A consent receipt.", show_default=False)],
    chain: ChainOptions,
) -> None:
    """Check a receipt against the chain: exit code 0, or 1 where it is altered or counts no more."""
    check(file, chain)


def check(file: Path, chain: ChainOptions) -> None:
    """Check a receipt and tell; leaves with exit code 1 where it does not hold."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    receipt = ConsentReceipt.from_json(read_text(file))
    found = verify(suite, receipt)
    output.document(
        {
            "receipt_id": receipt.receipt_id,
            "genuine": found.genuine,
            "in_force": found.in_force,
            "standing": found.standing.value,
            "altered": list(found.altered),
            "unproven": list(found.unproven),
            "block": found.block,
        }
    )
    if found.genuine:
        output.say(f"Genuine. Its rule is {found.standing.value}, as of block {found.block}.")
    else:
        output.say(f"Altered: the chain says otherwise of {', '.join(found.altered)}.", style="red")
    if found.unproven:
        output.say(f"The issuer states, and nothing proves, {', '.join(found.unproven)}.")
    if not found.in_force:
        raise typer.Exit(ANSWER_NO)
