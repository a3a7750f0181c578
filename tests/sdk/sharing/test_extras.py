"""What the plain installation lacks is named with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from medproof.errors import MissingExtraError


@pytest.mark.parametrize("absent", ["cryptography", "sqlalchemy"])
def test_sharing_without_its_extra(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    parts = ("sharing", "gateway", "store", "anchoring", "access")
    ours = tuple(f"medproof.{part}" for part in parts)
    for name in [name for name in sys.modules if name.partition(".")[0] == absent or name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[gateway\]'"):
        importlib.import_module("medproof.sharing")
    importlib.import_module("medproof.cli")
