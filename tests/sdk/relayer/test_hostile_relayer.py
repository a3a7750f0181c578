"""A hostile relayer can delay a message, or leave it out; it cannot replay, alter, split or borrow one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Receipt
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.contract_errors import CallFailed, SequenceStale, SignatureInvalid
from medproof.decoding import decode_error
from medproof.messages import Domain
from medproof.messages import rule as rule_message
from medproof.policy.codes import Purpose
from medproof.policy.word import Rule, encode
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.relayer.people import people, person, rules_set

Grant = Callable[..., SignedMessage]
Send = Callable[..., Receipt]


@pytest.fixture
def send(suite: MedProof, stranger: LocalSigner) -> Send:
    """`send(calls, gas_each)`: whatever a hostile relayer likes, in one transaction."""
    contract = suite.consent_registry.contract

    def send_(calls: Sequence[bytes], gas_each: int = 500_000) -> Receipt:
        data = suite.chain.call_data(contract, "relay", [list(calls), gas_each])
        return suite.chain.wait(
            suite.chain.send({"to": contract.address, "data": data, "gas": 3_000_000}, sender=stranger)
        )

    return send_


@pytest.fixture
def call(suite: MedProof) -> Callable[[SignedMessage], bytes]:
    return suite.consent_registry.call_data


def skipped(suite: MedProof, receipt: Receipt) -> dict[int, str]:
    """The names of the errors of the calls that were skipped, by place."""
    events = [event for event in receipt.events(suite.consent_registry.contract) if event.name == "CallSkipped"]
    reasons = {int(event.arguments["position"]): bytes(event.arguments["reason"]) for event in events}
    return {place: type(decode_error(reason)).__name__ if reason else "" for place, reason in reasons.items()}


def altered(suite: MedProof, message: SignedMessage, place: int, value: object) -> bytes:
    arguments = (*message.arguments[:place], value, *message.arguments[place + 1 :])
    data = suite.chain.call_data(suite.consent_registry.contract, message.function, arguments)
    return bytes.fromhex(data[2:])


def test_replay_changes_nothing(suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant) -> None:
    before, message = suite.chain.block_number(), call(grant(person(0)))
    assert skipped(suite, send([message, message])) == {1: "SequenceStale"}
    assert skipped(suite, send([message])) == {0: "SequenceStale"}
    assert rules_set(suite, before) == [person(0).address]


def test_replay_after_revocation_changes_nothing(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, clinic: LocalSigner
) -> None:
    granted = call(grant(person(0)))
    send([granted])
    send([call(suite.consent_registry.sign_revocation(person(0), clinic.address))])
    assert skipped(suite, send([granted])) == {0: "SequenceStale"}
    stored = suite.consent_registry.rule(person(0).address, clinic.address)
    assert stored is not None
    assert stored.revoked


def test_reorder_changes_nothing(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, clinic: LocalSigner, rule: Rule
) -> None:
    registry, one = suite.consent_registry, person(0)
    first = grant(one)
    snapshot = rpc(suite.chain, "evm_snapshot")
    registry.relay(first, sender=clinic)
    wider = dataclasses.replace(rule, purposes=Purpose.TREAT | Purpose.HPAYMT)
    second = registry.sign_change(one, clinic.address, wider)
    rpc(suite.chain, "evm_revert", snapshot)
    assert skipped(suite, send([call(second), call(first)])) == {0: "SequenceStale"}
    assert registry.rule(one.address, clinic.address) == rule
    assert skipped(suite, send([call(second)])) == {}
    assert registry.rule(one.address, clinic.address) == dataclasses.replace(wider, sequence=2)


def test_withheld_grant_dies_with_a_revocation_that_overtakes_it(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, clinic: LocalSigner
) -> None:
    withheld = call(grant(person(0)))
    send([call(suite.consent_registry.sign_revocation(person(0), clinic.address, sequence=2))])
    assert skipped(suite, send([withheld])) == {0: "SequenceStale"}


def test_order_of_different_subjects_does_not_matter(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, clinic: LocalSigner, rule: Rule
) -> None:
    messages = [call(grant(one)) for one in people(4)]
    assert skipped(suite, send(messages[::-1])) == {}
    assert {suite.consent_registry.rule(one.address, clinic.address) for one in people(4)} == {rule}


def test_altered_arguments_are_refused(suite: MedProof, send: Send, grant: Grant, stranger: LocalSigner) -> None:
    message, before = grant(person(0)), suite.chain.block_number()
    word = message.arguments[2]
    calls = [
        altered(suite, message, 0, person(1).address),
        altered(suite, message, 1, stranger.address),
        *(altered(suite, message, 2, word ^ 1 << bit) for bit in (20, 134, 195, 227)),
        altered(suite, message, 3, message.deadline + 1),
        altered(suite, message, 4, grant(person(1)).arguments[4]),
        altered(suite, message, 4, bytes(65)),
    ]
    assert skipped(suite, send(calls)) == dict.fromkeys(range(len(calls)), "SignatureInvalid")
    assert rules_set(suite, before) == []


def test_mixing_parts_of_two_messages_is_refused(suite: MedProof, send: Send, grant: Grant) -> None:
    before, (one, other) = suite.chain.block_number(), (grant(person(0)), grant(person(1)))
    calls = [altered(suite, one, place, other.arguments[place]) for place in (0, 4)]
    assert skipped(suite, send(calls)) == {0: "SignatureInvalid", 1: "SignatureInvalid"}
    assert rules_set(suite, before) == []


def test_message_for_another_chain_or_contract_is_refused(
    suite: MedProof, send: Send, clinic: LocalSigner, rule: Rule, grant: Grant
) -> None:
    message, home = grant(person(0)), suite.consent_registry.domain
    elsewhere = [
        Domain(home.contract, 1, home.address),
        Domain(home.contract, home.chain_id, suite.record_pointers.address),
        Domain("RecordPointers", home.chain_id, home.address),
    ]
    calls = []
    for domain in elsewhere:
        typed = rule_message(
            domain,
            subject=person(0).address,
            grantee=clinic.address,
            word=encode(rule),
            terms=bytes(32),
            deadline=message.deadline,
        )
        calls.append(altered(suite, message, 4, person(0).sign_typed_data(typed)))
    assert skipped(suite, send(calls)) == {0: "SignatureInvalid", 1: "SignatureInvalid", 2: "SignatureInvalid"}


def test_bad_item_does_not_sink_the_others(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant
) -> None:
    before, good = suite.chain.block_number(), [call(grant(one)) for one in people(3)]
    bad = altered(suite, grant(person(3)), 3, 2**255)
    calls = [good[0], bad, good[1], b"", b"\x12\x34\x56\x78", good[2][:-64], good[2]]
    assert skipped(suite, send(calls)) == {1: "SignatureInvalid", 3: "", 4: "", 5: ""}
    assert rules_set(suite, before) == [one.address for one in people(3)]


def test_bad_item_sinks_all_where_that_is_chosen(
    suite: MedProof, call: Callable[..., bytes], grant: Grant, stranger: LocalSigner
) -> None:
    before, contract = suite.chain.block_number(), suite.consent_registry.contract
    calls = [call(grant(person(0))), altered(suite, grant(person(1)), 3, 2**255)]
    with pytest.raises(CallFailed) as caught:
        suite.chain.transact(contract, "relay", [calls, 0], sender=stranger)
    assert caught.value.position == 1
    assert isinstance(decode_error(caught.value.reason), SignatureInvalid)
    assert rules_set(suite, before) == []


@pytest.mark.parametrize("gas", [1, 5_000, 20_000, 30_000])
def test_starved_of_gas_is_all_or_nothing(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, gas: int
) -> None:
    before, message = suite.chain.block_number(), call(grant(person(0)))
    assert skipped(suite, send([message], gas)) == {0: ""}
    assert rules_set(suite, before) == []
    assert skipped(suite, send([message])) == {}  # and it may be sent again


def test_relaying_inside_relaying_lends_nobodys_name(
    suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant, stranger: LocalSigner, rule: Rule
) -> None:
    contract = suite.consent_registry.contract
    unsigned = altered(suite, grant(person(0)), 4, b"")
    own = suite.chain.call_data(contract, "setRule", [person(0).address, encode(rule)])
    inner = suite.chain.call_data(contract, "relay", [[unsigned, bytes.fromhex(own[2:])], 500_000])
    before = suite.chain.block_number()
    receipt = send([bytes.fromhex(inner[2:]), call(grant(person(1)))])
    assert skipped(suite, receipt) == {0: "DelegateScopeMissing"}
    # What it writes directly it writes for itself.
    assert rules_set(suite, before) == [stranger.address, person(1).address]


def test_refusal_names_the_state(suite: MedProof, send: Send, call: Callable[..., bytes], grant: Grant) -> None:
    message = call(grant(person(0)))
    events = send([message, message]).events(suite.consent_registry.contract)
    (reason,) = [bytes(event.arguments["reason"]) for event in events if event.name == "CallSkipped"]
    error = decode_error(reason)
    assert isinstance(error, SequenceStale)
    assert (error.stored, error.given) == (1, 1)
    assert reason[:4] == keccak(text="SequenceStale(uint256,uint256)")[:4]
