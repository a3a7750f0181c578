"""Whether a deployment is on the chain, is this package's build, and is wired as its manifest says."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain
from medproof.deployments.manifest import NEIGHBOURS, Deployment
from medproof.errors import DeploymentError
from medproof.messages import Domain

__all__ = ["check_contract", "check_wiring", "verify"]

_DOMAIN_TYPE = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")


def verify(chain: Chain, deployment: Deployment) -> None:
    """Check that a deployment is on the chain and is this package's build.

    All of each contract's code is compared, the immutables included, which name its neighbours, its chain and itself.

    Raises:
        DeploymentError: another chain, a contract that is missing, other code at its address, or a contract that
            works with others than those of the manifest.
    """
    if deployment.chain_id != chain.chain_id:
        raise DeploymentError(
            f"The manifest is of chain {deployment.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name the manifest of this chain."
        )
    for name in CONTRACTS:
        check_contract(chain, deployment, name)


def check_contract(chain: Chain, deployment: Deployment, name: str) -> None:
    """Check one contract of a deployment.

    Raises:
        DeploymentError: it is missing, is other code, or works with others than those of the manifest.
    """
    address, build = deployment.address(name), artifact(name)
    code = chain.code(address)
    if not code:
        raise DeploymentError(
            f"There is no contract at {address}, where the manifest has {name}. The chain may have been reset: "
            "deploy again and overwrite the manifest."
        )
    if build.code_hash(code) != build.expected_code_hash:
        raise DeploymentError(
            f"The code at {address} is not this build of {name}. Use the package's version that deployed it."
        )
    check_wiring(chain, deployment, name, code)


def check_wiring(chain: Chain, deployment: Deployment, name: str, code: bytes) -> None:
    """Check whom a contract works with, and that its code was made for its address on its chain.

    Raises:
        DeploymentError: it works with others than those of the manifest, or was made for another place.
    """
    address, build = deployment.address(name), artifact(name)
    neighbours = {function: deployment.address(neighbour) for function, neighbour in NEIGHBOURS[name]}
    own = _own_immutables(Domain(name, deployment.chain_id, address))
    for place in build.immutables:  # a name may lie in several places
        found = code[place["start"] : place["start"] + place["length"]]
        if place["name"] in neighbours:
            _check_neighbour(name, address, place["name"], "0x" + found[12:].hex(), neighbours)
        elif own.get(place["name"]) != found:
            raise DeploymentError(
                f"The code at {address} has {found.hex()} for {place['name']}: it was not made for {name} at this "
                "address of this chain. Do not use this manifest; ask whoever deployed the suite for theirs."
            )
    kept = neighbours.keys() - {place["name"] for place in build.immutables}
    contract = chain.contract(address, build.abi)
    for function in sorted(kept):  # in the contract's storage
        _check_neighbour(name, address, function, chain.call(contract, function, ()), neighbours)


def _check_neighbour(name: str, address: str, function: str, found: str, neighbours: dict[str, str]) -> None:
    neighbour, meant = dict(NEIGHBOURS[name])[function], neighbours[function]
    if found.lower() != meant.lower():
        raise DeploymentError(
            f"{name} at {address} works with the {neighbour} at {found}, and the manifest has it at "
            f"{meant}. Do not use this manifest; ask whoever deployed the suite for theirs."
        )


def _own_immutables(domain: Domain) -> dict[str, bytes]:
    """What OpenZeppelin's EIP712 keeps in a contract's code, by its names."""
    said = domain.as_dict()
    name, version = (str(said[part]).encode("ascii") for part in ("name", "version"))
    parts = [_DOMAIN_TYPE, keccak(name), keccak(version), domain.chain_id, domain.address]
    return {
        "_name": _short(name),
        "_version": _short(version),
        "_hashedName": keccak(name),
        "_hashedVersion": keccak(version),
        "_cachedThis": encode(["address"], [domain.address]),
        "_cachedChainId": encode(["uint256"], [domain.chain_id]),
        "_cachedDomainSeparator": keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], parts)),
    }


def _short(text: bytes) -> bytes:
    """A text of up to 31 bytes as OpenZeppelin's ShortStrings packs it: its length in the last byte."""
    return text.ljust(31, b"\0") + bytes([len(text)])
