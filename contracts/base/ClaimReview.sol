// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaimReview} from "../interfaces/IClaimReview.sol";
import {Agreed} from "./Agreed.sol";

/// @title ClaimReview
/// @notice The flags of all claims: a slot for each two.
abstract contract ClaimReview is IClaimReview, Agreed {
    bytes32 private constant FLAG_TYPEHASH = keccak256(
        "Flag(bytes32 earlier,bytes32 later,address by,uint256 deadline)"
    );
    bytes32 private constant FLAG_DECISION_TYPEHASH = keccak256(
        "FlagDecision(bytes32 earlier,bytes32 later,uint8 decision,bytes32 reason,uint256 deadline)"
    );

    mapping(bytes32 earlier => mapping(bytes32 later => FlagStatus status)) private _flags;

    /// @inheritdoc IClaimReview
    function flag(
        Claim calldata earlier,
        Claim calldata later,
        address by,
        uint256 deadline,
        bytes calldata signature
    ) external {
        (bytes32 first, bytes32 second) = (claimId(earlier), claimId(later));
        if (_flags[first][second] != FlagStatus.None || _flags[second][first] != FlagStatus.None) {
            revert FlagExists(first, second);
        }
        bool inOrder = _submittedAt(first) <= _submittedAt(second);
        bool alike = first != second && earlier.softKey != 0 && earlier.softKey == later.softKey;
        if (!alike || !inOrder) revert NotAlike(first, second);
        bytes32 structHash = keccak256(abi.encode(FLAG_TYPEHASH, first, second, by, deadline));
        _requireAgreed(by, structHash, deadline, signature);

        _flags[first][second] = FlagStatus.Raised;

        emit ClaimsFlagged(first, second, later.payer, by);
    }

    /// @inheritdoc IClaimReview
    function decideFlag(
        bytes32 earlier,
        Claim calldata later,
        FlagStatus decision,
        bytes32 reason,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 second = claimId(later);
        FlagStatus status = _flags[earlier][second];
        if (status != FlagStatus.Raised) revert FlagNotRaised(earlier, second, status);
        if (decision != FlagStatus.Cleared && decision != FlagStatus.Confirmed) revert FlagDecisionMissing();
        if (reason == 0) revert GroundsMissing();
        bytes32 structHash = keccak256(abi.encode(FLAG_DECISION_TYPEHASH, earlier, second, decision, reason, deadline));
        _requireAgreed(later.payer, structHash, deadline, signature);

        _flags[earlier][second] = decision;

        emit FlagDecided(earlier, second, later.payer, decision, reason);
    }

    /// @inheritdoc IClaimReview
    function flagOf(bytes32 earlier, bytes32 later) external view returns (FlagStatus) {
        return _flags[earlier][later];
    }

    /// @dev When a claim was submitted. Reverts where it is not open.
    function _submittedAt(bytes32 claim) internal view virtual returns (uint256);

    /// @dev A claim's id.
    function claimId(Claim calldata claim) public pure virtual returns (bytes32);
}
