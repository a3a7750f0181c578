"""The benchmark of cohorts: its registries are drawn alike, and its oracle and the data set agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import registries
from bench.cohorts import GROUPS, QUESTIONS, counted
from medproof.research import Dataset
from medproof.research.folder import write_tables

RULES = 3_000


@pytest.fixture(scope="module")
def drawn() -> registries.Drawn:
    return registries.draw(RULES)


def test_a_registry_is_as_it_says(drawn: registries.Drawn) -> None:
    assert (drawn.until == -1).sum() == RULES
    again = registries.draw(RULES)
    assert np.array_equal(drawn.block, again.block)
    assert np.array_equal(drawn.fields["research"], again.fields["research"])
    assert drawn.fields["deny"].any()
    assert drawn.fields["revoked"].any()


def test_the_oracle_and_the_data_set_agree(drawn: registries.Drawn, tmp_path: Path) -> None:
    known, blocks = registries.about(drawn), [None, int(drawn.block[RULES // 3]), int(drawn.block[RULES])]
    write_tables(known, registries.tables(drawn, GROUPS), tmp_path)
    with Dataset.of_tables(known, registries.tables(drawn, GROUPS)) as memory, Dataset.open(tmp_path) as parquet:
        found = [counted(one, drawn, blocks, 1) for one in (memory, parquet)]
    for name in QUESTIONS:
        [one, other] = [said[name]["subjects"] for said in found]
        assert one == other
        assert max(one) > 10


def test_a_wrong_count_ends_the_benchmark(drawn: registries.Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "oracle", lambda *_: -1)
    with (
        Dataset.of_tables(registries.about(drawn), registries.tables(drawn, GROUPS)) as memory,
        pytest.raises(SystemExit, match="were counted"),
    ):
        counted(memory, drawn, [None], 1)
