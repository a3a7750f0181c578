"""The suite deployed on Brownie's chain, and the people of its stories. Every test starts from the same state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from medproof.messages import Domain, TypedData
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import Rule, encode
from tests.support.speed import few_requests, reverts_without_traces, swift_isolation  # noqa: F401 - fixtures of every contract test

DAY = 24 * 60 * 60
CREDENTIAL = b"\x11" * 32
SALTED = b"\x22" * 32  # stands for any commitment
NOBODY = "0x" + "00" * 20
EVERYONE = "0x" + "00" * 19 + "01"
EMERGENCY_GROUP = "0x" + "00" * 19 + "02"

# Registrar kinds, by number as in the contract.
PROVIDER, PAYER, PHARMACY, RESEARCHER, DEVICE_MAKER, AUTHORITY = range(1, 7)


@pytest.fixture(scope="module", autouse=True)
def module_state(module_isolation: None) -> None:
    """Undo what a module deployed."""


@pytest.fixture(autouse=True)
def function_state(fn_isolation: None) -> None:
    """Undo what a test did."""


# -- the people -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def admin(accounts: Any) -> Any:
    return accounts[0]


@pytest.fixture(scope="session")
def clinic(accounts: Any) -> Any:
    return accounts[1]


@pytest.fixture(scope="session")
def second_clinic(accounts: Any) -> Any:
    return accounts[2]


@pytest.fixture(scope="session")
def payer(accounts: Any) -> Any:
    return accounts[3]


@pytest.fixture(scope="session")
def second_payer(accounts: Any) -> Any:
    return accounts[4]


@pytest.fixture(scope="session")
def emergency_department(accounts: Any) -> Any:
    return accounts[5]


@pytest.fixture(scope="session")
def researcher(accounts: Any) -> Any:
    return accounts[6]


@pytest.fixture(scope="session")
def pharmacy(accounts: Any) -> Any:
    return accounts[7]


@pytest.fixture(scope="session")
def patient(accounts: Any) -> Any:
    return accounts[8]


@pytest.fixture(scope="session")
def second_patient(accounts: Any) -> Any:
    return accounts[9]


@pytest.fixture(scope="session")
def relayer(accounts: Any) -> Any:
    return accounts[10]


@pytest.fixture(scope="session")
def stranger(accounts: Any) -> Any:
    return accounts[11]


@pytest.fixture(scope="session")
def fresh_account(accounts: Any) -> Any:
    """An account that has done nothing yet."""
    return accounts[12]


@pytest.fixture(scope="session")
def keys(accounts: Any) -> dict[str, LocalAccount]:
    """The key of every account of the chain, by address, for signing off chain."""
    Account.enable_unaudited_hdwallet_features()
    mnemonic = "test test test test test test test test test test test junk"
    local = [
        Account.from_mnemonic(mnemonic, account_path=f"m/44'/60'/0'/0/{number}") for number in range(len(accounts))
    ]
    return {account.address: account for account in local}


@pytest.fixture(scope="session")
def sign(keys: dict[str, LocalAccount]) -> Any:
    """Sign typed data with an account's key: ``sign(account, message) -> 65 bytes``."""

    def signature(account: Any, message: TypedData) -> bytes:
        return bytes(keys[str(account)].sign_message(message.signable()).signature)

    return signature


# -- the contracts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(Authority: Any, admin: Any) -> Any:  # noqa: N803 - Brownie's name
    return Authority.deploy(admin, {"from": admin})


@pytest.fixture(scope="module")
def registrar(Registrar: Any, authority: Any, admin: Any) -> Any:  # noqa: N803
    return Registrar.deploy(authority, {"from": admin})


@pytest.fixture(scope="module")
def delegations(Delegations: Any, admin: Any) -> Any:  # noqa: N803
    return Delegations.deploy({"from": admin})


@pytest.fixture(scope="module")
def consent_registry(
    ConsentRegistry: Any,  # noqa: N803
    authority: Any,
    registrar: Any,
    delegations: Any,
    admin: Any,
) -> Any:
    return ConsentRegistry.deploy(authority, registrar, delegations, {"from": admin})


@pytest.fixture(scope="module")
def record_pointers(RecordPointers: Any, registrar: Any, admin: Any) -> Any:  # noqa: N803
    return RecordPointers.deploy(registrar, {"from": admin})


@pytest.fixture(scope="module")
def prescriptions(Prescriptions: Any, registrar: Any, admin: Any) -> Any:  # noqa: N803 - Brownie's name
    return Prescriptions.deploy(registrar, {"from": admin})


@pytest.fixture(scope="module")
def claim_anchor(ClaimAnchor: Any, registrar: Any, prescriptions: Any, admin: Any) -> Any:  # noqa: N803
    return ClaimAnchor.deploy(registrar, prescriptions, {"from": admin})


@pytest.fixture(scope="module")
def batch_anchor(BatchAnchor: Any, registrar: Any, admin: Any) -> Any:  # noqa: N803
    return BatchAnchor.deploy(registrar, {"from": admin})


@pytest.fixture(scope="module")
def access_log(AccessLog: Any, registrar: Any, batch_anchor: Any, admin: Any) -> Any:  # noqa: N803
    return AccessLog.deploy(registrar, batch_anchor, {"from": admin})


@pytest.fixture(scope="module")
def devices(Devices: Any, delegations: Any, admin: Any) -> Any:  # noqa: N803
    return Devices.deploy(delegations, {"from": admin})


@pytest.fixture(scope="module")
def studies(
    Studies: Any,  # noqa: N803
    authority: Any,
    registrar: Any,
    delegations: Any,
    consent_registry: Any,
    admin: Any,
) -> Any:
    return Studies.deploy(authority, registrar, delegations, consent_registry, {"from": admin})


@pytest.fixture(scope="module")
def incentives(Incentives: Any, registrar: Any, delegations: Any, studies: Any, admin: Any) -> Any:  # noqa: N803
    return Incentives.deploy(registrar, delegations, studies, {"from": admin})


@pytest.fixture(scope="module")
def far_day(chain: Any) -> int:
    """A day well ahead, in days since 1970."""
    return int(chain.time()) // DAY + 1000


@pytest.fixture(scope="module")
def accredit(registrar: Any, admin: Any, far_day: int) -> Any:
    """Accredit an account: ``accredit(account, kind, valid_until=…)``."""

    def accredited(account: Any, kind: int, *, valid_until: int | None = None) -> Any:
        last_day = far_day if valid_until is None else valid_until
        return registrar.accredit(account, kind, CREDENTIAL, last_day, {"from": admin})

    return accredited


@pytest.fixture(scope="module")
def parties(
    accredit: Any,
    registrar: Any,
    admin: Any,
    clinic: Any,
    second_clinic: Any,
    payer: Any,
    second_payer: Any,
    emergency_department: Any,
    researcher: Any,
    pharmacy: Any,
) -> None:
    """Everybody accredited as what they are; the emergency department in the emergency group."""
    for account in (clinic, second_clinic, emergency_department):
        accredit(account, PROVIDER)
    for account in (payer, second_payer):
        accredit(account, PAYER)
    accredit(researcher, RESEARCHER)
    accredit(pharmacy, PHARMACY)
    registrar.joinGroup(registrar.EMERGENCY(), emergency_department, {"from": admin})


@pytest.fixture(scope="module")
def domain_of(chain: Any) -> Any:
    """The EIP-712 domain of a deployed contract."""

    def domain(contract: Any) -> Domain:
        return Domain(contract=contract._name, chain_id=chain.id, address=contract.address)

    return domain


@pytest.fixture
def deadline(chain: Any) -> int:
    """A deadline an hour ahead, in seconds since 1970."""
    return int(chain.time()) + 3600


# -- rules ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rule_word(chain: Any) -> Any:
    """A rule word: an open permit for treatment with laboratory results, changed as the keywords say."""
    now = datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)

    def word(**changes: Any) -> int:
        fields: dict[str, Any] = {
            "sequence": 1,
            "party_kinds": PartyKind.ALL,
            "valid_from": now - timedelta(hours=1),
            "valid_until": now + timedelta(days=365),
            "purposes": Purpose.TREAT,
            "classes": DataClass.LABORATORY | DataClass.MEDICATION,
            "conditions": Condition.ALL,
            "sensitivities": Sensitivity.NONE_LABELLED,
            "settings": CareSetting.ALL,
            "actions": Action.ACCESS | Action.USE,
            "research": ResearchUse.EMPTY,
        }
        return encode(Rule(**{**fields, **changes}))

    return word
