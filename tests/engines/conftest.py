"""Spark on this machine alone, and the data set as it reads it: in an environment of its own, see scripts/setup.py."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest
from ibis import BaseBackend
from pyspark.sql import SparkSession

from medproof.indexer import IndexedDeployment
from medproof.research import Dataset, write_dataset
from tests.sdk.research.registry import fill, new_index


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    index, found = new_index(tmp_path_factory.mktemp("registry") / "index.db")
    fill(found, seed=12, blocks=120)
    yield found
    index.close()


@pytest.fixture(scope="session")
def folder(indexed: IndexedDeployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data set")
    write_dataset(indexed, place)
    return place


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseBackend]:
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 8, 11 or 17, and there is no java here.")
    place = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(place),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("medproof")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield ibis.pyspark.connect(session)
    session.stop()


@pytest.fixture(scope="session")
def dataset(spark: BaseBackend, folder: Path) -> Dataset:
    return Dataset.open(folder, engine=spark)
