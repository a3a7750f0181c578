"""`medproof study cohort` and `result`: whose data are used, proved, and what the custodians answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof import hashing
from medproof.cli.datasets import indexed_deployment
from medproof.cli.documents import time_text
from medproof.cli.hands import tell_sent
from medproof.cli.options import ActorOptions, ChainOptions, IndexOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output, refuse_existing
from medproof.cli.session import account, identity, known_block, open_suite, party, signer
from medproof.cli.study_files import (
    StudyFile,
    WhichStudy,
    find_study,
    pretty,
    read_cohort,
    read_cohort_or_place,
    read_result,
)
from medproof.client import MedProof
from medproof.client.studies import Result
from medproof.errors import OptionError, StudyResultError
from medproof.fixed_cohort import FixedCohort
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text
from medproof.study_result import SealedResult

__all__ = ["check", "check_result", "cohorts", "results"]

cohorts = typer.Typer(help="Cohorts: whose data a study uses, fixed and proved.", no_args_is_help=True)
results = typer.Typer(
    help="Answers of custodians over a cohort: aggregates, each committed to once.", no_args_is_help=True
)

CohortFile = Annotated[Path, Argument(metavar="COHORT", help="The file that cohort fix wrote.", show_default=False)]
ResultFile = Annotated[Path, Argument(metavar="RESULT", help="The file that result sign wrote.", show_default=False)]


@cohorts.command(epilog="Example: medproof study cohort fix study.json --save cohort.json --keystore institute.json")
@expanded
def fix(
    which: WhichStudy,
    save: Annotated[Path, Option(metavar="FILE", help="Where the cohort goes, with its subjects.")],
    who: KeyOptions,
    source: IndexOptions,
    chain: ChainOptions,
    block: Annotated[
        int | None, Option(min=0, help="Whose data may be used as of this block; the newest where none is named.")
    ] = None,
) -> None:
    """Fix a cohort, as the study's researcher: all who take part and whose rules permit it, as of a block.

    They are read from the chain, or from an --index. Fixed again from the same file it is the same cohort.
    """
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (study, _), sender = find_study(suite, which), party(who)
    if save.is_file():
        cohort = read_cohort(suite, save)
        if cohort.study != study.id or block not in (None, cohort.block):
            refuse_existing(save)
    else:
        refuse_existing(save)
        cohort = _cohort(suite, study.id, known_block(suite, block), source, output)
        output.write(save, pretty(cohort.to_json()))
    about = _about(cohort, save)
    output.aside(f"{_subjects(len(cohort.subjects))} as of block {cohort.block}, written to {save}.")
    if suite.studies.cohort_fixed(cohort.cohort.id) is not None:
        output.document({**about, "sent": None, "unchanged": True})
        output.say("This stands already.")
        return
    tell_sent(output, suite.studies.fix_cohort(cohort.cohort, sender=sender), about)


@cohorts.command(epilog="Example: medproof study cohort prove cohort.json --subject 0x… --out membership.json")
@expanded
def prove(
    file: CohortFile,
    subject: Annotated[str, Option(metavar="ADDRESS", help="Whose place.")],
    chain: ChainOptions,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Where the proof goes; standard output by default.")
    ] = None,
) -> None:
    """Write the proof that a subject stands in a cohort, for the subject or a custodian."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    membership = read_cohort(suite, file).membership(account("--subject", subject))
    if out is None:
        output.raw(membership.to_json())
        return
    output.write(out, pretty(membership.to_json()))
    output.document({"file": str(out), "index": membership.index})
    output.say(f"Written to {out}: {membership.subject} at {membership.index} of {membership.cohort.size}.")


@cohorts.command(epilog="Example: medproof study cohort verify cohort.json --index index.db")
@expanded
def verify(
    file: Annotated[Path, Argument(metavar="FILE", help="A cohort, or one subject's proof.", show_default=False)],
    source: IndexOptions,
    chain: ChainOptions,
    evidence: Annotated[
        Path | None,
        Option(metavar="FILE", help="What medproof study evidence wrote, which needs no old state of a node."),
    ] = None,
) -> None:
    """Check a cohort against the chain, an --index, or --evidence: who should not be in it, and who should.

    Exit code 1 if there is any. Of one subject's proof: that it stands in a cohort that was fixed, and had opted in.
    """
    check(file, chain, source, evidence)


@results.command(
    epilog="Example: medproof study result sign cohort.json --answer answer.json --save result.json "
    "--keystore clinic.json"
)
@expanded
def sign(
    file: Annotated[Path, Argument(metavar="FILE", help="The cohort, or one subject's proof.", show_default=False)],
    answer: Annotated[Path, Option(metavar="FILE", help="The answer, JSON: an aggregate, nothing about one person.")],
    save: Annotated[Path, Option(metavar="FILE", help="Where it goes, with its salt, for the researcher.")],
    who: ActorOptions,
    chain: ChainOptions,
    lifetime: Annotated[int, Option(min=1, metavar="SECONDS", help="How long your agreement counts.")] = 24 * 3600,
) -> None:
    """Sign an answer over a cohort, as a custodian that the study names, for its researcher to publish."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), signer(who)
    refuse_existing(save)
    about = read_cohort_or_place(suite, file).cohort
    custodian = identity(suite, "--keystore", by.address)
    sealed = hashing.seal(hashing.parse(answer.read_bytes()))
    result = Result(about.id, custodian, sealed.commitment)
    agreed = suite.studies.sign_result(by, about.study, result, lifetime=lifetime)
    signed = SealedResult(about, custodian, sealed.record, sealed.salt, agreed)
    output.write(save, hashing.canonical(signed.to_json()).decode())
    output.document({**_told(signed), "file": str(save), "sent": None})
    output.say(f"Signed, and not published yet: give {save} to the study's researcher.")


@results.command(epilog="Example: medproof study result publish study.json result.json --keystore institute.json")
@expanded
def publish(study_file: StudyFile, file: ResultFile, who: KeyOptions, chain: ChainOptions) -> None:
    """Publish a custodian's answer, as the study's researcher: what it says stays here, its hash goes on chain."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (study, _), sealed, sender = find_study(suite, str(study_file)), read_result(file), party(who)
    if suite.studies.result_published(sealed.result.id) is not None:
        output.document({**_told(sealed), "sent": None, "unchanged": True})
        output.say("This stands already.")
        return
    receipt = suite.studies.publish_result(study, sealed.cohort, sealed.result, sealed.agreement, sender=sender)
    tell_sent(output, receipt, _told(sealed))


@results.command("verify", epilog="Example: medproof study result verify result.json")
@expanded
def verify_result(file: ResultFile, chain: ChainOptions) -> None:
    """Check that an answer is one that was published: exit code 1 where it is not."""
    check_result(file, chain)


# -- whatever is shown -------------------------------------------------------------------------------------------


def check(file: Path, chain: ChainOptions, source: IndexOptions, evidence: Path | None = None) -> None:
    """Check a cohort, or one subject's place in one: exit code 1 where it is not as it should be."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    given = read_cohort_or_place(suite, file)
    if isinstance(given, FixedCohort):
        read = partial(_proved, evidence) if evidence is not None else partial(_permitted, suite, source, output)
        _verify_cohort(suite, given, read, output, among="" if evidence is None else " that the evidence is about")
        return
    holds, about = suite.studies.in_cohort(given), given.cohort
    output.document({"cohort": hex_text(about.id), "subject": given.subject, "holds": holds})
    said = "is a member of" if holds else "is no member of"
    output.say(f"{given.subject} {said} the cohort {hex_text(about.id)}.", style="" if holds else "red")
    if not holds:
        raise typer.Exit(ANSWER_NO)


def check_result(file: Path, chain: ChainOptions) -> None:
    """Check that an answer is one that was published: exit code 1 where it is not."""
    output, suite, sealed = Output(as_json=chain.as_json), open_suite(chain), read_result(file)
    moment = suite.studies.result_published(sealed.result.id)
    output.document({**_told(sealed), "published": None if moment is None else time_text(moment)})
    if moment is None:
        output.say(str(StudyResultError("", "was not published as it stands here")), style="red")
        raise typer.Exit(ANSWER_NO)
    output.say(f"{sealed.custodian} answered this over {_subjects(sealed.cohort.size)}, published {time_text(moment)}.")


# -- helpers -----------------------------------------------------------------------------------------------------


def _cohort(suite: MedProof, study: bytes, block: int | None, source: IndexOptions, output: Output) -> FixedCohort:
    """Whose data a study may use as of a block."""
    at = suite.chain.block("latest" if block is None else block)
    return FixedCohort.of(
        _permitted(suite, source, output, study, at.number, at.hash),
        chain_id=suite.chain.chain_id,
        studies=suite.studies.address,
        study=study,
        block=at.number,
        block_hash=bytes.fromhex(at.hash[2:]),
    )


def _permitted(
    suite: MedProof, source: IndexOptions, output: Output, study: bytes, block: int, block_hash: str
) -> tuple[str, ...]:
    """The subjects whose data a study may use as of a block, from the index that is named, or from the chain."""
    if source.index is None:
        with output.counting("Asking the chain", "subjects") as count:
            return suite.studies.permitted(study, block=block, progress=lambda done, _: count(done))
    from medproof.indexer import view
    from medproof.indexer.studies import permitted_subjects

    with indexed_deployment(source) as indexed:
        here = suite.chain.chain_id, suite.deployment.address("Authority").lower()
        kept = indexed.block_hash(block)
        if (indexed.chain, indexed.authority.lower()) != here or (kept and hex_text(kept.hash) != block_hash):
            rule = f"keeps Authority {indexed.authority} on chain {indexed.chain}, or another block {block}"
            raise OptionError("--index", rule, f"Name one of Authority {here[1]} on chain {here[0]}.")
        moment = datetime.fromtimestamp(suite.chain.timestamp(block), UTC)
        return permitted_subjects(view(indexed, block=block, at=moment), study)


def _proved(evidence: Path, study: bytes, block: int, block_hash: str) -> tuple[str, ...]:
    """The same from evidence, which is verified against the block's hash."""
    from medproof.evidence.consent_file import read_lines, verify_consents

    subjects: list[str] = []
    with evidence.open("rb") as file:
        proved = verify_consents(
            read_lines(file), {block_hash}, each=lambda one: subjects.append(one.subject) if one.permitted else None
        )
    if proved.study != study:
        raise OptionError("--evidence", "is of another study", "Name what medproof study evidence wrote of this one.")
    return tuple(subjects)


def _verify_cohort(
    suite: MedProof, cohort: FixedCohort, read: Callable[..., tuple[str, ...]], output: Output, *, among: str
) -> None:
    """Hold a cohort against what is read of whose data the study could use: of which study, block and its hash."""
    about = cohort.cohort
    fixed = suite.studies.cohort_fixed(about.id)
    known = about.block <= suite.chain.block_number() and suite.chain.block(about.block).hash
    right_block = known == hex_text(about.block_hash)
    should = set(read(about.study, about.block, hex_text(about.block_hash))) if right_block else set()
    wrong = sorted(set(cohort.subjects) - should) if right_block else []
    missing = sorted(should - set(cohort.subjects))
    output.document(
        {
            **_about(cohort, None),
            "fixed": None if fixed is None else time_text(fixed),
            "block_matches": right_block,
            "wrong": [*wrong],
            "missing": [*missing],
        }
    )
    findings = [
        *([] if fixed else ["The chain has no such cohort."]),
        *([] if right_block else [f"Block {about.block} of this chain has another hash."]),
        *(f"{one} is in it and should not be: medproof study check --block {about.block} says why." for one in wrong),
        *(f"{one} is not in it and should be." for one in missing),
    ]
    for finding in findings:
        output.say(finding, style="red")
    if findings:
        raise typer.Exit(ANSWER_NO)
    output.say(
        f"{_subjects(about.size)} took part and permitted it as of block {about.block}, and nobody else{among} did."
    )


def _subjects(count: int) -> str:
    return "1 subject" if count == 1 else f"{count:,} subjects"


def _about(cohort: FixedCohort, file: Path | None) -> JsonObject:
    told: JsonObject = {"cohort": hex_text(cohort.cohort.id), **cohort.cohort.to_json()}
    return told if file is None else {**told, "file": str(file)}


def _told(sealed: SealedResult) -> JsonObject:
    result = sealed.result
    return {
        "result": hex_text(result.id),
        "study": hex_text(sealed.cohort.study),
        "cohort": hex_text(result.cohort),
        "custodian": result.custodian,
        "commitment": hex_text(result.commitment),
    }
