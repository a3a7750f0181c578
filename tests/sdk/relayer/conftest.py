"""A relayer with a fresh queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.policy.word import Rule
from medproof.relayer import Relayer
from medproof.signing import LocalSigner

Open = Callable[..., Relayer]


def through(url: str, deployment: Deployment, **options: Any) -> MedProof:
    """The suite by another node."""
    return MedProof(Chain.connect(url, poll=0.001, timeout=5.0, **options), deployment)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def open_relayer(suite: MedProof, store: Path, relayer: LocalSigner) -> Iterator[Open]:
    """`open_relayer(size=…)`: a relayer on the test's queue, closed when the test ends."""
    opened: list[Relayer] = []

    def open_(**options: Any) -> Relayer:
        by = options.pop("sender", relayer)
        to = options.pop("suite", suite)
        opened.append(Relayer(to, options.pop("store", store), by, **options))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def grant(suite: MedProof, clinic: LocalSigner, rule: Rule) -> Callable[..., SignedMessage]:
    """`grant(subject)`: a subject's signed grant to the clinic."""

    def sign(subject: LocalSigner, **options: Any) -> SignedMessage:
        return suite.consent_registry.sign_grant(subject, clinic.address, rule, **options)

    return sign
