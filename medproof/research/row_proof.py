"""One row of an export, proved by itself: with the manifest, whose root is over all rows, and the path to the root.

Whoever knows the manifest's SHA-256 from elsewhere, or exports as of the same block, needs nothing more of the export.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tiny_keccak import keccak256

from medproof import hashing, merkle
from medproof.errors import ExportError, JsonError, MedProofError, MerkleProofError
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.merkle import MerkleLog
from medproof.research import rows
from medproof.research.checking import EXPORTED, json_rows, read_leaves
from medproof.research.columns import Table
from medproof.research.consents import CONSENTS
from medproof.research.manifest import ExportedTable, Manifest

__all__ = ["ROW_FORMAT", "RowProof"]

ROW_FORMAT = "medproof-export-row"
"""What the document says it is."""
_VERSION = 1
_LONGEST = 16 << 20  # bytes of a document
_LONGEST_PATH = 64
_LONGEST_NAME = 100


@dataclass(frozen=True)
class RowProof:
    """That a row stands at an index of a table of an export."""

    manifest: Manifest
    table: str
    index: int  # from 0
    row: JsonObject  # its values by column; of consents, the Consent
    path: tuple[bytes, ...]  # the hashes that lead from the row's leaf to the manifest's root

    @classmethod
    def of(cls, folder: Path | str, table: str, index: int) -> RowProof:
        """Prove a row of an export.

        Raises:
            ExportError: there is no such row, or the export is not what its manifest says of it.
        """
        root = Path(folder)
        manifest = Manifest.read(root)
        entry = _entry(manifest, table)
        if not 0 <= index < entry.rows:
            raise ExportError(f"table {table}", f"has no row {index}, but {entry.rows} from 0", "Name one of them")
        log = MerkleLog(read_leaves(root, table))
        if len(log) != entry.rows:
            raise ExportError(f"table {table}", "has other leaves than rows")
        for number, row in enumerate(json_rows(root, manifest, table)):
            if number == index:
                found = cls(manifest, table, index, row, log.inclusion_proof(index))
                found.verify()
                return found
        raise ExportError(f"table {table}", f"has no row {index} in its file")

    def verify(self) -> None:
        """Return if the row is the one under the manifest's root.

        Raises:
            ExportError: it is not.
        """
        entry = _entry(self.manifest, self.table)
        try:
            merkle.verify_inclusion(self._leaf(), self.index, entry.rows, self.path, entry.root)
        except MerkleProofError as error:
            raise ExportError(f"table {self.table}, row {self.index}", f"is not proved ({error})") from None

    def _leaf(self) -> bytes:
        table = EXPORTED[self.table]
        value: Json = self.row if table is CONSENTS else _values(table, self.row)
        try:
            return keccak256(rows.schema_hash(table) + hashing.canonical(value))
        except JsonError as error:
            raise ExportError(f"table {self.table}, row {self.index}", f"is no JSON ({error})") from None

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "format": ROW_FORMAT,
            "version": _VERSION,
            "manifest": json.loads(self.manifest.to_text()),
            "table": self.table,
            "index": self.index,
            "row": self.row,
            "path": [hex_text(one) for one in self.path],
        }

    @classmethod
    def from_json(cls, text: bytes) -> RowProof:
        """Read what `to_json` gave.

        Raises:
            ExportError: it is none; the message names the member.
        """
        said = JsonReader.document(text, _wrong, format=ROW_FORMAT, version=_VERSION, longest=_LONGEST)
        manifest = Manifest.parse(hashing.canonical(said.take("manifest")))
        table, index, row = said.line("table", _LONGEST_NAME), said.number("index"), said.take("row")
        path = said.hashes("path", _LONGEST_PATH)
        said.finish()
        if not isinstance(row, dict):
            raise said.wrong("row", "is no JSON object")
        return cls(manifest, table, index, row, path)


def _wrong(path: str, rule: str) -> MedProofError:
    return ExportError(f"row: {path}" if path else "row", rule)


def _entry(manifest: Manifest, name: str) -> ExportedTable:
    for entry in manifest.tables:
        if entry.name == name:
            if name not in EXPORTED or entry.schema != rows.schema_hash(EXPORTED[name]):
                raise ExportError(f"table {name}", "has other columns than this MedProof's", "Update MedProof")
            return entry
    known = ", ".join(one.name for one in manifest.tables)
    raise ExportError(f"table {name!r}", "is not in the manifest", f"Name one of {known}")


def _values(table: Table, row: JsonObject) -> list[Json]:
    names = [one.name for one in table.columns]
    if set(row) != set(names):
        raise ExportError(f"table {table.name}", "has a row with other columns")
    return [row[name] for name in names]
