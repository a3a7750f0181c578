"""withdraw: a subject leaves for good, and nothing and nobody brings its consent back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from medproof import messages
from medproof.messages import Domain
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, Purpose, ResearchUse, Sensitivity
from medproof.policy.delegation import Scope
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, encode_request
from tests.support.fixtures import EMERGENCY_GROUP, EVERYONE
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.conftest import DIRECT, SIGNED
from tests.unit.ConsentRegistry.rule_words import FLAG, FOLLOWS, LAST_SEQUENCE, revocation

pytestmark = pytest.mark.usefixtures("parties")

REFUSED = FLAG["breakGlassRefused"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVERYTHING = {
    "purposes": Purpose.ALL,
    "classes": DataClass.ALL,
    "conditions": Condition.ALL,
    "sensitivities": Sensitivity.ALL,
    "settings": CareSetting.ALL,
    "actions": Action.ALL,
    "research": ResearchUse.PERMISSIONS,
}


@pytest.fixture
def withdrawn_word(rule_word):
    """Everyone's first rule after a withdrawal."""
    return rule_word(**EVERYTHING, deny=True, valid_from=EPOCH, valid_until=None, sequence=LAST_SEQUENCE)


@pytest.fixture
def withdrawal(sign, patient, consent_registry, domain_of, deadline):
    """A signed withdrawal of the patient's."""

    def signed(by=patient, **changes):
        said = {"subject": patient.address, "deadline": deadline, **changes}
        return sign(by, messages.withdrawal(said.pop("domain", domain_of(consent_registry)), **said))

    return signed


@pytest.fixture(params=[DIRECT, SIGNED])
def withdraw(request, consent_registry, patient, relayer, withdrawal, deadline):
    """Withdraw the patient, either way."""

    def sent():
        if request.param == DIRECT:
            return consent_registry.withdraw(patient, 0, b"", {"from": patient})
        return consent_registry.withdraw(patient, deadline, withdrawal(), {"from": relayer})

    return sent


@pytest.mark.spec("C61")
def test_everything_is_denied_to_everyone(consent_registry, withdraw, patient, withdrawn_word):
    tx = withdraw()

    assert consent_registry.ruleOf(patient, EVERYONE, 0) == withdrawn_word
    assert len(tx.events) == 1
    assert dict(tx.events["RuleSet"]) == {"subject": patient, "grantee": EVERYONE, "word": withdrawn_word}


@pytest.mark.spec("C61")
def test_nothing_is_permitted_to_any_kind_for_any_purpose(
    consent_registry, withdraw, grant, accredit, patient, accounts, rule_word, withdrawn_word
):
    actors = accounts[12:18]
    for kind, actor in enumerate(actors, start=1):
        accredit(actor, kind)
        grant(actor, rule_word(**EVERYTHING, valid_until=None))
    grant(EVERYONE, rule_word(**EVERYTHING, valid_until=None))
    requests = [0, *(encode_request(Request(purposes=purpose)) for purpose in Purpose)]
    assert all(consent_registry.isPermitted(patient, actor, 0) for actor in actors)

    withdraw()

    for actor in actors:
        for request in requests:
            answer = tuple(consent_registry.decide(patient, actor, request))
            assert answer == (Reason.DENIED, EVERYONE, withdrawn_word)


@pytest.mark.spec("C10", "C61")
def test_nobody_changes_or_revokes_it(
    consent_registry,
    withdraw,
    delegate_to,
    patient,
    delegate,
    relay,
    calls,
    signed_change,
    relayer,
    rule_word,
    deadline,
):
    ahead = [rule_word(sequence=sequence) for sequence in (0, 1, 2, LAST_SEQUENCE - 1, LAST_SEQUENCE)]
    ahead += [revocation(sequence) for sequence in (1, LAST_SEQUENCE)]
    delegate_to(delegate, Scope.ALL)
    withdraw()

    for word in ahead:
        error = ("SequenceStale", LAST_SEQUENCE, word % 2**16)
        with reverts(*error):
            consent_registry.setRule(EVERYONE, word, {"from": patient})
        with reverts(*error):
            consent_registry.setRuleFor(patient, EVERYONE, word, 0, b"", {"from": delegate})
        with reverts(*error):
            consent_registry.setRulesFor([signed_change(patient, EVERYONE, word)], {"from": relayer})
        assert relay([calls.rule(patient, EVERYONE, word)], 200_000).return_value == 1
    for sequence in (1, LAST_SEQUENCE, LAST_SEQUENCE + 1):
        with reverts("SequenceStale", LAST_SEQUENCE, sequence):
            consent_registry.revokeRule(EVERYONE, 0, sequence, {"from": patient})


@pytest.mark.spec("C61")
def test_what_is_granted_afterwards_permits_nothing(
    consent_registry, withdraw, grant, patient, clinic, emergency_department, rule_word, withdrawn_word
):
    withdraw()
    for grantee in (clinic, EMERGENCY_GROUP):
        grant(grantee, rule_word(**EVERYTHING))
    grant(EVERYONE, rule_word(**EVERYTHING, index=1))

    for actor in (clinic, emergency_department):
        answer = tuple(consent_registry.decide(patient, actor, 0))
        assert answer == (Reason.DENIED, EVERYONE, withdrawn_word | FOLLOWS)


@pytest.mark.spec("C62")
def test_twice_is_as_once(consent_registry, withdraw, patient, withdrawn_word):
    for _ in range(2):
        tx = withdraw()
        assert tx.events["RuleSet"]["word"] == withdrawn_word
    assert consent_registry.ruleOf(patient, EVERYONE, 0) == withdrawn_word


@pytest.mark.spec("C62")
@pytest.mark.parametrize(
    ("steps", "kept"),
    {
        "a rule": (["rule"], 0),
        "a rule that another follows": (["rule", "second"], FOLLOWS),
        "a tombstone": (["rule", "revoked"], 0),
        "a tombstone that another follows": (["rule", "second", "revoked"], FOLLOWS),
        "a closed index": (["closed"], 0),
        "a refusal": (["refusal"], REFUSED),
        "a refusal that another follows": (["refusal", "second"], REFUSED | FOLLOWS),
        "a refusal that was revoked": (["refusal", "revoked"], 0),
        "a refusal that was withdrawn before": (["refusal", "withdrawn"], REFUSED),
    }.values(),
)
def test_whatever_stands_there(
    consent_registry, withdraw, grant, patient, clinic, rule_word, withdrawn_word, steps, kept
):
    words = {
        "rule": rule_word(),
        "refusal": rule_word(break_glass_refused=True),
        "second": rule_word(index=1),
        "revoked": revocation(2),
        "closed": revocation(LAST_SEQUENCE),
    }
    for step in steps:
        if step == "withdrawn":
            withdraw()
        else:
            grant(EVERYONE, words[step])

    withdraw()

    assert consent_registry.ruleOf(patient, EVERYONE, 0) == withdrawn_word | kept


@pytest.mark.spec("C62", "B13")
def test_break_glass_stays_where_the_rules_have_it(
    consent_registry, withdraw, grant, break_glass, emergency, patient, emergency_department, rule_word
):
    break_glass()
    withdraw()

    reason, grantee, word = emergency()

    assert (reason, grantee) == (Reason.BREAK_GLASS, EVERYONE)
    assert word == consent_registry.ruleOf(patient, EVERYONE, 0)


@pytest.mark.spec("C62", "B7", "B13")
def test_refusal_of_a_part_becomes_one_of_everything(withdraw, grant, break_glass, emergency, patient, rule_word):
    """One word cannot both deny everything and refuse a part: it never refuses less than the subject did."""
    grant(EVERYONE, rule_word(break_glass_refused=True, settings=CareSetting.AMB))
    break_glass()
    assert emergency()[0] is Reason.BREAK_GLASS
    withdraw()

    assert emergency()[0] is Reason.DENIED
    with reverts("BreakGlassRefused", patient.address):
        break_glass()


@pytest.mark.spec("C63")
def test_nobody_else_withdraws(
    consent_registry, delegate_to, withdrawal, patient, stranger, clinic, delegate, deadline
):
    delegate_to(delegate, Scope.ALL ^ Scope.DELEGATE)  # every scope but one

    for by in (stranger, clinic, delegate):
        with reverts("DelegateScopeMissing", patient.address, by.address, Scope.ALL.value):
            consent_registry.withdraw(patient, 0, b"", {"from": by})
        with reverts("SignatureInvalid", patient.address):
            consent_registry.withdraw(patient, deadline, withdrawal(by), {"from": by})


@pytest.mark.spec("C63")
def test_message_counts_for_what_it_says(
    consent_registry, withdrawal, patient, second_patient, relayer, delegations, deadline, chain
):
    signature = withdrawal()
    other = [
        (second_patient, deadline, signature),
        (patient, deadline + 1, signature),
        (patient, deadline, withdrawal(subject=second_patient.address)),
        (patient, deadline, withdrawal(domain=Domain("ConsentRegistry", chain.id + 1, consent_registry.address))),
        (patient, deadline, withdrawal(domain=Domain("ConsentRegistry", chain.id, delegations.address))),
        (patient, deadline, signature[:64]),
    ]

    for arguments in other:
        with reverts("SignatureInvalid", arguments[0].address):
            consent_registry.withdraw(*arguments, {"from": relayer})
    chain.mine(timestamp=deadline)
    consent_registry.withdraw.call(patient, deadline, signature, {"from": relayer})
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        consent_registry.withdraw.call(patient, deadline, signature, {"from": relayer})


@pytest.mark.spec("C21", "C63")
def test_revocation_is_no_withdrawal(consent_registry, patient, relayer, sign, revocation_message, deadline):
    signature = sign(patient, revocation_message(patient, EVERYONE, 0, LAST_SEQUENCE))

    with reverts("SignatureInvalid", patient.address):
        consent_registry.withdraw(patient, deadline, signature, {"from": relayer})


@pytest.mark.spec("C63")
def test_contract_wallet_withdraws_itself(
    consent_registry, wallet, second_patient, withdrawal, relayer, deadline, withdrawn_word
):
    signature = withdrawal(second_patient, subject=wallet.address)

    consent_registry.withdraw(wallet, deadline, signature, {"from": relayer})

    assert consent_registry.ruleOf(wallet, EVERYONE, 0) == withdrawn_word
