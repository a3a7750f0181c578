"""The flows and the coverage on PostgreSQL; and the same expressions in the SQL of engines that are not at hand.

The cohorts are in `test_cohort`, on each of them; Spark is in tests/engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis
import pytest
import sqlglot
from ibis.expr.types import Expr

from medproof.indexer import IndexedDeployment
from medproof.policy.duo import StudyUse
from medproof.research import Dataset, Question, cohort
from medproof.research.coverage import coverage, fit
from medproof.research.flows import flow, lag, sizes
from medproof.research.periods import Every
from tests.sdk.research import engine_cases
from tests.sdk.store.postgres import LocalPostgres


@pytest.fixture(scope="module")
def on_postgres(indexed: IndexedDeployment, postgres: LocalPostgres) -> Iterator[Dataset]:
    with Dataset.of_index(indexed) as found, found.copied_to(ibis.connect(postgres.empty_database())) as copied:
        yield copied


def test_flow_churn_and_lag(on_postgres: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_flow(on_postgres, indexed, [None, engine_cases.KIND_QUESTION], Every.DAY)


def test_sizes(on_postgres: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_sizes(on_postgres, indexed, engine_cases.PARTY_QUESTIONS[1:4], 30)


def test_coverage_and_fit(on_postgres: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_coverage(on_postgres, indexed, ["class", "duo", "terms"], 70)
    engine_cases.check_fit(on_postgres, indexed, StudyUse(health=True), 70)


# -- engines that are not at hand -------------------------------------------------------------------------------------

DIALECTS = {"bigquery": "bigquery", "trino": "trino", "snowflake": "snowflake", "databricks": "databricks"}


@pytest.fixture(scope="module")
def expressions(indexed: IndexedDeployment) -> list[Expr]:
    """Every expression that is asked of an engine when everything is asked of a data set."""
    asked: list[Expr] = []
    with Dataset.of_index(indexed) as dataset, pytest.MonkeyPatch.context() as patch:
        for kind in (ibis.expr.types.Table, ibis.expr.types.Scalar):
            original = kind.to_pyarrow

            def spy(expression: Expr, *given: Any, _run: Any = original, **named: Any) -> Any:
                asked.append(expression)
                return _run(expression, *given, **named)

            patch.setattr(kind, "to_pyarrow", spy)
        party, terms = engine_cases.PARTY_QUESTIONS[0].party, 1
        question = Question(engine_cases.REQUESTS[3], party=party, terms=terms, study="0x" + "ab" * 32)
        last = dataset.block.number
        asked += [cohort(dataset, question).table, cohort(dataset, question, block=last - 1).table]
        flow(dataset, question, every=Every.WEEK, block=last - 1)
        lag(dataset, question)
        sizes(dataset, question, [last])
        for by in ("duo", "terms"):
            coverage(dataset, by)
        fit(dataset, StudyUse(health=True))
    return asked


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_question_has_its_sql_in_other_dialects(dialect: str, expressions: list[Expr]) -> None:
    assert len(expressions) > 12
    for expression in expressions:
        sql = str(ibis.to_sql(expression.unbind(), dialect=dialect))
        [parsed] = sqlglot.parse(sql, read=DIALECTS[dialect])
        assert isinstance(parsed, sqlglot.exp.Query)
