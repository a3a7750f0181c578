"""Many calls of a view function in one `eth_call`: as the creation of a contract that is never made.

The program makes the calls that stand behind it and returns their answers, one after another, in place of a new
contract's code. Any node runs it as of any block: nothing is deployed, no state is overridden. It reverts where a call
fails or answers at another length; asked by itself, that one tells why.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["most_calls", "packed"]

_LONGEST = 49_152  # bytes of a program that creates a contract, its arguments included (EIP-3860)
_LONGEST_ANSWER = 24_576  # bytes of a contract's code (EIP-170), which all answers together pass for

# For the EVM of Paris. In brackets the stack, its top last: `out`, where the next answer goes in memory, behind the
# place of one call; `at`, where the next call stands in the code.
_PROGRAM = (
    "61{size:04x} 61 0056"  # [out at] the first call stands behind this program
    "5b"  # each call comes back to here, at 6
    "61{size:04x} 81 6000 39"  # [out at] copy the call into memory
    "61{answer:04x} 82 61{size:04x} 6000 73{target} 5a fa"  # [out at ok] make it, its answer goes to `out`
    "3d 61{answer:04x} 14 16 603b 57"  # [out at] go on where it succeeded and its answer is of that length
    "6000 80 fd"  # else revert
    "5b 61{size:04x} 01"  # [out at] the next call
    "90 61{answer:04x} 01 90"  # [out at] the next answer
    "80 38 11 6006 57"  # [out at] back, while `at` lies in the code
    "50 61{size:04x} 90 03 61{size:04x} f3"  # [] return the answers
)


def packed(target: str, calls: Sequence[bytes], *, answer: int) -> bytes:
    """The data of an `eth_call` to nobody that returns what all the calls return.

    Args:
        target: the contract's address, 0x…
        calls: the data of each, all of one length; `most_calls` at most.
        answer: how many bytes each returns.
    """
    program = _PROGRAM.format(size=len(calls[0]), answer=answer, target=target[2:])
    return bytes.fromhex(program) + b"".join(calls)


def most_calls(size: int, *, answer: int) -> int:
    """How many calls of so many bytes each go together."""
    return min((_LONGEST - len(packed("0x" + "00" * 20, [b""], answer=0))) // size, _LONGEST_ANSWER // answer)
