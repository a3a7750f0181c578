"""Pages to look at: the public registry for people, on a server or as files. docs/explore.md has more.

It needs `medproof[research]`.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.explore.app import create_explore_app, explore_routes, serve_pages
    from medproof.explore.copy import write_site
    from medproof.explore.explorer import Explorer, OfDataset, OfIndex
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("The pages", "research", str(missing.name)) from None

__all__ = [
    "Explorer",
    "OfDataset",
    "OfIndex",
    "create_explore_app",
    "explore_routes",
    "serve_pages",
    "write_site",
]
