"""Studies, their cohorts and results, and bounties, as the contracts take them, and who does what with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.merkle import MerkleLog
from medproof.messages import Domain, TypedData
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, Purpose, ResearchUse, Sensitivity
from medproof.policy.evaluation import normalize
from medproof.policy.word import Request, encode_request
from tests.support.fixtures import DAY

# The contracts' numbers.
UNKNOWN, PLANNED, OPEN, OVER, CLOSED, WITHDRAWN = range(6)  # State
PERMITTED, STUDY_NOT_OPEN, NOT_OPTED_IN, NO_CONSENT = range(4)  # Use
CUSTODIAN, SUBJECTS = range(2)  # Payee
CLAIM_PERIOD = 180 * DAY
LONGEST = 3650 * DAY

DIRECT, SIGNED, AMONG_OTHERS = "direct", "signed", "by relay"

PROTOCOL, ETHICS, ANSWER = b"\x61" * 32, b"\x62" * 32, b"\x63" * 32


def in_full(**changes: Any) -> int:
    """A request for genomic data of cancer patients, for research on the disease; changed as the keywords say."""
    said = {
        "purposes": Purpose.HRESCH,
        "classes": DataClass.GENOMICS,
        "conditions": Condition.NEOPLASMS,
        "sensitivities": Sensitivity.NONE_LABELLED,
        "settings": CareSetting.ALL,
        "actions": Action.ACCESS | Action.USE,
        "research": ResearchUse.DS | ResearchUse.IRB,
        **changes,
    }
    word = normalize(encode_request(Request(**said)))
    assert word is not None
    return word


def shown(value: Any) -> Any:
    """A value as Brownie gives it back."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return tuple(shown(part) for part in value) if isinstance(value, tuple) else value


class Study(NamedTuple):
    """A study as the contract takes it."""

    researcher: str
    request: int
    protocol: bytes
    ethics: bytes
    first_day: int
    last_day: int
    custodians: tuple[str, ...]

    @property
    def id(self) -> bytes:
        return keccak(encode(["(address,uint256,bytes32,bytes32,uint16,uint16,address[])"], [tuple(self)]))

    @property
    def word(self) -> int:
        """What is kept of it while it stands."""
        return int(self.researcher, 16) | self.first_day << 160 | self.last_day << 176 | 1 << 192


class Cohort(NamedTuple):
    """A cohort as the contract takes it."""

    study: bytes
    root: bytes
    size: int
    block: int
    block_hash: bytes

    @property
    def id(self) -> bytes:
        return keccak(encode(["bytes32", "bytes32", "uint32", "uint64", "bytes32"], list(self)))


class Result(NamedTuple):
    """A custodian's answer as the contract takes it."""

    cohort: bytes
    custodian: str
    commitment: bytes

    @property
    def id(self) -> bytes:
        return keccak(encode(["bytes32", "address", "bytes32"], list(self)))


class Bounty(NamedTuple):
    """A bounty as the contract takes it."""

    funder: str
    study: bytes
    token: str
    payee: int
    payment: int
    accept_until: int

    @property
    def id(self) -> bytes:
        return keccak(encode(["address", "bytes32", "address", "uint8", "uint128", "uint64"], list(self)))


def members(study: bytes, subjects: Sequence[Any]) -> MerkleLog:
    """The Merkle log of a cohort of these subjects, in this order."""
    return MerkleLog(keccak(encode(["bytes32", "address"], [study, str(subject)])) for subject in subjects)


class Desk:
    """Takes the steps of studies, each as whoever owns it takes it."""

    def __init__(self, studies: Any, domain: Domain, sign: Any, relayer: Any, chain: Any) -> None:
        self.studies, self.domain, self._sign, self.relayer, self._chain = studies, domain, sign, relayer, chain

    def deadline(self) -> int:
        """An hour ahead of the latest block."""
        return int(self._chain[-1].timestamp) + 3600

    def block(self) -> tuple[int, bytes]:
        """The latest block and its hash."""
        found = self._chain[-1]
        return int(found.number), bytes(found.hash)

    def opting_in(self, study: Study, subject: Any, sequence: int, deadline: int, **changes: Any) -> TypedData:
        """What a wallet shows to a subject that opts in."""
        said: dict[str, Any] = {
            "subject": str(subject),
            "study": study.id,
            "sequence": sequence,
            "researcher": study.researcher,
            "last_day": study.last_day,
            "request": study.request,
            "deadline": deadline,
            **changes,
        }
        return messages.opt_in(said.pop("domain", self.domain), **said)

    def opting_out(self, study: Study, subject: Any, sequence: int, deadline: int, **changes: Any) -> TypedData:
        """What a wallet shows to a subject that opts out."""
        said = {"subject": str(subject), "study": study.id, "sequence": sequence, "deadline": deadline, **changes}
        return messages.opt_out(said.pop("domain", self.domain), **said)

    def choose(
        self, function: str, study: Study, subject: Any, sequence: int, *,
        by: Any = None, form: str = DIRECT, dry: bool = False,
    ) -> Any:  # fmt: skip
        """Opt in or out: ``choose("optIn", study, subject, sequence)``; `dry` only asks whether it would succeed."""
        by = by or subject
        call, sender = getattr(self.studies, function), by
        given: tuple[Any, ...] = (subject, study.id, sequence, 0, b"")
        if form != DIRECT:
            deadline = self.deadline()
            shown = self.opting_in if function == "optIn" else self.opting_out
            signature = self._sign(by, shown(study, subject, sequence, deadline))
            given, sender = (subject, study.id, sequence, deadline, signature), self.relayer
        if form == AMONG_OTHERS:
            encoded, call = call.encode_input(*given), self.studies.relay
            given = ([encoded], 0)
        return (call.call if dry else call)(*given, {"from": sender})

    def fix(self, study: Study, subjects: Sequence[Any], researcher: Any) -> tuple[Cohort, MerkleLog]:
        """Fix a cohort of these subjects, as of the latest block."""
        log = members(study.id, subjects)
        cohort = Cohort(study.id, log.root(), len(log), *self.block())
        self.studies.fixCohort(cohort, {"from": researcher})
        return cohort, log

    def answering(self, study: Study, result: Result, deadline: int, *, domain: Domain | None = None) -> TypedData:
        """What a custodian signs."""
        return messages.result(
            domain or self.domain,
            study=study.id,
            cohort=result.cohort,
            custodian=result.custodian,
            commitment=result.commitment,
            deadline=deadline,
        )

    def publish(
        self, study: Study, cohort: Cohort, custodian: Any, researcher: Any, commitment: bytes = ANSWER
    ) -> Result:
        """Publish a custodian's answer."""
        result, deadline = Result(cohort.id, str(custodian), commitment), self.deadline()
        signature = self._sign(custodian, self.answering(study, result, deadline))
        self.studies.publishResult(study, cohort, result, deadline, signature, {"from": researcher})
        return result
