"""The hash of a rule is written over low memory: what is kept there stands afterwards."""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.messages import MESSAGE_TYPES, Domain
from medproof.policy.codes import DataClass

TERMS = b"\x77" * 32
DEADLINE = 2**256 - 1


@pytest.fixture(scope="module")
def hasher(RuleHasher, admin):  # noqa: N803 - Brownie's name
    return RuleHasher.deploy({"from": admin})


def struct_hash(message):
    members = [member.split(" ") for member in MESSAGE_TYPES["Rule"].split(",")]
    kinds, values = [kind for kind, _ in members], [message.message[name] for _, name in members]
    return keccak(keccak(text=f"Rule({MESSAGE_TYPES['Rule']})") + encode(kinds, values))


@pytest.mark.spec("C20")
@pytest.mark.parametrize("length", [0, 1, 31, 32, 500, 576, 577, 2000])
def test_memory_in_use_is_kept(hasher, patient, clinic, rule_word, length):
    kept = bytes(number % 251 + 1 for number in range(length))
    word = rule_word(classes=DataClass(0x2A5A5))
    domain = Domain("ConsentRegistry", 1, "0x" + "11" * 20)
    message = messages.rule(
        domain, subject=patient.address, grantee=clinic.address, word=word, terms=TERMS, deadline=DEADLINE
    )

    type_hash = keccak(text=f"Rule({MESSAGE_TYPES['Rule']})")
    structure, before, later = hasher.hash(kept, word, type_hash, patient, clinic, TERMS, DEADLINE)

    assert bytes(structure) == struct_hash(message)
    assert bytes(before) == kept
    assert bytes(later) == b"\x01" + kept
