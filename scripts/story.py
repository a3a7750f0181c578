"""The main job as a story: real FHIR records pointed to, shared by consent, refused without it, and billed once.

Everything is done through the package, as a provider's app would do it. Each expectation of the story is checked as it
goes; one that fails is marked, and the story returns False.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eth_utils.crypto import keccak

from medproof import fhir
from medproof.artifacts import CONTRACTS
from medproof.client import MedProof
from medproof.client.record_pointers import Status
from medproof.client.registrar import EVERYONE
from medproof.contract_errors import NotEmergencyCare
from medproof.deployments import deploy
from medproof.fhir import Resource
from medproof.gateway import Claims
from medproof.gateway.consent import request_for
from medproof.hashing import JsonObject, commit_bytes, new_salt
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
from medproof.policy.device import Device
from medproof.policy.emergency import OverrideReason, Review
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.sentence import describe
from medproof.policy.word import Request, Rule
from medproof.reading import Reading, sign_reading
from medproof.reading_proof import ReadingProof
from medproof.receipt import ConsentReceipt, issue, verify
from medproof.recovery import recover
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from medproof.wallet import Wallet
from scripts.billing import Billing
from scripts.clinic import Clinic
from scripts.material import tampered
from scripts.prescribing import Prescribing
from scripts.researching import Researching
from scripts.stage import Organisation, Posted, Stage, refusal_of

TERMS = "You decide who may use your records, for what and until when. You may change your mind at any time."
TREATMENT = Claims(Purpose.TREAT, Action.ACCESS)
FUNDS = 5 * 10**16  # wei for each organisation that sends transactions: 0.05 ether


class Story(Stage):
    """The story, chapter by chapter."""

    def tell(self) -> bool:
        """Tell it from the beginning to the end; returns whether every expectation held."""
        suite = self._deploy()
        people = self._accredit(suite)
        wallet, phrase = Wallet.create()
        with ExitStack() as stack:
            clinics = self._open(suite, people, stack)
            posted = self._post(suite, clinics, wallet)
            self._accept(suite, people, wallet, posted)
            shared = posted[0]
            clinic = clinics["north"]
            self._consent(suite, people, wallet, shared)
            self._serve(people, clinic, shared)
            self._refuse(suite, people, clinic, shared)
            self._put_in_standard_form(suite, people, shared)
            self._act_for_her(suite, people, wallet, shared)
            self._break_glass(suite, people, wallet, clinic, shared)
            self._tamper(shared)
            self._revoke(suite, people, wallet, clinic, shared)
            self._measure_at_home(suite, people, wallet, clinic)
            self._show_log(suite, people, wallet, clinic, shared)
        patient = wallet.pseudonym(people["north"].id)
        Prescribing(self, suite, people, patient).tell(self.prescription)
        Billing(self, suite, people, patient).tell(self.claim)
        Researching(self, suite, people, patient).tell()
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
            "pharmacy": ("Corner Pharmacy", PartyKind.PHARMACY),
            "other_pharmacy": ("Station Pharmacy", PartyKind.PHARMACY),
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
            "eight organisations are active, the emergency department in the emergency group",
            all(suite.registrar.standing(one.id) for role, one in people.items() if role != "relayer")
            and emergency is not None
            and emergency.groups == (2,),
        )
        return people

    def _open(self, suite: MedProof, people: dict[str, Organisation], stack: ExitStack) -> dict[str, Clinic]:
        """The two clinics open their gatekeepers."""
        with self.console.status("opening the clinics"):
            folder = Path(stack.enter_context(TemporaryDirectory()))
            clinics = {}
            for role in ("north", "harbor"):
                (folder / role).mkdir()
                clinics[role] = stack.enter_context(Clinic(suite, people[role], folder / role, terms=TERMS))
        return clinics

    def _post(self, suite: MedProof, clinics: dict[str, Clinic], wallet: Wallet) -> list[Posted]:
        self.chapter(
            "A patient's records",
            f"{len(self.records)} FHIR records of one patient stay at two clinics, each with a gatekeeper.\n"
            "On the chain go salted commitments, under a pseudonym of its own for each clinic, so that nobody can\n"
            "link the two.",
        )
        posted, rows = [], []
        with self.console.status("posting records"):
            for number, resource in enumerate(self.records):
                clinic = clinics["north" if number % 2 == 0 else "harbor"]
                subject = wallet.pseudonym(clinic.organisation.id).address
                with clinic.visited_by(clinic.front_desk, Claims()) as client:
                    taken = client.create(subject, resource).record
                clinic.settle()
                stored = clinic.store.get(taken.resource_type, str(taken.id))
                kept = stored.entry
                posted.append(Posted(clinic.organisation, taken, stored.salt, kept.data_class, kept.pointer))
            spent = self._gas_of_posting(suite)
        for entry in posted:
            gas, commitment = spent[entry.key.commitment], entry.key.commitment
            kind, custodian = entry.resource.resource_type, entry.custodian.name
            rows.append((kind, entry.data_class.code, custodian, short(commitment), f"{gas:,}"))
        self.gas["post a pointer"] = max(spent.values())
        self.table("record", "class", "kept at", "commitment", "gas", rows=rows)
        subjects = {entry.key.subject for entry in posted}
        self.expect("each clinic knows the patient by another pseudonym", len(subjects) == min(2, len(posted)))
        return posted

    def _gas_of_posting(self, suite: MedProof) -> dict[bytes, int]:
        """What each pointer took, by its commitment."""
        spent = {}
        for event in suite.record_pointers.events("PointerPosted"):
            receipt = self.chain.receipt(event.transaction)
            spent[bytes(event.arguments["commitment"])] = receipt.gas_used if receipt else 0
        return spent

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

    def _consent(self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, shared: Posted) -> None:
        terms = suite.consent_registry.publish_terms(keccak(text=TERMS))
        now = datetime.fromtimestamp(self.chain.timestamp(), UTC).replace(second=0, microsecond=0)
        needed = request_for(shared.resource, TREATMENT)
        rule = Rule(
            purposes=Purpose.TREAT,
            classes=needed.classes,
            conditions=needed.conditions or Condition.ALL,
            sensitivities=needed.sensitivities,
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

    def _serve(self, people: dict[str, Organisation], clinic: Clinic, shared: Posted) -> None:
        reader = people["harbor"]
        self.chapter(
            f"{reader.name} asks for the record",
            f"{clinic.organisation.name}'s gatekeeper checks who signed the request and asks the registry; the reader\n"
            "checks what it was served.",
        )
        with clinic.visited_by(reader.signer, TREATMENT) as client:
            served = client.fetch(shared.resource.resource_type, str(shared.resource.id))
        self.expect(f"served as of block {served.proof.block}: {served.proof.reason.lower()}", served.proof.block > 0)
        self.expect(
            "the served record is the one that was committed to",
            fhir.verify(served.record.content, served.proof.salt, shared.key.commitment),
        )
        self.expect(
            "the reader holds the gatekeeper's signed promise to log it",
            served.access is not None and served.access.promise.custodian == clinic.organisation.id,
        )

    def _refuse(self, suite: MedProof, people: dict[str, Organisation], clinic: Clinic, shared: Posted) -> None:
        self.chapter("Requests outside the rule", "Each is refused, and the registry says why.")
        harbor, institute = people["harbor"], people["institute"]
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
        told = clinic.refusal(harbor.signer, Claims(Purpose.HOPERAT, Action.ACCESS), shared.resource)
        self.expect(f"the gatekeeper serves nothing either: {told}", told == Reason.PURPOSE.name)

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

    def _break_glass(
        self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, clinic: Clinic, shared: Posted
    ) -> None:
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
        with clinic.visited_by(emergency.signer, Claims(Purpose.BTG, Action.ACCESS)) as client:
            served = client.fetch(shared.resource.resource_type, str(shared.resource.id))
        self.expect("the gatekeeper serves it, and says why", served.proof.reason == Reason.BREAK_GLASS.name)
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
            not fhir.verify(altered, shared.salt, shared.key.commitment),
        )
        self.expect(f"the change is found at {found[0].path}" if found else "the change is found", len(found) == 1)
        self.console.print(f"   [dim]altered: {where}[/]", highlight=False)

    def _revoke(
        self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, clinic: Clinic, shared: Posted
    ) -> None:
        reader = people["harbor"]
        self.chapter("She changes her mind", f"She withdraws what she allowed {reader.name}, again without ether.")
        message = suite.consent_registry.sign_revocation(wallet.pseudonym(shared.custodian.id), reader.id)
        receipt = suite.relay(message, sender=people["relayer"].signer)
        self.table("what she signed", "gas", rows=[("revocation", f"{self.spend('revoke a rule, signed', receipt):,}")])
        decision = suite.consent_registry.decide(shared.key.subject, reader.id, self._request(shared))
        told = clinic.refusal(reader.signer, TREATMENT, shared.resource)
        self.expect(
            "the same request is refused now", decision.reason is Reason.REVOKED and told == Reason.REVOKED.name
        )

    def _measure_at_home(
        self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, clinic: Clinic
    ) -> None:
        self.chapter(
            "She measures at home",
            "She registers a meter. It signs each reading; the clinic keeps them and proves each without the others.",
        )
        me, meter = wallet.pseudonym(clinic.organisation.id), LocalSigner.from_key(new_salt())
        now = datetime.fromtimestamp(self.chain.timestamp(), UTC)
        minute = now.replace(second=0, microsecond=0)
        registration = Device(DataClass.VITAL_SIGNS, minute, minute + timedelta(days=365))
        message = suite.devices.sign_registration(me, meter.address, registration)
        self.spend("register a device, signed", suite.relay(message, sender=people["relayer"].signer))

        def reading(number: int) -> Reading:
            return sign_reading(
                meter,
                heart_rate(70 + number, now),
                subject=me.address,
                custodian=clinic.organisation.id,
                number=number,
                taken_at=now,
                domain=suite.devices.reading_domain,
            )

        readings = [reading(number) for number in (1, 2, 3)]
        taken = clinic.take_readings(readings)
        clinic.settle()
        clinic.anchor_readings()
        self.expect(
            f"{len(taken)} readings are taken; sent again, they are kept once",
            all(one.code is None for one in taken) and clinic.take_readings(readings) == taken,
        )
        with clinic.visited_by(me, Claims()) as client:
            shown = client.prove_reading(str(taken[1].id)).to_json()
        batch = ReadingProof.from_json(shown).verify(suite)
        self.expect(
            f"one of them is proved to a stranger, by one root for all {batch.size}", batch.size == len(readings)
        )
        message = suite.devices.sign_revocation(me, meter.address)
        self.spend("revoke a device, signed", suite.relay(message, sender=people["relayer"].signer))
        [refused] = clinic.take_readings([reading(4)])
        self.expect("once she has revoked the meter, nothing of it is taken", refused.code == "DEVICE_REVOKED")

    def _show_log(
        self, suite: MedProof, people: dict[str, Organisation], wallet: Wallet, clinic: Clinic, shared: Posted
    ) -> None:
        self.chapter(
            "Who asked for her records",
            f"Each request left an entry in {clinic.organisation.name}'s access log. Its root is on the chain:\n"
            "neither the clinic nor anyone else can change an entry unseen. She asks for hers.",
        )
        clinic.anchor_log()
        me = wallet.pseudonym(clinic.organisation.id)
        with clinic.visited_by(me, Claims()) as client:
            seen = list(client.accesses(me.address))
        names = {one.id: one.name for one in people.values()} | {
            clinic.front_desk.address: "its front desk",
            me.address: "she herself",
        }
        accesses = [entry.access for entry in seen if entry.access is not None]
        rows = []
        for one in accesses:
            rule = next((record.ground.sequence for record in one.records if record.ground.grantee), None)
            outcome = "served" if one.permitted else f"refused: {one.reason.lower()}"
            if one.break_glass:
                outcome = "opened in an emergency"
            elif rule:
                outcome = f"served under rule {rule}"
            elif one.action == "create":
                outcome = "taken"
            who = names.get(one.party or one.account, one.account)
            rows.append((f"{one.when:%H:%M:%S}", who, one.action, ", ".join(one.purposes.codes) or "any", outcome))
        self.table("when", "who", "what", "for", "outcome", rows=rows)
        self.expect(
            f"all {len(seen)} entries are proven to be in the log that was anchored",
            bool(seen) and all(entry.anchored for entry in seen),
        )
        self.expect(
            "she sees the reading that she allowed, the emergency, and each refusal",
            [one.reason for one in accesses if one.action == "read" and one.party]
            == [Reason.PERMITTED.name, Reason.PURPOSE.name, Reason.BREAK_GLASS.name, Reason.REVOKED.name],
        )
        opened = next(entry.promise.index for entry in seen if entry.access is not None and entry.access.break_glass)
        finding = clinic.check_copy([line for line in clinic.log.lines() if line.index != opened])
        self.expect(
            f"a copy without the emergency is found out. {finding or ''}",
            finding is not None and finding.first == opened,
        )

    def _recover(self, suite: MedProof, wallet: Wallet, posted: Sequence[Posted]) -> None:
        self.chapter("She loses her phone", "Twelve words bring back every relationship, from the chain alone.")
        with self.console.status("looking for her relationships"):
            found = list(recover(suite, wallet))
        self.expect(
            f"{len(found)} relationships with {sum(len(one.pointers) for one in found)} pointers are found again",
            {key for one in found for key in one.pointers} >= {entry.key for entry in posted},
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

    @staticmethod
    def _request(shared: Posted, **changes: Any) -> Request:
        """What the gatekeeper asks the registry for before it serves the record for treatment."""
        return replace(request_for(shared.resource, TREATMENT), **changes)


def heart_rate(value: int, taken_at: datetime) -> Resource:
    """A heart rate as a home meter reports it: the profile of FHIR R4 for vital signs."""
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    unit: JsonObject = {"unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min"}
    return fhir.load(
        {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"system": system, "code": "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
            "effectiveDateTime": taken_at.isoformat(timespec="seconds"),
            "valueQuantity": {"value": value, **unit},
        }
    )


def short(value: bytes) -> str:
    """The beginning of a hash."""
    return f"0x{value.hex()[:10]}…"
