"""The pictures of docs/explore.md, of a synthetic registry: ``.venv/bin/python -m tests.browser.pictures``."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import sync_playwright

from medproof.explore import Explorer, OfIndex, create_explore_app
from medproof.explore.asking import EXAMPLES
from medproof.gateway.server import http_server
from medproof.research.suppression import Suppression
from scripts.local_chain import ROOT
from tests.browser.conftest import CHROMIUM
from tests.sdk.explore.seed import deployment_of, seeded, study_id

SUBJECTS = 3000
PORT = 8097
WIDE, NARROW = (1280, 1000), (390, 844)
COLOURS = 128  # of a picture: enough for text on a ground

# Name, address, size, scheme.
PICTURES = (
    ("overview", "", WIDE, "light"),
    ("cohort", f"cohort?{urlencode(EXAMPLES[0][1])}", WIDE, "light"),
    ("cohort-dark", f"cohort?{urlencode([*EXAMPLES[0][1], ('trend', '1')])}#trend", NARROW, "dark"),
    ("coverage", "coverage", WIDE, "light"),
    ("study", f"study?id={study_id(1)}", WIDE, "dark"),
    ("match", "match", WIDE, "light"),
)


@contextmanager
def served() -> Iterator[str]:
    """The pages of a registry of some thousand subjects."""
    with tempfile.TemporaryDirectory() as folder:
        index = seeded(Path(folder) / "index.db", subjects=SUBJECTS)
        explorer = Explorer(OfIndex(deployment_of(index), suppression=Suppression()))
        server = http_server(create_explore_app(explorer), host="127.0.0.1", port=PORT, max_headers=16 * 1024)
        ready = threading.Event()
        server.ready = ready.set
        thread = threading.Thread(target=server.run)
        thread.start()
        ready.wait(60)
        try:
            yield f"http://127.0.0.1:{PORT}/"
        finally:
            server.should_exit = True
            thread.join()
            explorer.close()
            index.close()


def main() -> int:
    """Take them."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with served() as at, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=root)
        for name, path, (width, height), scheme in PICTURES:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(at + path)
            page.wait_for_load_state("networkidle")
            taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            place = ROOT / "docs" / "images" / f"explore-{name}.png"
            taken.quantize(COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)
            print(f"{place.relative_to(ROOT)}: {place.stat().st_size:,} bytes")
            context.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
