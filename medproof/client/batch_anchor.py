"""The BatchAnchor: Merkle logs that only grow, anchored a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from medproof import merkle, messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.decoding import Event
from medproof.errors import MerkleProofError
from medproof.signing import Signer

__all__ = ["Batch", "BatchAnchor", "LogState"]

_DAY = 24 * 3600


@dataclass(frozen=True)
class Batch:
    """One batch that was anchored."""

    number: int  # from 1
    size: int  # how many leaves the log had with it
    root: bytes  # 32 bytes, over all of them
    block: int  # where it was anchored


@dataclass(frozen=True)
class LogState:
    """A log as it was anchored last."""

    number: int  # how many batches
    size: int  # how many leaves
    root: bytes  # 32 bytes, over all of them
    anchored_at: datetime  # when


class BatchAnchor(ContractClient):
    """The logs of all publishers; a publisher keeps as many as it needs, by numbers of its own choice.

    >>> log = MerkleLog(commitments)
    >>> anchor.anchor(clinic, len(log), log.root(), sender=clinic_signer)
    >>> anchor.verify_leaf(clinic, commitment, index, log.inclusion_proof(index))
    """

    name = "BatchAnchor"
    signed_functions = ("anchor", "anchorConsistent")

    # -- anchoring ----------------------------------------------------------------------------------------------

    def anchor(
        self,
        publisher: str,
        size: int,
        root: bytes,
        *,
        log: int = 0,
        proof: Sequence[bytes] | None = None,
        sender: Sender | None = None,
    ) -> Receipt:
        """Anchor a log as it stands now, as its publisher.

        Args:
            publisher: the party's identity.
            size: how many leaves the log has; more than were anchored last.
            root: 32 bytes, the root over all of them (`MerkleLog.root`).
            log: which of the publisher's logs.
            proof: where it is given, the contract reverts unless it shows that the log begins with what was anchored
                last (`MerkleLog.consistency_proof` from that size). It costs more gas, and nobody has to ask for it
                later.
            sender: the account that acts for the publisher.
        """
        function, arguments = _call(publisher, log, size, root, proof)
        return self._transact(function, *arguments, 0, b"", sender=sender)

    def sign_anchor(
        self,
        signer: Signer,
        publisher: str,
        size: int,
        root: bytes,
        *,
        log: int = 0,
        proof: Sequence[bytes] | None = None,
        deadline: int | None = None,
    ) -> SignedMessage:
        """Sign a batch for anyone to relay, as `anchor` would send it; for a day where no `deadline` is given.

        The proof itself is not part of what is signed, but that there must be one is.
        """
        until = self._deadline(_DAY) if deadline is None else deadline
        message = messages.batch(
            self.domain,
            publisher=publisher,
            log=log,
            size=size,
            root=root,
            consistent=proof is not None,
            deadline=until,
        )
        function, arguments = _call(publisher, log, size, root, proof)
        return self._signed(function, arguments, until, signer.sign_typed_data(message))

    # -- reading ------------------------------------------------------------------------------------------------

    def latest(self, publisher: str, *, log: int = 0, block: int | str = "latest") -> LogState | None:
        """A log as it was anchored last; nothing before its first batch."""
        root, size, number, anchored_at = self._call("latest", publisher, log, block=block)
        return LogState(number, size, bytes(root), datetime.fromtimestamp(anchored_at, UTC)) if number else None

    def batches(self, publisher: str, *, log: int = 0) -> Iterator[Batch]:
        """All batches of a log, oldest first, from the contract's events."""
        return map(_batch, self.events("BatchAnchored", filters={"publisher": publisher, "log": log}))

    def batch(self, publisher: str, number: int, *, log: int = 0) -> Batch | None:
        """One batch of a log, by its number from 1."""
        filters = {"publisher": publisher, "log": log, "number": number}
        return next(map(_batch, self.events("BatchAnchored", filters=filters)), None)

    # -- verifying ----------------------------------------------------------------------------------------------

    def verify_leaf(
        self,
        publisher: str,
        leaf: bytes,
        index: int,
        proof: Sequence[bytes],
        *,
        log: int = 0,
        number: int | None = None,
    ) -> None:
        """Return if a log has the leaf at `index`, as it was anchored last or in the batch of that number.

        Raises:
            MerkleProofError: the proof does not show it, or there is no such batch.
        """
        state = self.latest(publisher, log=log) if number is None else self.batch(publisher, number, log=log)
        if state is None:
            raise MerkleProofError(f"leaf {index} of log {log} of {publisher}", "there is no such batch on the chain")
        merkle.verify_inclusion(leaf, index, state.size, proof, state.root)

    def audit(self, publisher: str, prove: Callable[[int, int], Sequence[bytes]], *, log: int = 0) -> int:
        """Return how many batches a log has, if each of them only added to the one before.

        Args:
            publisher: the party's identity.
            prove: gives the consistency proof between two sizes; the publisher's service, or
                `MerkleLog.consistency_proof` of a copy.
            log: which of the publisher's logs.

        Raises:
            MerkleProofError: the log was rewritten between the two sizes that it names, or cannot be shown not to be.
        """
        number, size, root = 0, 0, merkle.EMPTY_ROOT
        for batch in self.batches(publisher, log=log):
            proof = prove(size, batch.size) if size else ()
            merkle.verify_consistency(size, batch.size, proof, root, batch.root)
            number, size, root = batch.number, batch.size, batch.root
        return number


def _call(
    publisher: str, log: int, size: int, root: bytes, proof: Sequence[bytes] | None
) -> tuple[str, tuple[object, ...]]:
    """The function that anchors with or without a proof, and its arguments before the signature."""
    batch = (publisher, log, size, root)
    return ("anchor", batch) if proof is None else ("anchorConsistent", (*batch, tuple(proof)))


def _batch(event: Event) -> Batch:
    said = event.arguments
    return Batch(said["number"], said["size"], bytes(said["root"]), event.block)
