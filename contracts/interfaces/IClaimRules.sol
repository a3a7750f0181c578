// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";

/// @title ClaimRules
/// @notice Keeps which adjudication rules each payer published: of each the hash of the text, the service dates that it
/// governs, and what it asks of a claim.
interface IClaimRules is IAgreed {
    /// @notice Adjudication rules. A number of days of 0 stands for no deadline.
    /// @param hash The keccak-256 hash of the rules' text.
    /// @param plan The payer's number for the plan that they belong to.
    /// @param validFrom The first service date they govern, in days since 1970-01-01.
    /// @param validUntil The first day they govern no more, in days since 1970-01-01; 0 for none.
    /// @param patientSigns Whether a settlement needs the patient's agreement.
    /// @param registered Whether a claim needs an encounter or a prescription that was registered.
    /// @param daysToDecide How long the payer has to decide a claim; while it is pended the time stands still.
    /// @param daysToAnswer How long the provider has to answer when a claim is pended.
    /// @param daysToAppeal How long a decision, or the lack of one, can be appealed.
    /// @param daysToDecideAppeal How long the payer has to decide an appeal.
    /// @param daysToSettle How long the payer has to settle what it approved.
    struct Rules {
        bytes32 hash;
        uint32 plan;
        uint16 validFrom;
        uint16 validUntil;
        bool patientSigns;
        bool registered;
        uint16 daysToDecide;
        uint16 daysToAnswer;
        uint16 daysToAppeal;
        uint16 daysToDecideAppeal;
        uint16 daysToSettle;
    }

    /// @notice Thrown when a claim names rules that its payer has not published, or that have not begun.
    /// @dev Mend: name the number that `rulesInForce` gives for the plan and the service date.
    error RulesUnknown(address payer, uint256 rules);

    /// @notice Thrown when rules are published with a zero hash.
    /// @dev Mend: give the keccak-256 hash of the rules' text.
    error RulesMissing();

    /// @notice Thrown when rules would end before they begin.
    /// @dev Mend: give a first day (days since 1970-01-01) before `validUntil`, which itself is not governed any more.
    error RulesPeriodEmpty(uint256 validFrom, uint256 validUntil);

    /// @notice Thrown when a plan's rules other than its first would begin before today.
    /// @dev Mend: give a first day (days since 1970-01-01) from `earliest` on; only a plan's first rules reach back.
    error RulesRetroactive(uint256 validFrom, uint256 earliest);

    /// @notice Emitted when a payer publishes adjudication rules.
    event RulesPublished(address indexed payer, uint32 indexed plan, uint32 indexed number, Rules rules);

    /// @notice Publishes adjudication rules of the caller, who acts for an active payer.
    /// @return number The rules' number among all of the payer's, from 1.
    function publishRules(Rules calldata rules) external returns (uint32 number);

    /// @notice Returns a payer's rules by their number; all zero where there are none.
    function rulesOf(address payer, uint32 number) external view returns (Rules memory);

    /// @notice Returns how many rules a payer has published; their numbers run from 1.
    function rulesCount(address payer) external view returns (uint32);

    /// @notice Returns the numbers of the rules that a payer has published for a plan, in their order.
    function rulesOfPlan(address payer, uint32 plan) external view returns (uint32[] memory numbers);

    /// @notice Returns the number of a plan's rules in force on a day: of those whose period holds it, the last
    /// published; zero where there are none.
    /// @param day The service date, in days since 1970-01-01.
    function rulesInForce(address payer, uint32 plan, uint16 day) external view returns (uint32 number);
}
