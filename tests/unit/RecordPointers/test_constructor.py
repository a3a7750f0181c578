from __future__ import annotations

import pytest


@pytest.mark.spec("P1")
def test_registrar_and_domain_are_fixed(RecordPointers, registrar, chain, admin):  # noqa: N803 - Brownie's name
    record_pointers = RecordPointers.deploy(registrar, {"from": admin})

    _, name, version, chain_id, address, salt, extensions = record_pointers.eip712Domain()
    assert record_pointers.registrar() == registrar
    assert (name, version, chain_id, address) == ("MedProof RecordPointers", "1", chain.id, record_pointers)
    assert salt == "0x" + "00" * 32
    assert extensions == ()
    assert len(record_pointers.tx.events) == 0
