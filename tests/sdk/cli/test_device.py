"""A patient's devices on the command line: registered, revoked, listed; a reading signed and sent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from medproof import hashing
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Gatekeeper, Settings, create_app
from medproof.gateway.device_client import DeviceClient
from medproof.policy.codes import DataClass
from medproof.reading import Reading, check_signature
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.gateway.conftest import KEYS, ORIGIN, Bridge
from tests.sdk.store.examples import EXAMPLES

Words = tuple[str, ...]
METER = LocalSigner.from_key(b"\x77" * 32)


@pytest.fixture
def meter(here: Path) -> str:
    (here / "meter.json").write_text(json.dumps(Account.encrypt(b"\x77" * 32, PASSWORD, kdf="pbkdf2", iterations=2)))
    return "meter.json"


@pytest.fixture
def registered(run: Run, me: Words, relayed: Words) -> None:
    said = run("device", "register", METER.address, "--class", "vital-signs", "--from", "2020-01-01", *me, *relayed)
    assert said.code == 0, said.err


def test_a_device_is_registered_listed_and_revoked(
    run: Run, suite: MedProof, me: Words, relayed: Words, pseudonym: LocalSigner, registered: None
) -> None:
    assert suite.devices.classes(pseudonym.address, METER.address) == DataClass.VITAL_SIGNS
    shown, told = run("device", "list", *me), run("device", "list", "--subject", pseudonym.address, "--json")
    assert "vital-signs" in shown.out
    assert told.document["devices"] == [
        {
            "device": METER.address,
            "classes": ["vital-signs"],
            "may_now": ["vital-signs"],
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": None,
            "revoked": False,
            "sequence": 1,
        }
    ]
    signed = run("device", "revoke", METER.address, *me, "--json")
    assert signed.document["messages"][0]["function"] == "revokeDevice"
    assert run("device", "revoke", METER.address, *me, *relayed).code == 0
    again = run("device", "revoke", METER.address, *me, "--json")
    assert (again.code, again.error["error"]) == (2, "DeviceError")
    assert "revoked" in run("device", "list", *me).out
    assert run("device", "revoke", METER.address, "--sequence", 65535, *me, *relayed).code == 0
    closed = run("device", "register", METER.address, "--class", "vital-signs", *me, "--json")
    assert closed.code == 2
    assert "has no devices" in run("device", "list", "--subject", METER.address).out


def test_options(run: Run, me: Words) -> None:
    register = ("device", "register", METER.address, *me)
    for words, part in (
        (("--class", "vital"), "vital"),
        (("--class", "vital-signs", "--until", "2020-01-01"), "is over by 2020-01-01"),
        (("--class", "vital-signs", "--until", "soon"), "--until is 'soon'"),
    ):
        said = run(*register, *words)
        assert said.code == 2
        assert part in said.err
    assert run("device", "register", "0x1", "--class", "vital-signs", *me).code == 2


@pytest.fixture
def observation(here: Path) -> str:
    content = hashing.parse((EXAMPLES / "Observation-blood-pressure.json").read_bytes())
    assert isinstance(content, dict)
    taken = datetime.now(UTC) - timedelta(minutes=5)
    content["effectiveDateTime"] = taken.isoformat(timespec="seconds")
    (here / "observation.json").write_bytes(hashing.canonical(content))
    return "observation.json"


@pytest.fixture
def sign(run: Run, meter: str, observation: str, pseudonym: LocalSigner, clinic: LocalSigner) -> Callable[..., Any]:
    def signing(number: int, *more: object) -> Any:
        names = ("--subject", pseudonym.address, "--for", clinic.address, "--keystore", meter)
        return run("device", "sign", observation, *names, "--number", number, *more)

    return signing


@pytest.fixture
def gatekeeper(
    suite: MedProof, tmp_path: Path, clinic: LocalSigner, pseudonym: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> Gatekeeper:
    store = SqlStore(tmp_path / "records.db", KEYS)
    settings = Settings(ORIGIN, patients=frozenset({pseudonym.address}), max_block_age=None, refresh=0.0)
    made = Gatekeeper(suite, store, settings, sender=clinic)
    transport, client = Bridge(create_app(made)), httpx.Client
    monkeypatch.setattr("medproof.gateway.device_client.httpx.Client", lambda **_: client(transport=transport))
    return made


def test_a_reading_is_signed_and_sent(
    run: Run, here: Path, sign: Callable[..., Any], registered: None, gatekeeper: Gatekeeper, suite: MedProof
) -> None:
    assert "Written to 1.json: reading 1 of" in sign(1, "--out", "1.json").out
    (here / "2.json").write_text(sign(2).out)
    reading = Reading.from_json(hashing.parse((here / "2.json").read_bytes()))
    check_signature(reading, suite.devices.reading_domain)
    sent = run("device", "send", "2.json", "1.json", "--to", ORIGIN)
    assert (sent.code, sent.out.count("taken as Observation/")) == (0, 2)
    again = run("device", "send", "1.json", "2.json", "--to", ORIGIN, "--json")
    assert [(one["number"], one["refused"], one["index"]) for one in again.document["readings"]] == [
        (1, None, 0),
        (2, None, 1),
    ]
    sign(2, "--out", "other.json")
    refused = run("device", "send", "other.json", "--to", ORIGIN)
    assert refused.code == 1
    assert "higher number" in refused.out


def test_what_cannot_be_signed_or_sent(
    run: Run, here: Path, sign: Callable[..., Any], observation: str, registered: None, gatekeeper: Gatekeeper
) -> None:
    assert "EFFECTIVE" in sign(1, "--taken-at", "2020-01-01T00:00:00Z").err
    assert "--taken-at is 'soon'" in sign(1, "--taken-at", "soon").err
    assert sign(0).code == 2
    assert "holds no reading" in run("device", "send", observation, "--to", ORIGIN).err
    assert sign(1, "--out", "1.json").code == 0
    shutil.copy(here / "1.json", here / "forged.json")
    forged = json.loads((here / "forged.json").read_text())
    forged["takenAt"] += 1
    (here / "forged.json").write_text(json.dumps(forged))
    said = run("device", "send", "forged.json", "--to", ORIGIN, "--json")
    assert (said.code, said.error["error"]) == (4, "GatekeeperRefusalError")


def test_an_answer_that_is_none(sign: Callable[..., Any]) -> None:
    reading = Reading.from_json(hashing.parse(sign(1).out.encode()))
    for status, body in ((200, b"{}"), (200, b'{"readings":[]}'), (200, b"no"), (500, b"no"), (302, b"")):
        transport = httpx.MockTransport(lambda _, status=status, body=body: httpx.Response(status, content=body))
        client = DeviceClient(ORIGIN, http=httpx.Client(transport=transport))
        with pytest.raises(GatekeeperRefusalError):
            list(client.send([reading]))

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    with pytest.raises(GatekeeperRefusalError, match="does not answer"):
        list(DeviceClient(ORIGIN, http=httpx.Client(transport=httpx.MockTransport(fail))).send([reading]))
