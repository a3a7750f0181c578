"""The gatekeeper: a custodian's HTTP service that serves real FHIR records to whom their subjects permit it on chain.

It needs `medproof[gateway]`. docs/gateway.md says how a caller signs, what is decided and when, and what it refuses.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.access.entry import Access
    from medproof.gateway.app import create_app
    from medproof.gateway.client import Fetched, GatekeeperClient, Taken
    from medproof.gateway.proof import Proof
    from medproof.gateway.server import serve
    from medproof.gateway.service import Gatekeeper
    from medproof.gateway.settings import Settings
    from medproof.gateway.signature import Claims, SignedRequest
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("The gatekeeper", "gateway", str(missing.name)) from None

__all__ = [
    "Access",
    "Claims",
    "Fetched",
    "Gatekeeper",
    "GatekeeperClient",
    "Proof",
    "Settings",
    "SignedRequest",
    "Taken",
    "create_app",
    "serve",
]
