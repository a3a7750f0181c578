"""The command line as a person uses it: `run(…)` on the local chain, with key files and a seed phrase in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from typer.testing import CliRunner

from medproof.chain import Chain
from medproof.cli.app import app
from medproof.client import MedProof
from medproof.deployments import Deployment, verify
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from scripts.local_chain import LocalChain
from tests.sdk.conftest import MNEMONIC

PASSWORD = "only for this test"
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The JSON document on standard error."""
        return json.loads(self.err)


Run = Callable[..., Said]


@pytest.fixture(scope="session", autouse=True)
def put_together_once() -> Iterator[None]:
    """Typer puts all commands together for each run, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.testing._get_command))
        yield


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of the local chain's accounts, `1.json` for number 1, and a file with a seed phrase."""
    folder = tmp_path_factory.mktemp("keys")
    for number in range(1, 8):
        key = key_from_seed(seed_from_mnemonic(MNEMONIC, ""), f"m/44'/60'/0'/0/{number}")
        content = Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=2)
        (folder / f"{number}.json").write_text(json.dumps(content))
    (folder / "seed.txt").write_text(PHRASE + "\n")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: Deployment, node: LocalChain) -> Path:
    """A working folder with the manifest where deploy puts it, and the usual environment."""
    deployment.save(tmp_path / "deployments" / "local" / f"{deployment.chain_id}.json")
    monkeypatch.chdir(tmp_path)
    for name in ("SUBJECT", "WALLET", "KEYSTORE", "RELAY_AS", "QUEUE", "DEPLOYMENT", "SEED_PHRASE"):
        monkeypatch.delenv(f"MEDPROOF_{name}", raising=False)
    monkeypatch.setenv("MEDPROOF_NETWORK", node.url)
    monkeypatch.setenv("MEDPROOF_PASSWORD", PASSWORD)
    monkeypatch.setenv("MEDPROOF_RELAY_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(scope="session")
def verified(deployed: tuple[Chain, Deployment]) -> None:
    """The deployment was held against the chain; what a command does first takes longer than all else it does."""
    verify(*deployed)


@pytest.fixture
def run(here: Path, verified: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("consent", "grant", …)`: a command line, here."""

    monkeypatch.setattr("medproof.cli.session.verify", lambda chain, deployment: None)

    def command_line(*arguments: object, answer: str | None = None) -> Said:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=answer)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return Said(result.exit_code, result.stdout, result.stderr)

    return command_line


@pytest.fixture
def pseudonym(clinic: LocalSigner) -> LocalSigner:
    """The wallet's pseudonym for the clinic."""
    return Wallet(PHRASE).pseudonym(clinic.address)


@pytest.fixture
def me(keys: Path, clinic: LocalSigner) -> tuple[str, ...]:
    """Who the patient is: her wallet, and the custodian."""
    return ("--wallet", str(keys / "seed.txt"), "--custodian", clinic.address)


@pytest.fixture
def relayed(keys: Path) -> tuple[str, ...]:
    """Who pays: the relayer's key file."""
    return ("--relay-as", str(keys / "7.json"))


@pytest.fixture
def granted(
    run: Run, me: tuple[str, ...], relayed: tuple[str, ...], second_clinic: LocalSigner, suite: MedProof
) -> str:
    """The second clinic, which has a permit of the patient's for laboratory results."""
    grantee = second_clinic.address
    said = run("consent", "grant", grantee, "--purpose", "TREAT", "--class", "laboratory", *me, *relayed)
    assert said.code == 0, said.err
    return grantee
