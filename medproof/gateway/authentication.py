"""Who asks: the account that signed a request, checked against forgery, replay, age, audience and chain."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from medproof.access.promise import Promised
from medproof.chain import UnclearAnswerError
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, MessageError, UnknownCodeError
from medproof.gateway.moment import unavailable
from medproof.gateway.signature import Claims, Credentials, SignedRequest
from medproof.signatures import is_signed_by

__all__ = ["Authenticator", "Caller", "Nonces"]

_MOST_NONCES = 500_000  # remembered at once


@dataclass(frozen=True)
class Caller:
    """Who asks, and what it claims."""

    account: str  # checksummed
    claims: Claims
    signed: str  # the nonce of the signed request, 0x…: with the account, what the caller cannot disown
    promises: list[Promised] = field(default_factory=list, compare=False)  # to log the request, as far as it is served


class Authenticator:
    """Lets each signed request through once."""

    def __init__(
        self,
        suite: MedProof,
        audience: str,
        *,
        longest: int = 300,
        skew: int = 5,
        signature_gas: int = 200_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Check requests to one gatekeeper.

        What was signed before this object was made is refused, so that nothing that another process let through
        comes again.

        Args:
            suite: the suite whose chain and ConsentRegistry a signature must name.
            audience: the gatekeeper's origin.
            longest: seconds between issue and expiry at most.
            skew: seconds that a caller's clock may be ahead; requests are refused for so long after the start.
            signature_gas: the most that a contract wallet may use to check a signature.
            clock: seconds since 1970.
        """
        self.audience = audience
        self._suite, self._longest, self._skew, self._gas, self._clock = suite, longest, skew, signature_gas, clock
        self._started = math.floor(clock()) + skew
        self._nonces = Nonces()

    def check(self, authorization: str, method: str, target: str, body: bytes, claims: dict[str, str]) -> Caller:
        """Return who signed a request.

        Args:
            authorization: the header of that name; empty for none.
            method: the HTTP method.
            target: path and query, as they came.
            body: as it came.
            claims: the headers of `medproof.gateway.signature.HEADERS`, by member.

        Raises:
            GatekeeperRefusalError: nobody did, or not for this, or not now.
        """
        try:
            given = Credentials.read(authorization)
            claimed = Claims.read(claims)
        except MessageError as error:
            raise _refused("CREDENTIALS_MISSING", str(error)) from None
        except UnknownCodeError as error:
            raise GatekeeperRefusalError(400, "UNKNOWN_CODE", str(error)) from None
        now = self._clock()
        if not given.issued <= now + self._skew or given.expires <= given.issued:
            raise _refused("NOT_YET_VALID", "The request was signed for a later time. Set the clock and sign it anew.")
        if given.expires - given.issued > self._longest:
            raise _refused("LIFETIME", f"A signed request counts for at most {self._longest} seconds. Sign it anew.")
        if given.expires <= now:
            raise _refused("EXPIRED", "The signed request has expired. Sign it anew.")
        if given.issued <= self._started:
            raise _refused("BEFORE_START", "It was signed before the gatekeeper's start. Sign it anew.", after=1)
        request = SignedRequest(
            given.account, self.audience, method, target, body, claims, given.nonce, given.issued, given.expires
        )
        self._check_signature(request, given)
        if not self._nonces.take(given.account.encode() + given.nonce, given.expires, now):
            raise _refused("REPLAYED", "The signed request was used before. Sign it anew.")
        return Caller(given.account, claimed, f"0x{given.nonce.hex()}")

    def _check_signature(self, request: SignedRequest, given: Credentials) -> None:
        registry = self._suite.consent_registry
        message = request.typed_data(self._suite.chain.chain_id, registry.address).signable()
        try:
            if is_signed_by(self._suite.chain, given.account, message, given.signature, gas=self._gas):
                return
        except UnclearAnswerError as error:
            raise unavailable("The chain's node does not answer.") from error
        raise _refused(
            "SIGNATURE",
            "The signature is not the account's for this request: this method, path, query, body, claims, "
            "audience, chain and registry. Sign what is sent.",
        )


class Nonces:
    """The nonces that were used and may not be used again while their requests count."""

    def __init__(self) -> None:
        """Begin with none."""
        self._used: set[bytes] = set()
        self._expiries: list[tuple[int, bytes]] = []
        self._forgotten = 0  # up to which expiry they were forgotten: a clock that is set back revives none
        self._lock = threading.Lock()

    def take(self, nonce: bytes, expires: int, now: float) -> bool:
        """Use a nonce; False where it was used."""
        with self._lock:
            while self._expiries and self._expiries[0][0] <= now:
                self._forgotten, expired = heapq.heappop(self._expiries)
                self._used.discard(expired)
            if nonce in self._used or expires <= self._forgotten:
                return False
            if len(self._used) >= _MOST_NONCES:
                raise unavailable("Too many requests are under way.", code="BUSY")
            self._used.add(nonce)
            heapq.heappush(self._expiries, (expires, nonce))
            return True


def _refused(code: str, said: str, *, after: int | None = None) -> GatekeeperRefusalError:
    return GatekeeperRefusalError(401, code, said, retry_after=after)
