"""Pages on which people post records: sign in with an Ethereum account, fill in a form, see that it is stored.

They work without scripts. A browser's request counts where it comes from these pages themselves (Origin and
Sec-Fetch-Site, a cookie that other sites' requests do not carry, a token in the form).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import Annotated

from eth_utils.address import is_checksum_address, to_checksum_address
from fastapi import APIRouter, Depends, Request, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.responses import RedirectResponse

from medproof import hashing
from medproof.errors import GatekeeperRefusalError, MedProofError
from medproof.gateway.authentication import Caller
from medproof.gateway.http import PAGES
from medproof.gateway.observation import MEASUREMENTS, Measurement, build_observation
from medproof.gateway.outcome import as_refusal
from medproof.gateway.service import Gatekeeper
from medproof.gateway.sessions import IDLE, INVITATION, LONGEST, Invitation, Receipt, Session, Sessions
from medproof.gateway.signature import Claims
from medproof.gateway.web import asset, page

__all__ = ["form_routes"]

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}", re.ASCII)
_SIGNATURE = re.compile("0x(?:[0-9a-fA-F]{2}){1,2048}", re.ASCII)
_MOST_FIELDS = 20
_MOST_CHARACTERS = 5000  # of a field that is no record
_LONG = frozenset({"record", "file"})
_LATER = 5 * 60  # seconds that a measurement's clock may be ahead
_GROUPS = {"vital-signs": "Vital signs", "laboratory": "Laboratory"}


class _InMemory(MultiPartParser):
    """Keeps a file that is sent in memory: it is health data, and no business of the temporary folder."""

    spool_max_size = sys.maxsize  # its length is bounded before


async def _fields(request: Request) -> dict[str, str]:
    """What a form of these pages sends; everything else is refused before it is read."""
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    _check_source(request, gatekeeper.settings.origin)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":  # Python has some that make odd text, or take long
        raise GatekeeperRefusalError(415, "CONTENT_TYPE", "A form comes in UTF-8.")
    bounds = {"max_fields": _MOST_FIELDS, "max_part_size": gatekeeper.settings.max_body}
    parser: FormParser | MultiPartParser
    if kind == b"multipart/form-data":
        parser = _InMemory(request.headers, request.stream(), max_files=1, **bounds)
    elif kind == b"application/x-www-form-urlencoded":
        parser = FormParser(request.headers, request.stream(), **bounds)
    else:
        raise GatekeeperRefusalError(415, "CONTENT_TYPE", "A form comes as multipart/form-data or urlencoded.")
    try:
        return await _texts(await parser.parse())
    except (MultiPartException, FormParserError, ValueError):
        raise GatekeeperRefusalError(400, "FORM", "What was sent is no form of these pages. Send it again.") from None


async def _texts(form: FormData) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        text = (await value.read()).decode() if isinstance(value, UploadFile) else value
        if name in fields or (len(text) > _MOST_CHARACTERS and name not in _LONG):
            raise ValueError(name)
        fields[name] = text.strip() if name not in _LONG else text
    return fields


def _check_source(request: Request, origin: str) -> None:
    """Refuse what another site makes a browser send."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.getlist("origin") != [origin] or site != "same-origin":
        raise GatekeeperRefusalError(
            403, "ORIGIN", f"The form was not sent from the pages of {origin}. Open {origin}{PAGES} and send it there."
        )


_Fields = Annotated[dict[str, str], Depends(_fields)]


class _Cookies:
    """The two cookies: which message is to be signed, and which session it is."""

    def __init__(self, origin: str) -> None:
        self._https = origin.startswith("https:")
        prefix = "__Host-" if self._https else ""
        self.invitation, self.session = f"{prefix}medproof-invitation", f"{prefix}medproof-session"

    def set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._https, httponly=True, samesite="strict"
        )

    def clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self._https, httponly=True, samesite="strict")


def form_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """The paths below `/form`; they are for people, and not part of the OpenAPI document."""
    router = APIRouter(include_in_schema=False)
    sessions = gatekeeper.sessions
    cookies = _Cookies(gatekeeper.settings.origin)

    def session_of(request: Request) -> Session | None:
        session = sessions.find(request.cookies.get(cookies.session, ""))
        if session is not None:
            request.state.account = session.account
            gatekeeper.accounts.take(session.account)
        return session

    def to_form() -> Response:
        return RedirectResponse(PAGES, 303)

    @router.get(PAGES)
    def show(request: Request) -> Response:
        """The form; who has not signed in is asked to."""
        session = session_of(request)
        return page("sign_in", values={}) if session is None else _form(session, {}, {})

    @router.post(f"{PAGES}/sign-in")
    def invite(request: Request, fields: _Fields) -> Response:
        """The message that an account is to sign."""
        account = fields.get("account", "")
        if not _is_address(account):
            said = "Give the account as 0x and 40 hexadecimal digits; check its capital letters."
            return _refused(request, page("sign_in", status=400, values=fields, errors={"account": said}), "ACCOUNT")
        invitation = sessions.invite(str(to_checksum_address(account)))
        response = _message(sessions, invitation, {}, {})
        cookies.set(response, cookies.invitation, invitation.token, INVITATION)
        return response

    @router.post(f"{PAGES}/session")
    def sign_in(request: Request, fields: _Fields) -> Response:
        """A session for who signed the message; one that there was ends."""
        invitation = sessions.invitation(request.cookies.get(cookies.invitation, ""))
        if invitation is None:
            said = "The message was not signed in time, or not in this browser. Ask for a new one."
            return _refused(request, page("sign_in", status=401, values={}, errors={"account": said}), "INVITATION")
        signature = fields.get("signature", "")
        try:
            if not _SIGNATURE.fullmatch(signature):
                said = "The signature is 0x and hexadecimal digits. Paste it whole."
                raise GatekeeperRefusalError(400, "SIGNATURE", said)
            id_ = sessions.open(invitation, bytes.fromhex(signature[2:]))
        except MedProofError as error:
            refusal = as_refusal(error)
            errors = {"signature": str(refusal)}
            return _refused(request, _message(sessions, invitation, fields, errors, refusal.status), refusal.code)
        request.state.account = invitation.account
        sessions.close(request.cookies.get(cookies.session, ""))
        try:
            gatekeeper.check_writer(_caller(invitation.account, f"0x{invitation.nonce}"))
        except GatekeeperRefusalError:
            sessions.close(id_)
            raise
        response = to_form()
        cookies.clear(response, cookies.invitation)
        cookies.set(response, cookies.session, id_, LONGEST)
        return response

    @router.post(f"{PAGES}/sign-out")
    def sign_out(request: Request, fields: _Fields) -> Response:
        """The end of a session."""
        sessions.close(request.cookies.get(cookies.session, ""))
        response = to_form()
        cookies.clear(response, cookies.session)
        return response

    @router.post(PAGES)
    def post(request: Request, fields: _Fields) -> Response:
        """Take a record; what was typed stays on the page where it is refused."""
        session = session_of(request)
        if session is None:
            said = (
                f"Your session has ended: it lasts {IDLE // 60} minutes after its last use. Sign in on a page of its "
                "own, then post this again."
            )
            return _refused(request, _form(None, fields, {"": said}, 401), "SESSION")
        if fields.get("kind") not in ("measurement", "record") or not session.is_form(fields.get("form", "")):
            said = "This form is of an earlier session. See that it is what you want to post, then post it again."
            return _refused(request, _form(session, fields, {"": said}, 403), "FORM")
        try:
            filled = hashing.canonical(dict(fields))
            receipt = session.once(fields["form"], filled, lambda: _take(gatekeeper, session, fields))
        except _FieldsError as error:
            return _refused(request, _form(session, fields, error.problems, 422), "FIELDS")
        except MedProofError as error:
            refusal = as_refusal(error)
            place = "record" if refusal.status in (400, 413, 422) and fields.get("kind") == "record" else ""
            return _refused(request, _form(session, fields, {place: str(refusal)}, refusal.status), refusal.code)
        return page("taken", status=201, receipt=receipt)

    @router.get(f"{PAGES}/page.css")
    def style() -> Response:
        """How the pages look."""
        return Response(asset("page.css"), media_type="text/css")

    @router.get(f"{PAGES}/page.js")
    def script() -> Response:
        """What makes the pages easier."""
        return Response(asset("page.js"), media_type="text/javascript")

    return router


class _FieldsError(Exception):
    """Fields of a form are not well filled in."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__()
        self.problems = problems  # a sentence for each


def _take(gatekeeper: Gatekeeper, session: Session, fields: Mapping[str, str]) -> Receipt:
    """Hand what a form says to the gatekeeper."""
    measured = fields.get("kind") == "measurement"
    problems: dict[str, str] = {}
    if not _is_address(fields.get("patient", "")):
        said = "Give the patient's account as 0x and 40 hexadecimal digits; check its capital letters."
        problems["patient" if measured else "record-patient"] = said
    if measured:
        limit = datetime.fromtimestamp(datetime.now(UTC).timestamp() + _LATER, UTC)
        given = (fields.get(name, "") for name in ("measurement", "value", "when", "offset"))
        content, wrong = build_observation(*given, now=limit)
        problems |= wrong
        body, type_ = hashing.canonical(content), "Observation"
    else:
        texts = [text for text in (fields.get("file", ""), fields.get("record", "")) if text.strip()]
        if len(texts) != 1:
            problems["record"] = "Give one record: a file, or its text, and not both."
        body = texts[0].encode() if len(texts) == 1 else b""
        type_ = ""
    if problems:
        raise _FieldsError(problems)
    if not measured:
        type_ = _type_of(body)
    patient = str(to_checksum_address(fields["patient"]))
    stored = gatekeeper.create(_caller(session.account, session.signed), type_, patient, body)
    return Receipt(type_, str(stored.resource.id), f"0x{stored.entry.pointer.id.hex()}")


def _type_of(body: bytes) -> str:
    content = hashing.parse(body)
    found = content.get("resourceType") if isinstance(content, dict) else None
    if not isinstance(found, str):
        raise GatekeeperRefusalError(422, "RESOURCE_TYPE", "The record names no resourceType. Give a FHIR R4 resource.")
    return found


def _caller(account: str, signed: str) -> Caller:
    return Caller(account, Claims(), signed)


def _is_address(text: str) -> bool:
    """Whether it is an account; where it has letters of both cases, they are its checksum."""
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    return bool(_ADDRESS.fullmatch(text)) and (not mixed or is_checksum_address(text))


def _message(
    sessions: Sessions, invitation: Invitation, fields: Mapping[str, str], errors: Mapping[str, str], status: int = 200
) -> Response:
    message, minutes = sessions.text(invitation), INVITATION // 60
    return page("sign_message", status=status, message=message, minutes=minutes, values=fields, errors=errors)


def _form(session: Session | None, fields: Mapping[str, str], errors: Mapping[str, str], status: int = 200) -> Response:
    """The form with what was typed; the text of a file that was chosen stands in the field for text."""
    measured = fields.get("kind") == "measurement"
    values = {**fields, "record": fields.get("record", "") or fields.get("file", "")}
    return page(
        "record",
        status=status,
        account=session.account if session else None,
        token=session.form() if session else "",
        token_of_record=session.form() if session else "",
        measurements=_measurements(),
        values=values,
        shown=("patient",) if measured else ("record-patient",),
        errors=errors,
    )


@cache
def _measurements() -> dict[str, list[Measurement]]:
    """The measurements under the name of their category."""
    return {_GROUPS[name]: list(group) for name, group in groupby(MEASUREMENTS, lambda one: one.category)}


def _refused(request: Request, response: Response, code: str) -> Response:
    """A page that refuses; the log learns its code."""
    request.state.refusal = code
    return response
