"""The Delegations' client: delegates, guardians and the recovery of a lost key, directly and by relayed messages."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.delegations import Approval, Delegations, Guardians, RecoveryUnderWay
from medproof.contract_errors import (
    ApprovalsTooFew,
    DelegationNotYours,
    DelegationStale,
    NotTheSubject,
    RecoveryNotUnderWay,
    RecoveryTooEarly,
    RoundStale,
)
from medproof.errors import DelegationError, MessageError, RuleFieldError
from medproof.policy.codes import CodeSystem
from medproof.policy.delegation import (
    DELEGATION_FIELDS,
    V3_ROLE_CODE,
    DelegateKind,
    Delegation,
    Scope,
    age_out,
    decode_delegation,
    encode_delegation,
)
from medproof.policy.word import NO_END_MINUTE
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT
from tests.sdk.conftest import funded, rpc

THREE_DAYS = timedelta(days=3)


@pytest.fixture
def delegations(suite: MedProof) -> Delegations:
    return suite.delegations


@pytest.fixture(scope="session")
def steward() -> LocalSigner:
    return funded(10)


@pytest.fixture(scope="session")
def aide() -> LocalSigner:
    """Whom the steward names."""
    return funded(11)


@pytest.fixture(scope="session")
def guardian_signers() -> tuple[LocalSigner, ...]:
    return tuple(funded(number) for number in (12, 13, 14))


@pytest.fixture(scope="session")
def guardians(guardian_signers: tuple[LocalSigner, ...]) -> Guardians:
    """Two of three, and three days to object."""
    accounts = [signer.address for signer in guardian_signers]
    return Guardians.create(accounts, threshold=2, delay=THREE_DAYS)


@pytest.fixture
def delegation(chain: Chain) -> Delegation:
    """A steward that may grant and revoke, and delegate further, for a month."""
    now = datetime.fromtimestamp(chain.timestamp() // 60 * 60, UTC)
    scopes = Scope.GRANT | Scope.REVOKE | Scope.DELEGATE
    return Delegation(DelegateKind.STEWARD, scopes, now, now + timedelta(days=30))


@pytest.fixture(params=["direct", "relayed"])
def write(request: pytest.FixtureRequest, delegations: Delegations, relayer: LocalSigner) -> Any:
    """`write("delegate", by, …)`: sent by the author, or signed by it and sent by another account."""

    def direct(verb: str, by: LocalSigner, *arguments: Any, **options: Any) -> Any:
        return getattr(delegations, verb)(*arguments, **options, sender=by)

    def relayed(verb: str, by: LocalSigner, *arguments: Any, **options: Any) -> Any:
        names = {
            "delegate": "sign_delegation",
            "revoke": "sign_revocation",
            "name_guardians": "sign_guardians",
            "object": "sign_objection",
        }
        message = getattr(delegations, names[verb])(by, *arguments, **options)
        return delegations.relay(SignedMessage.from_json(message.to_json()), sender=relayer)

    return direct if request.param == "direct" else relayed


# -- delegations ------------------------------------------------------------------------------------------------


def test_delegate_change_revoke(
    write: Any, delegations: Delegations, delegation: Delegation, patient: LocalSigner, steward: LocalSigner
) -> None:
    subject, to = patient.address, steward.address
    assert delegations.delegation(subject, to) is None
    assert delegations.scopes(subject, to) is Scope.NONE

    given = write("delegate", patient, to, delegation)
    stored = dataclasses.replace(delegation, delegator=subject, sequence=1)
    assert delegations.delegation(subject, to) == stored
    assert delegations.scopes(subject, to) == delegation.scopes

    write("delegate", patient, to, dataclasses.replace(delegation, scopes=Scope.VIEW))
    assert delegations.scopes(subject, to) is Scope.VIEW

    write("revoke", steward, to, subject=subject)
    ended = delegations.delegation(subject, to)
    assert ended is not None
    assert (ended.revoked, ended.sequence, ended.delegator) == (True, 3, to)
    assert delegations.scopes(subject, to) is Scope.NONE
    assert delegations.scopes(subject, to, block=given.block) == delegation.scopes
    assert [(event.name, event.arguments["by"]) for event in delegations.history(subject)] == [
        ("DelegationSet", subject),
        ("DelegationSet", subject),
        ("DelegationRevoked", to),
    ]
    with pytest.raises(DelegationError, match="no delegate"):
        write("revoke", patient, to)


def test_delegate_further(
    write: Any,
    delegations: Delegations,
    delegation: Delegation,
    patient: LocalSigner,
    steward: LocalSigner,
    aide: LocalSigner,
) -> None:
    less = dataclasses.replace(delegation, scopes=Scope.GRANT)
    write("delegate", patient, steward.address, delegation)

    write("delegate", steward, aide.address, less, subject=patient.address)

    stored = delegations.delegation(patient.address, aide.address)
    assert stored == dataclasses.replace(less, delegator=steward.address, delegator_sequence=1, sequence=1)
    with pytest.raises(DelegationNotYours):
        write("delegate", aide, steward.address, less, subject=patient.address)
    write("revoke", patient, steward.address)
    assert delegations.scopes(patient.address, aide.address) is Scope.NONE


def test_revocation_beats_a_delegation_that_is_on_its_way(
    write: Any,
    delegations: Delegations,
    delegation: Delegation,
    patient: LocalSigner,
    steward: LocalSigner,
    relayer: LocalSigner,
) -> None:
    on_its_way = delegations.sign_delegation(patient, steward.address, delegation)
    write("revoke", patient, steward.address, sequence=4)
    with pytest.raises(DelegationStale) as caught:
        delegations.relay(on_its_way, sender=relayer)
    assert (caught.value.stored, caught.value.given) == (4, 1)
    unseen = delegations.delegation(patient.address, steward.address)
    assert unseen is not None
    assert (unseen.kind, unseen.revoked) == (None, True)


def test_message_without_signature_does_not_act_for_its_relayer(
    suite: MedProof, delegations: Delegations, delegation: Delegation, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    message = delegations.sign_delegation(relayer, stranger.address, delegation)
    forged = dataclasses.replace(message, arguments=(*message.arguments[:-1], b""))
    for client in (suite, delegations):
        with pytest.raises(MessageError, match="act in your name"):
            client.relay(forged, sender=relayer)


def test_suite_relays(
    suite: MedProof, delegation: Delegation, patient: LocalSigner, steward: LocalSigner, relayer: LocalSigner
) -> None:
    suite.relay(suite.delegations.sign_delegation(patient, steward.address, delegation), sender=relayer)
    assert suite.delegations.scopes(patient.address, steward.address) == delegation.scopes


# -- recovery ---------------------------------------------------------------------------------------------------


def test_lost_key_is_recovered(
    write: Any,
    chain: Chain,
    delegations: Delegations,
    guardians: Guardians,
    guardian_signers: tuple[LocalSigner, ...],
    patient: LocalSigner,
    fresh_account: LocalSigner,
    relayer: LocalSigner,
) -> None:
    subject, successor = patient.address, fresh_account.address
    assert delegations.guardians_commitment(subject) is None
    assert (delegations.recovery(subject), delegations.successor(subject)) == (None, None)
    write("name_guardians", patient, guardians)
    assert delegations.guardians_commitment(subject) == guardians.commitment

    proposed = delegations.propose_recovery(subject, successor)
    approvals = [delegations.sign_recovery(signer, proposed) for signer in guardian_signers[:2]]
    with pytest.raises(ApprovalsTooFew):
        delegations.start_recovery(proposed, guardians, approvals[:1], sender=relayer)
    kept = Guardians.from_json(guardians.to_json())  # by one of the guardians
    started = delegations.start_recovery(proposed, kept, approvals, sender=relayer)

    under_way = delegations.recovery(subject)
    assert under_way is not None
    assert (under_way.successor, under_way.round) == (successor, 2)
    with pytest.raises(RecoveryTooEarly):
        delegations.complete_recovery(subject, sender=relayer)
    rpc(chain, "evm_increaseTime", int(THREE_DAYS.total_seconds()))
    rpc(chain, "evm_mine")
    delegations.complete_recovery(subject, sender=relayer)

    assert delegations.scopes(subject, successor) is Scope.ALL
    assert delegations.scopes(subject, successor, block=started.block) is Scope.NONE
    assert (delegations.recovery(subject), delegations.successor(subject)) == (None, successor)
    said = delegations.delegation(subject, successor)
    assert said is not None
    assert (said.kind, said.valid_until) == (DelegateKind.SUCCESSOR, None)
    write("name_guardians", fresh_account, None, subject=subject)
    assert delegations.guardians_commitment(subject) is None
    names = [event.name for event in delegations.history(subject)]
    assert names == [
        "GuardiansNamed",
        "RecoveryStarted",
        "RecoveryApproved",
        "RecoveryApproved",
        "RecoveryCompleted",
        "GuardiansNamed",
    ]


def test_subject_objects(
    write: Any,
    delegations: Delegations,
    guardians: Guardians,
    guardian_signers: tuple[LocalSigner, ...],
    patient: LocalSigner,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
) -> None:
    delegations.name_guardians(guardians, sender=patient)
    proposed = delegations.propose_recovery(patient.address, fresh_account.address)
    approvals = [delegations.sign_recovery(signer, proposed) for signer in guardian_signers]
    delegations.start_recovery(proposed, guardians, approvals, sender=stranger)
    assert isinstance(delegations.recovery(patient.address), RecoveryUnderWay)
    with pytest.raises(NotTheSubject):
        write("object", stranger, subject=patient.address)

    write("object", patient, round_number=7)

    assert delegations.recovery(patient.address) is None
    with pytest.raises(RecoveryNotUnderWay):
        delegations.complete_recovery(patient.address, sender=stranger)
    with pytest.raises(RoundStale):
        delegations.start_recovery(proposed, guardians, approvals, sender=stranger)
    assert delegations.propose_recovery(patient.address, fresh_account.address).round == 8


def test_approval_of_nobody_named(
    delegations: Delegations,
    guardians: Guardians,
    guardian_signers: tuple[LocalSigner, ...],
    patient: LocalSigner,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
) -> None:
    proposed = delegations.propose_recovery(patient.address, fresh_account.address)
    for approval in (delegations.sign_recovery(stranger, proposed), Approval(guardian_signers[0].address, b"")):
        with pytest.raises(DelegationError, match="is no guardian, or has signed nothing"):
            delegations.start_recovery(proposed, guardians, [approval], sender=stranger)


# -- without a chain --------------------------------------------------------------------------------------------


@pytest.mark.spec("D42")
@pytest.mark.parametrize(
    "changes",
    [
        {"accounts": ()},
        {"accounts": tuple(funded(number).address for number in range(17))},
        {"accounts": (funded(0).address, funded(0).address)},
        {"accounts": (funded(0).address.lower(),), "threshold": 1},
        {"threshold": 0},
        {"threshold": 4},
        {"delay": THREE_DAYS - timedelta(seconds=1)},
        {"delay": timedelta(days=90, seconds=1)},
        {"delay": timedelta(days=5, microseconds=1)},
        {"salt": bytes(31)},
    ],
)
def test_guardians_that_recover_nobody(guardians: Guardians, changes: dict[str, Any]) -> None:
    with pytest.raises(DelegationError):
        dataclasses.replace(guardians, **changes)


@pytest.mark.spec("D42")
def test_commitment_hides_the_guardians(guardians: Guardians) -> None:
    again = Guardians.create(guardians.accounts, threshold=2, delay=THREE_DAYS)
    assert again.commitment != guardians.commitment
    members, threshold, delay = guardians.shown
    assert (len(set(members)), threshold, delay) == (3, 2, 3 * 24 * 3600)
    assert not set(members) & set(again.shown[0])
    assert len({guardians.salt_of(account) for account in guardians.accounts}) == 3


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"salt": "0xzz"}', '{"accounts": 7}'])
def test_text_that_is_no_guardians(guardians: Guardians, text: str) -> None:
    with pytest.raises(DelegationError, match=r"Guardians\.to_json"):
        Guardians.from_json(text)
    with pytest.raises(DelegationError):
        Guardians.from_json(json.dumps({**json.loads(guardians.to_json()), "threshold": 9}))


def said(**changes: Any) -> Delegation:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    plain = Delegation(DelegateKind.STEWARD, Scope.GRANT, begin, begin + timedelta(days=1), sequence=1)
    return dataclasses.replace(plain, **changes)


@pytest.mark.spec("D1", "D42")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": DelegateKind.HEALTH_PROXY, "scopes": Scope.ALL, "valid_until": None},
        {"kind": DelegateKind.GUARDIAN, "delegator_sequence": 65535, "sequence": 65535},
        {"delegator": funded(3).address, "valid_from": datetime(1970, 1, 1, tzinfo=UTC)},
    ],
)
def test_word_there_and_back(changes: dict[str, Any]) -> None:
    given = said(**{"delegator": "0x" + "00" * 20, **changes})
    word = encode_delegation(given)
    assert decode_delegation(word) == given
    assert DELEGATION_FIELDS["kind"].of(word) == given.kind


@pytest.mark.spec("D42")
@pytest.mark.parametrize(
    "changes",
    [
        {"kind": None},
        {"kind": DelegateKind.SUCCESSOR},
        {"scopes": Scope.NONE},
        {"valid_until": datetime(2026, 1, 1, tzinfo=UTC)},
        {"valid_from": datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)},
        {"valid_from": datetime(1969, 12, 31, tzinfo=UTC)},
        {"valid_until": datetime(2500, 1, 1, tzinfo=UTC)},
        {"kind": DelegateKind.GUARDIAN, "valid_until": None},
        {"sequence": 65536},
        {"delegator_sequence": -1},
    ],
)
def test_delegation_that_cannot_be_written(changes: dict[str, Any]) -> None:
    with pytest.raises(DelegationError):
        encode_delegation(said(**changes))


def test_moment_without_a_zone() -> None:
    with pytest.raises(RuleFieldError, match="without a zone"):
        encode_delegation(said(valid_from=datetime(2026, 1, 1)))


def test_kinds_have_the_standards_codes() -> None:
    text = (ROOT / "node_modules/hl7.fhir.r4.examples/CodeSystem-v3-RoleCode.json").read_text(encoding="utf-8")
    published = json.loads(text)
    codes = set(codes_of(published["concept"]))
    assert {kind.code for kind in DelegateKind} < codes
    assert CodeSystem(published["url"], published["version"], "HL7 v3 RoleCode") == V3_ROLE_CODE


def codes_of(concepts: list[dict[str, Any]]) -> Any:
    for concept in concepts:
        yield concept["code"]
        yield from codes_of(concept.get("concept", []))


def test_age_out_tells_the_year_alone() -> None:
    ends = {age_out(date(2010, month, day)) for month, day in ((1, 1), (6, 15), (12, 31))}
    assert ends == {datetime(2027, 12, 31, tzinfo=UTC)}
    # Where the day begins first, at UTC+14, nobody is of age yet.
    assert ends.pop() < datetime(2028, 1, 1, tzinfo=UTC) - timedelta(hours=14)
    assert age_out(date(2008, 2, 29), age=16) == datetime(2023, 12, 31, tzinfo=UTC)
    assert encode_delegation(said(kind=DelegateKind.GUARDIAN, valid_until=age_out(date(2010, 3, 3)))) < 1 << 96


def test_no_end_is_the_rules() -> None:
    word = encode_delegation(said(valid_until=None))
    assert DELEGATION_FIELDS["validUntil"].of(word) == NO_END_MINUTE
