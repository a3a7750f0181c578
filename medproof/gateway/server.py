"""Serving a gatekeeper with uvicorn: one process, an orderly end, no log of its own."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from typing import cast

import uvicorn
from fastapi import APIRouter, FastAPI

from medproof.errors import MedProofError
from medproof.gateway.app import create_app
from medproof.gateway.service import Gatekeeper
from medproof.gateway.telemetry import LOGGER
from medproof.telemetry import log_to

__all__ = ["QUOTING", "Server", "http_server", "serve", "server_of"]

QUOTING = ("uvicorn", "python_multipart")  # loggers whose lines may quote requests
_GRACE = 30  # seconds for requests that are under way when the end comes
_MOST_AT_ONCE = 512  # connections; beyond it the answer is 503


class Server(uvicorn.Server):
    """Says when it answers."""

    ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started and self.ready is not None:
            self.ready()


def http_server(app: FastAPI, *, host: str, port: int, max_headers: int) -> Server:
    """The server of an application, ready to run: no log of its own, no trust in what a proxy says."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=max_headers,
    )
    return Server(config)


def server_of(gatekeeper: Gatekeeper, *, host: str, port: int, routers: Sequence[APIRouter] = ()) -> Server:
    """The server of a gatekeeper, ready to run.

    One process serves one origin: which requests were used is remembered in it. What a proxy says of the caller's
    address is not believed.
    """
    app = create_app(gatekeeper, routers=routers)
    return http_server(app, host=host, port=port, max_headers=gatekeeper.settings.max_headers)


def serve(
    gatekeeper: Gatekeeper,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    routers: Sequence[APIRouter] = (),
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; what is under way is answered, and what was accepted is kept.

    Args:
        gatekeeper: what is served.
        host: the address to listen on.
        port: the port.
        routers: further paths, such as the pages of `medproof.explore`.
        ready: called once, when it answers and ends in order.

    Raises:
        MedProofError: it does not start; see `Gatekeeper.start`.
    """
    log_to(sys.stdout, name=LOGGER.name, as_json=True, silent=QUOTING)
    server = server_of(gatekeeper, host=host, port=port, routers=routers)
    server.ready = ready
    try:
        server.run()
    except SystemExit:
        failure: MedProofError | None = cast(FastAPI, server.config.app).state.failure
        if failure is None:
            raise
        raise failure from None
