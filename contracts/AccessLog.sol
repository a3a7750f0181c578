// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessLog} from "./interfaces/IAccessLog.sol";
import {IBatchAnchor} from "./interfaces/IBatchAnchor.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title AccessLog
/// @notice The keys of all access logs, and the complaints about them, one storage slot each.
contract AccessLog is IAccessLog, SignedMessages {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;

    bytes32 private constant PROMISE_TYPEHASH = keccak256(
        "InclusionPromise(address custodian,uint32 log,bytes32 entry,uint256 due)"
    );

    /// @inheritdoc IAccessLog
    IRegistrar public immutable registrar;

    /// @inheritdoc IAccessLog
    IBatchAnchor public immutable batchAnchor;

    /// @inheritdoc IAccessLog
    mapping(address custodian => mapping(uint32 log => address)) public signerOf;

    /// @inheritdoc IAccessLog
    mapping(address custodian => uint256) public openComplaints;

    mapping(bytes32 complaint => Complaint) private _complaints;

    constructor(IRegistrar registrar_, IBatchAnchor batchAnchor_) EIP712("MedProof AccessLog", "1") {
        (registrar, batchAnchor) = (registrar_, batchAnchor_);
    }

    /// @inheritdoc IAccessLog
    function openLog(uint32 log, address signer) external {
        uint256 standing = registrar.standing(msg.sender);
        if (standing == 0) revert PartyRequired(msg.sender);
        if (signer == address(0)) revert SignerMissing();
        address custodian = standing.id();
        if (signerOf[custodian][log] != address(0)) revert LogOpenAlready(custodian, log);

        signerOf[custodian][log] = signer;

        emit LogOpened(custodian, log, signer);
    }

    /// @inheritdoc IAccessLog
    /// @dev A promise outlives whatever becomes of its custodian: neither its standing nor its account is asked for.
    function complain(address custodian, uint32 log, bytes32 entry, uint256 due, bytes calldata signature) external {
        address signer = signerOf[custodian][log];
        if (signer == address(0)) revert LogUnknown(custodian, log);
        if (block.timestamp <= due) revert PromiseNotDue(due, block.timestamp);
        bytes32 structHash = keccak256(abi.encode(PROMISE_TYPEHASH, custodian, log, entry, due));
        _requireSigned(signer, structHash, type(uint256).max, signature);
        bytes32 id = _complaintId(custodian, log, entry);
        if (_complaints[id].filedAt != 0) revert ComplaintExists(id);

        _complaints[id].filedAt = uint64(block.timestamp);
        ++openComplaints[custodian];

        emit ComplaintFiled(custodian, log, entry, due, msg.sender);
    }

    /// @inheritdoc IAccessLog
    function answer(address custodian, uint32 log, bytes32 entry, uint64 index, bytes32[] calldata proof) external {
        bytes32 id = _complaintId(custodian, log, entry);
        Complaint memory complaint = _complaints[id];
        if (complaint.filedAt == 0) revert ComplaintUnknown(id);
        if (complaint.answeredAt != 0) revert ComplaintAnsweredAlready(id);
        if (!batchAnchor.isIncluded(custodian, log, entry, index, proof)) revert EntryNotIncluded(id, index);

        _complaints[id].answeredAt = uint64(block.timestamp);
        --openComplaints[custodian];

        emit ComplaintAnswered(custodian, log, entry, index);
    }

    /// @inheritdoc IAccessLog
    function complaintOf(address custodian, uint32 log, bytes32 entry) external view returns (Complaint memory) {
        return _complaints[_complaintId(custodian, log, entry)];
    }

    function _complaintId(address custodian, uint32 log, bytes32 entry) private pure returns (bytes32) {
        return keccak256(abi.encode(custodian, log, entry));
    }
}
