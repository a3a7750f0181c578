"""The Registrar: who is accredited, as what, until when, and in which groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from eth_utils.address import to_checksum_address

from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, day_number
from medproof.errors import ArgumentError
from medproof.policy.codes import PartyKind
from medproof.policy.word import EPOCH_DAY

__all__ = [
    "EMERGENCY",
    "EVERYONE",
    "AccountChange",
    "Party",
    "PublishedKey",
    "Registrar",
    "grantee_name",
    "group_grantee",
    "party_from",
    "party_of",
]


def group_grantee(group: int) -> str:
    """A group as the grantee of a rule: its number in the form of an address."""
    return str(to_checksum_address(f"0x{group:040x}"))


EVERYONE = group_grantee(1)  # every active party
EMERGENCY = group_grantee(2)  # the emergency care group
_GROUPS = 1 << 16  # group numbers are below it
_KEY_LENGTH = 32


def grantee_name(grantee: str) -> str:
    """What a sentence calls a grantee: an address means a group where it is small."""
    number = int(grantee, 16)
    known = {int(EVERYONE, 16): "anyone", int(EMERGENCY, 16): "the emergency care group"}
    return known.get(number, f"group {number}" if number < _GROUPS else grantee)


_KINDS: tuple[PartyKind | None, ...] = (None, *PartyKind)  # the contract's Kind, by number


@dataclass(frozen=True)
class Party:
    """An accredited party."""

    id: str  # its identity, the account it was first accredited with; rules name it
    kind: PartyKind
    suspended: bool
    valid_until: date  # last day of its accreditation
    groups: tuple[int, ...]  # the numbers of its groups; everyone is in group 1 without its being listed


@dataclass(frozen=True)
class AccountChange:
    """A change of account that is under way."""

    to: str  # the account that is to act for the party
    ready_at: int  # earliest time it may take the place, seconds since 1970
    recovery: bool  # whether the authority started it


@dataclass(frozen=True)
class PublishedKey:
    """An encryption key that a party published."""

    key: bytes | None  # 32 bytes (X25519); None where it was withdrawn
    block: int  # since when it stands


class Registrar(ContractClient):
    """The accredited parties. Functions marked "authority" need the role ACCREDITATION or RECOVERY."""

    name = "Registrar"

    # -- accreditation (authority) ------------------------------------------------------------------------------

    def accredit(
        self, account: str, kind: PartyKind, *, credential: bytes, valid_until: date, sender: Sender | None = None
    ) -> Receipt:
        """Accredit a party under a fresh account, which becomes its identity.

        Args:
            account: the party's first account.
            kind: one kind.
            credential: 32 bytes, the salted hash of the credential that was checked.
            valid_until: the last day.
            sender: who sends.
        """
        if kind not in _KINDS[1:]:
            raise ArgumentError(f"A party is of one kind, not {kind!r}. Name one of medproof.policy.codes.PartyKind.")
        number = _KINDS.index(kind)
        return self._transact("accredit", account, number, credential, day_number(valid_until), sender=sender)

    def renew(self, party: str, *, credential: bytes, valid_until: date, sender: Sender | None = None) -> Receipt:
        """Renew a party's accreditation under a newly checked credential."""
        return self._transact("renew", party, credential, day_number(valid_until), sender=sender)

    def suspend(self, party: str, *, sender: Sender | None = None) -> Receipt:
        """Suspend a party: from the next block it has no access and takes no step."""
        return self._transact("suspend", party, sender=sender)

    def reinstate(self, party: str, *, sender: Sender | None = None) -> Receipt:
        """Reinstate a suspended party."""
        return self._transact("reinstate", party, sender=sender)

    def remove(self, party: str, *, sender: Sender | None = None) -> Receipt:
        """Remove a party for good."""
        return self._transact("remove", party, sender=sender)

    # -- groups (authority) -------------------------------------------------------------------------------------

    def create_group(self, group_name: str, *, sender: Sender | None = None) -> int:
        """Create a group and return its number."""
        receipt = self._transact("createGroup", group_name, sender=sender)
        return int(receipt.events(self.contract)[0].arguments["group"])

    def join_group(self, group: int, party: str, *, sender: Sender | None = None) -> Receipt:
        """Let a party join a group; it can be in four."""
        return self._transact("joinGroup", group, party, sender=sender)

    def leave_group(self, group: int, party: str, *, sender: Sender | None = None) -> Receipt:
        """Make a party leave a group."""
        return self._transact("leaveGroup", group, party, sender=sender)

    # -- change of account --------------------------------------------------------------------------------------

    def offer_account(self, to: str, *, sender: Sender | None = None) -> Receipt:
        """Offer the place of the sender's account to another; the party's identity and consents stay."""
        return self._transact("offerAccount", to, sender=sender)

    def withdraw_offer(self, *, sender: Sender | None = None) -> Receipt:
        """Withdraw the offer."""
        return self._transact("withdrawOffer", sender=sender)

    def start_recovery(self, party: str, to: str, *, sender: Sender | None = None) -> Receipt:
        """Start to recover a party whose key is lost (authority); the new account takes its place after the delay."""
        return self._transact("startRecovery", party, to, sender=sender)

    def cancel_recovery(self, party: str, *, sender: Sender | None = None) -> Receipt:
        """Call a recovery off (authority)."""
        return self._transact("cancelRecovery", party, sender=sender)

    def take_account(self, party: str, *, sender: Sender | None = None) -> Receipt:
        """Take the place of a party's account, as the account that was named."""
        return self._transact("takeAccount", party, sender=sender)

    # -- encryption keys ----------------------------------------------------------------------------------------

    def publish_encryption_key(self, key: bytes | None, *, sender: Sender | None = None) -> Receipt:
        """Publish the key that others encrypt to, as an active party; None withdraws it.

        Args:
            key: an X25519 public key, 32 bytes (`medproof.sharing.EncryptionKeys.public`). The contract does not look
                at it: `medproof.sharing.checked_key` refuses one that nobody should encrypt to.
            sender: the account that acts for the party.
        """
        if key is not None and (len(key) != _KEY_LENGTH or not any(key)):
            raise ArgumentError("An encryption key has 32 bytes, not all zero. Give EncryptionKeys.public, or None.")
        return self._transact("publishEncryptionKey", key or bytes(_KEY_LENGTH), sender=sender)

    def encryption_key(self, party: str, *, block: int | str = "latest") -> bytes | None:
        """The key that a party published last, 32 bytes; None where it has none. Whether it is active is not asked."""
        key = bytes(self._call("encryptionKeyOf", party, block=block))
        return key if any(key) else None

    def encryption_keys(self, party: str) -> tuple[PublishedKey, ...]:
        """All keys that a party ever published, oldest first, and when it withdrew them."""
        events = self.events("EncryptionKeyPublished", filters={"party": party})
        keys = ((bytes(event.arguments["key"]), event.block) for event in events)
        return tuple(PublishedKey(key if any(key) else None, block) for key, block in keys)

    # -- reading ------------------------------------------------------------------------------------------------

    def standing(self, account: str, *, block: int | str = "latest") -> Party | None:
        """The party an account acts for, if it is active: not suspended, not lapsed. None otherwise."""
        return party_of(int(self._call("standingOf", account, block=block)))

    def party(self, account: str, *, block: int | str = "latest") -> Party | None:
        """The party an account acts for, whatever its standing; None where it acts for none."""
        return _party(*self._call("partyOf", account, block=block))

    def account_of(self, party: str, *, block: int | str = "latest") -> str | None:
        """The account that acts for a party; None where there is no such party."""
        account = str(self._call("accountOf", party, block=block))
        return None if int(account, 16) == 0 else account

    def credential_of(self, party: str, *, block: int | str = "latest") -> bytes:
        """The credential commitment of a party: 32 bytes, zero where there is no such party."""
        return bytes(self._call("credentialOf", party, block=block))

    def account_change_of(self, party: str, *, block: int | str = "latest") -> AccountChange | None:
        """The change of account of a party that is under way."""
        to, ready_at, recovery = self._call("accountChangeOf", party, block=block)
        return None if int(to, 16) == 0 else AccountChange(to, ready_at, recovery)

    def groups(self) -> dict[int, str]:
        """The names of all groups, by number."""
        return {event.arguments["group"]: event.arguments["name"] for event in self.events("GroupCreated")}

    def parties(self) -> tuple[str, ...]:
        """The identities of all parties ever accredited, oldest first."""
        return tuple(event.arguments["party"] for event in self.events("PartyAccredited"))


def _party(identity: str, kind: int, suspended: bool, valid_until: int, groups: int) -> Party | None:
    numbers = (number for place in range(4) if (number := groups >> 16 * place & 0xFFFF))
    return party_from(identity, kind, suspended, valid_until, numbers)


def party_of(word: int) -> Party | None:
    """The party that a word of the Registrar's storage says, in the layout of contracts/libraries/PartyWord.sol."""
    identity = to_checksum_address(f"0x{word & (1 << 160) - 1:040x}")
    suspended = bool(word >> 248 & 1)
    return _party(identity, word >> 160 & 0xFF, suspended, word >> 232 & 0xFFFF, word >> 168 & (1 << 64) - 1)


def party_from(identity: str, kind: int, suspended: bool, valid_until: int, groups: Iterable[int]) -> Party | None:
    """A party from what the contract says of it: its kind's number, the last day in days since 1970."""
    of_kind = _KINDS[kind]
    if of_kind is None:
        return None
    return Party(identity, of_kind, suspended, EPOCH_DAY + timedelta(days=valid_until), tuple(groups))
