// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RuleWord} from "../libraries/RuleWord.sol";

/// @title RuleHasher
/// @notice For the tests: hashes a rule while something is kept in memory.
contract RuleHasher {
    using RuleWord for uint256;

    /// @notice Returns the hash, and what was kept in memory meanwhile, before it and after it.
    // solhint-disable-next-line gas-calldata-parameters
    function hash(
        bytes memory kept,
        uint256 word,
        bytes32 typeHash,
        address subject,
        address grantee,
        bytes32 terms,
        uint256 deadline
    ) external pure returns (bytes32 structHash, bytes memory before, bytes memory later) {
        structHash = word.hashStruct(typeHash, subject, grantee, terms, deadline);
        return (structHash, kept, abi.encodePacked(uint8(1), kept));
    }
}
