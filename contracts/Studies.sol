// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {IDelegations} from "./interfaces/IDelegations.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {Agreed} from "./base/Agreed.sol";
import {Delegated} from "./base/Delegated.sol";
import {StudyRegister} from "./base/StudyRegister.sol";
import {MerkleLog} from "./libraries/MerkleLog.sol";
import {StudyWord} from "./libraries/StudyWord.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Studies
/// @notice The studies of all researchers, who takes part in them, their cohorts and results: a slot for each choice,
/// cohort and result.
contract Studies is IStudies, StudyRegister, Delegated {
    using StudyWord for uint256;
    using StudyWord for Study;
    using StudyWord for Cohort;
    using StudyWord for Result;

    bytes32 private constant OPT_IN_TYPEHASH = keccak256(
        "OptIn(address subject,bytes32 study,uint16 sequence,address researcher,uint16 lastDay,uint16 dataFrom,"
        "uint16 dataUntil,uint16 purposes,uint24 classes,uint24 conditions,uint24 sensitivities,uint8 settings,"
        "uint8 actions,uint24 research,uint256 deadline)"
    );
    bytes32 private constant OPT_OUT_TYPEHASH = keccak256(
        "OptOut(address subject,bytes32 study,uint16 sequence,uint256 deadline)"
    );
    bytes32 private constant RESULT_TYPEHASH = keccak256(
        "Result(bytes32 study,bytes32 cohort,address custodian,bytes32 commitment,uint256 deadline)"
    );

    /// @inheritdoc IStudies
    IConsentRegistry public immutable consentRegistry;

    /// @inheritdoc IStudies
    mapping(bytes32 study => mapping(address subject => uint256 choice)) public choiceOf;

    /// @inheritdoc IStudies
    mapping(bytes32 cohort => uint256 time) public cohortAt;

    /// @inheritdoc IStudies
    mapping(bytes32 result => uint256 time) public resultAt;

    /// @param authority The AccessManager that decides who withdraws approvals.
    constructor(
        address authority,
        IRegistrar registrar_,
        IDelegations delegations_,
        IConsentRegistry consentRegistry_
    ) EIP712("MedProof Studies", "1") AccessManaged(authority) Agreed(registrar_) Delegated(delegations_) {
        consentRegistry = consentRegistry_;
    }

    /* THE SUBJECT'S CHOICE */

    /// @inheritdoc IStudies
    function optIn(
        address subject,
        bytes32 study,
        uint16 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint256 word = studyOf[study];
        bytes32 structHash = word.hashOptIn(OPT_IN_TYPEHASH, study, requestOf[study], subject, sequence, deadline);
        _requireAuthor(subject, GRANT, structHash, deadline, signature);
        State state = word.stateAt(_today());
        if (state != State.Planned && state != State.Open) revert StudyNotReady(study, state);
        uint256 choice = choiceOf[study][subject];
        // The last sequence is kept for opting out, which must always be possible.
        if (sequence != choice.sequence() + 1 || sequence == StudyWord.LAST_SEQUENCE) {
            revert ChoiceStale(choice.sequence(), sequence);
        }

        choiceOf[study][subject] = choice.chosen(true, sequence, block.timestamp);

        emit OptedIn(study, subject, sequence);
    }

    /// @inheritdoc IStudies
    /// @dev The study is not asked for anything, not even to exist: to opt out is always possible.
    function optOut(
        address subject,
        bytes32 study,
        uint16 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint256 choice = choiceOf[study][subject];
        uint256 stored = choice.sequence();
        bool next = choice.isIn() && sequence == stored + 1 && sequence != StudyWord.LAST_SEQUENCE;
        bytes32 structHash = keccak256(abi.encode(OPT_OUT_TYPEHASH, subject, study, sequence, deadline));
        _requireAuthor(subject, next ? REVOKE : EVERY_SCOPE, structHash, deadline, signature);
        if (sequence <= stored) revert ChoiceStale(stored, sequence);

        choiceOf[study][subject] = choice.chosen(false, sequence, block.timestamp);

        emit OptedOut(study, subject, sequence);
    }

    /// @inheritdoc IStudies
    function isParticipant(bytes32 study, address subject) external view returns (bool) {
        (Use use, , ) = mayUse(study, subject);
        return use == Use.Permitted;
    }

    /// @inheritdoc IStudies
    function mayUse(
        bytes32 study,
        address subject
    ) public view returns (Use use, State state, IConsentRegistry.Reason consent) {
        uint256 word = studyOf[study];
        state = word.stateAt(_today());
        (consent, , ) = consentRegistry.decide(subject, registrar.accountOf(word.researcher()), requestOf[study]);
        if (state != State.Open) return (Use.StudyNotOpen, state, consent);
        if (!choiceOf[study][subject].isIn()) return (Use.NotOptedIn, state, consent);
        use = consent == IConsentRegistry.Reason.Permitted ? Use.Permitted : Use.NoConsent;
    }

    /* COHORTS */

    /// @inheritdoc IStudies
    function fixCohort(Cohort calldata cohort) external returns (bytes32 id) {
        id = cohort.id();
        uint256 word = studyOf[cohort.study];
        _requireResearcher(word.researcher());
        State state = word.stateAt(_today());
        if (state != State.Open) revert StudyNotReady(cohort.study, state);
        if (cohort.root == 0 || cohort.size == 0 || cohort.blockHash == 0) revert CommitmentMissing();
        // Of a block that is not past, and of one that is past by more than 256, the chain says zero.
        bytes32 found = blockhash(cohort.blockNumber);
        if (cohort.blockNumber >= block.number || (found != 0 && found != cohort.blockHash)) {
            revert BlockNotPast(cohort.blockNumber, found);
        }
        if (cohortAt[id] != 0) revert CohortExists(id);

        cohortAt[id] = block.timestamp;

        emit CohortFixed(cohort.study, id, cohort, found != 0);
    }

    /// @inheritdoc IStudies
    function inCohort(
        Cohort calldata cohort,
        address subject,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool) {
        uint256 time = cohortAt[cohort.id()];
        if (time == 0 || !choiceOf[cohort.study][subject].wasIn(time)) return false;
        return MerkleLog.hasLeaf(cohort.root, cohort.size, leafOf(cohort.study, subject), index, proof);
    }

    /* RESULTS */

    /// @inheritdoc IStudies
    function publishResult(
        Study calldata study,
        Cohort calldata cohort,
        Result calldata result,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 id) {
        id = result.id();
        bytes32 asked = studyId(study);
        _requireResearcher(study.researcher);
        _requireStands(asked, studyOf[asked]);
        if (result.cohort != cohort.id() || cohort.study != asked || cohortAt[result.cohort] == 0) {
            revert CohortUnknown(result.cohort);
        }
        if (!study.names(result.custodian)) revert CustodianNotNamed(asked, result.custodian);
        if (result.commitment == 0) revert CommitmentMissing();
        if (resultAt[id] != 0) revert ResultExists(id);
        bytes32 structHash = keccak256(
            abi.encode(RESULT_TYPEHASH, asked, result.cohort, result.custodian, result.commitment, deadline)
        );
        _requireAgreed(result.custodian, structHash, deadline, signature);

        resultAt[id] = block.timestamp;

        emit ResultPublished(asked, result.cohort, result.custodian, result.commitment);
    }

    /* READING */

    /// @inheritdoc IStudies
    function cohortId(Cohort calldata cohort) external pure returns (bytes32) {
        return cohort.id();
    }

    /// @inheritdoc IStudies
    function resultId(Result calldata result) external pure returns (bytes32) {
        return result.id();
    }

    /// @inheritdoc IStudies
    function leafOf(bytes32 study, address subject) public pure returns (bytes32) {
        return keccak256(abi.encode(study, subject));
    }
}
