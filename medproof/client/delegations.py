"""The Delegations: who may act for a subject, and who recovers a subject whose key is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from eth_abi.abi import encode
from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.decoding import Event
from medproof.errors import DelegationError
from medproof.hashing import SALT_LENGTH, new_salt
from medproof.policy.delegation import (
    DELEGATION_FIELDS,
    Delegation,
    Scope,
    decode_delegation,
    encode_delegation,
)
from medproof.signing import Signer

__all__ = ["Approval", "Delegations", "Guardians", "Recovery", "RecoveryUnderWay"]

MOST_GUARDIANS = 16  # this and the delays as in the contract, which sees them only when a recovery starts
SHORTEST_DELAY = timedelta(days=3)
LONGEST_DELAY = timedelta(days=90)

_HOUR = 3600
_WEEK = 7 * 24 * _HOUR
_EVENTS = (
    "DelegationSet",
    "DelegationRevoked",
    "GuardiansNamed",
    "RecoveryStarted",
    "RecoveryApproved",
    "RecoveryObjected",
    "RecoveryCompleted",
)
_NOBODY = bytes(32)  # the commitment of who names no guardians


@dataclass(frozen=True)
class Guardians:
    """Who may recover a subject's key. On the chain is a commitment; whoever starts a recovery needs all of this.

    Keep it with each guardian (`to_json`): who loses the key may lose this, too.
    """

    accounts: tuple[str, ...]  # checksummed; at best accounts that are used for nothing else
    threshold: int  # how many of them must approve
    delay: timedelta  # how long the subject can object
    salt: bytes  # 32 random bytes; a guardian that approves becomes known, the others stay hidden behind it

    def __post_init__(self) -> None:
        """Refuse guardians that could recover nobody.

        Raises:
            DelegationError: the contract would refuse them, when it is too late.
        """
        if not self.accounts or len(self.accounts) > MOST_GUARDIANS or len(set(self.accounts)) < len(self.accounts):
            raise DelegationError(f"{len(self.accounts)} guardians are named. Name 1 to {MOST_GUARDIANS}, each once.")
        for account in self.accounts:
            if not is_checksum_address(account):
                raise DelegationError(f"The guardian {account!r} is no checksummed address. Check it.")
        if not 0 < self.threshold <= len(self.accounts):
            raise DelegationError(
                f"{self.threshold} of {len(self.accounts)} guardians cannot approve. Let 1 to all of them be enough."
            )
        if not SHORTEST_DELAY <= self.delay <= LONGEST_DELAY or self.delay.microseconds:
            raise DelegationError(
                f"The subject cannot have {self.delay} to object. "
                f"Give it {SHORTEST_DELAY.days} to {LONGEST_DELAY.days} days, in whole seconds."
            )
        if len(self.salt) != SALT_LENGTH:
            raise DelegationError(f"The guardians' salt is not {SALT_LENGTH} bytes long. See Guardians.create.")

    @classmethod
    def create(cls, accounts: Sequence[str], *, threshold: int, delay: timedelta) -> Guardians:
        """Name guardians under a fresh salt."""
        return cls(tuple(accounts), threshold, delay, new_salt())

    @property
    def commitment(self) -> bytes:
        """What stands on the chain: 32 bytes."""
        return keccak(encode(["(bytes32[],uint256,uint256)"], [self.shown]))

    @property
    def shown(self) -> tuple[list[bytes], int, int]:
        """The contract's `Guardians`: hashed members, threshold, delay in seconds."""
        members = [
            keccak(encode(["address", "bytes32"], [account, self.salt_of(account)])) for account in self.accounts
        ]
        return members, self.threshold, int(self.delay.total_seconds())

    def salt_of(self, account: str) -> bytes:
        """The salt of one guardian, which its approval shows: it tells nothing of the others'."""
        return keccak(self.salt + bytes.fromhex(account[2:]))

    def to_json(self) -> str:
        """All of it as JSON, to keep with each guardian."""
        return json.dumps({**asdict(self), "delay": int(self.delay.total_seconds()), "salt": "0x" + self.salt.hex()})

    @classmethod
    def from_json(cls, text: str) -> Guardians:
        """Read what `to_json` wrote.

        Raises:
            DelegationError: it is none.
        """
        try:
            content = json.loads(text)
            content["accounts"] = tuple(content["accounts"])
            content["delay"] = timedelta(seconds=content["delay"])
            content["salt"] = bytes.fromhex(content["salt"].removeprefix("0x"))
            return cls(**content)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise DelegationError("These are no guardians. Give the text that Guardians.to_json wrote.") from error


@dataclass(frozen=True)
class Recovery:
    """What guardians approve: all of them the same."""

    subject: str
    successor: str  # the account that is to act for the subject
    round: int  # the subject's next round
    deadline: int  # until when the approvals count, seconds since 1970


@dataclass(frozen=True)
class Approval:
    """One guardian's approval of a recovery."""

    guardian: str
    signature: bytes


@dataclass(frozen=True)
class RecoveryUnderWay:
    """A recovery that has started: until it is completed, the subject can object."""

    successor: str
    ready_at: int  # when it can be completed, seconds since 1970
    round: int


class Delegations(ContractClient):
    """The delegates. A subject, or a delegate that may, writes directly or by a message that anyone relays.

    `subject` names for whom an act is, where the sender or signer is not the subject itself.
    """

    name = "Delegations"
    signed_functions = ("setDelegation", "revokeDelegation", "nameGuardians", "objectToRecovery")

    # -- delegations --------------------------------------------------------------------------------------------

    def delegate(
        self, delegate: str, delegation: Delegation, *, subject: str | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Give a delegation, or change it. Sequences and delegator are filled in; the sender is the delegator.

        A delegation that is changed is another one: what the delegate gave ends.
        """
        by = self._by("setDelegation", sender).address
        whose = subject or by
        word = self._next_word(whose, delegate, by, delegation)
        return self._transact("setDelegation", whose, delegate, word, 0, b"", sender=sender)

    def sign_delegation(
        self,
        signer: Signer,
        delegate: str,
        delegation: Delegation,
        *,
        subject: str | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a delegation; see `delegate`. `lifetime` is how long the message counts, in seconds."""
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        word = self._next_word(whose, delegate, signer.address, delegation)
        message = messages.delegation(self.domain, subject=whose, delegate=delegate, word=word, deadline=deadline)
        arguments = (whose, delegate, word)
        return self._signed("setDelegation", arguments, deadline, signer.sign_typed_data(message))

    def revoke(
        self,
        delegate: str,
        *,
        subject: str | None = None,
        sequence: int | None = None,
        sender: Sender | None = None,
    ) -> Receipt:
        """Revoke a delegation, as the subject, as who gave it, or as the delegate itself, who resigns.

        Args:
            delegate: whose delegation ends.
            subject: for whom it was given; the sender where none is named.
            sequence: what to overtake; see `sign_revocation`.
            sender: who revokes.
        """
        by = self._by("revokeDelegation", sender).address
        whose = subject or by
        number = self._overtaking(whose, delegate) if sequence is None else sequence
        return self._transact("revokeDelegation", whose, delegate, by, number, 0, b"", sender=sender)

    def sign_revocation(
        self,
        signer: Signer,
        delegate: str,
        *,
        subject: str | None = None,
        sequence: int | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a revocation; see `revoke`.

        Args:
            signer: who revokes.
            delegate: whose delegation ends.
            subject: for whom it was given; the signer where none is named.
            sequence: what to overtake: any sequence above all that were signed, one above the stored one where none
                is given. The last, 65535, closes the two to each other for good.
            lifetime: how long the message counts, in seconds.
        """
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        number = self._overtaking(whose, delegate) if sequence is None else sequence
        message = messages.delegation_revocation(
            self.domain, subject=whose, delegate=delegate, by=signer.address, sequence=number, deadline=deadline
        )
        arguments = (whose, delegate, signer.address, number)
        return self._signed("revokeDelegation", arguments, deadline, signer.sign_typed_data(message))

    # -- guardians, as the subject or its successor -------------------------------------------------------------

    def name_guardians(
        self, guardians: Guardians | None, *, subject: str | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Name those who may recover the key, or nobody; it ends a recovery under way."""
        by = self._by("nameGuardians", sender).address
        whose = subject or by
        arguments = (whose, by, _commitment(guardians), self._next_round(whose))
        return self._transact("nameGuardians", *arguments, 0, b"", sender=sender)

    def sign_guardians(
        self,
        signer: Signer,
        guardians: Guardians | None,
        *,
        subject: str | None = None,
        round_number: int | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign the naming of guardians; see `name_guardians`, and `sign_objection` for `round_number`."""
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        number = self._next_round(whose) if round_number is None else round_number
        commitment = _commitment(guardians)
        message = messages.guardians(
            self.domain,
            subject=whose,
            by=signer.address,
            commitment=commitment,
            round_number=number,
            deadline=deadline,
        )
        arguments = (whose, signer.address, commitment, number)
        return self._signed("nameGuardians", arguments, deadline, signer.sign_typed_data(message))

    def object(
        self, *, subject: str | None = None, round_number: int | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Object to a recovery; see `sign_objection`."""
        by = self._by("objectToRecovery", sender).address
        whose = subject or by
        number = self._next_round(whose) if round_number is None else round_number
        return self._transact("objectToRecovery", whose, by, number, 0, b"", sender=sender)

    def sign_objection(
        self, signer: Signer, *, subject: str | None = None, round_number: int | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign an objection to a recovery, under way or still to start.

        Args:
            signer: the subject, or its successor.
            subject: whose recovery it is; the signer's where none is named.
            round_number: what guardians signed up to this round counts no more; one above the stored round where none
                is given. Go further where guardians start recoveries faster than your objections arrive.
            lifetime: how long the message counts, in seconds.
        """
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        number = self._next_round(whose) if round_number is None else round_number
        message = messages.objection(
            self.domain, subject=whose, by=signer.address, round_number=number, deadline=deadline
        )
        arguments = (whose, signer.address, number)
        return self._signed("objectToRecovery", arguments, deadline, signer.sign_typed_data(message))

    # -- recovery -----------------------------------------------------------------------------------------------

    def propose_recovery(self, subject: str, successor: str, *, lifetime: int = _WEEK) -> Recovery:
        """What each guardian is to sign, so that `successor` may act for a subject whose key is lost."""
        return Recovery(subject, successor, self._next_round(subject), self._deadline(lifetime))

    def sign_recovery(self, signer: Signer, recovery: Recovery) -> Approval:
        """Approve a recovery, as a guardian."""
        message = messages.recovery(
            self.domain,
            guardian=signer.address,
            subject=recovery.subject,
            successor=recovery.successor,
            round_number=recovery.round,
            deadline=recovery.deadline,
        )
        return Approval(signer.address, signer.sign_typed_data(message))

    def start_recovery(
        self,
        recovery: Recovery,
        guardians: Guardians,
        approvals: Sequence[Approval],
        *,
        sender: Sender | None = None,
    ) -> Receipt:
        """Start a recovery that enough guardians have approved. Anyone sends it; it replaces one under way.

        Raises:
            DelegationError: an approval is of nobody who was named, or bears no signature.
        """
        shown = []
        for approval in sorted(approvals, key=lambda one: int(one.guardian, 16)):
            if approval.guardian not in guardians.accounts or not approval.signature:
                raise DelegationError(f"{approval.guardian} is no guardian, or has signed nothing. Leave it out.")
            position, salt = guardians.accounts.index(approval.guardian), guardians.salt_of(approval.guardian)
            shown.append((position, approval.guardian, salt, approval.signature))
        arguments = (recovery.subject, recovery.successor, recovery.round, recovery.deadline, guardians.shown, shown)
        return self._transact("startRecovery", *arguments, sender=sender)

    def complete_recovery(self, subject: str, *, sender: Sender | None = None) -> Receipt:
        """Complete a recovery after its delay. Anyone sends it; the successor may then do all that a delegate may."""
        return self._transact("completeRecovery", subject, sender=sender)

    # -- asking -------------------------------------------------------------------------------------------------

    def scopes(self, subject: str, delegate: str, *, block: int | str = "latest") -> Scope:
        """What a delegate may do for a subject as of a block; none for who is no delegate, or not now."""
        return Scope(self._call("scopesOf", subject, delegate, block=block))

    def delegation(self, subject: str, delegate: str, *, block: int | str = "latest") -> Delegation | None:
        """A delegation as it is stored, in force or not; None where there never was one."""
        word = self._word(subject, delegate, block)
        return decode_delegation(word) if word else None

    def guardians_commitment(self, subject: str) -> bytes | None:
        """The commitment to a subject's guardians: 32 bytes; None where there are none."""
        commitment = bytes(self._call("guardiansOf", subject))
        return None if commitment == _NOBODY else commitment

    def recovery(self, subject: str) -> RecoveryUnderWay | None:
        """The recovery of a subject that is under way; None where none is."""
        successor, ready_at, number = self._call("recoveryOf", subject)
        return RecoveryUnderWay(successor, ready_at, number) if ready_at else None

    def successor(self, subject: str) -> str | None:
        """Who succeeded a subject last, whatever became of it; None where nobody did."""
        account = str(self._call("successorOf", subject))
        return account if int(account, 16) else None

    def history(self, subject: str) -> Iterator[Event]:
        """All that was done about a subject's delegates, guardians and recoveries, oldest first."""
        events = [event for name in _EVENTS for event in self.events(name, filters={"subject": subject})]
        return iter(sorted(events, key=lambda event: (event.block, event.index)))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _word(self, subject: str, delegate: str, block: int | str = "latest") -> int:
        return int(self._call("delegationOf", subject, delegate, block=block))

    def _sequence(self, subject: str, delegate: str) -> int:
        return DELEGATION_FIELDS["sequence"].of(self._word(subject, delegate))

    def _next_word(self, subject: str, delegate: str, by: str, delegation: Delegation) -> int:
        hangs_on = 0 if by == subject else self._sequence(subject, by)
        sequence = self._sequence(subject, delegate) + 1
        return encode_delegation(replace(delegation, delegator=by, delegator_sequence=hangs_on, sequence=sequence))

    def _overtaking(self, subject: str, delegate: str) -> int:
        word = self._word(subject, delegate)
        if not word or decode_delegation(word).revoked:
            raise DelegationError(f"{delegate} is no delegate of {subject}. Nothing needs doing.")
        return DELEGATION_FIELDS["sequence"].of(word) + 1

    def _next_round(self, subject: str) -> int:
        return int(self._call("recoveryOf", subject)[2]) + 1


def _commitment(guardians: Guardians | None) -> bytes:
    return _NOBODY if guardians is None else guardians.commitment
