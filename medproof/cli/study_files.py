"""Studies, cohorts and answers on the command line: which file or id, and what it holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

from typer import Argument

from medproof import hashing
from medproof.cli.session import read_text
from medproof.client import MedProof
from medproof.client.studies import Study, StudyState
from medproof.errors import FixedCohortError, JsonError, OptionError
from medproof.fixed_cohort import FixedCohort, Membership
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text
from medproof.policy.duo import StudyUse
from medproof.policy.request_json import write_request
from medproof.policy.study import StudyDocument, read_use
from medproof.study_result import SealedResult

__all__ = [
    "StudyFile",
    "WhichStudy",
    "find_study",
    "is_id",
    "pretty",
    "read_cohort",
    "read_cohort_or_place",
    "read_document",
    "read_result",
    "read_use_file",
    "study_document",
]

_ID = re.compile("0x[0-9a-fA-F]{64}", re.ASCII)

StudyFile = Annotated[Path, Argument(metavar="STUDY", help="The file that register wrote.", show_default=False)]
WhichStudy = Annotated[
    str, Argument(metavar="STUDY|ID", help="The file that register wrote, or the study's id.", show_default=False)
]


def is_id(text: str) -> bool:
    """Whether a text is an id, and not the name of a file."""
    return bool(_ID.fullmatch(text))


def read_document(path: Path) -> StudyDocument:
    """A study's document, from its file."""
    return StudyDocument.from_json(read_text(path))


def find_study(suite: MedProof, which: str) -> tuple[Study, StudyDocument | None]:
    """The study that the chain has, by its file or its id; the document where there is a file.

    Raises:
        StudyError: the chain has none, or none that the file is of.
    """
    document = None if is_id(which) else read_document(Path(which))
    identifier = bytes.fromhex(which[2:]) if document is None else Study.of(document).id
    return suite.studies.study(identifier), document


def read_cohort(suite: MedProof, path: Path) -> FixedCohort:
    """A cohort, from its file.

    Raises:
        FixedCohortError: it is none, or of another chain or contract.
    """
    cohort = FixedCohort.from_json(read_text(path))
    here = suite.chain.chain_id, suite.studies.address
    if (cohort.chain_id, cohort.studies) != here:
        rule = f"is of Studies at {cohort.studies} on chain {cohort.chain_id}, not at {here[1]} on chain {here[0]}"
        raise FixedCohortError("", rule, "Name the chain and the manifest that it is of")
    return cohort


def read_cohort_or_place(suite: MedProof, path: Path) -> FixedCohort | Membership:
    """A cohort, or one subject's place in one, from its file.

    Raises:
        FixedCohortError: it is neither, or does not hold.
    """
    text = read_text(path)
    return Membership.from_json(text) if '"medproof-cohort-membership"' in text else read_cohort(suite, path)


def read_result(path: Path) -> SealedResult:
    """A custodian's answer, from its file."""
    return SealedResult.from_json(read_text(path))


def pretty(content: JsonObject) -> str:
    """A document as a file has it."""
    return json.dumps(content, indent=1, ensure_ascii=False)


def study_document(study: Study, state: StudyState) -> JsonObject:
    """A study as the chain has it, and what it is now."""
    return {
        "study": hex_text(study.id),
        "state": state.plain,
        "researcher": study.researcher,
        "first_day": study.first_day.isoformat(),
        "last_day": study.last_day.isoformat(),
        "asks": write_request(study.asks),
        "request": f"{study.request:#066x}",
        "protocol": hex_text(study.protocol),
        "ethics": hex_text(study.ethics),
        "custodians": list(study.custodians),
    }


def read_use_file(path: Path) -> StudyUse:
    """What a study intends, as JSON spells it.

    Raises:
        OptionError: the file says something else.
    """

    def wrong(member: str, rule: str) -> OptionError:
        return OptionError(str(path), f"{member} {rule}".strip(), "See docs/cli.md for what a study says.")

    try:
        content = hashing.parse(read_text(path).encode())
    except JsonError as error:
        raise wrong("", "is no JSON text") from error
    return read_use(content, wrong)
