"""What an attacker tries against batches, delegates, break-glass and withdrawal, one attempt a test."""

from __future__ import annotations

import pytest
from brownie import web3
from brownie.exceptions import VirtualMachineError
from eth_abi import encode
from eth_utils import keccak

from medproof.policy.codes import Purpose
from medproof.policy.delegation import Scope
from medproof.policy.evaluation import Reason
from tests.support.fixtures import EVERYONE, NOBODY, PROVIDER, SALTED
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import FOLLOWS, GRANT, LAST_SEQUENCE, REVOKE, revocation

pytestmark = pytest.mark.usefixtures("parties")

GAS_EACH = 300_000


@pytest.fixture
def raw(consent_registry, relayer):
    """Whether a call that no client would encode succeeds."""

    def succeeds(data):
        request = {"from": relayer.address, "to": consent_registry.address, "data": data}
        return "error" not in web3.provider.make_request("eth_call", [request, "latest"])

    return succeeds


@pytest.mark.spec("C21", "C52")
def test_dirty_bits_above_an_address_are_refused(
    raw, consent_registry, calls, signed_change, patient, clinic, rule_word
):
    """Two encodings of one message would be two messages to whoever compares them."""
    change = signed_change(patient, clinic, rule_word())
    clean = {
        consent_registry.setRulesFor.encode_input([change]): (2, 3),  # after the array's offset and length
        calls.rule(patient, clinic, rule_word()): (0, 1),
    }

    for data, places in clean.items():
        assert raw(data)
        for place in places:
            dirty = bytearray.fromhex(data[2:])
            dirty[4 + 32 * place] = 1
            assert not raw("0x" + dirty.hex())


@pytest.mark.spec("C50", "C52", "C54")
@pytest.mark.parametrize("function", ["setRules", "setRulesFor", "relay"])
def test_array_longer_than_what_was_sent_is_refused(raw, consent_registry, function):
    selector = getattr(consent_registry, function).signature
    for length in (1, 2**64, 2**255):
        head = [64, 0] if function == "relay" else [32]
        assert not raw(selector + b"".join(word.to_bytes(32) for word in [*head, length]).hex())


@pytest.mark.spec("C55", "C56")
def test_more_gas_named_than_there_is_changes_nothing(consent_registry, relay, calls, patient, clinic, rule_word):
    tx = relay([calls.rule(patient, clinic, rule_word())], 2**256 - 1)

    assert tx.return_value == 0
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C53", "C54")
def test_one_message_through_every_door_counts_once(
    consent_registry, relay, calls, signed_change, patient, clinic, rule_word
):
    alone = calls.rule(patient, clinic, rule_word())
    batch = consent_registry.setRulesFor.encode_input([signed_change(patient, clinic, rule_word())])
    nested = consent_registry.relay.encode_input([alone], 0)

    tx = relay([batch, alone, nested, batch], GAS_EACH)

    assert tx.return_value == 3
    assert [event["word"] for event in tx.events if event.name == "RuleSet"] == [rule_word()]


@pytest.mark.spec("B1", "B4", "C54")
def test_relaying_lends_nobody_emergency_care(consent_registry, relay, patient, emergency_department):
    call = consent_registry.breakGlass.encode_input(patient, 1, 0, SALTED)

    assert relay([call], GAS_EACH).return_value == 1
    tx = consent_registry.relay([call], 0, {"from": emergency_department})

    assert tx.events["GlassBroken"]["account"] == emergency_department


@pytest.mark.spec("B5", "B6", "C54")
def test_several_calls_at_once_do_not_outrun_the_limits(
    consent_registry, admin, accounts, patient, emergency_department
):
    consent_registry.setBreakGlassLimits(3, 1440, {"from": admin})
    subjects = [patient, patient, *accounts[13:17]]
    openings = [consent_registry.breakGlass.encode_input(subject, 1, 0, SALTED) for subject in subjects]

    tx = consent_registry.relay(openings, GAS_EACH, {"from": emergency_department})

    assert len(tx.events["GlassBroken"]) == 3
    assert [event["position"] for event in tx.events["CallSkipped"]] == [1, 4, 5]


@pytest.mark.spec("B1", "B11")
def test_removed_party_leaves_its_openings_to_nobody(
    break_glass, emergency, registrar, admin, accredit, emergency_department, fresh_account
):
    registrar.offerAccount(fresh_account, {"from": emergency_department})
    registrar.takeAccount(emergency_department, {"from": fresh_account})
    break_glass(fresh_account)
    registrar.remove(emergency_department, {"from": admin})
    assert emergency(fresh_account)[0] is Reason.INACTIVE_PARTY

    # The last account becomes another party, of emergency care too.
    accredit(fresh_account, PROVIDER)
    registrar.joinGroup(2, fresh_account, {"from": admin})

    assert emergency(fresh_account)[0] is Reason.NO_RULE


@pytest.mark.spec("B9", "C33")
def test_number_of_a_group_is_no_actor(break_glass, emergency):
    break_glass()

    for number in range(4):
        assert emergency(f"0x{number:040x}")[0] is Reason.INACTIVE_PARTY


@pytest.mark.spec("B8", "C61")
def test_opening_is_no_way_around_a_withdrawal_but_for_emergencies(consent_registry, break_glass, emergency, patient):
    break_glass()
    consent_registry.withdraw(patient, 0, b"", {"from": patient})

    assert emergency()[0] is Reason.BREAK_GLASS
    assert emergency(purposes=Purpose.TREAT)[0] is Reason.DENIED


@pytest.mark.spec("C61")
def test_message_held_back_over_a_withdrawal_permits_nothing(
    consent_registry, relay, calls, patient, clinic, rule_word, emergency
):
    held = [calls.rule(patient, grantee, rule_word(purposes=Purpose.BTG)) for grantee in (clinic, EVERYONE)]
    consent_registry.withdraw(patient, 0, b"", {"from": patient})

    assert relay(held, GAS_EACH).return_value == 1

    assert emergency(clinic)[0] is Reason.DENIED


@pytest.mark.spec("C61")
def test_thief_of_a_withdrawn_key_brings_nothing_back(
    consent_registry, delegate_to, patient, delegate, clinic, rule_word, emergency
):
    """By the key, by delegates that it names, at every other index: the deny stands."""
    consent_registry.withdraw(patient, 0, b"", {"from": patient})
    delegate_to(delegate, Scope.ALL)
    permit = rule_word(purposes=Purpose.BTG)
    for index in range(1, 16):
        consent_registry.setRuleFor(patient, EVERYONE, permit | index << 16, 0, b"", {"from": delegate})
    for index in range(16):
        consent_registry.setRule(clinic, permit | index << 16, {"from": patient})
    consent_registry.withdraw(patient, 0, b"", {"from": delegate})
    with reverts("SequenceStale", LAST_SEQUENCE, LAST_SEQUENCE):
        consent_registry.revokeRuleFor(patient, EVERYONE, 0, LAST_SEQUENCE, 0, b"", {"from": delegate})

    assert emergency(clinic)[0] is Reason.DENIED
    assert consent_registry.ruleOf(patient, EVERYONE, 0) & FOLLOWS


@pytest.mark.spec("C2", "C57")
def test_nobody_becomes_a_delegate_of_nobody(delegations, consent_registry, stranger, clinic, rule_word, deadline):
    word = 1 | 2 << 16 | 15 << 20 | 2**28 - 1 << 52
    for signature in (b"", bytes(65), bytes(64)):
        with reverts("SignatureInvalid", NOBODY):
            delegations.setDelegation(NOBODY, stranger, word, deadline, signature, {"from": stranger})

    with reverts("DelegateScopeMissing", NOBODY, stranger.address, GRANT):
        consent_registry.setRuleFor(NOBODY, clinic, rule_word(), 0, b"", {"from": stranger})


@pytest.mark.spec("C57")
def test_delegate_does_not_pass_a_revocation_for_a_rule_nor_a_rule_for_a_revocation(
    consent_registry, delegate_to, grant, signed_change, patient, delegate, aide, clinic, rule_word, relayer
):
    """The scope follows from the word that takes effect, not from the function that is called."""
    delegate_to(delegate, GRANT)
    delegate_to(aide, REVOKE)
    grant(clinic, rule_word())

    for account, word, scope in ((delegate, revocation(2), REVOKE), (aide, rule_word(sequence=2), GRANT)):
        with reverts("DelegateScopeMissing", patient.address, account.address, scope):
            consent_registry.setRuleFor(patient, clinic, word, 0, b"", {"from": account})
        with reverts("SignatureInvalid", patient.address):
            consent_registry.setRulesFor([signed_change(patient, clinic, word, by=account)], {"from": relayer})


@pytest.mark.spec("C58")
def test_delegate_sends_an_act_and_loses_its_scope_in_one_transaction(
    consent_registry, delegations, delegate_to, wallet, patient, relayer, clinic, rule_word
):
    """A wallet that acts, resigns and acts again: the second act finds no delegation."""
    delegate_to(wallet, GRANT)
    acts = [
        (consent_registry, consent_registry.setRuleFor.encode_input(patient, clinic, rule_word(), 0, b"")),
        (delegations, delegations.revokeDelegation.encode_input(patient, wallet, wallet, 2, 0, b"")),
    ]
    for target, data in acts:
        wallet.execute(target, data, {"from": relayer})

    with reverts("DelegateScopeMissing", patient.address, wallet.address, GRANT):
        second = consent_registry.setRuleFor.encode_input(patient, clinic, rule_word(sequence=2), 0, b"")
        wallet.execute(consent_registry, second, {"from": relayer})


@pytest.mark.spec("C25", "C56")
def test_wallet_cannot_speak_through_the_reason(relay, calls, wallet, second_patient, relayer, clinic, rule_word):
    """What a wallet says when it reverts is not carried into the log."""
    wallet.setMood(1, {"from": relayer})

    tx = relay([calls.rule(wallet, clinic, rule_word(), by=second_patient)], GAS_EACH)

    expected = keccak(text="SignatureInvalid(address)")[:4] + encode(["address"], [wallet.address])
    assert str(tx.events["CallSkipped"]["reason"]) == "0x" + expected.hex()


@pytest.mark.spec("B6")
def test_limit_of_the_type_is_no_way_around_the_limit(consent_registry, admin, break_glass, accounts):
    """A day's count at the highest number that fits: the next attempt is refused and nothing wraps around."""
    consent_registry.setBreakGlassLimits(65535, 1440, {"from": admin})
    party = accounts[5].address
    break_glass(subject=accounts[13])
    slot = "0x" + keccak(encode(["address", "uint256"], [party, 5])).hex()
    day = int(web3.eth.get_storage_at(consent_registry.address, slot).hex(), 16) % 2**32
    setting = [consent_registry.address, slot, f"0x{65535 << 32 | day:064x}"]
    assert web3.provider.make_request("evm_setAccountStorageAt", setting)["result"] is True

    with pytest.raises(VirtualMachineError, match="OpeningsExhausted: 65535"):
        break_glass(subject=accounts[14])
