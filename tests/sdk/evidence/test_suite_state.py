"""Contracts by their code, and places in arrays that grow."""

from __future__ import annotations

from datetime import timedelta

import pytest
import rlp

from medproof.artifacts import CONTRACTS, artifact
from medproof.client import MedProof
from medproof.errors import ArgumentError, EvidenceError
from medproof.evidence import locate, prove
from medproof.evidence.state_proof import read_word
from medproof.policy.emergency import OverrideReason
from medproof.policy.word import minute
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_build_and_its_immutables_are_the_code(suite: MedProof, name: str) -> None:
    code, build = suite.chain.code(suite.deployment.address(name)), artifact(name)
    values = build.immutables_of(code)
    assert build.code_with(values) == code
    for neighbour in ("registrar", "delegations"):
        if neighbour in values:
            meant = suite.deployment.address(neighbour.capitalize())
            assert values[neighbour] == bytes(12) + bytes.fromhex(meant[2:])
    for wrong in ({**values, "more": bytes(32)}, {one: value[1:] for one, value in values.items()}, {}):
        if wrong != values:
            with pytest.raises(ValueError, match=f"{name} has the immutables"):
                build.code_with(wrong)


def test_an_item_of_an_array_that_grows(
    suite: MedProof, admin: LocalSigner, clinic: LocalSigner, patient: LocalSigner
) -> None:
    suite.registrar.join_group(2, clinic.address, sender=admin)
    openings = []
    for _ in range(2):
        openings.append(
            suite.consent_registry.break_glass(
                patient.address, OverrideReason.PUBLIC_SAFETY, duration=timedelta(minutes=1), sender=clinic
            )
        )
        rpc(suite.chain, "evm_increaseTime", 120)
        rpc(suite.chain, "evm_mine")
    for number, opening in enumerate(openings):
        until = next(
            one for one in locate("ConsentRegistry", "_openings", patient.address, number) if one.name == "until"
        )
        state = prove(suite.chain, suite.consent_registry.address, [until.slot]).verify()
        assert until.number(state.words[until.slot]) == minute(opening.until)
    for wrong in (-1, "0", None, 1.0):
        with pytest.raises(ArgumentError, match="has no item"):
            locate("ConsentRegistry", "_openings", patient.address, wrong)
    with pytest.raises(ArgumentError, match="give a key"):
        locate("ConsentRegistry", "_openings", patient.address)


@pytest.mark.parametrize(
    ("held", "word"), [(None, 0), (b"\x80", 0), (b"\x07", 7), (rlp.encode(b"\xff" * 32), (1 << 256) - 1)]
)
def test_what_a_slot_holds(held: bytes | None, word: int) -> None:
    """Anvil keeps what is zero as an empty leaf, other nodes not at all."""
    assert int.from_bytes(read_word(held, "slot")) == word


@pytest.mark.parametrize("held", [b"", b"\xc0", rlp.encode([b"\x07"]), rlp.encode(b"\x07" * 33), b"\xb8"])
def test_what_is_no_word(held: bytes) -> None:
    with pytest.raises(EvidenceError, match="holds"):
        read_word(held, "slot")
