"""Lines of a log: one for each event, for programs or for people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from medproof.telemetry import log, log_to, silence

NAME = "medproof.test-of-logs"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(NAME)
    yield found
    found.handlers[:], found.propagate = [], True
    found.setLevel(logging.NOTSET)


def test_a_line_of_json(logger: logging.Logger) -> None:
    stream = io.StringIO()
    log_to(stream, name=NAME, as_json=True)
    log(logger, "read", block=7, error=None, name='a "b"\nc')
    [line] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {"level": "info", "event": "read", "block": 7, "error": None, "name": 'a "b"\nc'}


def test_a_line_of_text(logger: logging.Logger) -> None:
    stream = io.StringIO()
    log_to(stream, name=NAME, as_json=False)
    log(logger, "waiting", level=logging.WARNING, error="BusyError", said="a\nb")
    logger.info("batch %d\nof many", 3)
    first, second = stream.getvalue().splitlines()
    assert first[8:] == 'Z warning waiting error="BusyError" said="a\\nb"'
    assert second[8:] == "Z info batch 3 of many"


@pytest.mark.parametrize("as_json", [True, False])
def test_of_an_exception_its_name_alone(logger: logging.Logger, as_json: bool) -> None:
    stream = io.StringIO()
    log_to(stream, name=NAME, as_json=as_json)
    try:
        raise ValueError("Ada Lovelace")
    except ValueError:
        logger.exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "Lovelace" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_what_others_log_likewise(logger: logging.Logger) -> None:
    stream = io.StringIO()
    log_to(stream, name=NAME, as_json=True)
    logging.getLogger(f"{NAME}.below").warning("batch %d: lost", 3)
    assert json.loads(stream.getvalue())["event"] == "batch 3: lost"


def test_nothing_goes_elsewhere(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    log_to(stream, name=NAME, as_json=True)
    log_to(stream, name=NAME, as_json=True)  # a second time is no second line
    log(logger, "once")
    assert len(stream.getvalue().splitlines()) == 1
    silence(NAME)
    log(logger, "nothing", level=logging.ERROR)
    assert len(stream.getvalue().splitlines()) == 1
    assert capfd.readouterr() == ("", "")
