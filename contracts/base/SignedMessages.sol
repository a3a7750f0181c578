// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "../interfaces/ISignedMessages.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title SignedMessages
/// @notice Checks EIP-712 messages signed by an account's key or, for a contract wallet, by ERC-1271.
abstract contract SignedMessages is ISignedMessages, EIP712 {
    /// @dev Reverts unless `signer` signed the message before its deadline. The key is tried first: asking whether
    /// the signer has code would cost 2,600 gas for every patient. A message that names what it replaces or a state
    /// that does not come back needs no nonce of its own; the caller sees to that.
    function _requireSigned(
        address signer,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view {
        if (block.timestamp > deadline) revert MessageExpired(deadline, block.timestamp);
        bytes32 digest = _hashTypedDataV4(structHash);
        if (signature.length == 65) {
            (address recovered, ECDSA.RecoverError failure, ) = ECDSA.tryRecover(
                digest,
                uint8(signature[64]),
                bytes32(signature[0:32]),
                bytes32(signature[32:64])
            );
            // `failure` matters: on failure the recovered address is zero, and so might the named signer be.
            if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        }
        if (!SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) revert SignatureInvalid(signer);
    }
}
