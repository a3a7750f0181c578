"""FHIR R4 Claim, and the claim that an ExplanationOfBenefit repeats, as `medproof.claims.Claim`.

docs/claims.md says element by element what is read. In doubt nothing is: what is refused is named by its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, localcontext
from math import prod

from medproof.claims.checking import ClaimPaths, adds_up, check_amount, check_claim, same_currency
from medproof.claims.claim import Claim, ClaimKind, Code, Frequency, Identifier, Money, ServiceLine
from medproof.claims.currency import EXACT, rounded
from medproof.claims.names import NPI
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimDateError,
    ClaimElementError,
    ClaimLineError,
    ClaimStateError,
)
from medproof.fhir.elements import (
    URI,
    active,
    code_of,
    codes,
    is_own_policy,
    items,
    money,
    name_of,
    named_number,
    number_of,
    objects,
    own_number,
    period,
    plain,
    policy_name,
    serviced,
    target_of,
    text_of,
)
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject

__all__ = ["billed", "claim_kind", "claim_number", "read_claim"]

_TYPES = "http://terminology.hl7.org/CodeSystem/claim-type"
_PRIORITIES = "http://terminology.hl7.org/CodeSystem/processpriority"
_RELATED = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship"
_ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
_PRINCIPAL = "principal"  # of ex-diagnosistype
_BILL_TYPES = ("https://www.nubc.org/CodeSystem/TypeOfBill", "https://www.cms.gov/codes/billtype")
"""Systems of the type of bill of NUBC, whose last digit is the frequency."""
_FREQUENCIES = ("http://hl7.org/fhir/us/davinci-pct/CodeSystem/PCTGFEFrequency",)
"""Systems of that digit alone."""


def read_claim(
    resource: Resource,
    *,
    patient: Identifier | None = None,
    provider: Identifier | None = None,
    payer: Identifier | None = None,
    prefer: Sequence[str] = (NPI,),
) -> Claim:
    """Read a Claim, or the claim that an ExplanationOfBenefit explains: the one in its bundle, else what it repeats.

    Args:
        resource: from `fhir.load`, or of a bundle from `fhir.records`, where references lead further.
        patient: who it is, in place of what the claim says.
        provider: who bills, likewise.
        payer: who is billed, likewise.
        prefer: systems of identifiers to name people and organisations by, where they have several; the best first.

    Raises:
        ClaimStateError: it is no bill as it stands.
        ClaimElementError: an element is missing or of no use; the classes below it say in what way.
    """
    if resource.resource_type == "ExplanationOfBenefit":
        explained = target_of(resource, resource.content.get("claim"))
        if explained is not None and explained.resource_type == "Claim":
            active(resource)
            resource = explained
    return _Reader(resource, prefer).claim(patient, provider, payer)


def billed(resource: Resource) -> JsonObject:
    """The content of a claim, or of an answer to one, that counts and is about a bill.

    Raises:
        ClaimStateError: it asks for authorisation, or does not count.
        ClaimElementError: it cannot be understood.
    """
    content = active(resource)
    use = content.get("use")
    if use != "claim":
        shown = use if use in ("preauthorization", "predetermination") else "another code"
        raise ClaimStateError(f"{resource.resource_type}.use", f"is {shown}, which bills nothing", "give a claim")
    return content


def claim_kind(resource: Resource) -> ClaimKind:
    """What is billed.

    Raises:
        ClaimCodeError: `type` has no code of HL7's claim types.
    """
    path = f"{resource.resource_type}.type"
    return ClaimKind(code_of(resource.content.get("type"), _TYPES, tuple(ClaimKind), path))


def claim_number(resource: Resource) -> str:
    """The number of a Claim, or of the one that an ExplanationOfBenefit explains.

    Raises:
        ClaimElementError: it has neither.
    """
    root = resource.resource_type
    if root != "Claim" and "claim" in resource.content:
        return named_number(resource, resource.content["claim"], f"{root}.claim")
    return own_number(resource)


class _Reader:
    """One claim on its way from FHIR."""

    def __init__(self, resource: Resource, prefer: Sequence[str]) -> None:
        self._resource, self._prefer = resource, prefer
        self._root = resource.resource_type

    def claim(self, patient: Identifier | None, provider: Identifier | None, payer: Identifier | None) -> Claim:
        if self._root not in ("Claim", "ExplanationOfBenefit"):
            raise ClaimElementError(self._root, "is no claim", "give an HL7 FHIR R4 Claim or ExplanationOfBenefit")
        content = billed(self._resource)
        policy = self._policy(content)
        coverage = target_of(self._resource, policy.get("coverage"))
        lines = self._lines(content)
        frequency, original = self._correction(content)
        claim = Claim(
            kind=claim_kind(self._resource),
            number=claim_number(self._resource),
            frequency=frequency,
            patient=patient or self._name(content, "patient"),
            provider=provider or self._name(content, "provider"),
            payer=payer or self._payer(content, policy, coverage),
            start=min(line.start for line in lines),
            end=max(line.end for line in lines),
            lines=lines,
            total=self._total(content),
            original=original,
            subscriber=self._subscriber(coverage),
            diagnoses=self._diagnoses(content),
            prescription=self._prescription(content),
            coverage=policy_name(self._resource, policy, f"{self._root}.insurance.coverage", prefer=self._prefer),
            priority=self._priority(content),
        )
        return check_claim(claim, _paths(self._root))

    # -- who and which --------------------------------------------------------------------------------------------

    def _name(self, content: JsonObject, name: str) -> Identifier:
        step = f"complete the claim, or pass {name}="
        return name_of(self._resource, content.get(name), f"{self._root}.{name}", step=step, prefer=self._prefer)

    def _payer(self, content: JsonObject, policy: JsonObject, coverage: Resource | None) -> Identifier:
        """The insurer; else who pays by the policy. No key is made of it, so that a name in words will do."""
        owner, element, path = self._resource, content.get("insurer"), f"{self._root}.insurer"
        if element is None and coverage is not None:
            payors = objects(coverage.content.get("payor"))
            owner, element, path = coverage, payors[0] if payors else None, "Coverage.payor[0]"
        elif element is None:
            said = policy.get("coverage")
            element = {"display": said["display"]} if isinstance(said, dict) and "display" in said else None
        step = "complete the claim, or pass payer="
        return name_of(owner, element, path, step=step, prefer=self._prefer, named=True)

    def _policy(self, content: JsonObject) -> JsonObject:
        policies = objects(content.get("insurance"))
        focal = [one for one in policies if one.get("focal") is True]
        if len(focal) != 1:
            rule = f"is true for {len(focal)} of {len(policies)} policies"
            raise ClaimElementError(f"{self._root}.insurance.focal", rule, "mark the one that is billed")
        return focal[0]

    def _subscriber(self, coverage: Resource | None) -> Identifier | None:
        """The insured, where the policy says that it is another than the patient."""
        said = coverage.content if coverage else {}
        if coverage is None or "subscriber" not in said or is_own_policy(said):
            return None
        step = "give the subscriber an identifier"
        return name_of(coverage, said["subscriber"], "Coverage.subscriber", step=step, prefer=self._prefer)

    def _correction(self, content: JsonObject) -> tuple[Frequency, str | None]:
        """Whether it is new or corrects another, and which: by the type of bill, or by what it is related to."""
        said: list[tuple[str, str]] = []  # path and frequency code
        corrected: list[tuple[str, JsonObject]] = []
        unsaid: list[tuple[str, JsonObject]] = []  # related in a way that is not said
        bill_types = [(f"{self._root}.subType", content.get("subType"))]
        bill_types += [(f"{path}.code", one.get("code")) for path, one in items(content, "supportingInfo", self._root)]
        for path, concept in bill_types:
            said += [(path, code.code[-1]) for code in codes(concept) if code.system in _BILL_TYPES]
        for path, one in items(content, "related", self._root):
            relationships = codes(one.get("relationship"))
            if not relationships:
                unsaid.append((path, one))
            for code in relationships:
                if code.system not in _FREQUENCIES and code.code not in ("prior", "associated"):
                    step = "give prior, associated or a frequency code"
                    raise ClaimCodeError(f"{path}.relationship", "is no code that says whether it corrects", step)
                if code.code != "associated":
                    frequency_said = Frequency.REPLACEMENT if code.code == "prior" else code.code
                    said.append((f"{path}.relationship", frequency_said))
                    corrected.append((path, one))
        for path, code_said in said:
            if code_said not in tuple(Frequency):
                raise ClaimCodeError(path, "is a frequency that is neither 1, 7 nor 8", "bill it as one of these")
            if code_said != said[0][1]:
                raise ClaimCodeError(path, f"says another frequency than {said[0][0]}", "say one")
        frequency = Frequency(said[0][1]) if said else Frequency.ORIGINAL
        if frequency is Frequency.ORIGINAL:
            return frequency, None
        for path, one in corrected or unsaid:
            filed = one.get("reference")
            number = text_of(filed.get("value")) if isinstance(filed, dict) else None
            if number is not None or "claim" in one:
                return frequency, number or named_number(self._resource, one.get("claim"), f"{path}.claim")
        raise ClaimElementError(f"{self._root}.related", "does not name the claim that is corrected", "name it")

    def _prescription(self, content: JsonObject) -> str | None:
        return self._registered(content.get("prescription"), f"{self._root}.prescription")

    def _registered(self, reference: Json, path: str) -> str | None:
        if reference is None:
            return None
        name = name_of(self._resource, reference, path, step="name what was registered", prefer=self._prefer)
        return f"{name.system}|{name.value}" if name.system not in ("", URI) else name.value

    def _priority(self, content: JsonObject) -> str | None:
        found = [code for code in codes(content.get("priority")) if code.system in (_PRIORITIES, "")]
        if not found:
            return None
        return code_of(content["priority"], _PRIORITIES, ("stat", "normal", "deferred"), f"{self._root}.priority")

    def _diagnoses(self, content: JsonObject) -> tuple[Code, ...]:
        found: list[tuple[bool, int, Code]] = []
        for path, one in items(content, "diagnosis", self._root):
            concept = one.get("diagnosisCodeableConcept")
            if concept is None:
                path = f"{path}.diagnosisReference"
                condition = target_of(self._resource, one.get("diagnosisReference"))
                if condition is None:
                    step = "give the bundle that the claim came in, or code the diagnosis"
                    raise ClaimElementError(path, "leads to no resource at hand", step)
                concept = condition.content.get("code")
            coded = codes(concept)
            if not coded:
                raise ClaimCodeError(path, "has no code", "code the diagnosis")
            principal = any(code.code == _PRINCIPAL for kind in objects(one.get("type")) for code in codes(kind))
            found.append((not principal, int(str(one["sequence"])), coded[0]))
        if len({sequence for _, sequence, _ in found}) != len(found):
            raise ClaimLineError(f"{self._root}.diagnosis.sequence", "is there twice", "number each diagnosis")
        return tuple(code for _, _, code in sorted(found))

    # -- lines ----------------------------------------------------------------------------------------------------

    def _total(self, content: JsonObject) -> Money | None:
        if self._root == "Claim":
            return money(content.get("total"), "Claim.total")
        for path, one in items(content, "total", self._root):
            if any(code.system in (_ADJUDICATION, "") and code.code == "submitted" for code in codes(one["category"])):
                return money(one.get("amount"), f"{path}.amount")
        return None

    def _lines(self, content: JsonObject) -> tuple[ServiceLine, ...]:
        said = content.get("billablePeriod")
        whole = period(said, f"{self._root}.billablePeriod")
        last = whole[1] if whole and isinstance(said, dict) and "end" in said else date.max
        lines = []
        for path, item in items(content, "item", self._root):
            days = serviced(item, path) or whole
            if days is None:
                rule = f"is missing, and so is {self._root}.billablePeriod.start"
                raise ClaimDateError(f"{path}.serviced", rule, "add the day of service")
            if whole is not None and not whole[0] <= days[0] <= days[1] <= last:
                rule = f"lies outside of {self._root}.billablePeriod"
                raise ClaimDateError(f"{path}.serviced", rule, "correct one of them")
            lines.append(self._line(item, path, days))
        if not lines:
            raise ClaimElementError(f"{self._root}.item", "is missing", "bill at least one service or product")
        return tuple(lines)

    def _line(self, item: JsonObject, path: str, days: tuple[date, date]) -> ServiceLine:
        plain(item, path)
        quantity = item.get("quantity")
        quantity = quantity if isinstance(quantity, dict) else {}
        encounters = list(items(item, "encounter", path))
        if len(encounters) > 1:
            raise ClaimElementError(f"{path}.encounter", "names several encounters", "bill each by a line of its own")
        details = [*items(item, "detail", path), *items(item, "subDetail", path)]  # the one in an item, the other in it
        return ServiceLine(
            number=int(str(item["sequence"])),
            service=self._codes(item["productOrService"], f"{path}.productOrService"),
            start=days[0],
            end=days[1],
            modifiers=tuple(code for inner, one in items(item, "modifier", path) for code in self._codes(one, inner)),
            places=tuple(
                code
                for inner, one in [(f"{path}.bodySite", item.get("bodySite")), *items(item, "subSite", path)]
                if one is not None
                for code in self._codes(one, inner)
            ),
            quantity=number_of(quantity.get("value")),
            unit=text_of(quantity.get("code")) or text_of(quantity.get("unit")),
            charge=_charge(item, path),
            encounter=next((self._registered(one, inner) for inner, one in encounters), None),
            details=tuple(self._line(one, inner, days) for inner, one in details),
        )

    def _codes(self, concept: Json, path: str) -> tuple[Code, ...]:
        found = codes(concept)
        if not found:
            raise ClaimCodeError(path, "has no coding with a code", "code what was done or given")
        return found


def _charge(item: JsonObject, path: str) -> Money | None:
    """What a line costs: `net`, else what unit price, quantity and factor come to, as R4 defines it."""
    net, price = money(item.get("net"), f"{path}.net"), money(item.get("unitPrice"), f"{path}.unitPrice")
    if price is None:
        return net
    quantity = item.get("quantity")
    factors = {
        "unitPrice": price.amount,
        "quantity": number_of(quantity.get("value")) if isinstance(quantity, dict) else None,
        "factor": number_of(item.get("factor")),
        "net": net.amount if net else None,
    }
    for name, factor in factors.items():
        if factor is not None:
            check_amount(factor, f"{path}.{name}")
    same_currency([(f"{path}.{name}", one) for name, one in (("unitPrice", price), ("net", net)) if one is not None])
    given = (factor for name, factor in factors.items() if factor is not None and name != "net")
    with localcontext(EXACT):
        amount = prod(given, start=Decimal(1))
    check_amount(amount, f"{path}.unitPrice")
    product = Money(rounded(amount, price.currency), price.currency)
    if net is not None and not adds_up([product], net):
        step = "correct one of them"
        raise ClaimAmountError(f"{path}.net", "is not the unit price times quantity and factor", step)
    return net or product


def _paths(root: str) -> ClaimPaths:
    return ClaimPaths(f"{root}.item", "sequence", "net", "quantity", "serviced", "detail", f"{root}.total")
