// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "../interfaces/IAgreed.sol";
import {IRegistrar} from "../interfaces/IRegistrar.sol";
import {SignedMessages} from "./SignedMessages.sol";
import {PartyWord} from "../libraries/PartyWord.sol";

/// @title Agreed
/// @notice Finds whether the party that owns a step agrees to it.
abstract contract Agreed is IAgreed, SignedMessages {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;

    /// @inheritdoc IAgreed
    IRegistrar public immutable registrar;

    constructor(IRegistrar registrar_) {
        registrar = registrar_;
    }

    /// @dev Reverts unless the party that owns a step agrees to it: it sends the step itself (empty signature), or its
    /// present account signed. Either way it must be active now. The caller sees to it that no step counts twice.
    function _requireAgreed(
        address owner,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view returns (IRegistrar.Kind kind) {
        address account = signature.length == 0 ? msg.sender : registrar.accountOf(owner);
        uint256 standing = registrar.standing(account);
        if (standing == 0 || standing.id() != owner) revert StepNotYours(owner, account);

        if (signature.length != 0) _requireSigned(account, structHash, deadline, signature);
        return standing.kind();
    }

    /// @dev As above, and reverts unless the owner is a party of this kind.
    function _requireAgreedBy(
        IRegistrar.Kind kind,
        address owner,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view {
        IRegistrar.Kind found = _requireAgreed(owner, structHash, deadline, signature);
        if (found != kind) revert KindNotAdmitted(owner, found);
    }
}
