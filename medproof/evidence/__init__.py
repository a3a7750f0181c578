"""What a stranger checks off line: that a chain's block has this state, and this transaction with these events.

It needs `medproof[evidence]`. docs/evidence.md says what a proof shows and what it rests on: the hashes of blocks.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.evidence.header import Header
    from medproof.evidence.state_proof import ProvedState, StateProof, prove
    from medproof.evidence.storage import Place, locate
    from medproof.evidence.transaction_proof import ProvedLog, ProvedTransaction, TransactionProof, prove_transaction
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("Evidence", "evidence", str(missing.name)) from None

__all__ = [
    "Header",
    "Place",
    "ProvedLog",
    "ProvedState",
    "ProvedTransaction",
    "StateProof",
    "TransactionProof",
    "locate",
    "prove",
    "prove_transaction",
]
