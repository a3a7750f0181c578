"""The contracts' errors as Python exceptions; written by `make build` from their comments."""

from __future__ import annotations

from medproof.errors import ContractError


class CallFailed(ContractError):
    """Thrown when a call among several fails and none is to be skipped."""

    signature = "CallFailed(uint256,bytes)"
    rule = "A call among several fails and none is to be skipped."
    step = "The reason is that call's own error; leave the call out, or have failing calls skipped."
    position: int
    reason: bytes


class MessageExpired(ContractError):
    """Thrown when a signed message arrives after its deadline."""

    signature = "MessageExpired(uint256,uint256)"
    rule = "A signed message arrives after its deadline."
    step = "Have the message signed again with a later deadline (seconds since 1970)."
    deadline: int
    timestamp: int


class SignatureInvalid(ContractError):
    """Thrown when a signature is not the named signer's over exactly this message, on this chain and contract."""

    signature = "SignatureInvalid(address)"
    rule = "A signature is not the named signer's over exactly this message, on this chain and contract."
    step = "Sign the typed data again: every field, the chain id and the contract's address count."
    signer: str


class AccountChangeNotYours(ContractError):
    """Thrown when an account other than the named one tries to take a party's account."""

    signature = "AccountChangeNotYours(address,address)"
    rule = "An account other than the named one tries to take a party's account."
    step = "Send from the account that was named."
    party: str
    expected: str


class AccountChangeTooEarly(ContractError):
    """Thrown when a recovered account is taken before its delay has passed."""

    signature = "AccountChangeTooEarly(address,uint256)"
    rule = "A recovered account is taken before its delay has passed."
    step = "Take it again from `readyAt` (seconds since 1970) on."
    party: str
    ready_at: int


class AccountChangeUnknown(ContractError):
    """Thrown when a party has no change of account of the kind that is asked for under way."""

    signature = "AccountChangeUnknown(address)"
    rule = "A party has no change of account of the kind that is asked for under way."
    step = "Offer an account, or start a recovery, first."
    party: str


class AccountInUse(ContractError):
    """Thrown when an account already acts for a party, or is or was a party's identity."""

    signature = "AccountInUse(address)"
    rule = "An account already acts for a party, or is or was a party's identity."
    step = "Use a fresh account; an identity is never given twice."
    account: str


class AccountReserved(ContractError):
    """Thrown when an account is the zero address or lies in the range that stands for groups."""

    signature = "AccountReserved(address)"
    rule = "An account is the zero address or lies in the range that stands for groups."
    step = "Use an account whose key somebody holds."
    account: str


class CredentialMissing(ContractError):
    """Thrown when a party is accredited or renewed without a credential commitment."""

    signature = "CredentialMissing()"
    rule = "A party is accredited or renewed without a credential commitment."
    step = "Give the salted hash of the credential that was checked."


class GroupAlreadyJoined(ContractError):
    """Thrown when a party joins a group it belongs to already."""

    signature = "GroupAlreadyJoined(address,uint16)"
    rule = "A party joins a group it belongs to already."
    step = "Nothing needs doing."
    party: str
    group: int


class GroupNotJoined(ContractError):
    """Thrown when a party leaves a group it does not belong to."""

    signature = "GroupNotJoined(address,uint16)"
    rule = "A party leaves a group it does not belong to."
    step = "Nothing needs doing."
    party: str
    group: int


class GroupPlacesFull(ContractError):
    """Thrown when a party that belongs to four groups joins another."""

    signature = "GroupPlacesFull(address)"
    rule = "A party that belongs to four groups joins another."
    step = "Let it leave one first; the bound keeps the cost of a permission check bounded."
    party: str


class GroupUnknown(ContractError):
    """Thrown when a group does not exist, or is the group of everyone, which nobody joins or leaves."""

    signature = "GroupUnknown(uint16)"
    rule = "A group does not exist, or is the group of everyone, which nobody joins or leaves."
    step = "Create the group first, or use its number as the event `GroupCreated` gave it."
    group: int


class GroupsExhausted(ContractError):
    """Thrown when no further group number is free."""

    signature = "GroupsExhausted()"
    rule = "No further group number is free."
    step = "Use an existing group."


class KindMissing(ContractError):
    """Thrown when a party is accredited without a kind."""

    signature = "KindMissing()"
    rule = "A party is accredited without a kind."
    step = "Name one of the kinds: provider, payer, pharmacy, researcher, device maker, authority."


class PartyAlreadySuspended(ContractError):
    """Thrown when a party that is suspended is suspended again."""

    signature = "PartyAlreadySuspended(address)"
    rule = "A party that is suspended is suspended again."
    step = "Nothing needs doing."
    party: str


class PartyInactive(ContractError):
    """Thrown when the account acts for no party, or its party is suspended or its accreditation has lapsed."""

    signature = "PartyInactive(address)"
    rule = "The account acts for no party, or its party is suspended or its accreditation has lapsed."
    step = "Have the party accredited, renewed or reinstated by the authority."
    account: str


class PartyNotSuspended(ContractError):
    """Thrown when a party that is not suspended is reinstated."""

    signature = "PartyNotSuspended(address)"
    rule = "A party that is not suspended is reinstated."
    step = "Nothing needs doing."
    party: str


class PartyUnknown(ContractError):
    """Thrown when no accredited party has this identity."""

    signature = "PartyUnknown(address)"
    rule = "No accredited party has this identity."
    step = "Check the identity; a removed party does not come back, accredit it under a fresh account."
    party: str


class RecoveryUnderWay(ContractError):
    """Thrown when a party offers its place to another account while the authority recovers it."""

    signature = "RecoveryUnderWay(address)"
    rule = "A party offers its place to another account while the authority recovers it."
    step = "Let the authority cancel or complete the recovery first."
    party: str


class ValidityPast(ContractError):
    """Thrown when an accreditation would end before today."""

    signature = "ValidityPast(uint256,uint256)"
    rule = "An accreditation would end before today."
    step = "Give a last day, in days since 1970-01-01, that is `today` or later."
    valid_until: int
    today: int


class ApprovalsTooFew(ContractError):
    """Thrown when fewer guardians approve than must."""

    signature = "ApprovalsTooFew(uint256,uint256)"
    rule = "Fewer guardians approve than must."
    step = "Add the approvals of others."
    given: int
    threshold: int


class ApprovalsUnordered(ContractError):
    """Thrown when approvals are not in rising order of their accounts, or one comes twice."""

    signature = "ApprovalsUnordered(address)"
    rule = "Approvals are not in rising order of their accounts, or one comes twice."
    step = "Sort them by account, each once."
    guardian: str


class DelegateNotPossible(ContractError):
    """Thrown when a delegation names nobody, the subject, or its own author as the delegate."""

    signature = "DelegateNotPossible(address)"
    rule = "A delegation names nobody, the subject, or its own author as the delegate."
    step = "Name another account."
    delegate: str


class DelegationKindNotPossible(ContractError):
    """Thrown when a delegation is of no kind that its author can give: a successor comes by recovery alone, and a delegate makes stewards only."""

    signature = "DelegationKindNotPossible(uint256)"
    rule = "A delegation is of no kind that its author can give: a successor comes by recovery alone, and a delegate makes stewards only."
    step = "Give kind 1 (guardian), 2 (steward) or 3 (health proxy); 2 where a delegate delegates further."
    kind: int


class DelegationNotYours(ContractError):
    """Thrown when a delegation is written or revoked by somebody who may not."""

    signature = "DelegationNotYours(address,address)"
    rule = "A delegation is written or revoked by somebody who may not."
    step = "Have the subject do it. A delegate that may delegate writes only where nothing was written before, or where it was the last to write, and up to sequence 32767."
    subject: str
    by: str


class DelegationPeriodEmpty(ContractError):
    """Thrown when a delegation ends before it begins (minutes since 1970)."""

    signature = "DelegationPeriodEmpty(uint256,uint256)"
    rule = "A delegation ends before it begins (minutes since 1970)."
    step = "Give a later `validUntil`; 2^28 - 1 is no end."
    valid_from: int
    valid_until: int


class DelegationScopesEmpty(ContractError):
    """Thrown when a delegation has no scope."""

    signature = "DelegationScopesEmpty()"
    rule = "A delegation has no scope."
    step = "Set at least one of grant 1, revoke 2, view 4, delegate 8; to take all away, revoke it."


class DelegationStale(ContractError):
    """Thrown when a delegation does not carry the sequence that follows the stored one, or a revocation none above it."""

    signature = "DelegationStale(uint256,uint256)"
    rule = "A delegation does not carry the sequence that follows the stored one, or a revocation none above it."
    step = "Read the delegation again and write the sequence `stored + 1`; the last, 65535, is kept for revocation. A delegator who is not the subject revokes with `stored + 1`, too."
    stored: int
    given: int


class DelegatorStale(ContractError):
    """Thrown when a further delegation does not name the sequence of its delegator's own delegation."""

    signature = "DelegatorStale(uint256,uint256)"
    rule = "A further delegation does not name the sequence of its delegator's own delegation."
    step = "Read the delegator's delegation again and name its sequence; 0 where the subject delegates."
    stored: int
    given: int


class GuardianNotNamed(ContractError):
    """Thrown when an approval comes from an account that is not named at its position."""

    signature = "GuardianNotNamed(address)"
    rule = "An approval comes from an account that is not named at its position."
    step = "Check the position, the account and its salt."
    guardian: str


class GuardianWithoutEnd(ContractError):
    """Thrown when a guardian is named without an end."""

    signature = "GuardianWithoutEnd()"
    rule = "A guardian is named without an end."
    step = "End it when the subject comes of age, or when the court's order ends."


class GuardiansMismatch(ContractError):
    """Thrown when the guardians that are shown are not those that the subject named."""

    signature = "GuardiansMismatch(address,bytes32)"
    rule = "The guardians that are shown are not those that the subject named."
    step = "Show the guardians as they were when the subject named them last."
    subject: str
    commitment: bytes


class GuardiansOutOfRange(ContractError):
    """Thrown when guardians are more than 16, the threshold is 0 or above their number, or the delay is shorter than 3 or longer than 90 days."""

    signature = "GuardiansOutOfRange(uint256,uint256,uint256)"
    rule = "Guardians are more than 16, the threshold is 0 or above their number, or the delay is shorter than 3 or longer than 90 days."
    step = "Have the subject name others; these cannot recover anybody."
    count: int
    threshold: int
    delay: int


class NotTheSubject(ContractError):
    """Thrown when somebody other than the subject, or its successor, names guardians or objects to a recovery."""

    signature = "NotTheSubject(address,address)"
    rule = "Somebody other than the subject, or its successor, names guardians or objects to a recovery."
    step = "Have the subject do it."
    subject: str
    by: str


class PeriodExceeded(ContractError):
    """Thrown when a further delegation would outlast its delegator's own (minutes since 1970)."""

    signature = "PeriodExceeded(uint256,uint256)"
    rule = "A further delegation would outlast its delegator's own (minutes since 1970)."
    step = "End it at `held` at the latest."
    valid_until: int
    held: int


class RecoveryNotUnderWay(ContractError):
    """Thrown when there is no recovery to complete."""

    signature = "RecoveryNotUnderWay(address)"
    rule = "There is no recovery to complete."
    step = "Start one; if one was started, the subject has objected."
    subject: str


class RecoveryTooEarly(ContractError):
    """Thrown when a recovery is completed before its delay has passed."""

    signature = "RecoveryTooEarly(address,uint256)"
    rule = "A recovery is completed before its delay has passed."
    step = "Wait until `readyAt` (seconds since 1970)."
    subject: str
    ready_at: int


class RoundStale(ContractError):
    """Thrown when guardians, a recovery or an objection come with a round that is not above the stored one; a recovery needs the very next."""

    signature = "RoundStale(uint256,uint256)"
    rule = "Guardians, a recovery or an objection come with a round that is not above the stored one; a recovery needs the very next."
    step = "Read the round again and sign `stored + 1`."
    stored: int
    given: int


class ScopesExceeded(ContractError):
    """Thrown when a delegate gives a scope that it does not have, or the scope to delegate."""

    signature = "ScopesExceeded(uint256,uint256)"
    rule = "A delegate gives a scope that it does not have, or the scope to delegate."
    step = "Give no more than `held`."
    scopes: int
    held: int


class SuccessorNotPossible(ContractError):
    """Thrown when nobody, the subject itself or a guardian who approves is to be the successor."""

    signature = "SuccessorNotPossible(address)"
    rule = "Nobody, the subject itself or a guardian who approves is to be the successor."
    step = "Name a fresh account of the subject's."
    successor: str


class AlreadyReviewed(ContractError):
    """Thrown when a review does not go beyond the one before."""

    signature = "AlreadyReviewed(uint8)"
    rule = "A review does not go beyond the one before."
    step = "An opening is acknowledged once, and disputed once, also after it was acknowledged."
    review: int


class BreakGlassRefused(ContractError):
    """Thrown when the subject refuses break-glass access altogether."""

    signature = "BreakGlassRefused(address)"
    rule = "The subject refuses break-glass access altogether."
    step = "None; ask the subject, or whoever may decide for it."
    subject: str


class DelegateScopeMissing(ContractError):
    """Thrown when somebody acts for a subject without being its delegate for such an act."""

    signature = "DelegateScopeMissing(address,address,uint256)"
    rule = "Somebody acts for a subject without being its delegate for such an act."
    step = "Let the subject act, or a delegate whose delegation is in force and has the scope given (grant 1, revoke 2, view 4, every scope 15)."
    subject: str
    by: str
    scope: int


class GlassAlreadyBroken(ContractError):
    """Thrown when the party's last opening for this subject is not over yet."""

    signature = "GlassAlreadyBroken(uint256,uint256)"
    rule = "The party's last opening for this subject is not over yet."
    step = "Use the opening given until its end (minutes since 1970)."
    number: int
    until: int


class GranteeMissing(ContractError):
    """Thrown when a rule names nobody."""

    signature = "GranteeMissing()"
    rule = "A rule names nobody."
    step = "Name a party's identity or a group; everyone is group 1."


class LimitsOutOfRange(ContractError):
    """Thrown when limits are set that are no limits: none a day, or above a day's 1,440 minutes."""

    signature = "LimitsOutOfRange(uint256,uint256)"
    rule = "Limits are set that are no limits: none a day, or above a day's 1,440 minutes."
    step = "Give 1 at least for both, and at most 1,440 minutes."
    per_day: int
    longest: int


class NotEmergencyCare(ContractError):
    """Thrown when somebody breaks the glass who does not act for an active party in the group of emergency care."""

    signature = "NotEmergencyCare(address)"
    rule = "Somebody breaks the glass who does not act for an active party in the group of emergency care."
    step = "Let the authority put the party into group 2, or renew its accreditation."
    account: str


class OpeningTooLong(ContractError):
    """Thrown when an opening would last for no time or longer than the limit (minutes)."""

    signature = "OpeningTooLong(uint256,uint256)"
    rule = "An opening would last for no time or longer than the limit (minutes)."
    step = "Give 1 minute at least and the limit at most."
    duration: int
    limit: int


class OpeningUnknown(ContractError):
    """Thrown when a subject has no opening of this number."""

    signature = "OpeningUnknown(address,uint256)"
    rule = "A subject has no opening of this number."
    step = "Numbers run from 1 to the count of the subject's openings."
    subject: str
    number: int


class OpeningsExhausted(ContractError):
    """Thrown when a party has opened as many records in one day (UTC) as it may."""

    signature = "OpeningsExhausted(uint256)"
    rule = "A party has opened as many records in one day (UTC) as it may."
    step = "Wait for the next day, or let the authority raise the limit."
    limit: int


class OverrideReasonMissing(ContractError):
    """Thrown when the glass is broken without one of the reasons."""

    signature = "OverrideReasonMissing()"
    rule = "The glass is broken without one of the reasons."
    step = "Give one of the five override reasons."


class RuleBitsReserved(ContractError):
    """Thrown when a rule sets bits that are reserved or that the contract itself sets."""

    signature = "RuleBitsReserved(uint256)"
    rule = "A rule sets bits that are reserved or that the contract itself sets."
    step = "Clear the bits given; the code lists stand in docs/rule-word.md."
    bits: int


class RuleDataPeriodEmpty(ContractError):
    """Thrown when a rule's data period ends before it begins (days since 1970)."""

    signature = "RuleDataPeriodEmpty(uint256,uint256)"
    rule = "A rule's data period ends before it begins (days since 1970)."
    step = "Give a later `dataUntil`; 65535 is no end."
    data_from: int
    data_until: int


class RuleFieldEmpty(ContractError):
    """Thrown when a field of a rule has no code set: the rule would permit or deny nothing."""

    signature = "RuleFieldEmpty(string)"
    rule = "A field of a rule has no code set: the rule would permit or deny nothing."
    step = "Set at least one code of the field, or all of them to leave it open."
    field: str


class RuleIndexGap(ContractError):
    """Thrown when a rule's index leaves a gap: the rule before it does not exist."""

    signature = "RuleIndexGap(uint256)"
    rule = "A rule's index leaves a gap: the rule before it does not exist."
    step = "Use the next free index of this subject and grantee."
    index: int


class RuleIndexOutOfRange(ContractError):
    """Thrown when an index is above 15."""

    signature = "RuleIndexOutOfRange(uint256)"
    rule = "An index is above 15."
    step = "Use an index from 0 to 15."
    index: int


class RulePeriodEmpty(ContractError):
    """Thrown when a rule ends before it begins (minutes since 1970)."""

    signature = "RulePeriodEmpty(uint256,uint256)"
    rule = "A rule ends before it begins (minutes since 1970)."
    step = "Give a later `validUntil`; 2^28 - 1 is no end."
    valid_from: int
    valid_until: int


class RuleResearchMismatch(ContractError):
    """Thrown when a rule's research field does not go with its purposes: research purposes without a permission, a research field without a research purpose, a deny rule with modifiers, or a permit that does not name every permission that its permissions include."""

    signature = "RuleResearchMismatch(uint256)"
    rule = "A rule's research field does not go with its purposes: research purposes without a permission, a research field without a research purpose, a deny rule with modifiers, or a permit that does not name every permission that its permissions include."
    step = "Set a DUO permission with HRESCH, CLINTRCH or DSRCH, none without; no modifier on a deny rule; with NRES also GRU, with GRU also HMB and POA, with HMB also DS."
    word: int


class SequenceStale(ContractError):
    """Thrown when a rule does not carry the sequence that follows the stored one."""

    signature = "SequenceStale(uint256,uint256)"
    rule = "A rule does not carry the sequence that follows the stored one."
    step = "Read the rule again and write the sequence `stored + 1`; the last, 65535, is kept for revocation."
    stored: int
    given: int


class TermsAlreadyPublished(ContractError):
    """Thrown when terms are published a second time."""

    signature = "TermsAlreadyPublished(uint256)"
    rule = "Terms are published a second time."
    step = "Use the number given."
    number: int


class TermsExhausted(ContractError):
    """Thrown when all 4,095 numbers for terms are used."""

    signature = "TermsExhausted()"
    rule = "All 4,095 numbers for terms are used."
    step = "Deploy a further registry for further terms."


class TermsMissing(ContractError):
    """Thrown when terms are published with a zero hash."""

    signature = "TermsMissing()"
    rule = "Terms are published with a zero hash."
    step = "Give the keccak-256 hash of the consent form."


class TermsUnknown(ContractError):
    """Thrown when a signed rule names terms that were never published."""

    signature = "TermsUnknown(uint256)"
    rule = "A signed rule names terms that were never published."
    step = "Name a number that the event `TermsPublished` gave, or 0 for none."
    number: int


class AnswerUnchanged(ContractError):
    """Thrown when a subject gives the answer that already stands."""

    signature = "AnswerUnchanged(bytes32)"
    rule = "A subject gives the answer that already stands."
    step = "Nothing needs doing."
    pointer: bytes


class BatchEmpty(ContractError):
    """Thrown when a batch has no pointers."""

    signature = "BatchEmpty(bytes32)"
    rule = "A batch has no pointers."
    step = "Give the number of its leaves."
    root: bytes


class BatchExists(ContractError):
    """Thrown when a custodian posts the same batch again."""

    signature = "BatchExists(address,bytes32)"
    rule = "A custodian posts the same batch again."
    step = "Nothing needs doing."
    custodian: str
    root: bytes


class CommitmentMissing(ContractError):
    """Thrown when a pointer has no commitment."""

    signature = "CommitmentMissing()"
    rule = "A pointer has no commitment."
    step = "Give the salted hash of the canonical record."


class CustodianRequired(ContractError):
    """Thrown when the caller's party is not the pointer's custodian."""

    signature = "CustodianRequired(bytes32,address)"
    rule = "The caller's party is not the pointer's custodian."
    step = "Send from the custodian's account."
    pointer: bytes
    custodian: str


class CustodyNotOffered(ContractError):
    """Thrown when a party takes custody that was not offered to it."""

    signature = "CustodyNotOffered(bytes32,address)"
    rule = "A party takes custody that was not offered to it."
    step = "Have the present custodian offer it."
    pointer: bytes
    party: str


class DataClassUnknown(ContractError):
    """Thrown when a data class is no bit of the rule word's classes that stands for a code."""

    signature = "DataClassUnknown(uint256)"
    rule = "A data class is no bit of the rule word's classes that stands for a code."
    step = "Give a number from 0 to 21, see docs/rule-word.md."
    data_class: int


class OpeningNotYours(ContractError):
    """Thrown when a pointer of a batch is opened by neither its subject nor its custodian: it would show on chain whom the record is about."""

    signature = "OpeningNotYours(address,address)"
    rule = "A pointer of a batch is opened by neither its subject nor its custodian: it would show on chain whom the record is about."
    step = "Send or sign with the subject, or send with the account of the party that posted the batch."
    subject: str
    account: str


class PointerChanged(ContractError):
    """Thrown when a signed answer names another sequence than the pointer's."""

    signature = "PointerChanged(bytes32,uint256)"
    rule = "A signed answer names another sequence than the pointer's."
    step = "Read the pointer again and sign for its present sequence."
    pointer: bytes
    sequence: int


class PointerExists(ContractError):
    """Thrown when the same subject, custodian and commitment are posted again."""

    signature = "PointerExists(bytes32)"
    rule = "The same subject, custodian and commitment are posted again."
    step = "Nothing needs doing; a new salt makes a new pointer."
    pointer: bytes


class PointerNotDisputed(ContractError):
    """Thrown when a custodian denies a dispute that does not stand."""

    signature = "PointerNotDisputed(bytes32)"
    rule = "A custodian denies a dispute that does not stand."
    step = "Nothing needs doing; to change the record, amend it."
    pointer: bytes


class PointerNotInBatch(ContractError):
    """Thrown when the proof does not show the pointer in a batch of its custodian."""

    signature = "PointerNotInBatch(bytes32,bytes32)"
    rule = "The proof does not show the pointer in a batch of its custodian."
    step = "Check subject, custodian, class and commitment, and ask the custodian for the proof again."
    leaf: bytes
    root: bytes


class PointerOutdated(ContractError):
    """Thrown when a pointer that a newer version has replaced is answered, amended or transferred."""

    signature = "PointerOutdated(bytes32)"
    rule = "A pointer that a newer version has replaced is answered, amended or transferred."
    step = "Use the newer version's pointer."
    pointer: bytes


class PointerUnknown(ContractError):
    """Thrown when there is no such pointer."""

    signature = "PointerUnknown(bytes32)"
    rule = "There is no such pointer."
    step = "Check subject, first custodian and commitment: the three make the id."
    pointer: bytes


class ProviderRequired(ContractError):
    """Thrown when the caller does not act for an active provider."""

    signature = "ProviderRequired(address)"
    rule = "The caller does not act for an active provider."
    step = "Have the party accredited as a provider, renewed or reinstated by the authority."
    account: str


class ReasonMissing(ContractError):
    """Thrown when a custodian denies a dispute without a reason."""

    signature = "ReasonMissing()"
    rule = "A custodian denies a dispute without a reason."
    step = "Give a commitment to the written denial that the subject is sent."


class SubjectMissing(ContractError):
    """Thrown when a pointer has no subject."""

    signature = "SubjectMissing()"
    rule = "A pointer has no subject."
    step = "Give the subject's pseudonym with this custodian."


class VersionsExhausted(ContractError):
    """Thrown when a record has 65,535 versions and is amended once more."""

    signature = "VersionsExhausted(bytes32)"
    rule = "A record has 65,535 versions and is amended once more."
    step = "Post the record anew, under a new salt."
    pointer: bytes


class AlreadyCancelled(ContractError):
    """Thrown when a prescription is used, or cancelled, that its prescriber cancelled before."""

    signature = "AlreadyCancelled(bytes32)"
    rule = "A prescription is used, or cancelled, that its prescriber cancelled before."
    step = "Ask the prescriber for another."
    prescription: bytes


class AlreadyFilled(ContractError):
    """Thrown when a fill that was given is given again."""

    signature = "AlreadyFilled(bytes32,uint256)"
    rule = "A fill that was given is given again."
    step = "Nothing needs doing; the next is fill `next`, where one is left."
    prescription: bytes
    next: int


class AlreadyOpened(ContractError):
    """Thrown when a prescription of a batch is filled with the batch, and lives in a slot of its own by now."""

    signature = "AlreadyOpened(bytes32)"
    rule = "A prescription of a batch is filled with the batch, and lives in a slot of its own by now."
    step = "Fill it alone, with `fill`."
    prescription: bytes


class BatchNotPossible(ContractError):
    """Thrown when a batch names a patient, no pharmacy, or more than 14 fills."""

    signature = "BatchNotPossible()"
    rule = "A batch names a patient, no pharmacy, or more than 14 fills."
    step = "Issue such a prescription alone, with size 0."


class FillChanged(ContractError):
    """Thrown when a fill does not go on from how much of it was given."""

    signature = "FillChanged(bytes32,uint256)"
    rule = "A fill does not go on from how much of it was given."
    step = "Read the prescription again: of this fill `filled` was given."
    prescription: bytes
    filled: int


class FillInProgress(ContractError):
    """Thrown when the pharmacy is chosen anew while it has given a fill in part."""

    signature = "FillInProgress(bytes32,uint256)"
    rule = "The pharmacy is chosen anew while it has given a fill in part."
    step = "Let it give the rest, or transfer the prescription."
    prescription: bytes
    number: int


class FillSkipped(ContractError):
    """Thrown when a fill is given before the one that precedes it."""

    signature = "FillSkipped(bytes32,uint256)"
    rule = "A fill is given before the one that precedes it."
    step = "Give fill `next`."
    prescription: bytes
    next: int


class FillsExhausted(ContractError):
    """Thrown when more fills are given than were allowed."""

    signature = "FillsExhausted(bytes32,uint256)"
    rule = "More fills are given than were allowed."
    step = "Ask the prescriber for another prescription; in an emergency, `supply`."
    prescription: bytes
    fills: int


class KindNotAdmitted(ContractError):
    """Thrown when the account that takes a step acts for an active party of the wrong kind."""

    signature = "KindNotAdmitted(address,uint8)"
    rule = "The account that takes a step acts for an active party of the wrong kind."
    step = "Providers and pharmacies submit claims, payers publish rules, providers prescribe, pharmacies fill."
    account: str
    kind: int


class PharmacyChanged(ContractError):
    """Thrown when a change of pharmacy follows another sequence than the stored one."""

    signature = "PharmacyChanged(bytes32,uint256)"
    rule = "A change of pharmacy follows another sequence than the stored one."
    step = "Read the prescription again; sign with the sequence stored. After 255 changes it moves no more."
    prescription: bytes
    sequence: int


class PharmacyInactive(ContractError):
    """Thrown when a prescription is given to what is no active pharmacy."""

    signature = "PharmacyInactive(address)"
    rule = "A prescription is given to what is no active pharmacy."
    step = "Name the identity of an accredited pharmacy that is not suspended."
    pharmacy: str


class PharmacyRequired(ContractError):
    """Thrown when somebody else than the prescription's pharmacy fills it, or that pharmacy is not active."""

    signature = "PharmacyRequired(bytes32,address)"
    rule = "Somebody else than the prescription's pharmacy fills it, or that pharmacy is not active."
    step = "Have it transferred, or let the patient choose the pharmacy; zero means that none was chosen yet."
    prescription: bytes
    pharmacy: str


class PharmacyUnchanged(ContractError):
    """Thrown when the pharmacy is to be changed to the one it is."""

    signature = "PharmacyUnchanged(bytes32)"
    rule = "The pharmacy is to be changed to the one it is."
    step = "Nothing needs doing."
    prescription: bytes


class PrescriptionExists(ContractError):
    """Thrown when the same prescription is issued again."""

    signature = "PrescriptionExists(bytes32)"
    rule = "The same prescription is issued again."
    step = "Nothing needs doing; to prescribe the same again, seal it with a new salt."
    prescription: bytes


class PrescriptionExpired(ContractError):
    """Thrown when a prescription is filled after its last day (days since 1970-01-01)."""

    signature = "PrescriptionExpired(bytes32,uint256)"
    rule = "A prescription is filled after its last day (days since 1970-01-01)."
    step = "Ask the prescriber for another."
    prescription: bytes
    valid_until: int


class PrescriptionHeld(ContractError):
    """Thrown when a prescription is filled whose prescriber was found inactive."""

    signature = "PrescriptionHeld(bytes32)"
    rule = "A prescription is filled whose prescriber was found inactive."
    step = "Let it be rechecked once the prescriber is active again, or ask another for a prescription."
    prescription: bytes


class PrescriptionIncomplete(ContractError):
    """Thrown when a prescription has no commitment to its content, or allows no fill or no quantity."""

    signature = "PrescriptionIncomplete()"
    rule = "A prescription has no commitment to its content, or allows no fill or no quantity."
    step = "Give the salted hash of the content, at least one fill, and a quantity of at least 1."


class PrescriptionPast(ContractError):
    """Thrown when a prescription would end before today."""

    signature = "PrescriptionPast(uint256,uint256)"
    rule = "A prescription would end before today."
    step = "Give a last day, in days since 1970-01-01, that is `today` or later."
    valid_until: int
    today: int


class PrescriptionUnknown(ContractError):
    """Thrown when no prescription was issued under this id."""

    signature = "PrescriptionUnknown(bytes32)"
    rule = "No prescription was issued under this id."
    step = "Check prescriber, patient, content and place; of a batch, name a place from 1 to its size."
    prescription: bytes


class QuantityNotPossible(ContractError):
    """Thrown when a fill, or a supply, gives nothing or more than is left of it."""

    signature = "QuantityNotPossible(bytes32,uint256)"
    rule = "A fill, or a supply, gives nothing or more than is left of it."
    step = "Give from 1 to `left`."
    prescription: bytes
    left: int


class StepNotYours(ContractError):
    """Thrown when the account that takes or signs a step does not act, active, for the party that owns it."""

    signature = "StepNotYours(address,address)"
    rule = "The account that takes or signs a step does not act, active, for the party that owns it."
    step = "Send or sign with the owner's present account; have the party reinstated where it is inactive."
    owner: str
    account: str


class SupplyNotNeeded(ContractError):
    """Thrown when an emergency supply is given while the prescription has a fill left."""

    signature = "SupplyNotNeeded(bytes32)"
    rule = "An emergency supply is given while the prescription has a fill left."
    step = "Fill it; where it is held and its prescriber is active again, let it be rechecked first."
    prescription: bytes


class SupplyRepeated(ContractError):
    """Thrown when a second emergency supply is given for one prescription."""

    signature = "SupplyRepeated(bytes32)"
    rule = "A second emergency supply is given for one prescription."
    step = "Ask the prescriber for a prescription."
    prescription: bytes


class SupplyUnknown(ContractError):
    """Thrown when there is no emergency supply that waits to be confirmed."""

    signature = "SupplyUnknown(bytes32)"
    rule = "There is no emergency supply that waits to be confirmed."
    step = "Check the prescription; one supply is confirmed once."
    prescription: bytes


class AlreadyBilled(ContractError):
    """Thrown when the service was billed before: its nullifier has a holder, see `holderOf`."""

    signature = "AlreadyBilled(bytes32,bytes32)"
    rule = "The service was billed before: its nullifier has a holder, see `holderOf`."
    step = "Replace or void the earlier claim, or release the earlier place; do not bill the service again."
    nullifier: bytes
    by: bytes


class BatchSizeOutOfRange(ContractError):
    """Thrown when a batch has no claims or too many."""

    signature = "BatchSizeOutOfRange(uint256,uint256)"
    rule = "A batch has no claims or too many."
    step = "Submit it in parts of at most `limit`."
    size: int
    limit: int


class ClaimBatchExists(ContractError):
    """Thrown when a provider submits a batch of the same root again."""

    signature = "ClaimBatchExists(address,bytes32)"
    rule = "A provider submits a batch of the same root again."
    step = "Nothing needs doing; other claims have another root."
    provider: str
    root: bytes


class ClaimExists(ContractError):
    """Thrown when the same claim is submitted again."""

    signature = "ClaimExists(bytes32)"
    rule = "The same claim is submitted again."
    step = "Nothing needs doing; a claim that was voided is submitted anew under a new salt."
    claim: bytes


class ClaimIncomplete(ContractError):
    """Thrown when a claim lacks a commitment or a nullifier."""

    signature = "ClaimIncomplete()"
    rule = "A claim lacks a commitment or a nullifier."
    step = "Give the salted hash of the claim and the keyed hash of the service."


class ClaimNotInBatch(ContractError):
    """Thrown when a claim does not stand in the batch at the index that is named."""

    signature = "ClaimNotInBatch(bytes32,bytes32)"
    rule = "A claim does not stand in the batch at the index that is named."
    step = "Give the claim, its rules, root, index and proof as the batch was made."
    claim: bytes
    root: bytes


class EncounterExists(ContractError):
    """Thrown when a patient registers an encounter again."""

    signature = "EncounterExists(address,bytes32)"
    rule = "A patient registers an encounter again."
    step = "Nothing needs doing; another encounter has another id."
    patient: str
    encounter: bytes


class EncounterIncomplete(ContractError):
    """Thrown when an encounter is registered without a patient or an id."""

    signature = "EncounterIncomplete()"
    rule = "An encounter is registered without a patient or an id."
    step = "Give the patient's pseudonym and a salted id of 32 bytes."


class EncounterUnknown(ContractError):
    """Thrown when a claim's rules ask for a registered encounter and its patient has registered none such."""

    signature = "EncounterUnknown(address,bytes32)"
    rule = "A claim's rules ask for a registered encounter and its patient has registered none such."
    step = "Have the patient register the encounter with this provider; name patient and salted id in the claim."
    patient: str
    encounter: bytes


class FlagDecisionMissing(ContractError):
    """Thrown when a flag is decided as neither cleared nor confirmed."""

    signature = "FlagDecisionMissing()"
    rule = "A flag is decided as neither cleared nor confirmed."
    step = "Give cleared (2) or confirmed (3)."


class FlagExists(ContractError):
    """Thrown when two claims are flagged again, in whichever order."""

    signature = "FlagExists(bytes32,bytes32)"
    rule = "Two claims are flagged again, in whichever order."
    step = "Nothing needs doing."
    earlier: bytes
    later: bytes


class FlagNotRaised(ContractError):
    """Thrown when a flag is decided that was never raised, or was decided before."""

    signature = "FlagNotRaised(bytes32,bytes32,uint8)"
    rule = "A flag is decided that was never raised, or was decided before."
    step = "Check the claims and their order; a decision stands."
    earlier: bytes
    later: bytes
    status: int


class GroundsMissing(ContractError):
    """Thrown when an appeal or the decision of a flag has no grounds."""

    signature = "GroundsMissing()"
    rule = "An appeal or the decision of a flag has no grounds."
    step = "Give the salted hash of the grounds."


class NotAlike(ContractError):
    """Thrown when two claims that are flagged are the same, share no soft key, or come in the wrong order."""

    signature = "NotAlike(bytes32,bytes32)"
    rule = "Two claims that are flagged are the same, share no soft key, or come in the wrong order."
    step = "Flag two claims with one soft key, the one that was submitted first as the earlier."
    earlier: bytes
    later: bytes


class NullifierNotWaiting(ContractError):
    """Thrown when a nullifier does not wait in the batch, at the place that is named."""

    signature = "NullifierNotWaiting(bytes32,bytes32)"
    rule = "A nullifier does not wait in the batch, at the place that is named."
    step = "Give root and index as they were submitted; what was opened or released before does not wait."
    nullifier: bytes
    root: bytes


class OutcomeMismatch(ContractError):
    """Thrown when the outcome of an appeal does not fit the decision on it."""

    signature = "OutcomeMismatch(bytes32,uint8)"
    rule = "The outcome of an appeal does not fit the decision on it."
    step = "An upheld outcome stays, denied where there was none; an overturned one is approved or partial."
    claim: bytes
    outcome: int


class OutcomeMissing(ContractError):
    """Thrown when an adjudication has no outcome or no commitment to it."""

    signature = "OutcomeMissing()"
    rule = "An adjudication has no outcome or no commitment to it."
    step = "Give approved, partial or denied, and the salted hash of the response."


class PatientMissing(ContractError):
    """Thrown when a claim names no patient under rules by which the patient agrees to a settlement."""

    signature = "PatientMissing(address,uint256)"
    rule = "A claim names no patient under rules by which the patient agrees to a settlement."
    step = "Name the patient's pseudonym in the claim."
    payer: str
    rules: int


class PrescriptionNotIssued(ContractError):
    """Thrown when a pharmacy's claim names no prescription that was issued, and its rules ask for one."""

    signature = "PrescriptionNotIssued(bytes32)"
    rule = "A pharmacy's claim names no prescription that was issued, and its rules ask for one."
    step = "Have the prescriber issue it, and name its id in the claim."
    prescription: bytes


class ReplacementMismatch(ContractError):
    """Thrown when a claim is replaced by one of another provider or payer."""

    signature = "ReplacementMismatch(bytes32)"
    rule = "A claim is replaced by one of another provider or payer."
    step = "Void the claim instead, and submit the new one."
    claim: bytes


class RootMissing(ContractError):
    """Thrown when a batch has no root."""

    signature = "RootMissing()"
    rule = "A batch has no root."
    step = "Give the root over the claims' leaves."


class RulesMismatch(ContractError):
    """Thrown when an adjudication names other rules than the claim."""

    signature = "RulesMismatch(bytes32,uint256)"
    rule = "An adjudication names other rules than the claim."
    step = "Adjudicate under the rules that the claim was submitted under."
    claim: bytes
    rules: int


class RulesMissing(ContractError):
    """Thrown when rules are published with a zero hash."""

    signature = "RulesMissing()"
    rule = "Rules are published with a zero hash."
    step = "Give the keccak-256 hash of the rules' text."


class RulesPeriodEmpty(ContractError):
    """Thrown when rules would end before they begin."""

    signature = "RulesPeriodEmpty(uint256,uint256)"
    rule = "Rules would end before they begin."
    step = "Give a first day (days since 1970-01-01) before `validUntil`, which itself is not governed any more."
    valid_from: int
    valid_until: int


class RulesRetroactive(ContractError):
    """Thrown when a plan's rules other than its first would begin before today."""

    signature = "RulesRetroactive(uint256,uint256)"
    rule = "A plan's rules other than its first would begin before today."
    step = "Give a first day (days since 1970-01-01) from `earliest` on; only a plan's first rules reach back."
    valid_from: int
    earliest: int


class RulesUnknown(ContractError):
    """Thrown when a claim names rules that its payer has not published, or that have not begun."""

    signature = "RulesUnknown(address,uint256)"
    rule = "A claim names rules that its payer has not published, or that have not begun."
    step = "Name the number that `rulesInForce` gives for the plan and the service date."
    payer: str
    rules: int


class StepEarly(ContractError):
    """Thrown when the lack of a decision is appealed while the payer may still decide in time."""

    signature = "StepEarly(bytes32,uint256)"
    rule = "The lack of a decision is appealed while the payer may still decide in time."
    step = "Appeal from `earliest` (seconds since 1970) on."
    claim: bytes
    earliest: int


class StepLate(ContractError):
    """Thrown when a right has lapsed: to pend, to answer or to appeal."""

    signature = "StepLate(bytes32,uint256)"
    rule = "A right has lapsed: to pend, to answer or to appeal."
    step = "It was due by `due` (seconds since 1970); the other party's step comes next, or a replacement."
    claim: bytes
    due: int


class StepNotPossible(ContractError):
    """Thrown when a step is taken from a state it does not start from."""

    signature = "StepNotPossible(bytes32,uint8)"
    rule = "A step is taken from a state it does not start from."
    step = "Read the claim's state; the specification lists the steps from each state."
    claim: bytes
    status: int


class ConsistencyUnproven(ContractError):
    """Thrown when the proof does not show that the log of `size` leaves begins with the `latest` anchored."""

    signature = "ConsistencyUnproven(uint64,uint64)"
    rule = "The proof does not show that the log of `size` leaves begins with the `latest` anchored."
    step = "Prove consistency from the latest anchored size; where there is no proof, the log was rewritten."
    size: int
    latest: int


class LogNotGrown(ContractError):
    """Thrown when a log would not grow: it has `latest` leaves already."""

    signature = "LogNotGrown(uint64,uint64)"
    rule = "A log would not grow: it has `latest` leaves already."
    step = "Anchor a later state of the log; where its root differs at the same size, the log was rewritten."
    size: int
    latest: int


class PublisherNotYours(ContractError):
    """Thrown when the account that sends or signs a batch does not act, active, for its publisher."""

    signature = "PublisherNotYours(address,address)"
    rule = "The account that sends or signs a batch does not act, active, for its publisher."
    step = "Send or sign with the publisher's present account; have the party reinstated where it is inactive."
    publisher: str
    account: str


class ComplaintAnsweredAlready(ContractError):
    """Thrown when a complaint is answered twice."""

    signature = "ComplaintAnsweredAlready(bytes32)"
    rule = "A complaint is answered twice."
    step = "Nothing needs doing."
    complaint: bytes


class ComplaintExists(ContractError):
    """Thrown when the same entry is complained of twice."""

    signature = "ComplaintExists(bytes32)"
    rule = "The same entry is complained of twice."
    step = "Nothing needs doing."
    complaint: bytes


class ComplaintUnknown(ContractError):
    """Thrown when a complaint that nobody filed is answered."""

    signature = "ComplaintUnknown(bytes32)"
    rule = "A complaint that nobody filed is answered."
    step = "Check custodian, log and entry."
    complaint: bytes


class EntryNotIncluded(ContractError):
    """Thrown when the proof does not show the entry in the log as it was anchored last."""

    signature = "EntryNotIncluded(bytes32,uint256)"
    rule = "The proof does not show the entry in the log as it was anchored last."
    step = "Prove it for the latest anchored size; where it is not in the log, append and anchor it first."
    complaint: bytes
    index: int


class LogOpenAlready(ContractError):
    """Thrown when a log is opened again: whose key signs its promises stands for good."""

    signature = "LogOpenAlready(address,uint256)"
    rule = "A log is opened again: whose key signs its promises stands for good."
    step = "Open another number; what the lost key promised is still to be kept."
    custodian: str
    log: int


class LogUnknown(ContractError):
    """Thrown when a promise is of a log that its custodian never opened."""

    signature = "LogUnknown(address,uint256)"
    rule = "A promise is of a log that its custodian never opened."
    step = "Check custodian and log; a promise of no open log binds nobody on chain."
    custodian: str
    log: int


class PartyRequired(ContractError):
    """Thrown when the caller does not act for an active party."""

    signature = "PartyRequired(address)"
    rule = "The caller does not act for an active party."
    step = "Have the party accredited, renewed or reinstated by the authority."
    account: str


class PromiseNotDue(ContractError):
    """Thrown when somebody complains before the promise is due."""

    signature = "PromiseNotDue(uint256,uint256)"
    rule = "Somebody complains before the promise is due."
    step = "Wait until `due` (seconds since 1970) has passed."
    due: int
    timestamp: int


class SignerMissing(ContractError):
    """Thrown when a log is opened without a key for its promises."""

    signature = "SignerMissing()"
    rule = "A log is opened without a key for its promises."
    step = "Name the account whose key signs them."


class DeviceBitsUnknown(ContractError):
    """Thrown when a device's word has bits that mean nothing."""

    signature = "DeviceBitsUnknown(uint256)"
    rule = "A device's word has bits that mean nothing."
    step = "Leave all above bit 96 zero."
    word: int


class DeviceClassesNotPossible(ContractError):
    """Thrown when a device is registered for no class, or for one that the rule word does not know."""

    signature = "DeviceClassesNotPossible(uint256)"
    rule = "A device is registered for no class, or for one that the rule word does not know."
    step = "Set at least one of the bits 0 to 21, see docs/rule-word.md; to end it, revoke it."
    classes: int


class DeviceNotPossible(ContractError):
    """Thrown when a device is nobody, or the subject itself."""

    signature = "DeviceNotPossible(address)"
    rule = "A device is nobody, or the subject itself."
    step = "Name the account of the device's own key."
    device: str


class DevicePeriodEmpty(ContractError):
    """Thrown when a registration ends before it begins (minutes since 1970)."""

    signature = "DevicePeriodEmpty(uint256,uint256)"
    rule = "A registration ends before it begins (minutes since 1970)."
    step = "Give a later `validUntil`; 2^28 - 1 is no end."
    valid_from: int
    valid_until: int


class DeviceStale(ContractError):
    """Thrown when a registration does not carry the sequence that follows the stored one, or a revocation none above it."""

    signature = "DeviceStale(uint256,uint256)"
    rule = "A registration does not carry the sequence that follows the stored one, or a revocation none above it."
    step = "Read the device again and write the sequence `stored + 1`; the last, 65535, is kept for revocation."
    stored: int
    given: int


class BlockNotPast(ContractError):
    """Thrown when a cohort is said to be as of a block that is not past, or that has another hash."""

    signature = "BlockNotPast(uint256,bytes32)"
    rule = "A cohort is said to be as of a block that is not past, or that has another hash."
    step = "Name a past block of this chain with its hash; `found` is zero where the block is not past. A node that tries a transaction out takes its latest block for the present one: name one before it."
    block_number: int
    found: bytes


class ChoiceStale(ContractError):
    """Thrown when a choice does not carry the sequence that follows the stored one, or none above it where the subject opts out."""

    signature = "ChoiceStale(uint256,uint256)"
    rule = "A choice does not carry the sequence that follows the stored one, or none above it where the subject opts out."
    step = "Read the choice again and use the sequence `stored + 1`; the last, 65535, is kept for opting out."
    stored: int
    given: int


class CohortExists(ContractError):
    """Thrown when a cohort is fixed a second time."""

    signature = "CohortExists(bytes32)"
    rule = "A cohort is fixed a second time."
    step = "Nothing is to be done; the first counts."
    cohort: bytes


class CohortUnknown(ContractError):
    """Thrown when a cohort was never fixed, or belongs to another study."""

    signature = "CohortUnknown(bytes32)"
    rule = "A cohort was never fixed, or belongs to another study."
    step = "Give the cohort as the event `CohortFixed` has it."
    cohort: bytes


class CustodianNotNamed(ContractError):
    """Thrown when a result is by a party that the study does not name."""

    signature = "CustodianNotNamed(bytes32,address)"
    rule = "A result is by a party that the study does not name."
    step = "Name one of the study's custodians by its identity."
    study: bytes
    custodian: str


class CustodiansOutOfRange(ContractError):
    """Thrown when a study names no custodian, or more than a hundred."""

    signature = "CustodiansOutOfRange(uint256)"
    rule = "A study names no custodian, or more than a hundred."
    step = "Name 1 to 100; a wider network registers one study for each group."
    count: int


class CustodiansUnsorted(ContractError):
    """Thrown when a study's custodians are not in ascending order, each once."""

    signature = "CustodiansUnsorted(uint256)"
    rule = "A study's custodians are not in ascending order, each once."
    step = "Sort them by address; `position` is the first that does not follow the one before it."
    position: int


class RequestNotResearch(ContractError):
    """Thrown when a study asks for what is no research, or leaves a field of its request to be filled in."""

    signature = "RequestNotResearch(uint256,uint256)"
    rule = "A study asks for what is no research, or leaves a field of its request to be filled in."
    step = "Name research purposes alone, at least one DUO permission with those it includes, and every other field in full; `full` is what the request given would ask for, zero where it is malformed or no research."
    request: int
    full: int


class ResearcherRequired(ContractError):
    """Thrown when the caller does not act for an active researcher, or not for the one named."""

    signature = "ResearcherRequired(address)"
    rule = "The caller does not act for an active researcher, or not for the one named."
    step = "Send from the present account of the study's researcher; have it reinstated where it is inactive."
    account: str


class ResultExists(ContractError):
    """Thrown when a result is published a second time."""

    signature = "ResultExists(bytes32)"
    rule = "A result is published a second time."
    step = "Nothing is to be done; the first counts."
    result: bytes


class StudyExists(ContractError):
    """Thrown when a study is registered a second time."""

    signature = "StudyExists(bytes32)"
    rule = "A study is registered a second time."
    step = "Nothing is to be done; a changed study is another one."
    study: bytes


class StudyNotReady(ContractError):
    """Thrown when a study is not in a state for this step."""

    signature = "StudyNotReady(bytes32,uint8)"
    rule = "A study is not in a state for this step."
    step = "Subjects opt in until a study's last day; cohorts are fixed while it is open; results follow until it is closed. A closed one is registered anew under a new approval."
    study: bytes
    state: int


class StudyPeriodNotPossible(ContractError):
    """Thrown when a study's period is empty or lies in the past (days since 1970)."""

    signature = "StudyPeriodNotPossible(uint256,uint256,uint256)"
    rule = "A study's period is empty or lies in the past (days since 1970)."
    step = "Give a first day and a last one that is neither before it nor before today."
    first_day: int
    last_day: int
    today: int


class AcceptanceOver(ContractError):
    """Thrown when results are accepted after the bounty's time."""

    signature = "AcceptanceOver(bytes32,uint256)"
    rule = "Results are accepted after the bounty's time."
    step = "Fund another bounty."
    bounty: bytes
    accept_until: int


class AcceptanceTimeNotPossible(ContractError):
    """Thrown when a bounty's time to accept results is over, or ends more than ten years from now."""

    signature = "AcceptanceTimeNotPossible(uint256,uint256)"
    rule = "A bounty's time to accept results is over, or ends more than ten years from now."
    step = "Give a time between now and then, in seconds since 1970."
    accept_until: int
    timestamp: int


class AmountMissing(ContractError):
    """Thrown when a bounty pays nothing, or nothing is put into it."""

    signature = "AmountMissing()"
    rule = "A bounty pays nothing, or nothing is put into it."
    step = "Give a payment and an amount above zero."


class AnswerAccepted(ContractError):
    """Thrown when an answer is accepted a second time; where subjects are paid, an answer is a cohort."""

    signature = "AnswerAccepted(bytes32,bytes32)"
    rule = "An answer is accepted a second time; where subjects are paid, an answer is a cohort."
    step = "Nothing is to be done."
    bounty: bytes
    answer: bytes


class AnswerNotAccepted(ContractError):
    """Thrown when payment is claimed for an answer that the bounty's funder has not accepted."""

    signature = "AnswerNotAccepted(bytes32,bytes32)"
    rule = "Payment is claimed for an answer that the bounty's funder has not accepted."
    step = "Ask the funder; where subjects are paid, the answer is the cohort."
    bounty: bytes
    answer: bytes


class BountyOpen(ContractError):
    """Thrown when a bounty is refunded while results may still be accepted."""

    signature = "BountyOpen(bytes32,uint256)"
    rule = "A bounty is refunded while results may still be accepted."
    step = "Wait until then."
    bounty: bytes
    accept_until: int


class BountyShort(ContractError):
    """Thrown when a bounty has less left than an answer takes."""

    signature = "BountyShort(bytes32,uint256,uint256)"
    rule = "A bounty has less left than an answer takes."
    step = "Put more into the bounty."
    bounty: bytes
    amount: int
    free: int


class ClaimLate(ContractError):
    """Thrown when payment is claimed after the time for it."""

    signature = "ClaimLate(bytes32,uint256)"
    rule = "Payment is claimed after the time for it."
    step = "Nothing can be done here; the funder may pay out of hand."
    bounty: bytes
    claim_until: int


class FunderRequired(ContractError):
    """Thrown when a bounty is funded or refunded by another than its funder."""

    signature = "FunderRequired(address,address)"
    rule = "A bounty is funded or refunded by another than its funder."
    step = "Send from the account that the bounty names."
    funder: str
    account: str


class NothingLeft(ContractError):
    """Thrown when nothing is left of a bounty to take back."""

    signature = "NothingLeft(bytes32)"
    rule = "Nothing is left of a bounty to take back."
    step = "What is due can be taken back once the time to claim it is over."
    bounty: bytes


class PaidAlready(ContractError):
    """Thrown when somebody is paid for an answer a second time."""

    signature = "PaidAlready(bytes32,bytes32,address)"
    rule = "Somebody is paid for an answer a second time."
    step = "Nothing is to be done; the event `BountyPaid` says where it went."
    bounty: bytes
    answer: bytes
    payee: str


class ReceiverNotPossible(ContractError):
    """Thrown when a payment or refund would go to nobody, or to this contract."""

    signature = "ReceiverNotPossible(address)"
    rule = "A payment or refund would go to nobody, or to this contract."
    step = "Name an account that can use the tokens."
    to: str


class ResultUnknown(ContractError):
    """Thrown when a result is accepted that is not published for the bounty's study."""

    signature = "ResultUnknown(bytes32,bytes32)"
    rule = "A result is accepted that is not published for the bounty's study."
    step = "Have it published in Studies, and give it with its cohort as the events have them."
    study: bytes
    result: bytes


class StudyNotFundable(ContractError):
    """Thrown when a bounty is for a study that does not exist or was ended."""

    signature = "StudyNotFundable(bytes32,uint8)"
    rule = "A bounty is for a study that does not exist or was ended."
    step = "Name a study that is registered and stands."
    study: bytes
    state: int


class SubjectNotInCohort(ContractError):
    """Thrown when a subject is no member of the cohort that was paid for."""

    signature = "SubjectNotInCohort(bytes32,address)"
    rule = "A subject is no member of the cohort that was paid for."
    step = "Prove its index in the cohort; who had opted out when the cohort was fixed is none."
    cohort: bytes
    subject: str


class TokenNotWhole(ContractError):
    """Thrown when a transfer leaves this contract with another balance than it must, as with a token that takes a fee."""

    signature = "TokenNotWhole(address,uint256,uint256)"
    rule = "A transfer leaves this contract with another balance than it must, as with a token that takes a fee."
    step = "Use a token that moves what it is told to."
    token: str
    expected: int
    balance: int


class TokenUnknown(ContractError):
    """Thrown when there is no contract where a bounty's token should be."""

    signature = "TokenUnknown(address)"
    rule = "There is no contract where a bounty's token should be."
    step = "Name the token's address on this chain."
    token: str


class AccessManagerAlreadyScheduled(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerAlreadyScheduled(bytes32)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    operation_id: bytes


class AccessManagerBadConfirmation(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerBadConfirmation()"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."


class AccessManagerExpired(ContractError):
    """Thrown when a scheduled operation is executed a week or more after it became ready."""

    signature = "AccessManagerExpired(bytes32)"
    rule = "A scheduled operation is executed a week or more after it became ready."
    step = "Schedule it again."
    operation_id: bytes


class AccessManagerInvalidInitialAdmin(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerInvalidInitialAdmin(address)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    initial_admin: str


class AccessManagerLockedRole(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerLockedRole(uint64)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    role_id: int


class AccessManagerNotReady(ContractError):
    """Thrown when a scheduled operation is executed before its delay has passed."""

    signature = "AccessManagerNotReady(bytes32)"
    rule = "A scheduled operation is executed before its delay has passed."
    step = "Execute it later."
    operation_id: bytes


class AccessManagerNotScheduled(ContractError):
    """Thrown when an operation is executed that was not scheduled."""

    signature = "AccessManagerNotScheduled(bytes32)"
    rule = "An operation is executed that was not scheduled."
    step = "Schedule it first."
    operation_id: bytes


class AccessManagerUnauthorizedAccount(ContractError):
    """Thrown when an account without role `roleId` manages the Authority."""

    signature = "AccessManagerUnauthorizedAccount(address,uint64)"
    rule = "An account without role `roleId` manages the Authority."
    step = "Send from an account that has the role; the admin's role is 0."
    msgsender: str
    role_id: int


class AccessManagerUnauthorizedCall(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerUnauthorizedCall(address,address,bytes4)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    caller: str
    target: str
    selector: bytes


class AccessManagerUnauthorizedCancel(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerUnauthorizedCancel(address,address,address,bytes4)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    msgsender: str
    caller: str
    target: str
    selector: bytes


class AccessManagerUnauthorizedConsume(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AccessManagerUnauthorizedConsume(address)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    target: str


class AddressEmptyCode(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "AddressEmptyCode(address)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    target: str


class FailedCall(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "FailedCall()"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."


class InsufficientBalance(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "InsufficientBalance(uint256,uint256)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    balance: int
    needed: int


class SafeCastOverflowedUintDowncast(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "SafeCastOverflowedUintDowncast(uint8,uint256)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    bits: int
    value: int


class AccessManagedInvalidAuthority(ContractError):
    """Thrown when the authority is handed to an address without code."""

    signature = "AccessManagedInvalidAuthority(address)"
    rule = "The authority is handed to an address without code."
    step = "Name a deployed Authority."
    authority: str


class AccessManagedRequiredDelay(ContractError):
    """Thrown when a role's delay has not been kept: the call was not scheduled, or not long enough ago."""

    signature = "AccessManagedRequiredDelay(address,uint32)"
    rule = "A role's delay has not been kept: the call was not scheduled, or not long enough ago."
    step = "Schedule the call in the Authority and execute it after `delay` seconds."
    caller: str
    delay: int


class AccessManagedUnauthorized(ContractError):
    """Thrown when a function of the authority is called by an account without the role for it."""

    signature = "AccessManagedUnauthorized(address)"
    rule = "A function of the authority is called by an account without the role for it."
    step = "Have the admin of the Authority grant the account the role, or send from an account that has it."
    caller: str


class InvalidShortString(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "InvalidShortString()"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."


class StringTooLong(ContractError):
    """Thrown by OpenZeppelin's contracts; see their documentation."""

    signature = "StringTooLong(string)"
    rule = "Thrown by OpenZeppelin's contracts; see their documentation."
    step = "Check the arguments against OpenZeppelin's documentation of this error."
    str: str


class ReentrancyGuardReentrantCall(ContractError):
    """Thrown when a token calls back into a function that moves tokens while one runs."""

    signature = "ReentrancyGuardReentrantCall()"
    rule = "A token calls back into a function that moves tokens while one runs."
    step = "Do not use such a token for a bounty."


class SafeERC20FailedOperation(ContractError):
    """Thrown when a token refuses a transfer: the balance or the allowance is too small, or it blocks an account."""

    signature = "SafeERC20FailedOperation(address)"
    rule = "A token refuses a transfer: the balance or the allowance is too small, or it blocks an account."
    step = "Look at the token's own rules; approve the amount before a bounty is funded, or name another receiver."
    token: str


ALL: tuple[type[ContractError], ...] = (
    CallFailed,
    MessageExpired,
    SignatureInvalid,
    AccountChangeNotYours,
    AccountChangeTooEarly,
    AccountChangeUnknown,
    AccountInUse,
    AccountReserved,
    CredentialMissing,
    GroupAlreadyJoined,
    GroupNotJoined,
    GroupPlacesFull,
    GroupUnknown,
    GroupsExhausted,
    KindMissing,
    PartyAlreadySuspended,
    PartyInactive,
    PartyNotSuspended,
    PartyUnknown,
    RecoveryUnderWay,
    ValidityPast,
    ApprovalsTooFew,
    ApprovalsUnordered,
    DelegateNotPossible,
    DelegationKindNotPossible,
    DelegationNotYours,
    DelegationPeriodEmpty,
    DelegationScopesEmpty,
    DelegationStale,
    DelegatorStale,
    GuardianNotNamed,
    GuardianWithoutEnd,
    GuardiansMismatch,
    GuardiansOutOfRange,
    NotTheSubject,
    PeriodExceeded,
    RecoveryNotUnderWay,
    RecoveryTooEarly,
    RoundStale,
    ScopesExceeded,
    SuccessorNotPossible,
    AlreadyReviewed,
    BreakGlassRefused,
    DelegateScopeMissing,
    GlassAlreadyBroken,
    GranteeMissing,
    LimitsOutOfRange,
    NotEmergencyCare,
    OpeningTooLong,
    OpeningUnknown,
    OpeningsExhausted,
    OverrideReasonMissing,
    RuleBitsReserved,
    RuleDataPeriodEmpty,
    RuleFieldEmpty,
    RuleIndexGap,
    RuleIndexOutOfRange,
    RulePeriodEmpty,
    RuleResearchMismatch,
    SequenceStale,
    TermsAlreadyPublished,
    TermsExhausted,
    TermsMissing,
    TermsUnknown,
    AnswerUnchanged,
    BatchEmpty,
    BatchExists,
    CommitmentMissing,
    CustodianRequired,
    CustodyNotOffered,
    DataClassUnknown,
    OpeningNotYours,
    PointerChanged,
    PointerExists,
    PointerNotDisputed,
    PointerNotInBatch,
    PointerOutdated,
    PointerUnknown,
    ProviderRequired,
    ReasonMissing,
    SubjectMissing,
    VersionsExhausted,
    AlreadyCancelled,
    AlreadyFilled,
    AlreadyOpened,
    BatchNotPossible,
    FillChanged,
    FillInProgress,
    FillSkipped,
    FillsExhausted,
    KindNotAdmitted,
    PharmacyChanged,
    PharmacyInactive,
    PharmacyRequired,
    PharmacyUnchanged,
    PrescriptionExists,
    PrescriptionExpired,
    PrescriptionHeld,
    PrescriptionIncomplete,
    PrescriptionPast,
    PrescriptionUnknown,
    QuantityNotPossible,
    StepNotYours,
    SupplyNotNeeded,
    SupplyRepeated,
    SupplyUnknown,
    AlreadyBilled,
    BatchSizeOutOfRange,
    ClaimBatchExists,
    ClaimExists,
    ClaimIncomplete,
    ClaimNotInBatch,
    EncounterExists,
    EncounterIncomplete,
    EncounterUnknown,
    FlagDecisionMissing,
    FlagExists,
    FlagNotRaised,
    GroundsMissing,
    NotAlike,
    NullifierNotWaiting,
    OutcomeMismatch,
    OutcomeMissing,
    PatientMissing,
    PrescriptionNotIssued,
    ReplacementMismatch,
    RootMissing,
    RulesMismatch,
    RulesMissing,
    RulesPeriodEmpty,
    RulesRetroactive,
    RulesUnknown,
    StepEarly,
    StepLate,
    StepNotPossible,
    ConsistencyUnproven,
    LogNotGrown,
    PublisherNotYours,
    ComplaintAnsweredAlready,
    ComplaintExists,
    ComplaintUnknown,
    EntryNotIncluded,
    LogOpenAlready,
    LogUnknown,
    PartyRequired,
    PromiseNotDue,
    SignerMissing,
    DeviceBitsUnknown,
    DeviceClassesNotPossible,
    DeviceNotPossible,
    DevicePeriodEmpty,
    DeviceStale,
    BlockNotPast,
    ChoiceStale,
    CohortExists,
    CohortUnknown,
    CustodianNotNamed,
    CustodiansOutOfRange,
    CustodiansUnsorted,
    RequestNotResearch,
    ResearcherRequired,
    ResultExists,
    StudyExists,
    StudyNotReady,
    StudyPeriodNotPossible,
    AcceptanceOver,
    AcceptanceTimeNotPossible,
    AmountMissing,
    AnswerAccepted,
    AnswerNotAccepted,
    BountyOpen,
    BountyShort,
    ClaimLate,
    FunderRequired,
    NothingLeft,
    PaidAlready,
    ReceiverNotPossible,
    ResultUnknown,
    StudyNotFundable,
    SubjectNotInCohort,
    TokenNotWhole,
    TokenUnknown,
    AccessManagerAlreadyScheduled,
    AccessManagerBadConfirmation,
    AccessManagerExpired,
    AccessManagerInvalidInitialAdmin,
    AccessManagerLockedRole,
    AccessManagerNotReady,
    AccessManagerNotScheduled,
    AccessManagerUnauthorizedAccount,
    AccessManagerUnauthorizedCall,
    AccessManagerUnauthorizedCancel,
    AccessManagerUnauthorizedConsume,
    AddressEmptyCode,
    FailedCall,
    InsufficientBalance,
    SafeCastOverflowedUintDowncast,
    AccessManagedInvalidAuthority,
    AccessManagedRequiredDelay,
    AccessManagedUnauthorized,
    InvalidShortString,
    StringTooLong,
    ReentrancyGuardReentrantCall,
    SafeERC20FailedOperation,
)
