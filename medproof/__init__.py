"""Health-data consent, record pointers and claim anchors on Ethereum; the data stays where it is.

Start with `medproof.client.MedProof`: it connects to a chain and gives a client for each contract. A rule is a
`medproof.policy.word.Rule`, a patient's keys are a `medproof.wallet.Wallet`, a record is read and committed to by
`medproof.fhir` and `medproof.hashing`. Every exception is a `medproof.errors.MedProofError`.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("medproof")
