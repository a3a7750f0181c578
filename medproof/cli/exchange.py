"""`medproof consent import` and `export`: FHIR Consents as rules, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof import fhir
from medproof.cli import documents
from medproof.cli.listing import rules_of
from medproof.cli.options import ChainOptions, RelayOptions, SendingOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.rules import same_rule
from medproof.cli.sending import deliver
from medproof.cli.session import acting, grantee, open_suite, read_text, sender, subject
from medproof.client import MedProof
from medproof.client.registrar import grantee_name
from medproof.contract_errors import AccessManagedUnauthorized
from medproof.errors import OptionError, PolicyDocumentError, RuleStateError, TermsUnpublishedError
from medproof.fhir.consent import MOST_RULES, CompiledConsent
from medproof.hashing import JsonObject
from medproof.policy.document import PolicyDocument
from medproof.policy.sentence import describe
from medproof.policy.word import Rule

__all__ = ["app"]

app = typer.Typer()

Parties = Annotated[
    list[str] | None,
    Option(
        "--party", metavar="REFERENCE=ACCOUNT", help="Who a reference is, such as Organization/f001=0x…. Repeat it."
    ),
]
Document = Annotated[
    Path | None, Option("--document", metavar="FILE", help="The policy document: what no rule word holds.")
]


class Root(StrEnum):
    """What a root provision does that does not say it."""

    PERMIT = "permit"
    DENY = "deny"


@app.command(
    "import", epilog="Example: medproof consent import consent.json --party Organization/f001=0x… --relay-as r.json"
)
@expanded
def import_consent(
    file: Annotated[Path, Argument(metavar="FILE", help="A FHIR R4 Consent as JSON.", show_default=False)],
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    party: Parties = None,
    custodian_reference: Annotated[
        str | None, Option(metavar="REFERENCE", help="The custodian, as the consent refers to it.")
    ] = None,
    root: Annotated[Root | None, Option(help="What a root provision does that does not say it.")] = None,
    document: Document = None,
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Compile a FHIR Consent to rules, show them, and grant them all in one batch or none."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    compiled = fhir.compile_consent(
        file,
        grantees=dict(_parties(party)),
        custodian=custodian_reference,
        root=None if root is None else root.value,
        salt=None if document is None or not document.exists() else _read_document(document).salt,
    )
    _tell(output, compiled)
    if compiled.document is not None and document is None:
        step = "Name a file for the policy document: the custodian decides by it, and the rules alone are too wide."
        raise OptionError("--document", "is missing, and the consent says more than rules hold", step)
    if not yes:
        output.confirm(f"Grant {len(compiled.drafts)} rule(s) for {whose}?")
    compiled = _published(suite, compiled, document, sending, output)
    rules = list(_to_grant(suite, whose, compiled.rules))
    about: JsonObject = {
        "subject": whose,
        "rules": [documents.rule_document(to, rule) for to, rule in rules],
        "bounds": [{"path": bound.path, "word": bound.word, "document": bound.document} for bound in compiled.bounds],
        "document": None if compiled.document is None else "0x" + compiled.document.hash.hex(),
    }
    if not rules:
        output.document({**about, "unchanged": True})
        output.say("All of it stands already.")
        return
    sign = suite.consent_registry.sign_grant
    messages = [
        sign(by, to, rule, subject=whose, lifetime=sending.lifetime) for to, rule in output.each(rules, "Signing")
    ]
    deliver(suite, messages, sending, output, about)


@app.command(epilog="Example: medproof consent export --subject 0x… --party Organization/f001=0x… --out consent.json")
@expanded
def export(
    who: SubjectOptions,
    chain: ChainOptions,
    party: Parties = None,
    patient: Annotated[
        str | None, Option(metavar="REFERENCE", help="The patient; the pseudonym where none is named.")
    ] = None,
    document: Document = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where it is written; printed otherwise.")] = None,
) -> None:
    """Render a subject's rules as a FHIR R4 Consent that compiles to the same decisions."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    whose = subject(who)
    known = None if document is None else _read_document(document)
    number = 0 if known is None else suite.consent_registry.terms_number(known.hash)
    consent = fhir.render_consent(
        [(to, rule) for to, rule in rules_of(suite, whose, output) if not rule.revoked],
        patient=patient or f"Patient/{whose}",
        references={to: reference for reference, to in _parties(party)},
        documents={number: known} if number else None,
    )
    if out is None:
        output.raw(consent)
        return
    output.write(out, json.dumps(consent, indent=2, ensure_ascii=False))
    output.document({"subject": whose, "file": str(out)})
    output.say(f"Written to {out}.")


# -- helpers -----------------------------------------------------------------------------------------------------


def _parties(given: list[str] | None) -> Iterator[tuple[str, str]]:
    for one in given or ():
        reference, equals, to = one.rpartition("=")
        if not equals or not reference:
            raise OptionError("--party", f"is {one!r}", "Write the consent's reference, = and the account.")
        yield reference, grantee("--party", to)


def _read_document(path: Path) -> PolicyDocument:
    try:
        return PolicyDocument.from_json(json.loads(read_text(path)))
    except (ValueError, RecursionError) as error:
        raise PolicyDocumentError("$", "is no JSON") from error


def _tell(output: Output, compiled: CompiledConsent) -> None:
    """Show each rule as a sentence, and each place where it says something else than the consent."""
    for draft in compiled.drafts:
        output.aside(f"• {describe(draft.rule, grantee=grantee_name(draft.grantee))}")
    for bound in compiled.bounds:
        held = f"; the policy document holds {bound.document}" if bound.document else ""
        output.aside(f"  {bound.path}: the rule holds {bound.word}{held}.")


def _published(
    suite: MedProof, compiled: CompiledConsent, path: Path | None, relay: RelayOptions, output: Output
) -> CompiledConsent:
    """The rules under the number of their policy document, which is kept first and then published where it may be."""
    document = compiled.document
    if document is None or path is None:
        return compiled
    if not path.exists():
        output.write(path, json.dumps(document.to_json(), indent=2))
    number = suite.consent_registry.terms_number(document.hash)
    if not number:
        by = sender(relay)
        if by is None:
            raise TermsUnpublishedError(document.hash)
        try:
            number = suite.consent_registry.publish_terms(document.hash, sender=by)
        except AccessManagedUnauthorized as error:
            raise TermsUnpublishedError(document.hash) from error
    return compiled.under(number)


def _to_grant(suite: MedProof, whose: str, rules: tuple[tuple[str, Rule], ...]) -> Iterator[tuple[str, Rule]]:
    """The rules that do not stand yet, each at an index that is free."""
    stored = {to: suite.consent_registry.rules(whose, to) for to, _ in rules}
    free = {
        to: iter([number for number in range(MOST_RULES) if number >= len(own) or own[number].revoked])
        for to, own in stored.items()
    }
    for to, rule in rules:
        if any(same_rule(one, rule, begins_now=False) for one in stored[to]):
            continue
        index = next(free[to], None)
        if index is None:
            raise RuleStateError(f"{whose} has {MOST_RULES} rules for {to} already. Revoke one, then import again.")
        yield to, replace(rule, index=index)
