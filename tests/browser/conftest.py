"""The pages in a real Chromium: `make test-browser`. Where none is installed, the tests say so and are skipped."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, sync_playwright

from medproof.explore import Explorer, create_explore_app
from medproof.gateway.server import http_server
from scripts.local_chain import ROOT
from tests.sdk.explore import conftest as registry

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_SECONDS = 20.0

# One registry for the pages over HTTP and in a browser.
indexed, dataset, explorer = registry.indexed, registry.dataset, registry.explorer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on this machine: install chromium (Debian, Ubuntu) or Google Chrome.")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=root)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def origin(explorer: Explorer) -> Iterator[str]:
    """Where the pages are served."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = http_server(create_explore_app(explorer), host="127.0.0.1", port=port, max_headers=16 * 1024)
    ready = threading.Event()
    server.ready = ready.set
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(_SECONDS)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(_SECONDS)
    assert not thread.is_alive()


class Watched:
    """A page, and what it did that no page here does."""

    def __init__(self, context: BrowserContext, at: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_SECONDS * 1000)
        self.at, self.faults = at, list[str]()
        home = urlsplit(at).netloc

        def guard(route: Route) -> None:
            if urlsplit(route.request.url).netloc == home:
                route.continue_()
            else:
                self.faults.append(f"asked for {route.request.url}")
                route.abort()

        context.route("**/*", guard)
        self.page.on("console", lambda said: self.faults.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def open(self, path: str = "") -> Page:
        """Go to a page, and wait until it is drawn."""
        self.page.goto(self.at + path)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2, levels A and AA, and its own good practice."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run({runOnly: tags, preload: false})", tags)
        return [
            f"{one['id']}: {node['html']} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


@pytest.fixture
def watched(browser: Browser, origin: str) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found = Watched(context, origin)
    yield found
    context.close()
    assert found.faults == []


def site_of(folder: Path) -> str:
    return f"{folder.as_uri()}/"
