"""Evidence of a study: what `Studies.mayUse` says of each subject, and the cohort that the chain knows by one hash."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.studies import Study, StudyState, Use
from medproof.errors import EvidenceError
from medproof.evidence.consent import ProvedDecision
from medproof.evidence.consent_file import ProvedConsents, verify_consents
from medproof.evidence.consent_prover import ConsentProver
from medproof.policy.evaluation import Reason
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.studies.conftest import TakingPart, cohort_now

SUBJECTS = (6, 10, 11, 12, 13)


def proved(suite: MedProof, study: Study, subjects: list[str], block: int) -> tuple[ProvedConsents, list[bytes]]:
    """What evidence shows of a study, held against the contract."""
    found: list[ProvedDecision] = []
    lines = list(ConsentProver.of_study(suite, study.id, block=block).lines(subjects))
    shown = verify_consents(lines, [suite.chain.block(block).hash], each=found.append)
    assert len(found) == len(subjects)
    for one in found:
        said = suite.studies.may_use(study.id, one.subject, block=block)
        assert (one.use, shown.state, one.reason) == (said.use, said.state, said.consent)
        assert one.permitted == said.permitted
    assert (shown.study, shown.request, shown.subjects) == (study.id, study.asks, len(subjects))
    return shown, lines


@pytest.fixture
def subjects(taking_part: TakingPart) -> list[str]:
    """Three who take part and permit it, one who only permits it, one who only takes part."""
    options: tuple[dict[str, bool], ...] = ({}, {}, {}, {"opts_in": False}, {"permits": False})
    return [taking_part(number, **more).address for number, more in zip(SUBJECTS, options, strict=True)]


def test_what_the_contract_says_of_each(
    suite: MedProof, study: Study, subjects: list[str], researcher: LocalSigner
) -> None:
    open_at = suite.chain.block_number()
    shown, _ = proved(suite, study, subjects, open_at)
    assert dict(shown.uses) == {Use.PERMITTED: 3, Use.NOT_OPTED_IN: 1, Use.NO_CONSENT: 1}
    assert (shown.permitted, shown.account) == (3, researcher.address)

    suite.studies.close(study.id, sender=researcher)
    closed, _ = proved(suite, study, subjects, suite.chain.block_number())
    assert (closed.state, dict(closed.uses)) == (StudyState.CLOSED, {Use.STUDY_NOT_OPEN: 5})
    assert (closed.permitted, closed.cohort) == (0, None)
    assert proved(suite, study, subjects, open_at)[0] == shown


def test_a_study_that_is_over(suite: MedProof, study: Study, subjects: list[str]) -> None:
    rpc(suite.chain, "evm_increaseTime", int(timedelta(days=400).total_seconds()))
    rpc(suite.chain, "evm_mine")
    shown, _ = proved(suite, study, subjects, suite.chain.block_number())
    assert shown.state is StudyState.OVER


def test_the_cohort_is_the_one_that_the_chain_knows(
    suite: MedProof, study: Study, subjects: list[str], researcher: LocalSigner
) -> None:
    block, fixed = suite.chain.block(), cohort_now(suite, study)
    suite.studies.fix_cohort(fixed.cohort, sender=researcher)
    shown, _ = proved(suite, study, subjects, block.number)
    assert shown.cohort == fixed.cohort
    assert suite.studies.cohort_fixed(shown.cohort.id) is not None
    fewer, _ = proved(suite, study, [one for one in subjects if one != fixed.subjects[0]], block.number)
    assert fewer.cohort is not None
    assert suite.studies.cohort_fixed(fewer.cohort.id) is None


def altered(lines: list[bytes], place: int, **more: Any) -> list[bytes]:
    said = [json.loads(line) for line in lines]
    said[place] |= more
    return [json.dumps(one).encode() for one in said]


def test_what_is_altered_is_named(suite: MedProof, study: Study, subjects: list[str], clinic: LocalSigner) -> None:
    _, lines = proved(suite, study, subjects, suite.chain.block_number())
    said = [json.loads(line) for line in lines]
    request = {**said[0]["request"], "classes": ["laboratory"]}
    contracts = {name: one for name, one in said[0]["contracts"].items() if name != "Studies"}
    row = next(place for place, one in enumerate(said) if one.get("use") == "NOT_OPTED_IN")
    for place, more, why in (
        (0, {"request": request}, "request is not the study's"),
        (0, {"study": "0x" + "11" * 32}, "study 0x1111"),
        (0, {"study": None}, "contracts has members that are not known"),
        (0, {"study": None, "contracts": contracts}, "has a node 0x"),
        (0, {"contracts": contracts}, "contracts.Studies is missing"),
        (0, {"account": clinic.address}, "is missing"),
        (row, {"use": "PERMITTED"}, "is PERMITTED, PERMITTED by 0x"),
        (row, {"use": None}, "and the state says NOT_OPTED_IN"),
        (row, {"use": "MAYBE"}, "use is none that is known here"),
        (row, {"reason": "NO_RULE"}, "is NOT_OPTED_IN, NO_RULE"),
        (row, {"nodes": said[row]["nodes"][:-1]}, "is missing"),
    ):
        with pytest.raises(EvidenceError, match=why):
            verify_consents(altered(lines, place, **more))


def test_what_no_evidence_is_made_of(
    suite: MedProof, study: Study, subjects: list[str], admin: LocalSigner, researcher: LocalSigner, clinic: LocalSigner
) -> None:
    with pytest.raises(EvidenceError, match=r"study 0x.* is not registered in that block"):
        ConsentProver(suite, researcher.address, study.asks, study=b"\x11" * 32)
    with pytest.raises(EvidenceError, match=r"account is 0x.*, which does not act for the study's researcher"):
        ConsentProver(suite, clinic.address, study.asks, study=study.id)
    with pytest.raises(EvidenceError, match="request is not the study's"):
        ConsentProver(suite, researcher.address, replace(study.asks, data_from=study.first_day), study=study.id)
    suite.registrar.suspend(researcher.address, sender=admin)
    shown, _ = proved(suite, study, subjects, suite.chain.block_number())  # suspended, it is a party, and has no access
    assert dict(shown.reasons) == {Reason.INACTIVE_PARTY: 5}
    suite.registrar.remove(researcher.address, sender=admin)
    with pytest.raises(EvidenceError, match=f"{researcher.address} was no party in block"):
        ConsentProver.of_study(suite, study.id)
