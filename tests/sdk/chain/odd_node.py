"""A node that answers as a test tells it to, on a free port; what the test leaves open a real node answers."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Call"], Any]


class Cut(bytes):
    """An answer of which half comes, before the connection breaks."""


class Call:
    """One JSON-RPC request, and ways to answer it."""

    def __init__(self, body: bytes, upstream: str | None) -> None:
        self.body = body
        self.upstream = upstream
        content = json.loads(body)
        self.each: list[dict[str, Any]] = content if isinstance(content, list) else [content]
        content = self.each[0]  # several calls at once go by the first's name
        self.method: str = content["method"]
        self.parameters: list[Any] = content["params"]
        self.id = content["id"]

    def result(self, value: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "result": value}).encode()

    def error(self, message: str, *, code: int = -32000, data: Any = None) -> bytes:
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "error": error}).encode()

    def forward(self, first: int | None = None) -> bytes:
        """What the real node says, to the first few of a list where no more reach it."""
        assert self.upstream is not None, f"nobody to ask for {self.method}"
        body = self.body if first is None else json.dumps(self.each[:first]).encode()
        request = urllib.request.Request(self.upstream, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())


class OddNode:
    """What was asked, in order, and the address to ask at."""

    def __init__(self, url: str, upstream: str | None) -> None:
        self.url = url
        self.upstream = upstream  # the real node, which may become another one
        self.calls: list[Call] = []

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)


def lying(lies: Mapping[tuple[Any, ...], Any]) -> Answer:
    """What the real node says, but for some questions, by method and first parameters, alone or in a list."""

    def answer(call: Call) -> bytes:
        said = json.loads(call.forward())
        for asked, one in zip(call.each, said if isinstance(said, list) else [said], strict=True):
            given = (asked["method"], *asked["params"])
            for question, lie in lies.items():
                if given[: len(question)] == question:
                    one["result"] = lie
        return json.dumps(said).encode()

    return answer


@contextlib.contextmanager
def odd_node(answer: Answer, *, upstream: str | None = None) -> Iterator[OddNode]:
    """Serve `answer(call)`: bytes, `Cut` bytes, a pair (HTTP status, bytes), None to hang up, or `...` for the real
    node's; where that one does not answer either, it hangs up."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            call = Call(self.rfile.read(int(self.headers["Content-Length"])), node.upstream)
            node.calls.append(call)
            given = answer(call)
            if given is ...:
                try:
                    given = call.forward()
                except OSError:
                    given = None
            if given is None:
                self.close_connection = True
                return
            status, body = given if isinstance(given, tuple) else (200, given)
            with contextlib.suppress(OSError):  # whoever asked may have hung up
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if isinstance(body, Cut) else body)
                self.wfile.flush()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    node = OddNode(f"http://127.0.0.1:{server.server_port}", upstream)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
