"""Check the sources, or with ``--fix`` rewrite them in the common format: ``make lint``, ``make format``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.local_chain import NODE, ROOT, Runner

BIN = ROOT / ".venv" / "bin"
SOLIDITY = "contracts/**/*.sol"
FORMATTED = (SOLIDITY, "scripts/*.js", "medproof/*/web/*.js")


def npm_tool(path: str, *arguments: str) -> list[str]:
    """The command line of a tool below node_modules."""
    return [str(NODE), str(ROOT / "node_modules" / path), *arguments]


def typed_scripts() -> list[str]:
    """The scripts that mypy can read: Brownie, which has no types, is left out with those that import it."""
    paths = [*ROOT.glob("scripts/**/*.py"), *ROOT.glob("tests/tooling/*.py")]
    brownie = ("\nfrom brownie", "\nimport brownie")
    return sorted(
        str(path.relative_to(ROOT))
        for path in paths
        if not any(start in path.read_text(encoding="utf-8") for start in brownie)
    )


def checks() -> dict[str, list[str]]:
    """Each check's name and command."""
    return {
        "ruff": [str(BIN / "ruff"), "check"],
        "ruff format": [str(BIN / "ruff"), "format", "--check"],
        "mypy": [str(BIN / "mypy")],
        "mypy scripts": [str(BIN / "mypy"), "--strict", "--explicit-package-bases", *typed_scripts()],
        "solhint": npm_tool("solhint/solhint.js", "--disc", "--noPoster", "--max-warnings", "0", SOLIDITY),
        "prettier": npm_tool("prettier/bin/prettier.cjs", "--check", *FORMATTED),
    }


def fixes() -> dict[str, list[str]]:
    """Each formatter's name and command."""
    return {
        "ruff": [str(BIN / "ruff"), "check", "--fix"],
        "ruff format": [str(BIN / "ruff"), "format"],
        "prettier": npm_tool("prettier/bin/prettier.cjs", "--write", "--log-level", "warn", *FORMATTED),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run them all, then say which failed."""
    parser = argparse.ArgumentParser(description="Check the sources.")
    parser.add_argument("--fix", action="store_true", help="rewrite them in the common format instead")
    options = parser.parse_args(argv)

    failed = []
    with Runner() as runner:
        for name, command in (fixes() if options.fix else checks()).items():
            print(f"== {name}", flush=True)
            if runner.run(command) != 0:
                failed.append(name)
            if runner.received is not None:
                return 128 + runner.received
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
