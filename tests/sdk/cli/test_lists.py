"""Lists as tables, as comma-separated values and as JSON: the same rows in each."""

from __future__ import annotations

import csv
import io

import pytest

from medproof.client import MedProof
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run, Said


def rows(said: Said) -> list[list[str]]:
    assert said.code == 0, said.err
    return list(csv.reader(io.StringIO(said.out, newline="")))


def test_parties(run: Run, suite: MedProof) -> None:
    head, *found = rows(run("party", "list", "--csv"))
    assert head == ["party", "kind", "state", "valid until", "groups", "other account"]
    assert [row[0] for row in found] == [one["party"] for one in run("party", "list", "--json").document["parties"]]
    assert run("party", "list", "--table").out == run("party", "list").out
    assert all(row[0] in run("party", "list").out for row in found)


def test_rules_and_what_was_done(run: Run, granted: str, me: tuple[str, ...]) -> None:
    head, [grantee, number, state, says] = rows(run("consent", "list", *me, "--csv"))
    assert head == ["grantee", "rule", "state", "what it says"]
    assert (grantee, number, state) == (granted, "0", "in force")
    assert says.startswith(f"You allow {granted} to read and use your laboratory results")
    _, [_, act, *_] = rows(run("consent", "history", *me, "--csv"))
    assert act == "granted"


@pytest.mark.parametrize(
    ("command", "head"),
    [
        (("party", "group", "list"), ["group", "name"]),
        (("delegate", "list"), None),
        (("device", "list"), None),
        (("emergency", "list"), None),
        (("records", "list"), None),
        (("records", "timeline"), ["when", "custodian", "event", "class", "pointer"]),
    ],
)
def test_an_empty_list_has_its_head_and_no_words(
    command: tuple[str, ...], head: list[str] | None, run: Run, me: tuple[str, ...]
) -> None:
    who = () if command[0] == "party" else me[:2] if command[1] == "timeline" else me
    found = rows(run(*command, *who, "--csv"))
    if command[0] == "party":
        found = found[:1]  # everyone and emergency care are groups from the beginning
    assert len(found) == 1
    assert head is None or found[0] == head
    assert "" not in found[0]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("-", "-"),
        ("-7.5", "-7.5"),
        ('a, "b"', 'a, "b"'),
    ],
)
def test_no_cell_is_a_formula(name: str, cell: str, run: Run, suite: MedProof, admin: LocalSigner) -> None:
    suite.registrar.create_group(name, sender=admin)
    assert rows(run("party", "group", "list", "--csv"))[-1][1] == cell


@pytest.mark.parametrize("forms", [("--csv", "--json"), ("--table", "--csv"), ("--table", "--json")])
def test_one_form_at_a_time(forms: tuple[str, ...], run: Run) -> None:
    said = run("party", "list", *forms)
    assert said.code == 2
    assert "Choose one of --table, --csv and --json" in said.err
