"""Studies and consents compared on a page: every reason, and only those."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest

from medproof.explore.matching import _STATEMENTS
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
from medproof.policy.duo import StudyUse
from medproof.policy.word import Rule, encode
from tests.sdk.explore.reading import Page

RULE = Rule(
    Purpose.HRESCH,
    DataClass.GENOMICS,
    Condition.ALL,
    Sensitivity.NONE_LABELLED,
    CareSetting.ALL,
    Action.ACCESS | Action.USE,
    PartyKind.RESEARCHER,
    datetime(2026, 1, 1, tzinfo=UTC),
    research=ResearchUse.HMB.with_narrower() | ResearchUse.IRB,
)


def ask(http: httpx.Client, **given: object) -> Page:
    pairs = [(name.replace("_", "-"), value) for name, values in given.items() for value in str(values).split("+")]
    answer = http.get(f"/match?{urlencode(pairs)}")
    assert answer.status_code == 200, Page(answer.text).said
    return Page(answer.text)


def rows(page: Page) -> dict[str, str]:
    """What fits, by code."""
    text = page.said.partition("Permissions What the study asks for")[2]
    return dict(re.findall(r"\b([A-Z]{2,6}(?: or [A-Z]+)?) (yes|no|open)\b", text))


def test_every_flag_of_a_study_can_be_said() -> None:
    assert {one.name for one in fields(StudyUse) if one.type == "bool"} == set(_STATEMENTS)


@pytest.mark.parametrize(
    ("given", "headline", "expected"),
    [
        ({"study": "health", "use": "HMB"}, "It fits", {"HMB": "yes"}),
        ({"study": "health", "use": "GRU"}, "It fits", {"HMB": "yes"}),
        ({"study": "health", "use": "DS"}, "It does not fit", {"HMB": "no"}),
        ({"study": "health+commercial", "use": "HMB+NCU+IRB"}, "It does not fit", {"NCU": "no", "IRB": "no"}),
        ({"study": "health+ethics_approval", "use": "HMB+IRB"}, "It fits", {"HMB": "yes", "IRB": "yes"}),
        ({"study": "methods", "use": "HMB"}, "It fits", {"HMB or POA": "yes"}),
        ({"study": "methods", "use": "DS"}, "It does not fit", {"HMB or POA": "no"}),
        ({"study": "ancestry", "use": "GRU+NPOA"}, "It does not fit", {"POA": "yes", "NPOA": "no"}),
        ({"study": "health+clinical_care", "use": "HMB"}, "It does not fit", {"CC": "no"}),
        ({"study": "health", "use": "HMB+US"}, "It does not fit", {"US": "no"}),
        ({"disease": "MONDO:0005148", "use": "DS"}, "A committee decides", {"DS": "open"}),
        ({"disease": "MONDO:0005148", "use": "DS", "use_disease": "MONDO:0005148"}, "It fits", {"DS": "yes"}),
        ({"disease": "MONDO:0005148", "use": "DS", "use_disease": "MONDO:1"}, "It does not fit", {"DS": "no"}),
        ({"study": "health", "region": "US-CA", "use": "HMB+GS", "use_region": "US"}, "It fits", {"GS": "yes"}),
        ({"study": "health", "months": 24, "use": "HMB+TS", "use_months": 12}, "It does not fit", {"TS": "no"}),
    ],
)
def test_each_term_says_whether_it_fits(
    http: httpx.Client, given: dict[str, object], headline: str, expected: dict[str, str]
) -> None:
    page = ask(http, **given)
    assert headline in page.said
    assert expected.items() <= rows(page).items()
    assert ("no" in rows(page).values()) == (headline == "It does not fit")


def test_why_a_permission_covers_it_is_said(http: httpx.Client) -> None:
    assert "GRU, general research use, includes it." in ask(http, study="health", use="GRU").said
    assert "The chain does not see this." in ask(http, study="health+clinical_care", use="HMB").said


def test_a_rule_of_the_registry_is_compared_and_decided(http: httpx.Client) -> None:
    said = ask(http, study="health+ethics_approval", rule=f"0x{encode(RULE):064x}").said
    assert "It fits" in said
    assert str(RULE).replace("“", "“") in said
    assert "On chain: permitted." in said
    said = ask(http, study="health", rule=f"{encode(RULE):064x}").said
    assert "On chain: refused." in said
    assert "to show an ethics approval" in said


def test_the_study_is_counted_on_the_page_of_cohorts(http: httpx.Client) -> None:
    page = ask(http, study="health+ethics_approval+publishes", use="HMB")
    [link] = [one["href"] for one in page.all("a") if one.get("href", "").startswith("cohort?")]
    answer = http.get(f"/{link}")
    assert answer.status_code == 200
    assert "research=HMB" in link
    assert "research=IRB" in link
    assert 'class="size"' in answer.text
