// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegated} from "../interfaces/IDelegated.sol";
import {IDelegations} from "../interfaces/IDelegations.sol";
import {SignedMessages} from "./SignedMessages.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Delegated
/// @notice Finds who is behind an act in a subject's name: the subject itself or one of its delegates.
abstract contract Delegated is IDelegated, SignedMessages {
    uint256 internal constant GRANT = 1;
    uint256 internal constant REVOKE = 2;
    uint256 internal constant VIEW = 4;
    uint256 internal constant EVERY_SCOPE = 15;

    /// @inheritdoc IDelegated
    IDelegations public immutable delegations;

    constructor(IDelegations delegations_) {
        delegations = delegations_;
    }

    /// @dev Reverts unless the subject, or a delegate with `scope`, sends the act (empty signature) or signed it. The
    /// contract wallet of a subject is asked last, so that it costs nobody else anything; that of a delegate sends.
    function _requireAuthor(
        address subject,
        uint256 scope,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal {
        if (signature.length == 0) return _requireAuthority(subject, msg.sender, scope);

        bytes32 digest = _digest(structHash, deadline);
        if (signature.length == 65) {
            address author = _recover(digest, signature);
            if (author == subject) {
                if (author != address(0)) return;
            }
            if (_isDelegate(subject, author, scope)) return;
        }
        if (!SignatureChecker.isValidERC1271SignatureNow(subject, digest, signature)) revert SignatureInvalid(subject);
    }

    /// @dev Reverts unless `author` is the subject or its delegate with `scope`.
    function _requireAuthority(address subject, address author, uint256 scope) internal {
        if (!_isDelegate(subject, author, scope)) revert DelegateScopeMissing(subject, author, scope);
    }

    /// @dev Whether `author` is the subject or its delegate with `scope`; the act of a delegate is recorded as its own.
    function _isDelegate(address subject, address author, uint256 scope) internal returns (bool) {
        if (author == address(0)) return false;
        if (author == subject) return true;
        if (_scopesOf(subject, author) & scope != scope) return false;

        emit DelegateActed(subject, author, scope);
        return true;
    }

    /// @dev What Delegations says, without taking memory: a batch would pay for it with every item after a delegate's.
    function _scopesOf(address subject, address delegate) private view returns (uint256 scopes) {
        IDelegations target = delegations;
        bytes4 selector = IDelegations.scopesOf.selector;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, selector)
            mstore(add(m, 4), subject)
            mstore(add(m, 36), delegate)
            if iszero(and(gt(returndatasize(), 31), staticcall(gas(), target, m, 68, 0, 32))) {
                revert(0, 0)
            }
            scopes := mload(0)
        }
    }
}
