"""`medproof x12`: the session of docs/x12.md, and what its commands refuse."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from medproof.claims.case import Case
from medproof.claims.document import read_claim, read_response
from medproof.claims.eligibility import EligibilityAttestation
from medproof.signing import LocalSigner
from medproof.x12 import EligibilityAnswer, read, read_claims
from scripts.local_chain import ROOT
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.cli.test_documents import replay
from tests.sdk.x12.interchanges import LINES, claim, interchange, professional, remittance
from tests.sdk.x12.test_eligibility import HEAD as ASKED
from tests.sdk.x12.test_eligibility import SUBSCRIBER as WHOM
from tests.sdk.x12.test_status import HEAD, SUBSCRIBER

PAID = ("CLP*A1*1*60.00*40**12*P-1", "SVC*HC:99213*60*40", "CAS*CO*45*20")


@pytest.fixture
def files(here: Path, payer: LocalSigner) -> Path:
    """What the session has in front of it."""
    bills = [(*claim("A1"), *LINES), (*claim("A2", frequency="7", original="P-7"), *LINES)]
    (here / "claims.837").write_bytes(professional(*bills))
    (here / "remittance.835").write_bytes(remittance(PAID, paid="40"))
    (here / "asked.276").write_bytes(interchange("276", *HEAD, *SUBSCRIBER))
    (here / "asked.270").write_bytes(interchange("270", *ASKED, *WHOM))
    (here / "payer.json").write_text(payer.to_keystore(PASSWORD))
    (here / "cases").mkdir()
    (bill,) = read_claims(professional([*claim("B7"), *LINES]))
    (here / "cases" / "b7.case").write_text(json.dumps(Case.open(bill).to_json()))
    return here


def test_the_session(files: Path, run: Run, clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDPROOF_PASSWORD", PASSWORD)
    assert replay("docs/x12.md", run, {"CLINIC": clinic.address}, monkeypatch) == 5
    word = EligibilityAttestation.from_json((files / "word.json").read_text())
    (answer,) = read(files / "said.271")
    assert isinstance(answer, EligibilityAnswer)
    assert answer.attestation == word.leaf
    for name in ("said.277", "said.271", "word.json"):
        assert (files / name).stat().st_mode & 0o077 == 0


def test_the_example_of_the_page(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "x12.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "docs/x12.md", "exec"), {})
    assert capsys.readouterr().out == "A1 []\nA2 ['unanswered']\n"


def test_all_that_was_read_as_json(files: Path, run: Run) -> None:
    first, second = run("x12", "show", "claims.837", "--json").document
    assert first["type"] == "Claim"
    assert [read_claim(one["content"]) for one in (first, second)] == list(read_claims(files / "claims.837"))
    (response,) = run("x12", "show", "remittance.835", "--json").document
    assert read_response(response["content"]).claim_number == "A1"
    assert run("x12", "show", "asked.270", "--json").document[0]["content"]["request"]["number"] == "E1"


def test_what_matches_is_the_exit_code(files: Path, run: Run) -> None:
    assert run("x12", "match", "claims.837", "remittance.835").code == 1
    said = run("x12", "match", "claims.837", "remittance.835", "--json")
    assert [one.get("findings") for one in said.document] == [None, ["unanswered"]]
    (files / "one.837").write_bytes(professional([*claim("A1"), *LINES]))
    assert run("x12", "match", "one.837", "remittance.835").code == 0


def test_a_table_shows_nobody(files: Path, run: Run) -> None:
    for name in ("claims.837", "remittance.835", "asked.276", "asked.270"):
        said = run("x12", "show", name)
        assert said.code == 0
        assert not any(secret in said.out for secret in ("ROE", "JANE", "M0001", "19700102"))


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("show", "none.837"), "FileError", "none.837"),
        (("show", "payer.json"), "InterchangeVersionError", "payer.json: ISA, segment 1,"),
        (("match", "remittance.835", "claims.837"), "InterchangeError", "claims.837: "),
        (("status", "claims.837", "cases", "--number", "1", "--reference", "R"), "OptionError", "asks after no claim"),
        (("status", "asked.276", "empty", "--number", "1", "--reference", "R"), "OptionError", "holds no file"),
        (("status", "asked.276", "cases", "--number", "1", "--reference", "A*B"), "ArgumentError", "BHT03"),
        (("eligibility", "asked.276"), "OptionError", "asks 0 questions"),
    ],
)
def test_refusals(files: Path, run: Run, clinic: LocalSigner, words: tuple[str, ...], error: str, said: str) -> None:
    (files / "empty").mkdir()
    rest: tuple[str, ...] = ("--out", "out") if words[0] in ("status", "eligibility") else ()
    if words[0] == "eligibility":
        rest += ("--provider", clinic.address, "--covered", "--originator", "1512345678", "--number", "1")
        rest += ("--reference", "R1", "--attestation", "word.json", "--keystore", "payer.json")
    refused = run("x12", *words, *rest, "--json")
    assert refused.code == 2
    assert refused.error["error"] == error
    assert said in refused.error["message"]
    assert not (files / "out").exists()


def test_nothing_is_shown_of_a_file_that_is_cut_off(files: Path, run: Run) -> None:
    shutil.copy(files / "claims.837", files / "cut.837")
    (files / "cut.837").write_bytes((files / "cut.837").read_bytes()[:-20])
    said = run("x12", "show", "cut.837")
    assert (said.code, said.out) == (2, "")
    assert "ends before GE" in said.err


def test_the_signed_word_is_not_lost_under_the_answer(files: Path, run: Run, clinic: LocalSigner) -> None:
    words = ("--provider", clinic.address, "--covered", "--originator", "1512345678", "--number", "1")
    both = ("--out", "answer", "--attestation", "./answer", "--reference", "R1", "--keystore", "payer.json")
    said = run("x12", "eligibility", "asked.270", *words, *both, "--json")
    assert (said.code, said.error["error"]) == (2, "OptionError")
    assert not (files / "answer").exists()
