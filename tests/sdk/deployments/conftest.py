"""A chain that counts what is sent, and a place for the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Receipt, Sender
from medproof.deployments import ROLES, Authority, Deployment
from scripts.local_chain import LocalChain

STEPS = 1 + len(CONTRACTS) + 1  # the factory, the contracts, and one transaction for all roles
CALLS = 3 * len(ROLES)  # label, functions and grant of each role
NOBODY = "0x" + "00" * 20


class Counting(Chain):
    """A chain that counts what is sent, and calls back wherever a process may be killed."""

    sent = 0

    def hook(self, at: str) -> None:
        """Called at each such place, by its name."""

    def send(self, transaction: Mapping[str, Any], *, sender: Sender, **options: Any) -> str:
        self.hook("before it is sent")
        record = options.pop("signed", lambda sent: None)

        def signed(transaction: str) -> None:
            self.hook("signed, and not recorded")
            record(transaction)
            self.hook("recorded, and not sent")

        sent = super().send(transaction, sender=sender, signed=signed, **options)
        self.sent += 1
        self.hook("sent")
        return sent

    def wait(self, transaction: str, *, timeout: float | None = None) -> Receipt:
        receipt = super().wait(transaction, timeout=timeout)
        self.hook("it counts")
        return receipt


def connected(url: str) -> Counting:
    chain = Counting.connect(url, poll=0.005, timeout=20.0)
    assert isinstance(chain, Counting)
    return chain


@pytest.fixture
def counting(node: LocalChain, chain: Chain) -> Counting:
    return connected(node.url)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "records" / "suite.json"


@pytest.fixture
def recorded(deployment: Deployment, manifest: Path) -> Path:
    deployment.save(manifest)
    return manifest


def authority_of(chain: Chain, deployment: Deployment) -> Any:
    return chain.contract(deployment.address("Authority"), artifact("Authority").abi)


def roles_of(chain: Chain, deployment: Deployment, account: str) -> set[int]:
    """The numbers of the roles that an account has, as the Authority says and as its events come to."""
    authority = Authority(chain, deployment)
    numbers = range(len(ROLES) + 1)
    found = {number for number in numbers if authority.has(number, account)}
    holders = authority.holders()
    assert found == {number for number in numbers if account in holders.get(number, ())}
    return found


ALL_ROLES = {0, *(role.number for role in ROLES)}
