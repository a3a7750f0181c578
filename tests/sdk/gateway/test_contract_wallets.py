"""Callers whose account is a contract: their wallet checks the signature, with bounded gas."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Gatekeeper
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import Connect
from tests.sdk.relayer.test_contract_wallets import Wallet


@pytest.fixture
def wallet(suite: MedProof, stranger: LocalSigner, fresh_account: LocalSigner) -> Wallet:
    return Wallet(suite, fresh_account, stranger)


def ask(as_caller: Connect, account: Any) -> tuple[int, str]:
    with pytest.raises(GatekeeperRefusalError) as caught:
        as_caller(account).fetch("Observation", "1")
    return caught.value.status, caught.value.code


def test_a_wallet_proves_its_account(as_caller: Connect, wallet: Wallet) -> None:
    assert ask(as_caller, wallet) == (403, "INACTIVE_PARTY")  # it is known, and no party


@pytest.mark.parametrize("mood", ["reverting", "burning", "short", "wrong"])
def test_a_wallet_that_does_not_agree_proves_nothing(
    as_caller: Connect, wallet: Wallet, gatekeeper: Gatekeeper, mood: str
) -> None:
    wallet.feel(mood)
    assert ask(as_caller, wallet) == (401, "SIGNATURE")


def test_another_owner_proves_nothing(as_caller: Connect, wallet: Wallet, payer: LocalSigner) -> None:
    wallet.owner = payer
    assert ask(as_caller, wallet) == (401, "SIGNATURE")
