"""What an export says of itself: where its rows come from, what was asked, and what its files and rows hash to.

Nothing in it depends on when, where or by whom it was written: the same block and the same question give the same
manifest. Whoever keeps its SHA-256, or anchors it, has pinned every file and every row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medproof.errors import ExportError
from medproof.hashing import Json, JsonObject
from medproof.indexer.index import BlockHash
from medproof.json_reader import JsonReader, hex_text

__all__ = ["MANIFEST", "ExportedFile", "ExportedTable", "Manifest", "time_text"]

MANIFEST = "manifest.json"
"""Its name in an export's folder."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FORMAT = "medproof-export"
_VERSION = 1
_LONGEST = 1 << 20
_LONGEST_LINE = 300
_MOST = 100  # tables, files, contracts


@dataclass(frozen=True)
class ExportedTable:
    """A table of an export."""

    name: str
    rows: int
    schema: bytes  # what its columns hash to (`medproof.research.rows`)
    root: bytes  # of the Merkle log of its rows, in their order


@dataclass(frozen=True)
class ExportedFile:
    """A file of an export."""

    name: str
    size: int  # bytes
    sha256: bytes
    table: str | None  # whose rows it holds; None for what describes them


@dataclass(frozen=True)
class Manifest:
    """What an export says of itself."""

    medproof: str  # the version that wrote it
    writers: Mapping[str, str]  # libraries on whose version the files' bytes depend, and the version
    chain: int
    authority: str  # the deployment's, 0x…
    contracts: Mapping[str, str]  # addresses, 0x…, by name
    block: BlockHash  # as of which block
    question: JsonObject | None  # what was asked; None for whole tables
    suppression: JsonObject  # `medproof.research.suppression.Suppression.to_json`
    tables: tuple[ExportedTable, ...]
    files: tuple[ExportedFile, ...]

    def to_text(self) -> str:
        """The manifest as JSON: the same for the same content."""
        said: JsonObject = {
            "format": _FORMAT,
            "version": _VERSION,
            "medproof": self.medproof,
            "writers": {**self.writers},
            "chain": self.chain,
            "authority": self.authority,
            "contracts": {**self.contracts},
            "block": {
                "number": self.block.number,
                "hash": hex_text(self.block.hash),
                "time": time_text(self.block),
            },
            "question": self.question,
            "suppression": self.suppression,
            "tables": [
                {"name": one.name, "rows": one.rows, "schema": hex_text(one.schema), "root": hex_text(one.root)}
                for one in self.tables
            ],
            "files": [
                {"name": one.name, "size": one.size, "sha256": hex_text(one.sha256), "table": one.table}
                for one in self.files
            ],
        }
        return json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def sha256(self) -> bytes:
        """What pins the export: SHA-256 of the manifest's file as it is written."""
        return hashlib.sha256(self.to_text().encode()).digest()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read an export's manifest.

        Raises:
            ExportError: there is none, or it is none; the message names the member.
        """
        place = folder / MANIFEST
        if not place.is_file():
            rule = f"{MANIFEST} is missing" if folder.is_dir() else f"folder {folder} is not there"
            raise ExportError(rule.partition(" ")[0], rule.partition(" ")[2], "It is half-written, or no export at all")
        if place.stat().st_size > _LONGEST:
            raise ExportError(MANIFEST, f"has more than {_LONGEST} bytes")
        return cls.parse(place.read_bytes())

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Read what `to_text` gave.

        Raises:
            ExportError: it is none; the message names the member.
        """
        said = JsonReader.document(text, _wrong, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        block, tables, files = said.object("block"), said.items("tables", _MOST), said.items("files", _MOST)
        found = cls(
            medproof=said.line("medproof", _LONGEST_LINE),
            writers=_lines(said, "writers"),
            chain=said.number("chain"),
            authority=said.line("authority", _LONGEST_LINE),
            contracts=_lines(said, "contracts"),
            block=BlockHash(block.number("number"), block.hash("hash"), _time(block)),
            question=_object(said, "question", optional=True),
            suppression=_object(said, "suppression") or {},
            tables=tuple(
                ExportedTable(one.line("name", _LONGEST_LINE), one.number("rows"), one.hash("schema"), one.hash("root"))
                for one in tables
            ),
            files=tuple(
                ExportedFile(_file_name(one), one.number("size"), one.hash("sha256"), _table_name(one)) for one in files
            ),
        )
        for part in (said, block, *tables, *files):
            part.finish()
        names = {one.name for one in found.tables}
        if len(names) < len(found.tables) or len({one.name for one in found.files}) < len(found.files):
            raise _wrong("tables" if len(names) < len(found.tables) else "files", "has a name twice")
        for one in found.files:
            if one.table is not None and one.table not in names:
                raise _wrong("files", f"has {one.name}, of a table that is not there")
        return found


def time_text(block: BlockHash) -> str:
    """A block's time, as in every file of an export."""
    return datetime.fromtimestamp(block.time, UTC).strftime(_TIME)


def _wrong(path: str, rule: str) -> ExportError:
    return ExportError(f"{MANIFEST}: {path}" if path else MANIFEST, rule)


def _file_name(said: JsonReader) -> str:
    """The name of a file in the export's own folder, and of none elsewhere."""
    name = said.line("name", _LONGEST_LINE)
    if Path(name).name != name or name.startswith(".") or "\\" in name or name == MANIFEST:
        raise said.wrong("name", "is no name of a file in this folder")
    return name


def _table_name(said: JsonReader) -> str | None:
    return None if said.take("table") is None else said.line("table", _LONGEST_LINE)


def _time(block: JsonReader) -> int:
    text = block.text("time")
    try:
        found = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise block.wrong("time", "is no time as 2030-01-01T00:00:00Z") from None
    return int(found.timestamp())


def _object(said: JsonReader, name: str, *, optional: bool = False) -> JsonObject | None:
    value: Json = said.take(name)
    if isinstance(value, dict):
        return value
    if value is None and optional:
        return None
    raise said.wrong(name, "is no JSON object")


def _lines(said: JsonReader, name: str) -> dict[str, str]:
    value = _object(said, name) or {}
    inner = JsonReader(value, _wrong, f"{name}.")
    if len(value) > _MOST:
        raise said.wrong(name, f"has more than {_MOST} members")
    return {one: inner.line(one, _LONGEST_LINE) for one in value}
