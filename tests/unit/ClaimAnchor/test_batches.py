from __future__ import annotations

import pytest

from medproof import messages
from medproof.merkle import MerkleLog
from tests.support.claims import RULES_HASH, SUBMITTED, VOIDED, Rules
from tests.support.fixtures import PROVIDER
from tests.support.reverts import reverts

SIZE = 5
LIMIT = 500


def hexed(value):
    return "0x" + value.hex()


@pytest.fixture
def claims(claim):
    return [claim.changed(commitment=bytes([0x80 + n]) * 32, nullifier=bytes([0x90 + n]) * 32) for n in range(SIZE)]


@pytest.fixture
def log(claim_anchor, claims):
    return MerkleLog(bytes(claim_anchor.leafOf(claim.id, 1)) for claim in claims)


@pytest.fixture
def nullifiers(claims):
    return [claim.nullifier for claim in claims]


@pytest.fixture
def batch(claim_anchor, published, log, nullifiers, clinic):
    return claim_anchor.submitBatch(clinic, log.root(), nullifiers, 0, b"", {"from": clinic})


@pytest.fixture
def open_(claim_anchor, claims, log, stranger):
    """Open a claim of the batch, as anybody."""

    def opened(number, **changes):
        said = {"claim": claims[number], "rules": 1, "root": log.root(), "index": number}
        said |= {"proof": log.inclusion_proof(number)} | changes
        return claim_anchor.open(*said.values(), {"from": stranger})

    return opened


@pytest.mark.spec("K42")
def test_batch_is_submitted_and_announced(claim_anchor, batch, log, nullifiers, claims, clinic):
    assert claim_anchor.claimBatchOf(clinic, log.root()) == (SIZE, PROVIDER)
    for index, nullifier in enumerate(nullifiers):
        place = claim_anchor.placeOf(clinic, log.root(), index)
        assert claim_anchor.holderOf(nullifier) == place
        assert int(str(place), 16) < 1 << 192
        assert claim_anchor.stateOf(claims[index].id)[0] == 0
    assert len(batch.events) == 1
    assert dict(batch.events["ClaimBatchSubmitted"]) == {
        "provider": clinic,
        "root": hexed(log.root()),
        "size": SIZE,
        "kind": PROVIDER,
    }


@pytest.mark.spec("K4", "K42")
def test_batch_by_signature(claim_anchor, desk, published, log, nullifiers, clinic, sign):
    said = {"provider": clinic.address, "root": log.root(), "nullifiers": nullifiers, "deadline": desk.deadline}
    signature = sign(clinic, messages.claim_batch(desk.domain, **said))
    with reverts("SignatureInvalid", clinic.address):
        altered = [*nullifiers[1:], b"\x9f" * 32]
        claim_anchor.submitBatch(clinic, log.root(), altered, desk.deadline, signature, {"from": desk.relayer})

    claim_anchor.submitBatch(clinic, log.root(), nullifiers, desk.deadline, signature, {"from": desk.relayer})

    assert claim_anchor.claimBatchOf(clinic, log.root())[0] == SIZE


@pytest.mark.spec("K13", "K42")
def test_service_of_a_batch_is_not_billed_again(desk, claim_anchor, batch, claims, log, second_payer, clinic):
    place = str(claim_anchor.placeOf(clinic, log.root(), 2))

    with reverts("AlreadyBilled", hexed(claims[2].nullifier), place):
        desk.take("submit", claims[2].changed(payer=second_payer.address))


@pytest.mark.spec("K13", "K42")
def test_batch_with_a_service_that_was_billed_reverts_whole(
    claim_anchor, desk, published, log, nullifiers, claim, clinic
):
    billed = claim.changed(nullifier=nullifiers[3])
    desk.take("submit", billed)

    with reverts("AlreadyBilled", hexed(nullifiers[3]), billed.id):
        claim_anchor.submitBatch(clinic, log.root(), nullifiers, 0, b"", {"from": clinic})
    assert claim_anchor.claimBatchOf(clinic, log.root()) == (0, 0)
    assert not any(bytes(claim_anchor.holderOf(nullifiers[0])))


@pytest.mark.spec("K13", "K42")
def test_batch_with_a_service_twice_reverts(claim_anchor, published, log, nullifiers, clinic):
    twice = [*nullifiers[:4], nullifiers[1]]

    with reverts("AlreadyBilled", hexed(nullifiers[1]), str(claim_anchor.placeOf(clinic, log.root(), 1))):
        claim_anchor.submitBatch(clinic, log.root(), twice, 0, b"", {"from": clinic})


@pytest.mark.spec("K42")
def test_same_batch_again_reverts(claim_anchor, batch, open_, desk, claims, log, nullifiers, clinic):
    """Not even once its nullifiers are free again: no signed batch counts twice."""
    for index in range(SIZE):
        open_(index)
        desk.take("void", claims[index])

    with reverts("ClaimBatchExists", clinic.address, hexed(log.root())):
        claim_anchor.submitBatch(clinic, log.root(), nullifiers, 0, b"", {"from": clinic})


@pytest.mark.spec("K42")
def test_batch_has_a_root_and_between_one_claim_and_500(claim_anchor, published, log, nullifiers, clinic):
    with reverts("RootMissing"):
        claim_anchor.submitBatch(clinic, bytes(32), nullifiers, 0, b"", {"from": clinic})
    with reverts("ClaimIncomplete"):
        claim_anchor.submitBatch(clinic, log.root(), [bytes(32)], 0, b"", {"from": clinic})
    for size in (0, LIMIT + 1):
        with reverts("BatchSizeOutOfRange", size, LIMIT):
            claim_anchor.submitBatch(clinic, log.root(), [b"\x9e" * 32] * size, 0, b"", {"from": clinic})


@pytest.mark.spec("K42")
def test_largest_batch_fits_into_a_transaction(claim_anchor, published, log, clinic):
    many = [number.to_bytes(32, "big") for number in range(1, LIMIT + 1)]

    tx = claim_anchor.submitBatch(clinic, log.root(), many, 0, b"", {"from": clinic})

    assert tx.gas_used < 16_777_216  # the most that a transaction may use since EIP-7825


@pytest.mark.spec("K11", "K42")
def test_batch_of_a_payer_reverts(claim_anchor, published, log, nullifiers, payer, stranger, clinic):
    with reverts("KindNotAdmitted", payer.address, 2):
        claim_anchor.submitBatch(payer, log.root(), nullifiers, 0, b"", {"from": payer})
    with reverts("StepNotYours", clinic.address, stranger.address):
        claim_anchor.submitBatch(clinic, log.root(), nullifiers, 0, b"", {"from": stranger})


@pytest.mark.parametrize("index", range(SIZE))
@pytest.mark.spec("K43")
def test_claim_is_opened_by_anyone_and_announced(claim_anchor, batch, open_, claims, log, index):
    tx = open_(index)

    opened = claims[index]
    assert tx.return_value == opened.id
    assert claim_anchor.stateOf(opened.id) == (SUBMITTED, 0, 1, False, False, tx.timestamp, tx.timestamp, 0, 0)
    assert claim_anchor.holderOf(opened.nullifier) == opened.id
    assert len(tx.events) == 2
    assert dict(tx.events["ClaimSubmitted"]) == opened.submitted()
    assert dict(tx.events["ClaimOpened"]) == {"claim": opened.id, "root": hexed(log.root()), "index": index}


@pytest.mark.spec("K43")
def test_opened_claim_takes_every_step(claim_anchor, desk, batch, open_, claims, log):
    open_(0)
    for step in ("pend", "answer", "adjudicate", "settle"):
        desk.take(step, claims[0])
    desk.take("void", claims[0])

    assert claim_anchor.stateOf(claims[0].id)[0] == VOIDED
    with reverts("NullifierNotWaiting", hexed(claims[0].nullifier), hexed(log.root())):
        open_(0)


@pytest.mark.spec("K43")
def test_claim_of_a_provider_suspended_or_removed_since_is_opened(claim_anchor, batch, open_, registrar, admin, clinic):
    registrar.suspend(clinic, {"from": admin})
    assert claim_anchor.stateOf(open_(0).return_value)[0] == SUBMITTED
    registrar.remove(clinic, {"from": admin})
    assert claim_anchor.stateOf(open_(1).return_value)[0] == SUBMITTED


@pytest.mark.spec("K43")
def test_claim_that_does_not_stand_there_is_not_opened(
    claim_anchor, batch, open_, claims, log, second_clinic, payer, today
):
    other = claims[1].changed(commitment=b"\x9d" * 32)
    forgeries = [
        {"claim": other},
        {"claim": claims[1].changed(provider=second_clinic.address)},
        {"rules": 2},
        {"index": 2},
        {"index": 7},
        {"proof": log.inclusion_proof(2)},
        {"proof": log.inclusion_proof(1)[:-1]},
        {"proof": [*log.inclusion_proof(1), bytes(32)]},
        {"root": b"\x9c" * 32},
    ]
    for forged in forgeries:
        said = forged.get("claim", claims[1])
        with reverts("ClaimNotInBatch", said.id, hexed(forged.get("root", log.root()))):
            open_(1, **forged)


@pytest.mark.spec("K43")
def test_claim_whose_nullifier_stands_elsewhere_is_not_opened(
    claim_anchor, published, open_, claims, log, nullifiers, clinic
):
    """A batch whose nullifiers are not its claims' opens nothing: the service would be billed twice."""
    swapped = [nullifiers[1], nullifiers[0], *nullifiers[2:]]
    claim_anchor.submitBatch(clinic, log.root(), swapped, 0, b"", {"from": clinic})

    with reverts("NullifierNotWaiting", hexed(claims[0].nullifier), hexed(log.root())):
        open_(0)


@pytest.mark.spec("K24", "K43")
def test_claim_is_not_opened_before_its_rules_begin(claim_anchor, claim, published, clinic, payer, today, stranger):
    later = claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 9), {"from": payer}).return_value
    log = MerkleLog([bytes(claim_anchor.leafOf(claim.id, later))])
    claim_anchor.submitBatch(clinic, log.root(), [claim.nullifier], 0, b"", {"from": clinic})

    with reverts("RulesUnknown", payer.address, later):
        claim_anchor.open(claim, later, log.root(), 0, [], {"from": stranger})


@pytest.mark.spec("K39", "K43")
def test_claim_of_a_batch_is_held_to_the_strict_plan(claim_anchor, strict, strict_claim, clinic, stranger):
    unregistered = strict_claim.changed(registration=b"\x5d" * 32)
    log = MerkleLog([bytes(claim_anchor.leafOf(unregistered.id, strict))])
    claim_anchor.submitBatch(clinic, log.root(), [unregistered.nullifier], 0, b"", {"from": clinic})

    with reverts("EncounterUnknown", unregistered.patient, unregistered.encounter):
        claim_anchor.open(unregistered, strict, log.root(), 0, [], {"from": stranger})


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.spec("K44")
def test_waiting_nullifier_is_released_and_announced(
    claim_anchor, desk, batch, open_, log, nullifiers, clinic, sign, relayed
):
    said = {"provider": clinic.address, "root": log.root(), "nullifier": nullifiers[1], "deadline": desk.deadline}
    signature = sign(clinic, messages.release(desk.domain, **said)) if relayed else b""

    tx = claim_anchor.release(*said.values(), signature, {"from": desk.relayer if relayed else clinic})

    assert not any(bytes(claim_anchor.holderOf(nullifiers[1])))
    assert len(tx.events) == 1
    assert dict(tx.events["NullifierReleased"]) == {
        "nullifier": hexed(nullifiers[1]),
        "provider": clinic,
        "root": hexed(log.root()),
    }
    with reverts("NullifierNotWaiting", hexed(nullifiers[1]), hexed(log.root())):
        open_(1)
    with reverts("NullifierNotWaiting", hexed(nullifiers[1]), hexed(log.root())):
        claim_anchor.release(*said.values(), signature, {"from": desk.relayer if relayed else clinic})


@pytest.mark.spec("K44")
def test_nullifier_of_an_open_claim_is_not_released(claim_anchor, batch, open_, log, nullifiers, clinic):
    open_(1)

    with reverts("NullifierNotWaiting", hexed(nullifiers[1]), hexed(log.root())):
        claim_anchor.release(clinic, log.root(), nullifiers[1], 0, b"", {"from": clinic})


@pytest.mark.spec("K44")
def test_nobody_else_releases(claim_anchor, batch, log, nullifiers, clinic, second_clinic, stranger):
    with reverts("StepNotYours", clinic.address, stranger.address):
        claim_anchor.release(clinic, log.root(), nullifiers[1], 0, b"", {"from": stranger})
    with reverts("NullifierNotWaiting", hexed(nullifiers[1]), hexed(log.root())):
        claim_anchor.release(second_clinic, log.root(), nullifiers[1], 0, b"", {"from": second_clinic})


@pytest.mark.spec("K29", "K44")
def test_batch_of_a_removed_provider_is_released_by_anyone(
    claim_anchor, desk, batch, claims, log, nullifiers, registrar, admin, clinic, second_clinic, stranger
):
    registrar.remove(clinic, {"from": admin})

    claim_anchor.release(clinic, log.root(), nullifiers[1], 0, b"", {"from": stranger})

    desk.take("submit", claims[1].changed(provider=second_clinic.address))
