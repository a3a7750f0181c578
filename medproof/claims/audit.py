"""A claim's evidence: one document by which a stranger verifies off line how the claim went, and under which rules.

It carries the claim as the chain has it, some of its fields (`medproof.claims.disclosure`), each step's transaction
with what it emitted, and what the contract's storage holds in the end (`medproof.evidence`). Verifying asks no node.
docs/evidence.md says what each part shows and what all of it rests on: the hashes of the blocks it names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tiny_keccak import keccak256

from medproof import hashing
from medproof.artifacts import artifact
from medproof.claims import disclosure
from medproof.claims.adjudication import History, adjudicate
from medproof.claims.case import Case, claim_json, read_claim_json
from medproof.claims.disclosure import Disclosure, whole_claim
from medproof.claims.plan import Plan
from medproof.claims.steps import OPEN, STEPS, ProvedStep, Reached, replay
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimState, ClaimStatus, Outcome
from medproof.decoding import Event
from medproof.errors import DisclosureError, EvidenceError, MedProofError
from medproof.evidence import (
    Place,
    ProvedState,
    StateProof,
    TransactionProof,
    locate,
    prove,
    prove_transaction,
)
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.messages import Domain
from medproof.policy.word import EPOCH_DAY

if TYPE_CHECKING:  # a log needs an extra of its own
    from medproof.claims.event_log import ClaimEventProof
    from medproof.claims.logged import LoggedEvent

__all__ = ["ClaimEvidence", "ProvedClaim", "ProvedRules", "collect"]

_FORMAT, _VERSION = "medproof-claim-evidence", 1
_LONGEST = 1 << 26  # bytes
_LONGEST_CODE = 1 << 16
_LONGEST_RULES = 1 << 22
_MOST_STEPS = 10_000
_MOST_RULES = 200  # of one payer, published after those that govern the claim
_CONTRACT = "ClaimAnchor"
_PAYERS_OWN = ("payer_number", "decided")  # of a response: no rules give them


@dataclass(frozen=True)
class ProvedRules:
    """The adjudication rules that the claim names."""

    number: int
    hash: bytes  # keccak-256 of their text
    valid_from: date
    valid_until: date | None  # the first day they govern no more
    in_force: bool | None  # on the claim's day of service; None where that is not disclosed
    text: bytes | None = field(repr=False)  # where the evidence has it, and it is the one that was hashed


@dataclass(frozen=True)
class ProvedClaim:
    """What the evidence shows."""

    claim: AnchoredClaim
    chain_id: int
    contract: str
    status: ClaimStatus
    outcome: Outcome
    paid: bool  # whether the service was settled
    response: bytes | None  # the commitment to what the payer answered last
    holds_nullifier: bool  # whether its service counts as billed by this claim
    block: int  # as of which it stands so
    at: datetime  # that block's time
    steps: tuple[ProvedStep, ...]  # in their order
    rules: ProvedRules
    disclosed: Mapping[str, Json] = field(repr=False)  # fields of the claim by path
    answered: Mapping[str, Json] = field(repr=False)  # fields of the payer's response
    recomputed: bool | None  # whether the plan gives what is shown of the response; None where it cannot be computed
    logged: tuple[ClaimEventProof, ...]  # its events in a clearing house's log
    blocks: Mapping[str, bool]  # the hashes that it rests on, and whether each was known from elsewhere


@dataclass(frozen=True)
class ClaimEvidence:
    """What `medproof claims audit` writes."""

    claim: AnchoredClaim
    code: bytes = field(repr=False)  # the contract's, whose hash the state has
    state: StateProof
    steps: tuple[TransactionProof, ...]
    rules_text: bytes | None = field(default=None, repr=False)
    disclosure: Disclosure | None = None
    response: Disclosure | None = None
    log: tuple[LoggedEvent, ...] = ()  # in a clearing house's log; needs medproof[gateway]

    def verify(self, known: Collection[str] = ()) -> ProvedClaim:
        """What the evidence shows, if all of it holds.

        Args:
            known: hashes of blocks that the verifier has from elsewhere: from a node, an explorer, a newspaper. Where
                some are given, the block of the state must be among them.

        Raises:
            EvidenceError: something does not hold; the first thing is named.
        """
        trusted = {one.lower() for one in known}
        if trusted and self.state.header.hash not in trusted:
            hashed = self.state.header.hash
            raise EvidenceError("state", f"is of block {hashed}, which is none of those that are known")
        held = self.state.verify()
        self._check_code(held)
        places = _places(self.claim, self._rules_number(held), _count(self.claim, held))
        number, hashes = held.block, {one: _word(held, members[0]) for one, members in places.rules.items()}
        steps, reached = replay(self.steps, self.claim, self._domain, hashes, until=number)
        self._check_end(held, places, reached)
        rules = self._check_rules(held, places)
        disclosed = self._disclosed(self.disclosure, "claim", self.claim.commitment)
        answered = self._disclosed(self.response, "response", reached.response)
        for one in self.log:
            one.verify(self.claim.commitment)
        headers = [self.state.header, *(one.header for one in (*self.steps, *(one.anchored for one in self.log)))]
        return ProvedClaim(
            claim=self.claim,
            chain_id=self.state.chain_id,
            contract=self.state.address,
            status=reached.status,
            outcome=reached.outcome,
            paid=_state(held, places.word).paid,
            response=reached.response if any(reached.response) else None,
            holds_nullifier=_word(held, places.holder) == self.claim.id,
            block=held.block,
            at=datetime.fromtimestamp(held.timestamp, UTC),
            steps=steps,
            rules=replace(rules, in_force=_in_force(self.claim, held, places, disclosed.get("start"))),
            disclosed=disclosed,
            answered=answered,
            recomputed=_recomputed(self.rules_text, disclosed, answered),
            logged=tuple(one.proof for one in self.log),
            blocks={one.hash: one.hash in trusted for one in headers},
        )

    # -- what verify does, in its order ------------------------------------------------------------------------------

    def _check_code(self, held: ProvedState) -> None:
        """That it is the suite's contract: else nobody knows what its storage means."""
        if keccak256(self.code) != held.code_hash:
            raise EvidenceError("code", f"is not that of {self.state.address}")
        build = artifact(_CONTRACT)
        if build.code_hash(self.code) != build.expected_code_hash:
            step = "Verify it with the version of MedProof that its deployment names"
            raise EvidenceError("code", f"is not {_CONTRACT}'s as this MedProof knows it", step)

    def _rules_number(self, held: ProvedState) -> int:
        state = _state(held, _slot("_words", self.claim.id))
        if state.status is ClaimStatus.NONE:
            raise EvidenceError("claim", f"0x{self.claim.id.hex()} is not in this contract's storage")
        return state.rules

    @property
    def _domain(self) -> Domain:
        return Domain(_CONTRACT, self.state.chain_id, self.state.address)

    def _check_end(self, held: ProvedState, places: _Places, reached: Reached) -> None:
        """That the steps lead to what the storage holds."""
        reached.check(replace(_state(held, places.word), response=_word(held, places.response)))
        opened = _word(held, places.holder) == self.claim.id
        if opened != (reached.status in OPEN):
            raise EvidenceError("nullifier", f"is {'held' if opened else 'not held'} by this claim against its status")

    def _check_rules(self, held: ProvedState, places: _Places) -> ProvedRules:
        said = {one.name: one for one in places.rules[places.rules_number]}
        hashed = said["hash"].read(_raw(held, said["hash"]))
        if self.rules_text is not None and keccak256(self.rules_text) != hashed:
            raise EvidenceError(
                "rules", f"are not those of number {places.rules_number}, whose hash is 0x{hashed.hex()}"
            )
        until = said["validUntil"].number(_raw(held, said["validUntil"]))
        return ProvedRules(
            number=places.rules_number,
            hash=hashed,
            valid_from=EPOCH_DAY + timedelta(days=said["validFrom"].number(_raw(held, said["validFrom"]))),
            valid_until=EPOCH_DAY + timedelta(days=until) if until else None,
            in_force=None,
            text=self.rules_text,
        )

    def _disclosed(self, shown: Disclosure | None, kind: str, commitment: bytes) -> Mapping[str, Json]:
        if shown is None:
            return {}
        if shown.kind != kind:
            raise EvidenceError(f"disclosure of the {kind}", f"is of a {shown.kind}")
        try:
            return shown.verify(commitment)
        except DisclosureError as error:
            raise EvidenceError(f"disclosure of the {kind}", f"does not hold: {error}") from error

    # -- the document ------------------------------------------------------------------------------------------------

    def to_json(self) -> JsonObject:
        """The evidence as JSON; `rules` is the text in hexadecimal."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "manifest": {
                "chainId": self.state.chain_id,
                "contract": self.state.address,
                "block": self.state.header.number,
                "blockHash": self.state.header.hash,
                "claim": hex_text(self.claim.id),
            },
            "claim": claim_json(self.claim),
            "code": hex_text(self.code),
            "state": self.state.to_json(),
            "steps": [one.to_json() for one in self.steps],
            "rules": None if self.rules_text is None else hex_text(self.rules_text),
            "disclosure": None if self.disclosure is None else self.disclosure.to_json(),
            "response": None if self.response is None else self.response.to_json(),
            "log": [one.to_json() for one in self.log],
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> ClaimEvidence:
        """Read what `to_json` gave; whether it is true is for `verify` to say.

        Raises:
            EvidenceError: it is none.
        """
        said = JsonReader.document(text, EvidenceError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        manifest = said.take("manifest")
        shown = [said.take(name) for name in ("disclosure", "response")]
        try:
            disclosures = [None if one is None else Disclosure.from_json(one) for one in shown]
        except DisclosureError as error:
            raise EvidenceError("disclosure", f"cannot be read: {error}") from error
        found = cls(
            claim=read_claim_json(said.object("claim")),
            code=said.octets("code", 1, _LONGEST_CODE),
            state=StateProof.from_json(said.object("state")),
            steps=tuple(TransactionProof.from_json(one) for one in said.items("steps", _MOST_STEPS)),
            rules_text=None if said.take("rules") is None else said.octets("rules", 0, _LONGEST_RULES),
            disclosure=disclosures[0],
            response=disclosures[1],
            log=tuple(_read_logged(said.items("log", _MOST_STEPS, least=0))),
        )
        said.finish()
        if manifest != found.to_json()["manifest"]:
            raise EvidenceError("manifest", "does not name what the evidence is about")
        return found


def collect(
    suite: MedProof,
    case: Case,
    *,
    shown: Iterable[str] = (),
    answered: Iterable[str] = (),
    rules_text: bytes | None = None,
    block: int | None = None,
    log: Iterable[LoggedEvent] = (),
) -> ClaimEvidence:
    """Put a claim's evidence together, and verify it.

    Args:
        suite: whose node is asked; it must serve eth_getProof.
        case: of the claim.
        shown: paths of the claim's fields that are disclosed; none of them unless they are named.
        answered: likewise of the payer's response.
        rules_text: the text of the rules that the claim names.
        block: as of which; the newest where none is given.
        log: the claim's events in a clearing house's log (`medproof.claims.logged`).

    Raises:
        CaseError: the claim is not on the chain, or was erased and fields of it are to be shown.
        EvidenceError: the node does not give what is needed, or the text is not that of the rules.
        DisclosureError: there is no such field.
        NodeError: nobody answers.
    """
    claim, anchor = case.anchored().claim, suite.claim_anchor
    number = suite.chain.block_number() if block is None else block
    state = anchor.state(claim, block=number)
    if state.status is ClaimStatus.NONE:
        step = "Submit it, or open it from its batch"
        raise EvidenceError("claim", f"0x{claim.id.hex()} is not in this contract's storage", step)
    count = int(suite.chain.call(anchor.contract, "rulesCount", [claim.payer], block=number))
    slots = _places(claim, state.rules, count).slots
    transactions = list(dict.fromkeys(one.transaction for one in _history(suite, claim, number)))
    paths, answers = list(shown), list(answered)
    response = case.response_for(state.response)
    if answers and response is None:
        raise DisclosureError(answers[0], "is of a response that the case does not have", "Ask the payer for its case")
    found = ClaimEvidence(
        claim=claim,
        code=suite.chain.code(anchor.address),
        state=prove(suite.chain, anchor.address, slots, number),
        steps=tuple(prove_transaction(suite.chain, one) for one in transactions),
        rules_text=rules_text,
        disclosure=disclosure.disclose(*case.content(), paths) if paths else None,
        response=disclosure.disclose(response.content, response.salt, answers) if response and answers else None,
        log=tuple(log),
    )
    found.verify()
    return found


def _read_logged(said: list[JsonReader]) -> list[LoggedEvent]:
    if not said:
        return []
    from medproof.claims.logged import LoggedEvent  # here, since only this part needs the extra of logs

    return [LoggedEvent.from_json(one) for one in said]


# -- where the contract keeps what is proved ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Places:
    """Where the storage holds what belongs to a claim."""

    word: Place
    response: Place
    holder: Place
    count: Place
    rules_number: int
    rules: Mapping[int, tuple[Place, ...]]  # the claim's, and those that their payer published later

    @property
    def slots(self) -> set[int]:
        """All of them."""
        alone = (self.word, self.response, self.holder, self.count)
        return {one.slot for one in (*alone, *(place for places in self.rules.values() for place in places))}


def _places(claim: AnchoredClaim, number: int, count: int) -> _Places:
    if not 0 < number <= count:
        raise EvidenceError("rules", f"of number {number} were never published")
    if count - number > _MOST_RULES:
        step = "Make the evidence as of an earlier block"
        raise EvidenceError("rules", f"were followed by {count - number} others of their payer", step)
    numbers = range(number, count + 1)
    return _Places(
        word=_slot("_words", claim.id),
        response=_slot("responseOf", claim.id),
        holder=_slot("_holders", claim.nullifier),
        count=_slot("rulesCount", claim.payer),
        rules_number=number,
        rules={one: locate(_CONTRACT, "_rules", claim.payer, one) for one in numbers},
    )


def _slot(variable: str, key: object) -> Place:
    (place,) = locate(_CONTRACT, variable, key)
    return place


def _raw(held: ProvedState, place: Place) -> bytes:
    if place.slot not in held.words:
        raise EvidenceError("state", f"lacks slot {place.slot:#066x}, which holds {place.name}")
    return held.words[place.slot]


def _word(held: ProvedState, place: Place) -> bytes:
    return place.read(_raw(held, place))


def _state(held: ProvedState, place: Place) -> ClaimState:
    try:
        return ClaimState.from_word(place.number(_raw(held, place)))
    except ValueError:
        raise EvidenceError("state", f"has a word at slot {place.slot:#066x} that is no claim's") from None


def _count(claim: AnchoredClaim, held: ProvedState) -> int:
    place = _slot("rulesCount", claim.payer)
    return place.number(_raw(held, place))


def _in_force(claim: AnchoredClaim, held: ProvedState, places: _Places, start: Json) -> bool | None:
    """Whether the claim's rules are the last published of their plan whose period holds the day of service."""
    if not isinstance(start, str):
        return None
    try:
        day = (date.fromisoformat(start) - EPOCH_DAY).days
    except ValueError:
        raise EvidenceError("disclosure of the claim", "has a start that is no day") from None
    said = {
        number: {one.name: one.number(_raw(held, one)) for one in members} for number, members in places.rules.items()
    }
    plan = said[places.rules_number]["plan"]
    governing = [
        number
        for number, rules in said.items()
        if rules["plan"] == plan
        and rules["validFrom"] <= day
        and (not rules["validUntil"] or day < rules["validUntil"])
    ]
    return bool(governing) and max(governing) == places.rules_number


def _recomputed(text: bytes | None, disclosed: Mapping[str, Json], answered: Mapping[str, Json]) -> bool | None:
    """Whether the rules, where they are a plan, give what is shown of the response to a claim that is shown whole.

    Of the patient's year nothing is known but this claim: another deductible or limit makes another response.
    """
    claim, said = whole_claim(disclosed), {path: value for path, value in answered.items() if path not in _PAYERS_OWN}
    if text is None or claim is None or not said:
        return None
    try:
        given = adjudicate(claim, Plan.from_json(hashing.parse(text)), History(claim.start.year))
    except MedProofError:
        return None
    shown = disclosure.disclose(given, hashing.new_salt(), disclosure.paths(given)).verify()
    return all(path in shown and shown[path] == value for path, value in said.items())


def _history(suite: MedProof, claim: AnchoredClaim, until: int) -> list[Event]:
    """The events of a claim's steps, oldest first."""
    anchor = suite.claim_anchor
    found = [event for name in STEPS for event in anchor.events(name, filters={"claim": claim.id}, to_block=until)]
    return sorted(found, key=lambda event: (event.block, event.index))
