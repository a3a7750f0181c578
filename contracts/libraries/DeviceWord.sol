// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDevices} from "../interfaces/IDevices.sol";

/// @title DeviceWord
/// @notice The layout of a device's registration, one 256-bit word.
/// @dev Bits, from the least significant: sequence 16, classes 24 (as in the rule word), validFrom 28, validUntil 28
/// (minutes since 1970). The rest is zero. A revoked registration has no classes.
library DeviceWord {
    /// @dev The last sequence is kept for revocation, which must always be possible.
    uint256 internal constant LAST_SEQUENCE = 0xFFFF;

    uint256 private constant CLASSES = 16;
    uint256 private constant VALID_FROM = 40;
    uint256 private constant VALID_UNTIL = 68;
    uint256 private constant END = 96;
    uint256 private constant MINUTES = 0xFFFFFFF;

    /// @dev The rule word's classes stand for codes up to this bit.
    uint256 private constant ALL_CLASSES = 0x3FFFFF;

    /// @dev The period, which a revocation leaves as it is.
    uint256 private constant KEPT = (MINUTES << VALID_FROM) | (MINUTES << VALID_UNTIL);

    function sequence(uint256 word) internal pure returns (uint256) {
        return uint16(word);
    }

    function classes(uint256 word) internal pure returns (uint256) {
        return uint24(word >> CLASSES);
    }

    function validFrom(uint256 word) internal pure returns (uint256) {
        return (word >> VALID_FROM) & MINUTES;
    }

    function validUntil(uint256 word) internal pure returns (uint256) {
        return (word >> VALID_UNTIL) & MINUTES;
    }

    /// @dev What is left of a registration, or of none, when it is revoked.
    function revoked(uint256 word, uint256 sequence_) internal pure returns (uint256) {
        return (word & KEPT) | sequence_;
    }

    /// @dev Reverts unless the word says something that a registration can say.
    function requireWritable(uint256 word) internal pure {
        if (word >> END != 0) revert IDevices.DeviceBitsUnknown(word);
        if (classes(word) == 0 || classes(word) > ALL_CLASSES) revert IDevices.DeviceClassesNotPossible(classes(word));
        if (validFrom(word) >= validUntil(word)) revert IDevices.DevicePeriodEmpty(validFrom(word), validUntil(word));
    }

    /// @dev The classes at a minute since 1970: none before the period and from its end on.
    function classesAt(uint256 word, uint256 minute) internal pure returns (uint256) {
        return validFrom(word) <= minute && minute < validUntil(word) ? classes(word) : 0;
    }
}
