"""For all tests: how Hypothesis tries."""

from __future__ import annotations

import pytest

from tests.support.profiles import load_profile


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """After Brownie, which loads a profile of its own."""
    load_profile()
