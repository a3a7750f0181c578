"""Interchanges made up for tests: nobody in them exists."""

from __future__ import annotations

from collections.abc import Iterable

GUIDES = {
    "837P": ("HC", "005010X222A1"),
    "837I": ("HC", "005010X223A2"),
    "837D": ("HC", "005010X224A2"),
    "835": ("HP", "005010X221A1"),
    "270": ("HS", "005010X279A1"),
    "271": ("HB", "005010X279A1"),
    "276": ("HR", "005010X212"),
    "277": ("HN", "005010X212"),
}
ISA = "ISA*00*          *00*          *ZZ*HARBOR         *ZZ*MUTUAL         *261120*0900*^*00501*000000017*0*T*:"
PROVIDER = (
    "BHT*0019*00*17*20261120*0900*CH",
    "NM1*41*2*HARBOR BILLING*****46*HB1",
    "NM1*40*2*MUTUAL*****46*M1",
    "HL*1**20*1",
    "NM1*85*2*HARBOR CLINIC*****XX*1234567893",
    "N3*1 QUAY",
    "REF*EI*123456789",
)
SUBSCRIBER = (
    "HL*2*1*22*0",
    "SBR*P*18*GROUP7******CI",
    "NM1*IL*1*ROE*JANE****MI*M0001",
    "DMG*D8*19700102*F",
    "NM1*PR*2*MUTUAL*****PI*60054",
)
DEPENDENT = (
    "HL*2*1*22*1",
    "SBR*P********CI",
    "NM1*IL*1*ROE*JANE****MI*M0001",
    "NM1*PR*2*MUTUAL*****PI*60054",
    "HL*3*2*23*0",
    "PAT*19",
    "NM1*QC*1*ROE*Max",
    "DMG*D8*20100304*M",
)
LINES = ("LX*1", "SV1*HC:99213:25*60.00*UN*1***1", "DTP*472*D8*20261103")
PAYMENT = ("BPR*I*{}*C*ACH", "TRN*1*E1*1512345678", "DTM*405*20261115", "N1*PR*MUTUAL*XV*60054", "N1*PE*HARBOR", "LX*1")


def interchange(kind: str, *segments: str, isa: str = ISA, version: str = "") -> bytes:
    """One transaction in one group in one interchange, with the numbers and counts that belong to it."""
    return envelope(kind, [segments], isa=isa, version=version)


def envelope(kind: str, transactions: Iterable[Iterable[str]], *, isa: str = ISA, version: str = "") -> bytes:
    """Several transactions of one kind."""
    function, guide = GUIDES[kind]
    guide = version or guide
    said = [isa, f"GS*{function}*HARBOR*MUTUAL*20261120*0900*1*X*{guide}"]
    count = 0
    for count, transaction in enumerate(transactions, start=1):
        body = list(transaction)
        said += [f"ST*{kind[:3]}*{count:04}*{guide}", *body, f"SE*{len(body) + 2}*{count:04}"]
    said += [f"GE*{count}*1", "IEA*1*000000017"]
    return "".join(f"{one}~\n" for one in said).encode()


def claim(number: str = "A1", total: str = "60.00", *, frequency: str = "1", original: str = "") -> tuple[str, ...]:
    """The head of a claim, without its lines."""
    return (
        f"CLM*{number}*{total}***11:B:{frequency}*Y*A*Y*Y",
        *([f"REF*F8*{original}"] if original else []),
        "HI*ABK:J0190*ABF:E119",
    )


def professional(*bills: Iterable[str], above: Iterable[str] = SUBSCRIBER) -> bytes:
    """An 837P of one patient; each bill is the claim with its lines."""
    return interchange("837P", *PROVIDER, *above, *(segment for bill in bills for segment in bill))


def remittance(*responses: Iterable[str], paid: str, after: Iterable[str] = ()) -> bytes:
    """An 835 that pays so much; each response is CLP with what follows it."""
    head = [PAYMENT[0].format(paid), *PAYMENT[1:]]
    return interchange("835", *head, *(segment for one in responses for segment in one), *after)
