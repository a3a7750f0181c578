"""What every answer has, what operators see, and that nothing odd makes it fail."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import httpx
import pytest

from medproof.gateway import Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import ORIGIN, Bridge, Keep, Post
from tests.support.metrics import samples


def code(answer: httpx.Response) -> str:
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"] == "application/fhir+json"
    return str(outcome["issue"][0]["details"]["coding"][0]["code"])


def test_health(http: httpx.Client) -> None:
    assert http.get(f"{ORIGIN}/health/live").json() == {"status": "ok"}
    assert http.get(f"{ORIGIN}/health/ready").json() == {"status": "ok"}


def test_every_answer_is_kept_from_caches_and_pages(http: httpx.Client) -> None:
    for path in ("/health/live", "/nowhere", "/fhir/Observation/1"):
        headers = http.get(ORIGIN + path, headers={"Origin": "https://elsewhere.example.org"}).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["strict-transport-security"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_other_paths_and_methods_are_refused_as_outcomes(http: httpx.Client) -> None:
    assert (answer := http.get(f"{ORIGIN}/nowhere")).status_code == 404
    assert code(answer) == "NOT_FOUND"
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = http.request(method, f"{ORIGIN}/fhir/Observation/1")
        assert (answer.status_code, code(answer)) == (405, "METHOD")
        assert answer.headers["allow"] == "GET"
    assert http.put(f"{ORIGIN}/fhir/Observation").headers["allow"] == "GET, POST"


def test_metrics_are_for_operators_and_count_nothing_hidden(
    gatekeeper: Gatekeeper, http: httpx.Client, reader: GatekeeperClient, post: Post, granted: Rule
) -> None:
    reader.fetch("Observation", post())
    assert http.get(f"{ORIGIN}/metrics").status_code == 404
    app = create_app(gatekeeper)
    operator = httpx.Client(transport=Bridge(app, "127.0.0.1"))
    operator.get(f"{ORIGIN}/fhir/Observation/1")
    numbers = samples(operator.get(f"{ORIGIN}/metrics").text)
    asked = {"route": "/fhir/{type}/{id}", "method": "GET", "status": "401"}
    assert numbers["medproof_gateway_requests_total", frozenset(asked.items())] == 1
    assert numbers["medproof_gateway_refusals_total", frozenset({("code", "CREDENTIALS_MISSING")})] == 1
    assert numbers["medproof_gateway_request_seconds_count", frozenset()] == 1
    assert numbers["medproof_gateway_pointers_open", frozenset()] == 0
    assert numbers["medproof_gateway_transactions", frozenset({("state", "confirmed")})] == 1
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):  # a proxy on the operator's own machine
        assert operator.get(f"{ORIGIN}/metrics", headers={header: "203.0.113.9"}).status_code == 404


def test_the_log_tells_nothing_of_whom(
    reader: GatekeeperClient,
    post: Post,
    granted: Rule,
    patient: LocalSigner,
    second_clinic: LocalSigner,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="medproof.gateway"):
        id_ = post()
        fetched = reader.fetch("Observation", id_)
        list(reader.search("Observation", patient.address))
    lines = [record.msg.facts for record in caplog.records if record.name == "medproof.gateway"]  # type: ignore[attr-defined]
    assert {line["route"] for line in lines} == {"/fhir/{type}", "/fhir/{type}/{id}"}
    assert {line["status"] for line in lines} == {200, 201}
    text = caplog.text.lower()
    hidden = (id_, patient.address, second_clinic.address, fetched.proof.salt.hex(), "192.0.2.7", "mmol", "2345-7")
    for secret in (*hidden, fetched.proof.pointer.id.hex(), fetched.proof.pointer.commitment.hex()):
        assert secret.lower() not in text


def test_an_address_has_its_limit(keep: Keep, settings: Settings) -> None:
    app = create_app(keep(settings=replace(settings, address_rate=0.01, address_burst=3)))
    one, other = (httpx.Client(transport=Bridge(app, f"192.0.2.{number}")) for number in (1, 2))
    answers = [one.get(f"{ORIGIN}/health/live") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 101
    assert code(answers[-1]) == "TOO_MANY"
    assert other.get(f"{ORIGIN}/health/live").status_code == 200
    house = [httpx.Client(transport=Bridge(app, f"2001:db8:0:7::{number}")) for number in range(1, 5)]
    assert [one.get(f"{ORIGIN}/health/live").status_code for one in house] == [200, 200, 200, 429]
    outside = httpx.Client(transport=Bridge(app, "2001:db8:0:8::1"))
    assert outside.get(f"{ORIGIN}/health/live").status_code == 200


def test_long_headers_are_refused(http: httpx.Client) -> None:
    answer = http.get(f"{ORIGIN}/fhir/Observation/1", headers={"Authorization": "M" * 20_000})
    assert (answer.status_code, code(answer)) == (431, "HEADERS_TOO_LONG")
    answer = http.get(f"{ORIGIN}/fhir/Observation?patient={'0' * 20_000}")
    assert answer.status_code == 431


def test_a_failure_tells_nothing(
    gatekeeper: Gatekeeper, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("Ada Lovelace, born 1815")

    monkeypatch.setattr(gatekeeper, "admit", fail)
    with caplog.at_level(logging.INFO):
        answer = http.get(f"{ORIGIN}/fhir/Observation/1")
    assert (answer.status_code, code(answer)) == (500, "FAILED")
    assert "Lovelace" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_the_openapi_document_is_complete(http: httpx.Client) -> None:
    document = http.get(f"{ORIGIN}/openapi.json").json()
    assert set(document["paths"]) >= {
        "/fhir/{type}",
        "/fhir/{type}/{id}",
        "/pointers/{subject}",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            signed = path.startswith(("/fhir", "/pointers"))
            assert bool(operation.get("security")) is signed or not path.startswith(("/fhir", "/health", "/metrics"))
            assert {"401", "503"} <= set(operation["responses"]) or not signed
            assert "422" not in operation["responses"] or method == "post"
    parameters = document["paths"]["/fhir/{type}"]["get"]["parameters"]
    assert {one["name"] for one in parameters} == {"type", "patient", "_lastUpdated", "_count", "_cursor"}
