from __future__ import annotations

import pytest

from tests.support.fixtures import CREDENTIAL, NOBODY
from tests.support.reverts import reverts

EMERGENCY = 2

FUNCTIONS = {
    "renew": lambda party, to, day: (party, CREDENTIAL, day),
    "suspend": lambda party, to, day: (party,),
    "reinstate": lambda party, to, day: (party,),
    "remove": lambda party, to, day: (party,),
    "joinGroup": lambda party, to, day: (EMERGENCY, party),
    "leaveGroup": lambda party, to, day: (EMERGENCY, party),
    "startRecovery": lambda party, to, day: (party, to),
}


@pytest.fixture(params=FUNCTIONS)
def address_party(request, registrar, admin, relayer, far_day):
    """Call one of the functions that name a party's identity."""

    def send(party):
        return getattr(registrar, request.param)(*FUNCTIONS[request.param](party, relayer, far_day), {"from": admin})

    return send


@pytest.mark.spec("R16")
def test_account_never_accredited_reverts(address_party, stranger):
    with reverts("PartyUnknown", stranger.address):
        address_party(stranger)


@pytest.mark.spec("R16")
def test_zero_reverts(address_party):
    with reverts("PartyUnknown", NOBODY):
        address_party(NOBODY)


@pytest.mark.spec("R15", "R16")
def test_removed_party_reverts(address_party, clinic_was_removed, clinic):
    with reverts("PartyUnknown", clinic.address):
        address_party(clinic)


@pytest.mark.spec("R16")
def test_account_that_acts_for_a_party_but_is_not_its_identity_reverts(
    address_party, clinic_acts_by_fresh_account, fresh_account
):
    with reverts("PartyUnknown", fresh_account.address):
        address_party(fresh_account)
