"""MedProof's own operations, each measured once, in the order in which the parties would do them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from tiny_keccak import keccak256

from bench.claim_steps import ClaimSteps
from bench.meter import CHAIN_ID, OVERDUE, BenchError, Contract, Cost, Meter, fixed_account, fixed_hash, signed
from bench.study_steps import StudySteps
from medproof import messages
from medproof.artifacts import CONTRACTS
from medproof.client.prescriptions import Prescription
from medproof.client.record_pointers import PointerKey
from medproof.merkle import MerkleLog
from medproof.messages import Domain
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    Sensitivity,
)
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from medproof.policy.device import Device, encode_device
from medproof.policy.emergency import OverrideReason, Review
from medproof.policy.word import Request, Rule, encode, encode_request
from scripts.demo_token import compiled as demo_token
from scripts.local_chain import ROOT

PROVIDER, PAYER, PHARMACY, RESEARCHER = 1, 2, 3, 4  # Registrar kinds
NOBODY = "0x" + "00" * 20
EVERYONE, EMERGENCY = "0x" + "00" * 19 + "01", "0x" + "00" * 19 + "02"  # groups, as grantees
EMERGENCY_GROUP = 2
LABORATORY_CLASS = 2  # the bit of DataClass.LABORATORY
GAS_EACH = 150_000  # what each relayed call may use at most
LAST_DAY = 30_000  # accreditations are valid until this day since 1970, in the year 2052
LAST_FILL = 20_970  # prescriptions are filled until this day since 1970, in the year 2027
OPENING_MINUTES = 240  # how long the glass stays broken
GUARDIAN_UNTIL = datetime(2035, 12, 31, tzinfo=UTC)
PROOF_DEPTH = 20  # hashes in a proof from a log of a million leaves
FORGOTTEN = 300  # blocks: more than those of which the chain knows the hash
LEAVES, BATCH = 1_000_001, 1_000  # a log of odd size, whose proofs are long, and what each further batch adds to it

# A treating provider may read and use most of the record for a year, except what carries a sensitivity label.
TREATMENT = Rule(
    purposes=Purpose.TREAT | Purpose.CAREMGT,
    classes=(
        DataClass.OBSERVATION
        | DataClass.LABORATORY
        | DataClass.IMAGING
        | DataClass.MEDICATION
        | DataClass.ENCOUNTER
        | DataClass.CONDITION
        | DataClass.PROCEDURE
        | DataClass.IMMUNIZATION
        | DataClass.ALLERGY
        | DataClass.VITAL_SIGNS
    ),
    conditions=Condition.ALL,
    sensitivities=Sensitivity.NONE_LABELLED,
    settings=CareSetting.ALL,
    actions=Action.ACCESS | Action.USE,
    party_kinds=PartyKind.PROVIDER,
    valid_from=datetime(2026, 3, 14, 9, 26, tzinfo=UTC),
    valid_until=datetime(2027, 3, 14, 9, 26, tzinfo=UTC),
    data_from=date(2016, 3, 14),
    terms=1,
)

# Nobody may market with the data; it does not match a request for treatment.
NO_MARKETING = Rule(
    purposes=Purpose.HMARKT,
    classes=DataClass.ALL,
    conditions=Condition.ALL,
    sensitivities=Sensitivity.ALL,
    settings=CareSetting.ALL,
    actions=Action.ALL,
    party_kinds=PartyKind.ALL,
    valid_from=TREATMENT.valid_from,
    terms=1,
    deny=True,
)

# One laboratory result of a diabetic outpatient, to be read for treatment.
READ_RESULT = Request(
    purposes=Purpose.TREAT,
    classes=DataClass.LABORATORY,
    conditions=Condition.ENDOCRINE,
    sensitivities=Sensitivity.NONE_LABELLED,
    settings=CareSetting.AMB,
    actions=Action.ACCESS,
    data_from=date(2026, 5, 20),
    data_until=date(2026, 5, 20),
)

TERMS = fixed_hash("terms")


def artifact(name: str) -> dict[str, Any]:
    """What `make build` made of a contract."""
    loaded: dict[str, Any] = json.loads((ROOT / "medproof" / "abi" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def measure_suite(meter: Meter) -> dict[str, Cost]:
    """Deploy the suite, run every operation and return their costs by name, deployments last."""
    suite = _Suite(meter)
    suite.deploy()
    suite.govern()
    suite.consent()
    suite.batches()
    suite.delegates()
    suite.emergencies()
    suite.checks()
    suite.pointers()
    suite.pointer_batches()
    suite.prescriptions()
    suite.claims()
    suite.logs()
    suite.devices()
    suite.studies()
    return dict(sorted(suite.costs.items(), key=lambda item: item[0].startswith("deploy_")))


class _Suite:
    """The suite on one chain, its people, and what their operations cost."""

    def __init__(self, meter: Meter) -> None:
        self.costs: dict[str, Cost] = {}
        self._meter = meter
        self._contracts: dict[str, Contract] = {}
        self._admin = fixed_account("admin", deployments=len(CONTRACTS))
        self._clinic = fixed_account("clinic")
        self._hospital = fixed_account("hospital")  # in the emergency group
        self._payer = fixed_account("payer")
        self._pharmacy = fixed_account("pharmacy")
        self._relayer = fixed_account("relayer")

    def _run(self, operation: str, sender: LocalAccount, contract: str, function: str, *arguments: Any) -> None:
        """Measure one operation under its name."""
        if operation in self.costs:
            raise BenchError(f"two operations are called {operation}")
        self.costs[operation] = self._meter.send(sender, self._contracts[contract], function, *arguments).cost

    def _prepare(self, sender: LocalAccount, contract: str, function: str, *arguments: Any) -> None:
        """Bring about what a later operation needs."""
        self._meter.execute(sender, self._contracts[contract], function, *arguments)

    def _domain(self, contract: str) -> Domain:
        return Domain(contract=contract, chain_id=CHAIN_ID, address=self._contracts[contract].address)

    # -- the authority ----------------------------------------------------------------------------------------

    def deploy(self) -> None:
        """The contracts themselves."""
        arguments: Mapping[str, tuple[str, ...]] = {
            "Authority": (),
            "Registrar": ("Authority",),
            "Delegations": (),
            "ConsentRegistry": ("Authority", "Registrar", "Delegations"),
            "RecordPointers": ("Registrar",),
            "Prescriptions": ("Registrar",),
            "ClaimAnchor": ("Registrar", "Prescriptions"),
            "BatchAnchor": ("Registrar",),
            "AccessLog": ("Registrar", "BatchAnchor"),
            "Devices": ("Delegations",),
            "Studies": ("Authority", "Registrar", "Delegations", "ConsentRegistry"),
            "Incentives": ("Registrar", "Delegations", "Studies"),
        }
        for name in CONTRACTS:
            given = [self._contracts[other].address for other in arguments[name]]
            if name == "Authority":
                given = [self._admin.address]
            self._contracts[name], sent = self._meter.deploy(self._admin, artifact(name), *given)
            self.costs[f"deploy_{name}"] = sent.cost

    def govern(self) -> None:
        """Parties, their groups, and the terms."""
        self._accredit("accredit", self._clinic, PROVIDER)
        self._accredit("", self._hospital, PROVIDER)
        self._accredit("", self._payer, PAYER)
        self._run("join_group", self._admin, "Registrar", "joinGroup", EMERGENCY_GROUP, self._hospital.address)
        self._run("publish_terms", self._admin, "ConsentRegistry", "publishTerms", TERMS)

        closed = fixed_account("closed clinic")
        self._accredit("", closed, PROVIDER)
        self._run("suspend", self._admin, "Registrar", "suspend", closed.address)

        key = fixed_hash("encryption key")
        self._run("publish_encryption_key", self._clinic, "Registrar", "publishEncryptionKey", key)

    def _accredit(self, operation: str, account: LocalAccount, kind: int) -> None:
        given = (account.address, kind, fixed_hash(f"credential of {account.address}"), LAST_DAY)
        self._take(operation, self._admin, "Registrar", "accredit", *given)

    # -- consent ----------------------------------------------------------------------------------------------

    def consent(self) -> None:
        """Grant, change, revoke, withdraw: sent by the patient, and signed by the patient and sent by a relayer."""
        patient, clinic = fixed_account("patient"), self._clinic.address
        changed = replace(TREATMENT, classes=TREATMENT.classes | DataClass.NOTE, sequence=2)
        self._run("grant", patient, "ConsentRegistry", "setRule", clinic, encode(TREATMENT))
        self._run("change", patient, "ConsentRegistry", "setRule", clinic, encode(changed))
        self._run("revoke", patient, "ConsentRegistry", "revokeRule", clinic, 0, 3)
        self._run("deny", patient, "ConsentRegistry", "setRule", EVERYONE, encode(NO_MARKETING))
        leaving = fixed_account("leaving patient")
        self._run("withdraw", leaving, "ConsentRegistry", "withdraw", leaving.address, 0, b"")

        remote = fixed_account("remote patient")
        self._grant_signed("grant_signed", remote, clinic, TREATMENT)
        self._grant_signed("grant_signed_second", remote, self._hospital.address, TREATMENT)
        self._grant_signed("change_signed", remote, clinic, changed)

        def revocation(deadline: int) -> messages.TypedData:
            return messages.revocation(
                self._domain("ConsentRegistry"),
                subject=remote.address,
                grantee=clinic,
                index=0,
                sequence=3,
                deadline=deadline,
            )

        deadline, [signature] = signed(revocation, remote)
        given = (remote.address, clinic, 0, 3, deadline, signature)
        self._run("revoke_signed", self._relayer, "ConsentRegistry", "revokeRuleFor", *given)

        remote = fixed_account("leaving remote patient")

        def withdrawal(deadline: int) -> messages.TypedData:
            return messages.withdrawal(self._domain("ConsentRegistry"), subject=remote.address, deadline=deadline)

        deadline, [signature] = signed(withdrawal, remote)
        withdrawn = (remote.address, deadline, signature)
        self._run("withdraw_signed", self._relayer, "ConsentRegistry", "withdraw", *withdrawn)

    def _grant_signed(self, operation: str, patient: LocalAccount, grantee: str, rule: Rule) -> None:
        given = self._signed_rule(patient, grantee, rule)
        self._run(operation, self._relayer, "ConsentRegistry", "setRuleFor", *given)

    def batches(self) -> None:
        """Many grants at once, by one subject, and signed by many and sent by a relayer: the share of each."""
        patient = fixed_account("patient of many")
        changes = [(fixed_account(f"party {number}").address, encode(TREATMENT)) for number in range(100)]
        self._run_each("grant_batch_100_each", 100, patient, "ConsentRegistry", "setRules", changes)
        for count in (20, 100):
            subjects = [fixed_account(f"patient {number} of {count}") for number in range(count)]
            signed_changes = [self._signed_change(subject) for subject in subjects]
            given = (self._relayer, "ConsentRegistry", "setRulesFor", signed_changes)
            self._run_each(f"grant_signed_batch_{count}_each", count, *given)
        registry = self._contracts["ConsentRegistry"]
        subjects = [fixed_account(f"patient {number} of the mixed batch") for number in range(100)]
        rules = [self._signed_rule(subject, self._clinic.address, TREATMENT) for subject in subjects]
        calls = [registry.call("setRuleFor", *rule) for rule in rules]
        relayed = (self._relayer, "ConsentRegistry", "relay", calls, GAS_EACH)
        self._run_each("grant_relayed_skipping_100_each", 100, *relayed)

    def _run_each(
        self, operation: str, count: int, sender: LocalAccount, contract: str, function: str, *arguments: Any
    ) -> None:
        """Measure a batch and keep the share of one of its `count` items, rounded up."""
        self._run(operation, sender, contract, function, *arguments)
        self.costs[operation] = self.costs[operation].each(count)

    def _signed_rule(
        self, patient: LocalAccount, grantee: str, rule: Rule, *, author: LocalAccount | None = None
    ) -> tuple[str, str, int, int, bytes]:
        """A rule, signed by the patient or another author, as setRuleFor takes it."""
        word = encode(rule)

        def message(deadline: int) -> messages.TypedData:
            return messages.rule(
                self._domain("ConsentRegistry"),
                subject=patient.address,
                grantee=grantee,
                word=word,
                terms=TERMS,
                deadline=deadline,
            )

        deadline, [signature] = signed(message, author or patient)
        return patient.address, grantee, word, deadline, signature

    def _signed_change(self, patient: LocalAccount) -> tuple[str, str, int, int, bytes, bytes]:
        """A signed grant for the clinic, as setRulesFor takes it."""
        subject, grantee, word, deadline, signature = self._signed_rule(patient, self._clinic.address, TREATMENT)
        return subject, grantee, word, deadline, *messages.compact(signature)

    def delegates(self) -> None:
        """A delegation, and a grant by the delegate; both signed and sent by a relayer."""
        ward, guardian = fixed_account("ward"), fixed_account("guardian")
        delegation = Delegation(
            kind=DelegateKind.GUARDIAN,
            scopes=Scope.GRANT | Scope.REVOKE | Scope.VIEW,
            valid_from=TREATMENT.valid_from,
            valid_until=GUARDIAN_UNTIL,
            delegator=ward.address,
            sequence=1,
        )
        word = encode_delegation(delegation)

        def message(deadline: int) -> messages.TypedData:
            return messages.delegation(
                self._domain("Delegations"),
                subject=ward.address,
                delegate=guardian.address,
                word=word,
                deadline=deadline,
            )

        deadline, [signature] = signed(message, ward)
        given = (ward.address, guardian.address, word, deadline, signature)
        self._run("delegate_signed", self._relayer, "Delegations", "setDelegation", *given)
        rule = self._signed_rule(ward, self._clinic.address, TREATMENT, author=guardian)
        self._run("grant_signed_by_delegate", self._relayer, "ConsentRegistry", "setRuleFor", *rule)

    def emergencies(self) -> None:
        """Break the glass, and review it: sent by the patient, and signed by the patient and sent by a relayer."""
        patient, remote = fixed_account("patient in an emergency"), fixed_account("remote patient in an emergency")
        opening = (OverrideReason.EMERGENCY_TREATMENT, OPENING_MINUTES, fixed_hash("justification"))
        self._run("break_glass", self._hospital, "ConsentRegistry", "breakGlass", patient.address, *opening)
        self._prepare(self._hospital, "ConsentRegistry", "breakGlass", remote.address, *opening)
        said = (1, Review.ACKNOWLEDGED, fixed_hash("remark"))
        self._run("review", patient, "ConsentRegistry", "reviewOpening", patient.address, *said, 0, b"")

        def message(deadline: int) -> messages.TypedData:
            return messages.review(
                self._domain("ConsentRegistry"),
                subject=remote.address,
                opening=1,
                review=Review.ACKNOWLEDGED,
                remark=said[-1],
                deadline=deadline,
            )

        deadline, [signature] = signed(message, remote)
        given = (remote.address, *said, deadline, signature)
        self._run("review_signed", self._relayer, "ConsentRegistry", "reviewOpening", *given)

    def checks(self) -> None:
        """Asking for permission, by a provider that is in one group; the permit stands under its own account."""
        word = encode_request(READ_RESULT)
        cases = {"is_permitted_execution": (), "is_permitted_two_denies_present": (EVERYONE, EMERGENCY)}
        for operation, denies in cases.items():
            patient = fixed_account(f"patient of {operation}")
            permit = (self._hospital.address, encode(TREATMENT))
            self._prepare(patient, "ConsentRegistry", "setRule", *permit)
            for group in denies:
                self._prepare(patient, "ConsentRegistry", "setRule", group, encode(NO_MARKETING))
            given = (patient.address, self._hospital.address, word)
            registry = self._contracts["ConsentRegistry"]
            cost, answer = self._meter.view(self._hospital, registry, "isPermitted", *given)
            if int.from_bytes(answer, "big") != 1:
                raise BenchError(f"{operation} is refused: the benchmark's rule no longer permits its request")
            self.costs[operation] = cost

    # -- pointers ---------------------------------------------------------------------------------------------

    def pointers(self) -> None:
        """Post a pointer, answer it, amend it, hand it over."""
        patient, clinic = fixed_account("patient"), self._clinic
        first, second, third, fourth = (fixed_hash(f"record {number}") for number in range(1, 5))
        self._run("post_pointer", clinic, "RecordPointers", "post", patient.address, LABORATORY_CLASS, first)
        self._run("accept", patient, "RecordPointers", "accept", clinic.address, first)
        self._run("amend", clinic, "RecordPointers", "amend", patient.address, clinic.address, first, second)
        reason = fixed_hash("reason of a dispute")
        self._run("dispute", patient, "RecordPointers", "dispute", clinic.address, second, reason)

        def acceptance(deadline: int) -> messages.TypedData:
            return messages.acceptance(
                self._domain("RecordPointers"),
                subject=patient.address,
                custodian=clinic.address,
                commitment=third,
                sequence=1,
                deadline=deadline,
            )

        def dispute(deadline: int) -> messages.TypedData:
            return messages.dispute(
                self._domain("RecordPointers"),
                subject=patient.address,
                custodian=clinic.address,
                commitment=fourth,
                reason=reason,
                sequence=1,
                deadline=deadline,
            )

        for commitment in (third, fourth):
            self._prepare(clinic, "RecordPointers", "post", patient.address, LABORATORY_CLASS, commitment)
        deadline, [signature] = signed(acceptance, patient)
        accepted = (patient.address, clinic.address, third, 1, deadline, signature)
        self._run("accept_signed", self._relayer, "RecordPointers", "acceptFor", *accepted)
        deadline, [signature] = signed(dispute, patient)
        disputed = (patient.address, clinic.address, fourth, reason, 1, deadline, signature)
        self._run("dispute_signed", self._relayer, "RecordPointers", "disputeFor", *disputed)

        record = (patient.address, clinic.address, third)
        self._run("offer_custody", clinic, "RecordPointers", "offerCustody", *record, self._hospital.address)
        self._run("take_custody", self._hospital, "RecordPointers", "takeCustody", *record)
        disputed_first = (patient.address, clinic.address, second, fixed_hash("denial"))
        self._run("deny_dispute", clinic, "RecordPointers", "denyDispute", *disputed_first)

    def pointer_batches(self) -> None:
        """Post a thousand pointers at once; open one, sent by its subject, and signed by it and sent by a relayer."""
        subject, clinic = fixed_account("subject of a batch"), self._clinic
        keys = [PointerKey(subject.address, clinic.address, fixed_hash(f"record {n} of a batch")) for n in range(BATCH)]
        log = MerkleLog(key.leaf(DataClass.LABORATORY) for key in keys)
        self._run("post_pointer_batch", clinic, "RecordPointers", "postBatch", log.root(), BATCH)

        def opening(index: int) -> tuple[str, str, int, bytes, tuple[bytes, int, tuple[bytes, ...]]]:
            place = (log.root(), index, log.inclusion_proof(index))
            return subject.address, clinic.address, LABORATORY_CLASS, keys[index].commitment, place

        first, second = BATCH // 2, BATCH // 3
        self._run("open_pointer", subject, "RecordPointers", "open", *opening(first), 0, b"")

        def message(deadline: int) -> messages.TypedData:
            return messages.opening(
                self._domain("RecordPointers"),
                subject=subject.address,
                custodian=clinic.address,
                data_class=LABORATORY_CLASS,
                commitment=keys[second].commitment,
                deadline=deadline,
            )

        deadline, [signature] = signed(message, subject)
        relayed = (*opening(second), deadline, signature)
        self._run("open_pointer_signed", self._relayer, "RecordPointers", "open", *relayed)

    # -- prescriptions ----------------------------------------------------------------------------------------

    def prescriptions(self) -> None:
        """Issue, fill, change the pharmacy, cancel; an emergency supply; a batch."""
        second, moved = fixed_account("second pharmacy"), fixed_account("moved pharmacy")
        for account in (self._pharmacy, second, moved):
            self._accredit("", account, PHARMACY)
        one = self._prescription("prescription", fixed_account("patient at the pharmacy").address)
        identity = _prescription_id(one)
        self._issue("prescription_issue", one)
        self._fill("prescription_fill_first", self._pharmacy, identity, 1, 0, 30)
        self._fill("prescription_fill_next", self._pharmacy, identity, 2, 0, 30)

        def filling(deadline: int) -> messages.TypedData:
            return messages.fill(
                self._domain("Prescriptions"),
                prescription=identity,
                number=3,
                before=0,
                quantity=30,
                deadline=deadline,
            )

        deadline, [signature] = signed(filling, self._pharmacy)
        given = (self._pharmacy.address, identity, 3, 0, 30, deadline, signature)
        self._run("prescription_fill_signed", self._relayer, "Prescriptions", "fillFor", *given)
        supply = (self._pharmacy.address, one, 6, 0, b"")
        self._run("prescription_supply", self._pharmacy, "Prescriptions", "supply", *supply)
        self._run("prescription_confirm", self._clinic, "Prescriptions", "confirm", one, 0, b"")

        # A pharmacy that is not known by the account of its identity is asked for with every fill, as every pharmacy
        # is with its first of a day.
        account = fixed_account("new account of the moved pharmacy")
        self._prepare(moved, "Registrar", "offerAccount", account.address)
        self._prepare(account, "Registrar", "takeAccount", moved.address)
        asked = self._prescription("prescription of the moved pharmacy")
        self._issue("", asked, pharmacy=moved)
        self._fill("", account, _prescription_id(asked), 1, 0, 30)
        self._fill("prescription_fill_next_day", account, _prescription_id(asked), 2, 0, 30)

        self._change_pharmacy(second)
        self._prescribe_many()

    def _change_pharmacy(self, second: LocalAccount) -> None:
        """A patient's choice, a transfer and the prescriber's cancellation."""
        patient = fixed_account("patient who chooses")
        one = self._prescription("prescription that moves", patient.address)
        identity, domain = _prescription_id(one), self._domain("Prescriptions")
        self._issue("", one)

        def choice(deadline: int) -> messages.TypedData:
            return messages.choice(
                domain, prescription=identity, pharmacy=second.address, sequence=0, deadline=deadline
            )

        def transfer(deadline: int) -> messages.TypedData:
            return messages.transfer(
                domain, prescription=identity, to=self._pharmacy.address, sequence=1, deadline=deadline
            )

        deadline, [signature] = signed(choice, patient)
        given = (patient.address, one, second.address, 0, deadline, signature)
        self._run("prescription_choose_signed", self._relayer, "Prescriptions", "choose", *given)
        deadline, [agreed] = signed(transfer, second)
        moved = (identity, self._pharmacy.address, 1, deadline, agreed, b"")
        self._run("prescription_transfer", self._pharmacy, "Prescriptions", "transfer", *moved)
        self._run("prescription_cancel", self._clinic, "Prescriptions", "cancel", one, 0, b"")

    def _prescribe_many(self) -> None:
        """A hundred prescriptions of equal terms, and their fills."""
        many = self._prescription("batch of prescriptions", NOBODY)
        terms = (self._pharmacy.address, 3, 30, LAST_FILL, 100)
        issued = (self._clinic, "Prescriptions", "issue", *many[:3], terms, 0, b"")
        self._run_each("prescription_issue_batch_100_each", 100, *issued)
        for operation, number in (
            ("prescription_fill_batch_100_each", 1),
            ("prescription_fill_batch_next_100_each", 2),
        ):
            fills = [(place, number) for place in range(1, 101)]
            given = (self._pharmacy, "Prescriptions", "fillBatch", _prescription_id(many), fills)
            self._run_each(operation, 100, *given)

    def _prescription(self, label: str, patient: str = "") -> tuple[str, str, bytes, int]:
        """A prescription of the clinic as the contract takes it."""
        return (self._clinic.address, patient or fixed_account("patient").address, fixed_hash(label), 0)

    def _issue(self, operation: str, one: tuple[str, str, bytes, int], *, pharmacy: LocalAccount | None = None) -> None:
        """Issue three fills of thirty, measured where the operation has a name."""
        terms = ((pharmacy or self._pharmacy).address, 3, 30, LAST_FILL, 0)
        self._take(operation, self._clinic, "Prescriptions", "issue", *one[:3], terms, 0, b"")

    def _fill(self, operation: str, sender: LocalAccount, *arguments: Any) -> None:
        self._take(operation, sender, "Prescriptions", "fill", *arguments)

    def _take(self, operation: str, *given: Any) -> None:
        """Measure an operation, or only bring it about where it has no name."""
        if operation:
            self._run(operation, *given)
        else:
            self._prepare(*given)

    # -- claims -----------------------------------------------------------------------------------------------

    def claims(self) -> None:
        """The steps of claims."""

        def measured(operation: str, sender: LocalAccount, function: str, *arguments: Any) -> None:
            self._run(operation, sender, "ClaimAnchor", function, *arguments)

        def share(operation: str, count: int, sender: LocalAccount, function: str, *arguments: Any) -> None:
            self._run_each(operation, count, sender, "ClaimAnchor", function, *arguments)

        def prepared(sender: LocalAccount, function: str, *arguments: Any) -> None:
            self._prepare(sender, "ClaimAnchor", function, *arguments)

        people = self._clinic, self._payer, self._relayer
        ClaimSteps(measured, share, prepared, self._domain("ClaimAnchor"), *people).run()

    # -- logs -------------------------------------------------------------------------------------------------

    def logs(self) -> None:
        """Anchor a log of a million leaves and a batch of a thousand more; with and without the consistency proof."""
        log = MerkleLog(keccak256(number.to_bytes(32, "big")) for number in range(LEAVES + 2 * BATCH))
        clinic, anchor = self._clinic, self._contracts["BatchAnchor"]

        def batch(number: int, size: int) -> tuple[str, int, int, bytes]:
            return clinic.address, number, size, log.root(size)

        proof = log.consistency_proof(LEAVES, LEAVES + BATCH)
        self._run("anchor_first_batch", clinic, "BatchAnchor", "anchor", *batch(1, LEAVES), 0, b"")
        self._run("anchor_batch", clinic, "BatchAnchor", "anchor", *batch(1, LEAVES + BATCH), 0, b"")
        self._prepare(clinic, "BatchAnchor", "anchor", *batch(2, LEAVES), 0, b"")
        consistent = (*batch(2, LEAVES + BATCH), proof, 0, b"")
        self._run("anchor_batch_consistent", clinic, "BatchAnchor", "anchorConsistent", *consistent)

        def message(deadline: int) -> messages.TypedData:
            publisher, number, size, root = batch(1, LEAVES + 2 * BATCH)
            return messages.batch(
                self._domain("BatchAnchor"),
                publisher=publisher,
                log=number,
                size=size,
                root=root,
                consistent=False,
                deadline=deadline,
            )

        deadline, [signature] = signed(message, clinic)
        relayed = (*batch(1, LEAVES + 2 * BATCH), deadline, signature)
        self._run("anchor_batch_signed", self._relayer, "BatchAnchor", "anchor", *relayed)

        size, index = LEAVES + BATCH, LEAVES // 2
        leaf, inclusion = keccak(index.to_bytes(32, "big")), log.inclusion_proof(index, size)
        given = (clinic.address, 2, leaf, index, inclusion)
        cost, answer = self._meter.view(self._relayer, anchor, "isIncluded", *given)
        if int.from_bytes(answer, "big") != 1:
            raise BenchError("is_included_execution is refused: the benchmark's proof no longer fits its log")
        self.costs["is_included_execution"] = cost
        if len(inclusion) != PROOF_DEPTH:
            raise BenchError(f"the benchmark's proof has {len(inclusion)} hashes, not {PROOF_DEPTH}")
        proven = (leaf, index, size, inclusion, log.root(size))
        self._run("inclusion_depth_20", self._relayer, "BatchAnchor", "verifyInclusion", *proven)
        self._complaint(leaf, index, inclusion)

    def _complaint(self, entry: bytes, index: int, proof: Sequence[bytes]) -> None:
        """Open the second log to promises, complain of an entry that is in it, and answer with the proof."""
        clinic, server = self._clinic, fixed_account("server of records")

        def promise(due: int) -> messages.TypedData:
            domain = self._domain("AccessLog")
            return messages.inclusion_promise(domain, custodian=clinic.address, log=2, entry=entry, due=due)

        due, [signature] = signed(promise, server, first=OVERDUE)
        self._run("open_access_log", clinic, "AccessLog", "openLog", 2, server.address)
        complaint = (clinic.address, 2, entry, due, signature)
        self._run("complain", self._relayer, "AccessLog", "complain", *complaint)
        answered = (clinic.address, 2, entry, index, proof)
        self._run("answer_complaint", clinic, "AccessLog", "answer", *answered)

    # -- devices ----------------------------------------------------------------------------------------------

    def devices(self) -> None:
        """Register a device and revoke it; sent by the patient."""
        patient, device = fixed_account("patient with a device"), fixed_account("device")
        registration = Device(
            classes=DataClass.VITAL_SIGNS,
            valid_from=TREATMENT.valid_from,
            valid_until=TREATMENT.valid_until,
            sequence=1,
        )
        of_patient = (patient.address, device.address)
        self._run("register_device", patient, "Devices", "setDevice", *of_patient, encode_device(registration), 0, b"")
        self._run("revoke_device", patient, "Devices", "revokeDevice", *of_patient, 2, 0, b"")

    # -- studies ----------------------------------------------------------------------------------------------

    def studies(self) -> None:
        """A study, who takes part in it, its cohort and its answers, and bounties that pay for them."""
        researcher = fixed_account("researcher")
        self._accredit("", researcher, RESEARCHER)
        funder = fixed_account("funder", deployments=1)
        self._contracts["Token"], _ = self._meter.deploy(funder, demo_token())
        self._meter.rpc("evm_mine", {"blocks": FORGOTTEN})
        StudySteps(
            self._run,
            self._run_each,
            self._prepare,
            self._domain,
            studies=self._contracts["Studies"],
            incentives=self._contracts["Incentives"],
            token=self._contracts["Token"],
            clinic=self._clinic,
            researcher=researcher,
            relayer=self._relayer,
            funder=funder,
        ).run()


def _prescription_id(one: tuple[str, str, bytes, int]) -> bytes:
    """The id of a prescription that was issued alone, or of a batch."""
    return Prescription(*one).id
