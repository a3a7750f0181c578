from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest
from brownie import chain, web3
from hypothesis import strategies as st

from tests.support.fixtures import CREDENTIAL, DAY, NOBODY, SALTED
from tests.support.reverts import reverts

DEEP = os.environ.get("MEDPROOF_DEEP") == "1"
SETTINGS = {"max_examples": 150, "stateful_step_count": 40} if DEEP else {"max_examples": 12, "stateful_step_count": 15}
RECOVERY_DELAY = 3 * DAY
EVERYONE = 1
ZERO = "0x" + "00" * 32


@dataclass
class Party:
    """What the model keeps of a party, under its identity."""

    account: str
    kind: int
    credential: bytes
    valid_until: int
    suspended: bool = False
    groups: list[int] = field(default_factory=list)  # the latest first
    to: str | None = None  # the change of account under way
    ready_at: int = 0
    recovery: bool = False


class StateMachine:
    st_who = st.integers(0, 4)
    st_other = st.integers(0, 4)
    st_kind = st.integers(1, 6)
    st_group = st.integers(0, 8)
    st_days = st.integers(0, 6)
    st_flag = st.booleans()

    def __init__(cls, registrar, admin, people):  # noqa: N805 - Brownie calls it on the class
        cls.registrar, cls.admin, cls.people = registrar, admin, people

    def setup(self):
        self.parties: dict[str, Party] = {}
        self.identities: set[str] = set()
        self.group_count = 2

    # -- the model ----------------------------------------------------------------------------------------------

    @property
    def today(self):
        return self.now // DAY

    @property
    def now(self):
        return chain[-1].timestamp

    def free(self, account):
        """The error that refuses an account as a party's, if any."""
        in_use = account in self.identities or any(party.account == account for party in self.parties.values())
        return ("AccountInUse", account) if in_use else None

    def acting(self, account):
        """The identity of the active party that an account acts for, or None."""
        for identity, party in self.parties.items():
            if party.account == account and not party.suspended and party.valid_until >= self.today:
                return identity
        return None

    def send(self, method, *arguments, sender, error):
        """Send a transaction that reverts as the model says, or does not; tells whether it went through."""
        if error is not None:
            with reverts(*error):
                method.call(*arguments, {"from": sender})
            return None
        return method(*arguments, {"from": sender})

    def named(self, identity):
        return None if identity in self.parties else ("PartyUnknown", identity)

    # -- accreditation ------------------------------------------------------------------------------------------

    def rule_accredit(self, st_who, st_kind, st_days):
        account, last = self.people[st_who], self.today + st_days
        error = self.free(account)
        if self.send(self.registrar.accredit, account, st_kind, CREDENTIAL, last, sender=self.admin, error=error):
            self.parties[account] = Party(account, st_kind, CREDENTIAL, last)
            self.identities.add(account)

    def initialize_parties(self, st_kind):
        for who in range(3):
            self.rule_accredit(who, st_kind, 3)

    def rule_renew(self, st_who, st_days):
        identity, last = self.people[st_who], self.today + st_days
        error = self.named(identity)
        if self.send(self.registrar.renew, identity, SALTED, last, sender=self.admin, error=error):
            self.parties[identity].valid_until = last
            self.parties[identity].credential = SALTED

    def rule_suspend_or_reinstate(self, st_who, st_flag):
        identity = self.people[st_who]
        error = self.named(identity)
        if error is None and self.parties[identity].suspended == st_flag:
            error = ("PartyAlreadySuspended" if st_flag else "PartyNotSuspended", identity)
        method = self.registrar.suspend if st_flag else self.registrar.reinstate
        if self.send(method, identity, sender=self.admin, error=error):
            self.parties[identity].suspended = st_flag

    def rule_remove(self, st_who):
        identity = self.people[st_who]
        if self.send(self.registrar.remove, identity, sender=self.admin, error=self.named(identity)):
            del self.parties[identity]

    # -- groups -------------------------------------------------------------------------------------------------

    def rule_create_group(self):
        tx = self.send(self.registrar.createGroup, "a group", sender=self.admin, error=None)
        self.group_count += 1
        assert tx.events["GroupCreated"]["group"] == self.group_count

    def rule_join_group(self, st_who, st_group):
        identity = self.people[st_who]
        error = self.named(identity) or self.known(st_group)
        if error is None and st_group in self.parties[identity].groups:
            error = ("GroupAlreadyJoined", identity, st_group)
        if error is None and len(self.parties[identity].groups) == 4:
            error = ("GroupPlacesFull", identity)
        if self.send(self.registrar.joinGroup, st_group, identity, sender=self.admin, error=error):
            self.parties[identity].groups.insert(0, st_group)

    def rule_leave_group(self, st_who, st_group):
        identity = self.people[st_who]
        error = self.named(identity) or self.known(st_group)
        if error is None and st_group not in self.parties[identity].groups:
            error = ("GroupNotJoined", identity, st_group)
        if self.send(self.registrar.leaveGroup, st_group, identity, sender=self.admin, error=error):
            self.parties[identity].groups.remove(st_group)

    def known(self, group):
        return None if EVERYONE < group <= self.group_count else ("GroupUnknown", group)

    # -- change of account --------------------------------------------------------------------------------------

    def rule_offer_account(self, st_who, st_other):
        sender, to = self.people[st_who], self.people[st_other]
        identity = self.acting(sender)
        error = ("PartyInactive", sender) if identity is None else None
        if error is None and self.parties[identity].recovery:
            error = ("RecoveryUnderWay", identity)
        tx = self.send(self.registrar.offerAccount, to, sender=sender, error=error or self.free(to))
        if tx:
            party = self.parties[identity]
            party.to, party.ready_at, party.recovery = to, tx.timestamp, False

    def rule_withdraw_offer(self, st_who):
        sender = self.people[st_who]
        identity = self.acting(sender)
        error = ("PartyInactive", sender) if identity is None else None
        if error is None and (self.parties[identity].to is None or self.parties[identity].recovery):
            error = ("AccountChangeUnknown", identity)
        if self.send(self.registrar.withdrawOffer, sender=sender, error=error):
            self.forget_change(identity)

    def rule_start_recovery(self, st_who, st_other):
        identity, to = self.people[st_who], self.people[st_other]
        error = self.named(identity) or self.free(to)
        tx = self.send(self.registrar.startRecovery, identity, to, sender=self.admin, error=error)
        if tx:
            party = self.parties[identity]
            party.to, party.ready_at, party.recovery = to, tx.timestamp + RECOVERY_DELAY, True

    def rule_cancel_recovery(self, st_who):
        identity = self.people[st_who]
        under_way = identity in self.parties and self.parties[identity].recovery
        error = None if under_way else ("AccountChangeUnknown", identity)
        if self.send(self.registrar.cancelRecovery, identity, sender=self.admin, error=error):
            self.forget_change(identity)

    def rule_take_account(self, st_who, st_other):
        identity, sender = self.people[st_who], self.people[st_other]
        self.take(identity, sender)

    def rule_take_account_as_named(self, st_who):
        identity = self.people[st_who]
        self.take(identity, (identity in self.parties and self.parties[identity].to) or self.people[0])

    def take(self, identity, sender):
        party = self.parties.get(identity)
        if party is None or party.to is None:
            error = ("AccountChangeUnknown", identity)
        elif party.to != sender:
            error = ("AccountChangeNotYours", identity, party.to)
        elif self.now < party.ready_at:
            error = ("AccountChangeTooEarly", identity, party.ready_at)
        else:
            error = self.free(sender)
            if error is None and not party.recovery and self.acting(party.account) is None:
                error = ("PartyInactive", party.account)
        if self.send(self.registrar.takeAccount, identity, sender=sender, error=error):
            party.account = sender
            self.forget_change(identity)

    def forget_change(self, identity):
        party = self.parties[identity]
        party.to, party.ready_at, party.recovery = None, 0, False

    def rule_days_pass(self, st_days):
        # To noon, so that no transaction of an example runs across midnight.
        chain.mine(timestamp=(self.today + st_days + 1) * DAY + DAY // 2)

    # -- the proof ----------------------------------------------------------------------------------------------

    def invariant_contract_agrees_with_the_model(self):
        """Every account reads in the contract as in the model: what it acts for, what it is the identity of."""
        found = iter(
            read_all(
                self.registrar,
                [("groupCount",)]
                + [
                    (view, person)
                    for person in self.people
                    for view in ("partyOf", "standingOf", "accountOf", "credentialOf", "accountChangeOf")
                ],
            )
        )
        assert next(found) == self.group_count
        for person in self.people:
            assert next(found) == self.expected_party(person)
            assert next(found) == self.expected_standing(person)
            party = self.parties.get(person)
            assert next(found) == (party.account if party else NOBODY)
            assert next(found) == ("0x" + party.credential.hex() if party else ZERO)
            assert next(found) == (
                (party.to, party.ready_at, party.recovery) if party and party.to else (NOBODY, 0, False)
            )

    def expected_party(self, account):
        for identity, party in self.parties.items():
            if party.account == account:
                return (identity, party.kind, party.suspended, party.valid_until, packed(party.groups))
        return (NOBODY, 0, False, 0, 0)

    def expected_standing(self, account):
        identity = self.acting(account)
        if identity is None:
            return 0
        party = self.parties[identity]
        return int(identity, 16) | party.kind << 160 | packed(party.groups) << 168 | party.valid_until << 232

    def teardown(self):
        """Every party can be removed, and leaves nothing."""
        for identity in list(self.parties):
            self.rule_remove(self.people.index(identity))
        self.invariant_contract_agrees_with_the_model()
        for identity in self.identities:
            with reverts("AccountInUse", identity):
                self.registrar.accredit.call(identity, 1, CREDENTIAL, 65535, {"from": self.admin})


def packed(groups):
    return sum(group << 16 * place for place, group in enumerate(groups))


def read_all(contract, calls):
    """Ask views of a contract, each given as its name and arguments, in one request."""
    methods = [getattr(contract, name) for name, *_ in calls]
    requests = [
        ("eth_call", [{"to": contract.address, "data": method.encode_input(*arguments)}, "latest"])
        for method, (_, *arguments) in zip(methods, calls, strict=True)
    ]
    answers = web3.provider.make_batch_request(requests)
    return [method.decode_output(answer["result"]) for method, answer in zip(methods, answers, strict=True)]


@pytest.mark.spec("R6", "R14", "R15", "R16", "R36", "R46")
def test_registrar_agrees_with_its_model(state_machine, registrar, admin, accounts):
    people = [account.address for account in accounts[1:6]]
    chain.mine(timestamp=(chain.time() // DAY + 1) * DAY + DAY // 2)

    state_machine(StateMachine, registrar, admin, people, settings=SETTINGS)
