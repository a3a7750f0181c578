"""The pages in a real browser, where one is there (`make test-deep`): with scripts, and without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from medproof.gateway import Gatekeeper
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.gateway.chromium import Chromium
from tests.sdk.gateway.conftest import settle
from tests.sdk.gateway.test_forms import sign, stored
from tests.sdk.gateway.test_server import gatekeeper, port, served

__all__ = ["gatekeeper", "port"]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("MEDPROOF_DEEP"), reason="only in the deep lane"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium on the PATH"),
]

WALLET = """window.ethereum = {request: ({method, params}) => method === "personal_sign"
    ? new Promise((resolve) => { window.toSign = params; window.signed = resolve; }) : Promise.resolve([])};"""


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_person_posts_a_measurement(
    chromium: Chromium,
    gatekeeper: Gatekeeper,
    port: int,
    store: SqlStore,
    relayer: LocalSigner,
    patient: LocalSigner,
    scripts: bool,
) -> None:
    origin = f"http://127.0.0.1:{port}"
    if scripts:
        chromium.call("Page.addScriptToEvaluateOnNewDocument", source=WALLET)
    else:
        chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    with served(gatekeeper, port):
        chromium.open(f"{origin}/form")
        chromium.fill(account=relayer.address)
        chromium.press("#sign-in button")
        message = chromium.ask("document.getElementById('message').value")
        if scripts:
            chromium.ask("document.getElementById('wallet').click()")
            chromium.until("window.toSign")
            assert chromium.ask("window.toSign") == [f"0x{message.encode().hex()}", relayer.address]
            chromium.ask(f"window.signed('{sign(relayer, message)}')")
            chromium.until("document.getElementById('signature').value")
            assert len(chromium.ask("document.getElementById('offset')?.value ?? '+00:00'")) == 6
        else:
            assert chromium.ask("document.getElementById('wallet').hidden")
            chromium.fill(signature=sign(relayer, message))
        chromium.press("#sign-message button[type=submit]")
        assert chromium.ask("document.querySelector('h1').textContent") == "Post a record"
        assert chromium.ask("document.cookie") == ""

        chromium.fill(patient=patient.address, measurement="8310-5 Cel", value="36,6", when="2026-01-10T08:30")
        chromium.fill(offset="+01:00")
        chromium.press("#measurement-form button")
        assert chromium.ask("document.title").startswith("Error: ")
        chromium.until("document.activeElement.id === 'errors'")
        assert chromium.ask("document.getElementById('value').value") == "36,6"
        assert chromium.ask("document.getElementById('when').value") == "2026-01-10T08:30"
        chromium.fill(value="36.60")
        chromium.press("#measurement-form button")
        assert chromium.ask("document.querySelector('h1').textContent") == "The record is stored"
        settle(gatekeeper)
        [content] = stored(store)
        assert str(content["valueQuantity"]["value"]) == "36.60"

        chromium.press("button.quiet")
        assert chromium.ask("document.getElementById('account') !== null")
