"""`medproof delegate`: who may act for a subject."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, TypeVar

import typer
from typer import Argument, Option

from medproof.cli import documents
from medproof.cli.options import ChainListOptions, ChainOptions, PeriodOptions, SendingOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.rules import moment
from medproof.cli.sending import deliver, now_on
from medproof.cli.session import account, acting, open_suite, subject
from medproof.errors import OptionError
from medproof.policy.delegation import DelegateKind, Delegation, Scope, age_out

__all__ = ["app"]

app = typer.Typer(help="Delegates: guardian, steward, health proxy.", no_args_is_help=True)

_KINDS = {kind.name.lower().replace("_", "-"): kind for kind in DelegateKind if kind is not DelegateKind.SUCCESSOR}
_SCOPES = {str(scope.name).lower(): scope for scope in Scope}
_Known = TypeVar("_Known")
Delegate = Annotated[str, Argument(metavar="DELEGATE", help="The delegate's account.", show_default=False)]


@app.command("set", epilog="Example: medproof delegate set 0x… --kind steward --scope grant,revoke --until 2030-01-01")
@expanded
def set_delegate(
    delegate: Delegate,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    period: PeriodOptions,
    kind: Annotated[str, Option(metavar="KIND", help=f"{', '.join(_KINDS)}.")],
    scope: Annotated[list[str], Option(metavar="SCOPE", help=f"{', '.join(_SCOPES)}. Repeat it, or use commas.")],
    born: Annotated[
        str | None, Option(metavar="DAY", help="Of a guardian: the ward's birthday, to end when it comes of age.")
    ] = None,
) -> None:
    """Give a delegation, or replace it."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), to = acting(who), account("DELEGATE", delegate)
    scopes = Scope.NONE
    for name in ",".join(scope).split(","):
        scopes |= _named(_SCOPES, "--scope", name)
    starts = now_on(suite) if period.starts is None else moment("--from", period.starts)
    delegation = Delegation(_named(_KINDS, "--kind", kind), scopes, starts, _end(period, born))
    message = suite.delegations.sign_delegation(by, to, delegation, subject=whose, lifetime=sending.lifetime)
    about = documents.delegation_document(to, delegation, scopes)
    names = ", ".join(map(str, documents.scope_names(scopes)))
    ends = f"until {about['valid_until']}" if about["valid_until"] else "without end"
    output.aside(f"{to} as {kind} for {whose}: {names}; {ends}.")
    deliver(suite, [message], sending, output, {"subject": whose, "delegation": about})


@app.command(epilog="Example: medproof delegate revoke 0x… --keystore me.json")
@expanded
def revoke(delegate: Delegate, who: SubjectOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Revoke a delegation, as the subject, as who gave it, or as the delegate itself."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), to = acting(who), account("DELEGATE", delegate)
    message = suite.delegations.sign_revocation(by, to, subject=whose, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"subject": whose, "delegate": to})


@app.command("list", epilog="Example: medproof delegate list --subject 0x…")
@expanded
def list_delegates(who: SubjectOptions, chain: ChainListOptions) -> None:
    """List a subject's delegates, past ones included."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose = subject(who)
    named = ("delegate", "successor")
    accounts = dict.fromkeys(
        str(event.arguments[name])
        for event in suite.delegations.history(whose)
        for name in named
        if name in event.arguments
    )
    found = []
    for one in output.each([*accounts], "Reading delegations"):
        delegation = suite.delegations.delegation(whose, one)
        if delegation is not None:
            may = suite.delegations.scopes(whose, one)
            found.append(documents.delegation_document(one, delegation, may))
    output.document({"subject": whose, "delegates": [*found]})
    output.table(
        ("delegate", "kind", "may now", "until"),
        (
            (
                str(one["delegate"]),
                str(one["kind"] or "-").replace("_", "-"),
                ", ".join(map(str, one["may_now"])) or "nothing",  # type: ignore[arg-type]
                str(one["valid_until"] or "no end"),
            )
            for one in found
        ),
        empty=f"{whose} has no delegates.",
    )


def _named(table: dict[str, _Known], option: str, name: str) -> _Known:
    if name not in table:
        raise OptionError(option, f"is {name!r}", f"Known are {', '.join(table)}.")
    return table[name]


def _end(period: PeriodOptions, born: str | None) -> datetime | None:
    if born is None:
        return None if period.until in (None, "none") else moment("--until", str(period.until))
    if period.until is not None:
        raise OptionError("--born", "stands beside --until", "Give one of them.")
    try:
        return age_out(date.fromisoformat(born))
    except ValueError:
        raise OptionError("--born", f"is {born!r}, which is no birthday", "Write 2020-01-01.") from None
