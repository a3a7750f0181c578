"""Rules and refusals in sentences that a patient understands.

`describe` says what a rule covers where that list is short, and what it leaves out where it covers almost
everything. `explain` gives one sentence for each reason of a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from medproof.policy.codes import CodedFlag, DataClass, PartyKind, Purpose, ResearchUse, Sensitivity
from medproof.policy.evaluation import Reason, normalize
from medproof.policy.word import EPOCH_DAY, Request, Rule, decode_request, encode_request

__all__ = ["describe", "explain"]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MOST_LEFT_OUT = 5  # a field that leaves out at most this many codes is told by what it leaves out


def describe(rule: Rule, *, grantee: str = "this recipient") -> str:
    """Return the rule as sentences for a patient. `grantee` names who the rule speaks of."""
    sentences = [_main(rule, grantee), *_exceptions(rule), _sensitivities(rule), _data_period(rule)]
    sentences += _research(rule)
    if rule.party_kinds != PartyKind.ALL:
        sentences.append(f"It holds only for {_join(_plain(rule.party_kinds), 'and')}.")
    if rule.delegable:
        sentences.append(f"{_capital(grantee)} may pass this permission on to others.")
    if rule.break_glass_refused:
        sentences.append("Emergency access that breaks the glass is refused as well.")
    if rule.terms:
        sentences.append(f"It was signed under terms number {rule.terms}.")
    text = " ".join(sentence for sentence in sentences if sentence)
    if rule.revoked:
        kind = "refusal" if rule.deny else "permission"
        return f"You withdrew this {kind}, and it no longer counts. It read: “{text}”"
    return text


def explain(reason: Reason, rule: Rule | None = None, request: Request | None = None) -> str:
    """Return one plain sentence that says why a request was permitted or refused.

    `rule` is the rule that decided (`Decision.word`, decoded) and `request` what was asked for; with both,
    the sentence names what is missing.
    """
    if reason in _MISSING and rule is not None and request is not None:
        return _explain_missing(reason, rule, request)
    if reason is Reason.NOT_YET_VALID and rule is not None:
        return f"The permission that comes nearest begins only on {_moment(rule.valid_from)}."
    if reason is Reason.EXPIRED and rule is not None and rule.valid_until is not None:
        return f"The permission that comes nearest ended on {_moment(rule.valid_until)}."
    if reason is Reason.PARTY_KIND and rule is not None:
        kinds = _join(_plain(rule.party_kinds), "and")
        return f"The permission that comes nearest holds only for {kinds}, and the one who asks is none of them."
    if reason is Reason.DATA_PERIOD and rule is not None:
        return f"The permission that comes nearest covers only data {_period(rule.data_from, rule.data_until)}."
    return _SENTENCES[reason]


_SENTENCES = {
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
            musts = _join(_plain(obligations & ~ResearchUse.CC) or ["accept clinical care use"], "and")
            return f"The permission that comes nearest asks of researchers what was not accepted: to {musts}."
    missing = wanted & ~covered
    if isinstance(missing, ResearchUse):
        missing = _widest(missing)
    if not missing or len(missing) > _MOST_LEFT_OUT:
        return _SENTENCES[reason]
    names = _labels(missing, "or") if isinstance(missing, Sensitivity) else _join(_plain(missing), "or")
    return f"The permission that comes nearest {pattern.format(names)}."


def _main(rule: Rule, grantee: str) -> str:
    """Return who may or may not do what, for what, about what, where and when."""
    word = "or" if rule.deny else "and"
    verb = f"You do not allow {grantee} to" if rule.deny else f"You allow {grantee} to"
    actions = _join(_plain(rule.actions) or ["do nothing with"], word)
    if rule.classes == DataClass.ALL:
        classes = "any of your health data" if rule.deny else "all your health data"
    elif _told_by_exception(rule.classes):
        classes = "your health data"
    else:
        classes = f"your {_join(_plain(rule.classes), word)}"
    if rule.purposes == Purpose.ALL:
        purposes = "for any purpose"
    elif _told_by_exception(rule.purposes):
        purposes = "for almost any purpose"
    else:
        purposes = f"for {_join(_plain(rule.purposes), word)}"
    parts = [f"{verb} {actions} {classes} {purposes}"]
    if not _told_by_exception(rule.conditions):
        parts.append(f"about {_join(_plain(rule.conditions), word)}")
    if not _told_by_exception(rule.settings):
        parts.append(f"in {_join(_plain(rule.settings), word)}")
    until = f"until {_moment(rule.valid_until)}" if rule.valid_until else "with no end date"
    parts.append(f"from {_moment(rule.valid_from)} {until}")
    text = ", ".join(parts) + "."
    return text + " This refusal beats every permission." if rule.deny else text


def _exceptions(rule: Rule) -> list[str]:
    """Return what the rule leaves out, for the fields of which it covers almost everything."""
    subject = "This refusal does not concern" if rule.deny else "It does not cover"
    found: list[str] = []
    for value, pattern in (
        (rule.purposes, "use for {}"),
        (rule.classes, "{}"),
        (rule.conditions, "{}"),
        (rule.settings, "{}"),
    ):
        left_out = ~value
        if left_out and _told_by_exception(value):
            found.append(pattern.format(_join(_plain(left_out), "or")))
    return [f"{subject} {_join(found, 'or')}."] if found else []


def _sensitivities(rule: Rule) -> str:
    """Return which sensitive information is covered."""
    labels = rule.sensitivities & Sensitivity.LABELLED
    left_out = ~rule.sensitivities & Sensitivity.LABELLED
    covers = "This refusal concerns" if rule.deny else "It covers"
    does_not = "This refusal does not concern" if rule.deny else "It does not cover"
    if Sensitivity.NONE_LABELLED not in rule.sensitivities:
        return f"{covers} only {_labels(labels, 'and')}."
    if not left_out:
        return f"{covers} sensitive information of every kind."
    if not labels:
        return f"{does_not} information that is labelled as sensitive."
    if len(left_out) <= _MOST_LEFT_OUT:
        return f"{does_not} {_labels(left_out, 'or')}."
    return f"Of sensitive information, {covers[0].lower()}{covers[1:]} only {_labels(labels, 'and')}."


def _data_period(rule: Rule) -> str:
    """Return which data is covered by its date, nothing where all is."""
    if rule.data_from == EPOCH_DAY and rule.data_until is None:
        return ""
    subject = "This refusal concerns" if rule.deny else "It covers"
    return f"{subject} only data {_period(rule.data_from, rule.data_until)}."


def _research(rule: Rule) -> list[str]:
    """Return what research is meant and what it must observe, nothing where no purpose is research."""
    if not rule.purposes & Purpose.RESEARCH:
        return []
    permissions = rule.research & ResearchUse.PERMISSIONS
    if rule.deny:
        every = permissions == ResearchUse.PERMISSIONS
        refused = "research of every kind" if every else _join(_plain(permissions), "and")
        sentences = [f"For research, it refuses {refused}."]
    elif ResearchUse.NRES in permissions:
        sentences = ["For research, it allows any use without restriction."]
    else:
        sentences = [f"For research, it allows {_join(_plain(_widest(permissions)), 'and')}."]
    if musts := rule.research & ResearchUse.MODIFIERS & ~ResearchUse.CC:
        sentences.append(f"Researchers must {_join(_plain(musts), 'and')}.")
    if ResearchUse.CC in rule.research:
        sentences.append("Use in clinical care is allowed along with the research.")
    return sentences


def _widest(permissions: ResearchUse) -> ResearchUse:
    """Return the permissions that no other of them includes: any research says health research already."""
    included = ResearchUse.EMPTY
    for permission in permissions:
        included |= permission.with_narrower() & ~permission
    return permissions & ~included


def _told_by_exception(value: CodedFlag) -> bool:
    """Whether a field is told by what it leaves out: little, and less than what it covers."""
    left_out = len(~value)
    return left_out <= _MOST_LEFT_OUT and left_out < len(value)


def _plain(codes: CodedFlag) -> list[str]:
    """Return the plain words of every code in a set."""
    return [member.plain for member in codes]


def _labels(labels: Sensitivity, word: str) -> str:
    """Return sensitivity labels as `HIV or substance use information`."""
    if Sensitivity.NONE_LABELLED not in labels:
        return f"{_join(_plain(labels), word)} information" if labels else "nothing"
    rest = labels & ~Sensitivity.NONE_LABELLED
    unlabelled = Sensitivity.NONE_LABELLED.plain
    return f"{_labels(rest, word)} {word} {unlabelled}" if rest else unlabelled


def _join(parts: Sequence[str], word: str) -> str:
    """Join as in speech: `a`, `a and b`, `a, b and c`."""
    if not parts:
        return "nothing"
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _day(day: date) -> str:
    """Return a day as `1 March 2026`, whatever the machine's language."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _moment(moment: datetime) -> str:
    """Return a moment as `1 March 2026`, with the time where it is not midnight (UTC)."""
    moment = moment.astimezone(UTC)
    if (moment.hour, moment.minute) == (0, 0):
        return _day(moment)
    return f"{_day(moment)}, {moment.hour:02}:{moment.minute:02} UTC"


def _period(first: date, last: date | None) -> str:
    """Return a data period as `from 1 January 2020 on`."""
    if last is None:
        return "of any date" if first == EPOCH_DAY else f"from {_day(first)} on"
    if first == EPOCH_DAY:
        return f"up to {_day(last)}"
    return f"from {_day(first)} to {_day(last)}"


def _capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
