"""Data that others wrote and that is no part of the project: the folder that MEDPROOF_DATA names, or ../shared/data."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from medproof import fhir
from scripts.local_chain import ROOT

FOLDER = Path(os.environ.get("MEDPROOF_DATA") or ROOT.parent / "shared" / "data")
SYNTHEA = FOLDER / "synthea-r4-58.zip"
X12 = FOLDER / "x12-5010-samples.zip"

needs_synthea = pytest.mark.skipif(
    not SYNTHEA.is_file(), reason=f"needs {SYNTHEA.name}: set MEDPROOF_DATA to the folder that has it"
)
needs_x12 = pytest.mark.skipif(
    not X12.is_file(), reason=f"needs {X12.name}: set MEDPROOF_DATA to the folder that has it"
)


def patients() -> Iterator[fhir.Resource]:
    """The bundle of each Synthea patient."""
    with zipfile.ZipFile(SYNTHEA) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield fhir.load(archive.read(name))
