"""Numbers for Prometheus: what a service counts, and the small server that shows it (extra `metrics`)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from urllib.parse import urlsplit

from medproof.errors import MedProofError, MissingExtraError

try:
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Histogram,
        ProcessCollector,
        disable_created_metrics,
        generate_latest,
    )
    from prometheus_client.core import GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as missing:
    raise MissingExtraError("Metrics", "metrics", str(missing.name)) from None

__all__ = ["CONTENT_TYPE", "Metrics", "MetricsServer", "Pulse"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_PATIENCE = 10.0  # seconds for a request, so that no connection is held for good
_LONGEST_ROUND = 300.0  # seconds: a node that is busy is waited for for two minutes


class Metrics:
    """The numbers of one service."""

    def __init__(self, service: str) -> None:
        """Begin; all names begin with `medproof_` and the service's."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a time for each counter, which nobody asks for
        self._prefix = f"medproof_{service}"
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # its memory, processor time and open files

    def counter(self, name: str, said: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows; its name ends in `_total`."""
        return Counter(f"{self._prefix}_{name}", said, labels, registry=self._registry)

    def histogram(self, name: str, said: str, bounds: Sequence[float]) -> Histogram:
        """How many were up to each bound."""
        return Histogram(f"{self._prefix}_{name}", said, buckets=bounds, registry=self._registry)

    def gauge(self, name: str, said: str, ask: Callable[[], float | None]) -> None:
        """A number that is asked for when the numbers are read; left out where there is none, or nobody answers."""

        def measured() -> Iterator[Metric]:
            if (value := ask()) is not None:
                yield GaugeMetricFamily(f"{self._prefix}_{name}", said, value=value)

        self._registry.register(_Asked(measured))

    def gauges(self, name: str, said: str, label: str, ask: Callable[[], Mapping[str, float]]) -> None:
        """Several of them, by the values of a label."""

        def measured() -> Iterator[Metric]:
            family = GaugeMetricFamily(f"{self._prefix}_{name}", said, labels=[label])
            for value, number in ask().items():
                family.add_metric([value], number)
            yield family

        self._registry.register(_Asked(measured))

    def text(self) -> bytes:
        """All numbers, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class _Asked(Collector):
    """Numbers that are asked for anew each time."""

    def __init__(self, measured: Callable[[], Iterator[Metric]]) -> None:
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        """Ask for them; what cannot be had now is left out, so that the others are still seen."""
        try:
            return list(self._measured())
        except MedProofError:
            return []

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that nothing is asked when it is registered."""
        return []


class Pulse:
    """Whether work that goes round and round still does."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with a beat; `now` in seconds."""
        self._now, self._last = now, now()

    def beat(self) -> None:
        """Another round began."""
        self._last = self._now()

    def beats(self) -> bool:
        """Whether the last round began in good time."""
        return self._now() - self._last < _LONGEST_ROUND


class MetricsServer:
    """Shows numbers at `/metrics`, and at `/healthz` whether the work goes on (200 or 503), on threads of its own.

    Anyone who reaches its port may read: the numbers say nothing of anybody.
    """

    def __init__(self, metrics: Metrics, pulse: Pulse, *, host: str, port: int) -> None:
        """Begin to answer.

        Args:
            metrics: the numbers.
            pulse: whether the work goes on.
            host: the address to listen on.
            port: the port; the system chooses where it is 0.

        Raises:
            OSError: it cannot listen there.
        """

        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                return 200, CONTENT_TYPE, metrics.text()
            if path == "/healthz":
                return (200, _TEXT, b"ok\n") if pulse.beats() else (503, _TEXT, b"the last round began too long ago\n")
            return 404, _TEXT, b"GET /metrics or /healthz\n"

        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._server = (_Server6 if ":" in host else _Server)((host, port), handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        """Listen, without asking for the machine's name, which takes long where no name server answers."""
        super(HTTPServer, self).server_bind()
        self.server_port = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: whoever hangs up is no event."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[str], tuple[int, str, bytes]]
    timeout = _PATIENCE
    server_version, sys_version = "medproof", ""

    def do_GET(self) -> None:
        """Answer."""
        status, kind, body = self.answer(urlsplit(self.path).path)
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Answer without the numbers."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who read the numbers is no event."""
