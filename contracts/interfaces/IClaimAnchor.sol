// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "./ISignedMessages.sol";
import {IRegistrar} from "./IRegistrar.sol";

/// @title ClaimAnchor
/// @notice Keeps the state of each claim, agreed step by step by the parties that own the steps, and the nullifiers
/// that stop one service from being billed twice. Amounts, codes and dates stay off chain, behind commitments.
/// @dev Each step is sent by its owner's account with an empty signature, or by anyone with the owner's signature.
interface IClaimAnchor is ISignedMessages {
    /// @notice Where a claim stands.
    enum Status {
        None,
        Submitted,
        Pended,
        Adjudicated,
        Settled,
        Voided,
        Replaced
    }

    /// @notice What the payer decided.
    enum Outcome {
        None,
        Approved,
        Partial,
        Denied
    }

    /// @notice What a claim is; its id is the hash of these four, and every step names them.
    /// @param provider The identity of the party that bills: a provider or a pharmacy.
    /// @param payer The identity of the party that is billed.
    /// @param commitment The salted hash of the canonical claim.
    /// @param nullifier The keyed hash of the service billed; each is billed once, across all payers.
    struct Claim {
        address provider;
        address payer;
        bytes32 commitment;
        bytes32 nullifier;
    }

    /// @notice What is kept of a claim, in one slot under its id.
    /// @param status Where the claim stands.
    /// @param outcome What the payer decided; `None` before adjudication.
    /// @param rules The number of the payer's adjudication rules that govern the claim.
    /// @param paid Whether the service was settled, under this claim or one that it replaced: from then on it is undone
    /// only with the payer's agreement, since the service could be billed elsewhere.
    struct ClaimState {
        Status status;
        Outcome outcome;
        uint32 rules;
        bool paid;
    }

    /// @notice Thrown when the account that takes or signs a step does not act, active, for the party that owns it.
    /// @dev Mend: send or sign with the owner's present account; have the party reinstated where it is inactive.
    error StepNotYours(address owner, address account);

    /// @notice Thrown when the account that takes a step acts for an active party of the wrong kind.
    /// @dev Mend: providers and pharmacies submit claims, payers publish rules.
    error KindNotAdmitted(address account, IRegistrar.Kind kind);

    /// @notice Thrown when a claim lacks a commitment or a nullifier.
    /// @dev Mend: give the salted hash of the claim and the keyed hash of the service.
    error ClaimIncomplete();

    /// @notice Thrown when the same claim is submitted again.
    /// @dev Mend: nothing needs doing; a claim that was voided is submitted anew under a new salt.
    error ClaimExists(bytes32 claim);

    /// @notice Thrown when a step is taken from a state it does not start from.
    /// @dev Mend: read the claim's state; the specification lists the steps from each state.
    error StepNotPossible(bytes32 claim, Status status);

    /// @notice Thrown when the service was billed before: its nullifier belongs to another claim.
    /// @dev Mend: replace or void the earlier claim `by`; do not bill the service a second time.
    error AlreadyBilled(bytes32 nullifier, bytes32 by);

    /// @notice Thrown when a claim names rules that its payer has not published, or that have not begun.
    /// @dev Mend: name the number that `rulesInForce` gives for the service date.
    error RulesUnknown(address payer, uint256 rules);

    /// @notice Thrown when an adjudication names other rules than the claim.
    /// @dev Mend: adjudicate under the rules that the claim was submitted under.
    error RulesMismatch(bytes32 claim, uint256 rules);

    /// @notice Thrown when rules are published with a zero hash.
    /// @dev Mend: give the keccak-256 hash of the rules' text.
    error RulesMissing();

    /// @notice Thrown when a payer's rules other than its first would begin before today.
    /// @dev Mend: give a first day (days since 1970-01-01) from `earliest` on; only a payer's first rules reach back.
    error RulesRetroactive(uint256 validFrom, uint256 earliest);

    /// @notice Thrown when an adjudication has no outcome or no commitment to it.
    /// @dev Mend: give approved, partial or denied, and the salted hash of the response.
    error OutcomeMissing();

    /// @notice Thrown when a claim is replaced by one of another provider or payer.
    /// @dev Mend: void the claim instead, and submit the new one.
    error ReplacementMismatch(bytes32 claim);

    /// @notice Emitted when a payer publishes adjudication rules, in force from a day until later ones are.
    event RulesPublished(address indexed payer, uint32 indexed number, bytes32 rules, uint16 validFrom);

    /// @notice Emitted when a claim is submitted.
    event ClaimSubmitted(
        bytes32 indexed claim,
        address indexed provider,
        address indexed payer,
        bytes32 commitment,
        bytes32 nullifier,
        uint32 rules
    );

    /// @notice Emitted when a payer pends a claim; `request` commits to what it asks for.
    event ClaimPended(bytes32 indexed claim, bytes32 request);

    /// @notice Emitted when a payer adjudicates a claim; `response` commits to what it answers.
    event ClaimAdjudicated(bytes32 indexed claim, Outcome indexed outcome, bytes32 response);

    /// @notice Emitted when provider and payer have settled a claim.
    event ClaimSettled(bytes32 indexed claim);

    /// @notice Emitted when a claim is voided; its nullifier is free again.
    event ClaimVoided(bytes32 indexed claim);

    /// @notice Emitted when a claim is replaced by another, whose own submission is emitted with it.
    event ClaimReplaced(bytes32 indexed claim, bytes32 indexed by);

    /// @notice Publishes the hash of the caller's adjudication rules. The caller acts for an active payer.
    /// @param rules The keccak-256 hash of the rules' text.
    /// @param validFrom The first service date they govern, in days since 1970-01-01.
    /// @return number The rules' number, from 1.
    function publishRules(bytes32 rules, uint16 validFrom) external returns (uint32 number);

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

    /// @notice Pends a submitted claim until what is asked for arrives. Owned by the payer.
    /// @param request The salted hash of what is asked for.
    function pend(Claim calldata claim, bytes32 request, uint256 deadline, bytes calldata signature) external;

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

    /// @notice Settles a claim that was approved, wholly or in part. Owned by provider and payer together.
    /// @param providerSignature The provider's signature over `Settlement`; empty where the provider sends.
    /// @param payerSignature The payer's; empty where the payer sends.
    function settle(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
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

    /// @notice Returns the id of a claim.
    function claimId(Claim calldata claim) external pure returns (bytes32);

    /// @notice Returns where a claim stands; all zero where there is none.
    function stateOf(bytes32 claim) external view returns (ClaimState memory);

    /// @notice Returns the commitment to the payer's response; zero before adjudication.
    function responseOf(bytes32 claim) external view returns (bytes32);

    /// @notice Returns the claim that holds a nullifier; zero where none does.
    function claimOf(bytes32 nullifier) external view returns (bytes32);

    /// @notice Returns a payer's rules and the first service date they govern (days since 1970-01-01).
    function rulesOf(address payer, uint32 number) external view returns (bytes32 rules, uint16 validFrom);

    /// @notice Returns how many rules a payer has published; their numbers run from 1.
    function rulesCount(address payer) external view returns (uint32);

    /// @notice Returns the number of a payer's rules in force on a day; zero where none are.
    /// @param day The service date, in days since 1970-01-01.
    function rulesInForce(address payer, uint16 day) external view returns (uint32 number);

    /// @notice Returns the Registrar that says who a party is.
    function registrar() external view returns (IRegistrar);
}
