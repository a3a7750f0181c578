// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "./ISignedMessages.sol";

/// @title Delegations
/// @notice Keeps who may act for a subject: guardians, stewards and health proxies, one word each, laid out in
/// `DelegationWord`; and who recovers a subject whose key is lost. Every act names its author (`by`): with an empty
/// signature the author is the caller, else the signature is the author's and anyone sends it.
interface IDelegations is ISignedMessages {
    /// @notice What a delegate is to the subject, as HL7 v3 RoleCode has it: GUARD, DELEGATEE, HPOWATT, ONESELF.
    enum Kind {
        None,
        Guardian,
        Steward,
        HealthProxy,
        Successor
    }

    /// @notice The guardians whom a subject named for the recovery of its key, as they are shown to start one.
    /// @param members For each guardian, `keccak256(abi.encode(account, salt))` with a random salt of its own.
    /// @param threshold How many of them must approve.
    /// @param delay How long the subject can object, in seconds.
    struct Guardians {
        bytes32[] members;
        uint256 threshold;
        uint256 delay;
    }

    /// @notice One guardian's approval of a recovery.
    /// @param position Its place among the members.
    /// @param guardian Its account.
    /// @param salt The salt of its member.
    /// @param signature Its signature over `Recovery`; empty where it is the caller.
    struct Approval {
        uint256 position;
        address guardian;
        bytes32 salt;
        bytes signature;
    }

    /// @notice The recovery of a subject.
    /// @param successor Who is to succeed; zero where no recovery is under way.
    /// @param readyAt When the delay ends, in seconds since 1970; zero where no recovery is under way.
    /// @param round Counts what was done about guardians and recoveries of this subject.
    struct Recovery {
        address successor;
        uint48 readyAt;
        uint48 round;
    }

    /// @notice Thrown when a delegation names nobody, the subject, or its own author as the delegate.
    /// @dev Mend: name another account.
    error DelegateNotPossible(address delegate);

    /// @notice Thrown when a delegation is of no kind that its author can give: a successor comes by recovery alone,
    /// and a delegate makes stewards only.
    /// @dev Mend: give kind 1 (guardian), 2 (steward) or 3 (health proxy); 2 where a delegate delegates further.
    error DelegationKindNotPossible(uint256 kind);

    /// @notice Thrown when a delegation has no scope.
    /// @dev Mend: set at least one of grant 1, revoke 2, view 4, delegate 8; to take all away, revoke it.
    error DelegationScopesEmpty();

    /// @notice Thrown when a delegation ends before it begins (minutes since 1970).
    /// @dev Mend: give a later `validUntil`; 2^28 - 1 is no end.
    error DelegationPeriodEmpty(uint256 validFrom, uint256 validUntil);

    /// @notice Thrown when a guardian is named without an end.
    /// @dev Mend: end it when the subject comes of age, or when the court's order ends.
    error GuardianWithoutEnd();

    /// @notice Thrown when a delegation does not carry the sequence that follows the stored one, or a revocation none
    /// above it.
    /// @dev Mend: read the delegation again and write the sequence `stored + 1`; the last, 65535, is kept for
    /// revocation. A delegator who is not the subject revokes with `stored + 1`, too.
    error DelegationStale(uint256 stored, uint256 given);

    /// @notice Thrown when a delegation is written or revoked by somebody who may not.
    /// @dev Mend: have the subject do it. A delegate that may delegate writes only where nothing was written before, or
    /// where it was the last to write, and up to sequence 32767.
    error DelegationNotYours(address subject, address by);

    /// @notice Thrown when a further delegation does not name the sequence of its delegator's own delegation.
    /// @dev Mend: read the delegator's delegation again and name its sequence; 0 where the subject delegates.
    error DelegatorStale(uint256 stored, uint256 given);

    /// @notice Thrown when a delegate gives a scope that it does not have, or the scope to delegate.
    /// @dev Mend: give no more than `held`.
    error ScopesExceeded(uint256 scopes, uint256 held);

    /// @notice Thrown when a further delegation would outlast its delegator's own (minutes since 1970).
    /// @dev Mend: end it at `held` at the latest.
    error PeriodExceeded(uint256 validUntil, uint256 held);

    /// @notice Thrown when somebody other than the subject, or its successor, names guardians or objects to a recovery.
    /// @dev Mend: have the subject do it.
    error NotTheSubject(address subject, address by);

    /// @notice Thrown when guardians, a recovery or an objection come with a round that is not above the stored one; a
    /// recovery needs the very next.
    /// @dev Mend: read the round again and sign `stored + 1`.
    error RoundStale(uint256 stored, uint256 given);

    /// @notice Thrown when the guardians that are shown are not those that the subject named.
    /// @dev Mend: show the guardians as they were when the subject named them last.
    error GuardiansMismatch(address subject, bytes32 commitment);

    /// @notice Thrown when guardians are more than 16, the threshold is 0 or above their number, or the delay is
    /// shorter than 3 or longer than 90 days.
    /// @dev Mend: have the subject name others; these cannot recover anybody.
    error GuardiansOutOfRange(uint256 count, uint256 threshold, uint256 delay);

    /// @notice Thrown when fewer guardians approve than must.
    /// @dev Mend: add the approvals of others.
    error ApprovalsTooFew(uint256 given, uint256 threshold);

    /// @notice Thrown when an approval comes from an account that is not named at its position.
    /// @dev Mend: check the position, the account and its salt.
    error GuardianNotNamed(address guardian);

    /// @notice Thrown when approvals are not in rising order of their accounts, or one comes twice.
    /// @dev Mend: sort them by account, each once.
    error ApprovalsUnordered(address guardian);

    /// @notice Thrown when nobody, the subject itself or a guardian who approves is to be the successor.
    /// @dev Mend: name a fresh account of the subject's.
    error SuccessorNotPossible(address successor);

    /// @notice Thrown when there is no recovery to complete.
    /// @dev Mend: start one; if one was started, the subject has objected.
    error RecoveryNotUnderWay(address subject);

    /// @notice Thrown when a recovery is completed before its delay has passed.
    /// @dev Mend: wait until `readyAt` (seconds since 1970).
    error RecoveryTooEarly(address subject, uint256 readyAt);

    /// @notice Emitted when a delegation is given or changed; `word` is what is stored.
    event DelegationSet(address indexed subject, address indexed delegate, address indexed by, uint256 word);

    /// @notice Emitted when a delegation is revoked, or resigned by the delegate; `word` is what is stored.
    event DelegationRevoked(address indexed subject, address indexed delegate, address indexed by, uint256 word);

    /// @notice Emitted when guardians are named, or with a zero commitment none; it ends a recovery under way.
    event GuardiansNamed(address indexed subject, address indexed by, bytes32 commitment, uint256 round);

    /// @notice Emitted when guardians start a recovery; it replaces one under way.
    event RecoveryStarted(address indexed subject, address indexed successor, uint256 readyAt, uint256 round);

    /// @notice Emitted when a guardian approved the recovery that was started in this round.
    event RecoveryApproved(address indexed subject, address indexed guardian, uint256 round);

    /// @notice Emitted when the subject objects to a recovery, under way or not started yet; it ends it.
    event RecoveryObjected(address indexed subject, address indexed by, uint256 round);

    /// @notice Emitted when a successor takes the lost key's place; `word` is its delegation as it is stored.
    event RecoveryCompleted(address indexed subject, address indexed successor, uint256 word, uint256 round);

    /// @notice Gives a delegation, or changes the one whose sequence it follows. The author, the word's delegator, is
    /// the subject, or a delegate of it that may delegate.
    /// @param word The delegation as it is to be stored.
    /// @param deadline The last time at which the message counts, in seconds since 1970.
    /// @param signature The author's over `Delegation`; empty where it is the caller.
    /// @dev Warning: a delegation that is changed is another one; what hung on it ends.
    function setDelegation(
        address subject,
        address delegate,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Revokes a delegation. The author is the subject, the delegate itself, or the delegate that gave it and
    /// still may delegate.
    /// @param sequence Any sequence above the stored one, up to 65535, after which the subject and the delegate are
    /// closed to each other for good: the revocation overtakes what was signed below it and not sent yet. A delegate
    /// that gave it names the very next.
    function revokeDelegation(
        address subject,
        address delegate,
        address by,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Names the guardians who may recover the subject, and ends a recovery under way. The author is the
    /// subject or its successor.
    /// @param commitment `keccak256(abi.encode(guardians))`; zero for none.
    /// @param round Any round above the stored one: what was signed with it or a lower one counts no more.
    /// @dev Warning: nobody sees whether the committed guardians are within range; if not, they cannot recover anybody.
    function nameGuardians(
        address subject,
        address by,
        bytes32 commitment,
        uint256 round,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Starts a recovery with the approvals of as many guardians as the subject asked for. Anyone sends it. It
    /// replaces a recovery under way, and the delay runs anew.
    /// @param successor The account that is to act for the subject.
    /// @param round The round that follows the stored one.
    /// @param approvals In rising order of their accounts.
    /// @dev Warning: the guardians who approve become known, the others do not.
    function startRecovery(
        address subject,
        address successor,
        uint256 round,
        uint256 deadline,
        Guardians calldata guardians,
        Approval[] calldata approvals
    ) external;

    /// @notice Objects to a recovery, until it is completed. The author is the subject or its successor.
    /// @param round Any round above the stored one: what guardians signed with it or a lower one counts no more.
    function objectToRecovery(
        address subject,
        address by,
        uint256 round,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Completes a recovery after its delay. Anyone sends it. The successor may do for the subject all that a
    /// delegate may, without end; an earlier successor's delegation is revoked.
    function completeRecovery(address subject) external;

    /// @notice Returns what a delegate may do for a subject now, as a set of bits: grant 1, revoke 2, view 4,
    /// delegate 8. Zero for who is none, or no longer or not yet one.
    function scopesOf(address subject, address delegate) external view returns (uint256 scopes);

    /// @notice Returns a delegation as it is stored; zero where there never was one.
    function delegationOf(address subject, address delegate) external view returns (uint256 word);

    /// @notice Returns the commitment to a subject's guardians; zero where there are none.
    function guardiansOf(address subject) external view returns (bytes32 commitment);

    /// @notice Returns a subject's round, and the recovery that is under way.
    function recoveryOf(address subject) external view returns (Recovery memory);

    /// @notice Returns who succeeded a subject last, whatever became of it; zero where nobody did.
    function successorOf(address subject) external view returns (address);
}
