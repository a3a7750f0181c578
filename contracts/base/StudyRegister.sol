// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistrar} from "../interfaces/IRegistrar.sol";
import {IStudyRegister} from "../interfaces/IStudyRegister.sol";
import {PartyWord} from "../libraries/PartyWord.sol";
import {StudyWord} from "../libraries/StudyWord.sol";
import {Agreed} from "./Agreed.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/// @title StudyRegister
/// @notice The studies of all researchers, two storage slots each.
abstract contract StudyRegister is IStudyRegister, Agreed, AccessManaged {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;
    using StudyWord for uint256;
    using StudyWord for Study;

    /// @inheritdoc IStudyRegister
    mapping(bytes32 study => uint256 word) public studyOf;

    /// @inheritdoc IStudyRegister
    mapping(bytes32 study => uint256 request) public requestOf;

    /// @inheritdoc IStudyRegister
    function register(Study calldata study) external returns (bytes32 id) {
        id = studyId(study);
        _requireResearcher(study.researcher);
        study.request.requireResearch();
        if (study.protocol == 0 || study.ethics == 0) revert CommitmentMissing();
        if (study.firstDay > study.lastDay || study.lastDay < _today()) {
            revert StudyPeriodNotPossible(study.firstDay, study.lastDay, _today());
        }
        study.requireCustodians();
        if (studyOf[id] != 0) revert StudyExists(id);

        studyOf[id] = study.create();
        requestOf[id] = study.request;

        emit StudyRegistered(id, study.researcher, study);
    }

    /// @dev Reverts unless the caller acts for this researcher, which is active.
    function _requireResearcher(address researcher) internal view {
        uint256 standing = registrar.standing(msg.sender);
        bool active = standing.kindNumber() == uint256(IRegistrar.Kind.Researcher);
        if (!active || standing.id() != researcher) revert ResearcherRequired(msg.sender);
    }

    /// @inheritdoc IStudyRegister
    function close(bytes32 study) external {
        uint256 word = studyOf[study];
        _requireResearcher(word.researcher());
        _requireStands(study, word);

        studyOf[study] = word.ended(StudyWord.CLOSED);

        emit StudyClosed(study);
    }

    /// @inheritdoc IStudyRegister
    /// @dev One that its researcher has closed is ended as well: the authority has the last word.
    function withdrawApproval(bytes32 study) external restricted {
        uint256 word = studyOf[study];
        State state = word.stateAt(_today());
        if (state == State.Unknown || state == State.ApprovalWithdrawn) revert StudyNotReady(study, state);

        studyOf[study] = word.ended(StudyWord.WITHDRAWN);

        emit ApprovalWithdrawn(study);
    }

    /// @dev Reverts unless a study exists and was not ended; it may be planned or over.
    function _requireStands(bytes32 study, uint256 word) internal view {
        State state = word.stateAt(_today());
        if (state == State.Unknown || state >= State.Closed) revert StudyNotReady(study, state);
    }

    /// @inheritdoc IStudyRegister
    function stateOf(bytes32 study) external view returns (State) {
        return studyOf[study].stateAt(_today());
    }

    /// @inheritdoc IStudyRegister
    function studyId(Study calldata study) public pure returns (bytes32) {
        return keccak256(abi.encode(study));
    }

    function _today() internal view returns (uint256) {
        return block.timestamp / 1 days;
    }
}
