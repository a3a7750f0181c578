"""Rules and refusals in plain sentences, by example, and never failing."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.sentence import describe
from medproof.policy.word import DEFINED, Request, Rule, decode
from tests.sdk.policy.policy_cases import (
    CASES,
    DENY,
    DENY_ANCESTRY,
    OPEN,
    PERMIT,
    REQUEST,
    STUDY,
    STUDY_REQUEST,
    word_of,
)

SIMPLE = Rule(
    purposes=Purpose.TREAT,
    classes=DataClass.LABORATORY | DataClass.MEDICATION,
    conditions=Condition.CIRCULATORY,
    sensitivities=~(Sensitivity.HIV | Sensitivity.SUD),
    settings=CareSetting.AMB,
    actions=Action.ACCESS | Action.USE,
    party_kinds=PartyKind.ALL,
    valid_from=datetime(2026, 3, 1, tzinfo=UTC),
    valid_until=datetime(2027, 3, 1, tzinfo=UTC),
)


def test_what_is_covered_is_told_where_the_list_is_short() -> None:
    assert str(SIMPLE) == (
        "You allow this recipient to read and use your laboratory results and medications for treatment, "
        "about diseases of the circulatory system, in outpatient care, from 1 March 2026 until 1 March 2027. "
        "It does not cover HIV or substance use information."
    )


def test_the_recipient_is_named_where_it_is_known() -> None:
    text = describe(replace(SIMPLE, delegable=True), grantee="the Lakeside Clinic")
    assert text.startswith("You allow the Lakeside Clinic to read")
    assert text.endswith("The Lakeside Clinic may pass this permission on to others.")


def test_what_is_not_covered_is_told_where_almost_everything_is() -> None:
    rule = replace(
        OPEN,
        purposes=~(Purpose.HMARKT | Purpose.RESEARCH),
        classes=~(DataClass.GENOMICS | DataClass.NOTE),
        conditions=~Condition.MENTAL,
        settings=~CareSetting.VR,
        research=ResearchUse.EMPTY,
    )
    text = str(rule)
    assert text.startswith("You allow this recipient to collect, read, use, pass on and correct your health data")
    assert "for almost any purpose, from 1 March 2026 with no end date." in text
    assert (
        "It does not cover use for health research, clinical trials, research on a specific disease "
        "or marketing, genetic data or clinical notes, mental and behavioural disorders "
        "or care by phone or video." in text
    )


def test_an_open_permission_is_short() -> None:
    assert str(OPEN) == (
        "You allow this recipient to collect, read, use, pass on and correct all your health data "
        "for any purpose, from 1 March 2026 with no end date. It covers sensitive information of every kind. "
        "For research, it allows any use without restriction."
    )


def test_a_refusal_says_or() -> None:
    assert str(replace(SIMPLE, deny=True, sensitivities=Sensitivity.HIV)) == (
        "You do not allow this recipient to read or use your laboratory results or medications "
        "for treatment, about diseases of the circulatory system, in outpatient care, "
        "from 1 March 2026 until 1 March 2027. "
        "This refusal beats every permission. This refusal concerns only HIV information."
    )


def test_a_refusal_of_everything() -> None:
    assert str(replace(OPEN, deny=True)) == (
        "You do not allow this recipient to collect, read, use, pass on or correct any of your health data "
        "for any purpose, from 1 March 2026 with no end date. This refusal beats every permission. "
        "This refusal concerns sensitive information of every kind. "
        "For research, it refuses research of every kind."
    )


def test_a_refusal_of_one_kind_of_research() -> None:
    assert "For research, it refuses research on population origins or ancestry." in str(DENY_ANCESTRY)


def test_a_tombstone() -> None:
    assert str(replace(SIMPLE, revoked=True)) == (
        f"You withdrew this permission, and it no longer counts. It read: “{SIMPLE}”"
    )
    assert str(replace(DENY, revoked=True)).startswith("You withdrew this refusal")


def test_research_and_its_obligations() -> None:
    text = str(replace(STUDY, research=STUDY.research | ResearchUse.CC, terms=4, break_glass_refused=True))
    assert "for health research and research on a specific disease" in text
    assert (
        "For research, it allows health and medical research. "
        "Researchers must show an ethics approval and be not-for-profit organisations. "
        "Use in clinical care is allowed along with the research. It holds only for researchers. "
        "Emergency access that breaks the glass is refused as well. It was signed under terms number 4."
    ) in text


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (Sensitivity.NONE_LABELLED, "It does not cover information that is labelled as sensitive."),
        (Sensitivity.ALL, "It covers sensitive information of every kind."),
        (
            Sensitivity.HIV | Sensitivity.STD,
            "It covers only HIV and sexually transmitted disease information.",
        ),
        (
            Sensitivity.NONE_LABELLED | Sensitivity.MH,
            "Of sensitive information, it covers only mental health information.",
        ),
    ],
)
def test_sensitive_information_is_always_told(labels: Sensitivity, sentence: str) -> None:
    assert sentence in str(replace(SIMPLE, sensitivities=labels))


@pytest.mark.parametrize(
    ("first", "last", "phrase"),
    [
        (date(2020, 1, 1), None, "It covers only data from 1 January 2020 on."),
        (date(1970, 1, 1), date(2020, 12, 31), "It covers only data up to 31 December 2020."),
        (
            date(2020, 1, 1),
            date(2020, 12, 31),
            "It covers only data from 1 January 2020 to 31 December 2020.",
        ),
    ],
)
def test_the_period_of_the_data(first: date, last: date | None, phrase: str) -> None:
    assert phrase in str(replace(SIMPLE, data_from=first, data_until=last))


def test_a_time_of_day_is_told_in_utc() -> None:
    rule = replace(SIMPLE, valid_until=datetime(2026, 3, 1, 16, 5, tzinfo=UTC))
    assert "until 1 March 2026, 16:05 UTC" in str(rule)


@pytest.mark.parametrize(
    ("reason", "rule", "request_", "sentence"),
    [
        (
            Reason.PURPOSE,
            PERMIT,
            replace(REQUEST, purposes=Purpose.HMARKT),
            "The permission that comes nearest does not cover use for marketing.",
        ),
        (
            Reason.DATA_CLASS,
            PERMIT,
            replace(REQUEST, classes=DataClass.NOTE | DataClass.CLAIM),
            "The permission that comes nearest does not cover claims and bills or clinical notes.",
        ),
        (
            Reason.DATA_CLASS,
            PERMIT,
            Request(),
            "The permission that comes nearest does not cover every kind of data asked for.",
        ),
        (
            Reason.SENSITIVITY,
            PERMIT,
            replace(REQUEST, sensitivities=Sensitivity.HIV),
            "The permission that comes nearest does not cover HIV information.",
        ),
        (
            Reason.ACTION,
            PERMIT,
            replace(REQUEST, actions=Action.DISCLOSE),
            "The permission that comes nearest does not let anyone pass on the data.",
        ),
        (
            Reason.RESEARCH_USE,
            STUDY,
            replace(STUDY_REQUEST, research=ResearchUse.HMB),
            "The permission that comes nearest asks of researchers what was not accepted: "
            "to show an ethics approval and be not-for-profit organisations.",
        ),
        (
            Reason.RESEARCH_USE,
            STUDY,
            replace(STUDY_REQUEST, research=ResearchUse.GRU),
            "The permission that comes nearest does not cover any research.",
        ),
        (
            Reason.RESEARCH_USE,
            STUDY,
            replace(STUDY_REQUEST, research=ResearchUse.POA),
            "The permission that comes nearest does not cover research on population origins or ancestry.",
        ),
        (
            Reason.NOT_YET_VALID,
            PERMIT,
            REQUEST,
            "The permission that comes nearest begins only on 1 March 2026.",
        ),
        (Reason.EXPIRED, PERMIT, REQUEST, "The permission that comes nearest ended on 1 March 2027."),
        (
            Reason.PARTY_KIND,
            STUDY,
            REQUEST,
            "The permission that comes nearest holds only for researchers, and the one who asks is none of them.",
        ),
        (
            Reason.DATA_PERIOD,
            PERMIT,
            REQUEST,
            "The permission that comes nearest covers only data from 1 January 2020 to 31 December 2026.",
        ),
        (Reason.NO_RULE, None, None, "The patient has given no permission to the one who asks."),
        (Reason.DENIED, DENY, REQUEST, "The patient refused this, and a refusal beats every permission."),
    ],
)
def test_a_refusal_is_explained(reason: Reason, rule: Rule | None, request_: Request | None, sentence: str) -> None:
    assert explain(reason, rule, request_) == sentence


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence_of_its_own(reason: Reason) -> None:
    sentences = {explain(other) for other in Reason}
    assert len(sentences) == len(Reason)
    assert explain(reason).endswith(".")


def test_every_row_of_the_table_is_explained_in_one_sentence() -> None:
    for case in CASES:
        rule = None if case.decider is None else decode(word_of(case.rules[case.decider]))
        request_ = case.request if isinstance(case.request, Request) else None
        text = explain(case.reason, rule, request_)
        assert text.endswith(".")
        assert ". " not in text


@settings(max_examples=500)
@given(st.integers(0, 2**256 - 1), st.sampled_from(list(Reason)))
def test_any_rule_can_be_printed(word: int, reason: Reason) -> None:
    rule = decode(word & DEFINED)
    assert str(rule).strip()
    assert explain(reason, rule, Request())
