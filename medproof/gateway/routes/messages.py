"""Messages over HTTP: parties bring sealed ones for the custodian, which alone lists, reads and removes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from medproof import hashing
from medproof.errors import GatekeeperRefusalError, MailboxFullError
from medproof.gateway.authentication import Caller
from medproof.gateway.http import Body, SignedCaller, allow, describe
from medproof.gateway.service import Gatekeeper
from medproof.hashing import Json, JsonObject
from medproof.store.mailbox import Mailbox, Waiting

__all__ = ["message_routes"]

_JSON, _SEALED = "application/json", "application/octet-stream"
_SEALED_SCHEMA = {"type": "string", "format": "binary"}
_DEFAULT_COUNT, _MOST_COUNT = 50, 100
_MOST_MESSAGES = (1 << 53) - 1
_FULL_WAIT = 3600  # seconds after which a full mailbox may have been read

_Id = Annotated[str, Path(alias="id", pattern="^0x[0-9a-f]{64}$", description="The message's id in this mailbox.")]
_Count = Annotated[int, Query(alias="_count", ge=1, le=_MOST_COUNT, description="The most messages of a page.")]
_After = Annotated[
    int, Query(alias="_after", ge=0, le=_MOST_MESSAGES, description="The page before's last, as `next` gives it.")
]


def message_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """The paths below `/messages`."""
    router = APIRouter()
    schema: JsonObject = {"type": "object"}

    @router.post(
        "/messages",
        openapi_extra={"requestBody": {"required": True, "content": {_SEALED: {"schema": _SEALED_SCHEMA}}}},
        **describe("Bring a sealed message for the custodian", _JSON, schema, 403, 404, success=201),
    )
    def bring(request: Request, caller: SignedCaller, body: Body) -> Response:
        """It is kept as it comes, on disk when this answers, until the custodian removes it; the same one again is
        kept once. Any active party may bring one."""
        allow(request)
        mailbox = _mailbox(gatekeeper)
        sender = gatekeeper.identity(caller)
        if not body:
            raise GatekeeperRefusalError(400, "EMPTY", "The message is empty. Send an envelope.")
        try:
            id_ = mailbox.put(sender, body, datetime.now(UTC))
        except MailboxFullError as error:
            raise GatekeeperRefusalError(429, "MAILBOX_FULL", str(error), retry_after=_FULL_WAIT) from None
        return _answer({"id": f"0x{id_.hex()}"}, 201)

    @router.get("/messages", **describe("List the messages that wait", _JSON, schema, 403, 404))
    def waiting(request: Request, caller: SignedCaller, count: _Count = _DEFAULT_COUNT, after: _After = 0) -> Response:
        """For the custodian's own account, in the order in which they came."""
        allow(request, "_count", "_after")
        found = _own(gatekeeper, caller).waiting(limit=count + 1, after=after)
        listed: list[Json] = [_document(one) for one in found[:count]]
        page: JsonObject = {"messages": listed}
        if len(found) > count:
            page["next"] = found[count - 1].position
        return _answer(page)

    @router.get("/messages/{id}", **describe("Read one message", _SEALED, _SEALED_SCHEMA, 403, 404))
    def read(request: Request, caller: SignedCaller, id_: _Id) -> Response:
        """The message as it came; it stays until it is removed."""
        allow(request)
        body = _own(gatekeeper, caller).get(bytes.fromhex(id_[2:]))
        if body is None:
            raise _none()
        return Response(body, media_type=_SEALED)

    @router.delete("/messages/{id}", **describe("Remove one message", _JSON, schema, 403, 404))
    def remove(request: Request, caller: SignedCaller, id_: _Id) -> Response:
        """For good: read it and keep it first."""
        allow(request)
        if not _own(gatekeeper, caller).remove(bytes.fromhex(id_[2:])):
            raise _none()
        return _answer({"id": id_})

    return router


def _mailbox(gatekeeper: Gatekeeper) -> Mailbox:
    if gatekeeper.mailbox is None:
        raise GatekeeperRefusalError(404, "NO_MAILBOX", "This gatekeeper keeps no mailbox. Ask the custodian.")
    return gatekeeper.mailbox


def _own(gatekeeper: Gatekeeper, caller: Caller) -> Mailbox:
    """The mailbox, for the custodian alone."""
    mailbox = _mailbox(gatekeeper)
    if gatekeeper.identity(caller) != gatekeeper.custodian:
        raise GatekeeperRefusalError(403, "NOT_THE_CUSTODIAN", "Only the custodian reads its mailbox. Sign as it.")
    return mailbox


def _none() -> GatekeeperRefusalError:
    return GatekeeperRefusalError(404, "NOT_FOUND", "No message waits under this id. It may have been removed.")


def _document(one: Waiting) -> JsonObject:
    received = one.received.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": f"0x{one.id.hex()}", "sender": one.sender, "received": received, "size": one.size}


def _answer(content: JsonObject, status: int = 200) -> Response:
    return Response(hashing.canonical(content), status, media_type=_JSON)
