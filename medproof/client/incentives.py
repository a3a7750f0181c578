"""The Incentives: bounties in ERC-20 tokens that pay custodians or subjects for a study's answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.client.studies import Result
from medproof.client.token import Token
from medproof.errors import BountyError, TokenError
from medproof.fixed_cohort import Cohort, Membership
from medproof.signing import Signer

__all__ = ["Bounty", "Escrow", "Incentives", "Payee"]

_HOUR = 3600
_BOUNTY = "(address,bytes32,address,uint8,uint128,uint64)"


class Payee(IntEnum):
    """Who is paid for an answer."""

    CUSTODIAN = 0  # the one that gave it
    SUBJECTS = 1  # each subject of the cohort that it is about


@dataclass(frozen=True)
class Bounty:
    """A bounty as the chain knows it: the struct `Bounty` of the contract."""

    funder: str  # who pays, accepts results and takes back what is left
    study: bytes  # the study's id, 32 bytes
    token: str  # address of the ERC-20 token
    payee: Payee
    payment: int  # how much each is paid, in the token's unit
    accept_until: datetime  # the last time at which results are accepted; aware, whole seconds

    def __post_init__(self) -> None:
        """Refuse what no bounty is.

        Raises:
            BountyError: the time has no zone or parts of a second, or a payment does not fit.
        """
        if self.accept_until.tzinfo is None or self.accept_until.microsecond:
            raise BountyError(f"ends at {self.accept_until!r}", "Give a time with its zone, in whole seconds")
        if not 0 <= self.payment < 1 << 128:
            raise BountyError(f"pays {self.payment} to each", "Give an amount of 128 bits at most")

    @property
    def id(self) -> bytes:
        """Its id, 32 bytes: the hash of all of it."""
        return keccak(encode([_BOUNTY], [self.as_tuple()]))

    def as_tuple(self) -> tuple[object, ...]:
        """The bounty as the contract takes it."""
        until = int(self.accept_until.timestamp())
        return (self.funder, self.study, self.token, int(self.payee), self.payment, until)

    def answer(self, cohort: Cohort, result: Result) -> bytes:
        """By what the contract knows an answer: the result's id, or the cohort's where subjects are paid."""
        return cohort.id if self.payee is Payee.SUBJECTS else result.id


@dataclass(frozen=True)
class Escrow:
    """What is kept of a bounty's tokens, in the token's unit."""

    free: int  # what no accepted answer has a claim to
    due: int  # what is promised and not yet paid


class Incentives(ContractClient):
    """The bounties of all funders. A funder sends its money itself; whoever is paid signs, and anyone relays it."""

    name = "Incentives"
    signed_functions = ("accept", "claimAnswer", "claimShare")

    # -- as the funder ------------------------------------------------------------------------------------------

    def fund(self, bounty: Bounty, amount: int, *, sender: Sender | None = None) -> Receipt:
        """Put tokens into a bounty, which need not exist yet. Exactly this amount is approved first, where it is not.

        Args:
            bounty: the bounty.
            amount: how much, in the token's unit.
            sender: its funder.

        Raises:
            TokenError: there is no token at its address, or the sender has not so much of it.
        """
        by, token = self._by("fund", sender), self.token(bounty)
        if (held := token.balance(by.address)) < amount:
            rule = f"gives {by.address} {token.shown(held)}, and {token.shown(amount)} are to be put into the bounty"
            raise TokenError(token.address, rule, "Put less into it, or have more sent there first")
        allowed = token.allowance(by.address, self.address)
        if allowed < amount:
            if allowed:  # some tokens change an allowance by way of none alone
                token.approve(self.address, 0, sender=by)
            token.approve(self.address, amount, sender=by)
        return self._transact("fund", bounty.as_tuple(), amount, sender=by)

    def accept(self, bounty: Bounty, cohort: Cohort, result: Result, *, sender: Sender | None = None) -> Receipt:
        """Accept a published result: what it takes is promised from then on; the sender is the funder."""
        parts = bounty.as_tuple(), cohort.as_tuple(), result.as_tuple()
        return self._transact("accept", *parts, 0, b"", sender=sender)

    def sign_acceptance(
        self, signer: Signer, bounty: Bounty, cohort: Cohort, result: Result, *, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign to accept a published result, as the funder; `lifetime` is how long it counts, in seconds."""
        deadline = self._deadline(lifetime)
        message = messages.result_acceptance(
            self.domain, bounty=bounty.id, study=bounty.study, result=result.id, deadline=deadline
        )
        parts = bounty.as_tuple(), cohort.as_tuple(), result.as_tuple()
        return self._signed("accept", parts, deadline, signer.sign_typed_data(message))

    def refund(self, bounty: Bounty, *, to: str | None = None, sender: Sender | None = None) -> Receipt:
        """Take back what is free after the time to accept, and all after the time to claim; the sender is the funder.

        Args:
            bounty: the bounty.
            to: who receives the tokens; the sender where nobody is named.
            sender: the funder.
        """
        by = self._by("refund", sender)
        return self._transact("refund", bounty.as_tuple(), to or by.address, sender=by)

    # -- as a custodian -----------------------------------------------------------------------------------------

    def claim_answer(
        self, bounty: Bounty, result: Result, *, to: str | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Be paid for an accepted answer; the sender acts for the custodian, and is paid where nobody is named."""
        by = self._by("claimAnswer", sender)
        parts = bounty.as_tuple(), result.as_tuple(), to or by.address
        return self._transact("claimAnswer", *parts, 0, b"", sender=by)

    def sign_answer_claim(
        self, signer: Signer, bounty: Bounty, result: Result, *, to: str | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign to be paid for an accepted answer, as its custodian; see `claim_answer`."""
        receiver = to or signer.address
        parts = bounty.as_tuple(), result.as_tuple(), receiver
        return self._payout(signer, "claimAnswer", parts, bounty, result.id, result.custodian, receiver, lifetime)

    # -- as a subject -------------------------------------------------------------------------------------------

    def claim_share(
        self, bounty: Bounty, membership: Membership, *, to: str | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Be paid for an accepted answer over a cohort; see `sign_share_claim`."""
        by = self._by("claimShare", sender)
        return self._transact("claimShare", *_share(bounty, membership, to or by.address), 0, b"", sender=by)

    def sign_share_claim(
        self, signer: Signer, bounty: Bounty, membership: Membership, *, to: str | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign to be paid for an accepted answer over a cohort in which the subject is a member.

        Args:
            signer: the subject, or its delegate with every scope.
            bounty: the bounty.
            membership: the subject's place in the cohort.
            to: who receives the tokens; the signer where nobody is named. Whoever it is, is linked to the subject for
                all to see: an account that receives for two pseudonyms shows them to be one person's.
            lifetime: how long the message counts, in seconds.
        """
        receiver = to or signer.address
        parts, cohort = _share(bounty, membership, receiver), membership.cohort
        return self._payout(signer, "claimShare", parts, bounty, cohort.id, membership.subject, receiver, lifetime)

    # -- asking -------------------------------------------------------------------------------------------------

    def token(self, bounty: Bounty) -> Token:
        """The token that a bounty is paid in."""
        return Token(self.chain, bounty.token)

    def escrow(self, bounty: bytes, *, block: int | str = "latest") -> Escrow:
        """What is kept of a bounty's tokens, by its id; nothing where there is no such bounty."""
        free, due = self._call("escrowOf", bounty, block=block)
        return Escrow(free, due)

    def is_accepted(self, bounty: bytes, answer: bytes, *, block: int | str = "latest") -> bool:
        """Whether a bounty's funder has accepted an answer (`Bounty.answer`)."""
        return bool(self._call("isAccepted", bounty, answer, block=block))

    def is_paid(self, bounty: bytes, answer: bytes, payee: str, *, block: int | str = "latest") -> bool:
        """Whether somebody was paid for an answer (`Bounty.answer`)."""
        return bool(self._call("isPaid", bounty, answer, payee, block=block))

    def claim_until(self, bounty: Bounty) -> datetime:
        """The last time at which an accepted answer is paid; from then on the funder may take all back."""
        return datetime.fromtimestamp(int(bounty.accept_until.timestamp()) + self._call("CLAIM_PERIOD"), UTC)

    def bounties(self, *, study: bytes | None = None) -> Iterator[Bounty]:
        """The bounties that were funded, oldest first; of one study, or of all."""
        seen = set()
        for event in self.events("BountyFunded", filters={} if study is None else {"study": study}):
            bounty = bounty_from(event.arguments["definition"])
            if bounty.id not in seen:
                seen.add(bounty.id)
                yield bounty

    def bounty(self, bounty: bytes) -> Bounty:
        """A bounty, by its id.

        Raises:
            BountyError: there is none.
        """
        for event in self.events("BountyFunded", filters={"bounty": bounty}):
            found = bounty_from(event.arguments["definition"])
            if found.id == bounty:  # a node may say what it likes
                return found
        raise BountyError(f"0x{bounty.hex()} was never funded", "Check the id and the network")

    # -- helpers ------------------------------------------------------------------------------------------------

    def _payout(
        self,
        signer: Signer,
        function: str,
        parts: tuple[Any, ...],
        bounty: Bounty,
        answer: bytes,
        payee: str,
        to: str,
        lifetime: int,
    ) -> SignedMessage:
        deadline = self._deadline(lifetime)
        message = messages.payout(
            self.domain,
            bounty=bounty.id,
            study=bounty.study,
            answer=answer,
            payee=payee,
            token=bounty.token,
            payment=bounty.payment,
            to=to,
            deadline=deadline,
        )
        return self._signed(function, parts, deadline, signer.sign_typed_data(message))


def bounty_from(said: Any) -> Bounty:
    """A bounty from the struct in its event."""
    until = datetime.fromtimestamp(said["acceptUntil"], UTC)
    payee, payment = Payee(said["payee"]), int(said["payment"])
    return Bounty(said["funder"], bytes(said["study"]), said["token"], payee, payment, until)


def _share(bounty: Bounty, membership: Membership, to: str) -> tuple[object, ...]:
    """The arguments of a subject's claim before the deadline."""
    where = membership.cohort.as_tuple(), membership.subject, membership.index, membership.path
    return bounty.as_tuple(), *where, to
