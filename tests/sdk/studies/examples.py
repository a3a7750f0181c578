"""A study for the tests."""

from __future__ import annotations

from datetime import date

from medproof.policy.codes import DataClass
from medproof.policy.duo import StudyUse
from medproof.policy.study import Approval, FileDigest, StudyDocument
from medproof.policy.word import Request

PROTOCOL, APPROVAL = b"what the study does", b"approved"
RESEARCHER = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
CUSTODIAN = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def document(
    *,
    researcher: str = RESEARCHER,
    custodians: tuple[str, ...] = (CUSTODIAN,),
    starts: date = date(2026, 3, 1),
    ends: date = date(2027, 2, 28),
    title: str = "Blood and genes",
) -> StudyDocument:
    """A study on diabetes, not commercial, with fixed salts."""
    return StudyDocument(
        title=title,
        researcher=researcher,
        use=StudyUse(diseases={"MONDO:0005148"}, ethics_approval=True),
        scope=Request(classes=DataClass.GENOMICS | DataClass.LABORATORY),
        starts=starts,
        ends=ends,
        custodians=custodians,
        protocol=FileDigest.of("protocol.pdf", PROTOCOL),
        approval=Approval("The ethics board", "2026-1", FileDigest.of("letter.pdf", APPROVAL)),
        protocol_salt=b"\x01" * 32,
        approval_salt=b"\x02" * 32,
    )
