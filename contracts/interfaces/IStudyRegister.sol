// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";

/// @title StudyRegister
/// @notice Keeps what each study is: who does it, under which protocol and approval, when, at whose records, and what
/// it asks for, in the words of the consent rules.
interface IStudyRegister is IAgreed {
    /// @notice What a study is today. `Over` follows from its last day; `Closed` and `ApprovalWithdrawn` are final.
    enum State {
        Unknown,
        Planned,
        Open,
        Over,
        Closed,
        ApprovalWithdrawn
    }

    /// @notice A study; its id is the hash of all of it, so that nothing of it changes.
    /// @param researcher The identity of the party that does it.
    /// @param request What it asks for: a request in the rule word's layout, every field filled in.
    /// @param protocol The salted hash of the protocol.
    /// @param ethics The salted hash of the ethics approval.
    /// @param firstDay The first day on which data are used, in days since 1970-01-01.
    /// @param lastDay The last such day.
    /// @param custodians The identities of those who may be asked, ascending.
    struct Study {
        address researcher;
        uint256 request;
        bytes32 protocol;
        bytes32 ethics;
        uint16 firstDay;
        uint16 lastDay;
        address[] custodians;
    }

    /// @notice Thrown when the caller does not act for an active researcher, or not for the one named.
    /// @dev Mend: send from the present account of the study's researcher; have it reinstated where it is inactive.
    error ResearcherRequired(address account);

    /// @notice Thrown when a study asks for what is no research, or leaves a field of its request to be filled in.
    /// @dev Mend: name research purposes alone, at least one DUO permission with those it includes, and every other
    /// field in full; `full` is what the request given would ask for, zero where it is malformed or no research.
    error RequestNotResearch(uint256 request, uint256 full);

    /// @notice Thrown when a study, a cohort or a result lacks a hash or a size.
    /// @dev Mend: give salted hashes of protocol, ethics approval and answer; a cohort has a root and a subject.
    error CommitmentMissing();

    /// @notice Thrown when a study's period is empty or lies in the past (days since 1970).
    /// @dev Mend: give a first day and a last one that is neither before it nor before today.
    error StudyPeriodNotPossible(uint256 firstDay, uint256 lastDay, uint256 today);

    /// @notice Thrown when a study names no custodian, or more than a hundred.
    /// @dev Mend: name 1 to 100; a wider network registers one study for each group.
    error CustodiansOutOfRange(uint256 count);

    /// @notice Thrown when a study's custodians are not in ascending order, each once.
    /// @dev Mend: sort them by address; `position` is the first that does not follow the one before it.
    error CustodiansUnsorted(uint256 position);

    /// @notice Thrown when a study is registered a second time.
    /// @dev Mend: nothing is to be done; a changed study is another one.
    error StudyExists(bytes32 study);

    /// @notice Thrown when a study is not in a state for this step.
    /// @dev Mend: subjects opt in until a study's last day; cohorts are fixed while it is open; results follow until it
    /// is closed. A closed one is registered anew under a new approval.
    error StudyNotReady(bytes32 study, State state);

    /// @notice Emitted when a study is registered.
    event StudyRegistered(bytes32 indexed study, address indexed researcher, Study definition);

    /// @notice Emitted when a researcher closes its study.
    event StudyClosed(bytes32 indexed study);

    /// @notice Emitted when the authority withdraws a study's ethics approval.
    event ApprovalWithdrawn(bytes32 indexed study);

    /// @notice Registers a study. The caller is its researcher.
    function register(Study calldata study) external returns (bytes32 id);

    /// @notice Closes a study for good. The caller is its researcher.
    function close(bytes32 study) external;

    /// @notice Ends a study for good because its ethics approval is withdrawn. Restricted by the authority.
    function withdrawApproval(bytes32 study) external;

    /// @notice Returns what a study is today.
    function stateOf(bytes32 study) external view returns (State);

    /// @notice Returns what is kept of a study, laid out in `StudyWord`; zero where there is none.
    function studyOf(bytes32 study) external view returns (uint256 word);

    /// @notice Returns what a study asks for; zero where there is none.
    function requestOf(bytes32 study) external view returns (uint256 request);

    /// @notice Returns a study's id.
    function studyId(Study calldata study) external pure returns (bytes32);
}
