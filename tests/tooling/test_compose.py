"""The network of compose.yaml: what it stands on, and a dry run of its configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rlp
import yaml
from cryptography import x509
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.gateway.app import _metrics as gateway_metrics
from medproof.gateway.telemetry import RequestMetrics
from medproof.indexer.telemetry import FollowingMetrics
from medproof.networks import network_named
from medproof.relayer.telemetry import RelayingMetrics
from medproof.signing import LocalSigner, NodeSigner
from medproof.store import MasterKey
from scripts.compose import prepare
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ROOT
from tests.support.command_lines import parsed, shell_commands

USER = (1000, 1000)
SCRIPTS = ROOT / "scripts" / "compose"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's files."""
    path = tmp_path_factory.mktemp("compose") / "network"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalSigner, "to_keystore", partialmethod(LocalSigner.to_keystore, cost=2))  # opened in no time
        prepare.prepare(path, user=USER)
    return path


@pytest.fixture(scope="module")
def compose(folder: Path) -> dict[str, Any]:
    """compose.yaml with its variables filled in, as Docker Compose reads it."""
    values = dict(line.split("=", 1) for line in (folder / "compose.env").read_text().splitlines())

    def filled(found: re.Match[str]) -> str:
        name, how, default = found["name"], found["how"], found["default"]
        assert name in values or how == ":-", f"{name} has no value"
        return values.get(name, default)

    text = re.sub(r"\$\{(?P<name>\w+)(?P<how>:[-?])(?P<default>[^}]*)\}", filled, (ROOT / "compose.yaml").read_text())
    assert "$" not in text
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


# -- what it stands on -------------------------------------------------------------------------------------------


def test_the_genesis_names_the_nodes_whose_keys_are_there(folder: Path) -> None:
    made = json.loads((folder / "genesis.json").read_text())
    keys = [PrivateKey(bytes.fromhex((folder / node / "key").read_text().strip()[2:])) for node in prepare.NODES]
    vanity, validators, vote, round_, seals = rlp.decode(bytes.fromhex(made["extraData"][2:]))
    assert (vanity, vote, round_, seals) == (bytes(32), [], b"", [])
    assert validators == sorted(key.public_key.to_canonical_address() for key in keys)
    assert made["config"]["chainId"] == network_chain(folder)
    enodes = json.loads((folder / "static-nodes.json").read_text())
    assert [one[8:136] for one in enodes] == [key.public_key.to_hex()[2:] for key in keys]


def network_chain(folder: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDPROOF_NETWORKS", str(folder / "networks.json"))
        patch.setenv("MEDPROOF_CONSORTIUM_URL", "http://node-3:8545")
        found = network_named("consortium")
    assert (found.url, found.confirmations, found.followed) == ("http://node-3:8545", 1, 1)
    return found.chain_id or 0


def test_extra_data_as_besu_documents_it() -> None:
    """The example in Besu's documentation of QBFT's genesis, with its four validators."""
    example = (
        "f87aa00000000000000000000000000000000000000000000000000000000000000000f8549464a702e6263b7297a96638cac6ae65e6541f"
        "4169943923390ad55e90c237593b3b0e401f3b08a0318594aefdb9a738c9f433e5b6b212a6d62f6370c2f69294c7eeb9a4e00ce683cf93"
        "039b212648e01c6c6b78c080c0"
    )
    validators = [
        "0x64a702e6263b7297a96638cac6ae65e6541f4169",
        "0x3923390ad55e90c237593b3b0e401f3b08a03185",
        "0xaefdb9a738c9f433e5b6b212a6d62f6370c2f692",
        "0xc7eeb9a4e00ce683cf93039b212648e01c6c6b78",
    ]
    given = rlp.decode(bytes.fromhex(example))
    made = rlp.decode(prepare.extra_data(validators))
    assert (made[0], sorted(made[1]), *made[2:]) == (given[0], sorted(given[1]), *given[2:])


def test_only_its_own_account_may_read_it(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        if os.geteuid() == 0:
            assert (path.stat().st_uid, path.stat().st_gid) == USER
    assert "/network/" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_secret_is_its_own_and_opens_what_it_is_for(folder: Path) -> None:
    secrets = [path.read_text() for path in (folder / "secrets").glob("*") if path.suffix != ".pgpass"]
    assert len(set(secrets)) == len(secrets) == 11
    assert all(len(one.strip()) >= 43 for one in secrets)  # 32 bytes in base64
    name = "clinic-1-log"
    content = json.loads((folder / "keys" / f"{name}.json").read_text())
    password = (folder / "secrets" / f"{name}-password").read_text().strip()
    assert LocalSigner.from_key(Account.decrypt(content, password)).address[2:].lower() in content["address"].lower()
    assert MasterKey.from_file(folder / "keys" / "clinic-1-master.key").id
    certificate = x509.load_pem_x509_certificate((folder / "tls" / "certificate.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["clinic-1.localhost", "clinic-2.localhost"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_again_it_changes_nothing_and_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    assert prepare.prepare(folder, user=USER) == []
    assert contents(folder) == before
    other = tmp_path / "network"
    shutil.copytree(folder, other)
    for name in ("genesis.json", "static-nodes.json", "secrets/index.pgpass", "compose.env"):
        (other / name).unlink()
    assert prepare.prepare(other, user=USER) == [
        "secrets/index.pgpass",
        "genesis.json",
        "static-nodes.json",
        "compose.env",
    ]
    assert {**contents(other), "compose.env": b""} == {**before, "compose.env": b""}


def test_keys_of_another_chain_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "network"
    shutil.copytree(folder, other)
    (other / "node-1" / "key").unlink()
    with pytest.raises(prepare.PrepareError, match="begin a new chain in another folder"):
        prepare.prepare(other, user=USER)
    genesis = (other / "genesis.json").read_bytes()
    assert genesis == (folder / "genesis.json").read_bytes()


@pytest.mark.parametrize("user", ["0:0", "1000", "0:1000", "root:root", "1000:-1"])
def test_nothing_runs_as_root(user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["--folder", str(tmp_path / "network"), "--user", user]) == 1
    assert "1000:1000" in capsys.readouterr().err
    assert not (tmp_path / "network").exists()


# -- the configuration -------------------------------------------------------------------------------------------


def test_the_file_is_what_compose_reads() -> None:
    """By the JSON schema of the Compose specification."""
    command = [str(ROOT / ".venv" / "bin" / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(ROOT / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_compose_reads_it(folder: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("Docker's client with Compose is not here.")
    command = [docker, "compose", "--env-file", str(folder / "compose.env"), "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_its_command_lines_are_understood(services: dict[str, dict[str, Any]]) -> None:
    ours = {name: one for name, one in services.items() if one["image"].startswith("medproof:")}
    commands = {name: parsed(one["command"]) for name, one in ours.items() if "command" in one}
    assert commands == {
        "deploy": "deploy run",
        "index": "index",
        "relayer": "relay run",
        "gatekeeper-1": "gateway serve",
        "gatekeeper-2": "gateway serve",
        "backup-1": "backup create",
        "backup-2": "backup create",
    }
    found = [parsed(words) for words in shell_commands((SCRIPTS / "rehearse.sh").read_text())]
    assert found == ["deploy accept", "key show", "key show", "party accredit", "access open"]


def test_every_file_that_is_mounted_is_there_and_every_file_that_is_named_is_mounted(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    secrets = {name: Path(one["file"]) for name, one in compose["secrets"].items()}
    for name, service in services.items():
        places = {f"/run/secrets/{one}" for one in service.get("secrets", ())}
        for one in service.get("secrets", ()):
            assert secrets[one].is_file(), one
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            assert (ROOT / source).exists(), volume
            places.add(target)
        for word in (*service.get("command", ()), *service.get("environment", {}).values()):
            for path in re.findall(r"(?<![\w/.:])/(?!/)(?:keys|run|state|network|queue|data|etc)/[\w./-]+", word):
                assert any(path == one or path.startswith(f"{one}/") for one in places), f"{name}: {path}"


def test_each_has_what_it_needs_and_no_more(services: dict[str, dict[str, Any]]) -> None:
    for name, one in services.items():
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["user"] == "1000:1000", name
        assert "mem_limit" in one, name
        assert ":" in one["image"], name
        assert not one["image"].endswith(":latest"), name
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]
    reach = {name: set(one["networks"]) for name, one in services.items()}
    assert [name for name, one in reach.items() if "outside" in one] == ["proxy"]
    assert not reach["proxy"] & {"chain", "data", "operators"}
    keys = {
        name: {volume.split(":")[1] for volume in one["volumes"] if volume.split(":")[1].startswith("/keys")}
        for name, one in services.items()
    }
    assert keys["index"] == keys["proxy"] == set()
    assert keys["gatekeeper-1"] & keys["gatekeeper-2"] == set()
    assert keys["relayer"] == {"/keys/relayer.json"}
    assert not any("master" in key for name in ("backup-1", "backup-2") for key in keys[name])
    assert {name for name, one in services.items() if "admin-password" in one.get("secrets", ())} == {"rehearse"}


def test_all_networks_but_the_proxys_are_inside(compose: dict[str, Any]) -> None:
    assert {name for name, one in compose["networks"].items() if not one.get("internal")} == {"outside"}


def test_the_nodes_are_told_alike_and_find_each_other(folder: Path, services: dict[str, dict[str, Any]]) -> None:
    enodes = json.loads((folder / "static-nodes.json").read_text())
    for number, node in enumerate(prepare.NODES, start=1):
        assert services[node]["command"] == services["node-1"]["command"]
        address = services[node]["networks"]["chain"]["ipv4_address"]
        assert enodes[number - 1].endswith(f"@{address}:30303")
        assert f"--host-allowlist={','.join(prepare.NODES)}" in services[node]["command"][11]


def test_the_proxys_configuration(folder: Path, tmp_path: Path) -> None:
    text = (SCRIPTS / "nginx.conf").read_text()
    assert "clinic-1.localhost gatekeeper-1;" in text
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not here.")
    (tmp_path / "nginx.conf").write_text(text.replace("/tls/", f"{folder / 'tls'}/"))
    done = subprocess.run([nginx, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_is_made_of_what_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    copied = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        words = [word for word in line.split()[1:] if not word.startswith("--")]
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(words[:-1])
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)


def test_what_the_image_installs_is_locked() -> None:
    """The Dockerfile's own export, of the lock file as it is."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [line] = [line for line in text.splitlines() if line.startswith("RUN uv export")]
    words = line.removeprefix("RUN uv ").replace("--output-file locked.txt", "").split()
    environment = {**os.environ, "UV_CACHE_DIR": str(ROOT / ".cache" / "uv")}
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "uv", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = set(re.findall(r"^([a-z0-9.-]+)==", done.stdout, re.MULTILINE))
    assert names >= {"fastapi", "msgspec", "prometheus-client", "psycopg", "trie", "web3"}
    assert not names & {"eth-brownie", "pytest", "mypy", "medproof"}
    assert done.stdout.count("--hash=sha256:") >= len(names)


# -- what watches it ---------------------------------------------------------------------------------------------


def test_prometheus_asks_what_is_shown(services: dict[str, dict[str, Any]]) -> None:
    asked = yaml.safe_load((SCRIPTS / "prometheus.yml").read_text())
    for job in asked["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            service, port = target.split(":")
            words = services[service]["command"]
            assert f"--metrics=0.0.0.0:{port}" in words or f"--port={port}" in words
            assert "operators" in services[service]["networks"]
    address = services["prometheus"]["networks"]["operators"]["ipv4_address"]
    for gatekeeper in ("gatekeeper-1", "gatekeeper-2"):
        assert f"--operator={address}" in services[gatekeeper]["command"]


def names_shown() -> set[str]:
    """The names of all numbers that the services show."""
    block = SimpleNamespace(time=0)
    indexed: Any = SimpleNamespace(block=1, block_hash=lambda number: block)
    relayer: Any = SimpleNamespace(
        accounts=("0x00",), counts=dict, oldest_open=lambda: None, stuck=tuple, transactions=dict
    )
    chain: Any = SimpleNamespace(highest_price=lambda: 1, balance=lambda account: 1)
    relaying = RelayingMetrics()
    relaying.watch(relayer, chain)
    gatekeeper: Any = SimpleNamespace(manager=SimpleNamespace(counts=dict), poster=None, anchorer=None, readings=None)
    serving = gateway_metrics(gatekeeper)
    RequestMetrics(serving)
    text = b"".join(one.text() for one in (FollowingMetrics(indexed).metrics, relaying.metrics, serving)).decode()
    return set(re.findall(r"^# TYPE (medproof_\w+)", text, re.MULTILINE))


def test_alerts_ask_for_numbers_that_there_are_and_name_a_page_of_the_runbook() -> None:
    shown = names_shown()
    rules = yaml.safe_load((SCRIPTS / "alerts.yml").read_text())["groups"][0]["rules"]
    page = (ROOT / "docs" / "operating.md").read_text()
    runbook = {line.lstrip("# ").strip().lower() for line in page.splitlines() if line.startswith("### ")}
    for rule in rules:
        assert rule["annotations"]["runbook"] in runbook, rule["alert"]
        assert set(re.findall(r"medproof_\w+", rule["expr"])) <= shown, rule["alert"]
    for name in shown:  # each is described, with its label if it has one
        assert f"`{name.removeprefix('medproof_')}" in page, name


# -- the rehearsal, on a local chain -----------------------------------------------------------------------------


@pytest.fixture
def local() -> Iterator[LocalAnvil]:
    with LocalAnvil() as chain:
        yield chain


def test_deployed_accepted_accredited_and_opened(
    local: LocalAnvil, folder: Path, services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """The very command lines of `deploy` and `rehearse`, with the folder's keys and passwords, for a clinic."""
    chain = Chain.connect(local.url)
    rich = NodeSigner(chain.accounts()[0])
    for name in prepare.ACCOUNTS:
        address = prepare._address(folder / "keys" / f"{name}.json")
        chain.wait(chain.send({"to": address, "value": 10**19}, sender=rich))
    state = tmp_path / "state"
    state.mkdir()
    places = {
        "/keys": f"{folder}/keys",
        "/run/secrets": f"{folder}/secrets",
        "/state": str(state),
        "/tmp": str(tmp_path),
    }

    def here(text: str) -> str:  # in one pass: what stands for one may contain another
        return re.sub(rf"(?<![\w.-])({'|'.join(places)})/", lambda found: f"{places[found[1]]}/", text)

    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MEDPROOF_NETWORK": local.url,
        "MEDPROOF_DEPLOYMENT": str(state / "suite.json"),
    }
    script = tmp_path / "rehearse.sh"
    script.write_text(here((SCRIPTS / "rehearse.sh").read_text()).replace("in clinic-1 clinic-2;", "in clinic-1;"))
    deploy = [str(ROOT / ".venv" / "bin" / "medproof"), *map(here, services["deploy"]["command"])]
    for command in (deploy, ["sh", str(script)]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    suite = MedProof.connect(local.url, deployment=state / "suite.json")
    party = suite.registrar.party(prepare._address(folder / "keys" / "clinic-1.json"))
    assert party is not None
    signer = suite.access_log.signer(party.id, log=0)
    assert signer is not None
    assert signer.lower() == prepare._address(folder / "keys" / "clinic-1-log.json").lower()
    assert suite.deployment.handed_over
