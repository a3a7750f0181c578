"""What this package encodes itself is what eth-account makes of it, byte by byte."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.errors import ArgumentError
from medproof.raw_transaction import signing_payload, with_signature
from medproof.signing import LocalSigner

WORDS = st.one_of(st.sampled_from([0, 1, 127, 128, 255, 256, 2**64 - 1]), st.integers(0, 2**64 - 1))
LENGTHS = st.sampled_from([0, 1, 2, 31, 54, 55, 56, 57, 255, 256, 300])
SIGNER = LocalSigner.from_key(b"\x17" * 32)
BYTES = st.one_of(
    st.sampled_from([b"", b"\x00", b"\x7f", b"\x80"]), LENGTHS.flatmap(lambda n: st.binary(min_size=n, max_size=n))
)
PLAIN = st.fixed_dictionaries(
    {
        "chainId": st.integers(1, 2**40),
        "nonce": WORDS,
        "gas": WORDS,
        "value": st.one_of(WORDS, st.just(2**256 - 1)),
        "data": BYTES,
        "to": st.one_of(
            st.just(""),
            st.just("0x" + "00" * 20),
            st.binary(min_size=20, max_size=20).map(to_checksum_address),
        ),
    }
)


def by_eth_account(signer: LocalSigner, transaction: dict[str, object]) -> bytes:
    return bytes(signer._account.sign_transaction(transaction).raw_transaction)  # type: ignore[arg-type]


@given(plain=PLAIN, tip=WORDS, most=WORDS)
@settings(max_examples=60, deadline=None)
def test_transactions_of_eip_1559(plain: dict[str, object], tip: int, most: int) -> None:
    transaction = {**plain, "maxPriorityFeePerGas": tip, "maxFeePerGas": most}
    assert SIGNER.sign_transaction(transaction) == by_eth_account(SIGNER, transaction)


@given(plain=PLAIN, price=WORDS)
@settings(max_examples=60, deadline=None)
def test_legacy_transactions(plain: dict[str, object], price: int) -> None:
    transaction = {**plain, "gasPrice": price}
    assert SIGNER.sign_transaction(transaction) == by_eth_account(SIGNER, transaction)


def test_other_kinds_are_left_to_eth_account() -> None:
    fees = {"maxFeePerGas": 2, "maxPriorityFeePerGas": 1}
    rest = {"chainId": 1, "nonce": 0, "gas": 21000, "to": "0x" + "11" * 20, "value": 1, "type": 2, **fees}
    listed = {**rest, "accessList": [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "33" * 32]}]}
    assert SIGNER.sign_transaction(listed) == by_eth_account(SIGNER, listed)


@pytest.mark.parametrize("quick", [True, False], ids=["coincurve", "without it"])
def test_signing_with_and_without_the_quick_library(monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    if not quick:
        monkeypatch.setattr("medproof.signing.PrivateKey", None)
    signer = LocalSigner.from_key(b"\x18" * 32)
    transaction = {"chainId": 5, "nonce": 1, "gas": 21000, "gasPrice": 7, "to": "0x" + "11" * 20, "value": 3}
    assert (signer._quick is not None) == quick
    assert signer.sign_transaction(transaction) == by_eth_account(signer, transaction)


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "0x" + "11" * 19},
        {"to": "0x" + "11" * 21},
        {"to": "0x52908400098527886E0F7030069857D2E4169Ee7"},  # the last capital is wrong
        {"nonce": -1},
        {"value": -1},
        {"gas": None},
        {"data": "0xzz"},
        {"nonce": "1"},
    ],
)
def test_what_is_no_transaction_is_refused(wrong: dict[str, object]) -> None:
    right = {"chainId": 5, "nonce": 1, "gas": 21000, "gasPrice": 7, "to": "0x" + "11" * 20, "value": 3, "data": b""}
    with pytest.raises(ArgumentError, match="no complete transaction"):
        signing_payload({**right, **wrong})
    with pytest.raises(ArgumentError, match="no complete transaction"):
        with_signature({**right, **wrong}, b"\x01" * 64 + b"\x1b")
    with pytest.raises(ArgumentError, match="no complete transaction"):
        SIGNER.sign_transaction({**right, **wrong})
