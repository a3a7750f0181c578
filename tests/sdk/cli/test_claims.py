"""`medproof claims` and `medproof verify` as a provider, a payer and an auditor use them."""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof import hashing
from medproof.anchoring import Anchorer
from medproof.claims import ClaimOutcome, Code, Frequency
from medproof.claims.adjudication import History, adjudicate
from medproof.claims.case import Case
from medproof.claims.document import to_json
from medproof.claims.event_log import ClaimEntry, ClaimEvent, ClaimEventLog, ClaimStep
from medproof.claims.keyring import Keyring
from medproof.claims.names import Names
from medproof.claims.plan import Plan
from medproof.cli.cases import file_for, load_case, naming_key, new_case
from medproof.cli.output import Output
from medproof.client import MedProof
from medproof.client.claim_anchor import ClaimBatch, ClaimStatus
from medproof.errors import OptionError
from medproof.signing import LocalSigner
from tests.sdk.archives import needs_synthea, patients
from tests.sdk.claims.claim_examples import CPT, DAY, claim, response
from tests.sdk.cli.conftest import Run
from tests.sdk.conftest import rpc
from tests.sdk.store.examples import EXAMPLES

Words = tuple[str, ...]
RULES = {"name": "Plan 7", "share": "0.8"}


@pytest.fixture
def provider(keys: Path) -> Words:
    return ("--keystore", str(keys / "1.json"))


@pytest.fixture
def as_payer(keys: Path) -> Words:
    return ("--keystore", str(keys / "3.json"))


@pytest.fixture
def case(here: Path) -> str:
    """A case of a claim, which nobody submitted."""
    (here / "a.case").write_text(json.dumps(Case.open(claim()).to_json()))
    (here / "a.case").chmod(0o600)
    return "a.case"


@pytest.fixture
def rules(run: Run, here: Path, as_payer: Words) -> str:
    """The payer's rules, and the consortium's key."""
    (here / "rules.json").write_text(json.dumps(RULES))
    said = run("claims", "rules", "rules.json", "--from", "2020-01-01", *as_payer, "--json")
    assert said.code == 0, said.err
    assert run("claims", "keyring", "consortium.keys").code == 0
    return "rules.json"


@pytest.fixture
def submitting(case: str, rules: str, payer: LocalSigner, provider: Words) -> Words:
    return ("claims", "submit", case, "--payer", payer.address, "--keyring", "consortium.keys", *provider)


@pytest.fixture
def submitted(run: Run, submitting: Words, case: str) -> str:
    said = run(*submitting)
    assert said.code == 0, said.err
    return case


@pytest.fixture
def decision(here: Path) -> str:
    (here / "response.json").write_text(json.dumps(to_json(response(claim()))))
    return "response.json"


@pytest.fixture
def approved(run: Run, submitted: str, decision: str, as_payer: Words) -> str:
    said = run("claims", "adjudicate", submitted, "--response", decision, *as_payer)
    assert said.code == 0, said.err
    return submitted


def text(here: Path, name: str, said: str = "Please.") -> str:
    (here / name).write_text(said)
    return name


def status_of(run: Run, *cases: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("claims", "status", *cases, "--json").document["cases"]
    return found


# -- from files to cases -----------------------------------------------------------------------------------------


def test_import(run: Run, here: Path) -> None:
    shutil.copy(EXAMPLES / "Claim-100151.json", here / "claim.json")
    (here / "broken.json").write_text('{"resourceType": "Claim"}')
    first = run("claims", "import", "claim.json", "broken.json", "--into", "cases", "--json")
    assert (first.code, len(first.document["added"]), first.document["unchanged"]) == (1, 1, [])
    assert [one["file"] for one in first.document["refused"]] == ["broken.json"]
    (path,) = (here / "cases").glob("*.case")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    again = run("claims", "import", "claim.json", "--into", "cases", "--json")
    assert (again.code, again.document["added"], len(again.document["unchanged"])) == (0, [], 1)
    assert path.read_bytes() == kept  # the salt stays
    told = run("claims", "import", "claim.json", "--into", "cases")
    assert told.out == f"{Path('cases') / path.name}\n"
    assert told.err.startswith("0 new cases in cases, 1 were there already, 0 refused.")
    assert "broken.json: " in run("claims", "import", "broken.json", "--into", "cases").err
    told = run("claims", "status", "cases")
    assert (told.out.count("not submitted"), "12346" in told.out) == (1, True)  # the biller knows it by its number


@pytest.mark.parametrize(
    ("content", "why"),
    [(b'{"resourceType": "Patient", "id": "p"}', "holds no claim"), (b"PK\x03\x04\x14\x00", "is a zip archive")],
)
def test_a_file_without_a_claim_is_no_success(run: Run, here: Path, content: bytes, why: str) -> None:
    (here / "wrong").write_bytes(content)
    said = run("claims", "import", "wrong", "--into", "cases")
    assert (said.code, why in said.err) == (1, True)


def test_a_file_without_a_claim_beside_others_is_told(run: Run, here: Path) -> None:
    """Synthea writes its hospitals into a bundle beside the patients' ones."""
    shutil.copy(EXAMPLES / "Claim-100151.json", here / "claim.json")
    (here / "hospitals.json").write_text('{"resourceType": "Patient", "id": "p"}')
    said = run("claims", "import", "claim.json", "hospitals.json", "--into", "cases", "--json")
    assert (said.code, said.document["empty"], len(said.document["added"])) == (0, ["hospitals.json"], 1)


@needs_synthea
def test_import_of_what_others_wrote(run: Run, here: Path) -> None:
    """Every claim becomes a case once, whatever is given twice."""
    for number, bundle in enumerate(islice(patients(), 3)):
        (here / f"{number}.json").write_bytes(hashing.canonical(bundle.content))
    first = run("claims", "import", "0.json", "1.json", "2.json", "1.json", "--into", "cases", "--json")
    assert (first.code, first.document["refused"]) == (0, [])
    assert len(list((here / "cases").glob("*.case"))) == len(first.document["added"]) > 5
    again = run("claims", "import", "0.json", "1.json", "2.json", "--into", "cases", "--json").document
    assert again["added"] == []
    assert set(again["unchanged"]) == set(first.document["added"])


@pytest.mark.parametrize("content", [b"", b"ISA", b"ISA*00*", b"{", b'{"resourceType": "Nothing"}', b"\xff\xfe"])
def test_what_is_no_claim_is_refused_and_leaves_nothing(run: Run, here: Path, content: bytes) -> None:
    (here / "claims").write_bytes(content)
    said = run("claims", "import", "claims", "--into", "cases", "--json")
    assert said.code in (1, 2)
    assert list((here / "cases").iterdir()) == []


def test_the_same_claim_has_the_same_file_in_one_folder(here: Path) -> None:
    """In another folder it has another: else who guesses a claim sees from a name that it was made."""
    output = Output(as_json=True)
    key = naming_key(output, here)
    assert naming_key(output, here) == key
    assert stat.S_IMODE((here / ".naming").stat().st_mode) == 0o600
    assert file_for(claim(), key) == file_for(claim(), key)
    assert file_for(claim(), key) != file_for(claim(number="A-101"), key)
    (here / "other").mkdir()
    assert file_for(claim(), key) != file_for(claim(), naming_key(output, here / "other"))
    for spoilt in ("", "11" * 31, "x" * 64):
        (here / ".naming").write_text(spoilt)
        with pytest.raises(OptionError, match="is being made"):
            naming_key(output, here)
    (here / ".naming").write_text(key.hex())
    (here / ".naming").chmod(0o644)
    with pytest.raises(OptionError, match="chmod 600"):
        naming_key(output, here)


# -- the life of a claim -----------------------------------------------------------------------------------------


def test_submitted_once(run: Run, submitting: Words, case: str, suite: MedProof, here: Path) -> None:
    (before,) = status_of(run, case)
    assert (before["status"], before["claim"]) == ("not submitted", None)
    said = run(*submitting, "--json")
    assert (said.code, said.document["rules"]) == (0, 1)
    again = run(*submitting)
    assert again.out.startswith("This stands already: claim 0x")
    (row,) = status_of(run, case)
    assert (row["status"], row["owed_by"], row["late"]) == ("submitted", "payer", False)
    kept = Case.from_json((here / case).read_bytes())
    assert suite.claim_anchor.state(kept.anchored().claim).status is ClaimStatus.SUBMITTED
    assert stat.S_IMODE((here / case).stat().st_mode) == 0o600


def test_the_service_is_billed_once(run: Run, submitted: str, submitting: Words, here: Path) -> None:
    """Under another salt and number, by another case."""
    (here / "again.case").write_text(json.dumps(Case.open(claim(number="B-1")).to_json()))
    said = run(*(word if word != submitted else "again.case" for word in submitting), "--json")
    assert (said.code, said.error["error"]) == (4, "AlreadyBilled")


def test_a_crash_between_the_file_and_the_chain(
    run: Run,
    submitting: Words,
    case: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    suite: MedProof,
    clinic: LocalSigner,
) -> None:
    """What opens the commitment is written first: nothing on the chain is ever without it."""
    from medproof.client.claim_anchor import ClaimAnchor

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ClaimAnchor, "submit", crash)
        assert run(*submitting).code == 130
    kept = Case.from_json((here / case).read_bytes()).anchored()
    assert status_of(run, case)[0]["status"] == "not submitted"
    taken = rpc(suite.chain, "evm_snapshot")
    suite.claim_anchor.submit_batch(ClaimBatch(((kept.claim, kept.rules),)), sender=clinic)
    assert status_of(run, case)[0]["status"] == "in a batch"
    assert run(*submitting).code == 4
    rpc(suite.chain, "evm_revert", taken)
    assert run(*submitting).code == 0
    assert status_of(run, case)[0]["status"] == "submitted"


def test_pended_answered_decided_appealed_settled(
    run: Run, submitted: str, decision: str, provider: Words, as_payer: Words, relayed: Words, here: Path
) -> None:
    asked, told, why = (text(here, f"{name}.txt", name) for name in ("request", "reply", "grounds"))
    assert run("claims", "pend", submitted, "--request", asked, *as_payer).code == 0
    assert status_of(run, submitted)[0]["owed_by"] == "provider"
    assert run("claims", "answer", submitted, "--reply", told, *provider, *relayed).code == 0
    denied = {**to_json(response(claim())), "outcome": "denied"}
    (here / "denied.json").write_text(json.dumps(denied))
    said = run("claims", "adjudicate", submitted, "--response", "denied.json", *as_payer)
    assert "Outcome: denied, under rules 1." in said.out
    assert run("claims", "appeal", submitted, "--grounds", why, *provider, *relayed).code == 0
    overturned = ("claims", "decide", submitted, "--overturn", "--response", decision, *as_payer)
    assert run(*overturned).code == 0
    agreed = run("claims", "settle", submitted, *provider, "--out", "clinic.agreement")
    assert agreed.out.startswith("Agreed to as provider, and not sent yet")
    assert run("claims", "settle", submitted, "--agreement", "clinic.agreement", *as_payer).code == 0
    (row,) = status_of(run, submitted)
    assert (row["status"], row["outcome"], row["paid"]) == ("settled", "partial", True)
    kept = Case.from_json((here / submitted).read_bytes())
    assert [paper.step for paper in kept.papers] == ["pend", "answer", "appeal"]
    assert run("claims", "void", submitted, *provider).code == 4  # once settled, the payer agrees too
    assert run("claims", "void", submitted, *as_payer, "--out", "payer.agreement").code == 0
    assert run("claims", "void", submitted, "--agreement", "payer.agreement", *provider).code == 0
    counted = run("claims", "stats", submitted, "--json").document
    assert counted["by_status"] == [{"status": "voided", "outcome": "partial", "claims": 1}]


def test_a_patient_appeals_and_agrees_by_her_wallet(
    run: Run,
    submitting: Words,
    case: str,
    decision: str,
    provider: Words,
    as_payer: Words,
    me: Words,
    pseudonym: LocalSigner,
    relayed: Words,
    here: Path,
    keys: Path,
) -> None:
    (here / "signing.json").write_text(json.dumps({"name": "Plan 8"}))
    published = ("--from", "2020-01-01", "--plan", 8, "--patient-signs", "--days-to-appeal", 30)
    assert run("claims", "rules", "signing.json", *published, *as_payer).code == 0
    assert run(*submitting, "--plan", 8, "--patient", pseudonym.address).code == 0
    assert run("claims", "adjudicate", case, "--response", decision, *as_payer).code == 0
    (row,) = status_of(run, case)
    assert (row["owed_by"], row["appeal_until"] > row["appeal_from"]) == ("payer", True)
    clinic, hers = (f"{name}.agreement" for name in ("clinic", "hers"))
    assert run("claims", "settle", case, *provider, "--out", clinic).code == 0
    alone = run("claims", "settle", case, "--agreement", clinic, *as_payer)
    assert alone.code == 4  # without her
    late = run("claims", "settle", case, *me, "--lifetime", 100, "--out", hers)
    assert late.out.startswith("Agreed to as patient")
    unlike = run("claims", "settle", case, "--agreement", clinic, "--agreement", hers, *as_payer)
    assert (unlike.code, "different deadlines" in unlike.err) == (2, True)
    assert run("claims", "settle", case, *me, "--agreement", clinic, "--out", hers).code == 0  # with the clinic's
    assert run("claims", "appeal", case, "--grounds", text(here, "why.txt"), *me).code == 2  # she has no ether
    both = ("claims", "settle", case, "--agreement", clinic, "--agreement", hers, *as_payer)
    assert run("claims", "appeal", case, "--grounds", text(here, "why.txt"), *me, *relayed).code == 0
    assert run(*both).code == 4  # while it is appealed
    assert run("claims", "decide", case, "--uphold", "--response", decision, *as_payer).code == 0
    assert run(*both).code == 0
    assert run("claims", "audit", case, "--out", "evidence.json").code == 0
    assert f"patient {pseudonym.address}" in run("verify", "evidence.json").out


def test_one_changes_a_case_at_a_time(run: Run, submitted: str, as_payer: Words, here: Path) -> None:
    asked = text(here, "request.txt")
    (here / f".{submitted}.new").touch()  # another does
    said = run("claims", "pend", submitted, "--request", asked, *as_payer, "--json")
    assert (said.code, "is being changed by another" in said.error["message"]) == (2, True)
    (here / f".{submitted}.new").unlink()
    kept = (here / submitted).read_bytes()
    assert run("claims", "pend", submitted, "--request", asked, *as_payer).code == 0
    assert (here / submitted).read_bytes() != kept
    assert not (here / f".{submitted}.new").exists()


def test_a_case_that_came_meanwhile_keeps_its_salt(here: Path) -> None:
    first, second = Case.open(claim()), Case.open(claim())
    assert new_case(Output(as_json=True), here / "a.case", first)
    assert not new_case(Output(as_json=True), here / "a.case", second)
    assert load_case(here / "a.case") == first


def test_a_step_that_somebody_else_sends(
    run: Run,
    submitting: Words,
    case: str,
    decision: str,
    provider: Words,
    as_payer: Words,
    relayed: Words,
    here: Path,
    clinic: LocalSigner,
) -> None:
    """Its owner agrees in a file and needs no ether; whoever has it sends it, and alters nothing."""
    assert run(*submitting, "--out", "agreed").code == 0
    assert status_of(run, case)[0]["status"] == "not submitted"
    command = [word for word in submitting if word not in provider]
    assert run(*command, "--provider", clinic.address, "--agreement", "agreed", *relayed).code == 0
    assert status_of(run, case)[0]["status"] == "submitted"
    why = text(here, "why.txt")
    steps = (
        ("adjudicate", ("--response", decision), as_payer),
        ("appeal", ("--grounds", why), provider),
        ("decide", ("--uphold", "--response", decision), as_payer),
    )
    for name, words, owner in steps:
        assert run("claims", name, case, *words, *owner, "--out", "agreed").code == 0
        assert run("claims", name, case, *words, "--agreement", "agreed", *relayed).code == 0, name
    assert status_of(run, case)[0]["status"] == "upheld"
    nobody = run("claims", "void", case, *relayed)
    assert (nobody.code, nobody.err.count("StepNotYours")) == (4, 1)


def test_a_case_of_another_chain(run: Run, submitted: str, as_payer: Words, decision: str, here: Path) -> None:
    kept = json.loads((here / submitted).read_text())
    kept["anchor"]["chainId"] = 1
    (here / submitted).write_text(json.dumps(kept))
    for words in (("status",), ("settle", *as_payer), ("adjudicate", "--response", decision, *as_payer)):
        said = run("claims", words[0], submitted, *words[1:], "--json")
        assert (said.code, "on chain 1" in said.error["message"]) == (2, True)


def test_a_step_taken_twice_is_said_and_a_step_out_of_turn_explained(
    run: Run, submitted: str, decision: str, provider: Words, as_payer: Words, here: Path
) -> None:
    deciding = ("claims", "adjudicate", submitted, "--response", decision, *as_payer)
    early = run("claims", "settle", submitted, *provider, "--out", "agreement")
    assert (early.code, "is submitted, with the outcome none" in early.err) == (2, True)
    assert not (here / "agreement").exists()
    assert run(*deciding).code == 0
    again = run(*deciding, "--json")
    assert (again.code, again.document["step"], again.document["sent"]) == (0, "adjudicate", None)
    (here / "other.json").write_text(json.dumps({**to_json(response(claim())), "outcome": "denied"}))
    other = run("claims", "adjudicate", submitted, "--response", "other.json", *as_payer)
    assert (other.code, "The claim is adjudicated, see" in other.err) == (4, True)
    assert run("claims", "settle", submitted, *provider, "--out", "agreement").code == 0
    for _ in range(2):
        assert run("claims", "settle", submitted, "--agreement", "agreement", *as_payer).code == 0
    assert status_of(run, submitted)[0]["status"] == "settled"


def test_an_agreement_to_something_else_is_not_sent(
    run: Run, approved: str, provider: Words, as_payer: Words, here: Path
) -> None:
    assert run("claims", "settle", approved, *provider, "--out", "agreement").code == 0
    said = json.loads((here / "agreement").read_text())
    for name, value in (
        ("step", "void"),
        ("claim", "0x" + "11" * 32),
        ("content", "0x" + "11" * 32),
        ("role", "judge"),
        ("format", "x"),
        ("more", 1),
    ):
        (here / "agreement").write_text(json.dumps({**said, name: value}))
        told = run("claims", "settle", approved, "--agreement", "agreement", *as_payer, "--json")
        assert (told.code, told.error["error"]) == (2, "AgreementError"), name
    (here / "agreement").write_text(json.dumps({**said, "signature": said["signature"][:-4] + "001b"}))
    assert run("claims", "settle", approved, "--agreement", "agreement", *as_payer).code == 4
    assert status_of(run, approved)[0]["status"] == "adjudicated"


def test_a_step_is_its_owners(run: Run, submitted: str, keys: Path, decision: str, relayed: Words) -> None:
    stranger = ("--keystore", str(keys / "2.json"))
    said = run("claims", "adjudicate", submitted, "--response", decision, *stranger, *relayed, "--json")
    assert (said.code, said.error["error"]) == (2, "OptionError")
    assert run("claims", "adjudicate", submitted, "--response", decision, *stranger).code == 4


def test_replaced(run: Run, submitted: str, provider: Words, here: Path, suite: MedProof) -> None:
    (here / "b.case").write_text(json.dumps(Case.open(claim(number="A-100-7", lines=3)).to_json()))
    said = run("claims", "replace", submitted, "--by", "b.case", "--keyring", "consortium.keys", *provider)
    assert said.code == 0, said.err
    rows = status_of(run, submitted, "b.case")
    assert [row["status"] for row in rows] == ["replaced", "submitted"]


def test_a_service_billed_under_a_lost_key_is_not_billed_under_the_new_one(
    run: Run, submitted: str, submitting: Words, provider: Words, here: Path
) -> None:
    ring = Keyring.load(here / "consortium.keys")
    ring.replaced(1).save(here / "consortium.keys")
    for name, bill in (("again", claim(number="B-1")), ("other", claim(number="B-2", lines=3))):
        (here / f"{name}.case").write_text(json.dumps(Case.open(bill).to_json()))
    again = run(*("again.case" if word == submitted else word for word in submitting))
    assert (again.code, "was billed under an earlier key" in again.err) == (2, True)
    assert run(*("other.case" if word == submitted else word for word in submitting)).code == 0
    by_keys = ("--by", "again.case", "--keyring", "consortium.keys", *provider)
    stolen = run("claims", "replace", "other.case", *by_keys)
    assert (stolen.code, "was billed under an earlier key" in stolen.err) == (2, True)
    assert run("claims", "replace", submitted, *by_keys).code == 0  # its own, under the new key from now on
    assert [row["status"] for row in status_of(run, submitted, "again.case")] == ["replaced", "submitted"]


@pytest.mark.parametrize("forged", ["nullifier", "soft_key"])
def test_keys_that_are_not_the_services_are_denied_at_most(
    run: Run,
    submitting: Words,
    case: str,
    here: Path,
    suite: MedProof,
    as_payer: Words,
    clinic: LocalSigner,
    forged: str,
) -> None:
    """The contract takes whatever 32 bytes a provider gives: one that bills twice draws them anew."""
    held, keys = load_case(here / case), Keyring.load(here / "consortium.keys")
    assert run(*submitting).code == 0
    anchor = load_case(here / case).anchored()
    other = replace(anchor.claim, **{"nullifier": b"\x0a" * 32, forged: b"\x0b" * 32})
    suite.claim_anchor.submit(other, anchor.rules, sender=clinic)
    (here / "forged.case").write_text(json.dumps(replace(held, anchor=replace(anchor, claim=other)).to_json()))
    bill = claim()
    for name, outcome in (("approved", ClaimOutcome.APPROVED), ("denied", ClaimOutcome.DENIED)):
        (here / f"{name}.json").write_text(json.dumps(to_json(replace(response(bill), outcome=outcome))))
    for words in (
        ("forged.case", "--response", "approved.json"),
        (case, "--encounter", "E-9", "--response", "approved.json"),
    ):
        said = run("claims", "adjudicate", *words, "--keyring", "consortium.keys", *as_payer)
        assert (said.code, "has another nullifier or soft key" in said.err) == (2, True)
    assert load_case(here / "forged.case").responses == ()
    denied = ("forged.case", "--response", "denied.json", "--keyring", "consortium.keys", *as_payer)
    assert run("claims", "adjudicate", *denied).code == 0
    keys.replaced(1).save(here / "consortium.keys")  # what was billed under a lost key stays what it is
    good = (case, "--response", "approved.json", "--keyring", "consortium.keys", *as_payer)
    assert run("claims", "adjudicate", *good).code == 0


def test_rules_that_were_not_in_force_approve_nothing(
    run: Run, submitting: Words, case: str, here: Path, as_payer: Words, decision: str
) -> None:
    (here / "later.json").write_text(json.dumps({"name": "Plan 9"}))
    assert run("claims", "rules", "later.json", "--from", "2026-03-03", "--plan", 9, *as_payer).code == 0
    assert run(*submitting, "--rules", 2).code == 0
    said = run("claims", "adjudicate", case, "--response", decision, *as_payer)
    assert (said.code, "not in force on its day of service" in said.err) == (2, True)


def test_a_claim_that_voids_is_not_submitted(run: Run, submitting: Words, case: str, here: Path) -> None:
    void = replace(claim(), frequency=Frequency.VOID, original="P-1")
    (here / case).write_text(json.dumps(Case.open(void).to_json()))
    said = run(*submitting)
    assert (said.code, "medproof claims void" in said.err) == (2, True)


def test_a_payer_is_not_deceived_about_the_claim(
    run: Run, submitted: str, decision: str, as_payer: Words, here: Path
) -> None:
    """Its case must open what is on the chain."""
    kept = json.loads((here / submitted).read_text())
    kept["claim"]["total"]["amount"] = "1.00"
    (here / "forged.case").write_text(json.dumps(kept))
    said = run("claims", "adjudicate", "forged.case", "--response", decision, *as_payer, "--json")
    assert (said.code, said.error["error"]) == (2, "CaseError")
    assert "1.00" not in said.err


def test_what_cannot_be_submitted(
    run: Run, case: str, rules: str, payer: LocalSigner, provider: Words, here: Path, clinic: LocalSigner
) -> None:
    command = ("claims", "submit", case, "--keyring", "consortium.keys", *provider, "--json")
    for more, why in (
        (("--payer", "0x12"), "which is no address"),
        (("--payer", clinic.address), "has no rules on the day of service"),
        (("--payer", payer.address, "--plan", 9), "has no rules on the day of service"),
        (("--payer", payer.address, "--registration", "0x12"), "is no hash"),
    ):
        said = run(*command, *more)
        assert (said.code, why in said.error["message"]) == (2, True), said.err
    assert run(*command, "--payer", payer.address, "--rules", 7).code == 4  # none of this number
    (here / "no.case").write_text("{}")
    assert (
        run("claims", "submit", "no.case", "--keyring", "consortium.keys", "--payer", payer.address, *provider).code
        == 2
    )
    assert run("claims", "audit", case, "--out", "evidence.json").code == 2
    assert run("claims", "status", here).code == 2
    (here / "no.case").unlink()
    assert run("claims", "status", here).code == 0
    assert run("claims", "status", here / "deployments").code == 2


def test_rules_stand_once(run: Run, rules: str, as_payer: Words, payer: LocalSigner) -> None:
    again = run("claims", "rules", rules, "--from", "2020-01-01", *as_payer, "--json")
    assert (again.document["unchanged"], again.document["number"]) == (True, 1)
    assert again.document["hash"] == "0x" + keccak(hashing.canonical(dict(RULES))).hex()
    more = run("claims", "rules", rules, "--from", "2090-01-01", *as_payer)
    assert more.out.startswith(f"Rules 2 of {payer.address} are published")


# -- review ------------------------------------------------------------------------------------------------------


def test_flags(run: Run, submitted: str, submitting: Words, here: Path, as_payer: Words) -> None:
    """Another service of the same patient, day and total: its nullifier differs, its soft key does not."""

    other = claim(number="B-2")
    lines = tuple(replace(one, places=one.service) for one in other.lines)
    (here / "b.case").write_text(json.dumps(Case.open(replace(other, lines=lines)).to_json()))
    alike = run(*("b.case" if word == submitted else word for word in submitting))
    assert alike.code == 0, alike.err
    assert run("claims", "flags").out == "No flags.\n"
    assert run("claims", "flag", submitted, "b.case", *as_payer).code == 0
    assert "Flagged already: raised" in run("claims", "flag", submitted, "b.case", *as_payer).out
    (row,) = run("claims", "flags", "--raised", "--case", submitted, "--case", "b.case", "--json").document["flags"]
    assert (row["status"], row["earlier_case"], row["later_case"]) == ("raised", submitted, "b.case")
    why = text(here, "why.txt", "Two visits.")
    decided = ("claims", "review", submitted, "b.case", "--clear", "--reason", why, *as_payer)
    assert run(*decided).out.startswith("Cleared, in block")
    assert run(*decided).out.startswith("Cleared already")
    assert run("claims", "flags", "--raised", "--json").document["flags"] == []
    assert run("claims", "flags", "--json").document["flags"][0]["status"] == "cleared"


def test_stats_of_the_chain(run: Run, approved: str, payer: LocalSigner, clinic: LocalSigner) -> None:
    wanted = [{"status": "adjudicated", "outcome": "partial", "claims": 1}]
    for words in ((), ("--payer", payer.address), ("--provider", clinic.address)):
        assert run("claims", "stats", *words, "--json").document["by_status"] == wanted
    assert run("claims", "stats", "--payer", clinic.address, "--json").document["claims"] == 0
    assert run("claims", "stats").out.endswith("1 claims, 0 of them with a step that their payer took late.\n")
    assert run("claims", "stats", approved, "--payer", payer.address).code == 2


# -- evidence ----------------------------------------------------------------------------------------------------


def test_evidence(run: Run, approved: str, here: Path, suite: MedProof, rules: str) -> None:
    said = run("claims", "audit", approved, "--rules", rules, "--show", "lines[0].service", "--out", "evidence.json")
    assert said.code == 0, said.err
    newest = suite.chain.block().hash
    offline = ("--network", "http://127.0.0.1:1")
    told = run("verify", "evidence.json", "--block-hash", newest, *offline)
    assert told.code == 0, told.out
    assert "is adjudicated, partial, and its service counts as billed by it." in told.out
    assert "They were in force on the day of service." in told.out
    assert 'lines[0].service[0] is {"code":"99213"' in told.out
    as_json = run("verify", "evidence.json", *offline, "--json").document
    assert (as_json["verified"], as_json["status"], as_json["rules"]["in_force"]) == (True, "adjudicated", True)
    assert sorted(as_json["disclosed"]) == ["end", "lines[0].service", "lines[0].service[0]", "start"]
    assert not any(one["known"] for one in as_json["blocks"])

    manifest = next((here / "deployments" / "local").iterdir())
    assert "--deployment tells" not in run("verify", "evidence.json", "--deployment", manifest).out
    forged = json.loads(manifest.read_text())
    forged["contracts"]["ClaimAnchor"]["address"] = suite.registrar.address
    (here / "other.json").write_text(json.dumps(forged))
    elsewhere = run("verify", "evidence.json", "--deployment", "other.json", "--json")
    assert (elsewhere.code, elsewhere.document["part"]) == (1, "contract")

    other = run("verify", "evidence.json", "--block-hash", "0x" + "11" * 32, "--json")
    assert (other.code, other.document["part"]) == (1, "state")
    written = json.loads((here / "evidence.json").read_text())
    written["disclosure"]["fields"][0]["value"] = "2026-03-03"
    (here / "altered.json").write_text(json.dumps(written))
    altered = run("verify", "altered.json")
    assert (altered.code, "start does not belong" in altered.out) == (1, True)
    (here / "short.json").write_text((here / "evidence.json").read_text()[:-100])
    assert run("verify", "short.json").code == 2
    assert run("verify", "evidence.json", "--block-hash", "0x11").code == 2


def test_who_has_the_plan_decides_again(run: Run, here: Path, submitting: Words, case: str, as_payer: Words) -> None:
    """The plan's hash is on the chain; claim and response open their commitments; the rest is arithmetic."""
    plan = Plan(
        "Example",
        DAY - timedelta(days=900),
        "USD",
        ((Names().code(Code(CPT, "99213"), ""), Decimal("100.00")),),
        deductible=Decimal("150.00"),
        copay=Decimal("0.00"),
    )
    (here / "plan.json").write_text(json.dumps(plan.to_json()))
    published = ("--from", plan.valid_from, "--plan", 3)
    assert run("claims", "rules", "plan.json", *published, *as_payer).code == 0
    assert run(*submitting, "--plan", 3).code == 0
    (here / "rules.json").write_text(json.dumps({**plan.to_json(), "deductible": "0.00"}))
    another = run("claims", "adjudicate", case, "--plan", "rules.json", *as_payer, "--json")
    assert (another.code, "which the claim's rules do not have" in another.error["message"]) == (2, True)
    neither = run("claims", "adjudicate", case, *as_payer)
    assert neither.code == 2
    assert run("claims", "adjudicate", case, "--plan", "plan.json", *as_payer).code == 0
    audit = ("claims", "audit", case, "--rules", "plan.json", "--whole", "--out", "evidence.json")
    assert run(*audit).code == 0
    told = run("verify", "evidence.json")
    assert "The plan, for the year's first claim, gives just what is shown of the response." in told.out
    assert run("verify", "evidence.json", "--json").document["recomputed"] is True

    earlier = Case.open(claim(number="A-1"))
    decided, _ = earlier.with_response(adjudicate(claim(number="A-1"), plan, History(DAY.year)))
    (here / "earlier.case").write_text(json.dumps(decided.to_json()))
    (here / "b.case").write_text(json.dumps(Case.open(claim(number="A-2", lines=1)).to_json()))
    assert run(*("b.case" if word == case else word for word in submitting), "--plan", 3).code == 0
    by_history = ("claims", "adjudicate", "b.case", "--plan", "plan.json", "--history", "earlier.case", *as_payer)
    assert run(*by_history).code == 0
    paid = Case.from_json((here / "b.case").read_bytes()).responses[-1].content.paid
    assert paid is not None
    assert str(paid.amount) == "100.00"  # nothing of the deductible is left
    assert run(*(word if word != case else "b.case" for word in audit)).code == 0
    assert run("verify", "evidence.json", "--json").document["recomputed"] is False  # by itself it would be


def test_evidence_without_dates(run: Run, submitted: str, here: Path) -> None:
    assert run("claims", "audit", submitted, "--no-dates", "--out", "evidence.json").code == 0
    assert json.loads((here / "evidence.json").read_text())["disclosure"] is None
    told = run("verify", "evidence.json")
    assert "Whether they were in force on the day of service is not shown." in told.out
    assert run("claims", "audit", submitted, "--show", "name", "--out", "evidence.json").code == 2


def test_a_log_in_a_contract_of_somebodys_own_is_not_believed(
    run: Run, here: Path, submitted: str, suite: MedProof, clinic: LocalSigner
) -> None:
    """Whatever it emits, under the name of whatever publisher."""
    kept = Case.from_json((here / submitted).read_bytes())
    log = ClaimEventLog(here / "log.db")
    log.append([ClaimEntry.step(ClaimEvent(ClaimStep.SUBMITTED, kept.commitment, b"\2" * 32, datetime.now(UTC)))])
    log.settle(suite, clinic.address)
    Anchorer(suite, log.leaves, clinic, trouble=print).work()
    log.close()
    assert run("claims", "audit", submitted, "--log", "log.db", "--out", "evidence.json").code == 0
    assert f"in {suite.batch_anchor.address}: entry 0 of 1 in log 4" in run("verify", "evidence.json").out
    manifest = next((here / "deployments" / "local").iterdir())
    assert run("verify", "evidence.json", "--deployment", manifest).code == 0
    forged = json.loads(manifest.read_text())
    forged["contracts"]["BatchAnchor"]["address"] = suite.registrar.address
    (here / "other.json").write_text(json.dumps(forged))
    elsewhere = run("verify", "evidence.json", "--deployment", "other.json", "--json")
    assert (elsewhere.code, elsewhere.document["part"]) == (1, "log")


def test_the_proof_of_an_event(run: Run, here: Path, suite: MedProof, clinic: LocalSigner) -> None:
    log = ClaimEventLog(here / "log.db")
    events = [ClaimEvent(step, b"\1" * 32, b"\2" * 32, datetime(2026, 1, 1, tzinfo=UTC)) for step in ClaimStep]
    log.append(ClaimEntry.step(event) for event in events)
    log.settle(suite, clinic.address)
    Anchorer(suite, log.leaves, clinic, trouble=print).work()
    proof = log.prove(3).to_json()
    log.close()
    (here / "event.json").write_text(json.dumps(proof))
    assert run("verify", "event.json").out.startswith(f"Verified: it is in a log of {len(events)}")
    proof["event"]["step"] = "voided"  # type: ignore[call-overload,index]
    (here / "event.json").write_text(json.dumps(proof))
    said = run("verify", "event.json", "--json")
    assert (said.code, said.document["verified"]) == (1, False)
    (here / "reading.json").write_text('{"reading": {}, "leaf": null}')
    assert run("verify", "reading.json").code == 2


def test_whatever_is_shown_is_recognised(
    run: Run, here: Path, granted: str, me: Words, provider: Words, case: str
) -> None:
    assert run("consent", "receipt", granted, *me, "--out", "receipt.json").code == 0
    assert run("verify", "receipt.json").out.startswith("Genuine.")
    (here / "lines.csv").write_text("one\ntwo\n")
    assert run("anchor", "append", "lines.csv", "--lines", "--log", "log.db", *provider).code == 0
    assert run("anchor", "prove", "lines.csv", "--line", 2, "--log", "log.db", "--out", "proof.json").code == 0
    assert run("verify", "proof.json").out.startswith("Proved: entry 1 of 2")
    assert run("verify", "proof.json", "--block-hash", "0x" + "11" * 32).code == 2
    assert "medproof claims audit" in run("verify", case).err
    (here / "copy.jsonl").write_text('{"promise":{}}\n{"promise":{}}\n')
    assert "medproof access verify" in run("verify", "copy.jsonl").err
    for content in ("{}", "[]", "no JSON", ""):
        (here / "other").write_text(content)
        assert run("verify", "other").code == 2
    assert run("verify", "nowhere").code == 2


# -- visits ------------------------------------------------------------------------------------------------------


def test_a_visit_is_registered_before_it_is_billed(
    run: Run,
    here: Path,
    keys: Path,
    case: str,
    as_payer: Words,
    provider: Words,
    clinic: LocalSigner,
    payer: LocalSigner,
) -> None:
    (here / "rules.json").write_text(json.dumps(RULES))
    assert run("claims", "rules", "rules.json", "--from", "2020-01-01", "--registered", *as_payer).code == 0
    assert run("claims", "keyring", "consortium.keys").code == 0
    by_wallet = ("--wallet", str(keys / "seed.txt"))
    said = run("claims", "visit", clinic.address, *by_wallet, "--relay-as", str(keys / "1.json"), "--json")
    assert said.code == 0, said.err
    visit = said.document
    assert visit["sent"]["gas_used"] > 0
    submitting = ("claims", "submit", case, "--payer", payer.address, "--keyring", "consortium.keys", *provider)
    unknown = run(*submitting, "--patient", visit["patient"], "--registration", "0x" + "11" * 32)
    assert (unknown.code, "registered" in unknown.err) == (4, True)
    said = run(*submitting, "--patient", visit["patient"], "--registration", visit["registration"])
    assert said.code == 0, said.err
    again = run("claims", "visit", clinic.address, *by_wallet, "--registration", visit["registration"])
    assert (again.code, again.out) == (0, "This visit is registered already.\n")


def test_a_visit_that_nobody_pays_for_is_handed_over(run: Run, here: Path, keys: Path, clinic: LocalSigner) -> None:
    by_wallet = ("--wallet", str(keys / "seed.txt"))
    said = run("claims", "visit", clinic.address, *by_wallet, "--out", "visit.json")
    assert said.code == 0, said.err
    [message] = json.loads((here / "visit.json").read_text())
    assert message["function"] == "registerEncounter"
    assert run("claims", "visit", clinic.address, *by_wallet, "--registration", "0x12").code == 2
    assert run("claims", "visit", "0x12", *by_wallet).code == 2
