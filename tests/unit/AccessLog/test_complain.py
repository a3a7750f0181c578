"""Which promises may be complained of, when, and how often."""

from __future__ import annotations

import dataclasses

import pytest
from brownie.exceptions import VirtualMachineError
from eth_abi import encode
from eth_utils import keccak

from medproof.messages import Domain
from tests.support.reverts import reverts
from tests.unit.AccessLog.conftest import ENTRIES

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HONEST, REVERTING, BURNING, SHORT, WRONG_ANSWER = range(5)  # the moods of ContractWallet


@pytest.mark.spec("L6", "L18")
def test_complaint_is_kept_and_announced(access_log, desk, overdue, clinic, reader, form):
    tx = desk.complain()

    assert desk.complaint() == (tx.timestamp, 0)
    assert access_log.openComplaints(clinic) == 1
    assert len(tx.events) == 1
    assert dict(tx.events["ComplaintFiled"]) == {
        "custodian": clinic,
        "log": 1,
        "entry": "0x" + ENTRIES[0].hex(),
        "due": desk.due,
        "reader": reader,
    }


@pytest.mark.spec("L6")
def test_anyone_complains(access_log, desk, overdue, stranger, relayer, clinic, promiser):
    for entry, by in zip(ENTRIES, (stranger, relayer, clinic, promiser), strict=False):
        assert desk.complain(entry, by=by).events["ComplaintFiled"]["reader"] == by
    assert access_log.openComplaints(clinic) == 4


# -- when -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("L9")
def test_complaint_before_or_at_due_is_refused(desk, opened, chain, form):
    for moment in (desk.due - 1, desk.due):
        chain.mine(timestamp=moment)
        if desk.relayed:
            with pytest.raises(VirtualMachineError, match="CallFailed"):
                desk.complain(dry=True)
        else:
            with reverts("PromiseNotDue", desk.due, moment):
                desk.complain(dry=True)
    chain.mine(timestamp=desk.due + 1)

    desk.complain(dry=True)


@pytest.mark.spec("L9")
def test_promise_does_not_lapse(desk, overdue, chain):
    chain.mine(timestamp=desk.due + 20 * 365 * 24 * 3600)

    desk.complain(dry=True)


@pytest.mark.spec("L9")
def test_promise_may_be_due_at_once_or_never(desk, opened, chain):
    chain.mine(timestamp=desk.due)
    desk.complain(due=0, dry=True)

    with reverts("PromiseNotDue", 2**256 - 1, desk.due):
        desk.complain(due=2**256 - 1, dry=True)


# -- how often --------------------------------------------------------------------------------------------------


@pytest.mark.spec("L10")
def test_entry_is_complained_of_once(access_log, desk, complained, clinic, stranger):
    for due in (desk.due, desk.due - 100):  # the same promise, and an earlier one about the same entry
        with reverts("ComplaintExists", desk.complaint_id()):
            desk.complain(due=due, by=stranger)
    assert access_log.openComplaints(clinic) == 1
    assert desk.complaint() == (complained.timestamp, 0)


@pytest.mark.spec("L10")
def test_complaint_that_was_answered_does_not_come_back(access_log, desk, complained, clinic):
    desk.publish(5)
    answered = desk.answer(size=5)

    with reverts("ComplaintExists", desk.complaint_id()):
        desk.complain()
    assert access_log.openComplaints(clinic) == 0
    assert desk.complaint() == (complained.timestamp, answered.timestamp)


@pytest.mark.spec("L10", "L15")
def test_complaints_of_other_entries_logs_and_custodians_stand_by_themselves(
    access_log, desk, complained, second_clinic
):
    others = [dataclasses.replace(desk, number=2), dataclasses.replace(desk, custodian=second_clinic)]
    for other in others:
        other.open()
        other.complain()
    desk.complain(ENTRIES[1])

    assert all(other.complaint()[0] for other in others)
    assert access_log.openComplaints(desk.custodian) == 3
    assert access_log.openComplaints(second_clinic) == 1


# -- of what ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("L8")
def test_promise_of_a_log_that_was_never_opened_counts_nothing(desk, overdue, second_clinic, stranger):
    for other in (
        dataclasses.replace(desk, number=2),
        dataclasses.replace(desk, custodian=second_clinic),
        dataclasses.replace(desk, custodian=stranger, promiser=stranger),
    ):
        with reverts("LogUnknown", other.custodian.address, other.number):
            other.complain()


@pytest.mark.spec("L7")
def test_nobody_elses_promise_counts(desk, overdue, clinic, reader, stranger, admin, promiser):
    for signer in (clinic, reader, stranger, admin):
        with reverts("SignatureInvalid", promiser.address):
            desk.complain(signature=desk.promise(signer=signer))


@pytest.mark.spec("L7")
def test_key_of_another_log_signs_nothing_here(desk, overdue, second_clinic, stranger, reader, promiser):
    second_log = dataclasses.replace(desk, number=2, promiser=stranger)
    other_clinic = dataclasses.replace(desk, custodian=second_clinic, promiser=reader)
    second_log.open()
    other_clinic.open()

    for signer in (stranger, reader):
        with reverts("SignatureInvalid", promiser.address):
            desk.complain(signature=desk.promise(signer=signer))
    with reverts("SignatureInvalid", stranger.address):
        second_log.complain(signature=second_log.promise(signer=promiser))


@pytest.mark.spec("L7")
def test_promise_counts_for_what_it_says_alone(desk, overdue, second_clinic, registrar, promiser):
    """One key may sign for several logs: what a promise names tells them apart."""
    others = [dataclasses.replace(desk, number=2), dataclasses.replace(desk, custodian=second_clinic)]
    for other in others:
        other.open()
    domain = desk.domain
    signatures = [
        desk.promise(custodian=second_clinic.address),
        desk.promise(log=2),
        desk.promise(ENTRIES[1]),
        desk.promise(due=desk.due + 1),
        desk.promise(due=desk.due - 1),
        desk.promise(domain=Domain(domain.contract, domain.chain_id + 1, domain.address)),
        desk.promise(domain=Domain(domain.contract, domain.chain_id, registrar.address)),
        desk.promise(domain=Domain("BatchAnchor", domain.chain_id, domain.address)),
    ]

    for signature in signatures:
        with reverts("SignatureInvalid", promiser.address):
            desk.complain(signature=signature, dry=True)
    for other in others:
        with reverts("SignatureInvalid", promiser.address):
            other.complain(signature=desk.promise(), dry=True)
        other.complain(dry=True)
    with reverts("SignatureInvalid", promiser.address):  # a promise that is due later does not become due
        desk.complain(due=desk.due - 1, signature=desk.promise(), dry=True)
    desk.complain(dry=True)


@pytest.mark.spec("L7")
def test_promise_has_one_form(desk, overdue, promiser):
    signature = desk.promise()
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (HALF_ORDER - s).to_bytes(32) + bytes([27 + 28 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32)

    for broken in (twin, compact, bytes(65), b"", signature[:64], signature + b"\0", signature[:64] + b"\0"):
        with reverts("SignatureInvalid", promiser.address):
            desk.complain(signature=broken, dry=True)


@pytest.mark.spec("L7")
def test_number_of_a_log_in_a_promise_does_not_wrap_around(access_log, desk, overdue, clinic, reader):
    kinds = ["address", "uint256", "bytes32", "uint256", "bytes"]
    arguments = encode(kinds, [clinic.address, 2**32 + 1, ENTRIES[0], desk.due, desk.promise()]).hex()

    with pytest.raises(Exception, match="revert"):
        reader.transfer(access_log, 0, data=access_log.complain.signature + arguments)
    assert desk.complaint() == (0, 0)


# -- of whom ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("L11")
def test_promise_outlives_what_becomes_of_its_custodian(access_log, desk, opened, clinic, promiser, fallen):
    account = fallen()
    desk.pass_due()

    if account is not None:  # the new account's key signs no promises either
        with reverts("SignatureInvalid", promiser.address):
            desk.complain(signature=desk.promise(signer=account))
    desk.complain()
    assert access_log.openComplaints(clinic) == 1


@pytest.mark.spec("L12")
def test_contract_wallet_promises(access_log, desk, wallet, fresh_account, clinic):
    desk.open(signer=wallet)
    desk.pass_due()

    desk.complain(signature=desk.promise(signer=fresh_account))
    assert access_log.openComplaints(clinic) == 1
    with reverts("SignatureInvalid", wallet.address):
        desk.complain(ENTRIES[1], signature=desk.promise(signer=fresh_account))


@pytest.mark.spec("L12")
@pytest.mark.parametrize("mood", [REVERTING, SHORT, WRONG_ANSWER, BURNING])
def test_contract_wallet_takes_its_promises_back(access_log, desk, wallet, fresh_account, admin, reader, mood):
    """Who relies on a promise looks whether the log's signer is a key: a wallet is asked when somebody complains."""
    desk.open(signer=wallet)
    desk.pass_due()
    signature = desk.promise(signer=fresh_account)
    desk.complain(signature=signature, dry=True)
    wallet.setMood(mood, {"from": admin})

    arguments = (desk.custodian, 1, ENTRIES[0], desk.due, signature)
    with reverts("SignatureInvalid", wallet.address):
        access_log.complain.call(*arguments, {"from": reader, "gas_limit": 1_000_000})


# -- many at once -----------------------------------------------------------------------------------------------


@pytest.mark.spec("L18")
def test_complaint_that_fails_among_others_is_skipped(access_log, desk, overdue, clinic, reader, promiser):
    def call(entry, signature):
        return access_log.complain.encode_input(clinic, 1, entry, desk.due, signature)

    first, forged, second, again = (
        call(ENTRIES[0], desk.promise()),
        call(ENTRIES[1], desk.promise()),
        call(ENTRIES[2], desk.promise(ENTRIES[2])),
        call(ENTRIES[0], desk.promise()),
    )
    tx = access_log.relay([first, forged, second, again], 200_000, {"from": reader})

    assert tx.return_value == 2
    assert [event.name for event in tx.events] == ["ComplaintFiled", "CallSkipped", "ComplaintFiled", "CallSkipped"]
    assert [event["position"] for event in tx.events["CallSkipped"]] == [1, 3]
    invalid = keccak(text="SignatureInvalid(address)")[:4] + encode(["address"], [promiser.address])
    with reverts("CallFailed", 0, invalid):
        access_log.relay([forged], 0, {"from": reader})
    assert access_log.openComplaints(clinic) == 2
