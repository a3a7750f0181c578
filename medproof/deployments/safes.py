"""Who an admin is: an account, a Safe, or another contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.address import is_checksum_address

from medproof.chain import Chain
from medproof.errors import ContractError, DeploymentError, NodeError, UnknownRevertError

__all__ = ["Safe", "checked_account", "is_contract", "read_safe"]

_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": name, "inputs": [], "stateMutability": "view", "outputs": [{"name": "", "type": kind}]}
    for name, kind in (("getOwners", "address[]"), ("getThreshold", "uint256"), ("VERSION", "string"))
]
_LAST_GROUP = (1 << 16) - 1  # addresses up to here stand for groups, or for nobody
_DELEGATED = bytes.fromhex("ef0100")  # an account's code where it lends itself a contract's (EIP-7702)


@dataclass(frozen=True)
class Safe:
    """A multisig wallet, as it says of itself."""

    address: str
    owners: tuple[str, ...]
    threshold: int  # how many of them must sign
    version: str

    def __str__(self) -> str:
        """Such as "Safe 1.4.1, 2 of 3 owners"."""
        return f"Safe {self.version}, {self.threshold} of {len(self.owners)} owners"


def checked_account(address: str) -> str:
    """An account that can administer.

    Raises:
        DeploymentError: it is none.
    """
    if not is_checksum_address(address) or int(address, 16) <= _LAST_GROUP:
        raise DeploymentError(
            f"The admin {address!r:.80} is no checksummed address of an account. Copy it whole, capitals included."
        )
    return address


def is_contract(chain: Chain, address: str) -> bool:
    """Whether a contract is at an address; an account that lends itself a contract's code is still one key's."""
    code = chain.code(address)
    return bool(code) and not code.startswith(_DELEGATED)


def read_safe(chain: Chain, address: str) -> Safe | None:
    """The Safe at an address; None where what is there does not answer as one.

    Raises:
        DeploymentError: it is a Safe that cannot act: its threshold is zero, or above the number of its owners.
    """
    contract = chain.contract(address, _ABI)
    try:
        version = "".join(one for one in str(chain.call(contract, "VERSION", ()))[:20] if one.isprintable())
        threshold = int(chain.call(contract, "getThreshold", ()))
        # One that nobody set up fails when it is asked for its owners.
        owners = tuple(str(owner) for owner in chain.call(contract, "getOwners", ())) if threshold else ()
    except (ContractError, UnknownRevertError, NodeError):
        return None
    if not version:  # something else that answers whatever it is asked
        return None
    if not 1 <= threshold <= len(set(owners)):
        raise DeploymentError(
            f"The Safe at {address} takes {threshold} signatures of {len(set(owners))} owners: "
            "whoever sets it up first has it, or nobody. Set it up, and then hand over to it."
        )
    return Safe(address, owners, threshold, version)
