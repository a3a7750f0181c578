"""A clinic of the story with all it needs to serve records: a store, an access log, and a gatekeeper that listens."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from eth_utils.crypto import keccak

from medproof.access.entry_log import EntryLog
from medproof.access.export import LogLine
from medproof.access.verification import Finding, verify
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, MedProofError
from medproof.fhir import Resource
from medproof.gateway import Claims, Gatekeeper, GatekeeperClient, Settings
from medproof.gateway.device_client import DeviceClient, ReadingOutcome
from medproof.gateway.server import server_of
from medproof.hashing import new_salt
from medproof.reading import Reading
from medproof.signing import LocalSigner, Signer
from medproof.store import KeyRing, MasterKey, SqlStore
from scripts.stage import Organisation

_HOST = "127.0.0.1"
_PATIENCE = 90.0  # seconds for a server to begin, and for a pointer to be posted


class Clinic:
    """A gatekeeper at a free port of this machine, for as long as the `with` lasts."""

    def __init__(self, suite: MedProof, organisation: Organisation, folder: Path, *, terms: str) -> None:
        """Prepare it; `terms` is the consent form that it knows to hold nothing finer."""
        self.organisation, self._suite = organisation, suite
        self.front_desk = LocalSigner.from_key(new_salt())  # posts the records that come in
        self._socket = socket.create_server((_HOST, 0))
        self.origin = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        promises = LocalSigner.from_key(new_salt())  # all that the server needs to sign what it promises its readers
        suite.access_log.open(0, promises.address, sender=organisation.signer)
        keys = KeyRing(MasterKey(new_salt()))
        self.store = SqlStore(folder / "records.db", keys)
        self.log = EntryLog(
            folder / "records.db",
            keys,
            custodian=organisation.id,
            domain=suite.access_log.domain,
            signer=promises,
        )
        settings = Settings(
            self.origin,
            writers=frozenset({self.front_desk.address}),
            plain_terms=frozenset({keccak(text=terms)}),
            max_block_age=None,  # a local chain makes a block when something is sent
            refresh=0.0,
            clock_skew=0,
            batch_size=1,  # the story shows each pointer with its gas
        )
        self.gatekeeper = Gatekeeper(suite, self.store, settings, sender=organisation.signer, entry_log=self.log)
        self._server = server_of(self.gatekeeper, host=_HOST, port=0)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        logging.getLogger("medproof.gateway").propagate = False
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        self._thread.start()
        wait_for(lambda: self._server.started, "The gatekeeper does not start.")
        time.sleep(1)  # what was signed before it started is refused, and times are whole seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, and close."""
        self._server.should_exit = True
        self._thread.join()
        self.gatekeeper.close()
        self.log.close()
        self.store.close()

    @contextmanager
    def visited_by(self, signer: Signer, claims: Claims) -> Iterator[GatekeeperClient]:
        """A client for an account that asks for this purpose."""
        with GatekeeperClient(self.origin, self._suite, signer, claims=claims) as client:
            yield client

    def refusal(self, signer: Signer, claims: Claims, record: Resource) -> str:
        """Why the gatekeeper refuses a record to an account; "served" where it does not."""
        with self.visited_by(signer, claims) as client:
            try:
                client.fetch(record.resource_type, str(record.id))
            except GatekeeperRefusalError as refusal:
                return refusal.code
        return "served"

    def settle(self) -> None:
        """Wait until every pointer is on the chain.

        One at a time: Ganache may leave a request unanswered that comes while it makes a block.
        """
        poster = self.gatekeeper.poster
        assert poster is not None
        wait_for(lambda: not poster.open, "The pointers were not posted.")

    def anchor_log(self) -> None:
        """Anchor the access log as it stands, without waiting for its hour."""
        anchorer = self.gatekeeper.anchorer
        assert anchorer is not None
        anchorer.work()

    def take_readings(self, readings: Sequence[Reading]) -> list[ReadingOutcome]:
        """Send the readings of a device over HTTP; returns what became of each."""
        with DeviceClient(self.origin) as client:
            return list(client.send(readings))

    def anchor_readings(self) -> None:
        """Anchor the log of readings as it stands."""
        assert self.gatekeeper.readings is not None
        self.gatekeeper.readings.anchorer.work()

    def check_copy(self, lines: Sequence[LogLine]) -> Finding | None:
        """What is wrong with a copy of the access log, as an auditor finds it from the chain."""
        custodian = self.organisation.id
        key = self._suite.access_log.signer(custodian, log=self.log.number)
        assert key is not None
        return verify(
            lines,
            custodian=custodian,
            log=self.log.number,
            batches=self._suite.batch_anchor.batches(custodian, log=self.log.number),
            signed=lambda promise: promise.is_by(self._suite, key),
            now=int(time.time()),
        ).finding


def wait_for(done: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is done.

    Raises:
        MedProofError: it takes too long; the text says what.
    """
    limit = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > limit:
            raise MedProofError(f"{otherwise} Tell the story again.")
        time.sleep(0.01)
