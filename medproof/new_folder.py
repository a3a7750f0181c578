"""A new folder that is written aside and takes its place whole, or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medproof.errors import MedProofError

__all__ = ["written_aside"]


@contextmanager
def written_aside(
    folder: Path, error: Callable[[str, str, str], MedProofError], *, mode: int = 0o777
) -> Iterator[Path]:
    """A folder beside this one, which takes its place when all went well and is gone otherwise.

    Args:
        folder: the new folder.
        error: makes the error from the part, what is wrong with it and the next step.
        mode: who may do what in it, less what the process' mask takes away.

    Raises:
        the error: there is something of its name, or it cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise error(f"folder {folder}", "is there already", "Name a new one")
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(mode)
        yield draft
        draft.rename(folder)
    except OSError as failure:
        step = "Check the folder and the disk"
        raise error(f"folder {folder}", f"cannot be written ({failure.strerror})", step) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
