"""A random walk over rules: granted, changed and revoked, each in a block with a time of its own."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from medproof.chain import Chain
from medproof.client.consent_registry import ConsentRegistry
from medproof.policy.codes import DataClass, PartyKind, Purpose
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc


def moment(chain: Chain, block: int | str = "latest") -> datetime:
    return datetime.fromtimestamp(chain.timestamp(block), UTC)


def later(chain: Chain, delay: timedelta = timedelta(minutes=1)) -> None:
    """Let time pass, so that each block has a time of its own."""
    rpc(chain, "evm_increaseTime", int(delay.total_seconds()))


def step(
    registry: ConsentRegistry,
    draw: random.Random,
    signers: Sequence[LocalSigner],
    grantees: Sequence[str],
    rule: Rule,
    begin: datetime,
) -> None:
    """One of the signers grants, changes or revokes one of its rules for one of the grantees."""
    signer, grantee = draw.choice(signers), draw.choice(grantees)
    standing = registry.rules(signer.address, grantee)
    index = draw.randrange(min(len(standing) + 1, 3))
    live = index < len(standing) and not standing[index].revoked
    if live and draw.random() < 0.45:
        registry.revoke(grantee, index=index, sender=signer)
    else:
        written = dataclasses.replace(
            rule,
            index=index,
            deny=draw.random() < 0.25,
            purposes=draw.choice((Purpose.TREAT, Purpose.TREAT | Purpose.PUBHLTH)),
            classes=draw.choice((DataClass.ALL, DataClass.LABORATORY, DataClass.NOTE)),
            valid_from=begin + timedelta(minutes=draw.choice((-60, 20))),
            valid_until=draw.choice((None, begin + timedelta(minutes=30))),
            party_kinds=draw.choice((PartyKind.ALL, PartyKind.PROVIDER, PartyKind.PAYER)),
        )
        (registry.change if live else registry.grant)(grantee, written, sender=signer)
    later(registry.chain)
