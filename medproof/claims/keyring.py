"""The consortium's keys for nullifiers: which one counts for a day of service, how they rotate, and when one is lost.

Each version of the key says the first DATE OF SERVICE that it is for; it counts until the next version's. So a service
has one nullifier, whoever computes it and whenever, and:

- to **rotate**, the consortium adds a version from a day ahead: nothing that was billed changes its nullifier;
- to **replace** a key that others learned, it adds a version with the lost one's first day, which counts in its place.
  The nullifiers of its services then change, once: `rekeyed` lists the old and the new one of each claim that still
  counts, and until a service is too old to be billed `former_nullifiers` says what else to look for on the chain. The
  list links old to new: like the keys it is for the consortium alone.

The file is JSON in ASCII, for its owner alone, and the same for all of the consortium, names included::

    {"kind": "medproof-nullifier-keys", "version": 1,
     "keys": [{"number": 1, "from": "0001-01-01", "secret": "<64 hexadecimal digits>"}, …],
     "names": {"systems": {"<given>": "<agreed>"}, "billing": ["<system>", …],
               "identifiers": [{"given": {"system": "…", "value": "…"}, "agreed": {"system": "…", "value": "…"}}, …]}}
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from medproof import hashing
from medproof.claims.claim import Claim
from medproof.claims.names import Names
from medproof.claims.nullifier import claim_nullifier, soft_key
from medproof.errors import JsonError, KeystoreError, NullifierKeyError
from medproof.key_file import read_key_file, rewriting

__all__ = ["KeyVersion", "Keyring"]

_KIND, _VERSION = "medproof-nullifier-keys", 1
_MEMBERS = {"kind", "version", "keys", "names"}
_LENGTH = 32  # bytes in a key
_LONGEST_FILE = 1 << 26  # bytes
_AROUND_THE_WORLD = timedelta(days=2)  # that a day is ahead of another's: UTC+14 and UTC-12 are 26 hours apart


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """A key, and the services that it is for."""

    number: int  # from 1, in the order they were made
    first_day: date  # the first date of service
    secret: bytes = field(repr=False)  # 32 random bytes that only the consortium knows

    @classmethod
    def create(cls, number: int, first_day: date) -> KeyVersion:
        """A new random key."""
        return cls(number, first_day, secrets.token_bytes(_LENGTH))


@dataclass(frozen=True)
class Keyring:
    """All versions of the key, and the names that all who hold it agreed on."""

    versions: tuple[KeyVersion, ...]  # in order of their numbers
    names: Names = field(default_factory=Names)

    def __post_init__(self) -> None:
        """Refuse versions that leave a doubt.

        Raises:
            NullifierKeyError: there are none, they are not numbered from 1, two share a key, a key is none, or one
                begins among the days of another.
        """
        if [version.number for version in self.versions] != list(range(1, len(self.versions) + 1)) or not self.versions:
            raise NullifierKeyError("The versions are not numbered 1, 2, … in order. Keep every version that was used.")
        if any(len(version.secret) != _LENGTH or not any(version.secret) for version in self.versions):
            raise NullifierKeyError(f"A key has {_LENGTH} random bytes. Make one with Keyring.create.")
        if len({version.secret for version in self.versions}) != len(self.versions):
            raise NullifierKeyError("Two versions share one key. Make each with Keyring.create, rotated or replaced.")
        days: set[date] = set()
        for version in self.versions:
            if days and version.first_day <= max(days) and version.first_day not in days:
                raise NullifierKeyError(
                    f"Version {version.number} begins on {version.first_day}, among the days of an earlier one, whose "
                    "nullifiers it would change unseen. Give it that one's first day, or a later one than all have."
                )
            days.add(version.first_day)

    @classmethod
    def create(cls, *, first_day: date = date.min, names: Names | None = None) -> Keyring:
        """A keyring with a new key, for services of every day unless a first one is given."""
        return cls((KeyVersion.create(1, first_day),), names or Names())

    def rotated(self, first_day: date, *, today: date) -> Keyring:
        """The keyring with a new key for services from a day ahead.

        Raises:
            NullifierKeyError: the day has come somewhere, or an earlier rotation is still ahead of it: services of that
                day may have been billed under another key.
        """
        latest = max(today + _AROUND_THE_WORLD, *(version.first_day for version in self.versions))
        if first_day <= latest:
            raise NullifierKeyError(
                f"A new key cannot count from {first_day}: services until {latest} may be billed under another one. "
                "Give a later day, or use replaced() where a key is known to others."
            )
        return Keyring((*self.versions, KeyVersion.create(len(self.versions) + 1, first_day)), self.names)

    def replaced(self, number: int) -> Keyring:
        """The keyring with a new key in place of one that others learned, for the same days.

        Raises:
            NullifierKeyError: there is no such version.
        """
        lost = next((version for version in self.versions if version.number == number), None)
        if lost is None:
            raise NullifierKeyError(f"There is no version {number}. Known are 1 to {len(self.versions)}.")
        return Keyring((*self.versions, KeyVersion.create(len(self.versions) + 1, lost.first_day)), self.names)

    def version(self, day: date) -> KeyVersion:
        """The version that counts for services of a day.

        Raises:
            NullifierKeyError: none does.
        """
        return self._versions(day)[0]

    def nullifier(self, claim: Claim, *, registered: str | None = None) -> bytes:
        """The hard nullifier of a claim; `medproof.claims.nullifier.claim_nullifier` says what it reads and raises."""
        return claim_nullifier(claim, self.version(claim.start).secret, names=self.names, registered=registered)

    def soft_key(self, claim: Claim) -> bytes:
        """The soft key of a claim; `medproof.claims.nullifier.soft_key` says what it reads and raises."""
        return soft_key(claim, self.version(claim.start).secret, names=self.names)

    def gave(self, claim: Claim, nullifier: bytes, soft: bytes, *, registered: str | None = None) -> bool:
        """Whether a claim has these two keys, under the version for its day or one that was replaced since.

        A payer makes sure before it approves: the contract takes whatever 32 bytes a provider gives.

        Raises:
            ClaimElementError, NullifierKeyError: the keys of the claim cannot be computed.
        """
        return any(
            claim_nullifier(claim, version.secret, names=self.names, registered=registered) == nullifier
            and soft_key(claim, version.secret, names=self.names) == soft
            for version in self._versions(claim.start)
        )

    def former_nullifiers(self, claim: Claim, *, registered: str | None = None) -> tuple[bytes, ...]:
        """The nullifiers that a service had before keys were replaced, newest first.

        Whoever submits or pays a claim makes sure that none of them is held: the contract sees only the new one.
        """
        return tuple(
            claim_nullifier(claim, version.secret, names=self.names, registered=registered)
            for version in self._versions(claim.start)[1:]
        )

    def rekeyed(self, claims: Iterable[Claim], *, registered: Sequence[str | None] = ()) -> dict[bytes, bytes]:
        """Old nullifier to new one, of every claim whose key was replaced. For the consortium's eyes alone.

        Args:
            claims: those that still hold a nullifier.
            registered: what each was registered under, where it is not the claim's own.
        """
        listed = {}
        for index, claim in enumerate(claims):
            under = registered[index] if index < len(registered) else None
            new = self.nullifier(claim, registered=under)
            listed.update(dict.fromkeys(self.former_nullifiers(claim, registered=under), new))
        return listed

    def _versions(self, day: date) -> list[KeyVersion]:
        """Those that are or were for services of a day, newest first."""
        begun = [version.first_day for version in self.versions if version.first_day <= day]
        if not begun:
            first = min(version.first_day for version in self.versions)
            raise NullifierKeyError(f"No key is for services before {first}. Make the keyring from an earlier day.")
        return [version for version in reversed(self.versions) if version.first_day == max(begun)]

    # -- the file -----------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read a keyring's file.

        Raises:
            NullifierKeyError: it cannot be read, others may read it, or it is no such file; no message shows a key.
        """
        try:
            said: Any = hashing.parse(read_key_file(path, limit=_LONGEST_FILE))
            if (said["kind"], said["version"]) != (_KIND, _VERSION) or set(said) != _MEMBERS:
                raise ValueError
            names = Names.from_json(said["names"])
            versions = tuple(
                KeyVersion(one["number"], date.fromisoformat(one["from"]), bytes.fromhex(one["secret"]))
                for one in said["keys"]
            )
        except KeystoreError as error:
            raise NullifierKeyError(str(error)) from None
        except (JsonError, ValueError, TypeError, LookupError, AttributeError):
            raise NullifierKeyError(
                f"The file {path} is no keyring for nullifiers. Name one that Keyring.save wrote."
            ) from None
        return cls(versions, names)

    def save(self, path: Path, *, new: bool = False) -> None:
        """Write the keyring's file, for its owner alone: whole or not at all.

        A file that is there may only be followed: the keys it holds must be where this keyring begins. Names may
        change, and with them the nullifiers of those whom they speak of: agree on them before these are billed.

        Raises:
            NullifierKeyError: it cannot be written, or holds other keys; with `new`, it is there already.
        """
        keys = [
            {"number": one.number, "from": one.first_day.isoformat(), "secret": one.secret.hex()}
            for one in self.versions
        ]
        try:
            with rewriting(path, new=new) as file:
                if path.exists():
                    kept = Keyring.load(path).versions
                    if self.versions[: len(kept)] != kept:
                        raise NullifierKeyError(f"The file {path} holds other keys. Name another file.")
                said = {"kind": _KIND, "version": _VERSION, "keys": keys, "names": self.names.to_json()}
                file.write(json.dumps(said, indent=1) + "\n")
        except KeystoreError as error:
            raise NullifierKeyError(str(error)) from None
