"""`medproof party`: who takes part, as the authority accredits it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli import documents
from medproof.cli.credential import CredentialOptions, commitment
from medproof.cli.options import ChainListOptions, ChainOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import day
from medproof.cli.sending import tell_done
from medproof.cli.session import account, identity, open_suite, party
from medproof.client import MedProof
from medproof.client.registrar import Party
from medproof.errors import OptionError
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import PartyKind

__all__ = ["app"]

app = typer.Typer(help="Parties: who is accredited, as what, until when.", no_args_is_help=True)

_KINDS = {str(kind.code): kind for kind in PartyKind}

Named = Annotated[
    str, Argument(metavar="PARTY", help="Its identity, or the account that acts for it.", show_default=False)
]
LastDay = Annotated[str, Option(metavar="DAY", help="The last day of its accreditation, such as 2030-12-31.")]


# -- accreditation, as the authority -----------------------------------------------------------------------------


@app.command(
    epilog="Example: medproof party accredit 0x… --kind provider --last-day 2030-12-31 --credential certificate.pdf "
    "--keystore authority.json"
)
@expanded
def accredit(
    account_: Annotated[str, Argument(metavar="ACCOUNT", help="A fresh account of its own.", show_default=False)],
    authority: KeyOptions,
    checked: CredentialOptions,
    chain: ChainOptions,
    kind: Annotated[str, Option(metavar="KIND", help=f"{', '.join(_KINDS)}.")],
    last_day: LastDay,
) -> None:
    """Accredit a party under an account, which becomes its identity. The same again changes nothing."""
    output, suite, of = Output(as_json=chain.as_json), open_suite(chain), account("ACCOUNT", account_)
    if kind not in _KINDS:
        raise OptionError("--kind", f"is {kind!r}", f"Known are {', '.join(_KINDS)}.")
    until, by = day("--last-day", last_day), party(authority)
    credential, stored = commitment(checked, output), suite.registrar.party(of)
    receipt = None
    if stored is None:
        receipt = suite.registrar.accredit(of, _KINDS[kind], credential=credential, valid_until=until, sender=by)
    elif (stored.id, stored.kind) != (of, _KINDS[kind]) or not _stands(suite, stored, credential, until):
        rule = f"is accredited already: {stored.kind.code} until {stored.valid_until}, as {stored.id}"
        raise OptionError(of, rule, "Renew it with medproof party renew; a kind never changes.")
    already = " already" if receipt is None else ""
    said = f"{of} is accredited{already} as {kind}, until {until}"
    tell_done(output, _accreditation(of, kind, until, credential), receipt, said)


@app.command(
    epilog="Example: medproof party renew 0x… --last-day 2035-12-31 --credential new.pdf --keystore authority.json"
)
@expanded
def renew(
    named: Named, authority: KeyOptions, checked: CredentialOptions, chain: ChainOptions, last_day: LastDay
) -> None:
    """Renew an accreditation under a newly checked credential."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    of, until, by = identity(suite, "PARTY", named), day("--last-day", last_day), party(authority)
    credential, stored = commitment(checked, output), _stored(suite, of)
    stands = stored is not None and _stands(suite, stored, credential, until)
    receipt = None if stands else suite.registrar.renew(of, credential=credential, valid_until=until, sender=by)
    kind = str(stored.kind.code) if stored is not None else ""
    said = f"{of} is accredited{' already' if stands else ''} until {until}"
    tell_done(output, _accreditation(of, kind, until, credential), receipt, said)


@app.command(epilog="Example: medproof party suspend 0x… --keystore authority.json")
@expanded
def suspend(named: Named, authority: KeyOptions, chain: ChainOptions) -> None:
    """Suspend a party: from the next block on it has no access and takes no step."""
    _suspend(named, authority, chain, wanted=True)


@app.command(epilog="Example: medproof party reinstate 0x… --keystore authority.json")
@expanded
def reinstate(named: Named, authority: KeyOptions, chain: ChainOptions) -> None:
    """Reinstate a suspended party."""
    _suspend(named, authority, chain, wanted=False)


@app.command(epilog="Example: medproof party remove 0x… --yes --keystore authority.json")
@expanded
def remove(
    named: Named,
    authority: KeyOptions,
    chain: ChainOptions,
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a party for good: its identity is never given again."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    of, by, receipt = identity(suite, "PARTY", named), party(authority), None
    gone = _stored(suite, of) is None and of in suite.registrar.parties()
    if not gone:
        if not yes:
            output.confirm(f"Remove {of} for good? Suspending it can be taken back.")
        receipt = suite.registrar.remove(of, sender=by)
    tell_done(output, {"party": of}, receipt, f"{of} was removed before" if gone else f"{of} is removed for good")


# -- asking ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof party show 0x…")
@expanded
def show(named: Named, chain: ChainOptions) -> None:
    """Show a party by its identity or account: exit code 1 where there is none, or it is not active."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    of = identity(suite, "PARTY", named)
    if _stored(suite, of) is None and of not in suite.registrar.parties():
        output.document({"party": of, "state": "unknown"})
        output.say(f"{of} is no party, and acts for none.")
        raise typer.Exit(ANSWER_NO)
    document = {**_party(suite, of, _today(suite)), **_details(suite, of)}
    output.document(document)
    rows = ((name.replace("_", " "), _cell(value)) for name, value in document.items() if name != "party")
    output.table(("party", of), rows, empty="")
    if document["state"] != "active":
        raise typer.Exit(ANSWER_NO)


@app.command("list", epilog="Example: medproof party list --network sepolia")
@expanded
def list_parties(chain: ChainListOptions) -> None:
    """List all parties ever accredited, oldest first."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    today = _today(suite)
    found = [_party(suite, one, today) for one in output.each(suite.registrar.parties(), "Reading parties")]
    output.document({"parties": [*found]})
    columns = ("party", "kind", "state", "valid_until", "groups")
    output.table(
        [*(name.replace("_", " ") for name in columns), "other account"],
        (
            [*(_cell(one[name]) for name in columns), "" if one["account"] == one["party"] else _cell(one["account"])]
            for one in found
        ),
        empty="Nobody is accredited yet: medproof party accredit.",
    )


# -- helpers -----------------------------------------------------------------------------------------------------


def _suspend(named: str, authority: KeyOptions, chain: ChainOptions, *, wanted: bool) -> None:
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    of, by = identity(suite, "PARTY", named), party(authority)
    stored = _stored(suite, of)
    act = suite.registrar.suspend if wanted else suite.registrar.reinstate
    receipt = None if stored is not None and stored.suspended == wanted else act(of, sender=by)
    before = "" if receipt is not None else " already" if wanted else " not"
    said = f"{of} is{before} suspended" if wanted or receipt is None else f"{of} is reinstated"
    tell_done(output, {"party": of, "suspended": wanted}, receipt, said)


def _stored(suite: MedProof, of: str) -> Party | None:
    """A party by its identity; None where there never was one, or it was removed."""
    return suite.registrar.party(suite.registrar.account_of(of) or of)


def _stands(suite: MedProof, stored: Party, credential: bytes, until: date) -> bool:
    return stored.valid_until == until and suite.registrar.credential_of(stored.id) == credential


def _today(suite: MedProof) -> date:
    return datetime.fromtimestamp(suite.chain.timestamp(), UTC).date()


def _accreditation(of: str, kind: str, until: date, credential: bytes) -> JsonObject:
    return {"party": of, "kind": kind, "valid_until": until.isoformat(), "credential": f"0x{credential.hex()}"}


def _party(suite: MedProof, of: str, today: date) -> JsonObject:
    """A party as it stands; of one that was removed nothing is left."""
    acting, stored = suite.registrar.account_of(of), _stored(suite, of)
    if stored is None:
        return {"party": of, "kind": None, "state": "removed", "valid_until": None, "groups": [], "account": None}
    lapsed = stored.valid_until < today
    return {
        "party": of,
        "kind": stored.kind.code,
        "state": "suspended" if stored.suspended else "lapsed" if lapsed else "active",
        "valid_until": stored.valid_until.isoformat(),
        "groups": [*stored.groups],
        "account": acting,
    }


def _details(suite: MedProof, of: str) -> JsonObject:
    """What only `show` tells."""
    credential, key = suite.registrar.credential_of(of), suite.registrar.encryption_key(of)
    change = suite.registrar.account_change_of(of)
    return {
        "credential": f"0x{credential.hex()}" if any(credential) else None,
        "encryption_key": None if key is None else f"0x{key.hex()}",
        "account_offered_to": None if change is None else change.to,
        "account_ready_at": (
            documents.time_text(datetime.fromtimestamp(change.ready_at, UTC)) if change and change.recovery else None
        ),
    }


def _cell(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "-")
