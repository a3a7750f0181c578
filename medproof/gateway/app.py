"""The gatekeeper over HTTP: an ASGI application of its paths, its limits and its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from medproof import __version__
from medproof.errors import ArgumentError, CursorError, GatekeeperRefusalError, MedProofError
from medproof.gateway.http import refusal_response
from medproof.gateway.limits import Limits, RateLimit
from medproof.gateway.outcome import as_refusal
from medproof.gateway.promises import Promises
from medproof.gateway.routes.access import access_routes
from medproof.gateway.routes.devices import device_routes
from medproof.gateway.routes.forms import form_routes
from medproof.gateway.routes.messages import message_routes
from medproof.gateway.routes.operations import operation_routes
from medproof.gateway.routes.records import record_routes
from medproof.gateway.service import Gatekeeper
from medproof.gateway.telemetry import METHODS, RequestMetrics, Telemetry
from medproof.metrics import Metrics
from medproof.sending.telemetry import show_transactions

__all__ = ["create_app"]


def create_app(gatekeeper: Gatekeeper, *, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """Return the ASGI application of a gatekeeper; its lifespan starts and stops the posting of pointers.

    Args:
        gatekeeper: what is served.
        routers: further paths, such as the pages of `medproof.explore`.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            gatekeeper.start()
        except MedProofError as error:
            app.state.failure = error  # the server itself says only that there was one
            raise
        yield
        gatekeeper.stop()

    app = FastAPI(
        title="MedProof gatekeeper",
        version=__version__,
        description="Serves a custodian's FHIR R4 records to whom their subjects permit it on chain.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.gatekeeper, app.state.failure = gatekeeper, None
    settings = gatekeeper.settings
    metrics = _metrics(gatekeeper)
    https = settings.origin.startswith("https:")
    limit = RateLimit(settings.address_rate, settings.address_burst)
    app.add_middleware(Promises)
    app.add_middleware(
        Limits, body=settings.max_body, headers=settings.max_headers, addresses=limit, refuse=refusal_response
    )
    app.add_middleware(Telemetry, metrics=RequestMetrics(metrics), https=https, refuse=refusal_response)
    _add_errors(app)
    app.include_router(record_routes(gatekeeper))
    app.include_router(access_routes(gatekeeper))
    app.include_router(device_routes(gatekeeper))
    app.include_router(message_routes(gatekeeper))
    app.include_router(form_routes(gatekeeper))
    app.include_router(operation_routes(gatekeeper, metrics))
    for router in routers:
        app.include_router(router)
    return app


def _metrics(gatekeeper: Gatekeeper) -> Metrics:
    """The gatekeeper's numbers, those included that are asked for when they are read."""
    metrics, manager = Metrics("gateway"), gatekeeper.manager
    poster, anchorer, readings = gatekeeper.poster, gatekeeper.anchorer, gatekeeper.readings
    if manager is not None:
        show_transactions(metrics, manager.counts)
    metrics.gauge("pointers_open", "Pointers to post, or not confirmed yet.", lambda: poster.open if poster else 0)
    behind = "Entries of the access log that are in no anchored batch yet."
    metrics.gauge("entries_not_anchored", behind, lambda: anchorer.behind() if anchorer else 0)
    behind = "Devices' readings that are in no anchored batch yet."
    metrics.gauge("readings_not_anchored", behind, lambda: readings.anchorer.behind() if readings else 0)
    return metrics


def _methods(request: Request) -> str:
    """The methods of a path, of all its routes."""
    scopes = ((method, {**request.scope, "method": method}) for method in sorted(METHODS))
    routes = request.app.routes
    return ", ".join(name for name, scope in scopes if any(one.matches(scope)[0] is Match.FULL for one in routes))


def _add_errors(app: FastAPI) -> None:
    def of_ours(request: Request, error: Exception) -> Response:
        if isinstance(error, CursorError | ArgumentError):
            return refusal_response(request.scope, GatekeeperRefusalError(400, "PARAMETER", str(error)))
        assert isinstance(error, MedProofError)
        return refusal_response(request.scope, as_refusal(error))

    def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "NOT_FOUND", 405: "METHOD"}.get(error.status_code, "REFUSED")
        said = f"There is no such resource or method ({error.status_code}). See /openapi.json."
        response = refusal_response(request.scope, GatekeeperRefusalError(error.status_code, code, said))
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = _methods(request)
        return response

    def of_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors() if len(one["loc"]) < 3}))
        said = f"Missing or not of the form of the OpenAPI document: {names or 'a parameter'}. See /openapi.json."
        return refusal_response(request.scope, GatekeeperRefusalError(400, "PARAMETER", said))

    app.add_exception_handler(MedProofError, of_ours)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_parameters)
