"""The numbers as Prometheus reads them, and the server that shows them."""

from __future__ import annotations

import builtins
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from medproof.cli.operating import shown
from medproof.cli.options import ServiceOptions
from medproof.errors import MissingExtraError, NodeError, OptionError
from medproof.metrics import CONTENT_TYPE, Metrics, MetricsServer, Pulse
from tests.support.metrics import Clock, samples

NONE: frozenset[tuple[str, str]] = frozenset()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("test")


@pytest.fixture
def server(metrics: Metrics, clock: Clock) -> Iterator[MetricsServer]:
    with closing(MetricsServer(metrics, Pulse(clock), host="127.0.0.1", port=0)) as opened:
        yield opened


def ask(server: MetricsServer, method: str, path: str) -> tuple[int, str, bytes]:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def test_each_kind_of_number(metrics: Metrics) -> None:
    metrics.counter("sent_total", "Sent.", ("to",)).labels('a "b"\n\\c').inc(2)
    metrics.histogram("seconds", "How long.", (0.1, 1)).observe(0.5)
    metrics.gauge("depth", "How deep.", lambda: 7)
    metrics.gauge("nothing", "Nobody knows.", lambda: None)
    metrics.gauges("states", "How many.", "state", lambda: {"sent": 3, "mined": 0})
    found = samples(metrics.text().decode())
    assert found["medproof_test_sent_total", frozenset({("to", 'a "b"\n\\c')})] == 2
    assert found["medproof_test_seconds_bucket", frozenset({("le", "0.1")})] == 0
    assert found["medproof_test_seconds_bucket", frozenset({("le", "1.0")})] == 1
    assert found["medproof_test_depth", NONE] == 7
    assert found["medproof_test_states", frozenset({("state", "sent")})] == 3
    assert found["medproof_test_states", frozenset({("state", "mined")})] == 0
    assert not any(name == "medproof_test_nothing" or name.endswith("_created") for name, _ in found)
    assert found["process_resident_memory_bytes", NONE] > 1_000_000


def test_what_cannot_be_asked_for_hides_nothing_else(metrics: Metrics) -> None:
    def away() -> float:
        raise NodeError("Nobody answers.")

    metrics.gauge("funds", "Asked of a node.", away)
    metrics.gauge("depth", "How deep.", lambda: 7)
    found = samples(metrics.text().decode())
    assert found["medproof_test_depth", NONE] == 7
    assert ("medproof_test_funds", NONE) not in found


def test_two_services_share_nothing(metrics: Metrics) -> None:
    other = Metrics("test")
    metrics.counter("sent_total", "Sent.").inc()
    other.counter("sent_total", "Sent.")
    assert samples(other.text().decode())["medproof_test_sent_total", NONE] == 0


def test_the_server_shows_them(server: MetricsServer, metrics: Metrics) -> None:
    metrics.gauge("depth", "How deep.", lambda: 7)
    status, kind, body = ask(server, "GET", "/metrics?name[]=everything")
    assert (status, kind) == (200, CONTENT_TYPE)
    assert samples(body.decode())["medproof_test_depth", NONE] == 7
    assert ask(server, "HEAD", "/metrics") == (200, CONTENT_TYPE, b"")
    assert ask(server, "GET", "/")[0] == 404
    assert ask(server, "GET", "/metrics/../etc/passwd")[0] == 404
    assert ask(server, "POST", "/metrics")[0] == 501


def test_health_is_that_the_work_goes_on(clock: Clock, metrics: Metrics) -> None:
    pulse = Pulse(clock)
    with closing(MetricsServer(metrics, pulse, host="127.0.0.1", port=0)) as server:
        assert ask(server, "GET", "/healthz")[0] == 200
        clock.now += 299
        assert ask(server, "GET", "/healthz")[0] == 200
        clock.now += 1
        assert ask(server, "GET", "/healthz")[0] == 503
        pulse.beat()
        assert ask(server, "GET", "/healthz")[0] == 200


def test_rubbish_and_who_hangs_up_harm_nothing(server: MetricsServer, capfd: pytest.CaptureFixture[str]) -> None:
    for rubbish in (
        b"",
        b"\x00" * 100,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(rubbish)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5):  # holds a connection and says nothing
        assert ask(server, "GET", "/healthz")[0] == 200
    assert capfd.readouterr().err == ""


def test_many_at_once(server: MetricsServer) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(ask(server, "GET", "/metrics")[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9101", ("127.0.0.1", 9101)),
        ("[::1]:0", ("::1", 0)),
        ("metrics.internal:65535", ("metrics.internal", 65535)),
    ],
)
def test_a_place_to_listen(text: str, place: tuple[str, int]) -> None:
    assert ServiceOptions(metrics=text).place == place


@pytest.mark.parametrize("text", ["", "9101", ":9101", "127.0.0.1", "127.0.0.1:65536", "::1:9101", "a b:1", "a:\uff11"])
def test_no_place_to_listen(text: str) -> None:
    with pytest.raises(OptionError, match=r"such as 127\.0\.0\.1:9101"):
        ServiceOptions(metrics=text)


def test_a_port_that_is_taken(metrics: Metrics, clock: Clock, unused_port: int) -> None:
    taken = ServiceOptions(metrics=f"127.0.0.1:{unused_port}")
    with pytest.raises(OptionError, match="cannot be listened on"), shown(taken, metrics, Pulse(clock)):
        pytest.fail("nothing is shown there")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ModuleNotFoundError(name="prometheus_client")
        return true_import(name, *rest)

    monkeypatch.delitem(sys.modules, "medproof.metrics")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[metrics\]'"):
        import medproof.metrics  # noqa: F401
