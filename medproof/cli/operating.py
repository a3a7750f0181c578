"""What commands that run for good share: their log, their numbers, and an orderly end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from medproof.cli.options import LogFormat, ServiceOptions
from medproof.errors import OptionError
from medproof.telemetry import log_to, silence

if TYPE_CHECKING:
    from medproof.metrics import Metrics, Pulse

__all__ = ["running", "shown"]


@contextmanager
def running(options: ServiceOptions, name: str, *, tells: bool) -> Iterator[threading.Event]:
    """A command's run until it is told to stop: its log, and an event that SIGTERM sets, as Ctrl-C ends it.

    Args:
        options: how it is seen.
        name: the logger of the work, such as "medproof.indexer".
        tells: whether the command itself tells people what happens, so that a log as text would say it twice.
    """
    logger = logging.getLogger(name)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    if options.log_format is LogFormat.JSON or not tells:
        log_to(sys.stderr, name=name, as_json=options.log_format is LogFormat.JSON)
    else:
        silence(name)
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@contextmanager
def shown(options: ServiceOptions, metrics: Metrics, pulse: Pulse) -> Iterator[None]:
    """Numbers are shown where the options say, if they do, until the end of the work.

    Raises:
        OptionError: the address cannot be listened on.
    """
    if options.place is None:
        yield
        return
    host, port = options.place
    from medproof.metrics import MetricsServer  # here, so that the others run without the extra

    try:
        server = MetricsServer(metrics, pulse, host=host, port=port)
    except OSError as error:
        rule = f"is {options.metrics!r}, which cannot be listened on ({error.strerror})"
        raise OptionError("--metrics", rule, "Name an address of this machine and a free port.") from None
    try:
        yield
    finally:
        server.close()
