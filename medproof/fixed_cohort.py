"""A study's cohort as it was fixed: the file that the researcher keeps, and one subject's proof from it.

The chain keeps the root, the size and the block of a cohort (`Studies`). The file has the subjects, in the order of
their addresses; each stands in the tree with its place, so that a proof shows both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address

from medproof.errors import FixedCohortError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.sorted_merkle import SortedMerkleTree, path_root

__all__ = ["FixedCohort", "Membership"]

_COHORT_FORMAT, _MEMBERSHIP_FORMAT = "medproof-cohort", "medproof-cohort-membership"
_VERSION = 1
_BYTES_EACH = 64  # of a subject in a file
_LONGEST_HEAD = 4096  # bytes of a file around its subjects or its path
MOST_SUBJECTS = 1 << 20
_LONGEST_PATH = 64


@dataclass(frozen=True)
class Membership:
    """That a subject stands at a place of a cohort: all that a custodian or a contract needs to check it."""

    study: bytes  # its id, 32 bytes
    root: bytes  # the cohort's, 32 bytes
    index: int  # from 0
    subject: str
    path: tuple[bytes, ...]  # as `MerkleProof` takes it

    def verify(self) -> None:
        """Return if the path leads from the subject at its place to the root.

        Raises:
            FixedCohortError: it does not.
        """
        if path_root(_value(self.index, self.subject), self.path) != self.root:
            rule = f"does not show that {self.subject} stands at {self.index} in the cohort {hex_text(self.root)}"
            raise FixedCohortError("path", rule)

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "format": _MEMBERSHIP_FORMAT,
            "version": _VERSION,
            "study": hex_text(self.study),
            "root": hex_text(self.root),
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
        membership = cls(
            study=said.hash("study"),
            root=said.hash("root"),
            index=said.number("index"),
            subject=said.address("subject"),
            path=said.hashes("path", _LONGEST_PATH),
        )
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

    @property
    def root(self) -> bytes:
        """What the chain keeps of it, 32 bytes."""
        return self._tree.root

    @property
    def size(self) -> int:
        """How many subjects it has."""
        return len(self.subjects)

    def membership(self, subject: str) -> Membership:
        """A subject's proof.

        Raises:
            FixedCohortError: it is not in the cohort.
        """
        index = self._places.get(subject)
        if index is None:
            raise FixedCohortError("", f"has no subject {subject}", "Ask for the cohort that the answer used")
        return Membership(self.study, self.root, index, subject, self._tree.path(_value(index, subject)))

    def to_json(self) -> JsonObject:
        """The cohort as JSON."""
        return {
            "format": _COHORT_FORMAT,
            "version": _VERSION,
            "chainId": self.chain_id,
            "studies": self.studies,
            "study": hex_text(self.study),
            "block": self.block,
            "blockHash": hex_text(self.block_hash),
            "root": hex_text(self.root),
            "subjects": list(self.subjects),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> FixedCohort:
        """Read what `to_json` gave, as text.

        Raises:
            FixedCohortError: it is none, its subjects are not in order, or its root is another's.
        """
        said = _document(text, _COHORT_FORMAT, _LONGEST_HEAD + MOST_SUBJECTS * _BYTES_EACH)
        cohort = cls(
            chain_id=said.number("chainId"),
            studies=said.address("studies"),
            study=said.hash("study"),
            block=said.number("block"),
            block_hash=said.hash("blockHash"),
            subjects=said.addresses("subjects", MOST_SUBJECTS),
        )
        root = said.hash("root")
        said.finish()
        if not cohort.subjects or list(cohort.subjects) != sorted(cohort.subjects, key=str.lower):
            raise FixedCohortError("subjects", "are none, or not in the order of their addresses")
        if root != cohort.root:
            raise FixedCohortError("root", "is not that of its subjects")
        return cohort

    @cached_property
    def _tree(self) -> SortedMerkleTree:
        return SortedMerkleTree(_value(index, subject) for index, subject in enumerate(self.subjects))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {subject: index for index, subject in enumerate(self.subjects)}


def _value(index: int, subject: str) -> bytes:
    """What stands for a subject in the tree."""
    return encode(["uint256", "address"], [index, subject])


def _document(text: str | bytes, format: str, longest: int) -> JsonReader:
    def unreadable(path: str, rule: str) -> FixedCohortError:
        return FixedCohortError(path, rule)

    return JsonReader.document(text, unreadable, format=format, version=_VERSION, longest=longest)
