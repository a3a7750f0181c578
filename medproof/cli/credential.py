"""The credential behind an accreditation: what was checked, as a salted commitment."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from medproof.cli.output import Output
from medproof.cli.session import read_text
from medproof.errors import OptionError, SaltError
from medproof.hashing import commit_bytes, new_salt

__all__ = ["CredentialOptions", "commitment"]

_HASH = re.compile("0x[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class CredentialOptions:
    """Which credential was checked."""

    credential: Annotated[
        Path | None,
        Option(metavar="FILE", help="What was checked: its salted hash goes on chain, the salt to FILE.salt."),
    ] = None
    credential_hash: Annotated[
        str | None, Option(metavar="HASH", help="Or its salted hash itself, 0x and 64 digits.")
    ] = None


def commitment(options: CredentialOptions, output: Output) -> bytes:
    """The 32 bytes that go on chain; the salt of a file is kept beside it first, and used again.

    Raises:
        OptionError: neither or both are named, or the salt beside the file belongs to something else.
    """
    if (options.credential is None) == (options.credential_hash is None):
        step = "Name the file that was checked, or its salted hash."
        raise OptionError("--credential", "or --credential-hash is needed, one of them", step)
    if options.credential_hash is not None:
        if not _HASH.fullmatch(options.credential_hash):
            raise OptionError("--credential-hash", "is no hash", "Give 0x and 64 hexadecimal digits.")
        return bytes.fromhex(options.credential_hash[2:])
    return _of_file(options.credential or Path(), output)


def _of_file(file: Path, output: Output) -> bytes:
    content, beside = file.read_bytes(), file.with_name(f"{file.name}.salt")
    if not beside.exists():
        salt = new_salt()
        found = commit_bytes(content, salt)
        output.keep(beside, json.dumps({"salt": f"0x{salt.hex()}", "commitment": f"0x{found.hex()}"}))
        output.aside(f"The salt is in {beside}: keep it with the credential, to show later what was checked.")
        return found
    try:
        kept = json.loads(read_text(beside))
        found = commit_bytes(content, bytes.fromhex(kept["salt"].removeprefix("0x")))
        if kept["commitment"] == f"0x{found.hex()}":
            return found
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, SaltError):
        pass
    step = "Restore the two files, or give a new credential a file name of its own."
    raise OptionError(str(beside), f"is not the salt of {file} as it is now", step)
