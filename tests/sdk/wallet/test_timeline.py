"""One patient's events with all custodians, put together by her wallet alone."""

from __future__ import annotations

from itertools import pairwise

from medproof.client import MedProof
from medproof.client.record_pointers import Place, PointerKey
from medproof.merkle import MerkleLog
from medproof.policy.codes import DataClass
from medproof.policy.emergency import OverrideReason
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.timeline import timeline
from medproof.wallet import Wallet

FIRST, SECOND = b"\x01" * 32, b"\x02" * 32


def test_nothing_happened(suite: MedProof) -> None:
    assert not list(timeline(suite, Wallet.create()[0]))


def test_three_custodians_in_one_order(
    suite: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    researcher: LocalSigner,
    relayer: LocalSigner,
    rule: Rule,
) -> None:
    wallet, pointers, registry = Wallet.create()[0], suite.record_pointers, suite.consent_registry
    subjects = {one.address: wallet.pseudonym(one.address) for one in (clinic, second_clinic, researcher)}
    kept, _ = pointers.post(subjects[clinic.address].address, DataClass.LABORATORY, FIRST, sender=clinic)
    other, _ = pointers.post(subjects[second_clinic.address].address, DataClass.IMAGING, FIRST, sender=second_clinic)
    pointers.relay(pointers.sign_acceptance(subjects[clinic.address], kept), sender=relayer)
    pointers.post(relayer.address, DataClass.LABORATORY, SECOND, sender=clinic)  # another patient's
    pointers.relay(pointers.sign_dispute(subjects[second_clinic.address], other), sender=relayer)
    amended, _ = pointers.amend(other, SECOND, sender=second_clinic)
    registry.relay(registry.sign_grant(subjects[researcher.address], researcher.address, rule), sender=relayer)
    pointers.offer_custody(kept, second_clinic.address, sender=clinic)
    pointers.take_custody(kept, sender=second_clinic)
    suite.registrar.join_group(2, second_clinic.address, sender=admin)
    registry.break_glass(kept.subject, OverrideReason.EMERGENCY_TREATMENT, sender=second_clinic)
    study = b"\x07" * 32  # to refuse one is possible before it is registered
    suite.relay(suite.studies.sign_opt_out(subjects[clinic.address], study, sequence=1), sender=relayer)

    steps: list[tuple[int, int]] = []
    found = list(timeline(suite, wallet, progress=lambda done, total: steps.append((done, total))))

    def told(
        custodian: LocalSigner, name: str, pointer: PointerKey | None = None
    ) -> tuple[str, str, PointerKey | None]:
        return custodian.address, name, pointer

    assert [(entry.custodian, entry.event.name, entry.pointer) for entry in found] == [
        told(clinic, "PointerPosted", kept),
        told(second_clinic, "PointerPosted", other),
        told(clinic, "PointerAccepted", kept),
        told(second_clinic, "PointerDisputed", other),
        told(second_clinic, "PointerAmended", amended),
        told(researcher, "RuleSet"),
        told(clinic, "CustodyOffered", kept),
        told(clinic, "CustodyTransferred", kept),
        told(clinic, "GlassBroken"),
        told(clinic, "OptedOut"),
    ]
    assert [entry.data_class for entry in found[:2]] == [DataClass.LABORATORY, DataClass.IMAGING]
    assert all(first.when <= second.when for first, second in pairwise(found))
    assert steps[-1][0] == steps[-1][1] == len(steps)


def test_pointer_out_of_a_batch_and_its_denied_dispute(
    suite: MedProof, clinic: LocalSigner, relayer: LocalSigner
) -> None:
    wallet, pointers = Wallet.create()[0], suite.record_pointers
    subject = wallet.pseudonym(clinic.address)
    keys = [PointerKey(subject.address, clinic.address, commitment) for commitment in (FIRST, SECOND)]
    log = MerkleLog(key.leaf(DataClass.LABORATORY) for key in keys)
    pointers.post_batch(log.root(), len(keys), sender=clinic)
    place = Place(log.root(), 1, log.inclusion_proof(1))
    pointers.relay(pointers.sign_opening(subject, keys[1], DataClass.LABORATORY, place), sender=relayer)
    pointers.relay(pointers.sign_dispute(subject, keys[1]), sender=relayer)
    pointers.deny_dispute(keys[1], reason=FIRST, sender=clinic)

    found = list(timeline(suite, wallet))

    names = ["PointerPosted", "PointerOpened", "PointerDisputed", "DisputeDenied"]
    assert [entry.event.name for entry in found] == names
    assert {(entry.pointer, entry.data_class) for entry in found} == {(keys[1], DataClass.LABORATORY)}
    assert found[-1].event.arguments["reason"] == FIRST
