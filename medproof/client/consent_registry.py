"""The ConsentRegistry: a subject's rules, and whether a request is permitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.decoding import Event
from medproof.errors import RuleStateError
from medproof.policy.evaluation import Reason
from medproof.policy.word import FIELDS, Request, Rule, decode, encode, encode_request, validate
from medproof.signing import Signer

__all__ = ["ConsentRegistry", "Decision"]

_HOUR = 3600


@dataclass(frozen=True)
class Decision:
    """Why a request is permitted or refused, as the contract says it."""

    reason: Reason  # where no rule permits, that of the nearest miss
    grantee: str | None  # under whom the deciding rule stands; None where no rule decided
    rule: Rule | None  # the deciding rule
    block: int  # the block as of which it holds

    @property
    def permitted(self) -> bool:
        """Whether the request is permitted."""
        return self.reason is Reason.PERMITTED


class ConsentRegistry(ContractClient):
    """The consent rules. A subject writes its own, directly or by a message that anyone relays."""

    name = "ConsentRegistry"
    signed_functions = ("setRuleFor", "revokeRuleFor")

    # -- writing, as the subject --------------------------------------------------------------------------------

    def grant(self, grantee: str, rule: Rule, *, sender: Sender | None = None) -> Receipt:
        """Grant a rule, permit or deny; the sender is the subject. Its sequence and the contract's flags are filled in.

        Args:
            grantee: a party's identity, or a group (`medproof.client.registrar.group_grantee`).
            rule: the rule; its index says which of the pair's rules it becomes.
            sender: the subject.

        Raises:
            RuleStateError: a rule is in force there already; change it, or use the next index.
        """
        by = self._by("setRule", sender).address
        return self._transact("setRule", grantee, self._next_word(by, grantee, rule, anew=True), sender=sender)

    def change(self, grantee: str, rule: Rule, *, sender: Sender | None = None) -> Receipt:
        """Change a rule; the sender is the subject.

        Raises:
            RuleStateError: there is no rule to change; grant it.
        """
        by = self._by("setRule", sender).address
        return self._transact("setRule", grantee, self._next_word(by, grantee, rule, anew=False), sender=sender)

    def revoke(
        self, grantee: str, *, index: int = 0, sequence: int | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Revoke a rule; the sender is the subject. It overtakes whatever was signed for this rule and not sent.

        Args:
            grantee: under whom the rule stands.
            index: which of the pair's rules.
            sequence: what to overtake; see `sign_revocation`. Needed where the rule is signed but not yet stored.
            sender: the subject.

        Raises:
            RuleStateError: there is no rule to revoke, and no sequence is given.
        """
        by = self._by("revokeRule", sender).address
        if sequence is None:
            sequence = self._last_sequence(by, grantee, index) + 1
        return self._transact("revokeRule", grantee, index, sequence, sender=sender)

    # -- signing, as the subject, for anyone to relay -----------------------------------------------------------

    def sign_grant(self, signer: Signer, grantee: str, rule: Rule, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign a grant; see `grant`. `lifetime` is how long the message counts, in seconds."""
        return self._sign_rule(signer, grantee, self._next_word(signer.address, grantee, rule, anew=True), lifetime)

    def sign_change(self, signer: Signer, grantee: str, rule: Rule, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign a change; see `change`."""
        return self._sign_rule(signer, grantee, self._next_word(signer.address, grantee, rule, anew=False), lifetime)

    def sign_revocation(
        self, signer: Signer, grantee: str, *, index: int = 0, sequence: int | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a revocation; see `revoke`.

        Args:
            signer: the subject.
            grantee: under whom the rule stands.
            index: which of the pair's rules.
            sequence: what to overtake: any sequence above all that were signed. One above the stored one where none
                is given; two or more above it beats a grant that is signed and still on its way.
            lifetime: how long the message counts, in seconds.
        """
        deadline = self._deadline(lifetime)
        if sequence is None:
            sequence = self._last_sequence(signer.address, grantee, index) + 1
        message = messages.revocation(
            self.domain, subject=signer.address, grantee=grantee, index=index, sequence=sequence, deadline=deadline
        )
        arguments = (signer.address, grantee, index, sequence)
        return self._signed("revokeRuleFor", arguments, deadline, signer.sign_typed_data(message))

    # -- terms --------------------------------------------------------------------------------------------------

    def publish_terms(self, terms: bytes, *, sender: Sender | None = None) -> int:
        """Publish the keccak-256 hash of a consent form and return its number; published ones keep theirs."""
        number = self.terms_number(terms)
        if not number:
            receipt = self._transact("publishTerms", terms, sender=sender)
            number = int(receipt.events(self.contract)[0].arguments["number"])
        return number

    def terms(self, number: int) -> bytes:
        """The hash of the terms under a number: 32 bytes, zero where none are published."""
        return bytes(self._call("termsOf", number))

    def terms_number(self, terms: bytes) -> int:
        """The number under which terms are published; 0 where they are not."""
        return int(self._call("termsNumberOf", terms))

    # -- asking -------------------------------------------------------------------------------------------------

    def is_permitted(self, subject: str, actor: str, request: Request, *, block: int | str = "latest") -> bool:
        """Whether a request is permitted as of a block. `actor` is the account that asks."""
        return bool(self._call("isPermitted", subject, actor, encode_request(request), block=block))

    def decide(self, subject: str, actor: str, request: Request, *, block: int | None = None) -> Decision:
        """Why a request is permitted or refused, and the rule that decided, as of a block; the newest by default."""
        at = self.chain.block_number() if block is None else block
        reason, grantee, word = self._call("decide", subject, actor, encode_request(request), block=at)
        return Decision(Reason(reason), grantee if word else None, decode(word) if word else None, at)

    def rule(self, subject: str, grantee: str, *, index: int = 0, block: int | str = "latest") -> Rule | None:
        """A rule as it is stored, tombstones included; None where there never was one."""
        word = self._word(subject, grantee, index, block)
        return decode(word) if word else None

    def rules(self, subject: str, grantee: str, *, block: int | str = "latest") -> tuple[Rule, ...]:
        """All rules of a subject for a grantee, tombstones included, in order."""
        found: list[Rule] = []
        while rule := self.rule(subject, grantee, index=len(found), block=block):
            found.append(rule)
            if not rule.follows:
                break
        return tuple(found)

    def history(self, subject: str) -> Iterator[Event]:
        """Every grant, change and revocation of a subject, oldest first."""
        granted = self.events("RuleSet", filters={"subject": subject})
        revoked = self.events("RuleRevoked", filters={"subject": subject})
        return iter(sorted((*granted, *revoked), key=lambda event: (event.block, event.index)))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _word(self, subject: str, grantee: str, index: int, block: int | str = "latest") -> int:
        return int(self._call("ruleOf", subject, grantee, index, block=block))

    def _next_word(self, subject: str, grantee: str, rule: Rule, *, anew: bool) -> int:
        stored = self._word(subject, grantee, rule.index)
        live = bool(stored) and not decode(stored).revoked
        if anew and live:
            raise RuleStateError(
                f"Rule {rule.index} of {subject} for {grantee} is in force already. Change it, or use the next index."
            )
        if not anew and not live:
            raise RuleStateError(f"There is no rule {rule.index} of {subject} for {grantee} to change. Grant it.")
        sequence = FIELDS["sequence"].of(stored) + 1
        word = encode(replace(rule, sequence=sequence, follows=False, revoked=False))
        validate(word)
        return word

    def _last_sequence(self, subject: str, grantee: str, index: int) -> int:
        stored = self._word(subject, grantee, index)
        if not stored or decode(stored).revoked:
            raise RuleStateError(f"There is no rule {index} of {subject} for {grantee} to revoke. Nothing needs doing.")
        return FIELDS["sequence"].of(stored)

    def _sign_rule(self, signer: Signer, grantee: str, word: int, lifetime: int) -> SignedMessage:
        deadline = self._deadline(lifetime)
        message = messages.rule(
            self.domain,
            subject=signer.address,
            grantee=grantee,
            word=word,
            terms=self.terms(FIELDS["terms"].of(word)),
            deadline=deadline,
        )
        arguments = (signer.address, grantee, word)
        return self._signed("setRuleFor", arguments, deadline, signer.sign_typed_data(message))
