"""The index says what the chain says, from any start, in either database."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.registrar import EMERGENCY, EVERYONE, group_grantee
from medproof.deployments import Deployment
from medproof.errors import (
    DeploymentError,
    IndexedChainError,
    IndexedDeploymentError,
    IndexMovedError,
    IndexTimeError,
)
from medproof.indexer import Index, Indexer, schema, view
from medproof.policy.codes import Purpose
from medproof.policy.emergency import OverrideReason
from medproof.policy.word import Request, Rule, encode
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.indexer.contents import contents
from tests.sdk.rule_walk import later, moment, step


def test_every_event_is_kept_as_the_clients_read_it(
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    index: Index,
    admin: LocalSigner,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    suite.registrar.create_group('cardiology "1"', sender=admin)
    suite.consent_registry.publish_terms(b"\x07" * 32, sender=admin)
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    progress = indexer.update()
    state = view(indexer.indexed)

    assert (progress.block, progress.target) == (chain.block_number(), chain.block_number())
    read = 0
    for name in CONTRACTS:
        contract = chain.contract(suite.deployment.address(name), artifact(name).abi)
        kept = list(state.events(name))
        read += len(kept)
        said = [
            event
            for entry in contract.abi
            if entry["type"] == "event"
            for event in chain.events(contract, entry["name"])
        ]
        said.sort(key=lambda event: (event.block, event.index))
        assert [(e.name, e.block, e.position, e.transaction) for e in kept] == [
            (e.name, e.block, e.index, e.transaction) for e in said
        ]
        for one, other in zip(kept, said, strict=True):
            assert {key: plain(value) for key, value in one.arguments.items()} == {
                key: plain(value) for key, value in other.arguments.items()
            }
    assert read == progress.events > 20


def plain(value: object) -> object:
    """A value as either side gives it."""
    if isinstance(value, bytes):
        value = "0x" + value.hex()
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    return value


def test_an_update_reads_only_what_is_new(
    suite: MedProof, indexer: Indexer, index: Index, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    assert indexer.update().events > 0
    assert indexer.update().events == 0
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    assert indexer.update().events == 1
    again = Index(index.database.engine.url.render_as_string(hide_password=False))
    try:
        other = Indexer(again, suite.chain, suite.deployment)
        assert other.update().events == 0
        assert other.indexed.block == indexer.indexed.block
    finally:
        again.close()


def test_block_by_block_is_the_same_as_at_once(
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    index: Index,
    tmp_path: Path,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    registry = suite.consent_registry
    registry.grant_many([(clinic.address, rule), (clinic.address, dataclasses.replace(rule, index=1))], sender=patient)
    registry.change(clinic.address, rule, sender=patient)
    registry.revoke(clinic.address, sender=patient)
    for block in range(indexer.indexed.first, chain.block_number() + 1):
        indexer.update(to_block=block)
    at_once = Index(tmp_path / "other.db")
    try:
        Indexer(at_once, chain, suite.deployment).update()
        assert contents(index) == contents(at_once)
        assert len(contents(index)["rules"]) == 5
    finally:
        at_once.close()


def test_it_decides_as_the_contract_as_of_every_block(
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    admin: LocalSigner,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
    far_day: date,
) -> None:
    registry, registrar, draw = suite.consent_registry, suite.registrar, random.Random(6)
    groups = [registrar.create_group(name, sender=admin) for name in ("cardiology", "oncology")]
    registrar.join_group(2, second_clinic.address, sender=admin)
    signers = (patient, stranger)
    grantees = (clinic.address, EVERYONE, EMERGENCY, *map(group_grantee, groups))
    begin, start = moment(chain).replace(second=0), chain.block_number()
    joined: set[int] = set()
    suspended = broken = False
    for _ in range(30):
        what = draw.random()
        if what < 0.1:
            (registrar.reinstate if suspended else registrar.suspend)(clinic.address, sender=admin)
            suspended = not suspended
        elif what < 0.25:
            group = draw.choice(groups)
            (registrar.leave_group if group in joined else registrar.join_group)(group, clinic.address, sender=admin)
            joined ^= {group}
        elif what < 0.3 and not broken:
            broken = True
            registry.break_glass(
                stranger.address, next(iter(OverrideReason)), justification=b"\x01" * 32, sender=second_clinic
            )
        else:
            step(registry, draw, signers, grantees, rule, begin)
            continue
        later(chain)
    suite.registrar.remove(second_clinic.address, sender=admin)

    indexer.update()
    emergency = dataclasses.replace(request_inside, purposes=Purpose.BTG)
    reasons = set()
    for block in range(start, chain.block_number() + 1):
        state = view(indexer.indexed, block=block)
        assert state.at == moment(chain, block)
        for signer in signers:
            for account in (clinic, second_clinic):
                for request in (request_inside, emergency):
                    said = registry.decide(signer.address, account.address, request, block=block)
                    found = state.decide(signer.address, account.address, request)
                    assert (found.reason, found.word) == (said.reason, 0 if said.rule is None else encode(said.rule))
                    reasons.add(found.reason)
        for account in (clinic, second_clinic):
            assert state.party(account.address) == registrar.party(account.address, block=block)
    assert len(reasons) >= 5


def test_the_state_as_of_a_time_is_that_of_the_last_block_before_it(
    suite: MedProof, chain: Chain, indexer: Indexer, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    later(chain)
    granted = suite.consent_registry.grant(clinic.address, rule, sender=patient)
    later(chain)
    suite.consent_registry.revoke(clinic.address, sender=patient)
    indexer.update()
    when = moment(chain, granted.block)
    words = {
        name: [one.word for one in view(indexer.indexed, at=at).rules(subject=patient.address)]
        for name, at in {
            "before": when - timedelta(seconds=1),
            "then": when,
            "after": when + timedelta(seconds=9),
        }.items()
    }
    assert words["before"] == []
    assert words["then"] == words["after"] != []
    [now] = view(indexer.indexed).rules(subject=patient.address, grantee=clinic.address)
    assert (now.subject, now.grantee, now.index) == (patient.address, clinic.address, 0)
    assert now.word != words["then"][0]


def test_what_is_not_read_is_not_answered(suite: MedProof, chain: Chain, indexer: Indexer) -> None:
    with pytest.raises(IndexTimeError, match="has read nothing"):
        view(indexer.indexed)
    indexer.update()
    newest = chain.block_number()
    for asked in (
        {"block": newest + 1},
        {"block": indexer.indexed.first - 1},
        {"at": moment(chain) + timedelta(days=1)},
    ):
        with pytest.raises(IndexTimeError, match="does not know"):
            view(indexer.indexed, **asked)  # type: ignore[arg-type]
    with pytest.raises(IndexTimeError):
        view(indexer.indexed, at=datetime(2000, 1, 1, tzinfo=UTC))
    for _ in range(3):
        rpc(chain, "evm_mine")
    indexer.update()
    with pytest.raises(IndexTimeError, match="times of those blocks"):
        view(indexer.indexed, block=newest + 1)
    assert view(indexer.indexed, block=newest + 1, at=moment(chain)).block == newest + 1


def test_several_deployments_and_chains_in_one_index(
    suite: MedProof,
    chain: Chain,
    index: Index,
    on_anvil: MedProof,
    clinic: LocalSigner,
    patient: LocalSigner,
    rule: Rule,
) -> None:
    first, second = Indexer(index, chain, suite.deployment), Indexer(index, on_anvil.chain, on_anvil.deployment)
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    first.update()
    second.update()
    assert [one.chain for one in index.deployments()] == [1337, 31337]
    [mine, other] = [one.counts()["rules"] for one in index.deployments()]
    assert (mine, other) == (1, 0)
    assert view(first.indexed).party(clinic.address) is not None


def test_an_index_of_another_chain_is_refused(
    suite: MedProof, chain: Chain, index: Index, deployment: Deployment
) -> None:
    index.indexed(deployment, b"\x01" * 32)
    with pytest.raises(IndexedChainError, match="made anew") as refused:
        Indexer(index, chain, deployment)
    assert (refused.value.chain_id, refused.value.kept) == (1337, b"\x01" * 32)


def test_a_deployment_with_other_contracts_is_refused(
    chain: Chain, index: Index, deployment: Deployment, indexer: Indexer, clinic: LocalSigner
) -> None:
    moved = dataclasses.replace(deployment.contracts["Devices"], address=clinic.address)
    other = dataclasses.replace(deployment, contracts={**deployment.contracts, "Devices": moved})
    with pytest.raises(DeploymentError, match="There is no contract"):
        Indexer(index, chain, other)
    genesis = bytes.fromhex(chain.block(0).hash[2:])
    with pytest.raises(IndexedDeploymentError, match="with Devices at"):
        index.indexed(other, genesis)


def test_an_address_with_other_code_is_refused(chain: Chain, index: Index, deployment: Deployment) -> None:
    swapped = dataclasses.replace(
        deployment,
        contracts={**deployment.contracts, "Devices": deployment.contracts["Registrar"]},
    )
    with pytest.raises(DeploymentError, match="is not this build of Devices"):
        Indexer(index, chain, swapped)
    assert index.deployments() == ()


def test_two_that_write_at_once_do_not_write_twice(
    suite: MedProof, chain: Chain, index: Index, indexer: Indexer, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    other = Indexer(index, chain, suite.deployment)
    batches = indexer._batches(indexer.indexed.first, chain.block_number())
    batch = next(batches)
    other.update()
    before = contents(index, marks=True)
    with pytest.raises(IndexMovedError, match="another process"):
        indexer.indexed.append(batch)
    batches.close()
    assert contents(index, marks=True) == before


def test_the_steps_make_the_tables(index: Index) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with index.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "index_version"})
        assert compare_metadata(context, schema.metadata) == []


def key_of(table: Table) -> list[str]:
    [index] = [one for one in table.indexes if one.name == f"{table.name}_key"]
    return list(index.columns.keys())


def test_what_a_change_ends_is_found_by_its_key(sqlite_index: Index) -> None:
    """SQLite's planner would rather read all rows of a contract where the table's own key begins with it."""
    with sqlite_index.database.reading() as connection:
        for name, table in schema.HISTORIES.items():
            keys = " AND ".join(f"{column} = 0" for column in key_of(table))
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT * FROM {name} WHERE {keys} AND block <= 7 AND until_block IS NULL"
            ).all()
            assert f"{name}_key" in str(plan), name
