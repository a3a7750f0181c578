"""The ConsentRegistry's client: granting, changing and revoking, directly and by messages that anyone relays."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.consent_registry import ConsentRegistry, Decision
from medproof.client.contract import SignedMessage
from medproof.client.registrar import EVERYONE
from medproof.contract_errors import (
    GranteeMissing,
    MessageExpired,
    RuleIndexGap,
    RuleIndexOutOfRange,
    SequenceStale,
    SignatureInvalid,
    TermsUnknown,
)
from medproof.deployments import Deployment
from medproof.errors import MedProofError, MessageError, RuleFieldError, RuleStateError, SigningNeededError
from medproof.policy.codes import Purpose
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc

TERMS = keccak(text="the consent form")


@pytest.fixture
def registry(suite: MedProof) -> ConsentRegistry:
    return suite.consent_registry


@pytest.fixture(params=["direct", "relayed"])
def write(request: pytest.FixtureRequest, registry: ConsentRegistry, patient: LocalSigner, relayer: LocalSigner) -> Any:
    """`write("grant", …)`: as the subject itself, or signed and sent by another account."""

    def direct(verb: str, *arguments: Any, **options: Any) -> Any:
        return getattr(registry, verb)(*arguments, **options, sender=patient)

    def relayed(verb: str, *arguments: Any, **options: Any) -> Any:
        sign = getattr(registry, {"revoke": "sign_revocation"}.get(verb, f"sign_{verb}"))
        return registry.relay(sign(patient, *arguments, **options), sender=relayer)

    return direct if request.param == "direct" else relayed


def test_grant_change_revoke(
    write: Any,
    registry: ConsentRegistry,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    subject, actor = patient.address, clinic.address
    assert registry.rule(subject, actor) is None
    assert registry.decide(subject, actor, request_inside).reason is Reason.NO_RULE
    granted = write("grant", actor, rule)
    assert registry.rule(subject, actor) == rule
    assert registry.is_permitted(subject, actor, request_inside)
    decision = registry.decide(subject, actor, request_inside)
    assert decision == Decision(Reason.PERMITTED, actor, rule, registry.chain.block_number())
    assert decision.permitted

    wider = dataclasses.replace(rule, purposes=Purpose.TREAT | Purpose.HPAYMT)
    changed = write("change", actor, wider)
    assert registry.rule(subject, actor) == dataclasses.replace(wider, sequence=2)

    revoked = write("revoke", actor)
    tombstone = dataclasses.replace(wider, sequence=3, revoked=True)
    assert registry.rule(subject, actor) == tombstone
    decision = registry.decide(subject, actor, request_inside)
    assert (decision.reason, decision.rule, decision.permitted) == (Reason.REVOKED, tombstone, False)

    again = write("grant", actor, rule)
    assert registry.rule(subject, actor) == dataclasses.replace(rule, sequence=4)

    # As of past blocks.
    for receipt, reason in (
        (granted, Reason.PERMITTED),
        (changed, Reason.PERMITTED),
        (revoked, Reason.REVOKED),
        (again, Reason.PERMITTED),
    ):
        decision = registry.decide(subject, actor, request_inside, block=receipt.block)
        assert (decision.reason, decision.block) == (reason, receipt.block)
        permitted = registry.is_permitted(subject, actor, request_inside, block=receipt.block)
        assert permitted is decision.permitted
    assert registry.rule(subject, actor, block=granted.block - 1) is None
    assert registry.rule(subject, actor, block=granted.block) == rule
    assert [event.name for event in registry.history(subject)] == ["RuleSet", "RuleSet", "RuleRevoked", "RuleSet"]
    assert [event.block for event in registry.history(subject)] == [
        receipt.block for receipt in (granted, changed, revoked, again)
    ]


def test_several_rules(
    write: Any, registry: ConsentRegistry, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    first = write("grant", clinic.address, rule)
    for index in (1, 2):
        write("grant", clinic.address, dataclasses.replace(rule, index=index))
    rules = registry.rules(patient.address, clinic.address)
    assert [(one.index, one.follows) for one in rules] == [(0, True), (1, True), (2, False)]
    # What was read may be written again: the contract's flags are left out.
    write("change", clinic.address, rules[0])
    assert registry.rules(patient.address, clinic.address)[0] == dataclasses.replace(rules[0], sequence=2)
    write("revoke", clinic.address, index=1)
    assert [one.revoked for one in registry.rules(patient.address, clinic.address)] == [False, True, False]
    tombstone = registry.rules(patient.address, clinic.address)[1]
    write("grant", clinic.address, tombstone)
    assert not registry.rules(patient.address, clinic.address)[1].revoked
    assert registry.rules(patient.address, EVERYONE) == ()
    assert registry.rules(patient.address, clinic.address, block=first.block - 1) == ()
    assert len(registry.rules(patient.address, clinic.address, block=first.block)) == 1


def test_wrong_state(
    write: Any, registry: ConsentRegistry, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    for verb, arguments in (("change", (rule,)), ("revoke", ())):
        with pytest.raises(RuleStateError, match="There is no rule 0"):
            write(verb, clinic.address, *arguments)
    write("grant", clinic.address, rule)
    with pytest.raises(RuleStateError, match="in force already"):
        write("grant", clinic.address, rule)
    write("revoke", clinic.address)
    for verb, arguments in (("change", (rule,)), ("revoke", ())):
        with pytest.raises(RuleStateError):
            write(verb, clinic.address, *arguments)


def test_errors_by_name(write: Any, clinic: LocalSigner, rule: Rule) -> None:
    with pytest.raises(RuleIndexGap) as gap:
        write("grant", clinic.address, dataclasses.replace(rule, index=2))
    assert gap.value.index == 2
    with pytest.raises(RuleIndexOutOfRange):
        write("revoke", clinic.address, index=16, sequence=1)
    with pytest.raises(GranteeMissing):
        write("grant", "0x" + "00" * 20, rule)
    with pytest.raises(RuleFieldError):
        write("grant", clinic.address, dataclasses.replace(rule, purposes=Purpose.EMPTY))


def test_revocation_beats_a_grant_that_is_on_its_way(
    write: Any, registry: ConsentRegistry, patient: LocalSigner, clinic: LocalSigner, relayer: LocalSigner, rule: Rule
) -> None:
    on_its_way = registry.sign_grant(patient, clinic.address, rule)
    write("revoke", clinic.address, sequence=5)
    with pytest.raises(SequenceStale) as caught:
        registry.relay(on_its_way, sender=relayer)
    assert (caught.value.stored, caught.value.given) == (5, 1)


def test_nobody_named_to_send(registry: ConsentRegistry, clinic: LocalSigner, rule: Rule) -> None:
    for act in (
        lambda: registry.grant(clinic.address, rule),
        lambda: registry.change(clinic.address, rule),
        lambda: registry.revoke(clinic.address),
    ):
        with pytest.raises(SigningNeededError):
            act()


def test_terms(
    registry: ConsentRegistry,
    admin: LocalSigner,
    patient: LocalSigner,
    clinic: LocalSigner,
    relayer: LocalSigner,
    rule: Rule,
) -> None:
    assert registry.terms_number(TERMS) == 0
    assert registry.terms(1) == bytes(32)
    unpublished = registry.sign_grant(patient, clinic.address, dataclasses.replace(rule, terms=1))
    with pytest.raises(TermsUnknown) as caught:
        registry.relay(unpublished, sender=relayer)
    assert caught.value.number == 1
    number = registry.publish_terms(TERMS, sender=admin)
    assert registry.publish_terms(TERMS, sender=admin) == number == registry.terms_number(TERMS)
    assert registry.terms(number) == TERMS
    with pytest.raises(SignatureInvalid):  # it was signed without them
        registry.relay(unpublished, sender=relayer)
    signed = registry.sign_grant(patient, clinic.address, dataclasses.replace(rule, terms=number))
    registry.relay(signed, sender=relayer)
    stored = registry.rule(patient.address, clinic.address)
    assert stored is not None
    assert stored.terms == number


# -- messages ---------------------------------------------------------------------------------------------------


@pytest.fixture
def message(registry: ConsentRegistry, patient: LocalSigner, clinic: LocalSigner, rule: Rule) -> SignedMessage:
    return registry.sign_grant(patient, clinic.address, rule)


def test_message_as_json(suite: MedProof, message: SignedMessage, patient: LocalSigner, relayer: LocalSigner) -> None:
    read = SignedMessage.from_json(message.to_json())
    assert read == message
    suite.relay(read, sender=relayer)
    assert [event.arguments["subject"] for event in suite.consent_registry.events("RuleSet")] == [patient.address]


def test_message_counts_once(suite: MedProof, message: SignedMessage, relayer: LocalSigner) -> None:
    suite.relay(message, sender=relayer)
    with pytest.raises(SequenceStale):
        suite.relay(message, sender=relayer)


def test_message_expires(chain: Chain, registry: ConsentRegistry, message: SignedMessage, relayer: LocalSigner) -> None:
    rpc(chain, "evm_increaseTime", 3700)
    rpc(chain, "evm_mine")
    with pytest.raises(MessageExpired) as caught:
        registry.relay(message, sender=relayer)
    assert caught.value.deadline == message.deadline


def test_lifetime(
    chain: Chain, registry: ConsentRegistry, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    message = registry.sign_grant(patient, clinic.address, rule, lifetime=10)
    assert message.deadline == chain.timestamp() + 10


@pytest.mark.parametrize(
    "change",
    [
        lambda arguments, other: (other, *arguments[1:]),
        lambda arguments, other: (arguments[0], other, *arguments[2:]),
        lambda arguments, other: (*arguments[:2], arguments[2] ^ 1 << 134, *arguments[3:]),
        lambda arguments, other: (*arguments[:3], arguments[3] + 1, arguments[4]),
        lambda arguments, other: (*arguments[:4], bytes(65)),
    ],
    ids=["subject", "grantee", "word", "deadline", "zero signature"],
)
def test_altered_message(
    registry: ConsentRegistry, message: SignedMessage, stranger: LocalSigner, relayer: LocalSigner, change: Any
) -> None:
    altered = dataclasses.replace(message, arguments=change(message.arguments, stranger.address))
    with pytest.raises(SignatureInvalid):
        registry.relay(altered, sender=relayer)


def test_unsigned_message_would_act_in_the_senders_name(
    registry: ConsentRegistry, message: SignedMessage, patient: LocalSigner
) -> None:
    unsigned = dataclasses.replace(message, arguments=(*message.arguments[:-1], b""))
    with pytest.raises(MessageError, match="has no signature"):
        registry.relay(unsigned, sender=patient)


@pytest.mark.parametrize(
    ("member", "value"),
    [("contract", "RecordPointers"), ("chain_id", 1), ("address", "0x" + "11" * 20)],
)
def test_message_for_somewhere_else(
    suite: MedProof, message: SignedMessage, relayer: LocalSigner, member: str, value: Any
) -> None:
    elsewhere = dataclasses.replace(message, **{member: value})
    with pytest.raises(MessageError, match="Relay it there"):
        suite.relay(elsewhere, sender=relayer)
    with pytest.raises(MessageError, match="Relay it there"):
        suite.consent_registry.relay(elsewhere, sender=relayer)
    with pytest.raises(MessageError, match="Relay it there"):
        suite.record_pointers.relay(message, sender=relayer)


def test_signature_counts_at_one_address_only(
    chain: Chain,
    registry: ConsentRegistry,
    message: SignedMessage,
    admin: LocalSigner,
    relayer: LocalSigner,
    deployment: Deployment,
) -> None:
    from medproof.artifacts import artifact

    build = artifact("ConsentRegistry")
    arguments = tuple(deployment.address(name) for name in ("Authority", "Registrar", "Delegations"))
    twin = chain.wait(chain.send(chain.creation(build.bytecode, build.abi, arguments), sender=admin)).contract
    assert twin is not None
    with pytest.raises(SignatureInvalid):
        chain.transact(chain.contract(twin, build.abi), message.function, message.arguments, sender=relayer)


@pytest.mark.parametrize("contract", ["Registrar", "AccessLog", "Authority", "Elsewhere"])
def test_contract_that_takes_no_messages(suite: MedProof, message: SignedMessage, contract: str) -> None:
    with pytest.raises(MessageError, match="takes no relayed messages"):
        suite.relay(dataclasses.replace(message, contract=contract))


def test_message_cannot_make_its_relayer_act(
    suite: MedProof, message: SignedMessage, clinic: LocalSigner, admin: LocalSigner
) -> None:
    """Whoever relays is often a clinic, or the admin: no message may use their rights."""
    word = message.arguments[2]
    for client, function, arguments in (
        (suite.consent_registry, "setRule", (clinic.address, word)),
        (suite.consent_registry, "publishTerms", (TERMS,)),
        (suite.record_pointers, "post", (clinic.address, 1, TERMS)),
        (suite.record_pointers, "offerCustody", (clinic.address, clinic.address, TERMS, clinic.address)),
        (suite.registrar, "remove", (clinic.address,)),
        (suite.claim_anchor, "publishRules", (TERMS, 1)),
    ):
        forged = dataclasses.replace(
            message, contract=client.name, address=client.address, function=function, arguments=arguments
        )
        for sender in (clinic, admin):
            with pytest.raises(MessageError, match="act in your name"):
                client.relay(forged, sender=sender)


def change(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: "{}",
        lambda text: text[:-20],
        lambda text: change(text, contract="../../secret"),
        lambda text: change(text, contract=["ConsentRegistry"]),
        lambda text: change(text, function="noSuchFunction"),
        lambda text: change(text, function="registrar"),
        lambda text: change(text, arguments=[]),
        lambda text: change(text, arguments=[1, 2, 3, 4, 5]),
        lambda text: change(text, arguments=None),
        lambda text: change(text, also=1),
        lambda text: change(text, deadline=9_999_999_999),
        lambda text: text.replace("0x", "0xzz"),
    ],
)
def test_text_that_is_no_message(message: SignedMessage, alter: Any) -> None:
    with pytest.raises(MessageError, match=r"SignedMessage\.to_json"):
        SignedMessage.from_json(alter(message.to_json()))


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_arguments_of_the_wrong_type(
    registry: ConsentRegistry, message: SignedMessage, relayer: LocalSigner, place: int
) -> None:
    arguments = [*message.arguments]
    arguments[place] = {"a": 1}
    with pytest.raises(MedProofError, match="arguments do not fit"):
        registry.relay(dataclasses.replace(message, arguments=tuple(arguments)), sender=relayer)


def test_numbers_are_text_since_not_every_reader_of_json_keeps_256_bits(message: SignedMessage) -> None:
    [word] = (value for value in json.loads(message.to_json())["arguments"] if value.isdecimal() and len(value) > 20)
    assert int(word) == message.arguments[2]
