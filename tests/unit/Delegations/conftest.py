"""The people around a patient, and how they act: by their own transaction, or by a signature that a relayer sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from brownie import web3

from medproof import messages
from medproof.client.delegations import Guardians
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from tests.support.fixtures import DAY

DIRECT, SIGNED = "direct", "signed"
THRESHOLD = 2
DELEGATIONS_SLOT = 2  # as in the committed storage layout


@pytest.fixture(scope="session")
def steward(accounts):
    return accounts[13]


@pytest.fixture(scope="session")
def aide(accounts):
    """Whom the steward names."""
    return accounts[14]


@pytest.fixture(scope="session")
def guardian_accounts(accounts):
    """The three guardians of the patient, two of whom must approve; in rising order of their accounts."""
    return sorted(accounts[15:18], key=lambda account: int(account.address, 16))


@pytest.fixture(scope="session")
def successor(fresh_account):
    """The patient's account after the loss of the key."""
    return fresh_account


@pytest.fixture
def deadline(chain):
    """A deadline a month ahead, in seconds since 1970: recoveries take days."""
    return int(chain.time()) + 30 * DAY


@pytest.fixture
def now(chain):
    """The chain's present minute."""
    return datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)


@pytest.fixture
def word(now, patient):
    """A delegation's word: a steward that may grant and revoke for a year, changed as the keywords say."""

    def encoded(**changes):
        said = {
            "kind": DelegateKind.STEWARD,
            "scopes": Scope.GRANT | Scope.REVOKE,
            "valid_from": now - timedelta(hours=1),
            "valid_until": now + timedelta(days=365),
            "delegator": patient.address,
            "sequence": 1,
            **changes,
        }
        return encode_delegation(Delegation(**{**said, "delegator": str(said["delegator"])}))

    return encoded


@pytest.fixture
def message(delegations, domain_of, deadline):
    """What a wallet shows for a call of a function: ``message(function, *arguments)``."""
    builders = {
        "setDelegation": (messages.delegation, "subject", "delegate", "word"),
        "revokeDelegation": (messages.delegation_revocation, "subject", "delegate", "by", "sequence"),
        "nameGuardians": (messages.guardians, "subject", "by", "commitment", "round_number"),
        "objectToRecovery": (messages.objection, "subject", "by", "round_number"),
        "startRecovery": (messages.recovery, "guardian", "subject", "successor", "round_number"),
    }

    def shown(function, *arguments, domain=None, until=None):
        build, *names = builders[function]
        plain = [value if isinstance(value, int | bytes) else str(value) for value in arguments]
        said = dict(zip(names, plain, strict=True))
        return build(domain or domain_of(delegations), **said, deadline=until or deadline)

    return shown


@pytest.fixture
def act(delegations, message, sign, relayer, deadline):
    """Take a step in somebody's name: ``act(by, function, *arguments)``; `dry` only asks whether it would succeed."""

    def step(by, function, *arguments, form=DIRECT, dry=False):
        call = getattr(delegations, function)
        if dry:
            call = call.call
        if form == DIRECT:
            return call(*arguments, 0, b"", {"from": by})
        signature = sign(by, message(function, *arguments))
        return call(*arguments, deadline, signature, {"from": relayer})

    return step


@pytest.fixture(params=[DIRECT, SIGNED])
def form(request):
    """Both ways to act."""
    return request.param


@pytest.fixture
def give(act, patient):
    """Give a delegation of the patient's, by the word's delegator."""
    return lambda delegate, word, by=patient, **options: act(by, "setDelegation", patient, delegate, word, **options)


@pytest.fixture
def revoke(act, patient):
    """Revoke a delegation of the patient's."""

    def revoked(delegate, sequence, by=patient, **options):
        return act(by, "revokeDelegation", patient, delegate, by, sequence, **options)

    return revoked


@pytest.fixture
def delegating_steward(give, word, steward):
    """A steward that may delegate."""
    return give(steward, word(scopes=Scope.GRANT | Scope.REVOKE | Scope.DELEGATE))


@pytest.fixture
def further(word, steward):
    """The word of a delegation that the steward gives."""

    def encoded(**changes):
        return word(**{"scopes": Scope.GRANT, "delegator": steward, "delegator_sequence": 1, **changes})

    return encoded


@pytest.fixture
def write_delegation(delegations, patient):
    """Write a delegation of the patient's into storage, for sequences that take thousands of transactions to reach."""

    def write(delegate, word):
        of_patient = web3.keccak(_padded(patient) + DELEGATIONS_SLOT.to_bytes(32, "big"))
        slot = web3.keccak(_padded(delegate) + of_patient)
        arguments = [delegations.address, "0x" + bytes(slot).hex(), f"0x{word:064x}"]
        assert web3.provider.make_request("evm_setAccountStorageAt", arguments).get("result") is True
        assert delegations.delegationOf(patient, delegate) == word

    return write


def _padded(account):
    return int(str(account), 16).to_bytes(32, "big")


# -- guardians --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def guardians(guardian_accounts):
    """Two of three, and five days to object."""
    accounts = tuple(account.address for account in guardian_accounts)
    return Guardians(accounts, THRESHOLD, timedelta(days=5), b"\x44" * 32)


@pytest.fixture
def guardians_named(act, patient, guardians):
    """The patient has named them, in round 1."""
    return act(patient, "nameGuardians", patient, patient, guardians.commitment, 1)


@pytest.fixture
def approvals(guardians, guardian_accounts, message, sign, patient):
    """The signed approvals of a recovery, as the contract takes them."""

    def signed(successor, round_number, by=guardian_accounts[:THRESHOLD], subject=patient, shown=guardians, **options):
        return [
            (
                shown.accounts.index(account.address),
                account,
                shown.salt_of(account.address),
                sign(account, message("startRecovery", account, subject, successor, round_number, **options)),
            )
            for account in by
        ]

    return signed


@pytest.fixture
def start(delegations, guardians, approvals, patient, relayer, deadline):
    """Start a recovery of the patient; sent by the relayer."""

    def started(successor, round_number, given=None, shown=guardians, dry=False):
        call = delegations.startRecovery.call if dry else delegations.startRecovery
        given = approvals(successor, round_number) if given is None else given
        return call(patient, successor, round_number, deadline, shown.shown, given, {"from": relayer})

    return started


@pytest.fixture
def recovery_started(guardians_named, start, successor):
    """A recovery is under way, in round 2."""
    return start(successor, 2)


@pytest.fixture
def complete(delegations, chain, patient, relayer):
    """Wait for the end of the delay and complete the recovery that is under way."""

    def completed():
        chain.mine(timestamp=delegations.recoveryOf(patient)[1])
        return delegations.completeRecovery(patient, {"from": relayer})

    return completed


@pytest.fixture
def recovered(recovery_started, complete):
    """The successor has taken the patient's place."""
    return complete()
