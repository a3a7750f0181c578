"""An export in a process of its own: python exporting.py INDEX FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from medproof.indexer import Index
from medproof.research import Dataset
from medproof.research.export import write_export
from medproof.research.formats import FORMATS

index = Index(Path(sys.argv[1]))
[indexed] = index.deployments()
write_export(Dataset.of_index(indexed), sys.argv[2], formats=(*FORMATS, "fhir"))
