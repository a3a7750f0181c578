// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistrar} from "../interfaces/IRegistrar.sol";

/// @title PartyWord
/// @notice The layout of what the Registrar keeps of a party, one 256-bit word, so that asking for its standing costs
/// one storage read and one word returned.
/// @dev Bits, from the least significant: identity 160, kind 8, groups 64 (four numbers of 16 bits, no gaps),
/// validUntil 16 (last day, days since 1970), suspended 1.
library PartyWord {
    uint256 private constant KIND = 160;
    uint256 private constant GROUPS = 168;
    uint256 private constant VALID_UNTIL = 232;
    uint256 private constant SUSPENDED = 1 << 248;

    /// @dev Each party holds this many places for groups, 16 bits each.
    uint256 private constant GROUP_PLACES = 4;

    /// @dev Asks a Registrar for the standing of an account, as `standingOf` does, for half the gas. Reverts where the
    /// Registrar does.
    function standing(IRegistrar registrar, address account) internal view returns (uint256 word) {
        bytes4 selector = IRegistrar.standingOf.selector;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, account)
            if iszero(and(gt(returndatasize(), 31), staticcall(gas(), registrar, 0, 36, 0, 32))) {
                revert(0, 0)
            }
            word := mload(0)
        }
    }

    function pack(address id_, IRegistrar.Kind kind_, uint16 validUntil) internal pure returns (uint256) {
        return uint160(id_) | (uint256(kind_) << KIND) | (uint256(validUntil) << VALID_UNTIL);
    }

    function unpack(uint256 word) internal pure returns (IRegistrar.Party memory) {
        return IRegistrar.Party(id(word), kind(word), suspended(word), uint16(word >> VALID_UNTIL), groups(word));
    }

    function id(uint256 word) internal pure returns (address) {
        return address(uint160(word));
    }

    function kind(uint256 word) internal pure returns (IRegistrar.Kind) {
        return IRegistrar.Kind(kindNumber(word));
    }

    function kindNumber(uint256 word) internal pure returns (uint256) {
        return uint8(word >> KIND);
    }

    function groups(uint256 word) internal pure returns (uint64) {
        return uint64(word >> GROUPS);
    }

    function suspended(uint256 word) internal pure returns (bool) {
        return word & SUSPENDED != 0;
    }

    /// @dev The word itself while the party is active on `day` (days since 1970), else zero. The suspension lies above
    /// the last day, as if that day were past all days, and past days wrap around: one comparison finds both. Days
    /// have 16 bits until the year 2149.
    function standing(uint256 word, uint256 day) internal pure returns (uint256) {
        unchecked {
            return (word >> VALID_UNTIL) - day > type(uint16).max - day ? 0 : word;
        }
    }

    function withValidUntil(uint256 word, uint16 validUntil) internal pure returns (uint256) {
        return (word & ~(uint256(type(uint16).max) << VALID_UNTIL)) | (uint256(validUntil) << VALID_UNTIL);
    }

    function withSuspended(uint256 word, bool suspended_) internal pure returns (uint256) {
        return suspended_ ? word | SUSPENDED : word & ~SUSPENDED;
    }

    function withGroups(uint256 word, uint64 groups_) internal pure returns (uint256) {
        return (word & ~(uint256(type(uint64).max) << GROUPS)) | (uint256(groups_) << GROUPS);
    }

    /// @dev Returns the first place that holds `group`, or 4 where none does; group 0 finds the first empty place.
    function placeOf(uint64 groups_, uint16 group) internal pure returns (uint256 place) {
        while (place < GROUP_PLACES && uint16(groups_ >> (16 * place)) != group) ++place;
    }

    function full(uint64 groups_) internal pure returns (bool) {
        return placeOf(groups_, 0) == GROUP_PLACES;
    }

    function contains(uint64 groups_, uint16 group) internal pure returns (bool) {
        return placeOf(groups_, group) != GROUP_PLACES;
    }

    /// @dev Puts `group` into the first place and moves the others up; the caller has seen that the last is empty.
    function add(uint64 groups_, uint16 group) internal pure returns (uint64) {
        return (groups_ << 16) | group;
    }

    /// @dev Takes `group` out and moves those above it down, so that no gap stays; the caller has seen it there.
    function drop(uint64 groups_, uint16 group) internal pure returns (uint64) {
        uint256 below = 16 * placeOf(groups_, group);
        uint64 kept = uint64((uint256(1) << below) - 1);
        return (groups_ & kept) | ((groups_ >> 16) & ~kept);
    }
}
