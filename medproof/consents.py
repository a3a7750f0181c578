"""Who consented to a use, and what a subject consented to, at any moment, in microseconds: an index's rules in memory.

A `ConsentLog` takes the rules from an index (`medproof.indexer`), and later what is new, and answers without asking the
database or the node. It knows rules, not parties: that a party is active, its kind and its groups are what the
`Registrar` says. It needs `medproof[index]`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from eth_utils.address import to_checksum_address

from medproof.client.registrar import EVERYONE
from medproof.errors import ConsentLogError
from medproof.indexer import IndexedDeployment, View, view
from medproof.policy.codes import PartyKind
from medproof.policy.evaluation import Case, in_force
from medproof.policy.word import FIELDS, FLAG_FIELDS, Request, Rule, decode, encode_request, minute

__all__ = ["Consent", "ConsentLog"]

_DENY = FLAG_FIELDS["deny"].mask


@dataclass(frozen=True)
class Consent:
    """A rule as it stood at a moment: a permit, or a deny."""

    subject: str  # whose rule
    grantee: str  # for whom: a party's identity, or a group
    word: int  # as it was stored

    @property
    def rule(self) -> Rule:
        """The rule that the word says."""
        return decode(self.word)


class _Pair:
    """The rules of one subject for one grantee, as they were after each change."""

    def __init__(self) -> None:
        self._times: list[int] = []  # of the changes, seconds since 1970, rising
        self._words: list[tuple[int, ...]] = []  # after each of them: the pair's words by index, 0 where none

    def change(self, time: int, word: int) -> None:
        words = list(self._words[-1]) if self._words else []
        index = FIELDS["index"].of(word)
        words += [0] * (index + 1 - len(words))
        words[index] = word
        self._times.append(time)
        self._words.append(tuple(words))

    def at(self, time: int) -> tuple[int, ...]:
        place = bisect_right(self._times, time)
        return self._words[place - 1] if place else ()


class ConsentLog:
    """All rules of a deployment in an index and their history, in memory.

    It knows them up to the block of its last `update`; a question about a later time is refused.
    """

    def __init__(self, indexed: IndexedDeployment) -> None:
        """Follow a deployment in its index; `update` reads."""
        self._indexed = indexed
        self._forget()

    def _forget(self) -> None:
        self._state: View | None = None  # as of the last block that was read
        self._by_grantee: defaultdict[str, dict[str, _Pair]] = defaultdict(dict)
        self._by_subject: defaultdict[str, dict[str, _Pair]] = defaultdict(dict)
        self._permitting: defaultdict[str, dict[str, None]] = defaultdict(dict)  # subjects with a permit ever, in order

    @property
    def block(self) -> int | None:
        """The last block that was read; None before the first `update`."""
        return None if self._state is None else self._state.block

    @property
    def time(self) -> datetime | None:
        """The time of that block."""
        return None if self._state is None else self._state.at

    def update(self) -> int:
        """Take over what is new in the index, all of it or nothing, and return how many changes of rules it was.

        Where the index has taken blocks back since, all is read anew.

        Raises:
            IndexTimeError: the index has read nothing yet.
            IndexRolledBackError: it takes blocks back at this moment; do the same again.
            StoreError: it cannot be read.
        """
        state = view(self._indexed)
        anew = self._state is None or self._state.roll_backs != state.roll_backs
        changes = list(state.changes("rules", after=-1 if self._state is None or anew else self._state.block))
        if anew:
            self._forget()
        for change in changes:
            subject, grantee = to_checksum_address(change.subject), to_checksum_address(change.grantee)
            word = int.from_bytes(change.word, "big")
            pair = self._by_subject[subject].get(grantee)
            if pair is None:
                pair = self._by_subject[subject][grantee] = self._by_grantee[grantee][subject] = _Pair()
            pair.change(change.time, word)
            if not word & _DENY:
                self._permitting[grantee][subject] = None
        self._state = state
        return len(changes)

    def subjects(
        self,
        party: str,
        request: Request,
        *,
        kind: PartyKind,
        groups: Iterable[str] = (),
        at: datetime | None = None,
    ) -> tuple[str, ...]:
        """Who consented to a use of data: the subjects whose rules permit a request of an active party.

        It decides as the contract does, but for emergencies: openings of the glass are not consent. It takes time in
        proportion to the subjects that ever permitted anything to the party, a group of its, or everyone.

        Args:
            party: the party's identity.
            request: what it wants to do.
            kind: the party's one kind.
            groups: those that it is in, as grantees (`medproof.client.registrar.group_grantee`).
            at: as of when, aware; the time of the last block read where none is given.

        Returns:
            The subjects, in the order in which they first permitted anything.

        Raises:
            ConsentLogError: that time is not read yet.
            RuleFieldError: the request contradicts itself, or `kind` is not one kind.
        """
        moment = self._moment(at)
        case = Case.of(kind, moment, encode_request(request))
        time = int(moment.timestamp())
        grantees = [grantee for grantee in (party, EVERYONE, *groups) if grantee in self._by_grantee]
        lists = [self._by_grantee[grantee] for grantee in grantees]
        candidates = {subject: None for grantee in grantees for subject in self._permitting.get(grantee, ())}
        return tuple(
            subject
            for subject in candidates
            if case.permits([word for pairs in lists if subject in pairs for word in pairs[subject].at(time)])
        )

    def consents(self, subject: str, *, at: datetime | None = None) -> tuple[Consent, ...]:
        """Which rules of a subject were in force, permits and denies: by grantee as first named, then by index.

        A patient has a subject for each custodian; only she knows which are hers.

        Args:
            subject: whose.
            at: as of when, aware; the time of the last block read where none is given.

        Raises:
            ConsentLogError: that time is not read yet.
        """
        moment = self._moment(at)
        time, minutes = int(moment.timestamp()), minute(moment)
        return tuple(
            Consent(subject, grantee, word)
            for grantee, pair in self._by_subject.get(subject, {}).items()
            for word in pair.at(time)
            if word and in_force(word, minutes)
        )

    def _moment(self, at: datetime | None) -> datetime:
        until = self.time
        if at is not None:
            minute(at)  # refuses a time without a zone
        if until is None or (at is not None and at > until):
            raise ConsentLogError(at, until)
        return until if at is None else at
