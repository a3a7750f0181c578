"""An ERC-20 token for the story and the tests: OpenZeppelin's, with all of its supply for whoever deploys it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from typing import Any

import solcx

from medproof.chain import Chain, Sender
from medproof.client.token import Token
from scripts.build import ROOT, configuration

SUPPLY = 10**24  # a million, of 18 decimals
KEPT = ROOT / ".cache" / "demo-token.json"
SOURCE = f"""
// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {{ERC20}} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

contract DemoToken is ERC20 {{
    constructor() ERC20("Demo Token", "DEMO") {{
        _mint(msg.sender, {SUPPLY});
    }}
}}
"""


def deploy_token(chain: Chain, sender: Sender) -> Token:
    """A new token, all of which is the sender's."""
    build = compiled()
    receipt = chain.wait(chain.send(chain.creation(build["bytecode"], build["abi"], ()), sender=sender))
    if receipt.contract is None:
        raise RuntimeError(f"Transaction {receipt.transaction} created no token.")
    return Token(chain, receipt.contract)


def send_token(token: Token, to: str, amount: int, *, sender: Sender) -> None:
    """Give somebody of one's tokens."""
    contract = token.chain.contract(token.address, compiled()["abi"])
    token.chain.transact(contract, "transfer", (to, amount), sender=sender)


def compiled() -> dict[str, Any]:
    """Its bytecode and ABI: as they were compiled last, while the source and the compiler are the same."""
    version, settings = configuration()
    os.environ.setdefault("SOLCX_BINARY_PATH", str(ROOT / ".cache" / "solc"))
    question = {
        "language": "Solidity",
        "sources": {"DemoToken.sol": {"content": SOURCE}},
        "settings": {**settings, "outputSelection": {"*": {"DemoToken": ["abi", "evm.bytecode.object"]}}},
    }
    asked = hashlib.sha256(json.dumps([version, question]).encode()).hexdigest()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(KEPT.read_text())
        if kept["asked"] == asked:
            return dict(kept)
    output = solcx.compile_standard(question, solc_version=version, allow_paths=str(ROOT))
    unit = output["contracts"]["DemoToken.sol"]["DemoToken"]
    build = {"asked": asked, "abi": unit["abi"], "bytecode": "0x" + unit["evm"]["bytecode"]["object"]}
    draft = KEPT.with_name(f".{KEPT.name}.{secrets.token_hex(4)}")
    draft.write_text(json.dumps(build))
    draft.replace(KEPT)
    return build
