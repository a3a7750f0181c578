"""Delegates, emergencies and the relayer's queue, for people and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.client.registrar import EMERGENCY
from medproof.policy.delegation import Scope
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import PASSWORD, Run

Words = tuple[str, ...]
GRANT = ("--purpose", "TREAT", "--class", "laboratory")


def test_a_delegate_acts(
    run: Run, suite: MedProof, keys: Path, me: Words, relayed: Words, pseudonym: LocalSigner, patient: LocalSigner
) -> None:
    steward, to = patient.address, EMERGENCY
    settings = ("--kind", "steward", "--scope", "grant,revoke", "--until", "2090-01-01")
    signed = run("delegate", "set", steward, *settings, *me, "--json")
    said = run("delegate", "set", steward, *settings, *me, *relayed)
    assert (signed.code, said.code) == (0, 0), said.err
    assert signed.document["delegation"]["scopes"] == ["grant", "revoke"]
    assert suite.delegations.scopes(pseudonym.address, steward) == Scope.GRANT | Scope.REVOKE

    acting = ("--subject", pseudonym.address, "--keystore", keys / "6.json")
    assert run("consent", "grant", "emergency", *GRANT, *acting, *relayed).code == 0
    acts = run("consent", "history", "--subject", pseudonym.address, "--json").document["acts"]
    assert [(one["act"], one["by"], one["rule"]["grantee"]) for one in acts] == [("granted", steward, to)]

    shown, told = run("delegate", "list", *me), run("delegate", "list", *me, "--json")
    assert "grant, revoke" in shown.out
    assert [one["may_now"] for one in told.document["delegates"]] == [["grant", "revoke"]]
    assert run("delegate", "revoke", steward, *me, *relayed).code == 0
    again = run("delegate", "revoke", steward, *me, "--json")
    assert (again.code, again.error["error"]) == (2, "DelegationError")
    assert "nothing" in run("delegate", "list", *me).out


def test_a_guardian_ages_out(run: Run, me: Words, patient: LocalSigner) -> None:
    guardian = ("delegate", "set", patient.address, "--kind", "guardian", "--scope", "grant", *me, "--json")
    said = run(*guardian, "--born", "2020-05-17")
    both = run(*guardian, "--born", "2020-05-17", "--until", "2030-01-01")

    assert "--born is '9999-01-01', which is no birthday." in run(*guardian[:-1], "--born", "9999-01-01").err
    assert said.document["delegation"]["valid_until"] == "2037-12-31T00:00:00Z"
    assert (both.code, both.error["message"]) == (2, "--born stands beside --until. Give one of them.")


def test_an_emergency(
    run: Run,
    suite: MedProof,
    keys: Path,
    me: Words,
    relayed: Words,
    admin: LocalSigner,
    pseudonym: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    for party in (clinic, second_clinic):
        suite.registrar.join_group(int(EMERGENCY, 16), party.address, sender=admin)
    subject = pseudonym.address
    assert run("emergency", "list", *me).out.startswith("Nobody ever opened")
    justification = "0x" + "ab" * 32
    opened = run(
        *("emergency", "open", subject, "--reason", "OVRER", "--minutes", 60, "--justification", justification),
        *("--keystore", second_clinic.address, "--json"),
    )
    assert opened.code == 0, opened.err
    assert (opened.document["number"], opened.document["review"]) == (1, "none")
    said = run("emergency", "open", subject, "--reason", "OVRPJ", "--keystore", keys / "1.json")
    assert said.out.startswith("Opening 2, until ")

    wanted = ("--purpose", "BTG", "--class", "laboratory", "--action", "access")
    why = run("consent", "explain", second_clinic.address, *wanted, *me)
    assert "the record was opened in an emergency" in why.out
    assert run("consent", "check", second_clinic.address, *wanted, *me).code == 0

    assert run("emergency", "review", 1, "--dispute", *me, *relayed).code == 0
    signed = run("emergency", "review", 2, "--acknowledge", *me, "--json")
    assert signed.document["messages"][0]["function"] == "reviewOpening"
    shown, told = run("emergency", "list", *me), run("emergency", "list", *me, "--json")
    assert "disputed" in shown.out
    assert [one["review"] for one in told.document["openings"]] == ["disputed", "none"]
    acts = run("consent", "history", *me, "--json").document["acts"]
    assert [(one["act"], one["by"]) for one in acts] == [
        ("opened", second_clinic.address),
        ("opened", clinic.address),
        ("reviewed", subject),
    ]


def test_the_queue(
    run: Run, suite: MedProof, here: Path, me: Words, relayed: Words, pseudonym: LocalSigner, clinic: LocalSigner
) -> None:
    queue = ("--queue", "relay.db")
    assert "no such file" in run("relay", "status", *queue).err
    for place, to in enumerate((clinic.address, "everyone")):
        assert run("consent", "grant", to, *GRANT, *me, "--out", f"{place}.json").code == 0
    (here / "printed.json").write_text(run("consent", "grant", "group:3", *GRANT, *me, "--json").out)

    first = run("relay", "add", "0.json", *queue)
    added = run("relay", "add", "1.json", "printed.json", *queue, "--json")
    waiting = run("relay", "status", *queue, "--json").document["messages"]
    assert (first.code, added.code) == (0, 0)
    assert first.out.startswith("0.json: 0x")
    assert [one["state"] for one in waiting] == ["queued"] * 3

    worked = run("relay", "run", "--drain", *queue, *relayed, "--json")
    again = run("relay", "run", "--drain", *queue, *relayed)
    assert {one["state"] for one in worked.document["messages"]} == {"confirmed"}
    assert again.out == "Nothing is open any more.\n"
    assert suite.consent_registry.rule(pseudonym.address, clinic.address) is not None
    one = run("relay", "status", waiting[0]["id"], *queue)
    assert "confirmed" in one.out

    (here / "2.json").write_text((here / "0.json").read_text().replace('"deadline": ', '"deadline": 1'))
    refused = run("relay", "add", "1.json", "2.json", *queue)
    assert refused.code == 2
    assert "This is no signed message." in refused.err


def test_accounts_that_relay_side_by_side(
    run: Run, suite: MedProof, here: Path, keys: Path, me: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("consent", "grant", "everyone", *GRANT, *me, "--out", "0.json").code == 0
    queue = ("--queue", "relay.db")
    both = ("--relay-as", keys / "7.json", "--relay-as", keys / "1.json")
    assert run("relay", "add", "0.json", *queue).code == 0
    (here / "password").write_text(f"{PASSWORD}\n")
    wrong = run("relay", "run", "--drain", *queue, *both, *3 * ("--relay-password-file", "password"))
    assert "--relay-password-file is given 3 times for 2 accounts" in wrong.err
    monkeypatch.delenv("MEDPROOF_RELAY_PASSWORD")
    worked = run("relay", "run", "--drain", *queue, *both, "--relay-password-file", "password", "--json")
    assert [one["state"] for one in worked.document["messages"]] == ["confirmed"]
    again = run("relay", "run", "--drain", *queue, *both, *2 * ("--relay-password-file", "password"))
    assert again.code == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_a_message_that_is_not_taken(run: Run, here: Path, me: Words, relayed: Words, as_json: bool) -> None:
    grant = ("consent", "grant", "everyone", *GRANT, *me)
    assert run(*grant, "--out", "late.json").code == 0
    assert run(*grant, *relayed).code == 0
    said = run("relay", "add", "late.json", "--queue", "relay.db", *(["--json"] if as_json else []))

    assert said.code == 1
    assert "SequenceStale" in (said.document["messages"][0]["refused"] if as_json else said.out)


def test_a_study(run: Run, here: Path) -> None:
    study = here / "study.json"
    study.write_text('{"diseases": ["MONDO:0005148"], "commercial": true, "topics": [], "months": 12}')
    fits = run("duo", "match", study, "--use", "DS", "--disease", "MONDO:0005148")
    other = run("duo", "match", study, "--use", "DS,NCU", "--disease", "MONDO:0005148", "--json")

    assert (fits.code, fits.out) == (0, "Approve\n")
    assert (other.code, other.document["outcome"]) == (1, "deny")
    assert [one["term"] for one in other.document["findings"]] == ["NCU"]
    for content, part in (
        ('{"health": "yes"}', "health is neither true nor false."),
        ('{"topics": ["sports"]}', "topics has one that is none of controls, aggregate"),
        ('{"disease": []}', "says more than a study does: general, health, diseases"),
        ("[]", "is no JSON object."),
        ("{}", "a study says what it investigates"),
    ):
        study.write_text(content)
        said = run("duo", "match", study, "--use", "GRU")
        assert (said.code, part in said.err) == (2, True), said.err
