// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegations} from "./interfaces/IDelegations.sol";
import {IIncentives} from "./interfaces/IIncentives.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {IStudyRegister} from "./interfaces/IStudyRegister.sol";
import {Agreed} from "./base/Agreed.sol";
import {Delegated} from "./base/Delegated.sol";
import {StudyWord} from "./libraries/StudyWord.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title Incentives
/// @notice The bounties of all funders: a slot for each bounty's tokens, each accepted answer and each payment.
/// @dev The one contract of the suite that calls foreign code which may write: a token. State is settled before it is
/// called, and no function that moves tokens runs inside another, so that balances measured around a transfer are true.
contract Incentives is IIncentives, Agreed, Delegated, ReentrancyGuard {
    using SafeERC20 for IERC20;
    using StudyWord for IStudies.Cohort;
    using StudyWord for IStudies.Result;

    bytes32 private constant ACCEPTANCE_TYPEHASH = keccak256(
        "ResultAcceptance(bytes32 bounty,bytes32 study,bytes32 result,uint256 deadline)"
    );
    bytes32 private constant PAYOUT_TYPEHASH = keccak256(
        "Payout(bytes32 bounty,bytes32 study,bytes32 answer,address payee,address token,uint128 payment,address to,"
        "uint256 deadline)"
    );

    uint256 private constant LONGEST = 3650 days;

    /// @inheritdoc IIncentives
    uint256 public constant CLAIM_PERIOD = 180 days;

    /// @inheritdoc IIncentives
    IStudies public immutable studies;

    mapping(bytes32 bounty => Escrow) private _escrows;

    /// @inheritdoc IIncentives
    mapping(bytes32 bounty => mapping(bytes32 answer => bool)) public isAccepted;

    /// @inheritdoc IIncentives
    mapping(bytes32 bounty => mapping(bytes32 answer => mapping(address payee => bool))) public isPaid;

    constructor(
        IRegistrar registrar_,
        IDelegations delegations_,
        IStudies studies_
    ) EIP712("MedProof Incentives", "1") Agreed(registrar_) Delegated(delegations_) {
        studies = studies_;
    }

    /* FUNDING */

    /// @inheritdoc IIncentives
    function fund(Bounty calldata bounty, uint128 amount) external nonReentrant returns (bytes32 id) {
        id = bountyId(bounty);
        if (msg.sender != bounty.funder) revert FunderRequired(bounty.funder, msg.sender);
        if (bounty.payment == 0 || amount == 0) revert AmountMissing();
        if (bounty.acceptUntil < block.timestamp || bounty.acceptUntil > block.timestamp + LONGEST) {
            revert AcceptanceTimeNotPossible(bounty.acceptUntil, block.timestamp);
        }
        IStudyRegister.State state = studies.stateOf(bounty.study);
        if (state == IStudyRegister.State.Unknown || state >= IStudyRegister.State.Closed) {
            revert StudyNotFundable(bounty.study, state);
        }
        if (bounty.token.code.length == 0) revert TokenUnknown(bounty.token);

        _escrows[id].free += amount;

        emit BountyFunded(id, bounty.study, msg.sender, bounty, amount);

        IERC20 token = IERC20(bounty.token);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balance = token.balanceOf(address(this));
        if (balance != before + amount) revert TokenNotWhole(bounty.token, before + amount, balance);
    }

    /* ACCEPTANCE */

    /// @inheritdoc IIncentives
    function accept(
        Bounty calldata bounty,
        IStudies.Cohort calldata cohort,
        IStudies.Result calldata result,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 id = bountyId(bounty);
        bytes32 accepted = result.id();
        if (signature.length != 0) {
            bytes32 structHash = keccak256(abi.encode(ACCEPTANCE_TYPEHASH, id, bounty.study, accepted, deadline));
            _requireSigned(bounty.funder, structHash, deadline, signature);
        } else if (msg.sender != bounty.funder) {
            revert FunderRequired(bounty.funder, msg.sender);
        }
        if (block.timestamp > bounty.acceptUntil) revert AcceptanceOver(id, bounty.acceptUntil);
        bool known = result.cohort == cohort.id() && studies.resultAt(accepted) != 0;
        if (!known || cohort.study != bounty.study) revert ResultUnknown(bounty.study, accepted);
        bool each = bounty.payee == Payee.Subjects;
        bytes32 answer = each ? result.cohort : accepted;
        if (isAccepted[id][answer]) revert AnswerAccepted(id, answer);
        uint256 due = uint256(bounty.payment) * (each ? cohort.size : 1);
        Escrow storage escrow = _escrows[id];
        if (due > escrow.free) revert BountyShort(id, due, escrow.free);

        // What is due is no more than what is free, which has 128 bits.
        escrow.free -= uint128(due);
        escrow.due += uint128(due);
        isAccepted[id][answer] = true;

        emit ResultAccepted(id, answer, accepted, uint128(due));
    }

    /* PAYMENT */

    /// @inheritdoc IIncentives
    function claimAnswer(
        Bounty calldata bounty,
        IStudies.Result calldata result,
        address to,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        (bytes32 id, bytes32 answer) = (bountyId(bounty), result.id());
        bytes32 structHash = _hashPayout(bounty, id, answer, result.custodian, to, deadline);
        _requireAgreed(result.custodian, structHash, deadline, signature);

        _pay(bounty, id, answer, result.custodian, to);
    }

    /// @inheritdoc IIncentives
    function claimShare(
        Bounty calldata bounty,
        IStudies.Cohort calldata cohort,
        address subject,
        uint64 index,
        bytes32[] calldata proof,
        address to,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        (bytes32 id, bytes32 answer) = (bountyId(bounty), cohort.id());
        bytes32 structHash = _hashPayout(bounty, id, answer, subject, to, deadline);
        _requireAuthor(subject, EVERY_SCOPE, structHash, deadline, signature);
        if (!studies.inCohort(cohort, subject, index, proof)) revert SubjectNotInCohort(answer, subject);

        _pay(bounty, id, answer, subject, to);
    }

    function _hashPayout(
        Bounty calldata bounty,
        bytes32 id,
        bytes32 answer,
        address payee,
        address to,
        uint256 deadline
    ) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(PAYOUT_TYPEHASH, id, bounty.study, answer, payee, bounty.token, bounty.payment, to, deadline)
            );
    }

    /// @dev The one path of every payment. The payment is kept by payee and not by index: who stands twice in a cohort
    /// is paid once.
    function _pay(Bounty calldata bounty, bytes32 id, bytes32 answer, address payee, address to) private {
        if (!isAccepted[id][answer]) revert AnswerNotAccepted(id, answer);
        if (isPaid[id][answer][payee]) revert PaidAlready(id, answer, payee);
        uint256 claimUntil = bounty.acceptUntil + CLAIM_PERIOD;
        if (block.timestamp > claimUntil) revert ClaimLate(id, claimUntil);

        isPaid[id][answer][payee] = true;
        _escrows[id].due -= bounty.payment;

        emit BountyPaid(id, answer, payee, to, bounty.payment);

        _send(bounty.token, to, bounty.payment);
    }

    /// @dev A token that takes more than it was told to would take it from the other bounties.
    function _send(address token, address to, uint256 amount) private {
        if (to == address(0) || to == address(this)) revert ReceiverNotPossible(to);
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransfer(to, amount);
        uint256 balance = IERC20(token).balanceOf(address(this));
        if (balance != before - amount) revert TokenNotWhole(token, before - amount, balance);
    }

    /* REFUND */

    /// @inheritdoc IIncentives
    function refund(Bounty calldata bounty, address to) external nonReentrant {
        bytes32 id = bountyId(bounty);
        if (msg.sender != bounty.funder) revert FunderRequired(bounty.funder, msg.sender);
        if (block.timestamp <= bounty.acceptUntil) revert BountyOpen(id, bounty.acceptUntil);
        Escrow storage escrow = _escrows[id];
        uint128 free = escrow.free;
        uint128 due = block.timestamp > bounty.acceptUntil + CLAIM_PERIOD ? escrow.due : 0;
        if (free == 0 && due == 0) revert NothingLeft(id);

        escrow.free = 0;
        escrow.due -= due;

        emit BountyRefunded(id, to, free, due);

        _send(bounty.token, to, uint256(free) + due);
    }

    /* READING */

    /// @inheritdoc IIncentives
    function escrowOf(bytes32 bounty) external view returns (Escrow memory) {
        return _escrows[bounty];
    }

    /// @inheritdoc IIncentives
    function bountyId(Bounty calldata bounty) public pure returns (bytes32) {
        return keccak256(abi.encode(bounty));
    }
}
