"""The steps of a study and of bounties for its answers, each measured once, in the order in which they are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bench.meter import Contract, fixed_account, fixed_hash, signed
from medproof import messages
from medproof.fixed_cohort import Cohort, leaf_of
from medproof.merkle import MerkleLog
from medproof.messages import Domain, TypedData
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, Purpose, ResearchUse, Sensitivity
from medproof.policy.evaluation import normalize
from medproof.policy.word import Request, encode_request

FIRST_DAY, LAST_DAY = 20_605, 20_970  # 2026-06-01, on which the clock starts, and a year later; in days since 1970
ACCEPT_UNTIL = 0x71234567  # in the year 2030
COHORT = 1_000  # subjects
RELAYED = 100
GAS_EACH = 150_000  # what each relayed call may use at most
OLD_BLOCK = 17  # the cohort's: one whose hash the chain has forgotten
PAYMENT = 123_456_789
SUPPLY = 10**24  # of the token
CUSTODIAN, SUBJECTS = 0, 1  # who a bounty pays

ASKED = Request(
    purposes=Purpose.HRESCH,
    classes=DataClass.GENOMICS,
    conditions=Condition.NEOPLASMS,
    sensitivities=Sensitivity.NONE_LABELLED,
    settings=CareSetting.ALL,
    actions=Action.ACCESS | Action.USE,
    research=ResearchUse.DS | ResearchUse.IRB,
)

# Measures a step, or brings one about: `step(sender, contract, function, *arguments)`, after a name where measured.
Step = Callable[..., None]


@dataclass
class StudySteps:
    """What a study and its bounties cost."""

    measured: Step  # measured(operation, sender, contract, function, *arguments)
    share: Step  # share(operation, count, sender, contract, function, *arguments): of one among many
    prepared: Step  # prepared(sender, contract, function, *arguments)
    domain: Callable[[str], Domain]
    studies: Contract
    incentives: Contract
    token: Contract
    clinic: LocalAccount
    researcher: LocalAccount
    relayer: LocalAccount
    funder: LocalAccount  # who has the tokens

    def __post_init__(self) -> None:
        """The study, at the records of two custodians."""
        request = normalize(encode_request(ASKED))
        assert request is not None
        self.request = request
        self.custodians = tuple(sorted([self.clinic.address, fixed_account("hospital").address], key=str.lower))
        commitments = (fixed_hash("protocol"), fixed_hash("ethics approval"))
        self.definition = (self.researcher.address, request, *commitments, FIRST_DAY, LAST_DAY, self.custodians)
        kinds = "(address,uint256,bytes32,bytes32,uint16,uint16,address[])"
        self.study = keccak(encode([kinds], [self.definition]))
        self.patient = fixed_account("patient in a study")

    def run(self) -> None:
        """All of them."""
        self.measured("register_study", self.researcher, "Studies", "register", self.definition)
        self.choices()
        cohort, result, log = self.answers()
        self.bounties(cohort, result, log)

    def choices(self) -> None:
        """Opt in and out: sent, signed and relayed, and a hundred at once."""
        remote = fixed_account("remote patient in a study")
        self.measured("opt_in", self.patient, "Studies", "optIn", self.patient.address, self.study, 1, 0, b"")
        self.measured("opt_in_signed", self.relayer, "Studies", "optIn", *self.opting_in(remote))
        subjects = [fixed_account(f"patient {number} of a study") for number in range(RELAYED)]
        calls = [self.studies.call("optIn", *self.opting_in(subject)) for subject in subjects]
        self.share("opt_in_relayed_100_each", RELAYED, self.relayer, "Studies", "relay", calls, GAS_EACH)

        def leaving(deadline: int) -> TypedData:
            domain = self.domain("Studies")
            return messages.opt_out(domain, subject=remote.address, study=self.study, sequence=2, deadline=deadline)

        deadline, [signature] = signed(leaving, remote)
        left = (remote.address, self.study, 2, deadline, signature)
        self.measured("opt_out_signed", self.relayer, "Studies", "optOut", *left)

    def opting_in(self, subject: LocalAccount) -> tuple[str, bytes, int, int, bytes]:
        """A subject's first choice, signed, as optIn takes it."""

        def message(deadline: int) -> TypedData:
            return messages.opt_in(
                self.domain("Studies"),
                subject=subject.address,
                study=self.study,
                sequence=1,
                researcher=self.researcher.address,
                last_day=LAST_DAY,
                request=self.request,
                deadline=deadline,
            )

        deadline, [signature] = signed(message, subject)
        return subject.address, self.study, 1, deadline, signature

    def answers(self) -> tuple[Cohort, tuple[bytes, str, bytes], MerkleLog]:
        """Fix a cohort of a thousand, and publish a custodian's answer over it."""
        others = [to_checksum_address(fixed_hash(f"subject {number}")[:20]) for number in range(1, COHORT)]
        log = MerkleLog(leaf_of(self.study, subject) for subject in (self.patient.address, *others))
        cohort = Cohort(self.study, log.root(), COHORT, OLD_BLOCK, fixed_hash("block"))
        self.measured("fix_cohort", self.researcher, "Studies", "fixCohort", cohort.as_tuple())
        result = (cohort.id, self.clinic.address, fixed_hash("answer of a study"))

        def answering(deadline: int) -> TypedData:
            return messages.result(
                self.domain("Studies"),
                study=self.study,
                cohort=cohort.id,
                custodian=self.clinic.address,
                commitment=result[2],
                deadline=deadline,
            )

        deadline, [signature] = signed(answering, self.clinic)
        published = (self.definition, cohort.as_tuple(), result, deadline, signature)
        self.measured("publish_result", self.researcher, "Studies", "publishResult", *published)
        return cohort, result, log

    def bounties(self, cohort: Cohort, result: tuple[bytes, str, bytes], log: MerkleLog) -> None:
        """Fund, accept, and pay the custodian, and a subject by its proof, each to an account without tokens."""
        funder = self.funder
        self.prepared(funder, "Token", "approve", self.incentives.address, SUPPLY)
        terms = (funder.address, self.study, self.token.address)
        answer = fixed_account("purse of the clinic").address
        bounty = (*terms, CUSTODIAN, PAYMENT, ACCEPT_UNTIL)
        self.measured("fund_bounty", funder, "Incentives", "fund", bounty, PAYMENT)
        self.measured("accept_result", funder, "Incentives", "accept", bounty, cohort.as_tuple(), result, 0, b"")
        self.measured("claim_bounty_answer", self.clinic, "Incentives", "claimAnswer", bounty, result, answer, 0, b"")

        shared, purse = (*terms, SUBJECTS, PAYMENT, ACCEPT_UNTIL), fixed_account("purse of the patient").address
        self.prepared(funder, "Incentives", "fund", shared, COHORT * PAYMENT)
        self.prepared(funder, "Incentives", "accept", shared, cohort.as_tuple(), result, 0, b"")
        identity = keccak(encode(["(address,bytes32,address,uint8,uint128,uint64)"], [shared]))

        def claiming(deadline: int) -> TypedData:
            return messages.payout(
                self.domain("Incentives"),
                bounty=identity,
                study=self.study,
                answer=cohort.id,
                payee=self.patient.address,
                token=self.token.address,
                payment=PAYMENT,
                to=purse,
                deadline=deadline,
            )

        deadline, [signature] = signed(claiming, self.patient)
        place = (cohort.as_tuple(), self.patient.address, 0, log.inclusion_proof(0))
        claimed = (shared, *place, purse, deadline, signature)
        self.measured("claim_bounty_share_signed", self.relayer, "Incentives", "claimShare", *claimed)
