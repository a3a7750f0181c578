"""Messages of many subjects, relayed in batches: what is taken, what is refused, and what becomes of each."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.contract_errors import MessageExpired, SequenceStale, SignatureInvalid
from medproof.deployments import Deployment
from medproof.errors import (
    FeesTooHighError,
    MessageError,
    QueueError,
    SenderFundsError,
    SigningNeededError,
    UnknownMessageError,
)
from medproof.policy.codes import DataClass, Purpose
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.word import Rule
from medproof.relayer import Fate, State
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner, NodeSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import lying, odd_node
from tests.sdk.conftest import rpc
from tests.sdk.relayer.conftest import Open, through
from tests.sdk.relayer.people import people, person, rules_set, work_off

Grant = Callable[..., SignedMessage]

# -- sending ----------------------------------------------------------------------------------------------------


def test_batch_of_many_subjects(
    suite: MedProof, open_relayer: Open, grant: Grant, clinic: LocalSigner, relayer: LocalSigner, rule: Rule
) -> None:
    told: list[Fate] = []
    work = open_relayer(size=5, progress=told.append)
    ids = [work.submit(grant(one)) for one in people(5)]
    assert [work.status(id_).state for id_ in ids] == [State.QUEUED] * 5
    before = suite.chain.block_number()
    assert work.run_once() == 5
    assert work.run_once() == 0
    assert suite.chain.block_number() == before + 1
    transaction = suite.chain.web3.eth.get_block(before + 1)["transactions"][0]
    for id_, one in zip(ids, people(5), strict=True):
        fate = work.status(id_)
        assert dataclasses.replace(fate, received=told[0].received) == Fate(
            id=id_,
            contract="ConsentRegistry",
            function="setRuleFor",
            subject=one.address,
            state=State.CONFIRMED,
            transaction="0x" + bytes(transaction).hex(),
            block=before + 1,
            reason=None,
            deadline=fate.deadline,
            received=told[0].received,
        )
        assert fate.final
        assert suite.consent_registry.rule(one.address, clinic.address) == rule
        states = [fate.state for fate in told if fate.id == id_]
        assert states == [State.QUEUED, State.SENT, State.CONFIRMED]  # a block is deep enough here
    assert [fate.id for fate in work.fates(State.CONFIRMED)] == ids
    assert work.fates(State.QUEUED) == work.batches() == work.stuck() == []
    sent = suite.chain.web3.eth.get_transaction(transaction)  # type: ignore[arg-type]
    assert sent["from"] == relayer.address
    assert suite.chain.receipt(work.status(ids[0]).transaction).gas_used < sent["gas"]  # type: ignore[arg-type, union-attr]


def test_small_batch_waits_until_it_is_old_or_flushed(open_relayer: Open, grant: Grant) -> None:
    patient_one = open_relayer(size=3, age=3600.0)
    first, second = (patient_one.submit(grant(one)) for one in people(2))
    assert patient_one.run_once() == 2
    assert patient_one.status(first).state is State.QUEUED
    eager = open_relayer(size=3, age=0.0)
    eager.run_once()
    assert eager.status(first).state is eager.status(second).state is State.SENT
    third = patient_one.submit(grant(person(3)))
    patient_one.run_once()
    assert patient_one.status(third).state is State.QUEUED
    patient_one.run_once(flush=True)
    assert patient_one.status(third).state is State.SENT
    work_off(patient_one)


def test_subjects_own_messages_keep_their_order(
    suite: MedProof, open_relayer: Open, clinic: LocalSigner, rule: Rule, grant: Grant
) -> None:
    work, registry, one = open_relayer(), suite.consent_registry, person(0)
    # Signed ahead, each over the one before; sequences 1, 2, 3.
    changes = [rule, dataclasses.replace(rule, purposes=Purpose.TREAT | Purpose.HPAYMT)]
    messages = []
    snapshot = rpc(suite.chain, "evm_snapshot")
    for sign, change in zip((registry.sign_grant, registry.sign_change), changes, strict=True):
        messages.append(sign(one, clinic.address, change))
        registry.relay(messages[-1], sender=clinic)
    messages.append(registry.sign_revocation(one, clinic.address))
    rpc(suite.chain, "evm_revert", snapshot)

    with pytest.raises(SequenceStale):
        work.submit(messages[1])  # the first is not here yet
    ids = [work.submit(message) for message in messages]
    for other in people(6)[1:]:
        work.submit(grant(other))
    work.run_once(flush=True)
    assert len({work.status(id_).transaction for id_ in ids}) == 1
    work_off(work)
    assert {fate.state for fate in work.fates()} == {State.CONFIRMED}
    stored = registry.rule(one.address, clinic.address)
    assert stored is not None
    assert (stored.sequence, stored.revoked) == (3, True)


def test_messages_to_two_contracts(suite: MedProof, open_relayer: Open, grant: Grant, clinic: LocalSigner) -> None:
    work, pointers = open_relayer(), suite.record_pointers
    key, _ = pointers.post(person(0).address, DataClass.LABORATORY, b"\x07" * 32, sender=clinic)
    acceptance = work.submit(pointers.sign_acceptance(person(0), key))
    granted, other = work.submit(grant(person(0))), work.submit(grant(person(1)))
    work.run_once(flush=True)
    # Hers go one after the other, whatever contract they are for.
    assert [work.status(one).state for one in (acceptance, granted, other)] == [State.SENT, State.QUEUED, State.SENT]
    work_off(work)
    assert {fate.state for fate in work.fates()} == {State.CONFIRMED}
    assert work.status(acceptance).block < work.status(granted).block  # type: ignore[operator]


def test_delegate_signs_for_a_subject(
    suite: MedProof, open_relayer: Open, clinic: LocalSigner, rule: Rule, stranger: LocalSigner
) -> None:
    work, child = open_relayer(), person(0)
    begin = datetime.fromtimestamp(suite.chain.timestamp(), UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    given = Delegation(DelegateKind.STEWARD, Scope.GRANT, begin, begin + timedelta(days=30))
    delegated = work.submit(suite.delegations.sign_delegation(child, stranger.address, given))
    granted = suite.consent_registry.sign_grant(stranger, clinic.address, rule, subject=child.address)
    with pytest.raises(SignatureInvalid):
        work.submit(granted)  # no delegate before the chain says so
    work_off(work)
    acted = work.submit(granted)
    work_off(work)
    assert work.status(delegated).state is work.status(acted).state is State.CONFIRMED
    assert suite.consent_registry.rule(child.address, clinic.address) == rule


def test_service_runs_until_it_is_stopped(open_relayer: Open, grant: Grant) -> None:
    stop, troubles = threading.Event(), []
    work = open_relayer(age=0.0, progress=lambda fate: stop.set() if fate.final else None)
    thread = threading.Thread(target=work.run, args=(stop,), kwargs={"pause": 0.01, "trouble": troubles.append})
    thread.start()
    id_ = work.submit(grant(person(0)))
    thread.join(10)
    assert not thread.is_alive()
    assert work.status(id_).state is State.CONFIRMED
    assert troubles == []


def test_batches_are_bounded_by_gas(
    suite: MedProof, open_relayer: Open, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = open_relayer(block_share=300_000 / suite.chain.gas_limit())
    ids = [work.submit(grant(one)) for one in people(7)]
    work_off(work)
    assert {work.status(id_).state for id_ in ids} == {State.CONFIRMED}
    hashes = {work.status(id_).transaction for id_ in ids}
    assert len(hashes) > 1
    for one in hashes:
        assert suite.chain.web3.eth.get_transaction(one)["gas"] <= 300_000  # type: ignore[arg-type]


# -- what is not taken ------------------------------------------------------------------------------------------


def test_same_message_is_one_entry(suite: MedProof, open_relayer: Open, grant: Grant) -> None:
    work, message = open_relayer(), grant(person(0))
    before = suite.chain.block_number()
    assert work.submit(message) == work.submit(SignedMessage.from_json(message.to_json()))
    work.run_once(flush=True)
    work.submit(message)
    work_off(work)
    work.submit(message)  # it took effect: simulating it again would fail
    work_off(work)
    assert len(work.fates()) == 1
    assert rules_set(suite, before) == [person(0).address]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("chain_id", 1),
        ("address", "0x" + "11" * 20),
        ("contract", "RecordPointers"),
        ("contract", "Authority"),
        ("function", "setRule"),
        ("function", "relay"),
        ("arguments", ("nobody", b"\x01")),
    ],
)
def test_message_for_elsewhere_is_refused(open_relayer: Open, grant: Grant, member: str, value: Any) -> None:
    work = open_relayer()
    with pytest.raises(MessageError):
        work.submit(dataclasses.replace(grant(person(0)), **{member: value}))
    assert work.fates() == []


def test_message_without_signature_would_act_in_the_relayers_name(
    suite: MedProof, open_relayer: Open, grant: Grant, relayer: LocalSigner
) -> None:
    message = grant(relayer)
    with pytest.raises(MessageError, match="has no signature"):
        open_relayer().submit(dataclasses.replace(message, arguments=(*message.arguments[:-1], b"")))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda arguments: (person(1).address, *arguments[1:]), SignatureInvalid),
        (lambda arguments: (*arguments[:2], arguments[2] ^ 1 << 134, *arguments[3:]), SignatureInvalid),
        (lambda arguments: (*arguments[:3], arguments[3] + 1, arguments[4]), SignatureInvalid),
        (lambda arguments: (*arguments[:3], 1, arguments[4]), MessageExpired),
    ],
    ids=["subject", "word", "deadline", "past deadline"],
)
def test_message_that_the_contract_would_refuse(
    open_relayer: Open, grant: Grant, change: Any, error: type[Exception]
) -> None:
    work, message = open_relayer(), grant(person(0))
    with pytest.raises(error):
        work.submit(dataclasses.replace(message, arguments=change(message.arguments)))
    assert work.fates() == []


def test_expired_in_the_queue(suite: MedProof, open_relayer: Open, grant: Grant) -> None:
    work = open_relayer()
    late, good = work.submit(grant(person(0), lifetime=60)), work.submit(grant(person(1)))
    rpc(suite.chain, "evm_increaseTime", 120)
    rpc(suite.chain, "evm_mine")
    work_off(work)
    fate = work.status(late)
    assert (fate.state, fate.transaction) == (State.EXPIRED, None)
    assert str(fate.reason).startswith("MessageExpired(")
    assert work.status(good).state is State.CONFIRMED


def test_outdated_in_the_queue_and_submitted_again(
    suite: MedProof, open_relayer: Open, grant: Grant, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    work, message = open_relayer(), grant(patient)
    outdated, good = work.submit(message), work.submit(grant(person(1)))
    snapshot = rpc(suite.chain, "evm_snapshot")
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    work.run_once(flush=True)
    fate = work.status(outdated)
    assert (fate.state, fate.transaction) == (State.REFUSED, None)
    assert str(fate.reason).startswith("SequenceStale(stored=1, given=1)")
    with pytest.raises(SequenceStale):
        work.submit(message)
    rpc(suite.chain, "evm_revert", snapshot)  # and the good one with it
    assert work.submit(message) == outdated
    work_off(work)
    assert {work.status(outdated).state, work.status(good).state} == {State.CONFIRMED}


def test_skipped_on_the_chain(
    suite: MedProof, open_relayer: Open, grant: Grant, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    work, message, before = open_relayer(), grant(person(0)), suite.chain.block_number()
    taken, good = work.submit(message), work.submit(grant(person(1)))
    rpc(suite.chain, "miner_stop")
    work.run_once(flush=True)
    # Somebody saw it on its way and was quicker.
    fees = {name: 5 * fee for name, fee in suite.chain.fees().items()}
    registry = suite.consent_registry
    data = "0x" + registry.call_data(message).hex()
    nonce = suite.chain.transaction_count(stranger.address)
    rpc(
        suite.chain,
        "eth_sendRawTransaction",
        "0x"
        + stranger.sign_transaction(
            {"to": registry.address, "data": data, "gas": 200_000, "nonce": nonce, "chainId": 1337, "value": 0} | fees
        ).hex(),
    )
    rpc(suite.chain, "miner_start")
    rpc(suite.chain, "evm_mine")
    work_off(work)
    fate = work.status(taken)
    assert fate.state is State.REFUSED
    assert fate.transaction == work.status(good).transaction
    assert str(fate.reason).startswith("SequenceStale(stored=1, given=1)")
    assert work.status(good).state is State.CONFIRMED
    assert sorted(rules_set(suite, before)) == sorted(one.address for one in people(2))


# -- money ------------------------------------------------------------------------------------------------------


def test_account_without_funds(suite: MedProof, open_relayer: Open, grant: Grant, stranger: LocalSigner) -> None:
    poor = LocalSigner.from_key(b"\x42" * 32)
    work = open_relayer(sender=poor)
    id_ = work.submit(grant(person(0)))
    with pytest.raises(SenderFundsError) as caught:
        work.run_once(flush=True)
    assert (caught.value.address, caught.value.balance) == (poor.address, 0)
    assert work.status(id_).state is State.QUEUED
    suite.chain.wait(suite.chain.send({"to": poor.address, "value": 10**18}, sender=stranger))
    work_off(work)
    assert work.status(id_).state is State.CONFIRMED


def test_funds_that_vanish_before_the_node_takes_it(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant, stranger: LocalSigner
) -> None:
    poor = LocalSigner.from_key(b"\x43" * 32)
    with odd_node(lying({("eth_getBalance", poor.address): hex(10**18)}), upstream=node.url) as server:
        work = open_relayer(sender=poor, suite=through(server.url, deployment))
        id_ = work.submit(grant(person(0)))
        with pytest.raises(SenderFundsError):
            work.run_once(flush=True)
    kept = work.status(id_)
    assert kept.state is State.SENT
    again = open_relayer(sender=poor)
    with pytest.raises(SenderFundsError):
        again.run_once()
    suite.chain.wait(suite.chain.send({"to": poor.address, "value": 10**18}, sender=stranger))
    work_off(again)
    assert (again.status(id_).state, again.status(id_).transaction) == (State.CONFIRMED, kept.transaction)


def test_fees_above_the_bound(open_relayer: Open, grant: Grant) -> None:
    work = open_relayer(highest_fee=7)
    id_ = work.submit(grant(person(0)))
    with pytest.raises(FeesTooHighError) as caught:
        work.run_once(flush=True)
    assert caught.value.highest == 7
    assert work.status(id_).state is State.QUEUED
    stop, troubles = threading.Event(), []

    def trouble(error: Exception) -> None:
        troubles.append(error)
        stop.set()

    open_relayer(highest_fee=7, age=0.0).run(stop, pause=0.0, trouble=trouble)
    assert [type(error) for error in troubles] == [FeesTooHighError]
    work_off(open_relayer())


# -- the file ---------------------------------------------------------------------------------------------------


def test_queue_outlives_the_relayer(open_relayer: Open, grant: Grant, store: Path) -> None:
    work = open_relayer()
    id_ = work.submit(grant(person(0)))
    work.close()
    with pytest.raises(QueueError, match="closed"):
        work.status(id_)
    again = open_relayer()
    assert again.status(id_).state is State.QUEUED
    work_off(again)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_several_accounts_send_side_by_side(
    suite: MedProof, open_relayer: Open, grant: Grant, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    accounts = [relayer, stranger]
    work, before = open_relayer(sender=accounts, size=2, in_flight=2), suite.chain.block_number()
    rpc(suite.chain, "miner_stop")
    ids = [work.submit(grant(one)) for one in people(10)]
    work.run_once()
    states = [work.status(id_).state for id_ in ids]
    assert states == [State.SENT] * 8 + [State.QUEUED] * 2  # two batches of each account
    assert sorted(batch.transaction.account for batch in work.batches()) == sorted(
        2 * [one.address for one in accounts]
    )
    rpc(suite.chain, "miner_start")
    rpc(suite.chain, "evm_mine")
    work_off(work)
    assert {work.status(id_).state for id_ in ids} == {State.CONFIRMED}
    assert sorted(rules_set(suite, before)) == sorted(one.address for one in people(10))


def test_order_of_a_subject_is_kept_between_accounts(
    suite: MedProof, open_relayer: Open, grant: Grant, clinic: LocalSigner, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    work, one = open_relayer(sender=[relayer, stranger], size=1), person(0)
    first = work.submit(grant(one))
    snapshot = rpc(suite.chain, "evm_snapshot")
    suite.consent_registry.relay(grant(one), sender=clinic)
    revocation = suite.consent_registry.sign_revocation(one, clinic.address)
    rpc(suite.chain, "evm_revert", snapshot)
    rpc(suite.chain, "miner_stop")
    second, other = work.submit(revocation), work.submit(grant(person(1)))
    work.run_once()
    assert [work.status(id_).state for id_ in (first, second, other)] == [State.SENT, State.QUEUED, State.SENT]
    assert len({batch.transaction.account for batch in work.batches()}) == 2
    rpc(suite.chain, "miner_start")
    rpc(suite.chain, "evm_mine")
    work_off(work)
    assert {fate.state for fate in work.fates()} == {State.CONFIRMED}
    stored = suite.consent_registry.rule(one.address, clinic.address)
    assert stored is not None
    assert (stored.sequence, stored.revoked) == (2, True)


def test_whoever_only_submits_and_looks_has_no_account(open_relayer: Open, grant: Grant) -> None:
    desk, work = open_relayer(sender=()), open_relayer()
    id_ = desk.submit(grant(person(0)))
    assert desk.run_once(flush=True) == 1
    assert desk.status(id_).state is State.QUEUED
    work_off(work)
    assert desk.status(id_).state is State.CONFIRMED


def test_file_of_another_kind_of_queue(
    suite: MedProof, open_relayer: Open, relayer: LocalSigner, store: Path, tmp_path: Path
) -> None:
    open_relayer()
    with pytest.raises(QueueError, match="keeps attempts, chain, messages, transactions: it is another's"):
        TransactionManager(suite.chain, store, [relayer])
    TransactionManager(suite.chain, tmp_path / "plain", [relayer]).close()
    with pytest.raises(QueueError, match="Use a file for each relayer, gatekeeper and manager"):
        open_relayer(store=tmp_path / "plain")


def test_file_that_is_no_queue(open_relayer: Open, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but a file that is long enough to be taken for one" * 20)
    with pytest.raises(QueueError, match="cannot be read"):
        open_relayer(store=tmp_path / "text")
    with pytest.raises(QueueError, match="cannot be opened"):
        open_relayer(store=tmp_path / "nowhere" / "queue")


def test_database_that_is_no_queue(open_relayer: Open, tmp_path: Path) -> None:
    for name, statement in (("foreign", "CREATE TABLE mine (x)"), ("newer", "PRAGMA user_version = 9")):
        database = sqlite3.connect(tmp_path / name)
        database.execute(statement)
        database.close()
        with pytest.raises(QueueError, match="is none, or of version"):
            open_relayer(store=tmp_path / name)


def test_message_that_never_expires(open_relayer: Open, grant: Grant) -> None:
    work = open_relayer()
    id_ = work.submit(grant(person(0), lifetime=2**80))
    work_off(work)
    assert work.status(id_).state is State.CONFIRMED


def test_unknown_message(open_relayer: Open) -> None:
    with pytest.raises(UnknownMessageError, match="0x12"):
        open_relayer().status("0x12")


def test_account_that_cannot_sign_here(open_relayer: Open, relayer: LocalSigner) -> None:
    for sender in (NodeSigner(relayer.address), None):
        with pytest.raises(SigningNeededError):
            open_relayer(sender=sender)


def test_log_names_nobody(
    open_relayer: Open, grant: Grant, clinic: LocalSigner, caplog: pytest.LogCaptureFixture, suite: MedProof
) -> None:
    caplog.set_level(logging.DEBUG, logger="medproof")
    work = open_relayer()
    id_ = work.submit(grant(person(0), lifetime=60))
    work.submit(grant(person(1)))
    rpc(suite.chain, "evm_increaseTime", 120)
    rpc(suite.chain, "evm_mine")
    work_off(work)
    assert f"message {id_}: expired (MessageExpired)" in caplog.messages
    for one in (person(0), person(1), clinic):
        assert one.address[2:].lower() not in caplog.text.lower()
