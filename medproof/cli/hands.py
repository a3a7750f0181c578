"""Taking a step as its owner: sent by the owner itself, relayed, or written into a file for whoever relays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from medproof.chain import Receipt, Sender
from medproof.cli.documents import receipt_document
from medproof.cli.options import ActorOptions, ChainOptions, SendingOptions
from medproof.cli.output import Output
from medproof.cli.sending import deliver
from medproof.cli.session import open_suite, party, signer
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.hashing import JsonObject
from medproof.signing import Signer

__all__ = ["ActingHands", "tell_sent"]


@dataclass(frozen=True)
class ActingHands:
    """What a step's command was given: who acts, and who pays."""

    output: Output
    suite: MedProof
    who: ActorOptions
    sending: SendingOptions

    @classmethod
    def of(cls, who: ActorOptions, sending: SendingOptions, chain: ChainOptions) -> ActingHands:
        """The hands of whoever runs a command."""
        return cls(Output(as_json=chain.as_json), open_suite(chain), who, sending)

    @cached_property
    def _sender(self) -> Sender | None:
        """Who takes the step itself; None where it is signed for a relayer, or into a file."""
        alone = self.sending.relay_as is None and self.sending.out is None
        return party(self.who) if self.who.keystore is not None and alone else None

    @cached_property
    def _signer(self) -> Signer:
        return signer(self.who)

    @property
    def address(self) -> str:
        """The account of whoever acts."""
        return self._signer.address if self._sender is None else self._sender.address

    def take(
        self, about: JsonObject, send: Callable[[Sender], Receipt], sign: Callable[[Signer], SignedMessage]
    ) -> None:
        """Take a step: sent by its owner itself, or signed and delivered."""
        if self._sender is not None:
            tell_sent(self.output, send(self._sender), about)
        else:
            deliver(self.suite, [sign(self._signer)], self.sending, self.output, about)


def tell_sent(output: Output, receipt: Receipt, about: JsonObject) -> None:
    """Tell of a transaction that was sent."""
    output.document({**about, "sent": receipt_document(receipt)})
    output.say(f"Sent, in block {receipt.block}: {receipt.transaction}, {receipt.gas_used:,} gas.")
