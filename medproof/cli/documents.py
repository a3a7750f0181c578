"""What commands print as JSON: rules, requests, openings, delegations, messages' fates."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from medproof.chain import Receipt
from medproof.client.break_glass import Opening
from medproof.client.contract import SignedMessage
from medproof.client.record_pointers import Pointer
from medproof.client.registrar import grantee_name
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import DataClass
from medproof.policy.delegation import Delegation, Scope
from medproof.policy.device import Device
from medproof.policy.request_json import write_request
from medproof.policy.sentence import describe
from medproof.policy.word import Rule, encode
from medproof.relayer import Fate

__all__ = [
    "delegation_document",
    "fate_document",
    "message_document",
    "opening_document",
    "pointer_document",
    "receipt_document",
    "rule_document",
    "rule_state",
    "scope_names",
    "time_text",
]


def time_text(moment: datetime) -> str:
    """A moment as ISO 8601, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rule_document(grantee: str, rule: Rule) -> JsonObject:
    """A rule in codes, with its sentence and its word."""
    return {
        "grantee": grantee,
        "index": rule.index,
        "sequence": rule.sequence,
        "effect": "deny" if rule.deny else "permit",
        "sentence": describe(rule, grantee=grantee_name(grantee)),
        **write_request(rule),
        "party_kinds": list(rule.party_kinds.codes),
        "valid_from": time_text(rule.valid_from),
        "valid_until": None if rule.valid_until is None else time_text(rule.valid_until),
        "delegable": rule.delegable,
        "break_glass_refused": rule.break_glass_refused,
        "terms": rule.terms,
        "revoked": rule.revoked,
        "word": f"{encode(rule):#066x}",
    }


def rule_state(rule: Rule, now: datetime) -> str:
    """How a rule stands at a moment."""
    if rule.revoked:
        return "revoked"
    if now < rule.valid_from:
        return "not yet valid"
    return "expired" if rule.valid_until is not None and now >= rule.valid_until else "in force"


def pointer_document(pointer: Pointer) -> JsonObject:
    """A pointer as it stands; its place is null where it has a slot of its own."""
    key = pointer.key
    return {
        "pointer": f"0x{key.id.hex()}",
        "subject": key.subject,
        "origin": key.origin,
        "commitment": f"0x{key.commitment.hex()}",
        "custodian": pointer.custodian,
        "class": pointer.data_class.code,
        "status": pointer.status.name.lower(),
        "version": pointer.version,
        "place": pointer.place.to_json() if pointer.place else None,
    }


def opening_document(opening: Opening) -> JsonObject:
    """An opening in an emergency."""
    return {
        "number": opening.number,
        "party": opening.party,
        "opened": time_text(opening.opened),
        "until": time_text(opening.until),
        "reason": opening.reason.code,
        "review": opening.review.name.lower(),
    }


def delegation_document(delegate: str, delegation: Delegation, in_force: Scope) -> JsonObject:
    """A delegation as it is stored, and what the delegate may do now."""
    return {
        "delegate": delegate,
        "kind": None if delegation.kind is None else delegation.kind.name.lower(),
        "scopes": scope_names(delegation.scopes),
        "may_now": scope_names(in_force),
        "valid_from": time_text(delegation.valid_from),
        "valid_until": None if delegation.valid_until is None else time_text(delegation.valid_until),
        "delegator": delegation.delegator,
        "revoked": delegation.revoked,
        "sequence": delegation.sequence,
    }


def device_document(device: str, registration: Device, in_force: DataClass) -> JsonObject:
    """A device as it is registered, and what it may report now."""
    return {
        "device": device,
        "classes": [*registration.classes.codes],
        "may_now": [*in_force.codes],
        "valid_from": time_text(registration.valid_from),
        "valid_until": None if registration.valid_until is None else time_text(registration.valid_until),
        "revoked": registration.revoked,
        "sequence": registration.sequence,
    }


def scope_names(scopes: Scope) -> list[Json]:
    """The names of scopes, as they are given on the command line."""
    return [str(scope.name).lower() for scope in scopes]


def fate_document(fate: Fate) -> JsonObject:
    """What became of a message."""
    return {**asdict(fate), "state": str(fate.state), "received": time_text(fate.received)}


def message_document(message: SignedMessage) -> JsonObject:
    """A signed message, as a relayer takes it."""
    content: JsonObject = json.loads(message.to_json())
    return content


def receipt_document(receipt: Receipt) -> JsonObject:
    """A transaction that counts."""
    return {"transaction": receipt.transaction, "block": receipt.block, "gas_used": receipt.gas_used}
