"""Cases on the command line: which file, what it holds, and writing it back before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from typer import Argument

from medproof import hashing
from medproof.claims.case import Case
from medproof.claims.claim import Claim
from medproof.claims.document import to_json
from medproof.cli.output import Output
from medproof.client import MedProof
from medproof.errors import CaseError, KeystoreError, OptionError
from medproof.key_file import read_key_file, rewriting

__all__ = [
    "SUFFIX",
    "CaseFile",
    "CaseFiles",
    "all_cases",
    "change_case",
    "file_for",
    "load_case",
    "naming_key",
    "new_case",
    "on_this_chain",
]

SUFFIX = ".case"
"""How a case's file is named, unless it is given another name."""
_NAMING = ".naming"  # the file of a folder's key
_FILE_NAME = "case-file:v1"  # the purpose of names under it

CaseFile = Annotated[Path, Argument(metavar="CASE", help="The case's file.", show_default=False)]
CaseFiles = Annotated[
    list[Path], Argument(metavar="CASE…", help="Files of cases, or folders of them.", show_default=False)
]


def file_for(claim: Claim, key: bytes) -> str:
    """The name of a new case's file: the same for the same claim, so that it is taken once.

    A bare hash would tell whoever sees the name and guesses the claim, also after the case was erased.
    """
    content = hashing.canonical(to_json(claim))
    return hashing.keyed_identifier(key, content, purpose=_FILE_NAME).hex()[:16] + SUFFIX


def naming_key(output: Output, folder: Path) -> bytes:
    """The key of the names of a folder's cases, which is made where there is none.

    Raises:
        OptionError: another is making it now, or others may read it.
    """
    path = folder / _NAMING
    with suppress(OptionError):  # it is there
        output.keep(path, hashing.new_salt().hex())
    try:
        key = bytes.fromhex(read_key_file(path, limit=2 * hashing.SALT_LENGTH).decode("ascii"))
        if len(key) != hashing.SALT_LENGTH:
            raise ValueError
    except KeystoreError as error:
        raise OptionError(str(path), "cannot be used", str(error)) from error
    except ValueError:
        rule = "is no key for the names of cases, or is being made"
        raise OptionError(str(path), rule, "Repeat the command, or remove the file.") from None
    return key


def load_case(path: Path) -> Case:
    """Read a case.

    Raises:
        OptionError: the file is none, or cannot be read.
    """
    try:
        return Case.from_json(path.read_bytes())
    except CaseError as error:
        raise OptionError(str(path), "is no case that can be used", str(error)) from error


def new_case(output: Output, path: Path, case: Case) -> bool:
    """Write a new case, for its owner alone; False where there is one already, whose salt nobody overwrites."""
    try:
        output.keep(path, _text(case))
    except OptionError:
        return False
    return True


def change_case(path: Path, change: Callable[[Case], Case]) -> Case:
    """Change a case's file, and return the case: whole or not at all, one at a time, so that no salt is lost.

    Raises:
        OptionError: it is no case, or another is changing it.
    """
    try:
        with rewriting(path) as file:
            case = change(load_case(path))
            file.write(_text(case))
    except KeystoreError as error:
        raise OptionError(str(path), "cannot be changed", str(error)) from error
    return case


def _text(case: Case) -> str:
    return json.dumps(case.to_json(), indent=1)


def all_cases(paths: Sequence[Path]) -> Iterator[Path]:
    """Every file of a case that is named, or lies in a folder that is.

    Raises:
        OptionError: a folder holds none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob(f"*{SUFFIX}"))
        if not found:
            raise OptionError(str(path), f"holds no file whose name ends with {SUFFIX}", "Name the cases' folder.")
        yield from found


def on_this_chain(suite: MedProof, path: Path, case: Case) -> Case:
    """The case, if its claim is on this chain and in this contract.

    Raises:
        CaseError: it is not on any chain.
        OptionError: it is on another one.
    """
    anchor = case.anchored()
    if (anchor.chain_id, anchor.contract) != (suite.chain.chain_id, suite.claim_anchor.address):
        step = f"Name the network of chain {anchor.chain_id}, and its deployment."
        raise OptionError(str(path), f"is of the ClaimAnchor at {anchor.contract} on chain {anchor.chain_id}", step)
    return case
