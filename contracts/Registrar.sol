// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/// @title Registrar
/// @notice The accredited parties of the suite, their groups and their accounts.
contract Registrar is IRegistrar, AccessManaged {
    using PartyWord for uint256;
    using PartyWord for uint64;

    /// @inheritdoc IRegistrar
    uint16 public constant EVERYONE = 1;

    /// @inheritdoc IRegistrar
    uint16 public constant EMERGENCY = 2;

    /// @inheritdoc IRegistrar
    uint64 public constant RECOVERY_DELAY = 3 days;

    mapping(address account => uint256 word) private _parties;
    mapping(address party => address account) private _accounts;
    mapping(address party => bytes32 credential) private _credentials;
    mapping(address party => AccountChange change) private _changes;
    uint16 private _groupCount;

    /// @inheritdoc IRegistrar
    mapping(address party => bytes32) public encryptionKeyOf;

    /// @param authority The AccessManager that decides who may call the authority's functions.
    constructor(address authority) AccessManaged(authority) {
        _createGroup("everyone");
        _createGroup("emergency care");
    }

    /* ACCREDITATION */

    /// @inheritdoc IRegistrar
    function accredit(address account, Kind kind, bytes32 credential, uint16 validUntil) external restricted {
        _requireFree(account);
        if (kind == Kind.None) revert KindMissing();
        _requireAccreditable(credential, validUntil);

        _parties[account] = PartyWord.pack(account, kind, validUntil);
        _accounts[account] = account;
        _credentials[account] = credential;

        emit PartyAccredited(account, kind, credential, validUntil);
    }

    /// @inheritdoc IRegistrar
    function renew(address party, bytes32 credential, uint16 validUntil) external restricted {
        (address account, uint256 word) = _entryOf(party);
        _requireAccreditable(credential, validUntil);

        _parties[account] = word.withValidUntil(validUntil);
        _credentials[party] = credential;

        emit PartyRenewed(party, credential, validUntil);
    }

    /// @inheritdoc IRegistrar
    function suspend(address party) external restricted {
        (address account, uint256 word) = _entryOf(party);
        if (word.suspended()) revert PartyAlreadySuspended(party);

        _parties[account] = word.withSuspended(true);

        emit PartySuspended(party);
    }

    /// @inheritdoc IRegistrar
    function reinstate(address party) external restricted {
        (address account, uint256 word) = _entryOf(party);
        if (!word.suspended()) revert PartyNotSuspended(party);

        _parties[account] = word.withSuspended(false);

        emit PartyReinstated(party);
    }

    /// @inheritdoc IRegistrar
    /// @dev `_accounts[party]` stays, so that the identity is never given again.
    function remove(address party) external restricted {
        (address account, ) = _entryOf(party);

        delete _parties[account];
        delete _credentials[party];
        delete _changes[party];
        delete encryptionKeyOf[party];

        emit PartyRemoved(party);
    }

    function _requireFree(address account) private view {
        if (uint160(account) <= type(uint16).max) revert AccountReserved(account);
        if (_parties[account] != 0 || _accounts[account] != address(0)) revert AccountInUse(account);
    }

    function _requireAccreditable(bytes32 credential, uint16 validUntil) private view {
        if (credential == 0) revert CredentialMissing();
        if (validUntil < _today()) revert ValidityPast(validUntil, _today());
    }

    function _entryOf(address party) private view returns (address account, uint256 word) {
        account = _accounts[party];
        word = _parties[account];
        // A removed party's last account may act for another party today.
        if (word == 0 || word.id() != party) revert PartyUnknown(party);
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* GROUPS */

    /// @inheritdoc IRegistrar
    function createGroup(string calldata name) external restricted returns (uint16 group) {
        return _createGroup(name);
    }

    /// @inheritdoc IRegistrar
    function joinGroup(uint16 group, address party) external restricted {
        (address account, uint256 word) = _entryOf(party);
        _requireGroup(group);
        uint64 groups = word.groups();
        if (groups.contains(group)) revert GroupAlreadyJoined(party, group);
        if (groups.full()) revert GroupPlacesFull(party);

        _parties[account] = word.withGroups(groups.add(group));

        emit GroupJoined(group, party);
    }

    /// @inheritdoc IRegistrar
    function leaveGroup(uint16 group, address party) external restricted {
        (address account, uint256 word) = _entryOf(party);
        _requireGroup(group);
        uint64 groups = word.groups();
        if (!groups.contains(group)) revert GroupNotJoined(party, group);

        _parties[account] = word.withGroups(groups.drop(group));

        emit GroupLeft(group, party);
    }

    function _createGroup(string memory name) private returns (uint16 group) {
        if (_groupCount == type(uint16).max) revert GroupsExhausted();

        group = ++_groupCount;

        emit GroupCreated(group, name);
    }

    function _requireGroup(uint16 group) private view {
        if (group <= EVERYONE || group > _groupCount) revert GroupUnknown(group);
    }

    /* ROTATION AND RECOVERY */

    /// @inheritdoc IRegistrar
    function offerAccount(address to) external {
        address party = _activeParty(msg.sender);
        if (_changes[party].recovery) revert RecoveryUnderWay(party);
        _requireFree(to);

        _changes[party] = AccountChange(to, uint64(block.timestamp), false);

        emit AccountOffered(party, to);
    }

    /// @inheritdoc IRegistrar
    function withdrawOffer() external {
        address party = _activeParty(msg.sender);
        AccountChange storage change = _changes[party];
        if (change.to == address(0) || change.recovery) revert AccountChangeUnknown(party);

        delete _changes[party];

        emit AccountChangeCancelled(party);
    }

    /// @inheritdoc IRegistrar
    function startRecovery(address party, address to) external restricted {
        _entryOf(party);
        _requireFree(to);
        uint64 readyAt = uint64(block.timestamp) + RECOVERY_DELAY;

        _changes[party] = AccountChange(to, readyAt, true);

        emit RecoveryStarted(party, to, readyAt);
    }

    /// @inheritdoc IRegistrar
    function cancelRecovery(address party) external restricted {
        if (!_changes[party].recovery) revert AccountChangeUnknown(party);

        delete _changes[party];

        emit AccountChangeCancelled(party);
    }

    /// @inheritdoc IRegistrar
    /// @dev The account is checked again: another party may have taken it since it was named. A suspended party's
    /// offer waits until it is reinstated; its recovery does not, and it stays suspended. Whoever lost one key may have
    /// lost the other: a recovery withdraws the encryption key.
    function takeAccount(address party) external {
        AccountChange memory change = _changes[party];
        if (change.to == address(0)) revert AccountChangeUnknown(party);
        if (change.to != msg.sender) revert AccountChangeNotYours(party, change.to);
        if (block.timestamp < change.readyAt) revert AccountChangeTooEarly(party, change.readyAt);
        _requireFree(msg.sender);
        address from = _accounts[party];
        if (!change.recovery) _activeParty(from);

        _parties[msg.sender] = _parties[from];
        _accounts[party] = msg.sender;
        delete _parties[from];
        delete _changes[party];

        emit AccountChanged(party, from, msg.sender);
        if (change.recovery) _publishEncryptionKey(party, 0);
    }

    function _activeParty(address account) private view returns (address party) {
        uint256 word = _parties[account].standing(_today());
        if (word == 0) revert PartyInactive(account);
        return word.id();
    }

    /* ENCRYPTION KEYS */

    /// @inheritdoc IRegistrar
    function publishEncryptionKey(bytes32 key) external {
        _publishEncryptionKey(_activeParty(msg.sender), key);
    }

    function _publishEncryptionKey(address party, bytes32 key) private {
        encryptionKeyOf[party] = key;

        emit EncryptionKeyPublished(party, key);
    }

    /* READING */

    /// @inheritdoc IRegistrar
    function standingOf(address account) external view returns (uint256 word) {
        return _parties[account].standing(block.timestamp / 1 days);
    }

    /// @inheritdoc IRegistrar
    function partyOf(address account) external view returns (Party memory) {
        return _parties[account].unpack();
    }

    /// @inheritdoc IRegistrar
    function accountOf(address party) external view returns (address account) {
        account = _accounts[party];
        if (_parties[account].id() != party) account = address(0);
    }

    /// @inheritdoc IRegistrar
    function credentialOf(address party) external view returns (bytes32) {
        return _credentials[party];
    }

    /// @inheritdoc IRegistrar
    function accountChangeOf(address party) external view returns (AccountChange memory) {
        return _changes[party];
    }

    /// @inheritdoc IRegistrar
    function groupCount() external view returns (uint16) {
        return _groupCount;
    }
}
