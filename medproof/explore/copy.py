"""A copy of the pages as files, which needs no server: every page that the overview leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medproof.errors import ExportError
from medproof.explore.asking import EXAMPLES
from medproof.explore.explorer import SHOWN, Explorer
from medproof.explore.parameters import Pairs
from medproof.explore.site import ASSETS, Site, asset
from medproof.new_folder import written_aside

__all__ = ["write_site"]

_NUMBERED = [("cohort", tuple(question)) for _, question in EXAMPLES]
_WHOLE = {"parties": {"sort", "page"}, "study": {"id"}}  # parameters that all answers of are written


class _Copy(Site):
    """The pages in a folder, noted down as they are linked to."""

    live = False

    def __init__(self) -> None:
        self.names: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self.waiting: list[tuple[str, tuple[tuple[str, str], ...]]] = []

    def link(self, page: str, pairs: Pairs = ()) -> str | None:
        """The file of a page; None where it needs a server."""
        key = (page, tuple(pairs))
        if key not in self.names:
            name = _name(*key)
            if name is None:
                return None
            self.names[key] = name
            self.waiting.append(key)
        return self.names[key]


def write_site(explorer: Explorer, folder: Path, *, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Write every page that the overview leads to, and what pages load; the same block gives the same bytes.

    Args:
        explorer: what makes the pages.
        folder: a new folder; it is there whole, or not at all.
        progress: is told how many pages are written, of how many that are known by then.

    Returns:
        the names of the pages.

    Raises:
        ExportError: there is such a folder, or it cannot be written.
    """
    site, done = _Copy(), 0
    site.link("")
    with written_aside(folder, ExportError) as draft:
        (draft / "assets").mkdir()
        for name in ASSETS:
            (draft / "assets" / name).write_bytes(asset(name))
        while site.waiting:
            page, pairs = site.waiting.pop(0)
            (draft / site.names[page, pairs]).write_bytes(explorer.page(page, pairs, site=site).text)
            done += 1
            if progress is not None:
                progress(done, len(site.names))
    return sorted(site.names.values())


def _name(page: str, pairs: tuple[tuple[str, str], ...]) -> str | None:
    """The name of a page's file, or None where it is not among those that are written."""
    if page not in SHOWN:
        return None
    if not pairs:
        return f"{page or 'index'}.html"
    if (page, pairs) in _NUMBERED:
        return f"{page}-{_NUMBERED.index((page, pairs)) + 1}.html"
    if {name for name, _ in pairs} <= _WHOLE.get(page, set()):
        return "-".join([page, *(f"{name}-{value.replace('-', 'down-')}" for name, value in pairs)]) + ".html"
    return None
