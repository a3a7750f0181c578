"""A log of documents on the command line: appended, anchored, proved one by one, verified by strangers."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run

Words = tuple[str, ...]
LOG = ("--log", "results.db")


@pytest.fixture
def lab(keys: Path) -> Words:
    """The clinic, which anchors."""
    return ("--keystore", str(keys / "1.json"))


@pytest.fixture
def results(here: Path) -> str:
    (here / "results.csv").write_text("".join(f"sample {number};6.{number}0\n" for number in range(20)))
    return "results.csv"


def test_lines_are_appended_anchored_and_proved(
    run: Run, here: Path, results: str, lab: Words, suite: MedProof, clinic: LocalSigner
) -> None:
    assert run("anchor", "append", results, "--lines", *LOG).out.startswith("Appended 20, 0 were there already.")
    assert stat.S_IMODE((here / "results.db").stat().st_mode) == 0o600
    early = run("anchor", "prove", results, "--line", 7, *LOG)
    assert (early.code, "is not anchored yet" in early.err) == (2, True)
    said = run("anchor", "append", results, "--lines", *LOG, *lab, "--json")
    assert (said.document["appended"], said.document["unchanged"], said.document["anchored"]) == (0, 20, 20)
    with (here / results).open("a") as file:
        file.write("sample 20;7.00\n")
    assert "Appended 1, 20 were there already" in run("anchor", "append", results, "--lines", *LOG, *lab).out
    assert [batch.size for batch in suite.batch_anchor.batches(clinic.address, log=3)] == [20, 21]

    assert run("anchor", "prove", results, "--line", 7, *LOG, "--out", "proof.json").code == 0
    proof = json.loads((here / "proof.json").read_text())
    assert (proof["index"], proof["size"], proof["publisher"]) == (6, 21, clinic.address)
    assert "sample" not in (here / "proof.json").read_text()
    (here / "one.txt").write_text("sample 6;6.60")
    told = run("anchor", "verify", "proof.json", "--document", "one.txt", "--json")
    assert (told.code, told.document["proved"]) == (0, True)
    offline = run("anchor", "verify", "proof.json", "--root", proof["root"], "--network", "http://127.0.0.1:1")
    assert offline.out.startswith("Proved: entry 6 of 21 in log 3, under the root")
    assert "was not checked" in offline.err

    (here / "one.txt").write_text("sample 6;6.61")
    other = run("anchor", "verify", "proof.json", "--document", "one.txt")
    assert (other.code, "another document's" in other.out) == (1, True)
    assert run("anchor", "verify", "proof.json", "--root", "0x" + "11" * 32).code == 1
    for name, value in (("index", 7), ("size", 20), ("root", "0x" + "11" * 32), ("leaf", proof["root"]), ("log", 1)):
        (here / "altered.json").write_text(json.dumps({**proof, name: value}))
        verified = run("anchor", "verify", "altered.json", "--json")
        assert (verified.code, verified.document["proved"]) == (0, True) if name == "root" else (1, False)
    shown, listed = run("anchor", "show", *LOG), run("anchor", "show", *LOG, "--json")
    assert shown.out.startswith(f"Log 3 has 21 entries, anchored by {clinic.address}.")
    assert [one["size"] for one in listed.document["anchored"]] == [20, 21]


def test_files(run: Run, here: Path, lab: Words) -> None:
    for name in ("a.pdf", "b.pdf"):
        (here / name).write_bytes(b"%PDF" + name.encode())
    assert run("anchor", "append", "a.pdf", "b.pdf", *LOG, "--number", 4, *lab).code == 0
    assert run("anchor", "prove", "b.pdf", *LOG, "--number", 4, "--out", "b.proof").code == 0
    assert run("anchor", "verify", "b.proof", "--document", "b.pdf").code == 0
    assert run("anchor", "verify", "b.proof", "--document", "a.pdf").code == 1
    (here / "b.pdf").write_bytes(b"%PDF other")
    changed = run("anchor", "prove", "b.pdf", *LOG, "--number", 4)
    assert (changed.code, "does not have b.pdf as it is now" in changed.err) == (2, True)


def test_what_cannot_be_done(run: Run, here: Path, results: str, lab: Words, keys: Path) -> None:
    missing = run("anchor", "append", results, "nowhere.csv", *LOG)
    assert missing.code == 2
    assert not (here / "results.db").exists()  # all or none
    assert "there is no such file" in run("anchor", "prove", results, *LOG).err
    assert "there is no such file" in run("anchor", "show", *LOG).err
    assert run("anchor", "append", results, "--lines", *LOG, *lab).code == 0
    assert "--line is 21" in run("anchor", "prove", results, "--line", 21, *LOG).err
    other = run("anchor", "append", results, *LOG, "--keystore", keys / "2.json", "--json")
    assert (other.code, other.error["error"]) == (2, "NamedLogError")
    assert "never anchored" in run("anchor", "show", *LOG, "--number", 9).out
    for content in ("", "[]", "{}", '{"leaf": 1}', "[" * 2000):
        (here / "proof.json").write_text(content)
        said = run("anchor", "verify", "proof.json", "--json")
        assert (said.code, said.error["error"]) == (2, "LeafProofError")
    assert run("anchor", "verify", "proof.json", "--root", "0x1").code == 2


def test_a_proof_for_another_chain_is_not_verified_here(run: Run, here: Path, results: str, lab: Words) -> None:
    run("anchor", "append", results, *LOG, *lab)
    run("anchor", "prove", results, *LOG, "--out", "proof.json")
    proof = json.loads((here / "proof.json").read_text())
    (here / "proof.json").write_text(json.dumps({**proof, "chainId": 1}))
    said = run("anchor", "verify", "proof.json", "--json")
    assert (said.code, said.error["error"]) == (2, "LeafProofError")
