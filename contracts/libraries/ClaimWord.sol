// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaims} from "../interfaces/IClaims.sol";

/// @title ClaimWord
/// @notice The layout of what is kept of a claim, one 256-bit word.
/// @dev Bits, from the least significant: status 8, outcome 8, rules 32, paid 8, late 8, submitted 40, since 40,
/// used 32, pends 32. The flags have the room that the compiler would give them: the word is `ClaimState` in storage.
library ClaimWord {
    uint256 private constant OUTCOME = 8;
    uint256 private constant RULES = 16;
    uint256 private constant PAID = 1 << 48;
    uint256 private constant LATE = 1 << 56;
    uint256 private constant SUBMITTED = 64;
    uint256 private constant SINCE = 104;
    uint256 private constant USED = 144;
    uint256 private constant PENDS = 176;

    /// @dev The word of a claim that is submitted now.
    function create(uint32 rules_, bool paid_) internal view returns (uint256) {
        uint256 time = uint40(block.timestamp);
        uint256 word = uint256(IClaims.Status.Submitted) | (uint256(rules_) << RULES) | (paid_ ? PAID : 0);
        return word | (time << SUBMITTED) | (time << SINCE);
    }

    function unpack(uint256 word) internal pure returns (IClaims.ClaimState memory) {
        return
            IClaims.ClaimState(
                status(word),
                outcome(word),
                rules(word),
                paid(word),
                word & LATE != 0,
                uint40(word >> SUBMITTED),
                uint40(word >> SINCE),
                uint32(used(word)),
                pends(word)
            );
    }

    function status(uint256 word) internal pure returns (IClaims.Status) {
        return IClaims.Status(uint8(word));
    }

    /// @dev Whether the status is in a set, in which each status has the bit of its number.
    function isIn(uint256 word, uint256 statuses) internal pure returns (bool) {
        return (statuses >> uint8(word)) & 1 != 0;
    }

    function outcome(uint256 word) internal pure returns (IClaims.Outcome) {
        return IClaims.Outcome(uint8(word >> OUTCOME));
    }

    function rules(uint256 word) internal pure returns (uint32) {
        return uint32(word >> RULES);
    }

    function paid(uint256 word) internal pure returns (bool) {
        return word & PAID != 0;
    }

    function submitted(uint256 word) internal pure returns (uint256) {
        return uint40(word >> SUBMITTED);
    }

    function since(uint256 word) internal pure returns (uint256) {
        return uint40(word >> SINCE);
    }

    function used(uint256 word) internal pure returns (uint256) {
        return uint32(word >> USED);
    }

    function pends(uint256 word) internal pure returns (uint32) {
        return uint32(word >> PENDS);
    }

    /// @dev The word of a claim that stands otherwise from now on.
    function moved(uint256 word, IClaims.Status to) internal view returns (uint256) {
        uint256 kept = word & ~(uint256(type(uint8).max) | (uint256(type(uint40).max) << SINCE));
        return kept | uint256(to) | (uint256(uint40(block.timestamp)) << SINCE);
    }

    function withOutcome(uint256 word, IClaims.Outcome outcome_) internal pure returns (uint256) {
        return (word & ~(uint256(type(uint8).max) << OUTCOME)) | (uint256(outcome_) << OUTCOME);
    }

    function withPaid(uint256 word) internal pure returns (uint256) {
        return word | PAID;
    }

    function withLate(uint256 word) internal pure returns (uint256) {
        return word | LATE;
    }

    /// @dev One more request, after the payer used so many seconds since the claim was submitted or the last answer.
    /// Neither overflows: 32 bits are 136 years of seconds, and a transaction for each request.
    function withPend(uint256 word, uint256 seconds_) internal pure returns (uint256) {
        return word + (seconds_ << USED) + (uint256(1) << PENDS);
    }
}
