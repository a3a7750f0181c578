"""The layout and the typed data of the Solidity sources are those of the Python package, read from the sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from brownie import web3

from medproof.messages import MESSAGE_TYPES
from medproof.policy.codes import DataClass, Purpose, ResearchUse
from medproof.policy.evaluation import Reason
from medproof.policy.word import DEFINED, FIELDS, FLAGS, LAYOUT

CONTRACTS = Path(__file__).parents[3] / "contracts"
RULE_WORD = (CONTRACTS / "libraries" / "RuleWord.sol").read_text(encoding="utf-8")

# The field that each constant of RuleWord.sol is the mask of.
MASKS = {
    **{re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field.name).upper(): field.mask for field in (*LAYOUT, *FLAGS)},
    "PERMISSIONS": ResearchUse.PERMISSIONS.value << FIELDS["research"].offset,
    "MODIFIERS": ResearchUse.MODIFIERS.value << FIELDS["research"].offset,
}
# In the source, the flags stand one by one and research as its two parts.
SPLIT = {"FLAGS", "RESEARCH"}


def constants() -> dict[str, int]:
    """Every constant of RuleWord.sol, computed from its source."""
    found: dict[str, int] = {}
    for name, expression in re.findall(r"uint256 \w+ constant (\w+) =\s*([^;]+);", RULE_WORD):
        assert re.fullmatch(r"[\w\s<|^()]+", expression)
        found[name] = eval(f"({expression})", {"__builtins__": {}}, found)
    return found


@pytest.mark.spec("C1")
def test_masks_are_the_fields_of_the_layout():
    found = constants()

    assert {name: found[name] for name in MASKS if name not in SPLIT} == {
        name: mask for name, mask in MASKS.items() if name not in SPLIT
    }
    fields = [found[name] for name in MASKS if name not in SPLIT]
    assert sum(fields) == 2**256 - 1  # no bit is left over, and none is taken twice
    assert all(not one & other for n, one in enumerate(fields) for other in fields[:n])


@pytest.mark.spec("C1", "C3")
def test_reserved_bits_are_those_without_a_code():
    found = constants()

    assert found["RESERVED"] == ~DEFINED & 2**256 - 1
    for field in LAYOUT:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field.name).upper()
        assert found.get(f"{name}_DEFINED", field.mask) == field.defined


@pytest.mark.spec("C31")
def test_request_sets_what_is_asked_for():
    asked = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions", "research")

    assert constants()["REQUEST"] == sum(FIELDS[name].defined for name in (*asked, "dataFrom", "dataUntil"))


@pytest.mark.spec("C6", "C40")
def test_codes_that_the_contract_knows_by_name_are_the_packages():
    found = constants()

    assert found["RESEARCH_PURPOSES"] == Purpose.RESEARCH.value << FIELDS["purposes"].offset
    for code in ResearchUse(ResearchUse.PERMISSIONS):
        assert found[code.name] == code.value << FIELDS["research"].offset


@pytest.mark.spec("C4", "C32")
def test_highest_bits_are_those_of_the_fields():
    found = constants()

    def highest(*names):
        return sum(1 << FIELDS[name].offset + FIELDS[name].width - 1 for name in names)

    names = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions")
    assert found["CODES"] == sum(FIELDS[name].mask for name in names)
    assert found["CODES_HIGHEST"] == highest(*names)
    assert found["PARTY_KINDS_HIGHEST"] == highest("partyKinds")
    assert found["DATA_UNTIL_HIGHEST"] == highest("dataUntil")


@pytest.mark.spec("C1", "C20")
def test_every_shift_in_the_sources_is_the_offset_of_its_field():
    members = [member.split(" ")[1] for member in MESSAGE_TYPES["Rule"].split(",")]
    body = RULE_WORD[RULE_WORD.index("function hashStruct") :]
    written = re.findall(r"mstore\((0x[0-9a-f]+), (.+)\)\n", body[: body.index("keccak256")])
    fields = {**FIELDS, **{flag.name: flag for flag in FLAGS}}

    def read(name):
        field = fields[name]
        shifted = f"shr({field.offset}, word)" if field.offset else "word"
        last = field.offset + field.width == 256
        return shifted if last else f"and({shifted}, {(1 << field.width) - 1:#X})".replace("0X", "0x")

    given = ("subject", "grantee", "terms", "deadline")
    expected = [(f"{32 * (place + 1):#x}", name if name in given else read(name)) for place, name in enumerate(members)]
    assert [(place, text.replace(", 1)", ", 0x1)")) for place, text in written] == expected
    assert f"keccak256(0, {32 * (len(members) + 1):#x})" in body
    for name in ("dataFrom", "dataUntil", "validFrom", "validUntil"):
        assert re.search(rf"function _{name}\(.*\n\s+return \(word & \w+\) >> {FIELDS[name].offset};", RULE_WORD)


@pytest.mark.spec("C20")
def test_types_of_the_messages_are_the_packages():
    found = {}
    for source in CONTRACTS.rglob("*.sol"):
        text = re.sub(r'"\s+"', "", source.read_text(encoding="utf-8"))
        for name, members in re.findall(r'keccak256\(\s*"(\w+)\(([^)]*)\)"', text):
            assert name not in found
            found[name] = members

    assert found == MESSAGE_TYPES


@pytest.mark.spec("C43")
def test_reasons_have_the_packages_numbers():
    interface = (CONTRACTS / "interfaces" / "IConsentRegistry.sol").read_text(encoding="utf-8")
    names = re.findall(r"\w+", re.search(r"enum Reason \{([^}]+)\}", interface)[1])

    assert names == [reason.name.title().replace("_", "") for reason in Reason]


@pytest.mark.spec("C20", "C24")
def test_another_implementation_signs_the_same(
    consent_registry, patient, relayer, clinic, rule_word, rule_message, revocation_message, admin, sign, deadline
):
    """Ganache signs typed data by its own code, not by eth-account."""
    consent_registry.publishTerms(b"\x33" * 32, {"from": admin})
    word = rule_word(terms=1, deny=True, break_glass_refused=True, classes=~DataClass.IMAGING)

    def signed_by_ganache(message):
        document = message.as_dict()
        if "terms" in document["message"]:
            document["message"]["terms"] = "0x" + document["message"]["terms"].hex()
        answer = web3.provider.make_request("eth_signTypedData_v4", [patient.address, document])
        return bytes.fromhex(answer["result"][2:])

    rule = rule_message(patient, clinic, word)
    signature = signed_by_ganache(rule)
    assert signature == sign(patient, rule)
    consent_registry.setRuleFor(patient, clinic, word, deadline, signature, {"from": relayer})
    assert consent_registry.ruleOf(patient, clinic, 0) == word

    revocation = revocation_message(patient, clinic, 0, 2)
    signature = signed_by_ganache(revocation)
    assert signature == sign(patient, revocation)
    consent_registry.revokeRuleFor(patient, clinic, 0, 2, deadline, signature, {"from": relayer})
