"""The columns of the research data set, which is its data dictionary: what each says, in what unit, and from where.

Types are Ibis' names of them. Addresses and hashes are strings of 0x and lower-case digits. Codes are sets of bits, as
`medproof.policy.codes` has them; docs/rule-word.md prints the lists.
"""

from __future__ import annotations

from dataclasses import dataclass

from medproof.policy.codes import CodedFlag, PartyKind
from medproof.policy.word import FIELDS, FLAG_FIELDS

CodeList = type[CodedFlag]

__all__ = ["CODE_COLUMNS", "PARTITIONS", "TABLES", "Column", "Table", "column_name"]

ADDRESS, HASH, CODES, COUNT = "0x and 40 digits", "0x and 64 digits", "set of bits", "count"
BLOCK, TIME = "block number", "UTC"


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: str  # as Ibis names it
    description: str  # one line for the dictionary
    source: str  # where it comes from: a field of the rule word, an event of a contract, …
    unit: str = ""  # of the values; empty where the type says it
    optional: bool = False  # whether it may be empty
    codes: CodeList | None = None  # the code list of its bits


@dataclass(frozen=True)
class Table:
    """A table of the data set."""

    name: str
    description: str  # what a row is
    columns: tuple[Column, ...]
    order: tuple[str, ...]  # by which columns its rows are sorted

    @property
    def types(self) -> dict[str, str]:
        """Each column's type, by its name; one that is never empty with an exclamation mark, as in Ibis' schemas."""
        return {one.name: one.type if one.optional else f"!{one.type}" for one in self.columns}


def column_name(field: str) -> str:
    """The column of a field of the rule word: partyKinds is party_kinds."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)


def _field(name: str) -> Column:
    """The column of a number or a set of codes in the rule word."""
    field = FIELDS[name]
    kind = "int32"
    unit = CODES if field.codes else COUNT if name == "sequence" else "number"
    return Column(
        column_name(name), kind, field.meaning, _bits(name, field.offset, field.width), unit, False, field.codes
    )


def _flag(name: str) -> Column:
    flag = FLAG_FIELDS[name]
    return Column(column_name(name), "boolean", flag.meaning, _bits(name, flag.offset, flag.width))


def _bits(name: str, offset: int, width: int) -> str:
    place = f"bit {offset}" if width == 1 else f"bits {offset} to {offset + width - 1}"
    return f"rule word, {name}, {place}"


# Where a row belongs: the folders of the Parquet files.
PARTITIONS: tuple[Column, ...] = (
    Column("chain", "int64", "id of the chain", "eth_chainId", "EIP-155 chain id"),
    Column("authority", "string", "address of the deployment's Authority, which no other has", "manifest", ADDRESS),
)

_STANDING = Column("standing", "boolean", "whether it still stands at the data set's block", "until_block is empty")

_HISTORY: tuple[Column, ...] = (
    Column("block", "int64", "block since which it stands", "the event's block", BLOCK),
    Column("position", "int64", "place of the event among those of its block", "logIndex", "from 0"),
    Column("block_time", "timestamp('UTC')", "time of that block: when the chain knew it", "block header", TIME),
    Column(
        "until_block", "int64", "block from which it stands no more; empty while it does", "the next event", BLOCK, True
    ),
    Column("until_time", "timestamp('UTC')", "time of that block", "block header", TIME, True),
)


def _address(name: str, description: str, source: str) -> Column:
    return Column(name, "string", description, source, ADDRESS)


def _hash(name: str, description: str, source: str) -> Column:
    return Column(name, "string", description, source, HASH)


def _number(name: str, description: str, source: str, unit: str = "number") -> Column:
    return Column(name, "int64", description, source, unit)


def _tokens(name: str, description: str, source: str) -> Column:
    return Column(name, "string", description, source, "decimal digits, in the token's unit")


def _history(name: str, description: str, *columns: Column, partitions: tuple[Column, ...] = ()) -> Table:
    return Table(name, description, (*PARTITIONS, *partitions, *columns, *_HISTORY), ("block", "position"))


_GRANTEE_NUMBER = Column(
    "grantee_number", "int32", "the grantee as a number, from 0 in the order of first rules", "counted", "number"
)
_GRANTEE = _address("grantee", "for whom: a party's identity, or the number of a group", "RuleSet, RuleRevoked")
_GRANTEE_TYPE = Column("grantee_type", "string", "party, group or everyone", "grantee", "party | group | everyone")

_SCOPE_NUMBER = Column(
    "scope_number", "int32", "the scope as a number, from 0 in the order of first rules", "counted", "number"
)
_CODES = tuple(_field(name) for name, field in FIELDS.items() if field.codes)
_DATA_PERIOD = (
    Column(
        "data_from",
        "date",
        "first day of the data; empty for 1970-01-01 and earlier",
        "rule word, dataFrom",
        "day",
        True,
    ),
    Column(
        "data_until",
        "date",
        "last day of the data, inclusive; empty for no end",
        "rule word, dataUntil",
        "day",
        True,
    ),
)

_RULES = Table(
    "rules",
    "a change of a rule: what stood from a block until the next change of the same rule",
    (
        *PARTITIONS,
        _STANDING,
        Column(
            "subject_number",
            "int32",
            "the subject as a number, from 0 in the order of first rules",
            "counted",
            "number",
        ),
        _address("subject", "the pseudonymous account whose rule it is", "RuleSet, RuleRevoked"),
        _GRANTEE_NUMBER,
        _GRANTEE,
        _GRANTEE_TYPE,
        Column("rule_index", "int32", FIELDS["index"].meaning, _bits("index", FIELDS["index"].offset, 4), "number"),
        _field("sequence"),
        _field("terms"),
        _SCOPE_NUMBER,
        *(_flag(name) for name in FLAG_FIELDS),
        *_CODES,
        Column(
            "valid_from",
            "timestamp('UTC')",
            "in force from, inclusive: what the signer set",
            "rule word, validFrom",
            TIME,
        ),
        Column(
            "valid_until",
            "timestamp('UTC')",
            "in force until, exclusive: what the signer set; empty for no end",
            "rule word, validUntil",
            TIME,
            True,
        ),
        *_DATA_PERIOD,
        Column("word", "string", "the rule word as stored", "RuleSet, RuleRevoked", "64 hex digits"),
        *_HISTORY,
    ),
    ("deny", "grantee_number", "subject_number", "rule_index", "block", "position"),
)

CODE_COLUMNS: tuple[str, ...] = tuple(one.name for one in _RULES.columns if one.codes)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _RULES,
        Table(
            "grantees",
            "a grantee that any rule ever named",
            (*PARTITIONS, _GRANTEE_NUMBER, _GRANTEE, _GRANTEE_TYPE),
            ("grantee_number",),
        ),
        Table(
            "scopes",
            "what a rule speaks of: codes and data period, which many rules share",
            (*PARTITIONS, _SCOPE_NUMBER, *_CODES, *_DATA_PERIOD),
            ("scope_number",),
        ),
        _history(
            "terms",
            "published terms: the human-readable consent form that rules name",
            _number("number", "the terms' number, which rules name", "TermsPublished"),
            _hash("terms", "hash of the terms", "TermsPublished"),
        ),
        _history(
            "parties",
            "a change of a party",
            _address("party", "its identity, the account it was first accredited with", "PartyAccredited"),
            _address("account", "the account that acts for it", "PartyAccredited, AccountChanged"),
            Column("kind", "int32", "its one kind", "PartyAccredited", CODES, codes=PartyKind),
            _hash("credential", "salted hash of the credential that was checked", "PartyAccredited, PartyRenewed"),
            Column("valid_until", "date", "last day of its accreditation", "PartyAccredited, PartyRenewed", "day"),
            Column("suspended", "boolean", "whether it is suspended", "PartySuspended, PartyReinstated"),
            Column(
                "groups", "string", "numbers of its groups, the newest first", "GroupJoined, GroupLeft", "JSON list"
            ),
        ),
        _history(
            "party_groups",
            "a group of parties",
            _number("number", "the group's number", "GroupCreated"),
            Column("name", "string", "its name, as the authority wrote it", "GroupCreated"),
        ),
        _history(
            "openings",
            "an emergency in which the glass was broken, or its review",
            _address("subject", "whose data", "GlassBroken"),
            _number("number", "the subject's opening, counted", "GlassBroken"),
            _address("party", "who opened", "GlassBroken"),
            _address("account", "the account that acted for it", "GlassBroken"),
            _number("reason", "the contract's OverrideReason", "GlassBroken"),
            _hash("justification", "salted hash of the justification", "GlassBroken"),
            Column("until", "timestamp('UTC')", "open until, exclusive", "GlassBroken", TIME),
            _number("review", "the contract's Review; 0 before one", "OpeningReviewed"),
            _hash("remark", "salted hash of the reviewer's remark; zero for none", "OpeningReviewed"),
        ),
        _history(
            "claims",
            "a step of a claim",
            _hash("claim", "the claim's id", "ClaimSubmitted"),
            _address("provider", "who bills", "ClaimSubmitted"),
            _address("payer", "who is billed", "ClaimSubmitted"),
            _address("patient", "the patient's pseudonym", "ClaimSubmitted"),
            _hash("registration", "the registered encounter or prescription", "ClaimSubmitted"),
            _hash("commitment", "salted hash of the claim", "ClaimSubmitted"),
            _hash("nullifier", "keyed hash of the service that was billed", "ClaimSubmitted"),
            _hash("soft_key", "looser keyed hash, for review", "ClaimSubmitted"),
            _number("rules", "number of the payer's rules", "ClaimSubmitted"),
            _number("status", "the contract's ClaimStatus", "the step's event"),
            _number("outcome", "the contract's Outcome", "ClaimAdjudicated, AppealDecided"),
            _hash("response", "salted hash of the payer's response; zero for none", "ClaimAdjudicated, AppealDecided"),
        ),
        _history(
            "studies",
            "a study, or its end",
            _hash("study", "the study's id", "StudyRegistered"),
            _address("researcher", "identity of the party that does it", "StudyRegistered"),
            _hash("request", "what it asks for: a request in the layout of the rule word", "StudyRegistered"),
            _hash("protocol", "salted hash of the protocol", "StudyRegistered"),
            _hash("ethics", "salted hash of the ethics approval", "StudyRegistered"),
            Column("first_day", "date", "first day on which data are used", "StudyRegistered", "day"),
            Column("last_day", "date", "last such day, inclusive", "StudyRegistered", "day"),
            Column(
                "custodians",
                "string",
                "identities of those who may be asked, ascending",
                "StudyRegistered",
                "JSON list",
            ),
            _number("ended", "4 closed, 5 approval withdrawn; 0 before", "StudyClosed, ApprovalWithdrawn"),
        ),
        _history(
            "participations",
            "a subject's choice about a study",
            _hash("study", "the study's id", "OptedIn, OptedOut"),
            _address("subject", "whose choice", "OptedIn, OptedOut"),
            Column("opted_in", "boolean", "whether it takes part", "OptedIn, OptedOut"),
            _number("sequence", "counts its choices", "OptedIn, OptedOut", COUNT),
        ),
        _history(
            "cohorts",
            "a cohort that was fixed: whose data a study uses",
            _hash("study", "the study's id", "CohortFixed"),
            _hash("cohort", "the cohort's id", "CohortFixed"),
            _hash("root", "root of the Merkle log of its subjects", "CohortFixed"),
            _number("size", "how many subjects it has", "CohortFixed", COUNT),
            _number("as_of", "block as of which they were chosen", "CohortFixed", BLOCK),
            _hash("block_hash", "hash of that block, as the researcher named it", "CohortFixed"),
            Column("block_checked", "boolean", "whether the chain still knew that hash", "CohortFixed"),
        ),
        _history(
            "results",
            "a custodian's answer over a cohort",
            _hash("study", "the study's id", "ResultPublished"),
            _hash("cohort", "the cohort's id", "ResultPublished"),
            _address("custodian", "identity of the party that answered", "ResultPublished"),
            _hash("commitment", "salted hash of the answer, an aggregate", "ResultPublished"),
        ),
        _history(
            "bounties",
            "a bounty for a study's answers, each time its tokens move",
            _hash("bounty", "the bounty's id", "BountyFunded"),
            _hash("study", "the study's id", "BountyFunded"),
            _address("funder", "who pays", "BountyFunded"),
            _address("token", "the ERC-20 token", "BountyFunded"),
            _number("payee", "0 the custodian that answered, 1 each subject of the cohort", "BountyFunded"),
            _tokens("payment", "what each is paid", "BountyFunded"),
            Column("accept_until", "timestamp('UTC')", "last time at which answers are accepted", "BountyFunded", TIME),
            _tokens("free", "what no accepted answer has a claim to", "all of its events"),
            _tokens("due", "promised and not yet paid", "ResultAccepted, BountyPaid, BountyRefunded"),
            _tokens("paid", "what was paid", "BountyPaid"),
            _tokens("refunded", "what went back to the funder", "BountyRefunded"),
        ),
        Table(
            "blocks",
            "a block in which something happened, and the last that was read",
            (
                *PARTITIONS,
                _number("block", "its number", "block header", BLOCK),
                _hash("hash", "its hash", "block header"),
                Column("block_time", "timestamp('UTC')", "its time", "block header", TIME),
            ),
            ("block",),
        ),
    )
}
