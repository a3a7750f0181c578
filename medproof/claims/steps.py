"""The steps of a claim as its transactions prove them: what each emitted, who agreed to it, and where they lead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hexbytes import HexBytes
from web3 import Web3

from medproof.artifacts import artifact
from medproof.client.claim_anchor import AnchoredClaim, ClaimState, ClaimStatus, Outcome
from medproof.client.contract import NOBODY
from medproof.decoding import Event, decode_logs
from medproof.errors import EvidenceError
from medproof.evidence import ProvedTransaction, TransactionProof
from medproof.messages import MESSAGE_TYPES, Domain, TypedData
from medproof.signatures import digest, signer_of

__all__ = ["OPEN", "STEPS", "ProvedStep", "Reached", "Signed", "replay"]

_S = ClaimStatus
_DECIDED = (_S.ADJUDICATED, _S.UPHELD, _S.OVERTURNED)
_UNDECIDED = (_S.SUBMITTED, _S.PENDED)
OPEN: Collection[ClaimStatus] = (*_UNDECIDED, *_DECIDED, _S.APPEALED, _S.SETTLED)
"""Where a claim holds its nullifier."""
STEPS: Mapping[str, tuple[Collection[ClaimStatus], ClaimStatus]] = {
    "ClaimSubmitted": ((_S.NONE,), _S.SUBMITTED),
    "ClaimPended": ((_S.SUBMITTED,), _S.PENDED),
    "ClaimAnswered": ((_S.PENDED,), _S.SUBMITTED),
    "ClaimAdjudicated": (_UNDECIDED, _S.ADJUDICATED),
    "ClaimAppealed": ((*_UNDECIDED, _S.ADJUDICATED), _S.APPEALED),
    "AppealDecided": ((_S.APPEALED,), _S.OVERTURNED),  # or UPHELD, as it says
    "ClaimSettled": (_DECIDED, _S.SETTLED),
    "ClaimVoided": (OPEN, _S.VOIDED),
    "ClaimReplaced": (OPEN, _S.REPLACED),
}
"""The event of each step: from which statuses it may start, and where it leads."""
_SIGNED = {  # the message that a function's signatures are under
    "submit": "Submission",
    "pend": "Pend",
    "answer": "Answer",
    "adjudicate": "Adjudication",
    "appeal": "Appeal",
    "decideAppeal": "AppealDecision",
    "settle": "Settlement",
    "void": "Void",
    "replace": "Replacement",
}


@dataclass(frozen=True)
class Signed:
    """Who agreed to a step."""

    role: str  # provider, payer or patient
    party: str  # who that is by the claim: the identity of a party, or the patient's pseudonym
    account: str | None  # whose key signed or sent; None where a contract wallet's signature cannot be checked off line


@dataclass(frozen=True)
class ProvedStep:
    """One step of a claim."""

    event: str  # such as "ClaimAdjudicated"
    arguments: Mapping[str, Any]  # of the event
    at: datetime  # the block's time
    block: int
    block_hash: str
    transaction: str
    sender: str  # who sent the transaction and paid for it
    signed: tuple[Signed, ...]  # empty where the step was made with others in one call


@dataclass(frozen=True)
class Reached:
    """Where a claim stands after some of its steps; the names are those of `ClaimState`."""

    status: ClaimStatus = ClaimStatus.NONE
    outcome: Outcome = Outcome.NONE
    response: bytes = bytes(32)
    paid: bool = False
    rules: int = 0
    pends: int = 0
    submitted: int = 0
    since: int = 0
    used: int = 0
    late: bool = False

    def after(self, event: Event, said: ProvedTransaction) -> Reached:
        """Where it stands after one more.

        Raises:
            EvidenceError: that step does not follow.
        """
        before, to = STEPS[event.name]
        if event.arguments.get("outcome", Outcome.NONE) not in tuple(Outcome):
            raise EvidenceError(f"step in {said.hash}", "has an outcome that there is not")
        if self.status not in before:
            raise EvidenceError(f"step in {said.hash}", f"is {event.name}, which does not follow {self.status.name}")
        given = event.arguments
        moved = replace(self, status=to, since=said.timestamp)
        if event.name == "ClaimSubmitted":
            return replace(moved, rules=int(given["rules"]), submitted=said.timestamp)
        if event.name == "ClaimPended":
            return replace(moved, pends=self.pends + 1, used=self.used + said.timestamp - self.since)
        if event.name == "ClaimAppealed":  # what is not decided can be appealed once the decision is late
            return replace(moved, late=self.late or self.outcome is Outcome.NONE)
        if event.name == "ClaimSettled":
            return replace(moved, paid=True)
        if event.name == "AppealDecided":
            standing, decided = self.outcome or Outcome.DENIED, (given["outcome"], bytes(given["response"]))
            changed = decided[0] != Outcome.DENIED and decided != (standing, self.response)
            if not (decided[0] == standing if given["upheld"] else changed):
                raise EvidenceError(f"step in {said.hash}", f"does not follow the outcome {standing.name}")
            moved = replace(moved, status=ClaimStatus.UPHELD if given["upheld"] else ClaimStatus.OVERTURNED)
        if event.name in ("ClaimAdjudicated", "AppealDecided"):
            return replace(moved, outcome=Outcome(given["outcome"]), response=bytes(given["response"]))
        return moved

    def check(self, held: ClaimState) -> None:
        """Return if the storage holds just this.

        Raises:
            EvidenceError: it does not; the first member that differs is named.
        """
        for name in ("status", "outcome", "response", "rules", "pends", "submitted", "since", "used"):
            if getattr(held, name) != getattr(self, name):
                raise EvidenceError("steps", f"do not lead to what the storage holds: its {name} is another")
        for name in ("paid", "late"):  # it may be so for more than its steps, as where it replaces what was paid
            if getattr(self, name) and not getattr(held, name):
                raise EvidenceError("steps", f"do not lead to what the storage holds, where nothing was {name}")


def replay(
    proofs: Iterable[TransactionProof], claim: AnchoredClaim, domain: Domain, rules: Mapping[int, bytes], *, until: int
) -> tuple[tuple[ProvedStep, ...], Reached]:
    """The steps of a claim in their order, each from a status that it may start from, and where they lead.

    Args:
        proofs: of the transactions, in their order.
        claim: as the chain has it.
        domain: the contract and its chain.
        rules: the hashes of its payer's rules, by number.
        until: the last block.

    Raises:
        EvidenceError: a proof does not hold, or is of something else; it is named.
    """
    contract = Web3().eth.contract(address=domain.address, abi=artifact(domain.contract).abi)  # type: ignore[call-overload]
    reached, order = Reached(), (-1, -1)
    steps: list[ProvedStep] = []
    for proof in proofs:
        if proof.chain_id != domain.chain_id:
            raise EvidenceError("step", f"is of chain {proof.chain_id}, not of {domain.chain_id}")
        said = proof.verify()
        if (said.block, said.index) <= order or said.block > until:
            raise EvidenceError(f"step in {said.hash}", "does not come after the step before it")
        order = said.block, said.index
        emitted = [one for one in _events(contract, said) if one.name in STEPS and one.arguments["claim"] == claim.id]
        if not emitted:
            raise EvidenceError(f"step in {said.hash}", f"is none of claim 0x{claim.id.hex()}")
        signed = _signed(contract, said, domain, claim, rules, reached)
        for event in emitted:
            reached = reached.after(event, said)
            steps.append(_step(event, said, proof, signed))
    return tuple(steps), reached


def _events(contract: Any, said: ProvedTransaction) -> Iterator[Event]:
    """What the contract emitted in a transaction; where in the block is not known, only the order."""
    place = {
        "blockNumber": said.block,
        "blockHash": HexBytes(bytes(32)),
        "transactionHash": HexBytes(said.hash),
        "transactionIndex": said.index,
    }
    logs = [
        {
            **place,
            "address": log.address,
            "topics": [HexBytes(topic) for topic in log.topics],
            "data": HexBytes(log.data),
            "logIndex": at,
        }
        for at, log in enumerate(said.logs)
    ]
    try:
        yield from decode_logs(contract, logs)
    except Exception as error:  # whatever the decoder makes of what it cannot read
        raise EvidenceError(f"step in {said.hash}", "has events that cannot be read") from error


def _step(event: Event, said: ProvedTransaction, proof: TransactionProof, signed: tuple[Signed, ...]) -> ProvedStep:
    return ProvedStep(
        event=event.name,
        arguments={name: value for name, value in event.arguments.items() if name != "claim"},
        at=datetime.fromtimestamp(said.timestamp, UTC),
        block=said.block,
        block_hash=proof.header.hash,
        transaction=said.hash,
        sender=said.sender,
        signed=signed,
    )


def _signed(
    contract: Any,
    said: ProvedTransaction,
    domain: Domain,
    claim: AnchoredClaim,
    rules: Mapping[int, bytes],
    before: Reached,
) -> tuple[Signed, ...]:
    """Who agreed to a step, by its call: who sent it, and whose signatures it carries."""
    if said.to != contract.address:
        return ()
    try:
        function, given = contract.decode_function_input(said.data)
    except Exception:  # whatever the decoder makes of what is no call of ours
        return ()
    kind = _SIGNED.get(function.fn_name)
    if kind is None:
        return ()
    named, correction = (_claim(given.get(name)) for name in ("claim", "correction"))
    if named is None or claim not in (named, correction):
        return ()
    number = given.get("rules", before.rules)
    content = {
        **given["claim"],
        "outcome": before.outcome,
        "response": before.response,
        **given,
        "claim": named.id,
        "correction": correction and correction.id,
        "rulesNumber": number,
        "rules": rules.get(number),
        "number": before.pends + (kind == "Pend"),
    }
    message = {name: content.get(name) for name in (member.split()[1] for member in MESSAGE_TYPES[kind].split(","))}
    hashed = None if None in message.values() else digest(TypedData(domain, kind, message).signable())
    found = []
    for name, signature in given.items():
        if name.lower().endswith("signature"):
            account: str | None = said.sender
            if signature:
                account = None if hashed is None else signer_of(hashed, bytes(signature))
            role = _role(name, kind, given)
            found.append(Signed(role, getattr(claim, role), account))
    return tuple(one for one in found if one.party != NOBODY)


def _role(name: str, kind: str, given: Mapping[str, Any]) -> str:
    """Whose a signature is."""
    if name != "signature":
        return name.removesuffix("Signature")
    if kind == "Appeal":
        return "patient" if given["by"] == given["claim"]["patient"] else "provider"
    return "provider" if kind in ("Submission", "Answer") else "payer"


def _claim(given: Mapping[str, Any] | None) -> AnchoredClaim | None:
    """A claim among a call's arguments."""
    if given is None:
        return None
    return AnchoredClaim(**{"soft_key" if name == "softKey" else name: value for name, value in given.items()})
