"""Who seals the blocks of a Clique network (EIP-225), and the votes by which one joins or leaves.

A vote is a signer's own: its node casts it in the blocks that it seals, until it is withdrawn. It takes more than half
of the signers, and as many must be up for the chain to go on: of N signers, each may seal one block in N/2+1. So a vote
is refused that could stop the chain with the signers that are seen to seal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_utils.address import is_address, to_checksum_address

from medproof.chain import Chain, UnclearAnswerError, address_bytes, origin
from medproof.errors import NoCliqueError, SignerVoteError

__all__ = ["NetworkSigners", "SignerVote", "network_signers", "propose_signer", "withdraw_proposal"]

_ROUNDS = 3  # in which every signer that is up has its turn, and some to spare


@dataclass(frozen=True)
class SignerVote:
    """What signers have voted about one account, and what is missing for it to happen."""

    account: str
    joins: bool  # to become a signer; else to be one no more
    voters: frozenset[str]
    needed: int

    @property
    def missing(self) -> int:
        """How many signers have yet to vote."""
        return max(self.needed - len(self.voters), 0)


@dataclass(frozen=True)
class NetworkSigners:
    """The signers as of a block, and how they vote."""

    block: int
    sealed: Mapping[str, int]  # of each signer: how many of the last blocks it sealed
    looked: int  # how many blocks that are
    votes: tuple[SignerVote, ...]  # those that wait for more
    node: str | None  # the account that the node seals with, or would
    proposals: Mapping[str, bool]  # what the node votes for in its blocks: who shall be a signer, and who not

    @property
    def majority(self) -> int:
        """How many must agree on a vote, and how many must be up for blocks to be sealed."""
        return len(self.sealed) // 2 + 1

    @property
    def active(self) -> frozenset[str]:
        """Those that were seen to seal."""
        return frozenset(account for account, count in self.sealed.items() if count)

    def vote(self, account: str, joins: bool) -> SignerVote:
        """How a vote stands."""
        found = (one for one in self.votes if (one.account, one.joins) == (account, joins))
        return next(found, SignerVote(account, joins, frozenset(), self.majority))

    def danger(self, account: str, joins: bool) -> str:
        """What a vote could do to the network, as words that go on from its name; empty where nothing bad."""
        after = len(self.sealed) + (1 if joins else -1)
        needed, up = after // 2 + 1, len(self.active - {account})
        if after == 0:
            return "it would have no signer left"
        if up < needed:
            newcomer = " unless the new one does" if joins else ""
            return f"{needed} of {after} signers would have to seal, and {up} are seen to: it would stop{newcomer}"
        return ""


def network_signers(chain: Chain) -> NetworkSigners:
    """Ask a node who seals the chain's blocks.

    Raises:
        NoCliqueError: the node says nothing of it.
        NodeError: it does not answer.
    """
    [answer] = chain.answers([("clique_getSnapshot", [])])
    if answer.get("error") is not None:
        raise NoCliqueError(origin(str(getattr(chain.web3.provider, "endpoint_uri", ""))), str(answer["error"]))
    try:
        snapshot = answer["result"]
        block = int(snapshot["number"])
        signers = sorted(map(to_checksum_address, snapshot["signers"]), key=str.lower)
        looked = min(_ROUNDS * len(signers), block)
        blocks = range(block - looked + 1, block + 1)
        sealing = [("clique_getSigner", [hex(number)]) for number in blocks]
        proposals, *sealers = chain.ask([("clique_proposals", []), *sealing])
        sealed = Counter(map(to_checksum_address, sealers))
        return NetworkSigners(
            block,
            {account: sealed[account] for account in signers},
            looked,
            tuple(_votes(snapshot["votes"], len(signers) // 2 + 1)),
            _account(chain),
            {to_checksum_address(account): bool(joins) for account, joins in proposals.items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnclearAnswerError("What the node says of its signers cannot be used. Name another node.") from None


def propose_signer(chain: Chain, account: str, joins: bool, *, anyway: bool = False) -> SignerVote:
    """Have a signer's node vote in each of its blocks, until it is told otherwise.

    Args:
        chain: through that node.
        account: who shall be a signer, or no more.
        joins: whether it shall.
        anyway: though the network could stop.

    Returns:
        how the vote stands with this one, which is on the chain with the node's next block.

    Raises:
        ArgumentError: that is no address.
        SignerVoteError: it would change nothing, does not count, or could stop the network.
        NoCliqueError: the node says nothing of signers.
        NodeError: it does not answer.
    """
    account, known = _address(account), network_signers(chain)
    if (account in known.sealed) == joins:
        said = "is a signer already" if joins else "is no signer"
        raise SignerVoteError(account, said, "medproof network signers list shows who is")
    if known.node is None or known.node not in known.sealed:
        raise SignerVoteError(account, "gets no vote by this node, which seals no blocks", "Ask a signer's own node")
    danger = known.danger(account, joins)
    if danger and not (anyway and known.active - {account}):
        raise SignerVoteError(account, f"is not voted {'in' if joins else 'out'}: {danger}", "Have others seal first")
    chain.ask([("clique_propose", [account, joins])])
    vote = known.vote(account, joins)
    return replace(vote, voters=vote.voters | {known.node})


def withdraw_proposal(chain: Chain, account: str) -> bool:
    """Have a node vote about an account no more; whether it did. Votes in blocks stay until the vote is over.

    Raises:
        ArgumentError: that is no address.
        NoCliqueError: the node says nothing of signers.
        NodeError: it does not answer.
    """
    account = _address(account)
    found = account in network_signers(chain).proposals
    chain.ask([("clique_discard", [account])])
    return found


def _account(chain: Chain) -> str | None:
    """The account that a node seals with; None where it has none."""
    [answer] = chain.answers([("eth_coinbase", [])])
    found = answer.get("result")
    return to_checksum_address(found) if is_address(found) else None


def _votes(cast: Sequence[Mapping[str, Any]], needed: int) -> Iterator[SignerVote]:
    """What a snapshot's votes come to."""
    found: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for one in cast:
        found[to_checksum_address(one["address"]), bool(one["authorize"])].add(to_checksum_address(one["signer"]))
    for (account, joins), voters in sorted(found.items()):
        yield SignerVote(account, joins, frozenset(voters), needed)


def _address(account: str) -> str:
    return str(to_checksum_address(address_bytes(account)))
