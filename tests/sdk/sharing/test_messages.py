"""Messages between parties on a chain: who reads them, who cannot, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.errors import ArgumentError, CorrespondentError, EnvelopeError, UnprovedRecordError
from medproof.policy.codes import DataClass
from medproof.sharing import Content, EncryptionKeys, Envelope, open_envelope, seal
from medproof.signing import LocalSigner
from tests.sdk.sharing.conftest import changed


def test_a_message_from_one_clinic_to_another(
    published: MedProof, clinic: LocalSigner, second_clinic: LocalSigner, second_keys: EncryptionKeys
) -> None:
    sealed = seal(published, clinic, Content.text("Please call back."), [second_clinic.address])
    envelope = Envelope.from_json(sealed.to_json())
    opened = open_envelope(published, envelope, second_keys, reader=second_clinic.address)

    assert opened.content == Content.text("Please call back.")
    assert opened.envelope == sealed
    assert opened.id == sealed.id
    assert (opened.reader, opened.pointers) == (second_clinic.address, ())
    assert b"call" not in sealed.to_json().encode()
