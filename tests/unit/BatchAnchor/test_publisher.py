"""Who publishes, and which signatures count."""

from __future__ import annotations

import dataclasses

import pytest

from medproof.messages import Domain
from tests.support.fixtures import NOBODY, PROVIDER
from tests.support.reverts import reverts

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.spec("A2")
def test_nobody_else_publishes(press, clinic, stranger, second_clinic, relayer):
    for sender in (stranger, second_clinic, relayer):
        with reverts("PublisherNotYours", clinic.address, sender.address):
            press.anchor(5, sender=sender)


@pytest.mark.spec("A2")
def test_nobody_elses_signature_counts(press, clinic, stranger, second_clinic, relayer):
    for signer in (stranger, second_clinic, relayer):
        with reverts("SignatureInvalid", clinic.address):
            press.anchor(5, signer=signer)


@pytest.mark.spec("A2")
def test_account_that_is_no_party_has_no_log(press, stranger):
    other = dataclasses.replace(press, publisher=stranger)

    with reverts("PublisherNotYours", stranger.address, stranger.address):
        other.anchor(5)
    with reverts("PublisherNotYours", stranger.address, NOBODY):
        other.anchor(5, signer=stranger)
    with reverts("PublisherNotYours", NOBODY, stranger.address):
        press.contract.anchor(NOBODY, 0, 5, b"\x66" * 32, 0, b"", {"from": stranger})


@pytest.mark.spec("A3")
def test_suspended_publisher_anchors_nothing_until_it_is_reinstated(press, log, clinic, registrar, admin, form):
    press.anchor(3)
    signature = press.signature(5)
    registrar.suspend(clinic, {"from": admin})

    with reverts("PublisherNotYours", clinic.address, clinic.address):
        press.anchor(5)
    with reverts("PublisherNotYours", clinic.address, clinic.address):
        press.contract.anchor(clinic, 1, 5, log.root(5), press.deadline, signature, {"from": press.relayer})
    assert press.latest() == (log.root(3), 3, 1)

    registrar.reinstate(clinic, {"from": admin})
    press.anchor(5)
    assert press.latest()[1] == 5


@pytest.mark.spec("A3")
def test_removed_publisher_anchors_nothing_and_its_log_stays(press, log, clinic, registrar, admin):
    press.anchor(3)
    registrar.remove(clinic, {"from": admin})

    with reverts("PublisherNotYours", clinic.address, clinic.address):
        press.anchor(5)
    with reverts("PublisherNotYours", clinic.address, NOBODY):
        press.anchor(5, signer=clinic)
    assert press.latest() == (log.root(3), 3, 1)


@pytest.mark.spec("A3")
def test_publisher_whose_accreditation_lapsed_anchors_nothing(press, clinic, far_day, chain):
    chain.sleep((far_day + 1) * 24 * 3600 - chain.time())

    with reverts("PublisherNotYours", clinic.address, clinic.address):
        press.anchor(5)


@pytest.mark.spec("A4")
def test_after_a_change_of_account_the_new_one_publishes(press, log, clinic, registrar, fresh_account):
    press.anchor(3)
    by_old_key = press.signature(5)
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})

    with reverts("PublisherNotYours", clinic.address, clinic.address):
        press.anchor(5)
    with reverts("SignatureInvalid", fresh_account.address):
        press.contract.anchor(clinic, 1, 5, log.root(5), press.deadline, by_old_key, {"from": press.relayer})
    with reverts("PublisherNotYours", fresh_account.address, fresh_account.address):
        dataclasses.replace(press, publisher=fresh_account).anchor(5)

    press.anchor(5, sender=fresh_account)
    press.anchor(6, signer=fresh_account)
    assert press.latest() == (log.root(6), 6, 3)


@pytest.mark.spec("A5")
def test_signature_counts_for_what_it_says_alone(press, clinic, second_clinic, registrar):
    domain, root = press.domain, press.log.root(5)
    elsewhere = (
        Domain(domain.contract, domain.chain_id + 1, domain.address),
        Domain(domain.contract, domain.chain_id, registrar.address),
        Domain("ClaimAnchor", domain.chain_id, domain.address),
    )
    signatures = [
        press.signature(5, publisher=second_clinic.address),
        press.signature(5, log=2),
        press.signature(6, root),
        press.signature(5, b"\x66" * 32),
        press.signature(5, deadline=press.deadline + 1),
        press.signature(5, consistent=True),
        *(press.signature(5, domain=other) for other in elsewhere),
    ]

    for signature in signatures:
        with reverts("SignatureInvalid", clinic.address):
            press.contract.anchor(clinic, 1, 5, root, press.deadline, signature, {"from": press.relayer})


@pytest.mark.spec("A5")
def test_signature_has_one_form(press, clinic):
    signature = press.signature(5)
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (HALF_ORDER - s).to_bytes(32) + bytes([27 + 28 - v])

    for broken in (twin, b"\0" * 65, signature[:64]):
        with reverts("SignatureInvalid", clinic.address):
            press.contract.anchor(clinic, 1, 5, press.log.root(5), press.deadline, broken, {"from": press.relayer})


@pytest.mark.spec("A5")
def test_signature_counts_until_its_deadline(press, chain):
    signature = press.signature(5)
    chain.sleep(press.deadline + 60 - chain.time())

    with pytest.raises(Exception, match=f"MessageExpired: {press.deadline}, "):
        press.contract.anchor(
            press.publisher, 1, 5, press.log.root(5), press.deadline, signature, {"from": press.relayer}
        )
    press.anchor(5)  # who sends has no deadline


@pytest.mark.spec("A5")
def test_contract_wallet_publishes(press, log, ContractWallet, fresh_account, accredit, admin):  # noqa: N803
    wallet = ContractWallet.deploy(fresh_account, {"from": admin})
    accredit(wallet, PROVIDER)
    other = dataclasses.replace(press, publisher=wallet)

    other.anchor(5, signer=fresh_account)
    call = other.contract.anchor.encode_input(wallet, 1, 6, log.root(6), 0, b"")
    wallet.execute(other.contract, call, {"from": admin})
    assert other.latest() == (log.root(6), 6, 2)

    wallet.setMood(1, {"from": admin})  # it reverts
    with reverts("SignatureInvalid", wallet.address):
        other.anchor(7, signer=fresh_account)


@pytest.mark.spec("A2")
def test_several_batches_in_one_transaction(press, batch_anchor, clinic, log):
    """`relay` gives each call the rights of who sends it, and no more."""
    calls = [batch_anchor.anchor.encode_input(clinic, number, 5, log.root(5), 0, b"") for number in (1, 2)]

    tx = batch_anchor.relay(calls, 0, {"from": clinic})

    assert [event["log"] for event in tx.events["BatchAnchored"]] == [1, 2]
    with pytest.raises(Exception, match="CallFailed"):
        batch_anchor.relay(calls, 0, {"from": press.relayer})
