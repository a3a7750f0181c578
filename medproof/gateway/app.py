"""The gatekeeper over HTTP: FHIR records, pointers, health and metrics, described by its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from eth_utils.address import to_checksum_address
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException
from starlette.types import Scope

from medproof import __version__, hashing
from medproof.errors import ArgumentError, CursorError, GatekeeperRefusalError, MedProofError
from medproof.gateway.authentication import Caller
from medproof.gateway.limits import Limits, RateLimit
from medproof.gateway.outcome import as_refusal, operation_outcome
from medproof.gateway.proof import PROOF
from medproof.gateway.service import Gatekeeper, Results, Served
from medproof.gateway.signature import HEADERS, SCHEME
from medproof.gateway.telemetry import Metrics, Telemetry
from medproof.hashing import Json, JsonObject
from medproof.policy.evaluation import Reason
from medproof.store import Query as StoreQuery

__all__ = ["FHIR_JSON", "create_app"]

FHIR_JSON = "application/fhir+json"
_JSON_TYPES = frozenset({FHIR_JSON, "application/json"})
_DEFAULT_COUNT, _MOST_COUNT = 20, 100
_INSTANT = re.compile(
    r"(?P<prefix>ge|gt|le|lt|eq)?(?P<day>\d{4}-\d{2}-\d{2})(?P<time>T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))?", re.ASCII
)

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
_RESOURCE_SCHEMA = {
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
    413: "The body is too long.",
    429: "Too many requests.",
    431: "Path and headers are too long.",
    500: "The gatekeeper failed.",
    503: "Chain, store or access log cannot be used now: nothing is decided, and nothing served.",
}

_Type = Annotated[str, Path(alias="type", pattern="^[A-Z][A-Za-z]{1,63}$", description="A FHIR R4 resource type.")]
_Id = Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9\-.]{1,64}$", description="The record's id.")]
_Patient = Annotated[
    str, Query(pattern="^0x[0-9a-fA-F]{40}$", description="The subject: the patient's pseudonym with this custodian.")
]
_Count = Annotated[int, Query(alias="_count", ge=1, le=_MOST_COUNT, description="The most entries of a page.")]
_Cursor = Annotated[str | None, Query(alias="_cursor", max_length=512, description="As a next link gives it.")]
_Updated = Annotated[
    list[str] | None,
    Query(
        alias="_lastUpdated",
        max_length=2,
        description="When the record was stored: a day or an instant with a zone, after ge, gt, le, lt or eq.",
    ),
]

_credentials = APIKeyHeader(
    name="Authorization",
    scheme_name=SCHEME,
    auto_error=False,
    description="EIP-712 typed data AccessRequest over method, path, query, body and claims: see docs/gateway.md.",
)


async def _body(request: Request) -> bytes:
    return await request.body()


def _admitted(
    request: Request,
    body: Annotated[bytes, Depends(_body)],
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
    return caller


_Caller = Annotated[Caller, Depends(_admitted)]


def create_app(gatekeeper: Gatekeeper) -> FastAPI:
    """Return the ASGI application of a gatekeeper; its lifespan starts and stops the posting of pointers."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gatekeeper.start()
        yield
        gatekeeper.stop()

    app = FastAPI(
        title="MedProof gatekeeper",
        version=__version__,
        description="Serves a custodian's FHIR R4 records to whom their subjects permit it on chain.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.gatekeeper = gatekeeper
    settings = gatekeeper.settings
    metrics = Metrics({"pointers_open": lambda: gatekeeper.poster.open if gatekeeper.poster else 0})
    limit = RateLimit(settings.address_rate, settings.address_burst)
    app.add_middleware(Limits, body=settings.max_body, headers=settings.max_headers, addresses=limit, refuse=_refusal)
    app.add_middleware(Telemetry, metrics=metrics, https=settings.origin.startswith("https:"), refuse=_refusal)
    _add_errors(app)
    _add_records(app, gatekeeper)
    _add_operations(app, gatekeeper, metrics)
    return app


# -- records -----------------------------------------------------------------------------------------------------


def _add_records(app: FastAPI, gatekeeper: Gatekeeper) -> None:
    @app.get("/fhir/{type}/{id}", **_describe("Read one record", FHIR_JSON, _RESOURCE_SCHEMA, 403, 404))
    def read(request: Request, caller: _Caller, resource_type: _Type, id_: _Id) -> Response:
        """The record to its last digit; the header MedProof-Proof opens its commitment on chain."""
        _allow(request)
        served = gatekeeper.read(caller, resource_type, id_)
        _remember(request, served)
        headers = {"MedProof-Proof": served.proof.to_text(), "ETag": f'W/"{served.proof.version}"'}
        return Response(hashing.canonical(served.record.content), media_type=FHIR_JSON, headers=headers)

    @app.get("/fhir/{type}", **_describe("Search the records of one subject", FHIR_JSON, _RESOURCE_SCHEMA, 403))
    def search(
        request: Request,
        caller: _Caller,
        resource_type: _Type,
        patient: _Patient,
        updated: _Updated = None,
        count: _Count = _DEFAULT_COUNT,
        cursor: _Cursor = None,
    ) -> Response:
        """A searchset bundle of what the caller may have, a proof in each entry; of the rest there is no trace."""
        _allow(request, "patient", "_lastUpdated", "_count", "_cursor")
        query = _query(patient, (resource_type,), updated or [])
        results = gatekeeper.search(caller, query, count=count, cursor=cursor)
        _remember(request, *results.served)
        links = _links(request, gatekeeper.settings.origin, results)
        entries: list[Json] = [_entry(gatekeeper.settings.origin, served) for served in results.served]
        bundle: JsonObject = {"resourceType": "Bundle", "type": "searchset", "link": links}
        if entries:
            bundle["entry"] = entries
        return Response(hashing.canonical(bundle), media_type=FHIR_JSON)

    @app.get(
        "/pointers/{subject}",
        **_describe("List the pointers of one subject", "application/json", {"type": "object"}, 403),
    )
    def pointers(
        request: Request,
        caller: _Caller,
        subject: Annotated[str, Path(pattern="^0x[0-9a-fA-F]{40}$", description="The subject's pseudonym.")],
        count: _Count = _DEFAULT_COUNT,
        cursor: _Cursor = None,
    ) -> Response:
        """The pointers to the records that the caller may have, and where to read each."""
        _allow(request, "_count", "_cursor")
        results = gatekeeper.search(caller, _query(subject, (), []), count=count, cursor=cursor, action="list")
        _remember(request, *results.served)
        block = results.moment.block
        listing: JsonObject = {
            "block": {"number": block.number, "hash": block.hash},
            "pointers": [
                {
                    "pointer": f"0x{one.pointer.key.id.hex()}",
                    "subject": one.pointer.key.subject,
                    "origin": one.pointer.key.origin,
                    "commitment": f"0x{one.pointer.key.commitment.hex()}",
                    "class": one.pointer.data_class.code,
                    "version": one.pointer.version,
                    "status": one.pointer.status.name.lower(),
                    "record": f"{gatekeeper.settings.origin}/fhir/{one.entry.resource_type}/{one.id}",
                }
                for one in results.listed
            ],
            "link": _links(request, gatekeeper.settings.origin, results),
        }
        return Response(hashing.canonical(listing), media_type="application/json")

    @app.post(
        "/fhir/{type}",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": {FHIR_JSON: {"schema": _RESOURCE_SCHEMA}}}},
        **_describe("Take a new record", FHIR_JSON, _RESOURCE_SCHEMA, 403, 415, 422, success=201),
    )
    def create(
        request: Request,
        caller: _Caller,
        body: Annotated[bytes, Depends(_body)],
        resource_type: _Type,
        patient: _Patient,
    ) -> Response:
        """A record of the custodian's own devices and apps: stored when this answers, then posted on chain."""
        _allow(request, "patient")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _JSON_TYPES:
            raise GatekeeperRefusalError(415, "CONTENT_TYPE", f"A record comes as {FHIR_JSON}.")
        stored = gatekeeper.create(caller, resource_type, str(to_checksum_address(patient)), body)
        location = f"{gatekeeper.settings.origin}/fhir/{resource_type}/{stored.resource.id}"
        headers = {"Location": location, "MedProof-Pointer": f"0x{stored.entry.pointer.id.hex()}", "ETag": 'W/"1"'}
        return Response(hashing.canonical(stored.resource.content), 201, media_type=FHIR_JSON, headers=headers)


def _allow(request: Request, *names: str) -> None:
    """Refuse parameters that are not known: one that was overlooked would widen what is asked for."""
    for name in request.query_params:
        if name not in names or (name != "_lastUpdated" and len(request.query_params.getlist(name)) > 1):
            known = ", ".join(names) or "none"
            raise GatekeeperRefusalError(
                400, "PARAMETER", f"A parameter is unknown or given twice. Known here: {known}."
            )


def _query(subject: str, types: tuple[str, ...], updated: list[str]) -> StoreQuery:
    """What to ask of the store."""
    first = last = None
    for text in updated:
        begins, ends = _interval(text)
        first = begins if first is None or (begins and begins > first) else first
        last = ends if last is None or (ends and ends < last) else last
    return StoreQuery((str(to_checksum_address(subject)),), types, stored_from=first, stored_until=last)


def _interval(text: str) -> tuple[datetime | None, datetime | None]:
    """From when, inclusive, until when, exclusive, a value of _lastUpdated means."""
    found = _INSTANT.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        if found["time"]:
            begins, length = datetime.fromisoformat(found["day"] + found["time"]), timedelta(seconds=1)
        else:
            begins, length = datetime.fromisoformat(found["day"]).replace(tzinfo=UTC), timedelta(days=1)
        begins, ends = begins.astimezone(UTC), begins.astimezone(UTC) + length
    except (ValueError, OverflowError):
        said = "_lastUpdated is a day or an instant with a zone, after ge, gt, le, lt or eq, as ge2026-03-01."
        raise GatekeeperRefusalError(400, "PARAMETER", said) from None
    return {"ge": (begins, None), "gt": (ends, None), "le": (None, ends), "lt": (None, begins)}.get(
        found["prefix"] or "eq", (begins, ends)
    )


def _entry(origin: str, served: Served) -> JsonObject:
    record = served.record
    return {
        "extension": [{"url": PROOF, "valueString": served.proof.to_text()}],
        "fullUrl": f"{origin}/fhir/{record.resource_type}/{record.id}",
        "resource": record.content,
        "search": {"mode": "match"},
    }


def _links(request: Request, origin: str, results: Results) -> list[Json]:
    """Links to this page and, where the caller may have more, to the next."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "_cursor"]
    path = f"{origin}{request.url.path}"
    links: list[Json] = [{"relation": "self", "url": f"{path}?{urlencode(given)}" if given else path}]
    if results.cursor is not None:
        links.append({"relation": "next", "url": f"{path}?{urlencode([*given, ('_cursor', results.cursor)])}"})
    return links


def _remember(request: Request, *served: Served) -> None:
    """What the log says of an answer: the block, and whether the glass was broken."""
    if served:
        request.state.block = served[0].proof.block
        request.state.break_glass = any(one.proof.reason == Reason.BREAK_GLASS.name for one in served)


# -- operations --------------------------------------------------------------------------------------------------


def _add_operations(app: FastAPI, gatekeeper: Gatekeeper, metrics: Metrics) -> None:
    state = {"type": "object", "properties": {"status": {"type": "string"}}}

    @app.get("/health/live", **_describe("Whether the process answers", "application/json", state, signed=False))
    def live() -> Response:
        """Answers as long as the process does."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get("/health/ready", **_describe("Whether chain and store answer", "application/json", state, signed=False))
    def ready() -> Response:
        """Answers where a record could be decided and served now."""
        gatekeeper.ready()
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get("/metrics", **_describe("Numbers for Prometheus", "text/plain", {"type": "string"}, 404, signed=False))
    def numbers(request: Request) -> Response:
        """For the operators' addresses alone."""
        if request.client is None or request.client.host not in gatekeeper.settings.operators:
            raise HTTPException(404)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")


# -- errors ------------------------------------------------------------------------------------------------------


def _add_errors(app: FastAPI) -> None:
    def of_ours(request: Request, error: Exception) -> Response:
        if isinstance(error, CursorError | ArgumentError):
            return _refusal(request.scope, GatekeeperRefusalError(400, "PARAMETER", str(error)))
        assert isinstance(error, MedProofError)
        return _refusal(request.scope, as_refusal(error))

    def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "NOT_FOUND", 405: "METHOD"}.get(error.status_code, "REFUSED")
        said = f"There is no such resource or method ({error.status_code}). See /openapi.json."
        response = _refusal(request.scope, GatekeeperRefusalError(error.status_code, code, said))
        response.headers.update(error.headers or {})
        return response

    def of_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors() if len(one["loc"]) < 3}))
        said = f"Missing or not of the form of the OpenAPI document: {names or 'a parameter'}. See /openapi.json."
        return _refusal(request.scope, GatekeeperRefusalError(400, "PARAMETER", said))

    app.add_exception_handler(MedProofError, of_ours)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_parameters)


def _refusal(scope: Scope, refusal: GatekeeperRefusalError) -> Response:
    scope.setdefault("state", {})["refusal"] = refusal.code
    headers = {"WWW-Authenticate": SCHEME} if refusal.status == 401 else {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(operation_outcome(refusal), refusal.status, headers, FHIR_JSON)


def _describe(
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
