"""An export in a process of its own, which a third argument kills half-way: python exporting.py INDEX FOLDER [kill]."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from medproof.indexer import Index
from medproof.research import Dataset
from medproof.research.export import write_export
from medproof.research.formats import FORMATS


def killed(table: str, done: int, total: int) -> None:
    if table == "consents" and len(sys.argv) > 3:
        os.kill(os.getpid(), signal.SIGKILL)


index = Index(Path(sys.argv[1]))
[indexed] = index.deployments()
write_export(Dataset.of_index(indexed), sys.argv[2], formats=(*FORMATS, "fhir"), progress=killed)
