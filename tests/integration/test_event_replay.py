"""All that the contracts keep, rebuilt from their events alone and compared with what they say themselves.

The replayer below knows the events and nothing else, no getter and no storage, but for the nullifiers of a batch of
claims, which stand in its transaction's input. An indexer does the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3

from medproof import messages
from medproof.client.record_pointers import PointerKey
from medproof.merkle import MerkleLog
from medproof.policy.codes import DataClass
from medproof.policy.prescription import PRESCRIPTION_FIELDS
from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    CLEARED,
    CONFIRMED,
    DENIED,
    OVERTURNED,
    PARTIAL,
    PENDED,
    RAISED,
    RELAYER,
    REPLACED,
    RULES_HASH,
    SETTLED,
    SUBMITTED,
    UPHELD,
    VOIDED,
    Desk,
    Rules,
    claim_between,
)
from tests.support.fixtures import DAY, EMERGENCY_GROUP, EVERYONE, NOBODY, PHARMACY, PROVIDER
from tests.support.prescribing import Counter, Prescription, Terms

ZERO = bytes(32)
CONTRACTS = (
    "Registrar",
    "Delegations",
    "ConsentRegistry",
    "RecordPointers",
    "ClaimAnchor",
    "BatchAnchor",
    "AccessLog",
    "Devices",
    "Prescriptions",
)
# Events whose block's time is part of what is stored.
TIMED = (
    "AccountOffered",
    "GlassBroken",
    "BatchAnchored",
    "ComplaintFiled",
    "ComplaintAnswered",
    "EncounterRegistered",
    "ClaimSubmitted",
    "ClaimPended",
    "ClaimAnswered",
    "ClaimAdjudicated",
    "ClaimAppealed",
    "AppealDecided",
    "ClaimSettled",
    "ClaimVoided",
    "ClaimReplaced",
)


# -- reading the logs -------------------------------------------------------------------------------------------


def decoded_logs(web3, contracts):
    """Every event of the contracts in the order of the chain: contract, name, arguments, the block's time."""
    found = []
    for name, contract in zip(CONTRACTS, contracts, strict=True):
        abi = json.loads((files("medproof") / "abi" / f"{name}.json").read_text())["abi"]
        events = [entry for entry in abi if entry["type"] == "event"]
        by_topic = {_topic(event): event["name"] for event in events}
        decoder = Web3().eth.contract(abi=abi)
        for log in web3.eth.get_logs({"address": contract.address, "fromBlock": 0, "toBlock": "latest"}):
            event = by_topic[bytes(log["topics"][0])]
            arguments = dict(decoder.events[event]().process_log(log)["args"])
            if event == "ClaimBatchSubmitted":  # the one that leaves something to the transaction's input
                data = web3.eth.get_transaction(log["transactionHash"])["input"]
                arguments["nullifiers"] = decoder.decode_function_input(data)[1]["nullifiers"]
            place = log["blockNumber"], log["logIndex"]
            found.append((place, name, event, arguments, web3.eth.get_block(log["blockNumber"])["timestamp"]))
    return [entry[1:] for entry in sorted(found, key=lambda entry: entry[0])]


def _topic(event):
    return bytes(event_abi_to_log_topic(event))


# -- the replayer -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartyRecord:
    kind: int
    valid_until: int
    credential: bytes
    account: str
    suspended: bool = False
    groups: tuple[int, ...] = ()  # the newest first
    change: tuple[str, int, bool] = (NOBODY, 0, False)
    key: bytes = ZERO  # for encryption


@dataclass(frozen=True)
class PointerRecord:
    custodian: str
    data_class: int
    status: int = 1
    version: int = 1
    sequence: int = 1
    previous: bytes = ZERO
    offer: str = NOBODY


@dataclass(frozen=True)
class ClaimRecord:
    payer: str
    nullifier: bytes
    rules: int
    submitted: int
    since: int
    status: int = SUBMITTED
    outcome: int = 0
    response: bytes = ZERO
    paid: bool = False
    late: bool = False
    used: int = 0
    pends: int = 0

    @property
    def kept(self) -> tuple[int | bool, ...]:
        flags = (self.paid, self.late)
        return (self.status, self.outcome, self.rules, *flags, self.submitted, self.since, self.used, self.pends)


@dataclass
class Replayed:
    """The state of the suite, event by event."""

    parties: dict[str, PartyRecord] = field(default_factory=dict)
    seen_parties: set[str] = field(default_factory=set)
    seen_accounts: set[str] = field(default_factory=set)
    group_count: int = 0
    rules: dict[tuple[str, str, int], int] = field(default_factory=dict)
    terms: dict[int, bytes] = field(default_factory=dict)
    openings: dict[str, list[tuple[str, int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    limits: tuple[int, int] = (10, 1440)
    delegations: dict[tuple[str, str], int] = field(default_factory=dict)
    guardians: dict[str, bytes] = field(default_factory=dict)
    recoveries: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    successors: dict[str, str] = field(default_factory=dict)
    pointers: dict[bytes, PointerRecord] = field(default_factory=dict)
    pointer_batches: dict[tuple[str, bytes], int] = field(default_factory=dict)
    claims: dict[bytes, ClaimRecord] = field(default_factory=dict)
    nullifiers: dict[bytes, bytes] = field(default_factory=dict)
    seen_nullifiers: set[bytes] = field(default_factory=set)
    logs: dict[tuple[str, int], tuple[bytes, int, int, int]] = field(default_factory=dict)
    signers: dict[tuple[str, int], str] = field(default_factory=dict)
    complaints: dict[tuple[str, int, bytes], tuple[int, int]] = field(default_factory=dict)
    devices: dict[tuple[str, str], int] = field(default_factory=dict)
    prescriptions: dict[bytes, int] = field(default_factory=dict)
    given: dict[bytes, int] = field(default_factory=dict)
    supplies: dict[bytes, tuple[str, int, int, int]] = field(default_factory=dict)
    payer_rules: dict[str, list[Rules]] = field(default_factory=lambda: defaultdict(list))
    claim_batches: dict[tuple[str, bytes], tuple[int, int]] = field(default_factory=dict)
    encounters: dict[tuple[str, bytes], int] = field(default_factory=dict)
    flags: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def apply(self, contract: str, event: str, arguments: dict[str, Any], time: int) -> None:
        """Two contracts may have an event of one name: a handler may name its contract."""
        handler = getattr(self, f"on_{contract}_{event}", None) or getattr(self, f"on_{event}")
        handler(**arguments, **({"time": time} if event in TIMED else {}))

    def on_CallSkipped(self, **_):  # noqa: N802 - the event's name, here and below
        pass  # what was skipped left nothing

    def _party(self, party, **changes):
        self.parties[party] = replace(self.parties[party], **changes)

    # Registrar

    def on_AuthorityUpdated(self, authority):  # noqa: N802
        pass  # OpenZeppelin's; who the authority is, is no part of what is compared

    def on_PartyAccredited(self, party, kind, credential, validUntil):  # noqa: N802, N803
        self.parties[party] = PartyRecord(kind, validUntil, credential, party)
        self.seen_parties.add(party)
        self.seen_accounts.add(party)

    def on_PartyRenewed(self, party, credential, validUntil):  # noqa: N802, N803
        self._party(party, credential=credential, valid_until=validUntil)

    def on_PartySuspended(self, party):  # noqa: N802
        self._party(party, suspended=True)

    def on_PartyReinstated(self, party):  # noqa: N802
        self._party(party, suspended=False)

    def on_PartyRemoved(self, party):  # noqa: N802
        del self.parties[party]

    def on_GroupCreated(self, group, name):  # noqa: N802
        self.group_count = group

    def on_GroupJoined(self, group, party):  # noqa: N802
        self._party(party, groups=(group, *self.parties[party].groups))

    def on_GroupLeft(self, group, party):  # noqa: N802
        self._party(party, groups=tuple(other for other in self.parties[party].groups if other != group))

    def on_AccountOffered(self, party, to, time):  # noqa: N802
        self._party(party, change=(to, time, False))
        self.seen_accounts.add(to)

    def on_RecoveryStarted(self, party, to, readyAt):  # noqa: N802, N803
        self._party(party, change=(to, readyAt, True))
        self.seen_accounts.add(to)

    def on_AccountChangeCancelled(self, party):  # noqa: N802
        self._party(party, change=(NOBODY, 0, False))

    def on_AccountChanged(self, party, to, **_):  # noqa: N802
        self._party(party, account=to, change=(NOBODY, 0, False))

    def on_EncryptionKeyPublished(self, party, key):  # noqa: N802
        self._party(party, key=key)

    # ConsentRegistry

    def on_RuleSet(self, subject, grantee, word):  # noqa: N802
        self.rules[subject, grantee, (word >> 16) & 0xF] = word

    on_RuleRevoked = on_RuleSet  # noqa: N815

    def on_TermsPublished(self, number, terms):  # noqa: N802
        self.terms[number] = terms

    def on_DelegateActed(self, **_):  # noqa: N802
        pass  # who was behind what follows is kept nowhere else

    def on_GlassBroken(self, subject, party, number, reason, until, time, **_):  # noqa: N802
        self.openings[subject].append((party, time // 60, until, reason, 0))
        assert len(self.openings[subject]) == number

    def on_OpeningReviewed(self, subject, number, review, **_):  # noqa: N802
        self.openings[subject][number - 1] = (*self.openings[subject][number - 1][:4], review)

    def on_BreakGlassLimitsSet(self, perDay, longest):  # noqa: N802, N803
        self.limits = (perDay, longest)

    # Delegations

    def on_DelegationSet(self, subject, delegate, word, **_):  # noqa: N802
        self.delegations[subject, delegate] = word

    on_DelegationRevoked = on_DelegationSet  # noqa: N815

    def on_GuardiansNamed(self, subject, commitment, round, **_):  # noqa: N802
        self.guardians[subject] = commitment
        self.recoveries[subject] = (NOBODY, 0, round)

    def on_Delegations_RecoveryStarted(self, subject, successor, readyAt, round):  # noqa: N802, N803
        self.recoveries[subject] = (successor, readyAt, round)

    def on_RecoveryApproved(self, **_):  # noqa: N802
        pass  # who approved is kept nowhere else

    def on_RecoveryObjected(self, subject, round, **_):  # noqa: N802
        self.recoveries[subject] = (NOBODY, 0, round)

    def on_RecoveryCompleted(self, subject, successor, word, round):  # noqa: N802
        self.delegations[subject, successor] = word
        self.successors[subject] = successor
        self.recoveries[subject] = (NOBODY, 0, round)

    # RecordPointers

    def _pointer(self, pointer, **changes):
        entry = self.pointers[pointer]
        self.pointers[pointer] = replace(entry, **changes)

    def on_PointerPosted(self, subject, custodian, dataClass, commitment):  # noqa: N802, N803
        pointer = keccak(encode(["address", "address", "bytes32"], [subject, custodian, commitment]))
        self.pointers[pointer] = PointerRecord(custodian, dataClass)

    def on_PointerAmended(self, pointer, subject, previous, custodian, commitment):  # noqa: N802
        before = self.pointers[previous]
        assert before.custodian == custodian
        assert pointer == keccak(encode(["address", "address", "bytes32"], [subject, custodian, commitment]))
        self._pointer(previous, status=4, sequence=before.sequence + 1, offer=NOBODY)
        self.pointers[pointer] = PointerRecord(
            custodian, before.data_class, version=before.version + 1, previous=previous
        )

    def on_PointerAccepted(self, pointer, **_):  # noqa: N802
        self._pointer(pointer, status=2, sequence=self.pointers[pointer].sequence + 1)

    def on_PointerDisputed(self, pointer, **_):  # noqa: N802
        self._pointer(pointer, status=3, sequence=self.pointers[pointer].sequence + 1)

    def on_DisputeDenied(self, pointer, custodian, **_):  # noqa: N802
        assert self.pointers[pointer].custodian == custodian
        self._pointer(pointer, status=5, sequence=self.pointers[pointer].sequence + 1)

    def on_BatchPosted(self, custodian, root, size):  # noqa: N802
        self.pointer_batches[custodian, root] = size

    def on_PointerOpened(self, pointer, root, **_):  # noqa: N802
        assert (self.pointers[pointer].custodian, root) in self.pointer_batches  # that it was posted came just before

    def on_CustodyOffered(self, pointer, to):  # noqa: N802
        self._pointer(pointer, offer=to)

    def on_CustodyTransferred(self, pointer, to, **_):  # noqa: N802
        sequence = self.pointers[pointer].sequence + 1
        self._pointer(pointer, custodian=to, sequence=sequence, offer=NOBODY)

    # ClaimAnchor

    def _claim(self, claim, **changes):
        self.claims[claim] = replace(self.claims[claim], **changes)

    def on_RulesPublished(self, payer, plan, number, rules):  # noqa: N802
        self.payer_rules[payer].append(Rules(*rules.values()))
        assert len(self.payer_rules[payer]) == number
        assert self.payer_rules[payer][-1].plan == plan

    def on_EncounterRegistered(self, patient, encounter, time):  # noqa: N802
        self.encounters[patient, encounter] = time

    def on_ClaimSubmitted(  # noqa: N802
        self, claim, provider, payer, patient, registration, commitment, nullifier, softKey, rules, time  # noqa: N803
    ):  # fmt: skip
        members = (provider, payer, patient, registration, commitment, nullifier, softKey)
        assert claim == keccak(encode(["address"] * 3 + ["bytes32"] * 4, members))
        self.claims[claim] = ClaimRecord(payer, nullifier, rules, time, time)
        self.nullifiers[nullifier] = claim
        self.seen_nullifiers.add(nullifier)

    def on_ClaimBatchSubmitted(self, provider, root, size, kind, nullifiers):  # noqa: N802
        self.claim_batches[provider, root] = (size, kind)
        batch = int.from_bytes(keccak(encode(["address", "bytes32"], [provider, root])), "big") & (1 << 160) - 1
        for index, nullifier in enumerate(nullifiers):
            self.nullifiers[nullifier] = (batch << 32 | index).to_bytes(32, "big")
            self.seen_nullifiers.add(nullifier)

    def on_ClaimOpened(self, claim, root, index):  # noqa: N802
        assert self.claims[claim].status == SUBMITTED  # its submission came just before

    def on_NullifierReleased(self, nullifier, **_):  # noqa: N802
        del self.nullifiers[nullifier]

    def on_ClaimPended(self, claim, request, time):  # noqa: N802
        before = self.claims[claim]
        self._claim(claim, status=PENDED, since=time, used=before.used + time - before.since, pends=before.pends + 1)

    def on_ClaimAnswered(self, claim, answer, time):  # noqa: N802
        self._claim(claim, status=SUBMITTED, since=time)

    def on_ClaimAdjudicated(self, claim, outcome, response, time):  # noqa: N802
        late = self._late(claim, time)
        self._claim(claim, status=ADJUDICATED, outcome=outcome, response=response, since=time, late=late)

    def on_ClaimAppealed(self, claim, by, grounds, time):  # noqa: N802
        late = self.claims[claim].status != ADJUDICATED
        self._claim(claim, status=APPEALED, since=time, late=late or self.claims[claim].late)

    def on_AppealDecided(self, claim, upheld, outcome, response, time):  # noqa: N802
        status, late = UPHELD if upheld else OVERTURNED, self._late(claim, time)
        self._claim(claim, status=status, outcome=outcome, response=response, since=time, late=late)

    def on_ClaimSettled(self, claim, time):  # noqa: N802
        self._claim(claim, status=SETTLED, paid=True, since=time, late=self._late(claim, time))

    def on_ClaimVoided(self, claim, time):  # noqa: N802
        self._closed(claim, VOIDED, time)

    def on_ClaimReplaced(self, claim, by, time):  # noqa: N802
        self._closed(claim, REPLACED, time)
        self._claim(by, paid=self.claims[claim].paid)

    def on_ClaimsFlagged(self, earlier, later, **_):  # noqa: N802
        self.flags[earlier, later] = RAISED

    def on_FlagDecided(self, earlier, later, decision, **_):  # noqa: N802
        self.flags[earlier, later] = decision

    def _closed(self, claim, status, time):
        """A replacement's own submission comes first: the nullifier may be the new claim's already."""
        self._claim(claim, status=status, since=time)
        nullifier = self.claims[claim].nullifier
        if self.nullifiers.get(nullifier) == claim:
            del self.nullifiers[nullifier]

    def _late(self, claim, time):
        """Whether the payer has been late so far, with the step that it takes now."""
        before = self.claims[claim]
        rules = self.payer_rules[before.payer][before.rules - 1]
        days, start = rules.days_to_settle, before.since
        if before.status in (SUBMITTED, PENDED):
            days, start = rules.days_to_decide, before.since - before.used
        if before.status == PENDED:
            answerable = not rules.days_to_answer or time <= before.since + rules.days_to_answer * DAY
            days, start = 0 if answerable else days, start + rules.days_to_answer * DAY
        if before.status == APPEALED:
            days = rules.days_to_decide_appeal
        return before.late or (days != 0 and time > start + days * DAY)

    # BatchAnchor

    def on_BatchAnchored(self, publisher, log, number, size, root, time):  # noqa: N802
        assert number == self.logs.get((publisher, log), (ZERO, 0, 0, 0))[2] + 1
        self.logs[publisher, log] = (root, size, number, time)

    # AccessLog

    def on_LogOpened(self, custodian, log, signer):  # noqa: N802
        self.signers[custodian, log] = signer

    def on_ComplaintFiled(self, custodian, log, entry, time, **_):  # noqa: N802
        self.complaints[custodian, log, entry] = (time, 0)

    def on_ComplaintAnswered(self, custodian, log, entry, time, **_):  # noqa: N802
        self.complaints[custodian, log, entry] = (self.complaints[custodian, log, entry][0], time)

    # Devices

    def on_DeviceSet(self, subject, device, word):  # noqa: N802
        self.devices[subject, device] = word

    on_DeviceRevoked = on_DeviceSet  # noqa: N815

    # Prescriptions

    def on_PrescriptionIssued(self, prescription, word, **_):  # noqa: N802
        self.prescriptions[prescription] = word

    on_PharmacyNamed = on_PrescriptionCancelled = on_PrescriptionRechecked = on_PrescriptionIssued  # noqa: N815

    def on_PrescriptionOpened(self, prescription):  # noqa: N802
        self.given.pop(prescription, None)
        self.prescriptions[prescription] = 0  # what it was opened for follows

    def on_PrescriptionFilled(self, prescription, word):  # noqa: N802
        if prescription in self.prescriptions:
            self.prescriptions[prescription] = word
        else:  # with its batch, which keeps all but how often
            self.given[prescription] = PRESCRIPTION_FIELDS["number"].of(word)

    def on_SupplyGiven(self, prescription, prescriber, pharmacy, quantity, day):  # noqa: N802
        self.supplies[prescription] = (pharmacy, quantity, day, 0)

    def on_SupplyConfirmed(self, prescription, day):  # noqa: N802
        self.supplies[prescription] = (*self.supplies[prescription][:3], day)


# -- the history ------------------------------------------------------------------------------------------------


@pytest.fixture
def suite(registrar, delegations, consent_registry, record_pointers, claim_anchor, batch_anchor, access_log, devices,
          prescriptions):  # fmt: skip
    first = (registrar, delegations, consent_registry, record_pointers, claim_anchor)
    return (*first, batch_anchor, access_log, devices, prescriptions)


@pytest.fixture
def parties_history(parties, registrar, admin, accounts, chain, clinic, second_clinic, payer, researcher, accredit):
    """Accreditation, groups, changes of account of every kind, suspension, removal."""
    by_admin = {"from": admin}
    cardiology = registrar.createGroup("cardiology", by_admin).return_value
    oncology = registrar.createGroup("oncology", by_admin).return_value
    trauma = registrar.createGroup("trauma", by_admin).return_value
    for group in (2, cardiology, oncology, trauma):
        registrar.joinGroup(group, clinic, by_admin)
    registrar.leaveGroup(cardiology, clinic, by_admin)
    registrar.joinGroup(cardiology, clinic, by_admin)
    registrar.leaveGroup(2, clinic, by_admin)
    registrar.joinGroup(oncology, second_clinic, by_admin)

    registrar.renew(payer, b"\x12" * 32, chain.time() // DAY + 500, by_admin)
    registrar.suspend(researcher, by_admin)
    registrar.suspend(payer, by_admin)
    registrar.reinstate(payer, by_admin)

    first, second, third, fourth, fifth, sixth = (accounts[number] for number in range(13, 19))
    for number, party in enumerate((clinic, second_clinic, payer), start=1):
        registrar.publishEncryptionKey(bytes([number]) * 32, {"from": party})
    registrar.publishEncryptionKey(ZERO, {"from": payer})  # withdrawn; the second clinic's is by its recovery
    registrar.offerAccount(first, {"from": clinic})  # taken
    registrar.takeAccount(clinic, {"from": first})
    registrar.offerAccount(second, {"from": first})  # withdrawn
    registrar.withdrawOffer({"from": first})
    registrar.offerAccount(second, {"from": payer})  # overtaken by a recovery, which is called off
    registrar.startRecovery(payer, third, by_admin)
    registrar.cancelRecovery(payer, by_admin)
    registrar.offerAccount(second, {"from": payer})  # stays
    registrar.startRecovery(second_clinic, third, by_admin)  # completed
    chain.sleep(3 * DAY + 60)
    registrar.takeAccount(second_clinic, {"from": third})
    registrar.startRecovery(researcher, fourth, by_admin)  # stays

    accredit(fifth, PROVIDER)
    registrar.publishEncryptionKey(b"\x05" * 32, {"from": fifth})
    registrar.offerAccount(sixth, {"from": fifth})
    registrar.joinGroup(trauma, fifth, by_admin)
    registrar.takeAccount(fifth, {"from": sixth})
    registrar.offerAccount(fourth, {"from": sixth})
    registrar.remove(fifth, by_admin)  # with an offer under way
    accredit(sixth, PROVIDER)  # the removed party's last account is a party of its own today


@pytest.fixture
def delegations_history(delegations, patient, second_patient, stranger, relayer, accounts, chain):
    """Delegations of every kind, further ones, revoked and resigned; recoveries objected to and completed."""
    steward, aide, proxy, heir = (accounts[number] for number in (12, 14, 15, 19))
    year = chain.time() // 60 + 365 * 1440

    def give(delegate, by, scopes, *, kind=2, sequence=1, hangs_on=0):
        word = sequence | kind << 16 | scopes << 20 | year << 52 | hangs_on << 80 | int(by.address, 16) << 96
        delegations.setDelegation(patient, delegate, word, 0, b"", {"from": by})

    give(steward, patient, 15)
    give(aide, steward, 7, hangs_on=1)
    give(proxy, patient, 1, kind=3)
    give(proxy, patient, 4, kind=1, sequence=2)
    delegations.revokeDelegation(patient, aide, aide, 2, 0, b"", {"from": aide})
    delegations.revokeDelegation(patient, proxy, patient, 9, 0, b"", {"from": patient})
    delegations.revokeDelegation(second_patient, proxy, second_patient, 3, 0, b"", {"from": second_patient})

    salt = b"\x44" * 32
    guardians = ([keccak(encode(["address", "bytes32"], [stranger.address, salt]))], 1, 3 * DAY)
    commitment = keccak(encode(["(bytes32[],uint256,uint256)"], [guardians]))
    for subject in (patient, second_patient):
        delegations.nameGuardians(subject, subject, commitment, 1, 0, b"", {"from": subject})

    def start(subject, successor, round_number):
        until, approvals = chain.time() + DAY, [(0, stranger, salt, b"")]
        delegations.startRecovery(subject, successor, round_number, until, guardians, approvals, {"from": stranger})

    start(patient, heir, 2)
    delegations.objectToRecovery(patient, patient, 6, 0, b"", {"from": patient})
    start(patient, heir, 7)
    chain.sleep(3 * DAY + 60)
    delegations.completeRecovery(patient, {"from": relayer})
    start(patient, aide, 8)  # the second successor: the first one's delegation ends
    chain.sleep(3 * DAY + 60)
    delegations.completeRecovery(patient, {"from": relayer})
    start(second_patient, heir, 2)  # stays
    delegations.nameGuardians(patient, patient, ZERO, 9, 0, b"", {"from": patient})


@pytest.fixture
def emergencies_history(
    consent_registry, delegations_history, admin, patient, second_patient, emergency_department, accounts, chain
):
    """Openings in an emergency, reviewed by subject and delegate; limits; and a withdrawal."""
    steward = accounts[12]
    by_department = {"from": emergency_department}
    consent_registry.breakGlass(patient, 1, 0, b"\x66" * 32, by_department)
    consent_registry.breakGlass(second_patient, 3, 30, ZERO, by_department)
    chain.sleep(4 * 3600)
    consent_registry.breakGlass(second_patient, 5, 1440, ZERO, by_department)
    consent_registry.reviewOpening(patient, 1, 1, ZERO, 0, b"", {"from": steward})
    consent_registry.reviewOpening(patient, 1, 2, b"\x67" * 32, 0, b"", {"from": patient})
    consent_registry.reviewOpening(second_patient, 2, 2, ZERO, 0, b"", {"from": second_patient})
    consent_registry.setBreakGlassLimits(3, 60, {"from": admin})
    consent_registry.withdraw(second_patient, 0, b"", {"from": second_patient})


@pytest.fixture
def skipped_calls(suite, stranger):
    """Calls that failed among others, in every contract that takes several: all but the Registrar."""
    for contract in suite[1:]:
        assert contract.relay([b"", b"nothing"], 100_000, {"from": stranger}).return_value == 2


@pytest.fixture
def rules_history(consent_registry, admin, patient, second_patient, clinic, researcher, rule_word, relayer, sign,
                  domain_of, chain):  # fmt: skip
    """Rules set, changed, followed and revoked, before they exist as well; terms."""
    for form in (b"\x71" * 32, b"\x72" * 32):
        consent_registry.publishTerms(form, {"from": admin})
    for index in range(3):
        consent_registry.setRule(clinic, rule_word(index=index), {"from": patient})
    consent_registry.setRule(clinic, rule_word(index=1, sequence=2, terms=2), {"from": patient})
    consent_registry.revokeRule(clinic, 0, 9, {"from": patient})
    consent_registry.setRule(EVERYONE, rule_word(deny=True), {"from": patient})
    consent_registry.setRule(EMERGENCY_GROUP, rule_word(), {"from": second_patient})
    consent_registry.revokeRule(researcher, 5, 3, {"from": second_patient})
    deadline = chain.time() + DAY
    word = rule_word(terms=1)
    message = messages.rule(
        domain_of(consent_registry),
        subject=second_patient.address,
        grantee=clinic.address,
        word=word,
        terms=b"\x71" * 32,
        deadline=deadline,
    )
    consent_registry.setRuleFor(
        second_patient, clinic, word, deadline, sign(second_patient, message), {"from": relayer}
    )
    changes = [(researcher, rule_word()), (researcher, rule_word(index=1)), (researcher, 1 << 24 | 7)]
    consent_registry.setRules(changes, {"from": patient})
    message = replace(message, message={**message.message, "sequence": 2, "terms": b"\x72" * 32})
    signature = messages.compact(sign(second_patient, message))
    change = (second_patient, clinic, rule_word(terms=2, sequence=2), deadline, *signature)
    consent_registry.setRulesFor([change], {"from": relayer})


@pytest.fixture
def pointers_history(record_pointers, registrar, accounts, clinic, second_clinic, patient, second_patient):
    """Pointers posted, answered, amended, offered and transferred."""
    at_clinic = {"from": accounts.at(registrar.accountOf(clinic))}
    at_second = {"from": accounts.at(registrar.accountOf(second_clinic))}
    first, second, third, fourth, fifth = (bytes([0x80 + number]) * 32 for number in range(5))
    for number, commitment in enumerate((first, second, third)):
        record_pointers.post(patient, number, commitment, at_clinic)
    record_pointers.post(second_patient, 21, first, at_clinic)
    record_pointers.accept(clinic, first, {"from": patient})
    record_pointers.dispute(clinic, first, b"\x91" * 32, {"from": patient})
    record_pointers.dispute(clinic, second, ZERO, {"from": patient})
    record_pointers.offerCustody(patient, clinic, first, second_clinic, at_clinic)
    record_pointers.amend(patient, clinic, first, fourth, at_clinic)  # with an offer open
    record_pointers.offerCustody(patient, clinic, fourth, second_clinic, at_clinic)
    record_pointers.takeCustody(patient, clinic, fourth, at_second)
    record_pointers.amend(patient, clinic, fourth, fifth, at_second)
    record_pointers.accept(second_clinic, fifth, {"from": patient})
    record_pointers.offerCustody(patient, clinic, third, second_clinic, at_clinic)
    record_pointers.offerCustody(second_patient, clinic, first, second_clinic, at_clinic)
    record_pointers.offerCustody(second_patient, clinic, first, NOBODY, at_clinic)
    record_pointers.denyDispute(patient, clinic, second, b"\x92" * 32, at_clinic)  # stands

    keys = [PointerKey(patient.address, clinic.address, bytes([0xA0 + number]) * 32) for number in range(3)]
    log = MerkleLog(key.leaf(DataClass.DOCUMENT) for key in keys)
    for custodian, size in ((at_clinic, 3), (at_second, 9)):
        record_pointers.postBatch(log.root(), size, custodian)
    for number, sender in ((0, {"from": patient}), (2, at_clinic)):  # the one between stays unopened
        place = (log.root(), number, list(log.inclusion_proof(number)))
        record_pointers.open(patient, clinic, 0, keys[number].commitment, place, 0, b"", sender)
    opened = keys[2].commitment
    record_pointers.dispute(clinic, opened, ZERO, {"from": patient})
    record_pointers.denyDispute(patient, clinic, opened, b"\x93" * 32, at_clinic)
    record_pointers.dispute(clinic, opened, ZERO, {"from": patient})


@pytest.fixture
def claims_history(claim_anchor, registrar, accounts, clinic, payer, second_payer, patient, relayer, sign, domain_of,
                   chain):  # fmt: skip
    """Claims brought to every state, late ones too, services billed again after a claim was closed, and batches."""
    today = chain.time() // DAY
    for number, publisher in enumerate((payer, payer, second_payer)):
        claim_anchor.publishRules(Rules(bytes([0x51 + number]) * 32, 0, today + number), {"from": publisher})

    def account_of(identity):
        return accounts.at(registrar.accountOf(identity))

    desk = Desk(claim_anchor, domain_of(claim_anchor), sign, relayer, account_of, chain.time() + 30 * DAY)
    assert bytes(claim_anchor.rulesOf(payer, 1)[0]) == RULES_HASH

    def claim(number):
        hashes = bytes([0x60 + number]) * 32, bytes([0xA0 + number]) * 32
        return claim_between(clinic, payer, *hashes, soft_key=b"\x70" * 32)

    desk.bring(claim(0), SUBMITTED)
    desk.take("submit", claim(1), RELAYER)
    desk.take("pend", claim(1), RELAYER)
    for number, outcome in ((2, APPROVED), (3, PARTIAL), (4, DENIED)):
        desk.bring(claim(number), SUBMITTED)
        desk.take("adjudicate", claim(number), RELAYER, outcome=outcome)
    desk.bring(claim(5), SETTLED)
    desk.bring(claim(6), VOIDED)
    desk.bring(claim(7), REPLACED)
    desk.take("void", claim(4))
    desk.take("replace", claim(3), correction=claim(8))  # frees one nullifier and takes another
    desk.bring(claim(9), SETTLED, PARTIAL)
    desk.take("replace", claim(9), correction=claim(9).changed(commitment=b"\x77" * 32))
    desk.take("submit", claim(6).changed(commitment=b"\x78" * 32))  # the voided service, billed anew
    for number, status in ((10, APPEALED), (11, UPHELD), (12, OVERTURNED)):
        desk.bring(claim(number), status)
    desk.bring(claim(13), PENDED)
    desk.take("answer", claim(13), RELAYER)
    claim_anchor.registerEncounter(patient, b"\x5a" * 32, 0, b"", {"from": patient})
    _batches(claim_anchor, [claim(number) for number in range(14, 17)], account_of(clinic), relayer)
    by_payer = {"from": account_of(payer)}
    for later, decision in ((1, CLEARED), (2, CONFIRMED), (13, None)):
        claim_anchor.flag(claim(0), claim(later), payer, 0, b"", by_payer)
        if decision:
            claim_anchor.decideFlag(claim(0).id, claim(later), decision, RULES_HASH, 0, b"", by_payer)
    _late_claims(claim_anchor, desk, [claim(number) for number in range(17, 22)], by_payer, chain)


def _batches(claim_anchor, claims, provider, anybody):
    """A batch of which one claim is opened, one released, and one waits."""
    log = MerkleLog(bytes(claim_anchor.leafOf(one.id, 1)) for one in claims)
    identity, nullifiers = claims[0].provider, [one.nullifier for one in claims]
    claim_anchor.submitBatch(identity, log.root(), nullifiers, 0, b"", {"from": provider})
    claim_anchor.open(claims[1], 1, log.root(), 1, list(log.inclusion_proof(1)), {"from": anybody})
    claim_anchor.release(identity, log.root(), claims[2].nullifier, 0, b"", {"from": provider})


def _late_claims(claim_anchor, desk, claims, by_payer, chain):
    """Claims whose every step comes two days after the one before, and is due a day after it."""
    rules = Rules(RULES_HASH, 1, chain.time() // DAY, 0, False, False, 1, 1, 5, 1, 1)
    number = claim_anchor.publishRules(rules, by_payer).return_value
    decided, undecided, unanswered, appealed, in_time = claims
    for one in claims:
        desk.take("submit", one, rules=number)
    desk.take("adjudicate", in_time, rules=number)
    desk.take("settle", in_time)
    desk.take("adjudicate", appealed, rules=number, outcome=DENIED)
    desk.take("appeal", appealed)
    desk.take("pend", unanswered)
    chain.sleep(2 * DAY + 60)
    chain.mine()
    desk.take("adjudicate", decided, rules=number)
    desk.take("appeal", undecided)
    desk.take("adjudicate", unanswered, rules=number)
    desk.take("decideAppeal", appealed, rules=number)


@pytest.fixture
def logs_history(parties_history, batch_anchor, registrar, accounts, clinic, payer):
    """Two logs of one party and one of another, grown with and without a proof."""
    log = MerkleLog(bytes([number]) * 32 for number in range(9))
    for publisher, number, size in ((clinic, 0, 3), (payer, 0, 1), (clinic, 7, 2), (clinic, 0, 5)):
        by = {"from": accounts.at(registrar.accountOf(publisher))}
        batch_anchor.anchor(publisher, number, size, log.root(size), 0, b"", by)
    by = {"from": accounts.at(registrar.accountOf(clinic))}
    proof = list(log.consistency_proof(5, 9))
    batch_anchor.anchorConsistent(clinic, 0, 9, log.root(9), proof, 0, b"", by)


@pytest.fixture
def complaints_history(logs_history, access_log, batch_anchor, registrar, accounts, clinic, payer, patient, stranger,
                       sign, domain_of, chain):  # fmt: skip
    """Logs opened by two parties; promises complained of, kept late, kept before, and not kept."""
    promiser, due = accounts[17], chain.time() - 60
    for custodian, number in ((clinic, 0), (clinic, 9), (payer, 0)):
        access_log.openLog(number, promiser, {"from": accounts.at(registrar.accountOf(custodian))})

    def complain(custodian, number, entry):
        message = messages.inclusion_promise(
            domain_of(access_log), custodian=custodian.address, log=number, entry=entry, due=due
        )
        access_log.complain(custodian, number, entry, due, sign(promiser, message), {"from": patient})

    for custodian, number, entry in ((clinic, 0, 4), (clinic, 0, 6), (clinic, 9, 4), (payer, 0, 0), (payer, 0, 1)):
        complain(custodian, number, bytes([entry]) * 32)
    leaves = [bytes([number]) * 32 for number in range(9)]
    access_log.answer(clinic, 0, leaves[4], 4, list(MerkleLog(leaves).inclusion_proof(4)), {"from": stranger})
    access_log.answer(payer, 0, leaves[0], 0, [], {"from": stranger})
    by_payer = {"from": accounts.at(registrar.accountOf(payer))}
    batch_anchor.anchor(payer, 0, 2, MerkleLog(leaves[:2]).root(), 0, b"", by_payer)
    access_log.answer(payer, 0, leaves[1], 1, list(MerkleLog(leaves[:2]).inclusion_proof(1)), by_payer)


@pytest.fixture
def devices_history(delegations_history, devices, patient, second_patient, accounts, relayer, sign, domain_of, chain):
    """Devices registered, changed, revoked and closed, by subject, delegate and relayer."""
    steward, meter, watch, pump = (accounts[number] for number in (12, 16, 17, 18))

    def word(sequence, classes=1 << 10):
        return sequence | classes << 16 | 5 << 40 | ((1 << 28) - 1) << 68

    devices.setDevice(patient, meter, word(1), 0, b"", {"from": patient})
    devices.setDevice(patient, watch, word(1, 0x3FFFFF), 0, b"", {"from": steward})
    devices.setDevice(patient, watch, word(2), 0, b"", {"from": patient})
    devices.revokeDevice(patient, meter, 2, 0, b"", {"from": steward})
    devices.setDevice(patient, meter, word(3), 0, b"", {"from": patient})
    devices.revokeDevice(patient, pump, 65535, 0, b"", {"from": patient})  # before it was registered
    deadline = chain.time() + DAY
    said = {"subject": second_patient.address, "device": meter.address, "deadline": deadline}
    signature = sign(second_patient, messages.device(domain_of(devices), word=word(1), **said))
    devices.setDevice(second_patient, meter, word(1), deadline, signature, {"from": relayer})
    signature = sign(second_patient, messages.device_revocation(domain_of(devices), sequence=7, **said))
    devices.revokeDevice(second_patient, meter, 7, deadline, signature, {"from": relayer})


@pytest.fixture
def prescriptions_history(
    prescriptions,
    parties_history,
    registrar,
    accredit,
    accounts,
    chain,
    sign,
    domain_of,
    relayer,
    patient,
    admin,
    pharmacy,
):
    """Prescriptions alone and in a batch: filled, moved, cancelled, held, supplied."""
    prescriber, first, second, today = accounts[18], pharmacy, accounts[19], chain.time() // DAY
    accredit(second, PHARMACY)
    counter = Counter(prescriptions, domain_of(prescriptions), sign, relayer, chain.time() + DAY)
    terms = Terms(first.address, 2, 30, today + 100)
    one, moved, promised = (Prescription(prescriber.address, patient.address, bytes([n]) * 32) for n in (1, 2, 3))
    batch = Prescription(prescriber.address, NOBODY, b"\4" * 32)
    for each in (one, moved):
        counter.by("signed").issue(each, terms, prescriber)
    counter.issue(batch, terms.changed(size=70), prescriber)
    for number, before in ((1, 0), (1, 10), (2, 0)):
        counter.fill(one.id, number, before, 10 if before == 0 and number == 1 else 30 - before, first)
    counter.supply(one, 6, first)
    counter.supply(promised, 3, second)
    counter.confirm(one, prescriber)
    counter.choose(moved, second, patient)
    counter.transfer(moved.id, first, giving=second, receiving=first, sender=first, sequence=1)
    counter.fill_batch(batch.id, [(1, 1), (2, 1), (64, 1), (1, 2), (70, 1)], first)
    counter.fill(batch.at(64).id, 2, 0, 10, first)
    counter.choose(batch.at(3), second, prescriber)
    counter.cancel(moved, prescriber)
    registrar.suspend(prescriber, {"from": admin})
    prescriptions.recheck(tuple(batch), {"from": relayer})
    registrar.reinstate(prescriber, {"from": admin})
    counter.cancel(batch.at(5), prescriber)
    counter.cancel(batch, prescriber)


# -- the comparison ---------------------------------------------------------------------------------------------


@pytest.fixture
def replayed(parties_history, rules_history, emergencies_history, pointers_history, claims_history,
             complaints_history, devices_history, prescriptions_history, skipped_calls, suite, web3):  # fmt: skip
    state = Replayed()
    for contract, event, arguments, time in decoded_logs(web3, suite):
        state.apply(contract, event, arguments, time)
    return state


@pytest.mark.spec("S3")
def test_all_state_is_rebuilt_from_events(replayed, suite, registrar, web3):
    assert len(replayed.seen_parties) >= 9
    assert len(replayed.claims) >= 12
    assert_parties(replayed, registrar)
    assert_delegations(replayed, suite[1])
    assert_rules(replayed, suite[2])
    assert_openings(replayed, suite[2])
    assert_pointers(replayed, suite[3])
    assert_claims(replayed, suite[4])
    assert_logs(replayed, suite[5])
    assert_complaints(replayed, suite[6])
    assert_devices(replayed, suite[7])
    assert_prescriptions(replayed, suite[8])


def assert_prescriptions(state, prescriptions):
    assert len(state.prescriptions) >= 6
    assert len(state.given) >= 3
    fields = PRESCRIPTION_FIELDS
    progress = fields["number"].mask | fields["filled"].mask | fields["batch"].mask
    batches = {one: word for one, word in state.prescriptions.items() if fields["batch"].of(word)}
    for prescription, word in state.prescriptions.items():
        assert prescriptions.sizeOf(prescription) == (fields["filled"].of(word) if prescription in batches else 0)
        assert prescriptions.prescriptionOf(prescription) == (0 if prescription in batches else word)
    for batch, word in batches.items():
        for place in range(1, fields["filled"].of(word) + 1):
            prescription = batch[:30] + place.to_bytes(2, "big")
            number = state.given.get(prescription, 0)
            filled = fields["quantity"].of(word) if number else 0
            kept = word & ~progress | number << fields["number"].offset | filled << fields["filled"].offset
            assert prescriptions.prescriptionOf(prescription) == state.prescriptions.get(prescription, kept)
    for prescription in {*state.prescriptions, *state.supplies}:
        assert tuple(prescriptions.supplyOf(prescription)) == state.supplies.get(prescription, (NOBODY, 0, 0, 0))


def test_history_has_every_event(replayed, suite, web3):
    seen = {(contract, event) for contract, event, _, _ in decoded_logs(web3, suite)}
    known = {
        (name, entry["name"])
        for name in CONTRACTS
        for entry in json.loads((files("medproof") / "abi" / f"{name}.json").read_text())["abi"]
        if entry["type"] == "event"
    }

    assert known - seen == {(name, "EIP712DomainChanged") for name in CONTRACTS[1:]}  # the domain never changes


def assert_parties(state, registrar):
    assert registrar.groupCount() == state.group_count
    by_account = {record.account: (party, record) for party, record in state.parties.items()}
    assert len(by_account) == len(state.parties)
    for account in state.seen_accounts:
        expected = (NOBODY, 0, False, 0, 0)
        if account in by_account:
            party, record = by_account[account]
            groups = sum(group << (16 * place) for place, group in enumerate(record.groups))
            expected = (party, record.kind, record.suspended, record.valid_until, groups)
        assert tuple(registrar.partyOf(account)) == expected
    for party in state.seen_parties:
        record = state.parties.get(party) or PartyRecord(0, 0, ZERO, NOBODY)
        assert registrar.accountOf(party) == record.account
        assert bytes(registrar.credentialOf(party)) == record.credential
        assert bytes(registrar.encryptionKeyOf(party)) == record.key
        assert tuple(registrar.accountChangeOf(party)) == record.change


def assert_rules(state, registry):
    pairs = {(subject, grantee) for subject, grantee, _ in state.rules}
    assert len(pairs) >= 5
    for subject, grantee in pairs:
        for index in range(16):
            assert registry.ruleOf(subject, grantee, index) == state.rules.get((subject, grantee, index), 0)
    assert registry.termsCount() == len(state.terms)
    for number, terms in state.terms.items():
        assert bytes(registry.termsOf(number)) == terms
        assert registry.termsNumberOf(terms) == number


def assert_openings(state, registry):
    assert tuple(registry.breakGlassLimits()) == state.limits
    assert sum(map(len, state.openings.values())) >= 3
    for subject, openings in state.openings.items():
        assert registry.openingCount(subject) == len(openings)
        for number, opening in enumerate(openings, start=1):
            assert tuple(registry.openingOf(subject, number)) == opening


def assert_delegations(state, delegations):
    assert len(state.delegations) >= 5
    for (subject, delegate), word in state.delegations.items():
        assert delegations.delegationOf(subject, delegate) == word
    for subject, recovery in state.recoveries.items():
        assert tuple(delegations.recoveryOf(subject)) == recovery
        assert bytes(delegations.guardiansOf(subject)) == state.guardians[subject]
        assert delegations.successorOf(subject) == state.successors.get(subject, NOBODY)


def assert_pointers(state, pointers):
    assert len(state.pointers) >= 6
    for pointer, record in state.pointers.items():
        expected = (record.custodian, record.data_class, record.status, record.version, record.sequence)
        assert tuple(pointers.pointerOf(pointer)) == expected
        assert bytes(pointers.previousOf(pointer)) == record.previous
        assert pointers.nextCustodianOf(pointer) == record.offer
    assert len(state.pointer_batches) == 2
    for (custodian, root), size in state.pointer_batches.items():
        assert pointers.batchOf(custodian, root) == size


def assert_claims(state, anchor):
    assert {record.status for record in state.claims.values()} == set(range(SUBMITTED, REPLACED + 1))
    assert {record.late for record in state.claims.values()} == {False, True}
    for claim, record in state.claims.items():
        assert tuple(anchor.stateOf(claim)) == record.kept
        assert bytes(anchor.responseOf(claim)) == record.response
    for nullifier in state.seen_nullifiers:
        assert bytes(anchor.holderOf(nullifier)) == state.nullifiers.get(nullifier, ZERO)
    for payer, published in state.payer_rules.items():
        assert anchor.rulesCount(payer) == len(published)
        for number, rules in enumerate(published, start=1):
            assert anchor.rulesOf(payer, number) == rules.printed
            of_plan = tuple(other for other, one in enumerate(published, start=1) if one.plan == rules.plan)
            assert anchor.rulesOfPlan(payer, rules.plan) == of_plan
    for (provider, root), kept in state.claim_batches.items():
        assert tuple(anchor.claimBatchOf(provider, root)) == kept
    for (patient, encounter), time in state.encounters.items():
        assert anchor.encounterAt(patient, encounter) == time
    for (earlier, later), status in state.flags.items():
        assert anchor.flagOf(earlier, later) == status


def assert_logs(state, anchor):
    assert len(state.logs) >= 3
    for (publisher, log), batch in state.logs.items():
        root, *others = anchor.latest(publisher, log)
        assert (bytes(root), *others) == batch


def assert_complaints(state, access_log):
    assert len(state.signers) >= 3
    assert len(state.complaints) >= 5
    for (custodian, log), signer in state.signers.items():
        assert access_log.signerOf(custodian, log) == signer
    for complaint, times in state.complaints.items():
        assert tuple(access_log.complaintOf(*complaint)) == times
    for custodian in {custodian for custodian, _ in state.signers}:
        unanswered = [times for (whose, *_), times in state.complaints.items() if whose == custodian and not times[1]]
        assert access_log.openComplaints(custodian) == len(unanswered)


def assert_devices(state, devices):
    assert len(state.devices) >= 4
    for (subject, device), word in state.devices.items():
        assert devices.deviceOf(subject, device) == word
