// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClaimAnchor} from "./interfaces/IClaimAnchor.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IPrescriptions} from "./interfaces/IPrescriptions.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {ClaimReview} from "./base/ClaimReview.sol";
import {ClaimRules} from "./base/ClaimRules.sol";
import {Encounters} from "./base/Encounters.sol";
import {Nullifiers} from "./base/Nullifiers.sol";
import {Agreed} from "./base/Agreed.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {MerkleLog} from "./libraries/MerkleLog.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title ClaimAnchor
/// @notice The claims of all providers: a slot for the state, a slot for the nullifier.
contract ClaimAnchor is IClaimAnchor, ClaimRules, Encounters, Nullifiers, ClaimReview {
    using ClaimWord for uint256;

    bytes32 private constant SUBMISSION_TYPEHASH = keccak256(
        "Submission(address provider,address payer,address patient,bytes32 registration,bytes32 commitment,"
        "bytes32 nullifier,bytes32 softKey,uint32 rulesNumber,bytes32 rules,uint256 deadline)"
    );
    bytes32 private constant PEND_TYPEHASH = keccak256(
        "Pend(bytes32 claim,uint32 number,bytes32 request,uint256 deadline)"
    );
    bytes32 private constant ANSWER_TYPEHASH = keccak256(
        "Answer(bytes32 claim,uint32 number,bytes32 reply,uint256 deadline)"
    );
    bytes32 private constant ADJUDICATION_TYPEHASH = keccak256(
        "Adjudication(bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline)"
    );
    bytes32 private constant APPEAL_TYPEHASH = keccak256(
        "Appeal(bytes32 claim,address by,bytes32 grounds,uint256 deadline)"
    );
    bytes32 private constant APPEAL_DECISION_TYPEHASH = keccak256(
        "AppealDecision(bytes32 claim,bool upheld,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline)"
    );
    bytes32 private constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(bytes32 claim,uint8 outcome,bytes32 rules,bytes32 response,uint256 deadline)"
    );
    bytes32 private constant VOID_TYPEHASH = keccak256("Void(bytes32 claim,uint256 deadline)");
    bytes32 private constant REPLACEMENT_TYPEHASH = keccak256(
        "Replacement(bytes32 claim,bytes32 correction,uint32 rulesNumber,bytes32 rules,uint256 deadline)"
    );

    /// @dev Sets of statuses: each has the bit of its number.
    uint256 private constant SUBMITTED = 1 << uint256(Status.Submitted);
    uint256 private constant PENDED = 1 << uint256(Status.Pended);
    uint256 private constant UNDECIDED = SUBMITTED | PENDED;
    uint256 private constant ADJUDICATED = 1 << uint256(Status.Adjudicated);
    uint256 private constant APPEALED = 1 << uint256(Status.Appealed);
    uint256 private constant DECIDED = ADJUDICATED | (1 << uint256(Status.Upheld)) | (1 << uint256(Status.Overturned));
    uint256 private constant OPEN = UNDECIDED | APPEALED | DECIDED | (1 << uint256(Status.Settled));

    /// @inheritdoc IClaimAnchor
    IPrescriptions public immutable prescriptions;

    mapping(bytes32 claim => uint256 word) private _words;

    /// @inheritdoc IClaimAnchor
    mapping(bytes32 claim => bytes32 response) public responseOf;

    constructor(
        IRegistrar registrar_,
        IPrescriptions prescriptions_
    ) EIP712("MedProof ClaimAnchor", "1") Agreed(registrar_) {
        prescriptions = prescriptions_;
    }

    /* SUBMISSION */

    /// @inheritdoc IClaimAnchor
    function submit(
        Claim calldata claim,
        uint32 rules,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 id) {
        bytes32 rulesHash = _signedRules(claim.payer, rules, signature.length != 0);
        bytes32 structHash = keccak256(abi.encode(SUBMISSION_TYPEHASH, claim, rules, rulesHash, deadline));
        IRegistrar.Kind kind = _requireBiller(claim.provider, structHash, deadline, signature);

        return _submit(claim, rules, kind, false);
    }

    /// @inheritdoc IClaimAnchor
    /// @dev The provider agreed when it submitted the batch; what became of it since keeps nobody from opening.
    function open(
        Claim calldata claim,
        uint32 rules,
        bytes32 root,
        uint32 index,
        bytes32[] calldata proof
    ) external returns (bytes32 id) {
        Batch memory batch = claimBatchOf(claim.provider, root);
        bytes32 leaf = leafOf(claimId(claim), rules);
        if (!MerkleLog.hasLeaf(root, batch.size, leaf, index, proof)) revert ClaimNotInBatch(claimId(claim), root);
        if (holderOf(claim.nullifier) != placeOf(claim.provider, root, index)) {
            revert NullifierNotWaiting(claim.nullifier, root);
        }

        _free(claim.nullifier);
        id = _submit(claim, rules, batch.kind, false);

        emit ClaimOpened(id, root, index);
    }

    /// @dev That the payer is a payer follows from its having rules.
    function _submit(
        Claim calldata claim,
        uint32 number,
        IRegistrar.Kind kind,
        bool paid
    ) private returns (bytes32 id) {
        if (claim.commitment == 0) revert ClaimIncomplete();
        id = claimId(claim);
        if (_words[id] != 0) revert ClaimExists(id);
        Rules storage rules = _begunRules(claim.payer, number);
        if (rules.patientSigns && claim.patient == address(0)) revert PatientMissing(claim.payer, number);
        if (rules.registered) _requireRegistered(claim, kind);

        _hold(claim.nullifier, id);
        _words[id] = ClaimWord.create(number, paid);

        emit ClaimSubmitted(
            id,
            claim.provider,
            claim.payer,
            claim.patient,
            claim.registration,
            claim.commitment,
            claim.nullifier,
            claim.softKey,
            number
        );
    }

    function _requireRegistered(Claim calldata claim, IRegistrar.Kind kind) private view {
        if (kind != IRegistrar.Kind.Pharmacy) {
            return _requireEncounter(claim.patient, claim.provider, claim.registration);
        }
        if (!prescriptions.isIssued(claim.registration)) revert PrescriptionNotIssued(claim.registration);
    }

    /* ADJUDICATION */

    /// @inheritdoc IClaimAnchor
    /// @dev The number of the request is signed, since a claim is submitted again after each answer. Once a decision is
    /// due it is not put off any more.
    function pend(Claim calldata claim, bytes32 request, uint256 deadline, bytes calldata signature) external {
        (bytes32 id, uint256 word) = _claimIn(claim, SUBMITTED);
        _requireInTime(id, _decisionDue(word, _claimRules(claim.payer, word.rules())));
        word = word.withPend(block.timestamp - word.since());
        bytes32 structHash = keccak256(abi.encode(PEND_TYPEHASH, id, word.pends(), request, deadline));
        _requireAgreed(claim.payer, structHash, deadline, signature);

        _words[id] = word.moved(Status.Pended);

        emit ClaimPended(id, request);
    }

    /// @inheritdoc IClaimAnchor
    function answer(Claim calldata claim, bytes32 reply, uint256 deadline, bytes calldata signature) external {
        (bytes32 id, uint256 word) = _claimIn(claim, PENDED);
        _requireInTime(id, _dueAfter(word.since(), _claimRules(claim.payer, word.rules()).daysToAnswer));
        bytes32 structHash = keccak256(abi.encode(ANSWER_TYPEHASH, id, word.pends(), reply, deadline));
        _requireAgreed(claim.provider, structHash, deadline, signature);

        _words[id] = word.moved(Status.Submitted);

        emit ClaimAnswered(id, reply);
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
        (bytes32 id, uint256 word) = _claimIn(claim, UNDECIDED);
        _requireDecision(id, word, outcome, rules, response);
        bytes32 rulesHash = _signedRules(claim.payer, rules, signature.length != 0);
        bytes32 structHash = keccak256(abi.encode(ADJUDICATION_TYPEHASH, id, outcome, rulesHash, response, deadline));
        _requireAgreed(claim.payer, structHash, deadline, signature);

        _decide(claim, id, word, Status.Adjudicated, outcome, response);

        emit ClaimAdjudicated(id, outcome, response);
    }

    /* APPEAL */

    /// @inheritdoc IClaimAnchor
    /// @dev What an appeal leads to cannot be appealed: there is one for each adjudication.
    function appeal(
        Claim calldata claim,
        address by,
        bytes32 grounds,
        uint256 deadline,
        bytes calldata signature
    ) external {
        (bytes32 id, uint256 word) = _claimIn(claim, UNDECIDED | ADJUDICATED);
        (uint256 from, uint256 until) = _appealTime(claim, word);
        if (until == 0) revert StepNotPossible(id, word.status());
        if (block.timestamp < from) revert StepEarly(id, from);
        if (block.timestamp > until) revert StepLate(id, until);
        if (grounds == 0) revert GroundsMissing();
        bytes32 structHash = keccak256(abi.encode(APPEAL_TYPEHASH, id, by, grounds, deadline));
        if (by == claim.provider) {
            _requireAgreed(by, structHash, deadline, signature);
        } else {
            if (by != claim.patient || by == address(0)) revert StepNotYours(claim.provider, by);
            _requirePatientAgreed(by, structHash, deadline, signature);
        }

        if (word.isIn(UNDECIDED)) word = word.withLate();
        _words[id] = word.moved(Status.Appealed);

        emit ClaimAppealed(id, by, grounds);
    }

    /// @inheritdoc IClaimAnchor
    function decideAppeal(
        Claim calldata claim,
        bool upheld,
        Outcome outcome,
        uint32 rules,
        bytes32 response,
        uint256 deadline,
        bytes calldata signature
    ) external {
        (bytes32 id, uint256 word) = _claimIn(claim, APPEALED);
        _requireDecision(id, word, outcome, rules, response);
        Outcome standing = word.outcome() == Outcome.None ? Outcome.Denied : word.outcome();
        bool fits =
            upheld
                ? outcome == standing
                : outcome != Outcome.Denied && (outcome != standing || response != responseOf[id]);
        if (!fits) revert OutcomeMismatch(id, standing);
        bytes32 rulesHash = _signedRules(claim.payer, rules, signature.length != 0);
        bytes32 structHash = keccak256(
            abi.encode(APPEAL_DECISION_TYPEHASH, id, upheld, outcome, rulesHash, response, deadline)
        );
        _requireAgreed(claim.payer, structHash, deadline, signature);

        _decide(claim, id, word, upheld ? Status.Upheld : Status.Overturned, outcome, response);

        emit AppealDecided(id, upheld, outcome, response);
    }

    function _requireDecision(bytes32 id, uint256 word, Outcome outcome, uint32 rules, bytes32 response) private pure {
        if (outcome == Outcome.None || response == 0) revert OutcomeMissing();
        if (rules != word.rules()) revert RulesMismatch(id, word.rules());
    }

    function _decide(
        Claim calldata claim,
        bytes32 id,
        uint256 word,
        Status decided,
        Outcome outcome,
        bytes32 response
    ) private {
        responseOf[id] = response;
        _words[id] = _noteLateness(claim, word).withOutcome(outcome).moved(decided);
    }

    /* SETTLEMENT */

    /// @inheritdoc IClaimAnchor
    function settle(
        Claim calldata claim,
        uint256 deadline,
        bytes calldata providerSignature,
        bytes calldata payerSignature,
        bytes calldata patientSignature
    ) external {
        (bytes32 id, uint256 word) = _claimIn(claim, DECIDED);
        if (word.outcome() == Outcome.Denied) revert StepNotPossible(id, word.status());
        Rules storage rules = _claimRules(claim.payer, word.rules());
        bytes32 structHash = keccak256(
            abi.encode(SETTLEMENT_TYPEHASH, id, word.outcome(), rules.hash, responseOf[id], deadline)
        );
        _requireAgreed(claim.provider, structHash, deadline, providerSignature);
        _requireAgreed(claim.payer, structHash, deadline, payerSignature);
        if (rules.patientSigns) _requirePatientAgreed(claim.patient, structHash, deadline, patientSignature);

        _words[id] = _noteLateness(claim, word).withPaid().moved(Status.Settled);

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
        (bytes32 id, uint256 word) = _claimIn(claim, OPEN);
        bytes32 structHash = keccak256(abi.encode(VOID_TYPEHASH, id, deadline));
        if (registrar.accountOf(claim.provider) != address(0)) {
            _requireAgreed(claim.provider, structHash, deadline, providerSignature);
        }
        if (word.paid()) _requireAgreed(claim.payer, structHash, deadline, payerSignature);

        _free(claim.nullifier);
        _words[id] = word.moved(Status.Voided);

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
        (bytes32 replaced, uint256 word) = _claimIn(claim, OPEN);
        if (claim.provider != correction.provider || claim.payer != correction.payer) {
            revert ReplacementMismatch(replaced);
        }
        bool signed = providerSignature.length + payerSignature.length != 0;
        bytes32 rulesHash = _signedRules(claim.payer, rules, signed);
        bytes32 structHash = keccak256(
            abi.encode(REPLACEMENT_TYPEHASH, replaced, claimId(correction), rules, rulesHash, deadline)
        );
        IRegistrar.Kind kind = _requireBiller(claim.provider, structHash, deadline, providerSignature);
        if (word.paid()) _requireAgreed(claim.payer, structHash, deadline, payerSignature);

        _free(claim.nullifier);
        _words[replaced] = word.moved(Status.Replaced);
        id = _submit(correction, rules, kind, word.paid());

        emit ClaimReplaced(replaced, id);
    }

    /* STATE AND TIME */

    /// @dev A claim's id and word. Reverts unless it stands in one of these statuses.
    function _claimIn(Claim calldata claim, uint256 statuses) private view returns (bytes32 id, uint256 word) {
        id = claimId(claim);
        word = _wordIn(id, statuses);
    }

    function _wordIn(bytes32 id, uint256 statuses) private view returns (uint256 word) {
        word = _words[id];
        if (!word.isIn(statuses)) revert StepNotPossible(id, word.status());
    }

    /// @inheritdoc ClaimReview
    function _submittedAt(bytes32 claim) internal view override returns (uint256) {
        return _wordIn(claim, OPEN).submitted();
    }

    function _requireInTime(bytes32 id, uint256 due) private view {
        if (due != 0 && block.timestamp > due) revert StepLate(id, due);
    }

    /// @dev Marks that the payer acts after its step was due; provider's and patient's rights lapse instead.
    function _noteLateness(Claim calldata claim, uint256 word) private view returns (uint256) {
        (address party, uint256 due) = _due(claim, word);
        return party == claim.payer && due != 0 && block.timestamp > due ? word.withLate() : word;
    }

    /// @dev When a step is due that may take so many days; zero where it may take for ever.
    function _dueAfter(uint256 since, uint256 daysAllowed) private pure returns (uint256) {
        return daysAllowed == 0 ? 0 : since + daysAllowed * 1 days;
    }

    /// @dev When the payer's decision is due; zero for no deadline. While the provider may answer, the time stands
    /// still. What was used of it passed since the claim was submitted, so there is no underflow.
    function _decisionDue(uint256 word, Rules storage rules) private view returns (uint256) {
        uint256 from = word.since();
        if (word.isIn(PENDED)) from = _dueAfter(from, rules.daysToAnswer);
        return from == 0 || rules.daysToDecide == 0 ? 0 : from + uint256(rules.daysToDecide) * 1 days - word.used();
    }

    function _due(Claim calldata claim, uint256 word) private view returns (address party, uint256 due) {
        Rules storage rules = _claimRules(claim.payer, word.rules());
        party = claim.payer;
        if (word.isIn(UNDECIDED)) {
            due = _dueAfter(word.since(), rules.daysToAnswer);
            bool answerable = due == 0 || block.timestamp <= due;
            if (word.isIn(PENDED) && answerable) return (claim.provider, due);
            return (party, _decisionDue(word, rules));
        }
        if (word.isIn(APPEALED)) return (party, _dueAfter(word.since(), rules.daysToDecideAppeal));
        if (!word.isIn(DECIDED) || word.outcome() == Outcome.Denied) return (address(0), 0);
        return (party, _dueAfter(word.since(), rules.daysToSettle));
    }

    /// @dev From when until when a claim can be appealed; zero where it cannot.
    function _appealTime(Claim calldata claim, uint256 word) private view returns (uint256 from, uint256 until) {
        Rules storage rules = _claimRules(claim.payer, word.rules());
        if (word.isIn(ADJUDICATED)) from = word.since();
        if (word.isIn(UNDECIDED)) {
            from = _decisionDue(word, rules);
            if (from != 0) ++from; // what is decided in the last second is in time
        }
        if (from == 0) return (0, 0);
        until = rules.daysToAppeal == 0 ? type(uint256).max : from + uint256(rules.daysToAppeal) * 1 days;
    }

    /* READING */

    /// @inheritdoc IClaims
    function claimId(Claim calldata claim) public pure override(IClaims, ClaimReview) returns (bytes32) {
        return keccak256(abi.encode(claim));
    }

    /// @inheritdoc IClaimAnchor
    function leafOf(bytes32 claim, uint32 rules) public pure returns (bytes32) {
        return keccak256(abi.encode(claim, rules));
    }

    /// @inheritdoc IClaims
    function stateOf(bytes32 claim) external view returns (ClaimState memory) {
        return _words[claim].unpack();
    }

    /// @inheritdoc IClaimAnchor
    function dueOf(Claim calldata claim) external view returns (address party, uint256 due) {
        return _due(claim, _words[claimId(claim)]);
    }

    /// @inheritdoc IClaimAnchor
    function appealTimeOf(Claim calldata claim) external view returns (uint256 from, uint256 until) {
        return _appealTime(claim, _words[claimId(claim)]);
    }
}
