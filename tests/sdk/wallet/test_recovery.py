"""Every relationship is found again from the seed phrase and the chain alone."""

from __future__ import annotations

import pytest

from medproof.client import MedProof
from medproof.policy.codes import DataClass
from medproof.policy.word import Rule
from medproof.recovery import Relationship, recover
from medproof.signing import LocalSigner
from medproof.wallet import Wallet

FIRST, SECOND, THIRD = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32


@pytest.fixture
def phrase() -> str:
    return Wallet.create()[1]


def found(suite: MedProof, phrase: str) -> dict[tuple[str, int], Relationship]:
    relationships = list(recover(suite, Wallet(phrase)))
    assert len({one.subject for one in relationships}) == len(relationships)
    return {(one.custodian, one.number): one for one in relationships}


def test_nothing_to_find(suite: MedProof, phrase: str) -> None:
    steps: list[tuple[int, int]] = []
    assert not list(recover(suite, Wallet(phrase), progress=lambda done, total: steps.append((done, total))))
    assert steps == [(number, 5) for number in range(1, 6)]


def test_everything_is_found(
    suite: MedProof,
    phrase: str,
    admin: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    researcher: LocalSigner,
    relayer: LocalSigner,
    fresh_account: LocalSigner,
    rule: Rule,
) -> None:
    wallet, pointers = Wallet(phrase), suite.record_pointers
    subjects = {
        (one.address, number): wallet.pseudonym(one.address, relationship=number)
        for one, number in ((clinic, 0), (clinic, 1), (second_clinic, 0), (researcher, 0))
    }
    kept, _ = pointers.post(subjects[clinic.address, 0].address, DataClass.LABORATORY, FIRST, sender=clinic)
    other, _ = pointers.post(subjects[clinic.address, 1].address, DataClass.LABORATORY, FIRST, sender=clinic)
    moved, _ = pointers.post(subjects[second_clinic.address, 0].address, DataClass.IMAGING, FIRST, sender=second_clinic)
    # Only a consent, no record; and another patient's records, which are none of hers.
    message = suite.consent_registry.sign_grant(subjects[researcher.address, 0], researcher.address, rule)
    suite.relay(message, sender=relayer)
    suite.relay(
        suite.consent_registry.sign_revocation(subjects[researcher.address, 0], researcher.address), sender=relayer
    )
    pointers.post(relayer.address, DataClass.LABORATORY, THIRD, sender=clinic)
    # The clinic changes its account and amends; the second clinic hands over and is removed.
    suite.registrar.offer_account(fresh_account.address, sender=clinic)
    suite.registrar.take_account(clinic.address, sender=fresh_account)
    amended, _ = pointers.amend(kept, SECOND, sender=fresh_account)
    pointers.offer_custody(moved, clinic.address, sender=second_clinic)
    pointers.take_custody(moved, sender=fresh_account)
    elsewhere, _ = pointers.amend(moved, SECOND, sender=fresh_account)
    suite.registrar.remove(second_clinic.address, sender=admin)

    result = found(suite, phrase)
    assert {key: one.subject for key, one in result.items()} == {key: one.address for key, one in subjects.items()}
    assert result[clinic.address, 0].pointers == (kept, amended)
    assert result[clinic.address, 1].pointers == (other,)
    assert result[second_clinic.address, 0].pointers == (moved, elsewhere)
    assert result[researcher.address, 0].pointers == ()
    assert [event.name for event in result[researcher.address, 0].history] == ["RuleSet", "RuleRevoked"]
    assert not found(suite, Wallet.create()[1])
