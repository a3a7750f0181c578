"""Rules in sentences that a patient understands.

`describe` says what a rule covers where that list is short, and what it leaves out where it covers almost everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medproof.policy.codes import DataClass, PartyKind, Purpose, ResearchUse, Sensitivity
from medproof.policy.phrases import (
    FIRST_DAY,
    MOST_LEFT_OUT,
    capital,
    join,
    labelled,
    moment,
    period,
    plain,
    told_by_exception,
    widest,
)

if TYPE_CHECKING:  # a rule prints itself through this module
    from medproof.policy.word import Rule

__all__ = ["describe"]


def describe(rule: Rule, *, grantee: str = "this recipient") -> str:
    """Return the rule as sentences for a patient. `grantee` names who the rule speaks of."""
    sentences = [_main(rule, grantee), *_exceptions(rule), _sensitivities(rule), _data_period(rule)]
    sentences += _research(rule)
    if rule.party_kinds != PartyKind.ALL:
        sentences.append(f"It holds only for {join(plain(rule.party_kinds), 'and')}.")
    if rule.delegable:
        sentences.append(f"{capital(grantee)} may pass this permission on to others.")
    if rule.break_glass_refused:
        sentences.append("Emergency access that breaks the glass is refused as well.")
    if rule.terms:
        sentences.append(f"It was signed under terms number {rule.terms}.")
    text = " ".join(sentence for sentence in sentences if sentence)
    if rule.revoked:
        kind = "refusal" if rule.deny else "permission"
        return f"You withdrew this {kind}, and it no longer counts. It read: “{text}”"
    return text


def _main(rule: Rule, grantee: str) -> str:
    """Return who may or may not do what, for what, about what, where and when."""
    word = "or" if rule.deny else "and"
    verb = f"You do not allow {grantee} to" if rule.deny else f"You allow {grantee} to"
    actions = join(plain(rule.actions) or ["do nothing with"], word)
    if rule.classes == DataClass.ALL:
        classes = "any of your health data" if rule.deny else "all your health data"
    elif told_by_exception(rule.classes):
        classes = "your health data"
    else:
        classes = f"your {join(plain(rule.classes), word)}"
    if rule.purposes == Purpose.ALL:
        purposes = "for any purpose"
    elif told_by_exception(rule.purposes):
        purposes = "for almost any purpose"
    else:
        purposes = f"for {join(plain(rule.purposes), word)}"
    parts = [f"{verb} {actions} {classes} {purposes}"]
    if not told_by_exception(rule.conditions):
        parts.append(f"about {join(plain(rule.conditions), word)}")
    if not told_by_exception(rule.settings):
        parts.append(f"in {join(plain(rule.settings), word)}")
    until = f"until {moment(rule.valid_until)}" if rule.valid_until else "with no end date"
    parts.append(f"from {moment(rule.valid_from)} {until}")
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
        if left_out and told_by_exception(value):
            found.append(pattern.format(join(plain(left_out), "or")))
    return [f"{subject} {join(found, 'or')}."] if found else []


def _sensitivities(rule: Rule) -> str:
    """Return which sensitive information is covered."""
    labels = rule.sensitivities & Sensitivity.LABELLED
    left_out = ~rule.sensitivities & Sensitivity.LABELLED
    covers = "This refusal concerns" if rule.deny else "It covers"
    does_not = "This refusal does not concern" if rule.deny else "It does not cover"
    if Sensitivity.NONE_LABELLED not in rule.sensitivities:
        return f"{covers} only {labelled(labels, 'and')}."
    if not left_out:
        return f"{covers} sensitive information of every kind."
    if not labels:
        return f"{does_not} information that is labelled as sensitive."
    if len(left_out) <= MOST_LEFT_OUT:
        return f"{does_not} {labelled(left_out, 'or')}."
    return f"Of sensitive information, {covers[0].lower()}{covers[1:]} only {labelled(labels, 'and')}."


def _data_period(rule: Rule) -> str:
    """Return which data is covered by its date, nothing where all is."""
    if rule.data_from == FIRST_DAY and rule.data_until is None:
        return ""
    subject = "This refusal concerns" if rule.deny else "It covers"
    return f"{subject} only data {period(rule.data_from, rule.data_until)}."


def _research(rule: Rule) -> list[str]:
    """Return what research is meant and what it must observe, nothing where no purpose is research."""
    if not rule.purposes & Purpose.RESEARCH:
        return []
    permissions = rule.research & ResearchUse.PERMISSIONS
    if rule.deny:
        every = permissions == ResearchUse.PERMISSIONS
        refused = "research of every kind" if every else join(plain(permissions), "and")
        sentences = [f"For research, it refuses {refused}."]
    elif ResearchUse.NRES in permissions:
        sentences = ["For research, it allows any use without restriction."]
    else:
        sentences = [f"For research, it allows {join(plain(widest(permissions)), 'and')}."]
    if musts := rule.research & ResearchUse.MODIFIERS & ~ResearchUse.CC:
        sentences.append(f"Researchers must {join(plain(musts), 'and')}.")
    if ResearchUse.CC in rule.research:
        sentences.append("Use in clinical care is allowed along with the research.")
    return sentences
