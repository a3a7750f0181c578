"""relay: calls of many at once, all or none or those that succeed; the relayer is taken to be hostile."""

from __future__ import annotations

import pytest
from brownie.exceptions import VirtualMachineError
from eth_abi import decode, encode
from eth_utils import keccak

from tests.support.fixtures import EVERYONE, SALTED
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import GRANT, REVOKED, revocation

BURNING = 2  # a mood of ContractWallet
GAS_EACH = 200_000


def error(signature, *values):
    """An error as the contract encodes it."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak(text=signature)[:4] + encode([kind for kind in types if kind], values)


def stale(stored, given):
    return error("SequenceStale(uint256,uint256)", stored, given)


def skipped(tx):
    """The calls that were skipped: position and reason. From the log itself: Brownie reads no bytes as a zero byte."""
    logs = [log for log in tx.logs if log["topics"][0] == keccak(text="CallSkipped(uint256,bytes)")]
    return {int.from_bytes(log["topics"][1]): decode(["bytes"], bytes(log["data"]))[0] for log in logs}


@pytest.fixture
def direct(consent_registry):
    """Calls in the sender's own name, by their function."""
    return lambda function, *arguments: getattr(consent_registry, function).encode_input(*arguments)


@pytest.mark.spec("C24", "C54", "C55", "C56")
@pytest.mark.parametrize("gas_each", [0, GAS_EACH])
def test_messages_of_many_subjects_are_sent_at_once(
    consent_registry, relay, calls, wallet, patient, second_patient, clinic, payer, rule_word, gas_each
):
    tx = relay(
        [
            calls.rule(patient, clinic, rule_word()),
            calls.rule(wallet, clinic, rule_word(), by=second_patient),
            calls.revocation(patient, payer, 0, 3),
            calls.rule(patient, clinic, rule_word(sequence=2, deny=True)),
        ],
        gas_each,
    )

    assert tx.return_value == 0
    assert [(event.name, event["subject"], event["grantee"], event["word"]) for event in tx.events] == [
        ("RuleSet", patient, clinic, rule_word()),
        ("RuleSet", wallet, clinic, rule_word()),
        ("RuleRevoked", patient, payer, REVOKED | 3),
        ("RuleSet", patient, clinic, rule_word(sequence=2, deny=True)),
    ]
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=2, deny=True)


@pytest.mark.spec("C56")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_call_that_fails_is_skipped_and_reported(
    consent_registry, relay, calls, patient, second_patient, stranger, clinic, rule_word, place
):
    good = [calls.rule(subject, clinic, rule_word()) for subject in (patient, second_patient)]
    good.insert(place, calls.rule(stranger, clinic, rule_word(), by=patient))

    tx = relay(good, GAS_EACH)

    assert tx.return_value == 1
    assert skipped(tx) == {place: error("SignatureInvalid(address)", stranger.address)}
    assert len(tx.events) == 3
    assert [consent_registry.ruleOf(subject, clinic, 0) for subject in (patient, second_patient, stranger)] == [
        rule_word(),
        rule_word(),
        0,
    ]


@pytest.mark.spec("C55")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_first_call_that_fails_undoes_all_and_is_named(
    consent_registry, relay, calls, patient, second_patient, clinic, rule_word, place
):
    good = [calls.rule(subject, clinic, rule_word()) for subject in (patient, second_patient)]
    good.insert(place, calls.rule(patient, clinic, rule_word(sequence=4)))
    stored = 1 if place > 0 else 0

    with reverts("CallFailed", place, stale(stored, 4)):
        relay(good)
    assert consent_registry.ruleOf(patient, clinic, 0) == 0


@pytest.mark.spec("C27", "C53", "C56")
def test_replayed_message_is_skipped(relay, calls, patient, clinic, rule_word):
    call = calls.rule(patient, clinic, rule_word())

    assert skipped(relay([call, call], GAS_EACH)) == {1: stale(1, 1)}
    assert skipped(relay([call, call], GAS_EACH)) == {0: stale(1, 1), 1: stale(1, 1)}


@pytest.mark.spec("C56")
def test_every_call_may_be_skipped(relay, calls, patient, clinic, rule_word):
    tx = relay([calls.rule(patient, clinic, rule_word(sequence=n)) for n in (5, 3)], GAS_EACH)

    assert tx.return_value == 2
    assert skipped(tx) == {0: stale(0, 5), 1: stale(0, 3)}


@pytest.mark.spec("C25", "C56")
def test_wallet_that_burns_gas_burns_no_more_than_its_own(
    consent_registry, relay, calls, wallet, patient, second_patient, relayer, clinic, rule_word
):
    wallet.setMood(BURNING, {"from": relayer})
    burning = calls.rule(wallet, clinic, rule_word(), by=second_patient)
    good = [calls.rule(patient, clinic, rule_word(sequence=sequence)) for sequence in (1, 2)]

    tx = relay([good[0], burning, good[1]], GAS_EACH)

    assert set(skipped(tx)) == {1}
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=2)
    assert tx.gas_used < 2 * GAS_EACH + 100_000


@pytest.mark.spec("C56")
def test_call_that_runs_out_of_gas_is_skipped_without_a_reason(
    consent_registry, relay, calls, patient, second_patient, clinic, rule_word
):
    sixteen = [(clinic, rule_word(index=index)) for index in range(16)]
    heavy = consent_registry.setRules.encode_input(sixteen)
    light = calls.rule(patient, clinic, rule_word())

    tx = relay([heavy, light], 60_000)

    assert skipped(tx) == {0: b""}
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C56")
def test_relayer_who_names_too_little_gas_only_delays(
    consent_registry, relay, calls, patient, second_patient, clinic, rule_word
):
    both = [calls.rule(subject, clinic, rule_word()) for subject in (patient, second_patient)]

    assert skipped(relay(both, 20_000)) == {0: b"", 1: b""}
    assert relay(both, GAS_EACH).return_value == 0

    assert consent_registry.ruleOf(second_patient, clinic, 0) == rule_word()


@pytest.mark.spec("C54")
@pytest.mark.parametrize("gas_each", [0, GAS_EACH])
def test_no_call_changes_nothing(relay, gas_each):
    tx = relay([], gas_each)

    assert tx.return_value == 0
    assert len(tx.events) == 0


@pytest.mark.spec("C54", "C55", "C56")
def test_call_may_itself_be_several(consent_registry, relay, calls, direct, patient, second_patient, clinic, rule_word):
    good, bad = calls.rule(patient, clinic, rule_word()), calls.rule(patient, clinic, rule_word(sequence=9))
    other = calls.rule(second_patient, clinic, rule_word())

    assert skipped(relay([direct("relay", [good, bad], 0), other], 2 * GAS_EACH)) == {
        0: error("CallFailed(uint256,bytes)", 1, stale(1, 9))
    }
    assert consent_registry.ruleOf(patient, clinic, 0) == 0
    with reverts("CallFailed", 0, error("CallFailed(uint256,bytes)", 1, stale(1, 9))):
        relay([direct("relay", [good, bad], 0)])
    inner = relay([direct("relay", [good, bad], GAS_EACH)])
    assert skipped(inner) == {1: stale(1, 9)}
    assert inner.return_value == 0
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C2", "C54")
def test_call_without_a_signature_is_the_senders_own(
    consent_registry, relay, direct, patient, relayer, clinic, rule_word, deadline
):
    relay([direct("setRule", clinic, rule_word()), direct("setRules", [(EVERYONE, revocation(3))])])

    assert consent_registry.ruleOf(relayer, clinic, 0) == rule_word()
    assert consent_registry.ruleOf(relayer, EVERYONE, 0) == REVOKED | 3
    assert consent_registry.ruleOf(patient, clinic, 0) == 0
    for function, arguments in {
        "setRuleFor": (patient, clinic, rule_word(), deadline, b""),
        "revokeRuleFor": (patient, clinic, 0, 3, deadline, b""),
        "withdraw": (patient, deadline, b""),
        "reviewOpening": (patient, 1, 1, SALTED, deadline, b""),
    }.items():
        tx = relay([direct(function, *arguments)], GAS_EACH)
        assert tx.return_value == 1
        [reason] = skipped(tx).values()
        assert reason[:4] == keccak(text="DelegateScopeMissing(address,address,uint256)")[:4]
        assert decode(["address", "address"], reason[4:68]) == (patient.address.lower(), relayer.address.lower())


@pytest.mark.spec("C28", "C54", "B19")
def test_restricted_function_stays_restricted(relay, direct, stranger, admin, consent_registry, authority):
    refused = error("AccessManagedUnauthorized(address)", stranger.address)
    restricted = [direct("publishTerms", b"\x33" * 32), direct("setBreakGlassLimits", 1, 1)]

    tx = consent_registry.relay(restricted, GAS_EACH, {"from": stranger})
    assert skipped(tx) == {0: refused, 1: refused}
    assert consent_registry.relay(restricted, 0, {"from": admin}).return_value == 0
    assert consent_registry.termsCount() == 1


@pytest.mark.spec("C28", "C54")
def test_right_to_relay_through_the_authority_is_no_right_to_what_is_relayed(
    relay, direct, consent_registry, authority, admin, stranger
):
    authority.setTargetFunctionRole(consent_registry, [consent_registry.relay.signature], 7, {"from": admin})
    authority.grantRole(7, stranger, 0, {"from": admin})
    several = consent_registry.relay.encode_input([direct("publishTerms", b"\x33" * 32)], 0)

    reason = error("AccessManagedUnauthorized(address)", authority.address)
    with reverts("CallFailed", 0, reason):
        authority.execute(consent_registry, several, {"from": stranger})


@pytest.mark.spec("C54")
def test_nothing_is_called_but_this_contracts_functions(
    relay, registrar, delegations, authority, admin, clinic, patient
):
    """Other contracts' functions are unknown here; so are a delegatecall's usual gifts, and calls too short."""
    foreign = [
        registrar.accredit.encode_input(clinic, 1, SALTED, 65535),
        registrar.takeAccount.encode_input(clinic),
        authority.grantRole.encode_input(0, patient, 0),
        delegations.completeRecovery.encode_input(patient),
        "0x",
        "0x12",
        "0xffffffff",
    ]

    tx = relay(foreign, GAS_EACH)

    assert skipped(tx) == dict.fromkeys(range(len(foreign)), b"")
    for call in foreign:
        with pytest.raises(VirtualMachineError, match="CallFailed"):
            relay([call])


@pytest.mark.spec("S4")
def test_ether_is_refused(consent_registry, relayer):
    with pytest.raises((VirtualMachineError, ValueError)):  # no error of the contract's
        consent_registry.relay([], 0, {"from": relayer, "value": 1})


@pytest.mark.spec("C54", "C57")
def test_delegate_relays_its_own_acts_among_others(
    consent_registry, calls, direct, delegate_to, patient, second_patient, delegate, clinic, payer, rule_word
):
    delegate_to(delegate, GRANT)
    acts = [
        direct("setRuleFor", patient, clinic, rule_word(), 0, b""),
        calls.rule(second_patient, clinic, rule_word()),
        direct("setRuleFor", second_patient, payer, rule_word(), 0, b""),
    ]

    tx = consent_registry.relay(acts, GAS_EACH, {"from": delegate})

    missing = error("DelegateScopeMissing(address,address,uint256)", second_patient.address, delegate.address, GRANT)
    assert skipped(tx) == {2: missing}
    assert [event.name for event in tx.events] == ["DelegateActed", "RuleSet", "RuleSet", "CallSkipped"]
