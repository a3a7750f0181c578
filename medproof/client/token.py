"""An ERC-20 token: what a bounty is paid in. Amounts are integers of its unit; texts show them with its decimals."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from medproof.chain import Chain, Receipt, Sender
from medproof.errors import ContractError, NodeError, TokenError, UnknownRevertError

__all__ = ["Token"]

_MOST = 1 << 256
_MOST_DECIMALS = 77  # digits of 2^256
_LONGEST_SYMBOL = 16
_AMOUNT = re.compile(r"(\d{1,78})(?:\.(\d{1,78}))?", re.ASCII)


def _function(name: str, inputs: str, output: str, mutability: str = "view") -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "inputs": [dict(zip(("type", "name"), one.split(" "), strict=True)) for one in inputs.split(",") if one],
        "outputs": [{"type": output, "name": ""}],
        "stateMutability": mutability,
    }


# Of EIP-20, what is used here; a test compares it with OpenZeppelin's IERC20Metadata.
ABI = (
    _function("symbol", "", "string"),
    _function("decimals", "", "uint8"),
    _function("balanceOf", "address account", "uint256"),
    _function("allowance", "address owner,address spender", "uint256"),
    _function("approve", "address spender,uint256 value", "bool", "nonpayable"),
)


class Token:
    """A token at its address."""

    def __init__(self, chain: Chain, address: str) -> None:
        """Use a token of a chain."""
        self.chain, self.address = chain, address
        self._contract = chain.contract(address, ABI)

    @cached_property
    def decimals(self) -> int:
        """How many digits of an amount lie behind the point; 0 where the token does not say."""
        found = self._optional("decimals", 0)
        return found if found <= _MOST_DECIMALS else 0

    @cached_property
    def symbol(self) -> str:
        """Its short name, as it says itself, in letters and digits; its address where it has none."""
        found = str(self._optional("symbol", ""))
        return found if found.isascii() and found.isalnum() and len(found) <= _LONGEST_SYMBOL else self.address

    def balance(self, account: str, *, block: int | str = "latest") -> int:
        """What an account holds.

        Raises:
            TokenError: there is no token at this address.
        """
        return int(self._ask("balanceOf", account, block=block))

    def allowance(self, owner: str, spender: str) -> int:
        """How much of an owner's a spender may take.

        Raises:
            TokenError: there is no token at this address.
        """
        return int(self._ask("allowance", owner, spender))

    def approve(self, spender: str, amount: int, *, sender: Sender) -> Receipt:
        """Let a spender take this much, and no more; the sender is the owner."""
        return self.chain.transact(self._contract, "approve", (spender, amount), sender=sender)

    def units(self, text: str) -> int:
        """An amount as people write it, such as 12.50, as an integer of the token's unit.

        Raises:
            TokenError: it is no amount above zero, or finer than the token's unit.
        """
        found = _AMOUNT.fullmatch(text)
        part = (found[2] or "").rstrip("0") if found else ""
        amount = int(found[1] + part.ljust(self.decimals, "0")) if found and len(part) <= self.decimals else 0
        if not 0 < amount < _MOST:
            raise TokenError(self.address, f"has no amount {text!r}", f"Write 12, of {self.decimals} decimals at most")
        return amount

    def shown(self, amount: int) -> str:
        """An amount as people read it, with the token's symbol."""
        whole, part = divmod(amount, 10**self.decimals)
        text = f"{whole}.{part:0{self.decimals}}".rstrip("0").rstrip(".") if self.decimals else str(whole)
        return f"{text} {self.symbol}"

    def _ask(self, function: str, *arguments: Any, block: int | str = "latest") -> Any:
        try:
            return self.chain.call(self._contract, function, arguments, block=block)
        except (ContractError, UnknownRevertError, NodeError) as error:
            if not self.chain.code(self.address):
                raise TokenError(self.address, "is no contract", "Name the token's own address") from error
            raise

    def _optional(self, function: str, otherwise: Any) -> Any:
        """What ERC-20 leaves to a token to say."""
        try:
            return self._ask(function)
        except (ContractError, UnknownRevertError, NodeError, TokenError):
            return otherwise
