"""What the plain installation lacks is named with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from medproof.errors import MissingExtraError


def test_the_index_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "msgspec"
    for name in [name for name in sys.modules if name.startswith((absent, "medproof.indexer"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[index\]'"):
        importlib.import_module("medproof.indexer")
    importlib.import_module("medproof")
