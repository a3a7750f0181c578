// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title SignedMessages
/// @notice What every contract that takes signed messages has in common: anyone may relay them, nobody may alter them.
interface ISignedMessages {
    /// @notice Thrown when a signed message arrives after its deadline.
    /// @dev Mend: have the message signed again with a later deadline (seconds since 1970).
    error MessageExpired(uint256 deadline, uint256 timestamp);

    /// @notice Thrown when a signature is not the named signer's over exactly this message, on this chain and contract.
    /// @dev Mend: sign the typed data again: every field, the chain id and the contract's address count.
    error SignatureInvalid(address signer);
}
