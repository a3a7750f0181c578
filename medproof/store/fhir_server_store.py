"""Records that stay on a custodian's FHIR R4 server: read from there, with pointers and salts in a database here.

What the server gives is checked against the pointer's commitment each time, so a record that was changed there is
never served as the one that was pointed to. No URL with a record's id gets into a message or a log.
"""

from __future__ import annotations

import os
import random
import re
import ssl
import time
from collections.abc import Mapping

import httpx

from medproof import fhir
from medproof.client.record_pointers import PointerKey
from medproof.errors import (
    ArgumentError,
    FhirServerError,
    JsonError,
    RecordChangedError,
    RecordError,
)
from medproof.fhir import Resource
from medproof.store.keys import KeyRing
from medproof.store.records import Entry
from medproof.store.sql_store import SqlStore

__all__ = ["FhirServer", "FhirServerStore"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MEDIA_TYPES = ("application/fhir+json", "application/json")
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_STEP = r"(?!\.+(?:/|$))[A-Za-z0-9\-.]{1,64}"
_LOCATION = re.compile(rf"[A-Z][A-Za-z]+/{_STEP}(?:/_history/{_STEP})?", re.ASCII)
_REDIRECTS = 3
_LONGEST_WAIT = 10.0  # seconds between two attempts, whatever the server asks for


class FhirServer:
    """A FHIR R4 server, as far as records are read from it. Several threads may use one."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        attempts: int = 3,
        backoff: float = 0.25,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        """Prepare to read; nothing is sent yet.

        Args:
            base_url: such as https://fhir.example.org/r4; plain http only to this machine itself.
            headers: sent with each request, such as Authorization.
            tls: to trust a certificate authority of one's own or show a certificate; the system's trust without it.
            timeout: seconds between two signs of life, and for the whole body however slowly it comes.
            attempts: how often a request is made in all where the server fails for the moment.
            backoff: seconds before the second attempt; doubled for each further one.
            max_bytes: the longest answer that is read, decompressed.

        Raises:
            ArgumentError: the URL, a number, or a TLS context that does not verify.
        """
        url = httpx.URL(base_url)
        if url.scheme not in ("https", "http") or not url.host or url.userinfo or url.query or url.fragment:
            raise ArgumentError("The FHIR server's base URL is to be https://host/path, without a login or a query.")
        if url.scheme == "http" and url.host not in _LOOPBACK:
            raise ArgumentError("Records do not travel over plain http. Give the server's https URL.")
        if tls is not None and (tls.verify_mode is not ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ArgumentError(
                "The TLS context does not verify the server. Load its authority into the context instead."
            )
        if timeout <= 0 or attempts < 1 or backoff < 0 or max_bytes < 1:
            raise ArgumentError("timeout, attempts and max_bytes are to be positive, and backoff not negative.")
        self.base_url = str(url).rstrip("/")
        self._headers = {"Accept": _MEDIA_TYPES[0], "User-Agent": "medproof", **(headers or {})}
        self._timeout, self._attempts, self._backoff, self._max_bytes = timeout, attempts, backoff, max_bytes
        if tls is None:  # over plain http nobody is to be trusted, and to load the system's authorities takes a while
            tls = ssl.create_default_context() if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The transport alone: a client would log every URL, and take proxies and passwords from the environment.
        self._transport = httpx.HTTPTransport(verify=tls)

    def read(self, location: str) -> Resource:
        """Read one record.

        Args:
            location: such as Observation/1 or Observation/1/_history/2.

        Raises:
            ArgumentError: no such location, or one whose id leads elsewhere, such as "..".
            FhirServerError: the server does not answer, does not have it, or its answer is of no use.
        """
        if not _LOCATION.fullmatch(location):
            raise ArgumentError(
                "A location is a resource type and an id, such as Observation/1, and perhaps a version."
            )
        resource_type, id_, *_ = location.split("/")
        wait = 0.0
        for attempt in range(1, self._attempts + 1):
            time.sleep(wait)
            wait = self._backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
            try:
                response, body = self._get(httpx.URL(f"{self.base_url}/{location}"))
            except (httpx.TransportError, httpx.DecodingError) as error:
                problem = self._problem(f"does not answer as it should ({type(error).__name__})", "See that it runs")
                continue
            if response.status_code == httpx.codes.OK:
                return self._record(response, body, resource_type, id_)
            problem = self._refusal(response.status_code)
            if response.status_code not in _TRY_AGAIN:
                break
            asked = response.headers.get("Retry-After", "")
            wait = min(max(wait, float(asked) if asked.isdecimal() else 0.0), _LONGEST_WAIT)
        raise problem

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _get(self, url: httpx.URL) -> tuple[httpx.Response, bytes]:
        """Ask once, and follow the server about its own house."""
        for _ in range(_REDIRECTS):
            request = httpx.Request(
                "GET", url, headers=self._headers, extensions={"timeout": httpx.Timeout(self._timeout).as_dict()}
            )
            response = self._transport.handle_request(request)
            try:
                if not response.has_redirect_location:
                    return response, self._body(response)
            finally:
                response.close()
            target = url.join(response.headers["Location"])
            if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
                raise self._problem("redirects to another host", "Give that server's base URL, if it is the right one")
            url = target
        raise self._problem(f"redirects more than {_REDIRECTS - 1} times", "Give the URL that it ends at")

    def _body(self, response: httpx.Response) -> bytes:
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > self._max_bytes:
                raise self._problem(
                    f"answers with more than {self._max_bytes} bytes", "Raise max_bytes for such records"
                )
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the body takes too long")
        return bytes(body)

    def _record(self, response: httpx.Response, body: bytes, resource_type: str, id_: str) -> Resource:
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type not in _MEDIA_TYPES:
            raise self._problem(
                "answers with something else than FHIR JSON", "Check the base URL and what is behind it"
            )
        try:
            resource = fhir.load(body)
        except (JsonError, RecordError) as error:
            rule = f"answers with no FHIR R4 record ({type(error).__name__})"
            raise self._problem(rule, "Check the base URL and the server's FHIR version") from None
        if (resource.resource_type, resource.id) != (resource_type, id_):
            raise self._problem("answers with another record than was asked for", "Check what stands before the server")
        return resource

    def _refusal(self, status: int) -> FhirServerError:
        if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            return self._problem("does not have the record (any more)", "Ask its keeper", status)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return self._problem("refuses to give the record", "Give headers that it accepts", status)
        return self._problem(f"answers with status {status}", "See its own log", status)

    def _problem(self, rule: str, step: str, status: int | None = None) -> FhirServerError:
        return FhirServerError(self.base_url, rule, step, status=status)


class FhirServerStore(SqlStore):
    """A `RecordStore` over a FHIR server: only pointers, salts and where each record lies are kept in the database."""

    kind = "fhir-server"

    def __init__(
        self,
        server: FhirServer,
        database: str | os.PathLike[str],
        keys: KeyRing,
        *,
        connections: int = 16,
        patience: float = 10.0,
    ) -> None:
        """Open a store, or make one; everything but the server is as for `SqlStore`.

        `put` stores a pointer to a record that the server has already, in the version that it names in
        `meta.versionId`. `erase` makes the pointer prove nothing; the record itself is the server's to delete.
        """
        super().__init__(database, keys, connections=connections, patience=patience)
        self.server = server

    def _pack(self, pointer: PointerKey, resource: Resource, salt: bytes) -> bytes:
        meta = resource.content.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        location = f"{resource.resource_type}/{resource.id}" + (f"/_history/{version}" if version else "")
        self._read(pointer, salt, location)
        return location.encode()

    def _unpack(self, entry: Entry, salt: bytes, content: bytes) -> Resource:
        return self._read(entry.pointer, salt, content.decode())

    def _read(self, pointer: PointerKey, salt: bytes, location: str) -> Resource:
        resource = self.server.read(location)
        if not fhir.verify(resource, salt, pointer.commitment):
            raise RecordChangedError(pointer.id)
        return resource

    def close(self) -> None:
        """Let go of the database and the server."""
        self.server.close()
        super().close()
