"""What a unit of gas may cost, first and when a transaction has to be replaced."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["price", "raised"]


def price(fees: Mapping[str, int]) -> int:
    """The most that a unit of gas costs."""
    return fees["maxFeePerGas"] if "maxFeePerGas" in fees else fees["gasPrice"]


def raised(fees: Mapping[str, int], current: Mapping[str, int]) -> dict[str, int]:
    """Fees of a replacement: an eighth more, which every node takes, or what the chain asks for by now."""
    return {name: max(fee * 9 // 8 + 1, current.get(name, 0)) for name, fee in fees.items()}
