"""What a deployment says as of one block: which keys there ever were by its events, what they hold by its storage.

The events say where to look and what once stood; what stands is what the contracts themselves answer as of the block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof.chain import Block
from medproof.client import MedProof
from medproof.client.contract import ContractClient
from medproof.client.record_pointers import Pointer, PointerKey
from medproof.client.registrar import Party, party_from
from medproof.client.studies import Study, study_from
from medproof.migration.events import ChainEvents, Events, address_of, bytes_of, number_of
from medproof.migration.nullifiers import nullifiers_of
from medproof.policy.word import EPOCH_DAY, FIELDS, FLAG_FIELDS

__all__ = [
    "Log",
    "Member",
    "RuleKey",
    "State",
    "meaning",
    "read_state",
]

RuleKey = tuple[str, str, int]  # subject, grantee, index
_UNMEANT = FIELDS["sequence"].mask | FLAG_FIELDS["follows"].mask  # how often a rule changed, and whether one follows
_COMMON = (
    "groups",
    "terms",
    "limits",
    "members",
    "removed",
    "suspended_before",
    "accredited_before",
    "studies",
    "standing_studies",
)
_ENDS = ("StudyClosed", "ApprovalWithdrawn")


def meaning(word: int) -> int:
    """What a rule's word says: all of it but its sequence and whether another follows."""
    return word & ~_UNMEANT


@dataclass(frozen=True)
class Member:
    """A party, and what only the Registrar keeps of it."""

    party: Party
    account: str  # who acts for it
    credential: bytes  # 32 bytes
    encryption_key: bytes  # 32 bytes, zero where it has none
    offered: str | None  # the account that is to act for it, while a change of account is under way


@dataclass(frozen=True)
class Log:
    """The last that a publisher anchored of a log."""

    size: int
    root: bytes  # 32 bytes


@dataclass(frozen=True)
class State:
    """All that a migration asks of one deployment, as of one block."""

    chain_id: int
    block: Block
    groups: Mapping[int, str]  # names by number
    terms: Mapping[int, bytes]  # hashes by number
    limits: tuple[int, int]  # openings a day, longest in minutes
    members: Mapping[str, Member]  # by identity
    removed: frozenset[str]  # identities that were parties once
    suspended_before: frozenset[str]  # identities that were ever suspended
    accredited_before: frozenset[tuple[str, bytes, int]]  # identities with each credential and last day that they had
    rules: Mapping[RuleKey, int]  # words, tombstones included
    rules_before: Mapping[RuleKey, frozenset[int]]  # what each ever said, by `meaning`
    delegations: Mapping[tuple[str, str], int]  # words by subject and delegate
    delegations_before: Mapping[tuple[str, str], frozenset[int]]  # words that ever stood
    guardians: Mapping[str, bytes]  # commitments by subject
    guardians_before: Mapping[str, frozenset[bytes]]  # commitments that ever stood
    rounds: Mapping[str, int]  # of recoveries, by subject
    devices: Mapping[tuple[str, str], int]  # words by subject and device
    devices_before: Mapping[tuple[str, str], frozenset[int]]  # words that ever stood
    pointers: Mapping[PointerKey, Pointer]  # those with a slot of their own, in the order in which they came
    previous: Mapping[PointerKey, PointerKey]  # what a newer version replaced
    offers: Mapping[PointerKey, str]  # to whom custody is offered
    disputes: Mapping[bytes, bytes]  # by a pointer's id, the reason of its last dispute
    denials: Mapping[bytes, bytes]  # by a pointer's id, the reason for which its last dispute was denied
    studies: Mapping[bytes, Study]  # by id
    standing_studies: frozenset[bytes]  # ids of those that were not ended
    choices: Mapping[tuple[bytes, str], int]  # words by study and subject
    # What is no subject's, empty where one subject's part was read.
    batches: Mapping[tuple[str, bytes], int] = field(default_factory=dict)  # sizes by custodian and root
    logs: Mapping[tuple[str, int], Log] = field(default_factory=dict)  # by publisher and number
    log_keys: Mapping[tuple[str, int], str] = field(default_factory=dict)  # of access logs, by custodian and number
    nullifiers: Mapping[bytes, bytes] = field(default_factory=dict)  # who holds those that are billed, 32 bytes each
    claim_batches: frozenset[tuple[str, bytes]] = frozenset()  # provider and root
    unread_claim_batches: tuple[str, ...] = ()  # transactions whose nullifiers cannot be told
    left: Mapping[str, int] = field(default_factory=dict)  # how many there are of what stays where it is

    @property
    def minute(self) -> int:
        """The block's time in minutes since 1970."""
        return self.block.timestamp // 60

    @property
    def day(self) -> date:
        """The block's day."""
        return EPOCH_DAY + timedelta(days=self.block.timestamp // 86400)

    def subjects(self) -> frozenset[str]:
        """All subjects that ever said anything, or of whom a pointer is."""
        return frozenset(
            [
                *(key[0] for key in self.rules),
                *(key[0] for key in self.delegations),
                *self.guardians,
                *(key[0] for key in self.devices),
                *(key.subject for key in self.pointers),
                *(key[1] for key in self.choices),
            ]
        )


Progress = Callable[[str], object]


def read_state(
    suite: MedProof,
    *,
    events: Events | None = None,
    block: int | None = None,
    subject: str | None = None,
    shared: State | None = None,
    progress: Progress = lambda part: None,
) -> State:
    """Read a deployment as of a block.

    Args:
        suite: the deployment.
        events: where to look for what there is; its node where none is named.
        block: as of which block, the newest where none is named; that of an index's view where `events` are its.
        subject: whose part to read, with what is needed to understand it; all where none is named.
        shared: an earlier state, whose parties, groups, terms and studies are taken as they were.
        progress: called with the name of each part before it is read.

    Raises:
        StateUnavailableError: the node has no such block, or no longer its state.
        NodeError: nobody answers.
    """
    while True:
        at = suite.chain.block("latest" if block is None else block)
        told = events or ChainEvents(suite, at.number, whole=subject is None)
        state = _Reader(suite, told, at, subject, shared, progress).state()
        if suite.chain.block(at.number).hash == at.hash:  # else the chain was reorganised meanwhile
            return state


Key = tuple[Any, ...]


class _Reader:
    """Reads one state, part by part."""

    def __init__(
        self,
        suite: MedProof,
        events: Events,
        block: Block,
        subject: str | None,
        shared: State | None,
        progress: Progress,
    ) -> None:
        self._suite, self._events, self._block = suite, events, block
        self._subject, self._shared, self._progress = subject, shared, progress

    def state(self) -> State:
        shared = self._common() if self._shared is None else {one: getattr(self._shared, one) for one in _COMMON}
        parties = self._of_parties() if self._subject is None else {}
        return State(chain_id=self._suite.chain.chain_id, block=self._block, **shared, **self._of_subjects(), **parties)

    def _common(self) -> dict[str, Any]:
        """What whatever a subject says is understood by: the members of a state in `_COMMON`."""
        self._progress("parties")
        members, removed = self._members()
        limits = self._each(self._suite.consent_registry, "breakGlassLimits()", [()], words=2)[0]
        terms = self._all("ConsentRegistry", "TermsPublished")
        accredited = [one for name in ("PartyAccredited", "PartyRenewed") for one in self._all("Registrar", name)]
        self._progress("studies")
        studies = {one.id: one for one in map(_study, self._all("Studies", "StudyRegistered"))}
        ended = {bytes_of(one["study"]) for name in _ENDS for one in self._all("Studies", name)}
        return {
            "groups": {number_of(one["group"]): str(one["name"]) for one in self._all("Registrar", "GroupCreated")},
            "terms": {number_of(one["number"]): bytes_of(one["terms"]) for one in terms},
            "limits": (limits[0], limits[1]),
            "members": members,
            "removed": removed,
            "suspended_before": frozenset(address_of(one["party"]) for one in self._all("Registrar", "PartySuspended")),
            "accredited_before": frozenset(map(_accreditation, accredited)),
            "studies": studies,
            "standing_studies": frozenset(studies) - ended,
        }

    def _of_subjects(self) -> dict[str, Any]:
        """What subjects said, and what is said of them."""
        self._progress("rules")
        rules = self._told("ConsentRegistry", {"RuleSet": _rule, "RuleRevoked": _rule})
        rule_words = self._words(self._suite.consent_registry, "ruleOf(address,address,uint256)", rules)
        self._progress("delegations")
        delegations = self._told(
            "Delegations",
            {"DelegationSet": _delegation, "DelegationRevoked": _delegation, "RecoveryCompleted": _succession},
        )
        guarded = self._told("Delegations", {"GuardiansNamed": _guardians})
        objected = self._told("Delegations", {"RecoveryObjected": _objection})
        self._progress("devices")
        devices = self._told("Devices", {"DeviceSet": _device, "DeviceRevoked": _device})
        choices = self._told("Studies", {"OptedIn": _choice, "OptedOut": _choice})
        self._progress("pointers")
        pointers, previous = self._pointers()
        return {
            "rules": rule_words,
            "rules_before": {key: frozenset(map(meaning, words)) for key, words in rules.items()},
            "delegations": self._words(self._suite.delegations, "delegationOf(address,address)", delegations),
            "delegations_before": {key: frozenset(words) for key, words in delegations.items()},
            "guardians": self._hashes(self._suite.delegations, "guardiansOf(address)", guarded),
            "guardians_before": {key[0]: frozenset(map(_hash, words)) for key, words in guarded.items()},
            "rounds": self._rounds({**guarded, **objected}),
            "devices": self._words(self._suite.devices, "deviceOf(address,address)", devices),
            "devices_before": {key: frozenset(words) for key, words in devices.items()},
            "choices": self._words(self._suite.studies, "choiceOf(bytes32,address)", choices),
            "pointers": pointers,
            "previous": previous,
            "offers": self._offers(pointers),
            "disputes": self._reasons("PointerDisputed"),
            "denials": {} if self._subject else self._reasons("DisputeDenied"),
        }

    def _of_parties(self) -> dict[str, Any]:
        """What is no subject's: batches, logs, claims."""
        self._progress("logs")
        batches = self._told("RecordPointers", {"BatchPosted": _batch})
        logs = self._told("BatchAnchor", {"BatchAnchored": _log})
        keys = self._told("AccessLog", {"LogOpened": _log_key})
        self._progress("claims")
        nullifiers, unread = nullifiers_of(self._suite, self._events)
        return {
            "batches": self._words(self._suite.record_pointers, "batchOf(address,bytes32)", batches),
            "logs": {
                key: Log(said[1], _hash(said[0]))
                for key, said in zip(
                    logs, self._each(self._suite.batch_anchor, "latest(address,uint32)", [*logs], words=4), strict=True
                )
            },
            "log_keys": {
                key: _address(word)
                for key, word in self._words(self._suite.access_log, "signerOf(address,uint32)", keys).items()
            },
            "nullifiers": self._hashes(
                self._suite.claim_anchor, "holderOf(bytes32)", {(one,): [] for one in nullifiers}
            ),
            "claim_batches": frozenset(self._told("ClaimAnchor", {"ClaimBatchSubmitted": _claim_batch})),
            "unread_claim_batches": unread,
            "left": self._left(),
        }

    # -- events ---------------------------------------------------------------------------------------------------

    def _all(self, contract: str, name: str) -> Iterator[Mapping[str, Any]]:
        return (one.arguments for one in self._events.said(contract, name))

    def _told(
        self, contract: str, readers: Mapping[str, Callable[[Mapping[str, Any]], tuple[Key, int]]]
    ) -> dict[Key, list[int]]:
        """By key, what was ever said under it; events of the subject alone, where one is named."""
        found: defaultdict[Key, list[int]] = defaultdict(list)
        for name, reader in readers.items():
            for one in self._events.said(contract, name, self._subject):
                key, word = reader(one.arguments)
                found[key].append(word)
        return dict(found)

    # -- storage --------------------------------------------------------------------------------------------------

    def _each(
        self, client: ContractClient, signature: str, keys: Sequence[Key], *, words: int = 1
    ) -> list[tuple[int, ...]]:
        """What a view function answers for each key, in numbers."""
        if not keys:
            return []
        selector, types = keccak(text=signature)[:4], signature[signature.index("(") + 1 : -1].split(",")
        calls = [selector + (encode(types, list(key)) if key else b"") for key in keys]
        said = self._suite.chain.read_each(client.contract, calls, answer=32 * words, block=self._block.number)
        return [tuple(int.from_bytes(one[at : at + 32], "big") for at in range(0, 32 * words, 32)) for one in said]

    def _words(self, client: ContractClient, signature: str, keys: Mapping[Key, object]) -> dict[Any, int]:
        said = self._each(client, signature, [*keys])
        return {key: word for key, (word,) in zip(keys, said, strict=True) if word}

    def _hashes(self, client: ContractClient, signature: str, keys: Mapping[Key, object]) -> dict[Any, bytes]:
        return {key[0]: _hash(word) for key, word in self._words(client, signature, keys).items()}

    # -- parts ----------------------------------------------------------------------------------------------------

    def _members(self) -> tuple[dict[str, Member], frozenset[str]]:
        registrar = self._suite.registrar
        ids: list[Key] = [(address_of(one["party"]),) for one in self._all("Registrar", "PartyAccredited")]
        accounts = [_address(word) for (word,) in self._each(registrar, "accountOf(address)", ids)]
        parties = self._each(registrar, "partyOf(address)", [(one,) for one in accounts], words=5)
        credentials = self._each(registrar, "credentialOf(address)", ids)
        keys = self._each(registrar, "encryptionKeyOf(address)", ids)
        changes = self._each(registrar, "accountChangeOf(address)", ids, words=3)
        members = {}
        for (identity,), account, said, (credential,), (key,), change in zip(
            ids, accounts, parties, credentials, keys, changes, strict=True
        ):
            kind, suspended, until, groups = said[1:]
            numbers = [number for place in range(4) if (number := groups >> 16 * place & 0xFFFF)]
            party = party_from(_address(said[0]), kind, bool(suspended), until, numbers)
            if party is not None and party.id == identity:
                offered = _address(change[0]) if change[0] else None
                members[identity] = Member(party, account, _hash(credential), _hash(key), offered)
        return members, frozenset(key[0] for key in ids) - frozenset(members)

    def _rounds(self, guarded: Mapping[Key, object]) -> dict[str, int]:
        said = self._each(self._suite.delegations, "recoveryOf(address)", [*guarded], words=3)
        return {key[0]: one[2] for key, one in zip(guarded, said, strict=True)}

    def _pointers(self) -> tuple[dict[PointerKey, Pointer], dict[PointerKey, PointerKey]]:
        """Those with a slot of their own; a version always comes after the one that it replaced."""
        posted = self._events.said("RecordPointers", "PointerPosted", self._subject)
        amended = [one.arguments for one in self._events.said("RecordPointers", "PointerAmended", self._subject)]
        keys = {key.id: key for key in map(_pointer_key, (one.arguments for one in posted))}
        previous = {}
        for one in amended:
            key = _pointer_key(one)
            keys[key.id] = key
            previous[key] = keys[bytes_of(one["previous"])]
        found = self._suite.record_pointers.pointers([*keys.values()], block=self._block.number)
        return {one.key: one for one in found if one is not None}, previous

    def _offers(self, pointers: Mapping[PointerKey, Pointer]) -> dict[PointerKey, str]:
        said = self._each(self._suite.record_pointers, "nextCustodianOf(bytes32)", [(key.id,) for key in pointers])
        return {key: _address(to) for key, (to,) in zip(pointers, said, strict=True) if to}

    def _reasons(self, name: str) -> dict[bytes, bytes]:
        """By a pointer's id, the reason that was named last."""
        subject = self._subject if name == "PointerDisputed" else None
        said = self._events.said("RecordPointers", name, subject)
        return {bytes_of(one.arguments["pointer"]): bytes_of(one.arguments["reason"]) for one in said}

    def _left(self) -> dict[str, int]:
        """How many there are of what stays where it is."""

        def keys(contract: str, name: str, *members: str) -> set[Key]:
            return {tuple(one[member] for member in members) for one in self._all(contract, name)}

        complaint = ("custodian", "log", "entry")
        open_complaints = keys("AccessLog", "ComplaintFiled", *complaint) - keys(
            "AccessLog", "ComplaintAnswered", *complaint
        )
        issued = keys("Prescriptions", "PrescriptionIssued", "prescription")
        done = (keys("ClaimAnchor", name, "claim") for name in ("ClaimSettled", "ClaimVoided", "ClaimReplaced"))
        claims = keys("ClaimAnchor", "ClaimSubmitted", "claim").difference(*done)
        return {
            "prescriptions": len(issued - keys("Prescriptions", "PrescriptionCancelled", "prescription")),
            "open claims": len(claims),
            "batches of claims": len(keys("ClaimAnchor", "ClaimBatchSubmitted", "provider", "root")),
            "adjudication rules": len(keys("ClaimAnchor", "RulesPublished", "payer", "number")),
            "registered encounters": len(keys("ClaimAnchor", "EncounterRegistered", "patient", "encounter")),
            "complaints without an answer": len(open_complaints),
            "cohorts": len(keys("Studies", "CohortFixed", "cohort")),
            "results": len(keys("Studies", "ResultPublished", "study", "cohort", "custodian", "commitment")),
            "bounties": len(keys("Incentives", "BountyFunded", "bounty")),
            "openings in emergencies": len(keys("ConsentRegistry", "GlassBroken", "subject", "number")),
        }


# -- what events are about -----------------------------------------------------------------------------------------


def _rule(said: Mapping[str, Any]) -> tuple[Key, int]:
    word = number_of(said["word"])
    return (address_of(said["subject"]), address_of(said["grantee"]), FIELDS["index"].of(word)), word


def _delegation(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["subject"]), address_of(said["delegate"])), number_of(said["word"])


def _succession(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["subject"]), address_of(said["successor"])), number_of(said["word"])


def _guardians(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["subject"]),), int.from_bytes(bytes_of(said["commitment"]), "big")


def _objection(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["subject"]),), number_of(said["round"])


def _device(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["subject"]), address_of(said["device"])), number_of(said["word"])


def _choice(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (bytes_of(said["study"]), address_of(said["subject"])), number_of(said["sequence"])


def _batch(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["custodian"]), bytes_of(said["root"])), number_of(said["size"])


def _log(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["publisher"]), number_of(said["log"])), number_of(said["size"])


def _log_key(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["custodian"]), number_of(said["log"])), number_of(address_of(said["signer"]))


def _claim_batch(said: Mapping[str, Any]) -> tuple[Key, int]:
    return (address_of(said["provider"]), bytes_of(said["root"])), number_of(said["size"])


def _pointer_key(said: Mapping[str, Any]) -> PointerKey:
    return PointerKey(address_of(said["subject"]), address_of(said["custodian"]), bytes_of(said["commitment"]))


def _accreditation(said: Mapping[str, Any]) -> tuple[str, bytes, int]:
    return address_of(said["party"]), bytes_of(said["credential"]), number_of(said["validUntil"])


def _study(said: Mapping[str, Any]) -> Study:
    told = said["definition"]
    hashes = {name: bytes_of(told[name]) for name in ("protocol", "ethics")}
    custodians = [address_of(one) for one in told["custodians"]]
    named = {"researcher": address_of(told["researcher"]), "request": number_of(told["request"])}
    return study_from({**told, **hashes, **named, "custodians": custodians})


def _hash(word: int) -> bytes:
    return word.to_bytes(32, "big")


def _address(word: int) -> str:
    return str(to_checksum_address(word.to_bytes(20, "big")))
