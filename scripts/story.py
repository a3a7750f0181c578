"""The main job as a story: real FHIR records pointed to, shared by consent, refused without it, and billed once.

Everything is done through the package, as a provider's app would do it. Each expectation of the story is checked as it
goes; one that fails is marked, and the story returns False.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from eth_utils.crypto import keccak

from medproof import fhir
from medproof.artifacts import CONTRACTS
from medproof.client import MedProof
from medproof.client.claim_anchor import Claim, ClaimStatus, Outcome
from medproof.client.record_pointers import Status
from medproof.client.registrar import EVERYONE
from medproof.contract_errors import AlreadyBilled, NotEmergencyCare
from medproof.deployments import deploy
from medproof.hashing import commit_bytes, new_salt, seal
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.emergency import OverrideReason, Review
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.sentence import describe
from medproof.policy.word import EPOCH_DAY, Request, Rule
from medproof.receipt import ConsentReceipt, issue, verify
from medproof.recovery import recover
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from scripts.material import first_class, problem_of, tampered
from scripts.stage import Organisation, Posted, Stage

_Refusal = TypeVar("_Refusal", bound=Exception)

TERMS = "You decide who may use your records, for what and until when. You may change your mind at any time."
ADJUDICATION_RULES = "Preventive and diagnostic services are covered in full; all others at 80 per cent."
FUNDS = 5 * 10**16  # wei for each organisation that sends transactions: 0.05 ether


class Story(Stage):
    """The story, chapter by chapter."""

    def tell(self) -> bool:
        """Tell it from the beginning to the end; returns whether every expectation held."""
        suite = self._deploy()
        people = self._accredit(suite)
        wallet, phrase = Wallet.create()
        posted = self._post(suite, people, wallet)
        self._accept(suite, people, wallet, posted)
        shared = posted[0]
        rule = self._consent(suite, people, wallet, shared)
        self._serve(suite, people, shared)
        self._refuse(suite, people, posted, rule)
        self._put_in_standard_form(suite, people, shared)
        self._act_for_her(suite, people, wallet, shared)
        self._break_glass(suite, people, wallet, shared)
        self._tamper(shared)
        self._revoke(suite, people, wallet, shared)
        self._bill(suite, people)
        self._recover(suite, Wallet(phrase), posted)
        return self._close()

    def _deploy(self) -> MedProof:
        self.chapter("The contracts", "Anybody can read them; nobody, not even we, can change them once they stand.")
        with self.console.status("deploying"):
            deployment = deploy(self.chain, self.funder, manifest=self.manifest, overwrite=True)
        rows = [(name, deployment.address(name), f"{deployment.contracts[name].gas_used:,}") for name in CONTRACTS]
        self.table("contract", "address", "gas", rows=rows)
        self.gas["deployment, all contracts"] = sum(entry.gas_used for entry in deployment.contracts.values())
        return MedProof(self.chain, deployment, sender=self.funder)

    def _accredit(self, suite: MedProof) -> dict[str, Organisation]:
        self.chapter(
            "Who takes part",
            "The authority accredits organisations. No patient is ever listed. A relayer pays for patients' messages.",
        )
        cast = {
            "north": ("Northside Clinic", PartyKind.PROVIDER),
            "harbor": ("Harbor Heart Clinic", PartyKind.PROVIDER),
            "emergency": ("City Emergency Department", PartyKind.PROVIDER),
            "plan": ("First Health Plan", PartyKind.PAYER),
            "other_plan": ("Second Health Plan", PartyKind.PAYER),
            "institute": ("Institute of Research", PartyKind.RESEARCHER),
        }
        people = {
            role: Organisation(name, kind, LocalSigner.from_key(new_salt())) for role, (name, kind) in cast.items()
        }
        people["relayer"] = Organisation("a relayer", PartyKind.EMPTY, LocalSigner.from_key(new_salt()))
        rows = []
        valid_until = datetime.now(UTC).date() + timedelta(days=365)
        with self.console.status("accrediting"):
            for role, one in people.items():
                self.chain.wait(self.chain.send({"to": one.id, "value": FUNDS}, sender=self.funder))
                if role == "relayer":
                    continue
                credential = commit_bytes(f"credential of {one.name}".encode(), new_salt())
                receipt = suite.registrar.accredit(one.id, one.kind, credential=credential, valid_until=valid_until)
                rows.append((one.name, one.kind.display, f"{self.spend('accredit a party', receipt):,}"))
            suite.registrar.join_group(2, people["emergency"].id)
        self.table("organisation", "accredited as", "gas", rows=rows)
        emergency = suite.registrar.standing(people["emergency"].id)
        self.expect(
            "six organisations are active, the emergency department in the emergency group",
            all(suite.registrar.standing(one.id) for role, one in people.items() if role != "relayer")
            and emergency is not None
            and emergency.groups == (2,),
        )
        return people

    def _post(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet) -> list[Posted]:
        self.chapter(
            "A patient's records",
            f"{len(self.records)} FHIR records of one patient stay where they are, at two clinics. On the chain go\n"
            "salted commitments, under a pseudonym of its own for each clinic, so that nobody can link the two.",
        )
        posted, rows = [], []
        with self.console.status("posting pointers"):
            for number, resource in enumerate(self.records):
                custodian = people["north" if number % 2 == 0 else "harbor"]
                subject = wallet.pseudonym(custodian.id).address
                sealed = seal(resource.content)
                data_class = first_class(resource)
                key, receipt = suite.record_pointers.post(
                    subject, data_class, sealed.commitment, sender=custodian.signer
                )
                posted.append(Posted(custodian, resource, sealed, data_class, key))
                gas = self.spend("post a pointer", receipt)
                rows.append(
                    (resource.resource_type, data_class.code, custodian.name, short(key.commitment), f"{gas:,}")
                )
        self.table("record", "class", "kept at", "commitment", "gas", rows=rows)
        subjects = {entry.key.subject for entry in posted}
        self.expect("each clinic knows the patient by another pseudonym", len(subjects) == min(2, len(posted)))
        return posted

    def _accept(
        self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, posted: Sequence[Posted]
    ) -> None:
        self.chapter(
            "She agrees that they are hers",
            "She signs; the relayer sends all she signed at once, and pays. She never needs ether.",
        )
        with self.console.status("accepting"), TemporaryDirectory() as folder:
            relayer = Relayer(suite, Path(folder) / "queue.sqlite", people["relayer"].signer)
            with closing(relayer):
                for entry in posted:
                    signer = wallet.pseudonym(entry.custodian.id)
                    relayer.submit(suite.record_pointers.sign_acceptance(signer, entry.key))
                while relayer.run_once(flush=True):
                    time.sleep(0.1)
                fates = relayer.fates()
        transactions = {fate.transaction for fate in fates if fate.transaction}
        self.expect(f"{len(fates)} messages went out in {len(transactions)} transaction", len(transactions) == 1)
        spent = sum(receipt.gas_used for one in transactions if (receipt := self.chain.receipt(one)))
        self.gas["accept a pointer, signed, one of a batch"] = spent // len(fates)
        states = [suite.record_pointers.pointer(entry.key) for entry in posted]
        self.expect(
            f"all {len(posted)} pointers are accepted",
            all(state and state.status is Status.ACCEPTED for state in states),
        )

    def _consent(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, shared: Posted) -> Rule:
        terms = suite.consent_registry.publish_terms(keccak(text=TERMS))
        now = datetime.fromtimestamp(self.chain.timestamp(), UTC).replace(second=0, microsecond=0)
        rule = Rule(
            purposes=Purpose.TREAT,
            classes=shared.data_class,
            conditions=problem_of(shared.resource),
            sensitivities=Sensitivity.NONE_LABELLED,
            settings=CareSetting.ALL,
            actions=Action.ACCESS | Action.USE,
            party_kinds=PartyKind.PROVIDER,
            valid_from=now,
            valid_until=now + timedelta(days=90),
            terms=terms,
        )
        reader = people["harbor"]
        self.chapter(
            "Her consent",
            f"One rule, one storage slot, signed by her: [italic]{describe(rule, grantee=reader.name)}[/]",
        )
        subject = wallet.pseudonym(shared.custodian.id)
        message = suite.consent_registry.sign_grant(subject, reader.id, rule)
        receipt = suite.relay(message, sender=people["relayer"].signer)
        denial = Rule(
            purposes=Purpose.HMARKT,
            classes=DataClass.ALL,
            conditions=Condition.ALL,
            sensitivities=Sensitivity.ALL,
            settings=CareSetting.ALL,
            actions=Action.ALL,
            party_kinds=PartyKind.ALL,
            valid_from=now,
            deny=True,
        )
        refusal = suite.relay(
            suite.consent_registry.sign_grant(subject, EVERYONE, denial), sender=people["relayer"].signer
        )
        self.table(
            "what she signed",
            "gas",
            rows=[
                (f"permit for {reader.name}", f"{self.spend('grant a rule, signed', receipt):,}"),
                ("refusal of marketing, to everyone", f"{self.spend('deny to everyone, signed', refusal):,}"),
            ],
        )
        stored = suite.consent_registry.rule(subject.address, reader.id)
        self.expect("the rule on the chain is the one she signed", stored == rule)
        self.expect("she holds no ether", self.chain.balance(subject.address) == 0)
        return rule

    def _serve(self, suite: MedProof, people: dict[str, Organisation], shared: Posted) -> None:
        reader = people["harbor"]
        self.chapter(
            f"{reader.name} asks for the record",
            f"{shared.custodian.name} asks the registry before it serves, and the reader checks what it was served.",
        )
        decision = suite.consent_registry.decide(shared.key.subject, reader.id, self._request(shared))
        self.expect(f"permitted, as of block {decision.block}", decision.permitted)
        served, salt = shared.resource.content, shared.sealed.salt
        self.expect(
            "the served record is the one that was committed to", fhir.verify(served, salt, shared.key.commitment)
        )

    def _refuse(self, suite: MedProof, people: dict[str, Organisation], posted: Sequence[Posted], rule: Rule) -> None:
        self.chapter("Requests outside the rule", "Each is refused, and the registry says why.")
        shared, harbor, institute = posted[0], people["harbor"], people["institute"]
        other = DataClass.GENOMICS if shared.data_class is not DataClass.GENOMICS else DataClass.CLAIM
        cases = [
            (harbor, "for its own operations", self._request(shared, purposes=Purpose.HOPERAT), Reason.PURPOSE),
            (harbor, f"another class, {other.code}", self._request(shared, classes=other), Reason.DATA_CLASS),
            (
                harbor,
                "what is labelled HIV",
                self._request(shared, sensitivities=Sensitivity.HIV),
                Reason.SENSITIVITY,
            ),
            (harbor, "for marketing", self._request(shared, purposes=Purpose.HMARKT), Reason.DENIED),
            (
                institute,
                "for research",
                self._request(shared, purposes=Purpose.HRESCH, research=ResearchUse.HMB),
                Reason.NO_RULE,
            ),
            (people["relayer"], "an account that nobody accredited", self._request(shared), Reason.INACTIVE_PARTY),
        ]
        rows, right = [], True
        for who, what, request, expected in cases:
            decision = suite.consent_registry.decide(shared.key.subject, who.id, request)
            right = right and decision.reason is expected
            rows.append((who.name, what, explain(decision.reason, decision.rule, request)))
        self.table("who", "asks", "refused, because", rows=rows)
        self.expect("each is refused for the right reason", right)

    def _put_in_standard_form(self, suite: MedProof, people: dict[str, Organisation], shared: Posted) -> None:
        registry, subject, reader = suite.consent_registry, shared.key.subject, people["harbor"]
        self.chapter(
            "Her consent on paper", "The rules become an HL7 FHIR Consent, and she gets a receipt (ISO/IEC 27560)."
        )
        stored = [(grantee, rule) for grantee in (reader.id, EVERYONE) for rule in registry.rules(subject, grantee)]
        references = {reader.id: "Organization/harbor"}
        consent = fhir.render_consent(stored, patient="Patient/pseudonym", references=references)
        known = {reference: grantee for grantee, reference in references.items()}
        compiled = fhir.compile_consent(consent, grantees=known)
        read_back = sorted((grantee, replace(rule, sequence=1, follows=False)) for grantee, rule in compiled.rules)
        self.expect("the FHIR Consent says the rules on the chain, no more and no less", read_back == sorted(stored))
        receipt = issue(suite, subject, reader.id)
        self.expect("anyone can check her receipt against the chain", verify(suite, receipt).in_force)
        forged = replace(receipt, sentence="You allow everyone everything.").to_json()
        found = verify(suite, ConsentReceipt.from_json(forged))
        self.expect(f"a forged receipt is found out: {', '.join(found.altered)}", not found.genuine)

    def _act_for_her(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, shared: Posted) -> None:
        self.chapter(
            "Her daughter acts for her",
            "She names her daughter health proxy for a month. What the daughter does is recorded as the daughter's.",
        )
        registry, subject, relayer = suite.consent_registry, shared.key.subject, people["relayer"].signer
        daughter = LocalSigner.from_key(new_salt())
        now = datetime.fromtimestamp(self.chain.timestamp(), UTC).replace(second=0, microsecond=0)
        proxy = Delegation(DelegateKind.HEALTH_PROXY, Scope.GRANT | Scope.REVOKE, now, now + timedelta(days=30))
        pseudonym = wallet.pseudonym(shared.custodian.id)
        named = suite.relay(suite.delegations.sign_delegation(pseudonym, daughter.address, proxy), sender=relayer)
        institute = people["institute"]
        study = Rule(
            purposes=Purpose.HRESCH,
            research=ResearchUse.HMB.with_narrower() | ResearchUse.NPUNCU,
            classes=shared.data_class,
            conditions=Condition.ALL,
            sensitivities=Sensitivity.NONE_LABELLED,
            settings=CareSetting.ALL,
            actions=Action.ACCESS | Action.USE,
            party_kinds=PartyKind.RESEARCHER,
            valid_from=now,
        )
        granted = suite.relay(registry.sign_grant(daughter, institute.id, study, subject=subject), sender=relayer)
        self.table(
            "what was signed",
            "by",
            "gas",
            rows=[
                ("a health proxy for 30 days", "the patient", f"{self.spend('name a delegate, signed', named):,}"),
                (
                    f"permit for {institute.name}",
                    "her daughter",
                    f"{self.spend('grant a rule, signed by a delegate', granted):,}",
                ),
            ],
        )
        acts = [event.arguments["delegate"] for event in registry.events("DelegateActed", filters={"subject": subject})]
        self.expect("the permit is recorded as the daughter's act", acts == [daughter.address])
        asked = self._request(shared, purposes=Purpose.HRESCH, research=ResearchUse.HMB)
        self.expect(
            "research for profit is refused, for no profit permitted",
            not registry.decide(subject, institute.id, asked).permitted
            and registry.decide(
                subject, institute.id, replace(asked, research=ResearchUse.HMB | ResearchUse.NPUNCU)
            ).permitted,
        )

    def _break_glass(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, shared: Posted) -> None:
        emergency, registry, subject = people["emergency"], suite.consent_registry, shared.key.subject
        self.chapter(
            "An emergency",
            f"{emergency.name} has no permission of hers. It breaks the glass: for four hours, for all to see.",
        )
        asked = self._request(shared, purposes=Purpose.BTG)
        before = registry.decide(subject, emergency.id, asked)
        justification = commit_bytes(b"unconscious on arrival", new_salt())
        opening = registry.break_glass(
            subject, OverrideReason.EMERGENCY_TREATMENT, justification=justification, sender=emergency.signer
        )
        after = registry.decide(subject, emergency.id, asked)
        self.expect(
            "refused before, permitted after, and never in silence",
            before.reason is Reason.NO_RULE and after.reason is Reason.BREAK_GLASS,
        )
        intruder = people["institute"]
        refused = refusal_of(
            lambda: registry.break_glass(subject, OverrideReason.EMERGENCY_TREATMENT, sender=intruder.signer),
            NotEmergencyCare,
        )
        self.expect(f"{intruder.name} cannot break it", refused is not None)
        review = registry.sign_review(wallet.pseudonym(shared.custodian.id), opening.number, Review.ACKNOWLEDGED)
        suite.relay(review, sender=people["relayer"].signer)
        [seen] = registry.openings(subject)
        self.expect(
            f"afterwards she sees who opened it, when and why ({seen.reason.display}), and says it was right",
            seen.party == emergency.id and seen.review is Review.ACKNOWLEDGED,
        )

    def _tamper(self, shared: Posted) -> None:
        self.chapter("A record is altered", "Somebody changes one value in the clinic's database.")
        altered, where = tampered(shared.resource.content)
        found = fhir.differences(shared.resource.content, altered)
        self.expect(
            "the altered record no longer matches its commitment",
            not fhir.verify(altered, shared.sealed.salt, shared.key.commitment),
        )
        self.expect(f"the change is found at {found[0].path}" if found else "the change is found", len(found) == 1)
        self.console.print(f"   [dim]altered: {where}[/]", highlight=False)

    def _revoke(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, shared: Posted) -> None:
        reader = people["harbor"]
        self.chapter("She changes her mind", f"She withdraws what she allowed {reader.name}, again without ether.")
        message = suite.consent_registry.sign_revocation(wallet.pseudonym(shared.custodian.id), reader.id)
        receipt = suite.relay(message, sender=people["relayer"].signer)
        self.table("what she signed", "gas", rows=[("revocation", f"{self.spend('revoke a rule, signed', receipt):,}")])
        decision = suite.consent_registry.decide(shared.key.subject, reader.id, self._request(shared))
        self.expect("the same request is refused now", decision.reason is Reason.REVOKED)

    def _bill(self, suite: MedProof, people: dict[str, Organisation]) -> None:
        clinic, plan, other_plan = people["north"], people["plan"], people["other_plan"]
        self.chapter(
            "A claim, step by step",
            "Each step is agreed by the party that owns it. Amounts, codes and dates stay off the chain.",
        )
        anchor, consortium_key = suite.claim_anchor, new_salt()
        rules = anchor.publish_rules(keccak(text=ADJUDICATION_RULES), EPOCH_DAY, sender=plan.signer)
        nullifier = fhir.claim_nullifier(
            self.claim, consortium_key, patient="patient 1", provider=clinic.id, registered="encounter 1"
        )
        claim = Claim(clinic.id, plan.id, seal(self.claim.content).commitment, nullifier)
        response = seal({"resourceType": "ClaimResponse", "outcome": "complete", "disposition": "approved"}).commitment
        submitted = anchor.submit(claim, rules, sender=clinic.signer)
        decided = anchor.adjudicate(claim, Outcome.APPROVED, rules, response, sender=plan.signer)
        by_clinic = anchor.agree_to_settle(clinic.signer, claim)
        by_plan = anchor.agree_to_settle(plan.signer, claim, deadline=by_clinic.deadline)
        settled = anchor.settle(claim, provider=by_clinic, payer=by_plan, sender=people["relayer"].signer)
        self.table(
            "step",
            "agreed by",
            "gas",
            rows=[
                ("submitted", clinic.name, f"{self.spend('submit a claim', submitted):,}"),
                ("adjudicated: approved", plan.name, f"{self.spend('adjudicate a claim', decided):,}"),
                ("settled", f"{clinic.name} and {plan.name}", f"{self.spend('settle, two signatures', settled):,}"),
            ],
        )
        self.expect("the claim is settled", anchor.state(claim).status is ClaimStatus.SETTLED)

        self.chapter("The same service, billed again", f"{clinic.name} sends the bill to {other_plan.name} as well.")
        rules = anchor.publish_rules(keccak(text=ADJUDICATION_RULES), EPOCH_DAY, sender=other_plan.signer)
        again = Claim(clinic.id, other_plan.id, seal(self.claim.content).commitment, nullifier)
        refused = refusal_of(lambda: anchor.submit(again, rules, sender=clinic.signer), AlreadyBilled)
        self.expect(
            "refused by the contract: the service was billed before, by the claim that is settled",
            refused is not None and refused.by == claim.id,
        )

    def _recover(self, suite: MedProof, wallet: Wallet, posted: Sequence[Posted]) -> None:
        self.chapter("She loses her phone", "Twelve words bring back every relationship, from the chain alone.")
        with self.console.status("looking for her relationships"):
            found = list(recover(suite, wallet))
        self.expect(
            f"{len(found)} relationships with {sum(len(one.pointers) for one in found)} pointers are found again",
            {key for one in found for key in one.pointers} == {entry.key for entry in posted},
        )

    def _close(self) -> bool:
        held = sum(holds for _, holds in self.expectations)
        self.console.print("\n[bold cyan]What it cost[/]")
        self.table("operation", "gas", rows=[(what, f"{gas:,}") for what, gas in self.gas.items()])
        every = held == len(self.expectations)
        colour = "green" if every else "red"
        self.console.print(f"\n[bold {colour}]{held} of {len(self.expectations)} expectations held.[/] ", end="")
        self.console.print("On the chain: commitments, rules and pseudonyms. No health data." if every else "")
        return every

    def _request(self, shared: Posted, **changes: Any) -> Request:
        """What the reader asks for: records of the class up to today, with the problem they are filed under."""
        today = datetime.fromtimestamp(self.chain.timestamp(), UTC).date()
        asked = Request(
            purposes=Purpose.TREAT,
            classes=shared.data_class,
            conditions=problem_of(shared.resource),
            sensitivities=Sensitivity.NONE_LABELLED,
            settings=CareSetting.AMB,
            actions=Action.ACCESS,
            data_until=today,
        )
        return replace(asked, **changes)


def refusal_of(act: Callable[[], object], kind: type[_Refusal]) -> _Refusal | None:
    """The error of this kind that an act raises."""
    try:
        act()
    except kind as error:
        return error
    return None


def short(value: bytes) -> str:
    """The beginning of a hash."""
    return f"0x{value.hex()[:10]}…"
