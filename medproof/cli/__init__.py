"""The command line, `medproof`; docs/cli.md describes it."""

from __future__ import annotations

import sys

__all__ = ["main"]

_INTERRUPTED = 130  # as shells count a program that SIGINT ended


def main() -> None:
    """Run the command line. What it needs is read here, where Ctrl-C is heard already."""
    try:
        from medproof.cli.app import app
    except KeyboardInterrupt:
        print("Interrupted before anything was done.", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    app()
