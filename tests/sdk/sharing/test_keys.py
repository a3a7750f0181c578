"""Encryption keys: their text, their file, and what nobody should encrypt to."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from medproof.client import MedProof
from medproof.client.registrar import PublishedKey
from medproof.contract_errors import PartyInactive
from medproof.errors import ArgumentError, EncryptionKeyError, WalletError
from medproof.sharing import EncryptionKeys, checked_key, key_text, read_key
from medproof.sharing.keys import wrap
from medproof.signing import LocalSigner
from medproof.wallet import Wallet, derivation_path, encryption_path
from tests.sdk.sharing.conftest import CHEAP, PHRASE, private

FIELD = 2**255 - 19
# RFC 7748, 7; the list is Bernstein's (cr.yp.to/ecdh.html, "validate").
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    FIELD - 1,
]
CUSTODIAN = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


@pytest.mark.parametrize("number", LOW_ORDER)
def test_a_key_of_low_order_is_refused(number: int) -> None:
    with pytest.raises(EncryptionKeyError, match="low order"):
        checked_key(number.to_bytes(32, "little"))


@pytest.mark.parametrize("number", [FIELD, FIELD + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1])
def test_a_key_has_one_form(number: int) -> None:
    with pytest.raises(EncryptionKeyError, match="one form"):
        checked_key(number.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(EncryptionKeyError, match=f"not {length}"):
        checked_key(bytes(length))
    with pytest.raises(EncryptionKeyError):
        EncryptionKeys([bytes(length)])


def test_the_text_of_a_key() -> None:
    key = EncryptionKeys([private(1)]).public
    text = key_text(key)
    assert len(text) == 60
    assert text.startswith("mpk1")
    assert read_key(f" {text.upper()}\n") == key


def test_every_mistyped_text_is_refused() -> None:
    text = key_text(EncryptionKeys([private(1)]).public)
    swapped = (text[:place] + text[place + 1] + text[place] + text[place + 2 :] for place in range(4, len(text) - 1))
    mistyped = (text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :] for place in range(len(text)))
    for wrong in {
        *swapped,
        *mistyped,
        "",
        "mpk1",
        text[:-1],
        text + "a",
        text[4:],
        "é" * 60,
        text[:30] + " " + text[30:],
    }:
        if wrong != text:
            with pytest.raises(EncryptionKeyError, match="mistyped"):
                read_key(wrong)
    with pytest.raises(EncryptionKeyError, match="low order"):
        read_key(key_text(bytes(32)))


def test_what_is_wrapped_opens_for_one_key_and_purpose() -> None:
    mine, other = EncryptionKeys([private(1)]), EncryptionKeys([private(2)])
    wrapped = wrap(b"s" * 32, mine.public, b"this")
    assert mine.unwrap(wrapped, mine.public, b"this") == b"s" * 32
    low = bytes(32) + wrapped[32:]
    for keys, text, info in ((mine, wrapped, b"that"), (mine, wrapped[:-1], b"this"), (mine, low, b"this")):
        with pytest.raises(InvalidTag):
            keys.unwrap(text, keys.public, info)
    with pytest.raises(InvalidTag):
        other.unwrap(wrapped, other.public, b"this")
    with pytest.raises(InvalidTag):
        other.unwrap(wrapped, mine.public, b"this")


# -- files -------------------------------------------------------------------------------------------------------


def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    keys = EncryptionKeys.create(path, "a password", cost=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert EncryptionKeys.load(path, "a password").all_public == keys.all_public
    assert keys.public not in path.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["clinic.keys"]
    assert key_text(keys.public) in repr(keys)


def test_the_cost_of_a_password(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    EncryptionKeys.create(path, "a password")
    assert json.loads(path.read_text())["cost"] == 1 << 17


def test_no_key_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    EncryptionKeys.create(path, "a password", cost=CHEAP)
    before = path.read_bytes()
    with pytest.raises(EncryptionKeyError, match="is there already"):
        EncryptionKeys.create(path, "another", cost=CHEAP)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["clinic.keys"]


def test_rotation_keeps_what_was(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    first = EncryptionKeys.create(path, "a password", cost=CHEAP)
    wrapped = wrap(b"s" * 32, first.public, b"")
    second = EncryptionKeys.rotate(path, "a password", cost=CHEAP)
    assert second.all_public == (second.public, first.public)
    assert second.public != first.public
    assert EncryptionKeys.load(path, "a password").unwrap(wrapped, first.public, b"") == b"s" * 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_do_not_rotate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    EncryptionKeys.create(path, "a password", cost=CHEAP)
    (tmp_path / ".clinic.keys.new").touch()  # another, or what one that was killed left
    with pytest.raises(EncryptionKeyError, match=r"Remove .*\.clinic\.keys\.new"):
        EncryptionKeys.rotate(path, "a password", cost=CHEAP)
    assert (tmp_path / ".clinic.keys.new").exists()


def test_a_failed_rotation_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    EncryptionKeys.create(path, "a password", cost=CHEAP)
    before = path.read_bytes()
    for password, cost in (("another", CHEAP), ("a password", 3)):
        with pytest.raises(EncryptionKeyError):
            EncryptionKeys.rotate(path, password, cost=cost)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["clinic.keys"]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "clinic.keys"
    EncryptionKeys.create(path, "a password", cost=CHEAP)
    said = json.loads(path.read_text())
    for changes, words in (
        ({"keys": said["keys"][:-2] + "00"}, "password"),
        ({"cost": 2 * CHEAP}, "password"),
        ({"salt": "00" * 16}, "password"),
        ({"keys": ""}, "password"),
        ({"cost": 1 << 40}, "no file of encryption keys"),
        ({"cost": "16"}, "no file of encryption keys"),
        ({"cost": 0}, "no file of encryption keys"),
        ({"version": 2}, "no file of encryption keys"),
        ({"format": "other"}, "no file of encryption keys"),
        ({"keys": "zz"}, "no file of encryption keys"),
        ({"salt": None}, "no file of encryption keys"),
    ):
        path.write_text(json.dumps({**said, **changes}))
        with pytest.raises(EncryptionKeyError, match=words):
            EncryptionKeys.load(path, "a password")
    for text in (b"", b"[]", b"\xff", b"[" * 10_000, b"{}"):
        path.write_bytes(text)
        with pytest.raises(EncryptionKeyError, match="no file of encryption keys"):
            EncryptionKeys.load(path, "a password")
    path.chmod(0o640)
    with pytest.raises(EncryptionKeyError, match="chmod 600"):
        EncryptionKeys.load(path, "a password")
    with pytest.raises(EncryptionKeyError, match="cannot be read"):
        EncryptionKeys.load(tmp_path / "nowhere", "a password")
    with pytest.raises(EncryptionKeyError, match="cannot be written"):
        EncryptionKeys.create(tmp_path / "nowhere" / "keys", "a password", cost=CHEAP)
    with pytest.raises(EncryptionKeyError, match="password is empty"):
        EncryptionKeys.create(tmp_path / "new", "", cost=CHEAP)
    assert not (tmp_path / "new").exists()


# -- patients ----------------------------------------------------------------------------------------------------


def test_the_keys_of_a_pseudonym() -> None:
    wallet = Wallet(PHRASE)
    first, both = (EncryptionKeys.of_pseudonym(wallet, CUSTODIAN, keys=count) for count in (1, 2))
    assert both.all_public[1] == first.public
    other = EncryptionKeys.of_pseudonym(wallet, CUSTODIAN, relationship=1)
    elsewhere = EncryptionKeys.of_pseudonym(wallet, "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF")
    assert len({*both.all_public, other.public, elsewhere.public}) == 4


def test_the_path_is_not_that_of_the_account() -> None:
    assert not encryption_path(CUSTODIAN).startswith(derivation_path(CUSTODIAN).rpartition("/")[0])
    assert encryption_path(CUSTODIAN, relationship=2, key=3).endswith("/2'/3'")
    for wrong in (-1, 1 << 31):
        with pytest.raises(WalletError, match=f"Key {wrong} is no BIP-32 index"):
            encryption_path(CUSTODIAN, key=wrong)
    with pytest.raises(WalletError, match="no checksummed address"):
        encryption_path(CUSTODIAN.lower())


# -- in the Registrar --------------------------------------------------------------------------------------------


def test_the_registrar_keeps_a_party_s_key(
    suite: MedProof, clinic: LocalSigner, clinic_keys: EncryptionKeys, second_keys: EncryptionKeys
) -> None:
    registrar = suite.registrar
    assert registrar.encryption_key(clinic.address) is None
    blocks = [
        registrar.publish_encryption_key(key, sender=clinic).block
        for key in (clinic_keys.public, second_keys.public, None)
    ]
    keys = (clinic_keys.public, second_keys.public, None)
    for block, key in zip(blocks, keys, strict=True):
        assert registrar.encryption_key(clinic.address, block=block) == key
    assert registrar.encryption_keys(clinic.address) == tuple(map(PublishedKey, keys, blocks))


def test_who_may_publish_a_key(suite: MedProof, stranger: LocalSigner, clinic: LocalSigner) -> None:
    with pytest.raises(PartyInactive):
        suite.registrar.publish_encryption_key(bytes(31) + b"\1", sender=stranger)
    for wrong in (bytes(32), b"", bytes(31), bytes(33)):
        with pytest.raises(ArgumentError, match="32 bytes"):
            suite.registrar.publish_encryption_key(wrong, sender=clinic)
