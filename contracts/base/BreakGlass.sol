// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBreakGlass} from "../interfaces/IBreakGlass.sol";
import {IRegistrar} from "../interfaces/IRegistrar.sol";
import {PartyWord} from "../libraries/PartyWord.sol";
import {Delegated} from "./Delegated.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/// @title BreakGlass
/// @notice Emergency access: opened by emergency care alone, for a while, for all to see, and reviewed by the subject.
abstract contract BreakGlass is IBreakGlass, Delegated, AccessManaged {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;
    using PartyWord for uint64;

    bytes32 private constant REVIEW_TYPEHASH = keccak256(
        "Review(address subject,uint256 opening,uint8 review,bytes32 remark,uint256 deadline)"
    );

    /// @dev The number of the group of emergency care in the Registrar.
    uint16 private constant EMERGENCY_CARE = 2;

    uint256 private constant DEFAULT_MINUTES = 240;
    uint256 private constant DAY_MINUTES = 1440;

    /// @notice How many records a party opened on one day.
    /// @param number The day, in days since 1970.
    /// @param openings How many.
    struct Day {
        uint32 number;
        uint16 openings;
    }

    /// @inheritdoc IBreakGlass
    IRegistrar public immutable registrar;

    mapping(address subject => Opening[]) private _openings;
    mapping(address subject => mapping(address party => uint256 number)) private _last;
    mapping(address party => Day) private _days;

    uint16 private _perDay = 10;
    uint16 private _longest = 1440;

    constructor(IRegistrar registrar_) {
        registrar = registrar_;
    }

    /// @inheritdoc IBreakGlass
    function breakGlass(
        address subject,
        OverrideReason reason,
        uint256 duration,
        bytes32 justification
    ) external returns (uint256 number) {
        if (reason == OverrideReason.None) revert OverrideReasonMissing();
        if (duration == 0) duration = DEFAULT_MINUTES < _longest ? DEFAULT_MINUTES : _longest;
        if (duration > _longest) revert OpeningTooLong(duration, _longest);
        uint256 standing = registrar.standing(msg.sender);
        if (!_isEmergencyCare(standing)) revert NotEmergencyCare(msg.sender);
        if (_refusesBreakGlass(subject, standing)) revert BreakGlassRefused(subject);
        address party = standing.id();
        number = openingInForce(subject, party);
        if (number != 0) revert GlassAlreadyBroken(number, _openings[subject][number - 1].until);
        _count(party);

        uint256 minute = block.timestamp / 1 minutes;
        uint256 until = minute + duration;
        _openings[subject].push(Opening(party, uint32(minute), uint32(until), reason, Review.None));
        number = _openings[subject].length;
        _last[subject][party] = number;

        emit GlassBroken(subject, party, number, msg.sender, reason, justification, until);
    }

    function _count(address party) private {
        uint32 today = uint32(block.timestamp / 1 days);
        Day memory day = _days[party];
        if (day.number != today) day = Day(today, 0);
        if (day.openings >= _perDay) revert OpeningsExhausted(_perDay);
        ++day.openings;
        _days[party] = day;
    }

    /// @inheritdoc IBreakGlass
    /// @dev A review only becomes graver, so that no message counts twice.
    function reviewOpening(
        address subject,
        uint256 number,
        Review review,
        bytes32 remark,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(abi.encode(REVIEW_TYPEHASH, subject, number, review, remark, deadline));
        _requireAuthor(subject, VIEW, structHash, deadline, signature);
        Opening storage opening = _opening(subject, number);
        if (review <= opening.review) revert AlreadyReviewed(opening.review);

        opening.review = review;

        emit OpeningReviewed(subject, number, review, remark);
    }

    /// @inheritdoc IBreakGlass
    function setBreakGlassLimits(uint16 perDay, uint16 longest) external restricted {
        if (perDay == 0 || longest == 0 || longest > DAY_MINUTES) revert LimitsOutOfRange(perDay, longest);

        (_perDay, _longest) = (perDay, longest);

        emit BreakGlassLimitsSet(perDay, longest);
    }

    /// @inheritdoc IBreakGlass
    function breakGlassLimits() external view returns (uint16 perDay, uint16 longest) {
        return (_perDay, _longest);
    }

    /// @inheritdoc IBreakGlass
    function openingCount(address subject) external view returns (uint256) {
        return _openings[subject].length;
    }

    /// @inheritdoc IBreakGlass
    function openingOf(address subject, uint256 number) external view returns (Opening memory) {
        return _opening(subject, number);
    }

    /// @inheritdoc IBreakGlass
    function openingInForce(address subject, address party) public view returns (uint256 number) {
        number = _last[subject][party];
        if (number != 0 && _openings[subject][number - 1].until <= block.timestamp / 1 minutes) return 0;
    }

    /// @dev Whether a party, by its standing, has an opening in force and may still use it.
    function _hasBrokenGlass(address subject, uint256 standing) internal view returns (bool) {
        return _isEmergencyCare(standing) && openingInForce(subject, standing.id()) != 0;
    }

    /// @dev Whether a subject refuses break-glass access altogether to a party of this standing.
    function _refusesBreakGlass(address subject, uint256 standing) internal view virtual returns (bool);

    function _opening(address subject, uint256 number) private view returns (Opening storage) {
        if (number == 0 || number > _openings[subject].length) revert OpeningUnknown(subject, number);
        return _openings[subject][number - 1];
    }

    function _isEmergencyCare(uint256 standing) private pure returns (bool) {
        return standing != 0 && standing.groups().contains(EMERGENCY_CARE);
    }
}
