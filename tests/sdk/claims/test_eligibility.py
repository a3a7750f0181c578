"""Eligibility: the payer's signed answer, and every reason not to rely on one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from medproof import fhir
from medproof.anchoring import Anchorer, LeafLog
from medproof.chain import Chain
from medproof.claims import Code, Identifier
from medproof.claims.coverage import EligibilityRequest, EligibilityResponse
from medproof.claims.eligibility import REFUSALS, EligibilityAttestation, attest, verify, verify_anchored
from medproof.client import MedProof
from medproof.errors import ArgumentError, EligibilityError, EligibilityRefusedError, MedProofError
from medproof.leaf_proof import LeafProof
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL, rpc
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples
from tests.sdk.relayer.test_contract_wallets import Wallet

QUESTION = EligibilityRequest(
    number="52346",
    member=Identifier("urn:members", "M-77"),
    provider=Identifier("http://hl7.org/fhir/sid/us-npi", "1234567893"),
    payer=Identifier("urn:payers", "P-1"),
    asked=date(2026, 3, 1),
    start=date(2026, 3, 2),
    end=date(2026, 3, 2),
    services=(Code("https://x12.org/codes/service-type-codes", "30"),),
)
HOUR = timedelta(hours=1)


@pytest.fixture
def now(chain: Chain) -> datetime:
    """The chain's time, with a block of now."""
    rpc(chain, "evm_mine")
    return datetime.fromtimestamp(chain.timestamp(), UTC)


@pytest.fixture
def answer(suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime) -> EligibilityAttestation:
    return attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=now)


def refusal(
    suite: MedProof,
    answer: EligibilityAttestation,
    clinic: LocalSigner,
    now: datetime,
    *,
    question: EligibilityRequest = QUESTION,
    max_age: timedelta = HOUR,
) -> str:
    with pytest.raises(EligibilityRefusedError) as caught:
        verify(suite, answer, question, payer=answer.payer, provider=clinic.address, max_age=max_age, now=now)
    assert str(caught.value) == REFUSALS[caught.value.code]
    return caught.value.code


@pytest.mark.parametrize("covered", [True, False])
def test_answer_holds_and_travels_as_json(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime, covered: bool
) -> None:
    answer = attest(suite, payer, QUESTION, provider=clinic.address, covered=covered, now=now)
    came = EligibilityAttestation.from_json(answer.to_json())
    assert came == answer
    assert (came.covered, came.payer, came.made_at) == (covered, payer.address, int(now.timestamp()))
    verify(suite, came, QUESTION, payer=came.payer, provider=clinic.address, max_age=HOUR, now=now)


def test_nothing_of_the_question_is_readable_in_what_is_signed(answer: EligibilityAttestation) -> None:
    shown = json.dumps(answer.typed_data.as_dict(), default=bytes.hex) + repr(answer)
    assert not any(secret in shown for secret in ("M-77", "52346", "1234567893", "2026"))
    assert answer.salt.hex() not in shown


def test_two_answers_to_one_question_share_no_commitment(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    first, second = (attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=now) for _ in range(2))
    assert first.question != second.question
    assert first.leaf != second.leaf


@pytest.mark.parametrize(
    "other",
    [
        {"start": date(2026, 3, 3)},
        {"member": Identifier("urn:members", "M-78")},
        {"services": ()},
        {"number": "52347"},
        {"coverage": Identifier("urn:policies", "1")},
    ],
)
def test_answer_to_another_question_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime, other: dict[str, object]
) -> None:
    question = replace(QUESTION, **other)  # type: ignore[arg-type]
    assert refusal(suite, answer, clinic, now, question=question) == "QUESTION"


def test_answer_given_to_another_provider_is_refused(
    suite: MedProof, answer: EligibilityAttestation, second_clinic: LocalSigner, now: datetime
) -> None:
    assert refusal(suite, answer, second_clinic, now) == "PROVIDER"


def test_stale_answer_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime
) -> None:
    made = datetime.fromtimestamp(suite.chain.block(answer.block).timestamp, UTC)
    verify(suite, answer, QUESTION, payer=answer.payer, provider=clinic.address, max_age=HOUR, now=made + HOUR)
    assert refusal(suite, answer, clinic, made + HOUR + timedelta(seconds=1)) == "STALE"


def test_answer_that_claims_to_be_newer_than_its_block_is_as_old_as_the_block(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, chain: Chain, now: datetime
) -> None:
    later = now + timedelta(hours=2)
    answer = attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=later)
    assert refusal(suite, answer, clinic, later) == "STALE"


def test_answer_from_the_future_is_refused(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    ahead = attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=now + timedelta(seconds=301))
    assert refusal(suite, ahead, clinic, now) == "FUTURE"
    within = attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=now + timedelta(seconds=300))
    verify(suite, within, QUESTION, payer=within.payer, provider=clinic.address, max_age=HOUR, now=now)


def test_answer_that_the_payer_does_not_stand_by_any_more_is_refused(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    short = timedelta(minutes=10)
    answer = attest(suite, payer, QUESTION, provider=clinic.address, covered=True, lifetime=short, now=now)
    verify(
        suite,
        answer,
        QUESTION,
        payer=answer.payer,
        provider=clinic.address,
        max_age=HOUR,
        now=now + short - timedelta(seconds=1),
    )
    assert refusal(suite, answer, clinic, now + short) == "EXPIRED"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("covered", False),
        ("made_at", 1),
        ("block", 1),
        ("block_hash", bytes(32)),
        ("valid_until", 1 << 63),
        ("signature", bytes(65)),
        ("signature", b"\x01"),
    ],
)
def test_altered_answer_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime, member: str, value: object
) -> None:
    assert refusal(suite, replace(answer, **{member: value}), clinic, now) == "SIGNATURE"


def test_signature_in_its_other_form_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime
) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    r, s, v = answer.signature[:32], int.from_bytes(answer.signature[32:64], "big"), answer.signature[64]
    twin = r + (order - s).to_bytes(32, "big") + bytes([55 - v])
    assert refusal(suite, replace(answer, signature=twin), clinic, now) == "SIGNATURE"


def test_another_payers_signature_is_refused(
    suite: MedProof,
    answer: EligibilityAttestation,
    second_payer: LocalSigner,
    clinic: LocalSigner,
    stranger: LocalSigner,
    now: datetime,
) -> None:
    for other in (second_payer, stranger):
        forged = replace(answer, signature=other.sign_typed_data(answer.typed_data))
        assert refusal(suite, forged, clinic, now) == "SIGNATURE"


def test_answer_by_somebody_who_is_no_payer_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, stranger: LocalSigner, now: datetime
) -> None:
    for other in (clinic, stranger):
        unsigned = replace(answer, payer=other.address)
        forged = replace(unsigned, signature=other.sign_typed_data(unsigned.typed_data))
        assert refusal(suite, forged, clinic, now) == "PAYER"


def test_word_of_a_payer_that_was_not_asked_is_refused(
    suite: MedProof, payer: LocalSigner, second_payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    """Any payer can attest to any question: whose policies it is about only the provider knows."""
    answer = attest(suite, second_payer, QUESTION, provider=clinic.address, covered=True, now=now)
    with pytest.raises(EligibilityRefusedError) as caught:
        verify(suite, answer, QUESTION, payer=payer.address, provider=clinic.address, max_age=HOUR, now=now)
    assert caught.value.code == "ASKED"


def test_suspended_payers_answer_is_refused(
    suite: MedProof,
    answer: EligibilityAttestation,
    payer: LocalSigner,
    clinic: LocalSigner,
    admin: LocalSigner,
    now: datetime,
) -> None:
    suite.registrar.suspend(payer.address, sender=admin)
    assert refusal(suite, answer, clinic, now) == "SUSPENDED"
    with pytest.raises(ArgumentError, match="acts for no active payer"):
        attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=now)
    suite.registrar.reinstate(payer.address, sender=admin)
    verify(suite, answer, QUESTION, payer=answer.payer, provider=clinic.address, max_age=HOUR, now=now)


def test_answer_of_a_payer_whose_accreditation_is_over_is_refused(
    suite: MedProof,
    answer: EligibilityAttestation,
    payer: LocalSigner,
    clinic: LocalSigner,
    admin: LocalSigner,
    now: datetime,
) -> None:
    suite.registrar.renew(payer.address, credential=CREDENTIAL, valid_until=now.date(), sender=admin)
    verify(suite, answer, QUESTION, payer=answer.payer, provider=clinic.address, max_age=HOUR, now=now)
    rpc(suite.chain, "evm_mine", int((now + timedelta(days=2)).timestamp()))
    assert refusal(suite, answer, clinic, now) == "SUSPENDED"


def test_removed_payers_answer_is_refused(
    suite: MedProof,
    answer: EligibilityAttestation,
    payer: LocalSigner,
    clinic: LocalSigner,
    admin: LocalSigner,
    now: datetime,
) -> None:
    suite.registrar.remove(payer.address, sender=admin)
    assert refusal(suite, answer, clinic, now) == "PAYER"


def test_answer_by_a_rotated_account_is_refused_and_the_new_ones_counts(
    suite: MedProof,
    answer: EligibilityAttestation,
    payer: LocalSigner,
    clinic: LocalSigner,
    fresh_account: LocalSigner,
    now: datetime,
) -> None:
    suite.registrar.offer_account(fresh_account.address, sender=payer)
    suite.registrar.take_account(payer.address, sender=fresh_account)
    assert refusal(suite, answer, clinic, now) == "ROTATED"
    backdated = replace(answer, signature=payer.sign_typed_data(replace(answer, covered=False).typed_data))
    assert refusal(suite, replace(backdated, covered=False), clinic, now) == "ROTATED"
    again = attest(suite, fresh_account, QUESTION, provider=clinic.address, covered=True, now=now)
    assert again.payer == payer.address
    verify(suite, again, QUESTION, payer=again.payer, provider=clinic.address, max_age=HOUR, now=now)


def test_contract_wallet_attests_as_long_as_it_stands_by_it(
    suite: MedProof,
    clinic: LocalSigner,
    admin: LocalSigner,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
    far_day: date,
    now: datetime,
) -> None:
    wallet = Wallet(suite, fresh_account, stranger)
    registrar = suite.registrar
    registrar.accredit(wallet.address, PartyKind.PAYER, credential=CREDENTIAL, valid_until=far_day, sender=admin)
    answer = attest(suite, wallet, QUESTION, provider=clinic.address, covered=True, now=now)
    verify(suite, answer, QUESTION, payer=answer.payer, provider=clinic.address, max_age=HOUR, now=now)
    assert refusal(suite, replace(answer, covered=False), clinic, now) == "SIGNATURE"
    wallet.feel("wrong")
    assert refusal(suite, answer, clinic, now) == "SIGNATURE"


@pytest.mark.parametrize("change", ["hash", "number", "before"])
def test_answer_that_names_no_block_of_the_chain_before_it_is_refused(
    suite: MedProof,
    answer: EligibilityAttestation,
    payer: LocalSigner,
    clinic: LocalSigner,
    now: datetime,
    change: str,
) -> None:
    stated = suite.chain.block(answer.block)
    changes = {
        "hash": {"block_hash": b"\x01" * 32},
        "number": {"block": 1 << 60},
        "before": {"made_at": stated.timestamp - 1},
    }[change]
    unsigned = replace(answer, **changes)  # type: ignore[arg-type]
    signed = replace(unsigned, signature=payer.sign_typed_data(unsigned.typed_data))
    assert refusal(suite, signed, clinic, now) == "BLOCK"


def test_answer_of_another_chain_or_registrar_is_refused(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime
) -> None:
    for changes in ({"chain_id": 1}, {"registrar": suite.batch_anchor.address}):
        assert refusal(suite, replace(answer, **changes), clinic, now) == "CHAIN"  # type: ignore[arg-type]


def test_salt_of_zeros_answers_no_question(
    suite: MedProof, answer: EligibilityAttestation, clinic: LocalSigner, now: datetime
) -> None:
    assert refusal(suite, replace(answer, salt=bytes(32)), clinic, now) == "QUESTION"


def test_only_a_payer_attests_and_not_for_no_time(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    with pytest.raises(ArgumentError, match="acts for no active payer"):
        attest(suite, clinic, QUESTION, provider=clinic.address, covered=True, now=now)
    with pytest.raises(ArgumentError, match="over before it begins"):
        attest(suite, payer, QUESTION, provider=clinic.address, covered=True, lifetime=timedelta(0), now=now)
    with pytest.raises(ArgumentError, match="names no zone"):
        attest(suite, payer, QUESTION, provider=clinic.address, covered=True, now=datetime(2026, 3, 1))


def test_a_text_that_is_no_attestation_is_refused_by_its_member(answer: EligibilityAttestation) -> None:
    said = json.loads(answer.to_json())
    bad: list[tuple[str, object]] = [
        ("", "{"),
        ("", "[]"),
        ("", " " * 20_000),
        ("", json.dumps({**said, "more": 1})),
        ("format", json.dumps({**said, "format": "else"})),
        ("version", json.dumps({**said, "version": 2})),
        *((name, json.dumps({**said, name: None})) for name in said if name not in ("format", "version")),
        ("payer", json.dumps({**said, "payer": said["payer"].lower()})),
        ("covered", json.dumps({**said, "covered": 1})),
        ("madeAt", json.dumps({**said, "madeAt": -1})),
        ("salt", json.dumps({**said, "salt": said["salt"][:-2]})),
        ("signature", json.dumps({**said, "signature": "0x" + "00" * 3000})),
    ]
    for member, text in bad:
        with pytest.raises(EligibilityError) as caught:
            EligibilityAttestation.from_json(str(text))
        assert caught.value.field == member, text
    whole = answer.to_json()
    for length in range(0, len(whole) - 1, 37):  # truncated anywhere
        with pytest.raises(EligibilityError):
            EligibilityAttestation.from_json(whole[:length])


def test_payer_shows_by_its_log_when_it_had_answered(
    suite: MedProof, answer: EligibilityAttestation, payer: LocalSigner, tmp_path: Path
) -> None:
    log = LeafLog(tmp_path / "answers.db", number=5)
    index = log.append(answer.leaf)
    Anchorer(suite, log, payer, trouble=_raise).work()
    proof = LeafProof(
        suite.chain.chain_id,
        suite.batch_anchor.address,
        payer.address,
        5,
        answer.leaf,
        index,
        log.size,
        log.root(),
        log.inclusion_proof(index),
    )
    batch = verify_anchored(suite, answer, proof)
    assert (batch.number, batch.size) == (1, 1)
    assert suite.chain.timestamp(batch.block) >= answer.made_at
    for wrong in (
        replace(answer, covered=False),  # another answer has another leaf
        replace(answer, payer=suite.registrar.address),
    ):
        with pytest.raises(EligibilityError, match="payer's log"):
            verify_anchored(suite, wrong, proof)
    with pytest.raises(EligibilityError, match="no batch"):
        verify_anchored(suite, answer, replace(proof, size=2))
    log.close()


@needs_examples
def test_fhir_question_is_answered_in_fhir(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, now: datetime
) -> None:
    asked = fhir.load(EXAMPLES / "CoverageEligibilityRequest-52346.json")
    question = fhir.read_eligibility_request(asked)
    assert question.start == date(2014, 9, 17)
    answer = attest(suite, payer, question, provider=clinic.address, covered=True, now=now)
    response = EligibilityResponse(question.number, question.payer, now.date(), True, answer.to_json())
    came = fhir.read_eligibility_response(fhir.load(fhir.render_eligibility_response(asked, response)))
    assert came == response
    assert came.attestation is not None
    attestation = EligibilityAttestation.from_json(came.attestation)
    verify(suite, attestation, question, payer=attestation.payer, provider=clinic.address, max_age=HOUR, now=now)


def _raise(error: MedProofError) -> None:
    raise error
