"""`medproof deploy`: it says what it will do, asks where that costs, goes on, hands over, and checks what stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.cli import deploy as command
from medproof.deployments import Deployment, Role, roles
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import LocalChain
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.cli.test_documents import replay
from tests.sdk.conftest import PLAIN, anvil_runs_here, funded, rpc
from tests.sdk.external_signers.signers import FakeLedger, FakeSigner, as_speculos, over_http
from tests.sdk.external_signers.test_ledger import PATH
from tests.sdk.publication.explorers import KEY, Explorer, etherscan, serving, sourcify
from tests.support.safes import new_safe

PUBLIC = 11155111
SALT = "0x" + "5a" * 32
ADMIN = funded(3)  # whose key file is 3.json
NEW = ("--deployment", "new.json")


@pytest.fixture(scope="module")
def public() -> Iterator[LocalChain | LocalAnvil]:
    """A chain with the number of a public one."""
    ganache = {"chain": {**PLAIN["chain"], "chainId": PUBLIC}}
    with LocalAnvil("--chain-id", str(PUBLIC)) if anvil_runs_here() else LocalChain(options=ganache) as local:
        yield local


@pytest.fixture
def on_public(public: LocalChain | LocalAnvil, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """That chain by its name, put back after the test."""
    monkeypatch.setenv("MEDPROOF_NETWORKS", "networks.json")
    assert run("network", "add", "consortium", "--url", public.url, "--chain-id", PUBLIC).code == 0
    monkeypatch.setenv("MEDPROOF_NETWORK", "consortium")
    chain = Chain.connect(public.url)
    snapshot = rpc(chain, "evm_snapshot")
    rpc(chain, "evm_mine")
    yield chain
    rpc(chain, "evm_revert", snapshot)


@pytest.fixture
def complete(run: Run, here: Path, deployment: Deployment) -> Deployment:
    """The tests' own suite, handed over, in new.json."""
    deployment.save("new.json")
    return deployment


# -- plan --------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_then_happens(run: Run, here: Path, chain: Chain, keys: Path) -> None:
    options = (*NEW, "--salt", SALT, "--admin", ADMIN.address, "--delay", 3600)
    blocks = chain.block_number()
    planned = run("deploy", "plan", *options, "--json").document
    assert (chain.block_number(), (here / "new.json").exists()) == (blocks, False)
    assert [one["name"] for one in planned["contracts"]] == list(CONTRACTS)
    assert (planned["admin"], planned["delay"], planned["salt"]) == (ADMIN.address, 3600, SALT)
    own = planned["factory"]["gas"] > 0  # none stands on this chain
    assert planned["transactions"] == own + len(CONTRACTS) + 1  # the roles
    assert planned["gas"] == planned["factory"]["gas"] + planned["calls_gas"] + sum(
        one["gas"] for one in planned["contracts"]
    )
    assert planned["cost"] == planned["gas"] * planned["price"] < planned["balance"]
    assert not planned["handed_over"]
    before = chain.balance(planned["deployer"])

    made = run("deploy", "run", *options, "--json").document
    assert {one["name"]: one["address"] for one in made["contracts"]} == planned["addresses"]
    assert chain.block_number() == blocks + planned["transactions"]
    assert 0 < before - chain.balance(planned["deployer"]) <= planned["cost"]
    assert Deployment.load("new.json").delay == 3600

    accept = ("deploy", "accept", *NEW, "--keystore", keys / "3.json")
    first = run(*accept)
    assert (first.code, "do this again after" in first.err) == (0, True)
    assert not Deployment.load("new.json").handed_over
    assert f"Next, as {ADMIN.address}: medproof deploy accept" in first.out
    rpc(chain, "evm_increaseTime", 3700)
    rpc(chain, "evm_mine")
    assert run(*accept).code == 0
    assert Deployment.load("new.json").complete


def test_a_plan_for_people(run: Run, chain: Chain) -> None:
    said = run("deploy", "plan", *NEW, "--salt", SALT, "--admin", ADMIN.address)
    assert said.code == 0
    for name in (*CONTRACTS, "roles"):
        assert f" {name} " in said.out
    many = len(CONTRACTS) + 1 + (" factory " in said.out)
    assert f"make {ADMIN.address} the admin" in said.out
    assert f"Chain 1337: {many} transactions, at most " in said.out
    assert f"Admin: {ADMIN.address}: it has to accept." in said.out
    assert f"salt {SALT}. Record: new.json." in said.out


def test_a_plan_needs_no_key(run: Run, stranger: LocalSigner) -> None:
    said = run("deploy", "plan", *NEW, "--keystore", stranger.address, "--json")
    assert said.document["deployer"] == stranger.address == said.document["admin"]


def test_whoever_has_too_little_is_warned(run: Run, chain: Chain) -> None:
    poor = LocalSigner.create().address
    said = run("deploy", "plan", *NEW, "--keystore", poor)
    assert f"{poor} may have too little: it may be asked for 0." in said.out


def test_a_safe_is_shown(run: Run, chain: Chain, admin: LocalSigner, clinic: LocalSigner) -> None:
    safe = new_safe(chain, admin, [ADMIN.address, clinic.address], 1)
    planned = run("deploy", "plan", *NEW, "--admin", safe.address, "--json").document
    assert (planned["safe"], planned["at_once"]) == ({"owners": [ADMIN.address, clinic.address], "threshold": 1}, True)
    [warning] = planned["warnings"]
    assert "one signature" in warning
    said = run("deploy", "plan", *NEW, "--admin", safe.address)
    assert "1 of 2 owners: it has its role at once." in said.out
    assert warning in said.out


def test_a_record_that_is_replaced_is_warned_of(run: Run, complete: Deployment) -> None:
    said = run("deploy", "plan", *NEW, "--overwrite")
    assert "The record in new.json is replaced. Keep a copy" in said.out
    assert "is replaced" not in run("deploy", "plan", *NEW).out


@pytest.mark.parametrize("content", ['{"kdfparams": 1}', "", "[" * 100_000, '{"format": "medproof-study"}'])
def test_what_is_no_manifest_is_never_replaced(run: Run, here: Path, chain: Chain, content: str) -> None:
    (here / "key.json").write_text(content)
    blocks = chain.block_number()
    for options in ((), ("--overwrite",)):
        said = run("deploy", "run", "--deployment", "key.json", *options)
        assert (said.code, "key.json is no manifest of a deployment" in said.err) == (3, True)
    assert ((here / "key.json").read_text(), chain.block_number()) == (content, blocks)


# -- run ---------------------------------------------------------------------------------------------------------


def test_again_it_does_nothing(run: Run, here: Path, complete: Deployment, chain: Chain) -> None:
    blocks, kept = chain.block_number(), (here / "new.json").read_bytes()
    again = run("deploy", "run", *NEW)
    assert (again.code, "All contracts stand." in again.out, "nothing to send" in again.out) == (0, True, True)
    assert again.err == ""
    assert (chain.block_number(), (here / "new.json").read_bytes()) == (blocks, kept)


def test_where_the_record_is(run: Run, here: Path, chain: Chain) -> None:
    [usual] = here.glob("deployments/local/*.json")
    kept = usual.read_bytes()
    said = run("deploy", "run", "--json")
    assert said.document["manifest"] == str(usual.relative_to(here))
    assert usual.read_bytes() == kept  # that of the tests' own suite, which stands
    usual.unlink()
    assert run("deploy", "plan", "--json").document["manifest"] == "deployments/local/1337.json"


@pytest.mark.parametrize("answer", ["", "n\n", "perhaps\n", "\n"])
def test_it_asks_where_it_costs(run: Run, here: Path, on_public: Chain, answer: str) -> None:
    blocks = on_public.block_number()
    said = run("deploy", "run", *NEW, answer=answer)
    assert (said.code, "Deploy? [y/N]" in said.err, "Nothing was signed or sent" in said.err) == (2, True, True)
    assert (on_public.block_number(), (here / "new.json").exists()) == (blocks, False)


def test_with_json_nobody_is_asked(run: Run, here: Path, on_public: Chain) -> None:
    said = run("deploy", "run", *NEW, "--json", answer="y\n")
    assert (said.code, said.error["error"]) == (2, "OptionError")
    assert not (here / "new.json").exists()


def test_on_a_public_chain_it_goes_on_with_a_yes(
    run: Run, here: Path, on_public: Chain, public: LocalChain | LocalAnvil, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("deploy", "run", "--admin", ADMIN.address, answer="y\n")
    assert said.code == 0, said.err
    assert "deploy Authority\n" in said.err
    assert f"Next, as {ADMIN.address}: medproof deploy accept --network consortium --keystore …" in said.out
    assert (here / "deployments" / f"{PUBLIC}.json").exists()
    refused = run("deploy", "accept", "--keystore", keys / "3.json", answer="n\n")
    assert (refused.code, "loses its rights" in refused.err) == (2, True)
    assert run("deploy", "accept", "--keystore", keys / "3.json", "--yes").code == 0
    assert run("deploy", "verify").code == 0

    monkeypatch.setenv("MEDPROOF_NETWORK", f"{public.url}/?key=hunter2")  # where providers have their keys
    again = run("deploy", "run", "--deployment", here / "deployments" / f"{PUBLIC}.json")
    assert again.code == 0, again.err
    assert "Next: medproof deploy verify --network … --deployment" in again.out
    assert "hunter2" not in again.out + again.err


def test_interrupted_it_says_how_to_go_on(run: Run, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    send, many = Chain.send, iter(range(100))

    def interrupted(*arguments: Any, **options: Any) -> str:
        if next(many) == 4:
            raise KeyboardInterrupt
        return send(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Chain, "send", interrupted)
        said = run("deploy", "run", *NEW)
    assert (said.code, "goes on where it stopped" in said.err) == (130, True)
    begun = Deployment.load("new.json")
    assert run("deploy", "run", *NEW).code == 0
    made = Deployment.load("new.json")
    assert made.complete
    sent = {name: entry.transaction for name, entry in begun.contracts.items()}
    assert sent
    assert {name: made.contracts[name].transaction for name in sent} == sent  # nothing was paid for twice


def test_nobody_pays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "accounts", lambda self: ())
    for words in ("plan", "run"):
        said = run("deploy", words, *NEW)
        assert (said.code, "--keystore is missing, and the node holds no account" in said.err) == (2, True)
    assert run("deploy", "accept").code == 2


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--admin", "0x1234"), 3, "no checksummed address"),
        (("--admin", "0x" + "0" * 39 + "1"), 3, "no checksummed address"),
        (("--salt", "0x12"), 3, "The salt '0x12' is none"),
        (("--salt", "'; DROP TABLE"), 3, "is none"),
        (("--factory", "somewhere"), 3, "The factory 'somewhere' is no checksummed address"),
        (("--factory", ADMIN.address), 3, "There is no factory at"),
        (("--delay", "-1"), 2, "--delay"),
        (("--delay", str(1 << 32)), 3, "is none. Give seconds"),
        (("--network", "nowhere"), 2, "no network's name"),
        (("--network", "http://127.0.0.1:9"), 3, "does not answer"),
        (("--keystore", "/no/such/key.json"), 2, "cannot be read"),
        (("--keystore", "trezor:"), 2, "cannot be read"),
    ],
)
def test_it_stops_with_a_sentence(
    run: Run, here: Path, chain: Chain, options: tuple[str, ...], code: int, says: str
) -> None:
    blocks = chain.block_number()
    said = run("deploy", "run", *NEW, *options)
    assert (said.code, says in said.err) == (code, True), said.err
    assert (chain.block_number(), (here / "new.json").exists()) == (blocks, False)


# -- accept, verify ----------------------------------------------------------------------------------------------


def test_verify_finds_an_intruder(
    run: Run, complete: Deployment, chain: Chain, admin: LocalSigner, stranger: LocalSigner
) -> None:
    assert run("deploy", "verify", *NEW).code == 0
    authority = roles.Authority(chain, complete)
    chain.transact(authority.contract, "grantRole", (0, stranger.address, 0), sender=admin)
    said = run("deploy", "verify", *NEW, "--json")
    assert (said.code, said.document["good"]) == (1, False)
    assert any(stranger.address in one["said"] for one in said.document["findings"] if one["state"] == "bad")


def test_verify_of_what_is_not_there(run: Run, here: Path, deployment: Deployment) -> None:
    moved = deployment.having("Devices", deployment.contracts["Registrar"])
    moved.save("new.json")
    said = run("deploy", "verify", *NEW)
    assert (said.code, "not this build of Devices" in said.out) == (1, True)
    assert run("deploy", "verify", "--deployment", "none.json").code == 3
    (here / "odd.json").write_text("[" * 100_000)
    assert run("deploy", "verify", "--deployment", "odd.json").code == 3


def test_what_is_left_to_the_admin(
    run: Run, here: Path, complete: Deployment, monkeypatch: pytest.MonkeyPatch, chain: Chain, stranger: LocalSigner
) -> None:
    """A role of a newer package: others may not set it any more, and a Safe's owners get it as a file."""
    newer = (*roles.ROLES, Role(9, "NEWER", "Registrar", ("rotate(address)",)))
    monkeypatch.setattr(roles, "ROLES", newer)
    blocks = chain.block_number()
    by = ("--keystore", stranger.address)
    said = run("deploy", "run", *NEW, *by, "--safe-file", "left.json")
    assert (said.code, chain.block_number()) == (0, blocks)
    assert f"Left to {complete.admin}, the admin:\n  label role NEWER" in said.out
    left = run("deploy", "plan", *NEW, *by, "--json").document["left"]
    built = json.loads((here / "left.json").read_text())
    assert [(one["to"], one["data"]) for one in built["transactions"]] == [(one["to"], one["data"]) for one in left]
    assert len(left) >= 2
    assert built["chainId"] == "1337"
    assert "Written to left.json" in said.out
    monkeypatch.undo()


# -- signers -----------------------------------------------------------------------------------------------------


def test_clef_deploys_and_a_ledger_accepts(
    run: Run, here: Path, chain: Chain, stranger: LocalSigner, keys: Path
) -> None:
    clef, ledger = FakeSigner("clef", stranger._account, 1337), FakeLedger(ADMIN._account, PATH)
    with over_http(clef) as url, as_speculos(ledger) as place:
        said = run("deploy", "run", *NEW, "--signer", f"clef:{url}", "--admin", ADMIN.address)
        assert said.code == 0, said.err
        assert clef.asked.count("account_signTransaction") == chain.transaction_count(stranger.address)
        waiting = run("deploy", "verify", *NEW)
        assert (waiting.code, "medproof deploy accept" in waiting.out) == (0, True)
        other = run("deploy", "accept", *NEW, "--keystore", keys / "4.json")
        assert (other.code, "Accept as that account" in other.err) == (3, True)
        done = run("deploy", "accept", *NEW, "--signer", f"ledger:@{place}", "--json").document
    assert (done["handed_over"], done["complete"], done["admin"]) == (True, True, ADMIN.address)
    made = Deployment.load("new.json")
    assert (made.complete, made.deployer, made.admin) == (True, stranger.address, ADMIN.address)
    found = run("deploy", "verify", *NEW, "--json").document
    assert {one["what"]: one["state"] for one in found["findings"]}["deployer"] == "good"
    assert run("deploy", "plan", *NEW, "--keystore", ADMIN.address, "--json").document["handed_over"]
    assert f"Admin: {ADMIN.address}.\n" in run("deploy", "plan", *NEW, "--keystore", ADMIN.address).out


def test_what_a_signer_alters_is_not_sent(run: Run, here: Path, chain: Chain, stranger: LocalSigner) -> None:
    clef = FakeSigner("clef", stranger._account, 1337)
    clef.change = lambda transaction: {**transaction, "value": 1}
    blocks = chain.block_number()
    with over_http(clef) as url:
        said = run("deploy", "run", *NEW, "--signer", f"clef:{url}")
    assert (said.code, "another transaction" in said.err) == (3, True)
    assert chain.block_number() == blocks


# -- publish -----------------------------------------------------------------------------------------------------


@pytest.fixture
def at_sourcify(deployed: tuple[Chain, Deployment]) -> Iterator[Explorer]:
    with serving(Explorer(*deployed), sourcify) as explorer:
        explorer.matches = lambda *about: True  # type: ignore[method-assign]  # compiled in tests/sdk/publication
        yield explorer


@pytest.fixture
def at_etherscan(deployed: tuple[Chain, Deployment]) -> Iterator[Explorer]:
    with serving(Explorer(*deployed), etherscan) as explorer:
        explorer.matches = lambda *about: True  # type: ignore[method-assign]
        yield explorer


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explorer is asked again without a pause."""
    publish = command.publish_sources
    monkeypatch.setattr(command, "publish_sources", lambda *given: publish(*given, pause=0))


def test_published_and_again(run: Run, at_sourcify: Explorer, at_once: None, deployment: Deployment) -> None:
    first = run("deploy", "publish", "--to", f"sourcify:{at_sourcify.url}")
    assert first.code == 0, first.err
    assert f"All {len(CONTRACTS)} contracts are published." in first.out
    assert set(at_sourcify.known) == {one.address for one in deployment.contracts.values()}
    again = run("deploy", "publish", "--to", f"sourcify:{at_sourcify.url}", "--json").document
    assert {one["match"] for one in again["published"]} == {"already"}
    assert "was published already" in run("deploy", "publish", "--to", f"sourcify:{at_sourcify.url}").err


def test_etherscans_key_is_in_the_environment_alone(
    run: Run, at_etherscan: Explorer, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("deploy", "publish", "--to", f"etherscan:{at_etherscan.url}")
    monkeypatch.setenv("MEDPROOF_EXPLORER_KEY", "hunter2")
    refused = run(*at)
    assert (refused.code, "Invalid API Key" in refused.err, "hunter2" in refused.err + refused.out) == (3, True, False)
    monkeypatch.setenv("MEDPROOF_EXPLORER_KEY", KEY)
    assert {one["match"] for one in run(*at, "--json").document["published"]} == {"code"}
    monkeypatch.delenv("MEDPROOF_EXPLORER_KEY")
    said = run("deploy", "publish", "--to", "etherscan")
    assert (said.code, "Set MEDPROOF_EXPLORER_KEY" in said.err) == (2, True)


@pytest.mark.parametrize(
    "to", ["blockscout", "", "https://127.0.0.1:9", "Sourcify", "sourcify:ftp://h", "etherscan:http://["]
)
def test_no_explorer(run: Run, to: str) -> None:
    said = run("deploy", "publish", "--to", to)
    assert said.code == 2, said.err
    assert "Known are sourcify and etherscan" in said.err or "names no URL" in said.err


def test_inputs_are_written(run: Run, here: Path, deployment: Deployment) -> None:
    said = run("deploy", "publish", "--write-inputs", "inputs", "--json").document
    assert (said["explorer"], said["published"]) == (None, [])
    assert {one["contract"]: one["keccak256"] for one in said["inputs"]} == {
        name: entry.input_hash for name, entry in deployment.contracts.items()
    }
    for one in said["inputs"]:
        assert json.loads(Path(one["file"]).read_bytes())["language"] == "Solidity"
    assert "--standard-json" in run("deploy", "publish", "--write-inputs", "inputs").out


# -- secrets -----------------------------------------------------------------------------------------------------

SECRET = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"  # of nobody


@pytest.mark.parametrize(
    "given",
    [
        SECRET,
        f"0x{SECRET}",
        f"clef:{SECRET}",
        f"clef:http://127.0.0.1:1#0x{SECRET}",
        f"ledger:{SECRET}",
        "clef:http://user:hunter2@127.0.0.1:1",
        "web3signer:https://user:hunter2@127.0.0.1:1#0x" + "12" * 20,
    ],
)
@pytest.mark.parametrize("option", ["--signer", "--keystore", "--relay-as"])
def test_a_secret_is_refused_and_not_repeated(run: Run, option: str, given: str) -> None:
    for words in (("deploy", "run", option, given), ("deploy", "run", f"{option}={given}")):
        said = run(*words)
        assert said.code == 2
        assert "A secret stands on the command line" in said.err
        assert SECRET not in said.out + said.err
        assert "hunter2" not in said.out + said.err


def test_nor_is_one_of_the_environment_repeated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDPROOF_KEYSTORE", f"0x{SECRET}")
    said = run("deploy", "run", *NEW)
    assert (said.code, SECRET in said.out + said.err) == (2, False)


def test_a_password_opens_the_payers_file(run: Run, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = run("deploy", "plan", *NEW, "--keystore", keys / "5.json", "--json").document
    assert planned["deployer"] == funded(5).address
    monkeypatch.setenv("MEDPROOF_PASSWORD", PASSWORD + "x")
    assert run("deploy", "run", *NEW, "--keystore", keys / "5.json").code == 2


def test_the_page_runs(on_public: Chain, run: Run, here: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/deploying.md, as it stands."""
    (here / "deployer.json").write_bytes((keys / "5.json").read_bytes())
    (here / "admin.json").write_bytes((keys / "3.json").read_bytes())
    names = {"DEPLOYER": funded(5).address, "ADMIN": ADMIN.address}
    assert replay("docs/deploying.md", run, names, monkeypatch) == 6
