"""The access log over HTTP: to subjects what happened to their records, to readers what they asked for themselves.

Custodians read their log where it is (`EntryLog`), not here. Looking at the log is no access to records, and is not
logged itself.
"""

from __future__ import annotations

from typing import Annotated

from eth_utils.address import to_checksum_address
from fastapi import APIRouter, Query, Request, Response

from medproof import hashing
from medproof.access.entry_log import EntryLog, KeptEntry
from medproof.errors import GatekeeperRefusalError
from medproof.gateway.http import SignedCaller, allow, describe
from medproof.gateway.service import Gatekeeper
from medproof.hashing import Json, JsonObject

__all__ = ["access_routes"]

_DEFAULT_COUNT, _MOST_COUNT = 20, 100
_MOST_ENTRIES = (1 << 53) - 1

_Patient = Annotated[
    str | None,
    Query(pattern="^0x[0-9a-fA-F]{40}$", description="Whose records; the caller's own requests where it is left out."),
]
_Count = Annotated[int, Query(alias="_count", ge=1, le=_MOST_COUNT, description="The most entries of a page.")]
_Start = Annotated[
    int, Query(alias="_start", ge=0, le=_MOST_ENTRIES, description="The first index, as a next link gives it.")
]
_Size = Annotated[int, Query(ge=0, le=_MOST_ENTRIES, description="How many entries of the log.")]


def access_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """The paths below `/access`."""
    router = APIRouter()
    schema = {"type": "object"}

    @router.get("/access", **describe("Show who asked for a subject's records", "application/json", schema, 403, 404))
    def entries(
        request: Request,
        caller: SignedCaller,
        patient: _Patient = None,
        count: _Count = _DEFAULT_COUNT,
        start: _Start = 0,
    ) -> Response:
        """The entries about the subject's records, for itself and its delegates; without a subject the caller's own.

        Each comes with its promise, and once it is anchored with the proof for the anchored size that the page names.
        """
        allow(request, "patient", "_count", "_start")
        log = _log(gatekeeper)
        if patient is None:
            found = list(log.entries(account=caller.account, start=start, limit=count + 1))
        else:
            subject = str(to_checksum_address(patient))
            gatekeeper.check_subject(caller, subject)
            found = list(log.entries(subject=subject, start=start, limit=count + 1))
        anchored = min(log.leaves.anchored(), log.leaves.size)  # another process may be ahead by now
        page: JsonObject = {
            "custodian": log.custodian,
            "log": log.number,
            "anchored": anchored,
            "entries": [_entry(log, kept, anchored, whole=patient is not None) for kept in found[:count]],
        }
        if len(found) > count:
            page["next"] = found[count].promise.index
        return Response(hashing.canonical(page), media_type="application/json")

    @router.get(
        "/access/consistency",
        **describe("Prove that the log only grew", "application/json", schema, 404),
    )
    def consistency(request: Request, caller: SignedCaller, first: _Size, second: _Size) -> Response:
        """The proof that the log of `second` entries begins with that of `first`, for whoever audits it."""
        allow(request, "first", "second")
        log = _log(gatekeeper)
        if not first <= second <= log.leaves.size:
            said = "The sizes do not follow each other, or the log never had so many entries. Give anchored sizes."
            raise GatekeeperRefusalError(400, "PARAMETER", said)
        proof: list[Json] = [f"0x{one.hex()}" for one in log.leaves.consistency_proof(first, second)]
        answer: JsonObject = {"custodian": log.custodian, "log": log.number, "proof": proof}
        return Response(hashing.canonical(answer), media_type="application/json")

    return router


def _log(gatekeeper: Gatekeeper) -> EntryLog:
    """The log, with what other processes appended."""
    if gatekeeper.entry_log is None:
        raise GatekeeperRefusalError(404, "NO_LOG", "This gatekeeper keeps no access log. Ask the custodian.")
    gatekeeper.entry_log.leaves.refresh()
    return gatekeeper.entry_log


def _entry(log: EntryLog, kept: KeptEntry, anchored: int, *, whole: bool) -> JsonObject:
    """An entry, as far as whoever asks may see it."""
    index = kept.promise.index or 0
    said: JsonObject = {"promise": kept.promise.to_json(), "proof": None}
    if index < anchored:
        said["proof"] = [f"0x{one.hex()}" for one in log.leaves.inclusion_proof(index, anchored)]
    if kept.opening is not None and (whole or kept.opening.entry.access.told):
        said |= {"entry": kept.opening.entry.to_json(), "salt": f"0x{kept.opening.salt.hex()}"}
    return said
