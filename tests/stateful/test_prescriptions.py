"""Prescriptions, alone and in a batch, filled, moved, cancelled and supplied in any order, by whoever may and may not.

A model says what each step does; after every step the contract keeps what the model keeps, and no fill was ever given
twice. A relayer holds every fill that was signed and sends it whenever it harms. At the end of every run the prescriber
cancels all, and nothing that was ever signed gives another fill.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace

import pytest
from brownie import chain
from hypothesis import strategies as st

from tests.support.fixtures import DAY
from tests.support.prescribing import NOBODY, Counter, Prescription, Terms
from tests.support.profiles import effort
from tests.support.reverts import reverts

FILLS, QUANTITY, DAYS = 3, 10, 4
ALONE, FIRST, SECOND = range(3)  # one alone and two of a batch


class StateMachine:
    st_which = st.integers(0, 2)
    st_pharmacy = st.integers(0, 1)
    st_by = st.sampled_from([0, 0, 0, 1, 1])  # which pharmacy acts
    st_number = st.sampled_from([0, 0, 0, 0, 1, -1])  # how far from the next fill
    st_before = st.sampled_from([0, 0, 0, 0, 1])
    st_quantity = st.sampled_from([10, 10, 4, 6, 1, 0, 11])
    st_form = st.sampled_from(["direct", "direct", "signed"])
    st_pick = st.integers(0, 1000)
    st_days = st.sampled_from([1, 1, 2])

    def __init__(cls, counter, clinic, patient, pharmacies, registrar, admin):  # noqa: N805 - Brownie calls it on the class
        cls.counter, cls.clinic, cls.patient, cls.pharmacies = counter, clinic, patient, pharmacies
        cls.registrar, cls.admin = registrar, admin

    def setup(self):
        first = self.pharmacies[0].address
        today = chain[-1].timestamp // DAY
        terms = Terms(first, FILLS, QUANTITY, today + DAYS)
        alone = Prescription(self.clinic.address, self.patient.address, b"\x22" * 32)
        batch = Prescription(self.clinic.address, NOBODY, b"\x33" * 32)
        self.counter.issue(alone, terms, self.clinic)
        self.counter.issue(batch, terms.changed(size=2), self.clinic)
        self.batch = batch
        self.ones = [alone, batch.at(1), batch.at(2)]
        self.until = terms.valid_until
        self.held = [(0, 0)] * 3  # number, filled
        self.keeper = [0] * 3  # which pharmacy
        self.moves = [0] * 3
        self.cancelled = [False] * 3
        self.opened = [True, False, False]
        self.letters = []
        self.given = Tally()  # quantity by prescription and fill
        self.supplied = set()

    # -- the model ----------------------------------------------------------------------------------------------

    def today(self):
        return chain[-1].timestamp // DAY

    def id(self, which):
        return self.ones[which].id

    def refusal(self, which, number, before, quantity, by):
        """Why a fill is refused, if it is."""
        at, one = self.id(which), self.held[which]
        if self.keeper[which] != by:
            return "PharmacyRequired", at, self.pharmacies[self.keeper[which]].address
        if self.cancelled[which]:
            return "AlreadyCancelled", at
        if self.today() > self.until:
            return "PrescriptionExpired", at, self.until
        latest, filled = one
        goes_on = number == latest and latest > 0 and filled < QUANTITY
        if not goes_on:
            if number <= latest:
                return "AlreadyFilled", at, latest + 1
            if number > FILLS:
                return "FillsExhausted", at, FILLS
            if number != latest + 1:
                return "FillSkipped", at, latest + 1
            filled = 0
        if before != filled:
            return "FillChanged", at, filled
        left = QUANTITY - filled
        return None if 0 < quantity <= left else ("QuantityNotPossible", at, left)

    def fill(self, which, number, before, quantity, by, counter):
        refusal = self.refusal(which, number, before, quantity, by)
        given = (self.id(which), number, before, quantity, self.pharmacies[by])
        if refusal is not None:
            if counter.form == "signed" and refusal[0] == "PharmacyRequired":
                refusal = "SignatureInvalid", refusal[2]  # it is named, and did not sign
            with reverts(*refusal):
                counter.fill(*given)
            return
        counter.fill(*given)
        self.held[which] = (number, before + quantity)
        self.opened[which] = True
        self.given[which, number] += quantity

    def live(self):
        return replace(self.counter, deadline=chain[-1].timestamp + 3600)

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_fill(self, st_which, st_number, st_before, st_quantity, st_by, st_form):
        latest, filled = self.held[st_which]
        goes_on = latest > 0 and filled < QUANTITY
        number = max(0, (latest if goes_on else latest + 1) + st_number)
        before = (filled if goes_on and number == latest else 0) + st_before
        self.letters.append((st_which, number, before, st_quantity, st_by))
        self.fill(st_which, number, before, st_quantity, st_by, self.live().by(st_form))

    def rule_send_again(self, st_pick, st_form):
        if self.letters:
            self.fill(*self.letters[st_pick % len(self.letters)], self.live().by(st_form))

    def rule_fill_with_the_batch(self, st_which, st_by):
        which = max(FIRST, st_which)
        latest = self.held[which][0]
        call = (self.batch.id, [(which, latest + 1)], self.pharmacies[st_by])
        if st_by != 0:
            with reverts("PharmacyRequired", self.batch.id, self.pharmacies[0].address):
                self.counter.fill_batch(*call)
        elif self.today() > self.until:
            with reverts("PrescriptionExpired", self.batch.id, self.until):
                self.counter.fill_batch(*call)
        elif self.opened[which]:
            with reverts("AlreadyOpened", self.id(which)):
                self.counter.fill_batch(*call)
        elif latest == FILLS:
            with reverts("FillsExhausted", self.id(which), FILLS):
                self.counter.fill_batch(*call)
        else:
            self.counter.fill_batch(*call)
            self.held[which] = (latest + 1, QUANTITY)
            self.given[which, latest + 1] += QUANTITY

    def rule_choose(self, st_which, st_pharmacy):
        latest, filled = self.held[st_which]
        by = self.patient if st_which == ALONE else self.clinic
        call = (self.ones[st_which], self.pharmacies[st_pharmacy], by)
        sequence = self.moves[st_which]
        if latest > 0 and filled < QUANTITY:
            refusal = "FillInProgress", self.id(st_which), latest
        elif self.cancelled[st_which]:
            refusal = "AlreadyCancelled", self.id(st_which)
        elif st_pharmacy == self.keeper[st_which]:
            refusal = "PharmacyUnchanged", self.id(st_which)
        else:
            self.counter.choose(*call, sequence=sequence)
            self.move(st_which, st_pharmacy)
            return
        with reverts(*refusal):
            self.counter.choose(*call, sequence=sequence)

    def rule_transfer(self, st_which):
        giving, receiving = self.keeper[st_which], 1 - self.keeper[st_which]
        both = {"giving": self.pharmacies[giving], "receiving": self.pharmacies[receiving]}
        call = {**both, "sender": both["receiving"], "sequence": self.moves[st_which]}
        if self.cancelled[st_which]:
            with reverts("AlreadyCancelled", self.id(st_which)):
                self.live().transfer(self.id(st_which), both["receiving"], **call)
        else:
            self.live().transfer(self.id(st_which), both["receiving"], **call)
            self.move(st_which, receiving)

    def move(self, which, pharmacy):
        self.keeper[which], self.opened[which] = pharmacy, True
        self.moves[which] += 1

    def rule_cancel(self, st_which, st_pick):
        if st_pick % 4:
            return
        if self.cancelled[st_which]:
            with reverts("AlreadyCancelled", self.id(st_which)):
                self.counter.cancel(self.ones[st_which], self.clinic)
        else:
            self.counter.cancel(self.ones[st_which], self.clinic)
            self.cancelled[st_which] = self.opened[st_which] = True

    def rule_supply(self, st_which, st_by):
        latest, filled = self.held[st_which]
        at, call = self.id(st_which), (self.ones[st_which], 1, self.pharmacies[st_by])
        if st_which in self.supplied:
            refusal = "SupplyRepeated", at
        elif self.cancelled[st_which]:
            refusal = "AlreadyCancelled", at
        elif (latest, filled) != (FILLS, QUANTITY) and self.today() <= self.until:
            refusal = "SupplyNotNeeded", at
        elif st_by != self.keeper[st_which]:
            refusal = "PharmacyRequired", at, self.pharmacies[self.keeper[st_which]].address
        else:
            self.counter.supply(*call)
            self.supplied.add(st_which)
            return
        with reverts(*refusal):
            self.counter.supply(*call)

    def rule_wait(self, st_days):
        chain.sleep(st_days * DAY)
        chain.mine()

    # -- what must hold -----------------------------------------------------------------------------------------

    def invariant_contract_keeps_what_the_model_keeps(self):
        for which in range(3):
            state = self.counter.state(self.id(which))
            assert (state.number, state.filled) == self.held[which]
            assert state.pharmacy == self.pharmacies[self.keeper[which]].address
            assert (state.sequence, state.cancelled) == (self.moves[which], self.cancelled[which])

    def invariant_no_fill_is_given_twice(self):
        assert all(quantity <= QUANTITY for quantity in self.given.values())
        assert all(1 <= number <= FILLS for _, number in self.given)

    def teardown(self):
        for which in range(3):
            if not self.cancelled[which]:
                self.counter.cancel(self.ones[which], self.clinic)
                self.cancelled[which] = True
        for letter in self.letters:
            self.fill(*letter, self.live().by("signed"))


@pytest.mark.spec("F10", "F11", "F12", "F13", "F15", "F25", "F28", "F30")
def test_fills_are_given_once_in_any_order(
    state_machine, prescriptions, parties, accredit, domain_of, sign, relayer, clinic, patient, pharmacy, accounts,
    registrar, admin, deadline,
):  # fmt: skip
    second = accounts[13]
    accredit(second, 3)
    counter = Counter(prescriptions, domain_of(prescriptions), sign, relayer, deadline)
    people = (counter, clinic, patient, (pharmacy, second), registrar, admin)
    state_machine(StateMachine, *people, settings=effort(examples=8, steps=14))
