"""The sessions in docs/cli.md, in docs/first-steps.md and in the README run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partialmethod
from pathlib import Path

import pytest

from medproof.claims import Code
from medproof.claims.names import Names
from medproof.claims.plan import Plan
from medproof.client import MedProof
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from scripts.demo_token import deploy_token
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.cli.test_exchange import LAB, permitting
from tests.sdk.conftest import CREDENTIAL, funded
from tests.sdk.prescriptions.conftest import SYRUP
from tests.sdk.store.examples import EXAMPLES

PLAN = Plan(
    "Example",
    date(2010, 1, 1),
    "USD",
    ((Names().code(Code("http://hl7.org/fhir/ex-serviceproduct", "exam"), ""), Decimal("100.00")),),
    deductible=Decimal("0.00"),
    copay=Decimal("0.00"),
    coinsurance=Decimal("0.2"),
)


def steps(document: str) -> Iterator[tuple[str, str]]:
    """Each command of the console blocks, with the output that follows it."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalSigner, "to_keystore", partialmethod(LocalSigner.to_keystore, cost=2))


@pytest.fixture
def session(here: Path, run: Run, keys: Path, monkeypatch: pytest.MonkeyPatch, clinic: LocalSigner) -> Run:
    """What a reader of the documents has in front of her."""
    shutil.copy(keys / "seed.txt", here)
    shutil.copy(keys / "7.json", here / "relayer.json")
    shutil.copy(keys / "1.json", here / "clinic.json")
    shutil.copy(keys / "2.json", here / "lab.json")
    (here / "consent.json").write_text(json.dumps(permitting(LAB)))
    shutil.copy(keys / "6.json", here / "meter.json")
    shutil.copy(EXAMPLES / "Observation-blood-pressure.json", here / "observation.json")
    shutil.copy(keys / "3.json", here / "payer.json")
    shutil.copy(EXAMPLES / "Claim-960150.json", here / "claim.json")
    (here / "plan.json").write_text(json.dumps(PLAN.to_json()))
    (here / "why.txt").write_text("The whole charge was agreed on.")
    (here / "results.csv").write_text("first;6.30\nsecond;5.90\nthird;7.10\n")
    (here / "question.txt").write_text("Please repeat the blood count.\n")
    monkeypatch.setenv("MEDPROOF_ENCRYPTION_PASSWORD", "only for this test")
    monkeypatch.setenv("MEDPROOF_WALLET", "seed.txt")
    return run


def replay(document: str, run: Run, names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a document's commands and compare what they print. How many there were.

    `…` stands for anything in a line, and alone on a line for any number of them. `NAME=$(medproof …)` gives
    a name to what a command prints. What serves until it is stopped is left out.
    """
    count = 0
    for command, output in steps(document):
        for name, value in names.items():
            command = command.replace(f"${name}", value)
        named, command = inner.groups() if (inner := re.fullmatch(r"(\w+)=\$\((.*)\)", command)) else (None, command)
        program, *words = shlex.split(command, comments=True)
        if program == "export" and not words[0].startswith("MEDPROOF_NETWORK"):
            monkeypatch.setenv(*words[0].split("=", 1))
        elif program == "unset":
            monkeypatch.delenv(*words)
        elif program == "medproof" and words[:2] != ["gateway", "serve"]:
            said = run(*words)
            assert said.code == 0 or output, f"{command}\n{said.err}"  # a command that is to fail shows what it says
            if named is not None:
                names[named], output = said.out.strip(), "…\n"
            lines = (
                "(.*\n)+" if line == "…\n" else re.escape(line).replace("…", ".*") for line in output.splitlines(True)
            )
            pattern = "".join(lines)
            assert re.fullmatch(pattern, said.out), f"{command}\n{said.out}{said.err}"
            count += 1
    return count


def test_the_sessions_of_the_manual(
    session: Run,
    monkeypatch: pytest.MonkeyPatch,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
    pseudonym: LocalSigner,
    admin: LocalSigner,
    fresh_account: LocalSigner,
    payer: LocalSigner,
    suite: MedProof,
    far_day: date,
    here: Path,
) -> None:
    pharmacy = funded(10)
    kind, until = PartyKind.PHARMACY, far_day
    suite.registrar.accredit(pharmacy.address, kind, credential=CREDENTIAL, valid_until=until, sender=admin)
    (here / "corner.json").write_text(pharmacy.to_keystore(PASSWORD))
    (here / "request.json").write_text(json.dumps(SYRUP))
    (here / "authority.json").write_text(admin.to_keystore(PASSWORD))
    (here / "fresh.json").write_text(fresh_account.to_keystore(PASSWORD))
    (here / "licence.pdf").write_bytes(b"the licence")
    names = {
        "FRESH": fresh_account.address,
        "LAB": second_clinic.address,
        "CLINIC": clinic.address,
        "METER": patient.address,
        "PATIENT": pseudonym.address,
        "PAYER": payer.address,
        "PHARMACY": pharmacy.address,
    }

    assert replay("docs/cli.md", session, names, monkeypatch) == 60


@pytest.mark.ganache  # as in test_study.py
def test_the_session_of_a_study(
    session: Run,
    monkeypatch: pytest.MonkeyPatch,
    keys: Path,
    here: Path,
    suite: MedProof,
    clinic: LocalSigner,
    payer: LocalSigner,
    researcher: LocalSigner,
    pseudonym: LocalSigner,
    stranger: LocalSigner,
) -> None:
    shutil.copy(keys / "5.json", here / "institute.json")
    (here / "use.json").write_text('{"diseases": ["MONDO:0005148"], "ethics_approval": true}')
    (here / "protocol.pdf").write_bytes(b"what the study does")
    (here / "letter.pdf").write_bytes(b"approved")
    (here / "answer.json").write_text('{"mean": 6.1, "unit": "%"}')
    monkeypatch.setenv("MEDPROOF_RELAY_AS", "relayer.json")
    names = {
        "CLINIC": clinic.address,
        "INSTITUTE": researcher.address,
        "PATIENT": pseudonym.address,
        "FRESH": stranger.address,
        "TOKEN": deploy_token(suite.chain, payer).address,
        "UNTIL": datetime.fromtimestamp(suite.chain.timestamp() + 86400, UTC).date().isoformat(),
    }

    assert replay("docs/studies.md", session, names, monkeypatch) == 14


def test_the_first_steps(
    run: Run, here: Path, admin: LocalSigner, suite: MedProof, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "certificate.pdf").write_bytes(b"the certificate of accreditation")
    names = {"ADMIN": admin.address}

    assert replay("docs/first-steps.md", run, names, monkeypatch) == 7
    standing = suite.registrar.standing(names["CLINIC"])
    assert standing is not None
    assert standing.groups == (2,)


def test_the_session_of_the_readme(
    session: Run, granted: str, node: LocalChain, pseudonym: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"CLINIC": granted, "PATIENT": pseudonym.address, "NODE": node.url}

    assert replay("README.md", session, names, monkeypatch) == 3
