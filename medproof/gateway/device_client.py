"""The device's side of a gatekeeper: send readings, and learn of each what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from medproof import hashing
from medproof.errors import GatekeeperRefusalError, JsonError
from medproof.gateway.outcome import read_outcome
from medproof.reading import Reading

__all__ = ["DeviceClient", "ReadingOutcome"]

_MOST = 500  # readings of a batch
_JSON = "application/json"


@dataclass(frozen=True)
class ReadingOutcome:
    """What became of one reading."""

    number: int
    code: str | None  # why it was refused; None where it was taken
    said: str  # the sentence to that
    id: str | None  # of the record; None where it was refused
    index: int | None  # of its leaf in the custodian's log of readings


class DeviceClient:
    """Sends the readings of devices to one gatekeeper.

    A batch whose answer was lost may be sent again, as it was or with more readings behind: it is stored once.
    """

    def __init__(self, origin: str, *, http: httpx.Client | None = None, timeout: float = 30.0) -> None:
        """Talk to a gatekeeper.

        Args:
            origin: where it is, such as https://records.example.org.
            http: another way to send; not closed here.
            timeout: seconds.
        """
        self.origin = origin.rstrip("/")
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._own = http is None

    def __enter__(self) -> DeviceClient:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what it opened."""
        if self._own:
            self._http.close()

    def send(self, readings: Sequence[Reading], *, size: int = _MOST) -> Iterator[ReadingOutcome]:
        """Send readings of one device and subject, in the order of their numbers, `size` in a batch.

        Raises:
            GatekeeperRefusalError: a batch was refused as a whole, or nobody answers; those before it were answered.
        """
        for start in range(0, len(readings), size):
            yield from self._send(readings[start : start + size])

    def _send(self, batch: Sequence[Reading]) -> list[ReadingOutcome]:
        body = hashing.canonical({"readings": [one.to_json() for one in batch]})
        url = f"{self.origin}/devices/{batch[0].device}/readings"
        try:
            answer = self._http.post(url, content=body, headers={"Content-Type": _JSON})
        except httpx.HTTPError as error:
            said = f"The gatekeeper does not answer ({type(error).__name__}). Send the batch again."
            raise GatekeeperRefusalError(503, "NO_ANSWER", said) from error
        if answer.status_code != 200:
            raise read_outcome(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        try:
            said_of: Any = hashing.parse(answer.content)
            found = [_outcome(one) for one in said_of["readings"]]
        except (JsonError, LookupError, TypeError, ValueError):
            found = []
        if [one.number for one in found] != [one.number for one in batch]:
            said = "The gatekeeper's answer is none to this batch. Check the address, then send it again."
            raise GatekeeperRefusalError(502, "UNKNOWN", said)
        return found


def _outcome(said: Any) -> ReadingOutcome:
    if said["status"] == "taken":
        return ReadingOutcome(int(said["number"]), None, "", str(said["id"]), int(said["index"]))
    details = said["outcome"]["issue"][0]["details"]
    return ReadingOutcome(int(said["number"]), str(details["coding"][0]["code"]), str(details["text"]), None, None)
