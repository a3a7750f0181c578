// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaims} from "./IClaims.sol";

/// @title ClaimReview
/// @notice The review queue: claims that look alike are flagged, and their payer decides. A flag stops no claim.
interface IClaimReview is IClaims {
    /// @notice How a flag stands.
    enum FlagStatus {
        None,
        Raised,
        Cleared,
        Confirmed
    }

    /// @notice Thrown when two claims that are flagged are the same, share no soft key, or come in the wrong order.
    /// @dev Mend: flag two claims with one soft key, the one that was submitted first as the earlier.
    error NotAlike(bytes32 earlier, bytes32 later);

    /// @notice Thrown when two claims are flagged again, in whichever order.
    /// @dev Mend: nothing needs doing.
    error FlagExists(bytes32 earlier, bytes32 later);

    /// @notice Thrown when a flag is decided that was never raised, or was decided before.
    /// @dev Mend: check the claims and their order; a decision stands.
    error FlagNotRaised(bytes32 earlier, bytes32 later, FlagStatus status);

    /// @notice Thrown when a flag is decided as neither cleared nor confirmed.
    /// @dev Mend: give cleared (2) or confirmed (3).
    error FlagDecisionMissing();

    /// @notice Emitted when two claims are flagged, for the later one's payer to decide.
    event ClaimsFlagged(bytes32 indexed earlier, bytes32 indexed later, address indexed payer, address by);

    /// @notice Emitted when a payer has decided a flag; `reason` commits to why.
    event FlagDecided(
        bytes32 indexed earlier,
        bytes32 indexed later,
        address indexed payer,
        FlagStatus decision,
        bytes32 reason
    );

    /// @notice Flags two open claims that share a soft key. Owned by any active party, which is named.
    /// @param by The identity of the party that flags.
    function flag(
        Claim calldata earlier,
        Claim calldata later,
        address by,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Decides a flag, once. Owned by the later claim's payer.
    /// @param decision Cleared or confirmed.
    /// @param reason The salted hash of the reason.
    function decideFlag(
        bytes32 earlier,
        Claim calldata later,
        FlagStatus decision,
        bytes32 reason,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Returns how the flag of two claims stands.
    function flagOf(bytes32 earlier, bytes32 later) external view returns (FlagStatus);
}
