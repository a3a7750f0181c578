"""A client believes nothing that the chain does not confirm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, UnprovedRecordError
from medproof.gateway import GatekeeperClient
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Post

Alter = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]


def lying(http: httpx.Client, alter: Alter) -> httpx.Client:
    """The gatekeeper's answers, altered on the way."""

    def answer(request: httpx.Request) -> httpx.Response:
        true = http.send(httpx.Request(request.method, request.url, headers=request.headers))
        proof, body = alter(json.loads(true.headers["MedProof-Proof"]), true.content)
        return httpx.Response(true.status_code, headers={"MedProof-Proof": json.dumps(proof)}, content=body)

    return httpx.Client(transport=httpx.MockTransport(answer))


ALTERATIONS: dict[str, tuple[Alter, str]] = {
    "value": (lambda proof, body: (proof, body.replace(b"6.30", b"6.31")), "salt"),
    "digit": (lambda proof, body: (proof, body.replace(b"6.30", b"6.3")), "salt"),
    "salt": (lambda proof, body: ({**proof, "salt": "0x" + "11" * 32}, body), "salt"),
    "zero-salt": (lambda proof, body: ({**proof, "salt": "0x" + "00" * 32}, body), "salt"),
    "subject": (lambda proof, body: ({**proof, "subject": "0x" + "a1" * 20}, body), "pointer"),
    "version": (lambda proof, body: ({**proof, "version": 2}, body), "version"),
    "block": (lambda proof, body: ({**proof, "blockHash": "0x" + "11" * 32}, body), "blockHash"),
    "no-proof": (lambda proof, body: ({}, body), "proof"),
    "list": (lambda proof, body: ({**proof, "salt": ["0x"]}, body), "proof"),
    "no-json": (lambda proof, body: (proof, b"<html>"), "body"),
    "array": (lambda proof, body: (proof, b"[]"), "body"),
    "type": (lambda proof, body: (proof, body.replace(b'"Observation"', b'"Procedure"')), "resourceType or id"),
}


def test_what_was_altered_is_not_handed_on(
    http: httpx.Client, suite: MedProof, post: Post, granted: Rule, second_clinic: LocalSigner
) -> None:
    id_ = post()
    for name, (alter, field) in ALTERATIONS.items():
        client = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=lying(http, alter))
        with pytest.raises(UnprovedRecordError) as caught:
            client.fetch("Observation", id_)
        assert caught.value.field == field, name


def test_a_pointer_that_is_not_on_the_chain_proves_nothing(
    http: httpx.Client, suite: MedProof, post: Post, granted: Rule, second_clinic: LocalSigner
) -> None:
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    from medproof import hashing

    def forge(proof: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        other = body.replace(b"6.30", b"9.99")
        commitment = hashing.commit(hashing.parse(other), bytes.fromhex(proof["salt"][2:]))
        parts = [proof["subject"], proof["origin"], commitment]
        pointer = keccak(encode(["address", "address", "bytes32"], parts))
        return {**proof, "commitment": f"0x{commitment.hex()}", "pointer": f"0x{pointer.hex()}"}, other

    client = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=lying(http, forge))
    with pytest.raises(UnprovedRecordError) as caught:
        client.fetch("Observation", post())
    assert caught.value.field == "pointer"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (httpx.Response(502, content=b"<html>bad gateway"), 502, "UNKNOWN"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example.org"}), 302, "UNKNOWN"),
        (httpx.Response(503, content=b'{"issue":[]}', headers={"Retry-After": "soon"}), 503, "UNKNOWN"),
        (httpx.ConnectError("nobody"), 503, "NO_ANSWER"),
    ],
)
def test_an_answer_that_is_none_is_a_refusal(
    suite: MedProof, second_clinic: LocalSigner, answer: httpx.Response | Exception, status: int, code: str
) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx.Client(transport=httpx.MockTransport(respond))
    client = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    with pytest.raises(GatekeeperRefusalError) as caught:
        client.fetch("Observation", "1")
    assert (caught.value.status, caught.value.code) == (status, code)


def test_a_next_link_to_elsewhere_is_not_followed(suite: MedProof, second_clinic: LocalSigner) -> None:
    page = {"resourceType": "Bundle", "link": [{"relation": "next", "url": "https://elsewhere.example.org/fhir"}]}
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=page)))
    client = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    with pytest.raises(UnprovedRecordError):
        list(client.search("Observation", second_clinic.address))
