"""The consent log answers as the contract does, as of every block, and reads the chain once."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from medproof.chain import Chain, Event
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.consents import Consent, ConsentLog
from medproof.errors import ConsentLogError, NodeError, RuleFieldError
from medproof.policy.codes import DataClass, PartyKind, Purpose, ResearchUse
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc


@pytest.fixture
def log(suite: MedProof) -> ConsentLog:
    return ConsentLog(suite.consent_registry)


def moment(chain: Chain, block: int | str = "latest") -> datetime:
    return datetime.fromtimestamp(chain.timestamp(block), UTC)


def later(chain: Chain, delay: timedelta = timedelta(minutes=1)) -> None:
    """Let time pass, so that each block has a time of its own."""
    rpc(chain, "evm_increaseTime", int(delay.total_seconds()))


def test_who_consented_and_what_a_subject_consented_to(
    suite: MedProof,
    chain: Chain,
    log: ConsentLog,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    registry, party = suite.consent_registry, clinic.address
    provider = {"kind": PartyKind.PROVIDER}
    granted = registry.grant(party, rule, sender=patient)
    later(chain)
    changed = registry.change(party, dataclasses.replace(rule, classes=DataClass.NOTE), sender=patient)
    later(chain)
    revoked = registry.revoke(party, sender=patient)

    assert log.update() == 3
    assert (log.block, log.time) == (revoked.block, moment(chain))
    assert log.subjects(party, request_inside, **provider) == ()
    assert log.consents(patient.address) == ()
    then = moment(chain, granted.block)
    assert log.subjects(party, request_inside, **provider, at=then) == (patient.address,)
    assert log.subjects(party, request_inside, kind=PartyKind.PAYER, at=then) == (patient.address,)
    assert log.subjects(patient.address, request_inside, **provider, at=then) == ()
    [consent] = log.consents(patient.address, at=then)
    assert (consent.subject, consent.grantee, consent.rule) == (patient.address, party, rule)
    then = moment(chain, changed.block)
    assert log.subjects(party, request_inside, **provider, at=then) == ()
    assert [one.rule.classes for one in log.consents(patient.address, at=then)] == [DataClass.NOTE]
    before = moment(chain, granted.block) - timedelta(seconds=1)
    assert log.subjects(party, request_inside, **provider, at=before) == ()
    assert log.consents(patient.address, at=before) == ()
    assert log.consents(party) == ()


def test_it_decides_as_the_contract_as_of_every_block(
    suite: MedProof,
    chain: Chain,
    log: ConsentLog,
    admin: LocalSigner,
    patient: LocalSigner,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    registry, draw = suite.consent_registry, random.Random(3)
    group = suite.registrar.create_group("cardiology", sender=admin)
    suite.registrar.join_group(group, clinic.address, sender=admin)
    signers, grantees = (patient, stranger, fresh_account), (clinic.address, EVERYONE, group_grantee(group))
    start = moment(chain).replace(second=0)
    for _ in range(40):
        signer, grantee = draw.choice(signers), draw.choice(grantees)
        standing = registry.rules(signer.address, grantee)
        index = draw.randrange(min(len(standing) + 1, 3))
        live = index < len(standing) and not standing[index].revoked
        if live and draw.random() < 0.5:
            registry.revoke(grantee, index=index, sender=signer)
        else:
            written = dataclasses.replace(
                rule,
                index=index,
                deny=draw.random() < 0.3,
                purposes=draw.choice((Purpose.TREAT, Purpose.TREAT | Purpose.PUBHLTH)),
                classes=draw.choice((DataClass.ALL, DataClass.LABORATORY, DataClass.NOTE)),
                valid_from=start + timedelta(minutes=draw.choice((-60, 20))),
                valid_until=draw.choice((None, start + timedelta(minutes=30))),
                party_kinds=draw.choice((PartyKind.ALL, PartyKind.PROVIDER, PartyKind.PAYER)),
            )
            (registry.change if live else registry.grant)(grantee, written, sender=signer)
        later(chain)

    log.update()
    answers = set()
    for block in range(log.block - 39, log.block + 1):
        at = moment(chain, block)
        found = log.subjects(
            clinic.address, request_inside, kind=PartyKind.PROVIDER, groups=[group_grantee(group)], at=at
        )
        said = {
            signer.address
            for signer in signers
            if registry.is_permitted(signer.address, clinic.address, request_inside, block=block)
        }
        assert set(found) == said, block
        answers.add(len(found))
        for signer in signers:
            stored = {
                (grantee, dataclasses.replace(one, follows=False))
                for grantee in grantees
                for one in registry.rules(signer.address, grantee, block=block)
                if not one.revoked and one.valid_from <= at and (one.valid_until is None or at < one.valid_until)
            }
            held = log.consents(signer.address, at=at)
            assert {(one.grantee, dataclasses.replace(one.rule, follows=False)) for one in held} == stored
    assert len(answers) > 1


def test_changes_of_one_block_count_in_their_order(
    suite: MedProof, log: ConsentLog, patient: LocalSigner, clinic: LocalSigner, rule: Rule, request_inside: Request
) -> None:
    registry = suite.consent_registry
    further = dataclasses.replace(rule, index=1, purposes=Purpose.HPAYMT)
    registry.grant_many([(clinic.address, rule), (clinic.address, further)], sender=patient)

    assert log.update() == 3  # the second marks the first as followed
    assert [one.rule.purposes for one in log.consents(patient.address)] == [Purpose.TREAT, Purpose.HPAYMT]
    assert [one.rule.follows for one in log.consents(patient.address)] == [True, False]
    assert log.subjects(clinic.address, request_inside, kind=PartyKind.PROVIDER) == (patient.address,)


def test_it_reads_only_what_is_new(
    suite: MedProof,
    chain: Chain,
    log: ConsentLog,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = suite.consent_registry
    first = registry.grant(clinic.address, rule, sender=patient)
    second = registry.grant(clinic.address, rule, sender=stranger)
    assert log.update(to_block=first.block) == 1
    assert (log.block, log.update(to_block=first.block), log.block) == (first.block, 0, first.block)

    asked = []
    events = chain.events

    def watched(*arguments: object, from_block: int, **options: object) -> Iterator[Event]:
        asked.append(from_block)
        return events(*arguments, from_block=from_block, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(chain, "events", watched)
    assert log.update() == 1
    assert set(asked) == {first.block + 1}
    assert log.block == second.block
    assert log.subjects(clinic.address, request_inside, kind=PartyKind.PROVIDER) == (
        patient.address,
        stranger.address,
    )
    assert log.update() == 0
    assert ConsentLog(registry).update() == 2


def test_a_failed_update_leaves_it_as_it_was(
    suite: MedProof,
    chain: Chain,
    log: ConsentLog,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = suite.consent_registry
    log.update()
    before = log.block
    registry.grant(clinic.address, rule, sender=patient)

    def fail(blocks: object) -> list[int]:
        raise NodeError("The node does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(chain, "timestamps", fail)
        with pytest.raises(NodeError):
            log.update()
    assert (log.block, log.consents(patient.address)) == (before, ())
    assert log.update() == 1
    assert [type(one) for one in log.consents(patient.address)] == [Consent]


def test_blocks_count_once_they_are_confirmed(
    suite: MedProof, chain: Chain, log: ConsentLog, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    granted = suite.consent_registry.grant(clinic.address, rule, sender=patient)
    suite.chain.confirmations = 3
    try:
        assert log.update() == 0
        assert log.block == granted.block - 2
        for _ in range(2):
            rpc(chain, "evm_mine")
        assert log.update() == 1
        assert log.block == granted.block
    finally:
        suite.chain.confirmations = 1


def test_what_is_not_read_is_not_answered(
    chain: Chain, log: ConsentLog, patient: LocalSigner, clinic: LocalSigner, request_inside: Request
) -> None:
    with pytest.raises(ConsentLogError, match="has read nothing yet"):
        log.consents(patient.address)
    assert (log.block, log.time) == (None, None)
    log.update()
    after = moment(chain) + timedelta(seconds=1)
    with pytest.raises(ConsentLogError, match="is later") as refused:
        log.subjects(clinic.address, request_inside, kind=PartyKind.PROVIDER, at=after)
    assert (refused.value.at, refused.value.until) == (after, moment(chain))
    with pytest.raises(RuleFieldError, match="zone"):
        log.consents(patient.address, at=datetime(2026, 1, 1))


def test_a_question_that_contradicts_itself_is_refused(
    log: ConsentLog, clinic: LocalSigner, request_inside: Request
) -> None:
    log.update()
    contradiction = dataclasses.replace(request_inside, research=ResearchUse.HMB)
    with pytest.raises(RuleFieldError, match="malformed"):
        log.subjects(clinic.address, contradiction, kind=PartyKind.PROVIDER)
    with pytest.raises(RuleFieldError, match="exactly one kind"):
        log.subjects(clinic.address, request_inside, kind=PartyKind.ALL)
