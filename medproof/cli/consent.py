"""`medproof consent`: a subject's rules, and whether a request is permitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli import documents
from medproof.cli.options import (
    ChainOptions,
    RequestOptions,
    RuleOptions,
    SendingOptions,
    SubjectOptions,
    expanded,
)
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import changed_rule, new_rule, request_of, same_rule, widened
from medproof.cli.sending import deliver, now_on
from medproof.cli.session import account, acting, grantee, known_block, open_suite, subject
from medproof.client import MedProof
from medproof.client.consent_registry import Decision
from medproof.client.registrar import grantee_name
from medproof.hashing import JsonObject
from medproof.policy.explanation import explain as explanation
from medproof.policy.request_json import write_request
from medproof.policy.sentence import describe
from medproof.policy.word import Request, Rule

__all__ = ["app"]

app = typer.Typer(help="Consent: give, change, withdraw, ask, move between systems.", no_args_is_help=True)

Grantee = Annotated[
    str,
    Argument(metavar="GRANTEE", help="A party's address, `everyone`, `emergency`, or `group:7`.", show_default=False),
]
Actor = Annotated[str, Argument(metavar="ACTOR", help="The account that asks.", show_default=False)]
Index = Annotated[int, Option(min=0, max=15, help="Which of the grantee's rules.")]


@app.command(epilog="Example: medproof consent grant 0x… --purpose TREAT --class laboratory --until 2030-01-01")
@expanded
def grant(
    to: Grantee,
    rule: RuleOptions,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    index: Index = 0,
) -> None:
    """Permit or, with --deny, refuse. Granting what stands already changes nothing."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), recipient = acting(who), grantee("GRANTEE", to)
    wanted = new_rule(rule, index=index, now=now_on(suite))
    stored = suite.consent_registry.rule(whose, recipient, index=index)
    if stored is not None and same_rule(stored, wanted, begins_now=rule.starts is None):
        _tell_unchanged(output, whose, recipient, stored, "This stands already.")
        return
    message = suite.consent_registry.sign_grant(by, recipient, wanted, subject=whose, lifetime=sending.lifetime)
    _tell_rule(output, recipient, wanted, notes := widened(rule))
    about = _about(whose, recipient, replace(wanted, sequence=stored.sequence + 1 if stored else 1), notes)
    deliver(suite, [message], sending, output, about)


@app.command(epilog="Example: medproof consent change 0x… --until 2031-01-01")
@expanded
def change(
    to: Grantee,
    rule: RuleOptions,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    index: Index = 0,
) -> None:
    """Change a rule: what is given replaces what the rule says, the rest stays."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), recipient = acting(who), grantee("GRANTEE", to)
    stored = suite.consent_registry.rule(whose, recipient, index=index)
    wanted = changed_rule(stored or new_rule(rule, index=index, now=now_on(suite)), rule)
    if stored is not None and same_rule(stored, wanted, begins_now=False):
        _tell_unchanged(output, whose, recipient, stored, "It says so already.")
        return
    message = suite.consent_registry.sign_change(by, recipient, wanted, subject=whose, lifetime=sending.lifetime)
    _tell_rule(output, recipient, wanted, notes := widened(rule))
    deliver(suite, [message], sending, output, _about(whose, recipient, _following(wanted), notes))


@app.command(epilog="Example: medproof consent revoke 0x… --wallet seed.txt --custodian 0x…")
@expanded
def revoke(
    to: Grantee,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    index: Index = 0,
    sequence: Annotated[
        int | None,
        Option(
            min=1, max=65535, help="What to overtake: above all that was signed. For a rule that is still on its way."
        ),
    ] = None,
) -> None:
    """Revoke a rule. What was signed for it and not sent counts no more."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), recipient = acting(who), grantee("GRANTEE", to)
    stored = suite.consent_registry.rule(whose, recipient, index=index)
    if sequence is None and stored is not None and stored.revoked:
        output.document({"subject": whose, "rule": documents.rule_document(recipient, stored), "unchanged": True})
        output.say("It is revoked already.")
        return
    message = suite.consent_registry.sign_revocation(
        by, recipient, index=index, sequence=sequence, subject=whose, lifetime=sending.lifetime
    )
    about: JsonObject = {"subject": whose, "grantee": recipient, "index": index}
    deliver(suite, [message], sending, output, about)


@app.command(epilog="Example: medproof consent withdraw --keystore me.json --yes")
@expanded
def withdraw(
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deny everyone everything, for good: for a pseudonym that is given up, or whose key was stolen."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    if not yes:
        output.confirm(f"Deny everyone everything for {whose}? Nobody can ever change that again.")
    message = suite.consent_registry.sign_withdrawal(by, subject=whose, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"subject": whose})


# -- asking ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof consent check 0x… --subject 0x… --purpose TREAT --class laboratory")
@expanded
def check(
    actor: Actor,
    request: RequestOptions,
    who: SubjectOptions,
    chain: ChainOptions,
    block: Annotated[int | None, Option(min=0, help="As of this block.")] = None,
) -> None:
    """Whether a request is permitted: exit code 0, or 1 where it is not. What is left out asks for all of it."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    decision = _decide(suite, output, who, actor, request_of(request), block)
    output.say("Permitted" if decision.permitted else "Refused", style="green" if decision.permitted else "red")
    output.say(f"{decision.reason.name}, as of block {decision.block}.")
    if not decision.permitted:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof consent explain 0x… --subject 0x… --purpose HRESCH --class genomics")
@expanded
def explain(
    actor: Actor,
    request: RequestOptions,
    who: SubjectOptions,
    chain: ChainOptions,
    block: Annotated[int | None, Option(min=0, help="As of this block.")] = None,
) -> None:
    """Say in plain words why a request is or is not permitted."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    wanted = request_of(request)
    decision = _decide(suite, output, who, actor, wanted, block)
    output.say("Permitted" if decision.permitted else "Refused", style="green" if decision.permitted else "red")
    output.say(explanation(decision.reason, decision.rule, wanted))
    if decision.rule is not None and decision.grantee is not None:
        output.say(f"The rule: {describe(decision.rule, grantee=grantee_name(decision.grantee))}")


def _decide(
    suite: MedProof, output: Output, who: SubjectOptions, actor: str, request: Request, block: int | None
) -> Decision:
    """Ask the contract, and print the document of its answer."""
    whose, asking = subject(who), account("ACTOR", actor)
    decision = suite.consent_registry.decide(whose, asking, request, block=known_block(suite, block))
    found = decision.rule is not None and decision.grantee is not None
    output.document(
        {
            "subject": whose,
            "actor": asking,
            "request": write_request(request),
            "permitted": decision.permitted,
            "reason": decision.reason.name,
            "explanation": explanation(decision.reason, decision.rule, request),
            "rule": documents.rule_document(decision.grantee, decision.rule) if found else None,  # type: ignore[arg-type]
            "block": decision.block,
        }
    )
    return decision


# -- helpers -----------------------------------------------------------------------------------------------------


def _tell_rule(output: Output, recipient: str, rule: Rule, notes: list[str]) -> None:
    output.aside(describe(rule, grantee=grantee_name(recipient)))
    for note in notes:
        output.aside(f"Note: {note}")


def _tell_unchanged(output: Output, whose: str, recipient: str, stored: Rule, said: str) -> None:
    output.document({"subject": whose, "rule": documents.rule_document(recipient, stored), "unchanged": True})
    output.say(f"{said} {describe(stored, grantee=grantee_name(recipient))}")


def _following(rule: Rule) -> Rule:
    return replace(rule, sequence=rule.sequence + 1)


def _about(whose: str, recipient: str, rule: Rule, notes: list[str]) -> JsonObject:
    return {"subject": whose, "rule": documents.rule_document(recipient, rule), "notes": list(notes)}
