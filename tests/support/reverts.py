"""One way to assert that a contract reverts with one of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from brownie.exceptions import VirtualMachineError


@contextmanager
def reverts(error: str, *arguments: Any) -> Iterator[None]:
    """Assert that the block reverts with this error and exactly these arguments."""
    with pytest.raises(VirtualMachineError) as caught:
        yield
    expected = f"{error}: {', '.join(_as_brownie_prints(value) for value in arguments)}"
    assert str(caught.value.revert_msg) == expected


def _as_brownie_prints(value: Any) -> str:
    # Brownie prints a typed error's arguments as Python values: addresses in lower case, bytes32 as bytes.
    if isinstance(value, str) and value.startswith("0x") and len(value) == 42:
        return value.lower()
    if isinstance(value, str) and value.startswith("0x"):
        return repr(bytes.fromhex(value[2:]))
    return value if isinstance(value, str) else repr(value) if isinstance(value, bytes) else str(value)
