"""`medproof party`: accreditation, groups and changes of account, for people and as JSON; each act once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from medproof import hashing
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run, Said
from tests.sdk.conftest import CREDENTIAL, rpc

Words = tuple[str, ...]
LAST = ("--last-day", "2090-12-31")
HASH = "0x" + "ab" * 32


@pytest.fixture
def authority(admin: LocalSigner) -> Words:
    return ("--keystore", admin.address)


@pytest.fixture
def sent(chain: Chain, admin: LocalSigner) -> Callable[[], int]:
    """How many transactions the authority has sent."""
    return lambda: chain.web3.eth.get_transaction_count(admin.address)  # type: ignore[arg-type]


@pytest.fixture
def accredit(run: Run, here: Path, fresh_account: LocalSigner, authority: Words) -> Callable[..., Said]:
    """Accredit a pharmacy by its certificate, or otherwise."""
    (here / "certificate.pdf").write_bytes(b"the certificate of accreditation")
    usual = {"--kind": "pharmacy", "--last-day": "2090-12-31", "--credential": "certificate.pdf"}

    def command(changed: dict[str, str] | None = None, *more: str) -> Said:
        settings = [word for pair in {**usual, **(changed or {})}.items() for word in pair]
        return run("party", "accredit", fresh_account.address, *settings, *authority, *more)

    return command


# -- accreditation -----------------------------------------------------------------------------------------------


def test_accredited_once(
    accredit: Callable[..., Said], suite: MedProof, here: Path, fresh_account: LocalSigner, sent: Callable[[], int]
) -> None:
    before, of = sent(), fresh_account.address
    first, told = accredit(), accredit({}, "--json")
    kept, salt = json.loads((here / "certificate.pdf.salt").read_text()), here / "certificate.pdf.salt"

    assert first.out.startswith(f"{of} is accredited as pharmacy, until 2090-12-31, in block ")
    assert "The salt is in certificate.pdf.salt" in first.err
    stored = suite.registrar.standing(of)
    assert stored is not None
    assert (stored.kind, stored.valid_until) == (PartyKind.PHARMACY, date(2090, 12, 31))
    assert suite.registrar.credential_of(of) == hashing.commit_bytes(
        b"the certificate of accreditation", bytes.fromhex(kept["salt"][2:])
    )
    assert salt.stat().st_mode & 0o777 == 0o600
    assert (told.document["unchanged"], told.document["sent"], told.document["credential"]) == (
        True,
        None,
        kept["commitment"],
    )
    assert accredit().out == f"{of} is accredited already as pharmacy, until 2090-12-31.\n"
    assert sent() == before + 1


@pytest.mark.parametrize("changed", [{"--kind": "payer"}, {"--last-day": "2091-01-01"}])
def test_another_accreditation_is_no_second_one(
    accredit: Callable[..., Said], changed: dict[str, str], fresh_account: LocalSigner
) -> None:
    assert accredit().code == 0
    said = accredit(changed)

    assert (said.code, said.out) == (2, "")
    assert f"{fresh_account.address} is accredited already: pharmacy until 2090-12-31" in said.err
    assert "medproof party renew" in said.err


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"--kind": "clinic"}, "--kind is 'clinic'. Known are provider, payer, pharmacy,"),
        ({"--kind": "ALL"}, "--kind is 'ALL'."),
        ({"--last-day": "soon"}, "--last-day is 'soon', which is no day. Write 2030-01-01."),
        ({"--last-day": "2999-01-01"}, "is no day from 1970-01-01 to 2149-06-06."),
        ({"--credential": "nowhere.pdf"}, "nowhere.pdf: No such file or directory."),
        ({"--credential": "deployments"}, "deployments: Is a directory."),
        ({"--credential-hash": HASH}, "--credential or --credential-hash is needed, one of them."),
    ],
)
def test_bad_input(accredit: Callable[..., Said], changed: dict[str, str], part: str, sent: Callable[[], int]) -> None:
    before, said = sent(), accredit(changed)

    assert (said.code, said.out, part in said.err, sent()) == (2, "", True, before), said.err


@pytest.mark.parametrize(
    "content", ["{}", "[1]", "", '{"salt": "0x00", "commitment": "0x"}', '{"salt": 1, "commitment": 2}']
)
def test_a_salt_of_something_else(accredit: Callable[..., Said], here: Path, content: str) -> None:
    (here / "certificate.pdf.salt").write_text(content)
    said = accredit()

    assert (said.code, (here / "certificate.pdf.salt").read_text()) == (2, content)
    assert "certificate.pdf.salt is not the salt of certificate.pdf as it is now." in said.err


def test_a_credential_that_changed(accredit: Callable[..., Said], here: Path) -> None:
    assert accredit().code == 0
    (here / "certificate.pdf").write_bytes(b"another")

    assert "give a new credential a file name of its own" in accredit().err


def test_by_a_hash(run: Run, suite: MedProof, fresh_account: LocalSigner, authority: Words) -> None:
    given = ("party", "accredit", fresh_account.address, "--kind", "device-maker", *LAST, *authority)

    assert run(*given, "--credential-hash", HASH).code == 0
    assert suite.registrar.credential_of(fresh_account.address).hex() == "ab" * 32
    assert "--credential-hash is no hash." in run(*given, "--credential-hash", "0xab").err
    assert "is needed, one of them" in run(*given).err


def test_the_contract_refuses(run: Run, fresh_account: LocalSigner, stranger: LocalSigner, authority: Words) -> None:
    accredit = ("party", "accredit", fresh_account.address, "--kind", "payer", "--credential-hash", HASH)
    stray = run(*accredit, *LAST, "--keystore", stranger.address)
    late = run(*accredit, "--last-day", "2001-01-01", *authority)
    nobody = run("party", "suspend", fresh_account.address, *authority)
    none = run("party", "renew", fresh_account.address, *LAST, "--credential-hash", HASH, *authority, "--json")

    assert [said.code for said in (stray, late, nobody, none)] == [4] * 4
    assert "Have the admin of the Authority grant the account the role" in stray.err
    assert "ValidityPast" in late.err
    assert "PartyUnknown" in nobody.err
    assert none.error["error"] == "PartyUnknown"
    assert "--keystore is missing. Name the key file of the account that sends." in run(*accredit, *LAST).err


def test_renewed(
    run: Run, suite: MedProof, clinic: LocalSigner, authority: Words, sent: Callable[[], int], keys: Path
) -> None:
    renew = ("party", "renew", clinic.address, *LAST, "--credential-hash", HASH, *authority)
    before, first, again = sent(), run(*renew), run(*renew, "--json")

    assert first.out.startswith(f"{clinic.address} is accredited until 2090-12-31, in block ")
    assert (again.document["unchanged"], again.document["kind"], sent()) == (True, "provider", before + 1)
    assert suite.registrar.credential_of(clinic.address).hex() == "ab" * 32


def test_suspended_and_reinstated(
    run: Run, suite: MedProof, clinic: LocalSigner, authority: Words, sent: Callable[[], int]
) -> None:
    before, of = sent(), clinic.address
    for act, first, again in (
        ("suspend", "is suspended", "is already suspended"),
        ("reinstate", "is reinstated", "is not suspended"),
    ):
        assert run("party", act, of, *authority).out.startswith(f"{of} {first}, in block ")
        assert (suite.registrar.standing(of) is None) == (act == "suspend")
        assert run("party", act, of, *authority).out == f"{of} {again}.\n"
    assert sent() == before + 2


def test_removed(run: Run, suite: MedProof, payer: LocalSigner, authority: Words, sent: Callable[[], int]) -> None:
    before, remove = sent(), ("party", "remove", payer.address, *authority)
    kept, unasked = run(*remove, answer="n\n"), run(*remove, "--json")
    assert (kept.code, unasked.code, sent()) == (2, 2, before)

    assert run(*remove, answer="y\n").out.startswith(f"{payer.address} is removed for good, in block ")
    assert suite.registrar.party(payer.address) is None
    assert run(*remove).out == f"{payer.address} was removed before.\n"
    assert "PartyUnknown" in run("party", "remove", "0x" + "5" * 40, "--yes", *authority).err
    shown = run("party", "show", payer.address, "--json")
    assert (shown.code, shown.document["state"], shown.document["kind"]) == (1, "removed", None)


# -- asking ------------------------------------------------------------------------------------------------------


def test_shown(run: Run, clinic: LocalSigner, far_day: date) -> None:
    shown, told = run("party", "show", clinic.address), run("party", "show", clinic.address, "--json")

    assert (shown.code, shown.out.count(clinic.address)) == (0, 2)
    assert told.document == {
        "party": clinic.address,
        "kind": "provider",
        "state": "active",
        "valid_until": far_day.isoformat(),
        "groups": [],
        "account": clinic.address,
        "credential": f"0x{CREDENTIAL.hex()}",
        "encryption_key": None,
        "account_offered_to": None,
        "account_ready_at": None,
    }


def test_nobody_is_shown(run: Run, stranger: LocalSigner) -> None:
    shown, told = run("party", "show", stranger.address), run("party", "show", stranger.address, "--json")

    assert (shown.code, shown.out) == (1, f"{stranger.address} is no party, and acts for none.\n")
    assert told.document == {"party": stranger.address, "state": "unknown"}
    assert "PARTY is 'clinic', which is no address." in run("party", "show", "clinic").err


def test_all_are_listed(
    run: Run, chain: Chain, authority: Words, clinic: LocalSigner, second_clinic: LocalSigner, payer: LocalSigner
) -> None:
    assert run("party", "suspend", second_clinic.address, *authority).code == 0
    assert run("party", "remove", payer.address, "--yes", *authority).code == 0
    assert run("party", "group", "join", "emergency", clinic.address, *authority).code == 0

    def states() -> list[tuple[Any, ...]]:
        found = run("party", "list", "--json").document["parties"]
        return [(one["kind"], one["state"], one["groups"]) for one in found]

    assert states() == [
        ("provider", "active", [2]),
        ("provider", "suspended", []),
        (None, "removed", []),
        ("payer", "active", []),
        ("researcher", "active", []),
    ]
    assert run("party", "list").out.count("\n") == 7  # with the header and its line
    rpc(chain, "evm_increaseTime", int(timedelta(days=1002).total_seconds()))
    rpc(chain, "evm_mine")
    assert [state for _, state, _ in states()] == ["lapsed", "suspended", "removed", "lapsed", "lapsed"]


# -- groups ------------------------------------------------------------------------------------------------------


def test_a_group(run: Run, suite: MedProof, clinic: LocalSigner, authority: Words, sent: Callable[[], int]) -> None:
    before, of = sent(), clinic.address
    made, again = (run("party", "group", "create", "Oncology", *authority, *more) for more in ((), ("--json",)))
    assert made.out == "Group 3 is Oncology. Rules name it group:3.\n"
    assert again.document == {"group": 3, "name": "Oncology", "unchanged": True}

    for name in ("emergency", "group:3"):
        assert run("party", "group", "join", name, of, *authority).code == 0
    standing = suite.registrar.standing(of)
    assert standing is not None
    assert standing.groups == (3, 2)
    assert run("party", "group", "join", "3", of, *authority).out == f"{of} is in group 3 already.\n"
    assert run("party", "group", "leave", "3", of, *authority).out.startswith(f"{of} is not in group 3, in block ")
    assert run("party", "group", "leave", "3", of, *authority, "--json").document["unchanged"]
    assert sent() == before + 4
    assert "Oncology" in run("party", "group", "list").out
    groups = run("party", "group", "list", "--json").document["groups"]
    assert [one["name"] for one in groups] == ["everyone", "emergency care", "Oncology"]


@pytest.mark.parametrize(
    ("group", "code", "part"),
    [
        ("9", 4, "GroupUnknown"),
        ("everyone", 4, "GroupUnknown"),
        ("0", 4, "GroupUnknown"),
        ("70000", 2, "GROUP is 'group:70000', which is no address."),
        ("0x" + "5" * 40, 2, "which is no group. See medproof party group list."),
    ],
)
@pytest.mark.parametrize("act", ["join", "leave"])
def test_no_group(run: Run, clinic: LocalSigner, authority: Words, act: str, group: str, code: int, part: str) -> None:
    said = run("party", "group", act, group, clinic.address, *authority)

    assert (said.code, part in said.err) == (code, True), said.err


def test_a_group_needs_a_name(run: Run, authority: Words) -> None:
    assert "NAME is empty." in run("party", "group", "create", " ", *authority).err


# -- another account ---------------------------------------------------------------------------------------------


def test_a_party_changes_its_account(
    run: Run, suite: MedProof, keys: Path, clinic: LocalSigner, fresh_account: LocalSigner, authority: Words
) -> None:
    of, to = clinic.address, fresh_account.address
    mine, fresh = ("--keystore", keys / "1.json"), ("--keystore", to)
    offered = run("party", "rotate", "offer", to, *mine)
    assert offered.out.startswith(f"{to} is offered the place of {of}, in block ")
    assert f"medproof party rotate take {of}" in offered.err
    assert run("party", "rotate", "offer", to, *mine).out == f"{to} is offered the place of {of} already.\n"
    assert run("party", "show", of, "--json").document["account_offered_to"] == to
    assert run("party", "rotate", "withdraw", *mine).code == 0
    assert "AccountChangeUnknown" in run("party", "rotate", "take", of, *fresh).err

    assert run("party", "rotate", "offer", to, *mine).code == 0
    assert "AccountChangeNotYours" in run("party", "rotate", "take", of, "--keystore", authority[1]).err
    assert run("party", "rotate", "take", of, *fresh).out.startswith(f"{to} acts for {of}, in block ")
    assert run("party", "rotate", "take", of, *fresh).out == f"{to} acts for {of} already.\n"
    assert suite.registrar.account_of(of) == to
    for named in (of, to):
        shown = run("party", "show", named, "--json").document
        assert (shown["party"], shown["account"]) == (of, to)
    assert run("party", "suspend", to, *authority, "--json").document["party"] == of
    in_use = run("party", "accredit", to, "--kind", "provider", *LAST, "--credential-hash", HASH, *authority)
    assert (in_use.code, f"as {of}" in in_use.err) == (2, True)
    assert "PartyInactive" in run("party", "rotate", "offer", to, *mine).err


def test_the_authority_recovers_an_account(
    run: Run, chain: Chain, suite: MedProof, clinic: LocalSigner, fresh_account: LocalSigner, authority: Words
) -> None:
    of, to = clinic.address, fresh_account.address
    recover, fresh = ("party", "rotate", "recover", of, "--to", to, *authority), ("--keystore", to)
    said, again = run(*recover), run(*recover, "--json")

    assert said.out.startswith(f"{to} may take the place of {of} from 2")
    assert again.document["unchanged"]
    assert run("party", "show", of, "--json").document["account_ready_at"] == again.document["ready_at"]
    assert "AccountChangeTooEarly" in run("party", "rotate", "take", of, *fresh).err
    assert run("party", "rotate", "cancel", of, *authority).code == 0
    assert run("party", "rotate", "cancel", of, *authority).code == 4
    assert run(*recover).code == 0
    rpc(chain, "evm_increaseTime", 3 * 86400)
    rpc(chain, "evm_mine")
    assert run("party", "rotate", "take", of, *fresh).code == 0
    assert suite.registrar.account_of(of) == to
