"""What the plain installation lacks is named with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from medproof.errors import MissingExtraError


def test_x12_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("pyx12", "medproof.x12"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyx12", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[x12\]'"):
        importlib.import_module("medproof.x12")
    importlib.import_module("medproof.cli")
    importlib.import_module("medproof.claims.matching")
