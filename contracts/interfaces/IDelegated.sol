// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegations} from "./IDelegations.sol";
import {ISignedMessages} from "./ISignedMessages.sol";

/// @title Delegated
/// @notice What every contract has in common that lets a subject's delegates act for it.
interface IDelegated is ISignedMessages {
    /// @notice Thrown when somebody acts for a subject without being its delegate for such an act.
    /// @dev Mend: let the subject act, or a delegate whose delegation is in force and has the scope given (grant 1,
    /// revoke 2, view 4, every scope 15).
    error DelegateScopeMissing(address subject, address by, uint256 scope);

    /// @notice Emitted before what a delegate does for a subject, in the same transaction.
    event DelegateActed(address indexed subject, address indexed delegate, uint256 scope);

    /// @notice Returns the contract that says who a subject's delegates are.
    function delegations() external view returns (IDelegations);
}
