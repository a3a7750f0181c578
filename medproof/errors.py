"""Every exception that MedProof raises. A message quotes the value, the rule it broke and the next step."""

from __future__ import annotations


class MedProofError(Exception):
    """Root of every exception that MedProof raises."""


class UnknownCodeError(MedProofError):
    """A code is not in the list that a field of the rule word speaks in."""

    def __init__(self, code: str, system: str, near: tuple[str, ...], advice: str = "") -> None:
        """Name the code, the list, and the codes that look like it."""
        self.code = code  # what was given
        self.system = system  # title of the list that was searched
        self.near = near  # codes of the list that look like it, best first
        step = advice or (
            f"Did you mean {' or '.join(near)}?" if near else "See medproof.policy.codes for the list."
        )
        super().__init__(f"{code!r} is not a code of {system}. {step}")


class RuleFieldError(MedProofError):
    """A field of a rule or a request cannot stand in the rule word, or breaks a rule of validity."""

    def __init__(self, field: str, value: object, rule: str, step: str) -> None:
        """Name the field, quote its value, the rule it broke and what to do."""
        self.field = field  # name of the field, as in medproof.policy.word.LAYOUT
        self.value = value  # what was given
        super().__init__(f"{field} is {value!r}, but {rule}. {step}")


class ReservedBitsError(MedProofError):
    """A word has bits set that no field or no code stands behind."""

    def __init__(self, word: int, bits: int) -> None:
        """Quote the word and the bits that nothing stands behind."""
        self.word = word  # the word as given
        self.bits = bits  # the offending bits, in place
        positions = ", ".join(str(n) for n in range(bits.bit_length()) if bits >> n & 1)
        super().__init__(
            f"{word:#066x} is not a rule word: bits {positions} are reserved and must be zero. "
            "Check that the word comes from the registry and that this MedProof is as new as its contracts."
        )
