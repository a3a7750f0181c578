"""The public registry for research: the data set, cohorts, and what is published of them. docs/research.md has more.

It needs `medproof[research]`.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.research.cohort import Cohort, Question, cohort
    from medproof.research.dataset import AsOf, Dataset
    from medproof.research.folder import datasets, write_dataset
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("The research data set", "research", str(missing.name)) from None

__all__ = ["AsOf", "Cohort", "Dataset", "Question", "cohort", "datasets", "write_dataset"]
