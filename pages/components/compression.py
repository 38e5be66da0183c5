"""The dashboard's own files (scripts, styles) compressed on the wire, each one once for all visitors.

Streamlit compresses what it computes but sends its scripts as they are: an analysis page's first look was
9 MB, half of it Plotly. Their names carry a hash of their content, so a compressed copy stays right for as
long as the server runs. What a copy is kept of has been served by the app itself before; whatever stands
in front of it (which hosts are known) is asked each time.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL = 9  # the slowest: half a second for the largest file, once
WORTH = 1000  # bytes; below, a copy saves nothing
MOST = 32 * 2**20  # bytes of all copies; all of Streamlit's scripts are a third of it
KINDS = ("text/javascript", "application/javascript", "text/css")
LASTING = "immutable"  # in Cache-Control: the name says the content


class Compressed:
    """Answers a GET for a lasting script or style from a compressed copy; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._copies: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {}  # by path
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not _may_be_compressed(scope):
            await self.app(scope, receive, send)
        elif found := self._copies.get(scope["path"]):
            head, body = found
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})
        else:
            await self.app(scope, receive, _Copying(self, scope["path"], send))

    def keep(self, path: str, head: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Keep a copy, as long as there is room."""
        if self._bytes + len(body) <= MOST and path not in self._copies:
            self._copies[path] = head, body
            self._bytes += len(body)


class _Copying:
    """Collects an answer that is worth a copy, sends it compressed and has it kept; other answers pass."""

    def __init__(self, owner: Compressed, path: str, send: Send) -> None:
        self.owner, self.path, self.send = owner, path, send
        self.start: Message | None = None
        self.parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start" and _worth_a_copy(message):
            self.start = message
        elif self.start is None:
            await self.send(message)
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self.start)

    async def _finish(self, start: Message) -> None:
        body = await anyio.to_thread.run_sync(_compress, b"".join(self.parts))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        if tag := headers.get("etag"):  # the same file, not the same bytes
            headers["ETag"] = tag if tag.startswith("W/") else f"W/{tag}"
        self.owner.keep(self.path, headers.raw, body)
        await self.send({**start, "headers": headers.raw})
        await self.send({"type": "http.response.body", "body": body})


def _may_be_compressed(scope: Scope) -> bool:
    """A plain GET of a whole script or style by somebody who can unpack it."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    if not scope["path"].endswith((".js", ".css")):
        return False
    headers = Headers(scope=scope)
    if "range" in headers or "if-none-match" in headers or "if-modified-since" in headers:
        return False
    return "gzip" in headers.get("accept-encoding", "")


def _worth_a_copy(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return (
        start["status"] == 200
        and headers.get("content-type", "").partition(";")[0] in KINDS
        and LASTING in headers.get("cache-control", "")
        and "content-encoding" not in headers
        and int(headers.get("content-length", 0)) >= WORTH
    )


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
