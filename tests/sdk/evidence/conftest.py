"""The suite on Ganache and on Anvil."""

from __future__ import annotations

from tests.sdk.indexer.conftest import anvil_suite, any_suite, on_anvil  # noqa: F401 - fixtures
