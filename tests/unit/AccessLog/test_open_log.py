"""Who opens a log, and whose key signs its promises from then on."""

from __future__ import annotations

import dataclasses

import pytest
from eth_abi import encode

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts


@pytest.mark.spec("L1")
def test_contract_answers_to_its_registrar_and_batch_anchor(access_log, registrar, batch_anchor, chain):
    _, name, version, chain_id, contract, *_ = access_log.eip712Domain()

    assert access_log.registrar() == registrar
    assert access_log.batchAnchor() == batch_anchor
    assert (name, version, chain_id, contract) == ("MedProof AccessLog", "1", chain.id, access_log.address)


@pytest.mark.spec("L2", "L18")
def test_log_is_opened_by_its_custodian(access_log, desk, clinic, promiser, form):
    tx = desk.open()

    assert access_log.signerOf(clinic, 1) == promiser
    assert len(tx.events) == 1
    assert dict(tx.events["LogOpened"]) == {"custodian": clinic, "log": 1, "signer": promiser}


@pytest.mark.spec("L2")
def test_party_of_any_kind_opens_a_log(access_log, desk, payer, pharmacy, researcher, promiser):
    for party in (payer, pharmacy, researcher):
        dataclasses.replace(desk, custodian=party).open()
        assert access_log.signerOf(party, 1) == promiser


@pytest.mark.spec("L2")
def test_who_is_no_party_opens_no_log(access_log, desk, stranger, promiser):
    for account in (stranger, promiser):
        with reverts("PartyRequired", account.address):
            desk.open(by=account)


@pytest.mark.spec("L2", "L5")
def test_account_that_acts_for_no_active_party_opens_no_log(desk, clinic, promiser, fallen, access_log):
    account = fallen()

    with reverts("PartyRequired", clinic.address):
        desk.open()
    if account is not None:
        desk.open(by=account)
        assert access_log.signerOf(clinic, 1) == promiser
        assert access_log.signerOf(account, 1) == NOBODY


@pytest.mark.spec("L2")
def test_suspended_custodian_opens_a_log_once_it_is_reinstated(access_log, desk, clinic, promiser, registrar, admin):
    registrar.suspend(clinic, {"from": admin})
    registrar.reinstate(clinic, {"from": admin})

    desk.open()
    assert access_log.signerOf(clinic, 1) == promiser


@pytest.mark.spec("L3")
def test_log_without_a_signer_is_refused(desk):
    with reverts("SignerMissing"):
        desk.open(signer=NOBODY)


@pytest.mark.spec("L4")
def test_signer_stands_for_good(access_log, desk, opened, clinic, promiser, stranger):
    for signer in (promiser, stranger):
        with reverts("LogOpenAlready", clinic.address, 1):
            desk.open(signer=signer)
    assert access_log.signerOf(clinic, 1) == promiser


@pytest.mark.spec("L4")
def test_signer_outlives_its_custodian(access_log, desk, opened, clinic, promiser, stranger, fallen):
    account = fallen()

    assert access_log.signerOf(clinic, 1) == promiser
    if account is not None:
        with reverts("LogOpenAlready", clinic.address, 1):
            desk.open(by=account, signer=stranger)


@pytest.mark.spec("L5")
def test_logs_stand_by_themselves(access_log, desk, opened, clinic, second_clinic, stranger, reader, promiser):
    for number, signer in ((0, stranger), (2**32 - 1, reader)):
        dataclasses.replace(desk, number=number).open(signer=signer)
    dataclasses.replace(desk, custodian=second_clinic).open(signer=stranger)

    assert [access_log.signerOf(clinic, number) for number in (0, 1, 2, 2**32 - 1)] == [
        stranger,
        promiser,
        NOBODY,
        reader,
    ]
    assert access_log.signerOf(second_clinic, 1) == stranger


@pytest.mark.spec("L5")
def test_number_of_a_log_does_not_wrap_around(access_log, desk, opened, clinic, stranger):
    number = encode(["uint256", "address"], [2**32 + 2, stranger.address]).hex()

    with pytest.raises(Exception, match="revert"):
        clinic.transfer(access_log, 0, data=access_log.openLog.signature + number)
    assert access_log.signerOf(clinic, 2) == NOBODY


@pytest.mark.spec("L17")
def test_unknown_reads_as_zero(access_log, desk, clinic, stranger):
    assert access_log.signerOf(clinic, 1) == access_log.signerOf(stranger, 0) == NOBODY
    assert desk.complaint() == (0, 0)
    assert access_log.openComplaints(clinic) == 0
