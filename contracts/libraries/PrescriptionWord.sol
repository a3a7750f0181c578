// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrescriptions} from "../interfaces/IPrescriptions.sol";

/// @title PrescriptionWord
/// @notice The layout of what Prescriptions keeps of a prescription, one 256-bit word, written with one storage write.
/// @dev Bits, from the least significant: pharmacy 160, quantity 16, fills 8, validUntil 16 (last day, days since
/// 1970), sequence 8, number 8, filled 16, checkedOn 16 (days since 1970), cancelled 1, held 1, batch 1.
/// Number is the latest fill, filled how much of it was given, sequence how often the pharmacy changed. On the day of
/// checkedOn the pharmacy was found active under the account of its identity; zero: it has to be asked for. A batch has
/// in filled its size, and no number: each of its prescriptions starts from its word.
library PrescriptionWord {
    uint256 private constant QUANTITY = 160;
    uint256 private constant FILLS = 176;
    uint256 private constant VALID_UNTIL = 184;
    uint256 private constant SEQUENCE = 200;
    uint256 private constant NUMBER = 208;
    uint256 private constant FILLED = 216;
    uint256 private constant CHECKED_ON = 232;
    uint256 private constant CANCELLED = 1 << 248;
    uint256 private constant HELD = 1 << 249;
    uint256 private constant BATCH = 1 << 250;

    /// @dev Number and how much was given of it, which lie together.
    uint256 private constant PROGRESS = 0xFFFFFF << NUMBER;

    function pack(IPrescriptions.Terms calldata terms, uint256 day) internal pure returns (uint256) {
        return
            uint160(terms.pharmacy) |
            (uint256(terms.quantity) << QUANTITY) |
            (uint256(terms.fills) << FILLS) |
            (uint256(terms.validUntil) << VALID_UNTIL) |
            (terms.size == 0 ? day << CHECKED_ON : BATCH | (uint256(terms.size) << FILLED));
    }

    function pharmacy(uint256 word) internal pure returns (address) {
        return address(uint160(word));
    }

    function quantity(uint256 word) internal pure returns (uint256) {
        return uint16(word >> QUANTITY);
    }

    function fills(uint256 word) internal pure returns (uint256) {
        return uint8(word >> FILLS);
    }

    function validUntil(uint256 word) internal pure returns (uint256) {
        return uint16(word >> VALID_UNTIL);
    }

    function sequence(uint256 word) internal pure returns (uint256) {
        return uint8(word >> SEQUENCE);
    }

    function number(uint256 word) internal pure returns (uint256) {
        return uint8(word >> NUMBER);
    }

    function filled(uint256 word) internal pure returns (uint256) {
        return uint16(word >> FILLED);
    }

    function checkedOn(uint256 word) internal pure returns (uint256) {
        return uint16(word >> CHECKED_ON);
    }

    function cancelled(uint256 word) internal pure returns (bool) {
        return word & CANCELLED != 0;
    }

    function held(uint256 word) internal pure returns (bool) {
        return word & HELD != 0;
    }

    function isBatch(uint256 word) internal pure returns (bool) {
        return word & BATCH != 0;
    }

    /// @dev How many prescriptions a batch has.
    function size(uint256 word) internal pure returns (uint256) {
        return isBatch(word) ? filled(word) : 0;
    }

    /// @dev A prescription of a batch, of which so many fills were given whole.
    function placed(uint256 batch, uint256 given) internal pure returns (uint256) {
        return given == 0 ? batch & ~(PROGRESS | BATCH) : withFill(batch & ~BATCH, given, quantity(batch));
    }

    /// @dev Whether a fill was begun and not given whole.
    function inProgress(uint256 word) internal pure returns (bool) {
        return number(word) != 0 && filled(word) != quantity(word);
    }

    /// @dev Whether no fill is left, not even a part of one.
    function exhausted(uint256 word) internal pure returns (bool) {
        return number(word) == fills(word) && !inProgress(word);
    }

    function withFill(uint256 word, uint256 number_, uint256 filled_) internal pure returns (uint256) {
        return (word & ~PROGRESS) | (number_ << NUMBER) | (filled_ << FILLED);
    }

    function withCheckedOn(uint256 word, uint256 day) internal pure returns (uint256) {
        return (word & ~(uint256(type(uint16).max) << CHECKED_ON)) | (day << CHECKED_ON);
    }

    /// @dev The caller has seen that the sequence is not the last.
    function withPharmacy(uint256 word, address pharmacy_, uint256 day) internal pure returns (uint256) {
        word = (word & ~uint256(type(uint160).max)) | uint160(pharmacy_);
        return withCheckedOn(word, day) + (1 << SEQUENCE);
    }

    function withCancelled(uint256 word) internal pure returns (uint256) {
        return word | CANCELLED;
    }

    function withHeld(uint256 word, bool held_) internal pure returns (uint256) {
        return held_ ? word | HELD : word & ~HELD;
    }
}
