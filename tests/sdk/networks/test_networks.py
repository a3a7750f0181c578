"""Networks by name, in the package and in a file of one's own; the examination of a node."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import NetworkFileError, UnknownNetworkError, WrongChainError
from medproof.examination import Finding, State, examine_node
from medproof.key_file import rewriting
from medproof.networks import Network, add_network, network_named, networks, networks_file
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.chain.odd_node import Call, odd_node

OURS = Network("consortium", "http://127.0.0.1:1/v3/0123456789abcdef", 7777, 2, "finalized", "", ours=True)


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings" / "networks.json"
    monkeypatch.setenv("MEDPROOF_NETWORKS", str(path))
    return path


def state_of(findings: list[Finding], what: str) -> tuple[State, str]:
    [found] = [one for one in findings if one.what == what]
    return found.state, found.said + found.step


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEDPROOF_NETWORKS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert networks_file() == tmp_path / "medproof" / "networks.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert networks_file() == Path.home() / ".config" / "medproof" / "networks.json"


@pytest.mark.usefixtures("own_file")
def test_those_of_the_package() -> None:
    known = networks()
    assert {name: one.chain_id for name, one in known.items()} == {
        "ganache": 1337,
        "anvil": 31337,
        "sepolia": 11155111,
        "hoodi": 560048,
        "base-sepolia": 84532,
    }
    assert not any(one.ours for one in known.values())
    assert all(one.finality == "finalized" and not one.url for one in known.values() if one.explorer)


def test_ones_own_is_kept_and_found(own_file: Path) -> None:
    assert add_network(OURS) == own_file
    assert network_named("consortium") == OURS
    assert own_file.stat().st_mode & 0o777 == 0o600  # a URL may hold a key
    assert add_network(OURS) == own_file  # again: the same
    assert json.loads(own_file.read_text())["networks"] == [
        {
            "name": "consortium",
            "chainId": 7777,
            "url": OURS.url,
            "confirmations": 2,
            "finality": "finalized",
            "explorer": "",
        }
    ]


@pytest.mark.usefixtures("own_file")
def test_ones_own_describes_a_known_one_anew() -> None:
    add_network(Network("sepolia", "http://127.0.0.1:1", 11155111, 12, 12, ours=True))
    assert network_named("sepolia").confirmations == 12
    assert network_named("ganache").chain_id == 1337


def test_the_environments_url_wins(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_network(OURS)
    monkeypatch.setenv("MEDPROOF_CONSORTIUM_URL", "http://127.0.0.1:2")
    assert network_named("consortium").url == "http://127.0.0.1:2"


@pytest.mark.usefixtures("own_file")
def test_another_chain_behind_a_name_is_refused(node: LocalChain) -> None:
    add_network(Network("ours", node.url, 7777, 1, 1, ours=True))
    with pytest.raises(WrongChainError, match="7777"):
        Chain.connect("ours")


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no JSON": (lambda said: "{", "is no JSON text"),
    "another format": (lambda said: said | {"format": "x"}, "format is not"),
    "a version to come": (lambda said: said | {"version": 2}, "version is not 1"),
    "more than is known": (lambda said: said | {"more": 1}, "members that are not known"),
    "no list": (lambda said: said | {"networks": {}}, "networks is no list"),
    "a name twice": (lambda said: said | {"networks": said["networks"] * 2}, "names a network twice"),
    **{
        f"{member} {value!r}": (
            lambda said, member=member, value=value: said | {"networks": [said["networks"][0] | {member: value}]},
            f"networks[0].{member}",
        )
        for member, value in (
            ("name", "Our Net"),
            ("name", "../x"),
            ("url", "file:///etc/passwd"),
            ("url", 5),
            ("explorer", "javascript:alert(1)"),
            ("chainId", 0),
            ("chainId", "1"),
            ("chainId", True),
            ("confirmations", 0),
            ("confirmations", -1),
            ("finality", "soon"),
            ("finality", 0),
            ("finality", True),
            ("finality", None),
        )
    },
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_named_and_shows_no_key(broken: str, own_file: Path) -> None:
    add_network(OURS)
    change, said = BROKEN[broken]
    content = change(json.loads(own_file.read_text()))
    own_file.write_text(content if isinstance(content, str) else json.dumps(content))
    before = own_file.read_bytes()
    for act in (networks, lambda: network_named("consortium"), lambda: add_network(OURS)):
        with pytest.raises(NetworkFileError) as caught:
            act()
        assert said in str(caught.value)
        assert str(own_file) in str(caught.value)
        assert "0123456789abcdef" not in str(caught.value)
    assert own_file.read_bytes() == before


def test_a_url_needs_no_file(own_file: Path) -> None:
    own_file.parent.mkdir()
    own_file.write_text("{")
    assert network_named("http://127.0.0.1:1").chain_id is None


def test_what_cannot_be_described_is_not_written(own_file: Path) -> None:
    for wrong in (Network("Ours", "", 1, 1, 1), Network("ours", "ftp://x", 1, 1, 1), Network("ours", "", 1, 1, "soon")):
        with pytest.raises(NetworkFileError):
            add_network(wrong)
    assert not own_file.exists()


def test_what_another_adds_meanwhile_stays(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def after_another(path: Path) -> Any:
        monkeypatch.setattr("medproof.networks.rewriting", rewriting)
        add_network(Network("theirs", "", 8888, ours=True))
        return rewriting(path)

    monkeypatch.setattr("medproof.networks.rewriting", after_another)
    assert add_network(Network("ours", "", 7777, ours=True)) == own_file
    assert {"ours", "theirs"} <= set(networks())


def test_a_file_that_nobody_can_write(own_file: Path) -> None:
    own_file.parent.write_text("in the way")
    with pytest.raises(NetworkFileError, match="cannot be"):
        add_network(OURS)


def test_unknown_names_say_what_is_known(own_file: Path) -> None:
    add_network(OURS)
    with pytest.raises(UnknownNetworkError, match="consortium"):
        network_named("consortum")


def test_a_good_node(node: LocalChain) -> None:
    found = list(examine_node(Network("ours", node.url, 1337, 1, "finalized")))
    assert [one.what for one in found] == [
        "node", "chain id", "clock", "blocks", "syncing", "finality", "fees", "proofs", "events",
    ]  # fmt: skip
    assert {one.state for one in found if one.what != "blocks"} == {State.GOOD}
    assert "Ganache" in state_of(found, "node")[1]


def test_a_node_by_its_url_may_be_any_chain(node: LocalChain) -> None:
    assert state_of(list(examine_node(network_named(node.url))), "chain id")[0] is State.DOUBTFUL


def test_another_chain(node: LocalChain) -> None:
    [found] = examine_node(Network("ours", node.url, 7777))
    assert (found.what, found.state) == ("chain id", State.BAD)


def test_nobody_there(unused_port: int) -> None:
    [found] = examine_node(Network("ours", f"http://127.0.0.1:{unused_port}", 7777))
    assert (found.what, found.state) == ("node", State.BAD)


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [(3600, State.BAD, "in the future"), (-3600, State.DOUBTFUL, "development chain"), (0, State.GOOD, "one every")],
)
def test_clocks(node: LocalChain, chain: Chain, ahead: int, state: State, said: str) -> None:
    now = chain.timestamp() - ahead
    found = list(examine_node(Network("ours", node.url, 1337), now=lambda: now))
    assert state_of(found, "blocks")[0] is state
    assert said in state_of(found, "blocks")[1]


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (3600, State.BAD, "s ahead of"),
        (-3600, State.BAD, "s behind"),
        (0, State.GOOD, "agree"),
        (8, State.GOOD, "agree"),
    ],
)
def test_the_clock_of_a_node(node: LocalChain, ahead: int, state: State, said: str) -> None:
    found = list(examine_node(Network("ours", node.url, 1337), now=lambda: time.time() - ahead))
    assert state_of(found, "clock")[0] is state
    assert said in state_of(found, "clock")[1]


@pytest.mark.parametrize(
    "date", ["", "soon", "Sun, 99 Nov 2026 15:36:18 GMT", "1 Jan 99999999999999999999 00:00:00 GMT"]
)
def test_a_node_that_does_not_tell_its_time(date: str, node: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    with odd_node(lambda call: ..., upstream=node.url) as asked:
        found = list(examine_node(Network("ours", asked.url, 1337)))
    assert state_of(found, "clock") == (State.GOOD, "the node does not tell its time")


REFUSALS: dict[str, tuple[str, Any, State, str]] = {
    "eth_getProof": ("proofs", "the method eth_getProof does not exist", State.DOUBTFUL, "gives none"),
    "eth_getLogs": ("events", "query returned more than 10000 results", State.DOUBTFUL, "halved"),
    "eth_syncing": ("syncing", {"currentBlock": "0x1", "highestBlock": "0x2"}, State.DOUBTFUL, "behind"),
    "eth_getBlockByNumber": ("blocks", "header not found", State.BAD, "another"),
}


@pytest.mark.parametrize("method", REFUSALS)
def test_a_node_that_cannot_do_all(node: LocalChain, method: str) -> None:
    what, answer, state, said = REFUSALS[method]

    def odd(call: Call) -> Any:
        if method.encode() not in call.body:
            return ...
        several = call.body.startswith(b"[")
        given = call.error(answer, code=-32601) if isinstance(answer, str) else call.result(answer)
        return b"[" + given + b"]" if several else given

    with odd_node(odd, upstream=node.url) as asked:
        found = list(examine_node(Network("ours", asked.url, 1337)))
    assert state_of(found, what)[0] is state
    assert said in state_of(found, what)[1]


def test_a_chain_without_finality(node: LocalChain) -> None:
    def odd(call: Call) -> Any:
        return call.error("'finalized' tag not supported") if b'"finalized"' in call.body else ...

    with odd_node(odd, upstream=node.url) as asked:
        found = list(examine_node(Network("ours", asked.url, 1337, 1, "finalized")))
    assert state_of(found, "finality")[0] is State.BAD
    assert "--finality" in state_of(found, "finality")[1]


def test_the_gas_of_a_grant_is_the_measured_one() -> None:
    from medproof import examination

    measured = json.loads((ROOT / "bench" / "results" / "gas.json").read_text())
    assert str(examination._GRANT_GAS) in json.dumps(measured)
