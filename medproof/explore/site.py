"""How pages are written, and where their links lead: on a server, or in a folder of files.

Every page lies in one folder, so that links are relative: the same page works under any path, and from a disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from medproof.explore.parameters import Pairs
from medproof.gateway import web
from medproof.policy.phrases import day, moment

__all__ = ["ASSETS", "PAGES", "POLICY", "NestedSite", "Site", "asset", "media_type", "render"]

PAGES = (
    ("", "Overview"),
    ("cohort", "Cohort"),
    ("coverage", "Coverage"),
    ("studies", "Studies"),
    ("parties", "Parties"),
    ("match", "DUO match"),
    ("evidence", "Evidence"),
)
"""The pages that every page leads to."""

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'"
"""What a page may load: nothing from elsewhere, and no script or style inside the page."""

_SHARED = "page.css"  # with the gatekeeper's pages

ASSETS: dict[str, str] = {  # by name, the folder that has it
    _SHARED: "",
    "explore.css": "web",
    "explore.js": "web",
    "icon.svg": "web",
    "htmx.min.js": "vendor",
    "htmx.LICENSE": "vendor",
    "uPlot.iife.min.js": "vendor",
    "uPlot.min.css": "vendor",
    "uPlot.LICENSE": "vendor",
    "inter-latin-wght-normal.woff2": "vendor",
    "inter.LICENSE": "vendor",
}
"""The files that pages load, and the licences of those that others wrote."""

_HTMX = {
    "allowEval": False,
    "historyCacheSize": 0,
    "includeIndicatorStyles": False,
    "responseHandling": [{"code": "...", "swap": True}],  # a refusal says what to do, and is shown as well
    "selfRequestsOnly": True,
}
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain",
}


class Site:
    """The pages on a server."""

    live = True
    pages = PAGES
    policy = POLICY
    htmx = json.dumps(_HTMX, separators=(",", ":"))

    def link(self, page: str, pairs: Pairs = ()) -> str | None:
        """Where a page is, from any other; None where there is none."""
        return (page or "./") + (f"?{urlencode(pairs)}" if pairs else "")

    def asset(self, name: str) -> str:
        """Where a file is that pages load."""
        return f"assets/{name}"


class NestedSite(Site):
    """The pages as seen from an address further down, which none of them has."""

    def __init__(self, depth: int) -> None:
        """Lead up so many folders first."""
        self._up = "../" * depth

    def link(self, page: str, pairs: Pairs = ()) -> str | None:
        """Where a page is."""
        return self._up + str(super().link(page, pairs))

    def asset(self, name: str) -> str:
        """Where a file is that pages load."""
        return self._up + super().asset(name)


@cache
def _environment() -> Environment:
    """The templates; every value is escaped."""
    found = Environment(
        loader=PackageLoader("medproof.explore", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": _number, "day": day, "moment": moment, "month": _month}
    return found


@cache
def asset(name: str) -> bytes:
    """A file that pages load.

    Raises:
        KeyError: there is none of that name.
    """
    folder = ASSETS[name]
    return web.asset(name) if name == _SHARED else (resources.files("medproof.explore") / folder / name).read_bytes()


def media_type(name: str) -> str:
    """What kind of file it is."""
    return next(kind for end, kind in _TYPES.items() if name.endswith(end))


def render(site: Site, template: str, values: Mapping[str, Any]) -> str:
    """A page as HTML."""
    return _environment().get_template(f"{template}.html").render(site=site, **values)


def _month(value: date) -> str:
    """A month by its first day, and any other day as it is."""
    return day(value).partition(" ")[2] if value.day == 1 else day(value)


def _number(value: int) -> str:
    return f"{value:,}"
