"""Records that stay on a FHIR server: what it says is checked, and what it does wrong harms nobody."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from medproof import hashing
from medproof.errors import (
    ArgumentError,
    FhirServerError,
    RecordChangedError,
    RecordErasedError,
    RecordUnknownError,
    RecordVersionError,
)
from medproof.policy.codes import DataClass
from medproof.store import FhirServer, FhirServerStore, KeyRing, Query
from tests.sdk.store.examples import Sealed, sealed
from tests.sdk.store.fhir_server import Answer, LocalFhirServer

LOCATION = "Observation/blood-pressure"


@pytest.fixture
def hospital() -> Iterator[LocalFhirServer]:
    with LocalFhirServer() as server:
        yield server


@pytest.fixture
def record(hospital: LocalFhirServer) -> Sealed:
    """A record that the hospital has."""
    made = sealed()
    hospital.records[LOCATION] = made.resource.content
    return made


@pytest.fixture
def reader(hospital: LocalFhirServer) -> Iterator[FhirServer]:
    server = FhirServer(hospital.url, attempts=3, backoff=0.01, max_bytes=200_000)
    yield server
    server.close()


@pytest.fixture
def proxy(database: str, keys: KeyRing, reader: FhirServer) -> Iterator[FhirServerStore]:
    store = FhirServerStore(reader, database, keys)
    yield store
    store.close()


def fails(reader: FhirServer, rule: str) -> FhirServerError:
    """Reading fails with this rule, and the error shows neither the record's id nor what was answered."""
    with pytest.raises(FhirServerError, match=rule) as caught:
        reader.read(LOCATION)
    shown = "".join(traceback.format_exception(caught.value))
    assert "blood-pressure" not in shown.replace(f'"{LOCATION}"', "")
    assert "Chalmers" not in shown
    return caught.value


def test_put_and_get(proxy: FhirServerStore, hospital: LocalFhirServer, record: Sealed, database: str) -> None:
    entry = record.put(proxy)
    for found in (proxy.get("Observation", "blood-pressure"), proxy.get_pointed(entry.pointer.id)):
        assert (found.entry, found.salt) == (entry, record.salt)
        assert found.resource.content == record.resource.content
    assert proxy.search(Query()).entries == (entry,)
    assert {path for path, _ in hospital.asked} == {f"/r4/{LOCATION}"}
    if database.startswith("sqlite"):
        assert b"blood-pressure" not in Path(database.removeprefix("sqlite:///")).read_bytes()


def test_versions(proxy: FhirServerStore, hospital: LocalFhirServer) -> None:
    made = []
    for number, status in enumerate(("preliminary", "final"), start=1):
        made.append(sealed(status=status, meta={"versionId": str(number)}))
        hospital.records[LOCATION] = made[-1].resource.content
        hospital.records[f"{LOCATION}/_history/{number}"] = made[-1].resource.content
        made[-1].put(proxy, replaces=made[-2].pointer.id if number > 1 else None)
    assert proxy.get("Observation", "blood-pressure").resource.content["status"] == "final"
    assert proxy.get("Observation", "blood-pressure", version=1).resource.content["status"] == "preliminary"
    assert [entry.version for entry in proxy.history(made[0].pointer.id)] == [2, 1]
    late = sealed(status="amended", meta={"versionId": "3"})
    hospital.records[f"{LOCATION}/_history/3"] = late.resource.content
    with pytest.raises(RecordVersionError):
        late.put(proxy, replaces=made[0].pointer.id)


def test_a_record_that_the_server_changed(proxy: FhirServerStore, hospital: LocalFhirServer, record: Sealed) -> None:
    record.put(proxy)
    hospital.records[LOCATION] = {**record.resource.content, "status": "cancelled"}
    with pytest.raises(RecordChangedError) as caught:
        proxy.get("Observation", "blood-pressure")
    assert caught.value.pointer == record.pointer.id
    with pytest.raises(RecordChangedError):
        sealed().put(proxy)


def test_a_record_that_the_server_does_not_have(proxy: FhirServerStore, hospital: LocalFhirServer) -> None:
    with pytest.raises(FhirServerError) as caught:
        sealed().put(proxy)
    assert caught.value.status == 404
    assert len(hospital.asked) == 1  # no point in asking again
    with pytest.raises(RecordUnknownError):
        proxy.get("Observation", "blood-pressure")


def test_erase(proxy: FhirServerStore, hospital: LocalFhirServer, record: Sealed) -> None:
    record.put(proxy)
    assert proxy.erase(record.pointer.id) == 1
    assert proxy.erase(record.pointer.id) == 0
    with pytest.raises(RecordErasedError):
        proxy.get_pointed(record.pointer.id)
    assert hospital.records[LOCATION]  # the hospital's own


def test_headers(hospital: LocalFhirServer, record: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # not ours to obey
    FhirServer(hospital.url + "/", headers={"Authorization": "Bearer abc"}).read(LOCATION)
    _, headers = hospital.asked[0]
    assert headers["Authorization"] == "Bearer abc"
    assert headers["Accept"] == "application/fhir+json"


def test_nothing_is_logged(
    hospital: LocalFhirServer, reader: FhirServer, record: Sealed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    reader.read(LOCATION)
    hospital.always = lambda answer: answer.give(b"", status=500)
    fails(reader, "status 500")
    assert "blood-pressure" not in caplog.text
    assert "Observation" not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failures_for_the_moment(hospital: LocalFhirServer, reader: FhirServer, record: Sealed, status: int) -> None:
    hospital.misbehaviours = [lambda answer: answer.give(b"<h1>busy</h1>", status=status, Retry_After="0")] * 2
    assert reader.read(LOCATION).content == record.resource.content
    assert len(hospital.asked) == 3


def test_it_waits_as_long_as_it_is_asked_to(hospital: LocalFhirServer, reader: FhirServer, record: Sealed) -> None:
    hospital.misbehaviours = [lambda answer: answer.give(b"", status=503, Retry_After="1")]
    started = time.monotonic()
    reader.read(LOCATION)
    assert time.monotonic() - started >= 1.0


@pytest.mark.parametrize(
    ("misbehave", "rule", "attempts"),
    [
        (lambda answer: answer.give(b"", status=500), "status 500", 3),
        (lambda answer: answer.give(b"", status=400), "status 400", 1),
        (lambda answer: answer.give(b"", status=401), "refuses", 1),
        (lambda answer: answer.give(b"", status=410), "does not have", 1),
        (lambda answer: answer.drip(b" " * 65536, 0.0), "more than 200000 bytes", 1),
        (lambda answer: answer.give(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"), "more than 200000", 1),
        (lambda answer: answer.give(b"no gzip", Content_Encoding="gzip"), "DecodingError", 3),
        (lambda answer: answer.give(b"<html>Peter Chalmers</html>", media_type="text/html"), "something else", 1),
        (lambda answer: answer.give(b"<html>Peter Chalmers</html>"), "no FHIR R4 record", 1),
        (lambda answer: answer.give(b"[" * 10_000), "no FHIR R4 record", 1),
        (lambda answer: answer.give(b'{"resourceType": "Chalmers"}'), "no FHIR R4 record", 1),
        (lambda answer: answer.give(b'{"resourceType": "Observation", "id": "x"}'), "no FHIR R4 record", 1),
        (lambda answer: answer.give(b'{"resourceType": "Patient", "id": "blood-pressure"}'), "another record", 1),
        (lambda answer: answer.give(b"", status=302, Location="http://127.0.0.1:9/r4/x"), "another host", 1),
        (lambda answer: answer.give(b"", status=302, Location="https://evil.example/r4/x"), "another host", 1),
        (lambda answer: answer.give(b"", status=302, Location="file:///etc/passwd"), "another host", 1),
        (lambda answer: answer.give(b"", status=301, Location="/r4/" + LOCATION), "more than 2 times", 1),
        (lambda answer: answer.connection.shutdown(socket.SHUT_RDWR), "does not answer", 3),
        (lambda answer: answer.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"), "does not answer", 3),
    ],
)
def test_misbehaviour(
    hospital: LocalFhirServer, reader: FhirServer, record: Sealed, misbehave: Callable[[Answer], None], rule: str,
    attempts: int,
) -> None:  # fmt: skip
    hospital.always = misbehave
    fails(reader, rule)
    assert len(hospital.asked) == attempts or "times" in rule

    hospital.always = None
    assert reader.read(LOCATION).content == record.resource.content  # and it has recovered


@pytest.mark.parametrize("misbehave", [lambda answer: time.sleep(0.4), lambda answer: answer.drip(b" ", 0.05)])
def test_slow(hospital: LocalFhirServer, record: Sealed, misbehave: Callable[[Answer], None]) -> None:
    hospital.always = misbehave
    fails(FhirServer(hospital.url, timeout=0.2, attempts=2, backoff=0.01), "ReadTimeout")
    assert len(hospital.asked) == 2


@pytest.mark.parametrize(
    "location", ["Observation/..", "Observation/../Patient/1", "Observation/1?x", "Observation", ""]
)
def test_locations_that_lead_elsewhere(reader: FhirServer, hospital: LocalFhirServer, location: str) -> None:
    with pytest.raises(ArgumentError):
        reader.read(location)
    assert hospital.asked == []


def test_a_record_cut_off(hospital: LocalFhirServer, reader: FhirServer, record: Sealed) -> None:
    def cut(answer: Answer) -> None:
        body = hashing.canonical(record.resource.content)
        answer.send_response(200)
        answer.send_header("Content-Type", "application/fhir+json")
        answer.send_header("Content-Length", str(len(body)))
        answer.end_headers()
        answer.wfile.write(body[:-10])
        answer.close_connection = True

    hospital.always = cut
    fails(reader, "RemoteProtocolError")


def test_redirects_in_its_own_house(hospital: LocalFhirServer, reader: FhirServer, record: Sealed) -> None:
    hospital.misbehaviours = [lambda answer: answer.give(b"", status=302, Location="/r4/" + LOCATION)]
    assert reader.read(LOCATION).id == "blood-pressure"


def test_nobody_there(keys: KeyRing) -> None:
    with LocalFhirServer() as gone:
        url = gone.url
    fails(FhirServer(url, attempts=2, backoff=0.01), "ConnectError")


@pytest.mark.parametrize(
    "url",
    ["http://fhir.example.org/r4", "ftp://x/", "fhir.example.org", "https://me:secret@x/r4", "https://x/r4?key=secret"],
)
def test_urls_of_no_use(url: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        FhirServer(url)
    assert "secret" not in str(caught.value)


def test_numbers_of_no_use() -> None:
    for options in ({"timeout": 0}, {"attempts": 0}, {"backoff": -1}, {"max_bytes": 0}):
        with pytest.raises(ArgumentError):
            FhirServer("https://fhir.example.org", **options)  # type: ignore[arg-type]


def test_tls_is_verified(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    record = sealed()
    with LocalFhirServer(tls=context) as server:
        server.records[LOCATION] = record.resource.content
        fails(FhirServer(server.url, attempts=1), "ConnectError")
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert FhirServer(server.url, tls=trusting).read(LOCATION).content == record.resource.content
    blind = ssl.create_default_context()
    blind.check_hostname = False
    with pytest.raises(ArgumentError, match="does not verify"):
        FhirServer(server.url, tls=blind)


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that nobody else vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hospital")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_class_and_days_are_kept_here(proxy: FhirServerStore, record: Sealed) -> None:
    record.put(proxy, data_class=DataClass.VITAL_SIGNS)
    assert proxy.search(Query(classes=DataClass.VITAL_SIGNS)).entries[0].pointer.id == record.pointer.id
    assert proxy.search(Query(classes=DataClass.OBSERVATION)).entries == ()
