"""Files of secrets: made for their owner alone, read only where nobody else can, and replaced whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from medproof.errors import KeystoreError

__all__ = ["read_key_file", "rewriting"]

_OTHERS = 0o077


def read_key_file(path: Path, *, limit: int) -> bytes:
    """The first bytes of a file of secrets, up to a limit.

    Raises:
        KeystoreError: it cannot be read, or others may read it.
    """
    try:
        with path.open("rb") as file:
            open_to_others = os.fstat(file.fileno()).st_mode & _OTHERS
            content = file.read(limit)
    except OSError as error:
        raise KeystoreError(str(path), f"cannot be read ({error.strerror})", "Check the path") from None
    if open_to_others:
        raise KeystoreError(str(path), "can be read by others", "Run chmod 600 on it")
    return content


@contextmanager
def rewriting(path: Path, *, new: bool = False) -> Iterator[TextIO]:
    """A draft, for its owner alone, that takes a file's place whole or not at all; one at a time.

    Args:
        path: the file.
        new: whether it must not be there yet.

    Raises:
        KeystoreError: it cannot be written, is there already, or another is changing it.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        rule = "is being changed by another, or by one that was ended while it did"
        raise KeystoreError(str(path), rule, f"Remove {draft} if nobody does") from None
    except OSError as error:
        raise KeystoreError(str(path), f"cannot be written ({error.strerror})", "Check the folder") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            if new and path.exists():
                raise KeystoreError(str(path), "is there already", "Name a new one: no key is ever overwritten")
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
