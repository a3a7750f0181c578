"""A custodian's answer to a study, as it is handed to the researcher: the aggregate, its salt, and the signature.

The chain keeps a salted commitment to the answer (`Studies`). Whoever has this file sees that the published result is
this answer and no other.

    commitment   hashing.commit(answer, salt)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from medproof import hashing
from medproof.client.contract import Agreement
from medproof.client.studies import Result
from medproof.errors import StudyResultError
from medproof.fixed_cohort import Cohort
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = ["SealedResult"]

_FORMAT, _VERSION, _LONGEST = "medproof-study-result", 1, 1 << 22
_MOST_SIGNATURE = 1 << 14  # bytes; a contract wallet's may be long


@dataclass(frozen=True)
class SealedResult:
    """An answer with its salt, agreed to by its custodian."""

    cohort: Cohort  # the cohort that it is over
    custodian: str  # identity of the party that answers
    answer: Json = field(repr=False)  # the aggregate
    salt: bytes = field(repr=False)  # 32 bytes
    agreement: Agreement  # the custodian's signature

    @property
    def result(self) -> Result:
        """What the chain keeps of it."""
        return Result(self.cohort.id, self.custodian, hashing.commit(self.answer, self.salt))

    def to_json(self) -> JsonObject:
        """The answer as JSON."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "cohort": self.cohort.to_json(),
            "custodian": self.custodian,
            "answer": self.answer,
            "salt": hex_text(self.salt),
            "deadline": self.agreement.deadline,
            "signature": hex_text(self.agreement.signature),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> SealedResult:
        """Read what `to_json` gave, as text.

        Raises:
            StudyResultError: it is none, or a part of it is missing.
        """
        said = JsonReader.document(text, StudyResultError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        about = said.object("cohort")
        found = cls(
            cohort=Cohort.read(about),
            custodian=said.address("custodian"),
            answer=said.take("answer"),
            salt=said.hash("salt"),
            agreement=Agreement(said.number("deadline"), said.octets("signature", 1, _MOST_SIGNATURE)),
        )
        about.finish()
        said.finish()
        return found
