"""What other systems need for the same: the Ethereum Attestation Service, measured here, and MedRec, measured before.

EAS is deployed from the artifacts in its own npm package, byte for byte as its authors compiled them, on the chain that
MedProof is measured on.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

from bench.meter import CHAIN_ID, BenchError, Contract, Cost, Meter, fixed_account, has_zero_byte, signed
from bench.suite import TREATMENT
from medproof.policy.word import encode
from scripts import setup
from scripts.local_chain import ROOT

BENCH = ROOT / "bench"
EAS_PACKAGE = BENCH / "node_modules" / "@ethereum-attestation-service" / "eas-contracts"

# Our operation -> what EAS does instead; its gas is their sum.
EAS_COUNTERPARTS: Mapping[str, tuple[str, ...]] = {
    "grant": ("attest",),
    "change": ("revoke", "attest"),  # an attestation cannot be changed
    "revoke": ("revoke",),
    "deny": ("attest",),
    "grant_signed": ("attestByDelegation",),
    "grant_signed_second": ("attestByDelegation, again",),
    "change_signed": ("revokeByDelegation", "attestByDelegation, again"),
    "revoke_signed": ("revokeByDelegation",),
    "post_pointer": ("attest",),
    "claim_submit": ("attest",),
    "claim_submit_signed": ("attestByDelegation, again",),
}

MEDREC: Mapping[str, int] = {
    "share with one viewer": 417_779,
    "new relationship": 2_004_855,
    "join as patient": 1_147_506,  # in MedProof a patient does not join: a key is enough
}

# Our operation -> MedRec's.
MEDREC_COUNTERPARTS: Mapping[str, str] = {"grant": "share with one viewer", "post_pointer": "new relationship"}

ZERO = b"\0" * 32
NOBODY = "0x" + "00" * 20
NO_EXPIRY = 0  # the rule word has its own period, and zero bytes are cheaper


@dataclass(frozen=True)
class _Message:
    """One of EAS's messages."""

    document: Mapping[str, Any]

    def signable(self) -> SignableMessage:
        return encode_typed_data(full_message=dict(self.document))


def install() -> None:
    """Install what bench/package-lock.json names, unless it stands already."""
    step = setup.Step(
        "What the benchmark compares with",
        [BENCH / "package.json", BENCH / "package-lock.json"],
        lambda: [_artifact_path("EAS"), _artifact_path("SchemaRegistry")],
        _npm_install,
    )
    try:
        with setup.lock():
            digest = setup.digest_of(step)
            if setup.read_record().get(step.title) == digest and all(path.exists() for path in step.outputs()):
                return
            print(f"{step.title}: installing …", flush=True)
            step.make()
            setup.write_record({**setup.read_record(), step.title: digest})
    except setup.SetupError as error:
        raise BenchError(f"{error}\nWhat to do: {error.advice}; or go without: --no-peers\n{error.output}") from error


def _npm_install() -> None:
    npm = setup.NODE.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    setup.run(
        [str(setup.NODE), str(npm), "ci", "--prefix", str(BENCH), "--ignore-scripts", "--no-audit", "--no-fund"],
        advice="check that the npm registry is reachable (npm's own settings are used)",
    )


def _artifact_path(name: str) -> Any:
    return EAS_PACKAGE / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json"


def _artifact(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_artifact_path(name).read_text(encoding="utf-8"))
    return loaded


def eas_version() -> str:
    """The version of the installed package."""
    return str(json.loads((EAS_PACKAGE / "package.json").read_text(encoding="utf-8"))["version"])


def eas_compiler() -> str:
    """The compiler's version, from the metadata at the end of the bytecode that EAS ships."""
    code = bytes.fromhex(_artifact("EAS")["deployedBytecode"][2:])
    key = code.rindex(b"dsolc\x43")  # CBOR: the text "solc", then three bytes
    return ".".join(str(part) for part in code[key + 6 : key + 9])


def measure_eas(meter: Meter) -> dict[str, Cost]:
    """Deploy EAS, run what stands in `EAS_COUNTERPARTS` and return the costs by EAS's names.

    The schema has no resolver and its attestations can be revoked; their data is a rule word, 32 bytes.
    """
    admin = fixed_account("EAS admin", deployments=2)
    patient, remote = fixed_account("patient"), fixed_account("remote patient")
    relayer, clinic = fixed_account("relayer"), fixed_account("clinic").address
    costs: dict[str, Cost] = {}

    registry, sent = meter.deploy(admin, _artifact("SchemaRegistry"))
    costs["deploy SchemaRegistry"] = sent.cost
    eas, sent = meter.deploy(admin, _artifact("EAS"), registry.address)
    costs["deploy EAS"] = sent.cost

    text, schema = _schema()
    costs["register schema"] = meter.send(admin, registry, "register", text, NOBODY, True).cost

    data = (clinic, NO_EXPIRY, True, ZERO, encode(TREATMENT).to_bytes(32, "big"), 0)
    costs["attest"], uid = _attest(meter, eas, patient, (schema, data))
    costs["revoke"] = meter.send(patient, eas, "revoke", (schema, (uid, 0))).cost

    uids = []
    for nonce, name in enumerate(("attestByDelegation", "attestByDelegation, again")):

        def attestation(deadline: int, nonce: int = nonce) -> _Message:
            fields = "address attester,bytes32 schema,address recipient,uint64 expirationTime,bool revocable,"
            fields += "bytes32 refUID,bytes data,uint256 value,uint256 nonce,uint64 deadline"
            return _message(eas, "Attest", fields, remote.address, schema, *data, nonce, deadline)

        deadline, [signature] = signed(attestation, remote)
        request = (schema, data, _vrs(signature), remote.address, deadline)
        sent = meter.send(relayer, eas, "attestByDelegation", request)
        costs[name] = sent.cost
        uids.append(_uid(sent.receipt))

    def revocation(deadline: int) -> _Message:
        fields = "address revoker,bytes32 schema,bytes32 uid,uint256 value,uint256 nonce,uint64 deadline"
        return _message(eas, "Revoke", fields, remote.address, schema, uids[0], 0, 2, deadline)

    deadline, [signature] = signed(revocation, remote)
    revoked = (schema, (uids[0], 0), _vrs(signature), remote.address, deadline)
    costs["revokeByDelegation"] = meter.send(relayer, eas, "revokeByDelegation", revoked).cost
    return costs


def eas_gas(costs: Mapping[str, Cost]) -> dict[str, int]:
    """What EAS needs for each of our operations that it has a counterpart for."""
    return {ours: sum(costs[name].gas for name in theirs) for ours, theirs in EAS_COUNTERPARTS.items()}


def _schema() -> tuple[str, bytes]:
    """A schema of one 32-byte field, and its UID, which has no zero byte."""
    for number in itertools.count(1):
        text = f"bytes32 rule{number}"
        uid = keccak(text.encode() + bytes(20) + b"\x01")
        if not has_zero_byte(uid):
            return text, uid
    raise AssertionError  # unreachable


def _attest(meter: Meter, eas: Contract, attester: Any, request: Any) -> tuple[Cost, bytes]:
    """Attest until the UID, which is calldata of its revocation, has no zero byte; each costs the same."""
    while True:
        sent = meter.send(attester, eas, "attest", request)
        uid = _uid(sent.receipt)
        if not has_zero_byte(uid):
            return sent.cost, uid


def _uid(receipt: Mapping[str, Any]) -> bytes:
    """The new attestation's UID: the data of its only log."""
    [log] = receipt["logs"]
    return bytes.fromhex(log["data"][2:])


def _vrs(signature: bytes) -> tuple[int, bytes, bytes]:
    return signature[64], signature[:32], signature[32:64]


def _message(eas: Contract, kind: str, fields: str, *values: Any) -> _Message:
    members = [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in fields.split(",")]
    domain_fields = ("string name", "string version", "uint256 chainId", "address verifyingContract")
    return _Message(
        {
            "types": {
                "EIP712Domain": [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in domain_fields],
                kind: members,
            },
            "primaryType": kind,
            "domain": {"name": "EAS", "version": "1.4.0", "chainId": CHAIN_ID, "verifyingContract": eas.address},
            "message": {member["name"]: value for member, value in zip(members, values, strict=True)},
        }
    )
