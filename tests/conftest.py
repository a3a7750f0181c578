"""For all tests: how Hypothesis tries, and a start of Brownie's that does not read every test first."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from tests.support.profiles import load_profile


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """After Brownie, which loads a profile of its own."""
    load_profile()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main() -> None:
    """Hash test files as they are: Brownie would parse each with all it imports, for `--update`, which is not used."""
    if "brownie.test" in sys.modules:
        from brownie.test.managers import base

        base._get_ast_hash = lambda path: hashlib.sha1(Path(path).read_bytes()).hexdigest()
