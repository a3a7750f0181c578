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
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from bench.meter import CHAIN_ID, BenchError, Contract, Meter, fixed_account, gas_used, has_zero_byte, signed
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
    "grant_batch_100_each": ("multiAttest of 100, each",),
    "grant_signed_batch_20_each": ("multiAttestByDelegation of 20, each",),
    "grant_signed_batch_100_each": ("multiAttestByDelegation of 100, each",),
    "change_signed": ("revokeByDelegation", "attestByDelegation, again"),
    "revoke_signed": ("revokeByDelegation",),
    "post_pointer": ("attest",),
    "claim_submit": ("attest",),
    "claim_submit_signed": ("attestByDelegation, again",),
    "nullifier_batch_100_each": ("multiAttest of 100, each",),
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
_Data = tuple[str, int, bool, bytes, bytes, int]  # an attestation's, as EAS takes it
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


def measure_eas(meter: Meter) -> dict[str, int]:
    """Deploy EAS, run what stands in `EAS_COUNTERPARTS` and return the gas by EAS's names.

    The schema has no resolver and its attestations can be revoked; their data is a rule word, 32 bytes.
    """
    admin = fixed_account("EAS admin", deployments=2)
    patient, remote = fixed_account("patient"), fixed_account("remote patient")
    relayer, clinic = fixed_account("relayer"), fixed_account("clinic").address
    gas: dict[str, int] = {}

    registry, sent = meter.deploy(admin, _artifact("SchemaRegistry"))
    gas["deploy SchemaRegistry"] = sent.cost.gas
    eas, sent = meter.deploy(admin, _artifact("EAS"), registry.address)
    gas["deploy EAS"] = sent.cost.gas

    text, schema = _schema()
    gas["register schema"] = gas_used(meter.execute(admin, registry, "register", text, NOBODY, True))

    data = (clinic, NO_EXPIRY, True, ZERO, encode(TREATMENT).to_bytes(32, "big"), 0)
    gas["attest"], uid = _attest(meter, eas, patient, (schema, data))
    gas["revoke"] = gas_used(meter.execute(patient, eas, "revoke", (schema, (uid, 0))))

    uids = []
    for nonce, name in enumerate(("attestByDelegation", "attestByDelegation, again")):
        deadline, signature = _sign_attestation(eas, remote, schema, data, nonce)
        request = (schema, data, signature, remote.address, deadline)
        receipt = meter.execute(relayer, eas, "attestByDelegation", request)
        gas[name] = gas_used(receipt)
        uids.append(_uid(receipt))

    def revocation(deadline: int) -> _Message:
        fields = "address revoker,bytes32 schema,bytes32 uid,uint256 value,uint256 nonce,uint64 deadline"
        return _message(eas, "Revoke", fields, remote.address, schema, uids[0], 0, 2, deadline)

    deadline, [revoking] = signed(revocation, remote)
    revoked = (schema, (uids[0], 0), _vrs(revoking), remote.address, deadline)
    gas["revokeByDelegation"] = gas_used(meter.execute(relayer, eas, "revokeByDelegation", revoked))
    return gas | _measure_batches(meter, eas, schema, data)


def _measure_batches(meter: Meter, eas: Contract, schema: bytes, data: _Data) -> dict[str, int]:
    """Many attestations in one transaction: by one attester, and signed by many of whom each attests its first."""
    patient, relayer = fixed_account("patient of many"), fixed_account("relayer")
    parties = (fixed_account(f"party {number}").address for number in range(100))
    attestations = [(schema, [(party, *data[1:]) for party in parties])]
    whole = {"multiAttest of 100, each": (100, meter.execute(patient, eas, "multiAttest", attestations))}
    for count in (20, 100):
        requests = []
        for number in range(count):
            attester = fixed_account(f"attester {number} of {count}")
            deadline, signature = _sign_attestation(eas, attester, schema, data, 0)
            requests.append((schema, [data], [signature], attester.address, deadline))
        receipt = meter.execute(relayer, eas, "multiAttestByDelegation", requests)
        whole[f"multiAttestByDelegation of {count}, each"] = (count, receipt)
    return {name: -(-gas_used(receipt) // count) for name, (count, receipt) in whole.items()}


def _sign_attestation(
    eas: Contract, attester: LocalAccount, schema: bytes, data: _Data, nonce: int
) -> tuple[int, tuple[int, bytes, bytes]]:
    """Sign an attestation; returns its deadline and its signature as EAS takes it."""
    fields = "address attester,bytes32 schema,address recipient,uint64 expirationTime,bool revocable,"
    fields += "bytes32 refUID,bytes data,uint256 value,uint256 nonce,uint64 deadline"

    def attestation(deadline: int) -> _Message:
        return _message(eas, "Attest", fields, attester.address, schema, *data, nonce, deadline)

    deadline, [signature] = signed(attestation, attester)
    return deadline, _vrs(signature)


def eas_gas(gas: Mapping[str, int]) -> dict[str, int]:
    """What EAS needs for each of our operations that it has a counterpart for."""
    return {ours: sum(gas[name] for name in theirs) for ours, theirs in EAS_COUNTERPARTS.items()}


def _schema() -> tuple[str, bytes]:
    """A schema of one 32-byte field, and its UID, which has no zero byte."""
    for number in itertools.count(1):
        text = f"bytes32 rule{number}"
        uid = keccak(text.encode() + bytes(20) + b"\x01")
        if not has_zero_byte(uid):
            return text, uid
    raise AssertionError  # unreachable


def _attest(meter: Meter, eas: Contract, attester: LocalAccount, request: Any) -> tuple[int, bytes]:
    """Attest until the UID, which is calldata of its revocation, has no zero byte; each costs the same."""
    while True:
        receipt = meter.execute(attester, eas, "attest", request)
        uid = _uid(receipt)
        if not has_zero_byte(uid):
            return gas_used(receipt), uid


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
