"""`medproof consent list` and `history`: what stands for a subject, and how it came to be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from typer import Option

from medproof.cli import documents
from medproof.cli.options import ChainListOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import now_on
from medproof.cli.session import open_suite, subject
from medproof.client import MedProof
from medproof.client.registrar import grantee_name
from medproof.decoding import Event
from medproof.hashing import JsonObject
from medproof.policy.emergency import Review
from medproof.policy.sentence import describe
from medproof.policy.word import Rule, decode
from medproof.receipt import author

__all__ = ["app", "rules_of"]

app = typer.Typer()


@app.command("list", epilog="Example: medproof consent list --subject 0x…")
@expanded
def list_rules(
    who: SubjectOptions,
    chain: ChainListOptions,
    revoked: Annotated[bool, Option("--revoked", help="Show revoked rules, too.")] = False,
) -> None:
    """List a subject's rules by grantee."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose, now = subject(who), now_on(suite)
    found = [(one, rule) for one, rule in rules_of(suite, whose, output) if revoked or not rule.revoked]
    output.document(
        {
            "subject": whose,
            "rules": [
                {**documents.rule_document(one, rule), "state": documents.rule_state(rule, now)} for one, rule in found
            ],
        }
    )
    output.table(
        ("grantee", "rule", "state", "what it says"),
        (
            (
                grantee_name(one),
                str(rule.index),
                documents.rule_state(rule, now),
                describe(rule, grantee=grantee_name(one)),
            )
            for one, rule in found
        ),
        empty=f"{whose} has no rules.",
    )


@app.command(epilog="Example: medproof consent history --wallet seed.txt --custodian 0x…")
@expanded
def history(who: SubjectOptions, chain: ChainListOptions) -> None:
    """Show all that was done to a subject's rules and in emergencies, and by whom."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose = subject(who)
    acts = _acts(suite, whose, output)
    output.document({"subject": whose, "acts": [*acts]})
    output.table(
        ("when", "act", "by", "what"),
        ((str(act["time"]), str(act["act"]), str(act["by"]), str(act["what"])) for act in acts),
        empty=f"Nothing was ever done for {whose}.",
    )


def rules_of(suite: MedProof, whose: str, output: Output) -> list[tuple[str, Rule]]:
    """All rules of a subject, tombstones included, by grantee as it was first named."""
    grantees = list(dict.fromkeys(str(event.arguments["grantee"]) for event in suite.consent_registry.history(whose)))
    return [
        (one, rule)
        for one in output.each(grantees, "Reading rules")
        for rule in suite.consent_registry.rules(whose, one)
    ]


def _acts(suite: MedProof, whose: str, output: Output) -> list[JsonObject]:
    registry = suite.consent_registry
    events = [*registry.history(whose), *registry.opening_history(whose)]
    events.sort(key=lambda event: (event.block, event.index))
    times: dict[int, datetime] = {}
    standing: dict[tuple[str, int], Rule] = {}
    acts = []
    for event in output.each(events, "Reading the history"):
        if event.block not in times:
            times[event.block] = datetime.fromtimestamp(suite.chain.timestamp(event.block), UTC)
        act = _of_rule(suite, event, standing) if "word" in event.arguments else _of_opening(suite, event)
        if act is not None:
            place: JsonObject = {"block": event.block, "transaction": event.transaction}
            acts.append({"time": documents.time_text(times[event.block]), **act, **place})
    return acts


def _of_rule(suite: MedProof, event: Event, standing: dict[tuple[str, int], Rule]) -> JsonObject | None:
    """What happened to a rule; nothing where a further rule only marked it as followed."""
    grantee, rule = str(event.arguments["grantee"]), decode(int(event.arguments["word"]))
    before = standing.get((grantee, rule.index))
    standing[grantee, rule.index] = rule
    if before is not None and before.sequence == rule.sequence:
        return None
    anew = before is None or before.revoked
    return {
        "act": "revoked" if rule.revoked else "granted" if anew else "changed",
        "by": author(_events_around(suite, event), event),
        "what": describe(rule, grantee=grantee_name(grantee)),
        "rule": documents.rule_document(grantee, rule),
    }


def _of_opening(suite: MedProof, event: Event) -> JsonObject:
    said = event.arguments
    if event.name == "GlassBroken":
        opening = suite.consent_registry.opening(str(said["subject"]), int(said["number"]))
        what = f"opening {opening.number}, because of {opening.reason.plain}"
        return {"act": "opened", "by": opening.party, "what": what, "opening": opening.number}
    what = f"opening {said['number']}, {Review(said['review']).name.lower()}"
    before = next((one for one in _events_around(suite, event) if one.index == event.index - 1), None)
    delegated = before is not None and before.name == "DelegateActed"
    by = str(before.arguments["delegate"]) if before and delegated else str(said["subject"])
    return {"act": "reviewed", "by": by, "what": what, "opening": int(said["number"])}


def _events_around(suite: MedProof, event: Event) -> tuple[Event, ...]:
    """The registry's events in an event's transaction."""
    found = suite.chain.receipt(event.transaction)
    return () if found is None else found.events(suite.consent_registry.contract)
