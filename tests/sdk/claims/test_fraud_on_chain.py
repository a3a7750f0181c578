"""The same bills given to the contracts: they take, refuse and flag what the ledger of `medproof.claims.fraud` does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.claims import Claim, Frequency
from medproof.claims.fraud import Bill, ClaimLedger, FraudReport, Kind, Refusal, Review, Selection, Tier, inject
from medproof.claims.keyring import Keyring
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, FlagStatus, Rules, encounter_id
from medproof.client.contract import NOBODY
from medproof.client.prescriptions import Prescription, Terms
from medproof.contract_errors import AlreadyBilled, FillsExhausted, PharmacyRequired
from medproof.hashing import new_salt
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from tests.sdk.claims.test_fraud import RING, made
from tests.sdk.conftest import CREDENTIAL, funded

SEED, COUNT = 6, 12  # of which every kind of bill follows
DECISIONS = {Review.CLEARED: FlagStatus.CLEARED, Review.CONFIRMED: FlagStatus.CONFIRMED}


class ContractLedger:
    """Clinics, pharmacies and payers that bill on the chain. What they know of each other is what the chain shows."""

    def __init__(
        self, suite: MedProof, keyring: Keyring, billers: dict[Any, LocalSigner], payers: dict[Any, Any]
    ) -> None:
        self._anchor, self._prescriptions = suite.claim_anchor, suite.prescriptions
        self._keyring, self._billers, self._payers = keyring, billers, payers
        self._patient, self._prescriber = funded(6), funded(1)
        self._rules = {
            who.address: suite.claim_anchor.publish_rules(
                Rules(keccak(text="rules"), date(2020, 1, 1), registered=True), sender=who
            )
            for who in set(payers.values())
        }
        self._issued: dict[str, bytes] = {}  # prescription to its id
        self._given: set[bytes] = set()  # nullifiers of fills that a pharmacy gave
        self._open: list[tuple[Claim, AnchoredClaim]] = []

    def register(self, claim: Claim, until: date) -> None:
        """What comes before a bill: the prescriber issues, or the patient registers the encounter."""
        if claim.prescription is None:
            encounter = encounter_id(self._biller(claim).address, self._encounter(claim))
            self._anchor.register_encounter(encounter, sender=self._patient)
            return
        prescription = Prescription(self._prescriber.address, NOBODY, new_salt())
        terms = Terms(1, 30, until, pharmacy=self._biller(claim).address)
        self._prescriptions.issue(prescription, terms, sender=self._prescriber)
        self._issued[claim.prescription] = prescription.id

    def take(self, bill: Bill) -> tuple[Refusal | None, tuple[AnchoredClaim, ...]]:
        claim, anchored, biller = bill.claim, self._anchored(bill), self._biller(bill.claim)
        try:
            if claim.frequency is Frequency.ORIGINAL:
                self._give(claim, anchored, biller)
                self._anchor.submit(anchored, self._rules[anchored.payer], sender=biller)
            else:
                _, before = named = next(one for one in self._open if one[0].number == claim.original)
                if claim.frequency is Frequency.VOID:
                    self._anchor.void(before, sender=biller)
                    self._open.remove(named)
                    return None, ()
                self._anchor.replace(before, anchored, self._rules[anchored.payer], sender=biller)
                self._open.remove(named)
        except AlreadyBilled:
            return Refusal.ALREADY_BILLED, ()
        except (FillsExhausted, PharmacyRequired):
            return Refusal.FILLS_EXHAUSTED, ()
        alike = tuple(one for _, one in self._open if one.soft_key == anchored.soft_key)
        self._open.append((claim, anchored))
        return None, alike

    def review(self, bill: Bill, alike: tuple[AnchoredClaim, ...], reviews: tuple[Review, ...]) -> None:
        """The payer flags what looks alike, and decides."""
        later = next(one for claim, one in self._open if claim is bill.claim)
        payer = self._payers[RING.names.identifier(bill.claim.payer, "payer")]
        for earlier, review in zip(alike, reviews, strict=True):
            self._anchor.flag(earlier, later, payer.address, sender=payer)
            assert self._anchor.flag_status(earlier.id, later.id) is FlagStatus.RAISED
            self._anchor.decide_flag(earlier.id, later, DECISIONS[review], new_salt(), sender=payer)
            assert self._anchor.flag_status(earlier.id, later.id) is DECISIONS[review]

    def holder(self, bill: Bill) -> bytes | None:
        return self._anchor.claim_of(self._keyring.nullifier(bill.claim, registered=bill.registered))

    def _give(self, claim: Claim, anchored: AnchoredClaim, pharmacy: LocalSigner) -> None:
        """A fill that is new to the pharmacy is given first: the next one, were there any."""
        if claim.prescription is None or anchored.nullifier in self._given:
            return
        first = not any(one.prescription == claim.prescription for one, _ in self._open)
        number = 1 if first and not self._given_of(anchored.registration) else 2
        self._prescriptions.fill(anchored.registration, 30, expected=(number, 0), sender=pharmacy)
        self._given.add(anchored.nullifier)

    def _given_of(self, prescription: bytes) -> bool:
        state = self._prescriptions.state(prescription)
        return state is not None and state.number > 0

    def _anchored(self, bill: Bill) -> AnchoredClaim:
        claim = bill.claim
        names = self._keyring.names
        return AnchoredClaim(
            self._biller(claim).address,
            self._payers[names.identifier(claim.payer, "payer")].address,
            new_salt(),  # stands for the commitment
            self._keyring.nullifier(claim, registered=bill.registered),
            self._patient.address,
            self._encounter(claim) if claim.prescription is None else self._issued[_plain(claim.prescription)],
            self._keyring.soft_key(claim),
        )

    def _biller(self, claim: Claim) -> LocalSigner:
        """A party for each clinic, and one for the pharmacy that it has."""
        who = self._keyring.names.identifier(claim.provider, "provider")
        return self._billers[who, claim.prescription is not None]

    @staticmethod
    def _encounter(claim: Claim) -> bytes:
        return keccak(text=next(_plain(line.encounter) for line in claim.lines if line.encounter))


def _plain(text: str) -> str:
    return "".join(one for one in text if one.isascii() and one.isprintable() and one != " ")


@pytest.fixture
def contracts(
    suite: MedProof, admin: LocalSigner, payer: LocalSigner, second_payer: LocalSigner, far_day: date
) -> ContractLedger:
    claims = made()[:COUNT]
    providers = sorted({RING.names.identifier(one.provider, "provider") for one in claims})
    billers = {
        (who, is_pharmacy): funded(10 + 2 * number + is_pharmacy)
        for number, who in enumerate(providers)
        for is_pharmacy in (False, True)
    }
    for (_, is_pharmacy), signer in billers.items():
        kind = PartyKind.PHARMACY if is_pharmacy else PartyKind.PROVIDER
        suite.registrar.accredit(signer.address, kind, credential=CREDENTIAL, valid_until=far_day, sender=admin)
    insurers = sorted({RING.names.identifier(one.payer, "payer") for one in claims})
    return ContractLedger(suite, RING, billers, dict(zip(insurers, (payer, second_payer), strict=True)))


def test_contracts_and_ledger_find_the_same(chain: Chain, contracts: ContractLedger) -> None:
    selection = Selection.of(made()[:COUNT], RING)
    until = datetime.fromtimestamp(chain.timestamp(), UTC).date() + timedelta(days=30)
    for claim in selection.claims:
        contracts.register(claim, until)
    ledger, report = ClaimLedger(RING), FraudReport()
    for bill in inject(selection.claims, seed=SEED):
        expected = ledger.take(bill)
        refusal, alike = contracts.take(bill)
        assert refusal == expected.refusal, bill.kind
        assert len(alike) == len(expected.alike), bill.kind
        if alike:
            contracts.review(bill, alike, expected.reviews)
        if bill.kind is Kind.VOID:
            assert contracts.holder(bill) is None
        else:
            assert (contracts.holder(bill) is not None) == (refusal is not Refusal.FILLS_EXHAUSTED)
        report.add(bill, expected)
    assert all(report.tallies[kind].bills for kind in Kind)
    assert report.hard_recall == report.soft_recall == 1.0
    assert report.hard_false_positives == 0
    assert report.total(Tier.SOFT).confirmed == report.total(Tier.SOFT).flagged > 0
