"""Whether an account signed a message: a key's own signature, or one that the account's contract takes (ERC-1271)."""

from __future__ import annotations

from eth_account.messages import SignableMessage, _hash_eip191_message
from eth_keys.datatypes import Signature

from medproof.chain import Chain, UnclearAnswerError
from medproof.errors import MedProofError

__all__ = ["digest", "is_signed_by", "signer_of"]

_MAGIC = bytes.fromhex("1626ba7e")  # ERC-1271
_WALLET_ABI = [
    {
        "type": "function",
        "name": "isValidSignature",
        "stateMutability": "view",
        "inputs": [{"name": "hash", "type": "bytes32"}, {"name": "signature", "type": "bytes"}],
        "outputs": [{"name": "", "type": "bytes4"}],
    }
]
_KEY_SIGNATURE = 65  # bytes
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def digest(message: SignableMessage) -> bytes:
    """The 32 bytes that are signed."""
    return bytes(_hash_eip191_message(message))


def signer_of(hashed: bytes, signature: bytes) -> str | None:
    """The account whose key signed 32 bytes, by a signature in the one form that OpenZeppelin takes: it has no twin."""
    if len(signature) != _KEY_SIGNATURE:
        return None
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    if s > _HALF_ORDER or v not in (27, 28):
        return None
    try:
        return str(Signature(vrs=(v - 27, r, s)).recover_public_key_from_msg_hash(hashed).to_checksum_address())
    except Exception:  # the curve's backends raise what they like
        return None


def is_signed_by(chain: Chain, account: str, message: SignableMessage, signature: bytes, *, gas: int = 200_000) -> bool:
    """Whether an account signed a message.

    Args:
        chain: where a contract wallet is asked, as of the newest block.
        account: checksummed.
        message: what `TypedData.signable` gives.
        signature: 65 bytes r, s, v in the one form that OpenZeppelin takes, or whatever the account's contract takes.
        gas: the most that a contract wallet may use.

    Raises:
        UnclearAnswerError: the node does not answer.
    """
    if signer_of(digest(message), signature) == account:
        return True
    try:
        if not chain.code(account):
            return False
        wallet = chain.contract(account, _WALLET_ABI)
        answer = chain.call(wallet, "isValidSignature", [digest(message), signature], gas=gas)
        return bytes(answer) == _MAGIC
    except UnclearAnswerError:
        raise
    except MedProofError:
        return False
