"""A lively registry made by chance: rules granted, changed, revoked; parties that came, moved and went."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.delegations import Guardians
from medproof.client.record_pointers import PointerKey
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.migration import (
    AUTHORITY,
    Comparison,
    Taken,
    compare_subject,
    hand_over,
    read_state,
    sign_subject,
    take_steps,
)
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.device import Device
from medproof.policy.word import Request, Rule
from medproof.relayer import Relayer
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL, funded, rpc
from tests.sdk.relayer.people import person, work_off

TERMS = (b"\x21" * 32, b"\x22" * 32, b"\x23" * 32)
DAY = 86400


@dataclass(frozen=True)
class Lived:
    """A deployment in which something happened, and those who made it happen."""

    suite: MedProof
    admin: LocalSigner
    subjects: tuple[LocalSigner, ...]
    parties: tuple[LocalSigner, ...]  # by their identities
    groups: tuple[int, ...]


def now(suite: MedProof) -> datetime:
    return datetime.fromtimestamp(suite.chain.timestamp() // 60 * 60, UTC)


def chance_rule(draw: random.Random, begin: datetime) -> Rule:
    """A rule near the others, so that requests meet several."""
    purposes = draw.choice((Purpose.TREAT, Purpose.TREAT | Purpose.HRESCH, Purpose.ALL))
    deny = draw.random() < 0.3
    research = ResearchUse.GRU.with_narrower() if purposes & Purpose.RESEARCH else ResearchUse.EMPTY
    return Rule(
        purposes=purposes,
        classes=draw.choice((DataClass.ALL, DataClass.LABORATORY, DataClass.LABORATORY | DataClass.NOTE)),
        conditions=draw.choice((Condition.ALL, Condition.NEOPLASMS)),
        sensitivities=draw.choice((Sensitivity.ALL, Sensitivity.NONE_LABELLED)),
        settings=draw.choice((CareSetting.ALL, CareSetting.AMB)),
        actions=draw.choice((Action.ALL, Action.ACCESS | Action.USE)),
        party_kinds=draw.choice((PartyKind.ALL, PartyKind.PROVIDER)),
        valid_from=begin + timedelta(minutes=draw.choice((-60, 30))),
        valid_until=draw.choice((None, begin + timedelta(days=90))),
        research=research & ResearchUse.PERMISSIONS if deny else research,
        terms=draw.choice((0, 1, 2)),
        deny=deny,
        break_glass_refused=draw.random() < 0.2,
    )


REQUESTS = (
    Request(
        Purpose.TREAT,
        DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED,
        CareSetting.AMB,
        Action.ACCESS,
    ),
    Request(Purpose.TREAT, DataClass.NOTE, Condition.NEOPLASMS, Sensitivity.HIV, CareSetting.AMB, Action.USE),
    Request(
        Purpose.HRESCH,
        DataClass.LABORATORY,
        Condition.NEOPLASMS,
        Sensitivity.NONE_LABELLED,
        CareSetting.AMB,
        Action.ACCESS,
        research=ResearchUse.GRU.with_narrower(),
    ),
    Request(),
)


def live(suite: MedProof, admin: LocalSigner, seed: int, *, subjects: int, steps: int) -> Lived:
    """Let things happen: rules by chance, and of all else one of each kind."""
    draw, begin = random.Random(seed), now(suite)
    registrar, consents = suite.registrar, suite.consent_registry
    parties = tuple(funded(number) for number in range(1, 6))
    groups = tuple(registrar.create_group(name, sender=admin) for name in ("cardiology", "night shift", "cardiology"))
    for place, party in enumerate(parties):
        registrar.join_group(groups[place % 3], party.address, sender=admin)
    registrar.join_group(groups[1], parties[0].address, sender=admin)
    for terms in TERMS[:2]:
        consents.publish_terms(terms, sender=admin)
    people = tuple(person(number) for number in range(100 * seed, 100 * seed + subjects))
    relay = funded(7)
    grantees = (*(one.address for one in parties), EVERYONE, *(group_grantee(one) for one in groups))
    for _ in range(steps):
        signer, grantee = draw.choice(people), draw.choice(grantees)
        standing = consents.rules(signer.address, grantee)
        index = draw.randrange(min(len(standing) + 1, 3))
        is_live = index < len(standing) and not standing[index].revoked
        if is_live and draw.random() < 0.5:
            signed = consents.sign_revocation(signer, grantee, index=index, lifetime=100 * DAY)
        else:
            rule = dataclasses.replace(chance_rule(draw, begin), index=index)
            sign = consents.sign_change if is_live else consents.sign_grant
            signed = sign(signer, grantee, rule, lifetime=100 * DAY)
        suite.relay(signed, sender=relay)
    return Lived(suite, admin, people, parties, groups)


def authorize(old: MedProof, new: MedProof, admin: LocalSigner, **options: str) -> list[Taken]:
    """The authority's part."""
    return act(old, new, admin, AUTHORITY, **options)


def comparison(old: MedProof, new: MedProof, **options: str) -> Comparison:
    return Comparison(read_state(old), read_state(new), **options)  # type: ignore[arg-type]


def act(old: MedProof, new: MedProof, party: LocalSigner, identity: str = "", **options: str) -> list[Taken]:
    """A party's part."""
    with tempfile.TemporaryDirectory() as folder:
        manager = TransactionManager(new.chain, Path(folder) / "queue.db", [party])
        try:
            return take_steps(new, lambda: comparison(old, new, **options), identity or party.address, manager)
        finally:
            manager.close()


def sign_and_relay(old: MedProof, new: MedProof, signer: LocalSigner, relayer: Relayer, subject: str = "") -> None:
    """A subject's part: what can be signed now."""
    signed = signed_by(old, new, signer, subject)
    handed = hand_over(old, new, signed, relayer)
    assert [one.why_not for one in handed] == [None] * len(signed)
    work_off(relayer)


def signed_by(old: MedProof, new: MedProof, signer: LocalSigner, subject: str = "") -> list[SignedMessage]:
    """What a signer can sign now, for itself or for a subject whose delegate it is."""
    whose = subject or signer.address
    return sign_subject(new, compare_subject(old, new, whose), whose, signer, lifetime=DAY)


def guardians(members: tuple[LocalSigner, ...]) -> Guardians:
    return Guardians.create([one.address for one in members], threshold=1, delay=timedelta(days=3))


def delegation(begin: datetime, scopes: Scope, kind: DelegateKind = DelegateKind.STEWARD) -> Delegation:
    return Delegation(kind, scopes, begin - timedelta(hours=1), begin + timedelta(days=50))


def device(begin: datetime) -> Device:
    return Device(DataClass.LABORATORY, begin - timedelta(hours=1), begin + timedelta(days=50))


def post(suite: MedProof, custodian: LocalSigner, subject: str, number: int) -> PointerKey:
    return suite.record_pointers.post(subject, DataClass.LABORATORY, number.to_bytes(32, "big"), sender=custodian)[0]


def pass_time(suite: MedProof, delay: timedelta) -> None:
    rpc(suite.chain, "evm_increaseTime", int(delay.total_seconds()))
    rpc(suite.chain, "evm_mine")


def accredit(suite: MedProof, admin: LocalSigner, party: str, kind: PartyKind, until: date) -> None:
    suite.registrar.accredit(party, kind, credential=CREDENTIAL, valid_until=until, sender=admin)
