"""What the authority and the parties do: accreditations, groups, terms; pointers, logs, studies, nullifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof.client.contract import day_number
from medproof.client.record_pointers import PointerKey, Status
from medproof.migration.carrying import Carrying
from medproof.migration.state import Member, State
from medproof.migration.step import AUTHORITY, Actor, Finding, Kind, Step
from medproof.policy.codes import PartyKind

__all__ = ["AuthoritySteps", "PartySteps"]

_CLAIMS = 500  # nullifiers in one batch, as the contract has it
_ZERO = bytes(32)


class AuthoritySteps:
    """The steps of whoever has the new deployment's roles, and what no step mends."""

    def __init__(self, old: State, new: State, carrying: Carrying, keeper: str | None) -> None:
        """Compare two deployments; `keeper` as for `Comparison`."""
        self._old, self._new, self._carrying, self._keeper = old, new, carrying, keeper
        self.findings: list[Finding] = []
        self.steps: tuple[Step, ...] = (
            *self._groups(),
            *self._terms(),
            *self._limits(),
            *(step for identity in sorted({*old.members, *new.members}) for step in self._party(identity)),
        )

    def _step(self, part: str, function: str, arguments: tuple[object, ...], says: str, *, waits: str = "") -> Step:
        contract = "Registrar" if part in ("groups", "parties") else "ConsentRegistry"
        return Step(Actor.AUTHORITY, AUTHORITY, part, contract, function, arguments, says, waits)

    def _find(self, kind: Kind, part: str, about: str, says: str) -> None:
        self.findings.append(Finding(kind, part, about, says))

    def _groups(self) -> Iterator[Step]:
        for number, name in sorted(self._old.groups.items()):
            if number not in self._carrying.groups:
                yield self._step("groups", "createGroup", (name,), f"Group {number} is “{name}”.")

    def _terms(self) -> Iterator[Step]:
        for number, terms in sorted(self._old.terms.items()):
            if number not in self._carrying.terms:
                yield self._step("terms", "publishTerms", (terms,), f"Terms number {number} are 0x{terms.hex()}.")

    def _limits(self) -> Iterator[Step]:
        if self._old.limits != self._new.limits:
            a_day, longest = self._old.limits
            says = f"Emergency care opens {a_day} records a day, each for {longest} minutes at most."
            yield self._step("limits", "setBreakGlassLimits", self._old.limits, says)

    def _party(self, identity: str) -> Iterator[Step]:
        was, stands = self._old.members.get(identity), self._new.members.get(identity)
        if was is None:
            if identity in self._old.removed:
                yield self._step("parties", "remove", (identity,), f"{identity} was removed for good.")
            elif identity != self._keeper:
                self._find(Kind.WIDER, "parties", identity, "It is a party, and never was one before.")
            return
        if was.party.valid_until < self._new.day:
            self._find(Kind.STAYS, "parties", identity, f"Its accreditation ended on {was.party.valid_until}.")
            return
        if stands is None:
            if identity in self._new.removed:
                self._find(Kind.NEWER, "parties", identity, "It was removed in the new deployment for good.")
            else:
                yield from self._accreditation(was)
            return
        if stands.party.kind is not was.party.kind:
            says = f"It is of the kind {kind_code(stands)}, and was of the kind {kind_code(was)}."
            self._find(Kind.WIDER, "parties", identity, says)
            return
        yield from self._standing(was, stands)

    def _accreditation(self, was: Member) -> Iterator[Step]:
        """A new party; one whose account changed is suspended in the same transaction: its former key never acts."""
        identity, until = was.party.id, was.party.valid_until
        kind = [*PartyKind].index(was.party.kind) + 1
        says = f"{identity} is of the kind {kind_code(was)}, until {until}."
        arguments = (identity, kind, was.credential, day_number(until))
        step = self._step("parties", "accredit", arguments, says)
        if was.party.suspended or was.account != identity:
            step = replace(step, says=f"{says} It is suspended at once.", then=("suspend",))
        yield step
        waits = "its accreditation"
        if was.account != identity:
            yield from self._recovery(was, waits=waits)
        yield from self._joining(was, (), waits=waits)

    def _standing(self, was: Member, stands: Member) -> Iterator[Step]:
        identity, moved = was.party.id, was.account != stands.account
        newer = stands.account != identity  # it was recovered or rotated there
        if (was.credential, was.party.valid_until) != (stands.credential, stands.party.valid_until):
            until = was.party.valid_until
            says = f"{identity} is accredited until {until}."
            there = stands.party.valid_until
            if (identity, stands.credential, day_number(there)) in self._old.accredited_before:
                yield self._step("parties", "renew", (identity, was.credential, day_number(until)), says)
            else:  # the new deployment's own
                kind = Kind.WIDER if there > until else Kind.NEWER
                self._find(kind, "parties", identity, f"It is accredited until {there}, and was until {until}.")
        if moved and newer:
            self._find(Kind.WIDER, "parties", identity, f"{stands.account} acts for it, and {was.account} did.")
        moving = moved and not newer
        if (was.party.suspended or moving) and not stands.party.suspended:
            yield self._step("parties", "suspend", (identity,), f"{identity} is suspended.")
        if moving and stands.offered != was.account:
            yield from self._recovery(was)
        own = was.account != identity or identity in self._old.suspended_before  # carried from there, now or once
        if stands.party.suspended and not was.party.suspended and not own:
            self._find(Kind.NEWER, "parties", identity, "It is suspended.")
        elif stands.party.suspended and not was.party.suspended:
            waits = f"{was.account} to take its place" if moving else ""
            says = f"{identity} is suspended no more."
            yield self._step("parties", "reinstate", (identity,), says, waits=waits)
        yield from self._joining(was, stands.party.groups)

    def _recovery(self, was: Member, *, waits: str = "") -> Iterator[Step]:
        says = f"{was.account} acts for {was.party.id}, once it has taken its place after three days."
        yield self._step("parties", "startRecovery", (was.party.id, was.account), says, waits=waits)

    def _joining(self, was: Member, joined: tuple[int, ...], *, waits: str = "") -> Iterator[Step]:
        """The groups that it leaves and joins; the newest stands first, as the contract asks them."""
        identity, wanted = was.party.id, [self._carrying.groups.get(one) for one in was.party.groups]
        for group in joined:
            if group not in wanted:
                yield self._step("groups", "leaveGroup", (group, identity), f"{identity} is in group {group} no more.")
        for former in reversed(was.party.groups):
            number = self._carrying.groups.get(former)
            if number is None or number not in joined:
                missing = waits or ("" if number else f"group {former} to be created")
                says = f"{identity} is in the group “{self._old.groups[former]}”."
                yield self._step("groups", "joinGroup", (number or 0, identity), says, waits=missing)


class PartySteps:
    """The steps of all parties, and what no step mends."""

    def __init__(self, old: State, new: State, keeper: str | None) -> None:
        """Compare two deployments; `keeper` as for `Comparison`."""
        self._old, self._new, self._keeper = old, new, keeper
        self.findings: list[Finding] = []
        self.steps: tuple[Step, ...] = (
            *self._accounts(),
            *self._keys(),
            *self._pointers(),
            *self._batches(),
            *self._logs(),
            *self._studies(),
            *self._nullifiers(),
        )

    def _step(
        self,
        actor: str,
        part: str,
        contract: str,
        function: str,
        arguments: tuple[object, ...],
        says: str,
        *,
        waits: str = "",
    ) -> Step:
        return Step(Actor.PARTY, actor, part, contract, function, arguments, says, waits or self._inactive(actor))

    def _inactive(self, identity: str) -> str:
        """What a party waits for before it can act; empty where it can."""
        member = self._new.members.get(identity)
        if member is None:
            return f"{identity} to be accredited"
        if member.party.suspended:
            return f"{identity} to be reinstated"
        return f"{identity} to be renewed" if member.party.valid_until < self._new.day else ""

    def _find(self, kind: Kind, part: str, about: str, says: str) -> None:
        self.findings.append(Finding(kind, part, about, says))

    def _gone(self, part: str, identity: str, says: str) -> bool:
        """Whether a party is none any more, so that what only it could carry stays behind."""
        if identity in self._old.members:
            return False
        self._find(Kind.STUCK, part, identity, says)
        return True

    def _accounts(self) -> Iterator[Step]:
        for identity, was in sorted(self._old.members.items()):
            stands = self._new.members.get(identity)
            if stands is not None and stands.account == identity != was.account:
                waits = "" if stands.offered == was.account else "the authority to name it"
                says = f"{was.account} takes its place, as it did before; three days after it was named."
                step = Step(Actor.PARTY, identity, "parties", "Registrar", "takeAccount", (identity,), says, waits)
                yield step

    def _keys(self) -> Iterator[Step]:
        for identity, was in sorted(self._old.members.items()):
            stands = self._new.members.get(identity)
            if was.encryption_key != _ZERO and (stands is None or stands.encryption_key == _ZERO):
                says = f"Others encrypt to it by the key 0x{was.encryption_key.hex()}."
                arguments = (was.encryption_key,)
                yield self._step(identity, "keys", "Registrar", "publishEncryptionKey", arguments, says)

    # -- pointers -------------------------------------------------------------------------------------------------

    def _pointers(self) -> Iterator[Step]:
        for key, was in self._old.pointers.items():
            stands = self._new.pointers.get(key)
            where = (key.subject, key.origin, key.commitment)
            name = f"the record 0x{key.commitment.hex()} of {key.subject}"
            if stands is None:
                yield from self._posting(key, name)
            elif Status.AMENDED not in (was.status, stands.status):
                yield from self._custody(key, was.custodian, name)
                denied = was.status is Status.DISPUTE_DENIED and stands.status is Status.DISPUTED
                if denied and was.custodian == stands.custodian:
                    says = f"It denies the dispute of {name}, for the reason that it gave."
                    arguments = (*where, self._old.denials[key.id])
                    yield self._step(was.custodian, "answers", "RecordPointers", "denyDispute", arguments, says)
        for key in self._new.pointers:
            if key not in self._old.pointers and not self._is_newer(key):
                self._find(Kind.WIDER, "pointers", key.subject, f"{key.origin} points to 0x{key.commitment.hex()}.")

    def _posting(self, key: PointerKey, name: str) -> Iterator[Step]:
        if self._gone("pointers", key.origin, f"Only it could post {name}, and it was removed for good."):
            return
        before = self._old.previous.get(key)
        if before is None:
            data_class = self._old.pointers[key].data_class.value.bit_length() - 1
            posted = (key.subject, data_class, key.commitment)
            yield self._step(key.origin, "pointers", "RecordPointers", "post", posted, f"It points to {name}.")
            return
        held = self._new.pointers.get(before)
        if held is not None and held.custodian != key.origin:
            yield from self._custody(before, key.origin, f"the record 0x{before.commitment.hex()} of {before.subject}")
        ready = held is not None and held.custodian == key.origin
        if held is not None and held.status is Status.AMENDED:
            self._find(Kind.STUCK, "pointers", key.subject, f"Another version replaced what {name} replaced.")
            return
        arguments = (key.subject, before.origin, before.commitment, key.commitment)
        waits = "" if ready else "the version before it"
        says = f"It points to {name}, in the place of 0x{before.commitment.hex()}."
        yield self._step(key.origin, "pointers", "RecordPointers", "amend", arguments, says, waits=waits)

    def _custody(self, key: PointerKey, to: str, name: str) -> Iterator[Step]:
        held = self._new.pointers[key]
        if held.custodian == to:
            return
        where = (key.subject, key.origin, key.commitment)
        offered = self._new.offers.get(key) == to
        if not offered:
            says = f"It offers {to} the custody of {name}."
            arguments = (*where, to)
            yield self._step(held.custodian, "custody", "RecordPointers", "offerCustody", arguments, says)
        waits = "" if offered else f"{held.custodian} to offer it"
        says = f"It takes the custody of {name}."
        yield self._step(to, "custody", "RecordPointers", "takeCustody", where, says, waits=waits)

    def _is_newer(self, key: PointerKey) -> bool:
        """Whether a pointer is a later version of one that was carried."""
        while (before := self._new.previous.get(key)) is not None:
            key = before
        return key in self._old.pointers

    def _batches(self) -> Iterator[Step]:
        for (custodian, root), size in sorted(self._old.batches.items()):
            if self._new.batches.get((custodian, root)) == size:
                continue
            says = f"It points to the {size} records of the batch 0x{root.hex()}."
            if self._gone("batches", custodian, f"{says} It was removed for good."):
                continue
            arguments = (root, size)
            yield self._step(custodian, "batches", "RecordPointers", "postBatch", arguments, says)
        for custodian, root in sorted(self._new.batches.keys() - self._old.batches.keys()):
            self._find(Kind.WIDER, "batches", custodian, f"It points to the records of the batch 0x{root.hex()}.")

    # -- logs, studies --------------------------------------------------------------------------------------------

    def _logs(self) -> Iterator[Step]:
        for (publisher, number), was in sorted(self._old.logs.items()):
            stands = self._new.logs.get((publisher, number))
            says = f"Its log {number} has {was.size} entries, and the root 0x{was.root.hex()}."
            if stands is None or stands.size < was.size:
                if self._gone("logs", publisher, f"{says} It was removed for good."):
                    continue
                arguments = (publisher, number, was.size, was.root, 0, b"")
                yield self._step(publisher, "logs", "BatchAnchor", "anchor", arguments, says)
            elif stands.size == was.size and stands.root != was.root:
                self._find(Kind.WIDER, "logs", publisher, f"{says} It has 0x{stands.root.hex()} now: not the same log.")
        for (custodian, number), signer in sorted(self._old.log_keys.items()):
            found = self._new.log_keys.get((custodian, number))
            says = f"{signer} signs the promises of its access log {number}."
            if found is None and not self._gone("logs", custodian, f"{says} It was removed for good."):
                yield self._step(custodian, "logs", "AccessLog", "openLog", (number, signer), says)
            elif found not in (None, signer):
                self._find(Kind.NEWER, "logs", custodian, f"{found} signs the promises of its access log {number}.")

    def _studies(self) -> Iterator[Step]:
        for id_, study in sorted(self._old.studies.items()):
            name = f"the study 0x{id_.hex()}"
            if id_ not in self._old.standing_studies or study.last_day < self._old.day:
                self._find(Kind.STAYS, "studies", study.researcher, f"It does {name} no more.")
                continue
            if id_ in self._new.studies:
                continue
            if not self._gone("studies", study.researcher, f"It did {name}, and was removed for good."):
                arguments = (study.as_tuple(),)
                yield self._step(study.researcher, "studies", "Studies", "register", arguments, f"It does {name}.")
        for id_ in self._old.studies.keys() & self._new.standing_studies - self._old.standing_studies:
            study = self._old.studies[id_]
            says = f"The study 0x{id_.hex()} is closed."
            yield self._step(study.researcher, "studies", "Studies", "close", (id_,), says)
        for id_ in sorted(self._new.studies.keys() - self._old.studies.keys()):
            self._find(Kind.WIDER, "studies", self._new.studies[id_].researcher, f"It does the study 0x{id_.hex()}.")

    # -- claims ---------------------------------------------------------------------------------------------------

    def _nullifiers(self) -> Iterator[Step]:
        """Whatever was billed is held by the keeper, so that nobody bills it again."""
        for transaction in self._old.unread_claim_batches:
            says = f"The nullifiers of the batch that {transaction} submitted cannot be read from its call."
            self._find(Kind.STUCK, "claims", "", says)
        missing = sorted(self._old.nullifiers.keys() - self._new.nullifiers.keys())
        keeper = self._keeper
        places = {_place(keeper, root) for provider, root in self._new.claim_batches if provider == keeper}
        again = {
            one
            for one in self._old.nullifiers.keys() & self._new.nullifiers.keys()
            if int.from_bytes(self._new.nullifiers[one], "big") >> 32 not in places
        }
        if again:
            self._find(Kind.WIDER, "claims", "", f"{len(again)} services that were billed before are billed again.")
        if keeper is None:
            if missing:
                says = f"{len(missing)} services that were billed could be billed again. Name a keeper (--keeper)."
                self._find(Kind.STUCK, "claims", "", says)
            return
        for start in range(0, len(missing), _CLAIMS):
            part = tuple(missing[start : start + _CLAIMS])
            arguments = (keeper, keccak(b"".join(part)), part, 0, b"")
            says = f"It holds the nullifiers of {len(part)} services that were billed."
            yield self._step(keeper, "claims", "ClaimAnchor", "submitBatch", arguments, says)
        member = self._new.members.get(keeper)
        if not missing and places and member is not None and not member.party.suspended:
            says = f"{keeper}, which holds what was billed, is suspended: so nobody lets it go."
            yield Step(Actor.AUTHORITY, AUTHORITY, "claims", "Registrar", "suspend", (keeper,), says)


def kind_code(member: Member) -> str:
    """The code of a party's kind."""
    return str(member.party.kind.codes[0])


def _place(keeper: str | None, root: bytes) -> int:
    """What the contract writes for a nullifier of a batch, before its index in it."""
    return int.from_bytes(keccak(encode(["address", "bytes32"], [keeper, root]))[12:], "big")
