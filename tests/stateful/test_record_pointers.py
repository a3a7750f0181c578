from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import pytest
from brownie import chain, web3
from hypothesis import strategies as st

from medproof import messages
from medproof.client.record_pointers import PointerKey
from medproof.errors import MerkleProofError
from medproof.merkle import MerkleLog, verify_inclusion
from medproof.policy.codes import DataClass
from tests.support.fixtures import NOBODY
from tests.support.profiles import effort
from tests.support.reverts import reverts

POSTED, ACCEPTED, DISPUTED, AMENDED, DENIED = 1, 2, 3, 4, 5
ZERO = "0x" + "00" * 32
REASON = b"\x33" * 32
NO_END = 2**256 - 1


@dataclass
class Pointer:
    """What the model keeps of a pointer, under its subject, origin and commitment."""

    custodian: str
    data_class: int
    status: int = POSTED
    version: int = 1
    sequence: int = 1
    previous: tuple[str, str, bytes] | None = None
    offered: str | None = None


class Batch:
    """Pointers of one origin under one root; each as (subject, origin, commitment), all of one class."""

    def __init__(self, keys, data_class):
        self.keys, self.data_class = keys, data_class
        self.leaves = [PointerKey(*key).leaf(DataClass(1 << data_class)) for key in keys]
        self.log = MerkleLog(self.leaves)
        self.root = self.log.root()

    def place(self, index):
        return (self.root, index, list(self.log.inclusion_proof(index)))

    def shows(self, leaf, place, size):
        """Whether the package, which has its own verifier, finds the leaf at a place of a batch said to be so large."""
        root, index, proof = place
        try:
            verify_inclusion(leaf, index, size, proof, root)
        except MerkleProofError:
            return False
        return True


class StateMachine:
    initial = None  # the model as every example starts

    st_subject = st.integers(0, 1)
    st_origin = st.integers(0, 2)
    st_commitment = st.integers(1, 2)
    st_new = st.integers(1, 3)
    st_sender = st.integers(0, 2)
    st_to = st.integers(-1, 3)
    st_class = st.integers(19, 22)
    st_status = st.sampled_from([ACCEPTED, DISPUTED])
    st_letter = st.integers(0, 7)
    st_pointer = st.integers(0, 11)
    st_batch = st.integers(0, 5)
    st_index = st.integers(0, 4)
    st_size = st.sampled_from([5, 5, 5, 6, 0])
    st_who = st.sampled_from(["subject", "custodian", "signed", "subject", "custodian", "signed", "relayer", "other"])
    st_moved = st.sampled_from([0, 0, 0, 0, 1])

    def __init__(cls, record_pointers, registrar, admin, subjects, providers, spares, relayer, sign, domain):  # noqa: N805 - Brownie calls it on the class
        cls.contract, cls.registrar, cls.admin = record_pointers, registrar, admin
        cls.subjects, cls.providers, cls.spares = subjects, providers, spares
        cls.relayer, cls.sign, cls.domain = relayer, staticmethod(sign), domain
        # Two batches of each origin, which share all but one pointer.
        cls.batches = [
            Batch([(subjects[place % 2], origin, bytes([1 + (place + turn) % 3]) * 32) for place in range(5)], 5 + turn)
            for origin in providers
            for turn in (0, 1)
        ]

    def setup(self):
        self.changed = True  # since the contract was last compared with the model
        self.accounts = {provider: provider for provider in self.providers}  # which acts for the identity
        self.suspended: set[str] = set()
        self.unused = list(self.spares)
        if self.initial is None:
            self.begin()
            type(self).initial = deepcopy((self.pointers, self.letters, self.posted))
            chain.snapshot()  # every further example starts from here
        self.pointers, self.letters, self.posted = deepcopy(self.initial)

    def begin(self):
        """Four pointers: one offered and signed for, one of two versions, one accepted, one of a batch and denied."""
        self.pointers: dict[tuple[str, str, bytes], Pointer] = {}
        self.posted: dict[tuple[str, bytes], int] = {}  # the batches' sizes
        self.letters: list[tuple[tuple[str, str, bytes], int, int, bytes]] = []  # signed answers, sent or not
        self.rule_post(0, 0, 1, 19)
        self.rule_sign(0, DISPUTED)
        self.offer(self.key(0, 0, 1), 1, self.providers[0])
        self.rule_post(1, 1, 1, 20)
        self.amend(self.key(1, 1, 1), 2, self.providers[1])
        self.rule_post(1, 2, 1, 21)
        self.answer(self.key(1, 2, 1), ACCEPTED)
        self.rule_post_batch(0, 0, 5)
        self.rule_open(0, 1, "subject", 0)
        self.answer(self.batches[0].keys[1], DISPUTED)
        self.deny(self.batches[0].keys[1], self.providers[0])

    # -- the model ----------------------------------------------------------------------------------------------

    def key(self, subject, origin, commitment):
        return (self.subjects[subject], self.providers[origin], bytes([commitment]) * 32)

    def pick(self, number, among=None):
        """Mostly a pointer that exists, or one of those given."""
        keys = [key for key in self.pointers if among is None or among(self.pointers[key])]
        return keys[number % len(keys)] if keys and number < 10 else self.key(number % 2, number % 3, 1 + number % 3)

    def id_of(self, key):
        return str(self.contract.pointerId(*key))

    def send(self, method, *arguments, sender, error):
        """Send a transaction that reverts as the model says, or does not; tells whether it went through."""
        if error is not None:
            with reverts(*error):
                method.call(*arguments, {"from": sender})
            return None
        self.changed = True
        return method(*arguments, {"from": sender})

    def inactive(self, identity):
        return ("ProviderRequired", self.accounts[identity]) if identity in self.suspended else None

    def not_current(self, key):
        if key not in self.pointers:
            return ("PointerUnknown", self.id_of(key))
        return ("PointerOutdated", self.id_of(key)) if self.pointers[key].status == AMENDED else None

    def not_held(self, key, identity):
        error = self.not_current(key) or self.inactive(identity)
        if error is None and self.pointers[key].custodian != identity:
            error = ("CustodianRequired", self.id_of(key), self.pointers[key].custodian)
        return error

    def not_answered(self, key, status):
        error = self.not_current(key)
        if error is None and self.pointers[key].status == status:
            error = ("AnswerUnchanged", self.id_of(key))
        return error

    # -- posting ------------------------------------------------------------------------------------------------

    def rule_post(self, st_subject, st_origin, st_commitment, st_class):
        key = self.key(st_subject, st_origin, st_commitment)
        subject, identity, commitment = key
        error = self.inactive(identity)
        if error is None and st_class > 21:
            error = ("DataClassUnknown", st_class)
        if error is None and key in self.pointers:
            error = ("PointerExists", self.id_of(key))
        sender = self.accounts[identity]
        if self.send(self.contract.post, subject, st_class, commitment, sender=sender, error=error):
            self.pointers[key] = Pointer(identity, st_class)

    def rule_amend(self, st_pointer, st_new, st_sender):
        self.amend(self.pick(st_pointer), st_new, self.providers[st_sender])

    def rule_amend_as_custodian(self, st_pointer, st_new):
        key = self.pick(st_pointer)
        self.amend(key, st_new, self.pointers[key].custodian if key in self.pointers else self.providers[0])

    def amend(self, key, new, identity):
        new_key = (key[0], identity, bytes([new]) * 32)
        error = self.not_held(key, identity)
        if error is None and new_key in self.pointers:
            error = ("PointerExists", self.id_of(new_key))
        sender = self.accounts[identity]
        if self.send(self.contract.amend, *key, new_key[2], sender=sender, error=error):
            old = self.pointers[key]
            old.status, old.sequence, old.offered = AMENDED, old.sequence + 1, None
            self.pointers[new_key] = Pointer(identity, old.data_class, version=old.version + 1, previous=key)

    # -- batches ------------------------------------------------------------------------------------------------

    def rule_post_batch(self, st_sender, st_batch, st_size):
        """A provider posts a root, its own or what another's pointers have, with a true size or a false one."""
        identity, root = self.providers[st_sender], self.batches[st_batch].root
        error = ("BatchEmpty", "0x" + root.hex()) if st_size == 0 else self.inactive(identity)
        if error is None and (identity, root) in self.posted:
            error = ("BatchExists", identity, "0x" + root.hex())
        if self.send(self.contract.postBatch, root, st_size, sender=self.accounts[identity], error=error):
            self.posted[identity, root] = st_size

    def rule_post_own_batch(self, st_batch):
        self.rule_post_batch(st_batch // 2, st_batch, 5)

    def rule_open(self, st_batch, st_index, st_who, st_moved):
        """Somebody opens a pointer, perhaps again; where it is moved, with the index of its neighbour."""
        batch = self.batches[st_batch]
        key = subject, origin, commitment = batch.keys[st_index]
        root, index, proof = batch.place(st_index)
        place = (root, index + st_moved, proof)
        senders = {"subject": subject, "custodian": self.accounts[origin], "other": self.other(origin)}
        sender = senders.get(st_who, self.relayer)
        signed = {"subject": subject, "custodian": origin, "data_class": batch.data_class, "commitment": commitment}
        message = messages.opening(self.domain, **signed, deadline=NO_END)
        signature = self.sign(subject, message) if st_who == "signed" else b""

        error = None
        if st_who in ("relayer", "other") or (st_who == "custodian" and origin in self.suspended):
            error = ("OpeningNotYours", subject, sender)
        elif not batch.shows(batch.leaves[st_index], place, self.posted.get((origin, root), 0)):
            error = ("PointerNotInBatch", "0x" + batch.leaves[st_index].hex(), "0x" + root.hex())
        elif key in self.pointers:
            error = ("PointerExists", self.id_of(key))
        rest = (batch.data_class, commitment, place, NO_END, signature)
        if self.send(self.contract.open, subject, origin, *rest, sender=sender, error=error):
            self.pointers[key] = Pointer(origin, batch.data_class)

    def other(self, identity):
        """The account of another provider."""
        return next(account for provider, account in self.accounts.items() if provider != identity)

    # -- the subject's answer -----------------------------------------------------------------------------------

    def rule_answer(self, st_pointer, st_status):
        key = self.pick(st_pointer)
        self.answer(key, st_status)

    def answer(self, key, status):
        subject, origin, commitment = key
        error = self.not_answered(key, status)
        if status == ACCEPTED:
            tx = self.send(self.contract.accept, origin, commitment, sender=subject, error=error)
        else:
            tx = self.send(self.contract.dispute, origin, commitment, REASON, sender=subject, error=error)
        if tx:
            self.mark(key, status)

    def mark(self, key, status):
        self.pointers[key].status = status
        self.pointers[key].sequence += 1

    def rule_sign(self, st_pointer, st_status):
        """The subject signs an answer to a pointer as it stands now; whether it is ever sent is another matter."""
        key = self.pick(st_pointer)
        if key not in self.pointers:
            return
        subject, origin, commitment = key
        fields = {"subject": subject, "custodian": origin, "commitment": commitment, "deadline": NO_END}
        fields["sequence"] = self.pointers[key].sequence
        if st_status == ACCEPTED:
            message = messages.acceptance(self.domain, **fields)
        else:
            message = messages.dispute(self.domain, reason=REASON, **fields)
        self.letters.append((key, st_status, fields["sequence"], self.sign(subject, message)))

    def rule_relay(self, st_letter):
        """Anyone sends a signed answer, or sends it again."""
        if not self.letters:
            return
        key, status, sequence, signature = self.letters[st_letter % len(self.letters)]
        error = self.not_current(key)
        if error is None and self.pointers[key].sequence != sequence:
            error = ("PointerChanged", self.id_of(key), self.pointers[key].sequence)
        error = error or self.not_answered(key, status)
        rest = (sequence, NO_END, signature)
        if status == ACCEPTED:
            tx = self.send(self.contract.acceptFor, *key, *rest, sender=self.relayer, error=error)
        else:
            tx = self.send(self.contract.disputeFor, *key, REASON, *rest, sender=self.relayer, error=error)
        if tx:
            self.mark(key, status)

    # -- the custodian's answer ---------------------------------------------------------------------------------

    def rule_deny(self, st_pointer, st_sender):
        self.deny(self.pick(st_pointer), self.providers[st_sender])

    def rule_deny_as_custodian(self, st_pointer):
        key = self.pick(st_pointer, lambda pointer: pointer.status == DISPUTED)
        self.deny(key, self.pointers[key].custodian if key in self.pointers else self.providers[0])

    def deny(self, key, identity):
        error = self.not_held(key, identity)
        if error is None and self.pointers[key].status != DISPUTED:
            error = ("PointerNotDisputed", self.id_of(key))
        if self.send(self.contract.denyDispute, *key, REASON, sender=self.accounts[identity], error=error):
            self.mark(key, DENIED)

    # -- custody ------------------------------------------------------------------------------------------------

    def rule_offer_custody(self, st_pointer, st_to):
        key = self.pick(st_pointer)
        self.offer(key, st_to, self.pointers[key].custodian if key in self.pointers else self.providers[0])

    def rule_offer_custody_as_anyone(self, st_pointer, st_to, st_sender):
        self.offer(self.pick(st_pointer), st_to, self.providers[st_sender])

    def offer(self, key, to, identity):
        taker = [*self.providers, self.relayer, NOBODY][to]  # -1 withdraws
        sender = self.accounts[identity]
        error = self.not_held(key, identity)
        if self.send(self.contract.offerCustody, *key, taker, sender=sender, error=error):
            self.pointers[key].offered = None if taker == NOBODY else taker

    def rule_take_custody(self, st_pointer, st_sender):
        self.take(self.pick(st_pointer), self.providers[st_sender])

    def rule_take_custody_as_offered(self, st_pointer):
        key = self.pick(st_pointer, lambda pointer: pointer.offered)
        offered = self.pointers[key].offered if key in self.pointers else None
        self.take(key, offered if offered in self.providers else self.providers[0])

    def take(self, key, identity):
        error = self.not_current(key) or self.inactive(identity)
        if error is None and self.pointers[key].offered != identity:
            error = ("CustodyNotOffered", self.id_of(key), identity)
        if self.send(self.contract.takeCustody, *key, sender=self.accounts[identity], error=error):
            pointer = self.pointers[key]
            pointer.custodian, pointer.offered = identity, None
            pointer.sequence += 1

    # -- what happens to providers meanwhile --------------------------------------------------------------------

    def rule_suspend_or_reinstate(self, st_sender):
        identity = self.providers[st_sender]
        if identity in self.suspended:
            self.registrar.reinstate(identity, {"from": self.admin})
        else:
            self.registrar.suspend(identity, {"from": self.admin})
        self.suspended ^= {identity}

    def rule_rotate(self, st_sender):
        identity = self.providers[st_sender]
        if identity in self.suspended or not self.unused:
            return
        account = self.unused.pop()
        self.registrar.offerAccount(account, {"from": self.accounts[identity]})
        self.registrar.takeAccount(identity, {"from": account})
        self.accounts[identity] = account

    # -- the proof ----------------------------------------------------------------------------------------------

    def invariant_contract_agrees_with_the_model(self):
        if self.changed:  # a step that reverted, as the model said it would, changed nothing
            self.compare()
            self.changed = False

    def compare(self):
        """Every pointer reads in the contract as in the model, and those that were not posted as zero."""
        keys = [self.key(*numbers) for numbers in ((s, o, c) for s in (0, 1) for o in (0, 1, 2) for c in (1, 2, 3))]
        known = [key for key in keys if key in self.pointers]
        unknown = next((key for key in keys if key not in self.pointers), None)
        ids = read_all(self.contract, [("pointerId", *key) for key in known])
        id_of = dict(zip(known, ids, strict=True))
        views = ("pointerOf", "previousOf", "nextCustodianOf")
        found = iter(read_all(self.contract, [(view, id_of[key]) for key in known for view in views]))
        for key in known:
            entry = self.pointers[key]
            assert next(found) == (entry.custodian, entry.data_class, entry.status, entry.version, entry.sequence)
            assert next(found) == (id_of[entry.previous] if entry.previous else ZERO)
            assert next(found) == (entry.offered or NOBODY)
        roots = [(provider, batch.root) for provider in self.providers for batch in self.batches]
        sizes = read_all(self.contract, [("batchOf", *root) for root in roots])
        assert sizes == [self.posted.get(root, 0) for root in roots]
        if unknown is not None:
            assert self.contract.pointerOf(self.id_of(unknown)) == (NOBODY, 0, 0, 0, 0)

    def teardown(self):
        """The subject of every pointer that stands can give the other answer."""
        for key, pointer in self.pointers.items():
            if pointer.status != AMENDED:
                self.answer(key, ACCEPTED if pointer.status == DISPUTED else DISPUTED)
        self.compare()


def read_all(contract, calls):
    """Ask views of a contract, each given as its name and arguments, in one request."""
    methods = [getattr(contract, name) for name, *_ in calls]
    requests = [
        ("eth_call", [{"to": contract.address, "data": method.encode_input(*arguments)}, "latest"])
        for method, (_, *arguments) in zip(methods, calls, strict=True)
    ]
    answers = web3.provider.make_batch_request(requests) if requests else []
    return [method.decode_output(answer["result"]) for method, answer in zip(methods, answers, strict=True)]


@pytest.mark.spec(
    "P8", "P11", "P13", "P19", "P25", "P31", "P33", "P35", "P37", "P40", "P41", "P42", "P43", "P46", "P47", "P48"
)
def test_record_pointers_agree_with_their_model(
    state_machine,
    record_pointers,
    registrar,
    parties,
    admin,
    patient,
    second_patient,
    clinic,
    second_clinic,
    emergency_department,
    relayer,
    accounts,
    sign,
    domain_of,
):
    state_machine(
        StateMachine,
        record_pointers,
        registrar,
        admin,
        [patient.address, second_patient.address],
        [clinic.address, second_clinic.address, emergency_department.address],
        [account.address for account in accounts[13:17]],
        relayer.address,
        sign,
        domain_of(record_pointers),
        settings=effort(8, steps=10),
    )
