"""Write docs/data-dictionary.md from the columns of the research data set: python scripts/data_dictionary.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.research.columns import TABLES
from medproof.research.dictionary import dictionary_text
from medproof.research.export import COHORT
from scripts.local_chain import ROOT

PLACE = ROOT / "docs" / "data-dictionary.md"


def text() -> str:
    """The dictionary of the data set, and of what only exports have."""
    return dictionary_text((*TABLES.values(), COHORT))


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
