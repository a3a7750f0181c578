"""A node asked in plain JSON-RPC, many questions in one request, patient with providers' limits.

Which of a provider's errors means what differs from one to the next, and so do their words. Two kinds are told apart:
`BusyError`, where the same question will be answered later, and `NodeError`, where a smaller question may be.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import requests
import urllib3

from medproof.chain import UnclearAnswerError, origin
from medproof.errors import AnswerTooLongError, NodeError
from medproof.json_http import read_answer

__all__ = ["BusyError", "Header", "Log", "Node", "Question"]

Question = tuple[str, list[Any], Any]  # method, parameters, and the type of the answer

_AT_ONCE = 100  # questions in one request; providers limit it
_LONGEST_ANSWER = 1 << 28  # bytes of an answer; a range of logs that holds more is halved
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0  # seconds, doubled each time
_BUSY = re.compile(
    r"rate.?limit|request limit|requests? (count|per)|too many requests|per second|throttl|quota|credits|capacity",
    re.IGNORECASE,
)


class BusyError(NodeError):
    """The node answers later: it limits how much is asked of it, or nobody answers at all."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Say what happened, and for how many seconds the node wants to be left alone."""
        self.retry_after = retry_after
        super().__init__(message)


class Log(msgspec.Struct, gc=False):
    """A log entry as the node gives it; everything in hexadecimal digits."""

    address: str
    topics: tuple[str, ...]
    data: str
    blockNumber: str  # noqa: N815 - the node's own names
    blockHash: str  # noqa: N815
    transactionHash: str  # noqa: N815
    logIndex: str  # noqa: N815
    blockTimestamp: str | None = None  # noqa: N815 - not all nodes tell
    removed: bool = False


class Header(msgspec.Struct, frozen=True):
    """A block's header, as far as the index needs it."""

    number: str
    hash: str
    timestamp: str

    @property
    def height(self) -> int:
        """The block's number."""
        return int(self.number, 16)

    @property
    def time(self) -> int:
        """Its time, seconds since 1970."""
        return int(self.timestamp, 16)


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


class Node:
    """One endpoint of a chain."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        patience: float = 120.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare it; nothing is asked yet.

        Args:
            url: its HTTP address.
            timeout: seconds for one answer.
            patience: seconds to go on asking a node that is busy or away.
            sleep: how to wait.
        """
        self.origin = origin(url)  # without the keys that providers put into paths
        self._url, self._timeout, self._patience, self._sleep = url, timeout, patience, sleep
        self._session = requests.Session()

    def ask(self, *questions: Question) -> list[Any]:
        """What the node says to several questions, each as the type that was named with it.

        Raises:
            BusyError: it stayed busy, or away, for longer than the patience.
            NodeError: it refuses one of them, or its answer cannot be used.
        """
        found: list[Any] = []
        for start in range(0, len(questions), _AT_ONCE):
            found += self._ask_patiently(questions[start : start + _AT_ONCE])
        return found

    def header(self, block: int | str) -> Header | None:
        """A block's header by its number, or "latest", "safe", "finalized"; None where the node has no such block."""
        [found] = self.ask(header_question(block))
        return found  # type: ignore[no-any-return]

    def wait(self, attempt: int, waited: float, at_least: float | None = None) -> float | None:
        """Wait before another attempt, longer each time; give how long all in all, or None where patience is over."""
        pause = min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)
        pause = max(at_least or 0.0, pause * random.uniform(0.75, 1.0))  # many who wait do not come back together
        if waited + pause > self._patience:
            return None
        self._sleep(pause)
        return waited + pause

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def _ask_patiently(self, questions: Sequence[Question]) -> list[Any]:
        waited, attempt = 0.0, 0
        while True:
            try:
                return self._ask_once(questions)
            except BusyError as busy:
                after = self.wait(attempt, waited, busy.retry_after)
                if after is None:
                    raise
                waited, attempt = after, attempt + 1

    def _ask_once(self, questions: Sequence[Question]) -> list[Any]:
        body = msgspec.json.encode(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters, _) in enumerate(questions)
            ]
        )
        content = self._post(body)
        try:
            if content.lstrip()[:1] != b"[":  # refused as a whole
                answers = [msgspec.json.decode(content, type=_Answer)]
                _refuse(questions[0][0], answers[0])
                raise UnclearAnswerError(f"The node at {self.origin} does not answer several questions at once.")
            answers = msgspec.json.decode(content, type=list[_Answer])
            by_id = {answer.id: answer for answer in answers}
            found = []
            for number, (method, _, kind) in enumerate(questions):
                answer = by_id[number]
                _refuse(method, answer)
                found.append(msgspec.json.decode(answer.result, type=kind))
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
            raise UnclearAnswerError(
                f"The answer of the node at {self.origin} cannot be used ({type(error).__name__}): it is cut short, or "
                "this is no JSON-RPC address."
            ) from None
        return found

    def _post(self, body: bytes) -> bytes:
        try:
            response = self._session.post(
                self._url, body, headers={"Content-Type": "application/json"}, timeout=self._timeout, stream=True
            )
            # At once: piece by piece, the thread that reads would wait for the one that decodes at each of them.
            content = read_answer(response, _LONGEST_ANSWER)
        except (requests.ReadTimeout, urllib3.exceptions.HTTPError) as error:
            raise UnclearAnswerError(f"The node at {self.origin} gave no answer ({type(error).__name__}).") from None
        except requests.RequestException as error:
            raise BusyError(
                f"The node at {self.origin} does not answer ({type(error).__name__}). Check its URL, and that it runs."
            ) from None
        if content is None:
            response.close()  # what is left of it is not waited for
            raise AnswerTooLongError(self.origin, _LONGEST_ANSWER)
        if response.ok:
            return content
        pause = response.headers.get("Retry-After")
        if response.status_code == 429 or (response.status_code == 503 and pause is not None):
            raise BusyError(
                f"The node at {self.origin} answers HTTP {response.status_code}: too much was asked of it. Ask again "
                "later, or name another node.",
                _retry_after(pause),
            )
        if content.lstrip()[:1] in (b"{", b"["):  # a refusal in JSON-RPC's words, with a status beside it
            return content
        raise UnclearAnswerError(f"The node at {self.origin} answers HTTP {response.status_code}.")


def header_question(block: int | str) -> Question:
    """Ask for a block's header."""
    return ("eth_getBlockByNumber", [hex(block) if isinstance(block, int) else block, False], Header | None)


def _refuse(method: str, answer: _Answer) -> None:
    if answer.error is None:
        return
    error = answer.error if isinstance(answer.error, dict) else {"message": str(answer.error)}
    message = str(error.get("message"))[:300]
    if error.get("code") == 429 or _BUSY.search(message):
        raise BusyError(f"The node limits how much is asked of it: {message}")
    raise NodeError(f"The node refused {method}: {message}")


def _retry_after(text: str | None) -> float | None:
    """Seconds, of a header that gives seconds or a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
