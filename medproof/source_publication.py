"""Publishing the contracts' sources with explorers, so that anybody reads what stands at an address.

Each contract's input (`medproof.standard_input`) goes to Sourcify's API v2
(docs.sourcify.dev) or to an explorer of Etherscan's kind (docs.etherscan.io, API V2; Blockscout answers likewise).
They compile it themselves and hold it against the chain.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import requests
from eth_abi.abi import encode

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, origin
from medproof.deployments import Deployment, verify
from medproof.errors import PublicationError
from medproof.json_http import ask_json
from medproof.standard_input import compiler_version, identifier, standard_input

__all__ = [
    "ETHERSCAN",
    "SOURCIFY",
    "Etherscan",
    "Explorer",
    "Match",
    "Publication",
    "Sourcify",
    "publish",
]

SOURCIFY = "https://sourcify.dev/server"
ETHERSCAN = "https://api.etherscan.io/v2/api"
_TIMEOUT = 60.0  # seconds for an answer
_SHOWN = 200  # characters of what an explorer says
_SPDX_APACHE_2 = "12"  # Etherscan's number for the Apache licence 2.0


class Match(StrEnum):
    """What an explorer found."""

    EXACT = "exact"  # bytecode and metadata are those of the sources
    CODE = "code"  # bytecode alone
    ALREADY = "already"  # it had the sources before


@dataclass(frozen=True)
class Publication:
    """One contract's sources at an explorer."""

    contract: str
    address: str
    match: Match


@dataclass(frozen=True)
class Source:
    """What an explorer is given of one contract."""

    chain_id: int
    address: str
    identifier: str  # path and name, as contracts/Registrar.sol:Registrar
    compiler: str  # as 0.8.37+commit.f401782d
    standard_input: str  # its JSON
    arguments: bytes  # the constructor's, as the ABI encodes them
    transaction: str  # that created it; empty where another's did, and nobody knows which


class Explorer(Protocol):
    """Where sources are published."""

    def submit(self, source: Source) -> str | None:
        """Hand a contract's sources in, and return what to ask for the result with; None where it has them."""

    def result(self, ticket: str, source: Source) -> Match | None:
        """What was found; None while it is not known yet."""


def publish(
    chain: Chain,
    deployment: Deployment,
    explorer: Explorer,
    *,
    timeout: float = 600.0,
    pause: float = 3.0,
    report: Callable[[str], None] = lambda step: None,
) -> Iterator[Publication]:
    """Publish the sources of every contract of a deployment, one after the other. Doing it again is harmless.

    Args:
        timeout: seconds to wait for each result.
        pause: seconds between two questions for it.
        report: called with each contract's name as it begins.

    Raises:
        DeploymentError: what stands there is not this build, so that its sources would be others.
        PublicationError: the explorer refuses, finds no match, or does not say in time.
    """
    verify(chain, deployment)
    for name in CONTRACTS:
        report(name)
        source = _source(deployment, name)
        ticket, limit = explorer.submit(source), time.monotonic() + timeout
        match = Match.ALREADY if ticket is None else explorer.result(ticket, source)
        while match is None:
            if time.monotonic() > limit:
                raise PublicationError(name, f"is not decided after {timeout:.0f} s", "Ask again later: it goes on.")
            time.sleep(pause)
            match = explorer.result(str(ticket), source)
        yield Publication(name, source.address, match)


def _source(deployment: Deployment, name: str) -> Source:
    entry = deployment.contracts[name]
    [kinds] = [
        [argument["type"] for argument in one["inputs"]] for one in artifact(name).abi if one["type"] == "constructor"
    ] or [[]]
    return Source(
        chain_id=deployment.chain_id,
        address=entry.address,
        identifier=identifier(name),
        compiler=compiler_version(),
        standard_input=standard_input(name),
        arguments=encode(kinds, list(entry.arguments)),
        transaction=entry.transaction,
    )


class Sourcify:
    """Sourcify, or a server of one's own that speaks its API v2."""

    def __init__(self, url: str = SOURCIFY) -> None:
        """Name the server."""
        self._url = url.rstrip("/")

    def submit(self, source: Source) -> str | None:
        """See `Explorer.submit`."""
        content = {
            "stdJsonInput": json.loads(source.standard_input),
            "compilerVersion": source.compiler,
            "contractIdentifier": source.identifier,
        }
        if source.transaction:
            content["creationTransactionHash"] = source.transaction
        status, said = _ask("POST", f"{self._url}/v2/verify/{source.chain_id}/{source.address}", source, json=content)
        if status == 409:
            return None
        return _text(said, "verificationId", status, source)

    def result(self, ticket: str, source: Source) -> Match | None:
        """See `Explorer.result`."""
        status, said = _ask("GET", f"{self._url}/v2/verify/{ticket}", source)
        if not isinstance(said.get("isJobCompleted"), bool):
            raise _refused(source, status, said)
        if not said["isJobCompleted"]:
            return None
        found = said.get("contract") or {}
        matches = {"exact_match": Match.EXACT, "match": Match.CODE}
        error = said.get("error") or {}
        if isinstance(error, dict) and error.get("customCode") == "already_verified":
            return Match.ALREADY
        match = matches.get(str(found.get("match"))) if isinstance(found, dict) else None
        if match is None:
            raise _refused(source, status, error if isinstance(error, dict) else {})
        return match


class Etherscan:
    """Etherscan, or an explorer that answers as it does, such as Blockscout."""

    def __init__(self, api_key: str, url: str = ETHERSCAN) -> None:
        """Name the interface, and the key that it gave you."""
        self._url, self._key = url, api_key

    def submit(self, source: Source) -> str | None:
        """See `Explorer.submit`."""
        content = {
            "contractaddress": source.address,
            "sourceCode": source.standard_input,
            "codeformat": "solidity-standard-json-input",
            "contractname": source.identifier,
            "compilerversion": f"v{source.compiler}",
            "constructorArguements": source.arguments.hex(),  # spelled so in the interface
            "licenseType": _SPDX_APACHE_2,
        }
        good, said = self._call("POST", "verifysourcecode", source, content)
        if not good and _has(said, "already verified"):
            return None
        if not good:
            raise PublicationError(source.identifier, f"is refused: {said[:_SHOWN]}", "Mend that, and publish again.")
        return said

    def result(self, ticket: str, source: Source) -> Match | None:
        """See `Explorer.result`."""
        good, said = self._call("GET", "checkverifystatus", source, {"guid": ticket})
        if good:
            return Match.CODE  # it does not say whether the metadata matched as well
        if _has(said, "pending") or _has(said, "in progress"):
            return None
        if _has(said, "already verified"):
            return Match.ALREADY
        raise PublicationError(
            source.identifier, f"does not match: {said[:_SHOWN]}", "Deploy this build, or use the one deployed."
        )

    def _call(self, method: str, action: str, source: Source, content: Mapping[str, str]) -> tuple[bool, str]:
        about = {"module": "contract", "action": action, "apikey": self._key}
        sent = {"data": {**about, **content}} if method == "POST" else {"params": {**about, **content}}
        sent.setdefault("params", {})["chainid"] = str(source.chain_id)
        status, said = _ask(method, self._url, source, **sent)
        if self._key:  # some quote it
            said = {name: one.replace(self._key, "…") if isinstance(one, str) else one for name, one in said.items()}
        return said.get("status") == "1", _text(said, "result", status, source)


def _ask(method: str, url: str, source: Source, **sent: Any) -> tuple[int, dict[str, Any]]:
    """One question to an explorer, and the JSON object that answers it."""
    step = "Check the URL, and try again."
    try:
        status, said = ask_json(method, url, timeout=_TIMEOUT, **sent)
    except (requests.RequestException, OSError, ValueError) as error:
        what = f"cannot be published at {origin(url)} ({type(error).__name__})"
        raise PublicationError(source.identifier, what, step) from None
    if said is None:
        what = f"cannot be published at {origin(url)}, which answers {status} and no JSON object"
        raise PublicationError(source.identifier, what, step)
    return status, said


def _text(said: Mapping[str, Any], name: str, status: int, source: Source) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value or status >= 400:
        raise _refused(source, status, said)
    return value


def _refused(source: Source, status: int, said: Mapping[str, Any]) -> PublicationError:
    told = " ".join(str(said[name]) for name in ("customCode", "message") if name in said)
    what = f"is refused ({status}{': ' + told[:_SHOWN] if told else ''})"
    return PublicationError(source.identifier, what, "Mend that, and publish again: what was taken stays.")


def _has(said: str, words: str) -> bool:
    return words in said.lower()
