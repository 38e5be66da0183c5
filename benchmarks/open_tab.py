"""What an open tab of a live page costs the server: processor time while nobody touches it.

python benchmarks/open_tab.py [--folders 250] [--seconds 20]

One headless Chromium tab shows a page while one run goes on (its status and events are written as a
worker writes them; nothing is computed). Processor seconds of the server alone are counted, so that a
busy machine matters little. The last rows are the same with the run ended.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks import _dashboard  # noqa: E402
from ddcore.tasks.store import Store  # noqa: E402

SETTLE_S, QUIET = 3.0, 0.5  # the first drawing imports much: wait until the server is quiet


def main() -> None:
    """Fill a store, look at the pages, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        store = Store(folder / "cache")
        _dashboard.fill(store, options.folders)
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with _dashboard.serve(store, folder) as server:
            with _dashboard.running(store) as task:
                _warm(browser, server, f"Run?run={task.key}")
                for page in (f"Run?run={task.key}", "Jobs", "Run", "Data"):
                    _print(
                        f"{page.partition('?')[0]}, a run goes on", browser, server, page, options
                    )
            task.write_status(state="cancelled", message="Stopped.")
            for page in (f"Run?run={task.key}", "Jobs"):
                _print(f"{page.partition('?')[0]}, idle", browser, server, page, options)
        browser.close()


def _warm(browser, server, page) -> None:
    tab = browser.new_page()
    tab.goto(server.url + page)
    tab.wait_for_selector(".js-plotly-plot", timeout=120_000)
    tab.close()


def _print(what, browser, server, page, options) -> None:
    tab = browser.new_page()
    tab.goto(server.url + page)
    tab.wait_for_selector("h1", timeout=60_000)
    busy = 1.0
    while busy > QUIET:
        before = server.cpu_seconds()
        time.sleep(SETTLE_S)
        busy = (server.cpu_seconds() - before) / SETTLE_S
    before, start = server.cpu_seconds(), time.monotonic()
    time.sleep(options.seconds)
    spent, passed = server.cpu_seconds() - before, time.monotonic() - start
    share = 100 * spent / passed
    text = f"{spent:6.2f} CPU s in {passed:.0f} s: {share:5.1f} % of a core"
    print(f"{what:28s} {text}, {server.megabytes():.0f} MB", flush=True)
    assert tab.locator("[data-testid=stException]").count() == 0, tab.inner_text("body")
    tab.close()


if __name__ == "__main__":
    main()
