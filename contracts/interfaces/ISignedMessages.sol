// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title SignedMessages
/// @notice What every contract that takes signed messages has in common: anyone may relay them, one or many at a time,
/// and nobody may alter them.
interface ISignedMessages {
    /// @notice Thrown when a signed message arrives after its deadline.
    /// @dev Mend: have the message signed again with a later deadline (seconds since 1970).
    error MessageExpired(uint256 deadline, uint256 timestamp);

    /// @notice Thrown when a signature is not the named signer's over exactly this message, on this chain and contract.
    /// @dev Mend: sign the typed data again: every field, the chain id and the contract's address count.
    error SignatureInvalid(address signer);

    /// @notice Thrown when a call among several fails and none is to be skipped.
    /// @dev Mend: the reason is that call's own error; leave the call out, or have failing calls skipped.
    error CallFailed(uint256 position, bytes reason);

    /// @notice Emitted when a call among several failed and was skipped; `reason` is its own error, empty where it ran
    /// out of gas.
    event CallSkipped(uint256 indexed position, bytes reason);

    /// @notice Makes several calls to this contract at once, each as if the caller had made it alone. Whoever relays
    /// the messages of many subjects sends them so.
    /// @param calls The calls, encoded. Empty signatures stand for the caller itself.
    /// @param gasEach Zero: a call that fails fails all. Else the most gas that each may use; one that fails is skipped
    /// and reported, and the others count.
    /// @return failed How many were skipped.
    function relay(bytes[] calldata calls, uint256 gasEach) external returns (uint256 failed);
}
