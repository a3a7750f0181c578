"""What the plain installation lacks is named with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from medproof.errors import MissingExtraError
from medproof.store import KeyRing, SqlStore


@pytest.mark.parametrize("absent", ["sqlalchemy", "alembic", "cryptography", "httpx"])
def test_the_store_without_its_extra(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == absent or name.startswith("medproof.store")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[gateway\]'") as caught:
        importlib.import_module("medproof.store")
    assert isinstance(caught.value, ImportError)
    importlib.import_module("medproof")


def test_postgres_without_its_extra(monkeypatch: pytest.MonkeyPatch, keys: KeyRing) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"medproof\[postgres\]"):
        SqlStore("postgresql://nobody@localhost/records", keys)
