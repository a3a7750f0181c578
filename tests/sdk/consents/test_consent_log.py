"""The consent log answers as the contract does, as of every block, and reads the chain once."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.consents import Consent, ConsentLog
from medproof.errors import ConsentLogError, IndexTimeError, RuleFieldError, StoreError
from medproof.indexer import Index, Indexer, View
from medproof.policy.codes import DataClass, PartyKind, Purpose, ResearchUse
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.rule_walk import later, moment, step


@pytest.fixture
def indexer(suite: MedProof, tmp_path: Path) -> Iterator[Indexer]:
    index = Index(tmp_path / "index.db")
    yield Indexer(index, suite.chain, suite.deployment)
    index.close()


class Following(ConsentLog):
    """A log that has its index read the chain first."""

    def __init__(self, indexer: Indexer) -> None:
        super().__init__(indexer.indexed)
        self.indexer = indexer

    def update(self, *, to_block: int | None = None) -> int:
        self.indexer.update(to_block=to_block)
        return super().update()


@pytest.fixture
def log(indexer: Indexer) -> Following:
    return Following(indexer)


def test_who_consented_and_what_a_subject_consented_to(
    suite: MedProof,
    chain: Chain,
    log: Following,
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
    log: Following,
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
    begin = moment(chain).replace(second=0)
    for _ in range(40):
        step(registry, draw, signers, grantees, rule, begin)

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
    suite: MedProof, log: Following, patient: LocalSigner, clinic: LocalSigner, rule: Rule, request_inside: Request
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
    log: Following,
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
    changes = View.changes

    def watched(state: View, history: str, *, after: int = -1) -> Iterator[object]:
        asked.append(after)
        return changes(state, history, after=after)

    monkeypatch.setattr(View, "changes", watched)
    assert log.update() == 1
    assert asked == [first.block]
    assert log.block == second.block
    assert log.subjects(clinic.address, request_inside, kind=PartyKind.PROVIDER) == (
        patient.address,
        stranger.address,
    )
    assert log.update() == 0
    assert ConsentLog(log.indexer.indexed).update() == 2


def test_a_failed_update_leaves_it_as_it_was(
    suite: MedProof, log: Following, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    log.update()
    before = log.block
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    log.indexer.update()
    database = log.indexer.indexed.database
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE rules RENAME TO elsewhere")
    with pytest.raises(StoreError, match="index"):
        log.update()
    assert (log.block, log.consents(patient.address)) == (before, ())
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO rules")
    assert log.update() == 1
    assert [type(one) for one in log.consents(patient.address)] == [Consent]


def test_what_the_index_took_back_is_forgotten(
    suite: MedProof,
    chain: Chain,
    log: Following,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    registry, kind = suite.consent_registry, PartyKind.PROVIDER
    registry.grant(clinic.address, rule, sender=stranger)
    fork = rpc(chain, "evm_snapshot")
    registry.grant(clinic.address, rule, sender=patient)
    assert log.update() == 2
    rpc(chain, "evm_revert", fork)
    for _ in range(3):
        rpc(chain, "evm_mine")
    assert log.update() == 1
    assert log.subjects(clinic.address, request_inside, kind=kind) == (stranger.address,)
    assert log.consents(patient.address) == ()
    assert log.update() == 0


def test_what_is_not_read_is_not_answered(
    chain: Chain, log: Following, patient: LocalSigner, clinic: LocalSigner, request_inside: Request
) -> None:
    with pytest.raises(ConsentLogError, match="has read nothing yet"):
        log.consents(patient.address)
    assert (log.block, log.time) == (None, None)
    with pytest.raises(IndexTimeError, match="has read nothing"):
        ConsentLog.update(log)
    log.update()
    after = moment(chain) + timedelta(seconds=1)
    with pytest.raises(ConsentLogError, match="is later") as refused:
        log.subjects(clinic.address, request_inside, kind=PartyKind.PROVIDER, at=after)
    assert (refused.value.at, refused.value.until) == (after, moment(chain))
    with pytest.raises(RuleFieldError, match="zone"):
        log.consents(patient.address, at=datetime(2026, 1, 1))


def test_a_question_that_contradicts_itself_is_refused(
    log: Following, clinic: LocalSigner, request_inside: Request
) -> None:
    log.update()
    contradiction = dataclasses.replace(request_inside, research=ResearchUse.HMB)
    with pytest.raises(RuleFieldError, match="malformed"):
        log.subjects(clinic.address, contradiction, kind=PartyKind.PROVIDER)
    with pytest.raises(RuleFieldError, match="exactly one kind"):
        log.subjects(clinic.address, request_inside, kind=PartyKind.ALL)
