"""Takes the steps of bounties, each as whoever owns it takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medproof import messages
from medproof.messages import Domain, TypedData
from tests.support.research import DIRECT, Bounty, Cohort, Result

HONEST, SILENT, RETURNING_FALSE, TAKING_A_FEE, TAKING_MORE, REENTERING = range(6)  # the moods of Token


class Till:
    """Funds bounties, accepts results, claims, refunds."""

    def __init__(self, incentives: Any, domain: Domain, sign: Any, relayer: Any, chain: Any) -> None:
        self.incentives, self.domain, self._sign, self.relayer, self._chain = incentives, domain, sign, relayer, chain

    def deadline(self) -> int:
        """An hour ahead of the latest block."""
        return int(self._chain[-1].timestamp) + 3600

    def fund(self, token: Any, bounty: Bounty, amount: int, funder: Any) -> Any:
        """Mint, approve and put tokens into a bounty."""
        token.mint(funder, amount, {"from": funder})
        token.approve(self.incentives, amount, {"from": funder})
        return self.incentives.fund(bounty, amount, {"from": funder})

    def accepting(self, bounty: Bounty, result: Result, deadline: int, *, domain: Domain | None = None) -> TypedData:
        """What a funder signs."""
        return messages.result_acceptance(
            domain or self.domain, bounty=bounty.id, study=bounty.study, result=result.id, deadline=deadline
        )

    def claiming(
        self, bounty: Bounty, answer: bytes, payee: Any, to: Any, deadline: int, /, **changes: Any
    ) -> TypedData:
        """What a payee signs."""
        said: dict[str, Any] = {
            "bounty": bounty.id,
            "study": bounty.study,
            "answer": answer,
            "payee": str(payee),
            "token": bounty.token,
            "payment": bounty.payment,
            "to": str(to),
            "deadline": deadline,
            **changes,
        }
        return messages.payout(said.pop("domain", self.domain), **said)

    def accept(
        self, bounty: Bounty, cohort: Cohort, result: Result, by: Any, *, form: str = DIRECT, dry: bool = False
    ) -> Any:
        """Accept a result."""
        call, deadline, signature, sender = self.incentives.accept, 0, b"", by
        if form != DIRECT:
            deadline, sender = self.deadline(), self.relayer
            signature = self._sign(by, self.accepting(bounty, result, deadline))
        return (call.call if dry else call)(bounty, cohort, result, deadline, signature, {"from": sender})

    def claim_answer(
        self, bounty: Bounty, result: Result, to: Any, by: Any, *, form: str = DIRECT, dry: bool = False
    ) -> Any:
        """Claim a custodian's payment."""
        call, deadline, signature, sender = self.incentives.claimAnswer, 0, b"", by
        if form != DIRECT:
            deadline, sender = self.deadline(), self.relayer
            signature = self._sign(by, self.claiming(bounty, result.id, result.custodian, to, deadline))
        return (call.call if dry else call)(bounty, result, to, deadline, signature, {"from": sender})

    def claim_share(
        self, bounty: Bounty, cohort: Cohort, subject: Any, place: tuple[int, Sequence[bytes]], to: Any, *,
        by: Any = None, form: str = DIRECT, dry: bool = False,
    ) -> Any:  # fmt: skip
        """Claim a subject's payment."""
        by = by or subject
        call, deadline, signature, sender = self.incentives.claimShare, 0, b"", by
        if form != DIRECT:
            deadline, sender = self.deadline(), self.relayer
            signature = self._sign(by, self.claiming(bounty, cohort.id, subject, to, deadline))
        given = (bounty, cohort, subject, *place, to, deadline, signature)
        return (call.call if dry else call)(*given, {"from": sender})
