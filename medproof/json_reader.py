"""Reading what others sent as JSON: member by member, each in its one form, and nothing beside."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date

from eth_utils.address import is_checksum_address

from medproof import hashing
from medproof.errors import JsonError, MedProofError
from medproof.hashing import Json

__all__ = ["JsonReader", "hex_text"]

_HEX = re.compile("0x(?:[0-9a-f]{2})*", re.ASCII)


def hex_text(value: bytes) -> str:
    """Bytes as 0x…"""
    return f"0x{value.hex()}"


class JsonReader:
    """A JSON object whose members are taken by name; what is wrong is named, and never shown."""

    def __init__(self, value: Json, error: Callable[[str, str], MedProofError], where: str = "") -> None:
        """Read an object.

        Args:
            value: the JSON value.
            error: makes the error from a member's path and what is wrong with it.
            where: the path of the object, which ends with a dot; empty for the whole.

        Raises:
            the error: it is no object.
        """
        self._error, self._where = error, where
        if not isinstance(value, dict):
            raise error(where.removesuffix("."), "is no JSON object")
        self._value, self._left = value, set(value)

    @classmethod
    def document(
        cls, text: str | bytes, error: Callable[[str, str], MedProofError], *, format: str, version: int, longest: int
    ) -> JsonReader:
        """Read a document that says its `format` and `version`.

        Args:
            text: JSON in UTF-8, of at most `longest` bytes.
            error: as above.

        Raises:
            the error: it is too long or no JSON object, or of another format or version.
        """
        if len(text) > longest:
            raise error("", f"has more than {longest} bytes")
        try:
            value = hashing.parse(text.encode("utf-8") if isinstance(text, str) else text)
        except (JsonError, UnicodeEncodeError):
            raise error("", "is no JSON text") from None
        said = cls(value, error)
        if said.text("format") != format:
            raise error("format", f"is not {format}")
        if said.number("version") != version:
            raise error("version", f"is not {version}, the one that is known here")
        return said

    def path(self, name: str) -> str:
        """The path of a member."""
        return f"{self._where}{name}"

    def wrong(self, name: str, rule: str) -> MedProofError:
        """The error that a member breaks a rule, for whoever knows more of it than its form."""
        return self._error(self.path(name).removesuffix("."), rule)

    def take(self, name: str) -> Json:
        """A member, whatever it is."""
        if name not in self._value:
            raise self._error(self.path(name), "is missing")
        self._left.discard(name)
        return self._value[name]

    def finish(self) -> None:
        """Refuse members that nobody took."""
        if self._left:
            raise self._error(self._where.removesuffix("."), "has members that are not known")

    def text(self, name: str) -> str:
        """A text."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self._error(self.path(name), "is no text")
        return value

    def line(self, name: str, most: int) -> str:
        """A text of one line that a terminal shows as it is, of 1 to `most` characters."""
        value = self.text(name)
        if not 0 < len(value) <= most or not value.isprintable() or value != value.strip():
            raise self._error(self.path(name), f"is no line of 1 to {most} characters that can be printed")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of texts, none of them twice."""
        value = self.take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._error(self.path(name), f"is no list of at most {most}")
        found = tuple(one for one in value if isinstance(one, str))
        if len(set(found)) != len(value):
            raise self._error(self.path(name), "holds what is no text, or one twice")
        return found

    def day(self, name: str) -> date:
        """A day, as 2030-01-01."""
        value = self.text(name)
        try:
            found = date.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.isoformat() != value:
            raise self._error(self.path(name), "is no day as 2030-01-01")
        return found

    def maybe_day(self, name: str) -> date | None:
        """A day, or None."""
        return None if self.take(name) is None else self.day(name)

    def number(self, name: str, *, bits: int = 64) -> int:
        """A whole number from 0 on."""
        value = self.take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
            raise self._error(self.path(name), "is no number in its range")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self._error(self.path(name), "is neither true nor false")
        return value

    def address(self, name: str) -> str:
        """A checksummed address, not zero."""
        value = self.text(name)
        if not is_checksum_address(value) or not int(value, 16):
            raise self._error(self.path(name), "is no checksummed address")
        return value

    def addresses(self, name: str, most: int) -> tuple[str, ...]:
        """A list of checksummed addresses, none of them zero or twice."""
        value = dict(zip(map(str, range(most + 1)), self.texts(name, most), strict=False))
        inner = JsonReader({**value}, self._error, f"{self.path(name)}.")
        return tuple(inner.address(place) for place in value)

    def maybe_address(self, name: str) -> str | None:
        """A checksummed address, not zero, or None."""
        return None if self.take(name) is None else self.address(name)

    def octets(self, name: str, least: int, most: int) -> bytes:
        """Bytes as 0x and small digits."""
        value = self.text(name)
        if len(value) > 2 * most + 2 or not _HEX.fullmatch(value) or len(value) < 2 * least + 2:
            raise self._error(self.path(name), "has not the form or length that it must have")
        return bytes.fromhex(value[2:])

    def hash(self, name: str) -> bytes:
        """32 bytes."""
        return self.octets(name, 32, 32)

    def maybe_hash(self, name: str) -> bytes | None:
        """32 bytes that are not all zero, or None."""
        if self.take(name) is None:
            return None
        if not any(value := self.hash(name)):
            raise self._error(self.path(name), "is zero")
        return value

    def base64(self, name: str, most: int) -> bytes:
        """Bytes in base64 (RFC 4648, 4)."""
        value = self.text(name)
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            found = b""
        if not 0 < len(found) <= most or base64.b64encode(found).decode("ascii") != value:
            raise self._error(self.path(name), "has not the form or length that it must have")
        return found

    def hashes(self, name: str, most: int) -> tuple[bytes, ...]:
        """A list of 32 bytes each."""
        return self.octet_strings(name, most, least=32, longest=32)

    def octet_strings(self, name: str, most: int, *, least: int = 1, longest: int) -> tuple[bytes, ...]:
        """A list of bytes, each from `least` to `longest`."""
        value = self.take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._error(self.path(name), f"is no list of at most {most}")
        places = {str(place): item for place, item in enumerate(value)}
        inner = JsonReader(dict(places), self._error, f"{self.path(name)}.")
        return tuple(inner.octets(place, least, longest) for place in places)

    def object(self, name: str) -> JsonReader:
        """An object."""
        return JsonReader(self.take(name), self._error, f"{self.path(name)}.")

    def maybe_object(self, name: str) -> JsonReader | None:
        """An object, or None."""
        return None if self.take(name) is None else self.object(name)

    def items(self, name: str, most: int, *, least: int = 1) -> list[JsonReader]:
        """A list of objects, `least` of them at least."""
        value = self.take(name)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self._error(self.path(name), f"is no list of {least} to {most}")
        return [JsonReader(item, self._error, f"{self.path(name)}[{place}].") for place, item in enumerate(value)]
