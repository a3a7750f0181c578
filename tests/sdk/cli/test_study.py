"""A study on the command line: registered, joined and left, its cohort fixed and proved, its answers paid."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.studies import StudyState
from medproof.client.token import Token
from medproof.deployments import Deployment
from medproof.fixed_cohort import FixedCohort
from medproof.indexer import Index, Indexer
from medproof.indexer.index import Batch, BlockHash
from medproof.policy.study import StudyDocument
from medproof.signing import LocalSigner
from medproof.study_result import SealedResult
from scripts.demo_token import deploy_token
from tests.sdk.cli.conftest import Run
from tests.sdk.conftest import funded, rpc

pytestmark = pytest.mark.ganache  # it tries a transaction out as of the next block; Anvil, as of its latest
Words = tuple[str, ...]
DAY = 86400


@pytest.fixture
def as_researcher(keys: Path) -> Words:
    return ("--keystore", str(keys / "5.json"))


@pytest.fixture
def as_funder(keys: Path) -> Words:
    return ("--keystore", str(keys / "3.json"))


@pytest.fixture
def as_clinic(keys: Path) -> Words:
    return ("--keystore", str(keys / "1.json"))


@pytest.fixture
def terms(here: Path, chain: Chain, clinic: LocalSigner, second_clinic: LocalSigner) -> Words:
    """What register is given, beside who does it and where the document goes."""
    (here / "use.json").write_text('{"diseases": ["MONDO:0005148"], "ethics_approval": true}')
    (here / "protocol.pdf").write_bytes(b"what the study does")
    (here / "letter.pdf").write_bytes(b"approved")
    today = datetime.fromtimestamp(chain.timestamp(), UTC).date()
    return (
        *("--title", "Blood and genes", "--use", "use.json", "--class", "genomics,laboratory"),
        *("--protocol", "protocol.pdf", "--approval", "letter.pdf"),
        *("--committee", "The ethics board", "--reference", "2026-1"),
        *("--from", str(today), "--until", str(today + timedelta(days=300))),
        *("--holder", clinic.address, "--holder", second_clinic.address),
    )


@pytest.fixture
def study(run: Run, here: Path, terms: Words, as_researcher: Words) -> str:
    """A registered study's file."""
    said = run("study", "register", *terms, "--save", "study.json", *as_researcher, "--json")
    assert said.code == 0, said.err
    return "study.json"


@pytest.fixture
def joins(run: Run, me: Words, relayed: Words, study: str, researcher: LocalSigner) -> Callable[[], None]:
    """The patient permits the study's use and joins it."""

    def join() -> None:
        rule = ("--purpose", "HRESCH", "--class", "genomics,laboratory", "--sensitivity", "ALL", "--action", "ALL")
        duo = ("--research", "DS", "--from", "2020-01-01")
        granted = run("consent", "grant", researcher.address, *rule, *duo, *me, *relayed)
        assert granted.code == 0, granted.err
        joined = run("study", "opt-in", study, *me, *relayed)
        assert joined.code == 0, joined.err
        assert "You take part in “Blood and genes”" in joined.err
        assert "do not permit" not in joined.err

    return join


@pytest.fixture
def cohort(run: Run, joins: Callable[[], None], study: str, as_researcher: Words) -> str:
    joins()
    said = run("study", "cohort", "fix", study, "--save", "cohort.json", *as_researcher)
    assert said.code == 0, said.err
    assert "1 subject as of block" in said.err
    return "cohort.json"


@pytest.fixture
def answered(run: Run, here: Path, cohort: str, study: str, as_clinic: Words, as_researcher: Words) -> str:
    """The clinic's answer over the cohort, published."""
    (here / "answer.json").write_text('{"mean": 6.50, "unit": "%", "count": 48}')
    signed = run("study", "result", "sign", cohort, "--answer", "answer.json", "--save", "result.json", *as_clinic)
    assert signed.code == 0, signed.err
    published = run("study", "result", "publish", study, "result.json", *as_researcher)
    assert published.code == 0, published.err
    return "result.json"


@pytest.fixture
def token(chain: Chain, payer: LocalSigner) -> Token:
    return deploy_token(chain, payer)


def test_a_study_is_registered_once_and_shown(
    run: Run, here: Path, terms: Words, study: str, as_researcher: Words, suite: MedProof, researcher: LocalSigner
) -> None:
    document = StudyDocument.from_json((here / study).read_text())
    assert document.researcher == researcher.address
    again = run("study", "register", *terms, "--save", study, *as_researcher, "--json")
    assert (again.code, again.document["unchanged"]) == (0, True)
    assert len([*suite.studies.studies()]) == 1
    shown = run("study", "show", study, "--protocol", "protocol.pdf", "--approval", "letter.pdf")
    assert shown.code == 0, shown.err
    assert "Open, from" in shown.out
    assert "research on MONDO:0005148" in shown.out
    assert "Subjects: 0. Cohorts: 0. Answers: 0." in shown.out
    identifier = again.document["study"]
    told = run("study", "show", identifier, "--json").document
    assert (told["state"], told["title"], told["asks"]["classes"]) == ("open", None, ["laboratory", "genomics"])
    listed = run("study", "list", "--json").document["studies"]
    assert [one["study"] for one in listed] == [identifier]
    assert run("study", "list", "--researcher", researcher.address, "--csv").out.count("\n") == 2
    assert "There is no such study" in run("study", "list", "--researcher", funded(8).address).out
    closed = run("study", "close", study, *as_researcher)
    assert closed.code == 0
    assert suite.studies.state(bytes.fromhex(identifier[2:])) is StudyState.CLOSED
    over = run("study", "show", identifier)
    assert over.code == 1
    assert "Closed, from" in over.out


def test_what_is_not_registered(
    run: Run, here: Path, terms: Words, study: str, as_researcher: Words, as_clinic: Words, suite: MedProof
) -> None:
    register = ("study", "register", *terms)
    for more, code, part in (
        (("--title", "Another", "--save", study, *as_researcher), 2, "is there already"),
        (("--save", "use.json", *as_researcher), 2, "is there already"),
        (("--save", "new.json", *as_clinic), 4, "ResearcherRequired"),
        (("--save", "n.json", "--purpose", "TREAT", *as_researcher), 2, "a study does research"),
        (("--save", "n.json", "--research", "GRU", *as_researcher), 2, "the study says it"),
        (("--save", "n.json", "--until", "2020-01-01", *as_researcher), 2, "before it starts"),
        (("--save", "n.json", "--title", "a\x1b[2Jb", *as_researcher), 2, "title of the study is no line"),
        (("--save", "n.json", "--protocol", "nowhere.pdf", *as_researcher), 2, "nowhere.pdf"),
        (("--save", "n.json", "--holder", "0x12", *as_researcher), 2, "--holder is '0x12'"),
    ):
        said = run(*register, *more)
        assert (said.code, part in said.err) == (code, True), said.err
    assert not (here / "n.json").exists()
    assert len([*suite.studies.studies()]) == 1
    other = run("study", "show", study, "--protocol", "letter.pdf")
    assert (other.code, "is another file than protocol.pdf" in other.err) == (2, True)
    content = json.loads((here / study).read_text())
    identifier = "0x" + "07" * 32
    assert "is not registered" in run("study", "show", identifier).err
    assert "need the study's file" in run("study", "show", _id(suite), "--protocol", "letter.pdf").err
    content["protocol"]["title"] = "Another"
    (here / "forged.json").write_text(json.dumps(content))
    assert "is not registered" in run("study", "show", "forged.json").err
    assert "is not registered" in run("study", "opt-in", "forged.json", "--keystore", as_clinic[1]).err


def _id(suite: MedProof) -> str:
    [study] = suite.studies.studies()
    return f"0x{study.id.hex()}"


def test_a_study_that_was_written_and_not_sent_goes_on(
    run: Run, here: Path, terms: Words, as_researcher: Words, suite: MedProof, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("medproof.client.studies.Studies.register", _stop)
        stopped = run("study", "register", *terms, "--save", "study.json", *as_researcher)
        assert stopped.code == 130
    kept = (here / "study.json").read_bytes()
    assert [*suite.studies.studies()] == []
    assert run("study", "register", *terms, "--save", "study.json", *as_researcher).code == 0
    assert (here / "study.json").read_bytes() == kept


def _stop(*_: object, **__: object) -> None:
    import typer

    raise typer.Abort


def test_joining_and_leaving(
    run: Run,
    me: Words,
    relayed: Words,
    study: str,
    joins: Callable[[], None],
    pseudonym: LocalSigner,
    suite: MedProof,
    keys: Path,
) -> None:
    check = ("study", "check", study, "--subject", pseudonym.address)
    before = run(*check)
    assert (before.code, "takes no part" in before.out) == (1, True)
    early = run("study", "opt-in", study, *me, *relayed)
    assert "Your rules do not permit it yet: The patient has given no permission" in early.err
    half = run(*check, "--json")
    assert (half.code, half.document["use"], half.document["consent"]) == (1, "no_consent", "no_rule")
    assert "its rules do not permit" in run(*check).out
    joins()
    may = run(*check, "--json").document
    assert (may["permitted"], may["use"], may["state"]) == (True, "permitted", "open")
    assert run(*check, "--block", may["block"] - 1).code in (0, 1)
    mine = ("study", "list", "--subject", pseudonym.address, "--json")
    assert [one["study"] for one in run(*mine).document["studies"]] == [_id(suite)]
    signed = run("study", "opt-out", _id(suite), *me, "--json")
    assert signed.document["messages"][0]["function"] == "optOut"
    assert suite.studies.participants(bytes.fromhex(_id(suite)[2:])) == (pseudonym.address,)
    assert run("study", "opt-out", study, *me, *relayed).code == 0
    assert "takes no part" in run(*check).out
    assert run(*mine).document["studies"] == []
    again = run("study", "opt-out", study, *me, *relayed)
    assert (again.code, "Nothing needs doing" in again.err) == (2, True)
    assert run("study", "opt-out", study, "--sequence", 65535, *me, *relayed).code == 0
    for_good = run("study", "opt-in", study, *me, *relayed)
    assert (for_good.code, "for good" in for_good.err) == (2, True)


def test_a_cohort_is_fixed_proved_and_verified(
    run: Run, here: Path, study: str, cohort: str, as_researcher: Words, pseudonym: LocalSigner, suite: MedProof
) -> None:
    again = run("study", "cohort", "fix", study, "--save", cohort, *as_researcher, "--json")
    assert again.document["unchanged"] is True
    verified = run("study", "cohort", "verify", cohort)
    assert (verified.code, "1 subject took part and permitted it" in verified.out) == (0, True), verified.err
    proved = run("study", "cohort", "prove", cohort, "--subject", pseudonym.address, "--out", "place.json")
    assert proved.code == 0
    for words in (("study", "cohort", "verify"), ("verify",)):
        place = run(*words, "place.json")
        assert (place.code, "is a member of" in place.out) == (0, True), place.err
    assert run("verify", cohort).out == verified.out
    elsewhere = run("verify", study)
    assert (elsewhere.code, "Use medproof study show" in elsewhere.err) == (2, True)
    printed = run("study", "cohort", "prove", cohort, "--subject", pseudonym.address).document
    assert printed["subject"] == pseudonym.address
    stranger = run("study", "cohort", "prove", cohort, "--subject", funded(8).address)
    assert (stranger.code, "has no subject" in stranger.err) == (2, True)
    other = run("study", "cohort", "fix", study, "--save", cohort, "--block", 1, *as_researcher)
    assert (other.code, "is there already" in other.err) == (2, True)
    content = json.loads((here / "place.json").read_text())
    content["subject"] = funded(8).address
    (here / "forged.json").write_text(json.dumps(content))
    forged = run("study", "cohort", "verify", "forged.json")
    assert (forged.code, "does not show that" in forged.err) == (2, True)


def test_a_cohort_that_was_written_and_not_sent_goes_on(
    run: Run,
    here: Path,
    study: str,
    joins: Callable[[], None],
    as_researcher: Words,
    suite: MedProof,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joins()
    fix = ("study", "cohort", "fix", study, "--save", "cohort.json", *as_researcher)
    with monkeypatch.context() as patch:
        patch.setattr("medproof.client.studies.Studies.fix_cohort", _stop)
        assert run(*fix).code == 130
    kept = (here / "cohort.json").read_bytes()
    rpc(suite.chain, "evm_mine")
    assert run(*fix).code == 0
    assert (here / "cohort.json").read_bytes() == kept
    assert len(suite.studies.cohorts(bytes.fromhex(_id(suite)[2:]))) == 1


def test_a_padded_cohort_is_found_out(
    run: Run,
    here: Path,
    study: str,
    joins: Callable[[], None],
    pseudonym: LocalSigner,
    suite: MedProof,
    researcher: LocalSigner,
) -> None:
    """Who should not be in it and who should are named, by the chain and by an index."""
    joins()
    never, block = funded(8).address, suite.chain.block()
    padded = FixedCohort.of(
        [never],
        chain_id=suite.chain.chain_id,
        studies=suite.studies.address,
        study=bytes.fromhex(_id(suite)[2:]),
        block=block.number,
        block_hash=bytes.fromhex(block.hash[2:]),
    )
    (here / "padded.json").write_text(json.dumps(padded.to_json()))
    unknown = run("study", "cohort", "verify", "padded.json")
    assert (unknown.code, "The chain has no such cohort" in unknown.out) == (1, True)
    suite.studies.fix_cohort(padded.cohort, sender=researcher)
    with_index = ("--index", _index(here, suite))
    for source in ((), with_index):
        found = run("study", "cohort", "verify", "padded.json", *source, "--json")
        assert (found.code, found.document["wrong"], found.document["missing"]) == (1, [never], [pseudonym.address])
        said = run("study", "cohort", "verify", "padded.json", *source).out
        assert f"{never} is in it and should not be" in said
        assert f"{pseudonym.address} is not in it and should be" in said
    content = json.loads((here / "padded.json").read_text())
    content["blockHash"] = "0x" + "07" * 32
    (here / "padded.json").write_text(json.dumps(content))
    forked = run("study", "cohort", "verify", "padded.json")
    assert (forked.code, "has another hash" in forked.out) == (1, True)
    content["chainId"] = 7
    (here / "padded.json").write_text(json.dumps(content))
    elsewhere = run("study", "cohort", "verify", "padded.json")
    assert (elsewhere.code, "on chain 7, not at" in elsewhere.err) == (2, True)


def _index(here: Path, suite: MedProof) -> str:
    index = Index(here / "index.db")
    Indexer(index, suite.chain, suite.deployment).update()
    index.close()
    return "index.db"


def test_a_cohort_is_proved_by_evidence(
    run: Run,
    here: Path,
    study: str,
    cohort: str,
    as_researcher: Words,
    pseudonym: LocalSigner,
    suite: MedProof,
    relayer: LocalSigner,
) -> None:
    """Somebody who takes part without permitting it is proved to be none of them; a padded cohort is found out."""
    block = suite.chain.block_number()
    [registered] = suite.studies.studies()
    suite.relay(suite.studies.sign_opt_in(funded(8), registered), sender=relayer)
    assert run("study", "cohort", "fix", study, "--save", "later.json", *as_researcher).code == 0
    at = FixedCohort.from_json((here / "later.json").read_text()).block
    (here / "all.txt").write_text(f"{pseudonym.address}\n{funded(8).address}\n")
    proved = run("study", "evidence", study, "--subjects", "all.txt", "--block", at, "--out", "later.jsonl")
    assert proved.code == 0, proved.err
    verified = run("study", "cohort", "verify", "later.json", "--evidence", "later.jsonl")
    assert (verified.code, "1 subject took part and permitted it" in verified.out) == (0, True), verified.err
    offline = run("verify", "later.jsonl", "--json")
    assert (offline.code, offline.document["permitted"]) == (0, 1), offline.err
    earlier = run("study", "cohort", "verify", cohort, "--evidence", "later.jsonl")
    assert (earlier.code, "none of those that are known" in earlier.err) == (2, True)
    lines = (here / "later.jsonl").read_bytes()
    (here / "cut.jsonl").write_bytes(lines.rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n")
    cut = run("study", "cohort", "verify", "later.json", "--evidence", "cut.jsonl")
    assert (cut.code, "was cut short" in cut.err) == (2, True)
    assert block < suite.chain.block_number()
    content = FixedCohort.from_json((here / "later.json").read_text())
    padded = FixedCohort.of(
        [*content.subjects, funded(8).address],
        chain_id=content.chain_id,
        studies=content.studies,
        study=content.study,
        block=content.block,
        block_hash=content.block_hash,
    )
    (here / "padded.json").write_text(json.dumps(padded.to_json()))
    found = run("study", "cohort", "verify", "padded.json", "--evidence", "later.jsonl", "--json")
    assert (found.code, found.document["wrong"], found.document["missing"]) == (1, [funded(8).address], [])


def test_an_index_of_something_else_is_refused(
    run: Run, here: Path, study: str, cohort: str, suite: MedProof, deployment: Deployment
) -> None:
    fork = Index(here / "fork.db")
    first = fork.indexed(deployment, b"\x07" * 32)
    first.append(Batch(first.first, BlockHash(suite.chain.block_number() - 1, b"\x07" * 32, 1), {}, [], [], []))
    fork.close()
    said = run("study", "cohort", "verify", cohort, "--index", "fork.db")
    assert (said.code, "or another block" in said.err) == (2, True), said.err
    other = Index(here / "other.db")
    elsewhere = replace(deployment, chain_id=7)
    other.indexed(elsewhere, b"\x07" * 32)
    other.close()
    said = run("study", "cohort", "verify", cohort, "--index", "other.db")
    assert (said.code, "on chain 7, or another block" in said.err) == (2, True)


def test_a_cohort_from_an_index_is_that_of_the_chain(
    run: Run, here: Path, study: str, joins: Callable[[], None], suite: MedProof, as_researcher: Words
) -> None:
    joins()
    block = suite.chain.block_number()
    index = _index(here, suite)
    from_index = run(
        "study", "cohort", "fix", study, "--save", "one.json", "--index", index, "--block", block, *as_researcher
    )
    assert from_index.code == 0, from_index.err
    from_chain = run("study", "cohort", "fix", study, "--save", "two.json", "--block", block, *as_researcher, "--json")
    assert from_chain.document["unchanged"] is True
    assert (here / "one.json").read_bytes() == (here / "two.json").read_bytes()
    late = run("study", "cohort", "fix", study, "--save", "three.json", "--index", index, *as_researcher)
    assert (late.code, "three.json" in [path.name for path in here.iterdir()]) == (2, False)
    future = run("study", "cohort", "fix", study, "--save", "four.json", "--block", 10**9, *as_researcher)
    assert (future.code, "the newest is" in future.err) == (2, True)


def test_nobody_in_it_is_no_cohort(run: Run, here: Path, study: str, as_researcher: Words) -> None:
    said = run("study", "cohort", "fix", study, "--save", "cohort.json", *as_researcher)
    assert (said.code, "has 0 subjects" in said.err) == (2, True)
    assert not (here / "cohort.json").exists()


def test_an_answer_is_published_once_and_verified(
    run: Run, here: Path, study: str, cohort: str, answered: str, as_researcher: Words, as_clinic: Words
) -> None:
    sealed = SealedResult.from_json((here / answered).read_text())
    assert str(sealed.answer["mean"]) == "6.50"  # type: ignore[index, call-overload]
    again = run("study", "result", "publish", study, answered, *as_researcher, "--json")
    assert (again.code, again.document["unchanged"]) == (0, True)
    verified = run("study", "result", "verify", answered, "--json")
    assert verified.document["published"] is not None
    for words in (("study", "result", "verify"), ("verify",)):
        assert "answered this over 1 subject," in run(*words, answered).out
    content = json.loads((here / answered).read_text())
    content["answer"]["mean"] = 7
    (here / "forged.json").write_text(json.dumps(content))
    forged = run("study", "result", "verify", "forged.json")
    assert (forged.code, "was not published as it stands here" in forged.out) == (1, True)
    refused = run("study", "result", "publish", study, "forged.json", *as_researcher)
    assert (refused.code, "SignatureInvalid" in refused.err) == (4, True)
    taken = run("study", "result", "sign", cohort, "--answer", "answer.json", "--save", answered, *as_clinic)
    assert (taken.code, "is there already" in taken.err) == (2, True)
    broken = run("study", "result", "verify", cohort)
    assert (broken.code, "format of the answer is not" in broken.err) == (2, True)


def test_a_bounty_pays_once_and_the_rest_goes_back(
    run: Run,
    chain: Chain,
    study: str,
    cohort: str,
    answered: str,
    token: Token,
    me: Words,
    relayed: Words,
    as_funder: Words,
    as_clinic: Words,
    pseudonym: LocalSigner,
    stranger: LocalSigner,
    payer: LocalSigner,
) -> None:
    until = datetime.fromtimestamp(chain.timestamp() + 10 * DAY, UTC).isoformat(timespec="seconds")
    fund = ("study", "fund", study, "--token", token.address, "--amount", "20", "--accept-until", until, *as_funder)
    shares = run(*fund, "--pay", "subjects", "--payment", "2.50", "--json")
    assert shares.code == 0, shares.err
    answers = run(*fund, "--pay", "custodians", "--payment", "5", "--json").document
    share, answer = shares.document["bounty"], answers["bounty"]
    assert (shares.document["payment"], answers["free"]) == ("2.5 DEMO", "20 DEMO")
    for bounty in (share, answer):
        assert run("study", "accept", bounty, answered, *as_funder).code == 0
    listed = run("study", "bounties", study)
    assert "2.5 DEMO" in listed.out
    assert [one["due"] for one in run("study", "bounties", study, "--json").document["bounties"]] == [
        "2.5 DEMO",
        "5 DEMO",
    ]
    assert run("study", "cohort", "prove", cohort, "--subject", pseudonym.address, "--out", "place.json").code == 0
    claim = ("study", "claim", share, "--membership", "place.json", "--to", stranger.address, *me, *relayed)
    assert run(*claim).code == 0
    assert token.balance(stranger.address) == token.units("2.5")
    again = run(*claim)
    assert (again.code, "PaidAlready" in again.err) == (4, True)
    paid = run("study", "claim", answer, "--result", answered, *as_clinic)
    assert paid.code == 0, paid.err
    for words, part in (
        (("study", "claim", share, "--result", answered, *as_clinic), "This bounty pays subjects: give --membership"),
        (("study", "claim", answer, *as_clinic), "This bounty pays custodians: give --result"),
        (("study", "claim", "0x12", "--result", answered, *as_clinic), "0x12 cannot be read"),
        (("study", "claim", study, "--result", answered, *as_clinic), f"study with 2 bounties ({share}, {answer})"),
        (("study", "claim", "0x" + "07" * 32, "--result", answered, *as_clinic), "was never funded"),
        ((*fund, "--pay", "everyone", "--payment", "1"), "Name one of custodians, subjects"),
        ((*fund, "--pay", "subjects", "--payment", "0"), "has no amount '0'"),
    ):
        said = run(*words)
        assert (said.code, part in said.err) == (2, True), said.err
    early = run("study", "refund", share, *as_funder)
    assert (early.code, "BountyOpen" in early.err) == (4, True)
    rpc(chain, "evm_increaseTime", 11 * DAY)
    rpc(chain, "evm_mine")
    back = run("study", "refund", share, *as_funder, "--json")
    assert (back.code, back.document["free"]) == (0, "0 DEMO"), back.err
    assert token.balance(payer.address) == 10**24 - token.units("22.5")


def test_a_funder_without_tokens(run: Run, study: str, token: Token, keys: Path) -> None:
    poor = ("--keystore", str(keys / "6.json"))
    terms: tuple[Any, ...] = ("--pay", "subjects", "--payment", "1", "--amount", "5", "--accept-until", "2027-01-01")
    said = run("study", "fund", study, "--token", token.address, *terms, *poor)
    assert (said.code, "0 DEMO, and 5 DEMO are to be put into the bounty" in said.err) == (2, True)
    nowhere = run("study", "fund", study, "--token", funded(8).address, *terms, *poor)
    assert (nowhere.code, "is no contract" in nowhere.err) == (2, True)
    assert "There is no bounty" in run("study", "bounties", study).out
