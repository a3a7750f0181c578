"""The file of steps: it is read before anything is signed, and nobody acts on what it says."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.errors import MigrationError
from medproof.migration import AUTHORITY, Actor, Export
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.migration.conftest import Compare
from tests.sdk.migration.registry import comparison


@pytest.fixture
def exported(
    old: MedProof, new: MedProof, admin: LocalSigner, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> Export:
    """The steps of a subject with a permit and a refusal, and of the authority."""
    old.registrar.create_group("night\u202e\n shift", sender=admin)
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    old.consent_registry.grant(clinic.address, dataclasses.replace(rule, deny=True, index=1), sender=patient)
    found = comparison(old, new)
    return Export.of(old, new, found, found.steps())


def test_a_file_reads_back_as_it_was_written(
    exported: Export, old: MedProof, new: MedProof, patient: LocalSigner, compare: Compare
) -> None:
    assert Export.from_json(exported.to_json()) == exported
    exported.require(old, new)
    exported.require_said(patient.address, compare().subject_steps(patient.address))
    assert exported.subjects() == (patient.address,)
    says = [str(one["says"]) for one in exported.steps]
    assert all(text.isprintable() for text in says)
    assert "Group 3 is “night\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} shift”." in says


def test_the_authoritys_steps_are_calls_for_a_multisigs_tool(exported: Export, new: MedProof) -> None:
    [group] = [one for one in exported.steps if one["function"] == "createGroup"]
    assert group["by"] == Actor.AUTHORITY
    assert group["actor"] == AUTHORITY
    call: Any = group["call"]
    assert call["to"] == new.registrar.address
    data = new.chain.call_data(new.registrar.contract, "createGroup", ("night\u202e\n shift",))
    assert call["data"] == data.lower()


def test_a_file_about_other_deployments_is_refused(exported: Export, old: MedProof, new: MedProof) -> None:
    with pytest.raises(MigrationError, match=r"The migration's from is the deployment of .*, and not that of"):
        exported.require(new, old)


def widened(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A permit that was never given, with the sentence of the true one."""
    [permit] = [one for one in steps if one["says"].startswith("You allow")]
    word = int(permit["arguments"][2]) | 0xFFFF << 133  # all purposes
    return [{**one, "arguments": [*one["arguments"][:2], str(word)]} if one is permit else one for one in steps]


FORGERIES = {
    "wider": widened,
    "without the refusal": lambda steps: [one for one in steps if "do not allow" not in one["says"]],
    "another sentence": lambda steps: [{**one, "says": "You change nothing."} for one in steps],
    "one more": lambda steps: [*steps, steps[-1]],
    "another order": lambda steps: steps[::-1],
    "another grantee": lambda steps: [
        {**one, "arguments": [one["arguments"][0], "0x" + "11" * 20, *one["arguments"][2:]]} for one in steps
    ],
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_file_is_refused(exported: Export, patient: LocalSigner, compare: Compare, forge: Any) -> None:
    content = json.loads(exported.to_json())
    content["steps"] = forge([one for one in content["steps"] if one["by"] == "subject"])
    forged = Export.from_json(json.dumps(content))
    with pytest.raises(MigrationError, match="Sign nothing by it"):
        forged.require_said(patient.address, compare().subject_steps(patient.address))


SMALL = {
    "format": "medproof-migration",
    "version": 1,
    "from": {"chain_id": 1, "authority": "0x" + "11" * 20, "block": 1, "block_hash": "0x" + "22" * 32},
    "to": {"chain_id": 1, "authority": "0x" + "33" * 20, "block": 1, "block_hash": "0x" + "22" * 32},
    "steps": [
        {
            "by": "subject",
            "actor": "0x" + "44" * 20,
            "contract": "ConsentRegistry",
            "function": "withdraw",
            "arguments": ["0x" + "44" * 20],
            "then": [],
            "says": "You deny everyone everything, for good.",
            "waits": None,
            "call": None,
        }
    ],
}

HOSTILE = {
    "no JSON": b"{",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "another format": json.dumps({**SMALL, "format": "medproof-claim-case"}).encode(),
    "another version": json.dumps({**SMALL, "version": 2}).encode(),
    "more members": json.dumps({**SMALL, "more": 1}).encode(),
    "no place": json.dumps({**SMALL, "from": None}).encode(),
    "a huge number": json.dumps({**SMALL, "from": {**SMALL["from"], "block": 2**80}}).encode(),  # type: ignore[dict-item]
    "a mistyped address": json.dumps({**SMALL, "to": {**SMALL["to"], "authority": "0xAb"}}).encode(),  # type: ignore[dict-item]
    "steps that are none": json.dumps({**SMALL, "steps": [None]}).encode(),
    **{
        f"a step's {name} as {value!r}": json.dumps({**SMALL, "steps": [{**SMALL["steps"][0], name: value}]}).encode()  # type: ignore[dict-item]
        for name, value in (
            ("by", "nobody"),
            ("says", "\x1b[2J"),
            ("says", ""),
            ("actor", 7),
            ("function", "x" * 33),
            ("arguments", []),
            ("arguments", {"0": 1}),
            ("arguments", ["1"] * 11),
            ("then", "suspend"),
            ("then", [7]),
            ("then", ["a", "b", "c"]),
            ("waits", "\n"),
            ("call", {"to": "0x" + "11" * 20, "data": "0x12"}),
            ("call", {"to": "0x" + "11" * 20, "data": "0x12345678", "value": 1}),
            ("more", 1),
        )
    },
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(text: bytes) -> None:
    with pytest.raises(MigrationError, match=r"^The migration's .+ Export it anew\.$"):
        Export.from_json(text)


def test_the_small_file_is_a_good_one() -> None:
    assert Export.from_json(json.dumps(SMALL)).subjects() == ("0x" + "44" * 20,)


def test_a_truncated_file_is_refused_wherever_it_ends(exported: Export) -> None:
    text = exported.to_json()
    for end in range(0, len(text), 97):
        with pytest.raises(MigrationError):
            Export.from_json(text[:end])


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(MigrationError, match="has more than 67108864 bytes"):
        Export.from_json(b" " * ((1 << 26) + 1))


def test_a_file_is_canonical(exported: Export) -> None:
    assert hashing.canonical(json.loads(exported.to_json())).decode() == exported.to_json()
