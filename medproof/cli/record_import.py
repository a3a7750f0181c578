"""`medproof records import`: records that a custodian has already, into its store and with their pointers on chain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from eth_utils.crypto import keccak
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.session import account, database_at, identity, open_suite, party
from medproof.errors import GatekeeperRefusalError, JsonError, OptionError, RecordError
from medproof.fhir import Resource
from medproof.hashing import Json

if TYPE_CHECKING:  # the other commands run without the extra
    from medproof.gateway.posting import Poster
    from medproof.store import RecordStore

__all__ = ["app"]

app = typer.Typer()

_PAUSE = 0.1  # seconds between rounds
_BY = "import"  # who brings the records, as their names in the store have it


@app.command(
    "import",
    epilog="Example: medproof records import bundle.json --subject Patient/1=0x… --store records.db "
    "--master-key master.key --keystore clinic.json",
)
@expanded
def import_records(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="FHIR R4 records or Bundles.", show_default=False)],
    custodian: KeyOptions,
    chain: ChainOptions,
    subject: Annotated[
        list[str],
        Option(
            metavar="[REFERENCE=]ADDRESS",
            help="Whose they are: one pseudonym for all, or one for each patient as the records name it. Repeat it.",
        ),
    ],
    store: Annotated[str, Option(metavar="FILE|URL", help="Your record store: a file, or a PostgreSQL URL.")],
    master_key: Annotated[Path, Option(metavar="FILE", help="The store's master key.")],
    queue: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            envvar="MEDPROOF_GATEWAY_QUEUE",
            help="Transactions on their way, the gatekeeper's; beside a store that is a file where none is named.",
        ),
    ] = None,
    batch_size: Annotated[int, Option(min=1, help="The most pointers that are posted together.")] = 256,
) -> None:
    """Take records into a custodian's own store, and post their pointers, many at once. What was taken before stays, so
    that the same command may be repeated, also after Ctrl-C or a crash. Exit code 1 where a record is refused."""
    from medproof.gateway.moment import Head
    from medproof.gateway.posting import Poster, queue_for
    from medproof.sending import TransactionManager
    from medproof.store import KeyRing, MasterKey, SqlStore

    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(custodian)
    subjects, origin = dict(_subjects(subject)), identity(suite, "--keystore", by.address)
    given = [(path, one) for path in output.each(files, "Reading") for one in _records(path)]
    records = SqlStore(database_at(store), KeyRing(MasterKey.from_file(master_key)))
    with closing(records), closing(TransactionManager(suite.chain, queue_for(records, queue), [by])) as manager:
        rows = [_row(records, origin, subjects, path, one) for path, one in output.each(given, "Storing")]
        head = Head(suite, finality=suite.chain.confirmations, max_age=None, refresh=0.0, places=records.batches.place)
        poster = Poster(
            suite,
            records,
            head,
            manager,
            batch_size=batch_size,
            batch_wait=0.0,
            trouble=lambda error: output.aside(str(error)),
        )
        _post(poster, output)
    new, refused = sum(row["new"] is True for row in rows), [row for row in rows if row["refused"]]
    output.document({"records": [*rows]})
    output.say(f"{new} new records, {len(rows) - new - len(refused)} were there already. All have their pointers.")
    for row in refused:
        output.aside(f"{row['file']}: {row['refused']}")
    if refused:
        raise typer.Exit(ANSWER_NO)


def _subjects(given: list[str]) -> Iterator[tuple[str | None, str]]:
    """Pseudonyms by the references of patients; None for all others."""
    for one in given:
        reference, _, address = one.rpartition("=")
        yield reference or None, account("--subject", address)


def _records(path: Path) -> Iterator[Resource]:
    """The records of a file that are about a patient.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        yield from (one for one in fhir.records(fhir.load(path)) if fhir.patient_of(one) is not None)
    except (RecordError, JsonError) as error:
        raise OptionError(str(path), "cannot be imported, and nothing was", str(error)) from error


def _row(
    store: RecordStore, origin: str, subjects: dict[str | None, str], path: Path, given: Resource
) -> dict[str, Json]:
    """What became of one record; its content is its key, so that it is taken once."""
    from medproof.gateway.taking import arrive

    patient = fhir.patient_of(given)
    names = [patient.reference, f"Patient/{patient.resource.id}" if patient.resource else None] if patient else []
    subject = next((subjects[name] for name in (*names, None) if name in subjects), None)
    if subject is None:
        refused = "It is about a patient whom no --subject names. Name the pseudonym by the patient's reference."
        return {"file": str(path), "record": None, "pointer": None, "new": False, "refused": refused}
    try:
        arrival = arrive(store, origin, subject, given, key=keccak(hashing.canonical(given.content)).hex(), by=_BY)
        entry = arrival.put(store).entry
    except (GatekeeperRefusalError, RecordError) as error:
        return {"file": str(path), "record": None, "pointer": None, "new": False, "refused": str(error)}
    name = f"{arrival.record.resource_type}/{arrival.record.id}"
    new = arrival.before is None
    return {"file": str(path), "record": name, "pointer": f"0x{entry.pointer.id.hex()}", "new": new, "refused": None}


def _post(poster: Poster, output: Output) -> None:
    """Post all that waits, with what an earlier run left."""
    poster.recover()
    total = poster.open
    with output.progress("Posting", total) as advance:
        while left := poster.open:
            poster.work()
            advance(total - left)
            time.sleep(_PAUSE)
