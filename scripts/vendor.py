"""Copy what the pages of `medproof explore` load from node_modules into the package: ``make vendor``.

package-lock.json pins the versions by their hashes; tests/sdk/explore/test_vendor.py compares the copies with them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.local_chain import ROOT

VENDOR = ROOT / "medproof" / "explore" / "vendor"

# Each copy, and the file below node_modules that it is of. A library's licence goes with it.
FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE": "htmx.org/LICENSE",
    "uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.min.css": "uplot/dist/uPlot.min.css",
    "uPlot.LICENSE": "uplot/LICENSE",
    "inter-latin-wght-normal.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter.LICENSE": "@fontsource-variable/inter/LICENSE",
}


def main() -> int:
    """Copy them, and remove what is no longer among them."""
    VENDOR.mkdir(exist_ok=True)
    for path in VENDOR.iterdir():
        if path.name not in FILES:
            path.unlink()
    for name, source in FILES.items():
        shutil.copyfile(ROOT / "node_modules" / source, VENDOR / name)
        print(f"{VENDOR.relative_to(ROOT) / name}: {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
