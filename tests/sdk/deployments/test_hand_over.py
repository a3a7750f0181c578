"""Handing over: at once to a Safe, by acceptance to an account, and never to whom nobody meant."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import AccessManagerNotReady, AccessManagerUnauthorizedAccount
from medproof.deployments import ADMIN_ROLE, Authority, Deployment, accept, deploy, plan, read_safe, safe_transactions
from medproof.deployments import roles as roles_module
from medproof.errors import DeploymentError, UnknownRevertError
from medproof.examination import Finding, State, examine_deployment
from medproof.policy.codes import PartyKind
from scripts.local_chain import LocalChain
from tests.sdk.conftest import CREDENTIAL, funded, rpc
from tests.sdk.deployments.conftest import ALL_ROLES, STEPS, Counting, authority_of, connected, roles_of
from tests.support.safes import act, built, new_safe

OWNERS = [funded(number) for number in (15, 16, 17)]
DELAY = 3600


@pytest.fixture(scope="module")
def begun(node: LocalChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counting, Path, Path]]:
    """A suite that an account has not accepted yet, and one that a Safe of three owners has, of one deployer."""
    chain, folder = connected(node.url), tmp_path_factory.mktemp("handing")
    snapshot = rpc(chain, "evm_snapshot")
    deployer, admin = funded(8), funded(10)
    deploy(chain, deployer, manifest=folder / "account.json", admin=admin.address)
    safe = new_safe(chain, deployer, [owner.address for owner in OWNERS], 2)
    factory = Deployment.load(folder / "account.json").factory
    assert factory is not None
    deploy(chain, deployer, manifest=folder / "safe.json", admin=safe.address, factory=factory.address)
    yield chain, folder / "account.json", folder / "safe.json"
    rpc(chain, "evm_revert", snapshot)


@pytest.fixture
def waiting(begun: tuple[Counting, Path, Path], manifest: Path) -> Iterator[Counting]:
    """The chain of a suite whose manifest is `manifest`: deployed by account 8, for account 10 to accept."""
    yield from copied(begun[0], begun[1], manifest)


@pytest.fixture
def of_safe(begun: tuple[Counting, Path, Path], manifest: Path) -> Iterator[Counting]:
    """The chain of a suite whose manifest is `manifest`, and whose admin is a Safe of three owners."""
    yield from copied(begun[0], begun[2], manifest)


def copied(chain: Counting, source: Path, manifest: Path) -> Iterator[Counting]:
    snapshot = rpc(chain, "evm_snapshot")
    Deployment.load(source).save(manifest)
    chain.sent = 0
    yield chain
    rpc(chain, "evm_revert", snapshot)


def findings(chain: Chain, manifest: Path) -> dict[str, Finding]:
    return {one.what: one for one in examine_deployment(chain, Deployment.load(manifest))}


def later(chain: Chain, seconds: int) -> None:
    rpc(chain, "evm_increaseTime", seconds)
    rpc(chain, "evm_mine")


# -- a Safe -----------------------------------------------------------------------------------------------------


def test_a_safe_gets_it_at_once_and_acts_by_two_of_three(of_safe: Counting, manifest: Path, far_day: Any) -> None:
    made = Deployment.load(manifest)
    assert made.complete
    assert roles_of(of_safe, made, made.admin) == ALL_ROLES
    assert roles_of(of_safe, made, made.deployer) == set()
    found = findings(of_safe, manifest)
    assert {one.state for one in found.values()} == {State.GOOD}
    assert found["role ADMIN"].said == f"{made.admin} (Safe 1.5.0, 2 of 3 owners)"
    assert found["deployer"].said == f"{made.deployer} has no rights"
    grant = (ADMIN_ROLE, made.deployer, 0)
    with pytest.raises(AccessManagerUnauthorizedAccount):
        of_safe.transact(authority_of(of_safe, made), "grantRole", grant, sender=funded(8))

    safe = of_safe.contract(made.admin, built("Safe")["abi"])
    registrar = MedProof(of_safe, made).registrar
    clinic = funded(14).address
    day = (far_day - type(far_day)(1970, 1, 1)).days
    contract = of_safe.contract(registrar.address, artifact("Registrar").abi)
    data = of_safe.call_data(contract, "accredit", (clinic, int(PartyKind.PROVIDER), CREDENTIAL, day))
    with pytest.raises(UnknownRevertError):  # one signature is too few
        act(of_safe, safe, OWNERS[:1], registrar.address, data, payer=funded(8))
    act(of_safe, safe, OWNERS[1:], registrar.address, data, payer=funded(8))
    assert registrar.party(clinic).kind is PartyKind.PROVIDER


def test_the_plan_shows_the_safe(waiting: Counting, tmp_path: Path) -> None:
    safe = new_safe(waiting, funded(8), [owner.address for owner in OWNERS], 2)
    planned = plan(waiting, funded(8), manifest=tmp_path / "new.json", admin=safe.address)
    assert planned.safe is not None
    assert (planned.safe.threshold, set(planned.safe.owners)) == (2, {owner.address for owner in OWNERS})
    assert str(planned.safe) == "Safe 1.5.0, 2 of 3 owners"
    assert (planned.at_once, planned.warnings) == (True, ())
    assert planned.calls[-1].what == "give up the deployer's rights"


def test_a_safe_of_one_signature_is_warned_of(waiting: Counting, tmp_path: Path, manifest: Path) -> None:
    safe = new_safe(waiting, funded(8), [OWNERS[0].address, OWNERS[1].address], 1)
    [warning] = plan(waiting, funded(8), manifest=tmp_path / "new.json", admin=safe.address).warnings
    assert "takes one signature" in warning
    said: list[str] = []
    deploy(waiting, funded(8), manifest=manifest, admin=safe.address, report=said.append)
    assert said[0] == warning
    assert findings(waiting, manifest)["role ADMIN"].state is State.DOUBTFUL


def test_a_safe_that_nobody_set_up_is_refused(waiting: Counting, manifest: Path) -> None:
    safe = new_safe(waiting, funded(8), [], 0)
    before, waiting.sent = manifest.read_bytes(), 0
    for sure in (False, True):
        with pytest.raises(DeploymentError, match="takes 0 signatures of 0 owners"):
            deploy(waiting, funded(8), manifest=manifest, admin=safe.address, any_contract=sure)
    assert (waiting.sent, manifest.read_bytes()) == (0, before)


def test_a_contract_that_is_no_safe_has_to_be_said(waiting: Counting, manifest: Path, tmp_path: Path) -> None:
    """MedProof's own Registrar could never act as the admin; that a contract is there says nothing."""
    registrar = Deployment.load(manifest).address("Registrar")
    assert read_safe(waiting, registrar) is None
    new = tmp_path / "new.json"
    with pytest.raises(DeploymentError, match="is no Safe"):
        plan(waiting, funded(8), manifest=new, admin=registrar)
    with pytest.raises(DeploymentError, match="--any-contract"):
        deploy(waiting, funded(8), manifest=new, admin=registrar)
    assert (waiting.sent, new.exists()) == (0, False)
    planned = plan(waiting, funded(8), manifest=new, admin=registrar, any_contract=True)
    assert (planned.at_once, planned.safe) == (True, None)
    assert "has no admin" in planned.warnings[0]


@pytest.mark.parametrize(
    "code",
    [
        "600160005260206000f3",  # answers one to everything
        "00",  # stops at once, without an answer
        "60006000fd",  # refuses everything
        "602060005260406000f3",  # an empty text, and no owners
        "600060005260ff6000f3",  # nothing but zeros
    ],
)
def test_whatever_answers_is_no_safe(code: str, waiting: Counting) -> None:
    rpc(waiting, "evm_setAccountCode", funded(11).address, "0x" + code)
    assert read_safe(waiting, funded(11).address) is None


def test_an_account_that_lends_itself_code_is_an_account(waiting: Counting, tmp_path: Path) -> None:
    """EIP-7702: there is code, and still one key has it all. It must accept."""
    rpc(waiting, "evm_setAccountCode", funded(11).address, "0xef0100" + "11" * 20)
    planned = plan(waiting, funded(8), manifest=tmp_path / "new.json", admin=funded(11).address)
    assert (planned.at_once, planned.safe) == (False, None)


# -- an account -------------------------------------------------------------------------------------------------


def test_an_account_accepts(waiting: Counting, manifest: Path) -> None:
    begun, deployer, admin = Deployment.load(manifest), funded(8), funded(10)
    assert (begun.roles, begun.handed_over, begun.complete) == (True, False, False)
    assert roles_of(waiting, begun, deployer.address) == {ADMIN_ROLE}
    assert roles_of(waiting, begun, admin.address) == ALL_ROLES
    found = findings(waiting, manifest)
    assert {what for what, one in found.items() if one.state is State.DOUBTFUL} == {"role ADMIN", "deployer"}
    assert "medproof deploy accept" in found["role ADMIN"].step
    said: list[str] = []
    assert deploy(waiting, deployer, manifest=manifest, report=said.append) == begun  # nothing to do but wait
    assert said == [f"{admin.address} is to accept; until then {deployer.address} administers too"]

    said.clear()
    taken = accept(waiting, admin, manifest=manifest, report=said.append)
    assert said == ["take the deployer's rights"]
    assert waiting.sent == 1
    assert taken.complete
    assert taken == Deployment.load(manifest) == accept(waiting, admin, manifest=manifest)
    assert roles_of(waiting, taken, deployer.address) == set()
    assert roles_of(waiting, taken, admin.address) == ALL_ROLES
    assert findings(waiting, manifest)["deployer"].state is State.GOOD
    assert deploy(waiting, deployer, manifest=manifest) == taken
    assert waiting.sent == 1


def test_a_deployer_hides_no_account_of_its_own(waiting: Counting, manifest: Path) -> None:
    """Nor by an altered manifest: whoever accepts is the only admin, and has taken what was granted meanwhile."""
    deployer, admin, hidden, later_admin = funded(8), funded(10), funded(12), funded(11)
    authority = authority_of(waiting, Deployment.load(manifest))
    waiting.transact(authority, "grantRole", (1, hidden.address, 0), sender=deployer)
    waiting.transact(authority, "grantRole", (ADMIN_ROLE, later_admin.address, 0), sender=deployer)
    said: list[str] = []

    taken = accept(waiting, admin, manifest=manifest, report=said.append)

    assert said == [
        f"take role ACCREDITATION from {hidden.address}",
        f"take role ADMIN from {later_admin.address}",
        "take the deployer's rights",
    ]
    for one in (deployer, hidden, later_admin):
        assert roles_of(waiting, taken, one.address) == set()
    assert findings(waiting, manifest)["role ADMIN"].said == admin.address
    waiting.transact(authority, "grantRole", (ADMIN_ROLE, later_admin.address, 0), sender=admin)
    assert accept(waiting, admin, manifest=manifest) == taken  # whom it makes an admin itself stays one
    assert roles_of(waiting, taken, later_admin.address) == {ADMIN_ROLE}


def test_an_altered_manifest_hides_no_admin(waiting: Counting, manifest: Path) -> None:
    deployer, admin, hidden = funded(8), funded(10), funded(12)
    state = Deployment.load(manifest)
    waiting.transact(authority_of(waiting, state), "grantRole", (ADMIN_ROLE, hidden.address, 0), sender=deployer)
    dataclasses.replace(state, offered=waiting.block_number()).save(manifest)
    taken = accept(waiting, admin, manifest=manifest)
    assert roles_of(waiting, taken, hidden.address) == set()


def test_killed_while_accepting(waiting: Counting, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[str] = set()

    def kill(at: str) -> None:
        if at not in met:
            met.add(at)
            raise InterruptedError

    monkeypatch.setattr(waiting, "hook", kill)
    for _ in range(5):
        with pytest.raises(InterruptedError):
            accept(waiting, funded(10), manifest=manifest)
    assert accept(waiting, funded(10), manifest=manifest).complete
    assert waiting.sent == 1


def test_who_may_not_accept(waiting: Counting, manifest: Path, tmp_path: Path) -> None:
    before = manifest.read_bytes()
    for one in (funded(8), funded(12)):
        with pytest.raises(DeploymentError, match=f"names {funded(10).address} as the admin, not {one.address}"):
            accept(waiting, one, manifest=manifest)
    # A manifest that somebody altered makes nobody the admin, and an Authority of theirs is not accepted for ours.
    forged = tmp_path / "forged.json"
    dataclasses.replace(Deployment.load(manifest), admin=funded(12).address).save(forged)
    with pytest.raises(DeploymentError, match="is not the admin of the Authority"):
        accept(waiting, funded(12), manifest=forged)
    dataclasses.replace(Deployment.load(manifest), chain_id=5).save(forged)
    with pytest.raises(DeploymentError, match="on chain 5"):
        accept(waiting, funded(10), manifest=forged)
    own = Deployment.load(manifest)
    registrar = dataclasses.replace(own.contracts["Registrar"], address=own.address("Devices"))
    own.having("Registrar", registrar).save(forged)
    with pytest.raises(DeploymentError, match="not this build of Registrar"):
        accept(waiting, funded(10), manifest=forged)
    assert (waiting.sent, manifest.read_bytes()) == (0, before)
    with pytest.raises(DeploymentError, match="accept instead"):
        deploy(waiting, funded(10), manifest=manifest)


def test_a_mistyped_admin_is_replaced(waiting: Counting, manifest: Path) -> None:
    """As long as nobody accepted: and whoever got the role has nothing left, nor whom it granted roles to."""
    wrong, right, friend, deployer = funded(10), funded(11), funded(12), funded(8)
    authority = authority_of(waiting, Deployment.load(manifest))
    waiting.transact(authority, "grantRole", (ADMIN_ROLE, friend.address, 0), sender=wrong)
    waiting.transact(authority, "grantRole", (3, friend.address, 0), sender=wrong)
    assert "intruders" in findings(waiting, manifest)["role ADMIN"].step
    planned = plan(waiting, deployer, manifest=manifest, admin=right.address)
    assert f"take role ADMIN from {wrong.address}" in [call.what for call in planned.calls]
    assert planned.transactions == 1
    waiting.sent = 0
    made = deploy(waiting, deployer, manifest=manifest, admin=right.address)
    assert waiting.sent == 1
    for one in (wrong, friend):
        assert roles_of(waiting, made, one.address) == set()
    assert roles_of(waiting, made, right.address) == ALL_ROLES
    with pytest.raises(DeploymentError, match="as the admin"):
        accept(waiting, wrong, manifest=manifest)
    assert accept(waiting, right, manifest=manifest).complete
    with pytest.raises(DeploymentError, match="whose admin is"):  # and now it stays
        deploy(waiting, deployer, manifest=manifest, admin=wrong.address)


def test_the_deployer_may_stay_after_all(waiting: Counting, manifest: Path) -> None:
    made = deploy(waiting, funded(8), manifest=manifest, admin=funded(8).address)
    assert made.complete
    assert roles_of(waiting, made, funded(10).address) == set()
    assert roles_of(waiting, made, funded(8).address) == ALL_ROLES


def test_a_deployer_that_administers_hands_over_later(waiting: Counting, manifest: Path) -> None:
    """After months in use: whom it granted roles to keep them, and what it changed stays; it keeps nothing."""
    deployer, clerk, wrong, admin = funded(8), funded(12), funded(13), funded(11)
    own = deploy(waiting, deployer, manifest=manifest, admin=deployer.address)
    authority = authority_of(waiting, own)
    waiting.transact(authority, "grantRole", (1, clerk.address, 0), sender=deployer)
    waiting.transact(authority, "labelRole", (3, "CONSENT TERMS"), sender=deployer)
    rpc(waiting, "evm_mine")
    with pytest.raises(DeploymentError, match="whose admin is"):  # nobody else can
        deploy(waiting, clerk, manifest=manifest, admin=clerk.address)
    deploy(waiting, deployer, manifest=manifest, admin=wrong.address, delay=DELAY)
    waiting.transact(authority, "grantRole", (2, wrong.address, 0), sender=deployer)
    made = deploy(waiting, deployer, manifest=manifest, admin=admin.address, delay=0)
    assert roles_of(waiting, made, wrong.address) == set()
    assert roles_of(waiting, made, clerk.address) == {1}
    assert roles_of(waiting, made, deployer.address) == ALL_ROLES  # it goes on until somebody accepts
    taken = accept(waiting, admin, manifest=manifest)
    assert taken.complete
    assert roles_of(waiting, taken, deployer.address) == set()
    assert roles_of(waiting, taken, admin.address) == ALL_ROLES
    assert roles_of(waiting, taken, clerk.address) == {1}
    labels = [event.arguments["label"] for event in Authority(waiting, taken).events("RoleLabel")]
    assert labels[-1] == "CONSENT TERMS"


def test_a_deployer_that_administers_hands_over_to_a_safe_later(waiting: Counting, manifest: Path) -> None:
    deploy(waiting, funded(8), manifest=manifest, admin=funded(8).address)
    safe = new_safe(waiting, funded(8), [owner.address for owner in OWNERS], 2)
    waiting.sent = 0
    made = deploy(waiting, funded(8), manifest=manifest, admin=safe.address)
    assert (made.complete, waiting.sent) == (True, 1)
    assert roles_of(waiting, made, funded(8).address) == set()
    assert roles_of(waiting, made, safe.address) == ALL_ROLES


# -- with a delay -----------------------------------------------------------------------------------------------


def test_an_admin_with_a_delay_announces_and_then_accepts(waiting: Counting, manifest: Path) -> None:
    deployer, admin = funded(8), funded(10)
    made = deploy(waiting, deployer, manifest=manifest, delay=DELAY)
    assert (made.delay, waiting.sent) == (DELAY, 1)
    assert findings(waiting, manifest)["delays"].said == "the admin announces what it does 3,600 s before"
    said: list[str] = []
    announced = accept(waiting, admin, manifest=manifest, report=said.append)
    assert not announced.complete
    assert said[0] == "announce: take the deployer's rights"
    assert said[1].startswith("announced; do this again after ")
    found = findings(waiting, manifest)["announced"]
    assert found.state is State.DOUBTFUL
    assert f"{admin.address} may call revokeRole of {made.address('Authority')} from " in found.said
    authority = authority_of(waiting, made)
    with pytest.raises(AccessManagerNotReady):
        waiting.transact(authority, "revokeRole", (ADMIN_ROLE, deployer.address), sender=admin)
    sent = waiting.sent
    assert not accept(waiting, admin, manifest=manifest).complete  # too early: nothing is sent
    assert waiting.sent == sent
    later(waiting, DELAY)
    assert accept(waiting, admin, manifest=manifest).complete
    assert roles_of(waiting, made, deployer.address) == set()
    assert findings(waiting, manifest)["announced"].state is State.GOOD


def test_what_was_announced_too_long_ago_is_announced_again(waiting: Counting, manifest: Path) -> None:
    """The Authority lets an announcement expire a week after it is due."""
    deploy(waiting, funded(8), manifest=manifest, delay=DELAY)
    accept(waiting, funded(10), manifest=manifest)
    later(waiting, DELAY + 7 * 24 * 3600)
    assert not accept(waiting, funded(10), manifest=manifest).complete
    later(waiting, DELAY)
    assert accept(waiting, funded(10), manifest=manifest).complete


def test_the_deployer_goes_when_it_sees_that_the_admin_can_act(waiting: Counting, manifest: Path) -> None:
    """An announcement is proof enough that somebody has the key: the delay need not be waited for."""
    deploy(waiting, funded(8), manifest=manifest, delay=DELAY)
    accept(waiting, funded(10), manifest=manifest)
    said: list[str] = []
    made = deploy(waiting, funded(8), manifest=manifest, report=said.append)
    assert said == ["give up the deployer's rights"]
    assert made.complete
    assert roles_of(waiting, made, funded(8).address) == set()


def test_a_delay_that_is_gone_is_seen(of_safe: Counting, manifest: Path) -> None:
    dataclasses.replace(Deployment.load(manifest), delay=DELAY).save(manifest)
    found = findings(of_safe, manifest)["delays"]
    assert (found.state, found.said) == (State.BAD, "the admin's acts count at once")


# -- over an older manifest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("admin", ["deployer", "safe"])
def test_what_an_older_suite_lacks_is_added(
    admin: str, begun: tuple[Counting, Path, Path], manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest of before Studies: its contracts are added, and role ETHICS by whoever administers."""
    chain, sender = begun[0], funded(8)
    snapshot = rpc(chain, "evm_snapshot")
    try:
        factory = Deployment.load(begun[1]).factory
        assert factory is not None
        safe = new_safe(chain, sender, [owner.address for owner in OWNERS], 2)
        with monkeypatch.context() as before:
            before.setattr(roles_module, "ROLES", roles_module.ROLES[:-1])
            chosen = sender.address if admin == "deployer" else safe.address
            old = deploy(chain, sender, manifest=manifest, factory=factory.address, admin=chosen)
        kept = {name: entry for name, entry in old.contracts.items() if name not in ("Studies", "Incentives")}
        content = {"chain_id": old.chain_id, "admin": old.admin, "compiler": {}, "roles": True}
        entries = {name: dataclasses.asdict(entry) for name, entry in kept.items()}
        manifest.write_text(json.dumps({**content, "contracts": entries}))

        planned = plan(chain, sender, manifest=manifest, factory=factory.address)
        assert [one.name for one in planned.contracts] == ["Studies", "Incentives"]
        calls = ["label role ETHICS", "let role ETHICS call Studies", f"grant role ETHICS to {chosen}"]
        assert [call.what for call in planned.calls or planned.left] == calls
        assert bool(planned.left) == (admin == "safe")
        said: list[str] = []
        salt = {"factory": factory.address, "salt": planned.salt}
        made = deploy(chain, sender, manifest=manifest, **salt, report=said.append)
        assert {name: made.address(name) for name in planned.addresses} == planned.addresses
        assert {name: made.contracts[name] for name in kept} == kept
        if admin == "safe":
            assert (made.roles, made.complete) == (False, False)
            assert said[-1] == f"left to {chosen}, the admin: {'; '.join(calls)}"
            left = plan(chain, sender, manifest=manifest).left
            file = safe_transactions(left, chain_id=chain.chain_id, safe=chosen)
            assert (file["version"], file["chainId"]) == ("1.0", "1337")
            for one in file["transactions"]:
                assert one["value"] == "0"
                act(chain, safe, OWNERS[:2], one["to"], one["data"], payer=sender)
            made = deploy(chain, sender, manifest=manifest)
        assert made.complete
        assert {one.state for one in examine_deployment(chain, made)} <= {State.GOOD, State.DOUBTFUL}
        assert roles_of(chain, made, chosen) == ALL_ROLES
        assert plan(chain, sender, manifest=manifest).transactions == 0
    finally:
        rpc(chain, "evm_revert", snapshot)


def test_what_the_admin_changed_is_left_alone(waiting: Counting, manifest: Path) -> None:
    """Another may have accreditation now, and nobody terms: that is the admin's affair."""
    made, admin = accept(waiting, funded(10), manifest=manifest), funded(10)
    authority = authority_of(waiting, made)
    waiting.transact(authority, "grantRole", (1, funded(12).address, 0), sender=admin)
    waiting.transact(authority, "revokeRole", (1, admin.address), sender=admin)
    waiting.transact(authority, "revokeRole", (3, admin.address), sender=admin)
    waiting.transact(authority, "labelRole", (3, "CONSENT TERMS"), sender=admin)
    waiting.sent = 0
    assert deploy(waiting, admin, manifest=manifest) == made
    assert waiting.sent == 0 < STEPS
