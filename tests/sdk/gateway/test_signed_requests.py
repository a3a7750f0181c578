"""Forged, replayed, expired, borrowed: what does not prove who asks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from medproof.client import MedProof
from medproof.gateway import Gatekeeper, SignedRequest, create_app
from medproof.gateway.signature import Credentials
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Bridge, Clock, Keep, Post

TARGET = "/fhir/Observation/00000000-0000-4000-8000-000000000000"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def signed(account: str, *, target: str = TARGET, **changes: Any) -> SignedRequest:
    request = SignedRequest.new(
        account, ORIGIN, "GET", target, body=b"", claims=TREATMENT, now=int(time.time()), lifetime=60
    )
    return replace(request, **changes)


@pytest.fixture
def ask(http: httpx.Client, suite: MedProof, second_clinic: LocalSigner) -> Any:
    """Send a request signed by the other clinic, or by another, and return status and code."""

    def send(
        request: SignedRequest,
        *,
        signer: LocalSigner = second_clinic,
        method: str = "GET",
        target: str = TARGET,
        chain_id: int = suite.chain.chain_id,
        contract: str = suite.consent_registry.address,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, str]:
        given = {**request.headers(signer, chain_id, contract), **(headers or {})}
        answer = http.request(method, ORIGIN + target, headers=given, content=body or None)
        return answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]

    return send


NOT_FOUND = (404, "NOT_FOUND")  # what whoever is known gets here
SIGNATURE = (401, "SIGNATURE")


def test_a_signed_request_is_let_through_once(ask: Any, second_clinic: LocalSigner) -> None:
    request = signed(second_clinic.address)
    assert ask(request) == NOT_FOUND
    assert ask(request) == (401, "REPLAYED")


def test_a_clock_that_is_set_back_revives_no_request(ask: Any, second_clinic: LocalSigner, clock: Clock) -> None:
    request = signed(second_clinic.address)
    assert ask(request) == NOT_FOUND
    clock.offset = 90.0  # it is forgotten
    assert ask(signed(second_clinic.address, issued=int(clock()), expires=int(clock()) + 60)) == NOT_FOUND
    clock.offset = 0.0
    assert ask(request) == (401, "REPLAYED")


def test_nobody_is_not_let_through(http: httpx.Client) -> None:
    for headers in ({}, {"Authorization": "Bearer 1"}, {"Authorization": "MedProof account=0x00"}):
        answer = http.get(ORIGIN + TARGET, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "MedProof"
        assert answer.json()["issue"][0]["code"] == "login"


def test_a_signature_counts_for_what_was_signed_alone(
    ask: Any, second_clinic: LocalSigner, clinic: LocalSigner, suite: MedProof
) -> None:
    account = second_clinic.address
    assert ask(signed(account), signer=clinic) == SIGNATURE  # another's signature
    assert ask(signed(account), target=TARGET + "?x=1") == SIGNATURE
    assert ask(signed(account), target="/fhir/Observation/other") == SIGNATURE
    assert ask(signed(account, method="POST")) == SIGNATURE
    assert ask(signed(account, body=b"{}")) == SIGNATURE
    assert ask(signed(account), body=b"{}") == SIGNATURE
    assert ask(signed(account), headers={"MedProof-Purposes": "TREAT,HMARKT"}) == SIGNATURE
    assert ask(signed(account), headers={"MedProof-Research": "GRU"})[0] in (400, 401)


def test_a_signature_counts_at_one_gatekeeper_chain_and_registry(
    ask: Any, second_clinic: LocalSigner, suite: MedProof
) -> None:
    account = second_clinic.address
    assert ask(signed(account, audience="https://other.example.org")) == SIGNATURE
    assert ask(signed(account, audience="http://records.example.org")) == SIGNATURE
    assert ask(signed(account), chain_id=suite.chain.chain_id + 1) == SIGNATURE
    assert ask(signed(account), contract=suite.record_pointers.address) == SIGNATURE


def test_a_signature_counts_in_its_time_alone(ask: Any, second_clinic: LocalSigner) -> None:
    account, now = second_clinic.address, int(time.time())
    assert ask(signed(account, issued=now - 40, expires=now - 1)) == (401, "EXPIRED")
    assert ask(signed(account, issued=now + 60, expires=now + 90)) == (401, "NOT_YET_VALID")
    assert ask(signed(account, issued=now, expires=now + 301)) == (401, "LIFETIME")
    assert ask(signed(account, issued=now, expires=now)) == (401, "NOT_YET_VALID")
    assert ask(signed(account, issued=now - 100, expires=now + 60)) == (401, "BEFORE_START")


def test_what_an_earlier_process_let_through_does_not_come_again(
    ask: Any, keep: Keep, clock: Clock, suite: MedProof, second_clinic: LocalSigner
) -> None:
    request = signed(second_clinic.address, issued=int(time.time()) + 5)  # as early as a caller may be
    assert ask(request) == NOT_FOUND
    anew = keep()
    anew.authenticator._started = int(time.time()) + anew.settings.clock_skew  # started this second
    http = httpx.Client(transport=Bridge(create_app(anew)))
    headers = request.headers(second_clinic, suite.chain.chain_id, suite.consent_registry.address)
    answer = http.get(ORIGIN + TARGET, headers=headers)
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "BEFORE_START"


def test_the_twin_of_a_signature_is_none(http: httpx.Client, suite: MedProof, second_clinic: LocalSigner) -> None:
    request = signed(second_clinic.address)
    signature = second_clinic.sign_typed_data(request.typed_data(suite.chain.chain_id, suite.consent_registry.address))
    s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    given = Credentials(request.account, request.nonce, request.issued, request.expires, twin)
    answer = http.get(
        ORIGIN + TARGET,
        headers={"Authorization": str(given), "MedProof-Purposes": "TREAT", "MedProof-Actions": "access"},
    )
    assert answer.status_code == 401


def test_unknown_codes_are_refused(ask: Any, second_clinic: LocalSigner) -> None:
    assert ask(signed(second_clinic.address, claims={"purposes": "TREAT,"})) == (400, "UNKNOWN_CODE")


def test_a_wallet_shows_one_field_for_each_meaning(suite: MedProof, second_clinic: LocalSigner) -> None:
    request = signed(second_clinic.address)
    data = request.typed_data(suite.chain.chain_id, suite.consent_registry.address).as_dict()
    assert data["message"]["purposes"] == "TREAT"
    assert data["message"]["audience"] == ORIGIN
    signable = encode_typed_data(full_message=data)
    signature = second_clinic.sign_typed_data(request.typed_data(suite.chain.chain_id, suite.consent_registry.address))
    assert Account.recover_message(signable, signature=signature) == second_clinic.address


def test_an_account_has_its_limit(
    keep: Keep, settings: Any, suite: MedProof, second_clinic: LocalSigner, payer: LocalSigner
) -> None:
    gatekeeper: Gatekeeper = keep(settings=replace(settings, account_rate=0.5, account_burst=2))
    http = httpx.Client(transport=Bridge(create_app(gatekeeper)))

    def status(signer: LocalSigner) -> httpx.Response:
        request = signed(signer.address)
        headers = request.headers(signer, suite.chain.chain_id, suite.consent_registry.address)
        return http.get(ORIGIN + TARGET, headers=headers)

    assert [status(second_clinic).status_code for _ in range(3)] == [404, 404, 429]
    assert int(status(second_clinic).headers["Retry-After"]) in (1, 2)
    assert status(payer).status_code == 404  # another's limit is its own


def test_a_record_is_not_served_to_a_replayed_request(
    ask: Any, post: Post, granted: Rule, http: httpx.Client, suite: MedProof, second_clinic: LocalSigner
) -> None:
    target = f"/fhir/Observation/{post()}"
    request = signed(second_clinic.address, target=target)
    headers = request.headers(second_clinic, suite.chain.chain_id, suite.consent_registry.address)
    assert http.get(ORIGIN + target, headers=headers).status_code == 200
    assert http.get(ORIGIN + target, headers=headers).status_code == 401
