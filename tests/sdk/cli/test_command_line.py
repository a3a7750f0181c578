"""What all commands share: who one is, secrets, errors as one sentence, exit codes, and the installed program."""

from __future__ import annotations

import builtins
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from medproof import __version__, fhir
from medproof.claims.case import Case
from medproof.claims.keyring import Keyring
from medproof.cli import main
from medproof.cli.app import app
from medproof.cli.output import Output
from medproof.client import MedProof
from medproof.errors import OptionError
from medproof.hashing import canonical
from medproof.sealed_prescription import SealedPrescription
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.claims.claim_examples import claim
from tests.sdk.cli.conftest import PASSWORD, PHRASE, Run
from tests.sdk.prescriptions.conftest import SYRUP

Words = tuple[str, ...]
PROGRAM = ROOT / ".venv" / "bin" / "medproof"
GRANT = ("--purpose", "TREAT", "--class", "laboratory")
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"  # of nobody


def commands() -> Iterator[tuple[Words, typer.core.TyperGroup]]:
    """Every command and group, by its words."""
    waiting: list[tuple[Words, object]] = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words, command  # type: ignore[misc]
        waiting += [((*words, name), one) for name, one in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize(
    ("words", "command"), [*commands()], ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_every_command_has_help_and_an_example(words: Words, command: typer.core.TyperGroup) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])

    assert (shown.exit_code, "Usage: " in shown.stdout) == (0, True)
    if not getattr(command, "commands", None):
        assert command.epilog is not None
        assert command.epilog.startswith(f"Example: medproof {' '.join(words)} ".replace("receipt issue", "receipt"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--purpose", "TREATMENT"), "'TREATMENT' is not a code of HL7 v3 ActReason. Did you mean TREAT"),
        (("--class", "lab"), "'lab' is not a code of MedProof data class."),
        (("--condition", "X99-Z00"), "'X99-Z00' is not a code of ICD-10-CM chapters."),
        (("--condition", "flu"), "'flu' is not a code of ICD-10-CM chapters."),
        (("--sensitivity", ""), "--sensitivity names no code."),
        (("--research", "ANY"), "'ANY' is not a code of GA4GH Data Use Ontology."),
        (("--research", "GRU"), "no purpose of this rule is research"),
        (("--until", "tomorrow"), "--until is 'tomorrow', which is no time. Write 2030-01-01"),
        (("--until", "2030-01-01T10:00"), "--until is '2030-01-01T10:00', which has no zone. Add Z"),
        (("--from", "9999-12-31T23:59-23:00"), "--from is '9999-12-31T23:59-23:00', which is no time."),
        (("--until", "2001-01-01"), "it must be before validUntil"),
        (("--until", "2999-01-01"), "Use None for no end."),
        (("--data-from", "1 May"), "--data-from is '1 May', which is no day."),
        (("--data-from", "2020-01-02", "--data-until", "2020-01-01"), "it must not be after dataUntil"),
        (("--terms", "5000"), "it must be an integer from 0 to 4095"),
        (("--index", "16"), "'--index'"),
        (("--lifetime", "0"), "'--lifetime'"),
        (("--nonsense",), "No such option: --nonsense"),
        (("--subject", "0xf39fd6e51aad88F6F4ce6aB8827279cffFb92266"), "which is no address. Copy all 42 characters"),
        (("--custodian", "clinic"), "--custodian is 'clinic', which is no address."),
        (("--relay-as", "nowhere.json"), "The key file nowhere.json cannot be read."),
        (("--out", "no/such/folder/message.json"), "No such file or directory."),
        (("--out", "."), ". is a folder. Name a file."),
        (("--deployment", "nowhere.json"), "The manifest nowhere.json cannot be read."),
        (("--network", "mainnet"), "'mainnet' is no network's name and no URL."),
        (("--network", "http://127.0.0.1:9"), "The node does not answer"),
    ],
)
def test_bad_input_is_one_sentence(run: Run, me: Words, clinic: LocalSigner, arguments: Words, part: str) -> None:
    said = run("consent", "grant", clinic.address, *GRANT, *me, *arguments)

    trouble = part.startswith(("The manifest", "The node"))
    assert (said.code, said.out) == (3 if trouble else 2, "")
    [line] = [line for line in said.err.splitlines() if not line.startswith("You allow ")]
    assert line.startswith("Error: ")
    assert part in line


@pytest.mark.parametrize(
    ("arguments", "name", "code"),
    [
        (("--purpose", "TREATMENT"), "UnknownCodeError", 2),
        (("--nonsense",), "UsageError", 2),
        (("--out", "no/such/folder/message.json"), "FileError", 2),
        (("--network", "http://127.0.0.1:9"), "UnclearAnswerError", 3),
    ],
)
def test_errors_as_json(run: Run, me: Words, arguments: Words, name: str, code: int) -> None:
    said = run("consent", "grant", "everyone", *GRANT, *me, *arguments, "--json")

    assert (said.code, said.out) == (code, "")
    assert said.error == {"error": name, "message": said.error["message"], "code": code}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("grant", "0x12", *GRANT), "GRANTEE is '0x12', which is no address."),
        (("grant", "group:70000", *GRANT), "GRANTEE is 'group:70000', which is no address."),
        (("grant", "everyone"), "purposes is 0, but an empty field would match nothing."),
        (("change", "everyone"), "to change. Grant it."),
        (("revoke", "everyone"), "to revoke. Nothing needs doing."),
        (("receipt", "everyone"), "There was no rule 0 of 0x"),
        (("receipt", "verify", "nowhere.json"), "nowhere.json cannot be read"),
        (("check", "everyone"), "ACTOR is 'everyone', which is no address."),
        (("check", "0x" + "0" * 40, "--block", "9" * 30), "--block is 9999"),
        (("receipt", "everyone", "--block", "9" * 30), "Name an earlier one."),
        (("destroy",), "No such command 'destroy'."),
    ],
)
def test_bad_commands(run: Run, me: Words, arguments: Words, part: str) -> None:
    verify = arguments[1:2] == ("verify",)
    said = run("consent", *arguments, *(() if verify else me))

    assert (said.code, said.out) == (2, "")
    assert part in said.err


def test_the_contracts_refuse(run: Run, me: Words, stranger: LocalSigner, relayed: Words) -> None:
    said = run("emergency", "open", stranger.address, "--reason", "OVRER", "--keystore", stranger.address, "--json")
    mine = run("consent", "grant", "everyone", *GRANT, "--terms", "9", *me, *relayed)

    assert (said.code, mine.code) == (4, 4)
    assert said.error["code"] == 4
    assert "TermsUnknown" in mine.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--keystore", KEY),
        ("--keystore=0x" + KEY,),
        ("--relay-as", "0x" + KEY),
        ("--wallet", PHRASE),
        ("--private-key", KEY),
        ("--password", "hunter2"),
    ],
)
def test_secrets_are_refused(run: Run, arguments: Words) -> None:
    said = run("consent", "list", *arguments)
    told = run("consent", "list", *arguments, "--json")

    assert (said.code, told.code, told.error["error"]) == (2, 2, "SecretArgumentError")
    for output in (said.err, told.err):
        assert not any(secret in output for secret in (KEY, PHRASE, "hunter2"))


# -- who one is --------------------------------------------------------------------------------------------------


def test_ways_to_open_a_wallet(
    run: Run, keys: Path, clinic: LocalSigner, pseudonym: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    custodian = ("--custodian", clinic.address, "--json")
    asked = run("consent", "list", *custodian, answer=PHRASE + "\n")
    dash = run("consent", "list", "--wallet", "-", *custodian, answer=PHRASE + "\n")
    nobody = run("consent", "list", *custodian)
    monkeypatch.setenv("MEDPROOF_SEED_PHRASE", PHRASE)
    known = run("consent", "list", *custodian)
    second = run("consent", "list", *custodian, "--relationship", 1)

    for said in (asked, dash, known):
        assert said.document["subject"] == pseudonym.address
        assert PHRASE not in said.out + said.err
    assert second.document["subject"] != pseudonym.address
    assert (nobody.code, "MEDPROOF_SEED_PHRASE is not set" in nobody.err) == (2, True)


def test_ways_to_open_a_key_file(
    run: Run, keys: Path, here: Path, patient: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ("consent", "list", "--json", "--keystore", keys / "6.json")
    (here / "password").write_text(PASSWORD + "\n")
    monkeypatch.delenv("MEDPROOF_PASSWORD")
    asked, filed = run(*mine, answer=PASSWORD + "\n"), run(*mine, "--password-file", "password")
    wrong, nobody = run(*mine, answer="guess\n"), run(*mine)
    (here / "password").write_bytes(b"\xff")
    binary = run(*mine, "--password-file", "password")

    assert asked.document["subject"] == filed.document["subject"] == patient.address
    assert "does not open with this password" in wrong.err
    assert "MEDPROOF_PASSWORD is not set" in nobody.err
    assert "password is no text in UTF-8." in binary.err


def test_who_one_is_not(run: Run, keys: Path) -> None:
    assert "--keystore is missing. Say who you are" in run("consent", "list").err
    assert "--custodian is missing." in run("consent", "list", "--wallet", keys / "seed.txt").err
    assert (
        "--keystore is missing. Name the key file" in run("emergency", "open", "0x" + "0" * 40, "--reason", "OVRER").err
    )
    assert "--relay-as is missing." in run("relay", "run", "--queue", "q.db").err


def test_an_account_of_the_node_pays(run: Run, me: Words, relayer: LocalSigner) -> None:
    assert run("consent", "grant", "everyone", *GRANT, *me, "--relay-as", relayer.address).code == 0


def test_where_the_chain_is(run: Run, here: Path, me: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    (manifest,) = here.rglob("1337.json")
    manifest.rename(here / "deployments" / "1337.json")
    assert run("consent", "list", *me).code == 0
    (here / "deployments" / "1337.json").rename(here / "elsewhere.json")
    assert "--deployment is missing, and deployments/1337.json is not here." in run("consent", "list", *me).err
    monkeypatch.setenv("MEDPROOF_DEPLOYMENT", "elsewhere.json")
    assert run("consent", "list", *me).code == 0
    monkeypatch.delenv("MEDPROOF_NETWORK")
    assert "--network is missing." in run("consent", "list", *me).err


# -- interrupting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, typer.Abort])
def test_an_interruption_is_one_line(
    run: Run, me: Words, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    def interrupted(self: Output, question: str) -> None:
        raise interruption

    monkeypatch.setattr(Output, "confirm", interrupted)
    said, told = run("consent", "withdraw", *me), run("consent", "withdraw", *me, "--json")

    assert (said.code, told.code, told.error["error"]) == (130, 130, "Interrupted")
    assert told.out == ""
    assert said.err == "Error: Interrupted. What was sent before still counts; nothing else remains.\n"


def test_nothing_half_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Output(as_json=False).write(here / "message.json", "{}")
    assert [path.name for path in here.iterdir()] == ["deployments"]


# -- the installed program ---------------------------------------------------------------------------------------


def test_the_installed_program(
    here: Path, keys: Path, node: LocalChain, suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    environment = {"PATH": "", "HOME": str(here), "MEDPROOF_NETWORK": node.url, "MEDPROOF_RELAY_PASSWORD": PASSWORD}
    me = ("--wallet", str(keys / "seed.txt"), "--custodian", clinic.address)
    grant = ("consent", "grant", second_clinic.address, *GRANT, *me, "--relay-as", str(keys / "7.json"), "--json")
    check = ("consent", "check", second_clinic.address, *GRANT, "--sensitivity", "NONE_LABELLED", *me)

    def started(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), *arguments]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=60)

    granted = started(*grant)
    checked = started(*check, "--action", "access")

    assert (granted.returncode, granted.stderr) == (0, "")
    assert json.loads(granted.stdout)["sent"]["block"] > 0
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, "Permitted")


@pytest.mark.parametrize("words", [(), ("consent",), ("consent", "receipt")])
def test_a_group_alone_shows_its_help(words: Words) -> None:
    shown = CliRunner().invoke(app, words)

    assert (shown.exit_code, "Usage: " in shown.output, "Error" in shown.output) == (2, True, False)


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"medproof {__version__}\n"


def test_ctrl_c_ends_the_relayer(here: Path, keys: Path, node: LocalChain) -> None:
    environment = {"PATH": "", "HOME": str(here), "MEDPROOF_NETWORK": node.url, "MEDPROOF_RELAY_PASSWORD": PASSWORD}
    command = [sys.executable, str(PROGRAM), "relay", "run", "--queue", "q.db", "--relay-as", str(keys / "7.json")]
    process = subprocess.Popen(command, cwd=here, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith("Relaying. Ctrl-C stops")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert (process.wait(10), rest.count("\n")) == (130, 1)
        assert rest.startswith("Error: Interrupted.")
        assert sorted(path.name for path in here.iterdir()) == ["deployments", "q.db"]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


ADDRESS = "0x9334BDaB583b0AD4ba665eC2e444faAa76A95Aa2"


@pytest.mark.parametrize("width", [20, 56, 60, 80, 120])
def test_no_table_breaks_an_address(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    for name, value in (("COLUMNS", str(width)), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    sentence = f"You allow {ADDRESS} to read and use your vital signs for treatment."

    output = Output(as_json=False)
    output.table(("grantee", "may report now"), [(ADDRESS, "vital-signs")] * 2, empty="none")
    output.table(("grantee", "rule", "what it says"), [(ADDRESS, "0", sentence)], empty="none")

    said = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert said.count(ADDRESS) == 4
    assert all(word in said for word in ("may report now", "vital-signs", *sentence.split()))


def test_a_table_in_a_pipe_has_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(("one", "two"), [("a " * 200, ADDRESS)] * 2, empty="none")
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_no_result_is_written_over_salts_or_keys(here: Path, keys: Path) -> None:
    """Such as a claim's evidence over its case: without the salt nobody can open what is on the chain."""
    Keyring.create().save(here / "consortium.keys")
    (here / "a.case").write_text(json.dumps(Case.open(claim()).to_json(), indent=1))
    (here / "rx.json").write_bytes(canonical(SealedPrescription.seal(ADDRESS, ADDRESS, fhir.load(SYRUP)).to_json()))
    for path in (here / "a.case", here / "consortium.keys", here / "rx.json", *sorted(keys.glob("*.json"))[:1]):
        kept = path.read_bytes()
        with pytest.raises(OptionError, match="no secret is ever overwritten"):
            Output(as_json=False).write(path, "{}")
        assert path.read_bytes() == kept
    Output(as_json=False).write(here / "evidence.json", "{}")
    Output(as_json=False).write(here / "evidence.json", "[]")
    assert (here / "evidence.json").read_text() == "[]\n"


def test_ctrl_c_while_it_begins_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str, *rest: object) -> object:
        if name == "medproof.cli.app":
            raise KeyboardInterrupt
        return imported(name, *rest)  # type: ignore[arg-type]

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted before anything was done.\n"
