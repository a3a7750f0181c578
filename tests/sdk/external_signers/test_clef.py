"""A real Clef: its account signs what a key file's would, its user says no or alters, and the suite is used with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from medproof.client import MedProof
from medproof.deployments import accept, deploy, verify
from medproof.errors import ExternalSignerError
from medproof.external_signers import RemoteSigner, external_signer
from medproof.gateway.signature import ACCESS_FIELDS
from medproof.messages import MESSAGE_TYPES, Domain, FreeMessage, TypedData
from medproof.policy.word import Rule
from medproof.sharing.typed_data import SHARING_TYPES
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.external_signers.clef import Clef, clef, running
from tests.sdk.external_signers.signers import fresh

pytestmark = pytest.mark.skipif(clef() is None, reason="no clef is here; scripts/setup.py --network compiles it")

CHAIN_ID = 1337
TO = "0x52908400098527886E0F7030069857D2E4169EE7"
DOMAIN = Domain("ConsentRegistry", CHAIN_ID, TO)
LEGACY = {"to": TO, "gasPrice": 7, "gas": 90_000, "nonce": 0, "chainId": CHAIN_ID, "value": 3}
DYNAMIC = {**LEGACY, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1}
del DYNAMIC["gasPrice"]


@pytest.fixture(scope="module")
def account() -> LocalAccount:
    return fresh()


@pytest.fixture(scope="module")
def started(account: LocalAccount) -> Iterator[Clef]:
    with running(account, CHAIN_ID) as made:
        yield made


@pytest.fixture
def attended(started: Clef) -> Clef:
    """With a user who says yes to everything, whatever the last test's did."""
    started.approve, started.change = lambda method: True, lambda transaction: transaction
    started.shown.clear()
    return started


@pytest.fixture(params=["url", "ipc"])
def signer(request: pytest.FixtureRequest, attended: Clef) -> RemoteSigner:
    signer = external_signer(f"clef:{getattr(attended, request.param)}")
    assert isinstance(signer, RemoteSigner)
    return signer


def test_its_account_is_found(signer: RemoteSigner, attended: Clef, account: LocalAccount) -> None:
    assert signer.address == account.address
    assert [method for method, _ in attended.shown] == ["ui_approveListing"]


@pytest.mark.parametrize(
    "transaction",
    [LEGACY, DYNAMIC, {**DYNAMIC, "to": None, "data": b"\x60" * 100, "value": 0}],
    ids=["legacy", "dynamic", "creation"],
)
def test_a_transaction_is_what_a_keystores_account_would_sign(
    signer: RemoteSigner, account: LocalAccount, transaction: dict[str, Any]
) -> None:
    meant = {name: value for name, value in transaction.items() if value is not None}
    assert signer.sign_transaction(transaction) == bytes(account.sign_transaction(meant).raw_transaction)


FACTORY_CALL = "0x" + "5a" * 32 + "60" * 100


def greatest(kinds: Mapping[str, str], members: str) -> dict[str, Any]:
    """The greatest values that a message's members hold."""
    values = {"address": TO, "bool": True, "string": "é", "bytes": b"\0\1", "bytes32": b"\xab" * 32}
    found: dict[str, Any] = {}
    for kind, name in (member.split() for member in members.split(",")):
        one = kind.removesuffix("[]")
        if one in kinds:
            value: Any = greatest(kinds, kinds[one])
        else:
            value = values[one] if one in values else (1 << int(one.removeprefix("uint"))) - 1
        found[name] = value if one == kind else [value, value]
    return found


def every_message() -> list[TypedData]:
    """Each message of the suite, and those of sharing and of the gatekeeper, which are for no contract."""
    own = [TypedData(DOMAIN, name, greatest({}, members)) for name, members in MESSAGE_TYPES.items()]
    for name, kinds in {**SHARING_TYPES, "AccessRequest": {"AccessRequest": ACCESS_FIELDS}}.items():
        own.append(FreeMessage(DOMAIN, name, greatest(kinds, kinds[name]), kinds))
    return own


@pytest.mark.parametrize("message", every_message(), ids=lambda message: message.primary_type)
def test_it_signs_each_message_of_the_suite(attended: Clef, account: LocalAccount, message: TypedData) -> None:
    signer = RemoteSigner("clef", attended.ipc, address=account.address)
    assert signer.sign_typed_data(message) == LocalSigner(account).sign_typed_data(message)


def test_the_suite_is_used_through_it(
    signer: RemoteSigner, attended: Clef, suite: MedProof, rule: Rule, second_clinic: LocalSigner
) -> None:
    """Its user sees which function is called; without Clef's --advanced nothing else would be signed."""
    rpc(suite.chain, "evm_setAccountBalance", signer.address, hex(10**18))
    suite.relay(suite.consent_registry.sign_grant(signer, second_clinic.address, rule), sender=signer)
    suite.consent_registry.revoke(second_clinic.address, sender=signer)
    shown = [about["call_info"] for method, about in attended.shown if method == "ui_approveTx"]
    assert [[one["type"] for one in infos] for infos in shown] == [["Info"], ["Info"]]
    assert "revoke" in shown[1][0]["message"]


def test_its_user_says_no(signer: RemoteSigner, attended: Clef) -> None:
    attended.approve = lambda method: False
    with pytest.raises(ExternalSignerError, match="denied"):
        signer.sign_transaction(DYNAMIC)
    with pytest.raises(ExternalSignerError, match="denied"):
        signer.sign_typed_data(TypedData(DOMAIN, "Withdrawal", {"subject": TO, "deadline": 1}))
    with pytest.raises(ExternalSignerError, match="denied"):
        external_signer(f"clef:{attended.url}")


def test_what_its_user_alters_is_refused(signer: RemoteSigner, attended: Clef) -> None:
    for name, value in (("value", "0x4"), ("gas", "0x5208"), ("maxFeePerGas", "0xa"), ("nonce", "0x1")):
        attended.change = lambda transaction, name=name, value=value: {**transaction, name: value}  # type: ignore[misc]
        with pytest.raises(ExternalSignerError, match="another transaction"):
            signer.sign_transaction(DYNAMIC)


def test_it_signs_for_its_own_chain_alone(signer: RemoteSigner) -> None:
    with pytest.raises(ExternalSignerError, match="chainid"):
        signer.sign_transaction({**DYNAMIC, "chainId": 1})


def test_an_account_that_it_does_not_have(attended: Clef) -> None:
    signer = external_signer(f"clef:{attended.url}#{TO}")
    with pytest.raises(ExternalSignerError, match="refuses"):
        signer.sign_transaction(DYNAMIC)


def test_what_it_cannot_show_it_refuses(signer: RemoteSigner) -> None:
    """As it is started without --advanced: a creation through a factory is no call of a function."""
    with pytest.raises(ExternalSignerError, match=r"Transaction data is not valid ABI|could not be found"):
        signer.sign_transaction({**DYNAMIC, "value": 0, "data": FACTORY_CALL})


def test_started_for_it_it_deploys(account: LocalAccount, suite: MedProof, admin: LocalSigner, tmp_path: Path) -> None:
    """With --advanced, as docs/deploying.md says."""
    chain, blocks = suite.chain, suite.chain.block_number()
    rpc(chain, "evm_setAccountBalance", account.address, hex(10**18))
    with running(account, CHAIN_ID, "--advanced") as attended:
        signer = external_signer(f"clef:{attended.url}")
        made = deploy(chain, signer, manifest=tmp_path / "suite.json", admin=admin.address)
    verify(chain, made)
    assert accept(chain, admin, manifest=tmp_path / "suite.json").complete
    assert chain.block_number() > blocks
