"""The caller's side of a gatekeeper: sign, fetch, and check every record against its pointer on chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from medproof import fhir, hashing
from medproof.access.promise import Promise, Promised
from medproof.client import MedProof
from medproof.client.record_pointers import Pointer, PointerKey
from medproof.errors import (
    GatekeeperRefusalError,
    JsonError,
    LeafProofError,
    ReadingError,
    RecordError,
    UnknownCodeError,
    UnprovedRecordError,
)
from medproof.fhir import Resource
from medproof.gateway.outcome import read_outcome
from medproof.gateway.proof import PROOF, Proof, read_pointer, verify_pointer
from medproof.gateway.signature import Claims, SignedRequest
from medproof.gateway.witness import SeenEntry, Witness
from medproof.hashing import Json, JsonObject
from medproof.reading_proof import ReadingProof
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
    access: Promised | None = None  # the entry about it in the custodian's log, and the promise; None without a log


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
    access: Promised | None = None  # the entry about it in the custodian's log, and the promise; None without a log


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
        keep: Callable[[Promise], None] = lambda promise: None,
        insist: bool = False,
        http: httpx.Client | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Talk to a gatekeeper.

        Args:
            origin: where it is, such as https://records.example.org; what is signed counts there alone.
            suite: the suite on the chain, through a node that the caller trusts: records are checked against it.
            signer: the account that asks.
            claims: what for, and what will be done with the records.
            keep: told each promise to log a request, refused ones as well, such as `PromiseFile(path).add`: with it a
                reader complains where the entry never appears.
            insist: take no answer without such a promise.
            http: another way to send; not closed here.
            timeout: seconds.
        """
        self.origin, self.claims = origin.rstrip("/"), claims
        self._suite, self._signer = suite, signer
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._own = http is None
        self._witness = Witness(suite, signer.address, claims, keep=keep, insist=insist)

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
        fetched = self._checked(content, Proof.read(answer.headers.get("MedProof-Proof", "")))
        return replace(fetched, access=self._logged(answer, "read", fetched.pointer.key.subject, [fetched]))

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
        for answer, page in self._pages(f"/fhir/{resource_type}?{httpx.QueryParams(tuple(params))}"):
            found = [self._entry(resource_type, subject, entry) for entry in _objects(page.get("entry"))]
            logged = self._logged(answer, "search", subject, found)
            yield from (replace(fetched, access=logged) for fetched in found)

    def _entry(self, resource_type: str, subject: str, entry: JsonObject) -> Fetched:
        """One entry of a bundle, checked."""
        content = entry.get("resource")
        texts = [one.get("valueString") for one in _objects(entry.get("extension")) if one.get("url") == PROOF]
        if not isinstance(content, dict) or content.get("resourceType") != resource_type:
            raise UnprovedRecordError("entry", "is no record of the type that was asked for")
        fetched = self._checked(content, Proof.read(str(texts[0]) if texts else ""))
        if fetched.proof.pointer.subject.lower() != subject.lower():
            raise UnprovedRecordError("subject", "is not the one that was asked for")
        return fetched

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

        Args:
            subject: the patient's pseudonym with this custodian.
            record: FHIR R4.
            key: 16 to 64 letters and digits, such as a hash, by which the gatekeeper knows the record if it is posted
                again: where no answer came, repeat with the same.

        Raises:
            GatekeeperRefusalError: as `fetch`.
        """
        body = hashing.canonical(record.content)
        params = {"patient": subject} if key is None else {"patient": subject, "_key": key}
        answer = self._send("POST", f"/fhir/{record.resource_type}?{httpx.QueryParams(params)}", body)
        taken = _content(answer.content)
        if {**taken, "id": None} != {**record.content, "id": None}:
            raise UnprovedRecordError("record", "is not the one that was posted")
        pointer = _hash(answer.headers.get("MedProof-Pointer"))
        logged = self._witness.served(answer, "create", subject, [pointer])
        return Taken(Resource(record.resource_type, taken), pointer, logged)

    def prove_reading(self, id_: str) -> ReadingProof:
        """Fetch one reading of a device with all that proves it, and check it; see `ReadingProof.verify`.

        Raises:
            GatekeeperRefusalError, NodeError: as `fetch`.
            UnprovedRecordError: it does not hold, or the reading is not anchored yet.
        """
        answer = self._send("GET", f"/devices/readings/{id_}/proof")
        try:
            proof = ReadingProof.from_json(_content(answer.content))
        except (ReadingError, LeafProofError) as error:
            raise UnprovedRecordError("proof", "cannot be read") from error
        reading = proof.reading
        if reading.observation.get("id") != id_:
            raise UnprovedRecordError("id", "is not what was asked for")
        proof.verify(self._suite)
        pointer = PointerKey(reading.subject, reading.custodian, reading.commitment)
        self._witness.served(answer, "read", reading.subject, [pointer.id], {reading.custodian})
        return proof

    # -- the access log -----------------------------------------------------------------------------------------

    def accesses(self, subject: str | None = None, *, count: int = 50) -> Iterator[SeenEntry]:
        """What the custodian's access log has of a subject's records, for the subject or its delegate, oldest first;
        without a subject, of what this account asked for itself. Each entry is checked.

        Raises:
            GatekeeperRefusalError: as `fetch`.
            UnprovedRecordError: an entry does not open its commitment, its promise does not count, or it is not in the
                log that was anchored on chain.
            NodeError: the chain cannot be asked.
        """
        target = f"/access?{'' if subject is None else f'patient={subject}&'}_count={count}"
        start = 0
        while True:
            page = _content(self._send("GET", f"{target}&_start={start}").content)
            seen = self._witness.seen(page, subject)
            yield from seen
            following = page.get("next")
            if not isinstance(following, int) or following <= start:
                return
            start = following

    def prove_growth(self, first: int, second: int) -> tuple[bytes, ...]:
        """The proof that the access log of `second` entries begins with that of `first`, for `BatchAnchor.audit`.

        Raises:
            GatekeeperRefusalError: as `fetch`.
            UnprovedRecordError: it cannot be read.
        """
        page = _content(self._send("GET", f"/access/consistency?first={first}&second={second}").content)
        proof = page.get("proof")
        return tuple(_hash(one) for one in proof) if isinstance(proof, list) else ()

    # -- inside -------------------------------------------------------------------------------------------------

    def _logged(self, answer: httpx.Response, action: str, subject: str, found: Sequence[Fetched]) -> Promised | None:
        """The promise to log what was served."""
        holders = [{one.pointer.custodian, one.pointer.key.origin} for one in found]
        pointers = [one.pointer.key.id for one in found]
        return self._witness.served(answer, action, subject, pointers, set.intersection(*holders) if holders else ())

    def _pages(self, target: str) -> Iterator[tuple[httpx.Response, JsonObject]]:
        while True:
            answer = self._send("GET", target)
            page = _content(answer.content)
            yield answer, page
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
            self._witness.refused(answer)
            raise read_outcome(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        return answer

    def _checked(self, content: JsonObject, proof: Proof) -> Fetched:
        pointer = proof.verify(content, self._suite.record_pointers)
        try:
            return Fetched(fhir.load(content), proof, pointer)
        except RecordError as error:
            raise UnprovedRecordError("record", "is no FHIR R4 record") from error


def _hash(text: Json) -> bytes:
    try:
        return bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raise UnprovedRecordError("a hash", "cannot be read") from None


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
