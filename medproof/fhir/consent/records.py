"""The tags of a record: what a policy document's finer provisions are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from medproof.errors import UnclassifiedRecordError
from medproof.fhir.classification import data_class
from medproof.fhir.consent import vocabulary
from medproof.fhir.consent.vocabulary import items, text
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import DATA_CLASS, ICD_10_CM, Condition

__all__ = ["record_tags"]

_MEDIA_TYPES = "urn:ietf:bcp:13"
_URLS = "urn:ietf:rfc:3986"
_ICD_10_CM_OID = "urn:oid:2.16.840.1.113883.6.90"
_AUTHORS = ("asserter", "author", "authenticator", "performer", "recorder", "requester", "informationSource")


def record_tags(record: Resource, *, referrers: Iterable[str] = ()) -> frozenset[str]:
    """Return the tags of one record (of a bundle, take `medproof.fhir.records` one by one).

    Codes of ICD-10-CM bring their category and chapter along, so that a provision about `E11` meets `E11.9`.

    Args:
        record: the record.
        referrers: references to the resources that refer to this record, as far as the custodian knows; a
            provision about what is `related` to one of them meets it.
    """
    names = {name for name in (record.full_url, record.id and f"{record.resource_type}/{record.id}") if name}
    linked = {text(item, "reference").partition("/_history/")[0] for item in _objects(record.content)} - {""}
    tags = {f"class:{vocabulary.RESOURCE_TYPES}|{record.resource_type}"}
    tags |= {f"{meaning}:{name}" for meaning in ("instance", "related", "dependents") for name in names}
    tags |= {f"dependents:{reference}" for reference in linked}
    tags |= {f"related:{referrer}" for referrer in referrers}
    tags |= {f"authoredby:{reference}" for reference in _authors(record.content)}
    with suppress(UnclassifiedRecordError):  # no rule on chain permits such a record, whatever its tags
        tags |= {f"class:{DATA_CLASS.uri}|{code}" for code in data_class(record).codes}
    meta = record.content.get("meta")
    if isinstance(meta, dict):
        profiles = meta.get("profile")
        tags |= {f"class:{_URLS}|{profile}" for profile in (profiles if isinstance(profiles, list) else [])}
        tags |= {f"label:{text(label, 'system')}|{text(label, 'code')}" for label in items(meta.get("security"))}
    for item in _objects(record.content):
        system, code = text(item, "system"), text(item, "code")
        if system and code:
            tags |= {f"code:{name}" for name in _codes(system, code)}
        if text(item, "contentType"):
            tags.add(f"class:{_MEDIA_TYPES}|{text(item, 'contentType')}")
        form = item.get("format")
        if isinstance(form, dict) and text(form, "system"):
            tags.add(f"class:{text(form, 'system')}|{text(form, 'code')}")
    return frozenset(tags)


def _codes(system: str, code: str) -> Iterator[str]:
    """Yield a code, and of ICD-10-CM all that it lies below."""
    yield f"{system}|{code}"
    if system in (ICD_10_CM.uri, _ICD_10_CM_OID):
        code = code.strip().upper()
        yield from (f"{ICD_10_CM.uri}|{code[:length].rstrip('.')}" for length in range(3, len(code) + 1))
        for chapter in Condition:
            first, last = chapter.code.split("-")
            if first <= code[:3] <= last:
                yield f"{ICD_10_CM.uri}|{chapter.code}"


def _authors(content: JsonObject) -> Iterator[str]:
    for name in _AUTHORS:
        value = content.get(name)
        for element in value if isinstance(value, list) else [value]:
            for item in _objects(element):
                if text(item, "reference"):
                    yield text(item, "reference").partition("/_history/")[0]


def _objects(value: Json) -> Iterator[JsonObject]:
    """Yield every object in a value, itself included."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)
