"""Devices registered, changed and revoked in any order, with a relayer who sends signed messages whenever it harms.

A model says what each message does, of who may act now; after every step the contract keeps what the model keeps. At
the end of every run the subject's key revokes every device, and no message that was ever signed brings one back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from brownie import chain, web3
from hypothesis import strategies as st

from medproof import messages
from tests.support.profiles import effort
from tests.support.reverts import reverts

SUBJECT, GRANTING, REVOKING, EVERY, STRANGER = range(5)  # who acts: the subject, three delegates, and nobody to it
SCOPES = {SUBJECT: 15, GRANTING: 1, REVOKING: 2, EVERY: 15, STRANGER: 0}
LAST = 65535
MINUTE = 60
NO_END = (1 << 28) - 1


@dataclass(frozen=True)
class Signed:
    """A message that the relayer holds."""

    function: str
    device: str
    value: int  # a word, or a sequence
    by: int
    deadline: int
    signature: bytes


class StateMachine:
    st_by = st.sampled_from([SUBJECT, SUBJECT, GRANTING, REVOKING, EVERY, STRANGER])
    st_device = st.integers(0, 1)
    st_step = st.sampled_from([1, 1, 1, 1, 1, 2, 0, LAST])  # how far a sequence goes beyond the stored one
    st_classes = st.sampled_from([1, 1 << 10, 0x3FFFFF, 1 << 10, 0, 1 << 22])
    st_begin = st.sampled_from([-5, -5, 0, 2])  # minutes from now
    st_minutes = st.sampled_from([3, 3, 1000, 0])
    st_kept = st.sampled_from([False, False, True])  # whether the author leaves it to the relayer
    st_pick = st.integers(0, 1000)
    st_wait = st.sampled_from([1, 60, 240, 4000])

    def __init__(cls, contract, delegations, people, devices, relayer, sign, domain):  # noqa: N805 - Brownie calls it on the class
        cls.contract, cls.people, cls.devices = contract, people, devices
        cls.relayer, cls.sign, cls.domain = relayer, staticmethod(sign), domain
        subject = people[SUBJECT]
        for who in (GRANTING, REVOKING, EVERY):
            word = 1 | 2 << 16 | SCOPES[who] << 20 | NO_END << 52 | int(subject.address, 16) << 96
            delegations.setDelegation(subject, people[who], word, 0, b"", {"from": subject})

    def setup(self):
        self.words = dict.fromkeys(self.devices, 0)
        self.letters: list[Signed] = []

    # -- the model ----------------------------------------------------------------------------------------------

    def now(self):
        return int(chain[-1].timestamp)

    def scope(self, function, device, value):
        """What a delegate needs."""
        if function == "setDevice":
            return 1
        stored = self.words[device]
        stands = stored >> 16 & 0xFFFFFF != 0
        return 2 if stands and value == (stored & LAST) + 1 and value != LAST else 15

    def refusal(self, function, device, value, by, signed):
        """Why an act is refused, if it is."""
        subject, scope = self.people[SUBJECT].address, self.scope(function, device, value)
        if SCOPES[by] & scope != scope:
            if signed:
                return "SignatureInvalid", subject
            return "DelegateScopeMissing", subject, self.people[by].address, scope
        stored = self.words[device] & LAST
        if function == "revokeDevice":
            return None if stored < value <= LAST else ("DeviceStale", stored, value)
        classes, begin, end = value >> 16 & 0xFFFFFF, value >> 40 & NO_END, value >> 68 & NO_END
        if not 0 < classes <= 0x3FFFFF:
            return "DeviceClassesNotPossible", classes
        if begin >= end:
            return "DevicePeriodEmpty", begin, end
        sequence = value & LAST
        return None if sequence == stored + 1 < LAST else ("DeviceStale", stored, sequence)

    def do(self, function, device, value, by, deadline=0, signature=b""):
        """Act, and see that it goes as the model says; a refusal is asked for at the present second."""
        sender = {"from": self.relayer if signature else self.people[by]}
        arguments = (self.people[SUBJECT], device, value, deadline, signature)
        call, refusal = getattr(self.contract, function), self.refusal(function, device, value, by, bool(signature))
        if signature and self.now() > deadline:
            refusal = "MessageExpired", deadline, self.now()
        if refusal is not None:
            with reverts(*refusal):
                call.call(*arguments, sender)
            return
        tx = call(*arguments, sender)
        scope, before = self.scope(function, device, value), self.words[device]
        word = value if function == "setDevice" else before & (NO_END << 40 | NO_END << 68) | value
        name = "DeviceSet" if function == "setDevice" else "DeviceRevoked"
        subject = self.people[SUBJECT].address
        said = [(name, {"subject": subject, "device": device, "word": word})]
        if by != SUBJECT:
            acted = {"subject": subject, "delegate": self.people[by].address, "scope": scope}
            said.insert(0, ("DelegateActed", acted))
        assert [(event.name, dict(event)) for event in tx.events] == said
        self.words[device] = word

    def say(self, function, device, value, by, kept):
        """Leave the relayer a signature and, unless it is kept for then, act now."""
        self.letters.append(self.signed(function, device, value, by))
        if not kept:
            self.do(function, device, value, by)

    def signed(self, function, device, value, by):
        deadline = self.now() + 3600
        said: dict[str, Any] = {"subject": self.people[SUBJECT].address, "device": device, "deadline": deadline}
        if function == "setDevice":
            message = messages.device(self.domain, word=value, **said)
        else:
            message = messages.device_revocation(self.domain, sequence=value, **said)
        return Signed(function, device, value, by, deadline, self.sign(self.people[by], message))

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_register(self, st_by, st_device, st_step, st_classes, st_begin, st_minutes, st_kept):
        device = self.devices[st_device]
        begin = self.now() // MINUTE + st_begin
        sequence = min((self.words[device] & LAST) + st_step, LAST)
        word = sequence | st_classes << 16 | begin << 40 | begin + st_minutes << 68
        self.say("setDevice", device, word, st_by, st_kept)

    def rule_change(self, st_device, st_by):
        """The next registration, as anybody would write it."""
        device, minute = self.devices[st_device], self.now() // MINUTE
        word = (self.words[device] & LAST) + 1 & LAST | 1 << 26 | minute << 40 | NO_END << 68
        self.say("setDevice", device, word, st_by, False)

    def rule_revoke(self, st_by, st_device, st_step, st_kept):
        device = self.devices[st_device]
        self.say("revokeDevice", device, min((self.words[device] & LAST) + st_step, LAST), st_by, st_kept)

    def rule_relay(self, st_pick):
        """Any message that was ever signed is sent, perhaps once more."""
        if self.letters:
            one = self.letters[st_pick % len(self.letters)]
            self.do(one.function, one.device, one.value, one.by, one.deadline, one.signature)

    def rule_time_moves(self, st_wait):
        chain.mine(timestamp=self.now() + st_wait)

    # -- what always holds --------------------------------------------------------------------------------------

    def invariant_contract_is_the_model(self):
        minute = self.now() // MINUTE
        for device, word in self.words.items():
            begin, end = word >> 40 & NO_END, word >> 68 & NO_END
            classes = word >> 16 & 0xFFFFFF if begin <= minute < end else 0
            assert self.ask(self.contract.deviceOf, device) == word
            assert self.ask(self.contract.classesOf, device) == classes

    def ask(self, function, device):
        """The answer at the latest block, at its own second."""
        call = {"to": self.contract.address, "data": function.encode_input(self.people[SUBJECT], device)}
        return int.from_bytes(web3.eth.call(call, "latest"))

    def teardown(self):
        """Whatever happened, the subject revokes every device, and what was signed before brings none back."""
        for device, word in self.words.items():
            ahead = max([word & LAST, *(one.value & LAST for one in self.letters)]) + 1
            if word & LAST < LAST:
                self.do("revokeDevice", device, min(ahead, LAST), SUBJECT)
            assert self.contract.classesOf(self.people[SUBJECT], device) == 0
        for one in self.letters:
            self.do(one.function, one.device, one.value, one.by, one.deadline, one.signature)
        self.invariant_contract_is_the_model()
        assert all(word >> 16 & 0xFFFFFF == 0 for word in self.words.values())


@pytest.mark.spec("E3", "E8", "E10", "E11", "E12", "E13", "E14", "E17", "E21", "E23")
def test_devices_agree_with_their_model(
    state_machine, devices, delegations, accounts, patient, relayer, sign, domain_of
):
    people = (patient, *accounts[11:15])
    keys = [account.address for account in accounts[15:17]]
    domain = domain_of(devices)
    state_machine(
        StateMachine, devices, delegations, people, keys, relayer.address, sign, domain, settings=effort(3, steps=12)
    )
