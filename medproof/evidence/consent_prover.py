"""Making evidence of consent: what a node proves of one block, asked for many subjects at a time.

The node is believed nothing: what it says a slot holds leads to further questions, and each line that is written is
decided from the nodes of the trees alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from medproof.artifacts import artifact
from medproof.client import MedProof
from medproof.errors import EvidenceError
from medproof.evidence.consent import contracts_read, decision
from medproof.evidence.consent_file import ConsentWriter, Each, Question
from medproof.evidence.header import Header
from medproof.evidence.state_proof import ask_proofs
from medproof.evidence.suite_state import ContractAt, Reading, Slot
from medproof.evidence.trie import Nodes
from medproof.policy.word import Request

__all__ = ["ConsentProver"]

_SUBJECTS = 500  # asked about at once
_SLOTS, _QUESTIONS = 200, 8  # in one question, and in one request: nodes limit both


class ConsentProver:
    """Makes the evidence (`medproof.evidence.consent_file`) of one request, by one account, as of one block."""

    def __init__(
        self,
        suite: MedProof,
        account: str,
        request: Request,
        *,
        study: bytes | None = None,
        block: int | None = None,
        block_hash: str | None = None,
    ) -> None:
        """Find out as of which block it is, and who asks.

        Args:
            suite: whose node is asked; for an old block it must keep old states.
            account: that asks.
            request: for what.
            study: for which study, by its id; account and request are then its own, see `of_study`.
            block: as of which; the newest where none is given.
            block_hash: of that block, where it is known from elsewhere.

        Raises:
            EvidenceError: the node has no such block, or another, or what it gives proves nothing; or the study asks
                by another account, or for something else.
            StateUnavailableError: the node proves nothing at that block.
            NodeError: nobody answers.
        """
        header = Header.fetch(suite.chain, suite.chain.block_number() if block is None else block)
        header.check(block_hash)
        contracts = {name: _contract(suite, name) for name in contracts_read(study)}
        self.question = Question(suite.chain.chain_id, header, contracts, account, request, study)
        self._node = _Node(suite, header.number, contracts)
        self._node.gather([self.question.asking()])
        self.asking = ConsentWriter(self.question, self._node.nodes).asking

    @classmethod
    def of_study(
        cls, suite: MedProof, study: bytes, *, block: int | None = None, block_hash: str | None = None
    ) -> ConsentProver:
        """Of what a study asks for, by the account that acted for its researcher.

        Raises:
            StudyError: there is no such study.
            EvidenceError, StateUnavailableError, NodeError: see above; or nobody acted for the researcher.
        """
        number = suite.chain.block_number() if block is None else block
        found = suite.studies.study(study)
        account = suite.registrar.account_of(found.researcher, block=number)
        if account is None:
            raise EvidenceError("account", f"is nobody's: {found.researcher} was no party in block {number}")
        return cls(suite, account, found.asks, study=study, block=number, block_hash=block_hash)

    def lines(self, subjects: Iterable[str], *, each: Each = lambda decided: None) -> Iterator[bytes]:
        """The evidence line by line, each verified before it is given.

        Args:
            subjects: whose consent, by checksummed addresses; one that is named twice counts once.
            each: called with each subject's decision.

        Raises:
            EvidenceError: what the node gives proves nothing.
            StateUnavailableError: the node proves nothing at that block any more.
            NodeError: nobody answers.
        """
        writer = ConsentWriter(self.question, self._node.nodes)
        yield writer.first()
        left = iter(sorted(set(subjects), key=str.lower))
        while part := list(islice(left, _SUBJECTS)):
            self._node.gather([decision(self.asking, one) for one in part])
            for subject in part:
                yield writer.subject(subject, each)
        yield writer.last()


def _contract(suite: MedProof, name: str) -> ContractAt:
    address = suite.deployment.address(name)
    return ContractAt(address, artifact(name).immutables_of(suite.chain.code(address)))


class _Node:
    """The nodes of trees that a node of the network gives."""

    def __init__(self, suite: MedProof, block: int, contracts: Mapping[str, ContractAt]) -> None:
        self.nodes = Nodes()
        self._chain, self._block, self._contracts = suite.chain, block, contracts
        self._ask([(name, []) for name in contracts])

    def gather(self, readings: Sequence[Reading[Any]]) -> None:
        """Get the nodes for all that readings ask for; they go by what the network's node says that the slots hold."""
        waiting = [(reading, asked) for reading in readings if (asked := _next(reading)) is not None]
        while waiting:
            words = self._words({slot for _, asked in waiting for slot in asked})
            answered = [(reading, [words[slot] for slot in asked]) for reading, asked in waiting]
            waiting = [(reading, more) for reading, given in answered if (more := _next(reading, given)) is not None]

    def _words(self, slots: Collection[Slot]) -> dict[Slot, bytes]:
        """What slots hold, as the node says."""
        questions, words = [], {}
        for name in self._contracts:
            wanted = iter(sorted({one.place.slot for one in slots if one.contract == name}))
            while part := list(islice(wanted, _SLOTS)):
                questions.append((name, part))
        for start in range(0, len(questions), _QUESTIONS):
            words.update(self._ask(questions[start : start + _QUESTIONS]))
        return {one: words[one.contract, one.place.slot] for one in slots}

    def _ask(self, questions: Sequence[tuple[str, list[int]]]) -> dict[tuple[str, int], bytes]:
        """The words of slots, by contract and slot; the nodes are kept."""
        given = ask_proofs(
            self._chain, [(self._contracts[name].address, slots) for name, slots in questions], self._block
        )
        words = {}
        for (name, _), proof in zip(questions, given, strict=True):
            for node in proof.account:
                self.nodes.add(node)
            for slot, (word, path) in proof.slots.items():
                words[name, slot] = word
                for node in path:
                    self.nodes.add(node)
        return words


def _next(reading: Reading[Any], given: list[bytes] | None = None) -> Sequence[Slot] | None:
    """What a reading asks for next; None at its end."""
    try:
        return next(reading) if given is None else reading.send(given)
    except StopIteration:
        return None
