"""The study document: what it commits to, and what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from medproof import hashing
from medproof.errors import DataUseError, StudyError
from medproof.policy.codes import DataClass, Purpose, ResearchUse, Sensitivity
from medproof.policy.duo import StudyUse, Topic
from medproof.policy.evaluation import normalize
from medproof.policy.study import FileDigest, StudyDocument, describe_study, read_use, write_use
from medproof.policy.word import Request, decode_request
from tests.sdk.studies.examples import APPROVAL, CUSTODIAN, PROTOCOL, RESEARCHER, document

Edit = Callable[[dict[str, Any]], object]


def test_it_comes_back_as_it_was_written() -> None:
    study = document()
    text = hashing.canonical(study.to_json())
    read = StudyDocument.from_json(text)
    assert read == study
    assert hashing.canonical(read.to_json()) == text
    assert read.protocol_commitment == study.protocol_commitment
    assert read.ethics_commitment == study.ethics_commitment


def test_the_request_says_what_the_use_needs_and_accepts() -> None:
    study = document()
    request = decode_request(study.request_word)
    assert normalize(study.request_word) == study.request_word
    assert request.purposes == Purpose.HRESCH
    assert request.classes == DataClass.GENOMICS | DataClass.LABORATORY
    assert request.research & ResearchUse.PERMISSIONS == ResearchUse.DS
    assert ResearchUse.NCU in request.research
    assert ResearchUse.NPU in request.research
    assert ResearchUse.PUB not in request.research


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another"},
        {"use": StudyUse(diseases={"MONDO:0004993"})},
        {"protocol": FileDigest.of("protocol.pdf", b"another")},
        {"protocol_salt": b"\x07" * 32},
    ],
)
def test_each_part_of_the_protocol_is_committed_to(change: dict[str, Any]) -> None:
    study = document()
    other = replace(study, **change)
    assert other.protocol_commitment != study.protocol_commitment
    assert other.ethics_commitment == study.ethics_commitment


@pytest.mark.parametrize(
    "change",
    [
        {"committee": "Another"},
        {"reference": "2026-2"},
        {"file": FileDigest.of("letter.pdf", b"another")},
    ],
)
def test_each_part_of_the_approval_is_committed_to(change: dict[str, Any]) -> None:
    study = document()
    other = replace(study, approval=replace(study.approval, **change))
    assert other.ethics_commitment != study.ethics_commitment
    assert other.protocol_commitment == study.protocol_commitment


def test_custodians_are_in_ascending_order_each_once() -> None:
    study = replace(document(), custodians=(RESEARCHER, CUSTODIAN, RESEARCHER))
    assert study.custodians == (CUSTODIAN, RESEARCHER)


def test_files_are_checked() -> None:
    study = document()
    study.check_files(protocol=PROTOCOL, approval=APPROVAL)
    study.check_files()
    with pytest.raises(StudyError, match=r"protocol of the study is another file than protocol\.pdf"):
        study.check_files(protocol=APPROVAL)
    with pytest.raises(StudyError, match=r"approval of the study is another file than letter\.pdf"):
        study.check_files(protocol=PROTOCOL, approval=b"")


def test_the_sentence_names_what_is_asked_and_how_to_leave() -> None:
    text = describe_study(document(), researcher="Institute of Research")
    assert text == (
        "You take part in “Blood and genes”. Institute of Research asks to use your laboratory results and genetic "
        "data for health research: research on MONDO:0005148. The ethics board "
        "approved it under 2026-1. It runs from 1 March 2026 to 28 February 2027. It uses only what your own rules "
        "permit. You may leave at any time, and need give no reason."
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ends": date(2026, 2, 28)}, "ends on 2026-02-28, before it starts on 2026-03-01"),
        ({"starts": date(1969, 1, 1)}, "is not within 1970-01-01 and 2149-06-06"),
        ({"ends": date(2149, 6, 7)}, "is not within 1970-01-01 and 2149-06-06"),
        ({"custodians": ()}, "are 0, and a study names 1 to 100"),
        (
            {"custodians": tuple(to_checksum_address(f"0x{n:040x}") for n in range(101))},
            "are 101, and a study names 1 to 100",
        ),
        ({"researcher": CUSTODIAN.lower()}, "no checksummed address"),
        ({"custodians": ("0x12",)}, "no checksummed address"),
        ({"protocol": FileDigest.of("a\nb.pdf", b"")}, "protocol's name of the study is no line"),
        ({"title": ""}, "title of the study is no line"),
        ({"title": "a\x1b[2Jb"}, "title of the study is no line"),
        ({"title": "a\nb"}, "title of the study is no line"),
        ({"title": "x" * 301}, "title of the study is no line"),
        ({"scope": Request(purposes=Purpose.TREAT)}, "a study does research"),
        ({"scope": Request(research=ResearchUse.GRU)}, "the study says it"),
        ({"use": StudyUse(methods=True)}, "a study asks one thing"),
    ],
)
def test_what_no_study_is(change: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        replace(document(), **change)


def test_methods_beside_health_are_one_request() -> None:
    study = replace(document(), use=StudyUse(methods=True, health=True), scope=Request(classes=DataClass.GENOMICS))
    assert study.request.research & ResearchUse.PERMISSIONS == ResearchUse.HMB


def put(path: str, value: object) -> Edit:
    *way, last = path.split(".")

    def edit(content: dict[str, Any]) -> None:
        for step in way:
            content = content[step]
        content[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("format", "medproof-prescription"), "format of the study is not medproof-study"),
        (put("version", 2), "version of the study"),
        (put("version", True), "version of the study"),
        (put("more", 1), "has members that are not known"),
        (put("protocol.more", 1), "protocol of the study has members that are not known"),
        (put("approval.file.more", 1), "approval.file of the study has members"),
        (put("scope.more", 1), "scope of the study has members"),
        (put("protocol.use.more", True), "protocol.use of the study says more than a study does"),
        (put("protocol.use.topics", ["sports"]), "protocol.use.topics of the study has one that is none of"),
        (put("protocol.use.diseases", "MONDO:0005148"), "protocol.use.diseases of the study is no list"),
        (put("protocol.use.diseases", ["MONDO:0005148"] * 2), "holds what is no text, or one twice"),
        (put("protocol.use.health", 1), "protocol.use.health of the study is neither true nor false"),
        (put("protocol.use.months", -1), "protocol.use.months of the study is no number"),
        (put("protocol.use.publish_from", "2026-3-1"), "is no day as 2030-01-01"),
        (put("protocol.salt", "0x00"), "protocol.salt of the study"),
        (put("protocol.file.sha256", "0x" + "AB" * 32), "protocol.file.sha256 of the study"),
        (put("protocol.file.name", "a\u202eb"), "protocol.file.name of the study is no line"),
        (put("researcher", "0x" + "ab" * 20), "researcher of the study is no checksummed address"),
        (put("custodians", ["0x" + "00" * 20]), "custodians.0 of the study is no checksummed address"),
        (put("custodians", 7), "custodians of the study is no list"),
        (
            put("scope.classes", ["genetics"]),
            "scope.classes of the study has a code that is not of MedProof data class",
        ),
        (put("scope.data_from", "20260101"), "scope.data_from of the study is no day"),
        (put("starts", None), "starts of the study is no text"),
        (put("ends", "2025-01-01"), "before it starts"),
    ],
)
def test_what_no_document_is(edit: Edit, words: str) -> None:
    content = json.loads(hashing.canonical(document().to_json()))
    edit(content)
    with pytest.raises(StudyError, match=words):
        StudyDocument.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\ud800", " " * (1 << 20) + "{}", "[" * 200])
def test_what_no_json_is(text: str) -> None:
    with pytest.raises(StudyError):
        StudyDocument.from_json(text)


def test_each_member_is_needed() -> None:
    whole = json.loads(hashing.canonical(document().to_json()))

    def without(content: dict[str, Any], way: tuple[str, ...] = ()) -> None:
        for name in list(content):
            if way and way[-1] == "use":
                continue  # what a use leaves out is not so
            kept = content.pop(name)
            with pytest.raises(StudyError, match="is missing"):
                StudyDocument.from_json(json.dumps(whole))
            content[name] = kept
            if isinstance(kept, dict):
                without(kept, (*way, name))

    without(whole)
    assert StudyDocument.from_json(json.dumps(whole)) == document()


def test_a_use_comes_back() -> None:
    use = StudyUse(
        health=True,
        diseases={"DOID:1612"},
        topics={Topic.CONTROLS, Topic.PEDIATRIC},
        commercial=True,
        publishes=True,
        publish_from=date(2027, 1, 1),
        months=12,
        regions={"DE", "US-CA"},
    )
    written = write_use(use)
    assert written["topics"] == ["controls", "pediatric"]
    assert "for_profit" not in written
    assert read_use(written, StudyError) == use
    with pytest.raises(DataUseError, match="says what it investigates"):
        read_use({}, StudyError)
    with pytest.raises(StudyError, match="is no JSON object"):
        read_use([], StudyError)


def test_sensitivities_stay_in_the_scope() -> None:
    study = replace(document(), scope=Request(sensitivities=Sensitivity.HIV))
    assert study.request.sensitivities == Sensitivity.HIV
    assert "asks to use your health data" in describe_study(study)
