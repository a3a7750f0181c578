"""Emergency access in the ConsentRegistry: opening a record, and what its subject says of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.decoding import Event
from medproof.errors import ArgumentError
from medproof.policy.emergency import OverrideReason, Review
from medproof.policy.word import from_minute
from medproof.signing import Signer

__all__ = ["BreakGlass", "Limits", "Opening"]

FOUR_HOURS = timedelta(hours=4)

_NOTHING = bytes(32)  # no justification, no remark
_MINUTE = timedelta(minutes=1)
_WEEK = 7 * 24 * 3600


@dataclass(frozen=True)
class Opening:
    """One opening of a subject's record in an emergency."""

    number: int  # among the subject's, from 1
    party: str  # whose clinician opened it
    opened: datetime  # in whole minutes, UTC
    until: datetime  # the first moment at which it is over
    reason: OverrideReason
    review: Review


@dataclass(frozen=True)
class Limits:
    """How far emergency access goes, as the authority set it."""

    per_day: int  # openings by one party in a day (UTC)
    longest: timedelta  # of one opening


class BreakGlass(ContractClient):
    """The ConsentRegistry's emergency access."""

    def break_glass(
        self,
        subject: str,
        reason: OverrideReason,
        *,
        duration: timedelta = FOUR_HOURS,
        justification: bytes = _NOTHING,
        sender: Sender | None = None,
    ) -> Opening:
        """Open a subject's record; the sender acts for an active party in the group of emergency care.

        Everybody sees it at once. Requests for the purpose BTG are permitted until it is over, but for what the
        subject's rules refuse.

        Args:
            subject: whose record.
            reason: why without consent.
            duration: for how long, in whole minutes.
            justification: salted hash of who opens and why (`medproof.hashing`), 32 bytes; the party keeps the rest.
            sender: who opens.

        Raises:
            ArgumentError: the duration is not of whole minutes, or none.
        """
        minutes, rest = divmod(duration, _MINUTE)
        if rest or minutes < 1:
            raise ArgumentError(f"An opening cannot last {duration}. Give whole minutes, at least one.")
        receipt = self._transact("breakGlass", subject, int(reason), minutes, justification, sender=sender)
        [event] = (event for event in receipt.events(self.contract) if event.name == "GlassBroken")
        return self.opening(subject, int(event.arguments["number"]))

    def review(
        self,
        number: int,
        review: Review,
        *,
        remark: bytes = _NOTHING,
        subject: str | None = None,
        sender: Sender | None = None,
    ) -> Receipt:
        """Say what the subject thinks of an opening; the sender is the subject, or its delegate for viewing.

        Args:
            number: the opening's.
            review: acknowledged or disputed.
            remark: salted hash of what the subject says, 32 bytes.
            subject: whose record it was; the sender's own where none is named.
            sender: who says it.
        """
        of = subject or self._by("reviewOpening", sender).address
        return self._transact("reviewOpening", of, number, int(review), remark, 0, b"", sender=sender)

    def sign_review(
        self,
        signer: Signer,
        number: int,
        review: Review,
        *,
        remark: bytes = _NOTHING,
        subject: str | None = None,
        lifetime: int = _WEEK,
    ) -> SignedMessage:
        """Sign a review for anyone to relay; see `review`. `lifetime` is how long it counts, in seconds."""
        of, deadline = subject or signer.address, self._deadline(lifetime)
        message = messages.review(
            self.domain, subject=of, opening=number, review=int(review), remark=remark, deadline=deadline
        )
        arguments = (of, number, int(review), remark)
        return self._signed("reviewOpening", arguments, deadline, signer.sign_typed_data(message))

    def set_break_glass_limits(self, limits: Limits, *, sender: Sender | None = None) -> Receipt:
        """Set the limits; the sender has the authority's role for it."""
        minutes = limits.longest // _MINUTE
        return self._transact("setBreakGlassLimits", limits.per_day, minutes, sender=sender)

    def break_glass_limits(self) -> Limits:
        """The limits in force."""
        per_day, minutes = self._call("breakGlassLimits")
        return Limits(per_day, minutes * _MINUTE)

    def opening(self, subject: str, number: int, *, block: int | str = "latest") -> Opening:
        """One opening of a subject's record."""
        party, opened, until, reason, review = self._call("openingOf", subject, number, block=block)
        return Opening(number, party, from_minute(opened), from_minute(until), OverrideReason(reason), Review(review))

    def openings(self, subject: str, *, block: int | str = "latest") -> tuple[Opening, ...]:
        """All openings of a subject's record, oldest first."""
        count = self._call("openingCount", subject, block=block)
        return tuple(self.opening(subject, number, block=block) for number in range(1, count + 1))

    def opening_in_force(self, subject: str, party: str, *, block: int | str = "latest") -> Opening | None:
        """A party's opening that is not over yet; None where there is none."""
        number = self._call("openingInForce", subject, party, block=block)
        return self.opening(subject, number, block=block) if number else None

    def opening_history(self, subject: str) -> Iterator[Event]:
        """Every opening and review of a subject, oldest first."""
        opened = self.events("GlassBroken", filters={"subject": subject})
        reviewed = self.events("OpeningReviewed", filters={"subject": subject})
        return iter(sorted((*opened, *reviewed), key=lambda event: (event.block, event.index)))
