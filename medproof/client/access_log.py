"""The AccessLog: which key signs the promises of a custodian's log, and which of them were complained of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from medproof.chain import Receipt, Sender
from medproof.client.contract import NOBODY, ContractClient
from medproof.decoding import Event

__all__ = ["AccessLog", "Complaint"]


@dataclass(frozen=True)
class Complaint:
    """What became of a promise that somebody complained of."""

    filed: datetime  # UTC
    answered: datetime | None  # when the entry was shown to be in the log, UTC; None until then


class AccessLog(ContractClient):
    """The access logs of all custodians: their keys, and the complaints about entries that were promised.

    >>> suite.access_log.open(0, promise_key.address, sender=clinic)
    >>> suite.access_log.complain(promise.custodian, 0, promise.entry, promise.due, promise.signature, sender=reader)
    """

    name = "AccessLog"

    # -- as the custodian ---------------------------------------------------------------------------------------

    def open(self, log: int, signer: str, *, sender: Sender | None = None) -> Receipt:
        """Open a log, once: name the account whose key signs its promises for good.

        Args:
            log: its number in the BatchAnchor.
            signer: another account than the one that acts for the party, so that a server holds no more than this key.
            sender: acts for the custodian, an active party.
        """
        return self._transact("openLog", log, signer, sender=sender)

    def answer(
        self,
        custodian: str,
        log: int,
        entry: bytes,
        index: int,
        proof: Sequence[bytes],
        *,
        sender: Sender | None = None,
    ) -> Receipt:
        """Answer a complaint: show that the entry is in the log as it was anchored last. Anyone may.

        Args:
            custodian: the party's identity.
            log: which of its logs.
            entry: the entry's commitment, 32 bytes.
            index: where it is in the log, from 0.
            proof: its inclusion proof for the size that was anchored last.
            sender: who sends it.
        """
        return self._transact("answer", custodian, log, entry, index, tuple(proof), sender=sender)

    # -- as a reader --------------------------------------------------------------------------------------------

    def complain(
        self, custodian: str, log: int, entry: bytes, due: int, signature: bytes, *, sender: Sender | None = None
    ) -> Receipt:
        """Complain that an entry is not in a log although its promise is due. Anyone may.

        Nothing is looked up: see first that it is not in the log (`BatchAnchor.verify_leaf`).

        Args:
            custodian: the party's identity.
            log: which of its logs.
            entry: the entry's commitment, 32 bytes.
            due: until when it was promised, in seconds since 1970.
            signature: of the promise, by the log's signer.
            sender: who sends it.
        """
        return self._transact("complain", custodian, log, entry, due, signature, sender=sender)

    # -- reading ------------------------------------------------------------------------------------------------

    def signer(self, custodian: str, *, log: int = 0) -> str | None:
        """The account whose key signs a log's promises; None where it was never opened."""
        found = str(self._call("signerOf", custodian, log))
        return None if found == NOBODY else found

    def complaint(self, custodian: str, entry: bytes, *, log: int = 0) -> Complaint | None:
        """What became of the complaint about an entry; None where nobody complained."""
        filed, answered = self._call("complaintOf", custodian, log, entry)
        if not filed:
            return None
        kept = datetime.fromtimestamp(answered, UTC) if answered else None
        return Complaint(datetime.fromtimestamp(filed, UTC), kept)

    def open_complaints(self, custodian: str) -> int:
        """How many complaints about a custodian have not been answered."""
        return int(self._call("openComplaints", custodian))

    def complaints(self, custodian: str, *, log: int = 0) -> Iterator[Event]:
        """All complaints about a log, oldest first, as the contract's events say them (ComplaintFiled)."""
        return self.events("ComplaintFiled", filters={"custodian": custodian, "log": log})
