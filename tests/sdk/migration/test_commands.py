"""`medproof migrate` as people use it: the authority, a custodian, a patient with her wallet, whoever checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.indexer import Index, Indexer
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from tests.sdk.cli.conftest import PASSWORD, PHRASE, Run
from tests.sdk.conftest import funded
from tests.sdk.migration.registry import post

Options = tuple[str, ...]


@pytest.fixture
def between(here: Path, old: MedProof, new: MedProof) -> Options:
    """Which deployment is left for which."""
    for name, suite in (("old", old), ("new", new)):
        suite.deployment.save(here / f"{name}.json")
    return "--from", "old.json", "--to", "new.json"


@pytest.fixture
def admin_file(here: Path, admin: LocalSigner) -> str:
    """The key file of whoever has the roles."""
    from eth_account import Account
    from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

    from tests.sdk.conftest import MNEMONIC

    key = key_from_seed(seed_from_mnemonic(MNEMONIC, ""), "m/44'/60'/0'/0/0")
    (here / "admin.json").write_text(json.dumps(Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=2)))
    return "admin.json"


@pytest.fixture
def pseudonyms(
    old: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, relayer: LocalSigner, rule: Rule
) -> list[LocalSigner]:
    """Two of a wallet's, each with a permit for its custodian, and the first with a record."""
    found = [Wallet(PHRASE).pseudonym(one.address) for one in (clinic, second_clinic)]
    for subject, custodian in zip(found, (clinic, second_clinic), strict=True):
        old.relay(old.consent_registry.sign_grant(subject, custodian.address, rule), sender=relayer)
    post(old, clinic, found[0].address, 1)
    return found


def test_a_migration_from_plan_to_check(
    run: Run, between: Options, keys: Path, admin_file: str, pseudonyms: list[LocalSigner], clinic: LocalSigner
) -> None:
    plan = run("migrate", "plan", *between, "--json")
    assert plan.code == 0, plan.err
    counted = {(one["by"], one["part"]): one["steps"] for one in plan.document["steps"]}
    assert counted == {("authority", "parties"): 5, ("party", "pointers"): 1, ("subject", "rules"): 2}
    shown = run("migrate", "plan", *between)
    assert "subject   │ rules    │ 2" in shown.out
    assert run("migrate", "check", *between).code == 1

    acted = run("migrate", "run", *between, "--as", "authority", "--keystore", admin_file)
    assert acted.code == 0, acted.err
    assert "5 taken, 0 not." in acted.out
    acted = run("migrate", "run", *between, "--as", clinic.address, "--keystore", keys / "1.json", "--json")
    assert [one["function"] for one in acted.document["steps"]] == ["post"]

    assert run("migrate", "export", *between, "--for", "subjects", "--out", "todo.json").code == 0
    wallet = ("--wallet", str(keys / "seed.txt"), "--out", "signed.json")
    asked = run("migrate", "sign", "todo.json", *between, *wallet, answer="n\n")
    assert asked.code == 2
    assert not Path("signed.json").exists()
    assert f"As {pseudonyms[0].address}:" in asked.err
    assert f"1. You allow {clinic.address} to read and use your laboratory results" in asked.err
    signed = run("migrate", "sign", "todo.json", *between, *wallet, answer="y\n")
    assert signed.code == 0, signed.err
    assert len(json.loads(Path("signed.json").read_text())) == 2

    relayed = ("--relay-as", str(keys / "7.json"), "--queue", "queue.db")
    done = run("migrate", "run", "signed.json", *between, *relayed, "--json")
    assert done.code == 0, done.err
    assert [one["state"] for one in done.document["steps"]] == ["confirmed"] * 2
    checked = run("migrate", "check", *between, "--json")
    assert checked.code == 0, checked.err
    assert checked.document["whole"]
    assert run("migrate", "check", *between).out.startswith("Nothing is missing.\n")
    again = run("migrate", "run", "signed.json", *between, *relayed)
    assert again.code == 1
    assert "0 taken, 2 not." in again.out


def test_a_wallet_signs_without_a_file_and_a_forged_file_makes_it_sign_nothing(
    run: Run, between: Options, keys: Path, pseudonyms: list[LocalSigner]
) -> None:
    wallet = ("--wallet", str(keys / "seed.txt"), "--out", "signed.json", "--yes")
    alone = run("migrate", "sign", *between, *wallet, "--json")
    assert alone.code == 0, alone.err
    assert alone.document["signed"] == alone.document["subjects"] == 2

    run("migrate", "export", *between, "--for", pseudonyms[0].address, "--out", "todo.json")
    content = json.loads(Path("todo.json").read_text())
    content["steps"][0]["arguments"][2] = str(int(content["steps"][0]["arguments"][2]) | 0xFFFF << 133)
    Path("todo.json").write_text(json.dumps(content))
    Path("signed.json").unlink()
    forged = run("migrate", "sign", "todo.json", *between, *wallet)
    assert forged.code == 2
    assert "is not what the old deployment says. Sign nothing by it." in forged.err
    assert not Path("signed.json").exists()


def test_a_custodian_tells_what_waits(
    run: Run, between: Options, keys: Path, pseudonyms: list[LocalSigner], clinic: LocalSigner
) -> None:
    exported = run("migrate", "export", *between, "--for", clinic.address, "--out", "todo.json", "--json")
    assert exported.document["steps"] == 1
    [step] = json.loads(Path("todo.json").read_text())["steps"]
    assert (step["waits"], step["call"]) == (f"{clinic.address} to be accredited", None)


def test_an_index_takes_the_place_of_asking_for_all_events(
    run: Run, between: Options, here: Path, old: MedProof, new: MedProof, pseudonyms: list[LocalSigner]
) -> None:
    index = Index(here / "index.db")
    Indexer(index, old.chain, old.deployment).update()
    missing = run("migrate", "check", *between, "--index", "index.db")
    assert missing.code == 2
    assert "keeps no deployment of" in missing.err
    Indexer(index, new.chain, new.deployment).update()
    index.close()
    by_index = run("migrate", "check", *between, "--index", "index.db", "--json")
    by_node = run("migrate", "check", *between, "--json")
    assert by_index.code == by_node.code == 1
    assert by_index.document == by_node.document


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan",), "--from is missing"),
        (("check", "--from", "new.json", "--to", "new.json"), "--to is the deployment that is left"),
        (("check", "--from", "none.json", "--to", "new.json"), "none.json"),
        (("run", "--from", "old.json", "--to", "new.json"), "files are for two kinds of work"),
        (("run", "nothing.json", "--from", "old.json", "--to", "new.json"), "--relay-as is missing"),
        (("plan", "--from", "old.json", "--to", "new.json", "--index", "none.db"), "none.db, which is not there"),
        (("plan", "--from", "old.json", "--to", "new.json", "--keeper", "me"), "--keeper is 'me'"),
        (("export", "--from", "old.json", "--to", "new.json", "--for", "me", "--out", "x"), "--for is 'me'"),
    ],
)
def test_what_cannot_be_done_is_refused(run: Run, between: Options, arguments: tuple[str, ...], message: str) -> None:
    said = run("migrate", *arguments)
    assert said.code in (2, 3)
    assert message in said.err


def test_an_old_deployment_that_is_not_there_is_refused(run: Run, between: Options, here: Path) -> None:
    content = json.loads((here / "old.json").read_text())
    content["contracts"]["Registrar"]["address"] = funded(19).address
    (here / "old.json").write_text(json.dumps(content))
    said = run("migrate", "check", *between)
    assert said.code == 3
    assert f"There is no contract at {funded(19).address}, where the old manifest has Registrar" in said.err
    content["chain_id"] = 5
    (here / "old.json").write_text(json.dumps(content))
    assert "The old manifest is of chain 5" in run("migrate", "check", *between).err
