"""The copy without a server: whole or not there, the same bytes for the same block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medproof.errors import ExportError
from medproof.explore import Explorer, OfDataset, write_site
from medproof.explore.asking import EXAMPLES
from medproof.explore.site import ASSETS
from medproof.indexer import IndexedDeployment
from medproof.research import Dataset, write_dataset
from medproof.research.suppression import Suppression
from tests.sdk.explore.reading import Page


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def copied(explorer: Explorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "site"
    names = write_site(explorer, folder)
    assert set(names) == {path.name for path in folder.glob("*.html")}
    return folder


def test_every_link_leads_to_a_file_of_the_copy(copied: Path) -> None:
    files = content(copied)
    assert {name.partition("/")[2] for name in files if name.startswith("assets/")} == set(ASSETS)
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in reached or not name.endswith(".html"):
            continue
        reached.add(name)
        links = [link.partition(" ")[2].partition("#")[0] for link in Page(files[name].decode()).links]
        assert set(links) <= set(files), name
        waiting += links
    assert reached == {name for name in files if name.endswith(".html")}
    assert {f"cohort-{number}.html" for number in range(1, len(EXAMPLES) + 1)} <= reached
    assert len([name for name in reached if name.startswith("study-")]) == 4


def test_the_same_block_gives_the_same_bytes(copied: Path, indexed: IndexedDeployment, tmp_path: Path) -> None:
    write_dataset(indexed, tmp_path / "data")
    with Dataset.open(tmp_path / "data") as opened:
        write_site(Explorer(OfDataset(opened, suppression=Suppression())), tmp_path / "again")
    assert content(tmp_path / "again") == content(copied)


def test_a_copy_says_what_needs_a_server(copied: Path) -> None:
    for name, text in content(copied).items():
        if name.endswith(".html"):
            page = Page(text.decode())
            assert "To ask other questions, run medproof explore." in page.said
            assert not page.all("form")
            assert "hx-" not in text.decode()
            [policy] = [one["content"] for one in page.all("meta") if "http-equiv" in one]
            assert policy.startswith("default-src 'self'")
    assert re.search('<p class="size">', content(copied)["cohort-2.html"].decode())
    assert 'id="trend"' in content(copied)["cohort-2.html"].decode()


def test_what_is_there_is_not_written_over(explorer: Explorer, copied: Path, tmp_path: Path) -> None:
    before = content(copied)
    with pytest.raises(ExportError, match="is there already"):
        write_site(explorer, copied)
    assert content(copied) == before
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="is there already"):
        write_site(explorer, tmp_path / "link")


def test_who_is_stopped_leaves_nothing(explorer: Explorer, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(explorer, tmp_path / "site", progress=stop)
    assert list(tmp_path.iterdir()) == []
