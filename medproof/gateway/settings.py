"""What a custodian decides about its gatekeeper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from medproof.errors import ArgumentError
from medproof.policy.document import PolicyDocument

__all__ = ["Settings"]

_OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings:
    """How one gatekeeper works. What is not named is as strict as a small custodian needs."""

    origin: str  # where callers reach it, such as https://records.example.org: the audience that they sign for
    writers: frozenset[str] = frozenset()  # accounts of the custodian's own devices and apps, which may post records
    patients: frozenset[str] = frozenset()  # subjects whose devices may report before there is a record of them
    documents: tuple[PolicyDocument, ...] = ()  # the finer policies that are at hand
    plain_terms: frozenset[bytes] = frozenset()  # hashes of terms that are consent forms and nothing finer
    finality: int | str = 1  # blocks that must stand, the newest included; or "safe", "finalized"
    max_block_age: float | None = 300.0  # seconds after which the newest block is too old to decide by; None for any
    refresh: float = 1.0  # seconds for which a block counts as the newest without asking the node again
    queue: Path | None = None  # the file of transactions on their way; beside a store in SQLite where none is named
    batch_size: int = 256  # the most pointers that are posted together; so many do not wait
    batch_wait: float = 2.0  # seconds for which a pointer waits for others
    longest_lifetime: int = 300  # seconds for which a signed request may count
    clock_skew: int = 5  # seconds that a caller's clock may be ahead
    signature_gas: int = 200_000  # the most that a contract wallet may use to check a signature
    max_body: int = 4 * 1024 * 1024  # bytes
    max_headers: int = 16 * 1024  # bytes of path, query and headers
    account_rate: float = 50.0  # requests a second of one account, on average
    account_burst: int = 200  # requests of one account at once
    address_rate: float = 100.0  # requests a second from one address, on average
    address_burst: int = 400  # requests from one address at once
    anchor_interval: float = 600.0  # seconds between batches of the access log
    anchor_consistently: bool = True  # whether the chain checks that each batch of it only adds
    readings_log: int = 1  # number of the custodian's log of devices' readings
    most_readings: int = 500  # of one batch
    mailbox_messages: int = 1000  # of one sender that may wait in the mailbox
    mailbox_bytes: int = 256 * 1024 * 1024  # of one sender
    operators: frozenset[str] = frozenset({"127.0.0.1", "::1"})  # addresses that may read the metrics

    def __post_init__(self) -> None:
        """Refuse an origin that no caller can mean, and batches that nothing fits in.

        Raises:
            ArgumentError: it is no origin, is plain http to another machine, or is no size or time.
        """
        if self.batch_size < 1 or self.batch_wait < 0:
            raise ArgumentError("A batch has at least 1 pointer, and the wait for others is 0 or more seconds.")
        parts = urlsplit(self.origin)
        if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != self.origin:
            raise ArgumentError(
                f"{self.origin!r} is no origin. Give scheme, host and port without a path, as https://records.example.org."
            )
        if parts.scheme == "http" and parts.hostname not in _OWN_MACHINE:
            raise ArgumentError(
                f"{self.origin!r} is plain http, which is for one's own machine. Put TLS in front of it."
            )
