"""The caller's side of a gatekeeper: sign, fetch, and check every record against its pointer on chain."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from medproof import fhir, hashing
from medproof.client import MedProof
from medproof.client.record_pointers import Pointer
from medproof.errors import (
    GatekeeperRefusalError,
    JsonError,
    RecordError,
    UnknownCodeError,
    UnprovedRecordError,
)
from medproof.fhir import Resource
from medproof.gateway.outcome import read_outcome
from medproof.gateway.proof import PROOF, Proof, read_pointer, verify_pointer
from medproof.gateway.signature import Claims, SignedRequest
from medproof.hashing import Json, JsonObject
from medproof.signing import Signer

__all__ = ["Fetched", "GatekeeperClient", "ListedPointer", "Taken"]

_LIFETIME = 60  # seconds for which a request counts
_FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Fetched:
    """A record that is what its pointer on chain commits to."""

    record: Resource
    proof: Proof  # keep it with the record: it proves the record to others as well
    pointer: Pointer  # as the caller's own node has it


@dataclass(frozen=True)
class ListedPointer:
    """A pointer of which a gatekeeper has the record."""

    pointer: Pointer  # as the caller's own node has it; in a batch, with its place
    record: str  # the record's URL


@dataclass(frozen=True)
class Taken:
    """A record that a gatekeeper has taken: it is stored, and its pointer will be posted."""

    record: Resource = field(repr=False)  # with the id that it was given
    pointer: bytes  # the pointer's id, 32 bytes


class GatekeeperClient:
    """Fetches records of one gatekeeper as one account.

    >>> claims = Claims(Purpose.TREAT, Action.ACCESS)
    >>> client = GatekeeperClient("https://records.example.org", suite, signer, claims=claims)
    >>> fetched = client.fetch("Observation", id_)
    """

    def __init__(
        self,
        origin: str,
        suite: MedProof,
        signer: Signer,
        *,
        claims: Claims,
        http: httpx.Client | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Talk to a gatekeeper.

        Args:
            origin: where it is, such as https://records.example.org; what is signed counts there alone.
            suite: the suite on the chain, through a node that the caller trusts: records are checked against it.
            signer: the account that asks.
            claims: what for, and what will be done with the records.
            http: another way to send; not closed here.
            timeout: seconds.
        """
        self.origin, self.claims = origin.rstrip("/"), claims
        self._suite, self._signer = suite, signer
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._own = http is None

    def __enter__(self) -> GatekeeperClient:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what it opened."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def fetch(self, resource_type: str, id_: str) -> Fetched:
        """Fetch one record and check it.

        Raises:
            GatekeeperRefusalError: the gatekeeper refuses, with its reason's code, or does not answer.
            UnprovedRecordError: what it served is not what the pointer commits to.
            NodeError: the chain cannot be asked.
        """
        answer = self._send("GET", f"/fhir/{resource_type}/{id_}")
        content = _content(answer.content)
        if content.get("resourceType") != resource_type or content.get("id") != id_:
            raise UnprovedRecordError("resourceType or id", "is not what was asked for")
        return self._checked(content, Proof.read(answer.headers.get("MedProof-Proof", "")))

    def search(
        self, resource_type: str, subject: str, *, last_updated: tuple[str, ...] = (), count: int = 50
    ) -> Iterator[Fetched]:
        """Fetch all records of a type and a subject that may be had, oldest first, each checked.

        Args:
            resource_type: such as "Observation".
            subject: the pseudonym.
            last_updated: at most two conditions, such as "ge2026-03-01".
            count: records a page.

        Raises:
            GatekeeperRefusalError, UnprovedRecordError, NodeError: as `fetch`.
        """
        params = [("patient", subject), ("_count", str(count)), *(("_lastUpdated", one) for one in last_updated)]
        for page in self._pages(f"/fhir/{resource_type}?{httpx.QueryParams(tuple(params))}"):
            for entry in _objects(page.get("entry")):
                content = entry.get("resource")
                texts = [one.get("valueString") for one in _objects(entry.get("extension")) if one.get("url") == PROOF]
                if not isinstance(content, dict) or content.get("resourceType") != resource_type:
                    raise UnprovedRecordError("entry", "is no record of the type that was asked for")
                fetched = self._checked(content, Proof.read(str(texts[0]) if texts else ""))
                if fetched.proof.pointer.subject.lower() != subject.lower():
                    raise UnprovedRecordError("subject", "is not the one that was asked for")
                yield fetched

    def pointers(self, subject: str, *, count: int = 50) -> Iterator[ListedPointer]:
        """The pointers of a subject to records that may be had, each checked against the chain.

        Raises:
            GatekeeperRefusalError, UnprovedRecordError, NodeError: as `fetch`.
        """
        for answer, page in self._pages(f"/pointers/{subject}?_count={count}"):
            found = [self._listed(subject, said) for said in _objects(page.get("pointers"))]
            self._witness.served(answer, "list", subject, [one.pointer.key.id for one in found])
            yield from found

    def _listed(self, subject: str, said: JsonObject) -> ListedPointer:
        """One pointer of a listing, checked."""
        try:
            key, data_class, place = read_pointer(said)
        except (ValueError, TypeError, LookupError, UnknownCodeError):
            raise UnprovedRecordError("pointers", "cannot be read") from None
        if key.subject.lower() != subject.lower():
            raise UnprovedRecordError("subject", "is not the one that was asked for")
        pointer = verify_pointer(key, data_class, place, self._suite.record_pointers)
        return ListedPointer(pointer, str(said.get("record")))

    def create(self, subject: str, record: Resource, *, key: str | None = None) -> Taken:
        """Post a record as one of the custodian's own devices or apps; it gets an id of the gatekeeper's.

        Raises:
            GatekeeperRefusalError: as `fetch`.
        """
        body = hashing.canonical(record.content)
        params = {"patient": subject} if key is None else {"patient": subject, "_key": key}
        answer = self._send("POST", f"/fhir/{record.resource_type}?{httpx.QueryParams(params)}", body)
        taken = _content(answer.content)
        if {**taken, "id": None} != {**record.content, "id": None}:
            raise UnprovedRecordError("record", "is not the one that was posted")
        try:
            pointer = bytes.fromhex(answer.headers.get("MedProof-Pointer", "").removeprefix("0x"))
        except ValueError:
            raise UnprovedRecordError("MedProof-Pointer", "is no pointer") from None
        return Taken(Resource(record.resource_type, taken), pointer)

    def _pages(self, target: str) -> Iterator[JsonObject]:
        while True:
        Args:
            subject: the patient's pseudonym with this custodian.
            record: FHIR R4.
            key: 16 to 64 letters and digits, such as a hash, by which the gatekeeper knows the record if it is posted
                again: where no answer came, repeat with the same.

            page = _content(self._send("GET", target).content)
            yield page
            following = [str(link.get("url")) for link in _objects(page.get("link")) if link.get("relation") == "next"]
            if not following:
                return
            if not following[0].startswith(f"{self.origin}/"):
                raise UnprovedRecordError("next link", "leads to another place than this gatekeeper")
            target = following[0].removeprefix(self.origin)

    def _send(self, method: str, target: str, body: bytes = b"") -> httpx.Response:
        """Send one signed request."""
        request = self._http.build_request(method, self.origin + target, content=body or None)
        sent = request.url.raw_path.decode("ascii")
        signed = SignedRequest.new(
            self._signer.address,
            self.origin,
            method,
            sent,
            body=body,
            claims=self.claims,
            now=int(time.time()),
            lifetime=_LIFETIME,
        )
        registry = self._suite.consent_registry.address
        headers: Mapping[str, str] = signed.headers(self._signer, self._suite.chain.chain_id, registry)
        request.headers.update({**headers, "Accept": _FHIR_JSON})
        if body:
            request.headers["Content-Type"] = _FHIR_JSON
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            said = f"The gatekeeper does not answer ({type(error).__name__}). Ask again."
            raise GatekeeperRefusalError(503, "NO_ANSWER", said) from error
        if answer.status_code not in (200, 201):
            raise read_outcome(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        return answer

    def _checked(self, content: JsonObject, proof: Proof) -> Fetched:
        pointer = proof.verify(content, self._suite.record_pointers)
        try:
            return Fetched(fhir.load(content), proof, pointer)
        except RecordError as error:
            raise UnprovedRecordError("record", "is no FHIR R4 record") from error


def _content(body: bytes) -> JsonObject:
    try:
        value: Json = hashing.parse(body)
    except JsonError as error:
        raise UnprovedRecordError("body", "is no JSON") from error
    if not isinstance(value, dict):
        raise UnprovedRecordError("body", "is no JSON object")
    return value


def _objects(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
