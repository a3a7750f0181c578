"""Clef and Web3Signer as their interfaces are published: what they are asked, and that nothing else is taken for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.errors import ExternalSignerError
from medproof.external_signers import RemoteSigner, external_signer
from medproof.messages import Domain, FreeMessage, TypedData, batch, withdrawal
from medproof.policy.word import Rule
from medproof.raw_transaction import signature_in
from medproof.signatures import digest, signer_of
from medproof.signing import LocalSigner, Signer, TransactionSigner
from tests.sdk.conftest import rpc
from tests.sdk.external_signers.signers import ORDER, FakeSigner, RefusedError, fresh, over_http, over_ipc, twin

CHAIN_ID = 1337
DOMAIN = Domain("ConsentRegistry", CHAIN_ID, "0x" + "12" * 20)
KINDS = ("clef", "web3signer")
LEGACY = {"gasPrice": 7, "gas": 90_000, "nonce": 0, "chainId": CHAIN_ID, "value": 0, "data": "0xabcdef01"}
TO = "0x52908400098527886E0F7030069857D2E4169EE7"
DYNAMIC = {**LEGACY, "to": TO, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1}
del DYNAMIC["gasPrice"]


@pytest.fixture
def account() -> LocalAccount:
    return fresh()


@pytest.fixture(params=KINDS)
def fake(request: pytest.FixtureRequest, account: LocalAccount) -> FakeSigner:
    return FakeSigner(request.param, account, CHAIN_ID)


@pytest.fixture
def url(fake: FakeSigner) -> Iterator[str]:
    with over_http(fake) as at:
        yield at


@pytest.fixture
def signer(fake: FakeSigner, url: str) -> RemoteSigner:
    return RemoteSigner(fake.kind, url)


def test_it_is_a_signer_of_both_kinds(signer: RemoteSigner, account: LocalAccount) -> None:
    assert isinstance(signer, Signer)
    assert isinstance(signer, TransactionSigner)
    assert signer.address == account.address
    assert account.address in repr(signer)


@pytest.mark.parametrize(
    "transaction",
    [
        LEGACY,
        {**LEGACY, "to": TO, "value": 5},
        DYNAMIC,
        {**DYNAMIC, "data": b"\x01\x02", "nonce": 2**40},
        {**DYNAMIC, "to": None, "maxPriorityFeePerGas": 0},
        {**LEGACY, "to": TO, "data": None},
    ],
    ids=["creation", "legacy", "dynamic", "bytes", "creation, dynamic", "no data"],
)
def test_a_transaction_is_what_its_account_itself_would_sign(
    signer: RemoteSigner, account: LocalAccount, transaction: dict[str, Any]
) -> None:
    meant = {name: value for name, value in transaction.items() if value is not None}
    assert signer.sign_transaction(transaction) == bytes(account.sign_transaction(meant).raw_transaction)


@pytest.mark.parametrize(
    "message",
    [
        withdrawal(DOMAIN, subject=TO, deadline=2**255 + 1),
        batch(DOMAIN, publisher=TO, log=1, size=2**53 + 1, root=b"\x07" * 32, consistent=True, deadline=2**64),
        FreeMessage(
            DOMAIN,
            "Many",
            {"names": ["é", ""], "parts": [{"key": b"\x01" * 32, "count": 2**47}], "none": []},
            {"Many": "string[] names,Part[] parts,bytes32[] none", "Part": "bytes32 key,uint48 count"},
        ),
    ],
    ids=lambda message: message.primary_type,
)
def test_a_message_is_signed_as_typed_data(signer: RemoteSigner, account: LocalAccount, message: TypedData) -> None:
    assert signer.sign_typed_data(message) == LocalSigner(account).sign_typed_data(message)


def test_over_a_socket_it_is_the_same(fake: FakeSigner, account: LocalAccount) -> None:
    message = withdrawal(DOMAIN, subject=TO, deadline=9)
    with TemporaryDirectory() as folder, over_ipc(fake, Path(folder) / "clef.ipc") as path:
        signer = RemoteSigner(fake.kind, path)
        assert signer.sign_typed_data(message) == LocalSigner(account).sign_typed_data(message)
        assert signer.sign_transaction(DYNAMIC) == bytes(account.sign_transaction(DYNAMIC).raw_transaction)


def test_the_suite_is_used_through_it(fake: FakeSigner, signer: RemoteSigner, suite: MedProof, rule: Rule) -> None:
    """Signed by the signer's account as the subject, and sent by it as well."""
    grantee = TO
    rpc(suite.chain, "evm_setAccountBalance", signer.address, hex(10**18))
    message: SignedMessage = suite.consent_registry.sign_grant(signer, grantee, rule)
    suite.relay(message, sender=signer)
    assert suite.consent_registry.rule(signer.address, grantee) is not None
    suite.consent_registry.revoke(grantee, sender=signer)
    assert len([one for one in fake.asked if "ransaction" in one]) == 2


# -- what is altered ---------------------------------------------------------------------------------------------

CHANGES: dict[str, dict[str, Any]] = {
    "to": {"to": "0x8617E340B3D01FA5F11F306F4090FD50E238070D"},
    "value": {"value": 1},
    "data": {"data": "0xabcdef02"},
    "nonce": {"nonce": 1},
    "gas": {"gas": 90_001},
    "fee": {"maxFeePerGas": 10},
    "tip": {"maxPriorityFeePerGas": 0},
    "chain": {"chainId": 1},
    "access list": {"accessList": [{"address": TO, "storageKeys": []}]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_altered_transaction_is_refused(signer: RemoteSigner, fake: FakeSigner, what: str) -> None:
    fake.change = lambda transaction: {**transaction, **CHANGES[what]}
    with pytest.raises(ExternalSignerError, match="another transaction"):
        signer.sign_transaction(DYNAMIC)


def test_another_type_of_transaction_is_refused(signer: RemoteSigner, fake: FakeSigner) -> None:
    fake.change = lambda transaction: {**LEGACY, "to": TO}
    with pytest.raises(ExternalSignerError, match="another transaction"):
        signer.sign_transaction(DYNAMIC)
    fake.change = lambda transaction: DYNAMIC
    with pytest.raises(ExternalSignerError, match="another transaction"):
        signer.sign_transaction({**LEGACY, "to": TO})


def test_another_chain_of_a_legacy_transaction_is_refused(signer: RemoteSigner, fake: FakeSigner) -> None:
    fake.change = lambda transaction: {**transaction, "chainId": 1}
    with pytest.raises(ExternalSignerError, match="another transaction"):
        signer.sign_transaction(LEGACY)


def test_anothers_signature_is_refused(signer: RemoteSigner, fake: FakeSigner) -> None:
    other = fresh()
    fake.account = other
    sign = fake.sign_transaction
    fake.sign_transaction = lambda parameters: sign([{**parameters[0], "from": other.address}])  # type: ignore[method-assign]
    with pytest.raises(ExternalSignerError, match=signer.address):
        signer.sign_transaction(DYNAMIC)


def wrapped(fake: FakeSigner, raw: bytes) -> dict[str, Any]:
    result: Any = "0x" + raw.hex()
    return {"jsonrpc": "2.0", "id": 1, "result": result if fake.kind == "web3signer" else {"raw": result, "tx": {}}}


@pytest.mark.parametrize("transaction", [{**LEGACY, "to": TO}, DYNAMIC], ids=["legacy", "dynamic"])
def test_the_twin_of_a_signature_is_refused(
    signer: RemoteSigner, fake: FakeSigner, account: LocalAccount, transaction: dict[str, Any]
) -> None:
    good = bytes(account.sign_transaction(transaction).raw_transaction)
    fake.answer = lambda method: wrapped(fake, good)
    assert signer.sign_transaction(transaction) == good
    fake.answer = lambda method: wrapped(fake, twin(good, CHAIN_ID))
    with pytest.raises(ExternalSignerError, match="gave a signature that is not"):
        signer.sign_transaction(transaction)


def test_a_messages_twin_is_refused(signer: RemoteSigner, fake: FakeSigner, account: LocalAccount) -> None:
    message = withdrawal(DOMAIN, subject=TO, deadline=9)
    good = LocalSigner(account).sign_typed_data(message)
    high = ORDER - int.from_bytes(good[32:64])
    other = good[:32] + high.to_bytes(32) + bytes([55 - good[64]])
    for signature in (other, good[:64] + bytes([good[64] - 27]), good + b"\0", good[:64], b"\0" * 65):
        fake.answer = lambda method, signature=signature: {"result": "0x" + signature.hex()}  # type: ignore[misc]
        with pytest.raises(ExternalSignerError, match="gave a signature that is not"):
            signer.sign_typed_data(message)


def test_a_signature_of_another_message_is_refused(
    signer: RemoteSigner, fake: FakeSigner, account: LocalAccount
) -> None:
    message = withdrawal(DOMAIN, subject=TO, deadline=9)
    other = LocalSigner(account).sign_typed_data(withdrawal(DOMAIN, subject=TO, deadline=10))
    fake.answer = lambda method: {"result": "0x" + other.hex()}
    with pytest.raises(ExternalSignerError, match=r"gave a signature that is not.*Nothing was sent"):
        signer.sign_typed_data(message)


@pytest.mark.parametrize("cut", [0, 1, 5, 50, -66, -33, -1])
def test_a_cut_or_longer_transaction_is_refused(
    signer: RemoteSigner, fake: FakeSigner, account: LocalAccount, cut: int
) -> None:
    good = bytes(account.sign_transaction(DYNAMIC).raw_transaction)
    for raw in (good[:cut], good + good[:1]):
        fake.answer = lambda method, raw=raw: wrapped(fake, raw)  # type: ignore[misc]
        with pytest.raises(ExternalSignerError, match=r"gave (no signature|another transaction)"):
            signer.sign_transaction(DYNAMIC)


def test_no_signature_is_read_from_rubbish() -> None:
    for raw in (
        b"",
        b"\x02",
        b"\xc0",
        b"\xc3\x01\x02\x03",
        b"\x02\xc0",
        b"\xc1\xc0",
        b"\x02" + b"\xc1" * 3000,
        b"\xff" * 9,
    ):
        assert signature_in(raw, chain_id=CHAIN_ID) is None


# -- what is no answer -------------------------------------------------------------------------------------------

ODD: dict[str, Any] = {
    "a web page": b"<html>",
    "half": b'{"jsonrpc": "2.0", "resu',
    "a list": [],
    "no result": {"jsonrpc": "2.0", "id": 1},
    "null": {"result": None},
    "a number": {"result": 5},
    "an object": {"result": {"raw": 5}},
    "no hex": {"result": "0xgg"},
    "half a byte": {"result": "0x123"},
    "too much": b"[" * (1 << 21),
    "too deep": b'{"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "both": {"result": "0x12", "error": {"message": "no"}},
    "an error that is none": {"error": 7},
}


@pytest.mark.parametrize("over", ["http", "ipc"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_answers(fake: FakeSigner, odd: str, over: str, tmp_path: Path) -> None:
    message = withdrawal(DOMAIN, subject=TO, deadline=9)
    with (
        TemporaryDirectory() as folder,
        over_http(fake) if over == "http" else over_ipc(fake, Path(folder) / "s") as at,
    ):
        signer = RemoteSigner(fake.kind, at, patience=5)
        fake.answer = lambda method: ODD[odd]
        for sign in (lambda: signer.sign_typed_data(message), lambda: signer.sign_transaction(DYNAMIC)):
            with pytest.raises(ExternalSignerError):
                sign()
        with pytest.raises(ExternalSignerError):
            RemoteSigner(fake.kind, at, patience=5)


def test_a_refusal_says_what_the_signer_says(signer: RemoteSigner, fake: FakeSigner) -> None:
    def refuse(transaction: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("request denied" + "\x1b[2J" + "x" * 1000)

    fake.change = refuse
    with pytest.raises(ExternalSignerError, match="request denied") as caught:
        signer.sign_transaction(DYNAMIC)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_nobody_is_there(unused_port: int, tmp_path: Path) -> None:
    for at in (f"http://user:hunter2@127.0.0.1:{unused_port}/key", str(tmp_path / "none.ipc")):
        with pytest.raises(ExternalSignerError, match="does not answer account_list") as caught:
            RemoteSigner("clef", at)
        assert "hunter2" not in str(caught.value)
        assert "/key" not in str(caught.value)


def test_nobody_looks_at_it(fake: FakeSigner, account: LocalAccount) -> None:
    with TemporaryDirectory() as folder, over_ipc(fake, Path(folder) / "s") as path:
        signer = RemoteSigner(fake.kind, path, patience=0.05)
        fake.answer = lambda method: b'{"not": "finished'
        with pytest.raises(ExternalSignerError, match=r"does not answer|refuses"):
            signer.sign_transaction(DYNAMIC)


# -- how they are named ------------------------------------------------------------------------------------------


def test_one_is_named_by_a_text(fake: FakeSigner, url: str, account: LocalAccount) -> None:
    assert external_signer(f"{fake.kind}:{url}").address == account.address
    assert fake.asked
    fake.asked.clear()
    assert external_signer(f"{fake.kind}:{url}#{account.address.lower()}").address == account.address
    assert fake.asked == []  # nobody had to allow a list


def test_of_several_accounts_one_must_be_named(fake: FakeSigner, url: str) -> None:
    fake.others = [TO]
    with pytest.raises(ExternalSignerError, match=r"has 2 accounts.*after a #"):
        external_signer(f"{fake.kind}:{url}")


def test_an_account_that_it_does_not_have_signs_nothing(fake: FakeSigner, url: str) -> None:
    signer = external_signer(f"{fake.kind}:{url}#{TO}")
    with pytest.raises(ExternalSignerError, match="unknown account"):
        signer.sign_transaction(DYNAMIC)


@pytest.mark.parametrize(
    "named",
    [
        "trezor:",
        "clef",
        "",
        "clef:",
        "clef:#0x" + "12" * 20,
        "clef:http://127.0.0.1:1#0x12",
        "CLEF:http://h",
        "clef:http://[",
        "clef:http://h:x",
        "clef:http://",
        "clef:file:///etc/passwd",
        "clef:/tmp/\0",
        "clef:" + "/x" * 500,
    ],
)
def test_what_names_none(named: str) -> None:
    with pytest.raises(ExternalSignerError):
        external_signer(named)


def test_numbers_are_text_and_bytes_are_hexadecimal(fake: FakeSigner, signer: RemoteSigner) -> None:
    seen: list[Any] = []
    sign: Callable[[list[Any]], Any] = fake.sign_typed_data
    fake.sign_typed_data = lambda parameters: (seen.append(json.loads(json.dumps(parameters))), sign(parameters))[1]  # type: ignore
    message = batch(DOMAIN, publisher=TO, log=1, size=2**60 + 1, root=b"\xab" * 32, consistent=True, deadline=5)
    assert signer_of(digest(message.signable()), signer.sign_typed_data(message)) == signer.address
    said = json.loads(seen[0][1]) if fake.kind == "web3signer" else seen[0][1]
    assert said["message"]["size"] == str(2**60 + 1)
    assert said["message"]["root"] == "0x" + "ab" * 32
    assert said["message"]["consistent"] is True


def test_clef_is_told_which_function_is_called(account: LocalAccount, suite: MedProof, chain: Chain) -> None:
    fake = FakeSigner("clef", account, CHAIN_ID)
    registry = suite.consent_registry.contract
    told: list[list[Any]] = []
    sign = fake.sign_transaction
    fake.sign_transaction = lambda parameters: (told.append(parameters[1:]), sign(parameters))[1]  # type: ignore
    with over_http(fake) as at:
        signer = RemoteSigner("clef", at)
        data = chain.call_data(registry, "setBreakGlassLimits", [1, 2])
        signer.sign_transaction({**DYNAMIC, "to": registry.address, "data": data})
        signer.sign_transaction({**DYNAMIC, "to": None, "data": data})
        signer.sign_transaction({**DYNAMIC, "data": "0xdeadbeef"})
    assert told == [["setBreakGlassLimits(uint16,uint16)"], [], []]
