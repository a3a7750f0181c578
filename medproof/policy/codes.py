"""The code lists that a rule word speaks in: one `IntFlag` a field, one line of data a code.

Bit *n* of a flag is bit *n* of its field in the rule word (`medproof.policy.word.LAYOUT`). Every member
carries the code, the display text and the plain words for a patient; every class its code system and version.
A bit that no code stands behind is refused (`boundary=STRICT`), so an unknown bit cannot travel unnoticed.

Sources, each with the version that the display texts were copied from:

* `Purpose`: HL7 v3 ActReason, PurposeOfUse, as published with FHIR R4 (4.0.1), version 2018-08-12.
* `Sensitivity`: HL7 v3 ActCode, ActInformationSensitivityPolicy, same publication. Bit 0 is ours. HL7 retired
  SICKLE in favour of SCA; SCA is the code used here.
* `CareSetting`: HL7 v3 ActCode, top level of ActEncounterCode, same publication.
* `Action`: FHIR R4 (4.0.1) consentaction.
* `Condition`: chapters of ICD-10-CM, fiscal year 2025 (CMS and NCHS); the code of a chapter is its range.
* `ResearchUse`: GA4GH Data Use Ontology, release 2021-02-23 (the first with NPOA, NPU and NCU).
* `DataClass`, `PartyKind`: MedProof's own lists; the data classes group FHIR resource types.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import STRICT, IntFlag
from typing import ClassVar, Self

from medproof.errors import UnknownCodeError

__all__ = [
    "Action",
    "CareSetting",
    "CodeSystem",
    "CodedFlag",
    "Condition",
    "DataClass",
    "PartyKind",
    "Purpose",
    "ResearchUse",
    "Sensitivity",
]


@dataclass(frozen=True)
class CodeSystem:
    """Where the codes of one list come from."""

    uri: str  # canonical URI, as FHIR's Coding.system spells it
    version: str  # version of the publication that was copied
    title: str  # name of the list, for messages and tables


V3_ACT_REASON = CodeSystem("http://terminology.hl7.org/CodeSystem/v3-ActReason", "2018-08-12", "HL7 v3 ActReason")
V3_ACT_CODE = CodeSystem("http://terminology.hl7.org/CodeSystem/v3-ActCode", "2018-08-12", "HL7 v3 ActCode")
CONSENT_ACTION = CodeSystem("http://terminology.hl7.org/CodeSystem/consentaction", "4.0.1", "FHIR consent action")
ICD_10_CM = CodeSystem("http://hl7.org/fhir/sid/icd-10-cm", "2025", "ICD-10-CM chapters")
DUO = CodeSystem("http://purl.obolibrary.org/obo/duo.owl", "2021-02-23", "GA4GH Data Use Ontology")
DATA_CLASS = CodeSystem("urn:medproof:data-class", "1", "MedProof data class")
PARTY_KIND = CodeSystem("urn:medproof:party-kind", "1", "MedProof party kind")


class CodedFlag(IntFlag, boundary=STRICT):
    """A set of codes of one list, held as the bits of a rule word's field.

    Members are written `NAME = bit, code, display, plain words`. Named sets (`ALL`, …) are plain numbers.
    """

    system: ClassVar[CodeSystem]  # the list that the codes come from

    _code: str
    _display: str
    _plain: str

    def __init_subclass__(cls, *, system: CodeSystem) -> None:
        """Attach the code system to the list."""
        cls.system = system

    def __new__(cls, value: int, code: str = "", display: str = "", plain: str = "") -> Self:
        """Build a member from its line of data."""
        member = int.__new__(cls, value)
        member._value_ = value
        member._code = code
        member._display = display
        member._plain = plain
        return member

    @property
    def code(self) -> str:
        """The standard's code. Only a single code has one; raises `UnknownCodeError` for a set."""
        self._require_single()
        return self._code

    @property
    def display(self) -> str:
        """The standard's display text of a single code; raises `UnknownCodeError` for a set."""
        self._require_single()
        return self._display

    @property
    def plain(self) -> str:
        """Plain words for a patient, of a single code; raises `UnknownCodeError` for a set."""
        self._require_single()
        return self._plain

    @property
    def codes(self) -> tuple[str, ...]:
        """The standard's codes of every member in the set, lowest bit first."""
        return tuple(member._code for member in self)

    @classmethod
    def from_code(cls, code: str) -> Self:
        """Return the member with this code (exact spelling), or raise `UnknownCodeError` with near ones."""
        for member in cls:
            if member._code == code:
                return member
        raise UnknownCodeError(code, cls.system.title, cls._near(code))

    @classmethod
    def from_codes(cls, codes: Iterable[str]) -> Self:
        """Return the set of members with these codes. An unknown one raises `UnknownCodeError`."""
        result = cls(0)
        for code in codes:
            result |= cls.from_code(code)
        return result

    def with_narrower(self) -> Self:
        """Add every code that the standard places below one in the set (SUD adds ETHUD and OPIOIDUD).

        The evaluator compares bits and knows no hierarchy: a deny of SUD alone does not stop a request for
        ETHUD. What writes a deny should write `sensitivities.with_narrower()`.
        """
        result = self
        for narrower, broader in _BROADER.get(type(self).__name__, ()):
            cls = type(self)
            if cls[broader] in result:
                result |= cls[narrower]
        return result

    def _require_single(self) -> None:
        if self.value.bit_count() != 1:
            raise UnknownCodeError(
                f"the set {{{', '.join(self.codes)}}}", self.system.title, (), "Read .codes of a set instead."
            )

    @classmethod
    def _near(cls, code: str) -> tuple[str, ...]:
        """Codes that look like this one: by spelling of the code, the name or the display text."""
        wanted = str(code).lower()
        found: dict[str, None] = {}
        for texts in (
            {member._code.lower(): member._code for member in cls},
            {str(member.name).lower(): member._code for member in cls},
            {member._display.lower(): member._code for member in cls},
        ):
            for text in difflib.get_close_matches(wanted, texts, n=3, cutoff=0.6):
                found[texts[text]] = None
        return tuple(found)[:3]


class Purpose(CodedFlag, system=V3_ACT_REASON):
    """Why data may be used (HL7 v3 ActReason, PurposeOfUse); 16 bits, bit 15 reserved."""

    TREAT = 1 << 0, "TREAT", "treatment", "treatment"
    ETREAT = 1 << 1, "ETREAT", "Emergency Treatment", "emergency treatment"
    BTG = 1 << 2, "BTG", "break the glass", "break-the-glass access in an emergency"
    CAREMGT = 1 << 3, "CAREMGT", "care management", "care management"
    HPAYMT = 1 << 4, "HPAYMT", "healthcare payment", "payment for care"
    COVERAGE = 1 << 5, "COVERAGE", "coverage under policy or program", "checking insurance coverage"
    HOPERAT = 1 << 6, "HOPERAT", "healthcare operations", "running the health service"
    HQUALIMP = 1 << 7, "HQUALIMP", "health quality improvement", "improving the quality of care"
    PATRQT = 1 << 8, "PATRQT", "patient requested", "your own requests"
    FAMRQT = 1 << 9, "FAMRQT", "family requested", "requests of your family"
    PUBHLTH = 1 << 10, "PUBHLTH", "public health", "public health"
    HRESCH = 1 << 11, "HRESCH", "healthcare research", "health research"
    CLINTRCH = 1 << 12, "CLINTRCH", "clinical trial research", "clinical trials"
    DSRCH = 1 << 13, "DSRCH", "disease specific healthcare research", "research on a specific disease"
    HMARKT = 1 << 14, "HMARKT", "healthcare marketing", "marketing"

    RESEARCH = (1 << 11) | (1 << 12) | (1 << 13)  # the purposes that bring the research field into play
    EMPTY = 0  # no code at all
    ALL = (1 << 15) - 1  # every defined purpose


class DataClass(CodedFlag, system=DATA_CLASS):
    """What kind of data (groups of FHIR resource types); 24 bits, bits 22 and 23 reserved."""

    DOCUMENT = 1 << 0, "document", "Clinical documents", "documents"
    OBSERVATION = 1 << 1, "observation", "Observations", "clinical observations"
    LABORATORY = 1 << 2, "laboratory", "Laboratory results", "laboratory results"
    IMAGING = 1 << 3, "imaging", "Imaging studies", "images and scans"
    MEDICATION = 1 << 4, "medication", "Medications", "medications"
    ENCOUNTER = 1 << 5, "encounter", "Encounters", "visits and stays"
    CONDITION = 1 << 6, "condition", "Conditions and problems", "diagnoses"
    PROCEDURE = 1 << 7, "procedure", "Procedures", "procedures"
    IMMUNIZATION = 1 << 8, "immunization", "Immunizations", "vaccinations"
    CLAIM = 1 << 9, "claim", "Claims and benefits", "claims and bills"
    DEVICE = 1 << 10, "device", "Devices and device data", "device data"
    GENOMICS = 1 << 11, "genomics", "Genomics", "genetic data"
    NOTE = 1 << 12, "note", "Clinical notes", "clinical notes"
    ALLERGY = 1 << 13, "allergy", "Allergies and intolerances", "allergies"
    CARE_PLAN = 1 << 14, "care-plan", "Care plans and teams", "care plans"
    COVERAGE = 1 << 15, "coverage", "Insurance coverage", "insurance details"
    DEMOGRAPHICS = 1 << 16, "demographics", "Demographics", "personal details"
    FAMILY_HISTORY = 1 << 17, "family-history", "Family history", "family history"
    VITAL_SIGNS = 1 << 18, "vital-signs", "Vital signs", "vital signs"
    QUESTIONNAIRE = 1 << 19, "questionnaire", "Questionnaire answers", "questionnaire answers"
    ORDER = 1 << 20, "order", "Orders and referrals", "orders and referrals"
    AUDIT = 1 << 21, "audit", "Provenance and audit", "access logs"

    EMPTY = 0  # no code at all
    ALL = (1 << 22) - 1  # every defined class


class Condition(CodedFlag, system=ICD_10_CM):
    """Which health conditions (chapters I to XXII of ICD-10-CM, bit 0 is chapter I); 22 bits."""

    INFECTIONS = 1 << 0, "A00-B99", "Certain infectious and parasitic diseases", "infectious diseases"
    NEOPLASMS = 1 << 1, "C00-D49", "Neoplasms", "cancers and other tumours"
    BLOOD = (
        1 << 2,
        "D50-D89",
        "Diseases of the blood and blood-forming organs and certain disorders involving the immune mechanism",
        "diseases of the blood and the immune system",
    )
    ENDOCRINE = (
        1 << 3,
        "E00-E89",
        "Endocrine, nutritional and metabolic diseases",
        "hormonal, nutritional and metabolic diseases",
    )
    MENTAL = (
        1 << 4,
        "F01-F99",
        "Mental, Behavioral and Neurodevelopmental disorders",
        "mental and behavioural disorders",
    )
    NERVOUS = 1 << 5, "G00-G99", "Diseases of the nervous system", "diseases of the nervous system"
    EYE = 1 << 6, "H00-H59", "Diseases of the eye and adnexa", "diseases of the eye"
    EAR = 1 << 7, "H60-H95", "Diseases of the ear and mastoid process", "diseases of the ear"
    CIRCULATORY = (
        1 << 8,
        "I00-I99",
        "Diseases of the circulatory system",
        "diseases of the circulatory system",
    )
    RESPIRATORY = (
        1 << 9,
        "J00-J99",
        "Diseases of the respiratory system",
        "diseases of the respiratory system",
    )
    DIGESTIVE = 1 << 10, "K00-K95", "Diseases of the digestive system", "diseases of the digestive system"
    SKIN = 1 << 11, "L00-L99", "Diseases of the skin and subcutaneous tissue", "diseases of the skin"
    MUSCULOSKELETAL = (
        1 << 12,
        "M00-M99",
        "Diseases of the musculoskeletal system and connective tissue",
        "diseases of muscles, bones and joints",
    )
    GENITOURINARY = (
        1 << 13,
        "N00-N99",
        "Diseases of the genitourinary system",
        "diseases of the kidneys, bladder and genital organs",
    )
    PREGNANCY = 1 << 14, "O00-O9A", "Pregnancy, childbirth and the puerperium", "pregnancy and childbirth"
    PERINATAL = (
        1 << 15,
        "P00-P96",
        "Certain conditions originating in the perinatal period",
        "conditions of the newborn",
    )
    CONGENITAL = (
        1 << 16,
        "Q00-Q99",
        "Congenital malformations, deformations and chromosomal abnormalities",
        "conditions present from birth",
    )
    SYMPTOMS = (
        1 << 17,
        "R00-R99",
        "Symptoms, signs and abnormal clinical and laboratory findings, not elsewhere classified",
        "symptoms and findings without a diagnosis",
    )
    INJURIES = (
        1 << 18,
        "S00-T88",
        "Injury, poisoning and certain other consequences of external causes",
        "injuries and poisoning",
    )
    EXTERNAL_CAUSES = 1 << 19, "V00-Y99", "External causes of morbidity", "causes of accidents and injuries"
    HEALTH_FACTORS = (
        1 << 20,
        "Z00-Z99",
        "Factors influencing health status and contact with health services",
        "check-ups and other reasons for a visit",
    )
    SPECIAL = 1 << 21, "U00-U85", "Codes for special purposes", "special codes such as COVID-19"

    EMPTY = 0  # no code at all
    ALL = (1 << 22) - 1  # every chapter

    @classmethod
    def from_icd10cm(cls, code: str) -> Condition:
        """Return the chapter of an ICD-10-CM code (`I10`, `E11.9`), or raise `UnknownCodeError`."""
        category = code.strip().upper()[:3]
        if re.fullmatch(r"[A-Z][0-9][0-9A-Z]", category):
            for chapter in cls:
                first, last = chapter.code.split("-")
                if first <= category <= last:
                    return chapter
        raise UnknownCodeError(code, cls.system.title, cls._near(code))


class Sensitivity(CodedFlag, system=V3_ACT_CODE):
    """Which sensitivity labels (HL7 v3 ActInformationSensitivityPolicy); 24 bits, bits 21 to 23 reserved.

    Bit 0 stands for data that carries no sensitivity label; its code is MedProof's own.
    Data whose label has no bit here is not bit 0: nothing on chain can permit it.
    """

    NONE_LABELLED = 1 << 0, "NONE_LABELLED", "no sensitivity label", "information without a sensitivity label"
    ETH = 1 << 1, "ETH", "substance abuse information sensitivity", "substance abuse"
    PSY = 1 << 2, "PSY", "psychiatry disorder information sensitivity", "psychiatric disorder"
    HIV = 1 << 3, "HIV", "HIV/AIDS information sensitivity", "HIV"
    STD = (
        1 << 4,
        "STD",
        "sexually transmitted disease information sensitivity",
        "sexually transmitted disease",
    )
    SDV = (
        1 << 5,
        "SDV",
        "sexual assault, abuse, or domestic violence information sensitivity",
        "sexual assault or domestic violence",
    )
    GDIS = 1 << 6, "GDIS", "genetic disease information sensitivity", "genetic disease"
    SEX = (
        1 << 7,
        "SEX",
        "sexuality and reproductive health information sensitivity",
        "sexuality and reproductive health",
    )
    SUD = 1 << 8, "SUD", "substance use disorder information sensitivity", "substance use"
    ETHUD = 1 << 9, "ETHUD", "alcohol use disorder information sensitivity", "alcohol use"
    OPIOIDUD = 1 << 10, "OPIOIDUD", "opioid use disorder information sensitivity", "opioid use"
    MH = 1 << 11, "MH", "mental health information sensitivity", "mental health"
    BH = 1 << 12, "BH", "behavioral health information sensitivity", "behavioural health"
    PSYTHPN = 1 << 13, "PSYTHPN", "psychotherapy note information sensitivity", "psychotherapy note"
    TBOO = 1 << 14, "TBOO", "taboo", "specially withheld"
    SCA = 1 << 15, "SCA", "sickle cell anemia information sensitivity", "sickle cell"
    DVD = (
        1 << 16,
        "DVD",
        "developmental disability information sensitivity",
        "developmental disability",
    )
    COGN = 1 << 17, "COGN", "cognitive disability information sensitivity", "cognitive disability"
    EMOTDIS = 1 << 18, "EMOTDIS", "emotional disturbance information sensitivity", "emotional disturbance"
    MST = 1 << 19, "MST", "military sexual trauma information sensitivity", "military sexual trauma"
    VIO = 1 << 20, "VIO", "violence information sensitivity", "violence"

    LABELLED = (1 << 21) - 2  # every sensitivity label, without bit 0
    EMPTY = 0  # no code at all
    ALL = (1 << 21) - 1  # every defined bit


class CareSetting(CodedFlag, system=V3_ACT_CODE):
    """Where the care took place (top level of HL7 v3 ActEncounterCode); 8 bits."""

    AMB = 1 << 0, "AMB", "ambulatory", "outpatient care"
    EMER = 1 << 1, "EMER", "emergency", "emergency care"
    FLD = 1 << 2, "FLD", "field", "care at the scene or on the way"
    HH = 1 << 3, "HH", "home health", "care at home"
    IMP = 1 << 4, "IMP", "inpatient encounter", "hospital stays"
    OBSENC = 1 << 5, "OBSENC", "observation encounter", "observation in hospital"
    SS = 1 << 6, "SS", "short stay", "short hospital stays"
    VR = 1 << 7, "VR", "virtual", "care by phone or video"

    EMPTY = 0  # no code at all
    ALL = (1 << 8) - 1  # every setting


class Action(CodedFlag, system=CONSENT_ACTION):
    """What may be done with the data (FHIR consentaction); 6 bits, bit 5 reserved."""

    COLLECT = 1 << 0, "collect", "Collect", "collect"
    ACCESS = 1 << 1, "access", "Access", "read"
    USE = 1 << 2, "use", "Use", "use"
    DISCLOSE = 1 << 3, "disclose", "Disclose", "pass on"
    CORRECT = 1 << 4, "correct", "Access and Correct", "correct"

    EMPTY = 0  # no code at all
    ALL = (1 << 5) - 1  # every defined action


class ResearchUse(CodedFlag, system=DUO):
    """What research is permitted, and under which obligations (GA4GH DUO); 23 bits.

    Bits 0 to 4 are permissions, bits 5 to 22 modifiers. The name of a member is DUO's shorthand.
    """

    NRES = 1 << 0, "DUO_0000004", "no restriction", "any use without restriction"
    GRU = 1 << 1, "DUO_0000042", "general research use", "any research"
    HMB = 1 << 2, "DUO_0000006", "health or medical or biomedical research", "health and medical research"
    DS = 1 << 3, "DUO_0000007", "disease specific research", "research on the disease named in the terms"
    POA = (
        1 << 4,
        "DUO_0000011",
        "population origins or ancestry research only",
        "research on population origins or ancestry",
    )
    RS = (
        1 << 5,
        "DUO_0000012",
        "research specific restrictions",
        "do only the type of study named in the terms",
    )
    NMDS = (
        1 << 6,
        "DUO_0000015",
        "no general methods research",
        "not develop general methods or software with it",
    )
    GSO = 1 << 7, "DUO_0000016", "genetic studies only", "use it for genetic studies only"
    NPUNCU = (
        1 << 8,
        "DUO_0000018",
        "not for profit, non commercial use only",
        "be not-for-profit organisations and use it non-commercially",
    )
    PUB = 1 << 9, "DUO_0000019", "publication required", "publish their results"
    COL = 1 << 10, "DUO_0000020", "collaboration required", "work together with the original investigators"
    IRB = 1 << 11, "DUO_0000021", "ethics approval required", "show an ethics approval"
    GS = 1 << 12, "DUO_0000022", "geographical restriction", "stay within the region named in the terms"
    MOR = 1 << 13, "DUO_0000024", "publication moratorium", "not publish before the date named in the terms"
    TS = 1 << 14, "DUO_0000025", "time limit on use", "stop after the time named in the terms"
    US = 1 << 15, "DUO_0000026", "user specific restriction", "let only approved people use it"
    PS = 1 << 16, "DUO_0000027", "project specific restriction", "use it only in an approved project"
    IS = 1 << 17, "DUO_0000028", "institution specific restriction", "use it only in an approved institution"
    RTN = 1 << 18, "DUO_0000029", "return to database or resource", "return what they derive from it"
    CC = 1 << 19, "DUO_0000043", "clinical care use", "allow its use in clinical care"
    NPOA = (
        1 << 20,
        "DUO_0000044",
        "population origins or ancestry research prohibited",
        "do no research on population origins or ancestry",
    )
    NPU = 1 << 21, "DUO_0000045", "not for profit organisation use only", "be not-for-profit organisations"
    NCU = 1 << 22, "DUO_0000046", "non-commercial use only", "use it non-commercially"

    PERMISSIONS = (1 << 5) - 1  # NRES GRU HMB DS POA
    MODIFIERS = (1 << 23) - (1 << 5)  # the eighteen obligations
    EMPTY = 0  # no code at all
    ALL = (1 << 23) - 1  # every defined bit

    @classmethod
    def from_code(cls, code: str) -> ResearchUse:
        """Return the member by DUO id (`DUO_0000006` or `DUO:0000006`) or by shorthand (`HMB`)."""
        wanted = code.replace("DUO:", "DUO_", 1)
        for member in cls:
            if wanted in (member._code, member.name):
                return member
        raise UnknownCodeError(code, cls.system.title, cls._near(wanted))


class PartyKind(CodedFlag, system=PARTY_KIND):
    """What kind of accredited party (the kinds of the `Registrar`); 8 bits, bits 6 and 7 reserved."""

    PROVIDER = 1 << 0, "provider", "Provider", "care providers"
    PAYER = 1 << 1, "payer", "Payer", "insurers"
    PHARMACY = 1 << 2, "pharmacy", "Pharmacy", "pharmacies"
    RESEARCHER = 1 << 3, "researcher", "Researcher", "researchers"
    DEVICE_MAKER = 1 << 4, "device-maker", "Device maker", "device makers"
    AUTHORITY = 1 << 5, "authority", "Authority", "authorities"

    EMPTY = 0  # no code at all
    ALL = (1 << 6) - 1  # every defined kind


# (narrower, broader) by member name, broader lists first so that one pass closes the set. From the
# hierarchies of the same publications; DUO's permissions nest by their definitions
# (NRES ⊇ GRU ⊇ HMB ⊇ DS, GRU ⊇ POA).
_BROADER: dict[str, tuple[tuple[str, str], ...]] = {
    "Purpose": (
        ("ETREAT", "TREAT"),
        ("BTG", "ETREAT"),
        ("COVERAGE", "HPAYMT"),
        ("CAREMGT", "HOPERAT"),
        ("HQUALIMP", "HOPERAT"),
        ("FAMRQT", "PATRQT"),
        ("CLINTRCH", "HRESCH"),
        ("DSRCH", "HRESCH"),
    ),
    "Sensitivity": (
        ("ETHUD", "SUD"),
        ("OPIOIDUD", "SUD"),
        ("DVD", "BH"),
        ("COGN", "BH"),
        ("EMOTDIS", "BH"),
    ),
    "ResearchUse": (
        ("GRU", "NRES"),
        ("HMB", "GRU"),
        ("POA", "GRU"),
        ("DS", "HMB"),
    ),
}
