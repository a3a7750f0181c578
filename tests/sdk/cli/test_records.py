"""`medproof records`: posting, listing, fetching, verifying, and what becomes of a pointer."""

from __future__ import annotations

import json
import shutil
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.client.record_pointers import Status
from medproof.gateway import Gatekeeper, Proof, Settings, create_app
from medproof.signing import LocalSigner
from medproof.store import KeyRing, MasterKey, Query, SqlStore
from tests.sdk.cli.conftest import Run
from tests.sdk.cli.test_documents import replay
from tests.sdk.gateway.conftest import Bridge, Clock, observation, settle

Words = tuple[str, ...]
ORIGIN = "https://records.example.org"
AT = ("--gatekeeper", ORIGIN)


@pytest.fixture
def store(here: Path) -> Iterator[SqlStore]:
    opened = SqlStore(here / "clinic.db", KeyRing(MasterKey(bytes(range(32)))))
    yield opened
    opened.close()


@pytest.fixture
def gatekeeper(
    suite: MedProof, store: SqlStore, clinic: LocalSigner, relayer: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gatekeeper]:
    """The clinic's, which the command line reaches without a socket."""
    settings = Settings(
        ORIGIN, writers=frozenset({relayer.address}), max_block_age=None, refresh=0.0, batch_size=3, batch_wait=3600.0
    )
    clock = Clock()
    built = Gatekeeper(suite, store, settings, sender=clinic, clock=clock)
    clock.offset = 0.0
    built.start()
    bridge = Bridge(create_app(built))
    reached = types.SimpleNamespace(**{**vars(httpx), "Client": lambda **_: httpx.Client(transport=bridge)})
    monkeypatch.setattr("medproof.gateway.client.httpx", reached)
    yield built
    built.stop()


@pytest.fixture
def writer(keys: Path) -> Words:
    return ("--keystore", str(keys / "7.json"))


@pytest.fixture
def files(here: Path) -> list[str]:
    """Three records of one patient."""
    for number in range(3):
        content = hashing.canonical(observation(valueQuantity={"value": number, "unit": "mmol/l"}).content)
        (here / f"{number}.json").write_bytes(content)
    return [f"{number}.json" for number in range(3)]


Post = Callable[[], list[Any]]


@pytest.fixture
def post(run: Run, gatekeeper: Gatekeeper, files: list[str], writer: Words, pseudonym: LocalSigner) -> Post:
    """Post the three, which make a batch."""

    def all_of_them() -> list[Any]:
        said = run("records", "post", *files, *AT, "--subject", pseudonym.address, *writer, "--json")
        assert said.code == 0, said.err
        settle(gatekeeper)
        rows: list[Any] = said.document["records"]
        return rows

    return all_of_them


@pytest.fixture
def fetched(post: Post, run: Run, me: Words, here: Path) -> list[Path]:
    """The three in a folder, as their subject fetched them: records, each with its proof beside it."""
    post()
    said = run("records", "fetch", "Observation", *AT, *me, "--folder", "out", "--json")
    assert said.code == 0, said.err
    return [here / one["file"] for one in said.document["records"]]


def proof_of(record: Path) -> Path:
    return record.with_suffix(".proof.json")


# -- posting -----------------------------------------------------------------------------------------------------


def test_records_are_posted_once(
    post: Post, store: SqlStore, suite: MedProof, run: Run, files: list[str], writer: Words, pseudonym: LocalSigner
) -> None:
    first = post()
    assert post() == first  # the same again
    assert len(store.search(Query()).entries) == 3
    assert [event.arguments["size"] for event in suite.record_pointers.events("BatchPosted")] == [3]
    shown = run("records", "post", files[0], *AT, "--subject", pseudonym.address, *writer)
    assert shown.code == 0
    assert str(first[0]["record"]) in shown.out


def test_one_that_is_refused_leaves_the_others(
    gatekeeper: Gatekeeper, here: Path, run: Run, files: list[str], writer: Words, pseudonym: LocalSigner
) -> None:
    secret = observation(meta={"security": [{"system": "urn:nobody", "code": "X"}]})
    (here / "secret.json").write_bytes(hashing.canonical(secret.content))
    said = run("records", "post", "secret.json", files[0], *AT, "--subject", pseudonym.address, *writer, "--json")
    assert said.code == 1
    refused, taken = said.document["records"]
    assert (refused["refused"], taken["refused"]) == ("RECORD_REFUSED", None)
    assert run("records", "post", "secret.json", *AT, "--subject", pseudonym.address, *writer).code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("nowhere.json",), 2, "nowhere.json"),
        (("--subject", "0x12"), 2, "--subject is '0x12'"),
        (("--keystore", "nowhere.json"), 2, "nowhere.json"),
        (("--keystore", "1.json"), 4, "may not post records here"),
    ],
)
def test_what_cannot_be_posted_is_said(
    gatekeeper: Gatekeeper,
    keys: Path,
    run: Run,
    files: list[str],
    writer: Words,
    pseudonym: LocalSigner,
    arguments: Words,
    code: int,
    part: str,
) -> None:
    given = [str(keys / one) if one == "1.json" else one for one in arguments]
    said = run("records", "post", files[0], *AT, "--subject", pseudonym.address, *writer, *given)
    assert (said.code, said.out) == (code, "")
    assert part in said.err


def test_a_gatekeeper_that_does_not_answer_is_trouble(
    run: Run, files: list[str], writer: Words, pseudonym: LocalSigner
) -> None:
    said = run(
        "records", "post", files[0], "--gatekeeper", "http://127.0.0.1:9", "--subject", pseudonym.address, *writer
    )
    assert said.code == 3
    assert "does not answer" in said.err


# -- reading -----------------------------------------------------------------------------------------------------


def test_what_is_fetched_is_written_with_its_proof(fetched: list[Path], suite: MedProof) -> None:
    assert len(fetched) == 3
    for file in fetched:
        content = hashing.parse(file.read_bytes())
        assert isinstance(content, dict)
        assert Proof.read(proof_of(file).read_text()).verify(content, suite.record_pointers).place is not None
        assert file.stat().st_mode & 0o077 == 0


def test_records_are_fetched_by_id_and_purpose(
    fetched: list[Path], run: Run, granted: str, keys: Path, pseudonym: LocalSigner, here: Path
) -> None:
    name = str(fetched[0].stem).replace("-", "/", 1)
    reader = ("--keystore", str(keys / "2.json"), "--folder", "theirs", "--action", "access")
    said = run("records", "fetch", name, *AT, *reader, "--purpose", "TREAT")
    assert said.code == 0, said.err
    assert (here / "theirs" / fetched[0].name).read_bytes() == fetched[0].read_bytes()
    refused = run("records", "fetch", name, *AT, *reader, "--purpose", "HMARKT")
    assert refused.code == 4
    searched = run(
        "records", "fetch", "Observation", "--subject", pseudonym.address, *AT, *reader, "--purpose", "TREAT", "--json"
    )
    assert len(searched.document["records"]) == 3
    nothing = run("records", "fetch", "Procedure", "--subject", pseudonym.address, *AT, *reader, "--purpose", "TREAT")
    assert nothing.code == 0
    assert nothing.out.startswith("There is nothing that you may have. A --purpose or --action that is not named")


def test_what_holds_and_what_does_not(fetched: list[Path], run: Run) -> None:
    record, proof = fetched[0], proof_of(fetched[0])
    said = run("records", "verify", record, proof)
    assert (said.code, said.out.splitlines()[0]) == (0, "Holds")
    assert "in a batch" in said.out
    assert run("records", "verify", record, proof, "--json").document["holds"] is True
    for altered, field in (
        (record.read_text().replace("mmol", "mol"), "salt"),
        ("[]", "record"),
    ):
        other = record.with_name("other.json")
        other.write_text(altered)
        said = run("records", "verify", other, proof, "--json")
        assert (said.code, said.document["holds"], said.document["field"]) == (1, False, field)
    lie = json.loads(proof.read_text())
    lie["place"]["root"] = "0x" + "11" * 32
    (lying := proof.with_name("lie.json")).write_text(json.dumps(lie))
    said = run("records", "verify", record, lying)
    assert said.code == 1
    assert said.out.startswith("Does not hold. root ")


def test_pointers_are_listed_from_chain_and_gatekeeper(
    post: Post, run: Run, me: Words, suite: MedProof, pseudonym: LocalSigner
) -> None:
    rows = post()
    assert run("records", "list", "--subject", pseudonym.address).out.startswith("The chain shows no pointers")
    said = run("records", "list", *me, *AT, "--json")
    assert {one["pointer"] for one in said.document["pointers"]} == {one["pointer"] for one in rows}
    assert all(one["place"] and one["record"].startswith(ORIGIN) for one in said.document["pointers"])
    assert run("records", "list", *me, *AT).out.count("in a batch") == 3


def test_a_timeline_asks_who_is_named(
    fetched: list[Path], run: Run, me: Words, relayed: Words, keys: Path, clinic: LocalSigner
) -> None:
    wallet = ("--wallet", str(keys / "seed.txt"))
    assert run("records", "timeline", *wallet).out.startswith("Nothing is on the chain")
    asking = ("--gatekeeper", f"{clinic.address}={ORIGIN}")
    said = run("records", "timeline", *wallet, *asking, "--json").document["entries"]
    assert [one["event"] for one in said] == 3 * ["BatchPosted"]
    assert run("records", "dispute", proof_of(fetched[0]), *me, *relayed).code == 0
    said = run("records", "timeline", *wallet, *asking)
    assert [said.out.count(name) for name in ("BatchPosted", "PointerOpened", "PointerDisputed")] == [2, 1, 1]
    assert run("records", "timeline", *wallet, "--gatekeeper", ORIGIN).code == 2


def test_the_session_of_the_page(
    post: Post,
    run: Run,
    keys: Path,
    here: Path,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    pseudonym: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number, name in ((1, "clinic"), (2, "hospital"), (7, "app"), (7, "relayer")):
        shutil.copy(keys / f"{number}.json", here / f"{name}.json")
    shutil.copy(keys / "seed.txt", here)
    (here / "letter.txt").write_text("The value is right.")
    names = {
        "CLINIC": clinic.address,
        "HOSPITAL": second_clinic.address,
        "PATIENT": pseudonym.address,
        "RECORD": str(post()[0]["record"]).replace("/", "-"),
    }
    monkeypatch.setenv("COLUMNS", "400")  # no cell is folded
    assert replay("docs/records.md", run, names, monkeypatch) == 11


# -- answers and custody -----------------------------------------------------------------------------------------


def status(suite: MedProof, record: Path) -> Status:
    pointer = suite.record_pointers.pointer(Proof.read(proof_of(record).read_text()).pointer)
    return pointer.status if pointer else Status.NONE


def test_a_record_is_disputed_denied_and_accepted(
    fetched: list[Path],
    run: Run,
    me: Words,
    relayed: Words,
    keys: Path,
    here: Path,
    suite: MedProof,
    pseudonym: LocalSigner,
) -> None:
    record, custodian = fetched[0], ("--keystore", str(keys / "1.json"))
    (here / "why.txt").write_text("It was not my blood.")
    said = run("records", "dispute", proof_of(record), "--reason", "why.txt", *me, *relayed, "--json")
    assert said.code == 0, said.err
    reason = said.document["reason"]
    salt, commitment = (bytes.fromhex(reason[name][2:]) for name in ("salt", "commitment"))
    [event] = suite.record_pointers.events("PointerDisputed")
    assert hashing.commit_bytes(b"It was not my blood.", salt) == event.arguments["reason"] == commitment
    assert status(suite, record) is Status.DISPUTED
    assert run("records", "dispute", proof_of(record), *me, *relayed).code == 4  # it stands already

    assert run("records", "deny", proof_of(record), *custodian).code == 2  # without a reason
    denied = run("records", "deny", proof_of(record), "--reason", "why.txt", *custodian)
    assert denied.code == 0, denied.err
    assert status(suite, record) is Status.DISPUTE_DENIED
    pointer = json.loads(proof_of(record).read_text())["pointer"]
    assert run("records", "accept", pointer, *me, *relayed).code == 0  # by its id, which the chain shows now
    assert status(suite, record) is Status.ACCEPTED
    assert run("records", "accept", "0x" + "11" * 32, *me, *relayed).code == 2
    assert run("records", "deny", pointer, "--reason", "why.txt", *custodian).code == 2  # an id alone
    again = run("records", "deny", pointer, "--reason", "why.txt", *custodian, "--subject", pseudonym.address)
    assert again.code == 4


def test_an_answer_may_be_handed_to_a_relayer(
    fetched: list[Path], run: Run, me: Words, keys: Path, here: Path, suite: MedProof
) -> None:
    assert run("records", "accept", proof_of(fetched[0]), *me, "--out", "signed.json").code == 0
    assert [one["function"] for one in json.loads((here / "signed.json").read_text())] == ["open", "acceptFor"]
    queue = ("--queue", "relay.db")
    assert run("relay", "add", "signed.json", *queue).code == 0
    assert run("relay", "run", "--drain", *queue, "--relay-as", keys / "7.json").code == 0
    assert status(suite, fetched[0]) is Status.ACCEPTED


def test_a_pointer_is_opened_by_either_side(
    fetched: list[Path], run: Run, me: Words, relayed: Words, keys: Path, suite: MedProof
) -> None:
    first, second, third = fetched
    assert run("records", "open", proof_of(first), *me, *relayed).code == 0
    assert run("records", "open", proof_of(second), "--keystore", keys / "1.json").code == 0
    assert [status(suite, one) for one in (first, second)] == [Status.POSTED, Status.POSTED]
    assert run("records", "open", proof_of(first), *me, *relayed, "--json").document["unchanged"] is True
    assert run("records", "open", proof_of(third), "--keystore", keys / "2.json").code == 4  # who is neither
    assert status(suite, third) is Status.NONE


def test_custody_is_offered_and_taken_with_the_record(
    fetched: list[Path], run: Run, keys: Path, here: Path, suite: MedProof, second_clinic: LocalSigner
) -> None:
    record, proof = fetched[0], proof_of(fetched[0])
    run("gateway", "key", "master.key")
    taking = ("--store", "second.db", "--master-key", "master.key", "--keystore", str(keys / "2.json"))
    assert run("records", "take", record, proof, *taking).code == 2  # in a batch, and not offered
    offered = run("records", "offer", proof, second_clinic.address, "--keystore", keys / "1.json")
    assert offered.code == 0, offered.err
    said = run("records", "take", record, proof, *taking, "--json")
    assert said.code == 0, said.err
    assert said.document["pointer"]["custodian"] == second_clinic.address
    store = SqlStore(here / "second.db", KeyRing(MasterKey.from_file(here / "master.key")))
    key = Proof.read(proof.read_text()).pointer
    assert store.get_pointed(key.id).resource.content == hashing.parse(record.read_bytes())
    store.close()
    assert run("records", "take", record, proof, *taking).code == 4  # taken already
