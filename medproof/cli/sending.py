"""What becomes of signed messages: relayed at once, written to a file, or printed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from medproof.chain import Receipt, Sender
from medproof.cli.documents import message_document, receipt_document
from medproof.cli.options import SendingOptions
from medproof.cli.output import Output
from medproof.cli.session import read_text, sender
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.errors import MessageError
from medproof.hashing import Json, JsonObject
from medproof.relayer import Relayer, State
from medproof.sending import TransactionManager, queue_of
from medproof.signing import TransactionSigner

__all__ = ["deliver", "now_on", "queued", "read_messages", "tell_done", "work_off"]

_PAUSE = 0.25  # seconds between rounds


def now_on(suite: MedProof) -> datetime:
    """The time of the chain's newest block, in whole minutes."""
    return datetime.fromtimestamp(suite.chain.timestamp() // 60 * 60, UTC)


def deliver(
    suite: MedProof, messages: Sequence[SignedMessage], sending: SendingOptions, output: Output, about: JsonObject
) -> None:
    """Relay messages in one transaction where somebody pays for it, else hand them over to whoever relays them.

    Args:
        suite: where to.
        messages: several are for one contract, all or none, in their order.
        sending: who sends, or where the messages are written.
        output: where the result is printed.
        about: what the JSON document says beside.
    """
    by = sender(sending)
    if by is not None:
        if len(messages) > 1:
            receipt = suite.client_for(messages[0].contract).relay_many(messages, sender=by)
        else:
            receipt = suite.relay(messages[0], sender=by)
        output.document({**about, "sent": receipt_document(receipt)})
        output.say(f"Sent, in block {receipt.block}: {receipt.transaction}, {receipt.gas_used:,} gas.")
        return
    documents: list[Json] = [message_document(message) for message in messages]
    if sending.out is not None:
        output.write(sending.out, json.dumps(documents))
        output.document({**about, "sent": None, "file": str(sending.out)})
        output.say(f"Signed, and not sent yet: give {sending.out} to whoever relays it (medproof relay add).")
        return
    if output.as_json:
        output.raw({**about, "sent": None, "messages": documents})
    else:
        output.raw(documents)
    output.aside("Signed, and not sent yet: give this to whoever relays it (medproof relay add).")


def tell_done(output: Output, about: JsonObject, receipt: Receipt | None, said: str) -> None:
    """Tell what an account did itself, in a transaction; none where it stood already."""
    sent = None if receipt is None else receipt_document(receipt)
    output.document({**about, "sent": sent, "unchanged": receipt is None})
    output.say(f"{said}." if receipt is None else f"{said}, in block {receipt.block}: {receipt.transaction}.")


@contextmanager
def queued(suite: MedProof, by: Sender, beside: Path | None) -> Iterator[Sender]:
    """An account, sending through a queue beside a file: what is repeated after a crash is not sent twice. Without a
    file, and with an account of the node, it sends by itself.

    Raises:
        QueueError: the queue cannot be used.
    """
    if beside is None or not isinstance(by, TransactionSigner):
        yield by
        return
    with closing(TransactionManager(suite.chain, queue_of(beside), [by])) as manager:
        yield manager.sender()


def read_messages(path: Path) -> list[SignedMessage]:
    """The signed messages of a file: one, a list of them, or the document that a command printed.

    Raises:
        MessageError: there is something else in it.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        content = content.get("messages", [content])
    if not isinstance(content, list) or not content:
        raise MessageError(f"{path} holds no signed messages. Name the file that --out wrote.")
    return [SignedMessage.from_json(json.dumps(one)) for one in content]


def work_off(relayer: Relayer, output: Output) -> None:
    """Work until nothing is open in a relayer's queue, showing how far it is."""
    total = len(relayer.fates(State.QUEUED, State.SENT, State.MINED))
    with output.progress("Relaying", total) as advance:
        while left := relayer.run_once(flush=True):
            advance(max(total - left, 0))
            time.sleep(_PAUSE)
