from __future__ import annotations

import pytest

from medproof.merkle import leaf_hash, node_hash
from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts
from tests.unit.RecordPointers.conftest import LABORATORY, OPENED, Batch, leaf_of

POSTED, ACCEPTED, AMENDED = 1, 2, 4
OTHER = b"\x44" * 32


def not_in(entry, root):
    """The error that refuses an entry as one of a batch."""
    return ("PointerNotInBatch", "0x" + leaf_of(*entry).hex(), "0x" + root.hex())


# -- who opens --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["subject", "custodian", "signed", "wallet direct", "wallet signed"])
def opening(request, record_pointers, batch_of, entries, open_, sign_opening, wallet, patient, clinic, relayer, chain):
    """Open the last pointer of a batch, in each way there is; its subject is a key or a contract wallet."""
    if "wallet" in request.param:
        entries[OPENED] = (wallet, *entries[OPENED][1:])
    batch = batch_of(clinic, entries)
    entry = batch.entries[OPENED]

    def opened():
        if "signed" in request.param:
            until = chain.time() + 3600
            return open_(batch, relayer, deadline=until, signature=sign_opening(patient, entry, deadline=until))
        if request.param == "wallet direct":
            data = record_pointers.open.encode_input(*entry, batch.place(OPENED), 0, b"")
            return wallet.execute(record_pointers, data, {"from": patient})
        return open_(batch, patient if request.param == "subject" else clinic)

    opened.batch, opened.subject = batch, entry[0]
    opened.pointer = str(record_pointers.pointerId(entry[0], entry[1], entry[3]))
    return opened


@pytest.mark.spec("P39", "P40", "P44")
def test_pointer_is_stored_and_announced(record_pointers, opening, clinic):
    tx = opening()

    assert record_pointers.pointerOf(opening.pointer) == (clinic, LABORATORY, POSTED, 1, 1)
    assert record_pointers.previousOf(opening.pointer) == "0x" + "00" * 32
    assert record_pointers.nextCustodianOf(opening.pointer) == NOBODY
    assert record_pointers.batchOf(clinic, opening.batch.root) == opening.batch.size
    assert [event.name for event in tx.events] == ["PointerPosted", "PointerOpened"]
    assert dict(tx.events["PointerPosted"]) == {
        "subject": opening.subject,
        "custodian": clinic,
        "dataClass": LABORATORY,
        "commitment": "0x" + SALTED.hex(),
    }
    assert dict(tx.events["PointerOpened"]) == {
        "pointer": opening.pointer,
        "root": "0x" + opening.batch.root.hex(),
        "index": OPENED,
    }


@pytest.mark.spec("P39")
def test_id_is_returned(record_pointers, batch, open_, patient, clinic):
    assert open_(batch, patient).return_value == record_pointers.pointerId(patient, clinic, SALTED)


@pytest.mark.spec("P39")
def test_each_pointer_of_a_batch_is_opened(record_pointers, batch, open_, clinic):
    for index in range(batch.size):
        tx = open_(batch, clinic, index)

        subject, _, data_class, _ = batch.entries[index]
        assert tx.events["PointerOpened"]["index"] == index
        assert tx.events["PointerPosted"]["subject"] == subject
        assert record_pointers.pointerOf(tx.return_value) == (clinic, data_class, POSTED, 1, 1)


@pytest.mark.spec("P39")
def test_batch_of_one(record_pointers, batch_of, open_, patient, clinic, entries):
    batch = batch_of(clinic, entries[OPENED:])

    assert batch.place(0)[2] == []
    open_(batch, patient, 0)


@pytest.mark.spec("P39")
def test_opened_pointer_is_one_as_any_other(
    record_pointers, batch, open_, pass_custody, patient, clinic, second_clinic
):
    open_(batch, patient)

    record_pointers.accept(clinic, SALTED, {"from": patient})
    pass_custody(second_clinic)
    newer = record_pointers.amend(patient, clinic, SALTED, OTHER, {"from": second_clinic}).return_value

    assert record_pointers.pointerOf(newer) == (second_clinic, LABORATORY, POSTED, 2, 1)
    assert record_pointers.previousOf(newer) == record_pointers.pointerId(patient, clinic, SALTED)


@pytest.mark.spec("P39")
def test_several_are_opened_in_one_transaction(record_pointers, batch, clinic, relayer):
    """`relay` gives each call the rights of who sends it, and no more."""
    calls = [
        record_pointers.open.encode_input(*batch.entries[index], batch.place(index), 0, b"")
        for index in range(batch.size)
    ]

    tx = record_pointers.relay(calls, 0, {"from": clinic})

    assert [event["index"] for event in tx.events["PointerOpened"]] == [0, 1, 2, 3, 4]
    assert record_pointers.relay.call(calls, 500_000, {"from": relayer}) == batch.size


@pytest.mark.spec("P40")
def test_rotated_custodian_opens(record_pointers, batch, open_, rotate, clinic, patient, fresh_account):
    rotate(clinic, fresh_account)

    with reverts("OpeningNotYours", patient.address, clinic.address):
        open_(batch, clinic)
    tx = open_(batch, fresh_account)

    assert record_pointers.pointerOf(tx.return_value)["custodian"] == clinic


@pytest.mark.spec("P41")
def test_custodian_without_standing_opens_nothing_and_is_no_obstacle(
    record_pointers, batch, open_, lose_standing, clinic, patient
):
    lose_standing(clinic)

    with reverts("OpeningNotYours", patient.address, clinic.address):
        open_(batch, clinic)
    pointer = open_(batch, patient).return_value
    record_pointers.dispute(clinic, SALTED, OTHER, {"from": patient})

    assert record_pointers.pointerOf(pointer)["custodian"] == clinic


@pytest.mark.spec("P41", "P44")
def test_signature_counts_whatever_became_of_the_custodian(
    record_pointers, batch, open_, sign_opening, lose_standing, chain, clinic, patient, relayer
):
    lose_standing(clinic)
    until = chain.time() + 3600
    signature = sign_opening(patient, batch.entries[OPENED], deadline=until)

    pointer = open_(batch, relayer, deadline=until, signature=signature).return_value

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, POSTED, 1, 1)


@pytest.mark.spec("P40")
@pytest.mark.parametrize("who", ["stranger", "second_patient", "second_clinic", "payer", "researcher", "admin"])
def test_whoever_else_has_the_proof_reverts(request, batch, open_, patient, who):
    """A reader who was shown the proof must not be able to show the chain whom the record is about."""
    reader = request.getfixturevalue(who)

    with reverts("OpeningNotYours", patient.address, reader.address):
        open_(batch, reader)


@pytest.mark.spec("P40")
def test_party_in_the_custodians_place_reverts(
    batch, open_, registrar, admin, accredit, clinic, patient, fresh_account
):
    """An account that acted for the custodian once, and is a party of its own today."""
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})
    registrar.remove(clinic, {"from": admin})
    accredit(fresh_account, 1)

    with reverts("OpeningNotYours", patient.address, fresh_account.address):
        open_(batch, fresh_account)


@pytest.mark.spec("P40", "P42")
def test_nobody_as_the_origin_reverts(batch, open_, entries, stranger, patient):
    """An account without a party is not the one that posted as nobody: nobody posted."""
    entry = (patient, NOBODY, *entries[OPENED][2:])

    with reverts(*not_in(entry, batch.root)):
        open_(batch, stranger, entry=entry)


# -- what a proof shows -----------------------------------------------------------------------------------------


@pytest.fixture(params=["subject", "custodian", "signed"])
def attempt(request, open_, sign_opening, patient, clinic, relayer, deadline):
    """Try to open an entry at a place, in each way there is: ``attempt(batch, entry=…, place=…)``."""

    def tried(batch, *, entry=None, place=None):
        entry = entry or batch.entries[OPENED]
        options = {"entry": entry, "place": place, "call": True}
        if request.param == "signed":
            signature = sign_opening(patient, entry)
            return open_(batch, relayer, deadline=deadline, signature=signature, **options)
        return open_(batch, patient if request.param == "subject" else clinic, **options)

    return tried


@pytest.mark.spec("P42")
def test_root_that_nobody_posted_reverts(attempt, entries):
    unposted = Batch(entries)

    with reverts(*not_in(entries[OPENED], unposted.root)):
        attempt(unposted)


@pytest.mark.spec("P42")
def test_root_that_another_custodian_posted_reverts(attempt, batch_of, entries, second_clinic):
    batch = batch_of(second_clinic, entries)

    with reverts(*not_in(entries[OPENED], batch.root)):
        attempt(batch)


@pytest.mark.spec("P42")
def test_proof_of_another_batch_reverts(attempt, batch, batch_of, entries, clinic):
    other = batch_of(clinic, entries[1:])  # the same pointer, at another place

    for place in (
        batch.place(OPENED, root=other.root),
        other.place(OPENED - 1, root=batch.root),
        other.place(OPENED - 1, root=batch.root, index=OPENED),
    ):
        with reverts(*not_in(entries[OPENED], place[0])):
            attempt(batch, place=place)
    attempt(batch, place=other.place(OPENED - 1))


@pytest.mark.spec("P42")
@pytest.mark.parametrize(
    "changes", [{"data_class": 2}, {"commitment": OTHER}, {"commitment": b"\x01" * 32}], ids=["class", "free", "other"]
)
def test_proof_of_another_pointer_reverts(attempt, batch, patient, clinic, changes):
    entry = (patient, clinic, changes.get("data_class", LABORATORY), changes.get("commitment", SALTED))

    with reverts(*not_in(entry, batch.root)):
        attempt(batch, entry=entry)


@pytest.mark.spec("P42")
@pytest.mark.parametrize("index", [0, OPENED - 1, OPENED + 1, 2**64 - 1])
def test_another_index_reverts(attempt, batch, entries, index):
    with reverts(*not_in(entries[OPENED], batch.root)):
        attempt(batch, place=batch.place(OPENED, index=index))


@pytest.mark.spec("P42")
def test_proof_that_is_no_proof_reverts(attempt, batch, entries):
    proof = batch.place(OPENED)[2]

    for broken in ([], [OTHER], [*proof, OTHER], [*proof, *proof], [OTHER, *proof]):
        with reverts(*not_in(entries[OPENED], batch.root)):
            attempt(batch, place=batch.place(OPENED, proof=broken))


@pytest.mark.spec("P42")
def test_node_as_a_leaf_reverts(record_pointers, batch_of, open_, entries, clinic, patient):
    """A pointer whose leaf is what a node hashes to, or what it hashes, has no place: leaves are hashed apart."""
    batch = batch_of(clinic, entries[:4])
    leaves = [leaf_of(*entry) for entry in batch.entries]
    right = node_hash(leaf_hash(leaves[2]), leaf_hash(leaves[3]))

    shorter = (batch.root, 0, [right])  # as if the left half, two pointers, were one
    with reverts(*not_in(batch.entries[0], batch.root)):
        open_(batch, clinic, entry=batch.entries[0], place=shorter)
    record_pointers.postBatch(node_hash(leaf_hash(leaves[0]), leaf_hash(leaves[1])), 1, {"from": clinic})
    for index in (0, 1):
        place = (node_hash(leaf_hash(leaves[0]), leaf_hash(leaves[1])), 0, [])
        with reverts(*not_in(batch.entries[index], place[0])):
            open_(batch, clinic, entry=batch.entries[index], place=place)


@pytest.mark.spec("P42")
def test_leaf_itself_as_the_root_reverts(record_pointers, batch, open_, entries, clinic):
    """A leaf is hashed once more: what was posted unhashed opens nothing."""
    leaf = leaf_of(*entries[OPENED])
    record_pointers.postBatch(leaf, 1, {"from": clinic})

    with reverts(*not_in(entries[OPENED], leaf)):
        open_(batch, clinic, place=(leaf, 0, []))


@pytest.mark.spec("P42")
@pytest.mark.parametrize("size", [1, 3, 4, 9, 2**64 - 1])
def test_size_other_than_the_true_one(batch_of, open_, entries, clinic, size):
    """Whoever posts a false size makes pointers that cannot be opened, and none that is not in the batch."""
    batch = batch_of(clinic, entries, size=size)

    with reverts(*not_in(entries[OPENED], batch.root)):
        open_(batch, clinic)
    with reverts(*not_in((*entries[0][:3], OTHER), batch.root)):
        open_(batch, clinic, entry=(*entries[0][:3], OTHER), place=batch.place(0))


@pytest.mark.spec("P42")
def test_false_size_gives_a_pointer_another_index_and_no_second_slot(batch_of, open_, entries, clinic):
    """Two pointers said to be three: the second stands where the third would. It is opened once all the same."""
    batch = batch_of(clinic, entries[:2], size=3)
    sibling = leaf_hash(leaf_of(*entries[0]))

    open_(batch, clinic, 1, place=(batch.root, 2, [sibling]))

    with reverts(*not_in(entries[1], batch.root)):
        open_(batch, clinic, 1)
    with pytest.raises(Exception, match="PointerExists"):
        open_(batch, clinic, 1, place=(batch.root, 2, [sibling]))


@pytest.mark.spec("P42", "P37")
def test_root_posted_by_two_custodians_opens_for_the_leafs_own(
    record_pointers, batch, open_, entries, clinic, second_clinic, patient
):
    record_pointers.postBatch(batch.root, batch.size, {"from": second_clinic})
    stolen = (patient, second_clinic, LABORATORY, SALTED)

    for sender in (second_clinic, patient):
        with reverts(*not_in(stolen, batch.root)):
            open_(batch, sender, entry=stolen)
    with reverts("OpeningNotYours", patient.address, second_clinic.address):
        open_(batch, second_clinic)
    assert record_pointers.pointerOf(open_(batch, clinic).return_value)["custodian"] == clinic


# -- once -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("P43")
def test_opened_twice_reverts(record_pointers, batch, open_, clinic, patient):
    pointer = str(open_(batch, patient).return_value)
    record_pointers.accept(clinic, SALTED, {"from": patient})

    for sender in (patient, clinic):
        with reverts("PointerExists", pointer):
            open_(batch, sender)
    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, ACCEPTED, 1, 2)


@pytest.mark.spec("P43")
def test_opened_from_a_second_batch_reverts(record_pointers, batch, batch_of, open_, entries, clinic, patient):
    second = batch_of(clinic, entries[1:])
    pointer = str(open_(batch, patient).return_value)

    with reverts("PointerExists", pointer):
        open_(second, patient, OPENED - 1)


@pytest.mark.spec("P43")
def test_opened_in_two_classes_reverts(batch_of, open_, entries, clinic, patient):
    """The class is none of the three that make a pointer."""
    batch = batch_of(clinic, [*entries, (patient, clinic, LABORATORY + 1, SALTED)])
    pointer = str(open_(batch, patient).return_value)

    with reverts("PointerExists", pointer):
        open_(batch, patient, OPENED + 1)


@pytest.mark.spec("P43")
def test_pointer_that_was_posted_alone_reverts(batch, open_, pointer, patient, clinic):
    for sender in (patient, clinic):
        with reverts("PointerExists", pointer):
            open_(batch, sender)


@pytest.mark.spec("P43")
def test_opened_pointer_posted_alone_reverts(record_pointers, batch, open_, patient, clinic):
    pointer = str(open_(batch, patient).return_value)

    with reverts("PointerExists", pointer):
        record_pointers.post(patient, LABORATORY, SALTED, {"from": clinic})


@pytest.mark.spec("P43")
def test_amended_pointer_opened_again_reverts(record_pointers, batch, open_, patient, clinic):
    pointer = str(open_(batch, patient).return_value)
    record_pointers.amend(patient, clinic, SALTED, OTHER, {"from": clinic})

    for sender in (patient, clinic):
        with reverts("PointerExists", pointer):
            open_(batch, sender)
    assert record_pointers.pointerOf(pointer)["status"] == AMENDED


@pytest.mark.spec("P12", "P43")
def test_new_version_that_stands_in_a_batch_reverts(record_pointers, pointer, batch, open_, patient, clinic):
    """A new version may have the commitment of a pointer that was never opened; that one is then opened no more."""
    newer = record_pointers.amend(patient, clinic, SALTED, b"\x01" * 32, {"from": clinic}).return_value

    with reverts("PointerExists", str(newer)):
        open_(batch, patient, 0)


@pytest.mark.spec("P43")
def test_pointer_in_other_custody_opened_again_reverts(batch, open_, pass_custody, patient, clinic, second_clinic):
    pointer = str(open_(batch, patient).return_value)
    pass_custody(second_clinic)

    with reverts("PointerExists", pointer):
        open_(batch, clinic)


@pytest.mark.spec("P15")
def test_unopened_pointer_is_not_answered_amended_denied_or_offered(record_pointers, batch, patient, clinic):
    missing = ("PointerUnknown", str(record_pointers.pointerId(patient, clinic, SALTED)))

    for method, *arguments, sender in (
        (record_pointers.accept, clinic, SALTED, patient),
        (record_pointers.dispute, clinic, SALTED, OTHER, patient),
        (record_pointers.amend, patient, clinic, SALTED, OTHER, clinic),
        (record_pointers.denyDispute, patient, clinic, SALTED, OTHER, clinic),
        (record_pointers.offerCustody, patient, clinic, SALTED, clinic, clinic),
        (record_pointers.takeCustody, patient, clinic, SALTED, clinic),
    ):
        with reverts(*missing):
            method(*arguments, {"from": sender})


# -- what could not be posted alone -----------------------------------------------------------------------------


@pytest.mark.spec("P45")
def test_batch_holds_what_cannot_be_posted_alone(batch_of, open_, clinic, patient):
    """A batch is a hash: what is in it is looked at when it is opened."""
    impossible = {
        ("SubjectMissing",): (NOBODY, clinic, LABORATORY, SALTED),
        ("DataClassUnknown", 22): (patient, clinic, 22, SALTED),
        ("DataClassUnknown", 255): (patient, clinic, 255, SALTED),
        ("CommitmentMissing",): (patient, clinic, LABORATORY, b"\0" * 32),
    }
    batch = batch_of(clinic, impossible.values())

    for index, error in enumerate(impossible):
        with reverts(*error):
            open_(batch, clinic, index)
