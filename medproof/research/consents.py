"""The rules that stand as FHIR R4: a Bundle with a Consent for each subject, written and read an entry at a time.

A Consent decides as the subject's rules do (`medproof.fhir.render_consent`). Its id is the subject, its date the newest
of its rules' blocks. Each entry has a line of its own, with its resource in canonical form, which is what the leaf in
the Merkle log is of, as it is of a table's row elsewhere. A subject whose rules are all revoked has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tiny_keccak import keccak256

from medproof import fhir, hashing
from medproof.errors import ExportError, JsonError
from medproof.hashing import Json, JsonObject
from medproof.policy.word import decode
from medproof.research import rows
from medproof.research.columns import Table

__all__ = ["CONSENTS", "bundle", "read_consents", "rendered"]

CONSENTS = Table("consents", "a FHIR R4 Consent, with the rules of one subject as they stood", (), ("id",))
"""What the manifest and the dictionary call them: they have no columns but FHIR's elements."""

_LONGEST = 16 << 20  # bytes of an entry
_ENTRY = b'{"fullUrl":'


def rendered(rules: Iterable[dict[str, Any]]) -> Iterator[tuple[JsonObject, bytes]]:
    """Each subject's Consent, and what stands for it in the Merkle log.

    Args:
        rules: rows of the table `rules` that stand and are not revoked, in the order of the subjects.
    """
    for subject, kept in groupby(rules, key=itemgetter("subject")):
        found = list(kept)
        newest: datetime = max(row["block_time"] for row in found)
        consent: JsonObject = fhir.render_consent(
            [(row["grantee"], decode(int(row["word"], 16))) for row in found], patient=f"Patient/{subject}", when=newest
        )
        consent["id"] = subject
        yield consent, _leaf(consent)


def bundle(chain: int, authority: str, time: str, consents: Iterable[JsonObject]) -> Iterator[bytes]:
    """A FHIR Bundle, in parts: a line an entry.

    Args:
        chain: the chain's id.
        authority: the deployment's, 0x…
        time: when it was so: the block's time.
        consents: what it holds.
    """
    yield hashing.canonical({"resourceType": "Bundle", "timestamp": time, "type": "collection"})[:-1]
    before = b',"entry":[\n'
    for consent in consents:
        place = f"urn:medproof:consent:{chain}:{authority}:{consent['id']}"
        yield before + _ENTRY + hashing.canonical(place) + b',"resource":' + hashing.canonical(consent) + b"}"
        before = b",\n"
    yield b"}\n" if before[0:2] == b',"' else b"\n]}\n"


def read_consents(path: Path) -> Iterator[tuple[JsonObject, bytes]]:
    """Read a bundle's Consents again, each with its leaf.

    Raises:
        ExportError: a line is no entry; the message names it.
    """
    with path.open("rb") as file:
        file.readline(_LONGEST)
        number = 0
        while (line := file.readline(_LONGEST)) and line.startswith(_ENTRY):
            try:
                entry = hashing.parse(line.rstrip(b",\n"))
                consent = entry["resource"] if isinstance(entry, dict) else None
            except (JsonError, KeyError):
                consent = None
            if not isinstance(consent, dict):
                raise ExportError(f"{path.name}, row {number}", "is no entry of a FHIR Bundle") from None
            yield consent, _leaf(consent)
            number += 1


def _leaf(consent: Json) -> bytes:
    return keccak256(rows.schema_hash(CONSENTS) + hashing.canonical(consent))
