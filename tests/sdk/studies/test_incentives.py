"""The Incentives' client: bounties funded, accepted, paid once, refunded; amounts in a token's decimals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.incentives import Bounty, Escrow, Incentives, Payee
from medproof.client.studies import Result, Study
from medproof.client.token import ABI, Token
from medproof.contract_errors import (
    AcceptanceOver,
    AnswerAccepted,
    AnswerNotAccepted,
    BountyOpen,
    BountyShort,
    ClaimLate,
    FunderRequired,
    NothingLeft,
    PaidAlready,
    ResultUnknown,
    SignatureInvalid,
    SubjectNotInCohort,
)
from medproof.errors import BountyError, MessageError, TokenError
from medproof.fixed_cohort import FixedCohort
from medproof.relayer import Relayer, State
from medproof.signing import LocalSigner
from scripts.demo_token import SUPPLY, send_token
from scripts.local_chain import ROOT
from tests.sdk.conftest import funded, rpc

DAY = 86400


@pytest.fixture
def incentives(suite: MedProof) -> Incentives:
    return suite.incentives


@pytest.fixture
def result(suite: MedProof, study: Study, fixed: FixedCohort, researcher: LocalSigner, clinic: LocalSigner) -> Result:
    """The clinic's answer over the cohort, published."""
    found = Result(fixed.cohort.id, clinic.address, b"\x09" * 32)
    answer = suite.studies.sign_result(clinic, study.id, found)
    suite.studies.publish_result(study, fixed.cohort, found, answer, sender=researcher)
    return found


@pytest.fixture
def bounty(suite: MedProof, study: Study, token: Token, payer: LocalSigner) -> Bounty:
    """5 for each answer of a custodian, accepted for ten days."""
    until = datetime.fromtimestamp(suite.chain.timestamp() + 10 * DAY, UTC)
    return Bounty(payer.address, study.id, token.address, Payee.CUSTODIAN, token.units("5"), until)


@pytest.fixture
def shares(bounty: Bounty, token: Token) -> Bounty:
    """2.5 for each subject of a cohort."""
    return replace(bounty, payee=Payee.SUBJECTS, payment=token.units("2.5"))


def later(chain: Chain, days: int) -> None:
    rpc(chain, "evm_increaseTime", days * DAY)
    rpc(chain, "evm_mine")


def test_a_custodian_is_paid_once_and_what_is_left_goes_back(
    chain: Chain,
    incentives: Incentives,
    bounty: Bounty,
    token: Token,
    fixed: FixedCohort,
    result: Result,
    payer: LocalSigner,
    clinic: LocalSigner,
    stranger: LocalSigner,
) -> None:
    incentives.fund(bounty, token.units("20"), sender=payer)
    assert incentives.escrow(bounty.id) == Escrow(free=token.units("20"), due=0)
    assert [*incentives.bounties()] == [*incentives.bounties(study=bounty.study)] == [bounty]
    assert [*incentives.bounties(study=b"\x07" * 32)] == []
    assert incentives.bounty(bounty.id) == bounty
    answer = bounty.answer(fixed.cohort, result)
    assert answer == result.id
    with pytest.raises(AnswerNotAccepted):
        incentives.claim_answer(bounty, result, sender=clinic)
    with pytest.raises(FunderRequired):
        incentives.accept(bounty, fixed.cohort, result, sender=stranger)
    incentives.accept(bounty, fixed.cohort, result, sender=payer)
    assert incentives.is_accepted(bounty.id, answer)
    assert incentives.escrow(bounty.id) == Escrow(free=token.units("15"), due=token.units("5"))
    with pytest.raises(AnswerAccepted):
        incentives.accept(bounty, fixed.cohort, result, sender=payer)
    assert not incentives.is_paid(bounty.id, answer, clinic.address)
    incentives.claim_answer(bounty, result, to=stranger.address, sender=clinic)
    assert incentives.is_paid(bounty.id, answer, clinic.address)
    assert token.balance(stranger.address) == token.units("5")
    with pytest.raises(PaidAlready):
        incentives.claim_answer(bounty, result, sender=clinic)
    with pytest.raises(BountyOpen):
        incentives.refund(bounty, sender=payer)
    later(chain, 11)
    with pytest.raises(FunderRequired):
        incentives.refund(bounty, sender=stranger)
    incentives.refund(bounty, sender=payer)
    assert token.balance(payer.address) == SUPPLY - token.units("5")
    assert incentives.escrow(bounty.id) == Escrow(0, 0)
    with pytest.raises(NothingLeft):
        incentives.refund(bounty, sender=payer)


def test_subjects_are_paid_by_relayed_messages_and_need_no_ether(
    suite: MedProof,
    incentives: Incentives,
    shares: Bounty,
    token: Token,
    fixed: FixedCohort,
    result: Result,
    payer: LocalSigner,
    relayer: LocalSigner,
    stranger: LocalSigner,
    tmp_path: Any,
) -> None:
    incentives.fund(shares, token.units("7.5"), sender=payer)
    acceptance = incentives.sign_acceptance(payer, shares, fixed.cohort, result)
    assert acceptance.subject == payer.address
    suite.relay(SignedMessage.from_json(acceptance.to_json()), sender=relayer)
    assert shares.answer(fixed.cohort, result) == fixed.cohort.id
    queue = Relayer(suite, tmp_path / "queue.db", relayer)
    receivers = {}
    for number in (10, 11, 12):
        subject = funded(number)
        receivers[subject.address] = LocalSigner.from_key(bytes([number]) * 32).address
        membership = fixed.membership(subject.address)
        claim = incentives.sign_share_claim(subject, shares, membership, to=receivers[subject.address])
        assert claim.subject == subject.address
        queue.submit(SignedMessage.from_json(claim.to_json()))
    while queue.run_once(flush=True):
        pass
    fates = queue.fates()
    assert {(fate.state, fate.subject) for fate in fates} == {(State.CONFIRMED, one) for one in fixed.subjects}
    queue.close()
    assert {token.balance(one) for one in receivers.values()} == {token.units("2.5")}
    assert all(incentives.is_paid(shares.id, fixed.cohort.id, one) for one in fixed.subjects)
    again = incentives.sign_share_claim(funded(10), shares, fixed.membership(funded(10).address), to=stranger.address)
    with pytest.raises(PaidAlready):
        suite.relay(again, sender=relayer)
    assert incentives.escrow(shares.id) == Escrow(0, 0)


def test_a_copied_claim_pays_the_same_account(
    suite: MedProof,
    incentives: Incentives,
    shares: Bounty,
    token: Token,
    fixed: FixedCohort,
    result: Result,
    payer: LocalSigner,
    stranger: LocalSigner,
) -> None:
    incentives.fund(shares, token.units("7.5"), sender=payer)
    incentives.accept(shares, fixed.cohort, result, sender=payer)
    subject = funded(10)
    claim = incentives.sign_share_claim(subject, shares, fixed.membership(subject.address))
    *parts, to, deadline, signature = claim.arguments
    assert to == subject.address
    stolen = replace(claim, arguments=(*parts, stranger.address, deadline, signature))
    with pytest.raises(SignatureInvalid):
        suite.relay(stolen, sender=stranger)
    suite.relay(claim, sender=stranger)
    assert (token.balance(subject.address), token.balance(stranger.address)) == (token.units("2.5"), 0)


def test_who_has_nothing_to_claim(
    suite: MedProof,
    incentives: Incentives,
    bounty: Bounty,
    shares: Bounty,
    token: Token,
    fixed: FixedCohort,
    result: Result,
    payer: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    stranger: LocalSigner,
) -> None:
    incentives.fund(shares, token.units("5"), sender=payer)
    with pytest.raises(BountyShort):
        incentives.accept(shares, fixed.cohort, result, sender=payer)
    incentives.fund(shares, token.units("2.5"), sender=payer)
    invented = replace(result, commitment=b"\x0b" * 32)
    with pytest.raises(ResultUnknown):
        incentives.accept(shares, fixed.cohort, invented, sender=payer)
    incentives.accept(shares, fixed.cohort, result, sender=payer)
    membership = fixed.membership(funded(10).address)
    with pytest.raises(SubjectNotInCohort):
        incentives.claim_share(shares, replace(membership, subject=stranger.address), sender=stranger)
    incentives.claim_share(shares, membership, sender=funded(10))
    claim = incentives.sign_answer_claim(second_clinic, bounty, replace(result, custodian=second_clinic.address))
    assert claim.subject == second_clinic.address
    with pytest.raises(AnswerNotAccepted):
        suite.relay(SignedMessage.from_json(claim.to_json()), sender=stranger)
    with pytest.raises(MessageError, match="takes no signed message"):
        suite.relay(replace(claim, function="refund"), sender=stranger)
    with pytest.raises(BountyError, match=f"The bounty 0x{'07' * 32} was never funded"):
        incentives.bounty(b"\x07" * 32)


def test_times(
    chain: Chain,
    incentives: Incentives,
    bounty: Bounty,
    token: Token,
    fixed: FixedCohort,
    result: Result,
    payer: LocalSigner,
    clinic: LocalSigner,
) -> None:
    other = replace(bounty, payment=bounty.payment + 1)
    for one in (bounty, other):
        incentives.fund(one, token.units("10"), sender=payer)
    incentives.accept(bounty, fixed.cohort, result, sender=payer)
    assert incentives.claim_until(bounty) == bounty.accept_until + timedelta(days=180)
    later(chain, 11)
    with pytest.raises(AcceptanceOver):
        incentives.accept(other, fixed.cohort, result, sender=payer)
    incentives.refund(bounty, to=clinic.address, sender=payer)
    assert (token.balance(clinic.address), incentives.escrow(bounty.id).due) == (token.units("5"), token.units("5"))
    later(chain, 180)
    with pytest.raises(ClaimLate):
        incentives.claim_answer(bounty, result, sender=clinic)
    incentives.refund(bounty, sender=payer)
    assert incentives.escrow(bounty.id) == Escrow(0, 0)


def test_exactly_what_is_funded_is_approved(
    incentives: Incentives, bounty: Bounty, token: Token, payer: LocalSigner, stranger: LocalSigner
) -> None:
    token.approve(incentives.address, 1, sender=payer)
    incentives.fund(bounty, token.units("5"), sender=payer)
    assert token.allowance(payer.address, incentives.address) == 0
    token.approve(incentives.address, token.units("9"), sender=payer)
    incentives.fund(bounty, token.units("5"), sender=payer)
    assert token.allowance(payer.address, incentives.address) == token.units("4")
    assert incentives.escrow(bounty.id).free == token.units("10")
    send_token(token, stranger.address, 1, sender=payer)
    with pytest.raises(FunderRequired):
        incentives.fund(bounty, 1, sender=stranger)
    with pytest.raises(TokenError, match=r"0\.000000000000000001 DEMO, and 3 DEMO are to be put into"):
        incentives.fund(bounty, token.units("3"), sender=stranger)


def test_ids_are_those_of_the_contract(incentives: Incentives, bounty: Bounty, shares: Bounty) -> None:
    for one in (bounty, shares):
        assert incentives.chain.call(incentives.contract, "bountyId", (one.as_tuple(),)) == one.id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accept_until": datetime(2027, 1, 1)}, "Give a time with its zone"),
        ({"accept_until": datetime(2027, 1, 1, 0, 0, 0, 1, UTC)}, "in whole seconds"),
        ({"payment": 1 << 128}, "of 128 bits at most"),
        ({"payment": -1}, "of 128 bits at most"),
    ],
)
def test_what_no_bounty_is(bounty: Bounty, change: dict[str, Any], words: str) -> None:
    with pytest.raises(BountyError, match=words):
        replace(bounty, **change)


# -- tokens --------------------------------------------------------------------------------------------------------


def test_amounts_are_whole_units_shown_with_decimals(token: Token) -> None:
    assert (token.symbol, token.decimals) == ("DEMO", 18)
    for text, amount in (("1", 10**18), ("0.5", 5 * 10**17), ("2.50", 25 * 10**17), ("0.000000000000000001", 1)):
        assert token.units(text) == amount
    assert [token.shown(amount) for amount in (10**18, 25 * 10**17, 1, 0)] == [
        "1 DEMO",
        "2.5 DEMO",
        "0.000000000000000001 DEMO",
        "0 DEMO",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "1,5",
        "",
        " 1",
        "NaN",
        "Infinity",
        ".5",
        "1.",
        "0.0000000000000000001",
        "9" * 78,
        "\u0661",
    ],
)
def test_what_no_amount_is(token: Token, text: str) -> None:
    with pytest.raises(TokenError, match="has no amount"):
        token.units(text)


def test_what_no_token_is(chain: Chain, incentives: Incentives, bounty: Bounty, payer: LocalSigner) -> None:
    nowhere = Token(chain, payer.address)
    with pytest.raises(TokenError, match="is no contract"):
        nowhere.balance(payer.address)
    assert (nowhere.symbol, nowhere.decimals) == (payer.address, 0)
    assert nowhere.shown(5) == f"5 {payer.address}"
    with pytest.raises(TokenError, match="is no contract"):
        incentives.fund(replace(bounty, token=payer.address), 5, sender=payer)


@pytest.mark.parametrize(("symbol", "decimals"), [("\x1b[2J", 255), ("A B", 78), ("X" * 17, 78), ("€", 78), ("", 78)])
def test_a_token_that_says_strange_things_of_itself(
    token: Token, symbol: str, decimals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"symbol": symbol, "decimals": decimals}
    monkeypatch.setattr(token.chain, "call", lambda _, function, arguments, block: said[function])
    assert (token.symbol, token.decimals) == (token.address, 0)


def test_the_abi_is_the_standards() -> None:
    path = ROOT / "node_modules" / "@openzeppelin" / "contracts" / "build" / "contracts" / "IERC20Metadata.json"
    standard = {entry["name"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["abi"]}

    def shape(entry: Any) -> Any:
        types = [[one["type"] for one in entry[side]] for side in ("inputs", "outputs")]
        return types, entry["stateMutability"]

    assert {entry["name"]: shape(entry) for entry in ABI} == {
        entry["name"]: shape(standard[entry["name"]]) for entry in ABI
    }
