"""Whether a record may be served: the chain's answer at a block, and the finer policy documents behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from medproof.client.record_pointers import PointerKey
from medproof.errors import RecordError
from medproof.fhir import Resource, care_setting, conditions, data_class, record_tags, records, sensitivities
from medproof.fhir.period import data_period
from medproof.gateway.moment import Moment
from medproof.gateway.signature import Claims
from medproof.policy import document
from medproof.policy.codes import Purpose
from medproof.policy.document import PolicyDocument
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.word import EPOCH_DAY, NO_END_DAY, Request, Rule, encode, encode_request

__all__ = ["OPEN_REASONS", "Consents", "Verdict", "request_for"]

_LAST_DAY = EPOCH_DAY + timedelta(days=NO_END_DAY - 1)

OPEN_REASONS = frozenset(
    {
        Reason.REVOKED,
        Reason.NOT_YET_VALID,
        Reason.EXPIRED,
        Reason.PARTY_KIND,
        Reason.PURPOSE,
        Reason.ACTION,
        Reason.RESEARCH_USE,
    }
)
"""Refusals that depend on a permission that the patient once gave and on what the caller claims, and on nothing in the
record. All others would tell what the record says, or that there is one."""


_HOPELESS = frozenset(
    {
        Reason.NO_RULE,
        Reason.REVOKED,
        Reason.NOT_YET_VALID,
        Reason.EXPIRED,
        Reason.PARTY_KIND,
        Reason.PURPOSE,
    }
)
"""Refusals by which every permit fails before anything of the record is looked at. A broken glass may open one record
and not another, whatever the permits say."""


@dataclass(frozen=True)
class Verdict:
    """Why a record is served or not."""

    reason: str  # name of a `Reason`; SUBJECT, DELEGATE of the subject; FINER_POLICY, UNCLASSIFIED
    said: str  # the sentence
    permitted: bool
    told: bool  # whether a refused caller may know why
    grantee: str | None = None  # under whom the deciding rule stands
    rule: Rule | None = None  # the deciding rule
    hopeless: bool = False  # whether no other record of the subject could be had with these claims either

    @property
    def break_glass(self) -> bool:
        """Whether nobody permitted it and the glass was broken."""
        return self.reason == Reason.BREAK_GLASS.name


def request_for(record: Resource, claims: Claims) -> Request:
    """Return what must be permitted for a record to be served: everything that it carries, and all that is claimed.

    Where a record does not tell its conditions, its care setting or its days, all of them are asked for.

    Raises:
        UnclassifiedRecordError: no rule can speak of it.
    """
    days = data_period(record)
    first, last = days or (EPOCH_DAY, None)
    return Request(
        purposes=claims.purposes,
        actions=claims.actions,
        research=claims.research,
        classes=data_class(record),
        conditions=conditions(record),
        sensitivities=sensitivities(record),
        settings=care_setting(record),
        data_from=min(max(first, EPOCH_DAY), _LAST_DAY),
        data_until=_last(last),
    )


def _last(day: date | None) -> date | None:
    """The last day as a request says it: the first one of all cannot be said, and the farthest are no end."""
    if day is None or day > _LAST_DAY:
        return None
    return max(day, EPOCH_DAY + timedelta(days=1))


class Consents:
    """The consents that one custodian holds itself to."""

    def __init__(self, documents: Collection[PolicyDocument] = (), plain_terms: Collection[bytes] = ()) -> None:
        """Know what terms mean.

        Args:
            documents: the policy documents that are at hand.
            plain_terms: hashes of terms that are consent forms for people, without finer provisions. A permit under
                terms that are neither permits nothing.
        """
        self._meaning: Mapping[bytes, PolicyDocument | None] = {
            **dict.fromkeys(plain_terms),
            **{found.hash: found for found in documents},
        }

    @staticmethod
    def prepare(moment: Moment, account: str, stored: Iterable[tuple[PointerKey, Resource]], claims: Claims) -> None:
        """Ask the chain at once for all that `decide` will ask of several records, and for their pointers.

        Raises:
            GatekeeperRefusalError: the chain cannot be asked now.
        """
        keys, asked = [], []
        for key, record in stored:
            keys.append(key)
            with suppress(RecordError):  # no rule can speak of it
                request = request_for(record, claims)
                encode_request(request)
                asked.append((key.subject, account, request))
        moment.prepare(keys, [one for one in asked if one[0] != account])

    def decide(self, moment: Moment, subject: str, account: str, record: Resource, claims: Claims) -> Verdict:
        """Decide whether an account may have a record of a subject.

        Raises:
            GatekeeperRefusalError: the chain cannot be asked now.
        """
        if account == subject:
            return Verdict("SUBJECT", "The record is the subject's own.", permitted=True, told=True)
        verdict = self._by_rules(moment, subject, account, record, claims)
        if verdict.reason != Reason.PERMITTED.name and moment.is_delegate(subject, account):
            return Verdict("DELEGATE", "The subject's delegate may view its records.", permitted=True, told=True)
        return verdict

    def _by_rules(self, moment: Moment, subject: str, account: str, record: Resource, claims: Claims) -> Verdict:
        try:
            request = request_for(record, claims)
            encode_request(request)
        except RecordError:
            return Verdict("UNCLASSIFIED", "No rule can speak of this record.", permitted=False, told=False)
        found = moment.decide(subject, account, request)
        said = explain(found.reason, found.rule, request)
        told = found.permitted or found.reason in OPEN_REASONS
        hopeless = found.reason in _HOPELESS and claims.purposes != Purpose.BTG
        verdict = Verdict(found.reason.name, said, found.permitted, told, found.grantee, found.rule, hopeless)
        if found.reason is not Reason.PERMITTED:
            return verdict
        return self._finer(moment, subject, account, record, request) or verdict

    def _finer(self, moment: Moment, subject: str, account: str, record: Resource, request: Request) -> Verdict | None:
        """The refusal of a policy document; None where none refuses."""
        party = moment.standing(account)
        if party is None:  # the contract has just said otherwise
            return Verdict("INACTIVE_PARTY", explain(Reason.INACTIVE_PARTY), permitted=False, told=True)
        rules = moment.rules(subject, party)
        numbers = {rule.terms for words in rules.values() for rule in words if not rule.revoked and not rule.deny}
        if numbers <= {0}:
            return None
        hashes = {number: moment.terms(number) for number in numbers - {0}}
        decision = document.decide(
            {grantee: [encode(rule) for rule in words] for grantee, words in rules.items()},
            party.kind,
            datetime.fromtimestamp(moment.block.timestamp, UTC),
            encode_request(request),
            documents={number: self._meaning[terms] for number, terms in hashes.items() if terms in self._meaning},
            records=[record_tags(one) for one in records(record)],
        )
        if decision.permitted:
            return None
        said = str(decision.refusal or "the rules do not permit it")
        return Verdict("FINER_POLICY", f"The finer policy refuses: {said}.", permitted=False, told=False)
