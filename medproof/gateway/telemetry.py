"""What operators see: one line of JSON and a few numbers for each request, and nothing of whom it was about.

Paths, accounts and addresses appear as keyed hashes that last as long as the process: lines of one caller can be put
together, and nobody can be found by them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medproof.errors import GatekeeperRefusalError
from medproof.hashing import keyed_identifier
from medproof.metrics import Metrics
from medproof.telemetry import log

__all__ = ["LOGGER", "METHODS", "RequestMetrics", "Telemetry", "tag"]

LOGGER = logging.getLogger("medproof.gateway")
_KEY = secrets.token_bytes(32)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds

# For answers to programs that belong to one caller alone; pages say more of it themselves.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HSTS = ("Strict-Transport-Security", "max-age=31536000")


def tag(text: str) -> str:
    """A name for something that must not be in a log, the same within this process."""
    return keyed_identifier(_KEY, text or "-", purpose="gateway-log:v1").hex()[:16]


class RequestMetrics:
    """What is counted of requests."""

    def __init__(self, metrics: Metrics) -> None:
        """Count in a gatekeeper's numbers."""
        labels = ("route", "method", "status")
        self._requests = metrics.counter("requests_total", "Requests that were answered.", labels)
        self._refusals = metrics.counter("refusals_total", "Requests that were refused, by why.", ("code",))
        self._seconds = metrics.histogram("request_seconds", "How long requests took.", _BOUNDS)

    def count(self, route: str, method: str, status: int, seconds: float, refusal: str | None) -> None:
        """Count one request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.observe(seconds)
        if refusal:
            self._refusals.labels(refusal).inc()


class Telemetry:
    """ASGI middleware: logs and counts every request, adds the headers that every answer has, hides what failed."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: RequestMetrics,
        https: bool,
        refuse: Callable[[Scope, GatekeeperRefusalError], ASGIApp],
    ) -> None:
        """Watch an application; `https` says that callers reach it so; `refuse` answers a refusal."""
        self._app, self._metrics, self._refuse = app, metrics, refuse
        extra = dict([_HSTS]) if https else {}
        self._added = [(name.lower().encode(), value.encode()) for name, value in (_HEADERS | extra).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, id_ = time.perf_counter(), 0, secrets.token_hex(8)
        scope.setdefault("state", {})

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = [*message.get("headers", ())]
                said = {name.lower() for name, _ in given}
                own = [header for header in self._added if header[0] not in said]
                message["headers"] = [*given, *own, (b"x-request-id", id_.encode())]
            await send(message)

        failure: str | None = None
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            failure = "ClientDisconnect"
        except Exception as error:  # its text may say anything, so that it goes nowhere
            failure = type(error).__name__
            if not status:
                refusal = GatekeeperRefusalError(500, "FAILED", "The gatekeeper failed. Ask the custodian.")
                await self._refuse(scope, refusal)(scope, receive, answer)
        self._note(scope, id_, status, time.perf_counter() - started, failure)

    def _note(self, scope: Scope, id_: str, status: int, seconds: float, failure: str | None) -> None:
        state = scope["state"]
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        refusal = state.get("refusal")
        self._metrics.count(route, method, status, seconds, refusal)
        facts = {
            "id": id_,
            "method": method,
            "route": route,
            "target": tag(scope["path"] + scope["query_string"].decode("latin-1")),
            "address": tag(scope["client"][0] if scope.get("client") else ""),
            "caller": tag(state["account"]) if "account" in state else None,
            "status": status,
            "refusal": refusal,
            "breakGlass": state.get("break_glass", False),
            "block": state.get("block"),
            "milliseconds": round(seconds * 1000, 1),
            "failure": failure,
        }
        log(
            LOGGER,
            "request",
            level=logging.ERROR if failure and failure != "ClientDisconnect" else logging.INFO,
            **facts,
        )
