"""Agreeing to a claim's step: by its owner itself, through a relayer, or in a file for whoever sends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eth_utils.crypto import keccak
from typer import Option

from medproof import hashing
from medproof.chain import Receipt, Sender
from medproof.cli.documents import receipt_document
from medproof.cli.options import ActorOptions, SendingOptions
from medproof.cli.output import Output
from medproof.cli.session import identity, party, sender, signer
from medproof.client import MedProof
from medproof.client.claim_anchor import Agreement, AnchoredClaim, ClaimStatus
from medproof.contract_errors import StepNotPossible
from medproof.errors import AgreementError, OptionError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.signing import Signer

__all__ = ["Agreements", "Hands", "Step", "agreed_role", "content_hash"]

_FORMAT, _VERSION, _LONGEST = "medproof-claim-agreement", 1, 1 << 16
_MOST_SIGNATURE = 1 << 14  # bytes; a contract wallet's may be long

Agreements = Annotated[
    list[Path] | None, Option("--agreement", metavar="FILE", help="What another party agreed to with --out; repeat it.")
]


@dataclass(frozen=True)
class Step:
    """A step of one claim that somebody is about to take."""

    name: str  # such as "settle"
    claim: AnchoredClaim
    content: bytes  # hash of what is agreed to beside the claim, so that agreements for something else are refused
    sign: Callable[[Signer, int], Agreement]
    send: Callable[[Mapping[str, Agreement], Sender], Receipt]
    roles: tuple[str, ...]  # who may own it


@dataclass(frozen=True)
class Hands:
    """What a step's command was given: who acts, who pays, what others agreed to."""

    output: Output
    suite: MedProof
    who: ActorOptions
    sending: SendingOptions
    agreements: Sequence[Path] = ()

    def take(self, step: Step, about: JsonObject) -> None:
        """Take the step: sent by its owner itself, relayed with the owner's agreement, or only agreed to."""
        given = dict(_read_agreement(path, step) for path in self.agreements)
        paid_by = sender(self.sending)
        about = {"step": step.name, "claim": hex_text(step.claim.id), **about}
        if self.sending.out is None and (paid_by is None or not self._acts):
            self._send(step, given, paid_by or party(self.who), about)
            return
        by_key = signer(self.who)
        role = self._role(step, by_key.address)
        until = next((one.deadline for one in given.values()), self.suite.chain.timestamp() + self.sending.lifetime)
        agreed = step.sign(by_key, until)
        if self.sending.out is not None:
            self.output.write(self.sending.out, json.dumps(_agreement_json(step, role, agreed)))
            self.output.document({**about, "sent": None, "file": str(self.sending.out), "role": role})
            self.output.say(f"Agreed to as {role}, and not sent yet: give {self.sending.out} to whoever sends it.")
        elif paid_by is not None:
            self._send(step, {**given, role: agreed}, paid_by, about)

    @property
    def _acts(self) -> bool:
        """Whether somebody is named who agrees; else what others agreed to is enough."""
        return any(one is not None for one in (self.who.keystore, self.who.wallet, self.who.custodian))

    def _role(self, step: Step, address: str) -> str:
        who = identity(self.suite, "--keystore", address)
        found = next((role for role in step.roles if getattr(step.claim, role) in (who, address)), None)
        if found is None:
            owners = " or ".join(step.roles)
            raise OptionError("--keystore", f"is {address}, and the step is its {owners}'s", "Let them agree to it.")
        return found

    def _send(self, step: Step, given: Mapping[str, Agreement], by: Sender, about: JsonObject) -> None:
        try:
            receipt = step.send(given, by)
        except StepNotPossible as error:
            stands = ClaimStatus(error.status)
            known = "not on the chain" if stands is ClaimStatus.NONE else stands.name.lower()
            self.output.aside(f"The claim is {known}, see medproof claims status; {step.name} cannot follow now.")
            raise
        self.output.document({**about, "sent": receipt_document(receipt)})
        self.output.say(
            f"Sent: {step.name}, in block {receipt.block}: {receipt.transaction}, {receipt.gas_used:,} gas."
        )


def agreed_role(files: Sequence[Path]) -> str | None:
    """As who the first of these was agreed to; None where there are none."""
    for path in files:
        return _opened(path).text("role")
    return None


def content_hash(*parts: object) -> bytes:
    """The hash of what is agreed to beside the claim."""
    said = [part if isinstance(part, bytes) else str(part) for part in parts]
    return keccak(hashing.encode_parts(said))


def _agreement_json(step: Step, role: str, agreement: Agreement) -> JsonObject:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "step": step.name,
        "claim": hex_text(step.claim.id),
        "content": hex_text(step.content),
        "role": role,
        "deadline": agreement.deadline,
        "signature": hex_text(agreement.signature),
    }


def _read_agreement(path: Path, step: Step) -> tuple[str, Agreement]:
    """What a party agreed to, if it is this step of this claim."""
    said = _opened(path)
    for name, found, wanted in (
        ("step", said.text("step"), step.name),
        ("claim", said.hash("claim"), step.claim.id),
        ("content", said.hash("content"), step.content),
    ):
        if found != wanted:
            raise AgreementError(name, "is not what is to be done now")
    role = said.text("role")
    if role not in step.roles:
        raise AgreementError("role", f"is none of {', '.join(step.roles)}")
    agreement = Agreement(said.number("deadline"), said.octets("signature", 1, _MOST_SIGNATURE))
    said.finish()
    return role, agreement


def _opened(path: Path) -> JsonReader:
    return JsonReader.document(path.read_bytes(), AgreementError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
