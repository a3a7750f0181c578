"""Accounts whose keys are in no file here: Clef or Web3Signer, which another process is, or a Ledger.

Each is asked to sign and shows its user what. What it gives back is believed in nothing: a transaction must be the one
that was asked for, byte by byte, and every signature the account's, in the one form that has no twin.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, cast

import requests
from eth_account.messages import SignableMessage
from eth_keys.datatypes import PublicKey
from eth_utils.abi import abi_to_signature, function_signature_to_4byte_selector
from eth_utils.address import is_address, to_checksum_address

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import origin
from medproof.errors import ExternalSignerError, MissingExtraError
from medproof.json_http import LONGEST, ask_json, is_url
from medproof.messages import TypedData
from medproof.raw_transaction import signature_in, signing_payload, transaction_digest, with_signature
from medproof.signatures import digest, signer_of

__all__ = [
    "EXTERNAL",
    "LEDGER_PATH",
    "ExternalSigner",
    "LedgerSigner",
    "RemoteSigner",
    "Transport",
    "external_signer",
]

LEDGER_PATH = "44'/60'/0'/0/0"
"""The first account of Ledger's own software."""
_PATIENCE = 300.0  # seconds for somebody to look and say yes
_SHOWN = 200  # characters of what a signer says


@dataclass(frozen=True)
class _Dialect:
    """How one kind of remote signer is spoken to."""

    name: str
    accounts: str
    sign_transaction: str
    sign_typed_data: str
    typed_data_as_text: bool
    takes_function: bool  # beside a transaction, the signature of the function that it calls, which it then can show


_DIALECTS = {
    # geth.ethereum.org/docs/tools/clef/apis
    "clef": _Dialect("Clef", "account_list", "account_signTransaction", "account_signTypedData", False, True),
    # docs.web3signer.consensys.io/reference/api/json-rpc
    "web3signer": _Dialect("Web3Signer", "eth_accounts", "eth_signTransaction", "eth_signTypedData", True, False),
}
EXTERNAL = re.compile(rf"({'|'.join([*_DIALECTS, 'ledger'])}):(.*)", re.DOTALL)
"""What names a signer that is no key file: its kind, and where it is."""


def external_signer(named: str) -> ExternalSigner:
    """The signer that a text names: `clef:URL#ADDRESS`, `web3signer:URL#ADDRESS`, or `ledger:PATH`.

    A URL may be the path of an IPC socket; the address may be left out where the signer has one account. A Ledger's
    path may be left out, too; its hardened steps end with `'` or `h`. `ledger:PATH@HOST:PORT` is Speculos, Ledger's
    emulator.

    Raises:
        ExternalSignerError: it names none, or the signer does not answer.
        MissingExtraError: a Ledger needs `medproof[ledger]`.
    """
    found = EXTERNAL.fullmatch(named)
    if found is None:
        raise ExternalSignerError("This signer", "is of no known kind", f"Known are {', '.join(_DIALECTS)} and ledger")
    kind, where = found.groups()
    if kind == "ledger":
        path, _, emulator = where.partition("@")
        return LedgerSigner.connect(path or LEDGER_PATH, emulator=emulator or None)
    endpoint, _, address = where.partition("#")
    return RemoteSigner(kind, endpoint, address=address or None)


class RemoteSigner:
    """An account whose key Clef or Web3Signer holds, asked over HTTP or an IPC socket."""

    def __init__(self, kind: str, endpoint: str, *, address: str | None = None, patience: float = _PATIENCE) -> None:
        """Find the account there.

        Args:
            kind: "clef" or "web3signer".
            endpoint: a URL, or the path of an IPC socket.
            address: which of its accounts; may be left out where it has one.
            patience: seconds for its user to say yes.

        Raises:
            ExternalSignerError: it does not answer, refuses, or has no such account, or several.
        """
        self._dialect, self._endpoint, self._patience = _DIALECTS[kind], endpoint, patience
        self._web = is_url(endpoint)
        if not self._web and (not endpoint or "://" in endpoint):
            step = "Give a URL, or the path of an IPC socket"
            raise ExternalSignerError(self._dialect.name, "is named without a place that can be asked", step)
        self._where = f"{self._dialect.name} at {origin(endpoint) if self._web else endpoint}"
        self.address = self._account(address)
        """The account's checksummed address."""

    def sign_typed_data(self, message: TypedData) -> bytes:
        """Sign a message: 65 bytes r, s, v.

        Raises:
            ExternalSignerError: it refuses, does not answer, or gives a signature that is not the account's.
        """
        document = _as_json(message.as_dict())
        said = json.dumps(document, separators=(",", ":")) if self._dialect.typed_data_as_text else document
        given = self._hex(self._ask(self._dialect.sign_typed_data, [self.address, said]))
        return _own(self._where, self.address, digest(message.signable()), given)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign a complete transaction: its raw bytes.

        Raises:
            ExternalSignerError: it refuses, does not answer, or gives another transaction than it was asked for.
        """
        asked = {name: _quantity(value) for name, value in transaction.items() if value is not None}
        parameters: list[Any] = [{**asked, "from": self.address}]
        called = _functions().get(str(asked.get("data"))[:10]) if asked.get("to") else None
        if called is not None and self._dialect.takes_function:
            parameters.append(called)
        given = self._ask(self._dialect.sign_transaction, parameters)
        raw = self._hex(given.get("raw") if isinstance(given, Mapping) else given)
        signature = signature_in(raw, chain_id=transaction["chainId"])
        if signature is None or with_signature(transaction, signature) != raw:
            raise self._error("gave another transaction than it was asked to sign", "Nothing was sent. Do not use it")
        _own(self._where, self.address, transaction_digest(transaction), signature)
        return raw

    def __repr__(self) -> str:
        """Show the address and where the key is."""
        return f"RemoteSigner({self.address}, {self._where})"

    def _account(self, wanted: str | None) -> str:
        if wanted is not None:  # no list is asked for, which somebody would have to allow: a signature tells
            if not is_address(wanted):
                raise self._error("is named with an account that is no address", "Give 0x and 40 digits after the #")
            return str(to_checksum_address(wanted))
        found = self._ask(self._dialect.accounts, [])
        if not isinstance(found, list) or not all(is_address(one) for one in found):
            raise self._error("does not list its accounts", "Check that it is one, and what it was asked to show")
        if len(found) != 1:
            raise self._error(f"has {len(found)} accounts", "Name one of them after a #")
        return str(to_checksum_address(found[0]))

    def _ask(self, method: str, parameters: list[Any]) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        try:
            said = self._over_http(question) if self._web else self._over_ipc(question)
        except (requests.RequestException, OSError, ValueError) as error:
            what = f"does not answer {method} ({type(error).__name__})"
            raise self._error(what, "Check that it runs, and that somebody looks at it") from None
        if said is None or "result" not in said or said.get("error") is not None:
            refused = None if said is None else said.get("error")
            told = refused.get("message") if isinstance(refused, Mapping) else refused
            raise self._error(f"refuses {method}: {str(told)[:_SHOWN]!r}", "Nothing was signed")
        return said["result"]

    def _over_http(self, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return ask_json("POST", self._endpoint, timeout=self._patience, json=question)[1]

    def _over_ipc(self, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The answer over a socket, which ends where a JSON document does."""
        deadline, said = time.monotonic() + self._patience, b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._patience)
            connection.connect(self._endpoint)
            connection.sendall(json.dumps(question).encode() + b"\n")
            while len(said) <= LONGEST:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                if not (part := connection.recv(1 << 16)):
                    return None
                said += part
                if said.rstrip().endswith(b"}"):
                    with contextlib.suppress(ValueError, RecursionError):
                        answer = json.loads(said)
                        return answer if isinstance(answer, dict) else None
        return None

    def _hex(self, given: Any) -> bytes:
        if not isinstance(given, str) or not re.fullmatch("0x([0-9a-fA-F]{2})+", given):
            raise self._error("gave no signature", "Nothing was sent. Check that it is one")
        return bytes.fromhex(given[2:])

    def _error(self, rule: str, step: str) -> ExternalSignerError:
        return ExternalSignerError(self._where, rule, step)


class Transport(Protocol):
    """What carries commands to a Ledger: `ledgercomm.Transport`."""

    def exchange(self, cla: int, ins: int, p1: int = 0, p2: int = 0, *, cdata: bytes = b"") -> tuple[int, bytes]:
        """Send a command (APDU), and return the status word and the answer."""


# github.com/LedgerHQ/app-ethereum, doc/ethapp.adoc
_CLASS = 0xE0
_GET_ADDRESS, _SIGN_TRANSACTION, _SIGN_TYPED_DATA = 0x02, 0x04, 0x0C
_FIRST, _FURTHER = 0x00, 0x80
_LONGEST = 255  # bytes in a command
_LEGACY_TAIL = 12  # bytes at most of chain id and two zeros (EIP-155), which the app reads in one piece
_GOOD = 0x9000
_STATUS = {
    0x6985: ("refuses", "Its user said no; nothing was signed"),
    0x6A80: ("takes no such data", "Allow blind signing in the settings of its Ethereum app"),
    0x5515: ("is locked", "Unlock it, and open its Ethereum app"),
    0x6B0C: ("is locked", "Unlock it, and open its Ethereum app"),
    0x6511: ("has no app open", "Open its Ethereum app"),
    0x6D00: ("has another app open", "Open its Ethereum app"),
    0x6E00: ("has another app open", "Open its Ethereum app"),
}


class LedgerSigner:
    """An account of a Ledger, whose user sees each transaction and message and presses a button."""

    def __init__(self, transport: Transport, path: str = LEDGER_PATH) -> None:
        """Ask a connected device for the account of a path of BIP 32.

        Raises:
            ExternalSignerError: the path is none, or the device does not give the account.
        """
        self._transport, self._path, self._lock = transport, _path(path), threading.Lock()
        self.address = self._account()
        """The account's checksummed address."""

    @classmethod
    def connect(cls, path: str = LEDGER_PATH, *, emulator: str | None = None) -> LedgerSigner:
        """Connect to the device that is plugged in, or to its emulator at `host:port`.

        Raises:
            ExternalSignerError: none is there.
            MissingExtraError: `medproof[ledger]` is not installed.
        """
        try:
            from ledgercomm import Transport as Connection
        except ModuleNotFoundError as missing:
            raise MissingExtraError("A Ledger", "ledger", str(missing.name)) from None
        _path(path)
        host, _, port = (emulator or "").rpartition(":")
        if emulator is not None and not (host and port.isdecimal()):
            raise ExternalSignerError("The Ledger's emulator", "is nowhere", "Give its host:port after the @")
        try:
            device = Connection("tcp", host, int(port)) if emulator else Connection("hid")
        except Exception as error:  # what the operating system, the library and its asserts raise
            step = "Plug it in, unlock it, open its Ethereum app, and let nobody else use it"
            raise ExternalSignerError("The Ledger", f"is not there ({type(error).__name__})", step) from None
        try:
            return cls(device, path)
        except ExternalSignerError:
            device.close()
            raise

    def sign_typed_data(self, message: TypedData) -> bytes:
        """Sign a message: 65 bytes r, s, v. The device shows the hashes of its domain and of the message.

        Raises:
            ExternalSignerError: its user refuses, it is not ready, or the signature is not the account's.
        """
        said: SignableMessage = message.signable()
        given = self._ask(_SIGN_TYPED_DATA, self._path + bytes(said.header) + bytes(said.body))
        return self._signature(given, digest(said))

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign a complete transaction: its raw bytes.

        Raises:
            ExternalSignerError: its user refuses, it is not ready, or the signature is not the account's.
        """
        given = self._ask(_SIGN_TRANSACTION, self._path + signing_payload(transaction))
        return with_signature(transaction, self._signature(given, transaction_digest(transaction)))

    def __repr__(self) -> str:
        """Show the address."""
        return f"LedgerSigner({self.address})"

    def _account(self) -> str:
        said = self._ask(_GET_ADDRESS, self._path)
        key = said[1 : 1 + said[0]] if said else b""
        text = said[2 + len(key) :][:40] if len(key) == 65 else b""
        try:
            address = str(PublicKey(key[1:]).to_checksum_address())
        except Exception:  # the curve's backends raise what they like
            address = ""
        if not address or text.lower() != address[2:].lower().encode():
            raise _ledger_error("gives no account for this path", "Open its Ethereum app")
        return address

    def _signature(self, given: bytes, hashed: bytes) -> bytes:
        """r, s, v of an answer, which has v first: a parity, 27 and more, or the last byte of EIP-155's."""
        if len(given) != 65:
            raise _ledger_error("gives no signature", "Try again")
        for v in (27, 28):  # what v says is one bit, and the account tells which
            signature = given[1:] + bytes([v])
            if signer_of(hashed, signature) == self.address:
                return signature
        raise _ledger_error(f"gives a signature that is not {self.address}'s", "Nothing was sent. Do not use it")

    def _ask(self, instruction: int, content: bytes) -> bytes:
        answer = b""
        with self._lock:
            for number, chunk in enumerate(_chunks(content)):
                try:
                    status, answer = self._transport.exchange(
                        _CLASS, instruction, _FURTHER if number else _FIRST, 0, cdata=chunk
                    )
                except Exception as error:  # what the operating system, the library and its asserts raise
                    what = f"does not answer ({type(error).__name__})"
                    raise _ledger_error(what, "Plug it in again, unlock it, and open its Ethereum app") from None
                if status != _GOOD:
                    rule, step = _STATUS.get(status, (f"answers with the status 0x{status:04x}", "Look at its screen"))
                    raise _ledger_error(rule, step)
        return answer


ExternalSigner = RemoteSigner | LedgerSigner


def _own(where: str, address: str, hashed: bytes, signature: bytes) -> bytes:
    """A signature that is the account's, in the one form."""
    if signer_of(hashed, signature) != address:
        rule = f"gave a signature that is not {address}'s for what it was asked to sign"
        raise ExternalSignerError(where, rule, "Nothing was sent. Do not use it")
    return signature


@cache
def _functions() -> Mapping[str, str]:
    """The signatures of the suite's functions, by the first four bytes of a call of theirs, 0x…"""
    entries = [cast(Any, one) for name in CONTRACTS for one in artifact(name).abi if one["type"] == "function"]
    signatures = {abi_to_signature(one) for one in entries}
    return {"0x" + function_signature_to_4byte_selector(one).hex(): one for one in signatures}


def _as_json(value: Any) -> Any:
    """Typed data as JSON has it: numbers as text, since few readers of JSON know one of 256 bits; bytes as 0x…"""
    if isinstance(value, Mapping):
        return {name: _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _quantity(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return hex(value) if isinstance(value, int) else value


def _path(text: str) -> bytes:
    """A path of BIP 32, as a Ledger takes it."""
    steps = text.removeprefix("m/").split("/")
    numbers = []
    for step in steps:
        found = re.fullmatch("([0-9]{1,10})(['h]?)", step)
        if found is None or int(found[1]) >= 1 << 31 or len(steps) > 10:
            raise _ledger_error("is named with a path that is none", f"Give one such as {LEDGER_PATH}, or none")
        numbers.append(int(found[1]) | (1 << 31 if found[2] else 0))
    return bytes([len(numbers)]) + b"".join(number.to_bytes(4) for number in numbers)


def _chunks(content: bytes) -> list[bytes]:
    """What fits into commands; the last piece is never so short that the app would cut a transaction's tail in two."""
    size = _LONGEST
    while len(content) > size and 0 < len(content) % size <= _LEGACY_TAIL:
        size -= 1
    return [content[start : start + size] for start in range(0, len(content), size)]


def _ledger_error(rule: str, step: str) -> ExternalSignerError:
    return ExternalSignerError("The Ledger", rule, step)
