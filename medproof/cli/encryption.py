"""`medproof message key`, and whose encryption keys a command uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof.cli.documents import receipt_document
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import account, open_suite, party, password, phrase
from medproof.errors import OptionError
from medproof.hashing import Json
from medproof.wallet import Wallet

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.sharing import EncryptionKeys

__all__ = ["EncryptionOptions", "app", "encryption_keys"]

app = typer.Typer(help="The keys that messages are encrypted to.", no_args_is_help=True)

_PASSWORD = "MEDPROOF_ENCRYPTION_PASSWORD"
_PANEL = "Encryption keys"
KeyFile = Annotated[Path, Argument(metavar="FILE", help="The file of private keys.", show_default=False)]
PasswordFile = Annotated[
    Path | None,
    Option(metavar="FILE", help=f"Its password; else it is asked for, or in {_PASSWORD}.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True)
class EncryptionOptions:
    """With whose private keys a message is opened: a party's file, or a patient's wallet."""

    encryption_keys: Annotated[
        Path | None,
        Option(
            envvar="MEDPROOF_ENCRYPTION_KEYS",
            metavar="FILE",
            help=f"A party's private keys; the password is asked for, or in {_PASSWORD}.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    encryption_password_file: PasswordFile = None
    wallet: Annotated[
        str | None,
        Option(
            envvar="MEDPROOF_WALLET",
            metavar="FILE",
            help="A patient's seed phrase; - asks for it. Or MEDPROOF_SEED_PHRASE. Needs --custodian.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    custodian: Annotated[
        str | None, Option(metavar="ADDRESS", help="Whose pseudonym of the wallet.", rich_help_panel=_PANEL)
    ] = None
    relationship: Annotated[int, Option(help="Which pseudonym, where there are several.", rich_help_panel=_PANEL)] = 0
    rotations: Annotated[
        int, Option(min=0, max=1000, help="How often the patient has changed her key.", rich_help_panel=_PANEL)
    ] = 0


def encryption_keys(options: EncryptionOptions) -> EncryptionKeys:
    """The private keys that options name."""
    from medproof.sharing import EncryptionKeys

    if options.custodian is not None:
        custodian, keys = account("--custodian", options.custodian), options.rotations + 1
        wallet = Wallet(phrase(options.wallet))
        return EncryptionKeys.of_pseudonym(wallet, custodian, relationship=options.relationship, keys=keys)
    if options.encryption_keys is None:
        step = "Name your file of private keys, or as a patient --wallet and --custodian."
        raise OptionError("--encryption-keys", "is missing", step)
    return _load(options.encryption_keys, options.encryption_password_file)


@app.command("new", epilog="Example: medproof message key new clinic.keys")
@expanded
def new_key(
    file: KeyFile,
    encryption_password_file: PasswordFile = None,
    rotate: Annotated[bool, Option("--rotate", help="Add a key to the file; the older ones still open.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Make a key in a new file, which a password opens; publish it afterwards."""
    from medproof.sharing import EncryptionKeys

    secret = password(str(file), encryption_password_file, _PASSWORD)
    keys = EncryptionKeys.rotate(file, secret) if rotate else EncryptionKeys.create(file, secret)
    _show(Output(as_json=as_json), keys.public)


@app.command(epilog="Example: medproof message key publish clinic.keys --keystore clinic.json")
@expanded
def publish(
    who: KeyOptions,
    chain: ChainOptions,
    file: Annotated[Path | None, Argument(metavar="FILE", help="The file of private keys.", show_default=False)] = None,
    encryption_password_file: PasswordFile = None,
    withdraw: Annotated[bool, Option("--withdraw", help="Withdraw the key that stands; no FILE is needed.")] = False,
) -> None:
    """Publish the newest key of a file in the Registrar: from now on others encrypt to it."""
    if withdraw == (file is not None):
        raise OptionError("FILE", "and --withdraw exclude each other", "Name the file, or withdraw what stands.")
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    key = None if file is None else _load(file, encryption_password_file).public
    receipt = suite.registrar.publish_encryption_key(key, sender=party(who))
    output.document({"key": None if key is None else f"0x{key.hex()}", "sent": receipt_document(receipt)})
    output.say(f"{'Withdrawn' if key is None else 'Published'}, in block {receipt.block}: {receipt.transaction}.")


@app.command(epilog="Example: medproof message key show --custodian 0x… --wallet seed.txt")
@expanded
def show(
    keys: EncryptionOptions,
    chain: ChainOptions,
    of: Annotated[str | None, Option("--party", metavar="ADDRESS", help="All keys that a party has published.")] = None,
) -> None:
    """Show a public key: a patient's, which she gives to those who may write to her, a file's, or a party's."""
    output = Output(as_json=chain.as_json)
    if of is None:
        _show(output, encryption_keys(keys).public)
        return
    named = account("--party", of)
    published = open_suite(chain).registrar.encryption_keys(named)
    texts: list[Json] = [None if one.key is None else f"0x{one.key.hex()}" for one in published]
    output.document(
        {
            "party": named,
            "keys": [{"key": text, "block": one.block} for text, one in zip(texts, published, strict=True)],
        }
    )
    output.table(
        ("key", "since block"),
        ((str(text or "withdrawn"), str(one.block)) for text, one in zip(texts, published, strict=True)),
        empty="It has published none.",
    )


def _load(file: Path, password_file: Path | None) -> EncryptionKeys:
    from medproof.sharing import EncryptionKeys

    return EncryptionKeys.load(file, password(str(file), password_file, _PASSWORD))


def _show(output: Output, key: bytes) -> None:
    from medproof.sharing import key_text

    output.document({"text": key_text(key), "key": f"0x{key.hex()}"})
    output.say(key_text(key))
