"""The mailbox: any active party brings sealed messages, the custodian alone lists, reads and removes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Gatekeeper, Settings, create_app
from medproof.gateway.mailbox_client import MailboxClient
from medproof.sharing import Content, EncryptionKeys, Envelope, open_envelope, seal
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.gateway.conftest import ORIGIN, Bridge, Keep

SEALED = b'{"format": "medproof-message"}'
Reach = Callable[[LocalSigner], MailboxClient]


@pytest.fixture
def reach(suite: MedProof, http: httpx.Client) -> Reach:
    return lambda signer: MailboxClient(ORIGIN, suite, signer, http=http)


def refused(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(GatekeeperRefusalError) as caught:
        call()
    return caught.value.status, caught.value.code


def test_from_one_clinic_to_the_other(
    reach: Reach, suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    keys = EncryptionKeys([b"\1" * 32])
    suite.registrar.publish_encryption_key(keys.public, sender=clinic)
    sealed = seal(suite, second_clinic, Content.text("Please call back."), [clinic.address])
    id_ = reach(second_clinic).bring(sealed.to_json().encode())

    mailbox = reach(clinic)
    [one] = mailbox.waiting()
    assert (one.id, one.sender, one.size) == (id_, second_clinic.address, len(sealed.to_json()))
    fetched = Envelope.from_json(mailbox.fetch(one.id))
    assert open_envelope(suite, fetched, keys, reader=clinic.address).content == Content.text("Please call back.")
    mailbox.remove(one.id)
    assert list(mailbox.waiting()) == []
    assert refused(lambda: mailbox.fetch(one.id)) == (404, "NOT_FOUND")
    assert refused(lambda: mailbox.remove(one.id)) == (404, "NOT_FOUND")


def test_the_same_message_is_kept_once(
    reach: Reach, clinic: LocalSigner, second_clinic: LocalSigner, payer: LocalSigner
) -> None:
    first, again, others = (reach(signer).bring(SEALED) for signer in (second_clinic, second_clinic, payer))
    assert first == again != others
    assert [one.sender for one in reach(clinic).waiting()] == [second_clinic.address, payer.address]


def test_it_is_kept_as_it_came_and_survives_a_restart(
    reach: Reach, keep: Keep, suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    bodies = [SEALED, b"\0\xff no JSON", b" " * 1000]
    ids = [reach(second_clinic).bring(body) for body in bodies]
    again = httpx.Client(transport=Bridge(create_app(keep())))
    mailbox = MailboxClient(ORIGIN, suite, clinic, http=again)
    assert [one.id for one in mailbox.waiting()] == ids
    assert [mailbox.fetch(one) for one in ids] == bodies
    described = again.get(f"{ORIGIN}/openapi.json").json()["paths"]
    assert {"/messages", "/messages/{id}"} <= described.keys()
    assert "application/octet-stream" in described["/messages"]["post"]["requestBody"]["content"]


def test_who_may_not(
    reach: Reach,
    suite: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    stranger: LocalSigner,
) -> None:
    id_ = reach(second_clinic).bring(SEALED)
    for signer, expected in ((second_clinic, "NOT_THE_CUSTODIAN"), (stranger, "INACTIVE_PARTY")):
        mailbox = reach(signer)
        assert refused(lambda mailbox=mailbox: list(mailbox.waiting())) == (403, expected)
        assert refused(lambda mailbox=mailbox: mailbox.fetch(id_)) == (403, expected)
        assert refused(lambda mailbox=mailbox: mailbox.remove(id_)) == (403, expected)
    assert refused(lambda: reach(stranger).bring(SEALED)) == (403, "INACTIVE_PARTY")
    suite.registrar.suspend(second_clinic.address, sender=admin)
    assert refused(lambda: reach(second_clinic).bring(b"another")) == (403, "INACTIVE_PARTY")
    assert [one.id for one in reach(clinic).waiting()] == [id_]


def test_what_is_not_a_request(
    reach: Reach, http: httpx.Client, clinic: LocalSigner, second_clinic: LocalSigner, settings: Settings
) -> None:
    assert http.get(f"{ORIGIN}/messages").status_code == 401
    assert http.post(f"{ORIGIN}/messages", content=SEALED).status_code == 401
    assert http.request("DELETE", f"{ORIGIN}/messages/0x{'00' * 32}").status_code == 401
    assert refused(lambda: reach(second_clinic).bring(b"")) == (400, "EMPTY")
    assert refused(lambda: reach(second_clinic).bring(bytes(settings.max_body + 1))) == (413, "BODY_TOO_LONG")
    mailbox = reach(clinic)
    for wrong in ("0x", "0x" + "A" * 64, "x", "0x" + "00" * 33, "..%2f", "0x" + "00" * 31 + "0'"):
        assert refused(lambda wrong=wrong: mailbox.fetch(wrong))[0] in (400, 404)
    for query in ("_count=0", "_count=101", "_after=-1", "_after=x", "_after=99999999999999999999", "sender=x"):
        assert refused(lambda query=query: mailbox._send("GET", f"/messages?{query}")) == (400, "PARAMETER")


def test_pages(reach: Reach, clinic: LocalSigner, second_clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, mailbox = reach(second_clinic), reach(clinic)
    ids = [sender.bring(b"message %d" % number) for number in range(5)]
    monkeypatch.setattr("medproof.gateway.mailbox_client._PAGE", 2)
    found = []
    for one in mailbox.waiting():  # each is removed as soon as it is listed
        found.append(one.id)
        mailbox.remove(one.id)
    assert found == ids


@pytest.mark.parametrize("bound", [{"mailbox_messages": 2}, {"mailbox_bytes": 25}])
def test_a_sender_fills_its_own_share_alone(
    keep: Keep,
    settings: Settings,
    suite: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    bound: dict[str, int],
) -> None:
    http = httpx.Client(transport=Bridge(create_app(keep(settings=replace(settings, **bound)))))
    sender, other, mailbox = (MailboxClient(ORIGIN, suite, one, http=http) for one in (second_clinic, payer, clinic))
    first = sender.bring(b"message no. 1")
    sender.bring(b"message no. 2"[:12])
    assert refused(lambda: sender.bring(b"message no. 3")) == (429, "MAILBOX_FULL")
    assert sender.bring(b"message no. 1") == first  # it is there
    other.bring(b"message no. 1")
    mailbox.remove(first)
    sender.bring(b"message no. 3")


def test_many_bring_the_same_at_once(reach: Reach, clinic: LocalSigner, second_clinic: LocalSigner) -> None:
    ids: list[str] = []
    workers = [threading.Thread(target=lambda: ids.append(reach(second_clinic).bring(SEALED))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ids) == 6
    assert [one.id for one in reach(clinic).waiting()] == ids[:1]


def test_a_gatekeeper_that_only_serves_keeps_no_mailbox(
    keep: Keep, suite: MedProof, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    http = httpx.Client(transport=Bridge(create_app(keep(sender=None))))
    assert refused(lambda: MailboxClient(ORIGIN, suite, second_clinic, http=http).bring(SEALED)) == (404, "NO_MAILBOX")
    assert refused(lambda: list(MailboxClient(ORIGIN, suite, clinic, http=http).waiting())) == (404, "NO_MAILBOX")


def test_a_database_that_is_gone(
    reach: Reach, store: SqlStore, gatekeeper: Gatekeeper, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE messages RENAME TO gone")
    assert refused(lambda: reach(second_clinic).bring(SEALED)) == (503, "STORE_UNAVAILABLE")
    assert refused(lambda: list(reach(clinic).waiting())) == (503, "STORE_UNAVAILABLE")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"messages": [{}]}',
        b'{"messages": [{"id": "../x", "sender": "0x1", "received": "", "size": 1}]}',
        b'{"messages": [{"id": "0x%s", "sender": "%s", "received": "\\u001b[2J", "size": 1}]}'
        % (b"00" * 32, b"0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"),
        b'{"messages": [], "next": 0}',
        b'{"messages": [], "next": "x"}',
    ],
)
def test_a_gatekeeper_that_answers_nonsense(suite: MedProof, clinic: LocalSigner, answer: bytes) -> None:
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=answer)))
    assert refused(lambda: list(MailboxClient(ORIGIN, suite, clinic, http=http).waiting())) == (502, "UNREADABLE")
