"""Who fills in the gatekeeper's pages: Sign-In with Ethereum (EIP-4361), and a session of minutes behind a cookie.

A session counts for the pages below /form and for nothing else: what a program asks is signed request by request.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from eth_account.messages import encode_defunct
from siwe import ISO8601Datetime, SiweMessage  # type: ignore[import-untyped]

from medproof.chain import UnclearAnswerError
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError
from medproof.gateway.authentication import Nonces
from medproof.gateway.moment import unavailable
from medproof.signatures import is_signed_by

__all__ = ["IDLE", "INVITATION", "Invitation", "Receipt", "Session", "Sessions"]

INVITATION = 300  # seconds in which a message is to be signed
IDLE, LONGEST = 15 * 60, 60 * 60  # seconds after its last use, and after its beginning, when a session ends
_MOST_SESSIONS = 10_000
_MOST_ANSWERS = 100  # of one session
_STATEMENT = "Sign in to post health records to this custodian. It costs nothing, and permits nobody to read records."
_TOKEN = re.compile(r"(0x[0-9a-fA-F]{40})\.([0-9a-f]{64})\.([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True)
class Invitation:
    """What an account is asked to sign; it travels in a cookie, under a key of this process."""

    account: str  # checksummed
    nonce: str  # 32 random bytes as 64 hexadecimal digits
    issued: int  # seconds since 1970
    token: str = field(repr=False)  # the cookie's value

    @property
    def expires(self) -> int:
        """Until when it may be signed, seconds since 1970."""
        return self.issued + INVITATION


@dataclass(frozen=True)
class Receipt:
    """What a page says of a record that was taken."""

    resource_type: str
    id: str
    pointer: str  # 0x…


@dataclass(eq=False)
class Session:
    """One person's minutes at the pages."""

    account: str  # checksummed
    signed: str  # the nonce of the signed message, 0x…
    began: float  # seconds since 1970
    used: float  # likewise
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _answers: OrderedDict[str, tuple[bytes, Receipt]] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def form(self) -> str:
        """A token for a form that is shown: it proves that the form is of this session, and names it."""
        name = secrets.token_hex(16)
        return f"{name}.{_mac(self._secret, name)}"

    def is_form(self, token: str) -> bool:
        """Whether a token is of a form of this session."""
        name, _, mac = token.partition(".")
        return hmac.compare_digest(_mac(self._secret, name).encode(), mac.encode("utf-8", "replace"))

    def once(self, token: str, said: bytes, act: Callable[[], Receipt]) -> Receipt:
        """Act once for a form, however often it is sent: the second time gets the answer of the first.

        Raises:
            GatekeeperRefusalError: it comes again and says something else, which would be taken for stored.
        """
        said = hashlib.sha256(said).digest()
        with self._lock:
            if token not in self._answers:
                self._answers[token] = said, act()
                while len(self._answers) > _MOST_ANSWERS:
                    self._answers.popitem(last=False)
            before, receipt = self._answers[token]
        if before != said:
            wrong = "This form was posted before, with something else in it. See that it is another, then post it."
            raise GatekeeperRefusalError(403, "FORM", wrong)
        return receipt


class Sessions:
    """The sessions of one gatekeeper, in memory: a restart ends them all."""

    def __init__(
        self, suite: MedProof, origin: str, *, signature_gas: int = 200_000, clock: Callable[[], float] = time.time
    ) -> None:
        """Let people sign in to the pages of an origin.

        Args:
            suite: the suite whose chain a message names, and where contract wallets are asked.
            origin: the gatekeeper's, such as https://records.example.org.
            signature_gas: the most that a contract wallet may use to check a signature.
            clock: seconds since 1970.
        """
        self._suite, self._origin, self._gas, self._clock = suite, origin, signature_gas, clock
        self._key = secrets.token_bytes(32)
        self._nonces = Nonces()
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = threading.Lock()

    def invite(self, account: str) -> Invitation:
        """Ask an account, checksummed, to sign in. Nothing is kept of it, so that nobody can fill the memory."""
        nonce, issued = secrets.token_hex(32), math.floor(self._clock())
        said = f"{account}.{nonce}.{issued}"
        return Invitation(account, nonce, issued, f"{said}.{_mac(self._key, said)}")

    def invitation(self, token: str) -> Invitation | None:
        """The invitation of a cookie; None where it is none of this process, or is over."""
        said, _, mac = token.rpartition(".")
        found = _TOKEN.fullmatch(said)
        if found is None or not hmac.compare_digest(_mac(self._key, said).encode(), mac.encode("utf-8", "replace")):
            return None
        invitation = Invitation(found[1], found[2], int(found[3]), token)
        return invitation if self._clock() < invitation.expires else None

    def text(self, invitation: Invitation) -> str:
        """The message to sign, as EIP-4361 has it.

        Raises:
            NodeError: the chain cannot be asked for its id.
        """
        message = SiweMessage(
            domain=urlsplit(self._origin).netloc,
            address=invitation.account,
            statement=_STATEMENT,
            uri=f"{self._origin}/form",
            version="1",
            chain_id=self._suite.chain.chain_id,
            nonce=invitation.nonce,
            issued_at=_instant(invitation.issued),
            expiration_time=_instant(invitation.expires),
        )
        return str(message.prepare_message())

    def open(self, invitation: Invitation, signature: bytes) -> str:
        """Begin a session with a signature of the invitation's message; return its id, the cookie's value.

        Raises:
            GatekeeperRefusalError: the account did not sign this message, or it was used before.
        """
        message = encode_defunct(text=self.text(invitation))
        try:
            signed = is_signed_by(self._suite.chain, invitation.account, message, signature, gas=self._gas)
        except UnclearAnswerError as error:
            raise unavailable("The chain's node does not answer.") from error
        if not signed:
            said = "The signature is not this account's for this message. Sign the message exactly as it stands."
            raise GatekeeperRefusalError(401, "SIGNATURE", said)
        now = self._clock()
        if not self._nonces.take(bytes.fromhex(invitation.nonce), invitation.expires, now):
            raise GatekeeperRefusalError(401, "REPLAYED", "The signed message was used before. Sign in anew.")
        id_ = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_name(id_)] = Session(invitation.account, f"0x{invitation.nonce}", now, now)
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return id_

    def find(self, id_: str) -> Session | None:
        """The session of a cookie, which is used by this; None where there is none, or it has ended."""
        now = self._clock()
        with self._lock:
            session = self._sessions.get(_name(id_))
            if session is None:
                return None
            if now >= min(session.used + IDLE, session.began + LONGEST):
                del self._sessions[_name(id_)]
                return None
            session.used = now
            self._sessions.move_to_end(_name(id_))
            return session

    def close(self, id_: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_name(id_), None)


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("utf-8", "replace"), "sha256").hex()


def _name(id_: str) -> bytes:
    """What a session is kept under, so that looking it up tells nothing of its id by the time it takes."""
    return hashlib.sha256(id_.encode("utf-8", "replace")).digest()


def _instant(seconds: int) -> ISO8601Datetime:
    return ISO8601Datetime.from_datetime(datetime.fromtimestamp(seconds, UTC), timespec="seconds")
