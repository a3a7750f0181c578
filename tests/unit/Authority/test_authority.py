from __future__ import annotations

import pytest

from tests.support.fixtures import CREDENTIAL, DAY, PROVIDER
from tests.support.reverts import reverts

ACCREDITOR = 7  # any role number


@pytest.fixture(scope="module")
def last_day(chain):
    return chain.time() // DAY + 100


@pytest.fixture
def accreditor(authority, registrar, admin, researcher):
    """The researcher may accredit parties, and nothing else."""
    authority.setTargetFunctionRole(registrar, [registrar.accredit.signature], ACCREDITOR, {"from": admin})
    authority.grantRole(ACCREDITOR, researcher, 0, {"from": admin})
    return researcher


@pytest.fixture(params=["accredit", "renew", "suspend", "reinstate", "remove", "createGroup", "joinGroup",
                        "leaveGroup", "startRecovery", "cancelRecovery", "publishTerms"])  # fmt: skip
def restricted(request, registrar, consent_registry, clinic, fresh_account, last_day):
    """Each restricted function of the suite, with arguments."""
    arguments = {
        "accredit": (fresh_account, PROVIDER, CREDENTIAL, last_day),
        "renew": (clinic, CREDENTIAL, last_day),
        "suspend": (clinic,),
        "reinstate": (clinic,),
        "remove": (clinic,),
        "createGroup": ("a group",),
        "joinGroup": (2, clinic),
        "leaveGroup": (2, clinic),
        "startRecovery": (clinic, fresh_account),
        "cancelRecovery": (clinic,),
        "publishTerms": (b"\x01" * 32,),
    }[request.param]
    contract = consent_registry if request.param == "publishTerms" else registrar
    return lambda sender: getattr(contract, request.param)(*arguments, {"from": sender})


@pytest.mark.spec("S1")
def test_restricted_function_refuses_a_stranger(restricted, stranger):
    with reverts("AccessManagedUnauthorized", stranger.address):
        restricted(stranger)


@pytest.mark.spec("S1")
def test_one_authority_governs_all(authority, registrar, consent_registry):
    assert registrar.authority() == authority
    assert consent_registry.authority() == authority


@pytest.mark.spec("S1")
def test_deployer_has_no_power(Authority, Registrar, admin, stranger, clinic, last_day):  # noqa: N803
    authority = Authority.deploy(admin, {"from": stranger})
    registrar = Registrar.deploy(authority, {"from": stranger})

    with reverts("AccessManagedUnauthorized", stranger.address):
        registrar.accredit(clinic, PROVIDER, CREDENTIAL, last_day, {"from": stranger})
    assert authority.hasRole(authority.ADMIN_ROLE(), stranger)[0] is False
    assert authority.hasRole(authority.ADMIN_ROLE(), admin)[0] is True


@pytest.mark.spec("S1")
def test_nobody_but_the_authority_hands_it_on(registrar, consent_registry, admin, stranger, authority):
    for contract in (registrar, consent_registry):
        for sender in (admin, stranger):
            with reverts("AccessManagedUnauthorized", sender.address):
                contract.setAuthority(authority, {"from": sender})


@pytest.mark.spec("S2")
def test_role_opens_its_function_and_no_other(registrar, accreditor, clinic, last_day):
    registrar.accredit(clinic, PROVIDER, CREDENTIAL, last_day, {"from": accreditor})

    with reverts("AccessManagedUnauthorized", accreditor.address):
        registrar.suspend(clinic, {"from": accreditor})


@pytest.mark.spec("S2")
def test_admin_without_the_role_loses_the_function(registrar, accreditor, admin, clinic, last_day):
    with reverts("AccessManagedUnauthorized", admin.address):
        registrar.accredit(clinic, PROVIDER, CREDENTIAL, last_day, {"from": admin})


@pytest.mark.spec("S2")
def test_role_is_revoked_at_once(authority, registrar, accreditor, admin, clinic, last_day):
    authority.revokeRole(ACCREDITOR, accreditor, {"from": admin})

    with reverts("AccessManagedUnauthorized", accreditor.address):
        registrar.accredit(clinic, PROVIDER, CREDENTIAL, last_day, {"from": accreditor})


@pytest.mark.spec("S2")
def test_role_with_a_delay_acts_only_after_it(authority, registrar, admin, researcher, chain, clinic, last_day):
    authority.setTargetFunctionRole(registrar, [registrar.accredit.signature], ACCREDITOR, {"from": admin})
    authority.grantRole(ACCREDITOR, researcher, 2 * DAY, {"from": admin})
    call = registrar.accredit.encode_input(clinic, PROVIDER, CREDENTIAL, last_day)

    operation = str(authority.hashOperation(researcher, registrar, call))

    with reverts("AccessManagerNotScheduled", operation):
        registrar.accredit(clinic, PROVIDER, CREDENTIAL, last_day, {"from": researcher})
    authority.schedule(registrar, call, 0, {"from": researcher})
    with reverts("AccessManagerNotReady", operation):
        authority.execute(registrar, call, {"from": researcher})

    chain.sleep(2 * DAY)
    authority.execute(registrar, call, {"from": researcher})
    assert registrar.accountOf(clinic) == clinic


@pytest.mark.spec("S2")
def test_role_is_not_granted_by_its_holder(authority, accreditor, stranger):
    with reverts("AccessManagerUnauthorizedAccount", accreditor.address, 0):
        authority.grantRole(ACCREDITOR, stranger, 0, {"from": accreditor})


@pytest.mark.spec("S4")
def test_ether_is_refused(authority, registrar, consent_registry, record_pointers, claim_anchor, stranger):
    for contract in (authority, registrar, consent_registry, record_pointers, claim_anchor):
        with pytest.raises(Exception, match="revert"):
            stranger.transfer(contract, 1)
        assert contract.balance() == 0
