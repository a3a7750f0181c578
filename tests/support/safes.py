"""Real Safes (npm @safe-global/safe-smart-account), set up and signed for as their owners do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from eth_account import Account

from medproof.chain import Chain, Receipt
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT

ARTIFACTS = ROOT / "node_modules" / "@safe-global" / "safe-smart-account" / "build" / "artifacts" / "contracts"
NOBODY = "0x" + "00" * 20


def built(path: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    content: dict[str, Any] = json.loads((ARTIFACTS / f"{path}.sol" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def created(chain: Chain, payer: LocalSigner, path: str) -> Any:
    """A contract of Safe's, deployed."""
    build = built(path)
    receipt = chain.wait(chain.send(chain.creation(build["bytecode"], build["abi"], ()), sender=payer))
    return chain.contract(str(receipt.contract), build["abi"])


def new_safe(chain: Chain, payer: LocalSigner, owners: Sequence[str], threshold: int) -> Any:
    """A Safe behind a proxy; with threshold 0 it is not set up yet."""
    singleton = created(chain, payer, "Safe")
    factory = created(chain, payer, "proxies/SafeProxyFactory")
    nothing = (NOBODY, b"", NOBODY, NOBODY, 0, NOBODY)
    setup = chain.call_data(singleton, "setup", (list(owners), threshold, *nothing)) if threshold else "0x"
    made = chain.transact(
        factory, "createProxyWithNonce", (singleton.address, bytes.fromhex(setup[2:]), 1), sender=payer
    )
    [event] = [one for one in made.events(factory) if one.name == "ProxyCreation"]
    return chain.contract(event.arguments["proxy"], singleton.abi)


def act(chain: Chain, safe: Any, owners: Sequence[LocalSigner], to: str, data: str, *, payer: LocalSigner) -> Receipt:
    """What a Safe does, signed by these owners and sent by whoever pays."""
    call = (to, 0, bytes.fromhex(data[2:]), 0, 0, 0, 0, NOBODY, NOBODY)
    digest = bytes(chain.call(safe, "getTransactionHash", (*call, chain.call(safe, "nonce", ()))))
    signed = sorted((int(one.address, 16), one) for one in owners)
    signatures = b"".join(bytes(Account.unsafe_sign_hash(digest, one._account.key).signature) for _, one in signed)
    return chain.transact(safe, "execTransaction", (*call, signatures), sender=payer)
