"""Records over HTTP: read, search, list their pointers, take new ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from eth_utils.address import to_checksum_address
from fastapi import APIRouter, Path, Query, Request, Response

from medproof import hashing
from medproof.errors import GatekeeperRefusalError
from medproof.gateway.http import FHIR_JSON, RESOURCE_SCHEMA, Body, SignedCaller, allow, describe
from medproof.gateway.proof import PROOF
from medproof.gateway.service import Gatekeeper, Listed, Results, Served
from medproof.hashing import Json, JsonObject
from medproof.policy.evaluation import Reason
from medproof.store import Query as StoreQuery

__all__ = ["record_routes"]

_JSON_TYPES = frozenset({FHIR_JSON, "application/json"})
_DEFAULT_COUNT, _MOST_COUNT = 20, 100
_INSTANT = re.compile(
    r"(?P<prefix>ge|gt|le|lt|eq)?(?P<day>\d{4}-\d{2}-\d{2})(?P<time>T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))?", re.ASCII
)


_Type = Annotated[str, Path(alias="type", pattern="^[A-Z][A-Za-z]{1,63}$", description="A FHIR R4 resource type.")]
_Id = Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9\-.]{1,64}$", description="The record's id.")]
_Patient = Annotated[
    str, Query(pattern="^0x[0-9a-fA-F]{40}$", description="The subject: the patient's pseudonym with this custodian.")
]
_Count = Annotated[int, Query(alias="_count", ge=1, le=_MOST_COUNT, description="The most entries of a page.")]
_Cursor = Annotated[str | None, Query(alias="_cursor", max_length=512, description="As a next link gives it.")]
_Key = Annotated[
    str | None,
    Query(
        alias="_key",
        pattern=r"^[A-Za-z0-9\-]{16,64}$",
        description="What the caller knows the record by: the same again under the same key is taken once.",
    ),
]
_Updated = Annotated[
    list[str] | None,
    Query(
        alias="_lastUpdated",
        max_length=2,
        description="When the record was stored: a day or an instant with a zone, after ge, gt, le, lt or eq.",
    ),
]


def record_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """The paths below `/fhir` and `/pointers`."""
    router = APIRouter()

    @router.get("/fhir/{type}/{id}", **describe("Read one record", FHIR_JSON, RESOURCE_SCHEMA, 403, 404))
    def read(request: Request, caller: SignedCaller, resource_type: _Type, id_: _Id) -> Response:
        """The record to its last digit; the header MedProof-Proof opens its commitment on chain."""
        allow(request)
        served = gatekeeper.read(caller, resource_type, id_)
        _remember(request, served)
        headers = {"MedProof-Proof": served.proof.to_text(), "ETag": f'W/"{served.proof.version}"'}
        return Response(hashing.canonical(served.record.content), media_type=FHIR_JSON, headers=headers)

    @router.get("/fhir/{type}", **describe("Search the records of one subject", FHIR_JSON, RESOURCE_SCHEMA, 403))
    def search(
        request: Request,
        caller: SignedCaller,
        resource_type: _Type,
        patient: _Patient,
        updated: _Updated = None,
        count: _Count = _DEFAULT_COUNT,
        cursor: _Cursor = None,
    ) -> Response:
        """A searchset bundle of what the caller may have, a proof in each entry; of the rest there is no trace."""
        allow(request, "patient", "_lastUpdated", "_count", "_cursor")
        query = _query(patient, (resource_type,), updated or [])
        results = gatekeeper.search(caller, query, count=count, cursor=cursor)
        _remember(request, *results.served)
        links = _links(request, gatekeeper.settings.origin, results)
        entries: list[Json] = [_entry(gatekeeper.settings.origin, served) for served in results.served]
        bundle: JsonObject = {"resourceType": "Bundle", "type": "searchset", "link": links}
        if entries:
            bundle["entry"] = entries
        return Response(hashing.canonical(bundle), media_type=FHIR_JSON)

    @router.get(
        "/pointers/{subject}",
        **describe("List the pointers of one subject", "application/json", {"type": "object"}, 403),
    )
    def pointers(
        request: Request,
        caller: SignedCaller,
        subject: Annotated[str, Path(pattern="^0x[0-9a-fA-F]{40}$", description="The subject's pseudonym.")],
        count: _Count = _DEFAULT_COUNT,
        cursor: _Cursor = None,
    ) -> Response:
        """The pointers to the records that the caller may have, and where to read each."""
        allow(request, "_count", "_cursor")
        results = gatekeeper.search(caller, _query(subject, (), []), count=count, cursor=cursor, action="list")
        _remember(request, *results.served)
        block = results.moment.block
        listing: JsonObject = {
            "block": {"number": block.number, "hash": block.hash},
            "pointers": [_listed(gatekeeper.settings.origin, one) for one in results.listed],
            "link": _links(request, gatekeeper.settings.origin, results),
        }
        return Response(hashing.canonical(listing), media_type="application/json")

    @router.post(
        "/fhir/{type}",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": {FHIR_JSON: {"schema": RESOURCE_SCHEMA}}}},
        **describe("Take a new record", FHIR_JSON, RESOURCE_SCHEMA, 403, 409, 415, 422, success=201),
    )
    def create(
        request: Request,
        caller: SignedCaller,
        body: Body,
        resource_type: _Type,
        patient: _Patient,
        key: _Key = None,
    ) -> Response:
        """A record of the custodian's own devices and apps: stored when this answers, then posted on chain."""
        allow(request, "patient", "_key")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _JSON_TYPES:
            raise GatekeeperRefusalError(415, "CONTENT_TYPE", f"A record comes as {FHIR_JSON}.")
        stored = gatekeeper.create(caller, resource_type, str(to_checksum_address(patient)), body, key=key)
        location = f"{gatekeeper.settings.origin}/fhir/{resource_type}/{stored.resource.id}"
        headers = {"Location": location, "MedProof-Pointer": f"0x{stored.entry.pointer.id.hex()}", "ETag": 'W/"1"'}
        return Response(hashing.canonical(stored.resource.content), 201, media_type=FHIR_JSON, headers=headers)

    return router


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


def _listed(origin: str, one: Listed) -> JsonObject:
    pointer = one.pointer
    said: JsonObject = {
        "pointer": f"0x{pointer.key.id.hex()}",
        "subject": pointer.key.subject,
        "origin": pointer.key.origin,
        "commitment": f"0x{pointer.key.commitment.hex()}",
        "class": pointer.data_class.code,
        "version": pointer.version,
        "status": pointer.status.name.lower(),
        "record": f"{origin}/fhir/{one.entry.resource_type}/{one.id}",
    }
    if pointer.place is not None:
        said["place"] = pointer.place.to_json()
    return said


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
