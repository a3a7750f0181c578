"""`medproof research evidence` and `medproof verify`: from an index to a file, and from the file alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.client.studies import Study
from medproof.policy.codes import Purpose
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run, Said
from tests.sdk.conftest import funded, rpc
from tests.sdk.studies.conftest import TakingPart, cohort_now

ASKED = ("--purpose", "TREAT", "--class", "laboratory", "--condition", "I10", "--setting", "AMB", "--action", "access")
LABELS = ("--sensitivity", "NONE_LABELLED")


@pytest.fixture
def granted(suite: MedProof, patient: LocalSigner, stranger: LocalSigner, clinic: LocalSigner, rule: Rule) -> int:
    """Two subjects permit it, and one of them changes her mind after this block."""
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    block = suite.consent_registry.grant(clinic.address, rule, sender=stranger).block
    rpc(suite.chain, "evm_increaseTime", 60)
    suite.consent_registry.change(clinic.address, replace(rule, purposes=Purpose.PUBHLTH), sender=stranger)
    return block


def prove(run: Run, clinic: LocalSigner, *options: object) -> Said:
    return run("research", "evidence", clinic.address, *ASKED, *LABELS, "--out", "proof.jsonl", *options)


def test_from_the_index_to_a_stranger(run: Run, here: Path, suite: MedProof, clinic: LocalSigner, granted: int) -> None:
    assert run("index", "--index", "index.db").code == 0
    for block, count in ((granted, 2), (suite.chain.block_number(), 1)):
        said = prove(run, clinic, "--index", "index.db", "--block", block, "--json")
        assert said.code == 0, said.err
        made = said.document
        assert (made["subjects"], made["permitted"], made["block"]) == (count, count, block)
        assert made["reasons"] == {"PERMITTED": count}
        hashed = suite.chain.block(block).hash
        assert made["block_hash"] == hashed

        shown = run(
            "verify",
            "proof.jsonl",
            "--block-hash",
            hashed,
            "--deployment",
            here / "deployments" / "local" / "1337.json",
            "--json",
        )
        assert shown.code == 0, shown.err
        document = shown.document
        assert {name: document[name] for name in ("verified", "known", "subjects", "permitted", "block_hash")} == {
            "verified": True,
            "known": True,
            "subjects": count,
            "permitted": count,
            "block_hash": hashed,
        }
        assert document["request"]["purposes"] == ["TREAT"]
        assert (document["account"], document["party"]) == (clinic.address, clinic.address)
        assert document["contracts"]["ConsentRegistry"] == suite.consent_registry.address


def test_from_a_data_set(run: Run, here: Path, suite: MedProof, clinic: LocalSigner, granted: int) -> None:
    assert run("index", "--index", "index.db").code == 0
    assert run("research", "dataset", "registry", "--index", "index.db").code == 0
    for block, count in ((None, 1), (granted, 2)):
        as_of = () if block is None else ("--block", block)
        made = prove(run, clinic, "--dataset", "registry", *as_of, "--json").document
        assert (made["subjects"], made["permitted"]) == (count, count)
        assert made["block"] == (suite.chain.block_number() if block is None else block)
    nobody = prove(run, clinic, "--dataset", "registry", "--purpose", "HMARKT", "--json").document
    assert (nobody["subjects"], nobody["reasons"]) == (0, {})
    shown = run("verify", "proof.jsonl", "--json").document
    assert (shown["verified"], shown["subjects"], shown["permitted"]) == (True, 0, 0)


def test_of_subjects_that_are_named(
    run: Run,
    here: Path,
    suite: MedProof,
    clinic: LocalSigner,
    patient: LocalSigner,
    stranger: LocalSigner,
    granted: int,
) -> None:
    whose = here / "subjects.txt"
    whose.write_text(f"{patient.address}\n\n  {stranger.address.lower()}\n{clinic.address}\n{patient.address}\n")
    said = prove(run, clinic, "--subjects", whose)
    assert said.code == 0, said.err
    assert "Proved in proof.jsonl: 1 of 3 subjects permit it" in said.out
    shown = run("verify", "proof.jsonl")
    assert shown.code == 0, shown.err
    for part in (
        "Verified: 1 of 3 subjects permit it.",
        "purposes TREAT; classes laboratory; conditions I00-I99; sensitivities NONE_LABELLED",
        "PURPOSE",
        "NO_RULE",
        "--deployment tells",
        "compare its hash with a node of chain 1337's",
        suite.chain.block().hash,
    ):
        assert part in shown.out
    subjects = [json.loads(line)["subject"] for line in (here / "proof.jsonl").read_text().splitlines()[1:-1]]
    assert subjects == sorted(subjects, key=str.lower)


def test_the_same_block_gives_the_same_bytes(
    run: Run, here: Path, clinic: LocalSigner, patient: LocalSigner, stranger: LocalSigner, granted: int
) -> None:
    (here / "one.txt").write_text(f"{patient.address}\n{stranger.address}\n")
    (here / "two.txt").write_text(f"{stranger.address}\n{patient.address}\n")
    written = []
    for name in ("one.txt", "two.txt"):
        assert prove(run, clinic, "--subjects", name, "--block", granted).code == 0
        written.append((here / "proof.jsonl").read_bytes())
    assert written[0] == written[1]


def test_what_does_not_hold(
    run: Run, here: Path, suite: MedProof, clinic: LocalSigner, patient: LocalSigner, granted: int
) -> None:
    (here / "subjects.txt").write_text(patient.address)
    assert prove(run, clinic, "--subjects", "subjects.txt").code == 0
    proof = here / "proof.jsonl"
    whole = proof.read_bytes()
    refused = run("verify", proof, "--block-hash", "0x" + "11" * 32, "--json")
    assert (refused.code, refused.document["verified"], refused.document["part"]) == (1, False, "header")
    other = here / "other.json"
    manifest = json.loads((here / "deployments" / "local" / "1337.json").read_text())
    manifest["contracts"]["ConsentRegistry"]["address"] = clinic.address
    other.write_text(json.dumps(manifest))
    refused = run("verify", proof, "--deployment", other)
    assert (refused.code, "not the deployment's ConsentRegistry" in refused.out) == (1, True)
    proof.write_bytes(whole[:-60])
    refused = run("verify", proof)
    assert (refused.code, "line 3" in refused.out or "last line" in refused.out) == (1, True)
    proof.write_bytes(whole.replace(b"PERMITTED", b"PURPOSE"))
    assert "decision on" in run("verify", proof).out
    assert run("verify", proof, "--block-hash", "0x11").code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--index is missing"),
        (("--index", "nowhere.db"), "which is not there"),
        (("--subjects", "nowhere.txt"), "cannot be read"),
        (("--subjects", "bad.txt"), "' OR 1=1 --"),
        (("--subjects", "short.txt"), "is no address"),
        (("--subjects", "good.txt", "--block", "99999"), "the newest is"),
        (("--subjects", "good.txt", "--out", "."), "is a folder"),
    ],
)
def test_what_it_refuses(
    options: tuple[str, ...], said: str, run: Run, here: Path, clinic: LocalSigner, suite: MedProof
) -> None:
    (here / "bad.txt").write_text("' OR 1=1 --\n")
    (here / "short.txt").write_text("0x11\n")
    (here / "good.txt").write_text(clinic.address)
    refused = prove(run, clinic, *options)
    assert (refused.code, said in refused.err) == (2, True), refused.err
    assert not (here / "proof.jsonl").exists()


def test_nothing_is_half_written(
    run: Run,
    here: Path,
    suite: MedProof,
    clinic: LocalSigner,
    patient: LocalSigner,
    granted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "subjects.txt").write_text(patient.address)
    (here / "proof.jsonl").write_text("before\n")

    def fail(*arguments: object) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("medproof.evidence.consent_file.ConsentWriter.last", fail)
        assert prove(run, clinic, "--subjects", "subjects.txt").code != 0
    assert (here / "proof.jsonl").read_text() == "before\n"
    assert {one.name for one in here.iterdir()} == {"deployments", "subjects.txt", "proof.jsonl"}


def test_an_index_that_is_not_the_chains_is_found_out(
    run: Run, here: Path, suite: MedProof, clinic: LocalSigner, granted: int
) -> None:
    """An index in which somebody changed what stands."""
    import sqlite3

    assert run("index", "--index", "index.db").code == 0
    with sqlite3.connect(here / "index.db") as database:
        database.execute("UPDATE rules SET until_block = NULL, until_time = NULL")
    said = prove(run, clinic, "--index", "index.db")
    assert said.code == 1
    assert "The index says that all of them permit it" in said.out
    with sqlite3.connect(here / "index.db") as database:
        database.execute("UPDATE blocks SET hash = x'11111111111111111111111111111111111111111111111111111111111111ff'")
    said = prove(run, clinic, "--index", "index.db")
    assert "header is that of block" in said.err
    assert said.code != 0


def test_an_index_of_another_deployment(
    run: Run, here: Path, suite: MedProof, clinic: LocalSigner, stranger: LocalSigner, granted: int
) -> None:
    assert run("index", "--index", "index.db").code == 0
    path = here / "deployments" / "local" / "1337.json"
    manifest = json.loads(path.read_text())
    manifest["contracts"]["Authority"]["address"] = stranger.address
    path.write_text(json.dumps(manifest))
    said = prove(run, clinic, "--index", "index.db")
    assert (said.code, "the deployment is another" in said.err) == (2, True)


def test_of_a_study(run: Run, here: Path, suite: MedProof, study: Study, taking_part: TakingPart) -> None:
    for number, more in ((10, {}), (11, {}), (12, {"permits": False})):
        taking_part(number, **more)
    identifier = f"0x{study.id.hex()}"
    said = run("study", "evidence", identifier, "--out", "study.jsonl", "--json")
    assert said.code == 0, said.err
    assert said.document["uses"] == {"PERMITTED": 2, "NO_CONSENT": 1}
    shown = run("verify", "study.jsonl")
    assert shown.code == 0, shown.err
    cohort = cohort_now(suite, study).cohort
    for part in (
        "Verified: the study may use the data of 2 of 3 subjects.",
        f"Study {identifier} is open.",
        "their rules do not permit what it asks for",
        f"cohort 0x{cohort.id.hex()}",
        f"Studies {suite.studies.address}",
    ):
        assert part in shown.out
    document = run("verify", "study.jsonl", "--json").document
    assert (document["cohort"]["root"], document["cohort"]["size"]) == (f"0x{cohort.root.hex()}", 2)
    assert (document["study"], document["state"], document["permitted"]) == (identifier, "OPEN", 2)

    (here / "one.txt").write_text(funded(10).address)
    assert run("study", "evidence", identifier, "--subjects", "one.txt", "--out", "one.jsonl").code == 0
    assert "1 of 1 subjects" in run("verify", "one.jsonl").out
    missing = run("study", "evidence", "0x" + "11" * 32, "--out", "none.jsonl")
    assert (missing.code != 0, "is not registered" in missing.err, (here / "none.jsonl").exists()) == (
        True,
        True,
        False,
    )
