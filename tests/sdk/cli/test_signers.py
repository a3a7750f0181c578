"""Whatever takes a key file takes Clef, Web3Signer or a Ledger as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run
from tests.sdk.external_signers.signers import FakeLedger, FakeSigner, as_speculos, over_http
from tests.sdk.external_signers.test_ledger import PATH

GRANT = ("--purpose", "TREAT", "--class", "laboratory")


@pytest.mark.parametrize("kind", ["clef", "web3signer"])
def test_a_patient_signs_and_a_ledger_pays(
    run: Run, suite: MedProof, kind: str, patient: LocalSigner, relayer: LocalSigner, second_clinic: LocalSigner
) -> None:
    signer, ledger = FakeSigner(kind, patient._account, suite.chain.chain_id), FakeLedger(relayer._account, PATH)
    with over_http(signer) as url, as_speculos(ledger) as place:
        who = ("--signer", f"{kind}:{url}#{patient.address}", "--relay-as", f"ledger:@{place}")
        said = run("consent", "grant", second_clinic.address, *GRANT, *who)
        assert said.code == 0, said.err
        rule = suite.consent_registry.rule(patient.address, second_clinic.address)
        assert rule is not None
        assert not rule.revoked
        assert run("consent", "revoke", second_clinic.address, *who).code == 0
    after = suite.consent_registry.rule(patient.address, second_clinic.address)
    assert after is None or after.revoked
    assert not any("ransaction" in method for method in signer.asked)  # she pays nothing


def test_a_relayer_pays_by_clef(
    run: Run, here: Path, suite: MedProof, me: tuple[str, ...], relayer: LocalSigner, second_clinic: LocalSigner
) -> None:
    assert run("consent", "grant", second_clinic.address, *GRANT, *me, "--out", "signed.json").code == 0
    clef = FakeSigner("clef", relayer._account, suite.chain.chain_id)
    with over_http(clef) as url:
        assert run("relay", "add", "signed.json", "--queue", "relay.db").code == 0
        done = run("relay", "run", "--drain", "--queue", "relay.db", "--relay-as", f"clef:{url}")
        assert done.code == 0, done.err
    assert clef.asked.count("account_signTransaction") == 1


def test_an_authority_accredits_by_a_ledger(
    run: Run, here: Path, suite: MedProof, admin: LocalSigner, fresh_account: LocalSigner
) -> None:
    (here / "licence.pdf").write_bytes(b"the licence")
    ledger = FakeLedger(admin._account, PATH)
    with as_speculos(ledger) as place:
        words = ("party", "accredit", fresh_account.address, "--kind", "provider", "--credential", "licence.pdf")
        said = run(*words, "--last-day", "2099-12-31", "--signer", f"ledger:@{place}")
        assert said.code == 0, said.err
    assert suite.registrar.party(fresh_account.address) is not None


def test_a_signer_that_is_not_there(run: Run, me: tuple[str, ...], unused_port: int) -> None:
    said = run(
        "consent", "grant", "everyone", *GRANT, *me, "--relay-as", f"clef:http://127.0.0.1:{unused_port}", "--json"
    )
    assert (said.code, said.error["error"]) == (3, "ExternalSignerError")
    assert "Clef at http://127.0.0.1" in said.error["message"]
