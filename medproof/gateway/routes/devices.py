"""Readings of patients' devices over HTTP: taken in batches, and each proved by itself."""

from __future__ import annotations

from typing import Annotated

from eth_utils.address import to_checksum_address
from fastapi import APIRouter, Path, Request, Response

from medproof import hashing
from medproof.errors import GatekeeperRefusalError
from medproof.gateway.http import Body, SignedCaller, allow, describe
from medproof.gateway.outcome import not_found, outcome_document
from medproof.gateway.readings import Answer, Outcome, Readings
from medproof.gateway.service import Gatekeeper
from medproof.hashing import Json, JsonObject

__all__ = ["device_routes"]

_JSON = "application/json"
_BATCH_SCHEMA = {
    "type": "object",
    "required": ["readings"],
    "properties": {"readings": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
    "additionalProperties": False,
}

_Device = Annotated[str, Path(pattern="^0x[0-9a-fA-F]{40}$", description="The account of the device's key.")]


def device_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """The paths below `/devices`."""
    router = APIRouter()

    def readings() -> Readings:
        if gatekeeper.readings is None:
            raise GatekeeperRefusalError(403, "WRITER", "This gatekeeper takes no readings. Ask the custodian.")
        return gatekeeper.readings

    @router.post(
        "/devices/{device}/readings",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _BATCH_SCHEMA}}}},
        **describe("Take a batch of signed readings", _JSON, {"type": "object"}, 403, 415),
    )
    def take(request: Request, body: Body, device: _Device) -> Response:
        """Each reading is signed by the device, and has an outcome of its own; the same batch again is answered so
        again, and stored once. What is taken is on disk when this answers."""
        allow(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise GatekeeperRefusalError(415, "CONTENT_TYPE", f"A batch comes as {_JSON}.")
        answer = readings().take(str(to_checksum_address(device)), body)
        request.state.account = answer.device
        return Response(hashing.canonical(_answer_document(answer)), media_type=_JSON)

    @router.get("/devices/{device}/readings", **describe("What came of a device", _JSON, {"type": "object"}, 403, 404))
    def standing(request: Request, caller: SignedCaller, device: _Device) -> Response:
        """The last number and those that never came, for the device itself and the subject that it measures."""
        allow(request)
        known = str(to_checksum_address(device))
        subject = caller.account if caller.account != known else None
        if subject is not None:
            moment = gatekeeper.head.now()
            registration = moment.device(subject, known)
            moment.confirm()
            if registration is None:
                raise not_found()
        found = readings().standing(known, subject=subject)
        missing: list[Json] = [[first, last] for first, last in found.missing]
        return Response(hashing.canonical({"device": known, "last": found.last, "missing": missing}), media_type=_JSON)

    @router.get(
        "/devices/readings/{id}/proof",
        **describe("Prove one reading", _JSON, {"type": "object"}, 403, 404),
    )
    def prove(
        request: Request,
        caller: SignedCaller,
        id_: Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9\-.]{1,64}$", description="The record's id.")],
    ) -> Response:
        """The reading as the device signed it, and its place in the anchored log, for whoever may have the record."""
        allow(request)
        served = gatekeeper.read(caller, "Observation", id_)
        request.state.block = served.proof.block
        return Response(hashing.canonical(readings().prove(served.proof.pointer).to_json()), media_type=_JSON)

    return router


def _answer_document(answer: Answer) -> JsonObject:
    outcomes: list[Json] = [_outcome_document(one) for one in answer.outcomes]
    return {"device": answer.device, "last": answer.last, "readings": outcomes}


def _outcome_document(outcome: Outcome) -> JsonObject:
    number, fate = outcome.reading.number, outcome.fate
    if fate.code is not None:
        refusal = GatekeeperRefusalError(422, fate.code, outcome.said)
        return {"number": number, "status": "refused", "outcome": outcome_document(refusal)}
    return {
        "number": number,
        "status": "taken",
        "id": outcome.reading.observation["id"],
        "pointer": f"0x{fate.pointer.hex()}",
        "index": fate.position,
    }
