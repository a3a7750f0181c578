// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title ContractWallet
/// @notice For the tests: a contract wallet with one owner, whose mood decides how it answers ERC-1271.
contract ContractWallet is IERC1271 {
    enum Mood {
        Honest,
        Reverting,
        Burning,
        Short,
        WrongAnswer
    }

    error InBadMood();

    address public immutable owner;
    Mood public mood;

    constructor(address owner_) {
        owner = owner_;
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    /// @notice Calls a contract in the wallet's name.
    function execute(address target, bytes calldata data) external {
        // solhint-disable-next-line avoid-low-level-calls
        (bool success, bytes memory result) = target.call(data);
        if (success) return;
        // The caller is to see the target's own error.
        // solhint-disable-next-line no-inline-assembly
        assembly {
            revert(add(result, 32), mload(result))
        }
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (mood == Mood.Reverting) revert InBadMood();
        // solhint-disable-next-line no-empty-blocks
        while (mood == Mood.Burning) {}
        if (mood == Mood.Short) {
            // solhint-disable-next-line no-inline-assembly
            assembly {
                mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000000)
                return(0, 4)
            }
        }
        if (mood == Mood.WrongAnswer) return 0xffffffff;
        return ECDSA.recover(digest, signature) == owner ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
