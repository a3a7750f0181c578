"""`medproof study fund`, `accept`, `claim`, `refund` and `bounties`: what is paid for a study's answers."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli.documents import time_text
from medproof.cli.hands import ActingHands, tell_sent
from medproof.cli.options import ActorOptions, ChainListOptions, ChainOptions, KeyOptions, SendingOptions, expanded
from medproof.cli.output import Output
from medproof.cli.rules import moment
from medproof.cli.session import account, open_suite, party, read_text
from medproof.cli.study_files import WhichStudy, find_study, is_id, read_result
from medproof.client import MedProof
from medproof.client.incentives import Bounty, Payee
from medproof.client.token import Token
from medproof.errors import OptionError
from medproof.fixed_cohort import Membership
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text

__all__ = ["app"]

app = typer.Typer()

_PAYEES = {"custodians": Payee.CUSTODIAN, "subjects": Payee.SUBJECTS}

WhichBounty = Annotated[
    str,
    Argument(
        metavar="BOUNTY|STUDY", help="The bounty's id, or the file of a study that has one bounty.", show_default=False
    ),
]
To = Annotated[str | None, Option(metavar="ADDRESS", help="Who receives the tokens; the one who acts by default.")]


@app.command(
    epilog="Example: medproof study fund study.json --token 0x… --pay subjects --payment 2.50 --amount 1000 "
    "--accept-until 2027-03-01 --keystore funder.json"
)
@expanded
def fund(
    which: WhichStudy,
    token: Annotated[str, Option(metavar="ADDRESS", help="The ERC-20 token.")],
    pay: Annotated[str, Option(metavar="WHO", help="Who is paid for an answer: custodians, or subjects.")],
    payment: Annotated[str, Option(metavar="AMOUNT", help="What each is paid, such as 2.50.")],
    amount: Annotated[str, Option(metavar="AMOUNT", help="What is put into the bounty now.")],
    accept_until: Annotated[str, Option(metavar="TIME", help="Until when answers are accepted.")],
    who: KeyOptions,
    chain: ChainOptions,
) -> None:
    """Put tokens into a bounty for a study's answers, as its funder; the same terms again add to it."""
    output, suite, sender = Output(as_json=chain.as_json), open_suite(chain), party(who)
    (study, _), coin = find_study(suite, which), Token(suite.chain, account("--token", token))
    if pay not in _PAYEES:
        raise OptionError("--pay", f"is {pay!r}", f"Name one of {', '.join(_PAYEES)}.")
    until = moment("--accept-until", accept_until).replace(microsecond=0)
    bounty = Bounty(sender.address, study.id, coin.address, _PAYEES[pay], coin.units(payment), until)
    receipt = suite.incentives.fund(bounty, coin.units(amount), sender=sender)
    output.say(f"Bounty {hex_text(bounty.id)}: {coin.shown(bounty.payment)} to each of the {pay}.")
    tell_sent(output, receipt, _told(suite, bounty))


@app.command("bounties", epilog="Example: medproof study bounties study.json --csv")
@expanded
def list_bounties(which: WhichStudy, chain: ChainListOptions) -> None:
    """List the bounties for a study's answers, oldest first."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    study, _ = find_study(suite, which)
    found = [_told(suite, one) for one in output.each([*suite.incentives.bounties(study=study.id)], "Reading bounties")]
    output.document({"study": hex_text(study.id), "bounties": [*found]})
    output.table(
        ("bounty", "paid are", "each", "free", "due", "accepts until"),
        (
            tuple(str(one[name]) for name in ("bounty", "pays", "payment", "free", "due", "accept_until"))
            for one in found
        ),
        empty="There is no bounty for this study.",
    )


@app.command(epilog="Example: medproof study accept 0x… result.json --keystore funder.json")
@expanded
def accept(
    which: WhichBounty,
    file: Annotated[Path, Argument(metavar="RESULT", help="The answer, published.", show_default=False)],
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
) -> None:
    """Accept a published answer, as the bounty's funder: what it takes is promised from then on."""
    hands = ActingHands.of(who, sending, chain)
    bounty, sealed, client = _bounty(hands.suite, which), read_result(file), hands.suite.incentives
    cohort, result = sealed.cohort, sealed.result
    hands.take(
        {"bounty": hex_text(bounty.id), "answer": hex_text(bounty.answer(cohort, result))},
        lambda by: client.accept(bounty, cohort, result, sender=by),
        lambda by: client.sign_acceptance(by, bounty, cohort, result, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof study claim 0x… --membership membership.json --wallet seed.txt --custodian 0x…")
@expanded
def claim(
    which: WhichBounty,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    result: Annotated[Path | None, Option(metavar="FILE", help="As a custodian: your answer.")] = None,
    membership: Annotated[Path | None, Option(metavar="FILE", help="As a subject: your place in the cohort.")] = None,
    to: To = None,
) -> None:
    """Be paid for an accepted answer, once: as the custodian that gave it, or as a subject of its cohort.

    Who receives a subject's tokens is linked to the subject for all to see: name an account of its own.
    """
    hands = ActingHands.of(who, sending, chain)
    bounty, client = _bounty(hands.suite, which), hands.suite.incentives
    given = membership if bounty.payee is Payee.SUBJECTS else result
    if given is None or (result is not None and membership is not None):
        option = "--membership" if bounty.payee is Payee.SUBJECTS else "--result"
        raise OptionError(option, "is missing, or both are given", f"This bounty pays {_pays(bounty)}: give {option}.")
    receiver = None if to is None else account("--to", to)
    about: JsonObject = {"bounty": hex_text(bounty.id), "to": receiver or hands.address}
    if bounty.payee is Payee.SUBJECTS:
        place = Membership.from_json(read_text(given))
        hands.take(
            {**about, "answer": hex_text(place.cohort.id), "payee": place.subject},
            lambda by: client.claim_share(bounty, place, to=receiver, sender=by),
            lambda by: client.sign_share_claim(by, bounty, place, to=receiver, lifetime=sending.lifetime),
        )
        return
    answer = read_result(given).result
    hands.take(
        {**about, "answer": hex_text(answer.id), "payee": answer.custodian},
        lambda by: client.claim_answer(bounty, answer, to=receiver, sender=by),
        lambda by: client.sign_answer_claim(by, bounty, answer, to=receiver, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof study refund 0x… --keystore funder.json")
@expanded
def refund(which: WhichBounty, who: KeyOptions, chain: ChainOptions, to: To = None) -> None:
    """Take back what is left of a bounty, as its funder, once its time is over."""
    output, suite, sender = Output(as_json=chain.as_json), open_suite(chain), party(who)
    bounty = _bounty(suite, which)
    receiver = None if to is None else account("--to", to)
    receipt = suite.incentives.refund(bounty, to=receiver, sender=sender)
    tell_sent(output, receipt, _told(suite, bounty))


def _bounty(suite: MedProof, which: str) -> Bounty:
    """A bounty by its id, or by the file of the study that it is for, where there is no other."""
    if is_id(which):
        return suite.incentives.bounty(bytes.fromhex(which[2:]))
    study, _ = find_study(suite, which)
    found = [*suite.incentives.bounties(study=study.id)]
    if len(found) != 1:
        known = ", ".join(hex_text(one.id) for one in found) or "none at all"
        raise OptionError(which, f"is of a study with {len(found)} bounties ({known})", "Name one by its id.")
    return found[0]


def _pays(bounty: Bounty) -> str:
    return next(name for name, payee in _PAYEES.items() if payee is bounty.payee)


def _told(suite: MedProof, bounty: Bounty) -> JsonObject:
    """A bounty and what is left of it."""
    escrow, coin = suite.incentives.escrow(bounty.id), suite.incentives.token(bounty)
    return {
        "bounty": hex_text(bounty.id),
        "study": hex_text(bounty.study),
        "funder": bounty.funder,
        "token": bounty.token,
        "pays": _pays(bounty),
        "payment": coin.shown(bounty.payment),
        "free": coin.shown(escrow.free),
        "due": coin.shown(escrow.due),
        "accept_until": time_text(bounty.accept_until.astimezone(UTC)),
        "claim_until": time_text(suite.incentives.claim_until(bounty)),
    }
