// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBreakGlass} from "./IBreakGlass.sol";

/// @title ConsentRegistry
/// @notice Keeps who may use a subject's data, for what, and when: permit and deny rules of one word each, written by
/// the subject or its delegates, directly or by a signed message that anyone may relay. The word is laid out in
/// `RuleWord`.
interface IConsentRegistry is IBreakGlass {
    /// @notice Why a request is permitted or refused. From `NoRule` to `DataPeriod`, a larger number is a nearer miss.
    /// `BreakGlass` permits: no rule did, but the glass was broken.
    enum Reason {
        Permitted,
        MalformedRequest,
        InactiveParty,
        Denied,
        NoRule,
        Revoked,
        NotYetValid,
        Expired,
        PartyKind,
        Purpose,
        DataClass,
        Condition,
        Sensitivity,
        CareSetting,
        Action,
        ResearchUse,
        DataPeriod,
        BreakGlass
    }

    /// @notice One of several changes by a subject.
    struct Change {
        address grantee;
        uint256 word;
    }

    /// @notice One of several signed changes.
    /// @param word A rule that is granted or changed; or, with the flag revoked and nothing else but index and
    /// sequence, a revocation.
    /// @param r The signature by a key, of the subject or its delegate, in the short form of EIP-2098.
    struct SignedChange {
        address subject;
        address grantee;
        uint256 word;
        uint256 deadline;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice Thrown when a rule names nobody.
    /// @dev Mend: name a party's identity or a group; everyone is group 1.
    error GranteeMissing();

    /// @notice Thrown when a rule sets bits that are reserved or that the contract itself sets.
    /// @dev Mend: clear the bits given; the code lists stand in docs/rule-word.md.
    error RuleBitsReserved(uint256 bits);

    /// @notice Thrown when a field of a rule has no code set: the rule would permit or deny nothing.
    /// @dev Mend: set at least one code of the field, or all of them to leave it open.
    error RuleFieldEmpty(string field);

    /// @notice Thrown when a rule ends before it begins (minutes since 1970).
    /// @dev Mend: give a later `validUntil`; 2^28 - 1 is no end.
    error RulePeriodEmpty(uint256 validFrom, uint256 validUntil);

    /// @notice Thrown when a rule's data period ends before it begins (days since 1970).
    /// @dev Mend: give a later `dataUntil`; 65535 is no end.
    error RuleDataPeriodEmpty(uint256 dataFrom, uint256 dataUntil);

    /// @notice Thrown when a rule's research field does not go with its purposes: research purposes without a
    /// permission, a research field without a research purpose, a deny rule with modifiers, or a permit that does not
    /// name every permission that its permissions include.
    /// @dev Mend: set a DUO permission with HRESCH, CLINTRCH or DSRCH, none without; no modifier on a deny rule; with
    /// NRES also GRU, with GRU also HMB and POA, with HMB also DS.
    error RuleResearchMismatch(uint256 word);

    /// @notice Thrown when a rule does not carry the sequence that follows the stored one.
    /// @dev Mend: read the rule again and write the sequence `stored + 1`; the last, 65535, is kept for revocation.
    error SequenceStale(uint256 stored, uint256 given);

    /// @notice Thrown when a rule's index leaves a gap: the rule before it does not exist.
    /// @dev Mend: use the next free index of this subject and grantee.
    error RuleIndexGap(uint256 index);

    /// @notice Thrown when an index is above 15.
    /// @dev Mend: use an index from 0 to 15.
    error RuleIndexOutOfRange(uint256 index);

    /// @notice Thrown when a signed rule names terms that were never published.
    /// @dev Mend: name a number that the event `TermsPublished` gave, or 0 for none.
    error TermsUnknown(uint256 number);

    /// @notice Thrown when terms are published with a zero hash.
    /// @dev Mend: give the keccak-256 hash of the consent form.
    error TermsMissing();

    /// @notice Thrown when terms are published a second time.
    /// @dev Mend: use the number given.
    error TermsAlreadyPublished(uint256 number);

    /// @notice Thrown when all 4,095 numbers for terms are used.
    /// @dev Mend: deploy a further registry for further terms.
    error TermsExhausted();

    /// @notice Emitted when a rule is granted, changed, or marked as followed by another; `word` is what is stored.
    event RuleSet(address indexed subject, address indexed grantee, uint256 word);

    /// @notice Emitted when a rule is revoked; `word` is the tombstone that is stored.
    event RuleRevoked(address indexed subject, address indexed grantee, uint256 word);

    /// @notice Emitted when a consent form's hash is published under a number.
    event TermsPublished(uint256 indexed number, bytes32 indexed terms);

    /// @notice Grants a rule, or changes the one whose sequence it follows. The caller is the subject.
    /// @param grantee A party's identity, or a group as `address(uint160(group))`.
    /// @param word The rule; its index says which of the pair's rules it is, its sequence which change.
    /// @dev Warning: the number of the terms is not looked up here. Terms that were published after the rule was
    /// written are not the rule's terms; whoever relies on them compares the two events.
    function setRule(address grantee, uint256 word) external;

    /// @notice The same for a subject, by the subject or its delegate for granting.
    /// @param deadline The last time at which the message counts, in seconds since 1970.
    /// @param signature The author's over `Rule`: 65 bytes of an account's key, or whatever the subject's contract
    /// wallet takes; empty where the author sends.
    function setRuleFor(
        address subject,
        address grantee,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Makes several changes at once, all or none. The caller is the subject. A word with the flag revoked and
    /// nothing else but index and sequence revokes.
    function setRules(Change[] calldata changes) external;

    /// @notice Makes several signed changes at once, of any subjects, all or none, sent by anyone. To skip what fails,
    /// or for contract wallets, send `setRuleFor` and `revokeRuleFor` through `relay`.
    function setRulesFor(SignedChange[] calldata changes) external;

    /// @notice Revokes a rule. The caller is the subject.
    /// @param index The rule's number among those of the subject and grantee.
    /// @param sequence Any sequence above the stored one: the revocation overtakes all rules signed below it, also
    /// those not sent yet, in whatever order a relayer sends them. The rule need not exist yet.
    function revokeRule(address grantee, uint256 index, uint256 sequence) external;

    /// @notice The same for a subject, by the subject or its delegate for revoking. A delegate names the next sequence;
    /// to revoke a rule that denies or refuses break-glass, which permits, it needs the scope to grant as well. With
    /// every scope it may do what the subject may.
    /// @param signature The author's over `Revocation`; empty where the author sends.
    function revokeRuleFor(
        address subject,
        address grantee,
        uint256 index,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Withdraws a subject from everything, for good: everyone is denied everything by a rule that nobody can
    /// change again. For a pseudonym that is given up, or whose key was stolen. By the subject or a delegate with every
    /// scope, as a successor. Break-glass is refused as before; what everyone's first rule refused in part is refused
    /// wholly.
    /// @param signature The author's over `Withdrawal`; empty where the author sends.
    function withdraw(address subject, uint256 deadline, bytes calldata signature) external;

    /// @notice Publishes the hash of a consent form under the next number. Restricted by the authority.
    function publishTerms(bytes32 terms) external returns (uint256 number);

    /// @notice Returns whether a request is permitted now.
    /// @param subject Whose data is asked for.
    /// @param actor The account that asks; it acts for a party in the Registrar.
    /// @param request A word of the rule's layout with what is asked for; a field left empty asks for all of it.
    function isPermitted(address subject, address actor, uint256 request) external view returns (bool);

    /// @notice Returns why a request is permitted or refused now, and the rule that decided.
    /// @return reason The reason; where no rule permits, that of the nearest miss.
    /// @return grantee Under whom the deciding rule stands; zero where no rule decided.
    /// @return word The deciding rule; zero where no rule decided.
    function decide(
        address subject,
        address actor,
        uint256 request
    ) external view returns (Reason reason, address grantee, uint256 word);

    /// @notice Returns a rule as it is stored; zero where there is none.
    function ruleOf(address subject, address grantee, uint256 index) external view returns (uint256 word);

    /// @notice Returns the hash of the terms published under a number; zero where there are none.
    function termsOf(uint256 number) external view returns (bytes32);

    /// @notice Returns the number under which terms are published; zero where they are not.
    function termsNumberOf(bytes32 terms) external view returns (uint256 number);

    /// @notice Returns how many terms are published; their numbers run from 1.
    function termsCount() external view returns (uint256);
}
