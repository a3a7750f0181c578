"""Proofs of state and of transactions, made from a node and verified without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import pytest
import rlp
from eth_utils.abi import event_abi_to_log_topic
from tiny_keccak import keccak256

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.claim_anchor import Rules
from medproof.errors import ArgumentError, ContractError, EvidenceError
from medproof.evidence import (
    Header,
    StateProof,
    TransactionProof,
    locate,
    prove,
    prove_transaction,
)
from medproof.evidence.trie import ordered_proof, value_at
from medproof.hashing import JsonObject, canonical, parse
from medproof.json_reader import JsonReader
from medproof.policy.word import Rule, encode
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc

RULES = b"\x42" * 32
DAY = date(2020, 1, 1)
PUBLISHED = (RULES, 0, 18262, 0, False, False, 0, 0, 0, 0, 0)


def read(value: JsonObject) -> JsonReader:
    return JsonReader(parse(canonical(value)), EvidenceError)


@pytest.fixture
def published(suite: MedProof, payer: LocalSigner) -> int:
    return suite.claim_anchor.publish_rules(Rules(RULES, DAY), sender=payer)


@pytest.fixture
def proof(suite: MedProof, payer: LocalSigner, published: int) -> StateProof:
    places = locate("ClaimAnchor", "_rules", payer.address, published)
    unused = locate("ClaimAnchor", "_rules", payer.address, published + 1)
    return prove(suite.chain, suite.claim_anchor.address, {one.slot for one in (*places, *unused)})


def test_what_a_contract_kept_is_proved(suite: MedProof, payer: LocalSigner, proof: StateProof, published: int) -> None:
    block = suite.chain.block()
    state = StateProof.from_json(read(proof.to_json())).verify(block.hash)
    said = {
        one.name: one.read(state.words[one.slot]) for one in locate("ClaimAnchor", "_rules", payer.address, published)
    }
    assert said["hash"] == RULES
    assert int.from_bytes(said["validFrom"], "big") == (DAY - date(1970, 1, 1)).days
    assert (state.block, state.timestamp) == (block.number, block.timestamp)
    assert state.code_hash == keccak256(suite.chain.code(suite.claim_anchor.address))
    empty = locate("ClaimAnchor", "_rules", payer.address, published + 1)
    assert all(state.words[one.slot] == bytes(32) for one in empty)  # what is not there is proved as well


def test_an_old_state_stays_provable(suite: MedProof, payer: LocalSigner, proof: StateProof, published: int) -> None:
    (count,) = locate("ClaimAnchor", "rulesCount", payer.address)
    before = suite.chain.block_number()
    suite.claim_anchor.publish_rules(Rules(RULES, date(2100, 1, 1)), sender=payer)
    for block, held in ((before, published), (None, published + 1)):
        state = prove(suite.chain, suite.claim_anchor.address, [count.slot], block).verify()
        assert int.from_bytes(count.read(state.words[count.slot]), "big") == held


def test_a_consent_rule_is_proved_with_the_same_module(
    suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    suite.consent_registry.grant_many(
        [(clinic.address, rule), (clinic.address, replace(rule, index=1))], sender=patient
    )
    keys = (patient.address, clinic.address)
    (first,) = locate("ConsentRegistry", "_rules", *keys)
    (second,) = locate("ConsentRegistry", "_rules", *keys, "further", 1)
    state = prove(suite.chain, suite.consent_registry.address, [first.slot, second.slot]).verify()
    stored = suite.consent_registry.rules(*keys)
    assert [int.from_bytes(one.read(state.words[one.slot]), "big") for one in (first, second)] == [*map(encode, stored)]


def test_a_tampered_part_is_named(proof: StateProof, stranger: LocalSigner) -> None:
    first = next(one for one in proof.slots if any(one.word))
    spoilt = bytearray(proof.account[0])
    spoilt[40] ^= 1
    words = replace(first, word=bytes(31) + b"\7")
    node = replace(first, nodes=(*first.nodes[:-1], first.nodes[-1][:-1] + b"\7")) if first.nodes else first
    header = Header(proof.header.encoded[:-1] + bytes([proof.header.encoded[-1] ^ 1]))
    for altered, part in (
        (replace(proof, slots=(words,)), f"slot {first.slot:#066x} holds"),
        (replace(proof, slots=(node,)), f"slot {first.slot:#066x} has a node {len(first.nodes) - 1}"),
        (replace(proof, slots=(replace(first, nodes=first.nodes[1:]),)), f"slot {first.slot:#066x} has"),
        (replace(proof, slots=(replace(first, slot=first.slot ^ 1),)), "slot 0x"),
        (replace(proof, slots=(replace(first, nodes=()),)), "has no nodes"),
        (replace(proof, account=(bytes(spoilt), *proof.account[1:])), "account"),
        (replace(proof, account=proof.account[:-1]), "account"),
        (replace(proof, account=()), "has no nodes"),
        (replace(proof, address=stranger.address), f"account {stranger.address}"),
        (replace(proof, address="0x" + "11" * 20), "account 0x1111"),
        (replace(proof, header=header), "header is that of"),
        (replace(proof, header=Header(b"")), "header is no"),
        (replace(proof, header=Header(b"\xc0")), "header is no"),
    ):
        with pytest.raises(EvidenceError, match=f"The evidence's {part}" if part[0] != "h" else part):
            altered.verify(proof.header.hash)


def test_another_block_is_refused(proof: StateProof) -> None:
    with pytest.raises(EvidenceError, match="header is that of block"):
        proof.verify("0x" + "11" * 32)
    assert proof.verify(proof.header.hash.upper().replace("0X", "0x")).block == proof.header.number


def test_a_transaction_is_proved_with_what_it_emitted(
    suite: MedProof, payer: LocalSigner, clinic: LocalSigner, second_payer: LocalSigner
) -> None:
    """Among others in its block, of both kinds of fee."""
    chain = suite.chain
    anchor = suite.claim_anchor
    data = chain.call_data(anchor.contract, "publishRules", [PUBLISHED])
    rpc(chain, "miner_stop")
    sent = []
    for sender, more in ((payer, {}), (second_payer, {"gasPrice": hex(10**10)}), (clinic, {})):
        to = {"to": anchor.address, "data": data} if sender is not clinic else {"to": payer.address}
        fields = {"from": sender.address, "gas": hex(200_000), **to, **more}
        sent.append(str(rpc(chain, "eth_sendTransaction", fields)))
    rpc(chain, "miner_start")
    for place, (hashed, signer) in enumerate(zip(sent, (payer, second_payer, clinic), strict=True)):
        chain.wait(hashed)
        proof = TransactionProof.from_json(read(prove_transaction(chain, hashed).to_json()))
        said = proof.verify(chain.block(proof.header.number).hash)
        assert (said.hash, said.sender) == (hashed, signer.address)
        if place == 2:
            assert (said.to, said.data, said.logs) == (payer.address, b"", ())
            continue
        assert (said.to, said.data) == (anchor.address, bytes.fromhex(data[2:]))
        (log,) = said.logs
        assert log.address == anchor.address
        assert log.topics[0] == event_abi_to_log_topic(anchor.contract.events.RulesPublished().abi)
        assert log.data[:32] == RULES


def test_a_tampered_transaction_is_named(suite: MedProof, published: int) -> None:
    (event,) = suite.claim_anchor.events("RulesPublished")
    proof = prove_transaction(suite.chain, event.transaction)
    for altered, part in (
        (replace(proof, index=proof.index + 1), "transaction"),
        (replace(proof, transaction=proof.receipt), "transaction has a node 0"),
        (replace(proof, receipt=(proof.receipt[0][:-1] + b"\x55",)), "receipt has a node 0"),
        (replace(proof, receipt=()), "receipt has no nodes"),
    ):
        with pytest.raises(EvidenceError, match=part):
            altered.verify()


def block_of(raw: bytes, receipt: bytes) -> TransactionProof:
    """A block of one transaction, put together by hand."""
    (root, nodes), (receipts_root, receipt_nodes) = ordered_proof([raw], 0), ordered_proof([receipt], 0)
    fields = [bytes(32), bytes(32), bytes(20), bytes(32), root, receipts_root, bytes(256), 0, 5, 30_000_000, 0, 6]
    header = Header(rlp.encode([*fields, b"clique" * 20, bytes(32), bytes(8)]))  # as before London
    return TransactionProof(1337, header, 0, nodes, receipt_nodes)


def signed(signer: LocalSigner, **more: object) -> bytes:
    fields = {"nonce": 0, "gas": 21000, "to": signer.address, "value": 0, "data": b"\x07", "chainId": 1337}
    return signer.sign_transaction({**fields, **more})


@pytest.mark.parametrize(
    "fees",
    [
        {"gasPrice": 1},
        {"gasPrice": 1, "accessList": [{"address": "0x" + "11" * 20, "storageKeys": ["0x" + "22" * 32]}]},
        {"maxFeePerGas": 2, "maxPriorityFeePerGas": 1},
    ],
)
def test_transactions_of_every_type(fees: dict[str, object], payer: LocalSigner) -> None:
    raw = signed(payer, **fees)
    kind = bytes([raw[0]]) if raw[0] < 0xC0 else b""
    said = block_of(raw, kind + rlp.encode([1, 21000, bytes(256), []])).verify()
    assert (said.sender, said.to, said.data, said.block, said.timestamp) == (
        payer.address,
        payer.address,
        b"\x07",
        5,
        6,
    )


@pytest.mark.parametrize("fees", [{"gasPrice": 1}, {"maxFeePerGas": 2, "maxPriorityFeePerGas": 1}])
def test_a_transaction_of_another_chain_proves_nothing(fees: dict[str, object], payer: LocalSigner) -> None:
    """A header does not say whose it is: a contract of the same address on a test network is another."""
    raw = signed(payer, chainId=5, **fees)
    receipt = (bytes([raw[0]]) if raw[0] < 0xC0 else b"") + rlp.encode([1, 21000, bytes(256), []])
    with pytest.raises(EvidenceError, match="was signed for chain 5, not 1337"):
        block_of(raw, receipt).verify()
    assert replace(block_of(raw, receipt), chain_id=5).verify().to == payer.address


@pytest.mark.parametrize(
    ("receipt", "why"),
    [
        (rlp.encode([0, 21000, bytes(256), []]), "failed"),
        (rlp.encode([b"\x11" * 32, 21000, bytes(256), []]), "failed"),  # before Byzantium: nobody can tell
        (rlp.encode([1, 21000, bytes(256), [[b"\1"]]]), "is none"),
        (rlp.encode([1, 21000, bytes(256), [[b"\1" * 3, [], b""]]]), "is none"),
        (rlp.encode(b"receipt"), "is none"),
        (b"\x02\xff" + bytes(40), "is none"),
    ],
)
def test_what_is_no_receipt_of_a_success_proves_nothing(receipt: bytes, why: str, payer: LocalSigner) -> None:
    with pytest.raises(EvidenceError, match=f"receipt is.* {why}|receipt {why}"):
        block_of(signed(payer, gasPrice=1), receipt).verify()


@pytest.mark.parametrize(
    "raw", [b"\x05" + bytes(40), b"\x02" + bytes(40), rlp.encode([b""] * 9), rlp.encode([b"\1"] * 9)]
)
def test_what_is_no_transaction_proves_nothing(raw: bytes) -> None:
    with pytest.raises(EvidenceError, match="transaction"):
        block_of(raw, rlp.encode([1, 21000, bytes(256), []])).verify()


def test_no_proof_is_made_of_a_failed_transaction(suite: MedProof, stranger: LocalSigner) -> None:
    data = suite.chain.call_data(suite.claim_anchor.contract, "publishRules", [PUBLISHED])
    fields = {"from": stranger.address, "gas": hex(200_000), "to": suite.claim_anchor.address, "data": data}
    hashed = str(rpc(suite.chain, "eth_sendTransaction", fields))
    with pytest.raises(ContractError):
        suite.chain.wait(hashed)
    with pytest.raises(EvidenceError, match="receipt"):
        prove_transaction(suite.chain, hashed)


def test_an_unknown_transaction(chain: Chain) -> None:
    with pytest.raises(EvidenceError, match="is in no block"):
        prove_transaction(chain, "0x" + "11" * 32)


@pytest.mark.parametrize(
    ("variable", "keys"),
    [
        ("_nothing", ()),
        ("_rules", ()),
        ("_rules", ("0x" + "11" * 20,)),
        ("_rules", ("no address", 1)),
        ("_rules", ("0x" + "11" * 20, -1)),
        ("rulesCount", ("0x" + "11" * 20, 1)),
        ("_nameFallback", ()),
    ],
)
def test_no_such_place(variable: str, keys: Sequence[object]) -> None:
    with pytest.raises(ArgumentError, match="ClaimAnchor"):
        locate("ClaimAnchor", variable, *keys)


def test_an_item_of_a_fixed_array() -> None:
    (first,), (third,) = (locate("ConsentRegistry", "_terms", number) for number in (0, 2))
    assert third.slot == first.slot + 2
    for wrong in (4096, -1, "x"):
        with pytest.raises(ArgumentError):
            locate("ConsentRegistry", "_terms", wrong)


@pytest.mark.parametrize("count", [1, 2, 16, 127, 128, 129, 300])
def test_trees_of_any_size(count: int) -> None:
    items = [bytes([place % 251]) * (1 + place % 40) for place in range(count)]
    for index in {0, count // 2, count - 1}:
        root, nodes = ordered_proof(items, index)
        assert value_at(root, rlp.encode(index), nodes, "item") == items[index]
        assert value_at(root, rlp.encode(index), nodes, "item") != b"else"
    with pytest.raises(EvidenceError):
        value_at(bytes(32), b"\x80", nodes, "item")


def mutations(data: bytes) -> Iterator[bytes]:
    for place in range(0, len(data), max(1, len(data) // 40)):
        yield data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        yield data[:place]


def test_whatever_is_altered_in_a_node_is_refused_by_name(proof: StateProof) -> None:
    for nodes_of in ("account", "slots"):
        original = proof.account if nodes_of == "account" else proof.slots[0].nodes
        for place, node in enumerate(original):
            for altered in mutations(node):
                nodes = (*original[:place], altered, *original[place + 1 :])
                one = (
                    replace(proof, account=nodes)
                    if nodes_of == "account"
                    else replace(proof, slots=(replace(proof.slots[0], nodes=nodes), *proof.slots[1:]))
                )
                with pytest.raises(EvidenceError):
                    one.verify()


def test_whatever_is_altered_in_a_header_is_refused(proof: StateProof) -> None:
    for altered in mutations(proof.header.encoded):
        with pytest.raises(EvidenceError):
            replace(proof, header=Header(altered)).verify(proof.header.hash)


def test_lists_in_lists_are_no_header(proof: StateProof) -> None:
    nested = b""
    for _ in range(20_000):
        nested = (
            rlp.encode(rlp.codec.encode_raw(nested))
            if not nested
            else rlp.codec.length_prefix(len(nested), 0xC0) + nested
        )
    with pytest.raises(EvidenceError, match="header is no"):
        replace(proof, header=Header(nested)).verify()


@pytest.mark.parametrize("name", ["chainId", "address", "header", "account", "slots"])
def test_no_proof(proof: StateProof, name: str) -> None:
    for wrong in (None, {}, "0x0", [["0x"]], -1):
        with pytest.raises(EvidenceError, match=name):
            StateProof.from_json(JsonReader({**proof.to_json(), name: wrong}, EvidenceError))
    with pytest.raises(EvidenceError, match="not known"):
        StateProof.from_json(JsonReader({**proof.to_json(), "more": 1}, EvidenceError))
