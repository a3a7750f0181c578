"""A ledger that takes bills as the contracts do: nullifiers, fills of prescriptions, and flags by the soft key.

It holds no more than the chain shows: who holds a nullifier, which claims still count, and their soft keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medproof.claims.claim import Claim, Frequency
from medproof.claims.fraud.bill import Bill
from medproof.claims.keyring import Keyring
from medproof.claims.names import Names, plain
from medproof.claims.nullifier import registered_service

__all__ = ["ClaimLedger", "Finding", "Refusal", "Review", "review"]

_REPEATS = frozenset({"59", "76", "77", "91", "XE", "XP", "XS", "XU"})
"""Modifiers of a repeated or distinct service (CPT, appendix A; HCPCS level II)."""


class Refusal(StrEnum):
    """Why a bill is refused, by the contracts' names for it."""

    ALREADY_BILLED = "AlreadyBilled"  # the nullifier has a holder
    FILLS_EXHAUSTED = "FillsExhausted"  # the prescription has no fill left
    NOT_OPEN = "StepNotPossible"  # what it corrects was never billed, or does not count any more


class Review(StrEnum):
    """What a payer decides of a flag (ClaimAnchor's FlagStatus)."""

    CLEARED = "cleared"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a bill."""

    refusal: Refusal | None = None  # None where it was taken
    alike: tuple[int, ...] = ()  # the earlier claims that count and share its soft key, by their numbers in the ledger
    reviews: tuple[Review, ...] = ()  # what is decided of each

    @property
    def confirmed(self) -> bool:
        """Whether a flag was found to be right."""
        return Review.CONFIRMED in self.reviews


@dataclass(frozen=True, slots=True)
class _Open:
    """A claim that counts."""

    bill: Bill
    nullifier: bytes
    soft_key: bytes


@dataclass
class ClaimLedger:
    """The claims of one consortium, in the order that they arrive."""

    keyring: Keyring
    fills: Mapping[str, int] = field(default_factory=dict)  # allowed of each prescription; 1 where nothing is said
    _open: dict[int, _Open] = field(default_factory=dict, init=False, repr=False)
    _holders: dict[bytes, int] = field(default_factory=dict, init=False, repr=False)
    _alike: dict[bytes, list[int]] = field(default_factory=dict, init=False, repr=False)
    _by_number: dict[tuple[str, str, str], int] = field(default_factory=dict, init=False, repr=False)
    _filled: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def take(self, bill: Bill) -> Finding:
        """Take the next bill, or refuse it.

        A void or replacement counts where the claim that it names does, and is by the same provider to the same payer.

        Raises:
            ClaimElementError, ClaimCurrencyError: its keys cannot be computed.
        """
        entry = _Open(
            bill, self.keyring.nullifier(bill.claim, registered=bill.registered), self.keyring.soft_key(bill.claim)
        )
        if bill.claim.frequency is Frequency.ORIGINAL:
            return self._submit(entry)
        named = self._by_number.get(self._name(bill.claim, bill.claim.original or ""))
        if named is None:
            return Finding(Refusal.NOT_OPEN)
        before = self._close(named)
        if bill.claim.frequency is Frequency.VOID:
            return Finding()
        found = self._submit(entry)
        if found.refusal is not None:  # all or nothing, as a transaction is
            self._enter(named, before)
        return found

    def _submit(self, entry: _Open) -> Finding:
        if entry.nullifier in self._holders:
            return Finding(Refusal.ALREADY_BILLED)
        prescription = _prescription(entry.bill)
        if prescription is not None and self._filled.get(prescription, 0) >= self.fills.get(prescription, 1):
            return Finding(Refusal.FILLS_EXHAUSTED)
        alike = tuple(self._alike.get(entry.soft_key, ()))
        reviews = tuple(review(self._open[number].bill, entry.bill, self.keyring.names) for number in alike)
        self._enter(self._count, entry)
        self._count += 1
        return Finding(alike=alike, reviews=reviews)

    def _enter(self, number: int, entry: _Open) -> None:
        self._open[number] = entry
        self._holders[entry.nullifier] = number
        self._alike.setdefault(entry.soft_key, []).append(number)
        self._by_number[self._name(entry.bill.claim, entry.bill.claim.number)] = number
        if (prescription := _prescription(entry.bill)) is not None:
            self._filled[prescription] = self._filled.get(prescription, 0) + 1

    def _close(self, number: int) -> _Open:
        entry = self._open.pop(number)
        del self._holders[entry.nullifier]
        self._alike[entry.soft_key].remove(number)
        del self._by_number[self._name(entry.bill.claim, entry.bill.claim.number)]
        if (prescription := _prescription(entry.bill)) is not None:
            self._filled[prescription] -= 1
        return entry

    def _name(self, claim: Claim, number: str) -> tuple[str, str, str]:
        names = self.keyring.names
        return names.identifier(claim.provider, "Claim.provider"), names.identifier(claim.payer, "Claim.payer"), number


def review(earlier: Bill, later: Bill, names: Names) -> Review:
    """What a payer decides of two claims that share a soft key, from the claims alone.

    Cleared are two services that were registered apart, and a later claim whose every line that the earlier one has too
    says by a modifier that it is a repeat or distinct. Whether it truly is one, only the patient's record says.
    """
    if _registration(earlier) != _registration(later):
        return Review.CLEARED
    billed = {names.service(line.service, "Claim.lines.service") for line in earlier.claim.lines}
    again = [line for line in later.claim.lines if names.service(line.service, "Claim.lines.service") in billed]
    repeats = (
        any(names.modifier(code, "Claim.lines.modifiers").code in _REPEATS for code in line.modifiers) for line in again
    )
    return Review.CLEARED if again and all(repeats) else Review.CONFIRMED


def _registration(bill: Bill) -> bytes | str:
    return registered_service(bill.claim) if bill.registered is None else bill.registered


def _prescription(bill: Bill) -> str | None:
    return None if bill.claim.prescription is None else plain(bill.claim.prescription)
