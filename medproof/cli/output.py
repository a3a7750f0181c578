"""What commands print: for people by Rich, as CSV, or as one JSON document; errors on standard error, likewise."""

from __future__ import annotations

import csv
import json
import os
import re
import secrets
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from medproof.errors import (
    ConfirmationTimeoutError,
    ContractError,
    DeploymentError,
    ExternalSignerError,
    FeesTooHighError,
    GatekeeperRefusalError,
    MedProofError,
    NodeError,
    OptionError,
    PublicationError,
    SenderFundsError,
    TransactionFailedError,
    UnknownRevertError,
    WrongChainError,
)
from medproof.hashing import Json

__all__ = [
    "ANSWER_NO",
    "BAD_INPUT",
    "CHAIN_TROUBLE",
    "INTERRUPTED",
    "REFUSED",
    "Output",
    "code_of",
    "harmless",
    "refuse_existing",
    "tell_error",
]

# Exit codes; docs/cli.md lists them.
ANSWER_NO = 1  # the command did its work, and the answer is no
BAD_INPUT = 2
CHAIN_TROUBLE = 3
REFUSED = 4  # by a contract or a gatekeeper
INTERRUPTED = 130

_TROUBLE = (
    NodeError,
    WrongChainError,
    DeploymentError,
    TransactionFailedError,
    ConfirmationTimeoutError,
    UnknownRevertError,
    SenderFundsError,
    FeesTooHighError,
    GatekeeperRefusalError,
    ExternalSignerError,
    PublicationError,
)
_REFUSALS = range(400, 429)  # a gatekeeper's, of what was asked for; its others are for the moment
_BETWEEN = 3  # characters that a table puts between columns
_HEAD = 4096  # bytes of a file that tell what it is
_SECRET = (  # what stands in files whose loss nobody can mend: cases, prescriptions, studies, keys
    b'"medproof-claim-case"',
    b'"medproof-encryption-keys"',
    b'"medproof-nullifier-keys"',
    b'"medproof-prescription"',
    b'"medproof-study"',
    b'"medproof-study-result"',
    b'"kdfparams"',
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # with these, a cell of a spreadsheet may begin to act
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?|-", re.ASCII)
_ENDLESS = 100_000  # characters of a line in a file or a pipe, which have no width
_Item = TypeVar("_Item")


def code_of(error: MedProofError) -> int:
    """The exit code for an error."""
    if isinstance(error, ContractError) or (isinstance(error, GatekeeperRefusalError) and error.status in _REFUSALS):
        return REFUSED
    return CHAIN_TROUBLE if isinstance(error, _TROUBLE) else BAD_INPUT


def tell_error(name: str, message: str, code: int, *, as_json: bool) -> None:
    """Say on standard error what went wrong."""
    if as_json:
        print(json.dumps({"error": name, "message": message, "code": code}, ensure_ascii=False), file=sys.stderr)
    else:
        _console(stderr=True).print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)


class Output:
    """Where a command's result goes."""

    def __init__(self, *, as_json: bool, as_csv: bool = False) -> None:
        """Print for people, or one JSON document, or of tables alone their values separated by commas."""
        self.as_json, self.as_csv = as_json, as_csv
        self._out = _console(stderr=False)
        self._aside = _console(stderr=True)

    def document(self, content: Json) -> None:
        """Print the JSON document, where one is wanted."""
        if self.as_json:
            self.raw(content)

    def raw(self, content: Json) -> None:
        """Print JSON, whoever reads it."""
        print(json.dumps(content, indent=2, ensure_ascii=False))

    def line(self, content: Json) -> None:
        """Print a JSON document on one line, where one is wanted: for work that goes on."""
        if self.as_json:
            print(json.dumps(content, ensure_ascii=False), flush=True)

    def say(self, text: str, *, style: str = "") -> None:
        """Print a sentence for people."""
        if not self.as_json and not self.as_csv:
            self._out.print(Text(text, style=style), soft_wrap=not self._out.is_terminal)

    def aside(self, text: str) -> None:
        """Print a sentence for people on standard error, where standard output is kept for a result."""
        if not self.as_json:
            self._aside.print(Text(text), soft_wrap=not self._aside.is_terminal)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
        """Print a table for people, or a sentence where it is empty; or as CSV, its head at least."""
        found = [tuple(row) for row in rows]
        if self.as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows([_no_formula(cell) for cell in row] for row in (columns, *found))
        elif not found:
            self.say(empty)
        elif not self.as_json:
            self._show(columns, found)

    def _show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table where its words have room, else a block of lines for each row: no address is ever broken."""
        shown = Table(show_edge=False, header_style="bold")
        least = 0
        for name, *cells in zip(columns, *rows, strict=True):
            whole = not any(" " in cell for cell in cells)
            width = max([len(name)] * whole + [_longest_word(text) for text in (name, *cells)])
            shown.add_column(name, min_width=width, no_wrap=whole)
            least += width + _BETWEEN
        if least > self._out.width:
            for number, row in enumerate(rows):
                self._block(columns, row, apart=number > 0)
            return
        for row in rows:
            shown.add_row(*(Text(cell) for cell in row))
        self._out.print(shown)

    def _block(self, columns: Sequence[str], row: Sequence[str], *, apart: bool) -> None:
        """One row, a line for each column; a long text goes on below itself."""
        if apart:
            self._out.print()
        indent = max(map(len, columns)) + 2
        room = max(self._out.width - indent, 20)
        for name, cell in zip(columns, row, strict=True):
            lines = textwrap.wrap(cell, room, break_long_words=False, break_on_hyphens=False)
            text = ("\n" + " " * indent).join(lines)
            self._out.print(Text.assemble((name.ljust(indent), "bold"), text), soft_wrap=True)

    def each(self, items: Sequence[_Item], doing: str) -> Iterator[_Item]:
        """Go through items with a progress bar, where somebody watches."""
        with self.progress(doing, len(items)) as advance:
            for done, item in enumerate(items, start=1):
                yield item
                advance(done)

    @contextmanager
    def progress(self, doing: str, total: int) -> Iterator[Callable[[int], None]]:
        """A progress bar, which is gone when the work is done; called with how much is done."""
        with self._bar() as bar:
            task = bar.add_task(doing, total=total)
            yield lambda done: bar.update(task, completed=done)

    @contextmanager
    def counting(self, doing: str, what: str) -> Iterator[Callable[[int], None]]:
        """A line that counts where nobody knows how many there will be; called with how many of `what` are done."""
        with self._bar(TextColumn("{task.fields[counted]}")) as bar:
            task = bar.add_task(doing, total=None, counted="")
            yield lambda done: bar.update(task, completed=done, counted=f"{done:,} {what}")

    @contextmanager
    def rate(self, doing: str, what: str) -> Iterator[Callable[[int, int, int], None]]:
        """A progress bar with a rate and the time left; called with how much is done, of how much, and how many of
        `what` that was."""
        with self._bar(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()) as bar:
            task, start = bar.add_task(doing, total=None, rate=""), time.monotonic()

            def show(done: int, total: int, counted: int) -> None:
                rate = f"{counted / max(time.monotonic() - start, 0.001):,.0f} {what}/s"
                bar.update(task, completed=done, total=total, rate=rate)

            yield show

    def _bar(self, *further: ProgressColumn) -> Progress:
        """A bar on standard error that is gone when the work is done, and shown where somebody watches."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *further)
        hidden = self.as_json or not self._aside.is_terminal
        return Progress(*columns, console=self._aside, transient=True, disable=hidden)

    def confirm(self, question: str) -> None:
        """Ask on standard error, and go on only on a yes.

        Raises:
            OptionError: nobody says yes.
        """
        if self.as_json:
            raise OptionError("--yes", "is missing, and with --json nobody is asked", "Nothing was signed or sent.")
        self._aside.print(Text(f"{question} [y/N] "), end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise OptionError("--yes", "is not given, and nobody said yes", "Nothing was signed or sent.")

    def keep(self, path: Path, secret: str) -> None:
        """Write a secret to a new file that only its owner reads: whole, or not at all.

        Raises:
            OptionError: there is something of this name.
        """
        refuse_existing(path)
        try:
            path.touch(mode=0o600, exist_ok=False)  # nobody else gets the name meanwhile
        except FileExistsError:
            refuse_existing(path)
            raise
        try:
            self.write(path, secret)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def write(self, path: Path, content: str | bytes | Iterable[bytes]) -> None:
        """Write a file that only its owner reads: whole, or not at all; a text ends with a new line.

        Raises:
            OptionError: there is a folder of this name, or a file with salts or keys.
        """
        if path.is_dir():
            raise OptionError(str(path), "is a folder", "Name a file.")
        if path.is_file():
            with path.open("rb") as there:
                head = there.read(_HEAD)
            if any(one in head for one in _SECRET):
                raise OptionError(str(path), "holds salts or keys", "Name another file: no secret is ever overwritten.")
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                if isinstance(content, str):
                    content = f"{content}\n".encode()
                file.writelines([content] if isinstance(content, bytes) else content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def harmless(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def refuse_existing(path: Path) -> None:
    """Refuse a name that is taken, before anybody is asked for anything.

    Raises:
        OptionError: it is; dangling links count.
    """
    if path.exists() or path.is_symlink():
        raise OptionError(str(path), "is there already", "Name a new file: no secret is ever overwritten.")


def _no_formula(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, by a quote before it, as OWASP advises ("CSV Injection")."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _console(*, stderr: bool) -> Console:
    # Made when it is needed: standard output may have been replaced since.
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:  # a file or a pipe: each row of a table is one line there
        console.width = _ENDLESS
    return console
