// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";

/// @title Prescriptions
/// @notice Keeps which prescriptions were issued, for which pharmacy, and which of their fills were given, so that none
/// is given twice: one word each, laid out in `PrescriptionWord`. What is prescribed stays off chain, behind a salted
/// commitment.
/// @dev Warning: fills, quantity and last day are public. The quantity counts parts that the content alone names.
interface IPrescriptions is IAgreed {
    /// @notice What a prescription is; its id is the hash of the first three, with the place in its last 16 bits.
    /// @param prescriber The identity of the provider that prescribes.
    /// @param patient The patient's pseudonym, who chooses the pharmacy; zero where the prescriber does.
    /// @param content The salted hash of the canonical prescription; of a batch the Merkle root of these.
    /// @param place Its place in its batch, from 1; zero where it was issued alone, and for a batch itself.
    struct Prescription {
        address prescriber;
        address patient;
        bytes32 content;
        uint16 place;
    }

    /// @notice What a prescription, or each one of a batch, allows.
    /// @param pharmacy The identity of the pharmacy that fills it; zero for none yet.
    /// @param fills How many fills are allowed, the first one counted.
    /// @param quantity How much a fill is, in parts that the content names.
    /// @param validUntil The last day on which it is filled, in days since 1970-01-01.
    /// @param size How many are issued at once, as a batch; zero for one alone.
    struct Terms {
        address pharmacy;
        uint8 fills;
        uint16 quantity;
        uint16 validUntil;
        uint16 size;
    }

    /// @notice One fill of a prescription of a batch, given whole.
    /// @param place The prescription's place in the batch, from 1.
    /// @param number The fill, from 1.
    struct BatchFill {
        uint16 place;
        uint8 number;
    }

    /// @notice A supply in an emergency: without a fill left, or before the prescriber has issued.
    /// @param pharmacy Who gave it.
    /// @param quantity How much, in the prescription's parts.
    /// @param day When, in days since 1970-01-01.
    /// @param confirmedOn When the prescriber confirmed it; zero before.
    struct Supply {
        address pharmacy;
        uint16 quantity;
        uint16 day;
        uint16 confirmedOn;
    }

    /// @notice Thrown when a prescription has no commitment to its content, or allows no fill or no quantity.
    /// @dev Mend: give the salted hash of the content, at least one fill, and a quantity of at least 1.
    error PrescriptionIncomplete();

    /// @notice Thrown when a batch names a patient, no pharmacy, or more than 14 fills.
    /// @dev Mend: issue such a prescription alone, with size 0.
    error BatchNotPossible();

    /// @notice Thrown when a prescription would end before today.
    /// @dev Mend: give a last day, in days since 1970-01-01, that is `today` or later.
    error PrescriptionPast(uint256 validUntil, uint256 today);

    /// @notice Thrown when the same prescription is issued again.
    /// @dev Mend: nothing needs doing; to prescribe the same again, seal it with a new salt.
    error PrescriptionExists(bytes32 prescription);

    /// @notice Thrown when no prescription was issued under this id.
    /// @dev Mend: check prescriber, patient, content and place; of a batch, name a place from 1 to its size.
    error PrescriptionUnknown(bytes32 prescription);

    /// @notice Thrown when a prescription is used, or cancelled, that its prescriber cancelled before.
    /// @dev Mend: ask the prescriber for another.
    error AlreadyCancelled(bytes32 prescription);

    /// @notice Thrown when a prescription is filled whose prescriber was found inactive.
    /// @dev Mend: let it be rechecked once the prescriber is active again, or ask another for a prescription.
    error PrescriptionHeld(bytes32 prescription);

    /// @notice Thrown when a prescription is filled after its last day (days since 1970-01-01).
    /// @dev Mend: ask the prescriber for another.
    error PrescriptionExpired(bytes32 prescription, uint256 validUntil);

    /// @notice Thrown when a prescription of a batch is filled with the batch, and lives in a slot of its own by now.
    /// @dev Mend: fill it alone, with `fill`.
    error AlreadyOpened(bytes32 prescription);

    /// @notice Thrown when somebody else than the prescription's pharmacy fills it, or that pharmacy is not active.
    /// @dev Mend: have it transferred, or let the patient choose the pharmacy; zero means that none was chosen yet.
    error PharmacyRequired(bytes32 prescription, address pharmacy);

    /// @notice Thrown when a prescription is given to what is no active pharmacy.
    /// @dev Mend: name the identity of an accredited pharmacy that is not suspended.
    error PharmacyInactive(address pharmacy);

    /// @notice Thrown when a change of pharmacy follows another sequence than the stored one.
    /// @dev Mend: read the prescription again; sign with the sequence stored. After 255 changes it moves no more.
    error PharmacyChanged(bytes32 prescription, uint256 sequence);

    /// @notice Thrown when the pharmacy is to be changed to the one it is.
    /// @dev Mend: nothing needs doing.
    error PharmacyUnchanged(bytes32 prescription);

    /// @notice Thrown when the pharmacy is chosen anew while it has given a fill in part.
    /// @dev Mend: let it give the rest, or transfer the prescription.
    error FillInProgress(bytes32 prescription, uint256 number);

    /// @notice Thrown when a fill that was given is given again.
    /// @dev Mend: nothing needs doing; the next is fill `next`, where one is left.
    error AlreadyFilled(bytes32 prescription, uint256 next);

    /// @notice Thrown when a fill does not go on from how much of it was given.
    /// @dev Mend: read the prescription again: of this fill `filled` was given.
    error FillChanged(bytes32 prescription, uint256 filled);

    /// @notice Thrown when a fill is given before the one that precedes it.
    /// @dev Mend: give fill `next`.
    error FillSkipped(bytes32 prescription, uint256 next);

    /// @notice Thrown when more fills are given than were allowed.
    /// @dev Mend: ask the prescriber for another prescription; in an emergency, `supply`.
    error FillsExhausted(bytes32 prescription, uint256 fills);

    /// @notice Thrown when a fill, or a supply, gives nothing or more than is left of it.
    /// @dev Mend: give from 1 to `left`.
    error QuantityNotPossible(bytes32 prescription, uint256 left);

    /// @notice Thrown when an emergency supply is given while the prescription has a fill left.
    /// @dev Mend: fill it; where it is held and its prescriber is active again, let it be rechecked first.
    error SupplyNotNeeded(bytes32 prescription);

    /// @notice Thrown when a second emergency supply is given for one prescription.
    /// @dev Mend: ask the prescriber for a prescription.
    error SupplyRepeated(bytes32 prescription);

    /// @notice Thrown when there is no emergency supply that waits to be confirmed.
    /// @dev Mend: check the prescription; one supply is confirmed once.
    error SupplyUnknown(bytes32 prescription);

    /// @notice Emitted when a prescription, or a batch of them, is issued; `word` is what is stored.
    event PrescriptionIssued(
        bytes32 indexed prescription,
        address indexed prescriber,
        address indexed patient,
        bytes32 content,
        uint256 word
    );

    /// @notice Emitted when a fill is given, wholly or in part; `word` is what is kept of the prescription.
    event PrescriptionFilled(bytes32 indexed prescription, uint256 word);

    /// @notice Emitted when a prescription of a batch gets a slot of its own, before what it was opened for.
    event PrescriptionOpened(bytes32 indexed prescription);

    /// @notice Emitted when another pharmacy is to fill a prescription; `word` is what is kept of it.
    event PharmacyNamed(bytes32 indexed prescription, address indexed pharmacy, uint256 word);

    /// @notice Emitted when a prescription, or what was not opened of a batch, is cancelled.
    event PrescriptionCancelled(bytes32 indexed prescription, uint256 word);

    /// @notice Emitted when a prescription is rechecked and its word changes.
    event PrescriptionRechecked(bytes32 indexed prescription, uint256 word);

    /// @notice Emitted when a pharmacy gives an emergency supply.
    event SupplyGiven(
        bytes32 indexed prescription,
        address indexed prescriber,
        address indexed pharmacy,
        uint16 quantity,
        uint16 day
    );

    /// @notice Emitted when the prescriber confirms an emergency supply.
    event SupplyConfirmed(bytes32 indexed prescription, uint16 day);

    /// @notice Issues a prescription, or a batch of equal terms. Owned by the prescriber, an active provider.
    /// @param patient Zero where the prescriber chooses the pharmacy, as for every batch.
    /// @return prescription Its id; of a batch, that of each is this id plus its place.
    function issue(
        address prescriber,
        address patient,
        bytes32 content,
        Terms calldata terms,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 prescription);

    /// @notice Gives a fill, or a part of it, as the prescription's pharmacy.
    /// @param number The fill: the one that was begun, or the next. What was left of one before lapses.
    /// @param before How much of this fill was given before: whatever is sent twice counts once.
    /// @param quantity How much is given now.
    /// @dev Warning: a pharmacy that acts with the account of its identity and was found active today (UTC) is not
    /// asked for again until midnight: one that is suspended, removed or loses this key can fill what it was checked
    /// for until then, unless somebody rechecks the prescription.
    function fill(bytes32 prescription, uint8 number, uint16 before, uint16 quantity) external;

    /// @notice Gives a fill, or a part of it, with the pharmacy's signature. Its standing is asked for each time.
    function fillFor(
        address pharmacy,
        bytes32 prescription,
        uint8 number,
        uint16 before,
        uint16 quantity,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Gives fills of a batch, each whole, as its pharmacy; all or none.
    function fillBatch(bytes32 batch, BatchFill[] calldata fills) external;

    /// @notice Chooses the pharmacy while no fill is in progress, or the present one is not active.
    /// @param by Who owns the choice: the patient; the prescriber where none is named.
    /// @param sequence The stored one, which this change follows.
    function choose(
        address by,
        Prescription calldata prescription,
        address pharmacy,
        uint8 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Transfers a prescription to another pharmacy. Owned by both: the one that gives and the one that
    /// receives.
    /// @param sequence The stored one, which this change follows.
    function transfer(
        bytes32 prescription,
        address to,
        uint8 sequence,
        uint256 deadline,
        bytes calldata givingSignature,
        bytes calldata receivingSignature
    ) external;

    /// @notice Cancels a prescription, or of a batch what was not opened. Owned by the prescriber.
    function cancel(Prescription calldata prescription, uint256 deadline, bytes calldata signature) external;

    /// @notice Gives, once, an emergency supply of a prescription that has no fill left, is over or is held, or of one
    /// that its prescriber has not issued yet. Owned by the pharmacy, the prescription's own where it has one.
    /// @dev Warning: nobody can stop an accredited pharmacy from supplying what no prescriber asked for. It does so
    /// once under each id, in public, and it stays flagged until the prescriber confirms.
    function supply(
        address pharmacy,
        Prescription calldata prescription,
        uint16 quantity,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Confirms an emergency supply. Owned by the prescriber, who answers for it as for a fill.
    function confirm(Prescription calldata prescription, uint256 deadline, bytes calldata signature) external;

    /// @notice Asks the Registrar about prescriber and pharmacy again: an inactive prescriber's prescription is held
    /// until it is rechecked, an inactive pharmacy fills no more. Anyone may.
    function recheck(Prescription calldata prescription) external;

    /// @notice Returns the id of a prescription.
    function prescriptionId(Prescription calldata prescription) external pure returns (bytes32);

    /// @notice Returns whether a prescriber stands behind an id: it issued the prescription, of a batch or alone, or
    /// confirmed its emergency supply. What became of it since is another question.
    function isIssued(bytes32 prescription) external view returns (bool);

    /// @notice Returns how a prescription stands, as a word laid out in `PrescriptionWord`; zero where none was issued.
    function prescriptionOf(bytes32 prescription) external view returns (uint256 word);

    /// @notice Returns how many prescriptions a batch has; zero where there is no batch of this id.
    function sizeOf(bytes32 batch) external view returns (uint16);

    /// @notice Returns the emergency supply of a prescription; all zero where there is none.
    function supplyOf(bytes32 prescription) external view returns (Supply memory);

    /// @notice Returns whether an emergency supply was not confirmed in time.
    function isOverdue(bytes32 prescription) external view returns (bool);

    /// @notice Returns for how many days after its own an emergency supply can be confirmed in time.
    function CONFIRMATION_DAYS() external view returns (uint16);
}
