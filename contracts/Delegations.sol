// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegations} from "./interfaces/IDelegations.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {DelegationWord} from "./libraries/DelegationWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Delegations
/// @notice The delegates of all subjects, one storage slot each, and the recovery of subjects whose key is lost.
contract Delegations is IDelegations, SignedMessages {
    using DelegationWord for uint256;

    bytes32 private constant DELEGATION_TYPEHASH = keccak256(
        "Delegation(address subject,address delegate,address delegator,uint16 delegatorSequence,uint16 sequence,"
        "uint8 kind,bool mayGrant,bool mayRevoke,bool mayView,bool mayDelegate,uint32 validFrom,uint32 validUntil,"
        "uint256 deadline)"
    );
    bytes32 private constant REVOCATION_TYPEHASH = keccak256(
        "DelegationRevocation(address subject,address delegate,address by,uint16 sequence,uint256 deadline)"
    );
    bytes32 private constant GUARDIANS_TYPEHASH = keccak256(
        "Guardians(address subject,address by,bytes32 commitment,uint48 round,uint256 deadline)"
    );
    bytes32 private constant RECOVERY_TYPEHASH = keccak256(
        "Recovery(address guardian,address subject,address successor,uint48 round,uint256 deadline)"
    );
    bytes32 private constant OBJECTION_TYPEHASH = keccak256(
        "Objection(address subject,address by,uint48 round,uint256 deadline)"
    );

    uint256 private constant MOST_GUARDIANS = 16;
    uint256 private constant SHORTEST_DELAY = 3 days;
    uint256 private constant LONGEST_DELAY = 90 days;

    /// @dev Sequences above are the subject's own, its successor's and the delegate's: no delegator uses them up.
    uint256 private constant DELEGATORS_LAST = 0x7FFF;

    /// @dev Kept for the subject's own acts: it can always end recoveries, for good.
    uint256 private constant LAST_ROUND = type(uint48).max;

    mapping(address subject => mapping(address delegate => uint256 word)) private _delegations;
    mapping(address subject => bytes32 commitment) private _guardians;
    mapping(address subject => Recovery) private _recoveries;

    /// @inheritdoc IDelegations
    mapping(address subject => address) public successorOf;

    constructor() EIP712("MedProof Delegations", "1") {} // solhint-disable-line no-empty-blocks

    /* DELEGATION */

    /// @inheritdoc IDelegations
    /// @dev The sequence that the delegation replaces is signed, so that no message counts twice.
    function setDelegation(
        address subject,
        address delegate,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external {
        _requireAuthor(word.delegator(), _hashDelegation(subject, delegate, word, deadline), deadline, signature);
        _requireDelegate(subject, delegate);
        word.requireWritable();
        uint256 stored = _delegations[subject][delegate];
        _requireGivable(subject, delegate, stored, word);
        uint256 sequence = word.sequence();
        if (sequence != stored.nextSequence() || sequence == DelegationWord.LAST_SEQUENCE) {
            revert DelegationStale(stored.sequence(), sequence);
        }

        _delegations[subject][delegate] = word;

        emit DelegationSet(subject, delegate, word.delegator(), word);
    }

    /// @dev The subject gives what it likes. A delegate gives less than it has itself, and hangs it on its own
    /// delegation by the sequence of that. Only what the subject gave can have the scope to delegate, so the
    /// delegator's own word is all that needs to be looked at.
    function _requireGivable(address subject, address delegate, uint256 stored, uint256 word) private view {
        address by = word.delegator();
        uint256 own = by == subject ? 0 : _requireDelegator(subject, by, stored);
        if (word.delegatorSequence() != own.sequence()) revert DelegatorStale(own.sequence(), word.delegatorSequence());
        if (by == subject) return;

        if (delegate == by) revert DelegateNotPossible(delegate);
        if (!_succeeds(own) && word.kind() != uint256(Kind.Steward)) revert DelegationKindNotPossible(word.kind());
        uint256 held = own.scopes() ^ DelegationWord.DELEGATE;
        if (word.scopes() & ~held != 0) revert ScopesExceeded(word.scopes(), held);
        // The delegator's own period has begun, or it could not delegate; only the end needs a look.
        if (word.validUntil() > own.validUntil()) revert PeriodExceeded(word.validUntil(), own.validUntil());
    }

    /// @dev Reverts unless `by` is a delegate that may delegate now and may write over what is stored: a successor over
    /// everything, others where nothing was written before and where they were the last to write. So no delegate undoes
    /// what the subject, or the delegate who resigned, has decided.
    /// @return own The delegator's own delegation.
    function _requireDelegator(address subject, address by, uint256 stored) private view returns (uint256 own) {
        own = _delegations[subject][by];
        bool succeeds = _succeeds(own);
        bool writable = stored == 0 || stored.delegator() == by || succeeds;
        if (stored.sequence() >= DELEGATORS_LAST && !succeeds) revert DelegationNotYours(subject, by);
        if (!writable || own.scopesAt(_minute()) & DelegationWord.DELEGATE == 0) revert DelegationNotYours(subject, by);
    }

    function _requireDelegate(address subject, address delegate) private pure {
        if (delegate == address(0) || delegate == subject) revert DelegateNotPossible(delegate);
    }

    function _hashDelegation(
        address subject,
        address delegate,
        uint256 word,
        uint256 deadline
    ) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    DELEGATION_TYPEHASH,
                    subject,
                    delegate,
                    word.delegator(),
                    word.delegatorSequence(),
                    word.sequence(),
                    word.kind(),
                    word.may(DelegationWord.GRANT),
                    word.may(DelegationWord.REVOKE),
                    word.may(DelegationWord.VIEW),
                    word.may(DelegationWord.DELEGATE),
                    word.validFrom(),
                    word.validUntil(),
                    deadline
                )
            );
    }

    /* REVOCATION */

    /// @inheritdoc IDelegations
    /// @dev The delegation stays as a tombstone, so that no old signature revives it. A delegator that could name any
    /// sequence could close a delegate to the subject for good.
    function revokeDelegation(
        address subject,
        address delegate,
        address by,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(abi.encode(REVOCATION_TYPEHASH, subject, delegate, by, sequence, deadline));
        _requireAuthor(by, structHash, deadline, signature);
        _requireDelegate(subject, delegate);
        uint256 stored = _delegations[subject][delegate];
        bool free = by == delegate || _isSubject(subject, by);
        if (!free) _requireDelegator(subject, by, stored);
        uint256 highest = free ? DelegationWord.LAST_SEQUENCE : stored.nextSequence();
        if (sequence <= stored.sequence() || sequence > highest) revert DelegationStale(stored.sequence(), sequence);

        _revoke(subject, delegate, by, stored, sequence);
    }

    function _revoke(address subject, address delegate, address by, uint256 stored, uint256 sequence) private {
        uint256 word = stored.revoked(sequence, by);
        _delegations[subject][delegate] = word;

        emit DelegationRevoked(subject, delegate, by, word);
    }

    /* GUARDIANS */

    /// @inheritdoc IDelegations
    function nameGuardians(
        address subject,
        address by,
        bytes32 commitment,
        uint256 round,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(abi.encode(GUARDIANS_TYPEHASH, subject, by, commitment, round, deadline));
        _requireAuthor(by, structHash, deadline, signature);

        _endRecovery(subject, by, round);
        _guardians[subject] = commitment;

        emit GuardiansNamed(subject, by, commitment, round);
    }

    /// @inheritdoc IDelegations
    function objectToRecovery(
        address subject,
        address by,
        uint256 round,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(abi.encode(OBJECTION_TYPEHASH, subject, by, round, deadline));
        _requireAuthor(by, structHash, deadline, signature);

        _endRecovery(subject, by, round);

        emit RecoveryObjected(subject, by, round);
    }

    /// @dev Guardians who start one recovery after the other cannot outrun the subject: it names a higher round.
    function _endRecovery(address subject, address by, uint256 round) private {
        if (!_isSubject(subject, by)) revert NotTheSubject(subject, by);
        uint256 stored = _recoveries[subject].round;
        if (round <= stored || round > LAST_ROUND) revert RoundStale(stored, round);

        _recoveries[subject] = Recovery(address(0), 0, uint48(round));
    }

    /* RECOVERY */

    /// @inheritdoc IDelegations
    /// @dev The round binds the approvals to these guardians: naming others takes a round of its own. Accounts that
    /// rise are different, and so there are no more of them than members.
    function startRecovery(
        address subject,
        address successor,
        uint256 round,
        uint256 deadline,
        Guardians calldata guardians,
        Approval[] calldata approvals
    ) external {
        if (successor == address(0) || successor == subject) revert SuccessorNotPossible(successor);
        uint256 stored = _recoveries[subject].round;
        if (round != stored + 1 || round == LAST_ROUND) revert RoundStale(stored, round);
        bytes32 commitment = keccak256(abi.encode(guardians));
        if (_guardians[subject] != commitment) revert GuardiansMismatch(subject, commitment);
        _requireInRange(guardians);
        if (approvals.length < guardians.threshold) revert ApprovalsTooFew(approvals.length, guardians.threshold);
        address last;
        for (uint256 place = 0; place < approvals.length; ++place) {
            Approval calldata approval = approvals[place];
            if (approval.guardian <= last) revert ApprovalsUnordered(approval.guardian);
            last = approval.guardian;
            _requireNamed(successor, guardians.members, approval);
            bytes32 structHash = keccak256(abi.encode(RECOVERY_TYPEHASH, last, subject, successor, round, deadline));
            _requireAuthor(last, structHash, deadline, approval.signature);
        }

        // A timestamp of 48 bits lasts nine million years; the round is below LAST_ROUND.
        uint48 readyAt = uint48(block.timestamp + guardians.delay);
        _recoveries[subject] = Recovery(successor, readyAt, uint48(round));

        emit RecoveryStarted(subject, successor, readyAt, round);
        for (uint256 place = 0; place < approvals.length; ++place) {
            emit RecoveryApproved(subject, approvals[place].guardian, round);
        }
    }

    function _requireInRange(Guardians calldata guardians) private pure {
        uint256 count = guardians.members.length;
        bool counted = count <= MOST_GUARDIANS && guardians.threshold != 0 && guardians.threshold <= count;
        if (!counted || guardians.delay < SHORTEST_DELAY || guardians.delay > LONGEST_DELAY) {
            revert GuardiansOutOfRange(count, guardians.threshold, guardians.delay);
        }
    }

    /// @dev No guardian approves itself as the successor.
    function _requireNamed(address successor, bytes32[] calldata members, Approval calldata approval) private pure {
        if (approval.guardian == successor) revert SuccessorNotPossible(successor);
        bytes32 member = keccak256(abi.encode(approval.guardian, approval.salt));
        bool named = approval.position < members.length && members[approval.position] == member;
        if (!named) revert GuardianNotNamed(approval.guardian);
    }

    /// @inheritdoc IDelegations
    function completeRecovery(address subject) external {
        Recovery memory recovery = _recoveries[subject];
        if (recovery.readyAt == 0) revert RecoveryNotUnderWay(subject);
        if (block.timestamp < recovery.readyAt) revert RecoveryTooEarly(subject, recovery.readyAt);
        address successor = recovery.successor;
        address former = successorOf[subject];
        uint256 stored = _delegations[subject][successor];
        uint256 sequence = stored.nextSequence();
        if (sequence >= DelegationWord.LAST_SEQUENCE) revert DelegationStale(stored.sequence(), sequence);

        uint256 word = DelegationWord.successor(sequence, _minute(), subject);
        _delegations[subject][successor] = word;
        successorOf[subject] = successor;
        _recoveries[subject] = Recovery(address(0), 0, recovery.round);

        emit RecoveryCompleted(subject, successor, word, recovery.round);
        if (former != successor && _isSubject(subject, former)) {
            stored = _delegations[subject][former];
            _revoke(subject, former, successor, stored, stored.nextSequence());
        }
    }

    /// @dev A successor stands for the subject: it is the same person with another key.
    function _isSubject(address subject, address by) private view returns (bool) {
        return by == subject || _succeeds(_delegations[subject][by]);
    }

    /// @dev A successor's delegation has no end; one without scopes is revoked.
    function _succeeds(uint256 word) private pure returns (bool) {
        return word.kind() == uint256(Kind.Successor) && word.scopes() != 0;
    }

    /* AUTHORS */

    /// @dev Reverts unless the message is the author's: it sends it itself (empty signature), or it signed it.
    function _requireAuthor(address by, bytes32 structHash, uint256 deadline, bytes calldata signature) private view {
        if (signature.length != 0) _requireSigned(by, structHash, deadline, signature);
        else if (by != msg.sender) revert SignatureInvalid(by);
    }

    /* READING */

    /// @inheritdoc IDelegations
    /// @dev What a delegate gave hangs on that delegate's own delegation, which the subject gave: one further read.
    function scopesOf(address subject, address delegate) external view returns (uint256 scopes) {
        uint256 word = _delegations[subject][delegate];
        scopes = word.scopesAt(_minute());
        address delegator = word.delegator();
        if (scopes == 0 || delegator == subject) return scopes;

        uint256 own = _delegations[subject][delegator];
        bool hangs = own.sequence() == word.delegatorSequence() && own.scopesAt(_minute()) != 0;
        return hangs ? scopes : 0;
    }

    /// @inheritdoc IDelegations
    function delegationOf(address subject, address delegate) external view returns (uint256 word) {
        return _delegations[subject][delegate];
    }

    /// @inheritdoc IDelegations
    function guardiansOf(address subject) external view returns (bytes32 commitment) {
        return _guardians[subject];
    }

    /// @inheritdoc IDelegations
    function recoveryOf(address subject) external view returns (Recovery memory) {
        return _recoveries[subject];
    }

    function _minute() private view returns (uint256) {
        return block.timestamp / 1 minutes;
    }
}
