"""A clinic that promised to log what it served, its reader, and the log itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from brownie import chain
from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.merkle import MerkleLog
from medproof.messages import Domain

ENTRIES = [keccak(bytes([number])) for number in range(30)]
ALONE, AMONG_OTHERS = "alone", "by relay"


@dataclass
class Desk:
    """Promises, complains and answers about one log."""

    contract: Any
    anchor: Any  # the BatchAnchor
    domain: Domain
    sign: Any  # sign(account, message) -> bytes
    custodian: Any  # the party's identity
    promiser: Any  # whose key signs the promises
    reader: Any
    due: int
    log: MerkleLog
    number: int = 1  # which of the custodian's logs
    relayed: bool = False  # whether a call is one of several

    def send(self, function: str, *arguments: Any, by: Any, dry: bool = False) -> Any:
        """Call a function, alone or by `relay`; `dry` only asks whether it would succeed."""
        call = getattr(self.contract, function)
        if self.relayed:
            encoded, call, arguments = call.encode_input(*arguments), self.contract.relay, ()
            return (call.call if dry else call)([encoded], 0, {"from": by})
        return (call.call if dry else call)(*arguments, {"from": by})

    def open(self, *, by: Any = None, signer: Any = None, dry: bool = False) -> Any:
        """Open the log, by its custodian."""
        return self.send("openLog", self.number, signer or self.promiser, by=by or self.custodian, dry=dry)

    def promise(self, entry: bytes = ENTRIES[0], *, signer: Any = None, **changes: Any) -> bytes:
        """A signed promise; `changes` are to what is signed."""
        said = {"custodian": str(self.custodian), "log": self.number, "entry": entry, "due": self.due, **changes}
        message = messages.inclusion_promise(said.pop("domain", self.domain), **said)
        return bytes(self.sign(signer or self.promiser, message))

    def complain(
        self,
        entry: bytes = ENTRIES[0],
        *,
        by: Any = None,
        due: int | None = None,
        signature: bytes | None = None,
        dry: bool = False,
    ) -> Any:
        """Complain of a promise, by default by its reader."""
        due = self.due if due is None else due
        signature = self.promise(entry, due=due) if signature is None else signature
        arguments = (self.custodian, self.number, entry, due, signature)
        return self.send("complain", *arguments, by=by or self.reader, dry=dry)

    def publish(self, size: int, log: MerkleLog | None = None, *, by: Any = None) -> Any:
        """Anchor the log, or another, at a size."""
        root = (log or self.log).root(size)
        return self.anchor.anchor(self.custodian, self.number, size, root, 0, b"", {"from": by or self.custodian})

    def answer(
        self,
        entry: bytes = ENTRIES[0],
        index: int = 0,
        *,
        size: int | None = None,
        proof: Any = None,
        by: Any = None,
        dry: bool = False,
    ) -> Any:
        """Answer a complaint with a proof for a size, by default by the custodian."""
        proof = list(self.log.inclusion_proof(index, size)) if proof is None else proof
        arguments = (self.custodian, self.number, entry, index, proof)
        return self.send("answer", *arguments, by=by or self.custodian, dry=dry)

    def complaint(self, entry: bytes = ENTRIES[0]) -> tuple[int, int]:
        """What is kept: when it was filed, and when answered."""
        return tuple(self.contract.complaintOf(self.custodian, self.number, entry))

    def complaint_id(self, entry: bytes = ENTRIES[0]) -> str:
        """What the errors name."""
        said = encode(["address", "uint32", "bytes32"], [str(self.custodian), self.number, entry])
        return "0x" + keccak(said).hex()

    def pass_due(self) -> None:
        """Let the promises fall due, if they are not."""
        chain.mine(timestamp=max(self.due, chain[-1].timestamp) + 1)


@pytest.fixture(scope="session")
def promiser(accounts):
    """Whose key signs the clinic's promises: not the account that acts for it."""
    return accounts[13]


@pytest.fixture(scope="session")
def reader(second_patient):
    return second_patient


@pytest.fixture(scope="session")
def log():
    return MerkleLog(ENTRIES)


@pytest.fixture
def desk(access_log, batch_anchor, parties, domain_of, sign, clinic, promiser, reader, chain, log):
    """The clinic's first log, not open yet; what is promised is due in ten minutes."""
    domain, due = domain_of(access_log), int(chain.time()) + 600
    return Desk(access_log, batch_anchor, domain, sign, clinic, promiser, reader, due, log)


@pytest.fixture
def opened(desk):
    """The log is open."""
    return desk.open()


@pytest.fixture
def overdue(opened, desk):
    """The log is open, and what was promised is due."""
    desk.pass_due()


@pytest.fixture
def complained(overdue, desk):
    """The reader has complained of the first entry."""
    return desk.complain()


@pytest.fixture(params=[ALONE, AMONG_OTHERS])
def form(request, desk):
    """Both ways to call, from here on."""
    desk.relayed = request.param == AMONG_OTHERS
    return request.param


@pytest.fixture(params=["suspended", "removed", "lapsed", "moved"])
def fallen(request, registrar, clinic, fresh_account, admin, far_day, chain):
    """What becomes of a custodian when the test says so; returns the account that acts for it then, if one does."""

    def fall():
        if request.param == "suspended":
            registrar.suspend(clinic, {"from": admin})
        elif request.param == "removed":
            registrar.remove(clinic, {"from": admin})
        elif request.param == "lapsed":
            chain.mine(timestamp=(far_day + 1) * 24 * 3600)
        else:
            registrar.offerAccount(fresh_account, {"from": clinic})
            registrar.takeAccount(clinic, {"from": fresh_account})
            return fresh_account
        return None

    return fall


@pytest.fixture
def wallet(ContractWallet, fresh_account, admin):  # noqa: N803 - Brownie's name
    """A contract wallet whose owner's key is another account's."""
    return ContractWallet.deploy(fresh_account, {"from": admin})
