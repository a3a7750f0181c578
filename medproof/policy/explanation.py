"""Refusals in sentences that a patient understands: one for each reason, naming what is missing."""

from __future__ import annotations

from medproof.policy.codes import CodedFlag, ResearchUse, Sensitivity
from medproof.policy.evaluation import Reason, normalize
from medproof.policy.phrases import MOST_LEFT_OUT, join, labelled, moment, period, plain, widest
from medproof.policy.word import Request, Rule, decode_request, encode_request

__all__ = ["explain"]


def explain(reason: Reason, rule: Rule | None = None, request: Request | None = None) -> str:
    """Return one plain sentence that says why a request was permitted or refused.

    `rule` is the rule that decided (`Decision.word`, decoded) and `request` what was asked for; with both,
    the sentence names what is missing.
    """
    if reason in _MISSING and rule is not None and request is not None:
        return _explain_missing(reason, rule, request)
    if reason is Reason.NOT_YET_VALID and rule is not None:
        return f"The permission that comes nearest begins only on {moment(rule.valid_from)}."
    if reason is Reason.EXPIRED and rule is not None and rule.valid_until is not None:
        return f"The permission that comes nearest ended on {moment(rule.valid_until)}."
    if reason is Reason.PARTY_KIND and rule is not None:
        kinds = join(plain(rule.party_kinds), "and")
        return f"The permission that comes nearest holds only for {kinds}, and the one who asks is none of them."
    if reason is Reason.DATA_PERIOD and rule is not None:
        return f"The permission that comes nearest covers only data {period(rule.data_from, rule.data_until)}."
    return _SENTENCES[reason]


_SENTENCES = {
    Reason.BREAK_GLASS: "Nobody permitted this: the record was opened in an emergency, for the patient to see.",
    Reason.PERMITTED: "A permission of the patient covers everything that was asked for.",
    Reason.MALFORMED_REQUEST: "The request is not well formed, so nothing was permitted.",
    Reason.INACTIVE_PARTY: "The one who asks is not an active party, so no permission counts.",
    Reason.DENIED: "The patient refused this, and a refusal beats every permission.",
    Reason.NO_RULE: "The patient has given no permission to the one who asks.",
    Reason.REVOKED: "The patient withdrew the permission that comes nearest.",
    Reason.NOT_YET_VALID: "The permission that comes nearest has not begun yet.",
    Reason.EXPIRED: "The permission that comes nearest has ended.",
    Reason.PARTY_KIND: "The permission that comes nearest is for another kind of party.",
    Reason.PURPOSE: "The permission that comes nearest does not cover every purpose asked for.",
    Reason.DATA_CLASS: "The permission that comes nearest does not cover every kind of data asked for.",
    Reason.CONDITION: "The permission that comes nearest does not cover every health condition asked for.",
    Reason.SENSITIVITY: "The permission that comes nearest does not cover all sensitive data asked for.",
    Reason.CARE_SETTING: "The permission that comes nearest does not cover every place of care asked for.",
    Reason.ACTION: "The permission that comes nearest does not cover all that would be done with the data.",
    Reason.DATA_PERIOD: "The permission that comes nearest does not cover the whole period asked for.",
    Reason.RESEARCH_USE: "The permission that comes nearest does not cover this research.",
}

# The field of rule and request that a reason is about, and what to say of the codes that are missing there.
_MISSING = {
    Reason.PURPOSE: ("purposes", "does not cover use for {}"),
    Reason.DATA_CLASS: ("classes", "does not cover {}"),
    Reason.CONDITION: ("conditions", "does not cover {}"),
    Reason.SENSITIVITY: ("sensitivities", "does not cover {}"),
    Reason.CARE_SETTING: ("settings", "does not cover {}"),
    Reason.ACTION: ("actions", "does not let anyone {} the data"),
    Reason.RESEARCH_USE: ("research", "does not cover {}"),
}


def _explain_missing(reason: Reason, rule: Rule, request: Request) -> str:
    """Name the codes asked for that the rule lacks; the general sentence where there are many."""
    word = normalize(encode_request(request))
    if word is None:
        return _SENTENCES[reason]
    name, pattern = _MISSING[reason]
    wanted: CodedFlag = getattr(decode_request(word), name)
    covered: CodedFlag = getattr(rule, name)
    if isinstance(wanted, ResearchUse) and isinstance(covered, ResearchUse):
        obligations = covered & ~wanted & ResearchUse.MODIFIERS
        wanted &= ResearchUse.PERMISSIONS
        if obligations and not wanted & ~covered:
            musts = join(plain(obligations & ~ResearchUse.CC) or ["accept clinical care use"], "and")
            return f"The permission that comes nearest asks of researchers what was not accepted: to {musts}."
    missing = wanted & ~covered
    if isinstance(missing, ResearchUse):
        missing = widest(missing)
    if not missing or len(missing) > MOST_LEFT_OUT:
        return _SENTENCES[reason]
    names = labelled(missing, "or") if isinstance(missing, Sensitivity) else join(plain(missing), "or")
    return f"The permission that comes nearest {pattern.format(names)}."
