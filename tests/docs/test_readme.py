"""The README is true: its code runs, its figures are the measured ones, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from eth_account import Account

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.hashing import new_salt
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner, NodeSigner
from medproof.wallet import Wallet
from scripts.local_chain import ROOT, LocalChain

README = (ROOT / "README.md").read_text(encoding="utf-8")
OBSERVATION = ROOT / "node_modules" / "hl7.fhir.r4.examples" / "Observation-f001.json"
SEPOLIA = 11155111
PASSWORD = "only for this test"
ROWS = {
    "grant a rule": "grant",
    "change a rule": "change",
    "revoke a rule": "revoke",
    "grant, signed by the patient, her first": "grant_signed",
    "the same in a batch of 100 patients, each": "grant_signed_batch_100_each",
    "grant, in a batch of 100 by one patient, each": "grant_batch_100_each",
    "post a pointer": "post_pointer",
    "submit a claim": "claim_submit",
    "check a permission (execution)": "is_permitted_execution",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clinic, reader = LocalSigner.from_key(new_salt()), LocalSigner.from_key(new_salt())
    key = new_salt()
    clinic = LocalSigner.from_key(key)
    Path("clinic.json").write_text(json.dumps(Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=2)))
    shutil.copy(OBSERVATION, "observation.json")
    # A chain with Sepolia's number and a block a second: the network's three confirmations are waited for.
    with LocalChain(options={"chain": {"chainId": SEPOLIA}, "miner": {"blockTime": 1}}) as local:
        monkeypatch.setenv("MEDPROOF_SEPOLIA_URL", local.url)
        chain = Chain.connect(local.url)
        funder = NodeSigner(chain.web3.eth.accounts[0])
        deployment = deploy(chain, funder, manifest=f"deployments/{SEPOLIA}.json")
        suite = MedProof(chain, deployment, sender=funder)
        chain.wait(chain.send({"to": clinic.address, "value": 10**18}, sender=funder))
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        suite.registrar.accredit(clinic.address, PartyKind.PROVIDER, credential=new_salt(), valid_until=tomorrow)
        wallet, _ = Wallet.create()
        names = {
            "password": PASSWORD,
            "subject": wallet.pseudonym(clinic.address).address,
            "reader": reader.address,
        }

        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)

        posted = list(suite.record_pointers.keys_of(names["subject"]))
        assert [one.commitment for one in posted] == [names["sealed"].commitment]
        assert names["decision"].reason.name == "INACTIVE_PARTY"


def test_figures_are_the_measured_ones() -> None:
    measured = json.loads((ROOT / "bench" / "results" / "gas.json").read_text(encoding="utf-8"))["operations"]
    for label, operation in ROWS.items():
        cells = next(line for line in README.splitlines() if line.startswith(f"| {label} |")).split("|")[2:6]
        shown = [None if cell.strip() == "-" else int(cell.replace(",", "")) for cell in cells]
        assert shown == [measured[operation][column] for column in ("gas", "floor", "eas", "medrec")], label


def test_links_lead_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_is_short_and_shows_a_session_early() -> None:
    lines = README.splitlines()

    assert len(lines) <= 135
    assert lines.index("$ make demo") < 40
