"""The prescription word as the package reads it."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from medproof.policy.prescription import (
    PRESCRIPTION_FIELDS,
    PrescriptionState,
    PrescriptionStatus,
    decode_prescription,
)

DAY = date(2026, 6, 1)


def word(**fields: int) -> int:
    return sum(value << PRESCRIPTION_FIELDS[name].offset for name, value in fields.items())


def test_word_is_read_field_by_field() -> None:
    stored = word(
        pharmacy=0x1234,
        quantity=30,
        fills=3,
        validUntil=20000,
        sequence=7,
        number=2,
        filled=10,
        checkedOn=19000,
        held=1,
    )

    assert decode_prescription(stored) == PrescriptionState(
        pharmacy="0x0000000000000000000000000000000000001234",
        fills=3,
        quantity=30,
        valid_until=date(2024, 10, 4),
        number=2,
        filled=10,
        sequence=7,
        checked_on=date(2022, 1, 8),
        held=True,
    )


def test_batch_has_a_size_and_no_fill() -> None:
    batch = decode_prescription(word(pharmacy=1, quantity=30, fills=3, filled=100, batch=1))

    assert (batch.size, batch.number, batch.filled, batch.in_progress) == (100, 0, 0, False)


@given(st.integers(0, (1 << 251) - 1))
def test_every_word_is_read(stored: int) -> None:
    state = decode_prescription(stored)

    assert 0 <= state.fills <= 255
    assert state.status_on(DAY) in PrescriptionStatus


def test_next_fill() -> None:
    def state(number: int, filled: int) -> PrescriptionState:
        return PrescriptionState(None, 2, 30, DAY, number, filled)

    assert [state(*one).next_fill() for one in ((0, 0), (1, 10), (1, 30), (2, 30))] == [(1, 0), (1, 10), (2, 0), (3, 0)]
    assert [state(*one).status_on(DAY) for one in ((2, 29), (2, 30))] == [
        PrescriptionStatus.OPEN,
        PrescriptionStatus.COMPLETED,
    ]
