"""Questions over HTTP that a JSON object answers, asked of servers that may say anything."""

from __future__ import annotations

import json
from typing import Any

import requests

__all__ = ["LONGEST", "ask_json"]

LONGEST = 1 << 20
"""Bytes of an answer; a longer one is none."""


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
            content = answer.raw.read(LONGEST + 1, decode_content=True)
        except Exception as error:  # urllib3's, which are none of requests'
            raise OSError(type(error).__name__) from error
        status = answer.status_code
    try:
        said = json.loads(content) if len(content) <= LONGEST else None
    except (ValueError, RecursionError):
        said = None
    return status, said if isinstance(said, dict) else None
