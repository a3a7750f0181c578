"""Who was which party, and with what standing, as of any block: from the data set's table, read once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from medproof.client.registrar import Party
from medproof.errors import QuestionError
from medproof.policy.codes import PartyKind

if TYPE_CHECKING:
    from medproof.research.dataset import AsOf

__all__ = ["Parties"]


class Parties:
    """Every party that was ever accredited, with its changes."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take the rows of the table `parties`."""
        self._by_account: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._by_identity: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            self._by_account[row["account"]].append(row)
            self._by_identity[row["party"]].append(row)

    def active(self, address: str, as_of: AsOf) -> Party | None:
        """The party of an account or identity, if it was active: not suspended, not lapsed, not removed.

        Raises:
            QuestionError: no party was ever known by this address.
        """
        places = [kept.get(address.lower(), []) for kept in (self._by_account, self._by_identity)]
        if not any(places):
            step = "Check the address, or ask for a kind of party"
            raise QuestionError("party", address, "no party was ever accredited under this address", step)
        for rows in places:
            for row in rows:
                if row["block"] <= as_of.block and (row["until_block"] is None or row["until_block"] > as_of.block):
                    lapsed = row["valid_until"] < as_of.moment.date()
                    return None if row["suspended"] or lapsed else _party(row)
        return None


def _party(row: Mapping[str, Any]) -> Party:
    groups = tuple(json.loads(row["groups"]))
    return Party(to_checksum_address(row["party"]), PartyKind(row["kind"]), False, row["valid_until"], groups)
