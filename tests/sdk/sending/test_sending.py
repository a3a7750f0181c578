"""Transactions are taken once, sent once, from whom they should, and end as they end on the chain."""

from __future__ import annotations

from medproof.chain import Chain
from medproof.sending import State
from medproof.signing import LocalSigner
from tests.sdk.sending.conftest import Open


def test_transactions_of_one_account_go_in_order(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    manager, first = open_manager(in_flight=100), chain.transaction_count(relayer.address)
    keys = manager.submit_many([{"to": relayer.address, "value": number} for number in range(40)])
    assert [fate.state for fate in manager.fates()] == [State.QUEUED] * 40
    receipts = manager.wait(keys)
    fates = manager.fates()
    assert [fate.key for fate in fates] == keys
    assert [fate.nonce for fate in fates] == list(range(first, first + 40))
    assert [fate.transaction for fate in fates] == [receipt.transaction for receipt in receipts]
    assert chain.transaction_count(relayer.address) == first + 40
