"""A headless Chromium, driven over its DevTools protocol: as much as a form needs."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

_SECONDS = 20.0


class Chromium:
    """One page of a browser with an empty profile, as a context manager."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="medproof-chromium-")
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        quiet = [
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
            "--disable-gpu",
            "--hide-scrollbars",
        ]
        where = ["--remote-debugging-port=0", f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["chromium", "--headless=new", *root, *quiet, *where], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = re.search(rb"listening on (ws://\S+)", line)
            if found:
                break
        else:
            raise RuntimeError("chromium does not start")
        self._socket = connect(found[1].decode(), max_size=None, proxy=None)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters, **session}))
        while True:
            answer = json.loads(self._socket.recv(_SECONDS))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address, and wait for its page."""
        self._mark()
        self.call("Page.navigate", url=url)
        self._arrive()

    def fill(self, **values: str) -> None:
        """Fill in fields, by their ids."""
        for id_, value in values.items():
            self.ask(f"document.getElementById({json.dumps(id_)}).value = {json.dumps(value)}")

    def press(self, selector: str) -> None:
        """Press a button that leads to another page, and wait for that."""
        self._mark()
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")
        self._arrive()

    def until(self, expression: str) -> None:
        """Wait until something is true of the page."""
        limit = time.monotonic() + _SECONDS
        while not self.ask(expression):
            assert time.monotonic() < limit, expression
            time.sleep(0.02)

    def picture(self, width: int, height: int) -> bytes:
        """The page as a PNG."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _mark(self) -> None:
        self.ask("window.left = true")

    def _arrive(self) -> None:
        self.until("!window.left && document.readyState === 'complete'")
