"""The chain as of one block: the newest that is final enough, and what was asked of it.

Everything that a gatekeeper decides is decided as of one block, which it names. What the contracts say as of a block
never changes, so it is remembered until there is a newer one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, cast

from medproof.chain import Block
from medproof.client import MedProof
from medproof.client.consent_registry import Decision
from medproof.client.record_pointers import Place, Pointer, PointerKey, Status
from medproof.client.registrar import EVERYONE, Party, group_grantee
from medproof.errors import (
    ContractError,
    GatekeeperRefusalError,
    MedProofError,
    MerkleProofError,
    NodeError,
    RecordDamagedError,
    WrongChainError,
)
from medproof.merkle import verify_inclusion
from medproof.policy.codes import DataClass
from medproof.policy.delegation import Scope
from medproof.policy.device import Device
from medproof.policy.word import Request, Rule

__all__ = ["Head", "Moment", "Places", "unavailable"]

_MOST_REMEMBERED = 50_000  # answers as of one block
_RETRY = 2  # seconds
_MOST_AHEAD = 15  # seconds that a block may be ahead of this machine's clock, as consensus clients allow

_T = TypeVar("_T")
Places = Callable[[bytes], tuple[DataClass, Place] | None]
"""Where the pointer of an id stands in a batch, with the class in its leaf; None where in none."""


def _nowhere(_: bytes) -> None:
    """Where nothing is known of batches."""


def unavailable(what: str, *, code: str = "CHAIN_UNAVAILABLE") -> GatekeeperRefusalError:
    """The refusal of whoever cannot decide now: nothing is served on a guess."""
    return GatekeeperRefusalError(503, code, f"{what} Nothing was decided: ask again.", retry_after=_RETRY)


class Moment:
    """The contracts as of one block."""

    def __init__(self, suite: MedProof, block: Block, places: Places = _nowhere) -> None:
        """Look at the suite as of a block; `places` knows where pointers stand in batches."""
        self.block = block
        self._suite, self._places = suite, places
        self._known: dict[Hashable, object] = {}
        self._lock = threading.Lock()
        self._answers = self._confirmed = 0  # how many came from the node, and how many of them are of this block

    def standing(self, account: str) -> Party | None:
        """The active party that an account acts for."""
        return self._ask(
            ("standing", account), lambda: self._suite.registrar.standing(account, block=self.block.number)
        )

    def decide(self, subject: str, account: str, request: Request) -> Decision:
        """What the contract says of a request."""
        registry = self._suite.consent_registry
        return self._ask(
            (subject, account, request), lambda: registry.decide(subject, account, request, block=self.block.number)
        )

    def prepare(self, pointers: Sequence[PointerKey], requests: Sequence[tuple[str, str, Request]]) -> None:
        """Ask for many pointers and decisions at once: of each decision the subject, the account, and its request.

        What it learns `pointer` and `decide` give; what they would refuse, they refuse.
        """
        number, suite = self.block.number, self._suite
        keys = [key for key in dict.fromkeys(pointers) if ("alone", key) not in self._known]
        asked = [one for one in dict.fromkeys(requests) if one not in self._known]
        stand = self._try(lambda: suite.record_pointers.pointers(keys, block=number))
        decisions = self._try(lambda: suite.consent_registry.decide_each(asked, block=number))
        found: dict[Hashable, object] = {("alone", key): one for key, one in zip(keys, stand, strict=True)}
        found.update(zip(asked, decisions, strict=True))
        with self._lock:
            self._answers += len(found)
            if len(self._known) + len(found) <= _MOST_REMEMBERED:
                self._known.update(found)

    def is_delegate(self, subject: str, account: str) -> bool:
        """Whether an account may see for a subject what the subject sees: its delegate, with the scope VIEW."""
        delegations = self._suite.delegations
        scopes = self._ask(
            ("scopes", subject, account), lambda: delegations.scopes(subject, account, block=self.block.number)
        )
        return Scope.VIEW in scopes

    def rules(self, subject: str, party: Party) -> dict[str, tuple[Rule, ...]]:
        """The rules that apply to a party: its own, everyone's, those of its groups, in the contract's order."""
        registry = self._suite.consent_registry
        grantees = dict.fromkeys((party.id, EVERYONE, *map(group_grantee, party.groups)))
        return self._ask(
            ("rules", subject, party.id),
            lambda: {grantee: registry.rules(subject, grantee, block=self.block.number) for grantee in grantees},
        )

    def terms(self, number: int) -> bytes:
        """The hash of the terms under a number; published ones never change."""
        return self._ask(("terms", number), lambda: self._suite.consent_registry.terms(number))

    def pointer(self, key: PointerKey) -> Pointer | None:
        """A pointer as it stands, in its own slot or in a batch; None where it is not on the chain.

        Raises:
            RecordDamagedError: the place of which the store knows is not the pointer's.
            StoreError: the store cannot be read now.
        """
        return self._ask(("pointer", key), lambda: self._find(key))

    def _find(self, key: PointerKey) -> Pointer | None:
        alone = self._ask(("alone", key), lambda: self._suite.record_pointers.pointer(key, block=self.block.number))
        known = self._places(key.id) if alone is None else None
        if known is None:
            return alone
        data_class, place = known
        size = self.batch_size(key.origin, place.root)
        if size is None:
            return None
        try:
            verify_inclusion(key.leaf(data_class), place.index, size, place.proof, place.root)
        except MerkleProofError:
            raise RecordDamagedError(key.id) from None
        return Pointer(key, key.origin, data_class, Status.POSTED, version=1, sequence=0, place=place)

    def batch_size(self, custodian: str, root: bytes) -> int | None:
        """How many pointers a batch has; None where it is not on the chain."""
        pointers = self._suite.record_pointers
        return self._ask(
            ("batch", custodian, root), lambda: pointers.batch_size(custodian, root, block=self.block.number)
        )

    def device(self, subject: str, device: str) -> Device | None:
        """The registration of a device for a subject as it stands; None where there never was one."""
        devices = self._suite.devices
        return self._ask(("device", subject, device), lambda: devices.device(subject, device, block=self.block.number))

    def confirm(self) -> None:
        """Make sure that all answers are of this very block, and not of another that has taken its place.

        Raises:
            GatekeeperRefusalError: the chain has reorganised, or the node does not answer.
        """
        answers = self._answers
        if answers == self._confirmed:
            return
        if self._try(lambda: self._suite.chain.block(self.block.number)).hash != self.block.hash:
            self._known.clear()
            raise unavailable("The chain has reorganised.", code="REORGANISED")
        with self._lock:
            self._confirmed = max(self._confirmed, answers)

    def _ask(self, key: Hashable, question: Callable[[], _T]) -> _T:
        try:
            return cast(_T, self._known[key])
        except KeyError:
            answer = self._try(question)
            with self._lock:
                self._answers += 1
            if len(self._known) < _MOST_REMEMBERED:
                self._known[key] = answer
            return answer

    @staticmethod
    def _try(question: Callable[[], _T]) -> _T:
        try:
            return question()
        except (NodeError, ContractError) as error:
            raise unavailable("The chain's node does not answer.") from error


class Head:
    """The newest moment that decisions may stand on."""

    def __init__(
        self,
        suite: MedProof,
        *,
        finality: int | str,
        max_age: float | None,
        refresh: float,
        places: Places = _nowhere,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Watch a chain.

        Args:
            suite: the suite on it, whose node answers or fails within seconds.
            finality: how many blocks, its own included, must stand; or "safe" or "finalized".
            max_age: seconds after which the chain's newest block is too old to decide by; None for any age, also one of
                the future.
            refresh: seconds for which a block counts as the newest without asking again.
            places: where pointers stand in batches.
            clock: seconds since 1970.
        """
        self._suite, self._finality, self._max_age, self._refresh = suite, finality, max_age, refresh
        self._places, self._clock = places, clock
        self._lock = threading.Lock()
        self._moment: Moment | None = None
        self._trouble: GatekeeperRefusalError | None = None
        self._asked = float("-inf")

    def now(self) -> Moment:
        """The moment to decide by.

        Raises:
            GatekeeperRefusalError: the node does not answer, serves another chain, lags behind, or is ahead of time.
        """
        with self._lock:
            if time.monotonic() - self._asked >= self._refresh:
                kept, self._moment, self._trouble = self._moment, None, None
                try:
                    self._moment = self._look(kept)
                except GatekeeperRefusalError as error:
                    self._trouble = error  # for all who wait, who need not ask a node that hangs one after another
                self._asked = time.monotonic()
            if self._moment is None:
                raise self._trouble or unavailable("The chain's node does not answer.")
            return self._moment

    def forget(self) -> None:
        """Look again at the next question."""
        with self._lock:
            self._moment, self._asked = None, float("-inf")

    def _look(self, kept: Moment | None) -> Moment:
        try:
            self._suite.chain.check_chain()
            newest = self._suite.chain.block("latest")
            block = newest
            if isinstance(self._finality, str):
                block = self._suite.chain.block(self._finality)
            elif self._finality > 1:
                block = self._suite.chain.block(max(newest.number - self._finality + 1, 0))
        except WrongChainError as error:
            raise unavailable("The node serves another chain.", code="WRONG_CHAIN") from error
        except MedProofError as error:
            raise unavailable("The chain's node does not answer.") from error
        age = self._clock() - newest.timestamp
        if self._max_age is not None and age > self._max_age:
            raise unavailable("The chain's node lags behind.", code="CHAIN_LAGS")
        if self._max_age is not None and -age > _MOST_AHEAD:
            raise unavailable("The chain's newest block is of the future.", code="CHAIN_AHEAD")
        if kept is not None and kept.block == block:
            return kept
        return Moment(self._suite, block, self._places)
