"""Two deployments, compared: what is still to be done so that the new one says what the old one says, and by whom.

Nothing is kept beside the chains. Whatever was done is seen in the new deployment, and whatever changed in the old one
meanwhile is seen as well: comparing again tells what is left, and doing the same again does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from medproof.errors import MigrationError
from medproof.migration.carrying import Carrying
from medproof.migration.parties import AuthoritySteps, PartySteps
from medproof.migration.state import State
from medproof.migration.step import Actor, Finding, Kind, Step
from medproof.migration.subjects import SubjectSteps

__all__ = ["Comparison"]


class Comparison:
    """What separates a new deployment from an old one."""

    def __init__(self, old: State, new: State, *, keeper: str | None = None) -> None:
        """Compare.

        Args:
            old: the deployment that is left.
            new: the one that takes its place.
            keeper: a party of the new deployment, by its identity, that holds the nullifiers of what was billed.

        Raises:
            MigrationError: the keeper was a party of the old deployment, so that it cannot stay suspended.
        """
        if keeper in old.members or keeper in old.removed:
            step = "Accredit an account that does nothing else, and name that"
            raise MigrationError("keeper", f"{keeper} is a party of the old deployment", step)
        self.old, self.new = old, new
        self._keeper = keeper
        self._carrying = Carrying(old, new)
        self._subjects: dict[str, SubjectSteps] = {}

    @cached_property
    def _authority(self) -> AuthoritySteps:
        return AuthoritySteps(self.old, self.new, self._carrying, self._keeper)

    @cached_property
    def _parties(self) -> PartySteps:
        return PartySteps(self.old, self.new, self._keeper)

    def _subject(self, subject: str) -> SubjectSteps:
        if subject not in self._subjects:
            self._subjects[subject] = SubjectSteps(self.old, self.new, self._carrying, subject)
        return self._subjects[subject]

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """All subjects of either deployment."""
        return tuple(sorted(self.old.subjects() | self.new.subjects()))

    def subject_steps(self, subject: str) -> tuple[Step, ...]:
        """What is to be signed in a subject's name, in the order in which it is to be sent."""
        return self._subject(subject).steps

    def subject_findings(self, subject: str) -> tuple[Finding, ...]:
        """What no step mends of a subject's."""
        return tuple(self._subject(subject).findings)

    @cached_property
    def shared_steps(self) -> tuple[Step, ...]:
        """What the authority and the parties have to do, in order."""
        return (*self._authority.steps, *self._parties.steps)

    def steps(self, by: Actor | None = None, actor: str | None = None) -> Iterator[Step]:
        """All that is to be done; by some, or by one alone."""
        every = (one for subject in self.subjects for one in self.subject_steps(subject))
        for step in (*self.shared_steps, *every):
            if by in (None, step.by) and actor in (None, step.actor):
                yield step

    def findings(self, *kinds: Kind) -> Iterator[Finding]:
        """What no step mends; of some kinds, or of all."""
        shared = (*self._authority.findings, *self._parties.findings)
        every = (one for subject in self.subjects for one in self.subject_findings(subject))
        for finding in (*shared, *every):
            if not kinds or finding.kind in kinds:
                yield finding

    @property
    def whole(self) -> bool:
        """Whether nothing was lost and nothing became wider."""
        return not any(self.steps()) and not any(self.findings(Kind.STUCK, Kind.WIDER))

    def counts(self) -> Counter[tuple[Actor, str]]:
        """How many steps are left, by who takes them and what they are about."""
        return Counter((step.by, step.part) for step in self.steps())
