"""All that an index says, for comparison."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from medproof.indexer import Index, schema


def contents(index: Index, *, marks: bool = False) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in order; `marks`, too: blocks without events that only end a range."""
    found = {}
    with index.database.reading() as connection:
        for name, table in schema.metadata.tables.items():
            rows = [tuple(row) for row in connection.execute(select(table))]
            found[name] = sorted(
                (tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows), key=repr
            )
    if not marks:  # nor how it came to be
        del found["roll_backs"]
        happened = {row[1] for row in found["events"]}
        found["blocks"] = [row for row in found["blocks"] if row[1] in happened]
    return found
