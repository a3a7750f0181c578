"""The caller's look at the access log: that each answer comes with a promise, signed, of an entry that is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from medproof.access.entry import Access, AccessEntry, Opening
from medproof.access.promise import HEADER, Promise, Promised
from medproof.client import MedProof
from medproof.errors import (
    AccessEntryError,
    MerkleProofError,
    NodeError,
    PromiseError,
    SaltError,
    UnprovedRecordError,
)
from medproof.gateway.signature import Claims, Credentials
from medproof.merkle import verify_inclusion

__all__ = ["SeenEntry", "Witness"]

_LATEST = 24 * 3600  # seconds from now for which a promise may ask for patience
_SKEW = 900  # seconds between the gatekeeper's clock and the caller's, the request's own time included


@dataclass(frozen=True)
class SeenEntry:
    """An entry of an access log that was checked."""

    promise: Promise  # with its commitment and its index
    access: Access | None  # what it says; None where its caller may not see that
    anchored: bool  # whether it is in the log as it stands on chain


class Witness:
    """Checks the promises of one gatekeeper's answers to one account, and keeps them."""

    def __init__(
        self, suite: MedProof, account: str, claims: Claims, *, keep: Callable[[Promise], None], insist: bool
    ) -> None:
        """Check by the caller's own node; see `GatekeeperClient`."""
        self._suite, self._account, self._claims, self._keep, self._insist = suite, account, claims, keep, insist
        self._signers: dict[tuple[str, int], str | None] = {}

    def served(
        self,
        answer: httpx.Response,
        action: str,
        subject: str,
        pointers: Sequence[bytes],
        custodians: Collection[str] = (),
    ) -> Promised | None:
        """Check the promise about a request that was served, and keep it.

        Args:
            answer: with its request.
            action: read, search, list, create.
            subject: whose records.
            pointers: the ids of the records' pointers, in the order in which they came.
            custodians: whose log it may be; anyone's where none is named.

        Raises:
            UnprovedRecordError: the promise does not count, or the entry says something else than was done.
            NodeError: the chain cannot be asked.
        """
        promised = self._read(answer, pointers)
        if promised is None:
            return None
        if promised.opening is None:
            raise UnprovedRecordError(HEADER, "does not show the entry")
        said = promised.opening.entry.access
        records = tuple(record.pointer for record in said.records)
        if (*self._own(said), said.action, (said.subject or "").lower(), said.permitted, records) != (
            *self._asked(answer),
            action,
            subject.lower(),
            True,
            tuple(pointers),
        ):
            raise UnprovedRecordError(HEADER, "is about another request than this one")
        if abs(said.when.timestamp() - time.time()) > _SKEW:
            raise UnprovedRecordError(HEADER, f"says another time than now, by more than {_SKEW} seconds")
        if custodians and promised.promise.custodian not in custodians:
            raise UnprovedRecordError(HEADER, "is of another custodian's log than that of the record")
        self._keep(promised.promise)
        return promised

    def refused(self, answer: httpx.Response) -> None:
        """Keep the promise about a request that was refused, where there is one; the refusal counts anyway."""
        try:
            promised = self._read(answer, ())
        except (UnprovedRecordError, NodeError):
            return
        if promised is not None:
            self._keep(promised.promise)

    def seen(self, page: Any, subject: str | None) -> list[SeenEntry]:
        """Check a page of the access log.

        Args:
            page: as `GET /access` gave it.
            subject: whose records it is to be about; None for the account's own requests.

        Raises:
            UnprovedRecordError: an entry is not what it should be, or is not in the log.
            NodeError: the chain cannot be asked.
        """
        try:
            size, root = int(page["anchored"]), None
            if any(one["proof"] is not None for one in page["entries"]):
                root = self._root(str(page["custodian"]), int(page["log"]), size)
            return [self._entry(one, page, subject, size, root) for one in page["entries"]]
        except (AccessEntryError, SaltError, MerkleProofError, PromiseError) as error:
            raise UnprovedRecordError("entries", f"hold one that does not count ({error})") from None
        except (ValueError, TypeError, LookupError, AttributeError):
            raise UnprovedRecordError("entries", "cannot be read") from None

    def _entry(self, said: Any, page: Any, subject: str | None, size: int, root: bytes | None) -> SeenEntry:
        promise = Promise.from_json(said["promise"])
        self._check(promise)
        if (promise.custodian, promise.log) != (page["custodian"], page["log"]) or promise.index is None:
            raise PromiseError("it is of another log")
        access = None
        if "entry" in said:
            opening = Opening(AccessEntry.from_json(said["entry"]), bytes.fromhex(said["salt"][2:]))
            place = (opening.commitment, opening.entry.index, opening.entry.custodian, opening.entry.log)
            access = opening.entry.access
            asked = self._account if subject is None else subject
            about = access.account if subject is None else access.subject or ""
            if (
                place != (promise.entry, promise.index, promise.custodian, promise.log)
                or about.lower() != asked.lower()
            ):
                raise PromiseError("it is of another entry than the one that came with it")
        elif subject is not None:
            raise PromiseError("the entry is missing")
        if said["proof"] is not None and root is not None:
            proof = [bytes.fromhex(one[2:]) for one in said["proof"]]
            verify_inclusion(promise.entry, promise.index, size, proof, root)
        return SeenEntry(promise, access, said["proof"] is not None)

    def _root(self, custodian: str, log: int, size: int) -> bytes:
        """The root that was anchored at a size."""
        anchor = self._suite.batch_anchor
        state = anchor.latest(custodian, log=log)
        if state is not None and state.size == size:
            return state.root
        for batch in anchor.batches(custodian, log=log):
            if batch.size == size:
                return batch.root
        raise PromiseError(f"no batch of {size} entries is on the chain")

    def _read(self, answer: httpx.Response, pointers: Sequence[bytes]) -> Promised | None:
        text = answer.headers.get(HEADER)
        if text is None:
            if self._insist:
                raise UnprovedRecordError(HEADER, "is missing: nothing promises that the access is logged")
            return None
        try:
            promised = Promised.read(text, pointers)
            self._check(promised.promise)
            if promised.promise.due > time.time() + _LATEST:
                raise PromiseError(f"it is due in more than {_LATEST} seconds")
        except PromiseError as error:
            raise UnprovedRecordError(HEADER, f"does not count ({error.why})") from None
        return promised

    def _check(self, promise: Promise) -> None:
        place = (promise.custodian, promise.log)
        signer = self._signers.get(place)
        if signer is None:  # once there is one, it stands for good
            signer = self._signers[place] = self._suite.access_log.signer(promise.custodian, log=promise.log)
        if signer is None:
            raise PromiseError(f"log {promise.log} of {promise.custodian} was never opened on this chain")
        if not promise.is_by(self._suite, signer):
            raise PromiseError(f"the key of log {promise.log} of {promise.custodian} did not sign it")

    def _own(self, said: Access) -> tuple[object, ...]:
        return said.account, said.signed, Claims(said.purposes, said.actions, said.research)

    def _asked(self, answer: httpx.Response) -> tuple[object, ...]:
        credentials = Credentials.read(answer.request.headers["Authorization"])
        return self._account, f"0x{credentials.nonce.hex()}", self._claims
