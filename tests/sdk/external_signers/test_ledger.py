"""A Ledger, by the commands that its Ethereum app documents, through the library's own transport. No device is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from medproof.errors import ExternalSignerError, MissingExtraError
from medproof.external_signers import LEDGER_PATH, LedgerSigner, external_signer
from medproof.messages import Domain, withdrawal
from medproof.signing import LocalSigner, Signer, TransactionSigner
from tests.sdk.external_signers.signers import ORDER, FakeLedger, as_speculos, fresh

HARDENED = 1 << 31
PATH = bytes([5]) + b"".join(step.to_bytes(4) for step in (44 | HARDENED, 60 | HARDENED, HARDENED, 0, 0))
MESSAGE = withdrawal(Domain("ConsentRegistry", 1337, "0x" + "12" * 20), subject="0x" + "34" * 20, deadline=2**40)
TO = "0x52908400098527886E0F7030069857D2E4169EE7"
LEGACY = {"to": TO, "gasPrice": 7, "gas": 90_000, "nonce": 3, "value": 1, "data": "0xabcdef01"}
DYNAMIC = {**LEGACY, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1, "chainId": 11155111}
del DYNAMIC["gasPrice"]


@pytest.fixture
def account() -> LocalAccount:
    return fresh()


@pytest.fixture
def device(account: LocalAccount) -> FakeLedger:
    return FakeLedger(account, PATH)


@pytest.fixture
def place(device: FakeLedger) -> Iterator[str]:
    with as_speculos(device) as at:
        yield at


@pytest.fixture
def signer(place: str) -> LedgerSigner:
    return LedgerSigner.connect(emulator=place)


def test_it_is_a_signer_of_both_kinds(signer: LedgerSigner, device: FakeLedger, account: LocalAccount) -> None:
    assert isinstance(signer, Signer)
    assert isinstance(signer, TransactionSigner)
    assert signer.address == account.address
    assert device.commands == [bytes([0xE0, 0x02, 0, 0, len(PATH)]) + PATH]
    assert account.address in repr(signer)


@pytest.mark.parametrize("chain_id", [1, 1337, 7777, 11155111, 2**53])
@pytest.mark.parametrize("data", [b"", b"\x01" * 7, b"\x02" * 300, b"\x03" * 20_000], ids=len)
@pytest.mark.parametrize("kind", ["legacy", "dynamic"])
def test_a_transaction_is_what_its_account_itself_would_sign(
    signer: LedgerSigner, account: LocalAccount, kind: str, data: bytes, chain_id: int
) -> None:
    transaction: dict[str, Any] = {**(LEGACY if kind == "legacy" else DYNAMIC), "data": data, "chainId": chain_id}
    assert signer.sign_transaction(transaction) == bytes(account.sign_transaction(transaction).raw_transaction)


def test_a_creation_is_signed(signer: LedgerSigner, account: LocalAccount) -> None:
    transaction = {**DYNAMIC, "data": b"\x60" * 900}
    del transaction["to"]
    assert signer.sign_transaction(transaction) == bytes(account.sign_transaction(transaction).raw_transaction)


def test_no_tail_of_a_legacy_transaction_is_cut_in_two(
    signer: LedgerSigner, device: FakeLedger, account: LocalAccount
) -> None:
    """The app reads chain id and two zeros in one piece: a last command never begins within them."""
    for length in range(160, 480):
        transaction = {**LEGACY, "data": b"\x05" * length, "chainId": 11155111}
        device.commands.clear()
        assert signer.sign_transaction(transaction) == bytes(account.sign_transaction(transaction).raw_transaction)
        assert len(device.commands) == 1 or len(device.commands[-1]) - 5 > 6


def test_a_message_is_signed_by_its_two_hashes(signer: LedgerSigner, device: FakeLedger, account: LocalAccount) -> None:
    device.commands.clear()
    assert signer.sign_typed_data(MESSAGE) == LocalSigner(account).sign_typed_data(MESSAGE)
    said = MESSAGE.signable()
    content = PATH + said.header + said.body
    assert device.commands == [bytes([0xE0, 0x0C, 0, 0, len(content)]) + content]


def test_whatever_v_says_is_one_bit(signer: LedgerSigner, device: FakeLedger, account: LocalAccount) -> None:
    good = LocalSigner(account).sign_typed_data(MESSAGE)
    for say in (lambda v: v - 27, lambda v: v, lambda v: 0xFF):
        device.legacy_v = say
        assert signer.sign_typed_data(MESSAGE) == good


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0x6985, "refuses. Its user said no"),
        (0x6A80, "blind signing"),
        (0x5515, "Unlock"),
        (0x6B0C, "Unlock"),
        (0x6511, "Open its Ethereum app"),
        (0x6E00, "another app"),
        (0x6D00, "another app"),
        (0x1234, "0x1234"),
    ],
)
def test_what_the_device_says_no_with(signer: LedgerSigner, device: FakeLedger, status: int, said: str) -> None:
    device.status = lambda instruction: status
    for sign in (lambda: signer.sign_typed_data(MESSAGE), lambda: signer.sign_transaction(DYNAMIC)):
        with pytest.raises(ExternalSignerError, match=said):
            sign()


def high(answer: bytes) -> bytes:
    return answer[:33] + (ORDER - int.from_bytes(answer[33:])).to_bytes(32)


@pytest.mark.parametrize(
    "change",
    [high, lambda answer: b"", lambda answer: answer[:-1], lambda answer: answer + b"\0", lambda answer: bytes(65)],
    ids=["the twin", "nothing", "cut", "longer", "zeros"],
)
def test_no_other_signature_is_taken(signer: LedgerSigner, device: FakeLedger, change: Any) -> None:
    device.change = change
    for sign in (lambda: signer.sign_typed_data(MESSAGE), lambda: signer.sign_transaction(DYNAMIC)):
        with pytest.raises(ExternalSignerError, match="signature"):
            sign()


def test_anothers_signature_is_refused(signer: LedgerSigner, device: FakeLedger) -> None:
    device.account = fresh()
    with pytest.raises(ExternalSignerError, match=f"not {signer.address}"):
        signer.sign_transaction(DYNAMIC)


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: b"",
        lambda answer: b"\x41",
        lambda answer: answer[:60],
        lambda answer: answer[:-1] + b"z",
        lambda answer: bytes([65]) + b"\x04" + bytes(64) + answer[66:],
        lambda answer: b"\xff" * 300,
    ],
    ids=["nothing", "a length", "cut", "another address", "no key", "rubbish"],
)
def test_no_account_is_read_from_rubbish(device: FakeLedger, place: str, change: Any) -> None:
    device.change = change
    with pytest.raises(ExternalSignerError, match="gives no account"):
        LedgerSigner.connect(emulator=place)


class Gone:
    """A transport whose device was pulled out."""

    def exchange(self, cla: int, ins: int, p1: int = 0, p2: int = 0, *, cdata: bytes = b"") -> tuple[int, bytes]:
        raise AssertionError  # as the library does


def test_a_device_that_is_gone(signer: LedgerSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer, "_transport", Gone())
    with pytest.raises(ExternalSignerError, match="does not answer"):
        signer.sign_typed_data(MESSAGE)
    with pytest.raises(ExternalSignerError, match="does not answer"):
        LedgerSigner(Gone())


def test_no_device_is_there(unused_port: int) -> None:
    with pytest.raises(ExternalSignerError, match="is not there"):
        external_signer("ledger:")  # none is plugged in where tests run
    with pytest.raises(ExternalSignerError, match="is not there"):
        external_signer(f"ledger:@127.0.0.1:{unused_port}")


@pytest.mark.parametrize(
    "path", ["44'/60'/0'/0/0", "44h/60h/0h/0/0", "m/44'/60'/0'/0/0", "", LEDGER_PATH], ids=lambda path: path or "none"
)
def test_a_path_is_named(place: str, account: LocalAccount, path: str) -> None:
    assert external_signer(f"ledger:{path}@{place}").address == account.address


@pytest.mark.parametrize("path", ["44''/60", "a", "44/", "-1", "2147483648", "0/" * 10 + "0", "44'/60' /0", "\u0664"])
def test_no_path(path: str, place: str) -> None:
    with pytest.raises(ExternalSignerError, match="path"):
        external_signer(f"ledger:{path}@{place}")


@pytest.mark.parametrize("place", ["somewhere", "127.0.0.1:", ":9", "127.0.0.1:x"])
def test_no_place(place: str) -> None:
    with pytest.raises(ExternalSignerError, match="host:port"):
        external_signer(f"ledger:@{place}")


def test_another_path_is_another_account(place: str) -> None:
    with pytest.raises(
        ExternalSignerError, match="blind signing"
    ):  # what this device says to a path that it does not know
        external_signer(f"ledger:44'/60'/1'/0/0@{place}")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ledgercomm", None)
    with pytest.raises(MissingExtraError, match=r"medproof\[ledger\]"):
        external_signer("ledger:")
