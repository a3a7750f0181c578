"""Signers that do what the published interfaces say, with a key in this process, or what a test wants instead.

Clef: cmd/clef/README.md of go-ethereum, "External API". Web3Signer: "JSON-RPC API" of its reference. Ledger:
doc/ethapp.adoc of app-ethereum, over the sockets of Speculos.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import rlp
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
QUANTITY = re.compile("0x(0|[1-9a-f][0-9a-f]*)")
DATA = re.compile("0x([0-9a-f]{2})*")
NUMBERS = {"gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "nonce", "chainId"}

Method = Callable[[list[Any]], Any]


class RefusedError(Exception):
    """What the signer's user, or the signer, says no with."""


@dataclass
class FakeSigner:
    """A signer of one of both kinds."""

    kind: str
    account: LocalAccount
    chain_id: int
    others: list[str] = field(default_factory=list)  # further accounts that it lists
    asked: list[str] = field(default_factory=list)
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda transaction: transaction  # before it signs
    answer: Callable[[str], Any] = lambda method: None  # what a test wants said instead

    def methods(self) -> Mapping[str, Method]:
        listed, transaction, typed = {
            "clef": ("account_list", "account_signTransaction", "account_signTypedData"),
            "web3signer": ("eth_accounts", "eth_signTransaction", "eth_signTypedData"),
        }[self.kind]
        return {listed: self.accounts, transaction: self.sign_transaction, typed: self.sign_typed_data}

    def reply(self, body: bytes) -> Any:
        """The JSON-RPC answer to a request, or whatever a test wants."""
        asked = json.loads(body)
        assert asked["jsonrpc"] == "2.0"
        self.asked.append(asked["method"])
        instead = self.answer(asked["method"])
        if instead is not None:
            return instead
        try:
            said = {"result": self.methods()[asked["method"]](asked["params"])}
        except (RefusedError, AssertionError, KeyError, ValueError) as error:
            said = {"error": {"code": -32000, "message": str(error)}}
        return {"jsonrpc": "2.0", "id": asked["id"], **said}

    def accounts(self, parameters: list[Any]) -> list[str]:
        assert parameters == []
        return [self.account.address.lower(), *self.others]

    def sign_transaction(self, parameters: list[Any]) -> Any:
        asked, *function = parameters
        data = asked.get("data", "0x")
        if function:
            assert self.kind == "clef"
            assert data.startswith("0x" + function_signature_to_4byte_selector(function[0]).hex())
        assert asked.keys() <= {"from", "to", "data", *NUMBERS}, asked
        assert all(QUANTITY.fullmatch(asked[name]) for name in NUMBERS & asked.keys()), asked
        assert DATA.fullmatch(data), asked
        if to_checksum_address(asked["from"]) != self.account.address:
            raise RefusedError("unknown account")
        if int(asked["chainId"], 16) != self.chain_id:
            raise RefusedError(f"requested chainid {asked['chainId']} does not match the configuration of the signer")
        meant = {name: int(value, 16) if name in NUMBERS else value for name, value in asked.items() if name != "from"}
        raw = "0x" + bytes(self.account.sign_transaction(self.change(meant)).raw_transaction).hex()
        return raw if self.kind == "web3signer" else {"raw": raw, "tx": {"hash": "0x" + keccak(hexstr=raw).hex()}}

    def sign_typed_data(self, parameters: list[Any]) -> str:
        address, said = parameters
        if self.kind == "web3signer":
            assert isinstance(said, str)
            said = json.loads(said)
        assert set(said) == {"types", "primaryType", "domain", "message"}
        if to_checksum_address(address) != self.account.address:
            raise RefusedError("unknown account")
        said["domain"]["chainId"] = int(said["domain"]["chainId"])
        said["message"] = typed(said["types"], said["primaryType"], said["message"])
        return "0x" + bytes(self.account.sign_message(encode_typed_data(full_message=said)).signature).hex()


def typed(types: Mapping[str, Any], kind: str, value: Any) -> Any:
    """A value of JSON as its type has it; integers come as text, as readers of JSON take them."""
    if kind.endswith("[]"):
        return [typed(types, kind[:-2], one) for one in value]
    if kind in types:
        members = {one["name"]: one["type"] for one in types[kind]}
        assert members.keys() == value.keys()
        return {name: typed(types, members[name], one) for name, one in value.items()}
    if kind.startswith(("uint", "int")):
        assert isinstance(value, str)
        return int(value)
    if kind.startswith("bytes"):
        assert DATA.fullmatch(value)
        return bytes.fromhex(value[2:])
    return value


def twin(raw: bytes, chain_id: int) -> bytes:
    """The same transaction with the other signature that recovers to its account: s is high."""
    kind = raw[:1] if raw[0] == 2 else b""
    *fields, v, r, s = rlp.decode(raw[len(kind) :])
    parity = int.from_bytes(v) - (0 if kind else 35 + 2 * chain_id)
    other = ORDER - int.from_bytes(s)
    return kind + bytes(rlp.encode([*fields, 1 - parity + (0 if kind else 35 + 2 * chain_id), r, other]))


@contextlib.contextmanager
def over_http(signer: FakeSigner) -> Iterator[str]:
    """The signer on a free port of 127.0.0.1; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = signer.reply(self.rfile.read(int(self.headers["Content-Length"])))
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, _serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextlib.contextmanager
def over_ipc(signer: FakeSigner, path: Path) -> Iterator[str]:
    """The signer at an IPC socket; gives its path."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            said = signer.reply(self.rfile.readline())
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            for start in range(0, len(content), 7):  # a document in many parts
                self.wfile.write(content[start : start + 7])
                self.wfile.flush()

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server, _serving(server):
        yield str(path)


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@dataclass
class FakeLedger:
    """A device with its Ethereum app open."""

    account: LocalAccount
    path: bytes  # the only one that it knows
    legacy_v: Callable[[int], int] = lambda v: v & 0xFF  # as the app gives it: its last byte
    status: Callable[[int], int] = lambda instruction: 0x9000
    change: Callable[[bytes], bytes] = lambda answer: answer
    commands: list[bytes] = field(default_factory=list)
    seen: bytes = b""  # a transaction, as far as it came

    def exchange(self, command: bytes) -> tuple[int, bytes]:
        """The status and the answer to a command (APDU)."""
        self.commands.append(command)
        kind, instruction, first, second, length = command[:5]
        content = command[5:]
        assert (kind, second) == (0xE0, 0)
        assert length == len(content) <= 255
        if (status := self.status(instruction)) != 0x9000:
            return status, b""
        if instruction == 0x02:
            assert first == 0
            if content != self.path:
                return 0x6A80, b""
            key = b"\x04" + self.account._key_obj.public_key.to_bytes()
            return 0x9000, self.change(bytes([65]) + key + bytes([40]) + self.account.address[2:].encode())
        if instruction == 0x0C:
            assert first == 0
            assert len(content) == len(self.path) + 64
            assert content.startswith(self.path)
            return 0x9000, self.change(self.signature(keccak(b"\x19\x01" + content[len(self.path) :]), 27))
        assert instruction == 0x04
        assert first == (0x80 if self.seen else 0x00)
        self.seen += content
        assert self.seen.startswith(self.path)
        payload = self.seen[len(self.path) :]
        typed = payload[:1] == b"\x02"
        try:
            fields = rlp.decode(payload[typed:])
        except rlp.exceptions.DecodingError:
            return 0x9000, b""  # more is to come
        self.seen = b""
        if typed:
            assert len(fields) == 9
            return 0x9000, self.change(self.signature(keccak(payload), 0))
        assert fields[7:] == [b"", b""]
        base = 35 + 2 * int.from_bytes(fields[6])
        return 0x9000, self.change(self.signature(keccak(payload), base))

    def signature(self, hashed: bytes, base: int) -> bytes:
        signed = self.account._key_obj.sign_msg_hash(hashed)
        return bytes([self.legacy_v(base + signed.v)]) + signed.to_bytes()[:64]


@contextlib.contextmanager
def as_speculos(ledger: FakeLedger) -> Iterator[str]:
    """The device as Ledger's emulator has it: length and command, length and answer and status; gives its place."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            while head := connection.recv(4, socket.MSG_WAITALL):
                command = connection.recv(int.from_bytes(head), socket.MSG_WAITALL)
                status, answer = ledger.exchange(command)
                connection.sendall(len(answer).to_bytes(4) + answer + status.to_bytes(2))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server, _serving(server):
        yield f"127.0.0.1:{server.server_address[1]}"


def fresh() -> LocalAccount:
    account: LocalAccount = Account.create()
    return account
