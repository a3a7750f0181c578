"""Tell the story: on a local chain, on a running node, or inside Brownie.

make demo                                             a chain of its own, HL7's example records
make demo BUNDLE=patient.json                         your own FHIR bundle
make demo URL=http://127.0.0.1:8545                   a node that runs already
make brownie ARGS="run demo --network ganache-cli"    the same story as a Brownie script
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import cast

if __package__ in (None, ""):  # started as a file, or by Brownie
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.markup import escape
from web3 import HTTPProvider

from medproof import fhir
from medproof.chain import Chain, Sender
from medproof.errors import MedProofError
from medproof.signing import LocalSigner, NodeSigner
from scripts.local_chain import ROOT
from scripts.material import choose_claim, choose_prescription, choose_records, load_all
from scripts.story import Story

EXAMPLES = ROOT / "node_modules" / "hl7.fhir.r4.examples"
EXAMPLE_RECORDS = (  # of HL7's patient "example"
    "Observation-blood-pressure",
    "Condition-example",
    "Encounter-example",
    "Immunization-example",
    "Observation-bmi",
    "DiagnosticReport-ultrasound",
    "AllergyIntolerance-example",
    "Procedure-example",
)
EXAMPLE_CLAIM = "Claim-100150"
EXAMPLE_PRESCRIPTION = "MedicationRequest-medrx0331"
MANIFEST = ROOT / "deployments" / "local" / "demo.json"
RECORDS = 8


def tell(url: str, *, bundle: str | None, limit: int, keystore: str | None) -> bool:
    """Tell the story on the chain at `url`; returns whether every expectation held."""
    resources = load_all(Path(bundle)) if bundle else [example(name) for name in EXAMPLE_RECORDS]
    records = choose_records(resources, limit)
    if not records:
        raise MedProofError(f"{bundle} holds no record of a patient. Give a FHIR R4 bundle with a patient's records.")
    claim = choose_claim(resources) or example(EXAMPLE_CLAIM)
    prescription = choose_prescription(resources) or example(EXAMPLE_PRESCRIPTION)
    chain = Chain.connect(url)
    console = Console(width=None if sys.stdout.isatty() else 100)
    story = Story(console, chain, payer_of(chain, keystore), MANIFEST, records, claim, prescription)
    source = escape(bundle) if bundle else "HL7's own FHIR R4 examples"
    story.console.print(f"[bold]MedProof[/]: a story on chain {chain.chain_id}, told with {source}", highlight=False)
    return story.tell()


def example(name: str) -> fhir.Resource:
    """One of HL7's examples."""
    return fhir.load(EXAMPLES / f"{name}.json")


def payer_of(chain: Chain, keystore: str | None) -> Sender:
    """Who pays: a key file's account, or the development node's first account."""
    if keystore:
        return LocalSigner.from_keystore(keystore, os.environ.get("MEDPROOF_PASSWORD") or _password(keystore))
    accounts = chain.accounts()
    if not accounts:
        raise MedProofError("The node holds no account that could pay. Give a key file with --keystore.")
    return NodeSigner(accounts[0])


def _password(keystore: str) -> str:
    if not Path(keystore).is_file():
        return ""  # that it cannot be read is said before the password is tried
    if not sys.stdin.isatty():
        raise MedProofError(f"Nobody is there to ask for the password of {keystore}. Set MEDPROOF_PASSWORD.")
    return getpass("Password: ")


def brownie_url() -> str:
    """The URL of the node that Brownie is connected to."""
    from brownie import web3

    return str(cast(HTTPProvider, web3.provider).endpoint_uri)


def positive(text: str) -> int:
    """A number of records from a command line."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main() -> None:
    """Tell the story on the chain that Brownie is connected to: ``brownie run demo``."""
    arguments = ["--url", brownie_url()]
    if os.environ.get("BUNDLE"):
        arguments += ["--bundle", os.environ["BUNDLE"]]
    if code := command_line(arguments):
        raise SystemExit(code)


def command_line(argv: Sequence[str] | None = None) -> int:
    """Tell the story as the command line says; the exit code is 0 only when every expectation held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="a FHIR R4 bundle (JSON) with a patient's records; HL7's examples by default")
    parser.add_argument("--url", default=os.environ.get("CHAIN_URL"), help="the node; the chain that make started")
    parser.add_argument("--records", type=positive, default=RECORDS, help=f"records to point to at most ({RECORDS})")
    parser.add_argument("--keystore", help="key file of the account that pays, where the node holds none")
    options = parser.parse_args(argv)
    if not options.url:
        parser.error("no node is named: run `make demo`, or give --url http://…")
    try:
        held = tell(options.url, bundle=options.bundle, limit=options.records, keystore=options.keystore)
    except MedProofError as error:
        print(f"The story stops: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nThe story was interrupted.", file=sys.stderr)
        return 130
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(command_line())
