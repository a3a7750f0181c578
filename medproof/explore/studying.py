"""The pages of studies: which there are, and one with who takes part, its cohorts and its bounties."""

from __future__ import annotations

import re
from typing import Any

from medproof.client.incentives import Payee
from medproof.explore.asking import FIELDS
from medproof.explore.parameters import Pairs, Parameters
from medproof.explore.registry import AsOf, Registry, StudyRow
from medproof.explore.showing import AS_OF, Shown, as_of, moments, pinned
from medproof.explore.site import Site
from medproof.policy.codes import Purpose
from medproof.policy.word import EPOCH_DAY

__all__ = ["studies", "study"]

_ID = re.compile("0x[0-9a-f]{64}", re.ASCII)


def studies(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """Which studies are registered."""
    parameters = Parameters(pairs, single=AS_OF)
    found = as_of(registry, parameters)
    kept = pinned(registry, found)
    rows = [
        {**_row(one), "href": site.link("study", (("id", one.id), *kept)), "size": size}
        for one, size in (registry.studies(found) if not parameters.errors else [])
    ]
    values = {"asof": moments(registry, found, parameters), "rows": rows}
    return Shown("studies", "Studies", values, parameters.errors)


def study(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """One study."""
    parameters = Parameters(pairs, single=("id", *AS_OF))
    found = as_of(registry, parameters)
    id_ = parameters.pattern("id", _ID, "study", "Open it from the list of studies.")
    kept = next(((one, size) for one, size in registry.studies(found) if one.id == id_), None)
    values: dict[str, Any] = {
        "asof": moments(registry, found, parameters),
        "list_href": site.link("studies", pinned(registry, found)),
        "study": None,
    }
    if not parameters.errors and kept is None:
        known = registry.registered(id_)
        step = f"It was registered in block {known:,}: choose a later one" if known else "Choose one from the list"
        parameters.errors["block" if known else ""] = (
            f"No study {id_ or 'at all'} is known as of block {found.block:,}. {step}."
        )
        return Shown("study", "A study", values, parameters.errors, 404)
    if kept is not None and not parameters.errors:
        one, size = kept
        values |= {"study": _row(one), "size": size, **_details(registry, site, one, found)}
    return Shown("study", "A study", values, parameters.errors)


def _row(one: StudyRow) -> dict[str, Any]:
    asked = one.asks
    return {
        "id": one.id,
        "researcher": one.researcher,
        "state": one.state.plain,
        "tone": "yes" if one.state.name == "OPEN" else "unsure" if one.state.name == "PLANNED" else "no",
        "first_day": one.first_day,
        "last_day": one.last_day,
        "classes": FIELDS[1].said(asked.classes),
        "research": FIELDS[-1].said(asked.research),
        "since": one.since,
    }


def _details(registry: Registry, site: Site, one: StudyRow, found: AsOf) -> dict[str, Any]:
    asked = one.asks
    said = [(field.label, field.said(getattr(asked, field.attribute))) for field in FIELDS]
    question = [
        *((field.name, field.of(code)) for field in FIELDS for code in _chosen(getattr(asked, field.attribute))),
        ("party", one.researcher),
    ]
    if asked.data_from != EPOCH_DAY:
        question.append(("data-from", asked.data_from.isoformat()))
    if asked.data_until is not None:
        question.append(("data-until", asked.data_until.isoformat()))
    cohorts = registry.cohorts(one, found)
    return {
        "said": said if asked.purposes & Purpose.RESEARCH else said[:-1],
        "commitments": [("Protocol", one.protocol), ("Ethics approval", one.ethics)],
        "custodians": one.custodians,
        "trend": registry.taking_part(one, found),
        "cohorts": [
            {
                **row,
                "size": registry.suppression.count(row["size"]),
                "checked": "yes" if row["block_checked"] else "no",
                "results": row["results"],
            }
            for row in cohorts
        ],
        "bounties": [
            {
                **row,
                "payee": "the custodian" if row["payee"] == Payee.CUSTODIAN else "each subject",
                "told": row["payee"] == Payee.CUSTODIAN or not _tells_of_few(registry, row, cohorts),
            }
            for row in registry.bounties(one, found)
        ],
        "cohort_href": site.link("cohort", [*question, *pinned(registry, found)]),
    }


def _tells_of_few(registry: Registry, bounty: dict[str, Any], cohorts: list[dict[str, Any]]) -> bool:
    """Whether what is promised and paid, divided by what each gets, is a number of subjects that is not shown."""
    due, paid, each = (int(bounty[name]) for name in ("due", "paid", "payment"))
    counts = [amount // each for amount in (due, paid, due + paid)] if each else []
    return any(map(registry.suppression.hides, [*counts, *(row["size"] for row in cohorts)]))


def _chosen(codes: Any) -> Any:
    """The codes of a set; none where it is all of them, which a question leaves out."""
    return () if codes == type(codes)["ALL"] else codes
