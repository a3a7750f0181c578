"""How events tell histories: of each, what they speak of, and what stands after one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medproof.client.claim_anchor import ClaimStatus, Outcome
from medproof.client.studies import StudyState
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


def _choice(opted_in: bool) -> Fold:
    return lambda said, _: (opted_in, said["sequence"])


def _study_ends(state: StudyState) -> Fold:
    return _with(7)(lambda said: int(state))


_FREE, _DUE, _PAID, _REFUNDED = range(-4, 0)  # places in what stands of a bounty, at its end


def _amount(text: str) -> int:
    """An amount of tokens: 128 bits, which no column of numbers holds, so that it is kept as decimal text."""
    return int(text, 16)


def _moves(changes: Callable[[Arguments], Mapping[int, int]]) -> Fold:
    """A fold that adds to amounts of a bounty."""

    def fold(said: Arguments, standing: Values | None) -> Values | None:
        if standing is None:
            return None
        moved = list(standing)
        for place, change in changes(said).items():
            moved[place] = str(int(moved[place]) + change)
        return tuple(moved)

    return fold


def _funded(said: Arguments, standing: Values | None) -> Values | None:
    bounty = said["definition"]
    begun = standing or (
        bytes_of(bounty["study"]),
        bytes_of(bounty["funder"]),
        bytes_of(bounty["token"]),
        bounty["payee"],
        str(_amount(bounty["payment"])),
        bounty["acceptUntil"],
        *("0",) * 4,
    )
    return _moves(lambda said: {_FREE: _amount(said["amount"])})(said, begun)


def _accepted(said: Arguments) -> dict[int, int]:
    due = _amount(said["due"])
    return {_FREE: -due, _DUE: due}


def _paid(said: Arguments) -> dict[int, int]:
    amount = _amount(said["amount"])
    return {_DUE: -amount, _PAID: amount}


def _refunded(said: Arguments) -> dict[int, int]:
    free, due = _amount(said["free"]), _amount(said["due"])
    return {_FREE: -free, _DUE: -due, _REFUNDED: free + due}


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
    History(
        "studies",
        "Studies",
        lambda said: (bytes_of(said["study"]),),
        {
            "StudyRegistered": lambda said, _: (
                bytes_of(said["researcher"]),
                bytes_of(said["definition"]["request"]),
                bytes_of(said["definition"]["protocol"]),
                bytes_of(said["definition"]["ethics"]),
                said["definition"]["firstDay"],
                said["definition"]["lastDay"],
                json.dumps([*said["definition"]["custodians"]]),
                int(StudyState.UNKNOWN),
            ),
            "StudyClosed": _study_ends(StudyState.CLOSED),
            "ApprovalWithdrawn": _study_ends(StudyState.APPROVAL_WITHDRAWN),
        },
        starts=frozenset({"StudyRegistered"}),
    ),
    History(
        "participations",
        "Studies",
        lambda said: (bytes_of(said["study"]), bytes_of(said["subject"])),
        {"OptedIn": _choice(True), "OptedOut": _choice(False)},
    ),
    History(
        "cohorts",
        "Studies",
        lambda said: (bytes_of(said["study"]), bytes_of(said["cohort"])),
        {
            "CohortFixed": lambda said, _: (
                bytes_of(said["definition"]["root"]),
                said["definition"]["size"],
                said["definition"]["blockNumber"],
                bytes_of(said["definition"]["blockHash"]),
                said["blockChecked"],
            )
        },
        starts=frozenset({"CohortFixed"}),
    ),
    History(
        "results",
        "Studies",
        lambda said: (
            bytes_of(said["study"]),
            bytes_of(said["cohort"]),
            bytes_of(said["custodian"]),
            bytes_of(said["commitment"]),
        ),
        {"ResultPublished": lambda said, _: ()},
        starts=frozenset({"ResultPublished"}),
    ),
    History(
        "bounties",
        "Incentives",
        lambda said: (bytes_of(said["bounty"]),),
        {
            "BountyFunded": _funded,
            "ResultAccepted": _moves(_accepted),
            "BountyPaid": _moves(_paid),
            "BountyRefunded": _moves(_refunded),
        },
    ),
)
