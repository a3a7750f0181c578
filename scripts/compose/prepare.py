"""Write what the network of compose.yaml stands on: keys, genesis, secrets, certificate. Again, nothing is changed.

    .venv/bin/python scripts/compose/prepare.py                       for trying it on one machine
    docker compose --env-file network/compose.env up --build --detach

Everything goes into the folder `network`, which git does not see, for the account alone that the containers run as.
What is there stays, so that keys from a ceremony (docs/operating.md) are put in place first; whatever is interrupted is
gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import rlp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from eth_keys.datatypes import PrivateKey
from eth_utils.conversions import to_bytes

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from medproof.errors import MedProofError
from medproof.key_file import rewriting
from medproof.signing import LocalSigner
from medproof.store import MasterKey

CHAIN_ID = 7777
NODES = ("node-1", "node-2", "node-3", "node-4")  # QBFT outlives one of four
SUBNET = "172.28.77"
CLINICS = ("clinic-1", "clinic-2")
ACCOUNTS = ("deployer", "admin", "relayer", *CLINICS)  # they send, and so have ether from the genesis on
LOG_KEYS = tuple(f"{clinic}-log" for clinic in CLINICS)  # they sign promises, and send nothing
DATABASES = ("index", *CLINICS)

_ETHER = 10**18
_FUNDS = 1_000_000 * _ETHER
_GAS_LIMIT = 30_000_000
_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"  # what Besu tells QBFT's blocks by
_VANITY = bytes(32)
_PORT = 30303
_DAYS = 825  # that a certificate counts, as browsers allow at most


class PrepareError(MedProofError):
    """The network's files do not fit together."""


def extra_data(validators: Sequence[str]) -> bytes:
    """The genesis block's extraData for QBFT: vanity, validators, no vote, round 0, no seals, in RLP."""
    return bytes(rlp.encode([_VANITY, sorted(to_bytes(hexstr=one) for one in validators), [], 0, []]))


def genesis(validators: Sequence[str], accounts: Sequence[str]) -> dict[str, object]:
    """The genesis of a QBFT chain with ordinary fees, up to London: what the suite's bytecode runs on.

    Args:
        validators: addresses of the nodes that seal.
        accounts: addresses that have ether from the start.
    """
    return {
        "config": {
            "chainId": CHAIN_ID,
            "berlinBlock": 0,
            "londonBlock": 0,
            "qbft": {"blockperiodseconds": 2, "epochlength": 30_000, "requesttimeoutseconds": 4},
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "extraData": "0x" + extra_data(validators).hex(),
        "gasLimit": hex(_GAS_LIMIT),
        "difficulty": "0x1",
        "mixHash": _MIX_HASH,
        "coinbase": "0x" + "0" * 40,
        "alloc": {one[2:].lower(): {"balance": hex(_FUNDS)} for one in accounts},
    }


def prepare(folder: Path, *, user: tuple[int, int]) -> list[str]:
    """Write what is missing.

    Args:
        folder: where to.
        user: the account and the group that the containers run as.

    Returns:
        The files that were written, as paths below the folder.

    Raises:
        PrepareError: the containers would run as root, or the genesis is of others than those whose keys are here.
        KeystoreError: a file cannot be written.
    """
    if not all(user):
        raise PrepareError("Containers do not run as root. Name another account and group: --user 1000:1000.")
    written: list[str] = []
    folders = ("keys", "secrets", "tls", "state", "relayer", "backups", "postgres", "prometheus", *CLINICS, *NODES)
    for name in (".", *folders, *(f"{node}/data" for node in NODES)):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def once(name: str, make: Callable[[], str]) -> str:
        path = folder / name
        if not path.exists():
            with rewriting(path, new=True) as file:
                file.write(make())
            written.append(name)
        return path.read_text(encoding="ascii")

    nodes = [PrivateKey(to_bytes(hexstr=once(f"{node}/key", _new_key).strip())) for node in NODES]
    for name in (*ACCOUNTS, *LOG_KEYS):
        password = once(f"secrets/{name}-password", _new_password).strip()
        once(f"keys/{name}.json", lambda password=password: LocalSigner.create().to_keystore(password))  # type: ignore[misc]
    for clinic in CLINICS:
        master = folder / "keys" / f"{clinic}-master.key"
        if not master.exists():
            MasterKey.create(master)
            written.append(f"keys/{master.name}")
    passwords = {name: once(f"secrets/{name}-database", _new_password).strip() for name in ("postgres", *DATABASES)}
    for name in DATABASES:
        once(f"secrets/{name}.pgpass", lambda name=name: f"postgres:5432:{name}:{name}:{passwords[name]}\n")  # type: ignore[misc]
    if not (folder / "tls" / "certificate.pem").exists():
        certificate, key = _certificate([f"{clinic}.localhost" for clinic in CLINICS])
        (folder / "tls" / "key.pem").unlink(missing_ok=True)  # of a certificate that was never written
        once("tls/key.pem", lambda: key)
        once("tls/certificate.pem", lambda: certificate)

    addresses = {name: _address(folder / "keys" / f"{name}.json") for name in ACCOUNTS}
    made = genesis([key.public_key.to_address() for key in nodes], list(addresses.values()))
    if json.loads(once("genesis.json", lambda: _text(made))) != made:
        raise PrepareError(
            f"{folder / 'genesis.json'} is of other nodes or accounts than those of the keys beside it. "
            "Put those keys back, or begin a new chain in another folder."
        )
    once("static-nodes.json", lambda: _text(_enodes(nodes)))
    once("networks.json", lambda: _text(_networks()))
    once("compose.env", lambda: _environment(folder, user, addresses))
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *user, follow_symlinks=False)
    return written


def _user(text: str) -> tuple[int, int]:
    user, _, group = text.partition(":")
    if not (user.isdecimal() and group.isdecimal()):
        raise PrepareError(f"{text!r} is no account and group. Give two numbers, as 1000:1000.")
    return int(user), int(group)


def _new_key() -> str:
    return f"0x{secrets.token_bytes(32).hex()}\n"


def _new_password() -> str:
    return f"{secrets.token_urlsafe(32)}\n"


def _address(keystore: Path) -> str:
    """The address that a key file says it has; the key stays locked."""
    found = json.loads(keystore.read_text(encoding="ascii")).get("address", "")
    return f"0x{str(found).removeprefix('0x')}"


def _enodes(nodes: Sequence[PrivateKey]) -> list[str]:
    keys = [key.public_key.to_hex().removeprefix("0x") for key in nodes]
    return [f"enode://{key}@{SUBNET}.{10 + number}:{_PORT}" for number, key in enumerate(keys, start=1)]


def _networks() -> dict[str, object]:
    node = {"url": "http://node-1:8545", "chainId": CHAIN_ID, "confirmations": 1, "finality": 1, "explorer": ""}
    return {"format": "medproof-networks", "version": 1, "networks": [{"name": "consortium", **node}]}


def _environment(folder: Path, user: tuple[int, int], addresses: Mapping[str, str]) -> str:
    values = {
        "MEDPROOF_FOLDER": str(folder.resolve()),
        "MEDPROOF_USER": f"{user[0]}:{user[1]}",
        "MEDPROOF_ADMIN": addresses["admin"],
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _text(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"


def _certificate(names: Sequence[str]) -> tuple[str, str]:
    """A certificate that nobody vouches for, for trying it out, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(*form).decode()


def main(argv: Sequence[str] | None = None) -> int:
    """Write what is missing, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=Path("network"), help="where it goes; network where none is named"
    )
    own = f"{os.getuid()}:{os.getgid()}"
    parser.add_argument("--user", default=own, metavar="UID:GID", help=f"who the containers run as, {own} by default")
    options = parser.parse_args(argv)
    folder: Path = options.folder
    try:
        written = prepare(folder, user=_user(options.user))
    except MedProofError as error:
        print(f"Nothing more was written: {error}", file=sys.stderr)
        return 1
    for name in written:
        print(f"Written: {folder / name}")
    print(f"All is there. Next: docker compose --env-file {folder / 'compose.env'} up --build --detach")
    return 0


if __name__ == "__main__":
    sys.exit(main())
