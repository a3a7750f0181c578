"""The days that a record speaks of."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from medproof.fhir import Resource
from medproof.fhir.period import data_period

DAY = date(2026, 1, 10)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        ({"effectiveDateTime": "2026-01-10"}, (DAY, DAY)),
        ({"effectiveDateTime": "2026-01-10T23:59:59-05:00"}, (DAY, DAY)),
        ({"effectiveDateTime": "2026-02"}, (date(2026, 2, 1), date(2026, 2, 28))),
        ({"effectiveDateTime": "2026"}, (date(2026, 1, 1), date(2026, 12, 31))),
        ({"effectiveDateTime": "2026-01-10", "issued": "2026-01-12T08:00:00Z"}, (DAY, date(2026, 1, 12))),
        ({"effectivePeriod": {"start": "2026-01-10", "end": "2026-03"}}, (DAY, date(2026, 3, 31))),
        ({"effectivePeriod": {"start": "2026-01-10"}}, (DAY, None)),
        ({"effectivePeriod": {"end": "2026-01-10"}}, None),
        ({"effectiveDateTime": "no date"}, None),
        ({"effectiveDateTime": "2026-13-10"}, None),
        ({"effectiveDateTime": 2026}, None),
    ],
)
def test_the_days_of_a_record(elements: dict[str, Any], expected: Any) -> None:
    assert data_period(Resource("Observation", {"resourceType": "Observation", **elements})) == expected


def test_a_bundle_has_the_days_of_all_its_records() -> None:
    def bundle(*days: str | None) -> Resource:
        entries: list[Any] = [
            {"resource": {"resourceType": "Observation", **({"effectiveDateTime": day} if day else {})}} for day in days
        ]
        return Resource("Bundle", {"resourceType": "Bundle", "type": "collection", "entry": entries})

    assert data_period(bundle("2026-01-10", "2025-06-01")) == (date(2025, 6, 1), DAY)
    assert data_period(bundle("2026-01-10", None)) is None
