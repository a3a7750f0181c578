"""What is no call: cut off, with bits where an address has none, or with an array that is longer than its data."""

from __future__ import annotations

import pytest
from brownie.exceptions import VirtualMachineError

from tests.support.claims import NONE, SUBMITTED

WORD = 32


@pytest.fixture
def call(claim_anchor, published, claim):
    """A submission that would count."""
    return bytes.fromhex(claim_anchor.submit.encode_input(claim, 1, 0, b"")[2:])


@pytest.fixture
def sent(claim_anchor, clinic):
    return lambda data: clinic.transfer(claim_anchor, 0, data="0x" + data.hex(), gas_limit=1_000_000)


def test_call_as_it_is(claim_anchor, call, sent, claim):
    sent(call)

    assert claim_anchor.stateOf(claim.id)[0] == SUBMITTED


@pytest.mark.parametrize("kept", [4, 4 + WORD, 4 + 6 * WORD, 4 + 10 * WORD])
@pytest.mark.spec("K1")
def test_call_cut_off_reverts(claim_anchor, call, sent, claim, kept):
    with pytest.raises(VirtualMachineError):
        sent(call[:kept])

    assert claim_anchor.stateOf(claim.id)[0] == NONE


@pytest.mark.parametrize("word", [0, 1, 2])
@pytest.mark.spec("K1")
def test_address_with_more_bits_reverts(claim_anchor, call, sent, claim, word):
    """Else one claim would have many ids."""
    first = 4 + word * WORD
    with pytest.raises(VirtualMachineError):
        sent(call[:first] + b"\x01" + call[first + 1 :])

    assert claim_anchor.stateOf(claim.id)[0] == NONE


@pytest.mark.spec("K42")
def test_array_longer_than_its_data_reverts(claim_anchor, published, clinic, sent):
    call = bytes.fromhex(claim_anchor.submitBatch.encode_input(clinic, b"\x80" * 32, [b"\x90" * 32], 0, b"")[2:])
    length = call.index((1).to_bytes(WORD, "big"), 4 + 5 * WORD)
    for claimed in (2, 500, 2**64, 2**255):
        with pytest.raises(VirtualMachineError):
            sent(call[:length] + claimed.to_bytes(WORD, "big") + call[length + WORD :])

    assert claim_anchor.claimBatchOf(clinic, b"\x80" * 32) == (0, 0)
