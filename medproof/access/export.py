"""A copy of an access log as text, one line of JSON an entry: what an auditor is given.

A line has the promise (custodian, log, index, commitment, due time, signature), and the entry with its salt, or that it
was erased.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from medproof import hashing
from medproof.access.entry import AccessEntry, Opening
from medproof.access.promise import Promise
from medproof.errors import AccessEntryError, JsonError, PromiseError

__all__ = ["LogLine", "read_lines"]


@dataclass(frozen=True)
class LogLine:
    """One line of a copy, as it stands there: nothing of it is checked yet."""

    promise: Promise | None  # None where it cannot be read
    opening: Opening | None  # None where it was erased, or cannot be read
    erased: bool = False

    @property
    def index(self) -> int | None:
        """The index that it claims: its entry's, or the promise's where that is gone."""
        if self.opening is not None:
            return self.opening.entry.index
        return self.promise.index if self.promise is not None else None

    def to_text(self) -> str:
        """The line, without its end."""
        if self.promise is None or (self.opening is None and not self.erased):
            raise AccessEntryError("line is no entry of an access log")
        said: dict[str, Any] = {"promise": self.promise.to_json()}
        if self.opening is None:
            said["erased"] = True
        else:
            said |= {"entry": self.opening.entry.to_json(), "salt": f"0x{self.opening.salt.hex()}"}
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def read(cls, text: bytes) -> LogLine:
        """Read what `to_text` gave; what cannot be read is None."""
        try:
            said: Any = hashing.parse(text)
            promise = Promise.from_json(said["promise"])
        except (JsonError, PromiseError, TypeError, LookupError):
            return cls(None, None)
        if set(said) == {"promise", "erased"} and said["erased"] is True:
            return cls(promise, None, erased=True)
        try:
            salt = bytes.fromhex(said["salt"][2:])
            return cls(promise, Opening(AccessEntry.from_json(said["entry"]), salt))
        except (AccessEntryError, ValueError, TypeError, LookupError):
            return cls(promise, None)


def read_lines(lines: Iterable[bytes]) -> Iterator[LogLine]:
    """Read a copy; empty lines are left out."""
    return (LogLine.read(line) for line in lines if line.strip())
