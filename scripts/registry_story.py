"""A small registry on a local chain, for the researcher's notebook: who consents to what from February to May 2026.

python scripts/registry_story.py FOLDER          plays it, writes index.db and suite.json, keeps the chain until Ctrl-C
python scripts/registry_story.py FOLDER --run …  runs a command with the chain instead, such as jupyter lab docs

Sixty-five made-up patients sign rules that a relayer sends, a batch a week. Most let any accredited researcher use
genomic data for research on cancer, some of them non-profits alone; some refuse, some permit laboratory results only,
some withdraw.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE
from medproof.deployments import deploy
from medproof.indexer import Index, Indexer
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
from medproof.policy.word import Rule
from medproof.signing import LocalSigner, NodeSigner
from scripts.local_chain import LocalChain

FIRST = datetime(2026, 2, 2, 9, tzinfo=UTC)  # a Monday
WEEKS = 13
EACH_WEEK = 5  # patients who decide for the first time
RESEARCHER = 1  # which of the node's accounts is the non-profit researcher's
_CREDENTIAL = keccak(b"a credential that was checked")
OPTIONS = {"chain": {"vmErrorsOnRPCResponse": False, "time": FIRST.isoformat()}}


def play(url: str, folder: Path) -> MedProof:
    """Deploy the suite, let the patients decide, and index what happened: index.db and suite.json in a folder."""
    chain = Chain.connect(url, poll=0.005)
    admin, researcher = (NodeSigner(account) for account in chain.accounts()[: RESEARCHER + 1])
    suite = MedProof(chain, deploy(chain, admin, manifest=folder / "suite.json", overwrite=True), sender=admin)
    far = FIRST.date() + timedelta(days=1000)
    suite.registrar.accredit(researcher.address, PartyKind.RESEARCHER, credential=_CREDENTIAL, valid_until=far)
    for week in range(WEEKS):
        _wait_until(chain, FIRST + timedelta(weeks=week))
        signed = [
            suite.consent_registry.sign_grant(_patient(number), EVERYONE, rule(number, week))
            for number in range(week * EACH_WEEK, (week + 1) * EACH_WEEK)
        ]
        if (
            week >= 4
        ):  # who decided a month ago; every second week one of them withdraws, and one changes to non-profits
            before = (week - 4) * EACH_WEEK
            if week % 2:
                signed.append(suite.consent_registry.sign_revocation(_patient(before), EVERYONE))
            else:
                changed = rule(before + 1, week, research=ResearchUse.DS | ResearchUse.NPU)
                signed.append(suite.consent_registry.sign_change(_patient(before + 1), EVERYONE, changed))
        suite.consent_registry.relay_many(signed)
    for path in folder.glob("index.db*"):  # of a chain that is gone
        path.unlink()
    index = Index(folder / "index.db")
    try:
        Indexer(index, chain, suite.deployment).update()
    finally:
        index.close()
    return suite


def rule(number: int, week: int, *, research: ResearchUse | None = None) -> Rule:
    """What a patient decides: of five, two permit research on cancer, one to non-profits alone, one refuses, and one
    permits laboratory results."""
    kind = number % EACH_WEEK
    use = (ResearchUse.HMB, ResearchUse.DS, ResearchUse.DS | ResearchUse.NPU, ResearchUse.DS, ResearchUse.HMB)[kind]
    begins = FIRST + timedelta(weeks=week)
    return Rule(
        purposes=Purpose.HRESCH,
        classes=DataClass.LABORATORY if kind == 4 else DataClass.GENOMICS | DataClass.LABORATORY,
        conditions=Condition.NEOPLASMS,
        sensitivities=Sensitivity.NONE_LABELLED | Sensitivity.GDIS,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        party_kinds=PartyKind.RESEARCHER,
        valid_from=begins,
        valid_until=begins + timedelta(weeks=5) if number % 11 == 0 else None,  # some set an end
        data_from=date(1970, 1, 1),
        research=(use if research is None else research).with_narrower(),
        deny=kind == 3,
    )


def _patient(number: int) -> LocalSigner:
    return LocalSigner.from_key(keccak(f"made-up patient {number}".encode()))


def _wait_until(chain: Chain, moment: datetime) -> None:
    """Put the chain's clock forward."""
    chain.ask([("evm_setTime", [int(moment.timestamp() * 1000)]), ("evm_mine", [])])


def main() -> int:
    """Play the story and keep its chain, or run a command with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where index.db and suite.json go; made where there is none")
    parser.add_argument(
        "--run", nargs=argparse.REMAINDER, help="a command that gets the chain's URL, index and manifest"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with LocalChain(options=OPTIONS) as local:
        play(local.url, options.folder)
        environment = {
            "MEDPROOF_NETWORK": local.url,
            "MEDPROOF_INDEX": str(options.folder / "index.db"),
            "MEDPROOF_DEPLOYMENT": str(options.folder / "suite.json"),
        }
        if options.run:
            return subprocess.run(options.run, env={**os.environ, **environment}, check=False).returncode
        for name, value in environment.items():
            print(f"export {name}={value}")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
