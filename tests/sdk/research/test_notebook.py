"""The researcher's notebook runs, on a registry played on a local chain, and says what it is committed with."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from scripts.local_chain import ROOT, LocalChain
from scripts.registry_story import OPTIONS, play

NOTEBOOK = ROOT / "docs" / "research.ipynb"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The story's index and manifest, while its chain runs; what Jupyter writes goes to a folder that is removed."""
    with LocalChain(options=OPTIONS) as local, tempfile.TemporaryDirectory(dir="/tmp") as short:
        play(local.url, tmp_path)
        monkeypatch.setenv("MEDPROOF_NETWORK", local.url)
        monkeypatch.setenv("MEDPROOF_INDEX", str(tmp_path / "index.db"))
        monkeypatch.setenv("MEDPROOF_DEPLOYMENT", str(tmp_path / "suite.json"))
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR", "TMPDIR"):
            monkeypatch.setenv(name, short)  # a socket's path is to be short
        yield tmp_path


def texts(cell: Any) -> str:
    return "".join(one["text"] for one in cell.get("outputs", ()) if one["output_type"] == "stream")


def test_the_notebook_runs_and_says_what_it_is_committed_with(registry: Path) -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(committed)
    found = copy.deepcopy(committed)
    for cell in found.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    socket = str(Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "kernel")
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=socket)  # no port is opened
    NotebookClient(found, km=manager, timeout=600, resources={"metadata": {"path": str(registry)}}).execute()
    for cell, before in zip(found.cells, committed.cells, strict=True):
        if cell.cell_type == "code":
            assert not any(one.get("name") == "stderr" for one in cell.outputs), cell.outputs
            if "varies" not in cell.metadata.get("tags", ()):
                assert texts(cell) == texts(before)
    assert "proved: 12 of 20" in "".join(map(texts, found.cells))
    [plot] = [cell for cell in found.cells if cell.get("id") == "plot"]
    assert "image/png" in plot.outputs[0].data
