"""The Studies' client: a study's life, choices by signed messages, cohorts, results."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import Agreement, SignedMessage
from medproof.client.studies import Choice, Result, Studies, Study, StudyState, Use
from medproof.contract_errors import (
    BlockNotPast,
    ChoiceStale,
    CohortExists,
    CohortUnknown,
    CustodianNotNamed,
    DelegateScopeMissing,
    MessageExpired,
    RequestNotResearch,
    ResearcherRequired,
    ResultExists,
    SignatureInvalid,
    StudyExists,
    StudyNotReady,
)
from medproof.errors import FixedCohortError, MessageError, NodeError, StudyError
from medproof.fixed_cohort import FixedCohort, leaf_of
from medproof.messages import MESSAGE_TYPES
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.evaluation import Reason
from medproof.policy.study import StudyDocument
from medproof.policy.word import Rule
from medproof.relayer import Relayer, State
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from scripts.local_chain import ROOT
from tests.sdk.conftest import funded, rpc
from tests.sdk.studies.conftest import TakingPart, cohort_now
from tests.sdk.studies.examples import document


def test_a_study_is_registered_read_and_closed(
    studies: Studies, study: Study, protocol: StudyDocument, researcher: LocalSigner, admin: LocalSigner
) -> None:
    assert [*studies.studies()] == [study]
    assert [*studies.studies(researcher=researcher.address)] == [study]
    assert [*studies.studies(researcher=admin.address)] == []
    assert studies.study(study.id) == study
    assert study.asks == replace(protocol.request, **_filled(study))
    assert study.differences(protocol) == ()
    assert study.differences(replace(protocol, title="Another")) == ("protocol",)
    assert studies.state(study.id) is StudyState.OPEN
    with pytest.raises(StudyExists):
        studies.register(study, sender=researcher)
    with pytest.raises(ResearcherRequired):
        studies.close(study.id, sender=admin)
    studies.close(study.id, sender=researcher)
    assert studies.state(study.id) is StudyState.CLOSED
    studies.withdraw_approval(study.id, sender=admin)
    assert studies.state(study.id) is StudyState.APPROVAL_WITHDRAWN
    assert [event.name for event in studies.history(study.id)] == [
        "StudyRegistered",
        "StudyClosed",
        "ApprovalWithdrawn",
    ]
    with pytest.raises(StudyError, match=f"0x{'07' * 32} is not registered"):
        studies.study(b"\x07" * 32)


def _filled(study: Study) -> dict[str, Any]:
    """The fields that a document leaves to be filled in."""
    asks = study.asks
    return {name: getattr(asks, name) for name in ("conditions", "sensitivities", "settings", "actions")}


def test_ids_are_those_of_the_contract(studies: Studies, study: Study, fixed: FixedCohort, clinic: LocalSigner) -> None:
    result = Result(fixed.cohort.id, clinic.address, b"\x09" * 32)
    call, contract = studies.chain.call, studies.contract
    assert call(contract, "studyId", (study.as_tuple(),)) == study.id
    assert call(contract, "cohortId", (fixed.cohort.as_tuple(),)) == fixed.cohort.id
    assert call(contract, "resultId", (result.as_tuple(),)) == result.id
    subject = fixed.subjects[1]
    assert call(contract, "leafOf", (study.id, subject)) == leaf_of(study.id, subject)


def test_a_study_is_planned_open_and_over(
    chain: Chain, studies: Studies, protocol: StudyDocument, researcher: LocalSigner
) -> None:
    today = datetime.fromtimestamp(chain.timestamp(), UTC).date()
    study = Study.of(replace(protocol, starts=today + timedelta(days=1), ends=today + timedelta(days=1)))
    studies.register(study, sender=researcher)
    for state in (StudyState.PLANNED, StudyState.OPEN, StudyState.OVER):
        assert studies.state(study.id) is state
        rpc(chain, "evm_increaseTime", 86400)
        rpc(chain, "evm_mine")
    assert studies.state(b"\x07" * 32) is StudyState.UNKNOWN
    assert StudyState.APPROVAL_WITHDRAWN.plain == "approval withdrawn"


def test_what_no_study_asks(studies: Studies, study: Study, researcher: LocalSigner) -> None:
    with pytest.raises(RequestNotResearch):
        studies.register(replace(study, request=0), sender=researcher)


def test_a_subject_opts_in_and_out_by_relayed_messages(
    suite: MedProof, studies: Studies, study: Study, relayer: LocalSigner
) -> None:
    """The subject holds no ether, and never sends anything."""
    wallet, _ = Wallet.create()
    subject = wallet.pseudonym(study.custodians[0])
    assert studies.choice(study.id, subject.address) is None
    joining = studies.sign_opt_in(subject, study)
    receipt = suite.relay(SignedMessage.from_json(joining.to_json()), sender=relayer)
    joined = datetime.fromtimestamp(suite.chain.timestamp(receipt.block), UTC)
    choice = studies.choice(study.id, subject.address)
    assert choice == Choice(True, 1, (joined,))
    assert (choice.at(joined), choice.at(joined - timedelta(seconds=1))) == (True, False)
    assert studies.participants(study.id) == (subject.address,)
    with pytest.raises(ChoiceStale):
        suite.relay(joining, sender=relayer)
    rpc(suite.chain, "evm_increaseTime", 60)
    leaving = studies.sign_opt_out(subject, study.id)
    suite.relay(SignedMessage.from_json(leaving.to_json()), sender=relayer)
    left = studies.choice(study.id, subject.address)
    assert left is not None
    assert (left.opted_in, left.sequence, len(left.changes)) == (False, 2, 2)
    assert left.at(joined) is True
    assert studies.participants(study.id) == ()
    assert studies.participants(study.id, block=receipt.block) == (subject.address,)
    assert joining.subject == leaving.subject == subject.address
    assert suite.chain.balance(subject.address) == 0


def test_what_is_missing_is_said(
    studies: Studies, study: Study, taking_part: TakingPart, researcher: LocalSigner
) -> None:
    verdicts = []
    for number, permits, opts_in in ((10, True, True), (11, True, False), (12, False, True)):
        subject = taking_part(number, permits=permits, opts_in=opts_in).address
        found = studies.may_use(study.id, subject)
        verdicts.append((found.use, found.consent, found.permitted))
    assert verdicts == [
        (Use.PERMITTED, Reason.PERMITTED, True),
        (Use.NOT_OPTED_IN, Reason.PERMITTED, False),
        (Use.NO_CONSENT, Reason.NO_RULE, False),
    ]
    open_until = studies.chain.block_number()
    studies.close(study.id, sender=researcher)
    over = studies.may_use(study.id, funded(10).address)
    assert (over.use, over.state) == (Use.STUDY_NOT_OPEN, StudyState.CLOSED)
    assert studies.may_use(study.id, funded(10).address, block=open_until).permitted
    asked: list[tuple[int, int]] = []
    found = studies.permitted(study.id, block=open_until, progress=lambda done, of: asked.append((done, of)))
    assert (found, asked) == ((funded(10).address,), [(2, 2)])


def test_an_opt_out_beats_an_opt_in_that_is_on_its_way(
    suite: MedProof, studies: Studies, study: Study, relayer: LocalSigner
) -> None:
    subject = funded(10)
    joining = studies.sign_opt_in(subject, study)
    with pytest.raises(StudyError, match="Nothing needs doing; name a sequence"):
        studies.sign_opt_out(subject, study.id)
    suite.relay(studies.sign_opt_out(subject, study.id, sequence=7), sender=relayer)
    with pytest.raises(ChoiceStale):
        suite.relay(joining, sender=relayer)
    suite.relay(studies.sign_opt_out(subject, study.id, sequence=65535), sender=relayer)
    with pytest.raises(StudyError, match="who has left it for good"):
        studies.sign_opt_in(subject, study)
    with pytest.raises(StudyError, match="Nothing needs doing"):
        studies.opt_out(study.id, sender=subject)


def test_opting_out_is_possible_after_the_end(
    suite: MedProof, studies: Studies, study: Study, taking_part: TakingPart, researcher: LocalSigner
) -> None:
    subject = taking_part(10)
    studies.close(study.id, sender=researcher)
    with pytest.raises(StudyNotReady):
        studies.opt_in(study, sender=funded(11))
    studies.opt_out(study.id, sender=subject)
    assert studies.participants(study.id) == ()


def test_a_delegate_and_a_stranger(
    suite: MedProof, studies: Studies, study: Study, permit: Rule, relayer: LocalSigner, stranger: LocalSigner
) -> None:
    subject, steward = funded(10), funded(11)
    delegation = Delegation(DelegateKind.STEWARD, Scope.GRANT | Scope.REVOKE, permit.valid_from, None)
    suite.delegations.delegate(steward.address, delegation, sender=subject)
    suite.relay(studies.sign_opt_in(steward, study, subject=subject.address), sender=relayer)
    assert studies.participants(study.id) == (subject.address,)
    with pytest.raises(SignatureInvalid):
        suite.relay(studies.sign_opt_out(stranger, study.id, subject=subject.address), sender=relayer)
    with pytest.raises(DelegateScopeMissing):
        studies.opt_out(study.id, subject=subject.address, sender=stranger)
    studies.opt_out(study.id, subject=subject.address, sender=steward)
    assert studies.participants(study.id) == ()


def test_a_message_is_for_what_the_study_asks_alone(
    suite: MedProof, studies: Studies, study: Study, relayer: LocalSigner
) -> None:
    """Whoever shows a subject another request than the study's gets a signature of no use."""
    subject = funded(10)
    for change in (
        {"request": study.request ^ 1 << 150},
        {"researcher": relayer.address},
        {"last_day": study.last_day - timedelta(days=1)},
    ):
        shown = replace(study, **change)  # type: ignore[arg-type]
        message = studies.sign_opt_in(subject, shown)
        forged = replace(message, arguments=(subject.address, study.id, *message.arguments[2:]))
        with pytest.raises((SignatureInvalid, DelegateScopeMissing)):
            suite.relay(forged, sender=relayer)


def test_a_message_counts_on_its_chain_and_in_its_time(
    chain: Chain, suite: MedProof, studies: Studies, study: Study, relayer: LocalSigner
) -> None:
    subject = funded(10)
    message = studies.sign_opt_in(subject, study, lifetime=5)
    with pytest.raises(MessageError, match="on chain 7"):
        suite.relay(replace(message, chain_id=7), sender=relayer)
    with pytest.raises(MessageError, match="no signature"):
        suite.relay(replace(message, arguments=(*message.arguments[:-1], b"")), sender=relayer)
    with pytest.raises(MessageError, match="takes no signed message"):
        suite.relay(replace(message, function="fixCohort"), sender=relayer)
    rpc(chain, "evm_increaseTime", 60)
    rpc(chain, "evm_mine")
    with pytest.raises(MessageExpired):
        suite.relay(message, sender=relayer)


def test_the_relayer_takes_the_choices_of_many_at_once(
    suite: MedProof, studies: Studies, study: Study, relayer: LocalSigner, tmp_path: Path
) -> None:
    queue = Relayer(suite, tmp_path / "queue.db", relayer)
    wallet, _ = Wallet.create()
    subjects = [wallet.pseudonym(study.custodians[0], relationship=number) for number in range(4)]
    ids = [queue.submit(studies.sign_opt_in(subject, study)) for subject in subjects]
    assert queue.submit(studies.sign_opt_out(subjects[0], study.id, sequence=2)) not in ids
    while queue.run_once(flush=True):
        pass
    fates = queue.fates()
    assert {fate.state for fate in fates} == {State.CONFIRMED}
    assert {fate.subject for fate in fates} == {one.address for one in subjects}
    assert set(studies.participants(study.id)) == {one.address for one in subjects[1:]}
    queue.close()


def test_a_cohort_is_fixed_and_each_member_has_its_proof(
    suite: MedProof,
    studies: Studies,
    study: Study,
    fixed: FixedCohort,
    taking_part: TakingPart,
    researcher: LocalSigner,
) -> None:
    assert fixed.subjects == tuple(sorted((funded(n).address for n in (10, 11, 12)), key=str.lower))
    [record] = studies.cohorts(study.id)
    assert (record.cohort, record.block_checked) == (fixed.cohort, True)
    assert studies.cohort_fixed(fixed.cohort.id) == datetime.fromtimestamp(suite.chain.timestamp(record.fixed), UTC)
    assert studies.cohort_fixed(b"\x07" * 32) is None
    for subject in fixed.subjects:
        assert studies.in_cohort(fixed.membership(subject))
    with pytest.raises(CohortExists):
        studies.fix_cohort(fixed.cohort, sender=researcher)
    left = fixed.membership(funded(10).address)
    rpc(suite.chain, "evm_increaseTime", 60)
    studies.opt_out(study.id, sender=funded(10))
    assert studies.in_cohort(left), "who leaves later was in it"
    forged = replace(left, subject=fixed.membership(funded(11).address).subject)
    assert not studies.in_cohort(forged)
    with pytest.raises(FixedCohortError):
        forged.verify()


def test_whom_a_researcher_puts_into_a_cohort_is_no_member_by_that(
    suite: MedProof, studies: Studies, study: Study, taking_part: TakingPart, researcher: LocalSigner
) -> None:
    joined, never = taking_part(10), taking_part(11, opts_in=False)
    honest = cohort_now(suite, study)
    assert honest.subjects == (joined.address,)
    padded = FixedCohort.of(
        [joined.address, never.address],
        chain_id=honest.chain_id,
        studies=honest.studies,
        study=study.id,
        block=honest.block,
        block_hash=honest.block_hash,
    )
    studies.fix_cohort(padded.cohort, sender=researcher)
    assert studies.in_cohort(padded.membership(joined.address))
    assert not studies.in_cohort(padded.membership(never.address))


def test_what_cannot_be_fixed(
    suite: MedProof,
    studies: Studies,
    study: Study,
    taking_part: TakingPart,
    researcher: LocalSigner,
    clinic: LocalSigner,
) -> None:
    taking_part(10)
    cohort = cohort_now(suite, study).cohort
    for change in ({"block_hash": b"\x07" * 32}, {"block": cohort.block + 1000}):
        with pytest.raises(BlockNotPast):
            studies.fix_cohort(replace(cohort, **change), sender=researcher)  # type: ignore[arg-type]
    with pytest.raises(ResearcherRequired):
        studies.fix_cohort(cohort, sender=clinic)
    studies.close(study.id, sender=researcher)
    with pytest.raises(StudyNotReady):
        studies.fix_cohort(cohort, sender=researcher)


def test_a_custodians_answer_is_published_once(
    suite: MedProof, studies: Studies, study: Study, fixed: FixedCohort, researcher: LocalSigner, clinic: LocalSigner
) -> None:
    result = Result(fixed.cohort.id, clinic.address, b"\x09" * 32)
    answer = studies.sign_result(clinic, study.id, result)
    assert studies.result_published(result.id) is None
    with pytest.raises(SignatureInvalid):
        studies.publish_result(study, fixed.cohort, replace(result, commitment=b"\x0a" * 32), answer, sender=researcher)
    with pytest.raises(ResearcherRequired):
        studies.publish_result(study, fixed.cohort, result, answer, sender=clinic)
    published = studies.publish_result(study, fixed.cohort, result, answer, sender=researcher)
    assert studies.results(study.id) == (result,)
    moment = datetime.fromtimestamp(suite.chain.timestamp(published.block), UTC)
    assert studies.result_published(result.id) == moment
    with pytest.raises(ResultExists):
        studies.publish_result(study, fixed.cohort, result, answer, sender=researcher)


def test_what_cannot_be_published(
    studies: Studies,
    study: Study,
    fixed: FixedCohort,
    researcher: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
) -> None:
    result = Result(fixed.cohort.id, payer.address, b"\x09" * 32)
    answer = studies.sign_result(payer, study.id, result)
    with pytest.raises(CustodianNotNamed):
        studies.publish_result(study, fixed.cohort, result, answer, sender=researcher)
    unknown = replace(fixed.cohort, root=b"\x07" * 32)
    mine = Result(unknown.id, clinic.address, b"\x09" * 32)
    with pytest.raises(CohortUnknown):
        studies.publish_result(study, unknown, mine, studies.sign_result(clinic, study.id, mine), sender=researcher)
    with pytest.raises(Exception, match="StepNotYours"):
        studies.publish_result(study, fixed.cohort, replace(result, custodian=clinic.address), sender=researcher)
    forged = Agreement(answer.deadline, bytes(65))
    with pytest.raises(SignatureInvalid):
        studies.publish_result(
            study, fixed.cohort, Result(fixed.cohort.id, clinic.address, b"\x09" * 32), forged, sender=researcher
        )


def test_what_is_signed_is_what_the_contracts_hash() -> None:
    for contract, names in (("Studies", ("OptIn", "OptOut", "Result")), ("Incentives", ("ResultAcceptance", "Payout"))):
        source = (ROOT / "contracts" / f"{contract}.sol").read_text(encoding="utf-8").replace('"\n        "', "")
        for name in names:
            assert f'"{name}({MESSAGE_TYPES[name]})"' in source
    build = json.loads((ROOT / "medproof" / "abi" / "Studies.json").read_text(encoding="utf-8"))
    events = {item["name"] for item in build["abi"] if item["type"] == "event"}
    assert events >= {"StudyRegistered", "OptedIn", "OptedOut", "CohortFixed", "ResultPublished", "StudyClosed"}


def test_another_document_is_another_study() -> None:
    first = Study.of(document())
    assert Study.of(document(title="Another")).id != first.id
    assert Study.of(document()).id == first.id


@pytest.mark.parametrize("answer", ["0x", "0x1", "", None, 7, "0x" + "0" * 63 + "2", "no"])
def test_a_node_that_says_neither_yes_nor_no(
    studies: Studies, study: Study, taking_part: TakingPart, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking_part(10)
    monkeypatch.setattr(Chain, "ask", lambda self, questions: [answer for _ in questions])
    with pytest.raises(NodeError, match="gave no yes or no"):
        studies.permitted(study.id, block=studies.chain.block_number())


def test_a_node_that_shows_another_study_under_the_id(
    studies: Studies, study: Study, protocol: StudyDocument, researcher: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Study.of(replace(protocol, title="Another"))
    studies.register(other, sender=researcher)
    shown = [event for event in studies.history(other.id) if event.name == "StudyRegistered"]
    monkeypatch.setattr(Studies, "events", lambda self, name, filters: iter(shown))
    with pytest.raises(StudyError, match="is not registered"):
        studies.study(study.id)


def test_a_subject_finds_its_choices(
    suite: MedProof,
    studies: Studies,
    study: Study,
    protocol: StudyDocument,
    researcher: LocalSigner,
    taking_part: TakingPart,
) -> None:
    other = Study.of(replace(protocol, title="Another"))
    studies.register(other, sender=researcher)
    subject = taking_part(10)
    studies.opt_in(other, sender=subject)
    studies.opt_out(study.id, sender=subject)
    assert studies.choices(subject.address) == {study.id: False, other.id: True}
    assert studies.choices(funded(11).address) == {}


def test_a_choice_knows_its_last_five_changes() -> None:
    """As `Studies.inCohort` reads them: what lies before counts as no."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = [begin + timedelta(hours=hour) for hour in range(7)]  # in at 0, out at 1, in at 2, …
    choice = Choice(True, 7, tuple(reversed(times[-5:])))
    said = [choice.at(moment) for moment in times]
    assert said == [False, False, True, False, True, False, True]
    assert choice.at(times[-1] - timedelta(seconds=1)) is False
    assert Choice(False, 1, ()).at(begin) is False
