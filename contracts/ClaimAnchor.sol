// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaimAnchor} from "./interfaces/IClaimAnchor.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title ClaimAnchor
/// @notice The claims of all providers: a slot for the state, a slot for the nullifier.
contract ClaimAnchor is IClaimAnchor, SignedMessages {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;

    bytes32 private constant SUBMISSION_TYPEHASH = keccak256(
        "Submission(address provider,address payer,bytes32 commitment,bytes32 nullifier,uint32 rulesNumber,"
        "bytes32 rules,uint256 deadline)"
    );
    bytes32 private constant PEND_TYPEHASH = keccak256("Pend(bytes32 claim,bytes32 request,uint256 deadline)");
    bytes32 private constant ADJUDICATION_TYPEHASH = keccak256(
        "Adjudication(bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline)"
    );
    bytes32 private constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline)"
    );
    bytes32 private constant VOID_TYPEHASH = keccak256("Void(bytes32 claim,uint256 deadline)");
    bytes32 private constant REPLACEMENT_TYPEHASH = keccak256(
        "Replacement(bytes32 claim,bytes32 correction,uint32 rulesNumber,bytes32 rules,uint256 deadline)"
    );

    /// @param hash The keccak-256 hash of the rules' text.
    /// @param validFrom The first service date they govern, in days since 1970-01-01.
    struct Rules {
        bytes32 hash;
        uint16 validFrom;
    }

    /// @inheritdoc IClaimAnchor
    IRegistrar public immutable registrar;

    mapping(bytes32 claim => ClaimState state) private _states;
    mapping(bytes32 claim => bytes32 response) private _responses;
    mapping(bytes32 nullifier => bytes32 claim) private _claims;
    mapping(address payer => mapping(uint32 number => Rules rules)) private _rules;
    mapping(address payer => uint32 count) private _rulesCounts;

    constructor(IRegistrar registrar_) EIP712("MedProof ClaimAnchor", "1") {
        registrar = registrar_;
    }

    /* RULES */

    /// @inheritdoc IClaimAnchor
    /// @dev None but the first reach back: no rules change the past. Rules that have not begun are corrected by
    /// publishing others: of those that have begun by a day, the last published are in force.
    function publishRules(bytes32 rules, uint16 validFrom) external returns (uint32 number) {
        if (rules == 0) revert RulesMissing();
        uint256 standing = registrar.standing(msg.sender);
        if (standing.kind() != IRegistrar.Kind.Payer) revert KindNotAdmitted(msg.sender, standing.kind());
        address payer = standing.id();
        uint32 count = _rulesCounts[payer];
        if (count != 0 && validFrom < _today()) revert RulesRetroactive(validFrom, _today());

        number = count + 1;
        _rulesCounts[payer] = number;
        _rules[payer][number] = Rules(rules, validFrom);

        emit RulesPublished(payer, number, rules, validFrom);
    }

    function _rulesHash(address payer, uint32 number) private view returns (bytes32) {
        Rules memory rules = _rules[payer][number];
        if (rules.hash == 0 || rules.validFrom > _today()) revert RulesUnknown(payer, number);
        return rules.hash;
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* SUBMISSION */

    /// @inheritdoc IClaimAnchor
    function submit(
        Claim calldata claim,
        uint32 rules,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 id) {
        bytes32 structHash = keccak256(
            abi.encode(SUBMISSION_TYPEHASH, claim, rules, _rulesHash(claim.payer, rules), deadline)
        );
        IRegistrar.Kind kind = _requireAgreed(claim.provider, structHash, deadline, signature);
        if (kind != IRegistrar.Kind.Provider && kind != IRegistrar.Kind.Pharmacy) {
            revert KindNotAdmitted(claim.provider, kind);
        }

        return _submit(claim, rules, false);
    }

    /// @dev That the payer is a payer follows from its having rules.
    function _submit(Claim calldata claim, uint32 rules, bool paid) private returns (bytes32 id) {
        if (claim.commitment == 0 || claim.nullifier == 0) revert ClaimIncomplete();
        id = claimId(claim);
        if (_states[id].status != Status.None) revert ClaimExists(id);
        bytes32 by = _claims[claim.nullifier];
        if (by != 0) revert AlreadyBilled(claim.nullifier, by);

        _states[id] = ClaimState(Status.Submitted, Outcome.None, rules, paid);
        _claims[claim.nullifier] = id;

        emit ClaimSubmitted(id, claim.provider, claim.payer, claim.commitment, claim.nullifier, rules);
    }

    /* ADJUDICATION */

    /// @inheritdoc IClaimAnchor
    function pend(Claim calldata claim, bytes32 request, uint256 deadline, bytes calldata signature) external {
        bytes32 id = claimId(claim);
        if (_states[id].status != Status.Submitted) revert StepNotPossible(id, _states[id].status);
        _requireAgreed(claim.payer, keccak256(abi.encode(PEND_TYPEHASH, id, request, deadline)), deadline, signature);

        _states[id].status = Status.Pended;

        emit ClaimPended(id, request);
    }

    /// @inheritdoc IClaimAnchor
    function adjudicate(
        Claim calldata claim,
        Outcome outcome,
        uint32 rules,
        bytes32 response,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 id = claimId(claim);
        ClaimState memory state = _states[id];
        if (state.status != Status.Submitted && state.status != Status.Pended) {
            revert StepNotPossible(id, state.status);
        }
        if (outcome == Outcome.None || response == 0) revert OutcomeMissing();
        if (rules != state.rules) revert RulesMismatch(id, state.rules);
        bytes32 structHash = keccak256(
            abi.encode(ADJUDICATION_TYPEHASH, id, outcome, _rulesHash(claim.payer, rules), response, deadline)
        );
        _requireAgreed(claim.payer, structHash, deadline, signature);

        _states[id] = ClaimState(Status.Adjudicated, outcome, rules, state.paid);
        _responses[id] = response;

        emit ClaimAdjudicated(id, outcome, response);
    }

    /* SETTLEMENT */

    /// @inheritdoc IClaimAnchor
    function settle(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
    ) external {
        bytes32 id = claimId(claim);
        ClaimState memory state = _states[id];
        if (state.status != Status.Adjudicated || state.outcome == Outcome.Denied) {
            revert StepNotPossible(id, state.status);
        }
        bytes32 structHash = keccak256(
            abi.encode(
                SETTLEMENT_TYPEHASH,
                id,
                state.outcome,
                _rulesHash(claim.payer, state.rules),
                _responses[id],
                deadline
            )
        );
        _requireAgreed(claim.provider, structHash, deadline, providerSignature);
        _requireAgreed(claim.payer, structHash, deadline, payerSignature);

        _states[id] = ClaimState(Status.Settled, state.outcome, state.rules, true);

        emit ClaimSettled(id);
    }

    /* CORRECTION */

    /// @inheritdoc IClaimAnchor
    /// @dev A provider that was removed does not come back to void anything: its claims must not block a service.
    function void(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
    ) external {
        bytes32 id = claimId(claim);
        ClaimState memory state = _openState(id);
        bytes32 structHash = keccak256(abi.encode(VOID_TYPEHASH, id, deadline));
        if (registrar.accountOf(claim.provider) != address(0)) {
            _requireAgreed(claim.provider, structHash, deadline, providerSignature);
        }
        if (state.paid) _requireAgreed(claim.payer, structHash, deadline, payerSignature);

        _close(claim, id, Status.Voided);

        emit ClaimVoided(id);
    }

    /// @inheritdoc IClaimAnchor
    function replace(
        Claim calldata claim,
        Claim calldata correction,
        uint32 rules,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature
    ) external returns (bytes32 id) {
        bytes32 replaced = claimId(claim);
        ClaimState memory state = _openState(replaced);
        if (claim.provider != correction.provider || claim.payer != correction.payer) {
            revert ReplacementMismatch(replaced);
        }
        id = claimId(correction);
        bytes32 structHash = keccak256(
            abi.encode(REPLACEMENT_TYPEHASH, replaced, id, rules, _rulesHash(claim.payer, rules), deadline)
        );
        _requireAgreed(claim.provider, structHash, deadline, providerSignature);
        if (state.paid) _requireAgreed(claim.payer, structHash, deadline, payerSignature);

        _close(claim, replaced, Status.Replaced);
        _submit(correction, rules, state.paid);

        emit ClaimReplaced(replaced, id);
    }

    function _openState(bytes32 id) private view returns (ClaimState memory state) {
        state = _states[id];
        if (state.status == Status.None || state.status > Status.Settled) revert StepNotPossible(id, state.status);
    }

    function _close(Claim calldata claim, bytes32 id, Status closed) private {
        _states[id].status = closed;
        delete _claims[claim.nullifier];
    }

    /* AGREEMENT */

    /// @dev Reverts unless the party that owns a step agrees to it: it sends the step itself (empty signature), or its
    /// present account signed. Either way it must be active now. Every step moves the claim to a state that does not
    /// come back, so no signed step counts twice.
    function _requireAgreed(
        address owner,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) private view returns (IRegistrar.Kind kind) {
        address account = signature.length == 0 ? msg.sender : registrar.accountOf(owner);
        uint256 standing = registrar.standing(account);
        if (standing == 0 || standing.id() != owner) revert StepNotYours(owner, account);

        if (signature.length != 0) _requireSigned(account, structHash, deadline, signature);
        return standing.kind();
    }

    /* READING */

    /// @inheritdoc IClaimAnchor
    function claimId(Claim calldata claim) public pure returns (bytes32) {
        return keccak256(abi.encode(claim));
    }

    /// @inheritdoc IClaimAnchor
    function stateOf(bytes32 claim) external view returns (ClaimState memory) {
        return _states[claim];
    }

    /// @inheritdoc IClaimAnchor
    function responseOf(bytes32 claim) external view returns (bytes32) {
        return _responses[claim];
    }

    /// @inheritdoc IClaimAnchor
    function claimOf(bytes32 nullifier) external view returns (bytes32) {
        return _claims[nullifier];
    }

    /// @inheritdoc IClaimAnchor
    function rulesOf(address payer, uint32 number) external view returns (bytes32 rules, uint16 validFrom) {
        return (_rules[payer][number].hash, _rules[payer][number].validFrom);
    }

    /// @inheritdoc IClaimAnchor
    function rulesCount(address payer) external view returns (uint32) {
        return _rulesCounts[payer];
    }

    /// @inheritdoc IClaimAnchor
    function rulesInForce(address payer, uint16 day) external view returns (uint32 number) {
        number = _rulesCounts[payer];
        while (number != 0 && _rules[payer][number].validFrom > day) --number;
    }
}
