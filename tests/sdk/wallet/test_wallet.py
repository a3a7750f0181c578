"""A patient's wallet: standard derivation, a pseudonym for each relationship, and nothing of it in any text."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import traceback
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_keys import keys
from eth_utils.crypto import keccak

from medproof.errors import KeystoreError, WalletError
from medproof.signing import LocalSigner, NodeSigner, Signer, TransactionSigner
from medproof.wallet import Wallet, derivation_path
from scripts.local_chain import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "wallet.json").read_text(encoding="utf-8"))
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
CUSTODIANS = [Account.from_key(bytes(31) + bytes([number])).address for number in range(1, 9)]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def independent_key(phrase: str, passphrase: str, custodian: str, relationship: int) -> bytes:
    """BIP-39 and BIP-32 from their own text, with nothing but hashes: every level is hardened."""
    words = unicodedata.normalize("NFKD", phrase).encode()
    seed = hashlib.pbkdf2_hmac("sha512", words, unicodedata.normalize("NFKD", "mnemonic" + passphrase).encode(), 2048)
    digest = keccak(b"medproof:relationship:v1" + bytes.fromhex(custodian[2:]))
    bits = "".join(f"{byte:08b}" for byte in digest)
    node = hmac.new(b"Bitcoin seed", seed, hashlib.sha512).digest()
    for index in (44, 60, int(bits[:31], 2), int(bits[31:62], 2), relationship):
        data = b"\0" + node[:32] + (index | 1 << 31).to_bytes(4, "big")
        child = hmac.new(node[32:], data, hashlib.sha512).digest()
        secret = (int.from_bytes(child[:32], "big") + int.from_bytes(node[:32], "big")) % ORDER
        node = secret.to_bytes(32, "big") + child[32:]
    return node[:32]


@pytest.mark.parametrize("vector", VECTORS["pseudonyms"], ids=lambda vector: vector["path"])
def test_vectors(vector: dict[str, Any]) -> None:
    custodian, relationship = vector["custodian"], vector["relationship"]
    assert derivation_path(custodian, relationship=relationship) == vector["path"]
    signer = Wallet(vector["phrase"], passphrase=vector["passphrase"]).pseudonym(custodian, relationship=relationship)
    assert signer.address == vector["address"]
    key = independent_key(vector["phrase"], vector["passphrase"], custodian, relationship)
    assert keys.PrivateKey(key).public_key.to_checksum_address() == vector["address"]


@pytest.mark.parametrize("vector", VECTORS["seeds"], ids=lambda vector: vector["phrase"].split()[0])
def test_seeds_of_bip_39(vector: dict[str, str]) -> None:
    """Of the BIP's own test vectors."""
    assert Wallet(vector["phrase"], passphrase=vector["passphrase"])._seed.hex() == vector["seed"]


def test_vectors_cover_several_wallets_and_relationships() -> None:
    assert len({vector["address"] for vector in VECTORS["pseudonyms"]}) == len(VECTORS["pseudonyms"]) >= 8


def test_pseudonyms_are_distinct() -> None:
    wallet, other = Wallet(PHRASE), Wallet(PHRASE, passphrase="x")
    found = [
        one.pseudonym(custodian, relationship=number).address
        for one, custodian, number in itertools.product((wallet, other), CUSTODIANS[:4], (0, 1))
    ]
    assert len(set(found)) == 16


def test_pseudonym_is_always_the_same() -> None:
    assert Wallet(PHRASE).pseudonym(CUSTODIANS[0]).address == Wallet(PHRASE).pseudonym(CUSTODIANS[0]).address


def test_phrase_as_people_type_it() -> None:
    untidy = "  Legal WINNER thank\tyear\n wave sausage  worth useful legal winner thank yellow \n"
    assert Wallet(untidy).pseudonym(CUSTODIANS[0]).address == Wallet(PHRASE).pseudonym(CUSTODIANS[0]).address


def test_new_wallets() -> None:
    (first, phrase), (_, other) = Wallet.create(), Wallet.create()
    assert phrase != other
    assert len(phrase.split()) == 12
    assert Wallet(phrase).pseudonym(CUSTODIANS[0]).address == first.pseudonym(CUSTODIANS[0]).address


@pytest.mark.parametrize(
    "phrase",
    [
        "legal winner thank year wave sausage worth useful legal winner thank zebra",
        "legal winner thank year wave sausage worth useful legal winner thank thank",
        "legal winner thank year wave sausage worth useful legal winner thank",
        "legal winner thank year wave sausage worth useful legal winner thank yellow yellow",
        "legal winner thank year wave sausage worth useful legal winner thank qqqqqq",
        "correct horse battery staple",
        "",
        "ябълка абаж",
    ],
)
def test_wrong_words_are_not_repeated(phrase: str) -> None:
    with pytest.raises(WalletError, match="Check it word by word") as caught:
        Wallet(phrase)
    shown = "".join(traceback.format_exception(caught.value))
    said = shown[shown.index("WalletError:") :]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not any(word in said.split() for word in phrase.split() if word not in ("wrong", "word"))


def test_nothing_is_shown() -> None:
    wallet = Wallet(PHRASE)
    signer = wallet.pseudonym(CUSTODIANS[0])
    secrets = [wallet._seed.hex(), signer._account.key.hex().removeprefix("0x"), *PHRASE.split()]
    for text in (repr(wallet), str(wallet), repr(signer), str(signer), f"{[wallet, signer]}"):
        assert not any(secret in text for secret in secrets)
    assert signer.address in repr(signer)
    assert repr(NodeSigner(signer.address)) == f"NodeSigner({signer.address})"
    assert isinstance(signer, Signer)
    assert isinstance(signer, TransactionSigner)


@pytest.mark.parametrize("custodian", ["", "0x12", CUSTODIANS[1].lower(), CUSTODIANS[1][2:], "0x" + "00" * 21])
def test_custodian_that_is_no_identity(custodian: str) -> None:
    with pytest.raises(WalletError, match="no checksummed address"):
        derivation_path(custodian)


@pytest.mark.parametrize("relationship", [-1, 1 << 31])
def test_relationship_that_is_no_index(relationship: int) -> None:
    with pytest.raises(WalletError, match="Count from 0"):
        derivation_path(CUSTODIANS[0], relationship=relationship)


# -- keys and key files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"", b"\x01" * 31, bytes(33), bytes(32), b"\xff" * 32, "hunter2", "0x12", "zz" * 32])
def test_keys_that_are_none_are_not_repeated(key: bytes | str) -> None:
    with pytest.raises(WalletError, match="64 hexadecimal digits") as caught:
        LocalSigner.from_key(key)
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(b"\x07" * 32, "open sesame", kdf="pbkdf2", iterations=2)))
    return path


def test_key_file(key_file: Path) -> None:
    assert LocalSigner.from_keystore(key_file, "open sesame").address == LocalSigner.from_key(b"\x07" * 32).address


def test_wrong_password(key_file: Path) -> None:
    with pytest.raises(KeystoreError, match="does not open with this password") as caught:
        LocalSigner.from_keystore(key_file, "open barley")
    assert "barley" not in str(caught.value)
    assert caught.value.path == str(key_file)


def test_no_such_key_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(KeystoreError, match="cannot be read"):
            LocalSigner.from_keystore(path, "open sesame")


def altered(text: str, **changes: object) -> str:
    content = json.loads(text)
    content["crypto"] |= changes
    return json.dumps(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: "[]",
        lambda text: "5",
        lambda text: '"text"',
        lambda text: text[:50],
        lambda text: '{"version": 9, "crypto": {}}',
        lambda text: altered(text, kdf="none"),
        lambda text: altered(text, kdfparams={}),
        lambda text: altered(text, ciphertext=5),
        lambda text: altered(text, ciphertext=None),
        lambda text: altered(text, cipherparams=None),
    ],
)
def test_not_a_key_file(key_file: Path, change: Any) -> None:
    key_file.write_text(change(key_file.read_text()))
    with pytest.raises(KeystoreError, match="is no key file"):
        LocalSigner.from_keystore(key_file, "open sesame")


def test_binary_file(key_file: Path) -> None:
    key_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeystoreError, match="is no key file"):
        LocalSigner.from_keystore(key_file, "open sesame")
