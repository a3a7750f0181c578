"""An indexer that is killed at the n-th statement that it writes: python crashing.py URL MANIFEST INDEX N."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from medproof.chain import Chain
from medproof.deployments import Deployment
from medproof.indexer import Index, Indexer
from medproof.indexer import index as module

url, manifest, where, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
run = module._Writer._run
left = count


def dying(self: Any, statement: str, rows: Any) -> None:
    global left
    run(self, statement, rows)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


chain = Chain.connect(url)
indexer = Indexer(Index(where), chain, Deployment.load(manifest))
indexer._range = 4  # many transactions in a short chain
module._Writer._run = dying  # type: ignore[method-assign]
indexer.update()
