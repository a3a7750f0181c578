"""What operators see: one line of JSON and a few numbers for each request, and nothing of whom it was about.

Paths, accounts and addresses appear as keyed hashes that last as long as the process: lines of one caller can be put
together, and nobody can be found by them.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medproof.errors import GatekeeperRefusalError
from medproof.hashing import keyed_identifier

__all__ = ["METHODS", "Metrics", "Telemetry", "log", "tag"]

_LOGGER = logging.getLogger("medproof.gateway")
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


def log(event: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Write one line of JSON."""
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    name = logging.getLevelName(level).lower()
    _LOGGER.log(level, json.dumps({"time": when, "level": name, "event": event, **facts}))


class Metrics:
    """Counters and a histogram, in the text that Prometheus reads."""

    def __init__(self, gauges: Mapping[str, Callable[[], int]]) -> None:
        """Count; `gauges` are asked when the numbers are read."""
        self._gauges = gauges
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._refusals: Counter[str] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self._lock = threading.Lock()

    def count(self, route: str, method: str, status: int, seconds: float, refusal: str | None) -> None:
        """Count one request."""
        with self._lock:
            self._requests[route, method, status] += 1
            self._seconds += seconds
            self._buckets.update(bound for bound in _BOUNDS if seconds <= bound)
            if refusal:
                self._refusals[refusal] += 1

    def text(self) -> str:
        """All numbers, in Prometheus' text format 0.0.4."""
        with self._lock:
            total = sum(self._requests.values())
            lines = ["# TYPE medproof_gateway_requests_total counter"]
            for (route, method, status), number in sorted(self._requests.items()):
                labels = f'route="{route}",method="{method}",status="{status}"'
                lines.append(f"medproof_gateway_requests_total{{{labels}}} {number}")
            lines.append("# TYPE medproof_gateway_refusals_total counter")
            for code, number in sorted(self._refusals.items()):
                lines.append(f'medproof_gateway_refusals_total{{code="{code}"}} {number}')
            lines.append("# TYPE medproof_gateway_request_seconds histogram")
            for bound in _BOUNDS:
                lines.append(f'medproof_gateway_request_seconds_bucket{{le="{bound}"}} {self._buckets[bound]}')
            lines.append(f'medproof_gateway_request_seconds_bucket{{le="+Inf"}} {total}')
            lines.append(f"medproof_gateway_request_seconds_sum {self._seconds:.6f}")
            lines.append(f"medproof_gateway_request_seconds_count {total}")
        for name, gauge in self._gauges.items():
            lines += [f"# TYPE medproof_gateway_{name} gauge", f"medproof_gateway_{name} {gauge()}"]
        return "\n".join(lines) + "\n"


class Telemetry:
    """ASGI middleware: logs and counts every request, adds the headers that every answer has, hides what failed."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
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
        log("request", level=logging.ERROR if failure and failure != "ClientDisconnect" else logging.INFO, **facts)
