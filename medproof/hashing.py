"""Commitments and keyed identifiers: how a record or an identity becomes 32 bytes that tell nothing.

Two rules stand behind this module. Guessable data is never hashed bare: a record is hashed with a 256-bit
salt that stays off chain (deleting the salt is the erasure path), and an identifier on which parties must
agree is hashed under a key that they share. And what is hashed is the record exactly: `2.50` and `2.5` are
different FHIR decimals, so they have different commitments.

Formulas, with `||` for concatenation and all tags in ASCII::

    commit(record, salt)          keccak256(keccak256("medproof:record:v1") || salt || canonical(record))
    commit_bytes(data, salt)      keccak256(keccak256("medproof:bytes:v1")  || salt || data)
    keyed_identifier(key, p, ...) HMAC-SHA256(key, encode_parts(["medproof:keyed:v1", purpose, p, ...]))
    encode_parts([p1, ..., pn])   uint64(n) || uint64(len(p1)) || p1 || ... || uint64(len(pn)) || pn

The tags and salts have a fixed length and the record comes last, so no two inputs share one preimage.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn, TypeAlias

import rfc8785
from tiny_keccak import keccak256

from medproof.errors import IdentifierError, JsonError, SaltError

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "SALT_LENGTH",
    "Json",
    "JsonObject",
    "SaltedRecord",
    "canonical",
    "commit",
    "commit_bytes",
    "encode_parts",
    "keyed_identifier",
    "keyed_identifiers",
    "new_salt",
    "parse",
    "seal",
]

JsonObject: TypeAlias = "dict[str, Json]"
Json: TypeAlias = "JsonObject | list[Json] | str | int | Decimal | bool | None"

MAX_BYTES = 64 * 1024 * 1024
"""The longest JSON text that `parse` reads (HL7's largest R4 example has 35 million bytes)."""
MAX_DEPTH = 100
"""The deepest nesting that `parse` and `canonical` accept (HL7's deepest R4 example has 22 levels)."""
SALT_LENGTH = 32
"""Bytes in a salt."""

_RECORD_TAG = keccak256(b"medproof:record:v1")
_BYTES_TAG = keccak256(b"medproof:bytes:v1")
_KEYED_TAG = "medproof:keyed:v1"
_MIN_KEY_LENGTH = 32
_MAX_NUMBER_LENGTH = 400
_TOO_LARGE = 10**_MAX_NUMBER_LENGTH
_MAX_EXPONENT = 1000
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

# The way from the root to a value: (way to the parent, key or index). Only an error spells it out.
_Way: TypeAlias = "tuple[_Way, str | int] | None"


@dataclass(frozen=True, slots=True)
class SaltedRecord:
    """A record with the salt that opens its commitment; only `commitment` leaves the custodian."""

    record: Json = field(repr=False, compare=False)  # the JSON that was committed to
    salt: bytes = field(repr=False)  # 32 random bytes; whoever deletes them erases the link to the record
    commitment: bytes  # the 32 bytes that go on chain


def parse(text: bytes) -> Json:
    """Read one JSON text strictly and without loss.

    Numbers with a fraction or an exponent become `decimal.Decimal`, with the digits they were written with.

    Args:
        text: UTF-8, without a byte order mark, at most `MAX_BYTES`.

    Raises:
        JsonError: the text is not JSON in UTF-8, says a key twice, holds NaN, Infinity, half a surrogate pair
            or a number beyond 400 characters, or is nested deeper than `MAX_DEPTH`.
    """
    if len(text) > MAX_BYTES:
        raise JsonError(f"The JSON text has {len(text)} bytes and the limit is {MAX_BYTES}: split the bundle.")
    if text.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise JsonError("The JSON text starts with a byte order mark: save it as UTF-8 without one (RFC 8259, 8.1).")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"Byte {error.start} is not UTF-8: save the JSON text as UTF-8.") from None
    try:
        value: Json = json.loads(
            decoded,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        # error.msg is one of the parser's fixed phrases; the text itself is left out.
        where = f"line {error.lineno}, column {error.colno}"
        raise JsonError(f"The text is not JSON at {where} ({error.msg}): mend it there.") from None
    except RecursionError:
        raise JsonError(_too_deep()) from None
    _check_depth(value)
    if _SURROGATE_ESCAPE.search(decoded):
        canonical(value)  # refuses half a surrogate pair
    return value


def canonical(value: Json) -> bytes:
    r"""Write a JSON value in its one canonical form: RFC 8785, with exact numbers.

    Strings, literals, key order and integers up to 2**53 - 1 are as RFC 8785 writes them (by its library).
    RFC 8785 would put every other number through a binary double, which turns FHIR's 2.50 into 2.5 and
    rounds long ones. They are kept instead: a larger integer by its digits, a `Decimal` as the General
    Decimal Arithmetic "to-scientific-string" does (Python's `str(Decimal)`, Java's `BigDecimal.toString`).

    Args:
        value: JSON as `parse` reads it; a `float` is refused, because it has already lost its digits.

    Raises:
        JsonError: a value that JSON cannot carry exactly; the message gives its path.
    """
    out: list[bytes] = []
    _write(value, out, None, 0)
    return b"".join(out)


def new_salt() -> bytes:
    """Return 32 bytes from the operating system's random source."""
    return secrets.token_bytes(SALT_LENGTH)


def commit(record: Json, salt: bytes) -> bytes:
    """Return the 32-byte commitment to a JSON record; the module's head gives the formula.

    Raises:
        SaltError: the salt is not 32 random bytes.
        JsonError: the record has no canonical form (see `canonical`).
    """
    return keccak256(_RECORD_TAG + _checked_salt(salt) + canonical(record))


def commit_bytes(data: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to a document that is not JSON (an X12 interchange, a PDF).

    Raises:
        SaltError: the salt is not 32 random bytes.
    """
    return keccak256(_BYTES_TAG + _checked_salt(salt) + data)


def seal(record: Json, *, salt: bytes | None = None) -> SaltedRecord:
    """Salt a record (with a fresh salt unless one is given) and commit to it.

    Raises:
        SaltError, JsonError: as `commit`.
    """
    salt = new_salt() if salt is None else salt
    return SaltedRecord(record=record, salt=salt, commitment=commit(record, salt))


def encode_parts(parts: Iterable[str | bytes]) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: a count, then each part after its length.

    Text is encoded as UTF-8; counts and lengths are 8 bytes, big end first. The result may itself be a part.
    """
    out = [b""]
    for part in parts:
        encoded = part.encode("utf-8") if isinstance(part, str) else part
        out += (len(encoded).to_bytes(8, "big"), encoded)
    out[0] = (len(out) // 2).to_bytes(8, "big")
    return b"".join(out)


def keyed_identifier(key: bytes, *parts: str | bytes, purpose: str) -> bytes:
    """Return 32 bytes that holders of the key can recompute and nobody else can guess back.

    HMAC-SHA256 over `encode_parts` of a fixed tag, the purpose and the parts. Unlike a plain hash it does not
    yield to a list of all member numbers or of all NPIs with all dates.

    Args:
        key: at least 32 random bytes, shared by those who must agree.
        parts: what identifies, in a fixed order; text as UTF-8.
        purpose: what the identifier is for, with a version ("claim-nullifier:v1"); other purposes give
            unrelated identifiers.

    Raises:
        IdentifierError: the key is short, or the purpose or a part is empty.
    """
    _check_key(key, purpose)
    if not parts:
        raise IdentifierError("No part was given: an identifier needs at least one.")
    for number, part in enumerate(parts, start=1):
        if not part:
            raise IdentifierError(f"Part {number} of {len(parts)} is empty: an identifier needs every part.")
    return hmac.digest(key, encode_parts([_KEYED_TAG, purpose, *parts]), hashlib.sha256)


def keyed_identifiers(key: bytes, texts: Iterable[str], *, purpose: str) -> list[bytes]:
    """Return `keyed_identifier` of each of many texts, in less time for each.

    Raises:
        IdentifierError: as `keyed_identifier`.
    """
    _check_key(key, purpose)
    head = encode_parts([_KEYED_TAG, purpose, b""])[:-8]  # all but the last part, with its length
    made = []
    for text in texts:
        if not text:
            raise IdentifierError("Part 1 of 1 is empty: an identifier needs every part.")
        part = text.encode("utf-8")
        made.append(hmac.digest(key, head + len(part).to_bytes(8, "big") + part, hashlib.sha256))
    return made


def _check_key(key: bytes, purpose: str) -> None:
    if len(key) < _MIN_KEY_LENGTH:
        raise IdentifierError(
            f"The key has {len(key)} bytes and needs at least {_MIN_KEY_LENGTH}: draw one with secrets.token_bytes(32)."
        )
    if not purpose:
        raise IdentifierError("The purpose is empty: name what the identifier is for, with a version.")


def _checked_salt(salt: bytes) -> bytes:
    if len(salt) != SALT_LENGTH:
        raise SaltError(f"The salt has {len(salt)} bytes and needs {SALT_LENGTH}: draw it with new_salt().")
    if not any(salt):
        raise SaltError("The salt is all zeros, which hides nothing: draw it with new_salt().")
    return bytes(salt)


def _decimal(literal: str) -> Decimal:
    _check_length(literal)
    try:
        number = Decimal(literal)
    except InvalidOperation:
        raise JsonError(_exponent_beyond()) from None
    return _checked_decimal(number)


def _checked_decimal(number: Decimal) -> Decimal:
    sign_digits_exponent = number.as_tuple()
    if not isinstance(sign_digits_exponent.exponent, int):
        raise JsonError("NaN and Infinity are no JSON numbers: leave the element out.")
    if abs(sign_digits_exponent.exponent) > _MAX_EXPONENT:
        raise JsonError(_exponent_beyond())
    return number


def _exponent_beyond() -> str:
    return f"A number's exponent is beyond {_MAX_EXPONENT}: no measurement needs it, so mend the record."


def _integer(literal: str) -> int:
    _check_length(literal)
    return int(literal)


def _check_length(literal: str) -> None:
    if len(literal) > _MAX_NUMBER_LENGTH:
        raise JsonError(f"A number has {len(literal)} characters and the limit is {_MAX_NUMBER_LENGTH}.")


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no JSON number: leave the element out.")


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                shown = f'"{key}"' if _ELEMENT_NAME.fullmatch(key) else "a key"
                raise JsonError(f"An object says {shown} twice: keep one, because readers differ in which they take.")
            seen.add(key)
    return value


def _check_depth(value: Json) -> None:
    level: list[Json] = [value]
    depth = 0
    while level:
        if depth > MAX_DEPTH:
            raise JsonError(_too_deep())
        deeper: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        level = deeper
        depth += 1


def _too_deep() -> str:
    return f"The JSON value is nested deeper than {MAX_DEPTH} levels, more than any FHIR record: mend it."


def _write(value: Json, out: list[bytes], way: _Way, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise JsonError(_too_deep())
    if isinstance(value, str):  # first, since most values are text
        out.append(_scalar_text(value, way))
    elif isinstance(value, dict):
        _write_object(value, out, way, depth)
    elif isinstance(value, (list, tuple)):
        out.append(b"[")
        for index, item in enumerate(value):
            if index:
                out.append(b",")
            _write(item, out, (way, index), depth + 1)
        out.append(b"]")
    else:
        out.append(_scalar(value, way))


def _write_object(value: JsonObject, out: list[bytes], way: _Way, depth: int) -> None:
    try:
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    except (AttributeError, UnicodeEncodeError):
        raise JsonError(f"A key of {_path(way)} is not Unicode text: mend the record.") from None
    out.append(b"{")
    for index, key in enumerate(keys):
        if index:
            out.append(b",")
        out.append(_text(key))
        out.append(b":")
        _write(value[key], out, (way, key), depth + 1)
    out.append(b"}")


def _text(value: str) -> bytes:
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return ('"' + value + '"').encode()  # nothing to escape, as nearly always
    return rfc8785.dumps(value)


def _scalar_text(value: str, way: _Way) -> bytes:
    try:
        return _text(value)
    except rfc8785.CanonicalizationError:
        raise JsonError(f"{_path(way)} holds half a surrogate pair, which is not Unicode text.") from None


def _scalar(value: object, way: _Way) -> bytes:
    if value is None or isinstance(value, bool):  # before int, of which bool is a subclass
        return b"null" if value is None else b"true" if value else b"false"
    if isinstance(value, int):
        if abs(value) >= _TOO_LARGE:
            raise JsonError(f"{_path(way)} has more than {_MAX_NUMBER_LENGTH} digits: mend the record.")
        return b"%d" % value
    if isinstance(value, Decimal):
        return str(_checked_decimal(value)).encode()
    if isinstance(value, float):
        raise JsonError(
            f"{_path(way)} is a float, which has lost the digits it was written with: read the record with "
            "medproof.hashing.parse, or give a decimal.Decimal."
        )
    raise JsonError(f"{_path(way)} is of Python type {type(value).__name__}, which JSON does not have.")


def _path(way: _Way) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if _ELEMENT_NAME.fullmatch(step) else ".?")
    return "$" + "".join(reversed(steps))
