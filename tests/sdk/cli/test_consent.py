"""Granting, changing, revoking, withdrawing, asking: for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.registrar import EVERYONE
from medproof.policy.codes import Action, Condition, DataClass, Purpose, ResearchUse, Sensitivity
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run

Words = tuple[str, ...]


def test_grant_sends_at_once(
    run: Run, suite: MedProof, me: Words, relayed: Words, pseudonym: LocalSigner, second_clinic: LocalSigner
) -> None:
    grantee = second_clinic.address
    said = run(
        *("consent", "grant", grantee, "--purpose", "TREAT,HPAYMT", "--class", "laboratory", "--class", "imaging"),
        *("--condition", "C00-D49", "--sensitivity", "NONE_LABELLED", "--sensitivity", "HIV", "--action", "access"),
        *("--until", "2090-01-01", "--data-from", "2020-01-01", "--refuse-break-glass", *me, *relayed),
    )

    assert (said.code, said.out.startswith("Sent, in block ")) == (0, True), said.err
    assert f"You allow {grantee} to read your laboratory results and images and scans" in said.err
    rule = suite.consent_registry.rule(pseudonym.address, grantee)
    assert rule is not None
    assert rule.purposes == Purpose.TREAT | Purpose.HPAYMT
    assert rule.classes == DataClass.LABORATORY | DataClass.IMAGING
    assert rule.conditions == Condition.NEOPLASMS
    assert rule.sensitivities == Sensitivity.NONE_LABELLED | Sensitivity.HIV
    assert (rule.actions, rule.break_glass_refused, rule.deny) == (Action.ACCESS, True, False)
    assert (str(rule.valid_until), str(rule.data_from)) == ("2090-01-01 00:00:00+00:00", "2020-01-01")


def test_grant_without_a_relayer_prints_the_message(
    run: Run, suite: MedProof, me: Words, pseudonym: LocalSigner, relayer: LocalSigner, second_clinic: LocalSigner
) -> None:
    said = run("consent", "grant", second_clinic.address, "--purpose", "TREAT", "--class", "laboratory", *me)

    assert said.code == 0
    (message,) = said.document
    assert "not sent yet" in said.err
    suite.relay(SignedMessage.from_json(json.dumps(message)), sender=relayer)
    assert suite.consent_registry.rule(pseudonym.address, second_clinic.address) is not None


def test_grant_as_json(run: Run, me: Words, relayed: Words, pseudonym: LocalSigner, second_clinic: LocalSigner) -> None:
    grant = ("consent", "grant", second_clinic.address, "--purpose", "HRESCH", "--class", "genomics", *me, "--json")
    signed = run(*grant, "--research", "GRU,NCU", "--condition", "I10")
    sent = run(*grant, "--research", "GRU,NCU", "--condition", "I10", *relayed)

    assert (signed.code, signed.err, sent.code, sent.err) == (0, "", 0, "")
    assert signed.document["sent"] is None
    assert signed.document["messages"][0]["function"] == "setRuleFor"
    rule = sent.document["rule"]
    assert sent.document["subject"] == pseudonym.address
    assert sent.document["sent"]["gas_used"] > 0
    assert (rule["effect"], rule["sequence"], rule["conditions"]) == ("permit", 1, ["I00-I99"])
    included = ResearchUse.GRU | ResearchUse.HMB | ResearchUse.DS | ResearchUse.POA
    assert rule["research"] == list((included | ResearchUse.NCU).codes)
    assert sent.document["notes"] == [
        "I10 stands for its whole chapter here, I00-I99: diseases of the circulatory system."
    ]


def test_the_message_goes_to_a_file(run: Run, here: Path, me: Words, second_clinic: LocalSigner) -> None:
    grant = ("consent", "grant", second_clinic.address, "--purpose", "TREAT", "--class", "laboratory", *me)
    said = run(*grant, "--out", "signed.json")
    told = run(*grant, "--out", "signed.json", "--json")

    assert (said.code, told.code) == (0, 0)
    assert "signed.json" in said.out
    assert told.document["file"] == "signed.json"
    assert (here / "signed.json").stat().st_mode & 0o077 == 0
    assert [path.name for path in here.iterdir() if path.is_file()] == ["signed.json"]


def test_granting_twice(run: Run, granted: str, me: Words, relayed: Words) -> None:
    grant = ("consent", "grant", granted, "--purpose", "TREAT", "--class")
    same = run(*grant, "laboratory", *me, *relayed)
    other = run(*grant, "imaging", *me, *relayed)
    told = run(*grant, "laboratory", *me, "--json")

    assert (same.code, same.out.startswith("This stands already. You allow ")) == (0, True)
    assert (told.code, told.document["unchanged"]) == (0, True)
    assert other.code == 2
    assert "is in force already. Change it, or use the next index." in other.err


def test_a_refusal_is_about_all_that_it_leaves_out(
    run: Run, suite: MedProof, me: Words, relayed: Words, pseudonym: LocalSigner
) -> None:
    said = run("consent", "grant", "everyone", "--deny", "--sensitivity", "SUD", *me, *relayed)

    assert said.code == 0, said.err
    rule = suite.consent_registry.rule(pseudonym.address, EVERYONE)
    assert rule is not None
    assert rule.deny
    assert (rule.purposes, rule.classes, rule.actions) == (Purpose.ALL, DataClass.ALL, Action.ALL)
    assert rule.sensitivities == Sensitivity.SUD | Sensitivity.ETHUD | Sensitivity.OPIOIDUD
    assert rule.research == ResearchUse.PERMISSIONS


def test_change_keeps_the_rest(
    run: Run, suite: MedProof, granted: str, me: Words, relayed: Words, pseudonym: LocalSigner
) -> None:
    before = suite.consent_registry.rule(pseudonym.address, granted)
    said = run("consent", "change", granted, "--class", "imaging", "--until", "2090-01-01", *me, *relayed)
    again = run("consent", "change", granted, "--class", "imaging", *me, *relayed)
    told = run("consent", "change", granted, "--until", "none", *me, "--json")

    assert (said.code, again.code, told.code) == (0, 0, 0), said.err
    after = suite.consent_registry.rule(pseudonym.address, granted)
    assert before is not None
    assert after is not None
    assert (after.sequence, after.classes, after.purposes) == (2, DataClass.IMAGING, before.purposes)
    assert after.valid_from == before.valid_from
    assert again.out.startswith("It says so already.")
    assert (told.document["rule"]["valid_until"], told.document["rule"]["sequence"]) == (None, 3)


def test_revoke(run: Run, suite: MedProof, granted: str, me: Words, relayed: Words, pseudonym: LocalSigner) -> None:
    said = run("consent", "revoke", granted, *me, *relayed)
    again = run("consent", "revoke", granted, *me, *relayed)
    told = run("consent", "revoke", granted, *me, "--json")
    ahead = run("consent", "revoke", granted, "--sequence", 9, *me, *relayed, "--json")

    assert (said.code, again.code, told.code, ahead.code) == (0, 0, 0, 0)
    assert again.out == "It is revoked already.\n"
    assert told.document["unchanged"] is True
    assert ahead.document["index"] == 0
    rule = suite.consent_registry.rule(pseudonym.address, granted)
    assert rule is not None
    assert (rule.revoked, rule.sequence) == (True, 9)


def test_withdraw(run: Run, granted: str, me: Words, relayed: Words, pseudonym: LocalSigner) -> None:
    unsure = run("consent", "withdraw", *me, *relayed, answer="n\n")
    unasked = run("consent", "withdraw", *me, *relayed, "--json", answer="y\n")
    signed = run("consent", "withdraw", *me, "--yes", "--json")
    said = run("consent", "withdraw", *me, *relayed, answer="y\n")
    asked = run("consent", "check", granted, *me, "--purpose", "TREAT", "--class", "laboratory", "--json")

    assert (unsure.code, signed.code, said.code, asked.code) == (2, 0, 0, 1)
    assert "Nothing was signed or sent." in unsure.err
    assert (unasked.code, unasked.error["error"]) == (2, "OptionError")
    assert signed.document["messages"][0]["function"] == "withdraw"
    assert asked.document["reason"] == "DENIED"
    for command in (("revoke", "everyone"), ("change", "everyone", "--class", "laboratory")):
        assert "stands for good" in run("consent", *command, *me).err


INSIDE = ("--purpose", "TREAT", "--class", "laboratory", "--sensitivity", "NONE_LABELLED", "--action", "access")


def test_check(run: Run, granted: str, me: Words, pseudonym: LocalSigner) -> None:
    yes = run("consent", "check", granted, *INSIDE, "--subject", pseudonym.address)
    no = run("consent", "check", granted, *INSIDE, "--purpose", "HMARKT", *me)
    told = run("consent", "check", granted, *INSIDE, *me, "--json")
    before = run("consent", "check", granted, *INSIDE, *me, "--block", told.document["block"] - 1)

    assert (yes.code, no.code, told.code, before.code) == (0, 1, 0, 1)
    assert yes.out.splitlines()[0] == "Permitted"
    assert no.out.splitlines()[0] == "Refused"
    assert "PURPOSE" in no.out
    assert told.document["permitted"] is True
    assert told.document["request"]["classes"] == ["laboratory"]
    assert told.document["rule"]["grantee"] == granted


def test_explain(run: Run, granted: str, me: Words, payer: LocalSigner) -> None:
    no = run("consent", "explain", granted, *INSIDE, "--sensitivity", "HIV", *me)
    nothing = run("consent", "explain", payer.address, *INSIDE, *me, "--json")

    assert (no.code, nothing.code) == (0, 0)
    assert "The permission that comes nearest does not cover HIV information." in no.out
    assert f"The rule: You allow {granted} to read and use your laboratory results" in no.out
    assert nothing.document["explanation"] == "The patient has given no permission to the one who asks."
    assert nothing.document["rule"] is None


def test_list_and_history(run: Run, granted: str, me: Words, relayed: Words, pseudonym: LocalSigner) -> None:
    more = ("--index", 1, "--purpose", "HPAYMT", "--class", "claim")
    assert run("consent", "grant", granted, *more, *me, *relayed).code == 0
    assert run("consent", "change", granted, "--class", "imaging", *me, *relayed).code == 0
    assert run("consent", "revoke", granted, "--index", 1, *me, *relayed).code == 0
    rules, everything, acts = (
        run("consent", *command, *me, "--json").document for command in (("list",), ("list", "--revoked"), ("history",))
    )
    shown, told = run("consent", "list", *me), run("consent", "history", "--subject", pseudonym.address)

    assert [(one["index"], one["state"]) for one in rules["rules"]] == [(0, "in force")]
    assert [(one["index"], one["state"]) for one in everything["rules"]] == [(0, "in force"), (1, "revoked")]
    assert [one["act"] for one in acts["acts"]] == ["granted", "granted", "changed", "revoked"]
    assert {one["by"] for one in acts["acts"]} == {pseudonym.address}
    assert "images and scans" in shown.out
    assert told.out.count("granted") == 2


def test_nothing_to_list(run: Run, me: Words) -> None:
    assert run("consent", "list", *me).out.endswith("has no rules.\n")
    assert run("consent", "history", *me).out.startswith("Nothing was ever done for ")


@pytest.mark.parametrize("direct", [True, False])
def test_receipt(run: Run, here: Path, granted: str, me: Words, relayed: Words, direct: bool) -> None:
    issue = ("consent", "receipt", granted) if direct else ("consent", "receipt", "issue", granted)
    printed = run(*issue, *me, "--jurisdiction", "DE")
    written = run(*issue, *me, "--out", "receipt.json")
    genuine = run("consent", "receipt", "verify", "receipt.json")
    text = (here / "receipt.json").read_text()
    (here / "altered.json").write_text(text.replace("laboratory results", "every result"))
    altered = run("consent", "receipt", "verify", "altered.json")
    run("consent", "revoke", granted, *me, *relayed)
    over = run("consent", "receipt", "verify", "receipt.json", "--json")

    assert printed.document["pii_processing"]["jurisdiction"] == "DE"
    assert written.out.startswith("Written to receipt.json. You allow ")
    assert (genuine.code, altered.code, over.code) == (0, 1, 1)
    assert genuine.out.startswith("Genuine. Its rule is in force")
    assert "Altered: the chain says otherwise of sentence" in altered.out
    assert (over.document["genuine"], over.document["standing"]) == (True, "revoked")
