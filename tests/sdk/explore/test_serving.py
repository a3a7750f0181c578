"""Where pages come from: an index that goes on, a data set, another application; and the command."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from medproof.cli.app import app as commands
from medproof.errors import MissingExtraError, StoreError
from medproof.explore import Explorer, OfDataset, OfIndex, create_explore_app, explore_routes
from medproof.indexer import Index, IndexedDeployment
from medproof.indexer.index import Batch, BlockHash
from medproof.policy.codes import DataClass
from medproof.research import Dataset, write_dataset
from medproof.research.suppression import Suppression
from tests.sdk.explore.reading import Page
from tests.sdk.explore.seed import CHAIN, block_hash, deployment_of, seeded, study_id, time_of
from tests.sdk.gateway.conftest import Bridge


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = seeded(tmp_path / "index.db", subjects=20)
    yield opened
    opened.close()


def run(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, str, str]:
    """A command's exit code and what it printed."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        commands(list(line))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def shown_block(explorer: Explorer) -> str:
    found = re.search(r"read up to block ([\d,]+)", Page(explorer.page("", ()).text.decode()).said)
    assert found is not None
    return found[1].replace(",", "")


def test_an_index_that_goes_on_or_back_is_read_again(index: Index) -> None:
    indexed, now = deployment_of(index), [100.0]
    explorer = Explorer(OfIndex(indexed, suppression=Suppression(), clock=lambda: now[0]))
    first = explorer.page("", ())
    last = indexed.block
    assert shown_block(explorer) == str(last)
    after = BlockHash(last + 5, block_hash(last + 5), time_of(last + 5))
    indexed.append(Batch(last + 1, after, {}, [], [], []))
    assert explorer.page("", ()) is first  # not asked again at once
    now[0] += 60
    assert shown_block(explorer) == str(last + 5)
    assert explorer.page("", ()).tag != first.tag
    indexed.roll_back(last)
    now[0] += 60
    assert shown_block(explorer) == str(last)
    assert explorer.page("", ()).tag == first.tag
    assert explorer.page("", ()).text == first.text
    explorer.close()


def test_what_the_reader_has_is_not_made_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Explorer(OfDataset(dataset, suppression=Suppression()))
    http = httpx.Client(transport=Bridge(create_explore_app(fresh)), base_url="http://127.0.0.1")
    tag = fresh.tag("coverage", ())
    monkeypatch.setattr(Explorer, "page", lambda *_: pytest.fail("it was made"))
    answer = http.get("/coverage", headers={"If-None-Match": f'W/"0", "{tag}"'})
    assert (answer.status_code, answer.headers["etag"]) == (304, f'"{tag}"')


def test_many_readers_at_once_get_what_one_would(dataset: Dataset) -> None:
    asked = [("cohort", (("purpose", "HRESCH"), ("class", one.code))) for one in DataClass] + [("parties", ())] * 10
    alone, together = (Explorer(OfDataset(dataset, suppression=Suppression())) for _ in range(2))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: together.page(*one).text, asked))
    assert found == [alone.page(*one).text for one in asked]


def test_another_application_has_the_pages_below_a_path(explorer: Explorer) -> None:
    other = FastAPI(redirect_slashes=False)
    other.include_router(explore_routes(explorer))
    http = httpx.Client(transport=Bridge(other), base_url="http://127.0.0.1")
    moved = http.get("/explore")
    assert (moved.status_code, moved.headers["location"]) == (308, "explore/")
    for path in ("/explore/", "/explore/coverage", "/explore/assets/explore.js"):
        assert http.get(path).status_code == 200
    assert http.get("/explore/").text == explorer.page("", ()).text.decode()
    assert http.get("/explore/a/b").status_code == 404
    assert '"../"' not in http.get("/explore/nope").text
    assert 'href=".././"' in http.get("/explore/a/b").text
    assert http.get("/elsewhere").headers["content-type"] == "application/json"
    assert "/explore" not in json.dumps(other.openapi())


def test_a_registry_that_cannot_be_read_is_said(index: Index) -> None:
    class Failing(OfIndex):
        def registry(self):  # type: ignore[no-untyped-def]
            if self.failing:
                raise self.failing
            return super().registry()

        failing: Exception | None = None

    source = Failing(deployment_of(index), suppression=Suppression())
    app = create_explore_app(Explorer(source))
    http = httpx.Client(transport=Bridge(app), base_url="http://127.0.0.1")
    source.failing = StoreError("postgresql://user:secret@host: it does not answer.")
    answer = http.get("/")
    assert answer.status_code == 503
    assert "Try again in a minute" in answer.text
    assert "secret" not in answer.text
    source.failing = ZeroDivisionError("secret")
    answer = httpx.Client(transport=Quiet(app), base_url="http://127.0.0.1").get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    source.close()


class Quiet(Bridge):
    """The same, where a failure is answered and not raised."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app)
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False)


def test_small_counts_are_shown_where_it_is_said_why(dataset: Dataset) -> None:
    said = "private work at the registry's own office"
    shown = Explorer(OfDataset(dataset, suppression=Suppression(off=said)))
    text = Page(shown.page("coverage", ()).text.decode()).said
    assert said in text
    assert "fewer than" not in text


def test_another_threshold_counts(dataset: Dataset) -> None:
    shown = Explorer(OfDataset(dataset, suppression=Suppression(threshold=100_000)))
    text = Page(shown.page("", ()).text.decode()).said
    assert "fewer than 100000" in text
    assert "Counts of 1 to 99999 people are not shown." in text


@pytest.mark.parametrize("source", ["--index", "--dataset"])
def test_the_command_writes_a_copy(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    place = tmp_path / "index.db"
    if source == "--dataset":
        place = tmp_path / "data"
        write_dataset(deployment_of(index), place)
    code, out, err = run(capsys, "explore", source, str(place), "--export", str(tmp_path / "site"), "--json")
    assert (code, err) == (0, "")
    assert "index.html" in json.loads(out)["pages"]
    assert (tmp_path / "site" / "index.html").is_file()
    code, _, err = run(capsys, "explore", source, str(place), "--export", str(tmp_path / "site"))
    assert code == 2
    assert "is there already" in err


def test_the_command_refuses_what_is_no_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], index: Index
) -> None:
    wrong = {
        (): "--index is missing",
        ("--index", str(tmp_path / "nowhere.db")): "not there",
        ("--dataset", str(tmp_path)): "no whole data set",
        ("--index", str(tmp_path / "index.db"), "--chain", "5"): str(CHAIN),
        ("--index", str(tmp_path / "index.db"), "--threshold", "1"): "threshold",
        ("--index", str(tmp_path / "index.db"), "--no-suppression", "x"): "reason",
    }
    for options, said in wrong.items():
        code, _, err = run(capsys, "explore", *options, "--export", str(tmp_path / "site"))
        assert (code, said in err) == (2, True), err
        assert not (tmp_path / "site").exists()


def test_the_command_and_the_program_of_a_page_count_the_same(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = Explorer(OfIndex(deployment_of(index), suppression=Suppression(off="only in a test")))
    everybody = (("class", "laboratory"), ("purpose", "HRESCH"), ("research", "DS"), ("sensitivity", "NONE_LABELLED"))
    asked = (
        (*everybody, *(("research", name) for name in ("IRB", "NCU", "NPU", "PUB")), ("action", "access")),
        (*everybody, ("kind", "provider"), ("group", "3"), ("at", "2026-03-01"), ("data-from", "2020-01-01")),
        (("purpose", "TREAT"), ("class", "note"), ("moment", "2026-01-01"), ("block", "15000"), ("action", "use")),
        (("purpose", "TREAT"), ("class", "note"), ("study", study_id(1)), ("kind", "provider"), ("action", "use")),
    )
    for pairs in asked:
        html = shown.page("cohort", pairs).text.decode()
        page = Page(html)
        found = re.search(r'<p class="size"><data value="(\d+)"', html)
        assert found is not None
        snippets = dict(re.findall(r'<code id="(command|python)">(.*?)</code>', html, re.DOTALL))
        command = Page(f"<p>{snippets['command']}</p>").text.replace("\\\n", " ").split()
        code, out, err = run(capsys, *command[1:], "--no-suppression", "only in a test", "--json")
        assert (code, err) == (0, "")
        assert str(json.loads(out)["subjects"]) == found[1], out
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(Page(f"<p>{snippets['python']}</p>").text, {})
        assert said.getvalue().strip() == found[1]
        assert page.title
    shown.close()


def test_an_indexed_deployment_is_closed_with_its_explorer(indexed: IndexedDeployment) -> None:
    source = OfIndex(indexed, suppression=Suppression())
    explorer = Explorer(source)
    explorer.close()
    assert explorer.page("evidence", ()).status == 200  # opened again
    explorer.close()


def test_the_pages_without_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("medproof.explore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[research\]'"):
        importlib.import_module("medproof.explore")
