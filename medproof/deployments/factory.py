"""The factory through which contracts are created at addresses that are known before (CREATE2, EIP-1014).

It is the deterministic deployment proxy that stands at one address on most public chains: what is sent to it is a salt
and a contract's creation code. Where it does not stand, the same code is deployed (docs/decisions/0032).
"""

from __future__ import annotations

import re
import secrets

import rlp
from eth_utils.address import is_checksum_address, to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.errors import DeploymentError

__all__ = ["CREATION", "FACTORY", "checked_salt", "contract_address", "create2_address", "new_salt", "stands"]

FACTORY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Where the deterministic deployment proxy stands on most public chains."""
_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
CREATION = "0x604580600e600039806000f350fe" + _CODE.hex()
"""What creates another one."""
_SALT = re.compile("0x[0-9a-f]{64}")


def stands(chain: Chain, address: str) -> bool:
    """Whether the factory is at an address.

    Raises:
        DeploymentError: something else is there, or the address is none.
    """
    if not is_checksum_address(address):
        raise DeploymentError(
            f"The factory {address!r:.80} is no checksummed address. Copy it whole, capitals included."
        )
    code = chain.code(address)
    if code and code != _CODE:
        raise DeploymentError(
            f"The code at {address} (hash 0x{keccak(code).hex()}) is not the deterministic deployment proxy's. "
            "Name the address of one that is (factory)."
        )
    return bool(code)


def new_salt() -> str:
    """A salt that nobody knows before, 0x… and 64 digits."""
    return "0x" + secrets.token_hex(32)


def checked_salt(salt: str) -> str:
    """A salt as it is written into a manifest.

    Raises:
        DeploymentError: it is none.
    """
    if not isinstance(salt, str) or not _SALT.fullmatch(salt.lower()):
        raise DeploymentError(f"The salt {salt!r:.80} is none. Give 0x and 64 hexadecimal digits.")
    return salt.lower()


def create2_address(factory: str, salt: str, creation: bytes) -> str:
    """The address of what a factory creates from a salt and a contract's creation code (EIP-1014)."""
    packed = b"\xff" + to_canonical_address(factory) + bytes.fromhex(salt[2:]) + keccak(creation)
    return str(to_checksum_address(keccak(packed)[12:]))


def contract_address(sender: str, nonce: int) -> str:
    """The address of what an account creates by its transaction of this nonce."""
    return str(to_checksum_address(keccak(rlp.encode([to_canonical_address(sender), nonce]))[12:]))
