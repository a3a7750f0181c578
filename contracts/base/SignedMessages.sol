// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "../interfaces/ISignedMessages.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title SignedMessages
/// @notice Checks EIP-712 messages signed by an account's key or, for a contract wallet, by ERC-1271.
abstract contract SignedMessages is ISignedMessages, EIP712 {
    /// @inheritdoc ISignedMessages
    /// @dev The contract calls its own code, with the caller as caller. What a hostile wallet burns in one call, or
    /// what one returns as its reason, is bounded by `gasEach`.
    function relay(bytes[] calldata calls, uint256 gasEach) external returns (uint256 failed) {
        for (uint256 position = 0; position < calls.length; ++position) {
            // solhint-disable-next-line avoid-low-level-calls
            (bool success, bytes memory reason) = address(this).delegatecall{gas: gasEach == 0 ? gasleft() : gasEach}(
                calls[position]
            );
            if (success) continue;
            if (gasEach == 0) revert CallFailed(position, reason);
            ++failed;

            emit CallSkipped(position, reason);
        }
    }

    /// @dev Reverts unless `signer` signed the message before its deadline. The key is tried first: asking whether
    /// the signer has code would cost 2,600 gas for every patient. A message that names what it replaces or a state
    /// that does not come back needs no nonce of its own; the caller sees to that.
    function _requireSigned(
        address signer,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view {
        bytes32 digest = _digest(structHash, deadline);
        if (signature.length == 65) {
            address recovered = _recover(digest, signature);
            if (recovered != address(0) && recovered == signer) return;
        }
        if (!SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) revert SignatureInvalid(signer);
    }

    /// @dev What is signed. Reverts after the deadline.
    function _digest(bytes32 structHash, uint256 deadline) internal view returns (bytes32) {
        if (block.timestamp > deadline) revert MessageExpired(deadline, block.timestamp);
        return _hashTypedDataV4(structHash);
    }

    /// @dev Whose key made a signature of 65 bytes; zero where it is none of a key. A malleable one is none.
    function _recover(bytes32 digest, bytes calldata signature) internal pure returns (address recovered) {
        bytes32 r;
        bytes32 s;
        uint8 v;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            r := calldataload(signature.offset)
            s := calldataload(add(signature.offset, 32))
            v := byte(0, calldataload(add(signature.offset, 64)))
        }
        (recovered, , ) = ECDSA.tryRecover(digest, v, r, s);
    }
}
