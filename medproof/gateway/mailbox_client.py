"""The caller's side of a gatekeeper's mailbox: bring sealed messages, and as the custodian fetch and remove them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from eth_utils.address import is_checksum_address

from medproof import hashing
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, JsonError
from medproof.gateway.outcome import read_outcome
from medproof.gateway.signature import Claims, SignedRequest
from medproof.signing import Signer

__all__ = ["MailboxClient", "WaitingMessage"]

_LIFETIME = 60  # seconds for which a request counts
_PAGE = 100
_ID = re.compile("0x[0-9a-f]{64}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SEALED = "application/octet-stream"


@dataclass(frozen=True)
class WaitingMessage:
    """A message that waits in a mailbox."""

    id: str  # in the mailbox, 0x…
    sender: str  # the party that brought it, as the gatekeeper says
    received: str  # ISO 8601
    size: int  # bytes


class MailboxClient:
    """Reaches one gatekeeper's mailbox as one account.

    >>> with MailboxClient("https://records.example.org", suite, signer) as mailbox:
    ...     mailbox.bring(envelope.to_json().encode())
    """

    def __init__(
        self, origin: str, suite: MedProof, signer: Signer, *, http: httpx.Client | None = None, timeout: float = 30.0
    ) -> None:
        """Talk to a gatekeeper; arguments are those of `GatekeeperClient`."""
        self.origin = origin.rstrip("/")
        self._suite, self._signer = suite, signer
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._own = http is None

    def __enter__(self) -> MailboxClient:
        """Use it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close what it opened."""
        if self._own:
            self._http.close()

    def bring(self, message: bytes) -> str:
        """Leave a sealed message, and return its id there. It may be repeated: the same one is kept once.

        Raises:
            GatekeeperRefusalError: it is not taken, or nobody answers.
        """
        said = _json(self._send("POST", "/messages", message))
        return str(said.get("id"))

    def waiting(self) -> Iterator[WaitingMessage]:
        """The messages that wait, oldest first.

        Raises:
            GatekeeperRefusalError: the caller is not the custodian, or nobody answers.
        """
        after = 0
        while True:
            page = _json(self._send("GET", f"/messages?_count={_PAGE}&_after={after}"))
            try:
                found = [
                    WaitingMessage(str(one["id"]), str(one["sender"]), str(one["received"]), int(one["size"]))
                    for one in page["messages"]
                ]
                following = page.get("next")
                if following is not None and not after < int(following):
                    raise ValueError
            except (LookupError, TypeError, ValueError):
                raise _unreadable() from None
            for one in found:
                named = _ID.fullmatch(one.id) and is_checksum_address(one.sender)
                if not named or not _MOMENT.fullmatch(one.received):
                    raise _unreadable()
            yield from found
            if following is None:
                return
            after = int(following)

    def fetch(self, id_: str) -> bytes:
        """A message as it was brought; who wrote it is for `medproof.sharing.open_envelope` to say.

        Raises:
            GatekeeperRefusalError: none waits under this id, or as `waiting`.
        """
        return self._send("GET", f"/messages/{id_}")

    def remove(self, id_: str) -> None:
        """Remove a message for good.

        Raises:
            GatekeeperRefusalError: as `fetch`.
        """
        self._send("DELETE", f"/messages/{id_}")

    def _send(self, method: str, target: str, body: bytes = b"") -> bytes:
        request = self._http.build_request(method, self.origin + target, content=body or None)
        signed = SignedRequest.new(
            self._signer.address,
            self.origin,
            method,
            request.url.raw_path.decode("ascii"),
            body=body,
            claims=Claims(),
            now=int(time.time()),
            lifetime=_LIFETIME,
        )
        registry = self._suite.consent_registry.address
        request.headers.update(signed.headers(self._signer, self._suite.chain.chain_id, registry))
        if body:
            request.headers["Content-Type"] = _SEALED
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            said = f"The gatekeeper does not answer ({type(error).__name__}). Ask again."
            raise GatekeeperRefusalError(503, "NO_ANSWER", said) from error
        if answer.status_code not in (200, 201):
            raise read_outcome(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        return answer.content


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = hashing.parse(body)
    except JsonError:
        raise _unreadable() from None
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def _unreadable() -> GatekeeperRefusalError:
    return GatekeeperRefusalError(502, "UNREADABLE", "The gatekeeper's answer cannot be read. Ask the custodian.")
