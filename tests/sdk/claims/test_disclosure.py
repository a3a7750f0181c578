"""A claim's commitment, and single fields of it shown without the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from medproof import hashing
from medproof.claims import Claim, disclosure
from medproof.claims.disclosure import DisclosedField, Disclosure, commit, disclose, paths, whole_claim
from medproof.claims.document import read_claim, read_response, to_json
from medproof.errors import ClaimDocumentError, DisclosureError, SaltError
from medproof.hashing import Json, canonical, parse
from medproof.merkle import MerkleLog
from tests.sdk.claims.claim_examples import claim, response

SALT = bytes(range(32))


def test_what_is_shown_and_what_is_not() -> None:
    shown = disclose(claim(), SALT, ["start", "lines[0].service", "lines[1].charge"])
    assert shown.verify(commit(claim(), SALT)) == {
        "start": "2026-03-02",
        "lines[0].service": 1,
        "lines[0].service[0]": {"system": "http://www.ama-assn.org/go/cpt", "code": "99213"},
        "lines[1].charge": {"amount": "120.50", "currency": "USD"},
    }
    text = canonical(shown.to_json())
    for hidden in (b"M-77", b"A-100", b"E11.9", b"241"):
        assert hidden not in text
    assert Disclosure.from_json(parse(text)) == shown


def test_a_path_opens_all_below_it_and_no_namesake() -> None:
    whole = disclose(claim(lines=11), SALT, ["lines[1]"]).verify()
    assert all(path.startswith("lines[1].") for path in whole)
    assert len(whole) > 8
    assert set(disclose(claim(), SALT, paths(claim())).verify()) == set(paths(claim()))


def test_what_a_claim_leaves_out_can_be_shown_too() -> None:
    said = disclose(claim(), SALT, ["prescription", "lines[0].modifiers"]).verify()
    assert said == {"prescription": None, "lines[0].modifiers": 0}


def test_neither_places_nor_size_tell_how_much_there_is() -> None:
    small, large = disclose(claim(lines=2), SALT, ["start"]), disclose(claim(lines=3), SALT, ["start"])
    assert small.size == large.size == 64
    found = {disclose(claim(), bytes([salt]) * 32, ["kind"]).fields[0].index for salt in range(1, 30)}
    assert len(found) > 5  # the order is that of hashes


def test_every_field_and_the_salt_count() -> None:
    base = claim()
    others = [
        replace(base, start=base.start - timedelta(days=1)),
        replace(base, prescription="RX"),
        replace(base, lines=base.lines[:1]),
        replace(base, diagnoses=()),
    ]
    commitments = {commit(one, SALT) for one in (base, *others)} | {commit(base, SALT[::-1])}
    assert len(commitments) == 6


@pytest.mark.parametrize("lines", [1, 2, 11])
def test_a_claim_that_is_shown_whole_is_read_again(lines: int) -> None:
    bill = claim(lines=lines)
    said = dict(disclose(bill, SALT, paths(bill)).verify())
    assert whole_claim(said) == bill
    for path, value in said.items():
        assert whole_claim({one: other for one, other in said.items() if one != path}) is None
        for wrong in (None, -1, 7, 10**12, "x", [], {}, {"a": 1}):
            if wrong != value:
                assert whole_claim({**said, path: wrong}) != bill
    twofold: dict[str, Json] = {**said, "diagnoses[0].code": "I10"}
    assert whole_claim(twofold) is None
    system = "http://hl7.org/fhir/sid/icd-10-cm"
    assert twofold["diagnoses[0]"] == {"system": system, "code": "E11.9"}  # what was verified stays as it was
    assert whole_claim({}) is None
    assert whole_claim({"lines[0].start": "2026-01-01", "x": 1}) is None


@pytest.mark.parametrize("details", [0, 1, 900])
def test_what_a_maker_put_into_its_tree_leads_nobody_astray(details: int) -> None:
    """It may commit to whatever it likes: a claim of a depth, or with a line of a number, that nobody can read."""
    bill = disclose(claim(lines=1), SALT, paths(claim(lines=1))).verify()
    made = dict(bill) if details else {**bill, f"lines[{'9' * 5000}].number": 1}
    line = {path.removeprefix("lines[0]"): value for path, value in bill.items() if path.startswith("lines[0].")}
    where = "lines[0]"
    for _ in range(details):
        made[f"{where}.details"] = 1
        where += ".details[0]"
        made |= {f"{where}{path}": line[path] for path in (".number", ".start", ".end", ".details")}
    said = [(path, value, hashing.commit(["claim", path, value], SALT)) for path, value in made.items()]
    tree = MerkleLog(leaf for *_, leaf in said)
    opened = (
        DisclosedField(path, value, SALT, at, tree.inclusion_proof(at)) for at, (path, value, _) in enumerate(said)
    )
    written = Disclosure("claim", tree.root(), len(tree), tuple(opened)).to_json()
    if details == 1:
        shown = Disclosure.from_json(written).verify()
        assert shown == made
        assert whole_claim(shown) is None
    else:
        with pytest.raises(DisclosureError, match="is no path of a field"):
            Disclosure.from_json(written)


def test_a_response_never_passes_for_a_claim() -> None:
    answer = response(claim())
    shown = disclose(answer, SALT, ["outcome", "lines[0].paid"])
    assert shown.verify(commit(answer, SALT))["outcome"] == "partial"
    with pytest.raises(DisclosureError, match="does not belong to this claim"):
        replace(shown, kind="claim").verify()


@pytest.mark.parametrize(
    "change",
    [
        {"value": "2026-03-03"},
        {"path": "end"},
        {"salt": bytes(31) + b"\1"},
        {"index": 0},
        {"index": 1 << 31},
        {"proof": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_altered_is_named(change: dict[str, object]) -> None:
    shown = disclose(claim(), bytes([9]) * 32, ["start", "kind"])
    place = next(place for place, one in enumerate(shown.fields) if one.path == "start")
    if shown.fields[place].index == change.get("index"):
        change = {"index": 1}
    fields = list(shown.fields)
    fields[place] = replace(fields[place], **change)  # type: ignore[arg-type]
    with pytest.raises(DisclosureError) as refused:
        replace(shown, fields=tuple(fields)).verify()
    assert refused.value.path == fields[place].path


def test_another_claims_disclosure_is_refused() -> None:
    shown = disclose(claim(), SALT, ["start"])
    with pytest.raises(DisclosureError, match="not of 0x"):
        shown.verify(commit(claim(number="A-101"), SALT))
    with pytest.raises(DisclosureError, match="disclosed twice"):
        replace(shown, fields=shown.fields * 2).verify()
    with pytest.raises(DisclosureError, match="start does not belong"):
        replace(shown, commitment=bytes(32)).verify()


def test_a_padding_leaf_opens_to_nothing() -> None:
    """Its preimage is no field: whoever knows the salt cannot show it as one."""
    shown = disclose(claim(), SALT, ["start"])
    assert all(one.path in paths(claim()) for one in disclose(claim(), SALT, paths(claim())).fields)
    assert shown.size > len(paths(claim()))


@pytest.mark.parametrize("path", ["lines[7]", "line", "lines[0].servic", "", "lines[0", "start.x", "$.start"])
def test_no_such_field(path: str) -> None:
    with pytest.raises(DisclosureError, match="is no field of this claim"):
        disclose(claim(), SALT, [path])


@pytest.mark.parametrize("salt", [b"", bytes(32), bytes(31), bytes(33)])
def test_no_such_salt(salt: bytes) -> None:
    with pytest.raises(SaltError):
        commit(claim(), salt)
    with pytest.raises(SaltError):
        disclose(claim(), salt, ["start"])


@pytest.mark.parametrize(
    "spoilt",
    [
        None,
        [],
        {},
        "text",
        {"kind": "claim"},
        {"kind": "else", "commitment": "0x" + "11" * 32, "size": 1, "fields": []},
        {"kind": "claim", "commitment": "0x11", "size": 1, "fields": []},
        {"kind": "claim", "commitment": "0x" + "11" * 32, "size": True, "fields": []},
        {"kind": "claim", "commitment": "0x" + "11" * 32, "size": 1, "fields": [{"path": "Name: x"}]},
        {**disclose(claim(), SALT, ["start"]).to_json(), "more": 1},
    ],
)
def test_no_disclosure(spoilt: Json) -> None:
    with pytest.raises(DisclosureError, match="isclosure"):
        Disclosure.from_json(spoilt)


def test_a_proof_of_any_length_is_not_read() -> None:
    said = disclose(claim(), SALT, ["start"]).to_json()
    said["fields"][0]["proof"] *= 100  # type: ignore[index,call-overload,operator]
    with pytest.raises(DisclosureError, match="isclosure"):
        Disclosure.from_json(said)


def test_claims_and_responses_as_json() -> None:
    bill, answer = claim(), response(claim())
    assert read_claim(parse(canonical(to_json(bill)))) == bill
    assert read_response(parse(canonical(to_json(answer)))) == answer
    assert str(read_claim(to_json(bill)).lines[0].quantity) == "1.0"


def _without(name: str) -> dict[str, Json]:
    return {key: value for key, value in to_json(claim()).items() if key != name}


@pytest.mark.parametrize(
    ("spoilt", "path"),
    [
        (None, ""),
        ([], ""),
        (_without("number"), "number"),
        (_without("lines"), "lines"),
        ({**to_json(claim()), "name": "x"}, ""),
        ({**to_json(claim()), "start": "yesterday"}, "start"),
        ({**to_json(claim()), "kind": "else"}, "kind"),
        ({**to_json(claim()), "diagnoses": "E11"}, "diagnoses"),
        ({**to_json(claim()), "total": {"amount": "NaN", "currency": "USD"}}, "total.amount"),
        ({**to_json(claim()), "total": {"amount": 12, "currency": "USD"}}, "total.amount"),
        ({**to_json(claim()), "lines": [{"number": True}]}, "lines[0].number"),
        ({**to_json(claim()), "patient": "M-77"}, "patient"),
    ],
)
def test_no_claim(spoilt: Json, path: str) -> None:
    with pytest.raises(ClaimDocumentError) as refused:
        read_claim(spoilt)
    assert refused.value.path == path
    assert "M-77" not in str(refused.value)


def test_values_stay_out_of_representations() -> None:
    shown: object = disclose(claim(), SALT, ["total", "start"])
    assert "120" not in repr(shown)
    assert "2026" not in repr(shown)


def test_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest tree, by hand."""
    from medproof import hashing, merkle

    bill: Claim = claim(lines=1)
    leaves = []
    for one in disclose(bill, SALT, paths(bill)).fields:
        salt = hashing.keyed_identifier(SALT, one.path, purpose="claim-field:v1")
        assert salt == one.salt
        leaves.append(hashing.commit(["claim", one.path, one.value], salt))
    size = 32
    for place in range(len(leaves), size):
        leaves.append(hashing.keyed_identifier(SALT, str(place), purpose="claim-padding:v1"))
    assert merkle.MerkleLog(sorted(leaves)).root() == disclosure.commit(bill, SALT)


def test_nothing_of_a_patient_shows_when_a_part_is_printed() -> None:
    """As a log or a traceback does."""
    bill, answer = claim(), response(claim())
    shown = repr([bill, *bill.lines, answer, *answer.lines, *answer.adjustments])
    assert not any(secret in shown for secret in ("99213", "2026", "120.50", "20.50", "E-1", "M-77", "E11.9"))
