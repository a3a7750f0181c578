"""`medproof emergency`: opening a record without consent, and what the subject says of it afterwards."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli import documents
from medproof.cli.options import ChainListOptions, ChainOptions, KeyOptions, SendingOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import deliver
from medproof.cli.session import account, acting, open_suite, party, subject
from medproof.errors import OptionError
from medproof.hashing import JsonObject
from medproof.policy.emergency import OverrideReason, Review

__all__ = ["app"]

app = typer.Typer(help="Break-glass: open a record in an emergency, list and review openings.", no_args_is_help=True)

_HASH = re.compile("0x[0-9a-fA-F]{64}")
_REASONS = ", ".join(f"{reason.code} ({reason.display})" for reason in OverrideReason)
Hash = Annotated[str | None, Option(metavar="HASH", help="Salted hash of the text behind it, 0x and 64 digits.")]


@app.command("open", epilog="Example: medproof emergency open 0x… --reason OVRER --keystore clinic.json")
@expanded
def open_record(
    of: Annotated[str, Argument(metavar="SUBJECT", help="Whose record.", show_default=False)],
    who: KeyOptions,
    chain: ChainOptions,
    reason: Annotated[str, Option(metavar="CODE", help=f"{_REASONS}.")],
    minutes: Annotated[int, Option(min=1, max=65535, help="For how long.")] = 240,
    justification: Hash = None,
) -> None:
    """Open a subject's record as a party of emergency care, which sends it itself; everybody sees it at once."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    opening = suite.consent_registry.break_glass(
        account("SUBJECT", of),
        OverrideReason.from_code(reason),
        duration=timedelta(minutes=minutes),
        justification=_hash("--justification", justification),
        sender=party(who),
    )
    output.document(documents.opening_document(opening))
    output.say(f"Opening {opening.number}, until {documents.time_text(opening.until)}. The subject will review it.")


@app.command(epilog="Example: medproof emergency review 1 --dispute --wallet seed.txt --custodian 0x…")
@expanded
def review(
    number: Annotated[int, Argument(min=1, max=2**32, metavar="NUMBER", help="The opening's.", show_default=False)],
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    dispute: Annotated[bool, Option("--dispute/--acknowledge", help="Whether it was wrong.", show_default=False)],
    remark: Hash = None,
) -> None:
    """Say what the subject thinks of an opening; it may only become graver."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    said = Review.DISPUTED if dispute else Review.ACKNOWLEDGED
    message = suite.consent_registry.sign_review(
        by, number, said, remark=_hash("--remark", remark), subject=whose, lifetime=sending.lifetime
    )
    about: JsonObject = {"subject": whose, "number": number, "review": said.name.lower()}
    deliver(suite, [message], sending, output, about)


@app.command("list", epilog="Example: medproof emergency list --subject 0x…")
@expanded
def list_openings(who: SubjectOptions, chain: ChainListOptions) -> None:
    """List the openings of a subject's record."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose = subject(who)
    openings = suite.consent_registry.openings(whose)
    output.document({"subject": whose, "openings": [documents.opening_document(one) for one in openings]})
    output.table(
        ("number", "party", "opened", "until", "because of", "review"),
        (
            (
                str(one.number),
                one.party,
                documents.time_text(one.opened),
                documents.time_text(one.until),
                one.reason.plain,
                one.review.name.lower(),
            )
            for one in openings
        ),
        empty=f"Nobody ever opened the record of {whose} in an emergency.",
    )


def _hash(option: str, text: str | None) -> bytes:
    if text is None:
        return bytes(32)
    if not _HASH.fullmatch(text):
        raise OptionError(option, "is no hash", "Give 0x and 64 hexadecimal digits, and keep the text yourself.")
    return bytes.fromhex(text[2:])
