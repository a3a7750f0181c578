// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {RuleWord} from "./libraries/RuleWord.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title ConsentRegistry
/// @notice The consent rules of all subjects, one storage slot each.
contract ConsentRegistry is IConsentRegistry, SignedMessages, AccessManaged {
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

    uint256 private constant RULES_PER_PAIR = 16;
    uint256 private constant LAST_SEQUENCE = type(uint16).max;
    uint256 private constant LAST_TERMS = 4095;

    /// @dev The number of the group of everyone in the Registrar.
    uint256 private constant EVERYONE = 1;

    /// @notice The rules of one subject for one grantee. Most pairs have one rule: it is found with one hash less.
    /// @param first The rule at index 0.
    /// @param further The rules from index 1 on.
    struct Rules {
        uint256 first;
        mapping(uint256 index => uint256 word) further;
    }

    /// @inheritdoc IConsentRegistry
    IRegistrar public immutable registrar;

    mapping(address subject => mapping(address grantee => Rules)) private _rules;
    mapping(uint256 number => bytes32 terms) private _terms;
    mapping(bytes32 terms => uint256 number) private _termsNumbers;

    /// @inheritdoc IConsentRegistry
    uint256 public termsCount;

    /// @param authority The AccessManager that decides who publishes terms.
    constructor(
        address authority,
        IRegistrar registrar_
    ) EIP712("MedProof ConsentRegistry", "1") AccessManaged(authority) {
        registrar = registrar_;
    }

    /* GRANT AND CHANGE */

    /// @inheritdoc IConsentRegistry
    function setRule(address grantee, uint256 word) external {
        _setRule(msg.sender, grantee, word);
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
        _requireSigned(subject, _hashRule(subject, grantee, word, deadline), deadline, signature);

        _setRule(subject, grantee, word);
    }

    function _setRule(address subject, address grantee, uint256 word) private {
        if (grantee == address(0)) revert GranteeMissing();
        word.requireWritable();
        Rules storage rules = _rules[subject][grantee];
        uint256 index = word.index();
        uint256 stored = _read(rules, index);
        uint256 sequence = word.sequence();
        // The last sequence is kept for revocation, which must always be possible.
        if (sequence != stored.nextSequence() || sequence == LAST_SEQUENCE) {
            revert SequenceStale(stored.sequence(), sequence);
        }

        if (index != 0) _follow(subject, grantee, rules, index);
        word |= stored & RuleWord.FOLLOWS;
        _write(rules, index, word);

        emit RuleSet(subject, grantee, word);
    }

    /// @dev Marks the rules before `index` as followed, down to one that is marked, so that evaluation reaches it.
    /// Those that are not marked yet are tombstones whose revocation came before them, or the last rule so far.
    function _follow(address subject, address grantee, Rules storage rules, uint256 index) private {
        for (; index != 0; --index) {
            uint256 before = _read(rules, index - 1);
            if (before == 0) revert RuleIndexGap(index);
            if (before & RuleWord.FOLLOWS != 0) return;

            before |= RuleWord.FOLLOWS;
            _write(rules, index - 1, before);

            emit RuleSet(subject, grantee, before);
        }
    }

    function _read(Rules storage rules, uint256 index) private view returns (uint256 word) {
        return index == 0 ? rules.first : rules.further[index];
    }

    function _write(Rules storage rules, uint256 index, uint256 word) private {
        if (index == 0) rules.first = word;
        else rules.further[index] = word;
    }

    /// @dev The wallet shows one field per meaning, and the terms' hash itself rather than its number.
    function _hashRule(
        address subject,
        address grantee,
        uint256 word,
        uint256 deadline
    ) private view returns (bytes32) {
        uint256 number = (word & RuleWord.TERMS) >> 25;
        bytes32 terms;
        if (number != 0) {
            terms = _terms[number];
            if (terms == 0) revert TermsUnknown(number);
        }

        return
            keccak256(
                abi.encode(
                    RULE_TYPEHASH,
                    subject,
                    grantee,
                    (word >> 16) & 0xF,
                    word & 0xFFFF,
                    (word >> 20) & 1,
                    (word >> 21) & 1,
                    (word >> 22) & 1,
                    terms,
                    (word >> 37) & 0xFF,
                    (word >> 45) & 0xFFFF,
                    (word >> 61) & 0xFFFF,
                    (word >> 77) & 0xFFFFFFF,
                    (word >> 105) & 0xFFFFFFF,
                    (word >> 133) & 0xFFFF,
                    (word >> 149) & 0xFFFFFF,
                    (word >> 173) & 0x3FFFFF,
                    (word >> 195) & 0xFFFFFF,
                    (word >> 219) & 0xFF,
                    (word >> 227) & 0x3F,
                    word >> 233,
                    deadline
                )
            );
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
        bytes32 structHash = keccak256(abi.encode(REVOCATION_TYPEHASH, subject, grantee, index, sequence, deadline));
        _requireSigned(subject, structHash, deadline, signature);

        _revokeRule(subject, grantee, index, sequence);
    }

    /// @dev The rule stays as a tombstone, so that no old signature revives it.
    function _revokeRule(address subject, address grantee, uint256 index, uint256 sequence) private {
        if (grantee == address(0)) revert GranteeMissing();
        if (index >= RULES_PER_PAIR) revert RuleIndexOutOfRange(index);
        Rules storage rules = _rules[subject][grantee];
        uint256 stored = _read(rules, index);
        if (sequence <= stored.sequence() || sequence > LAST_SEQUENCE) {
            revert SequenceStale(stored.sequence(), sequence);
        }

        uint256 word = (stored & ~RuleWord.SEQUENCE) | (index << 16) | RuleWord.REVOKED | sequence;
        _write(rules, index, word);

        emit RuleRevoked(subject, grantee, word);
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
        (Reason reason, , ) = decide(subject, actor, request);
        return reason == Reason.Permitted;
    }

    /// @inheritdoc IConsentRegistry
    /// @dev Reads the rules for the actor's party, for everyone, and for each of the party's groups (four at most,
    /// without gaps): at most six lists of at most 16 words, all written by the subject.
    function decide(
        address subject,
        address actor,
        uint256 request
    ) public view returns (Reason reason, address grantee, uint256 word) {
        uint256 case_ = request.complete();
        if (case_ == 0) return (Reason.MalformedRequest, address(0), 0);
        uint256 standing = registrar.standingOf(actor);
        if (standing == 0) return (Reason.InactiveParty, address(0), 0);
        case_ = case_.asked(standing.kindNumber(), block.timestamp / 1 minutes);

        uint256 nearest = uint256(Reason.NoRule);
        mapping(address grantee => Rules) storage rulesOf = _rules[subject];
        address candidate = standing.id();
        uint256 groups = (uint256(standing.groups()) << 16) | EVERYONE;
        while (true) {
            Rules storage rules = rulesOf[candidate];
            uint256 rule = rules.first;
            for (uint256 next = 1; rule != 0; ++next) {
                if (rule & RuleWord.DENY != 0) {
                    if (rule.touches(case_)) return (Reason.Denied, candidate, rule);
                } else if (nearest != 0) {
                    if (rule.covers(case_)) {
                        (nearest, grantee, word) = (0, candidate, rule);
                    } else if (uint256(rule.shortfall(case_)) > nearest) {
                        (nearest, grantee, word) = (uint256(rule.shortfall(case_)), candidate, rule);
                    }
                }
                if (rule & RuleWord.FOLLOWS == 0) break;
                rule = rules.further[next];
            }
            if (groups == 0) return (Reason(nearest), grantee, word);
            candidate = address(uint160(uint16(groups)));
            groups >>= 16;
        }
    }

    /* READING */

    /// @inheritdoc IConsentRegistry
    function ruleOf(address subject, address grantee, uint256 index) external view returns (uint256 word) {
        if (index >= RULES_PER_PAIR) revert RuleIndexOutOfRange(index);
        return _read(_rules[subject][grantee], index);
    }

    /// @inheritdoc IConsentRegistry
    function termsOf(uint256 number) external view returns (bytes32) {
        return _terms[number];
    }

    /// @inheritdoc IConsentRegistry
    function termsNumberOf(bytes32 terms) external view returns (uint256 number) {
        return _termsNumbers[terms];
    }
}
