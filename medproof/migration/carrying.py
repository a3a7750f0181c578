"""How what the old deployment says is said in the new one: groups and terms may have other numbers there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from medproof.client.registrar import group_grantee
from medproof.migration.state import State, meaning
from medproof.policy.word import FIELDS

__all__ = ["Carrying", "group_of"]

_TERMS = FIELDS["terms"]
_OWN_GROUPS = (1, 2)  # everyone and emergency care, which every Registrar makes itself
_GROUPS = 1 << 16


def group_of(grantee: str) -> int | None:
    """The group that a grantee stands for; None where it is a party."""
    number = int(grantee, 16)
    return number if number < _GROUPS else None


class Carrying:
    """The numbers of one deployment in those of another."""

    def __init__(self, old: State, new: State) -> None:
        """Compare two deployments' groups and terms."""
        self._old, self._new = old, new

    @cached_property
    def groups(self) -> Mapping[int, int]:
        """The new numbers of groups: by name, and of several with one name in the order of their numbers."""
        named: defaultdict[str, list[int]] = defaultdict(list)
        for number in sorted(set(self._new.groups) - set(_OWN_GROUPS)):
            named[self._new.groups[number]].append(number)
        found = {number: number for number in _OWN_GROUPS}
        for number in sorted(set(self._old.groups) - set(_OWN_GROUPS)):
            if same := named[self._old.groups[number]]:
                found[number] = same.pop(0)
        return found

    @cached_property
    def terms(self) -> Mapping[int, int]:
        """The new numbers of terms, by their hash; 0, which names none, is itself."""
        numbers = {terms: number for number, terms in self._new.terms.items()}
        known = {number: numbers[terms] for number, terms in self._old.terms.items() if terms in numbers}
        return {0: 0, **known}

    def grantee(self, grantee: str) -> str | None:
        """A grantee in the new deployment; None for a group that is not there yet."""
        group = group_of(grantee)
        if group is None:
            return grantee
        number = self.groups.get(group)
        return None if number is None else group_grantee(number)

    def word(self, word: int) -> int | None:
        """A rule's word in the new deployment, as `meaning` says it; None where its terms are not there yet."""
        number = self.terms.get(_TERMS.of(word))
        return None if number is None else meaning(word) & ~_TERMS.mask | _TERMS.place(number)
