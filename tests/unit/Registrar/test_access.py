from __future__ import annotations

import pytest

from tests.support.fixtures import CREDENTIAL, PROVIDER
from tests.support.reverts import reverts

RECOVERER = 7  # a role's number, freely chosen

# Each function of the authority, with arguments that it would accept from the authority.
RESTRICTED = {
    "accredit": lambda people: (people["fresh_account"], PROVIDER, CREDENTIAL, people["far_day"]),
    "renew": lambda people: (people["clinic"], CREDENTIAL, people["far_day"]),
    "suspend": lambda people: (people["clinic"],),
    "reinstate": lambda people: (people["second_clinic"],),
    "remove": lambda people: (people["clinic"],),
    "createGroup": lambda people: ("cardiology",),
    "joinGroup": lambda people: (2, people["clinic"]),
    "leaveGroup": lambda people: (2, people["emergency_department"]),
    "startRecovery": lambda people: (people["clinic"], people["fresh_account"]),
    "cancelRecovery": lambda people: (people["payer"],),
}
CALLERS = ("stranger", "clinic", "second_clinic", "payer", "researcher", "pharmacy", "emergency_department", "patient")


@pytest.fixture(scope="module")
def people(
    parties,
    registrar,
    admin,
    stranger,
    clinic,
    second_clinic,
    payer,
    researcher,
    pharmacy,
    emergency_department,
    patient,
    fresh_account,
    far_day,
    relayer,
):
    registrar.suspend(second_clinic, {"from": admin})
    registrar.startRecovery(payer, relayer, {"from": admin})
    return locals()


@pytest.mark.spec("R2")
@pytest.mark.parametrize("function", RESTRICTED)
def test_authority_is_admitted(people, registrar, admin, function):
    getattr(registrar, function)(*RESTRICTED[function](people), {"from": admin})


@pytest.mark.spec("R2")
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("function", RESTRICTED)
def test_others_are_refused(people, registrar, function, caller):
    with reverts("AccessManagedUnauthorized", people[caller].address):
        getattr(registrar, function).call(*RESTRICTED[function](people), {"from": people[caller]})


@pytest.fixture
def recoverer(registrar, authority, admin, stranger):
    """Give the role of recovery, and nothing else, to the stranger; with a delay where one is named."""

    def appointed(*, delay=0):
        functions = [registrar.signatures["startRecovery"], registrar.signatures["cancelRecovery"]]
        authority.setTargetFunctionRole(registrar, functions, RECOVERER, {"from": admin})
        authority.grantRole(RECOVERER, stranger, delay, {"from": admin})
        return stranger

    return appointed


@pytest.mark.spec("R3")
def test_role_of_its_own_is_admitted(people, registrar, recoverer, clinic, fresh_account):
    registrar.startRecovery(clinic, fresh_account, {"from": recoverer()})

    assert registrar.accountChangeOf(clinic)["to"] == fresh_account


@pytest.mark.spec("R3")
def test_role_for_one_function_is_refused_at_another(people, registrar, recoverer, clinic):
    holder = recoverer()

    with reverts("AccessManagedUnauthorized", holder.address):
        registrar.suspend(clinic, {"from": holder})


@pytest.mark.spec("R3")
def test_admin_without_the_role_is_refused(people, registrar, recoverer, admin, clinic, fresh_account):
    recoverer()

    with reverts("AccessManagedUnauthorized", admin.address):
        registrar.startRecovery(clinic, fresh_account, {"from": admin})


@pytest.mark.spec("R3")
def test_role_with_a_delay_must_schedule(people, registrar, authority, recoverer, clinic, fresh_account):
    holder = recoverer(delay=3600)
    data = registrar.startRecovery.encode_input(clinic, fresh_account)

    with reverts("AccessManagerNotScheduled", str(authority.hashOperation(holder, registrar, data))):
        registrar.startRecovery(clinic, fresh_account, {"from": holder})


@pytest.mark.spec("R3")
def test_role_with_a_delay_is_admitted_once_it_has_passed(
    people, registrar, authority, chain, recoverer, clinic, fresh_account
):
    holder = recoverer(delay=3600)
    data = registrar.startRecovery.encode_input(clinic, fresh_account)
    authority.schedule(registrar, data, 0, {"from": holder})
    chain.sleep(3600)

    registrar.startRecovery(clinic, fresh_account, {"from": holder})

    assert registrar.accountChangeOf(clinic)["to"] == fresh_account
