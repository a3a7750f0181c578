"""What a subject signs beside its rules: delegates and guardians, devices, studies, answers to pointers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from medproof.client.record_pointers import Pointer, Status
from medproof.migration.carrying import Carrying
from medproof.migration.rules import RuleSteps
from medproof.migration.state import State
from medproof.migration.step import Actor, Finding, Kind, Step
from medproof.policy.delegation import (
    DELEGATION_FIELDS,
    DelegateKind,
    Delegation,
    Scope,
    decode_delegation,
)
from medproof.policy.device import DEVICE_FIELDS, LAST_DEVICE_SEQUENCE, decode_device
from medproof.policy.phrases import join, moment, plain

__all__ = ["SubjectSteps"]

_LAST_DELEGATION = (1 << DELEGATION_FIELDS["sequence"].width) - 1
_CHOICE_SEQUENCE, _CHOICE_IN = (1 << 16) - 1, 1 << 16  # of the word of `contracts/libraries/StudyWord.sol`
_OPEN_ANSWERS = (Status.ACCEPTED, Status.DISPUTED, Status.DISPUTE_DENIED)


class SubjectSteps:
    """All steps in one subject's name, in their order, and what no step mends."""

    def __init__(self, old: State, new: State, carrying: Carrying, subject: str) -> None:
        """Compare what two deployments say of a subject."""
        self._old, self._new, self._subject = old, new, subject
        self._part = ""
        rules = RuleSteps(old, new, carrying, subject)
        self.findings: list[Finding] = rules.findings
        self.steps: tuple[Step, ...] = (
            *rules.steps,
            *self._delegations(),
            *self._guardians(),
            *self._devices(),
            *self._studies(),
            *self._answers(),
        )

    def _of(self, words: Mapping[tuple[str, str], int]) -> dict[str, int]:
        return {other: word for (subject, other), word in sorted(words.items()) if subject == self._subject}

    def _step(
        self, contract: str, function: str, arguments: tuple[object, ...], says: str, *, by: str = "", waits: str = ""
    ) -> Step:
        return Step(Actor.SUBJECT, by or self._subject, self._part, contract, function, arguments, says, waits)

    def _find(self, kind: Kind, says: str) -> None:
        self.findings.append(Finding(kind, self._part, self._subject, says))

    # -- delegations ----------------------------------------------------------------------------------------------

    def _delegations(self) -> Iterator[Step]:
        """Those that were ended stay ended: in the new deployment a delegate could otherwise give them again."""
        self._part = "delegations"
        before, there = self._of(self._old.delegations), self._of(self._new.delegations)
        standing = {delegate: decode_delegation(word) for delegate, word in before.items()}
        kept = {delegate: said for delegate, said in standing.items() if self._counts(said, standing)}
        passing_on = any(Scope.DELEGATE in said.scopes for said in kept.values())
        for delegate, said in standing.items():
            stored = there.get(delegate, 0)
            stands = bool(stored) and not decode_delegation(stored).revoked
            ended_by = (self._subject, delegate)  # not by another delegate, which may undo it
            if delegate in kept:
                continue
            if not said.revoked:
                self._find(Kind.STAYS, f"{_delegation_sentence(delegate, said)} It is over.")
                continue
            to_end = stands and self._is_old(delegate, stored)
            to_keep_ended = not stored and passing_on and said.delegator in ended_by
            if to_end or to_keep_ended:
                yield self._end(delegate, said, stored)
        for delegate, said in sorted(kept.items(), key=lambda one: one[1].delegator != self._subject):
            yield from self._give(delegate, said, there.get(delegate, 0), there)
        for delegate, word in there.items():
            said = decode_delegation(word)
            if not said.revoked and not self._is_old(delegate, word) and self._in_time(said, self._new):
                self._find(Kind.WIDER, _delegation_sentence(delegate, said))

    def _give(self, delegate: str, said: Delegation, stored: int, there: Mapping[str, int]) -> Iterator[Step]:
        sentence = _delegation_sentence(delegate, said)
        if said.kind is DelegateKind.SUCCESSOR or self._succeeded(said.delegator):
            self._find(
                Kind.STUCK, f"{sentence} Only a recovery makes a successor, and the lost key alone names guardians."
            )
            return
        hangs_on, waits = 0, ""
        if said.delegator != self._subject:
            own = there.get(said.delegator, 0)
            if own and not decode_delegation(own).revoked:
                hangs_on = DELEGATION_FIELDS["sequence"].of(own)
            else:
                waits = f"{said.delegator} to be a delegate itself"
        word = _delegation_meaning(self._old.delegations[self._subject, delegate])
        word |= hangs_on << DELEGATION_FIELDS["delegatorSequence"].offset
        if stored & ~DELEGATION_FIELDS["sequence"].mask == word:
            return
        if stored and not self._is_old(delegate, stored):
            if decode_delegation(stored).revoked:
                self._find(Kind.NEWER, f"{delegate} is no delegate any more.")
            return
        sequence = DELEGATION_FIELDS["sequence"].of(stored) + 1
        if sequence >= _LAST_DELEGATION:
            self._find(Kind.STUCK, f"{sentence} The two were closed to each other for good in the new deployment.")
            return
        arguments = (self._subject, delegate, word | sequence)
        yield self._step("Delegations", "setDelegation", arguments, sentence, by=said.delegator, waits=waits)

    def _end(self, delegate: str, said: Delegation, stored: int) -> Step:
        sequence = _LAST_DELEGATION if said.sequence == _LAST_DELEGATION else stored % (1 << 16) + 1
        arguments = (self._subject, delegate, self._subject, sequence)
        return self._step("Delegations", "revokeDelegation", arguments, f"{delegate} is no delegate of yours any more.")

    def _counts(self, said: Delegation, standing: Mapping[str, Delegation]) -> bool:
        """Whether a delegation is in force, or will be."""
        if said.revoked or not self._in_time(said, self._old):
            return False
        if said.delegator == self._subject:
            return True
        own = standing.get(said.delegator)
        return own is not None and own.sequence == said.delegator_sequence and self._counts(own, {})

    def _in_time(self, said: Delegation, state: State) -> bool:
        return said.valid_until is None or said.valid_until.timestamp() > state.block.timestamp

    def _succeeded(self, by: str) -> bool:
        word = self._old.delegations.get((self._subject, by), 0)
        return bool(word) and decode_delegation(word).kind is DelegateKind.SUCCESSOR

    def _is_old(self, delegate: str, stored: int) -> bool:
        """Whether what stands in the new deployment ever stood in the old one."""
        before = self._old.delegations_before.get((self._subject, delegate), frozenset())
        return _delegation_meaning(stored) in map(_delegation_meaning, before)

    # -- guardians ------------------------------------------------------------------------------------------------

    def _guardians(self) -> Iterator[Step]:
        self._part = "guardians"
        old, new = (state.guardians.get(self._subject, b"") for state in (self._old, self._new))
        before = self._old.guardians_before.get(self._subject, frozenset())
        if new and new not in before:
            self._find(Kind.WIDER, f"Others may recover your key: 0x{new.hex()}.")
        elif old != new and (old or new):
            says = (
                f"Who may recover your key stays as it was: 0x{old.hex()}." if old else "Nobody may recover your key."
            )
            round_number = self._new.rounds.get(self._subject, 0) + 1
            arguments = (self._subject, self._subject, old or bytes(32), round_number)
            yield self._step("Delegations", "nameGuardians", arguments, says)

    # -- devices --------------------------------------------------------------------------------------------------

    def _devices(self) -> Iterator[Step]:
        self._part = "devices"
        there = self._of(self._new.devices)
        for device, word in self._of(self._old.devices).items():
            said, stored = decode_device(word), there.get(device, 0)
            over = said.valid_until is not None and said.valid_until.timestamp() <= self._old.block.timestamp
            if said.revoked:
                if stored and not decode_device(stored).revoked and self._registered(device, stored):
                    arguments = (self._subject, device, decode_device(stored).sequence + 1)
                    yield self._step("Devices", "revokeDevice", arguments, f"{device} reports nothing any more.")
                continue
            says = _device_sentence(device, said.valid_from, said.valid_until, plain(said.classes))
            if over:
                self._find(Kind.STAYS, f"{says} Its time is over.")
            elif _device_meaning(stored) != _device_meaning(word):
                if stored and not self._registered(device, stored):
                    if decode_device(stored).revoked:
                        self._find(Kind.NEWER, f"{device} reports nothing any more.")
                    continue
                sequence = DEVICE_FIELDS["sequence"].of(stored) + 1
                if sequence >= LAST_DEVICE_SEQUENCE:
                    self._find(Kind.STUCK, f"{says} It was closed for good in the new deployment.")
                    continue
                arguments = (self._subject, device, _device_meaning(word) | sequence)
                yield self._step("Devices", "setDevice", arguments, says)
        for device, stored in there.items():
            said = decode_device(stored)
            if not said.revoked and not self._registered(device, stored):
                self._find(Kind.WIDER, _device_sentence(device, said.valid_from, said.valid_until, plain(said.classes)))

    def _registered(self, device: str, stored: int) -> bool:
        before = self._old.devices_before.get((self._subject, device), frozenset())
        return _device_meaning(stored) in map(_device_meaning, before)

    # -- studies --------------------------------------------------------------------------------------------------

    def _studies(self) -> Iterator[Step]:
        self._part = "studies"
        choices = {study: word for (study, subject), word in self._old.choices.items() if subject == self._subject}
        for study, word in sorted(choices.items()):
            stored = self._new.choices.get((study, self._subject), 0)
            sequence = (stored & _CHOICE_SEQUENCE) + 1
            name = f"the study 0x{study.hex()}"
            if not word & _CHOICE_IN:
                if stored & _CHOICE_IN:
                    arguments = (self._subject, study, sequence)
                    yield self._step("Studies", "optOut", arguments, f"You take no part in {name} any more.")
            elif study not in self._old.standing_studies or self._old.studies[study].last_day < self._old.day:
                self._find(Kind.STAYS, f"You take part in {name}, which has ended.")
            elif not stored:
                waits = "" if study in self._new.studies else "its researcher to register it"
                arguments = (self._subject, study, sequence)
                yield self._step("Studies", "optIn", arguments, f"You take part in {name}.", waits=waits)
            elif not stored & _CHOICE_IN:
                self._find(Kind.NEWER, f"You take no part in {name} any more.")
        for (study, subject), word in self._new.choices.items():
            if subject == self._subject and word & _CHOICE_IN and study not in choices:
                self._find(Kind.WIDER, f"You take part in the study 0x{study.hex()}.")

    # -- answers to pointers --------------------------------------------------------------------------------------

    def _answers(self) -> Iterator[Step]:
        self._part = "answers"
        for key, was in self._old.pointers.items():
            if key.subject != self._subject or was.status not in _OPEN_ANSWERS:
                continue
            stands = self._new.pointers.get(key)
            waits = "" if stands and stands.custodian == was.custodian else "its custodian to post the pointer"
            sequence = stands.sequence if stands else 0
            where = (self._subject, key.origin, key.commitment)
            name = f"the record 0x{key.commitment.hex()} of {key.origin}"
            if was.status is Status.ACCEPTED and (stands is None or stands.status is Status.POSTED):
                says = f"You accept {name}."
                yield self._step("RecordPointers", "acceptFor", (*where, sequence), says, waits=waits)
            elif was.status is not Status.ACCEPTED and _undisputed(stands):
                reason = self._old.disputes.get(key.id, bytes(32))
                says = f"You dispute {name}."
                yield self._step("RecordPointers", "disputeFor", (*where, reason, sequence), says, waits=waits)


def _undisputed(stands: Pointer | None) -> bool:
    return stands is None or stands.status in (Status.POSTED, Status.ACCEPTED)


def _delegation_meaning(word: int) -> int:
    """All of a delegation's word but how often it changed and on which change of the delegator's it hangs."""
    return word & ~DELEGATION_FIELDS["sequence"].mask & ~DELEGATION_FIELDS["delegatorSequence"].mask


def _device_meaning(word: int) -> int:
    return word & ~DEVICE_FIELDS["sequence"].mask


def _delegation_sentence(delegate: str, said: Delegation) -> str:
    kind = said.kind.name.lower().replace("_", " ") if said.kind else "delegate"
    scopes = join([one.name.lower() for one in Scope if one in said.scopes and one.name], "and")
    until = f"until {moment(said.valid_until)}" if said.valid_until else "with no end date"
    return f"{delegate} acts for you as your {kind}, to {scopes}, from {moment(said.valid_from)} {until}."


def _device_sentence(device: str, since: datetime, until: datetime | None, classes: list[str]) -> str:
    end = f"until {moment(until)}" if until else "with no end date"
    return f"{device} may report your {join(classes, 'and')}, from {moment(since)} {end}."
