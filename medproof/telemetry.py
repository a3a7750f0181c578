"""What a service says of its work: one line for each event, for people or as JSON, and nothing of whom it is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

__all__ = ["Event", "JsonLines", "TextLines", "log", "log_to", "silence"]


@dataclass(frozen=True)
class Event:
    """What happened, with its facts: numbers, names of errors, ids; never a subject, a word, or a person's address."""

    name: str
    facts: Mapping[str, object]

    def __str__(self) -> str:
        """As a line of text has it: the name, and name=value for each fact."""
        return " ".join([self.name, *(f"{name}={_json(value)}" for name, value in self.facts.items())])


def log(logger: logging.Logger, event: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Tell of an event."""
    logger.log(level, Event(event, facts))


class JsonLines(logging.Formatter):
    """A line of JSON for each event. Of an exception its name alone: its text may quote anything."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = record.msg if isinstance(record.msg, Event) else Event(record.getMessage(), {})
        line = {"time": when, "level": record.levelname.lower(), "event": said.name}
        return _json({**line, **said.facts, **_failure(record)})


class TextLines(logging.Formatter):
    """A line of text for each event: when, how grave, and what."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%SZ")
        said = [when, record.levelname.lower(), record.getMessage(), *_failure(record).values()]
        return " ".join(" ".join(said).splitlines())


def log_to(stream: TextIO, *, name: str, as_json: bool, silent: tuple[str, ...] = ()) -> None:
    """Write a logger's lines to a stream, and nothing of it elsewhere.

    Args:
        stream: where to.
        name: the logger, such as "medproof.gateway"; those below it are meant, too.
        as_json: whether each line is a JSON document.
        silent: other loggers that say nothing from now on, because they may quote requests.
    """
    logger = logging.getLogger(name)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    silence(*silent)


def silence(*names: str) -> None:
    """Let loggers say nothing from now on."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False


def _failure(record: logging.LogRecord) -> dict[str, str]:
    return {"failure": record.exc_info[0].__name__} if record.exc_info and record.exc_info[0] else {}


def _json(value: object) -> str:
    return json.dumps(value, default=str)
