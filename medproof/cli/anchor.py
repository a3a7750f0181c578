"""`medproof anchor`: a log of documents in a file, anchored on chain, and proofs of single ones for strangers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof import hashing
from medproof.chain import Sender
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.sending import queued
from medproof.cli.session import open_suite, party
from medproof.client import MedProof
from medproof.errors import LeafProofError, MedProofError, MerkleProofError, OptionError
from medproof.hashing import Json

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.anchoring.document_log import Document, DocumentLog, DocumentProof

__all__ = ["app", "check"]

app = typer.Typer(help="Logs of documents: append, anchor, prove one without the rest.", no_args_is_help=True)

_HASH = re.compile("0x[0-9a-fA-F]{64}")
_DOCUMENTS = 3  # 0 and 1 are a gatekeeper's own, 2 is of read receipts; docs/access-log.md

LogFile = Annotated[Path, Option(metavar="FILE", help="The log; its file is as secret as the documents.")]
LogNumber = Annotated[
    int, Option(min=0, max=2**32 - 1, help="Which of the party's logs it is on chain; each has a number of its own.")
]
Line = Annotated[int | None, Option(min=1, help="Only this line of the file, which was appended with --lines.")]


@app.command(epilog="Example: medproof anchor append results.csv --lines --log results.db --keystore lab.json")
@expanded
def append(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="What to append.", show_default=False)],
    log: LogFile,
    who: KeyOptions,
    chain: ChainOptions,
    lines: Annotated[bool, Option("--lines", help="Each line of a file is an entry.")] = False,
    number: LogNumber = _DOCUMENTS,
) -> None:
    """Append files or their lines, all or none, and anchor the log where a key file is named. What is there already
    stays as it is, so that the same command may be repeated."""
    output = Output(as_json=chain.as_json)
    entries = [one for path in output.each(files, "Reading") for one in _documents(path, lines=lines)]
    suite, sender = (open_suite(chain), party(who)) if who.keystore else (None, None)
    with _opened(log, number, new=True) as found:
        added, before = found.append(output.each(entries, "Hashing"))
        output.say(f"Appended {len(added)}, {before} were there already. The log has {found.leaves.size}.")
        about: dict[str, Json] = {"appended": len(added), "unchanged": before, "size": found.leaves.size}
        if suite is not None and sender is not None:
            with queued(suite, sender, log) as by:
                _anchor(suite, by, found)
            about["anchored"] = found.leaves.anchored()
            output.say(f"Anchored with {found.leaves.anchored()} entries, root 0x{found.leaves.root().hex()}.")
        else:
            output.aside("Not anchored yet: name the party's --keystore.")
        output.document({**about, "root": f"0x{found.leaves.root().hex()}"})


@app.command(epilog="Example: medproof anchor prove results.csv --line 7 --log results.db --out proof.json")
@expanded
def prove(
    file: Annotated[Path, Argument(metavar="FILE", help="What was appended.", show_default=False)],
    log: LogFile,
    line: Line = None,
    number: LogNumber = _DOCUMENTS,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Where the proof goes; standard output by default.")
    ] = None,
) -> None:
    """Prove that a file or a line is in the log as it was anchored last. With the proof and the document a stranger
    needs nothing else; the proof says nothing of any other entry."""
    output = Output(as_json=False)
    with _opened(log, number) as found:
        proof = found.prove(_document(file, line))
    if out is None:
        output.raw(proof.to_json())
        return
    output.write(out, json.dumps(proof.to_json(), indent=2))
    output.say(f"Written to {out}: entry {proof.leaf.index} of {proof.leaf.size}.")


@app.command(epilog="Example: medproof anchor verify proof.json --document results.csv --line 7 --network sepolia")
@expanded
def verify(
    proof: Annotated[Path, Argument(metavar="PROOF", help="What prove wrote.", show_default=False)],
    chain: ChainOptions,
    document: Annotated[Path | None, Option(metavar="FILE", help="The document that it is said to prove.")] = None,
    line: Line = None,
    root: Annotated[
        str | None, Option(metavar="HASH", help="A root that is known from elsewhere; then no chain is asked.")
    ] = None,
) -> None:
    """Check a proof against the chain, or off line against a root: exit code 0, or 1 where it does not hold."""
    check(proof, chain, document=document, line=line, root=root)


def check(
    proof: Path, chain: ChainOptions, *, document: Path | None = None, line: int | None = None, root: str | None = None
) -> None:
    """Check a proof and tell; leaves with exit code 1 where it does not hold."""
    output, given = Output(as_json=chain.as_json), _read_proof(proof)
    known = _hash(root) if root is not None else None
    leaf, block = given.leaf, None
    try:
        if document is not None and not given.opens(_document(document, line).content):
            raise MerkleProofError(f"{document}", "it is another document's")
        if known is not None:
            leaf.verify(known)
        else:
            block = leaf.verify_anchored(open_suite(chain).batch_anchor).block
    except MerkleProofError as error:
        output.document({"proved": False, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    where = f"anchored by {leaf.publisher} in block {block}" if block is not None else f"under the root {root}"
    output.document({"proved": True, "block": block, **leaf.to_json()})
    output.say(f"Proved: entry {leaf.index} of {leaf.size} in log {leaf.log}, {where}.", style="green")
    if document is None:
        output.aside("What the entry says was not checked: name --document.")


@app.command(epilog="Example: medproof anchor show --log results.db")
@expanded
def show(
    log: LogFile,
    number: LogNumber = _DOCUMENTS,
    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Show how long a log is, and when it was anchored."""
    output = Output(as_json=as_json)
    with _opened(log, number) as found:
        home, anchors = found.home(), found.leaves.anchors()
        output.document(
            {
                "log": number,
                "size": found.leaves.size,
                "root": f"0x{found.leaves.root().hex()}",
                "publisher": home.publisher if home else None,
                "anchored": [{"size": size, "root": f"0x{root.hex()}"} for size, root in anchors.items()],
            }
        )
        where = f", anchored by {home.publisher}" if home else ""
        output.say(f"Log {number} has {found.leaves.size} entries{where}.")
        rows = ((f"{size:,}", f"0x{root.hex()}") for size, root in anchors.items())
        output.table(("size", "root"), rows, empty="It was never anchored.")


def _anchor(suite: MedProof, sender: Sender, log: DocumentLog) -> None:
    """Anchor what is not anchored yet."""
    from medproof.anchoring import Anchorer

    def raise_it(error: MedProofError) -> None:
        raise error

    anchorer = Anchorer(suite, log.leaves, sender, trouble=raise_it)
    log.settle(suite, anchorer.publisher)
    anchorer.work()


@contextmanager
def _opened(path: Path, number: int, *, new: bool = False) -> Iterator[DocumentLog]:
    # Here, so that the other commands run without the extra.
    from medproof.anchoring.document_log import DocumentLog

    if not new and not path.is_file():
        raise OptionError("--log", f"is {path}, and there is no such file", "Name one that append made.")
    log = DocumentLog(path, number=number)
    try:
        yield log
    finally:
        log.close()


def _documents(path: Path, *, lines: bool) -> Iterator[Document]:
    from medproof.anchoring.document_log import Document

    content = path.read_bytes()
    if not lines:
        yield Document(path.name, content)
        return
    for place, text in enumerate(content.splitlines(), start=1):
        yield Document(f"{path.name}:{place}", text)


def _document(path: Path, line: int | None) -> Document:
    found = list(_documents(path, lines=line is not None))
    if line is not None and line > len(found):
        raise OptionError("--line", f"is {line}, and {path} has {len(found)}", "Name one of them.")
    return found[(line or 1) - 1]


def _read_proof(path: Path) -> DocumentProof:
    from medproof.anchoring.document_log import DocumentProof

    try:
        return DocumentProof.from_json(hashing.parse(path.read_bytes()))
    except MedProofError as error:
        raise LeafProofError(f"in {path} is none, or a part of it is missing") from error


def _hash(text: str) -> bytes:
    if not _HASH.fullmatch(text):
        raise OptionError("--root", f"is {text!r}", "Give 0x and 64 hexadecimal digits.")
    return bytes.fromhex(text[2:])
