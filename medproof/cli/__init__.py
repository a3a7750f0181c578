"""The command line, `medproof`; docs/cli.md describes it."""

from medproof.cli.app import app, main

__all__ = ["app", "main"]
