"""For operators: whether the gatekeeper works, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from medproof.gateway.http import describe
from medproof.gateway.service import Gatekeeper
from medproof.metrics import CONTENT_TYPE, Metrics

__all__ = ["operation_routes"]

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def operation_routes(gatekeeper: Gatekeeper, metrics: Metrics) -> APIRouter:
    """The paths below `/health`, and `/metrics`."""
    router = APIRouter()
    state = {"type": "object", "properties": {"status": {"type": "string"}}}

    @router.get("/health/live", **describe("Whether the process answers", "application/json", state, signed=False))
    def live() -> Response:
        """Answers as long as the process does."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    @router.get("/health/ready", **describe("Whether chain and store answer", "application/json", state, signed=False))
    def ready() -> Response:
        """Answers where a record could be decided and served now."""
        gatekeeper.ready()
        return Response(b'{"status":"ok"}', media_type="application/json")

    @router.get("/metrics", **describe("Numbers for Prometheus", "text/plain", {"type": "string"}, 404, signed=False))
    def numbers(request: Request) -> Response:
        """For the operators' addresses alone, and not for whom a proxy at such an address speaks."""
        forwarded = any(name in request.headers for name in _FORWARDED)
        if forwarded or request.client is None or request.client.host not in gatekeeper.settings.operators:
            raise HTTPException(404)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router
