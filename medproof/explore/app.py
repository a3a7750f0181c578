"""The pages over HTTP: routes for any FastAPI application, an application of their own, and its server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import Scope

from medproof import __version__
from medproof.errors import GatekeeperRefusalError, MedProofError
from medproof.explore.explorer import SHOWN, Explorer, Made, refusal
from medproof.explore.site import ASSETS, POLICY, NestedSite, Site, asset, media_type
from medproof.gateway import web
from medproof.gateway.limits import Limits, RateLimit
from medproof.gateway.server import http_server

__all__ = ["PATH", "create_explore_app", "explore_routes", "serve_pages"]

PATH = "/explore"
"""The path of the pages beside others."""

_MAX_HEADERS = 16 * 1024  # bytes of path, query and headers
_RATE, _BURST = 50.0, 200  # requests of one address: a slider sends some in a second
_METHODS = ["GET", "HEAD"]
_HEADERS = {
    **web.HEADERS,
    "Cache-Control": "no-cache",  # asked for again each time, and sent only where it is another
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def explore_routes(explorer: Explorer, *, path: str = PATH) -> APIRouter:
    """The pages as routes, for an application that has others as well; for people, and not in its OpenAPI document.

    Args:
        explorer: what makes the pages.
        path: what their addresses begin with; empty for the root.
    """
    router = APIRouter(include_in_schema=False)

    def show(request: Request) -> Response:
        """A page; parameters that are empty are left out of its address first."""
        name = request.url.path.rpartition("/")[2]
        pairs = request.query_params.multi_items()
        if any(not value.strip() for _, value in pairs):
            return RedirectResponse(
                str(Site().link(name, [(key, value) for key, value in pairs if value.strip()])), 303
            )
        try:
            if _known(request, tag := explorer.tag(name, pairs)):
                return _unchanged(tag)
            return _answer(request, explorer.page(name, pairs))
        except MedProofError:
            said = (
                "The registry cannot be read at the moment. Try again in a minute; if it lasts, tell whoever serves it."
            )
            return _page(refusal("Not at the moment", said, 503))

    def load(request: Request, name: str) -> Response:
        """A file that pages load."""
        if name not in ASSETS:
            return _missing(request, path)
        content = asset(name)
        return _answer(request, Made(content, 200, hashlib.sha256(content).hexdigest()[:32]), media_type(name))

    def missing(request: Request, rest: str) -> Response:
        """All other addresses."""
        return _missing(request, path)

    if path:
        target = path.rpartition("/")[2] + "/"
        router.add_api_route(path, lambda: RedirectResponse(target, 308), methods=_METHODS)
    for name in SHOWN:
        router.add_api_route(f"{path}/{name}", show, methods=_METHODS)
    router.add_api_route(f"{path}/assets/{{name}}", load, methods=_METHODS)
    router.add_api_route(f"{path}/{{rest:path}}", missing, methods=_METHODS)
    return router


def create_explore_app(explorer: Explorer) -> FastAPI:
    """An application that serves the pages and nothing else."""
    app = FastAPI(title="MedProof registry", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Limits, body=0, headers=_MAX_HEADERS, addresses=RateLimit(_RATE, _BURST), refuse=_refused)
    app.include_router(explore_routes(explorer, path=""))

    def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = "These pages are read, and nothing is sent to them. Open them with GET."
        return _page(refusal("Refused", said, error.status_code), dict(error.headers or {}))

    def of_failure(request: Request, error: Exception) -> Response:
        said = "The page could not be made. Try another; if it lasts, tell whoever serves it."
        return _page(refusal("This failed", said, 500))

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(Exception, of_failure)
    return app


def serve_pages(
    explorer: Explorer, *, host: str = "127.0.0.1", port: int = 8090, ready: Callable[[], None] | None = None
) -> None:
    """Serve the pages until SIGINT or SIGTERM.

    Args:
        explorer: what makes them.
        host: the address to listen on.
        port: the port.
        ready: called once, when they are served.
    """
    server = http_server(create_explore_app(explorer), host=host, port=port, max_headers=_MAX_HEADERS)
    server.ready = ready
    server.run()


def _answer(request: Request, made: Made, kind: str = "text/html") -> Response:
    """What was made, or that the reader has it already."""
    if made.status != 200:
        return _page(made)
    if _known(request, made.tag):
        return _unchanged(made.tag)
    return Response(made.text, 200, {**_HEADERS, "ETag": f'"{made.tag}"'}, kind)


def _known(request: Request, tag: str) -> bool:
    """Whether the reader has what has this tag."""
    return f'"{tag}"' in request.headers.get("if-none-match", "")


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={**_HEADERS, "ETag": f'"{tag}"'})


def _page(made: Made, headers: dict[str, str] | None = None) -> Response:
    return Response(made.text, made.status, {**_HEADERS, "Cache-Control": "no-store", **(headers or {})}, "text/html")


def _missing(request: Request, path: str) -> Response:
    depth = request.url.path.count("/") - path.count("/") - 1
    said = "There is no page at this address. Choose one of those above."
    return _page(refusal("No such page", said, 404, site=NestedSite(depth)))


def _refused(scope: Scope, error: GatekeeperRefusalError) -> Response:
    """What the limits refuse, as a page."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    said = str(error) if error.status == 429 else "The request is too long for these pages. Shorten its address."
    return _page(refusal("Refused", said, error.status), headers)
