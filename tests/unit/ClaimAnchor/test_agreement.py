"""Who takes a step, and which signatures count: the same for all steps and each of their owners."""

from __future__ import annotations

import pytest

from medproof.messages import Domain
from tests.support.claims import ADJUDICATED, APPEALED, NONE, OWNER, PENDED, RELAYER, SETTLED, SUBMITTED, VOIDED, Rules
from tests.support.fixtures import PAYER as PAYER_KIND
from tests.support.fixtures import PROVIDER
from tests.support.reverts import reverts

# Each step with a state it is possible from, and one of its owners.
OWNED = [
    ("submit", NONE, "provider"),
    ("pend", SUBMITTED, "payer"),
    ("answer", PENDED, "provider"),
    ("adjudicate", SUBMITTED, "payer"),
    ("appeal", ADJUDICATED, "provider"),
    ("decideAppeal", APPEALED, "payer"),
    ("settle", ADJUDICATED, "provider"),
    ("settle", ADJUDICATED, "payer"),
    ("void", SUBMITTED, "provider"),
    ("void", SETTLED, "payer"),
    ("replace", SUBMITTED, "provider"),
    ("replace", SETTLED, "payer"),
]

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture(params=OWNED, ids=lambda owned: f"{owned[0]} from {owned[1]} by {owned[2]}")
def owned(request):
    return request.param


@pytest.fixture
def what(desk, correction):
    return desk.what(correction=correction)


@pytest.fixture
def ready(desk, claim, owned):
    """The claim, in the state that the step starts from."""
    return desk.bring(claim, owned[1])


@pytest.fixture
def send(desk, ready, owned, what):
    """Send the step relayed, with every owner's own signature but the tested owner's, which is given."""
    step, _, tested = owned

    def sent(signature, changed=what, sender=None):
        owners = desk.owners(step, ready)
        signatures = {
            owner: signature if owner == tested else desk.signature(step, ready, owner, changed) for owner in owners
        }
        return desk.send(step, ready, changed, sender or desk.relayer, *desk.given(step, signatures))

    return sent


@pytest.mark.spec("K4")
def test_owners_signature_counts(claim_anchor, desk, ready, owned, what, send):
    send(desk.signature(owned[0], ready, owned[2], what))

    assert claim_anchor.stateOf(ready.id)[0] != owned[1]


@pytest.mark.spec("K4")
def test_owner_sends(claim_anchor, desk, ready, owned, send, accounts):
    send(b"", sender=accounts.at(getattr(ready, owned[2])))

    assert claim_anchor.stateOf(ready.id)[0] != owned[1]


@pytest.mark.spec("K5")
def test_step_sent_by_a_stranger_reverts(ready, owned, send, stranger):
    with reverts("StepNotYours", getattr(ready, owned[2]), stranger.address):
        send(b"", sender=stranger)


@pytest.mark.spec("K5")
def test_step_sent_by_another_party_reverts(ready, owned, send, second_clinic, second_payer):
    other = second_clinic if owned[2] == "provider" else second_payer

    with reverts("StepNotYours", getattr(ready, owned[2]), other.address):
        send(b"", sender=other)


@pytest.mark.spec("K5")
def test_step_signed_by_another_party_reverts(desk, ready, owned, what, send, second_clinic, second_payer):
    identity = getattr(ready, owned[2])
    desk.signers[identity] = second_clinic if owned[2] == "provider" else second_payer
    signature = desk.signature(owned[0], ready, owned[2], what)
    desk.signers.clear()

    with reverts("SignatureInvalid", identity):
        send(signature)


@pytest.mark.spec("K6")
def test_step_sent_by_a_suspended_owner_reverts(ready, owned, send, registrar, admin, accounts):
    owner = getattr(ready, owned[2])
    registrar.suspend(owner, {"from": admin})

    with reverts("StepNotYours", owner, owner):
        send(b"", sender=accounts.at(owner))


@pytest.mark.spec("K6")
def test_signature_of_a_suspended_owner_counts_after_reinstatement(
    claim_anchor, desk, ready, owned, what, send, registrar, admin
):
    owner = getattr(ready, owned[2])
    signature = desk.signature(owned[0], ready, owned[2], what)
    registrar.suspend(owner, {"from": admin})

    with reverts("StepNotYours", owner, owner):
        send(signature)

    registrar.reinstate(owner, {"from": admin})
    send(signature)
    assert claim_anchor.stateOf(ready.id)[0] != owned[1]


@pytest.mark.spec("K6", "K29")
def test_step_of_a_removed_owner_reverts(desk, ready, owned, what, send, registrar, admin, accounts):
    owner = getattr(ready, owned[2])
    signature = desk.signature(owned[0], ready, owned[2], what)
    registrar.remove(owner, {"from": admin})
    if (owned[0], owned[2]) == ("void", "provider"):
        send(b"")  # nobody waits for a provider that does not come back
        return

    with reverts("StepNotYours", owner, "0x" + "00" * 20):
        send(signature)
    with reverts("StepNotYours", owner, owner):
        send(b"", sender=accounts.at(owner))


@pytest.mark.spec("K7")
def test_after_a_change_of_account_the_new_one_counts(
    claim_anchor, desk, ready, owned, what, send, registrar, fresh_account, accounts
):
    owner = accounts.at(getattr(ready, owned[2]))
    by_old_key = desk.signature(owned[0], ready, owned[2], what)
    registrar.offerAccount(fresh_account, {"from": owner})
    registrar.takeAccount(owner, {"from": fresh_account})

    with reverts("SignatureInvalid", fresh_account.address):
        send(by_old_key)
    with reverts("StepNotYours", owner.address, owner.address):
        send(b"", sender=owner)

    send(desk.signature(owned[0], ready, owned[2], what))
    assert claim_anchor.stateOf(ready.id)[0] != owned[1]


@pytest.mark.spec("K7")
def test_new_account_sends_for_the_identity(claim_anchor, ready, owned, send, registrar, fresh_account, accounts):
    owner = accounts.at(getattr(ready, owned[2]))
    registrar.offerAccount(fresh_account, {"from": owner})
    registrar.takeAccount(owner, {"from": fresh_account})

    send(b"", sender=fresh_account)

    assert claim_anchor.stateOf(ready.id)[0] != owned[1]


@pytest.mark.spec("K8")
def test_signature_for_another_chain_reverts(desk, ready, owned, what, send, sign, accounts):
    elsewhere = Domain(desk.domain.contract, desk.domain.chain_id + 1, desk.domain.address)
    owner = getattr(ready, owned[2])

    with reverts("SignatureInvalid", owner):
        send(sign(owner, desk.message(owned[0], ready, what, domain=elsewhere)))


@pytest.mark.spec("K8")
def test_signature_for_another_contract_reverts(desk, ready, owned, what, send, sign, registrar):
    elsewhere = Domain(desk.domain.contract, desk.domain.chain_id, registrar.address)
    owner = getattr(ready, owned[2])

    with reverts("SignatureInvalid", owner):
        send(sign(owner, desk.message(owned[0], ready, what, domain=elsewhere)))


@pytest.mark.spec("K8")
def test_signature_for_another_claim_reverts(desk, ready, owned, what, send, sign):
    step, _, tested = owned
    owner = getattr(ready, tested)
    other = ready.changed(commitment=b"\x49" * 32)
    if step in ("settle", "replace"):  # their messages read the claim's state: sign a neighbour's void instead
        step = "void"

    with reverts("SignatureInvalid", owner):
        send(sign(owner, desk.message(step, other, what)))


@pytest.mark.spec("K8")
def test_signature_for_another_step_reverts(desk, ready, owned, what, send, sign):
    step, _, tested = owned
    other = "pend" if step == "void" else "void"

    with reverts("SignatureInvalid", getattr(ready, tested)):
        send(sign(getattr(ready, tested), desk.message(other, ready, what)))


@pytest.mark.spec("K8")
def test_malleable_signature_reverts(desk, ready, owned, what, send):
    signature = desk.signature(owned[0], ready, owned[2], what)
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (HALF_ORDER - s).to_bytes(32) + bytes([27 + 28 - v])

    with reverts("SignatureInvalid", getattr(ready, owned[2])):
        send(twin)


@pytest.mark.parametrize("broken", [b"\x00", b"\0" * 65, b"\xff" * 65], ids=["short", "zeros", "ones"])
@pytest.mark.spec("K8")
def test_broken_signature_reverts(ready, owned, send, broken):
    with reverts("SignatureInvalid", getattr(ready, owned[2])):
        send(broken)


@pytest.mark.spec("K8")
def test_deadline_is_signed(desk, ready, owned, what, send, correction):
    signature = desk.signature(owned[0], ready, owned[2], what)

    with reverts("SignatureInvalid", getattr(ready, owned[2])):
        send(signature, desk.what(correction=correction, deadline=desk.deadline + 1))


@pytest.mark.spec("K9")
def test_expired_signature_reverts(desk, ready, owned, what, send, chain):
    signature = desk.signature(owned[0], ready, owned[2], what)
    late = what.deadline + 60
    chain.sleep(late - chain.time())

    with pytest.raises(Exception, match="MessageExpired: ") as caught:
        send(signature)
    deadline, timestamp = map(int, str(caught.value.revert_msg).removeprefix("MessageExpired: ").split(", "))
    assert deadline == what.deadline
    assert timestamp > deadline


@pytest.mark.spec("K9")
def test_signature_counts_at_its_deadline(claim_anchor, desk, claim, web3):
    what = desk.what()
    signature = desk.signature("submit", claim, "provider", what)
    web3.provider.make_request("miner_stop", [])
    try:
        tx = claim_anchor.submit(
            claim, what.rules, what.deadline, signature, {"from": desk.relayer, "required_confs": 0}
        )
        web3.provider.make_request("evm_mine", [what.deadline])
    finally:
        web3.provider.make_request("miner_start", [])
    tx.wait(1)

    assert tx.timestamp == what.deadline
    assert claim_anchor.stateOf(claim.id)[0] == SUBMITTED


@pytest.mark.spec("K9")
def test_owner_who_sends_has_no_deadline(claim_anchor, desk, claim, clinic):
    desk.take("submit", claim, OWNER, deadline=1)
    desk.take("void", claim, OWNER, deadline=1)

    assert claim_anchor.stateOf(claim.id)[0] == VOIDED


@pytest.mark.spec("K3")
def test_signed_step_does_not_count_twice(desk, ready, owned, what):
    step = owned[0]
    owners = desk.owners(step, ready)
    signatures = {owner: desk.signature(step, ready, owner, what) for owner in owners}
    given = desk.given(step, signatures)
    desk.send(step, ready, what, desk.relayer, *given)
    status = desk.contract.stateOf(ready.id)[0]
    error = ("ClaimExists", ready.id) if step == "submit" else ("StepNotPossible", ready.id, status)

    with reverts(*error):
        desk.send(step, ready, what, desk.relayer, *given)


@pytest.fixture
def wallets(ContractWallet, desk, claim, accredit, fresh_account, admin, claim_anchor, today):  # noqa: N803
    """Provider and payer act through contract wallets; one key owns both."""
    wallet = {owner: ContractWallet.deploy(fresh_account, {"from": admin}) for owner in ("provider", "payer")}
    accredit(wallet["provider"], PROVIDER)
    accredit(wallet["payer"], PAYER_KIND)
    rules = claim_anchor.publishRules.encode_input(Rules(b"\x51" * 32, 0, today - 100))
    wallet["payer"].execute(claim_anchor, rules, {"from": admin})
    for contract in wallet.values():
        desk.signers[contract.address] = fresh_account
    return wallet


@pytest.fixture
def claim_of_wallets(desk, claim, wallets, owned):
    claim = claim.changed(provider=wallets["provider"].address, payer=wallets["payer"].address)
    return desk_bring_relayed(desk, claim, owned[1])


def desk_bring_relayed(desk, claim, status):
    """Contract wallets cannot send from here: every step is relayed."""
    for step in {
        NONE: (),
        SUBMITTED: ("submit",),
        PENDED: ("submit", "pend"),
        ADJUDICATED: ("submit", "adjudicate"),
        APPEALED: ("submit", "adjudicate", "appeal"),
        SETTLED: ("submit", "adjudicate", "settle"),
    }[status]:
        desk.take(step, claim, RELAYER)
    return claim


@pytest.mark.spec("K10")
def test_contract_wallets_sign(claim_anchor, desk, claim_of_wallets, owned, correction):
    claim = claim_of_wallets
    correction = claim.changed(commitment=correction.commitment)

    desk.take(owned[0], claim, RELAYER, correction=correction)

    assert claim_anchor.stateOf(claim.id)[0] != owned[1]


@pytest.mark.parametrize("mood", [1, 3, 4], ids=["reverting", "short", "wrong answer"])
@pytest.mark.spec("K10")
def test_contract_wallet_that_does_not_agree_is_refused(
    desk, wallets, claim_of_wallets, owned, correction, mood, admin
):
    claim = claim_of_wallets
    correction = claim.changed(commitment=correction.commitment)
    wallet = wallets[owned[2]]
    wallet.setMood(mood, {"from": admin})

    with reverts("SignatureInvalid", wallet.address):
        desk.take(owned[0], claim, RELAYER, correction=correction)


@pytest.mark.spec("K10")
def test_contract_wallet_sends(claim_anchor, desk, wallets, claim, admin):
    claim = claim.changed(provider=wallets["provider"].address)
    call = claim_anchor.submit.encode_input(claim, 1, 0, b"")

    wallets["provider"].execute(claim_anchor, call, {"from": admin})

    assert claim_anchor.stateOf(claim.id)[0] == SUBMITTED


@pytest.mark.spec("K10")
def test_contract_wallet_that_burns_its_gas_is_refused(desk, wallets, claim, admin, claim_anchor):
    claim = claim.changed(provider=wallets["provider"].address)
    signature = desk.signature("submit", claim, "provider", desk.what())
    wallets["provider"].setMood(2, {"from": admin})

    with reverts("SignatureInvalid", claim.provider):
        claim_anchor.submit(claim, 1, desk.deadline, signature, {"from": desk.relayer, "gas_limit": 1_000_000})
