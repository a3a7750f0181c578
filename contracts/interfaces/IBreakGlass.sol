// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegated} from "./IDelegated.sol";
import {IRegistrar} from "./IRegistrar.sol";

/// @title BreakGlass
/// @notice Keeps who opened a subject's record in an emergency, why, and what the subject said of it afterwards.
interface IBreakGlass is IDelegated {
    /// @notice Why consent is overridden: HL7 v3 ActReason, ActConsentInformationAccessOverrideReason (OVRER,
    /// OVRINCOMP, OVRPJ, OVRPS, OVRTPS).
    enum OverrideReason {
        None,
        EmergencyTreatment,
        Incompetency,
        ProfessionalJudgment,
        PublicSafety,
        ThirdPartySafety
    }

    /// @notice What the subject said of an opening. It may only become graver.
    enum Review {
        None,
        Acknowledged,
        Disputed
    }

    /// @notice One opening; the times are in minutes since 1970, and `until` is the first at which it is over.
    struct Opening {
        address party;
        uint32 from;
        uint32 until;
        OverrideReason reason;
        Review review;
    }

    /// @notice Thrown when somebody breaks the glass who does not act for an active party in the group of emergency
    /// care.
    /// @dev Mend: let the authority put the party into group 2, or renew its accreditation.
    error NotEmergencyCare(address account);

    /// @notice Thrown when the glass is broken without one of the reasons.
    /// @dev Mend: give one of the five override reasons.
    error OverrideReasonMissing();

    /// @notice Thrown when an opening would last for no time or longer than the limit (minutes).
    /// @dev Mend: give 1 minute at least and the limit at most.
    error OpeningTooLong(uint256 duration, uint256 limit);

    /// @notice Thrown when the subject refuses break-glass access altogether.
    /// @dev Mend: none; ask the subject, or whoever may decide for it.
    error BreakGlassRefused(address subject);

    /// @notice Thrown when the party's last opening for this subject is not over yet.
    /// @dev Mend: use the opening given until its end (minutes since 1970).
    error GlassAlreadyBroken(uint256 number, uint256 until);

    /// @notice Thrown when a party has opened as many records in one day (UTC) as it may.
    /// @dev Mend: wait for the next day, or let the authority raise the limit.
    error OpeningsExhausted(uint256 limit);

    /// @notice Thrown when limits are set that are no limits: none a day, or above a day's 1,440 minutes.
    /// @dev Mend: give 1 at least for both, and at most 1,440 minutes.
    error LimitsOutOfRange(uint256 perDay, uint256 longest);

    /// @notice Thrown when a subject has no opening of this number.
    /// @dev Mend: numbers run from 1 to the count of the subject's openings.
    error OpeningUnknown(address subject, uint256 number);

    /// @notice Thrown when a review does not go beyond the one before.
    /// @dev Mend: an opening is acknowledged once, and disputed once, also after it was acknowledged.
    error AlreadyReviewed(Review review);

    /// @notice Emitted when a party opens a subject's record in an emergency.
    /// @param account Who acted for the party.
    /// @param justification The salted hash of who opens and why, kept by the party; zero where there is none.
    event GlassBroken(
        address indexed subject,
        address indexed party,
        uint256 indexed number,
        address account,
        OverrideReason reason,
        bytes32 justification,
        uint256 until
    );

    /// @notice Emitted when an opening is reviewed; `remark` is a salted hash of what was said, or zero.
    event OpeningReviewed(address indexed subject, uint256 indexed number, Review review, bytes32 remark);

    /// @notice Emitted when the limits change.
    event BreakGlassLimitsSet(uint256 perDay, uint256 longest);

    /// @notice Opens a subject's record in an emergency. The caller acts for an active party in the group of emergency
    /// care (2), and the subject has not refused it. Requests for the purpose BTG are then permitted, to access and use
    /// alone, but for what a rule that refuses break-glass speaks of.
    /// @param duration For how long, in minutes; 0 stands for 240, or the limit where that is less.
    function breakGlass(
        address subject,
        OverrideReason reason,
        uint256 duration,
        bytes32 justification
    ) external returns (uint256 number);

    /// @notice Says what the subject thinks of an opening. The author is the subject, or its delegate for viewing.
    /// @param signature The author's over `Review`; empty where the author sends.
    function reviewOpening(
        address subject,
        uint256 number,
        Review review,
        bytes32 remark,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Sets how many records a party may open in a day (UTC), and the longest opening in minutes. Restricted by
    /// the authority.
    function setBreakGlassLimits(uint16 perDay, uint16 longest) external;

    /// @notice Returns the limits: openings a day (UTC) for each party, and the longest opening in minutes.
    function breakGlassLimits() external view returns (uint16 perDay, uint16 longest);

    /// @notice Returns how many openings a subject has had; their numbers run from 1.
    function openingCount(address subject) external view returns (uint256);

    /// @notice Returns an opening.
    function openingOf(address subject, uint256 number) external view returns (Opening memory);

    /// @notice Returns the number of a party's opening that is not over yet; zero where there is none.
    function openingInForce(address subject, address party) external view returns (uint256 number);

    /// @notice Returns the Registrar that says who an actor is.
    function registrar() external view returns (IRegistrar);
}
