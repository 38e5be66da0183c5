"""Scripts and styles go over the wire compressed, each compressed once; nothing else is touched."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from starlette.responses import Response

from pages.components.compression import WORTH, Compressed

BODY = b"const answer = 42;\n" * WORTH
LASTING = {"Cache-Control": "public, immutable, max-age=31536000", "ETag": '"abc"'}
TAKES = {"accept-encoding": "gzip, deflate, br, zstd"}


class Server:
    """An app that counts what reaches it."""

    def __init__(self, body: bytes = BODY, kind: str = "text/javascript", **more) -> None:
        self.asked = 0
        self.answer = Response(body, media_type=kind, **({"headers": LASTING} | more))

    async def __call__(self, scope, receive, send) -> None:
        self.asked += 1
        await self.answer(scope, receive, send)


def ask(app, path="/static/js/index.abc.js", method="GET", **headers) -> tuple[int, dict, bytes]:
    """Status, headers and body of an answer."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    asyncio.run(app(scope, receive, send))
    found = {name.decode().lower(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], found, b"".join(m.get("body", b"") for m in said[1:])


def test_compressed_once_for_all():
    server = Server()
    app = Compressed(server)
    answers = [ask(app, **TAKES) for _ in range(3)]
    assert server.asked == 1
    assert answers[0] == answers[1] == answers[2]
    status, headers, body = answers[0]
    assert status == 200 and gzip.decompress(body) == BODY and len(body) < len(BODY) / 10
    assert headers["content-encoding"] == "gzip"
    assert headers["content-length"] == str(len(body))
    assert headers["vary"] == "Accept-Encoding"
    assert headers["cache-control"] == LASTING["Cache-Control"]
    assert headers["etag"] == 'W/"abc"', "the same file in other bytes"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"accept-encoding": "br"},
        TAKES | {"range": "bytes=0-99"},
        TAKES | {"if-none-match": '"abc"'},
        TAKES | {"method": "HEAD"},
        TAKES | {"path": "/media/abc.png"},
    ],
    ids=str,
)
def test_whoever_cannot_unpack_it_gets_the_file_itself(asked):
    server = Server()
    app = Compressed(server)
    ask(app, **TAKES)  # there is a copy
    before = server.asked
    _, headers, _ = ask(app, **asked)
    assert server.asked == before + 1 and "content-encoding" not in headers


@pytest.mark.parametrize(
    "server",
    [
        Server(headers={"Cache-Control": "no-cache"}),
        Server(kind="image/png"),
        Server(body=BODY[: WORTH - 1]),
        Server(status_code=403),
        Server(headers=LASTING | {"Content-Encoding": "br"}),
    ],
    ids=["changes", "picture", "small", "refused", "packed already"],
)
def test_what_no_copy_is_kept_of(server):
    app = Compressed(server)
    first, second = ask(app, **TAKES), ask(app, **TAKES)
    assert first == second and server.asked == 2
    assert first[1].get("content-encoding") != "gzip"


def test_copies_are_limited(monkeypatch):
    monkeypatch.setattr("pages.components.compression.MOST", 100)
    server = Server()
    app = Compressed(server)
    for path in ("/a.js", "/a.js", "/b.js"):
        assert gzip.decompress(ask(app, path, **TAKES)[2]) == BODY
    assert server.asked >= 2
