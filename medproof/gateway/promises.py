"""ASGI middleware: hands the promise to log a request to whoever made it, whatever the answer is."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medproof.access.promise import HEADER, Promised

__all__ = ["Promises", "note_promises"]


def note_promises(scope: Scope, promises: list[Promised]) -> None:
    """Say where the promises about a request will be."""
    scope.setdefault("state", {})["promises"] = promises


class Promises:
    """Adds the header `MedProof-Access`."""

    def __init__(self, app: ASGIApp) -> None:
        """Watch an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its promise back."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [
                    (HEADER.lower().encode(), told.to_text().encode("ascii"))
                    for told in scope.get("state", {}).get("promises", ())
                ]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        await self._app(scope, receive, answer)
