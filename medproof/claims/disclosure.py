"""What goes on chain of a claim, and how single fields of it are shown to somebody without the others.

A claim is taken apart into fields, each with its path and a salt of its own; the commitment is the root of a Merkle
tree (`medproof.merkle`) over the salted fields. A disclosure carries some fields, their salts and proofs. Formulas::

    field_salt(salt, path)      keyed_identifier(salt, path, purpose="claim-field:v1")
    leaf(kind, path, value)     commit([kind, path, value], field_salt)          both of medproof.hashing
    padding(salt, n)            keyed_identifier(salt, n, purpose="claim-padding:v1")
    commitment                  merkle.root(sorted(leaves + padding))

`kind` is "claim" or "response", so that neither passes for the other. The leaves stand in the order of their hashes and
are padded to a power of two of at least 32: neither a place nor the tree's size tells how many lines, codes or
adjustments there are. A list is a field that holds its length, and a field for each item; what a claim leaves out is a
field that holds null, so that its absence can be shown too. Whoever deletes the one salt erases: without it nothing can
be disclosed any more, and the commitment tells nothing.

The tree's maker could put one path into it twice. Whoever is given the whole claim, as the payer is, therefore takes
the root again with `commit` before it signs; a disclosure to others rests on that signature.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from medproof import hashing, merkle
from medproof.claims.claim import Claim, ClaimResponse, LineResponse, ServiceLine
from medproof.claims.document import read_claim, value_json
from medproof.errors import ClaimDocumentError, DisclosureError, MerkleProofError, SaltError
from medproof.hashing import Json, JsonObject, keyed_identifiers
from medproof.json_reader import JsonReader, hex_text

__all__ = ["DisclosedField", "Disclosure", "commit", "disclose", "paths", "whole_claim"]

_OPENED = (Claim, ClaimResponse, LineResponse, ServiceLine)  # taken apart; all others are one field
_SMALLEST = 32  # leaves
_FIELD, _PADDING = "claim-field:v1", "claim-padding:v1"
_LONGEST_PROOF = 64
_MOST_FIELDS = 10_000
_STEP = re.compile(r"[a-z_]+|[0-9]+", re.ASCII)
_LISTS = frozenset(
    one.name for kind in (Claim, ServiceLine) for one in fields(kind) if str(one.type).startswith("tuple")
)
_PLACE = r"(\[(0|[1-9][0-9]{0,3})\])?"  # in a list of at most _MOST_FIELDS
_PATH = re.compile(rf"[a-z_]+{_PLACE}(\.[a-z_]+{_PLACE})*", re.ASCII)
_LONGEST_PATH = 1_000  # characters: deeper than any case that can be read


@dataclass(frozen=True)
class DisclosedField:
    """One field of a claim, opened."""

    path: str  # such as "lines[0].charge"
    value: Json = field(repr=False)  # as medproof.claims.document writes it; a list's is its length
    salt: bytes = field(repr=False)  # 32 bytes, of this field alone
    index: int  # its place in the tree
    proof: tuple[bytes, ...] = field(repr=False)  # the hashes that lead to the root


@dataclass(frozen=True)
class Disclosure:
    """Some fields of a claim or a response, each with what shows that it belongs to the commitment."""

    kind: str  # "claim" or "response"
    commitment: bytes  # 32 bytes
    size: int  # leaves in the tree
    fields: tuple[DisclosedField, ...]

    def verify(self, commitment: bytes | None = None) -> Mapping[str, Json]:
        """Return the fields by path, if all of them belong to the commitment: to one known from elsewhere if given.

        Raises:
            DisclosureError: one does not; it is named.
        """
        if commitment is not None and commitment != self.commitment:
            raise DisclosureError("", f"is of 0x{self.commitment.hex()}, not of 0x{commitment.hex()}")
        said: dict[str, Json] = {}
        for one in self.fields:
            if one.path in said:
                raise DisclosureError(one.path, "is disclosed twice")
            leaf = _leaf(self.kind, one.path, one.value, one.salt)
            try:
                merkle.verify_inclusion(leaf, one.index, self.size, one.proof, self.commitment)
            except MerkleProofError as error:
                raise DisclosureError(one.path, f"does not belong to this {self.kind}'s commitment") from error
            said[one.path] = one.value
        return said

    def to_json(self) -> JsonObject:
        """The disclosure as JSON."""
        return {
            "kind": self.kind,
            "commitment": hex_text(self.commitment),
            "size": self.size,
            "fields": [
                {
                    "path": one.path,
                    "value": one.value,
                    "salt": hex_text(one.salt),
                    "index": one.index,
                    "proof": [hex_text(step) for step in one.proof],
                }
                for one in self.fields
            ],
        }

    @classmethod
    def from_json(cls, value: Json) -> Disclosure:
        """Read what `to_json` gave.

        Raises:
            DisclosureError: it is none.
        """
        said = JsonReader(value, _unreadable)
        if (kind := said.text("kind")) not in ("claim", "response"):
            raise _unreadable("kind", "is neither claim nor response")
        commitment, size = said.hash("commitment"), said.number("size", bits=32)
        opened = tuple(_read_field(one) for one in said.items("fields", _MOST_FIELDS))
        said.finish()
        return cls(kind, commitment, size, opened)


def paths(content: Claim | ClaimResponse) -> tuple[str, ...]:
    """The paths of all fields, in the order of the model."""
    return tuple(_fields(content))


def commit(content: Claim | ClaimResponse, salt: bytes) -> bytes:
    """The commitment to a claim or a response, 32 bytes; the module's head gives the formula.

    Raises:
        SaltError: the salt is not 32 random bytes.
    """
    return merkle.MerkleLog(_ordered(_leaves(content, salt), salt)).root()


def disclose(content: Claim | ClaimResponse, salt: bytes, shown: Iterable[str]) -> Disclosure:
    """Open fields of a claim or a response, and nothing else of it.

    Args:
        content: the whole.
        salt: the one it was committed with.
        shown: paths, each with all below it: "lines[0]" opens the whole line.

    Raises:
        DisclosureError: there is no such field.
        SaltError: the salt is not 32 random bytes.
    """
    chosen = [*shown]
    leaves = _leaves(content, salt)
    for path in chosen:
        if not any(_below(one, path) for one in leaves):
            raise DisclosureError(
                path, f"is no field of this {_kind(content)}", "Name one such as lines[0].charge; `paths` gives all"
            )
    ordered = _ordered(leaves, salt)
    tree = merkle.MerkleLog(ordered)
    places = {leaf: place for place, leaf in enumerate(ordered)}
    opened = []
    values = _fields(content)
    for (path, value), own in zip(values.items(), _salts(salt, values), strict=True):
        if any(_below(path, one) for one in chosen):
            place = places[leaves[path]]
            opened.append(DisclosedField(path, value, own, place, tree.inclusion_proof(place)))
    return Disclosure(_kind(content), tree.root(), len(tree), tuple(opened))


def whole_claim(said: Mapping[str, Json]) -> Claim | None:
    """The claim whose fields are all disclosed, in their order; None where one is missing, or is not of a claim.

    Args:
        said: what `Disclosure.verify` gave.
    """
    content: dict[str, Any] = {}
    for path, value in copy.deepcopy(dict(said)).items():  # what was verified stays as it is
        *way, last = [int(step) if step.isdecimal() else step for step in _STEP.findall(path)]
        here: Any = content
        try:
            for step in way:
                here = here[step]
        except (LookupError, TypeError):
            return None
        item = [{} for _ in range(min(value, _MOST_FIELDS))] if last in _LISTS and isinstance(value, int) else value
        in_list = isinstance(here, list) and isinstance(last, int) and last < len(here)
        if not (in_list or isinstance(here, dict)):
            return None
        here[last] = item
    try:
        claim = read_claim(content)
    except ClaimDocumentError:
        return None
    return claim if _fields(claim) == said else None


def _fields(content: Claim | ClaimResponse) -> dict[str, Json]:
    """Every field by its path, in the order of the model."""
    found: dict[str, Json] = {}
    _take_apart(content, "", found)
    return found


def _take_apart(value: object, path: str, found: dict[str, Json]) -> None:
    if isinstance(value, _OPENED):
        before = f"{path}." if path else ""
        for one in fields(value):
            _take_apart(getattr(value, one.name), before + one.name, found)
    elif isinstance(value, tuple):
        found[path] = len(value)
        for place, item in enumerate(value):
            _take_apart(item, f"{path}[{place}]", found)
    else:
        found[path] = value_json(value)


def _leaves(content: Claim | ClaimResponse, salt: bytes) -> dict[str, bytes]:
    kind, opened = _kind(content), _fields(content)
    salts = _salts(salt, opened)
    return {path: _leaf(kind, path, opened[path], one) for path, one in zip(opened, salts, strict=True)}


def _ordered(leaves: Mapping[str, bytes], salt: bytes) -> list[bytes]:
    """The leaves with the padding, as they stand in the tree."""
    count = len(leaves)
    whole = max(_SMALLEST, 1 << (count - 1).bit_length())
    return sorted([*leaves.values(), *keyed_identifiers(salt, map(str, range(count, whole)), purpose=_PADDING)])


def _leaf(kind: str, path: str, value: Json, salt: bytes) -> bytes:
    return hashing.commit([kind, path, value], salt)


def _salts(salt: bytes, paths: Iterable[str]) -> list[bytes]:
    if len(salt) != hashing.SALT_LENGTH or not any(salt):
        raise SaltError(f"The claim's salt is not {hashing.SALT_LENGTH} random bytes: draw it with new_salt().")
    return keyed_identifiers(salt, paths, purpose=_FIELD)


def _kind(content: Claim | ClaimResponse) -> str:
    return "claim" if isinstance(content, Claim) else "response"


def _below(path: str, above: str) -> bool:
    return path == above or (path.startswith(above) and path[len(above)] in ".[")


def _read_field(said: JsonReader) -> DisclosedField:
    path = said.text("path")
    if len(path) > _LONGEST_PATH or not _PATH.fullmatch(path):
        raise _unreadable(said.path("path"), "is no path of a field")
    found = DisclosedField(
        path=path,
        value=said.take("value"),
        salt=said.hash("salt"),
        index=said.number("index", bits=32),
        proof=said.hashes("proof", _LONGEST_PROOF),
    )
    said.finish()
    return found


def _unreadable(path: str, rule: str) -> DisclosureError:
    return DisclosureError(f"{path} of the disclosure" if path else "", rule)
