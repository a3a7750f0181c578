"""Pages for people: signing in, posting, and what others make a browser send."""

from __future__ import annotations

import html
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from markupsafe import escape
from siwe import SiweMessage

from medproof import fhir
from medproof.client import MedProof
from medproof.errors import StoreFullError
from medproof.gateway import Access, Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.gateway.server import QUOTING
from medproof.gateway.sessions import IDLE, INVITATION, LONGEST
from medproof.gateway.telemetry import LOGGER
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from medproof.telemetry import log_to
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Bridge, Clock, Keep, observation, settle
from tests.sdk.relayer.test_contract_wallets import Wallet

SOURCE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
MEASURED = {
    "kind": "measurement",
    "measurement": "8310-5 Cel",
    "value": "36.60",
    "when": "2026-01-10T08:30",
    "offset": "+01:00",
}
NASTY = "\"'><script>alert(1)</script>&\r\nSet-Cookie: a=b"


class Browser:
    """What a browser does with the pages: it keeps cookies, says where a form comes from, reads hidden fields."""

    def __init__(self, app: Any) -> None:
        self.http = httpx.Client(transport=Bridge(app), base_url=ORIGIN)

    def get(self, path: str = "/form") -> httpx.Response:
        return self.http.get(path)

    def post(
        self, path: str, fields: dict[str, str], *, headers: dict[str, str] = SOURCE, **more: Any
    ) -> httpx.Response:
        return self.http.post(path, data=fields, headers=headers, **more)

    def message(self, account: str) -> str:
        """The message that an account is asked to sign."""
        shown = self.post("/form/sign-in", {"account": account})
        assert shown.status_code == 200
        found = re.search(r'<textarea id="message"[^>]*>(.*?)</textarea>', shown.text, re.DOTALL)
        assert found
        return html.unescape(found[1])

    def sign_in(self, signer: LocalSigner) -> httpx.Response:
        return self.post("/form/session", {"signature": sign(signer, self.message(signer.address))})

    def tokens(self) -> list[str]:
        return re.findall(r'name="form" value="([^"]+)"', self.get().text)


def sign(signer: LocalSigner, text: str) -> str:
    return f"0x{bytes(signer._account.sign_message(encode_defunct(text=text)).signature).hex()}"


@pytest.fixture
def browser(gatekeeper: Gatekeeper) -> Browser:
    return Browser(create_app(gatekeeper))


@pytest.fixture
def writer(browser: Browser, relayer: LocalSigner) -> Browser:
    """Signed in as the clinic's own."""
    assert browser.sign_in(relayer).status_code == 303
    return browser


Fields = dict[str, str]


@pytest.fixture
def measured(writer: Browser, patient: LocalSigner) -> Fields:
    return {**MEASURED, "patient": patient.address, "form": writer.tokens()[0]}


@pytest.fixture
def written(writer: Browser, patient: LocalSigner) -> Fields:
    text = json.dumps({**observation().content, "valueQuantity": {"value": 6, "unit": "mmol/l"}})
    return {"kind": "record", "patient": patient.address, "record": text, "form": writer.tokens()[1]}


def stored(store: SqlStore) -> list[Any]:
    return [one.resource.content for one in store.open(store.search(Query()).entries)]


# -- posting ----------------------------------------------------------------------------------------------------


def test_a_measurement_becomes_an_observation_with_a_pointer(
    writer: Browser, measured: Fields, gatekeeper: Gatekeeper, store: SqlStore, suite: MedProof, accesses: list[Access]
) -> None:
    answer = writer.post("/form", measured)
    assert answer.status_code == 201
    settle(gatekeeper)
    [entry] = store.search(Query()).entries
    assert suite.record_pointers.pointer(entry.pointer) is not None
    assert entry.pointer.id.hex() in answer.text
    [content] = stored(store)
    assert content["effectiveDateTime"] == "2026-01-10T08:30:00+01:00"
    assert str(content["valueQuantity"]["value"]) == "36.60"
    assert fhir.data_class(fhir.load(content)).code
    assert accesses[-1].signed.startswith("0x")
    assert (accesses[-1].action, accesses[-1].permitted) == ("create", True)


def test_a_record_comes_as_text_or_as_a_file(
    writer: Browser, written: Fields, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_disk(*_: Any, **__: Any) -> Any:
        raise AssertionError("health data in a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_disk)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", no_disk)
    assert writer.post("/form", written).status_code == 201
    long = observation(note=[{"text": "x" * 2_000_000}])
    text = json.dumps({**long.content, "valueQuantity": {"value": 6, "unit": "mmol/l"}})
    as_file = {**written, "record": "", "form": writer.tokens()[1]}
    answer = writer.post("/form", as_file, files={"file": ("a\r\nX: b.json", text.encode(), "application/json")})
    assert answer.status_code == 201
    none_chosen = {**written, "form": writer.tokens()[1]}
    assert writer.post("/form", none_chosen, files={"file": ("", b"", "application/octet-stream")}).status_code == 201
    assert len(stored(store)) == 3


def test_a_form_that_is_sent_twice_counts_once(writer: Browser, measured: Fields, store: SqlStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: writer.post("/form", measured), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(stored(store)) == 1


def test_a_form_that_comes_again_with_something_else_is_not_taken_for_stored(
    writer: Browser, measured: Fields, store: SqlStore
) -> None:
    assert writer.post("/form", measured).status_code == 201
    answer = writer.post("/form", {**measured, "value": "39.10"})
    assert answer.status_code == 403
    assert "posted before" in answer.text
    assert 'value="39.10"' in answer.text
    assert len(stored(store)) == 1
    assert writer.post("/form", {**measured, "value": "39.10", "form": writer.tokens()[0]}).status_code == 201
    assert len(stored(store)) == 2


WRONG_FIELDS: list[tuple[Fields, str]] = [
    ({"patient": "0x12"}, "patient"),
    ({"patient": "0x" + "aB" * 20}, "patient"),  # a wrong checksum
    ({"measurement": "8310-5 K"}, "measurement"),
    ({"value": "36,6"}, "value"),
    ({"value": "1e99999"}, "value"),
    ({"value": "NaN"}, "value"),
    ({"when": "2026-02-30T08:30"}, "when"),
    ({"when": "9999-12-31T23:59"}, "when"),
    ({"when": "0001-01-01T00:00", "offset": "+14:00"}, "when"),
    ({"offset": "Z"}, "offset"),
    ({"offset": "+25:00"}, "offset"),
]


def test_a_wrong_field_is_named_and_what_was_typed_stays(writer: Browser, measured: Fields, store: SqlStore) -> None:
    for changes, field in WRONG_FIELDS:
        sent = {**measured, **changes}
        answer = writer.post("/form", sent)
        assert answer.status_code == 422, changes
        assert f'href="#{field}"' in answer.text
        assert f'aria-describedby="{field}-hint {field}-error"' in answer.text
        assert "<title>Error: Post a record" in answer.text
        for name in ("patient", "value", "when", "offset"):
            assert f'value="{html.escape(sent[name])}"' in answer.text
    assert stored(store) == []
    assert writer.post("/form", measured).status_code == 201  # the same form may be sent again


NO_RECORDS: list[tuple[str, int]] = [
    ("", 422),
    ("no json", 400),
    ("[" * 5000, 400),
    ("[]", 422),
    ('{"resourceType":7}', 422),
    ('{"resourceType":"Observation"}', 422),
    ('{"resourceType":"Nothing"}', 422),
    ('{"resourceType":"Patient","name":[{"text":"' + "\\ud800" + '"}]}', 400),
]


def test_what_is_no_record_is_refused_and_stays(writer: Browser, written: Fields, store: SqlStore) -> None:
    for record, status in NO_RECORDS:
        answer = writer.post("/form", {**written, "record": record})
        assert (answer.status_code, 'href="#record"' in answer.text) == (status, True), record[:40]
        assert str(escape(record)) in answer.text
    assert stored(store) == []


def test_a_file_and_a_text_are_one_too_many(writer: Browser, written: Fields, store: SqlStore) -> None:
    answer = writer.post("/form", written, files={"file": ("a.json", b"{}", "application/json")})
    assert answer.status_code == 422
    assert stored(store) == []


def test_the_text_of_a_refused_file_is_shown(writer: Browser, written: Fields) -> None:
    answer = writer.post("/form", {**written, "record": ""}, files={"file": ("a.json", b'{"a": 1}', "text/plain")})
    assert "{&#34;a&#34;: 1}" in answer.text


def test_a_store_in_trouble_is_said_and_nothing_is_lost(
    writer: Browser, measured: Fields, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise StoreFullError("SQLITE_FULL")

    with monkeypatch.context() as trouble:
        trouble.setattr(store, "put", full)
        answer = writer.post("/form", measured)
    assert answer.status_code == 503
    assert 'value="36.60"' in answer.text
    assert writer.post("/form", measured).status_code == 201
    assert len(stored(store)) == 1


# -- signing in -------------------------------------------------------------------------------------------------


def test_the_message_is_what_eip_4361_asks_for(browser: Browser, suite: MedProof, relayer: LocalSigner) -> None:
    message = SiweMessage.from_message(browser.message(relayer.address))
    assert (message.domain, message.uri) == ("records.example.org", f"{ORIGIN}/form")
    assert (message.address, message.chain_id) == (relayer.address, suite.chain.chain_id)
    assert len(message.nonce) == 64
    assert message.statement
    assert message.issued_at
    assert message.expiration_time


def test_who_has_not_signed_in_gets_no_form(browser: Browser, store: SqlStore, patient: LocalSigner) -> None:
    assert 'name="account"' in browser.get().text
    answer = browser.post("/form", {**MEASURED, "patient": patient.address, "form": "a.b"})
    assert answer.status_code == 401
    assert stored(store) == []


def test_only_the_custodians_own_get_the_form(
    browser: Browser, second_clinic: LocalSigner, accesses: list[Access]
) -> None:
    answer = browser.sign_in(second_clinic)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert 'name="account"' in browser.get().text
    assert [(one.account, one.reason) for one in accesses] == [(second_clinic.address, "WRITER")]


def other(text: str, **changes: Any) -> str:
    message = SiweMessage.from_message(text)
    return str(message.model_copy(update=changes).prepare_message())


OTHERS: list[dict[str, Any]] = [
    {"domain": "records.example.com"},
    {"uri": "https://records.example.com/form"},
    {"chain_id": 1},
    {"nonce": "0" * 64},
    {"statement": "Something else"},
    {"expiration_time": None},
]


def test_a_signature_counts_for_this_message_alone(browser: Browser, relayer: LocalSigner) -> None:
    message = browser.message(relayer.address)
    for change in OTHERS:
        signature = sign(relayer, other(message, **change))
        answer = browser.post("/form/session", {"signature": signature})
        assert answer.status_code == 401, change
        assert signature in answer.text  # it stays, beside the message that was to be signed
        assert "medproof-session" not in answer.headers.get("set-cookie", "")


def test_another_account_and_a_twin_of_the_signature_sign_nobody_in(
    browser: Browser, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    message = browser.message(relayer.address)
    good = bytes.fromhex(sign(relayer, message)[2:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = good[:32] + (order - int.from_bytes(good[32:64], "big")).to_bytes(32, "big") + bytes([55 - good[64]])
    assert Account.recover_message(encode_defunct(text=message), signature=twin) == relayer.address
    for signature in (sign(stranger, message), f"0x{twin.hex()}", f"0x{good[:64].hex()}", "0x" + "00" * 65):
        assert browser.post("/form/session", {"signature": signature}).status_code == 401
    for signature in ("", "0x", "0x1", "zz", f"0x{'00' * 2049}"):
        assert browser.post("/form/session", {"signature": signature}).status_code == 400
    assert browser.post("/form/session", {"signature": f"0x{good.hex()}"}).status_code == 303


def test_a_signature_counts_once_and_in_time(browser: Browser, clock: Clock, relayer: LocalSigner) -> None:
    signature = sign(relayer, browser.message(relayer.address))
    invitation = browser.http.cookies["__Host-medproof-invitation"]
    assert browser.post("/form/session", {"signature": signature}).status_code == 303
    browser.http.cookies.clear()
    browser.http.cookies.set("__Host-medproof-invitation", invitation)
    assert "used before" in browser.post("/form/session", {"signature": signature}).text
    late = sign(relayer, browser.message(relayer.address))
    clock.offset += INVITATION
    assert "not signed in time" in browser.post("/form/session", {"signature": late}).text


def test_an_invitation_of_another_process_or_of_nobody_counts_for_nothing(
    browser: Browser, keep: Keep, relayer: LocalSigner
) -> None:
    signature = sign(relayer, browser.message(relayer.address))
    invitation = browser.http.cookies["__Host-medproof-invitation"]
    said, _, mac = invitation.rpartition(".")
    for forged in ("", "x", f"{said}.{mac[::-1]}", f"{said}9.{mac}", f"{said}.", f"{said}.\N{SNOWMAN}"):
        answer = browser.http.post(
            "/form/session",
            data={"signature": signature},
            headers={**SOURCE, "Cookie": f"__Host-medproof-invitation={forged}".encode()},
        )
        assert answer.status_code == 401
    restarted = Browser(create_app(keep(sender=None)))
    restarted.http.cookies.set("__Host-medproof-invitation", invitation)
    assert restarted.post("/form/session", {"signature": signature}).status_code == 401


@pytest.mark.parametrize(("mood", "status"), [("honest", 403), ("reverting", 401), ("burning", 401), ("wrong", 401)])
def test_a_contract_wallet_signs_in_as_it_signs_requests(
    browser: Browser, suite: MedProof, fresh_account: LocalSigner, stranger: LocalSigner, mood: str, status: int
) -> None:
    wallet = Wallet(suite, fresh_account, stranger)
    wallet.feel(mood)
    message = browser.message(wallet.address)
    answer = browser.post("/form/session", {"signature": sign(fresh_account, message)})
    assert answer.status_code == status  # it is known then, and no writer


# -- sessions ---------------------------------------------------------------------------------------------------


def test_cookies_are_for_this_site_alone(browser: Browser, relayer: LocalSigner) -> None:
    shown = browser.post("/form/sign-in", {"account": relayer.address})
    entered = browser.sign_in(relayer)
    cookies = [*shown.headers.get_list("set-cookie"), *entered.headers.get_list("set-cookie")]
    assert len(cookies) == 3  # the invitation, its end, and the session
    for cookie in cookies:
        assert cookie.startswith("__Host-medproof-")
        for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie
    assert entered.headers["location"] == "/form"


def test_without_tls_on_one_machine_cookies_are_plain(keep: Keep, settings: Settings, relayer: LocalSigner) -> None:
    local = "http://127.0.0.1:8080"
    app = create_app(keep(settings=replace(settings, origin=local)))
    http = httpx.Client(transport=Bridge(app), base_url=local)
    answer = http.post("/form/sign-in", data={"account": relayer.address}, headers={"Origin": local})
    assert answer.headers["set-cookie"].startswith("medproof-invitation=")
    assert "Secure" not in answer.headers["set-cookie"]
    assert "strict-transport-security" not in answer.headers


def test_a_session_that_somebody_else_fixed_is_not_taken_up(
    browser: Browser, relayer: LocalSigner, gatekeeper: Gatekeeper
) -> None:
    browser.http.cookies.set("__Host-medproof-session", "fixed", domain="records.example.org")
    browser.sign_in(relayer)
    first = browser.http.cookies.get("__Host-medproof-session", domain="records.example.org", path="/")
    assert first not in (None, "fixed")
    assert gatekeeper.sessions.find("fixed") is None
    browser.sign_in(relayer)  # the earlier session ends
    assert gatekeeper.sessions.find(str(first)) is None


def test_a_session_ends_on_sign_out_and_by_itself(
    writer: Browser, measured: Fields, clock: Clock, relayer: LocalSigner, store: SqlStore
) -> None:
    clock.offset += IDLE
    late = writer.post("/form", measured)
    assert late.status_code == 401
    assert 'value="36.60"' in late.text  # nothing that was typed is lost
    assert stored(store) == []
    writer.sign_in(relayer)
    old = writer.post("/form", measured)  # the form of the earlier session
    assert old.status_code == 403
    [token, _] = re.findall(r'name="form" value="([^"]+)"', old.text)
    assert writer.post("/form", {**measured, "form": token}).status_code == 201
    for _ in range(LONGEST // (IDLE - 1)):
        clock.offset += IDLE - 1
        assert 'name="value"' in writer.get().text
    clock.offset += IDLE - 1
    assert 'name="account"' in writer.get().text
    writer.sign_in(relayer)
    kept = dict(writer.http.cookies)
    assert writer.post("/form/sign-out", {"": ""}).status_code == 303
    assert not writer.http.cookies
    writer.http.cookies.update(kept)
    assert 'name="account"' in writer.get().text


def test_a_session_opens_nothing_but_the_pages(writer: Browser, patient: LocalSigner) -> None:
    for method, path in (
        ("GET", f"/fhir/Observation?patient={patient.address}"),
        ("GET", f"/pointers/{patient.address}"),
        ("POST", f"/fhir/Observation?patient={patient.address}"),
    ):
        assert writer.http.request(method, path, headers=SOURCE).status_code == 401


def test_a_signed_request_and_a_session_are_two_things(
    browser: Browser, gatekeeper: Gatekeeper, suite: MedProof, relayer: LocalSigner, patient: LocalSigner
) -> None:
    client = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT, http=browser.http)
    target = "/form"
    from medproof.errors import GatekeeperRefusalError

    with pytest.raises(GatekeeperRefusalError) as caught:
        client._send("POST", target, b"{}")
    assert caught.value.status == 403


# -- what others make a browser send ----------------------------------------------------------------------------


ELSEWHERE: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": "https://records.example.org.evil.example"},
    {"Origin": "http://records.example.org"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
]


def test_forms_of_other_sites_are_refused_unread(browser: Browser, relayer: LocalSigner) -> None:
    for path in ("/form", "/form/sign-in", "/form/session", "/form/sign-out"):
        for headers in ELSEWHERE:
            answer = browser.post(path, {"account": relayer.address, "secret": "canary"}, headers=headers)
            assert answer.status_code == 403, (path, headers)
            assert "canary" not in answer.text
            assert "set-cookie" not in answer.headers


def test_a_form_without_its_token_is_refused(writer: Browser, measured: Fields, store: SqlStore) -> None:
    name, _, mac = measured["form"].partition(".")
    for token in ("", ".", name, f"{name}.", f"x{name}.{mac}", f"{name}.{mac[::-1]}", f"{name}.{mac}\N{SNOWMAN}"):
        assert writer.post("/form", {**measured, "form": token}).status_code == 403
    assert stored(store) == []


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), tag
        self.tags.append((tag, dict(attrs)))


def test_nothing_that_is_typed_becomes_part_of_a_page(writer: Browser, measured: Fields, written: Fields) -> None:
    pages = [writer.post("/form", {**measured, name: NASTY}) for name in measured]
    pages += [writer.post("/form", {**written, name: NASTY}) for name in written]
    pages += [
        writer.post("/form/sign-in", {"account": NASTY}),
        writer.post("/form/session", {"signature": NASTY}),
        writer.get("/form/" + NASTY.replace("\r\n", "%0d%0a")),
    ]
    for answer in pages:
        assert answer.status_code >= 400
        assert "<script>alert" not in answer.text
        scripts = [one for tag, one in Page(answer.text).tags if tag == "script"]
        assert scripts == [{"src": "/form/page.js", "defer": None}]
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


SURROGATE = b'--a\r\nContent-Disposition: form-data; name="record"\r\n\r\n\\ud800\r\n--a--\r\n'


def test_giant_and_odd_forms_are_refused(writer: Browser, measured: Fields, gatekeeper: Gatekeeper) -> None:
    limit = gatekeeper.settings.max_body
    assert writer.post("/form", {**measured, "value": "9" * 5001}).status_code == 400
    assert writer.post("/form", {**measured, "record": "9" * limit}).status_code == 413
    assert writer.post("/form", {**measured, **{f"x{number}": "" for number in range(50)}}).status_code == 400
    odd: list[tuple[str, bytes, int]] = [
        ("text/plain", b"a=b", 415),
        ("multipart/form-data", b"", 400),
        *(
            (f"multipart/form-data; boundary=a; charset={charset}", SURROGATE, 415)
            for charset in ("unicode_escape", "punycode", "utf-16")
        ),
        ("multipart/form-data; boundary=a", b"--a\r\n" * 50, 400),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n", 400),
        ("application/x-www-form-urlencoded", b"account=1&account=2", 400),
        ("application/x-www-form-urlencoded", b"&" * 100_000, 403),
        ("application/x-www-form-urlencoded", b"%ff=%00&kind=%zz", 403),
    ]
    for kind, body, status in odd:
        answer = writer.http.post("/form", content=body, headers={**SOURCE, "Content-Type": kind})
        assert (kind, body[:20], answer.status_code) == (kind, body[:20], status)
        assert answer.headers["content-type"].startswith("text/html")
    files = [("file", ("a", b"1", "text/plain")), ("other", ("b", b"2", "text/plain"))]
    assert writer.post("/form", measured, files=files).status_code == 400
    binary = writer.post("/form", {**measured}, files={"file": ("a", b"\xff\xfe", "application/json")})
    assert binary.status_code == 400


def test_pages_keep_themselves_to_themselves(browser: Browser, writer: Browser) -> None:
    for path in ("/form", "/form/nowhere"):
        headers = browser.get(path).headers
        policy = headers.get_list("content-security-policy")
        assert policy == [policy[0]]
        for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
            assert part in policy[0]
        assert "unsafe" not in policy[0]
        assert headers.get_list("referrer-policy") == ["same-origin"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


def test_pages_are_for_everyone(writer: Browser, browser: Browser, relayer: LocalSigner, measured: Fields) -> None:
    signed_out = Browser(browser.http._transport._asgi.app)  # type: ignore[attr-defined]
    pages = [
        writer.get(),
        writer.post("/form", {**measured, "value": "x", "patient": "x"}),
        writer.post("/form", measured),
        signed_out.get(),
        signed_out.post("/form/sign-in", {"account": relayer.address}),
        signed_out.post("/form/sign-in", {"account": "x"}),
        signed_out.get("/form/nowhere"),
    ]
    for answer in pages:
        tags = Page(answer.text).tags
        ids = [one["id"] for _, one in tags if "id" in one]
        assert len(ids) == len(set(ids))
        labels = {one["for"] for tag, one in tags if tag == "label"}
        headings = [tag for tag, _ in tags if tag == "h1"]
        assert ("html", {"lang": "en"}) in tags
        assert headings == ["h1"]
        for tag, one in tags:
            if tag in ("input", "select", "textarea") and one.get("type") != "hidden":
                assert one["id"] in labels
                for described in str(one.get("aria-describedby") or "").split():
                    assert described in ids
            assert not one.keys() & {"style", "onclick", "onload", "onsubmit"}
            assert not str(one.get("src") or one.get("href") or "").startswith(("http", "//"))
            assert "tabindex" not in one or one["tabindex"] == "-1"
            if tag == "a" and str(one["href"]).startswith("#"):
                assert str(one["href"])[1:] in ids
    for path, kind in (("/form/page.css", "text/css"), ("/form/page.js", "text/javascript")):
        assert browser.get(path).headers["content-type"].startswith(kind)


def test_the_log_tells_nothing_of_a_form(
    writer: Browser, measured: Fields, written: Fields, caplog: pytest.LogCaptureFixture, relayer: LocalSigner
) -> None:
    with caplog.at_level(logging.INFO):
        writer.post("/form", {**measured, "value": "canary"})
        writer.post("/form", {**written, "record": '{"resourceType":"canary"}'})
        writer.post("/form", measured)
        writer.post("/form/sign-in", {"account": "canary"})
    text = caplog.text.lower()
    for secret in ("canary", relayer.address, measured["patient"], measured["form"], "36.60", "8310-5"):
        assert secret.lower() not in text
    assert 'refusal="FIELDS"' in caplog.text


@pytest.fixture
def served_log() -> Iterator[io.StringIO]:
    """Logging as `serve` sets it up, and put back afterwards."""
    loggers = [logging.getLogger(name) for name in (LOGGER.name, *QUOTING)]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    stream = io.StringIO()
    log_to(stream, name=LOGGER.name, as_json=True, silent=QUOTING)
    yield stream
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def test_what_reads_forms_writes_no_log_of_its_own(
    writer: Browser, served_log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = io.StringIO()  # where a program that sets up nothing writes what others log
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(elsewhere)])
    body = b"--a\r\nContent-\x00Disposition: form-data\r\n\r\nx\r\n--a--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=a"}
    assert writer.http.post("/form", content=body, headers={**SOURCE, **kind}).status_code == 400
    assert elsewhere.getvalue() == ""
    assert [json.loads(line)["refusal"] for line in served_log.getvalue().splitlines()] == ["FORM"]


def test_an_account_has_its_limit_at_the_pages_too(keep: Keep, settings: Settings, relayer: LocalSigner) -> None:
    browser = Browser(create_app(keep(settings=replace(settings, account_rate=0.001, account_burst=2))))
    browser.sign_in(relayer)
    answers: list[Callable[[], httpx.Response]] = [browser.get] * 3
    assert [ask().status_code for ask in answers] == [200, 200, 429]
