"""`medproof key` and `medproof wallet`: secrets go into new files of their owner's, and nowhere else."""

from __future__ import annotations

import json
from functools import partialmethod
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.policy.codes import DataClass
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from tests.sdk.cli.conftest import PASSWORD, PHRASE, Run
from tests.sdk.cli.test_command_line import KEY

Words = tuple[str, ...]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalSigner, "to_keystore", partialmethod(LocalSigner.to_keystore, cost=2))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# -- key files ---------------------------------------------------------------------------------------------------


def test_a_key_file(run: Run, here: Path) -> None:
    made, file = run("key", "new", "clinic.json"), here / "clinic.json"
    told = run("key", "new", "lab.json", "--json")

    assert (made.code, made.err, mode(file)) == (0, "", 0o600)
    assert made.out.strip() == LocalSigner.from_keystore(file, PASSWORD).address
    assert run("key", "show", "clinic.json").out == made.out
    assert told.document == run("key", "show", "lab.json", "--json").document
    assert told.document["address"] != made.out.strip()
    assert sorted(path.name for path in here.iterdir()) == ["clinic.json", "deployments", "lab.json"]


def test_the_password_is_asked_for_twice(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDPROOF_PASSWORD")
    slip = run("key", "new", "clinic.json", answer="one\nother\nopen sesame\nopen sesame\n")
    (here / "password").write_text("open sesame\n")
    filed = run("key", "new", "lab.json", "--password-file", "password")
    nobody = run("key", "new", "other.json")

    assert slip.code == 0
    for file in ("clinic.json", "lab.json"):
        assert run("key", "show", file, "--password-file", "password").code == 0
    assert "sesame" not in slip.out + slip.err + filed.out + filed.err
    assert (nobody.code, "MEDPROOF_PASSWORD is not set" in nobody.err) == (2, True)
    assert not (here / "other.json").exists()


def test_an_empty_password_is_none(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "password").write_text("\n")
    said = run("key", "new", "clinic.json", "--password-file", "password")

    assert (said.code, "password holds an empty password." in said.err) == (2, True)
    assert not (here / "clinic.json").exists()


@pytest.mark.parametrize("command", ["key", "wallet"])
def test_nothing_is_overwritten(run: Run, here: Path, command: str) -> None:
    (here / "there").write_text("precious")
    (here / "folder").mkdir()
    (here / "link").symlink_to("nowhere")

    for name in ("there", "folder", "link"):
        said = run(command, "new", name)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"Error: {name} is there already. Name a new file: no secret is ever overwritten.\n"
    assert (here / "there").read_text() == "precious"
    assert not (here / "nowhere").exists()
    lost = run(command, "new", "no/such/folder")
    assert (lost.code, "No such file or directory" in lost.err) == (2, True)


def test_somebody_is_faster(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = Path.touch

    def taken(self: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        self.write_text("precious")
        touch(self, mode, exist_ok)

    monkeypatch.setattr(Path, "touch", taken)
    assert "seed.txt is there already." in run("wallet", "new", "seed.txt").err
    assert (here / "seed.txt").read_text() == "precious"


@pytest.mark.parametrize("arguments", [("key", "new", KEY), ("wallet", "new", PHRASE), ("key", "show", KEY)])
def test_a_secret_is_no_file(run: Run, here: Path, arguments: Words) -> None:
    said = run(*arguments)

    assert (said.code, "A secret stands on the command line" in said.err) == (2, True)
    assert arguments[2] not in said.err
    assert [path.name for path in here.iterdir()] == ["deployments"]


def test_an_interruption_leaves_no_file(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    assert run("wallet", "new", "seed.txt").code == 130
    assert [path.name for path in here.iterdir()] == ["deployments"]


def test_no_key_file(run: Run, here: Path) -> None:
    (here / "text").write_text("no key")

    assert "nowhere.json is not there. Check the path, or make one with medproof key new." in (
        run("key", "show", "nowhere.json").err
    )
    assert run("key", "show", "text", "--json").error["error"] == "KeystoreError"


# -- wallets -----------------------------------------------------------------------------------------------------


def test_a_wallet(run: Run, here: Path, clinic: LocalSigner) -> None:
    made, file = run("wallet", "new", "seed.txt"), here / "seed.txt"
    words = file.read_text().strip()
    mine = ("wallet", "pseudonym", "--wallet", "seed.txt", "--custodian", clinic.address)
    first, second = run(*mine), run(*mine, "--relationship", 1, "--json")

    assert (made.code, mode(file), len(words.split())) == (0, 0o600, 12)
    assert words not in made.out + made.err
    assert first.out.strip() == Wallet(words).pseudonym(clinic.address).address
    assert second.document == {
        "pseudonym": Wallet(words).pseudonym(clinic.address, relationship=1).address,
        "custodian": clinic.address,
        "relationship": 1,
    }
    assert run("wallet", "new", "other.txt", "--json").document == {"file": "other.txt"}


def test_a_wallet_shown_once(run: Run, here: Path) -> None:
    shown, told = run("wallet", "new"), run("wallet", "new", "--json")

    assert Wallet(shown.out)
    assert Wallet(told.document["phrase"])
    assert "shown once" in shown.err
    assert [path.name for path in here.iterdir()] == ["deployments"]


def test_a_pseudonym_needs_its_custodian(run: Run, keys: Path) -> None:
    wallet = ("--wallet", keys / "seed.txt")
    assert "--custodian is missing." in run("wallet", "pseudonym", *wallet).err
    assert "is 'clinic', which is no address" in run("wallet", "pseudonym", *wallet, "--custodian", "clinic").err
    assert "is no BIP-32 index" in (
        run("wallet", "pseudonym", *wallet, "--custodian", "0x" + "0" * 40, "--relationship", -1).err
    )


def test_all_relationships_come_back(
    run: Run, suite: MedProof, keys: Path, clinic: LocalSigner, second_clinic: LocalSigner, granted: str
) -> None:
    wallet = Wallet(PHRASE)
    there = wallet.pseudonym(second_clinic.address).address
    key = PointerKey(there, second_clinic.address, b"\x07" * 32)
    suite.record_pointers.post(there, DataClass.LABORATORY, key.commitment, sender=second_clinic)
    mine = ("wallet", "recover", "--wallet", keys / "seed.txt")
    said, told = run(*mine), run(*mine, "--json")

    assert (said.code, said.out.count("0x")) == (0, 4)
    assert PHRASE not in said.out + said.err + json.dumps(told.document)
    assert told.document["relationships"] == [
        {
            "custodian": clinic.address,
            "relationship": 0,
            "pseudonym": wallet.pseudonym(clinic.address).address,
            "pointers": 0,
            "in_batches": 0,
            "acts": 1,
        },
        {
            "custodian": second_clinic.address,
            "relationship": 0,
            "pseudonym": there,
            "pointers": 1,
            "in_batches": 0,
            "acts": 0,
        },
    ]


def test_nothing_to_recover(run: Run, keys: Path) -> None:
    assert run("wallet", "new", "seed.txt").code == 0
    assert "Nothing is on the chain about this wallet." in run("wallet", "recover", "--wallet", "seed.txt").out
    odd = run("wallet", "recover", "--wallet", "seed.txt", "--gatekeeper", "https://records.example.org")
    assert (odd.code, "Give the custodian's address, = and the URL." in odd.err) == (2, True)
