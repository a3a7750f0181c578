// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsentRegistry} from "../interfaces/IConsentRegistry.sol";

/// @title RuleWord
/// @notice The layout of a consent rule, one 256-bit word, and what it means: when a word may be written, and
/// whether it covers a request. A request is a word of the same layout that sets only the fields it asks for.
/// @dev Bits, from the least significant: sequence 16, index 4, flags 5 (deny, delegable, break-glass refused,
/// another rule follows, revoked), terms 12, party kinds 8, dataFrom 16, dataUntil 16, validFrom 28, validUntil 28,
/// purposes 16, classes 24, conditions 22, sensitivities 24, settings 8, actions 6, research 23. The code lists
/// stand in docs/rule-word.md.
library RuleWord {
    /* LAYOUT */

    uint256 internal constant SEQUENCE = 0xFFFF;
    uint256 internal constant INDEX = 0xF << 16;
    uint256 internal constant DENY = 1 << 20;
    uint256 internal constant DELEGABLE = 1 << 21;
    uint256 internal constant BREAK_GLASS_REFUSED = 1 << 22;
    uint256 internal constant FOLLOWS = 1 << 23;
    uint256 internal constant REVOKED = 1 << 24;
    uint256 internal constant TERMS = 0xFFF << 25;
    uint256 internal constant PARTY_KINDS = 0xFF << 37;
    uint256 internal constant DATA_FROM = 0xFFFF << 45;
    uint256 internal constant DATA_UNTIL = 0xFFFF << 61;
    uint256 internal constant VALID_FROM = 0xFFFFFFF << 77;
    uint256 internal constant VALID_UNTIL = 0xFFFFFFF << 105;
    uint256 internal constant PURPOSES = 0xFFFF << 133;
    uint256 internal constant CLASSES = 0xFFFFFF << 149;
    uint256 internal constant CONDITIONS = 0x3FFFFF << 173;
    uint256 internal constant SENSITIVITIES = 0xFFFFFF << 195;
    uint256 internal constant SETTINGS = 0xFF << 219;
    uint256 internal constant ACTIONS = 0x3F << 227;
    uint256 internal constant PERMISSIONS = 0x1F << 233;
    uint256 internal constant MODIFIERS = 0x3FFFF << 238;

    /// @dev Of each field, the bits that stand for a code; the others are reserved and refused everywhere.
    uint256 internal constant PARTY_KINDS_DEFINED = 0x3F << 37;
    uint256 internal constant PURPOSES_DEFINED = 0x7FFF << 133;
    uint256 internal constant CLASSES_DEFINED = 0x3FFFFF << 149;
    uint256 internal constant SENSITIVITIES_DEFINED = 0x1FFFFF << 195;
    uint256 internal constant ACTIONS_DEFINED = 0x1F << 227;
    uint256 internal constant RESERVED =
        (PARTY_KINDS ^ PARTY_KINDS_DEFINED) |
            (PURPOSES ^ PURPOSES_DEFINED) |
            (CLASSES ^ CLASSES_DEFINED) |
            (SENSITIVITIES ^ SENSITIVITIES_DEFINED) |
            (ACTIONS ^ ACTIONS_DEFINED);

    /// @dev The bits that no rule has when it is written: the reserved ones, and those that the contract owns.
    uint256 internal constant NOT_WRITABLE = RESERVED | FOLLOWS | REVOKED;

    /// @dev The purpose BTG, and the actions ACCESS and USE that it is good for.
    uint256 internal constant BREAK_GLASS = 0x4 << 133;
    uint256 internal constant BREAK_GLASS_ACTIONS = 0x6 << 227;

    /// @dev The fields in which a rule that refuses break-glass speaks of a case.
    uint256 private constant REFUSED = PARTY_KINDS | CLASSES | CONDITIONS | SENSITIVITIES | SETTINGS;
    uint256 private constant REFUSED_HIGHEST = (1 << 44) | (1 << 172) | (1 << 194) | (1 << 218) | (1 << 226);

    /// @dev Where memory is free when nothing is kept, and how much above it `hashStruct` writes over.
    uint256 private constant LOWEST_FREE = 0x80;
    uint256 private constant HASHED = 0x240;

    /// @dev The purposes HRESCH, CLINTRCH and DSRCH (bits 11, 12 and 13): the research field governs them alone.
    uint256 internal constant RESEARCH_PURPOSES = 0x3800 << 133;

    /// @dev A rule that denies everything to every kind of party, always.
    uint256 internal constant DENY_EVERYTHING =
        DENY |
            PARTY_KINDS_DEFINED |
            DATA_UNTIL |
            VALID_UNTIL |
            PURPOSES_DEFINED |
            CLASSES_DEFINED |
            CONDITIONS |
            SENSITIVITIES_DEFINED |
            SETTINGS |
            ACTIONS_DEFINED |
            PERMISSIONS;

    /// @dev What a request may set.
    uint256 internal constant REQUEST =
        PURPOSES_DEFINED |
            CLASSES_DEFINED |
            CONDITIONS |
            SENSITIVITIES_DEFINED |
            SETTINGS |
            ACTIONS_DEFINED |
            PERMISSIONS |
            MODIFIERS |
            DATA_FROM |
            DATA_UNTIL;

    /// @dev The DUO permissions: NRES includes GRU, GRU includes HMB and POA, HMB includes DS.
    uint256 private constant NRES = 1 << 233;
    uint256 private constant GRU = 1 << 234;
    uint256 private constant HMB = 1 << 235;
    uint256 private constant DS = 1 << 236;
    uint256 private constant POA = 1 << 237;

    /// @dev The fields in which a permit must have every bit of the case.
    uint256 internal constant COVERED =
        PARTY_KINDS | PURPOSES | CLASSES | CONDITIONS | SENSITIVITIES | SETTINGS | ACTIONS | PERMISSIONS;

    /// @dev The fields of codes, each with its highest bit.
    uint256 private constant CODES = PURPOSES | CLASSES | CONDITIONS | SENSITIVITIES | SETTINGS | ACTIONS;
    uint256 private constant CODES_HIGHEST =
        (1 << 148) | (1 << 172) | (1 << 194) | (1 << 218) | (1 << 226) | (1 << 232);
    uint256 private constant PARTY_KINDS_HIGHEST = 1 << 44;
    uint256 private constant DATA_UNTIL_HIGHEST = 1 << 76;

    function sequence(uint256 word) internal pure returns (uint256) {
        return word & SEQUENCE;
    }

    /// @dev Whether a word follows the stored one, and is not the last.
    function isNextOf(uint256 word, uint256 stored) internal pure returns (bool) {
        unchecked {
            // One more of 16 bits here, two more there: the last sequence becomes zero, which follows none.
            return (word + 1) & SEQUENCE == (stored & SEQUENCE) + 2;
        }
    }

    function termsNumber(uint256 word) internal pure returns (uint256) {
        return (word & TERMS) >> 25;
    }

    function index(uint256 word) internal pure returns (uint256) {
        return (word & INDEX) >> 16;
    }

    /// @dev The EIP-712 hash of a rule that a wallet signs: one field per meaning, and the terms' hash itself, not its
    /// number. Written over the low memory, which is put back where something is kept there: fixed places are
    /// cheaper, and a batch does not pay for memory that grows.
    function hashStruct(
        uint256 word,
        bytes32 typeHash,
        address subject,
        address grantee,
        bytes32 terms,
        uint256 deadline
    ) internal pure returns (bytes32 structHash) {
        uint256 free;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        if (free > LOWEST_FREE) _copyHashed(LOWEST_FREE, free + HASHED);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(0, typeHash)
            mstore(0x20, subject)
            mstore(0x40, grantee)
            mstore(0x60, and(shr(16, word), 0xF))
            mstore(0x80, and(word, 0xFFFF))
            mstore(0xa0, and(shr(20, word), 1))
            mstore(0xc0, and(shr(21, word), 1))
            mstore(0xe0, and(shr(22, word), 1))
            mstore(0x100, terms)
            mstore(0x120, and(shr(37, word), 0xFF))
            mstore(0x140, and(shr(45, word), 0xFFFF))
            mstore(0x160, and(shr(61, word), 0xFFFF))
            mstore(0x180, and(shr(77, word), 0xFFFFFFF))
            mstore(0x1a0, and(shr(105, word), 0xFFFFFFF))
            mstore(0x1c0, and(shr(133, word), 0xFFFF))
            mstore(0x1e0, and(shr(149, word), 0xFFFFFF))
            mstore(0x200, and(shr(173, word), 0x3FFFFF))
            mstore(0x220, and(shr(195, word), 0xFFFFFF))
            mstore(0x240, and(shr(219, word), 0xFF))
            mstore(0x260, and(shr(227, word), 0x3F))
            mstore(0x280, shr(233, word))
            mstore(0x2a0, deadline)
            structHash := keccak256(0, 0x2c0)
            mstore(0x40, free)
            mstore(0x60, 0)
        }
        if (free > LOWEST_FREE) _copyHashed(free + HASHED, LOWEST_FREE);
    }

    /// @dev Copies as much memory as `hashStruct` writes over, above the places that it puts back itself.
    function _copyHashed(uint256 from, uint256 to) private pure {
        for (uint256 i = 0; i < HASHED; i += 32) {
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                mstore(add(to, i), mload(add(from, i)))
            }
        }
    }

    /// @dev The EIP-712 hash of a revocation; it takes no memory, so that rules after it in a batch are hashed cheaply.
    function hashRevocation(
        bytes32 typeHash,
        address subject,
        address grantee,
        uint256 index_,
        uint256 sequence_,
        uint256 deadline
    ) internal pure returns (bytes32 structHash) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, typeHash)
            mstore(add(m, 0x20), subject)
            mstore(add(m, 0x40), grantee)
            mstore(add(m, 0x60), index_)
            mstore(add(m, 0x80), sequence_)
            mstore(add(m, 0xa0), deadline)
            structHash := keccak256(m, 0xc0)
        }
    }

    /* WRITING */

    /// @dev Reverts unless a word is a revocation: the flag revoked, index and sequence, and nothing else. A word that
    /// is no revocation is refused for the bits that no rule has.
    function requireRevocation(uint256 word) internal pure {
        uint256 wrong = word & REVOKED == 0 ? NOT_WRITABLE : ~(REVOKED | INDEX | SEQUENCE);
        if (word & REVOKED == 0 || word & wrong != 0) revert IConsentRegistry.RuleBitsReserved(word & wrong);
    }

    /// @dev Reverts unless a subject may write this word, which has none of the bits `NOT_WRITABLE`: no empty field (it
    /// would permit or deny nothing), no empty period, and a research field that goes with the purposes.
    function requireWritable(uint256 word) internal pure {
        if (_hasEmptyField(word, PARTY_KINDS | CODES, PARTY_KINDS_HIGHEST | CODES_HIGHEST)) _revertEmptyField(word);
        if ((word & VALID_FROM) << 28 >= word & VALID_UNTIL) {
            revert IConsentRegistry.RulePeriodEmpty(_validFrom(word), _validUntil(word));
        }
        if ((word & DATA_FROM) << 16 > word & DATA_UNTIL) {
            revert IConsentRegistry.RuleDataPeriodEmpty(_dataFrom(word), _dataUntil(word));
        }
        if (word & (RESEARCH_PURPOSES | PERMISSIONS | MODIFIERS) != 0) _requireResearch(word);
    }

    /// @dev A research purpose and a permission go together; a deny rule has no modifiers; a permit names every
    /// permission that its permissions include, so that comparing bits is enough.
    function _requireResearch(uint256 word) private pure {
        bool valid = word & RESEARCH_PURPOSES != 0 && word & PERMISSIONS != 0;
        if (word & DENY != 0) valid = valid && word & MODIFIERS == 0;
        else valid = valid && _withIncluded(word) == word;
        if (!valid) revert IConsentRegistry.RuleResearchMismatch(word);
    }

    function _withIncluded(uint256 word) private pure returns (uint256) {
        if (word & NRES != 0) word |= GRU;
        if (word & GRU != 0) word |= HMB | POA;
        if (word & HMB != 0) word |= DS;
        return word;
    }

    /// @dev Whether one of `fields` is empty; `highest` has the highest bit of each. Adding a field's lower bits, all
    /// set, to what it holds there carries into its highest bit unless it holds nothing there; so a highest bit is
    /// clear just where the field is empty, and no carry leaves a field. One test for seven fields, which every grant
    /// and every permission check pays for.
    function _hasEmptyField(uint256 word, uint256 fields, uint256 highest) private pure returns (bool) {
        unchecked {
            return ((((word & (fields ^ highest)) + (fields ^ highest)) | word) & highest) != highest;
        }
    }

    function _revertEmptyField(uint256 word) private pure {
        if (word & PARTY_KINDS == 0) revert IConsentRegistry.RuleFieldEmpty("partyKinds");
        if (word & PURPOSES == 0) revert IConsentRegistry.RuleFieldEmpty("purposes");
        if (word & CLASSES == 0) revert IConsentRegistry.RuleFieldEmpty("classes");
        if (word & CONDITIONS == 0) revert IConsentRegistry.RuleFieldEmpty("conditions");
        if (word & SENSITIVITIES == 0) revert IConsentRegistry.RuleFieldEmpty("sensitivities");
        if (word & SETTINGS == 0) revert IConsentRegistry.RuleFieldEmpty("settings");
        revert IConsentRegistry.RuleFieldEmpty("actions");
    }

    /* EVALUATION */

    /// @dev Returns the case to decide: the request with every field that it leaves empty filled, since what is not
    /// said is asked for in full, and a research permission with those it includes. Fails closed on a bit that no
    /// request may set, on an empty data period, and on research terms without a research purpose; where no research is
    /// asked for, every research modifier is met.
    /// @return case_ Zero where the request is malformed; a case is never zero.
    function complete(uint256 request) internal pure returns (uint256 case_) {
        if (request & ~REQUEST != 0) return 0;
        if (_hasEmptyField(request, DATA_UNTIL | CODES, DATA_UNTIL_HIGHEST | CODES_HIGHEST)) request = _fill(request);
        if (request & (RESEARCH_PURPOSES | PERMISSIONS | MODIFIERS) == 0) request |= MODIFIERS;
        else if (request & RESEARCH_PURPOSES == 0) return 0;
        else if (request & PERMISSIONS == 0) request |= PERMISSIONS;
        else request = _withIncluded(request);
        return _dataFrom(request) > _dataUntil(request) ? 0 : request;
    }

    function _fill(uint256 request) private pure returns (uint256) {
        if (request & PURPOSES == 0) request |= PURPOSES_DEFINED;
        if (request & CLASSES == 0) request |= CLASSES_DEFINED;
        if (request & CONDITIONS == 0) request |= CONDITIONS;
        if (request & SENSITIVITIES == 0) request |= SENSITIVITIES_DEFINED;
        if (request & SETTINGS == 0) request |= SETTINGS;
        if (request & ACTIONS == 0) request |= ACTIONS_DEFINED;
        if (request & DATA_UNTIL == 0) request |= DATA_UNTIL;
        return request;
    }

    /// @dev Returns the case with who asks and when: the bit of the actor's kind, and the minute (since 1970) in the
    /// place of both ends of the period of validity. Minutes have 28 bits until the year 2480.
    /// @param kind The number of the actor's kind, which is not `None`: at most 8, so the sum cannot overflow.
    function asked(uint256 case_, uint256 kind, uint256 minute) internal pure returns (uint256) {
        unchecked {
            return case_ | (1 << (36 + kind)) | (minute << 77) | (minute << 105);
        }
    }

    /// @dev Whether a deny rule touches the case: it is in force and they overlap in every field. Where they overlap in
    /// research purposes only, they must overlap in research permissions too.
    function touches(uint256 word, uint256 case_) internal pure returns (bool) {
        uint256 both = word & case_;
        if (_hasEmptyField(both, PARTY_KINDS | CODES, PARTY_KINDS_HIGHEST | CODES_HIGHEST)) return false;
        if (both & (PERMISSIONS | (PURPOSES ^ RESEARCH_PURPOSES)) == 0) return false;
        if (word & REVOKED != 0) return false;
        if (word & VALID_FROM > case_ & VALID_FROM) return false;
        if (word & VALID_UNTIL <= case_ & VALID_UNTIL) return false;
        return _dataFrom(word) <= _dataUntil(case_) && _dataFrom(case_) <= _dataUntil(word);
    }

    /// @dev Whether a permit covers the case: it is in force and has every bit of it, the case has every modifier of
    /// the permit, and its data period lies inside the permit's.
    function covers(uint256 word, uint256 case_) internal pure returns (bool) {
        if ((case_ & ~word & COVERED) | (word & ~case_ & (MODIFIERS | REVOKED)) != 0) return false;
        if (word & VALID_FROM > case_ & VALID_FROM) return false;
        if (word & VALID_UNTIL <= case_ & VALID_UNTIL) return false;
        if (word & DATA_FROM > case_ & DATA_FROM) return false;
        return word & DATA_UNTIL >= case_ & DATA_UNTIL;
    }

    /// @dev Whether a case is one of break-glass: asked for that purpose alone, to access or use.
    function isBreakGlass(uint256 case_) internal pure returns (bool) {
        return case_ & PURPOSES == BREAK_GLASS && case_ & ACTIONS & ~BREAK_GLASS_ACTIONS == 0;
    }

    /// @dev Whether a rule, permit or deny, refuses break-glass for a case: it is in force and they overlap in party
    /// kind, class, condition, sensitivity, setting and data period. It is asked for one purpose, so that the purposes,
    /// actions and research of the rule play no part.
    function refusesBreakGlass(uint256 word, uint256 case_) internal pure returns (bool) {
        if (word & (BREAK_GLASS_REFUSED | REVOKED) != BREAK_GLASS_REFUSED) return false;
        if (_hasEmptyField(word & case_, REFUSED, REFUSED_HIGHEST)) return false;
        if (word & VALID_FROM > case_ & VALID_FROM) return false;
        if (word & VALID_UNTIL <= case_ & VALID_UNTIL) return false;
        return _dataFrom(word) <= _dataUntil(case_) && _dataFrom(case_) <= _dataUntil(word);
    }

    /// @dev Whether a rule that refuses break-glass for a case refuses all of it.
    function refusesAll(uint256 word, uint256 case_) internal pure returns (bool) {
        if (case_ & ~word & REFUSED != 0) return false;
        return word & DATA_FROM <= case_ & DATA_FROM && word & DATA_UNTIL >= case_ & DATA_UNTIL;
    }

    /// @dev Why a permit does not cover the case. The first check that fails gives the reason; the reasons are numbered
    /// in this order, so that the largest is the nearest miss.
    function shortfall(uint256 word, uint256 case_) internal pure returns (IConsentRegistry.Reason reason) {
        uint256 missing = case_ & ~word;
        if (word & REVOKED != 0) return IConsentRegistry.Reason.Revoked;
        if (word & VALID_FROM > case_ & VALID_FROM) return IConsentRegistry.Reason.NotYetValid;
        if (word & VALID_UNTIL <= case_ & VALID_UNTIL) return IConsentRegistry.Reason.Expired;
        if (missing & PARTY_KINDS != 0) return IConsentRegistry.Reason.PartyKind;
        if (missing & PURPOSES != 0) return IConsentRegistry.Reason.Purpose;
        if (missing & CLASSES != 0) return IConsentRegistry.Reason.DataClass;
        if (missing & CONDITIONS != 0) return IConsentRegistry.Reason.Condition;
        if (missing & SENSITIVITIES != 0) return IConsentRegistry.Reason.Sensitivity;
        if (missing & SETTINGS != 0) return IConsentRegistry.Reason.CareSetting;
        if (missing & ACTIONS != 0) return IConsentRegistry.Reason.Action;
        if (missing & PERMISSIONS != 0 || word & ~case_ & MODIFIERS != 0) return IConsentRegistry.Reason.ResearchUse;
        return IConsentRegistry.Reason.DataPeriod;
    }

    function _dataFrom(uint256 word) private pure returns (uint256) {
        return (word & DATA_FROM) >> 45;
    }

    function _dataUntil(uint256 word) private pure returns (uint256) {
        return (word & DATA_UNTIL) >> 61;
    }

    function _validFrom(uint256 word) private pure returns (uint256) {
        return (word & VALID_FROM) >> 77;
    }

    function _validUntil(uint256 word) private pure returns (uint256) {
        return (word & VALID_UNTIL) >> 105;
    }
}
