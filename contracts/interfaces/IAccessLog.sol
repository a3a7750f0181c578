// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchAnchor} from "./IBatchAnchor.sol";
import {IRegistrar} from "./IRegistrar.sol";
import {ISignedMessages} from "./ISignedMessages.sol";

/// @title AccessLog
/// @notice Holds custodians to what they promised their readers: that a salted entry about an access appears in the log
/// that they anchor in the BatchAnchor. The entries stay off chain; here stands with which key a log's promises are
/// signed, which promises were complained of, and when each was kept.
interface IAccessLog is ISignedMessages {
    /// @notice A complaint about one entry.
    /// @param filedAt When it was filed, in seconds since 1970; zero where nobody complained.
    /// @param answeredAt When the entry was shown to be in the log; zero until then.
    struct Complaint {
        uint64 filedAt;
        uint64 answeredAt;
    }

    /// @notice Thrown when the caller does not act for an active party.
    /// @dev Mend: have the party accredited, renewed or reinstated by the authority.
    error PartyRequired(address account);

    /// @notice Thrown when a log is opened without a key for its promises.
    /// @dev Mend: name the account whose key signs them.
    error SignerMissing();

    /// @notice Thrown when a log is opened again: whose key signs its promises stands for good.
    /// @dev Mend: open another number; what the lost key promised is still to be kept.
    error LogOpenAlready(address custodian, uint256 log);

    /// @notice Thrown when a promise is of a log that its custodian never opened.
    /// @dev Mend: check custodian and log; a promise of no open log binds nobody on chain.
    error LogUnknown(address custodian, uint256 log);

    /// @notice Thrown when somebody complains before the promise is due.
    /// @dev Mend: wait until `due` (seconds since 1970) has passed.
    error PromiseNotDue(uint256 due, uint256 timestamp);

    /// @notice Thrown when the same entry is complained of twice.
    /// @dev Mend: nothing needs doing.
    error ComplaintExists(bytes32 complaint);

    /// @notice Thrown when a complaint that nobody filed is answered.
    /// @dev Mend: check custodian, log and entry.
    error ComplaintUnknown(bytes32 complaint);

    /// @notice Thrown when a complaint is answered twice.
    /// @dev Mend: nothing needs doing.
    error ComplaintAnsweredAlready(bytes32 complaint);

    /// @notice Thrown when the proof does not show the entry in the log as it was anchored last.
    /// @dev Mend: prove it for the latest anchored size; where it is not in the log, append and anchor it first.
    error EntryNotIncluded(bytes32 complaint, uint256 index);

    /// @notice Emitted when a custodian opens a log; `signer` signs its promises from then on.
    event LogOpened(address indexed custodian, uint32 indexed log, address signer);

    /// @notice Emitted when a promise is complained of.
    event ComplaintFiled(
        address indexed custodian,
        uint32 indexed log,
        bytes32 indexed entry,
        uint256 due,
        address reader
    );

    /// @notice Emitted when the entry was shown to be in the log, at `index`.
    event ComplaintAnswered(address indexed custodian, uint32 indexed log, bytes32 indexed entry, uint64 index);

    /// @notice Opens a log, once: names the key that signs its promises. The caller acts for an active party.
    /// @param log Which of the party's logs in the BatchAnchor.
    /// @param signer The account whose key, or contract wallet, signs; not the one that acts for the party, so that a
    /// server that serves records holds no more than this key.
    function openLog(uint32 log, address signer) external;

    /// @notice Complains that an entry is not in a log although it was promised. Anyone sends it.
    /// @param entry The entry's commitment.
    /// @param due Until when it was promised, in seconds since 1970.
    /// @param signature The log's signer's over `InclusionPromise`.
    /// @dev Warning: nothing is looked up; whoever complains of an entry that is in the log makes itself and the
    /// custodian pay for it.
    function complain(address custodian, uint32 log, bytes32 entry, uint256 due, bytes calldata signature) external;

    /// @notice Answers a complaint with the proof that the entry is in the log as it was anchored last. Anyone sends
    /// it.
    /// @param index The entry's index in the log, from 0.
    /// @param proof The inclusion proof, the leaf's neighbour first.
    function answer(address custodian, uint32 log, bytes32 entry, uint64 index, bytes32[] calldata proof) external;

    /// @notice Returns whose key signs a log's promises; zero where it was never opened.
    function signerOf(address custodian, uint32 log) external view returns (address);

    /// @notice Returns the complaint about an entry.
    function complaintOf(address custodian, uint32 log, bytes32 entry) external view returns (Complaint memory);

    /// @notice Returns how many complaints about a custodian have not been answered.
    function openComplaints(address custodian) external view returns (uint256);

    /// @notice Returns the Registrar that says who a party is.
    function registrar() external view returns (IRegistrar);

    /// @notice Returns the BatchAnchor that keeps the logs.
    function batchAnchor() external view returns (IBatchAnchor);
}
