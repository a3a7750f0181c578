"""The chapters on research: a study that people join, a cohort that is proved, an answer that gives something back."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from medproof import hashing
from medproof.client import MedProof
from medproof.client.incentives import Bounty, Payee
from medproof.client.studies import Result, Study, Use
from medproof.client.token import Token
from medproof.contract_errors import BountyOpen, PaidAlready, ResultExists
from medproof.fixed_cohort import FixedCohort
from medproof.hashing import JsonObject
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
from medproof.policy.duo import DataUse, StudyUse, match, to_research_use
from medproof.policy.study import Approval, FileDigest, StudyDocument, describe_study
from medproof.policy.word import Request, Rule
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from medproof.study_result import SealedResult
from medproof.wallet import Wallet
from scripts.demo_token import deploy_token, send_token
from scripts.stage import Organisation, Stage, refusal_of

_DISEASE = "MONDO:0005148"  # type 2 diabetes mellitus
_YEAR = timedelta(days=365)
_SHORT = 3  # seconds for which the second bounty accepts answers; longer where transactions take longer


@dataclass
class Researching:
    """A study, from its registration to what it gives back."""

    stage: Stage
    suite: MedProof
    people: dict[str, Organisation]
    patient: LocalSigner  # her pseudonym at the clinic

    def tell(self) -> None:
        """Tell it."""
        today = datetime.fromtimestamp(self.suite.chain.timestamp(), UTC).date()
        document = self._register(today)
        study = Study.of(document)
        neighbours = [Wallet.create()[0].pseudonym(self.people["north"].id) for _ in range(2)]
        self._join(document, study, [self.patient, *neighbours])
        cohort = self._fix(study)
        sealed = self._answer(study, cohort)
        self._give_back(study, cohort, sealed)

    def _register(self, today: date) -> StudyDocument:
        stage, institute, clinic = self.stage, self.people["institute"], self.people["north"]
        document = StudyDocument(
            title="Blood sugar over the years",
            researcher=institute.id,
            use=StudyUse(diseases={_DISEASE}, ethics_approval=True, publishes=True),
            scope=Request(classes=DataClass.LABORATORY | DataClass.CONDITION),
            starts=today,
            ends=today + _YEAR,
            custodians=(clinic.id,),
            protocol=FileDigest.of("protocol.pdf", b"Who is asked, for what, and how it is kept."),
            approval=Approval("The ethics board", "2026-114", FileDigest.of("letter.pdf", b"Approved.")),
        )
        said = describe_study(document, researcher=institute.name)
        stage.chapter(
            "A study",
            f"{institute.name} registers what it asks for, with the hashes of its protocol and of the\n"
            f"ethics approval. Whoever is asked reads: [italic]{said}[/]",
        )
        receipt = self.suite.studies.register(Study.of(document), sender=institute.signer)
        stage.table(
            "step",
            "by",
            "gas",
            rows=[("registered", institute.name, f"{stage.spend('register a study', receipt):,}")],
        )
        stage.expect(
            "the study on the chain is that of the document",
            self.suite.studies.study(Study.of(document).id).differences(document) == (),
        )
        return document

    def _join(self, document: StudyDocument, study: Study, subjects: list[LocalSigner]) -> None:
        """Two permit what it asks for; all three opt in."""
        stage, suite, relayer = self.stage, self.suite, self.people["relayer"].signer
        permitted = DataUse(ResearchUse.DS | ResearchUse.NCU | ResearchUse.PUB, diseases={_DISEASE})
        stage.chapter(
            "Who takes part",
            "Taking part adds to consent and never replaces it. Two neighbours opt in as she does, and one of\n"
            "them never permitted such research. All of it is signed; the relayer pays.",
        )
        stage.expect(
            "by the algorithm of the Broad Institute's DUOS, the study is within what she permits",
            match(document.use, permitted).permitted,
        )
        now = datetime.fromtimestamp(suite.chain.timestamp(), UTC).replace(second=0, microsecond=0)
        rule = Rule(
            purposes=Purpose.HRESCH,
            classes=DataClass.LABORATORY | DataClass.CONDITION,
            conditions=Condition.ALL,
            sensitivities=Sensitivity.ALL,
            settings=CareSetting.ALL,
            actions=Action.ALL,
            party_kinds=PartyKind.RESEARCHER,
            valid_from=now,
            research=to_research_use(permitted),
        )
        registry, grants = suite.consent_registry, []
        for one in subjects[:2]:
            index = len(registry.rules(one.address, study.researcher))  # she has let it have something else before
            grants.append(registry.sign_grant(one, study.researcher, replace(rule, index=index)))
        registry.relay_many(grants, sender=relayer)
        with stage.console.status("joining"), TemporaryDirectory() as folder:
            queue = Relayer(suite, Path(folder) / "queue.sqlite", relayer)
            with closing(queue):
                for one in subjects:
                    queue.submit(suite.studies.sign_opt_in(one, study))
                while queue.run_once(flush=True):
                    time.sleep(0.1)
                fates = queue.fates()
        transactions = {fate.transaction for fate in fates if fate.transaction}
        spent = sum(receipt.gas_used for one in transactions if (receipt := suite.chain.receipt(one)))
        stage.gas["opt in to a study, signed, one of a batch"] = spent // len(fates)
        verdicts = [suite.studies.may_use(study.id, one.address).use for one in subjects]
        stage.expect(
            "it may use the data of two, and not of the one whose rules do not permit it",
            verdicts == [Use.PERMITTED, Use.PERMITTED, Use.NO_CONSENT],
        )

    def _fix(self, study: Study) -> FixedCohort:
        """Whose data are used is fixed before anything is asked."""
        stage, suite, institute = self.stage, self.suite, self.people["institute"]
        block = suite.chain.block()
        subjects = suite.studies.permitted(study.id, block=block.number)
        cohort = FixedCohort.of(
            subjects,
            chain_id=suite.chain.chain_id,
            studies=suite.studies.address,
            study=study.id,
            block=block.number,
            block_hash=bytes.fromhex(block.hash[2:]),
        )
        stage.chapter(
            "Whose data are used",
            "Before the data are asked for, the cohort is fixed by its root. Custodians and subjects get proofs\n"
            "of who is in it, and nobody joins it afterwards.",
        )
        receipt = suite.studies.fix_cohort(cohort.cohort, sender=institute.signer)
        membership = FixedCohort.from_json(hashing.canonical(cohort.to_json())).membership(self.patient.address)
        stage.table(
            "step",
            "subjects",
            "as of block",
            "gas",
            rows=[("fixed", str(cohort.cohort.size), str(cohort.block), f"{stage.spend('fix a cohort', receipt):,}")],
        )
        outsider = replace(membership, subject=institute.id)
        stage.expect(
            "she is proven to be a member of it, and nobody passes for her",
            suite.studies.in_cohort(membership) and not suite.studies.in_cohort(outsider),
        )
        return cohort

    def _answer(self, study: Study, cohort: FixedCohort) -> SealedResult:
        """The clinic answers with an aggregate."""
        stage, suite = self.stage, self.suite
        clinic, institute = self.people["north"], self.people["institute"]
        stage.chapter(
            "The answer",
            f"{clinic.name} answers with a mean over the cohort, nothing about one person, and signs it.\n"
            "The chain keeps its salted hash. In earnest it would not answer over so few.",
        )
        content: JsonObject = {"what": "haemoglobin A1c", "unit": "%", "mean": 6, "subjects": cohort.cohort.size}
        sealed = hashing.seal(content)
        result = Result(cohort.cohort.id, clinic.id, sealed.commitment)
        agreed = suite.studies.sign_result(clinic.signer, study.id, result)
        handed = SealedResult(cohort.cohort, clinic.id, content, sealed.salt, agreed)
        published = suite.studies.publish_result(study, cohort.cohort, result, agreed, sender=institute.signer)
        again = refusal_of(
            lambda: suite.studies.publish_result(study, cohort.cohort, result, agreed, sender=institute.signer),
            ResultExists,
        )
        stage.spend("publish a result", published)
        read = SealedResult.from_json(hashing.canonical(handed.to_json()))
        changed = replace(read, answer={**content, "mean": 7})
        stage.expect(
            "what was published is this answer and no other, and it is published once",
            again is not None
            and suite.studies.result_published(read.result.id) is not None
            and suite.studies.result_published(changed.result.id) is None,
        )
        return handed

    def _give_back(self, study: Study, cohort: FixedCohort, sealed: SealedResult) -> None:
        """A funder pays each subject for the answer, once; what nobody earned goes back."""
        stage, incentives, funder = self.stage, self.suite.incentives, self.people["plan"]
        stage.chapter(
            "Something comes back",
            f"{funder.name} escrows a bounty for each subject whose data the answer is about. Tokens move\n"
            "by her signed word, to an account of her choice, and once.",
        )
        token = deploy_token(self.suite.chain, stage.funder)
        send_token(token, funder.id, token.units("30"), sender=stage.funder)
        began = self.suite.chain.timestamp()
        until = datetime.fromtimestamp(began, UTC) + _YEAR
        bounty = Bounty(funder.id, study.id, token.address, Payee.SUBJECTS, token.units("2.5"), until)
        funded = incentives.fund(bounty, token.units("10"), sender=funder.signer)
        pace = 4 * (self.suite.chain.timestamp() - began) + _SHORT
        soon = datetime.fromtimestamp(self.suite.chain.timestamp() + pace, UTC)
        unearned = replace(bounty, payee=Payee.CUSTODIAN, accept_until=soon)
        incentives.fund(unearned, token.units("20"), sender=funder.signer)
        early = refusal_of(lambda: incentives.refund(unearned, sender=funder.signer), BountyOpen)
        accepted = incentives.accept(bounty, cohort.cohort, sealed.result, sender=funder.signer)
        receiver = LocalSigner.from_key(hashing.new_salt()).address
        place = cohort.membership(self.patient.address)
        claim = incentives.sign_share_claim(self.patient, bounty, place, to=receiver)
        paid = self.suite.relay(claim, sender=self.people["relayer"].signer)
        again = refusal_of(lambda: self.suite.relay(claim, sender=self.people["relayer"].signer), PaidAlready)
        stage.table(
            "step",
            "by",
            "gas",
            rows=[
                ("bounty funded", funder.name, f"{stage.spend('fund a bounty', funded):,}"),
                ("answer accepted", funder.name, f"{stage.spend('accept an answer', accepted):,}"),
                ("her share claimed", "the patient", f"{stage.spend('claim a share, signed', paid):,}"),
            ],
        )
        stage.expect(
            f"{token.shown(token.balance(receiver))} arrive, the second claim is refused, and she holds no ether",
            token.balance(receiver) == bounty.payment
            and again is not None
            and self.suite.chain.balance(self.patient.address) == 0,
        )
        self._wait(token, soon)
        before = token.balance(funder.id)
        incentives.refund(unearned, sender=funder.signer)
        stage.expect(
            "what nobody earned goes back to the funder after the deadline, and not before",
            early is not None and token.balance(funder.id) - before == token.units("20"),
        )

    def _wait(self, token: Token, until: datetime) -> None:
        """Wait until the chain's time is past a moment; a development chain makes a block only for a transaction."""
        with self.stage.console.status("waiting for the deadline"):
            while self.suite.chain.timestamp() <= until.timestamp():
                time.sleep(min(max(until.timestamp() - time.time(), 0) + 0.3, 5))
                send_token(token, self.people["plan"].id, 0, sender=self.stage.funder)
