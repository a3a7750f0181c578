"""Cohorts: who fixes them, as of which block, and who is a member."""

from __future__ import annotations

import pytest
from eth_utils import keccak

from tests.support.fixtures import DAY
from tests.support.research import CLOSED, OVER, PLANNED, UNKNOWN, WITHDRAWN, Cohort, members, shown
from tests.support.reverts import reverts

ROOT = b"\x71" * 32
MOST_BLOCKS = 256  # back from now, of which the chain knows the hash


@pytest.fixture
def cohort(study, desk):
    """A cohort as of the latest block, not fixed."""
    return Cohort(study.id, ROOT, 3, *desk.block())


@pytest.fixture
def people(accounts):
    """Seven subjects: a tree that is not full."""
    return accounts[11:18]


@pytest.mark.spec("T24")
def test_cohort_is_fixed_with_its_block(studies, cohort, researcher):
    tx = studies.fixCohort(cohort, {"from": researcher})

    assert tx.return_value == shown(cohort.id) == studies.cohortId(cohort)
    assert studies.cohortAt(cohort.id) == tx.timestamp
    assert len(tx.events) == 1
    said = dict(tx.events["CohortFixed"])
    assert tuple(said.pop("definition")) == shown(cohort)
    assert said == {"study": shown(cohort.study), "cohort": shown(cohort.id), "blockChecked": True}


@pytest.mark.spec("T24")
def test_cohort_is_fixed_once_and_each_part_makes_another(studies, cohort, researcher, chain):
    studies.fixCohort(cohort, {"from": researcher})

    with reverts("CohortExists", cohort.id):
        studies.fixCohort.call(cohort, {"from": researcher})
    older = chain[-3]
    for other in (
        cohort._replace(root=b"\x72" * 32),
        cohort._replace(size=4),
        cohort._replace(block=older.number, block_hash=bytes(older.hash)),
    ):
        studies.fixCohort.call(other, {"from": researcher})


@pytest.mark.spec("T24")
@pytest.mark.parametrize("who", ["stranger", "second_researcher", "clinic", "patient", "admin"])
def test_nobody_but_the_researcher_fixes_a_cohort(studies, cohort, request, who):
    """Whoever sees one in a waiting transaction cannot send it first."""
    account = request.getfixturevalue(who)

    with reverts("ResearcherRequired", account.address):
        studies.fixCohort.call(cohort, {"from": account})


@pytest.mark.spec("T24")
def test_suspended_researcher_fixes_none(studies, cohort, registrar, researcher, admin):
    registrar.suspend(researcher, {"from": admin})

    with reverts("ResearcherRequired", researcher.address):
        studies.fixCohort.call(cohort, {"from": researcher})


@pytest.mark.spec("T24")
def test_cohort_is_fixed_while_the_study_is_open(studies, registered, cohort, researcher, admin, today, chain):
    planned = registered(first_day=today + 1)
    with reverts("StudyNotReady", planned.id, PLANNED):
        studies.fixCohort.call(cohort._replace(study=planned.id), {"from": researcher})
    chain.snapshot()
    for end, state in (
        (lambda: chain.mine(timestamp=(today + 31) * DAY), OVER),
        (lambda: studies.close(cohort.study, {"from": researcher}), CLOSED),
        (lambda: studies.withdrawApproval(cohort.study, {"from": admin}), WITHDRAWN),
    ):
        end()
        with reverts("StudyNotReady", cohort.study, state):
            studies.fixCohort.call(cohort, {"from": researcher})
        chain.revert()


@pytest.mark.spec("T24")
@pytest.mark.parametrize("empty", [{"root": bytes(32)}, {"size": 0}, {"block_hash": bytes(32)}])
def test_cohort_lacks_nothing(studies, cohort, researcher, empty):
    with reverts("CommitmentMissing"):
        studies.fixCohort.call(cohort._replace(**empty), {"from": researcher})


@pytest.mark.spec("T25")
def test_block_is_past_and_has_this_hash(studies, cohort, researcher, chain):
    """Asked by a call, the latest block is the present one."""
    last = chain[-1]
    for block, block_hash, found in (
        (last.number - 1, b"\x01" * 32, bytes(chain[-2].hash)),
        (last.number - 2, bytes(last.hash), bytes(chain[-3].hash)),
        (last.number, bytes(last.hash), bytes(32)),
        (last.number + 10, bytes(last.hash), bytes(32)),
        (2**64 - 1, bytes(last.hash), bytes(32)),
    ):
        with reverts("BlockNotPast", block, found):
            studies.fixCohort.call(cohort._replace(block=block, block_hash=block_hash), {"from": researcher})


@pytest.mark.spec("T25")
def test_block_that_the_chain_has_forgotten_is_marked_as_unchecked(studies, cohort, researcher, chain):
    chain.mine(MOST_BLOCKS - 1)
    assert studies.fixCohort(cohort, {"from": researcher}).events["CohortFixed"]["blockChecked"] is True
    forgotten = cohort._replace(size=9, block_hash=b"\x01" * 32)

    tx = studies.fixCohort(forgotten, {"from": researcher})

    assert tx.events["CohortFixed"]["blockChecked"] is False


# -- members ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("T26", "T27")
def test_members_are_those_who_stand_in_it_and_had_opted_in(studies, study, desk, researcher, people):
    for subject in people[:6]:
        desk.choose("optIn", study, subject, 1)

    cohort, log = desk.fix(study, people, researcher)

    assert studies.leafOf(study.id, people[0]) == shown(members_leaf(study, people[0]))
    for index, subject in enumerate(people):
        proof = log.inclusion_proof(index)
        assert studies.inCohort(cohort, subject, index, proof) is (index < 6)
        for wrong in (index - 1 if index else 6, 7, 2**64 - 1):
            assert studies.inCohort(cohort, subject, wrong, proof) is False
        assert studies.inCohort(cohort, people[index - 1], index, proof) is False


def members_leaf(study, subject):
    return keccak(bytes.fromhex(study.id.hex()) + bytes(12) + bytes.fromhex(subject.address[2:]))


@pytest.mark.spec("T26")
def test_proof_of_another_cohort_shows_nothing(studies, study, registered, desk, researcher, people):
    other = registered(protocol=b"\x01" * 32)
    for subject in people[:4]:
        desk.choose("optIn", study, subject, 1)
        desk.choose("optIn", other, subject, 1)
    cohort, log = desk.fix(study, people[:4], researcher)
    proof = log.inclusion_proof(1)
    assert studies.inCohort(cohort, people[1], 1, proof)

    second, _ = desk.fix(study, people[1:4], researcher)
    elsewhere, _ = desk.fix(other, people[:4], researcher)

    for wrong in (second, elsewhere, cohort._replace(size=5), cohort._replace(study=other.id)):
        assert studies.inCohort(wrong, people[1], 1, proof) is False
    for broken in ([], proof[:1], [*proof, ROOT], [proof[1], proof[0]], [ROOT, proof[1]]):
        assert studies.inCohort(cohort, people[1], 1, broken) is False


@pytest.mark.spec("T26")
def test_node_of_the_tree_passes_for_no_subject(studies, study, desk, researcher, patient, people):
    """A root that is given as a leaf, and a cohort of one."""
    desk.choose("optIn", study, patient, 1)
    cohort, _ = desk.fix(study, [patient], researcher)
    assert studies.inCohort(cohort, patient, 0, []) is True
    raw = Cohort(study.id, members_leaf(study, patient), 1, *desk.block())
    studies.fixCohort(raw, {"from": researcher})

    assert studies.inCohort(raw, patient, 0, []) is False


@pytest.mark.spec("T26", "T30")
def test_cohort_that_was_not_fixed_has_no_members(studies, study, desk, patient):
    desk.choose("optIn", study, patient, 1)
    log = members(study.id, [patient])
    cohort = Cohort(study.id, log.root(), 1, *desk.block())

    assert studies.cohortAt(cohort.id) == 0
    assert studies.inCohort(cohort, patient, 0, []) is False
    assert studies.stateOf(b"\x09" * 32) == UNKNOWN


@pytest.mark.spec("T27")
def test_what_counts_is_the_choice_when_the_cohort_was_fixed(studies, study, desk, researcher, patient, chain):
    """Out, in, out, in: of each cohort in between, whether the patient is a member, and it stays so."""
    found = []
    cohorts = []
    for sequence in range(5):
        if sequence:
            desk.choose("optIn" if sequence % 2 else "optOut", study, patient, sequence)
        cohorts.append(desk.fix(study, [patient], researcher)[0])
        chain.sleep(5)
        chain.mine()
        found = [studies.inCohort(cohort, patient, 0, []) for cohort in cohorts]
        assert found == [False, True, False, True, False][: sequence + 1]


@pytest.mark.spec("T27")
def test_what_lies_before_five_changes_counts_as_no(studies, study, desk, researcher, patient, chain):
    desk.choose("optIn", study, patient, 1)
    cohort, _ = desk.fix(study, [patient], researcher)
    for sequence in range(2, 7):
        assert studies.inCohort(cohort, patient, 0, []) is True
        chain.sleep(5)
        desk.choose("optOut" if sequence % 2 == 0 else "optIn", study, patient, sequence)

    assert studies.inCohort(cohort, patient, 0, []) is False


@pytest.mark.spec("T27")
def test_choice_counts_from_its_second_on(studies, study, desk, researcher, patient, second_patient, chain, web3):
    """In the second of the cohort itself, the choice that was made counts, in whatever order."""
    desk.choose("optIn", study, second_patient, 1)
    log = members(study.id, [patient, second_patient])
    cohort = Cohort(study.id, log.root(), 2, *desk.block())
    second = chain[-1].timestamp + 50
    for contract_call, sender in (
        (studies.optIn.encode_input(patient, study.id, 1, 0, b""), patient),
        (studies.optOut.encode_input(second_patient, study.id, 2, 0, b""), second_patient),
        (studies.fixCohort.encode_input(cohort), researcher),
    ):
        chain.mine(timestamp=second - 1)
        sender.transfer(studies, data=contract_call)

    times = {studies.cohortAt(cohort.id), studies.choiceOf(study.id, patient) >> 17 & (1 << 40) - 1}
    assert len(times) <= 2
    assert studies.inCohort(cohort, patient, 0, log.inclusion_proof(0)) is True
    assert studies.inCohort(cohort, second_patient, 1, log.inclusion_proof(1)) is False
