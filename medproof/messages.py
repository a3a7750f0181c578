"""The EIP-712 messages of the suite, as a wallet shows and signs them: one field per meaning, never a packed word.

Each function returns the typed data for one message of one contract. Types, names and their order are those of the
contract's type hashes; a test compares the two. Times are in seconds since 1970 (deadlines), minutes (a rule's
period) or days (its data period), as the field's name says in docs/rule-word.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.address import to_checksum_address

from medproof.errors import MessageError
from medproof.policy.delegation import DELEGATION_FIELDS, Scope
from medproof.policy.device import DEVICE_FIELDS
from medproof.policy.word import FIELDS, FLAGS

__all__ = [
    "MESSAGE_TYPES",
    "Domain",
    "FreeMessage",
    "TypedData",
    "acceptance",
    "adjudication",
    "answer",
    "appeal",
    "appeal_decision",
    "batch",
    "cancellation",
    "choice",
    "claim_batch",
    "compact",
    "confirmation",
    "delegation",
    "delegation_revocation",
    "device",
    "device_revocation",
    "dispute",
    "encounter",
    "fill",
    "flag",
    "flag_decision",
    "guardians",
    "inclusion_promise",
    "issue",
    "objection",
    "opening",
    "opt_in",
    "opt_out",
    "payout",
    "pend",
    "recovery",
    "release",
    "replacement",
    "result",
    "result_acceptance",
    "review",
    "revocation",
    "rule",
    "settlement",
    "submission",
    "supply",
    "transfer",
    "void",
    "withdrawal",
]

DOMAIN_FIELDS = "string name,string version,uint256 chainId,address verifyingContract"

# The members of each message, in the contract's order, each as "type name".
MESSAGE_TYPES: Mapping[str, str] = {
    "Rule": (
        "address subject,address grantee,uint8 index,uint16 sequence,bool deny,bool delegable,"
        "bool breakGlassRefused,bytes32 terms,uint8 partyKinds,uint16 dataFrom,uint16 dataUntil,uint32 validFrom,"
        "uint32 validUntil,uint16 purposes,uint24 classes,uint24 conditions,uint24 sensitivities,uint8 settings,"
        "uint8 actions,uint24 research,uint256 deadline"
    ),
    "Revocation": "address subject,address grantee,uint8 index,uint16 sequence,uint256 deadline",
    "Withdrawal": "address subject,uint256 deadline",
    "Review": "address subject,uint256 opening,uint8 review,bytes32 remark,uint256 deadline",
    "Delegation": (
        "address subject,address delegate,address delegator,uint16 delegatorSequence,uint16 sequence,uint8 kind,"
        "bool mayGrant,bool mayRevoke,bool mayView,bool mayDelegate,uint32 validFrom,uint32 validUntil,uint256 deadline"
    ),
    "DelegationRevocation": "address subject,address delegate,address by,uint16 sequence,uint256 deadline",
    "Guardians": "address subject,address by,bytes32 commitment,uint48 round,uint256 deadline",
    "Recovery": "address guardian,address subject,address successor,uint48 round,uint256 deadline",
    "Objection": "address subject,address by,uint48 round,uint256 deadline",
    "Acceptance": "address subject,address custodian,bytes32 commitment,uint32 sequence,uint256 deadline",
    "Dispute": ("address subject,address custodian,bytes32 commitment,bytes32 reason,uint32 sequence,uint256 deadline"),
    "Submission": (
        "address provider,address payer,address patient,bytes32 registration,bytes32 commitment,bytes32 nullifier,"
        "bytes32 softKey,uint32 rulesNumber,bytes32 rules,uint256 deadline"
    ),
    "ClaimBatch": "address provider,bytes32 root,bytes32[] nullifiers,uint256 deadline",
    "Release": "address provider,bytes32 root,bytes32 nullifier,uint256 deadline",
    "Pend": "bytes32 claim,uint32 number,bytes32 request,uint256 deadline",
    "Answer": "bytes32 claim,uint32 number,bytes32 reply,uint256 deadline",
    "Adjudication": "bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline",
    "Appeal": "bytes32 claim,address by,bytes32 grounds,uint256 deadline",
    "AppealDecision": "bytes32 claim,bool upheld,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline",
    "Settlement": "bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline",
    "Void": "bytes32 claim,uint256 deadline",
    "Replacement": "bytes32 claim,bytes32 correction,uint32 rulesNumber,bytes32 rules,uint256 deadline",
    "Encounter": "address patient,bytes32 encounter,uint256 deadline",
    "Flag": "bytes32 earlier,bytes32 later,address by,uint256 deadline",
    "FlagDecision": "bytes32 earlier,bytes32 later,uint8 decision,bytes32 reason,uint256 deadline",
    "Batch": "address publisher,uint32 log,uint64 size,bytes32 root,bool consistent,uint256 deadline",
    "Opening": "address subject,address custodian,uint8 dataClass,bytes32 commitment,uint256 deadline",
    "InclusionPromise": "address custodian,uint32 log,bytes32 entry,uint256 due",
    "Device": (
        "address subject,address device,uint16 sequence,uint24 classes,uint32 validFrom,uint32 validUntil,"
        "uint256 deadline"
    ),
    "DeviceRevocation": "address subject,address device,uint16 sequence,uint256 deadline",
    "Issue": (
        "address prescriber,address patient,bytes32 content,address pharmacy,uint8 fills,uint16 quantity,"
        "uint16 validUntil,uint16 size,uint256 deadline"
    ),
    "Fill": "bytes32 prescription,uint8 number,uint16 before,uint16 quantity,uint256 deadline",
    "Choice": "bytes32 prescription,address pharmacy,uint8 sequence,uint256 deadline",
    "Transfer": "bytes32 prescription,address to,uint8 sequence,uint256 deadline",
    "Cancellation": "bytes32 prescription,uint256 deadline",
    "Supply": "bytes32 prescription,address pharmacy,uint16 quantity,uint256 deadline",
    "Confirmation": "bytes32 prescription,uint256 deadline",
    "OptIn": (
        "address subject,bytes32 study,uint16 sequence,address researcher,uint16 lastDay,uint16 dataFrom,"
        "uint16 dataUntil,uint16 purposes,uint24 classes,uint24 conditions,uint24 sensitivities,uint8 settings,"
        "uint8 actions,uint24 research,uint256 deadline"
    ),
    "OptOut": "address subject,bytes32 study,uint16 sequence,uint256 deadline",
    "ResultAcceptance": "bytes32 bounty,bytes32 study,bytes32 result,uint256 deadline",
    "Payout": (
        "bytes32 bounty,bytes32 study,bytes32 answer,address payee,address token,uint128 payment,address to,"
        "uint256 deadline"
    ),
    "Result": "bytes32 study,bytes32 cohort,address custodian,bytes32 commitment,uint256 deadline",
}


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain of one contract on one chain; a signature counts there and nowhere else."""

    contract: str  # the contract's name, such as "ConsentRegistry"
    chain_id: int
    address: str  # the contract's address

    def as_dict(self) -> dict[str, Any]:
        """The domain as EIP-712 spells it."""
        return {
            "name": f"MedProof {self.contract}",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": self.address,
        }


@dataclass(frozen=True)
class TypedData:
    """One message ready to be signed."""

    domain: Domain
    primary_type: str  # a key of MESSAGE_TYPES
    message: Mapping[str, Any]  # the members by name

    @property
    def types(self) -> Mapping[str, str]:
        """The types that it is made of, each with its members in order as "type name"."""
        return {self.primary_type: MESSAGE_TYPES[self.primary_type]}

    def as_dict(self) -> dict[str, Any]:
        """The whole document, as wallets take it in ``eth_signTypedData_v4``."""
        return {
            "types": {name: _members(said) for name, said in {"EIP712Domain": DOMAIN_FIELDS, **self.types}.items()},
            "primaryType": self.primary_type,
            "domain": self.domain.as_dict(),
            "message": dict(self.message),
        }

    def signable(self) -> SignableMessage:
        """The form that eth-account signs."""
        return encode_typed_data(full_message=self.as_dict())


@dataclass(frozen=True)
class FreeMessage(TypedData):
    """A message that is for no contract: it brings its own types."""

    own: Mapping[str, str]  # as in MESSAGE_TYPES, the primary type among them

    @property
    def types(self) -> Mapping[str, str]:
        """The types that it is made of, each with its members in order as "type name"."""
        return self.own


def rule(domain: Domain, *, subject: str, grantee: str, word: int, terms: bytes, deadline: int) -> TypedData:
    """A rule that a subject grants or changes; `terms` is the 32-byte hash behind the word's terms number."""
    codes = {name: FIELDS[name].of(word) for name in _RULE_FIELDS}
    flags = {flag.name: bool(flag.of(word)) for flag in FLAGS if flag.name in _RULE_FLAGS}
    return TypedData(
        domain,
        "Rule",
        {"subject": subject, "grantee": grantee, **codes, **flags, "terms": terms, "deadline": deadline},
    )


def revocation(domain: Domain, *, subject: str, grantee: str, index: int, sequence: int, deadline: int) -> TypedData:
    """A subject's revocation of a rule; it overtakes every rule signed with a lower sequence."""
    return TypedData(
        domain,
        "Revocation",
        {"subject": subject, "grantee": grantee, "index": index, "sequence": sequence, "deadline": deadline},
    )


def withdrawal(domain: Domain, *, subject: str, deadline: int) -> TypedData:
    """A subject's withdrawal from everything, for good."""
    return TypedData(domain, "Withdrawal", {"subject": subject, "deadline": deadline})


def review(domain: Domain, *, subject: str, opening: int, review: int, remark: bytes, deadline: int) -> TypedData:
    """What a subject says of an opening in an emergency; `remark` is a 32-byte commitment to its words, or zero."""
    return TypedData(
        domain,
        "Review",
        {"subject": subject, "opening": opening, "review": review, "remark": remark, "deadline": deadline},
    )


def delegation(domain: Domain, *, subject: str, delegate: str, word: int, deadline: int) -> TypedData:
    """A delegation by the word's delegator: the subject, or a delegate that may delegate."""
    said = {name: field.of(word) for name, field in DELEGATION_FIELDS.items()}
    scopes = Scope(said.pop("scopes"))
    return TypedData(
        domain,
        "Delegation",
        {
            **said,
            "subject": subject,
            "delegate": delegate,
            "delegator": to_checksum_address(f"0x{said['delegator']:040x}"),
            "mayGrant": Scope.GRANT in scopes,
            "mayRevoke": Scope.REVOKE in scopes,
            "mayView": Scope.VIEW in scopes,
            "mayDelegate": Scope.DELEGATE in scopes,
            "deadline": deadline,
        },
    )


def delegation_revocation(
    domain: Domain, *, subject: str, delegate: str, by: str, sequence: int, deadline: int
) -> TypedData:
    """A revocation of a delegation; it overtakes every delegation signed with a lower sequence."""
    return TypedData(
        domain,
        "DelegationRevocation",
        {"subject": subject, "delegate": delegate, "by": by, "sequence": sequence, "deadline": deadline},
    )


def guardians(
    domain: Domain, *, subject: str, by: str, commitment: bytes, round_number: int, deadline: int
) -> TypedData:
    """The naming of those who may recover a subject's key; `commitment` is 32 bytes, zero for nobody."""
    return TypedData(
        domain,
        "Guardians",
        {"subject": subject, "by": by, "commitment": commitment, "round": round_number, "deadline": deadline},
    )


def recovery(
    domain: Domain, *, guardian: str, subject: str, successor: str, round_number: int, deadline: int
) -> TypedData:
    """A guardian's approval of a recovery."""
    return TypedData(
        domain,
        "Recovery",
        {
            "guardian": guardian,
            "subject": subject,
            "successor": successor,
            "round": round_number,
            "deadline": deadline,
        },
    )


def objection(domain: Domain, *, subject: str, by: str, round_number: int, deadline: int) -> TypedData:
    """An objection to recoveries up to a round."""
    return TypedData(domain, "Objection", {"subject": subject, "by": by, "round": round_number, "deadline": deadline})


def acceptance(
    domain: Domain, *, subject: str, custodian: str, commitment: bytes, sequence: int, deadline: int
) -> TypedData:
    """A subject's acceptance of a pointer, as it stands at `sequence`."""
    return TypedData(
        domain,
        "Acceptance",
        {
            "subject": subject,
            "custodian": custodian,
            "commitment": commitment,
            "sequence": sequence,
            "deadline": deadline,
        },
    )


def opening(
    domain: Domain, *, subject: str, custodian: str, data_class: int, commitment: bytes, deadline: int
) -> TypedData:
    """A subject's consent to have a pointer taken out of a batch; `data_class` is the number of its bit."""
    return TypedData(
        domain,
        "Opening",
        {
            "subject": subject,
            "custodian": custodian,
            "dataClass": data_class,
            "commitment": commitment,
            "deadline": deadline,
        },
    )


def dispute(
    domain: Domain,
    *,
    subject: str,
    custodian: str,
    commitment: bytes,
    reason: bytes,
    sequence: int,
    deadline: int,
) -> TypedData:
    """A subject's dispute of a pointer; `reason` is a 32-byte commitment to the reason, or zero."""
    return TypedData(
        domain,
        "Dispute",
        {
            "subject": subject,
            "custodian": custodian,
            "commitment": commitment,
            "reason": reason,
            "sequence": sequence,
            "deadline": deadline,
        },
    )


def submission(
    domain: Domain,
    *,
    provider: str,
    payer: str,
    patient: str,
    registration: bytes,
    commitment: bytes,
    nullifier: bytes,
    soft_key: bytes,
    rules_number: int,
    rules: bytes,
    deadline: int,
) -> TypedData:
    """A provider's submission of a claim under the payer's rules of this number, whose 32-byte hash is `rules`."""
    return TypedData(
        domain,
        "Submission",
        {
            "provider": provider,
            "payer": payer,
            "patient": patient,
            "registration": registration,
            "commitment": commitment,
            "nullifier": nullifier,
            "softKey": soft_key,
            "rulesNumber": rules_number,
            "rules": rules,
            "deadline": deadline,
        },
    )


def claim_batch(domain: Domain, *, provider: str, root: bytes, nullifiers: Sequence[bytes], deadline: int) -> TypedData:
    """A provider's submission of a batch of claims, by its root and their nullifiers."""
    return TypedData(
        domain,
        "ClaimBatch",
        {"provider": provider, "root": root, "nullifiers": list(nullifiers), "deadline": deadline},
    )


def release(domain: Domain, *, provider: str, root: bytes, nullifier: bytes, deadline: int) -> TypedData:
    """A provider's release of a nullifier that waits in its batch."""
    return TypedData(
        domain,
        "Release",
        {"provider": provider, "root": root, "nullifier": nullifier, "deadline": deadline},
    )


def pend(domain: Domain, *, claim: bytes, number: int, request: bytes, deadline: int) -> TypedData:
    """A payer's request for more, the claim's `number`th; `request` is a 32-byte commitment to what it asks for."""
    return TypedData(domain, "Pend", {"claim": claim, "number": number, "request": request, "deadline": deadline})


def answer(domain: Domain, *, claim: bytes, number: int, reply: bytes, deadline: int) -> TypedData:
    """A provider's answer to the `number`th request; `reply` is a 32-byte commitment to it."""
    return TypedData(domain, "Answer", {"claim": claim, "number": number, "reply": reply, "deadline": deadline})


def adjudication(
    domain: Domain, *, claim: bytes, outcome: int, rules: bytes, response: bytes, deadline: int
) -> TypedData:
    """A payer's decision; `rules` is the hash of the rules it followed, `response` a commitment to its answer."""
    return _decision("Adjudication", domain, claim, outcome, rules, response, deadline)


def appeal(domain: Domain, *, claim: bytes, by: str, grounds: bytes, deadline: int) -> TypedData:
    """An appeal by a claim's provider or patient; `grounds` is a 32-byte commitment to why."""
    return TypedData(domain, "Appeal", {"claim": claim, "by": by, "grounds": grounds, "deadline": deadline})


def appeal_decision(
    domain: Domain, *, claim: bytes, upheld: bool, outcome: int, rules: bytes, response: bytes, deadline: int
) -> TypedData:
    """A payer's decision of an appeal."""
    decided = _decision("AppealDecision", domain, claim, outcome, rules, response, deadline)
    return replace(decided, message={**decided.message, "upheld": upheld})


def settlement(
    domain: Domain, *, claim: bytes, outcome: int, rules: bytes, response: bytes, deadline: int
) -> TypedData:
    """The settlement of a claim as it was decided; provider, payer and, where the rules say so, patient sign it."""
    return _decision("Settlement", domain, claim, outcome, rules, response, deadline)


def void(domain: Domain, *, claim: bytes, deadline: int) -> TypedData:
    """The agreement that a claim is void."""
    return TypedData(domain, "Void", {"claim": claim, "deadline": deadline})


def replacement(
    domain: Domain, *, claim: bytes, correction: bytes, rules_number: int, rules: bytes, deadline: int
) -> TypedData:
    """The agreement that `correction` replaces `claim`; both are claim ids."""
    return TypedData(
        domain,
        "Replacement",
        {
            "claim": claim,
            "correction": correction,
            "rulesNumber": rules_number,
            "rules": rules,
            "deadline": deadline,
        },
    )


def encounter(domain: Domain, *, patient: str, encounter: bytes, deadline: int) -> TypedData:
    """A patient's registration of an encounter, by its salted id of 32 bytes."""
    return TypedData(domain, "Encounter", {"patient": patient, "encounter": encounter, "deadline": deadline})


def flag(domain: Domain, *, earlier: bytes, later: bytes, by: str, deadline: int) -> TypedData:
    """A party's flag that two claims look alike."""
    return TypedData(domain, "Flag", {"earlier": earlier, "later": later, "by": by, "deadline": deadline})


def flag_decision(
    domain: Domain, *, earlier: bytes, later: bytes, decision: int, reason: bytes, deadline: int
) -> TypedData:
    """A payer's decision of a flag; `reason` is a 32-byte commitment to why."""
    return TypedData(
        domain,
        "FlagDecision",
        {"earlier": earlier, "later": later, "decision": decision, "reason": reason, "deadline": deadline},
    )


def batch(
    domain: Domain, *, publisher: str, log: int, size: int, root: bytes, consistent: bool, deadline: int
) -> TypedData:
    """A publisher's batch: its log of that number has `size` leaves and this 32-byte root.

    `consistent` says that it counts only with the proof that it begins with what was anchored last.
    """
    return TypedData(
        domain,
        "Batch",
        {
            "publisher": publisher,
            "log": log,
            "size": size,
            "root": root,
            "consistent": consistent,
            "deadline": deadline,
        },
    )


def inclusion_promise(domain: Domain, *, custodian: str, log: int, entry: bytes, due: int) -> TypedData:
    """A custodian's promise that an entry, a 32-byte commitment, is in its log by `due` (seconds since 1970)."""
    return TypedData(domain, "InclusionPromise", {"custodian": custodian, "log": log, "entry": entry, "due": due})


def device(domain: Domain, *, subject: str, device: str, word: int, deadline: int) -> TypedData:
    """A device that is registered for a subject, or whose registration is changed."""
    said = {name: field.of(word) for name, field in DEVICE_FIELDS.items()}
    return TypedData(domain, "Device", {"subject": subject, "device": device, **said, "deadline": deadline})


def device_revocation(domain: Domain, *, subject: str, device: str, sequence: int, deadline: int) -> TypedData:
    """A revocation of a device; it overtakes every registration signed with a lower sequence."""
    return TypedData(
        domain,
        "DeviceRevocation",
        {"subject": subject, "device": device, "sequence": sequence, "deadline": deadline},
    )


def issue(
    domain: Domain,
    *,
    prescriber: str,
    patient: str,
    content: bytes,
    pharmacy: str,
    fills: int,
    quantity: int,
    valid_until: int,
    size: int,
    deadline: int,
) -> TypedData:
    """A prescriber's prescription, or batch of `size` of them; `content` commits to what is prescribed."""
    return TypedData(
        domain,
        "Issue",
        {
            "prescriber": prescriber,
            "patient": patient,
            "content": content,
            "pharmacy": pharmacy,
            "fills": fills,
            "quantity": quantity,
            "validUntil": valid_until,
            "size": size,
            "deadline": deadline,
        },
    )


def fill(domain: Domain, *, prescription: bytes, number: int, before: int, quantity: int, deadline: int) -> TypedData:
    """A pharmacy's fill of that number, of which `before` was given before and `quantity` is given now."""
    return TypedData(
        domain,
        "Fill",
        {
            "prescription": prescription,
            "number": number,
            "before": before,
            "quantity": quantity,
            "deadline": deadline,
        },
    )


def choice(domain: Domain, *, prescription: bytes, pharmacy: str, sequence: int, deadline: int) -> TypedData:
    """The patient's choice of the pharmacy; it follows the change of that sequence."""
    return TypedData(
        domain,
        "Choice",
        {"prescription": prescription, "pharmacy": pharmacy, "sequence": sequence, "deadline": deadline},
    )


def transfer(domain: Domain, *, prescription: bytes, to: str, sequence: int, deadline: int) -> TypedData:
    """The agreement of two pharmacies, each by its own signature, that a prescription goes to one of them."""
    return TypedData(
        domain,
        "Transfer",
        {"prescription": prescription, "to": to, "sequence": sequence, "deadline": deadline},
    )


def cancellation(domain: Domain, *, prescription: bytes, deadline: int) -> TypedData:
    """A prescriber's cancellation of a prescription, or of a batch."""
    return TypedData(domain, "Cancellation", {"prescription": prescription, "deadline": deadline})


def supply(domain: Domain, *, prescription: bytes, pharmacy: str, quantity: int, deadline: int) -> TypedData:
    """A pharmacy's supply in an emergency."""
    return TypedData(
        domain,
        "Supply",
        {"prescription": prescription, "pharmacy": pharmacy, "quantity": quantity, "deadline": deadline},
    )


def confirmation(domain: Domain, *, prescription: bytes, deadline: int) -> TypedData:
    """A prescriber's confirmation of a supply in an emergency."""
    return TypedData(domain, "Confirmation", {"prescription": prescription, "deadline": deadline})


def opt_in(
    domain: Domain,
    *,
    subject: str,
    study: bytes,
    sequence: int,
    researcher: str,
    last_day: int,
    request: int,
    deadline: int,
) -> TypedData:
    """A subject's choice to take part in a study; `request` is the word of what the study asks for."""
    asked = {name: FIELDS[name].of(request) for name in _REQUEST_FIELDS}
    return TypedData(
        domain,
        "OptIn",
        {
            "subject": subject,
            "study": study,
            "sequence": sequence,
            "researcher": researcher,
            "lastDay": last_day,
            **asked,
            "deadline": deadline,
        },
    )


def opt_out(domain: Domain, *, subject: str, study: bytes, sequence: int, deadline: int) -> TypedData:
    """A subject's choice not to take part in a study; it overtakes every choice signed with a lower sequence."""
    return TypedData(domain, "OptOut", {"subject": subject, "study": study, "sequence": sequence, "deadline": deadline})


def result(
    domain: Domain, *, study: bytes, cohort: bytes, custodian: str, commitment: bytes, deadline: int
) -> TypedData:
    """A custodian's answer over a cohort of a study; `commitment` is a 32-byte commitment to it."""
    return TypedData(
        domain,
        "Result",
        {"study": study, "cohort": cohort, "custodian": custodian, "commitment": commitment, "deadline": deadline},
    )


def result_acceptance(domain: Domain, *, bounty: bytes, study: bytes, result: bytes, deadline: int) -> TypedData:
    """A funder's acceptance of a published result, by its id, for a bounty."""
    return TypedData(
        domain, "ResultAcceptance", {"bounty": bounty, "study": study, "result": result, "deadline": deadline}
    )


def payout(
    domain: Domain,
    *,
    bounty: bytes,
    study: bytes,
    answer: bytes,
    payee: str,
    token: str,
    payment: int,
    to: str,
    deadline: int,
) -> TypedData:
    """A payee's claim to be paid for an answer; `to` receives the tokens, `payment` in the token's unit."""
    return TypedData(
        domain,
        "Payout",
        {
            "bounty": bounty,
            "study": study,
            "answer": answer,
            "payee": payee,
            "token": token,
            "payment": payment,
            "to": to,
            "deadline": deadline,
        },
    )


_RULE_FLAGS = ("deny", "delegable", "breakGlassRefused")  # the other flags are the contract's
_REQUEST_FIELDS = (
    "dataFrom",
    "dataUntil",
    "purposes",
    "classes",
    "conditions",
    "sensitivities",
    "settings",
    "actions",
    "research",
)
_RULE_FIELDS = ("index", "sequence", "partyKinds", "validFrom", "validUntil", *_REQUEST_FIELDS)


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """A key's signature of 65 bytes in the short form of EIP-2098: r, and s with the parity in its highest bit.

    Raises:
        MessageError: it is no signature of a key, as that of a contract wallet.
    """
    if len(signature) != 65 or signature[64] not in (27, 28) or signature[32] >= 0x80:
        raise MessageError("This is no signature of a key, so it has no short form. Relay the message by itself.")
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32], s.to_bytes(32, "big")


def _decision(
    kind: str, domain: Domain, claim: bytes, outcome: int, rules: bytes, response: bytes, deadline: int
) -> TypedData:
    return TypedData(
        domain,
        kind,
        {"claim": claim, "outcome": outcome, "rules": rules, "response": response, "deadline": deadline},
    )


def _members(fields: str) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in fields.split(",")]
