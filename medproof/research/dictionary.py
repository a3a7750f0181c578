"""The data dictionary: what each column of a table says, in what unit, by which code list, and where it comes from.

It is made of `medproof.research.columns` alone, as JSON for programs and as Markdown for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from medproof.hashing import Json, JsonObject
from medproof.policy.codes import CodedFlag
from medproof.research.columns import Column, Table

__all__ = ["code_lists", "dictionary", "dictionary_files", "dictionary_text"]


def dictionary_files(tables: Iterable[Table]) -> dict[str, str]:
    """The files of an export's dictionary, by name."""
    found = tuple(tables)
    as_json = json.dumps(dictionary(found), indent=2, ensure_ascii=False)
    return {"dictionary.json": f"{as_json}\n", "dictionary.md": dictionary_text(found)}


def dictionary(tables: Iterable[Table]) -> JsonObject:
    """The dictionary of tables as JSON: `tables`, and the `code_lists` that their columns are sets of."""
    found = tuple(tables)
    lists: list[Json] = [
        {
            "name": one.__name__,
            "title": one.system.title,
            "system": one.system.uri,
            "version": one.system.version,
            "codes": [
                {"bit": code.value.bit_length() - 1, "value": code.value, "code": code.code, "display": code.display}
                for code in one
            ],
        }
        for one in code_lists(found)
    ]
    return {
        "tables": [
            {
                "name": table.name,
                "description": table.description,
                "order": [*table.order],
                "columns": [_column(one) for one in table.columns],
            }
            for table in found
        ],
        "code_lists": lists,
    }


def dictionary_text(tables: Iterable[Table]) -> str:
    """The dictionary of tables as Markdown."""
    found = tuple(tables)
    parts = ["# Data dictionary", ""]
    for table in found:
        parts += [f"## {table.name}", "", f"A row is {table.description}.{_order(table)}", ""]
        if not table.columns:
            continue
        parts += ["| column | type | unit | what it says | from | empty |", "|---|---|---|---|---|---|"]
        parts += [_line(_cells(one)) for one in table.columns]
        parts.append("")
    lists = code_lists(found)
    if lists:
        parts += ["## Code lists", ""]
        parts += ["A set of codes is a number: the sum of its codes' values, which are powers of two.", ""]
    for one in lists:
        parts += [
            f"### {one.__name__}",
            "",
            f"{one.system.title}, version {one.system.version}: `{one.system.uri}`",
            "",
        ]
        parts += ["| value | code | display |", "|---|---|---|"]
        parts += [_line((str(code.value), f"`{code.code}`", code.display)) for code in one]
        parts.append("")
    return "\n".join(parts)


def code_lists(tables: Iterable[Table]) -> tuple[type[CodedFlag], ...]:
    """The code lists that columns of tables are sets of, each once."""
    found = {column.codes: None for table in tables for column in table.columns if column.codes is not None}
    return tuple(found)


def _column(column: Column) -> JsonObject:
    return {
        "name": column.name,
        "type": column.type,
        "unit": column.unit or None,
        "description": column.description,
        "source": column.source,
        "optional": column.optional,
        "code_list": None if column.codes is None else column.codes.__name__,
    }


def _cells(column: Column) -> tuple[str, ...]:
    unit = column.unit if column.codes is None else f"{column.unit}: {column.codes.__name__}"
    return (
        f"`{column.name}`",
        column.type,
        unit,
        column.description,
        column.source,
        "may be" if column.optional else "",
    )


def _order(table: Table) -> str:
    return f" Rows are in the order of {', '.join(f'`{name}`' for name in table.order)}." if table.order else ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
