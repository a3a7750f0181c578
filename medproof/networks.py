"""Named networks: where a chain's node is, which chain must answer there, and when its blocks count.

Those that everybody knows come with the package (`networks.json`); a consortium's own chain stands in a file of the
same form, which `medproof network add` writes: `$MEDPROOF_NETWORKS`, or networks.json in the folder of the user's
settings. A node's URL may hold a key, so that the file is for its owner alone.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from medproof.errors import KeystoreError, MedProofError, NetworkFileError, UnknownNetworkError
from medproof.json_reader import JsonReader
from medproof.key_file import rewriting

__all__ = ["Network", "add_network", "network_named", "networks", "networks_file"]

_FORMAT, _VERSION, _LONGEST = "medproof-networks", 1, 1 << 20
_MOST = 1000
_NAME = re.compile("[a-z][a-z0-9-]{0,31}")
_TAGS = ("safe", "finalized")  # of the blocks that a chain's consensus will not take back


@dataclass(frozen=True)
class Network:
    """A chain and a node of it."""

    name: str
    url: str  # the node's HTTP address; empty where everybody has their own
    chain_id: int | None  # which chain must answer; None where any may
    confirmations: int = 1  # blocks, its own included, before a transaction counts
    finality: int | str | None = None  # blocks that an index reads: "safe", "finalized", or confirmations; None: those
    explorer: str = ""  # the address of a block explorer
    ours: bool = False  # whether it stands in the user's file

    @property
    def variable(self) -> str:
        """The environment variable that may give another URL."""
        return f"MEDPROOF_{self.name.replace('-', '_').upper()}_URL"

    @property
    def address(self) -> str:
        """Where its node answers: the environment's URL, else its own; empty where neither is given."""
        return os.environ.get(self.variable) or self.url

    @property
    def followed(self) -> int | str:
        """The blocks that an index reads: "safe", "finalized", or those with so many confirmations."""
        return self.finality or self.confirmations


def networks_file() -> Path:
    """Where the user's own networks stand: `$MEDPROOF_NETWORKS`, or below `$XDG_CONFIG_HOME` or ~/.config."""
    named = os.environ.get("MEDPROOF_NETWORKS")
    if named:
        return Path(named)
    settings = os.environ.get("XDG_CONFIG_HOME")
    return (Path(settings) if settings else Path.home() / ".config") / "medproof" / "networks.json"


def networks() -> dict[str, Network]:
    """All networks by name: those that come with the package, and the user's, who may describe one of them anew.

    Raises:
        NetworkFileError: the user's file cannot be read.
    """
    known = _read(files("medproof").joinpath("networks.json").read_bytes(), "networks.json", ours=False)
    return {one.name: one for one in (*known, *_own(networks_file()))}


def network_named(name: str) -> Network:
    """Return a network by name or by a node's URL.

    A name's URL may be given, and for a public network must be, in the environment: ``MEDPROOF_SEPOLIA_URL``.

    Raises:
        UnknownNetworkError: the name is not known and is no URL, or the URL of a public network is not given.
        NetworkFileError: the user's file of networks cannot be read.
    """
    if _is_url(name):
        return Network(name, name, None)
    known = networks()
    if name not in known:
        raise UnknownNetworkError(name, tuple(known))
    network = known[name]
    url = network.address
    if not url:
        raise UnknownNetworkError(name, (), network.variable)
    return replace(network, url=url)


def add_network(network: Network) -> Path:
    """Write a network into the user's file, in place of one of its name there; return the file.

    Raises:
        NetworkFileError: the network cannot be described so, or the file cannot be read or written.
    """
    path = networks_file()
    _read(_to_json([network]).encode("ascii"), str(path), ours=True)  # what could not be read again is not written
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with rewriting(path) as file:  # read in here: nobody adds another meanwhile
            content = _to_json([one for one in _own(path) if one.name != network.name] + [network])
            _read(content.encode("ascii"), str(path), ours=True)
            file.write(content)
    except (KeystoreError, OSError) as error:
        raise NetworkFileError(str(path), "", f"cannot be written ({error})") from error
    return path


def _own(path: Path) -> list[Network]:
    try:
        return _read(path.read_bytes(), str(path), ours=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NetworkFileError(str(path), "", f"cannot be read ({error.strerror})") from error


def _read(content: bytes, where: str, *, ours: bool) -> list[Network]:
    def wrong(member: str, rule: str) -> MedProofError:
        return NetworkFileError(where, member, rule)

    said = JsonReader.document(content, wrong, format=_FORMAT, version=_VERSION, longest=_LONGEST)
    entries = said.take("networks")
    said.finish()
    if not isinstance(entries, list) or len(entries) > _MOST:
        raise said.wrong("networks", f"is no list of at most {_MOST}")
    found = [_network(JsonReader(entry, wrong, f"networks[{at}]."), ours) for at, entry in enumerate(entries)]
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise said.wrong("networks", "names a network twice")
    return found


def _network(said: JsonReader, ours: bool) -> Network:
    name, url, explorer = said.text("name"), said.text("url"), said.text("explorer")
    if not _NAME.fullmatch(name):
        raise said.wrong("name", "is no name of small letters, digits and hyphens that begins with a letter")
    for member, value in (("url", url), ("explorer", explorer)):
        if value and not _is_url(value):
            raise said.wrong(member, "is no address that begins with http:// or https://")
    chain_id, confirmations, finality = said.number("chainId"), said.number("confirmations"), said.take("finality")
    if not chain_id or not confirmations:
        raise said.wrong("confirmations" if chain_id else "chainId", "is 0")
    is_count = isinstance(finality, int) and not isinstance(finality, bool) and finality > 0
    if not is_count and finality not in _TAGS:
        raise said.wrong("finality", "is no number of blocks from 1 on, nor safe, nor finalized")
    said.finish()
    return Network(name, url, chain_id, confirmations, finality, explorer, ours)  # type: ignore[arg-type]


def _to_json(kept: list[Network]) -> str:
    entries = [
        {
            "name": one.name,
            "chainId": one.chain_id,
            "url": one.url,
            "confirmations": one.confirmations,
            "finality": one.followed,
            "explorer": one.explorer,
        }
        for one in sorted(kept, key=lambda one: one.name)
    ]
    return json.dumps({"format": _FORMAT, "version": _VERSION, "networks": entries}, indent=2) + "\n"


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))
