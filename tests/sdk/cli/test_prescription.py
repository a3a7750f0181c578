"""`medproof prescription`, as prescriber, patient and pharmacies use it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from eth_account import Account

from medproof.client import MedProof
from medproof.client.prescriptions import Terms
from medproof.hashing import canonical
from medproof.policy.codes import PartyKind
from medproof.sealed_prescription import SealedPrescription
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import PASSWORD, Run, Said
from tests.sdk.conftest import CREDENTIAL, funded
from tests.sdk.prescriptions.conftest import SYRUP

Words = tuple[str, ...]


@pytest.fixture
def pharmacies(here: Path, suite: MedProof, admin: LocalSigner, far_day: date) -> list[str]:
    """Two pharmacies, with key files of their names."""
    found = []
    for name, number in (("pharmacy", 10), ("second", 11)):
        signer = funded(number)
        suite.registrar.accredit(
            signer.address, PartyKind.PHARMACY, credential=CREDENTIAL, valid_until=far_day, sender=admin
        )
        content = Account.encrypt(signer._account.key, PASSWORD, kdf="pbkdf2", iterations=2)
        (here / f"{name}.json").write_text(json.dumps(content))
        found.append(signer.address)
    (here / "request.json").write_text(json.dumps(SYRUP))
    return found


@pytest.fixture
def clinics(keys: Path) -> Words:
    return ("--keystore", str(keys / "1.json"))


@pytest.fixture
def issued(run: Run, clinics: Words, pharmacies: list[str], pseudonym: LocalSigner) -> Said:
    """A prescription for the patient, at the first pharmacy."""
    words = ("--patient", pseudonym.address, "--pharmacy", pharmacies[0], "--save", "rx.json", "--json")
    said = run("prescription", "issue", "request.json", *clinics, *words)
    assert said.code == 0, said.err
    return said


def test_prescriber_issues(run: Run, issued: Said, suite: MedProof, here: Path) -> None:
    identifier = issued.document["prescription"]
    state = suite.prescriptions.state(bytes.fromhex(identifier[2:]))

    assert state is not None
    assert (state.fills, state.quantity) == (3, 30)
    assert json.loads((here / "rx.json").read_text())["request"] == SYRUP
    shown = run("prescription", "show", identifier, "--json")
    assert (shown.code, shown.document["status"], shown.document["differences"]) == (0, "open", [])


def test_issued_again_it_is_the_same(
    run: Run, issued: Said, clinics: Words, pharmacies: list[str], pseudonym: LocalSigner, suite: MedProof, here: Path
) -> None:
    """Whatever was interrupted: a patient has one prescription."""
    words = ("--patient", pseudonym.address, "--pharmacy", pharmacies[0], "--save", "rx.json")
    again = run("prescription", "issue", "request.json", *clinics, *words)

    assert (again.code, again.out) == (0, "This stands already.\n")
    assert len([*suite.prescriptions.events("PrescriptionIssued")]) == 1


def test_issue_that_was_interrupted_goes_on(
    run: Run, clinics: Words, pharmacies: list[str], suite: MedProof, here: Path
) -> None:
    """Killed between the file and the chain."""
    words = ("prescription", "issue", "request.json", *clinics, "--save", "rx.json")
    assert run(*words, "--out", "signed.json").code == 0  # written, and not sent
    before = (here / "rx.json").read_text()
    assert run(*words).code == 0

    assert (here / "rx.json").read_text() == before
    assert len([*suite.prescriptions.events("PrescriptionIssued")]) == 1


def test_fill_that_is_sent_again_with_its_number_counts_once(run: Run, issued: Said, suite: MedProof) -> None:
    words = ("prescription", "fill", "rx.json", "--keystore", "pharmacy.json", "--json")
    assert run(*words, "--number", "1", "--quantity", "10").code == 0
    assert run(*words, "--number", "1", "--quantity", "10").error["error"] == "FillChanged"
    assert run(*words, "--number", "1", "--before", "10").code == 0
    assert run(*words, "--number", "1", "--before", "10").error["error"] == "AlreadyFilled"
    assert run(*words, "--number", "3").error["error"] == "FillSkipped"


def test_no_dispense_of_what_was_not_sent(run: Run, issued: Said, here: Path) -> None:
    words = ("--keystore", "pharmacy.json", "--out", "signed.json", "--save", "dispense.json")
    said = run("prescription", "fill", "rx.json", *words)

    assert said.code == 2
    assert "dispense.json is not written" in said.err
    assert not (here / "dispense.json").exists()


def test_file_is_not_written_over(run: Run, issued: Said, clinics: Words) -> None:
    said = run("prescription", "issue", "request.json", *clinics, "--save", "rx.json")

    assert said.code == 2
    assert "rx.json" in said.err


def test_refused_request_leaves_nothing(run: Run, clinics: Words, pharmacies: list[str], here: Path) -> None:
    (here / "request.json").write_text(json.dumps({**SYRUP, "status": "draft"}))
    said = run("prescription", "issue", "request.json", *clinics, "--save", "rx.json")

    assert said.code == 2
    assert said.err.startswith("Error: MedicationRequest.status is not active")
    assert not (here / "rx.json").exists()


def test_request_that_is_over_leaves_nothing(run: Run, clinics: Words, pharmacies: list[str], here: Path) -> None:
    over = {**SYRUP["dispenseRequest"], "validityPeriod": {"end": "2016-01-15"}}
    (here / "request.json").write_text(json.dumps({**SYRUP, "dispenseRequest": over}))
    said = run("prescription", "issue", "request.json", *clinics, "--until", "2090-01-01", "--save", "rx.json")

    assert (said.code, "ends on 2016-01-15, which is over" in said.err) == (2, True)
    assert not (here / "rx.json").exists()


def test_pharmacy_fills_in_parts_and_writes_what_it_gave(run: Run, issued: Said, here: Path) -> None:
    by = ("--keystore", "pharmacy.json")
    assert run("prescription", "fill", "rx.json", *by, "--quantity", "10", "--save", "first.json").code == 0
    assert run("prescription", "fill", "rx.json", *by, "--save", "rest.json").code == 0

    written = [json.loads((here / name).read_text()) for name in ("first.json", "rest.json")]
    assert [one["quantity"]["value"] for one in written] == [10, 20]
    assert [one["type"]["coding"][0]["code"] for one in written] == ["FFP", "FFP"]
    assert written[0]["authorizingPrescription"][0]["identifier"]["value"] == issued.document["prescription"]


def test_dispense_says_what_is_filled(run: Run, issued: Said, here: Path) -> None:
    by = ("--keystore", "pharmacy.json")
    assert run("prescription", "fill", "rx.json", *by, "--quantity", "10", "--save", "first.json").code == 0
    content = json.loads((here / "first.json").read_text())
    content["quantity"]["value"] = 20
    (here / "rest.json").write_text(json.dumps(content))

    said = run("prescription", "fill", "rx.json", *by, "--dispense", "rest.json", "--json")
    assert (said.document["number"], said.document["before"], said.document["quantity"]) == (1, 10, 20)
    again = run("prescription", "fill", "rx.json", *by, "--dispense", "rest.json")
    assert again.code == 2
    assert "MedicationDispense.type is not the fill that comes next" in again.err
    both = run("prescription", "fill", "rx.json", *by, "--dispense", "rest.json", "--quantity", "1")
    assert both.code == 2


def test_foreign_pharmacy_is_refused(run: Run, issued: Said, pharmacies: list[str]) -> None:
    said = run("prescription", "fill", "rx.json", "--keystore", "second.json", "--json")

    assert said.code == 4
    assert said.error["error"] == "PharmacyRequired"


@pytest.mark.parametrize("amount", ["ten", "", "NaN", "Infinity", "0.5", "-1"])
def test_amount_is_one(run: Run, issued: Said, amount: str) -> None:
    said = run("prescription", "fill", "rx.json", "--keystore", "pharmacy.json", "--quantity", amount)

    assert said.code == 2
    assert "--quantity" in said.err


def test_too_much_is_refused(run: Run, issued: Said) -> None:
    said = run("prescription", "fill", "rx.json", "--keystore", "pharmacy.json", "--quantity", "31", "--json")

    assert (said.code, said.error["error"]) == (4, "QuantityNotPossible")


def test_patient_chooses_by_signature(
    run: Run, issued: Said, me: Words, relayed: Words, pharmacies: list[str], here: Path
) -> None:
    said = run("prescription", "choose", "rx.json", pharmacies[1], *me, "--out", "choice.json")
    assert said.code == 0
    assert run("relay", "add", "choice.json", "--queue", "relay.db").code == 0
    assert run("relay", "run", "--drain", "--queue", "relay.db", *relayed).code == 0

    assert run("prescription", "show", "rx.json", "--json").document["pharmacy"] == pharmacies[1]
    assert run("prescription", "fill", "rx.json", "--keystore", "second.json").code == 0


@pytest.mark.parametrize(("agrees", "sends"), [("pharmacy", "second"), ("second", "pharmacy")])
def test_two_pharmacies_transfer(run: Run, issued: Said, pharmacies: list[str], agrees: str, sends: str) -> None:
    words = ("prescription", "transfer", "rx.json", pharmacies[1])
    assert run(*words, "--keystore", f"{agrees}.json", "--out", "agreed.json").code == 0
    assert run("prescription", "show", "rx.json", "--json").document["pharmacy"] == pharmacies[0]
    said = run(*words, "--keystore", f"{sends}.json", "--agreement", "agreed.json")

    assert said.code == 0, said.err
    assert run("prescription", "show", "rx.json", "--json").document["pharmacy"] == pharmacies[1]
    again = run(*words, "--keystore", f"{sends}.json", "--agreement", "agreed.json", "--json")
    assert again.code == 4


def test_agreement_is_for_one_transfer(run: Run, issued: Said, pharmacies: list[str], here: Path) -> None:
    words = ("prescription", "transfer", "rx.json")
    assert run(*words, pharmacies[1], "--keystore", "pharmacy.json", "--out", "agreed.json").code == 0

    other = run(*words, pharmacies[0], "--keystore", "second.json", "--agreement", "agreed.json")
    assert other.code == 2
    assert "is for another transfer" in other.err
    for given in ((), ("--agreement", "agreed.json", "--out", "x.json")):
        assert run(*words, pharmacies[1], "--keystore", "second.json", *given).code == 2
    (here / "agreed.json").write_text("{}")
    assert run(*words, pharmacies[1], "--keystore", "second.json", "--agreement", "agreed.json").code == 2


def test_emergency_supply_is_confirmed(run: Run, issued: Said, clinics: Words) -> None:
    by = ("--keystore", "pharmacy.json")
    early = run("prescription", "supply", "rx.json", *by, "--quantity", "6", "--json")
    assert (early.code, early.error["error"]) == (4, "SupplyNotNeeded")
    for _ in range(3):
        assert run("prescription", "fill", "rx.json", *by).code == 0
    assert run("prescription", "supply", "rx.json", *by, "--quantity", "6").code == 0
    shown = run("prescription", "show", "rx.json", "--json")
    assert (shown.code, shown.document["status"]) == (1, "completed")
    assert (shown.document["supply"]["quantity"], shown.document["supply"]["confirmed_on"]) == (6, None)
    assert run("prescription", "confirm", "rx.json", *clinics).code == 0
    assert "confirmed on" in run("prescription", "show", "rx.json").out


def test_supply_before_the_prescription_was_issued(
    run: Run, pharmacies: list[str], clinics: Words, me: Words, here: Path
) -> None:
    """By telephone: the prescriber sends the file, and issues later."""
    said = run("prescription", "issue", "request.json", *clinics, "--save", "rx.json", "--out", "signed.json")
    assert said.code == 0, said.err
    assert run("prescription", "supply", "rx.json", "--keystore", "pharmacy.json", "--quantity", "6").code == 0
    shown = run("prescription", "show", "rx.json")
    assert shown.code == 1
    assert "No prescription was issued" in shown.out
    assert "not confirmed" in shown.out
    assert run("prescription", "confirm", "rx.json", *clinics).code == 0


def test_held_with_its_prescriber(
    run: Run, issued: Said, suite: MedProof, clinic: LocalSigner, admin: LocalSigner
) -> None:
    suite.registrar.suspend(clinic.address, sender=admin)
    assert run("prescription", "recheck", "rx.json", "--keystore", "second.json").code == 0

    shown = run("prescription", "show", "rx.json", "--json")
    assert (shown.code, shown.document["status"]) == (1, "held")
    said = run("prescription", "fill", "rx.json", "--keystore", "pharmacy.json", "--json")
    assert said.error["error"] == "PrescriptionHeld"


def test_chain_that_says_more_than_the_file(
    run: Run, issued: Said, here: Path, clinics: Words, suite: MedProof
) -> None:
    """A prescriber whose chain allows more than its request: the pharmacy is told, and fills nothing."""
    sealed = SealedPrescription.from_json((here / "rx.json").read_text())
    forged = replace(sealed, salt=b"\x09" * 32)
    forged = SealedPrescription.from_json(canonical(forged.to_json()))
    terms = Terms(9, 30, date(2099, 12, 31), suite.prescriptions.state(sealed.prescription.id).pharmacy)  # type: ignore[union-attr, arg-type]
    suite.prescriptions.issue(forged.prescription, terms, sender=funded(1))
    (here / "forged.json").write_bytes(canonical(forged.to_json()))

    shown = run("prescription", "show", "forged.json", "--json")
    assert (shown.code, shown.document["differences"]) == (1, ["fills"])
    assert "Chain and file differ in fills: it is not to be filled." in run("prescription", "show", "forged.json").out
    said = run("prescription", "fill", "forged.json", "--keystore", "pharmacy.json")
    assert said.code == 2
    assert "Chain and file differ in fills. Ask the prescriber for another." in said.err


def test_unknown_prescription(run: Run, here: Path) -> None:
    said = run("prescription", "show", "0x" + "77" * 32)
    assert (said.code, said.out) == (1, "No prescription was issued under this id.\n")
    assert run("prescription", "show", "nowhere.json").code == 2
