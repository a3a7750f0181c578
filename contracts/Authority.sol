// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Authority
/// @notice The one authority of the suite: OpenZeppelin's AccessManager as it is. Its roles say who accredits parties,
/// who recovers their accounts and who publishes consent terms; each role may carry a delay and a guardian.
contract Authority is AccessManager {
    /// @param admin Who grants the roles, at first; never taken from `msg.sender`.
    constructor(address admin) AccessManager(admin) {}
}
