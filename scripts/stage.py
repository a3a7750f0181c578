"""The stage of the story: who is on it, how it is told, and what was expected so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from medproof.chain import Chain, Receipt, Sender
from medproof.client.record_pointers import PointerKey
from medproof.fhir import Resource
from medproof.policy.codes import DataClass, PartyKind
from medproof.signing import LocalSigner

_Refusal = TypeVar("_Refusal", bound=Exception)


@dataclass(frozen=True)
class Organisation:
    """A party of the story."""

    name: str
    kind: PartyKind
    signer: LocalSigner

    @property
    def id(self) -> str:
        """Its identity in the Registrar."""
        return self.signer.address


@dataclass
class Posted:
    """A record that a clinic keeps, and its pointer."""

    custodian: Organisation
    resource: Resource  # as its gatekeeper took it
    salt: bytes  # stays with the clinic, and goes to whoever may read the record
    data_class: DataClass
    key: PointerKey


@dataclass
class Stage:
    """A console, a chain, who pays, and what was expected so far."""

    console: Console
    chain: Chain
    funder: Sender
    manifest: Path
    records: Sequence[Resource]  # one patient's
    claim: Resource
    prescription: Resource
    expectations: list[tuple[str, bool]] = field(default_factory=list)
    gas: dict[str, int] = field(default_factory=dict)
    step: int = 0

    # -- telling ------------------------------------------------------------------------------------------------

    def chapter(self, title: str, text: str) -> None:
        """Begin a step."""
        self.step += 1
        self.console.print(f"\n[bold cyan]{self.step}. {title}[/]")
        self.console.print(text, highlight=False)

    def expect(self, text: str, holds: bool) -> None:
        """Check an expectation of the story and say so."""
        self.expectations.append((text, holds))
        self.console.print(f"   [green]✔[/] {text}" if holds else f"   [bold red]✘ {text}[/]", highlight=False)

    def spend(self, what: str, receipt: Receipt) -> int:
        """Note the gas of a transaction."""
        self.gas[what] = receipt.gas_used
        return receipt.gas_used

    def table(self, *columns: str, rows: Sequence[Sequence[str]]) -> None:
        """Print a short table; a column named gas is set to the right."""
        table = Table(box=None, padding=(0, 2, 0, 3), header_style="dim")
        for column in columns:
            table.add_column(column, justify="right" if column == "gas" else "left")
        for row in rows:
            table.add_row(*row)
        self.console.print(table, highlight=False)


def refusal_of(act: Callable[[], object], kind: type[_Refusal]) -> _Refusal | None:
    """The error of this kind that an act raises."""
    try:
        act()
    except kind as error:
        return error
    return None
