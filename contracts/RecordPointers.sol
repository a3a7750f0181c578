// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRecordPointers} from "./interfaces/IRecordPointers.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {MerkleLog} from "./libraries/MerkleLog.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {PointerWord} from "./libraries/PointerWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title RecordPointers
/// @notice The pointers of all custodians, one storage slot each.
contract RecordPointers is IRecordPointers, SignedMessages {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;
    using PointerWord for Pointer;

    bytes32 private constant ACCEPTANCE_TYPEHASH = keccak256(
        "Acceptance(address subject,address custodian,bytes32 commitment,uint32 sequence,uint256 deadline)"
    );
    bytes32 private constant DISPUTE_TYPEHASH = keccak256(
        "Dispute(address subject,address custodian,bytes32 commitment,bytes32 reason,uint32 sequence,"
        "uint256 deadline)"
    );
    bytes32 private constant OPENING_TYPEHASH = keccak256(
        "Opening(address subject,address custodian,uint8 dataClass,bytes32 commitment,uint256 deadline)"
    );

    /// @dev The rule word's classes stand for codes up to this bit.
    uint256 private constant LAST_DATA_CLASS = 21;

    /// @inheritdoc IRecordPointers
    IRegistrar public immutable registrar;

    mapping(bytes32 pointer => uint256 word) private _pointers;
    mapping(bytes32 pointer => bytes32 previous) private _previous;
    mapping(bytes32 pointer => address to) private _offers;

    /// @inheritdoc IRecordPointers
    mapping(address custodian => mapping(bytes32 root => uint64 size)) public batchOf;

    constructor(IRegistrar registrar_) EIP712("MedProof RecordPointers", "1") {
        registrar = registrar_;
    }

    /* POSTING */

    /// @inheritdoc IRecordPointers
    function post(address subject, uint8 dataClass, bytes32 commitment) external returns (bytes32 pointer) {
        return _post(subject, _activeProvider(), dataClass, commitment);
    }

    function _post(
        address subject,
        address custodian,
        uint8 dataClass,
        bytes32 commitment
    ) private returns (bytes32 pointer) {
        if (subject == address(0)) revert SubjectMissing();
        if (dataClass > LAST_DATA_CLASS) revert DataClassUnknown(dataClass);

        pointer = _create(subject, custodian, dataClass, commitment, 1);

        emit PointerPosted(subject, custodian, dataClass, commitment);
    }

    /// @inheritdoc IRecordPointers
    function amend(
        address subject,
        address origin,
        bytes32 commitment,
        bytes32 newCommitment
    ) external returns (bytes32 pointer) {
        bytes32 previous = pointerId(subject, origin, commitment);
        Pointer memory entry = _heldByCaller(previous);
        if (entry.version == type(uint16).max) revert VersionsExhausted(previous);

        entry.status = Status.Amended;
        entry.sequence += 1;
        _pointers[previous] = entry.pack();
        delete _offers[previous];
        pointer = _create(subject, entry.custodian, entry.dataClass, newCommitment, entry.version + 1);
        _previous[pointer] = previous;

        emit PointerAmended(pointer, subject, previous, entry.custodian, newCommitment);
    }

    function _create(
        address subject,
        address custodian,
        uint8 dataClass,
        bytes32 commitment,
        uint16 version
    ) private returns (bytes32 pointer) {
        if (commitment == 0) revert CommitmentMissing();
        pointer = pointerId(subject, custodian, commitment);
        if (_pointers[pointer] != 0) revert PointerExists(pointer);

        _pointers[pointer] = PointerWord.pack(custodian, dataClass, Status.Posted, version, 1);
    }

    function _activeProvider() private view returns (address party) {
        uint256 standing = registrar.standing(msg.sender);
        if (standing.kindNumber() != uint256(IRegistrar.Kind.Provider)) revert ProviderRequired(msg.sender);
        return standing.id();
    }

    /// @dev The pointer, current and held by the caller's party, which is an active provider.
    function _heldByCaller(bytes32 pointer) private view returns (Pointer memory entry) {
        entry = _currentPointer(pointer);
        if (_activeProvider() != entry.custodian) revert CustodianRequired(pointer, entry.custodian);
    }

    function _currentPointer(bytes32 pointer) private view returns (Pointer memory entry) {
        entry = PointerWord.unpack(_pointers[pointer]);
        if (entry.status == Status.None) revert PointerUnknown(pointer);
        if (entry.status == Status.Amended) revert PointerOutdated(pointer);
    }

    /* BATCHES */

    /// @inheritdoc IRecordPointers
    function postBatch(bytes32 root, uint64 size) external {
        if (root == 0) revert CommitmentMissing();
        if (size == 0) revert BatchEmpty(root);
        address custodian = _activeProvider();
        if (batchOf[custodian][root] != 0) revert BatchExists(custodian, root);

        batchOf[custodian][root] = size;

        emit BatchPosted(custodian, root, size);
    }

    /// @inheritdoc IRecordPointers
    /// @dev The custodian was an active provider when it posted the batch; what became of it since keeps no subject
    /// from answering.
    function open(
        address subject,
        address origin,
        uint8 dataClass,
        bytes32 commitment,
        Place calldata place,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 pointer) {
        if (signature.length != 0) {
            bytes32 structHash = keccak256(
                abi.encode(OPENING_TYPEHASH, subject, origin, dataClass, commitment, deadline)
            );
            _requireSigned(subject, structHash, deadline, signature);
        } else if (msg.sender != subject && registrar.standing(msg.sender).id() != origin) {
            revert OpeningNotYours(subject, msg.sender);
        }
        bytes32 leaf = leafOf(subject, origin, dataClass, commitment);
        if (!MerkleLog.hasLeaf(place.root, batchOf[origin][place.root], leaf, place.index, place.proof)) {
            revert PointerNotInBatch(leaf, place.root);
        }

        pointer = _post(subject, origin, dataClass, commitment);

        emit PointerOpened(pointer, place.root, place.index);
    }

    /// @inheritdoc IRecordPointers
    function leafOf(
        address subject,
        address origin,
        uint8 dataClass,
        bytes32 commitment
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(pointerId(subject, origin, commitment), dataClass));
    }

    /* THE SUBJECT'S ANSWER */

    /// @inheritdoc IRecordPointers
    function accept(address origin, bytes32 commitment) external {
        _accept(msg.sender, pointerId(msg.sender, origin, commitment));
    }

    /// @inheritdoc IRecordPointers
    function acceptFor(
        address subject,
        address origin,
        bytes32 commitment,
        uint32 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(
            abi.encode(ACCEPTANCE_TYPEHASH, subject, origin, commitment, sequence, deadline)
        );
        _requireSigned(subject, structHash, deadline, signature);
        bytes32 pointer = pointerId(subject, origin, commitment);
        _requireSequence(pointer, sequence);

        _accept(subject, pointer);
    }

    /// @inheritdoc IRecordPointers
    function dispute(address origin, bytes32 commitment, bytes32 reason) external {
        _dispute(msg.sender, pointerId(msg.sender, origin, commitment), reason);
    }

    /// @inheritdoc IRecordPointers
    function disputeFor(
        address subject,
        address origin,
        bytes32 commitment,
        bytes32 reason,
        uint32 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(
            abi.encode(DISPUTE_TYPEHASH, subject, origin, commitment, reason, sequence, deadline)
        );
        _requireSigned(subject, structHash, deadline, signature);
        bytes32 pointer = pointerId(subject, origin, commitment);
        _requireSequence(pointer, sequence);

        _dispute(subject, pointer, reason);
    }

    function _accept(address subject, bytes32 pointer) private {
        _answer(pointer, Status.Accepted);

        emit PointerAccepted(pointer, subject);
    }

    function _dispute(address subject, bytes32 pointer, bytes32 reason) private {
        _answer(pointer, Status.Disputed);

        emit PointerDisputed(pointer, subject, reason);
    }

    function _answer(bytes32 pointer, Status answer) private {
        Pointer memory entry = _currentPointer(pointer);
        if (entry.status == answer) revert AnswerUnchanged(pointer);

        entry.status = answer;
        entry.sequence += 1;
        _pointers[pointer] = entry.pack();
    }

    function _requireSequence(bytes32 pointer, uint32 sequence) private view {
        uint32 stored = _currentPointer(pointer).sequence;
        if (stored != sequence) revert PointerChanged(pointer, stored);
    }

    /* THE CUSTODIAN'S ANSWER */

    /// @inheritdoc IRecordPointers
    function denyDispute(address subject, address origin, bytes32 commitment, bytes32 reason) external {
        bytes32 pointer = pointerId(subject, origin, commitment);
        Pointer memory entry = _heldByCaller(pointer);
        if (entry.status != Status.Disputed) revert PointerNotDisputed(pointer);
        if (reason == 0) revert ReasonMissing();

        entry.status = Status.DisputeDenied;
        entry.sequence += 1;
        _pointers[pointer] = entry.pack();

        emit DisputeDenied(pointer, entry.custodian, reason);
    }

    /* CUSTODY */

    /// @inheritdoc IRecordPointers
    function offerCustody(address subject, address origin, bytes32 commitment, address to) external {
        bytes32 pointer = pointerId(subject, origin, commitment);
        _heldByCaller(pointer);

        _offers[pointer] = to;

        emit CustodyOffered(pointer, to);
    }

    /// @inheritdoc IRecordPointers
    function takeCustody(address subject, address origin, bytes32 commitment) external {
        bytes32 pointer = pointerId(subject, origin, commitment);
        Pointer memory entry = _currentPointer(pointer);
        address to = _activeProvider();
        if (_offers[pointer] != to) revert CustodyNotOffered(pointer, to);
        address from = entry.custodian;

        entry.custodian = to;
        entry.sequence += 1;
        _pointers[pointer] = entry.pack();
        delete _offers[pointer];

        emit CustodyTransferred(pointer, from, to);
    }

    /* READING */

    /// @inheritdoc IRecordPointers
    function pointerId(address subject, address origin, bytes32 commitment) public pure returns (bytes32) {
        return keccak256(abi.encode(subject, origin, commitment));
    }

    /// @inheritdoc IRecordPointers
    function pointerOf(bytes32 pointer) external view returns (Pointer memory) {
        return PointerWord.unpack(_pointers[pointer]);
    }

    /// @inheritdoc IRecordPointers
    function previousOf(bytes32 pointer) external view returns (bytes32) {
        return _previous[pointer];
    }

    /// @inheritdoc IRecordPointers
    function nextCustodianOf(bytes32 pointer) external view returns (address) {
        return _offers[pointer];
    }
}
