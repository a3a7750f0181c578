"""From options to the suite, its people and its accounts: connecting, unlocking keys, naming parties."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from eth_utils.address import is_address, is_checksum_address, to_checksum_address

from medproof.chain import Chain, Sender
from medproof.cli.options import (
    ActorOptions,
    ChainOptions,
    KeyOptions,
    PseudonymOptions,
    RelayersOptions,
    RelayOptions,
    SubjectOptions,
)
from medproof.client import MedProof
from medproof.client.registrar import EMERGENCY, EVERYONE, group_grantee
from medproof.deployments import Deployment, verify
from medproof.errors import MedProofError, OptionError, SecretArgumentError
from medproof.external_signers import EXTERNAL, ExternalSigner, external_signer
from medproof.signing import LocalSigner, NodeSigner, Signer
from medproof.wallet import Wallet

__all__ = [
    "DEVELOPMENT",
    "account",
    "acting",
    "database_at",
    "file_of_secret",
    "grantee",
    "identity",
    "known_block",
    "manifest_path",
    "network_of",
    "new_password",
    "of_file",
    "open_suite",
    "party",
    "password",
    "phrase",
    "pseudonym",
    "read_text",
    "record_path",
    "refuse_secrets",
    "sender",
    "senders",
    "signer",
    "subject",
]

DEVELOPMENT = frozenset((1337, 31337))
"""The chain ids of Ganache and Anvil, whose chains vanish; nothing costs there."""

_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_WITH_SECRET = re.compile(
    rf"\w+:(?:.*[^0-9a-zA-Z])?{_KEY.pattern}(?:[^0-9a-zA-Z].*)?|\w+:\w+://[^/#]*:[^/#]*@.*", re.DOTALL
)
_NAMED_SECRETS = ("--private-key", "--key", "--password", "--seed", "--seed-phrase", "--mnemonic", "--phrase")
_SECRET_FILES = (
    "--keyring",
    "--keystore",
    "--relay-as",
    "--signer",
    "--wallet",
    "--password-file",
    "--relay-password-file",
    "--encryption-password-file",
    "--log-key",
    "--log-password-file",
)
_SHORTEST_PHRASE = 12  # words
_NAMED = {"everyone": EVERYONE, "anyone": EVERYONE, "emergency": EMERGENCY}


def refuse_secrets(arguments: list[str]) -> None:
    """Refuse a command line with a private key, a password or a seed phrase on it.

    Raises:
        SecretArgumentError: there is one; the message shows nothing of it.
    """
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        following = value or "".join(arguments[place + 1 : place + 2])
        if name in _NAMED_SECRETS:
            raise SecretArgumentError(name)
        if name in _SECRET_FILES and _is_secret(following):
            raise SecretArgumentError(name)


def _is_secret(text: str) -> bool:
    if EXTERNAL.fullmatch(text):
        return bool(_WITH_SECRET.fullmatch(text))
    return _is_key(text) or len(text.split()) >= _SHORTEST_PHRASE


def _is_key(text: str) -> bool:
    return bool(_KEY.fullmatch(text))


def database_at(where: str) -> str | Path:
    """A database as options name it: its URL, or the path of an SQLite file."""
    return where if "://" in where else Path(where)


def network_of(options: ChainOptions) -> str:
    """The network that is named.

    Raises:
        OptionError: none is.
    """
    if not options.network:
        raise OptionError("--network", "is missing", "Name a network or a node's URL, or set MEDPROOF_NETWORK.")
    return options.network


def manifest_path(options: ChainOptions, chain: Chain) -> Path:
    """The manifest that is named, or where deploy writes the record of a chain.

    Raises:
        OptionError: none is named, and none is there.
    """
    return options.deployment or _manifest(chain.chain_id)


def open_suite(options: ChainOptions, *, patience: float | None = None) -> MedProof:
    """Connect to the chain, and find the deployment on it; `patience` as for `Chain.connect`."""
    chain = Chain.connect(network_of(options), patience=patience)
    deployment = Deployment.load(manifest_path(options, chain))
    verify(chain, deployment)
    return MedProof(chain, deployment)


def known_block(suite: MedProof, block: int | None) -> int | None:
    """A block that the chain has; None stays None.

    Raises:
        OptionError: it is still to come.
    """
    if block is not None and block > (newest := suite.chain.block_number()):
        raise OptionError("--block", f"is {block}, and the newest is {newest}", "Name an earlier one.")
    return block


def record_path(options: ChainOptions, chain: Chain) -> Path:
    """The manifest that is named, or where deploy keeps the record of a chain; it need not be there yet."""
    return options.deployment or _kept(chain.chain_id) or _places(chain.chain_id)[chain.chain_id in DEVELOPMENT]


def _manifest(chain_id: int) -> Path:
    kept = _kept(chain_id)
    if kept is None:
        named = f"deployments/{chain_id}.json"
        raise OptionError("--deployment", f"is missing, and {named} is not here", "Name the manifest.")
    return kept


def _kept(chain_id: int) -> Path | None:
    return next((path for path in _places(chain_id) if path.exists()), None)


def _places(chain_id: int) -> tuple[Path, Path]:
    """Where deploy writes the record of a chain; of one that vanishes, a folder further down."""
    name = f"{chain_id}.json"
    return Path("deployments", name), Path("deployments", "local", name)


# -- people ------------------------------------------------------------------------------------------------------


def account(option: str, text: str) -> str:
    """An account by its address.

    Raises:
        OptionError: it is none, or mistyped.
    """
    if not is_address(text) or (text[2:] not in (text[2:].lower(), text[2:].upper()) and not is_checksum_address(text)):
        raise OptionError(option, f"is {text!r}, which is no address", "Copy all 42 characters, capitals included.")
    return str(to_checksum_address(text))


def hash_of(option: str, text: str) -> bytes:
    """A hash or salted id of 32 bytes.

    Raises:
        OptionError: it is none.
    """
    if not re.fullmatch("0x[0-9a-fA-F]{64}", text, re.ASCII):
        raise OptionError(option, "is no hash", "Give 0x and 64 hexadecimal digits.")
    return bytes.fromhex(text[2:])


def identity(suite: MedProof, option: str, text: str) -> str:
    """The identity of a party, which is named by it or by the account that acts for it now."""
    given = account(option, text)
    found = suite.registrar.party(given)
    return given if found is None else found.id


def grantee(option: str, text: str) -> str:
    """Who a rule speaks of: a party's address, `everyone`, `emergency`, or `group:7`."""
    if text in _NAMED:
        return _NAMED[text]
    if match := re.fullmatch(r"group:(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3})", text):
        return group_grantee(int(match[1]))
    return account(option, text)


def subject(options: SubjectOptions) -> str:
    """Whose rules they are; no key is unlocked where an address is given."""
    return account("--subject", options.subject) if options.subject else signer(options).address


def acting(options: SubjectOptions) -> tuple[Signer, str]:
    """Who signs, and for which subject."""
    by = signer(options)
    return by, account("--subject", options.subject) if options.subject else by.address


def party(options: KeyOptions) -> Sender:
    """A party's account, which sends its transactions itself: by its key file, a signer that holds its key, or an
    account of the node."""
    if options.keystore is None:
        raise OptionError("--keystore", "is missing", "Name the key file of the account that sends.")
    return _sender("--keystore", options.keystore, options.password_file, "MEDPROOF_PASSWORD")


def signer(options: ActorOptions) -> Signer:
    """Who signs."""
    if options.custodian is None and options.keystore is not None:
        return _unlocked("--keystore", options.keystore, options.password_file, "MEDPROOF_PASSWORD")
    if options.custodian is not None or options.wallet is not None:
        return pseudonym(options)
    raise OptionError("--keystore", "is missing", "Say who you are: a key file, or --wallet with --custodian.")


def pseudonym(options: PseudonymOptions) -> LocalSigner:
    """The account of a wallet for one custodian.

    Raises:
        OptionError: no custodian is named.
    """
    if options.custodian is None:
        step = "A wallet has a pseudonym for each custodian: name the custodian's address."
        raise OptionError("--custodian", "is missing", step)
    custodian = account("--custodian", options.custodian)
    return Wallet(phrase(options.wallet)).pseudonym(custodian, relationship=options.relationship)


def sender(options: RelayOptions) -> Sender | None:
    """Who sends and pays; None where nobody is named."""
    if options.relay_as is None:
        return None
    return _sender("--relay-as", options.relay_as, options.relay_password_file, "MEDPROOF_RELAY_PASSWORD")


def senders(options: RelayersOptions) -> list[Sender]:
    """All who send and pay, side by side.

    Raises:
        OptionError: nobody is named, or the passwords are not as many as the accounts.
    """
    named = options.relay_as or [one for one in [os.environ.get("MEDPROOF_RELAY_AS", "")] if one]
    if not named:
        raise OptionError("--relay-as", "is missing", "Name the key file of the account that sends and pays.")
    files: list[Path | None] = [*(options.relay_password_file or (None,))]
    if len(files) not in (1, len(named)):
        rule = f"is given {len(files)} times for {len(named)} accounts"
        raise OptionError("--relay-password-file", rule, "Give one for all, or one for each in turn.")
    each = files * len(named) if len(files) == 1 else files
    return [_sender("--relay-as", one, file, "MEDPROOF_RELAY_PASSWORD") for one, file in zip(named, each, strict=True)]


def _sender(option: str, given: str, password_file: Path | None, variable: str) -> Sender:
    if is_address(given):
        return NodeSigner(account(option, given))
    return _unlocked(option, given, password_file, variable)


# -- secrets -----------------------------------------------------------------------------------------------------


def _unlocked(option: str, named: str, password_file: Path | None, variable: str) -> LocalSigner | ExternalSigner:
    """The account of a key file, or of a signer that holds its key."""
    if _is_key(named):  # from the environment: no message is to show it
        raise SecretArgumentError(option)
    if EXTERNAL.fullmatch(named):
        return external_signer(named)
    return LocalSigner.from_keystore(named, password(named, password_file, variable))


def password(file: str, password_file: Path | None, variable: str) -> str:
    """The password of a file: from another file, from the environment, or asked for."""
    if password_file is not None:
        return read_text(password_file).rstrip("\r\n")
    return os.environ.get(variable) or _ask(f"Password of {file}", variable)


def new_password(file: str, password_file: Path | None, variable: str) -> str:
    """The password that a new file gets: as `password`, but asked for twice.

    Raises:
        OptionError: it is empty.
    """
    if password_file is None and not os.environ.get(variable):
        chosen = _ask(f"New password of {file}", variable, twice=True)
    else:
        chosen = password(file, password_file, variable)
    if not chosen:
        raise OptionError(str(password_file), "holds an empty password", "Write one into its first line.")
    return chosen


def file_of_secret(path: Path) -> Path:
    """The name of a file that holds a secret.

    Raises:
        SecretArgumentError: the secret itself was given.
    """
    if _is_secret(str(path)):
        raise SecretArgumentError("FILE")
    return path


def phrase(wallet: str | None) -> str:
    """A seed phrase: from its file, from the environment, or asked for."""
    if wallet is not None and wallet != "-":
        return read_text(Path(wallet))
    return ("" if wallet else os.environ.get("MEDPROOF_SEED_PHRASE")) or _ask("Seed phrase", "MEDPROOF_SEED_PHRASE")


def _ask(what: str, variable: str, *, twice: bool = False) -> str:
    try:
        return str(typer.prompt(what, hide_input=True, err=True, confirmation_prompt=twice))
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise OptionError(variable, "is not set, and nobody can be asked", "Set it, or name a file.") from None


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file's content is told with the file's name."""
    try:
        yield
    except MedProofError as error:
        error.add_note(str(path))
        raise


def read_text(path: Path) -> str:
    """Read a file of text.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise OptionError(str(path), f"cannot be read ({error.strerror})", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise OptionError(str(path), "is no text in UTF-8", "Name another file.") from error
