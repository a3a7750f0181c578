"""The gatekeepers of custodians, which list what the chain alone does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated

from typer import Option

from medproof.cli.session import account
from medproof.client import MedProof
from medproof.client.record_pointers import Pointer
from medproof.errors import OptionError
from medproof.recovery import Listings
from medproof.signing import LocalSigner

__all__ = ["Gatekeepers", "asking"]

Gatekeepers = Annotated[
    list[str] | None,
    Option(
        "--gatekeeper",
        metavar="CUSTODIAN=URL",
        help="Ask this custodian for what is in batches. Repeat it for each.",
    ),
]


@contextmanager
def asking(suite: MedProof, gatekeepers: Sequence[str] | None) -> Iterator[Listings]:
    """What the custodians with a gatekeeper list to a wallet's pseudonyms.

    Raises:
        OptionError: one is not written as an address, = and a URL.
    """
    origins = dict(_origin(text) for text in gatekeepers or ())
    with ExitStack() as stack:

        def listings(custodian: str, pseudonym: LocalSigner) -> Iterable[Pointer]:
            if custodian not in origins:
                return ()
            from medproof.gateway import Claims, GatekeeperClient  # the other commands run without the extra

            client = stack.enter_context(GatekeeperClient(origins[custodian], suite, pseudonym, claims=Claims()))
            return (one.pointer for one in client.pointers(pseudonym.address))

        yield listings


def _origin(text: str) -> tuple[str, str]:
    custodian, _, url = text.partition("=")
    if not url:
        raise OptionError("--gatekeeper", f"is {text!r}", "Give the custodian's address, = and the URL.")
    return account("--gatekeeper", custodian), url
