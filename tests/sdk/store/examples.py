"""HL7's examples, sealed for a subject and ready to be stored."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from medproof import fhir, hashing
from medproof.client.record_pointers import PointerKey
from medproof.fhir import Resource
from medproof.hashing import Json
from medproof.policy.codes import DataClass
from medproof.store import Entry, RecordStore

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "node_modules" / "hl7.fhir.r4.examples"

ALICE = "0x" + "a1" * 20
BOB = "0x" + "b0" * 20
CLINIC = "0x" + "c1" * 20
DAYS = (date(2012, 9, 17), date(2012, 9, 17))


@cache
def example(name: str = "Observation-blood-pressure") -> Resource:
    return fhir.load(EXAMPLES / f"{name}.json")


@dataclass(frozen=True)
class Sealed:
    """What a custodian has in its hands before it posts a pointer."""

    pointer: PointerKey
    resource: Resource
    salt: bytes

    def put(
        self,
        store: RecordStore,
        *,
        data_class: DataClass = DataClass.OBSERVATION,
        days: tuple[date, date] | None = DAYS,
        replaces: bytes | None = None,
    ) -> Entry:
        return store.put(self.pointer, self.resource, self.salt, data_class=data_class, days=days, replaces=replaces)


def sealed(name: str = "Observation-blood-pressure", /, *, subject: str = ALICE, **elements: Json) -> Sealed:
    """Seal an example, with elements of it set anew."""
    resource = example(name)
    if elements:
        resource = fhir.load({**resource.content, **elements})
    salted = hashing.seal(resource.content)
    return Sealed(PointerKey(subject, CLINIC, salted.commitment), resource, salted.salt)


def fresh(*, subject: str = ALICE) -> Sealed:
    """Seal the example under an id that no other has."""
    return sealed(subject=subject, id=secrets.token_hex(8))
