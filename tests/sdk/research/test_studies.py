"""Studies, choices, cohorts, results and bounties in the research data set."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.incentives import Bounty, Payee
from medproof.client.studies import Result, Study, StudyState
from medproof.errors import SmallCohortError
from medproof.indexer import Index, Indexer, view
from medproof.indexer.studies import permitted_subjects
from medproof.research import Dataset, Question, cohort, write_dataset
from medproof.research.export import write_export
from medproof.research.suppression import Suppression
from medproof.signing import LocalSigner
from scripts.demo_token import deploy_token
from tests.sdk.conftest import funded
from tests.sdk.studies.conftest import cohort_now, permit, protocol, studies, study, taking_part  # noqa: F401


def test_what_the_index_keeps_is_in_the_data_set(
    suite: MedProof,
    study: Study,  # noqa: F811
    taking_part: Any,  # noqa: F811
    researcher: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    tmp_path: Path,
) -> None:
    subject, other = taking_part(10), taking_part(11)
    fixed = cohort_now(suite, study).cohort
    suite.studies.fix_cohort(fixed, sender=researcher)
    suite.studies.opt_out(study.id, sender=other)
    result = Result(fixed.id, clinic.address, b"\x09" * 32)
    answer = suite.studies.sign_result(clinic, study.id, result)
    suite.studies.publish_result(study, fixed, result, answer, sender=researcher)
    until = datetime.fromtimestamp(suite.chain.timestamp() + 86400, UTC)
    token = deploy_token(suite.chain, payer).address
    bounty = Bounty(payer.address, study.id, token, Payee.CUSTODIAN, 2**70, until)
    suite.incentives.fund(bounty, 2**79, sender=payer)
    suite.studies.close(study.id, sender=researcher)

    index = Index(tmp_path / "index.db")
    indexer = Indexer(index, suite.chain, suite.deployment)
    indexer.update()
    write_dataset(indexer.indexed, tmp_path / "registry")
    with Dataset.of_index(indexer.indexed) as one, Dataset.open(tmp_path / "registry") as two:
        for dataset in (one, two):
            rows = {
                name: dataset.table(name).to_pyarrow().to_pylist()
                for name in ("studies", "participations", "cohorts", "results", "bounties")
            }
            assert [(row["ended"], row["until_block"] is None) for row in rows["studies"]] == [(0, False), (4, True)]
            said = rows["studies"][0]
            assert (said["first_day"], said["last_day"]) == (study.first_day, study.last_day)
            assert int(said["request"], 16) == study.request
            assert said["researcher"] == researcher.address.lower()
            assert said["study"] == f"0x{study.id.hex()}"
            assert json.loads(said["custodians"]) == [one.lower() for one in study.custodians]
            standing = {row["subject"]: row["opted_in"] for row in rows["participations"] if row["until_block"] is None}
            assert standing == {subject.address.lower(): True, other.address.lower(): False}
            [found] = rows["cohorts"]
            assert (found["cohort"], found["size"], found["as_of"]) == (f"0x{fixed.id.hex()}", 2, fixed.block)
            assert found["block_checked"] is True
            [found] = rows["results"]
            assert (found["custodian"], found["commitment"]) == (clinic.address.lower(), "0x" + "09" * 32)
            [found] = rows["bounties"]
            assert (found["payment"], found["free"], found["paid"]) == (str(2**70), str(2**79), "0")
            assert (found["accept_until"], found["token"]) == (until, token.lower())
            for name in ("cohorts", "bounties"):  # which tell how many there are in the cohort of two
                with pytest.raises(SmallCohortError):
                    write_export(dataset, tmp_path / "few", tables=(name,))
            off = Suppression(off="approved by our review board")
            write_export(dataset, tmp_path / f"all-{dataset is one}", tables=("cohorts", "bounties"), suppression=off)
            write_export(dataset, tmp_path / f"before-{dataset is one}", tables=("cohorts",), block=before_any(dataset))
    assert funded(10).address == subject.address
    index.close()


def before_any(dataset: Dataset) -> int:
    """A block as of which no cohort was fixed."""
    return int(dataset.table("blocks").block.min().to_pyarrow().as_py())


def test_chain_index_and_data_set_name_the_same_subjects_at_every_block(
    suite: MedProof,
    study: Study,  # noqa: F811
    taking_part: Any,  # noqa: F811
    researcher: LocalSigner,
    admin: LocalSigner,
    tmp_path: Path,
) -> None:
    client, registrar = suite.studies, suite.registrar
    start = suite.chain.block_number()
    for number, permits, opts_in in ((10, True, True), (11, True, False), (12, False, True), (13, True, True)):
        taking_part(number, permits=permits, opts_in=opts_in)
    client.opt_out(study.id, sender=funded(10))
    suite.consent_registry.revoke(researcher.address, sender=funded(13))
    client.opt_in(study, sender=funded(10))
    registrar.suspend(researcher.address, sender=admin)
    registrar.reinstate(researcher.address, sender=admin)
    client.close(study.id, sender=researcher)
    last = suite.chain.block_number()

    index = Index(tmp_path / "index.db")
    indexer = Indexer(index, suite.chain, suite.deployment)
    indexer.update()
    question = Question(study.asks, party=researcher.address, study=f"0x{study.id.hex()}")
    seen = set()
    with Dataset.of_index(indexer.indexed) as dataset:
        for block in range(start, last + 1):
            moment = datetime.fromtimestamp(suite.chain.timestamp(block), UTC)
            on_chain = client.permitted(study.id, block=block)
            assert permitted_subjects(view(indexer.indexed, block=block, at=moment), study.id) == on_chain
            found = cohort(dataset, question, block=block, moment=moment).subjects().to_pyarrow().to_pylist()
            if client.state(study.id, block=block) is StudyState.OPEN:  # a question is asked of an ended study, too
                assert sorted(row["subject"] for row in found) == sorted(one.lower() for one in on_chain), block
            else:
                assert on_chain == ()
            seen.add(len(on_chain))
    assert seen == {0, 1, 2}
    index.close()
