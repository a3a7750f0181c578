"""Signing what a subject has to say to the new deployment: only what the old one says, read from it anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medproof import messages
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.studies import Study
from medproof.errors import MigrationError
from medproof.messages import Domain, TypedData
from medproof.migration.comparison import Comparison
from medproof.migration.state import State, read_state
from medproof.migration.step import Step
from medproof.policy.delegation import Scope
from medproof.policy.word import FIELDS
from medproof.signing import Signer

__all__ = ["compare_subject", "sign_step", "sign_subject", "signable_steps"]

_DELEGATES = ("setRuleFor", "setDevice", "optIn")  # that one with the scope to grant signs in the subject's place


def compare_subject(old: MedProof, new: MedProof, subject: str, *, shared: Comparison | None = None) -> Comparison:
    """Compare what two deployments say of one subject, both read from their nodes as of the newest block.

    Args:
        old: the deployment that is left.
        new: the one that takes its place.
        subject: of whom.
        shared: another subject's, whose parties, groups, terms and studies are taken as they were a moment ago.
    """
    before, after = (None, None) if shared is None else (shared.old, shared.new)
    was = read_state(old, subject=subject, shared=before)
    return Comparison(was, read_state(new, subject=subject, shared=after))


def sign_subject(
    new: MedProof, comparison: Comparison, subject: str, signer: Signer, *, lifetime: int
) -> list[SignedMessage]:
    """Sign all that can be signed now in a subject's name, in the order in which it is to be sent.

    Args:
        new: the new deployment, at which alone the messages count.
        comparison: what is to be done; see `compare_subject`.
        subject: in whose name.
        signer: the subject, or its delegate there.
        lifetime: how long the messages count, in seconds.

    Raises:
        MigrationError: the signer is neither the subject nor a delegate that may sign this.
    """
    steps = signable_steps(new, comparison, subject, signer)
    deadline = new.chain.timestamp() + lifetime
    return [sign_step(new, comparison.new, step, signer, deadline) for step in steps if not step.waits]


def signable_steps(new: MedProof, comparison: Comparison, subject: str, signer: Signer) -> tuple[Step, ...]:
    """Those of a subject's steps that are the signer's to sign, waiting ones included; see `sign_subject`.

    A delegate signs its own steps, and what gives something where it may grant.
    """
    every = comparison.subject_steps(subject)
    own = tuple(step for step in every if step.actor == signer.address)
    if signer.address == subject or not every:
        return own
    if Scope.GRANT in new.delegations.scopes(subject, signer.address):
        return tuple(step for step in every if step in own or step.function in _DELEGATES)
    if not own:
        rule = f"{signer.address} is no delegate of {subject} that may grant, in the new deployment"
        raise MigrationError("signer", rule, "Sign the delegation first, as the subject")
    return own


def sign_step(new: MedProof, state: State, step: Step, signer: Signer, deadline: int) -> SignedMessage:
    """Sign one step."""
    client = new.client_for(step.contract)
    typed = _TYPED[step.function](client.domain, state, step.arguments, deadline)
    return SignedMessage(
        contract=client.name,
        address=client.address,
        chain_id=new.chain.chain_id,
        function=step.function,
        arguments=(*step.arguments, deadline, signer.sign_typed_data(typed)),
        deadline=deadline,
    )


Typed = Callable[[Domain, State, Sequence[Any], int], TypedData]


def _rule(domain: Domain, state: State, said: Sequence[Any], deadline: int) -> TypedData:
    subject, grantee, word = said
    terms = state.terms.get(FIELDS["terms"].of(word), bytes(32))
    return messages.rule(domain, subject=subject, grantee=grantee, word=word, terms=terms, deadline=deadline)


def _opt_in(domain: Domain, state: State, said: Sequence[Any], deadline: int) -> TypedData:
    subject, study, sequence = said
    of: Study = state.studies[study]
    return messages.opt_in(
        domain,
        subject=subject,
        study=study,
        sequence=sequence,
        researcher=of.researcher,
        last_day=int(of.as_tuple()[5]),  # type: ignore[call-overload]
        request=of.request,
        deadline=deadline,
    )


def _plain(make: Callable[..., TypedData], *names: str) -> Typed:
    """A message whose members are the step's arguments."""

    def typed(domain: Domain, state: State, said: Sequence[Any], deadline: int) -> TypedData:
        return make(domain, **dict(zip(names, said, strict=True)), deadline=deadline)

    return typed


_TYPED: Mapping[str, Typed] = {
    "setRuleFor": _rule,
    "optIn": _opt_in,
    "revokeRuleFor": _plain(messages.revocation, "subject", "grantee", "index", "sequence"),
    "withdraw": _plain(messages.withdrawal, "subject"),
    "setDelegation": _plain(messages.delegation, "subject", "delegate", "word"),
    "revokeDelegation": _plain(messages.delegation_revocation, "subject", "delegate", "by", "sequence"),
    "nameGuardians": _plain(messages.guardians, "subject", "by", "commitment", "round_number"),
    "setDevice": _plain(messages.device, "subject", "device", "word"),
    "revokeDevice": _plain(messages.device_revocation, "subject", "device", "sequence"),
    "optOut": _plain(messages.opt_out, "subject", "study", "sequence"),
    "acceptFor": _plain(messages.acceptance, "subject", "custodian", "commitment", "sequence"),
    "disputeFor": _plain(messages.dispute, "subject", "custodian", "commitment", "reason", "sequence"),
}
