// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {IDelegations} from "./interfaces/IDelegations.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {BreakGlass} from "./base/BreakGlass.sol";
import {Delegated} from "./base/Delegated.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {RuleWord} from "./libraries/RuleWord.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title ConsentRegistry
/// @notice The consent rules of all subjects, one storage slot each.
contract ConsentRegistry is IConsentRegistry, BreakGlass {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;
    using RuleWord for uint256;

    bytes32 private constant RULE_TYPEHASH = keccak256(
        "Rule(address subject,address grantee,uint8 index,uint16 sequence,bool deny,bool delegable,"
        "bool breakGlassRefused,bytes32 terms,uint8 partyKinds,uint16 dataFrom,uint16 dataUntil,uint32 validFrom,"
        "uint32 validUntil,uint16 purposes,uint24 classes,uint24 conditions,uint24 sensitivities,uint8 settings,"
        "uint8 actions,uint24 research,uint256 deadline)"
    );
    bytes32 private constant REVOCATION_TYPEHASH = keccak256(
        "Revocation(address subject,address grantee,uint8 index,uint16 sequence,uint256 deadline)"
    );
    bytes32 private constant WITHDRAWAL_TYPEHASH = keccak256("Withdrawal(address subject,uint256 deadline)");

    uint256 private constant RULES_PER_PAIR = 16;
    uint256 private constant LAST_SEQUENCE = type(uint16).max;
    uint256 private constant LAST_TERMS = 4095;

    uint256 private constant PERMITTED = uint256(Reason.Permitted);

    /// @dev The number of the group of everyone in the Registrar.
    uint256 private constant EVERYONE = 1;

    /// @notice The rules of one subject for one grantee. Most pairs have one rule: it is found with one hash less.
    /// @param first The rule at index 0.
    /// @param further The rules from index 1 on.
    struct Rules {
        Slot first;
        mapping(uint256 index => Slot) further;
    }

    /// @notice Where one rule is kept.
    struct Slot {
        uint256 word;
    }

    mapping(address subject => mapping(address grantee => Rules)) private _rules;
    bytes32[LAST_TERMS + 1] private _terms;
    mapping(bytes32 terms => uint256 number) private _termsNumbers;

    /// @inheritdoc IConsentRegistry
    uint256 public termsCount;

    /// @param authority The AccessManager that decides who publishes terms.
    constructor(
        address authority,
        IRegistrar registrar_,
        IDelegations delegations_
    ) EIP712("MedProof ConsentRegistry", "1") AccessManaged(authority) Delegated(delegations_) BreakGlass(registrar_) {}

    /* GRANT AND CHANGE */

    /// @inheritdoc IConsentRegistry
    function setRule(address grantee, uint256 word) external {
        _setRule(_rules[msg.sender][grantee], msg.sender, grantee, word);
    }

    /// @inheritdoc IConsentRegistry
    function setRules(Change[] calldata changes) external {
        mapping(address grantee => Rules) storage rules = _rules[msg.sender];
        for (uint256 i = 0; i < changes.length; ++i) {
            Change calldata change = changes[i];
            address grantee = change.grantee;
            _setRule(rules[grantee], msg.sender, grantee, change.word);
        }
    }

    /// @inheritdoc IConsentRegistry
    /// @dev The sequence that the rule replaces is signed, so that no message counts twice.
    function setRuleFor(
        address subject,
        address grantee,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external {
        Rules storage rules = _rules[subject][grantee];
        _requireAuthor(subject, _scope(rules, word), _hash(subject, grantee, word, deadline), deadline, signature);

        _setRule(rules, subject, grantee, word);
    }

    /// @inheritdoc IConsentRegistry
    function setRulesFor(SignedChange[] calldata changes) external {
        bytes32 domain = _domainSeparatorV4();
        for (uint256 i = 0; i < changes.length; ++i) {
            SignedChange calldata change = changes[i];
            (address subject, address grantee, uint256 word) = (change.subject, change.grantee, change.word);
            uint256 deadline = change.deadline;
            if (block.timestamp > deadline) revert MessageExpired(deadline, block.timestamp);
            bytes32 digest = MessageHashUtils.toTypedDataHash(domain, _hash(subject, grantee, word, deadline));
            (address author, , ) = ECDSA.tryRecover(digest, change.r, change.vs);
            Rules storage rules = _rules[subject][grantee];
            if (author != subject || author == address(0)) {
                if (!_isDelegate(subject, author, _scope(rules, word))) revert SignatureInvalid(subject);
            }

            _setRule(rules, subject, grantee, word);
        }
    }

    /// @dev The one path of every grant, change and revocation.
    function _setRule(Rules storage rules, address subject, address grantee, uint256 word) private {
        if (grantee == address(0)) revert GranteeMissing();
        if (word & RuleWord.NOT_WRITABLE != 0) {
            word.requireRevocation();
            return _revoke(rules, subject, grantee, word);
        }
        word.requireWritable();
        uint256 index = word.index();
        Slot storage slot = _slot(rules, index);
        uint256 stored = slot.word;
        // The last sequence is kept for revocation, which must always be possible.
        if (!word.isNextOf(stored)) revert SequenceStale(stored.sequence(), word.sequence());

        if (index != 0) _follow(subject, grantee, rules, index);
        word |= stored & RuleWord.FOLLOWS;
        slot.word = word;

        emit RuleSet(subject, grantee, word);
    }

    /// @dev Marks the rules before `index` as followed, down to one that is marked, so that evaluation reaches it.
    /// Those that are not marked yet are tombstones whose revocation came before them, or the last rule so far.
    function _follow(address subject, address grantee, Rules storage rules, uint256 index) private {
        for (; index != 0; --index) {
            Slot storage slot = _slot(rules, index - 1);
            uint256 before = slot.word;
            if (before == 0) revert RuleIndexGap(index);
            if (before & RuleWord.FOLLOWS != 0) return;

            before |= RuleWord.FOLLOWS;
            slot.word = before;

            emit RuleSet(subject, grantee, before);
        }
    }

    function _slot(Rules storage rules, uint256 index) private view returns (Slot storage) {
        return index == 0 ? rules.first : rules.further[index];
    }

    /// @dev What a delegate needs to write such a word.
    function _scope(Rules storage rules, uint256 word) private view returns (uint256) {
        return word & RuleWord.REVOKED == 0 ? GRANT : _scopeToRevoke(rules, word.index(), word.sequence());
    }

    /// @dev To revoke what refuses is to permit, and takes the scope to grant as well. To overtake what the subject may
    /// have signed, also where no rule stands, or to close an index for good, takes every scope.
    function _scopeToRevoke(Rules storage rules, uint256 index, uint256 sequence) private view returns (uint256) {
        uint256 stored = _slot(rules, index).word;
        bool stands = stored != 0 && stored & RuleWord.REVOKED == 0;
        if (!stands || sequence != stored.sequence() + 1 || sequence == LAST_SEQUENCE) return EVERY_SCOPE;
        return stored & (RuleWord.DENY | RuleWord.BREAK_GLASS_REFUSED) == 0 ? REVOKE : GRANT | REVOKE;
    }

    /// @dev The hash of the message that a wallet signs: a rule, or its revocation.
    function _hash(address subject, address grantee, uint256 word, uint256 deadline) private view returns (bytes32) {
        if (word & RuleWord.REVOKED != 0) {
            return
                RuleWord.hashRevocation(REVOCATION_TYPEHASH, subject, grantee, word.index(), word.sequence(), deadline);
        }
        uint256 number = word.termsNumber();
        bytes32 terms = _terms[number];
        if (terms == 0) {
            if (number != 0) revert TermsUnknown(number);
        }
        return word.hashStruct(RULE_TYPEHASH, subject, grantee, terms, deadline);
    }

    /* REVOCATION */

    /// @inheritdoc IConsentRegistry
    function revokeRule(address grantee, uint256 index, uint256 sequence) external {
        _revokeRule(msg.sender, grantee, index, sequence);
    }

    /// @inheritdoc IConsentRegistry
    function revokeRuleFor(
        address subject,
        address grantee,
        uint256 index,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = RuleWord.hashRevocation(REVOCATION_TYPEHASH, subject, grantee, index, sequence, deadline);
        uint256 scope = _scopeToRevoke(_rules[subject][grantee], index, sequence);
        _requireAuthor(subject, scope, structHash, deadline, signature);

        _revokeRule(subject, grantee, index, sequence);
    }

    function _revokeRule(address subject, address grantee, uint256 index, uint256 sequence) private {
        if (grantee == address(0)) revert GranteeMissing();
        if (index >= RULES_PER_PAIR) revert RuleIndexOutOfRange(index);
        Rules storage rules = _rules[subject][grantee];
        if (sequence > LAST_SEQUENCE) revert SequenceStale(_slot(rules, index).word.sequence(), sequence);
        _revoke(rules, subject, grantee, RuleWord.REVOKED | (index << 16) | sequence);
    }

    /// @dev The rule stays as a tombstone, so that no old signature revives it.
    /// @param revocation The flag revoked, index and sequence, and nothing else.
    function _revoke(Rules storage rules, address subject, address grantee, uint256 revocation) private {
        uint256 index = revocation.index();
        Slot storage slot = _slot(rules, index);
        uint256 stored = slot.word;
        if (revocation.sequence() <= stored.sequence()) {
            revert SequenceStale(stored.sequence(), revocation.sequence());
        }

        uint256 word = (stored & ~RuleWord.SEQUENCE) | revocation;
        slot.word = word;

        emit RuleRevoked(subject, grantee, word);
    }

    /// @inheritdoc IConsentRegistry
    /// @dev Everyone's first rule becomes a deny of everything with the last sequence, which nothing follows.
    function withdraw(address subject, uint256 deadline, bytes calldata signature) external {
        bytes32 structHash = keccak256(abi.encode(WITHDRAWAL_TYPEHASH, subject, deadline));
        _requireAuthor(subject, EVERY_SCOPE, structHash, deadline, signature);

        address everyone = address(uint160(EVERYONE));
        Slot storage slot = _rules[subject][everyone].first;
        uint256 kept = RuleWord.FOLLOWS;
        if (slot.word & RuleWord.REVOKED == 0) kept |= RuleWord.BREAK_GLASS_REFUSED;
        uint256 word = RuleWord.DENY_EVERYTHING | LAST_SEQUENCE | (slot.word & kept);
        slot.word = word;

        emit RuleSet(subject, everyone, word);
    }

    /* TERMS */

    /// @inheritdoc IConsentRegistry
    function publishTerms(bytes32 terms) external restricted returns (uint256 number) {
        if (terms == 0) revert TermsMissing();
        if (_termsNumbers[terms] != 0) revert TermsAlreadyPublished(_termsNumbers[terms]);
        if (termsCount == LAST_TERMS) revert TermsExhausted();

        number = ++termsCount;
        _terms[number] = terms;
        _termsNumbers[terms] = number;

        emit TermsPublished(number, terms);
    }

    /* EVALUATION */

    /// @inheritdoc IConsentRegistry
    function isPermitted(address subject, address actor, uint256 request) external view returns (bool) {
        (uint256 reason, , ) = _decide(subject, actor, request);
        return reason == PERMITTED || reason == uint256(Reason.BreakGlass);
    }

    /// @inheritdoc IConsentRegistry
    function decide(
        address subject,
        address actor,
        uint256 request
    ) external view returns (Reason reason, address grantee, uint256 word) {
        uint256 number;
        (number, grantee, word) = _decide(subject, actor, request);
        reason = Reason(number);
    }

    function _decide(
        address subject,
        address actor,
        uint256 request
    ) private view returns (uint256 reason, address grantee, uint256 word) {
        uint256 case_ = request.complete();
        if (case_ == 0) return (uint256(Reason.MalformedRequest), address(0), 0);
        uint256 standing = registrar.standing(actor);
        if (standing == 0) return (uint256(Reason.InactiveParty), address(0), 0);
        case_ = case_.asked(standing.kindNumber(), block.timestamp / 1 minutes);

        (reason, grantee, word) = _evaluate(subject, standing, case_);
        if (reason != PERMITTED && _opens(subject, standing, case_)) reason = uint256(Reason.BreakGlass);
    }

    /// @dev Reads the rules for the actor's party, for everyone, and for each of the party's groups (four at most,
    /// without gaps): at most six lists of at most 16 words, all written by the subject. Reasons are plain numbers
    /// here, since the compiler would check an enumeration's range at every turn.
    function _evaluate(
        address subject,
        uint256 standing,
        uint256 case_
    ) private view returns (uint256 nearest, address grantee, uint256 word) {
        nearest = uint256(Reason.NoRule);
        mapping(address grantee => Rules) storage rulesOf = _rules[subject];
        address candidate = standing.id();
        uint256 groups = (uint256(standing.groups()) << 16) | EVERYONE;
        while (true) {
            Rules storage rules = rulesOf[candidate];
            uint256 rule = rules.first.word;
            for (uint256 next = 1; rule != 0; ++next) {
                if (rule & RuleWord.DENY != 0) {
                    if (rule.touches(case_)) return (uint256(Reason.Denied), candidate, rule);
                } else if (nearest != PERMITTED) {
                    if (rule.covers(case_)) {
                        (nearest, grantee, word) = (PERMITTED, candidate, rule);
                    } else if (uint256(rule.shortfall(case_)) > nearest) {
                        (nearest, grantee, word) = (uint256(rule.shortfall(case_)), candidate, rule);
                    }
                }
                if (rule & RuleWord.FOLLOWS == 0) break;
                rule = rules.further[next].word;
            }
            if (groups == 0) return (nearest, grantee, word);
            candidate = address(uint160(uint16(groups)));
            groups >>= 16;
        }
    }

    /// @dev Whether a case is permitted because the glass was broken.
    function _opens(address subject, uint256 standing, uint256 case_) private view returns (bool) {
        if (!case_.isBreakGlass() || !_hasBrokenGlass(subject, standing)) return false;
        return !_refuses(subject, standing, case_, false);
    }

    /// @inheritdoc BreakGlass
    function _refusesBreakGlass(address subject, uint256 standing) internal view override returns (bool) {
        uint256 case_ = uint256(0).complete().asked(standing.kindNumber(), block.timestamp / 1 minutes);
        return _refuses(subject, standing, case_, true);
    }

    /// @dev Whether a rule refuses break-glass for a case, or for all of it; the lists are those of `_evaluate`.
    function _refuses(
        address subject,
        uint256 standing,
        uint256 case_,
        bool wholly
    ) private view returns (bool refused) {
        address candidate = standing.id();
        uint256 groups = (uint256(standing.groups()) << 16) | EVERYONE;
        while (true) {
            Rules storage rules = _rules[subject][candidate];
            uint256 rule = rules.first.word;
            for (uint256 next = 1; rule != 0; ++next) {
                if (rule.refusesBreakGlass(case_) && (!wholly || rule.refusesAll(case_))) return true;
                if (rule & RuleWord.FOLLOWS == 0) break;
                rule = rules.further[next].word;
            }
            if (groups == 0) return false;
            candidate = address(uint160(uint16(groups)));
            groups >>= 16;
        }
    }

    /* READING */

    /// @inheritdoc IConsentRegistry
    function ruleOf(address subject, address grantee, uint256 index) external view returns (uint256 word) {
        if (index >= RULES_PER_PAIR) revert RuleIndexOutOfRange(index);
        return _slot(_rules[subject][grantee], index).word;
    }

    /// @inheritdoc IConsentRegistry
    function termsOf(uint256 number) external view returns (bytes32) {
        return number > LAST_TERMS ? bytes32(0) : _terms[number];
    }

    /// @inheritdoc IConsentRegistry
    function termsNumberOf(bytes32 terms) external view returns (uint256 number) {
        return _termsNumbers[terms];
    }
}
