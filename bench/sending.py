"""How fast transactions reach the chain: through the manager, beside a plain loop of web3's and the node's own ceiling.

The plain loop is what one writes first: fill in, sign, send, wait for the receipt, one by one. The ceiling is what the
node takes: transactions signed beforehand, in lists, on one connection. The manager keeps each on disk first and
follows it into its block. Then the same through batches of 100 on the chain, counted by what they do, beside the loop
that does each alone. ``make bench-sending`` prints a line for each and writes bench/results/sending.json; the exit code
is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eth_abi.abi import encode as encode_abi
from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_utils.crypto import keccak
from web3 import Web3

from bench.indexing import treatment
from bench.meter import fixed_hash
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.merkle import MerkleLog
from medproof.policy.codes import DataClass, PartyKind
from medproof.policy.word import encode
from medproof.sending import State, TransactionManager
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ROOT, LocalChain

RESULTS = ROOT / "bench" / "results" / "sending.json"
MNEMONIC = "test test test test test test test test test test test junk"
ACCOUNTS = 8  # that send side by side
BATCH = 100
BLOCK_GAS = 1_000_000_000
IN_FLIGHT = 1_000  # of an account
AT_ONCE = 250  # transactions in a list of the ceiling's
RUNS = 5
MINED_EVERY = 0.1  # seconds, where the node mines when it is told


@dataclass(frozen=True)
class Sizes:
    """How many transactions of each way in one run."""

    loop: int
    single: int
    estimated: int
    batched: int  # transactions, of BATCH each
    roots: int  # transactions with one Merkle root of BATCH each


@dataclass(frozen=True)
class Kind:
    """A kind of node, how much it is sent, and what is to be reached."""

    sizes: Sizes
    times_loop: float
    share_of_ceiling: float
    times_loop_batched: float
    mines_when_told: bool


KINDS = {
    "Anvil": Kind(Sizes(loop=200, single=8_000, estimated=2_000, batched=80, roots=1_000), 40.0, 0.75, 500.0, True),
    "Ganache": Kind(Sizes(loop=100, single=1_000, estimated=300, batched=16, roots=200), 5.0, 0.75, 12.0, False),
}
SMALL = Sizes(loop=20, single=200, estimated=40, batched=4, roots=20)


@contextmanager
def anvil() -> Iterator[str]:
    """Anvil, which mines when it is told; gives its URL."""
    with LocalAnvil("--no-mining", "--accounts", "20", "--gas-limit", str(BLOCK_GAS)) as node:
        yield node.url


@contextmanager
def ganache() -> Iterator[str]:
    """Ganache in eager mode: a block for every transaction, before it answers."""
    options = {"chain": {"vmErrorsOnRPCResponse": False}, "miner": {"blockGasLimit": hex(BLOCK_GAS)}}
    with LocalChain(options=options) as node:
        yield node.url


NODES: dict[str, Callable[[], Any]] = {"Anvil": anvil, "Ganache": ganache}


def account(number: int) -> LocalSigner:
    """One of the accounts that both nodes fund."""
    return LocalSigner.from_key(key_from_seed(seed_from_mnemonic(MNEMONIC, ""), f"m/44'/60'/0'/0/{number}"))


class Scene:
    """The suite on a node, and transactions for it; the chain's state is put back before each way of sending."""

    def __init__(self, url: str, kind: Kind, folder: Path) -> None:
        """Deploy, and accredit a clinic."""
        self.url, self.kind, self.folder = url, kind, folder
        self.chain = Chain.connect(url, timeout=600.0, poll=0.002)
        self.senders = [account(number) for number in range(1, ACCOUNTS + 1)]
        admin = account(0)
        with self.mining():
            self.suite = MedProof(
                self.chain, deploy(self.chain, admin, manifest=folder / f"{time.monotonic_ns()}.json")
            )
            until = date.today() + timedelta(days=365)
            for one in self.senders:
                self.suite.registrar.accredit(
                    one.address, PartyKind.PROVIDER, credential=fixed_hash("clinic"), valid_until=until, sender=admin
                )
        self._snapshot = self._rpc("evm_snapshot")

    def reset(self) -> None:
        """Put the chain's state back."""
        self._rpc("evm_revert", self._snapshot)
        self._snapshot = self._rpc("evm_snapshot")

    def _rpc(self, method: str, *parameters: Any) -> Any:
        return self.chain.ask([(method, list(parameters))])[0]

    @contextmanager
    def mining(self) -> Iterator[None]:
        """Have the node mine again and again, where it waits to be told."""
        stop, chain = threading.Event(), Chain.connect(self.url)

        def mine() -> None:
            while not stop.wait(MINED_EVERY):
                chain.ask([("evm_mine", [])])

        thread = threading.Thread(target=mine, daemon=True)
        if self.kind.mines_when_told:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if self.kind.mines_when_told:
                thread.join()

    # -- what is sent -------------------------------------------------------------------------------------------

    @cached_property
    def _word(self) -> int:
        return encode(treatment(self.chain))

    def grant(self, number: int) -> dict[str, Any]:
        """A rule for a grantee of its own, granted by whoever sends it."""
        data = _call("setRule(address,uint256)", ["address", "uint256"], [_address(number), self._word])
        return {"to": self.suite.consent_registry.address, "data": data}

    def grants(self, number: int) -> dict[str, Any]:
        """A hundred of them in one transaction."""
        rules = [(_address(number * BATCH + place), self._word) for place in range(BATCH)]
        data = _call("setRules((address,uint256)[])", ["(address,uint256)[]"], [rules])
        return {"to": self.suite.consent_registry.address, "data": data}

    def pointers(self, number: int) -> dict[str, Any]:
        """A hundred pointers by their Merkle root."""
        log = MerkleLog(keccak(text=f"pointer {number} {place}") for place in range(BATCH))
        data = _call("postBatch(bytes32,uint64)", ["bytes32", "uint64"], [log.root(), BATCH])
        return {"to": self.suite.record_pointers.address, "data": data}

    def pointer(self, number: int) -> dict[str, Any]:
        """One pointer."""
        values = [_address(number), DataClass.LABORATORY.bit_length() - 1, keccak(text=f"commitment {number}")]
        data = _call("post(address,uint8,bytes32)", ["address", "uint8", "bytes32"], values)
        return {"to": self.suite.record_pointers.address, "data": data}

    @cached_property
    def _signed(self) -> list[bytes]:
        """Grants that as many patients have signed."""
        registry, rule = self.suite.consent_registry, treatment(self.chain)
        clinic, made = self.senders[0].address, []
        for number in range(max(self.kind.sizes.batched * BATCH, self.kind.sizes.loop)):
            patient = LocalSigner.from_key(keccak(text=f"patient {number}"))
            message = registry.sign_grant(patient, clinic, rule)
            made.append(registry.call_data(message))
        return made

    def signed_grant(self, number: int) -> dict[str, Any]:
        """A grant that a patient has signed."""
        return {"to": self.suite.consent_registry.address, "data": "0x" + self._signed[number].hex()}

    def signed_grants(self, number: int) -> dict[str, Any]:
        """A hundred of them, relayed in one transaction."""
        calls = self._signed[number * BATCH : (number + 1) * BATCH]
        data = _call("relay(bytes[],uint256)", ["bytes[]", "uint256"], [calls, 0])
        return {"to": self.suite.consent_registry.address, "data": data}


def _call(signature: str, kinds: Sequence[str], values: Sequence[Any]) -> str:
    return "0x" + (keccak(text=signature)[:4] + encode_abi(kinds, values)).hex()


def _address(number: int) -> str:
    return "0x" + keccak(text=f"grantee {number}")[12:].hex()


# -- the ways ---------------------------------------------------------------------------------------------------


def plain_loop(scene: Scene, make: Callable[[int], Mapping[str, Any]], many: int) -> float:
    """Transactions a second of the loop that one writes first."""
    scene.reset()
    web3, sender = Web3(Web3.HTTPProvider(scene.url)), Account.from_key(bytes(scene.senders[0]._account.key))
    requests = [make(number) for number in range(many)]
    start = time.perf_counter()
    for request in requests:
        whole = {"from": sender.address, **request, "chainId": web3.eth.chain_id, "value": 0}
        whole["nonce"] = web3.eth.get_transaction_count(sender.address)
        whole["gas"] = web3.eth.estimate_gas(whole)  # type: ignore[arg-type]
        tip = web3.eth.max_priority_fee
        base = web3.eth.get_block("latest")["baseFeePerGas"]
        whole |= {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}
        raw = sender.sign_transaction(whole).raw_transaction
        sent = web3.eth.send_raw_transaction(raw)
        if scene.kind.mines_when_told:
            web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
        assert web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)["status"] == 1
    return many / (time.perf_counter() - start)


def ceiling(scene: Scene, make: Callable[[int], Mapping[str, Any]], many: int, gas: int) -> float:
    """Transactions a second that the node takes, signed beforehand."""
    scene.reset()
    fees, raws = scene.chain.fees(), []
    nonces = {one.address: scene.chain.transaction_count(one.address) for one in scene.senders}
    for number in range(many):
        sender = scene.senders[number % len(scene.senders)]
        whole = {**make(number), "value": 0, "chainId": scene.chain.chain_id, "gas": gas, **fees}
        raws.append(sender.sign_transaction({**whole, "nonce": nonces[sender.address]}))
        nonces[sender.address] += 1
    questions = [("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in raws]
    counts = [("eth_getTransactionCount", [one.address, "latest"]) for one in scene.senders]
    with scene.mining():
        start = time.perf_counter()
        for at in range(0, many, AT_ONCE):
            scene.chain.ask(questions[at : at + AT_ONCE])
        while [int(said, 16) for said in scene.chain.ask(counts)] != list(nonces.values()):
            time.sleep(scene.chain.poll)
        return many / (time.perf_counter() - start)


def managed(scene: Scene, make: Callable[[int], Mapping[str, Any]], many: int, gas: int | None) -> float:
    """Transactions a second through the manager, from submitting to every one confirmed."""
    scene.reset()
    requests = [{**make(number), **({} if gas is None else {"gas": gas})} for number in range(many)]
    file = scene.folder / f"{time.monotonic_ns()}.db"
    with closing(TransactionManager(scene.chain, file, scene.senders, in_flight=IN_FLIGHT)) as manager, scene.mining():
        start = time.perf_counter()
        manager.submit_many(requests)
        while manager.run_once():
            pass
        took = time.perf_counter() - start
        assert manager.counts()[State.CONFIRMED] == many, manager.counts()
    return many / took


# -- the figures ------------------------------------------------------------------------------------------------


def measure(name: str, folder: Path, sizes: Sizes | None, runs: int) -> dict[str, Any]:
    """One kind of node: all ways in turns, so that the machine treats them alike."""
    kind = KINDS[name] if sizes is None else Kind(**{**KINDS[name].__dict__, "sizes": sizes})
    found: dict[str, list[float]] = {}
    load = os.getloadavg()[0]

    def note(way: str, rate: float) -> float:
        found.setdefault(way, []).append(rate)
        return rate

    ratios: dict[str, list[float]] = {}

    def compare(what: str, rate: float, with_: float) -> None:
        ratios.setdefault(what, []).append(rate / with_)

    with NODES[name]() as url:
        scene = Scene(url, kind, folder)
        many = kind.sizes
        for _ in range(runs):
            loop = note("loop", plain_loop(scene, scene.grant, many.loop))
            top = note("ceiling", ceiling(scene, scene.grant, many.single, 100_000))
            rate = note("manager", managed(scene, scene.grant, many.single, 100_000))
            compare("times_loop", rate, loop)
            compare("share_of_ceiling", rate, top)
            compare(
                "times_loop_gas_estimated",
                note("manager_gas_estimated", managed(scene, scene.grant, many.estimated, None)),
                loop,
            )
            for way, alone, together, count, gas in (
                ("grants", scene.grant, scene.grants, many.batched, 4_000_000),
                ("signed_grants", scene.signed_grant, scene.signed_grants, many.batched, 6_000_000),
                ("pointers_by_root", scene.pointer, scene.pointers, many.roots, 100_000),
            ):
                base = note(f"{way}_loop", plain_loop(scene, alone, many.loop))
                compare(
                    f"{way}_times_loop",
                    note(f"{way}_in_batches", BATCH * managed(scene, together, count, gas)),
                    base,
                )
    return {
        "sizes": many.__dict__,
        "per_second": {way: round(statistics.median(rates), 1) for way, rates in found.items()},
        **{what: round(statistics.median(each), 2) for what, each in ratios.items()},
        "of_each_run": {what: [round(one, 2) for one in each] for what, each in ratios.items()},
        "load_before": round(load, 1),  # what else the machine did: processes that ran or waited for a core
        "targets": {
            "times_loop": kind.times_loop,
            "share_of_ceiling": kind.share_of_ceiling,
            "grants_times_loop": kind.times_loop_batched,
            "signed_grants_times_loop": kind.times_loop_batched,
            "pointers_by_root_times_loop": kind.times_loop_batched,
        },
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a quick run, which writes nothing")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--node", choices=NODES, action="append", help="one node alone; both where none is named")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    results: dict[str, Any] = {"nodes": {}}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results["machine"] = {
        "cores": os.cpu_count(),
        "kind": platform.machine(),
        "python": platform.python_version(),
        "accounts": ACCOUNTS,
        "batch": BATCH,
    }
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.node or NODES:
            found = measure(name, Path(folder), SMALL if options.small else None, options.runs)
            results["nodes"][name] = found
            if not (options.no_write or options.small):
                RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            for way, rate in found["per_second"].items():
                print(f"{name:8} {way:28} {rate:>10,.0f} a second")
            for what, target in found["targets"].items():
                print(f"{name:8} {what:28} {found[what]:>10,.2f} (target {target:g})", flush=True)
                if found[what] < target:
                    missed.append(what)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
