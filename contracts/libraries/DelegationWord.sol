// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegations} from "../interfaces/IDelegations.sol";

/// @title DelegationWord
/// @notice The layout of a delegation, one 256-bit word, when it may be written, and when it is in force.
/// @dev Bits, from the least significant: sequence 16, kind 4, scopes 4, validFrom 28, validUntil 28 (minutes since
/// 1970), delegator's sequence 16, delegator 160. No bit is left over. A revoked delegation has no scopes, and as its
/// delegator whoever revoked it.
library DelegationWord {
    uint256 internal constant GRANT = 1;
    uint256 internal constant REVOKE = 2;
    uint256 internal constant VIEW = 4;
    uint256 internal constant DELEGATE = 8;
    uint256 internal constant ALL = 15;

    /// @dev The last sequence is kept for revocation, which must always be possible.
    uint256 internal constant LAST_SEQUENCE = 0xFFFF;

    /// @dev As validUntil: no end.
    uint256 internal constant NO_END = 0xFFFFFFF;

    uint256 private constant KIND = 16;
    uint256 private constant SCOPES = 20;
    uint256 private constant VALID_FROM = 24;
    uint256 private constant VALID_UNTIL = 52;
    uint256 private constant DELEGATOR_SEQUENCE = 80;
    uint256 private constant DELEGATOR = 96;

    /// @dev Kind and period, which a revocation leaves as they are.
    uint256 private constant KEPT = (0xF << KIND) | (NO_END << VALID_FROM) | (NO_END << VALID_UNTIL);

    /* LAYOUT */

    function sequence(uint256 word) internal pure returns (uint256) {
        return uint16(word);
    }

    /// @dev A sequence has 16 bits: one more cannot overflow.
    function nextSequence(uint256 word) internal pure returns (uint256) {
        unchecked {
            return sequence(word) + 1;
        }
    }

    function kind(uint256 word) internal pure returns (uint256) {
        return (word >> KIND) & 0xF;
    }

    function scopes(uint256 word) internal pure returns (uint256) {
        return (word >> SCOPES) & ALL;
    }

    function may(uint256 word, uint256 scope) internal pure returns (bool) {
        return scopes(word) & scope != 0;
    }

    function validFrom(uint256 word) internal pure returns (uint256) {
        return (word >> VALID_FROM) & NO_END;
    }

    function validUntil(uint256 word) internal pure returns (uint256) {
        return (word >> VALID_UNTIL) & NO_END;
    }

    function delegatorSequence(uint256 word) internal pure returns (uint256) {
        return uint16(word >> DELEGATOR_SEQUENCE);
    }

    function delegator(uint256 word) internal pure returns (address) {
        return address(uint160(word >> DELEGATOR));
    }

    /// @dev A successor's delegation: every scope, from this minute on, without end, hanging on the subject itself.
    /// Minutes have 28 bits until the year 2480.
    function successor(uint256 sequence_, uint256 minute, address subject) internal pure returns (uint256) {
        return
            sequence_ |
            (uint256(IDelegations.Kind.Successor) << KIND) |
            (ALL << SCOPES) |
            (minute << VALID_FROM) |
            (NO_END << VALID_UNTIL) |
            (uint256(uint160(subject)) << DELEGATOR);
    }

    /// @dev What is left of a delegation, or of none, when somebody has revoked it.
    function revoked(uint256 word, uint256 sequence_, address by) internal pure returns (uint256) {
        return (word & KEPT) | sequence_ | (uint256(uint160(by)) << DELEGATOR);
    }

    /* MEANING */

    /// @dev Reverts unless the word says something that a delegation can say.
    function requireWritable(uint256 word) internal pure {
        if (kind(word) == uint256(IDelegations.Kind.None) || kind(word) >= uint256(IDelegations.Kind.Successor)) {
            revert IDelegations.DelegationKindNotPossible(kind(word));
        }
        if (scopes(word) == 0) revert IDelegations.DelegationScopesEmpty();
        if (validFrom(word) >= validUntil(word)) {
            revert IDelegations.DelegationPeriodEmpty(validFrom(word), validUntil(word));
        }
        if (kind(word) == uint256(IDelegations.Kind.Guardian) && validUntil(word) == NO_END) {
            revert IDelegations.GuardianWithoutEnd();
        }
    }

    /// @dev The scopes of a delegation at a minute since 1970: none before its period and from its end on.
    function scopesAt(uint256 word, uint256 minute) internal pure returns (uint256) {
        return validFrom(word) <= minute && minute < validUntil(word) ? scopes(word) : 0;
    }
}
