"""What parties carry over themselves: pointers with versions, custody and answers; logs, keys, studies, claims."""

from __future__ import annotations

from datetime import date

import pytest

from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, Rules
from medproof.client.record_pointers import Status
from medproof.client.studies import Study
from medproof.contract_errors import AlreadyBilled, NullifierNotWaiting, StepNotYours
from medproof.errors import MigrationError
from medproof.migration import Kind
from medproof.policy.codes import PartyKind
from medproof.policy.study import StudyDocument
from medproof.policy.word import Rule
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from tests.sdk.migration.conftest import Compare
from tests.sdk.migration.registry import accredit, act, authorize, comparison, post, sign_and_relay
from tests.sdk.studies.conftest import permit, protocol  # noqa: F401 - fixtures


@pytest.fixture
def both(authorized: None, old: MedProof, new: MedProof) -> tuple[MedProof, MedProof]:
    """The two deployments, with the same parties."""
    return old, new


def test_pointers_with_their_versions_custody_and_answers(
    both: tuple[MedProof, MedProof],
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old, new = both
    pointers = old.record_pointers
    accepted, disputed, denied, given = (post(old, clinic, patient.address, number) for number in range(1, 5))
    pointers.accept(accepted, sender=patient)
    pointers.dispute(disputed, reason=b"\x51" * 32, sender=patient)
    pointers.dispute(denied, reason=b"\x52" * 32, sender=patient)
    pointers.deny_dispute(denied, reason=b"\x53" * 32, sender=clinic)
    pointers.offer_custody(given, second_clinic.address, sender=clinic)
    pointers.take_custody(given, sender=second_clinic)
    amended, _ = pointers.amend(given, b"\x66" * 32, sender=second_clinic)
    pointers.accept(amended, sender=patient)
    pointers.post_batch(b"\x77" * 32, 9, sender=clinic)

    for _ in range(2):
        for custodian in (clinic, second_clinic):
            assert [one.refused for one in act(old, new, custodian) if one.refused] == []
    sign_and_relay(old, new, patient, relaying)
    act(old, new, clinic)

    assert compare().whole
    for key in (accepted, disputed, denied, given, amended):
        was, stands = pointers.pointer(key), new.record_pointers.pointer(key)
        assert was is not None
        assert stands is not None
        assert (was.status, was.custodian, was.version, was.data_class) == (
            stands.status,
            stands.custodian,
            stands.version,
            stands.data_class,
        )
    assert new.record_pointers.previous(amended) == given.id
    assert new.record_pointers.batch_size(clinic.address, b"\x77" * 32) == 9
    reasons = [dict(one.arguments)["reason"] for one in new.record_pointers.events("DisputeDenied")]
    assert reasons == [b"\x53" * 32]
    pointers.dispute(accepted, sender=patient)  # since
    sign_and_relay(old, new, patient, relaying)
    found = new.record_pointers.pointer(accepted)
    assert found is not None
    assert found.status is Status.DISPUTED
    assert compare().whole


def test_a_pointer_of_a_party_that_was_removed_cannot_be_posted_and_is_told(
    both: tuple[MedProof, MedProof],
    admin: LocalSigner,
    clinic: LocalSigner,
    patient: LocalSigner,
    second_clinic: LocalSigner,
    compare: Compare,
) -> None:
    old, new = both
    key = post(old, clinic, patient.address, 1)
    post(new, second_clinic, patient.address, 2)
    old.registrar.remove(clinic.address, sender=admin)
    authorize(old, new, admin)
    [stuck] = compare().findings(Kind.STUCK)
    assert (stuck.part, stuck.about) == ("pointers", clinic.address)
    assert f"0x{key.commitment.hex()}" in stuck.says
    [wider] = compare().findings(Kind.WIDER)
    assert wider.says == f"{second_clinic.address} points to 0x{(2).to_bytes(32, 'big').hex()}."
    assert not compare().whole


def test_logs_keys_and_studies(
    both: tuple[MedProof, MedProof],
    clinic: LocalSigner,
    researcher: LocalSigner,
    patient: LocalSigner,
    protocol: StudyDocument,  # noqa: F811 - a fixture
    permit: Rule,  # noqa: F811 - a fixture
    relaying: Relayer,
    compare: Compare,
) -> None:
    old, new = both
    old.batch_anchor.anchor(clinic.address, 5, b"\x41" * 32, sender=clinic)
    old.batch_anchor.anchor(clinic.address, 8, b"\x42" * 32, sender=clinic)
    old.access_log.open(1, patient.address, sender=clinic)
    old.registrar.publish_encryption_key(b"\x09" * 32, sender=clinic)
    study = Study.of(protocol)
    old.studies.register(study, sender=researcher)
    old.consent_registry.grant(study.researcher, permit, sender=patient)
    old.studies.opt_in(study, sender=patient)
    [opt_in] = [one for one in compare().steps() if one.function == "optIn"]
    assert opt_in.waits == "its researcher to register it"

    for party in (clinic, researcher):
        act(old, new, party)
    sign_and_relay(old, new, patient, relaying)

    assert compare().whole
    last = new.batch_anchor.latest(clinic.address)
    assert last is not None
    assert (last.size, last.root) == (8, b"\x42" * 32)
    assert new.access_log.signer(clinic.address, log=1) == patient.address
    assert new.registrar.encryption_key(clinic.address) == b"\x09" * 32
    assert new.studies.may_use(study.id, patient.address).permitted
    old.studies.opt_out(study.id, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    assert compare().whole
    assert not new.studies.may_use(study.id, patient.address).permitted
    old.studies.close(study.id, sender=researcher)
    act(old, new, researcher)
    assert compare().whole
    assert new.studies.state(study.id) == old.studies.state(study.id)


def test_a_log_that_is_another_one_is_found(
    both: tuple[MedProof, MedProof], clinic: LocalSigner, compare: Compare
) -> None:
    old, new = both
    old.batch_anchor.anchor(clinic.address, 5, b"\x41" * 32, sender=clinic)
    new.batch_anchor.anchor(clinic.address, 5, b"\x42" * 32, sender=clinic)
    [wider] = compare().findings(Kind.WIDER)
    assert wider.part == "logs"


def submit(suite: MedProof, provider: LocalSigner, root: int, *nullifiers: int, relayed: bool = False) -> None:
    anchor = suite.claim_anchor
    arguments = (provider.address, bytes([root]) * 32, [bytes([one]) * 32 for one in nullifiers], 0, b"")
    if not relayed:
        suite.chain.transact(anchor.contract, "submitBatch", arguments, sender=provider)
        return
    call = bytes.fromhex(suite.chain.call_data(anchor.contract, "submitBatch", arguments)[2:])
    suite.chain.transact(anchor.contract, "relay", ([call], 0), sender=provider)


def test_what_was_billed_is_billed_once_across_both(
    both: tuple[MedProof, MedProof],
    admin: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    keeper: LocalSigner,
    far_day: date,
) -> None:
    old, new = both
    submit(old, clinic, 1, 11, 12)
    submit(old, clinic, 2, 13, relayed=True)
    number = old.claim_anchor.publish_rules(Rules(b"\x31" * 32, date(2020, 1, 1)), sender=payer)
    old.claim_anchor.submit(
        AnchoredClaim(clinic.address, payer.address, b"\x21" * 32, bytes([14]) * 32), number, sender=clinic
    )
    old.claim_anchor.release(clinic.address, bytes([1]) * 32, bytes([12]) * 32, sender=clinic)  # billed no more
    [told] = comparison(old, new).findings(Kind.STUCK)
    assert told.says == "3 services that were billed could be billed again. Name a keeper (--keeper)."

    [waiting] = comparison(old, new, keeper=keeper.address).steps()
    assert waiting.waits == f"{keeper.address} to be accredited"
    accredit(new, admin, keeper.address, PartyKind.PROVIDER, far_day)
    act(old, new, keeper, keeper=keeper.address)
    [suspension] = comparison(old, new, keeper=keeper.address).steps()
    assert suspension.function == "suspend"
    authorize(old, new, admin, keeper=keeper.address)

    assert comparison(old, new, keeper=keeper.address).whole
    for billed in (11, 13, 14):
        with pytest.raises(AlreadyBilled):
            submit(new, second_clinic, 5, billed)
    [root] = [one.arguments["root"] for one in new.claim_anchor.events("ClaimBatchSubmitted")]
    with pytest.raises(StepNotYours):
        new.claim_anchor.release(keeper.address, root, bytes([11]) * 32, sender=keeper)
    with pytest.raises(NullifierNotWaiting):
        new.claim_anchor.release(clinic.address, bytes([1]) * 32, bytes([11]) * 32, sender=clinic)
    submit(new, second_clinic, 6, 12)


def test_a_keeper_that_has_other_work_is_refused(both: tuple[MedProof, MedProof], clinic: LocalSigner) -> None:
    with pytest.raises(MigrationError, match=f"keeper {clinic.address} is a party of the old deployment"):
        comparison(*both, keeper=clinic.address)


def test_what_was_billed_again_before_it_was_kept_is_found(
    both: tuple[MedProof, MedProof], clinic: LocalSigner, second_clinic: LocalSigner, keeper: LocalSigner
) -> None:
    old, new = both
    submit(old, clinic, 1, 11)
    submit(new, second_clinic, 1, 11)
    [wider] = comparison(old, new, keeper=keeper.address).findings(Kind.WIDER)
    assert wider.says == "1 services that were billed before are billed again."


def test_what_stays_is_counted(both: tuple[MedProof, MedProof], clinic: LocalSigner, compare: Compare) -> None:
    old, _ = both
    submit(old, clinic, 1, 11)
    left = compare().old.left
    assert left["batches of claims"] == 1
    assert left["prescriptions"] == left["open claims"] == 0
