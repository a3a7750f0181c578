"""What `ConsentRegistry.decide` says of a request, from what its storage and the Registrar's hold.

`standing` and `decision` are readings (`medproof.evidence.suite_state`): whoever drives them answers for the slots.
When evidence is made, that is a node; when it is verified, proved slots alone. It is one path, so that nothing that the
decision rests on can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from eth_utils.address import to_checksum_address

from medproof.client.registrar import EMERGENCY, EVERYONE, Party, group_grantee, party_of
from medproof.errors import EvidenceError
from medproof.evidence.suite_state import Reading, Slot, one_slot
from medproof.policy.evaluation import Reason, decide, is_break_glass, normalize
from medproof.policy.word import FLAG_FIELDS, minute

__all__ = ["CONTRACTS", "ProvedDecision", "decision", "standing"]

CONTRACTS = _REGISTRY, _REGISTRAR = "ConsentRegistry", "Registrar"
"""Whose storage is read."""
_RULES_PER_PAIR = 16
_EMERGENCY = int(EMERGENCY, 16)


@dataclass(frozen=True)
class ProvedDecision:
    """What the contract says of a subject."""

    subject: str
    reason: Reason  # why it permits the request, or does not
    grantee: str | None  # under whom the deciding rule stands; None where no rule decided
    word: int  # the deciding rule; 0 where there is none

    @property
    def permitted(self) -> bool:
        """Whether the request is permitted."""
        return self.reason.permits


def standing(account: str, at: datetime) -> Reading[Party | None]:
    """The party that an account acts for, if it is active at a block's time; None otherwise."""
    part = f"party of {account}"
    (word,) = yield (one_slot(part, _REGISTRAR, "_parties", account),)
    try:
        party = party_of(int.from_bytes(word))
    except LookupError:
        raise EvidenceError(part, "is of a kind that is not known here") from None
    return None if party is None or party.suspended or party.valid_until < at.date() else party


def decision(subject: str, party: Party | None, request: int, at: datetime) -> Reading[ProvedDecision]:
    """What is decided of a subject's data.

    Args:
        subject: whose data.
        party: who asks, as `standing` gives it.
        request: the request's word.
        at: the block's time, aware.
    """
    if party is None or (complete := normalize(request)) is None:
        refused = decide((), None if party is None else party.kind, at, request)
        return ProvedDecision(subject, refused.reason, None, 0)
    grantees = (party.id, EVERYONE, *map(group_grantee, party.groups))
    rules = yield from _rules(subject, tuple(map(to_checksum_address, grantees)))
    broken = False
    if _EMERGENCY in party.groups and is_break_glass(complete):
        broken = (yield from _open_until(subject, party.id)) > minute(at)
    found = decide([word for _, word in rules], party.kind, at, request, glass_broken=broken)
    grantee = None if found.position is None else rules[found.position][0]
    return ProvedDecision(subject, found.reason, grantee, found.word)


def _rules(subject: str, grantees: tuple[str, ...]) -> Reading[list[tuple[str, int]]]:
    """The rules that the contract's evaluation comes to, each with its grantee: list by list."""
    lists: dict[str, list[int]] = {grantee: [] for grantee in grantees}
    left, index = list(lists), 0
    while left:
        words = yield tuple(_rule_slots(subject, left, index))
        found = {grantee: int.from_bytes(word) for grantee, word in zip(left, words, strict=True)}
        for grantee, word in found.items():
            lists[grantee] += [word] if word else []
        left, index = [one for one in left if found[one] & FLAG_FIELDS["follows"].mask], index + 1
        if left and index == _RULES_PER_PAIR:
            raise EvidenceError(_part(subject, left[0], index), "follows the last that there can be")
    return [(grantee, word) for grantee, words_of in lists.items() for word in words_of]


def _rule_slots(subject: str, grantees: list[str], index: int) -> Iterator[Slot]:
    keys: tuple[object, ...] = ("further", index) if index else ("first",)
    for grantee in grantees:
        yield one_slot(_part(subject, grantee, index), _REGISTRY, "_rules", subject, grantee, *keys)


def _part(subject: str, grantee: str, index: int) -> str:
    return f"rule {index} of {subject} for {grantee}"


def _open_until(subject: str, party: str) -> Reading[int]:
    """Until which minute a party has broken the glass to a subject's records; 0 where it never did."""
    part = f"opening of {subject} by {party}"
    (number,) = yield (one_slot(part, _REGISTRY, "_last", subject, party),)
    if not any(number):
        return 0
    until = one_slot(part, _REGISTRY, "_openings", subject, int.from_bytes(number) - 1, member="until")
    (opening,) = yield (until,)
    return until.place.number(opening)
