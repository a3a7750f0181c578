"""Consent records of the shape of iDASH 2023, track 1, the questions about them, and the right answers.

The original data has no licence, so records and questions are drawn here, from a fixed seed. Nothing in this module
knows of rules, words or chains, so that its answers can judge those that come from there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

SEED = 2023
CATEGORIES = tuple(f"category {number}" for number in range(1, 8))  # of sensitive data
ELEMENTS = tuple(f"element {number}" for number in range(1, 21))  # of a record
FIRST_DAY = 20_606  # 2026-06-02, in days since 1970
DAY, MINUTE = 86_400, 60  # in seconds
SHORT = 60 * DAY  # how long a consent lasts that ends by itself

Key = tuple[int, int, int]  # patient, site, study: what a record replaces others of


@dataclass(frozen=True)
class Shape:
    """How large a workload is."""

    sites: int = 4
    patients: int = 400
    studies: int = 100
    records: int = 15_000
    batch: int = 100  # records a day, which a relayer sends at the day's end in one transaction
    one_by_one: int = 1_000  # records that are also sent one by one
    questions: int = 1_000  # by researchers, and as many by patients
    asked_of_the_contract: int = 200  # answers that are compared with the contract's as well
    runs: int = 5  # of all questions

    @property
    def days(self) -> int:
        """How many days the records take."""
        return self.records // self.batch


@dataclass(frozen=True)
class Record:
    """What a patient said at a site about the use of the data there by a study. It replaces what was said before."""

    patient: int
    site: int
    study: int
    time: int  # seconds since 1970, whole minutes
    until: int | None  # when it ends; None: not by itself
    categories: frozenset[str]
    elements: frozenset[str]
    withdrawn: bool  # it takes back what was said before, and permits nothing

    @property
    def key(self) -> Key:
        """What it replaces others of."""
        return self.patient, self.site, self.study


@dataclass(frozen=True)
class ResearcherQuestion:
    """Who consented to a study with these categories and elements, as of a time?"""

    study: int
    categories: frozenset[str]
    elements: frozenset[str]
    time: int


@dataclass(frozen=True)
class PatientQuestion:
    """Which consents has a patient given, as of a time?"""

    patient: int
    time: int


def day_end(day: int) -> int:
    """When a day's records are on the chain; the first day is 0."""
    return (FIRST_DAY + day + 1) * DAY


def draw_records(shape: Shape) -> list[Record]:
    """Draw the records, oldest first.

    Each is by a random patient about a random study. One patient in four goes to two sites, the others to one. Where a
    consent stands, a record withdraws it in one of five cases, and else changes it. One in four ends by itself.
    """
    draw = random.Random(SEED)
    sites = [draw.sample(range(shape.sites), 1 if patient % 4 else 2) for patient in range(shape.patients)]
    standing: set[Key] = set()
    records = []
    for day in range(shape.days):
        for minute in sorted(draw.randrange(1, DAY // MINUTE) for _ in range(shape.batch)):
            patient, time = draw.randrange(shape.patients), (FIRST_DAY + day) * DAY + minute * MINUTE
            record = Record(
                patient=patient,
                site=draw.choice(sites[patient]),
                study=draw.randrange(shape.studies),
                time=time,
                until=time + SHORT if draw.randrange(4) == 0 else None,
                categories=frozenset(draw.sample(CATEGORIES, draw.randint(1, len(CATEGORIES)))),
                elements=frozenset(draw.sample(ELEMENTS, draw.randint(4, len(ELEMENTS)))),
                withdrawn=False,
            )
            if record.key in standing and draw.randrange(5) == 0:
                standing.remove(record.key)
                record = replace(record, withdrawn=True)
            else:
                standing.add(record.key)
            records.append(record)
    return records


def draw_questions(shape: Shape) -> tuple[list[ResearcherQuestion], list[PatientQuestion]]:
    """Draw the questions, each as of the end of a day."""
    draw = random.Random(SEED + 1)
    researchers = [
        ResearcherQuestion(
            study=draw.randrange(shape.studies),
            categories=frozenset(draw.sample(CATEGORIES, draw.randint(1, 2))),
            elements=frozenset(draw.sample(ELEMENTS, draw.randint(1, 4))),
            time=day_end(draw.randrange(shape.days)),
        )
        for _ in range(shape.questions)
    ]
    patients = [
        PatientQuestion(draw.randrange(shape.patients), day_end(draw.randrange(shape.days)))
        for _ in range(shape.questions)
    ]
    return researchers, patients


class Oracle:
    """The right answers, by going through the records."""

    def __init__(self, records: Sequence[Record]) -> None:
        """Take all records, oldest first."""
        self._records = records
        self._known: dict[int, list[Record]] = {}

    def standing(self, moment: int) -> list[Record]:
        """The consents that stood at a moment."""
        if moment not in self._known:
            last = {record.key: record for record in self._records if record.time <= moment}
            self._known[moment] = [
                record
                for record in last.values()
                if not record.withdrawn and (record.until is None or moment < record.until)
            ]
        return self._known[moment]

    def researcher(self, question: ResearcherQuestion) -> set[tuple[int, int]]:
        """Who consented, as patients and sites."""
        return {
            (record.patient, record.site)
            for record in self.standing(question.time)
            if record.study == question.study
            and question.categories <= record.categories
            and question.elements <= record.elements
        }

    def patient(self, question: PatientQuestion) -> set[tuple[int, int, frozenset[str], frozenset[str]]]:
        """What was consented to, as sites, studies, categories and elements."""
        return {
            (record.site, record.study, record.categories, record.elements)
            for record in self.standing(question.time)
            if record.patient == question.patient
        }
