"""What is final and not as it should be is sent again where somebody asks for it, and only then."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import LogNotGrown
from medproof.errors import KeyReusedError, UnknownTransactionError
from medproof.sending import State
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.sending.conftest import Open

ROOT, OTHER = keccak(b"root"), keccak(b"other")


def test_what_stands_is_left_alone(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    manager, before = open_manager(), chain.transaction_count(relayer.address)
    with pytest.raises(UnknownTransactionError):
        manager.renew("never")
    key = manager.submit({"to": relayer.address})
    assert not manager.renew(key)  # it waits
    manager.wait([key])
    assert not manager.renew(key)
    assert manager.status(key).state is State.CONFIRMED
    assert chain.transaction_count(relayer.address) == before + 1


def test_what_failed_is_sent_under_another_nonce(
    suite: MedProof, chain: Chain, open_manager: Open, clinic: LocalSigner
) -> None:
    manager, anchor = open_manager(senders=[clinic]), suite.batch_anchor
    key = manager.submit({**anchor.request("anchor", clinic.address, 0, 1, ROOT, 0, b""), "gas": 30_000})
    for _ in range(3):
        manager.run_once()
    failed = manager.status(key)
    assert failed.state is State.FAILED
    assert manager.renew(key)
    assert manager.status(key).state is State.QUEUED
    manager.wait([key])  # with as much gas as it takes now
    again = manager.status(key)
    assert (again.state, again.nonce) == (State.CONFIRMED, (failed.nonce or 0) + 1)
    assert [batch.root for batch in anchor.batches(clinic.address)] == [ROOT]


def test_what_a_deep_reorganisation_took_is_sent_as_it_was(
    chain: Chain, open_manager: Open, relayer: LocalSigner
) -> None:
    manager, snapshot = open_manager(), rpc(chain, "evm_snapshot")
    key = manager.submit({"to": relayer.address, "value": 1})
    manager.wait([key])
    first = manager.status(key)
    rpc(chain, "evm_revert", snapshot)
    assert manager.renew(key)
    assert manager.status(key).state is State.SENT
    assert manager.wait([key])[0].transaction == first.transaction


def test_a_key_of_an_account_is_one_transaction(
    suite: MedProof, chain: Chain, open_manager: Open, clinic: LocalSigner
) -> None:
    before, sender = chain.transaction_count(clinic.address), open_manager(senders=[clinic]).sender()
    anchor = suite.batch_anchor
    for _ in range(3):
        receipt = anchor.anchor(clinic.address, 1, ROOT, sender=sender.under("first"))
    assert chain.transaction_count(clinic.address) == before + 1
    assert receipt.events(anchor.contract)[0].arguments["root"] == ROOT
    with pytest.raises(KeyReusedError):
        anchor.anchor(clinic.address, 2, OTHER, sender=sender.under("first"))
    with pytest.raises(LogNotGrown):
        anchor.anchor(clinic.address, 1, ROOT, sender=sender)  # without a key it is another one
