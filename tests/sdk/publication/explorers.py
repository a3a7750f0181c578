"""Explorers that do what the published interfaces say: they compile what they are given, and hold it against the chain.

Sourcify: OpenAPI of its API v2, POST /v2/verify/{chainId}/{address} and GET /v2/verify/{verificationId}. Etherscan: API
V2, verifysourcecode and checkverifystatus.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import solcx
from eth_utils.crypto import keccak

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.deployments import Deployment
from medproof.standard_input import standard_input

ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
VERSION = re.compile(r"0\.8\.37\+commit\.[0-9a-f]{8}")
IDENTIFIER = re.compile(r"contracts/(\w+)\.sol:(\w+)")
KEY = "explorer-key-7f3a"


def solc(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the compiler gives, by path and name."""
    output = solcx.compile_standard(content, solc_version="0.8.37")
    return {f"{path}:{name}": unit for path, found in output["contracts"].items() for name, unit in found.items()}


@cache
def compiled() -> dict[str, dict[str, Any]]:
    """All contracts, compiled in one go, since each by itself takes as long. The compiler's metadata say which sources
    a contract comes from: whoever gives exactly those gives what it compiles to."""
    inputs = [json.loads(standard_input(name)) for name in CONTRACTS]
    return solc({**inputs[0], "sources": {path: one for content in inputs for path, one in content["sources"].items()}})


def creation_of(identifier: str, text: str) -> str | None:
    """The creation code that an input gives; None where it is no contract's."""
    unit, content = compiled()[identifier], json.loads(text)
    metadata = json.loads(unit["metadata"])
    given = {path: "0x" + keccak(text=source["content"]).hex() for path, source in content["sources"].items()}
    needed = {path: source["keccak256"] for path, source in metadata["sources"].items()}
    settings = {name: content["settings"][name] for name in ("evmVersion", "optimizer", "viaIR")}
    meant = {name: metadata["settings"][name] for name in ("optimizer", "viaIR")}
    if given != needed or settings != {"evmVersion": metadata["settings"]["evmVersion"], **meant}:
        return None
    return str(unit["evm"]["bytecode"]["object"])


@dataclass
class Explorer:
    """One of them: what it has, and what it is to do wrong."""

    chain: Chain
    deployment: Deployment  # it knows which transaction created what, as explorers do
    url: str = ""
    asked: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)  # address to identifier
    jobs: dict[str, list[Any]] = field(default_factory=dict)  # ticket to (questions left, found)
    answer: Callable[[str], tuple[int, Any] | None] = lambda what: None  # what a test wants said instead

    def transaction(self, address: str) -> str:
        return next(one.transaction for one in self.deployment.contracts.values() if one.address == address)

    def creation_code(self, transaction: str) -> str:
        found = self.chain.web3.eth.get_transaction(transaction)  # type: ignore[arg-type]
        salt = 0 if found["to"] is None else 32  # a factory is given it before the code
        return bytes(found["input"][salt:]).hex()

    def matches(self, identifier: str, text: str, creation: str, arguments: str | None) -> bool:
        code = creation_of(identifier, text)
        return code is not None and creation.startswith(code) and arguments in (None, creation[len(code) :])

    def take(self, address: str, identifier: str, good: bool) -> str:
        ticket = f"job-{len(self.jobs)}"
        self.jobs[ticket] = [1, good, address, identifier]  # not decided at the first question
        return ticket

    def decide(self, ticket: str) -> bool | None:
        job = self.jobs[ticket]
        if job[0]:
            job[0] -= 1
            return None
        if job[1]:
            self.known[job[2]] = job[3]
        return bool(job[1])


def sourcify(explorer: Explorer, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
    """What Sourcify's API v2 answers."""
    parts = path.strip("/").split("/")
    assert parts[:2] == ["v2", "verify"]
    if method == "GET":
        good = explorer.decide(parts[2])
        said: dict[str, Any] = {"isJobCompleted": good is not None, "verificationId": parts[2]}
        if good is not None:
            said["contract"] = {"match": "exact_match" if good else None}
        if good is False:
            said["error"] = {"customCode": "no_match", "message": "The bytecodes do not match.", "errorId": "1"}
        return 200, said
    _, _, chain_id, address = parts
    assert ADDRESS.fullmatch(address)
    if chain_id != str(explorer.chain.chain_id):
        return 404, {"customCode": "unsupported_chain", "message": "The chain is not supported", "errorId": "2"}
    if address in explorer.known:
        return 409, {"customCode": "already_verified", "message": "The contract is already verified", "errorId": "3"}
    content = json.loads(body)
    assert set(content) == {"stdJsonInput", "compilerVersion", "contractIdentifier", "creationTransactionHash"}
    assert VERSION.fullmatch(content["compilerVersion"])
    assert IDENTIFIER.fullmatch(content["contractIdentifier"])
    text = json.dumps(content["stdJsonInput"])
    creation = explorer.creation_code(content["creationTransactionHash"])
    good = explorer.matches(content["contractIdentifier"], text, creation, None)
    return 202, {"verificationId": explorer.take(address, content["contractIdentifier"], good)}


def etherscan(explorer: Explorer, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
    """What Etherscan's API V2 answers."""
    form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()} | query
    assert form["module"] == "contract"
    assert query["chainid"] == str(explorer.chain.chain_id)
    if form["apikey"] != KEY:
        return 200, {"status": "0", "message": "NOTOK", "result": f"Invalid API Key (#err2)|{form['apikey']}"}
    if form["action"] == "checkverifystatus":
        assert method == "GET"
        good = explorer.decide(form["guid"])
        said = {None: "Pending in queue", True: "Pass - Verified", False: "Fail - Unable to verify"}[good]
        return 200, {"status": "1" if good else "0", "message": "OK" if good else "NOTOK", "result": said}
    assert (method, form["action"], form["codeformat"]) == ("POST", "verifysourcecode", "solidity-standard-json-input")
    assert VERSION.fullmatch(form["compilerversion"].removeprefix("v"))
    assert form["compilerversion"].startswith("v")
    address = form["contractaddress"]
    if address in explorer.known:
        return 200, {"status": "0", "message": "NOTOK", "result": "Contract source code already verified"}
    assert IDENTIFIER.fullmatch(form["contractname"])
    arguments = form["constructorArguements"]
    creation = explorer.creation_code(explorer.transaction(address))
    good = explorer.matches(form["contractname"], json.dumps(json.loads(form["sourceCode"])), creation, arguments)
    return 200, {"status": "1", "message": "OK", "result": explorer.take(address, form["contractname"], good)}


@contextlib.contextmanager
def serving(explorer: Explorer, kind: Callable[..., tuple[int, Any]]) -> Iterator[Explorer]:
    """Serve one of them on a free port of 127.0.0.1; `explorer.url` is where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer("GET")

        def do_POST(self) -> None:
            self.answer("POST")

        def answer(self, method: str) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            explorer.asked.append(f"{method} {parts.path}")
            try:
                status, said = explorer.answer(method) or kind(explorer, method, parts.path, query, body)
            except Exception as error:
                status, said = 500, {"customCode": "internal_error", "message": repr(error), "errorId": "0"}
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        explorer.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield explorer
        finally:
            server.shutdown()
            thread.join()
