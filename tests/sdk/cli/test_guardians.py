"""`medproof delegate guardians`: from naming them to the successor, by files that people pass on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.policy.delegation import Scope
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run, Said
from tests.sdk.conftest import rpc

Words = tuple[str, ...]
GUARDIANS = ("delegate", "guardians")


@pytest.fixture
def named(
    run: Run, me: Words, relayed: Words, payer: LocalSigner, second_payer: LocalSigner, researcher: LocalSigner
) -> Words:
    """The command that named guardians: two of three are enough."""
    accounts = (payer.address, second_payer.address, researcher.address)
    command = (*GUARDIANS, "name", *accounts, "--threshold", "2", "--days", "7", "--keep", "guardians.json", *me)
    said = run(*command, *relayed)
    assert said.code == 0, said.err
    assert "Give guardians.json to each guardian" in said.err
    return (*command, *relayed)


@pytest.fixture
def proposed(run: Run, named: Words, pseudonym: LocalSigner, fresh_account: LocalSigner) -> str:
    """The file of a recovery in favour of a fresh account."""
    said = run(*GUARDIANS, "propose", pseudonym.address, "--to", fresh_account.address, "--out", "recovery.json")
    assert said.out.startswith("Written to recovery.json: give it to the guardians, who approve it until 2")
    return "recovery.json"


def approve(run: Run, keys: Path, number: int, *more: str, answer: str | None = None) -> Said:
    approval = ("approve", "recovery.json", "--keystore", keys / f"{number}.json", "--out", f"{number}.approval")
    return run(*GUARDIANS, *approval, *more, answer=answer)


def start(run: Run, relayed: Words, *approvals: str) -> Said:
    return run(*GUARDIANS, "recover", "recovery.json", *approvals, "--guardians", "guardians.json", *relayed)


def test_a_lost_key(
    run: Run,
    chain: Chain,
    suite: MedProof,
    keys: Path,
    me: Words,
    relayed: Words,
    proposed: str,
    pseudonym: LocalSigner,
    fresh_account: LocalSigner,
) -> None:
    of, to = pseudonym.address, fresh_account.address
    assert approve(run, keys, 3, answer="n\n").code == 2
    asked = approve(run, keys, 3, answer="y\n")
    assert f"Let {to} act for {of}? What you sign counts until 2" in asked.err
    assert approve(run, keys, 4, "--yes", "--json").document["successor"] == to
    few = start(run, relayed, "3.approval")
    assert (few.code, "ApprovalsTooFew" in few.err) == (4, True)
    began = start(run, relayed, "4.approval", "3.approval")
    assert began.out.startswith(f"{to} acts for {of} from 2"), began.err

    shown = run(*GUARDIANS, "show", *me, "--json").document
    assert (shown["recovery_to"], shown["successor"]) == (to, None)
    assert to in run(*GUARDIANS, "show", "--subject", of).out
    assert "RecoveryTooEarly" in run(*GUARDIANS, "complete", of, *relayed).err
    rpc(chain, "evm_increaseTime", 7 * 86400)
    rpc(chain, "evm_mine")
    assert run(*GUARDIANS, "complete", of, *relayed).out.startswith(f"{to} may act for {of}, in block ")
    assert suite.delegations.scopes(of, to) != Scope.NONE


def test_an_objection(run: Run, keys: Path, me: Words, relayed: Words, proposed: str) -> None:
    for number in (3, 4):
        assert approve(run, keys, number, "--yes").code == 0
    assert start(run, relayed, "3.approval", "4.approval").code == 0
    assert run(*GUARDIANS, "object", *me, *relayed).code == 0
    assert run(*GUARDIANS, "show", *me, "--json").document["recovery_to"] is None
    again = start(run, relayed, "3.approval", "4.approval")  # what was approved counts no more
    assert (again.code, again.out) == (4, "")
    far = run(*GUARDIANS, "object", "--round", 9, *me, "--json").document["messages"][0]
    assert (far["function"], far["arguments"][2]) == ("objectToRecovery", "9")


def test_named_once(run: Run, named: Words, me: Words, relayed: Words, here: Path) -> None:
    again = run(*named)
    assert again.out.startswith("guardians.json has the guardians of 0x")
    assert run(*named, "--json").document["unchanged"]
    other = run(*(word if word != "2" else "3" for word in named))
    assert (other.code, "which has other guardians. Name a new file." in other.err) == (2, True)
    assert (here / "guardians.json").stat().st_mode & 0o777 == 0o600

    assert run(*GUARDIANS, "dismiss", *me, *relayed).code == 0
    assert run(*GUARDIANS, "show", *me, "--json").document["guardians"] is None
    assert run(*named).out.startswith("Sent, in block ")  # the same file counts again


@pytest.mark.parametrize(("option", "value"), [("--threshold", "4"), ("--threshold", "0"), ("--days", "2")])
def test_no_guardians(run: Run, here: Path, me: Words, payer: LocalSigner, option: str, value: str) -> None:
    settings = {"--threshold": "1", "--days": "7", option: value}
    words = [word for pair in settings.items() for word in pair]
    said = run(*GUARDIANS, "name", payer.address, *words, "--keep", "guardians.json", *me)

    assert (said.code, said.out, (here / "guardians.json").exists()) == (2, "", False)


def test_the_same_guardian_twice(run: Run, keys: Path, relayed: Words, proposed: str) -> None:
    assert approve(run, keys, 3, "--yes").code == 0
    assert start(run, relayed, "3.approval", "3.approval").code == 4
    assert approve(run, keys, 1, "--yes").code == 0
    stranger = start(run, relayed, "3.approval", "1.approval")
    assert (stranger.code, "is no guardian" in stranger.err) == (2, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"deadline": 10**100},
        {"deadline": -1},
        {"deadline": 10**12},
        {"deadline": float("inf")},
        {"round": 2**70},
        {"round": "many"},
        {"subject": None},
        {"successor": "0x12"},
        None,
    ],
)
def test_a_file_that_is_no_recovery(
    run: Run, keys: Path, here: Path, proposed: str, changed: dict[str, object] | None
) -> None:
    content = [] if changed is None else {**json.loads((here / proposed).read_text()), **changed}
    (here / proposed).write_text(json.dumps(content))
    said = approve(run, keys, 3, "--yes")

    assert said.err == "Error: recovery.json holds no recovery. Name what guardians propose wrote.\n"
    assert (said.code, (here / "3.approval").exists()) == (2, False)


@pytest.mark.parametrize("content", ["", "[]", '{"guardian": "0x12"}', '{"guardian": 1, "signature": "0x00"}'])
def test_a_file_that_is_no_approval(run: Run, here: Path, relayed: Words, proposed: str, content: str) -> None:
    (here / "odd").write_text(content)

    assert "odd holds no approval." in start(run, relayed, "odd").err
    assert "--relay-as is missing." in run(*GUARDIANS, "complete", "0x" + "5" * 40).err
