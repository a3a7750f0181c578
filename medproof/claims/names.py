"""One spelling for what claims name: so that a service has one nullifier, whichever standard its bill is written in.

What is made alike, in this order:

1. Text: compatibility forms of Unicode are replaced (NFKC); blanks and invisible characters are dropped, so that none
   makes a bill look new.
2. Systems: the object identifiers that HL7 lists beside the URIs (https://hl7.org/fhir/R4/terminologies-systems.html,
   https://hl7.org/fhir/R4/identifier-registry.html) become those URIs. A consortium adds its own.
3. Codes are in capitals. CPT is level I of HCPCS: four digits with a digit or letter behind are CPT, a letter with four
   digits is HCPCS, under whichever of the two they stand; of these, a D with four digits is CDT. A drug (NDC) is in its
   eleven digits, as billed.
4. Identifiers are in capitals where they have a system; a reference without one stays as written. What the consortium
   calls a person or an organisation stands in for the identifiers that it lists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from medproof.claims.claim import Code, Identifier
from medproof.errors import ClaimCodeError, ClaimElementError
from medproof.hashing import Json, JsonObject

__all__ = ["CDT", "CPT", "HCPCS", "NDC", "NPI", "Names", "plain"]

CDT = "http://www.ada.org/cdt"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
NDC = "http://hl7.org/fhir/sid/ndc"
NPI = "http://hl7.org/fhir/sid/us-npi"

_CVX = "http://hl7.org/fhir/sid/cvx"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_SNOMED = "http://snomed.info/sct"
_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "urn:oid:2.16.840.1.113883.6.12": CPT,
        "urn:oid:2.16.840.1.113883.6.285": HCPCS,
        "urn:oid:2.16.840.1.113883.6.14": HCPCS,
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": HCPCS,
        "urn:oid:2.16.840.1.113883.6.69": NDC,
        "urn:oid:2.16.840.1.113883.6.13": CDT,
        "urn:oid:2.16.840.1.113883.12.292": _CVX,
        "urn:oid:2.16.840.1.113883.6.88": _RXNORM,
        "urn:oid:2.16.840.1.113883.6.96": _SNOMED,
        "urn:oid:2.16.840.1.113883.4.6": NPI,
    }
)
_RANKS = ((CPT, HCPCS, CDT), (NDC,), (_RXNORM,), (_CVX,), (_SNOMED,))  # which code of a line is the one that is billed
_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"))  # categories of Unicode
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and signs that show nothing
_CPT_CODE = re.compile(r"[0-9]{4}[0-9A-Z]", re.ASCII)
_CDT_CODE = re.compile(r"D[0-9]{4}", re.ASCII)
_HCPCS_CODE = re.compile(r"[A-Z][0-9]{4}", re.ASCII)
_CPT_MODIFIER = re.compile(r"[0-9]{2}|P[1-6]|[1-9]P", re.ASCII)
_MODIFIER_LENGTH = 2
_NDC_PARTS = re.compile(r"([0-9]{4,5})-([0-9]{3,4})-([0-9]{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Names:
    """What a consortium agreed to call systems, people and organisations. The same for all who compute keys."""

    systems: Mapping[str, str] = field(default_factory=dict)  # other spellings of a system, beside those of HL7
    billing: tuple[str, ...] = ()  # systems that a line is billed by before all others, the first one first
    identifiers: Mapping[Identifier, Identifier] = field(default_factory=dict, repr=False)  # given to agreed ones

    def __post_init__(self) -> None:
        """Spell the identifiers as all are, so that no blank or capital hides one."""
        agreed = {self._spelled(given): self._spelled(name) for given, name in self.identifiers.items()}
        object.__setattr__(self, "identifiers", agreed)

    def to_json(self) -> JsonObject:
        """The names as JSON."""
        pairs = sorted(self.identifiers.items())
        return {
            "systems": dict(self.systems),
            "billing": list(self.billing),
            "identifiers": [{"given": _said(given), "agreed": _said(agreed)} for given, agreed in pairs],
        }

    @classmethod
    def from_json(cls, value: Json) -> Names:
        """Read what `to_json` gave.

        Raises:
            ValueError: it is none; the message says nothing of it.
        """
        try:
            said: Any = value
            systems, billing = said["systems"], said["billing"]
            pairs = {_identifier(one["given"]): _identifier(one["agreed"]) for one in said["identifiers"]}
            texts = [*systems, *systems.values(), *billing]
        except (TypeError, LookupError, AttributeError):
            raise ValueError from None
        if not all(isinstance(text, str) for text in texts) or set(said) != {"systems", "billing", "identifiers"}:
            raise ValueError
        return cls(systems, tuple(billing), pairs)

    def system(self, system: str) -> str:
        """A system by its agreed name."""
        spelled = plain(system)
        return self.systems.get(spelled) or _SYSTEMS.get(spelled, spelled)

    def identifier(self, identifier: Identifier, path: str) -> str:
        """Who is meant, as `system|value`, or the reference where no system is given.

        Raises:
            ClaimElementError: it names nobody outside the claim; `path` says which element.
        """
        spelled = self._spelled(identifier)
        agreed = self.identifiers.get(spelled, spelled)
        if not agreed.value:
            raise ClaimElementError(path, "names nobody", "complete the claim")
        if not agreed.system and agreed.value.startswith("#"):
            step = "give an identifier, or agree on one in medproof.claims.names.Names"
            raise ClaimElementError(path, "points inside the claim itself, where another claim differs", step)
        return f"{agreed.system}|{agreed.value}" if agreed.system else agreed.value

    def _spelled(self, identifier: Identifier) -> Identifier:
        system, value = self.system(identifier.system), plain(identifier.value)
        return Identifier(system, value.upper() if system else value)

    def code(self, code: Code, path: str) -> Code:
        """A code as all write it.

        Raises:
            ClaimCodeError: it is empty, or has a letter that only looks like a code's.
        """
        system, text = self.system(code.system), plain(code.code).upper()
        if not text or not text.isascii():
            raise ClaimCodeError(path, "is empty, or no ASCII as codes are", "take it from its code system")
        if system in (CPT, HCPCS):
            levels = ((CPT, _CPT_CODE), (CDT, _CDT_CODE), (HCPCS, _HCPCS_CODE))
            system = next((level for level, form in levels if form.fullmatch(text)), system)
        elif system == NDC:
            text = _eleven_digits(text)
        return Code(system, text)

    def modifier(self, code: Code, path: str) -> Code:
        """A modifier as all write it: two digits are CPT's, letters HCPCS's, whichever of the two is named, or none.

        Raises:
            ClaimCodeError: as `code`.
        """
        agreed = self.code(code, path)
        if agreed.system not in ("", CPT, HCPCS) or len(agreed.code) != _MODIFIER_LENGTH:
            return agreed
        return Code(CPT if _CPT_MODIFIER.fullmatch(agreed.code) else HCPCS, agreed.code)

    def service(self, codes: tuple[Code, ...], path: str) -> tuple[Code, ...]:
        """What a line bills: of its codes and their translations those of the system that bills are paid by.

        The first of: what the consortium bills by; CPT, HCPCS and CDT; NDC; RxNorm; CVX; SNOMED CT. Where a line has
        none of them, all its codes.

        Raises:
            ClaimCodeError: as `code`, or there is none.
        """
        if not codes:
            raise ClaimCodeError(path, "has no code", "code what was done or given")
        agreed = {self.code(one, path) for one in codes}
        for rank in (*((system,) for system in self.billing), *_RANKS):
            billed = {one for one in agreed if one.system in rank}
            if billed:
                return tuple(sorted(billed))
        return tuple(sorted(agreed))


def _said(identifier: Identifier) -> JsonObject:
    return {"system": identifier.system, "value": identifier.value}


def _identifier(value: Any) -> Identifier:
    system, text = value["system"], value["value"]
    if not isinstance(system, str) or not isinstance(text, str):
        raise TypeError
    return Identifier(system, text)


def plain(text: str) -> str:
    """A text without what nobody sees: compatibility forms, blanks, invisible characters and marks."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text  # as nearly always
    shown = unicodedata.normalize("NFKC", text)
    return "".join(one for one in shown if unicodedata.category(one) not in _UNSEEN and one not in _FILLERS)


def _eleven_digits(code: str) -> str:
    """An NDC of ten digits with hyphens (4-4-2, 5-3-2, 5-4-1) as it is billed, 5-4-2 without them."""
    parts = _NDC_PARTS.fullmatch(code)
    return f"{parts[1]:0>5}{parts[2]:0>4}{parts[3]:0>2}" if parts else code.replace("-", "")
