"""How events tell histories: of each, what they speak of, and what stands after one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medproof.client.claim_anchor import ClaimStatus, Outcome
from medproof.policy.word import FIELDS, FLAG_FIELDS

__all__ = ["HISTORIES", "Arguments", "History", "Key", "Values"]

Arguments = Mapping[str, Any]
Key = tuple[Any, ...]
Values = tuple[Any, ...]
Fold = Callable[[Arguments, Values | None], Values | None]

_INDEX = FIELDS["index"]
_FIRST_MASK = FIELDS["sequence"].mask | FLAG_FIELDS["follows"].mask | FLAG_FIELDS["revoked"].mask
_FIRST_BYTES = -(-_FIRST_MASK.bit_length() // 8)  # at the word's end, in which all of them lie


@dataclass(frozen=True)
class History:
    """What one table keeps of one contract's events."""

    table: str
    contract: str
    key: Callable[[Arguments], Key]
    folds: Mapping[str, Fold]  # by the event's name: what stands after it, None for nothing more
    starts: frozenset[str] = field(default=frozenset())  # events before which nothing stood under their key
    standing: bool = True  # whether a fold needs what stood before


def bytes_of(text: str) -> bytes:
    """What JSON says as 0x and digits."""
    return bytes.fromhex(text[2:])


def is_new_rule(word: bytes) -> bool:
    """Whether a rule's word can only be the first under its index."""
    return int.from_bytes(word[-_FIRST_BYTES:], "big") & _FIRST_MASK == 1


def _rule_key(said: Arguments) -> Key:
    word = int(said["word"], 16)
    return bytes_of(said["subject"]), bytes_of(said["grantee"]), _INDEX.of(word)


def _rule(said: Arguments, _: Values | None) -> Values:
    return (bytes_of(said["word"]),)


def _with(*places: int) -> Callable[..., Fold]:
    """A fold that replaces some of what stands."""

    def of(*readers: Callable[[Arguments], Any]) -> Fold:
        def fold(said: Arguments, standing: Values | None) -> Values | None:
            if standing is None:
                return None
            changed = list(standing)
            for place, reader in zip(places, readers, strict=True):
                changed[place] = reader(said)
            return tuple(changed)

        return fold

    return of


def _joined(said: Arguments, standing: Values | None) -> Values | None:
    """The newest group comes first, as in the contract's places."""
    return standing and (*standing[:-1], json.dumps([said["group"], *json.loads(standing[-1])]))


def _left(said: Arguments, standing: Values | None) -> Values | None:
    return standing and (*standing[:-1], json.dumps([one for one in json.loads(standing[-1]) if one != said["group"]]))


_NOTHING = bytes(32)


def _claim_step(status: ClaimStatus) -> Fold:
    return _with(8)(lambda said: int(status))


def _claim_decision(status: Callable[[Arguments], ClaimStatus]) -> Fold:
    return _with(8, 9, 10)(
        lambda said: int(status(said)), lambda said: said["outcome"], lambda said: bytes_of(said["response"])
    )


HISTORIES: tuple[History, ...] = (
    History("rules", "ConsentRegistry", _rule_key, {"RuleSet": _rule, "RuleRevoked": _rule}, standing=False),
    History(
        "terms",
        "ConsentRegistry",
        lambda said: (int(said["number"], 16),),
        {"TermsPublished": lambda said, _: (bytes_of(said["terms"]),)},
        starts=frozenset({"TermsPublished"}),
    ),
    History(
        "openings",
        "ConsentRegistry",
        lambda said: (bytes_of(said["subject"]), int(said["number"], 16)),
        {
            "GlassBroken": lambda said, _: (
                bytes_of(said["party"]),
                bytes_of(said["account"]),
                said["reason"],
                bytes_of(said["justification"]),
                int(said["until"], 16),
                0,
                _NOTHING,
            ),
            "OpeningReviewed": _with(5, 6)(lambda said: said["review"], lambda said: bytes_of(said["remark"])),
        },
        starts=frozenset({"GlassBroken"}),
    ),
    History(
        "parties",
        "Registrar",
        lambda said: (bytes_of(said["party"]),),
        {
            "PartyAccredited": lambda said, _: (
                bytes_of(said["party"]),
                said["kind"],
                bytes_of(said["credential"]),
                said["validUntil"],
                False,
                "[]",
            ),
            "PartyRenewed": _with(2, 3)(lambda said: bytes_of(said["credential"]), lambda said: said["validUntil"]),
            "PartySuspended": _with(4)(lambda said: True),
            "PartyReinstated": _with(4)(lambda said: False),
            "PartyRemoved": lambda said, _: None,
            "AccountChanged": _with(0)(lambda said: bytes_of(said["to"])),
            "GroupJoined": _joined,
            "GroupLeft": _left,
        },
        starts=frozenset({"PartyAccredited"}),
    ),
    History(
        "party_groups",
        "Registrar",
        lambda said: (said["group"],),
        {"GroupCreated": lambda said, _: (said["name"],)},
        starts=frozenset({"GroupCreated"}),
    ),
    History(
        "claims",
        "ClaimAnchor",
        lambda said: (bytes_of(said["claim"]),),
        {
            "ClaimSubmitted": lambda said, _: (
                bytes_of(said["provider"]),
                bytes_of(said["payer"]),
                bytes_of(said["patient"]),
                bytes_of(said["registration"]),
                bytes_of(said["commitment"]),
                bytes_of(said["nullifier"]),
                bytes_of(said["softKey"]),
                said["rules"],
                int(ClaimStatus.SUBMITTED),
                int(Outcome.NONE),
                _NOTHING,
            ),
            "ClaimPended": _claim_step(ClaimStatus.PENDED),
            "ClaimAnswered": _claim_step(ClaimStatus.SUBMITTED),
            "ClaimAdjudicated": _claim_decision(lambda said: ClaimStatus.ADJUDICATED),
            "ClaimAppealed": _claim_step(ClaimStatus.APPEALED),
            "AppealDecided": _claim_decision(
                lambda said: ClaimStatus.UPHELD if said["upheld"] else ClaimStatus.OVERTURNED
            ),
            "ClaimSettled": _claim_step(ClaimStatus.SETTLED),
            "ClaimVoided": _claim_step(ClaimStatus.VOIDED),
            "ClaimReplaced": _claim_step(ClaimStatus.REPLACED),
        },
        starts=frozenset({"ClaimSubmitted"}),
    ),
)
