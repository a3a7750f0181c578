"""Searches: what the caller may have, in pages, and no trace of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from medproof import hashing
from medproof.chain import Chain
from medproof.client.consent_registry import ConsentRegistry
from medproof.client.record_pointers import Status
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Access, Claims, Gatekeeper, GatekeeperClient
from medproof.policy.codes import Action, DataClass, Purpose
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import ORIGIN, Connect, Post, PostAll, both_stores, labelled, observation


@pytest.fixture
def bodies(http: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the gatekeeper answered, as JSON."""
    seen: list[Any] = []
    send = http.send

    def watched(request: Any, **options: Any) -> Any:
        answer = send(request, **options)
        seen.append(hashing.parse(answer.content))
        return answer

    monkeypatch.setattr(http, "send", watched)
    return seen


@both_stores
def test_a_search_finds_what_is_permitted_and_tells_nothing_of_the_rest(
    reader: GatekeeperClient,
    post_all: PostAll,
    granted: Rule,
    patient: LocalSigner,
    bodies: list[Any],
    accesses: list[Access],
) -> None:
    ids = post_all(observation(), observation(meta=labelled("HIV")), observation(), observation(category=None))
    bodies.clear()
    accesses.clear()
    found = list(reader.search("Observation", patient.address))
    assert [one.record.id for one in found] == [ids[0], ids[2]]
    [bundle] = bodies
    assert bundle["type"] == "searchset"
    assert set(bundle) == {"resourceType", "type", "link", "entry"}  # no total
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [f"{ORIGIN}/fhir/Observation/{one}" for one in ids[::2]]
    [access] = accesses  # one request, one entry
    assert (access.action, access.reason, access.subject) == ("search", "PERMITTED", patient.address)
    assert [one.pointer for one in access.records] == [one.proof.pointer.id for one in found]


@both_stores
def test_pages_hold_what_is_permitted_and_end_with_it(
    reader: GatekeeperClient, post_all: PostAll, granted: Rule, patient: LocalSigner, bodies: list[Any]
) -> None:
    hidden = observation(meta=labelled("HIV"))
    ids = post_all(*(observation(), hidden) * 3)
    bodies.clear()
    found = list(reader.search("Observation", patient.address, count=2))
    assert [one.record.id for one in found] == ids[::2]
    assert [len(page["entry"]) for page in bodies] == [2, 1]  # no page for those that are hidden after the last


@both_stores
def test_the_chain_is_asked_once_for_many_records(
    reader: GatekeeperClient,
    post_all: PostAll,
    granted: Rule,
    patient: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = observation(meta=labelled("HIV"))
    ids = post_all(*(observation(), hidden) * 8)
    asked: list[str] = []
    call = Chain.call

    def watched(chain: Chain, contract: Any, function: str, *arguments: Any, **options: Any) -> Any:
        asked.append(function)
        return call(chain, contract, function, *arguments, **options)

    monkeypatch.setattr(Chain, "call", watched)
    found = list(reader.search("Observation", patient.address, count=50))
    assert [one.record.id for one in found] == ids[::2]
    assert asked.count("decide") <= 1
    assert asked.count("pointerOf") <= 1 + len(found)  # the reader looks for each that it was served


def test_a_search_without_any_rule_finds_nothing(
    as_caller: Connect, post: Post, payer: LocalSigner, patient: LocalSigner, stranger: LocalSigner, bodies: list[Any]
) -> None:
    post()
    bodies.clear()
    assert list(as_caller(payer).search("Observation", patient.address)) == []
    assert list(as_caller(payer).search("Observation", stranger.address)) == []
    with_records, without = bodies
    assert set(with_records) == set(without) == {"resourceType", "type", "link"}


def test_a_search_that_no_rule_can_help_asks_the_chain_once(
    gatekeeper: Gatekeeper,
    reader: GatekeeperClient,
    as_caller: Connect,
    post_all: PostAll,
    granted: Rule,
    patient: LocalSigner,
    payer: LocalSigner,
    second_clinic: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever may have nothing must not make the node work for each record."""
    days = post_all(*(observation(effectiveDateTime=f"2026-01-{day:02d}") for day in range(1, 7)))
    asked, decide = [], ConsentRegistry.decide

    def counted(*given: Any, **options: Any) -> Any:
        asked.append(given)
        return decide(*given, **options)

    monkeypatch.setattr(ConsentRegistry, "decide", counted)
    for caller in (as_caller(payer), as_caller(second_clinic, Claims(Purpose.HMARKT, Action.ACCESS))):
        asked.clear()
        assert list(caller.search("Observation", patient.address)) == []
        assert len(asked) == 1
    assert len(list(reader.search("Observation", patient.address))) == len(days)


def test_who_is_no_party_does_not_search(as_caller: Connect, patient: LocalSigner, stranger: LocalSigner) -> None:
    with pytest.raises(GatekeeperRefusalError) as caught:
        list(as_caller(stranger).search("Observation", patient.address))
    assert (caught.value.status, caught.value.code) == (403, "INACTIVE_PARTY")


@both_stores
def test_a_subject_lists_its_own_pointers(
    as_caller: Connect, post: Post, patient: LocalSigner, clinic: LocalSigner
) -> None:
    id_ = post(observation(meta=labelled("HIV")))
    [listed] = as_caller(patient).pointers(patient.address)
    assert listed.record == f"{ORIGIN}/fhir/Observation/{id_}"
    pointer = listed.pointer
    assert (pointer.key.origin, pointer.data_class, pointer.status) == (
        clinic.address,
        DataClass.LABORATORY,
        Status.POSTED,
    )


def test_pointers_are_listed_to_whom_the_records_are_permitted(
    reader: GatekeeperClient, post_all: PostAll, granted: Rule, patient: LocalSigner
) -> None:
    id_, _ = post_all(observation(), observation(meta=labelled("HIV")))
    assert [one.record.rpartition("/")[2] for one in reader.pointers(patient.address)] == [id_]


def test_last_updated_bounds_a_search(
    reader: GatekeeperClient, post: Post, granted: Rule, patient: LocalSigner
) -> None:
    post()
    today = datetime.now(UTC).date()

    def found(*conditions: str) -> int:
        return len(list(reader.search("Observation", patient.address, last_updated=conditions)))

    assert found(f"ge{today}") == found(f"le{today}") == found(str(today)) == 1
    assert found(f"gt{today}") == found(f"lt{today}") == 0
    hour = timedelta(hours=1)
    now = datetime.now(UTC).replace(microsecond=0)
    assert found(f"gt{now - hour:%Y-%m-%dT%H:%M:%SZ}", f"lt{now + hour:%Y-%m-%dT%H:%M:%SZ}") == 1
    assert found(f"gt{now + hour:%Y-%m-%dT%H:%M:%SZ}") == 0


PATIENT = "0x" + "a1" * 20


ODD_QUERIES = [
    "",
    "patient=1",
    "patient=Patient/1",
    f"patient={PATIENT}' OR 1=1--",
    f"patient={PATIENT}&patient={PATIENT}",
    f"patient={PATIENT}&_count=0",
    f"patient={PATIENT}&_count=101",
    f"patient={PATIENT}&_count=x",
    f"patient={PATIENT}&_cursor=x",
    f"patient={PATIENT}&_cursor=AAAA'--",
    f"patient={PATIENT}&_lastUpdated=yesterday",
    f"patient={PATIENT}&_lastUpdated=2026-02-30",
    f"patient={PATIENT}&_lastUpdated=ge2026-01-01T00:00:00",
    f"patient={PATIENT}&_lastUpdated=9999-12-31",
    f"patient={PATIENT}&_lastUpdated=ge2026-01-01&_lastUpdated=ge2026-01-01&_lastUpdated=ge2026-01-01",
    f"patient={PATIENT}&code=2345-7",
    f"patient={PATIENT}&_include=Observation:subject",
    f"patient={PATIENT}&__proto__=1",
]
ODD_PATHS = [
    "/fhir/observation/1",
    "/fhir/Observation/..%2f..%2fetc%2fpasswd",
    "/fhir/Observation/%2e%2e",
    "/fhir/Observation/a%00b",
    "/fhir/Observation/a'--",
    "/fhir/Observation/a%0d%0aX-Injected:1",
    "/fhir/Observation/" + "a" * 65,
    "/fhir/..%2f/x",
    "/fhir/Observation/x/_history/1",
    "/fhir//x",
    "/pointers/0x1",
    "/pointers/..",
]


def test_a_search_that_is_not_well_formed_is_refused(as_caller: Connect, payer: LocalSigner) -> None:
    for query in ODD_QUERIES:
        with pytest.raises(GatekeeperRefusalError) as caught:
            as_caller(payer)._send("GET", f"/fhir/Observation{query and '?'}{query}")
        assert (caught.value.status, caught.value.code) == (400, "PARAMETER"), query
        assert "OR 1=1" not in str(caught.value)


def test_a_path_that_leads_elsewhere_leads_nowhere(as_caller: Connect, payer: LocalSigner) -> None:
    for path in ODD_PATHS:
        with pytest.raises(GatekeeperRefusalError) as caught:
            as_caller(payer)._send("GET", path)
        assert caught.value.status in (400, 404), path


def test_classes_of_the_rule_bound_a_search(
    reader: GatekeeperClient, post: Post, suite: Any, rule: Rule, patient: LocalSigner, second_clinic: LocalSigner
) -> None:
    suite.consent_registry.grant(second_clinic.address, replace(rule, classes=DataClass.VITAL_SIGNS), sender=patient)
    post()
    assert list(reader.search("Observation", patient.address)) == []
