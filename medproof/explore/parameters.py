"""The parameters of a page's address: checked one by one, and whatever is wrong said beside its field."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from medproof.errors import UnknownCodeError
from medproof.policy.codes import CodedFlag, Condition

__all__ = ["MOST_CHARACTERS", "Pairs", "Parameters"]

Pairs = Sequence[tuple[str, str]]
"""Names and values, in the order of the address."""

MOST_CHARACTERS = 6000
"""Of the parameters of one address."""

_MOST_PARAMETERS = 200
_MOST_TEXT = 200  # characters of one value
_MOST_SAID = 40  # characters of a value that an error quotes
_NUMBER = re.compile("[0-9]{1,15}", re.ASCII)
_Flag = TypeVar("_Flag", bound=CodedFlag)


class Parameters:
    """What an address asks for. Reading never fails: `errors` says what is wrong, by the parameter's name."""

    def __init__(self, given: Pairs, *, single: Iterable[str], several: Iterable[str] = ()) -> None:
        """Take the parameters of an address.

        Args:
            given: names and values.
            single: parameters that are given once at most.
            several: parameters that may be repeated.
        """
        self.errors: dict[str, str] = {}
        self._several = set(several)
        self._known = [*single, *self._several]
        self._values: dict[str, list[str]] = {}
        if len(given) > _MOST_PARAMETERS or sum(len(name) + len(value) for name, value in given) > MOST_CHARACTERS:
            self.errors[""] = (
                f"The address is too long: {_MOST_PARAMETERS} parameters, {MOST_CHARACTERS:,} characters are the most."
            )
            return
        for name, value in given:
            self._take(name, value.strip())

    def _take(self, name: str, value: str) -> None:
        if name not in self._known:
            known = ", ".join(sorted(self._known)) or "none"
            self.errors[""] = f"This page has no parameter {_quoted(name)}. It has: {known}."
        elif name not in self._several and self._values.get(name, [value]) != [value]:
            self.errors[name] = f"{name} is given twice, with different values. Give it once."
        elif len(value) > _MOST_TEXT:
            self.errors[name] = f"{name} has {len(value):,} characters, and {_MOST_TEXT} are the most. Shorten it."
        elif value:
            self._values.setdefault(name, []).append(value)

    def given(self) -> list[tuple[str, str]]:
        """All that was given and is not empty, in the order of the page's parameters."""
        return [(name, value) for name in self._known for value in sorted(set(self._values.get(name, ())))]

    def texts(self, name: str) -> list[str]:
        """All values of a parameter."""
        return self._values.get(name, [])

    def text(self, name: str) -> str:
        """A parameter as it was typed; empty where it is not given."""
        return next(iter(self.texts(name)), "")

    def number(self, name: str, *, lowest: int, highest: int, what: str) -> int | None:
        """A whole number, or None where there is none."""
        text = self.text(name)
        if not text:
            return None
        if not _NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
            self.errors[name] = f"{_quoted(text)} is no {what}. Give a whole number from {lowest:,} to {highest:,}."
            return None
        return int(text)

    def day(self, name: str) -> date | None:
        """A day, or None where there is none."""
        text = self.text(name)
        try:
            found = date.fromisoformat(text) if text else None
        except ValueError:
            found = None
        if text and (found is None or found.isoformat() != text):
            self.errors[name] = f"{_quoted(text)} is no day. Write it as 2026-03-01."
            return None
        return found

    def codes(self, name: str, kind: type[_Flag]) -> _Flag:
        """A set of codes; empty where none is given."""
        found = kind(0)
        for text in self.texts(name):
            try:
                plain = issubclass(kind, Condition) and "-" not in text
                found |= kind.from_icd10cm(text) if plain else kind.from_code(text)  # type: ignore[attr-defined]
            except UnknownCodeError:
                near = ", ".join(str(one) for one in _codes(kind)[:3])
                self.errors[name] = (
                    f"{_quoted(text)} is no code of {kind.system.title}. Choose from the list: {near}, …"
                )
        return found

    def choice(self, name: str, options: Mapping[str, object] | Collection[str]) -> str:
        """One of some words; empty where none is given."""
        text = self.text(name)
        if text and text not in options:
            self.errors[name] = f"{_quoted(text)} is not known here. Choose {', '.join(sorted(options))}."
            return ""
        return text

    def pattern(self, name: str, form: re.Pattern[str], what: str, step: str) -> str:
        """A text of a form; empty where none is given."""
        text = self.text(name)
        if text and not form.fullmatch(text):
            self.errors[name] = f"{_quoted(text)} is no {what}. {step}"
            return ""
        return text


def _codes(kind: type[CodedFlag]) -> list[str]:
    return [one.code for one in kind]


def _quoted(text: str) -> str:
    shown = text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"
    return f"“{shown}”"
