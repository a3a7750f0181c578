// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistrar} from "./IRegistrar.sol";
import {ISignedMessages} from "./ISignedMessages.sol";

/// @title Agreed
/// @notice What every contract has in common whose steps belong to parties.
/// @dev Each step is sent by its owner's account with an empty signature, or by anyone with the owner's signature.
interface IAgreed is ISignedMessages {
    /// @notice Thrown when the account that takes or signs a step does not act, active, for the party that owns it.
    /// @dev Mend: send or sign with the owner's present account; have the party reinstated where it is inactive.
    error StepNotYours(address owner, address account);

    /// @notice Thrown when the account that takes a step acts for an active party of the wrong kind.
    /// @dev Mend: providers and pharmacies submit claims, payers publish rules, providers prescribe, pharmacies fill.
    error KindNotAdmitted(address account, IRegistrar.Kind kind);

    /// @notice Returns the Registrar that says who a party is.
    function registrar() external view returns (IRegistrar);
}
