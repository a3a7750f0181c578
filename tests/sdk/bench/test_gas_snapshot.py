"""What operations cost may only change together with bench/results/gas.json, in the same commit."""

from __future__ import annotations

from typing import Any

import pytest

from bench.peers import EAS_COUNTERPARTS, MEDREC_COUNTERPARTS
from bench.run import RENEW, TARGETS, differences, measure, missed, recorded

# Every operation that must be measured; another one is welcome, none may go.
OPERATIONS = {
    "grant",
    "change",
    "revoke",
    "deny",
    "grant_signed",
    "grant_signed_second",
    "change_signed",
    "revoke_signed",
    "grant_batch_100_each",
    "grant_signed_batch_20_each",
    "grant_signed_batch_100_each",
    "grant_relayed_skipping_100_each",
    "withdraw",
    "withdraw_signed",
    "delegate_signed",
    "grant_signed_by_delegate",
    "break_glass",
    "review",
    "review_signed",
    "is_permitted_execution",
    "is_permitted_two_denies_present",
    "post_pointer",
    "accept",
    "accept_signed",
    "amend",
    "dispute",
    "dispute_signed",
    "offer_custody",
    "take_custody",
    "deny_dispute",
    "post_pointer_batch",
    "open_pointer",
    "open_pointer_signed",
    "publish_encryption_key",
    "open_access_log",
    "complain",
    "answer_complaint",
    "register_device",
    "revoke_device",
    "register_study",
    "opt_in",
    "opt_in_signed",
    "opt_in_relayed_100_each",
    "opt_out_signed",
    "fix_cohort",
    "publish_result",
    "fund_bounty",
    "accept_result",
    "claim_bounty_answer",
    "claim_bounty_share_signed",
    "publish_terms",
    "accredit",
    "suspend",
    "join_group",
    "prescription_issue",
    "prescription_issue_batch_100_each",
    "prescription_fill_first",
    "prescription_fill_next",
    "prescription_fill_next_day",
    "prescription_fill_signed",
    "prescription_fill_batch_100_each",
    "prescription_fill_batch_next_100_each",
    "prescription_choose_signed",
    "prescription_transfer",
    "prescription_cancel",
    "prescription_supply",
    "prescription_confirm",
    "publish_rules",
    "claim_submit",
    "claim_submit_signed",
    "claim_pend",
    "claim_adjudicate",
    "claim_answer",
    "claim_settle_two_signatures",
    "claim_settle_3_signatures",
    "claim_submit_registered",
    "claim_appeal",
    "claim_decide_appeal",
    "claim_flag",
    "claim_decide_flag",
    "claim_open",
    "nullifier_batch_100_each",
    "inclusion_depth_20",
    "register_encounter",
    "claim_void",
    "claim_replace",
    "anchor_first_batch",
    "anchor_batch",
    "anchor_batch_consistent",
    "anchor_batch_signed",
    "is_included_execution",
    "deploy_Authority",
    "deploy_Registrar",
    "deploy_ConsentRegistry",
    "deploy_RecordPointers",
    "deploy_Prescriptions",
    "deploy_ClaimAnchor",
    "deploy_BatchAnchor",
}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """Our own operations, measured now on a chain of their own."""
    return measure(peers=False)


def test_figures_are_those_of_the_repository(measured: dict[str, Any]) -> None:
    found = differences(recorded(), measured)
    assert not found, "\n".join([*found, RENEW])


def test_no_operation_is_missing(measured: dict[str, Any]) -> None:
    assert set(measured["operations"]) >= OPERATIONS
    assert set(recorded()["operations"]) >= OPERATIONS, RENEW


def test_every_target_is_met(measured: dict[str, Any]) -> None:
    assert not missed(measured), "\n".join(missed(measured))
    assert set(TARGETS) <= OPERATIONS


def test_nothing_costs_less_than_its_floor(measured: dict[str, Any]) -> None:
    for name, entry in measured["operations"].items():
        assert entry["floor"] <= entry["gas"], name


def test_peers_are_beside_what_they_can_do() -> None:
    operations = recorded()["operations"]
    assert {name for name, entry in operations.items() if entry["eas"]} == set(EAS_COUNTERPARTS), RENEW
    assert {name for name, entry in operations.items() if entry["medrec"]} == set(MEDREC_COUNTERPARTS), RENEW


def test_a_change_is_found() -> None:
    before = {"operations": {"grant": {"gas": 1000}, "gone": {"gas": 5}}, "compiler": {"version": "0.8.36"}}
    now = {"operations": {"grant": {"gas": 1001}, "new": {"gas": 6}}, "compiler": {"version": "0.8.37"}}
    assert differences(before, now) == [
        "grant: gas is 1,001, in the file 1,000",
        "gone is in the file and is measured no longer",
        "new is measured and not in the file",
        "compiler is described differently in the file",
    ]
    assert differences({}, now) == ["bench/results/gas.json is missing"]
    assert differences(now, now) == []
