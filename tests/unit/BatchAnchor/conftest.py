from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from eth_utils import keccak

from medproof import messages
from medproof.merkle import MerkleLog
from medproof.messages import Domain

LEAVES = [keccak(bytes([number])) for number in range(40)]


@dataclass
class Press:
    """Anchors batches of one log, sent by the publisher or signed by it and sent by a relayer."""

    contract: Any
    publisher: Any  # the party's identity
    domain: Domain
    sign: Any  # sign(account, message) -> bytes
    relayer: Any
    deadline: int
    log: MerkleLog
    relayed: bool = False
    number: int = 1  # which of the publisher's logs

    def signature(self, size: int, root: bytes | None = None, *, signer: Any = None, **changes: Any) -> bytes:
        """A signature over a batch; `changes` are to what is signed."""
        said = {"publisher": str(self.publisher), "log": self.number, "size": size, "deadline": self.deadline}
        said = {"root": self.log.root(size) if root is None else root, "consistent": False, **said, **changes}
        domain = said.pop("domain", self.domain)
        return bytes(self.sign(signer or self.publisher, messages.batch(domain, **said)))

    def anchor(self, size: int, root: bytes | None = None, *, proof: Any = None, sender: Any = None, **signed: Any):
        """Anchor the log at a size; with a proof by `anchorConsistent`. `signed` is as in `signature`."""
        root = self.log.root(size) if root is None else root
        relayed = self.relayed or bool(signed)
        signature = self.signature(size, root, **{"consistent": proof is not None, **signed}) if relayed else b""
        batch = (self.publisher, self.number, size, root)
        by = {"from": sender or (self.relayer if relayed else self.publisher)}
        if proof is None:
            return self.contract.anchor(*batch, self.deadline, signature, by)
        return self.contract.anchorConsistent(*batch, proof, self.deadline, signature, by)

    def proof(self, first: int, second: int) -> list[bytes]:
        """The consistency proof between two sizes."""
        return list(self.log.consistency_proof(first, second))

    def latest(self) -> tuple[bytes, int, int]:
        """Root, size and number of the last batch."""
        root, size, number, _ = self.contract.latest(self.publisher, self.number)
        return bytes(root), size, number


@pytest.fixture(scope="session")
def log():
    return MerkleLog(LEAVES)


@pytest.fixture
def press(batch_anchor, parties, clinic, domain_of, sign, relayer, deadline, log):
    """The clinic's first log."""
    return Press(batch_anchor, clinic, domain_of(batch_anchor), sign, relayer, deadline, log)


@pytest.fixture(params=[False, True], ids=["publisher sends", "relayed"])
def form(request, press):
    """Both forms of a batch."""
    press.relayed = request.param
    return request.param
