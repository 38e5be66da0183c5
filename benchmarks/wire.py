"""What the first look at a page brings over the wire into a browser that has never been here.

python benchmarks/wire.py [PAGE ...] [--plain]

Each page is opened in a Chromium of its own without a cache, from a server started as `make run` starts
it, and read until it is at rest. Counted by the browser itself (CDP): encoded bytes of every answer,
headers included, and the payload of the websocket, which is not compressed. `--plain` starts the pages by
`streamlit run`, whose answers are not compressed. Only shipped results are shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks import _dashboard  # noqa: E402
from ddcore.tasks.store import Store  # noqa: E402

PAGES = ("", *sorted(f.stem.partition("_")[2] for f in (PROJECT / "pages").glob("[0-9]*.py")))
IDLE = "[data-testid='stApp'][data-test-script-state='notRunning']"
QUIET_MS = 1500  # so long nothing more may come
LARGEST = 4  # files that are named
MOST = 5_000_000  # bytes of any page


class Wire:
    """Counts what one tab receives."""

    def __init__(self, context, tab) -> None:
        self.files: Counter[str] = Counter()
        self.requests = self.socket = 0
        self._names: dict[str, str] = {}
        session = context.new_cdp_session(tab)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.loadingFinished", self._came)
        session.on("Network.webSocketFrameReceived", self._frame)

    def _asked(self, event) -> None:
        self._names[event["requestId"]] = urlsplit(event["request"]["url"]).path
        self.requests += 1

    def _came(self, event) -> None:
        name = self._names.get(event["requestId"], "?")
        self.files[name] += int(event["encodedDataLength"])

    def _frame(self, event) -> None:
        response = event["response"]
        data = response["payloadData"]
        binary = response["opcode"] == 2  # as base64
        self.socket += len(data) * 3 // 4 - data.count("=", -2) if binary else len(data)

    @property
    def total(self) -> int:
        """Bytes, all together."""
        return sum(self.files.values()) + self.socket


def look(browser, url: str) -> Wire:
    """A first visit, until nothing more comes."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(120_000)
    tab = context.new_page()
    wire = Wire(context, tab)
    tab.goto(url)
    tab.wait_for_selector("h1")
    before = -1
    while wire.total != before:
        before = wire.total
        tab.wait_for_selector(IDLE)
        tab.wait_for_timeout(QUIET_MS)
    assert tab.locator("[data-testid=stException]").count() == 0, tab.inner_text("body")
    context.close()
    return wire


def main() -> None:
    """A table; fails where a page brings more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import OPTIONS, chromium_path

    most = 0
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=OPTIONS)
        with _dashboard.serve(Store(folder / "cache"), folder, plain=options.plain) as server:
            for page in options.pages:
                wire = look(browser, server.url + page)
                most = max(most, wire.total)
                named = ", ".join(
                    f"{Path(path).name.split('.')[0] or '/'} {size / 1e6:.2f}"
                    for path, size in wire.files.most_common(LARGEST)
                )
                print(
                    f"{page or 'Start':12s} {wire.total / 1e6:5.2f} MB in {wire.requests:3d} requests "
                    f"(websocket {wire.socket / 1e6:.2f}); {named}",
                    flush=True,
                )
        browser.close()
    print(f"largest {most / 1e6:.2f} MB, allowed {MOST / 1e6:.0f}")
    sys.exit(most > MOST)


if __name__ == "__main__":
    main()
