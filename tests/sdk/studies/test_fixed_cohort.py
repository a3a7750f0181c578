"""A fixed cohort: its root as OpenZeppelin's own package has it, its proofs, and what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address

from medproof import fixed_cohort, hashing
from medproof.errors import FixedCohortError
from medproof.fixed_cohort import FixedCohort, Membership
from medproof.sorted_merkle import SortedMerkleTree, path_root
from scripts.local_chain import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "cohorts.json").read_text(encoding="utf-8"))
STUDIES = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


def fixed(subjects: list[str]) -> FixedCohort:
    return FixedCohort.of(
        subjects, chain_id=1337, studies=STUDIES, study=b"\x07" * 32, block=12, block_hash=b"\x08" * 32
    )


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(len(case["subjects"])))
def test_roots_and_proofs_are_those_of_openzeppelins_package(case: dict[str, Any]) -> None:
    shuffled = Random(len(case["subjects"])).sample(case["subjects"], len(case["subjects"]))
    cohort = fixed(shuffled)
    assert [one.lower() for one in cohort.subjects] == case["subjects"]
    assert f"0x{cohort.root.hex()}" == case["root"]
    for index, (subject, proof) in enumerate(zip(cohort.subjects, case["proofs"], strict=True)):
        membership = cohort.membership(subject)
        assert (membership.index, [f"0x{one.hex()}" for one in membership.path]) == (index, proof)
        membership.verify()


@pytest.fixture
def cohort() -> FixedCohort:
    return fixed(VECTORS["cases"][4]["subjects"])


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
        {"root": bytes(32)},
        {"path": membership.path[:-1]},
        {"path": (*membership.path, bytes(32))},
        {"path": membership.path[::-1]},
    ):
        with pytest.raises(FixedCohortError, match="does not show that"):
            replace(membership, **change).verify()  # type: ignore[arg-type]


def test_an_inner_node_passes_for_no_leaf(cohort: FixedCohort) -> None:
    """A node's two halves are 64 bytes, as a value is; the leaf is hashed once more."""
    first = cohort.membership(cohort.subjects[0])
    tree = SortedMerkleTree([encode(["uint256", "address"], [i, one]) for i, one in enumerate(cohort.subjects)])
    for node in first.path:
        assert path_root(node + node, ()) != tree.root


def test_who_is_not_in_it(cohort: FixedCohort) -> None:
    with pytest.raises(FixedCohortError, match="has no subject"):
        cohort.membership(STUDIES)
    with pytest.raises(FixedCohortError, match="has 0 subjects, and a cohort has 1 to"):
        fixed([])
    with pytest.raises(ValueError, match="at least one value"):
        SortedMerkleTree([])


def test_a_cohort_is_bounded(monkeypatch: pytest.MonkeyPatch, cohort: FixedCohort) -> None:
    monkeypatch.setattr(fixed_cohort, "MOST_SUBJECTS", 4)
    with pytest.raises(FixedCohortError, match="has 8 subjects, and a cohort has 1 to 4"):
        fixed([*cohort.subjects])


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda said: said["subjects"].reverse(), "not in the order of their addresses"),
        (lambda said: said["subjects"].clear(), "subjects of the cohort are none"),
        (lambda said: said["subjects"].pop(), "root of the cohort is not that of its subjects"),
        (lambda said: said["subjects"].append(said["subjects"][-1]), "holds what is no text, or one twice"),
        (lambda said: said["subjects"].append("0x1"), "is no checksummed address"),
        (lambda said: said.update(root="0x" + "00" * 32), "root of the cohort is not that of its subjects"),
        (lambda said: said.update(format="medproof-study"), "format of the cohort is not medproof-cohort"),
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
        (lambda said: said.update(subject=to_checksum_address("0x" + "01" * 20)), "does not show that"),
        (lambda said: said.pop("study"), "study of the cohort is missing"),
    ],
)
def test_what_no_membership_is(cohort: FixedCohort, edit: Edit, words: str) -> None:
    content = json.loads(hashing.canonical(cohort.membership(cohort.subjects[0]).to_json()))
    edit(content)
    with pytest.raises(FixedCohortError, match=words):
        Membership.from_json(json.dumps(content))
