from __future__ import annotations

import pytest
from brownie import web3
from eth_abi import encode

from tests.support.fixtures import NOBODY, SALTED


@pytest.mark.spec("P3")
def test_id_is_the_hash_of_subject_origin_and_commitment(record_pointers, stranger, payer):
    packed = encode(["address", "address", "bytes32"], [stranger.address, payer.address, SALTED])

    assert record_pointers.pointerId(stranger, payer, SALTED) == "0x" + bytes(web3.keccak(packed)).hex()


@pytest.mark.spec("P34")
def test_what_is_unknown_reads_empty(record_pointers, clinic):
    assert record_pointers.batchOf(clinic, SALTED) == 0
    assert record_pointers.pointerOf(SALTED) == (NOBODY, 0, 0, 0, 0)
    assert record_pointers.previousOf(SALTED) == "0x" + "00" * 32
    assert record_pointers.nextCustodianOf(SALTED) == NOBODY
