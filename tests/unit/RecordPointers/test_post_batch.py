from __future__ import annotations

import pytest
from brownie import web3

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

ROOT = b"\x77" * 32
BATCHES_SLOT = 5  # as in the committed storage layout
LARGEST = 2**64 - 1


@pytest.mark.spec("P36")
def test_batch_is_stored_and_announced(record_pointers, clinic, second_clinic):
    tx = record_pointers.postBatch(ROOT, 1000, {"from": clinic})

    assert record_pointers.batchOf(clinic, ROOT) == 1000
    assert record_pointers.batchOf(second_clinic, ROOT) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["BatchPosted"]) == {"custodian": clinic, "root": "0x" + ROOT.hex(), "size": 1000}


@pytest.mark.spec("P36")
def test_one_slot_is_written(record_pointers, clinic):
    tx = record_pointers.postBatch(ROOT, 1000, {"from": clinic})

    trace = web3.provider.make_request("debug_traceTransaction", [tx.txid, {}])["result"]["structLogs"]
    assert [step["op"] for step in trace].count("SSTORE") == 1
    of_clinic = web3.keccak(int(clinic.address, 16).to_bytes(32, "big") + BATCHES_SLOT.to_bytes(32, "big"))
    slot = web3.keccak(ROOT + of_clinic)
    assert int.from_bytes(web3.eth.get_storage_at(record_pointers.address, int.from_bytes(slot, "big")), "big") == 1000


@pytest.mark.spec("P36")
@pytest.mark.parametrize("size", [1, LARGEST])
def test_smallest_and_largest_batch_are_posted(record_pointers, clinic, size):
    record_pointers.postBatch(ROOT, size, {"from": clinic})

    assert record_pointers.batchOf(clinic, ROOT) == size


@pytest.mark.spec("P36")
def test_rotated_custodian_posts_under_its_identity(record_pointers, rotate, clinic, fresh_account):
    rotate(clinic, fresh_account)

    tx = record_pointers.postBatch(ROOT, 7, {"from": fresh_account})

    assert tx.events["BatchPosted"]["custodian"] == clinic
    assert record_pointers.batchOf(clinic, ROOT) == 7
    assert record_pointers.batchOf(fresh_account, ROOT) == 0
    with reverts("ProviderRequired", clinic.address):
        record_pointers.postBatch(b"\x78" * 32, 7, {"from": clinic})


@pytest.mark.spec("P36")
def test_no_pointer_shows(record_pointers, batch, entries):
    for subject, origin, _, commitment in entries:
        pointer = record_pointers.pointerId(subject, origin, commitment)
        assert record_pointers.pointerOf(pointer) == (NOBODY, 0, 0, 0, 0)


@pytest.mark.spec("P37")
def test_root_missing_reverts(record_pointers, clinic):
    with reverts("CommitmentMissing"):
        record_pointers.postBatch(b"\0" * 32, 1, {"from": clinic})


@pytest.mark.spec("P37")
def test_empty_batch_reverts(record_pointers, clinic):
    with reverts("BatchEmpty", "0x" + ROOT.hex()):
        record_pointers.postBatch(ROOT, 0, {"from": clinic})


@pytest.mark.spec("P37")
@pytest.mark.parametrize("size", [1, 5, LARGEST])
def test_root_posted_again_reverts(record_pointers, batch, clinic, size):
    """Not with another size either: the places in it would be others."""
    with reverts("BatchExists", clinic.address, "0x" + batch.root.hex()):
        record_pointers.postBatch(batch.root, size, {"from": clinic})

    assert record_pointers.batchOf(clinic, batch.root) == batch.size


@pytest.mark.spec("P37")
def test_root_posted_again_after_a_change_of_account_reverts(record_pointers, batch, rotate, clinic, fresh_account):
    rotate(clinic, fresh_account)

    with reverts("BatchExists", clinic.address, "0x" + batch.root.hex()):
        record_pointers.postBatch(batch.root, 5, {"from": fresh_account})


@pytest.mark.spec("P37")
def test_another_custodian_posts_the_same_root(record_pointers, batch, clinic, second_clinic):
    record_pointers.postBatch(batch.root, 9, {"from": second_clinic})

    assert record_pointers.batchOf(second_clinic, batch.root) == 9
    assert record_pointers.batchOf(clinic, batch.root) == batch.size


@pytest.fixture(params=["stranger", "patient", "payer", "pharmacy", "researcher", "admin"])
def no_provider(request):
    return request.getfixturevalue(request.param)


@pytest.mark.spec("P36")
def test_caller_who_is_no_provider_reverts(record_pointers, no_provider):
    with reverts("ProviderRequired", no_provider.address):
        record_pointers.postBatch(ROOT, 1, {"from": no_provider})


@pytest.mark.spec("P36")
def test_provider_without_standing_reverts(record_pointers, lose_standing, clinic):
    lose_standing(clinic)

    with reverts("ProviderRequired", clinic.address):
        record_pointers.postBatch(ROOT, 1, {"from": clinic})
