"""The options that commands share, in groups, each a dataclass; `expanded` spells them out for Typer."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from typer import Option

from medproof.errors import OptionError

__all__ = [
    "ActorOptions",
    "AsOfOptions",
    "ChainListOptions",
    "ChainOptions",
    "DatasetOptions",
    "IndexOptions",
    "JsonOptions",
    "KeyOptions",
    "ListOptions",
    "LogFormat",
    "MomentOptions",
    "PeriodOptions",
    "PseudonymOptions",
    "QuestionOptions",
    "RelayOptions",
    "RelayersOptions",
    "RequestOptions",
    "RuleOptions",
    "SendingOptions",
    "ServiceOptions",
    "SubjectOptions",
    "SuppressionOptions",
    "WalletOptions",
    "expanded",
]

_Codes = list[str] | None
_LAST_PORT = 65_535
_PLACE = re.compile(r"(?P<host>[0-9A-Za-z.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)
_CODES = "Repeat it, or separate by commas; ALL for every one."


class LogFormat(StrEnum):
    """What a log is written as."""

    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True)
class JsonOptions:
    """For whom the output is: people, or a program."""

    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.", rich_help_panel="Output")] = (
        False
    )


@dataclass(frozen=True)
class ListOptions(JsonOptions):
    """For whom a list is: people, a spreadsheet, or a program."""

    as_table: Annotated[
        bool, Option("--table", help="Print a table, as without any of these.", rich_help_panel="Output")
    ] = False
    as_csv: Annotated[bool, Option("--csv", help="Print comma-separated values instead.", rich_help_panel="Output")] = (
        False
    )

    def __post_init__(self) -> None:
        """Refuse two of them at once."""
        named = [f"--{name}" for name in ("table", "csv", "json") if getattr(self, f"as_{name}")]
        if len(named) > 1:
            raise OptionError(named[0], f"stands beside {named[1]}", "Choose one of --table, --csv and --json.")


@dataclass(frozen=True)
class ChainOptions(JsonOptions):
    """Which chain, which deployment, and for whom the output is."""

    network: Annotated[
        str | None,
        Option(
            "--network",
            "--url",
            metavar="NAME|URL",
            envvar="MEDPROOF_NETWORK",
            help="A named network, or a node's URL.",
            rich_help_panel="Chain",
        ),
    ] = None
    deployment: Annotated[
        Path | None,
        Option(
            envvar="MEDPROOF_DEPLOYMENT",
            metavar="FILE",
            help="The manifest that deploy wrote; deployments/<chain id>.json where none is named.",
            rich_help_panel="Chain",
        ),
    ] = None


@dataclass(frozen=True)
class ChainListOptions(ChainOptions, ListOptions):
    """Which chain, which deployment, and for whom the list is."""


@dataclass(frozen=True)
class KeyOptions:
    """Whose key it is."""

    keystore: Annotated[
        str | None,
        Option(
            "--keystore",
            "--signer",
            envvar="MEDPROOF_KEYSTORE",
            metavar="FILE|SIGNER",
            help="Encrypted key file (its password is asked for, or stands in MEDPROOF_PASSWORD), or a signer that "
            "holds its key: clef:URL#ADDRESS, web3signer:URL#ADDRESS, ledger:PATH.",
            rich_help_panel="Who you are",
        ),
    ] = None
    password_file: Annotated[
        Path | None, Option(metavar="FILE", help="The key file's password.", rich_help_panel="Who you are")
    ] = None


@dataclass(frozen=True)
class WalletOptions:
    """Whose wallet it is."""

    wallet: Annotated[
        str | None,
        Option(
            envvar="MEDPROOF_WALLET",
            metavar="FILE",
            help="File with the seed phrase; - asks for it. Or MEDPROOF_SEED_PHRASE.",
            rich_help_panel="Who you are",
        ),
    ] = None


@dataclass(frozen=True)
class PseudonymOptions(WalletOptions):
    """Which pseudonym of a wallet."""

    custodian: Annotated[
        str | None,
        Option(metavar="ADDRESS", help="Whose pseudonym of the wallet: the custodian.", rich_help_panel="Who you are"),
    ] = None
    relationship: Annotated[
        int, Option(help="Which pseudonym, where there are several.", rich_help_panel="Who you are")
    ] = 0


@dataclass(frozen=True)
class ActorOptions(PseudonymOptions, KeyOptions):
    """Who acts: a party or a patient, by a key file or a wallet."""


@dataclass(frozen=True)
class SubjectOptions(ActorOptions):
    """Whose rules, and who signs: the subject itself by its wallet or key file, or its delegate."""

    subject: Annotated[
        str | None,
        Option(
            metavar="ADDRESS", help="The subject, where it is not the one who signs.", rich_help_panel="Who you are"
        ),
    ] = None


@dataclass(frozen=True)
class RelayOptions:
    """Who sends transactions and pays for them."""

    relay_as: Annotated[
        str | None,
        Option(
            envvar="MEDPROOF_RELAY_AS",
            metavar="FILE|SIGNER|ADDRESS",
            help="Who sends and pays: a key file (password in MEDPROOF_RELAY_PASSWORD), a signer as for --keystore, or "
            "an account of the node.",
            rich_help_panel="Sending",
        ),
    ] = None
    relay_password_file: Annotated[
        Path | None, Option(metavar="FILE", help="Password of that key file.", rich_help_panel="Sending")
    ] = None


@dataclass(frozen=True)
class RelayersOptions:
    """Who sends transactions side by side and pays for them."""

    relay_as: Annotated[
        list[str] | None,
        Option(
            metavar="FILE|SIGNER",
            help="Who sends and pays: a key file (password in MEDPROOF_RELAY_PASSWORD), or a signer as for --keystore. "
            "Repeat it for accounts that send side by side; MEDPROOF_RELAY_AS names one.",
            rich_help_panel="Sending",
        ),
    ] = None
    relay_password_file: Annotated[
        list[Path] | None,
        Option(
            metavar="FILE",
            help="Password of that key file; of each in turn, or one of them all.",
            rich_help_panel="Sending",
        ),
    ] = None


@dataclass(frozen=True)
class ServiceOptions:
    """What operators see of a command that runs for good."""

    metrics: Annotated[
        str | None,
        Option(
            metavar="ADDRESS:PORT",
            envvar="MEDPROOF_METRICS",
            help="Show numbers for Prometheus at /metrics there, and /healthz.",
            rich_help_panel="Operating",
        ),
    ] = None
    log_format: Annotated[
        LogFormat,
        Option(
            help="What the log on standard error is: for people, or a line of JSON for each event.",
            rich_help_panel="Operating",
        ),
    ] = LogFormat.TEXT

    def __post_init__(self) -> None:
        """Refuse what is no place to listen, before any work begins."""
        _ = self.place

    @property
    def place(self) -> tuple[str, int] | None:
        """Where the numbers are shown: an address and a port.

        Raises:
            OptionError: it is none.
        """
        if self.metrics is None:
            return None
        found = _PLACE.fullmatch(self.metrics)
        if found is None or int(found["port"]) > _LAST_PORT:
            step = "Give an address and a port, such as 127.0.0.1:9101."
            raise OptionError("--metrics", f"is {self.metrics!r}", step)
        return found["host"].strip("[]"), int(found["port"])


@dataclass(frozen=True)
class SendingOptions(RelayOptions):
    """What becomes of a signed message: it is relayed at once, or written for whoever relays it."""

    out: Annotated[
        Path | None,
        Option(metavar="FILE", help="Where the signed message goes if not sent.", rich_help_panel="Sending"),
    ] = None
    lifetime: Annotated[
        int,
        Option(
            min=1,
            max=10 * 366 * 86400,
            metavar="SECONDS",
            help="How long the signed message counts.",
            rich_help_panel="Sending",
        ),
    ] = 24 * 3600


@dataclass(frozen=True)
class RequestOptions:
    """What a rule or a request is about, in codes."""

    purpose: Annotated[
        _Codes, Option(metavar="CODE", help=f"Why, such as TREAT. {_CODES}", rich_help_panel="Codes")
    ] = None
    data_class: Annotated[
        _Codes, Option("--class", metavar="CODE", help="What data, such as laboratory.", rich_help_panel="Codes")
    ] = None
    condition: Annotated[
        _Codes,
        Option(
            metavar="CODE",
            help="Which conditions: a chapter of ICD-10-CM such as C00-D49, or a code, which stands for its chapter.",
            rich_help_panel="Codes",
        ),
    ] = None
    sensitivity: Annotated[
        _Codes,
        Option(metavar="CODE", help="Which labels, such as HIV; NONE_LABELLED for none.", rich_help_panel="Codes"),
    ] = None
    setting: Annotated[
        _Codes, Option(metavar="CODE", help="Where the care took place, such as AMB.", rich_help_panel="Codes")
    ] = None
    action: Annotated[
        _Codes, Option(metavar="CODE", help="What is done with the data, such as access.", rich_help_panel="Codes")
    ] = None
    research: Annotated[
        _Codes,
        Option(
            "--research",
            "--duo",
            metavar="CODE",
            help="Terms of DUO, such as GRU or DUO:0000007.",
            rich_help_panel="Codes",
        ),
    ] = None
    data_from: Annotated[str | None, Option(metavar="DAY", help="First day of the data.", rich_help_panel="Times")] = (
        None
    )
    data_until: Annotated[
        str | None, Option(metavar="DAY", help="Last day of the data; 'none' for no end.", rich_help_panel="Times")
    ] = None


@dataclass(frozen=True)
class IndexOptions:
    """Which deployment of an index."""

    index: Annotated[
        str | None,
        Option(
            metavar="FILE|URL",
            envvar="MEDPROOF_INDEX",
            help="The index that medproof index keeps: a file, or a PostgreSQL URL.",
            rich_help_panel="Registry",
        ),
    ] = None
    chain: Annotated[
        int | None, Option(min=1, metavar="ID", help="Of several chains, this one.", rich_help_panel="Registry")
    ] = None
    authority: Annotated[
        str | None,
        Option(
            metavar="ADDRESS", help="Of several deployments, the one with this Authority.", rich_help_panel="Registry"
        ),
    ] = None


@dataclass(frozen=True)
class DatasetOptions(IndexOptions):
    """Which registry is asked: a deployment of an index, or of a data set that was written from one."""

    dataset: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="A data set that medproof research dataset wrote, in the index's place.",
            rich_help_panel="Registry",
        ),
    ] = None


@dataclass(frozen=True)
class AsOfOptions:
    """As of when the registry is asked."""

    block: Annotated[
        int | None,
        Option(min=0, help="As of this block; the last that is known where none is named.", rich_help_panel="Times"),
    ] = None
    at: Annotated[
        str | None,
        Option(
            metavar="TIME",
            help="As of this time: what the chain knew then. 2030-01-01 or 2030-01-01T08:00Z.",
            rich_help_panel="Times",
        ),
    ] = None


@dataclass(frozen=True)
class MomentOptions(AsOfOptions):
    """As of when the registry is asked, and when the rules have to be in force."""

    moment: Annotated[
        str | None,
        Option(
            metavar="TIME",
            help="When the rules have to be in force: what their signers set. The block's time where none is named.",
            rich_help_panel="Times",
        ),
    ] = None


@dataclass(frozen=True)
class QuestionOptions(RequestOptions):
    """What has to be permitted, and to whom."""

    party: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="To this party, by its identity or account, with the kind and groups that it had.",
            rich_help_panel="Who asks",
        ),
    ] = None
    kind: Annotated[
        str | None,
        Option(metavar="CODE", help="To any party of this kind, such as researcher.", rich_help_panel="Who asks"),
    ] = None
    group: Annotated[
        list[str] | None,
        Option(
            metavar="GROUP",
            help="Beside --kind: to members of this group, such as group:7.",
            rich_help_panel="Who asks",
        ),
    ] = None
    terms: Annotated[
        int | None,
        Option(min=0, metavar="NUMBER", help="Under these published terms.", rich_help_panel="Codes"),
    ] = None
    study: Annotated[
        str | None,
        Option(metavar="ID", help="Of those alone who opted in to this study.", rich_help_panel="Codes"),
    ] = None


@dataclass(frozen=True)
class SuppressionOptions:
    """Which counts are too small to be shown."""

    threshold: Annotated[
        int,
        Option(metavar="NUMBER", help="Counts from 1 up to one less are not shown.", rich_help_panel="Small counts"),
    ] = 11
    no_suppression: Annotated[
        str,
        Option(
            metavar="WHY",
            help="Show all counts, and say why that may be: for work that stays with you.",
            rich_help_panel="Small counts",
        ),
    ] = ""


@dataclass(frozen=True)
class PeriodOptions:
    """When something is in force."""

    starts: Annotated[
        str | None,
        Option(
            "--from", metavar="TIME", help="In force from: 2030-01-01 or 2030-01-01T08:00Z.", rich_help_panel="Times"
        ),
    ] = None
    until: Annotated[
        str | None,
        Option(metavar="TIME", help="The first moment it is over; 'none' for no end.", rich_help_panel="Times"),
    ] = None


@dataclass(frozen=True)
class RuleOptions(PeriodOptions, RequestOptions):
    """What a rule says."""

    party_kind: Annotated[
        _Codes, Option(metavar="CODE", help="Kinds of party it admits, such as provider.", rich_help_panel="Codes")
    ] = None
    deny: Annotated[
        bool | None, Option("--deny/--permit", help="It refuses, and beats every permit.", rich_help_panel="Rule")
    ] = None
    delegable: Annotated[
        bool | None,
        Option("--delegable/--not-delegable", help="The grantee may pass it on.", rich_help_panel="Rule"),
    ] = None
    refuse_break_glass: Annotated[
        bool | None,
        Option(
            "--refuse-break-glass/--allow-break-glass",
            help="Emergency access is refused, too.",
            rich_help_panel="Rule",
        ),
    ] = None
    terms: Annotated[
        int | None, Option(metavar="NUMBER", help="Number of the published terms.", rich_help_panel="Rule")
    ] = None


_Command = TypeVar("_Command", bound=Callable[..., None])


def expanded(command: _Command) -> _Command:
    """Let a command take option groups: Typer sees their options, the command gets the groups filled in."""
    own = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in own.parameters.items():
        if name not in groups:
            parameters[name] = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        types = get_type_hints(groups[name], include_extras=True)
        for field in dataclasses.fields(groups[name]):
            parameters[field.name] = inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name]
            )

    def call(**given: Any) -> None:
        filled = {
            name: group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**filled, **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    call.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]
