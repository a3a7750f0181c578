"""Whatever is altered in evidence of consent is found, and named."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import rlp
from tiny_keccak import keccak256
from trie.constants import BLANK_NODE_HASH

from medproof.client import MedProof
from medproof.client.registrar import EVERYONE
from medproof.deployments import deploy
from medproof.errors import EvidenceError
from medproof.evidence import Header
from medproof.evidence.consent_file import read_lines, verify_consents
from medproof.evidence.consent_prover import ConsentProver
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner

Lines = list[dict[str, Any]]


@pytest.fixture
def lines(
    suite: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> list[bytes]:
    """Of a subject who permits by her second rule, one who denies, and one who never said anything."""
    registry = suite.consent_registry
    registry.grant_many(
        [(clinic.address, replace(rule, classes=rule.classes.IMAGING)), (clinic.address, replace(rule, index=1))],
        sender=patient,
    )
    registry.grant(EVERYONE, replace(rule, deny=True), sender=stranger)
    subjects = [patient.address, stranger.address, clinic.address]
    return list(ConsentProver(suite, clinic.address, request_inside).lines(subjects))


@pytest.fixture
def said(lines: list[bytes]) -> Lines:
    return [json.loads(line) for line in lines]


def text(said: Lines) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in said]


def refused(lines: list[bytes], *known: str) -> str:
    with pytest.raises(EvidenceError) as caught:
        verify_consents(lines, known)
    return str(caught.value)


def row(said: Lines, reason: Reason) -> dict[str, Any]:
    return next(one for one in said if one.get("reason") == reason.name)


def test_as_it_was_made_it_holds(lines: list[bytes], said: Lines) -> None:
    proved = verify_consents(lines)
    assert dict(proved.reasons) == {Reason.PERMITTED: 1, Reason.DENIED: 1, Reason.NO_RULE: 1}
    assert (proved.subjects, proved.permitted, proved.known) == (3, 1, False)
    assert verify_consents(text(said)).root == proved.root  # written by other hands, it says the same


def test_another_block_is_refused(lines: list[bytes], said: Lines) -> None:
    hashed = said[0]["blockHash"]
    assert verify_consents(lines, ["0x" + "11" * 32, hashed.upper().replace("0X", "0x")]).known
    assert "header is of block" in refused(lines, "0x" + "11" * 32)


def test_a_tampered_word_is_named(said: Lines) -> None:
    permitted = row(said, Reason.PERMITTED)
    permitted["word"] = f"{int(permitted['word'], 16) ^ 1:#066x}"
    assert f"decision on {permitted['subject']} is" in refused(text(said))


@pytest.mark.parametrize("reason", [Reason.PERMITTED, Reason.DENIED, Reason.NO_RULE])
def test_another_decision_is_named(said: Lines, reason: Reason) -> None:
    for other in (Reason.PERMITTED, Reason.NO_RULE, Reason.BREAK_GLASS):
        if other is not reason:
            altered = json.loads(json.dumps(said))
            row(altered, reason)["reason"] = other.name
            why = refused(text(altered))
            assert f"decision on {row(said, reason)['subject']} is" in why
            assert reason.name in why


def test_whatever_is_left_out_is_named(said: Lines) -> None:
    """No node of any line can be missing: neither of the rules that permit, nor of those that are not there."""
    for number, line in enumerate(said[:-1]):
        for place in range(len(line["nodes"])):
            altered = json.loads(json.dumps(said))
            del altered[number]["nodes"][place]
            why = refused(text(altered))
            assert "is missing" in why
            assert any(part in why for part in ("account of", "party of", "rule 0 of", "rule 1 of"))


def test_a_tampered_node_is_named(said: Lines) -> None:
    for number, line in enumerate(said[:-1]):
        for place, node in enumerate(line["nodes"]):
            for altered_node in (node[:-1] + ("0" if node[-1] != "0" else "1"), node[:40] + "00" + node[42:] + "00"):
                altered = json.loads(json.dumps(said))
                altered[number]["nodes"][place] = altered_node
                assert "is missing" in refused(text(altered))


def test_a_node_that_nothing_leads_to_is_named(said: Lines) -> None:
    for number, where in ((0, "first line"), (1, "line 2"), (3, "line 4")):
        altered = json.loads(json.dumps(said))
        altered[number]["nodes"].append("0xc22080")
        assert f"{where} has a node 0x" in refused(text(altered))
        altered[number]["nodes"][-1] = said[0]["nodes"][0]
        if number:
            assert "stands there twice" in refused(text(altered))


def test_a_swapped_subject_is_named(said: Lines, fresh_account: LocalSigner) -> None:
    first, second = said[1]["subject"], said[2]["subject"]
    swapped = json.loads(json.dumps(said))
    swapped[1]["subject"], swapped[2]["subject"] = second, first
    assert "is missing" in refused(text(swapped))
    said[-2]["subject"] = fresh_account.address
    assert f"decision on {fresh_account.address} is PERMITTED" in refused(text(said))  # whose rules are proved absent


def test_a_line_twice_or_out_of_order_is_named(said: Lines) -> None:
    twice = [*said[:2], {**said[1], "nodes": []}, *said[2:]]
    assert f"subject {said[1]['subject']} stands there twice" in refused(text(twice))
    nodes = [node for line in said[1:-1] for node in line["nodes"]]
    late, early = {**said[2], "nodes": []}, {**said[1], "nodes": []}
    assert refused(text([said[0], {**late, "nodes": nodes}, early, *said[3:]]))
    assert refused(text([said[0], said[2], said[1], *said[3:]]))


def test_a_line_less_or_more_is_named(lines: list[bytes], said: Lines) -> None:
    assert "last line is missing: the file was cut short" in refused(lines[:-1])
    assert "last line is missing" in refused(lines[:1])
    assert "first line" in refused([])
    assert "first line" in refused(lines[1:])
    assert "line 6 comes after the last" in refused([*lines, lines[-1]])
    whole = b"".join(lines)
    for cut in range(0, len(whole), 97):
        assert refused(whole[:cut].splitlines(keepends=True))
    without = [one for one in said if one is not row(said, Reason.NO_RULE)]
    assert refused(text(without))


@pytest.mark.parametrize("name", ["subjects", "permitted", "root"])
def test_a_tampered_end_is_named(said: Lines, name: str) -> None:
    said[-1][name] = said[-1][name] + 1 if name != "root" else "0x" + "11" * 32
    assert "last line is not" in refused(text(said))


def test_a_tampered_header_is_named(said: Lines) -> None:
    for place in range(4, len(said[0]["header"]), 31):
        altered = json.loads(json.dumps(said))
        header = said[0]["header"]
        altered[0]["header"] = header[:place] + ("0" if header[place] != "0" else "1") + header[place + 1 :]
        assert "header" in refused(text(altered))
    said[0]["block"] += 1
    assert "block is" in refused(text(said))


def altered(**more: Any) -> Callable[[Lines], None]:
    return lambda said: said[0].update(more)


def address_of(said: Lines, name: str, address: str) -> None:
    said[0]["contracts"][name]["address"] = address


def immutable_of(said: Lines, name: str, value: str) -> None:
    said[0]["contracts"]["ConsentRegistry"]["immutables"][name] = value


@pytest.mark.parametrize(
    ("alter", "why"),
    [
        (altered(chainId=1), "was made on chain 1337, not on 1"),
        (altered(chainId=2**70), "chainId is no number in its range"),
        (altered(blockHash="0x" + "11" * 32), "header is that of block"),
        (altered(account="0x" + "11" * 20), "party of 0x1111"),
        (altered(format="medproof-claim-evidence"), "first line is not that of"),
        (altered(version=2), "first line is not that of"),
        (altered(more=1), "has members that are not known"),
        (altered(header="0x"), "header has not the form"),
        (altered(header="0xc0"), "header is no header"),
        (altered(request={}), "request.purposes is missing"),
        (altered(contracts={}), "contracts.ConsentRegistry is missing"),
        (
            lambda said: address_of(said, "Registrar", said[0]["contracts"]["ConsentRegistry"]["address"]),
            "is not Registrar",
        ),
        (lambda said: address_of(said, "ConsentRegistry", said[0]["account"]), "account of ConsentRegistry"),
        (lambda said: immutable_of(said, "registrar", "0x" + "11" * 32), "is not ConsentRegistry as this MedProof"),
        (
            lambda said: immutable_of(said, "_cachedChainId", "0x" + "11" * 32),
            "is not ConsentRegistry as this MedProof",
        ),
        (lambda said: immutable_of(said, "more", "0x" + "11" * 32), "has members that are not known"),
        (lambda said: said[1].update(more=1), "line 2 has members that are not known"),
        (lambda said: said[1].update(reason="WHATEVER"), "line 2.reason is none that is known"),
        (lambda said: said[1].update(subject="0x" + "0" * 40), "line 2.subject"),
        (lambda said: said[1].update(subject="' OR 1=1 --"), "line 2.subject is no checksummed address"),
        (lambda said: said[1].update(word="0x" + "0" * 64), "line 2.word is zero"),
        (lambda said: said[1].update(nodes=None), "line 2.nodes is no list"),
        (lambda said: said[1].update(nodes=["0x" + "00" * 1025]), "line 2.nodes.0 has not the form or length"),
        (lambda said: said[1].update(nodes=["0x00"] * 6601), "line 2.nodes is no list of at most"),
        (lambda said: said.insert(1, {}), "line 2.nodes is missing"),
    ],
)
def test_what_is_altered_is_named(said: Lines, alter: Callable[[Lines], object], why: str) -> None:
    alter(said)
    assert why in refused(text(said))


def test_another_question_does_not_fit_the_answers(said: Lines, second_clinic: LocalSigner) -> None:
    """A request that is altered so that all answers stay true is another question with its own answers."""
    for name, value in (("purposes", ["HMARKT"]), ("classes", ["genomics"]), ("actions", [])):
        altered = json.loads(json.dumps(said))
        altered[0]["request"][name] = value
        assert "decision on 0x" in refused(text(altered))
    said[0]["request"]["data_until"] = None
    proved = verify_consents(text(said))
    assert (proved.request.data_until, proved.permitted) == (None, 1)
    said[0]["account"] = second_clinic.address
    assert f"party of {second_clinic.address}" in refused(text(said))


def test_a_registry_with_another_registrar_is_refused(
    suite: MedProof,
    admin: LocalSigner,
    lines: list[bytes],
    said: Lines,
    clinic: LocalSigner,
    patient: LocalSigner,
    request_inside: Request,
    tmp_path: Any,
) -> None:
    """Whoever deploys the same code with parties of its own cannot mix the two."""
    other = MedProof(suite.chain, deploy(suite.chain, admin, manifest=tmp_path / "other.json"))
    mixed = json.loads(json.dumps(said))
    theirs = [json.loads(one) for one in ConsentProver(other, clinic.address, request_inside).lines([patient.address])]
    ours = [json.loads(one) for one in ConsentProver(suite, clinic.address, request_inside).lines([patient.address])]
    mixed = [ours[0], *theirs[1:]]
    mixed[0]["contracts"]["ConsentRegistry"] = theirs[0]["contracts"]["ConsentRegistry"]
    mixed[0]["nodes"] = list(dict.fromkeys([*ours[0]["nodes"], *theirs[0]["nodes"]]))
    registrar = ours[0]["contracts"]["Registrar"]["address"]
    assert f"knows a Registrar at {theirs[0]['contracts']['Registrar']['address']}, not at {registrar}" in refused(
        text(mixed)
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{",
        b'{"subject":1,"subject":2}\n',
        b"\xff\xfe\n",
        b'{"a":' + b"[" * 100_000 + b"\n",
        b'{"a":' + b'{"a":' * 100_000 + b"\n",
        b'{"a":1e999999999}\n',
        b'{"a":' + b"9" * 100_000 + b"}\n",
        b" " * ((1 << 24) + 1),
    ],
    ids=["empty", "blank", "null", "list", "cut", "twice", "bytes", "deep", "deeper", "huge", "digits", "long"],
)
def test_what_is_no_line_is_refused(lines: list[bytes], line: bytes) -> None:
    for place in (0, 1, 4):
        assert "The evidence's" in refused([*lines[:place], line, *lines[place:]])


def test_no_byte_can_be_altered(lines: list[bytes]) -> None:
    whole, draw = b"".join(lines), random.Random(6)
    for place in sorted(draw.sample(range(len(whole)), 200)):
        altered = whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(7)]) + whole[place + 1 :]
        refused(io.BytesIO(altered).readlines())


def forged(said: Lines, node: bytes) -> list[bytes]:
    """A block that nobody made, whose state is one node."""
    fields = rlp.decode(bytes.fromhex(said[0]["header"][2:]))
    header = Header(rlp.encode([*fields[:3], keccak256(node), *fields[4:]]))
    said[0] |= {"header": f"0x{header.encoded.hex()}", "blockHash": header.hash, "nodes": [f"0x{node.hex()}"]}
    return text(said)


NESTED = b"\xc0"
while len(NESTED) < 900:
    NESTED = rlp.codec.length_prefix(len(NESTED), 0xC0) + NESTED


@pytest.mark.parametrize(
    "lone",
    [
        b"\x80",
        b"\xc0",
        b"\xff" * 40,
        NESTED,
        rlp.encode([b""] * 17),
        rlp.encode([b""] * 18),
        rlp.encode([b"\x00", b"\x11" * 32]),
        rlp.encode([b"\x20", [b"\x11"]]),
        rlp.encode([b"\x3f" * 33, b"\x11"]),
        rlp.encode([b"", b"\x11"]),
        rlp.encode([[], []]),
        rlp.encode([[b""] * 17] * 17),
        rlp.encode([b"\x11" * 31] * 17),
    ],
    ids=lambda lone: f"{len(lone)} bytes",
)
def test_a_state_that_is_none_is_refused(said: Lines, lone: bytes) -> None:
    assert "The evidence's" in refused(forged(said, lone))


def state_of(said: Lines, account: object) -> list[bytes]:
    """A block that nobody made, in whose state the registry's account is this."""
    registry = bytes.fromhex(said[0]["contracts"]["ConsentRegistry"]["address"][2:])
    return forged(said, rlp.encode([b"\x20" + keccak256(registry), rlp.encode(account)]))


@pytest.mark.parametrize(
    "account",
    [b"", [], [b""] * 4, [b"", b"", b"\x11" * 31, b"\x11" * 32], [b"", b"", [], []], [b"\x11" * 32] * 5, [[b""]] * 4],
)
def test_an_account_that_is_none_is_refused(said: Lines, account: object) -> None:
    assert "account of ConsentRegistry" in refused(state_of(said, account))


def test_another_contract_in_its_place_is_refused(said: Lines) -> None:
    account = [b"\x01", b"", BLANK_NODE_HASH, keccak256(b"another contract")]
    assert "is not ConsentRegistry as this MedProof knows it" in refused(state_of(said, account))


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Any) -> None:
    path = tmp_path / "endless.jsonl"
    path.write_bytes(b"x" * (1 << 25))
    with path.open("rb") as file:
        assert "line 1 is no JSON text" in refused(list(read_lines(file))[:1])
        assert max(map(len, read_lines(file)), default=0) <= (1 << 24) + 1
