"""A study's cohort as it was fixed: the file that the researcher keeps, and one subject's proof from it.

The chain keeps a hash of the study, the root, the size and the block of a cohort (`Studies`). The file has the
subjects, in the order of their addresses: the leaves of a Merkle log (`medproof.merkle`), so that a proof fixes the
place of a subject as well.

    leaf    keccak256(abi.encode(study, subject))
    cohort  keccak256(abi.encode(study, root, size, block number, block hash))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof.errors import FixedCohortError, MerkleProofError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.merkle import MerkleLog, verify_inclusion

__all__ = ["MOST_SUBJECTS", "Cohort", "FixedCohort", "Membership", "leaf_of"]

_COHORT_FORMAT, _MEMBERSHIP_FORMAT = "medproof-cohort", "medproof-cohort-membership"
_VERSION = 1
_BYTES_EACH = 64  # of a subject in a file
_LONGEST_HEAD = 4096  # bytes of a file around its subjects or its path
MOST_SUBJECTS = 1 << 20
_LONGEST_PATH = 64


@dataclass(frozen=True)
class Cohort:
    """A cohort as the chain knows it: the struct `Cohort` of the contract."""

    study: bytes  # its id, 32 bytes
    root: bytes  # 32 bytes
    size: int  # how many subjects
    block: int  # as of which they were chosen
    block_hash: bytes  # 32 bytes

    @property
    def id(self) -> bytes:
        """Its id, 32 bytes."""
        return keccak(encode(["bytes32", "bytes32", "uint32", "uint64", "bytes32"], list(self.as_tuple())))

    def as_tuple(self) -> tuple[bytes, bytes, int, int, bytes]:
        """As the contract takes it."""
        return (self.study, self.root, self.size, self.block, self.block_hash)

    def to_json(self) -> JsonObject:
        """The cohort as JSON."""
        return {
            "study": hex_text(self.study),
            "root": hex_text(self.root),
            "size": self.size,
            "block": self.block,
            "blockHash": hex_text(self.block_hash),
        }

    @classmethod
    def read(cls, said: JsonReader) -> Cohort:
        """Read what `to_json` gave.

        Raises:
            the reader's error: it is none.
        """
        size = said.number("size", bits=32)
        block, block_hash = said.number("block"), said.hash("blockHash")
        return cls(said.hash("study"), said.hash("root"), size, block, block_hash)


@dataclass(frozen=True)
class Membership:
    """That a subject stands at a place of a cohort: all that a custodian or a contract needs to check it."""

    cohort: Cohort
    index: int  # from 0
    subject: str
    path: tuple[bytes, ...]  # the leaf's neighbour first

    def verify(self) -> None:
        """Return if the path leads from the subject at its place to the cohort's root.

        That the chain has the cohort, and that the subject had opted in, says `Studies.in_cohort`.

        Raises:
            FixedCohortError: it does not.
        """
        leaf = leaf_of(self.cohort.study, self.subject)
        try:
            verify_inclusion(leaf, self.index, self.cohort.size, self.path, self.cohort.root)
        except MerkleProofError as error:
            raise FixedCohortError("path", f"does not show that {self.subject} stands in it: {error}") from error

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "format": _MEMBERSHIP_FORMAT,
            "version": _VERSION,
            "cohort": self.cohort.to_json(),
            "index": self.index,
            "subject": self.subject,
            "path": [hex_text(one) for one in self.path],
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Membership:
        """Read what `to_json` gave, as text.

        Raises:
            FixedCohortError: it is none, or the path does not lead to its root.
        """
        said = _document(text, _MEMBERSHIP_FORMAT, _LONGEST_HEAD + _LONGEST_PATH * 80)
        about = said.object("cohort")
        membership = cls(
            cohort=Cohort.read(about),
            index=said.number("index", bits=32),
            subject=said.address("subject"),
            path=said.hashes("path", _LONGEST_PATH),
        )
        about.finish()
        said.finish()
        membership.verify()
        return membership


@dataclass(frozen=True)
class FixedCohort:
    """The subjects of a study as of a block."""

    chain_id: int
    studies: str  # address of the contract
    study: bytes  # its id, 32 bytes
    block: int  # as of which its subjects were in the study
    block_hash: bytes  # 32 bytes
    subjects: tuple[str, ...]  # checksummed, in ascending order

    @classmethod
    def of(
        cls, subjects: Iterable[str], *, chain_id: int, studies: str, study: bytes, block: int, block_hash: bytes
    ) -> FixedCohort:
        """The cohort of these subjects, in whatever order they come.

        Raises:
            FixedCohortError: there are none, or too many.
        """
        ordered = tuple(sorted({to_checksum_address(one) for one in subjects}, key=str.lower))
        if not 0 < len(ordered) <= MOST_SUBJECTS:
            rule = f"has {len(ordered)} subjects, and a cohort has 1 to {MOST_SUBJECTS}"
            raise FixedCohortError("", rule, "Fix it when somebody takes part, or fix it in parts")
        return cls(chain_id, studies, study, block, block_hash, ordered)

    @cached_property
    def cohort(self) -> Cohort:
        """The cohort as the chain knows it."""
        return Cohort(self.study, self._log.root(), len(self.subjects), self.block, self.block_hash)

    def membership(self, subject: str) -> Membership:
        """A subject's proof.

        Raises:
            FixedCohortError: it is not in the cohort.
        """
        index = self._places.get(subject)
        if index is None:
            raise FixedCohortError("", f"has no subject {subject}", "Ask for the cohort that the answer used")
        return Membership(self.cohort, index, subject, self._log.inclusion_proof(index))

    def to_json(self) -> JsonObject:
        """The cohort as JSON."""
        return {
            "format": _COHORT_FORMAT,
            "version": _VERSION,
            "chainId": self.chain_id,
            "studies": self.studies,
            **self.cohort.to_json(),
            "subjects": list(self.subjects),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> FixedCohort:
        """Read what `to_json` gave, as text.

        Raises:
            FixedCohortError: it is none, its subjects are not in order, or its root is another's.
        """
        said = _document(text, _COHORT_FORMAT, _LONGEST_HEAD + MOST_SUBJECTS * _BYTES_EACH)
        about = Cohort.read(said)
        cohort = cls(
            chain_id=said.number("chainId"),
            studies=said.address("studies"),
            study=about.study,
            block=about.block,
            block_hash=about.block_hash,
            subjects=said.addresses("subjects", MOST_SUBJECTS),
        )
        said.finish()
        if list(cohort.subjects) != sorted(cohort.subjects, key=str.lower):
            raise FixedCohortError("subjects", "are not in the order of their addresses")
        if about != cohort.cohort:
            raise FixedCohortError("root", "is not that of its subjects")
        return cohort

    @cached_property
    def _log(self) -> MerkleLog:
        return MerkleLog(leaf_of(self.study, subject) for subject in self.subjects)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {subject: index for index, subject in enumerate(self.subjects)}


def leaf_of(study: bytes, subject: str) -> bytes:
    """What stands for a subject in the cohorts of a study, 32 bytes."""
    return keccak(encode(["bytes32", "address"], [study, subject]))


def _document(text: str | bytes, format: str, longest: int) -> JsonReader:
    def unreadable(path: str, rule: str) -> FixedCohortError:
        return FixedCohortError(path, rule)

    return JsonReader.document(text, unreadable, format=format, version=_VERSION, longest=longest)
