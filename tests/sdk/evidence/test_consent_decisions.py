"""Evidence of consent says what the contract says: every reason, as of every block of a random walk, on both nodes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from medproof.client import MedProof
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.errors import ContractError
from medproof.evidence.consent import ProvedDecision
from medproof.evidence.consent_file import verify_consents
from medproof.evidence.consent_prover import ConsentProver
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.emergency import OverrideReason
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, Rule, encode
from medproof.signing import LocalSigner
from tests.sdk.conftest import funded, rpc

PATIENTS = [funded(number) for number in (6, 10, 11, 12, 13, 14, 15)]
ACCOUNTS = [funded(number) for number in (16, 17, 18)]
SOMEBODY = "0x00000000000000000000000000000000DeaDBeef"  # never wrote a rule
EMERGENCY_GROUP = 2

ASKED = Request(
    Purpose.HRESCH,
    DataClass.GENOMICS,
    Condition.NEOPLASMS,
    Sensitivity.NONE_LABELLED,
    CareSetting.AMB,
    Action.ACCESS,
    date(2020, 1, 1),
    date(2024, 1, 1),
    ResearchUse.HMB | ResearchUse.NPU,
)
REQUESTS = (
    ASKED,
    replace(ASKED, purposes=Purpose.HRESCH | Purpose.PUBHLTH),
    replace(ASKED, classes=DataClass.NOTE),
    replace(ASKED, conditions=Condition.ALL),
    replace(ASKED, sensitivities=Sensitivity.HIV),
    replace(ASKED, settings=CareSetting.EMER),
    replace(ASKED, actions=Action.DISCLOSE),
    replace(ASKED, research=ResearchUse.NRES),
    replace(ASKED, data_until=None),
    replace(ASKED, data_from=date(2024, 1, 2)),
    Request(Purpose.BTG, DataClass.GENOMICS, actions=Action.ACCESS),
)


@dataclass
class Walk:
    """Rules, parties, groups and emergencies that change at random."""

    suite: MedProof
    admin: LocalSigner
    clinic: LocalSigner
    draw: random.Random
    group: int = 0
    accounts: list[LocalSigner] = field(default_factory=list)  # that acted for the clinic, in their order

    def begin(self) -> None:
        """Groups and accounts, and for each patient but the last a rule that decides in its own way."""
        self.accounts.append(self.clinic)
        for signer in (*PATIENTS, *ACCOUNTS):
            self.suite.chain.wait(self.suite.chain.send({"to": signer.address, "value": 10**18}, sender=self.admin))
        self.group = self.suite.registrar.create_group("oncology", sender=self.admin)
        for group in (self.group, EMERGENCY_GROUP):
            self.suite.registrar.join_group(group, self.clinic.address, sender=self.admin)
        hour, permit = timedelta(hours=1), self.permit(self.now())
        registry, party = self.suite.consent_registry, self.clinic.address
        for patient, written in zip(
            PATIENTS,
            (
                permit,
                permit,
                replace(permit, valid_from=self.now() + hour),
                replace(permit, valid_from=self.now() - 2 * hour, valid_until=self.now() - hour),
                replace(permit, party_kinds=PartyKind.PAYER),
                self.denial(self.now()),
            ),
            strict=False,
        ):
            registry.grant(party, written, sender=patient)
        registry.revoke(party, sender=PATIENTS[1])
        registry.break_glass(PATIENTS[0].address, OverrideReason.EMERGENCY_TREATMENT, sender=self.clinic)

    def step(self) -> None:
        """One change; what the contracts refuse is none."""
        act = self.draw.choice(
            (self.write, self.write, self.write, self.write, self.revoke, self.open, self.register, self.register)
        )
        with suppress(ContractError):
            act()

    def write(self) -> None:
        patient, grantee = self.draw.choice(PATIENTS), self.grantee()
        standing = self.suite.consent_registry.rules(patient.address, grantee)
        index = self.draw.randrange(min(len(standing) + 1, 4))
        live = index < len(standing) and not standing[index].revoked
        verb = self.suite.consent_registry.change if live else self.suite.consent_registry.grant
        verb(grantee, self.rule(index), sender=patient)

    def revoke(self) -> None:
        patient, grantee = self.draw.choice(PATIENTS), self.grantee()
        standing = self.suite.consent_registry.rules(patient.address, grantee)
        live = [one.index for one in standing if not one.revoked]
        if live:
            self.suite.consent_registry.revoke(grantee, index=self.draw.choice(live), sender=patient)

    def open(self) -> None:
        reason, patient = OverrideReason.PUBLIC_SAFETY, self.draw.choice(PATIENTS)
        length = timedelta(minutes=self.draw.choice((1, 240)))
        self.suite.consent_registry.break_glass(patient.address, reason, duration=length, sender=self.accounts[-1])

    def register(self) -> None:
        registrar, party = self.suite.registrar, self.clinic.address
        known = registrar.party(self.accounts[-1].address)
        assert known is not None
        change = self.draw.choice(("suspend", "group", "account", "time"))
        if change == "suspend" or known.suspended:
            (registrar.reinstate if known.suspended else registrar.suspend)(party, sender=self.admin)
        elif change == "group":
            group = self.draw.choice((self.group, EMERGENCY_GROUP))
            (registrar.leave_group if group in known.groups else registrar.join_group)(group, party, sender=self.admin)
        elif change == "account" and len(self.accounts) <= len(ACCOUNTS):
            account = ACCOUNTS[len(self.accounts) - 1]
            registrar.offer_account(account.address, sender=self.accounts[-1])
            registrar.take_account(party, sender=account)
            self.accounts.append(account)
        else:
            rpc(self.suite.chain, "evm_increaseTime", 3600)

    def grantee(self) -> str:
        return self.draw.choice(
            (self.clinic.address, EVERYONE, group_grantee(self.group), group_grantee(EMERGENCY_GROUP))
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.suite.chain.timestamp(), UTC).replace(second=0)

    def rule(self, index: int) -> Rule:
        """A rule at random."""
        starts = self.now() + timedelta(minutes=self.draw.choice((-90, -60, 60)))
        if self.draw.random() < 0.15:
            return replace(self.denial(starts), index=index)
        return replace(
            self.permit(starts),
            classes=self.draw.choice((DataClass.GENOMICS, DataClass.ALL)),
            conditions=self.draw.choice((Condition.NEOPLASMS, Condition.ALL)),
            actions=self.draw.choice((Action.ACCESS, Action.ALL)),
            valid_until=self.draw.choice((None, starts + timedelta(minutes=30))),
            index=index,
            break_glass_refused=self.draw.random() < 0.2,
        )

    @staticmethod
    def permit(starts: datetime) -> Rule:
        """Just what is asked for."""
        shared = {name: getattr(ASKED, name) for name in ("purposes", "classes", "conditions", "sensitivities")}
        return Rule(
            **shared,
            settings=ASKED.settings,
            actions=ASKED.actions,
            party_kinds=PartyKind.ALL,
            valid_from=starts,
            data_from=ASKED.data_from,
            data_until=ASKED.data_until,
            research=ASKED.research.with_narrower(),
        )

    @staticmethod
    def denial(starts: datetime) -> Rule:
        """A rule against all research."""
        return Rule(
            Purpose.HRESCH,
            DataClass.ALL,
            Condition.ALL,
            Sensitivity.ALL,
            CareSetting.ALL,
            Action.ALL,
            PartyKind.ALL,
            starts,
            research=ResearchUse.PERMISSIONS,
            deny=True,
        )


def decisions(suite: MedProof, account: str, request: Request, block: int) -> Iterator[ProvedDecision]:
    """What evidence says, verified with no node, of everybody."""
    subjects: list[str] = [*(one.address for one in PATIENTS), SOMEBODY]
    found: list[ProvedDecision] = []
    lines = list(ConsentProver(suite, account, request, block=block).lines(subjects))
    proved = verify_consents(lines, [suite.chain.block(block).hash], each=found.append)
    assert (proved.block, proved.at.timestamp()) == (block, suite.chain.timestamp(block))
    assert (proved.account, proved.known) == (account, True)
    assert proved.party == suite.registrar.standing(account, block=block)
    assert proved.subjects == len(found) == len(subjects)
    assert proved.permitted == sum(one.permitted for one in found)
    return iter(found)


def test_it_decides_as_the_contract_as_of_every_block(
    any_suite: MedProof, admin: LocalSigner, clinic: LocalSigner, stranger: LocalSigner
) -> None:
    suite, walk = any_suite, Walk(any_suite, admin, clinic, random.Random(6))
    walk.begin()
    asked = [(suite.chain.block_number(), account.address, one) for account in (clinic, stranger) for one in REQUESTS]
    for number in range(50):
        walk.step()
        if number % 10 == 9:
            for account in {walk.accounts[0].address, walk.accounts[-1].address}:
                asked += [(suite.chain.block_number(), account, one) for one in walk.draw.sample(REQUESTS, 2)]
    seen: set[Reason] = set()
    for block, account, request in asked:
        for found in decisions(suite, account, request, block):
            said = suite.consent_registry.decide(found.subject, account, request, block=block)
            word = encode(said.rule) if said.rule else 0
            assert (found.reason, found.grantee, found.word) == (said.reason, said.grantee, word)
            seen.add(found.reason)
    assert seen == set(Reason)
    assert len(walk.accounts) > 1
