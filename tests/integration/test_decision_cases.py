"""The hand-written decision cases of tests/vectors/decisions.json, decided by the deployed contract.

Rules are signed and relayed, time moves from case to case, and the Registrar knows the one who asks. The cases' times
are moved as a whole: the chain's clock does not run backwards.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak

from medproof import messages
from medproof.policy.codes import PartyKind
from medproof.policy.evaluation import Reason
from medproof.policy.word import FIELDS, encode, encode_request
from tests.support.decisions import Asker, DecisionCase, decision_cases
from tests.support.fixtures import CREDENTIAL, DAY, EMERGENCY_GROUP, EVERYONE, NOBODY

CASES = sorted(decision_cases(), key=lambda case: case.at)
KINDS = list(PartyKind)
FREE_ACCOUNTS = (*range(1, 10), *range(11, 20))  # all but the administrator's and the relayer's
OTHER_PARTY = "0x" + "ab" * 20

Answer = tuple[Reason, str, int]  # the reason, under whom the deciding rule stands, and its index


@pytest.fixture(scope="module")
def groups(registrar: Any, admin: Any) -> dict[str, int]:
    """Every group that a case names, by its name."""
    named = {name for case in CASES for name in case.asker.groups}
    named |= {one.grantee for case in CASES for one in case.rules} - {"actor", "everyone", "other party"}
    numbers = {"emergency": int(EMERGENCY_GROUP, 16)}
    for name in sorted(named - {"emergency"}):
        numbers[name] = registrar.createGroup(f"group {name}", {"from": admin}).return_value
    return numbers


@pytest.fixture(scope="module")
def askers(registrar: Any, admin: Any, accounts: Any, chain: Any, groups: dict[str, int]) -> dict[Asker, str]:
    """An account for everyone who asks, standing as the cases say."""
    today = chain.time() // DAY
    found: dict[Asker, str] = {}
    for number, asker in zip(FREE_ACCOUNTS, sorted({case.asker for case in CASES}, key=repr), strict=False):
        account = accounts[number]
        found[asker] = account.address
        if asker.standing == "stranger":
            continue
        last = today if asker.standing == "lapsed" else 0xFFFF
        registrar.accredit(account, KINDS.index(asker.kind) + 1, CREDENTIAL, last, {"from": admin})
        for name in reversed(asker.groups):  # the group joined last is read first
            registrar.joinGroup(groups[name], account, {"from": admin})
        if asker.standing == "suspended":
            registrar.suspend(account, {"from": admin})
    assert len(found) == len({case.asker for case in CASES}), "more askers than accounts"
    return found


@pytest.fixture(scope="module")
def grantees(groups: dict[str, int]) -> dict[str, str]:
    """Whom a rule can be for, by the names that the cases use; the actor is each case's own."""
    return {
        "everyone": EVERYONE,
        "other party": OTHER_PARTY,
        **{name: f"0x{number:040x}" for name, number in groups.items()},
    }


@pytest.fixture(scope="module")
def answers(
    consent_registry: Any,
    relayer: Any,
    domain_of: Any,
    chain: Any,
    askers: dict[Asker, str],
    grantees: dict[str, str],
) -> dict[str, Answer]:
    """What the contract answers to each case, in the order of their times."""
    domain = domain_of(consent_registry)
    start = datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    late = start - CASES[0].at  # whole minutes; two days let an accreditation lapse
    deadline = chain.time() + 1000 * 365 * DAY
    found: dict[str, Answer] = {}
    for number, case in enumerate(case.later(late) for case in CASES):
        subject = Account.from_key(keccak(text=f"subject of decision case {number}"))
        whom = {**grantees, "actor": askers[case.asker]}
        for one in case.rules:
            grantee, word = whom[one.grantee], encode(one.rule)
            message = messages.rule(
                domain, subject=subject.address, grantee=grantee, word=word, terms=bytes(32), deadline=deadline
            )
            signature = bytes(subject.sign_message(message.signable()).signature)
            consent_registry.setRuleFor(subject.address, grantee, word, deadline, signature, {"from": relayer})
            if one.revoked:
                index = one.rule.index
                message = messages.revocation(
                    domain, subject=subject.address, grantee=grantee, index=index, sequence=2, deadline=deadline
                )
                signature = bytes(subject.sign_message(message.signable()).signature)
                consent_registry.revokeRuleFor(
                    subject.address, grantee, index, 2, deadline, signature, {"from": relayer}
                )
        moment = int(case.at.timestamp())
        if chain.time() < moment:
            chain.mine(timestamp=moment)
        reason, grantee, word = consent_registry.decide(
            subject.address, askers[case.asker], encode_request(case.request), block_identifier="latest"
        )
        found[case.name] = Reason(reason), str(grantee).lower(), FIELDS["index"].of(word)
    return found


@pytest.mark.spec("C29", "C43")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_contract_decides_as_written(
    case: DecisionCase, answers: dict[str, Answer], askers: dict[Asker, str], grantees: dict[str, str]
) -> None:
    whom = {**grantees, "actor": askers[case.asker]}
    expected = (case.reason, NOBODY, 0)
    if case.by is not None:
        one = case.rules[case.by]
        expected = (case.reason, whom[one.grantee].lower(), one.rule.index)

    assert answers[case.name] == expected, case.rationale
