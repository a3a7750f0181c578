"""Evidence of consent: lines by which a stranger verifies off line what the registry said of one request, or of one
study, as of one block, about one subject or a hundred thousand.

The first line has the question, the block's header, the contracts, and the nodes that lead to the party that asks.
Then comes a line for each subject, in their order, with what `ConsentRegistry.decide` or `Studies.mayUse` says of it.
The last has the counts and a Merkle root over the decisions. A node of the chain's trees stands once, in the first line
that needs it, and no line has one that it does not need: one state gives the same bytes. docs/evidence.md says what it
rests on: the block's hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar

from tiny_keccak import keccak256

from medproof import hashing
from medproof.client.registrar import Party
from medproof.client.studies import StudyState, Use
from medproof.errors import EvidenceError, JsonError
from medproof.evidence.consent import Asking, ProvedDecision, asking, contracts_read, decision
from medproof.evidence.header import LONGEST_HEADER, Header
from medproof.evidence.suite_state import ContractAt, Reading, SuiteState, run
from medproof.evidence.trie import LONGEST_PATH, Nodes
from medproof.fixed_cohort import Cohort, leaf_of
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.merkle import MerkleLog
from medproof.policy.evaluation import Reason
from medproof.policy.request_json import read_request, write_request
from medproof.policy.word import Request, encode_request

__all__ = ["BEGINNING", "ConsentWriter", "Each", "ProvedConsents", "Question", "read_lines", "verify_consents"]

_FORMAT, _VERSION = "medproof-consent-evidence", 1
BEGINNING = f'{{"format":"{_FORMAT}"'.encode()
"""How such a file begins."""

_LONGEST_LINE = 1 << 24  # bytes
_LONGEST_NODE = 1024  # bytes; a branch has 532
_MOST_SLOTS = 100  # for one subject: six lists of sixteen rules, which opening, the opening, a choice about a study

_Kind = TypeVar("_Kind", Reason, Use)

Each = Callable[[ProvedDecision], object]
"""Called with each subject's decision."""


@dataclass(frozen=True)
class Question:
    """What is asked, and as of which block."""

    chain_id: int
    header: Header
    contracts: Mapping[str, ContractAt]  # by name
    account: str  # that asks
    request: Request
    study: bytes | None = None  # for which study, by its id; account and request are then the study's

    def asking(self) -> Reading[Asking]:
        """Who asks for what, as the state has it."""
        return asking(self.account, encode_request(self.request), self.at, self.study)

    @property
    def at(self) -> datetime:
        """The block's time, at which rules are in force or not."""
        return datetime.fromtimestamp(self.header.timestamp, UTC)

    def to_json(self) -> JsonObject:
        """The first line, but for its nodes."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "chainId": self.chain_id,
            "block": self.header.number,
            "blockHash": self.header.hash,
            "account": self.account,
            "request": write_request(self.request),
            "study": None if self.study is None else hex_text(self.study),
            "contracts": {name: one.to_json() for name, one in self.contracts.items()},
            "header": hex_text(self.header.encoded),
        }

    @classmethod
    def from_json(cls, said: JsonReader) -> Question:
        """Read what `to_json` gave; the nodes were read before.

        Raises:
            EvidenceError: it is none, or does not name the block that it has.
        """
        contracts, study = said.object("contracts"), said.maybe_hash("study")
        found = cls(
            chain_id=said.number("chainId"),
            header=Header(said.octets("header", 1, LONGEST_HEADER)),
            contracts={name: ContractAt.from_json(contracts.object(name), name) for name in contracts_read(study)},
            account=said.address("account"),
            request=read_request(said.object("request")),
            study=study,
        )
        block, hashed = said.number("block"), hex_text(said.hash("blockHash"))
        contracts.finish()
        said.finish()
        found.header.check(hashed)
        if block != found.header.number:
            raise EvidenceError("block", f"is {block}, and the header is that of block {found.header.number}")
        return found


@dataclass(frozen=True)
class ProvedConsents:
    """What the evidence shows."""

    chain_id: int
    contracts: Mapping[str, str]  # their addresses, by name
    block: int  # as of which
    block_hash: str  # that all of it rests on
    known: bool  # whether that hash was known from elsewhere
    at: datetime  # the block's time
    account: str  # that asks
    party: Party | None  # that the account acts for; None where it is no active one
    request: Request
    study: bytes | None  # that asks, by its id
    state: StudyState | None  # what the study is at the time
    subjects: int
    permitted: int  # how many of them permit it; of a study, whose data it may use
    reasons: Mapping[Reason, int]  # how many subjects' rules decide so
    uses: Mapping[Use, int]  # of a study: how many subjects' data it may use, or why not
    root: bytes  # over the decisions, in their order
    cohort: Cohort | None  # of a study: those whose data it may use, as `Studies` knows them; None where nobody is


class ConsentWriter:
    """Writes the lines: each decision is made from the nodes that go into the file, and from nothing else."""

    def __init__(self, question: Question, nodes: Nodes) -> None:
        """Begin; `nodes` has those of the contracts and the party.

        Raises:
            EvidenceError: they prove no such contracts in that block.
        """
        nodes.passed()
        self._question, self._nodes = question, nodes
        self._state = SuiteState(question.chain_id, question.header, question.contracts, nodes)
        self.asking = run(question.asking(), self._state)
        self._written: set[bytes] = set()
        self._tally = _Tally(question.study)

    def first(self) -> bytes:
        """The first line."""
        return self._line(self._question.to_json())

    def subject(self, subject: str, each: Each) -> bytes:
        """The line of a subject, after those that come before it.

        Raises:
            EvidenceError: the nodes do not prove what its decision rests on.
        """
        decided = run(decision(self.asking, subject), self._state)
        self._tally.add(decided)
        each(decided)
        return self._line(_row(decided))

    def last(self) -> bytes:
        """The last line."""
        return _text(self._tally.to_json())

    def _line(self, said: JsonObject) -> bytes:
        """A line with the nodes that it needs and none before it had."""
        new = [one for one in self._nodes.passed() if one not in self._written]
        self._written.update(new)
        return _text({**said, "nodes": [hex_text(self._nodes[one]) for one in new]})


def verify_consents(
    lines: Iterable[bytes], known: Collection[str] = (), *, each: Each = lambda decided: None
) -> ProvedConsents:
    """What the evidence shows, if all of it holds.

    Args:
        lines: the file's, such as `read_lines` gives them.
        known: hashes of blocks that the verifier has from elsewhere. Where some are given, the evidence's is one.
        each: called with each subject's decision as it is verified; only the return says that all of them hold.

    Raises:
        EvidenceError: something does not hold; the first thing is named.
    """
    numbered = _parsed(lines)
    nodes = Nodes()
    _, first = next(numbered, (0, {}))
    if first.get("format") != _FORMAT or first.get("version") != _VERSION:
        raise EvidenceError("first line", f"is not that of {_FORMAT} {_VERSION}, the one that is known here")
    said = JsonReader(
        {name: value for name, value in first.items() if name not in ("format", "version")}, EvidenceError
    )
    added = _add_nodes(said, nodes)
    question = Question.from_json(said)
    trusted = {one.lower() for one in known}
    if trusted and question.header.hash not in trusted:
        raise EvidenceError("header", f"is of block {question.header.hash}, which is none of those that are known")
    state = SuiteState(question.chain_id, question.header, question.contracts, nodes)
    by, tally = run(question.asking(), state), _Tally(question.study)
    _check_needed("first line", added, nodes)

    end: JsonObject | None = None
    for number, value in numbered:
        if end is not None:
            raise EvidenceError(f"line {number}", "comes after the last")
        if "root" in value:
            end = value
            continue
        said = JsonReader(value, EvidenceError, f"line {number}.")
        added = _add_nodes(said, nodes)
        shown = _read_row(said)
        decided = run(decision(by, shown.subject), state)
        if decided != shown:
            rule = f"is {_said(shown)}, and the state says {_said(decided)}"
            raise EvidenceError(f"decision on {shown.subject}", rule)
        _check_needed(f"line {number}", added, nodes)
        tally.add(decided)
        each(decided)
    if end is None:
        raise EvidenceError("last line", "is missing: the file was cut short")
    if end != tally.to_json():
        raise EvidenceError("last line", f"is not {_text(tally.to_json()).decode().strip()}, as the lines come to")
    return ProvedConsents(
        chain_id=question.chain_id,
        contracts={name: one.address for name, one in question.contracts.items()},
        block=question.header.number,
        block_hash=question.header.hash,
        known=bool(trusted),
        at=question.at,
        account=question.account,
        party=by.party,
        request=question.request,
        study=by.study,
        state=by.state,
        subjects=tally.reasons.total(),
        permitted=tally.permitted,
        reasons=dict(tally.reasons),
        uses=dict(tally.uses),
        root=tally.root,
        cohort=tally.cohort(question.header),
    )


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that is open for reading, none longer than one that is refused."""
    return iter(lambda: file.readline(_LONGEST_LINE + 1), b"")


# -- lines -------------------------------------------------------------------------------------------------------


class _Tally:
    """What the decisions come to, subject after subject."""

    def __init__(self, study: bytes | None) -> None:
        self.reasons: Counter[Reason] = Counter()
        self.uses: Counter[Use] = Counter()
        self.permitted = 0
        self._study = study
        self._decisions, self._cohort = MerkleLog(), MerkleLog()
        self._last = ""

    @property
    def root(self) -> bytes:
        return self._decisions.root()

    def add(self, decided: ProvedDecision) -> None:
        """Count a decision.

        Raises:
            EvidenceError: its subject does not come after the last one.
        """
        if decided.subject.lower() <= self._last:
            raise EvidenceError(f"subject {decided.subject}", "stands there twice, or not in its order")
        self._last = decided.subject.lower()
        self.reasons[decided.reason] += 1
        self.permitted += decided.permitted
        if decided.use is not None:
            self.uses[decided.use] += 1
        if decided.permitted and self._study is not None:
            self._cohort.append(leaf_of(self._study, decided.subject))
        self._decisions.append(keccak256(hashing.canonical(_row(decided))))

    def cohort(self, header: Header) -> Cohort | None:
        """The cohort of a study as of a block: all whose data it may use."""
        if self._study is None or not self.permitted:
            return None
        root, hashed = self._cohort.root(), bytes.fromhex(header.hash[2:])
        return Cohort(self._study, root, self.permitted, header.number, hashed)

    def to_json(self) -> JsonObject:
        return {"subjects": self.reasons.total(), "permitted": self.permitted, "root": hex_text(self.root)}


def _row(decided: ProvedDecision) -> JsonObject:
    return {
        "subject": decided.subject,
        "reason": decided.reason.name,
        "grantee": decided.grantee,
        "word": f"{decided.word:#066x}" if decided.word else None,
        "use": None if decided.use is None else decided.use.name,
    }


def _read_row(said: JsonReader) -> ProvedDecision:
    word = said.maybe_hash("word")
    found = ProvedDecision(
        subject=said.address("subject"),
        reason=_named(said, "reason", Reason),
        grantee=said.maybe_address("grantee"),
        word=0 if word is None else int.from_bytes(word),
        use=None if said.take("use") is None else _named(said, "use", Use),
    )
    said.finish()
    return found


def _named(said: JsonReader, name: str, kind: type[_Kind]) -> _Kind:
    """One of a list, by its name."""
    text = said.text(name)
    if text not in kind.__members__:
        raise said.wrong(name, "is none that is known here")
    return kind[text]


def _said(decided: ProvedDecision) -> str:
    use = "" if decided.use is None else f"{decided.use.name}, "
    return use + decided.reason.name + (f" by {decided.word:#066x} for {decided.grantee}" if decided.word else "")


def _add_nodes(said: JsonReader, nodes: Nodes) -> list[bytes]:
    """Keep the nodes of a line; their hashes."""
    added = []
    for node in said.octet_strings("nodes", _MOST_SLOTS * LONGEST_PATH, longest=_LONGEST_NODE):
        if node in nodes:
            raise said.wrong("nodes", "has one that stands there twice")
        added.append(nodes.add(node))
    return added


def _check_needed(line: str, added: Iterable[bytes], nodes: Nodes) -> None:
    needed = set(nodes.passed())
    for hashed in added:
        if hashed not in needed:
            raise EvidenceError(line, f"has a node 0x{hashed.hex()} that nothing leads to")


def _text(said: JsonObject) -> bytes:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _parsed(lines: Iterable[bytes]) -> Iterator[tuple[int, JsonObject]]:
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > _LONGEST_LINE:
                raise JsonError("too long")
            value: Json = hashing.parse(line)
        except JsonError:
            raise EvidenceError(f"line {number}", "is no JSON text, or longer than any can be") from None
        if not isinstance(value, dict):
            raise EvidenceError(f"line {number}", "is no JSON object")
        yield number, value
