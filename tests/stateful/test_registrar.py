from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from brownie import chain, web3
from hypothesis import strategies as st

from tests.support.fixtures import CREDENTIAL, DAY, NOBODY, SALTED
from tests.support.profiles import effort
from tests.support.reverts import reverts

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
    key: bytes = b"\0" * 32  # for encryption


class StateMachine:
    initial = None  # the model as every example starts

    st_who = st.integers(0, 5)
    st_other = st.integers(0, 5)
    st_party = st.integers(0, 11)
    st_kind = st.integers(1, 6)
    st_group = st.integers(1, 6)
    st_days = st.integers(0, 6)
    st_flag = st.booleans()
    st_key = st.sampled_from([0, 1, 2])

    def __init__(cls, registrar, admin, people):  # noqa: N805 - Brownie calls it on the class
        cls.registrar, cls.admin, cls.people = registrar, admin, people

    def setup(self):
        self.changed = True  # since the contract was last compared with the model
        if self.initial is None:
            self.begin()
            type(self).initial = deepcopy((self.parties, self.identities, self.group_count))
            chain.snapshot()  # every further example starts from here
        self.parties, self.identities, self.group_count = deepcopy(self.initial)

    def begin(self):
        """Three parties: one offers its place, one is recovered, one is in three groups."""
        self.parties: dict[str, Party] = {}
        self.identities: set[str] = set()
        self.group_count = 2
        for who in range(3):
            self.rule_accredit(who, who + 1, 2 * who)
            self.rule_publish_encryption_key(who, 1 + who % 2)
        self.rule_offer_account(0, 3)
        self.rule_start_recovery(1, 4)
        for group in (2, 3, 4):
            self.rule_create_group()
            self.rule_join_group(2, group)

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
        self.changed = True
        return method(*arguments, {"from": sender})

    def pick(self, number, among=None):
        """Mostly the identity of a party, or of one of those given."""
        identities = [one for one in self.parties if among is None or among(self.parties[one])]
        return identities[number % len(identities)] if identities and number < 10 else self.people[number % 6]

    def account(self, identity):
        return self.parties[identity].account if identity in self.parties else identity

    def named(self, identity):
        return None if identity in self.parties else ("PartyUnknown", identity)

    # -- accreditation ------------------------------------------------------------------------------------------

    def rule_accredit(self, st_who, st_kind, st_days):
        account, last = self.people[st_who], self.today + st_days
        error = self.free(account)
        if self.send(self.registrar.accredit, account, st_kind, CREDENTIAL, last, sender=self.admin, error=error):
            self.parties[account] = Party(account, st_kind, CREDENTIAL, last)
            self.identities.add(account)

    def rule_renew(self, st_party, st_days):
        identity, last = self.pick(st_party), self.today + st_days
        error = self.named(identity)
        if self.send(self.registrar.renew, identity, SALTED, last, sender=self.admin, error=error):
            self.parties[identity].valid_until = last
            self.parties[identity].credential = SALTED

    def rule_suspend_or_reinstate(self, st_party, st_flag):
        identity = self.pick(st_party)
        error = self.named(identity)
        if error is None and self.parties[identity].suspended == st_flag:
            error = ("PartyAlreadySuspended" if st_flag else "PartyNotSuspended", identity)
        method = self.registrar.suspend if st_flag else self.registrar.reinstate
        if self.send(method, identity, sender=self.admin, error=error):
            self.parties[identity].suspended = st_flag

    def rule_remove(self, st_party):
        self.remove(self.pick(st_party))

    def remove(self, identity):
        if self.send(self.registrar.remove, identity, sender=self.admin, error=self.named(identity)):
            del self.parties[identity]

    # -- groups -------------------------------------------------------------------------------------------------

    def rule_create_group(self):
        tx = self.send(self.registrar.createGroup, "a group", sender=self.admin, error=None)
        self.group_count += 1
        assert tx.events["GroupCreated"]["group"] == self.group_count

    def rule_join_group(self, st_party, st_group):
        identity = self.pick(st_party)
        error = self.named(identity) or self.known(st_group)
        if error is None and st_group in self.parties[identity].groups:
            error = ("GroupAlreadyJoined", identity, st_group)
        if error is None and len(self.parties[identity].groups) == 4:
            error = ("GroupPlacesFull", identity)
        if self.send(self.registrar.joinGroup, st_group, identity, sender=self.admin, error=error):
            self.parties[identity].groups.insert(0, st_group)

    def rule_leave_group(self, st_party, st_group):
        identity = self.pick(st_party)
        error = self.named(identity) or self.known(st_group)
        if error is None and st_group not in self.parties[identity].groups:
            error = ("GroupNotJoined", identity, st_group)
        if self.send(self.registrar.leaveGroup, st_group, identity, sender=self.admin, error=error):
            self.parties[identity].groups.remove(st_group)

    def known(self, group):
        return None if EVERYONE < group <= self.group_count else ("GroupUnknown", group)

    # -- change of account --------------------------------------------------------------------------------------

    def rule_offer_account(self, st_party, st_other):
        sender, to = self.account(self.pick(st_party)), self.people[st_other]
        identity = self.acting(sender)
        error = ("PartyInactive", sender) if identity is None else None
        if error is None and self.parties[identity].recovery:
            error = ("RecoveryUnderWay", identity)
        tx = self.send(self.registrar.offerAccount, to, sender=sender, error=error or self.free(to))
        if tx:
            party = self.parties[identity]
            party.to, party.ready_at, party.recovery = to, tx.timestamp, False

    def rule_withdraw_offer(self, st_party):
        sender = self.account(self.pick(st_party))
        identity = self.acting(sender)
        error = ("PartyInactive", sender) if identity is None else None
        if error is None and (self.parties[identity].to is None or self.parties[identity].recovery):
            error = ("AccountChangeUnknown", identity)
        if self.send(self.registrar.withdrawOffer, sender=sender, error=error):
            self.forget_change(identity)

    def rule_start_recovery(self, st_party, st_other):
        identity, to = self.pick(st_party), self.people[st_other]
        error = self.named(identity) or self.free(to)
        tx = self.send(self.registrar.startRecovery, identity, to, sender=self.admin, error=error)
        if tx:
            party = self.parties[identity]
            party.to, party.ready_at, party.recovery = to, tx.timestamp + RECOVERY_DELAY, True

    def rule_cancel_recovery(self, st_party):
        identity = self.pick(st_party)
        under_way = identity in self.parties and self.parties[identity].recovery
        error = None if under_way else ("AccountChangeUnknown", identity)
        if self.send(self.registrar.cancelRecovery, identity, sender=self.admin, error=error):
            self.forget_change(identity)

    def rule_take_account(self, st_party, st_other):
        identity, sender = self.pick(st_party), self.people[st_other]
        self.take(identity, sender)

    def rule_take_account_as_named(self, st_party):
        identity = self.pick(st_party, lambda party: party.to)
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
            if party.recovery:
                party.key = b"\0" * 32
            self.forget_change(identity)

    def forget_change(self, identity):
        party = self.parties[identity]
        party.to, party.ready_at, party.recovery = None, 0, False

    # -- encryption keys ----------------------------------------------------------------------------------------

    def rule_publish_encryption_key(self, st_party, st_key):
        """The account of a party, or any other, publishes a key; zero withdraws it."""
        sender, key = self.account(self.pick(st_party)), bytes([st_key]) * 32
        identity = self.acting(sender)
        error = ("PartyInactive", sender) if identity is None else None
        if self.send(self.registrar.publishEncryptionKey, key, sender=sender, error=error):
            self.parties[identity].key = key

    # -- time ---------------------------------------------------------------------------------------------------

    def rule_days_pass(self, st_days):
        # To noon, so that no transaction of an example runs across midnight.
        chain.mine(timestamp=(self.today + st_days + 1) * DAY + DAY // 2)
        self.changed = True

    # -- the proof ----------------------------------------------------------------------------------------------

    def invariant_contract_agrees_with_the_model(self):
        if self.changed:  # a step that reverted, as the model said it would, changed nothing
            self.compare()
            self.changed = False

    def compare(self):
        """Every account reads in the contract as in the model: what it acts for, what it is the identity of."""
        found = iter(
            read_all(
                self.registrar,
                [("groupCount",)]
                + [
                    (view, person)
                    for person in self.people
                    for view in (
                        "partyOf",
                        "standingOf",
                        "accountOf",
                        "credentialOf",
                        "encryptionKeyOf",
                        "accountChangeOf",
                    )
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
            assert next(found) == ("0x" + party.key.hex() if party else ZERO)
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
            self.remove(identity)
        self.compare()
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


@pytest.mark.spec("R6", "R14", "R15", "R16", "R36", "R46", "R47", "R48", "R49")
def test_registrar_agrees_with_its_model(state_machine, registrar, admin, accounts):
    people = [account.address for account in accounts[1:7]]
    chain.mine(timestamp=(chain.time() // DAY + 1) * DAY + DAY // 2)

    state_machine(StateMachine, registrar, admin, people, settings=effort(8, steps=10))
