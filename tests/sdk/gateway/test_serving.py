"""Records that are served, and what makes them worth believing."""

from __future__ import annotations

from medproof import hashing
from medproof.client import MedProof
from medproof.client.record_pointers import Status
from medproof.gateway import Access, GatekeeperClient
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import Connect, Post, both_stores, labelled, observation


@both_stores
def test_a_permitted_record_is_served_and_verified(
    reader: GatekeeperClient,
    post: Post,
    granted: Rule,
    suite: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    accesses: list[Access],
) -> None:
    id_ = post()
    accesses.clear()

    fetched = reader.fetch("Observation", id_)

    assert fetched.record.id == id_
    assert str(fetched.record.content["valueQuantity"]["value"]) == "6.30"  # type: ignore[index,call-overload]
    assert fetched.proof.pointer.subject == patient.address
    assert fetched.proof.pointer.origin == clinic.address
    assert hashing.commit(fetched.record.content, fetched.proof.salt) == fetched.proof.pointer.commitment
    assert (fetched.proof.reason, fetched.proof.version) == ("PERMITTED", 1)
    assert fetched.proof.block_hash == suite.chain.block(fetched.proof.block).hash
    assert fetched.pointer.status is Status.POSTED
    [access] = accesses
    assert (access.account, access.party, access.action) == (second_clinic.address, second_clinic.address, "read")
    assert access.subject == patient.address
    [record] = access.records
    assert (record.pointer, record.ground.reason) == (fetched.proof.pointer.id, "PERMITTED")
    assert (record.ground.grantee, record.ground.index, record.ground.sequence) == (second_clinic.address, 0, 1)
    assert (access.reason, access.permitted, access.block) == ("PERMITTED", True, fetched.proof.block)


@both_stores
def test_a_subject_reads_its_own_records(as_caller: Connect, post: Post, patient: LocalSigner) -> None:
    id_ = post(observation(meta=labelled("HIV")))
    assert as_caller(patient).fetch("Observation", id_).proof.reason == "SUBJECT"
