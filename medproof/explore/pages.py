"""What the pages show: an address's parameters in, the values of a template out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medproof.explore.asking import EXAMPLES
from medproof.explore.parameters import Pairs, Parameters
from medproof.explore.registry import STANDINGS, PartyRow, Registry
from medproof.explore.showing import AS_OF, Shown, as_of, moments, pinned
from medproof.explore.site import Site
from medproof.policy.codes import PartyKind

__all__ = ["coverage", "evidence", "overview", "parties", "problem"]

_ROWS = 50  # of the directory, on one page
_PREFIX = re.compile("0x[0-9a-fA-F]{0,40}", re.ASCII)


def overview(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """The registry in a few numbers, and how it grew."""
    parameters = Parameters(pairs, single=AS_OF)
    found = as_of(registry, parameters)
    asked = not parameters.errors
    values = {
        "asof": moments(registry, found, parameters),
        "figures": registry.figures(found) if asked else [],
        "flow": registry.flow(found) if asked else [],
        "examples": [
            {"title": title, "href": href}
            for title, question in EXAMPLES
            if (href := site.link("cohort", (*question, *pinned(registry, found))))
        ],
    }
    return Shown("overview", "The registry", values, parameters.errors)


_COVERED = (  # list, title, head of its first column, caption
    ("class", "Kinds of data", "Kind of data", "Subjects with a permission in force that covers the kind of data."),
    ("purpose", "Purposes", "Purpose", "Subjects with a permission in force for the purpose."),
    ("condition", "Health conditions", "Chapter of ICD-10-CM", "Subjects with a permission in force for the chapter."),
    ("duo", "Research, in DUO's terms", "Term", "Subjects with a permission for research that has the term."),
    ("sensitivity", "Sensitive information", "Label", "Subjects with a permission in force for data with the label."),
)


def coverage(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """For how many subjects each code is covered."""
    parameters = Parameters(pairs, single=AS_OF)
    found = as_of(registry, parameters)
    parts = (
        []
        if parameters.errors
        else [
            {"name": by, "title": title, "caption": caption, "head": head, "rows": registry.coverage(by, found)}
            for by, title, head, caption in _COVERED
        ]
    )
    values = {"asof": moments(registry, found, parameters), "parts": parts}
    return Shown("coverage", "What is covered", values, parameters.errors)


def evidence(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """How anybody checks what the pages say."""
    parameters = Parameters(pairs, single=AS_OF)
    found = as_of(registry, parameters)
    block, hash_ = found.block, found.hash
    active = [
        one.party for one in registry.parties(found) if one.standing == "active" and one.kind is PartyKind.RESEARCHER
    ]
    values = {
        "asof": moments(registry, found, parameters),
        "index": "medproof index --index index.db --network https://node.example --check https://another.example",
        "prove": f"medproof research evidence {next(iter(active), '0x…')} --purpose HRESCH --class genomics \\\n"
        f"  --block {block} --index index.db --network https://node.example --out evidence.jsonl",
        "verify": f"medproof verify evidence.jsonl --block-hash {hash_}",
        "export": f"medproof research export registry --tables rules,parties --block {block} --index index.db\n"
        "medproof research check registry --index index.db",
    }
    return Shown("evidence", "How to check all this", values, parameters.errors)


_COLUMNS: dict[str, tuple[str, Callable[[PartyRow], Any]]] = {
    "party": ("Identity", lambda row: row.party),
    "kind": ("Kind", lambda row: (row.kind.display, row.party)),
    "standing": ("Standing", lambda row: (row.standing, row.party)),
    "valid": ("Accredited until", lambda row: (row.valid_until, row.party)),
}


def parties(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """The directory of who is accredited."""
    single = ("kind", "group", "standing", "account", "sort", "page", *AS_OF)
    parameters = Parameters(pairs, single=single)
    found = as_of(registry, parameters)
    groups = registry.groups(found)
    listed = {number: name for number, name in groups.items() if number != 1}  # everyone is in it
    kind = parameters.choice("kind", {one.code: one for one in PartyKind})
    standing = parameters.choice("standing", STANDINGS)
    group = parameters.choice("group", {str(number): name for number, name in listed.items()})
    step = "Write it as it begins: 0x and hexadecimal digits."
    prefix = parameters.pattern("account", _PREFIX, "beginning of an account", step).lower()
    sort = parameters.choice("sort", [sign + name for name in _COLUMNS for sign in ("", "-")]) or "party"
    rows = [
        row
        for row in registry.parties(found)
        if (not kind or row.kind.code == kind)
        and (not standing or row.standing == standing)
        and (not group or int(group) in row.groups)
        and (row.party.startswith(prefix) or row.account.startswith(prefix))
    ]
    rows.sort(key=_COLUMNS[sort.lstrip("-")][1], reverse=sort.startswith("-"))
    last_page = max(1, -(-len(rows) // _ROWS))
    number = parameters.number("page", lowest=1, highest=last_page, what="page of this list") or 1
    shown = rows[(number - 1) * _ROWS : number * _ROWS]

    def to(**changes: str) -> str | None:
        return site.link("parties", _changed(parameters.given(), changes))

    values = {
        "asof": moments(registry, found, parameters),
        "kept": [pair for pair in parameters.given() if pair[0] in ("sort", *AS_OF)],
        "account": parameters.text("account"),
        "filters": [
            _filter("kind", "Kind", [(one.code, one.display) for one in PartyKind], kind),
            _filter("group", "Group", [(str(of), name) for of, name in listed.items()], group),
            _filter("standing", "Standing", list(STANDINGS.items()), standing),
        ],
        "columns": [*(_column(name, sort, to) for name in _COLUMNS), {"label": "Groups", "href": None, "sorted": ""}],
        "rows": [
            {
                "party": row.party,
                "account": row.account,
                "kind": row.kind.display,
                "standing": row.standing,
                "valid_until": row.valid_until,
                "groups": [groups.get(of, f"group {of}") for of in row.groups],
            }
            for row in shown
        ],
        "total": len(rows),
        "number": number,
        "last_page": last_page,
        "before": to(page=str(number - 1)) if number > 1 else None,
        "after": to(page=str(number + 1)) if number < last_page else None,
    }
    return Shown("parties", "Parties", values, parameters.errors)


def problem(title: str, said: str, status: int) -> Shown:
    """A page that says what is wrong and what to do."""
    return Shown("problem", title, {"said": said}, {}, status)


def _filter(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> dict[str, Any]:
    said = [{"code": code, "display": display, "chosen": code == chosen} for code, display in options]
    return {"name": name, "label": label, "options": said}


def _column(name: str, sort: str, to: Callable[..., str | None]) -> dict[str, Any]:
    label, _ = _COLUMNS[name]
    up, down = sort == name, sort == f"-{name}"
    sorted_ = "ascending" if up else "descending" if down else ""
    return {"label": label, "sorted": sorted_, "href": to(sort=f"-{name}" if up else name, page="")}


def _changed(given: Pairs, changes: Mapping[str, str]) -> Pairs:
    """Parameters with some in place of others; an empty one is left out."""
    kept = [pair for pair in given if pair[0] not in changes]
    return (*kept, *(pair for pair in changes.items() if pair[1]))
