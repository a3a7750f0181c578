"""Command lines of the package, parsed by its own parser, with nothing done."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import typer.main

from medproof.cli.app import app

__all__ = ["parsed", "shell_commands"]


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def parsed(words: Sequence[str]) -> str:
    """The command that a command line names, such as "relay run"; its options and arguments exist and have values.

    Raises:
        Exception: the parser's own: there is no such command, option or value, or one is missing.
    """
    command, rest, names = _program(), list(words), []
    context = None
    while hasattr(command, "get_command"):
        context = command.make_context(command.name, rest, parent=context)
        left = [*getattr(context, "_protected_args", ()), *context.args]
        assert left, f"{shlex.join(words)} names no command"
        found = command.get_command(context, left[0])
        assert found is not None, f"there is no command {left[0]!r} in {shlex.join(words)}"
        names.append(left[0])
        command, rest = found, left[1:]
    command.make_context(command.name, rest, parent=context)
    return " ".join(names)


def shell_commands(text: str) -> Iterator[list[str]]:
    """The `medproof …` command lines of a shell script or of a page's console sessions, each as its words."""
    lines = text.replace("\\\n", " ").splitlines()
    for line in lines:
        for part in line.replace("$(", "\n").replace(")", "\n").replace("&&", "\n").splitlines():
            stripped = part.strip().removeprefix("$ ").strip()
            if stripped.startswith("medproof "):
                yield shlex.split(stripped, comments=True)[1:]
