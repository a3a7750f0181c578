"""LinuxForHealth's samples: docs/x12.md says of each what becomes of it, and this holds it to that."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from fnmatch import fnmatchcase

from medproof import x12
from medproof.claims import Claim, ClaimResponse
from medproof.errors import ClaimElementError
from scripts.local_chain import ROOT
from tests.sdk.archives import X12, needs_x12

NOUNS = {
    Claim: "claim",
    ClaimResponse: "response",
    x12.StatusRequest: "question of status",
    x12.StatusAnswer: "answer of status",
    x12.EligibilityInquiry: "question of eligibility",
    x12.EligibilityAnswer: "answer of eligibility",
}
pytestmark = needs_x12


def table() -> dict[str, str]:
    """The table of docs/x12.md: pattern of names, and what becomes of them."""
    text = (ROOT / "docs" / "x12.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(\d{3}_[^`]+)` \| (.*) \|$", text, re.MULTILINE))


def becomes(content: bytes) -> str:
    try:
        found = Counter(NOUNS[type(one)] for one in x12.read(content))
    except ClaimElementError as error:
        return f"`{type(error).__name__}`: {error.path} {error.rule}"
    ((noun, count),) = found.items()
    return f"{count} {noun if count == 1 else re.sub('^[a-z]+', lambda word: word[0] + 's', noun)}"


def test_every_sample_becomes_what_the_document_says() -> None:
    said = table()
    with zipfile.ZipFile(X12) as archive:
        names = [name for name in archive.namelist() if name != "LICENSE"]
        assert len(names) == 61
        for name in names:
            (pattern,) = [one for one in said if fnmatchcase(name, one)]
            assert becomes(archive.read(name)) == said[pattern], name
    assert all(any(fnmatchcase(name, pattern) for name in names) for pattern in said)


def test_no_refusal_of_a_sample_shows_what_its_people_are_called() -> None:
    with zipfile.ZipFile(X12) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            people = re.findall(rb"NM1\*(?:IL|QC|03)\*1\*([^*~]+)\*([^*~]+)", content)
            if not becomes(content).startswith("`"):
                continue
            for person in people:
                assert not any(re.search(rf"\b{re.escape(one.decode())}\b", becomes(content)) for one in person)
