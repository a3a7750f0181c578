"""Custodians who keep what they promised late or not at all, and readers who complain of it, rightly or not.

A model says what each call does; after every step the contract keeps what the model keeps. At the end of every run each
custodian clears itself: it appends what it left out, and answers every complaint.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from brownie import chain, web3
from eth_abi import encode
from eth_utils import keccak
from hypothesis import strategies as st

from medproof import messages
from medproof.merkle import MerkleLog
from tests.support.fixtures import NOBODY
from tests.support.profiles import effort
from tests.support.reverts import reverts

ENTRIES = [keccak(bytes([number])) for number in range(3)]


@dataclass
class Kept:
    """One log as the model keeps it."""

    signer: str | None = None
    complaints: dict[bytes, list[int]] = field(default_factory=dict)  # when filed, and when answered
    entries: list[bytes] = field(default_factory=list)  # all that was appended
    anchored: int = 0


class StateMachine:
    st_custodian = st.sampled_from([0, 0, 0, 1])
    st_number = st.sampled_from([0, 0, 0, 1])
    st_entry = st.sampled_from(ENTRIES)
    st_signer = st.sampled_from([0, 0, 0, 1])
    st_wait = st.sampled_from([-100, -100, -100, -1, 0, 100])  # when a promise is due, seconds from now
    st_altered = st.sampled_from([*[None] * 8, "custodian", "log", "entry", "due"])
    st_back = st.sampled_from([0, 0, 0, 1, 2])  # how many leaves a proof is behind
    st_seconds = st.sampled_from([1, 100, 100_000])

    def __init__(cls, contract, anchor, registrar, admin, custodians, signers, reader, sign, domain):  # noqa: N805
        cls.contract, cls.anchor, cls.registrar, cls.admin = contract, anchor, registrar, admin
        cls.custodians, cls.signers, cls.reader = custodians, signers, reader
        cls.sign, cls.domain = staticmethod(sign), domain

    def setup(self):
        self.logs = {(custodian, number): Kept() for custodian in self.custodians for number in range(2)}
        self.suspended: set[str] = set()
        for custodian in range(2):
            self.rule_open(custodian, 0, 0)

    # -- the model ----------------------------------------------------------------------------------------------

    def key(self, custodian, number):
        return self.custodians[custodian], number

    def now(self):
        return int(chain[-1].timestamp)

    def complaint_id(self, key, entry):
        return "0x" + keccak(encode(["address", "uint32", "bytes32"], [*key, entry])).hex()

    def do(self, refusal, function, arguments, by):
        """Call, and see that it goes as the model says; a refusal is asked for at the present second."""
        call = getattr(self.contract, function)
        if refusal is None:
            return call(*arguments, {"from": by})
        with reverts(*refusal):
            call.call(*arguments, {"from": by})
        return None

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_open(self, st_custodian, st_number, st_signer):
        key, signer = self.key(st_custodian, st_number), self.signers[st_signer]
        refusal = None
        if key[0] in self.suspended:
            refusal = ("PartyRequired", key[0])
        elif self.logs[key].signer is not None:
            refusal = ("LogOpenAlready", *key)
        if self.do(refusal, "openLog", (key[1], signer), key[0]) is not None:
            self.logs[key].signer = signer

    def rule_complain(self, st_custodian, st_number, st_entry, st_signer, st_wait, st_altered):
        """Complain, perhaps too early, with another key, or of something else than was promised."""
        key, due, entry = self.key(st_custodian, st_number), self.now() + st_wait, st_entry
        log, other = self.logs[key], ENTRIES[0] if entry != ENTRIES[0] else ENTRIES[1]
        said = {"custodian": key[0], "log": key[1], "entry": entry, "due": due}
        others = {"custodian": self.custodians[1 - st_custodian], "log": 1 - key[1], "entry": other, "due": due - 1}
        if st_altered is not None:
            said[st_altered] = others[st_altered]
        signature = self.sign(self.signers[st_signer], messages.inclusion_promise(self.domain, **said))

        refusal = None
        if log.signer is None:
            refusal = ("LogUnknown", *key)
        elif st_wait >= 0:
            refusal = ("PromiseNotDue", due, self.now())
        elif st_altered is not None or log.signer != self.signers[st_signer]:
            refusal = ("SignatureInvalid", log.signer)
        elif entry in log.complaints:
            refusal = ("ComplaintExists", self.complaint_id(key, entry))
        tx = self.do(refusal, "complain", (*key, entry, due, signature), self.reader)
        if tx is not None:
            log.complaints[entry] = [tx.timestamp, 0]

    def rule_append(self, st_custodian, st_number, st_entry):
        key = self.key(st_custodian, st_number)
        log = self.logs[key]
        if key[0] not in self.suspended:
            log.entries.append(st_entry)
            log.anchored = len(log.entries)
            root = MerkleLog(log.entries).root()
            self.anchor.anchor(*key, log.anchored, root, 0, b"", {"from": key[0]})

    def rule_answer(self, st_custodian, st_number, st_entry, st_back):
        """Answer with the first place where the entry stands, perhaps by the proof for an older size."""
        key = self.key(st_custodian, st_number)
        log = self.logs[key]
        size = max(log.anchored - st_back, 0)
        stands = st_entry in log.entries[:size]
        index = log.entries.index(st_entry) if stands else 0
        proof = list(MerkleLog(log.entries).inclusion_proof(index, size)) if stands else []
        complaint = log.complaints.get(st_entry)

        refusal = None
        if complaint is None:
            refusal = ("ComplaintUnknown", self.complaint_id(key, st_entry))
        elif complaint[1]:
            refusal = ("ComplaintAnsweredAlready", self.complaint_id(key, st_entry))
        elif not stands or size != log.anchored:
            refusal = ("EntryNotIncluded", self.complaint_id(key, st_entry), index)
        tx = self.do(refusal, "answer", (*key, st_entry, index, proof), self.reader)
        if tx is not None:
            complaint[1] = tx.timestamp

    def rule_suspend(self, st_custodian):
        """A custodian is suspended, or reinstated."""
        identity = self.custodians[st_custodian]
        change = self.registrar.reinstate if identity in self.suspended else self.registrar.suspend
        change(identity, {"from": self.admin})
        self.suspended ^= {identity}

    def rule_time_moves(self, st_seconds):
        chain.mine(timestamp=self.now() + st_seconds)

    # -- what always holds --------------------------------------------------------------------------------------

    def invariant_contract_is_the_model(self):
        expected = {}
        for key, log in self.logs.items():
            expected[self.contract.signerOf, key] = [int(log.signer or NOBODY, 16)]
            expected |= {
                (self.contract.complaintOf, (*key, entry)): complaint for entry, complaint in log.complaints.items()
            }
        for custodian in self.custodians:
            mine = [log for (party, _), log in self.logs.items() if party == custodian]
            unanswered = sum(not answered for log in mine for _, answered in log.complaints.values())
            expected[self.contract.openComplaints, (custodian,)] = [unanswered]

        assert self.ask(list(expected)) == list(expected.values())

    def ask(self, asked):
        """Ask for all of it in one request; the answers as words."""
        to = self.contract.address
        calls = [{"to": to, "data": function.encode_input(*arguments)} for function, arguments in asked]
        answers = web3.provider.make_batch_request([("eth_call", [call, "latest"]) for call in calls])
        found = [bytes.fromhex(answer["result"][2:]) for answer in sorted(answers, key=lambda answer: answer["id"])]
        return [[int.from_bytes(raw[n : n + 32]) for n in range(0, len(raw), 32)] for raw in found]

    def teardown(self):
        """Whatever happened, every custodian that is active answers every complaint, and has none left."""
        for identity in set(self.suspended):
            self.rule_suspend(self.custodians.index(identity))
        for (custodian, number), log in self.logs.items():
            place = self.custodians.index(custodian)
            unanswered = [entry for entry, (_, answered) in log.complaints.items() if not answered]
            for entry in unanswered:
                self.rule_append(place, number, entry)
            for entry in unanswered:
                self.rule_answer(place, number, entry, 0)
        for custodian in self.custodians:
            assert self.contract.openComplaints(custodian) == 0
        self.invariant_contract_is_the_model()


@pytest.mark.spec("L4", "L5", "L7", "L9", "L10", "L13", "L14", "L15", "L16")
def test_access_log_agrees_with_its_model(
    state_machine,
    access_log,
    batch_anchor,
    registrar,
    parties,
    admin,
    accounts,
    clinic,
    payer,
    patient,
    sign,
    domain_of,
):
    state_machine(
        StateMachine,
        access_log,
        batch_anchor,
        registrar,
        admin,
        [clinic.address, payer.address],
        [accounts[13].address, accounts[14].address],
        patient,
        sign,
        domain_of(access_log),
        settings=effort(4, steps=12),
    )
