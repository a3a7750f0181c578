// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaimReview} from "./IClaimReview.sol";
import {IClaimRules} from "./IClaimRules.sol";
import {IEncounters} from "./IEncounters.sol";
import {INullifiers} from "./INullifiers.sol";
import {IPrescriptions} from "./IPrescriptions.sol";

/// @title ClaimAnchor
/// @notice Keeps the state of each claim, agreed step by step by the parties that own the steps, and the nullifiers
/// that stop one service from being billed twice. Amounts, codes and dates stay off chain, behind commitments.
/// @dev Each step is sent by its owner's account with an empty signature, or by anyone with the owner's signature. A
/// right that has a time lapses with it; what a party owes it owes however late, and `dueOf` says since when.
interface IClaimAnchor is IClaimReview, IClaimRules, IEncounters, INullifiers {
    /// @notice Thrown when the same claim is submitted again.
    /// @dev Mend: nothing needs doing; a claim that was voided is submitted anew under a new salt.
    error ClaimExists(bytes32 claim);

    /// @notice Thrown when a claim names no patient under rules by which the patient agrees to a settlement.
    /// @dev Mend: name the patient's pseudonym in the claim.
    error PatientMissing(address payer, uint256 rules);

    /// @notice Thrown when a pharmacy's claim names no prescription that was issued, and its rules ask for one.
    /// @dev Mend: have the prescriber issue it, and name its id in the claim.
    error PrescriptionNotIssued(bytes32 prescription);

    /// @notice Thrown when a claim does not stand in the batch at the index that is named.
    /// @dev Mend: give the claim, its rules, root, index and proof as the batch was made.
    error ClaimNotInBatch(bytes32 claim, bytes32 root);

    /// @notice Thrown when a right has lapsed: to pend, to answer or to appeal.
    /// @dev Mend: it was due by `due` (seconds since 1970); the other party's step comes next, or a replacement.
    error StepLate(bytes32 claim, uint256 due);

    /// @notice Thrown when the lack of a decision is appealed while the payer may still decide in time.
    /// @dev Mend: appeal from `earliest` (seconds since 1970) on.
    error StepEarly(bytes32 claim, uint256 earliest);

    /// @notice Thrown when an adjudication names other rules than the claim.
    /// @dev Mend: adjudicate under the rules that the claim was submitted under.
    error RulesMismatch(bytes32 claim, uint256 rules);

    /// @notice Thrown when an adjudication has no outcome or no commitment to it.
    /// @dev Mend: give approved, partial or denied, and the salted hash of the response.
    error OutcomeMissing();

    /// @notice Thrown when the outcome of an appeal does not fit the decision on it.
    /// @dev Mend: an upheld outcome stays, denied where there was none; an overturned one is approved or partial.
    error OutcomeMismatch(bytes32 claim, Outcome outcome);

    /// @notice Thrown when a claim is replaced by one of another provider or payer.
    /// @dev Mend: void the claim instead, and submit the new one.
    error ReplacementMismatch(bytes32 claim);

    /// @notice Emitted when a claim gets its slot.
    event ClaimSubmitted(
        bytes32 indexed claim,
        address indexed provider,
        address indexed payer,
        address patient,
        bytes32 registration,
        bytes32 commitment,
        bytes32 nullifier,
        bytes32 softKey,
        uint32 rules
    );

    /// @notice Emitted when a claim of a batch is opened, whose own submission is emitted with it.
    event ClaimOpened(bytes32 indexed claim, bytes32 indexed root, uint32 index);

    /// @notice Emitted when a payer pends a claim; `request` commits to what it asks for.
    event ClaimPended(bytes32 indexed claim, bytes32 request);

    /// @notice Emitted when a provider answers what its claim was pended for; `answer` commits to it.
    event ClaimAnswered(bytes32 indexed claim, bytes32 answer);

    /// @notice Emitted when a payer adjudicates a claim; `response` commits to what it answers.
    event ClaimAdjudicated(bytes32 indexed claim, Outcome indexed outcome, bytes32 response);

    /// @notice Emitted when a provider or a patient appeals a decision or the lack of one; `grounds` commits to why.
    event ClaimAppealed(bytes32 indexed claim, address indexed by, bytes32 grounds);

    /// @notice Emitted when a payer decides an appeal; `response` commits to what it answers.
    event AppealDecided(bytes32 indexed claim, bool indexed upheld, Outcome indexed outcome, bytes32 response);

    /// @notice Emitted when the parties have settled a claim.
    event ClaimSettled(bytes32 indexed claim);

    /// @notice Emitted when a claim is voided; its nullifier is free again.
    event ClaimVoided(bytes32 indexed claim);

    /// @notice Emitted when a claim is replaced by another, whose own submission is emitted with it.
    event ClaimReplaced(bytes32 indexed claim, bytes32 indexed by);

    /// @notice Submits a claim. Owned by the provider.
    /// @param rules The number of the payer's rules in force on the service date.
    /// @dev Warning: the service date is health data and stays inside the commitment, so the contract checks that the
    /// rules exist and have begun, and both parties sign for them; that they govern the service date is checked by
    /// whoever is shown the claim. An accredited provider that copies another's nullifier from a waiting transaction
    /// can block it until it is voided, under its own name and for all to see; once it is removed, anyone voids it.
    function submit(
        Claim calldata claim,
        uint32 rules,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 id);

    /// @notice Gives a claim of a batch a slot of its own, as if it were submitted now. Anyone may.
    /// @param rules The number of the payer's rules that its leaf names.
    /// @param root The batch's root.
    /// @param index The claim's index in it, from 0.
    /// @param proof The inclusion proof, the leaf's neighbour first.
    function open(
        Claim calldata claim,
        uint32 rules,
        bytes32 root,
        uint32 index,
        bytes32[] calldata proof
    ) external returns (bytes32 id);

    /// @notice Pends a submitted claim until what is asked for arrives: the payer's time to decide stands still. Owned
    /// by the payer, until that time is over.
    /// @param request The salted hash of what is asked for.
    function pend(Claim calldata claim, bytes32 request, uint256 deadline, bytes calldata signature) external;

    /// @notice Answers what a claim was pended for. Owned by the provider, in its time.
    /// @param reply The salted hash of the answer.
    function answer(Claim calldata claim, bytes32 reply, uint256 deadline, bytes calldata signature) external;

    /// @notice Adjudicates a claim. Owned by the payer.
    /// @param rules The number of the rules it was adjudicated under, the claim's own.
    /// @param response The salted hash of the canonical response.
    function adjudicate(
        Claim calldata claim,
        Outcome outcome,
        uint32 rules,
        bytes32 response,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Appeals a decision or, once it is late, the lack of one, which counts as a denial (as by 29 CFR
    /// 2560.503-1(l)). Owned by the provider or by the patient that the claim names, once, in their time.
    /// @param by The provider or the patient.
    /// @param grounds The salted hash of the grounds.
    function appeal(
        Claim calldata claim,
        address by,
        bytes32 grounds,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Decides an appeal. Owned by the payer.
    /// @param upheld Whether the outcome stays; where there was none the claim is denied. Else it is another, or
    /// another response, and no denial.
    /// @param rules The claim's own rules.
    /// @param response The salted hash of the answer, which takes the earlier one's place.
    function decideAppeal(
        Claim calldata claim,
        bool upheld,
        Outcome outcome,
        uint32 rules,
        bytes32 response,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Settles a claim that was approved, wholly or in part. Owned by provider and payer together and, where
    /// the rules say so, the patient.
    /// @param providerSignature The provider's signature over `Settlement`; empty where the provider sends.
    /// @param payerSignature The payer's; empty where the payer sends.
    /// @param patientSignature The patient's; empty where the patient sends. Read only where the rules ask for it.
    /// @dev Warning: settling ends the right to appeal. A plan under which the patient may hold out has it sign.
    function settle(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature,
        bytes calldata patientSignature
    ) external;

    /// @notice Voids a claim and frees its nullifier. Owned by the provider; once the service was settled, by the payer
    /// too. A provider that was removed is not asked: anyone may void what it left open and unpaid.
    /// @param payerSignature Read only where the service was settled.
    function void(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
    ) external;

    /// @notice Replaces a claim by a corrected one to the same payer, which takes over the nullifier. Owned by the
    /// provider; once the service was settled, by the payer too.
    /// @param rules The number of the rules that govern the corrected claim.
    /// @param payerSignature Read only where the service was settled.
    function replace(
        Claim calldata claim,
        Claim calldata correction,
        uint32 rules,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
    ) external returns (bytes32 id);

    /// @notice Returns the leaf that stands for a claim in a batch.
    function leafOf(bytes32 claim, uint32 rules) external pure returns (bytes32);

    /// @notice Returns the commitment to the payer's last response; zero before it decided.
    function responseOf(bytes32 claim) external view returns (bytes32);

    /// @notice Returns who owes the next step and until when (seconds since 1970, 0 for no deadline). A duty does not
    /// lapse: where `due` has passed, the step is late and still owed. Zero where nobody owes a step.
    function dueOf(Claim calldata claim) external view returns (address party, uint256 due);

    /// @notice Returns from when until when (seconds since 1970, both inclusive) a claim can be appealed as it stands
    /// now; zero where it cannot, and the largest number where there is no end.
    function appealTimeOf(Claim calldata claim) external view returns (uint256 from, uint256 until);

    /// @notice Returns the Prescriptions that say which prescriptions were issued.
    function prescriptions() external view returns (IPrescriptions);
}
