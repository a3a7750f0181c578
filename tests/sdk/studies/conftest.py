"""A study on the chain, people who may take part in it, and a token that pays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.studies import Studies, Study
from medproof.client.token import Token
from medproof.fixed_cohort import FixedCohort
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.study import StudyDocument
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.demo_token import deploy_token
from tests.sdk.conftest import funded
from tests.sdk.studies.examples import document

TakingPart = Callable[..., LocalSigner]


@pytest.fixture
def studies(suite: MedProof) -> Studies:
    return suite.studies


@pytest.fixture
def protocol(chain: Chain, researcher: LocalSigner, clinic: LocalSigner, second_clinic: LocalSigner) -> StudyDocument:
    """The study's document, for a year from yesterday."""
    today = datetime.fromtimestamp(chain.timestamp(), UTC).date()
    return document(
        researcher=researcher.address,
        custodians=(clinic.address, second_clinic.address),
        starts=today - timedelta(days=1),
        ends=today + timedelta(days=365),
    )


@pytest.fixture
def study(studies: Studies, protocol: StudyDocument, researcher: LocalSigner) -> Study:
    """The study, registered."""
    found = Study.of(protocol)
    studies.register(found, sender=researcher)
    return found


@pytest.fixture
def permit(chain: Chain) -> Rule:
    """What lets a study use genetic and laboratory data for research on a disease that is not commercial."""
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0)
    return Rule(
        purposes=Purpose.HRESCH,
        classes=DataClass.GENOMICS | DataClass.LABORATORY | DataClass.IMAGING,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.ALL,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        party_kinds=PartyKind.RESEARCHER,
        valid_from=now - timedelta(hours=1),
        research=(ResearchUse.DS | ResearchUse.NCU).with_narrower(),
    )


@pytest.fixture
def taking_part(suite: MedProof, study: Study, permit: Rule, relayer: LocalSigner) -> TakingPart:
    """Let one of the local chain's accounts permit the study's use, opt in, or both, by messages that are relayed."""

    def take_part(number: int, *, permits: bool = True, opts_in: bool = True) -> LocalSigner:
        subject = funded(number)
        if permits:
            suite.relay(suite.consent_registry.sign_grant(subject, study.researcher, permit), sender=relayer)
        if opts_in:
            suite.relay(suite.studies.sign_opt_in(subject, study), sender=relayer)
        return subject

    return take_part


@pytest.fixture
def fixed(suite: MedProof, study: Study, taking_part: TakingPart, researcher: LocalSigner) -> FixedCohort:
    """A cohort of three."""
    for number in (10, 11, 12):
        taking_part(number)
    cohort = cohort_now(suite, study)
    suite.studies.fix_cohort(cohort.cohort, sender=researcher)
    return cohort


def cohort_now(suite: MedProof, study: Study) -> FixedCohort:
    """Whose data the study may use as of the newest block."""
    block = suite.chain.block()
    return FixedCohort.of(
        suite.studies.permitted(study.id, block=block.number),
        chain_id=suite.chain.chain_id,
        studies=suite.studies.address,
        study=study.id,
        block=block.number,
        block_hash=bytes.fromhex(block.hash[2:]),
    )


@pytest.fixture
def token(chain: Chain, payer: LocalSigner) -> Token:
    """A token, all of which is the payer's."""
    return deploy_token(chain, payer)
