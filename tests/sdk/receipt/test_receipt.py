"""Consent receipts: what they say, that they can be checked, and that no field can be altered unnoticed."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof import receipt as receipts
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.decoding import Event
from medproof.errors import ForeignReceiptError, MalformedReceiptError, ReceiptError, UnknownEvidenceError
from medproof.policy.codes import CareSetting, Condition, Purpose, ResearchUse, Sensitivity
from medproof.policy.word import Rule, encode
from medproof.receipt import Coded, ConsentReceipt, PrivacyNotice, Standing, issue, verify
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT
from tests.sdk.conftest import rpc

TERMS = keccak(text="the consent form")


@pytest.fixture
def rule(rule: Rule) -> Rule:
    """Few codes in each field, so that a receipt has few of everything."""
    return dataclasses.replace(
        rule,
        conditions=Condition.CIRCULATORY | Condition.ENDOCRINE,
        settings=CareSetting.AMB,
        purposes=Purpose.TREAT | Purpose.HRESCH,
        research=ResearchUse.HMB | ResearchUse.DS | ResearchUse.IRB,
        sensitivities=Sensitivity.NONE_LABELLED | Sensitivity.HIV,
        data_from=date(2020, 1, 1),
    )


@pytest.fixture
def granted(suite: MedProof, patient: LocalSigner, clinic: LocalSigner, admin: LocalSigner, rule: Rule) -> Rule:
    """A rule of the patient for the clinic, under published terms."""
    number = suite.consent_registry.publish_terms(TERMS, sender=admin)
    rule = dataclasses.replace(rule, terms=number)
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    return rule


@pytest.fixture
def receipt(suite: MedProof, granted: Rule, patient: LocalSigner, clinic: LocalSigner) -> ConsentReceipt:
    return issue(suite, patient.address, clinic.address, jurisdiction="DE")


# -- what a receipt says -----------------------------------------------------------------------------------------


def test_a_receipt_says_what_the_rule_says(
    suite: MedProof, receipt: ConsentReceipt, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    registry, processing = suite.consent_registry, receipt.pii_processing
    (event,) = registry.history(patient.address)
    assert receipt.receipt_id.startswith("urn:uuid:")
    assert receipt.record_id == (
        f"eip155:{suite.chain.chain_id}:{registry.address}/{patient.address}/{clinic.address}/0/1"
    )
    assert receipt.pii_principal_id == patient.address == receipt.event.entity_id
    assert receipt.sentence.startswith(
        f"You allow {clinic.address} to read and use your laboratory results for treatment"
    )
    assert processing.privacy_notice == PrivacyNotice(granted.terms, "0x" + TERMS.hex())
    assert [one.code for one in processing.purposes] == ["TREAT", "HRESCH"]
    assert processing.pii_information == (Coded("urn:medproof:data-class", "laboratory", "Laboratory results"),)
    assert [one.code for one in processing.research] == ["DUO_0000006", "DUO_0000007", "DUO_0000021"]
    assert [one.code for one in processing.sensitive_pii_category] == ["NONE_LABELLED", "HIV"]
    assert [one.code for one in processing.conditions] == ["E00-E89", "I00-I99"]
    assert [one.code for one in processing.care_settings] == ["AMB"]
    assert [one.code for one in processing.processing_method] == ["access", "use"]
    assert processing.data_period == "2020-01-01/.."
    assert (processing.jurisdiction, processing.language) == ("DE", "en")
    assert (
        processing.pii_controllers == (clinic.address,) == tuple(one.party_id for one in receipt.party_identification)
    )
    assert processing.recipient_third_parties == "none"
    assert registry.address in processing.withdrawal_method
    assert granted.valid_until is not None
    assert (
        receipt.event.validity_duration
        == f"{granted.valid_from:%Y-%m-%dT%H:%M:%SZ}/{granted.valid_until:%Y-%m-%dT%H:%M:%SZ}"
    )
    moment = datetime.fromtimestamp(suite.chain.timestamp(event.block), UTC)
    assert receipt.event.event_time == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    assert receipt.event.event_state == "ConsentGiven"
    evidence = receipt.evidence
    assert (evidence.transaction, evidence.block, evidence.log_index) == (event.transaction, event.block, event.index)
    assert int(evidence.word, 16) == encode(granted)


def test_a_receipt_survives_json_and_verifies(suite: MedProof, receipt: ConsentReceipt) -> None:
    assert ConsentReceipt.from_json(receipt.to_json()) == receipt
    assert ConsentReceipt.from_json(receipt.to_json().encode()) == receipt
    found = verify(suite, receipt)
    assert found.genuine
    assert found.in_force
    assert (found.altered, found.standing, found.block) == ((), Standing.IN_FORCE, suite.chain.block_number())
    assert found.unproven == ("pii_processing.jurisdiction",)


def test_a_receipt_is_the_same_whoever_issues_it_when(
    suite: MedProof, receipt: ConsentReceipt, patient: LocalSigner, clinic: LocalSigner, chain: Chain
) -> None:
    rpc(chain, "evm_mine")
    again = issue(suite, patient.address.lower(), clinic.address.lower(), jurisdiction="DE")
    assert again == receipt
    unstated = issue(suite, patient.address, clinic.address)
    assert unstated.receipt_id == receipt.receipt_id
    assert verify(suite, unstated).unproven == ()


def test_a_relayed_grant_is_the_subjects(
    suite: MedProof, patient: LocalSigner, clinic: LocalSigner, relayer: LocalSigner, rule: Rule
) -> None:
    message = suite.consent_registry.sign_grant(patient, clinic.address, rule)
    suite.relay(message, sender=relayer)
    receipt = issue(suite, patient.address, clinic.address)
    assert receipt.event.entity_id == patient.address
    assert relayer.address not in receipt.to_json()
    assert verify(suite, receipt).in_force


@pytest.mark.parametrize(
    ("grantee", "name"),
    [(EVERYONE, "anyone"), (group_grantee(2), "the emergency care group"), (group_grantee(7), "group 7")],
)
def test_groups_are_named(suite: MedProof, patient: LocalSigner, rule: Rule, grantee: str, name: str) -> None:
    refusal = dataclasses.replace(rule, deny=True, research=ResearchUse.POA, valid_until=None, delegable=True)
    suite.consent_registry.grant(grantee, refusal, sender=patient)
    receipt = issue(suite, patient.address, grantee)
    assert receipt.sentence.startswith(f"You do not allow {name} to")
    assert receipt.event.event_state == "ConsentRefused"
    assert receipt.event.validity_duration.endswith("/..")
    assert receipt.pii_processing.recipient_third_parties == "the controller may pass the permission on"
    assert receipt.pii_processing.privacy_notice is None
    assert verify(suite, receipt).in_force


def test_terms_that_came_after_the_rule_are_not_its_terms(
    suite: MedProof, patient: LocalSigner, clinic: LocalSigner, admin: LocalSigner, rule: Rule
) -> None:
    suite.consent_registry.grant(clinic.address, dataclasses.replace(rule, terms=1), sender=patient)
    assert suite.consent_registry.publish_terms(TERMS, sender=admin) == 1
    receipt = issue(suite, patient.address, clinic.address)
    assert receipt.pii_processing.privacy_notice == PrivacyNotice(1, None)
    assert verify(suite, receipt).genuine
    claimed = ConsentReceipt.from_json(
        receipt.to_json().replace('"terms_hash": null', f'"terms_hash": "0x{TERMS.hex()}"')
    )
    assert verify(suite, claimed).altered == ("pii_processing.privacy_notice.terms_hash",)


def test_there_is_no_receipt_without_a_rule(
    suite: MedProof, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    block = next(suite.consent_registry.history(patient.address)).block
    for options in ({"index": 1}, {"block": block - 1}):
        with pytest.raises(ReceiptError, match="There was no rule"):
            issue(suite, patient.address, clinic.address, **options)
    with pytest.raises(ReceiptError, match="There was no rule"):
        issue(suite, clinic.address, patient.address)
    with pytest.raises(ReceiptError, match="is no address"):
        issue(suite, patient.address, "the clinic")


def test_a_grant_is_receipted_when_it_is_confirmed(
    suite: MedProof, granted: Rule, patient: LocalSigner, clinic: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite.chain, "confirmations", 2)
    with pytest.raises(ReceiptError, match="confirmations"):
        issue(suite, patient.address, clinic.address)
    rpc(suite.chain, "evm_mine")
    assert verify(suite, issue(suite, patient.address, clinic.address)).in_force


# -- what became of the rule -------------------------------------------------------------------------------------


def test_a_changed_rule_leaves_its_receipt_genuine(
    suite: MedProof, receipt: ConsentReceipt, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    narrower = dataclasses.replace(granted, purposes=Purpose.TREAT, research=ResearchUse.EMPTY)
    suite.consent_registry.change(clinic.address, narrower, sender=patient)
    found = verify(suite, receipt)
    assert (found.genuine, found.in_force, found.standing) == (True, False, Standing.CHANGED)
    newer = issue(suite, patient.address, clinic.address)
    assert newer.receipt_id != receipt.receipt_id
    assert verify(suite, newer).in_force
    assert issue(suite, patient.address, clinic.address, block=receipt.evidence.block, jurisdiction="DE") == receipt


def test_a_withdrawal_has_its_own_receipt(
    suite: MedProof, receipt: ConsentReceipt, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    suite.consent_registry.revoke(clinic.address, sender=patient)
    assert verify(suite, receipt).standing is Standing.REVOKED
    withdrawal = issue(suite, patient.address, clinic.address)
    assert withdrawal.event.event_state == "ConsentWithdrawn"
    assert withdrawal.sentence.startswith("You withdrew this permission")
    found = verify(suite, withdrawal)
    assert (found.genuine, found.in_force, found.standing) == (True, False, Standing.REVOKED)

    suite.consent_registry.grant(clinic.address, granted, sender=patient)
    assert [verify(suite, one).standing for one in (receipt, withdrawal)] == [Standing.CHANGED, Standing.CHANGED]
    assert verify(suite, issue(suite, patient.address, clinic.address)).in_force


def test_time_passes_over_a_receipt(
    suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule, chain: Chain
) -> None:
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0)
    soon = dataclasses.replace(rule, valid_from=now + timedelta(hours=1), valid_until=now + timedelta(hours=2))
    suite.consent_registry.grant(clinic.address, soon, sender=patient)
    receipt = issue(suite, patient.address, clinic.address)
    found = []
    for moment in (now, soon.valid_from, soon.valid_until):
        assert moment is not None
        if moment > now:
            rpc(chain, "evm_mine", int(moment.timestamp()))
        found.append(verify(suite, receipt).standing)
    assert found == [Standing.NOT_YET_VALID, Standing.IN_FORCE, Standing.EXPIRED]


def test_a_rule_that_is_followed_keeps_its_receipt(
    suite: MedProof, receipt: ConsentReceipt, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    """The registry marks the rule before a new one, and writes it anew: that is no consent of the patient."""
    suite.consent_registry.grant(clinic.address, dataclasses.replace(granted, index=1), sender=patient)
    assert issue(suite, patient.address, clinic.address, jurisdiction="DE") == receipt
    assert verify(suite, receipt).in_force
    second = issue(suite, patient.address, clinic.address, index=1)
    assert second.record_id.endswith("/1/1")
    assert second.event.entity_id == patient.address
    assert verify(suite, second).in_force


# -- whose act it was --------------------------------------------------------------------------------------------

SUBJECT, GRANTEE, DELEGATE = (f"0x{digit * 40}" for digit in "123")


def logged(index: int, name: str, **arguments: Any) -> Event:
    return Event(name, {"subject": SUBJECT, **arguments}, "0x", 1, "0x", index)


FOLLOWED = 1 << 23
ACTED = ("DelegateActed", {"delegate": DELEGATE})


@pytest.mark.parametrize(
    ("before", "sequence", "author"),
    [
        ([], 1, SUBJECT),
        ([ACTED], 1, DELEGATE),
        ([ACTED], 2, DELEGATE),
        ([ACTED, ("RuleSet", {"grantee": GRANTEE, "word": FOLLOWED})], 1, DELEGATE),  # marked by the new rule
        ([ACTED, ("RuleSet", {"grantee": GRANTEE, "word": FOLLOWED})], 2, SUBJECT),  # changed by the delegate
        ([ACTED, ("RuleSet", {"grantee": GRANTEE, "word": 1})], 1, SUBJECT),
        ([ACTED, ("RuleSet", {"grantee": DELEGATE, "word": FOLLOWED})], 1, SUBJECT),
        ([("DelegateActed", {"delegate": DELEGATE, "subject": GRANTEE})], 1, SUBJECT),
        ([ACTED, ("TermsPublished", {"number": 1})], 1, SUBJECT),
    ],
)
def test_a_delegates_act_is_the_delegates(before: list[tuple[str, dict[str, Any]]], sequence: int, author: str) -> None:
    events = [logged(index, name, **arguments) for index, (name, arguments) in enumerate(before)]
    event = logged(len(events), "RuleSet", grantee=GRANTEE, word=1 << 16 | sequence)
    later = logged(len(events) + 1, "DelegateActed", delegate=GRANTEE)
    assert receipts.author([*events, event, later], event) == author


# -- altered receipts --------------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every text, number and null in a document."""
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(below, (*path, key))
    else:
        yield path


def changed(document: Any, path: tuple[str | int, ...], alter: Callable[[Any], Any]) -> Any:
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = alter(place[path[-1]])
    return copy


def spelled(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def other(value: Any) -> Any:
    """Another value of the same form."""
    if isinstance(value, int):
        return value + 1
    if value is None:
        return "another"
    digits = value.removeprefix("0x")
    if value.startswith("0x") and len(value) in (42, 66):
        return f"0x{int(digits, 16) ^ 1:0{len(digits)}x}"
    return value + "x"


def test_every_altered_field_is_named(suite: MedProof, receipt: ConsentReceipt) -> None:
    document = json.loads(receipt.to_json())
    named = {}
    for path in leaves(document):
        altered = ConsentReceipt.from_json(json.dumps(changed(document, path, other)))
        try:
            named[spelled(path)] = verify(suite, altered).altered
        except (ForeignReceiptError, UnknownEvidenceError) as error:
            named[spelled(path)] = (error.field,)
    unproven = "pii_processing.jurisdiction"
    assert len(named) > 60
    assert named.pop(unproven) == ()  # which every verification says
    assert {path: found for path, found in named.items() if found != (path,)} == {}


def test_a_code_too_few_or_too_many_is_named(suite: MedProof, receipt: ConsentReceipt) -> None:
    document = json.loads(receipt.to_json())
    for name in ("purposes", "research", "pii_information", "conditions", "pii_controllers"):
        for alter in (lambda codes: codes[:-1], lambda codes: codes * 2):
            altered = ConsentReceipt.from_json(json.dumps(changed(document, ("pii_processing", name), alter)))
            assert verify(suite, altered).altered == (f"pii_processing.{name}",)
    no_notice = changed(document, ("pii_processing", "privacy_notice"), lambda notice: None)
    assert verify(suite, ConsentReceipt.from_json(json.dumps(no_notice))).altered == ("pii_processing.privacy_notice",)


def test_several_altered_fields_are_all_named(suite: MedProof, receipt: ConsentReceipt) -> None:
    altered = dataclasses.replace(
        receipt,
        sentence="You allow everything.",
        event=dataclasses.replace(receipt.event, event_state="ConsentRefused"),
    )
    found = verify(suite, altered)
    assert found.altered == ("sentence", "event.event_state")
    assert not found.in_force
    assert found.standing is Standing.IN_FORCE  # of the rule on the chain, whatever the receipt says


def test_the_log_of_another_rule_does_not_do(
    suite: MedProof, receipt: ConsentReceipt, granted: Rule, patient: LocalSigner, clinic: LocalSigner
) -> None:
    suite.consent_registry.grant(clinic.address, dataclasses.replace(granted, index=1), sender=patient)
    second = issue(suite, patient.address, clinic.address, index=1)
    evidence = dataclasses.replace(second.evidence, word=receipt.evidence.word)
    mixed = dataclasses.replace(receipt, evidence=evidence)
    assert {"receipt_id", "record_id", "evidence.word"} <= set(verify(suite, mixed).altered)
    # The same transaction marks the first rule as followed, one log earlier.
    marked = dataclasses.replace(second.evidence, log_index=second.evidence.log_index - 1)
    assert {"receipt_id", "evidence.word"} <= set(verify(suite, dataclasses.replace(second, evidence=marked)).altered)


# -- other chains, and chains that changed -----------------------------------------------------------------------


def test_a_receipt_of_another_chain_or_registry(suite: MedProof, receipt: ConsentReceipt) -> None:
    for field, value in (("chain_id", 1), ("contract", suite.registrar.address)):
        elsewhere = dataclasses.replace(receipt, evidence=dataclasses.replace(receipt.evidence, **{field: value}))
        with pytest.raises(ForeignReceiptError, match="Connect to the receipt's chain") as caught:
            verify(suite, elsewhere)
        assert (caught.value.field, caught.value.given) == (f"evidence.{field}", value)


@pytest.mark.ganache  # the same transaction is in a block as soon as it is sent
def test_a_receipt_from_a_dropped_branch(
    suite: MedProof, chain: Chain, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    registry = suite.consent_registry
    raw = patient.sign_transaction(
        {
            "to": registry.address,
            "data": registry.contract.encode_abi("setRule", args=[clinic.address, encode(rule)]),
            "value": 0,
            "gas": 200_000,
            "gasPrice": 10**11,
            "nonce": chain.web3.eth.get_transaction_count(patient.address),
            "chainId": chain.chain_id,
        }
    )
    snapshot = rpc(chain, "evm_snapshot")
    rpc(chain, "eth_sendRawTransaction", "0x" + raw.hex())
    receipt = issue(suite, patient.address, clinic.address)
    assert verify(suite, receipt).in_force

    rpc(chain, "evm_revert", snapshot)
    with pytest.raises(UnknownEvidenceError, match="reorganised") as caught:
        verify(suite, receipt)
    assert caught.value.field == "evidence.transaction"

    rpc(chain, "evm_mine")
    rpc(chain, "eth_sendRawTransaction", "0x" + raw.hex())  # the same transaction, in another block
    with pytest.raises(UnknownEvidenceError, match="Issue it anew") as caught:
        verify(suite, receipt)
    assert (caught.value.field, caught.value.value) == ("evidence.block_hash", receipt.evidence.block_hash)
    anew = issue(suite, patient.address, clinic.address)
    assert anew.evidence.transaction == receipt.evidence.transaction
    assert verify(suite, anew).in_force


def test_a_transaction_that_failed_proves_nothing(
    suite: MedProof, chain: Chain, receipt: ConsentReceipt, patient: LocalSigner, clinic: LocalSigner
) -> None:
    registry = suite.consent_registry
    # The sequence of this word is taken.
    data = registry.contract.encode_abi("setRule", args=[clinic.address, int(receipt.evidence.word, 16)])
    sent = chain.send({"to": registry.address, "data": data, "gas": 200_000}, sender=patient)
    failed = dataclasses.replace(receipt, evidence=dataclasses.replace(receipt.evidence, transaction=sent))
    with pytest.raises(UnknownEvidenceError) as caught:
        verify(suite, failed)
    assert caught.value.field == "evidence.transaction"


# -- what is no receipt ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '"receipt"', "{}", "\ud800", b"\xff", '{"a": 1, "a": 2}', "[" * 100_000], ids=repr
)
def test_no_receipt_at_all(text: str | bytes) -> None:
    with pytest.raises(MalformedReceiptError, match="ask its issuer"):
        ConsentReceipt.from_json(text)


def test_every_field_has_its_form(receipt: ConsentReceipt) -> None:
    document = json.loads(receipt.to_json())
    for path in leaves(document):
        for wrong in ([], {}, True, 1.5, "x" if isinstance(path[-1], str) and path[-1] in ("block", "chain_id") else 7):
            if wrong == 7 and path[-1] in ("log_index", "terms_number"):
                continue
            with pytest.raises(MalformedReceiptError) as caught:
                ConsentReceipt.from_json(json.dumps(changed(document, path, lambda _, wrong=wrong: wrong)))
            assert caught.value.path == spelled(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("evidence", "contract"), "0x12"),
        (("evidence", "transaction"), "not a hash"),
        (("evidence", "block_hash"), "0x" + "G" * 64),
        (("evidence", "word"), "0x1"),
        (("party_identification",), {}),
        (("pii_processing", "purposes"), "TREAT"),
        (("evidence",), None),
        (("event",), []),
    ],
)
def test_a_field_of_another_form(receipt: ConsentReceipt, path: tuple[str, ...], value: Any) -> None:
    document = changed(json.loads(receipt.to_json()), path, lambda _: value)
    with pytest.raises(MalformedReceiptError) as caught:
        ConsentReceipt.from_json(json.dumps(document))
    assert caught.value.path == ".".join(path)
    assert str(value) not in str(caught.value) or value in (None, [], {})


def test_missing_and_unknown_fields(receipt: ConsentReceipt) -> None:
    document = json.loads(receipt.to_json())
    del document["evidence"]["block"]
    with pytest.raises(MalformedReceiptError, match=r"evidence\.block is missing"):
        ConsentReceipt.from_json(json.dumps(document))
    document = json.loads(receipt.to_json()) | {"patient_name": "…"}
    with pytest.raises(MalformedReceiptError, match="patient_name is not known"):
        ConsentReceipt.from_json(json.dumps(document))


# -- the document ------------------------------------------------------------------------------------------------


def test_the_document_names_every_field(receipt: ConsentReceipt) -> None:
    text = (ROOT / "docs" / "receipt.md").read_text(encoding="utf-8")
    named = {
        spelled(tuple(key for key in path if isinstance(key, str))) for path in leaves(json.loads(receipt.to_json()))
    }
    coded = {
        path.rpartition(".")[0] if path.rpartition(".")[2] in ("system", "code", "display") else path for path in named
    }
    assert [path for path in sorted(coded) if f"`{path}`" not in text] == []


def test_the_document_runs(suite: MedProof, granted: Rule, patient: LocalSigner, clinic: LocalSigner) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "receipt.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"suite": suite, "subject": patient.address, "grantee": clinic.address}
    exec(code, names)
    assert names["found"].in_force
