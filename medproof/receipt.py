"""Consent receipts: one rule of the chain as a JSON document that its subject keeps and anyone can check.

A receipt has the fields of ISO/IEC TS 27560:2023, which grew out of the Kantara Consent Receipt 1.1, spelled as in the
guide of the W3C's Data Privacy Vocabulary group (https://w3id.org/dpv/guides/consent-27560); docs/receipt.md maps all
three. What it says is what the rule's word says, in codes and in a sentence; its `evidence` is the log entry on the
chain. `verify` renders it anew from that entry and names every field that differs.

The principal is the pseudonym, the controller the grantee's address: a receipt holds no name, as the chain holds none.
"""

from __future__ import annotations

import json
import re
import types
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from eth_utils.address import is_address, to_checksum_address

from medproof.chain import Receipt
from medproof.client import MedProof
from medproof.client.registrar import grantee_name
from medproof.decoding import Event
from medproof.errors import (
    ContractError,
    ForeignReceiptError,
    JsonError,
    MalformedReceiptError,
    ReceiptError,
    TransactionFailedError,
    UnknownEvidenceError,
)
from medproof.hashing import parse
from medproof.policy.codes import CodedFlag
from medproof.policy.sentence import describe
from medproof.policy.word import EPOCH_DAY, FIELDS, FLAG_FIELDS, Rule, decode

__all__ = [
    "SCHEMA_VERSION",
    "Coded",
    "ConsentEvent",
    "ConsentReceipt",
    "Evidence",
    "Party",
    "PrivacyNotice",
    "Processing",
    "Standing",
    "Verification",
    "author",
    "issue",
    "verify",
]

SCHEMA_VERSION = "medproof-consent-receipt-1, ISO/IEC TS 27560:2023"

_FOLLOWS = FLAG_FIELDS["follows"].mask
_RULE_EVENTS = ("RuleSet", "RuleRevoked")


# -- the document ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coded:
    """A code of one of the lists in `medproof.policy.codes`."""

    system: str  # canonical URI of the list
    code: str
    display: str


@dataclass(frozen=True)
class PrivacyNotice:
    """The consent form that the rule was made under."""

    terms_number: int  # its number in the registry
    terms_hash: str | None  # keccak-256 of the form, 0x…; null where it was not published before the rule


@dataclass(frozen=True)
class Processing:
    """What the rule permits or refuses (TS 27560, PII processing)."""

    privacy_notice: PrivacyNotice | None  # null where the rule names no terms
    language: str  # of the sentence, BCP 47
    jurisdiction: str | None  # as the issuer stated it, ISO 3166; the chain does not know it
    lawful_basis: str
    purposes: tuple[Coded, ...]
    research: tuple[Coded, ...]  # permissions and obligations, GA4GH DUO; empty unless a purpose is research
    pii_information: tuple[Coded, ...]  # the classes of data
    sensitive_pii_category: tuple[Coded, ...]  # the sensitivity labels that the data may carry
    conditions: tuple[Coded, ...]  # the health conditions that the data may be about
    care_settings: tuple[Coded, ...]  # where the care took place
    data_period: str  # days of the data, an ISO 8601 interval; an open side is ".."
    processing_method: tuple[Coded, ...]  # what may be done with the data
    pii_controllers: tuple[str, ...]  # party_id of the grantee
    recipient_third_parties: str  # whether the grantee may pass the permission on
    withdrawal_method: str


@dataclass(frozen=True)
class Party:
    """Who the rule is for (TS 27560, party identification)."""

    party_id: str  # a party's identity, or a group in the form of an address
    party_role: str
    party_type: tuple[Coded, ...]  # the kinds of party that the rule admits


@dataclass(frozen=True)
class ConsentEvent:
    """What happened to the consent (TS 27560, event), with the states of the Data Privacy Vocabulary."""

    event_time: str  # time of the block, ISO 8601
    validity_duration: str  # when the rule is in force, an ISO 8601 interval; an open end is ".."
    entity_id: str  # who acted: the subject, or its delegate
    event_type: str
    event_state: str  # ConsentGiven, ConsentRefused or ConsentWithdrawn


@dataclass(frozen=True)
class Evidence:
    """The log entry that the receipt stands on."""

    chain_id: int
    contract: str  # the ConsentRegistry
    transaction: str
    block: int
    block_hash: str
    log_index: int  # its position in the block
    word: str  # the rule, 0x…


@dataclass(frozen=True)
class ConsentReceipt:
    """A receipt for one grant, change or withdrawal of a rule."""

    schema_version: str
    receipt_id: str  # urn:uuid:…, the same for the same log entry
    record_id: str  # the rule on its chain: contract, subject, grantee, index, sequence
    pii_principal_id: str  # the subject, a pseudonym
    sentence: str  # what the rule says, for the patient
    pii_processing: Processing
    party_identification: tuple[Party, ...]
    event: ConsentEvent
    evidence: Evidence

    def to_json(self) -> str:
        """The receipt as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote; whether it is true is for `verify` to say.

        Raises:
            MalformedReceiptError: it is no JSON, or no receipt of this form.
        """
        try:
            content = parse(text.encode() if isinstance(text, str) else text)
        except (JsonError, UnicodeEncodeError) as error:
            raise MalformedReceiptError("", "is no JSON document that can be read without loss") from error
        receipt: Self = _build(cls, content, "")
        for name, pattern in _EVIDENCE_FORMS.items():
            if not pattern.fullmatch(getattr(receipt.evidence, name)):
                raise MalformedReceiptError(f"evidence.{name}", f"is not of the form {pattern.pattern}")
        return receipt


_EVIDENCE_FORMS = {
    "contract": re.compile("0x[0-9a-fA-F]{40}"),
    "transaction": re.compile("0x[0-9a-f]{64}"),
    "block_hash": re.compile("0x[0-9a-f]{64}"),
    "word": re.compile("0x[0-9a-f]{64}"),
}


def _build(kind: Any, value: object, path: str) -> Any:
    """Turn JSON into a dataclass, a tuple, a text or a number, and refuse what is not exactly of its form."""
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise MalformedReceiptError(path, "is no object")
        hints = get_type_hints(kind)
        for name in sorted(value.keys() ^ hints.keys()):
            raise MalformedReceiptError(_below(path, name), "is missing" if name in hints else "is not known")
        return kind(**{name: _build(hint, value[name], _below(path, name)) for name, hint in hints.items()})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise MalformedReceiptError(path, "is no list")
        return tuple(_build(get_args(kind)[0], one, f"{path}[{place}]") for place, one in enumerate(value))
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _build(get_args(kind)[0], value, path)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise MalformedReceiptError(path, "is no whole number" if kind is int else "is no text")
    return value


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# -- issuing -----------------------------------------------------------------------------------------------------


def issue(
    suite: MedProof,
    subject: str,
    grantee: str,
    *,
    index: int = 0,
    block: int | None = None,
    jurisdiction: str | None = None,
) -> ConsentReceipt:
    """Issue a receipt for a rule as it stood at a block: for the grant or change that made it so, or its withdrawal.

    Args:
        suite: the suite on its chain.
        subject: whose rule.
        grantee: a party's identity, or a group (`medproof.client.registrar.group_grantee`).
        index: which of the pair's rules.
        block: as of which block; the newest that has the chain's confirmations where none is given.
        jurisdiction: under which law, ISO 3166; stated by the issuer and proven by nothing.

    Raises:
        ReceiptError: there was no such rule, or an address is none.
    """
    for address in (subject, grantee):
        if not is_address(address):
            raise ReceiptError(f"{address!r} is no address. Give the subject's and the grantee's as 0x… of 20 bytes.")
    subject, grantee = to_checksum_address(subject), to_checksum_address(grantee)
    at = suite.chain.block_number() + 1 - suite.chain.confirmations if block is None else block
    events = [
        event
        for name in _RULE_EVENTS
        for event in suite.consent_registry.events(name, filters={"subject": subject, "grantee": grantee}, to_block=at)
        if FIELDS["index"].of(event.arguments["word"]) == index
    ]
    if not events:
        raise ReceiptError(
            f"There was no rule {index} of {subject} for {grantee} in block {at}. "
            "Check the addresses and the index, or wait for the grant's confirmations."
        )
    events.sort(key=lambda event: (event.block, event.index))
    # A later rule of the pair marks those before it as followed, which says nothing new of them.
    stands = events[-1].arguments["word"] | _FOLLOWS
    event = next(one for one in events if one.arguments["word"] | _FOLLOWS == stands)
    found = suite.chain.receipt(event.transaction)
    if found is None:
        raise ReceiptError(f"Transaction {event.transaction} has just left the chain. Wait, and issue it again.")
    return _render(suite, found, event, jurisdiction)


def _render(suite: MedProof, found: Receipt, event: Event, jurisdiction: str | None) -> ConsentReceipt:
    """Say all that one log entry says."""
    registry = suite.consent_registry
    chain_id = suite.chain.chain_id
    subject, grantee, word = (event.arguments[name] for name in ("subject", "grantee", "word"))
    rule = decode(word)
    record = f"eip155:{chain_id}:{registry.address}/{subject}/{grantee}/{rule.index}"
    entry = f"eip155:{chain_id}:{registry.address}/{found.transaction}/{event.index}"
    until = "" if rule.valid_until is None else _moment(rule.valid_until)
    return ConsentReceipt(
        schema_version=SCHEMA_VERSION,
        receipt_id=uuid.uuid5(uuid.NAMESPACE_URL, entry).urn,
        record_id=f"{record}/{rule.sequence}",
        pii_principal_id=subject,
        sentence=describe(rule, grantee=grantee_name(grantee)),
        pii_processing=Processing(
            privacy_notice=_notice(suite, rule.terms, event),
            language="en",
            jurisdiction=jurisdiction,
            lawful_basis="consent",
            purposes=_coded(rule.purposes),
            research=_coded(rule.research),
            pii_information=_coded(rule.classes),
            sensitive_pii_category=_coded(rule.sensitivities),
            conditions=_coded(rule.conditions),
            care_settings=_coded(rule.settings),
            data_period=_interval("" if rule.data_from == EPOCH_DAY else str(rule.data_from), _day(rule.data_until)),
            processing_method=_coded(rule.actions),
            pii_controllers=(grantee,),
            recipient_third_parties="the controller may pass the permission on" if rule.delegable else "none",
            withdrawal_method=(
                f"Revoke rule {rule.index} for {grantee} in the consent registry {registry.address} "
                f"on chain {chain_id}, by a transaction or a signed message. It counts from its block on."
            ),
        ),
        party_identification=(Party(grantee, "PII controller", _coded(rule.party_kinds)),),
        event=ConsentEvent(
            event_time=_moment(datetime.fromtimestamp(suite.chain.timestamp(found.block), UTC)),
            validity_duration=_interval(_moment(rule.valid_from), until),
            entity_id=author(found.events(registry.contract), event),
            event_type="ExplicitlyExpressedConsent",
            event_state=_state(rule),
        ),
        evidence=Evidence(
            chain_id=chain_id,
            contract=registry.address,
            transaction=found.transaction,
            block=found.block,
            block_hash=found.block_hash,
            log_index=event.index,
            word=f"{word:#066x}",
        ),
    )


def _notice(suite: MedProof, number: int, event: Event) -> PrivacyNotice | None:
    """The terms that a rule names. Those that were published after it are not its terms."""
    if number == 0:
        return None
    for published in suite.consent_registry.events("TermsPublished", filters={"number": number}, to_block=event.block):
        if (published.block, published.index) < (event.block, event.index):
            return PrivacyNotice(number, "0x" + bytes(published.arguments["terms"]).hex())
    return PrivacyNotice(number, None)


def author(events: Sequence[Event], event: Event) -> str:
    """Who made a rule: the delegate that the contract recorded right before, else the subject.

    `events` are the registry's in the event's transaction. A further rule, when it is first written, comes after those
    that it marks as followed.
    """
    subject, grantee, word = (event.arguments[name] for name in ("subject", "grantee", "word"))
    first = FIELDS["sequence"].of(word) == 1
    for before in reversed([one for one in events if one.index < event.index]):
        if before.name == "DelegateActed" and before.arguments["subject"] == subject:
            return str(before.arguments["delegate"])
        marked = first and before.name == "RuleSet" and before.arguments["word"] & _FOLLOWS
        if not marked or (before.arguments["subject"], before.arguments["grantee"]) != (subject, grantee):
            break
    return str(subject)


def _state(rule: Rule) -> str:
    if rule.revoked:
        return "ConsentWithdrawn"
    return "ConsentRefused" if rule.deny else "ConsentGiven"


def _coded(codes: CodedFlag) -> tuple[Coded, ...]:
    return tuple(Coded(codes.system.uri, one.code, one.display) for one in codes)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _interval(first: str, last: str) -> str:
    return f"{first or '..'}/{last or '..'}"


# -- verifying ---------------------------------------------------------------------------------------------------


class Standing(Enum):
    """What became of the rule since."""

    IN_FORCE = "in force"  # as the receipt says; of a refusal, too
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    CHANGED = "changed"  # or granted anew after a withdrawal
    REVOKED = "revoked"


@dataclass(frozen=True)
class Verification:
    """What the chain says of a receipt."""

    altered: tuple[str, ...]  # fields that do not say what the chain says, such as "pii_processing.purposes"
    unproven: tuple[str, ...]  # fields that the issuer stated and the chain does not know
    standing: Standing  # what became of the rule, as of the block
    block: int  # the block as of which the standing holds

    @property
    def genuine(self) -> bool:
        """Whether every field that the chain knows says what the chain says."""
        return not self.altered

    @property
    def in_force(self) -> bool:
        """Whether the receipt is genuine and its rule still counts."""
        return self.genuine and self.standing is Standing.IN_FORCE


def verify(suite: MedProof, receipt: ConsentReceipt) -> Verification:
    """Check a receipt against the chain, and see what became of its rule. No trust in its issuer is needed.

    Raises:
        ForeignReceiptError: it is for another chain, or for another contract than this deployment's registry.
        UnknownEvidenceError: its transaction, block or log entry is not on the chain: it was invented or altered, or
            the chain has dropped it since.
    """
    registry, evidence = suite.consent_registry, receipt.evidence
    for name, here in (("chain_id", suite.chain.chain_id), ("contract", registry.address)):
        if getattr(evidence, name) != here:
            raise ForeignReceiptError(f"evidence.{name}", getattr(evidence, name), here)
    try:
        found = suite.chain.receipt(evidence.transaction)
    except (ContractError, TransactionFailedError):
        found = None  # it failed, and left no log
    if found is None:
        raise UnknownEvidenceError("evidence.transaction", evidence.transaction)
    if found.block_hash != evidence.block_hash:
        raise UnknownEvidenceError("evidence.block_hash", evidence.block_hash)
    events = (one for one in found.events(registry.contract) if one.name in _RULE_EVENTS)
    event = next((one for one in events if one.index == evidence.log_index), None)
    if event is None:
        raise UnknownEvidenceError("evidence.log_index", evidence.log_index)

    jurisdiction = receipt.pii_processing.jurisdiction
    true = _render(suite, found, event, jurisdiction)
    block = suite.chain.block_number()
    return Verification(
        altered=tuple(_differences(asdict(receipt), asdict(true), "")),
        unproven=() if jurisdiction is None else ("pii_processing.jurisdiction",),
        standing=_standing(suite, event, block),
        block=block,
    )


def _differences(given: Any, true: Any, path: str) -> Iterator[str]:
    """The paths at which two documents differ; a list of another length as a whole."""
    if isinstance(true, dict) and isinstance(given, dict):
        for name, value in true.items():
            yield from _differences(given[name], value, _below(path, name))
    elif isinstance(true, tuple) and isinstance(given, tuple) and len(given) == len(true):
        for place, value in enumerate(true):
            yield from _differences(given[place], value, f"{path}[{place}]")
    elif given != true:
        yield path


def _standing(suite: MedProof, event: Event, block: int) -> Standing:
    """Compare the rule that an event left with the one that is stored."""
    subject, grantee, word = (event.arguments[name] for name in ("subject", "grantee", "word"))
    index = FIELDS["index"].of(word)
    stored = suite.consent_registry.rule(subject, grantee, index=index, block=block)
    written = decode(word)
    if stored is None or stored.sequence != written.sequence:
        return Standing.REVOKED if stored is not None and stored.revoked else Standing.CHANGED
    if stored.revoked:
        return Standing.REVOKED
    now = datetime.fromtimestamp(suite.chain.timestamp(block), UTC)
    if now < stored.valid_from:
        return Standing.NOT_YET_VALID
    if stored.valid_until is not None and now >= stored.valid_until:
        return Standing.EXPIRED
    return Standing.IN_FORCE
