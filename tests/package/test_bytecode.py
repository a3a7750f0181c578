"""What the shipped bytecode may and may not contain, read from its instructions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

import pytest

from medproof.artifacts import CONTRACTS

SIZE_LIMIT = 24_576  # EIP-170
CREATION_LIMIT = 49_152  # EIP-3860

# Opcodes of the execution specification that London has; all others are unknown there.
LONDON = {
    *range(0x00, 0x0C),  # STOP and arithmetic
    *range(0x10, 0x1E),  # comparison and bits
    0x20,  # KECCAK256
    *range(0x30, 0x49),  # environment and block, up to BASEFEE
    *range(0x50, 0x5C),  # stack, memory, storage, jumps; without TLOAD, TSTORE, MCOPY, PUSH0
    *range(0x60, 0xA5),  # PUSH1 to LOG4
    *range(0xF0, 0xF6),  # CREATE, CALL, CALLCODE, RETURN, DELEGATECALL, CREATE2
    *(0xFA, 0xFD, 0xFE, 0xFF),  # STATICCALL, REVERT, INVALID, SELFDESTRUCT
}
PUSH0, TLOAD, TSTORE, MCOPY = 0x5F, 0x5C, 0x5D, 0x5E
ADDRESS = 0x30  # a contract's own
CREATE, CALL, CALLCODE, DELEGATECALL, CREATE2, STATICCALL, SELFDESTRUCT = 0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA, 0xFF


def artifact(name: str) -> dict:
    return json.loads((files("medproof") / "abi" / f"{name}.json").read_text())


def without_metadata(code: bytes) -> bytes:
    """The code without what the compiler appends: CBOR, whose length stands in the last two bytes."""
    length = int.from_bytes(code[-2:])
    metadata = code[-2 - length : -2]
    assert b"solc" in metadata, "no metadata where it is expected"
    return code[: -2 - length]


def instructions(code: bytes) -> Iterator[int]:
    """Every opcode of the code; the data that a PUSH carries is skipped."""
    position = 0
    while position < len(code):
        opcode = code[position]
        yield opcode
        position += 1 + (opcode - 0x5F if 0x60 <= opcode <= 0x7F else 0)


def listing(name: str) -> list[int]:
    """The deployed contract's opcodes, in order."""
    return list(instructions(without_metadata(bytes.fromhex(artifact(name)["deployedBytecode"][2:]))))


def opcodes(name: str) -> set[int]:
    return set(listing(name))


def creation_code(name: str) -> bytes:
    """What runs once, at deployment: the bytecode up to the deployed code that it carries."""
    contract = artifact(name)
    whole, deployed = (bytes.fromhex(contract[key][2:]) for key in ("bytecode", "deployedBytecode"))
    start = whole.index(deployed)
    return whole[:start].removesuffix(b"\xfe")


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S7")
def test_every_instruction_is_known_since_london(name):
    assert opcodes(name) <= LONDON
    assert set(instructions(creation_code(name))) <= LONDON


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S7")
def test_compiled_for_paris(name):
    assert artifact(name)["compiler"]["evmVersion"] == "paris"


@pytest.mark.parametrize("opcode", [PUSH0, TLOAD, TSTORE, MCOPY])
def test_later_opcodes_are_found_where_they_are(opcode):
    """The disassembler sees an opcode, and not the same byte in a PUSH's data."""
    assert opcode in set(instructions(bytes([0x60, 0x01, opcode])))
    assert opcode not in set(instructions(bytes([0x60, opcode, 0x7F, *[opcode] * 32])))
    assert opcode not in LONDON


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S5")
def test_no_proxy_and_no_self_destruction(name):
    allowed = set() if name == "Registrar" else {DELEGATECALL}

    assert opcodes(name) & {DELEGATECALL, CALLCODE, CREATE, CREATE2, SELFDESTRUCT} == allowed


@pytest.mark.parametrize("name", sorted(set(CONTRACTS) - {"Registrar"}))
@pytest.mark.spec("S5")
def test_delegated_call_is_to_the_contract_itself(name):
    """There is one, and its target is put on the stack right before: the contract's own address, then the gas."""
    code = listing(name)
    place = code.index(DELEGATECALL)

    assert code.count(DELEGATECALL) == 1
    assert ADDRESS in code[place - 2 : place]


@pytest.mark.parametrize(
    "name", ["Delegations", "RecordPointers", "Prescriptions", "ClaimAnchor", "BatchAnchor", "AccessLog", "Devices"]
)
@pytest.mark.spec("S6")
def test_calls_of_others_are_static(name):
    assert opcodes(name) & {CALL, CALLCODE} == set()
    assert STATICCALL in opcodes(name)


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S8")
def test_size_is_below_the_limits(name):
    contract = artifact(name)

    assert len(contract["deployedBytecode"]) // 2 - 1 < SIZE_LIMIT
    assert len(contract["bytecode"]) // 2 - 1 < CREATION_LIMIT


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S4")
def test_nothing_is_payable_but_the_authoritys_execution(name):
    payable = [entry.get("name", entry["type"]) for entry in artifact(name)["abi"] if _payable(entry)]

    assert payable == (["execute"] if name == "Authority" else [])


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.spec("S4")
def test_nothing_receives_ether(name):
    assert not [entry for entry in artifact(name)["abi"] if entry["type"] in ("receive", "fallback")]


def _payable(entry: dict) -> bool:
    return entry.get("stateMutability") == "payable"


def test_nothing_is_kept_in_memory_where_a_rule_is_hashed():
    """The rule's hash is written from 0x80 up: no variable of the compiler's may live there, so memory begins there."""
    assert artifact("ConsentRegistry")["deployedBytecode"].removeprefix("0x").startswith("6080604052")
