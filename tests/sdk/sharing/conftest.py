"""Two clinics that write to each other, a payer, and a patient of the first clinic."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.client import MedProof
from medproof.sharing import EncryptionKeys
from medproof.signing import LocalSigner
from medproof.wallet import Wallet

PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
CHEAP = 1 << 4  # the cost of a password, for tests


def private(number: int) -> bytes:
    return bytes([number]) * 32


@pytest.fixture
def clinic_keys() -> EncryptionKeys:
    return EncryptionKeys([private(1)])


@pytest.fixture
def second_keys() -> EncryptionKeys:
    return EncryptionKeys([private(2)])


@pytest.fixture
def payer_keys() -> EncryptionKeys:
    return EncryptionKeys([private(3)])


@pytest.fixture
def patient_keys(clinic: LocalSigner) -> EncryptionKeys:
    return EncryptionKeys.of_pseudonym(Wallet(PHRASE), clinic.address)


@pytest.fixture
def published(
    suite: MedProof,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    clinic_keys: EncryptionKeys,
    second_keys: EncryptionKeys,
    payer_keys: EncryptionKeys,
) -> MedProof:
    """The suite, with everybody's key in the Registrar."""
    for signer, keys in ((clinic, clinic_keys), (second_clinic, second_keys), (payer, payer_keys)):
        suite.registrar.publish_encryption_key(keys.public, sender=signer)
    return suite


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a JSON document with another value at a path such as `recipients.0.key`; `...` removes it."""
    names = path.split(".")
    copied = dict(document)
    here: Any = copied
    for name in names[:-1]:
        key: Any = int(name) if isinstance(here, list) else name
        here[key] = list(here[key]) if isinstance(here[key], list) else dict(here[key])
        here = here[key]
    last: Any = int(names[-1]) if isinstance(here, list) else names[-1]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return copied
