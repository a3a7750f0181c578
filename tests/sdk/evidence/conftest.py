"""The suite on Ganache and on Anvil, and the command line."""

from __future__ import annotations

from tests.sdk.cli.conftest import here, put_together_once, run, verified  # noqa: F401 - fixtures
from tests.sdk.indexer.conftest import anvil_suite, any_suite, on_anvil  # noqa: F401 - fixtures
from tests.sdk.studies.conftest import permit, protocol, studies, study, taking_part  # noqa: F401 - fixtures
