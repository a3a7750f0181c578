"""Revert data as nodes give it becomes the exception of the error's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError

from medproof import contract_errors
from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import AlreadyBilled, GroupUnknown, PartyUnknown, RuleFieldEmpty
from medproof.decoding import decode_error, revert_data
from medproof.deployments import Deployment
from medproof.errors import ContractError, MedProofError, UnknownRevertError
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node

VALUES: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "address": lambda: st.binary(min_size=20, max_size=20).map(to_checksum_address),
    "bytes32": lambda: st.binary(min_size=32, max_size=32),
    "bytes4": lambda: st.binary(min_size=4, max_size=4),
    "bytes": st.binary,
    "string": lambda: st.text(max_size=80),
    "uint8": lambda: st.integers(0, 5),
    "uint16": lambda: st.integers(0, (1 << 16) - 1),
    "uint32": lambda: st.integers(0, (1 << 32) - 1),
    "uint64": lambda: st.integers(0, (1 << 64) - 1),
    "uint256": lambda: st.integers(0, (1 << 256) - 1),
}


def types(cls: type[ContractError]) -> list[str]:
    return [kind for kind in cls.signature.partition("(")[2][:-1].split(",") if kind]


def encoded(cls: type[ContractError], values: list[Any]) -> bytes:
    return keccak(text=cls.signature)[:4] + encode(types(cls), values)


def test_every_error_of_the_suite_has_its_exception() -> None:
    signatures = {
        f"{entry['name']}({','.join(argument['type'] for argument in entry['inputs'])})"
        for name in CONTRACTS
        for entry in artifact(name).abi
        if entry["type"] == "error"
    }
    assert {cls.signature for cls in contract_errors.ALL} >= signatures
    assert len({keccak(text=cls.signature)[:4] for cls in contract_errors.ALL}) == len(contract_errors.ALL)


@pytest.mark.parametrize("cls", contract_errors.ALL, ids=lambda cls: cls.__name__)
@settings(max_examples=8)
@given(data=st.data())
def test_every_error_is_decoded_with_its_arguments(cls: type[ContractError], data: Any) -> None:
    values = [data.draw(VALUES[kind]()) for kind in types(cls)]
    error = decode_error(encoded(cls, values))
    assert type(error) is cls
    assert isinstance(error, ContractError)
    assert list(error.arguments.values()) == values
    assert [getattr(error, name) for name in cls.__annotations__] == values
    assert str(error).startswith(f"{cls.__name__}(")
    assert cls.rule in str(error)
    assert cls.step in str(error)


@pytest.mark.parametrize("cls", [cls for cls in contract_errors.ALL if types(cls)], ids=lambda cls: cls.__name__)
def test_data_cut_short(cls: type[ContractError]) -> None:
    example = {
        "address": "0x" + "11" * 20,
        "bytes32": b"\x01" * 32,
        "bytes4": b"\x01" * 4,
        "bytes": b"\x01",
        "string": "text",
    }
    data = encoded(cls, [example.get(kind, 1) for kind in types(cls)])
    for length in range(5, len(data) - 28):
        error = decode_error(data[:length])
        assert isinstance(error, UnknownRevertError)
        assert error.data == data[:length]


def test_text_of_require() -> None:
    error = decode_error(bytes.fromhex("08c379a0") + encode(["string"], ["not today"]))
    assert isinstance(error, UnknownRevertError)
    assert "'not today'" in str(error)


@pytest.mark.parametrize("code", [0x01, 0x11, 0x21, 0x32])
def test_panic(code: int) -> None:
    error = decode_error(bytes.fromhex("4e487b71") + encode(["uint256"], [code]))
    assert isinstance(error, UnknownRevertError)
    assert f"panic {code:#x}" in str(error)


def test_foreign_error() -> None:
    data = keccak(text="SomebodyElses(uint256)")[:4] + encode(["uint256"], [5])
    error = decode_error(data)
    assert isinstance(error, UnknownRevertError)
    assert error.data == data
    assert data.hex() in str(error)


def test_text_that_is_none() -> None:
    words = encode(["bytes"], [b"\xff\xfe\x80"])  # laid out as a string is
    for selector in (bytes.fromhex("08c379a0"), keccak(text=RuleFieldEmpty.signature)[:4]):
        assert isinstance(decode_error(selector + words), UnknownRevertError)


@settings(max_examples=100)
@given(
    st.sampled_from([bytes.fromhex("08c379a0"), *(keccak(text=cls.signature)[:4] for cls in contract_errors.ALL)]),
    st.lists(st.one_of(st.binary(min_size=32, max_size=32), st.just(b"\xff" * 32), st.just(bytes(31) + b"\x20"))),
    st.binary(max_size=31),
)
def test_hostile_data_never_escapes(selector: bytes, words: list[bytes], rest: bytes) -> None:
    assert isinstance(decode_error(selector + b"".join(words) + rest), ContractError | UnknownRevertError)


@settings(max_examples=60)
@given(st.binary(max_size=100))
def test_any_data_is_an_error(data: bytes) -> None:
    assert isinstance(decode_error(data), MedProofError)


DATA = "0x" + (keccak(text=PartyUnknown.signature)[:4] + encode(["address"], ["0x" + "11" * 20])).hex()


@pytest.mark.parametrize(
    "error",
    [
        ContractCustomError(DATA, data=DATA),
        ContractLogicError("execution reverted", data=DATA),
        ContractLogicError("execution reverted", data={"result": DATA, "hash": "0x" + "22" * 32}),  # type: ignore[arg-type]
        Web3RPCError("reverted", rpc_response={"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "data": DATA}}),  # type: ignore[typeddict-item]
        Web3RPCError("{}", rpc_response={"error": {"code": -32000, "data": {"hash": "0x22", "result": DATA}}}),  # type: ignore[typeddict-item]
        Web3RPCError("{}", rpc_response={"error": {"code": -32015, "data": "Reverted " + DATA}}),  # type: ignore[typeddict-item]
    ],
)
def test_places_where_nodes_put_revert_data(error: Exception) -> None:
    assert revert_data(error) == bytes.fromhex(DATA[2:])


@pytest.mark.parametrize(
    "error",
    [
        Web3RPCError("nonce too low"),
        Web3RPCError("0xnot hexadecimal at all"),
        Web3RPCError("0x123456789"),  # an odd number of digits
        Web3RPCError("{}", rpc_response={"error": {"code": -32000, "data": "0x" + "22" * 32}}),  # type: ignore[typeddict-item]
        Web3RPCError("{}", rpc_response={"error": "no"}),  # type: ignore[typeddict-item]
        Web3RPCError("{}", rpc_response={"error": {"data": ["0x" + "22" * 36]}}),  # type: ignore[typeddict-item]
        ContractLogicError("execution reverted", data="0x"),
    ],
)
def test_no_revert_data(error: Exception) -> None:
    assert revert_data(error) is None


# -- from real nodes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"chain": {"vmErrorsOnRPCResponse": False}}], ids=["in the answer", "plain"])
def test_ganache_in_both_moods(
    options: Any, deployed: tuple[Chain, Deployment], admin: LocalSigner, tmp_path: Any
) -> None:
    """A call, an estimate and a transaction that is sent without one: the same exception."""
    with LocalChain(options=options) as local:
        chain = Chain.connect(local.url, poll=0.005)
        build = artifact("Authority")
        made = chain.wait(chain.send(chain.creation(build.bytecode, build.abi, (admin.address,)), sender=admin))
        assert made.contract is not None
        authority = made.contract
        build = artifact("Registrar")
        made = chain.wait(chain.send(chain.creation(build.bytecode, build.abi, (authority,)), sender=admin))
        assert made.contract is not None
        contract = chain.contract(made.contract, build.abi)
        nobody = "0x" + "11" * 20
        with pytest.raises(PartyUnknown) as estimated:
            chain.transact(contract, "suspend", (nobody,), sender=admin)
        chain.web3.eth.default_account = admin.address  # type: ignore[assignment]
        with pytest.raises(PartyUnknown) as called:
            chain.call(contract, "suspend", (nobody,))
        data = contract.encode_abi("suspend", [nobody])
        with pytest.raises(PartyUnknown) as sent:
            chain.wait(chain.send({"to": contract.address, "data": data, "gas": 100_000}, sender=admin))
        assert {caught.value.party for caught in (estimated, called, sent)} == {nobody}


ANSWERS: dict[str, Callable[[Call, str], bytes]] = {
    "geth": lambda call, data: call.error("execution reverted", code=3, data=data),
    "Anvil": lambda call, data: call.error("execution reverted: custom error", code=3, data=data),
    "Besu": lambda call, data: call.error("Execution reverted", code=-32000, data=data),
    "Nethermind": lambda call, data: call.error("execution reverted", code=-32015, data="Reverted " + data),
    "Hardhat": lambda call, data: call.error(
        "Error: VM Exception while processing transaction: reverted with an unrecognized custom error",
        code=-32603,
        data={"message": "Error: VM Exception", "data": data},
    ),
    "Ganache": lambda call, data: call.error(
        "VM Exception while processing transaction: revert",
        data={"hash": "0x" + "22" * 32, "programCounter": 5, "result": data, "reason": None, "message": "revert"},
    ),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_nodes_answers_to_a_call(node: LocalChain, suite: MedProof, answer: Callable[[Call, str], bytes]) -> None:
    with odd_node(lambda call: answer(call, DATA) if call.method == "eth_call" else ..., upstream=node.url) as server:
        asking = MedProof(Chain.connect(server.url), suite.deployment)
        with pytest.raises(PartyUnknown, match="No accredited party"):
            asking.registrar.party("0x" + "33" * 20)


def test_revert_without_data(node: LocalChain, suite: MedProof) -> None:
    def answer(call: Call) -> Any:
        return call.error("execution reverted", code=3, data="0x") if call.method == "eth_call" else ...

    with odd_node(answer, upstream=node.url) as server:
        asking = MedProof(Chain.connect(server.url), suite.deployment)
        with pytest.raises(UnknownRevertError, match="none of the suite's errors"):
            asking.registrar.party("0x" + "33" * 20)


def test_exceptions_show_their_arguments() -> None:
    error = AlreadyBilled(nullifier=b"\x01" * 32, by=b"\x02" * 32)
    assert f"nullifier=0x{'01' * 32}" in str(error)
    assert json.dumps({name: str(value) for name, value in error.arguments.items()})
    assert GroupUnknown(group=7).group == 7
