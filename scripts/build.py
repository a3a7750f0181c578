"""Compile the contracts and renew everything that is derived from them: ``make build``.

Written are the artifacts that the package ships (``medproof/abi``, with all sources as the compiler reads them, for
explorers), the Python exceptions of the contracts' errors (``medproof/contract_errors.py``), their catalogue
(``docs/errors.md``) and the snapshot of code sizes and storage layouts (``tests/snapshots/contracts.json``).
``--check`` writes nothing and fails when one is stale. The compiler's version and settings stand in
``brownie-config.yaml`` alone, so that Brownie's tests run the same bytecode.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import solcx
import yaml

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.artifacts import CONTRACTS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache" / "compiled.json"

# What the errors of OpenZeppelin's contracts mean here: notice and mend, as our own carry in their NatSpec.
OPENZEPPELIN = {
    "AccessManagedUnauthorized": (
        "Thrown when a function of the authority is called by an account without the role for it.",
        "Have the admin of the Authority grant the account the role, or send from an account that has it.",
    ),
    "AccessManagedRequiredDelay": (
        "Thrown when a role's delay has not been kept: the call was not scheduled, or not long enough ago.",
        "Schedule the call in the Authority and execute it after `delay` seconds.",
    ),
    "AccessManagedInvalidAuthority": (
        "Thrown when the authority is handed to an address without code.",
        "Name a deployed Authority.",
    ),
    "AccessManagerUnauthorizedAccount": (
        "Thrown when an account without role `roleId` manages the Authority.",
        "Send from an account that has the role; the admin's role is 0.",
    ),
    "AccessManagerNotScheduled": (
        "Thrown when an operation is executed that was not scheduled.",
        "Schedule it first.",
    ),
    "AccessManagerNotReady": (
        "Thrown when a scheduled operation is executed before its delay has passed.",
        "Execute it later.",
    ),
    "SafeERC20FailedOperation": (
        "Thrown when a token refuses a transfer: the balance or the allowance is too small, or it blocks an account.",
        "Look at the token's own rules; approve the amount before a bounty is funded, or name another receiver.",
    ),
    "ReentrancyGuardReentrantCall": (
        "Thrown when a token calls back into a function that moves tokens while one runs.",
        "Do not use such a token for a bounty.",
    ),
    "AccessManagerExpired": (
        "Thrown when a scheduled operation is executed a week or more after it became ready.",
        "Schedule it again.",
    ),
}


def configuration() -> tuple[str, dict[str, Any]]:
    """The compiler's version and its standard-JSON settings, from Brownie's configuration."""
    compiler = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    solc = compiler["solc"]
    return str(solc["version"]), {
        "evmVersion": compiler["evm_version"],
        "optimizer": {"enabled": solc["optimizer"]["enabled"], "runs": solc["optimizer"]["runs"]},
        "viaIR": solc["viaIR"],
        "remappings": solc["remappings"],
    }


def sources() -> dict[str, dict[str, str]]:
    """The suite's own sources; those of libraries are read by the compiler's import callback."""
    files = sorted(path for path in (ROOT / "contracts").rglob("*.sol") if "test" not in path.parts)
    return {path.relative_to(ROOT).as_posix(): {"content": path.read_text()} for path in files}


def compile_all() -> tuple[dict[str, Any], list[str]]:
    """The compiler's output for every contract and interface of the suite, and the paths of all sources that it read.

    It is the last one, while they are the same.
    """
    version, settings = configuration()
    os.environ.setdefault("SOLCX_BINARY_PATH", str(ROOT / ".cache" / "solc"))
    selection = ["abi", "userdoc", "devdoc", "storageLayout", "evm.bytecode.object"]
    selection += ["evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
    question = {
        "language": "Solidity",
        "sources": sources(),
        "settings": {**settings, "outputSelection": {"*": {"*": selection, "": ["ast"]}}},
    }
    asked = hashlib.sha256(json.dumps([version, question]).encode()).hexdigest()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(KEPT.read_text())
        if kept["asked"] == asked and kept["read"] == digests(kept["read"]):
            return dict(kept["units"]), sorted(kept["read"])
    output = solcx.compile_standard(question, solc_version=version, allow_paths=str(ROOT))
    units = {name: unit for found in output["contracts"].values() for name, unit in found.items()}
    names = dict(named_immutables([source["ast"] for source in output["sources"].values()]))
    for unit in units.values():
        unit["immutables"] = {number: names[number] for number in references(unit)}
    with tempfile.NamedTemporaryFile("w", dir=KEPT.parent, delete=False) as file:
        json.dump({"asked": asked, "read": digests(output["sources"]), "units": units}, file)
    Path(file.name).replace(KEPT)
    return units, sorted(output["sources"])


def named_immutables(tree: Any) -> Iterator[tuple[str, str]]:
    """Every immutable variable below a node of the compiler's syntax tree: the compiler's number, and its name."""
    if isinstance(tree, dict) and tree.get("mutability") == "immutable":
        yield str(tree["id"]), tree["name"]
    for below in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from named_immutables(below)


def references(unit: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the deployed code has its immutables: places by the compiler's numbers; none in an interface."""
    return dict(unit["evm"]["deployedBytecode"].get("immutableReferences") or {})


def digests(paths: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each source that the compiler reads, by its path."""
    return {path: hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in paths}


def standard_input(paths: Sequence[str]) -> dict[str, Any]:
    """What gives the suite's bytecode to whoever compiles it: every source, the settings, the compiler's whole version.

    All contracts are in one: what else is compiled with a contract has a part in its bytecode.
    """
    version, settings = configuration()
    said = subprocess.run([solcx.install.get_executable(version), "--version"], capture_output=True, text=True)
    [whole] = re.findall(rf"{re.escape(version)}\+commit\.[0-9a-f]{{8}}", said.stdout)
    selection = {"*": {"*": ["evm.bytecode.object", "metadata"]}}
    question = {
        "language": "Solidity",
        "sources": {path: {"content": (ROOT / path).read_text()} for path in paths},
        "settings": {**settings, "outputSelection": selection},
    }
    return {"compiler": whole, "input": question}


def artifact(name: str, unit: Mapping[str, Any]) -> dict[str, Any]:
    """What the package ships of one contract; immutable references are offsets into its deployed code."""
    version, settings = configuration()
    deployed = unit["evm"]["deployedBytecode"]
    places = [
        {"name": unit["immutables"][number], **place} for number, found in references(unit).items() for place in found
    ]
    return {
        "contractName": name,
        "compiler": {"version": version, **settings},
        "abi": unit["abi"],
        "bytecode": "0x" + unit["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutableReferences": sorted(places, key=lambda place: int(place["start"])),
        "storageLayout": storage_layout(unit),
    }


def storage_layout(unit: Mapping[str, Any]) -> dict[str, Any]:
    """Where a contract keeps its variables, as the compiler says it, without the compiler's running numbers."""
    text = json.dumps(unit["storageLayout"])
    layout = json.loads(re.sub(r"(t_(?:struct|enum|contract|userDefinedValueType)\([\w.]+\))\d+", r"\1", text))
    types = layout["types"] or {}  # null where there are no variables
    members = {name: [_variable(one) for one in found.get("members", ())] for name, found in types.items()}
    parts = ("encoding", "numberOfBytes", "key", "value", "base")
    return {
        "storage": [_variable(one) for one in layout["storage"]],
        "types": {
            name: {part: found[part] for part in parts if part in found}
            | ({"members": members[name]} if members[name] else {})
            for name, found in types.items()
        },
    }


def _variable(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in ("slot", "offset", "label", "type")}


def errors(units: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Every error of the suite once: where it stands, its ABI, why it is thrown, how to mend it."""
    seen: set[str] = set()
    for name in ("ISignedMessages", *(("I" + contract) for contract in CONTRACTS[1:]), *CONTRACTS):
        unit = units[name]
        for entry in unit["abi"]:
            signature = signature_of(entry) if entry["type"] == "error" else ""
            if not signature or signature in seen:
                continue
            seen.add(signature)
            notice = unit["userdoc"].get("errors", {}).get(signature, [{}])[0].get("notice", "")
            details = unit["devdoc"].get("errors", {}).get(signature, [{}])[0].get("details", "")
            if entry["name"] in OPENZEPPELIN:
                notice, details = OPENZEPPELIN[entry["name"]]
            elif name in CONTRACTS:
                notice = "Thrown by OpenZeppelin's contracts; see their documentation."
                details = "Check the arguments against OpenZeppelin's documentation of this error."
            home = "OpenZeppelin" if name in CONTRACTS else name.removeprefix("I")
            yield home, entry, notice, details.removeprefix("Mend: ")


def signature_of(entry: Mapping[str, Any]) -> str:
    """An error's signature, such as ``SequenceStale(uint256,uint256)``."""
    return f"{entry['name']}({','.join(argument['type'] for argument in entry['inputs'])})"


def python_type(abi_type: str) -> str:
    """The Python type that an argument of a Solidity type is decoded to."""
    if abi_type.startswith("bytes"):
        return "bytes"
    return {"address": "str", "string": "str", "bool": "bool"}.get(abi_type, "int")


def snake_case(name: str) -> str:
    """An argument's name as Python spells it: ``ready_at`` for ``readyAt``."""
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def sentence(text: str) -> str:
    """The text with a capital letter, a full stop, and no line breaks."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def error_module(units: Mapping[str, Any]) -> str:
    """The Python exceptions, one for each error."""
    blocks = [
        '"""The contracts\' errors as Python exceptions; written by `make build` from their comments."""',
        "",
        "from __future__ import annotations",
        "",
        "from medproof.errors import ContractError",
        "",
    ]
    names = []
    for _, entry, notice, mend in errors(units):
        name = entry["name"]
        names.append(name)
        blocks += ["", f"class {name}(ContractError):"]
        blocks += [f'    """{sentence(notice)}"""', ""]
        blocks += [f'    signature = "{signature_of(entry)}"']
        rule = sentence(notice.removeprefix("Thrown when "))  # what follows is a sentence: it tells what happened
        blocks += [f"    rule = {json.dumps(rule)}", f"    step = {json.dumps(sentence(mend))}"]
        for argument in entry["inputs"]:
            blocks.append(f"    {snake_case(argument['name'])}: {python_type(argument['type'])}")
        blocks.append("")
    blocks += ["", "ALL: tuple[type[ContractError], ...] = ("]
    blocks += [f"    {name}," for name in names] + [")", ""]
    return "\n".join(blocks)


def error_catalogue(units: Mapping[str, Any]) -> str:
    """docs/errors.md: every error of the contracts, why it is thrown, how to mend it."""
    lines = ["# Errors", ""]
    lines += [
        "Every error of the contracts, why it is thrown and how to mend it. In Python each is raised as the",
        "exception of the same name from `medproof.contract_errors`, with the arguments as attributes. This",
        "file is written by `make build` from the contracts' comments; the package's other exceptions stand",
        "in `medproof/errors.py`.",
    ]
    home = ""
    for place, entry, notice, mend in errors(units):
        if place != home:
            home = place
            lines += ["", f"## {home}", "", "| error | why | how to mend it |", "|---|---|---|"]
        arguments = ", ".join(f"{argument['type']} {argument['name']}" for argument in entry["inputs"])
        lines.append(f"| `{entry['name']}({arguments})` | {sentence(notice)} | {sentence(mend)} |")
    return "\n".join(lines) + "\n"


def snapshot(units: Mapping[str, Any]) -> str:
    """Code sizes in bytes and storage layouts, to see what a change does to them."""
    result = {}
    for name in CONTRACTS:
        layout = storage_layout(units[name])["storage"]
        code = units[name]["evm"]["deployedBytecode"]["object"]
        result[name] = {"code_size": len(code) // 2, "storage": layout}
    return json.dumps(result, indent=2) + "\n"


def derived() -> dict[Path, str]:
    """All files derived from the contracts, with the text each should have."""
    units, paths = compile_all()
    files = {
        ROOT / "medproof" / "abi" / f"{name}.json": json.dumps(artifact(name, units[name]), indent=1) + "\n"
        for name in CONTRACTS
    }
    files[ROOT / "medproof" / "abi" / "standard_input.json"] = json.dumps(standard_input(paths), indent=1) + "\n"
    files[ROOT / "medproof" / "contract_errors.py"] = error_module(units)
    files[ROOT / "docs" / "errors.md"] = error_catalogue(units)
    files[ROOT / "tests" / "snapshots" / "contracts.json"] = snapshot(units)
    return files


def main(argv: Sequence[str] | None = None) -> int:
    """Write the derived files, or check them."""
    parser = argparse.ArgumentParser(description="Compile the contracts and renew what is derived from them.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    options = parser.parse_args(argv)
    stale = []
    for path, text in derived().items():
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.relative_to(ROOT).as_posix())
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale and options.check:
        print(f"Stale: {', '.join(stale)}. Run `make build` and commit what it writes.", file=sys.stderr)
        return 1
    print(f"Renewed: {', '.join(stale)}" if stale else "Everything derived from the contracts is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
