"""What a page says, as a reader without scripts has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "rect", "path", "hr"}


class Page(HTMLParser):
    """A page's elements, texts and links; raises where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.title = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title":
            self.title += data
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The elements of a kind with these attributes."""
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key.rstrip("_")) == value for key, value in attributes.items())
        ]

    @property
    def said(self) -> str:
        """Its text, with single spaces."""
        return re.sub(r"\s+", " ", self.text).strip()

    @property
    def links(self) -> Iterable[str]:
        """Where it leads, and what it loads."""
        for tag, attributes in self.elements:
            for name in ("href", "src", "action"):
                if name in attributes and not attributes[name].startswith("#"):
                    yield f"{tag} {attributes[name]}"
