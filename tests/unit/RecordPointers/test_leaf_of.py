from __future__ import annotations

import pytest

from medproof.client.record_pointers import PointerKey
from medproof.policy.codes import DataClass
from tests.support.fixtures import SALTED
from tests.unit.RecordPointers.conftest import leaf_of


@pytest.mark.spec("P38")
@pytest.mark.parametrize("data_class", [0, 1, 21, 255])
def test_leaf_is_the_hash_of_id_and_class(record_pointers, clinic, patient, data_class):
    leaf = record_pointers.leafOf(patient, clinic, data_class, SALTED)

    assert bytes(leaf) == leaf_of(patient, clinic, data_class, SALTED)


@pytest.mark.spec("P38")
def test_each_of_the_four_makes_another_leaf(record_pointers, clinic, second_clinic, patient, second_patient):
    entries = [
        (patient, clinic, 1, SALTED),
        (second_patient, clinic, 1, SALTED),
        (patient, second_clinic, 1, SALTED),
        (clinic, patient, 1, SALTED),
        (patient, clinic, 2, SALTED),
        (patient, clinic, 1, b"\x44" * 32),
    ]

    assert len({str(record_pointers.leafOf(*entry)) for entry in entries}) == len(entries)


@pytest.mark.spec("P38")
def test_package_computes_the_same(record_pointers, clinic, patient):
    key = PointerKey(patient.address, clinic.address, SALTED)

    for data_class in DataClass:
        number = data_class.value.bit_length() - 1
        assert key.leaf(data_class) == bytes(record_pointers.leafOf(patient, clinic, number, SALTED))
