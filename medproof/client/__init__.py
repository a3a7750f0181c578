"""The suite from Python: `MedProof` and a client for each contract."""

from medproof.client.facade import MedProof

__all__ = ["MedProof"]
