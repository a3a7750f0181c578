"""The transaction that a step of the authority or of a party is."""

from __future__ import annotations

from medproof.artifacts import artifact
from medproof.client import MedProof
from medproof.migration.events import client_named
from medproof.migration.step import Step

__all__ = ["call_of"]


def call_of(new: MedProof, step: Step) -> dict[str, str]:
    """Where a step is sent to in the new deployment, and with which data.

    What else belongs to it goes through the Authority, which makes all of it for whoever has the role, or none.
    """
    client, chain = client_named(new, step.contract), new.chain
    calls = [chain.call_data(client.contract, step.function, step.arguments)]
    calls += [chain.call_data(client.contract, function, step.arguments[:1]) for function in step.then]
    if len(calls) == 1:
        return {"to": client.address, "data": calls[0]}
    authority = chain.contract(new.deployment.address("Authority"), artifact("Authority").abi)
    inner = [chain.call_data(authority, "execute", (client.address, bytes.fromhex(one[2:]))) for one in calls]
    together = [bytes.fromhex(one[2:]) for one in inner]
    return {"to": authority.address, "data": chain.call_data(authority, "multicall", (together,))}
