from __future__ import annotations

import pytest
from brownie import chain
from eth_utils import keccak
from hypothesis import strategies as st

from medproof import messages
from medproof.merkle import MerkleLog
from tests.support.profiles import effort
from tests.support.reverts import reverts

ZERO = bytes(32)
LEAVES = [keccak(bytes([number])) for number in range(250)]
# A log, and what it would be had its third leaf been another: they agree up to size 2.
HISTORIES = (MerkleLog(LEAVES), MerkleLog([*LEAVES[:2], keccak(LEAVES[2]), *LEAVES[3:]]))
NO_END = 2**256 - 1


class StateMachine:
    st_publisher = st.integers(0, 1)
    st_number = st.integers(0, 1)
    st_history = st.sampled_from([0, 0, 0, 1])
    st_step = st.sampled_from([1, 2, 3, 4, 5, 0, -1])
    st_relayed = st.booleans()
    st_consistent = st.booleans()
    st_letter = st.integers(0, 7)

    def __init__(cls, contract, registrar, admin, publishers, relayer, sign, domain):  # noqa: N805 - Brownie calls it on the class
        cls.contract, cls.registrar, cls.admin = contract, registrar, admin
        cls.publishers, cls.relayer, cls.sign, cls.domain = publishers, relayer, staticmethod(sign), domain

    def setup(self):
        self.logs = {(publisher, number): (ZERO, 0, 0) for publisher in self.publishers for number in range(2)}
        self.suspended: set[str] = set()
        self.letters: list[tuple[tuple[str, int], int, int, bytes]] = []  # signed batches, sent or not

    # -- the model ----------------------------------------------------------------------------------------------

    def refusal(self, key, size, history, consistent):
        """Why a batch is refused, if it is."""
        root, before, _ = self.logs[key]
        if size <= before:
            return "LogNotGrown", size, before
        if key[0] in self.suspended:
            return "PublisherNotYours", key[0], key[0]
        if consistent and before and HISTORIES[history].root(before) != root:
            return "ConsistencyUnproven", size, before
        return None

    def send(self, key, size, history, consistent, sender, deadline, signature):
        """Send a batch, and see that it goes as the model says."""
        log, (_, before, number) = HISTORIES[history], self.logs[key]
        batch = (*key, size, log.root(size))
        function, arguments = self.contract.anchor, (*batch, deadline, signature)
        if consistent:
            proof = list(log.consistency_proof(before, size)) if before < size else []
            function, arguments = self.contract.anchorConsistent, (*batch, proof, deadline, signature)
        refusal = self.refusal(key, size, history, consistent)
        if refusal is not None:
            with reverts(*refusal):
                function(*arguments, {"from": sender})
            return
        tx = function(*arguments, {"from": sender})
        assert tx.return_value == number + 1
        root = log.root(size)
        assert len(tx.events) == 1
        said = {"publisher": key[0], "log": key[1], "number": number + 1, "size": size, "root": "0x" + root.hex()}
        assert dict(tx.events["BatchAnchored"]) == said
        self.logs[key] = (root, size, number + 1)

    def batch(self, publisher, number, step):
        """A log by the numbers of its publisher and its own, and a size so many leaves further."""
        key = (self.publishers[publisher], number)
        return key, max(self.logs[key][1] + step, 0)

    def signature(self, key, size, history, consistent):
        said = {"publisher": key[0], "log": key[1], "size": size, "root": HISTORIES[history].root(size)}
        message = messages.batch(self.domain, **said, consistent=consistent, deadline=NO_END)
        return self.sign(key[0], message)

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_anchor(self, st_publisher, st_number, st_history, st_step, st_relayed, st_consistent):
        key, size = self.batch(st_publisher, st_number, st_step)
        if st_relayed:
            signature = self.signature(key, size, st_history, st_consistent)
            self.send(key, size, st_history, st_consistent, self.relayer, NO_END, signature)
        else:
            self.send(key, size, st_history, st_consistent, key[0], 0, b"")

    def rule_sign(self, st_publisher, st_number, st_history, st_step, st_consistent):
        """A batch is signed, and held back."""
        key, size = self.batch(st_publisher, st_number, st_step)
        signature = self.signature(key, size, st_history, st_consistent)
        self.letters.append((key, size, st_history, st_consistent, signature))

    def rule_send(self, st_letter):
        """Any signed batch is sent, perhaps once more."""
        if self.letters:
            key, size, history, consistent, signature = self.letters[st_letter % len(self.letters)]
            self.send(key, size, history, consistent, self.relayer, NO_END, signature)

    def rule_suspend(self, st_publisher):
        """A publisher is suspended, or reinstated."""
        identity = self.publishers[st_publisher]
        change = self.registrar.reinstate if identity in self.suspended else self.registrar.suspend
        change(identity, {"from": self.admin})
        self.suspended ^= {identity}

    # -- what always holds --------------------------------------------------------------------------------------

    def invariant_last_batch(self):
        for key, (root, size, number) in self.logs.items():
            kept = self.contract.latest(*key)
            assert (bytes(kept[0]), *kept[1:3]) == (root, size, number)
            assert (kept[3] == 0) == (number == 0)
            assert kept[3] <= chain.time()

    def teardown(self):
        """Whatever happened, every publisher that is active goes on, consistently."""
        for identity in set(self.suspended):
            self.rule_suspend(self.publishers.index(identity))
        for key, (root, size, _) in self.logs.items():
            history = int(HISTORIES[0].root(size) != root) if size else 0
            self.send(key, size + 1, history, True, key[0], 0, b"")
        self.invariant_last_batch()


@pytest.mark.spec("A1", "A3", "A6", "A8", "A9")
def test_batch_anchor_agrees_with_its_model(
    state_machine, batch_anchor, registrar, parties, admin, clinic, payer, relayer, sign, domain_of
):
    state_machine(
        StateMachine,
        batch_anchor,
        registrar,
        admin,
        [clinic.address, payer.address],
        relayer.address,
        sign,
        domain_of(batch_anchor),
        settings=effort(8, steps=10),
    )
