"""A response as the chain keeps it: the outcome, and a commitment to all that the payer decided."""

from __future__ import annotations

from dataclasses import dataclass

from medproof.claims import disclosure
from medproof.claims.claim import ClaimOutcome, ClaimResponse

__all__ = ["AnchoredResponse", "anchored", "commitment"]


@dataclass(frozen=True, slots=True)
class AnchoredResponse:
    """What `ClaimAnchor` holds of a payer's decision."""

    outcome: ClaimOutcome
    response: bytes  # 32 bytes, the commitment

    def holds(self, response: ClaimResponse, salt: bytes) -> bool:
        """Whether this is of that response: every field of it, to the digit.

        Raises:
            SaltError: the salt is not 32 random bytes.
        """
        return anchored(response, salt) == self


def commitment(response: ClaimResponse, salt: bytes) -> bytes:
    """The 32-byte commitment to a response: the root of its salted fields (`medproof.claims.disclosure`).

    Raises:
        SaltError: the salt is not 32 random bytes.
    """
    return disclosure.commit(response, salt)


def anchored(response: ClaimResponse, salt: bytes) -> AnchoredResponse:
    """A response as the payer anchors it, and as whoever was sent it compares it with the chain.

    Raises:
        SaltError: the salt is not 32 random bytes.
    """
    return AnchoredResponse(response.outcome, commitment(response, salt))
