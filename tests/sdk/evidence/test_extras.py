"""What the plain installation lacks is named with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from medproof.errors import MissingExtraError


def test_evidence_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("medproof.evidence", "medproof.claims.audit", "medproof.claims.steps", "medproof.cli")
    names = [name for name in sys.modules if name.partition(".")[0] == "trie" or name.startswith(ours)]
    for parent, _, child in (name.rpartition(".") for name in names):
        if parent:  # put back with the rest: what is imported here takes its place there, too
            monkeypatch.setattr(sys.modules[parent], child, sys.modules[f"{parent}.{child}"])
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trie", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[evidence\]'"):
        importlib.import_module("medproof.evidence")
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[evidence\]'"):
        importlib.import_module("medproof.evidence.consent_file")
    importlib.import_module("medproof.cli")
