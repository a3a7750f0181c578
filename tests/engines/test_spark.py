"""The same questions on Spark, which reads the same Parquet, against the same oracles."""

from __future__ import annotations

from pathlib import Path

from ibis import BaseBackend

from medproof.indexer import IndexedDeployment
from medproof.policy.duo import StudyUse
from medproof.research import Dataset
from medproof.research.columns import TABLES
from medproof.research.periods import Every
from tests.sdk.research import engine_cases


def test_it_reads_the_hive_partitions_itself(spark: BaseBackend, folder: Path, indexed: IndexedDeployment) -> None:
    for name, table in TABLES.items():
        read = spark.read_parquet(str(folder / name))
        assert set(read.columns) == set(table.types)
    rules = spark.read_parquet(str(folder / "rules"))
    mine = rules.filter((rules.chain == indexed.chain) & (rules.authority == indexed.authority))
    counts = indexed.counts()
    assert mine.count().to_pyarrow().as_py() == counts["rules"] > 100
    assert rules.filter(rules.chain == indexed.chain + 1).count().to_pyarrow().as_py() == 0


def test_cohorts(dataset: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_cohorts(dataset, indexed, engine_cases.PARTY_QUESTIONS[::7], 60)


def test_flow_churn_and_lag(dataset: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_flow(dataset, indexed, [None, engine_cases.KIND_QUESTION], Every.DAY)


def test_sizes(dataset: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_sizes(dataset, indexed, engine_cases.PARTY_QUESTIONS[1:4], 20)


def test_coverage_and_fit(dataset: Dataset, indexed: IndexedDeployment) -> None:
    engine_cases.check_coverage(dataset, indexed, ["duo", "terms"], 200)
    engine_cases.check_fit(dataset, indexed, StudyUse(health=True), 200)
