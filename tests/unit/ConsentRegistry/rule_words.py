"""Rule words taken apart and put together by field, also as no client would write them."""

from __future__ import annotations

from medproof.policy.delegation import Scope
from medproof.policy.word import FIELDS, FLAGS

FLAG = {flag.name: flag.mask for flag in FLAGS}
FOLLOWS, REVOKED, DENY = FLAG["follows"], FLAG["revoked"], FLAG["deny"]
LAST_SEQUENCE = 65535
LAST_INDEX = 15
GRANT, REVOKE, VIEW, DELEGATE = (scope.value for scope in Scope)


def with_field(word: int, name: str, value: int) -> int:
    """The word with a field replaced."""
    field = FIELDS[name]
    return word & ~field.mask | value << field.offset


def index_of(word: int) -> int:
    return FIELDS["index"].of(word)


def sequence_of(word: int) -> int:
    return FIELDS["sequence"].of(word)


def terms_number(word: int) -> int:
    return FIELDS["terms"].of(word)


def revocation(sequence: int, *, index: int = 0) -> int:
    """The word that revokes a rule."""
    return REVOKED | index << FIELDS["index"].offset | sequence


def tombstone(word: int, sequence: int, *, index: int = 0) -> int:
    """What is stored after a rule, or nothing, was revoked."""
    return with_field(with_field(word, "sequence", sequence), "index", index) | REVOKED
