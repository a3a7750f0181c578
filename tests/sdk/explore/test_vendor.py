"""What the package ships of others' work is what npm has, and its licences are with it."""

from __future__ import annotations

import json

import pytest

from medproof.explore.site import ASSETS, asset
from scripts.local_chain import ROOT
from scripts.vendor import FILES, VENDOR


@pytest.mark.parametrize("name", FILES)
def test_a_copy_is_the_same_bytes(name: str) -> None:
    assert (VENDOR / name).read_bytes() == (ROOT / "node_modules" / FILES[name]).read_bytes()


def test_there_are_no_others_and_all_are_served() -> None:
    assert {path.name for path in VENDOR.iterdir() if path.name != "__pycache__"} == set(FILES)
    assert set(FILES) <= set(ASSETS)
    assert all(asset(name) for name in ASSETS)


def test_versions_are_pinned_and_licences_go_with_them() -> None:
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    for source in FILES.values():
        package = "/".join(source.split("/")[: 2 if source.startswith("@") else 1])
        assert pinned[package][0].isdigit()
        assert f"{package}/LICENSE" in FILES.values()
