"""Start the dashboard: for this machine (`python serve.py`), or for others (`python serve.py --share NAME`).

`streamlit run app.py` starts the same pages. Streamlit compares the name that a browser asked for with
`server.allowedHosts` only where a websocket is opened; here every request is compared.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from pages.components.compression import Compressed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

REFUSED = "This name is not one under which the dashboard is to be used here (server.allowedHosts)."
LOCAL = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")
WARNING = (
    "Shared: everybody who can reach {address} can look at every run and every own data set read here, "
    "unencrypted and without a password; docs/sharing.md says how to put a proxy or a login before it."
)
SLOW = (
    "pandas",
    "plotly.graph_objects",
)  # what tables and figures import: before somebody waits for it
VISITOR_UPLOAD_MB = 1  # nothing is opened for them; what is sent all the same is kept small


class KnownHosts:
    """Refuses requests, and websockets, for a name that is not in `server.allowedHosts`: 403."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        kind = scope["type"]
        if kind == "lifespan" or is_host_allowed(Headers(scope=scope).get("host")):
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            await PlainTextResponse(REFUSED, status_code=403)(scope, receive, send)


app = st.App("app.py", middleware=[Middleware(KnownHosts), Middleware(Compressed)])


def sharing(hosts: list[str], address: str) -> dict[str, Any]:
    """Streamlit's options for a dashboard that others use; visitors only look unless told otherwise."""
    os.environ.setdefault("DD_VISITORS", "1")
    visitors = os.environ["DD_VISITORS"] == "1" and "DD_MANAGERS" not in os.environ
    upload = {"server.maxUploadSize": VISITOR_UPLOAD_MB} if visitors else {}
    return {
        "server.address": address,
        "server.allowedHosts": [*hosts, *LOCAL],
        "server.headless": True,
        "browser.serverAddress": hosts[0],
        "client.showErrorDetails": "none",
        **upload,
    }


def main(arguments: list[str] | None = None) -> int:
    """Start the server; returns when it has been stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", metavar="NAME[,NAME...]", help="names others reach it by")
    parser.add_argument("--address", default="", help="with --share: where to listen")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args(arguments)
    chosen: dict[str, Any] = {"server.port": options.port} if options.port else {}
    if options.share is not None:
        hosts = [name for name in options.share.replace(",", " ").split() if name]
        if not hosts:
            parser.error(
                "--share is empty: expected the names that visitors type, such as lab.example.org"
            )
        address = options.address or EVERYWHERE[0]
        chosen |= sharing(hosts, address)
        print(WARNING.format(address=address if address not in EVERYWHERE else "this machine"))
    elif options.address:
        parser.error("--address goes with --share, which names the hosts that are let in")
    threading.Thread(target=_import, args=SLOW, daemon=True).start()
    sys.argv = sys.argv[:1]  # the rest is no argument of the pages
    app.run(config=chosen)
    return 0


def _import(*names: str) -> None:
    for name in names:
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
