"""Named networks: where a chain's node is and which chain must answer there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from medproof.errors import UnknownNetworkError

__all__ = ["NETWORKS", "Network", "network_named"]


@dataclass(frozen=True)
class Network:
    """A chain and a node of it."""

    name: str
    url: str  # the node's HTTP address
    chain_id: int | None  # which chain must answer; None where any may
    confirmations: int = 1  # blocks, its own included, before a transaction counts


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network("ganache", "http://127.0.0.1:8545", 1337),
        Network("anvil", "http://127.0.0.1:8545", 31337),
        Network("sepolia", "", 11155111, confirmations=3),
        Network("hoodi", "", 560048, confirmations=3),
        Network("base-sepolia", "", 84532, confirmations=5),
    )
}


def network_named(name: str) -> Network:
    """Return a network by name or by a node's URL.

    A name's URL may be given, and for a public network must be, in the environment: ``MEDPROOF_SEPOLIA_URL``.

    Raises:
        UnknownNetworkError: the name is not known and is no URL, or the URL of a public network is not given.
    """
    if name.startswith(("http://", "https://")):
        return Network(name, name, None)
    if name not in NETWORKS:
        raise UnknownNetworkError(name, tuple(NETWORKS))
    network = NETWORKS[name]
    variable = f"MEDPROOF_{name.replace('-', '_').upper()}_URL"
    url = os.environ.get(variable, network.url)
    if not url:
        raise UnknownNetworkError(name, (), variable)
    return Network(network.name, url, network.chain_id, network.confirmations)
