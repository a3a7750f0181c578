from __future__ import annotations

from datetime import timedelta

import pytest

from medproof.client.delegations import Guardians
from medproof.messages import Domain
from medproof.policy.delegation import Scope
from tests.support.reverts import reverts

HONEST, REVERTING, BURNING, SHORT, WRONG_ANSWER = range(5)  # the moods of ContractWallet
COMMITMENT = b"\x77" * 32


@pytest.fixture
def wallet(ContractWallet, second_patient, relayer):  # noqa: N803 - Brownie's name
    """A contract wallet of the second patient."""
    return ContractWallet.deploy(second_patient, {"from": relayer})


@pytest.fixture
def steps(patient, steward, word):
    """Each function that takes an author's signature, with its arguments and with some that were not signed."""
    return {
        "setDelegation": (
            (patient, steward, word()),
            [(patient, patient, word()), (patient, steward, word(scopes=Scope.ALL)), (steward, patient, word())],
        ),
        "revokeDelegation": ((patient, steward, patient, 1), [(patient, steward, patient, 2)]),
        "nameGuardians": (
            (patient, patient, COMMITMENT, 1),
            [(patient, patient, COMMITMENT, 2), (patient, patient, bytes(32), 1)],
        ),
        "objectToRecovery": ((patient, patient, 1), [(patient, patient, 2)]),
    }


NAMES = ("setDelegation", "revokeDelegation", "nameGuardians", "objectToRecovery")


@pytest.mark.spec("D20", "D21", "D22")
@pytest.mark.parametrize("name", NAMES)
def test_signature_counts_for_its_message_and_once(
    delegations, steps, message, sign, patient, relayer, registrar, stranger, deadline, chain, name
):
    signed, others = steps[name]
    function = getattr(delegations, name)
    signature = sign(patient, message(name, *signed))
    elsewhere = Domain("Delegations", chain.id, registrar.address)
    other_chain = Domain("Delegations", 1, delegations.address)
    empty_deadline = sign(patient, message(name, *signed, until=deadline + 1))

    for arguments in others:
        with reverts("SignatureInvalid", patient.address):
            function.call(*arguments, deadline, signature, {"from": relayer})
    for forged in (
        sign(stranger, message(name, *signed)),
        sign(patient, message(name, *signed, domain=elsewhere)),
        sign(patient, message(name, *signed, domain=other_chain)),
        empty_deadline,
        bytes(65),
        b"",
    ):
        with reverts("SignatureInvalid", patient.address):
            function.call(*signed, deadline, forged, {"from": relayer})
    chain.mine(timestamp=deadline)
    function.call(*signed, deadline, signature, {"from": relayer})

    function(*signed, deadline + 600, sign(patient, message(name, *signed, until=deadline + 600)), {"from": relayer})

    chain.mine(timestamp=deadline + 599)
    error = "DelegationStale" if "Delegation" in name else "RoundStale"
    with reverts(error, 1, 1):
        again = sign(patient, message(name, *signed, until=deadline + 600))
        function.call(*signed, deadline + 600, again, {"from": relayer})
    chain.mine(timestamp=deadline + 601)
    with reverts("MessageExpired", deadline, deadline + 601):
        function.call(*signed, deadline, signature, {"from": relayer})


@pytest.mark.spec("D23")
def test_contract_wallet_acts_by_its_owner(
    delegations, act, word, message, sign, second_patient, wallet, steward, relayer
):
    arguments = (wallet, steward, word(delegator=wallet))
    deadline = message("setDelegation", *arguments).message["deadline"]
    signature = sign(second_patient, message("setDelegation", *arguments))

    delegations.setDelegation(*arguments, deadline, signature, {"from": relayer})

    assert delegations.scopesOf(wallet, steward) == Scope.GRANT | Scope.REVOKE
    resignation = delegations.revokeDelegation.encode_input(wallet, steward, wallet, 2, 0, b"")
    wallet.execute(delegations, resignation, {"from": relayer})
    assert delegations.scopesOf(wallet, steward) == 0


@pytest.mark.spec("D23")
@pytest.mark.parametrize("mood", [REVERTING, SHORT, WRONG_ANSWER, BURNING])
def test_contract_wallet_in_a_mood_reverts(
    delegations, word, message, sign, second_patient, wallet, steward, relayer, mood
):
    wallet.setMood(mood, {"from": relayer})
    arguments = (wallet, steward, word(delegator=wallet))
    deadline = message("setDelegation", *arguments).message["deadline"]
    signature = sign(second_patient, message("setDelegation", *arguments))

    with reverts("SignatureInvalid", wallet.address):
        delegations.setDelegation.call(*arguments, deadline, signature, {"from": relayer, "gas_limit": 1_000_000})


@pytest.mark.spec("D23", "D28")
def test_hostile_guardian_stops_only_the_recovery_that_it_approves(
    delegations,
    act,
    approvals,
    start,
    sign,
    message,
    patient,
    second_patient,
    relayer,
    successor,
    guardian_accounts,
    wallet,
):
    accounts = (wallet.address, *(account.address for account in guardian_accounts))
    shown = Guardians(accounts, 2, timedelta(days=3), b"\x45" * 32)
    act(patient, "nameGuardians", patient, patient, shown.commitment, 1)
    by_wallet = (
        0,
        wallet,
        shown.salt_of(wallet.address),
        sign(second_patient, message("startRecovery", wallet, patient, successor, 2)),
    )
    others = approvals(successor, 2, shown=shown)
    by_its_owner = sign(second_patient, message("startRecovery", second_patient, patient, successor, 2))
    order = 1 if int(others[0][1].address, 16) < int(wallet.address, 16) else -1
    with_wallet = [others[0], by_wallet][::order]

    start(successor, 2, given=with_wallet, shown=shown, dry=True)
    with reverts("SignatureInvalid", wallet.address):  # who approves for itself has not approved for its wallet
        start(successor, 2, given=[others[0], (*by_wallet[:3], by_its_owner)][::order], shown=shown, dry=True)
    wallet.setMood(REVERTING, {"from": relayer})
    with reverts("SignatureInvalid", wallet.address):
        start(successor, 2, given=with_wallet, shown=shown, dry=True)
    start(successor, 2, given=others, shown=shown, dry=True)
