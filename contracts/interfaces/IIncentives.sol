// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";
import {IDelegated} from "./IDelegated.sol";
import {IStudies} from "./IStudies.sol";
import {IStudyRegister} from "./IStudyRegister.sol";

/// @title Incentives
/// @notice Keeps bounties, in ERC-20 tokens, that pay custodians or subjects for a study's answers. An answer is paid
/// when researcher and custodian have published its result in Studies and the funder has accepted it: so no custodian
/// invents answers, and no researcher pays itself.
/// @dev Warning: a token whose balances change by themselves is no measure for a bounty; one that takes a part of each
/// transfer is refused. A token that refuses or freezes harms the bounties in it and no others: choose one that does
/// not.
interface IIncentives is IAgreed, IDelegated {
    /// @notice Who is paid for an answer: the custodian that gave it, or each subject of the cohort it is about.
    enum Payee {
        Custodian,
        Subjects
    }

    /// @notice A bounty; its id is the hash of all of it, so that nothing of it changes.
    /// @param funder Who pays, accepts results and takes back what is left.
    /// @param study The id of the study.
    /// @param token The ERC-20 token.
    /// @param payee Who is paid.
    /// @param payment How much each is paid, in the token's smallest unit.
    /// @param acceptUntil The last time at which results are accepted, in seconds since 1970.
    struct Bounty {
        address funder;
        bytes32 study;
        address token;
        Payee payee;
        uint128 payment;
        uint64 acceptUntil;
    }

    /// @notice What is kept of a bounty's tokens, in one slot.
    /// @param free What no accepted result has a claim to.
    /// @param due What is promised and not yet paid.
    struct Escrow {
        uint128 free;
        uint128 due;
    }

    /// @notice Thrown when a bounty is funded or refunded by another than its funder.
    /// @dev Mend: send from the account that the bounty names.
    error FunderRequired(address funder, address account);

    /// @notice Thrown when a bounty pays nothing, or nothing is put into it.
    /// @dev Mend: give a payment and an amount above zero.
    error AmountMissing();

    /// @notice Thrown when a bounty's time to accept results is over, or ends more than ten years from now.
    /// @dev Mend: give a time between now and then, in seconds since 1970.
    error AcceptanceTimeNotPossible(uint256 acceptUntil, uint256 timestamp);

    /// @notice Thrown when a bounty is for a study that does not exist or was ended.
    /// @dev Mend: name a study that is registered and stands.
    error StudyNotFundable(bytes32 study, IStudyRegister.State state);

    /// @notice Thrown when there is no contract where a bounty's token should be.
    /// @dev Mend: name the token's address on this chain.
    error TokenUnknown(address token);

    /// @notice Thrown when a transfer leaves this contract with another balance than it must, as with a token that
    /// takes a fee.
    /// @dev Mend: use a token that moves what it is told to.
    error TokenNotWhole(address token, uint256 expected, uint256 balance);

    /// @notice Thrown when a result is accepted that is not published for the bounty's study.
    /// @dev Mend: have it published in Studies, and give it with its cohort as the events have them.
    error ResultUnknown(bytes32 study, bytes32 result);

    /// @notice Thrown when results are accepted after the bounty's time.
    /// @dev Mend: fund another bounty.
    error AcceptanceOver(bytes32 bounty, uint256 acceptUntil);

    /// @notice Thrown when an answer is accepted a second time; where subjects are paid, an answer is a cohort.
    /// @dev Mend: nothing is to be done.
    error AnswerAccepted(bytes32 bounty, bytes32 answer);

    /// @notice Thrown when a bounty has less left than an answer takes.
    /// @dev Mend: put more into the bounty.
    error BountyShort(bytes32 bounty, uint256 amount, uint256 free);

    /// @notice Thrown when payment is claimed for an answer that the bounty's funder has not accepted.
    /// @dev Mend: ask the funder; where subjects are paid, the answer is the cohort.
    error AnswerNotAccepted(bytes32 bounty, bytes32 answer);

    /// @notice Thrown when somebody is paid for an answer a second time.
    /// @dev Mend: nothing is to be done; the event `BountyPaid` says where it went.
    error PaidAlready(bytes32 bounty, bytes32 answer, address payee);

    /// @notice Thrown when payment is claimed after the time for it.
    /// @dev Mend: nothing can be done here; the funder may pay out of hand.
    error ClaimLate(bytes32 bounty, uint256 claimUntil);

    /// @notice Thrown when a payment or refund would go to nobody, or to this contract.
    /// @dev Mend: name an account that can use the tokens.
    error ReceiverNotPossible(address to);

    /// @notice Thrown when a subject is no member of the cohort that was paid for.
    /// @dev Mend: prove its index in the cohort; who had opted out when the cohort was fixed is none.
    error SubjectNotInCohort(bytes32 cohort, address subject);

    /// @notice Thrown when a bounty is refunded while results may still be accepted.
    /// @dev Mend: wait until then.
    error BountyOpen(bytes32 bounty, uint256 acceptUntil);

    /// @notice Thrown when nothing is left of a bounty to take back.
    /// @dev Mend: what is due can be taken back once the time to claim it is over.
    error NothingLeft(bytes32 bounty);

    /// @notice Emitted when tokens are put into a bounty, the first time and each further time.
    event BountyFunded(
        bytes32 indexed bounty,
        bytes32 indexed study,
        address indexed funder,
        Bounty definition,
        uint128 amount
    );

    /// @notice Emitted when a funder accepts a result; `due` is what may be claimed for it.
    event ResultAccepted(bytes32 indexed bounty, bytes32 indexed answer, bytes32 indexed result, uint128 due);

    /// @notice Emitted when somebody is paid for an answer.
    event BountyPaid(bytes32 indexed bounty, bytes32 indexed answer, address indexed payee, address to, uint128 amount);

    /// @notice Emitted when a funder takes back what was free, and what was due once it cannot be claimed any more.
    event BountyRefunded(bytes32 indexed bounty, address to, uint128 free, uint128 due);

    /// @notice Puts tokens into a bounty, which need not exist yet. The caller is its funder, and has approved the
    /// amount.
    function fund(Bounty calldata bounty, uint128 amount) external returns (bytes32 id);

    /// @notice Accepts a published result: what it takes is promised, and not taken back before it could be claimed.
    /// The author is the funder. Where subjects are paid, one result is accepted for each cohort.
    /// @param signature The funder's over `ResultAcceptance`; empty where it is the caller.
    function accept(
        Bounty calldata bounty,
        IStudies.Cohort calldata cohort,
        IStudies.Result calldata result,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Pays a custodian for an accepted answer. The author is the custodian.
    /// @param to Who receives the tokens.
    /// @param signature The custodian's over `Payout`; empty where it is the caller.
    function claimAnswer(
        Bounty calldata bounty,
        IStudies.Result calldata result,
        address to,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Pays a subject for an accepted answer over a cohort in which it is a member. The author is the subject,
    /// or a delegate with every scope, as a successor.
    /// @param index The subject's index in the cohort, and the proof of it.
    /// @param to Who receives the tokens: whoever this is, is linked to the subject in public.
    /// @param signature The author's over `Payout`; empty where it is the caller.
    function claimShare(
        Bounty calldata bounty,
        IStudies.Cohort calldata cohort,
        address subject,
        uint64 index,
        bytes32[] calldata proof,
        address to,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Takes back what is free once no result can be accepted any more, and all once nothing can be claimed any
    /// more. The caller is the funder.
    function refund(Bounty calldata bounty, address to) external;

    /// @notice Returns what is kept of a bounty's tokens; zero where there is no such bounty.
    function escrowOf(bytes32 bounty) external view returns (Escrow memory);

    /// @notice Returns whether a bounty's funder has accepted an answer: a result, or where subjects are paid a cohort.
    function isAccepted(bytes32 bounty, bytes32 answer) external view returns (bool);

    /// @notice Returns whether a payee was paid for an answer.
    function isPaid(bytes32 bounty, bytes32 answer, address payee) external view returns (bool);

    /// @notice Returns a bounty's id.
    function bountyId(Bounty calldata bounty) external pure returns (bytes32);

    /// @notice Returns the contract that keeps the studies.
    function studies() external view returns (IStudies);

    /// @notice Returns how long an accepted answer may be claimed after the bounty's time to accept, in seconds.
    function CLAIM_PERIOD() external view returns (uint256);
}
