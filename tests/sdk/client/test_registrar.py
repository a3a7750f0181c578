"""The Registrar's client, each method against the contract."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from eth_utils.address import is_checksum_address

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.claim_anchor import Rules
from medproof.client.registrar import EMERGENCY, EVERYONE, AccountChange, Party, Registrar, group_grantee
from medproof.contract_errors import (
    AccountChangeTooEarly,
    AccountInUse,
    CredentialMissing,
    GroupUnknown,
    PartyInactive,
    PartyUnknown,
    ValidityPast,
)
from medproof.errors import ArgumentError, SigningNeededError
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL, funded, rpc

DAY = 24 * 60 * 60


@pytest.fixture
def registrar(suite: MedProof) -> Registrar:
    return suite.registrar


@pytest.mark.parametrize("kind", list(PartyKind), ids=lambda kind: kind.code)
def test_accredit_each_kind(
    registrar: Registrar, admin: LocalSigner, fresh_account: LocalSigner, far_day: date, kind: PartyKind
) -> None:
    account = fresh_account.address
    assert registrar.standing(account) is None
    assert registrar.party(account) is None
    assert registrar.account_of(account) is None
    assert registrar.credential_of(account) == bytes(32)
    receipt = registrar.accredit(account, kind, credential=CREDENTIAL, valid_until=far_day, sender=admin)
    expected = Party(account, kind, False, far_day, ())
    assert registrar.standing(account) == registrar.party(account) == expected
    assert registrar.account_of(account) == account
    assert registrar.credential_of(account) == CREDENTIAL
    assert registrar.parties()[-1] == account
    assert registrar.standing(account, block=receipt.block - 1) is None
    assert registrar.party(account, block=receipt.block - 1) is None
    assert registrar.account_of(account, block=receipt.block - 1) is None
    assert registrar.credential_of(account, block=receipt.block - 1) == bytes(32)


def test_suspend_reinstate_renew_remove(
    registrar: Registrar, admin: LocalSigner, clinic: LocalSigner, far_day: date
) -> None:
    party = clinic.address
    registrar.suspend(party, sender=admin)
    assert registrar.standing(party) is None
    assert registrar.party(party) == Party(party, PartyKind.PROVIDER, True, far_day, ())
    registrar.reinstate(party, sender=admin)
    assert registrar.standing(party) is not None
    later = far_day + timedelta(days=5)
    registrar.renew(party, credential=b"\x12" * 32, valid_until=later, sender=admin)
    assert registrar.party(party) == Party(party, PartyKind.PROVIDER, False, later, ())
    assert registrar.credential_of(party) == b"\x12" * 32
    registrar.remove(party, sender=admin)
    assert registrar.party(party) is None
    assert registrar.account_of(party) is None
    assert party in registrar.parties()


def test_groups(registrar: Registrar, admin: LocalSigner, clinic: LocalSigner) -> None:
    assert registrar.groups() == {1: "everyone", 2: "emergency care"}
    group = registrar.create_group("Nachtdienst 夜勤", sender=admin)
    assert registrar.groups()[group] == "Nachtdienst 夜勤"
    for number in (group, 2):
        registrar.join_group(number, clinic.address, sender=admin)
    standing = registrar.standing(clinic.address)
    assert standing is not None
    assert set(standing.groups) == {group, 2}
    registrar.leave_group(group, clinic.address, sender=admin)
    party = registrar.party(clinic.address)
    assert party is not None
    assert party.groups == (2,)
    assert (group_grantee(1), group_grantee(2)) == (EVERYONE, EMERGENCY)
    assert all(is_checksum_address(group_grantee(one)) for one in range(1, 200))  # groups from 10 on have letters


def test_change_of_account(registrar: Registrar, clinic: LocalSigner, fresh_account: LocalSigner) -> None:
    assert registrar.account_change_of(clinic.address) is None
    registrar.offer_account(funded(13).address, sender=clinic)
    registrar.withdraw_offer(sender=clinic)
    assert registrar.account_change_of(clinic.address) is None
    receipt = registrar.offer_account(fresh_account.address, sender=clinic)
    change = registrar.account_change_of(clinic.address)
    assert change == AccountChange(fresh_account.address, registrar.chain.timestamp(receipt.block), False)
    assert registrar.account_change_of(clinic.address, block=receipt.block - 1) is None
    registrar.take_account(clinic.address, sender=fresh_account)
    assert registrar.account_of(clinic.address) == fresh_account.address
    standing = registrar.standing(fresh_account.address)
    assert standing is not None
    assert standing.id == clinic.address
    assert registrar.standing(clinic.address) is None


def test_recovery_of_an_account(
    chain: Chain, registrar: Registrar, admin: LocalSigner, clinic: LocalSigner, fresh_account: LocalSigner
) -> None:
    registrar.start_recovery(clinic.address, fresh_account.address, sender=admin)
    registrar.cancel_recovery(clinic.address, sender=admin)
    receipt = registrar.start_recovery(clinic.address, fresh_account.address, sender=admin)
    ready = chain.timestamp(receipt.block) + 3 * DAY
    assert registrar.account_change_of(clinic.address) == AccountChange(fresh_account.address, ready, True)
    with pytest.raises(AccountChangeTooEarly) as caught:
        registrar.take_account(clinic.address, sender=fresh_account)
    assert caught.value.ready_at == ready
    rpc(chain, "evm_increaseTime", 3 * DAY)
    rpc(chain, "evm_mine")
    registrar.take_account(clinic.address, sender=fresh_account)
    assert registrar.account_of(clinic.address) == fresh_account.address


def test_errors_by_name(
    registrar: Registrar, admin: LocalSigner, clinic: LocalSigner, fresh_account: LocalSigner, far_day: date
) -> None:
    nobody = fresh_account.address
    with pytest.raises(AccountInUse):
        registrar.accredit(clinic.address, PartyKind.PAYER, credential=CREDENTIAL, valid_until=far_day, sender=admin)
    with pytest.raises(CredentialMissing):
        registrar.accredit(nobody, PartyKind.PAYER, credential=bytes(32), valid_until=far_day, sender=admin)
    with pytest.raises(ValidityPast) as past:
        registrar.renew(clinic.address, credential=CREDENTIAL, valid_until=date(2020, 1, 1), sender=admin)
    assert past.value.valid_until == (date(2020, 1, 1) - date(1970, 1, 1)).days
    with pytest.raises(PartyUnknown):
        registrar.suspend(nobody, sender=admin)
    with pytest.raises(GroupUnknown):
        registrar.join_group(9, clinic.address, sender=admin)
    with pytest.raises(PartyInactive):
        registrar.offer_account(nobody, sender=fresh_account)


@pytest.mark.parametrize("kind", [PartyKind.EMPTY, PartyKind.PROVIDER | PartyKind.PAYER, PartyKind.ALL])
def test_party_of_no_one_kind(registrar: Registrar, admin: LocalSigner, far_day: date, kind: PartyKind) -> None:
    with pytest.raises(ArgumentError, match="one kind"):
        registrar.accredit(funded(13).address, kind, credential=CREDENTIAL, valid_until=far_day, sender=admin)


@pytest.mark.parametrize("day", [date(1969, 12, 31), date(2149, 6, 7), date.max, datetime.now(UTC)])
def test_day_that_does_not_fit(registrar: Registrar, admin: LocalSigner, day: date) -> None:
    with pytest.raises(ArgumentError, match="no day"):
        registrar.renew(funded(1).address, credential=CREDENTIAL, valid_until=day, sender=admin)


@pytest.mark.parametrize(
    "act",
    [
        lambda suite, one: suite.registrar.suspend(one),
        lambda suite, one: suite.registrar.create_group("x"),
        lambda suite, one: suite.consent_registry.revoke(one),
        lambda suite, one: suite.consent_registry.publish_terms(CREDENTIAL),
        lambda suite, one: suite.claim_anchor.publish_rules(Rules(CREDENTIAL, date(2020, 1, 1))),
    ],
)
def test_nobody_named_to_send(suite: MedProof, act: Any) -> None:
    with pytest.raises(SigningNeededError, match="give `sender`"):
        act(suite, funded(1).address)
