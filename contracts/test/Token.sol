// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Token
/// @notice For the tests: an ERC-20 token that anybody mints, honest or as bad as tokens come.
contract Token is ERC20 {
    enum Mood {
        Honest,
        Silent,
        ReturningFalse,
        TakingAFee,
        TakingMore,
        Reentering
    }

    error AccountBlocked(address account);

    uint256 private constant HUNDREDTH = 100;

    Mood public mood;
    mapping(address account => bool) public blocked;

    /// @notice What is called in the middle of each transfer, and what came of it the last time.
    address public target;
    bytes public data;
    bool public entered;
    bytes public reason;

    // solhint-disable-next-line no-empty-blocks
    constructor() ERC20("Token of the tests", "TEST") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function setReentry(address target_, bytes calldata data_) external {
        (mood, target, data) = (Mood.Reentering, target_, data_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _moved(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        return _moved(from, to, amount);
    }

    function _moved(address from, address to, uint256 amount) private returns (bool) {
        if (mood == Mood.ReturningFalse) return false;
        if (blocked[from]) revert AccountBlocked(from);
        if (blocked[to]) revert AccountBlocked(to);
        // The caller's answer is to be seen, whatever it is.
        // solhint-disable-next-line avoid-low-level-calls
        if (mood == Mood.Reentering) (entered, reason) = target.call(data);

        _transfer(from, to, amount);
        if (mood == Mood.TakingAFee) _burn(to, amount / HUNDREDTH);
        if (mood == Mood.TakingMore) _burn(from, amount / HUNDREDTH);
        if (mood == Mood.Silent) {
            // solhint-disable-next-line no-inline-assembly
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}
