"""Sentences about rules that a patient understands."""

from __future__ import annotations

from medproof.policy.word import Rule


def describe(rule: Rule) -> str:
    """Return the rule as a sentence that a patient understands."""
    return repr(rule)
