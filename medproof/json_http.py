"""Questions over HTTP that a JSON object answers, asked of servers that may say anything."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import requests

__all__ = ["LONGEST", "ask_json", "is_url", "read_answer"]

LONGEST = 1 << 20
"""Bytes of an answer; a longer one is none."""


def is_url(text: str) -> bool:
    """Whether a text is a URL that can be asked."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def ask_json(method: str, url: str, *, timeout: float, **sent: Any) -> tuple[int, dict[str, Any] | None]:
    """Ask, and follow no redirection.

    Args:
        method: such as "POST".
        url: whom.
        timeout: seconds for each part of the answer.
        sent: what `requests.request` takes: json, data, params, headers.

    Returns:
        The status, and the object; None where the answer is none, or too long.

    Raises:
        requests.RequestException, OSError: nobody answers.
    """
    with requests.request(method, url, timeout=timeout, stream=True, allow_redirects=False, **sent) as answer:
        try:
            content = read_answer(answer, LONGEST)
        except Exception as error:  # urllib3's, which are none of requests'
            raise OSError(type(error).__name__) from error
        status = answer.status_code
    try:
        said = None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        said = None
    return status, said if isinstance(said, dict) else None


def read_answer(answer: requests.Response, longest: int) -> bytes | None:
    """The body of an answer that was asked for with `stream`, unpacked; None where it is longer than so many bytes.

    Raises:
        urllib3.exceptions.HTTPError: it is cut short.
    """
    content = answer.raw.read(longest + 1, decode_content=True)  # at once: piece by piece takes far longer
    return None if len(content) > longest else bytes(content)
