"""The demo tells its story to the end, or says in a sentence why not; what fails shows in the exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from medproof import fhir
from medproof.chain import Chain
from medproof.policy.codes import Purpose
from scripts import demo
from scripts.demo import EXAMPLE_RECORDS, EXAMPLES, command_line
from scripts.local_chain import ROOT, LocalChain, tool_environment
from scripts.material import choose_claim, choose_records, load_all
from scripts.story import Story
from tests.sdk.archives import SYNTHEA, needs_synthea
from tests.sdk.conftest import funded

WITH_CHAIN = [sys.executable, str(ROOT / "scripts" / "local_chain.py"), "--"]
DEMO = [sys.executable, str(ROOT / "scripts" / "demo.py")]

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs HL7's R4 examples: run `make setup`")


@pytest.fixture(autouse=True)
def own_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MANIFEST", tmp_path / "manifest" / "demo.json")


@pytest.fixture
def url(node: LocalChain, chain: Chain) -> str:
    return node.url


def content(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def bundle(path: Path, *resources: Any) -> Path:
    path.write_text(
        json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]})
    )
    return path


def test_as_a_command() -> None:
    finished = subprocess.run([*WITH_CHAIN, *DEMO], capture_output=True, text=True, timeout=180)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "47 of 47 expectations held" in finished.stdout
    assert "✘" not in finished.stdout
    assert finished.stderr == ""


def test_own_bundle(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = bundle(
        tmp_path / "[bold]mine[0].json", *(content(name) for name in EXAMPLE_RECORDS[:3]), content("Claim-100150")
    )
    assert command_line(["--url", url, "--bundle", str(own)]) == 0
    output = capsys.readouterr().out
    assert "[bold]mine[0].json" in output.replace("\n", "")
    assert "3 FHIR records" in output


def test_records_and_claims_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    many = content("Observation-bmi")
    many |= {"id": "many", "performer": [{"reference": "Patient/another"}], "focus": [{"reference": "Patient/third"}]}
    bare = {key: value for key, value in content("Claim-100150").items() if key not in ("item", "billablePeriod")}
    bare |= {"id": "bare"}
    resources = load_all(
        bundle(
            tmp_path / "b.json", bare, content("Observation-bmi"), content("Patient-example"), content("Claim-100150")
        )
    )
    assert [one.resource_type for one in choose_records(resources, 8)] == ["Observation"]
    claim = choose_claim(resources)
    assert claim is not None
    assert claim.id == "100150"
    assert choose_claim(resources[:3]) is None


@needs_synthea
def test_synthea_patient(url: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(SYNTHEA) as bundles:
        first = sorted(name for name in bundles.namelist() if name.endswith(".json"))[0]
        (tmp_path / "patient.json").write_bytes(bundles.read(first))
    assert command_line(["--url", url, "--bundle", str(tmp_path / "patient.json")]) == 0


BAD: dict[str, Any] = {
    "no such file": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "no JSON": lambda path: path.write_text("patient,diagnosis\n"),
    "empty": lambda path: path.write_text(""),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\x01"),
    "no FHIR": lambda path: path.write_text('{"name": "package"}'),
    "a list": lambda path: path.write_text("[]"),
    "FHIR that is wrong": lambda path: path.write_text('{"resourceType": "Observation", "status": 5}'),
    "an empty bundle": lambda path: path.write_text('{"resourceType": "Bundle", "type": "collection"}'),
    "no patient's records": lambda path: bundle(path, content("Organization-f001"), content("Patient-example")),
}


@pytest.mark.parametrize("write", BAD.values(), ids=BAD.keys())
def test_bundle_that_cannot_be_told(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], write: Any) -> None:
    path = tmp_path / "bundle.json"
    write(path)
    assert command_line(["--url", url, "--bundle", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("The story stops: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err + captured.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "http://127.0.0.1:9"], "does not answer"),
        (["--url", "nowhere"], "no network's name"),
        (["--keystore", "/no/such/key.json"], "cannot be read"),
    ],
)
def test_chain_that_cannot_be_used(
    url: str, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDPROOF_PASSWORD", "x")
    assert command_line(["--url", url, *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("records", ["0", "-3", "many"])
def test_number_of_records_that_is_none(records: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line(["--url", "http://127.0.0.1:9", "--records", records])
    assert caught.value.code == 2
    assert "--records" in capsys.readouterr().err


def test_no_node_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CHAIN_URL", raising=False)
    with pytest.raises(SystemExit):
        command_line([])
    assert "make demo" in capsys.readouterr().err


def test_key_file_pays(node: LocalChain, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eth_account import Account

    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(funded(10)._account.key, "open", kdf="pbkdf2", iterations=2)))
    monkeypatch.setenv("MEDPROOF_PASSWORD", "open")
    assert demo.payer_of(chain, str(path)).address == funded(10).address


def test_expectations_that_fail(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the registry were asked for another purpose than the reader said, and as if tampering went unnoticed."""
    honest = Story._request

    def tampered(shared: Any, **changes: Any) -> Any:
        return honest(shared, **{"purposes": Purpose.HOPERAT, **changes})

    monkeypatch.setattr(Story, "_request", staticmethod(tampered))
    monkeypatch.setattr(fhir, "verify", lambda *arguments: True)
    assert command_line(["--url", url, "--records", "2"]) == 1
    output = capsys.readouterr().out
    assert "✘ each is refused for the right reason" in output
    assert "✘ the altered record no longer matches its commitment" in output
    assert "No health data." not in output


def test_interrupted(monkeypatch: pytest.MonkeyPatch, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Story, "_accept", interrupt)
    assert command_line(["--url", url, "--records", "1"]) == 130
    captured = capsys.readouterr()
    assert captured.err == "\nThe story was interrupted.\n"
    assert "Traceback" not in captured.out


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [*WITH_CHAIN, *DEMO], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "A patient's records" in line:
            break
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in errors
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    assert not list((ROOT / "deployments" / "local").glob(".*"))


# -- inside Brownie ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brownie_project() -> Iterator[Path]:
    """The project as Brownie sees it, without the contracts: the package brings them compiled.

    The contract tests compile them at the same time, in the project's own folder. Not in the folder of temporary
    files, which is in `.cache`: Brownie makes a module's name of a script's path and cannot import below a dot.
    """
    (ROOT / "build").mkdir(exist_ok=True)
    with TemporaryDirectory(dir=ROOT / "build", prefix="brownie_") as folder:
        project = Path(folder)
        for name in ("contracts", "interfaces"):
            (project / name).mkdir()
        for name in ("node_modules", ".cache", ".venv"):
            (project / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "scripts", project / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "brownie-config.yaml", project)
        yield project


@pytest.fixture(scope="module")
def brownie_chain() -> Iterator[LocalChain]:
    with LocalChain() as local:
        yield local


@pytest.fixture
def brownie(brownie_chain: LocalChain, brownie_project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``brownie run …`` on a chain, as `make brownie` runs it."""

    def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".venv" / "bin" / "brownie"), "run", script, "--network", "ganache-cli"],
            cwd=brownie_project,
            env={**tool_environment(brownie_chain), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_brownie_tells_the_story_of_one_record(brownie: Any) -> None:
    finished = brownie("demo", BUNDLE=str(EXAMPLES / f"{EXAMPLE_RECORDS[0]}.json"))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1 FHIR records" in finished.stdout
    assert re.search(r"(\d{2}) of \1 expectations held", finished.stdout)


def test_brownie_fails_with_the_story(brownie: Any) -> None:
    finished = brownie("demo", BUNDLE="/no/such/bundle.json")
    assert finished.returncode == 2
    assert "The story stops: " in finished.stderr
    assert "Traceback" not in finished.stderr + finished.stdout


def test_brownie_deploys_once(brownie: Any, brownie_chain: LocalChain, brownie_project: Path) -> None:
    first = brownie("deploy")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "deploy ClaimAnchor" in first.stderr
    blocks = Chain.connect(brownie_chain.url).block_number()
    record = brownie_project / "deployments" / "local" / "1337.json"
    written = record.read_bytes()
    second = brownie("deploy")
    assert second.returncode == 0, second.stdout + second.stderr
    assert Chain.connect(brownie_chain.url).block_number() == blocks
    assert record.read_bytes() == written
