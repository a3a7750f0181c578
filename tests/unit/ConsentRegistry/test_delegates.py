"""What a subject's delegates may do with its rules, by each scope, each way to act, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.policy.delegation import DelegateKind, Scope
from tests.support.fixtures import EVERYONE, SALTED
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.conftest import DIRECT, SIGNED
from tests.unit.ConsentRegistry.rule_words import DELEGATE, GRANT, LAST_SEQUENCE, REVOKE, VIEW, revocation

pytestmark = pytest.mark.usefixtures("parties", "opening")

# Everything that a delegate may do for the patient, with the scopes that it takes.
ACTS = {
    "grant": GRANT,
    "revoke": REVOKE,
    "revoke by word": REVOKE,
    "withdraw": Scope.ALL.value,
    "review": VIEW,
}


@pytest.fixture
def opening(break_glass):
    """The emergency department has opened the patient's record once."""
    return break_glass()


@pytest.fixture
def standing_rule(consent_registry, patient, second_patient, second_clinic, rule_word):
    """Both patients have a rule for the second clinic, with sequence 1: the one that is revoked."""
    for subject in (patient, second_patient):
        consent_registry.setRule(second_clinic, rule_word(), {"from": subject})
    return second_clinic


@pytest.fixture
def sent(
    consent_registry,
    patient,
    clinic,
    standing_rule,
    rule_word,
    rule_message,
    revocation_message,
    domain_of,
    deadline,
    sign,
):
    """An act as a call's function and arguments, signed by somebody, or with an empty signature."""

    def act(name, by, form, subject=patient):
        domain = domain_of(consent_registry)
        revoked = (subject, standing_rule)
        said = {"subject": subject.address, "deadline": deadline}
        function, arguments, message = {
            "grant": ("setRuleFor", (clinic, rule_word()), rule_message(subject, clinic, rule_word())),
            "revoke": ("revokeRuleFor", (standing_rule, 0, 2), revocation_message(*revoked, 0, 2)),
            "revoke by word": ("setRuleFor", (standing_rule, revocation(2)), revocation_message(*revoked, 0, 2)),
            "withdraw": ("withdraw", (), messages.withdrawal(domain, **said)),
            "review": (
                "reviewOpening",
                (1, 1, SALTED),
                messages.review(domain, **said, opening=1, review=1, remark=SALTED),
            ),
        }[name]
        signature = sign(by, message) if form == SIGNED else b""
        return getattr(consent_registry, function), (subject, *arguments, deadline, signature)

    return act


@pytest.fixture
def act(sent, relayer):
    """Take an act in the patient's name: sent by the author, or signed by it and relayed; `dry` changes nothing."""

    def take(name, by, form, *, dry=False, **options):
        function, arguments = sent(name, by, form, **options)
        sender = relayer if form == SIGNED else by
        return (function.call if dry else function)(*arguments, {"from": sender})

    return take


@pytest.fixture(params=[DIRECT, SIGNED])
def form(request):
    return request.param


@pytest.fixture
def refused(act, patient):
    """Assert that an act is refused, with the error of its form."""

    def check(name, by, form, subject=patient):
        named = (subject.address,) if form == SIGNED else (subject.address, by.address, ACTS[name])
        with reverts("SignatureInvalid" if form == SIGNED else "DelegateScopeMissing", *named):
            act(name, by, form, dry=True, subject=subject)

    return check


@pytest.mark.spec("C57", "C59", "C63", "B15")
@pytest.mark.parametrize("name", ACTS)
def test_delegate_acts_by_its_scope_and_is_named(act, delegate_to, patient, delegate, name, form):
    delegate_to(delegate, ACTS[name])

    tx = act(name, delegate, form)

    assert len(tx.events) == 2
    assert tx.events[0].name == "DelegateActed"
    assert dict(tx.events["DelegateActed"]) == {"subject": patient, "delegate": delegate, "scope": ACTS[name]}
    assert tx.events[1]["subject"] == patient


@pytest.mark.spec("C57")
@pytest.mark.parametrize("name", ACTS)
def test_no_other_scope_stands_in(delegate_to, refused, delegate, name, form):
    needed = [scope.value for scope in Scope if scope and scope != Scope.ALL and scope & ACTS[name]]
    for sequence, scope in enumerate(needed, start=1):
        delegate_to(delegate, Scope.ALL.value ^ scope, sequence=sequence)
        refused(name, delegate, form)


@pytest.mark.spec("C2", "C57", "C63", "B15")
@pytest.mark.parametrize("name", ACTS)
def test_stranger_acts_for_nobody(delegate_to, refused, stranger, second_patient, delegate, clinic, name, form):
    delegate_to(delegate, Scope.ALL)

    for by in (stranger, clinic):
        refused(name, by, form)
    refused(name, delegate, form, subject=second_patient)


@pytest.mark.spec("C59")
@pytest.mark.parametrize("name", ACTS)
def test_what_the_subject_does_itself_names_no_delegate(act, delegate_to, patient, delegate, name, form):
    delegate_to(delegate, Scope.ALL)

    tx = act(name, patient, form)

    assert [event["subject"] for event in tx.events] == [patient]
    assert tx.events[0].name != "DelegateActed"


@pytest.mark.spec("C58")
@pytest.mark.parametrize("name", ACTS)
def test_delegation_is_looked_up_when_the_act_arrives(
    act, refused, delegate_to, delegations, patient, delegate, name, form
):
    refused(name, delegate, form)
    delegate_to(delegate, Scope.ALL)
    act(name, delegate, form, dry=True)
    delegations.revokeDelegation(patient, delegate, patient, 2, 0, b"", {"from": patient})
    refused(name, delegate, form)
    # What was signed before counts once more when the delegation does.
    delegate_to(delegate, Scope.ALL, sequence=3)
    act(name, delegate, form)


@pytest.mark.spec("C58")
def test_delegation_counts_within_its_period(act, refused, delegate_to, delegate, chain, now, form):
    start = int(now.timestamp())
    begin, end = now + timedelta(minutes=2), now + timedelta(minutes=4)
    delegate_to(delegate, GRANT, valid_from=begin, valid_until=end)

    chain.mine(timestamp=start + 119)
    refused("grant", delegate, form)
    for second in (120, 239):
        chain.mine(timestamp=start + second)
        act("grant", delegate, form, dry=True)
    chain.mine(timestamp=start + 240)
    refused("grant", delegate, form)


@pytest.mark.spec("C58")
def test_what_a_delegate_gave_ends_with_its_own_delegation(
    act, refused, delegate_to, delegations, patient, delegate, aide, form
):
    delegate_to(delegate, GRANT | DELEGATE)
    delegate_to(aide, GRANT, by=delegate, delegator_sequence=1)
    act("grant", aide, form, dry=True)

    delegations.revokeDelegation(patient, delegate, delegate, 2, 0, b"", {"from": delegate})

    refused("grant", aide, form)


@pytest.mark.spec("C57")
def test_delegate_of_each_kind_acts(act, delegate_to, delegate, form):
    for sequence, kind in enumerate((DelegateKind.GUARDIAN, DelegateKind.STEWARD, DelegateKind.HEALTH_PROXY), start=1):
        delegate_to(delegate, GRANT, kind=kind, sequence=sequence)
        act("grant", delegate, form, dry=True)


@pytest.mark.spec("C27", "C53", "C57")
def test_what_a_delegate_signed_counts_once_and_in_its_turn(act, grant, delegate_to, delegate, clinic, rule_word):
    delegate_to(delegate, GRANT)
    act("grant", delegate, SIGNED)

    with reverts("SequenceStale", 1, 1):
        act("grant", delegate, SIGNED)
    grant(clinic, revocation(7))
    with reverts("SequenceStale", 7, 1):
        act("grant", delegate, SIGNED)


@pytest.mark.spec("C10", "C57")
def test_delegate_is_bound_as_the_subject_is(consent_registry, delegate_to, patient, delegate, clinic, rule_word):
    delegate_to(delegate, Scope.ALL)
    attempts = {
        ("SequenceStale", 0, 2): (clinic, rule_word(sequence=2)),
        ("RuleIndexGap", 1): (clinic, rule_word(index=1)),
        ("SequenceStale", 0, LAST_SEQUENCE): (EVERYONE, rule_word(sequence=LAST_SEQUENCE)),
    }

    for error, (grantee, word) in attempts.items():
        with reverts(*error):
            consent_registry.setRuleFor(patient, grantee, word, 0, b"", {"from": delegate})


@pytest.mark.spec("C2", "C51")
def test_delegates_own_rules_are_its_own(consent_registry, delegate_to, patient, delegate, clinic, rule_word):
    """Without a subject named, a delegate writes as a subject itself."""
    delegate_to(delegate, Scope.ALL)

    consent_registry.setRule(clinic, rule_word(), {"from": delegate})
    consent_registry.setRules([(EVERYONE, rule_word())], {"from": delegate})
    consent_registry.revokeRule(clinic, 0, 2, {"from": delegate})

    assert [consent_registry.ruleOf(patient, grantee, 0) for grantee in (clinic, EVERYONE)] == [0, 0]


@pytest.mark.spec("C60")
def test_contract_wallet_as_delegate_sends_and_does_not_sign(
    consent_registry, act, sent, delegate_to, wallet, patient, second_patient, relayer, clinic, rule_word
):
    delegate_to(wallet, GRANT)

    with reverts("SignatureInvalid", patient.address):
        act("grant", second_patient, SIGNED)
    call = consent_registry.setRuleFor.encode_input(patient, clinic, rule_word(), 0, b"")
    tx = wallet.execute(consent_registry, call, {"from": relayer})

    assert dict(tx.events["DelegateActed"]) == {"subject": patient, "delegate": wallet, "scope": GRANT}
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C25", "C57")
def test_contract_wallet_as_subject_has_delegates(
    consent_registry, delegations, delegate_to, wallet, patient, relayer, delegate, clinic, rule_word, calls, relay
):
    """The delegate's key is tried before the wallet is asked, whatever the wallet would answer."""
    delegate_to(delegate, GRANT)
    own = delegations.delegationOf(patient, delegate) % 2**96 | int(wallet.address, 16) << 96
    call = delegations.setDelegation.encode_input(wallet, delegate, own, 0, b"")
    wallet.execute(delegations, call, {"from": relayer})
    wallet.setMood(1, {"from": relayer})

    relay([calls.rule(wallet, clinic, rule_word(), by=delegate)])

    assert consent_registry.ruleOf(wallet, clinic, 0) == rule_word()


@pytest.mark.spec("C58", "C63")
def test_successor_withdraws_for_a_stolen_key(consent_registry, delegations, patient, delegate, second_patient, chain):
    """A recovery's successor has every scope, so that a pseudonym whose key is lost can be given up."""
    salt = b"\x44" * 32
    member = keccak(encode(["address", "bytes32"], [second_patient.address, salt]))
    shown = ([member], 1, 5 * 24 * 3600)
    commitment = keccak(encode(["(bytes32[],uint256,uint256)"], [shown]))
    delegations.nameGuardians(patient, patient, commitment, 1, 0, b"", {"from": patient})
    approval = (0, second_patient, salt, b"")
    delegations.startRecovery(patient, delegate, 2, chain.time() + 60, shown, [approval], {"from": second_patient})
    chain.mine(timestamp=delegations.recoveryOf(patient)[1])
    delegations.completeRecovery(patient, {"from": second_patient})

    consent_registry.withdraw(patient, 0, b"", {"from": delegate})

    assert consent_registry.ruleOf(patient, EVERYONE, 0) & 0xFFFF == LAST_SEQUENCE


@pytest.fixture(params=[DIRECT, SIGNED])
def revoke_as(request, consent_registry, relayer, revocation_message, sign, patient, clinic, deadline):
    """Revoke the clinic's first rule in the patient's name: ``revoke_as(author, sequence)``; `lacks` takes the scope
    whose lack is to be named."""

    def revoked(author, sequence, *, lacks=None):
        if lacks is not None:
            named = (patient.address, author.address, lacks)
            error = ("DelegateScopeMissing", *named) if request.param == DIRECT else ("SignatureInvalid", named[0])
            with reverts(*error):
                revoked(author, sequence)
            return None
        if request.param == DIRECT:
            return consent_registry.revokeRuleFor(patient, clinic, 0, sequence, 0, b"", {"from": author})
        signature = sign(author, revocation_message(patient, clinic, 0, sequence))
        return consent_registry.setRuleFor(
            patient, clinic, revocation(sequence), deadline, signature, {"from": relayer}
        )

    return revoked


@pytest.mark.spec("C64")
@pytest.mark.parametrize("refusal", [{"deny": True}, {"break_glass_refused": True}])
def test_revoking_what_refuses_takes_the_scope_to_grant_as_well(
    consent_registry, delegate_to, revoke_as, patient, delegate, aide, clinic, rule_word, refusal
):
    delegate_to(delegate, REVOKE)
    delegate_to(aide, GRANT | REVOKE)
    consent_registry.setRule(clinic, rule_word(**refusal), {"from": patient})

    revoke_as(delegate, 2, lacks=GRANT | REVOKE)
    tx = revoke_as(aide, 2)

    assert tx.events["DelegateActed"]["scope"] == GRANT | REVOKE
    assert "RuleRevoked" in tx.events


@pytest.mark.spec("C65")
@pytest.mark.parametrize("scopes", [REVOKE, GRANT | REVOKE | VIEW])
@pytest.mark.parametrize("stored", ["nothing", "a tombstone", "a tombstone of nothing"])
def test_revoking_where_no_rule_stands_takes_every_scope(
    consent_registry, delegate_to, revoke_as, patient, delegate, aide, clinic, grant, rule_word, scopes, stored
):
    """A tombstone there would be ahead of what the subject has signed and not sent."""
    delegate_to(delegate, scopes)
    delegate_to(aide, Scope.ALL)
    if stored == "a tombstone":
        grant(clinic, rule_word())
    if stored != "nothing":
        grant(clinic, revocation(2))
    following = 1 if stored == "nothing" else 3

    revoke_as(delegate, following, lacks=Scope.ALL.value)
    tx = revoke_as(aide, following)

    assert tx.events["DelegateActed"]["scope"] == Scope.ALL
    assert consent_registry.ruleOf(patient, clinic, 0) & LAST_SEQUENCE == following


@pytest.mark.spec("C65")
def test_rule_granted_anew_is_revoked_by_the_scope_to_revoke(
    consent_registry, delegate_to, revoke_as, patient, delegate, clinic, grant, rule_word
):
    delegate_to(delegate, REVOKE)
    grant(clinic, revocation(2))
    grant(clinic, rule_word(sequence=3))

    tx = revoke_as(delegate, 4)

    assert tx.events["DelegateActed"]["scope"] == REVOKE


@pytest.mark.spec("C65")
def test_subject_revokes_where_no_rule_stands(consent_registry, revoke_as, patient, clinic):
    tx = revoke_as(patient, 5)

    assert "DelegateActed" not in tx.events
    assert consent_registry.ruleOf(patient, clinic, 0) & LAST_SEQUENCE == 5


@pytest.mark.spec("C65")
@pytest.mark.parametrize("stored", [0, 1, LAST_SEQUENCE - 1])
def test_overtaking_the_subject_takes_every_scope(
    consent_registry, delegate_to, revoke_as, patient, delegate, aide, clinic, grant, stored
):
    delegate_to(delegate, GRANT | REVOKE | VIEW)
    delegate_to(aide, Scope.ALL)
    if stored:
        grant(clinic, revocation(stored))
    overtaking = LAST_SEQUENCE if stored > 1 else stored + 2

    revoke_as(delegate, overtaking, lacks=Scope.ALL.value)
    revoke_as(aide, overtaking)

    assert consent_registry.ruleOf(patient, clinic, 0) & LAST_SEQUENCE == overtaking
