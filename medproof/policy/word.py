"""The rule word: a whole consent rule, or a whole request, in one `uint256`.

`LAYOUT` is the one place that says which bits mean what; docs/rule-word.md prints it and
contracts/libraries/RuleWord.sol follows it, and tests compare all three.

`encode` and `decode` are inverse to each other on every word without reserved bits, so tombstones and chained
rules read back as they are stored. Whether a word may be *written* is another question: `validate` answers it
as the contract does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from medproof.errors import ReservedBitsError, RuleFieldError
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.phrases import FIRST_DAY
from medproof.policy.sentence import describe

__all__ = [
    "DEFINED",
    "EPOCH_DAY",
    "FIELDS",
    "FLAGS",
    "FLAG_FIELDS",
    "LAST_SEQUENCE",
    "LAYOUT",
    "NO_END_DAY",
    "NO_END_MINUTE",
    "WORD_BITS",
    "Field",
    "Request",
    "Rule",
    "decode",
    "decode_request",
    "encode",
    "encode_request",
    "from_minute",
    "minute",
    "validate",
]

WORD_BITS = 256
NO_END_DAY = 0xFFFF  # dataUntil of a rule or request without an end
NO_END_MINUTE = (1 << 28) - 1  # validUntil of a rule without an end
LAST_SEQUENCE = 0xFFFE  # highest sequence of a written rule; 0xFFFF is kept for its revocation
EPOCH_DAY = FIRST_DAY  # day 0; as dataFrom it stands for that day and everything earlier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


class Field(NamedTuple):
    """A run of bits in the rule word."""

    name: str  # as the contracts spell it
    offset: int  # position of its lowest bit, 0 = least significant of the word
    width: int  # number of bits
    codes: type[CodedFlag] | None  # the code list of its bits, None for a number
    meaning: str  # one line for the documentation

    @property
    def mask(self) -> int:
        """All bits of the field, in place."""
        return ((1 << self.width) - 1) << self.offset

    @property
    def defined(self) -> int:
        """The bits of the field that mean something, in place (a number uses all of them)."""
        return self.mask if self.codes is None else self.codes["ALL"].value << self.offset

    def place(self, value: int) -> int:
        """Put a value where the field is.

        Raises:
            RuleFieldError: it does not fit.
        """
        if not 0 <= value < 1 << self.width:
            raise RuleFieldError(self.name, value, f"the field has {self.width} bits", "Give a smaller number.")
        return value << self.offset

    def of(self, word: int) -> int:
        """Read the field out of a word."""
        return word >> self.offset & ((1 << self.width) - 1)


LAYOUT: tuple[Field, ...] = (
    Field("sequence", 0, 16, None, "counts the changes of this rule; 0 = no rule was ever written"),
    Field("index", 16, 4, None, "number of the rule among those of its subject and grantee"),
    Field("flags", 20, 5, None, "see the flags below"),
    Field("terms", 25, 12, None, "number of the published terms; 0 = none named"),
    Field("partyKinds", 37, 8, PartyKind, "kinds of party that the rule admits"),
    Field("dataFrom", 45, 16, None, "first day of the data, days since 1970-01-01; 0 = that day and earlier"),
    Field("dataUntil", 61, 16, None, "last day of the data, inclusive; 0xFFFF = no end"),
    Field("validFrom", 77, 28, None, "in force from, inclusive, minutes since 1970-01-01T00:00Z"),
    Field("validUntil", 105, 28, None, "in force until, exclusive; 2^28-1 = no end"),
    Field("purposes", 133, 16, Purpose, "why the data may be used"),
    Field("classes", 149, 24, DataClass, "what kind of data"),
    Field("conditions", 173, 22, Condition, "which health conditions"),
    Field("sensitivities", 195, 24, Sensitivity, "which sensitivity labels"),
    Field("settings", 219, 8, CareSetting, "where the care took place"),
    Field("actions", 227, 6, Action, "what may be done with the data"),
    Field("research", 233, 23, ResearchUse, "what research, under which obligations"),
)

FIELDS: dict[str, Field] = {field.name: field for field in LAYOUT}

FLAGS: tuple[Field, ...] = (
    Field("deny", 20, 1, None, "the rule refuses; it beats every permit"),
    Field("delegable", 21, 1, None, "the grantee may pass the permission on"),
    Field("breakGlassRefused", 22, 1, None, "break-glass access is refused"),
    Field("follows", 23, 1, None, "another rule follows; the contract sets it"),
    Field("revoked", 24, 1, None, "the rule is a tombstone; the contract sets it"),
)

FLAG_FIELDS: dict[str, Field] = {flag.name: flag for flag in FLAGS}

DEFINED: int = sum(field.defined for field in LAYOUT)  # every bit that means something

# The six fields in which a rule and a request must meet: attribute of Rule and Request and name in LAYOUT.
_CODE_FIELDS = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions")


@dataclass(frozen=True)
class Rule:
    """One permit or deny rule of a subject for a grantee, in Python's types.

    Printing it gives the sentence that a patient reads (`medproof.policy.sentence`).
    """

    purposes: Purpose  # why the data may be used
    classes: DataClass  # what kind of data
    conditions: Condition  # which health conditions
    sensitivities: Sensitivity  # which sensitivity labels; NONE_LABELLED for unlabelled data
    settings: CareSetting  # where the care took place
    actions: Action  # what may be done with the data
    party_kinds: PartyKind  # kinds of party that the rule admits
    valid_from: datetime  # in force from, inclusive; aware, whole minutes
    valid_until: datetime | None = None  # in force until, exclusive; None = no end
    data_from: date = EPOCH_DAY  # first day of the data; 1970-01-01 = that day and everything earlier
    data_until: date | None = None  # last day of the data, inclusive; None = no end
    research: ResearchUse = ResearchUse.EMPTY  # research permissions and obligations; 0 unless for research
    terms: int = 0  # number of the published terms, 0 to 4095; 0 = none named
    sequence: int = 1  # counts the changes of this rule, 1 to 65535
    index: int = 0  # number of the rule among those of its subject and grantee, 0 to 15
    deny: bool = False  # the rule refuses instead of permitting
    delegable: bool = False  # the grantee may pass the permission on
    break_glass_refused: bool = False  # break-glass access is refused
    follows: bool = False  # another rule follows; the contract sets it
    revoked: bool = False  # the rule is a tombstone; the contract sets it

    def __str__(self) -> str:
        """Return the rule as a sentence that a patient understands."""
        return describe(self)


@dataclass(frozen=True)
class Request:
    """What an actor wants to do. A field left empty asks for the whole field: all purposes, all classes, …"""

    purposes: Purpose = Purpose.EMPTY  # why the data is wanted
    classes: DataClass = DataClass.EMPTY  # what kind of data
    conditions: Condition = Condition.EMPTY  # which health conditions
    sensitivities: Sensitivity = Sensitivity.EMPTY  # every label that the wanted data may carry
    settings: CareSetting = CareSetting.EMPTY  # where the care took place
    actions: Action = Action.EMPTY  # what will be done with the data
    data_from: date = EPOCH_DAY  # first day of the data; 1970-01-01 = that day and everything earlier
    data_until: date | None = None  # last day of the data, inclusive; None = no end
    research: ResearchUse = ResearchUse.EMPTY  # permissions asked for and obligations accepted


def minute(moment: datetime) -> int:
    """Return the whole minutes since 1970-01-01T00:00Z that have passed at an aware moment, rounded down."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise RuleFieldError("moment", moment, "a time without a zone is ambiguous", "Pass tzinfo=UTC.")
    return (moment - _EPOCH) // _MINUTE


def from_minute(minutes: int) -> datetime:
    """Return the moment, in UTC, at which a minute since 1970-01-01T00:00Z begins."""
    return _EPOCH + minutes * _MINUTE


def encode(rule: Rule) -> int:
    """Return the rule's word. Raises `RuleFieldError` for a value that its field cannot hold.

    It does not ask whether the word may be written: see `validate`.
    """
    return (
        _number("sequence", rule.sequence)
        | _number("index", rule.index)
        | _number("terms", rule.terms)
        | _flag("deny", rule.deny)
        | _flag("delegable", rule.delegable)
        | _flag("breakGlassRefused", rule.break_glass_refused)
        | _flag("follows", rule.follows)
        | _flag("revoked", rule.revoked)
        | _bits("partyKinds", rule.party_kinds)
        | _day("dataFrom", rule.data_from)
        | _day("dataUntil", rule.data_until, no_end=NO_END_DAY)
        | _moment("validFrom", rule.valid_from)
        | _moment("validUntil", rule.valid_until, no_end=NO_END_MINUTE)
        | _encode_codes(rule)
    )


def decode(word: int) -> Rule:
    """Return the rule that a word says. Raises `ReservedBitsError` for a bit that nothing stands behind."""
    _check_defined(word, DEFINED)
    data_until = FIELDS["dataUntil"].of(word)
    valid_until = FIELDS["validUntil"].of(word)
    return Rule(
        sequence=FIELDS["sequence"].of(word),
        index=FIELDS["index"].of(word),
        terms=FIELDS["terms"].of(word),
        deny=bool(FLAG_FIELDS["deny"].of(word)),
        delegable=bool(FLAG_FIELDS["delegable"].of(word)),
        break_glass_refused=bool(FLAG_FIELDS["breakGlassRefused"].of(word)),
        follows=bool(FLAG_FIELDS["follows"].of(word)),
        revoked=bool(FLAG_FIELDS["revoked"].of(word)),
        party_kinds=PartyKind(FIELDS["partyKinds"].of(word)),
        data_from=EPOCH_DAY + timedelta(days=FIELDS["dataFrom"].of(word)),
        data_until=None if data_until == NO_END_DAY else EPOCH_DAY + timedelta(days=data_until),
        valid_from=from_minute(FIELDS["validFrom"].of(word)),
        valid_until=None if valid_until == NO_END_MINUTE else from_minute(valid_until),
        purposes=Purpose(FIELDS["purposes"].of(word)),
        classes=DataClass(FIELDS["classes"].of(word)),
        conditions=Condition(FIELDS["conditions"].of(word)),
        sensitivities=Sensitivity(FIELDS["sensitivities"].of(word)),
        settings=CareSetting(FIELDS["settings"].of(word)),
        actions=Action(FIELDS["actions"].of(word)),
        research=ResearchUse(FIELDS["research"].of(word)),
    )


def encode_request(request: Request) -> int:
    """Return the request's word: the rule's layout, with everything that only a rule has left zero.

    Raises `RuleFieldError` for a value that its field cannot hold.
    """
    return (
        _day("dataFrom", request.data_from)
        | _day("dataUntil", request.data_until, no_end=NO_END_DAY)
        | _encode_codes(request)
    )


def decode_request(word: int) -> Request:
    """Return the request that a word says. Raises `ReservedBitsError` for a bit that no request has.

    dataUntil 0 and 0xFFFF both mean no end, so two words may give one request.
    """
    allowed = sum(FIELDS[name].defined for name in (*_CODE_FIELDS, "dataFrom", "dataUntil", "research"))
    _check_defined(word, allowed)
    data_until = FIELDS["dataUntil"].of(word)
    return Request(
        purposes=Purpose(FIELDS["purposes"].of(word)),
        classes=DataClass(FIELDS["classes"].of(word)),
        conditions=Condition(FIELDS["conditions"].of(word)),
        sensitivities=Sensitivity(FIELDS["sensitivities"].of(word)),
        settings=CareSetting(FIELDS["settings"].of(word)),
        actions=Action(FIELDS["actions"].of(word)),
        data_from=EPOCH_DAY + timedelta(days=FIELDS["dataFrom"].of(word)),
        data_until=None if data_until in (0, NO_END_DAY) else EPOCH_DAY + timedelta(days=data_until),
        research=ResearchUse(FIELDS["research"].of(word)),
    )


def validate(word: int) -> None:
    """Check that a subject may write this word, as the contract does; the contract reverts otherwise.

    Raises `ReservedBitsError` for a reserved bit, `RuleFieldError` for the first other rule that is broken.
    """
    _check_defined(word, DEFINED)
    for name in ("follows", "revoked"):
        if FLAG_FIELDS[name].of(word):
            raise RuleFieldError(name, True, "only the contract sets this flag", f"Leave {name} off.")
    for name in ("partyKinds", *_CODE_FIELDS):
        if FIELDS[name].of(word) == 0:
            raise RuleFieldError(
                name, 0, "an empty field would match nothing", "Name at least one code, or ALL for every one."
            )
    valid_from, valid_until = FIELDS["validFrom"].of(word), FIELDS["validUntil"].of(word)
    if valid_from >= valid_until:
        raise RuleFieldError(
            "validFrom", valid_from, f"it must be before validUntil, {valid_until}", "Correct the times."
        )
    data_from, data_until = FIELDS["dataFrom"].of(word), FIELDS["dataUntil"].of(word)
    if data_from > data_until:
        raise RuleFieldError(
            "dataFrom", data_from, f"it must not be after dataUntil, {data_until}", "Correct the days."
        )
    _validate_research(
        Purpose(FIELDS["purposes"].of(word)),
        ResearchUse(FIELDS["research"].of(word)),
        deny=bool(FLAG_FIELDS["deny"].of(word)),
    )
    sequence = FIELDS["sequence"].of(word)
    if not 1 <= sequence <= LAST_SEQUENCE:
        raise RuleFieldError(
            "sequence",
            sequence,
            f"a written rule counts from 1 to {LAST_SEQUENCE}",
            "Add 1 to the stored sequence; where that is used up, revoke the rule and take another index.",
        )


def _validate_research(purposes: Purpose, research: ResearchUse, *, deny: bool) -> None:
    """Check the research field against the purposes and the deny flag."""
    if not purposes & Purpose.RESEARCH:
        if research:
            raise RuleFieldError(
                "research", research, "no purpose of this rule is research", "Clear it, or add HRESCH."
            )
        return
    if not research & ResearchUse.PERMISSIONS:
        raise RuleFieldError(
            "research",
            research,
            "a rule for research names at least one permission",
            "Add NRES, GRU, HMB, DS or POA.",
        )
    if deny and research & ResearchUse.MODIFIERS:
        raise RuleFieldError(
            "research",
            research & ResearchUse.MODIFIERS,
            "a deny rule carries no obligations",
            "Leave the modifiers out.",
        )
    if not deny and research != research.with_narrower():
        included = ", ".join(str(code.name) for code in research.with_narrower() & ~research)
        raise RuleFieldError(
            "research",
            research,
            f"a permit names every permission that its permissions include, here {included} as well",
            "Write research.with_narrower().",
        )


def _check_defined(word: int, allowed: int) -> None:
    """Refuse a word with any bit outside the allowed ones, negative numbers and overlong ones included."""
    if isinstance(word, bool) or not isinstance(word, int) or not 0 <= word < 1 << WORD_BITS:
        raise RuleFieldError("word", word, "a word is an integer from 0 to 2**256 - 1", "Pass a uint256.")
    if word & ~allowed:
        raise ReservedBitsError(word, word & ~allowed)


def _encode_codes(source: Rule | Request) -> int:
    """Encode the fields that rules and requests share."""
    return (
        _bits("purposes", source.purposes)
        | _bits("classes", source.classes)
        | _bits("conditions", source.conditions)
        | _bits("sensitivities", source.sensitivities)
        | _bits("settings", source.settings)
        | _bits("actions", source.actions)
        | _bits("research", source.research)
    )


def _number(name: str, value: int) -> int:
    """Place a plain number."""
    field = FIELDS[name]
    highest = (1 << field.width) - 1
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise RuleFieldError(name, value, f"it must be an integer from 0 to {highest}", "Choose a value in that range.")
    return value << field.offset


def _flag(name: str, value: bool) -> int:
    """Place a flag."""
    if not isinstance(value, bool):
        raise RuleFieldError(name, value, "a flag is True or False", "Pass a bool.")
    return value << FLAG_FIELDS[name].offset


def _bits(name: str, value: CodedFlag) -> int:
    """Place a set of codes; one of another list is refused, for its bits would mean something else."""
    field = FIELDS[name]
    if field.codes is None or not isinstance(value, field.codes):
        wanted = field.codes.__name__ if field.codes else "number"
        raise RuleFieldError(name, value, f"this field holds {wanted} codes", f"Use medproof.policy.codes.{wanted}.")
    return value.value << field.offset


def _day(name: str, value: date | None, *, no_end: int | None = None) -> int:
    """Place a day. `no_end` is the value that stands for None."""
    field = FIELDS[name]
    if value is None and no_end is not None:
        return no_end << field.offset
    if isinstance(value, datetime) or not isinstance(value, date):
        raise RuleFieldError(name, value, "it must be a date without a time", "Pass datetime.date.")
    days = (value - EPOCH_DAY).days
    highest = NO_END_DAY if no_end is None else NO_END_DAY - 1
    if not 0 <= days <= highest:
        last = EPOCH_DAY + timedelta(days=highest)
        step = "Use 1970-01-01 for everything earlier" + (", None for no end." if no_end is not None else ".")
        raise RuleFieldError(name, value, f"it must be from {EPOCH_DAY} to {last}", step)
    return days << field.offset


def _moment(name: str, value: datetime | None, *, no_end: int | None = None) -> int:
    """Place a moment. `no_end` is the value that stands for None."""
    field = FIELDS[name]
    if value is None and no_end is not None:
        return no_end << field.offset
    if not isinstance(value, datetime) or value.tzinfo is None or value.utcoffset() is None:
        raise RuleFieldError(name, value, "it must be a datetime with a zone", "Pass tzinfo=UTC.")
    minutes, rest = divmod(value - _EPOCH, _MINUTE)
    if rest:
        raise RuleFieldError(name, value, "it must be a whole minute", "Drop seconds and microseconds.")
    highest = NO_END_MINUTE if no_end is None else NO_END_MINUTE - 1
    if not 0 <= minutes <= highest:
        raise RuleFieldError(
            name,
            value,
            f"it must be from {_EPOCH.isoformat()} to {from_minute(highest).isoformat()}",
            "Use None for no end." if no_end is not None else "Choose a moment in that range.",
        )
    return minutes << field.offset
