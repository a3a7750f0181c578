// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Registrar
/// @notice Keeps the parties that may act in the suite: who is accredited, as what, until when, and in which groups.
/// No patient is ever listed. A party keeps one identity, the account it was first accredited with, while the account
/// that acts for it may be rotated or recovered; consent that names the identity survives both.
interface IRegistrar {
    /// @notice What a party is. The rule word admits kinds by bit: bit `kind - 1`.
    enum Kind {
        None,
        Provider,
        Payer,
        Pharmacy,
        Researcher,
        DeviceMaker,
        Authority
    }

    /// @notice What is kept of a party, in one slot under the account that acts for it (see `PartyWord`).
    /// @param id The party's identity: the account it was first accredited with.
    /// @param kind What the party is.
    /// @param suspended Whether the authority has suspended it.
    /// @param validUntil The last day of its accreditation, in days since 1970-01-01, inclusive.
    /// @param groups The groups it belongs to, four packed group numbers of 16 bits; 0 is an empty place.
    struct Party {
        address id;
        Kind kind;
        bool suspended;
        uint16 validUntil;
        uint64 groups;
    }

    /// @notice A change of account that is under way.
    /// @param to The account that is to act for the party; it must take it.
    /// @param readyAt The earliest time at which it may, in seconds since 1970.
    /// @param recovery Whether the authority started it, rather than the party itself.
    struct AccountChange {
        address to;
        uint64 readyAt;
        bool recovery;
    }

    /// @notice Thrown when an account is the zero address or lies in the range that stands for groups.
    /// @dev Mend: use an account whose key somebody holds.
    error AccountReserved(address account);

    /// @notice Thrown when an account already acts for a party, or is or was a party's identity.
    /// @dev Mend: use a fresh account; an identity is never given twice.
    error AccountInUse(address account);

    /// @notice Thrown when an account other than the named one tries to take a party's account.
    /// @dev Mend: send from the account that was named.
    error AccountChangeNotYours(address party, address expected);

    /// @notice Thrown when a party has no change of account of the kind that is asked for under way.
    /// @dev Mend: offer an account, or start a recovery, first.
    error AccountChangeUnknown(address party);

    /// @notice Thrown when a recovered account is taken before its delay has passed.
    /// @dev Mend: take it again from `readyAt` (seconds since 1970) on.
    error AccountChangeTooEarly(address party, uint256 readyAt);

    /// @notice Thrown when a party offers its place to another account while the authority recovers it.
    /// @dev Mend: let the authority cancel or complete the recovery first.
    error RecoveryUnderWay(address party);

    /// @notice Thrown when no accredited party has this identity.
    /// @dev Mend: check the identity; a removed party does not come back, accredit it under a fresh account.
    error PartyUnknown(address party);

    /// @notice Thrown when the account acts for no party, or its party is suspended or its accreditation has lapsed.
    /// @dev Mend: have the party accredited, renewed or reinstated by the authority.
    error PartyInactive(address account);

    /// @notice Thrown when a party that is suspended is suspended again.
    /// @dev Mend: nothing needs doing.
    error PartyAlreadySuspended(address party);

    /// @notice Thrown when a party that is not suspended is reinstated.
    /// @dev Mend: nothing needs doing.
    error PartyNotSuspended(address party);

    /// @notice Thrown when a party is accredited without a kind.
    /// @dev Mend: name one of the kinds: provider, payer, pharmacy, researcher, device maker, authority.
    error KindMissing();

    /// @notice Thrown when a party is accredited or renewed without a credential commitment.
    /// @dev Mend: give the salted hash of the credential that was checked.
    error CredentialMissing();

    /// @notice Thrown when an accreditation would end before today.
    /// @dev Mend: give a last day, in days since 1970-01-01, that is `today` or later.
    error ValidityPast(uint256 validUntil, uint256 today);

    /// @notice Thrown when a group does not exist, or is the group of everyone, which nobody joins or leaves.
    /// @dev Mend: create the group first, or use its number as the event `GroupCreated` gave it.
    error GroupUnknown(uint16 group);

    /// @notice Thrown when no further group number is free.
    /// @dev Mend: use an existing group.
    error GroupsExhausted();

    /// @notice Thrown when a party joins a group it belongs to already.
    /// @dev Mend: nothing needs doing.
    error GroupAlreadyJoined(address party, uint16 group);

    /// @notice Thrown when a party leaves a group it does not belong to.
    /// @dev Mend: nothing needs doing.
    error GroupNotJoined(address party, uint16 group);

    /// @notice Thrown when a party that belongs to four groups joins another.
    /// @dev Mend: let it leave one first; the bound keeps the cost of a permission check bounded.
    error GroupPlacesFull(address party);

    /// @notice Emitted when a party is accredited.
    event PartyAccredited(address indexed party, Kind indexed kind, bytes32 credential, uint16 validUntil);

    /// @notice Emitted when a party's accreditation is renewed under a new credential.
    event PartyRenewed(address indexed party, bytes32 credential, uint16 validUntil);

    /// @notice Emitted when a party is suspended: from now on it has no access and takes no step.
    event PartySuspended(address indexed party);

    /// @notice Emitted when a suspended party is reinstated.
    event PartyReinstated(address indexed party);

    /// @notice Emitted when a party is removed for good.
    event PartyRemoved(address indexed party);

    /// @notice Emitted when a group is created.
    event GroupCreated(uint16 indexed group, string name);

    /// @notice Emitted when a party joins a group.
    event GroupJoined(uint16 indexed group, address indexed party);

    /// @notice Emitted when a party leaves a group.
    event GroupLeft(uint16 indexed group, address indexed party);

    /// @notice Emitted when a party offers another account to act for it.
    event AccountOffered(address indexed party, address indexed to);

    /// @notice Emitted when the authority starts to recover a party's account.
    event RecoveryStarted(address indexed party, address indexed to, uint64 readyAt);

    /// @notice Emitted when an offer or a recovery is called off.
    event AccountChangeCancelled(address indexed party);

    /// @notice Emitted when another account begins to act for a party.
    event AccountChanged(address indexed party, address indexed from, address indexed to);

    /// @notice Emitted when a party publishes the key to encrypt to; zero where it withdraws it, or loses it by
    /// a recovery.
    event EncryptionKeyPublished(address indexed party, bytes32 key);

    /// @notice Accredits a party under a fresh account, which becomes its identity. Authority only.
    /// @param account The party's first account.
    /// @param kind What the party is.
    /// @param credential The salted hash of the credential that was checked.
    /// @param validUntil The last day of the accreditation, in days since 1970-01-01.
    function accredit(address account, Kind kind, bytes32 credential, uint16 validUntil) external;

    /// @notice Renews a party's accreditation under a newly checked credential. Authority only.
    function renew(address party, bytes32 credential, uint16 validUntil) external;

    /// @notice Suspends a party at once. Authority only.
    function suspend(address party) external;

    /// @notice Reinstates a suspended party. Authority only.
    function reinstate(address party) external;

    /// @notice Removes a party for good: its identity is never given again. Authority only.
    function remove(address party) external;

    /// @notice Creates a group of parties. Authority only.
    /// @param name The group's public name.
    /// @return group The group's number; as a grantee in the consent registry it is `address(uint160(group))`.
    function createGroup(string calldata name) external returns (uint16 group);

    /// @notice Lets a party join a group. Authority only.
    function joinGroup(uint16 group, address party) external;

    /// @notice Makes a party leave a group. Authority only.
    function leaveGroup(uint16 group, address party) external;

    /// @notice Offers another account to act for the caller's party. The account's holder must take it.
    function offerAccount(address to) external;

    /// @notice Withdraws the offer that the caller's party made.
    function withdrawOffer() external;

    /// @notice Starts to recover a party's account, whose key is lost or stolen. Authority only.
    /// @dev Warning: who holds the authority's recovery role can take over any party after the delay; the event is
    /// the public notice. A stolen key cannot block the recovery: only the authority calls it off.
    function startRecovery(address party, address to) external;

    /// @notice Calls off a recovery. Authority only.
    function cancelRecovery(address party) external;

    /// @notice Takes, as the account that was named, the place of a party's account; in a recovery after its delay.
    function takeAccount(address party) external;

    /// @notice Publishes the caller's party's key, to which others encrypt what is for it alone; zero withdraws it.
    /// @param key An X25519 public key (RFC 7748), 32 bytes. Nobody checks that somebody holds its private key.
    function publishEncryptionKey(bytes32 key) external;

    /// @notice Returns who an account acts for, as a word laid out in `PartyWord`: identity, kind, groups.
    /// @return word Zero where the account acts for no party, or for one that is suspended or whose accreditation has
    /// lapsed.
    function standingOf(address account) external view returns (uint256 word);

    /// @notice Returns all that is kept of the party an account acts for, whatever its standing.
    function partyOf(address account) external view returns (Party memory);

    /// @notice Returns the account that acts for a party; zero where there is no such party.
    function accountOf(address party) external view returns (address);

    /// @notice Returns the credential commitment of a party.
    function credentialOf(address party) external view returns (bytes32);

    /// @notice Returns a party's X25519 public key; zero where it has published none. Whether the party is active is
    /// another question: see `standingOf`.
    function encryptionKeyOf(address party) external view returns (bytes32);

    /// @notice Returns the change of account of a party that is under way; all zero where there is none.
    function accountChangeOf(address party) external view returns (AccountChange memory);

    /// @notice Returns how many groups there are; their numbers run from 1.
    function groupCount() external view returns (uint16);

    /// @notice Returns the number of the group every active party belongs to without joining.
    function EVERYONE() external view returns (uint16);

    /// @notice Returns the number of the emergency care group.
    function EMERGENCY() external view returns (uint16);

    /// @notice Returns the delay of a recovery, in seconds.
    function RECOVERY_DELAY() external view returns (uint64);
}
