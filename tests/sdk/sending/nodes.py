"""Nodes that answer some questions in their own way, alone or in a list, and pass the others on."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from medproof.chain import Chain
from tests.sdk.chain.odd_node import Answer, Call

Decide = Callable[[str, list[Any]], Any]


def refusing(message: str) -> dict[str, Any]:
    """For `deciding`: that the node refuses."""
    return {"error": {"code": -32000, "message": message}}


def deciding(decide: Decide) -> Answer:
    """`decide(method, parameters)` gives a result, `refusing(…)`, or `...` for what the real node says."""

    def answer(call: Call) -> bytes:
        given = [decide(one["method"], one["params"]) for one in call.each]
        asked = [one for one, said in zip(call.each, given, strict=True) if said is ...]
        real = iter(_forward(call, asked))
        said = [
            next(real) if one is ... else {"jsonrpc": "2.0", "id": asked["id"], **_wrapped(one)}
            for asked, one in zip(call.each, given, strict=True)
        ]
        return json.dumps(said if json.loads(call.body) == call.each else said[0]).encode()

    return answer


def _wrapped(one: Any) -> dict[str, Any]:
    return one if isinstance(one, dict) and "error" in one else {"result": one}


def _forward(call: Call, asked: list[dict[str, Any]]) -> list[Any]:
    if not asked:
        return []
    body = json.dumps(asked if len(asked) > 1 else asked[0]).encode()
    request = urllib.request.Request(str(call.upstream), body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        said = json.loads(response.read())
    return said if isinstance(said, list) else [said]


def through(url: str, **options: Any) -> Chain:
    return Chain.connect(url, poll=0.001, timeout=5.0, **options)


class Swallowing:
    """Says that it has taken transactions, and keeps them back, as often as it is told."""

    def __init__(self, most: int = 1_000) -> None:
        self.kept: list[bytes] = []
        self.left = most

    def __call__(self, method: str, parameters: list[Any]) -> Any:
        if method != "eth_sendRawTransaction" or self.left <= 0:
            return ...
        self.left -= 1
        self.kept.append(bytes.fromhex(parameters[0][2:]))
        return "0x" + "00" * 32
