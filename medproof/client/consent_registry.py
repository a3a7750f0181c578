"""The ConsentRegistry: a subject's rules, and whether a request is permitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from eth_utils.address import to_checksum_address
from tiny_keccak import keccak256

from medproof import messages
from medproof.chain import Receipt, Sender, UnclearAnswerError, address_bytes
from medproof.client.break_glass import BreakGlass
from medproof.client.contract import SignedMessage
from medproof.decoding import Event
from medproof.errors import MessageError, RuleStateError
from medproof.policy.evaluation import Reason
from medproof.policy.word import FIELDS, FLAG_FIELDS, Request, Rule, decode, encode, encode_request, validate
from medproof.signing import Signer

__all__ = ["ConsentRegistry", "Decision"]

_HOUR = 3600
_WORD = 32  # bytes
_TRUTH = {bytes(_WORD): False, (1).to_bytes(_WORD, "big"): True}
_REVOKED = FLAG_FIELDS["revoked"].mask


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
        return self.reason.permits


class ConsentRegistry(BreakGlass):
    """The consent rules. A subject writes its own, or a delegate for it, directly or by a message that anyone relays.

    Where a function takes a `subject`, it is the sender or signer itself if none is named; a delegate names whom it
    acts for.
    """

    name = "ConsentRegistry"
    signed_functions = ("setRuleFor", "revokeRuleFor", "withdraw", "reviewOpening")

    # -- writing, as the subject or its delegate ----------------------------------------------------------------

    def grant(self, grantee: str, rule: Rule, *, subject: str | None = None, sender: Sender | None = None) -> Receipt:
        """Grant a rule, permit or deny. Its sequence and the contract's flags are filled in.

        Args:
            grantee: a party's identity, or a group (`medproof.client.registrar.group_grantee`).
            rule: the rule; its index says which of the pair's rules it becomes.
            subject: whose rule.
            sender: the subject, or its delegate for granting.

        Raises:
            RuleStateError: a rule is in force there already; change it, or use the next index.
        """
        return self._set(grantee, rule, subject, sender, anew=True)

    def change(self, grantee: str, rule: Rule, *, subject: str | None = None, sender: Sender | None = None) -> Receipt:
        """Change a rule; see `grant`.

        Raises:
            RuleStateError: there is no rule to change; grant it.
        """
        return self._set(grantee, rule, subject, sender, anew=False)

    def grant_many(self, rules: Iterable[tuple[str, Rule]], *, sender: Sender | None = None) -> Receipt:
        """Grant several rules in one transaction, all or none; the sender is the subject.

        Args:
            rules: each with its grantee; of one grantee each has another index, from the lowest up.
            sender: the subject.

        Raises:
            RuleStateError: one of them is in force already.
        """
        by = self._by("setRules", sender).address
        changes = [(grantee, self._next_word(by, grantee, rule, anew=True)) for grantee, rule in rules]
        return self._transact("setRules", changes, sender=sender)

    def revoke(
        self,
        grantee: str,
        *,
        index: int = 0,
        sequence: int | None = None,
        subject: str | None = None,
        sender: Sender | None = None,
    ) -> Receipt:
        """Revoke a rule. It overtakes whatever was signed for this rule and not sent.

        Args:
            grantee: under whom the rule stands.
            index: which of the pair's rules.
            sequence: what to overtake; see `sign_revocation`. Needed where the rule is signed but not yet stored.
            subject: whose rule.
            sender: the subject, or its delegate for revoking.

        Raises:
            RuleStateError: there is no rule to revoke, and no sequence is given.
        """
        by = self._by("revokeRule", sender).address
        of = subject or by
        if sequence is None:
            sequence = self._overtaking(of, grantee, index)
        if of == by:
            return self._transact("revokeRule", grantee, index, sequence, sender=sender)
        return self._transact("revokeRuleFor", of, grantee, index, sequence, 0, b"", sender=sender)

    def withdraw(self, *, subject: str | None = None, sender: Sender | None = None) -> Receipt:
        """Deny everyone everything, for good: nobody can change it again. For a pseudonym that is given up, or whose
        key was stolen. The sender is the subject, or a delegate with every scope, as a successor."""
        of = subject or self._by("withdraw", sender).address
        return self._transact("withdraw", of, 0, b"", sender=sender)

    # -- signing, as the subject or its delegate, for anyone to relay --------------------------------------------

    def sign_grant(
        self, signer: Signer, grantee: str, rule: Rule, *, subject: str | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a grant; see `grant`. `lifetime` is how long the message counts, in seconds."""
        word = self._next_word(subject or signer.address, grantee, rule, anew=True)
        return self._sign_rule(signer, subject or signer.address, grantee, word, lifetime)

    def sign_change(
        self, signer: Signer, grantee: str, rule: Rule, *, subject: str | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign a change; see `change`."""
        word = self._next_word(subject or signer.address, grantee, rule, anew=False)
        return self._sign_rule(signer, subject or signer.address, grantee, word, lifetime)

    def sign_revocation(
        self,
        signer: Signer,
        grantee: str,
        *,
        index: int = 0,
        sequence: int | None = None,
        subject: str | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a revocation; see `revoke`.

        Args:
            signer: the subject, or its delegate for revoking.
            grantee: under whom the rule stands.
            index: which of the pair's rules.
            sequence: what to overtake: any sequence above all that were signed. One above the stored one where none
                is given; two or more above it beats a grant that is signed and still on its way. A delegate needs
                every scope for that, and for a revocation where no rule stands.
            subject: whose rule.
            lifetime: how long the message counts, in seconds.
        """
        of, deadline = subject or signer.address, self._deadline(lifetime)
        if sequence is None:
            sequence = self._overtaking(of, grantee, index)
        message = messages.revocation(
            self.domain, subject=of, grantee=grantee, index=index, sequence=sequence, deadline=deadline
        )
        arguments = (of, grantee, index, sequence)
        return self._signed("revokeRuleFor", arguments, deadline, signer.sign_typed_data(message))

    def sign_withdrawal(self, signer: Signer, *, subject: str | None = None, lifetime: int = _HOUR) -> SignedMessage:
        """Sign a withdrawal; see `withdraw`."""
        of, deadline = subject or signer.address, self._deadline(lifetime)
        message = messages.withdrawal(self.domain, subject=of, deadline=deadline)
        return self._signed("withdraw", (of,), deadline, signer.sign_typed_data(message))

    def relay_many(self, signed: Sequence[SignedMessage], *, sender: Sender | None = None) -> Receipt:
        """Send signed grants, changes and revocations of any subjects in one transaction, all or none.

        Cheaper than one by one, for signatures of keys. `medproof.relayer` skips what fails and takes the rest.

        Raises:
            MessageError: one of them is no such message, or is signed by a contract wallet; send it by `relay`.
        """
        return self._transact("setRulesFor", [self._signed_change(message) for message in signed], sender=sender)

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

    def are_permitted(self, asked: Sequence[tuple[str, str, Request]], *, block: int | None = None) -> tuple[bool, ...]:
        """Whether each of many requests is permitted, all as of one block; the newest by default.

        Args:
            asked: of each the subject, the account that asks, and the request.
            block: as of which block.

        Raises:
            ArgumentError: a subject or an account is no address.
            RuleFieldError: a request holds what its field cannot.
            StateUnavailableError: the node has no such block, or no longer its state.
            NodeError: nobody answers.
        """
        _, answers = self._ask_each("isPermitted", asked, _WORD, block)
        try:
            return tuple([_TRUTH[said] for said in answers])
        except KeyError as error:
            raise UnclearAnswerError(
                f"The node gave 0x{error.args[0].hex()} for yes or no. Name another node."
            ) from None

    def decide_each(
        self, asked: Sequence[tuple[str, str, Request]], *, block: int | None = None
    ) -> tuple[Decision, ...]:
        """Why each of many requests is permitted or refused, all as of one block; see `decide` and `are_permitted`."""
        at, answers = self._ask_each("decide", asked, 3 * _WORD, block)
        return tuple(_decision(said, at) for said in answers)

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

    def _ask_each(
        self, function: str, asked: Sequence[tuple[str, str, Request]], answer: int, block: int | None
    ) -> tuple[int, list[bytes]]:
        """What a function of a subject, an account and a request returns to each, and as of which block."""
        asked = tuple(asked)  # which keeps each request: its identity is that of no other
        at = self.chain.block_number() if block is None else block
        selector = keccak256(f"{function}(address,address,uint256)".encode("ascii"))[:4]
        named = dict.fromkeys(account for subject, actor, _ in asked for account in (subject, actor))
        accounts = {account: address_bytes(account).rjust(_WORD, b"\0") for account in named}
        requests: dict[int, bytes] = {}  # by the object: many ask for the same
        calls = []
        for subject, actor, request in asked:
            word = requests.get(id(request))
            if word is None:
                word = requests[id(request)] = encode_request(request).to_bytes(_WORD, "big")
            calls.append(selector + accounts[subject] + accounts[actor] + word)
        return at, self.chain.read_each(self.contract, calls, answer=answer, block=at) if calls else []

    def _set(self, grantee: str, rule: Rule, subject: str | None, sender: Sender | None, *, anew: bool) -> Receipt:
        by = self._by("setRule", sender).address
        of = subject or by
        word = self._next_word(of, grantee, rule, anew=anew)
        if of == by:
            return self._transact("setRule", grantee, word, sender=sender)
        return self._transact("setRuleFor", of, grantee, word, 0, b"", sender=sender)

    def _signed_change(self, message: SignedMessage) -> tuple[str, str, int, int, bytes, bytes]:
        self.call_data(message)
        if message.function not in ("setRuleFor", "revokeRuleFor"):
            raise MessageError(f"{message.function} cannot be sent with others in one call. Relay it by itself.")
        *given, deadline, signature = message.arguments
        if message.function == "revokeRuleFor":
            subject, grantee, index, sequence = given
            word = _REVOKED | FIELDS["index"].place(index) | FIELDS["sequence"].place(sequence)
        else:
            subject, grantee, word = given
        return subject, grantee, word, deadline, *messages.compact(signature)

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
        sequence = _following(stored, subject, grantee, rule.index)
        word = encode(replace(rule, sequence=sequence, follows=False, revoked=False))
        validate(word)
        return word

    def _overtaking(self, subject: str, grantee: str, index: int) -> int:
        stored = self._word(subject, grantee, index)
        if not stored or decode(stored).revoked:
            raise RuleStateError(f"There is no rule {index} of {subject} for {grantee} to revoke. Nothing needs doing.")
        return _following(stored, subject, grantee, index)

    def _sign_rule(self, signer: Signer, subject: str, grantee: str, word: int, lifetime: int) -> SignedMessage:
        deadline = self._deadline(lifetime)
        message = messages.rule(
            self.domain,
            subject=subject,
            grantee=grantee,
            word=word,
            terms=self.terms(FIELDS["terms"].of(word)),
            deadline=deadline,
        )
        arguments = (subject, grantee, word)
        return self._signed("setRuleFor", arguments, deadline, signer.sign_typed_data(message))


def _decision(said: bytes, block: int) -> Decision:
    """What `decide` returned, in three words."""
    reason, grantee, word = (int.from_bytes(said[at : at + _WORD], "big") for at in range(0, 3 * _WORD, _WORD))
    try:
        by = to_checksum_address(grantee.to_bytes(20, "big")) if word else None
        return Decision(Reason(reason), by, decode(word) if word else None, block)
    except (ValueError, OverflowError):
        raise UnclearAnswerError(f"The node gave 0x{said.hex()} for a decision. Name another node.") from None


def _following(stored: int, subject: str, grantee: str, index: int) -> int:
    """The sequence after a stored word's."""
    sequence = FIELDS["sequence"].of(stored) + 1
    if sequence >> FIELDS["sequence"].width:
        raise RuleStateError(
            f"Rule {index} of {subject} for {grantee} stands for good, as a withdrawal or its last revocation left it. "
            "Use another index."
        )
    return sequence
