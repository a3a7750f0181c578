// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrescriptions} from "./interfaces/IPrescriptions.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {Agreed} from "./base/Agreed.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {PrescriptionWord} from "./libraries/PrescriptionWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Prescriptions
/// @notice The prescriptions of all prescribers, one storage slot each; those of a batch share slots, four bits each.
contract Prescriptions is IPrescriptions, Agreed {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;
    using PrescriptionWord for Terms;
    using PrescriptionWord for uint256;

    bytes32 private constant ISSUE_TYPEHASH = keccak256(
        "Issue(address prescriber,address patient,bytes32 content,address pharmacy,uint8 fills,uint16 quantity,"
        "uint16 validUntil,uint16 size,uint256 deadline)"
    );
    bytes32 private constant FILL_TYPEHASH = keccak256(
        "Fill(bytes32 prescription,uint8 number,uint16 before,uint16 quantity,uint256 deadline)"
    );
    bytes32 private constant CHOICE_TYPEHASH = keccak256(
        "Choice(bytes32 prescription,address pharmacy,uint8 sequence,uint256 deadline)"
    );
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "Transfer(bytes32 prescription,address to,uint8 sequence,uint256 deadline)"
    );
    bytes32 private constant CANCELLATION_TYPEHASH = keccak256("Cancellation(bytes32 prescription,uint256 deadline)");
    bytes32 private constant SUPPLY_TYPEHASH = keccak256(
        "Supply(bytes32 prescription,address pharmacy,uint16 quantity,uint256 deadline)"
    );
    bytes32 private constant CONFIRMATION_TYPEHASH = keccak256("Confirmation(bytes32 prescription,uint256 deadline)");

    /// @inheritdoc IPrescriptions
    uint16 public constant CONFIRMATION_DAYS = 7;

    /// @dev What four bits say of a prescription of a batch: how many fills were given, or that it was opened.
    uint256 private constant OPENED = 15;
    uint256 private constant PLACES = 64;

    mapping(bytes32 prescription => uint256 word) private _words;
    mapping(bytes32 batch => mapping(uint256 row => uint256 given)) private _rows;
    mapping(bytes32 prescription => Supply supply) private _supplies;

    // solhint-disable-next-line no-empty-blocks
    constructor(IRegistrar registrar_) Agreed(registrar_) EIP712("MedProof Prescriptions", "1") {}

    /* ISSUING */

    /// @inheritdoc IPrescriptions
    function issue(
        address prescriber,
        address patient,
        bytes32 content,
        Terms calldata terms,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 prescription) {
        bytes32 structHash = keccak256(abi.encode(ISSUE_TYPEHASH, prescriber, patient, content, terms, deadline));
        _requireAgreedBy(IRegistrar.Kind.Provider, prescriber, structHash, deadline, signature);
        if (content == 0 || terms.fills == 0 || terms.quantity == 0) revert PrescriptionIncomplete();
        if (terms.validUntil < _today()) revert PrescriptionPast(terms.validUntil, _today());
        if (terms.size != 0 && (patient != address(0) || terms.pharmacy == address(0) || terms.fills >= OPENED)) {
            revert BatchNotPossible();
        }
        prescription = _id(prescriber, patient, content, 0);
        if (_words[prescription] != 0) revert PrescriptionExists(prescription);
        uint256 day = terms.pharmacy == address(0) ? 0 : _requirePharmacy(terms.pharmacy);

        uint256 word = terms.pack(day);
        _words[prescription] = word;

        emit PrescriptionIssued(prescription, prescriber, patient, content, word);
    }

    /// @dev Reverts unless the party is an active pharmacy. Returns today where it acts with the account of its
    /// identity, which may then fill without being asked for until midnight; else zero.
    function _requirePharmacy(address pharmacy) private view returns (uint256 day) {
        address account = registrar.accountOf(pharmacy);
        if (!_isPharmacy(pharmacy, account)) revert PharmacyInactive(pharmacy);
        return account == pharmacy ? _today() : 0;
    }

    function _isPharmacy(address pharmacy, address account) private view returns (bool) {
        uint256 standing = registrar.standing(account);
        return standing != 0 && standing.id() == pharmacy && standing.kindNumber() == uint256(IRegistrar.Kind.Pharmacy);
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* FILLING */

    /// @inheritdoc IPrescriptions
    function fill(bytes32 prescription, uint8 number, uint16 before, uint16 quantity) external {
        uint256 word = _wordOf(prescription);
        uint256 today = _today();
        if (msg.sender != word.pharmacy() || word.checkedOn() != today) {
            if (!_isPharmacy(word.pharmacy(), msg.sender)) revert PharmacyRequired(prescription, word.pharmacy());
            word = word.withCheckedOn(msg.sender == word.pharmacy() ? today : 0);
        }

        _fill(prescription, word, today, number, before, quantity);
    }

    /// @inheritdoc IPrescriptions
    /// @dev A pharmacy that was named is a pharmacy: a party's kind does not change.
    function fillFor(
        address pharmacy,
        bytes32 prescription,
        uint8 number,
        uint16 before,
        uint16 quantity,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint256 word = _wordOf(prescription);
        if (word.pharmacy() != pharmacy) revert PharmacyRequired(prescription, word.pharmacy());
        bytes32 structHash = keccak256(abi.encode(FILL_TYPEHASH, prescription, number, before, quantity, deadline));
        _requireAgreed(pharmacy, structHash, deadline, signature);

        _fill(prescription, word, _today(), number, before, quantity);
    }

    function _fill(
        bytes32 prescription,
        uint256 word,
        uint256 today,
        uint256 number,
        uint256 before,
        uint256 quantity
    ) private {
        _requireFillable(prescription, word, today);
        uint256 latest = word.number();
        bool continues = number == latest && word.inProgress();
        if (!continues) _requireNext(prescription, word, number, latest);
        uint256 filled = continues ? word.filled() : 0;
        if (before != filled) revert FillChanged(prescription, filled);
        uint256 left = word.quantity() - filled;
        if (quantity == 0 || quantity > left) revert QuantityNotPossible(prescription, left);

        word = word.withFill(number, filled + quantity);
        _store(prescription, word);

        emit PrescriptionFilled(prescription, word);
    }

    function _requireFillable(bytes32 prescription, uint256 word, uint256 today) private pure {
        if (word.cancelled()) revert AlreadyCancelled(prescription);
        if (word.held()) revert PrescriptionHeld(prescription);
        if (word.validUntil() < today) revert PrescriptionExpired(prescription, word.validUntil());
    }

    function _requireNext(bytes32 prescription, uint256 word, uint256 number, uint256 latest) private pure {
        if (number <= latest) revert AlreadyFilled(prescription, latest + 1);
        if (number > word.fills()) revert FillsExhausted(prescription, word.fills());
        if (number != latest + 1) revert FillSkipped(prescription, latest + 1);
    }

    /* BATCHES */

    /// @inheritdoc IPrescriptions
    /// @dev Fills that lie in one row are written with it; places in ascending order cost least.
    function fillBatch(bytes32 batch, BatchFill[] calldata fills) external {
        uint256 word = _words[batch];
        if (!word.isBatch()) revert PrescriptionUnknown(batch);
        if (!_isPharmacy(word.pharmacy(), msg.sender)) revert PharmacyRequired(batch, word.pharmacy());
        _requireFillable(batch, word, _today());

        uint256 row = 0;
        uint256 given = _rows[batch][0];
        for (uint256 position = 0; position < fills.length; ++position) {
            uint256 place = fills[position].place;
            if (place / PLACES != row) {
                _rows[batch][row] = given;
                row = place / PLACES;
                given = _rows[batch][row];
            }
            given = _fillPlace(batch, word, given, place, fills[position].number);
        }
        _rows[batch][row] = given;
    }

    function _fillPlace(
        bytes32 batch,
        uint256 word,
        uint256 given,
        uint256 place,
        uint256 number
    ) private returns (uint256) {
        bytes32 prescription = bytes32(uint256(batch) | place);
        uint256 latest = _givenAt(given, place);
        if (place == 0 || place > word.size()) revert PrescriptionUnknown(prescription);
        if (latest == OPENED) revert AlreadyOpened(prescription);
        _requireNext(prescription, word, number, latest);

        emit PrescriptionFilled(prescription, word.placed(number));

        return given + (1 << (4 * (place % PLACES)));
    }

    function _givenAt(uint256 given, uint256 place) private pure returns (uint256) {
        return (given >> (4 * (place % PLACES))) & OPENED;
    }

    /// @dev What is kept of a prescription; of one of a batch that was not opened, what the batch says of it. Zero
    /// where there is none.
    function _find(bytes32 prescription) private view returns (uint256 word) {
        word = _words[prescription];
        if (word.isBatch()) return 0;
        if (word != 0) return word;

        uint256 place = uint16(uint256(prescription));
        bytes32 batch = bytes32(uint256(prescription) - place);
        uint256 shared = _words[batch];
        if (place == 0 || place > shared.size()) return 0;
        return shared.placed(_givenAt(_rows[batch][place / PLACES], place));
    }

    function _wordOf(bytes32 prescription) private view returns (uint256 word) {
        word = _find(prescription);
        if (word == 0) revert PrescriptionUnknown(prescription);
    }

    /// @dev A prescription of a batch is opened when it is written for the first time.
    function _store(bytes32 prescription, uint256 word) private {
        uint256 place = uint16(uint256(prescription));
        if (place != 0 && _words[prescription] == 0) {
            bytes32 batch = bytes32(uint256(prescription) - place);
            _rows[batch][place / PLACES] |= OPENED << (4 * (place % PLACES));

            emit PrescriptionOpened(prescription);
        }

        _words[prescription] = word;
    }

    /* CHANGING THE PHARMACY */

    /// @inheritdoc IPrescriptions
    function choose(
        address by,
        Prescription calldata prescription,
        address pharmacy,
        uint8 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 id = prescriptionId(prescription);
        uint256 word = _wordOf(id);
        bytes32 structHash = keccak256(abi.encode(CHOICE_TYPEHASH, id, pharmacy, sequence, deadline));
        if (by == prescription.prescriber && prescription.patient == address(0)) {
            _requireAgreed(by, structHash, deadline, signature);
        } else {
            if (by != prescription.patient) revert StepNotYours(prescription.patient, by);
            if (signature.length != 0) _requireSigned(by, structHash, deadline, signature);
            else if (msg.sender != by) revert StepNotYours(by, msg.sender);
        }
        if (word.inProgress() && _isPharmacy(word.pharmacy(), registrar.accountOf(word.pharmacy()))) {
            revert FillInProgress(id, word.number());
        }

        _name(id, word, pharmacy, sequence);
    }

    /// @inheritdoc IPrescriptions
    function transfer(
        bytes32 prescription,
        address to,
        uint8 sequence,
        uint256 deadline,
        bytes calldata givingSignature,
        bytes calldata receivingSignature
    ) external {
        uint256 word = _wordOf(prescription);
        bytes32 structHash = keccak256(abi.encode(TRANSFER_TYPEHASH, prescription, to, sequence, deadline));
        _requireAgreed(word.pharmacy(), structHash, deadline, givingSignature);
        _requireAgreed(to, structHash, deadline, receivingSignature);

        _name(prescription, word, to, sequence);
    }

    function _name(bytes32 prescription, uint256 word, address pharmacy, uint256 sequence) private {
        if (word.cancelled()) revert AlreadyCancelled(prescription);
        if (sequence != word.sequence() || sequence == type(uint8).max) {
            revert PharmacyChanged(prescription, word.sequence());
        }
        if (pharmacy == word.pharmacy()) revert PharmacyUnchanged(prescription);

        word = word.withPharmacy(pharmacy, _requirePharmacy(pharmacy));
        _store(prescription, word);

        emit PharmacyNamed(prescription, pharmacy, word);
    }

    /* CANCELLING AND RECHECKING */

    /// @inheritdoc IPrescriptions
    function cancel(Prescription calldata prescription, uint256 deadline, bytes calldata signature) external {
        bytes32 id = prescriptionId(prescription);
        uint256 word = _words[id].isBatch() ? _words[id] : _wordOf(id);
        bytes32 structHash = keccak256(abi.encode(CANCELLATION_TYPEHASH, id, deadline));
        _requireAgreed(prescription.prescriber, structHash, deadline, signature);
        if (word.cancelled()) revert AlreadyCancelled(id);

        word = word.withCancelled();
        _store(id, word);

        emit PrescriptionCancelled(id, word);
    }

    /// @inheritdoc IPrescriptions
    function recheck(Prescription calldata prescription) external {
        bytes32 id = prescriptionId(prescription);
        uint256 word = _words[id];
        if (word == 0) revert PrescriptionUnknown(id);

        uint256 rechecked = word.withHeld(_prescriberStanding(prescription) == 0);
        address pharmacy = word.pharmacy();
        if (word.checkedOn() != 0 && !_isPharmacy(pharmacy, pharmacy)) rechecked = rechecked.withCheckedOn(0);
        if (rechecked == word) return;
        _words[id] = rechecked;

        emit PrescriptionRechecked(id, rechecked);
    }

    function _prescriberStanding(Prescription calldata prescription) private view returns (uint256) {
        return registrar.standing(registrar.accountOf(prescription.prescriber));
    }

    /* EMERGENCY SUPPLY */

    /// @inheritdoc IPrescriptions
    function supply(
        address pharmacy,
        Prescription calldata prescription,
        uint16 quantity,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 id = prescriptionId(prescription);
        bytes32 structHash = keccak256(abi.encode(SUPPLY_TYPEHASH, id, pharmacy, quantity, deadline));
        _requireAgreedBy(IRegistrar.Kind.Pharmacy, pharmacy, structHash, deadline, signature);
        if (_supplies[id].day != 0) revert SupplyRepeated(id);
        uint256 most = _requireSupplyable(id, prescription, pharmacy);
        if (quantity == 0 || quantity > most) revert QuantityNotPossible(id, most);
        uint16 day = uint16(_today());

        _supplies[id] = Supply(pharmacy, quantity, day, 0);

        emit SupplyGiven(id, prescription.prescriber, pharmacy, quantity, day);
    }

    /// @dev Reverts where a prescription can be filled, or was cancelled. Returns how much may be supplied. What was
    /// not issued has no batch, and no place in one.
    function _requireSupplyable(
        bytes32 id,
        Prescription calldata prescription,
        address pharmacy
    ) private view returns (uint256 most) {
        uint256 word = _find(id);
        if (word == 0) {
            if (_words[id] != 0 || prescription.place != 0) revert PrescriptionUnknown(id);
            if (prescription.content == 0) revert PrescriptionIncomplete();
            uint256 standing = _prescriberStanding(prescription);
            if (standing.kind() != IRegistrar.Kind.Provider) {
                revert KindNotAdmitted(prescription.prescriber, standing.kind());
            }
            return type(uint16).max;
        }
        if (word.cancelled()) revert AlreadyCancelled(id);
        bool held = word.held() && _prescriberStanding(prescription) == 0;
        if (!held && !word.exhausted() && word.validUntil() >= _today()) revert SupplyNotNeeded(id);
        address own = word.pharmacy();
        if (own != address(0) && own != pharmacy) revert PharmacyRequired(id, own);
        return word.quantity();
    }

    /// @inheritdoc IPrescriptions
    function confirm(Prescription calldata prescription, uint256 deadline, bytes calldata signature) external {
        bytes32 id = prescriptionId(prescription);
        bytes32 structHash = keccak256(abi.encode(CONFIRMATION_TYPEHASH, id, deadline));
        _requireAgreed(prescription.prescriber, structHash, deadline, signature);
        if (_supplies[id].day == 0 || _supplies[id].confirmedOn != 0) revert SupplyUnknown(id);
        uint16 day = uint16(_today());

        _supplies[id].confirmedOn = day;

        emit SupplyConfirmed(id, day);
    }

    /* READING */

    /// @inheritdoc IPrescriptions
    function prescriptionId(Prescription calldata prescription) public pure returns (bytes32) {
        return _id(prescription.prescriber, prescription.patient, prescription.content, prescription.place);
    }

    function _id(address prescriber, address patient, bytes32 content, uint256 place) private pure returns (bytes32) {
        uint256 hash = uint256(keccak256(abi.encode(prescriber, patient, content)));
        return bytes32(hash - uint16(hash) + place);
    }

    /// @inheritdoc IPrescriptions
    function isIssued(bytes32 prescription) external view returns (bool) {
        return _find(prescription) != 0 || _supplies[prescription].confirmedOn != 0;
    }

    /// @inheritdoc IPrescriptions
    function prescriptionOf(bytes32 prescription) external view returns (uint256 word) {
        return _find(prescription);
    }

    /// @inheritdoc IPrescriptions
    function sizeOf(bytes32 batch) external view returns (uint16) {
        return uint16(_words[batch].size());
    }

    /// @inheritdoc IPrescriptions
    function supplyOf(bytes32 prescription) external view returns (Supply memory) {
        return _supplies[prescription];
    }

    /// @inheritdoc IPrescriptions
    function isOverdue(bytes32 prescription) external view returns (bool) {
        Supply memory given = _supplies[prescription];
        uint256 confirmed = given.confirmedOn == 0 ? _today() : given.confirmedOn;
        return given.day != 0 && confirmed > uint256(given.day) + CONFIRMATION_DAYS;
    }
}
