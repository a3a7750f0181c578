"""A FHIR server on 127.0.0.1 with HL7's examples, which misbehaves where it is told to."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from medproof import hashing
from medproof.hashing import JsonObject

FHIR_JSON = "application/fhir+json; charset=utf-8"


class Answer(BaseHTTPRequestHandler):
    """One request and its answer."""

    server: LocalFhirServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        misbehave = self.server.misbehaviours.pop(0) if self.server.misbehaviours else self.server.always
        if misbehave is not None:
            misbehave(self)
        else:
            self.serve(self.path.removeprefix("/r4/"))

    def serve(self, location: str) -> None:
        content = self.server.records.get(location)
        if content is None:
            self.give(b'{"resourceType": "OperationOutcome"}', status=404)
        else:
            self.give(hashing.canonical(content))

    def give(self, body: bytes, *, status: int = 200, media_type: str = FHIR_JSON, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, part: bytes, pause: float) -> None:
        """Give a body without an end, a part at a time."""
        self.send_response(200)
        self.send_header("Content-Type", FHIR_JSON)
        self.end_headers()
        while not self.server.stopped.is_set():
            self.wfile.write(part)
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Misbehaviour = Callable[[Answer], None]


class LocalFhirServer(ThreadingHTTPServer):
    """The server, as a context manager."""

    daemon_threads = True

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.records: dict[str, JsonObject] = {}  # by location, such as Observation/1
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.misbehaviours: list[Misbehaviour | None] = []  # for the next requests, in their order
        self.always: Misbehaviour | None = None
        self.stopped = threading.Event()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}/r4"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is expected here."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()
