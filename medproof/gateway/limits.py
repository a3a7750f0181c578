"""How much one caller may ask of a gatekeeper: requests a second, bytes of a body and of headers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medproof.errors import GatekeeperRefusalError

__all__ = ["Limits", "RateLimit"]

_MOST_KNOWN = 100_000  # callers whose buckets are kept


class RateLimit:
    """A bucket for each caller, which a request takes one token from and time fills again."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow so many requests a second on average, and so many at once."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            GatekeeperRefusalError: it is one too many.
        """
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.pop(caller, (float(self._burst), now))
            tokens = min(tokens + (now - since) * self._rate, float(self._burst))
            self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
            if len(self._buckets) > _MOST_KNOWN:
                self._buckets.popitem(last=False)
        if tokens < 1:
            wait = int((1 - tokens) / self._rate) + 1
            raise GatekeeperRefusalError(429, "TOO_MANY", f"Too many requests. Wait {wait} s.", retry_after=wait)


class Limits:
    """ASGI middleware: refuses too many requests of an address, long headers and long bodies before they are read."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        body: int,
        headers: int,
        addresses: RateLimit,
        refuse: Callable[[Scope, GatekeeperRefusalError], ASGIApp],
    ) -> None:
        """Guard an application; `body` and `headers` in bytes; `refuse` answers a refusal."""
        self._app, self._body, self._headers, self._addresses, self._refuse = app, body, headers, addresses, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            self._check(scope)
        except GatekeeperRefusalError as refusal:
            return await self._refuse(scope, refusal)(scope, receive, send)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._body:
                raise self._too_long()
            return message

        return await self._app(scope, counted, send)

    def _check(self, scope: Scope) -> None:
        self._addresses.take(_caller(scope["client"][0] if scope.get("client") else ""))
        length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length + sum(len(name) + len(value) for name, value in scope["headers"]) > self._headers:
            raise GatekeeperRefusalError(
                431, "HEADERS_TOO_LONG", f"Path and headers have more than {self._headers} bytes."
            )
        for name, value in scope["headers"]:
            if name == b"content-length" and not (value.isdigit() and len(value) < 16 and int(value) <= self._body):
                raise self._too_long()

    def _too_long(self) -> GatekeeperRefusalError:
        return GatekeeperRefusalError(413, "BODY_TOO_LONG", f"A body has at most {self._body} bytes: split the bundle.")


def _caller(host: str) -> str:
    """Who an address is, for counting: of IPv6 the first half, since whoever has one has all that begin so."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:8].hex()
    return host
