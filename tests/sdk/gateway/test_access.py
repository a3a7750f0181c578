"""The access log through the gatekeeper: a promise with every answer, and each sees what is its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_utils.crypto import keccak

from medproof.access import HEADER, Promise, PromiseFile
from medproof.access.entry_log import EntryLog
from medproof.access.verification import Change, verify
from medproof.anchoring import LeafLog
from medproof.client import MedProof
from medproof.contract_errors import (
    ComplaintAnsweredAlready,
    ComplaintExists,
    ComplaintUnknown,
    EntryNotIncluded,
    LogOpenAlready,
    LogUnknown,
    PromiseNotDue,
    SignatureInvalid,
)
from medproof.errors import (
    AnchorMismatchError,
    ArgumentError,
    GatekeeperRefusalError,
    PromiseError,
    StoreFullError,
    UnprovedRecordError,
)
from medproof.gateway import Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.policy.codes import Purpose
from medproof.policy.delegation import Scope
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.gateway.conftest import KEYS, ORIGIN, TREATMENT, Bridge, Keep, labelled, observation, settle
from tests.sdk.gateway.test_delegates import delegate
from tests.sdk.relayer.test_contract_wallets import Wallet

KEY = LocalSigner.from_key(b"\x0a" * 32)
Connect = Callable[..., GatekeeperClient]


@pytest.fixture
def opened(suite: MedProof, clinic: LocalSigner) -> None:
    """The clinic's log 0 is open."""
    suite.access_log.open(0, KEY.address, sender=clinic)


@pytest.fixture
def log(suite: MedProof, opened: None, clinic: LocalSigner, tmp_path: Path) -> Iterator[EntryLog]:
    made = EntryLog(
        tmp_path / "log.db", KEYS, custodian=clinic.address, domain=suite.access_log.domain, signer=KEY, patience=0.3
    )
    yield made
    made.close()


@pytest.fixture
def gatekeeper(keep: Keep, settings: Settings, log: EntryLog) -> Gatekeeper:
    return keep(entry_log=log, settings=replace(settings, anchor_interval=3600.0))


@pytest.fixture
def connect(suite: MedProof, http: httpx.Client) -> Connect:
    def build(signer: LocalSigner, **options: Any) -> GatekeeperClient:
        given = {"claims": TREATMENT, "http": http, "insist": True, **options}
        return GatekeeperClient(ORIGIN, suite, signer, **given)

    return build


@pytest.fixture
def records(connect: Connect, gatekeeper: Gatekeeper, relayer: LocalSigner, patient: LocalSigner) -> list[str]:
    """Two laboratory results of the patient, and one that no rule covers."""
    device = connect(relayer)
    given = (observation(), observation(), observation(meta=labelled("HIV")))
    ids = [str(device.create(patient.address, one).record.id) for one in given]
    settle(gatekeeper)
    return ids


def anchor(gatekeeper: Gatekeeper) -> None:
    assert gatekeeper.anchorer is not None
    gatekeeper.anchorer.work()


def refusal(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(GatekeeperRefusalError) as caught:
        act()
    return caught.value.status, caught.value.code


def test_every_answer_carries_the_promise_of_its_entry(
    connect: Connect, records: list[str], granted: Rule, log: EntryLog, second_clinic: LocalSigner, patient: LocalSigner
) -> None:
    kept: list[Promise] = []
    reader = connect(second_clinic, keep=kept.append)
    before = log.leaves.size
    assert before == 3  # the records were posted
    fetched = reader.fetch("Observation", records[0])
    found = list(reader.search("Observation", patient.address))
    listed = list(reader.pointers(patient.address))
    assert refusal(lambda: reader.fetch("Observation", records[2])) == (404, "NOT_FOUND")
    assert refusal(lambda: reader.fetch("Observation", "nothing")) == (404, "NOT_FOUND")
    assert (len(found), len(listed)) == (2, 2)
    entries = list(log.entries(start=before))
    assert kept[:3] == [one.promise for one in entries[:3]]
    assert [one.entry for one in kept] == [one.promise.entry for one in entries]

    assert fetched.access is not None
    assert fetched.access.opening == entries[0].opening
    assert found[0].access == found[1].access
    said = [one.opening.entry.access for one in entries if one.opening]
    assert [one.action for one in said] == ["read", "search", "list", "read", "read"]
    assert [len(one.records) for one in said] == [1, 2, 2, 0, 0]
    assert [one.subject for one in said] == [patient.address] * 4 + [None]
    assert [one.permitted for one in said] == [True] * 3 + [False] * 2
    ground = said[0].records[0].ground
    assert (ground.reason, ground.grantee, ground.sequence) == ("PERMITTED", second_clinic.address, 1)
    assert (said[0].party, said[0].purposes) == (second_clinic.address, Purpose.TREAT)


def test_a_refusal_shows_no_more_of_its_entry_than_of_the_record(
    connect: Connect, records: list[str], granted: Rule, http: httpx.Client, second_clinic: LocalSigner
) -> None:
    """Whether there is an HIV result cannot be told from the promises either."""
    seen = []
    send = http.send

    def watched(request: httpx.Request, **options: Any) -> httpx.Response:
        answer: httpx.Response = send(request, **options)
        seen.append(json.loads(answer.headers[HEADER]))
        return answer

    http.send = watched  # type: ignore[method-assign]
    reader = connect(second_clinic)
    for id_ in (records[2], "nothing"):
        refusal(lambda id_=id_: reader.fetch("Observation", id_))  # type: ignore[misc]
    assert set(seen[0]) == set(seen[1]) == {"custodian", "log", "commitment", "due", "signature", "index"}
    http.send = send  # type: ignore[method-assign]
    for one in reader.accesses():
        assert one.access is None


def test_patients_see_who_read_what_under_which_rule(
    suite: MedProof,
    gatekeeper: Gatekeeper,
    connect: Connect,
    records: list[str],
    granted: Rule,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    patient: LocalSigner,
    stranger: LocalSigner,
) -> None:
    reader = connect(second_clinic)
    fetched = reader.fetch("Observation", records[1])
    refusal(lambda: reader.fetch("Observation", records[2]))
    anchor(gatekeeper)
    list(connect(patient).search("Observation", patient.address))

    seen = list(connect(patient).accesses(patient.address, count=2))
    accesses = [one.access for one in seen]
    assert all(accesses)
    told = [(one.account, one.action, one.permitted, len(one.records)) for one in accesses if one is not None]
    assert told[3:] == [
        (second_clinic.address, "read", True, 1),
        (second_clinic.address, "read", False, 0),
        (patient.address, "search", True, 3),
    ]
    assert accesses[3] is not None
    assert accesses[3].records[0].pointer == fetched.proof.pointer.id
    assert [one.anchored for one in seen] == [True] * 5 + [False]
    anchor(gatekeeper)
    assert all(one.anchored for one in connect(patient).accesses(patient.address))

    own = list(reader.accesses())
    assert [(one.access.action if one.access else None, one.anchored) for one in own] == [("read", True), (None, True)]
    assert list(connect(stranger).accesses()) == []
    for other in (second_clinic, payer, stranger):
        assert refusal(lambda other=other: list(connect(other).accesses(patient.address))) == (403, "NOT_THE_SUBJECT")  # type: ignore[misc]

    delegate(suite, patient, stranger, Scope.GRANT)
    assert refusal(lambda: list(connect(stranger).accesses(patient.address))) == (403, "NOT_THE_SUBJECT")
    delegate(suite, patient, stranger, Scope.VIEW)
    assert len(list(connect(stranger).accesses(patient.address))) == 6
    assert gatekeeper.entry_log is not None
    assert suite.batch_anchor.audit(gatekeeper.entry_log.custodian, reader.prove_growth) >= 2


def test_the_custodian_has_no_view_of_its_own_by_http(
    connect: Connect, records: list[str], clinic: LocalSigner, patient: LocalSigner, relayer: LocalSigner
) -> None:
    assert refusal(lambda: list(connect(clinic).accesses(patient.address))) == (403, "NOT_THE_SUBJECT")
    assert list(connect(clinic).accesses()) == []
    assert len(list(connect(relayer).accesses())) == 3  # its own posts


def test_what_cannot_be_asked(connect: Connect, stranger: LocalSigner) -> None:
    client = connect(stranger, insist=False)
    for target, refused in (
        ("/access?patient=0x12", (400, "PARAMETER")),
        ("/access?patient=all", (400, "PARAMETER")),
        ("/access?account=0x12", (400, "PARAMETER")),
        ("/access?_start=-1", (400, "PARAMETER")),
        ("/access?_start=99999999999999999999", (400, "PARAMETER")),
        ("/access?_count=0", (400, "PARAMETER")),
        ("/access?_count=101", (400, "PARAMETER")),
        ("/access?_count=1&_count=2", (400, "PARAMETER")),
        ("/access/consistency", (400, "PARAMETER")),
        ("/access/consistency?first=0", (400, "PARAMETER")),
        ("/access/consistency?first=2&second=1", (400, "PARAMETER")),
        ("/access/consistency?first=0&second=1000000", (400, "PARAMETER")),
        ("/access/consistency?first=0&second=1&third=2", (400, "PARAMETER")),
        ("/access/0", (404, "NOT_FOUND")),
    ):
        assert refusal(lambda target=target: client._send("GET", target)) == refused  # type: ignore[misc]


def test_nobody_in_particular_sees_nothing(http: httpx.Client) -> None:
    for path in ("/access", "/access/consistency?first=0&second=0"):
        assert http.get(ORIGIN + path).status_code == 401


def test_without_a_log_there_is_nothing_to_see(
    keep: Keep, suite: MedProof, stranger: LocalSigner, second_clinic: LocalSigner, patient: LocalSigner
) -> None:
    http = httpx.Client(transport=Bridge(create_app(keep())))
    client = GatekeeperClient(ORIGIN, suite, stranger, claims=TREATMENT, http=http)
    assert refusal(lambda: list(client.accesses())) == (404, "NO_LOG")
    assert refusal(lambda: client.prove_growth(0, 0)) == (404, "NO_LOG")
    strict = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http, insist=True)
    with pytest.raises(UnprovedRecordError, match="is missing"):
        list(strict.search("Observation", patient.address))


def test_a_gatekeeper_does_not_start_with_promises_that_do_not_count(
    keep: Keep, suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, tmp_path: Path
) -> None:
    def with_log(custodian: str, signer: LocalSigner | None, number: int = 0) -> None:
        made = EntryLog(
            tmp_path / f"{custodian}{number}.db",
            KEYS,
            custodian=custodian,
            domain=suite.access_log.domain,
            signer=signer,
            number=number,
        )
        try:
            assert refusal(lambda: keep(entry_log=made)) == (503, "LOG_NOT_OPEN")
        finally:
            made.close()

    with_log(clinic.address, KEY)
    suite.access_log.open(0, KEY.address, sender=clinic)
    suite.access_log.open(0, KEY.address, sender=second_clinic)
    with_log(clinic.address, KEY, number=2)
    with_log(clinic.address, clinic)
    with_log(clinic.address, None)
    with_log(second_clinic.address, KEY)


def test_where_no_entry_can_be_written_nothing_is_served(
    monkeypatch: pytest.MonkeyPatch,
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    second_clinic: LocalSigner,
    relayer: LocalSigner,
    patient: LocalSigner,
) -> None:
    reader, size = connect(second_clinic), log.leaves.size

    def full(make: object) -> range:
        raise StoreFullError("SQLITE_FULL")

    with monkeypatch.context() as harmed:
        harmed.setattr(log.leaves, "write", full)
        for act in (
            lambda: reader.fetch("Observation", records[0]),
            lambda: list(reader.search("Observation", patient.address)),
            lambda: list(reader.pointers(patient.address)),
            lambda: reader.fetch("Observation", "nothing"),
            lambda: connect(relayer).create(patient.address, observation()),
        ):
            assert refusal(act) == (503, "AUDIT_UNAVAILABLE")
    assert log.leaves.refresh() == size
    assert reader.fetch("Observation", records[0]).access is not None


LIES: dict[str, Callable[[Any], object]] = {
    "another signature": lambda said: said.update(signature="0x" + "11" * 65),
    "another log": lambda said: said.update(log=1),
    "another custodian": lambda said: said.update(custodian="0x" + "11" * 20),
    "due in years": lambda said: said.update(due=said["due"] + 10**9),
    "no entry": lambda said: said.pop("opening"),
    "another entry": lambda said: said["opening"]["entry"].update(index=9),
}


def test_a_promise_that_does_not_count_is_not_taken(
    connect: Connect, records: list[str], granted: Rule, http: httpx.Client, second_clinic: LocalSigner
) -> None:
    send = http.send
    kept: list[Promise] = []
    for lie in LIES.values():

        def lying(request: httpx.Request, lie: Any = lie, **options: Any) -> httpx.Response:
            answer: httpx.Response = send(request, **options)
            said = json.loads(answer.headers[HEADER])
            lie(said)
            answer.headers[HEADER] = json.dumps(said)
            return answer

        http.send = lying  # type: ignore[method-assign]
        with pytest.raises(UnprovedRecordError, match=HEADER):
            connect(second_clinic, keep=kept.append).fetch("Observation", records[0])
    assert kept == []


UNTRUE: list[dict[str, Any]] = [
    {"account": "0x" + "11" * 20},
    {"purposes": Purpose.HMARKT},
    {"action": "search"},
    {"subject": "0x" + "11" * 20},
    {"signed": "0x" + "11" * 32},
    {"permitted": False, "action": "list"},
    {"records": ()},
    {"when": datetime.now(UTC) - timedelta(hours=1)},
]


def test_an_entry_that_says_something_else_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    second_clinic: LocalSigner,
) -> None:
    """A custodian that logs another request than the one that it served is found out at once."""
    add = log.add
    for untrue in UNTRUE:
        monkeypatch.setattr(log, "add", lambda access, untrue=untrue: add(replace(access, **untrue)))
        with pytest.raises(UnprovedRecordError, match=HEADER):
            connect(second_clinic).fetch("Observation", records[0])


def test_a_log_that_hides_or_changes_entries_is_found_out(
    connect: Connect, records: list[str], gatekeeper: Gatekeeper, http: httpx.Client, patient: LocalSigner
) -> None:
    anchor(gatekeeper)
    send = http.send
    mine = connect(patient)

    def lying(change: Callable[[Any], object]) -> Callable[..., httpx.Response]:
        def answer(request: httpx.Request, **options: Any) -> httpx.Response:
            given = send(request, **options)
            said = json.loads(given.content)
            change(said)
            return httpx.Response(200, content=json.dumps(said).encode(), request=request)

        return answer

    changes: list[Callable[[Any], object]] = [
        lambda page: page["entries"][0]["entry"].update(reason="OTHER"),
        lambda page: page["entries"][0].pop("entry"),
        lambda page: page["entries"][0].update(salt="0x" + "00" * 32),
        lambda page: page["entries"][0]["proof"].reverse(),
        lambda page: page["entries"][0]["proof"].pop(),
        lambda page: page["entries"][0].pop("promise"),
        lambda page: page["entries"][0]["promise"].update(index=1),
        lambda page: page.update(anchored=2),
        lambda page: page.update(anchored="x"),
        lambda page: page.update(log=1),
        lambda page: page.update(entries=7),
        lambda page: page.pop("custodian"),
    ]
    for change in changes:
        http.send = lying(change)  # type: ignore[method-assign]
        with pytest.raises(UnprovedRecordError):
            list(mine.accesses(patient.address))
    http.send = send  # type: ignore[method-assign]
    assert len(list(mine.accesses(patient.address))) == 3


def test_a_promise_that_is_not_kept_is_complained_of_and_answered(
    suite: MedProof,
    gatekeeper: Gatekeeper,
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    stranger: LocalSigner,
    tmp_path: Path,
) -> None:
    file = PromiseFile(tmp_path / "promises")
    connect(second_clinic, keep=file.add).fetch("Observation", records[0])
    [promise] = file
    promise.verify(suite)
    contract = suite.access_log

    def complain(given: Promise = promise) -> None:
        contract.complain(given.custodian, given.log, given.entry, given.due, given.signature, sender=second_clinic)

    with pytest.raises(PromiseNotDue):
        complain()
    rpc(suite.chain, "evm_increaseTime", promise.due - suite.chain.timestamp() + 5)
    rpc(suite.chain, "evm_mine")
    for bad, error in (
        (replace(promise, due=promise.due - 1), SignatureInvalid),
        (replace(promise, entry=keccak(b"other")), SignatureInvalid),
        (replace(promise, log=1), LogUnknown),
    ):
        with pytest.raises(error):
            complain(bad)
        with pytest.raises(PromiseError):
            bad.verify(suite)
    assert contract.complaint(promise.custodian, promise.entry) is None
    complain()
    with pytest.raises(ComplaintExists):
        complain()
    complaint = contract.complaint(promise.custodian, promise.entry)
    assert complaint is not None
    assert (complaint.answered, contract.open_complaints(clinic.address)) == (None, 1)
    [event] = contract.complaints(clinic.address)
    assert (bytes(event.arguments["entry"]), event.arguments["reader"]) == (promise.entry, second_clinic.address)

    assert promise.index is not None

    def answer(index: int = promise.index, entry: bytes = promise.entry) -> None:
        proof = log.leaves.inclusion_proof(index)
        contract.answer(clinic.address, 0, entry, index, proof, sender=stranger)

    with pytest.raises(EntryNotIncluded):
        answer()
    anchor(gatekeeper)
    with pytest.raises(EntryNotIncluded):
        answer(0)
    with pytest.raises(ComplaintUnknown):
        answer(0, next(log.leaves.leaves()))
    answer()
    with pytest.raises(ComplaintAnsweredAlready):
        answer()
    complaint = contract.complaint(promise.custodian, promise.entry)
    assert complaint is not None
    assert complaint.answered is not None
    assert contract.open_complaints(clinic.address) == 0
    with pytest.raises(LogOpenAlready):
        contract.open(0, stranger.address, sender=clinic)
    assert (contract.signer(clinic.address), contract.signer(clinic.address, log=1)) == (KEY.address, None)


def test_a_custodian_that_rewrites_its_log_is_found_out(
    suite: MedProof,
    gatekeeper: Gatekeeper,
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    tmp_path: Path,
) -> None:
    """It has the key, and makes every hash anew without the access that it wants to be forgotten."""
    kept: list[Promise] = []
    reader = connect(second_clinic, keep=kept.append)
    anchor(gatekeeper)
    for id_ in (*records[:2], records[0]):
        reader.fetch("Observation", id_)
    forged = EntryLog(
        tmp_path / "forged.db", KEYS, custodian=clinic.address, domain=suite.access_log.domain, signer=KEY
    )
    for one in log.entries():
        assert one.opening is not None
        if one.promise.index != 4:
            forged.add(one.opening.entry.access)

    def finding(copy: EntryLog, promises: list[Promise]) -> Any:
        report = verify(
            copy.lines(),
            custodian=clinic.address,
            log=0,
            batches=suite.batch_anchor.batches(clinic.address),
            signed=lambda promise: promise.is_by(suite, KEY.address),
            now=int(time.time()),
            promises=promises,
        )
        found = report.finding
        return found and (found.change, found.first, found.last)

    assert finding(log, kept) is None
    for promises in ([], kept):  # salts are new: it made the whole log anew
        change, first, last = finding(forged, promises)
        assert (change, first) == (Change.REWRITTEN, 0)
        assert last < 3  # the first size that was anchored
    forged.close()
    anchor(gatekeeper)
    assert finding(log, kept) is None


def test_many_readers_at_once_get_each_the_promise_of_its_own_entry(
    suite: MedProof,
    http: httpx.Client,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    second_clinic: LocalSigner,
    patient: LocalSigner,
) -> None:
    kept: list[Promise] = []

    def ask(number: int) -> bool:
        signer, id_ = ((second_clinic, records[0]), (patient, records[number % 3]))[number % 2]
        client = GatekeeperClient(ORIGIN, suite, signer, claims=TREATMENT, http=http, insist=True, keep=kept.append)
        access = client.fetch("Observation", id_).access
        return access is not None and access.opening is not None

    size = log.leaves.size
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(ask, range(36)))
    assert sorted(one.index or 0 for one in kept) == list(range(size, size + 36))
    assert {one.promise for one in log.entries(start=size)} == set(kept)


def test_a_request_that_comes_again_is_no_second_entry(
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    http: httpx.Client,
    second_clinic: LocalSigner,
) -> None:
    sent: list[httpx.Request] = []
    send = http.send

    def watched(request: httpx.Request, **options: Any) -> httpx.Response:
        sent.append(request)
        answer: httpx.Response = send(request, **options)
        return answer

    http.send = watched  # type: ignore[method-assign]
    connect(second_clinic).fetch("Observation", records[0])
    size = log.leaves.size
    again = send(sent[0])
    assert (again.status_code, HEADER in again.headers) == (401, False)
    assert log.leaves.refresh() == size


def test_the_log_is_anchored_when_the_gatekeeper_ends(
    gatekeeper: Gatekeeper, records: list[str], suite: MedProof, clinic: LocalSigner, log: EntryLog
) -> None:
    gatekeeper.stop()
    state = suite.batch_anchor.latest(clinic.address)
    assert state is not None
    assert (state.size, state.root) == (3, log.leaves.root())
    assert LeafLog(log._database).anchored() == 3


def test_a_process_that_is_behind_shows_what_others_logged(
    suite: MedProof,
    keep: Keep,
    settings: Settings,
    log: EntryLog,
    gatekeeper: Gatekeeper,
    connect: Connect,
    records: list[str],
    clinic: LocalSigner,
    patient: LocalSigner,
    tmp_path: Path,
) -> None:
    domain = suite.access_log.domain
    other = EntryLog(tmp_path / "log.db", KEYS, custodian=clinic.address, domain=domain, signer=KEY, patience=0.3)
    second = keep(entry_log=other, settings=replace(settings, anchor_interval=3600.0))
    list(connect(patient).search("Observation", patient.address))
    anchor(gatekeeper)
    client = httpx.Client(transport=Bridge(create_app(second)))
    seen = list(connect(patient, http=client).accesses(patient.address))
    assert (len(seen), all(one.anchored for one in seen)) == (log.leaves.size, True)
    other.close()


@pytest.mark.parametrize("number", [0, 1])
def test_a_gatekeeper_does_not_start_where_the_chain_has_another_log(
    suite: MedProof, keep: Keep, log: EntryLog, clinic: LocalSigner, number: int
) -> None:
    """As after a restore, or where receipts were anchored under this number: no promise could be kept."""
    suite.batch_anchor.anchor(clinic.address, 1, keccak(b"another"), log=number, sender=clinic)
    with pytest.raises(AnchorMismatchError, match=f"Log {number} and the chain differ"):
        keep(entry_log=log)


def test_nothing_is_promised_once_the_chain_has_another_log(
    suite: MedProof,
    gatekeeper: Gatekeeper,
    connect: Connect,
    records: list[str],
    granted: Rule,
    log: EntryLog,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    """As when a stolen account anchors a root of its own: what is logged from then on could never be anchored."""
    reader, anchorer = connect(second_clinic), gatekeeper.anchorer
    assert anchorer is not None
    assert reader.fetch("Observation", records[0]).access is not None
    size, sized = log.leaves.size, 10**6
    suite.batch_anchor.anchor(clinic.address, sized, keccak(b"another"), log=log.number, sender=clinic)
    anchorer.wake()
    limit = time.monotonic() + 10
    while anchorer.mismatch is None:
        assert time.monotonic() < limit, "the anchorer has not looked"
        time.sleep(0.01)
    assert refusal(lambda: reader.fetch("Observation", records[0])) == (503, "AUDIT_UNAVAILABLE")
    assert log.leaves.size == size


def test_the_access_log_and_that_of_readings_are_two(
    suite: MedProof, keep: Keep, clinic: LocalSigner, tmp_path: Path
) -> None:
    domain = suite.access_log.domain
    same = EntryLog(tmp_path / "log.db", KEYS, custodian=clinic.address, domain=domain, signer=KEY, number=1)
    with pytest.raises(ArgumentError, match="Log 1 cannot be both"):
        keep(entry_log=same)
    same.close()


def test_a_contracts_word_is_no_promise(
    suite: MedProof, clinic: LocalSigner, stranger: LocalSigner, fresh_account: LocalSigner
) -> None:
    """It could be taken back until somebody complains."""
    wallet = Wallet(suite, fresh_account, stranger)
    suite.access_log.open(5, wallet.address, sender=clinic)
    bare = Promise(clinic.address, 5, keccak(b"entry"), int(time.time()))
    promise = bare.with_signature(wallet.sign_typed_data(bare.typed_data(suite.access_log.domain)))
    with pytest.raises(PromiseError, match="did not sign"):
        promise.verify(suite)
