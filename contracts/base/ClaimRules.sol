// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaimRules} from "../interfaces/IClaimRules.sol";
import {IRegistrar} from "../interfaces/IRegistrar.sol";
import {PartyWord} from "../libraries/PartyWord.sol";
import {Agreed} from "./Agreed.sol";

/// @title ClaimRules
/// @notice The adjudication rules of all payers: two slots each.
abstract contract ClaimRules is IClaimRules, Agreed {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;

    mapping(address payer => mapping(uint32 number => Rules rules)) private _rules;
    mapping(address payer => mapping(uint32 plan => uint32[] numbers)) private _plans;

    /// @inheritdoc IClaimRules
    mapping(address payer => uint32 count) public rulesCount;

    /// @inheritdoc IClaimRules
    /// @dev None but a plan's first reach back: no rules change the past. Rules that have not begun are corrected by
    /// publishing others, since of those whose period holds a day the last published are in force.
    function publishRules(Rules calldata rules) external returns (uint32 number) {
        if (rules.hash == 0) revert RulesMissing();
        if (rules.validUntil != 0 && rules.validUntil <= rules.validFrom) {
            revert RulesPeriodEmpty(rules.validFrom, rules.validUntil);
        }
        uint256 standing = registrar.standing(msg.sender);
        if (standing.kind() != IRegistrar.Kind.Payer) revert KindNotAdmitted(msg.sender, standing.kind());
        address payer = standing.id();
        uint32[] storage numbers = _plans[payer][rules.plan];
        if (numbers.length != 0 && rules.validFrom < _today()) revert RulesRetroactive(rules.validFrom, _today());

        number = rulesCount[payer] + 1;
        rulesCount[payer] = number;
        _rules[payer][number] = rules;
        numbers.push(number);

        emit RulesPublished(payer, rules.plan, number, rules);
    }

    /// @inheritdoc IClaimRules
    function rulesOf(address payer, uint32 number) external view returns (Rules memory) {
        return _rules[payer][number];
    }

    /// @inheritdoc IClaimRules
    function rulesOfPlan(address payer, uint32 plan) external view returns (uint32[] memory numbers) {
        return _plans[payer][plan];
    }

    /// @inheritdoc IClaimRules
    function rulesInForce(address payer, uint32 plan, uint16 day) external view returns (uint32 number) {
        uint32[] storage numbers = _plans[payer][plan];
        for (uint256 last = numbers.length; last != 0; --last) {
            number = numbers[last - 1];
            Rules storage rules = _rules[payer][number];
            if (rules.validFrom <= day && (rules.validUntil == 0 || day < rules.validUntil)) return number;
        }
        return 0;
    }

    /// @dev The rules that a claim may name: that they govern its service date is not to be seen here, see `submit`.
    function _begunRules(address payer, uint32 number) internal view returns (Rules storage rules) {
        rules = _rules[payer][number];
        // What was published has begun or begins later; of what was not, all is zero, and number 0 never was.
        if (number == 0 || number > rulesCount[payer] || rules.validFrom > _today()) {
            revert RulesUnknown(payer, number);
        }
    }

    /// @dev The rules that a claim was submitted under.
    function _claimRules(address payer, uint32 number) internal view returns (Rules storage) {
        return _rules[payer][number];
    }

    /// @dev What is signed of rules; zero, and no storage read, where nothing is.
    function _signedRules(address payer, uint32 number, bool signed) internal view returns (bytes32) {
        return signed ? _rules[payer][number].hash : bytes32(0);
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }
}
