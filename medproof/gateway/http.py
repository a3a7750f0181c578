"""What all paths of the gatekeeper share: who asks, how a path is described, how a refusal is answered."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyHeader
from starlette.types import Scope

from medproof.errors import GatekeeperRefusalError
from medproof.gateway.authentication import Caller
from medproof.gateway.outcome import operation_outcome
from medproof.gateway.promises import note_promises
from medproof.gateway.service import Gatekeeper
from medproof.gateway.signature import HEADERS, SCHEME
from medproof.gateway.web import refusal_page
from medproof.hashing import JsonObject

__all__ = ["FHIR_JSON", "PAGES", "RESOURCE_SCHEMA", "Body", "SignedCaller", "allow", "describe", "refusal_response"]

FHIR_JSON = "application/fhir+json"
PAGES = "/form"
"""The path of the pages for people, and of everything below them."""

_OUTCOME_SCHEMA = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "details"],
                "properties": {
                    "severity": {"type": "string"},
                    "code": {"type": "string"},
                    "details": {"type": "object"},
                },
            },
        },
    },
}
RESOURCE_SCHEMA = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"type": "string"}},
    "additionalProperties": True,
}
_REFUSALS = {
    400: "The request is not well formed.",
    401: "Nobody signed the request, or not this one, or not now.",
    403: "What the caller claims is not permitted, for a reason that it may know.",
    404: "There is no such record, or the caller may not know of it.",
    409: "Another record was taken under this key.",
    413: "The body is too long.",
    429: "Too many requests.",
    431: "Path and headers are too long.",
    500: "The gatekeeper failed.",
    503: "Chain, store or access log cannot be used now: nothing is decided, and nothing served.",
}

_credentials = APIKeyHeader(
    name="Authorization",
    scheme_name=SCHEME,
    auto_error=False,
    description="EIP-712 typed data AccessRequest over method, path, query, body and claims: see docs/gateway.md.",
)


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


def _admitted(
    request: Request,
    body: Body,
    authorization: Annotated[str | None, Depends(_credentials)],
) -> Caller:
    """Who asks; nothing else is looked at before."""
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    claims = {name: request.headers[header] for name, header in HEADERS.items() if header in request.headers}
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    target = (path + (b"?" + query if query else b"")).decode("latin-1")
    caller = gatekeeper.admit(authorization or "", request.method, target, body, claims)
    request.state.account = caller.account
    note_promises(request.scope, caller.promises)
    return caller


SignedCaller = Annotated[Caller, Depends(_admitted)]


def allow(request: Request, *names: str) -> None:
    """Refuse parameters that are not known: one that was overlooked would widen what is asked for."""
    for name in request.query_params:
        if name not in names or (name != "_lastUpdated" and len(request.query_params.getlist(name)) > 1):
            known = ", ".join(names) or "none"
            raise GatekeeperRefusalError(
                400, "PARAMETER", f"A parameter is unknown or given twice. Known here: {known}."
            )


def refusal_response(scope: Scope, refusal: GatekeeperRefusalError) -> Response:
    """A refusal as an answer, for people as a page; the log learns its code."""
    scope.setdefault("state", {})["refusal"] = refusal.code
    if scope["path"] == PAGES or scope["path"].startswith(f"{PAGES}/"):
        response = refusal_page(refusal)
    else:
        response = Response(operation_outcome(refusal), refusal.status, media_type=FHIR_JSON)
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = SCHEME
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def describe(
    summary: str,
    media_type: str,
    schema: JsonObject | dict[str, Any],
    *statuses: int,
    success: int = 200,
    signed: bool = True,
) -> dict[str, Any]:
    """What the OpenAPI document says of a path: its answers, refusals included."""
    common = (400, 401, 413, 429, 431, 500, 503) if signed else (429, 431, 500, 503)
    outcome = {FHIR_JSON: {"schema": _OUTCOME_SCHEMA}}
    said: dict[int | str, dict[str, Any]] = {
        success: {"description": summary, "content": {media_type: {"schema": schema}}}
    }
    said["default"] = {"description": "Refused.", "content": outcome}
    for status in sorted({*common, *statuses}):
        said[status] = {"description": _REFUSALS.get(status, "Refused."), "content": outcome}
    return {"summary": summary, "responses": said, "response_class": Response}
