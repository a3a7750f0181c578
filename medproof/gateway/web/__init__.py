"""The gatekeeper's pages for people: templates, style, and a script that they work without."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from medproof.errors import GatekeeperRefusalError

__all__ = ["HEADERS", "asset", "page", "refusal_page"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # with none at all a browser sends no origin with a form
    "X-Frame-Options": "DENY",
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("medproof.gateway", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def asset(name: str) -> bytes:
    """A file that pages load: page.css, page.js."""
    return (resources.files("medproof.gateway.web") / name).read_bytes()


def page(name: str, *, status: int = 200, **values: object) -> Response:
    """A page; every value is escaped."""
    text = _environment().get_template(f"{name}.html").render(**{"errors": {}, **values})
    return Response(text, status, HEADERS, "text/html")


def refusal_page(refusal: GatekeeperRefusalError) -> Response:
    """A refusal that belongs to no form, for people; nothing of the request is in it."""
    return page("refused", status=refusal.status, said=str(refusal), code=refusal.code)
