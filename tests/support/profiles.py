"""How hard property and stateful tests try: a little in every run, much more where MEDPROOF_DEEP=1 asks for it.

Every run tries the same examples, so that a change is judged by what it changed; the deep lane tries others each time.
No test fails because the machine is busy.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

DEEP = os.environ.get("MEDPROOF_DEEP") == "1"
DEEPER = 12  # how many times as many examples, of twice the steps
TINY = 10  # Hypothesis begins with at least as many examples that hardly do anything: look at what a machine takes


def load_profile() -> None:
    """Set what every test has that does not ask for something else."""
    common = {"derandomize": not DEEP, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("medproof", **common)
    settings.load_profile("medproof")


def effort(examples: int, *, steps: int | None = None) -> dict[str, Any]:
    """Hypothesis settings: so many examples after the tiny ones, for a state machine of so many steps; more when deep.

    For ``state_machine(…, settings=effort(20, steps=15))`` and for ``@settings(**effort(50))``.
    """
    chosen: dict[str, Any] = {"max_examples": TINY + examples * (DEEPER if DEEP else 1)}
    if steps is not None:
        chosen["stateful_step_count"] = steps * (2 if DEEP else 1)
    return chosen
