"""Encoding and decoding of rule words and requests, their bounds, and what may be written."""

import dataclasses
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.errors import ReservedBitsError, RuleFieldError
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
from medproof.policy.word import (
    DEFINED,
    FIELDS,
    FLAGS,
    LAYOUT,
    Request,
    Rule,
    decode,
    decode_request,
    encode,
    encode_request,
    minute,
    validate,
)
from tests.sdk.policy.policy_cases import DENY_ANCESTRY, NOW, OPEN, PERMIT, STUDY

# A deny need not name what its permissions include.
DENY_ANY_RESEARCH = replace(DENY_ANCESTRY, research=ResearchUse.GRU)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WORDS = st.integers(0, 2**256 - 1).map(lambda bits: bits & DEFINED)
MINUTES = st.integers(0, 2**28 - 2).map(lambda minutes: EPOCH + timedelta(minutes=minutes))
DAYS = st.integers(0, 0xFFFE).map(lambda days: date(1970, 1, 1) + timedelta(days=days))


def flags(codes: Any) -> Any:
    return st.integers(0, codes.ALL.value).map(codes)


CODES = {
    "purposes": flags(Purpose),
    "classes": flags(DataClass),
    "conditions": flags(Condition),
    "sensitivities": flags(Sensitivity),
    "settings": flags(CareSetting),
    "actions": flags(Action),
    "research": flags(ResearchUse),
}
RULES = st.builds(
    Rule,
    **CODES,
    party_kinds=flags(PartyKind),
    valid_from=MINUTES,
    valid_until=st.none() | MINUTES,
    data_from=DAYS,
    data_until=st.none() | DAYS,
    terms=st.integers(0, 4095),
    sequence=st.integers(0, 65535),
    index=st.integers(0, 15),
    deny=st.booleans(),
    delegable=st.booleans(),
    break_glass_refused=st.booleans(),
    follows=st.booleans(),
    revoked=st.booleans(),
)
# dataUntil 1970-01-01 is the one day that a request cannot name as its last: 0 means no end there.
REQUESTS = st.builds(
    Request, **CODES, data_from=DAYS, data_until=st.none() | DAYS.filter(lambda day: day != date(1970, 1, 1))
)


def test_layout_fills_the_word_without_gaps() -> None:
    position = 0
    for field in LAYOUT:
        assert field.offset == position
        position += field.width
    assert position == 256
    assert sum(flag.mask for flag in FLAGS) == FIELDS["flags"].mask


@settings(max_examples=3000)
@given(WORDS)
def test_a_word_comes_back_from_its_rule(word: int) -> None:
    assert encode(decode(word)) == word


@settings(max_examples=2000)
@given(RULES)
def test_a_rule_comes_back_from_its_word(rule: Rule) -> None:
    assert decode(encode(rule)) == rule


@settings(max_examples=1000)
@given(REQUESTS)
def test_a_request_comes_back_from_its_word(request_: Request) -> None:
    assert decode_request(encode_request(request_)) == request_


def test_an_empty_request_word_asks_without_end() -> None:
    assert decode_request(0) == Request()


def test_a_request_sets_nothing_that_only_a_rule_has() -> None:
    word = encode_request(Request(**{name: type_.ALL for name, type_ in REQUEST_CODES.items()}))
    for name in ("sequence", "index", "flags", "terms", "partyKinds", "validFrom", "validUntil"):
        assert FIELDS[name].of(word) == 0


REQUEST_CODES = {
    "purposes": Purpose,
    "classes": DataClass,
    "conditions": Condition,
    "sensitivities": Sensitivity,
    "settings": CareSetting,
    "actions": Action,
    "research": ResearchUse,
}


def test_one_word_by_hand() -> None:
    rule = replace(PERMIT, sequence=7, index=3, terms=5, delegable=True)
    word = 7 | 3 << 16 | 1 << 21 | 5 << 25 | 0b101 << 37
    word |= 18262 << 45 | 20818 << 61  # 2020-01-01, 2026-12-31
    word |= 20513 * 1440 << 77 | 20878 * 1440 << 105  # 2026-03-01, 2027-03-01
    word |= 0b1001 << 133 | 0b10100 << 149 | 0b1_0000_1000 << 173 | 0b1000_0001 << 195 | 0b10001 << 219
    word |= 0b110 << 227
    assert encode(rule) == word


@pytest.mark.parametrize("bit", [43, 44, 148, 171, 172, 216, 217, 218, 232])
def test_decode_refuses_a_reserved_bit(bit: int) -> None:
    with pytest.raises(ReservedBitsError, match=f"bits {bit} are reserved") as caught:
        decode(encode(PERMIT) | 1 << bit)
    assert caught.value.bits == 1 << bit


@pytest.mark.parametrize("word", [-1, 2**256, True, "0x0", None])
def test_decode_refuses_what_is_no_uint256(word: Any) -> None:
    with pytest.raises(RuleFieldError, match="uint256"):
        decode(word)


def test_decode_request_refuses_a_rule() -> None:
    with pytest.raises(ReservedBitsError):
        decode_request(encode(PERMIT))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence": 65536}, "sequence is 65536, but it must be an integer from 0 to 65535"),
        ({"sequence": -1}, "sequence is -1"),
        ({"sequence": True}, "sequence is True"),
        ({"index": 16}, "index is 16.*0 to 15"),
        ({"terms": 4096}, "terms is 4096.*0 to 4095"),
        ({"deny": 1}, "deny is 1.*True or False"),
        ({"data_from": date(1969, 12, 31)}, "dataFrom.*from 1970-01-01 to 2149-06-06"),
        ({"data_until": date(2149, 6, 6)}, "dataUntil.*from 1970-01-01 to 2149-06-05.*None for no end"),
        ({"data_from": None}, "dataFrom is None"),
        ({"data_from": NOW}, "dataFrom.*date without a time"),
        ({"valid_from": datetime(2026, 1, 1)}, "validFrom.*zone"),
        ({"valid_from": None}, "validFrom is None"),
        ({"valid_from": NOW.replace(second=1)}, "validFrom.*whole minute"),
        ({"valid_from": datetime(1969, 12, 31, tzinfo=UTC)}, "validFrom.*from 1970"),
        ({"valid_until": datetime(2500, 1, 1, tzinfo=UTC)}, "validUntil.*None for no end"),
        ({"valid_until": EPOCH + timedelta(minutes=2**28 - 1)}, "validUntil.*None for no end"),
        ({"purposes": DataClass.NOTE}, "purposes.*Purpose codes"),
        ({"purposes": 1}, "purposes is 1.*Purpose codes"),
    ],
)
def test_encode_refuses_what_a_field_cannot_hold(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleFieldError, match=message):
        encode(replace(PERMIT, **changes))


def test_another_zone_is_the_same_minute() -> None:
    eastern = timezone(timedelta(hours=-5))
    rule = replace(PERMIT, valid_from=PERMIT.valid_from.astimezone(eastern))
    assert encode(rule) == encode(PERMIT)


def test_minute_rounds_down_and_wants_a_zone() -> None:
    assert minute(EPOCH + timedelta(seconds=119)) == 1
    with pytest.raises(RuleFieldError, match="zone"):
        minute(datetime(2026, 1, 1))


def test_a_rule_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PERMIT.deny = True  # type: ignore[misc]


@pytest.mark.parametrize(
    "rule", [PERMIT, OPEN, STUDY, DENY_ANY_RESEARCH, replace(PERMIT, deny=True), replace(PERMIT, sequence=65534)]
)
def test_validate_takes_what_may_be_written(rule: Rule) -> None:
    validate(encode(rule))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (replace(PERMIT, sequence=0), "sequence is 0"),
        (replace(PERMIT, sequence=65535), "sequence is 65535"),
        (replace(PERMIT, follows=True), "follows is True"),
        (replace(PERMIT, revoked=True), "revoked is True"),
        (replace(PERMIT, party_kinds=PartyKind.EMPTY), "partyKinds is 0"),
        (replace(PERMIT, purposes=Purpose.EMPTY), "purposes is 0"),
        (replace(PERMIT, classes=DataClass.EMPTY), "classes is 0"),
        (replace(PERMIT, conditions=Condition.EMPTY), "conditions is 0"),
        (replace(PERMIT, sensitivities=Sensitivity.EMPTY), "sensitivities is 0"),
        (replace(PERMIT, settings=CareSetting.EMPTY), "settings is 0"),
        (replace(PERMIT, actions=Action.EMPTY), "actions is 0"),
        (replace(PERMIT, valid_until=PERMIT.valid_from), "validFrom is .* before validUntil"),
        (replace(PERMIT, data_until=date(2019, 12, 31)), "dataFrom is .* after dataUntil"),
        (replace(PERMIT, research=ResearchUse.HMB), "no purpose of this rule is research"),
        (replace(PERMIT, research=ResearchUse.IRB), "no purpose of this rule is research"),
        (replace(STUDY, research=ResearchUse.IRB), "at least one permission"),
        (replace(STUDY, research=ResearchUse.EMPTY), "at least one permission"),
        (replace(STUDY, deny=True), "deny rule carries no obligations"),
        (replace(STUDY, research=ResearchUse.HMB), "names every permission .*, here DS as well"),
        (replace(STUDY, research=ResearchUse.GRU | ResearchUse.IRB), "here HMB, DS, POA as well"),
        (replace(STUDY, research=ResearchUse.NRES), "here GRU, HMB, DS, POA as well"),
    ],
)
def test_validate_refuses_what_may_not_be_written(rule: Rule, message: str) -> None:
    with pytest.raises(RuleFieldError, match=message):
        validate(encode(rule))


def test_validate_refuses_a_reserved_bit() -> None:
    with pytest.raises(ReservedBitsError):
        validate(encode(PERMIT) | 1 << 148)


def test_a_period_of_one_day_and_one_minute_may_be_written() -> None:
    validate(
        encode(
            replace(
                PERMIT,
                data_until=PERMIT.data_from,
                valid_until=PERMIT.valid_from + timedelta(minutes=1),
            )
        )
    )
