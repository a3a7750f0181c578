"""A real gatekeeper on a socket, with a real chain behind it, and accounts that sign what schemathesis sends.

Runs in an environment of its own, `make fuzz`: schemathesis needs a newer hypothesis than Brownie's.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from requests.auth import AuthBase

import medproof.gateway
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.gateway import Claims, Gatekeeper, GatekeeperClient, Settings
from medproof.gateway.server import server_of
from medproof.gateway.signature import SignedRequest
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.evaluation import Reason
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from medproof.telemetry import JsonLines
from tests.sdk.conftest import (
    admin,
    clinic,
    deployed,
    far_day,
    node,
    patient,
    payer,
    relayer,
    researcher,
    second_clinic,
    second_payer,
    stranger,
)
from tests.sdk.gateway.conftest import KEYS, observation, settle

__all__ = [
    "admin",
    "clinic",
    "deployed",
    "far_day",
    "node",
    "patient",
    "payer",
    "relayer",
    "researcher",
    "second_clinic",
    "second_payer",
    "stranger",
]

DEEP = os.environ.get("MEDPROOF_DEEP") == "1"
hypothesis.settings.register_profile(
    "fuzz",
    max_examples=1000 if DEEP else 60,
    derandomize=not DEEP,  # continuous integration tries the same every time
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("fuzz")


class Log(logging.Handler):
    """The lines that the gatekeeper has written since they were last looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Signed(AuthBase):
    """Signs each request as it goes out, as one account after the other."""

    def __init__(self, suite: MedProof, origin: str, accounts: tuple[LocalSigner, ...]) -> None:
        self._suite, self._origin, self._accounts, self._turn = suite, origin, accounts, 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self._turn += 1
        signer = self._accounts[self._turn % len(self._accounts)]
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        signed = SignedRequest.new(
            signer.address,
            self._origin,
            str(request.method),
            request.path_url,
            body=body,
            claims=Claims(Purpose.TREAT, Action.ACCESS),
            now=int(time.time()),
            lifetime=60,
        )
        registry = self._suite.consent_registry.address
        request.headers.update(signed.headers(signer, self._suite.chain.chain_id, registry))
        return request


@dataclass
class Target:
    """What is attacked."""

    origin: str
    auth: Signed
    log: Log
    known: dict[str, list[str]]  # good values of parameters
    words: frozenset[str]  # what a line of the log says in words of the project's own: routes, codes of refusals
    seen: Counter[int] = field(default_factory=Counter)  # the statuses of all answers


@pytest.fixture(scope="session")
def target(
    deployed: tuple[Chain, Deployment],
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
    relayer: LocalSigner,
    stranger: LocalSigner,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    suite = MedProof(*deployed)
    store = SqlStore(tmp_path_factory.mktemp("store") / "records.db", KEYS)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    origin = f"http://127.0.0.1:{port}"
    rates = {"account_rate": 1e6, "account_burst": 10**6, "address_rate": 1e6, "address_burst": 10**6}
    settings = Settings(origin, writers=frozenset({relayer.address}), max_block_age=None, clock_skew=0, **rates)
    log = Log()
    logger = logging.getLogger("medproof.gateway")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    server = server_of(Gatekeeper(suite, store, settings, sender=clinic), host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    time.sleep(1.1)  # what is signed in the second of the start is refused
    suite.consent_registry.grant(second_clinic.address, _permit(suite), sender=patient)
    claims = Claims(Purpose.TREAT, Action.ACCESS)
    with GatekeeperClient(origin, suite, relayer, claims=claims) as device:
        ids = [str(device.create(patient.address, observation()).record.id) for _ in range(3)]
    gatekeeper: Gatekeeper = server.config.app.state.gatekeeper  # type: ignore[union-attr]
    settle(gatekeeper)
    accounts = (second_clinic, relayer, patient, stranger)
    known = {"id": ids, "patient": [patient.address], "subject": [patient.address], "type": ["Observation"]}
    yield Target(origin, Signed(suite, origin, accounts), log, known, _words(server.config.app))
    server.should_exit = True
    thread.join(20)
    store.close()


@pytest.fixture
def api(target: Target) -> Any:
    return schemathesis.openapi.from_url(f"{target.origin}/openapi.json")


def _words(app: Any) -> frozenset[str]:
    """The routes as their patterns, and every code that the source spells out; Hypothesis sends such words too."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(medproof.gateway.__file__).parent.rglob("*.py"))
    codes = re.findall(r'"([A-Z][A-Z_]+)"', source)
    routes = list(app.openapi()["paths"])
    return frozenset([*codes, *routes, *(reason.name for reason in Reason)])


def _permit(suite: MedProof) -> Rule:
    now = datetime.fromtimestamp(suite.chain.timestamp(), UTC).replace(second=0, microsecond=0)
    return Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS,
        party_kinds=PartyKind.ALL,
        valid_from=now - timedelta(hours=1),
        valid_until=now + timedelta(days=365),
    )
