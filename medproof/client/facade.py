"""One object for the whole suite."""

from __future__ import annotations

from pathlib import Path

from medproof.chain import Chain, Receipt, Sender
from medproof.client.access_log import AccessLog
from medproof.client.batch_anchor import BatchAnchor
from medproof.client.claim_anchor import ClaimAnchor
from medproof.client.consent_registry import ConsentRegistry
from medproof.client.contract import ContractClient, SignedMessage
from medproof.client.delegations import Delegations
from medproof.client.devices import Devices
from medproof.client.incentives import Incentives
from medproof.client.prescriptions import Prescriptions
from medproof.client.record_pointers import RecordPointers
from medproof.client.registrar import Registrar
from medproof.client.studies import Studies
from medproof.deployments import Deployment, verify
from medproof.errors import MessageError
from medproof.networks import Network, network_named

__all__ = ["MedProof"]


class MedProof:
    """The suite on one chain: a client for each contract.

    >>> suite = MedProof.connect("sepolia", deployment="deployments/sepolia.json", sender=signer)
    >>> suite.consent_registry.is_permitted(subject, clinic, request)
    """

    def __init__(self, chain: Chain, deployment: Deployment, *, sender: Sender | None = None) -> None:
        """Use a chain and a deployment on it; `sender` sends where a call names nobody else."""
        self.chain = chain
        self.deployment = deployment
        self.registrar = Registrar(chain, deployment, sender)
        self.delegations = Delegations(chain, deployment, sender)
        self.consent_registry = ConsentRegistry(chain, deployment, sender)
        self.record_pointers = RecordPointers(chain, deployment, sender)
        self.prescriptions = Prescriptions(chain, deployment, sender)
        self.claim_anchor = ClaimAnchor(chain, deployment, sender)
        self.batch_anchor = BatchAnchor(chain, deployment, sender)
        self.access_log = AccessLog(chain, deployment, sender)
        self.devices = Devices(chain, deployment, sender)
        self.studies = Studies(chain, deployment, sender)
        self.incentives = Incentives(chain, deployment, sender)

    @classmethod
    def connect(
        cls,
        network: str | Network,
        *,
        deployment: Deployment | Path | str,
        sender: Sender | None = None,
        chain_id: int | None = None,
        confirmations: int | None = None,
    ) -> MedProof:
        """Connect to a chain and find the suite on it.

        Args:
            network: a named network (`medproof.networks`) or a node's URL.
            deployment: the manifest that the deployment wrote, or its path.
            sender: who sends transactions; none is needed to read and to sign.
            chain_id: the chain that must answer; the network's or the manifest's own where none is given.
            confirmations: blocks before a transaction counts; the network's own where none is given.

        Raises:
            WrongChainError: another chain answers.
            NodeError: nobody answers.
            DeploymentError: the suite is not there, or other code is.
        """
        found = deployment if isinstance(deployment, Deployment) else Deployment.load(deployment)
        meant = network if isinstance(network, Network) else network_named(network)
        expected = next(one for one in (chain_id, meant.chain_id, found.chain_id) if one is not None)
        chain = Chain.connect(meant, chain_id=expected, confirmations=confirmations)
        verify(chain, found)
        return cls(chain, found, sender=sender)

    def relay(self, message: SignedMessage, *, sender: Sender | None = None) -> Receipt:
        """Send anyone's signed message to the contract it is for.

        Raises:
            MessageError: see `client_for` and `ContractClient.call_data`.
        """
        return self.client_for(message.contract).relay(message, sender=sender)

    def client_for(self, contract: str) -> ContractClient:
        """The client of a contract that takes signed messages, by the contract's name.

        Raises:
            MessageError: there is no such contract, or it takes none.
        """
        for client in vars(self).values():
            if isinstance(client, ContractClient) and client.name == contract and client.signed_functions:
                return client
        raise MessageError(f"{contract} takes no relayed messages. Check where the message comes from.")
