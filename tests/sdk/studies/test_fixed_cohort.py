"""A fixed cohort: its root as OpenZeppelin's own package has it, its proofs, and what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from medproof import fixed_cohort, hashing
from medproof.errors import FixedCohortError
from medproof.fixed_cohort import FixedCohort, Membership

STUDIES = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
SUBJECTS = [to_checksum_address(f"0x{(index + 1) * 7919:040x}") for index in range(13)]


def fixed(subjects: list[str]) -> FixedCohort:
    return FixedCohort.of(
        subjects, chain_id=1337, studies=STUDIES, study=b"\x07" * 32, block=12, block_hash=b"\x08" * 32
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_every_subject_has_a_proof_whatever_the_order(size: int) -> None:
    cohort = fixed(Random(size).sample(SUBJECTS[:size], size))
    assert cohort.subjects == tuple(SUBJECTS[:size])
    assert cohort.cohort.size == size
    for index, subject in enumerate(cohort.subjects):
        membership = cohort.membership(subject)
        assert membership.index == index
        membership.verify()


@pytest.fixture
def cohort() -> FixedCohort:
    return fixed(SUBJECTS[:8])


def test_files_come_back(cohort: FixedCohort) -> None:
    assert FixedCohort.from_json(hashing.canonical(cohort.to_json())) == cohort
    membership = cohort.membership(cohort.subjects[3])
    assert Membership.from_json(hashing.canonical(membership.to_json())) == membership


def test_one_subject_counts_once_however_it_is_written(cohort: FixedCohort) -> None:
    assert fixed([*cohort.subjects, *(one.lower() for one in cohort.subjects)]) == cohort


def test_a_proof_is_of_its_subject_place_root_and_path_alone(cohort: FixedCohort) -> None:
    membership = cohort.membership(cohort.subjects[3])
    for change in (
        {"subject": cohort.subjects[2]},
        {"index": 2},
        {"index": 8},
        {"cohort": replace(membership.cohort, root=bytes(32))},
        {"cohort": replace(membership.cohort, study=bytes(32))},
        {"cohort": replace(membership.cohort, size=9)},
        {"path": membership.path[:-1]},
        {"path": (*membership.path, bytes(32))},
        {"path": membership.path[::-1]},
    ):
        with pytest.raises(FixedCohortError, match="does not show that"):
            replace(membership, **change).verify()  # type: ignore[arg-type]


def test_the_id_is_of_every_part(cohort: FixedCohort) -> None:
    about = cohort.cohort
    others = [
        replace(about, **change)
        for change in ({"study": bytes(32)}, {"root": bytes(32)}, {"size": 9}, {"block": 13}, {"block_hash": bytes(32)})
    ]
    assert len({about.id, *(one.id for one in others)}) == 6


def test_who_is_not_in_it(cohort: FixedCohort) -> None:
    with pytest.raises(FixedCohortError, match="has no subject"):
        cohort.membership(STUDIES)
    with pytest.raises(FixedCohortError, match="has 0 subjects, and a cohort has 1 to"):
        fixed([])


def test_a_cohort_is_bounded(monkeypatch: pytest.MonkeyPatch, cohort: FixedCohort) -> None:
    monkeypatch.setattr(fixed_cohort, "MOST_SUBJECTS", 4)
    with pytest.raises(FixedCohortError, match="has 8 subjects, and a cohort has 1 to 4"):
        fixed([*cohort.subjects])


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda said: said["subjects"].reverse(), "not in the order of their addresses"),
        (lambda said: said["subjects"].clear(), "root of the cohort is not that of its subjects"),
        (lambda said: said["subjects"].pop(), "root of the cohort is not that of its subjects"),
        (lambda said: said["subjects"].append(said["subjects"][-1]), "holds what is no text, or one twice"),
        (lambda said: said["subjects"].append("0x1"), "is no checksummed address"),
        (lambda said: said.update(root="0x" + "00" * 32), "root of the cohort is not that of its subjects"),
        (lambda said: said.update(format="medproof-study"), "format of the cohort is not medproof-cohort"),
        (lambda said: said.update(size=9), "root of the cohort is not that of its subjects"),
        (lambda said: said.update(block=-1), "block of the cohort is no number"),
        (lambda said: said.update(more=1), "has members that are not known"),
    ],
)
def test_what_no_cohort_is(cohort: FixedCohort, edit: Edit, words: str) -> None:
    content = json.loads(hashing.canonical(cohort.to_json()))
    edit(content)
    with pytest.raises(FixedCohortError, match=words):
        FixedCohort.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda said: said.update(index=7), "does not show that"),
        (lambda said: said.update(path=[]), "does not show that"),
        (lambda said: said.update(path=["0x" + "00" * 32] * 65), "path of the cohort is no list of at most 64"),
        (lambda said: said.update(subject=SUBJECTS[9]), "does not show that"),
        (lambda said: said["cohort"].pop("study"), "cohort.study of the cohort is missing"),
    ],
)
def test_what_no_membership_is(cohort: FixedCohort, edit: Edit, words: str) -> None:
    content = json.loads(hashing.canonical(cohort.membership(cohort.subjects[0]).to_json()))
    edit(content)
    with pytest.raises(FixedCohortError, match=words):
        Membership.from_json(json.dumps(content))
