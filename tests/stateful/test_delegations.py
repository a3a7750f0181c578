"""Delegates named, dismissed and recovered in any order, with a relayer who sends signed messages whenever it harms.

A model says what each message does, of who may act now; after every step the contract keeps what the model keeps.
At the end of every run the subject's key dismisses everybody. MEDPROOF_DEEP=1 runs longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from brownie import web3
from brownie.exceptions import VirtualMachineError
from hypothesis import strategies as st

from medproof import messages
from medproof.client.delegations import Guardians
from medproof.messages import TypedData
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from tests.support.fixtures import DAY, NOBODY
from tests.support.profiles import effort

KINDS = (DelegateKind.STEWARD, DelegateKind.STEWARD, DelegateKind.GUARDIAN, DelegateKind.HEALTH_PROXY)
SCOPES = (Scope.GRANT, Scope.GRANT | Scope.DELEGATE, Scope.ALL, Scope.REVOKE | Scope.VIEW)
PEOPLE = 5  # the subject first; the others may be delegates, and successors


@dataclass(frozen=True)
class Held:
    """A delegation as the model keeps it; minutes since 1970."""

    sequence: int
    kind: int
    scopes: int
    begin: int
    end: int
    hangs_on: int
    by: str


@dataclass(frozen=True)
class Signed:
    """A message that the relayer holds, with what it does in the model."""

    function: str
    arguments: tuple[Any, ...]
    deadline: int
    signature: bytes


class DelegationMachine:
    """A subject, four others, three guardians and a hostile relayer, against a model."""

    st_by = st.sampled_from([0, 0, 1, 1, 2, 3, 4])
    st_other = st.integers(1, PEOPLE - 1)
    st_kind = st.sampled_from(KINDS)
    st_scopes = st.sampled_from(SCOPES)
    st_days = st.sampled_from([1, 3, 3, 30])
    st_step = st.sampled_from([1, 1, 1, 1, 1, 1, 2, 0])  # how far a sequence or round goes beyond the stored one
    st_pick = st.integers(0, 1000)
    st_kept = st.sampled_from([False, False, True])  # whether the author leaves it to the relayer
    st_wait = st.booleans()
    st_hours = st.sampled_from([1, 30, 80])

    def __init__(self, contract, people, guardians, relayer, sign, domain, chain) -> None:
        self.contract = contract
        self.people = people
        self.subject = people[0]
        self.guardians = sorted(guardians, key=lambda account: int(account.address, 16))
        self.relayer = relayer
        self.sign = staticmethod(sign)
        self.domain = domain
        self.chain = chain
        named = tuple(account.address for account in self.guardians)
        self.shown = Guardians(named, 2, timedelta(days=3), b"\x01" * 32)

    def setup(self) -> None:
        self.held: dict[str, Held] = {}
        self.named = False
        self.round = 0
        self.under_way: tuple[str, int] | None = None
        self.successor = NOBODY
        self.pool: list[Signed] = []
        self.rule_name_guardians(0, 1, False)
        self.rule_delegate(0, 1, DelegateKind.HEALTH_PROXY, Scope.ALL, 30, 1, False)

    # -- what people do -------------------------------------------------------------------------------------------

    def rule_delegate(
        self,
        by="st_by",
        to="st_other",
        kind="st_kind",
        scopes="st_scopes",
        days="st_days",
        step="st_step",
        kept="st_kept",
    ) -> None:
        """Give a delegation. The relayer has a signature over everything, and sends it when it likes."""
        author, delegate = self.people[by].address, self.people[to].address
        now = datetime.fromtimestamp(self._now() // 60 * 60, tz=UTC)
        said = Delegation(
            kind=kind,
            scopes=scopes,
            valid_from=now,
            valid_until=now + timedelta(days=days),
            delegator=author,
            delegator_sequence=0 if by == 0 else self._sequence(author),
            sequence=self._sequence(delegate) + step,
        )
        word = encode_delegation(said)
        message = lambda deadline: messages.delegation(  # noqa: E731
            self.domain, subject=self.subject.address, delegate=delegate, word=word, deadline=deadline
        )
        self._do("setDelegation", (self.subject.address, delegate, word), self.people[by], message, kept)

    def rule_delegate_further(self, to="st_other", kept="st_kept") -> None:
        self.rule_delegate(1, to, DelegateKind.STEWARD, Scope.GRANT, 1, 1, kept)

    def rule_revoke(self, by="st_by", to="st_other", step="st_step", kept="st_kept") -> None:
        author, delegate = self.people[by].address, self.people[to].address
        sequence = self._sequence(delegate) + step
        message = lambda deadline: messages.delegation_revocation(  # noqa: E731
            self.domain,
            subject=self.subject.address,
            delegate=delegate,
            by=author,
            sequence=sequence,
            deadline=deadline,
        )
        arguments = (self.subject.address, delegate, author, sequence)
        self._do("revokeDelegation", arguments, self.people[by], message, kept)

    def rule_name_guardians(self, by="st_by", step="st_step", kept="st_kept") -> None:
        author, number = self.people[by].address, self.round + step
        arguments = (self.subject.address, author, self.shown.commitment, number)
        message = lambda deadline: messages.guardians(  # noqa: E731
            self.domain,
            subject=self.subject.address,
            by=author,
            commitment=self.shown.commitment,
            round_number=number,
            deadline=deadline,
        )
        self._do("nameGuardians", arguments, self.people[by], message, kept)

    def rule_object(self, by="st_by", step="st_step", kept="st_kept") -> None:
        author, number = self.people[by].address, self.round + step
        message = lambda deadline: messages.objection(  # noqa: E731
            self.domain, subject=self.subject.address, by=author, round_number=number, deadline=deadline
        )
        self._do("objectToRecovery", (self.subject.address, author, number), self.people[by], message, kept)

    def rule_start_recovery(self, to="st_other", step="st_step") -> None:
        successor, number, deadline = self.people[to].address, self.round + step, self._now() + DAY
        said = {"subject": self.subject.address, "successor": successor, "round_number": number, "deadline": deadline}
        approvals = []
        for place, account in enumerate(self.guardians[:2]):
            message = messages.recovery(self.domain, guardian=account.address, **said)
            approvals.append((place, account, self.shown.salt_of(account.address), self.sign(account, message)))
        arguments = (self.subject.address, successor, number, deadline, self.shown.shown, approvals)
        allowed = self.named and number == self.round + 1
        tx = self._send(allowed, "startRecovery", arguments)
        if tx is not None:
            self.round, self.under_way = number, (successor, tx.timestamp + 3 * DAY)

    def rule_complete_recovery(self, wait="st_wait") -> None:
        if wait and self.under_way is not None:
            self.chain.mine(timestamp=max(self._now(), self.under_way[1]))
        ready = self.under_way is not None and self._now() >= self.under_way[1]
        tx = self._send(ready, "completeRecovery", (self.subject.address,))
        if tx is None or self.under_way is None:
            return
        former, (self.successor, _), self.under_way = self.successor, self.under_way, None
        minute = tx.timestamp // 60
        self.held[self.successor] = Held(
            self._sequence(self.successor) + 1, 4, 15, minute, (1 << 28) - 1, 0, self.subject.address
        )
        if former != self.successor and self._stands(former) and former != self.subject.address:
            was = self.held[former]
            self.held[former] = replace(was, sequence=was.sequence + 1, scopes=0, hangs_on=0, by=self.successor)

    # -- the relayer and the world --------------------------------------------------------------------------------

    def rule_relay(self, pick="st_pick") -> None:
        """Send any message that was ever signed, new or old, once more or for the first time."""
        if self.pool:
            one = self.pool[pick % len(self.pool)]
            allowed = self._now() <= one.deadline and self._allowed(one.function, one.arguments)
            if self._send(allowed, one.function, (*one.arguments, one.deadline, one.signature)) is not None:
                self._apply(one.function, one.arguments)

    def rule_time_moves(self, hours="st_hours") -> None:
        self.chain.mine(timestamp=self._now() + hours * 3600)

    # -- what must hold -------------------------------------------------------------------------------------------

    def invariant_contract_is_the_model(self) -> None:
        minute, subject = self._now() // 60, self.subject.address
        pairs = [(subject, person.address) for person in self.people]
        kept = self._call([(self.contract.delegationOf, pair) for pair in pairs])
        given = self._call([(self.contract.scopesOf, pair) for pair in pairs])
        state = (self.contract.recoveryOf, self.contract.successorOf)
        recovery, successor = self._call([(function, (subject,)) for function in state])

        assert kept == [(self._word(delegate),) for _, delegate in pairs]
        assert given == [(self._scopes(delegate, minute),) for _, delegate in pairs]
        pending, ready_at = self.under_way or (NOBODY, 0)
        assert recovery == (int(pending, 16), ready_at, self.round)
        assert successor == (int(self.successor, 16),)

    def teardown(self) -> None:
        """Whatever happened, the subject's key ends all delegations and every recovery."""
        for person in self.people[1:]:
            sequence = self._sequence(person.address) + 1
            self.contract.revokeDelegation(self.subject, person, self.subject, sequence, 0, b"", {"from": self.subject})
            assert self.contract.scopesOf(self.subject, person) == 0
        self.contract.objectToRecovery(self.subject, self.subject, self.round + 1, 0, b"", {"from": self.subject})
        assert self.contract.recoveryOf(self.subject) == (NOBODY, 0, self.round + 1)

    def _call(self, asked: list[tuple[Any, tuple[str, ...]]]) -> list[tuple[int, ...]]:
        """Ask for all of it in one request; the answers as words."""
        to = self.contract.address
        calls = [{"to": to, "data": function.encode_input(*arguments)} for function, arguments in asked]
        answers = web3.provider.make_batch_request([("eth_call", [call, "latest"]) for call in calls])
        found = [bytes.fromhex(answer["result"][2:]) for answer in sorted(answers, key=lambda answer: answer["id"])]
        return [tuple(int.from_bytes(raw[n : n + 32]) for n in range(0, len(raw), 32)) for raw in found]

    # -- the model ------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(web3.eth.get_block("latest")["timestamp"])

    def _sequence(self, delegate: str) -> int:
        return self.held[delegate].sequence if delegate in self.held else 0

    def _word(self, delegate: str) -> int:
        if delegate not in self.held:
            return 0
        one = self.held[delegate]
        return (
            one.sequence
            | one.kind << 16
            | one.scopes << 20
            | one.begin << 24
            | one.end << 52
            | one.hangs_on << 80
            | int(one.by, 16) << 96
        )

    def _scopes(self, delegate: str, minute: int) -> int:
        one = self.held.get(delegate)
        if one is None or not one.begin <= minute < one.end:
            return 0
        if one.by == self.subject.address:
            return one.scopes
        return one.scopes if self._sequence(one.by) == one.hangs_on and self._scopes(one.by, minute) & 8 else 0

    def _stands(self, by: str) -> bool:
        """Whether somebody is the subject or stands for it."""
        one = self.held.get(by)
        return by == self.subject.address or (one is not None and one.kind == 4 and one.scopes != 0)

    def _may_write(self, by: str, delegate: str) -> bool:
        if self._stands(by):
            return True
        last = self.held.get(delegate)
        return bool(self._scopes(by, self._now() // 60) & 8) and (last is None or last.by == by)

    def _allowed(self, function: str, arguments: tuple[Any, ...]) -> bool:
        if function == "setDelegation":
            return self._may_delegate(arguments[1], arguments[2])
        if function == "revokeDelegation":
            _, delegate, by, sequence = arguments
            stored = self._sequence(delegate)
            if self._stands(by) or by == delegate:
                return bool(sequence > stored)
            return self._may_write(by, delegate) and sequence == stored + 1
        return self._stands(arguments[1]) and arguments[-1] > self.round

    def _may_delegate(self, delegate: str, word: int) -> bool:
        said = self._said(word)
        if said.sequence != self._sequence(delegate) + 1 or not self._may_write(said.by, delegate):
            return False
        if said.by == self.subject.address:
            return said.hangs_on == 0
        own = self.held[said.by]
        return (
            said.by != delegate
            and said.hangs_on == own.sequence
            and (own.kind == 4 or said.kind == DelegateKind.STEWARD)
            and not said.scopes & ~(own.scopes & 7)
            and said.end <= own.end
        )

    @staticmethod
    def _said(word: int) -> Held:
        minutes = (1 << 28) - 1
        return Held(
            sequence=word & 0xFFFF,
            kind=word >> 16 & 15,
            scopes=word >> 20 & 15,
            begin=word >> 24 & minutes,
            end=word >> 52 & minutes,
            hangs_on=word >> 80 & 0xFFFF,
            by=web3.to_checksum_address(f"0x{word >> 96:040x}"),
        )

    def _apply(self, function: str, arguments: tuple[Any, ...]) -> None:
        if function == "setDelegation":
            self.held[arguments[1]] = self._said(arguments[2])
        elif function == "revokeDelegation":
            _, delegate, by, sequence = arguments
            was = self.held.get(delegate, Held(0, 0, 0, 0, 0, 0, NOBODY))
            self.held[delegate] = replace(was, sequence=sequence, scopes=0, hangs_on=0, by=by)
        else:
            self.round, self.under_way = arguments[-1], None
            self.named = self.named or function == "nameGuardians"

    def _do(self, function: str, arguments: tuple[Any, ...], by: Any, message: Any, kept: bool) -> None:
        """Leave the relayer a signature and, unless it is `kept` for then, do it now."""
        deadline = self._now() + 40 * 3600
        said: TypedData = message(deadline)
        self.pool.append(Signed(function, arguments, deadline, self.sign(by, said)))
        if kept:
            return
        tx = self._send(self._allowed(function, arguments), function, (*arguments, 0, b""), by)
        if tx is not None:
            self._apply(function, arguments)

    def _send(self, allowed: bool, function: str, arguments: tuple[Any, ...], by: Any = None) -> Any:
        """Send, where the model allows it; otherwise see that the contract refuses it."""
        call, sender = getattr(self.contract, function), {"from": by or self.relayer}
        if allowed:
            return call(*arguments, sender)
        with pytest.raises(VirtualMachineError):
            call.call(*arguments, sender)
        return None


@pytest.mark.spec("D2", "D7", "D13", "D14", "D15", "D16", "D22", "D25", "D32", "D34", "D35", "D38", "D40")
def test_delegations_hold_whatever_the_relayer_does(
    state_machine, delegations, accounts, patient, relayer, sign, domain_of, chain
):
    people = (patient, *accounts[11:15])
    domain = domain_of(delegations)
    state_machine(
        DelegationMachine, delegations, people, accounts[15:18], relayer, sign, domain, chain,
        settings=effort(1, steps=10),
    )  # fmt: skip
