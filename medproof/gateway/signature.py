"""How a caller proves its account: EIP-712 typed data over one HTTP request, in the header `Authorization`.

A signature counts for one method, path, query and body, at one gatekeeper, on one chain, once, and for minutes. What
the caller claims of its purpose is part of it, so that nobody can say afterwards that it was claimed by another.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof.errors import MessageError
from medproof.messages import Domain, FreeMessage, TypedData
from medproof.policy.codes import Action, Purpose, ResearchUse
from medproof.policy.word import Request
from medproof.signing import Signer

__all__ = ["ACCESS_FIELDS", "HEADERS", "SCHEME", "Claims", "Credentials", "SignedRequest"]

SCHEME = "MedProof"
HEADERS = {"purposes": "MedProof-Purposes", "actions": "MedProof-Actions", "research": "MedProof-Research"}
"""The headers that carry what a caller claims, by the member of the typed data."""

ACCESS_FIELDS = (
    "address account,string audience,string method,string target,bytes32 body,string purposes,string actions,"
    "string research,bytes32 nonce,uint256 issuedAt,uint256 expiresAt"
)
_TYPE = "AccessRequest"
_LONGEST_SIGNATURE = 2048  # bytes; a contract wallet's may hold several
_CREDENTIALS = re.compile(
    rf"{SCHEME} account=(?P<account>0x[0-9a-fA-F]{{40}}), ?nonce=(?P<nonce>0x[0-9a-f]{{64}}), ?"
    rf"issued=(?P<issued>[0-9]{{1,12}}), ?expires=(?P<expires>[0-9]{{1,12}}), ?"
    rf"signature=(?P<signature>0x(?:[0-9a-f]{{2}}){{1,{_LONGEST_SIGNATURE}}})",
    re.ASCII,
)


@dataclass(frozen=True)
class Claims:
    """What a caller says that it will do with what it asks for. Left empty, a field claims every code of its list."""

    purposes: Purpose = Purpose.EMPTY
    actions: Action = Action.EMPTY
    research: ResearchUse = ResearchUse.EMPTY

    @classmethod
    def of(cls, request: Request) -> Claims:
        """The part of a request that is the caller's to say."""
        return cls(request.purposes, request.actions, request.research)

    def texts(self) -> dict[str, str]:
        """The codes of each field, separated by commas, as they are signed and sent."""
        return {name: ",".join(getattr(self, name).codes) for name in HEADERS}

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> Claims:
        """Read what `texts` gave.

        Raises:
            UnknownCodeError: a code is in none of the lists.
        """
        lists = {"purposes": Purpose, "actions": Action, "research": ResearchUse}
        return cls(**{name: lists[name].from_codes(_codes(texts.get(name, ""))) for name in HEADERS})  # type: ignore[arg-type]


def _codes(text: str) -> list[str]:
    return text.split(",") if text else []


@dataclass(frozen=True)
class SignedRequest:
    """What is signed of an HTTP request."""

    account: str  # who asks
    audience: str  # the gatekeeper's origin, such as https://records.example.org
    method: str  # such as GET
    target: str  # path and query as they are sent
    body: bytes  # as it is sent; empty for none
    claims: Mapping[str, str]  # by member, as sent
    nonce: bytes  # 32 random bytes
    issued: int  # seconds since 1970
    expires: int  # seconds since 1970

    def typed_data(self, chain_id: int, contract: str) -> TypedData:
        """The message, as a wallet shows it; `contract` is the ConsentRegistry that decides."""
        members = {
            "account": to_checksum_address(self.account),
            "audience": self.audience,
            "method": self.method,
            "target": self.target,
            "body": keccak(self.body),
            **{name: self.claims.get(name, "") for name in HEADERS},
            "nonce": self.nonce,
            "issuedAt": self.issued,
            "expiresAt": self.expires,
        }
        return FreeMessage(Domain("Gatekeeper", chain_id, contract), _TYPE, members, {_TYPE: ACCESS_FIELDS})

    @classmethod
    def new(
        cls,
        account: str,
        audience: str,
        method: str,
        target: str,
        *,
        body: bytes,
        claims: Claims,
        now: int,
        lifetime: int,
    ) -> SignedRequest:
        """A request with a fresh nonce."""
        nonce, until = secrets.token_bytes(32), now + lifetime
        return cls(account, audience, method, target, body, claims.texts(), nonce, now, until)

    def headers(self, signer: Signer, chain_id: int, contract: str) -> dict[str, str]:
        """The headers that carry the signature and the claims."""
        signature = signer.sign_typed_data(self.typed_data(chain_id, contract))
        credentials = Credentials(self.account, self.nonce, self.issued, self.expires, signature)
        said = {HEADERS[name]: text for name, text in self.claims.items() if text}
        return {"Authorization": str(credentials), **said}


@dataclass(frozen=True)
class Credentials:
    """The content of the header `Authorization`."""

    account: str
    nonce: bytes
    issued: int
    expires: int
    signature: bytes

    def __str__(self) -> str:
        """The header's value."""
        return (
            f"{SCHEME} account={self.account}, nonce=0x{self.nonce.hex()}, issued={self.issued}, "
            f"expires={self.expires}, signature=0x{self.signature.hex()}"
        )

    @classmethod
    def read(cls, text: str) -> Credentials:
        """Read what `str` gave.

        Raises:
            MessageError: it is nothing of the kind.
        """
        found = _CREDENTIALS.fullmatch(text)
        if found is None:
            raise MessageError("The header Authorization is missing or no signed request. See docs/gateway.md.")
        return cls(
            str(to_checksum_address(found["account"])),
            bytes.fromhex(found["nonce"][2:]),
            int(found["issued"]),
            int(found["expires"]),
            bytes.fromhex(found["signature"][2:]),
        )
