"""Refusals as FHIR OperationOutcome: what a caller may know of why, in the codes of FHIR and of MedProof."""

from __future__ import annotations

from collections.abc import Mapping

from medproof import hashing
from medproof.errors import (
    GatekeeperRefusalError,
    JsonError,
    MedProofError,
    NodeError,
    RecordDamagedError,
    RecordErasedError,
    RecordError,
    RecordUnknownError,
    StoreError,
)
from medproof.gateway.moment import unavailable
from medproof.hashing import Json, JsonObject

__all__ = ["REASONS", "as_refusal", "not_found", "operation_outcome", "outcome_document", "read_outcome"]

REASONS = "urn:medproof:reason"
"""The code system of the reasons: the names of `medproof.policy.evaluation.Reason` and the gatekeeper's own."""

# HTTP status to FHIR issue type
_TYPES: Mapping[int, str] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    413: "too-long",
    414: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    431: "too-long",
    500: "exception",
    503: "transient",
}


def not_found() -> GatekeeperRefusalError:
    """The one answer for what is not there, was erased, or may not even be known to be there."""
    return GatekeeperRefusalError(404, "NOT_FOUND", "There is no such record for you. Check the id and what you claim.")


def as_refusal(error: MedProofError) -> GatekeeperRefusalError:
    """What a caller is told of an error; nothing of the record, the database or the node."""
    if isinstance(error, GatekeeperRefusalError):
        return error
    if isinstance(error, RecordUnknownError | RecordErasedError):
        return not_found()
    if isinstance(error, RecordDamagedError):
        return GatekeeperRefusalError(
            500, "RECORD_DAMAGED", "The record was damaged and is not shown. Ask the custodian."
        )
    if isinstance(error, StoreError):
        return unavailable("The record store does not answer.", code="STORE_UNAVAILABLE")
    if isinstance(error, NodeError):
        return unavailable("The chain's node does not answer.")
    if isinstance(error, JsonError):
        return GatekeeperRefusalError(400, "NOT_JSON", str(error))
    if isinstance(error, RecordError):
        return GatekeeperRefusalError(422, "RECORD_REFUSED", str(error))
    return GatekeeperRefusalError(500, "FAILED", "The gatekeeper failed. Ask the custodian.")


def operation_outcome(refusal: GatekeeperRefusalError) -> bytes:
    """A refusal as JSON text."""
    return hashing.canonical(outcome_document(refusal))


def outcome_document(refusal: GatekeeperRefusalError) -> JsonObject:
    """A refusal as JSON."""
    coding: JsonObject = {"system": REASONS, "code": refusal.code}
    issue: JsonObject = {
        "severity": "error",
        "code": _TYPES.get(refusal.status, "exception"),
        "details": {"coding": [coding], "text": str(refusal)},
    }
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def read_outcome(status: int, body: bytes, retry_after: str | None) -> GatekeeperRefusalError:
    """The refusal that an answer carries; one without a reason where it is no OperationOutcome."""
    code, said = "UNKNOWN", f"The gatekeeper answered {status} without a reason. Check the address, then ask again."
    try:
        outcome: Json = hashing.parse(body)
        details = outcome["issue"][0]["details"]  # type: ignore[index,call-overload]
        code, said = str(details["coding"][0]["code"]), str(details["text"])  # type: ignore[index,call-overload]
    except (JsonError, LookupError, TypeError):
        pass
    after = int(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return GatekeeperRefusalError(status, code, said, retry_after=after)
